/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdio.h>

#include "nn/cmd/cmd.h"

typedef struct eval_options {
    const char *plan, *function;
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

static fhola_status evaluate(const eval_options *o, const char *name, const char *pictures,
                             nn_cmd_network *n, nn_batch **batch)
{
    static char command[] = "eval";
    nn_evaluation exact, polynomial = {0};
    nn_model_info info;
    fhola_status status = nn_cmd_find_network(n, name, &o->metadata, o->plan);
    if (status == FHOLA_OK && o->function) status = nn_cmd_set_function(n->model, o->function);
    if (status == FHOLA_OK) status = nn_cmd_load_batch(batch, pictures, o->first, o->count);
    if (status == FHOLA_OK)
        status = nn_evaluate(&exact, n->model, NULL, *batch, 0, 0, nn_cmd_progress, command);
    if (status == FHOLA_OK && n->plan) {
        double noise = isnan(o->noise_bits) ? 0 : exp2(-o->noise_bits);
        status =
            nn_evaluate(&polynomial, n->model, n->plan, *batch, noise, 1, nn_cmd_progress, command);
    }
    nn_cmd_progress_end();
    if (status != FHOLA_OK) return status;
    nn_model_describe(n->model, &info);
    (o->json ? print_json : print_text)(&info, &exact, &polynomial, n->plan);
    return FHOLA_OK;
}

static int run(int argc, char **argv)
{
    eval_options o = {.noise_bits = (double)NAN};
    nn_cmd_network n = {NULL, NULL, NULL};
    nn_batch *batch = NULL;
    if (!nn_cmd_parse(&nn_cmd_eval, &o, &argc, argv)) return NN_CMD_WRONG_USE;
    fhola_status status = evaluate(&o, argv[1], argv[2], &n, &batch);
    nn_batch_free(batch);
    nn_cmd_network_clear(&n);
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
    .notes = "MODEL is a safetensors file, a compiled network, or the name of a bundled model. "
             "BATCH holds CIFAR records.",
    .examples = "fhola eval resnet20 test_batch.bin\n"
                "fhola eval resnet20.fhola test_batch.bin --count 20 --noise 12 --json",
};
