/* SPDX-License-Identifier: Apache-2.0 */
#define _DEFAULT_SOURCE /* getentropy */
#include "ckks/ring/sample.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "ckks/ckks.h" /* ckks_declassify */

#define CHUNK_WORDS 128u /* random 64-bit words drawn at a time: one batch of the key stream */

static const uint8_t zero_nonce[CKKS_CHACHA20_NONCE_BYTES];

fhola_status ckks_rng_from_os(ckks_rng *rng)
{
    uint8_t key[CKKS_SEED_BYTES];
    rng->from_system = true; /* also when it fails: to be keyed before any use, not forgotten */
    /* getentropy gives all bytes or none, and every system has it: getrandom is Linux's alone */
    if (getentropy(key, sizeof key) != 0) {
        int reason = errno;
        ckks_wipe(key, sizeof key);
        ckks_rng_clear(rng);
        return fhola_fail(FHOLA_IO, "getentropy gave no random bytes: %s", strerror(reason));
    }
    ckks_rng_from_seed(rng, key);
    rng->from_system = true;
    ckks_wipe(key, sizeof key);
    return FHOLA_OK;
}

fhola_status ckks_rng_renew(ckks_rng *rng)
{
    return rng->from_system ? ckks_rng_from_os(rng) : FHOLA_OK;
}

void ckks_rng_from_seed(ckks_rng *rng, const uint8_t seed[CKKS_SEED_BYTES])
{
    rng->from_system = false;
    ckks_chacha20_init(&rng->stream, seed, zero_nonce, 0);
}

void ckks_rng_bytes(ckks_rng *rng, void *out, size_t len)
{
    ckks_chacha20_bytes(&rng->stream, out, len);
}

void ckks_rng_clear(ckks_rng *rng)
{
    ckks_chacha20_wipe(&rng->stream);
}

void ckks_rng_child(ckks_rng *rng, ckks_rng *child)
{
    uint8_t key[CKKS_SEED_BYTES];
    ckks_rng_bytes(rng, key, sizeof key);
    ckks_rng_from_seed(child, key);
    ckks_wipe(key, sizeof key);
}

void ckks_rng_aside(const ckks_rng *rng, uint8_t seed[CKKS_SEED_BYTES])
{
    ckks_chacha20 other = rng->stream;
    other.input[15] = ~other.input[15]; /* the last word of the nonce, which no stream number has */
    other.used = CKKS_CHACHA20_AHEAD;
    ckks_chacha20_bytes(&other, seed, CKKS_SEED_BYTES);
    ckks_chacha20_wipe(&other);
}

/* Words 2 and 3 of the nonce are a stream's number, little-endian. */
static void number_nonce(uint8_t nonce[CKKS_CHACHA20_NONCE_BYTES], uint64_t stream)
{
    memset(nonce, 0, CKKS_CHACHA20_NONCE_BYTES);
    for (unsigned i = 0; i < 8; i++) nonce[4 + i] = (uint8_t)(stream >> (8 * i));
}

void ckks_rng_from_stream(ckks_rng *rng, const uint8_t seed[CKKS_SEED_BYTES], uint64_t stream)
{
    uint8_t nonce[CKKS_CHACHA20_NONCE_BYTES];
    number_nonce(nonce, stream);
    rng->from_system = false;
    ckks_chacha20_init(&rng->stream, seed, nonce, 0);
}

static inline uint64_t load32(const uint8_t *bytes)
{
    return (uint64_t)bytes[0] | (uint64_t)bytes[1] << 8 | (uint64_t)bytes[2] << 16 |
           (uint64_t)bytes[3] << 24;
}

static inline uint64_t load64(const uint8_t *bytes)
{
    return load32(bytes) | load32(bytes + 4) << 32;
}

/* Fills `words` from the generator, little-endian, so that equal seeds give equal values on every
 * machine. */
static void random_words(uint64_t *words, size_t count, ckks_rng *rng)
{
    uint8_t bytes[8 * CHUNK_WORDS];
    ckks_rng_bytes(rng, bytes, 8 * count);
    for (size_t i = 0; i < count; i++) words[i] = load64(bytes + 8 * i);
    ckks_wipe(bytes, 8 * count);
}

/* All ones up to and including the highest bit set in x. */
static uint64_t fill_down(uint64_t x)
{
    for (unsigned shift = 1; shift < 64; shift *= 2) x |= x >> shift;
    return x;
}

void ckks_sample_uniform(uint64_t *out, size_t n, uint64_t p, const uint8_t seed[CKKS_SEED_BYTES],
                         uint64_t stream)
{
    uint8_t nonce[CKKS_CHACHA20_NONCE_BYTES];
    number_nonce(nonce, stream);
    ckks_chacha20 state;
    ckks_chacha20_init(&state, seed, nonce, 0);

    const size_t width = p < UINT64_C(1) << 32 ? 4 : 8;
    const uint64_t mask = fill_down(p - 1);
    uint8_t bytes[4 * CKKS_CHACHA20_AHEAD];
    size_t have = 0;
    while (have < n) {
        size_t words = n - have < sizeof bytes / width ? n - have : sizeof bytes / width;
        ckks_chacha20_bytes(&state, bytes, words * width);
        /* A rejected candidate is overwritten by the next one. */
        for (size_t i = 0; i < words; i++) {
            uint64_t candidate =
                (width == 4 ? load32(bytes + 4 * i) : load64(bytes + 8 * i)) & mask;
            out[have] = candidate;
            have += candidate < p;
        }
    }
}

