/* SPDX-License-Identifier: Apache-2.0 */
/* Times of whole operations on ciphertexts, under each kernel table, through the library's public
 * names only. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/cmd/bench.h"
#include "nn/cmd/spec.h"

#define TABLES     3
#define HOISTED    8 /* rotations sharing a decomposition */
#define LEAST_RUNS 3
#define MOST_RUNS  31
#define FIGURE_US  1.5e6 /* after LEAST_RUNS, a figure takes no longer */
#define STAGES     5

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

static bool wanted(const bench *b, const char *name)
{
    const char *only = b->options->only;
    return !only || !strncmp(name, only, strlen(only));
}

/* Figure number `index` from its times, which are sorted. */
static ckks_figure figure_of(bench *b, size_t index, const char *name, double *time, size_t runs)
{
    ckks_sort_numbers(time, runs);
    double median = time[runs / 2];
    if (!strcmp(ckks_context_isa(b->context), "portable")) b->portable[index] = median;
    return (ckks_figure){.name = name,
                         .isa = ckks_context_isa(b->context),
                         .threads = b->threads,
                         .n = 2 * ckks_slots(b->context),
                         .hot = 1,
                         .median_us = median,
                         .min_us = time[0],
                         .kcycles = median * ckks_bench_clock_ghz(),
                         .ratio = b->portable[index] / median};
}

