/* SPDX-License-Identifier: Apache-2.0 */
/* The encrypted network against the plaintext polynomial network, layer by layer, at full size:
 * R15, a real model and plan, real pictures.
 *
 * The pictures: the bundled ones, one per class, and records 0 to 19 of test_batch.bin in the
 * folder FHOLA_DATA (without it, none). Environment (all optional): FHOLA_TEST_MODEL,
 * FHOLA_TEST_PLAN: other files than the bundled resnet20; FHOLA_TEST_BUNDLED, FHOLA_TEST_FIRST,
 * FHOLA_TEST_RECORDS: number of bundled pictures, first record, number of records;
 * FHOLA_TEST_LAYERS=0: no comparison of layers; FHOLA_TEST_PARAMS: another named parameter set. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ckks/ckks.h"
#include "nn/encrypted/network.h"
#include "nn/nn.h"
#include "nn/plain/trace.h"

#define LAYER_BOUND   0x1p-9 /* RMS error of a layer in units of its range */
#define SCORE_BOUND   0.02   /* RMS error of the scores in units of their deviation */
#define FLOOD_ERROR   0.02   /* RMS error of a result */
#define MARGIN_NOISES 6.0 /* the top class must agree when its lead is this many times the noise */

static const char *const bundled[] = {"airplane", "automobile", "bird",  "cat",  "deer",
                                      "dog",      "frog",       "horse", "ship", "truck"};
#define BUNDLED (sizeof bundled / sizeof bundled[0])

typedef struct error_sum {
    double square, worst, max;
    size_t count;
} error_sum;

typedef struct bench {
    nn_model *model;
    nn_plan *plan;
    ckks_params *params;
    ckks_context *context;
    ckks_workspace *workspace;
    ckks_rng *rng;
    ckks_secret_key *secret;
    ckks_eval_keys *keys;
    nn_network *network;
    ckks_complex *values;
    double *tensor;
    const nn_trace *trace;
    error_sum *variable, *output; /* per layer: X, and y over its gain */
} bench;

static void check(fhola_status status, const char *what)
{
    if (status == FHOLA_OK) return;
    fprintf(stderr, "%s: %s: %s\n", what, fhola_strerror(status), fhola_detail());
    exit(1);
}

static const char *setting(const char *name, const char *otherwise)
{
    const char *value = getenv(name);
    return value && *value ? value : otherwise;
}

