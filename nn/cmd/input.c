/* SPDX-License-Identifier: Apache-2.0 */
/* Whole files as bytes in memory: opened once and read to the end, so that a pipe will do. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ckks/ckks.h"
#include "nn/cmd/cmd.h"

#define STEP         ((size_t)1 << 16)
#define MAX_DOCUMENT ((size_t)1 << 26)

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

/* The first bytes of a stream. */
typedef struct look {
    unsigned char byte[CKKS_LOOK_BYTES];
    size_t length;
} look;

/* All that is left of a stream, behind the bytes that have been looked at. */
static fhola_status read_all(unsigned char **bytes, size_t *length, FILE *file, const char *name,
                             size_t limit, const look *first)
{
    size_t used = first->length, capacity = 0, got = 1;
    unsigned char *buffer = grow(NULL, 0, &capacity);
    if (buffer) memcpy(buffer, first->byte, used);
    while (buffer && got > 0 && used <= limit) {
        errno = 0;
        got = fread(buffer + used, 1, capacity - used, file);
        used += got;
        if (used == capacity) buffer = grow(buffer, used, &capacity);
    }
    if (!buffer) return fhola_fail(FHOLA_NOMEM, "%s: no memory for %zu bytes", name, capacity);
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

/* ---- files and standard input ---- */

static bool is_standard(const char *path)
{
    return strcmp(path, "-") == 0;
}

const char *nn_cmd_input_name(const char *path)
{
    return is_standard(path) ? "standard input" : path;
}

fhola_status nn_cmd_take_standard_input(void)
{
    static bool taken;
    if (taken) return fhola_fail(FHOLA_PARAM, "standard input can be read only once");
    taken = true;
    if (isatty(STDIN_FILENO))
        return fhola_fail(FHOLA_PARAM,
                          "ciphertexts, keys and the like are not typed at a terminal: use a pipe "
                          "or name a FILE");
    return FHOLA_OK;
}

/* Without a buffer, in which a copy of a secret would stay. To be closed by close_file. */
static fhola_status open_file(FILE **file, const char *path)
{
    bool standard = is_standard(path);
    fhola_status status = standard ? nn_cmd_take_standard_input() : FHOLA_OK;
    if (status != FHOLA_OK) return status;
    *file = standard ? stdin : fopen(path, "rb");
    if (!*file) return fhola_fail(FHOLA_IO, "%s: %s", path, strerror(errno));
    (void)setvbuf(*file, NULL, _IONBF, 0);
    return FHOLA_OK;
}

static void close_file(FILE *file)
{
    if (file && file != stdin) (void)fclose(file);
}

fhola_status nn_cmd_read_input(unsigned char **bytes, size_t *length, const char *path,
                               size_t limit)
{
    FILE *file = NULL;
    fhola_status status = open_file(&file, path);
    if (status == FHOLA_OK)
        status =
            read_all(bytes, length, file, nn_cmd_input_name(path), limit, &(look){.length = 0});
    close_file(file);
    return status;
}

void nn_cmd_free_input(unsigned char *bytes, size_t length)
{
    if (bytes) ckks_wipe(bytes, length);
    free(bytes);
}

/* ---- one of several kinds ---- */

fhola_status nn_cmd_source_open(nn_cmd_source *source, const char *path, size_t limit)
{
    *source = (nn_cmd_source){.name = nn_cmd_input_name(path)};
    fhola_status status = open_file(&source->file, path);
    if (status != FHOLA_OK) return status;
    look first;
    errno = 0;
    first.length = fread(first.byte, 1, sizeof first.byte, source->file);
    if (ferror(source->file)) return fhola_fail(FHOLA_IO, "%s: %s", source->name, strerror(errno));
    if (!ckks_is_container(first.byte, first.length))
        return read_all(&source->bytes, &source->length, source->file, source->name, limit, &first);
    status = ckks_reader_create(&source->reader, source->file, source->name);
    if (status == FHOLA_OK) ckks_reader_unread(source->reader, first.byte, first.length);
    return status;
}

void nn_cmd_source_close(nn_cmd_source *source)
{
    ckks_reader_destroy(source->reader);
    nn_cmd_free_input(source->bytes, source->length);
    close_file(source->file);
    *source = (nn_cmd_source){0};
}

/* ---- of a known kind ---- */

fhola_status nn_cmd_load_plan(nn_plan **plan, const char *path, const nn_model *model)
{
    unsigned char *bytes;
    size_t length;
    fhola_status status = nn_cmd_read_input(&bytes, &length, path, MAX_DOCUMENT);
    if (status != FHOLA_OK) return status;
    status = nn_plan_decode(plan, bytes, length, nn_cmd_input_name(path), model);
    nn_cmd_free_input(bytes, length);
    return status;
}

fhola_status nn_cmd_load_profile(nn_profile **profile, const char *path, const nn_model *model)
{
    unsigned char *bytes;
    size_t length;
    fhola_status status = nn_cmd_read_input(&bytes, &length, path, MAX_DOCUMENT);
    if (status != FHOLA_OK) return status;
    status = nn_profile_decode(profile, bytes, length, nn_cmd_input_name(path), model);
    nn_cmd_free_input(bytes, length);
    return status;
}

fhola_status nn_cmd_load_cost(nn_cost **cost, const char *path)
{
    unsigned char *bytes;
    size_t length;
    fhola_status status = nn_cmd_read_input(&bytes, &length, path, MAX_DOCUMENT);
    if (status != FHOLA_OK) return status;
    status = nn_cost_decode(cost, bytes, length, nn_cmd_input_name(path));
    nn_cmd_free_input(bytes, length);
    return status;
}
