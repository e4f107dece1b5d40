/* SPDX-License-Identifier: Apache-2.0 */
/* The page for browsers (nn/cmd/web): a fixed list of files, held in memory. */
#ifndef NN_CMD_SERVE_WEB_H
#define NN_CMD_SERVE_WEB_H

#include <stdbool.h>

#include "ckks/ckks.h"

typedef struct serve_web serve_web;

/* Reads the files, which must all be there. IO: they are not, or too large. */
FHOLA_WARN_UNUSED fhola_status serve_web_open(serve_web **web, const char *folder);
/* Accepts NULL. */
void serve_web_close(serve_web *web);
/* Whether the path is that of a file. NULL: there is no page. */
bool serve_web_has(const serve_web *web, const char *path);

#endif
