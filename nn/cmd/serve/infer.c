/* SPDX-License-Identifier: Apache-2.0 */
/* POST /v1/infer, and DELETE of /v1/infer/REQUEST. */
#define _GNU_SOURCE /* POLLRDHUP */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/cmd/serve/http.h"

#define STEP 250u /* milliseconds between two looks at whether the client is still there */

typedef struct inference {
    char *body;
    size_t room, length;
    uint64_t held; /* of the bytes that all bodies may have */
    serve_job *job;
} inference;

/* ---- the body ---- */

/* Takes part of the memory for all bodies. */
static bool hold(serve_request *r, inference *i, uint64_t bytes)
{
    serve_site *site = r->site;
    if (bytes <= i->held) return true;
    uint64_t more = bytes - i->held;
    if (atomic_fetch_add(&site->bodies, more) + more <= site->most_bodies) {
        i->held = bytes;
        return true;
    }
    (void)atomic_fetch_sub(&site->bodies, more);
    serve_problem_later(r, "too many requests arrive at once");
    return false;
}

static void drop_body(serve_request *r, inference *i)
{
    (void)atomic_fetch_sub(&r->site->bodies, i->held);
    free(i->body);
    i->body = NULL;
    i->held = 0;
}

static void complain_of_size(serve_request *r)
{
    char text[128];
    snprintf(text, sizeof text, "more than the %llu bytes that a request may have",
             (unsigned long long)r->site->most_body);
    serve_problem(r, 413, FHOLA_OK, text);
}

static void begin_infer(serve_request *r)
{
    const char *request = serve_header(r, "Request-Id");
    inference *i = calloc(1, sizeof *i);
    r->state = i;
    if (!i) {
        serve_problem(r, 503, FHOLA_NOMEM, "no memory for a request");
        return;
    }
    if (request && !serve_is_request_id(request)) {
        serve_problem(r, 400, FHOLA_OK,
                      "a Request-Id has 1 to 64 letters, digits, and of - _ and .");
    } else if (r->length != SERVE_NO_LENGTH && r->length > r->site->most_body) {
        complain_of_size(r);
    } else if (hold(r, i, r->length == SERVE_NO_LENGTH ? 0 : r->length)) {
        i->job = serve_job_create(r->site->queue, r->network, r->owner, request ? request : "");
        if (!i->job) serve_problem(r, 503, FHOLA_NOMEM, "no memory for a request");
    }
}

static void take_infer(serve_request *r, const char *bytes, size_t length)
{
    inference *i = r->state;
    if (length > r->site->most_body - i->length) {
        complain_of_size(r);
        return;
    }
    if (i->length + length > i->room) {
        size_t room = i->length + length > 2 * i->room ? i->length + length : 2 * i->room;
        if (r->length != SERVE_NO_LENGTH && r->length > room) room = (size_t)r->length;
        if (!hold(r, i, room)) return;
        char *more = realloc(i->body, room);
        if (!more) {
            serve_problem(r, 503, FHOLA_NOMEM, "no memory for a request");
            return;
        }
        i->body = more;
        i->room = room;
    }
    memcpy(i->body + i->length, bytes, length);
    i->length += length;
}

/* ---- pictures ---- */

static void turn_away(serve_request *r, serve_admission admission)
{
    const inference *i = r->state;
    switch (admission) {
    case SERVE_ADMITTED: return;
    case SERVE_QUEUE_FULL:
        serve_problem_later(r, "the queue has no room for these pictures");
        return;
    case SERVE_TOO_FAST:
        serve_problem(r, 429, FHOLA_OK, "more pictures than a client may send a minute");
        serve_reply_number(r, "Retry-After", 1 + (uint64_t)serve_job_hold_off(i->job));
        return;
    case SERVE_SAME_ID:
        serve_problem(r, 409, FHOLA_OK, "a request of yours with this Request-Id is in the queue");
        return;
    case SERVE_CLOSED: serve_problem_later(r, "the server is about to end"); return;
    }
}

/* The keys of the first picture; false after a reply: the client has no such keys. */
static bool find_keys(serve_request *r, ckks_reader *reader, uint64_t *id)
{
    serve_set set;
    fhola_status status = ckks_reader_peek(reader, NULL, CKKS_FILE_CIPHERTEXT);
    if (status != FHOLA_OK) {
        serve_problem_failed(r, status, fhola_detail());
        return false;
    }
    *id = ckks_reader_head(reader).key;
    if (serve_store_find(r->site->store, r->owner, *id, &set) == SERVE_WHOLE) return true;
    serve_problem_no_keys(r);
    return false;
}

