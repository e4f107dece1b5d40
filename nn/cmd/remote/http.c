/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "nn/cmd/remote/http.h"

#include <ctype.h>
#include <curl/curl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "nn/cmd/remote/json.h"
#include "nn/cmd/stream.h"

#define CONNECT_SECONDS 30L
#define TURN            100         /* milliseconds between two looks at signals */
#define REST            1.0         /* seconds between two requests beside another */
#define LAST_WORD       3.0         /* seconds for a request after a signal */
#define MOST_HEADERS    (64u << 10) /* bytes of a reply */
#define PIECE           (64u << 10) /* first room for a body */
#define LONGEST_URL     1024u

struct remote_http {
    CURLM *multi;
    char *url;  /* without a slash at its end */
    char *name; /* of a folder */
    char *cacert;
    bool local; /* the server is on this machine */
    double timeout;
    double moved; /* when something was last sent or came */
};

/* A request on its way. */
typedef struct transfer {
    remote_http *http;
    const remote_request *request;
    remote_reply *reply;
    CURL *easy;
    struct curl_slist *headers;
    char error[CURL_ERROR_SIZE];
    uint64_t at; /* of the request's body */
    size_t room, header_bytes, in_line;
    char line[REMOTE_LINE];
    bool too_long, ended;
    CURLcode result;
} transfer;

/* ---- the server's URL ---- */

static fhola_status no_url(const char *url)
{
    return fhola_fail(FHOLA_PARAM,
                      "'%s' is no URL of a server: http:// or https://, a host, perhaps a port "
                      "and a path",
                      url);
}

/* The parts of an URL, and where they stand in names. */
typedef struct parts {
    char *scheme, *host, *port, *path;
} parts;

static void clear_parts(parts *p)
{
    curl_free(p->scheme);
    curl_free(p->host);
    curl_free(p->port);
    curl_free(p->path);
}

static bool has(CURLU *u, CURLUPart part)
{
    char *text = NULL;
    bool found = curl_url_get(u, part, &text, 0) == CURLUE_OK;
    curl_free(text);
    return found;
}

/* Nothing that belongs to no server: a password would be shown, a query would be lost. */
static bool split_url(parts *p, const char *url)
{
    CURLU *u = curl_url();
    bool good = u && strlen(url) < LONGEST_URL &&
                curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK && !has(u, CURLUPART_USER) &&
                !has(u, CURLUPART_PASSWORD) && !has(u, CURLUPART_QUERY) &&
                !has(u, CURLUPART_FRAGMENT) &&
                curl_url_get(u, CURLUPART_SCHEME, &p->scheme, 0) == CURLUE_OK &&
                curl_url_get(u, CURLUPART_HOST, &p->host, 0) == CURLUE_OK &&
                curl_url_get(u, CURLUPART_PORT, &p->port, CURLU_DEFAULT_PORT) == CURLUE_OK &&
                curl_url_get(u, CURLUPART_PATH, &p->path, 0) == CURLUE_OK;
    curl_url_cleanup(u);
    if (!good || (strcmp(p->scheme, "http") != 0 && strcmp(p->scheme, "https") != 0)) return false;
    for (char *c = p->host; *c; c++) *c = (char)tolower((unsigned char)*c);
    for (size_t n = strlen(p->path); n && p->path[n - 1] == '/';) p->path[--n] = 0;
    return true;
}

/* Letters, digits, '.' and '-' are themselves, '/' is '_', others %XX: no two servers have one
 * name. */
static char *append_name(char *out, const char *text)
{
    for (; *text; text++) {
        const unsigned char c = (unsigned char)*text;
        if (isalnum(c) || c == '.' || c == '-')
            *out++ = (char)c;
        else if (c == '/')
            *out++ = '_';
        else
            out += sprintf(out, "%%%02X", c);
    }
    *out = 0;
    return out;
}

static bool is_local(const char *host)
{
    bool numbers = strspn(host, "0123456789.") == strlen(host);
    return strcmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0 ||
           (numbers && strncmp(host, "127.", 4) == 0);
}

