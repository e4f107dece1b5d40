/* SPDX-License-Identifier: Apache-2.0 */
/* No output of a command is one of its inputs, under whatever name. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ckks/ckks.h"
#include "nn/cmd/cmd.h"

#define MAX_OUTPUTS 4u

/* Of the command that runs. */
static const char *claimed[MAX_OUTPUTS];
static size_t claims;

static bool same_inode(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Devices and pipes may well be read and written. */
static bool is_same_file(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && S_ISREG(x.st_mode) && same_inode(&x, &y);
}

bool nn_cmd_goes_to_standard_output(const char *path)
{
    struct stat x, y;
    return stat(path, &x) == 0 && fstat(STDOUT_FILENO, &y) == 0 && S_ISREG(x.st_mode) &&
           same_inode(&x, &y);
}

fhola_status nn_cmd_claim_output(const char *path)
{
    for (size_t i = 0; i < claims; i++)
        if (strcmp(path, claimed[i]) == 0 || is_same_file(path, claimed[i]))
            return fhola_fail(FHOLA_PARAM, "%s and %s are one file, two were to be written", path,
                              claimed[i]);
    if (claims < MAX_OUTPUTS) claimed[claims++] = path;
    return FHOLA_OK;
}

fhola_status nn_cmd_check_input(const char *path)
{
    for (size_t i = 0; i < claims; i++)
        if (is_same_file(path, claimed[i]))
            return fhola_fail(FHOLA_PARAM, "%s is read, and would be overwritten by the output %s",
                              path, claimed[i]);
    if (nn_cmd_goes_to_standard_output(path))
        return fhola_fail(FHOLA_PARAM, "%s is read, and standard output goes into it", path);
    return FHOLA_OK;
}

fhola_status nn_cmd_check_output(const char *path)
{
    struct stat info;
    ckks_writer *trial = NULL;
    if (!path) return FHOLA_OK;
    if (stat(path, &info) == 0 && !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode))
        return access(path, W_OK) == 0 ? FHOLA_OK
                                       : fhola_fail(FHOLA_IO, "%s: %s", path, strerror(errno));
    fhola_status status = ckks_writer_open(&trial, path, 0);
    ckks_writer_destroy(trial);
    return status;
}
