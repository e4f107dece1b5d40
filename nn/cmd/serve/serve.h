/* SPDX-License-Identifier: Apache-2.0 */
/* fhola serve, where libmicrohttpd is there. */
#ifndef NN_CMD_SERVE_SERVE_H
#define NN_CMD_SERVE_SERVE_H

#include <stdbool.h>
#include <stddef.h>

#include "ckks/ckks.h"

typedef struct serve_options {
    const char *keys, *tokens, *listen, *certificate, *key;
    const char *web;          /* folder of the page; NULL: the usual one, if it is there; "none" */
    double memory, cache;     /* GiB; cache NaN: not given */
    double disk, client_disk; /* GiB, 0: no limit */
    double queue, request;    /* pictures; MiB of one request */
    double rate;              /* pictures a minute; 0: no limit */
    double connections, of_address, timeout, expire;
    double sanitize, error; /* sanitize NaN: not at all */
} serve_options;

/* Serves the networks, each as serve_networks_open takes it, until a signal ends it. */
FHOLA_WARN_UNUSED fhola_status serve_run(const serve_options *options, char *const networks[],
                                         size_t count);

#endif
