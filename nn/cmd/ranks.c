/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "nn/cmd/ranks.h"

#include <stdlib.h>

#ifdef HAVE_MPI
#include "nn/cmd/mpi/messages.h"
#endif

/* Open MPI's, for every process it starts. */
#define RANKS_VARIABLE "OMPI_COMM_WORLD_SIZE"

static int own, count = 1;

bool nn_ranks_started(void)
{
    return getenv(RANKS_VARIABLE) != NULL;
}

int nn_ranks_own(void)
{
    return own;
}

int nn_ranks_count(void)
{
    return count;
}

fhola_status nn_ranks_begin(void)
{
    const char *ranks = getenv(RANKS_VARIABLE);
    if (!ranks || atoi(ranks) <= 1) return FHOLA_OK;
#ifdef HAVE_MPI
    FHOLA_TRY(nn_mpi_begin(&own, &count));
    if (own != 0) nn_cmd_be_quiet();
    return FHOLA_OK;
#else
    return fhola_fail(FHOLA_PARAM,
                      "mpirun has started %s processes, but this program was built without MPI "
                      "(configure --with-mpi)",
                      ranks);
#endif
}

#ifndef HAVE_MPI
fhola_status nn_ranks_infer(infer_job *job)
{
    (void)job;
    return fhola_fail(FHOLA_PARAM, "this program was built without MPI");
}
#endif

/* A signal ends its process at once, and mpirun then ends the others: nobody would answer those who
 * take leave. */
int nn_ranks_finish(const char *command, fhola_status status)
{
    if (own != 0 && status != FHOLA_OK) nn_cmd_raise_caught();
    int code = own == 0 ? nn_cmd_finish_caught(command, status) : 0;
#ifdef HAVE_MPI
    if (count > 1) nn_mpi_end();
#endif
    return code;
}
