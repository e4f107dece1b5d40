/* SPDX-License-Identifier: Apache-2.0 */
/* The client's view of a network. Internal to nn/; the functions are in nn.h. */
#ifndef NN_CLIENT_H
#define NN_CLIENT_H

#include "ckks/ckks.h"
#include "nn/encrypted/layout.h"
#include "nn/nn.h"

struct nn_client {
    double mean[3], std[3];
    double input_bound; /* the normalised picture is divided by it */
    nn_layout input;
    ckks_basis basis; /* of the encrypted picture */
    double scale;
    size_t classes;
    size_t rows; /* period of the scores in the slots */
    char **class_name;
    ckks_key_list keys;
};

/* Copies the names and the list of keys; everything else is set by the caller. */
fhola_status nn_client_init(nn_client *client, const ckks_context *context,
                            const char *const *class_name, size_t classes,
                            const ckks_key_list *keys) FHOLA_WARN_UNUSED;
void nn_client_clear(nn_client *client);

/* Primes of the scores while they are summed up, and those of the result that is sent. */
ckks_basis nn_score_basis(const ckks_params *params);
ckks_basis nn_result_basis(const ckks_params *params);

#endif
