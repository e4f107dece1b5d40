/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/cmd/accuracy.h"
#include "nn/cmd/cmd.h"
#include "nn/cmd/eval_encrypted.h"

typedef struct eval_options {
    const char *plan, *function, *labels, *scores, *params;
    double noise_bits, first, count, memory; /* noise_bits NaN: no noise */
    bool json, per_class, encrypted;
    nn_cmd_metadata metadata;
} eval_options;

static const nn_cmd_option options[] = {
    NN_CMD_TEXT("plan", 0, "FILE", eval_options, plan,
                "polynomials to use (default: the plan that comes with the model, if any)"),
    NN_CMD_NUMBER("noise", 0, "BITS", eval_options, noise_bits, 0, 60,
                  "add normal noise of standard deviation 2^-BITS to the normalised input\nof "
                  "every activation"),
    NN_CMD_TEXT("function", 0, "F", eval_options, function,
                "the exact network's activation, as for 'fhola plan'"),
    NN_CMD_WHOLE("first", 0, "N", eval_options, first, 0, 1e9, "start at record N (default 0)"),
    NN_CMD_WHOLE("count", 0, "N", eval_options, count, 1, 1e9,
                 "use N records (default: all that follow)"),
    NN_CMD_LABELS(eval_options, labels, "BATCH"),
    NN_CMD_PRINTABLE("scores", 0, "FILE", eval_options, scores,
                     "write the scores of every record, a JSON object a line ('-': print them\nand "
                     "nothing else)"),
    NN_CMD_FLAG("per-class", 0, eval_options, per_class,
                "count for every class which ones its pictures were taken for"),
    NN_CMD_FLAG("encrypted", 0, eval_options, encrypted,
                "run the records encrypted, too, and compare the scores; with --count"),
    NN_CMD_TEXT("params", 0, "SET", eval_options, params,
                "parameter set of --encrypted (default R15), or a file with one"),
    NN_CMD_MEMORY(eval_options, memory),
    NN_CMD_FLAG("json", 0, eval_options, json, "print one JSON object"),
    NN_CMD_THREADS,
    NN_CMD_PROGRESS,
    NN_CMD_QUIET,
    NN_CMD_METADATA(eval_options, metadata),
    NN_CMD_END,
};

/* ---- evaluation ---- */

typedef struct evaluation {
    nn_cmd_network n;
    nn_batch *batch;
    nn_model_info info;
    nn_cmd_accuracy accuracy;
    nn_cmd_encrypted_result encrypted;
} evaluation;

static bool is_standard(const char *path)
{
    return path && strcmp(path, "-") == 0;
}

static fhola_status load(evaluation *e, const eval_options *o, const char *name,
                         const char *pictures)
{
    if (!is_standard(o->scores)) FHOLA_TRY(nn_cmd_check_output(o->scores));
    if (o->encrypted)
        FHOLA_TRY(nn_cmd_load_network(&e->n, name, &o->metadata, o->plan, o->params));
    else
        FHOLA_TRY(nn_cmd_find_network(&e->n, name, &o->metadata, o->plan));
    if (o->function) FHOLA_TRY(nn_cmd_set_function(e->n.model, o->function));
    nn_model_describe(e->n.model, &e->info);
    return nn_cmd_load_batch(&e->batch, e->n.model, pictures, o->labels, o->first, o->count);
}

static fhola_status evaluate(evaluation *e, const eval_options *o)
{
    /* a polynomial takes longer than its function, encrypted pictures nearly all the time */
    static const nn_cmd_phase phases[] = {
        {"pictures", 1}, {"pictures", 1.2}, {"loading", 1000}, {"key", 500}, {"layers", 1800}};
    double noise = isnan(o->noise_bits) ? 0 : exp2(-o->noise_bits);
    nn_cmd_progress_expect(phases, o->encrypted ? 5 : e->n.plan ? 2 : 1);
    FHOLA_TRY(nn_cmd_accuracy_measure(&e->accuracy, e->n.model, e->n.plan, e->batch, noise));
    if (!o->encrypted) return FHOLA_OK;
    return nn_cmd_eval_encrypted(&e->encrypted, &e->n, e->batch, &e->accuracy, o->memory);
}

/* Where there is a plan, its scores come first. */
static fhola_status give_scores(const evaluation *e, const char *path)
{
    char *text;
    size_t length;
    const nn_cmd_accuracy *a = &e->accuracy;
    const float *scores = e->n.plan ? a->polynomial_scores : a->exact_scores,
                *exact = e->n.plan ? a->exact_scores : NULL;
    if (!is_standard(path)) return nn_scores_save(path, e->batch, e->info.classes, scores, exact);
    FHOLA_TRY(nn_scores_format(&text, &length, e->batch, e->info.classes, scores, exact));
    fwrite(text, 1, length, stdout);
    free(text);
    return FHOLA_OK;
}

/* ---- what is printed ---- */

