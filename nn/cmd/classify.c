/* SPDX-License-Identifier: Apache-2.0 */
/* fhola classify: key generation, encryption, inference and decryption of one picture in one process. */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#ifdef _OPENMP
#include <omp.h>
#endif

#include "ckks/ckks.h"
#include "nn/cmd/stream.h"
#include "nn/nn.h"

#define TOP 3

typedef struct options {
    const char *picture, *model, *plan, *params;
    int json, quiet, threads;
} options;

/* All there is while a picture is classified. */
typedef struct session {
    options options;
    nn_model *model;
    nn_plan *plan;
    ckks_params *params;
    ckks_context *context;
    ckks_workspace *workspace;
    nn_network *network;
    ckks_rng *rng;
    ckks_secret_key *secret;
    ckks_eval_keys *keys;
    ckks_ciphertext *in, *out;
    nn_stage_times *times; /* per layer */
    double *scores;
    double startup_seconds, keygen_seconds, seconds;
    double start; /* of the inference */
    int progress; /* show it */
} session;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ------------------------------------------------------------------ progress line */

static void show(const session *s, const char *text)
{
    if (s->progress) fprintf(stderr, "\r\033[K%s", text);
}

static int show_keys(void *user, size_t done, size_t total)
{
    char line[80];
    snprintf(line, sizeof line, "generating keys: %zu of %zu", done, total);
    show(user, line);
    return 0;
}

static int show_step(void *user, size_t layer, nn_step step, size_t done, size_t total)
{
    const session *s = user;
    char line[120];
    double elapsed = now() - s->start;
    int n = snprintf(line, sizeof line, "layer %zu of %zu, %s, %.0f s elapsed", layer + 1, nn_network_layers(s->network) + 1,
                     nn_step_name(step), elapsed);
    if (done && n > 0 && (size_t)n < sizeof line)
        snprintf(line + n, sizeof line - (size_t)n, ", %.0f s remaining", elapsed * (double)(total - done) / (double)done);
    show(s, line);
    return 0;
}

/* ------------------------------------------------------------------ steps */

static fhola_status start_up(session *s)
{
    double start = now();
    show(s, "loading the network");
    fhola_status status = nn_cmd_load_model(&s->model, &s->plan, s->options.model, s->options.plan);
    if (status == FHOLA_OK) status = ckks_params_named(&s->params, s->options.params);
    if (status == FHOLA_OK) status = ckks_context_create(&s->context, s->params, NULL);
    if (status == FHOLA_OK) status = ckks_workspace_create(&s->workspace, s->context);
    if (status == FHOLA_OK) status = nn_network_create(&s->network, s->context, s->workspace, s->model, s->plan, 1);
    s->startup_seconds = now() - start;
    return status;
}

static fhola_status generate_keys(session *s)
{
    double start = now();
    fhola_status status = ckks_rng_create(&s->rng);
    if (status == FHOLA_OK) status = ckks_secret_key_create(&s->secret, s->context, s->rng);
    if (status == FHOLA_OK)
        status = ckks_eval_keys_create(&s->keys, s->context, s->secret, nn_network_keys(s->network), s->rng, show_keys, s);
    s->keygen_seconds = now() - start;
    return status;
}

static fhola_status encrypt(session *s, const double *rgb)
{
    fhola_status status = ckks_ciphertext_create(&s->in, s->context);
    if (status == FHOLA_OK) status = ckks_ciphertext_create(&s->out, s->context);
    if (status == FHOLA_OK)
        status = nn_encrypt_picture(s->context, s->workspace, s->in, nn_network_client(s->network), rgb, s->secret, s->rng);
    return status;
}

static fhola_status infer(session *s)
{
    s->times = calloc(nn_network_layers(s->network) + 1, sizeof *s->times);
    if (!s->times) return fhola_fail(FHOLA_NOMEM, "no memory for the times of %zu layers", nn_network_layers(s->network));
    nn_infer_hooks hooks = {.user = s, .progress = show_step, .times = s->times};
    s->start = now();
    fhola_status status = nn_infer(s->context, s->workspace, s->out, s->network, s->keys, s->in, &hooks);
    s->seconds = now() - s->start;
    return status;
}

static fhola_status decrypt(session *s)
{
    const nn_client *client = nn_network_client(s->network);
    s->scores = calloc(nn_client_classes(client), sizeof *s->scores);
    if (!s->scores) return fhola_fail(FHOLA_NOMEM, "no memory for the scores");
    return nn_decrypt_scores(s->context, s->workspace, s->scores, client, s->out, s->secret);
}

static fhola_status classify(session *s)
{
    static double rgb[NN_PICTURE_VALUES];
    fhola_status status = nn_cmd_read_picture(rgb, s->options.picture);
    if (status == FHOLA_OK) status = start_up(s);
    if (status == FHOLA_OK) status = generate_keys(s);
    if (status == FHOLA_OK) status = encrypt(s, rgb);
    if (status == FHOLA_OK) status = infer(s);
    if (status == FHOLA_OK) status = decrypt(s);
    show(s, "");
    return status;
}

static void release(session *s)
{
    free(s->scores);
    free(s->times);
    ckks_ciphertext_destroy(s->in);
    ckks_ciphertext_destroy(s->out);
    ckks_eval_keys_destroy(s->keys);
    ckks_secret_key_destroy(s->secret);
    ckks_rng_destroy(s->rng);
    nn_network_destroy(s->network);
    ckks_workspace_destroy(s->workspace);
    ckks_context_destroy(s->context);
    ckks_params_destroy(s->params);
    nn_plan_free(s->plan);
    nn_model_free(s->model);
}

/* ------------------------------------------------------------------ results */