void ckks_sample_ternary(int8_t *out, size_t n, ckks_rng *rng)
{
    uint64_t words[CHUNK_WORDS];
    for (size_t done = 0; done < n; done += CHUNK_WORDS) {
        size_t count = n - done < CHUNK_WORDS ? n - done : CHUNK_WORDS;
        random_words(words, count, rng);
        for (size_t i = 0; i < count; i++) {
            uint64_t low = (words[i] & UINT32_MAX) * 3, high = (words[i] >> 32) * 3;
            out[done + i] = (int8_t)((int)((high + (low >> 32)) >> 32) - 1);
        }
    }
    ckks_wipe(words, sizeof words);
}

/* floor(bound r / 2^128), bound <= 2^32, for the 128-bit r = words[1] 2^64 + words[0]. */
static uint32_t scale_random(const uint64_t words[2], uint64_t bound)
{
    uint64_t carry = (words[0] & UINT32_MAX) * bound >> 32;
    carry = ((words[0] >> 32) * bound + carry) >> 32;
    carry = ((words[1] & UINT32_MAX) * bound + carry) >> 32;
    return (uint32_t)(((words[1] >> 32) * bound + carry) >> 32);
}

/* 1 if a = b, else 0; a, b < 2^31. */
static inline uint32_t equal(uint32_t a, uint32_t b)
{
    return ((a ^ b) - 1) >> 31;
}

/* 1 if values[position] is not 0, else 0. */
static uint32_t is_taken(const int8_t *values, size_t n, uint32_t position)
{
    uint32_t taken = 0;
    for (uint32_t i = 0; i < n; i++) taken |= equal(i, position) & (uint32_t)(values[i] & 1);
    return taken;
}

/* values[position] += sign */
static void add_at(int8_t *values, size_t n, uint32_t position, int sign)
{
    for (uint32_t i = 0; i < n; i++)
        values[i] = (int8_t)(values[i] + (int)equal(i, position) * sign);
}

void ckks_sample_sparse_ternary(int8_t *out, size_t n, unsigned weight, ckks_rng *rng)
{
    uint64_t words[3];
    memset(out, 0, n);
    for (size_t j = weight < n ? n - weight : 0; j < n; j++) {
        random_words(words, 3, rng);
        uint32_t position = scale_random(words, (uint64_t)j + 1);
        uint32_t keep = is_taken(out, n, position) - 1; /* all ones if the position is free */
        position = (position & keep) | ((uint32_t)j & ~keep);
        add_at(out, n, position, 2 * (int)(words[2] & 1) - 1);
    }
    ckks_wipe(words, sizeof words);
}

/* The number of ones in the low 32 bits minus the number in the high 32 bits. The bits are counted
 * by arithmetic alone: compilers may turn __builtin_popcountll into a table look-up. */
static inline int ones_difference(uint64_t x)
{
    const uint64_t pairs = UINT64_C(0x5555555555555555), nibbles = UINT64_C(0x3333333333333333);
    x = (x & pairs) + (x >> 1 & pairs);
    x = (x & nibbles) + (x >> 2 & nibbles);
    x = (x + (x >> 4)) & UINT64_C(0x0f0f0f0f0f0f0f0f);
    x += x >> 8;
    x += x >> 16;
    return (int)(x & 0x3f) - (int)(x >> 32 & 0x3f);
}

void ckks_sample_error(int8_t *out, size_t n, ckks_rng *rng)
{
    const uint64_t half = (UINT64_C(1) << CKKS_ERROR_BITS) - 1;
    uint64_t words[CHUNK_WORDS];
    for (size_t done = 0; done < n; done += CHUNK_WORDS) {
        size_t count = n - done < CHUNK_WORDS ? n - done : CHUNK_WORDS;
        random_words(words, count, rng);
        for (size_t i = 0; i < count; i++)
            out[done + i] = (int8_t)ones_difference(words[i] & (half << 32 | half));
    }
    ckks_wipe(words, sizeof words);
}

void ckks_declassify(const void *memory, size_t bytes)
{
    (void)memory;
    (void)bytes;
}

/* ---- generators on the heap ---- */

fhola_status ckks_rng_create(ckks_rng **out)
{
    ckks_rng *rng = malloc(sizeof *rng);
    if (!rng) return fhola_fail(FHOLA_NOMEM, "no memory for a random generator");
    fhola_status st = ckks_rng_from_os(rng);
    if (st) {
        free(rng);
        return st;
    }
    *out = rng;
    return FHOLA_OK;
}

fhola_status ckks_rng_create_seeded(ckks_rng **out, const uint8_t seed[32])
{
    ckks_rng *rng = malloc(sizeof *rng);
    if (!rng) return fhola_fail(FHOLA_NOMEM, "no memory for a random generator");
    ckks_rng_from_seed(rng, seed);
    *out = rng;
    return FHOLA_OK;
}

void ckks_rng_destroy(ckks_rng *rng)
{
    if (!rng) return;
    ckks_rng_clear(rng);
    free(rng);
}
