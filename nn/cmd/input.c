/* SPDX-License-Identifier: Apache-2.0 */
/* Whole files as bytes in memory: opened once and read to the end, so that a pipe will do. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ckks/ckks.h"
#include "nn/cmd/cmd.h"

#define STEP ((size_t)1 << 16)

/* Twice the room, the bytes moved and wiped where they were: they may be somebody's picture. */
static unsigned char *grow(unsigned char *bytes, size_t used, size_t *capacity)
{
    size_t larger = *capacity ? 2 * *capacity : STEP;
    unsigned char *moved = malloc(larger);
    if (moved && used) memcpy(moved, bytes, used);
    if (bytes) ckks_wipe(bytes, used);
    free(bytes);
    *capacity = larger;
    return moved;
}

static fhola_status read_all(unsigned char **bytes, size_t *length, FILE *file, const char *name,
                             size_t limit)
{
    unsigned char *buffer = NULL;
    size_t used = 0, capacity = 0, got = 0;
    do {
        if (used == capacity && !(buffer = grow(buffer, used, &capacity)))
            return fhola_fail(FHOLA_NOMEM, "%s: no memory for %zu bytes", name, capacity);
        errno = 0;
        got = fread(buffer + used, 1, capacity - used, file);
        used += got;
    } while (got > 0 && used <= limit);
    fhola_status status = FHOLA_OK;
    if (ferror(file))
        status = fhola_fail(FHOLA_IO, "%s: %s", name, strerror(errno));
    else if (used > limit)
        status = fhola_fail(
            FHOLA_FORMAT, "%s: longer than %zu bytes, the most such a file may have", name, limit);
    if (status != FHOLA_OK) {
        ckks_wipe(buffer, used);
        free(buffer);
        return status;
    }
    *bytes = buffer;
    *length = used;
    return FHOLA_OK;
}

fhola_status nn_cmd_read_input(unsigned char **bytes, size_t *length, const char *path,
                               size_t limit)
{
    bool standard = strcmp(path, "-") == 0;
    FILE *file = standard ? stdin : fopen(path, "rb");
    if (!file) return fhola_fail(FHOLA_IO, "%s: %s", path, strerror(errno));
    fhola_status status = read_all(bytes, length, file, standard ? "standard input" : path, limit);
    if (!standard) (void)fclose(file);
    return status;
}
