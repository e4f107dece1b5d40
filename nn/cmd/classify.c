/* SPDX-License-Identifier: Apache-2.0 */
/* fhola classify: key generation, encryption, inference and decryption of one picture in one
 * process. */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "ckks/ckks.h"
#include "nn/cmd/cmd.h"
#include "nn/cmd/encrypted.h"

#define TOP 3

typedef struct classify_options {
    const char *model, *plan, *params;
    double record, memory; /* record -1: the picture is one, not a batch */
    bool json;
    nn_cmd_metadata metadata;
} classify_options;

static const nn_cmd_option options[] = {
    NN_CMD_TEXT("model", 0, "MODEL", classify_options, model,
                "a safetensors file, a compiled network, or the name of a bundled model\n(default "
                "resnet20)"),
    NN_CMD_TEXT("plan", 0, "FILE", classify_options, plan,
                "polynomials to use (default: the plan that comes with the model)"),
    NN_CMD_TEXT("params", 0, "SET", classify_options, params,
                "parameter set (default R15; 'fhola params' lists them), or a file with one"),
    NN_CMD_WHOLE("record", 0, "N", classify_options, record, 0, 1e9,
                 "PICTURE holds records; take its record N, counted from 0"),
    NN_CMD_THREADS,
    NN_CMD_MEMORY(classify_options, memory),
    NN_CMD_PROGRESS,
    NN_CMD_QUIET,
    NN_CMD_FLAG("json", 0, classify_options, json, "print one JSON object"),
    NN_CMD_METADATA(classify_options, metadata),
    NN_CMD_END,
};

/* All there is while a picture is classified. */
typedef struct session {
    classify_options options;
    nn_cmd_network files;
    nn_shape shape; /* of the picture, and its values */
    double *picture;
    nn_session parties;
    double *scores;
    double load_seconds;
} session;

/* ---- steps ---- */

/* The network says which shape the picture gets. A picture that is none is found before the network
 * is made ready. */
static fhola_status load(session *s, const char *picture)
{
    nn_model_info info;
    char room[NN_CMD_PATH_ROOM];
    /* shares of the time, as ResNet-20 has them (bench/RESULTS.md) */
    static const nn_cmd_phase phases[] = {{"loading", 2.5}, {"key", 1}, {"layers", 3.5}};
    double start = nn_cmd_now();
    nn_cmd_progress_expect(phases, sizeof phases / sizeof phases[0]);
    nn_cmd_progress_at("loading", 0, 1, "loading the network");
    FHOLA_TRY(nn_cmd_load_network(&s->files, s->options.model, &s->options.metadata,
                                  s->options.plan, s->options.params));
    s->load_seconds = nn_cmd_now() - start;
    nn_model_describe(s->files.model, &info);
    s->shape = info.input;
    if (s->options.record < 0) picture = nn_cmd_find_picture(room, picture);
    return nn_cmd_read_picture(&s->picture, s->shape, picture, s->options.record);
}

static fhola_status encrypt(session *s)
{
    fhola_status status = nn_session_encrypt(&s->parties, s->picture);
    /* not kept in the clear while the network runs */
    nn_cmd_free_picture(s->picture, s->shape);
    s->picture = NULL;
    return status;
}

static fhola_status decrypt(session *s)
{
    size_t classes = nn_client_classes(nn_network_client(s->parties.network));
    s->scores = calloc(classes, sizeof *s->scores);
    if (!s->scores) return fhola_fail(FHOLA_NOMEM, "no memory for %zu scores", classes);
    return nn_session_decrypt(&s->parties, s->scores);
}

static fhola_status classify(session *s, const char *picture)
{
    fhola_status status = load(s, picture);
    if (status == FHOLA_OK) status = nn_cmd_session_open(&s->parties, &s->files, s->options.memory);
    if (status == FHOLA_OK) status = encrypt(s);
    if (status == FHOLA_OK) status = nn_cmd_session_infer(&s->parties);
    if (status == FHOLA_OK) status = decrypt(s);
    nn_cmd_progress_end();
    return status;
}

