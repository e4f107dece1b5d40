/* SPDX-License-Identifier: Apache-2.0 */
/* The server's folder of keys: sets appear when they are whole and checked, whatever happens on the
 * way; and SHA-256. */
#include "container_support.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "nn/cmd/serve/store.h"

#define KEY     UINT64_C(0x0123456789abcdef)
#define OTHER   UINT64_C(0xfedcba9876543210)
#define CONTENT 30000u /* bytes of a set, about */

static char root[64];
static serve_store *store;
static ckks_params *params;

static serve_store *open_store(serve_limits limits, serve_accept_fn accept)
{
    serve_store *s = NULL;
    ck_assert_ok(serve_store_open(&s, root, limits, accept, NULL));
    return s;
}

static void set_up(void)
{
    snprintf(root, sizeof root, "check_store.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(root));
    ck_assert_ok(ckks_params_named(&params, "R15"));
    store = open_store((serve_limits){0}, NULL);
}

static void tear_down(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", root);
    ck_assert_int_eq(system(command), 0);
    serve_store_close(store);
    ckks_params_destroy(params);
}

/* A container of that kind with two chunks. */
static bytes container(ckks_file_kind kind, uint64_t key)
{
    static unsigned char content[CONTENT];
    memory_writer m;
    for (size_t i = 0; i < CONTENT; i++) content[i] = (unsigned char)random_word();
    memory_open(&m);
    ck_assert_ok(ckks_writer_begin(m.writer, kind, params, key));
    ck_assert_ok(ckks_writer_chunk(m.writer, "ONE ", content, 100));
    ck_assert_ok(ckks_writer_chunk(m.writer, "TWO ", content, CONTENT));
    ck_assert_ok(ckks_writer_end(m.writer));
    return memory_close(&m);
}

#define ck_assert_outcome(call, wanted)                                                            \
    do {                                                                                           \
        serve_outcome outcome_ = (call);                                                           \
        ck_assert_msg(outcome_ == (wanted), "%s: %d instead of %d (%s)", #call, (int)outcome_,     \
                      (int)(wanted), fhola_detail());                                              \
    } while (0)

static serve_outcome state(const char *owner, uint64_t id)
{
    serve_set set;
    return serve_store_find(store, owner, id, &set);
}

/* Uploads bytes `first` to `first` + `count` - 1 of a set of `total`, in pieces. */
static serve_outcome put_range(const char *owner, uint64_t id, const unsigned char *data,
                               uint64_t first, size_t count, uint64_t total)
{
    serve_upload *u = NULL;
    serve_outcome outcome = serve_upload_open(&u, store, owner, id, (serve_range){first, total});
    for (size_t at = 0; outcome == SERVE_PART && at < count;) {
        size_t piece = 1 + (size_t)(random_word() % 5000);
        if (piece > count - at) piece = count - at;
        outcome = serve_upload_write(u, data + at, piece);
        at += piece;
    }
    if (outcome == SERVE_PART) outcome = serve_upload_finish(u);
    if (outcome == SERVE_REFUSED) ck_assert_int_ne(serve_upload_status(u), FHOLA_OK);
    serve_upload_close(u);
    return outcome;
}

static serve_outcome put(const char *owner, uint64_t id, bytes b)
{
    return put_range(owner, id, b.data, 0, b.length, b.length);
}

static size_t files(void)
{
    char command[128];
    unsigned long count = 0;
    snprintf(command, sizeof command, "find %s -type f ! -name .lock | wc -l", root);
    FILE *pipe = popen(command, "r");
    ck_assert_ptr_nonnull(pipe);
    ck_assert_int_eq(fscanf(pipe, "%lu", &count), 1);
    (void)pclose(pipe);
    return count;
}

static void check_set(const char *owner, uint64_t id, bytes b)
{
    char path[256];
    unsigned char *read = malloc(b.length + 1);
    ck_assert_ptr_nonnull(read);
    ck_assert_ok(serve_store_path(store, owner, id, path, sizeof path));
    FILE *file = fopen(path, "rb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fread(read, 1, b.length + 1, file), b.length);
    ck_assert_int_eq(memcmp(read, b.data, b.length), 0);
    (void)fclose(file);
    free(read);
}

START_TEST(whole)
{
    bytes b = container(CKKS_FILE_EVAL_KEYS, KEY);
    ck_assert(!serve_store_knows(store, "ann"));
    ck_assert_outcome(put("ann", KEY, b), SERVE_WHOLE);
    check_set("ann", KEY, b);
    ck_assert(serve_store_knows(store, "ann"));
    ck_assert_outcome(state("ann", OTHER), SERVE_ABSENT);
    ck_assert_outcome(state("bob", KEY), SERVE_ABSENT);
    /* once more changes nothing */
    ck_assert_outcome(put("ann", KEY, b), SERVE_WHOLE);
    /* the same name is no matter to others, and other servers see it all */
    serve_store *mine = store;
    store = open_store((serve_limits){0}, NULL);
    ck_assert_outcome(put("bob", KEY, b), SERVE_WHOLE);
    ck_assert_outcome(state("ann", KEY), SERVE_WHOLE);
    ck_assert_outcome(serve_store_remove(store, "ann", KEY), SERVE_WHOLE);
    serve_store_close(store);
    store = mine;
    ck_assert_outcome(state("ann", KEY), SERVE_ABSENT);
    ck_assert_outcome(state("bob", KEY), SERVE_WHOLE);
    ck_assert(!serve_store_knows(store, "ann"));
    ck_assert_outcome(serve_store_remove(store, "ann", KEY), SERVE_ABSENT);
    free(b.data);
}
END_TEST

/* Each piece by an upload of its own. */
START_TEST(resumed)
{
    bytes b = container(CKKS_FILE_EVAL_KEYS, KEY);
    serve_set set;
    for (size_t at = 0; at < b.length;) {
        size_t piece = 1000 + (size_t)(random_word() % 5000);
        if (piece > b.length - at) piece = b.length - at;
        ck_assert_outcome(put_range("ann", KEY, b.data + at, at, piece, b.length),
                          at + piece < b.length ? SERVE_PART : SERVE_WHOLE);
        at += piece;
        ck_assert_outcome(serve_store_find(store, "ann", KEY, &set),
                          at < b.length ? SERVE_PART : SERVE_WHOLE);
        ck_assert_uint_eq(set.bytes, at);
        ck_assert_uint_eq(set.total, b.length);
    }
    check_set("ann", KEY, b);
    ck_assert_uint_eq(files(), 1);
    free(b.data);
}
END_TEST

START_TEST(ranges)
{
    bytes b = container(CKKS_FILE_EVAL_KEYS, KEY);
    const uint64_t n = b.length;
    ck_assert_outcome(put_range("ann", KEY, b.data, 0, 5000, n), SERVE_PART);
    ck_assert_outcome(put_range("ann", KEY, b.data + 5001, 5001, 100, n), SERVE_GAP);
    ck_assert_outcome(put_range("ann", KEY, b.data + 5000, 5000, 100, n + 1), SERVE_GAP);
    ck_assert_outcome(put_range("ann", KEY, b.data + 20, 20, 100, n), SERVE_GAP);
    ck_assert_outcome(put_range("ann", KEY, b.data, n + 1, 0, n), SERVE_GAP);
    ck_assert_outcome(put_range("ann", KEY, b.data + 5000, SERVE_AT_END, 100, n), SERVE_PART);
    /* back a little */
    ck_assert_outcome(put_range("ann", KEY, b.data + 4000, 4000, 100, n), SERVE_PART);
    /* without a beginning nothing stays, not even who sent it */
    ck_assert_outcome(put_range("eve", KEY, b.data + 100, 100, 100, n), SERVE_GAP);
    ck_assert(!serve_store_knows(store, "eve"));
    ck_assert_uint_eq(files(), 1);
    /* more than announced: what was before stays */
    ck_assert_outcome(put_range("ann", KEY, b.data, 4100, n, n), SERVE_LIMIT);
    /* all anew, with another total; a beginning too short to tell what it is does not stay */
    ck_assert_outcome(put_range("ann", KEY, b.data, 0, 39, n + 1), SERVE_PART);
    serve_set set;
    ck_assert_outcome(serve_store_find(store, "ann", KEY, &set), SERVE_PART);
    ck_assert_uint_eq(set.bytes, 0);
    ck_assert_uint_eq(set.total, n + 1);
    ck_assert_uint_eq(files(), 1);
    ck_assert_outcome(put("ann", KEY, b), SERVE_WHOLE);
    /* all bytes are there, and nobody has finished: a request without any does */
    ck_assert_outcome(put_range("bob", KEY, b.data, 0, n - 1, n), SERVE_PART);
    serve_upload *u = NULL;
    ck_assert_outcome(serve_upload_open(&u, store, "bob", KEY, (serve_range){SERVE_AT_END, n}),
                      SERVE_PART);
    ck_assert_outcome(serve_upload_write(u, b.data + n - 1, 1), SERVE_PART);
    serve_upload_close(u);
    ck_assert_outcome(state("bob", KEY), SERVE_PART);
    ck_assert_outcome(put_range("bob", KEY, b.data, SERVE_AT_END, 0, n), SERVE_WHOLE);
    check_set("bob", KEY, b);
    free(b.data);
}
END_TEST

START_TEST(one_writer)
{
    bytes b = container(CKKS_FILE_EVAL_KEYS, KEY);
    serve_upload *u = NULL;
    ck_assert_outcome(serve_upload_open(&u, store, "ann", KEY, (serve_range){0, b.length}),
                      SERVE_PART);
    ck_assert_outcome(serve_upload_write(u, b.data, b.length), SERVE_PART);
    ck_assert_outcome(put("ann", KEY, b), SERVE_BUSY);
    ck_assert_outcome(put_range("ann", KEY, b.data, 0, 100, b.length + 1), SERVE_BUSY);
    ck_assert_uint_eq(serve_store_expire(store, 1, 1, (int64_t)time(NULL) + 1000), 0);
    /* removed while it is written: it stays so, even if another one has come in its place */
    ck_assert_outcome(serve_store_remove(store, "ann", KEY), SERVE_WHOLE);
    ck_assert_outcome(put_range("ann", KEY, b.data, 0, 100, b.length), SERVE_PART);
    ck_assert_outcome(serve_upload_finish(u), SERVE_ABSENT);
    ck_assert_outcome(state("ann", KEY), SERVE_PART);
    serve_upload_close(u);
    /* nothing more is written to what was removed */
    ck_assert_outcome(serve_upload_open(&u, store, "ann", KEY, (serve_range){100, b.length}),
                      SERVE_PART);
    ck_assert_outcome(serve_upload_write(u, b.data + 100, 100), SERVE_PART);
    ck_assert_outcome(serve_store_remove(store, "ann", KEY), SERVE_WHOLE);
    ck_assert_outcome(serve_upload_write(u, b.data + 200, 100), SERVE_ABSENT);
    serve_upload_close(u);
    free(b.data);
}
END_TEST

/* A process that uploads and removes the same keys, now and then as if they had another length. */
static void upload_for_ever(bytes b, unsigned number)
{
    uint64_t word = number;
    (void)alarm(60); /* if the test fails */
    for (;; word = word * UINT64_C(6364136223846793005) + 1442695040888963407u) {
        const unsigned choice = (unsigned)(word >> 60);
        const size_t first = (size_t)(word >> 20) % b.length, count = b.length - first;
        if (choice < 2)
            (void)serve_store_remove(store, "ann", KEY);
        else if (choice < 6)
            (void)put("ann", KEY, b);
        else if (choice < 8)
            (void)put_range("ann", KEY, b.data, 0, first, b.length + 1);
        else if (choice < 12)
            (void)put_range("ann", KEY, b.data, 0, first, b.length);
        else
            (void)put_range("ann", KEY, b.data + first, first, count, b.length);
    }
}

/* Whoever uploads one set of keys beside others: there is a part or the set, never both. */
START_TEST(many_writers)
{
    bytes b = container(CKKS_FILE_EVAL_KEYS, KEY);
    pid_t child[3];
    char path[128];
    unsigned whole_ones = 0;
    snprintf(path, sizeof path, "%s/.lock", root);
    for (unsigned i = 0; i < 3; i++) {
        child[i] = fork();
        ck_assert_int_ge(child[i], 0);
        if (child[i] == 0) upload_for_ever(b, i);
    }
    /* on a slow disk a set takes a while to be whole */
    for (unsigned round = 0; round < 60 || (!whole_ones && round < 3000); round++) {
        (void)usleep((useconds_t)(random_word() % 5000));
        int lock = open(path, O_RDWR); /* so that names stay while they are counted */
        ck_assert_int_ge(lock, 0);
        ck_assert_int_eq(flock(lock, LOCK_EX), 0);
        ck_assert_uint_le(files(), 1);
        if (state("ann", KEY) == SERVE_WHOLE) {
            check_set("ann", KEY, b);
            whole_ones++;
        }
        (void)close(lock);
    }
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_int_eq(kill(child[i], SIGKILL), 0);
        ck_assert_int_eq(waitpid(child[i], NULL, 0), child[i]);
    }
    ck_assert_uint_gt(whole_ones, 0);
    ck_assert_outcome(put("ann", KEY, b), SERVE_WHOLE);
    check_set("ann", KEY, b);
    ck_assert_uint_eq(files(), 1);
    free(b.data);
}
END_TEST

static void expect_refused(bytes b, fhola_status wanted, const char *why)
{
    serve_upload *u = NULL;
    serve_outcome outcome;
    ck_assert_outcome(serve_upload_open(&u, store, "ann", KEY, (serve_range){0, b.length}),
                      SERVE_PART);
    outcome = serve_upload_write(u, b.data, b.length);
    if (outcome == SERVE_PART) outcome = serve_upload_finish(u);
    ck_assert_outcome(outcome, SERVE_REFUSED);
    ck_assert_detail(why);
    ck_assert_int_eq(serve_upload_status(u), wanted);
    serve_upload_close(u);
    ck_assert_outcome(state("ann", KEY), SERVE_ABSENT);
    ck_assert_uint_eq(files(), 0);
}

START_TEST(damaged)
{
    bytes b = container(CKKS_FILE_EVAL_KEYS, KEY);
    for (size_t i = 0; i < 60; i++) {
        size_t at = i < 45 ? i : (size_t)(random_word() % b.length);
        b.data[at] ^= 1;
        expect_refused(b, FHOLA_FORMAT, "the keys");
        b.data[at] ^= 1;
    }
    bytes cut = {b.data, b.length - 1}, empty = {b.data, 0}, tiny = {b.data, 39};
    expect_refused(cut, FHOLA_FORMAT, "the keys");
    expect_refused(tiny, FHOLA_FORMAT, "39 bytes");
    expect_refused(empty, FHOLA_FORMAT, "0 bytes");
    bytes more = {malloc(b.length + 1), b.length + 1};
    ck_assert_ptr_nonnull(more.data);
    memcpy(more.data, b.data, b.length);
    more.data[b.length] = 0;
    expect_refused(more, FHOLA_FORMAT, "something follows");
    free(more.data);
    free(b.data);
}
END_TEST

/* Found by the first 40 bytes, of which none is written. */
START_TEST(of_another_kind)
{
    bytes b = container(CKKS_FILE_SECRET_KEY, KEY);
    serve_upload *u = NULL;
    ck_assert_outcome(serve_upload_open(&u, store, "ann", KEY, (serve_range){0, b.length}),
                      SERVE_PART);
    ck_assert_outcome(serve_upload_write(u, b.data, 39), SERVE_PART);
    ck_assert_outcome(serve_upload_write(u, b.data + 39, 1), SERVE_REFUSED);
    ck_assert_int_eq(serve_upload_status(u), FHOLA_SECURITY);
    serve_upload_close(u);
    ck_assert_uint_eq(files(), 0);
    free(b.data);
    b = container(CKKS_FILE_CIPHERTEXT, KEY);
    expect_refused(b, FHOLA_FORMAT, "a ciphertext");
    free(b.data);
    b = container(CKKS_FILE_EVAL_KEYS, OTHER);
    expect_refused(b, FHOLA_KEY, "fedcba9876543210");
    free(b.data);
}
END_TEST

/* Twice, as for several networks. */
static fhola_status accept_none(void *arg, FILE *keys)
{
    ck_assert_ptr_null(arg);
    for (unsigned i = 0; i < 2; i++) {
        ckks_reader *reader = NULL;
        rewind(keys);
        ck_assert_ok(ckks_reader_create(&reader, keys, "the keys"));
        ck_assert_ok(ckks_reader_begin(reader, NULL, CKKS_FILE_EVAL_KEYS, NULL, KEY));
        ckks_reader_destroy(reader);
    }
    return fhola_fail(FHOLA_KEY, "of no use");
}

START_TEST(not_accepted)
{
    bytes b = container(CKKS_FILE_EVAL_KEYS, KEY);
    serve_store_close(store);
    store = open_store((serve_limits){0}, accept_none);
    expect_refused(b, FHOLA_KEY, "of no use");
    free(b.data);
}
END_TEST

START_TEST(limits)
{
    bytes b = container(CKKS_FILE_EVAL_KEYS, KEY), c = container(CKKS_FILE_EVAL_KEYS, OTHER);
    const uint64_t n = b.length;
    serve_store_close(store);
    store = open_store((serve_limits){.all = 2 * n, .owner = n + n / 2}, NULL);
    ck_assert_outcome(put_range("ann", KEY, b.data, 0, 0, 10 * n), SERVE_LIMIT);
    ck_assert_outcome(put_range("ann", KEY, b.data, 0, 0, UINT64_MAX), SERVE_LIMIT);
    ck_assert(!serve_store_knows(store, "ann"));
    /* what was only begun counts as a whole */
    ck_assert_outcome(put_range("ann", KEY, b.data, 0, 100, n), SERVE_PART);
    ck_assert_outcome(put("ann", OTHER, c), SERVE_LIMIT);
    ck_assert_outcome(put("bob", OTHER, c), SERVE_WHOLE);
    ck_assert_outcome(put("cid", OTHER, c), SERVE_LIMIT);
    ck_assert(!serve_store_knows(store, "cid"));
    ck_assert_outcome(put("ann", KEY, b), SERVE_WHOLE);
    ck_assert_outcome(serve_store_remove(store, "ann", KEY), SERVE_WHOLE);
    ck_assert_outcome(put("cid", OTHER, c), SERVE_WHOLE);
    free(b.data);
    free(c.data);
}
END_TEST

START_TEST(unfinished)
{
    bytes b = container(CKKS_FILE_EVAL_KEYS, KEY);
    serve_store_close(store);
    store = open_store((serve_limits){.parts = 2}, NULL);
    ck_assert_outcome(put_range("ann", KEY, b.data, 0, 100, b.length), SERVE_PART);
    ck_assert_outcome(put_range("ann", OTHER, b.data, 0, 0, b.length), SERVE_PART);
    ck_assert_outcome(put("bob", KEY, b), SERVE_LIMIT);
    ck_assert(!serve_store_knows(store, "bob"));
    ck_assert_outcome(put("ann", KEY, b), SERVE_WHOLE);
    ck_assert_outcome(put("bob", KEY, b), SERVE_WHOLE);
    /* those of one client are no matter to others */
    serve_store_close(store);
    store = open_store((serve_limits){.parts = 9, .owner_parts = 1}, NULL);
    ck_assert_outcome(put("ann", 7, b), SERVE_LIMIT);
    ck_assert_outcome(put_range("bob", OTHER, b.data, 0, 0, b.length), SERVE_PART);
    ck_assert_outcome(put_range("bob", 7, b.data, 0, 0, b.length), SERVE_LIMIT);
    free(b.data);
}
END_TEST

START_TEST(full_disk)
{
    bytes b = container(CKKS_FILE_EVAL_KEYS, KEY);
    const struct rlimit small = {10000, RLIM_INFINITY}, large = {RLIM_INFINITY, RLIM_INFINITY};
    ck_assert_outcome(put("bob", KEY, b), SERVE_WHOLE);
    (void)signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
    ck_assert_outcome(put("ann", KEY, b), SERVE_FULL);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &large), 0);
    ck_assert_uint_eq(files(), 1);
    /* more than any disk has room for */
    ck_assert_outcome(put_range("ann", KEY, b.data, 0, 0, INT64_MAX), SERVE_FULL);
    ck_assert_uint_eq(files(), 1);
    ck_assert(!serve_store_knows(store, "cid"));
    ck_assert_outcome(put("ann", KEY, b), SERVE_WHOLE);
    free(b.data);
}
END_TEST

