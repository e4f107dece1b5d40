/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "ckks/ring/elementary.h"
#include "ckks/ring/gaussian.h"
#include "ckks/scheme/encode.h"
#include "ckks/scheme/keys.h"

static fhola_status check_encrypt(const ckks_context *c, const ckks_workspace *ws,
                                  const ckks_ciphertext *out, const ckks_plaintext *plain)
{
    if (out->context != c || ws->context != c)
        return fhola_fail(FHOLA_PARAM, "the ciphertext or workspace belongs to another context");
    fhola_status st = ckks_plaintext_check(c, plain, "the plaintext");
    if (!st && plain->poly.basis & ~c->chain)
        st = fhola_fail(FHOLA_LEVEL, "a plaintext over special primes cannot be encrypted");
    return st;
}

/* c0 = c0 - c1 s + m, the error being in c0. */
static void hide_message(const ckks_context *c, const ckks_poly ct[2], const ckks_poly *plain,
                         const ckks_secret_key *secret, const ckks_poly *product)
{
#pragma omp parallel for num_threads(ckks_context_threads(c)) schedule(dynamic)
    for (unsigned i = 0; i < product->limbs; i++) {
        unsigned t = product->modulus[i];
        const ckks_modulus *m = &c->modulus[t];
        uint64_t *c0 = ct[0].limb[i];
        c->kernel->mul(m, product->limb[i], ct[1].limb[i], ckks_secret_limb(secret, t), c->n);
        c->kernel->sub(m, c0, c0, product->limb[i], c->n);
        c->kernel->add(m, c0, c0, plain->limb[i], c->n);
    }
}

fhola_status ckks_encrypt(const ckks_context *c, ckks_workspace *ws, ckks_ciphertext *out,
                          const ckks_plaintext *plain, const ckks_secret_key *secret, ckks_rng *rng)
{
    fhola_status st = check_encrypt(c, ws, out, plain);
    if (st) return st;
    if (secret->context != c)
        return fhola_fail(FHOLA_KEY, "the secret key belongs to another context");
    st = ckks_rng_renew(rng);
    if (st) return st;
    ckks_basis basis = plain->poly.basis;
    ckks_poly room[2];
    ckks_mark mark = ckks_workspace_mark(ws);
    int8_t *error = ckks_workspace_take(ws, c->n);
    ckks_poly *product = ckks_poly_take(ws, 1, basis);
    st = error && product ? ckks_ciphertext_reserve(out, basis, room) : FHOLA_NOMEM;
    if (st) goto end;
    ckks_ciphertext_set(out, 0, 0, 0); /* empty until complete */
    ckks_rng_bytes(rng, out->seed, sizeof out->seed);
    ckks_declassify(out->seed, sizeof out->seed); /* part of the ciphertext */
    ckks_sample_error(error, c->n, rng);
    st = ckks_poly_from_small(c, &room[0], error);
    if (st) goto end;
    ckks_poly_expand(c, &room[1], out->seed);
    hide_message(c, room, &plain->poly, secret, product);
    ckks_ciphertext_set(out, basis, plain->scale, plain->period);
    out->seeded = true;
end:
    if (product) ckks_wipe(product->limb[0], ckks_poly_bytes(c, basis));
    if (error) ckks_wipe(error, c->n);
    ckks_workspace_release(ws, mark);
    return st;
}

/* (b, a) v + (m + errors), v in `mask`, the errors in (c0, c1). */
static void mask_message(const ckks_context *c, const ckks_poly ct[2], const ckks_poly *plain,
                         const ckks_public_key *key, const ckks_poly *mask)
{
#pragma omp parallel for num_threads(ckks_context_threads(c)) schedule(dynamic)
    for (unsigned i = 0; i < mask->limbs; i++) {
        unsigned t = mask->modulus[i];
        const ckks_modulus *m = &c->modulus[t];
        uint64_t *c0 = ct[0].limb[i], *c1 = ct[1].limb[i], room[CKKS_RANGE];
        size_t step = ckks_poly_step(c, &key->b, t);
        for (size_t j = 0; j < c->n; j += step) {
            const uint64_t *v = mask->limb[i] + j;
            c->kernel->mul_add(m, c0 + j, c0 + j, v, ckks_poly_range(c, &key->b, t, j, step, room),
                               step);
            c->kernel->mul_add(m, c1 + j, c1 + j, v, ckks_poly_range(c, &key->a, t, j, step, room),
                               step);
        }
        c->kernel->add(m, c0, c0, plain->limb[i], c->n);
    }
}

