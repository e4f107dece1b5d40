/* SPDX-License-Identifier: Apache-2.0 */
/* From pictures to classes, the network being with a server. */
#define _POSIX_C_SOURCE 200809L
#include "nn/cmd/remote/remote.h"

#include <stdlib.h>
#include <string.h>

#include "nn/cmd/remote/session.h"
#include "nn/cmd/stream.h"

#define TOP        3
#define MOST_TOKEN 4096u
/* Pictures of one request, and their bytes. */
#define TOGETHER       8u
#define TOGETHER_BYTES (UINT64_C(3) << 20)
#define SHORTEST       1u

typedef struct work {
    remote_session session;
    double record;
    bool json;
    char **name;
    double **picture; /* NULL: sent */
    size_t count, done;
    nn_shape shape;
    double *scores;
} work;

/* What went and came for one picture. */
typedef struct account {
    double seconds;
    uint64_t sent, received;
} account;

/* ---- the server and its owner of pictures ---- */

/* The first line of a file. */
static fhola_status read_token(remote_session *s, const char *path)
{
    unsigned char *bytes = NULL;
    size_t length = 0, used = 0;
    FHOLA_TRY(nn_cmd_read_input(&bytes, &length, path, MOST_TOKEN));
    while (used < length && bytes[used] > ' ' && bytes[used] < 127) used++;
    bool good = used >= SHORTEST && used < sizeof s->secret &&
                (used == length || bytes[used] == '\n' || bytes[used] == '\r');
    if (good) {
        memcpy(s->secret, bytes, used);
        s->secret[used] = 0;
        s->token = true;
    }
    nn_cmd_free_input(bytes, length);
    if (good) return FHOLA_OK;
    return fhola_fail(FHOLA_FORMAT, "%s: its first line is no token: characters without blanks",
                      nn_cmd_input_name(path));
}

static fhola_status open_session(remote_session *s, const remote_options *o)
{
    s->options = o;
    s->folder.lock = -1;
    FHOLA_TRY(remote_http_open(&s->http, o->server, o->cacert, o->timeout));
    if (o->token) FHOLA_TRY(read_token(s, o->token));
    if (remote_http_is_open(s->http))
        nn_cmd_note("%s: pictures and scores travel encrypted, but whoever listens can read tokens "
                    "and secrets, and use them; https:// prevents that",
                    remote_http_url(s->http));
    return FHOLA_OK;
}

static void close_session(remote_session *s)
{
    remote_folder_close(&s->folder);
    nn_owner_destroy(s->owner);
    remote_http_close(s->http);
    ckks_wipe(s->secret, sizeof s->secret);
}

/* Keys, here and there. */
static fhola_status prepare(remote_session *s)
{
    FHOLA_TRY(
        remote_folder_open(&s->folder, s->options->keys, remote_http_name(s->http), s->owner));
    FHOLA_TRY(remote_folder_keys(&s->folder, &s->owner, &s->keygen_seconds));
    if (!s->token) FHOLA_TRY(remote_folder_read_secret(&s->folder, s->secret));
    FHOLA_TRY(remote_upload(s));
    remote_folder_unlock(&s->folder);
    return FHOLA_OK;
}

/* ---- pictures ---- */

/* All of them, so that one that is none is found before keys are made. */
static fhola_status read_pictures(work *w)
{
    w->shape = nn_client_shape(nn_owner_client(w->session.owner));
    w->picture = calloc(w->count, sizeof *w->picture);
    if (!w->picture) return fhola_fail(FHOLA_NOMEM, "no memory for %zu pictures", w->count);
    for (size_t i = 0; i < w->count; i++) {
        char room[NN_CMD_PATH_ROOM];
        const char *path = w->name[i];
        if (w->record < 0) path = nn_cmd_find_picture(room, path);
        FHOLA_TRY(nn_cmd_read_picture(&w->picture[i], w->shape, path, w->record));
    }
    return FHOLA_OK;
}

