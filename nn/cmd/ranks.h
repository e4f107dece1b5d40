/* SPDX-License-Identifier: Apache-2.0 */
/* The processes that mpirun has started together, the ranks of a job; rank 0 speaks for all. A
 * program that mpirun has not started is a job of one. Internal to the program. */
#ifndef NN_CMD_RANKS_H
#define NN_CMD_RANKS_H

#include "nn/cmd/infer.h"

/* Whether mpirun has started this process. It then stands between standard output and wherever that
 * goes, as a terminal. */
bool nn_ranks_started(void);

/* Joins the other ranks, after nn_cmd_catch_signals and the options: from now on only rank 0 says
 * anything. PARAM: there are others, but the program was built without MPI. */
FHOLA_WARN_UNUSED fhola_status nn_ranks_begin(void);
int nn_ranks_own(void); /* number of this one */
int nn_ranks_count(void);

/* The pictures of a job on all its ranks; rank 0 has the streams. What went wrong anywhere is the
 * status of rank 0, the others' is OK, or CANCELLED after a signal. */
FHOLA_WARN_UNUSED fhola_status nn_ranks_infer(infer_job *job);

/* Leaves the other ranks. Takes the place of nn_cmd_finish_caught; the exit code of a job is that
 * of rank 0. */
int nn_ranks_finish(const char *command, fhola_status status);

#endif
