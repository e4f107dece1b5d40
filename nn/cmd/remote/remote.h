/* SPDX-License-Identifier: Apache-2.0 */
/* fhola classify --server, where libcurl is there. */
#ifndef NN_CMD_REMOTE_REMOTE_H
#define NN_CMD_REMOTE_REMOTE_H

#include <stdbool.h>
#include <stddef.h>

#include "ckks/ckks.h"

typedef struct remote_options {
    const char *server;                          /* URL; NULL: none */
    const char *network, *keys, *token, *cacert; /* NULL: not given */
    double timeout;                              /* seconds that a server may be silent */
    bool forget;
} remote_options;

/* Has the pictures classified by the server; record -1: they are pictures, not records. */
FHOLA_WARN_UNUSED fhola_status remote_classify(const remote_options *options, double record,
                                               bool json, size_t count, char **pictures);
/* Removes the keys for that server, from it and here. */
FHOLA_WARN_UNUSED fhola_status remote_forget(const remote_options *options);

#endif