static fhola_status take_url(remote_http *h, const char *url)
{
    parts p = {NULL, NULL, NULL, NULL};
    const size_t room = 4 * LONGEST_URL;
    if (!split_url(&p, url)) {
        clear_parts(&p);
        return no_url(url);
    }
    h->url = malloc(room);
    h->name = malloc(room);
    if (h->url && h->name) {
        snprintf(h->url, room, "%s://%s:%s%s", p.scheme, p.host, p.port, p.path);
        char *end = append_name(h->name, p.scheme);
        *end++ = '_';
        end = append_name(end, p.host);
        *end++ = '_';
        end = append_name(end, p.port);
        (void)append_name(end, p.path);
        h->local = is_local(p.host);
    }
    clear_parts(&p);
    return h->url && h->name ? FHOLA_OK : fhola_fail(FHOLA_NOMEM, "no memory for the server's URL");
}

const char *remote_http_url(const remote_http *h)
{
    return h->url;
}

const char *remote_http_name(const remote_http *h)
{
    return h->name;
}

bool remote_http_is_open(const remote_http *h)
{
    return !h->local && strncmp(h->url, "http:", 5) == 0;
}

/* ---- opening ---- */

fhola_status remote_http_open(remote_http **http, const char *url, const char *cacert,
                              double timeout)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return fhola_fail(FHOLA_NOMEM, "libcurl does not start");
    remote_http *h = calloc(1, sizeof *h);
    fhola_status status = h ? FHOLA_OK : fhola_fail(FHOLA_NOMEM, "no memory for requests");
    if (status == FHOLA_OK) status = take_url(h, url);
    if (status == FHOLA_OK) {
        h->timeout = timeout;
        h->multi = curl_multi_init();
        h->cacert = cacert ? strdup(cacert) : NULL;
        if (!h->multi || !h->cacert != !cacert)
            status = fhola_fail(FHOLA_NOMEM, "no memory for requests");
    }
    if (status != FHOLA_OK)
        remote_http_close(h);
    else
        *http = h;
    return status;
}

void remote_http_close(remote_http *h)
{
    if (!h) return;
    (void)curl_multi_cleanup(h->multi);
    free(h->url);
    free(h->name);
    free(h->cacert);
    free(h);
    curl_global_cleanup();
}

/* ---- libcurl's calls ---- */

static size_t give_body(char *out, size_t size, size_t count, void *arg)
{
    transfer *t = arg;
    const remote_request *r = t->request;
    const uint64_t left = r->length - t->at;
    size_t length = size * count < left ? size * count : (size_t)left;
    t->http->moved = nn_cmd_now();
    if (r->file && fread(out, 1, length, r->file) != length) return CURL_READFUNC_ABORT;
    if (!r->file && length) memcpy(out, (const char *)r->body + t->at, length);
    t->at += length;
    return length;
}

/* A connection that was kept open may turn out to be closed; then the body is sent once more. */
static int seek_body(void *arg, curl_off_t offset, int origin)
{
    transfer *t = arg;
    const remote_request *r = t->request;
    if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > r->length) return CURL_SEEKFUNC_FAIL;
    if (r->file && fseeko(r->file, (off_t)r->first + (off_t)offset, SEEK_SET) != 0)
        return CURL_SEEKFUNC_FAIL;
    t->at = (uint64_t)offset;
    return CURL_SEEKFUNC_OK;
}

/* The number in a header line of that name; -1: it is another one, or nonsense. */
static double number_of(const char *line, size_t length, const char *name)
{
    char text[32];
    const size_t begin = strlen(name);
    if (length <= begin || strncasecmp(line, name, begin) != 0) return -1;
    size_t rest = length - begin < sizeof text ? length - begin : sizeof text - 1;
    memcpy(text, line + begin, rest);
    text[rest] = 0;
    char *end;
    double number = strtod(text, &end);
    return end != text && isfinite(number) && number >= 0 ? number : -1;
}

