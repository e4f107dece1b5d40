/* SPDX-License-Identifier: Apache-2.0 */
#include "ckks/kernel/tally.h"

#include "ckks/alloc.h"

void ckks_tally_add(ckks_tally *t, unsigned kind, unsigned wide, size_t outputs, size_t terms)
{
    ckks_tally_entry *e = &t->entry[kind][wide];
    atomic_fetch_add_explicit(&e->outputs, outputs, memory_order_relaxed);
    if (terms) atomic_fetch_add_explicit(&e->terms, terms, memory_order_relaxed);
}

static void count(const ckks_prime *p, unsigned kind, size_t outputs, size_t terms)
{
    ckks_tally_add(p->tally, kind, p->width == 8, outputs, terms);
}

static const ckks_kernel *inner(const ckks_prime *p)
{
    const ckks_tally *t = p->tally;
    return t->kernel;
}

static size_t degree(const ckks_prime *p)
{
    return (size_t)1 << p->log_n;
}

static void ntt_forward(const ckks_prime *p, uint64_t *const limbs[], size_t limb_count)
{
    if (limb_count) count(p, CKKS_TALLY_NTT_FORWARD, degree(p), limb_count * degree(p));
    inner(p)->ntt_forward(p, limbs, limb_count);
}

static void ntt_inverse(const ckks_prime *p, uint64_t *const limbs[], size_t limb_count)
{
    if (limb_count) count(p, CKKS_TALLY_NTT_INVERSE, degree(p), limb_count * degree(p));
    inner(p)->ntt_inverse(p, limbs, limb_count);
}

static void ntt_inverse_scaled(const ckks_prime *p, uint64_t *out, const uint64_t *in, uint64_t c)
{
    count(p, CKKS_TALLY_NTT_INVERSE, degree(p), degree(p));
    inner(p)->ntt_inverse_scaled(p, out, in, c);
}

static void add(const ckks_prime *p, uint64_t *out, const uint64_t *a, const uint64_t *b,
                size_t words)
{
    count(p, CKKS_TALLY_ELEMENTWISE, words, 2 * words);
    inner(p)->add(p, out, a, b, words);
}

static void sub(const ckks_prime *p, uint64_t *out, const uint64_t *a, const uint64_t *b,
                size_t words)
{
    count(p, CKKS_TALLY_ELEMENTWISE, words, 2 * words);
    inner(p)->sub(p, out, a, b, words);
}

static void mul(const ckks_prime *p, uint64_t *out, const uint64_t *a, const uint64_t *b,
                size_t words)
{
    count(p, CKKS_TALLY_ELEMENTWISE, words, 2 * words);
    inner(p)->mul(p, out, a, b, words);
}

static void mul_add(const ckks_prime *p, uint64_t *out, const uint64_t *acc, const uint64_t *a,
                    const uint64_t *b, size_t words)
{
    count(p, CKKS_TALLY_ELEMENTWISE, words, 3 * words);
    inner(p)->mul_add(p, out, acc, a, b, words);
}

static void add_scalar(const ckks_prime *p, uint64_t *out, const uint64_t *a, uint64_t c,
                       size_t words)
{
    count(p, CKKS_TALLY_ELEMENTWISE, words, words);
    inner(p)->add_scalar(p, out, a, c, words);
}

static void mul_scalar(const ckks_prime *p, uint64_t *out, const uint64_t *a, uint64_t c,
                       size_t words)
{
    count(p, CKKS_TALLY_ELEMENTWISE, words, words);
    inner(p)->mul_scalar(p, out, a, c, words);
}

static void mul_scalar_add(const ckks_prime *p, uint64_t *out, const uint64_t *acc,
                           const uint64_t *a, uint64_t c, size_t words)
{
    count(p, CKKS_TALLY_ELEMENTWISE, words, 2 * words);
    inner(p)->mul_scalar_add(p, out, acc, a, c, words);
}

