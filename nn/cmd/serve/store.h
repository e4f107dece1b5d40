/* SPDX-License-Identifier: Apache-2.0 */
/* The folder of evaluation keys. Any number of server processes share one.
 *
 *     FOLDER/.lock                  held while names are made or taken away
 *     FOLDER/OWNER/ID.keys          a set of keys, whole and checked
 *     FOLDER/OWNER/ID.TOTAL.part    the first bytes of one, of TOTAL
 *
 * A part becomes a set by a rename, after it was checked and is on the disk: whatever ends the
 * server, at whatever byte, leaves a part that can be continued or a whole set. */
#ifndef NN_CMD_SERVE_STORE_H
#define NN_CMD_SERVE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "ckks/ckks.h"

/* Who keys belong to: letters, digits, '-' and '_'. Strangers to an owner see nothing of his. */
#define SERVE_OWNER_ROOM 65u

typedef enum serve_outcome {
    SERVE_WHOLE,   /* the keys are there, complete */
    SERVE_PART,    /* the first bytes of them are */
    SERVE_ABSENT,  /* no such keys, or no such owner */
    SERVE_BUSY,    /* another request is writing them */
    SERVE_GAP,     /* the bytes do not follow those that are there */
    SERVE_LIMIT,   /* more than the owner, or all together, may have */
    SERVE_FULL,    /* the disk is full */
    SERVE_REFUSED, /* they are no evaluation keys, or not those they are called: nothing remains */
    SERVE_FAILED   /* the operating system failed, or memory */
} serve_outcome;   /* from SERVE_ABSENT on, fhola_detail() says what was wrong */

/* Whether the evaluation keys in a file, which it may read from the beginning and leave anywhere,
 * are of use to this server. */
typedef fhola_status (*serve_accept_fn)(void *arg, FILE *keys);

typedef struct serve_limits {
    uint64_t all, owner; /* bytes; 0: none */
    /* sets that are not complete; 0: none */
    uint64_t parts, owner_parts;
} serve_limits;

typedef struct serve_store serve_store;

/* Makes the folder if it is not there; `accept` may be NULL. Any number of threads may use a store.
 * FHOLA_IO. */
FHOLA_WARN_UNUSED fhola_status serve_store_open(serve_store **store, const char *path,
                                                serve_limits limits, serve_accept_fn accept,
                                                void *arg);
void serve_store_close(serve_store *store); /* accepts NULL */

/* Whether the owner has, or ever began, a set of keys that is not gone. */
bool serve_store_knows(const serve_store *store, const char *owner);

typedef struct serve_set {
    uint64_t bytes, total;  /* there, and of a whole set */
    uint64_t device, inode; /* which tell a set from one that took its place */
} serve_set;
/* WHOLE, PART, ABSENT or FAILED. */
serve_outcome serve_store_find(const serve_store *store, const char *owner, uint64_t id,
                               serve_set *set);
/* Path of a whole set. FHOLA_PARAM: it does not fit. */
FHOLA_WARN_UNUSED fhola_status serve_store_path(const serve_store *store, const char *owner,
                                                uint64_t id, char *path, size_t room);
/* Puts off a set's expiry. */
void serve_store_touch(const serve_store *store, const char *owner, uint64_t id);
/* WHOLE: it was there. */
serve_outcome serve_store_remove(const serve_store *store, const char *owner, uint64_t id);
/* Removes sets that were last used, and parts that last grew, so many seconds before `now`; 0: none
 * of the kind. Owners without keys go, too. Returns how many files went. */
size_t serve_store_expire(const serve_store *store, uint64_t set_age, uint64_t part_age,
                          int64_t now);

/* ---- uploads ---- */

typedef struct serve_upload serve_upload;

#define SERVE_AT_END UINT64_MAX /* behind the bytes that are there */
typedef struct serve_range {
    uint64_t first, total; /* the bytes that come begin at `first` (0: all anew) of `total` */
} serve_range;

/* Begins or continues an upload. The owner is made if he is not there. PART: *upload is to be
 * continued, and closed. WHOLE: the set is there already. BUSY, GAP, LIMIT, FULL, FAILED. */
serve_outcome serve_upload_open(serve_upload **upload, const serve_store *store, const char *owner,
                                uint64_t id, serve_range range);
/* PART, LIMIT (beyond the total), REFUSED (by the head, before anything is written), FULL, FAILED,
 * or ABSENT: removed meanwhile. After FULL and REFUSED nothing of the set remains; the room of what
 * was removed is free when the upload is closed. */
serve_outcome serve_upload_write(serve_upload *upload, const void *bytes, size_t length);
/* PART: bytes are missing. WHOLE: they were checked and are on the disk. ABSENT: removed meanwhile.
 * REFUSED, FULL, FAILED. */
serve_outcome serve_upload_finish(serve_upload *upload);
uint64_t serve_upload_bytes(const serve_upload *upload);
/* Of the check that refused. */
fhola_status serve_upload_status(const serve_upload *upload);
/* What has arrived stays. Accepts NULL. */
void serve_upload_close(serve_upload *upload);

#endif
