/* SPDX-License-Identifier: Apache-2.0 */
/* PUT, GET and DELETE of /v1/keys/ID. */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/cmd/serve/http.h"

typedef struct upload {
    serve_upload *upload;
    uint64_t id, total;
    char
        secret[SERVE_SECRET_ROOM]; /* of an owner made by this request; "": of one that was there */
} upload;

/* ---- replies ---- */

static void reply_state(serve_request *r, unsigned code, uint64_t id, uint64_t there,
                        uint64_t total, bool whole)
{
    const upload *u = r->state;
    char secret[SERVE_SECRET_ROOM + 16] = "";
    if (u && *u->secret) snprintf(secret, sizeof secret, ",\"secret\":\"%s\"", u->secret);
    serve_reply_json(r, code,
                     "{\"id\":\"%016" PRIx64 "\",\"complete\":%s,\"received\":%" PRIu64
                     ",\"total\":%" PRIu64 "%s}\n",
                     id, whole ? "true" : "false", there, total, secret);
    serve_reply_number(r, "Upload-Offset", there);
    ckks_wipe(secret, sizeof secret);
}

static void reply_offset(serve_request *r, const upload *u)
{
    serve_set set;
    if (serve_store_find(r->site->store, r->owner, u->id, &set) == SERVE_PART)
        serve_reply_number(r, "Upload-Offset", set.bytes);
}

/* From SERVE_ABSENT on, what the store said. */
static void reply_failure(serve_request *r, const upload *u, serve_outcome outcome)
{
    const char *detail = fhola_detail();
    switch (outcome) {
    case SERVE_WHOLE:
    case SERVE_PART: return;
    case SERVE_ABSENT: serve_problem_no_keys(r); return;
    case SERVE_BUSY:
        serve_problem(r, 409, FHOLA_OK, detail);
        serve_reply_number(r, "Retry-After", r->site->timeout);
        return;
    case SERVE_GAP:
        serve_problem(r, 409, FHOLA_OK, detail);
        reply_offset(r, u);
        return;
    case SERVE_LIMIT: serve_problem(r, 413, FHOLA_OK, detail); return;
    case SERVE_FULL: serve_problem(r, 507, FHOLA_IO, detail); return;
    case SERVE_REFUSED: serve_problem(r, 422, serve_upload_status(u->upload), detail); return;
    case SERVE_FAILED: serve_problem(r, 500, FHOLA_IO, detail); return;
    }
}

/* ---- PUT ---- */

/* A decimal number; *text is then behind it. */
static bool take_number(const char **text, uint64_t *number)
{
    char *end;
    if (**text < '0' || **text > '9') return false;
    *number = strtoull(*text, &end, 10);
    *text = end;
    return true;
}

/* "bytes FIRST-LAST/TOTAL", or "bytes * /TOTAL" (without the blank): no bytes, at the end of those
 * that are there; without the header all of them. */
static bool read_range(const serve_request *r, serve_range *range)
{
    const char *text = serve_header(r, "Content-Range");
    uint64_t last;
    *range = (serve_range){0, r->length};
    if (!text) return r->length > 0;
    if (strncmp(text, "bytes ", 6) != 0) return false;
    text += 6;
    if (strncmp(text, "*/", 2) == 0) {
        text += 2;
        range->first = SERVE_AT_END;
        return take_number(&text, &range->total) && !*text && r->length == 0;
    }
    if (!take_number(&text, &range->first) || *text++ != '-') return false;
    if (!take_number(&text, &last) || *text++ != '/') return false;
    return take_number(&text, &range->total) && !*text && last >= range->first &&
           last < range->total && last - range->first + 1 == r->length;
}

/* Who comes without a secret gets one. */
static bool settle_owner(serve_request *r, upload *u)
{
    if (*r->owner) return true;
    fhola_status status = serve_access_make(u->secret, r->owner);
    if (status != FHOLA_OK) serve_problem_failed(r, status, fhola_detail());
    return status == FHOLA_OK;
}

static bool is_well_formed(serve_request *r, upload *u, serve_range *range)
{
    if (!serve_key_id(r->id, &u->id)) {
        serve_problem(r, 404, FHOLA_OK, "the id of keys has 16 hexadecimal digits");
        return false;
    }
    if (r->length == SERVE_NO_LENGTH) {
        serve_problem(r, 411, FHOLA_OK, "keys come with a Content-Length");
        return false;
    }
    if (read_range(r, range)) return true;
    serve_problem(r, 400, FHOLA_OK,
                  "bytes of keys come with their Content-Length, and perhaps a Content-Range: "
                  "bytes FIRST-LAST/TOTAL, or without any: bytes */TOTAL");
    return false;
}

