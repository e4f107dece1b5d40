/* SPDX-License-Identifier: Apache-2.0 */
/* Kernel table for AVX-512 with 52-bit integer fused multiply-add (F, DQ, BW, VL, IFMA, VBMI).
 *
 * LO(s, x, y) = s + (x y mod 2^52), HI(s, x, y) = s + floor(x y / 2^52), where x and y are the low
 * 52 bits of their words. Inside the transforms a word stands for its value modulo 2^52: garbage
 * above bit 52 is ignored by the next multiplication and cut off by the last mask. So what must be
 * proved is that every true value lies in [0, 2^52).
 *
 * Multiplication by a constant w < p with companion w' = floor(w 2^52 / p) (Shoup; Harvey, J. Symb.
 * Comp. 60, 2014):
 *     q = HI(0, y, w'),  T = y w - q p = LO(LO(0, y, w), q, 2^52 - p),
 *     0 <= T < p + y p / 2^52 < 2p  for any y < 2^52.                                           (1)
 * Barrett "clean" with floor(2^52 / p): any x < 2^52 goes to [0, 2p).              (2)
 * Twiddles of single lanes have no companion, which halves their tables; they are multiplied by W =
 * w 2^52 mod p (Montgomery):
 *     q = LO(0, LO(0, y, W), 1/p mod 2^52),  T = HI(0, y, W) - HI(0, q, p),
 *     -p < T < p  for any y < 2^52.                                                             (3)
 * Where T must not be negative, p is added to the start value of the accumulation. The proofs below
 * are for (1); with (3) values move up and down by at most p a layer.
 *
 * Forward transform, butterflies X' = X + T, Y' = X - T: the upper bound of the values grows by at
 * most max T per layer, and since nothing is added to Y', the lower bound falls by the same. The X
 * inputs are therefore lifted by a multiple of p, once:
 *   class A, p < 2^45: the X inputs of the first layer are lifted by 26p; 17 layers. While values
 *       stay below 53p < 2^50.73, (1) gives T < 1.415p, so they stay in
 *       [26p - 17 * 1.415p, 27p + 17 * 1.415p] = [1.9p, 51.1p]. No reduction before the end.
 *   class B, p < 2^48, 2^52 > 16p: in the first pass the X inputs (canonical) are lifted by 7p. Up
 *       to four layers: T < 1.0625p, 1.567p, 1.665p, 1.769p, values in [0.9p, 14.07p]. Every later
 *       pass, of at most three layers, first cleans its X inputs (2) and lifts them by 6p: values
 *       in [0, 14p).
 *   class C, p < 2^50, 2^52 > 4p: X is cleaned before every layer and Y' = X - T + 2p (in lanes
 *       X' = X + T + p, Y' = X - T + p): values in [0, 4p).
 * The last step makes values canonical. Class A, x < 2^51: the exact quotient is floor(x m /
 * 2^(51+b)) with m = ceil(2^(51+b)/p) < 2^52 for a prime of b bits, because x (m p - 2^(51+b)) < x
 * p < 2^(51+b). Classes B and C: (2), then one subtraction.
 *
 * Inverse transform, butterflies X' = X + Y, Y' = T(X - Y); X - Y must not be negative. Passes of
 * up to three layers:
 *   class A, p < 2^43, 2^52 > 512p: values entering a pass are below B = 16p. Radix 8 lifts x0,
 *       x2, x4, x6 by 5B, 3B, 3B, B:
 *       layer 1   x0+x1 in [5B, 7B), x2+x3 in [3B, 5B), x4+x5 in [3B, 5B), x6+x7 in [B, 3B);
 *                 T01+6p, T23, T45+2p, T67
 *       layer 2   sums in [8B, 12B) and [4B, 8B), their differences positive;
 *                 T01+T23 in [6p, 10p), T45+T67 in [2p, 6p)
 *       layer 3   sum in [12B, 20B), 20B = 320p < 2^52; difference positive;
 *                 sums of T below 16p, differences positive
 *       The multiples of p added to T cost nothing: they are the start value of its accumulation.
 *       The one sum of all eight inputs is cleaned; everything leaving the pass is below 16p.
 *       Radix 4 lifts x0, x2 by 3B, B; radix 2 adds B to X - Y.
 *   class B, p < 2^48, 2^52 > 16p: B = 4p. Differences are lifted by the bound of Y. Radix 8: sums
 *       grow to 8p, 16p, are cleaned before layer 3; T01+T23 < 4p, their sum < 8p is cleaned.
 *       Leaving values are below 4p.
 *   class C: all sums are cleaned; values in [0, 2p), differences lifted by 2p.
 * The last pass multiplies by 1/n in its last layer and makes values canonical.
 *
 * Passes of radix 2, 4 or 8, depth first (split_of), lead to blocks of 64 words, transformed in
 * registers: radix 8 across vectors, transpose, radix 8 again. */
#include <immintrin.h>
#include <stdlib.h>
#include <string.h>

#include "ckks/alloc.h"
#include "ckks/kernel/avx512.h"
#include "ckks/kernel/kernel.h"
#include "ckks/kernel/rotate.h"
#include "ckks/kernel/scalar.h"

#ifdef FHOLA_VERIFY
#include <assert.h>
#endif

#define NATIVE_LOG_N 7u /* smaller rings go to the portable table */

typedef __m512i V;

#define ADD _mm512_add_epi64
#define SUB _mm512_sub_epi64
#define LO  _mm512_madd52lo_epu64
#define HI  _mm512_madd52hi_epu64
#define MIN _mm512_min_epu64
#define AND _mm512_and_si512

enum lazy_class { CLASS_A, CLASS_B, CLASS_C };
enum forward_mode { PLAIN, LIFT, CLEAN_LIFT, STRICT };

typedef struct twiddle {
    uint64_t w, comp;
} twiddle;

/* One block of 64 words: seven twiddle vectors, times 2^52, for the three layers inside vectors'
 * lanes. */
typedef struct lane_twiddles {
    uint64_t vector[7][8];
} lane_twiddles;

typedef struct ifma_tables {
    scalar_modulus m;
    ckks_prime portable; /* the same prime under the portable table, for small rings */
    enum lazy_class forward_class, inverse_class;
    uint64_t barrett;             /* floor(2^52 / p) */
    uint64_t exact;               /* ceil(2^(51+b) / p) */
    uint64_t two52;               /* 2^52 mod p */
    uint64_t montgomery;          /* 1/p mod 2^52 */
    uint64_t two52_comp;          /* its companion */
    uint64_t first_lift;          /* of the first forward pass */
    size_t sums;                  /* how many products one (low, high) accumulator holds */
    twiddle scale;                /* 1/n */
    twiddle scale_last;           /* 1/n times the inverse twiddle of the last layer */
    twiddle *forward;             /* n/8: psi^br(i) */
    twiddle *inverse;             /* n/8: psi^-br(i) */
    lane_twiddles *forward_lanes; /* n/64 */
    lane_twiddles *inverse_lanes;
} ifma_tables;

ALWAYS V load(const uint64_t *x)
{
    return _mm512_loadu_si512((const void *)x);
}

ALWAYS void store(uint64_t *x, V v)
{
    _mm512_storeu_si512((void *)x, v);
}

ALWAYS V all(uint64_t x)
{
    return _mm512_set1_epi64((long long)x);
}

/* Asserts, in verifying builds, that the true value (the low 52 bits) is below `bound`. */
ALWAYS void below(V x, uint64_t bound)
{
#ifdef FHOLA_VERIFY
    uint64_t word[8];
    store(word, x);
    for (int i = 0; i < 8; i++) assert((word[i] & (((uint64_t)1 << 52) - 1)) < bound);
#else
    (void)x;
    (void)bound;
#endif
}

