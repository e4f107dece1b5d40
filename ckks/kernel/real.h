/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels on residues as integers in double precision, as in FLINT's fft_small (F. Johansson and D.
 * Schultz; the product by van der Hoeven, Lecerf and Quintin, ACM Trans. Math. Softw. 43, 2016),
 * for vectors of LANES doubles. A table includes this file once, behind its vectors (avx2.c,
 * avx512f.c), and has rounding to nearest and no contraction of separate operations.
 *
 * Product a w modulo p for integers |a| <= c p, |w| <= p/2:
 *     h = a w rounded,  l = fma(a, w, -h) exact,  q = integer near a w / p,
 *     r = fma(-q, p, h) + l = a w - q p.
 * q is a v rounded, with v = w/p, where v is at hand (twiddles of whole vectors), which does not
 * wait for h; else h (1/p) rounded. h, v, 1/p and products carry relative errors of 2^-53, so
 *     |r| <= (1/2 + k c 2^(b-54)) p,  p < 2^b,  k = 2 for a v, 3 for h (1/p),                   (1)
 * or one less for a product that is not rounded before it becomes an integer: fma(h, 1/p, M) - M,
 * with M = 1.5 * 2^52, for |h / p| <= 2^51.                                                     (2)
 * Every quotient is that small: |a| < 4 p or p < 2^48 and |a| <= 16 p. A table takes (1) or (2) for
 * transforms (QUOTIENT, INTEGER), whichever costs it less.
 * r, h - q p and l are integers below 2^53, so both operations on them are exact. Two classes:
 *     narrow, p < 2^48:  |r| <= T(c) p,  T(c) = 1/2 + c/32,  1/2 + 3c/64 if k = 3;
 *     wide,   p < 2^50:                  T(c) = 1/2 + c/8,   1/2 + 3c/16 if k = 3.
 * "reduce" subtracts the nearest multiple of p: |r| <= (1/2 + 2^-40) p for |x| < 2^53, written 1/2
 * below.                                                                                        (3)
 * Canonical residues of integers x, |x| <= 2^52 - p: with y = x - (p-1)/2 and x = m p + s,
 * 0 <= s < p, y/p lies within 1/2 - 1/(2p) of m; fma(y, 1/p, M) - M rounds a number that differs
 * from y/p by at most |y/p| 2^-53 < 1/(2p), so it is m exactly, and y - m p + (p-1)/2 = s.      (4)
 *
 * Forward transform, X +- T(Y w). The last layers, within lanes, have k = 3: two of them if LANES
 * is 4, three if it is 8.
 *     narrow: nothing is reduced before the end. c -> c + T(c) from c = 1, at most 17 layers: 10.98
 *         before the last two, 13.1 at the end (10.16, 13.3 with the last three);
 *         13.3 * 2^48 < 2^52 - p.
 *     wide:   single layers reduce all X: c -> 1/2 + T(c). Pairs reduce those that are X in both:
 *         c -> 1/2 + T(c) + T(c + T(c)). With k = 3 everywhere c stays below 2.71. The last layer
 *         reduces nothing: below 2.1 at the end if LANES is 8.
 * Inverse transform, X + Y and (X - Y) w. In two layers, sums of four inputs reach 4c, their
 * products T(4c), sums of two products 2 T(2c).
 *     narrow: sums of four are reduced: c -> 2 T(2c), from c = 1 at most 1.2. A block with an odd
 *         number of single layers ends with one that reduces nothing: 2c = 2.4, and what comes
 *         after has at most 2 T(4.8) = 1.3. The last pass stores T(4c) <= T(9.6) = 0.8.
 *         Three layers within lanes: behind two of them sums of products have c = 1.19, other
 *         values 0.69 at most. The third reduces what it adds to the former, and the sums of the
 *         products of sums: 1.12 at most.
 *     wide:   sums of four, sums of two products, and all sums of single layers are reduced, also
 *         of three layers within lanes. T(4) = 1.25 after the lanes (0.88 after three layers),
 *         T(4c) = 1.13 after the blocks of four vectors, T(2c) = 0.79 after a single layer, then
 *         T(4c) = 1/2 + c/2 < 1 after every pass and after the last one.
 * The last pass multiplies by 1/n. Results are reduced if needed and made canonical.
 *
 * Passes of radix 4 (one layer of radix 2 at the top of the smallest ring) lead to blocks of at
 * most 2^BLOCK_LOG words, which stay in the first-level cache: there single layers down to blocks
 * of four vectors, one layer after the other over the whole block, and two layers of these. The
 * rest is within lanes: a block of 64 words is transposed, and its results are stored in the order
 * of kernel.h (forward_lanes and inverse_lanes of a table).
 *
 * A product takes 17 cycles from its factors to its use, a butterfly eight operations, and an AMD
 * Zen core starts four of them a cycle but looks only some 64 ahead. So four products go side by
 * side (turn4), from independent butterflies: that is what sixteen registers hold. */
#ifndef CKKS_KERNEL_REAL_H
#define CKKS_KERNEL_REAL_H

#ifdef FHOLA_VERIFY
#include <assert.h>
#include <math.h>
#endif

#define NATIVE_LOG_N 7u
#define NARROW_BITS  48u /* so a packed residue of 7 bytes is one of a wide modulus */
#define BLOCK_LOG    11u
#define INTEGER_BITS 30u /* primes whose products are summed as 64-bit integers */

typedef struct twiddle {
    double w, over; /* a residue, centred, and that over p */
} twiddle;

/* How many products a sum of two doubles holds, 2^log, and what its high part starts at: s and C of
 * "Sums of products" below. */
typedef struct capacity {
    unsigned log;
    double bias, less, first; /* -C mod p and -C - (p - 1)/2 mod p, centred */
} capacity;

typedef struct real_tables {
    scalar_modulus m;
    capacity products, combination; /* of residues; of a residue and y < 2^50 */
    ckks_prime portable;            /* the same prime under the portable table, for small rings */
    double two32;                   /* 2^32 mod p, centred */
    double two63;                   /* 2^63 mod p */
    twiddle scale;                  /* 1/n */
    twiddle scale_last;             /* 1/n times the inverse twiddle of the last layer */
    twiddle *forward;               /* n/LANES: psi^br(i) */
    twiddle *inverse;               /* n/LANES: psi^-br(i) */
    double *forward_lanes;          /* n/64 blocks of LANE_FACTORS, for the layers within lanes */
    double *inverse_lanes;
} real_tables;

/* ---- Words and doubles ---- */

ALWAYS V load(const uint64_t *x)
{
    return to_double(load_words(x));
}

/* Limbs hold doubles between the first and the last pass of a transform. */
ALWAYS V load_real(const uint64_t *x)
{
    return REAL(load_words(x));
}

ALWAYS void store_real(uint64_t *x, V v)
{
    store_words(x, BITS(v));
}

/* ---- Tables ---- */

static double centred(uint64_t w, uint64_t p)
{
    return (double)((int64_t)w - (int64_t)(w > p / 2 ? p : 0));
}

static twiddle twiddle_of(uint64_t w, uint64_t p)
{
    twiddle t = {centred(w, p), centred(w, p) / (double)p};
    return t;
}

/* The factors of those layers for block b of 64 words, from w[k] = psi^br(k). */
ALWAYS void fill_lanes(double *lanes, const uint64_t *w, size_t b, size_t n, uint64_t p);

static void fill_twiddles(twiddle *scalars, double *lanes, const uint64_t *w, size_t n, uint64_t p)
{
    for (size_t i = 0; i < n / LANES; i++) scalars[i] = twiddle_of(w[i], p);
    for (size_t b = 0; b < n / 64; b++) fill_lanes(lanes + LANE_FACTORS * b, w, b, n, p);
}

static capacity room_of(const scalar_modulus *m, unsigned bits, unsigned log)
{
    const unsigned e = bits + log + 1;
    const uint64_t less = m->p - scalar_mul(3 % m->p, scalar_power(2, e - 1, m), m);
    capacity r = {log, 1.5, centred(less, m->p), centred((less + m->p / 2 + 1) % m->p, m->p)};
    for (unsigned i = 0; i < e; i++) r.bias *= 2;
    return r;
}

static capacity product_room(const ckks_prime *p, const scalar_modulus *m)
{
    unsigned s = (103 - 2 * p->bits) / 2;
    return room_of(m, 2 * p->bits, s < 12 ? s : 12);
}

