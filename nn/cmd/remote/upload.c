/* SPDX-License-Identifier: Apache-2.0 */
/* Keys: from here to the server, in pieces, each of which the server has for good. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "nn/cmd/remote/json.h"
#include "nn/cmd/remote/session.h"
#include "nn/cmd/stream.h"

#define PIECE       (UINT64_C(32) << 20)
#define MOST_REPLY  (64u << 10)
#define MOST_TRIES  12u
#define LONGEST     8.0 /* seconds between two tries */
#define PATH_ROOM   64u
#define HEADER_ROOM 96u

typedef struct upload {
    remote_session *session;
    FILE *file;
    char path[PATH_ROOM]; /* of the URL */
    uint64_t key, total;
    uint64_t at;       /* bytes that the server has */
    bool known, whole; /* known: `at` is */
    bool anew;         /* what it has is of another length */
    unsigned tries;    /* since the last byte arrived */
} upload;

/* ---- trying again ---- */

bool remote_is_passing(const remote_reply *reply)
{
    return reply->broken || reply->code == 502 || reply->code == 503 || reply->code == 504;
}

bool remote_try_again(unsigned *tries, double seconds)
{
    if (++*tries > MOST_TRIES) return false;
    if (seconds < 0) seconds = 0.25 * (double)(1u << *tries);
    return remote_wait(seconds < LONGEST ? seconds : LONGEST) == FHOLA_OK;
}

/* ---- progress ---- */

static void show(void *arg, uint64_t sent)
{
    const upload *u = arg;
    char detail[64];
    snprintf(detail, sizeof detail, "keys to the server, %.1f of %.1f MB",
             (double)(u->at + sent) / 1e6, (double)u->total / 1e6);
    nn_cmd_progress_at("upload", (size_t)((u->at + sent) >> 10), (size_t)(u->total >> 10) + 1,
                       detail);
}

/* ---- replies ---- */

/* How much the server says that it has; and, once, by what it will know the owner. */
static fhola_status take_state(upload *u, const remote_reply *reply)
{
    remote_session *s = u->session;
    char secret[REMOTE_SECRET_ROOM];
    double received = -1;
    bool complete = false;
    const uint64_t before = u->at;
    if (!remote_json_bool(reply->body, "complete", &complete) ||
        !remote_json_number(reply->body, "received", &received) || received < 0 ||
        received > (double)u->total || (complete && received < (double)u->total))
        return fhola_fail(FHOLA_FORMAT,
                          "%s%s: the answer does not say how much of the keys is "
                          "there",
                          remote_http_url(s->http), u->path);
    if (!s->token && remote_json_text(reply->body, "secret", secret, sizeof secret)) {
        memcpy(s->secret, secret, sizeof secret);
        FHOLA_TRY(remote_folder_write_secret(&s->folder, secret));
    }
    u->at = (uint64_t)received;
    u->known = true;
    u->whole = complete;
    u->anew = false;
    if (u->at > before) u->tries = 0;
    return FHOLA_OK;
}

/* A server that has forgotten the owner tells him what it tells strangers. */
static bool begin_as_another(upload *u)
{
    remote_session *s = u->session;
    if (s->token || !*s->secret) return false;
    ckks_wipe(s->secret, sizeof s->secret);
    *s->secret = 0;
    u->at = 0;
    return true;
}

/* A gap, where the server has another number of bytes than was thought, has no time to wait for. */
static fhola_status take_conflict(upload *u, fhola_status refused, const remote_reply *reply)
{
    const bool busy = reply->retry >= 0, began = !u->known;
    u->known = false;
    if (busy) return remote_try_again(&u->tries, -1) ? FHOLA_OK : refused;
    u->anew = began && !u->anew;
    if (u->anew) u->at = 0;
    return remote_try_again(&u->tries, 0) ? FHOLA_OK : refused;
}

static fhola_status take_reply(upload *u, const remote_reply *reply, fhola_status status)
{
    if (status == FHOLA_OK && reply->code >= 200 && reply->code <= 202) return take_state(u, reply);
    if (status != FHOLA_OK && !reply->broken) return status;
    if (status == FHOLA_OK) status = remote_http_refused(u->session->http, u->path, reply);
    if (reply->code == 409) return take_conflict(u, status, reply);
    u->known = false;
    if (reply->code == 404 && begin_as_another(u)) return FHOLA_OK;
    if (remote_is_passing(reply) && remote_try_again(&u->tries, reply->retry)) return FHOLA_OK;
    return status;
}

/* ---- requests ---- */

static fhola_status send(upload *u, remote_request *r)
{
    remote_reply reply = {.code = 0};
    r->method = "PUT";
    r->path = u->path;
    r->secret = u->session->secret;
    r->most = MOST_REPLY;
    r->arg = u;
    fhola_status status = remote_http_send(u->session->http, r, &reply);
    status = take_reply(u, &reply, status);
    if (reply.body) ckks_wipe(reply.body, reply.length);
    remote_reply_clear(&reply);
    return nn_cmd_interrupted() ? fhola_fail(FHOLA_CANCELLED, "interrupted") : status;
}