/* ---- Tables ---- */

static twiddle twiddle_of(uint64_t w, const scalar_modulus *m)
{
    twiddle t = {w, scalar_companion(w, m) >> 12};
    return t;
}

static void fill_twiddles(twiddle *scalars, lane_twiddles *lanes, const uint64_t *w, size_t n,
                          const scalar_modulus *m)
{
    const uint64_t two52 = ((uint64_t)1 << 52) % m->p;
    for (size_t i = 0; i < n / 8; i++) scalars[i] = twiddle_of(w[i], m);
    for (size_t b = 0; b < n / 64; b++)
        for (size_t level = 0, v = 0; level < 3; level++)
            for (size_t offset = 0; offset < (size_t)1 << level; offset++, v++)
                for (size_t l = 0; l < 8; l++)
                    lanes[b].vector[v][l] =
                        scalar_mul(w[((n / 8 + 8 * b + l) << level) + offset], two52, m);
}

static void prime_clear(ckks_prime *p)
{
    ifma_tables *t = p->tables;
    if (!t) return;
    if (t->portable.tables) ckks_kernel_portable.prime_clear(&t->portable);
    ckks_free(t->forward_lanes);
    free(t);
    p->tables = NULL;
}

/* Newton's iteration; p is its own inverse modulo 8. */
static uint64_t inverse_mod_two52(uint64_t p)
{
    uint64_t x = p;
    for (int i = 0; i < 5; i++) x *= 2 - p * x;
    return x & (((uint64_t)1 << 52) - 1);
}

static void set_constants(ifma_tables *t, uint64_t p, unsigned log_n)
{
    scalar_modulus *m = &t->m;
    scalar_modulus_set(m, p);
    t->forward_class = m->bits <= 45 ? CLASS_A : m->bits <= 48 ? CLASS_B : CLASS_C;
    t->inverse_class = m->bits <= 43 ? CLASS_A : m->bits <= 48 ? CLASS_B : CLASS_C;
    t->barrett = ((uint64_t)1 << 52) / p;
    t->exact = (uint64_t)((((ckks_u128)1 << (51 + m->bits)) + p - 1) / p);
    t->two52 = ((uint64_t)1 << 52) % p;
    t->two52_comp = scalar_companion(t->two52, m) >> 12;
    t->montgomery = inverse_mod_two52(p);
    t->first_lift = (t->forward_class == CLASS_A ? 26 : 7) * p;
    /* Sums of products of residues: see `reduce`. Combinations take y < 2^50 instead of y < p. */
    t->sums = m->bits >= 50   ? 15
              : m->bits == 49 ? 60
              : m->bits == 48 ? 240
              : m->bits == 47 ? 960
                              : 2048;
    t->scale = twiddle_of(scalar_inverse_of_degree(p, log_n), m);
}

static fhola_status prime_init(ckks_prime *p)
{
    size_t n = (size_t)1 << p->log_n, blocks = n / 64 ? n / 64 : 1;
    ifma_tables *t = calloc(1, sizeof *t);
    p->tables = t;
    if (!t)
        return fhola_fail(FHOLA_NOMEM, "no memory for the tables of prime %llu",
                          (unsigned long long)p->p);
    set_constants(t, p->p, p->log_n);
    if (p->log_n < NATIVE_LOG_N) {
        t->portable = *p;
        t->portable.tables = NULL;
        fhola_status status = ckks_kernel_portable.prime_init(&t->portable);
        if (status) prime_clear(p);
        return status;
    }
    uint64_t *w = malloc(n * sizeof *w);
    /* One block: both lane tables, then both scalar tables. */
    t->forward_lanes =
        ckks_alloc_table(2 * blocks * sizeof *t->forward_lanes + 2 * (n / 8) * sizeof *t->forward);
    if (!w || !t->forward_lanes) {
        free(w);
        prime_clear(p);
        return fhola_fail(FHOLA_NOMEM, "no memory for the tables of prime %llu, n = %zu",
                          (unsigned long long)p->p, n);
    }
    t->inverse_lanes = t->forward_lanes + blocks;
    t->forward = (twiddle *)(void *)(t->inverse_lanes + blocks);
    t->inverse = t->forward + n / 8;
    scalar_twiddles(w, p->psi, p->log_n, &t->m);
    fill_twiddles(t->forward, t->forward_lanes, w, n, &t->m);
    scalar_twiddles(w, scalar_power(p->psi, 2 * n - 1, &t->m), p->log_n, &t->m);
    fill_twiddles(t->inverse, t->inverse_lanes, w, n, &t->m);
    t->scale_last = twiddle_of(scalar_mul(t->scale.w, w[1], &t->m), &t->m);
    free(w);
    return FHOLA_OK;
}

/* ---- Building blocks of both transforms ---- */

typedef struct constants {
    V zero, neg, barrett, mask, p, p2, montgomery;
    uint64_t prime;
} constants;

ALWAYS constants constants_of(const ifma_tables *t)
{
    uint64_t p = t->m.p;
    constants c = {_mm512_setzero_si512(),
                   all(((uint64_t)1 << 52) - p),
                   all(t->barrett),
                   all(((uint64_t)1 << 52) - 1),
                   all(p),
                   all(2 * p),
                   all(t->montgomery),
                   p};
    return c;
}

/* Where a radix-8 step finds its seven twiddles: 0 of the first layer, 1 and 2 of the second, 3 to
 * 6 of the third; either broadcast from entries k, 2k.., 4k.. of a table or, if `in_lanes`, one for
 * each lane. */
typedef struct twiddle_source {
    int in_lanes;
    const twiddle *table;
    size_t k;
    const lane_twiddles *lanes;
} twiddle_source;

ALWAYS twiddle_source scalars(const twiddle *table, size_t k)
{
    twiddle_source s = {0, table, k, NULL};
    return s;
}

ALWAYS twiddle_source lanes(const lane_twiddles *lanes)
{
    twiddle_source s = {1, NULL, 0, lanes};
    return s;
}

ALWAYS const twiddle *scalar_twiddle(const twiddle_source *s, int i)
{
    return &s->table[i == 0  ? s->k
                     : i < 3 ? 2 * s->k + (size_t)(i - 1)
                             : 4 * s->k + (size_t)(i - 3)];
}

/* Any value below 2^52 to [0, 2p). */
ALWAYS V clean(V x, const constants *c)
{
    return LO(x, HI(c->zero, x, c->barrett), c->neg);
}

/* s + T(y w), T in [0, 2p) (1). */
ALWAYS V times(V s, V y, V w, V comp, const constants *c)
{
    return LO(LO(s, y, w), HI(c->zero, y, comp), c->neg);
}

/* s + T with twiddle i of the source, T in [0, 2p) (1) or, in lanes, in (-p, p) (3). */
ALWAYS V turn(V s, V y, const twiddle_source *source, int i, const constants *c)
{
    if (!source->in_lanes) {
        const twiddle *t = scalar_twiddle(source, i);
        return times(s, y, all(t->w), all(t->comp), c);
    }
    V w = load(source->lanes->vector[i]), q = LO(c->zero, LO(c->zero, y, w), c->montgomery);
    return SUB(HI(s, y, w), HI(c->zero, q, c->p));
}

/* [0, 2p) with garbage above bit 52 to canonical. */
ALWAYS V canonical(V x, const constants *c)
{
    below(x, 2 * c->prime);
    x = AND(x, c->mask);
    return MIN(x, SUB(x, c->p));
}