static capacity combine_room(const ckks_prime *p, const scalar_modulus *m)
{
    unsigned s = p->bits >= 50 ? 2 : (105 - 49 - p->bits) / 2;
    return room_of(m, 49 + p->bits, s < 5 ? s : 5);
}

static void prime_clear(ckks_prime *p)
{
    real_tables *t = p->tables;
    if (!t) return;
    if (t->portable.tables) ckks_kernel_portable.prime_clear(&t->portable);
    ckks_free(t->forward_lanes);
    free(t);
    p->tables = NULL;
}

static fhola_status prime_init(ckks_prime *p)
{
    size_t n = (size_t)1 << p->log_n;
    real_tables *t = calloc(1, sizeof *t);
    p->tables = t;
    if (!t)
        return fhola_fail(FHOLA_NOMEM, "no memory for the tables of prime %llu",
                          (unsigned long long)p->p);
    scalar_modulus_set(&t->m, p->p);
    t->products = product_room(p, &t->m);
    t->combination = combine_room(p, &t->m);
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
    const size_t lanes = n / 64 * LANE_FACTORS;
    t->forward_lanes = ckks_alloc_table(2 * lanes * sizeof *t->forward_lanes +
                                        2 * (n / LANES) * sizeof *t->forward);
    if (!w || !t->forward_lanes) {
        free(w);
        prime_clear(p);
        return fhola_fail(FHOLA_NOMEM, "no memory for the tables of prime %llu, n = %zu",
                          (unsigned long long)p->p, n);
    }
    t->inverse_lanes = t->forward_lanes + lanes;
    t->forward = (twiddle *)(void *)(t->inverse_lanes + lanes);
    t->inverse = t->forward + n / LANES;
    uint64_t scale = scalar_inverse_of_degree(p->p, p->log_n);
    scalar_twiddles(w, p->psi, p->log_n, &t->m);
    fill_twiddles(t->forward, t->forward_lanes, w, n, p->p);
    scalar_twiddles(w, scalar_power(p->psi, 2 * n - 1, &t->m), p->log_n, &t->m);
    fill_twiddles(t->inverse, t->inverse_lanes, w, n, p->p);
    t->scale = twiddle_of(scale, p->p);
    t->scale_last = twiddle_of(scalar_mul(scale, w[1], &t->m), p->p);
    free(w);
    return FHOLA_OK;
}

/* ---- Modular arithmetic ---- */

typedef struct constants {
    V p, inverse, magic, half, words; /* half = (p - 1) / 2, words = half + 2^52 */
} constants;

ALWAYS constants constants_of(const ckks_prime *p)
{
    const double half = (double)(p->p / 2);
    constants c = {all((double)p->p), all(p->inverse), all(0x1.8p52), all(half),
                   all(half + 0x1p52)};
    return c;
}

/* Asserts, in verifying builds, that |x| <= bound p. */
ALWAYS void within(V x, double bound, const constants *c)
{
#ifdef FHOLA_VERIFY
    double value[LANES] __attribute__((aligned(64))), p[LANES] __attribute__((aligned(64)));
    store_aligned(value, x);
    store_aligned(p, c->p);
    for (size_t i = 0; i < LANES; i++)
        assert(fabs(value[i]) <= bound * p[i] && fabs(value[i]) <= 0x1p53);
#else
    (void)x;
    (void)bound;
    (void)c;
#endif
}

/* a w for quotients of at most 2^51 (2). */
ALWAYS V times(V a, V w, const constants *c)
{
    V h = MUL(a, w), l = FMS(a, w, h);
    V q = SUB(FMA(h, c->inverse, c->magic), c->magic);
    return ADD(FNMA(q, c->p, h), l);
}

/* A factor of a transform: w and w/p. */
typedef struct multiplier {
    V w, over;
} multiplier;

ALWAYS multiplier multiplier_of(const twiddle *t)
{
    multiplier f = {all(t->w), all(t->over)};
    return f;
}

/* The product with a factor; its quotient does not wait for h. */
ALWAYS V turn(V a, multiplier f, const constants *c)
{
    V h = MUL(a, f.w), q = INTEGER(QUOTIENT(a, f.over)), l = FMS(a, f.w, h);
    return ADD(FNMA(q, c->p, h), l);
}

ALWAYS V reduce(V x, const constants *c)
{
    return FNMA(INTEGER(QUOTIENT(x, c->inverse)), c->p, x);
}

/* (-p, p) to [0, p), by the sign. Products, which end with the addition of an exact a w - h, and
 * what was reduced, x - q p with q of the sign of x, are never -0: exact differences of equals are
 * +0. */
ALWAYS V lift(V x, const constants *c)
{
    return where_negative(x, ADD(x, c->p));
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
    store_words(out, BITS(XOR(ADD(x, c->words), all(0x1p52))));
}

ALWAYS void store_canonical(uint64_t *out, V x, const constants *c)
{
    store_lowered(out, SUB(x, c->half), c);
}

/* ---- Forward transform ---- */

/* The layers within lanes of a block of 64 words: canonical words in the order of the contract from
 * what the other layers leave, and the way back. */
ALWAYS void forward_lanes(const double *lanes, uint64_t *a, int wide, const constants *c);
ALWAYS void inverse_lanes(const double *lanes, uint64_t *a, const uint64_t *in, int wide,
                          const constants *c);

/* Products of four independent values: the twelve registers this takes are what there is, and their
 * operations side by side, in this order, keep the multipliers busy while results are awaited. */
enum { ABREAST = 4 };
#define EACH UNROLL for (int i = 0; i < ABREAST; i++)

/* Keeps the compiler from moving the operation that made v. */
#define HERE(v) __asm__ volatile("" : "+v"(v))

/* a[i] w[i], quotients from w/p. */
ALWAYS void turn4(V a[ABREAST], const multiplier f[ABREAST], const constants *c)
{
    V h[ABREAST], q[ABREAST];
    EACH
    {
        q[i] = QUOTIENT(a[i], f[i].over);
        HERE(q[i]);
    }
    EACH
    {
        h[i] = MUL(a[i], f[i].w);
        HERE(h[i]);
    }
    EACH
    {
        q[i] = INTEGER(q[i]);
        HERE(q[i]);
    }
    EACH
    {
        a[i] = FMS(a[i], f[i].w, h[i]);
        HERE(a[i]);
    }
    EACH
    {
        h[i] = FNMA(q[i], c->p, h[i]);
        HERE(h[i]);
    }
    EACH
    {
        a[i] = ADD(h[i], a[i]);
        HERE(a[i]);
    }
}

/* The same with a factor for each lane, without w/p. */
ALWAYS void turn4_lanes(V a[ABREAST], const double *const w[ABREAST], const constants *c)
{
    V h[ABREAST], q[ABREAST];
    EACH
    {
        h[i] = MUL(a[i], load_aligned(w[i]));
        HERE(h[i]);
    }
    EACH
    {
        q[i] = QUOTIENT(h[i], c->inverse);
        HERE(q[i]);
    }
    EACH
    {
        a[i] = FMS(a[i], load_aligned(w[i]), h[i]);
        HERE(a[i]);
    }
    EACH
    {
        q[i] = INTEGER(q[i]);
        HERE(q[i]);
    }
    EACH
    {
        h[i] = FNMA(q[i], c->p, h[i]);
        HERE(h[i]);
    }
    EACH
    {
        a[i] = ADD(h[i], a[i]);
        HERE(a[i]);
    }
}

/* store_lowered of four vectors. */
ALWAYS void lower4(uint64_t *out, const V x[ABREAST], const constants *c)
{
    V q[ABREAST], r[ABREAST];
    EACH
    {
        q[i] = FMA(x[i], c->inverse, c->magic);
        HERE(q[i]);
    }
    EACH
    {
        q[i] = SUB(q[i], c->magic);
        HERE(q[i]);
    }
    EACH
    {
        r[i] = FNMA(q[i], c->p, x[i]);
        HERE(r[i]);
    }
    EACH
    {
        r[i] = ADD(r[i], c->words);
        HERE(r[i]);
    }
    EACH store_words(out + LANES * (size_t)i, BITS(XOR(r[i], all(0x1p52))));
}

