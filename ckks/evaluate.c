/* SPDX-License-Identifier: Apache-2.0 */
#include "ckks/evaluate.h"

#include <math.h>
#include <string.h>

#include "ckks/rns.h"

fhola_status ckks_ciphertext_scratch(ckks_ciphertext *ct, ckks_workspace *ws, ckks_basis room)
{
    memset(ct, 0, sizeof *ct);
    ct->context = ws->context;
    ct->capacity = ckks_limb_count(ws->context, room);
    for (int k = 0; k < 2; k++) {
        ct->poly[k] = ckks_workspace_poly(ws, ct->capacity);
        if (!ct->poly[k]) return FHOLA_NOMEM;
    }
    return FHOLA_OK;
}

uint64_t ckks_integer_mod(const ckks_context *c, double x, unsigned prime)
{
    uint64_t p = c->prime[prime].p;
    ckks_u128 magnitude = (ckks_u128)fabs(rint(x));
    uint64_t r = (uint64_t)(magnitude % p);
    return x < 0 && r ? p - r : r;
}

static fhola_status check_pair(const ckks_context *c, const ckks_ciphertext *out,
                               const ckks_ciphertext *a, const ckks_ciphertext *b)
{
    if (out->context != c) return fhola_fail(FHOLA_PARAM, "the result belongs to another context");
    fhola_status st = ckks_ciphertext_check(c, a, "operand a");
    if (!st) st = ckks_ciphertext_check(c, b, "operand b");
    if (!st && a->basis != b->basis)
        st = fhola_fail(FHOLA_LEVEL, "basis %#llx does not match %#llx of operand b",
                        (unsigned long long)a->basis, (unsigned long long)b->basis);
    return st ? st : ckks_scale_check(a->scale, b->scale, "operand b");
}

static fhola_status check_tools(const ckks_context *c, const ckks_workspace *ws,
                                const ckks_eval_keys *keys)
{
    if (ws->context != c)
        return fhola_fail(FHOLA_PARAM, "the workspace belongs to another context");
    if (keys && keys->context != c)
        return fhola_fail(FHOLA_KEY, "the evaluation keys belong to another context");
    return FHOLA_OK;
}

typedef void (*limb_op)(const ckks_prime *, uint64_t *, const uint64_t *, const uint64_t *, size_t);

static fhola_status add_or_sub(const ckks_context *c, ckks_ciphertext *out,
                               const ckks_ciphertext *a, const ckks_ciphertext *b, limb_op op)
{
    fhola_status st = check_pair(c, out, a, b);
    if (!st) st = ckks_ciphertext_reserve(out, a->basis);
    if (st) return st;
    unsigned index[CKKS_MAX_PRIMES], limbs = ckks_limb_list(c, a->basis, index);
#pragma omp parallel for schedule(static) collapse(2)
    for (int k = 0; k < 2; k++)
        for (unsigned i = 0; i < limbs; i++) {
            size_t at = i * c->stride;
            op(&c->prime[index[i]], out->poly[k] + at, a->poly[k] + at, b->poly[k] + at, c->n);
        }
    ckks_ciphertext_set(out, a->basis, a->scale);
    return FHOLA_OK;
}

fhola_status ckks_add(const ckks_context *c, ckks_ciphertext *out, const ckks_ciphertext *a,
                      const ckks_ciphertext *b)
{
    return add_or_sub(c, out, a, b, c->kernel->add);
}

fhola_status ckks_sub(const ckks_context *c, ckks_ciphertext *out, const ckks_ciphertext *a,
                      const ckks_ciphertext *b)
{
    return add_or_sub(c, out, a, b, c->kernel->sub);
}

static fhola_status check_one(const ckks_context *c, const ckks_ciphertext *out,
                              const ckks_ciphertext *a)
{
    if (out->context != c) return fhola_fail(FHOLA_PARAM, "the result belongs to another context");
    return ckks_ciphertext_check(c, a, "the ciphertext");
}