ALWAYS void load8(V x[8], const uint64_t *a, size_t stride)
{
    x[0] = load(a), x[1] = load(a + stride), x[2] = load(a + 2 * stride),
    x[3] = load(a + 3 * stride);
    x[4] = load(a + 4 * stride), x[5] = load(a + 5 * stride), x[6] = load(a + 6 * stride),
    x[7] = load(a + 7 * stride);
}

ALWAYS void store8(uint64_t *a, size_t stride, const V x[8])
{
    store(a, x[0]), store(a + stride, x[1]), store(a + 2 * stride, x[2]),
        store(a + 3 * stride, x[3]);
    store(a + 4 * stride, x[4]), store(a + 5 * stride, x[5]), store(a + 6 * stride, x[6]),
        store(a + 7 * stride, x[7]);
}

/* ---- Forward transform ---- */

/* What a pass does to its X inputs before the first layer. */
ALWAYS V prepare(V x, V lift, enum forward_mode mode, const constants *c)
{
    if (mode == CLEAN_LIFT) x = clean(x, c);
    return mode == LIFT || mode == CLEAN_LIFT ? ADD(x, lift) : x;
}

/* One butterfly with twiddle i of the source. */
ALWAYS void forward2(V *x, V *y, const twiddle_source *s, int i, enum forward_mode mode,
                     const constants *c)
{
    V a = mode == STRICT ? clean(*x, c) : *x;
    if (mode == STRICT && s->in_lanes) a = ADD(a, c->p); /* X + T + p and X - T + p */
    V twice = ADD(a, a);
    if (mode == STRICT && !s->in_lanes) twice = ADD(twice, c->p2); /* X + T and X - T + 2p */
    below(*y, mode == STRICT ? 4 * c->prime : (uint64_t)1 << 52);
    a = turn(a, *y, s, i, c);
    *y = SUB(twice, a);
    *x = a;
#ifdef FHOLA_VERIFY
    /* A value that fell below zero or rose above its bound shows up here, all bounds being well
     * below 2^52. */
    uint64_t bound = mode == STRICT ? 4 * c->prime : c->prime >> 45 ? 15 * c->prime : 53 * c->prime;
    below(*x, bound);
    below(*y, bound);
#endif
}

ALWAYS void forward8(V x[8], const twiddle_source *s, V lift, enum forward_mode mode,
                     const constants *c)
{
    UNROLL
    for (int i = 0; i < 4; i++) x[i] = prepare(x[i], lift, mode, c);
    forward2(&x[0], &x[4], s, 0, mode, c), forward2(&x[1], &x[5], s, 0, mode, c);
    forward2(&x[2], &x[6], s, 0, mode, c), forward2(&x[3], &x[7], s, 0, mode, c);
    forward2(&x[0], &x[2], s, 1, mode, c), forward2(&x[1], &x[3], s, 1, mode, c);
    forward2(&x[4], &x[6], s, 2, mode, c), forward2(&x[5], &x[7], s, 2, mode, c);
    forward2(&x[0], &x[1], s, 3, mode, c), forward2(&x[2], &x[3], s, 4, mode, c);
    forward2(&x[4], &x[5], s, 5, mode, c), forward2(&x[6], &x[7], s, 6, mode, c);
}

/* One pass over a block of `length` words that is node k of the binary tree of blocks (the limb is
 * node 1, children 2k, 2k+1). */
ALWAYS void forward_pass_radix(const ifma_tables *t, uint64_t *a, size_t length, size_t k,
                               unsigned log_radix, V lift, enum forward_mode mode)
{
    const constants c = constants_of(t);
    const twiddle_source s = scalars(t->forward, k);
    size_t stride = length >> log_radix;
    for (size_t j = 0; j < stride; j += 8) {
        V x[8];
        if (log_radix == 1) {
            x[0] = prepare(load(a + j), lift, mode, &c), x[1] = load(a + stride + j);
            forward2(&x[0], &x[1], &s, 0, mode, &c);
            store(a + j, x[0]), store(a + stride + j, x[1]);
        } else if (log_radix == 2) {
            x[0] = prepare(load(a + j), lift, mode, &c),
            x[1] = prepare(load(a + stride + j), lift, mode, &c);
            x[2] = load(a + 2 * stride + j), x[3] = load(a + 3 * stride + j);
            forward2(&x[0], &x[2], &s, 0, mode, &c);
            forward2(&x[1], &x[3], &s, 0, mode, &c);
            forward2(&x[0], &x[1], &s, 1, mode, &c);
            forward2(&x[2], &x[3], &s, 2, mode, &c);
            store(a + j, x[0]), store(a + stride + j, x[1]);
            store(a + 2 * stride + j, x[2]), store(a + 3 * stride + j, x[3]);
        } else {
            load8(x, a + j, stride);
            forward8(x, &s, lift, mode, &c);
            store8(a + j, stride, x);
        }
    }
}

static void forward_pass(const ifma_tables *t, uint64_t *a, size_t length, size_t k,
                         unsigned log_radix, enum forward_mode mode)
{
    V lift = all(mode == LIFT ? t->first_lift : 6 * t->m.p);
#define RADIX(r)                                                                                   \
    case r:                                                                                        \
        if (mode == PLAIN)                                                                         \
            forward_pass_radix(t, a, length, k, r, lift, PLAIN);                                   \
        else if (mode == LIFT)                                                                     \
            forward_pass_radix(t, a, length, k, r, lift, LIFT);                                    \
        else if (mode == CLEAN_LIFT)                                                               \
            forward_pass_radix(t, a, length, k, r, lift, CLEAN_LIFT);                              \
        else                                                                                       \
            forward_pass_radix(t, a, length, k, r, lift, STRICT);                                  \
        break
    switch (log_radix) {
        RADIX(1);
        RADIX(2);
    default: RADIX(3);
    }
#undef RADIX
}

/* The last six layers of `count` consecutive blocks of 64 words, the first of them node k;
 * canonical results. */
ALWAYS void forward_tail_class(const ifma_tables *t, uint64_t *a, size_t count, size_t k, size_t n,
                               enum lazy_class class)
{
    const constants c = constants_of(t);
    const enum forward_mode mode = class == CLASS_A   ? PLAIN
                                   : class == CLASS_B ? CLEAN_LIFT
                                                      : STRICT;
    const V lift = all(6 * t->m.p), exact = all(t->exact);
    const __m128i shift = _mm_cvtsi64_si128((long long)t->m.bits - 1);
    /* Two loops, not one: enough independent work between the steps of a block to hide their
     * latency. */
    for (size_t b = 0; b < count; b++) {
        const twiddle_source outer = scalars(t->forward, k + b);
        V x[8];
        load8(x, a + 64 * b, 8);
        forward8(x, &outer, lift, mode, &c);
        transpose8(x);
        store8(a + 64 * b, 8, x);
    }
    for (size_t b = 0; b < count; b++) {
        const twiddle_source inner = lanes(&t->forward_lanes[k + b - n / 64]);
        V x[8];
        load8(x, a + 64 * b, 8);
        forward8(x, &inner, lift, mode, &c);
        UNROLL
        for (int i = 0; i < 8; i++) {
            if (class == CLASS_A) {
                V q = _mm512_srl_epi64(HI(c.zero, x[i], exact), shift);
                x[i] = AND(LO(x[i], q, c.neg), c.mask);
                below(x[i], c.prime);
            } else {
                x[i] = canonical(clean(x[i], &c), &c);
            }
        }
        store8(a + 64 * b, 8, x);
    }
}