/* The same of a block of 64 words that holds doubles. */
ALWAYS void lower_block(uint64_t *a, const constants *c)
{
    for (size_t j = 0; j < 64; j += LANES * ABREAST) {
        V x[ABREAST];
        EACH
        {
            x[i] = load_real(a + j + LANES * (size_t)i);
            HERE(x[i]);
        }
        lower4(a + j, x, c);
    }
}

/* x + t and x - t to two places. */
ALWAYS void spread(uint64_t *at, uint64_t *other, V x, V t, int wide, const constants *c)
{
    const V sum = ADD(x, t), difference = SUB(x, t);
    within(sum, wide ? 2.71 : 13.1, c);
    within(difference, wide ? 2.71 : 13.1, c);
    store_real(at, sum);
    store_real(other, difference);
}

ALWAYS V forward_input(const uint64_t *a, int first)
{
    return first ? load(a) : load_real(a);
}

/* Radix-4 pass over a block of `length` words that is node k of the tree of blocks (the limb is
 * node 1); `first`: words come in. The second layer of four columns goes along with the first
 * layer of the next four. */
ALWAYS void forward_pass4(const real_tables *t, uint64_t *a, size_t length, size_t k, int first,
                          int wide, const constants *c)
{
    const multiplier top = multiplier_of(&t->forward[k]), low = multiplier_of(&t->forward[2 * k]),
                     high = multiplier_of(&t->forward[2 * k + 1]);
    const multiplier f[ABREAST] = {top, top, low, high};
    const size_t s = length / 4;
    V even[2], x[ABREAST] = {forward_input(a + 2 * s, first), forward_input(a + 3 * s, first),
                             all(0), all(0)};
    even[0] = even[1] = x[2];
    for (size_t j = 0;; j += LANES) {
        turn4(x, f, c);
        if (j) {
            uint64_t *out = a + j - LANES;
            spread(out, out + s, even[0], x[2], wide, c);
            spread(out + 2 * s, out + 3 * s, even[1], x[3], wide, c);
        }
        if (j == s) break;
        V y = forward_input(a + j, first), z = forward_input(a + j + s, first);
        if (wide) y = reduce(y, c);
        even[0] = ADD(y, x[0]), even[1] = SUB(y, x[0]);
        x[2] = ADD(z, x[1]), x[3] = SUB(z, x[1]);
        /* behind the last column: any words do */
        x[0] = forward_input(a + (j + LANES == s ? 0 : j + LANES + 2 * s), first);
        x[1] = forward_input(a + (j + LANES == s ? 0 : j + LANES + 3 * s), first);
    }
}

/* Radix-2 layer over a block of at least eight vectors. */
ALWAYS void forward_layer(const real_tables *t, uint64_t *a, size_t length, size_t k, int first,
                          int wide, const constants *c)
{
    const multiplier w = multiplier_of(&t->forward[k]), f[ABREAST] = {w, w, w, w};
    const size_t s = length / 2;
    for (size_t j = 0; j < s; j += LANES * ABREAST) {
        V y[ABREAST];
        EACH y[i] = forward_input(a + s + j + LANES * (size_t)i, first);
        turn4(y, f, c);
        EACH
        {
            uint64_t *at = a + j + LANES * (size_t)i;
            V x = forward_input(at, first);
            if (wide) x = reduce(x, c);
            spread(at, at + s, x, y[i], wide, c);
        }
    }
}

/* Two layers of `count` blocks of four vectors, the first of them node k: the second layer of a
 * block goes along with the first of the next. */
ALWAYS void forward_layers4(const real_tables *t, uint64_t *a, size_t count, size_t k, int wide,
                            const constants *c)
{
    V even[2], x[ABREAST];
    even[0] = even[1] = x[2] = x[3] = all(0);
    for (size_t b = 0;; b++, a += 4 * LANES) {
        const size_t node = b == count ? k : k + b; /* behind the last block: any will do */
        const uint64_t *in = b == count ? a - 4 * LANES : a;
        const twiddle *next = &t->forward[node], *last = &t->forward[2 * (k + b) - 2];
        const multiplier top = multiplier_of(next);
        const multiplier f[ABREAST] = {top, top, multiplier_of(last), multiplier_of(last + 1)};
        x[0] = load_real(in + 2 * LANES), x[1] = load_real(in + 3 * LANES);
        turn4(x, f, c);
        if (b) {
            spread(a - 4 * LANES, a - 3 * LANES, even[0], x[2], wide, c);
            spread(a - 2 * LANES, a - LANES, even[1], x[3], wide, c);
        }
        if (b == count) break;
        V y = load_real(a), z = load_real(a + LANES);
        if (wide) y = reduce(y, c);
        even[0] = ADD(y, x[0]), even[1] = SUB(y, x[0]);
        x[2] = ADD(z, x[1]), x[3] = SUB(z, x[1]);
    }
}

/* A block of at most 2^BLOCK_LOG words, node k > 1, one layer after the other over all of it. */
ALWAYS void forward_block(const real_tables *t, uint64_t *a, unsigned log_length, size_t k,
                          size_t n, int wide, const constants *c)
{
    const size_t words = (size_t)1 << log_length;
    unsigned log = log_length;
    size_t nodes = 1;
    for (; log > LANES_LOG + 2; log--, nodes *= 2)
        for (size_t i = 0; i < nodes; i++)
            forward_layer(t, a + (i << log), (size_t)1 << log, nodes * k + i, 0, wide, c);
    forward_layers4(t, a, nodes, nodes * k, wide, c);
    const double *lanes = t->forward_lanes + LANE_FACTORS * (k * (words / 64) - n / 64);
    for (size_t b = 0; b < words; b += 64)
        forward_lanes(lanes + LANE_FACTORS * (b / 64), a + b, wide, c);
}

/* Depth first, so that a block is finished while it is in the cache. */
ALWAYS void forward_node(const real_tables *t, uint64_t *a, unsigned log_length, size_t k, size_t n,
                         int wide, const constants *c);

static void forward_narrow(const real_tables *t, uint64_t *a, unsigned log_length, size_t k,
                           size_t n, const constants *c)
{
    forward_node(t, a, log_length, k, n, 0, c);
}

static void forward_wide(const real_tables *t, uint64_t *a, unsigned log_length, size_t k, size_t n,
                         const constants *c)
{
    forward_node(t, a, log_length, k, n, 1, c);
}

ALWAYS void forward_node(const real_tables *t, uint64_t *a, unsigned log_length, size_t k, size_t n,
                         int wide, const constants *c)
{
    size_t length = (size_t)1 << log_length;
    if (k > 1 && log_length <= BLOCK_LOG) {
        forward_block(t, a, log_length, k, n, wide, c);
        return;
    }
    size_t children = 4;
    if (log_length == NATIVE_LOG_N) {
        forward_layer(t, a, length, k, 1, wide, c);
        children = 2;
    } else if (k == 1) {
        forward_pass4(t, a, length, k, 1, wide, c);
    } else {
        forward_pass4(t, a, length, k, 0, wide, c);
    }
    log_length -= children == 2 ? 1 : 2;
    for (size_t i = 0; i < children; i++) {
        if (wide)
            forward_wide(t, a + (i << log_length), log_length, children * k + i, n, c);
        else
            forward_narrow(t, a + (i << log_length), log_length, children * k + i, n, c);
    }
}

static void ntt_forward(const ckks_prime *p, uint64_t *const limbs[], size_t count)
{
    const real_tables *t = p->tables;
    const constants c = constants_of(p);
    if (p->log_n < NATIVE_LOG_N) {
        ckks_kernel_portable.ntt_forward(&t->portable, limbs, count);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (p->bits > NARROW_BITS)
            forward_wide(t, limbs[i], p->log_n, 1, (size_t)1 << p->log_n, &c);
        else
            forward_narrow(t, limbs[i], p->log_n, 1, (size_t)1 << p->log_n, &c);
    }
}

/* ---- Inverse transform ---- */

/* Asserts the bound of what a pass or layer takes. */
ALWAYS void entering(V x, V y, int wide, const constants *c)
{
    within(x, wide ? 1.25 : 2.4, c);
    within(y, wide ? 1.25 : 2.4, c);
}

ALWAYS void inverse4(V x[4], const multiplier f[3], int wide, const constants *c)
{
    entering(x[0], x[1], wide, c), entering(x[2], x[3], wide, c);
    V s = ADD(x[0], x[1]), d = turn(SUB(x[0], x[1]), f[1], c);
    V t = ADD(x[2], x[3]), e = turn(SUB(x[2], x[3]), f[2], c);
    x[0] = reduce(ADD(s, t), c);
    x[1] = wide ? reduce(ADD(d, e), c) : ADD(d, e);
    x[2] = turn(SUB(s, t), f[0], c);
    x[3] = turn(SUB(d, e), f[0], c);
}

