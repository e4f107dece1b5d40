/* SPDX-License-Identifier: Apache-2.0 */
/* Kernel table for AVX-512 F, DQ, BW and VL: vectors of eight doubles (real.h), for processors
 * without the integer products of avx512ifma.c.
 *
 * Within a block of 64 words, with the bits i5..i0 of a position, the layers i5, i4, i3 work across
 * vectors of eight lanes (i2 i1 i0); an 8 x 8 transpose exchanges (i5 i4 i3) with (i2 i1 i0); the
 * layers i2, i1, i0 have lanes (i5 i4 i3). There are registers for M, and adding and subtracting it
 * takes no product before. */
#include <immintrin.h>
#include <stdlib.h>
#include <string.h>

#include "ckks/alloc.h"
#include "ckks/kernel/avx512.h"
#include "ckks/kernel/kernel.h"
#include "ckks/kernel/rotate.h"
#include "ckks/kernel/scalar.h"

#define LANES        8u
#define LANES_LOG    3u
#define LANE_FACTORS 56u /* [one of the layer i2, two of i1, four of i0][lane i5 i4 i3] */

typedef __m512d V;
typedef __m512i I;

#define ADD            _mm512_add_pd
#define SUB            _mm512_sub_pd
#define MUL            _mm512_mul_pd
#define FMA            _mm512_fmadd_pd
#define FMS            _mm512_fmsub_pd
#define FNMA           _mm512_fnmadd_pd
#define XOR            _mm512_xor_pd
#define FLOOR(x)       _mm512_roundscale_pd(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC)
#define ROUND(x)       _mm512_roundscale_pd(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)
#define QUOTIENT(a, v) FMA(a, v, c->magic)
#define INTEGER(q)     SUB(q, c->magic)
#define REAL           _mm512_castsi512_pd
#define BITS           _mm512_castpd_si512
#define WORDS_ADD      _mm512_add_epi64
#define WORDS_SUB      _mm512_sub_epi64
#define WORDS_MUL      _mm512_mul_epu32
#define WORDS_AND      _mm512_and_si512
#define WORDS_OR       _mm512_or_si512
#define WORDS_XOR      _mm512_xor_si512
#define WORDS_RIGHT    _mm512_srli_epi64

ALWAYS V all(double x)
{
    return _mm512_set1_pd(x);
}

ALWAYS I all_words(uint64_t x)
{
    return _mm512_set1_epi64((long long)x);
}

ALWAYS I load_words(const uint64_t *x)
{
    return _mm512_loadu_si512((const void *)x);
}

ALWAYS void store_words(uint64_t *x, I v)
{
    _mm512_storeu_si512((void *)x, v);
}

ALWAYS V load_aligned(const double *x)
{
    return _mm512_load_pd(x);
}

ALWAYS void store_aligned(double *x, V v)
{
    _mm512_store_pd(x, v);
}

/* y where x is negative, else x. */
ALWAYS V where_negative(V x, V y)
{
    return _mm512_mask_mov_pd(x, _mm512_movepi64_mask(BITS(x)), y);
}

/* Words below 2^52 to doubles. */
ALWAYS V to_double(I x)
{
    return _mm512_cvtepi64_pd(x);
}

/* Integers in [0, 2^52) to words. */
ALWAYS I to_words(V x)
{
    return _mm512_cvtpd_epi64(x);
}

/* Eight words of `width` bytes, a constant, from position i on. Of those of 5 to 7 bytes (packed.h)
 * two come to each lane of 128 bits: double words first, from the one in which they begin, then
 * bytes. */
ALWAYS I load_packed(const void *limb, unsigned width, size_t i)
{
    const char *words = (const char *)limb + i * width;
    if (width == 4) return _mm512_cvtepu32_epi64(_mm256_loadu_si256((const void *)words));
    if (width == 8) return _mm512_loadu_si512((const void *)words);
#define FIRST(lane)      (int)(2 * (lane)*width / 4)
#define DOUBLES(lane)    FIRST(lane), FIRST(lane) + 1, FIRST(lane) + 2, FIRST(lane) + 3
#define BYTE(lane, w, k) (char)((k) < width ? 2 * (lane)*width % 4 + (w)*width + (k) : 0x80)
#define WORD(lane, w)                                                                              \
    BYTE(lane, w, 0), BYTE(lane, w, 1), BYTE(lane, w, 2), BYTE(lane, w, 3), BYTE(lane, w, 4),      \
        BYTE(lane, w, 5), BYTE(lane, w, 6), BYTE(lane, w, 7)
#define PAIR(lane) WORD(lane, 0), WORD(lane, 1)
    typedef char narrow __attribute__((vector_size(64)));
    typedef int broad __attribute__((vector_size(64)));
    const narrow order = {PAIR(0), PAIR(1), PAIR(2), PAIR(3)};
    const broad from = {DOUBLES(0), DOUBLES(1), DOUBLES(2), DOUBLES(3)};
#undef PAIR
#undef WORD
#undef BYTE
    const I bytes = _mm512_maskz_loadu_epi8(((__mmask64)1 << 8 * width) - 1, words);
#undef DOUBLES
#undef FIRST
    return _mm512_shuffle_epi8(_mm512_permutexvar_epi32((I)from, bytes), (I)order);
}

