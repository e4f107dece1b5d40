/* SPDX-License-Identifier: Apache-2.0 */
/* Base conversion between sets of primes, and division by primes (rescale, mod_down). */
#ifndef CKKS_RNS_H
#define CKKS_RNS_H

#include "ckks/workspace.h"

/* A polynomial prepared for conversion: y_i = x_i (D / d_i)^-1 mod d_i in coefficient form for
 * every limb d_i of `from` (D their product), and the overflow v = round(sum y_i / d_i), so that
 * the centred x is sum y_i (D / d_i) - v D exactly (up to ties that double precision cannot tell
 * apart). */
typedef struct ckks_conversion {
    ckks_basis from;
    unsigned terms;                    /* limbs of `from` + 1 */
    const uint64_t *y[CKKS_MAX_TERMS]; /* the last is v */
    uint64_t *v;
} ckks_conversion;

/* limbs: coefficient form over `from` (block of limbs, overwritten by y); v: one limb. `from` has
 * at most CKKS_MAX_TERMS - 1 limbs. */
void ckks_conversion_init(ckks_conversion *conversion, const ckks_context *c, ckks_basis from,
                          uint64_t *limbs, uint64_t *v);
/* The same in two steps, for limbs that are scaled to y already: describe each polynomial, then
 * compute the overflows of all of them. */
void ckks_conversion_set(ckks_conversion *conversion, const ckks_context *c, ckks_basis from,
                         const uint64_t *limbs, uint64_t *v);
void ckks_conversion_overflows(const ckks_conversion *conversion, size_t count,
                               const ckks_context *c);
/* (D / d_i)^-1 mod d_i, the factor that scales limb i. */
uint64_t ckks_conversion_factor(const ckks_context *c, ckks_basis from, unsigned i);
/* Residues of the centred polynomial modulo each target, in coefficient form. Serial: callers
 * parallelise over targets. */
void ckks_conversion_apply(const ckks_conversion *conversion, const ckks_context *c,
                           const unsigned target[], size_t targets, uint64_t *const out[]);

/* out = round(in / D) for `count` polynomials in evaluation form over `basis`, D the product of the
 * primes outside `remaining`. out has the limbs of `remaining` (a nonempty subset) and may be the
 * same block as in only if basis == remaining. Where one of two primes that share a limb is divided
 * away, the residues modulo each are taken from the limb first. */
fhola_status ckks_divide_round(const ckks_context *c, ckks_workspace *ws, uint64_t *const out[],
                               const uint64_t *const in[], size_t count, ckks_basis basis,
                               ckks_basis remaining) FHOLA_WARN_UNUSED;

#endif
