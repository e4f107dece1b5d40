/* SPDX-License-Identifier: Apache-2.0 */
#include "ckks/scheme/evaluate.h"

#include <math.h>

#include "ckks/ring/rns.h"

/* ---- operands ---- */

static fhola_status check_one(const ckks_context *c, const ckks_ciphertext *out,
                              const ckks_ciphertext *a)
{
    if (out->context != c) return fhola_fail(FHOLA_PARAM, "the result belongs to another context");
    return ckks_ciphertext_check(c, a, "the ciphertext");
}

static fhola_status check_same_basis(const ckks_ciphertext *a, const ckks_ciphertext *b)
{
    const ckks_params *p = a->context->params;
    if (a->poly->basis == b->poly->basis) return FHOLA_OK;
    return fhola_fail(FHOLA_LEVEL, "operand a has the primes %s, operand b %s",
                      ckks_basis_describe(p, a->poly->basis).text,
                      ckks_basis_describe(p, b->poly->basis).text);
}

static fhola_status check_pair(const ckks_context *c, const ckks_ciphertext *out,
                               const ckks_ciphertext *a, const ckks_ciphertext *b)
{
    if (out->context != c) return fhola_fail(FHOLA_PARAM, "the result belongs to another context");
    FHOLA_TRY(ckks_ciphertext_check(c, a, "operand a"));
    FHOLA_TRY(ckks_ciphertext_check(c, b, "operand b"));
    FHOLA_TRY(check_same_basis(a, b));
    return ckks_scale_check(a->scale, b->scale, "operand b");
}