/* Also tells how much is there. A new client has his secret before the long part comes. */
static fhola_status begin(upload *u)
{
    char range[HEADER_ROOM];
    snprintf(range, sizeof range, "Content-Range: bytes */%" PRIu64, u->total);
    return send(u, &(remote_request){.header = {range}});
}

static fhola_status send_piece(upload *u)
{
    char range[HEADER_ROOM];
    const uint64_t first = u->anew ? 0 : u->at, left = u->total - first;
    const uint64_t length = left < PIECE ? left : PIECE;
    snprintf(range, sizeof range, "Content-Range: bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, first,
             first + length - 1, u->total);
    return send(
        u, &(remote_request){
               .header = {range}, .file = u->file, .first = first, .length = length, .turn = show});
}

/* The file, and whether it is of the secret key: nobody can use it otherwise. */
static fhola_status open_keys(upload *u)
{
    char path[NN_CMD_PATH_ROOM];
    ckks_reader *reader = NULL;
    struct stat info;
    FHOLA_TRY(remote_folder_path(&u->session->folder, "eval.keys", path));
    u->file = fopen(path, "rb");
    if (!u->file || fstat(fileno(u->file), &info) != 0)
        return fhola_fail(FHOLA_IO,
                          "%s: %s; the server wants these keys, --forget and new ones "
                          "will do",
                          path, strerror(errno));
    u->total = (uint64_t)info.st_size;
    FHOLA_TRY(ckks_reader_create(&reader, u->file, path));
    fhola_status status = ckks_reader_peek(reader, NULL, CKKS_FILE_EVAL_KEYS);
    if (status == FHOLA_OK && ckks_reader_head(reader).key != u->key)
        status = fhola_fail(FHOLA_KEY, "%s: keys %016" PRIx64 ", the secret key is %016" PRIx64,
                            path, ckks_reader_head(reader).key, u->key);
    ckks_reader_destroy(reader);
    return status;
}

static fhola_status send_all(upload *u)
{
    const double start = nn_cmd_now();
    fhola_status status = open_keys(u);
    while (status == FHOLA_OK && !u->whole) status = u->known || u->anew ? send_piece(u) : begin(u);
    if (u->file) (void)fclose(u->file);
    if (status == FHOLA_OK) u->session->upload_seconds = nn_cmd_now() - start;
    return status;
}

static void name_path(char path[PATH_ROOM], uint64_t key)
{
    snprintf(path, PATH_ROOM, "/v1/keys/%016" PRIx64, key);
}

/* Whether the server has them all already. Without a secret it need not be asked. */
static fhola_status look(upload *u)
{
    remote_session *s = u->session;
    remote_reply reply = {.code = 0};
    bool complete = false;
    unsigned tries = 0;
    fhola_status status;
    const remote_request r = {
        .method = "GET", .path = u->path, .secret = s->secret, .most = MOST_REPLY};
    do {
        remote_reply_clear(&reply);
        status = remote_http_send(s->http, &r, &reply);
        if (status == FHOLA_OK && remote_is_passing(&reply))
            status = remote_http_refused(s->http, u->path, &reply);
    } while (status != FHOLA_OK && remote_is_passing(&reply) &&
             remote_try_again(&tries, reply.retry));
    if (status == FHOLA_OK && reply.code == 200 &&
        !(remote_json_bool(reply.body, "complete", &complete) && complete))
        status = fhola_fail(FHOLA_FORMAT,
                            "%s%s: the answer does not say whether the keys are "
                            "there",
                            remote_http_url(s->http), u->path);
    else if (status == FHOLA_OK && reply.code != 200 && reply.code != 202 && reply.code != 404)
        status = remote_http_refused(s->http, u->path, &reply);
    u->whole = complete;
    remote_reply_clear(&reply);
    return status;
}

fhola_status remote_upload(remote_session *s)
{
    upload u = {.session = s, .key = nn_owner_key(s->owner)};
    name_path(u.path, u.key);
    if (*s->secret) FHOLA_TRY(look(&u));
    return u.whole ? FHOLA_OK : send_all(&u);
}

fhola_status remote_delete(remote_session *s, uint64_t key)
{
    char path[PATH_ROOM];
    remote_reply reply = {.code = 0};
    name_path(path, key);
    const remote_request r = {
        .method = "DELETE", .path = path, .secret = s->secret, .most = MOST_REPLY};
    fhola_status status = remote_http_send(s->http, &r, &reply);
    if (status == FHOLA_OK && reply.code != 204 && reply.code != 200 && reply.code != 404)
        status = remote_http_refused(s->http, path, &reply);
    remote_reply_clear(&reply);
    return status;
}