static size_t take_header(char *line, size_t size, size_t count, void *arg)
{
    transfer *t = arg;
    const size_t length = size * count;
    t->http->moved = nn_cmd_now();
    t->header_bytes += length;
    t->too_long = t->header_bytes > MOST_HEADERS;
    if (length >= 5 && memcmp(line, "HTTP/", 5) == 0) t->reply->retry = -1; /* another head */
    double retry = number_of(line, length, "Retry-After:");
    if (retry >= 0) t->reply->retry = retry;
    return t->too_long ? 0 : length;
}

static void take_lines(transfer *t, const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] != '\n') {
            if (t->in_line < REMOTE_LINE) t->line[t->in_line] = bytes[i];
            if (t->in_line < REMOTE_LINE) t->in_line++;
            continue;
        }
        if (t->in_line < REMOTE_LINE) {
            t->line[t->in_line] = 0;
            t->request->line(t->request->arg, t->line);
        }
        t->in_line = 0;
    }
}

static size_t take_body(char *bytes, size_t size, size_t count, void *arg)
{
    transfer *t = arg;
    remote_reply *reply = t->reply;
    const size_t length = size * count;
    t->http->moved = nn_cmd_now();
    if (t->request->line) {
        take_lines(t, bytes, length);
        return length;
    }
    t->too_long = length > t->request->most - reply->length;
    if (t->too_long) return 0;
    if (reply->length + length + 1 > t->room) {
        size_t room = 2 * t->room > PIECE ? 2 * t->room : PIECE;
        if (room < reply->length + length + 1) room = reply->length + length + 1;
        char *more = realloc(reply->body, room);
        if (!more) return 0;
        reply->body = more;
        t->room = room;
    }
    memcpy(reply->body + reply->length, bytes, length);
    reply->length += length;
    reply->body[reply->length] = 0;
    return length;
}

/* ---- a transfer ---- */

static bool add_header(transfer *t, const char *line)
{
    struct curl_slist *more = curl_slist_append(t->headers, line);
    if (more) t->headers = more;
    return more != NULL;
}

static bool set_headers(transfer *t)
{
    const remote_request *r = t->request;
    bool good = true;
    for (size_t i = 0; i < REMOTE_HEADERS; i++)
        if (r->header[i]) good = good && add_header(t, r->header[i]);
    if (r->secret && *r->secret) {
        char *line = malloc(strlen(r->secret) + 32);
        if (!line) return false;
        sprintf(line, "Authorization: Bearer %s", r->secret);
        good = good && add_header(t, line);
        ckks_wipe(line, strlen(line));
        free(line);
    }
    return good && curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->headers) == CURLE_OK;
}

/* A body of no bytes is one, too, and announced as such. */
static void set_method(transfer *t)
{
    const remote_request *r = t->request;
    if (strcmp(r->method, "GET") == 0) return;
    if (strcmp(r->method, "PUT") == 0 || strcmp(r->method, "POST") == 0) {
        (void)curl_easy_setopt(t->easy, CURLOPT_UPLOAD, 1L);
        (void)curl_easy_setopt(t->easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)r->length);
    }
    (void)curl_easy_setopt(t->easy, CURLOPT_CUSTOMREQUEST, r->method);
}

static void set_calls(transfer *t)
{
    (void)curl_easy_setopt(t->easy, CURLOPT_PRIVATE, t);
    (void)curl_easy_setopt(t->easy, CURLOPT_ERRORBUFFER, t->error);
    (void)curl_easy_setopt(t->easy, CURLOPT_READFUNCTION, give_body);
    (void)curl_easy_setopt(t->easy, CURLOPT_READDATA, t);
    (void)curl_easy_setopt(t->easy, CURLOPT_SEEKFUNCTION, seek_body);
    (void)curl_easy_setopt(t->easy, CURLOPT_SEEKDATA, t);
    (void)curl_easy_setopt(t->easy, CURLOPT_HEADERFUNCTION, take_header);
    (void)curl_easy_setopt(t->easy, CURLOPT_HEADERDATA, t);
    (void)curl_easy_setopt(t->easy, CURLOPT_WRITEFUNCTION, take_body);
    (void)curl_easy_setopt(t->easy, CURLOPT_WRITEDATA, t);
}

