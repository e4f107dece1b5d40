/* SPDX-License-Identifier: Apache-2.0 */
/* Pictures that go through the network together, on their way between ranks. Internal to
 * nn/cmd/mpi/. */
#ifndef NN_CMD_MPI_BATCH_H
#define NN_CMD_MPI_BATCH_H

#include <stdint.h>

#include "nn/cmd/infer.h"

#define BATCH_DETAIL 512u

/* Bytes are those of containers, one after the other. */
typedef struct batch {
    size_t first, count; /* number of the first picture, from 1; pictures */
    unsigned char *bytes;
    size_t length;
    int rank; /* that computes it */
    bool done;
    unsigned char *results; /* if `status` is OK */
    size_t results_length;
    double seconds;
    fhola_status status;
    char detail[BATCH_DETAIL];
} batch;

void batch_clear(batch *b);

/* The next pictures of the job's stream, as many as the network computes at once; count 0: it has
 * ended. Damaged pictures are noticed here, what does not fit the network where it runs. */
FHOLA_WARN_UNUSED fhola_status batch_read(batch *b, infer_job *job, size_t first);
/* Its results are appended to the job's. */
FHOLA_WARN_UNUSED fhola_status batch_write(const batch *b, infer_job *job);

/* Computes the results, or says in the batch why there are none. */
void batch_compute(batch *b, nn_run *run, const nn_keys *keys, const nn_infer_hooks *hooks);

#endif
