/* SPDX-License-Identifier: Apache-2.0 */
/* Kernel table in plain C11 with 64-bit words and 128-bit products. The reference all other tables
 * are compared with.
 *
 * Forward transform: Cooley-Tukey butterflies X' = X + T, Y' = X - T + 2p with T = Y w in [0, 2p)
 * (Shoup, scalar.h). Nothing is reduced on the way: values start below p and gain at most 2p per
 * layer, so they stay below (1 + 2 log_n) p <= 35 p < 2^56.
 *
 * Inverse transform: Gentleman-Sande butterflies X' = X + Y, Y' = (X - Y + B p) w in [0, 2p) where
 * B p bounds all values before the layer. B doubles per layer; a layer after which it would reach
 * 2^63 reduces its sums to [0, 2p) instead. The last layer multiplies by 1/n as well. */
#include <stdlib.h>
#include <string.h>

#include "ckks/kernel/kernel.h"
#include "ckks/kernel/scalar.h"

#ifdef FHOLA_VERIFY
#include <assert.h>
#define VERIFY(x) assert(x)
#else
#define VERIFY(x) ((void)0)
#endif

typedef struct twiddle {
    uint64_t w, comp; /* factor and Shoup companion */
} twiddle;

typedef struct portable_tables {
    scalar_modulus m;
    twiddle scale;      /* 1/n */
    twiddle scale_last; /* 1/n times the inverse twiddle of the last layer */
    twiddle *forward;   /* n: psi^br(i) */
    twiddle *inverse;   /* n: psi^-br(i) */
} portable_tables;

static const scalar_modulus *modulus(const ckks_prime *p)
{
    return &((const portable_tables *)p->tables)->m;
}

static twiddle twiddle_of(uint64_t w, const scalar_modulus *m)
{
    twiddle t = {w, scalar_companion(w, m)};
    return t;
}

static void prime_clear(ckks_prime *p)
{
    portable_tables *t = p->tables;
    if (!t) return;
    free(t->forward);
    free(t->inverse);
    free(t);
    p->tables = NULL;
}

static void fill(twiddle *out, uint64_t *w, uint64_t psi, unsigned log_n, const scalar_modulus *m)
{
    scalar_twiddles(w, psi, log_n, m);
    for (size_t i = 0; i < (size_t)1 << log_n; i++) out[i] = twiddle_of(w[i], m);
}

static fhola_status prime_init(ckks_prime *p)
{
    size_t n = (size_t)1 << p->log_n;
    portable_tables *t = calloc(1, sizeof *t);
    uint64_t *w = malloc(n * sizeof *w);
    p->tables = t;
    if (t) {
        t->forward = malloc(n * sizeof *t->forward);
        t->inverse = malloc(n * sizeof *t->inverse);
    }
    if (!t || !w || !t->forward || !t->inverse) {
        free(w);
        prime_clear(p);
        return fhola_fail(FHOLA_NOMEM, "no memory for the tables of prime %llu, n = %zu",
                          (unsigned long long)p->p, n);
    }
    scalar_modulus *m = &t->m;
    scalar_modulus_set(m, p->p);
    fill(t->forward, w, p->psi, p->log_n, m);
    fill(t->inverse, w, scalar_power(p->psi, 2 * n - 1, m), p->log_n, m);
    free(w);
    t->scale = twiddle_of(scalar_inverse_of_degree(p->p, p->log_n), m);
    t->scale_last = twiddle_of(scalar_mul(t->scale.w, t->inverse[1].w, m), m);
    return FHOLA_OK;
}

/* Plain bit-reversed order to stored order and back; an involution. */
static void transpose(uint64_t *restrict out, const uint64_t *restrict in)
{
    for (size_t v = 0; v < 8; v++)
        for (size_t l = 0; l < 8; l++) out[8 * v + l] = in[8 * l + v];
}

static void forward_layer(uint64_t *a, size_t n, size_t groups, const twiddle *w, uint64_t p)
{
    size_t half = n / groups / 2;
    for (size_t g = 0; g < groups; g++) {
        uint64_t *restrict x = a + 2 * half * g, *restrict y = x + half;
        twiddle t = w[groups + g];
        for (size_t j = 0; j < half; j++) {
            uint64_t u = x[j], v = scalar_mul_lazy(y[j], t.w, t.comp, p);
            VERIFY(u < 35 * p && y[j] < 35 * p && v < 2 * p);
            x[j] = u + v;
            y[j] = u - v + 2 * p;
        }
    }
}

