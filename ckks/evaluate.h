/* SPDX-License-Identifier: Apache-2.0 */
/* Building blocks of ciphertext arithmetic shared by polynomial evaluation and bootstrapping. */
#ifndef CKKS_EVALUATE_H
#define CKKS_EVALUATE_H

#include "ckks/ciphertext.h"
#include "ckks/keyswitch.h"

/* A ciphertext whose polynomials live in the workspace until the caller's mark is released; not to
 * be destroyed. */
fhola_status ckks_ciphertext_scratch(ckks_ciphertext *ct, ckks_workspace *ws,
                                     ckks_basis room) FHOLA_WARN_UNUSED;

/* An integer given as a double (exact or rounded to nearest), modulo the prime; |x| < 2^120. */
uint64_t ckks_integer_mod(const ckks_context *c, double x, unsigned prime);

/* What joins a product before its rescale, limb by limb while the limb is in the cache: adds to
 * (d0, d1) modulo one prime. Called from several threads. */
typedef struct ckks_addend {
    void (*add)(const void *arg, unsigned prime, uint64_t *d0, uint64_t *d1);
    const void *arg;
} ckks_addend;

/* out = round((factor a b + addend) / D) relinearised, on the primes `out_basis` of the common
 * basis of a and b, D the product of the rest of that basis; factor 1 or 2. The addend is at the
 * product's scale; NULL adds nothing. The scale is scale_a scale_b / D, so that `factor` multiplies
 * the value. */
fhola_status ckks_mul_fused(const ckks_context *c, ckks_workspace *ws, const ckks_eval_keys *keys,
                            ckks_ciphertext *out, const ckks_ciphertext *a,
                            const ckks_ciphertext *b, int factor, const ckks_addend *addend,
                            ckks_basis out_basis) FHOLA_WARN_UNUSED;

#endif
