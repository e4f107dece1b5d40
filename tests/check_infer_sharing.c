/* SPDX-License-Identifier: Apache-2.0 */
/* The encrypted network on several threads: its own, and two callers that share context, network
 * and keys. All give, bit for bit, what one thread alone gives. Under the thread sanitizer (make
 * check-tsan) this shows that there is no race on the way of a picture. */
#include "tests/served_network.h"

#include <pthread.h>

#define CALLERS 2

/* A caller's own. */
typedef struct caller {
    const served_network *n;
    int threads;
    fhola_status status;
    uint64_t hash;
    char detail[256];
} caller;

static void *call(void *arg)
{
    caller *c = arg;
    const ckks_context *context = c->n->context;
    ckks_workspace *ws = NULL;
    ckks_ciphertext *in = NULL, *out = NULL;
    set_threads(c->threads);
    c->status = ckks_workspace_create(&ws, context);
    if (!c->status) c->status = ckks_ciphertext_create(&in, context);
    if (!c->status) c->status = ckks_ciphertext_create(&out, context);
    if (!c->status) c->status = served_read_picture(c->n, in);
    if (!c->status)
        c->status = nn_infer(context, ws, out, nn_server_network(c->n->server), c->n->eval->eval,
                             &in, NULL);
    if (!c->status) c->hash = ciphertext_hash(out);
    snprintf(c->detail, sizeof c->detail, "%s", fhola_detail()); /* of this thread */
    ckks_ciphertext_destroy(out);
    ckks_ciphertext_destroy(in);
    ckks_workspace_destroy(ws);
    return NULL;
}

START_TEST(threads_agree)
{
    static served_network n;
    pthread_t thread[CALLERS];
    caller alone = {.n = &n, .threads = 1}, parallel = {.n = &n, .threads = 2}, beside[CALLERS];
    set_threads(2); /* making keys and encoding weights, too */
    served_open(&n);
    (void)call(&alone);
    ck_assert_msg(alone.status == FHOLA_OK, "one thread: %s", alone.detail);
    (void)call(&parallel);
    ck_assert_msg(parallel.status == FHOLA_OK, "two threads: %s", parallel.detail);
    ck_assert_uint_eq(alone.hash, parallel.hash);
    for (int i = 0; i < CALLERS; i++) beside[i] = (caller){.n = &n, .threads = 1};
    for (int i = 0; i < CALLERS; i++)
        ck_assert_int_eq(pthread_create(&thread[i], NULL, call, &beside[i]), 0);
    for (int i = 0; i < CALLERS; i++) ck_assert_int_eq(pthread_join(thread[i], NULL), 0);
    for (int i = 0; i < CALLERS; i++) {
        ck_assert_msg(beside[i].status == FHOLA_OK, "beside another: %s", beside[i].detail);
        ck_assert_uint_eq(alone.hash, beside[i].hash);
    }
    served_close(&n);
}
END_TEST

static void add_tests(TCase *tcase)
{
    tcase_add_test(tcase, threads_agree);
}

int main(void)
{
    test_seed(51);
    return test_run("infer sharing", add_tests, 900);
}