/* The second layer of four columns goes along with the first layer of the next four. */
ALWAYS void inverse_pass4(const real_tables *t, uint64_t *a, size_t length, size_t k, int wide,
                          const constants *c)
{
    const multiplier top = multiplier_of(&t->inverse[k]), low = multiplier_of(&t->inverse[2 * k]),
                     high = multiplier_of(&t->inverse[2 * k + 1]);
    const multiplier f[ABREAST] = {low, high, top, top};
    const size_t s = length / 4;
    V x[ABREAST];
    x[2] = x[3] = all(0);
    for (size_t j = 0;; j += LANES) {
        const size_t at = j == s ? 0 : j; /* behind the last column: any words do */
        V x0 = load_real(a + at), x1 = load_real(a + at + s);
        V x2 = load_real(a + at + 2 * s), x3 = load_real(a + at + 3 * s);
        entering(x0, x1, wide, c), entering(x2, x3, wide, c);
        x[0] = SUB(x0, x1), x[1] = SUB(x2, x3);
        V sum = ADD(x0, x1), other = ADD(x2, x3);
        turn4(x, f, c);
        if (j) {
            store_real(a + j - LANES + 2 * s, x[2]);
            store_real(a + j - LANES + 3 * s, x[3]);
        }
        if (j == s) break;
        V y = ADD(x[0], x[1]);
        store_real(a + j, reduce(ADD(sum, other), c));
        store_real(a + j + s, wide ? reduce(y, c) : y);
        x[2] = SUB(sum, other), x[3] = SUB(x[0], x[1]);
    }
}

/* The last pass: products with 1/n, or that and a twiddle, in the second layer. */
ALWAYS void inverse_last4(const real_tables *t, uint64_t *a, size_t length, const constants *c)
{
    const multiplier low = multiplier_of(&t->inverse[2]), high = multiplier_of(&t->inverse[3]);
    const multiplier scale = multiplier_of(&t->scale), last = multiplier_of(&t->scale_last);
    const multiplier f[ABREAST] = {low, high, low, high}, g[ABREAST] = {scale, scale, last, last};
    const size_t s = length / 4;
    for (size_t j = 0; j < s; j += 2 * LANES) {
        V d[ABREAST], sum[ABREAST];
        EACH
        {
            const uint64_t *at = a + j + LANES * (size_t)(i / 2) + 2 * s * (size_t)(i % 2);
            V x = load_real(at), y = load_real(at + s);
            sum[i] = ADD(x, y), d[i] = SUB(x, y);
        }
        turn4(d, f, c);
        for (size_t v = 0; v < 2; v++) {
            V x[ABREAST] = {ADD(sum[2 * v], sum[2 * v + 1]), ADD(d[2 * v], d[2 * v + 1]),
                            SUB(sum[2 * v], sum[2 * v + 1]), SUB(d[2 * v], d[2 * v + 1])};
            turn4(x, g, c);
            EACH store_lifted(a + j + LANES * v + (size_t)i * s, x[i], c);
        }
    }
}

/* Always the last pass, of the smallest ring. */
ALWAYS void inverse_last2(const real_tables *t, uint64_t *a, size_t length, const constants *c)
{
    const multiplier scale = multiplier_of(&t->scale), scale_last = multiplier_of(&t->scale_last);
    size_t stride = length / 2;
    for (size_t j = 0; j < stride; j += LANES) {
        V x = load_real(a + j), y = load_real(a + stride + j);
        store_lifted(a + j, turn(ADD(x, y), scale, c), c);
        store_lifted(a + stride + j, turn(SUB(x, y), scale_last, c), c);
    }
}

/* Columns from .. to - 1, whole turns, of a radix-2 layer whose halves are s words. */
ALWAYS void inverse_columns(uint64_t *a, size_t s, size_t from, size_t to, multiplier w, int clean,
                            int wide, const constants *c)
{
    const multiplier f[ABREAST] = {w, w, w, w};
    for (size_t j = from; j < to; j += LANES * ABREAST) {
        V y[ABREAST];
        EACH
        {
            uint64_t *at = a + j + LANES * (size_t)i;
            V x = load_real(at), z = load_real(at + s), sum = ADD(x, z);
            entering(x, z, wide, c);
            y[i] = SUB(x, z);
            store_real(at, clean ? reduce(sum, c) : sum);
        }
        turn4(y, f, c);
        EACH store_real(a + s + j + LANES * (size_t)i, y[i]);
    }
}

/* Radix-2 layer over a block of at least eight vectors. Of two layers the `second` reduces the sums
 * of sums, all do if wide. */
ALWAYS void inverse_layer(const real_tables *t, uint64_t *a, size_t length, size_t k, int second,
                          int wide, const constants *c)
{
    const size_t s = length / 2, clean = wide ? s : second ? s / 2 : 0;
    const multiplier w = multiplier_of(&t->inverse[k]);
    inverse_columns(a, s, 0, clean, w, 1, wide, c);
    inverse_columns(a, s, clean, s, w, 0, wide, c);
}

ALWAYS void inverse_layers4(const real_tables *t, uint64_t *a, size_t k, int wide,
                            const constants *c)
{
    for (size_t b = 0; b < 16 / LANES; b++) {
        const multiplier f[3] = {multiplier_of(&t->inverse[k + b]),
                                 multiplier_of(&t->inverse[2 * (k + b)]),
                                 multiplier_of(&t->inverse[2 * (k + b) + 1])};
        V x[4];
        UNROLL
        for (size_t i = 0; i < 4; i++) x[i] = load_real(a + LANES * (4 * b + i));
        inverse4(x, f, wide, c);
        UNROLL
        for (size_t i = 0; i < 4; i++) store_real(a + LANES * (4 * b + i), x[i]);
    }
}

ALWAYS void inverse_block(const real_tables *t, uint64_t *a, const uint64_t *in,
                          unsigned log_length, size_t k, size_t n, int wide, const constants *c)
{
    const size_t words = (size_t)1 << log_length;
    const double *lanes = t->inverse_lanes + LANE_FACTORS * (k * (words / 64) - n / 64);
    for (size_t b = 0; b < words; b += 64)
        inverse_lanes(lanes + LANE_FACTORS * (b / 64), a + b, in + b, wide, c);
    size_t nodes = words / (4 * LANES);
    for (size_t b = 0; b < words; b += 64)
        inverse_layers4(t, a + b, nodes * k + b / (4 * LANES), wide, c);
    for (unsigned log = LANES_LOG + 3; log <= log_length; log++) {
        nodes /= 2;
        for (size_t i = 0; i < nodes; i++)
            inverse_layer(t, a + (i << log), (size_t)1 << log, nodes * k + i,
                          (log - LANES_LOG - 3) & 1, wide, c);
    }
}

ALWAYS void inverse_node(const real_tables *t, uint64_t *a, const uint64_t *in, unsigned log_length,
                         size_t k, size_t n, int wide, const constants *c);

static void inverse_narrow(const real_tables *t, uint64_t *a, const uint64_t *in,
                           unsigned log_length, size_t k, size_t n, const constants *c)
{
    inverse_node(t, a, in, log_length, k, n, 0, c);
}

static void inverse_wide(const real_tables *t, uint64_t *a, const uint64_t *in, unsigned log_length,
                         size_t k, size_t n, const constants *c)
{
    inverse_node(t, a, in, log_length, k, n, 1, c);
}

ALWAYS void inverse_node(const real_tables *t, uint64_t *a, const uint64_t *in, unsigned log_length,
                         size_t k, size_t n, int wide, const constants *c)
{
    const size_t length = (size_t)1 << log_length, children = log_length == NATIVE_LOG_N ? 2 : 4;
    const unsigned log_child = log_length - (children == 2 ? 1 : 2);
    if (k > 1 && log_length <= BLOCK_LOG) {
        inverse_block(t, a, in, log_length, k, n, wide, c);
        return;
    }
    for (size_t i = 0; i < children; i++) {
        if (wide)
            inverse_wide(t, a + (i << log_child), in + (i << log_child), log_child,
                         children * k + i, n, c);
        else
            inverse_narrow(t, a + (i << log_child), in + (i << log_child), log_child,
                           children * k + i, n, c);
    }
    if (children == 2)
        inverse_last2(t, a, length, c);
    else if (k == 1)
        inverse_last4(t, a, length, c);
    else
        inverse_pass4(t, a, length, k, wide, c);
}

