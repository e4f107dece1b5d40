/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "nn/cmd/serve/http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "nn/cmd/cmd.h"
#include "nn/cmd/serve/log.h"
#include "nn/cmd/serve/tls.h"

/* Of memory for a connection: line and headers of a request, or a piece of its body. */
#define CONNECTION_MEMORY (256u << 10)
/* A body that nobody wants is taken up to this length, so that the reply is read; with a longer one
 * the connection is closed behind the reply. */
#define TAKEN_ANYWAY (UINT64_C(16) << 20)
/* Bytes a second that a body must come with, beside the time-out. */
#define SLOWEST 16384.0
/* The longest path of a network, without it, and the end. */
#define REST_ROOM 32u
#define SHOWN     12 /* characters of an owner in the log */

/* A path has one route for each method. */
static const serve_route *const routes[] = {
    &serve_route_put_keys, &serve_route_get_keys, &serve_route_delete_keys, &serve_route_infer,
    &serve_route_cancel,   &serve_route_progress, &serve_route_networks,    &serve_route_network,
    &serve_route_health,   &serve_route_metrics,
};
#define ROUTES (sizeof routes / sizeof *routes)

/* ---- what a request is ---- */

const char *serve_header(const serve_request *r, const char *name)
{
    return MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, name);
}

bool serve_key_id(const char *text, uint64_t *id)
{
    if (strlen(text) != 16 || strspn(text, "0123456789abcdef") != 16) return false;
    *id = strtoull(text, NULL, 16);
    return *id != 0;
}

