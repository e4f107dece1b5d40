/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/encrypted/composition.h"

#include <stdlib.h>

struct nn_composition {
    unsigned stages;
    ckks_polynomial *stage[OLA_MAX_STAGES];
    ckks_polynomial *factor;
    ckks_basis factor_basis; /* on which the factor starts */
};

static ckks_basis drop_top(ckks_basis basis, unsigned levels)
{
    for (; levels > 0; levels--) basis &= ~ckks_basis_top(basis);
    return basis;
}

static double prime_of(const ckks_context *context, ckks_basis one)
{
    unsigned index = 0;
    while (!(one >> index & 1)) index++;
    return (double)ckks_params_prime(ckks_context_params(context), index);
}

/* The last stage ends at scale_out, the factor at the prime that the rescaling of their product
 * divides by. */
static fhola_status create_stages(nn_composition *n, ckks_basis *basis, const ckks_context *context,
                                  ckks_workspace *workspace, const nn_composition_spec *spec)
{
    double scale = spec->scale_in;
    fhola_status status = FHOLA_OK;
    for (unsigned k = 0; k < spec->sign->count && status == FHOLA_OK; k++) {
        ckks_polynomial_spec stage = {
            .degree = spec->sign->degree[k],
            .period = 1,
            .coeff = spec->sign->coeff[k],
            .basis_in = *basis,
            .basis_out = drop_top(*basis, ckks_polynomial_depth(spec->sign->degree[k])),
            .scale_in = scale,
            .scale_out = spec->scale_out,
        };
        status = ckks_polynomial_create(&n->stage[n->stages], context, workspace, &stage);
        if (status == FHOLA_OK) n->stages++;
        *basis = stage.basis_out;
        scale = stage.scale_out;
    }
    return status;
}

/* `basis`: where the product is taken. */
static fhola_status create_factor(nn_composition *n, ckks_basis basis, const ckks_context *context,
                                  ckks_workspace *workspace, const nn_composition_spec *spec)
{
    unsigned depth = ckks_polynomial_depth(spec->degree),
             above = ckks_basis_count(spec->basis_in & ~basis);
    if (depth > above)
        return fhola_fail(FHOLA_PARAM, "a factor of degree %u is deeper than its composition",
                          spec->degree);
    if (ckks_basis_count(basis) < 2)
        return fhola_fail(FHOLA_LEVEL, "no level is left for the product of a composition");
    n->factor_basis = drop_top(spec->basis_in, above - depth);
    ckks_polynomial_spec factor = {
        .degree = spec->degree,
        .period = spec->period,
        .coeff = spec->coeff,
        .basis_in = n->factor_basis,
        .basis_out = basis,
        .scale_in = spec->scale_in,
        .scale_out = prime_of(context, ckks_basis_top(basis)),
    };
    return ckks_polynomial_create(&n->factor, context, workspace, &factor);
}

fhola_status nn_composition_create(nn_composition **out, const ckks_context *context,
                                   ckks_workspace *workspace, const nn_composition_spec *spec)
{
    ckks_basis basis = spec->basis_in;
    nn_composition *n = calloc(1, sizeof *n);
    if (!n)
        return fhola_fail(FHOLA_NOMEM, "no memory for a composition of %u polynomials",
                          spec->sign->count);
    fhola_status status = create_stages(n, &basis, context, workspace, spec);
    if (status == FHOLA_OK) status = create_factor(n, basis, context, workspace, spec);
    if (status != FHOLA_OK)
        nn_composition_destroy(n);
    else
        *out = n;
    return status;
}

void nn_composition_destroy(nn_composition *n)
{
    if (!n) return;
    for (unsigned k = 0; k < n->stages; k++) ckks_polynomial_destroy(n->stage[k]);
    ckks_polynomial_destroy(n->factor);
    free(n);
}

size_t nn_composition_bytes(const nn_composition *n)
{
    size_t bytes = ckks_polynomial_bytes(n->factor);
    for (unsigned k = 0; k < n->stages; k++) bytes += ckks_polynomial_bytes(n->stage[k]);
    return bytes;
}

static fhola_status compose(const ckks_context *context, ckks_workspace *workspace,
                            const ckks_eval_keys *keys, const nn_composition *n,
                            ckks_ciphertext *out, ckks_ciphertext *factor,
                            const ckks_ciphertext *in)
{
    fhola_status status = ckks_drop(context, factor, in, n->factor_basis);
    if (status == FHOLA_OK)
        status = ckks_polynomial_apply(context, workspace, keys, n->factor, factor, factor);
    for (unsigned k = 0; k < n->stages && status == FHOLA_OK; k++)
        status = ckks_polynomial_apply(context, workspace, keys, n->stage[k], out, k ? out : in);
    if (status == FHOLA_OK) status = ckks_add_scalar(context, out, out, 1);
    return status == FHOLA_OK ? ckks_mul(context, workspace, keys, out, out, factor, 1) : status;
}

fhola_status nn_composition_apply(const ckks_context *context, ckks_workspace *workspace,
                                  const ckks_eval_keys *keys, const nn_composition *n,
                                  ckks_ciphertext *out, const ckks_ciphertext *in)
{
    ckks_ciphertext *factor = NULL;
    fhola_status status = ckks_ciphertext_create(&factor, context);
    if (status == FHOLA_OK) status = compose(context, workspace, keys, n, out, factor, in);
    ckks_ciphertext_destroy(factor);
    return status;
}
