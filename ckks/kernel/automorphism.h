/* SPDX-License-Identifier: Apache-2.0 */
/* An automorphism on blocks of 64 words, for tables whose vectors hold them. Internal to kernels.
 *
 * Position 64 b + 8 v + l of the evaluation form belongs to the exponent 2 (m 2^(log_n-6) + r_b) +
 * 1 with m = 8 br3(v) + br3(l). X -> X^g therefore fills a block b' from one block b, position m of
 * it from position g m + c mod 64 of b. With m = 8 mv + ml:
 *     (g m + c) mod 8 = (g ml + c) mod 8: the same permutation of lanes in all eight vectors, and
 *     floor((g m + c) / 8) = g mv + floor((g ml + c) / 8): for each lane, a rotation of the
 *     vectors' order.
 * So lane permutations and three stages of masked moves (by 1, 2, 4 vectors) do what gathers
 * would. */
#ifndef CKKS_KERNEL_AUTOMORPHISM_H
#define CKKS_KERNEL_AUTOMORPHISM_H

#include <stddef.h>
#include <stdint.h>

/* br3: three bits in reverse order. */
static const uint64_t reversed3[8] = {0, 4, 2, 6, 1, 5, 3, 7};

/* Offsets in the output of the rotated vectors; g is its own inverse modulo 8. */
static inline void block_places(size_t place[8], uint64_t g)
{
    for (size_t u = 0; u < 8; u++) place[u] = 8 * reversed3[(g * u) & 7];
}

/* c of the block whose first position comes from position s. */
static inline uint64_t block_constant(uint32_t s)
{
    return reversed3[s >> 3 & 7] << 3 | reversed3[s & 7];
}

#endif
