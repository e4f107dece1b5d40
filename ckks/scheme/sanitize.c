/* SPDX-License-Identifier: Apache-2.0 */
/* Ciphertexts that say of how they were computed no more than their values do. */
#include <string.h>

#include "ckks/ring/gaussian.h"
#include "ckks/scheme/ciphertext.h"
#include "ckks/scheme/keyswitch.h"

/* What a digit of a key adds stands on the primes it covers. On all others its pair is that of a
 * public key: b + a s = e. */
typedef struct zero_pair {
    const ckks_switch_key *key;
    unsigned digit;
} zero_pair;

/* The one of the smallest key under the secret key. */
static fhola_status find_pair(zero_pair *out, const ckks_eval_keys *keys, ckks_basis basis)
{
    *out = (zero_pair){NULL, 0};
    for (size_t i = 0; i < keys->count; i++) {
        const ckks_switch_key *key = &keys->key[i];
        if (key->request.kind == CKKS_KEY_DENSE_TO_SPARSE || key->request.kind == CKKS_KEY_SHRINK ||
            !ckks_basis_same_limbs(keys->context->shared, basis, key->request.q))
            continue;
        for (unsigned j = 0; j < key->digits; j++)
            if (!(key->digit[j] & basis) && (!out->key || key->bytes < out->key->bytes))
                *out = (zero_pair){key, j};
    }
    if (out->key) return FHOLA_OK;
    return fhola_fail(FHOLA_KEY,
                      "no evaluation key over the primes %s has a digit without them: there is no "
                      "encryption of zero",
                      ckks_basis_describe(keys->context->params, basis).text);
}

/* zero = (b, a) v + errors, an encryption of zero; v in `mask`, the errors are there. */
static void add_pair(const ckks_context *c, const ckks_poly zero[2], const zero_pair *pair,
                     const ckks_poly *mask)
{
#pragma omp parallel for num_threads(ckks_context_threads(c)) schedule(dynamic)
    for (unsigned i = 0; i < mask->limbs; i++) {
        unsigned t = mask->modulus[i];
        const uint64_t *v = mask->limb[i];
        const void *b = ckks_switch_key_limb(c, pair->key, pair->digit, t, 0),
                   *a = ckks_switch_key_limb(c, pair->key, pair->digit, t, 1);
        const ckks_switch_term term = {.digits = 1, .digit = &v, .key0 = &b, .key1 = &a};
        c->kernel->inner_product(&c->modulus[t], zero[0].limb[i], zero[1].limb[i], 0, c->n, 1,
                                 &term, 1, true);
    }
}

static fhola_status encrypt_zero(const ckks_context *c, ckks_workspace *ws, const ckks_poly zero[2],
                                 const zero_pair *pair, ckks_rng *rng)
{
    ckks_basis basis = zero->basis;
    int8_t *small = ckks_workspace_take(ws, c->n);
    ckks_poly *mask = ckks_poly_take(ws, 1, basis);
    if (!small || !mask) return FHOLA_NOMEM;
    ckks_sample_ternary(small, c->n, rng);
    fhola_status status = ckks_poly_from_small(c, mask, small);
    for (int k = 0; k < 2 && status == FHOLA_OK; k++) {
        ckks_sample_error(small, c->n, rng);
        status = ckks_poly_from_small(c, &zero[k], small);
    }
    if (status == FHOLA_OK) add_pair(c, zero, pair, mask);
    ckks_wipe(mask->limb[0], ckks_poly_bytes(c, basis));
    ckks_wipe(small, c->n);
    return status;
}

/* Noise of a Gaussian on the coefficients of the subring of `period` slots, anything at all on the
 * others; in evaluation form. */