fhola_status ckks_add_plain(const ckks_context *c, ckks_ciphertext *out, const ckks_ciphertext *a,
                            const ckks_plaintext *b)
{
    fhola_status st = check_one(c, out, a);
    if (!st) st = ckks_plaintext_check(c, b, "the plaintext");
    if (!st && a->basis & ~b->basis)
        st = fhola_fail(FHOLA_LEVEL, "the plaintext does not cover the ciphertext's primes");
    if (!st) st = ckks_scale_check(a->scale, b->scale, "the plaintext");
    if (!st) st = ckks_ciphertext_copy(out, a);
    if (st) return st;
    unsigned index[CKKS_MAX_PRIMES], limbs = ckks_limb_list(c, a->basis, index);
#pragma omp parallel for schedule(static)
    for (unsigned i = 0; i < limbs; i++) {
        uint64_t *x = out->poly[0] + i * c->stride, room[CKKS_RANGE];
        size_t range = ckks_range_length(c, b->basis, index[i]);
        for (size_t j = 0; j < c->n; j += range) {
            const uint64_t *y = ckks_limb_range(c, b->poly, b->basis, index[i], j, range, room);
            c->kernel->add(&c->prime[index[i]], x + j, x + j, y, range);
        }
    }
    out->seeded = 0;
    return FHOLA_OK;
}

fhola_status ckks_add_scalar(const ckks_context *c, ckks_ciphertext *out, const ckks_ciphertext *a,
                             double value)
{
    fhola_status st = check_one(c, out, a);
    double scaled = value * a->scale;
    if (!st && !(fabs(scaled) < 0x1p120))
        st = fhola_fail(FHOLA_RANGE, "%g at scale 2^%.1f is out of range", value, log2(a->scale));
    if (!st) st = ckks_ciphertext_copy(out, a);
    if (st) return st;
    unsigned index[CKKS_MAX_PRIMES], limbs = ckks_limb_list(c, a->basis, index);
#pragma omp parallel for schedule(static)
    for (unsigned i = 0; i < limbs; i++) {
        uint64_t *x = out->poly[0] + i * c->stride;
        c->kernel->add_scalar(&c->prime[index[i]], x, x, ckks_integer_mod(c, scaled, index[i]),
                              c->n);
    }
    out->seeded = 0;
    return FHOLA_OK;
}

fhola_status ckks_mul_plain(const ckks_context *c, ckks_ciphertext *out, const ckks_ciphertext *a,
                            const ckks_plaintext *b)
{
    fhola_status st = check_one(c, out, a);
    if (!st) st = ckks_plaintext_check(c, b, "the plaintext");
    if (!st && a->basis & ~b->basis)
        st = fhola_fail(FHOLA_LEVEL, "the plaintext does not cover the ciphertext's primes");
    if (!st) st = ckks_ciphertext_reserve(out, a->basis);
    if (st) return st;
    unsigned index[CKKS_MAX_PRIMES], limbs = ckks_limb_list(c, a->basis, index);
#pragma omp parallel for schedule(static) collapse(2)
    for (int k = 0; k < 2; k++)
        for (unsigned i = 0; i < limbs; i++) {
            uint64_t room[CKKS_RANGE];
            size_t range = ckks_range_length(c, b->basis, index[i]);
            for (size_t j = 0; j < c->n; j += range) {
                size_t at = i * c->stride + j;
                const uint64_t *y = ckks_limb_range(c, b->poly, b->basis, index[i], j, range, room);
                c->kernel->mul(&c->prime[index[i]], out->poly[k] + at, a->poly[k] + at, y, range);
            }
        }
    ckks_ciphertext_set(out, a->basis, a->scale * b->scale);
    return FHOLA_OK;
}

fhola_status ckks_mul_integer(const ckks_context *c, ckks_ciphertext *out, const ckks_ciphertext *a,
                              int64_t factor)
{
    fhola_status st = check_one(c, out, a);
    if (!st) st = ckks_ciphertext_reserve(out, a->basis);
    if (st) return st;
    unsigned index[CKKS_MAX_PRIMES], limbs = ckks_limb_list(c, a->basis, index);
#pragma omp parallel for schedule(static) collapse(2)
    for (int k = 0; k < 2; k++)
        for (unsigned i = 0; i < limbs; i++) {
            const ckks_prime *p = &c->prime[index[i]];
            uint64_t magnitude = (factor < 0 ? 0 - (uint64_t)factor : (uint64_t)factor) % p->p;
            uint64_t scalar = factor < 0 && magnitude ? p->p - magnitude : magnitude;
            size_t at = i * c->stride;
            c->kernel->mul_scalar(p, out->poly[k] + at, a->poly[k] + at, scalar, c->n);
        }
    ckks_ciphertext_set(out, a->basis, a->scale);
    return FHOLA_OK;
}