/* Indices of the largest scores, best first; returns how many. */
static size_t best(size_t index[TOP], const double *scores, size_t classes)
{
    size_t n = 0;
    for (size_t i = 0; i < classes; i++) {
        size_t at = n < TOP ? n++ : TOP;
        while (at > 0 && scores[i] > scores[index[at - 1]]) {
            if (at < TOP) index[at] = index[at - 1];
            at--;
        }
        if (at < TOP) index[at] = i;
    }
    return n;
}

static double peak_mib(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (double)usage.ru_maxrss / 1024 : NAN;
}

static nn_stage_times total_times(const session *s)
{
    nn_stage_times sum = {0};
    for (size_t i = 0; i <= nn_network_layers(s->network); i++) {
        sum.activation += s->times[i].activation;
        sum.convolution += s->times[i].convolution;
        sum.slots_to_coeffs += s->times[i].slots_to_coeffs;
        sum.switch_and_raise += s->times[i].switch_and_raise;
        sum.coeffs_to_slots += s->times[i].coeffs_to_slots;
        sum.eval_mod += s->times[i].eval_mod;
    }
    return sum;
}

static void print_text(const session *s)
{
    const nn_client *client = nn_network_client(s->network);
    nn_stage_times t = total_times(s);
    size_t index[TOP], n = best(index, s->scores, nn_client_classes(client));
    for (size_t i = 0; i < n; i++) printf("%-16s %8.2f\n", nn_client_class(client, index[i]), s->scores[index[i]]);
    printf("\ninference          %8.2f s\n", s->seconds);
    printf("  convolution      %8.2f s\n", t.convolution);
    printf("  slots to coeffs  %8.2f s\n", t.slots_to_coeffs);
    printf("  switch and raise %8.2f s\n", t.switch_and_raise);
    printf("  coeffs to slots  %8.2f s\n", t.coeffs_to_slots);
    printf("  sine evaluation  %8.2f s\n", t.eval_mod);
    printf("  activation       %8.2f s\n", t.activation);
    printf("key generation     %8.2f s\n", s->keygen_seconds);
    printf("start-up           %8.2f s\n", s->startup_seconds);
    printf("peak memory        %8.0f MiB\n", peak_mib());
}

static void print_json(const session *s)
{
    const nn_client *client = nn_network_client(s->network);
    nn_stage_times t = total_times(s);
    size_t index[TOP], n = best(index, s->scores, nn_client_classes(client));
    printf("{\"class\": ");
    nn_cmd_json_string(nn_client_class(client, index[0]));
    printf(", \"top\": [");
    for (size_t i = 0; i < n; i++) {
        printf(i ? ", {\"name\": " : "{\"name\": ");
        nn_cmd_json_string(nn_client_class(client, index[i]));
        printf(", \"score\": %.2f}", s->scores[index[i]]);
    }
    printf("], \"seconds\": %.3f, \"peak_mib\": %.0f, \"keygen_seconds\": %.3f, \"startup_seconds\": %.3f, ", s->seconds,
           peak_mib(), s->keygen_seconds, s->startup_seconds);
    printf("\"stage_seconds\": {\"convolution\": %.3f, \"slots_to_coeffs\": %.3f, \"switch_and_raise\": %.3f, \"coeffs_to_slots\": "
           "%.3f, "
           "\"eval_mod\": %.3f, \"activation\": %.3f}}\n",
           t.convolution, t.slots_to_coeffs, t.switch_and_raise, t.coeffs_to_slots, t.eval_mod, t.activation);
}

/* ------------------------------------------------------------------ options */

/* The value of an option given as "--name value" or "--name=value"; NULL if argv[*i] is another option. A missing value is "". */
static const char *value_of(const char *name, int argc, char **argv, int *i)
{
    size_t length = strlen(name);
    if (strncmp(argv[*i], name, length) != 0) return NULL;
    if (argv[*i][length] == '=') return argv[*i] + length + 1;
    if (argv[*i][length] != 0) return NULL;
    return *i + 1 < argc ? argv[++*i] : "";
}

/* Returns 0, or the status to exit with. */
static int parse(options *o, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *argument = argv[i], *value;
        if (strcmp(argument, "--json") == 0) {
            o->json = 1;
        } else if (strcmp(argument, "--quiet") == 0) {
            o->quiet = 1;
        } else if ((value = value_of("--model", argc, argv, &i)) && *value) {
            o->model = value;
        } else if ((value = value_of("--plan", argc, argv, &i)) && *value) {
            o->plan = value;
        } else if ((value = value_of("--params", argc, argv, &i)) && *value) {
            o->params = value;
        } else if ((value = value_of("--threads", argc, argv, &i)) && (o->threads = atoi(value)) > 0) {
            continue;
        } else if (argument[0] == '-' || o->picture) {
            return nn_cmd_wrong_use("classify", "wrong argument '%s'", argument);
        } else {
            o->picture = argument;
        }
    }
    return o->picture ? 0 : nn_cmd_wrong_use("classify", "no picture given");
}

static void set_threads(int threads)
{
#ifdef _OPENMP
    if (threads > 0) omp_set_num_threads(threads);
#else
    (void)threads;
#endif
}

int nn_cmd_classify(int argc, char **argv)
{
    session s = {.options = {.model = "resnet20", .params = NN_CMD_PARAMS}};
    int wrong = parse(&s.options, argc, argv);
    if (wrong) return wrong;
    set_threads(s.options.threads);
    s.progress = !s.options.quiet && isatty(STDERR_FILENO);
    fhola_status status = classify(&s);
    if (status == FHOLA_OK && s.options.json)
        print_json(&s);
    else if (status == FHOLA_OK)
        print_text(&s);
    release(&s);
    return nn_cmd_finish("classify", status);
}
