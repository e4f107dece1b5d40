/* SPDX-License-Identifier: Apache-2.0 */
/* Hybrid key switching, taken apart so that callers can hoist and fuse: decompose once, then per
 * prime transform the digits and take inner products with as many keys as wanted, then divide by
 * the special primes (rns.h).
 *
 * Noise: with digits of product below P 2^-3.9 the added error is about sqrt(N d) sigma D / P plus
 * the rounding of the division. */
#ifndef CKKS_KEYSWITCH_H
#define CKKS_KEYSWITCH_H

#include "ckks/keys.h"
#include "ckks/workspace.h"

/* The digits of one polynomial raised to basis and special primes (mod_up). */
typedef struct ckks_decomposition {
    ckks_basis basis, special;
    unsigned digits;
    ckks_basis digit[CKKS_MAX_DIGITS];   /* restricted to basis */
    unsigned key_digit[CKKS_MAX_DIGITS]; /* which digit of the key each one is */
    /* the polynomial itself, evaluation form: serves the primes of each digit */
    const uint64_t *own;
    /* over basis and special; coefficient form until ckks_decomposition_limbs */
    uint64_t *raised[CKKS_MAX_DIGITS];
} ckks_decomposition;

/* Decomposes `count` polynomials over `basis` (evaluation form) for keys shaped like `key`. Memory
 * comes from the workspace and lives until the caller's mark is released; `polynomial` blocks must
 * live as long. */
fhola_status ckks_decompose(const ckks_context *c, ckks_workspace *ws, ckks_decomposition *out,
                            size_t count, const ckks_switch_key *key, ckks_basis basis,
                            const uint64_t *const polynomial[]) FHOLA_WARN_UNUSED;

/* Transforms the raised limbs of one prime (once per prime!) and lists the digits' limbs. */
void ckks_decomposition_limbs(const ckks_context *c, const ckks_decomposition *d, unsigned prime,
                              const uint64_t *limb[CKKS_MAX_DIGITS]);

/* Whether a key has the digits a decomposition was made for. */
int ckks_decomposition_fits(const ckks_context *c, const ckks_decomposition *d,
                            const ckks_switch_key *key);

/* What switching a decomposition with a key adds to the inner product of one prime (kernel.h).
 * `limb`: from ckks_decomposition_limbs; add0 and add1 may be NULL. */
typedef struct ckks_switch_operand {
    ckks_switch_term term;
    const void *key[2][CKKS_MAX_DIGITS];
} ckks_switch_operand;
void ckks_switch_operand_set(ckks_switch_operand *out, const ckks_context *c,
                             const ckks_decomposition *d, const ckks_switch_key *key,
                             unsigned prime, const uint64_t *const limb[], const uint64_t *add0,
                             const uint64_t *add1);

/* One prime of the inner product: out_k = sigma(sum digit_j) key_jk + (add_k ? factor sigma(add_k)
 * : 0), sigma the key's. */
void ckks_switch_limb(const ckks_context *c, const ckks_decomposition *d,
                      const ckks_switch_key *key, unsigned prime, const uint64_t *const limb[],
                      uint64_t *out0, uint64_t *out1, const uint64_t *add0, const uint64_t *add1,
                      uint64_t factor);

/* Whole key switch of `poly` without the final division: out[k] over basis and the key's special
 * primes. add0 and add1 over basis (each may be NULL) are multiplied by P and join out[0] and
 * out[1] under the automorphism. */
fhola_status ckks_key_switch(const ckks_context *c, ckks_workspace *ws, const ckks_switch_key *key,
                             ckks_basis basis, const uint64_t *add0, const uint64_t *add1,
                             const uint64_t *poly, uint64_t *const out[2]) FHOLA_WARN_UNUSED;

/* Adds to the workspace's counters what switching `count` decompositions with `keys` keys each
 * costs. */
void ckks_switch_count(const ckks_context *c, ckks_workspace *ws, const ckks_decomposition *d,
                       size_t count, size_t keys);

#endif
