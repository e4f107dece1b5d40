/* SPDX-License-Identifier: Apache-2.0 */
/* Random generators and the distributions of CKKS: public uniform residues, ternary and sparse
 * ternary secrets, errors. Internal.
 *
 * The three secret samplers use no branch and no memory index that depends on the values they
 * draw. */
#ifndef CKKS_SAMPLE_H
#define CKKS_SAMPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ckks/ring/chacha20.h"
#include "ckks/status.h"

#define CKKS_SEED_BYTES 32u
#define CKKS_ERROR_BITS                                                                            \
    21u /* bits of each sign in an error coefficient, so errors lie in [-21, 21] */
#define CKKS_ERROR_VARIANCE 10.5 /* CKKS_ERROR_BITS / 2; standard deviation 3.24 */

/* A secret generator: the ChaCha20 key stream of a 32-byte key with an all-zero nonce. Belongs to
 * one caller at a time. */
typedef struct ckks_rng {
    ckks_chacha20 stream;
    bool from_system; /* its key, not a caller's seed */
} ckks_rng;

/* Keys the generator with 32 bytes of getentropy(3). IO if the system gives none; the generator is
 * then erased. */
fhola_status ckks_rng_from_os(ckks_rng *rng) FHOLA_WARN_UNUSED;

/* Keys a generator that the system has keyed anew, and leaves one of a caller's seed as it is. Each
 * operation that draws secrets begins with it: the processes on both sides of a fork() then draw
 * different ones, and who learns a generator's state learns nothing of later operations. IO if the
 * system gives no bytes; the operation must fail then. */
fhola_status ckks_rng_renew(ckks_rng *rng) FHOLA_WARN_UNUSED;

/* Keys the generator with the given seed. Equal seeds give equal bytes: for tests only, never for
 * keys in use. */
void ckks_rng_from_seed(ckks_rng *rng, const uint8_t seed[CKKS_SEED_BYTES]);

/* Writes the next `len` bytes. */
void ckks_rng_bytes(ckks_rng *rng, void *out, size_t len);

/* Erases the generator; it must be keyed again before any use. */
void ckks_rng_clear(ckks_rng *rng);

/* Keys `child` with the next 32 bytes of `rng`. Neither generator's later bytes tell anything about
 * the other's, so each thread can have a child of its own, and results depend on the order of these
 * calls only. `child` is not `rng`. */
void ckks_rng_child(ckks_rng *rng, ckks_rng *child);

/* Writes 32 bytes that the generator does not give otherwise, and leaves it where it is: of the key
 * stream of the same key under another nonce, from the same block on. So two calls give the same
 * bytes unless the generator has gone on by a batch of blocks in between. */
void ckks_rng_aside(const ckks_rng *rng, uint8_t seed[CKKS_SEED_BYTES]);

/* Keys the generator with a secret seed that stands for several streams: number `stream` of them,
 * not 0. */
void ckks_rng_from_stream(ckks_rng *rng, const uint8_t seed[CKKS_SEED_BYTES], uint64_t stream);

/* Public randomness: writes n residues, uniform in [0, p), 1 <= p < 2^63, as a function of (seed,
 * stream, p, n) alone.
 *
 * Construction, for another implementation to follow: take the ChaCha20 key stream (RFC 8439) with
 * key = seed, nonce = four zero bytes and then `stream` as 8 bytes little-endian, block counter
 * from 0. Cut it into little-endian words, of 32 bits if p < 2^32 and of 64 bits otherwise. Keep
 * the low b bits of each word, b being the bit length of p - 1. The residues are, in order, those
 * of these numbers that are below p. So a shorter n gives a prefix of a longer one.
 *
 * Residues of two calls that share seed and stream are related, also if p differs: give every
 * polynomial and every prime under one seed a stream number of its own. The seed is public, so time
 * and memory accesses may depend on it. */
void ckks_sample_uniform(uint64_t *out, size_t n, uint64_t p, const uint8_t seed[CKKS_SEED_BYTES],
                         uint64_t stream);

/* Writes n independent values, uniform in {-1, 0, 1}: floor(3 r / 2^64) - 1 for a 64-bit random r,
 * which misses each of the three probabilities by less than 2^-64. */
void ckks_sample_ternary(int8_t *out, size_t n, ckks_rng *rng);

/* Writes n values of which exactly min(weight, n) are +1 or -1, with independent uniform signs, and
 * the others 0; n <= 2^31.
 *
 * The set of positions is uniform: Floyd's algorithm (Bentley and Floyd, "A sample of brilliance",
 * CACM 30(9), 1987), which for j = n - weight, ..., n - 1 draws t in [0, j] and takes position t,
 * or j if t is taken already. Reading position t and writing the new one each go over all n
 * entries, so no address depends on a position. t = floor((j + 1) r / 2^128) with r of 128 bits:
 * the statistical distance from uniform is below weight n / 2^128. Time grows as weight n. */
void ckks_sample_sparse_ternary(int8_t *out, size_t n, unsigned weight, ckks_rng *rng);

/* Writes n independent errors of the centred binomial distribution: the number of ones among
 * CKKS_ERROR_BITS random bits minus the number among CKKS_ERROR_BITS others. Mean 0, variance
 * CKKS_ERROR_VARIANCE. */
void ckks_sample_error(int8_t *out, size_t n, ckks_rng *rng);

#endif
