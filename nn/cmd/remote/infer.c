/* SPDX-License-Identifier: Apache-2.0 */
/* Encrypted pictures to the server, results from it, and meanwhile how far it is. */
#define _DEFAULT_SOURCE /* getentropy */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "nn/cmd/remote/json.h"
#include "nn/cmd/remote/session.h"
#include "nn/cmd/stream.h"

#define MOST_RESULT (UINT64_C(8) << 20) /* bytes of one result */
#define UNITS       1000.0              /* of a picture, in progress */
#define ID_BYTES    16u
#define ID_ROOM     (2 * ID_BYTES + 1)
#define PATH_ROOM   64u

/* A request for inference, and what is known of it. */
typedef struct asking {
    remote_session *session;
    const remote_pictures *pictures;
    char path[REMOTE_PATH_ROOM], id[ID_ROOM];
    size_t picture; /* that is worked on, from 0 */
    double done;    /* of it */
    char detail[96];
} asking;

/* ---- progress ---- */

static void show(void *arg, uint64_t sent)
{
    const asking *a = arg;
    (void)sent;
    nn_cmd_progress_at("layers", (size_t)(UNITS * a->done), (size_t)UNITS, a->detail);
}

static void begin_picture(asking *a, size_t picture)
{
    const remote_pictures *p = a->pictures;
    a->picture = picture;
    a->done = 0;
    if (p->all > 1) nn_cmd_progress_picture(p->first + picture + 1, p->all, 1);
}

static size_t whole(const char *json, const char *key)
{
    double number = 0;
    return remote_json_number(json, key, &number) && number >= 0 && number < 1e9 ? (size_t)number
                                                                                 : 0;
}

/* "layer 3 of 20, bootstrap" */
static void take_running(asking *a, const char *json)
{
    char step[48] = "";
    double done = 0;
    const size_t picture = whole(json, "picture"), layer = whole(json, "layer");
    if (picture > a->picture + 1 && picture <= a->pictures->count) begin_picture(a, picture - 1);
    if (remote_json_number(json, "done", &done) && done > a->done && done <= 1) a->done = done;
    if (!layer) {
        snprintf(a->detail, sizeof a->detail, "the server begins");
        return;
    }
    (void)remote_json_text(json, "step", step, sizeof step);
    if (!fhola_is_printable(step, strlen(step)) || strpbrk(step, "\"\\")) *step = 0;
    snprintf(a->detail, sizeof a->detail, "layer %zu of %zu%s%s", layer, whole(json, "layers"),
             *step ? ", " : "", step);
}

/* A line of server-sent events (WHATWG HTML, section 9.2). */
static void take_event(void *arg, const char *line)
{
    asking *a = arg;
    char state[16];
    if (strncmp(line, "data:", 5) != 0) return;
    const char *json = line + 5;
    if (!remote_json_text(json, "state", state, sizeof state)) return;
    if (strcmp(state, "running") == 0) take_running(a, json);
    if (strcmp(state, "waiting") != 0) return;
    const size_t place = whole(json, "place");
    if (place)
        snprintf(a->detail, sizeof a->detail, "waiting, %zu picture%s in front", place,
                 place == 1 ? "" : "s");
    else
        snprintf(a->detail, sizeof a->detail, "waiting, next");
}

/* ---- requests ---- */

static fhola_status name_request(asking *a)
{
    unsigned char random[ID_BYTES];
    if (getentropy(random, sizeof random) != 0)
        return fhola_fail(FHOLA_IO, "no randomness: %s", strerror(errno));
    for (size_t i = 0; i < sizeof random; i++) sprintf(a->id + 2 * i, "%02x", random[i]);
    return FHOLA_OK;
}

/* The server also notices that the connection ends, unless a proxy keeps that from it. */
static void cancel(const asking *a)
{
    char path[PATH_ROOM];
    remote_reply reply = {.code = 0};
    snprintf(path, sizeof path, "/v1/infer/%s", a->id);
    const remote_request r = {.method = "DELETE",
                              .path = path,
                              .secret = a->session->secret,
                              .most = 4096,
                              .last_word = true};
    if (remote_http_send(a->session->http, &r, &reply) != FHOLA_OK) reply.code = 0;
    remote_reply_clear(&reply);
}

static fhola_status ask(asking *a, size_t count, remote_reply *reply)
{
    char header[64], watched[PATH_ROOM];
    const remote_session *s = a->session;
    FHOLA_TRY(name_request(a));
    snprintf(header, sizeof header, "Request-Id: %s", a->id);
    snprintf(watched, sizeof watched, "/v1/progress/%s", a->id);
    const remote_request watch = {
        .method = "GET", .path = watched, .secret = s->secret, .line = take_event, .arg = a};
    const remote_request r = {.method = "POST",
                              .path = a->path,
                              .secret = s->secret,
                              .header = {header, "Content-Type: application/octet-stream"},
                              .body = a->pictures->bytes,
                              .length = a->pictures->end[count - 1],
                              .most = count * MOST_RESULT,
                              .turn = show,
                              .arg = a,
                              .beside = &watch};
    snprintf(a->detail, sizeof a->detail, "sending");
    begin_picture(a, 0);
    fhola_status status = remote_http_send(s->http, &r, reply);
    if (status != FHOLA_OK) cancel(a);
    return status;
}

/* The server has lost the keys, or another program has removed them. */
static fhola_status restore_keys(remote_session *s)
{
    FHOLA_TRY(remote_folder_lock(&s->folder));
    fhola_status status = s->token ? FHOLA_OK : remote_folder_read_secret(&s->folder, s->secret);
    if (status == FHOLA_OK) status = remote_upload(s);
    remote_folder_unlock(&s->folder);
    return status;
}

/* What a request may have is not told: with fewer pictures it may be let in. */
static bool ask_for_less(size_t *count, const remote_reply *reply)
{
    if (*count == 1 || (reply->code != 413 && reply->code != 503)) return false;
    *count = reply->code == 413 ? *count / 2 : 1;
    return true;
}

fhola_status remote_infer(remote_session *s, const remote_pictures *pictures, size_t *answered,
                          remote_reply *reply)
{
    asking a = {.session = s, .pictures = pictures};
    snprintf(a.path, sizeof a.path, "%s/infer", s->network);
    size_t count = pictures->count;
    unsigned tries = 0, restored = 0;
    for (;;) {
        fhola_status status = ask(&a, count, reply);
        *answered = count;
        if (status == FHOLA_OK && reply->code == 200) return FHOLA_OK;
        if (status != FHOLA_OK && !reply->broken) return status;
        if (status == FHOLA_OK) status = remote_http_refused(s->http, a.path, reply);
        const bool lost = reply->code == 404 && restored++ < 2;
        const bool less = ask_for_less(&count, reply);
        const bool again = remote_is_passing(reply) && remote_try_again(&tries, reply->retry);
        if (nn_cmd_interrupted()) return fhola_fail(FHOLA_CANCELLED, "interrupted");
        if (!lost && !less && !again) return status;
        remote_reply_clear(reply);
        if (lost) FHOLA_TRY(restore_keys(s));
    }
}
