/* SPDX-License-Identifier: Apache-2.0 */
/* Kernel table for AVX2 with FMA: residues as integers in double precision, as in FLINT's fft_small (F. Johansson and
 * D. Schultz; the product by van der Hoeven, Lecerf and Quintin, ACM Trans. Math. Softw. 43, 2016). Needs rounding to nearest and
 * no contraction of separate operations.
 *
 * Product a w modulo p for integers |a| <= c p, |w| <= p/2:
 *     h = a w rounded,  l = fma(a, w, -h) exact,  q = integer near h (1/p),  r = fma(-q, p, h) + l = a w - q p.
 * h and 1/p carry a relative error of 2^-53 each, the product h (1/p) another one if it is rounded by itself, so
 *     |r| <= (1/2 + k c 2^(b-54)) p,  k = 2 (fused) or 3,  p < 2^b.                                                      (1)
 * r, h - q p and l are integers below 2^53, so both operations on them are exact. Two classes of primes:
 *   narrow, p < 2^48: q = fma(h, 1/p, M) - M with M = 1.5 * 2^52, for |h / p| <= 2^51;  |r| <= (1/2 + c/32) p.
 *   wide,   p < 2^50: q by a rounding instruction;                                      |r| <= (1/2 + 3 c/16) p.
 * Where v = w/p is at hand (twiddles of whole vectors), q = fma(a, v, M) - M for both classes: it does not wait for h, and k = 1
 * because v alone is rounded; |q| <= c p/2 <= 2^51 as c <= 12.7 (narrow) or 4 (wide). The bounds below are for the larger k.      (2)
 * "reduce" subtracts the nearest multiple of p: |r| <= (1/2 + 2^-40) p for |x| < 2^53, written 1/2 below.                         (3)
 * Canonical residues of integers x, |x| <= 2^52 - p: with y = x - (p-1)/2 and x = m p + s, 0 <= s < p, y/p lies within
 * 1/2 - 1/(2p) of m; fma(y, 1/p, M) - M rounds a number that differs from y/p by at most |y/p| 2^-53 < 1/(2p), so it is m
 * exactly, and y - m p + (p-1)/2 = s.                                                                                             (4)
 *
 * Forward transform, X +- T, in radix-4 steps. Bounds c of the values in units of p:
 *   narrow: nothing is reduced before the end. c -> c + 1/2 + c/32 from c = 1: below 12.7 after 17 layers; 12.7 * 2^47 < 2^51.
 *   wide:   each step reduces its x0, which alone is added to. c -> 1/2 + T(c) + T(c + T(c)), T(c) = 1/2 + 3c/16: c stays
 *           below 2.71 (1.594 + 0.41 c), after a first radix-2 step below 1.7.
 * Inverse transform, X + Y and (X - Y) w: sums of four inputs reach 4c, their products T(4c), sums of two products 2 T(2c).
 *   narrow: the sum of four is reduced; c -> 1 + c/8 <= 1.15. Quotients below 4.6 * 2^47 < 2^51.
 *   wide:   the sum of four and the sum of two products are reduced; c -> 1/2 + 3c/4 <= 2, sums below 8p < 2^53.
 * The last pass multiplies by 1/n. Results are reduced if needed and made canonical.
 *
 * Passes: radix 4 (one radix 2 at the top if log_n is odd) down to blocks of 64 words. With the bits i5..i0 of a position in the
 * block, steps (i5 i4) and (i3 i2) work across vectors of four lanes (i1 i0); a 4 x 4 transpose exchanges (i4 i3) with (i1 i0);
 * the step (i1 i0) has lanes (i4 i3) and its results are stored at position (i2 i1 i0 i5 i4 i3): the order of kernel.h. */
#include <immintrin.h>
#include <stdlib.h>
#include <string.h>

#include "ckks/alloc.h"
#include "ckks/kernel/kernel.h"
#include "ckks/kernel/scalar.h"

#ifdef FHOLA_VERIFY
#include <assert.h>
#include <math.h>
#endif

#define ALWAYS static inline __attribute__((always_inline))
#if defined(__clang__)
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 4")
#endif
#define NATIVE_LOG_N 7u
#define NARROW_BITS 48u
#define BLOCK_LOG 10u
#define INTEGER_BITS 30u /* primes whose products are summed as 64-bit integers */

typedef __m256d V;
typedef __m256i I;

#define ADD _mm256_add_pd
#define SUB _mm256_sub_pd
#define MUL _mm256_mul_pd
#define FMA _mm256_fmadd_pd
#define FMS _mm256_fmsub_pd
#define FNMA _mm256_fnmadd_pd
#define ROUND(x) _mm256_round_pd(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)

typedef struct twiddle {
    double w, over; /* a residue, centred, and that over p */
} twiddle;

typedef struct avx2_tables {
    scalar_modulus m;
    ckks_prime portable;   /* the same prime under the portable table, for small rings */
    double two32;          /* 2^32 mod p, centred */
    double two63;          /* 2^63 mod p */
    twiddle scale;         /* 1/n */
    twiddle scale_last;    /* 1/n times the inverse twiddle of the last layer */
    twiddle *forward;      /* n/4: psi^br(i) */
    twiddle *inverse;      /* n/4: psi^-br(i) */
    double *forward_lanes; /* n/64 blocks of [i5 i2][w of node k, 2k, 2k+1][lane i4 i3] */
    double *inverse_lanes;
} avx2_tables;

/* ---- Words and doubles ------------------------------------------------------------------------------------------------------- */

ALWAYS V all(double x)
{
    return _mm256_set1_pd(x);
}

ALWAYS I load_words(const uint64_t *x)
{
    return _mm256_loadu_si256((const void *)x);
}

ALWAYS void store_words(uint64_t *x, I v)
{
    _mm256_storeu_si256((void *)x, v);
}

/* Words below 2^52 to doubles: as the fraction of 2^52 + x. */
ALWAYS V to_double(I x)
{
    const V magic = all(0x1p52);
    return SUB(_mm256_castsi256_pd(_mm256_or_si256(x, _mm256_castpd_si256(magic))), magic);
}

/* Integers in [0, 2^52) to words. */
ALWAYS I to_words(V x)
{
    const V magic = all(0x1p52);
    return _mm256_castpd_si256(_mm256_xor_pd(ADD(x, magic), magic));
}

ALWAYS V load(const uint64_t *x)
{
    return to_double(load_words(x));
}

/* Four words of a packed limb from position i on. */
ALWAYS I load_packed(const void *limb, unsigned width, size_t i)
{
    if (width == 4) return _mm256_cvtepu32_epi64(_mm_loadu_si128((const void *)((const uint32_t *)limb + i)));
    return load_words((const uint64_t *)limb + i);
}

