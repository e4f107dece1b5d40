/* SPDX-License-Identifier: Apache-2.0 */
/* An encrypted activation made of several polynomials: factor(x) (1 + s(x)), s a composition of
 * polynomials close to the sign of x. Internal to nn/.
 *
 * Levels from the top: the stages of s, each on the primes the one before leaves, then one for the
 * product. The factor is evaluated on few primes, just above the product, whatever the depth of
 * s. */
#ifndef NN_COMPOSITION_H
#define NN_COMPOSITION_H

#include "ckks/ckks.h"
#include "ola/ola.h"

typedef struct nn_composition_spec {
    const ola_composite *sign;
    unsigned degree;     /* of the factor; its depth at most that of the stages together */
    size_t period;       /* of the factor's coefficients */
    const double *coeff; /* (degree + 1) * period */
    ckks_basis basis_in; /* of x; the result lives on what is left below all levels */
    double scale_in, scale_out;
} nn_composition_spec;

typedef struct nn_composition nn_composition;

fhola_status nn_composition_create(nn_composition **out, const ckks_context *context,
                                   ckks_workspace *workspace,
                                   const nn_composition_spec *spec) FHOLA_WARN_UNUSED;
void nn_composition_destroy(nn_composition *composition);
size_t nn_composition_bytes(const nn_composition *composition);
/* `out` differs from `in`. */
fhola_status nn_composition_apply(const ckks_context *context, ckks_workspace *workspace,
                                  const ckks_eval_keys *keys, const nn_composition *composition,
                                  ckks_ciphertext *out,
                                  const ckks_ciphertext *in) FHOLA_WARN_UNUSED;

#endif
