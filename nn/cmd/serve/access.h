/* SPDX-License-Identifier: Apache-2.0 */
/* Whom a request comes from. With a file of tokens a client is who has one of them. Without, each
 * is given a secret of 256 bits with his first keys. Of either only a hash is kept. */
#ifndef NN_CMD_SERVE_ACCESS_H
#define NN_CMD_SERVE_ACCESS_H

#include <stdbool.h>

#include "ckks/ckks.h"
#include "nn/cmd/serve/store.h"

#define SERVE_SECRET_ROOM 65u /* hexadecimal digits, and the end */

typedef struct serve_access serve_access;

/* `path`: lines "NAME TOKEN", where NAME is an owner's and TOKEN has 16 characters or more; empty
 * ones and those that begin with # are skipped. NULL: no tokens but secrets. FHOLA_IO;
 * FHOLA_FORMAT, saying which line. */
FHOLA_WARN_UNUSED fhola_status serve_access_open(serve_access **access, const char *path);
void serve_access_close(serve_access *access); /* accepts NULL */
/* Reads the file anew, if there is one; what it said before holds on if that fails. */
FHOLA_WARN_UNUSED fhola_status serve_access_reload(serve_access *access);

bool serve_access_has_tokens(const serve_access *access);

/* The owner that the value of an Authorization header (NULL: none) stands for. False: nobody's.
 * Without tokens every well-formed secret has an owner, whom the store knows or not. */
bool serve_access_find(serve_access *access, const char *authorization,
                       char owner[SERVE_OWNER_ROOM]);

/* A new secret and its owner. */
FHOLA_WARN_UNUSED fhola_status serve_access_make(char secret[SERVE_SECRET_ROOM],
                                                 char owner[SERVE_OWNER_ROOM]);

#endif