/* Limbs hold doubles between the first and the last pass of a transform. */
ALWAYS V load_real(const uint64_t *x)
{
    return _mm256_loadu_pd((const double *)(const void *)x);
}

ALWAYS void store_real(uint64_t *x, V v)
{
    _mm256_storeu_pd((double *)(void *)x, v);
}

/* ---- Tables ------------------------------------------------------------------------------------------------------------------ */

static double centred(uint64_t w, uint64_t p)
{
    return w > p / 2 ? -(double)(p - w) : (double)w;
}

static twiddle twiddle_of(uint64_t w, uint64_t p)
{
    twiddle t = {centred(w, p), centred(w, p) / (double)p};
    return t;
}

static void fill_twiddles(twiddle *scalars, double *lanes, const uint64_t *w, size_t n, uint64_t p)
{
    for (size_t i = 0; i < n / 4; i++) scalars[i] = twiddle_of(w[i], p);
    for (size_t b = 0; b < n / 64; b++)
        for (size_t i5 = 0; i5 < 2; i5++)
            for (size_t i2 = 0; i2 < 2; i2++)
                for (size_t l = 0; l < 4; l++) {
                    size_t k = n / 4 + 16 * b + 8 * i5 + 2 * l + i2;
                    double *to = lanes + 48 * b + 24 * i5 + 12 * i2 + l;
                    to[0] = centred(w[k], p), to[4] = centred(w[2 * k], p), to[8] = centred(w[2 * k + 1], p);
                }
}

static void prime_clear(ckks_prime *p)
{
    avx2_tables *t = p->tables;
    if (!t) return;
    if (t->portable.tables) ckks_kernel_portable.prime_clear(&t->portable);
    ckks_free(t->forward_lanes);
    free(t);
    p->tables = NULL;
}

static fhola_status prime_init(ckks_prime *p)
{
    size_t n = (size_t)1 << p->log_n;
    avx2_tables *t = calloc(1, sizeof *t);
    p->tables = t;
    if (!t) return fhola_fail(FHOLA_NOMEM, "no memory for the tables of prime %llu", (unsigned long long)p->p);
    scalar_modulus_set(&t->m, p->p);
    t->two32 = centred(((uint64_t)1 << 32) % p->p, p->p);
    t->two63 = (double)(((uint64_t)1 << 63) % p->p);
    if (p->log_n < NATIVE_LOG_N) {
        t->portable = *p;
        t->portable.tables = NULL;
        fhola_status status = ckks_kernel_portable.prime_init(&t->portable);
        if (status) prime_clear(p);
        return status;
    }
    uint64_t *w = malloc(n * sizeof *w);
    /* One block: both lane tables, then both scalar tables. */
    const size_t lanes = n / 64 * 48;
    t->forward_lanes = ckks_alloc_table(2 * lanes * sizeof *t->forward_lanes + 2 * (n / 4) * sizeof *t->forward);
    if (!w || !t->forward_lanes) {
        free(w);
        prime_clear(p);
        return fhola_fail(FHOLA_NOMEM, "no memory for the tables of prime %llu, n = %zu", (unsigned long long)p->p, n);
    }
    t->inverse_lanes = t->forward_lanes + lanes;
    t->forward = (twiddle *)(void *)(t->inverse_lanes + lanes);
    t->inverse = t->forward + n / 4;
    uint64_t scale = scalar_power(n, p->p - 2, &t->m);
    scalar_twiddles(w, p->psi, p->log_n, &t->m);
    fill_twiddles(t->forward, t->forward_lanes, w, n, p->p);
    scalar_twiddles(w, scalar_power(p->psi, 2 * n - 1, &t->m), p->log_n, &t->m);
    fill_twiddles(t->inverse, t->inverse_lanes, w, n, p->p);
    t->scale = twiddle_of(scale, p->p);
    t->scale_last = twiddle_of(scalar_mul(scale, w[1], &t->m), p->p);
    free(w);
    return FHOLA_OK;
}

/* ---- Modular arithmetic ------------------------------------------------------------------------------------------------------ */

typedef struct constants {
    V p, inverse, magic, half, words; /* half = (p - 1) / 2, words = half + 2^52 */
} constants;

ALWAYS constants constants_of(const ckks_prime *p)
{
    const double half = (double)(p->p / 2);
    constants c = {all((double)p->p), all(p->inverse), all(0x1.8p52), all(half), all(half + 0x1p52)};
    return c;
}

/* Asserts, in verifying builds, that |x| <= bound p. */
ALWAYS void within(V x, double bound, const constants *c)
{
#ifdef FHOLA_VERIFY
    double value[4], p[4];
    _mm256_storeu_pd(value, x);
    _mm256_storeu_pd(p, c->p);
    for (int i = 0; i < 4; i++) assert(fabs(value[i]) <= bound * p[i] && fabs(value[i]) <= 0x1p53);
#else
    (void)x;
    (void)bound;
    (void)c;
#endif
}

ALWAYS V times(V a, V w, int wide, const constants *c)
{
    V h = MUL(a, w), l = FMS(a, w, h);
    V q = wide ? ROUND(MUL(h, c->inverse)) : SUB(FMA(h, c->inverse, c->magic), c->magic);
    return ADD(FNMA(q, c->p, h), l);
}

/* A factor of a transform: w and w/p, or a w for each lane, without that. */
typedef struct multiplier {
    V w, over;
} multiplier;

ALWAYS multiplier multiplier_of(const twiddle *t)
{
    multiplier f = {all(t->w), all(t->over)};
    return f;
}

ALWAYS multiplier multiplier_lanes(const double *w)
{
    const V x = _mm256_load_pd(w);
    multiplier f = {x, x};
    return f;
}

/* The product with a factor; its quotient does not wait for h where w/p is there. */
ALWAYS V turn(V a, multiplier f, int lanes, int wide, const constants *c)
{
    if (lanes) return times(a, f.w, wide, c);
    V h = MUL(a, f.w), q = SUB(FMA(a, f.over, c->magic), c->magic), l = FMS(a, f.w, h);
    return ADD(FNMA(q, c->p, h), l);
}

ALWAYS V reduce(V x, const constants *c)
{
    return FNMA(ROUND(MUL(x, c->inverse)), c->p, x);
}

/* (-p, p) to [0, p). */
ALWAYS V lift(V x, const constants *c)
{
    return ADD(x, _mm256_and_pd(c->p, _mm256_cmp_pd(x, _mm256_setzero_pd(), _CMP_LT_OQ)));
}

ALWAYS void store_lifted(uint64_t *out, V x, const constants *c)
{
    within(x, 1, c);
    store_words(out, to_words(lift(x, c)));
}