static void forward_tail(const ifma_tables *t, uint64_t *a, size_t count, size_t k, size_t n)
{
    if (t->forward_class == CLASS_A)
        forward_tail_class(t, a, count, k, n, CLASS_A);
    else if (t->forward_class == CLASS_B)
        forward_tail_class(t, a, count, k, n, CLASS_B);
    else
        forward_tail_class(t, a, count, k, n, CLASS_C);
}

/* How many layers the passes of a limb of 2^log_n words take, the first over the whole limb; six
 * are left for blocks of 64. No pass takes four: at log_n = 16, 2 + 2 + 3 + 3 takes 0.93 of the
 * time of 4 + 3 + 3. */
static const char *split_of(unsigned log_n)
{
    static const char *const splits[] = {"1",   "2",   "3",   "13",   "23",  "33",
                                         "133", "233", "333", "2233", "2333"};
    return splits[log_n - NATIVE_LOG_N];
}

/* A block of 2^log_length words, node k, depth first, so that its parts are finished while they are
 * in the cache. */
static void forward_block(const ifma_tables *t, uint64_t *a, unsigned log_length, size_t k,
                          size_t n, const char *split, enum forward_mode mode,
                          enum forward_mode rest)
{
    unsigned layers = (unsigned)(*split - '0');
    size_t length = (size_t)1 << log_length, part = length >> layers;
    forward_pass(t, a, length, k, layers, mode);
    if (part == 64) {
        forward_tail(t, a, length / 64, k << layers, n);
        return;
    }
    for (size_t j = 0; j < (size_t)1 << layers; j++)
        forward_block(t, a + j * part, log_length - layers, (k << layers) + j, n, split + 1, rest,
                      rest);
}

static void forward_limb(const ifma_tables *t, uint64_t *a, unsigned log_n)
{
    const enum forward_mode first = t->forward_class == CLASS_C ? STRICT : LIFT;
    const enum forward_mode rest = t->forward_class == CLASS_A   ? PLAIN
                                   : t->forward_class == CLASS_B ? CLEAN_LIFT
                                                                 : STRICT;
    forward_block(t, a, log_n, 1, (size_t)1 << log_n, split_of(log_n), first, rest);
}

static void ntt_forward(const ckks_prime *p, uint64_t *const limbs[], size_t count)
{
    const ifma_tables *t = p->tables;
    if (p->log_n < NATIVE_LOG_N) {
        ckks_kernel_portable.ntt_forward(&t->portable, limbs, count);
        return;
    }
    for (size_t i = 0; i < count; i++) forward_limb(t, limbs[i], p->log_n);
}

/* ---- Inverse transform ---- */

/* X' = X + Y, Y' = start + T(X - Y + bias); `bias` and `start` are multiples of p. */
ALWAYS void inverse2(V *x, V *y, const twiddle_source *s, int i, V bias, V start,
                     enum lazy_class class, const constants *c)
{
    V sum = ADD(*x, *y), d = SUB(*x, *y);
    if (class != CLASS_A) d = ADD(d, bias);
    below(d, class == CLASS_A ? 320 * c->prime : class == CLASS_B ? 16 * c->prime : 4 * c->prime);
    below(sum, class == CLASS_A ? 320 * c->prime : class == CLASS_B ? 16 * c->prime : 4 * c->prime);
    *y = turn(s->in_lanes ? ADD(start, c->p) : start, d, s, i, c);
    *x = class == CLASS_C ? clean(sum, c) : sum;
}

/* The last layer of the whole transform: both results times 1/n, canonical. `bias` always
 * counts. */
ALWAYS void inverse_last(V *x, V *y, V bias, const ifma_tables *t, const constants *c)
{
    V sum = ADD(*x, *y), d = ADD(SUB(*x, *y), bias);
    *x = canonical(times(c->zero, sum, all(t->scale.w), all(t->scale.comp), c), c);
    *y = canonical(times(c->zero, d, all(t->scale_last.w), all(t->scale_last.comp), c), c);
}

/* Multiples of p that keep differences positive, by class; see the top of the file. */
typedef struct lifts {
    V bias[3];  /* classes B and C: bound of the Y inputs of sums of sums, layers 1 to 3 */
    V small;    /* classes B and C: bound of T; class A: start of the left T */
    V start;    /* class A: start of the leftmost T of layer 1 */
    V outer[3]; /* class A: B, 3B, 5B */
} lifts;

ALWAYS lifts lifts_of(uint64_t p, enum lazy_class class)
{
    const V z = _mm512_setzero_si512();
    lifts a = {{z, z, z}, all(2 * p), all(6 * p), {all(16 * p), all(48 * p), all(80 * p)}};
    lifts b = {{all(4 * p), all(8 * p), all(2 * p)}, all(2 * p), z, {z, z, z}};
    lifts s = {{all(2 * p), all(2 * p), all(2 * p)}, all(2 * p), z, {z, z, z}};
    return class == CLASS_A ? a : class == CLASS_B ? b : s;
}

ALWAYS void inverse8(V x[8], const twiddle_source *s, const ifma_tables *t, const lifts *f,
                     enum lazy_class class, int last, const constants *c)
{
    const int a = class == CLASS_A, b = class == CLASS_B;
    const V zero = c->zero, left = a ? f->small : zero, leftmost = a ? f->start : zero;
    if (a) {
        x[0] = ADD(x[0], f->outer[2]), x[2] = ADD(x[2], f->outer[1]);
        x[4] = ADD(x[4], f->outer[1]), x[6] = ADD(x[6], f->outer[0]);
    }
    inverse2(&x[0], &x[1], s, 3, f->bias[0], leftmost, class, c);
    inverse2(&x[2], &x[3], s, 4, f->bias[0], zero, class, c);
    inverse2(&x[4], &x[5], s, 5, f->bias[0], left, class, c);
    inverse2(&x[6], &x[7], s, 6, f->bias[0], zero, class, c);
    inverse2(&x[0], &x[2], s, 1, f->bias[1], left, class, c),
        inverse2(&x[1], &x[3], s, 1, f->small, left, class, c);
    inverse2(&x[4], &x[6], s, 2, f->bias[1], zero, class, c),
        inverse2(&x[5], &x[7], s, 2, f->small, zero, class, c);
    if (b) x[0] = clean(x[0], c), x[4] = clean(x[4], c);
    if (last) { /* class A has positive differences already */
        inverse_last(&x[0], &x[4], a ? zero : f->bias[2], t, c);
        inverse_last(&x[1], &x[5], b ? f->bias[0] : a ? zero : f->small, t, c);
        inverse_last(&x[2], &x[6], a ? zero : f->small, t, c),
            inverse_last(&x[3], &x[7], a ? zero : f->small, t, c);
        return;
    }
    inverse2(&x[0], &x[4], s, 0, f->bias[2], zero, class, c);
    inverse2(&x[1], &x[5], s, 0, b ? f->bias[0] : f->small, zero, class, c);
    inverse2(&x[2], &x[6], s, 0, f->small, zero, class, c),
        inverse2(&x[3], &x[7], s, 0, f->small, zero, class, c);
    if (a) x[0] = clean(x[0], c);
    if (b) x[1] = clean(x[1], c);
}

ALWAYS void inverse4(V x[4], const twiddle_source *s, const ifma_tables *t, const lifts *f,
                     enum lazy_class class, int last, const constants *c)
{
    const int a = class == CLASS_A;
    const V zero = c->zero, left = a ? f->small : zero;
    if (a) x[0] = ADD(x[0], f->outer[1]), x[2] = ADD(x[2], f->outer[0]);
    inverse2(&x[0], &x[1], s, 1, f->bias[0], left, class, c);
    inverse2(&x[2], &x[3], s, 2, f->bias[0], zero, class, c);
    if (last) {
        inverse_last(&x[0], &x[2], a ? zero : f->bias[1], t, c),
            inverse_last(&x[1], &x[3], a ? zero : f->small, t, c);
        return;
    }
    inverse2(&x[0], &x[2], s, 0, f->bias[1], zero, class, c);
    inverse2(&x[1], &x[3], s, 0, f->small, zero, class, c);
    if (class != CLASS_C) x[0] = clean(x[0], c);
}

