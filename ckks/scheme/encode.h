/* SPDX-License-Identifier: Apache-2.0 */
/* Canonical-embedding encoder. */
#ifndef CKKS_ENCODE_H
#define CKKS_ENCODE_H

#include "ckks/scheme/ciphertext.h"

/* Coefficients of the integer polynomial in Y = X^(N / (2 period)) whose slots hold `values`
 * (period of them, repeated) times `scale`: 2 period signed coefficients. scratch: 2 period
 * doubles. RANGE when one would reach 2^62 or `limit`, which is ckks_half_modulus of the primes it
 * is used with. */
fhola_status ckks_encode_coefficients(const ckks_context *c, int64_t *coefficient, double *scratch,
                                      const ckks_complex *values, size_t period, double scale,
                                      double limit) FHOLA_WARN_UNUSED;

/* PARAM unless the numbers are powers of two whose product divides the slots. */
fhola_status ckks_interleaving_check(const ckks_context *c,
                                     ckks_interleaving shape) FHOLA_WARN_UNUSED;

/* One limb of such a polynomial in evaluation form: spreads the 2 period coefficients and
 * transforms. */
void ckks_encode_limb(const ckks_context *c, unsigned prime, uint64_t *limb,
                      const int64_t *coefficient, size_t period);

/* Packed plaintexts: what is left of a limb of such a polynomial in the kernels' compressed order
 * (kernel.h, plain_product), in words of the prime's width. A packed plaintext over a basis is its
 * limbs in increasing order of prime. */
unsigned ckks_packed_log_gap(const ckks_context *c, size_t period);
/* a multiple of 64 */
size_t ckks_packed_bytes(const ckks_context *c, ckks_basis basis, unsigned log_gap);
/* One packed limb, transformed in the subring it lives in. scratch: one limb. */
void ckks_encode_packed(const ckks_context *c, unsigned prime, unsigned log_gap, void *out,
                        uint64_t *scratch, const int64_t *coefficient, size_t period);

/* Slots of a polynomial given by N real coefficients, divided by scale: `count` values. scratch: N
 * doubles. */
void ckks_decode_coefficients(const ckks_context *c, ckks_complex *values, size_t count,
                              double *scratch, const double *coefficient, double scale);

#endif
