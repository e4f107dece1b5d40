/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP: connections, requests and their replies. What a path means is said by a table of routes;
 * each request is a thread of its own, which may wait. */
#ifndef NN_CMD_SERVE_HTTP_H
#define NN_CMD_SERVE_HTTP_H

#include <stdatomic.h>
#include <sys/socket.h>

#include <microhttpd.h>

#include "nn/cmd/serve/access.h"
#include "nn/cmd/serve/cache.h"
#include "nn/cmd/serve/connections.h"
#include "nn/cmd/serve/networks.h"
#include "nn/cmd/serve/queue.h"
#include "nn/cmd/serve/store.h"
#include "nn/cmd/serve/web.h"
#include "nn/nn.h"

#define SERVE_CODES 600u

/* What requests have in common. */
typedef struct serve_site {
    serve_networks *networks;
    serve_access *access;
    const serve_store *store;
    serve_cache *cache;
    serve_queue *queue;
    serve_connections *connections;
    const serve_web *web;   /* NULL: there is no page */
    uint64_t most_body;     /* bytes of one request for inference */
    uint64_t most_bodies;   /* of all at once */
    atomic_ullong bodies;   /* now */
    atomic_ullong uploaded; /* bytes of keys so far */
    atomic_ullong replies[SERVE_CODES];
    atomic_uint requests; /* that are not finished */
    atomic_ullong exchanges, failed_exchanges;
    unsigned timeout; /* seconds */
} serve_site;

#define SERVE_NO_LENGTH UINT64_MAX

typedef struct serve_request serve_request;

typedef enum serve_audience {
    SERVE_FOR_ALL,
    SERVE_FOR_OWNERS,    /* who has a token, or a secret that the store knows */
    SERVE_FOR_NEW_OWNERS /* the same, or, where there are no tokens, who says nothing */
} serve_audience;

/* A handler answers by serve_reply or one of its kin. `begin` comes before the body, `take` with
 * each piece of it, `end` after it, until one of them has answered; `clear` in any case. Any may be
 * NULL. */
typedef struct serve_route {
    const char *method, *path; /* a path with '/' at its end is followed by an id */
    serve_audience audience;
    bool body;    /* it has one */
    bool network; /* it is about one: the first, or with /v1/networks/NAME for /v1 that one */
    void (*begin)(serve_request *request);
    void (*take)(serve_request *request, const char *bytes, size_t length);
    void (*end)(serve_request *request);
    void (*clear)(serve_request *request);
} serve_route;

struct serve_request {
    serve_site *site;
    struct MHD_Connection *connection;
    serve_connection *socket;
    const serve_route *route; /* NULL: there is none */
    const char *method;
    char *path;
    const char *id;               /* behind the route's path */
    serve_network *network;       /* NULL: the route is about none */
    char owner[SERVE_OWNER_ROOM]; /* "": nobody known */
    uint64_t length, received;    /* of the body; length: announced, or SERVE_NO_LENGTH */
    void *state;                  /* of the handler */
    struct MHD_Response *response;
    unsigned code; /* of the response, 0: none yet */
    uint64_t size; /* of its body; SERVE_NO_LENGTH: a stream */
    bool sent;     /* the response is with libmicrohttpd */
    bool told;     /* and went to the client, all of it */
    double start;
};

extern const serve_route serve_route_put_keys, serve_route_get_keys, serve_route_delete_keys,
    serve_route_infer, serve_route_cancel, serve_route_progress, serve_route_networks,
    serve_route_network, serve_route_health, serve_route_metrics, serve_route_web;

typedef struct serve_listener {
    int socket;                       /* bound, listening; the daemon's from serve_http_start on */
    unsigned connections, of_address; /* at once; of one address, 0: no limit */
    bool tls;                         /* with what serve_tls_load loaded */
} serve_listener;

FHOLA_WARN_UNUSED fhola_status serve_http_start(struct MHD_Daemon **daemon, serve_site *site,
                                                const serve_listener *listener);
/* From now on there are no new connections. *listening is for serve_http_stop. */
void serve_http_quiesce(struct MHD_Daemon *daemon, int *listening);
/* Ends those that there are. */
void serve_http_stop(struct MHD_Daemon *daemon, int listening);

/* ---- for handlers ---- */

/* A header of the request, or NULL. */
const char *serve_header(const serve_request *request, const char *name);
/* The id of keys: 16 hexadecimal digits in lower case, not all 0. */
bool serve_key_id(const char *text, uint64_t *id);
/* Letters, digits, '-', '_' and '.', at most 64. */
bool serve_is_request_id(const char *text);

void serve_reply(serve_request *request, unsigned code, const char *type, const void *bytes,
                 size_t length);
/* A JSON object of this printf format. */
void serve_reply_json(serve_request *request, unsigned code, const char *format, ...)
    FHOLA_PRINTF(3, 4);
/* The response becomes the request's. */
void serve_reply_with(serve_request *request, unsigned code, struct MHD_Response *response);
/* To the reply that was made. */
void serve_reply_header(serve_request *request, const char *name, const char *value);
void serve_reply_number(serve_request *request, const char *name, uint64_t value);

/* A problem document (RFC 9457): what was wrong is `detail`; `status` is the library's, FHOLA_OK:
 * none of its. */
void serve_problem(serve_request *request, unsigned code, fhola_status status, const char *detail);
/* The same for a failed call; the code follows from the status. */
void serve_problem_failed(serve_request *request, fhola_status status, const char *detail);
/* There are no such keys, or they are another's. */
void serve_problem_no_keys(serve_request *request);
/* 503 with Retry-After. */
void serve_problem_later(serve_request *request, const char *detail);

#endif
