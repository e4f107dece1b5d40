/* SPDX-License-Identifier: Apache-2.0 */
/* Whose turn it is: start-time fair queueing (Goyal, Vin, Cheng, "Start-time fair queueing", 1996)
 * with pictures of equal cost. Who was served stands behind those who wait, and who comes anew, or
 * back, does not pass them. */
#ifndef NN_CMD_SERVE_TURNS_H
#define NN_CMD_SERVE_TURNS_H

#include "nn/cmd/serve/store.h"

/* Owners served since the virtual time last moved; beyond that one of them is forgotten and may
 * come a turn early. */
#define SERVE_TURNS 256u

typedef struct serve_turn {
    char owner[SERVE_OWNER_ROOM];
    uint64_t start; /* virtual time of his next picture */
} serve_turn;

typedef struct serve_turns {
    serve_turn turn[SERVE_TURNS]; /* later ones than now */
    size_t count;
    uint64_t now;
} serve_turns; /* zeroed: nobody was served */

/* The owner with the smallest one is next; of several, who came first. */
uint64_t serve_turns_of(const serve_turns *turns, const char *owner);
/* A picture of the owner is worked on. */
void serve_turns_serve(serve_turns *turns, const char *owner);

#endif