static double now(void)
{
    struct timespec t;
    timespec_get(&t, TIME_UTC);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void bundled_path(char *path, size_t room, const char *folder, const char *name,
                         const char *suffix)
{
    snprintf(path, room, "%s/nn/%s/%s.%s", setting("top_srcdir", "."), folder, name, suffix);
}

/* ---- comparison ---- */

static void add_error(error_sum *e, double encrypted, double plain)
{
    double d = encrypted - plain;
    e->square += d * d;
    e->worst = fmax(e->worst, fabs(d));
    e->max = fmax(e->max, fabs(plain));
    e->count++;
}

static double rms(const error_sum *e)
{
    return e->count ? sqrt(e->square / (double)e->count) : 0;
}

static double sine_variable(double w, double eps)
{
    const double pi = acos(-1.0);
    return eps > 0 ? sin(2 * pi * eps * w) / sin(2 * pi * eps) : w;
}

static fhola_status observe(void *user, size_t layer, nn_step step, unsigned part,
                            const ckks_ciphertext *value)
{
    bench *b = user;
    if (step == NN_STEP_SCORES) return FHOLA_OK;
    const nn_recipe *r = &b->network->schedule.layer[layer];
    const nn_trace_layer *t = &b->trace->layers[layer];
    fhola_status status =
        ckks_decrypt(b->context, b->workspace, b->values, r->layout.slots, value, b->secret);
    if (status != FHOLA_OK) return status;
    nn_layout_gather(r->layout, part, b->tensor, b->values);
    if (part + 1 < r->layout.parts) return FHOLA_OK;
    size_t pixels = (size_t)r->layout.shape.height * r->layout.shape.width;
    for (size_t i = 0; i < r->layout.shape.channels * pixels; i++) {
        if (step == NN_STEP_BOOTSTRAP)
            add_error(&b->variable[layer], b->tensor[i], sine_variable(t->w[i], b->plan->eps));
        else
            add_error(&b->output[layer], b->tensor[i], t->y[i] / r->gain[i / pixels]);
    }
    return FHOLA_OK;
}

static double deviation(const double *v, size_t n)
{
    double mean = 0, square = 0;
    for (size_t i = 0; i < n; i++) mean += v[i] / (double)n;
    for (size_t i = 0; i < n; i++) square += (v[i] - mean) * (v[i] - mean) / (double)n;
    return sqrt(square);
}

/* Largest and second largest. */
static size_t top(const double *v, size_t n, double *lead)
{
    size_t best = 0;
    double second = -INFINITY;
    for (size_t i = 1; i < n; i++)
        if (v[i] > v[best]) best = i;
    for (size_t i = 0; i < n; i++)
        if (i != best) second = fmax(second, v[i]);
    *lead = v[best] - second;
    return best;
}

/* ---- set-up ---- */

static void load(bench *b)
{
    char path[4096];
    bundled_path(path, sizeof path, "models", "resnet20", "safetensors");
    check(nn_model_load(&b->model, setting("FHOLA_TEST_MODEL", path), NULL), "model");
    bundled_path(path, sizeof path, "models", "resnet20", "plan");
    check(nn_plan_load(&b->plan, setting("FHOLA_TEST_PLAN", path), b->model), "plan");
}

static void prepare(bench *b)
{
    double start = now();
    check(ckks_params_named(&b->params, setting("FHOLA_TEST_PARAMS", "R15")), "parameters");
    check(ckks_context_create(&b->context, b->params, NULL), "context");
    check(ckks_workspace_create(&b->workspace, b->context), "workspace");
    check(ckks_rng_create(&b->rng), "randomness");
    check(ckks_secret_key_create(&b->secret, b->context, b->rng), "secret key");
    double compile = now();
    check(nn_network_create(&b->network, b->context, b->workspace, b->model, b->plan, 1),
          "network");
    double keygen = now();
    check(ckks_eval_keys_create(&b->keys, b->context, b->secret, nn_network_keys(b->network),
                                b->rng, NULL, NULL),
          "keys");
    double end = now();
    printf("context %.1f s, compile %.1f s (%.0f MiB), %zu keys %.1f s (%.0f MiB)\n",
           compile - start, keygen - compile, (double)nn_network_bytes(b->network) / 0x1p20,
           nn_network_keys(b->network)->count, end - keygen,
           (double)ckks_eval_keys_bytes(b->keys) / 0x1p20);
    b->values = malloc(ckks_slots(b->context) * sizeof *b->values);
    b->tensor = malloc(ckks_slots(b->context) * sizeof *b->tensor);
    b->variable = calloc(nn_network_layers(b->network), sizeof *b->variable);
    b->output = calloc(nn_network_layers(b->network), sizeof *b->output);
    if (!b->values || !b->tensor || !b->variable || !b->output) check(FHOLA_NOMEM, "comparison");
}

static void print_linear_layers(const bench *b)
{
    printf("%-5s %-24s %9s %7s %7s %7s %7s %9s\n", "layer", "name", "diagonals", "period", "babies",
           "giants", "folds", "MiB");
    for (size_t i = 0; i <= nn_network_layers(b->network); i++)
        for (size_t e = 0; e < nn_network_edges(b->network, i); e++) {
            nn_linear_cost c = nn_network_linear_cost(b->network, i, e);
            printf("%5zu %-24s %9zu %7zu %7u %7u %7u %9.1f\n", i,
                   nn_network_layer_name(b->network, i), c.diagonals, c.period, c.babies, c.giants,
                   c.folds, (double)c.bytes / 0x1p20);
        }
}

static void release(bench *b)
{
    ckks_eval_keys_destroy(b->keys);
    nn_network_destroy(b->network);
    ckks_secret_key_destroy(b->secret);
    ckks_rng_destroy(b->rng);
    ckks_workspace_destroy(b->workspace);
    ckks_context_destroy(b->context);
    ckks_params_destroy(b->params);
    nn_plan_free(b->plan);
    nn_model_free(b->model);
    free(b->values);
    free(b->tensor);
    free(b->variable);
    free(b->output);
}

/* ---- one picture ---- */

static void print_times(const nn_stage_times *t, size_t count)
{
    nn_stage_times s = {0};
    for (size_t i = 0; i < count; i++) {
        s.activation += t[i].activation;
        s.convolution += t[i].convolution;
        s.slots_to_coeffs += t[i].slots_to_coeffs;
        s.switch_to_sparse += t[i].switch_to_sparse;
        s.coeffs_to_slots += t[i].coeffs_to_slots;
        s.eval_mod += t[i].eval_mod;
    }
    printf("  convolution %.2f, slots_to_coeffs %.2f, switch to sparse %.2f, coeffs_to_slots %.2f, "
           "eval_mod %.2f, activation %.2f s\n",
           s.convolution, s.slots_to_coeffs, s.switch_to_sparse, s.coeffs_to_slots, s.eval_mod,
           s.activation);
}

/* Root mean square over the block of slots that holds the scores, mean of all copies, of |decrypted
 * - exact|: what noise flooding must drown, whose default (fhola decrypt --flood-error) is
 * FLOOD_ERROR. */
static double block_error(const bench *b, const ckks_ciphertext *out, const double *scores,
                          size_t classes)
{
    size_t slots = ckks_slots(b->context), rows = b->network->client.rows;
    ckks_complex *value = malloc(slots * sizeof *value);
    double sum = 0;
    if (!value) check(FHOLA_NOMEM, "slots of the result");
    check(ckks_decrypt(b->context, b->workspace, value, slots, out, b->secret), "decryption");
    for (size_t k = 0; k < rows; k++) {
        double re = 0, im = 0;
        for (size_t s = k; s < slots; s += rows) {
            re += value[s].re * (double)rows / (double)slots;
            im += value[s].im * (double)rows / (double)slots;
        }
        if (k < classes) re -= scores[k];
        sum += (re * re + im * im) / (double)rows;
    }
    free(value);
    return sqrt(sum);
}

/* Adds the picture's score errors to *scores; returns whether everything held for it. */
static int run_picture(bench *b, const char *name, const double *rgb, error_sum *scores)
{
    nn_model_info info;
    nn_trace *trace = NULL;
    ckks_ciphertext *in = NULL, *out = NULL;
    double *input = malloc(NN_PICTURE_VALUES * sizeof *input), encrypted[NN_MAX_CLASSES], lead,
           plain_lead;
    size_t layers = nn_network_layers(b->network);
    nn_stage_times *times = calloc(layers + 1, sizeof *times);
    if (!input || !times) check(FHOLA_NOMEM, name);
    nn_model_describe(b->model, &info);
    nn_picture_normalise(input, rgb, info.mean, info.std);
    check(nn_trace_create(&trace, b->model, b->plan, input), "plaintext network");
    b->trace = trace;

    const nn_client *client = nn_network_client(b->network);
    nn_infer_hooks hooks = {.user = b,
                            .observe = atoi(setting("FHOLA_TEST_LAYERS", "1")) ? observe : NULL,
                            .times = times};
    check(ckks_ciphertext_create(&in, b->context), "input");
    check(ckks_ciphertext_create(&out, b->context), "output");
    check(nn_encrypt_picture(b->context, b->workspace, &in, client, rgb, b->secret, b->rng),
          "encryption");
    double start = now();
    check(nn_infer(b->context, b->workspace, out, b->network, b->keys, &in, &hooks), "inference");
    double seconds = now() - start;
    check(nn_decrypt_scores(b->context, b->workspace, encrypted, client, out, b->secret),
          "decryption");

    error_sum e = {0};
    double spread = deviation(trace->scores, trace->classes);
    for (size_t i = 0; i < trace->classes; i++) {
        add_error(&e, encrypted[i], trace->scores[i]);
        add_error(scores, encrypted[i] / spread, trace->scores[i] / spread);
    }
    size_t class = top(encrypted, trace->classes, &lead),
           plain_class = top(trace->scores, trace->classes, &plain_lead);
    int same = class == plain_class || plain_lead < MARGIN_NOISES * rms(&e);
    double block = block_error(b, out, trace->scores, trace->classes);
    printf("%-16s %-12s score %7.3f (plain %7.3f, lead %6.3f), error %.4f of the deviation, block "
           "%.5f, %.1f s%s\n",
           name, nn_client_class(client, class), encrypted[class], trace->scores[class], plain_lead,
           rms(&e) / spread, block, seconds,
           class == plain_class ? ""
           : same               ? "  other class, within the noise"
                                : "  OTHER CLASS");
    print_times(times, layers + 1);
    ckks_ciphertext_destroy(in);
    ckks_ciphertext_destroy(out);
    nn_trace_free(trace);
    free(input);
    free(times);
    if (block > FLOOD_ERROR) printf("  the block of scores is off by more than %g\n", FLOOD_ERROR);
    return same && block <= FLOOD_ERROR;
}

static size_t number(const char *name, const char *otherwise)
{
    return strtoul(setting(name, otherwise), NULL, 10);
}

static int run_bundled(bench *b, double *rgb, error_sum *scores)
{
    char path[4096];
    int good = 1;
    size_t count = number("FHOLA_TEST_BUNDLED", "10");
    for (size_t i = 0; i < count && i < BUNDLED; i++) {
        bundled_path(path, sizeof path, "data", bundled[i], "ppm");
        check(nn_picture_read(rgb, (nn_shape){3, 32, 32}, path), "picture");
        good &= run_picture(b, bundled[i], rgb, scores);
    }
    return good;
}

static int run_records(bench *b, double *rgb, error_sum *scores)
{
    nn_batch *batch = NULL;
    char name[4096];
    int good = 1;
    size_t first = number("FHOLA_TEST_FIRST", "0"), count = number("FHOLA_TEST_RECORDS", "20");
    const char *folder = getenv("FHOLA_DATA");
    if (!folder || !count) return 1;
    snprintf(name, sizeof name, "%s/test_batch.bin", folder);
    check(nn_batch_load(&batch, name, first, count), "pictures");
    for (size_t i = 0; i < nn_batch_count(batch); i++) {
        nn_batch_picture(batch, i, rgb);
        snprintf(name, sizeof name, "record %zu", first + i);
        good &= run_picture(b, name, rgb, scores);
    }
    nn_batch_free(batch);
    return good;
}

static int run_pictures(bench *b, error_sum *scores)
{
    double *rgb = malloc(NN_PICTURE_VALUES * sizeof *rgb);
    if (!rgb) check(FHOLA_NOMEM, "pictures");
    int good = run_bundled(b, rgb, scores);
    good &= run_records(b, rgb, scores);
    free(rgb);
    return good;
}

/* The table of layers; returns whether all are within the bound. */
static int print_layers(const bench *b)
{
    int good = 1;
    printf("%-6s %6s %5s | %10s %10s %8s | %10s %10s\n", "layer", "degree", "log n", "rms X",
           "worst X", "max |X|", "rms y", "worst y");
    for (size_t i = 0; i < nn_network_layers(b->network); i++) {
        const error_sum *x = &b->variable[i], *y = &b->output[i];
        if (!x->count) continue;
        int within = rms(x) <= LAYER_BOUND && rms(y) <= LAYER_BOUND;
        printf("%-6zu %6u %5.0f | 2^%-8.2f 2^%-8.2f %8.3f | 2^%-8.2f 2^%-8.2f%s\n", i,
               nn_plan_degree(b->plan, i), log2(b->network->schedule.layer[i].layout.slots),
               log2(rms(x)), log2(x->worst), x->max, log2(rms(y)), log2(y->worst),
               within ? "" : "  ABOVE THE BOUND");
        good &= within;
    }
    return good;
}

int main(void)
{
    bench b = {0};
    error_sum scores = {0};
    setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
    load(&b);
    prepare(&b);
    print_linear_layers(&b);
    int good = run_pictures(&b, &scores);
    good &= print_layers(&b);
    good &= rms(&scores) <= SCORE_BOUND;
    printf("score error %.4f of the deviation, RMS over all pictures (bound %.2f)\n", rms(&scores),
           SCORE_BOUND);
    printf(good ? "PASS\n" : "FAIL\n");
    release(&b);
    return !good;
}
