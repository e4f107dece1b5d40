/* SPDX-License-Identifier: Apache-2.0 */
/* Polynomials modulo the primes of a basis: limbs, each modulo one prime or the product of two that
 * share it. Operations know ranges, shared limbs, threads and which primes their operands have;
 * callers write formulas. Evaluation form unless said otherwise. */
#ifndef CKKS_POLY_H
#define CKKS_POLY_H

#include "ckks/ring/workspace.h"

typedef struct ckks_poly {
    ckks_basis basis; /* 0: no polynomial */
    unsigned limbs;
    unsigned char modulus[CKKS_MAX_PRIMES]; /* of each limb, its number in the context */
    uint64_t *limb[CKKS_MAX_PRIMES];        /* n words each; wherever they are */
} ckks_poly;

/* A polynomial over `basis` whose limbs follow each other in `block`; NULL for limbs that the
 * caller points elsewhere. */
void ckks_poly_lay(ckks_poly *out, const ckks_context *c, ckks_basis basis, uint64_t *block);
/* What such a block holds. */
size_t ckks_poly_bytes(const ckks_context *c, ckks_basis basis);

/* `count` polynomials of the workspace; NULL (with the detail message) when there is no memory. */
ckks_poly *ckks_poly_take(ckks_workspace *ws, size_t count, ckks_basis basis);

/* The limb modulo t, or NULL if p has none of its own for it. */
uint64_t *ckks_poly_limb(const ckks_poly *p, unsigned t);

/* ---- residues modulo one modulus ---- */

#define CKKS_RANGE 512u /* positions reduced at a time */

/* Number of the limb that has modulus t, or that t shares with another prime. */
unsigned ckks_poly_index(const ckks_context *c, const ckks_poly *p, unsigned t);

/* Positions to work on at a time, of the n of a limb, so that CKKS_RANGE words are room enough for
 * ckks_poly_range. */
size_t ckks_poly_step(const ckks_context *c, const ckks_poly *p, unsigned t);

/* Residues modulo t at the positions from .. from + count - 1, a multiple of 8: where they are, or
 * reduced into `room` if p has t in a limb shared with another prime only. */
const uint64_t *ckks_poly_range(const ckks_context *c, const ckks_poly *p, unsigned t, size_t from,
                                size_t count, uint64_t *room);
/* The same of one limb that t shares; returns room. */
const uint64_t *ckks_limb_reduce(const ckks_context *c, unsigned t, const uint64_t *limb,
                                 size_t count, uint64_t *room);

/* ---- arithmetic ----
 *
 * On `count` polynomials at once, out[k] from a[k] and b[k]. The result is over the basis of out,
 * the same for all; operands have at least its primes (LEVEL), in limbs of their own or shared
 * ones. Operands are the results or disjoint from them. */

fhola_status ckks_poly_add(const ckks_context *c, size_t count, const ckks_poly out[],
                           const ckks_poly a[], const ckks_poly b[]) FHOLA_WARN_UNUSED;
fhola_status ckks_poly_sub(const ckks_context *c, size_t count, const ckks_poly out[],
                           const ckks_poly a[], const ckks_poly b[]) FHOLA_WARN_UNUSED;
fhola_status ckks_poly_mul(const ckks_context *c, size_t count, const ckks_poly out[],
                           const ckks_poly a[], const ckks_poly b[]) FHOLA_WARN_UNUSED;
/* Where out's limbs are a's of a larger basis, they have moved down only. */
fhola_status ckks_poly_copy(const ckks_context *c, size_t count, const ckks_poly out[],
                            const ckks_poly a[]) FHOLA_WARN_UNUSED;
fhola_status ckks_poly_mul_integer(const ckks_context *c, size_t count, const ckks_poly out[],
                                   const ckks_poly a[], int64_t factor) FHOLA_WARN_UNUSED;
/* The same by an integer given as a double: any finite one, rounded to nearest. */
fhola_status ckks_poly_mul_whole(const ckks_context *c, size_t count, const ckks_poly out[],
                                 const ckks_poly a[], double factor) FHOLA_WARN_UNUSED;
/* Adds a constant, an integer given as a double: any finite one, rounded to nearest. */
void ckks_poly_add_integer(const ckks_context *c, const ckks_poly *out, double x);

/* Modulo t alone: out += factor p, out a limb. */
void ckks_poly_mul_add_limb(const ckks_context *c, uint64_t *out, const ckks_poly *p, unsigned t,
                            uint64_t factor);
/* d = (a0 b0, a0 b1 + a1 b0, a1 b1), limb i of it, or d + that. */
void ckks_poly_tensor_limb(const ckks_context *c, const ckks_poly d[3], const ckks_poly a[2],
                           const ckks_poly b[2], unsigned i, bool accumulate);

/* An integer given as a double, any finite one, rounded to nearest: modulo t. Whoever needs the
 * integer itself, not its residue, compares it with ckks_half_modulus. */
uint64_t ckks_integer_mod(const ckks_context *c, double x, unsigned t);

#endif
