/* SPDX-License-Identifier: Apache-2.0 */
/* A server of several clients at once, on a small ring: each gets its own right answer or its own
 * error. Answers that are cancelled, from everywhere. Keys that serve another network of the same
 * shape. */
#include "tests/container_support.h"

#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ckks/ring/ring.h"
#include "nn/nn.h"
#include "nn/party/server.h"
#include "tests/small_network.h"

#define CLASSES 5
#define CLIENTS 3
#define VALUES  144
#define ROUNDS  3

static char folder[64];

static const char *in_folder(const char *name)
{
    static char path[8][128];
    static unsigned turn;
    char *p = path[turn++ % 8];
    snprintf(p, sizeof path[0], "%s/%s", folder, name);
    return p;
}

static void open_folder(void)
{
    snprintf(folder, sizeof folder, "/tmp/fhola-check-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void close_folder(void)
{
    char command[100];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    ck_assert_int_eq(system(command), 0);
}

static ckks_reader *open_reader(const char *path)
{
    ckks_reader *reader;
    ck_assert_ok(ckks_reader_open(&reader, path));
    ckks_reader_allow_insecure(reader);
    return reader;
}

/* ---- a network and its clients ---- */

/* Two layers on a ring of 8,192; the server has it ready. */
typedef struct world {
    small_network s;
    nn_server *server;
} world;

/* One owner of pictures. */
typedef struct client {
    nn_owner *owner;
    nn_keys *keys;          /* the server's */
    double direct[CLASSES]; /* scores of the picture */
    bytes picture;
} client;

static ckks_params *small_params(unsigned log_n)
{
    ckks_params_spec spec = named_spec("R15");
    ckks_params *params;
    spec.log_n = log_n;
    spec.insecure = 1;
    ck_assert_ok(ckks_params_create(&params, &spec));
    return params;
}

static void set_degree(small_network *s, nn_activation *a, unsigned degree)
{
    free(a->centre);
    free(a->half_width);
    free(a->coeff);
    small_polynomial(s, a, a->channels, degree);
}

/* `degree`: of the second layer's polynomial. The weights follow from the seed. */
static void world_open(world *w, const ckks_params *params, uint64_t seed, unsigned degree)
{
    double pixels[VALUES], picture[VALUES], scores[CLASSES];
    small_begin(&w->s, (nn_shape){1, 12, 12}, seed);
    nn_tensor x = small_relu(&w->s, small_conv(&w->s, 0, 4, 3, 2));
    small_end(&w->s, small_dense(&w->s, small_relu(&w->s, small_conv(&w->s, x, 4, 3, 1)), CLASSES));
    set_degree(&w->s, &w->s.plan.activations[1], degree);
    w->s.model.hash = w->s.plan.model_hash = seed;
    small_picture(&w->s, pixels, picture);
    (void)direct_network(&w->s, scores, picture, NULL, 1);
    ck_assert_ok(nn_compiled_save(in_folder("net.fhola"), in_folder("net.client"), params,
                                  &w->s.model, &w->s.plan));
    ckks_reader *reader = open_reader(in_folder("net.fhola"));
    ck_assert_ok(nn_server_read(&w->server, reader));
    ck_assert_ok(nn_server_prepare(w->server));
    ckks_reader_destroy(reader);
}

static void world_close(world *w)
{
    nn_server_destroy(w->server);
    small_network_clear(&w->s);
}

/* From the client file that is there now. */
static nn_owner *open_owner(void)
{
    nn_owner *owner;
    ckks_reader *reader = open_reader(in_folder("net.client"));
    ck_assert_ok(nn_owner_read_client(&owner, reader));
    ckks_reader_destroy(reader);
    return owner;
}

static void new_picture(client *c, world *w)
{
    double pixels[VALUES], picture[VALUES];
    memory_writer m;
    small_picture(&w->s, pixels, picture);
    ck_assert_double_lt(direct_network(&w->s, c->direct, picture, NULL, 0), 1.5);
    memory_open(&m);
    ck_assert_ok(nn_owner_encrypt(c->owner, m.writer, pixels));
    c->picture = memory_close(&m);
}

static nn_keys *read_keys(const nn_server *server, const char *path)
{
    nn_keys *keys = NULL;
    ckks_reader *reader = open_reader(path);
    ck_assert_ok(nn_keys_read(&keys, server, reader, NULL, NULL));
    ckks_reader_destroy(reader);
    return keys;
}

static void client_open(client *c, world *w, const char *secret, const char *keys)
{
    c->owner = open_owner();
    ck_assert_ok(nn_owner_generate(c->owner, secret, keys, NULL, NULL));
    c->keys = read_keys(w->server, keys);
    ck_assert_uint_eq(nn_keys_id(c->keys), nn_owner_key(c->owner));
    new_picture(c, w);
}

static void client_close(client *c)
{
    free(c->picture.data);
    nn_keys_release(c->keys);
    nn_owner_destroy(c->owner);
}

/* ---- questions and answers; no assertions, since threads call this ---- */

static ckks_reader *bytes_opened(bytes b, limited *s, FILE **stream)
{
    ckks_reader *reader = NULL;
    *s = (limited){.data = b.data, .length = b.length};
    *stream = limited_open(s, "rb");
    if (!*stream || ckks_reader_create(&reader, *stream, "picture")) abort();
    ckks_reader_allow_insecure(reader);
    return reader;
}

/* *result: what was written (free). */
static fhola_status ask(nn_run *run, const nn_keys *keys, bytes picture,
                        const nn_infer_hooks *hooks, bytes *result)
{
    limited s;
    char *data = NULL;
    size_t length = 0;
    FILE *from, *to = open_memstream(&data, &length);
    ckks_reader *in = bytes_opened(picture, &s, &from);
    ckks_writer *out = NULL;
    int more = 0;
    if (!to || ckks_writer_create(&out, to, "result")) abort();
    fhola_status status = nn_run_infer(run, out, keys, in, &more, hooks);
    ckks_writer_destroy(out);
    ckks_reader_destroy(in);
    fclose(to);
    fclose(from);
    *result = (bytes){(unsigned char *)data, length};
    return status;
}

static void check_scores(const client *c, bytes result)
{
    double scores[CLASSES], size = 0, error = 0;
    limited s;
    FILE *stream;
    int more;
    ckks_reader *reader = bytes_reader(result, &s, &stream);
    ck_assert_ok(nn_owner_decrypt(c->owner, scores, reader, &more));
    ck_assert_int_eq(more, 1);
    for (int i = 0; i < CLASSES; i++) {
        size = fmax(size, fabs(c->direct[i]));
        error = fmax(error, fabs(scores[i] - c->direct[i]));
    }
    printf("largest score %.3f, largest error %.5f\n", size, error);
    ck_assert_double_lt(error, 0.05 * size);
    ckks_reader_destroy(reader);
    fclose(stream);
}

/* ---- several clients at once ---- */

/* One thread: a client's picture, with keys that may be another's. */
typedef struct seat {
    const client *client;
    const nn_server *server;
    nn_keys *keys;
    fhola_status wanted;
    unsigned wrong; /* rounds */
    bytes result;   /* of the first round */
} seat;

static void *sit(void *arg)
{
    seat *s = arg;
    nn_run *run = NULL;
    set_threads(1);
    if (nn_run_create(&run, s->server)) abort();
    for (int i = 0; i < ROUNDS; i++) {
        bytes result = {0};
        s->wrong += ask(run, s->keys, s->client->picture, NULL, &result) != s->wanted;
        s->wrong += (result.length != 0) != (s->wanted == FHOLA_OK);
        if (i == 0)
            s->result = result;
        else
            s->wrong += result.length != s->result.length ||
                        memcmp(result.data, s->result.data, result.length) != 0;
        if (i > 0) free(result.data);
    }
    nn_run_destroy(run);
    nn_keys_release(s->keys);
    return NULL;
}

/* The third client's keys are not there: the server tries those of the first. The first has two
 * pictures under way, one of them on a second thread. */
START_TEST(clients_at_once)
{
    static const char *const file[CLIENTS][2] = {{"s0", "e0"}, {"s1", "e1"}, {"s2", "e2"}};
    static const int whose[] = {0, 1, 2, 0};
    enum { SEATS = sizeof whose / sizeof whose[0] };
    world w;
    client c[CLIENTS];
    seat s[SEATS];
    pthread_t thread[SEATS];
    ckks_params *params = small_params(13);
    world_open(&w, params, 1, 3);
    ck_assert_ok(nn_server_set_threads(w.server, 2));
    ck_assert_uint_eq(w.server->context->threads, 2);
    ck_assert_fails(nn_server_set_threads(w.server, CKKS_MAX_THREADS + 1), FHOLA_PARAM);
    for (int i = 0; i < CLIENTS; i++)
        client_open(&c[i], &w, in_folder(file[i][0]), in_folder(file[i][1]));
    for (int i = 0; i < SEATS; i++) {
        int k = whose[i];
        s[i] = (seat){
            &c[k], w.server, nn_keys_retain(c[k == 2 ? 0 : k].keys), k == 2 ? FHOLA_KEY : FHOLA_OK,
            0,     {0}};
        ck_assert_int_eq(pthread_create(&thread[i], NULL, sit, &s[i]), 0);
    }
    for (int i = 0; i < CLIENTS; i++) { /* whoever still needs them holds them */
        nn_keys_release(c[i].keys);
        c[i].keys = NULL;
    }
    for (int i = 0; i < SEATS; i++) {
        ck_assert_int_eq(pthread_join(thread[i], NULL), 0);
        ck_assert_msg(s[i].wrong == 0, "thread %d: %u rounds went wrong", i, s[i].wrong);
        if (s[i].wanted == FHOLA_OK) check_scores(s[i].client, s[i].result);
    }
    ck_assert_mem_eq(s[0].result.data, s[3].result.data, s[0].result.length);
    for (int i = 0; i < SEATS; i++) free(s[i].result.data);
    for (int i = 0; i < CLIENTS; i++) client_close(&c[i]);
    world_close(&w);
    ckks_params_destroy(params);
}
END_TEST

/* A picture taken in says whose it is. */
START_TEST(pictures_name_their_key)
{
    world w, other;
    client c[2];
    nn_run *run;
    limited s;
    FILE *stream;
    ckks_ciphertext **picture = NULL;
    memory_writer m;
    int more;
    ckks_params *params = small_params(13);
    world_open(&w, params, 1, 3);
    client_open(&c[0], &w, in_folder("s0"), in_folder("e0"));
    client_open(&c[1], &w, in_folder("s1"), in_folder("e1"));
    ck_assert_ok(nn_run_create(&run, w.server));
    ckks_reader *in = bytes_opened(c[1].picture, &s, &stream);
    ck_assert_ok(nn_server_receive(w.server, &picture, in, &more));
    ck_assert_int_eq(more, 1);
    ck_assert_uint_eq(ckks_reader_head(in).key, nn_keys_id(c[1].keys));
    memory_open(&m);
    ck_assert_ok(nn_run_answer(run, m.writer, c[1].keys, picture, NULL));
    bytes result = memory_close(&m);
    check_scores(&c[1], result);
    ckks_ciphertext **none = NULL;
    ck_assert_ok(nn_server_receive(w.server, &none, in, &more));
    ck_assert_int_eq(more, 0);
    ck_assert_ptr_null(none);
    ckks_reader_destroy(in);
    fclose(stream);
    /* keys belong to the server that they were read for */
    world_open(&other, params, 1, 3);
    nn_keys *theirs = read_keys(other.server, in_folder("e1"));
    memory_open(&m);
    ck_assert_fails(nn_run_answer(run, m.writer, theirs, picture, NULL), FHOLA_KEY);
    ck_assert_detail("another server");
    free(memory_close(&m).data);
    nn_keys_release(theirs);
    world_close(&other);
    nn_keys_release(NULL);
    free(result.data);
    nn_encrypted_destroy(picture);
    nn_run_destroy(run);
    client_close(&c[0]);
    client_close(&c[1]);
    world_close(&w);
    ckks_params_destroy(params);
}
END_TEST

/* ---- cancelling ---- */

static nn_run *running; /* for the signal handler */

static void handle(int number)
{
    (void)number;
    nn_run_cancel(running);
}

static void *cancel(void *run)
{
    nn_run_cancel(run);
    return NULL;
}

typedef enum way { FROM_HOOK, FROM_HANDLER, FROM_THREAD, BY_RETURN } way;

typedef struct plot {
    way way;
    size_t at;    /* units of work that are behind */
    size_t calls; /* of the hook after that */
} plot;

static int scheme(void *user, size_t layer, nn_step step, size_t done, size_t total)
{
    plot *p = user;
    pthread_t thread;
    (void)layer, (void)step, (void)total;
    if (done < p->at) return 0;
    if (p->calls++) return 0;
    switch (p->way) {
    case FROM_HOOK: nn_run_cancel(running); return 0;
    case FROM_HANDLER: (void)raise(SIGUSR1); return 0;
    case FROM_THREAD:
        if (pthread_create(&thread, NULL, cancel, running) || pthread_join(thread, NULL)) abort();
        return 0;
    case BY_RETURN: break;
    }
    return 7;
}

/* The next picture is answered as if nothing had been. */
static void check_afresh(const client *c, bytes expected)
{
    bytes result = {0};
    ck_assert_ok(ask(running, c->keys, c->picture, NULL, &result));
    ck_assert_uint_eq(result.length, expected.length);
    ck_assert_mem_eq(result.data, expected.data, result.length);
    free(result.data);
}

static void check_cancelled(const client *c, const nn_infer_hooks *hooks, bytes expected)
{
    bytes result = {0};
    ck_assert_fails(ask(running, c->keys, c->picture, hooks, &result), FHOLA_CANCELLED);
    ck_assert_str_eq(fhola_strerror(FHOLA_CANCELLED), "cancelled");
    ck_assert_uint_eq(result.length, 0);
    free(result.data);
    check_afresh(c, expected);
}

/* Before an answer, at every step of it (the last is that of the scores), in every way. */
START_TEST(cancelled_anywhere)
{
    world w;
    client c;
    bytes expected = {0};
    ckks_params *params = small_params(13);
    world_open(&w, params, 1, 3);
    client_open(&c, &w, in_folder("s0"), in_folder("e0"));
    ck_assert_ok(nn_run_create(&running, w.server));
    ck_assert_ok(ask(running, c.keys, c.picture, NULL, &expected));
    check_scores(&c, expected);
    (void)signal(SIGUSR1, handle);
    nn_run_cancel(running);
    nn_run_cancel(running); /* once is as good as twice */
    check_cancelled(&c, NULL, expected);
    for (way k = FROM_HOOK; k <= BY_RETURN; k++)
        for (size_t at = 0; at <= 28; at += 14) { /* two layers of 14 units, and the scores */
            plot p = {k, at, 0};
            nn_infer_hooks hooks = {.user = &p, .progress = scheme};
            check_cancelled(&c, &hooks, expected);
            ck_assert_uint_eq(p.calls, 1);
        }
    nn_run_destroy(running);
    free(expected.data);
    client_close(&c);
    world_close(&w);
    ckks_params_destroy(params);
}
END_TEST

static ssize_t write_and_cancel(void *length, const char *in, size_t size)
{
    (void)in;
    *(size_t *)length += size;
    nn_run_cancel(running);
    return (ssize_t)size;
}

/* A result that is being written arrives, and the next picture is not the one that was meant. Nor
 * is it when a picture that could not be read was cancelled. */
START_TEST(cancelled_too_late)
{
    world w;
    client c;
    bytes expected = {0}, result = {0};
    size_t length = 0;
    limited s;
    FILE *from;
    int more;
    ckks_params *params = small_params(13);
    world_open(&w, params, 1, 3);
    client_open(&c, &w, in_folder("s0"), in_folder("e0"));
    ck_assert_ok(nn_run_create(&running, w.server));
    ck_assert_ok(ask(running, c.keys, c.picture, NULL, &expected));
    FILE *to = fopencookie(&length, "wb", (cookie_io_functions_t){.write = write_and_cancel});
    ck_assert_ptr_nonnull(to);
    setvbuf(to, NULL, _IONBF, 0);
    ckks_reader *in = bytes_opened(c.picture, &s, &from);
    ckks_writer *out;
    ck_assert_ok(ckks_writer_create(&out, to, "result"));
    ck_assert_ok(nn_run_infer(running, out, c.keys, in, &more, NULL));
    ck_assert_uint_eq(length, expected.length);
    ckks_writer_destroy(out);
    ckks_reader_destroy(in);
    fclose(to);
    fclose(from);
    check_afresh(&c, expected);
    bytes half = {c.picture.data, c.picture.length / 2};
    ck_assert_fails(ask(running, c.keys, half, NULL, &result), FHOLA_FORMAT);
    free(result.data);
    check_afresh(&c, expected);
    nn_run_destroy(running);
    free(expected.data);
    client_close(&c);
    world_close(&w);
    ckks_params_destroy(params);
}
END_TEST

/* ---- keys for another network ---- */

/* An owner for the client file that is there now, with the secret key in the file s0. */
static fhola_status reuse(nn_owner *owner, const char *to)
{
    ckks_reader *reader = open_reader(in_folder("s0"));
    fhola_status status = nn_owner_reuse_secret(owner, reader, to);
    ckks_reader_destroy(reader);
    return status;
}

/* Trained again, with other weights: one upload of keys serves both. */
START_TEST(keys_serve_equal_shapes)
{
    world w, again;
    client c, same = {0};
    nn_run *run[2];
    bytes result[2] = {{0}};
    struct stat info;
    ckks_params *params = small_params(13);
    world_open(&w, params, 1, 3);
    client_open(&c, &w, in_folder("s0"), in_folder("e0"));
    world_open(&again, params, 2, 3);
    ck_assert_uint_ne(nn_server_network_id(w.server), nn_server_network_id(again.server));
    same.owner = open_owner();
    ck_assert_fails(reuse(same.owner, in_folder("s0")), FHOLA_PARAM);
    ck_assert_ok(reuse(same.owner, in_folder("s1")));
    ck_assert_int_eq(stat(in_folder("s1"), &info), 0);
    ck_assert_uint_eq(info.st_mode & 0777, 0600);
    ck_assert_uint_eq(nn_owner_key(same.owner), nn_owner_key(c.owner));
    ck_assert_uint_eq(nn_owner_network(same.owner), nn_server_network_id(again.server));
    nn_owner_destroy(same.owner); /* and once more, from the file that was made */
    ckks_reader *reader = open_reader(in_folder("s1"));
    ck_assert_ok(nn_owner_read_secret(&same.owner, reader));
    ckks_reader_destroy(reader);
    new_picture(&same, &again);
    same.keys = read_keys(again.server, in_folder("e0"));
    ck_assert_ok(nn_run_create(&run[0], w.server));
    ck_assert_ok(nn_run_create(&run[1], again.server));
    ck_assert_ok(ask(run[0], c.keys, c.picture, NULL, &result[0]));
    ck_assert_ok(ask(run[1], same.keys, same.picture, NULL, &result[1]));
    check_scores(&c, result[0]);
    check_scores(&same, result[1]);
    /* pictures stay with their network */
    bytes none = {0};
    ck_assert_fails(ask(run[1], same.keys, c.picture, NULL, &none), FHOLA_KEY);
    ck_assert_detail("another network");
    for (int i = 0; i < 2; i++) {
        nn_run_destroy(run[i]);
        free(result[i].data);
    }
    free(none.data);
    client_close(&same);
    client_close(&c);
    world_close(&again);
    world_close(&w);
    ckks_params_destroy(params);
}
END_TEST

/* For a network that needs more keys, or has other parameters, they will not do, and both sides say
 * so. */
START_TEST(keys_that_do_not_serve)
{
    world w, more;
    client c;
    nn_keys *keys = NULL;
    ckks_params *params = small_params(13), *larger = small_params(14);
    world_open(&w, params, 1, 3);
    client_open(&c, &w, in_folder("s0"), in_folder("e0"));
    for (int other_params = 0; other_params < 2; other_params++) {
        const char *why = other_params ? "parameters" : "the first is the ";
        world_open(&more, other_params ? larger : params, 2, 15);
        nn_owner *owner = open_owner();
        ck_assert_fails(reuse(owner, in_folder("s1")), FHOLA_KEY);
        ck_assert_detail(why);
        ck_assert_int_ne(access(in_folder("s1"), F_OK), 0);
        ck_assert_uint_eq(nn_owner_key(owner), 0);
        nn_owner_destroy(owner);
        ckks_reader *reader = open_reader(in_folder("e0"));
        ck_assert_fails(nn_keys_read(&keys, more.server, reader, NULL, NULL), FHOLA_KEY);
        ck_assert_detail(why);
        ck_assert_ptr_null(keys);
        ckks_reader_destroy(reader);
        world_close(&more);
    }
    client_close(&c);
    world_close(&w);
    ckks_params_destroy(larger);
    ckks_params_destroy(params);
}
END_TEST

/* ---- results that say nothing but the scores ---- */

static void read_scores(const client *c, double *scores, bytes result)
{
    limited s;
    FILE *stream;
    int more;
    ckks_reader *reader = bytes_reader(result, &s, &stream);
    ck_assert_ok(nn_owner_decrypt(c->owner, scores, reader, &more));
    ckks_reader_destroy(reader);
    fclose(stream);
}

START_TEST(sanitized)
{
    enum { ANSWERS = 6 };
    world w;
    client c;
    bytes plain, result[ANSWERS];
    nn_run *run = NULL;
    double exact[CLASSES], got[CLASSES], square = 0;
    ckks_params *params = small_params(13);
    world_open(&w, params, 1, 3);
    client_open(&c, &w, in_folder("s0"), in_folder("e0"));
    ck_assert_ok(nn_run_create(&run, w.server));
    ck_assert_ok(ask(run, c.keys, c.picture, NULL, &plain));
    read_scores(&c, exact, plain);
    ck_assert_fails(nn_run_sanitize(run, -1, 0.02), FHOLA_PARAM);
    ck_assert_fails(nn_run_sanitize(run, 201, 0.02), FHOLA_PARAM);
    ck_assert_fails(nn_run_sanitize(run, 0, 0), FHOLA_PARAM);
    ck_assert_fails(nn_run_sanitize(run, 0, HUGE_VAL), FHOLA_PARAM);
    ck_assert_fails(nn_run_sanitize(run, 12, 0.02), FHOLA_RANGE);
    ck_assert_ok(nn_run_sanitize(run, 10, 0.02));
    /* sixteen rows: 4 sqrt(12) 2^(4/2) 0.01 */
    const double deviation = 4 * sqrt(12) * 4 * 0.01;
    ck_assert_ok(nn_run_sanitize(run, 4, 0.01));
    for (int i = 0; i < ANSWERS; i++) {
        ck_assert_ok(ask(run, c.keys, c.picture, NULL, &result[i]));
        ck_assert_uint_eq(result[i].length, plain.length);
        read_scores(&c, got, result[i]);
        for (int k = 0; k < CLASSES; k++) square += pow(got[k] - exact[k], 2);
        for (int k = -1; k < i; k++)
            ck_assert_int_ne(
                memcmp(result[i].data, k < 0 ? plain.data : result[k].data, plain.length), 0);
    }
    assert_variance("noise of scores", square / (ANSWERS * CLASSES), deviation * deviation,
                    ANSWERS * CLASSES, 0.05);
    for (int i = 0; i < ANSWERS; i++) free(result[i].data);
    free(plain.data);
    nn_run_destroy(run);
    client_close(&c);
    world_close(&w);
    ckks_params_destroy(params);
}
END_TEST

static void add_tests(TCase *tcase)
{
    tcase_add_checked_fixture(tcase, open_folder, close_folder);
    tcase_add_test(tcase, clients_at_once);
    tcase_add_test(tcase, pictures_name_their_key);
    tcase_add_test(tcase, cancelled_anywhere);
    tcase_add_test(tcase, cancelled_too_late);
    tcase_add_test(tcase, keys_serve_equal_shapes);
    tcase_add_test(tcase, keys_that_do_not_serve);
    tcase_add_test(tcase, sanitized);
}

int main(void)
{
    test_seed(82);
    return test_run("serving", add_tests, 120);
}
