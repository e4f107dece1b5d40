/* SPDX-License-Identifier: Apache-2.0 */
/* Vectors side by side in the coefficients of a ciphertext: joined and taken apart.
 *
 * A vector that repeats after `period` slots is a polynomial in X^(N / (2 period)), so in Y^count
 * with Y = X^(N / (2 period count)), and the sum of Y^k p_k holds `count` of them, each coefficient
 * in a place of its own. The rotation by half of period * count slots takes Y to -Y: what it leaves
 * is the even places, what it negates the odd ones, and so on with Y^2, Y^4 (Chen, Dai, Kim, Song,
 * "Efficient homomorphic conversion between (Ring) LWE ciphertexts", ACNS 2021). A sum and a
 * difference double what they keep, which the scale says. */
#include <string.h>

#include "ckks/scheme/encode.h"
#include "ckks/scheme/keys.h"

/* X^power, 0 <= power < 2N, in evaluation form. */
static void monomial(const ckks_context *c, const ckks_poly *out, size_t power)
{
#pragma omp parallel for num_threads(ckks_context_threads(c)) schedule(dynamic)
    for (unsigned i = 0; i < out->limbs; i++) {
        const ckks_modulus *m = &c->modulus[out->modulus[i]];
        uint64_t *limb = out->limb[i];
        memset(limb, 0, c->n * sizeof *limb);
        limb[power & (c->n - 1)] = power < c->n ? 1 : m->p - 1;
        c->kernel->ntt_forward(m, &limb, 1);
    }
}

/* out = X^power in. */
static fhola_status multiply(const ckks_context *c, ckks_workspace *ws, ckks_ciphertext *out,
                             const ckks_ciphertext *in, size_t power)
{
    fhola_status status = FHOLA_NOMEM;
    ckks_basis basis = in->poly->basis;
    ckks_poly product[2];
    ckks_mark mark = ckks_workspace_mark(ws);
    ckks_poly *x = ckks_poly_take(ws, 1, basis);
    if (!x) goto end;
    monomial(c, x, power);
    status = ckks_ciphertext_reserve(out, basis, product);
    if (status) goto end;
    const ckks_poly twice[2] = {*x, *x};
    status = ckks_poly_mul(c, 2, product, in->poly, twice);
    ckks_ciphertext_set(out, status ? 0 : basis, in->scale, 0);
end:
    ckks_workspace_release(ws, mark);
    return status;
}

/* Of X in Y. */
static size_t power_of(const ckks_context *c, ckks_interleaving s)
{
    return c->n / (2 * s.period * s.count);
}

static fhola_status check_any(const ckks_context *c, const ckks_workspace *ws,
                              const ckks_ciphertext *in, ckks_interleaving shape)
{
    FHOLA_TRY(ckks_ciphertext_check_any(c, in, "the ciphertext"));
    if (ws->context != c)
        return fhola_fail(FHOLA_PARAM, "the workspace belongs to another context");
    return ckks_interleaving_check(c, shape);
}

static fhola_status check(const ckks_context *c, const ckks_workspace *ws,
                          const ckks_ciphertext *in, ckks_interleaving shape)
{
    FHOLA_TRY(ckks_ciphertext_check(c, in, "the ciphertext"));
    return check_any(c, ws, in, shape);
}

/* ---- joining ---- */

fhola_status ckks_interleave(const ckks_context *c, ckks_workspace *ws, ckks_ciphertext *out,
                             const ckks_ciphertext *const in[], size_t given,
                             ckks_interleaving shape)
{
    FHOLA_TRY(check(c, ws, in[0], shape));
    if (given < 1 || given > shape.count)
        return fhola_fail(FHOLA_PARAM, "%zu ciphertexts for %zu places", given, shape.count);
    fhola_status status;
    ckks_ciphertext term;
    ckks_mark mark = ckks_workspace_mark(ws);
    status = ckks_ciphertext_scratch(&term, ws, in[0]->poly->basis);
    if (!status) status = ckks_ciphertext_copy(out, in[0]);
    if (!status) status = ckks_ciphertext_set_label(out, 0);
    for (size_t k = 1; !status && k < given; k++) {
        status = check(c, ws, in[k], shape);
        if (!status) status = multiply(c, ws, &term, in[k], k * power_of(c, shape));
        if (!status) status = ckks_add(c, out, out, &term);
    }
    ckks_workspace_release(ws, mark);
    if (!status) return ckks_ciphertext_set_period(out, shape.period * shape.count);
    ckks_ciphertext_set(out, 0, 0, 0);
    return status;
}