static void ntt_forward(const ckks_prime *prime, uint64_t *const limbs[], size_t count)
{
    const portable_tables *t = prime->tables;
    size_t n = (size_t)1 << prime->log_n;
    uint64_t block[64];
    for (size_t i = 0; i < count; i++) {
        uint64_t *a = limbs[i];
        for (size_t groups = 1; groups < n; groups *= 2)
            forward_layer(a, n, groups, t->forward, prime->p);
        for (size_t j = 0; j < n; j++) a[j] = scalar_reduce(a[j], &t->m);
        for (size_t b = 0; prime->log_n >= 6 && b < n; b += 64) {
            transpose(block, a + b);
            for (size_t j = 0; j < 64; j++) a[b + j] = block[j];
        }
    }
}

/* `bound` is a multiple of p above all values; sums are reduced when `fold` is set. */
static void inverse_layer(uint64_t *a, size_t n, size_t groups, const twiddle *w,
                          const scalar_modulus *m, uint64_t bound, int fold)
{
    size_t half = n / groups / 2;
    uint64_t p = m->p;
    for (size_t g = 0; g < groups; g++) {
        uint64_t *restrict x = a + 2 * half * g, *restrict y = x + half;
        twiddle t = w[groups + g];
        for (size_t j = 0; j < half; j++) {
            uint64_t u = x[j], v = y[j], s = u + v;
            VERIFY(u < bound && v < bound);
            x[j] = fold ? scalar_reduce_lazy(s, m) : s;
            y[j] = scalar_mul_lazy(u - v + bound, t.w, t.comp, p);
        }
    }
}

static void inverse_last(uint64_t *a, size_t n, const portable_tables *t, uint64_t bound)
{
    uint64_t *restrict x = a, *restrict y = a + n / 2, p = t->m.p;
    twiddle s = t->scale, d = t->scale_last;
    for (size_t j = 0; j < n / 2; j++) {
        uint64_t u = x[j], v = y[j];
        VERIFY(u < bound && v < bound);
        x[j] = scalar_fold(scalar_mul_lazy(u + v, s.w, s.comp, p), p);
        y[j] = scalar_fold(scalar_mul_lazy(u - v + bound, d.w, d.comp, p), p);
    }
}

static void inverse_limb(const portable_tables *t, uint64_t *a, unsigned log_n)
{
    size_t n = (size_t)1 << log_n;
    uint64_t block[64], bound = t->m.p;
    for (size_t b = 0; log_n >= 6 && b < n; b += 64) {
        transpose(block, a + b);
        for (size_t j = 0; j < 64; j++) a[b + j] = block[j];
    }
    for (size_t groups = n / 2; groups > 1; groups /= 2) {
        /* 4 bound must fit, this layer's doubling and the next layer's sums */
        int fold = bound >> 61 != 0;
        inverse_layer(a, n, groups, t->inverse, &t->m, bound, fold);
        bound = fold ? 2 * t->m.p : 2 * bound;
    }
    inverse_last(a, n, t, bound);
}

static void ntt_inverse(const ckks_prime *p, uint64_t *const limbs[], size_t count)
{
    for (size_t i = 0; i < count; i++) inverse_limb(p->tables, limbs[i], p->log_n);
}

static void ntt_inverse_scaled(const ckks_prime *p, uint64_t *out, const uint64_t *in, uint64_t c)
{
    /* shares the twiddles; only the last layer's factors differ */
    portable_tables t = *(const portable_tables *)p->tables;
    t.scale = twiddle_of(scalar_mul(t.scale.w, c, &t.m), &t.m);
    t.scale_last = twiddle_of(scalar_mul(t.scale_last.w, c, &t.m), &t.m);
    if (out != in) memcpy(out, in, sizeof *out << p->log_n);
    inverse_limb(&t, out, p->log_n);
}

static void add(const ckks_prime *p, uint64_t *out, const uint64_t *a, const uint64_t *b,
                size_t count)
{
    uint64_t q = p->p;
    for (size_t j = 0; j < count; j++) out[j] = scalar_add(a[j], b[j], q);
}

