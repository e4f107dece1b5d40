/* SPDX-License-Identifier: Apache-2.0 */
/* A kernel table that counts what it is asked to do and passes it on to another one. */
#include <string.h>

#include "ckks/alloc.h"
#include "ckks/measure/measure.h"
#include "ckks/scheme/context.h"

static void count(const ckks_modulus *p, ckks_work_kind kind, size_t outputs, size_t terms)
{
    ckks_tally_add(p->tally, kind, p->width > 4, outputs, terms);
}

static const ckks_kernel *inner(const ckks_modulus *p)
{
    const ckks_tally *t = p->tally;
    return t->kernel;
}

static size_t degree(const ckks_modulus *p)
{
    return (size_t)1 << p->log_n;
}

static void ntt_forward(const ckks_modulus *p, uint64_t *const limbs[], size_t limb_count)
{
    if (limb_count) count(p, CKKS_WORK_NTT_FORWARD, degree(p), limb_count * degree(p));
    inner(p)->ntt_forward(p, limbs, limb_count);
}

static void ntt_inverse(const ckks_modulus *p, uint64_t *const limbs[], size_t limb_count)
{
    if (limb_count) count(p, CKKS_WORK_NTT_INVERSE, degree(p), limb_count * degree(p));
    inner(p)->ntt_inverse(p, limbs, limb_count);
}

static void ntt_inverse_scaled(const ckks_modulus *p, uint64_t *out, const uint64_t *in, uint64_t c)
{
    count(p, CKKS_WORK_NTT_INVERSE, degree(p), degree(p));
    inner(p)->ntt_inverse_scaled(p, out, in, c);
}

static void add(const ckks_modulus *p, uint64_t *out, const uint64_t *a, const uint64_t *b,
                size_t words)
{
    count(p, CKKS_WORK_ELEMENTWISE, words, 2 * words);
    inner(p)->add(p, out, a, b, words);
}

static void sub(const ckks_modulus *p, uint64_t *out, const uint64_t *a, const uint64_t *b,
                size_t words)
{
    count(p, CKKS_WORK_ELEMENTWISE, words, 2 * words);
    inner(p)->sub(p, out, a, b, words);
}

static void mul(const ckks_modulus *p, uint64_t *out, const uint64_t *a, const uint64_t *b,
                size_t words)
{
    count(p, CKKS_WORK_ELEMENTWISE, words, 2 * words);
    inner(p)->mul(p, out, a, b, words);
}

static void mul_add(const ckks_modulus *p, uint64_t *out, const uint64_t *acc, const uint64_t *a,
                    const uint64_t *b, size_t words)
{
    count(p, CKKS_WORK_ELEMENTWISE, words, 3 * words);
    inner(p)->mul_add(p, out, acc, a, b, words);
}

static void add_scalar(const ckks_modulus *p, uint64_t *out, const uint64_t *a, uint64_t c,
                       size_t words)
{
    count(p, CKKS_WORK_ELEMENTWISE, words, words);
    inner(p)->add_scalar(p, out, a, c, words);
}

static void mul_scalar(const ckks_modulus *p, uint64_t *out, const uint64_t *a, uint64_t c,
                       size_t words)
{
    count(p, CKKS_WORK_ELEMENTWISE, words, words);
    inner(p)->mul_scalar(p, out, a, c, words);
}

static void mul_scalar_add(const ckks_modulus *p, uint64_t *out, const uint64_t *acc,
                           const uint64_t *a, uint64_t c, size_t words)
{
    count(p, CKKS_WORK_ELEMENTWISE, words, 2 * words);
    inner(p)->mul_scalar_add(p, out, acc, a, c, words);
}

static void sub_mul_scalar(const ckks_modulus *p, uint64_t *out, const uint64_t *a,
                           const uint64_t *b, uint64_t c, size_t words)
{
    count(p, CKKS_WORK_ELEMENTWISE, words, 2 * words);
    inner(p)->sub_mul_scalar(p, out, a, b, c, words);
}

static void tensor(const ckks_modulus *p, uint64_t *d0, uint64_t *d1, uint64_t *d2,
                   const uint64_t *a0, const uint64_t *a1, const uint64_t *b0, const uint64_t *b1,
                   size_t words)
{
    count(p, CKKS_WORK_TENSOR, words, 0);
    inner(p)->tensor(p, d0, d1, d2, a0, a1, b0, b1, words);
}

