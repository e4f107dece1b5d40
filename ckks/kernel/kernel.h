/* SPDX-License-Identifier: Apache-2.0 */
/* The one contract between the scheme and its arithmetic kernels.
 *
 * A kernel table is a const set of functions for one instruction set. Tables are bit-identical: for
 * equal inputs every function of every table writes equal outputs. All residues that cross this
 * interface are canonical, 0 <= x < p, in 64-bit words, except operands documented as packed.
 * "limb" means an array of n = 2^log_n residues modulo one prime, 64-byte aligned (log_n >= 3).
 *
 * Data order of the evaluation (NTT) form, the same for every table. Let br(i, k) reverse the k low
 * bits of i.
 *   log_n <  6: position i holds a(psi^(2 br(i, log_n) + 1)).
 *   log_n >= 6: inside each aligned block of 64 positions an 8 x 8 transpose follows: position
 *               64 b + 8 v + l holds what plain bit-reversed order has at 64 b + 8 l + v.
 *
 *     plain order in a block      stored order in a block
 *        0  1  2 ..  7               0  8 16 .. 56
 *        8  9 10 .. 15               1  9 17 .. 57
 *        ..                          ..
 *       56 57 58 .. 63               7 15 23 .. 63
 *
 * So a polynomial in X^g (g = 2, 4, 8) has equal values in g consecutive vectors of 8 positions,
 * and a packed limb of such a polynomial keeps one vector of each g.
 *
 * ckks_ntt_exponent() below is the normative formula.
 *
 * Operands are identical or disjoint. Functions are pure: they share no state and may run on
 * several threads at once.
 */
#ifndef CKKS_KERNEL_H
#define CKKS_KERNEL_H

#include <stddef.h>
#include <stdint.h>

#include "ckks/kernel/packed.h"
#include "ckks/status.h"

#define CKKS_MIN_LOG_N      4u
#define CKKS_MAX_LOG_N      17u
#define CKKS_MAX_PRIME_BITS 50u /* every prime is below 2^50 */
#define CKKS_MAX_TERMS      32u /* most terms of one inner product or combination */
#define CKKS_MAX_KERNELS    4u  /* tables of a build */
#define CKKS_MAX_SWITCHES   8u  /* most key switches of one inner product */

/* One modulus of a ring of degree n, a prime or the product of two that share a limb, with its
 * constants and the tables of the kernel that initialised it. Read-only after prime_init. A product
 * of primes that are 1 mod 2n serves as well as a prime: no function divides by anything but powers
 * of two and psi, which are units of either. */
typedef struct ckks_modulus {
    uint64_t p; /* prime, or a product of primes, = 1 mod 2n; 2n < p < 2^50 */
    /* primitive 2n-th root of unity modulo every prime of p: the smallest one, so that all tables
     * agree */
    uint64_t psi;
    double inverse; /* 1.0 / p, correctly rounded */
    unsigned bits;  /* bit length of p */
    unsigned width; /* bytes of a packed residue, 4 to 7 (packed.h) */
    unsigned log_n;
    /* the primes whose product it is, one bit each (ckks_basis); kernels do not look at it */
    uint64_t primes;
    /* owned by the kernel: twiddles, their companions and reduction constants */
    void *tables;
    void *tally; /* of a table that counts (tally.h), else NULL */
} ckks_modulus;

/* The name under which the kernels know it. */
typedef ckks_modulus ckks_prime;

/* Galois automorphism X -> X^g acting on evaluation form: (sigma a)[i] = a[source[i]]. A block of
 * 64 positions comes from one block of 64 (log_n >= 6): block[b] = source[64 b] keeps what
 * determines it close together. */
typedef struct ckks_automorphism {
    uint64_t g;             /* odd, below 2n */
    const uint32_t *source; /* n entries */
    const uint32_t *block;  /* n / 64 entries and a 0, right behind source (log_n >= 6) */
} ckks_automorphism;

/* What one key switch adds to an inner product: the digits of a polynomial under sigma (NULL: the
 * identity), each with its pair of packed key limbs, and two limbs (each may be NULL) that join
 * under sigma without a key. Key limbs are in the order of the result. */