/* From x - (p - 1)/2: canonical words of any integer x with |x| <= 2^52 - p (4). */
ALWAYS void store_lowered(uint64_t *out, V x, const constants *c)
{
    V q = SUB(FMA(x, c->inverse, c->magic), c->magic);
    x = FNMA(q, c->p, x);
    within(x, 0.5, c);
    store_words(out, _mm256_castpd_si256(_mm256_xor_pd(ADD(x, c->words), all(0x1p52))));
}

ALWAYS void store_canonical(uint64_t *out, V x, const constants *c)
{
    store_lowered(out, SUB(x, c->half), c);
}

ALWAYS void transpose4(V x[4])
{
    V a = _mm256_unpacklo_pd(x[0], x[1]), b = _mm256_unpackhi_pd(x[0], x[1]);
    V d = _mm256_unpacklo_pd(x[2], x[3]), e = _mm256_unpackhi_pd(x[2], x[3]);
    x[0] = _mm256_permute2f128_pd(a, d, 0x20), x[1] = _mm256_permute2f128_pd(b, e, 0x20);
    x[2] = _mm256_permute2f128_pd(a, d, 0x31), x[3] = _mm256_permute2f128_pd(b, e, 0x31);
}

/* ---- Forward transform ------------------------------------------------------------------------------------------------------- */

ALWAYS void forward4(V x[4], const multiplier f[3], int lanes, int wide, const constants *c)
{
    const double bound = wide ? 2.71 : 12.7;
    if (wide) x[0] = reduce(x[0], c);
    V t = turn(x[2], f[0], lanes, wide, c), u = turn(x[3], f[0], lanes, wide, c);
    V a0 = ADD(x[0], t), a2 = SUB(x[0], t), a1 = ADD(x[1], u), a3 = SUB(x[1], u);
    t = turn(a1, f[1], lanes, wide, c), u = turn(a3, f[2], lanes, wide, c);
    if (lanes) a0 = SUB(a0, c->half), a2 = SUB(a2, c->half); /* the last layer: ready for store_lowered */
    x[0] = ADD(a0, t), x[1] = SUB(a0, t), x[2] = ADD(a2, u), x[3] = SUB(a2, u);
    for (int i = 0; i < 4; i++) within(x[i], bound + lanes * 0.5, c);
}

/* Radix-4 pass over a block of `length` words that is node k of the tree of blocks (the limb is node 1); `first`: words come in. */
ALWAYS void forward_pass4(const avx2_tables *t, uint64_t *a, size_t length, size_t k, int first, int wide, const constants *c)
{
    const multiplier f[3] = {multiplier_of(&t->forward[k]), multiplier_of(&t->forward[2 * k]), multiplier_of(&t->forward[2 * k + 1])};
    size_t stride = length / 4;
    for (size_t j = 0; j < stride; j += 4) {
        V x[4];
        UNROLL
        for (size_t i = 0; i < 4; i++) x[i] = first ? load(a + i * stride + j) : load_real(a + i * stride + j);
        forward4(x, f, 0, wide, c);
        UNROLL
        for (size_t i = 0; i < 4; i++) store_real(a + i * stride + j, x[i]);
    }
}

ALWAYS void forward_pass2(const avx2_tables *t, uint64_t *a, size_t length, int wide, const constants *c)
{
    const multiplier f = multiplier_of(&t->forward[1]);
    size_t stride = length / 2;
    for (size_t j = 0; j < stride; j += 4) {
        V x = load(a + j), y = turn(load(a + stride + j), f, 0, wide, c);
        store_real(a + j, ADD(x, y));
        store_real(a + stride + j, SUB(x, y));
    }
}

/* The last six layers of `count` consecutive blocks of 64 words, the first of them node k; canonical words in the order of the contract.
 * Three loops, not one: enough independent work between the steps of a block to hide their latency. */
ALWAYS void forward_tail(const avx2_tables *t, uint64_t *a, size_t count, size_t k, size_t n, int wide, const constants *c)
{
    for (size_t b = 0; b < count; b++) forward_pass4(t, a + 64 * b, 64, k + b, 0, wide, c);
    for (size_t b = 0; b < 4 * count; b++) forward_pass4(t, a + 16 * b, 16, 4 * k + b, 0, wide, c);
    const double *lanes = t->forward_lanes + 48 * (k - n / 64);
    for (size_t b = 0; b < count; b++, a += 64) {
        double buffer[64] __attribute__((aligned(32)));
        memcpy(buffer, a, sizeof buffer);
        for (size_t i5 = 0; i5 < 2; i5++)
            for (size_t i2 = 0; i2 < 2; i2++, lanes += 12) {
                const multiplier f[3] = {multiplier_lanes(lanes), multiplier_lanes(lanes + 4), multiplier_lanes(lanes + 8)};
                V x[4];
                UNROLL
                for (size_t i = 0; i < 4; i++) x[i] = _mm256_load_pd(buffer + 32 * i5 + 8 * i + 4 * i2);
                transpose4(x);
                forward4(x, f, 1, wide, c);
                UNROLL
                for (size_t i = 0; i < 4; i++) store_lowered(a + 32 * i2 + 8 * i + 4 * i5, x[i], c);
            }
    }
}

/* A block of at most 2^BLOCK_LOG words, node k > 1, one step after the other over all of it. */
ALWAYS void forward_block(const avx2_tables *t, uint64_t *a, unsigned log_length, size_t k, size_t n, int wide, const constants *c)
{
    size_t nodes = 1;
    for (; log_length > 6; log_length -= 2, nodes *= 4)
        for (size_t i = 0; i < nodes; i++) forward_pass4(t, a + (i << log_length), (size_t)1 << log_length, nodes * k + i, 0, wide, c);
    forward_tail(t, a, nodes, nodes * k, n, wide, c);
}

/* Depth first, so that a block is finished while it is in the cache. */
ALWAYS void forward_node(const avx2_tables *t, uint64_t *a, unsigned log_length, size_t k, size_t n, int wide, const constants *c);

static void forward_narrow(const avx2_tables *t, uint64_t *a, unsigned log_length, size_t k, size_t n, const constants *c)
{
    forward_node(t, a, log_length, k, n, 0, c);
}

static void forward_wide(const avx2_tables *t, uint64_t *a, unsigned log_length, size_t k, size_t n, const constants *c)
{
    forward_node(t, a, log_length, k, n, 1, c);
}

ALWAYS void forward_node(const avx2_tables *t, uint64_t *a, unsigned log_length, size_t k, size_t n, int wide, const constants *c)
{
    size_t length = (size_t)1 << log_length, children = 4;
    if (k > 1 && log_length <= BLOCK_LOG) {
        forward_block(t, a, log_length, k, n, wide, c);
        return;
    }
    if (k == 1 && (log_length & 1)) {
        forward_pass2(t, a, length, wide, c);
        children = 2;
    } else if (k == 1) {
        forward_pass4(t, a, length, k, 1, wide, c);
    } else {
        forward_pass4(t, a, length, k, 0, wide, c);
    }
    log_length -= children == 2 ? 1 : 2;
    for (size_t i = 0; i < children; i++) {
        if (wide) forward_wide(t, a + (i << log_length), log_length, children * k + i, n, c);
        else forward_narrow(t, a + (i << log_length), log_length, children * k + i, n, c);
    }
}

