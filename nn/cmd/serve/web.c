/* SPDX-License-Identifier: Apache-2.0 */
/* GET of / and of the files that the page consists of. */
#define _POSIX_C_SOURCE 200809L
#include "nn/cmd/serve/web.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/cmd/cmd.h"
#include "nn/cmd/serve/http.h"
#include "nn/cmd/serve/sha256.h"

#define MOST_BYTES ((size_t)16 << 20) /* of a file */
#define TAG_BYTES  16u                /* of its hash */
#define PICTURE(name)                                                                              \
    {                                                                                              \
        name ".ppm", "image/x-portable-pixmap"                                                     \
    }

/* What the page may do: run its own scripts and its WebAssembly, in a worker that it made from a
 * script with the right hash; ask this server. Nothing from elsewhere, nothing inline. */
static const char policy[] =
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; worker-src blob:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'";

static const struct {
    const char *name, *type;
} files[] = {
    {"index.html", "text/html; charset=utf-8"},
    {"client.wasm", "application/wasm"},
    {"icon.svg", "image/svg+xml"},
    {"keep.js", "text/javascript; charset=utf-8"},
    {"keys.js", "text/javascript; charset=utf-8"},
    {"library.js", "text/javascript; charset=utf-8"},
    {"page.js", "text/javascript; charset=utf-8"},
    {"picture.js", "text/javascript; charset=utf-8"},
    {"server.js", "text/javascript; charset=utf-8"},
    {"style.css", "text/css; charset=utf-8"},
    {"worker.js", "text/javascript; charset=utf-8"},
    PICTURE("airplane"),
    PICTURE("automobile"),
    PICTURE("bird"),
    PICTURE("cat"),
    PICTURE("deer"),
    PICTURE("dog"),
    PICTURE("frog"),
    PICTURE("horse"),
    PICTURE("ship"),
    PICTURE("truck"),
};
#define FILES (sizeof files / sizeof *files)

struct serve_web {
    struct {
        unsigned char *bytes;
        size_t length;
        char tag[2 * TAG_BYTES + 3];
    } file[FILES];
};

/* ---- the files ---- */

static fhola_status read_file(serve_web *w, size_t i, const char *folder)
{
    char *path = NULL, hash[SERVE_HASH_HEX];
    unsigned char digest[SERVE_HASH_BYTES];
    size_t room = strlen(folder) + strlen(files[i].name) + 2;
    path = malloc(room);
    if (!path) return fhola_fail(FHOLA_NOMEM, "no memory for a file name");
    snprintf(path, room, "%s/%s", folder, files[i].name);
    fhola_status status =
        nn_cmd_read_input(&w->file[i].bytes, &w->file[i].length, path, MOST_BYTES);
    free(path);
    FHOLA_TRY(status);
    serve_sha256(digest, w->file[i].bytes, w->file[i].length);
    serve_hex(hash, digest, sizeof digest);
    snprintf(w->file[i].tag, sizeof w->file[i].tag, "\"%.*s\"", (int)(2 * TAG_BYTES), hash);
    return FHOLA_OK;
}

fhola_status serve_web_open(serve_web **web, const char *folder)
{
    serve_web *w = calloc(1, sizeof *w);
    if (!w) return fhola_fail(FHOLA_NOMEM, "no memory for the page");
    fhola_status status = FHOLA_OK;
    for (size_t i = 0; status == FHOLA_OK && i < FILES; i++) status = read_file(w, i, folder);
    if (status != FHOLA_OK)
        serve_web_close(w);
    else
        *web = w;
    return status;
}

void serve_web_close(serve_web *w)
{
    if (!w) return;
    for (size_t i = 0; i < FILES; i++) nn_cmd_free_input(w->file[i].bytes, w->file[i].length);
    free(w);
}

/* The number of the file; FILES: it is none. */
static size_t find(const char *path)
{
    size_t i = 0;
    if (strcmp(path, "/") == 0) return 0;
    while (i < FILES && strcmp(path + 1, files[i].name) != 0) i++;
    return i;
}

bool serve_web_has(const serve_web *w, const char *path)
{
    return w && path[0] == '/' && find(path) < FILES;
}

/* ---- requests ---- */

static void get_file(serve_request *r)
{
    const serve_web *w = r->site->web;
    const size_t i = find(r->path);
    const char *known = serve_header(r, "If-None-Match");
    const bool same = known && strcmp(known, w->file[i].tag) == 0;
    serve_reply_with(r, same ? 304 : 200,
                     MHD_create_response_from_buffer(same ? 0 : w->file[i].length, w->file[i].bytes,
                                                     MHD_RESPMEM_PERSISTENT));
    if (!r->response) return;
    (void)MHD_del_response_header(r->response, "Cache-Control", "no-store");
    serve_reply_header(r, "Cache-Control", "no-cache"); /* kept, but asked for each time */
    serve_reply_header(r, "ETag", w->file[i].tag);
    serve_reply_header(r, "Content-Type", files[i].type);
    serve_reply_header(r, "Content-Security-Policy", policy);
    serve_reply_header(r, "Cross-Origin-Opener-Policy", "same-origin");
    serve_reply_header(r, "Cross-Origin-Resource-Policy", "same-origin");
    serve_reply_header(r, "Referrer-Policy", "no-referrer");
}

const serve_route serve_route_web = {.method = "GET", .path = "/", .end = get_file};