/* A process that ends at any byte, or any moment, leaves a part that can be continued, or all. */
START_TEST(killed)
{
    bytes b = container(CKKS_FILE_EVAL_KEYS, KEY);
    for (unsigned round = 0; round < 40; round++) {
        serve_set set = {0};
        pid_t child = fork();
        ck_assert_int_ge(child, 0);
        if (child == 0) {
            for (;;) { /* again and again, until it is killed */
                (void)serve_store_remove(store, "ann", KEY);
                (void)put("ann", KEY, b);
            }
        }
        (void)usleep(1000 + (useconds_t)(random_word() % 9000));
        ck_assert_int_eq(kill(child, SIGKILL), 0);
        ck_assert_int_eq(waitpid(child, NULL, 0), child);
        serve_outcome found = serve_store_find(store, "ann", KEY, &set);
        ck_assert_uint_le(files(), 1);
        if (found == SERVE_WHOLE) check_set("ann", KEY, b);
        if (found != SERVE_PART) continue;
        ck_assert_uint_eq(set.total, b.length);
        ck_assert_outcome(put_range("ann", KEY, b.data + set.bytes, set.bytes,
                                    b.length - (size_t)set.bytes, b.length),
                          SERVE_WHOLE);
        check_set("ann", KEY, b);
    }
    free(b.data);
}
END_TEST