static void ntt_forward(const ckks_prime *p, uint64_t *const limbs[], size_t count)
{
    const avx2_tables *t = p->tables;
    const constants c = constants_of(p);
    if (p->log_n < NATIVE_LOG_N) {
        ckks_kernel_portable.ntt_forward(&t->portable, limbs, count);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (p->bits > NARROW_BITS) forward_wide(t, limbs[i], p->log_n, 1, (size_t)1 << p->log_n, &c);
        else forward_narrow(t, limbs[i], p->log_n, 1, (size_t)1 << p->log_n, &c);
    }
}

/* ---- Inverse transform ------------------------------------------------------------------------------------------------------- */

ALWAYS void inverse4(V x[4], const multiplier f[3], int lanes, int wide, const constants *c)
{
    for (int i = 0; i < 4; i++) within(x[i], wide ? 2 : 1.15, c);
    V s = ADD(x[0], x[1]), d = turn(SUB(x[0], x[1]), f[1], lanes, wide, c);
    V t = ADD(x[2], x[3]), e = turn(SUB(x[2], x[3]), f[2], lanes, wide, c);
    x[0] = reduce(ADD(s, t), c);
    x[1] = wide ? reduce(ADD(d, e), c) : ADD(d, e);
    x[2] = turn(SUB(s, t), f[0], lanes, wide, c);
    x[3] = turn(SUB(d, e), f[0], lanes, wide, c);
}

ALWAYS void inverse_pass4(const avx2_tables *t, uint64_t *a, size_t length, size_t k, int last, int wide, const constants *c)
{
    const multiplier f[3] = {multiplier_of(&t->inverse[k]), multiplier_of(&t->inverse[2 * k]), multiplier_of(&t->inverse[2 * k + 1])};
    const multiplier scale = multiplier_of(&t->scale), scale_last = multiplier_of(&t->scale_last);
    size_t stride = length / 4;
    for (size_t j = 0; j < stride; j += 4) {
        V x[4];
        UNROLL
        for (size_t i = 0; i < 4; i++) x[i] = load_real(a + i * stride + j);
        if (last) {
            V s = ADD(x[0], x[1]), d = turn(SUB(x[0], x[1]), f[1], 0, wide, c);
            V u = ADD(x[2], x[3]), e = turn(SUB(x[2], x[3]), f[2], 0, wide, c);
            store_lifted(a + j, turn(ADD(s, u), scale, 0, wide, c), c);
            store_lifted(a + stride + j, turn(ADD(d, e), scale, 0, wide, c), c);
            store_lifted(a + 2 * stride + j, turn(SUB(s, u), scale_last, 0, wide, c), c);
            store_lifted(a + 3 * stride + j, turn(SUB(d, e), scale_last, 0, wide, c), c);
        } else {
            inverse4(x, f, 0, wide, c);
            UNROLL
            for (size_t i = 0; i < 4; i++) store_real(a + i * stride + j, x[i]);
        }
    }
}

/* Always the last pass. */
ALWAYS void inverse_pass2(const avx2_tables *t, uint64_t *a, size_t length, int wide, const constants *c)
{
    const multiplier scale = multiplier_of(&t->scale), scale_last = multiplier_of(&t->scale_last);
    size_t stride = length / 2;
    for (size_t j = 0; j < stride; j += 4) {
        V x = load_real(a + j), y = load_real(a + stride + j);
        store_lifted(a + j, turn(ADD(x, y), scale, 0, wide, c), c);
        store_lifted(a + stride + j, turn(SUB(x, y), scale_last, 0, wide, c), c);
    }
}

/* The first six layers of `count` consecutive blocks of 64 words, the first of them node k. */
ALWAYS void inverse_head(const avx2_tables *t, uint64_t *a, const uint64_t *in, size_t count, size_t k, size_t n, int wide,
                         const constants *c)
{
    const double *lanes = t->inverse_lanes + 48 * (k - n / 64);
    for (size_t b = 0; b < count; b++) {
        double buffer[64] __attribute__((aligned(32)));
        for (size_t i5 = 0; i5 < 2; i5++)
            for (size_t i2 = 0; i2 < 2; i2++, lanes += 12) {
                const multiplier f[3] = {multiplier_lanes(lanes), multiplier_lanes(lanes + 4), multiplier_lanes(lanes + 8)};
                V x[4];
                UNROLL
                for (size_t i = 0; i < 4; i++) x[i] = load(in + 64 * b + 32 * i2 + 8 * i + 4 * i5);
                inverse4(x, f, 1, wide, c);
                transpose4(x);
                UNROLL
                for (size_t i = 0; i < 4; i++) _mm256_store_pd(buffer + 32 * i5 + 8 * i + 4 * i2, x[i]);
            }
        memcpy(a + 64 * b, buffer, sizeof buffer);
    }
    for (size_t b = 0; b < 4 * count; b++) inverse_pass4(t, a + 16 * b, 16, 4 * k + b, 0, wide, c);
    for (size_t b = 0; b < count; b++) inverse_pass4(t, a + 64 * b, 64, k + b, 0, wide, c);
}

ALWAYS void inverse_block(const avx2_tables *t, uint64_t *a, const uint64_t *in, unsigned log_length, size_t k, size_t n, int wide,
                          const constants *c)
{
    size_t nodes = (size_t)1 << (log_length - 6);
    inverse_head(t, a, in, nodes, nodes * k, n, wide, c);
    for (unsigned log = 8; log <= log_length; log += 2) {
        nodes /= 4;
        for (size_t i = 0; i < nodes; i++) inverse_pass4(t, a + (i << log), (size_t)1 << log, nodes * k + i, 0, wide, c);
    }
}

ALWAYS void inverse_node(const avx2_tables *t, uint64_t *a, const uint64_t *in, unsigned log_length, size_t k, size_t n, int wide,
                         const constants *c);

static void inverse_narrow(const avx2_tables *t, uint64_t *a, const uint64_t *in, unsigned log_length, size_t k, size_t n,
                           const constants *c)
{
    inverse_node(t, a, in, log_length, k, n, 0, c);
}

static void inverse_wide(const avx2_tables *t, uint64_t *a, const uint64_t *in, unsigned log_length, size_t k, size_t n,
                         const constants *c)
{
    inverse_node(t, a, in, log_length, k, n, 1, c);
}