bool serve_is_request_id(const char *text)
{
    static const char good[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";
    size_t length = strlen(text);
    return length > 0 && length < SERVE_REQUEST_ROOM && strspn(text, good) == length;
}

/* The path of a network, /v1/networks/NAME/REST, as NAME and /v1/REST; false: it is none. */
static bool split_path(const char *path, char name[SERVE_NETWORK_ROOM], char rest[REST_ROOM])
{
    static const char above[] = "/v1/networks/";
    if (strncmp(path, above, sizeof above - 1) != 0) return false;
    path += sizeof above - 1;
    size_t length = strcspn(path, "/");
    if (!length || length >= SERVE_NETWORK_ROOM || !path[length]) return false;
    memcpy(name, path, length);
    name[length] = 0;
    return snprintf(rest, REST_ROOM, "/v1%s", path + length) < (int)REST_ROOM;
}

/* What follows the route's path; NULL: it is another path. */
static const char *match(const serve_route *route, const char *path)
{
    size_t length = strlen(route->path);
    if (route->path[length - 1] != '/') return strcmp(path, route->path) == 0 ? "" : NULL;
    if (strncmp(path, route->path, length) != 0 || !path[length]) return NULL;
    return strchr(path + length, '/') ? NULL : path + length;
}

/* Whether the path is that of a file of the page, which comes before routes. */
static bool find_page(serve_request *r)
{
    if (!serve_web_has(r->site->web, r->path)) return false;
    if (strcmp(r->method, "GET") == 0 || strcmp(r->method, "HEAD") == 0) {
        r->route = &serve_route_web;
    } else {
        serve_problem(r, 405, FHOLA_OK, "this path has other methods");
        serve_reply_header(r, "Allow", "GET, HEAD");
    }
    return true;
}

static void choose_route(serve_request *r, const serve_route *route, const char *id,
                         const char *network)
{
    r->route = route;
    r->id = id;
    if (!route->network) return;
    r->network = serve_networks_take(r->site->networks, network);
    if (!r->network) serve_problem(r, 404, FHOLA_OK, "there is no network of this name");
}

/* Makes the reply if there is no such path, or not with that method. No path about a network ends
 * with an id. */
static void find_route(serve_request *r)
{
    const char *wanted = strcmp(r->method, "HEAD") == 0 ? "GET" : r->method;
    char allowed[64] = "", network[SERVE_NETWORK_ROOM] = "", rest[REST_ROOM];
    if (find_page(r)) return;
    const bool named = split_path(r->path, network, rest);
    for (size_t i = 0; i < ROUTES; i++) {
        const char *id = match(routes[i], named ? rest : r->path);
        if (!id || (named && !routes[i]->network)) continue;
        if (strcmp(routes[i]->method, wanted) == 0) {
            choose_route(r, routes[i], id, network);
            return;
        }
        if (*allowed) strcat(allowed, ", ");
        strcat(allowed, strcmp(routes[i]->method, "GET") == 0 ? "GET, HEAD" : routes[i]->method);
    }
    if (*allowed) {
        serve_problem(r, 405, FHOLA_OK, "this path has other methods");
        serve_reply_header(r, "Allow", allowed);
    } else {
        serve_problem(r, 404, FHOLA_OK, "there is no such path");
    }
}

/* Makes the reply to strangers. Tokens are known to be wanted; whether a secret belongs to anybody
 * is not told. */
static void find_owner(serve_request *r)
{
    const serve_site *site = r->site;
    const char *authorization = serve_header(r, "Authorization");
    const bool tokens = serve_access_has_tokens(site->access);
    if (serve_access_find(site->access, authorization, r->owner) &&
        (tokens || serve_store_knows(site->store, r->owner)))
        return;
    r->owner[0] = 0;
    if (r->route->audience == SERVE_FOR_ALL) return;
    if (tokens) {
        serve_problem(r, 401, FHOLA_OK, "this needs a token: Authorization: Bearer TOKEN");
        serve_reply_header(r, "WWW-Authenticate", "Bearer");
    } else if (r->route->audience == SERVE_FOR_OWNERS || authorization) {
        serve_problem_no_keys(r);
    }
}

/* Where there are both, libmicrohttpd goes by the encoding, and the length is any number. */
static void find_length(serve_request *r)
{
    const char *text = serve_header(r, "Content-Length");
    if (serve_header(r, "Transfer-Encoding"))
        r->length = SERVE_NO_LENGTH;
    else
        r->length = text ? strtoull(text, NULL, 10) : 0;
}

/* ---- libmicrohttpd's calls ---- */

static void expect_in(const serve_request *r, double seconds)
{
    serve_connection_expect(r->site->connections, r->socket,
                            seconds > 0 ? nn_cmd_now() + seconds : 0);
}

/* Which is to be read as fast as bodies must come; streams last as long as they do. */
static enum MHD_Result send_reply(serve_request *r)
{
    if (!r->response) serve_problem(r, 500, FHOLA_NOMEM, "no memory for a reply");
    if (!r->response) return MHD_NO; /* closes the connection */
    r->sent = true;
    if (r->size != SERVE_NO_LENGTH) expect_in(r, r->site->timeout + (double)r->size / SLOWEST);
    return MHD_queue_response(r->connection, r->code, r->response);
}

static void begin(serve_request *r)
{
    find_length(r);
    find_route(r);
    if (!r->code && r->length && !r->route->body)
        serve_problem(r, 400, FHOLA_OK, "this takes no body");
    if (!r->code) find_owner(r);
    if (!r->code && r->route->begin) r->route->begin(r);
}

static enum MHD_Result begin_request(serve_site *site, void **state,
                                     struct MHD_Connection *connection, const char *path,
                                     const char *method)
{
    serve_request *r = calloc(1, sizeof *r);
    if (!r || !(r->path = strdup(path))) {
        free(r);
        return MHD_NO;
    }
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    r->site = site;
    r->connection = connection;
    r->socket = info ? info->socket_context : NULL;
    r->method = method;
    r->start = nn_cmd_now();
    *state = r;
    (void)atomic_fetch_add(&site->requests, 1);
    nn_cmd_set_threads(1); /* beside the team that answers */
    begin(r);
    if (r->code && r->length > TAKEN_ANYWAY) return send_reply(r);
    expect_in(r, site->timeout);
    return MHD_YES;
}

static enum MHD_Result take_body(serve_request *r, const char *bytes, size_t *length)
{
    r->received += *length;
    if (!r->code && r->route->take) r->route->take(r, bytes, *length);
    *length = 0;
    double late = r->site->timeout + (double)r->received / SLOWEST;
    serve_connection_expect(r->site->connections, r->socket, r->start + late);
    return MHD_YES;
}

/* libmicrohttpd measures its time-out from the last byte that came, so that is switched off
 * meanwhile. */
static void end(serve_request *r)
{
    (void)MHD_set_connection_option(r->connection, MHD_CONNECTION_OPTION_TIMEOUT, 0u);
    r->route->end(r);
    (void)MHD_set_connection_option(r->connection, MHD_CONNECTION_OPTION_TIMEOUT, r->site->timeout);
}

static enum MHD_Result handle(void *arg, struct MHD_Connection *connection, const char *path,
                              const char *method, const char *version, const char *bytes,
                              size_t *length, void **state)
{
    serve_request *r = *state;
    (void)version;
    if (!r) return begin_request(arg, state, connection, path, method);
    if (*length) return take_body(r, bytes, length);
    expect_in(r, 0);
    if (!r->code && r->route->end) end(r);
    return send_reply(r);
}

static void log_request(const serve_request *r, enum MHD_RequestTerminationCode reason)
{
    char path[256], method[16];
    serve_log_quote(path, sizeof path, r->path);
    serve_log_quote(method, sizeof method, r->method);
    serve_log("request", "method=%s path=%s client=%.*s status=%u received=%llu seconds=%.3f%s",
              method, path, SHOWN, *r->owner ? r->owner : "-", r->code,
              (unsigned long long)r->received, nn_cmd_now() - r->start,
              reason == MHD_REQUEST_TERMINATED_COMPLETED_OK ? "" : " ended=early");
}

static void end_request(void *arg, struct MHD_Connection *connection, void **state,
                        enum MHD_RequestTerminationCode reason)
{
    serve_site *site = arg;
    serve_request *r = *state;
    (void)connection;
    if (!r) return;
    r->told = r->sent && reason == MHD_REQUEST_TERMINATED_COMPLETED_OK;
    if (r->route && r->route->clear) r->route->clear(r);
    log_request(r, reason);
    if (r->sent) (void)atomic_fetch_add(&site->replies[r->code % SERVE_CODES], 1);
    if (r->response) MHD_destroy_response(r->response);
    serve_network_release(r->network);
    expect_in(r, site->timeout);
    free(r->path);
    free(r);
    *state = NULL;
    (void)atomic_fetch_sub(&site->requests, 1);
}

static void note_connection(void *arg, struct MHD_Connection *connection, void **context,
                            enum MHD_ConnectionNotificationCode event)
{
    serve_site *site = arg;
    if (event == MHD_CONNECTION_NOTIFY_CLOSED) {
        serve_connection_close(site->connections, *context);
        *context = NULL;
        return;
    }
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (info)
        *context = serve_connection_open(site->connections, info->connect_fd,
                                         nn_cmd_now() + site->timeout);
}

/* ---- starting and stopping ---- */

fhola_status serve_http_start(struct MHD_Daemon **daemon, serve_site *site,
                              const serve_listener *listener)
{
    const struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_CERT_CALLBACK2, 0, (void *)(intptr_t)serve_tls_offer},
        {MHD_OPTION_END, 0, NULL},
    };
    const struct MHD_OptionItem none[] = {{MHD_OPTION_END, 0, NULL}};
    unsigned flags = MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD |
                     MHD_USE_POLL | MHD_USE_ITC;
    if (listener->tls) flags |= MHD_USE_TLS;
    *daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, handle, site, MHD_OPTION_LISTEN_SOCKET, (MHD_socket)listener->socket,
        MHD_OPTION_CONNECTION_LIMIT, listener->connections, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
        listener->of_address, MHD_OPTION_CONNECTION_TIMEOUT, site->timeout,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY, MHD_OPTION_NOTIFY_COMPLETED,
        end_request, site, MHD_OPTION_NOTIFY_CONNECTION, note_connection, site, MHD_OPTION_ARRAY,
        listener->tls ? tls : none, MHD_OPTION_END);
    return *daemon ? FHOLA_OK : fhola_fail(FHOLA_PARAM, "libmicrohttpd does not start");
}

/* The socket is closed when no thread of the daemon can look at it any more, but it refuses
 * connections at once. */
void serve_http_quiesce(struct MHD_Daemon *daemon, int *listening)
{
    *listening = MHD_quiesce_daemon(daemon);
    if (*listening >= 0) (void)shutdown(*listening, SHUT_RDWR);
}

void serve_http_stop(struct MHD_Daemon *daemon, int listening)
{
    MHD_stop_daemon(daemon);
    if (listening >= 0) (void)close(listening);
}