static void sub(const ckks_prime *p, uint64_t *out, const uint64_t *a, const uint64_t *b,
                size_t count)
{
    uint64_t q = p->p;
    for (size_t j = 0; j < count; j++) out[j] = scalar_sub(a[j], b[j], q);
}

static void mul(const ckks_prime *p, uint64_t *out, const uint64_t *a, const uint64_t *b,
                size_t count)
{
    const scalar_modulus m = *modulus(p);
    for (size_t j = 0; j < count; j++) out[j] = scalar_mul(a[j], b[j], &m);
}

/* acc + a b <= (p - 1) p < 2^(2 bits), so one reduction does. */
static void mul_add(const ckks_prime *p, uint64_t *out, const uint64_t *acc, const uint64_t *a,
                    const uint64_t *b, size_t count)
{
    const scalar_modulus m = *modulus(p);
    for (size_t j = 0; j < count; j++)
        out[j] = scalar_reduce_product((ckks_u128)a[j] * b[j] + acc[j], &m);
}

static void add_scalar(const ckks_prime *p, uint64_t *out, const uint64_t *a, uint64_t c,
                       size_t count)
{
    uint64_t q = p->p;
    for (size_t j = 0; j < count; j++) out[j] = scalar_add(a[j], c, q);
}

static void mul_scalar(const ckks_prime *p, uint64_t *out, const uint64_t *a, uint64_t c,
                       size_t count)
{
    uint64_t q = p->p, comp = scalar_companion(c, modulus(p));
    for (size_t j = 0; j < count; j++) out[j] = scalar_fold(scalar_mul_lazy(a[j], c, comp, q), q);
}

static void mul_scalar_add(const ckks_prime *p, uint64_t *out, const uint64_t *acc,
                           const uint64_t *a, uint64_t c, size_t count)
{
    uint64_t q = p->p, comp = scalar_companion(c, modulus(p));
    for (size_t j = 0; j < count; j++) {
        uint64_t t = scalar_fold(scalar_mul_lazy(a[j], c, comp, q), q);
        out[j] = scalar_add(acc[j], t, q);
    }
}

static void sub_mul_scalar(const ckks_prime *p, uint64_t *out, const uint64_t *a, const uint64_t *b,
                           uint64_t c, size_t count)
{
    uint64_t q = p->p, comp = scalar_companion(c, modulus(p));
    for (size_t j = 0; j < count; j++)
        out[j] = scalar_fold(scalar_mul_lazy(a[j] - b[j] + q, c, comp, q), q);
}

static void tensor(const ckks_prime *p, uint64_t *d0, uint64_t *d1, uint64_t *d2,
                   const uint64_t *a0, const uint64_t *a1, const uint64_t *b0, const uint64_t *b1,
                   size_t count)
{
    const scalar_modulus m = *modulus(p);
    for (size_t j = 0; j < count; j++) {
        uint64_t w = a0[j], x = a1[j], y = b0[j], z = b1[j];
        d0[j] = scalar_mul(w, y, &m);
        d1[j] = scalar_reduce_wide((ckks_u128)w * z + (ckks_u128)x * y, &m);
        d2[j] = scalar_mul(x, z, &m);
    }
}

static void permute(const ckks_prime *p, uint64_t *out, const uint64_t *acc, const uint64_t *a,
                    const ckks_automorphism *sigma)
{
    size_t n = (size_t)1 << p->log_n;
    const uint32_t *source = sigma->source;
    uint64_t q = p->p;
    if (acc)
        for (size_t j = 0; j < n; j++) out[j] = scalar_add(acc[j], a[source[j]], q);
    else
        for (size_t j = 0; j < n; j++) out[j] = a[source[j]];
}

/* Sums of at most 41 products of residues stay below 2^106. */
static void inner_product(const ckks_prime *p, uint64_t *out0, uint64_t *out1, size_t from,
                          size_t count, size_t terms, const ckks_switch_term term[],
                          uint64_t factor, int accumulate)
{
    const scalar_modulus m = *modulus(p);
    for (size_t j = 0; j < count; j++) {
        ckks_u128 s0 = accumulate ? out0[j] : 0, s1 = accumulate ? out1[j] : 0;
        for (size_t t = 0; t < terms; t++) {
            const ckks_switch_term *o = &term[t];
            size_t to = from + j, i = o->sigma ? o->sigma->source[to] : to;
            if (o->add0) s0 += (ckks_u128)o->add0[i] * factor;
            if (o->add1) s1 += (ckks_u128)o->add1[i] * factor;
            for (size_t d = 0; d < o->digits; d++) {
                uint64_t x = o->digit[d][i];
                s0 += (ckks_u128)x * ckks_packed_get(o->key0[d], p->width, to);
                s1 += (ckks_u128)x * ckks_packed_get(o->key1[d], p->width, to);
            }
        }
        out0[j] = scalar_reduce_wide(s0, &m);
        out1[j] = scalar_reduce_wide(s1, &m);
    }
}

