/* SPDX-License-Identifier: Apache-2.0 */
/* Replies and problem documents (RFC 9457). */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/cmd/serve/http.h"

#define DETAIL_ROOM  512u  /* as long as the library's */
#define LONGEST_WAIT 600.0 /* seconds that Retry-After may ask for */

void serve_reply_with(serve_request *r, unsigned code, struct MHD_Response *response)
{
    if (r->response) MHD_destroy_response(r->response);
    r->response = response;
    r->code = code;
    r->size = SERVE_NO_LENGTH;
    if (!response) return;
    serve_reply_header(r, "Cache-Control", "no-store");
    serve_reply_header(r, "X-Content-Type-Options", "nosniff");
    if (serve_queue_count(r->site->queue).closed) serve_reply_header(r, "Connection", "close");
}

void serve_reply(serve_request *r, unsigned code, const char *type, const void *bytes,
                 size_t length)
{
    serve_reply_with(
        r, code,
        MHD_create_response_from_buffer(length, (void *)(uintptr_t)bytes, MHD_RESPMEM_MUST_COPY));
    r->size = length;
    serve_reply_header(r, "Content-Type", type);
}

void serve_reply_header(serve_request *r, const char *name, const char *value)
{
    if (r->response) (void)MHD_add_response_header(r->response, name, value);
}

void serve_reply_number(serve_request *r, const char *name, uint64_t value)
{
    char text[32];
    snprintf(text, sizeof text, "%" PRIu64, value);
    serve_reply_header(r, name, text);
}

void serve_reply_json(serve_request *r, unsigned code, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (length < 0 || (size_t)length >= sizeof text) length = 0;
    serve_reply(r, code, "application/json", text, (size_t)length);
}

/* ---- problems ---- */

/* `text` is printable, as fhola_escape makes it. */
static void escape_quotes(char *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '"' || *text == '\\') *out++ = '\\';
        *out++ = *text;
    }
    *out = 0;
}

void serve_problem(serve_request *r, unsigned code, fhola_status status, const char *detail)
{
    char shown[DETAIL_ROOM], quoted[2 * DETAIL_ROOM], text[3 * DETAIL_ROOM], library[64] = "";
    fhola_escape(shown, sizeof shown, detail);
    escape_quotes(quoted, shown);
    if (status != FHOLA_OK)
        snprintf(library, sizeof library, ",\"fhola_status\":\"%s\"", fhola_strerror(status));
    int length = snprintf(text, sizeof text,
                          "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%u,"
                          "\"detail\":\"%s\"%s}\n",
                          MHD_get_reason_phrase_for(code), code, quoted, library);
    serve_reply(r, code, "application/problem+json", text, (size_t)length);
}

void serve_problem_failed(serve_request *r, fhola_status status, const char *detail)
{
    switch (status) {
    case FHOLA_NOMEM: serve_problem(r, 503, status, detail); return;
    case FHOLA_IO: serve_problem(r, 500, status, detail); return;
    default: serve_problem(r, 422, status, detail); return;
    }
}

void serve_problem_no_keys(serve_request *r)
{
    serve_problem(r, 404, FHOLA_KEY,
                  "there are no such evaluation keys, or they are another client's");
}

void serve_problem_later(serve_request *r, const char *detail)
{
    serve_queue_figures queue = serve_queue_count(r->site->queue);
    double seconds = 1 + (double)queue.pictures * queue.typical;
    serve_problem(r, 503, FHOLA_OK, detail);
    serve_reply_number(r, "Retry-After",
                       (uint64_t)(seconds < LONGEST_WAIT ? seconds : LONGEST_WAIT));
}
