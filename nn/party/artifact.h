/* SPDX-License-Identifier: Apache-2.0 */
/* What nn/ puts into containers: the description of a client, a model, a plan, and the network's
 * id. Internal to nn/.
 *
 *     client file        CLNT
 *     secret key         CLNT, then ckks_secret_key_write
 *     evaluation keys    NETW, then ckks_eval_keys_write
 *     picture            NETW, then ckks_ciphertext_write for each of its ciphertexts
 *     result             NETW, then ckks_ciphertext_write
 *     compiled network   CLNT, MODL, for every node NODE and its numbers (WGHT, SPRS), PLAN */
#ifndef NN_ARTIFACT_H
#define NN_ARTIFACT_H

#include "ckks/ckks.h"
#include "nn/graph/model.h"
#include "nn/party/bytes.h"
#include "nn/party/client.h"

/* A client as the bytes of its chunk. */
typedef struct nn_description {
    unsigned char *bytes;
    size_t length;
    uint64_t network; /* XXH3-64 of the bytes: the id of the network */
} nn_description;

/* `model_hash`: of the network's weights. */
fhola_status nn_description_make(nn_description *out, const nn_client *client,
                                 const ckks_params *params, uint64_t model_hash) FHOLA_WARN_UNUSED;
/* `context` is one for the reader's parameters. Checks everything; *client is empty after a
 * failure. */
fhola_status nn_description_read(nn_description *out, nn_client *client,
                                 const ckks_context *context,
                                 ckks_reader *reader) FHOLA_WARN_UNUSED;
fhola_status nn_description_write(ckks_writer *writer,
                                  const nn_description *description) FHOLA_WARN_UNUSED;
void nn_description_clear(nn_description *description);

#define NN_NETWORK_ID_BYTES 40u /* of the chunk that nn_network_id_write writes */
/* KEY unless the chunk that comes next says `network`. */
fhola_status nn_network_id_check(ckks_reader *reader, uint64_t network) FHOLA_WARN_UNUSED;

fhola_status nn_take_normalisation(double mean[3], double std[3], nn_cursor *c,
                                   const ckks_reader *r) FHOLA_WARN_UNUSED;
/* 2 to NN_MAX_CLASSES names; array and names belong to the caller. */
fhola_status nn_take_class_names(char ***name, nn_cursor *c, const ckks_reader *r,
                                 size_t count) FHOLA_WARN_UNUSED;

fhola_status nn_model_write(ckks_writer *writer, const nn_model *model) FHOLA_WARN_UNUSED;
fhola_status nn_model_read(nn_model **model, ckks_reader *reader) FHOLA_WARN_UNUSED;
fhola_status nn_plan_write(ckks_writer *writer, const nn_plan *plan) FHOLA_WARN_UNUSED;
fhola_status nn_plan_read(nn_plan **plan, const nn_model *model,
                          ckks_reader *reader) FHOLA_WARN_UNUSED;

#endif