static void begin_put(serve_request *r)
{
    serve_range range;
    upload *u = calloc(1, sizeof *u);
    if (!u) {
        serve_problem(r, 503, FHOLA_NOMEM, "no memory for an upload");
        return;
    }
    r->state = u;
    if (!is_well_formed(r, u, &range) || !settle_owner(r, u)) return;
    u->total = range.total;
    serve_outcome outcome = serve_upload_open(&u->upload, r->site->store, r->owner, u->id, range);
    if (outcome == SERVE_WHOLE && range.first == SERVE_AT_END)
        reply_state(r, 200, u->id, u->total, u->total, true);
    else if (outcome == SERVE_WHOLE)
        serve_problem(r, 409, FHOLA_OK, "these keys are complete already; DELETE removes them");
    else
        reply_failure(r, u, outcome);
}

static void leave(upload *u)
{
    serve_upload_close(u->upload);
    u->upload = NULL;
}

static void take_put(serve_request *r, const char *bytes, size_t length)
{
    upload *u = r->state;
    (void)atomic_fetch_add(&r->site->uploaded, length);
    reply_failure(r, u, serve_upload_write(u->upload, bytes, length));
    if (r->code) leave(u); /* whatever else arrives */
}

static void end_put(serve_request *r)
{
    upload *u = r->state;
    serve_outcome outcome = serve_upload_finish(u->upload);
    if (outcome == SERVE_WHOLE)
        reply_state(r, 201, u->id, u->total, u->total, true);
    else if (outcome == SERVE_PART)
        reply_state(r, 202, u->id, serve_upload_bytes(u->upload), u->total, false);
    else
        reply_failure(r, u, outcome);
    leave(u); /* before the reply: who has read it may send the next part at once */
}

/* Whose secret was never told is nobody: no one can go on with, use or remove what he sent. */
static void forget_nobody(const serve_request *r, const upload *u)
{
    const bool known = r->told && r->code < 300;
    if (*u->secret && !known) (void)serve_store_remove(r->site->store, r->owner, u->id);
}

static void clear_put(serve_request *r)
{
    upload *u = r->state;
    if (!u) return;
    serve_upload_close(u->upload);
    forget_nobody(r, u);
    ckks_wipe(u->secret, sizeof u->secret);
    free(u);
}

/* ---- GET and DELETE ---- */

static void get_keys(serve_request *r)
{
    uint64_t id;
    serve_set set;
    serve_outcome outcome = serve_key_id(r->id, &id)
                                ? serve_store_find(r->site->store, r->owner, id, &set)
                                : SERVE_ABSENT;
    if (outcome == SERVE_WHOLE)
        reply_state(r, 200, id, set.bytes, set.total, true);
    else if (outcome == SERVE_PART)
        reply_state(r, 202, id, set.bytes, set.total, false);
    else if (outcome == SERVE_ABSENT)
        serve_problem_no_keys(r);
    else
        serve_problem(r, 500, FHOLA_IO, fhola_detail());
}

static void delete_keys(serve_request *r)
{
    uint64_t id;
    serve_outcome outcome =
        serve_key_id(r->id, &id) ? serve_store_remove(r->site->store, r->owner, id) : SERVE_ABSENT;
    if (outcome == SERVE_ABSENT) {
        serve_problem_no_keys(r);
    } else if (outcome != SERVE_WHOLE) {
        serve_problem(r, 500, FHOLA_IO, fhola_detail());
    } else {
        serve_cache_forget(r->site->cache, r->owner, id);
        serve_reply(r, 204, "application/json", "", 0);
    }
}

const serve_route serve_route_put_keys = {
    .method = "PUT",
    .path = "/v1/keys/",
    .audience = SERVE_FOR_NEW_OWNERS,
    .body = true,
    .begin = begin_put,
    .take = take_put,
    .end = end_put,
    .clear = clear_put,
};
const serve_route serve_route_get_keys = {
    .method = "GET", .path = "/v1/keys/", .audience = SERVE_FOR_OWNERS, .end = get_keys};
const serve_route serve_route_delete_keys = {
    .method = "DELETE", .path = "/v1/keys/", .audience = SERVE_FOR_OWNERS, .end = delete_keys};
