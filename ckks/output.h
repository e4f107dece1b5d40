/* SPDX-License-Identifier: Apache-2.0 */
/* Files that come into being whole: written without a name where the system can (O_TMPFILE), else
 * under a temporary one beside their place, and put there at the end. Internal. */
#ifndef CKKS_OUTPUT_H
#define CKKS_OUTPUT_H

#include <stddef.h>
#include <stdint.h>

#include "status.h"

#define CKKS_OUTPUT_OWNER_ONLY 1u /* mode 0600 from the start */
#define CKKS_OUTPUT_NEW        2u /* never replaces a file */
#define CKKS_OUTPUT_LOCK       4u /* locks the folder until it is cleared */
#define CKKS_OUTPUT_NAMED      8u /* a temporary name from the start: tests only */

typedef struct ckks_output {
    char *name;     /* for messages */
    int descriptor; /* -1: none; never 0, 1 or 2 */
    int folder;     /* of the place; -1: a device or a pipe, which is written directly */
    char *place;    /* name in the folder */
    /* name in the folder: of what is written, or of what must give way to it; "": none */
    char temporary[256];
    unsigned flags;
} ckks_output;

/* Follows symbolic links, also to what is not there yet. On failure the output is cleared. PARAM:
 * CKKS_OUTPUT_NEW, and there is one. IO: cannot be made, or the folder is locked by another
 * output. */
fhola_status ckks_output_open(ckks_output *output, const char *path,
                              unsigned flags) FHOLA_WARN_UNUSED;
/* The bytes written; fewer than `length`: errno says why (0: nobody does). */
size_t ckks_output_write(const ckks_output *output, const void *bytes, size_t length);
/* Makes the bytes durable, then gives them their place, and makes that durable. On failure what was
 * there is there. */
fhola_status ckks_output_commit(ckks_output *output) FHOLA_WARN_UNUSED;
/* Commits both or none. */
fhola_status ckks_output_commit_both(ckks_output *first, ckks_output *second) FHOLA_WARN_UNUSED;
/* What was not committed is gone. Accepts one that was zeroed or cleared. */
void ckks_output_clear(ckks_output *output);

/* Device and inode of what the output replaces; 0: nothing is there. */
void ckks_output_replaces(const ckks_output *output, uint64_t *device, uint64_t *inode);

#endif