/* Room for a picture; false after a reply: there is none, and *more = 0. */
static bool reserve(serve_request *r, int *more)
{
    const inference *i = r->state;
    serve_admission admission = serve_job_reserve(i->job);
    if (admission == SERVE_ADMITTED) return true;
    turn_away(r, admission);
    *more = 0;
    return false;
}

/* *more = 0: there was none, or the reply says why it is not taken. */
static fhola_status receive_one(serve_request *r, ckks_reader *reader, uint64_t id, int *more)
{
    inference *i = r->state;
    ckks_ciphertext **picture = NULL;
    FHOLA_TRY(ckks_reader_peek(reader, more, CKKS_FILE_CIPHERTEXT));
    if (!*more) return FHOLA_OK;
    if (ckks_reader_head(reader).key != id)
        return fhola_fail(FHOLA_KEY, "the request: encrypted pictures of several keys");
    if (!reserve(r, more)) return FHOLA_OK;
    FHOLA_TRY(nn_server_receive(r->network->server, &picture, reader, more));
    for (unsigned k = 1; k < nn_encrypted_pictures(picture); k++)
        if (!reserve(r, more)) {
            nn_encrypted_destroy(picture);
            return FHOLA_OK;
        }
    return serve_job_add(i->job, picture);
}

static void receive_all(serve_request *r, uint64_t *id)
{
    inference *i = r->state;
    ckks_reader *reader = NULL;
    int more = 1;
    FILE *stream = i->length ? fmemopen(i->body, i->length, "rb") : NULL;
    if (!stream) {
        serve_problem(r, 422, FHOLA_FORMAT, "no encrypted picture arrived");
        return;
    }
    fhola_status status = ckks_reader_create(&reader, stream, "the request");
    if (status == FHOLA_OK && find_keys(r, reader, id))
        while (status == FHOLA_OK && more) status = receive_one(r, reader, *id, &more);
    if (status != FHOLA_OK) serve_problem_failed(r, status, fhola_detail());
    ckks_reader_destroy(reader);
    (void)fclose(stream);
}

/* ---- waiting ---- */

static bool is_gone(const serve_request *r)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (!info) return false;
#ifdef POLLRDHUP
    struct pollfd p = {.fd = info->connect_fd, .events = POLLRDHUP};
    return poll(&p, 1, 0) > 0 && p.revents != 0;
#else
    char byte;
    return recv(info->connect_fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
#endif
}

static void reply_results(serve_request *r, serve_stage stage)
{
    const inference *i = r->state;
    const char *detail;
    size_t length;
    if (stage == SERVE_DONE) {
        const char *results = serve_job_results(i->job, &length);
        serve_reply(r, 200, "application/octet-stream", results, length);
    } else if (stage == SERVE_TURNED_AWAY) {
        turn_away(r, SERVE_CLOSED);
    } else if (stage == SERVE_BROKEN) {
        fhola_status status = serve_job_error(i->job, &detail);
        serve_problem_failed(r, status, detail);
    } else {
        serve_problem(r, 409, FHOLA_CANCELLED, "the request was cancelled");
    }
}

static void wait_for_results(serve_request *r)
{
    const inference *i = r->state;
    serve_stage stage;
    do {
        stage = serve_job_wait(i->job, STEP);
        if (is_gone(r)) serve_job_cancel(i->job);
    } while (stage == SERVE_WAITING || stage == SERVE_RUNNING);
    reply_results(r, stage);
}

static void end_infer(serve_request *r)
{
    inference *i = r->state;
    uint64_t id = 0;
    receive_all(r, &id);
    drop_body(r, i);
    if (!r->code) turn_away(r, serve_queue_add(i->job, id));
    if (!r->code) wait_for_results(r);
    serve_job_destroy(i->job); /* a client may take his time to read the reply */
    i->job = NULL;
}

static void clear_infer(serve_request *r)
{
    inference *i = r->state;
    if (!i) return;
    drop_body(r, i);
    serve_job_destroy(i->job);
    free(i);
}

/* ---- cancelling ---- */

static void cancel(serve_request *r)
{
    if (serve_queue_cancel(r->site->queue, r->owner, r->id))
        serve_reply(r, 204, "application/json", "", 0);
    else
        serve_problem(r, 404, FHOLA_OK, "you have no such request in the queue");
}

const serve_route serve_route_infer = {
    .method = "POST",
    .path = "/v1/infer",
    .audience = SERVE_FOR_OWNERS,
    .body = true,
    .network = true,
    .begin = begin_infer,
    .take = take_infer,
    .end = end_infer,
    .clear = clear_infer,
};
const serve_route serve_route_cancel = {
    .method = "DELETE", .path = "/v1/infer/", .audience = SERVE_FOR_OWNERS, .end = cancel};