static fhola_status make_flood(const ckks_context *c, ckks_workspace *ws, const ckks_poly *out,
                               size_t period, const ckks_gaussian *gaussian, ckks_rng *rng)
{
    size_t gap = c->slots / period;
    uint8_t seed[CKKS_SEED_BYTES];
    int64_t *noise = ckks_workspace_take(ws, c->n * sizeof *noise);
    uint64_t *residue = ckks_workspace_limbs(ws, 1);
    if (!noise || !residue) return FHOLA_NOMEM;
    memset(noise, 0, c->n * sizeof *noise);
    for (size_t j = 0; j < c->n; j += gap) ckks_gaussian_sample(gaussian, &noise[j], 1, rng);
    ckks_rng_bytes(rng, seed, sizeof seed);
    for (unsigned i = 0; i < out->limbs; i++) {
        unsigned t = out->modulus[i];
        uint64_t *limb = out->limb[i];
        ckks_sample_uniform(limb, c->n, c->modulus[t].p, seed, t);
        c->kernel->reduce_signed(&c->modulus[t], residue, noise, c->n);
        for (size_t j = 0; j < c->n; j += gap) limb[j] = residue[j];
        c->kernel->ntt_forward(&c->modulus[t], &limb, 1);
    }
    ckks_wipe(seed, sizeof seed);
    ckks_wipe(noise, c->n * sizeof *noise);
    ckks_wipe(residue, c->n * sizeof *residue);
    return FHOLA_OK;
}

static fhola_status check_sanitize(const ckks_context *c, const ckks_workspace *ws,
                                   const ckks_ciphertext *ct, size_t period,
                                   const ckks_eval_keys *keys)
{
    FHOLA_TRY(ckks_ciphertext_check(c, ct, "the ciphertext"));
    if (ws->context != c)
        return fhola_fail(FHOLA_PARAM, "the workspace belongs to another context");
    if (keys->context != c)
        return fhola_fail(FHOLA_KEY, "the evaluation keys belong to another context");
    if (period == 0 || period > c->slots || (period & (period - 1)))
        return fhola_fail(FHOLA_PARAM, "a period of %zu values is not a power of two up to %zu",
                          period, c->slots);
    return FHOLA_OK;
}

/* All that is to be added is made before anything is. */
static fhola_status sanitize(const ckks_context *c, ckks_workspace *ws, ckks_ciphertext *ct,
                             size_t period, const zero_pair *pair, const ckks_gaussian *gaussian,
                             ckks_rng *rng)
{
    ckks_poly *zero = ckks_poly_take(ws, 2, ct->poly->basis),
              *flood = ckks_poly_take(ws, 1, ct->poly->basis);
    if (!zero || !flood) return FHOLA_NOMEM;
    fhola_status status = encrypt_zero(c, ws, zero, pair, rng);
    if (status == FHOLA_OK) status = make_flood(c, ws, flood, period, gaussian, rng);
    if (status == FHOLA_OK) status = ckks_poly_add(c, 1, zero, zero, flood);
    if (status == FHOLA_OK) status = ckks_poly_add(c, 2, ct->poly, ct->poly, zero);
    for (int k = 0; k < 2; k++) ckks_wipe(zero[k].limb[0], ckks_poly_bytes(c, zero->basis));
    ckks_wipe(flood->limb[0], ckks_poly_bytes(c, flood->basis));
    if (status != FHOLA_OK) return status;
    ckks_ciphertext_set(ct, ct->poly->basis, ct->scale, 0);
    return FHOLA_OK;
}

fhola_status ckks_sanitize(const ckks_context *c, ckks_workspace *ws, ckks_ciphertext *ct,
                           size_t period, const ckks_eval_keys *keys, double deviation,
                           ckks_rng *rng)
{
    zero_pair pair;
    ckks_gaussian gaussian;
    FHOLA_TRY(check_sanitize(c, ws, ct, period, keys));
    FHOLA_TRY(find_pair(&pair, keys, ct->poly->basis));
    FHOLA_TRY(ckks_gaussian_init(&gaussian, deviation));
    FHOLA_TRY(ckks_rng_renew(rng));
    ckks_mark mark = ckks_workspace_mark(ws);
    fhola_status status = sanitize(c, ws, ct, period, &pair, &gaussian, rng);
    ckks_workspace_release(ws, mark);
    return status;
}
