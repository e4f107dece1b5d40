/* SPDX-License-Identifier: Apache-2.0 */
/* Hybrid key switching, taken apart so that callers can hoist and fuse: decompose once, take inner
 * products with as many keys as wanted, then divide by the special primes (rns.h).
 *
 * Noise: with digits of product below P 2^-3.9 the added error is about sqrt(N d) sigma D / P plus
 * the rounding of the division. */
#ifndef CKKS_KEYSWITCH_H
#define CKKS_KEYSWITCH_H

#include "ckks/scheme/keys.h"

/* The digits of one polynomial raised to its basis and the special primes of a key (mod_up). */
typedef struct ckks_decomposition {
    ckks_basis basis, special;
    unsigned digits;
    ckks_basis part[CKKS_MAX_DIGITS];    /* primes of each digit, of those of basis */
    unsigned key_digit[CKKS_MAX_DIGITS]; /* which digit of the key each one is */
    /* over basis and special. Modulo its own primes a digit is the polynomial itself, whose limbs
     * serve; the others are in coefficient form until they are transformed. */
    ckks_poly *digit;
    bool transformed;
} ckks_decomposition;

/* Decomposes `count` polynomials of one basis for keys shaped like `key`. Memory comes from the
 * workspace and lives until the caller's mark is released; the polynomials must live as long. */
fhola_status ckks_decompose(const ckks_context *c, ckks_workspace *ws, size_t count,
                            ckks_decomposition out[], const ckks_switch_key *key,
                            const ckks_poly polynomial[]) FHOLA_WARN_UNUSED;
/* A polynomial over basis and special primes of `key` as its only digit. */
void ckks_decomposition_of_one(ckks_decomposition *out, const ckks_switch_key *key,
                               ckks_basis basis, ckks_poly *polynomial);

/* KEY unless `key` has the digits the decomposition was made for. */
fhola_status ckks_decomposition_check(const ckks_context *c, const ckks_decomposition *d,
                                      const ckks_switch_key *key) FHOLA_WARN_UNUSED;

/* One key switch: sigma(sum over digits) times the key, sigma the key's automorphism. add0 and add1
 * (each may be NULL) join the two results under sigma; over the special primes too they join as
 * they are, else multiplied by P, as part of what is divided by P later. */
typedef struct ckks_switch {
    const ckks_decomposition *of;
    const ckks_switch_key *key;
    const ckks_poly *add0, *add1;
} ckks_switch;

/* Sets out[2 k], out[2 k + 1] to switch k, of decompositions of one basis; keys that follow each
 * other are read once if they are the same. */
void ckks_switch_each(const ckks_context *c, size_t count, const ckks_poly out[],
                      const ckks_switch s[]);
/* Adds all of at most CKKS_MAX_SWITCHES switches, with at most CKKS_MAX_TERMS digits, to out[0],
 * out[1]: of as many decompositions. */
void ckks_switch_sum(const ckks_context *c, size_t count, const ckks_poly out[2],
                     const ckks_switch s[]);

/* The same piece by piece. Transforms limb i of the digits, unless that was done for all: once for
 * each limb. */
void ckks_decomposition_transform(const ckks_context *c, const ckks_decomposition *d, unsigned i);
/* Positions from .. from + words - 1 of limb i of the sum of `count` switches: out0 and out1 are
 * where they go; added to what is there with `accumulate`. */
void ckks_switch_range(const ckks_context *c, size_t count, const ckks_switch s[], unsigned i,
                       size_t from, size_t words, uint64_t *out0, uint64_t *out1, bool accumulate);

/* Whole key switch of `polynomial` without the final division: out[0], out[1] over its basis and
 * the key's special primes. */
fhola_status ckks_key_switch(const ckks_context *c, ckks_workspace *ws, const ckks_switch_key *key,
                             const ckks_poly *add0, const ckks_poly *add1,
                             const ckks_poly *polynomial, const ckks_poly out[2]) FHOLA_WARN_UNUSED;

#endif
