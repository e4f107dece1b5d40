/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L

#include "nn/base/file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "ckks/ckks.h"
#include "ckks/output.h"

#define READ_STEP ((size_t)1 << 16)

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

fhola_status nn_file_write(const char *path, const void *bytes, size_t length)
{
    ckks_output output;
    fhola_status status = ckks_output_open(&output, path, 0);
    if (status != FHOLA_OK) return status;
    size_t written = ckks_output_write(&output, bytes, length);
    status = written == length ? ckks_output_commit(&output)
                               : fhola_fail(FHOLA_IO, "%s: writing at byte %zu: %s", path, written,
                                            errno ? strerror(errno) : "short write");
    ckks_output_clear(&output);
    return status;
}
