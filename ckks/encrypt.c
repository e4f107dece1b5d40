/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "ckks/elementary.h"
#include "ckks/encode.h"
#include "ckks/gaussian.h"
#include "ckks/keys.h"

static fhola_status check_encrypt(const ckks_context *c, const ckks_workspace *ws,
                                  const ckks_ciphertext *out, const ckks_plaintext *plain)
{
    if (out->context != c || ws->context != c)
        return fhola_fail(FHOLA_PARAM, "the ciphertext or workspace belongs to another context");
    fhola_status st = ckks_plaintext_check(c, plain, "the plaintext");
    if (!st && plain->basis & ~c->chain)
        st = fhola_fail(FHOLA_LEVEL, "a plaintext over special primes cannot be encrypted");
    return st;
}

fhola_status ckks_encrypt(const ckks_context *c, ckks_workspace *ws, ckks_ciphertext *out,
                          const ckks_plaintext *plain, const ckks_secret_key *secret, ckks_rng *rng)
{
    fhola_status st = check_encrypt(c, ws, out, plain);
    if (st) return st;
    if (secret->context != c)
        return fhola_fail(FHOLA_KEY, "the secret key belongs to another context");
    unsigned index[CKKS_MAX_PRIMES], limbs = ckks_limb_list(c, plain->basis, index);
    ckks_mark mark = ckks_workspace_mark(ws);
    int8_t *error = ckks_workspace_take(ws, c->n);
    uint64_t *scratch = ckks_workspace_poly(ws, limbs);
    st = error && scratch ? ckks_ciphertext_reserve(out, plain->basis) : FHOLA_NOMEM;
    if (!st) {
        ckks_ciphertext_set(out, 0, 0); /* empty until complete */
        ckks_rng_bytes(rng, out->seed, sizeof out->seed);
        ckks_declassify(out->seed, sizeof out->seed); /* part of the ciphertext */
        ckks_sample_error(error, c->n, rng);
        st = ckks_small_to_ntt(c, out->poly[0], plain->basis, error);
    }
    if (!st) {
#pragma omp parallel for schedule(dynamic)
        for (unsigned i = 0; i < limbs; i++) {
            const ckks_prime *p = &c->prime[index[i]];
            size_t at = i * c->stride;
            uint64_t *c0 = out->poly[0] + at, *c1 = out->poly[1] + at;
            ckks_sample_uniform(c1, c->n, p->p, out->seed, index[i]);
            c->kernel->mul(p, scratch + at, c1, secret->ntt + index[i] * c->stride, c->n);
            c->kernel->sub(p, c0, c0, scratch + at, c->n);
            c->kernel->add(p, c0, c0, plain->poly + at, c->n);
        }
        ckks_ciphertext_set(out, plain->basis, plain->scale);
        out->seeded = 1;
    }
    if (scratch) ckks_wipe(scratch, limbs * c->stride * sizeof *scratch);
    if (error) ckks_wipe(error, c->n);
    ckks_workspace_release(ws, mark);
    return st;
}