static void release(session *s)
{
    nn_cmd_free_picture(s->picture, s->shape);
    if (s->scores)
        ckks_wipe(s->scores,
                  nn_client_classes(nn_network_client(s->parties.network)) * sizeof *s->scores);
    free(s->scores);
    nn_session_clear(&s->parties);
    nn_cmd_network_clear(&s->files);
}

/* ---- results ---- */

static fhola_status print_text(const session *s)
{
    nn_stage_times t = {0};
    nn_session_add_times(&t, &s->parties);
    fhola_status status =
        nn_cmd_print_scores(nn_network_client(s->parties.network), s->scores, TOP, false);
    if (status != FHOLA_OK) return status;
    printf("\ninference          %8.2f s\n", s->parties.seconds);
    printf("  convolution      %8.2f s\n", t.convolution);
    printf("  slots to coeffs  %8.2f s\n", t.slots_to_coeffs);
    printf("  switch and raise %8.2f s\n", t.switch_and_raise);
    printf("  coeffs to slots  %8.2f s\n", t.coeffs_to_slots);
    printf("  sine evaluation  %8.2f s\n", t.eval_mod);
    printf("  activation       %8.2f s\n", t.activation);
    printf("key generation     %8.2f s\n", s->parties.keygen_seconds);
    printf("start-up           %8.2f s\n", s->load_seconds + s->parties.startup_seconds);
    printf("kernel             %s, %u thread%s\n", ckks_context_isa(s->parties.context),
           nn_cmd_threads(), nn_cmd_threads() == 1 ? "" : "s");
    if (isfinite(nn_cmd_peak_mib())) printf("peak memory        %8.0f MiB\n", nn_cmd_peak_mib());
    return FHOLA_OK;
}

static fhola_status print_json(const session *s)
{
    nn_stage_times t = {0};
    nn_session_add_times(&t, &s->parties);
    printf("{");
    fhola_status status =
        nn_cmd_print_scores(nn_network_client(s->parties.network), s->scores, TOP, true);
    printf(", \"seconds\": %.3f, \"peak_mib\": ", s->parties.seconds);
    nn_cmd_json_number(round(nn_cmd_peak_mib()));
    printf(", \"keygen_seconds\": %.3f, \"startup_seconds\": %.3f, ", s->parties.keygen_seconds,
           s->load_seconds + s->parties.startup_seconds);
    printf("\"stage_seconds\": {\"convolution\": %.3f, \"slots_to_coeffs\": %.3f, "
           "\"switch_and_raise\": %.3f, ",
           t.convolution, t.slots_to_coeffs, t.switch_and_raise);
    printf("\"coeffs_to_slots\": %.3f, \"eval_mod\": %.3f, \"activation\": %.3f}, ",
           t.coeffs_to_slots, t.eval_mod, t.activation);
    printf("\"kernel\": \"%s\", \"threads\": %u}\n", ckks_context_isa(s->parties.context),
           nn_cmd_threads());
    return status;
}

/* ----  ---- */

static int run(int argc, char **argv)
{
    session s = {.options = {.model = "resnet20", .record = -1}};
    if (!nn_cmd_parse(&nn_cmd_classify, &s.options, &argc, argv)) return NN_CMD_WRONG_USE;
    fhola_status status = classify(&s, argv[1]);
    if (status == FHOLA_OK) status = (s.options.json ? print_json : print_text)(&s);
    release(&s);
    return nn_cmd_finish("classify", status);
}

const nn_cmd_command nn_cmd_classify = {
    .name = "classify",
    .run = run,
    .secret = true,
    .usage = "PICTURE",
    .purpose = "encrypt a picture, run the network on it, decrypt the scores, all in one process",
    .options = options,
    .least = 1,
    .most = 1,
    .operands = "one picture",
    .notes =
        "A picture is a PPM, PNG or JPEG file of any size; a .npy file with the values the network "
        "takes;\nor, with --record, a record of what 'fhola eval' takes ('man fhola' says "
        "more).",
    .examples = "fhola classify cat.ppm\n"
                "fhola classify test_batch.bin --record 7 --json",
};