/* Certificates are verified, no redirection is followed and old HTTP without headers is refused:
 * libcurl's defaults. A server on this machine is no proxy's business. */
static bool set_options(transfer *t)
{
    const remote_http *h = t->http;
    char url[4 * LONGEST_URL];
    int length = snprintf(url, sizeof url, "%s%s", h->url, t->request->path);
    if (length < 0 || (size_t)length >= sizeof url) return false;
    (void)curl_easy_setopt(t->easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(t->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    (void)curl_easy_setopt(t->easy, CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS);
    (void)curl_easy_setopt(t->easy, CURLOPT_TCP_KEEPALIVE, 1L);
    (void)curl_easy_setopt(t->easy, CURLOPT_USERAGENT, "fhola/" PACKAGE_VERSION);
    if (h->local) (void)curl_easy_setopt(t->easy, CURLOPT_NOPROXY, "*");
    if (h->cacert && curl_easy_setopt(t->easy, CURLOPT_CAINFO, h->cacert) != CURLE_OK) return false;
    return curl_easy_setopt(t->easy, CURLOPT_URL, url) == CURLE_OK;
}

static bool start(transfer *t, remote_http *h, const remote_request *r, remote_reply *reply)
{
    *t = (transfer){.http = h, .request = r, .reply = reply};
    *reply = (remote_reply){.retry = -1};
    t->easy = curl_easy_init();
    if (!t->easy || seek_body(t, 0, SEEK_SET) != CURL_SEEKFUNC_OK) return false;
    set_calls(t);
    set_method(t);
    return set_options(t) && set_headers(t) && curl_multi_add_handle(h->multi, t->easy) == CURLM_OK;
}

static void finish(transfer *t)
{
    if (t->easy) {
        (void)curl_multi_remove_handle(t->http->multi, t->easy);
        curl_easy_cleanup(t->easy);
    }
    for (struct curl_slist *l = t->headers; l; l = l->next) ckks_wipe(l->data, strlen(l->data));
    curl_slist_free_all(t->headers);
    t->easy = NULL;
    t->headers = NULL;
}

/* ---- what became of it ---- */

static fhola_status failed(const transfer *t)
{
    const char *url = t->http->url;
    const char *why = *t->error ? t->error : curl_easy_strerror(t->result);
    switch (t->result) {
    case CURLE_OUT_OF_MEMORY: return fhola_fail(FHOLA_NOMEM, "%s: no memory", url);
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR: return fhola_fail(FHOLA_SECURITY, "%s: %s", url, why);
    case CURLE_SSL_CACERT_BADFILE:
        return fhola_fail(FHOLA_IO, "%s: no certificates (PEM)",
                          t->http->cacert ? t->http->cacert : "the system's store");
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_WEIRD_SERVER_REPLY:
        return fhola_fail(FHOLA_FORMAT, "%s: the answer is not HTTP: %s", url, why);
    case CURLE_ABORTED_BY_CALLBACK: return fhola_fail(FHOLA_IO, "a file cannot be read any more");
    default: t->reply->broken = true; return fhola_fail(FHOLA_IO, "%s: %s", url, why);
    }
}

static fhola_status judge(const transfer *t)
{
    long code = 0;
    if (t->too_long)
        return fhola_fail(FHOLA_FORMAT,
                          "%s%s: the answer is longer than the %zu bytes that it may "
                          "have",
                          t->http->url, t->request->path,
                          t->header_bytes > MOST_HEADERS ? (size_t)MOST_HEADERS : t->request->most);
    if (t->result != CURLE_OK) return failed(t);
    (void)curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &code);
    t->reply->code = code > 0 && code < 1000 ? (unsigned)code : 0;
    return FHOLA_OK;
}

/* ---- sending ---- */

static void collect(remote_http *h)
{
    int left;
    for (const CURLMsg *m; (m = curl_multi_info_read(h->multi, &left));) {
        transfer *t = NULL;
        if (m->msg != CURLMSG_DONE) continue;
        (void)curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &t);
        t->ended = true;
        t->result = m->data.result;
    }
}

