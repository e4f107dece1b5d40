/* SPDX-License-Identifier: Apache-2.0 */
/* How many threads there are, and how they wait for each other. */
#define _POSIX_C_SOURCE 200809L
#include "nn/cmd/threads.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#ifdef _OPENMP
#include <omp.h>
#endif

#include "nn/cmd/cgroup.h"

#define PATH_ROOM 4096u

/* ---- waiting ---- */

/* A thread of libgomp that waits for the others keeps its processor busy for milliseconds, by
 * default. Beside other work, or under a quota, that is time which the others lack: a picture then
 * takes ten times as long. Some ten microseconds bridge the regular gaps between two parallel
 * loops and cost nothing on a quiet machine (bench/archive/2026-11.md). libgomp reads this when it
 * is loaded, before main: so the program starts once more. */
#define SPIN_COUNT "3000"

void nn_cmd_wait_politely(char **argv)
{
#if defined(_OPENMP) && defined(__GNUC__) && !defined(__clang__)
    if (getenv("OMP_WAIT_POLICY") || getenv("GOMP_SPINCOUNT")) return;
    char self[PATH_ROOM];
    /* not the link itself, which is the emulator's own program under qemu */
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    if (length <= 0 || setenv("GOMP_SPINCOUNT", SPIN_COUNT, 1) != 0) return;
    self[length] = 0;
    execv(self, argv); /* where that fails the program goes on as it is */
#else
    (void)argv;
#endif
}

/* ---- their number ---- */

static bool was_said; /* with --threads */

void nn_cmd_set_threads(double threads)
{
    if (threads < 1) return;
    was_said = true;
#ifdef _OPENMP
    omp_set_num_threads((int)threads);
#endif
}

unsigned nn_cmd_share_threads(unsigned processes)
{
#ifdef _OPENMP
    double there = fmin(ceil(nn_cmd_cpu_limit(NN_CMD_CGROUPS, NN_CMD_CGROUP_MOUNT)),
                        (double)sysconf(_SC_NPROCESSORS_ONLN));
    if (was_said || getenv("OMP_NUM_THREADS")) return 0;
    int share = (int)fmax(1, floor(there / processes));
    if (share < omp_get_max_threads()) omp_set_num_threads(share);
    return (unsigned)share;
#else
    (void)processes;
    return 0;
#endif
}

void nn_cmd_settle_threads(void)
{
#ifdef _OPENMP
    if (!getenv("OMP_NUM_THREADS")) {
        double limit = ceil(nn_cmd_cpu_limit(NN_CMD_CGROUPS, NN_CMD_CGROUP_MOUNT));
        if (limit < omp_get_max_threads()) omp_set_num_threads((int)limit);
    }
    if (omp_get_max_threads() <= NN_CMD_MAX_THREADS) return;
    fprintf(stderr, "fhola: OMP_NUM_THREADS asks for %d threads, there will be %d\n",
            omp_get_max_threads(), NN_CMD_MAX_THREADS);
    omp_set_num_threads(NN_CMD_MAX_THREADS);
#endif
}

unsigned nn_cmd_threads(void)
{
#ifdef _OPENMP
    return (unsigned)omp_get_max_threads();
#else
    return 1;
#endif
}
