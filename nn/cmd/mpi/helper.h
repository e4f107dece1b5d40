/* SPDX-License-Identifier: Apache-2.0 */
/* What rank 0 computes itself, in a thread beside the one that hands out pictures. Internal to
 * nn/cmd/mpi/. */
#ifndef NN_CMD_MPI_HELPER_H
#define NN_CMD_MPI_HELPER_H

#include <pthread.h>

#include "nn/cmd/mpi/batch.h"

typedef struct helper {
    nn_run *run;
    const nn_keys *keys;
    unsigned threads;
    pthread_t thread;
    bool runs;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t change;
    batch *task; /* NULL: none */
    bool done;   /* with it */
    bool leaves;
} helper;

/* To be ended in any case. */
FHOLA_WARN_UNUSED fhola_status helper_begin(helper *h, const infer_job *job);
/* A batch for one that has none. */
void helper_give(helper *h, batch *task);
/* The batch that is done since it was asked last; NULL: none. */
batch *helper_take(helper *h);
/* Whatever it does. */
void helper_end(helper *h);

#endif