fhola_status ckks_encrypt_public(const ckks_context *c, ckks_workspace *ws, ckks_ciphertext *out,
                                 const ckks_plaintext *plain, const ckks_public_key *key,
                                 ckks_rng *rng)
{
    fhola_status st = check_encrypt(c, ws, out, plain);
    if (st) return st;
    if (key->context != c)
        return fhola_fail(FHOLA_KEY, "the public key belongs to another context");
    ckks_basis basis = plain->poly.basis;
    if (basis & ~key->b.basis)
        return fhola_fail(FHOLA_LEVEL, "the public key does not cover the plaintext's primes");
    st = ckks_rng_renew(rng);
    if (st) return st;
    ckks_poly room[2];
    ckks_mark mark = ckks_workspace_mark(ws);
    int8_t *small = ckks_workspace_take(ws, c->n);
    ckks_poly *mask = ckks_poly_take(ws, 1, basis);
    st = small && mask ? ckks_ciphertext_reserve(out, basis, room) : FHOLA_NOMEM;
    if (st) goto end;
    ckks_ciphertext_set(out, 0, 0, 0); /* empty until complete */
    ckks_sample_ternary(small, c->n, rng);
    st = ckks_poly_from_small(c, mask, small);
    for (int k = 0; k < 2 && !st; k++) {
        ckks_sample_error(small, c->n, rng);
        st = ckks_poly_from_small(c, &room[k], small);
    }
    if (st) goto end;
    mask_message(c, room, &plain->poly, key, mask);
    ckks_ciphertext_set(out, basis, plain->scale, plain->period);
end:
    if (mask) ckks_wipe(mask->limb[0], ckks_poly_bytes(c, basis));
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

/* Centred integers of a polynomial in coefficient form by Garner's mixed radix, whose digits
 * overwrite the residues; the product of its moduli is below 2^126. Branch-free in the values. */
static void compose(const ckks_context *c, double *coefficient, const ckks_poly *x,
                    uint64_t *scratch)
{
    ckks_u128 radix[CKKS_MAX_TERMS], whole = 1;
    ckks_basis before = 0;
    for (unsigned i = 0; i < x->limbs; i++) {
        unsigned t = x->modulus[i];
        const ckks_modulus *m = &c->modulus[t];
        radix[i] = whole;
        whole *= m->p;
        if (i > 0) {
            uint64_t weight[CKKS_MAX_TERMS];
            const uint64_t *row = weight;
            ckks_basis product = 0;
            for (unsigned k = 0; k < i; k++) {
                weight[k] = ckks_product_mod(c, product, t);
                product |= c->modulus[x->modulus[k]].primes;
            }
            c->kernel->combine(&m, 1, &scratch, i, (const uint64_t *const *)x->limb, &row, c->n);
            c->kernel->sub_mul_scalar(m, x->limb[i], x->limb[i], scratch,
                                      ckks_product_inverse_mod(c, before, t), c->n);
        }
        before |= m->primes;
    }
    for (size_t j = 0; j < c->n; j++) {
        ckks_u128 value = 0;
        for (unsigned i = 0; i < x->limbs; i++) value += radix[i] * x->limb[i][j];
        /* All ones where the value is above half: a comparison may be compiled to a branch. */
        ckks_i128 above = (ckks_i128)(whole / 2 - value) >> 127;
        coefficient[j] = double_of((ckks_i128)(value - (whole & (ckks_u128)above)));
    }
}

/* Noise of flooding: every coefficient of the subring of `period` slots gets a value of `gaussian`,
 * the others are dropped. */
typedef struct flood {
    size_t period;
    const ckks_gaussian *gaussian;
    ckks_rng *rng;
} flood;

static void keep_subring(const ckks_context *c, double *coefficient, size_t period)
{
    size_t gap = c->slots / period;
    for (size_t j = 0; j < c->n; j++)
        if (j % gap) coefficient[j] = 0;
}

static void add_flood(const ckks_context *c, double *coefficient, const flood *f)
{
    size_t gap = c->slots / f->period;
    keep_subring(c, coefficient, f->period);
    for (size_t j = 0; j < c->n; j += gap) {
        int64_t noise;
        ckks_gaussian_sample(f->gaussian, &noise, 1, f->rng);
        coefficient[j] += (double)noise;
    }
}

/* The lowest limbs of a basis, as many as have a product below 2^126. */
static ckks_basis lowest_limbs(const ckks_context *c, ckks_basis basis)
{
    unsigned modulus[CKKS_MAX_PRIMES], limbs = ckks_limb_list(c, basis, modulus);
    ckks_basis lowest = 0;
    double bits = 0;
    for (unsigned i = 0; i < limbs; i++) {
        ckks_basis primes = c->modulus[modulus[i]].primes;
        bits += ckks_params_log2(c->params, primes);
        if (!(bits < 126)) break;
        lowest |= primes;
    }
    return lowest;
}

/* c0 + c1 s in coefficient form, on the lowest limbs. */
static void phase(const ckks_context *c, const ckks_poly *out, const ckks_ciphertext *in,
                  const ckks_secret_key *secret)
{
    for (unsigned i = 0; i < out->limbs; i++) {
        unsigned t = out->modulus[i];
        uint64_t *x = out->limb[i];
        c->kernel->mul_add(&c->modulus[t], x, in->poly[0].limb[i], in->poly[1].limb[i],
                           ckks_secret_limb(secret, t), c->n);
        c->kernel->ntt_inverse(&c->modulus[t], &x, 1);
    }
}

static fhola_status check_decrypt(const ckks_context *c, const ckks_workspace *ws, size_t count,
                                  const ckks_ciphertext *in, const ckks_secret_key *secret)
{
    FHOLA_TRY(ckks_ciphertext_check_any(c, in, "the ciphertext"));
    if (ws->context != c)
        return fhola_fail(FHOLA_PARAM, "the workspace belongs to another context");
    if (secret->context != c)
        return fhola_fail(FHOLA_KEY, "the secret key belongs to another context");
    if (count > c->slots)
        return fhola_fail(FHOLA_PARAM, "%zu values asked for, there are %zu slots", count,
                          c->slots);
    return ckks_scale_fits(c, lowest_limbs(c, in->poly->basis), in->scale, "what is decrypted");
}

/* `secret`: that which the ciphertext is under. */
static fhola_status decrypt_under(const ckks_context *c, ckks_workspace *ws, ckks_complex *values,
                                  size_t count, const ckks_ciphertext *in,
                                  const ckks_secret_key *secret, const flood *noise)
{
    fhola_status status = FHOLA_NOMEM;
    ckks_mark mark = ckks_workspace_mark(ws);
    ckks_poly *x = ckks_poly_take(ws, 1, lowest_limbs(c, in->poly->basis));
    uint64_t *scratch = ckks_workspace_limbs(ws, 1);
    double *coefficient = ckks_workspace_take(ws, c->n * sizeof *coefficient),
           *slots = ckks_workspace_take(ws, c->n * sizeof *slots);
    if (!x || !scratch || !coefficient || !slots) goto end;
    phase(c, x, in, secret);
    compose(c, coefficient, x, scratch);
    if (in->shrunk.period) keep_subring(c, coefficient, in->shrunk.period);
    if (noise) add_flood(c, coefficient, noise);
    ckks_decode_coefficients(c, values, count, slots, coefficient, in->scale);
    ckks_wipe(x->limb[0], ckks_poly_bytes(c, x->basis));
    ckks_wipe(scratch, c->n * sizeof *scratch);
    ckks_wipe(coefficient, c->n * sizeof *coefficient);
    ckks_wipe(slots, c->n * sizeof *slots);
    status = FHOLA_OK;
end:
    ckks_workspace_release(ws, mark);
    return status;
}

static fhola_status decrypt(const ckks_context *c, ckks_workspace *ws, ckks_complex *values,
                            size_t count, const ckks_ciphertext *in, const ckks_secret_key *secret,
                            const flood *noise)
{
    ckks_secret_key *small = NULL;
    FHOLA_TRY(check_decrypt(c, ws, count, in, secret));
    if (!in->shrunk.period) return decrypt_under(c, ws, values, count, in, secret, noise);
    FHOLA_TRY(ckks_secret_key_small(&small, secret, in->shrunk.log_degree));
    fhola_status status = decrypt_under(c, ws, values, count, in, small, noise);
    ckks_secret_key_destroy(small);
    return status;
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
    if (!st) st = ckks_rng_renew(rng);
    return st ? st : decrypt(c, ws, values, period, in, secret, &(flood){period, &gaussian, rng});
}
