/* SPDX-License-Identifier: Apache-2.0 */
/* What tables with vectors of eight words share: sums, transposition, and automorphisms of blocks
 * (automorphism.h). Needs AVX-512 F, DQ, BW and VL. Internal to kernels. */
#ifndef CKKS_KERNEL_AVX512_H
#define CKKS_KERNEL_AVX512_H

#include <immintrin.h>

#include "ckks/kernel/automorphism.h"

#define ALWAYS static inline __attribute__((always_inline))
#if defined(__clang__)
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 8")
#endif

/* Sums and differences of residues modulo p. */
ALWAYS __m512i modular_add(__m512i a, __m512i b, __m512i p)
{
    const __m512i s = _mm512_add_epi64(a, b);
    return _mm512_min_epu64(s, _mm512_sub_epi64(s, p));
}

ALWAYS __m512i modular_sub(__m512i a, __m512i b, __m512i p)
{
    const __m512i d = _mm512_sub_epi64(a, b);
    return _mm512_min_epu64(d, _mm512_add_epi64(d, p));
}

/* An 8 x 8 transposition of words. */
ALWAYS void transpose8(__m512i x[8])
{
    __m512i a0 = _mm512_unpacklo_epi64(x[0], x[1]), a1 = _mm512_unpackhi_epi64(x[0], x[1]);
    __m512i a2 = _mm512_unpacklo_epi64(x[2], x[3]), a3 = _mm512_unpackhi_epi64(x[2], x[3]);
    __m512i a4 = _mm512_unpacklo_epi64(x[4], x[5]), a5 = _mm512_unpackhi_epi64(x[4], x[5]);
    __m512i a6 = _mm512_unpacklo_epi64(x[6], x[7]), a7 = _mm512_unpackhi_epi64(x[6], x[7]);
    __m512i b0 = _mm512_shuffle_i64x2(a0, a2, 0x88), b1 = _mm512_shuffle_i64x2(a1, a3, 0x88);
    __m512i b2 = _mm512_shuffle_i64x2(a0, a2, 0xdd), b3 = _mm512_shuffle_i64x2(a1, a3, 0xdd);
    __m512i b4 = _mm512_shuffle_i64x2(a4, a6, 0x88), b5 = _mm512_shuffle_i64x2(a5, a7, 0x88);
    __m512i b6 = _mm512_shuffle_i64x2(a4, a6, 0xdd), b7 = _mm512_shuffle_i64x2(a5, a7, 0xdd);
    x[0] = _mm512_shuffle_i64x2(b0, b4, 0x88), x[4] = _mm512_shuffle_i64x2(b0, b4, 0xdd);
    x[1] = _mm512_shuffle_i64x2(b1, b5, 0x88), x[5] = _mm512_shuffle_i64x2(b1, b5, 0xdd);
    x[2] = _mm512_shuffle_i64x2(b2, b6, 0x88), x[6] = _mm512_shuffle_i64x2(b2, b6, 0xdd);
    x[3] = _mm512_shuffle_i64x2(b3, b7, 0x88), x[7] = _mm512_shuffle_i64x2(b3, b7, 0xdd);
}

typedef struct rotor {
    __m512i steps;   /* g ml for each lane */
    size_t place[8]; /* where the vector that is rotated to u goes */
} rotor;

/* The same for one block: c is known. */
typedef struct rotation {
    __m512i lanes;
    __mmask8 one, two, four; /* lanes to rotate by that many vectors */
} rotation;

static rotor rotor_of(uint64_t g)
{
    rotor r;
    r.steps = _mm512_mullo_epi64(_mm512_set1_epi64((long long)(g & 63)),
                                 _mm512_loadu_si512((const void *)reversed3));
    block_places(r.place, g);
    return r;
}

/* For the block whose first position comes from position s. */
ALWAYS rotation rotation_of(const rotor *r, uint32_t s)
{
    const __m512i step =
        _mm512_add_epi64(r->steps, _mm512_set1_epi64((long long)block_constant(s)));
    const rotation o = {
        _mm512_permutexvar_epi64(step, _mm512_loadu_si512((const void *)reversed3)),
        _mm512_test_epi64_mask(step, _mm512_set1_epi64(8)),
        _mm512_test_epi64_mask(step, _mm512_set1_epi64(16)),
        _mm512_test_epi64_mask(step, _mm512_set1_epi64(32)),
    };
    return o;
}

/* Block `in` under sigma, plus `acc` modulo p, unless that is NULL. */
ALWAYS void rotate_block(const rotor *r, const rotation *o, uint64_t *out, const uint64_t *acc,
                         const uint64_t *in, uint64_t p)
{
    __m512i x[8], y[8];
    UNROLL
    for (size_t u = 0; u < 8; u++)
        x[u] = _mm512_permutexvar_epi64(o->lanes,
                                        _mm512_loadu_si512((const void *)(in + 8 * reversed3[u])));
    UNROLL
    for (size_t u = 0; u < 8; u++) y[u] = _mm512_mask_mov_epi64(x[u], o->one, x[(u + 1) & 7]);
    UNROLL
    for (size_t u = 0; u < 8; u++) x[u] = _mm512_mask_mov_epi64(y[u], o->two, y[(u + 2) & 7]);
    UNROLL
    for (size_t u = 0; u < 8; u++) y[u] = _mm512_mask_mov_epi64(x[u], o->four, x[(u + 4) & 7]);
    UNROLL
    for (size_t u = 0; u < 8; u++) {
        const size_t place = r->place[u];
        if (acc)
            y[u] = modular_add(_mm512_loadu_si512((const void *)(acc + place)), y[u],
                               _mm512_set1_epi64((long long)p));
        _mm512_storeu_si512((void *)(out + place), y[u]);
    }
}

#endif
