/* SPDX-License-Identifier: Apache-2.0 */
#include "ckks/scheme/context.h"

#include <stdlib.h>

static fhola_status create(ckks_context **out, const ckks_params *params, const char *isa,
                           bool counting)
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
    fhola_status status = ckks_ring_create(&c, &primes, isa, counting);
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
    return create(out, params, isa, false);
}

fhola_status ckks_context_create_counting(ckks_context **out, const ckks_params *params,
                                          const char *isa)
{
    return create(out, params, isa, true);
}

void ckks_context_destroy(ckks_context *c)
{
    if (!c) return;
    free(c->params);
    ckks_ring_destroy(c);
}

void ckks_context_work(const ckks_context *c, ckks_work *work)
{
    *work = (ckks_work){.n = c->n};
    if (!c->tally) return;
    for (unsigned k = 0; k < CKKS_WORK_KINDS; k++)
        for (unsigned wide = 0; wide < 2; wide++) {
            work->outputs[k][wide] =
                atomic_load_explicit(&c->tally->entry[k][wide].outputs, memory_order_relaxed);
            work->terms[k][wide] =
                atomic_load_explicit(&c->tally->entry[k][wide].terms, memory_order_relaxed);
        }
    work->key_bytes = atomic_load_explicit(&c->tally->key_bytes, memory_order_relaxed);
    work->plain_bytes = atomic_load_explicit(&c->tally->plain_bytes, memory_order_relaxed);
}

const ckks_params *ckks_context_params(const ckks_context *c)
{
    return c->params;
}

const char *ckks_context_isa(const ckks_context *c)
{
    return c->kernel->name;
}

size_t ckks_slots(const ckks_context *c)
{
    return c->slots;
}