START_TEST(expiry)
{
    bytes b = container(CKKS_FILE_EVAL_KEYS, KEY);
    const int64_t now = (int64_t)time(NULL);
    ck_assert_outcome(put("ann", KEY, b), SERVE_WHOLE);
    ck_assert_outcome(put_range("bob", KEY, b.data, 0, 100, b.length), SERVE_PART);
    ck_assert_uint_eq(serve_store_expire(store, 0, 0, now + 1000000), 0);
    ck_assert_uint_eq(serve_store_expire(store, 1000, 1000, now), 0);
    ck_assert_uint_eq(serve_store_expire(store, 0, 1000, now + 2000), 1);
    ck_assert(!serve_store_knows(store, "bob"));
    /* used: its time begins anew */
    char path[256];
    ck_assert_ok(serve_store_path(store, "ann", KEY, path, sizeof path));
    const struct timespec old[2] = {{.tv_sec = now - 5000}, {.tv_sec = now - 5000}};
    ck_assert_int_eq(utimensat(AT_FDCWD, path, old, 0), 0);
    serve_store_touch(store, "ann", KEY);
    ck_assert_uint_eq(serve_store_expire(store, 1000, 1000, now), 0);
    ck_assert_int_eq(utimensat(AT_FDCWD, path, old, 0), 0);
    ck_assert_uint_eq(serve_store_expire(store, 1000, 0, now), 1);
    ck_assert(!serve_store_knows(store, "ann"));
    free(b.data);
}
END_TEST