ALWAYS void inverse_node(const avx2_tables *t, uint64_t *a, const uint64_t *in, unsigned log_length, size_t k, size_t n, int wide,
                         const constants *c)
{
    size_t length = (size_t)1 << log_length, children = k == 1 && (log_length & 1) ? 2 : 4;
    unsigned log_child = log_length - (children == 2 ? 1 : 2);
    if (k > 1 && log_length <= BLOCK_LOG) {
        inverse_block(t, a, in, log_length, k, n, wide, c);
        return;
    }
    for (size_t i = 0; i < children; i++) {
        if (wide) inverse_wide(t, a + (i << log_child), in + (i << log_child), log_child, children * k + i, n, c);
        else inverse_narrow(t, a + (i << log_child), in + (i << log_child), log_child, children * k + i, n, c);
    }
    if (children == 2) inverse_pass2(t, a, length, wide, c);
    else if (k == 1) inverse_pass4(t, a, length, k, 1, wide, c);
    else inverse_pass4(t, a, length, k, 0, wide, c);
}

static void inverse_limb(const avx2_tables *t, uint64_t *out, const uint64_t *in, const ckks_prime *p)
{
    const constants c = constants_of(p);
    if (p->bits > NARROW_BITS) inverse_wide(t, out, in, p->log_n, 1, (size_t)1 << p->log_n, &c);
    else inverse_narrow(t, out, in, p->log_n, 1, (size_t)1 << p->log_n, &c);
}

static void ntt_inverse(const ckks_prime *p, uint64_t *const limbs[], size_t count)
{
    const avx2_tables *t = p->tables;
    if (p->log_n < NATIVE_LOG_N) {
        ckks_kernel_portable.ntt_inverse(&t->portable, limbs, count);
        return;
    }
    for (size_t i = 0; i < count; i++) inverse_limb(t, limbs[i], limbs[i], p);
}

static uint64_t residue(double x, uint64_t p)
{
    return x < 0 ? p - (uint64_t)-x : (uint64_t)x;
}

static void ntt_inverse_scaled(const ckks_prime *p, uint64_t *out, const uint64_t *in, uint64_t c)
{
    avx2_tables t = *(const avx2_tables *)p->tables; /* shares the twiddles; only the last layer's factors differ */
    if (p->log_n < NATIVE_LOG_N) {
        ckks_kernel_portable.ntt_inverse_scaled(&t.portable, out, in, c);
        return;
    }
    t.scale = twiddle_of(scalar_mul(residue(t.scale.w, p->p), c, &t.m), p->p);
    t.scale_last = twiddle_of(scalar_mul(residue(t.scale_last.w, p->p), c, &t.m), p->p);
    inverse_limb(&t, out, in, p);
}

/* ---- Element-wise functions -------------------------------------------------------------------------------------------------- *
 *
 * Products of canonical residues: c = 1 and |w| <= p, that is twice (1): |r| <= (1/2 + 3/8) p even if p is wide, so one lift makes
 * them canonical. Quotients are below 2^50: always the fused rounding, k = 2. */

ALWAYS I modular_add(I a, I b, I p)
{
    I s = _mm256_add_epi64(a, b), t = _mm256_sub_epi64(s, p);
    return _mm256_castpd_si256(_mm256_blendv_pd(_mm256_castsi256_pd(t), _mm256_castsi256_pd(s), _mm256_castsi256_pd(t)));
}

static void add(const ckks_prime *p, uint64_t *out, const uint64_t *a, const uint64_t *b, size_t count)
{
    const I q = _mm256_set1_epi64x((long long)p->p);
    for (size_t j = 0; j < count; j += 4) store_words(out + j, modular_add(load_words(a + j), load_words(b + j), q));
}

static void sub(const ckks_prime *p, uint64_t *out, const uint64_t *a, const uint64_t *b, size_t count)
{
    const I q = _mm256_set1_epi64x((long long)p->p);
    for (size_t j = 0; j < count; j += 4) {
        I d = _mm256_sub_epi64(load_words(a + j), load_words(b + j)), e = _mm256_add_epi64(d, q);
        store_words(out + j,
                    _mm256_castpd_si256(_mm256_blendv_pd(_mm256_castsi256_pd(d), _mm256_castsi256_pd(e), _mm256_castsi256_pd(d))));
    }
}

static void mul(const ckks_prime *p, uint64_t *out, const uint64_t *a, const uint64_t *b, size_t count)
{
    const constants c = constants_of(p);
    for (size_t j = 0; j < count; j += 4) store_lifted(out + j, times(load(a + j), load(b + j), 0, &c), &c);
}

static void mul_add(const ckks_prime *p, uint64_t *out, const uint64_t *acc, const uint64_t *a, const uint64_t *b, size_t count)
{
    const constants c = constants_of(p);
    for (size_t j = 0; j < count; j += 4)
        store_canonical(out + j, ADD(times(load(a + j), load(b + j), 0, &c), load(acc + j)), &c);
}

static void add_scalar(const ckks_prime *p, uint64_t *out, const uint64_t *a, uint64_t s, size_t count)
{
    const I q = _mm256_set1_epi64x((long long)p->p), b = _mm256_set1_epi64x((long long)s);
    for (size_t j = 0; j < count; j += 4) store_words(out + j, modular_add(load_words(a + j), b, q));
}

static void mul_scalar(const ckks_prime *p, uint64_t *out, const uint64_t *a, uint64_t s, size_t count)
{
    const constants c = constants_of(p);
    const V w = all((double)s);
    for (size_t j = 0; j < count; j += 4) store_lifted(out + j, times(load(a + j), w, 0, &c), &c);
}

static void mul_scalar_add(const ckks_prime *p, uint64_t *out, const uint64_t *acc, const uint64_t *a, uint64_t s, size_t count)
{
    const constants c = constants_of(p);
    const V w = all((double)s);
    for (size_t j = 0; j < count; j += 4) store_canonical(out + j, ADD(times(load(a + j), w, 0, &c), load(acc + j)), &c);
}

static void sub_mul_scalar(const ckks_prime *p, uint64_t *out, const uint64_t *a, const uint64_t *b, uint64_t s, size_t count)
{
    const constants c = constants_of(p);
    const V w = all((double)s);
    for (size_t j = 0; j < count; j += 4) store_lifted(out + j, times(SUB(load(a + j), load(b + j)), w, 0, &c), &c);
}

static void tensor(const ckks_prime *p, uint64_t *d0, uint64_t *d1, uint64_t *d2, const uint64_t *a0, const uint64_t *a1,
                   const uint64_t *b0, const uint64_t *b1, size_t count)
{
    const constants c = constants_of(p);
    for (size_t j = 0; j < count; j += 4) {
        V w = load(a0 + j), x = load(a1 + j), y = load(b0 + j), z = load(b1 + j);
        store_lifted(d0 + j, times(w, y, 0, &c), &c);
        store_canonical(d1 + j, ADD(times(w, z, 0, &c), times(x, y, 0, &c)), &c);
        store_lifted(d2 + j, times(x, z, 0, &c), &c);
    }
}

