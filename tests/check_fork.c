/* SPDX-License-Identifier: Apache-2.0 */
/* After fork(): the two processes draw different secrets, except from a seed of the caller's; and a
 * child of a process that has used threads goes on. */
#define _POSIX_C_SOURCE 200809L
#include "tests/support.h"

#include <sys/wait.h>
#include <unistd.h>

#define VALUES 8

/* What a process draws: of a secret key its coefficients, of ciphertexts their seeds and their
 * first polynomials, of flooded decryption the noise, and an id. */
typedef struct drawn {
    int8_t secret[64];
    uint8_t seed[32];
    uint64_t error[64], masked[64], id;
    double noise[VALUES];
    uint8_t public_seed[32], switch_seed[32];
} drawn;

static ring small_ring(int seeded)
{
    ring r;
    ckks_params_spec spec = flat_spec(8, 40, 2, 36);
    ring_open(&r, &spec, NULL);
    ring_request(&r, CKKS_KEY_CONJUGATE, 0, r.chain, r.special);
    if (!seeded) {
        ckks_rng_destroy(r.rng);
        ck_assert_ok(ckks_rng_create(&r.rng));
    }
    return r;
}

static void draw_keys(ring *r, drawn *d)
{
    ckks_secret_key *secret;
    ckks_eval_keys *keys;
    ck_assert_ok(ckks_key_id(&d->id, r->rng));
    ck_assert_ok(ckks_secret_key_create(&secret, r->context, r->rng));
    memcpy(d->secret, secret->coefficient, sizeof d->secret);
    ckks_secret_key_destroy(secret);
    ck_assert_ok(ckks_eval_keys_create(&keys, r->context, r->secret, &r->list, r->rng, NULL, NULL));
    memcpy(d->switch_seed, keys->key[0].seed, sizeof d->switch_seed);
    ckks_eval_keys_destroy(keys);
}

static void draw_ciphertexts(ring *r, drawn *d)
{
    ckks_public_key *key;
    ckks_complex z[VALUES] = {{0.5, 0}}, got[VALUES];
    ckks_plaintext *plain = encode(r, z, VALUES, 0x1p30, r->chain);
    ckks_ciphertext *ct = new_ciphertext(r);
    ck_assert_ok(ckks_encrypt(r->context, r->ws, ct, plain, r->secret, r->rng));
    memcpy(d->seed, ct->seed, sizeof d->seed);
    memcpy(d->error, ct->poly[0].limb[0], sizeof d->error);
    ck_assert_ok(ckks_decrypt_flooded(r->context, r->ws, got, VALUES, ct, r->secret, 1e6, r->rng));
    for (int i = 0; i < VALUES; i++) d->noise[i] = got[i].re;
    ck_assert_ok(ckks_public_key_create(&key, r->context, r->secret, r->chain, r->rng));
    memcpy(d->public_seed, key->seed, sizeof d->public_seed);
    ck_assert_ok(ckks_encrypt_public(r->context, r->ws, ct, plain, key, r->rng));
    memcpy(d->masked, ct->poly[0].limb[0], sizeof d->masked);
    ckks_public_key_destroy(key);
    ckks_ciphertext_destroy(ct);
    ckks_plaintext_destroy(plain);
}

/* One thing alone, so that each operation is the first one behind the fork. */
static void draw(ring *r, drawn *d, int keys)
{
    memset(d, 0, sizeof *d);
    (keys ? draw_keys : draw_ciphertexts)(r, d);
}

/* Draws in a child, which writes what it drew to a pipe, and in the parent. */
static void draw_twice(int seeded, int keys, drawn *parent, drawn *child)
{
    ring r = small_ring(seeded);
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    pid_t process = fork();
    ck_assert_int_ge(process, 0);
    draw(&r, parent, keys);
    if (process == 0) {
        ssize_t written = write(ends[1], parent, sizeof *parent);
        _exit(written == (ssize_t)sizeof *parent ? 0 : 1);
    }
    int code = 1;
    ck_assert_int_eq(read(ends[0], child, sizeof *child), sizeof *child);
    ck_assert_int_eq(waitpid(process, &code, 0), process);
    ck_assert_int_eq(code, 0);
    ck_assert_int_eq(close(ends[0]) | close(ends[1]), 0);
    ring_close(&r);
}

#define DIFFERS(member)                                                                            \
    ck_assert_msg(memcmp(&a.member, &b.member, sizeof a.member) != 0,                              \
                  #member " is the same in parent and child")

START_TEST(secrets_differ)
{
    drawn a, b;
    draw_twice(0, 1, &a, &b);
    DIFFERS(id);
    DIFFERS(secret);
    DIFFERS(switch_seed);
    draw_twice(0, 0, &a, &b);
    DIFFERS(seed);
    DIFFERS(error);
    DIFFERS(noise);
    DIFFERS(public_seed);
    DIFFERS(masked);
}
END_TEST

/* Each operation renews, not only the first one: a child forked between any two is apart. */
START_TEST(no_stream_goes_on)
{
    ring r = small_ring(0);
    drawn before, again;
    ckks_rng copy;
    for (int keys = 0; keys < 2; keys++) {
        copy = *r.rng;
        draw(&r, &before, keys);
        *r.rng = copy; /* as in another process */
        draw(&r, &again, keys);
        drawn a = before, b = again;
        if (keys) {
            DIFFERS(id);
            DIFFERS(secret);
            DIFFERS(switch_seed);
        } else {
            DIFFERS(seed);
            DIFFERS(error);
            DIFFERS(noise);
            DIFFERS(public_seed);
            DIFFERS(masked);
        }
    }
    ring_close(&r);
}
END_TEST

START_TEST(seeds_repeat)
{
    drawn a, b;
    for (int keys = 0; keys < 2; keys++) {
        draw_twice(1, keys, &a, &b);
        ck_assert_mem_eq(&a, &b, sizeof a);
    }
}
END_TEST

/* The parent has started threads, as many as OpenMP or the context says; the child, which has none
 * of them, encrypts all the same. */
START_TEST(threads_before_fork)
{
    ring r = small_ring(0);
    if (_i == 0)
        set_threads(4);
    else
        ck_assert_ok(ckks_context_set_threads(r.context, 4));
    drawn d;
    draw(&r, &d, 0);
    pid_t process = fork();
    ck_assert_int_ge(process, 0);
    if (process == 0) {
        (void)alarm(60);
        draw(&r, &d, 0);
        draw(&r, &d, 1);
        _exit(0);
    }
    int code = 1;
    draw(&r, &d, 1);
    ck_assert_int_eq(waitpid(process, &code, 0), process);
    ck_assert_msg(code == 0, "the child ended with %#x", (unsigned)code);
    ring_close(&r);
}
END_TEST

static void add_tests(TCase *tcase)
{
    tcase_add_test(tcase, secrets_differ);
    tcase_add_test(tcase, no_stream_goes_on);
    tcase_add_test(tcase, seeds_repeat);
    tcase_add_loop_test(tcase, threads_before_fork, 0, 2);
}

int main(void)
{
    test_seed(0);
    return test_run("fork", add_tests, 120);
}