typedef struct ckks_switch_term {
    const ckks_automorphism *sigma;
    size_t digits;
    const uint64_t *const *digit;
    const void *const *key0, *const *key1;
    const uint64_t *add0, *add1;
} ckks_switch_term;

typedef struct ckks_kernel {
    const char *name; /* "portable", "avx2", "avx512f", "avx512ifma" */

    /* Fills p->tables (and nothing else) for p->p, p->psi, p->log_n. NOMEM leaves p->tables
     * NULL. */
    fhola_status (*prime_init)(ckks_modulus *p);
    void (*prime_clear)(ckks_modulus *p);

    /* In place, `count` limbs of one prime (one twiddle table serves all). Coefficients are in
     * natural order. */
    void (*ntt_forward)(const ckks_modulus *p, uint64_t *const limbs[], size_t count);
    void (*ntt_inverse)(const ckks_modulus *p, uint64_t *const limbs[], size_t count);
    /* out = c times the inverse transform of one limb; the scalar costs nothing. out is in or
     * disjoint from it. */
    void (*ntt_inverse_scaled)(const ckks_modulus *p, uint64_t *out, const uint64_t *in,
                               uint64_t c);

    /* Element-wise on `count` residues; count is a multiple of 8. Scalars are canonical. */
    void (*add)(const ckks_modulus *p, uint64_t *out, const uint64_t *a, const uint64_t *b,
                size_t count);
    void (*sub)(const ckks_modulus *p, uint64_t *out, const uint64_t *a, const uint64_t *b,
                size_t count);
    void (*mul)(const ckks_modulus *p, uint64_t *out, const uint64_t *a, const uint64_t *b,
                size_t count);
    void (*mul_add)(const ckks_modulus *p, uint64_t *out, const uint64_t *acc, const uint64_t *a,
                    const uint64_t *b, size_t count);
    void (*add_scalar)(const ckks_modulus *p, uint64_t *out, const uint64_t *a, uint64_t c,
                       size_t count);
    void (*mul_scalar)(const ckks_modulus *p, uint64_t *out, const uint64_t *a, uint64_t c,
                       size_t count);
    void (*mul_scalar_add)(const ckks_modulus *p, uint64_t *out, const uint64_t *acc,
                           const uint64_t *a, uint64_t c, size_t count);
    /* out = (a - b) c : the last step of mod_down and rescale. */
    void (*sub_mul_scalar)(const ckks_modulus *p, uint64_t *out, const uint64_t *a,
                           const uint64_t *b, uint64_t c, size_t count);

    /* Tensor product of two ciphertexts: d0 = a0 b0, d1 = a0 b1 + a1 b0, d2 = a1 b1. (b0, b1) may
     * be (a0, a1). */
    void (*tensor)(const ckks_modulus *p, uint64_t *d0, uint64_t *d1, uint64_t *d2,
                   const uint64_t *a0, const uint64_t *a1, const uint64_t *b0, const uint64_t *b1,
                   size_t count);

    /* out = sigma(a) on whole limbs, out and a disjoint; out = acc + sigma(a) when acc is not NULL
     * (acc may be out). */
    void (*permute)(const ckks_modulus *p, uint64_t *out, const uint64_t *acc, const uint64_t *a,
                    const ckks_automorphism *sigma);

    /* Key-switch inner product on the positions from .. from + count - 1 of a limb, which are whole
     * blocks of 64 (or the whole limb, log_n < 6). Limbs of the terms are whole limbs; out0 and
     * out1 hold the `count` results only. k = 0, 1:
     *   out_k[j] = (accumulate ? out_k[j] : 0)
     *       + sum_t ( sum_d sigma_t(digit_td) * key_ktd + sigma_t(add_kt) * factor )[from + j].
     * At most CKKS_MAX_SWITCHES terms with CKKS_MAX_TERMS digits in all. Key limbs are packed:
     * words of p->width bytes (packed.h). The outputs are disjoint from
     * everything else. */
    void (*inner_product)(const ckks_modulus *p, uint64_t *out0, uint64_t *out1, size_t from,
                          size_t count, size_t terms, const ckks_switch_term term[],
                          uint64_t factor, int accumulate);

    /* Plaintext-ciphertext products on `count` positions, terms <= 4096:
     *   out_k = (accumulate ? out_k : 0) + sum_b plain[b] * x_k[b],  k = 0, 1.
     * The positions are a range of a limb that starts and ends at multiples of 64 (or a whole limb,
     * log_n < 6). Plaintext limbs are packed words of p->width bytes and compressed: a plaintext in
     * X^(2^log_gap), log_gap <= 3, holds n >> log_gap words, vector w (8 words) of the packed limb
     * standing for the 2^log_gap vectors from w << log_gap on (log_n >= 6; for log_n < 6 log_gap is
     * 0). x1 may be NULL: then only out0 is computed. */
    void (*plain_product)(const ckks_modulus *p, uint64_t *out0, uint64_t *out1, size_t count,
                          size_t terms, const void *const plain[], unsigned log_gap,
                          const uint64_t *const x0[], const uint64_t *const x1[], int accumulate);

    /* Linear combination with scalar weights, the heart of base conversion and of polynomial
     * evaluation:
     *   out[t][j] = sum_i weight[t][i] * y[i][j] mod primes[t],
     * weight[t][i] < p_t, y below 2^50 (any modulus), terms <= 32.
     * out[t] is disjoint from every y. */
    void (*combine)(const ckks_modulus *const primes[], size_t targets, uint64_t *const out[],
                    size_t terms, const uint64_t *const y[], const uint64_t *const weight[],
                    size_t count);

    /* Overflow of a centred base conversion: v[j] = floor( sum_i (double)y[i][j] * inverse[i] + 0.5
     * ), the sum taken in index order in IEEE double precision, each product rounded before it is
     * added (no FMA). */
    void (*overflow)(uint64_t *v, size_t terms, const uint64_t *const y[], const double inverse[],
                     size_t count);

    /* out = x mod p, canonical, for signed 64-bit x with |x| < 2^62. */
    void (*reduce_signed)(const ckks_modulus *p, uint64_t *out, const int64_t *x, size_t count);
} ckks_kernel;

