/* SPDX-License-Identifier: Apache-2.0 */
/* Hashes of numbers in memory that are the same on machines of either byte order. */
#ifndef TESTS_LITTLE_ENDIAN_H
#define TESTS_LITTLE_ENDIAN_H

#ifndef XXH_INLINE_ALL
#define XXH_INLINE_ALL
#endif
#include <stdint.h>
#include <string.h>
#include <xxhash.h>

/* Adds `count` numbers of `width` bytes (4 or 8), least byte first. */
static inline void hash_numbers(XXH3_state_t *state, const void *numbers, size_t count,
                                size_t width)
{
    unsigned char bytes[4096];
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t half;
        uint64_t whole;
        memcpy(&half, (const unsigned char *)numbers + width * i, sizeof half);
        whole = half;
        if (width == 8) memcpy(&whole, (const unsigned char *)numbers + 8 * i, sizeof whole);
        for (unsigned b = 0; b < width; b++) bytes[used++] = (unsigned char)(whole >> (8 * b));
        if (used < sizeof bytes && i + 1 < count) continue;
        (void)XXH3_64bits_update(state, bytes, used);
        used = 0;
    }
}

static inline uint64_t numbers_hash(const void *numbers, size_t count, size_t width)
{
    XXH3_state_t state;
    (void)XXH3_64bits_reset(&state);
    hash_numbers(&state, numbers, count, width);
    return XXH3_64bits_digest(&state);
}

#endif