#include "ckks/kernel/real.h"

/* ---- Layers within lanes ---- */

ALWAYS void fill_lanes(double *lanes, const uint64_t *w, size_t b, size_t n, uint64_t p)
{
    for (size_t level = 0; level < 3; level++)
        for (size_t offset = 0; offset < (size_t)1 << level; offset++, lanes += 8)
            for (size_t l = 0; l < 8; l++)
                lanes[l] = centred(w[((n / 8 + 8 * b + l) << level) + offset], p);
}

/* Transposes a block of 64 doubles. */
ALWAYS void transpose(V x[8])
{
    I words[8];
    UNROLL
    for (size_t i = 0; i < 8; i++) words[i] = BITS(x[i]);
    transpose8(words);
    UNROLL
    for (size_t i = 0; i < 8; i++) x[i] = REAL(words[i]);
}

/* Where the first of pair i = 0 .. 3 of a layer stands whose pairs are `gap` vectors apart. */
ALWAYS size_t pair_of(size_t i, size_t gap)
{
    return i + (i & ~(gap - 1));
}

/* A layer on eight vectors whose pairs are `gap` of them apart, with the first of its factors;
 * `clean`: reduce what is not multiplied. */
ALWAYS void forward_across(V x[8], size_t gap, const double *w, int clean, const constants *c)
{
    V y[ABREAST];
    const double *f[ABREAST];
    UNROLL
    for (size_t i = 0; i < ABREAST; i++) {
        y[i] = x[pair_of(i, gap) + gap];
        f[i] = w + 8 * (i / gap);
    }
    turn4_lanes(y, f, c);
    UNROLL
    for (size_t i = 0; i < ABREAST; i++) {
        const size_t at = pair_of(i, gap);
        const V even = clean ? reduce(x[at], c) : x[at];
        x[at] = ADD(even, y[i]);
        x[at + gap] = SUB(even, y[i]);
    }
}

ALWAYS void forward_lanes(const double *lanes, uint64_t *a, int wide, const constants *c)
{
    V x[8];
    UNROLL
    for (size_t i = 0; i < 8; i++) x[i] = load_real(a + 8 * i);
    transpose(x);
    forward_across(x, 4, lanes, wide, c);
    forward_across(x, 2, lanes + 8, wide, c);
    forward_across(x, 1, lanes + 24, 0, c);
    UNROLL
    for (size_t i = 0; i < 8; i++) {
        within(x[i], wide ? 2.1 : 13.3, c);
        x[i] = SUB(x[i], c->half);
    }
    lower4(a, x, c);
    lower4(a + 32, x + 4, c);
}

/* The same the other way; bit i of `clean`: reduce the sum of pair i. */
ALWAYS void inverse_across(V x[8], size_t gap, const double *w, unsigned clean, const constants *c)
{
    V y[ABREAST];
    const double *f[ABREAST];
    UNROLL
    for (size_t i = 0; i < ABREAST; i++) {
        const size_t at = pair_of(i, gap);
        const V added = ADD(x[at], x[at + gap]);
        y[i] = SUB(x[at], x[at + gap]);
        x[at] = clean >> i & 1 ? reduce(added, c) : added;
        f[i] = w + 8 * (i / gap);
    }
    turn4_lanes(y, f, c);
    UNROLL
    for (size_t i = 0; i < ABREAST; i++) x[pair_of(i, gap) + gap] = y[i];
}

/* Which sums are reduced: the third paragraph of the bounds in real.h, where pairs 0 and 2 of the
 * second layer are sums of sums. */
ALWAYS void inverse_lanes(const double *lanes, uint64_t *a, const uint64_t *in, int wide,
                          const constants *c)
{
    V x[8];
    UNROLL
    for (size_t i = 0; i < 8; i++) x[i] = load(in + 8 * i);
    inverse_across(x, 1, lanes + 24, wide ? 15 : 0, c);
    inverse_across(x, 2, lanes + 8, wide ? 15 : 5, c);
    inverse_across(x, 4, lanes, wide ? 15 : 6, c);
    UNROLL
    for (size_t i = 0; i < 8; i++) within(x[i], wide ? 0.88 : 1.12, c);
    transpose(x);
    UNROLL
    for (size_t i = 0; i < 8; i++) store_real(a + 8 * i, x[i]);
}

const ckks_kernel ckks_kernel_avx512f = CKKS_KERNEL_TABLE("avx512f");
