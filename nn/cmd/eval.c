/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <getopt.h>
#include <math.h>
#include <stdio.h>

#include "nn/cmd/cmd.h"

typedef struct eval_options {
    const char *model, *batch, *plan;
    double noise_bits, first, count; /* noise_bits NaN: no noise */
    bool json;
} eval_options;

static bool read_options(eval_options *o, int argc, char **argv)
{
    static const struct option table[] = {{"plan", required_argument, NULL, 'p'},  {"noise", required_argument, NULL, 'n'},
                                          {"first", required_argument, NULL, 'f'}, {"count", required_argument, NULL, 'c'},
                                          {"json", no_argument, NULL, 'j'},        {NULL, 0, NULL, 0}};
    *o = (eval_options){.noise_bits = (double)NAN};
    int option;
    bool fine = true;
    opterr = 0;
    while (fine && (option = getopt_long(argc, argv, ":", table, NULL)) != -1) {
        switch (option) {
        case 'p': o->plan = optarg; break;
        case 'n': fine = nn_cmd_number("eval", "--noise", optarg, 0, 60, &o->noise_bits); break;
        case 'f': fine = nn_cmd_number("eval", "--first", optarg, 0, 1e9, &o->first); break;
        case 'c': fine = nn_cmd_number("eval", "--count", optarg, 1, 1e9, &o->count); break;
        case 'j': o->json = true; break;
        default: fine = nn_cmd_wrong_use("eval", "unknown option or missing value: '%s'", argv[optind - 1]) == 0; break;
        }
    }
    if (fine && argc - optind != 2)
        fine = nn_cmd_wrong_use("eval", "a model and a batch of pictures expected, %d operands given", argc - optind) == 0;
    if (!fine)
        return false;
    o->model = argv[optind];
    o->batch = argv[optind + 1];
    return true;
}

static double accuracy(const nn_evaluation *e)
{
    return 100.0 * (double)e->right / (double)e->pictures;
}

static void print_json(const nn_model_info *info, const nn_evaluation *exact, const nn_evaluation *polynomial, const nn_plan *plan)
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
        printf(", \"not_finite\": %zu, \"too_large\": %zu, \"max_w\": ", polynomial->not_finite, polynomial->too_large);
        nn_cmd_json_number(polynomial->max_w);
        printf(", \"outside\": %zu, \"depth\": %u", polynomial->outside, nn_plan_depth(plan));
    }
    printf("}\n");
}

static void print_text(const nn_model_info *info, const nn_evaluation *exact, const nn_evaluation *polynomial, const nn_plan *plan)
{
    printf("pictures             %zu\n", exact->pictures);
    printf("exact accuracy       %.2f %%", accuracy(exact));
    if (isfinite(info->test_accuracy))
        printf(" (the weights file says %.2f %% on the test pictures)", info->test_accuracy);
    printf("\n");
    if (!plan)
        return;
    printf("polynomial accuracy  %.2f %% at depth %u\n", accuracy(polynomial), nn_plan_depth(plan));
    printf("largest score        %.2f, not finite: %zu pictures, 200 or more: %zu\n", polynomial->max_score, polynomial->not_finite,
           polynomial->too_large);
    printf("largest |w|          %.3f, beyond 1: %zu pictures\n", polynomial->max_w, polynomial->outside);
}

static fhola_status run(const eval_options *o, nn_model **model, nn_plan **plan, nn_batch **batch)
{
    static char name[] = "eval";
    nn_evaluation exact, polynomial = {0};
    nn_model_info info;
    fhola_status status = nn_cmd_find_model(model, o->model);
    if (status == FHOLA_OK)
        status = nn_cmd_find_plan(plan, o->plan, o->model, *model);
    if (status == FHOLA_OK)
        status = nn_batch_load(batch, o->batch, (size_t)o->first, (size_t)o->count);
    if (status == FHOLA_OK)
        status = nn_evaluate(&exact, *model, NULL, *batch, 0, 0, nn_cmd_progress, name);
    if (status == FHOLA_OK && *plan) {
        double noise = isnan(o->noise_bits) ? 0 : exp2(-o->noise_bits);
        status = nn_evaluate(&polynomial, *model, *plan, *batch, noise, 1, nn_cmd_progress, name);
    }
    nn_cmd_progress_end();
    if (status != FHOLA_OK)
        return status;
    nn_model_describe(*model, &info);
    (o->json ? print_json : print_text)(&info, &exact, &polynomial, *plan);
    return FHOLA_OK;
}

int nn_cmd_eval(int argc, char **argv)
{
    eval_options o;
    nn_model *model = NULL;
    nn_plan *plan = NULL;
    nn_batch *batch = NULL;
    if (!read_options(&o, argc, argv))
        return NN_CMD_WRONG_USE;
    fhola_status status = run(&o, &model, &plan, &batch);
    nn_batch_free(batch);
    nn_plan_free(plan);
    nn_model_free(model);
    return nn_cmd_finish("eval", status);
}
