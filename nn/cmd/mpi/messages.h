/* SPDX-License-Identifier: Apache-2.0 */
/* What ranks say to each other, over MPI, which only the main thread of each may use. Waiting takes
 * no processor time, and ends when a signal has come (CANCELLED). Internal to nn/cmd/mpi/. */
#ifndef NN_CMD_MPI_MESSAGES_H
#define NN_CMD_MPI_MESSAGES_H

#include <stdint.h>

#include "nn/cmd/stream.h"

FHOLA_WARN_UNUSED fhola_status nn_mpi_begin(int *own, int *count);
/* When nobody waits for a message any more. */
void nn_mpi_end(void);

/* Of the ranks on this machine, how many there are, and the place of this one among them. */
int nn_mpi_here(void);
int nn_mpi_place(void);

/* All ranks call it: OK on each if all are. Otherwise rank 0 gets the status of the first one that
 * failed, with its name, and the others CANCELLED. */
FHOLA_WARN_UNUSED fhola_status nn_mpi_agree(fhola_status status);

/* All ranks of this machine call it. Memory that all of them see and place 0 may write, from a
 * multiple of 64 on, until nn_mpi_end; NULL for all of them: there is none. */
void *nn_mpi_share(uint64_t bytes);
/* The same: the number that place 0 has, as soon as it has it. */
void nn_mpi_tell(uint64_t *number);

typedef enum nn_mpi_kind {
    NN_MPI_BATCH = 1, /* from rank 0: pictures to be computed */
    NN_MPI_RESULTS,   /* to rank 0: of the batch that it got */
    NN_MPI_FAILURE,   /* in place of these: the detail of a status */
    NN_MPI_STOP,      /* from rank 0: whatever it does */
    NN_MPI_LEAVE      /* to rank 0: the last message */
} nn_mpi_kind;

typedef struct nn_mpi_message {
    nn_mpi_kind kind;
    int rank;       /* who it goes to, or comes from */
    uint64_t first; /* of a batch: number of its first picture */
    uint64_t count; /* of results */
    double seconds; /* that they took */
    int32_t status; /* of a failure */
    unsigned char *bytes;
    size_t length;
} nn_mpi_message;

FHOLA_WARN_UNUSED fhola_status nn_mpi_send(const nn_mpi_message *message);
/* *came: whether one was there. Its bytes are to be freed. */
FHOLA_WARN_UNUSED fhola_status nn_mpi_look(nn_mpi_message *message, bool *came);
/* Waits for one. */
FHOLA_WARN_UNUSED fhola_status nn_mpi_receive(nn_mpi_message *message);
/* Whether NN_MPI_STOP is there to be received. */
bool nn_mpi_is_stopped(void);
/* Sleeps for a moment. */
void nn_mpi_nap(void);

const char *
nn_mpi_name(int rank); /* "rank 2 on HOST", of all ranks on rank 0; until the next call */

#endif