/* The other request beside this one: begun, and a while after it ended begun again. It may fail. */
static void keep_beside(const transfer *t, transfer *beside, remote_reply *reply, double *next)
{
    if (beside->ended) {
        finish(beside);
        remote_reply_clear(reply);
        *beside = (transfer){.ended = false};
        *next = nn_cmd_now() + REST;
    }
    if (beside->easy || t->at < t->request->length || nn_cmd_now() < *next) return;
    if (start(beside, t->http, t->request->beside, reply)) return;
    finish(beside);
    *next = nn_cmd_now() + REST;
}

static fhola_status run(transfer *t)
{
    remote_http *h = t->http;
    const remote_request *r = t->request;
    const double patience = r->last_word ? LAST_WORD : h->timeout;
    transfer beside = {.ended = false};
    remote_reply aside = {.code = 0};
    double next = nn_cmd_now() + REST / 4;
    fhola_status status = FHOLA_OK;
    int running;
    h->moved = nn_cmd_now();
    while (status == FHOLA_OK && !t->ended) {
        if (curl_multi_perform(h->multi, &running) != CURLM_OK)
            status = fhola_fail(FHOLA_NOMEM, "%s: libcurl does not go on", h->url);
        collect(h);
        if (t->ended) break;
        if (r->beside) keep_beside(t, &beside, &aside, &next);
        if (r->turn) r->turn(r->arg, t->at);
        (void)curl_multi_poll(h->multi, NULL, 0, TURN, NULL);
        if (nn_cmd_interrupted() && !r->last_word)
            status = fhola_fail(FHOLA_CANCELLED, "interrupted");
        if (nn_cmd_now() - h->moved > patience) {
            t->reply->broken = true;
            status = fhola_fail(FHOLA_IO, "%s: silent for %.0f seconds", h->url, patience);
        }
    }
    finish(&beside);
    remote_reply_clear(&aside);
    return status;
}

fhola_status remote_http_send(remote_http *h, const remote_request *r, remote_reply *reply)
{
    transfer t;
    fhola_status status = start(&t, h, r, reply)
                              ? run(&t)
                              : fhola_fail(FHOLA_NOMEM, "%s: no memory for a request", h->url);
    if (status == FHOLA_OK) status = judge(&t);
    finish(&t);
    return status;
}

void remote_reply_clear(remote_reply *reply)
{
    free(reply->body);
    *reply = (remote_reply){.retry = -1};
}

/* ---- problems ---- */

/* The library's status of that name. */
static fhola_status status_called(const char *name)
{
    for (int s = FHOLA_OK + 1; s <= FHOLA_CANCELLED; s++)
        if (strcmp(fhola_strerror((fhola_status)s), name) == 0) return (fhola_status)s;
    return FHOLA_IO;
}

fhola_status remote_http_refused(const remote_http *h, const char *path, const remote_reply *reply)
{
    char title[64] = "", detail[400] = "", name[64] = "";
    fhola_status status = reply->code == 401 || reply->code == 403 ? FHOLA_KEY : FHOLA_IO;
    (void)remote_json_text(reply->body, "title", title, sizeof title);
    (void)remote_json_text(reply->body, "detail", detail, sizeof detail);
    if (remote_json_text(reply->body, "fhola_status", name, sizeof name))
        status = status_called(name);
    return fhola_fail(status, "%s%s: the server says %u%s%s%s%s", h->url, path, reply->code,
                      *title ? " " : "", title, *detail ? ": " : "", detail);
}

fhola_status remote_wait(double seconds)
{
    const double end = nn_cmd_now() + seconds;
    const struct timespec step = {.tv_nsec = TURN * 1000000L};
    while (nn_cmd_now() < end && !nn_cmd_interrupted()) (void)nanosleep(&step, NULL);
    return nn_cmd_interrupted() ? fhola_fail(FHOLA_CANCELLED, "interrupted") : FHOLA_OK;
}