/* The next pictures, as many as go together: at least one. */
static fhola_status encrypt(work *w, ckks_writer *out, uint64_t end[TOGETHER], size_t *count)
{
    *count = 0;
    while (*count < TOGETHER && w->done + *count < w->count) {
        double **picture = &w->picture[w->done + *count];
        if (*count && end[*count - 1] * (*count + 1) / *count > TOGETHER_BYTES) break;
        FHOLA_TRY(nn_owner_encrypt(w->session.owner, out, *picture));
        end[(*count)++] = ckks_writer_bytes(out);
    }
    return ckks_writer_commit(out);
}

/* ---- results ---- */

static void print_seconds(const char *what, double seconds)
{
    if (seconds > 0) printf("%-18s %8.2f s\n", what, seconds);
}

static void print_bytes(const char *what, uint64_t bytes)
{
    printf("%-18s %8.0f KB\n", what, (double)bytes / 1e3);
}

static fhola_status print_text(const work *w, const account *a)
{
    const remote_session *s = &w->session;
    if (w->count > 1) {
        if (w->done) printf("\n");
        nn_cmd_show(stdout, w->name[w->done]);
        printf("\n");
    }
    FHOLA_TRY(nn_cmd_print_scores(nn_owner_client(s->owner), w->scores, TOP, false));
    if (w->count > 1) return FHOLA_OK;
    printf("\n");
    print_seconds("answer", a->seconds);
    print_bytes("  sent", a->sent);
    print_bytes("  received", a->received);
    print_seconds("key generation", s->keygen_seconds);
    print_seconds("upload of keys", s->upload_seconds);
    return FHOLA_OK;
}

static fhola_status print_json(const work *w, const account *a)
{
    const remote_session *s = &w->session;
    printf("{\"picture\": ");
    nn_cmd_json_string(w->name[w->done]);
    printf(", ");
    fhola_status status = nn_cmd_print_scores(nn_owner_client(s->owner), w->scores, TOP, true);
    printf(", \"seconds\": %.3f, \"sent_bytes\": %.0f, \"received_bytes\": %.0f, "
           "\"keygen_seconds\": %.3f, \"upload_seconds\": %.3f}\n",
           a->seconds, (double)a->sent, (double)a->received, s->keygen_seconds, s->upload_seconds);
    return status;
}

/* As many results as pictures were sent, and nothing behind them. */
static fhola_status decrypt(work *w, const remote_reply *reply, size_t count, account a)
{
    ckks_reader *in = NULL;
    int more = 1;
    FILE *stream = reply->length ? fmemopen(reply->body, reply->length, "rb") : NULL;
    if (!stream) return fhola_fail(FHOLA_FORMAT, "the answer: no result came");
    fhola_status status = ckks_reader_create(&in, stream, "the answer");
    nn_cmd_progress_end();
    for (size_t i = 0; status == FHOLA_OK && i < count; i++) {
        status = nn_owner_decrypt(w->session.owner, w->scores, in, &more);
        if (status == FHOLA_OK && !more)
            status = fhola_fail(FHOLA_FORMAT, "the answer: %zu results for %zu pictures", i, count);
        if (status == FHOLA_OK) status = (w->json ? print_json : print_text)(w, &a);
        if (status == FHOLA_OK) w->done++;
    }
    (void)fflush(stdout); /* an error is found at the end */
    if (status == FHOLA_OK) status = ckks_reader_peek(in, &more, CKKS_FILE_ANY);
    if (status == FHOLA_OK && more)
        status = fhola_fail(FHOLA_FORMAT, "the answer: more than %zu results", count);
    ckks_reader_destroy(in);
    (void)fclose(stream);
    return status;
}

