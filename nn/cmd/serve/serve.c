/* SPDX-License-Identifier: Apache-2.0 */
/* Brings the server up, keeps house, exchanges what it serves, and takes it down. */
#define _POSIX_C_SOURCE 200809L
#include "nn/cmd/serve/serve.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
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
#include "nn/cmd/serve/tls.h"
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

/* Of networks, tokens and certificate, by a thread of its own. */
typedef struct exchange {
    pthread_t thread;
    bool running, wanted; /* wanted: once more */
    atomic_bool done;
} exchange;

typedef struct house {
    const serve_options *options;
    serve_networks *networks;
    serve_access *access;
    serve_store *store;
    serve_cache *cache;
    serve_queue *queue;
    serve_connections *connections;
    serve_web *web;
    struct MHD_Daemon *daemon;
    int socket; /* -1: none, or the daemon's */
    char address[SERVE_ADDRESS_ROOM];
    serve_site site;
    exchange exchange;
} house;

/* ---- up ---- */

static uint64_t cache_of(const serve_options *o, uint64_t memory)
{
    double bytes = memory ? CACHE_SHARE * (double)memory : CACHE_MOST;
    if (!isnan(o->cache)) return (uint64_t)(o->cache * GIB);
    return (uint64_t)(bytes < CACHE_MOST ? bytes : CACHE_MOST);
}

/* What keys beside one set may have is not the networks'. */
static fhola_status prepare(house *h, uint64_t *cache)
{
    uint64_t memory = nn_cmd_memory(h->options->memory);
    *cache = cache_of(h->options, memory);
    if (memory && *cache >= memory)
        return fhola_fail(FHOLA_PARAM, "a cache of %.2f GiB leaves nothing of %.2f GiB of memory",
                          (double)*cache / GIB, (double)memory / GIB);
    return serve_networks_prepare(h->networks, (serve_terms){.memory = memory ? memory - *cache : 0,
                                                             .sanitize = h->options->sanitize,
                                                             .error = h->options->error});
}

static fhola_status open_house(house *h, char *const networks[], size_t count)
{
    uint64_t cache;
    const serve_options *o = h->options;
    const serve_limits limits = {.all = (uint64_t)(o->disk * GIB),
                                 .owner = (uint64_t)(o->client_disk * GIB),
                                 .parts = MOST_PARTS,
                                 .owner_parts = MOST_OWNER_PARTS};
    h->connections = serve_connections_create();
    if (!h->connections) return fhola_fail(FHOLA_NOMEM, "no memory for connections");
    FHOLA_TRY(serve_access_open(&h->access, o->tokens));
    FHOLA_TRY(serve_networks_open(&h->networks, networks, count));
    FHOLA_TRY(serve_store_open(&h->store, o->keys, limits, serve_networks_accept, h->networks));
    FHOLA_TRY(prepare(h, &cache));
    FHOLA_TRY(serve_cache_create(&h->cache, h->store, cache));
    return serve_queue_create(&h->queue, h->cache, (unsigned)o->queue, o->rate,
                              (double)nn_cmd_threads());
}

