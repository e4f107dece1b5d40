/* SPDX-License-Identifier: Apache-2.0 */
/* Modular arithmetic on single 64-bit words, shared by the kernels: reference code, small rings,
 * table building.
 *
 * Bounds, for an odd prime p < 2^50 of b bits (2^(b-1) < p < 2^b):
 *   mu    = floor(2^(b+63) / p), in (2^63, 2^64)
 *   mu64  = floor(2^64 / p)
 * Barrett, x < 2^64:    q = floor(x mu64 / 2^64) loses x (2^64/p - mu64) / 2^64 < 1 and a floor, so
 *                       x - q p is in [0, 2p).
 * Barrett, x < 2^(2b):  x1 = floor(x / 2^(b-1)) < 2^(b+1), q = floor(x1 mu / 2^64). The three
 *                       roundings lose less than mu/2^64 + x1/2^64 + 1 < 3, so x - q p is in
 *                       [0, 3p).
 * Shoup, any x < 2^64:  companion w' = floor(w 2^64 / p), q = floor(x w' / 2^64): x w - q p is in
 *                       [0, p + x p / 2^64), inside [0, 2p). */
#ifndef CKKS_KERNEL_SCALAR_H
#define CKKS_KERNEL_SCALAR_H

#include <stdint.h>

__extension__ typedef unsigned __int128 ckks_u128;

typedef struct scalar_modulus {
    uint64_t p;
    uint64_t mu;         /* floor(2^(bits+63) / p) */
    uint64_t mu64;       /* floor(2^64 / p) */
    uint64_t two64;      /* 2^64 mod p */
    uint64_t two64_comp; /* its Shoup companion */
    uint64_t offset;     /* least multiple of p not below 2^62: makes signed words non-negative */
    unsigned bits;
} scalar_modulus;

static inline uint64_t scalar_high(uint64_t a, uint64_t b)
{
    return (uint64_t)((ckks_u128)a * b >> 64);
}

/* x below 2m to x below m, without a branch. */
static inline uint64_t scalar_fold(uint64_t x, uint64_t m)
{
    uint64_t y = x - m;
    return y > x ? x : y;
}

static inline uint64_t scalar_add(uint64_t a, uint64_t b, uint64_t p)
{
    return scalar_fold(a + b, p);
}

static inline uint64_t scalar_sub(uint64_t a, uint64_t b, uint64_t p)
{
    uint64_t d = a - b;
    return d + (a < b ? p : 0);
}

/* Any x to [0, 2p). */
static inline uint64_t scalar_reduce_lazy(uint64_t x, const scalar_modulus *m)
{
    return x - scalar_high(x, m->mu64) * m->p;
}

static inline uint64_t scalar_reduce(uint64_t x, const scalar_modulus *m)
{
    return scalar_fold(scalar_reduce_lazy(x, m), m->p);
}

/* Product of residues, or any x < 2^(2 bits). */
static inline uint64_t scalar_reduce_product(ckks_u128 x, const scalar_modulus *m)
{
    uint64_t q = scalar_high((uint64_t)(x >> (m->bits - 1)), m->mu);
    return scalar_fold(scalar_fold((uint64_t)x - q * m->p, m->p), m->p);
}

static inline uint64_t scalar_mul(uint64_t a, uint64_t b, const scalar_modulus *m)
{
    return scalar_reduce_product((ckks_u128)a * b, m);
}

/* x w in [0, 2p), w' the companion of w. */
static inline uint64_t scalar_mul_lazy(uint64_t x, uint64_t w, uint64_t comp, uint64_t p)
{
    return x * w - scalar_high(x, comp) * p;
}

/* Any x < 2^128: high word times 2^64 in [0, 2p) plus low word in [0, 2p). */
static inline uint64_t scalar_reduce_wide(ckks_u128 x, const scalar_modulus *m)
{
    uint64_t r = scalar_mul_lazy((uint64_t)(x >> 64), m->two64, m->two64_comp, m->p) +
                 scalar_reduce_lazy((uint64_t)x, m);
    return scalar_fold(scalar_fold(r, 2 * m->p), m->p);
}

/* floor(w 2^64 / p) for w < p: w mu / 2^(b-1) falls short by less than w/2^(b-1) + 1 < 3; the
 * remainder tells. */
static inline uint64_t scalar_companion(uint64_t w, const scalar_modulus *m)
{
    uint64_t q = (uint64_t)((ckks_u128)w * m->mu >> (m->bits - 1)), r = 0 - q * m->p;
    for (int i = 0; i < 3; i++) {
        uint64_t over = r >= m->p;
        q += over;
        r -= over ? m->p : 0;
    }
    return q;
}

static inline void scalar_modulus_set(scalar_modulus *m, uint64_t p)
{
    m->p = p;
    m->bits = 0;
    while (p >> m->bits) m->bits++;
    m->mu = (uint64_t)(((ckks_u128)1 << (m->bits + 63)) / p);
    m->mu64 = (uint64_t)(((ckks_u128)1 << 64) / p);
    m->two64 = (uint64_t)(((ckks_u128)1 << 64) % p);
    m->two64_comp = scalar_companion(m->two64, m);
    m->offset = ((((uint64_t)1 << 62) + p - 1) / p) * p;
}

static inline uint64_t scalar_power(uint64_t base, uint64_t exponent, const scalar_modulus *m)
{
    uint64_t result = 1;
    for (; exponent; exponent >>= 1, base = scalar_mul(base, base, m))
        if (exponent & 1) result = scalar_mul(result, base, m);
    return result;
}

/* 2^-log_n modulo p = 1 mod 2^log_n, which need not be a prime: n (p - (p - 1) / n) = n p - p +
 * 1. */
static inline uint64_t scalar_inverse_of_degree(uint64_t p, unsigned log_n)
{
    return p - ((p - 1) >> log_n);
}

static inline uint32_t scalar_reverse(uint32_t i, unsigned bits)
{
    uint32_t r = 0;
    for (unsigned k = 0; k < bits; k++) r |= (i >> k & 1u) << (bits - 1 - k);
    return r;
}

/* w[i] = psi^br(i) for i < n: the twiddles of the negacyclic transform; the butterflies of group i
 * of m groups use w[m + i]. */
static inline void scalar_twiddles(uint64_t *w, uint64_t psi, unsigned log_n,
                                   const scalar_modulus *m)
{
    uint64_t power = psi;
    w[0] = 1;
    /* w[2^k] = psi^(n / 2^(k+1)), found by squaring from the bottom; then w[2^k + j] = w[2^k]
     * w[j]. */
    for (unsigned k = log_n; k-- > 0; power = scalar_mul(power, power, m))
        w[(uint32_t)1 << k] = power;
    for (unsigned k = 1; k < log_n; k++) {
        uint32_t top = (uint32_t)1 << k;
        for (uint32_t j = 1; j < top; j++) w[top + j] = scalar_mul(w[top], w[j], m);
    }
}

#endif
