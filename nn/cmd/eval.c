/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/cmd/cmd.h"

typedef struct eval_options {
    const char *plan, *function, *labels, *scores;
    double noise_bits, first, count; /* noise_bits NaN: no noise */
    bool json;
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
    NN_CMD_FLAG("json", 0, eval_options, json, "print one JSON object"),
    NN_CMD_METADATA(eval_options, metadata),
    NN_CMD_END,
};

static double accuracy(const nn_evaluation *e)
{
    return 100.0 * (double)e->right / (double)e->pictures;
}

static void print_json(const nn_model_info *info, const nn_evaluation *exact,
                       const nn_evaluation *polynomial, const nn_plan *plan)
{
    printf("{\"pictures\": %zu, \"exact_accuracy\": ", exact->pictures);
    nn_cmd_json_number(accuracy(exact));
    printf(", \"test_accuracy\": ");
    nn_cmd_json_number(info->test_accuracy);
    printf(", \"exact_max_score\": ");
    nn_cmd_json_number(exact->max_score);
    if (plan) {
        printf(", \"polynomial_accuracy\": ");
        nn_cmd_json_number(accuracy(polynomial));
        printf(", \"max_score\": ");
        nn_cmd_json_number(polynomial->max_score);
        printf(", \"not_finite\": %zu, \"too_large\": %zu, \"max_w\": ", polynomial->not_finite,
               polynomial->too_large);
        nn_cmd_json_number(polynomial->max_w);
        printf(", \"outside\": %zu, \"lost\": %zu, \"depth\": %u", polynomial->outside,
               polynomial->lost, nn_plan_depth(plan));
    }
    printf("}\n");
}

static void print_text(const nn_model_info *info, const nn_evaluation *exact,
                       const nn_evaluation *polynomial, const nn_plan *plan)
{
    printf("pictures             %zu\n", exact->pictures);
    printf("exact accuracy       %.2f %%", accuracy(exact));
    if (isfinite(info->test_accuracy))
        printf(" (the weights file says %.2f %% on the test pictures)", info->test_accuracy);
    printf("\n");
    if (!plan) return;
    printf("polynomial accuracy  %.2f %% at depth %u\n", accuracy(polynomial), nn_plan_depth(plan));
    printf("largest score        %.2f, not finite: %zu pictures, 200 or more: %zu\n",
           polynomial->max_score, polynomial->not_finite, polynomial->too_large);
    printf("largest |w|          %.3f, beyond 1: %zu pictures (%.2f %%), beyond 2: %zu\n",
           polynomial->max_w, polynomial->outside,
           100.0 * (double)polynomial->outside / (double)polynomial->pictures, polynomial->lost);
}

/* ---- evaluation ---- */

typedef struct evaluation {
    nn_cmd_network n;
    nn_batch *batch;
    nn_model_info info;
    nn_evaluation exact, polynomial;
    float *exact_scores, *polynomial_scores; /* NULL: not asked for */
} evaluation;

static bool is_standard(const char *path)
{
    return path && strcmp(path, "-") == 0;
}

static fhola_status load(evaluation *e, const eval_options *o, const char *name,
                         const char *pictures)
{
    if (!is_standard(o->scores)) FHOLA_TRY(nn_cmd_check_output(o->scores));
    FHOLA_TRY(nn_cmd_find_network(&e->n, name, &o->metadata, o->plan));
    if (o->function) FHOLA_TRY(nn_cmd_set_function(e->n.model, o->function));
    nn_model_describe(e->n.model, &e->info);
    return nn_cmd_load_batch(&e->batch, e->n.model, pictures, o->labels, o->first, o->count);
}

static fhola_status make_room(evaluation *e)
{
    size_t count = nn_batch_count(e->batch) * e->info.classes;
    e->exact_scores = malloc(count * sizeof(float));
    e->polynomial_scores = e->n.plan ? malloc(count * sizeof(float)) : NULL;
    if (!e->exact_scores || (e->n.plan && !e->polynomial_scores))
        return fhola_fail(FHOLA_NOMEM, "no memory for %zu scores", count);
    return FHOLA_OK;
}

static fhola_status evaluate(evaluation *e, const eval_options *o)
{
    static char command[] = "eval";
    double noise = isnan(o->noise_bits) ? 0 : exp2(-o->noise_bits);
    if (o->scores) FHOLA_TRY(make_room(e));
    FHOLA_TRY(nn_evaluate_scores(&e->exact, e->exact_scores, e->n.model, NULL, e->batch, 0, 0,
                                 nn_cmd_progress, command));
    if (!e->n.plan) return FHOLA_OK;
    return nn_evaluate_scores(&e->polynomial, e->polynomial_scores, e->n.model, e->n.plan, e->batch,
                              noise, 1, nn_cmd_progress, command);
}

/* Where there is a plan, its scores come first. */
static fhola_status give_scores(const evaluation *e, const char *path)
{
    char *text;
    size_t length;
    const float *scores = e->n.plan ? e->polynomial_scores : e->exact_scores,
                *exact = e->n.plan ? e->exact_scores : NULL;
    if (!is_standard(path)) return nn_scores_save(path, e->batch, e->info.classes, scores, exact);
    FHOLA_TRY(nn_scores_format(&text, &length, e->batch, e->info.classes, scores, exact));
    fwrite(text, 1, length, stdout);
    free(text);
    return FHOLA_OK;
}

static int run(int argc, char **argv)
{
    eval_options o = {.noise_bits = (double)NAN};
    evaluation e = {.batch = NULL};
    if (!nn_cmd_parse(&nn_cmd_eval, &o, &argc, argv)) return NN_CMD_WRONG_USE;
    fhola_status status = load(&e, &o, argv[1], argv[2]);
    if (status == FHOLA_OK) status = evaluate(&e, &o);
    nn_cmd_progress_end();
    if (status == FHOLA_OK && o.scores) status = give_scores(&e, o.scores);
    if (status == FHOLA_OK && !is_standard(o.scores))
        (o.json ? print_json : print_text)(&e.info, &e.exact, &e.polynomial, e.n.plan);
    free(e.exact_scores);
    free(e.polynomial_scores);
    nn_batch_free(e.batch);
    nn_cmd_network_clear(&e.n);
    return nn_cmd_finish("eval", status);
}

const nn_cmd_command nn_cmd_eval = {
    .name = "eval",
    .run = run,
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
                "fhola eval net.onnx images.npy --labels labels.npy --scores net.scores",
};
