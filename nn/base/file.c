/* SPDX-License-Identifier: Apache-2.0 */
#define _DEFAULT_SOURCE /* flock */

#include "nn/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ckks/ckks.h"
#include "ckks/output.h"
#include "nn/nn.h"

#define READ_STEP     ((size_t)1 << 16)
#define FEW_LINES     4  /* line ends which all are CR LF by chance with probability 2^-32 */
#define MANY_LINES    32 /* without a CR between them, by chance, with probability 2^-32 */
#define MISSING_PAIRS 8  /* CR LF where none is by chance with probability 2^-11 */

void nn_file_free(unsigned char *bytes, size_t length)
{
    if (bytes) ckks_wipe(bytes, length);
    free(bytes);
}

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
            unsigned char *larger = malloc(capacity);
            if (larger && used) memcpy(larger, buffer, used);
            nn_file_free(buffer, used);
            if (!larger)
                return fhola_fail(FHOLA_NOMEM, "%s: no memory for %zu bytes", path, capacity);
            buffer = larger;
        }
        size_t got = fread(buffer + used, 1, capacity - used - 1, stream);
        used += got;
        if (used > limit) {
            nn_file_free(buffer, used);
            return fhola_fail(FHOLA_FORMAT,
                              "%s: longer than %zu bytes, the most such a file may have", path,
                              limit);
        }
        if (got == 0) break;
    }
    if (ferror(stream)) {
        nn_file_free(buffer, used);
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
    (void)setvbuf(stream, NULL, _IONBF, 0); /* no copy of a picture stays in a buffer */
    struct stat info;
    if (fstat(fileno(stream), &info) == 0 && S_ISDIR(info.st_mode)) {
        fclose(stream);
        return fhola_fail(FHOLA_IO, "%s: %s", path, strerror(EISDIR));
    }
    fhola_status status = read_stream(bytes, length, stream, path, limit);
    fclose(stream);
    return status;
}

/* In numbers that mean anything, every 256th byte is an LF, and every 256th of those comes after a
 * CR; some transfers remove every CR. A text, which may have such line ends, has no zeros. */
static bool lines_changed(const unsigned char *bytes, size_t length)
{
    size_t cr = 0, lf = 0, pairs = 0;
    for (size_t i = 0; i < length; i++) {
        cr += bytes[i] == '\r';
        lf += bytes[i] == '\n';
        pairs += i > 0 && bytes[i] == '\n' && bytes[i - 1] == '\r';
    }
    bool added = lf >= FEW_LINES && pairs == lf,
         removed = pairs == 0 && (double)cr * (double)lf >= MISSING_PAIRS * (double)length,
         all_removed = cr == 0 && lf >= MANY_LINES && lf >= length / 1024;
    return (added || removed || all_removed) && memchr(bytes, 0, length);
}

fhola_status nn_file_blame_transfer(fhola_status status, const unsigned char *bytes, size_t length,
                                    const char *name)
{
    if (status != FHOLA_FORMAT || !lines_changed(bytes, length)) return status;
    return fhola_fail(status,
                      "%s: damaged by a transfer as text, which changes line ends: transfer it as "
                      "binary",
                      name);
}

static fhola_status write_whole(const char *path, const void *bytes, size_t length, unsigned flags)
{
    ckks_output output;
    fhola_status status = ckks_output_open(&output, path, flags);
    if (status != FHOLA_OK) return status;
    size_t written = ckks_output_write(&output, bytes, length);
    status = written == length ? ckks_output_commit(&output)
                               : fhola_fail(FHOLA_IO, "%s: writing at byte %zu: %s", path, written,
                                            errno ? strerror(errno) : "short write");
    ckks_output_clear(&output);
    return status;
}

fhola_status nn_file_write(const char *path, const void *bytes, size_t length)
{
    return write_whole(path, bytes, length, 0);
}

fhola_status nn_write_private(const char *path, const void *bytes, size_t length)
{
    return write_whole(path, bytes, length, CKKS_OUTPUT_OWNER_ONLY);
}

/* ---- one at a time ---- */

static fhola_status failed(const char *path)
{
    return fhola_fail(FHOLA_IO, "%s: %s", path, strerror(errno));
}

static fhola_status make_new(const char *path, const char *text)
{
    fhola_status status =
        write_whole(path, text, strlen(text), CKKS_OUTPUT_NEW | CKKS_OUTPUT_OWNER_ONLY);
    return status == FHOLA_PARAM ? FHOLA_OK : status; /* another process was first */
}

/* Opens and locks what has the name `path` now; *descriptor < 0: it lost the name meanwhile. */
static fhola_status lock_current(int *descriptor, const char *path)
{
    struct stat locked, named;
    *descriptor = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (*descriptor < 0) return errno == ENOENT ? FHOLA_OK : failed(path);
    fhola_status status = FHOLA_OK;
    if (fstat(*descriptor, &locked) != 0)
        status = failed(path);
    else if (!S_ISREG(locked.st_mode))
        status = fhola_fail(FHOLA_IO, "%s: not a regular file", path);
    else if (flock(*descriptor, LOCK_EX) != 0)
        status = failed(path);
    bool current = status == FHOLA_OK && lstat(path, &named) == 0 &&
                   named.st_dev == locked.st_dev && named.st_ino == locked.st_ino;
    if (current) return FHOLA_OK;
    (void)close(*descriptor);
    *descriptor = -1;
    return status;
}

static fhola_status read_locked(nn_locked_file *file, size_t limit)
{
    file->bytes = malloc(limit + 1);
    if (!file->bytes)
        return fhola_fail(FHOLA_NOMEM, "%s: no memory for %zu bytes", file->path, limit);
    for (;;) {
        ssize_t got = read(file->descriptor, file->bytes + file->length, limit + 1 - file->length);
        if (got < 0) return failed(file->path);
        file->length += (size_t)got;
        if (file->length > limit)
            return fhola_fail(FHOLA_FORMAT,
                              "%s: longer than %zu bytes, the most such a file may have",
                              file->path, limit);
        if (got == 0) return FHOLA_OK;
    }
}

fhola_status nn_file_lock(nn_locked_file *file, const char *path, const char *initial, size_t limit)
{
    *file = (nn_locked_file){.path = path, .descriptor = -1};
    fhola_status status = lock_current(&file->descriptor, path);
    while (status == FHOLA_OK && file->descriptor < 0) {
        struct stat info;
        if (lstat(path, &info) != 0) status = make_new(path, initial);
        if (status == FHOLA_OK) status = lock_current(&file->descriptor, path);
    }
    if (status == FHOLA_OK) status = read_locked(file, limit);
    if (status != FHOLA_OK) nn_file_unlock(file);
    return status;
}

fhola_status nn_file_replace(const nn_locked_file *file, const char *text)
{
    return write_whole(file->path, text, strlen(text), CKKS_OUTPUT_OWNER_ONLY);
}

void nn_file_unlock(nn_locked_file *file)
{
    if (file->descriptor >= 0) (void)close(file->descriptor);
    free(file->bytes);
    *file = (nn_locked_file){.descriptor = -1};
}