static void inverse_limb(const real_tables *t, uint64_t *out, const uint64_t *in,
                         const ckks_prime *p)
{
    const constants c = constants_of(p);
    if (p->bits > NARROW_BITS)
        inverse_wide(t, out, in, p->log_n, 1, (size_t)1 << p->log_n, &c);
    else
        inverse_narrow(t, out, in, p->log_n, 1, (size_t)1 << p->log_n, &c);
}

static void ntt_inverse(const ckks_prime *p, uint64_t *const limbs[], size_t count)
{
    const real_tables *t = p->tables;
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
    /* shares the twiddles; only the last layer's factors differ */
    real_tables t = *(const real_tables *)p->tables;
    if (p->log_n < NATIVE_LOG_N) {
        ckks_kernel_portable.ntt_inverse_scaled(&t.portable, out, in, c);
        return;
    }
    t.scale = twiddle_of(scalar_mul(residue(t.scale.w, p->p), c, &t.m), p->p);
    t.scale_last = twiddle_of(scalar_mul(residue(t.scale_last.w, p->p), c, &t.m), p->p);
    inverse_limb(&t, out, in, p);
}

/* ---- Element-wise functions ----
 *
 * Products of canonical residues: c = 1 and |w| <= p, that is twice (1): |r| <= (1/2 + 3/8) p even
 * if p is wide, so one lift makes them canonical. Quotients are below 2^50: always the fused
 * rounding, k = 2. */

static void add(const ckks_prime *p, uint64_t *out, const uint64_t *a, const uint64_t *b,
                size_t count)
{
    const I q = all_words(p->p);
    for (size_t j = 0; j < count; j += LANES)
        store_words(out + j, modular_add(load_words(a + j), load_words(b + j), q));
}

static void sub(const ckks_prime *p, uint64_t *out, const uint64_t *a, const uint64_t *b,
                size_t count)
{
    const I q = all_words(p->p);
    for (size_t j = 0; j < count; j += LANES)
        store_words(out + j, modular_sub(load_words(a + j), load_words(b + j), q));
}

static void mul(const ckks_prime *p, uint64_t *out, const uint64_t *a, const uint64_t *b,
                size_t count)
{
    const constants c = constants_of(p);
    for (size_t j = 0; j < count; j += LANES)
        store_lifted(out + j, times(load(a + j), load(b + j), &c), &c);
}

static void mul_add(const ckks_prime *p, uint64_t *out, const uint64_t *acc, const uint64_t *a,
                    const uint64_t *b, size_t count)
{
    const constants c = constants_of(p);
    for (size_t j = 0; j < count; j += LANES)
        store_canonical(out + j, ADD(times(load(a + j), load(b + j), &c), load(acc + j)), &c);
}

static void add_scalar(const ckks_prime *p, uint64_t *out, const uint64_t *a, uint64_t s,
                       size_t count)
{
    const I q = all_words(p->p), b = all_words(s);
    for (size_t j = 0; j < count; j += LANES)
        store_words(out + j, modular_add(load_words(a + j), b, q));
}

static void mul_scalar(const ckks_prime *p, uint64_t *out, const uint64_t *a, uint64_t s,
                       size_t count)
{
    const constants c = constants_of(p);
    const V w = all((double)s);
    for (size_t j = 0; j < count; j += LANES) store_lifted(out + j, times(load(a + j), w, &c), &c);
}

static void mul_scalar_add(const ckks_prime *p, uint64_t *out, const uint64_t *acc,
                           const uint64_t *a, uint64_t s, size_t count)
{
    const constants c = constants_of(p);
    const V w = all((double)s);
    for (size_t j = 0; j < count; j += LANES)
        store_canonical(out + j, ADD(times(load(a + j), w, &c), load(acc + j)), &c);
}

static void sub_mul_scalar(const ckks_prime *p, uint64_t *out, const uint64_t *a, const uint64_t *b,
                           uint64_t s, size_t count)
{
    const constants c = constants_of(p);
    const V w = all((double)s);
    for (size_t j = 0; j < count; j += LANES)
        store_lifted(out + j, times(SUB(load(a + j), load(b + j)), w, &c), &c);
}

static void tensor(const ckks_prime *p, uint64_t *d0, uint64_t *d1, uint64_t *d2,
                   const uint64_t *a0, const uint64_t *a1, const uint64_t *b0, const uint64_t *b1,
                   size_t count)
{
    const constants c = constants_of(p);
    for (size_t j = 0; j < count; j += LANES) {
        V w = load(a0 + j), x = load(a1 + j), y = load(b0 + j), z = load(b1 + j);
        store_lifted(d0 + j, times(w, y, &c), &c);
        store_canonical(d1 + j, ADD(times(w, z, &c), times(x, y, &c)), &c);
        store_lifted(d2 + j, times(x, z, &c), &c);
    }
}

/* Any word: high half times 2^32 mod p, plus low half. |result| < p + 2^32. */
ALWAYS V fold_word(I x, const real_tables *t, const constants *c)
{
    V high = to_double(WORDS_RIGHT(x, 32)), low = to_double(WORDS_AND(x, all_words(0xffffffff)));
    return ADD(times(high, all(t->two32), c), low);
}

static void reduce_signed(const ckks_prime *p, uint64_t *out, const int64_t *x, size_t count)
{
    const real_tables *t = p->tables;
    const constants c = constants_of(p);
    const I top = all_words((uint64_t)1 << 63);
    const V two63 = all(t->two63);
    for (size_t j = 0; j < count; j += LANES) {
        I word = WORDS_XOR(load_words((const uint64_t *)x + j), top); /* x + 2^63 */
        store_canonical(out + j, SUB(fold_word(word, t, &c), two63), &c);
    }
}

static void overflow(uint64_t *v, size_t terms, const uint64_t *const y[], const double inverse[],
                     size_t count)
{
    enum { VECTORS = 8 / LANES };
    const V half = all(0.5);
    for (size_t j = 0; j < count; j += 8) {
        V s[VECTORS];
        UNROLL
        for (size_t k = 0; k < VECTORS; k++) s[k] = all(0);
        for (size_t i = 0; i < terms; i++) {
            const V c = all(inverse[i]);
            UNROLL
            for (size_t k = 0; k < VECTORS; k++)
                s[k] = ADD(s[k], MUL(load(y[i] + j + LANES * k), c));
        }
        UNROLL
        for (size_t k = 0; k < VECTORS; k++)
            store_words(v + j + LANES * k, to_words(FLOOR(ADD(s[k], half))));
    }
}

/* ---- Automorphisms (rotate.h) ---- */

static void permute(const ckks_prime *p, uint64_t *out, const uint64_t *acc, const uint64_t *a,
                    const ckks_automorphism *sigma)
{
    const real_tables *t = p->tables;
    if (p->log_n < NATIVE_LOG_N)
        ckks_kernel_portable.permute(&t->portable, out, acc, a, sigma);
    else
        permute_blocks(p, out, acc, a, sigma);
}

/* ---- Sums of products ----
 *
 * Primes of at most 30 bits, factors below 2^30: sums of 64-bit integers, at most 15 products and a
 * residue below 2^64; for b bits 2^(63-2b) products.
 *
 * Others: a pair (high, low). high starts at C = 1.5 * 2^E, so that its unit in the last place
 * stays u = 2^(E-52) while the sum of the products is within 2^(E-1); each product x w is split
 * exactly into a multiple of u, which goes to high, and a rest of at most u/2, which goes to low.
 * With |x w| <= 2^B and k = 2^s products, E = B + s + 1, and low gains k u/2 = 2^(B+2s-52).
 *     At the end q = high / p, rounded twice and then to an integer, is off by at most
 * 1/2 + |high / p| 2^-52. The results are canonical by (4) if high - q p and low (reduced to p/2 if
 * need be) stay below 2^52 - p together.
 *   inner and plaintext products, B = 2b, s <= (103 - B) / 2, so b + s <= 51, and E <= 102, 100 for
 *       b <= 48. C is not taken off: high <= 2^(E+1), so |high - q p| <= p/2 + 2^(E-51), 4.5 p, and
 *       low starts with (-C - (p - 1)/2) mod p, centred, at most p/2, or, after others did not fit,
 *       with what they gave, at most p/2, and -C mod p. Low takes the residue that is accumulated,
 *       too: with k u/2 <= 2^50 at most 2^50 + 2 p < 2^52, exact. It is reduced if b > 48. The sum
 *       is at most 2^49 + 2^50 + 2.5 p <= 2^51 + 2^47 for b <= 48, else 2^51 + p <= 2^52 - p.
 *   combinations, B = 49 + b, s <= 5 and (105 - B) / 2, for b = 50 s = 2. C is taken off: |high| is
 *       at most 2^(B+s) then, and |high - q p| <= (1/2 + 2^(B+s-51-b)) p: 8.5 p for b <= 46, 4.5 p
 *       for b = 48, 2.5 p for b = 49 and 1.5 p for b = 50. One product less, k = 2^s - 1, leaves
 *       u/2 >= p (or low far below 2^53) for -(p - 1)/2 and what is carried over, at most p/2: low
 *       <= 2^53 is exact. It is always reduced. The sum is at most 9 p, 5 p, 3 p, 2 p. */

