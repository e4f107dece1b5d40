/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/measure/session.h"

#include <stdlib.h>

#include "ckks/measure/measure.h"

static double now(void)
{
    return 1e-6 * ckks_now_us();
}

/* ---- making ready ---- */

/* Room for diagonals, from a network without any. */
static fhola_status find_room(uint64_t *room, const nn_session *s, const nn_model *model,
                              const nn_plan *plan, const nn_session_options *options)
{
    nn_network *bare = NULL;
    *room = UINT64_MAX;
    if (!options->memory) return FHOLA_OK;
    FHOLA_TRY(nn_network_create(&bare, s->context, s->workspace, model, plan, 0));
    fhola_status status = nn_network_room(room, bare, s->context, options->memory);
    if (status == FHOLA_OK && options->tell)
        options->tell(options->memory, nn_network_memory(bare, s->context));
    nn_network_destroy(bare);
    return status;
}

static fhola_status start_up(nn_session *s, const ckks_params *params, const nn_model *model,
                             const nn_plan *plan, const nn_session_options *options)
{
    uint64_t room;
    double start = now();
    FHOLA_TRY(ckks_context_create(&s->context, params, NULL));
    FHOLA_TRY(ckks_workspace_create(&s->workspace, s->context));
    FHOLA_TRY(find_room(&room, s, model, plan, options));
    FHOLA_TRY(nn_network_create_within(&s->network, s->context, s->workspace, model, plan, room));
    s->startup_seconds = now() - start;
    return FHOLA_OK;
}

static fhola_status generate_keys(nn_session *s, nn_count_progress progress)
{
    double start = now();
    FHOLA_TRY(ckks_rng_create(&s->rng));
    FHOLA_TRY(ckks_secret_key_create(&s->secret, s->context, s->rng));
    FHOLA_TRY(ckks_eval_keys_create(&s->keys, s->context, s->secret, nn_network_keys(s->network),
                                    s->rng, progress, NULL));
    s->keygen_seconds = now() - start;
    return FHOLA_OK;
}

fhola_status nn_session_open(nn_session *s, const ckks_params *params, const nn_model *model,
                             const nn_plan *plan, const nn_session_options *options)
{
    static const nn_session_options none = {.memory = 0};
    if (!options) options = &none;
    *s = (nn_session){0};
    FHOLA_TRY(start_up(s, params, model, plan, options));
    FHOLA_TRY(generate_keys(s, options->keys));
    for (unsigned k = 0; k < nn_network_pictures(s->network); k++) {
        FHOLA_TRY(nn_encrypted_create(&s->in[k], s->context, nn_network_client(s->network)));
        FHOLA_TRY(ckks_ciphertext_create(&s->out[k], s->context));
    }
    s->times = calloc(nn_network_layers(s->network) + 1, sizeof *s->times);
    return s->times ? FHOLA_OK
                    : fhola_fail(FHOLA_NOMEM, "no memory for the times of %zu layers",
                                 nn_network_layers(s->network));
}

void nn_session_clear(nn_session *s)
{
    free(s->times);
    for (unsigned k = 0; k < NN_MAX_PICTURES; k++) {
        nn_encrypted_destroy(s->in[k]);
        ckks_ciphertext_destroy(s->out[k]);
    }
    ckks_eval_keys_destroy(s->keys);
    ckks_secret_key_destroy(s->secret);
    ckks_rng_destroy(s->rng);
    nn_network_destroy(s->network);
    ckks_workspace_destroy(s->workspace);
    ckks_context_destroy(s->context);
    *s = (nn_session){0};
}

/* ---- pictures ---- */

fhola_status nn_session_encrypt(nn_session *s, size_t number, const double *picture)
{
    return nn_encrypt_picture(s->context, s->workspace, s->in[number],
                              nn_network_client(s->network), picture, s->secret, s->rng);
}

fhola_status nn_session_infer(nn_session *s, size_t count, const nn_infer_hooks *hooks)
{
    nn_infer_hooks with_times = hooks ? *hooks : (nn_infer_hooks){.user = NULL};
    ckks_ciphertext *const *picture[NN_MAX_PICTURES];
    for (size_t k = 0; k < count; k++) picture[k] = s->in[k];
    for (size_t i = 0; i <= nn_network_layers(s->network); i++) s->times[i] = (nn_stage_times){0};
    with_times.times = s->times;
    double start = now();
    FHOLA_TRY(nn_infer_batch(s->context, s->workspace, s->out, s->network, s->keys, picture, count,
                             &with_times));
    s->seconds = now() - start;
    return FHOLA_OK;
}

fhola_status nn_session_decrypt(nn_session *s, size_t number, double *scores)
{
    return nn_decrypt_scores(s->context, s->workspace, scores, nn_network_client(s->network),
                             s->out[number], s->secret);
}

/* ---- times ---- */

void nn_session_add_times(nn_stage_times *sum, const nn_session *s)
{
    for (size_t i = 0; i <= nn_network_layers(s->network); i++) {
        sum->activation += s->times[i].activation;
        sum->convolution += s->times[i].convolution;
        sum->slots_to_coeffs += s->times[i].slots_to_coeffs;
        sum->switch_to_sparse += s->times[i].switch_to_sparse;
        sum->coeffs_to_slots += s->times[i].coeffs_to_slots;
        sum->eval_mod += s->times[i].eval_mod;
    }
}

double nn_stage_times_sum(const nn_stage_times *t)
{
    return t->activation + t->convolution + t->slots_to_coeffs + t->switch_to_sparse +
           t->coeffs_to_slots + t->eval_mod;
}