static fhola_status check_plain(const ckks_context *c, const ckks_ciphertext *out,
                                const ckks_ciphertext *a, const ckks_plaintext *b)
{
    FHOLA_TRY(check_one(c, out, a));
    FHOLA_TRY(ckks_plaintext_check(c, b, "the plaintext"));
    if (a->poly->basis & ~b->poly.basis)
        return fhola_fail(FHOLA_LEVEL, "the plaintext does not cover the ciphertext's primes");
    return FHOLA_OK;
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

static fhola_status check_kept(const ckks_ciphertext *in, ckks_basis basis)
{
    if (basis && !(basis & ~in->poly->basis)) return FHOLA_OK;
    return fhola_fail(FHOLA_LEVEL, "the basis to keep is not part of the ciphertext's");
}

/* ---- sums and plaintexts ---- */

/* ckks_poly_add or ckks_poly_sub. */
typedef fhola_status poly_operation(const ckks_context *c, size_t count, const ckks_poly out[],
                                    const ckks_poly a[], const ckks_poly b[]);

static fhola_status by_halves(poly_operation *operation, const ckks_context *c,
                              ckks_ciphertext *out, const ckks_ciphertext *a,
                              const ckks_ciphertext *b)
{
    ckks_poly result[2];
    FHOLA_TRY(check_pair(c, out, a, b));
    FHOLA_TRY(ckks_ciphertext_reserve(out, a->poly->basis, result));
    FHOLA_TRY(operation(c, 2, result, a->poly, b->poly));
    ckks_ciphertext_set(out, result->basis, a->scale, ckks_common_period(a->period, b->period));
    return FHOLA_OK;
}

fhola_status ckks_add(const ckks_context *c, ckks_ciphertext *out, const ckks_ciphertext *a,
                      const ckks_ciphertext *b)
{
    return by_halves(ckks_poly_add, c, out, a, b);
}

fhola_status ckks_sub(const ckks_context *c, ckks_ciphertext *out, const ckks_ciphertext *a,
                      const ckks_ciphertext *b)
{
    return by_halves(ckks_poly_sub, c, out, a, b);
}

fhola_status ckks_add_plain(const ckks_context *c, ckks_ciphertext *out, const ckks_ciphertext *a,
                            const ckks_plaintext *b)
{
    FHOLA_TRY(check_plain(c, out, a, b));
    FHOLA_TRY(ckks_scale_check(a->scale, b->scale, "the plaintext"));
    FHOLA_TRY(ckks_ciphertext_copy(out, a));
    out->seeded = false;
    out->label = 0;
    out->period = ckks_common_period(a->period, b->period);
    return ckks_poly_add(c, 1, out->poly, out->poly, &b->poly);
}

fhola_status ckks_add_scalar(const ckks_context *c, ckks_ciphertext *out, const ckks_ciphertext *a,
                             double value)
{
    FHOLA_TRY(check_one(c, out, a));
    double scaled = value * a->scale, half = ckks_half_modulus(c, a->poly->basis);
    if (!(fabs(scaled) < half))
        return fhola_fail(FHOLA_RANGE, "%g at scale 2^%.2f is not below half the modulus, 2^%.2f",
                          value, log2(a->scale), log2(half));
    FHOLA_TRY(ckks_ciphertext_copy(out, a));
    out->seeded = false;
    out->label = 0;
    ckks_poly_add_integer(c, out->poly, scaled);
    return FHOLA_OK;
}

fhola_status ckks_mul_plain(const ckks_context *c, ckks_ciphertext *out, const ckks_ciphertext *a,
                            const ckks_plaintext *b)
{
    ckks_poly product[2];
    FHOLA_TRY(check_plain(c, out, a, b));
    FHOLA_TRY(ckks_scale_fits(c, a->poly->basis, a->scale * b->scale, "the product"));
    FHOLA_TRY(ckks_ciphertext_reserve(out, a->poly->basis, product));
    const ckks_poly twice[2] = {b->poly, b->poly};
    FHOLA_TRY(ckks_poly_mul(c, 2, product, a->poly, twice));
    ckks_ciphertext_set(out, product->basis, a->scale * b->scale,
                        ckks_common_period(a->period, b->period));
    return FHOLA_OK;
}

fhola_status ckks_mul_integer(const ckks_context *c, ckks_ciphertext *out, const ckks_ciphertext *a,
                              int64_t factor)
{
    ckks_poly multiple[2];
    FHOLA_TRY(check_one(c, out, a));
    double half = ckks_half_modulus(c, a->poly->basis);
    if (!(fabs((double)factor) < half))
        return fhola_fail(FHOLA_RANGE, "%lld is not below half the modulus, 2^%.2f",
                          (long long)factor, log2(half));
    FHOLA_TRY(ckks_ciphertext_reserve(out, a->poly->basis, multiple));
    FHOLA_TRY(ckks_poly_mul_integer(c, 2, multiple, a->poly, factor));
    ckks_ciphertext_set(out, multiple->basis, a->scale, a->period);
    return FHOLA_OK;
}

/* ---- levels ---- */

fhola_status ckks_drop(const ckks_context *c, ckks_ciphertext *out, const ckks_ciphertext *in,
                       ckks_basis basis)
{
    ckks_poly kept[2];
    FHOLA_TRY(check_one(c, out, in));
    FHOLA_TRY(check_kept(in, basis));
    FHOLA_TRY(ckks_scale_fits(c, basis, in->scale, "what is kept"));
    FHOLA_TRY(ckks_ciphertext_reserve(out, basis, kept));
    FHOLA_TRY(ckks_poly_copy(c, 2, kept, in->poly));
    ckks_ciphertext_set(out, basis, in->scale, in->period);
    return FHOLA_OK;
}

fhola_status ckks_rescale(const ckks_context *c, ckks_workspace *ws, ckks_ciphertext *out,
                          const ckks_ciphertext *in, ckks_basis basis)
{
    FHOLA_TRY(check_one(c, out, in));
    FHOLA_TRY(check_tools(c, ws, NULL));
    FHOLA_TRY(check_kept(in, basis));
    if (basis == in->poly->basis) return ckks_ciphertext_copy(out, in);
    ckks_ciphertext quotient;
    double scale = ckks_scale_divided(c, in->scale, in->poly->basis & ~basis);
    FHOLA_TRY(ckks_scale_fits(c, basis, scale, "the quotient"));
    ckks_mark mark = ckks_workspace_mark(ws);
    fhola_status status = ckks_ciphertext_scratch(&quotient, ws, basis);
    if (status) goto end;
    status = ckks_ciphertext_divide(c, ws, &quotient, in->poly, basis, scale, in->period);
    if (status) goto end;
    status = ckks_ciphertext_copy(out, &quotient);
end:
    ckks_workspace_release(ws, mark);
    return status;
}

/* What `a` has to be multiplied by to have its values at `scale` once the primes outside `basis`
 * are divided away. */
static double factor_between(const ckks_context *c, const ckks_ciphertext *a, double scale,
                             ckks_basis basis)
{
    return scale / ckks_scale_divided(c, a->scale, a->poly->basis & ~basis);
}

/* Whether the integer nearest to `factor` may take its place, `one` being the factor of 1: what
 * that does to values of size 1, or to the product, is half of what rounding N coefficients at the
 * working scale does. */
static bool is_precise(const ckks_context *c, double factor, double one)
{
    double most = (double)c->n / (8 * ckks_params_scale(c->params));
    return fabs(rint(factor) - factor) <= most * fmax(fabs(factor), one);
}

fhola_status ckks_mul_scalar(const ckks_context *c, ckks_workspace *ws, ckks_ciphertext *out,
                             const ckks_ciphertext *a, double value, double scale, ckks_basis basis)
{
    FHOLA_TRY(check_one(c, out, a));
    FHOLA_TRY(check_tools(c, ws, NULL));
    FHOLA_TRY(check_kept(a, basis));
    FHOLA_TRY(ckks_scale_fits(c, basis, scale, "the product"));
    double one = factor_between(c, a, scale, basis), factor = value * one,
           half = ckks_half_modulus(c, a->poly->basis);
    if (!(fabs(factor) < half))
        return fhola_fail(FHOLA_RANGE, "%g times 2^%.2f is not below half the modulus, 2^%.2f",
                          value, log2(one), log2(half));
    if (!is_precise(c, factor, one))
        return fhola_fail(
            FHOLA_RANGE,
            "the factor %g becomes %.3f, which no integer is close to: leave out more "
            "primes than %s",
            value, factor, ckks_basis_describe(c->params, a->poly->basis & ~basis).text);
    ckks_ciphertext product;
    ckks_mark mark = ckks_workspace_mark(ws);
    fhola_status status = ckks_ciphertext_scratch(&product, ws, a->poly->basis);
    if (status) goto end;
    ckks_ciphertext_set(&product, a->poly->basis, a->scale, a->period);
    status = ckks_poly_mul_whole(c, 2, product.poly, a->poly, factor);
    if (status) goto end;
    status = ckks_rescale(c, ws, out, &product, basis);
    if (!status) out->scale = scale;
end:
    ckks_workspace_release(ws, mark);
    return status;
}

/* `from` on `basis` at the scale of `to`, and `to` on `basis`. */
static fhola_status align_to(const ckks_context *c, ckks_workspace *ws, ckks_ciphertext *from,
                             ckks_ciphertext *to, ckks_basis basis)
{
    FHOLA_TRY(ckks_scale_fits(c, basis, to->scale, "what is kept"));
    FHOLA_TRY(ckks_mul_scalar(c, ws, from, from, 1, to->scale, basis));
    return ckks_drop(c, to, to, basis);
}

fhola_status ckks_align(const ckks_context *c, ckks_workspace *ws, ckks_ciphertext *a,
                        ckks_ciphertext *b)
{
    FHOLA_TRY(ckks_ciphertext_check(c, a, "operand a"));
    FHOLA_TRY(ckks_ciphertext_check(c, b, "operand b"));
    FHOLA_TRY(check_tools(c, ws, NULL));
    ckks_basis common = a->poly->basis & b->poly->basis;
    if (!common) return fhola_fail(FHOLA_LEVEL, "the operands share no prime");
    if (fabs(a->scale - b->scale) <= CKKS_SCALE_TOLERANCE * b->scale) {
        FHOLA_TRY(ckks_scale_fits(c, common, fmax(a->scale, b->scale), "what is kept"));
        FHOLA_TRY(ckks_drop(c, a, a, common));
        return ckks_drop(c, b, b, common);
    }
    for (ckks_basis basis = common; basis; basis &= ~ckks_basis_top(basis)) {
        double up = factor_between(c, a, b->scale, basis),
               down = factor_between(c, b, a->scale, basis);
        if (is_precise(c, up, up)) return align_to(c, ws, a, b, basis);
        if (is_precise(c, down, down)) return align_to(c, ws, b, a, basis);
    }
    return fhola_fail(FHOLA_SCALE,
                      "scales 2^%.6f and 2^%.6f cannot be brought together on the primes %s",
                      log2(a->scale), log2(b->scale), ckks_basis_describe(c->params, common).text);
}

fhola_status ckks_ciphertext_divide(const ckks_context *c, ckks_workspace *ws, ckks_ciphertext *out,
                                    const ckks_poly sum[2], ckks_basis basis, double scale,
                                    size_t period)
{
    ckks_poly quotient[2];
    FHOLA_TRY(ckks_ciphertext_reserve(out, basis, quotient));
    fhola_status status = ckks_divide_round(c, ws, 2, quotient, sum);
    ckks_ciphertext_set(out, status ? 0 : basis, scale, period);
    return status;
}

/* ---- products ---- */

/* d = factor sum a b + addend, before relinearisation. */
static void tensor(const ckks_context *c, const ckks_poly d[3], size_t count,
                   const ckks_product product[], int factor, const ckks_addend *addend)
{
#pragma omp parallel for num_threads(ckks_context_threads(c)) schedule(dynamic)
    for (unsigned i = 0; i < d->limbs; i++) {
        unsigned t = d->modulus[i];
        for (size_t k = 0; k < count; k++)
            ckks_poly_tensor_limb(c, d, product[k].a->poly, product[k].b->poly, i, k > 0);
        for (int k = 0; k < 3 && factor == 2; k++)
            c->kernel->add(&c->modulus[t], d[k].limb[i], d[k].limb[i], d[k].limb[i], c->n);
        if (addend) addend->add(addend->arg, t, d[0].limb[i], d[1].limb[i]);
    }
}

fhola_status ckks_mul_fused(const ckks_context *c, ckks_workspace *ws, const ckks_eval_keys *keys,
                            ckks_ciphertext *out, size_t count, const ckks_product product[],
                            int factor, const ckks_addend *addend, ckks_basis out_basis)
{
    ckks_basis basis = product->a->poly->basis & product->b->poly->basis;
    const ckks_switch_key *key;
    if (!basis || !out_basis || out_basis & ~basis)
        return fhola_fail(FHOLA_LEVEL, "the product's basis is empty or not part of the operands'");
    double scale = product->a->scale * product->b->scale;
    size_t period = 0;
    FHOLA_TRY(ckks_scale_fits(c, basis, scale, "the product"));
    for (size_t k = 0; k < count; k++) {
        const ckks_ciphertext *a = product[k].a, *b = product[k].b;
        if (basis & ~(a->poly->basis & b->poly->basis))
            return fhola_fail(FHOLA_LEVEL, "a product of the sum lacks primes of the first one");
        FHOLA_TRY(ckks_scale_check(a->scale * b->scale, scale, "a product of the sum"));
        size_t common = ckks_common_period(a->period, b->period);
        period = k ? ckks_common_period(period, common) : common;
    }
    FHOLA_TRY(ckks_eval_keys_find(&key, keys, CKKS_KEY_RELINEARIZE, 0, basis, 0));
    fhola_status status = FHOLA_NOMEM;
    scale = ckks_scale_divided(c, scale, basis & ~out_basis);
    ckks_mark mark = ckks_workspace_mark(ws);
    ckks_poly *d = ckks_poly_take(ws, 3, basis),
              *sum = ckks_poly_take(ws, 2, basis | key->request.p);
    if (!d || !sum) goto end;
    tensor(c, d, count, product, factor, addend);
    ckks_tally_products(c->tally, count);
    status = ckks_key_switch(c, ws, key, &d[0], &d[1], &d[2], sum);
    if (status) goto end;
    status = ckks_ciphertext_divide(c, ws, out, sum, out_basis, scale, period);
end:
    ckks_workspace_release(ws, mark);
    return status;
}

fhola_status ckks_mul(const ckks_context *c, ckks_workspace *ws, const ckks_eval_keys *keys,
                      ckks_ciphertext *out, const ckks_ciphertext *a, const ckks_ciphertext *b,
                      int rescale)
{
    FHOLA_TRY(check_one(c, out, a));
    FHOLA_TRY(ckks_ciphertext_check(c, b, "operand b"));
    FHOLA_TRY(check_tools(c, ws, keys));
    FHOLA_TRY(check_same_basis(a, b));
    ckks_basis basis = a->poly->basis, rest = basis & ~ckks_basis_top(basis);
    if (rescale && !rest)
        return fhola_fail(FHOLA_LEVEL, "a product on one prime cannot be rescaled");
    const ckks_product product = {a, b};
    return ckks_mul_fused(c, ws, keys, out, 1, &product, 1, NULL, rescale ? rest : basis);
}

/* ---- automorphisms ---- */

/* sigma(in), sigma the key's. */
static fhola_status galois(const ckks_context *c, ckks_workspace *ws, const ckks_switch_key *key,
                           ckks_ciphertext *out, const ckks_ciphertext *in)
{
    fhola_status status = FHOLA_NOMEM;
    ckks_basis basis = in->poly->basis;
    ckks_mark mark = ckks_workspace_mark(ws);
    ckks_poly *sum = ckks_poly_take(ws, 2, basis | key->request.p);
    if (!sum) goto end;
    status = ckks_key_switch(c, ws, key, &in->poly[0], NULL, &in->poly[1], sum);
    if (status) goto end;
    status = ckks_ciphertext_divide(c, ws, out, sum, basis, in->scale, in->period);
end:
    ckks_workspace_release(ws, mark);
    return status;
}

fhola_status ckks_rotate(const ckks_context *c, ckks_workspace *ws, const ckks_eval_keys *keys,
                         ckks_ciphertext *out, const ckks_ciphertext *in, int32_t rotation)
{
    const ckks_switch_key *key;
    uint32_t k = (uint32_t)rotation & (uint32_t)(c->slots - 1);
    FHOLA_TRY(check_one(c, out, in));
    FHOLA_TRY(check_tools(c, ws, keys));
    if (k == 0) return ckks_ciphertext_copy(out, in);
    FHOLA_TRY(ckks_eval_keys_find(&key, keys, CKKS_KEY_ROTATE, k, in->poly->basis, 0));
    return galois(c, ws, key, out, in);
}

fhola_status ckks_conjugate(const ckks_context *c, ckks_workspace *ws, const ckks_eval_keys *keys,
                            ckks_ciphertext *out, const ckks_ciphertext *in)
{
    const ckks_switch_key *key;
    FHOLA_TRY(check_one(c, out, in));
    FHOLA_TRY(check_tools(c, ws, keys));
    FHOLA_TRY(ckks_eval_keys_find(&key, keys, CKKS_KEY_CONJUGATE, 0, in->poly->basis, 0));
    return galois(c, ws, key, out, in);
}

/* All rotations that need a key into `result`, two polynomials each: one decomposition, one
 * division by P. */
static fhola_status rotate_many(const ckks_context *c, ckks_workspace *ws, size_t count,
                                const ckks_poly result[], const ckks_switch_key *const key[],
                                const ckks_ciphertext *in)
{
    ckks_decomposition d;
    ckks_poly *sum = ckks_poly_take(ws, 2 * count, in->poly->basis | key[0]->request.p);
    ckks_switch *s = ckks_workspace_take(ws, count * sizeof *s);
    if (!sum || !s) return FHOLA_NOMEM;
    FHOLA_TRY(ckks_decompose(c, ws, 1, &d, key[0], &in->poly[1]));
    for (size_t k = 0; k < count; k++) {
        FHOLA_TRY(ckks_decomposition_check(c, &d, key[k]));
        s[k] = (ckks_switch){&d, key[k], &in->poly[0], NULL};
    }
    ckks_switch_each(c, count, sum, s);
    return ckks_divide_round(c, ws, 2 * count, result, sum);
}

/* What rotate_many is about to make: rotations that need no key are copied. */
typedef struct hoisted {
    size_t count;
    const ckks_switch_key **key;
    ckks_ciphertext **target;
    ckks_poly *result;
} hoisted;

static fhola_status add_rotation(const ckks_context *c, hoisted *h, const ckks_eval_keys *keys,
                                 ckks_ciphertext *out, const ckks_ciphertext *in, uint32_t rotation)
{
    FHOLA_TRY(check_one(c, out, in));
    if (out == in) return fhola_fail(FHOLA_PARAM, "a hoisted rotation cannot write over its input");
    if (rotation == 0) return ckks_ciphertext_copy(out, in);
    FHOLA_TRY(ckks_eval_keys_find(&h->key[h->count], keys, CKKS_KEY_ROTATE, rotation,
                                  in->poly->basis, h->count ? h->key[0]->request.p : 0));
    h->target[h->count] = out;
    return ckks_ciphertext_reserve(out, in->poly->basis, &h->result[2 * h->count++]);
}

fhola_status ckks_rotate_hoisted(const ckks_context *c, ckks_workspace *ws,
                                 const ckks_eval_keys *keys, ckks_ciphertext *const out[],
                                 const ckks_ciphertext *in, const int32_t rotation[], size_t count)
{
    FHOLA_TRY(check_tools(c, ws, keys));
    fhola_status status = FHOLA_NOMEM;
    ckks_mark mark = ckks_workspace_mark(ws);
    hoisted h = {.key = ckks_workspace_take(ws, (count + 1) * sizeof *h.key),
                 .target = ckks_workspace_take(ws, (count + 1) * sizeof *h.target),
                 .result = ckks_workspace_take(ws, 2 * (count + 1) * sizeof *h.result)};
    if (!h.key || !h.target || !h.result) goto end;
    status = FHOLA_OK;
    for (size_t i = 0; i < count && !status; i++)
        status =
            add_rotation(c, &h, keys, out[i], in, (uint32_t)rotation[i] & (uint32_t)(c->slots - 1));
    if (!status && h.count) status = rotate_many(c, ws, h.count, h.result, h.key, in);
    for (size_t i = 0; i < h.count; i++)
        ckks_ciphertext_set(h.target[i], status ? 0 : in->poly->basis, in->scale, in->period);
end:
    ckks_workspace_release(ws, mark);
    return status;
}
