/* SPDX-License-Identifier: Apache-2.0 */
/* The networks that are served, by name. Each is ready to run and does not change any more; another
 * one takes its place when its file is read anew. */
#ifndef NN_CMD_SERVE_NETWORKS_H
#define NN_CMD_SERVE_NETWORKS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "nn/nn.h"

#define SERVE_NETWORK_ROOM 65u /* of a name: letters, digits, '-', '_' and '.' */

/* A network is there as long as anybody has it: its place among those served, a request, keys that
 * were read for it. */
typedef struct serve_network {
    atomic_uint holders;
    atomic_bool retired; /* another one has its place */
    const char *name;
    nn_server *server;
    nn_run *run;  /* the worker's */
    char *client; /* the client file */
    size_t client_length;
    uint64_t memory; /* bytes that it was given, as nn_server_limit_memory takes them */
} serve_network;

serve_network *serve_network_retain(serve_network *network);
void serve_network_release(serve_network *network); /* accepts NULL */

typedef struct serve_networks serve_networks;

/* What networks have in common. */
typedef struct serve_terms {
    uint64_t memory;        /* bytes, of all of them; 0: any number */
    double sanitize, error; /* of nn_run_sanitize; sanitize NaN: results are as they are */
} serve_terms;

/* Each operand is a compiled network, as nn_cmd_open_server takes it, or NAME= and one; without a
 * name it is called as its file is, without .fhola. FHOLA_PARAM: a name twice, or one that is none;
 * errors of nn_server_read. */
FHOLA_WARN_UNUSED fhola_status serve_networks_open(serve_networks **networks,
                                                   char *const operands[], size_t count);
void serve_networks_close(serve_networks *networks); /* accepts NULL */
/* Encodes the weights. FHOLA_NOMEM, saying how much is needed; errors of nn_run_sanitize. */
FHOLA_WARN_UNUSED fhola_status serve_networks_prepare(serve_networks *networks, serve_terms terms);

size_t serve_networks_count(const serve_networks *networks);
const char *serve_networks_name(const serve_networks *networks, size_t index);
/* The network that has that place now, to be released; NULL: no such name. The first one is that
 * of those who name none (""). */
serve_network *serve_networks_take(serve_networks *networks, const char *name);

/* A network is retired: keys that were read for it are of no more use. */
typedef void (*serve_retire_fn)(void *arg, const serve_network *network);

/* Reads the files that have changed since they were read; each network that is whole and ready
 * takes its place, while the old one goes on for those who have it. One that fails changes nothing.
 * Says in the log what happened. How many failed. One thread at a time. */
size_t serve_networks_exchange(serve_networks *networks, serve_retire_fn retire, void *arg);

/* A serve_accept_fn: whether evaluation keys are of use to one of the networks; `arg` is a
 * serve_networks. FHOLA_KEY and others, as nn_keys_read. */
fhola_status serve_networks_accept(void *arg, FILE *keys);

#endif
