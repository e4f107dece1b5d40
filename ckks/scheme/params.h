/* SPDX-License-Identifier: Apache-2.0 */
/* Parameter sets: primes by role, digits, security checks. */
#ifndef CKKS_PARAMS_H
#define CKKS_PARAMS_H

#include "ckks/ckks.h"
#include "ckks/ring/basis.h"

/* Bits by which the special modulus must exceed a digit, up to the rounding of primes to powers of
 * two. */
#define CKKS_DIGIT_MARGIN 3.9

/* Least Hamming weight of an ephemeral secret: below, its modulus has no bound that holds. */
#define CKKS_LEAST_WEIGHT 32u

struct ckks_params {
    ckks_params_spec spec;
    unsigned chain, special;         /* primes */
    uint64_t prime[CKKS_MAX_PRIMES]; /* chain bottom to top, then special */
    double log2_prime[CKKS_MAX_PRIMES];
    /* bit i: primes i and i + 1 share a limb while both are there */
    ckks_basis shared;
    unsigned digits;
    /* partition of the chain when one digit does not suffice */
    ckks_basis digit[CKKS_MAX_DIGITS];
    uint64_t hash;
};

/* Least degree of a small ring, a shrunk ciphertext being packed eight coefficients at a time. */
#define CKKS_LEAST_LOG_DEGREE 3u
/* Largest modulus of keys with 128-bit security in a ring of degree 2^log_n, in bits; 0: none. */
double ckks_log2_cap(unsigned log_n);

/* The hash from primes, roles and digits as they are. */
uint64_t ckks_params_hash_make(const ckks_params *params);

#endif
