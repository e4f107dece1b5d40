/* SPDX-License-Identifier: Apache-2.0 */
/* fhola classify: key generation, encryption, inference and decryption of pictures in one process,
 * or with a server that runs the network. */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "ckks/ckks.h"
#include "nn/cmd/cmd.h"
#include "nn/cmd/encrypted.h"
#include "nn/cmd/remote/remote.h"
#include "nn/cmd/stream.h"

#define TOP             3
#define DEFAULT_MODEL   "resnet20"
#define DEFAULT_TIMEOUT 60 /* seconds */

typedef struct classify_options {
    const char *model, *plan, *params;
    double record, memory; /* record -1: the picture is one, not a batch */
    bool json;
    nn_cmd_metadata metadata;
    remote_options remote;
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
    NN_CMD_FLAG("json", 0, classify_options, json, "print one JSON object a picture"),
    NN_CMD_METADATA(classify_options, metadata),
    NN_CMD_TEXT(
        "server", 0, "URL", classify_options, remote.server,
        "let a server run its network ('fhola serve'), on encrypted pictures;\nthe following "
        "go with it"),
    NN_CMD_TEXT("network", 0, "NAME", classify_options, remote.network,
                "which of the server's networks (default: the only one)"),
    NN_CMD_TEXT("keys", 0, "DIRECTORY", classify_options, remote.keys,
                "where keys are kept (default ~/.local/share/fhola)"),
    NN_CMD_TEXT("token", 0, "FILE", classify_options, remote.token,
                "the token that the server wants, in a file"),
    NN_CMD_TEXT("cacert", 0, "FILE", classify_options, remote.cacert,
                "certificates (PEM) to trust (default: the system's)"),
    NN_CMD_WHOLE("timeout", 0, "SECONDS", classify_options, remote.timeout, 1, 3600,
                 "how long the server may be silent (default 60)"),
    NN_CMD_FLAG("forget", 0, classify_options, remote.forget,
                "no pictures: remove the keys, from the server and here"),
    NN_CMD_END,
};

/* All there is while pictures are classified. */
typedef struct session {
    classify_options options;
    char **name; /* of the pictures, as they were given */
    nn_cmd_network files;
    nn_shape shape;
    size_t count;     /* pictures */
    double **picture; /* their values; NULL once encrypted */
    nn_session parties;
    double *scores;       /* of a picture */
    nn_stage_times times; /* of all layers and pictures so far */
    double seconds, load_seconds;
} session;

/* ---- steps ---- */

/* The network says which shape the pictures get. One that is none is found before the network is
 * made ready. */
static fhola_status load(session *s)
{
    nn_model_info info;
    char room[NN_CMD_PATH_ROOM];
    /* shares of the time, as ResNet-20 has them (bench/RESULTS.md) */
    static const nn_cmd_phase phases[] = {{"loading", 2.5}, {"key", 1}, {"layers", 3.5}};
    double start = nn_cmd_now(), record = s->options.record;
    nn_cmd_progress_expect(phases, sizeof phases / sizeof phases[0]);
    nn_cmd_progress_at("loading", 0, 1, "loading the network");
    FHOLA_TRY(nn_cmd_load_network(&s->files, s->options.model, &s->options.metadata,
                                  s->options.plan, s->options.params));
    s->load_seconds = nn_cmd_now() - start;
    nn_model_describe(s->files.model, &info);
    s->shape = info.input;
    s->picture = calloc(s->count, sizeof *s->picture);
    s->scores = calloc(info.classes, sizeof *s->scores);
    if (!s->picture || !s->scores) return fhola_fail(FHOLA_NOMEM, "no memory for the pictures");
    for (size_t i = 0; i < s->count; i++) {
        const char *path = record < 0 ? nn_cmd_find_picture(room, s->name[i]) : s->name[i];
        FHOLA_TRY(nn_cmd_read_picture(&s->picture[i], s->shape, path, record));
    }
    return FHOLA_OK;
}

/* As picture `number` of a batch. Not kept in the clear while the network runs. */
static fhola_status encrypt(session *s, size_t picture, size_t number)
{
    fhola_status status = nn_session_encrypt(&s->parties, number, s->picture[picture]);
    nn_cmd_free_picture(s->picture[picture], s->shape);
    s->picture[picture] = NULL;
    return status;
}

/* ---- results ---- */

