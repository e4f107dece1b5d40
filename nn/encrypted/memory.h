/* SPDX-License-Identifier: Apache-2.0 */
/* How the diagonals of a network's linear maps share the memory there is. Internal to nn/. */
#ifndef NN_MEMORY_H
#define NN_MEMORY_H

#include "ckks/ckks.h"
#include "nn/encrypted/schedule.h"

/* Room for the diagonals that are not placed yet. */
typedef struct nn_room {
    uint64_t left;
    uint64_t ahead; /* what they take as coefficients of 32 bits */
} nn_room;

/* alone: another schedule whose maps share the room, or NULL. */
nn_room nn_room_make(const nn_schedule *schedule, const nn_schedule *alone, uint64_t bytes);
/* Where the next linear map's diagonals go, over `limbs` primes: the first ones that leave room for
 * all others as coefficients are kept ready. Maps come in any order, each once. */
ckks_lintrans_store nn_room_place(nn_room *room, const nn_linear *linear, unsigned limbs);

#endif
