/* SPDX-License-Identifier: Apache-2.0 */
/* What a server's network, a client's keys and a run of one on the other know of each other.
 * Internal to nn/party/. */
#ifndef NN_SERVER_H
#define NN_SERVER_H

#include <stdatomic.h>
#include <stdbool.h>

#include "ckks/ckks.h"
#include "nn/nn.h"

/* A compiled network as it is in its file. */
typedef struct nn_compiled {
    ckks_params *params;
    nn_model *model;
    nn_plan *plan;
    uint64_t id;
    unsigned pictures; /* of a batch */
    bool small_keys;
} nn_compiled;

struct nn_server {
    ckks_context *context;
    nn_network *network;
    nn_compiled source; /* of the network, until its weights are encoded and not needed any more */
    bool prepared;
    uint64_t room; /* for diagonals */
    uint64_t id;
    ckks_file_id file; /* where it was read from */
};

struct nn_keys {
    atomic_size_t holders;
    const nn_server *server; /* whose context they are for */
    ckks_eval_keys *eval;
    uint64_t key;      /* id of the secret key they belong to */
    ckks_file_id file; /* where they were read from */
};

#endif
