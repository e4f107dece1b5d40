/* SPDX-License-Identifier: Apache-2.0 */
/* Base conversion between sets of primes, and division by primes (rescale, mod_down). */
#ifndef CKKS_RNS_H
#define CKKS_RNS_H

#include "ckks/ring/poly.h"

/* A polynomial prepared for conversion: y_i = x_i (D / d_i)^-1 mod d_i in coefficient form for
 * every limb d_i of its basis (D their product), and the overflow v = round(sum y_i / d_i), so that
 * the centred x is sum y_i (D / d_i) - v D exactly (up to ties that double precision cannot tell
 * apart). */
typedef struct ckks_conversion {
    ckks_poly y; /* at most CKKS_MAX_TERMS - 1 limbs */
    uint64_t *v; /* one limb */
} ckks_conversion;

/* (D / d)^-1 mod d for the limb modulo d, of number t: what scales it to y. */
uint64_t ckks_conversion_factor(const ckks_context *c, ckks_basis from, unsigned t);
/* Computes v of `count` conversions from y. */
void ckks_conversion_overflows(const ckks_conversion conversion[], size_t count,
                               const ckks_context *c);
/* Residues of the centred polynomial, in coefficient form, in `count` limbs of out, whose numbers
 * limb[] lists. Serial: callers parallelise over limbs. */
void ckks_conversion_apply(const ckks_conversion *conversion, const ckks_context *c,
                           const ckks_poly *out, const unsigned limb[], size_t count);

/* out[k] = round(in[k] / D) for `count` polynomials of one basis, D the product of their primes
 * that out (a nonempty subset, one basis for all) has not. out[k] may be in[k] only if nothing is
 * divided away. Where one of two primes that share a limb is, the residues modulo each are taken
 * from the limb first. */
fhola_status ckks_divide_round(const ckks_context *c, ckks_workspace *ws, size_t count,
                               const ckks_poly out[], const ckks_poly in[]) FHOLA_WARN_UNUSED;

/* out = the centred representative of a polynomial given modulo one prime or limb. */
fhola_status ckks_lift(const ckks_context *c, ckks_workspace *ws, const ckks_poly *out,
                       const ckks_poly *in) FHOLA_WARN_UNUSED;

#endif
