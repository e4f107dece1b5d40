/* SPDX-License-Identifier: Apache-2.0 */
/* What one needs who both encrypts and computes: nothing that the public functions do not do one by
 * one. */
#include "ckks/ckks.h"

static fhola_status make_bootstrap(ckks_setup *out, unsigned arcsine_levels, ckks_key_list *list)
{
    unsigned log_slots = 0;
    while ((size_t)1 << log_slots < ckks_slots(out->context)) log_slots++;
    FHOLA_TRY(ckks_bootstrap_create_identity(&out->bootstrap, out->context, out->workspace,
                                             log_slots, 0, arcsine_levels, CKKS_BOOTSTRAP_ENCODE));
    return ckks_bootstrap_keys(out->bootstrap, out->context, list);
}

static fhola_status make(ckks_setup *out, const char *name, ckks_key_list *list, unsigned level,
                         unsigned operations, const int32_t rotation[], size_t count,
                         unsigned arcsine_levels)
{
    FHOLA_TRY(ckks_params_named(&out->params, name));
    FHOLA_TRY(ckks_context_create(&out->context, out->params, NULL));
    FHOLA_TRY(ckks_workspace_create(&out->workspace, out->context));
    FHOLA_TRY(ckks_rng_create(&out->rng));
    /* before the bootstrap, which takes longer: what is refused is refused at once */
    FHOLA_TRY(ckks_key_list_add_operations(list, out->context, level, operations, rotation, count));
    if (arcsine_levels) FHOLA_TRY(make_bootstrap(out, arcsine_levels, list));
    FHOLA_TRY(ckks_secret_key_create(&out->secret, out->context, out->rng));
    return ckks_eval_keys_create(&out->keys, out->context, out->secret, list, out->rng, NULL, NULL);
}

fhola_status ckks_setup_create(ckks_setup *out, const char *name, unsigned level,
                               unsigned operations, const int32_t rotation[], size_t count,
                               unsigned arcsine_levels)
{
    ckks_setup made = {0};
    ckks_key_list list = {0};
    const fhola_status status =
        make(&made, name, &list, level, operations, rotation, count, arcsine_levels);
    ckks_key_list_clear(&list);
    if (status) ckks_setup_clear(&made);
    *out = made;
    return status;
}

void ckks_setup_clear(ckks_setup *setup)
{
    if (!setup) return;
    ckks_bootstrap_destroy(setup->bootstrap);
    ckks_eval_keys_destroy(setup->keys);
    ckks_secret_key_destroy(setup->secret);
    ckks_rng_destroy(setup->rng);
    ckks_workspace_destroy(setup->workspace);
    ckks_context_destroy(setup->context);
    ckks_params_destroy(setup->params);
    *setup = (ckks_setup){0};
}
