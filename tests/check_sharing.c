/* SPDX-License-Identifier: Apache-2.0 */
/* Two threads share one context, keys, a bootstrap and a polynomial, each with a workspace and a
 * generator of its own: both get, bit for bit, what one thread alone gets. Under the thread
 * sanitizer (make check-tsan) this shows that nothing const is written to; there `check_sharing
 * race` has a planted race, which must be found. */
#include "tests/support.h"

#include <pthread.h>

#define SLOTS   512
#define THREADS 2

/* Shared, const from the threads' point of view. */
typedef struct world {
    ring r;
    ckks_bootstrap *bootstrap;
    ckks_polynomial *polynomial;
    ckks_basis basis;
} world;

static void world_open(world *w)
{
    ckks_params_spec spec = named_spec("toy-boot");
    ring *r = &w->r;
    double coeff[8];
    ring_open(r, &spec, NULL);
    w->basis =
        ckks_basis_base(r->params) | ckks_basis_stc(r->params) | ckks_basis_residual(r->params, 4);
    ckks_basis out = w->basis;
    for (int k = 0; k < 3; k++) out &= ~ckks_basis_top(out);
    for (size_t i = 0; i < 8; i++) coeff[i] = 0.1 * random_unit();
    ckks_polynomial_spec p = {7, 1, coeff, w->basis, out, 0x1p28, 0x1p28};
    ck_assert_ok(ckks_polynomial_create(&w->polynomial, r->context, r->ws, &p));
    ck_assert_ok(ckks_polynomial_keys(w->polynomial, r->context, &r->list));
    ck_assert_ok(ckks_bootstrap_create(&w->bootstrap, r->context, r->ws, 6, 0x1p28, 1));
    ck_assert_ok(ckks_bootstrap_keys(w->bootstrap, r->context, &r->list));
    ring_request(r, CKKS_KEY_RELINEARIZE, 0, w->basis, r->special);
    ring_request(r, CKKS_KEY_ROTATE, 3, w->basis, r->special);
    ring_request(r, CKKS_KEY_CONJUGATE, 0, w->basis, r->special);
    ring_keys(r);
}

static void world_close(world *w)
{
    ckks_bootstrap_destroy(w->bootstrap);
    ckks_polynomial_destroy(w->polynomial);
    ring_close(&w->r);
}

/* A thread's own. */
typedef struct worker {
    const world *w;
    uint8_t seed[32];
    fhola_status status;
    uint64_t hash[4];
    ckks_complex z[SLOTS];
    char detail[256];
} worker;

static fhola_status encrypt_values(worker *k, ckks_workspace *ws, ckks_rng *rng,
                                   ckks_ciphertext *ct, size_t period, ckks_basis basis)
{
    const ring *r = &k->w->r;
    ckks_plaintext *plain = NULL;
    fhola_status st = ckks_plaintext_create(&plain, r->context);
    if (!st) st = ckks_encode(r->context, ws, plain, k->z, period, 0x1p28, basis);
    if (!st) st = ckks_encrypt(r->context, ws, ct, plain, r->secret, rng);
    ckks_plaintext_destroy(plain);
    return st;
}

static fhola_status compute(worker *k, ckks_workspace *ws, ckks_rng *rng, ckks_ciphertext *x,
                            ckks_ciphertext *y)
{
    const ring *r = &k->w->r;
    const ckks_context *c = r->context;
    fhola_status st = encrypt_values(k, ws, rng, x, SLOTS, k->w->basis);
    if (!st) st = ckks_mul(c, ws, r->keys, y, x, x, 1);
    if (!st) st = ckks_rotate(c, ws, r->keys, y, y, 3);
    if (!st) st = ckks_conjugate(c, ws, r->keys, y, y);
    if (!st) k->hash[0] = ciphertext_hash(y);
    if (!st) st = ckks_polynomial_apply(c, ws, r->keys, k->w->polynomial, y, x);
    if (!st) k->hash[1] = ciphertext_hash(y);
    if (!st) st = encrypt_values(k, ws, rng, x, 64, ckks_basis_level(r->params, 0));
    if (!st) st = ckks_bootstrap_apply(c, ws, r->keys, k->w->bootstrap, y, x, 2);
    if (!st) k->hash[2] = ciphertext_hash(y);
    if (!st) st = ckks_decrypt(c, ws, k->z, SLOTS, y, r->secret);
    if (!st) memcpy(&k->hash[3], &k->z[5].re, sizeof k->hash[3]);
    return st;
}

