/* SPDX-License-Identifier: Apache-2.0 */
/* Brings the server up, keeps house, and takes it down. */
#define _POSIX_C_SOURCE 200809L
#include "nn/cmd/serve/serve.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "nn/cmd/cmd.h"
#include "nn/cmd/serve/http.h"
#include "nn/cmd/serve/listen.h"
#include "nn/cmd/serve/log.h"
#include "nn/cmd/stream.h"

#define GIB 0x1p30
#define MIB 0x1p20
/* Of the memory, for keys, without --cache: this share, and no more than so many bytes. */
#define CACHE_SHARE 0.25
#define CACHE_MOST  (2 * GIB)
/* Requests that may arrive at once, at their longest. */
#define BODIES 8u
/* A part of a set that nobody continues stays for a day. */
#define PART_AGE 86400u
#define DAY      86400.0
/* Uploads that may be unfinished: strangers could fill the folder with their beginnings. */
#define MOST_PARTS       1000u
#define MOST_OWNER_PARTS 16u    /* of one client */
#define SWEEP            3600.0 /* seconds between two looks for what has expired */
/* For replies to be sent, and whatever else still arrives, when the last answer was found. */
#define GRACE 5.0

typedef struct house {
    nn_server *server;
    serve_access *access;
    serve_store *store;
    serve_cache *cache;
    serve_queue *queue;
    serve_connections *connections;
    serve_web *web;
    struct MHD_Daemon *daemon;
    char *client, *certificate, *key;
    size_t client_length;
    int socket; /* -1: none, or the daemon's */
    char address[SERVE_ADDRESS_ROOM];
    serve_site site;
} house;

/* ---- up ---- */

/* An nn_count_progress. */
static int stop(void *arg, size_t done, size_t total)
{
    (void)arg;
    (void)done;
    (void)total;
    return 1;
}

/* Whether the network's keys are among them is found before the first one is read. */
static fhola_status accept_keys(const void *arg, ckks_reader *reader)
{
    nn_keys *keys = NULL;
    fhola_status status = nn_keys_read(&keys, arg, reader, stop, NULL);
    nn_keys_release(keys);
    return status == FHOLA_CANCELLED ? FHOLA_OK : status;
}

/* The client file, which is the same for everybody. */
static fhola_status make_client(house *h)
{
    ckks_writer *writer = NULL;
    FILE *stream = open_memstream(&h->client, &h->client_length);
    if (!stream) return fhola_fail(FHOLA_NOMEM, "no memory for a client file");
    fhola_status status = ckks_writer_create(&writer, stream, "the client file");
    if (status == FHOLA_OK) status = nn_server_write_client(h->server, writer);
    if (status == FHOLA_OK) status = ckks_writer_commit(writer);
    ckks_writer_destroy(writer);
    if (fclose(stream) != 0 && status == FHOLA_OK)
        status = fhola_fail(FHOLA_NOMEM, "no memory for a client file");
    return status;
}

static uint64_t cache_of(const serve_options *o, uint64_t memory)
{
    double bytes = memory ? CACHE_SHARE * (double)memory : CACHE_MOST;
    if (!isnan(o->cache)) return (uint64_t)(o->cache * GIB);
    return (uint64_t)(bytes < CACHE_MOST ? bytes : CACHE_MOST);
}

/* What keys beside one set may have is not the network's. */
static fhola_status prepare(house *h, const serve_options *o, uint64_t *cache)
{
    uint64_t memory = nn_cmd_memory(o->memory);
    *cache = cache_of(o, memory);
    if (memory && *cache >= memory)
        return fhola_fail(FHOLA_PARAM, "a cache of %.2f GiB leaves nothing of %.2f GiB of memory",
                          (double)*cache / GIB, (double)memory / GIB);
    FHOLA_TRY(nn_server_limit_memory(h->server, memory ? memory - *cache : 0));
    nn_cmd_say_memory(memory ? memory - *cache : 0, nn_server_memory(h->server));
    return nn_server_prepare(h->server);
}

static fhola_status open_house(house *h, const serve_options *o, const char *network)
{
    uint64_t cache;
    const serve_limits limits = {.all = (uint64_t)(o->disk * GIB),
                                 .owner = (uint64_t)(o->client_disk * GIB),
                                 .parts = MOST_PARTS,
                                 .owner_parts = MOST_OWNER_PARTS};
    h->connections = serve_connections_create();
    if (!h->connections) return fhola_fail(FHOLA_NOMEM, "no memory for connections");
    FHOLA_TRY(serve_access_open(&h->access, o->tokens));
    FHOLA_TRY(nn_cmd_open_server(&h->server, network));
    FHOLA_TRY(serve_store_open(&h->store, o->keys, limits, accept_keys, h->server));
    FHOLA_TRY(make_client(h));
    FHOLA_TRY(prepare(h, o, &cache));
    FHOLA_TRY(serve_cache_create(&h->cache, h->server, h->store, cache));
    return serve_queue_create(&h->queue, h->server, h->cache, (unsigned)o->queue,
                              (double)nn_cmd_threads());
}

/* A PEM file as a string. */
static fhola_status read_text(char **text, const char *path)
{
    unsigned char *bytes = NULL;
    size_t length;
    FHOLA_TRY(nn_cmd_read_input(&bytes, &length, path, (size_t)MIB));
    *text = calloc(length + 1, 1);
    if (*text) memcpy(*text, bytes, length);
    nn_cmd_free_input(bytes, length);
    return *text ? FHOLA_OK : fhola_fail(FHOLA_NOMEM, "no memory for %s", path);
}