START_TEST(odd_names)
{
    bytes b = container(CKKS_FILE_EVAL_KEYS, KEY);
    static const char *const owner[] = {
        "",
        ".",
        "..",
        "../x",
        "a/b",
        "lock.",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    for (size_t i = 0; i < sizeof owner / sizeof *owner; i++) {
        ck_assert_outcome(put(owner[i], KEY, b), SERVE_LIMIT);
        ck_assert_outcome(state(owner[i], KEY), SERVE_ABSENT);
        ck_assert(!serve_store_knows(store, owner[i]));
    }
    ck_assert_uint_eq(files(), 0);
    ck_assert_outcome(put("lock", KEY, b), SERVE_WHOLE);
    ck_assert_outcome(serve_store_remove(store, "lock", KEY), SERVE_WHOLE);
    /* what others put there is not touched */
    ck_assert_outcome(put("ann", KEY, b), SERVE_WHOLE);
    char path[128];
    static const char *const file[] = {"notes", "123.keys", "0123456789ABCDEF.keys",
                                       "0123456789abcdef.keys.bak", "0123456789abcdef.07.part"};
    for (size_t i = 0; i < sizeof file / sizeof *file; i++) {
        snprintf(path, sizeof path, "%s/ann/%s", root, file[i]);
        FILE *made = fopen(path, "w");
        ck_assert_ptr_nonnull(made);
        (void)fclose(made);
    }
    ck_assert_outcome(serve_store_remove(store, "ann", KEY), SERVE_WHOLE);
    ck_assert_uint_eq(serve_store_expire(store, 1, 1, (int64_t)time(NULL) + 1000), 0);
    ck_assert_uint_eq(files(), sizeof file / sizeof *file);
    free(b.data);
}
END_TEST

static void add(TCase *tcase)
{
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, whole);
    tcase_add_test(tcase, resumed);
    tcase_add_test(tcase, ranges);
    tcase_add_test(tcase, one_writer);
    tcase_add_test(tcase, many_writers);
    tcase_add_test(tcase, damaged);
    tcase_add_test(tcase, of_another_kind);
    tcase_add_test(tcase, not_accepted);
    tcase_add_test(tcase, limits);
    tcase_add_test(tcase, unfinished);
    tcase_add_test(tcase, full_disk);
    tcase_add_test(tcase, killed);
    tcase_add_test(tcase, expiry);
    tcase_add_test(tcase, odd_names);
}

int main(void)
{
    test_seed(0);
    return test_run("store", add, 240);
}
