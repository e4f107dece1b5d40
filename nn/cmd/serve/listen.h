/* SPDX-License-Identifier: Apache-2.0 */
/* The socket a server will listen at. */
#ifndef NN_CMD_SERVE_LISTEN_H
#define NN_CMD_SERVE_LISTEN_H

#include "ckks/ckks.h"

#define SERVE_ADDRESS_ROOM 64u

/* `text`: ADDRESS:PORT, where an IPv6 address stands in brackets; `actual` gets the same with the
 * port that was given for port 0. FHOLA_PARAM: it is none. FHOLA_IO: it cannot be had. */
FHOLA_WARN_UNUSED fhola_status serve_bind(int *bound, char actual[SERVE_ADDRESS_ROOM],
                                          const char *text);

#endif
