/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to one server, over libcurl. Nothing of a reply is believed: its length is bounded, a
 * silent server ends a request, and redirections are not followed, since a secret may go along. */
#ifndef NN_CMD_REMOTE_HTTP_H
#define NN_CMD_REMOTE_HTTP_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "ckks/ckks.h"

#define REMOTE_HEADERS 2u

typedef struct remote_http remote_http;

/* A request; what is not named is not there. */
typedef struct remote_request remote_request;
struct remote_request {
    const char *method, *path;
    const char *secret;                 /* for Authorization; "": none */
    const char *header[REMOTE_HEADERS]; /* "Name: value" */
    const void *body;
    FILE *file;     /* in place of `body`: from `first` on */
    uint64_t first; /* of the file */
    uint64_t length;
    size_t most; /* bytes of the reply's body */
    /* Gets the reply's body line by line, instead of `most`; longer lines than REMOTE_LINE are
     * dropped. */
    void (*line)(void *arg, const char *line);
    /* Comes some times a second while the request runs, with how much of the body is sent. */
    void (*turn)(void *arg, uint64_t sent);
    void *arg;
    /* Asked again and again, once the body is sent, until this request ends. As long as it is
     * answered, this one's server is there. */
    const remote_request *beside;
    bool last_word; /* also after a signal; not waited for long */
};
#define REMOTE_LINE 1024u

typedef struct remote_reply {
    unsigned code; /* 0: none came */
    char *body;    /* with a 0 behind it; NULL: empty */
    size_t length;
    double retry; /* seconds, of Retry-After; -1: none */
    bool broken;  /* the connection failed: another try may do better */
} remote_reply;

/* `url`: http or https, a host, perhaps a port and a path. `cacert` (NULL: the system's): PEM
 * file. `timeout`: seconds. FHOLA_PARAM: it is no such URL. */
FHOLA_WARN_UNUSED fhola_status remote_http_open(remote_http **http, const char *url,
                                                const char *cacert, double timeout);
void remote_http_close(remote_http *http); /* accepts NULL */

/* The server, as messages call it; as the name of a folder, another one for each server. */
const char *remote_http_url(const remote_http *http);
const char *remote_http_name(const remote_http *http);
/* Whether others can read along, and where they could, whether it leaves this machine. */
bool remote_http_is_open(const remote_http *http);

/* FHOLA_OK with any code. FHOLA_IO, with reply->broken: the connection; FHOLA_SECURITY: its
 * certificate is not to be trusted; FHOLA_FORMAT: what came is not HTTP, or too long;
 * FHOLA_CANCELLED: by a signal. The reply is to be cleared in any case. */
FHOLA_WARN_UNUSED fhola_status remote_http_send(remote_http *http, const remote_request *request,
                                                remote_reply *reply);
void remote_reply_clear(remote_reply *reply);

/* Fails with what an unwanted reply says: a problem document (RFC 9457), or only its code. */
FHOLA_WARN_UNUSED fhola_status remote_http_refused(const remote_http *http, const char *path,
                                                   const remote_reply *reply);
/* Waits; FHOLA_CANCELLED: by a signal. */
FHOLA_WARN_UNUSED fhola_status remote_wait(double seconds);

#endif
