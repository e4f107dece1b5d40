/* SPDX-License-Identifier: Apache-2.0 */
/* Building blocks of ciphertext arithmetic shared by polynomial evaluation and bootstrapping. */
#ifndef CKKS_EVALUATE_H
#define CKKS_EVALUATE_H

#include "ckks/scheme/ciphertext.h"
#include "ckks/scheme/keyswitch.h"

/* What joins a product before its rescale, limb by limb while the limb is in the cache: adds to
 * (d0, d1) modulo t. Called from several threads. */
typedef struct ckks_addend {
    void (*add)(const void *arg, unsigned t, uint64_t *d0, uint64_t *d1);
    const void *arg;
} ckks_addend;

/* a times b. */
typedef struct ckks_product {
    const ckks_ciphertext *a, *b;
} ckks_product;

/* out = round((factor sum a b + addend) / D) with one relinearisation, on the primes `out_basis` of
 * the common basis of the first a and b, D the product of the rest of that basis; factor 1 or 2.
 * The other products have that basis and scale at least. The addend is at the products' scale; NULL
 * adds nothing. The scale is scale_a scale_b / D, so that `factor` multiplies the value. */
fhola_status ckks_mul_fused(const ckks_context *c, ckks_workspace *ws, const ckks_eval_keys *keys,
                            ckks_ciphertext *out, size_t count, const ckks_product product[],
                            int factor, const ckks_addend *addend,
                            ckks_basis out_basis) FHOLA_WARN_UNUSED;

/* out = round(sum / D) for a pair of polynomials over a basis and special primes, D the product of
 * all primes that are not in `basis`; the result of a key switch. Scale and period are declared. */
fhola_status ckks_ciphertext_divide(const ckks_context *c, ckks_workspace *ws, ckks_ciphertext *out,
                                    const ckks_poly sum[2], ckks_basis basis, double scale,
                                    size_t period) FHOLA_WARN_UNUSED;

#endif