typedef struct sum {
    V high, low;
} sum;

ALWAYS void accumulate_product(sum *s, V x, V w)
{
    V high = FMA(x, w, s->high), part = SUB(high, s->high);
    s->high = high;
    s->low = ADD(s->low, FMS(x, w, part));
}

/* The sum modulo p, as small as the comment says. */
ALWAYS V settle(V high, V low, int reduce_low, const constants *c)
{
    V r = FNMA(ROUND(MUL(high, c->inverse)), c->p, high);
    within(r, 8.5, c);
    return ADD(r, reduce_low ? reduce(low, c) : low);
}

/* Products and the four vectors of sums they go to: two vectors of both sums (inner products), or
 * four of one. */
enum { SUMS = 4 };

/* Sums on a block of 64 positions, less (p - 1)/2: what makes them canonical takes longer than the
 * products, and the processor does not look far enough ahead to do both at once unless all blocks
 * go through one and then all through the other. */
enum { PATCH = 64 };
typedef struct patch {
    double high[2][PATCH], low[2][PATCH];
} patch;

/* high - q p + low of four sums. */
ALWAYS void close4(V x[ABREAST], const V high[ABREAST], const V low[ABREAST], const constants *c)
{
    V q[ABREAST];
    EACH
    {
        q[i] = MUL(high[i], c->inverse);
        HERE(q[i]);
    }
    EACH
    {
        q[i] = ROUND(q[i]);
        HERE(q[i]);
    }
    EACH
    {
        x[i] = FNMA(q[i], c->p, high[i]);
        within(x[i], 4.5, c);
        HERE(x[i]);
    }
    EACH
    {
        x[i] = ADD(x[i], low[i]);
        HERE(x[i]);
    }
}

/* Canonical words of `count` sums. */
ALWAYS void finish(const double *high, const double *low, uint64_t *out, size_t count,
                   int reduce_low, const constants *c)
{
    for (size_t j = 0; j < count; j += LANES * ABREAST) {
        V x[ABREAST], y[ABREAST];
        EACH
        {
            x[i] = load_aligned(high + j + LANES * (size_t)i);
            y[i] = load_aligned(low + j + LANES * (size_t)i);
            if (reduce_low) y[i] = reduce(y[i], c);
        }
        close4(x, x, y, c);
        lower4(out + j, x, c);
    }
}

/* A product goes to both sums: one factor is shared, the others are the sums' own. Addresses for
 * position 0 of the block. */
typedef struct product {
    const void *shared, *own[2];
} product;

/* How the words of factors are packed: bytes of a word, and log_gap of shared ones (kernel.h);
 * factors that come from memory, in more streams than the processor follows, are fetched early. */
typedef struct packing {
    unsigned shared, own, log_gap;
    int fetch_shared, fetch_own;
} packing;

#define AHEAD 512 /* bytes */

/* Where the word for position j stands in a packed limb, whose vectors of eight words cover
 * 2^log_gap vectors each. */
ALWAYS size_t packed_position(size_t j, unsigned log_gap)
{
    return ((j >> 3 >> log_gap) << 3) + (j & 7);
}

ALWAYS void fetch(const void *limb, size_t word, unsigned width)
{
    _mm_prefetch((const char *)limb + word * width + AHEAD, _MM_HINT_T0);
}

/* Two products side by side: more would not leave registers for the sums. */
ALWAYS void accumulate2(sum s[2], const V x[2], V w0, V w1)
{
    V high0 = FMA(x[0], w0, s[0].high), high1 = FMA(x[1], w1, s[1].high);
    HERE(high0);
    HERE(high1);
    V part0 = SUB(high0, s[0].high), part1 = SUB(high1, s[1].high);
    HERE(part0);
    HERE(part1);
    part0 = FMS(x[0], w0, part0), part1 = FMS(x[1], w1, part1);
    HERE(part0);
    HERE(part1);
    s[0].high = high0, s[1].high = high1;
    s[0].low = ADD(s[0].low, part0), s[1].low = ADD(s[1].low, part1);
    HERE(s[0].low);
    HERE(s[1].low);
}

/* What sums start from. */
typedef struct beginning {
    uint64_t *const *out; /* what they add to, or NULL */
    V bias, first;
} beginning;

ALWAYS sum begin(const beginning *o, int k, size_t j)
{
    sum s = {o->bias, o->out ? ADD(load(o->out[k] + j), o->first) : o->first};
    return s;
}

ALWAYS void start(patch *sums, const beginning *o)
{
    for (int k = 0; k < 2; k++)
        for (size_t j = 0; j < PATCH; j += LANES) {
            const sum s = begin(o, k, j);
            store_aligned(sums->high[k] + j, s.high);
            store_aligned(sums->low[k] + j, s.low);
        }
}

/* Makes room for as many products as a sum holds. */
ALWAYS void relieve(patch *sums, int wide, capacity r, const constants *c)
{
    for (int k = 0; k < 2; k++)
        for (size_t j = 0; j < PATCH; j += LANES) {
            double *high = sums->high[k] + j, *low = sums->low[k] + j;
            V x = settle(load_aligned(high), load_aligned(low), wide, c);
            store_aligned(high, all(r.bias));
            store_aligned(low, ADD(reduce(x, c), all(r.less)));
        }
}

/* `count` products, a constant: their addresses stay in registers and the sums for the length of a
 * turn as well. */
ALWAYS void batch(patch *sums, const product *f, size_t count, packing k, const beginning *o)
{
    for (size_t j = 0; j < PATCH; j += 2 * LANES) {
        const size_t word = packed_position(j, k.log_gap),
                     other = packed_position(j + LANES, k.log_gap);
        sum s[SUMS];
        UNROLL
        for (size_t v = 0; v < SUMS; v++) {
            const size_t at = j + LANES * (v % 2);
            if (o) {
                s[v] = begin(o, (int)v / 2, at);
            } else {
                s[v].high = load_aligned(sums->high[v / 2] + at);
                s[v].low = load_aligned(sums->low[v / 2] + at);
            }
        }
        UNROLL
        for (size_t i = 0; i < count; i++) {
            const void *shared = f[i].shared, *own0 = f[i].own[0], *own1 = f[i].own[1];
            for (size_t e = 0; e < 2 * LANES; e += 8) {
                if (k.fetch_shared) fetch(shared, e ? other : word, k.shared);
                if (k.fetch_own) fetch(own0, j + e, k.own), fetch(own1, j + e, k.own);
            }
            const V x[2] = {to_double(load_packed(shared, k.shared, word)),
                            to_double(load_packed(shared, k.shared, other))};
            accumulate2(s, x, to_double(load_packed(own0, k.own, j)),
                        to_double(load_packed(own0, k.own, j + LANES)));
            accumulate2(s + 2, x, to_double(load_packed(own1, k.own, j)),
                        to_double(load_packed(own1, k.own, j + LANES)));
        }
        UNROLL
        for (size_t v = 0; v < SUMS; v++) {
            store_aligned(sums->high[v / 2] + j + LANES * (v % 2), s[v].high);
            store_aligned(sums->low[v / 2] + j + LANES * (v % 2), s[v].low);
        }
    }
}

enum { BATCH = 4 }; /* at most */

/* Any number of products, after `used` others, or the first ones from o; returns how many the sums
 * hold then. */