fhola_status ckks_encrypt_public(const ckks_context *c, ckks_workspace *ws, ckks_ciphertext *out,
                                 const ckks_plaintext *plain, const ckks_public_key *key,
                                 ckks_rng *rng)
{
    fhola_status st = check_encrypt(c, ws, out, plain);
    if (st) return st;
    if (key->context != c)
        return fhola_fail(FHOLA_KEY, "the public key belongs to another context");
    if (plain->basis & ~key->basis)
        return fhola_fail(FHOLA_LEVEL, "the public key does not cover the plaintext's primes");
    unsigned index[CKKS_MAX_PRIMES], limbs = ckks_limb_list(c, plain->basis, index);
    ckks_mark mark = ckks_workspace_mark(ws);
    int8_t *small = ckks_workspace_take(ws, c->n);
    uint64_t *mask = ckks_workspace_poly(ws, limbs);
    st = small && mask ? ckks_ciphertext_reserve(out, plain->basis) : FHOLA_NOMEM;
    /* (b, a) v + (m + e0, e1), v ternary */
    if (!st) {
        ckks_ciphertext_set(out, 0, 0); /* empty until complete */
        ckks_sample_ternary(small, c->n, rng);
        st = ckks_small_to_ntt(c, mask, plain->basis, small);
    }
    for (int k = 0; k < 2 && !st; k++) {
        ckks_sample_error(small, c->n, rng);
        st = ckks_small_to_ntt(c, out->poly[k], plain->basis, small);
    }
    if (!st) {
#pragma omp parallel for schedule(dynamic)
        for (unsigned i = 0; i < limbs; i++) {
            const ckks_prime *p = &c->prime[index[i]];
            size_t at = i * c->stride;
            uint64_t *c0 = out->poly[0] + at, *c1 = out->poly[1] + at;
            uint64_t room[CKKS_RANGE];
            size_t range = ckks_range_length(c, key->basis, index[i]);
            for (size_t j = 0; j < c->n; j += range) {
                const uint64_t *x = mask + at + j;
                c->kernel->mul_add(p, c0 + j, c0 + j, x,
                                   ckks_limb_range(c, key->b, key->basis, index[i], j, range, room),
                                   range);
                c->kernel->mul_add(p, c1 + j, c1 + j, x,
                                   ckks_limb_range(c, key->a, key->basis, index[i], j, range, room),
                                   range);
            }
            c->kernel->add(p, c0, c0, plain->poly + at, c->n);
        }
        ckks_ciphertext_set(out, plain->basis, plain->scale);
    }
    if (mask) ckks_wipe(mask, limbs * c->stride * sizeof *mask);
    if (small) ckks_wipe(small, c->n);
    ckks_workspace_release(ws, mark);
    return st;
}

/* The nearest double, or one beside it; exact below 2^53. By conversions of 64-bit integers, which
 * are single instructions: the compiler's own of 128 bits may branch on the value. */
static inline double double_of(ckks_i128 x)
{
    int64_t high = (int64_t)(x >> 64), middle = (int64_t)((uint64_t)x >> 32),
            low = (int64_t)((uint64_t)x & UINT32_MAX);
    return ((double)high * 0x1p64 + (double)middle * 0x1p32) + (double)low;
}

/* Centred integers of a polynomial from its residues modulo the lowest moduli, as far as their
 * product stays below 2^126, by Garner's mixed radix. Branch-free in the values. limb: the residues
 * in coefficient form (overwritten by the digits). */
static void compose(const ckks_context *c, double *coefficient, uint64_t *limb, uint64_t *scratch,
                    const unsigned index[], unsigned count)
{
    const uint64_t *digit[CKKS_MAX_TERMS];
    ckks_u128 radix[CKKS_MAX_TERMS], whole = 1;
    for (unsigned t = 0; t < count; t++) {
        const ckks_prime *p = &c->prime[index[t]];
        digit[t] = limb + t * c->stride;
        radix[t] = whole;
        whole *= p->p;
        if (t == 0) continue;
        uint64_t weight[CKKS_MAX_TERMS];
        ckks_basis before = 0;
        for (unsigned i = 0; i < t; i++) {
            weight[i] = ckks_product_mod(c, before, index[t]);
            before |= c->part[index[i]];
        }
        const uint64_t *row = weight;
        c->kernel->combine(&p, 1, &scratch, t, digit, &row, c->n);
        c->kernel->sub_mul_scalar(p, limb + t * c->stride, limb + t * c->stride, scratch,
                                  ckks_product_inverse_mod(c, before, index[t]), c->n);
    }
    for (size_t j = 0; j < c->n; j++) {
        ckks_u128 x = 0;
        for (unsigned t = 0; t < count; t++) x += radix[t] * digit[t][j];
        /* All ones where x is above half: a comparison may be compiled to a branch. */
        ckks_i128 above = (ckks_i128)(whole / 2 - x) >> 127;
        coefficient[j] = double_of((ckks_i128)(x - (whole & (ckks_u128)above)));
    }
}

/* Noise of flooding: every coefficient of the subring of `period` slots gets a value of `gaussian`,
 * the others are dropped. */