/* Sums of at most 4096 products of residues and a residue stay below 2^113. */
static void plain_product(const ckks_prime *p, uint64_t *out0, uint64_t *out1, size_t count,
                          size_t terms, const void *const plain[], unsigned log_gap,
                          const uint64_t *const x0[], const uint64_t *const x1[], int accumulate)
{
    enum { BLOCK = 64 };
    const scalar_modulus m = *modulus(p);
    size_t block = count < BLOCK ? count : BLOCK;
    ckks_u128 s[BLOCK];
    for (size_t base = 0; base < count; base += block)
        for (int k = 0; k < (x1 ? 2 : 1); k++) {
            uint64_t *out = k ? out1 : out0;
            const uint64_t *const *x = k ? x1 : x0;
            for (size_t j = 0; j < block; j++) s[j] = accumulate ? out[base + j] : 0;
            for (size_t b = 0; b < terms; b++)
                for (size_t j = 0; j < block; j++) {
                    size_t i = base + j, word = ((i >> 3 >> log_gap) << 3) | (i & 7);
                    s[j] += (ckks_u128)x[b][i] * ckks_packed_get(plain[b], p->width, word);
                }
            for (size_t j = 0; j < block; j++) out[base + j] = scalar_reduce_wide(s[j], &m);
        }
}

/* Sums of at most 32 products below 2^100 stay below 2^105. Blocks of coefficients keep the y limbs
 * in the first cache. */
static void combine(const ckks_prime *const primes[], size_t targets, uint64_t *const out[],
                    size_t terms, const uint64_t *const y[], const uint64_t *const weight[],
                    size_t count)
{
    enum { BLOCK = 256 };
    ckks_u128 s[BLOCK];
    for (size_t base = 0; base < count; base += BLOCK) {
        size_t block = count - base < BLOCK ? count - base : BLOCK;
        for (size_t t = 0; t < targets; t++) {
            const scalar_modulus m = *modulus(primes[t]);
            for (size_t j = 0; j < block; j++) s[j] = 0;
            for (size_t i = 0; i < terms; i++) {
                const uint64_t *x = y[i] + base;
                uint64_t w = weight[t][i];
                for (size_t j = 0; j < block; j++) s[j] += (ckks_u128)x[j] * w;
            }
            for (size_t j = 0; j < block; j++) out[t][base + j] = scalar_reduce_wide(s[j], &m);
        }
    }
}

static void overflow(uint64_t *v, size_t terms, const uint64_t *const y[], const double inverse[],
                     size_t count)
{
    enum { BLOCK = 256 };
    double s[BLOCK];
    for (size_t base = 0; base < count; base += BLOCK) {
        size_t block = count - base < BLOCK ? count - base : BLOCK;
        for (size_t j = 0; j < block; j++) s[j] = 0;
        for (size_t i = 0; i < terms; i++) {
            const uint64_t *x = y[i] + base;
            double c = inverse[i];
            for (size_t j = 0; j < block; j++) {
                double t = (double)(int64_t)x[j] * c; /* exact conversion: y < 2^50 */
                s[j] += t;
            }
        }
        /* never negative: truncation is floor */
        for (size_t j = 0; j < block; j++) v[base + j] = (uint64_t)(int64_t)(s[j] + 0.5);
    }
}

static void reduce_signed(const ckks_prime *p, uint64_t *out, const int64_t *x, size_t count)
{
    const scalar_modulus m = *modulus(p);
    for (size_t j = 0; j < count; j++) out[j] = scalar_reduce((uint64_t)x[j] + m.offset, &m);
}

const ckks_kernel ckks_kernel_portable = CKKS_KERNEL_TABLE("portable");