static void fill_site(house *h)
{
    const serve_options *o = h->options;
    serve_site *site = &h->site;
    site->networks = h->networks;
    site->access = h->access;
    site->store = h->store;
    site->cache = h->cache;
    site->queue = h->queue;
    site->connections = h->connections;
    site->web = h->web;
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

static fhola_status load_certificate(const house *h)
{
    const serve_options *o = h->options;
    return o->certificate ? serve_tls_load(o->certificate, o->key) : FHOLA_OK;
}

/* What is not there is found before the networks are prepared. */
static fhola_status build_door(house *h)
{
    FHOLA_TRY(open_web(h, h->options));
    FHOLA_TRY(load_certificate(h));
    return serve_bind(&h->socket, h->address, h->options->listen);
}

static fhola_status open_door(house *h)
{
    const serve_options *o = h->options;
    const serve_listener l = {.socket = h->socket,
                              .connections = (unsigned)o->connections,
                              .of_address = (unsigned)o->of_address,
                              .tls = o->certificate != NULL};
    fill_site(h);
    if (listen(h->socket, SOMAXCONN) != 0)
        return fhola_fail(FHOLA_IO, "%s: %s", h->address, strerror(errno));
    FHOLA_TRY(serve_http_start(&h->daemon, &h->site, &l));
    h->socket = -1;
    serve_log("listening", "url=%s://%s", l.tls ? "https" : "http", h->address);
    return FHOLA_OK;
}

/* ---- exchanging ---- */

static void retire_keys(void *arg, const serve_network *network)
{
    serve_cache_retire(arg, network);
}

/* Says whether it was read; false: it failed. */
static bool report(const char *what, fhola_status status)
{
    char reason[600];
    if (status == FHOLA_OK) {
        serve_log("exchange", "what=%s done=yes", what);
        return true;
    }
    serve_log_quote(reason, sizeof reason, fhola_detail());
    serve_log("exchange", "what=%s done=no reason=%s", what, reason);
    return false;
}

/* What cannot be read stays as it was. */
static void *exchange_all(void *arg)
{
    house *h = arg;
    size_t failed = 0;
    nn_cmd_set_threads(1); /* beside the team */
    if (h->options->tokens) failed += !report("tokens", serve_access_reload(h->access));
    if (h->options->certificate) failed += !report("certificate", load_certificate(h));
    failed += serve_networks_exchange(h->networks, retire_keys, h->cache);
    (void)atomic_fetch_add(&h->site.exchanges, 1);
    if (failed) (void)atomic_fetch_add(&h->site.failed_exchanges, 1);
    serve_log("exchanged", "failed=%zu", failed);
    atomic_store(&h->exchange.done, true);
    return NULL;
}

static void end_exchange(house *h)
{
    if (h->exchange.running) (void)pthread_join(h->exchange.thread, NULL);
    h->exchange.running = false;
}

/* One at a time; what was wanted meanwhile comes next. */
static void see_to_exchange(house *h)
{
    exchange *x = &h->exchange;
    if (x->running && atomic_load(&x->done)) end_exchange(h);
    if (x->running || !x->wanted) return;
    x->wanted = false;
    atomic_store(&x->done, false);
    x->running = pthread_create(&x->thread, NULL, exchange_all, h) == 0;
    if (!x->running) serve_log("exchanged", "failed=1 reason=\"no thread\"");
}

/* ---- while it is up ---- */

/* The signals it listens to; blocked, also in every thread that is to come. */
static sigset_t block_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    return set;
}

/* The next one, or 0 when none came for so long. */
static int next_signal(const sigset_t *set, long milliseconds)
{
    const struct timespec wait = {.tv_sec = milliseconds / 1000,
                                  .tv_nsec = milliseconds % 1000 * 1000000};
    int number = sigtimedwait(set, NULL, &wait);
    return number > 0 ? number : 0;
}

static void sweep(const house *h)
{
    size_t gone = serve_store_expire(h->store, (uint64_t)(h->options->expire * DAY), PART_AGE,
                                     (int64_t)time(NULL));
    if (gone) serve_log("expired", "files=%zu", gone);
}

static void keep_house(house *h, const sigset_t *set)
{
    double next = 0;
    int number = 0;
    while (!number || number == SIGHUP) {
        double now = nn_cmd_now();
        if (number == SIGHUP) h->exchange.wanted = true;
        see_to_exchange(h);
        serve_connections_check(h->connections, now);
        if (now >= next) {
            sweep(h);
            next = now + SWEEP;
        }
        number = next_signal(set, 1000);
    }
}

/* ---- down ---- */

/* Answers that were begun are found and sent; a second signal does without. */
static void close_door(house *h, const sigset_t *set)
{
    double end = INFINITY;
    int listening;
    serve_log("stopping", "requests=%zu", serve_queue_count(h->queue).requests);
    serve_queue_close(h->queue);
    serve_http_quiesce(h->daemon, &listening);
    while (atomic_load(&h->site.requests) && nn_cmd_now() < end) {
        int number = next_signal(set, 50);
        if (number && number != SIGHUP) serve_queue_abort(h->queue);
        serve_connections_check(h->connections, nn_cmd_now());
        if (isinf(end) && !serve_queue_count(h->queue).requests) end = nn_cmd_now() + GRACE;
    }
    end_exchange(h);
    serve_http_stop(h->daemon, listening);
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
    serve_networks_close(h->networks);
    serve_tls_clear();
}

fhola_status serve_run(const serve_options *o, char *const networks[], size_t count)
{
    house *h = calloc(1, sizeof *h);
    if (!h) return fhola_fail(FHOLA_NOMEM, "no memory for a server");
    const sigset_t set = block_signals();
    h->options = o;
    h->socket = -1;
    fhola_status status = build_door(h);
    if (status == FHOLA_OK) status = open_house(h, networks, count);
    if (status == FHOLA_OK) status = open_door(h);
    if (status == FHOLA_OK) {
        keep_house(h, &set);
        close_door(h, &set);
    }
    close_house(h);
    free(h);
    return status;
}