ALWAYS void inverse_pass_radix(const ifma_tables *t, uint64_t *a, size_t length, size_t k,
                               unsigned log_radix, enum lazy_class class, int last)
{
    const constants c = constants_of(t);
    const lifts f = lifts_of(t->m.p, class);
    const twiddle_source s = scalars(t->inverse, k);
    const V bound = class == CLASS_A ? f.outer[0] : f.bias[0];
    size_t stride = length >> log_radix;
    for (size_t j = 0; j < stride; j += 8) {
        V x[8];
        if (log_radix == 1) {
            x[0] = load(a + j), x[1] = load(a + stride + j);
            if (last) {
                inverse_last(&x[0], &x[1], bound, t, &c);
            } else {
                V d = ADD(SUB(x[0], x[1]), bound);
                x[0] = clean(ADD(x[0], x[1]), &c);
                x[1] = turn(c.zero, d, &s, 0, &c);
            }
            store(a + j, x[0]), store(a + stride + j, x[1]);
        } else if (log_radix == 2) {
            x[0] = load(a + j), x[1] = load(a + stride + j);
            x[2] = load(a + 2 * stride + j), x[3] = load(a + 3 * stride + j);
            inverse4(x, &s, t, &f, class, last, &c);
            store(a + j, x[0]), store(a + stride + j, x[1]);
            store(a + 2 * stride + j, x[2]), store(a + 3 * stride + j, x[3]);
        } else {
            load8(x, a + j, stride);
            inverse8(x, &s, t, &f, class, last, &c);
            store8(a + j, stride, x);
        }
    }
}

static void inverse_pass(const ifma_tables *t, uint64_t *a, size_t length, size_t k,
                         unsigned log_radix)
{
#define CLASSES(r, last)                                                                           \
    if (t->inverse_class == CLASS_A)                                                               \
        inverse_pass_radix(t, a, length, k, r, CLASS_A, last);                                     \
    else if (t->inverse_class == CLASS_B)                                                          \
        inverse_pass_radix(t, a, length, k, r, CLASS_B, last);                                     \
    else                                                                                           \
        inverse_pass_radix(t, a, length, k, r, CLASS_C, last)
#define RADIX(r)                                                                                   \
    case r:                                                                                        \
        if (k == 1) {                                                                              \
            CLASSES(r, 1);                                                                         \
        } else {                                                                                   \
            CLASSES(r, 0);                                                                         \
        }                                                                                          \
        break
    switch (log_radix) {
        RADIX(1);
        RADIX(2);
    default: RADIX(3);
    }
#undef RADIX
#undef CLASSES
}

ALWAYS void inverse_head_class(const ifma_tables *t, uint64_t *a, const uint64_t *in, size_t count,
                               size_t k, size_t n, enum lazy_class class)
{
    const constants c = constants_of(t);
    const lifts f = lifts_of(t->m.p, class);
    for (size_t b = 0; b < count; b++) {
        const twiddle_source inner = lanes(&t->inverse_lanes[k + b - n / 64]);
        V x[8];
        for (size_t i = 0; i < 64; i += 8)
            _mm_prefetch((const char *)(in + 64 * b + 512 + i), _MM_HINT_T0);
        load8(x, in + 64 * b, 8);
        inverse8(x, &inner, t, &f, class, 0, &c);
        store8(a + 64 * b, 8, x);
    }
    for (size_t b = 0; b < count; b++) {
        const twiddle_source outer = scalars(t->inverse, k + b);
        V x[8];
        load8(x, a + 64 * b, 8);
        transpose8(x);
        inverse8(x, &outer, t, &f, class, 0, &c);
        store8(a + 64 * b, 8, x);
    }
}

/* The first six layers of `count` consecutive blocks of 64 words, the first of them node k. */
static void inverse_head(const ifma_tables *t, uint64_t *a, const uint64_t *in, size_t count,
                         size_t k, size_t n)
{
    if (t->inverse_class == CLASS_A)
        inverse_head_class(t, a, in, count, k, n, CLASS_A);
    else if (t->inverse_class == CLASS_B)
        inverse_head_class(t, a, in, count, k, n, CLASS_B);
    else
        inverse_head_class(t, a, in, count, k, n, CLASS_C);
}

static void inverse_block(const ifma_tables *t, uint64_t *a, const uint64_t *in,
                          unsigned log_length, size_t k, size_t n, const char *split)
{
    unsigned layers = (unsigned)(*split - '0');
    size_t length = (size_t)1 << log_length, part = length >> layers;
    if (part == 64)
        inverse_head(t, a, in, length / 64, k << layers, n);
    else
        for (size_t j = 0; j < (size_t)1 << layers; j++)
            inverse_block(t, a + j * part, in + j * part, log_length - layers, (k << layers) + j, n,
                          split + 1);
    inverse_pass(t, a, length, k, layers);
}

static void inverse_limb(const ifma_tables *t, uint64_t *a, const uint64_t *in, unsigned log_n)
{
    inverse_block(t, a, in, log_n, 1, (size_t)1 << log_n, split_of(log_n));
}

static void ntt_inverse(const ckks_prime *p, uint64_t *const limbs[], size_t count)
{
    const ifma_tables *t = p->tables;
    if (p->log_n < NATIVE_LOG_N) {
        ckks_kernel_portable.ntt_inverse(&t->portable, limbs, count);
        return;
    }
    for (size_t i = 0; i < count; i++) inverse_limb(t, limbs[i], limbs[i], p->log_n);
}

static void ntt_inverse_scaled(const ckks_prime *p, uint64_t *out, const uint64_t *in, uint64_t c)
{
    /* shares the twiddles; only the last layer's factors differ */
    ifma_tables t = *(const ifma_tables *)p->tables;
    if (p->log_n < NATIVE_LOG_N) {
        ckks_kernel_portable.ntt_inverse_scaled(&t.portable, out, in, c);
        return;
    }
    t.scale = twiddle_of(scalar_mul(t.scale.w, c, &t.m), &t.m);
    t.scale_last = twiddle_of(scalar_mul(t.scale_last.w, c, &t.m), &t.m);
    inverse_limb(&t, out, in, p->log_n);
}

/* ---- Sums of products ----
 *
 * An accumulator is a pair (low, high) of sums of LO and HI: its value is high 2^52 + low. It is
 * folded to one canonical residue
 *     r = low' + high' (2^52 mod p) - (q1 + q2) p,
 *     low' = low mod 2^52,  high' = high + floor(low / 2^52),
 * with q1, q2 the quotients of (1) and (2): each leaves a remainder below 2p, so r < 4p <= 2^52, as
 * long as high' < 2^52 and low < 2^64. For k products below 2^(2b) and a residue in `low`: k
 * (2^(2b-52) + 1) + 1 < 2^52 and k < 4095; `sums` is below both. Longer sums are folded in between.
 * Inner products leave room for CKKS_MAX_SWITCHES products with the factor in their first sum:
 * `sums` is 15 at least. */

typedef struct fold_constants {
    V zero, neg, barrett, mask, p, p2, two52, two52_comp;
} fold_constants;

