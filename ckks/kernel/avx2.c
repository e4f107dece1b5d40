/* SPDX-License-Identifier: Apache-2.0 */
/* Kernel table for AVX2 with FMA: vectors of four doubles (real.h).
 *
 * Within a block of 64 words, with the bits i5..i0 of a position, the layers i5, i4 and the pair
 * (i3 i2) work across vectors of four lanes (i1 i0); a 4 x 4 transpose exchanges (i4 i3) with (i1
 * i0); the pair (i1 i0) has lanes (i4 i3) and its results are stored at position (i2 i1 i0 i5 i4
 * i3). ROUND needs no copy of a register, unlike adding and subtracting M. */
#include <immintrin.h>
#include <stdlib.h>
#include <string.h>

#include "ckks/alloc.h"
#include "ckks/kernel/automorphism.h"
#include "ckks/kernel/kernel.h"
#include "ckks/kernel/scalar.h"

#define ALWAYS static inline __attribute__((always_inline))
#if defined(__clang__)
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 4")
#endif
#define LANES        4u
#define LANES_LOG    2u
#define LANE_FACTORS 48u /* [i5 i2][w of node k, 2k, 2k+1][lane i4 i3] */

typedef __m256d V;
typedef __m256i I;

#define ADD            _mm256_add_pd
#define SUB            _mm256_sub_pd
#define MUL            _mm256_mul_pd
#define FMA            _mm256_fmadd_pd
#define FMS            _mm256_fmsub_pd
#define FNMA           _mm256_fnmadd_pd
#define XOR            _mm256_xor_pd
#define FLOOR          _mm256_floor_pd
#define ROUND(x)       _mm256_round_pd(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)
#define QUOTIENT(a, v) MUL(a, v)
#define INTEGER(q)     ROUND(q)
#define REAL           _mm256_castsi256_pd
#define BITS           _mm256_castpd_si256
#define WORDS_ADD      _mm256_add_epi64
#define WORDS_SUB      _mm256_sub_epi64
#define WORDS_MUL      _mm256_mul_epu32
#define WORDS_AND      _mm256_and_si256
#define WORDS_OR       _mm256_or_si256
#define WORDS_XOR      _mm256_xor_si256
#define WORDS_RIGHT    _mm256_srli_epi64

ALWAYS V all(double x)
{
    return _mm256_set1_pd(x);
}

ALWAYS I all_words(uint64_t x)
{
    return _mm256_set1_epi64x((long long)x);
}

ALWAYS I load_words(const uint64_t *x)
{
    return _mm256_loadu_si256((const void *)x);
}

ALWAYS void store_words(uint64_t *x, I v)
{
    _mm256_storeu_si256((void *)x, v);
}

ALWAYS V load_aligned(const double *x)
{
    return _mm256_load_pd(x);
}

ALWAYS void store_aligned(double *x, V v)
{
    _mm256_store_pd(x, v);
}

/* y where x is negative, else x. */
ALWAYS V where_negative(V x, V y)
{
    return _mm256_blendv_pd(x, y, x);
}

/* Words below 2^52 to doubles: as the fraction of 2^52 + x. */
ALWAYS V to_double(I x)
{
    const V magic = all(0x1p52);
    return SUB(REAL(WORDS_OR(x, BITS(magic))), magic);
}

/* Integers in [0, 2^52) to words. */
ALWAYS I to_words(V x)
{
    const V magic = all(0x1p52);
    return BITS(XOR(ADD(x, magic), magic));
}

/* Sums and differences of residues modulo p. */
ALWAYS I modular_add(I a, I b, I p)
{
    const V s = REAL(WORDS_ADD(a, b)), t = REAL(WORDS_SUB(BITS(s), p));
    return BITS(where_negative(t, s));
}

ALWAYS I modular_sub(I a, I b, I p)
{
    const V d = REAL(WORDS_SUB(a, b)), e = REAL(WORDS_ADD(BITS(d), p));
    return BITS(where_negative(d, e));
}

/* Four words of `width` bytes, a constant, from position i on. Of those of 5 to 7 bytes (packed.h)
 * two come to each half, by loads of 16 bytes that start and end where the words do. */
ALWAYS I load_packed(const void *limb, unsigned width, size_t i)
{
    const char *words = (const char *)limb + i * width, w = (char)width, end = (char)(16 - width);
    if (width == 4) return _mm256_cvtepu32_epi64(_mm_loadu_si128((const void *)words));
    if (width == 8) return _mm256_loadu_si256((const void *)words);
#define BYTE(from, k) (char)((k) < width ? (from) + (k) : 0x80)
#define WORD(from)                                                                                 \
    BYTE(from, 0), BYTE(from, 1), BYTE(from, 2), BYTE(from, 3), BYTE(from, 4), BYTE(from, 5),      \
        BYTE(from, 6), BYTE(from, 7)
    const I bytes = _mm256_setr_epi8(WORD(0), WORD(w), WORD(end - w), WORD(end));
#undef WORD
#undef BYTE
    const __m128i first = _mm_loadu_si128((const void *)words),
                  last = _mm_loadu_si128((const void *)(words + 4 * width - 16));
    return _mm256_shuffle_epi8(_mm256_inserti128_si256(_mm256_castsi128_si256(first), last, 1),
                               bytes);
}

