/* SPDX-License-Identifier: Apache-2.0 */
/* Times of whole operations on ciphertexts, under each kernel table, through the library's public
 * names only. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn/cmd/bench.h"
#include "nn/cmd/spec.h"

#define TABLES     3
#define HOISTED    8 /* rotations sharing a decomposition */
#define LEAST_RUNS 3
#define MOST_RUNS  31
#define FIGURE_US  1.5e6 /* after LEAST_RUNS, a figure takes no longer */
#define STAGES     6

/* One set of keys and ciphertexts under one kernel table. */
typedef struct bench {
    const nn_cmd_bench_options *options;
    ckks_params *params;
    ckks_context *context;
    ckks_workspace *ws;
    ckks_rng *rng;
    ckks_secret_key *secret;
    ckks_key_list list;
    ckks_eval_keys *keys;
    ckks_bootstrap *bootstrap;
    ckks_plaintext *plain;
    ckks_ciphertext *in, *out[HOISTED];
    unsigned threads;
    double *portable; /* medians of the portable table, one a figure */
    bool show;
} bench;

typedef fhola_status operation(bench *b);

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static bool wanted(const bench *b, const char *name)
{
    const char *only = b->options->only;
    return !only || !strncmp(name, only, strlen(only));
}

/* Figure number `index` from its times, which are sorted. */
static void report(bench *b, size_t index, const char *name, double *time, size_t runs)
{
    bool json = b->options->json;
    qsort(time, runs, sizeof *time, compare);
    double median = time[runs / 2];
    if (!strcmp(ckks_context_isa(b->context), "portable")) b->portable[index] = median;
    const ckks_figure f = {.name = name,
                           .isa = ckks_context_isa(b->context),
                           .threads = b->threads,
                           .n = 2 * ckks_slots(b->context),
                           .hot = 1,
                           .median_us = median,
                           .min_us = time[0],
                           .kcycles = median * ckks_bench_clock_ghz(),
                           .ratio = b->portable[index] / median};
    if (b->show && wanted(b, name)) nn_cmd_bench_print(&json, &f);
}

static fhola_status measure(bench *b, size_t index, const char *name, operation *run, double share)
{
    double time[MOST_RUNS], spent = 0;
    size_t runs = 0;
    if (!wanted(b, name)) return FHOLA_OK;
    fhola_status status = run(b);
    for (; !status && runs < MOST_RUNS && (runs < LEAST_RUNS || spent < FIGURE_US); runs++) {
        double start = nn_cmd_now();
        status = run(b);
        time[runs] = 1e6 * (nn_cmd_now() - start) / share;
        spent += time[runs] * share;
    }
    if (!status) report(b, index, name, time, runs);
    return status;
}

/* ---- Set-up ---- */

static void clear(bench *b)
{
    for (size_t i = 0; i < HOISTED; i++) ckks_ciphertext_destroy(b->out[i]);
    ckks_ciphertext_destroy(b->in);
    ckks_plaintext_destroy(b->plain);
    ckks_bootstrap_destroy(b->bootstrap);
    ckks_eval_keys_destroy(b->keys);
    ckks_key_list_clear(&b->list);
    ckks_secret_key_destroy(b->secret);
    ckks_rng_destroy(b->rng);
    ckks_workspace_destroy(b->ws);
    ckks_context_destroy(b->context);
}

static fhola_status open_context(bench *b, const char *isa)
{
    fhola_status status = ckks_context_create(&b->context, b->params, isa);
    if (!status) status = ckks_workspace_create(&b->ws, b->context);
    if (!status) status = ckks_rng_create(&b->rng);
    if (!status) status = ckks_secret_key_create(&b->secret, b->context, b->rng);
    return status;
}

/* The keys of b->list, and a ciphertext of values in [-1, 1], repeated in blocks of `period`: real
 * in the first half of a block, imaginary in the second, which is what bootstrapping takes. */
static fhola_status make_operands(bench *b, ckks_basis basis, size_t period, double scale)
{
    ckks_complex *value = calloc(period, sizeof *value);
    if (!value) return FHOLA_NOMEM;
    for (size_t s = 0; s < period; s++)
        *(s < period / 2 ? &value[s].re : &value[s].im) = sin((double)(s * s % 1009));
    fhola_status status =
        ckks_eval_keys_create(&b->keys, b->context, b->secret, &b->list, b->rng, NULL, NULL);
    if (!status) status = ckks_plaintext_create(&b->plain, b->context);
    if (!status) status = ckks_ciphertext_create(&b->in, b->context);
    for (size_t i = 0; i < HOISTED && !status; i++)
        status = ckks_ciphertext_create(&b->out[i], b->context);
    if (!status) status = ckks_encode(b->context, b->ws, b->plain, value, period, scale, basis);
    if (!status) status = ckks_encrypt(b->context, b->ws, b->in, b->plain, b->secret, b->rng);
    free(value);
    return status;
}

/* Runs `figures` under the tables asked for, before that under the portable one if the others are
 * to be compared with it. */
static fhola_status each_table(const nn_cmd_bench_options *o, double *portable, bool compared,
                               fhola_status (*figures)(bench *))
{
    ckks_params *params = NULL;
    size_t tables = 0;
    bool known = !o->isa;
    for (; ckks_isa_name(tables); tables++)
        known |= o->isa && !strcmp(o->isa, ckks_isa_name(tables));
    if (!known) return fhola_fail(FHOLA_PARAM, "this machine has no kernel table \"%s\"", o->isa);
    fhola_status status = nn_cmd_params_find(&params, o->params);
    nn_cmd_set_threads(o->threads);
    for (size_t i = tables; i-- > 0 && !status;) {
        const char *isa = ckks_isa_name(i);
        bench b = {.options = o,
                   .params = params,
                   .threads = nn_cmd_threads(),
                   .portable = portable,
                   .show = !o->isa || !strcmp(o->isa, isa)};
        if (!b.show && !(compared && i + 1 == tables)) continue;
        status = open_context(&b, isa);
        if (!status) status = figures(&b);
        clear(&b);
    }
    ckks_params_destroy(params);
    return status;
}

