/* SPDX-License-Identifier: Apache-2.0 */
#include "ckks/ring/rns.h"

#define OVERFLOW_CHUNK 4096 /* coefficients per task */
/* Target limbs per task: more share the reads of the source limbs, fewer keep threads evenly
 * busy. */
#define TARGET_CHUNK 2

uint64_t ckks_conversion_factor(const ckks_context *c, ckks_basis from, unsigned t)
{
    return ckks_product_inverse_mod(c, from & ~c->modulus[t].primes, t);
}

void ckks_conversion_overflows(const ckks_conversion cv[], size_t count, const ckks_context *c)
{
    for (size_t k = 0; k < count; k++)
        ckks_tally_add(c->tally, CKKS_WORK_OVERFLOW, 1, c->n, cv[k].y.limbs * c->n);
    size_t chunk = c->n < OVERFLOW_CHUNK ? c->n : OVERFLOW_CHUNK;
#pragma omp parallel for num_threads(ckks_context_threads(c)) schedule(static) collapse(2)
    for (size_t k = 0; k < count; k++)
        for (size_t j = 0; j < c->n; j += chunk) {
            const uint64_t *y[CKKS_MAX_TERMS];
            double inverse[CKKS_MAX_TERMS];
            for (unsigned i = 0; i < cv[k].y.limbs; i++) {
                y[i] = cv[k].y.limb[i] + j;
                inverse[i] = c->modulus[cv[k].y.modulus[i]].inverse;
            }
            c->kernel->overflow(cv[k].v + j, cv[k].y.limbs, y, inverse, chunk);
        }
}

void ckks_conversion_apply(const ckks_conversion *cv, const ckks_context *c, const ckks_poly *out,
                           const unsigned limb[], size_t count)
{
    ckks_basis from = cv->y.basis;
    unsigned terms = cv->y.limbs;
    uint64_t weight[CKKS_MAX_PRIMES][CKKS_MAX_TERMS], *target[CKKS_MAX_PRIMES];
    const ckks_modulus *modulus[CKKS_MAX_PRIMES];
    const uint64_t *row[CKKS_MAX_PRIMES], *y[CKKS_MAX_TERMS];
    for (unsigned i = 0; i < terms; i++) y[i] = cv->y.limb[i];
    y[terms] = cv->v;
    for (size_t k = 0; k < count; k++) {
        unsigned t = out->modulus[limb[k]];
        target[k] = out->limb[limb[k]];
        modulus[k] = &c->modulus[t];
        row[k] = weight[k];
        for (unsigned i = 0; i < terms; i++)
            weight[k][i] = ckks_product_mod(c, from & ~c->modulus[cv->y.modulus[i]].primes, t);
        weight[k][terms] = modulus[k]->p - ckks_product_mod(c, from, t);
    }
    c->kernel->combine(modulus, count, target, terms + 1, y, row, c->n);
}

/* The residues of in[k] modulo the primes to be divided away, ready for conversion. */
static void take_remainders(const ckks_context *c, const ckks_conversion cv[], size_t count,
                            const ckks_poly in[])
{
#pragma omp parallel for num_threads(ckks_context_threads(c)) schedule(dynamic) collapse(2)
    for (unsigned i = 0; i < cv->y.limbs; i++)
        for (size_t k = 0; k < count; k++) {
            const ckks_poly *y = &cv[k].y;
            unsigned t = y->modulus[i];
            const uint64_t *source = ckks_poly_range(c, &in[k], t, 0, c->n, y->limb[i]);
            c->kernel->ntt_inverse_scaled(&c->modulus[t], y->limb[i], source,
                                          ckks_conversion_factor(c, y->basis, t));
        }
    ckks_conversion_overflows(cv, count, c);
}

/* Limbs first .. last - 1 of out = (in - its remainder) / D. room: a limb for each, for the
 * remainders modulo the primes of out. */
