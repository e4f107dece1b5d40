/* SPDX-License-Identifier: Apache-2.0 */
/* Time of a piece of work from times of single kernel functions: each kind of work costs so much
 * per output and so much per term, both taken from two measured figures with different numbers of
 * terms. ARCHITECTURE.md ("Cost model") says which and why. */
#include <math.h>
#include <string.h>

#include "ckks/kernel/kernel.h"
#include "ckks/measure/measure.h"

#define NARROW_BITS 28u
#define WIDE_BITS   48u

/* Where a kind of work takes its times from: `few` with fewer terms than `many`; without `many` all
 * of it goes to the terms of `few` or, if these are 0, to the output. Cold figures only. */
typedef struct source {
    const char *name;
    const char *few, *many;
    double few_terms, many_terms;
} source;

static const source sources[CKKS_WORK_KINDS] = {
    [CKKS_WORK_NTT_FORWARD] = {"ntt_forward", "ntt_forward", "ntt_forward_3", 1, 3},
    [CKKS_WORK_NTT_INVERSE] = {"ntt_inverse", "ntt_inverse", NULL, 1, 0},
    [CKKS_WORK_INNER_PRODUCT] = {"inner_product", "rotations_1", "rotations", 1, 3},
    [CKKS_WORK_PLAIN_PRODUCT] = {"plain_product", "plain_product_4", "plain_product", 4, 16},
    [CKKS_WORK_COMBINE] = {"base_conversion", "base_conversion_3_2", "base_conversion_10_2", 3, 10},
    [CKKS_WORK_OVERFLOW] = {"overflow", "overflow", NULL, 10, 0},
    [CKKS_WORK_TENSOR] = {"tensor", "tensor", NULL, 0, 0},
    [CKKS_WORK_PERMUTE] = {"automorphism", "automorphism", NULL, 0, 0},
    [CKKS_WORK_ELEMENTWISE] = {"elementwise", "mod_down", NULL, 2, 0},
};

const char *ckks_work_name(ckks_work_kind kind)
{
    return kind < CKKS_WORK_KINDS ? sources[kind].name : NULL;
}

/* ---- figures ---- */

typedef struct figures {
    double time[CKKS_WORK_KINDS][2]; /* of `few` and `many`; 0: not seen */
    double bytes_per_us;             /* copied from and to memory by one thread */
} figures;

static void take(void *arg, const ckks_figure *f)
{
    figures *all = arg;
    if (!strcmp(f->name, "memory_copy")) all->bytes_per_us = f->bytes / f->mean_us;
    for (unsigned k = 0; k < CKKS_WORK_KINDS; k++) {
        const source *s = &sources[k];
        if (!strcmp(f->name, s->few)) all->time[k][0] = f->mean_us;
        if (s->many && !strcmp(f->name, s->many)) all->time[k][1] = f->mean_us;
    }
}

static fhola_status complete(const figures *all, unsigned bits)
{
    for (unsigned k = 0; k < CKKS_WORK_KINDS; k++)
        if (all->time[k][0] <= 0 || (sources[k].many && all->time[k][1] <= 0))
            return fhola_fail(FHOLA_PARAM, "no figure %s for primes of %u bits", sources[k].name,
                              bits);
    return all->bytes_per_us > 0 ? FHOLA_OK : fhola_fail(FHOLA_PARAM, "memory was not measured");
}

/* Time per output and per term of one kind: a line through two figures, or all of one figure to its
 * terms. */
static void fit(double *output, double *term, const source *s, const double time[2])
{
    *output = 0;
    *term = 0;
    if (s->many) {
        *term = fmax(0, (time[1] - time[0]) / (s->many_terms - s->few_terms));
        *output = fmax(0, time[0] - *term * s->few_terms);
    } else if (s->few_terms > 0) {
        *term = time[0] / s->few_terms;
    } else {
        *output = time[0];
    }
}

fhola_status ckks_cost_measure(ckks_cost *cost, const char *isa, unsigned log_n, unsigned threads)
{
    const ckks_kernel *table;
    *cost = (ckks_cost){.threads = 0};
    fhola_status selected = ckks_kernel_select(&table, isa);
    if (selected) return selected;
    isa = table->name;
    ckks_cost c = {
        .threads = threads, .n = (size_t)1 << log_n, .clock_ghz = ckks_bench_clock_ghz()};
    for (unsigned wide = 0; wide < 2; wide++) {
        figures all = {.bytes_per_us = 0};
        const ckks_bench_spec spec = {.isa = isa,
                                      .log_n = log_n,
                                      .prime_bits = wide ? WIDE_BITS : NARROW_BITS,
                                      .threads = threads,
                                      .groups = CKKS_FIGURES_NTT | CKKS_FIGURES_KEY_SWITCH,
                                      .cold_only = 1};
        fhola_status status = ckks_bench_kernels(&spec, take, &all);
        if (!status) status = complete(&all, spec.prime_bits);
        if (status) return status;
        for (unsigned k = 0; k < CKKS_WORK_KINDS; k++) {
            double times[2] = {all.time[k][0], all.time[k][1]};
            /* the figure is that of one of three limbs */
            if (k == CKKS_WORK_NTT_FORWARD) times[1] *= 3;
            fit(&c.output_us[k][wide], &c.term_us[k][wide], &sources[k], times);
        }
        c.bytes_per_us = all.bytes_per_us * threads;
    }
    /* Butterflies of one limb over those of a vector, times the products of each: reduction by a
     * precomputed quotient needs three. */
    unsigned lanes = !strncmp(isa, "avx512", 6) ? 8 : !strcmp(isa, "avx2") ? 4 : 0;
    double butterflies = (double)c.n / 2 * log_n;
    c.transform_floor_us = lanes ? 3 * butterflies / lanes / c.clock_ghz * 1e-3 : NAN;
    *cost = c;
    return FHOLA_OK;
}

/* ---- prediction ---- */

double ckks_cost_predict(const ckks_cost *c, const ckks_work *w, ckks_cost_shares *shares)
{
    ckks_cost_shares s = {.transform_floor = 0};
    double scale = 1e-6 / (double)c->n / c->threads, sum = 0;
    for (unsigned k = 0; k < CKKS_WORK_KINDS; k++) {
        for (unsigned wide = 0; wide < 2; wide++)
            s.kind[k] += scale * ((double)w->outputs[k][wide] * c->output_us[k][wide] +
                                  (double)w->terms[k][wide] * c->term_us[k][wide]);
        sum += s.kind[k];
    }
    double transforms = 0;
    for (unsigned wide = 0; wide < 2; wide++)
        transforms +=
            (double)(w->terms[CKKS_WORK_NTT_FORWARD][wide] + w->terms[CKKS_WORK_NTT_INVERSE][wide]);
    s.transform_floor = scale * transforms * c->transform_floor_us;
    s.memory_floor = 1e-6 * (double)(w->key_bytes + w->plain_bytes) / c->bytes_per_us;
    if (shares) *shares = s;
    return sum;
}