/* Any word: high half times 2^32 mod p, plus low half. |result| < p + 2^32. */
ALWAYS V fold_word(I x, const avx2_tables *t, const constants *c)
{
    V high = to_double(_mm256_srli_epi64(x, 32)), low = to_double(_mm256_and_si256(x, _mm256_set1_epi64x(0xffffffff)));
    return ADD(times(high, all(t->two32), 0, c), low);
}

static void reduce_signed(const ckks_prime *p, uint64_t *out, const int64_t *x, size_t count)
{
    const avx2_tables *t = p->tables;
    const constants c = constants_of(p);
    const I top = _mm256_set1_epi64x((long long)((uint64_t)1 << 63));
    const V two63 = all(t->two63);
    for (size_t j = 0; j < count; j += 4) {
        I word = _mm256_xor_si256(_mm256_loadu_si256((const void *)(x + j)), top); /* x + 2^63 */
        store_canonical(out + j, SUB(fold_word(word, t, &c), two63), &c);
    }
}

static void overflow(uint64_t *v, size_t terms, const uint64_t *const y[], const double inverse[], size_t count)
{
    const V half = all(0.5);
    for (size_t j = 0; j < count; j += 8) {
        V s = _mm256_setzero_pd(), t = s;
        for (size_t i = 0; i < terms; i++) {
            V c = all(inverse[i]), x = MUL(load(y[i] + j), c), z = MUL(load(y[i] + j + 4), c);
            s = ADD(s, x);
            t = ADD(t, z);
        }
        store_words(v + j, to_words(_mm256_floor_pd(ADD(s, half))));
        store_words(v + j + 4, to_words(_mm256_floor_pd(ADD(t, half))));
    }
}

/* ---- Automorphisms ----------------------------------------------------------------------------------------------------------- */

/* Pairs of words loaded one by one: gather instructions are slower. */
static void permute_block(uint64_t *restrict out, const uint64_t *restrict in, const uint32_t *restrict source)
{
    for (size_t i = 0; i < 64; i += 4) {
        const __m128i low = _mm_loadl_epi64((const void *)(in + (source[i] & 63)));
        const __m128i high = _mm_loadl_epi64((const void *)(in + (source[i + 2] & 63)));
        const __m128d a = _mm_loadh_pd(_mm_castsi128_pd(low), (const double *)(const void *)(in + (source[i + 1] & 63)));
        const __m128d b = _mm_loadh_pd(_mm_castsi128_pd(high), (const double *)(const void *)(in + (source[i + 3] & 63)));
        _mm_storeu_pd((double *)(void *)(out + i), a);
        _mm_storeu_pd((double *)(void *)(out + i + 2), b);
    }
}

/* The same plus `acc`, unless that is NULL. */
static void place_block(const ckks_prime *p, uint64_t *out, const uint64_t *acc, const uint64_t *in, const uint32_t *source)
{
    uint64_t block[64] __attribute__((aligned(32)));
    if (!acc) {
        permute_block(out, in, source);
        return;
    }
    permute_block(block, in, source);
    add(p, out, acc, block, 64);
}

static void permute(const ckks_prime *p, uint64_t *out, const uint64_t *acc, const uint64_t *a, const ckks_automorphism *sigma)
{
    const avx2_tables *t = p->tables;
    if (p->log_n < NATIVE_LOG_N) {
        ckks_kernel_portable.permute(&t->portable, out, acc, a, sigma);
        return;
    }
    size_t n = (size_t)1 << p->log_n;
    for (size_t b = 0; b < n; b += 64) {
        const uint64_t *in = a + (sigma->source[b] & ~(uint32_t)63);
        place_block(p, out + b, acc ? acc + b : NULL, in, sigma->source + b);
    }
}

/* ---- Sums of products -------------------------------------------------------------------------------------------------------- *
 *
 * Primes of at most 30 bits, factors below 2^30: sums of 64-bit integers, at most 15 products and a residue below 2^64; for b bits
 * 2^(63-2b) products.
 *
 * Others: a pair (high, low). high starts at C = 1.5 * 2^E, so that its unit in the last place stays u = 2^(E-52) while the sum of
 * the products is within 2^(E-1); each product x w is split exactly into a multiple of u, which goes to high, and a rest of at
 * most u/2, which goes to low. With |x w| <= 2^B and k = 2^s products, E = B + s + 1, and low is exact while
 * k u/2 = 2^(B+2s-52) <= 2^53, that is s <= (105 - B) / 2. At the end q = high / p, rounded to an integer, is off by at most
 * 1/2 + |q| 2^-52 with |q| <= 2^(B+s+1-b), p < 2^b, so |high - q p| <= (1/2 + 2^(B+s-51-b)) p:
 *   inner and plaintext products, B = 2b, s <= 12: b + s <= 52, at most 2.5 p;
 *   combinations, B = 49 + b, s <= 5: at most 8.5 p where s = 5, b <= 46; 4.5 p for b = 48, s = 4; 2.5 p for b > 48, s = 3. */

typedef struct sum {
    V high, low;
} sum;

/* s of the comment for products below 2^bits, at most `most`. */
static unsigned log_room(unsigned bits, unsigned most)
{
    unsigned s = (105 - bits) / 2;
    return s < most ? s : most;
}

static double bias_of(unsigned bits, unsigned s)
{
    double c = 1.5;
    for (unsigned i = 0; i < bits + s + 1; i++) c *= 2;
    return c;
}

ALWAYS void accumulate_product(sum *s, V x, V w)
{
    V high = FMA(x, w, s->high), part = SUB(high, s->high);
    s->high = high;
    s->low = ADD(s->low, FMS(x, w, part));
}

/* The sum modulo p plus `carry`, |carry| <= p, as |result| <= (1/2 + tiny) p; the pair starts anew. */
ALWAYS V settle(sum *s, V carry, V bias, const constants *c)
{
    V r = reduce(SUB(s->high, bias), c), low = reduce(s->low, c);
    within(r, 8.5, c);
    s->high = bias;
    s->low = _mm256_setzero_pd();
    return reduce(ADD(ADD(r, low), carry), c);
}

/* The factors of one block of 64 positions: digits with their key limbs, and limbs that are multiplied by the factor. */
typedef struct inner_block {
    size_t terms, adds[2];
    const uint64_t *x[CKKS_MAX_TERMS];
    const unsigned char *key[2][CKKS_MAX_TERMS];
    const uint64_t *add[2][CKKS_MAX_SWITCHES];
    uint64_t factor;
} inner_block;

