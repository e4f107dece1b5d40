/* SPDX-License-Identifier: Apache-2.0 */
/* What every operation needs to know about the ring, and the scratch memory it works in. */
#ifndef CKKS_CONTEXT_H
#define CKKS_CONTEXT_H

#include "ckks/fft.h"
#include "ckks/kernel/tally.h"
#include "ckks/params.h"

#define CKKS_BIT(i)       ((ckks_basis)1 << (i))
#define CKKS_MAX_SUBRINGS 3u /* plaintexts are compressed up to 8 times (kernel.h, plain_product) */

struct ckks_context {
    ckks_params params;
    const ckks_kernel *kernel;
    ckks_tally *tally; /* NULL, or whose table `kernel` is */
    unsigned log_n, log_slots;
    size_t n, slots;
    /* words from one limb of a polynomial to the next: n, staggered by an odd number of cache lines
     * in large rings */
    size_t stride;
    unsigned primes; /* chain + special */
    ckks_basis chain, special;
    /* Moduli of limbs, by number: the primes, then the products of two that share a limb. Each
     * modulus has the smallest root of each of its primes, so that the residues modulo a product
     * are, position by position, those modulo both. */
    unsigned moduli;
    ckks_basis part[CKKS_MAX_PRIMES]; /* the primes of a modulus */
    ckks_prime prime[CKKS_MAX_PRIMES];
    /* The same for the subrings of X^2, X^4, X^8 (degree n / 2^(k + 1)), in which repeated
     * plaintexts are encoded. */
    unsigned subrings;
    ckks_prime subring[CKKS_MAX_SUBRINGS][CKKS_MAX_PRIMES];
    uint64_t residue[CKKS_MAX_PRIMES][CKKS_MAX_PRIMES]; /* [i][t] = prime i mod modulus t */
    /* [i][t] = (prime i)^-1 mod modulus t, i not in t */
    uint64_t inverse[CKKS_MAX_PRIMES][CKKS_MAX_PRIMES];
    ckks_fft *fft;
};

/* A polynomial over a basis is a block of limbs in increasing order of their primes, `stride` words
 * apart: a limb for each prime, but one for two that share it (ckks_params). ckks_limb_list writes
 * the moduli of the limbs in that order and returns their number. */
unsigned ckks_limb_list(const ckks_context *c, ckks_basis basis, unsigned modulus[CKKS_MAX_PRIMES]);

static inline unsigned ckks_limb_count(const ckks_context *c, ckks_basis basis)
{
    return ckks_basis_limbs(&c->params, basis);
}

/* The primes of `basis` below those of modulus t. */
static inline ckks_basis ckks_basis_below(const ckks_context *c, ckks_basis basis, unsigned t)
{
    return basis & ((c->part[t] & (~c->part[t] + 1)) - 1);
}

/* Which limb of a polynomial over `basis` holds modulus t, or is shared by it with another
 * prime. */
static inline size_t ckks_limb_index(const ckks_context *c, ckks_basis basis, unsigned t)
{
    ckks_basis below = ckks_basis_below(c, basis, t);
    /* a prime below may be in this very limb */
    size_t shared = (below & c->params.shared) << 1 & c->part[t] ? 1 : 0;
    return ckks_limb_count(c, below) - shared;
}

static inline uint64_t *ckks_limb(const ckks_context *c, uint64_t *poly, ckks_basis basis,
                                  unsigned t)
{
    return poly + ckks_limb_index(c, basis, t) * c->stride;
}

static inline const uint64_t *ckks_limb_const(const ckks_context *c, const uint64_t *poly,
                                              ckks_basis basis, unsigned t)
{
    return poly + ckks_limb_index(c, basis, t) * c->stride;
}

/* Nonzero if a polynomial over `basis` has prime t only in a limb that it shares: its residues must
 * then be reduced. */
static inline int ckks_limb_shared(const ckks_context *c, ckks_basis basis, unsigned t)
{
    return !ckks_basis_same_limbs(&c->params, c->part[t], basis);
}

#define CKKS_RANGE 512u /* positions reduced at a time */

/* Positions to work on at a time, of the n of a limb modulo t of a polynomial over `basis`, so that
 * CKKS_RANGE words are room enough for ckks_limb_range. */
static inline size_t ckks_range_length(const ckks_context *c, ckks_basis basis, unsigned t)
{
    return ckks_limb_shared(c, basis, t) && c->n > CKKS_RANGE ? CKKS_RANGE : c->n;
}

/* Residues modulo t of `count` words of a limb that t shares, a multiple of 8; returns room. */
const uint64_t *ckks_limb_reduce(const ckks_context *c, unsigned t, const uint64_t *limb,
                                 size_t count, uint64_t *room);

/* Residues modulo t at the positions from .. from + count - 1 of a polynomial over `basis`: where
 * they are, or reduced into `room` if the limb is shared. count is a multiple of 8. */
const uint64_t *ckks_limb_range(const ckks_context *c, const uint64_t *poly, ckks_basis basis,
                                unsigned t, size_t from, size_t count, uint64_t *room);

/* Product of the primes of `basis` modulo modulus t (0 if it holds all primes of t), and the
 * inverse of that product (no prime of t in it). */
uint64_t ckks_product_mod(const ckks_context *c, ckks_basis basis, unsigned t);
uint64_t ckks_product_inverse_mod(const ckks_context *c, ckks_basis basis, unsigned t);

/* Fills `sigma` with the table of X -> X^g; the caller frees sigma->source with ckks_free. */
fhola_status ckks_automorphism_create(ckks_automorphism *sigma, const ckks_context *c,
                                      uint64_t g) FHOLA_WARN_UNUSED;
/* Galois element of a rotation by `rotation` slots to the left: 5^rotation mod 2N. */
uint64_t ckks_galois_element(const ckks_context *c, uint32_t rotation);

/* Number of threads a parallel region will use. */
unsigned ckks_threads(void);

#endif