ALWAYS fold_constants fold_constants_of(const ifma_tables *t)
{
    uint64_t p = t->m.p;
    fold_constants c = {_mm512_setzero_si512(),
                        all(((uint64_t)1 << 52) - p),
                        all(t->barrett),
                        all(((uint64_t)1 << 52) - 1),
                        all(p),
                        all(2 * p),
                        all(t->two52),
                        all(t->two52_comp)};
    return c;
}

/* low below 2^52 already carried into high. */
ALWAYS V fold_carried(V low, V high, const fold_constants *c)
{
#ifdef FHOLA_VERIFY
    uint64_t word[8];
    store(word, high);
    for (int i = 0; i < 8; i++) assert(word[i] >> 52 == 0);
#endif
    V q = HI(HI(c->zero, high, c->two52_comp), low, c->barrett);
    V r = AND(LO(LO(low, high, c->two52), q, c->neg), c->mask);
    r = MIN(r, SUB(r, c->p2));
    return MIN(r, SUB(r, c->p));
}

ALWAYS V fold(V low, V high, const fold_constants *c)
{
    return fold_carried(low, ADD(high, _mm512_srli_epi64(low, 52)), c);
}

typedef struct accumulator {
    V low, high;
} accumulator;

ALWAYS void accumulate_product(accumulator *s, V a, V b)
{
    s->low = LO(s->low, a, b);
    s->high = HI(s->high, a, b);
}

ALWAYS V product(V a, V b, const fold_constants *c)
{
    return fold_carried(LO(c->zero, a, b), HI(c->zero, a, b), c);
}

/* How eight words of a packed limb (packed.h) become those of a vector. */
typedef struct unpacking {
    size_t width;
    V bytes;             /* of the words, where they stand in the limb */
    __mmask64 read, set; /* bytes of the limb, of the vector */
} unpacking;

static unpacking unpacking_of(const ckks_prime *p)
{
#define WORD(w, i)                                                                                 \
    (w) * (i), (w) * (i) + 1, (w) * (i) + 2, (w) * (i) + 3, (w) * (i) + 4, (w) * (i) + 5,          \
        (w) * (i) + 6, (w) * (i) + 7
#define WORDS(w)                                                                                   \
    WORD(w, 0), WORD(w, 1), WORD(w, 2), WORD(w, 3), WORD(w, 4), WORD(w, 5), WORD(w, 6), WORD(w, 7)
    static const uint8_t bytes[4][64]
        __attribute__((aligned(64))) = {{WORDS(4)}, {WORDS(5)}, {WORDS(6)}, {WORDS(7)}};
#undef WORDS
#undef WORD
    const unsigned w = p->width;
    unpacking u = {w, _mm512_load_si512((const void *)bytes[w - 4]), ((__mmask64)1 << 8 * w) - 1,
                   (((__mmask64)1 << w) - 1) * UINT64_C(0x0101010101010101)};
    return u;
}

/* Eight words from position i on of a packed limb. */
ALWAYS V load_packed(const void *limb, const unpacking *u, size_t i)
{
    const V words = _mm512_maskz_loadu_epi8(u->read, (const char *)limb + i * u->width);
    return _mm512_maskz_permutexvar_epi8(u->set, u->bytes, words);
}

/* ---- Element-wise functions ---- */

static void add(const ckks_prime *p, uint64_t *out, const uint64_t *a, const uint64_t *b,
                size_t count)
{
    const V q = all(p->p);
    for (size_t j = 0; j < count; j += 8) store(out + j, modular_add(load(a + j), load(b + j), q));
}

static void sub(const ckks_prime *p, uint64_t *out, const uint64_t *a, const uint64_t *b,
                size_t count)
{
    const V q = all(p->p);
    for (size_t j = 0; j < count; j += 8) store(out + j, modular_sub(load(a + j), load(b + j), q));
}

static void mul(const ckks_prime *p, uint64_t *out, const uint64_t *a, const uint64_t *b,
                size_t count)
{
    const fold_constants c = fold_constants_of(p->tables);
    for (size_t j = 0; j < count; j += 8) store(out + j, product(load(a + j), load(b + j), &c));
}

static void mul_add(const ckks_prime *p, uint64_t *out, const uint64_t *acc, const uint64_t *a,
                    const uint64_t *b, size_t count)
{
    const fold_constants c = fold_constants_of(p->tables);
    for (size_t j = 0; j < count; j += 8) {
        V x = load(a + j), y = load(b + j);
        store(out + j, fold(LO(load(acc + j), x, y), HI(c.zero, x, y), &c));
    }
}

static void add_scalar(const ckks_prime *p, uint64_t *out, const uint64_t *a, uint64_t s,
                       size_t count)
{
    const V q = all(p->p), b = all(s);
    for (size_t j = 0; j < count; j += 8) store(out + j, modular_add(load(a + j), b, q));
}

static void mul_scalar(const ckks_prime *p, uint64_t *out, const uint64_t *a, uint64_t s,
                       size_t count)
{
    const ifma_tables *t = p->tables;
    const constants c = constants_of(t);
    const twiddle f = twiddle_of(s, &t->m);
    const V w = all(f.w), comp = all(f.comp);
    for (size_t j = 0; j < count; j += 8)
        store(out + j, canonical(times(c.zero, load(a + j), w, comp, &c), &c));
}

static void mul_scalar_add(const ckks_prime *p, uint64_t *out, const uint64_t *acc,
                           const uint64_t *a, uint64_t s, size_t count)
{
    const ifma_tables *t = p->tables;
    const constants c = constants_of(t);
    const twiddle f = twiddle_of(s, &t->m);
    const V w = all(f.w), comp = all(f.comp);
    for (size_t j = 0; j < count; j += 8) {
        V r = AND(times(load(acc + j), load(a + j), w, comp, &c), c.mask); /* below 3p */
        r = MIN(r, SUB(r, c.p2));
        store(out + j, MIN(r, SUB(r, c.p)));
    }
}

static void sub_mul_scalar(const ckks_prime *p, uint64_t *out, const uint64_t *a, const uint64_t *b,
                           uint64_t s, size_t count)
{
    const ifma_tables *t = p->tables;
    const constants c = constants_of(t);
    const twiddle f = twiddle_of(s, &t->m);
    const V w = all(f.w), comp = all(f.comp);
    for (size_t j = 0; j < count; j += 8) {
        V d = ADD(SUB(load(a + j), load(b + j)), c.p);
        store(out + j, canonical(times(c.zero, d, w, comp, &c), &c));
    }
}

static void tensor(const ckks_prime *p, uint64_t *d0, uint64_t *d1, uint64_t *d2,
                   const uint64_t *a0, const uint64_t *a1, const uint64_t *b0, const uint64_t *b1,
                   size_t count)
{
    const fold_constants c = fold_constants_of(p->tables);
    for (size_t j = 0; j < count; j += 8) {
        V w = load(a0 + j), x = load(a1 + j), y = load(b0 + j), z = load(b1 + j);
        accumulator s = {c.zero, c.zero};
        accumulate_product(&s, w, z);
        accumulate_product(&s, x, y);
        V first = product(w, y, &c), last = product(x, z, &c);
        store(d0 + j, first);
        store(d1 + j, fold(s.low, s.high, &c));
        store(d2 + j, last);
    }
}

/* |x| < 2^62 becomes x + offset in (0, 2^63), split into 52 low bits and a small high part. */
static void reduce_signed(const ckks_prime *p, uint64_t *out, const int64_t *x, size_t count)
{
    const ifma_tables *t = p->tables;
    const fold_constants c = fold_constants_of(t);
    const V offset = all(t->m.offset);
    for (size_t j = 0; j < count; j += 8)
        store(out + j, fold(ADD(_mm512_loadu_si512((const void *)(x + j)), offset), c.zero, &c));
}