static fhola_status ask(work *w, const char *bytes, const uint64_t end[], size_t count)
{
    remote_reply reply = {.code = 0};
    size_t answered = 0;
    const remote_pictures p = {bytes, end, count, w->done, w->count};
    const double start = nn_cmd_now();
    fhola_status status = remote_infer(&w->session, &p, &answered, &reply);
    if (status == FHOLA_OK) {
        const account a = {nn_cmd_now() - start, end[answered - 1] / answered,
                           reply.length / answered};
        const size_t first = w->done;
        status = decrypt(w, &reply, answered, a);
        for (size_t i = first; i < w->done; i++) {
            nn_cmd_free_picture(w->picture[i], w->shape);
            w->picture[i] = NULL;
        }
    }
    remote_reply_clear(&reply);
    return status;
}

/* The next pictures of all. */
static fhola_status go_on(work *w)
{
    ckks_writer *out = NULL;
    char *bytes = NULL;
    size_t length = 0, count = 0;
    uint64_t end[TOGETHER];
    FILE *stream = open_memstream(&bytes, &length);
    if (!stream) return fhola_fail(FHOLA_NOMEM, "no memory for encrypted pictures");
    fhola_status status = ckks_writer_create(&out, stream, "the encrypted pictures");
    if (status == FHOLA_OK) status = encrypt(w, out, end, &count);
    ckks_writer_destroy(out);
    if (fclose(stream) != 0 && status == FHOLA_OK)
        status = fhola_fail(FHOLA_NOMEM, "no memory for encrypted pictures");
    if (status == FHOLA_OK) status = ask(w, bytes, end, count);
    free(bytes);
    return status;
}

static fhola_status classify(work *w, const remote_options *o)
{
    /* shares of the time, as ResNet-20 has them on a machine and its network; keys and their upload
     * come once */
    static const nn_cmd_phase phases[] = {
        {"network", 0.5}, {"key", 1}, {"upload", 4}, {"layers", 3.5}};
    nn_cmd_progress_expect(phases, sizeof phases / sizeof phases[0]);
    FHOLA_TRY(open_session(&w->session, o));
    FHOLA_TRY(remote_fetch_client(&w->session));
    FHOLA_TRY(read_pictures(w));
    const size_t classes = nn_client_classes(nn_owner_client(w->session.owner));
    w->scores = calloc(classes, sizeof *w->scores);
    if (!w->scores) return fhola_fail(FHOLA_NOMEM, "no memory for %zu scores", classes);
    FHOLA_TRY(prepare(&w->session));
    while (w->done < w->count) FHOLA_TRY(go_on(w));
    return FHOLA_OK;
}

static void release(work *w)
{
    for (size_t i = 0; w->picture && i < w->count; i++)
        nn_cmd_free_picture(w->picture[i], w->shape);
    free(w->picture);
    if (w->scores)
        ckks_wipe(w->scores,
                  nn_client_classes(nn_owner_client(w->session.owner)) * sizeof *w->scores);
    free(w->scores);
    close_session(&w->session);
}

fhola_status remote_classify(const remote_options *o, double record, bool json, size_t count,
                             char **pictures)
{
    work w = {.record = record, .json = json, .count = count, .name = pictures};
    fhola_status status = classify(&w, o);
    nn_cmd_progress_end();
    release(&w);
    return status;
}

/* ---- forgetting ---- */

/* A remote_visit_fn. */
static fhola_status delete_there(void *arg, const remote_folder *folder, uint64_t key)
{
    remote_session *s = arg;
    if (!s->token) FHOLA_TRY(remote_folder_read_secret(folder, s->secret));
    if (*s->secret) FHOLA_TRY(remote_delete(s, key));
    return FHOLA_OK;
}

fhola_status remote_forget(const remote_options *o)
{
    remote_session s = {.secret = ""};
    size_t count = 0;
    fhola_status status = open_session(&s, o);
    if (status == FHOLA_OK)
        status = remote_folders_remove(o->keys, remote_http_name(s.http), delete_there, &s, &count);
    if (status == FHOLA_OK)
        nn_cmd_note(count == 1 ? "%zu set of keys removed" : "%zu sets of keys removed", count);
    close_session(&s);
    return status;
}