ALWAYS void transpose4(V x[4])
{
    V a = _mm256_unpacklo_pd(x[0], x[1]), b = _mm256_unpackhi_pd(x[0], x[1]);
    V d = _mm256_unpacklo_pd(x[2], x[3]), e = _mm256_unpackhi_pd(x[2], x[3]);
    x[0] = _mm256_permute2f128_pd(a, d, 0x20), x[1] = _mm256_permute2f128_pd(b, e, 0x20);
    x[2] = _mm256_permute2f128_pd(a, d, 0x31), x[3] = _mm256_permute2f128_pd(b, e, 0x31);
}

/* ---- Automorphisms (automorphism.h) ---- */

/* A half of eight words is a vector here. The low bit of ml says in which half a lane is, so that
 * of c exchanges the halves or not; what remains is a permutation of four lanes and the three
 * stages, as blends. */
typedef struct rotor {
    I steps[2];      /* g ml for each lane of each half */
    size_t place[8]; /* where the vector that is rotated to u goes */
} rotor;

/* The same for one block: c is known. */
typedef struct rotation {
    I lanes[2];
    V by[2][3]; /* signs: rotate by 1, 2, 4 */
    size_t half[2];
} rotation;

#if defined(__clang__)
#define EACH_VECTOR _Pragma("unroll") for (size_t u = 0; u < 8; u++)
#else
#define EACH_VECTOR _Pragma("GCC unroll 8") for (size_t u = 0; u < 8; u++)
#endif

static rotor rotor_of(uint64_t g)
{
    const I low = all_words(g & 63);
    rotor r;
    for (size_t h = 0; h < 2; h++)
        r.steps[h] = _mm256_mul_epu32(low, load_words(reversed3 + 4 * h));
    block_places(r.place, g);
    return r;
}

/* For the block whose first position comes from position s. */
ALWAYS rotation rotation_of(const rotor *r, uint32_t s)
{
    const uint64_t c = block_constant(s);
    const I all_c = all_words(c), one = all_words(1);
    rotation o;
    UNROLL
    for (size_t h = 0; h < 2; h++) {
        const I step = _mm256_add_epi64(r->steps[h], all_c);
        /* lane br3(step), within its half, as two words of 32 bits */
        const I lane = _mm256_or_si256(
            _mm256_slli_epi64(_mm256_and_si256(step, all_words(2)), 1),
            _mm256_slli_epi64(_mm256_and_si256(_mm256_srli_epi64(step, 2), one), 1));
        o.lanes[h] = _mm256_or_si256(lane, _mm256_slli_epi64(_mm256_or_si256(lane, one), 32));
        o.by[h][0] = _mm256_castsi256_pd(_mm256_slli_epi64(step, 60));
        o.by[h][1] = _mm256_castsi256_pd(_mm256_slli_epi64(step, 59));
        o.by[h][2] = _mm256_castsi256_pd(_mm256_slli_epi64(step, 58));
        o.half[h] = 4 * (h ^ (c & 1));
    }
    return o;
}

/* Block `in` under sigma, plus `acc` modulo p, unless that is NULL. */
ALWAYS void rotate_block(const rotor *r, const rotation *o, uint64_t *out, const uint64_t *acc,
                         const uint64_t *in, uint64_t p)
{
    UNROLL
    for (size_t h = 0; h < 2; h++) {
        const uint64_t *from = in + o->half[h];
        V x[8], y[8];
        EACH_VECTOR x[u] = _mm256_castsi256_pd(
            _mm256_permutevar8x32_epi32(load_words(from + 8 * reversed3[u]), o->lanes[h]));
        EACH_VECTOR y[u] = _mm256_blendv_pd(x[u], x[(u + 1) & 7], o->by[h][0]);
        EACH_VECTOR x[u] = _mm256_blendv_pd(y[u], y[(u + 2) & 7], o->by[h][1]);
        EACH_VECTOR
        {
            I z = _mm256_castpd_si256(_mm256_blendv_pd(x[u], x[(u + 4) & 7], o->by[h][2]));
            const size_t place = r->place[u] + 4 * h;
            store_words(out + place,
                        acc ? modular_add(load_words(acc + place), z, all_words(p)) : z);
        }
    }
}

#include "ckks/kernel/rotate.h"

#include "ckks/kernel/real.h"

/* ---- Layers within lanes ---- */