/* ---- Operations on full chains ---- */

static fhola_status rotate(bench *b)
{
    return ckks_rotate(b->context, b->ws, b->keys, b->out[0], b->in, 1);
}

static fhola_status rotate_hoisted(bench *b)
{
    static const int32_t rotation[HOISTED] = {1, 2, 3, 4, 5, 6, 7, 8};
    return ckks_rotate_hoisted(b->context, b->ws, b->keys, b->out, b->in, rotation, HOISTED);
}

static fhola_status relinearize(bench *b)
{
    return ckks_mul(b->context, b->ws, b->keys, b->out[0], b->in, b->in, 0);
}

static fhola_status relinearize_rescale(bench *b)
{
    return ckks_mul(b->context, b->ws, b->keys, b->out[0], b->in, b->in, 1);
}

static fhola_status rescale(bench *b)
{
    ckks_basis basis = ckks_ciphertext_basis(b->in);
    return ckks_rescale(b->context, b->ws, b->out[0], b->in, basis & ~ckks_basis_top(basis));
}

static const struct {
    const char *name;
    operation *run;
    double share;
} operations[] = {
    {"rotate", rotate, 1},
    {"rotate_hoisted", rotate_hoisted, HOISTED},
    {"multiply_relinearize", relinearize, 1},
    {"multiply_relinearize_rescale", relinearize_rescale, 1},
    {"rescale", rescale, 1},
};
enum { OPERATIONS = sizeof operations / sizeof *operations };

static fhola_status time_operations(bench *b)
{
    ckks_basis q = ckks_basis_chain(b->params), p = ckks_basis_special(b->params);
    fhola_status status =
        ckks_key_list_add(&b->list, b->context, (ckks_key_request){CKKS_KEY_RELINEARIZE, 0, q, p});
    for (uint32_t k = 1; k <= HOISTED && !status; k++)
        status =
            ckks_key_list_add(&b->list, b->context, (ckks_key_request){CKKS_KEY_ROTATE, k, q, p});
    if (!status)
        status = make_operands(b, q, ckks_slots(b->context),
                               exp2(ckks_params_get_spec(b->params)->scale_bits));
    for (size_t i = 0; i < OPERATIONS && !status; i++)
        status = measure(b, i, operations[i].name, operations[i].run, operations[i].share);
    return status;
}

fhola_status nn_cmd_bench_operations(const nn_cmd_bench_options *o)
{
    double portable[OPERATIONS];
    for (size_t i = 0; i < OPERATIONS; i++)
        if (!o->only || !strncmp(operations[i].name, o->only, strlen(o->only)))
            return each_table(o, portable, true, time_operations);
    return FHOLA_OK;
}

/* ---- Bootstrapping ---- */

static void stage_times(double out[STAGES], const bench *b)
{
    const ckks_bootstrap_times *t = ckks_workspace_times(b->ws);
    const double seconds[STAGES] = {0,        t->slots_to_coeffs, t->switch_and_raise,
                                    t->trace, t->coeffs_to_slots, t->eval_mod};
    for (size_t i = 1; i < STAGES; i++) out[i] = seconds[i] * 1e6;
}

static fhola_status time_bootstrap(bench *b)
{
    static const char *const name[STAGES] = {"bootstrap", "slots_to_coeffs", "switch_and_raise",
                                             "trace",     "coeffs_to_slots", "eval_mod"};
    const ckks_params_spec *spec = ckks_params_get_spec(b->params);
    double time[STAGES][MOST_RUNS], before[STAGES], after[STAGES], spent = 0;
    size_t runs = 0;
    unsigned log_values =
        b->options->log_values > 0 ? (unsigned)b->options->log_values : spec->log_n - 1;
    fhola_status status =
        (b->options->complex_values ? ckks_bootstrap_create_complex : ckks_bootstrap_create)(
            &b->bootstrap, b->context, b->ws, log_values, exp2(spec->scale_bits), 1);
    if (!status) status = ckks_bootstrap_keys(b->bootstrap, b->context, &b->list);
    if (!status)
        status = make_operands(b, ckks_basis_base(b->params) | ckks_basis_stc(b->params),
                               (size_t)1 << log_values, ckks_bootstrap_scale_in(b->bootstrap));
    for (size_t warm = 1;
         !status && runs < MOST_RUNS && (runs < LEAST_RUNS || spent < 2 * FIGURE_US); warm = 0) {
        stage_times(before, b);
        double start = nn_cmd_now();
        status = ckks_bootstrap_apply(b->context, b->ws, b->keys, b->bootstrap, b->out[0], b->in,
                                      spec->residual_levels);
        double taken = 1e6 * (nn_cmd_now() - start);
        stage_times(after, b);
        if (warm) continue;
        time[0][runs] = taken;
        spent += taken;
        for (size_t i = 1; i < STAGES; i++) time[i][runs] = after[i] - before[i];
        runs++;
    }
    for (size_t i = 0; i < STAGES && !status; i++) report(b, i, name[i], time[i], runs);
    return status;
}

fhola_status nn_cmd_bench_bootstraps(const nn_cmd_bench_options *o)
{
    /* with --isa, a portable bootstrap would take most of the time for a ratio */
    double portable[STAGES] = {0};
    return each_table(o, portable, !o->isa, time_bootstrap);
}
