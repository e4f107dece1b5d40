/* SPDX-License-Identifier: Apache-2.0 */
/* What encryption does to a polynomial network: 'fhola eval --encrypted'. Internal to the
 * program. */
#ifndef NN_CMD_EVAL_ENCRYPTED_H
#define NN_CMD_EVAL_ENCRYPTED_H

#include "nn/cmd/accuracy.h"
#include "nn/cmd/cmd.h"

typedef struct nn_cmd_encrypted_result {
    size_t pictures, right, agreeing; /* agreeing: with the polynomial network in the clear */
    double error, deviation;          /* of scores from its scores, of those from their mean: RMS */
    double worst;                     /* largest magnitude of an error */
    double keygen_seconds, startup_seconds, seconds; /* seconds: of a picture, on average */
} nn_cmd_encrypted_result;

/* Runs every picture of the batch encrypted, under keys of its own, and holds the scores against
 * those of `accuracy`, which are of the same batch. `memory` is that of nn_cmd_memory. The phases
 * of progress are "loading", "key" and, for each picture, "layers". */
FHOLA_WARN_UNUSED fhola_status nn_cmd_eval_encrypted(nn_cmd_encrypted_result *result,
                                                     const nn_cmd_network *files,
                                                     const nn_batch *batch,
                                                     const nn_cmd_accuracy *accuracy,
                                                     double memory);

void nn_cmd_encrypted_result_print(const nn_cmd_encrypted_result *result);
void nn_cmd_encrypted_result_json(const nn_cmd_encrypted_result *result); /* member "encrypted" */

#endif