fhola_status ckks_interleaved_at(const ckks_context *c, ckks_workspace *ws, ckks_ciphertext *out,
                                 const ckks_ciphertext *in, size_t k, ckks_interleaving shape)
{
    const ckks_shrunk shrunk = in->shrunk;
    FHOLA_TRY(check_any(c, ws, in, shape));
    if (k >= shape.count)
        return fhola_fail(FHOLA_PARAM, "vector %zu of %zu is asked for", k, shape.count);
    if (shrunk.period && shrunk.period != shape.period * shape.count)
        return fhola_fail(FHOLA_PARAM, "%zu vectors of %zu slots in one shrunk to %zu slots",
                          shape.count, shape.period, shrunk.period);
    FHOLA_TRY(multiply(c, ws, out, in, k ? 2 * c->n - k * power_of(c, shape) : 0));
    out->shrunk = shrunk; /* X^power is of the subring, and permutes its coefficients */
    return FHOLA_OK;
}

/* ---- taking apart ---- */

fhola_status ckks_deinterleave_keys(const ckks_context *c, ckks_basis basis,
                                    ckks_interleaving shape, ckks_key_list *list)
{
    FHOLA_TRY(ckks_interleaving_check(c, shape));
    for (size_t r = shape.period * shape.count / 2; r >= shape.period; r /= 2)
        FHOLA_TRY(ckks_key_list_add(list, c,
                                    (ckks_key_request){CKKS_KEY_ROTATE, (uint32_t)r, basis,
                                                       ckks_basis_special_for(c->params, basis)}));
    return FHOLA_OK;
}

/* even = its even places, odd = its odd ones over Y, both doubled: `rotation` negates Y =
 * X^power. */
static fhola_status halve(const ckks_context *c, ckks_workspace *ws, const ckks_eval_keys *keys,
                          ckks_ciphertext *even, ckks_ciphertext *odd, size_t rotation,
                          size_t power)
{
    ckks_ciphertext turned;
    ckks_mark mark = ckks_workspace_mark(ws);
    fhola_status status = ckks_ciphertext_scratch(&turned, ws, even->poly->basis);
    if (!status) status = ckks_rotate(c, ws, keys, &turned, even, (int32_t)rotation);
    if (!status) status = ckks_sub(c, odd, even, &turned);
    if (!status) status = multiply(c, ws, odd, odd, 2 * c->n - power);
    if (!status) status = ckks_add(c, even, even, &turned);
    if (!status) status = ckks_ciphertext_set_scale(even, 2 * even->scale);
    if (!status) status = ckks_ciphertext_set_scale(odd, even->scale);
    ckks_workspace_release(ws, mark);
    return status;
}

fhola_status ckks_deinterleave(const ckks_context *c, ckks_workspace *ws,
                               const ckks_eval_keys *keys, ckks_ciphertext *const out[],
                               const ckks_ciphertext *in, ckks_interleaving shape)
{
    FHOLA_TRY(check(c, ws, in, shape));
    FHOLA_TRY(ckks_ciphertext_copy(out[0], in));
    size_t rotation = shape.period * shape.count / 2, power = power_of(c, shape);
    for (size_t known = 1; known < shape.count; known *= 2, rotation /= 2, power *= 2)
        for (size_t k = 0; k < known; k++)
            FHOLA_TRY(halve(c, ws, keys, out[k], out[k + known], rotation, power));
    for (size_t k = 0; k < shape.count; k++)
        FHOLA_TRY(ckks_ciphertext_set_period(out[k], shape.period));
    return FHOLA_OK;
}
