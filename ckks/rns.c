/* SPDX-License-Identifier: Apache-2.0 */
#include "ckks/rns.h"

#include <string.h>

#define OVERFLOW_CHUNK 4096 /* coefficients per task */
#define TARGET_CHUNK                                                                               \
    2 /* target primes per task: more share the reads of the source limbs, fewer keep threads evenly busy */

uint64_t ckks_conversion_factor(const ckks_context *c, ckks_basis from, unsigned i)
{
    return ckks_product_inverse_mod(c, from & ~c->part[i], i);
}

void ckks_conversion_set(ckks_conversion *cv, const ckks_context *c, ckks_basis from,
                         const uint64_t *limbs, uint64_t *v)
{
    unsigned count = ckks_limb_count(c, from);
    cv->from = from;
    cv->terms = count + 1;
    for (unsigned i = 0; i < count; i++) cv->y[i] = limbs + i * c->stride;
    cv->y[count] = cv->v = v;
}

void ckks_conversion_overflows(const ckks_conversion *cv, size_t count, const ckks_context *c)
{
    if (c->tally)
        for (size_t k = 0; k < count; k++)
            ckks_tally_add(c->tally, CKKS_TALLY_OVERFLOW, 1, c->n, (cv[k].terms - 1) * c->n);
    size_t chunk = c->n < OVERFLOW_CHUNK ? c->n : OVERFLOW_CHUNK;
#pragma omp parallel for schedule(static) collapse(2)
    for (size_t k = 0; k < count; k++)
        for (size_t j = 0; j < c->n; j += chunk) {
            unsigned index[CKKS_MAX_PRIMES], limbs = ckks_limb_list(c, cv[k].from, index);
            const uint64_t *y[CKKS_MAX_TERMS];
            double inverse[CKKS_MAX_TERMS];
            for (unsigned i = 0; i < limbs; i++) {
                y[i] = cv[k].y[i] + j;
                inverse[i] = c->prime[index[i]].inverse;
            }
            c->kernel->overflow(cv[k].v + j, limbs, y, inverse, chunk);
        }
}

void ckks_conversion_init(ckks_conversion *cv, const ckks_context *c, ckks_basis from,
                          uint64_t *limbs, uint64_t *v)
{
    unsigned index[CKKS_MAX_PRIMES], count = ckks_limb_list(c, from, index);
#pragma omp parallel for schedule(dynamic)
    for (unsigned i = 0; i < count; i++) {
        uint64_t *x = limbs + i * c->stride;
        c->kernel->mul_scalar(&c->prime[index[i]], x, x, ckks_conversion_factor(c, from, index[i]),
                              c->n);
    }
    ckks_conversion_set(cv, c, from, limbs, v);
    ckks_conversion_overflows(cv, 1, c);
}

void ckks_conversion_apply(const ckks_conversion *cv, const ckks_context *c,
                           const unsigned target[], size_t targets, uint64_t *const out[])
{
    unsigned index[CKKS_MAX_PRIMES], count = ckks_limb_list(c, cv->from, index);
    uint64_t weight[CKKS_MAX_PRIMES][CKKS_MAX_TERMS];
    const ckks_prime *prime[CKKS_MAX_PRIMES];
    const uint64_t *row[CKKS_MAX_PRIMES];
    for (size_t t = 0; t < targets; t++) {
        unsigned to = target[t];
        prime[t] = &c->prime[to];
        row[t] = weight[t];
        for (unsigned i = 0; i < count; i++)
            weight[t][i] = ckks_product_mod(c, cv->from & ~c->part[index[i]], to);
        weight[t][count] = prime[t]->p - ckks_product_mod(c, cv->from, to);
    }
    c->kernel->combine(prime, targets, out, cv->terms, cv->y, row, c->n);
}

fhola_status ckks_divide_round(const ckks_context *c, ckks_workspace *ws, uint64_t *const out[],
                               const uint64_t *const in[], size_t count, ckks_basis basis,
                               ckks_basis remaining)
{
    ckks_basis divisor = basis & ~remaining;
    unsigned drop[CKKS_MAX_PRIMES], keep[CKKS_MAX_PRIMES];
    unsigned drops = ckks_limb_list(c, divisor, drop), keeps = ckks_limb_list(c, remaining, keep);
    if (drops == 0) {
        for (size_t k = 0; k < count; k++)
            if (out[k] != in[k])
                memcpy(out[k], in[k], ((keeps - 1) * c->stride + c->n) * sizeof(uint64_t));
        return FHOLA_OK;
    }
    if (drops >= CKKS_MAX_TERMS)
        return fhola_fail(FHOLA_LEVEL, "%u limbs cannot be divided away at once, at most %u", drops,
                          CKKS_MAX_TERMS - 1);
    ckks_mark mark = ckks_workspace_mark(ws);
    uint64_t *y = ckks_workspace_poly(ws, count * drops), *v = ckks_workspace_poly(ws, count);
    uint64_t *lifted = ckks_workspace_poly(ws, count * keeps);
    ckks_conversion *cv = ckks_workspace_take(ws, count * sizeof *cv);
    if (!y || !v || !lifted || !cv) {
        ckks_workspace_release(ws, mark);
        return FHOLA_NOMEM;
    }
#pragma omp parallel for schedule(dynamic) collapse(2)
    for (unsigned i = 0; i < drops; i++)
        for (size_t k = 0; k < count; k++) {
            const ckks_prime *p = &c->prime[drop[i]];
            uint64_t *limb = y + (k * drops + i) * c->stride;
            const uint64_t *source = ckks_limb_range(c, in[k], basis, drop[i], 0, c->n, limb);
            c->kernel->ntt_inverse_scaled(p, limb, source,
                                          ckks_conversion_factor(c, divisor, drop[i]));
        }
    for (size_t k = 0; k < count; k++)
        ckks_conversion_set(&cv[k], c, divisor, y + k * drops * c->stride, v + k * c->stride);
    ckks_conversion_overflows(cv, count, c);
    unsigned chunks = (keeps + TARGET_CHUNK - 1) / TARGET_CHUNK;
#pragma omp parallel for schedule(dynamic)
    for (unsigned chunk = 0; chunk < chunks; chunk++) {
        unsigned first = keeps * chunk / chunks, last = keeps * (chunk + 1) / chunks;
        uint64_t *limb[CKKS_MAX_PRIMES];
        for (size_t k = 0; k < count; k++) {
            for (unsigned t = first; t < last; t++)
                limb[t - first] = lifted + (t * count + k) * c->stride;
            ckks_conversion_apply(&cv[k], c, keep + first, last - first, limb);
        }
        for (unsigned t = first; t < last; t++) {
            const ckks_prime *p = &c->prime[keep[t]];
            uint64_t inverse = ckks_product_inverse_mod(c, divisor, keep[t]);
            for (size_t k = 0; k < count; k++) {
                uint64_t *x = lifted + (t * count + k) * c->stride;
                c->kernel->ntt_forward(p, &x, 1);
                uint64_t *result = ckks_limb(c, out[k], remaining, keep[t]);
                c->kernel->sub_mul_scalar(
                    p, result, ckks_limb_range(c, in[k], basis, keep[t], 0, c->n, result), x,
                    inverse, c->n);
            }
        }
    }
    ws->counters.ntt += count * (drops + keeps);
    ckks_workspace_release(ws, mark);
    return FHOLA_OK;
}