static void report(bench *b, size_t index, const char *name, double *time, size_t runs)
{
    bool json = b->options->json;
    const ckks_figure f = figure_of(b, index, name, time, runs);
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

/* Value `s` that is computed with, in [-1, 1]. */
static double operand(size_t s)
{
    return sin((double)(s * s % 1009));
}

/* The keys of b->list, and a ciphertext of values in [-1, 1], repeated in blocks of `period`: real
 * in the first half of a block, imaginary in the second, which is what bootstrapping takes, unless
 * it is to return the values themselves. */
static fhola_status make_operands(bench *b, ckks_basis basis, size_t period, double scale)
{
    ckks_complex *value = calloc(period, sizeof *value);
    if (!value) return FHOLA_NOMEM;
    for (size_t s = 0; s < period; s++)
        *(s < period / 2 || b->options->identity > 0 ? &value[s].re : &value[s].im) = operand(s);
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
    const double seconds[STAGES] = {0, t->slots_to_coeffs, t->switch_to_sparse, t->coeffs_to_slots,
                                    t->eval_mod};
    for (size_t i = 1; i < STAGES; i++) out[i] = seconds[i] * 1e6;
}

/* Bits by which the RMS error of the last result is below the range of its values: the operands, or
 * sines of their real parts and, for complex values, of imaginary ones. */
static fhola_status measure_precision(double *bits, bench *b, size_t values)
{
    double turn = 2 * acos(-1) * ckks_params_get_spec(b->params)->eps, sum = 0;
    bool complex_values = b->options->complex_values, identity = b->options->identity > 0;
    ckks_complex *value = calloc(values, sizeof *value);
    if (!value) return fhola_fail(FHOLA_NOMEM, "no memory for %zu values", values);
    fhola_status status = ckks_decrypt(b->context, b->ws, value, values, b->out[0], b->secret);
    for (size_t s = 0; s < values; s++) {
        double wanted = identity ? operand(s) : sin(turn * operand(s)) / sin(turn);
        bool second = complex_values && !identity && s >= values / 2;
        double re = value[s].re - (second ? 0 : wanted), im = value[s].im - (second ? wanted : 0);
        sum += re * re + (complex_values ? im * im : 0);
    }
    ckks_wipe(value, values * sizeof *value);
    free(value);
    *bits = -log2(sqrt(sum / (double)(complex_values ? 2 * values : values)));
    return status;
}

/* What one set of bootstraps has shown. */
typedef struct bootstrap_result {
    ckks_figure figure[STAGES]; /* the whole first */
    unsigned log_values;
    double bits;
} bootstrap_result;

/* Levels that a bootstrap leaves: its arcsine takes some. */
static unsigned levels_left(const bench *b)
{
    return ckks_params_get_spec(b->params)->residual_levels - (unsigned)b->options->identity;
}

static void print_result_json(const bench *b, const bootstrap_result *r)
{
    bool json = true;
    double values = exp2(r->log_values);
    for (size_t i = 0; i < STAGES; i++) nn_cmd_bench_print(&json, &r->figure[i]);
    printf("{\"name\": \"bootstrap_result\", \"isa\": \"%s\", \"threads\": %u, \"params\": ",
           r->figure[0].isa, b->threads);
    nn_cmd_json_string(b->options->params);
    printf(", \"values\": %.0f, \"complex\": %s, \"arcsine_levels\": %.0f, \"us_per_value\": %.4f, "
           "\"precision_bits\": %.2f, "
           "\"levels\": %u, \"keys\": %zu, \"key_bytes\": %.0f}\n",
           values, b->options->complex_values ? "true" : "false", b->options->identity,
           r->figure[0].median_us / values, r->bits, levels_left(b), b->list.count,
           (double)ckks_eval_keys_file_bytes(b->context, &b->list));
}

static void print_result_text(const bench *b, const bootstrap_result *r)
{
    const ckks_figure *all = &r->figure[0];
    printf("bootstrap of 2^%u %s values, ", r->log_values,
           b->options->complex_values ? "complex" : "real");
    nn_cmd_show(stdout, b->options->params);
    if (b->options->identity > 0)
        printf(", to themselves by an arcsine of %.0f levels", b->options->identity);
    printf(", %s, %u thread%s\n", all->isa, b->threads, b->threads == 1 ? "" : "s");
    for (size_t i = 0; i < STAGES; i++)
        printf("  %-18s %9.2f ms, at least %.2f\n", i ? r->figure[i].name : "all of it",
               r->figure[i].median_us / 1e3, r->figure[i].min_us / 1e3);
    printf("  %-18s %9.2f us\n", "a value", all->median_us / exp2(r->log_values));
    printf("  %-18s %9.2f bits (RMS error over the range)\n", "precision", r->bits);
    printf("  %-18s %9u\n", "levels afterwards", levels_left(b));
    printf("  %-18s %9zu, ", "keys", b->list.count);
    nn_cmd_print_size(stdout, (double)ckks_eval_keys_file_bytes(b->context, &b->list));
    if (isfinite(all->ratio) && all->ratio > 0)
        printf("\n  %-18s %9.2f times as fast", "portable kernel", all->ratio);
    printf("\n");
}

static fhola_status create_bootstrap(bench *b, unsigned log_values)
{
    const nn_cmd_bench_options *o = b->options;
    if (o->identity > 0)
        return ckks_bootstrap_create_identity(&b->bootstrap, b->context, b->ws, log_values,
                                              o->complex_values, (unsigned)o->identity, 1);
    return (o->complex_values ? ckks_bootstrap_create_complex : ckks_bootstrap_create)(
        &b->bootstrap, b->context, b->ws, log_values, ckks_params_scale(b->params), 1);
}

static fhola_status set_up_bootstrap(bench *b, unsigned log_values)
{
    bool identity = b->options->identity > 0;
    FHOLA_TRY(create_bootstrap(b, log_values));
    FHOLA_TRY(ckks_bootstrap_keys(b->bootstrap, b->context, &b->list));
    return make_operands(b, ckks_basis_level(b->params, identity ? 1 : 0), (size_t)1 << log_values,
                         identity ? ckks_params_scale(b->params)
                                  : ckks_bootstrap_scale_in(b->bootstrap));
}

/* One bootstrap; its time and those of its stages. */
static fhola_status bootstrap_once(double time[STAGES], bench *b)
{
    double before[STAGES], after[STAGES];
    stage_times(before, b);
    double start = nn_cmd_now();
    FHOLA_TRY(ckks_bootstrap_apply(b->context, b->ws, b->keys, b->bootstrap, b->out[0], b->in,
                                   levels_left(b)));
    time[0] = 1e6 * (nn_cmd_now() - start);
    stage_times(after, b);
    for (size_t i = 1; i < STAGES; i++) time[i] = after[i] - before[i];
    return FHOLA_OK;
}

static fhola_status time_bootstrap(bench *b)
{
    static const char *const name[STAGES] = {"bootstrap", "slots_to_coeffs", "switch_to_sparse",
                                             "coeffs_to_slots", "eval_mod"};
    double time[STAGES][MOST_RUNS], once[STAGES], spent = 0;
    size_t runs = 0;
    bootstrap_result r = {.log_values = b->options->log_values > 0
                                            ? (unsigned)b->options->log_values
                                            : ckks_params_get_spec(b->params)->log_n - 1};
    FHOLA_TRY(set_up_bootstrap(b, r.log_values));
    FHOLA_TRY(bootstrap_once(once, b)); /* to warm up */
    while (runs < MOST_RUNS && (runs < LEAST_RUNS || spent < 2 * FIGURE_US)) {
        FHOLA_TRY(bootstrap_once(once, b));
        spent += once[0];
        for (size_t i = 0; i < STAGES; i++) time[i][runs] = once[i];
        runs++;
    }
    for (size_t i = 0; i < STAGES; i++) r.figure[i] = figure_of(b, i, name[i], time[i], runs);
    FHOLA_TRY(measure_precision(&r.bits, b, (size_t)1 << r.log_values));
    if (b->show) (b->options->json ? print_result_json : print_result_text)(b, &r);
    (void)fflush(stdout);
    return FHOLA_OK;
}

fhola_status nn_cmd_bench_bootstraps(const nn_cmd_bench_options *o)
{
    /* with --isa, a portable bootstrap would take most of the time for a ratio */
    double portable[STAGES] = {0};
    return each_table(o, portable, !o->isa, time_bootstrap);
}
