/* SPDX-License-Identifier: Apache-2.0 */
#include "ckks/scheme/context.h"

#include <stdlib.h>

fhola_status ckks_context_create_with(ckks_context **out, const ckks_params *params,
                                      const ckks_kernel *kernel, ckks_tally *tally)
{
    const ckks_ring_primes primes = {.log_n = params->spec.log_n,
                                     .chain = params->chain,
                                     .special = params->special,
                                     .prime = params->prime,
                                     .shared = params->shared};
    ckks_params *copy = malloc(sizeof *copy);
    if (!copy) return fhola_fail(FHOLA_NOMEM, "no memory for a context");
    *copy = *params;
    ckks_context *c;
    fhola_status status = ckks_ring_create(&c, &primes, kernel, tally);
    if (status) {
        free(copy);
        return status;
    }
    c->params = copy;
    *out = c;
    return FHOLA_OK;
}

fhola_status ckks_context_create(ckks_context **out, const ckks_params *params, const char *isa)
{
    const ckks_kernel *kernel;
    FHOLA_TRY(ckks_kernel_select(&kernel, isa));
    return ckks_context_create_with(out, params, kernel, NULL);
}

void ckks_context_destroy(ckks_context *c)
{
    if (!c) return;
    free(c->params);
    ckks_ring_destroy(c);
}

const ckks_params *ckks_context_params(const ckks_context *c)
{
    return c->params;
}

const char *ckks_context_isa(const ckks_context *c)
{
    return c->kernel->name;
}

const char *ckks_isa_name(size_t i)
{
    const ckks_kernel *list[CKKS_MAX_KERNELS];
    return i < ckks_kernel_list(list) ? list[i]->name : NULL;
}

size_t ckks_slots(const ckks_context *c)
{
    return c->slots;
}