fhola_status ckks_drop(const ckks_context *c, ckks_ciphertext *out, const ckks_ciphertext *in,
                       ckks_basis basis)
{
    fhola_status st = check_one(c, out, in);
    if (!st && (!basis || basis & ~in->basis))
        st = fhola_fail(FHOLA_LEVEL, "the basis to keep is not part of the ciphertext's");
    if (!st) st = ckks_ciphertext_reserve(out, basis);
    if (st) return st;
    unsigned index[CKKS_MAX_PRIMES], limbs = ckks_limb_list(c, basis, index);
    for (int k = 0; k < 2; k++)
        for (unsigned i = 0; i < limbs; i++) { /* in place limbs only move down */
            uint64_t room[CKKS_RANGE], *to = out->poly[k] + i * c->stride;
            size_t range = ckks_range_length(c, in->basis, index[i]);
            for (size_t j = 0; j < c->n; j += range)
                memmove(to + j,
                        ckks_limb_range(c, in->poly[k], in->basis, index[i], j, range, room),
                        range * sizeof *to);
        }
    ckks_ciphertext_set(out, basis, in->scale);
    return FHOLA_OK;
}

fhola_status ckks_rescale(const ckks_context *c, ckks_workspace *ws, ckks_ciphertext *out,
                          const ckks_ciphertext *in, ckks_basis basis)
{
    fhola_status st = check_one(c, out, in);
    if (!st) st = check_tools(c, ws, NULL);
    if (!st && (!basis || basis & ~in->basis))
        st = fhola_fail(FHOLA_LEVEL, "the basis to keep is not part of the ciphertext's");
    if (st || basis == in->basis) return st ? st : ckks_ciphertext_copy(out, in);
    ckks_mark mark = ckks_workspace_mark(ws);
    uint64_t *poly[2] = {ckks_workspace_poly(ws, ckks_limb_count(c, basis)),
                         ckks_workspace_poly(ws, ckks_limb_count(c, basis))};
    const uint64_t *source[2] = {in->poly[0], in->poly[1]};
    double scale = in->scale;
    for (unsigned i = 0; i < c->primes; i++)
        if (in->basis & ~basis & CKKS_BIT(i)) scale /= (double)c->prime[i].p;
    st = poly[0] && poly[1] ? ckks_divide_round(c, ws, poly, source, 2, in->basis, basis)
                            : FHOLA_NOMEM;
    if (!st) st = ckks_ciphertext_reserve(out, basis);
    if (!st) {
        for (int k = 0; k < 2; k++)
            memcpy(out->poly[k], poly[k], ckks_limb_count(c, basis) * c->stride * sizeof(uint64_t));
        ckks_ciphertext_set(out, basis, scale);
    }
    ckks_workspace_release(ws, mark);
    return st;
}

static void tensor_limb(const ckks_context *c, unsigned t, uint64_t *d0, uint64_t *d1, uint64_t *d2,
                        const ckks_ciphertext *a, const ckks_ciphertext *b)
{
    uint64_t room[4][CKKS_RANGE];
    size_t range = ckks_range_length(c, a->basis, t), other = ckks_range_length(c, b->basis, t);
    if (other < range) range = other;
    for (size_t j = 0; j < c->n; j += range) {
        const uint64_t *a0 = ckks_limb_range(c, a->poly[0], a->basis, t, j, range, room[0]);
        const uint64_t *a1 = ckks_limb_range(c, a->poly[1], a->basis, t, j, range, room[1]);
        const uint64_t *b0 =
            a == b ? a0 : ckks_limb_range(c, b->poly[0], b->basis, t, j, range, room[2]);
        const uint64_t *b1 =
            a == b ? a1 : ckks_limb_range(c, b->poly[1], b->basis, t, j, range, room[3]);
        c->kernel->tensor(&c->prime[t], d0 + j, d1 + j, d2 + j, a0, a1, b0, b1, range);
    }
}