static fhola_status print_text(const session *s, size_t picture)
{
    if (s->count > 1) {
        nn_cmd_show(stdout, s->name[picture]);
        printf("\n");
    }
    fhola_status status =
        nn_cmd_print_scores(nn_network_client(s->parties.network), s->scores, TOP, false);
    printf("\n");
    return status;
}

static void print_figures(const session *s)
{
    const nn_stage_times *t = &s->times;
    printf("inference          %8.2f s\n", s->seconds);
    if (s->count > 1) printf("  a picture        %8.2f s\n", s->seconds / (double)s->count);
    printf("  convolution      %8.2f s\n", t->convolution);
    printf("  slots to coeffs  %8.2f s\n", t->slots_to_coeffs);
    printf("  switch to sparse %8.2f s\n", t->switch_to_sparse);
    printf("  coeffs to slots  %8.2f s\n", t->coeffs_to_slots);
    printf("  sine evaluation  %8.2f s\n", t->eval_mod);
    printf("  activation       %8.2f s\n", t->activation);
    printf("key generation     %8.2f s\n", s->parties.keygen_seconds);
    printf("start-up           %8.2f s\n", s->load_seconds + s->parties.startup_seconds);
    printf("kernel             %s, %u thread%s\n", ckks_context_isa(s->parties.context),
           nn_cmd_threads(), nn_cmd_threads() == 1 ? "" : "s");
    if (isfinite(nn_cmd_peak_mib())) printf("peak memory        %8.0f MiB\n", nn_cmd_peak_mib());
}

/* Of a picture of `together`, whose times so far are `t`: the share of one. */
static fhola_status print_json(const session *s, size_t picture, size_t together)
{
    const nn_stage_times *t = &s->times;
    double n = (double)together;
    printf("{\"picture\": ");
    nn_cmd_json_string(s->name[picture]);
    printf(", ");
    fhola_status status =
        nn_cmd_print_scores(nn_network_client(s->parties.network), s->scores, TOP, true);
    printf(", \"seconds\": %.3f, \"peak_mib\": ", s->seconds / n);
    nn_cmd_json_number(round(nn_cmd_peak_mib()));
    printf(", \"keygen_seconds\": %.3f, \"startup_seconds\": %.3f, ", s->parties.keygen_seconds,
           s->load_seconds + s->parties.startup_seconds);
    printf("\"stage_seconds\": {\"convolution\": %.3f, \"slots_to_coeffs\": %.3f, "
           "\"switch_to_sparse\": %.3f, ",
           t->convolution / n, t->slots_to_coeffs / n, t->switch_to_sparse / n);
    printf("\"coeffs_to_slots\": %.3f, \"eval_mod\": %.3f, \"activation\": %.3f}, ",
           t->coeffs_to_slots / n, t->eval_mod / n, t->activation / n);
    printf("\"kernel\": \"%s\", \"threads\": %u}\n", ckks_context_isa(s->parties.context),
           nn_cmd_threads());
    return status;
}

/* ---- all pictures ---- */

/* Pictures that the network computes at once, from number `first` on. */
static fhola_status classify_some(session *s, size_t first, size_t count)
{
    nn_cmd_progress_picture(first + 1, s->count, count);
    for (size_t k = 0; k < count; k++) FHOLA_TRY(encrypt(s, first + k, k));
    FHOLA_TRY(nn_cmd_session_infer(&s->parties, count));
    nn_cmd_progress_end();
    if (s->options.json) {
        s->times = (nn_stage_times){0};
        s->seconds = 0;
    }
    nn_session_add_times(&s->times, &s->parties);
    s->seconds += s->parties.seconds;
    for (size_t k = 0; k < count; k++) {
        FHOLA_TRY(nn_session_decrypt(&s->parties, k, s->scores));
        FHOLA_TRY(s->options.json ? print_json(s, first + k, count) : print_text(s, first + k));
    }
    (void)fflush(stdout); /* an error is found at the end */
    return FHOLA_OK;
}

static fhola_status classify(session *s)
{
    FHOLA_TRY(load(s));
    FHOLA_TRY(nn_cmd_session_open(&s->parties, &s->files, s->options.memory));
    size_t most = nn_network_pictures(s->parties.network);
    for (size_t first = 0; first < s->count; first += most)
        FHOLA_TRY(classify_some(s, first, s->count - first < most ? s->count - first : most));
    if (!s->options.json) print_figures(s);
    return FHOLA_OK;
}