typedef struct flood {
    size_t period;
    const ckks_gaussian *gaussian;
    ckks_rng *rng;
} flood;

static void add_flood(const ckks_context *c, double *coefficient, const flood *f)
{
    size_t gap = c->slots / f->period;
    for (size_t j = 0; j < c->n; j++) {
        if (j % gap) {
            coefficient[j] = 0;
        } else {
            int64_t noise;
            ckks_gaussian_sample(f->gaussian, &noise, 1, f->rng);
            coefficient[j] += (double)noise;
        }
    }
}

static fhola_status decrypt(const ckks_context *c, ckks_workspace *ws, ckks_complex *values,
                            size_t count, const ckks_ciphertext *in, const ckks_secret_key *secret,
                            const flood *noise)
{
    fhola_status st = ckks_ciphertext_check(c, in, "the ciphertext");
    if (st) return st;
    if (ws->context != c)
        return fhola_fail(FHOLA_PARAM, "the workspace belongs to another context");
    if (secret->context != c)
        return fhola_fail(FHOLA_KEY, "the secret key belongs to another context");
    if (count > c->slots)
        return fhola_fail(FHOLA_PARAM, "%zu values asked for, there are %zu slots", count,
                          c->slots);
    unsigned index[CKKS_MAX_PRIMES], limbs = ckks_limb_list(c, in->basis, index), used = 0;
    for (double bits = 0;
         used < limbs && (bits += ckks_params_log2(&c->params, c->part[index[used]])) < 126; used++)
        continue;
    ckks_mark mark = ckks_workspace_mark(ws);
    uint64_t *limb = ckks_workspace_poly(ws, used), *scratch = ckks_workspace_poly(ws, 1);
    double *coefficient = ckks_workspace_take(ws, c->n * sizeof *coefficient),
           *slots = ckks_workspace_take(ws, c->n * sizeof *slots);
    if (!limb || !scratch || !coefficient || !slots) {
        st = FHOLA_NOMEM;
    } else {
        for (unsigned t = 0; t < used; t++) {
            const ckks_prime *p = &c->prime[index[t]];
            uint64_t *x = limb + t * c->stride;
            size_t at = t * c->stride; /* the lowest moduli of the basis are its first limbs */
            c->kernel->mul_add(p, x, in->poly[0] + at, in->poly[1] + at,
                               secret->ntt + index[t] * c->stride, c->n);
            c->kernel->ntt_inverse(p, &x, 1);
        }
        compose(c, coefficient, limb, scratch, index, used);
        if (noise) add_flood(c, coefficient, noise);
        ckks_decode_coefficients(c, values, count, slots, coefficient, in->scale);
        ckks_wipe(limb, used * c->stride * sizeof *limb);
        ckks_wipe(coefficient, c->n * sizeof *coefficient);
        ckks_wipe(slots, c->n * sizeof *slots);
    }
    ckks_workspace_release(ws, mark);
    return st;
}

fhola_status ckks_decrypt(const ckks_context *c, ckks_workspace *ws, ckks_complex *values,
                          size_t count, const ckks_ciphertext *in, const ckks_secret_key *secret)
{
    return decrypt(c, ws, values, count, in, secret, NULL);
}

double ckks_flood_deviation(double bits, double queries, double error)
{
    return sqrt(12 * queries) * ckks_exp2(bits / 2) * error;
}

fhola_status ckks_decrypt_flooded(const ckks_context *c, ckks_workspace *ws, ckks_complex *values,
                                  size_t period, const ckks_ciphertext *in,
                                  const ckks_secret_key *secret, double deviation, ckks_rng *rng)
{
    if (period == 0 || period > c->slots || (period & (period - 1)))
        return fhola_fail(FHOLA_PARAM, "a period of %zu values is not a power of two up to %zu",
                          period, c->slots);
    ckks_gaussian gaussian;
    fhola_status st = ckks_gaussian_init(&gaussian, deviation);
    return st ? st : decrypt(c, ws, values, period, in, secret, &(flood){period, &gaussian, rng});
}