/* Four words of sum k, primes of at most 30 bits. */
ALWAYS void inner_integer(const inner_block *o, const ckks_prime *p, int k, uint64_t *out, size_t j, size_t room, int accumulate,
                          const constants *c)
{
    const avx2_tables *t = p->tables;
    I s = accumulate ? load_words(out + j) : _mm256_setzero_si256();
    const I factor = _mm256_set1_epi64x((long long)o->factor);
    size_t left = room;
    for (size_t i = 0; i < o->adds[k] + o->terms; i++, left--) {
        if (!left) {
            s = to_words(lift(reduce(fold_word(s, t, c), c), c));
            left = room;
        }
        I product = i < o->adds[k] ? _mm256_mul_epu32(load_words(o->add[k][i] + j), factor)
                                   : _mm256_mul_epu32(load_words(o->x[i - o->adds[k]] + j), load_packed(o->key[k][i - o->adds[k]], 4, j));
        s = _mm256_add_epi64(s, product);
    }
    store_canonical(out + j, fold_word(s, t, c), c);
}

/* Four words of sum k. */
ALWAYS void inner_real(const inner_block *o, int k, uint64_t *out, size_t j, unsigned width, size_t room, V bias, int accumulate,
                       const constants *c)
{
    sum s = {bias, _mm256_setzero_pd()};
    V carry = accumulate ? load(out + j) : s.low, factor = all((double)o->factor);
    size_t left = room;
    for (size_t i = 0; i < o->adds[k]; i++, left--) {
        if (!left) {
            carry = settle(&s, carry, bias, c);
            left = room;
        }
        accumulate_product(&s, load(o->add[k][i] + j), factor);
    }
    for (size_t d = 0; d < o->terms; d++, left--) {
        if (!left) {
            carry = settle(&s, carry, bias, c);
            left = room;
        }
        accumulate_product(&s, load(o->x[d] + j), to_double(load_packed(o->key[k][d], width, j)));
    }
    store_lifted(out + j, settle(&s, carry, bias, c), c);
}

/* Both sums of one block of 64. */
static void inner_sums(const inner_block *o, const ckks_prime *p, uint64_t *out0, uint64_t *out1, int accumulate, const constants *c)
{
    if (p->bits <= INTEGER_BITS) {
        size_t room = (size_t)1 << (63 - 2 * p->bits);
        for (size_t j = 0; j < 64; j += 4) {
            inner_integer(o, p, 0, out0, j, room, accumulate, c);
            inner_integer(o, p, 1, out1, j, room, accumulate, c);
        }
        return;
    }
    unsigned s = log_room(2 * p->bits, 12);
    const V bias = all(bias_of(2 * p->bits, s));
    for (size_t j = 0; j < 64; j += 4)
        for (int k = 0; k < 2; k++) {
            if (p->width == 4) inner_real(o, k, k ? out1 : out0, j, 4, (size_t)1 << s, bias, accumulate, c);
            else inner_real(o, k, k ? out1 : out0, j, 8, (size_t)1 << s, bias, accumulate, c);
        }
}

/* Block `from` .. from + 63 of sigma(a): in place without sigma, else in *room, which moves on. */
static const uint64_t *inner_operand(const ckks_switch_term *t, const uint64_t *a, size_t from, uint64_t **room)
{
    if (!t->sigma) return a + from;
    uint64_t *block = *room;
    permute_block(block, a + (t->sigma->block[from >> 6] & ~(uint32_t)63), t->sigma->source + from);
    *room += 64;
    return block;
}

static void inner_product(const ckks_prime *p, uint64_t *out0, uint64_t *out1, size_t from, size_t count, size_t terms,
                          const ckks_switch_term term[], uint64_t factor, int accumulate)
{
    const avx2_tables *t = p->tables;
    const constants c = constants_of(p);
    uint64_t rotated[(CKKS_MAX_TERMS + 2 * CKKS_MAX_SWITCHES) * 64] __attribute__((aligned(64)));
    if (p->log_n < NATIVE_LOG_N) {
        ckks_kernel_portable.inner_product(&t->portable, out0, out1, from, count, terms, term, factor, accumulate);
        return;
    }
    for (size_t at = from; at < from + count; at += 64) {
        inner_block o;
        uint64_t *room = rotated;
        o.terms = o.adds[0] = o.adds[1] = 0;
        o.factor = factor;
        for (size_t i = 0; i < terms; i++) {
            const ckks_switch_term *s = &term[i];
            for (size_t d = 0; d < s->digits; d++, o.terms++) {
                o.x[o.terms] = inner_operand(s, s->digit[d], at, &room);
                o.key[0][o.terms] = (const unsigned char *)s->key0[d] + at * p->width;
                o.key[1][o.terms] = (const unsigned char *)s->key1[d] + at * p->width;
            }
            if (s->add0) o.add[0][o.adds[0]++] = inner_operand(s, s->add0, at, &room);
            if (s->add1) o.add[1][o.adds[1]++] = inner_operand(s, s->add1, at, &room);
        }
        inner_sums(&o, p, out0 + (at - from), out1 + (at - from), accumulate, &c);
    }
}

/* ---- Plaintext products ------------------------------------------------------------------------------------------------------ */

/* Sixteen words of one sum. The packed vector of eight words covers 2^log_gap vectors. */
ALWAYS void plain_integer(const ckks_prime *p, uint64_t *out, size_t terms, const void *const plain[], unsigned log_gap,
                          const uint64_t *const x[], int accumulate, size_t j, const constants *c)
{
    const avx2_tables *t = p->tables;
    const size_t room = (size_t)1 << (63 - 2 * p->bits), first = (j >> 3 >> log_gap) << 3,
                 second = ((j >> 3) + 1) >> log_gap << 3;
    I s[4];
    UNROLL
    for (size_t v = 0; v < 4; v++) s[v] = accumulate ? load_words(out + j + 4 * v) : _mm256_setzero_si256();
    for (size_t b = 0, end; b < terms; b = end) {
        if (b) {
            UNROLL
            for (size_t v = 0; v < 4; v++) s[v] = to_words(lift(reduce(fold_word(s[v], t, c), c), c));
        }
        end = terms - b > room ? b + room : terms;
        for (size_t i = b; i < end; i++) {
            const uint64_t *limb = x[i] + j;
            s[0] = _mm256_add_epi64(s[0], _mm256_mul_epu32(load_words(limb), load_packed(plain[i], 4, first)));
            s[1] = _mm256_add_epi64(s[1], _mm256_mul_epu32(load_words(limb + 4), load_packed(plain[i], 4, first + 4)));
            s[2] = _mm256_add_epi64(s[2], _mm256_mul_epu32(load_words(limb + 8), load_packed(plain[i], 4, second)));
            s[3] = _mm256_add_epi64(s[3], _mm256_mul_epu32(load_words(limb + 12), load_packed(plain[i], 4, second + 4)));
        }
    }
    UNROLL
    for (size_t v = 0; v < 4; v++) store_canonical(out + j + 4 * v, fold_word(s[v], t, c), c);
}

