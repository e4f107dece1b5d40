/* SPDX-License-Identifier: Apache-2.0 */
/* What every operation needs to know about the ring: its moduli, and the tables of the kernel for
 * each. */
#ifndef CKKS_RING_H
#define CKKS_RING_H

#include "ckks/kernel/tally.h"
#include "ckks/ring/basis.h"
#include "ckks/ring/fft.h"
#include "ckks/ring/modular.h"

#define CKKS_MAX_SUBRINGS 3u /* plaintexts are compressed up to 8 times (kernel.h, plain_product) */

struct ckks_context {
    ckks_params *params; /* of the scheme, which the context owns; nothing to the ring */
    const ckks_kernel *kernel;
    ckks_tally *tally; /* NULL: nothing is counted */
    unsigned threads;  /* of a parallel region, see ckks_context_threads; 0: as OpenMP says */
    unsigned log_n, log_slots;
    size_t n, slots;
    /* words from one limb of a polynomial to the next: n, staggered by an odd number of cache lines
     * in large rings */
    size_t stride;
    unsigned primes; /* chain + special */
    ckks_basis chain, special;
    ckks_basis shared; /* bit i: primes i and i + 1 share a limb while both are there */
    /* Moduli of limbs, by number: the primes, then the products of two that share a limb. Each
     * modulus has the smallest root of each of its primes, so that the residues modulo a product
     * are, position by position, those modulo both. */
    unsigned moduli;
    ckks_modulus modulus[CKKS_MAX_PRIMES];
    /* The same for the subrings of X^2, X^4, X^8 (degree n / 2^(k + 1)), in which repeated
     * plaintexts are encoded. */
    unsigned subrings;
    ckks_modulus subring[CKKS_MAX_SUBRINGS][CKKS_MAX_PRIMES];
    uint64_t residue[CKKS_MAX_PRIMES][CKKS_MAX_PRIMES]; /* [i][t] = prime i mod modulus t */
    /* [i][t] = (prime i)^-1 mod modulus t, i not in t */
    uint64_t inverse[CKKS_MAX_PRIMES][CKKS_MAX_PRIMES];
    ckks_fft *fft;
};

/* The primes of a ring: those of the chain, bottom to top, then the special ones. */
typedef struct ckks_ring_primes {
    unsigned log_n, chain, special;
    const uint64_t *prime;
    ckks_basis shared;
} ckks_ring_primes;

/* An empty context with the tables of these moduli. A tally (of ckks_alloc; or NULL) belongs to the
 * context unless this fails. */
fhola_status ckks_ring_create(ckks_context **out, const ckks_ring_primes *primes,
                              const ckks_kernel *kernel, ckks_tally *tally) FHOLA_WARN_UNUSED;
void ckks_ring_destroy(ckks_context *c);

/* The limbs of a polynomial over `basis` are in increasing order of their primes: a limb for each,
 * but one for two that share it (ckks_params). Writes the moduli of the limbs in that order and
 * returns their number. */
unsigned ckks_limb_list(const ckks_context *c, ckks_basis basis, unsigned modulus[CKKS_MAX_PRIMES]);

static inline unsigned ckks_limb_count(const ckks_context *c, ckks_basis basis)
{
    return ckks_basis_limbs(c->shared, basis);
}

/* The primes of `basis` below those of modulus t. */
static inline ckks_basis ckks_basis_below(const ckks_context *c, ckks_basis basis, unsigned t)
{
    ckks_basis primes = c->modulus[t].primes;
    return basis & ((primes & (~primes + 1)) - 1);
}

/* What a scale becomes when the primes of `divisor` are divided away, one after the other from the
 * lowest up. */
double ckks_scale_divided(const ckks_context *c, double scale, ckks_basis divisor);
/* Half the product of the primes of `basis`, or less by at most 2^-40 of it: integers below it in
 * size do not wrap modulo the product. Infinite where no double is as large. */
double ckks_half_modulus(const ckks_context *c, ckks_basis basis);
/* Product of the primes of `basis` modulo modulus t (0 if it holds all primes of t), and the
 * inverse of that product (no prime of t in it). */
uint64_t ckks_product_mod(const ckks_context *c, ckks_basis basis, unsigned t);
uint64_t ckks_product_inverse_mod(const ckks_context *c, ckks_basis basis, unsigned t);

/* Fills `sigma` with the table of X -> X^g; the caller frees sigma->source with ckks_free. */
fhola_status ckks_automorphism_create(ckks_automorphism *sigma, const ckks_context *c,
                                      uint64_t g) FHOLA_WARN_UNUSED;
/* Galois element of a rotation by `rotation` slots to the left: 5^rotation mod 2N. */
uint64_t ckks_galois_element(const ckks_context *c, uint32_t rotation);

#endif
