/* SPDX-License-Identifier: Apache-2.0 */
#define _XOPEN_SOURCE 700

#include "nn/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_STEP ((size_t)1 << 16)

/* Reads to the end of the stream. The buffer grows with what really arrives, never with what a
 * header promises. */
static fhola_status read_stream(unsigned char **bytes, size_t *length, FILE *stream,
                                const char *path, size_t limit)
{
    unsigned char *buffer = NULL;
    size_t used = 0, capacity = 0;
    for (;;) {
        if (capacity - used < READ_STEP) {
            capacity = capacity ? 2 * capacity : 2 * READ_STEP;
            unsigned char *larger = realloc(buffer, capacity);
            if (!larger) {
                free(buffer);
                return fhola_fail(FHOLA_NOMEM, "%s: no memory for %zu bytes", path, capacity);
            }
            buffer = larger;
        }
        size_t got = fread(buffer + used, 1, capacity - used - 1, stream);
        used += got;
        if (used > limit) {
            free(buffer);
            return fhola_fail(FHOLA_FORMAT,
                              "%s: longer than %zu bytes, the most such a file may have", path,
                              limit);
        }
        if (got == 0) break;
    }
    if (ferror(stream)) {
        free(buffer);
        return fhola_fail(FHOLA_IO, "%s: %s", path, strerror(errno));
    }
    buffer[used] = 0;
    *bytes = buffer;
    *length = used;
    return FHOLA_OK;
}

fhola_status nn_file_read(unsigned char **bytes, size_t *length, const char *path, size_t limit)
{
    FILE *stream = fopen(path, "rb");
    if (!stream) return fhola_fail(FHOLA_IO, "%s: %s", path, strerror(errno));
    struct stat info;
    if (fstat(fileno(stream), &info) == 0 && S_ISDIR(info.st_mode)) {
        fclose(stream);
        return fhola_fail(FHOLA_IO, "%s: %s", path, strerror(EISDIR));
    }
    fhola_status status = read_stream(bytes, length, stream, path, limit);
    fclose(stream);
    return status;
}

static fhola_status write_all(int descriptor, const unsigned char *bytes, size_t length,
                              const char *path)
{
    while (length > 0) {
        ssize_t written = write(descriptor, bytes, length);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return fhola_fail(FHOLA_IO, "%s: %s", path, strerror(errno));
        bytes += written;
        length -= (size_t)written;
    }
    return FHOLA_OK;
}

/* A device or a pipe gets the bytes directly. */
static fhola_status write_directly(const char *path, const void *bytes, size_t length)
{
    int descriptor = open(path, O_WRONLY | O_CLOEXEC);
    if (descriptor < 0) return fhola_fail(FHOLA_IO, "%s: %s", path, strerror(errno));
    fhola_status status = write_all(descriptor, bytes, length, path);
    if (close(descriptor) != 0 && status == FHOLA_OK)
        status = fhola_fail(FHOLA_IO, "%s: %s", path, strerror(errno));
    return status;
}

/* Writes a file beside `target`, which then takes its place. `path` is for messages. */
static fhola_status replace(const char *target, const void *bytes, size_t length, const char *path)
{
    size_t room = strlen(target) + 40;
    char *temporary = malloc(room);
    if (!temporary) return fhola_fail(FHOLA_NOMEM, "%s: no memory for a file name", path);
    int descriptor = -1;
    for (unsigned attempt = 0; attempt < 100 && descriptor < 0; attempt++) {
        snprintf(temporary, room, "%s.%ld-%u.tmp", target, (long)getpid(), attempt);
        descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (descriptor < 0 && errno != EEXIST) break;
    }
    if (descriptor < 0) {
        fhola_status status = fhola_fail(FHOLA_IO, "%s: %s", path, strerror(errno));
        free(temporary);
        return status;
    }
    fhola_status status = write_all(descriptor, bytes, length, path);
    if (status == FHOLA_OK && fsync(descriptor) != 0)
        status = fhola_fail(FHOLA_IO, "%s: %s", path, strerror(errno));
    if (close(descriptor) != 0 && status == FHOLA_OK)
        status = fhola_fail(FHOLA_IO, "%s: %s", path, strerror(errno));
    if (status == FHOLA_OK && rename(temporary, target) != 0)
        status = fhola_fail(FHOLA_IO, "%s: %s", path, strerror(errno));
    if (status != FHOLA_OK) unlink(temporary);
    free(temporary);
    return status;
}

fhola_status nn_file_write(const char *path, const void *bytes, size_t length)
{
    struct stat info;
    bool there = stat(path, &info) == 0;
    if (there && S_ISDIR(info.st_mode))
        return fhola_fail(FHOLA_IO, "%s: %s", path, strerror(EISDIR));
    if (there && !S_ISREG(info.st_mode)) return write_directly(path, bytes, length);
    char *resolved = there ? realpath(path, NULL) : NULL; /* a symbolic link stays one */
    fhola_status status = replace(resolved ? resolved : path, bytes, length, path);
    free(resolved);
    return status;
}