ALWAYS void plain_real(uint64_t *out, size_t terms, const void *const plain[], unsigned log_gap, const uint64_t *const x[],
                       int accumulate, size_t j, unsigned width, size_t room, V bias, const constants *c)
{
    const size_t word[4] = {(j >> 3 >> log_gap) << 3, ((j >> 3 >> log_gap) << 3) + 4, ((j >> 3) + 1) >> log_gap << 3,
                            (((j >> 3) + 1) >> log_gap << 3) + 4};
    sum s[4];
    V carry[4];
    UNROLL
    for (size_t v = 0; v < 4; v++) {
        s[v].high = bias;
        s[v].low = _mm256_setzero_pd();
        carry[v] = accumulate ? load(out + j + 4 * v) : s[v].low;
    }
    for (size_t b = 0, end; b < terms; b = end) {
        if (b) {
            UNROLL
            for (size_t v = 0; v < 4; v++) carry[v] = settle(&s[v], carry[v], bias, c);
        }
        end = terms - b > room ? b + room : terms;
        for (size_t i = b; i < end; i++) {
            const uint64_t *limb = x[i] + j;
            UNROLL
            for (size_t v = 0; v < 4; v++)
                accumulate_product(&s[v], load(limb + 4 * v), to_double(load_packed(plain[i], width, word[v])));
        }
    }
    UNROLL
    for (size_t v = 0; v < 4; v++) store_lifted(out + j + 4 * v, settle(&s[v], carry[v], bias, c), c);
}

static void plain_limb(const ckks_prime *p, uint64_t *out, size_t terms, const void *const plain[], unsigned log_gap,
                       const uint64_t *const x[], int accumulate, size_t from, size_t to)
{
    const constants c = constants_of(p);
    const unsigned s = log_room(2 * p->bits, 12);
    const V bias = all(bias_of(2 * p->bits, s));
    const size_t room = (size_t)1 << s;
    for (size_t j = from; j < to; j += 16) {
        if (p->bits <= INTEGER_BITS) plain_integer(p, out, terms, plain, log_gap, x, accumulate, j, &c);
        else if (p->width == 4) plain_real(out, terms, plain, log_gap, x, accumulate, j, 4, room, bias, &c);
        else plain_real(out, terms, plain, log_gap, x, accumulate, j, 8, room, bias, &c);
    }
}

static void plain_product(const ckks_prime *p, uint64_t *out0, uint64_t *out1, size_t count, size_t terms,
                          const void *const plain[], unsigned log_gap, const uint64_t *const x0[], const uint64_t *const x1[],
                          int accumulate)
{
    enum { BLOCK = 64 }; /* words of a plaintext stay in the cache for the second sum */
    const avx2_tables *t = p->tables;
    if (p->log_n < NATIVE_LOG_N) {
        ckks_kernel_portable.plain_product(&t->portable, out0, out1, count, terms, plain, log_gap, x0, x1, accumulate);
        return;
    }
    for (size_t j = 0; j < count; j += BLOCK) {
        plain_limb(p, out0, terms, plain, log_gap, x0, accumulate, j, j + BLOCK);
        if (x1) plain_limb(p, out1, terms, plain, log_gap, x1, accumulate, j, j + BLOCK);
    }
}

/* ---- Linear combinations ----------------------------------------------------------------------------------------------------- */

enum { COMBINE_BLOCK = 128 };

/* One output over `count` (a multiple of 8) coefficients already converted. Weights are centred: products below 2^(49+b). */
static void combine_target(const ckks_prime *p, uint64_t *out, size_t terms, double y[][COMBINE_BLOCK], const uint64_t weight[],
                           size_t count)
{
    const constants c = constants_of(p);
    const unsigned bits = 49 + p->bits, s = log_room(bits, 5);
    const size_t room = (size_t)1 << s;
    const V bias = all(bias_of(bits, s)), zero = _mm256_setzero_pd();
    double w[CKKS_MAX_TERMS];
    for (size_t i = 0; i < terms; i++) w[i] = centred(weight[i], p->p);
    for (size_t j = 0; j < count; j += 8) {
        sum s0 = {bias, zero}, s1 = s0;
        V carry0 = zero, carry1 = zero;
        for (size_t b = 0, end; b < terms; b = end) {
            if (b) {
                carry0 = settle(&s0, carry0, bias, &c);
                carry1 = settle(&s1, carry1, bias, &c);
            }
            end = terms - b > room ? b + room : terms;
            for (size_t i = b; i < end; i++) {
                V f = all(w[i]);
                accumulate_product(&s0, _mm256_load_pd(y[i] + j), f);
                accumulate_product(&s1, _mm256_load_pd(y[i] + j + 4), f);
            }
        }
        store_lifted(out + j, settle(&s0, carry0, bias, &c), &c);
        store_lifted(out + j + 4, settle(&s1, carry1, bias, &c), &c);
    }
}

static void combine(const ckks_prime *const primes[], size_t targets, uint64_t *const out[], size_t terms,
                    const uint64_t *const y[], const uint64_t *const weight[], size_t count)
{
    double real[CKKS_MAX_TERMS][COMBINE_BLOCK] __attribute__((aligned(64)));
    for (size_t from = 0; from < count; from += COMBINE_BLOCK) {
        size_t block = count - from < COMBINE_BLOCK ? count - from : COMBINE_BLOCK;
        for (size_t i = 0; i < terms; i++)
            for (size_t j = 0; j < block; j += 4) _mm256_store_pd(real[i] + j, load(y[i] + from + j));
        for (size_t t = 0; t < targets; t++) combine_target(primes[t], out[t] + from, terms, real, weight[t], block);
    }
}

const ckks_kernel ckks_kernel_avx2 = {
    .name = "avx2",
    .prime_init = prime_init,
    .prime_clear = prime_clear,
    .ntt_forward = ntt_forward,
    .ntt_inverse = ntt_inverse,
    .ntt_inverse_scaled = ntt_inverse_scaled,
    .add = add,
    .sub = sub,
    .mul = mul,
    .mul_add = mul_add,
    .add_scalar = add_scalar,
    .mul_scalar = mul_scalar,
    .mul_scalar_add = mul_scalar_add,
    .sub_mul_scalar = sub_mul_scalar,
    .tensor = tensor,
    .permute = permute,
    .inner_product = inner_product,
    .plain_product = plain_product,
    .combine = combine,
    .overflow = overflow,
    .reduce_signed = reduce_signed,
};
