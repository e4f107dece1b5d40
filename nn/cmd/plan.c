/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/cmd/cmd.h"

#define MAX_ACTIVATIONS 400u

typedef struct plan_options {
    const char *model, *profile, *calibration, *held_out, *output, *degrees;
    double depth, count, eps;
} plan_options;

static bool read_options(plan_options *o, int argc, char **argv)
{
    static const struct option table[] = {{"output", required_argument, NULL, 'o'},  {"depth", required_argument, NULL, 'd'},
                                          {"degrees", required_argument, NULL, 'g'}, {"heldout", required_argument, NULL, 'h'},
                                          {"count", required_argument, NULL, 'c'},   {"eps", required_argument, NULL, 'e'},
                                          {NULL, 0, NULL, 0}};
    *o = (plan_options){.depth = 0, .eps = -1};
    int option;
    bool fine = true;
    opterr = 0;
    while (fine && (option = getopt_long(argc, argv, ":o:", table, NULL)) != -1) {
        switch (option) {
        case 'o': o->output = optarg; break;
        case 'g': o->degrees = optarg; break;
        case 'h': o->held_out = optarg; break;
        case 'd': fine = nn_cmd_number("plan", "--depth", optarg, 1, 1e4, &o->depth); break;
        case 'c': fine = nn_cmd_number("plan", "--count", optarg, 1, 1e9, &o->count); break;
        case 'e': fine = nn_cmd_number("plan", "--eps", optarg, 0, 0.25, &o->eps); break;
        default: fine = nn_cmd_wrong_use("plan", "unknown option or missing value: '%s'", argv[optind - 1]) == 0; break;
        }
    }
    int operands = argc - optind;
    if (fine && operands != 2 && operands != 3)
        fine = nn_cmd_wrong_use("plan", "a model, perhaps a profile, and calibration pictures expected, %d operands given", operands) == 0;
    if (fine && !o->output)
        fine = nn_cmd_wrong_use("plan", "-o PLAN is missing") == 0;
    if (fine && (o->depth > 0) == (o->degrees != NULL))
        fine = nn_cmd_wrong_use("plan", "one of --depth and --degrees is needed") == 0;
    if (!fine)
        return false;
    o->model = argv[optind];
    o->profile = operands == 3 ? argv[optind + 1] : NULL;
    o->calibration = argv[optind + operands - 1];
    return true;
}

/* "7,15,7": the last degree is repeated. Ranges are nn_plan_make's to check. */
static bool parse_degrees(unsigned *degrees, const char *list)
{
    unsigned long value = 0;
    for (size_t i = 0; i < MAX_ACTIVATIONS; i++) {
        if (list) {
            char *end;
            value = *list >= '0' && *list <= '9' ? strtoul(list, &end, 10) : 1000;
            if (value > 999 || (*end && *end != ','))
                return false;
            list = *end ? end + 1 : NULL;
        }
        degrees[i] = (unsigned)value;
    }
    return list == NULL;
}

/* Without a held-out file the last fifth of the calibration records is held out. */
static fhola_status load_pictures(nn_batch **calibration, nn_batch **held_out, const plan_options *o)
{
    nn_batch *all;
    fhola_status status = nn_batch_load(&all, o->calibration, 0, (size_t)o->count);
    if (status != FHOLA_OK || o->held_out) {
        if (status == FHOLA_OK)
            status = nn_batch_load(held_out, o->held_out, 0, 0);
        if (status == FHOLA_OK)
            *calibration = all;
        return status;
    }
    size_t count = nn_batch_count(all), held = count / 5;
    nn_batch_free(all);
    status = nn_batch_load(calibration, o->calibration, 0, count - held);
    if (status == FHOLA_OK && held)
        status = nn_batch_load(held_out, o->calibration, count - held, held);
    return status;
}

static void report(const nn_plan *plan)
{
    printf("depth %u, degrees", nn_plan_depth(plan));
    for (size_t i = 0; i < nn_plan_count(plan); i++)
        printf(" %u", nn_plan_degree(plan, i));
    printf("\nheld-out |w|");
    for (size_t i = 0; i < nn_plan_count(plan); i++)
        printf(" %.2f", nn_plan_max_w(plan, i));
    printf("\n");
}

typedef struct plan_work {
    nn_model *model;
    nn_profile *profile;
    nn_batch *calibration, *held_out;
    nn_plan *plan;
} plan_work;

static fhola_status run(plan_work *w, const plan_options *o, const unsigned *degrees)
{
    static char name[] = "plan";
    nn_plan_options options;
    nn_plan_defaults(&options);
    options.depth = (unsigned)o->depth;
    options.degrees = o->degrees ? degrees : NULL;
    if (o->eps >= 0)
        options.eps = o->eps;
    fhola_status status = nn_cmd_find_model(&w->model, o->model);
    if (status == FHOLA_OK && o->profile)
        status = nn_profile_load(&w->profile, o->profile, w->model);
    if (status == FHOLA_OK)
        status = load_pictures(&w->calibration, &w->held_out, o);
    options.profile = w->profile;
    if (status == FHOLA_OK)
        status = nn_plan_make(&w->plan, w->model, w->calibration, w->held_out, &options, nn_cmd_progress, name);
    nn_cmd_progress_end();
    if (status == FHOLA_OK)
        status = nn_plan_save(w->plan, o->output);
    if (status == FHOLA_OK)
        report(w->plan);
    return status;
}

int nn_cmd_plan(int argc, char **argv)
{
    plan_options o;
    unsigned degrees[MAX_ACTIVATIONS];
    plan_work w;
    memset(&w, 0, sizeof w);
    if (!read_options(&o, argc, argv))
        return NN_CMD_WRONG_USE;
    if (o.degrees && !parse_degrees(degrees, o.degrees))
        return nn_cmd_wrong_use("plan", "--degrees must be numbers separated by commas, not '%s'", o.degrees);
    fhola_status status = run(&w, &o, degrees);
    nn_plan_free(w.plan);
    nn_batch_free(w.held_out);
    nn_batch_free(w.calibration);
    nn_profile_free(w.profile);
    nn_model_free(w.model);
    return nn_cmd_finish("plan", status);
}
