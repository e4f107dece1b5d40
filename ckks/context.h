/* SPDX-License-Identifier: Apache-2.0 */
/* What every operation needs to know about the ring, and the scratch memory it works in. */
#ifndef CKKS_CONTEXT_H
#define CKKS_CONTEXT_H

#include "ckks/fft.h"
#include "ckks/kernel/tally.h"
#include "ckks/params.h"

#define CKKS_BIT(i) ((ckks_basis)1 << (i))
#define CKKS_MAX_SUBRINGS 3u /* plaintexts are compressed up to 8 times (kernel.h, plain_product) */

struct ckks_context {
    ckks_params params;
    const ckks_kernel *kernel;
    ckks_tally *tally; /* NULL, or whose table `kernel` is */
    unsigned log_n, log_slots;
    size_t n, slots;
    size_t stride; /* words from one limb of a polynomial to the next: n, staggered by an odd number of cache lines in large rings */
    unsigned primes;                /* chain + special */
    ckks_basis chain, special;
    ckks_prime prime[CKKS_MAX_PRIMES];
    /* The same primes for the subrings of X^2, X^4, X^8 (degree n / 2^(k + 1)), in which repeated plaintexts are encoded. */
    unsigned subrings;
    ckks_prime subring[CKKS_MAX_SUBRINGS][CKKS_MAX_PRIMES];
    uint64_t residue[CKKS_MAX_PRIMES][CKKS_MAX_PRIMES]; /* [i][t] = prime i mod prime t */
    uint64_t inverse[CKKS_MAX_PRIMES][CKKS_MAX_PRIMES]; /* [i][t] = (prime i)^-1 mod prime t, i != t */
    ckks_fft *fft;
};

/* A polynomial over a basis is a block of limbs in increasing order of prime index, `stride` words apart. */
static inline size_t ckks_limb_index(ckks_basis basis, unsigned prime)
{
    size_t n = 0;
    for (ckks_basis below = basis & (CKKS_BIT(prime) - 1); below; below &= below - 1) n++;
    return n;
}

static inline uint64_t *ckks_limb(const ckks_context *c, uint64_t *poly, ckks_basis basis, unsigned prime)
{
    return poly + ckks_limb_index(basis, prime) * c->stride;
}

static inline const uint64_t *ckks_limb_const(const ckks_context *c, const uint64_t *poly, ckks_basis basis, unsigned prime)
{
    return poly + ckks_limb_index(basis, prime) * c->stride;
}

/* Product of the primes of `basis` modulo prime t (t may be in it: then 0), and the inverse of that product (t not in it). */
uint64_t ckks_product_mod(const ckks_context *c, ckks_basis basis, unsigned t);
uint64_t ckks_product_inverse_mod(const ckks_context *c, ckks_basis basis, unsigned t);

/* Fills `sigma` with the table of X -> X^g; the caller frees sigma->source with ckks_free. */
fhola_status ckks_automorphism_create(ckks_automorphism *sigma, const ckks_context *c, uint64_t g) FHOLA_WARN_UNUSED;
/* Galois element of a rotation by `rotation` slots to the left: 5^rotation mod 2N. */
uint64_t ckks_galois_element(const ckks_context *c, uint32_t rotation);

/* Number of threads a parallel region will use. */
unsigned ckks_threads(void);

#endif
