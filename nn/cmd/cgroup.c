/* SPDX-License-Identifier: Apache-2.0 */
/* What control groups allow a process, by version 1 and 2 of their files. */
#define _POSIX_C_SOURCE 200809L
#include "nn/cmd/cgroup.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_ROOM 4096u

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

/* Processors one folder of version 2 (one file) or of version 1 (two files) allows. */
static double cpu_of_group(const char *folder, bool unified)
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
    return least_limit(&(controller){"cpu", cpu_of_group}, groups, mount);
}

double nn_cmd_memory_limit(const char *groups, const char *mount)
{
    return least_limit(&(controller){"memory", memory_of_group}, groups, mount);
}