static void print_json(const evaluation *e, const nn_plan *plan)
{
    const nn_cmd_accuracy *a = &e->accuracy;
    const nn_evaluation *p = &a->polynomial;
    printf("{\"pictures\": %zu, ", a->pictures);
    nn_cmd_json_share("exact_accuracy", nn_cmd_share_of(a->exact.right, a->pictures));
    printf(", \"test_accuracy\": ");
    nn_cmd_json_number(e->info.test_accuracy);
    printf(", \"exact_max_score\": ");
    nn_cmd_json_number(a->exact.max_score);
    if (!plan) return;
    printf(", ");
    nn_cmd_json_share("polynomial_accuracy", nn_cmd_share_of(p->right, a->pictures));
    printf(", ");
    nn_cmd_json_share("agreement", nn_cmd_share_of(a->agreeing, a->pictures));
    printf(", \"max_score\": ");
    nn_cmd_json_number(p->max_score);
    printf(", \"not_finite\": %zu, \"too_large\": %zu, \"max_w\": ", p->not_finite, p->too_large);
    nn_cmd_json_number(p->max_w);
    printf(", \"outside\": %zu, \"lost\": %zu, \"depth\": %u", p->outside, p->lost,
           nn_plan_depth(plan));
}

static void print_text(const evaluation *e, const nn_plan *plan)
{
    const nn_cmd_accuracy *a = &e->accuracy;
    const nn_evaluation *p = &a->polynomial;
    printf("pictures             %zu (behind a share stands its 95 %% interval)\n", a->pictures);
    printf("exact accuracy       ");
    nn_cmd_print_share(nn_cmd_share_of(a->exact.right, a->pictures));
    if (isfinite(e->info.test_accuracy))
        printf("; the weights file says %.2f %% on the test pictures", e->info.test_accuracy);
    printf("\n");
    if (!plan) return;
    printf("polynomial accuracy  ");
    nn_cmd_print_share(nn_cmd_share_of(p->right, a->pictures));
    printf(" at depth %u\nsame class           ", nn_plan_depth(plan));
    nn_cmd_print_share(nn_cmd_share_of(a->agreeing, a->pictures));
    printf("\nlargest score        %.2f, not finite: %zu pictures, 200 or more: %zu\n",
           p->max_score, p->not_finite, p->too_large);
    printf("largest |w|          %.3f, beyond 1: %zu pictures (%.2f %%), beyond 2: %zu\n", p->max_w,
           p->outside, 100.0 * (double)p->outside / (double)p->pictures, p->lost);
}

static fhola_status print(const evaluation *e, const eval_options *o)
{
    const nn_cmd_file file = {o->scores, "the scores, a record a line"};
    fhola_status status = FHOLA_OK;
    (o->json ? print_json : print_text)(e, e->n.plan);
    if (o->encrypted && o->json) printf(", ");
    if (o->encrypted)
        (o->json ? nn_cmd_encrypted_result_json : nn_cmd_encrypted_result_print)(&e->encrypted);
    if (o->per_class && o->json) printf(", ");
    if (o->per_class) status = nn_cmd_print_classes(&e->accuracy, e->n.model, e->batch, o->json);
    if (!o->json) {
        nn_cmd_report_files(&file, 1, false);
        return status;
    }
    printf(", ");
    nn_cmd_json_files(&file, 1);
    printf("}\n");
    return status;
}

static bool check_combination(const eval_options *o)
{
    if (o->encrypted && !(o->count > 0))
        return nn_cmd_wrong_use("eval",
                                "--encrypted takes seconds a record: --count N says how many") == 0;
    if (o->encrypted && !isnan(o->noise_bits))
        return nn_cmd_wrong_use("eval", "--encrypted has noise of its own: not with --noise") == 0;
    if (!o->encrypted && (o->params || o->memory > 0))
        return nn_cmd_wrong_use("eval", "--params and --memory go with --encrypted") == 0;
    return true;
}

static int run(int argc, char **argv)
{
    eval_options o = {.noise_bits = (double)NAN};
    evaluation e = {.batch = NULL};
    if (!nn_cmd_parse(&nn_cmd_eval, &o, &argc, argv) || !check_combination(&o))
        return NN_CMD_WRONG_USE;
    fhola_status status = load(&e, &o, argv[1], argv[2]);
    if (status == FHOLA_OK) status = evaluate(&e, &o);
    nn_cmd_progress_end();
    if (status == FHOLA_OK && o.scores) status = give_scores(&e, o.scores);
    if (status == FHOLA_OK && !is_standard(o.scores)) status = print(&e, &o);
    nn_cmd_accuracy_clear(&e.accuracy);
    nn_batch_free(e.batch);
    nn_cmd_network_clear(&e.n);
    return nn_cmd_finish("eval", status);
}

const nn_cmd_command nn_cmd_eval = {
    .name = "eval",
    .run = run,
    .secret = true, /* with --encrypted */
    .usage = "MODEL BATCH",
    .purpose = "measure the accuracy of a network and of its polynomial form on plaintext pictures",
    .options = options,
    .least = 2,
    .most = 2,
    .operands = "a model and a batch of pictures",
    .notes = "MODEL is a safetensors or an ONNX file, a compiled network, or the name of a bundled "
             "model. BATCH holds\n" NN_CMD_RECORDS,
    .examples = "fhola eval resnet20 test_batch.bin\n"
                "fhola eval resnet20.fhola test_batch.bin --count 20 --noise 12 --json\n"
                "fhola eval resnet20 test_batch.bin --count 10 --encrypted\n"
                "fhola eval net.onnx images.npy --labels labels.npy --scores net.scores",
};