static void sub_mul_scalar(const ckks_prime *p, uint64_t *out, const uint64_t *a, const uint64_t *b,
                           uint64_t c, size_t words)
{
    count(p, CKKS_TALLY_ELEMENTWISE, words, 2 * words);
    inner(p)->sub_mul_scalar(p, out, a, b, c, words);
}

static void tensor(const ckks_prime *p, uint64_t *d0, uint64_t *d1, uint64_t *d2,
                   const uint64_t *a0, const uint64_t *a1, const uint64_t *b0, const uint64_t *b1,
                   size_t words)
{
    count(p, CKKS_TALLY_TENSOR, words, 0);
    inner(p)->tensor(p, d0, d1, d2, a0, a1, b0, b1, words);
}

static void permute(const ckks_prime *p, uint64_t *out, const uint64_t *acc, const uint64_t *a,
                    const ckks_automorphism *sigma)
{
    count(p, CKKS_TALLY_PERMUTE, degree(p), 0);
    inner(p)->permute(p, out, acc, a, sigma);
}

static void inner_product(const ckks_prime *p, uint64_t *out0, uint64_t *out1, size_t from,
                          size_t words, size_t terms, const ckks_switch_term term[],
                          uint64_t factor, int accumulate)
{
    ckks_tally *t = p->tally;
    size_t digits = 0;
    for (size_t k = 0; k < terms; k++) digits += term[k].digits;
    count(p, CKKS_TALLY_INNER_PRODUCT, words, digits * words);
    atomic_fetch_add_explicit(&t->key_bytes, 2 * digits * words * p->width, memory_order_relaxed);
    t->kernel->inner_product(p, out0, out1, from, words, terms, term, factor, accumulate);
}

static void plain_product(const ckks_prime *p, uint64_t *out0, uint64_t *out1, size_t words,
                          size_t terms, const void *const plain[], unsigned log_gap,
                          const uint64_t *const x0[], const uint64_t *const x1[], int accumulate)
{
    ckks_tally *t = p->tally;
    count(p, CKKS_TALLY_PLAIN_PRODUCT, words, terms * words);
    atomic_fetch_add_explicit(&t->plain_bytes, terms * (words >> log_gap) * p->width,
                              memory_order_relaxed);
    t->kernel->plain_product(p, out0, out1, words, terms, plain, log_gap, x0, x1, accumulate);
}

static void combine(const ckks_prime *const primes[], size_t targets, uint64_t *const out[],
                    size_t terms, const uint64_t *const y[], const uint64_t *const weight[],
                    size_t words)
{
    for (size_t k = 0; k < targets; k++) count(primes[k], CKKS_TALLY_COMBINE, words, terms * words);
    if (targets) inner(primes[0])->combine(primes, targets, out, terms, y, weight, words);
}

ckks_tally *ckks_tally_create(const ckks_kernel *kernel)
{
    ckks_tally *t = ckks_alloc(sizeof *t);
    if (!t) return NULL;
    t->table = *kernel;
    t->kernel = kernel;
    for (unsigned k = 0; k < CKKS_TALLY_KINDS; k++)
        for (unsigned wide = 0; wide < 2; wide++) {
            atomic_init(&t->entry[k][wide].outputs, 0);
            atomic_init(&t->entry[k][wide].terms, 0);
        }
    atomic_init(&t->key_bytes, 0);
    atomic_init(&t->plain_bytes, 0);
    t->table.ntt_forward = ntt_forward;
    t->table.ntt_inverse = ntt_inverse;
    t->table.ntt_inverse_scaled = ntt_inverse_scaled;
    t->table.add = add;
    t->table.sub = sub;
    t->table.mul = mul;
    t->table.mul_add = mul_add;
    t->table.add_scalar = add_scalar;
    t->table.mul_scalar = mul_scalar;
    t->table.mul_scalar_add = mul_scalar_add;
    t->table.sub_mul_scalar = sub_mul_scalar;
    t->table.tensor = tensor;
    t->table.permute = permute;
    t->table.inner_product = inner_product;
    t->table.plain_product = plain_product;
    t->table.combine = combine;
    return t;
}

void ckks_tally_destroy(ckks_tally *tally)
{
    ckks_free(tally);
}