fhola_status ckks_mul_fused(const ckks_context *c, ckks_workspace *ws, const ckks_eval_keys *keys,
                            ckks_ciphertext *out, const ckks_ciphertext *a,
                            const ckks_ciphertext *b, int factor, const ckks_addend *addend,
                            ckks_basis out_basis)
{
    ckks_basis basis = a->basis & b->basis;
    const ckks_switch_key *key;
    if (!basis || !out_basis || out_basis & ~basis)
        return fhola_fail(FHOLA_LEVEL, "the product's basis is empty or not part of the operands'");
    fhola_status st = ckks_eval_keys_find(&key, keys, CKKS_KEY_RELINEARIZE, 0, basis, 0);
    if (st) return st;
    ckks_basis whole = basis | key->request.p;
    unsigned index[CKKS_MAX_PRIMES], limbs = ckks_limb_list(c, basis, index),
                                     all = ckks_limb_count(c, whole);
    ckks_mark mark = ckks_workspace_mark(ws);
    uint64_t *d[3], *sum[2];
    st = FHOLA_OK;
    for (int k = 0; k < 3; k++)
        if (!(d[k] = ckks_workspace_poly(ws, limbs))) st = FHOLA_NOMEM;
    for (int k = 0; k < 2; k++)
        if (!(sum[k] = ckks_workspace_poly(ws, all))) st = FHOLA_NOMEM;
    double scale = a->scale * b->scale;
    if (!st) {
#pragma omp parallel for schedule(dynamic)
        for (unsigned i = 0; i < limbs; i++) {
            const ckks_prime *p = &c->prime[index[i]];
            size_t at = i * c->stride;
            tensor_limb(c, index[i], d[0] + at, d[1] + at, d[2] + at, a, b);
            for (int k = 0; k < 3 && factor == 2; k++)
                c->kernel->add(p, d[k] + at, d[k] + at, d[k] + at, c->n);
            if (addend) addend->add(addend->arg, index[i], d[0] + at, d[1] + at);
        }
        ws->counters.products++;
        st = ckks_key_switch(c, ws, key, basis, d[0], d[1], d[2], sum);
    }
    if (!st) {
        for (unsigned i = 0; i < c->primes; i++)
            if (basis & ~out_basis & CKKS_BIT(i)) scale /= (double)c->prime[i].p;
        st = ckks_ciphertext_reserve(out, out_basis);
    }
    if (!st) {
        const uint64_t *const source[2] = {sum[0], sum[1]};
        st = ckks_divide_round(c, ws, out->poly, source, 2, whole, out_basis);
        ckks_ciphertext_set(out, st ? 0 : out_basis, scale);
    }
    ckks_workspace_release(ws, mark);
    return st;
}

fhola_status ckks_mul(const ckks_context *c, ckks_workspace *ws, const ckks_eval_keys *keys,
                      ckks_ciphertext *out, const ckks_ciphertext *a, const ckks_ciphertext *b,
                      int rescale)
{
    fhola_status st = check_one(c, out, a);
    if (!st) st = ckks_ciphertext_check(c, b, "operand b");
    if (!st) st = check_tools(c, ws, keys);
    if (st) return st;
    if (a->basis != b->basis)
        return fhola_fail(FHOLA_LEVEL, "basis %#llx does not match %#llx of operand b",
                          (unsigned long long)a->basis, (unsigned long long)b->basis);
    if (rescale && !(a->basis & (a->basis - 1)))
        return fhola_fail(FHOLA_LEVEL, "a product on one prime cannot be rescaled");
    return ckks_mul_fused(c, ws, keys, out, a, b, 1, NULL,
                          rescale ? a->basis & ~ckks_basis_top(a->basis) : a->basis);
}

static fhola_status galois(const ckks_context *c, ckks_workspace *ws, const ckks_switch_key *key,
                           ckks_ciphertext *out, const ckks_ciphertext *in)
{
    ckks_basis whole = in->basis | key->request.p, basis = in->basis;
    double scale = in->scale;
    ckks_mark mark = ckks_workspace_mark(ws);
    uint64_t *sum[2] = {ckks_workspace_poly(ws, ckks_limb_count(c, whole)),
                        ckks_workspace_poly(ws, ckks_limb_count(c, whole))};
    fhola_status st = sum[0] && sum[1]
                          ? ckks_key_switch(c, ws, key, basis, in->poly[0], NULL, in->poly[1], sum)
                          : FHOLA_NOMEM;
    if (!st) st = ckks_ciphertext_reserve(out, basis);
    if (!st) {
        const uint64_t *const source[2] = {sum[0], sum[1]};
        st = ckks_divide_round(c, ws, out->poly, source, 2, whole, basis);
        ckks_ciphertext_set(out, st ? 0 : basis, scale);
    }
    ckks_workspace_release(ws, mark);
    return st;
}

fhola_status ckks_rotate(const ckks_context *c, ckks_workspace *ws, const ckks_eval_keys *keys,
                         ckks_ciphertext *out, const ckks_ciphertext *in, int32_t rotation)
{
    const ckks_switch_key *key;
    uint32_t k = (uint32_t)rotation & (uint32_t)(c->slots - 1);
    fhola_status st = check_one(c, out, in);
    if (!st) st = check_tools(c, ws, keys);
    if (st) return st;
    if (k == 0) return ckks_ciphertext_copy(out, in);
    st = ckks_eval_keys_find(&key, keys, CKKS_KEY_ROTATE, k, in->basis, 0);
    return st ? st : galois(c, ws, key, out, in);
}