static void overflow(uint64_t *v, size_t terms, const uint64_t *const y[], const double inverse[],
                     size_t count)
{
    const __m512d half = _mm512_set1_pd(0.5);
    for (size_t j = 0; j < count; j += 8) {
        __m512d s = _mm512_setzero_pd();
        for (size_t i = 0; i < terms; i++) {
            __m512d t =
                _mm512_mul_pd(_mm512_cvtepi64_pd(load(y[i] + j)), _mm512_set1_pd(inverse[i]));
            s = _mm512_add_pd(s, t);
        }
        /* never negative: truncation is floor */
        store(v + j, _mm512_cvttpd_epi64(_mm512_add_pd(s, half)));
    }
}

/* ---- Automorphisms (rotate.h) ---- */

static void permute(const ckks_prime *p, uint64_t *out, const uint64_t *acc, const uint64_t *a,
                    const ckks_automorphism *sigma)
{
    const ifma_tables *t = p->tables;
    if (p->log_n < NATIVE_LOG_N)
        ckks_kernel_portable.permute(&t->portable, out, acc, a, sigma);
    else
        permute_blocks(p, out, acc, a, sigma);
}

/* ---- Inner product with keys ---- */

enum { PREFETCH_AHEAD = 4096 }; /* bytes of a key limb */

/* The factors of one block of 64 positions: digits with their key limbs, and limbs that are
 * multiplied by the factor. */
typedef struct inner_block {
    size_t terms, adds[2];
    const uint64_t *x[CKKS_MAX_TERMS];
    const unsigned char *key[2][CKKS_MAX_TERMS];
    const uint64_t *add[2][CKKS_MAX_SWITCHES];
} inner_block;

/* Two vectors of both sums. */
ALWAYS void inner_vectors(const inner_block *o, uint64_t *out0, uint64_t *out1, size_t j,
                          const unpacking *u, size_t sums, V factor, const fold_constants *c,
                          int accumulate)
{
    accumulator s0 = {c->zero, c->zero}, s1 = s0, t0 = s0, t1 = s0;
    if (accumulate) {
        s0.low = load(out0 + j), s1.low = load(out0 + j + 8);
        t0.low = load(out1 + j), t1.low = load(out1 + j + 8);
    }
    for (size_t i = 0; i < o->adds[0]; i++) {
        accumulate_product(&s0, load(o->add[0][i] + j), factor);
        accumulate_product(&s1, load(o->add[0][i] + j + 8), factor);
    }
    for (size_t i = 0; i < o->adds[1]; i++) {
        accumulate_product(&t0, load(o->add[1][i] + j), factor);
        accumulate_product(&t1, load(o->add[1][i] + j + 8), factor);
    }
    for (size_t d = 0, room = sums - CKKS_MAX_SWITCHES; d < o->terms; d++, room--) {
        const unsigned char *k0 = o->key[0][d], *k1 = o->key[1][d];
        V x = load(o->x[d] + j), y = load(o->x[d] + j + 8);
        for (size_t i = j; i < j + 16; i += 8) {
            _mm_prefetch((const char *)k0 + PREFETCH_AHEAD + i * u->width, _MM_HINT_T0);
            _mm_prefetch((const char *)k1 + PREFETCH_AHEAD + i * u->width, _MM_HINT_T0);
        }
        if (!room) {
            s0.low = fold(s0.low, s0.high, c), s1.low = fold(s1.low, s1.high, c);
            t0.low = fold(t0.low, t0.high, c), t1.low = fold(t1.low, t1.high, c);
            s0.high = s1.high = t0.high = t1.high = c->zero;
            room = sums;
        }
        accumulate_product(&s0, x, load_packed(k0, u, j));
        accumulate_product(&s1, y, load_packed(k0, u, j + 8));
        accumulate_product(&t0, x, load_packed(k1, u, j));
        accumulate_product(&t1, y, load_packed(k1, u, j + 8));
    }
    store(out0 + j, fold(s0.low, s0.high, c)), store(out0 + j + 8, fold(s1.low, s1.high, c));
    store(out1 + j, fold(t0.low, t0.high, c)), store(out1 + j + 8, fold(t1.low, t1.high, c));
}

static void inner_product(const ckks_prime *p, uint64_t *out0, uint64_t *out1, size_t from,
                          size_t count, size_t terms, const ckks_switch_term term[],
                          uint64_t factor, int accumulate)
{
    const ifma_tables *t = p->tables;
    if (p->log_n < NATIVE_LOG_N) {
        ckks_kernel_portable.inner_product(&t->portable, out0, out1, from, count, terms, term,
                                           factor, accumulate);
        return;
    }
    const fold_constants c = fold_constants_of(t);
    const unpacking u = unpacking_of(p);
    uint64_t rotated[(CKKS_MAX_TERMS + 2 * CKKS_MAX_SWITCHES) * 64] __attribute__((aligned(64)));
    rotor r[CKKS_MAX_SWITCHES];
    for (size_t i = 0; i < terms; i++) r[i] = rotor_of(term[i].sigma ? term[i].sigma->g : 1);
    for (size_t at = from; at < from + count; at += 64) {
        inner_block o;
        uint64_t *room = rotated;
        o.terms = o.adds[0] = o.adds[1] = 0;
        for (size_t i = 0; i < terms; i++) {
            const ckks_switch_term *s = &term[i];
            const rotation turned = rotation_of(&r[i], s->sigma ? s->sigma->block[at >> 6] : 0);
            for (size_t d = 0; d < s->digits; d++, o.terms++) {
                o.x[o.terms] = inner_operand(s, &r[i], &turned, s->digit[d], at, &room);
                o.key[0][o.terms] = (const unsigned char *)s->key0[d] + at * u.width;
                o.key[1][o.terms] = (const unsigned char *)s->key1[d] + at * u.width;
            }
            if (s->add0)
                o.add[0][o.adds[0]++] = inner_operand(s, &r[i], &turned, s->add0, at, &room);
            if (s->add1)
                o.add[1][o.adds[1]++] = inner_operand(s, &r[i], &turned, s->add1, at, &room);
        }
        for (size_t j = 0; j < 64; j += 16)
            inner_vectors(&o, out0 + (at - from), out1 + (at - from), j, &u, t->sums, all(factor),
                          &c, accumulate);
    }
}

/* ---- Plaintext products ---- */

/* Each plaintext is a stream of its own, read a few lines at a time: too many for the processor to
 * foresee. */
#define PLAIN_AHEAD 512 /* bytes */

/* Four vectors of one or two sums at a time. A packed vector of a plaintext of gap 1, 2, 4 and more
 * covers 1, 2, 4 of them. */
