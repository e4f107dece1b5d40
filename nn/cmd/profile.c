/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <getopt.h>
#include <stdio.h>

#include "nn/cmd/cmd.h"

typedef struct profile_options {
    const char *model, *calibration, *output;
    double count, eps;
} profile_options;

static bool read_options(profile_options *o, int argc, char **argv)
{
    static const struct option table[] = {{"output", required_argument, NULL, 'o'},
                                          {"count", required_argument, NULL, 'c'},
                                          {"eps", required_argument, NULL, 'e'},
                                          {NULL, 0, NULL, 0}};
    *o = (profile_options){.eps = -1};
    int option;
    bool fine = true;
    opterr = 0;
    while (fine && (option = getopt_long(argc, argv, ":o:", table, NULL)) != -1) {
        switch (option) {
        case 'o': o->output = optarg; break;
        case 'c': fine = nn_cmd_number("profile", "--count", optarg, 1, 1e9, &o->count); break;
        case 'e': fine = nn_cmd_number("profile", "--eps", optarg, 0, 0.25, &o->eps); break;
        default: fine = nn_cmd_wrong_use("profile", "unknown option or missing value: '%s'", argv[optind - 1]) == 0; break;
        }
    }
    if (fine && argc - optind != 2)
        fine = nn_cmd_wrong_use("profile", "a model and calibration pictures expected, %d operands given", argc - optind) == 0;
    if (fine && !o->output)
        fine = nn_cmd_wrong_use("profile", "-o PROFILE is missing") == 0;
    if (!fine)
        return false;
    o->model = argv[optind];
    o->calibration = argv[optind + 1];
    return true;
}

int nn_cmd_profile(int argc, char **argv)
{
    static char name[] = "profile";
    profile_options o;
    nn_plan_options options;
    nn_model *model = NULL;
    nn_batch *calibration = NULL;
    nn_profile *profile = NULL;
    if (!read_options(&o, argc, argv))
        return NN_CMD_WRONG_USE;
    nn_plan_defaults(&options);
    if (o.eps >= 0)
        options.eps = o.eps;
    fhola_status status = nn_cmd_find_model(&model, o.model);
    if (status == FHOLA_OK)
        status = nn_batch_load(&calibration, o.calibration, 0, (size_t)o.count);
    if (status == FHOLA_OK)
        status = nn_profile_make(&profile, model, calibration, &options, nn_cmd_progress, name);
    nn_cmd_progress_end();
    if (status == FHOLA_OK)
        status = nn_profile_save(profile, o.output);
    nn_profile_free(profile);
    nn_batch_free(calibration);
    nn_model_free(model);
    return nn_cmd_finish("profile", status);
}
