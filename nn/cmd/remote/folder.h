/* SPDX-License-Identifier: Apache-2.0 */
/* Where a client keeps his keys: for each server and each list of keys a folder, readable by him
 * only.
 *
 *     DIR/SERVER/LIST/secret.key      of the network they were made for
 *     DIR/SERVER/LIST/NETWORK.key     the same secret key, for another network of the same keys
 *     DIR/SERVER/LIST/eval.keys       what the server gets; kept, should it lose them
 *     DIR/SERVER/LIST/server.secret   what the server knows their owner by; without a token
 *     DIR/SERVER/LIST/.lock           one program at a time makes keys, uploads or removes them
 *
 * Each of them appears when it is complete. */
#ifndef NN_CMD_REMOTE_FOLDER_H
#define NN_CMD_REMOTE_FOLDER_H

#include "nn/cmd/cmd.h"
#include "nn/nn.h"

#define REMOTE_SECRET_ROOM 1024u

typedef struct remote_folder {
    char path[NN_CMD_PATH_ROOM];
    int lock; /* -1: not locked */
} remote_folder;

/* Of the client file that an owner was made from; `directory` NULL: the user's own. Makes it and
 * locks it; waits for another program, and says so. To be closed, also after a failure. FHOLA_IO;
 * FHOLA_PARAM: too long a name, or nobody knows where the user keeps things. */
FHOLA_WARN_UNUSED fhola_status remote_folder_open(remote_folder *folder, const char *directory,
                                                  const char *server, const nn_owner *owner);
/* Others may have it; it is wanted again. */
void remote_folder_unlock(remote_folder *folder);
FHOLA_WARN_UNUSED fhola_status remote_folder_lock(remote_folder *folder);
void remote_folder_close(remote_folder *folder);

/* Path of one of its files. FHOLA_PARAM: too long. */
FHOLA_WARN_UNUSED fhola_status remote_folder_path(const remote_folder *folder, const char *name,
                                                  char path[NN_CMD_PATH_ROOM]);

/* An owner with a secret key in place of one of a client file: of keys that are there, otherwise of
 * new ones, which *seconds were spent on (0: none). */
FHOLA_WARN_UNUSED fhola_status remote_folder_keys(const remote_folder *folder, nn_owner **owner,
                                                  double *seconds);

/* "": there is none. */
FHOLA_WARN_UNUSED fhola_status remote_folder_read_secret(const remote_folder *folder,
                                                         char secret[REMOTE_SECRET_ROOM]);
FHOLA_WARN_UNUSED fhola_status remote_folder_write_secret(const remote_folder *folder,
                                                          const char *secret);

/* Calls `visit` with each folder of a server that has keys, locked, and their id. Of those for
 * which it returns FHOLA_OK nothing remains. *count: how many. */
typedef fhola_status (*remote_visit_fn)(void *arg, const remote_folder *folder, uint64_t key);
FHOLA_WARN_UNUSED fhola_status remote_folders_remove(const char *directory, const char *server,
                                                     remote_visit_fn visit, void *arg,
                                                     size_t *count);

#endif