static void *work(void *arg)
{
    worker *k = arg;
    ckks_workspace *ws = NULL;
    ckks_rng *rng = NULL;
    ckks_ciphertext *x = NULL, *y = NULL;
    for (size_t i = 0; i < SLOTS; i++)
        k->z[i] = (ckks_complex){(double)((i * 37 + k->seed[0]) % 101) / 101 - 0.5, 0};
    k->status = ckks_workspace_create(&ws, k->w->r.context);
    if (!k->status) k->status = ckks_rng_create_seeded(&rng, k->seed);
    if (!k->status) k->status = ckks_ciphertext_create(&x, k->w->r.context);
    if (!k->status) k->status = ckks_ciphertext_create(&y, k->w->r.context);
    if (!k->status) k->status = compute(k, ws, rng, x, y);
    snprintf(k->detail, sizeof k->detail, "%s", fhola_detail()); /* of this thread */
    ckks_ciphertext_destroy(x);
    ckks_ciphertext_destroy(y);
    ckks_rng_destroy(rng);
    ckks_workspace_destroy(ws);
    return NULL;
}

START_TEST(two_threads)
{
    static worker alone[THREADS], beside[THREADS];
    world w;
    pthread_t thread[THREADS];
    test_seed(21);
    world_open(&w);
    for (int i = 0; i < THREADS; i++) {
        alone[i].w = beside[i].w = &w;
        alone[i].seed[0] = beside[i].seed[0] = (uint8_t)(i + 1);
        (void)work(&alone[i]);
        ck_assert_msg(alone[i].status == FHOLA_OK, "alone: %s", alone[i].detail);
    }
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&thread[i], NULL, work, &beside[i]), 0);
    for (int i = 0; i < THREADS; i++) ck_assert_int_eq(pthread_join(thread[i], NULL), 0);
    for (int i = 0; i < THREADS; i++) {
        ck_assert_msg(beside[i].status == FHOLA_OK, "beside another: %s", beside[i].detail);
        for (int h = 0; h < 4; h++) ck_assert_uint_eq(alone[i].hash[h], beside[i].hash[h]);
    }
    ck_assert_uint_ne(alone[0].hash[2], alone[1].hash[2]);
    world_close(&w);
}
END_TEST

/* An error's message belongs to the thread that caused it. */
static void *cause_error(void *arg)
{
    fhola_status *st = arg;
    *st = ckks_params_create(&(ckks_params *){NULL}, &(ckks_params_spec){.log_n = 99});
    return NULL;
}

START_TEST(messages_are_per_thread)
{
    pthread_t thread;
    fhola_status st = FHOLA_OK;
    ckks_params *p = NULL;
    ck_assert_int_eq(ckks_params_named(&p, "no such set"), FHOLA_PARAM);
    ck_assert_int_eq(pthread_create(&thread, NULL, cause_error, &st), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_int_eq(st, FHOLA_PARAM);
    ck_assert_ptr_nonnull(strstr(fhola_detail(), "no such set"));
}
END_TEST

static long counter;

static void *count(void *arg)
{
    (void)arg;
    for (int i = 0; i < 1000; i++) counter++;
    return NULL;
}

static int race(void)
{
    pthread_t thread[THREADS];
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&thread[i], NULL, count, NULL)) return EXIT_FAILURE;
    for (int i = 0; i < THREADS; i++) (void)pthread_join(thread[i], NULL);
    printf("%ld\n", counter);
    return EXIT_SUCCESS;
}

static void add_tests(TCase *tcase)
{
    tcase_add_test(tcase, two_threads);
    tcase_add_test(tcase, messages_are_per_thread);
}

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "race")) return race();
    return test_run("sharing", add_tests, 60);
}
