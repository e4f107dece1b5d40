/* SPDX-License-Identifier: Apache-2.0 */
/* Both parties in one process: keys, encryption, inference, decryption. Internal to the program. */
#ifndef NN_CMD_ENCRYPTED_H
#define NN_CMD_ENCRYPTED_H

#include "nn/cmd/cmd.h"

typedef struct nn_cmd_encrypted {
    ckks_context *context;
    ckks_workspace *workspace;
    nn_network *network;
    ckks_rng *rng;
    ckks_secret_key *secret;
    ckks_eval_keys *keys;
    ckks_ciphertext **in, *out;
    nn_stage_times *times; /* of the last inference, per layer */
    double startup_seconds, keygen_seconds;
    double seconds; /* of the last inference */
} nn_cmd_encrypted;

/* Makes the network ready within --memory and generates keys, with progress: steps "loading" and
 * "key". `files` must live as long. To be cleared in any case. */
FHOLA_WARN_UNUSED fhola_status nn_cmd_encrypted_open(nn_cmd_encrypted *e,
                                                     const nn_cmd_network *files, double memory);
void nn_cmd_encrypted_clear(nn_cmd_encrypted *e);

/* A picture on its way, one after the other; the step of progress is "layers". */
FHOLA_WARN_UNUSED fhola_status nn_cmd_encrypted_encrypt(nn_cmd_encrypted *e, const double *values);
FHOLA_WARN_UNUSED fhola_status nn_cmd_encrypted_infer(nn_cmd_encrypted *e);
/* A score for each class. */
FHOLA_WARN_UNUSED fhola_status nn_cmd_encrypted_decrypt(nn_cmd_encrypted *e, double *scores);

#endif