fhola_status ckks_conjugate(const ckks_context *c, ckks_workspace *ws, const ckks_eval_keys *keys,
                            ckks_ciphertext *out, const ckks_ciphertext *in)
{
    const ckks_switch_key *key;
    fhola_status st = check_one(c, out, in);
    if (!st) st = check_tools(c, ws, keys);
    if (!st) st = ckks_eval_keys_find(&key, keys, CKKS_KEY_CONJUGATE, 0, in->basis, 0);
    return st ? st : galois(c, ws, key, out, in);
}

/* All rotations that need a key, once keys[], sum[] and results are in place. */
static fhola_status rotate_many(const ckks_context *c, ckks_workspace *ws,
                                const ckks_switch_key *const key[], ckks_ciphertext *const out[],
                                const ckks_ciphertext *in, size_t count)
{
    ckks_basis whole = in->basis | key[0]->request.p;
    unsigned index[CKKS_MAX_PRIMES], all = ckks_limb_list(c, whole, index);
    uint64_t **sum = ckks_workspace_take(ws, 2 * count * sizeof *sum),
             **result = ckks_workspace_take(ws, 2 * count * sizeof *result);
    ckks_decomposition d;
    const uint64_t *c1 = in->poly[1];
    if (!sum || !result) return FHOLA_NOMEM;
    for (size_t k = 0; k < 2 * count; k++) {
        sum[k] = ckks_workspace_poly(ws, all);
        if (!sum[k]) return FHOLA_NOMEM;
        result[k] = out[k / 2]->poly[k % 2];
    }
    fhola_status st = ckks_decompose(c, ws, &d, 1, key[0], in->basis, &c1);
    for (size_t k = 0; k < count && !st; k++)
        if (!ckks_decomposition_fits(c, &d, key[k]))
            st =
                fhola_fail(FHOLA_KEY, "the key of rotation %u has other digits than its neighbours",
                           key[k]->request.rotation);
    if (st) return st;
#pragma omp parallel for schedule(dynamic)
    for (unsigned i = 0; i < all; i++) {
        unsigned t = index[i];
        const uint64_t *limb[CKKS_MAX_DIGITS];
        const uint64_t *add0 =
            in->basis & c->part[t] ? ckks_limb_const(c, in->poly[0], in->basis, t) : NULL;
        ckks_decomposition_limbs(c, &d, t, limb);
        for (size_t k = 0; k < count; k++)
            ckks_switch_limb(c, &d, key[k], t, limb, sum[2 * k] + i * c->stride,
                             sum[2 * k + 1] + i * c->stride, add0, NULL,
                             ckks_product_mod(c, d.special, t));
    }
    ckks_switch_count(c, ws, &d, 1, count);
    return ckks_divide_round(c, ws, result, (const uint64_t *const *)sum, 2 * count, whole,
                             in->basis);
}

fhola_status ckks_rotate_hoisted(const ckks_context *c, ckks_workspace *ws,
                                 const ckks_eval_keys *keys, ckks_ciphertext *const out[],
                                 const ckks_ciphertext *in, const int32_t rotation[], size_t count)
{
    fhola_status st = check_tools(c, ws, keys);
    if (st) return st;
    ckks_mark mark = ckks_workspace_mark(ws);
    const ckks_switch_key **key = ckks_workspace_take(ws, (count + 1) * sizeof *key);
    ckks_ciphertext **target = ckks_workspace_take(ws, (count + 1) * sizeof *target);
    size_t rotated = 0;
    st = key && target ? FHOLA_OK : FHOLA_NOMEM;
    for (size_t i = 0; i < count && !st; i++) {
        uint32_t k = (uint32_t)rotation[i] & (uint32_t)(c->slots - 1);
        st = check_one(c, out[i], in);
        if (!st && out[i] == in)
            st = fhola_fail(FHOLA_PARAM, "a hoisted rotation cannot write over its input");
        if (!st && k == 0) {
            st = ckks_ciphertext_copy(out[i], in);
        } else if (!st) {
            st = ckks_eval_keys_find(&key[rotated], keys, CKKS_KEY_ROTATE, k, in->basis,
                                     rotated ? key[0]->request.p : 0);
            if (!st) st = ckks_ciphertext_reserve(out[i], in->basis);
            target[rotated++] = out[i];
        }
    }
    if (!st && rotated) st = rotate_many(c, ws, key, target, in, rotated);
    for (size_t i = 0; i < rotated; i++)
        ckks_ciphertext_set(target[i], st ? 0 : in->basis, in->scale);
    ckks_workspace_release(ws, mark);
    return st;
}
