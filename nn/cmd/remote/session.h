/* SPDX-License-Identifier: Apache-2.0 */
/* A client's conversation with a server. */
#ifndef NN_CMD_REMOTE_SESSION_H
#define NN_CMD_REMOTE_SESSION_H

#include "nn/cmd/remote/folder.h"
#include "nn/cmd/remote/http.h"
#include "nn/cmd/remote/remote.h"

#define REMOTE_NETWORKS  "/v1/networks"
#define REMOTE_PATH_ROOM 128u

typedef struct remote_session {
    const remote_options *options;
    remote_http *http;
    remote_folder folder;
    nn_owner *owner;
    char network[REMOTE_PATH_ROOM - 16]; /* path of the network: "/v1/networks/NAME" */
    char secret[REMOTE_SECRET_ROOM];     /* a token, or what the server gave; "": neither */
    bool token;
    double keygen_seconds, upload_seconds; /* 0: not done */
} remote_session;

/* Finds the network, and makes the owner of its client file. FHOLA_PARAM: there are several, or
 * none of that name; the message has the names. */
FHOLA_WARN_UNUSED fhola_status remote_fetch_client(remote_session *session);
/* Sends the keys, or what the server lacks of them: with the folder locked, and with a secret
 * key. */
FHOLA_WARN_UNUSED fhola_status remote_upload(remote_session *session);
/* Removes keys of that id from the server; well if it has none. */
FHOLA_WARN_UNUSED fhola_status remote_delete(remote_session *session, uint64_t key);

/* Encrypted pictures, one behind the other: picture k ends at byte end[k]. */
typedef struct remote_pictures {
    const char *bytes;
    const uint64_t *end;
    size_t count;
    size_t first, all; /* of how many, for progress */
} remote_pictures;

/* Asks for the results of the first pictures, *answered of them, which reply->body has then. */
FHOLA_WARN_UNUSED fhola_status remote_infer(remote_session *session,
                                            const remote_pictures *pictures, size_t *answered,
                                            remote_reply *reply);

/* Between tries of what may do better later: waits for as long as the server asks (`seconds`; -1:
 * it does not), but not for very long. False: too many of them, or a signal. */
bool remote_try_again(unsigned *tries, double seconds);
/* Whether a reply is one of those. */
bool remote_is_passing(const remote_reply *reply);

#endif