static void permute(const ckks_modulus *p, uint64_t *out, const uint64_t *acc, const uint64_t *a,
                    const ckks_automorphism *sigma)
{
    count(p, CKKS_WORK_PERMUTE, degree(p), 0);
    inner(p)->permute(p, out, acc, a, sigma);
}

static void inner_product(const ckks_modulus *p, uint64_t *out0, uint64_t *out1, size_t from,
                          size_t words, size_t terms, const ckks_switch_term term[],
                          uint64_t factor, int accumulate)
{
    ckks_tally *t = p->tally;
    size_t digits = 0;
    for (size_t k = 0; k < terms; k++) digits += term[k].digits;
    count(p, CKKS_WORK_INNER_PRODUCT, words, digits * words);
    atomic_fetch_add_explicit(&t->key_bytes, 2 * digits * words * p->width, memory_order_relaxed);
    t->kernel->inner_product(p, out0, out1, from, words, terms, term, factor, accumulate);
}

static void plain_product(const ckks_modulus *p, uint64_t *out0, uint64_t *out1, size_t words,
                          size_t terms, const void *const plain[], unsigned log_gap,
                          const uint64_t *const x0[], const uint64_t *const x1[], int accumulate)
{
    ckks_tally *t = p->tally;
    count(p, CKKS_WORK_PLAIN_PRODUCT, words, terms * words);
    atomic_fetch_add_explicit(&t->plain_bytes, terms * (words >> log_gap) * p->width,
                              memory_order_relaxed);
    t->kernel->plain_product(p, out0, out1, words, terms, plain, log_gap, x0, x1, accumulate);
}

static void combine(const ckks_modulus *const primes[], size_t targets, uint64_t *const out[],
                    size_t terms, const uint64_t *const y[], const uint64_t *const weight[],
                    size_t words)
{
    for (size_t k = 0; k < targets; k++) count(primes[k], CKKS_WORK_COMBINE, words, terms * words);
    if (targets) inner(primes[0])->combine(primes, targets, out, terms, y, weight, words);
}

static fhola_status tally_create(ckks_tally **out, const char *isa)
{
    const ckks_kernel *kernel;
    FHOLA_TRY(ckks_kernel_select(&kernel, isa));
    ckks_tally *t = ckks_alloc(sizeof *t);
    if (!t) return fhola_fail(FHOLA_NOMEM, "no memory to count the kernel's work");
    *t = (ckks_tally){.table = *kernel, .kernel = kernel};
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
    *out = t;
    return FHOLA_OK;
}

fhola_status ckks_context_create_counting(ckks_context **out, const ckks_params *params,
                                          const char *isa)
{
    ckks_tally *tally = NULL;
    FHOLA_TRY(tally_create(&tally, isa));
    fhola_status status = ckks_context_create_with(out, params, &tally->table, tally);
    if (status != FHOLA_OK) ckks_free(tally);
    return status;
}

/* ---- what was counted ---- */

static uint64_t value_of(const atomic_ullong *count)
{
    return atomic_load_explicit(count, memory_order_relaxed);
}

void ckks_context_work(const ckks_context *c, ckks_work *work)
{
    const ckks_tally *t = c->tally;
    *work = (ckks_work){.n = c->n};
    if (!t) return;
    for (unsigned k = 0; k < CKKS_WORK_KINDS; k++)
        for (unsigned wide = 0; wide < 2; wide++) {
            work->outputs[k][wide] = value_of(&t->entry[k][wide].outputs);
            work->terms[k][wide] = value_of(&t->entry[k][wide].terms);
        }
    work->key_bytes = value_of(&t->key_bytes);
    work->plain_bytes = value_of(&t->plain_bytes);
    work->key_switches = value_of(&t->key_switches);
    work->products = value_of(&t->products);
}

void ckks_work_add(ckks_work *sum, const ckks_work *a, const ckks_work *b)
{
    sum->n = a->n;
    for (size_t k = 0; k < CKKS_WORK_KINDS; k++)
        for (size_t wide = 0; wide < 2; wide++) {
            sum->outputs[k][wide] += a->outputs[k][wide] - b->outputs[k][wide];
            sum->terms[k][wide] += a->terms[k][wide] - b->terms[k][wide];
        }
    sum->key_bytes += a->key_bytes - b->key_bytes;
    sum->plain_bytes += a->plain_bytes - b->plain_bytes;
    sum->key_switches += a->key_switches - b->key_switches;
    sum->products += a->products - b->products;
}

double ckks_work_limbs(const ckks_work *w, ckks_work_kind kind)
{
    return (double)(w->terms[kind][0] + w->terms[kind][1]) / (double)w->n;
}
