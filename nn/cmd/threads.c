/* SPDX-License-Identifier: Apache-2.0 */
/* How many threads there are, and how they wait for each other. */
#define _POSIX_C_SOURCE 200809L
#include "nn/cmd/threads.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef _OPENMP
#include <omp.h>
#endif

#define PATH_ROOM 4096u

/* ---- control groups ---- */

/* The first two words of a small file; false if it has not got that many. */
static bool read_words(const char *path, char words[2][32], int count)
{
    FILE *file = fopen(path, "re");
    if (!file) return false;
    int got =
        count == 2 ? fscanf(file, "%31s %31s", words[0], words[1]) : fscanf(file, "%31s", words[0]);
    fclose(file);
    return got == count;
}

/* quota / period; infinite where there is no quota. */
static double share(const char *quota, const char *period)
{
    double q = strtod(quota, NULL), p = strtod(period, NULL);
    return q > 0 && p > 0 ? q / p : (double)INFINITY;
}

/* What one folder of version 2 (one file) or of version 1 (two files) allows. */
static double limit_of_group(const char *folder, bool unified)
{
    char path[PATH_ROOM + 32], words[2][32], period[2][32];
    if (unified) {
        snprintf(path, sizeof path, "%s/cpu.max", folder);
        return read_words(path, words, 2) ? share(words[0], words[1]) : (double)INFINITY;
    }
    snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", folder);
    if (!read_words(path, words, 1)) return (double)INFINITY;
    snprintf(path, sizeof path, "%s/cpu.cfs_period_us", folder);
    return read_words(path, period, 1) ? share(words[0], period[0]) : (double)INFINITY;
}

/* Bytes of memory one folder allows. Version 1 knows no word for any. */
static double memory_of_group(const char *folder, bool unified)
{
    char path[PATH_ROOM + 32], words[2][32];
    snprintf(path, sizeof path, "%s/%s", folder, unified ? "memory.max" : "memory.limit_in_bytes");
    double bytes = read_words(path, words, 1) ? strtod(words[0], NULL) : 0;
    return bytes > 0 ? bytes : (double)INFINITY;
}

/* A controller of version 1, and what a folder of it, or of version 2, allows. */
typedef struct controller {
    const char *name;
    double (*limit_of_group)(const char *folder, bool unified);
} controller;

/* The least of a group and those above it. A path of another name space, which a container may see,
 * is not there below `mount`: what counts then is `mount` itself. */
static double limit_of_path(const controller *c, const char *mount, const char *group, bool unified)
{
    char folder[PATH_ROOM];
    int length = snprintf(folder, sizeof folder, "%s%s", mount, group);
    double least = (double)INFINITY;
    if (length < 0 || (size_t)length >= sizeof folder) return least;
    while (strlen(folder) > strlen(mount)) {
        least = fmin(least, c->limit_of_group(folder, unified));
        *strrchr(folder, '/') = 0;
    }
    return fmin(least, c->limit_of_group(mount, unified));
}

static bool lists(const char *controllers, const char *name)
{
    for (const char *at = controllers; at; at = strchr(at, ',')) {
        at += *at == ',';
        size_t length = strcspn(at, ",");
        if (length == strlen(name) && strncmp(at, name, length) == 0) return true;
    }
    return false;
}

static double least_limit(const controller *c, const char *groups, const char *mount)
{
    char line[PATH_ROOM], folder[2 * PATH_ROOM];
    double least = (double)INFINITY;
    FILE *file = fopen(groups, "re");
    if (!file) return least;
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        char *controllers = strchr(line, ':');
        char *group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!group || group[1] != '/') continue;
        *controllers++ = 0;
        *group++ = 0;
        bool unified = !*controllers;
        if (!unified && !lists(controllers, c->name)) continue;
        snprintf(folder, sizeof folder, unified ? "%s" : "%s/%s", mount, controllers);
        least = fmin(least, limit_of_path(c, folder, group[1] ? group : "", unified));
    }
    fclose(file);
    return least;
}

double nn_cmd_cpu_limit(const char *groups, const char *mount)
{
    return least_limit(&(controller){"cpu", limit_of_group}, groups, mount);
}

double nn_cmd_memory_limit(const char *groups, const char *mount)
{
    return least_limit(&(controller){"memory", memory_of_group}, groups, mount);
}

/* ---- waiting ---- */

/* A thread of libgomp that waits for the others keeps its processor busy for milliseconds, by
 * default. Beside other work, or under a quota, that is time which the others lack: a picture then
 * takes ten times as long. Some ten microseconds bridge the regular gaps between two parallel
 * loops and cost nothing on a quiet machine (bench/RESULTS.md). libgomp reads this when it is
 * loaded, before main: so the program starts once more. */
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

void nn_cmd_set_threads(double threads)
{
#ifdef _OPENMP
    if (threads >= 1) omp_set_num_threads((int)threads);
#else
    (void)threads;
#endif
}

void nn_cmd_settle_threads(void)
{
#ifdef _OPENMP
    if (!getenv("OMP_NUM_THREADS")) {
        double limit = ceil(nn_cmd_cpu_limit("/proc/self/cgroup", "/sys/fs/cgroup"));
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
