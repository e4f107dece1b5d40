/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/cmd/encrypted.h"

#include <stdlib.h>

/* ---- progress ---- */

static int show_keys(void *user, size_t done, size_t total)
{
    (void)user;
    nn_cmd_progress_at("key", done, total, NULL);
    return 0;
}

static int show_step(void *user, size_t layer, nn_step step, size_t done, size_t total)
{
    const nn_cmd_encrypted *e = user;
    nn_cmd_progress_step(e->network, layer, step, done, total);
    return 0;
}

/* ---- making ready ---- */

/* Room for diagonals, from a network without any. */
static fhola_status find_room(uint64_t *room, nn_cmd_encrypted *e, const nn_cmd_network *files,
                              double gib)
{
    nn_network *bare = NULL;
    uint64_t memory = nn_cmd_memory(gib);
    *room = UINT64_MAX;
    if (!memory) return FHOLA_OK;
    FHOLA_TRY(nn_network_create(&bare, e->context, e->workspace, files->model, files->plan, 0));
    fhola_status status = nn_network_room(room, bare, e->context, memory);
    if (status == FHOLA_OK) nn_cmd_say_memory(memory, nn_network_memory(bare, e->context));
    nn_network_destroy(bare);
    return status;
}

static fhola_status start_up(nn_cmd_encrypted *e, const nn_cmd_network *files, double memory)
{
    uint64_t room;
    double start = nn_cmd_now();
    nn_cmd_progress_at("loading", 0, 1, "preparing the network");
    FHOLA_TRY(ckks_context_create(&e->context, files->params, NULL));
    FHOLA_TRY(ckks_workspace_create(&e->workspace, e->context));
    FHOLA_TRY(find_room(&room, e, files, memory));
    FHOLA_TRY(nn_network_create_within(&e->network, e->context, e->workspace, files->model,
                                       files->plan, room));
    e->startup_seconds = nn_cmd_now() - start;
    return FHOLA_OK;
}

static fhola_status generate_keys(nn_cmd_encrypted *e)
{
    double start = nn_cmd_now();
    FHOLA_TRY(ckks_rng_create(&e->rng));
    FHOLA_TRY(ckks_secret_key_create(&e->secret, e->context, e->rng));
    FHOLA_TRY(ckks_eval_keys_create(&e->keys, e->context, e->secret, nn_network_keys(e->network),
                                    e->rng, show_keys, NULL));
    e->keygen_seconds = nn_cmd_now() - start;
    return FHOLA_OK;
}

fhola_status nn_cmd_encrypted_open(nn_cmd_encrypted *e, const nn_cmd_network *files, double memory)
{
    *e = (nn_cmd_encrypted){0};
    FHOLA_TRY(start_up(e, files, memory));
    FHOLA_TRY(generate_keys(e));
    FHOLA_TRY(nn_encrypted_create(&e->in, e->context, nn_network_client(e->network)));
    FHOLA_TRY(ckks_ciphertext_create(&e->out, e->context));
    e->times = calloc(nn_network_layers(e->network) + 1, sizeof *e->times);
    return e->times ? FHOLA_OK
                    : fhola_fail(FHOLA_NOMEM, "no memory for the times of %zu layers",
                                 nn_network_layers(e->network));
}

void nn_cmd_encrypted_clear(nn_cmd_encrypted *e)
{
    free(e->times);
    nn_encrypted_destroy(e->in);
    ckks_ciphertext_destroy(e->out);
    ckks_eval_keys_destroy(e->keys);
    ckks_secret_key_destroy(e->secret);
    ckks_rng_destroy(e->rng);
    nn_network_destroy(e->network);
    ckks_workspace_destroy(e->workspace);
    ckks_context_destroy(e->context);
    *e = (nn_cmd_encrypted){0};
}

/* ---- a picture ---- */

fhola_status nn_cmd_encrypted_encrypt(nn_cmd_encrypted *e, const double *values)
{
    return nn_encrypt_picture(e->context, e->workspace, e->in, nn_network_client(e->network),
                              values, e->secret, e->rng);
}

fhola_status nn_cmd_encrypted_infer(nn_cmd_encrypted *e)
{
    nn_infer_hooks hooks = {.user = e, .progress = show_step, .times = e->times};
    for (size_t i = 0; i <= nn_network_layers(e->network); i++) e->times[i] = (nn_stage_times){0};
    double start = nn_cmd_now();
    FHOLA_TRY(nn_infer(e->context, e->workspace, e->out, e->network, e->keys, e->in, &hooks));
    e->seconds = nn_cmd_now() - start;
    return FHOLA_OK;
}

fhola_status nn_cmd_encrypted_decrypt(nn_cmd_encrypted *e, double *scores)
{
    return nn_decrypt_scores(e->context, e->workspace, scores, nn_network_client(e->network),
                             e->out, e->secret);
}