ALWAYS size_t add_products(patch *sums, const product *f, size_t count, size_t used, capacity r,
                           packing k, const beginning *o, int wide, const constants *c)
{
    const size_t most = (size_t)1 << r.log, largest = most < BATCH ? most : BATCH;
    for (size_t n; count; count -= n, f += n, used += n, o = NULL) {
        n = count < largest ? count : count == largest + 1 && largest > 2 ? 3 : largest;
        if (used + n > most) {
            relieve(sums, wide, r, c);
            used = 0;
        }
        switch (n) {
        case 1: batch(sums, f, 1, k, o); break;
        case 2: batch(sums, f, 2, k, o); break;
        case 3: batch(sums, f, 3, k, o); break;
        default: batch(sums, f, BATCH, k, o); break;
        }
    }
    return used;
}

/* The factors of one block of 64 positions: digits (shared) with their key limbs, and limbs that
 * are multiplied by the factor. */
typedef struct inner_block {
    size_t terms, adds[2];
    product term[CKKS_MAX_TERMS];
    const uint64_t *add[2][CKKS_MAX_SWITCHES];
    uint64_t factor;
} inner_block;

/* Two vectors of both sums, primes of at most 30 bits. */
ALWAYS void inner_integer(const inner_block *o, const ckks_prime *p, uint64_t *out0, uint64_t *out1,
                          size_t j, size_t most, int accumulate, const constants *c)
{
    const real_tables *t = p->tables;
    const I zero = all_words(0), f = all_words(o->factor);
    I s[SUMS] = {zero, zero, zero, zero};
    size_t left = most;
    if (accumulate)
        s[0] = load_words(out0 + j), s[1] = load_words(out0 + j + LANES),
        s[2] = load_words(out1 + j), s[3] = load_words(out1 + j + LANES);
#define MAKE_ROOM                                                                                  \
    if (!left) {                                                                                   \
        UNROLL                                                                                     \
        for (int v = 0; v < SUMS; v++) s[v] = to_words(lift(reduce(fold_word(s[v], t, c), c), c)); \
        left = most;                                                                               \
    }
    for (int k = 0; k < 2; k++)
        for (size_t i = 0; i < o->adds[k]; i++, left--) {
            const uint64_t *add = o->add[k][i] + j;
            MAKE_ROOM
            s[2 * k] = WORDS_ADD(s[2 * k], WORDS_MUL(load_words(add), f));
            s[2 * k + 1] = WORDS_ADD(s[2 * k + 1], WORDS_MUL(load_words(add + LANES), f));
        }
    for (size_t d = 0; d < o->terms; d++, left--) {
        const void *k0 = o->term[d].own[0], *k1 = o->term[d].own[1];
        I x = load_packed(o->term[d].shared, 8, j),
          y = load_packed(o->term[d].shared, 8, j + LANES);
        MAKE_ROOM
        s[0] = WORDS_ADD(s[0], WORDS_MUL(x, load_packed(k0, 4, j)));
        s[1] = WORDS_ADD(s[1], WORDS_MUL(y, load_packed(k0, 4, j + LANES)));
        s[2] = WORDS_ADD(s[2], WORDS_MUL(x, load_packed(k1, 4, j)));
        s[3] = WORDS_ADD(s[3], WORDS_MUL(y, load_packed(k1, 4, j + LANES)));
    }
#undef MAKE_ROOM
    store_canonical(out0 + j, fold_word(s[0], t, c), c),
        store_canonical(out0 + j + LANES, fold_word(s[1], t, c), c);
    store_canonical(out1 + j, fold_word(s[2], t, c), c),
        store_canonical(out1 + j + LANES, fold_word(s[3], t, c), c);
}

/* What joins sum k without a key, times the factor. */
ALWAYS size_t inner_adds(const inner_block *o, patch *sums, int k, size_t used, capacity r,
                         int wide, const constants *c)
{
    const V f = all((double)o->factor);
    for (size_t i = 0; i < o->adds[k]; i++, used++) {
        if (used >> r.log) {
            relieve(sums, wide, r, c);
            used = 0;
        }
        for (size_t j = 0; j < PATCH; j += LANES) {
            double *high = sums->high[k] + j, *low = sums->low[k] + j;
            sum s = {load_aligned(high), load_aligned(low)};
            accumulate_product(&s, load(o->add[k][i] + j), f);
            store_aligned(high, s.high);
            store_aligned(low, s.low);
        }
    }
    return used;
}

ALWAYS void inner_real(const inner_block *o, const ckks_prime *p, uint64_t *const out[2],
                       unsigned width, int wide, int accumulate, const constants *c)
{
    const packing k = {8, width, 0, 0, 1};
    const capacity r = ((const real_tables *)p->tables)->products;
    const beginning from = {accumulate ? out : NULL, all(r.bias), all(r.first)};
    patch sums __attribute__((aligned(64)));
    if (!o->terms) start(&sums, &from);
    size_t used = add_products(&sums, o->term, o->terms, 0, r, k, &from, wide, c);
    used = inner_adds(o, &sums, 0, used, r, wide, c);
    inner_adds(o, &sums, 1, used, r, wide, c);
    for (int i = 0; i < 2; i++) finish(sums.high[i], sums.low[i], out[i], PATCH, wide, c);
}

/* Both sums of one block of 64. */
static void inner_sums(const inner_block *o, const ckks_prime *p, uint64_t *out0, uint64_t *out1,
                       int accumulate, const constants *c)
{
    uint64_t *const out[2] = {out0, out1};
    if (p->bits <= INTEGER_BITS) {
        size_t most = (size_t)1 << (63 - 2 * p->bits);
        for (size_t j = 0; j < 64; j += 2 * LANES)
            inner_integer(o, p, out0, out1, j, most, accumulate, c);
    } else {
        switch (p->width) {
        case 4: inner_real(o, p, out, 4, 0, accumulate, c); break;
        case 5: inner_real(o, p, out, 5, 0, accumulate, c); break;
        case 6: inner_real(o, p, out, 6, 0, accumulate, c); break;
        default: inner_real(o, p, out, 7, 1, accumulate, c); break;
        }
    }
}

static void inner_product(const ckks_prime *p, uint64_t *out0, uint64_t *out1, size_t from,
                          size_t count, size_t terms, const ckks_switch_term term[],
                          uint64_t factor, int accumulate)
{
    const real_tables *t = p->tables;
    const constants c = constants_of(p);
    uint64_t rotated[(CKKS_MAX_TERMS + 2 * CKKS_MAX_SWITCHES) * 64] __attribute__((aligned(64)));
    if (p->log_n < NATIVE_LOG_N) {
        ckks_kernel_portable.inner_product(&t->portable, out0, out1, from, count, terms, term,
                                           factor, accumulate);
        return;
    }
    rotor r[CKKS_MAX_SWITCHES];
    for (size_t i = 0; i < terms; i++) r[i] = rotor_of(term[i].sigma ? term[i].sigma->g : 1);
    for (size_t at = from; at < from + count; at += 64) {
        inner_block o;
        uint64_t *room = rotated;
        o.terms = o.adds[0] = o.adds[1] = 0;
        o.factor = factor;
        for (size_t i = 0; i < terms; i++) {
            const ckks_switch_term *s = &term[i];
            const rotation turned = rotation_of(&r[i], s->sigma ? s->sigma->block[at >> 6] : 0);
            for (size_t d = 0; d < s->digits; d++, o.terms++) {
                product *f = &o.term[o.terms];
                f->shared = inner_operand(s, &r[i], &turned, s->digit[d], at, &room);
                f->own[0] = (const unsigned char *)s->key0[d] + at * p->width;
                f->own[1] = (const unsigned char *)s->key1[d] + at * p->width;
            }
            if (s->add0)
                o.add[0][o.adds[0]++] = inner_operand(s, &r[i], &turned, s->add0, at, &room);
            if (s->add1)
                o.add[1][o.adds[1]++] = inner_operand(s, &r[i], &turned, s->add1, at, &room);
        }
        inner_sums(&o, p, out0 + (at - from), out1 + (at - from), accumulate, &c);
    }
}

/* ---- Plaintext products ---- */

enum { PLAIN_ROUND = 12 }; /* terms whose addresses are made at once */

typedef struct plain_operands {
    size_t terms;
    const void *const *plain;
    unsigned log_gap;
    const uint64_t *const *x0, *const *x1; /* x1 NULL: one sum */
} plain_operands;