static void release(session *s)
{
    nn_model_info info;
    for (size_t i = 0; s->picture && i < s->count; i++)
        nn_cmd_free_picture(s->picture[i], s->shape);
    free(s->picture);
    if (s->scores) {
        nn_model_describe(s->files.model, &info);
        ckks_wipe(s->scores, info.classes * sizeof *s->scores);
    }
    free(s->scores);
    nn_session_clear(&s->parties);
    nn_cmd_network_clear(&s->files);
}

static int run_here(const classify_options *o, size_t count, char **pictures)
{
    session s = {.options = *o, .name = pictures, .count = count};
    if (!o->model) s.options.model = DEFAULT_MODEL;
    fhola_status status = classify(&s);
    nn_cmd_progress_end();
    release(&s);
    return nn_cmd_finish("classify", status);
}

static int run_there(const classify_options *o, size_t count, char **pictures)
{
#ifdef HAVE_CURL
    nn_cmd_catch_signals();
    return nn_cmd_finish_caught(
        "classify", o->remote.forget
                        ? remote_forget(&o->remote)
                        : remote_classify(&o->remote, o->record, o->json, count, pictures));
#else
    (void)o;
    (void)count;
    (void)pictures;
    return nn_cmd_finish("classify",
                         fhola_fail(FHOLA_PARAM, "this program was built without libcurl"));
#endif
}

/* What is the network's, or the machine's that runs it. */
static const char *of_network(const classify_options *o)
{
    const nn_cmd_metadata *m = &o->metadata;
    return o->model            ? "--model"
           : o->plan           ? "--plan"
           : o->params         ? "--params"
           : o->memory > 0     ? "--memory"
           : m->mean || m->std ? "--mean and --std"
           : m->classes        ? "--classes"
           : m->bn_eps > 0     ? "--bn-eps"
           : m->input          ? "--input"
                               : NULL;
}

static const char *of_server(const remote_options *r)
{
    return r->network       ? "--network"
           : r->keys        ? "--keys"
           : r->token       ? "--token"
           : r->cacert      ? "--cacert"
           : r->timeout > 0 ? "--timeout"
           : r->forget      ? "--forget"
                            : NULL;
}

/* What options and pictures there are together; false after a message. */
static bool fits(const classify_options *o, int pictures)
{
    const remote_options *r = &o->remote;
    const char *odd = r->server ? of_network(o) : of_server(r);
    if (odd && r->server)
        nn_cmd_wrong_use("classify", "%s is for a network here: with --server it is there", odd);
    else if (odd)
        nn_cmd_wrong_use("classify", "%s goes with --server URL", odd);
    else if (r->forget && r->network)
        nn_cmd_wrong_use("classify", "--forget takes no --network: keys may serve several");
    else if (r->forget && pictures)
        nn_cmd_wrong_use("classify", "--forget takes no picture");
    else if (!r->forget && !pictures)
        nn_cmd_wrong_use("classify", "at least one picture expected, 0 operands given");
    else
        return true;
    return false;
}

static int run(int argc, char **argv)
{
    classify_options o = {.record = -1};
    if (!nn_cmd_parse(&nn_cmd_classify, &o, &argc, argv) || !fits(&o, argc - 1))
        return NN_CMD_WRONG_USE;
    if (!o.remote.server) return run_here(&o, (size_t)argc - 1, argv + 1);
    if (!(o.remote.timeout > 0)) o.remote.timeout = DEFAULT_TIMEOUT;
    return run_there(&o, (size_t)argc - 1, argv + 1);
}

const nn_cmd_command nn_cmd_classify = {
    .name = "classify",
    .run = run,
    .secret = true,
    .usage = "PICTURE...",
    .purpose = "encrypt pictures, run the network on them, decrypt the scores, all in one process",
    .options = options,
    .least = 0,
    .most = NN_CMD_ANY,
    .operands = "at least one picture",
    .notes = "A picture is a PPM, PNG or JPEG file of any size; a .npy file with the values "
             "the network "
             "takes;\nor, with --record, a record of what 'fhola eval' takes ('man fhola' says "
             "more).",
    .examples = "fhola classify cat.ppm\n"
                "fhola classify cat.ppm ship.ppm\n"
                "fhola classify test_batch.bin --record 7 --json\n"
                "fhola classify --server https://fhola.example.org cat.ppm ship.ppm",
};