ALWAYS void plain_range(const ckks_prime *p, uint64_t *const out[2], size_t count, size_t terms,
                        const void *const plain[], unsigned log_gap,
                        const uint64_t *const *const x[2], int accumulate, unsigned step,
                        int outputs)
{
    const ifma_tables *t = p->tables;
    const fold_constants c = fold_constants_of(t);
    const unpacking u = unpacking_of(p);
    for (size_t j = 0; j < count; j += 32) {
        accumulator s[2][4];
        for (int k = 0; k < outputs; k++) {
            UNROLL
            for (size_t v = 0; v < 4; v++) {
                s[k][v].low = accumulate ? load(out[k] + j + 8 * v) : c.zero;
                s[k][v].high = c.zero;
            }
        }
        size_t first = (j >> 3 >> log_gap) << 3;
        for (size_t b = 0, end; b < terms; b = end) {
            if (b) {
                for (int k = 0; k < outputs; k++) {
                    UNROLL
                    for (size_t v = 0; v < 4; v++) {
                        s[k][v].low = fold(s[k][v].low, s[k][v].high, &c);
                        s[k][v].high = c.zero;
                    }
                }
            }
            end = terms - b > t->sums ? b + t->sums : terms;
            for (size_t i = b; i < end; i++) {
                V w[4];
                for (size_t v = 0; v < 4 / step; v++)
                    _mm_prefetch((const char *)plain[i] + (first + 8 * v) * u.width + PLAIN_AHEAD,
                                 _MM_HINT_T0);
                w[0] = load_packed(plain[i], &u, first);
                w[1] = step == 1 ? load_packed(plain[i], &u, first + 8) : w[0];
                w[2] = step <= 2 ? load_packed(plain[i], &u, first + (step == 1 ? 16 : 8)) : w[0];
                w[3] = step == 1 ? load_packed(plain[i], &u, first + 24) : w[2];
                for (int k = 0; k < outputs; k++) {
                    const uint64_t *limb = x[k][i] + j;
                    UNROLL
                    for (size_t v = 0; v < 4; v++)
                        accumulate_product(&s[k][v], load(limb + 8 * v), w[v]);
                }
            }
        }
        for (int k = 0; k < outputs; k++) {
            UNROLL
            for (size_t v = 0; v < 4; v++)
                store(out[k] + j + 8 * v, fold(s[k][v].low, s[k][v].high, &c));
        }
    }
}

static void plain_product(const ckks_prime *p, uint64_t *out0, uint64_t *out1, size_t count,
                          size_t terms, const void *const plain[], unsigned log_gap,
                          const uint64_t *const x0[], const uint64_t *const x1[], int accumulate)
{
    const ifma_tables *t = p->tables;
    uint64_t *const out[2] = {out0, out1};
    const uint64_t *const *const x[2] = {x0, x1};
    if (p->log_n < NATIVE_LOG_N) {
        ckks_kernel_portable.plain_product(&t->portable, out0, out1, count, terms, plain, log_gap,
                                           x0, x1, accumulate);
        return;
    }
#define OUTPUTS(step)                                                                              \
    if (x1)                                                                                        \
        plain_range(p, out, count, terms, plain, log_gap, x, accumulate, step, 2);                 \
    else                                                                                           \
        plain_range(p, out, count, terms, plain, log_gap, x, accumulate, step, 1);                 \
    return
    switch (log_gap) {
    case 0: OUTPUTS(1);
    case 1: OUTPUTS(2);
    default: OUTPUTS(4);
    }
#undef OUTPUTS
}

/* ---- Linear combinations ---- */

enum { COMBINE_TARGETS = 5, COMBINE_BLOCK = 512 };

/* k products of y < 2^50 and a weight below 2^b, and a residue: k (2^(b-2) + 1) + 1 < 2^52. */
static size_t combine_room(const ifma_tables *t)
{
    return t->m.bits >= 50 ? 15 : t->m.bits == 49 ? 30 : CKKS_MAX_TERMS;
}

/* `targets` outputs, `vectors` (1 or 2) vectors of coefficients, from position j on. weight[i][k]
 * is that of y[i] in output k. */
ALWAYS void combine_vectors(const ifma_tables *const t[], size_t targets, uint64_t *const out[],
                            size_t terms, const uint64_t *const y[],
                            uint64_t weight[][COMBINE_TARGETS], size_t room, size_t j,
                            size_t vectors, int ahead)
{
    const V zero = _mm512_setzero_si512();
    accumulator s[COMBINE_TARGETS][2];
    for (size_t k = 0; k < targets; k++)
        for (size_t v = 0; v < vectors; v++) s[k][v].low = s[k][v].high = zero;
    for (size_t b = 0, end; b < terms; b = end) {
        if (b) {
            for (size_t k = 0; k < targets; k++) {
                const fold_constants c = fold_constants_of(t[k]);
                for (size_t v = 0; v < vectors; v++) {
                    s[k][v].low = fold(s[k][v].low, s[k][v].high, &c);
                    s[k][v].high = zero;
                }
            }
        }
        end = terms - b > room ? b + room : terms;
        for (size_t i = b; i < end; i++) {
            V x[2];
            if (ahead) {
                _mm_prefetch((const char *)(y[i] + j + COMBINE_BLOCK), _MM_HINT_T0);
                _mm_prefetch((const char *)(y[i] + j + COMBINE_BLOCK + 8), _MM_HINT_T0);
            }
            x[0] = load(y[i] + j);
            x[1] = vectors == 2 ? load(y[i] + j + 8) : zero;
            UNROLL
            for (size_t k = 0; k < targets; k++) {
                V w = all(weight[i][k]);
                for (size_t v = 0; v < vectors; v++) accumulate_product(&s[k][v], x[v], w);
            }
        }
    }
    UNROLL
    for (size_t k = 0; k < targets; k++) {
        const fold_constants c = fold_constants_of(t[k]);
        for (size_t v = 0; v < vectors; v++)
            store(out[k] + j + 8 * v, fold(s[k][v].low, s[k][v].high, &c));
    }
}

/* Up to five outputs over coefficients [from, to). The first group of a block fetches the next
 * block of y, which another core may have written. */
ALWAYS void combine_group(const ckks_prime *const primes[], size_t targets, uint64_t *const out[],
                          size_t terms, const uint64_t *const y[], const uint64_t *const weight[],
                          size_t from, size_t to, int ahead)
{
    const ifma_tables *t[COMBINE_TARGETS];
    uint64_t w[CKKS_MAX_TERMS][COMBINE_TARGETS];
    size_t room = CKKS_MAX_TERMS, j = from;
    for (size_t k = 0; k < targets; k++) {
        t[k] = primes[k]->tables;
        if (combine_room(t[k]) < room) room = combine_room(t[k]);
        for (size_t i = 0; i < terms; i++) w[i][k] = weight[k][i];
    }
    for (; j + 16 <= to; j += 16) combine_vectors(t, targets, out, terms, y, w, room, j, 2, ahead);
    if (j < to) combine_vectors(t, targets, out, terms, y, w, room, j, 1, 0);
}

/* Blocks of coefficients small enough that all y stay in the first-level cache while the groups of
 * outputs pass over them. */
static void combine(const ckks_prime *const primes[], size_t targets, uint64_t *const out[],
                    size_t terms, const uint64_t *const y[], const uint64_t *const weight[],
                    size_t count)
{
    for (size_t from = 0; from < count; from += COMBINE_BLOCK) {
        size_t to = count - from < COMBINE_BLOCK ? count : from + COMBINE_BLOCK, k = 0;
        for (; k + COMBINE_TARGETS <= targets; k += COMBINE_TARGETS)
            combine_group(primes + k, COMBINE_TARGETS, out + k, terms, y, weight + k, from, to,
                          k == 0);
        switch (targets - k) {
        case 4:
            combine_group(primes + k, 4, out + k, terms, y, weight + k, from, to, k == 0);
            break;
        case 3:
            combine_group(primes + k, 3, out + k, terms, y, weight + k, from, to, k == 0);
            break;
        case 2:
            combine_group(primes + k, 2, out + k, terms, y, weight + k, from, to, k == 0);
            break;
        case 1:
            combine_group(primes + k, 1, out + k, terms, y, weight + k, from, to, k == 0);
            break;
        default: break;
        }
    }
}

const ckks_kernel ckks_kernel_avx512ifma = CKKS_KERNEL_TABLE("avx512ifma");