ALWAYS void fill_lanes(double *lanes, const uint64_t *w, size_t b, size_t n, uint64_t p)
{
    for (size_t i5 = 0; i5 < 2; i5++)
        for (size_t i2 = 0; i2 < 2; i2++)
            for (size_t l = 0; l < 4; l++) {
                const size_t k = n / 4 + 16 * b + 8 * i5 + 2 * l + i2;
                double *to = lanes + 24 * i5 + 12 * i2 + l;
                to[0] = centred(w[k], p), to[4] = centred(w[2 * k], p),
                to[8] = centred(w[2 * k + 1], p);
            }
}

/* The last two layers, within lanes, of a block of 64 words: canonical words in the order of the
 * contract. What makes them canonical is a chain of its own, behind those of both halves. Values
 * that are used twice are pinned: a processor loads two vectors a cycle. */
ALWAYS void forward_lanes(const double *lanes, uint64_t *a, int wide, const constants *c)
{
    double buffer[64] __attribute__((aligned(32)));
    for (size_t i5 = 0; i5 < 2; i5++) {
        V x[4], z[4], y[ABREAST];
        const double *const w = lanes + 24 * i5, *const f[ABREAST] = {w, w, w + 12, w + 12};
        double *out = buffer + 32 * i5;
        UNROLL
        for (size_t i = 0; i < 4; i++) x[i] = load_real(a + 32 * i5 + 8 * i);
        transpose4(x);
        UNROLL
        for (size_t i = 0; i < 4; i++) z[i] = load_real(a + 32 * i5 + 8 * i + 4);
        transpose4(z);
        y[0] = x[2], y[1] = x[3], y[2] = z[2], y[3] = z[3];
        turn4_lanes(y, f, c);
        if (wide) x[0] = reduce(x[0], c), z[0] = reduce(z[0], c);
        store_aligned(out, ADD(x[0], y[0])), store_aligned(out + 4, ADD(x[1], y[1]));
        store_aligned(out + 8, SUB(x[0], y[0])), store_aligned(out + 12, SUB(x[1], y[1]));
        store_aligned(out + 16, ADD(z[0], y[2])), store_aligned(out + 20, ADD(z[1], y[3]));
        store_aligned(out + 24, SUB(z[0], y[2])), store_aligned(out + 28, SUB(z[1], y[3]));
    }
    for (size_t i5 = 0; i5 < 2; i5++) {
        V y[ABREAST];
        const double *w = lanes + 24 * i5 + 4, *in = buffer + 32 * i5;
        const double *const f[ABREAST] = {w, w + 4, w + 12, w + 16};
        EACH
        {
            y[i] = load_aligned(in + 8 * i + 4);
            HERE(y[i]);
        }
        turn4_lanes(y, f, c);
        EACH
        {
            V even = SUB(load_aligned(in + 8 * i), c->half);
            uint64_t *at = a + 4 * i5 + 16 * (size_t)i;
            store_real(at, ADD(even, y[i]));
            store_real(at + 8, SUB(even, y[i]));
        }
    }
    lower_block(a, c);
}

/* The first two layers, within lanes, of a block of 64 words. */
ALWAYS void inverse_lanes(const double *lanes, uint64_t *a, const uint64_t *in, int wide,
                          const constants *c)
{
    double buffer[64] __attribute__((aligned(32)));
    for (size_t i5 = 0; i5 < 2; i5++) {
        V y[ABREAST];
        const double *w = lanes + 24 * i5 + 4;
        const double *const f[ABREAST] = {w, w + 4, w + 12, w + 16};
        double *out = buffer + 32 * i5;
        EACH
        {
            const uint64_t *from = in + 16 * (size_t)i + 4 * i5;
            V x = load(from), z = load(from + 8);
            y[i] = SUB(x, z);
            store_aligned(out + 8 * i, ADD(x, z));
        }
        turn4_lanes(y, f, c);
        EACH store_aligned(out + 8 * i + 4, y[i]);
    }
    for (size_t i5 = 0; i5 < 2; i5++) {
        const double *const w = lanes + 24 * i5, *const f[ABREAST] = {w, w, w + 12, w + 12};
        const double *from = buffer + 32 * i5;
        V x[ABREAST], y[ABREAST];
        EACH
        {
            const double *at = from + 16 * (i / 2) + 4 * (i % 2);
            V s = load_aligned(at), z = load_aligned(at + 8);
            y[i] = SUB(s, z);
            x[i] = ADD(s, z);
        }
        turn4_lanes(y, f, c);
        for (size_t i2 = 0; i2 < 2; i2++) {
            V z[4] = {reduce(x[2 * i2], c), x[2 * i2 + 1], y[2 * i2], y[2 * i2 + 1]};
            if (wide) z[1] = reduce(z[1], c);
            transpose4(z);
            UNROLL
            for (size_t i = 0; i < 4; i++) store_real(a + 32 * i5 + 8 * i + 4 * i2, z[i]);
        }
    }
}

const ckks_kernel ckks_kernel_avx2 = CKKS_KERNEL_TABLE("avx2");
