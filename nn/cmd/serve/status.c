/* SPDX-License-Identifier: Apache-2.0 */
/* What everybody may ask: the networks and their client files, health, metrics. */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/cmd/serve/http.h"

static void get_network(serve_request *r)
{
    char tag[32];
    const char *known = serve_header(r, "If-None-Match");
    snprintf(tag, sizeof tag, "\"%016" PRIx64 "\"", nn_server_network_id(r->network->server));
    if (known && strcmp(known, tag) == 0)
        serve_reply(r, 304, "application/octet-stream", "", 0);
    else
        serve_reply(r, 200, "application/octet-stream", r->network->client,
                    r->network->client_length);
    serve_reply_header(r, "ETag", tag);
}

/* Names need no escapes. */
static void print_networks(FILE *out, serve_networks *networks)
{
    fprintf(out, "{\"networks\":[");
    for (size_t i = 0; i < serve_networks_count(networks); i++) {
        const char *name = serve_networks_name(networks, i);
        serve_network *n = serve_networks_take(networks, name);
        fprintf(out, "%s{\"name\":\"%s\",\"path\":\"/v1/networks/%s\",\"id\":\"%016" PRIx64 "\"}",
                i ? "," : "", name, name, nn_server_network_id(n->server));
        serve_network_release(n);
    }
    fprintf(out, "]}\n");
}

static void get_networks(serve_request *r)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    if (out) print_networks(out, r->site->networks);
    if (!out || fclose(out) != 0)
        serve_problem(r, 503, FHOLA_NOMEM, "no memory for a list of networks");
    else
        serve_reply(r, 200, "application/json", text, length);
    free(text);
}

static void get_health(serve_request *r)
{
    if (serve_queue_count(r->site->queue).closed)
        serve_problem_later(r, "the server is about to end");
    else
        serve_reply(r, 200, "text/plain", "ok\n", 3);
}

/* ---- metrics, in Prometheus' text format ---- */

static void print_metric(FILE *out, const char *name, const char *type, const char *help,
                         double value)
{
    fprintf(out, "# HELP fhola_%s %s\n# TYPE fhola_%s %s\nfhola_%s %.17g\n", name, help, name, type,
            name, value);
}

static void print_replies(FILE *out, serve_site *site)
{
    fprintf(out, "# HELP fhola_requests_total Requests that were replied to.\n"
                 "# TYPE fhola_requests_total counter\n");
    for (unsigned code = 0; code < SERVE_CODES; code++) {
        unsigned long long count = atomic_load(&site->replies[code]);
        if (count) fprintf(out, "fhola_requests_total{code=\"%u\"} %llu\n", code, count);
    }
}

static void print_queue(FILE *out, serve_site *site)
{
    serve_queue_figures q = serve_queue_count(site->queue);
    print_metric(out, "pictures_answered_total", "counter", "Pictures answered.",
                 (double)q.answered);
    print_metric(out, "inferences_total", "counter",
                 "Inferences; one on a network for batches may answer several pictures.",
                 (double)q.runs);
    print_metric(out, "inference_seconds_total", "counter", "Seconds of inference.", q.seconds);
    print_metric(out, "requests_cancelled_total", "counter",
                 "Requests for inference that were cancelled, or whose client went away.",
                 (double)q.cancelled);
    print_metric(out, "requests_failed_total", "counter", "Requests for inference that failed.",
                 (double)q.failed);
    print_metric(out, "queue_requests", "gauge", "Requests waiting or worked on.",
                 (double)q.requests);
    print_metric(out, "queue_pictures", "gauge", "Encrypted pictures in memory.",
                 (double)q.pictures);
}

static void print_cache(FILE *out, serve_site *site)
{
    serve_cache_figures c = serve_cache_look(site->cache);
    print_metric(out, "key_sets", "gauge", "Sets of keys in memory.", (double)c.sets);
    print_metric(out, "key_bytes", "gauge", "Bytes of keys in memory.", (double)c.bytes);
    print_metric(out, "key_hits_total", "counter", "Sets of keys that were in memory when wanted.",
                 (double)c.hits);
    print_metric(out, "key_loads_total", "counter", "Sets of keys read from the disk.",
                 (double)c.loads);
    print_metric(out, "key_evictions_total", "counter", "Sets of keys that gave way to others.",
                 (double)c.evictions);
    print_metric(out, "uploaded_bytes_total", "counter", "Bytes of keys that arrived.",
                 (double)atomic_load(&site->uploaded));
}

static void print_house(FILE *out, serve_site *site)
{
    print_metric(out, "connections", "gauge", "Open connections.",
                 (double)serve_connections_count(site->connections));
    print_metric(out, "networks", "gauge", "Networks that are served.",
                 (double)serve_networks_count(site->networks));
    print_metric(out, "exchanges_total", "counter",
                 "Times that networks, tokens and certificate were read anew.",
                 (double)atomic_load(&site->exchanges));
    print_metric(out, "exchanges_failed_total", "counter", "Of these, some of it failed.",
                 (double)atomic_load(&site->failed_exchanges));
}

static void get_metrics(serve_request *r)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    if (out) {
        print_replies(out, r->site);
        print_queue(out, r->site);
        print_cache(out, r->site);
        print_house(out, r->site);
    }
    if (!out || fclose(out) != 0)
        serve_problem(r, 503, FHOLA_NOMEM, "no memory for metrics");
    else
        serve_reply(r, 200, "text/plain; version=0.0.4", text, length);
    free(text);
}

const serve_route serve_route_networks = {
    .method = "GET", .path = "/v1/networks", .end = get_networks};
const serve_route serve_route_network = {
    .method = "GET", .path = "/v1/network", .network = true, .end = get_network};
const serve_route serve_route_health = {.method = "GET", .path = "/healthz", .end = get_health};
const serve_route serve_route_metrics = {.method = "GET", .path = "/metrics", .end = get_metrics};