static void fill_site(house *h, const serve_options *o)
{
    serve_site *site = &h->site;
    site->server = h->server;
    site->access = h->access;
    site->store = h->store;
    site->cache = h->cache;
    site->queue = h->queue;
    site->connections = h->connections;
    site->web = h->web;
    site->client = h->client;
    site->client_length = h->client_length;
    site->most_body = (uint64_t)(o->request * MIB);
    site->most_bodies = BODIES * site->most_body;
    site->timeout = (unsigned)o->timeout;
}

/* The page is there where it was built, or installed. */
static fhola_status open_web(house *h, const serve_options *o)
{
    char folder[NN_CMD_PATH_ROOM], index[NN_CMD_PATH_ROOM];
    if (o->web) return strcmp(o->web, "none") == 0 ? FHOLA_OK : serve_web_open(&h->web, o->web);
    nn_cmd_bundled(folder, sizeof folder, "web", "", "");
    nn_cmd_bundled(index, sizeof index, "web", "index.html", "");
    return access(index, R_OK) == 0 ? serve_web_open(&h->web, folder) : FHOLA_OK;
}

/* What is not there is found before the network is prepared. */
static fhola_status build_door(house *h, const serve_options *o)
{
    FHOLA_TRY(open_web(h, o));
    if (o->certificate) FHOLA_TRY(read_text(&h->certificate, o->certificate));
    if (o->certificate) FHOLA_TRY(read_text(&h->key, o->key));
    return serve_bind(&h->socket, h->address, o->listen);
}

static fhola_status open_door(house *h, const serve_options *o)
{
    const serve_listener l = {.socket = h->socket,
                              .connections = (unsigned)o->connections,
                              .certificate = h->certificate,
                              .key = h->key};
    fill_site(h, o);
    if (listen(h->socket, SOMAXCONN) != 0)
        return fhola_fail(FHOLA_IO, "%s: %s", h->address, strerror(errno));
    FHOLA_TRY(serve_http_start(&h->daemon, &h->site, &l));
    h->socket = -1;
    serve_log("listening", "url=%s://%s", o->certificate ? "https" : "http", h->address);
    return FHOLA_OK;
}

/* ---- while it is up ---- */

/* The signals that end it; blocked, also in every thread that is to come. */
static sigset_t block_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    return set;
}

static bool signal_comes(const sigset_t *set, long milliseconds)
{
    const struct timespec wait = {.tv_sec = milliseconds / 1000,
                                  .tv_nsec = milliseconds % 1000 * 1000000};
    return sigtimedwait(set, NULL, &wait) > 0;
}

static void sweep(const house *h, const serve_options *o)
{
    size_t gone =
        serve_store_expire(h->store, (uint64_t)(o->expire * DAY), PART_AGE, (int64_t)time(NULL));
    if (gone) serve_log("expired", "files=%zu", gone);
}

static void keep_house(house *h, const serve_options *o, const sigset_t *set)
{
    double next = 0;
    do {
        double now = nn_cmd_now();
        serve_connections_check(h->connections, now);
        if (now < next) continue;
        sweep(h, o);
        next = now + SWEEP;
    } while (!signal_comes(set, 1000));
}

/* ---- down ---- */

/* Answers that were begun are found and sent; a second signal does without. */
static void close_door(house *h, const sigset_t *set)
{
    double end = INFINITY;
    serve_log("stopping", "requests=%zu", serve_queue_count(h->queue).requests);
    serve_queue_close(h->queue);
    serve_http_quiesce(h->daemon);
    while (atomic_load(&h->site.requests) && nn_cmd_now() < end) {
        if (signal_comes(set, 50)) serve_queue_abort(h->queue);
        serve_connections_check(h->connections, nn_cmd_now());
        if (isinf(end) && !serve_queue_count(h->queue).requests) end = nn_cmd_now() + GRACE;
    }
    serve_http_stop(h->daemon);
    serve_log("stopped", "pictures=%llu", (unsigned long long)serve_queue_count(h->queue).answered);
}

static void close_house(house *h)
{
    if (h->socket >= 0) (void)close(h->socket);
    if (h->queue && !h->daemon) serve_queue_close(h->queue);
    serve_queue_destroy(h->queue);
    serve_cache_destroy(h->cache);
    serve_store_close(h->store);
    serve_access_close(h->access);
    serve_connections_destroy(h->connections);
    serve_web_close(h->web);
    nn_server_destroy(h->server);
    if (h->key) ckks_wipe(h->key, strlen(h->key));
    free(h->key);
    free(h->certificate);
    free(h->client);
}

fhola_status serve_network(const serve_options *o, const char *network)
{
    house *h = calloc(1, sizeof *h);
    if (!h) return fhola_fail(FHOLA_NOMEM, "no memory for a server");
    const sigset_t set = block_signals();
    h->socket = -1;
    fhola_status status = build_door(h, o);
    if (status == FHOLA_OK) status = open_house(h, o, network);
    if (status == FHOLA_OK) status = open_door(h, o);
    if (status == FHOLA_OK) {
        keep_house(h, o, &set);
        close_door(h, &set);
    }
    close_house(h);
    free(h);
    return status;
}