/* Two vectors of both sums. */
ALWAYS void plain_integer(const ckks_prime *p, uint64_t *out0, uint64_t *out1,
                          const plain_operands *o, int accumulate, size_t j, int both,
                          const constants *c)
{
    const real_tables *t = p->tables;
    const size_t most = (size_t)1 << (63 - 2 * p->bits), word = packed_position(j, o->log_gap),
                 other = packed_position(j + LANES, o->log_gap);
    const I zero = all_words(0);
    I s[SUMS] = {zero, zero, zero, zero};
    if (accumulate) s[0] = load_words(out0 + j), s[1] = load_words(out0 + j + LANES);
    if (accumulate && both) s[2] = load_words(out1 + j), s[3] = load_words(out1 + j + LANES);
    for (size_t b = 0, end; b < o->terms; b = end) {
        if (b) {
            UNROLL
            for (int v = 0; v < SUMS; v++)
                s[v] = to_words(lift(reduce(fold_word(s[v], t, c), c), c));
        }
        end = o->terms - b > most ? b + most : o->terms;
        for (size_t i = b; i < end; i++) {
            I w = load_packed(o->plain[i], 4, word), z = load_packed(o->plain[i], 4, other);
            fetch(o->plain[i], word, 4);
            s[0] = WORDS_ADD(s[0], WORDS_MUL(load_words(o->x0[i] + j), w));
            s[1] = WORDS_ADD(s[1], WORDS_MUL(load_words(o->x0[i] + j + LANES), z));
            if (!both) continue;
            s[2] = WORDS_ADD(s[2], WORDS_MUL(load_words(o->x1[i] + j), w));
            s[3] = WORDS_ADD(s[3], WORDS_MUL(load_words(o->x1[i] + j + LANES), z));
        }
    }
    store_canonical(out0 + j, fold_word(s[0], t, c), c),
        store_canonical(out0 + j + LANES, fold_word(s[1], t, c), c);
    if (both)
        store_canonical(out1 + j, fold_word(s[2], t, c), c),
            store_canonical(out1 + j + LANES, fold_word(s[3], t, c), c);
}

/* One block: few terms at a time, whose streams the processor foresees. A single sum is made twice:
 * nothing asks for it often. */
ALWAYS void plain_real(const ckks_prime *p, uint64_t *const out[2], const plain_operands *o,
                       size_t at, unsigned width, int wide, unsigned log_gap, int accumulate,
                       const constants *c)
{
    const packing k = {width, 8, log_gap, 1, 0};
    const capacity r = ((const real_tables *)p->tables)->products;
    uint64_t *const to[2] = {out[0] + at, (o->x1 ? out[1] : out[0]) + at};
    const beginning from = {accumulate ? to : NULL, all(r.bias), all(r.first)};
    patch sums __attribute__((aligned(64)));
    if (!o->terms) start(&sums, &from);
    for (size_t b = 0, used = 0, n; b < o->terms; b += n) {
        product f[PLAIN_ROUND];
        n = o->terms - b < PLAIN_ROUND ? o->terms - b : PLAIN_ROUND;
        for (size_t i = 0; i < n; i++) {
            const unsigned char *words = o->plain[b + i];
            f[i].shared = words + packed_position(at, o->log_gap) * width;
            f[i].own[0] = o->x0[b + i] + at;
            f[i].own[1] = (o->x1 ? o->x1 : o->x0)[b + i] + at;
        }
        used = add_products(&sums, f, n, used, r, k, b ? NULL : &from, wide, c);
    }
    finish(sums.high[0], sums.low[0], to[0], PATCH, wide, c);
    if (o->x1) finish(sums.high[1], sums.low[1], to[1], PATCH, wide, c);
}

ALWAYS void plain_range(const ckks_prime *p, uint64_t *const out[2], size_t count,
                        const plain_operands *o, int accumulate, const constants *c)
{
    if (p->bits <= INTEGER_BITS) {
        for (size_t j = 0; j < count; j += 2 * LANES)
            plain_integer(p, out[0], out[1], o, accumulate, j, o->x1 != NULL, c);
        return;
    }
    for (size_t j = 0; j < count; j += PATCH) switch (p->width) {
        case 4: plain_real(p, out, o, j, 4, 0, o->log_gap, accumulate, c); break;
        case 5: plain_real(p, out, o, j, 5, 0, o->log_gap, accumulate, c); break;
        case 6: plain_real(p, out, o, j, 6, 0, o->log_gap, accumulate, c); break;
        default: plain_real(p, out, o, j, 7, 1, o->log_gap, accumulate, c); break;
        }
}

static void plain_product(const ckks_prime *p, uint64_t *out0, uint64_t *out1, size_t count,
                          size_t terms, const void *const plain[], unsigned log_gap,
                          const uint64_t *const x0[], const uint64_t *const x1[], int accumulate)
{
    const real_tables *t = p->tables;
    const plain_operands o = {terms, plain, log_gap, x0, x1};
    const constants c = constants_of(p);
    uint64_t *const out[2] = {out0, out1};
    if (p->log_n < NATIVE_LOG_N)
        ckks_kernel_portable.plain_product(&t->portable, out0, out1, count, terms, plain, log_gap,
                                           x0, x1, accumulate);
    else
        plain_range(p, out, count, &o, accumulate, &c);
}

/* ---- Linear combinations ---- */

enum { COMBINE_BLOCK = 128 };

/* One output over `vectors`, a constant, of coefficients from j on, already converted. */
ALWAYS void combine_vectors(uint64_t *out, size_t terms, double y[][COMBINE_BLOCK],
                            const double w[], size_t most, V bias, size_t j, size_t vectors,
                            const constants *c)
{
    const V less = SUB(all(0), c->half);
    sum s[SUMS];
    UNROLL
    for (size_t v = 0; v < SUMS; v++) s[v].high = bias, s[v].low = less;
    for (size_t b = 0, end; b < terms; b = end) {
        if (b) {
            UNROLL
            for (size_t v = 0; v < SUMS; v++) {
                s[v].low = reduce(settle(SUB(s[v].high, bias), s[v].low, 1, c), c);
                s[v].high = bias;
            }
        }
        end = terms - b > most ? b + most : terms;
        for (size_t i = b; i < end; i++) {
            const V f = all(w[i]);
            UNROLL
            for (size_t v = 0; v < vectors; v++)
                accumulate_product(&s[v], load_aligned(y[i] + j + LANES * v), f);
        }
    }
    UNROLL
    for (size_t v = 0; v < vectors; v++)
        store_lowered(out + j + LANES * v, settle(SUB(s[v].high, bias), s[v].low, 1, c), c);
}

/* One output over `count` (a multiple of 8) coefficients. Weights are centred: products below
 * 2^(49+b). */
static void combine_target(const ckks_prime *p, uint64_t *out, size_t terms,
                           double y[][COMBINE_BLOCK], const uint64_t weight[], size_t count)
{
    const constants c = constants_of(p);
    const capacity r = ((const real_tables *)p->tables)->combination;
    const V bias = all(r.bias);
    const size_t most = ((size_t)1 << r.log) - 1;
    double w[CKKS_MAX_TERMS];
    size_t j = 0;
    for (size_t i = 0; i < terms; i++) w[i] = centred(weight[i], p->p);
    for (; j + SUMS * LANES <= count; j += SUMS * LANES)
        combine_vectors(out, terms, y, w, most, bias, j, SUMS, &c);
    for (; j < count; j += 8) combine_vectors(out, terms, y, w, most, bias, j, 8 / LANES, &c);
}

static void combine(const ckks_prime *const primes[], size_t targets, uint64_t *const out[],
                    size_t terms, const uint64_t *const y[], const uint64_t *const weight[],
                    size_t count)
{
    double real[CKKS_MAX_TERMS][COMBINE_BLOCK] __attribute__((aligned(64)));
    for (size_t from = 0; from < count; from += COMBINE_BLOCK) {
        size_t block = count - from < COMBINE_BLOCK ? count - from : COMBINE_BLOCK;
        for (size_t i = 0; i < terms; i++)
            for (size_t j = 0; j < block; j += LANES)
                store_aligned(real[i] + j, load(y[i] + from + j));
        for (size_t t = 0; t < targets; t++)
            combine_target(primes[t], out[t] + from, terms, real, weight[t], block);
    }
}

#endif