static void divide_exactly(const ckks_context *c, const ckks_conversion *cv, const ckks_poly *out,
                           const ckks_poly *in, unsigned first, unsigned last, uint64_t *room)
{
    unsigned limb[CKKS_MAX_PRIMES] = {0};
    ckks_poly lifted = *out;
    for (unsigned i = first; i < last; i++) {
        limb[i - first] = i;
        lifted.limb[i] = room + (i - first) * c->stride;
    }
    ckks_conversion_apply(cv, c, &lifted, limb, last - first);
    for (unsigned i = first; i < last; i++) {
        unsigned t = out->modulus[i];
        uint64_t *remainder = lifted.limb[i], *result = out->limb[i];
        c->kernel->ntt_forward(&c->modulus[t], &remainder, 1);
        c->kernel->sub_mul_scalar(&c->modulus[t], result,
                                  ckks_poly_range(c, in, t, 0, c->n, result), remainder,
                                  ckks_product_inverse_mod(c, cv->y.basis, t), c->n);
    }
}

/* `count` conversions from `basis`, their memory of the workspace. */
static ckks_conversion *take_conversions(ckks_workspace *ws, size_t count, ckks_basis basis)
{
    ckks_conversion *cv = ckks_workspace_take(ws, count * sizeof *cv);
    ckks_poly *y = ckks_poly_take(ws, count, basis);
    if (!cv || !y) return NULL;
    for (size_t k = 0; k < count; k++) {
        cv[k].y = y[k];
        cv[k].v = ckks_workspace_limbs(ws, 1);
        if (!cv[k].v) return NULL;
    }
    return cv;
}

static fhola_status check_division(size_t count, const ckks_poly out[], const ckks_poly in[])
{
    for (size_t k = 0; k < count; k++)
        if (in[k].basis != in->basis || out[k].basis != out->basis || !out->basis ||
            out->basis & ~in->basis)
            return fhola_fail(FHOLA_LEVEL, "basis %#llx cannot be divided down to %#llx",
                              (unsigned long long)in[k].basis, (unsigned long long)out[k].basis);
    return FHOLA_OK;
}

fhola_status ckks_divide_round(const ckks_context *c, ckks_workspace *ws, size_t count,
                               const ckks_poly out[], const ckks_poly in[])
{
    FHOLA_TRY(check_division(count, out, in));
    ckks_basis divisor = in->basis & ~out->basis;
    if (!divisor) return ckks_poly_copy(c, count, out, in);
    unsigned drops = ckks_limb_count(c, divisor), keeps = out->limbs;
    if (drops >= CKKS_MAX_TERMS)
        return fhola_fail(FHOLA_LEVEL, "%u limbs cannot be divided away at once, at most %u", drops,
                          CKKS_MAX_TERMS - 1);
    fhola_status status = FHOLA_OK;
    ckks_mark mark = ckks_workspace_mark(ws);
    ckks_conversion *cv = take_conversions(ws, count, divisor);
    size_t words = TARGET_CHUNK * c->stride;
    uint64_t *room = ckks_workspace_take(ws, ckks_context_threads(c) * words * sizeof *room);
    if (!cv || !room) {
        status = FHOLA_NOMEM;
        goto end;
    }
    take_remainders(c, cv, count, in);
    unsigned chunks = (keeps + TARGET_CHUNK - 1) / TARGET_CHUNK;
#pragma omp parallel for num_threads(ckks_context_threads(c)) schedule(dynamic) collapse(2)
    for (unsigned chunk = 0; chunk < chunks; chunk++)
        for (size_t k = 0; k < count; k++)
            divide_exactly(c, &cv[k], &out[k], &in[k], keeps * chunk / chunks,
                           keeps * (chunk + 1) / chunks, room + ckks_thread_number() * words);
end:
    ckks_workspace_release(ws, mark);
    return status;
}

fhola_status ckks_lift(const ckks_context *c, ckks_workspace *ws, const ckks_poly *out,
                       const ckks_poly *in)
{
    fhola_status status = FHOLA_OK;
    ckks_mark mark = ckks_workspace_mark(ws);
    ckks_conversion *cv = take_conversions(ws, 1, in->basis);
    if (!cv) {
        status = FHOLA_NOMEM;
        goto end;
    }
    take_remainders(c, cv, 1, in);
#pragma omp parallel for num_threads(ckks_context_threads(c)) schedule(dynamic)
    for (unsigned i = 0; i < out->limbs; i++) {
        uint64_t *x = out->limb[i];
        ckks_conversion_apply(cv, c, out, &i, 1);
        c->kernel->ntt_forward(&c->modulus[out->modulus[i]], &x, 1);
    }
end:
    ckks_workspace_release(ws, mark);
    return status;
}