/* A table whose functions have the names of its fields. */
#define CKKS_KERNEL_TABLE(title)                                                                   \
    {                                                                                              \
        .name = title, .prime_init = prime_init, .prime_clear = prime_clear,                       \
        .ntt_forward = ntt_forward, .ntt_inverse = ntt_inverse,                                    \
        .ntt_inverse_scaled = ntt_inverse_scaled, .add = add, .sub = sub, .mul = mul,              \
        .mul_add = mul_add, .add_scalar = add_scalar, .mul_scalar = mul_scalar,                    \
        .mul_scalar_add = mul_scalar_add, .sub_mul_scalar = sub_mul_scalar, .tensor = tensor,      \
        .permute = permute, .inner_product = inner_product, .plain_product = plain_product,        \
        .combine = combine, .overflow = overflow, .reduce_signed = reduce_signed                   \
    }

extern const ckks_kernel ckks_kernel_portable;
extern const ckks_kernel ckks_kernel_avx2;
extern const ckks_kernel ckks_kernel_avx512f;
extern const ckks_kernel ckks_kernel_avx512ifma;

/* The best table this machine can run, or the one called `name` (NULL: the environment's FHOLA_ISA,
 * else the best). PARAM names an unknown or impossible choice. */
fhola_status ckks_kernel_select(const ckks_kernel **out, const char *name) FHOLA_WARN_UNUSED;

/* All tables this build holds and this machine can run; returns their number, the best first. */
size_t ckks_kernel_list(const ckks_kernel *out[CKKS_MAX_KERNELS]);

/* Exponent e such that evaluation position i holds a(psi^e); the data order above. */
static inline uint32_t ckks_ntt_exponent(uint32_t i, unsigned log_n)
{
    uint32_t plain = log_n < 6 ? i : (i & ~63u) | (i & 7u) << 3 | (i >> 3 & 7u), reversed = 0;
    for (unsigned k = 0; k < log_n; k++) reversed |= (plain >> k & 1u) << (log_n - 1 - k);
    return 2 * reversed + 1;
}

#endif
