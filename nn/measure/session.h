/* SPDX-License-Identifier: Apache-2.0 */
/* Both parties of a network in one process, with the times that their steps take: keys, encryption,
 * inference, decryption. For the program and for tests: no part of the library. */
#ifndef NN_SESSION_H
#define NN_SESSION_H

#include "ckks/ckks.h"
#include "nn/nn.h"

typedef struct nn_session {
    ckks_context *context;
    ckks_workspace *workspace;
    nn_network *network;
    ckks_rng *rng;
    ckks_secret_key *secret;
    ckks_eval_keys *keys;
    ckks_ciphertext **in[NN_MAX_PICTURES], *out[NN_MAX_PICTURES]; /* of a batch */
    nn_stage_times *times; /* of the last inference: nn_network_layers + 1 */
    double startup_seconds, keygen_seconds;
    double seconds; /* of the last inference */
} nn_session;

typedef struct nn_session_options {
    /* bytes that the process may take (0: any number), and who is told what the network needs,
     * before it is made ready */
    uint64_t memory;
    void (*tell)(uint64_t memory, nn_memory needed);
    nn_count_progress keys; /* of key generation, with no user data; may be NULL */
} nn_session_options;

/* Makes the network ready and generates keys. Model and plan must outlive the session. `options`
 * may be NULL: all the memory there is. To be cleared in any case. Errors as of nn_network_create
 * and ckks_eval_keys_create; FHOLA_NOMEM also if `memory` is not enough. */
FHOLA_WARN_UNUSED fhola_status nn_session_open(nn_session *session, const ckks_params *params,
                                               const nn_model *model, const nn_plan *plan,
                                               const nn_session_options *options);
void nn_session_clear(nn_session *session); /* wipes */

/* Pictures on their way, as many as the network computes at once (nn_network_pictures) or fewer,
 * numbered from 0: one value in [0, 1] for every value of the network's shape; hooks as of nn_infer
 * (may be NULL), but for their times; a score for each class. */
FHOLA_WARN_UNUSED fhola_status nn_session_encrypt(nn_session *session, size_t number,
                                                  const double *picture);
FHOLA_WARN_UNUSED fhola_status nn_session_infer(nn_session *session, size_t count,
                                                const nn_infer_hooks *hooks);
FHOLA_WARN_UNUSED fhola_status nn_session_decrypt(nn_session *session, size_t number,
                                                  double *scores);

/* Adds the times of all layers of the last inference. */
void nn_session_add_times(nn_stage_times *sum, const nn_session *session);
/* The six together. */
double nn_stage_times_sum(const nn_stage_times *times);

#endif
