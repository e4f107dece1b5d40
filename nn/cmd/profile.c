/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "nn/cmd/cmd.h"

typedef struct profile_options {
    const char *output, *function, *labels;
    double count, eps;
    bool json;
    nn_cmd_metadata metadata;
} profile_options;

static const nn_cmd_option options[] = {
    NN_CMD_OUTPUT("output", 'o', "FILE", profile_options, output, "where the profile goes"),
    NN_CMD_WHOLE("count", 0, "N", profile_options, count, 1, 1e9,
                 "use the first N records of CALIBRATION"),
    NN_CMD_LABELS(profile_options, labels, "CALIBRATION"),
    NN_CMD_NUMBER("eps", 0, "X", profile_options, eps, 0, 0.25,
                  "the bootstrap's sine, as for 'fhola plan' (default 0.25)"),
    NN_CMD_TEXT("function", 0, "F", profile_options, function,
                "the exact network's activation, as for 'fhola plan'"),
    NN_CMD_FLAG("json", 0, profile_options, json, "print one JSON object"),
    NN_CMD_THREADS,
    NN_CMD_PROGRESS,
    NN_CMD_QUIET,
    NN_CMD_METADATA(profile_options, metadata),
    NN_CMD_END,
};

/* Units as measured with ResNet-20, 1 being the exact network on a picture; sensitivities are
 * measured on part of them. */
void nn_cmd_profile_phases(nn_cmd_phase phases[NN_CMD_PROFILE_PHASES], size_t pictures,
                           const nn_plan_options *chosen)
{
    double all = (double)pictures, part = fmin(all, (double)chosen->sensitivity_pictures);
    phases[0] = (nn_cmd_phase){"profile", 12 * all};
    phases[1] = (nn_cmd_phase){"gradients", 1.5 * all};
    phases[2] = (nn_cmd_phase){"sensitivities", 15 * part};
}

static fhola_status measure(nn_profile **profile, const nn_model *model,
                            const nn_batch *calibration, const nn_plan_options *chosen)
{
    nn_cmd_phase phases[NN_CMD_PROFILE_PHASES];
    nn_cmd_profile_phases(phases, nn_batch_count(calibration), chosen);
    nn_cmd_progress_expect(phases, NN_CMD_PROFILE_PHASES);
    return nn_profile_make(profile, model, calibration, chosen, nn_cmd_progress, NULL);
}

static int run(int argc, char **argv)
{
    static const char name[] = "profile";
    profile_options o = {.eps = -1};
    nn_plan_options plan;
    nn_model *model = NULL;
    nn_batch *calibration = NULL;
    nn_profile *profile = NULL;
    if (!nn_cmd_parse(&nn_cmd_profile, &o, &argc, argv)) return NN_CMD_WRONG_USE;
    if (!o.output) return nn_cmd_wrong_use(name, "-o PROFILE is missing");
    nn_plan_defaults(&plan);
    if (o.eps >= 0) plan.eps = o.eps;
    fhola_status status = nn_cmd_check_output(o.output);
    if (status == FHOLA_OK) status = nn_cmd_find_model(&model, argv[1], &o.metadata);
    if (status == FHOLA_OK && o.function) status = nn_cmd_set_function(model, o.function);
    if (status == FHOLA_OK)
        status = nn_cmd_load_batch(&calibration, model, argv[2], o.labels, 0, o.count);
    if (status == FHOLA_OK) status = measure(&profile, model, calibration, &plan);
    nn_cmd_progress_end();
    if (status == FHOLA_OK) status = nn_profile_save(profile, o.output);
    if (status == FHOLA_OK)
        nn_cmd_report_files(&(nn_cmd_file){o.output, "the profile, for 'fhola plan'"}, 1, o.json);
    nn_profile_free(profile);
    nn_batch_free(calibration);
    nn_model_free(model);
    return nn_cmd_finish(name, status);
}

const nn_cmd_command nn_cmd_profile = {
    .name = "profile",
    .run = run,
    .usage = "MODEL CALIBRATION -o PROFILE",
    .purpose = "measure what arrives at every activation and how much the network depends on it",
    .options = options,
    .least = 2,
    .most = 2,
    .operands = "a model and calibration pictures",
    .notes = "MODEL is a safetensors or an ONNX file, or the name of a bundled model. CALIBRATION "
             "holds\n" NN_CMD_RECORDS,
    .examples = "fhola profile resnet20 data_batch_1.bin -o resnet20.profile\n"
                "fhola profile net.onnx images.npy --labels labels.npy -o net.profile",
};
