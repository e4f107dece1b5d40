/* SPDX-License-Identifier: Apache-2.0 */
/* GET of /v1/progress/REQUEST: server-sent events (WHATWG HTML, section 9.2). */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/cmd/cmd.h"
#include "nn/cmd/serve/http.h"

#define EVENT_ROOM 512u
#define BLOCK      1024u
/* Seconds after which a comment shows that the server is still there, and whether the client is; at
 * most this share of the time-out, at which libmicrohttpd would end it. */
#define SILENCE       5.0
#define SILENCE_SHARE 0.25
#define STEP          1000.0 /* milliseconds */

typedef struct watching {
    serve_queue *queue;
    char owner[SERVE_OWNER_ROOM], request[SERVE_REQUEST_ROOM];
    char last[EVENT_ROOM]; /* the event that was sent last; "": none */
    bool ended;
    double silence; /* seconds */
} watching;

static void format_event(char event[EVENT_ROOM], const serve_progress *p)
{
    char step[128] = "", remaining[48] = "";
    if (p->stage == SERVE_WAITING) {
        snprintf(event, EVENT_ROOM, "data: {\"state\":\"waiting\",\"place\":%zu}\n\n", p->place);
        return;
    }
    if (p->step)
        snprintf(step, sizeof step, ",\"layer\":%zu,\"layers\":%zu,\"step\":\"%s\"", p->layer,
                 p->layers, p->step);
    if (p->remaining >= 0)
        snprintf(remaining, sizeof remaining, ",\"remaining\":%.1f", p->remaining);
    snprintf(event, EVENT_ROOM,
             "data: {\"state\":\"running\",\"picture\":%zu,\"pictures\":%zu,\"done\":%.3f%s%s}\n\n",
             p->picture, p->pictures, p->share, step, remaining);
}

/* The next event: of something new, or a comment when that takes long. */
static void next_event(watching *w, char event[EVENT_ROOM])
{
    serve_progress p;
    double end = nn_cmd_now() + w->silence;
    const unsigned step = (unsigned)fmin(STEP, 1000 * w->silence);
    unsigned wait = *w->last ? step : 0;
    while (nn_cmd_now() < end) {
        if (!serve_queue_look(w->queue, w->owner, w->request, &p, wait)) {
            snprintf(event, EVENT_ROOM, "data: {\"state\":\"ended\"}\n\n");
            w->ended = true;
            return;
        }
        format_event(event, &p);
        if (strcmp(event, w->last) != 0) {
            memcpy(w->last, event, EVENT_ROOM);
            return;
        }
        wait = step;
    }
    snprintf(event, EVENT_ROOM, ":\n\n");
}

static ssize_t send_event(void *arg, uint64_t position, char *out, size_t room)
{
    watching *w = arg;
    char event[EVENT_ROOM];
    (void)position;
    if (w->ended) return MHD_CONTENT_READER_END_OF_STREAM;
    next_event(w, event);
    size_t length = strlen(event);
    if (length > room) return MHD_CONTENT_READER_END_WITH_ERROR; /* blocks have room for one */
    memcpy(out, event, length);
    return (ssize_t)length;
}

static void end_progress(serve_request *r)
{
    serve_progress p;
    if (!serve_queue_look(r->site->queue, r->owner, r->id, &p, 0)) {
        serve_problem(r, 404, FHOLA_OK, "you have no such request in the queue");
        return;
    }
    watching *w = calloc(1, sizeof *w);
    if (!w) {
        serve_problem(r, 503, FHOLA_NOMEM, "no memory for progress");
        return;
    }
    w->queue = r->site->queue;
    w->silence = fmin(SILENCE, SILENCE_SHARE * r->site->timeout);
    snprintf(w->owner, sizeof w->owner, "%s", r->owner);
    snprintf(w->request, sizeof w->request, "%s", r->id);
    struct MHD_Response *response =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK, send_event, w, free);
    if (!response) free(w);
    serve_reply_with(r, 200, response);
    serve_reply_header(r, "Content-Type", "text/event-stream");
    serve_reply_header(r, "X-Accel-Buffering", "no"); /* nginx is to pass on each event */
}

const serve_route serve_route_progress = {
    .method = "GET", .path = "/v1/progress/", .audience = SERVE_FOR_OWNERS, .end = end_progress};
