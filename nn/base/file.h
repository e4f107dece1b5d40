/* SPDX-License-Identifier: Apache-2.0 */
/* Whole files: bounded reads, writes that either complete or leave nothing. Internal to nn/. */
#ifndef NN_FILE_H
#define NN_FILE_H

#include <stddef.h>

#include "status.h"

/* Reads the whole file `path` of at most `limit` bytes. *bytes has length + 1 bytes, the last one
 * 0, and belongs to the caller (nn_file_free, or free where
 * nothing in it is secret). FHOLA_IO: cannot be opened or read; FHOLA_FORMAT: longer
 * than `limit`. */
fhola_status nn_file_read(unsigned char **bytes, size_t *length, const char *path,
                          size_t limit) FHOLA_WARN_UNUSED;

/* Releases what was read, wiped: it may be somebody's picture. `bytes` may be NULL. */
void nn_file_free(unsigned char *bytes, size_t length);

/* The same status; but where bytes without a signature of their own turned out to be malformed
 * (`status` is FHOLA_FORMAT), and it can be seen that a transfer as text has changed their line
 * ends, the message says that about `name`. */
fhola_status nn_file_blame_transfer(fhola_status status, const unsigned char *bytes, size_t length,
                                    const char *name) FHOLA_WARN_UNUSED;

/* Writes a file of `length` bytes, complete or not at all; through symbolic links. FHOLA_IO leaves
 * `path` as it was. A device or a pipe is written to directly. */
fhola_status nn_file_write(const char *path, const void *bytes, size_t length) FHOLA_WARN_UNUSED;

/* A small file that processes read and replace one at a time. */
typedef struct nn_locked_file {
    const char *path; /* not copied */
    int descriptor;   /* what is read, and locked (flock) */
    unsigned char *bytes;
    size_t length;
} nn_locked_file;

/* Locks `path`, waiting for whoever has it, and reads at most `limit` bytes. If there is none, it
 * is made for its owner only, with the text `initial`. FHOLA_IO: it cannot be made, opened, locked
 * or read, or is a link or no regular file; FHOLA_FORMAT: longer than `limit`. */
fhola_status nn_file_lock(nn_locked_file *file, const char *path, const char *initial,
                          size_t limit) FHOLA_WARN_UNUSED;
/* The new content is on the disk afterwards, or the old one is. Once only: the next one to lock
 * the path locks the new file. */
fhola_status nn_file_replace(const nn_locked_file *file, const char *text) FHOLA_WARN_UNUSED;
/* Also after nn_file_lock has failed. */
void nn_file_unlock(nn_locked_file *file);

#endif
