/* SPDX-License-Identifier: Apache-2.0 */
/* Ciphertexts that are only to be sent and decrypted, in a smaller ring. */
#include "ckks/scheme/evaluate.h"
#include "ckks/scheme/keys.h"
#include "ckks/scheme/params.h"

/* Leaves `count` coefficients, N / count apart; in evaluation form. */
static void keep_some(const ckks_context *c, const ckks_poly *p, size_t count)
{
    const size_t gap = c->n / count;
#pragma omp parallel for num_threads(ckks_context_threads(c)) schedule(dynamic)
    for (unsigned i = 0; i < p->limbs; i++) {
        const ckks_modulus *m = &c->modulus[p->modulus[i]];
        uint64_t *limb = p->limb[i];
        c->kernel->ntt_inverse(m, &limb, 1);
        for (size_t j = 0; j < c->n; j++)
            if (j % gap) limb[j] = 0;
        c->kernel->ntt_forward(m, &limb, 1);
    }
}

static fhola_status check(const ckks_context *c, const ckks_workspace *ws,
                          const ckks_eval_keys *keys, const ckks_ciphertext *out,
                          const ckks_ciphertext *in, ckks_shrunk to)
{
    FHOLA_TRY(ckks_ciphertext_check(c, in, "the ciphertext"));
    if (out->context != c || ws->context != c)
        return fhola_fail(FHOLA_PARAM, "the result or the workspace belongs to another context");
    if (keys->context != c)
        return fhola_fail(FHOLA_KEY, "the evaluation keys belong to another context");
    if (to.log_degree > c->log_n || (to.period & (to.period - 1)) ||
        2 * to.period < (size_t)1 << CKKS_LEAST_LOG_DEGREE ||
        2 * to.period > (size_t)1 << to.log_degree)
        return fhola_fail(FHOLA_PARAM, "%zu slots in a ring of degree 2^%u", to.period,
                          to.log_degree);
    return FHOLA_OK;
}

fhola_status ckks_shrink(const ckks_context *c, ckks_workspace *ws, const ckks_eval_keys *keys,
                         ckks_ciphertext *out, const ckks_ciphertext *in, unsigned log_degree,
                         size_t period)
{
    const ckks_shrunk to = {log_degree, period};
    const ckks_switch_key *key;
    FHOLA_TRY(check(c, ws, keys, out, in, to));
    const ckks_basis basis = in->poly->basis;
    const uint32_t label = in->label;
    FHOLA_TRY(ckks_eval_keys_find(&key, keys, CKKS_KEY_SHRINK, log_degree, basis, 0));
    fhola_status status = FHOLA_NOMEM;
    ckks_mark mark = ckks_workspace_mark(ws);
    ckks_poly *sum = ckks_poly_take(ws, 2, basis | key->request.p);
    if (!sum) goto end;
    status = ckks_key_switch(c, ws, key, &in->poly[0], NULL, &in->poly[1], sum);
    if (!status) status = ckks_ciphertext_divide(c, ws, out, sum, basis, in->scale, 0);
    if (status) goto end;
    keep_some(c, &out->poly[0], 2 * period);
    keep_some(c, &out->poly[1], (size_t)1 << log_degree);
    out->shrunk = to;
    out->label = label;
end:
    ckks_workspace_release(ws, mark);
    return status;
}
