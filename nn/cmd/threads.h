/* SPDX-License-Identifier: Apache-2.0 */
/* How many threads there are, and how they wait for each other. */
#ifndef NN_CMD_THREADS_H
#define NN_CMD_THREADS_H

/* More would be of no use, and beyond what a system lets a process have OpenMP ends the program. */
#define NN_CMD_MAX_THREADS 256

/* Makes idle threads sleep soon, unless the environment says how they wait. May start the program
 * again, as it was: to be called before anything is read or written. */
void nn_cmd_wait_politely(char **argv);

/* Sets the number of threads of OpenMP; 0 leaves it as it is. */
void nn_cmd_set_threads(double threads);
/* Unless somebody said how many: no more than the part of this machine that each of so many
 * processes has on it. Returns that part; 0: somebody did. */
unsigned nn_cmd_share_threads(unsigned processes);
/* Without OMP_NUM_THREADS no more than control groups give time to; never more than
 * NN_CMD_MAX_THREADS. */
void nn_cmd_settle_threads(void);
unsigned nn_cmd_threads(void); /* that a parallel region has from now on */

#endif
