/* SPDX-License-Identifier: Apache-2.0 */
/* Encryption and decryption: the noise against its formula, the seed, and what decryption makes of
 * limiting integers. */
#include "ckks/scheme/encode.h"

#include "ckks/alloc.h"
#include "tests/support.h"

#define SAMPLES 64

/* Five primes; shared: in three limbs. */
static ring toy_ring(int shared)
{
    ring r;
    ckks_params_spec spec = shared ? shared_spec(9, 24.5, 4, 24.5) : flat_spec(9, 45, 4, 40);
    ring_open(&r, &spec, NULL);
    ck_assert_uint_eq(ckks_limb_count(r.context, r.chain), shared ? 3 : 5);
    return r;
}

typedef struct moments {
    double sum, sum2, count;
} moments;

/* Adds the coefficients of phase(ct) - plain modulo the lowest prime, after checking that every
 * other prime sees the same ones. */
static void collect_noise(const ring *r, moments *m, const ckks_ciphertext *ct,
                          const ckks_plaintext *plain)
{
    const ckks_context *c = r->context;
    int64_t *first = malloc(3 * r->n * sizeof *first), *noise = first + r->n,
            *message = noise + r->n;
    uint64_t *room = ckks_alloc(r->n * sizeof *room);
    ck_assert(first && room);
    for (unsigned t = 0, seen = 0; t < c->primes; t++) {
        if (!(ct->poly->basis >> t & 1)) continue;
        int64_t p = (int64_t)c->modulus[t].p;
        centred_phase(r, noise, ct, t);
        centred_limb(r, message, ckks_poly_range(c, &plain->poly, t, 0, r->n, room), t);
        for (size_t i = 0; i < r->n; i++) {
            noise[i] = (noise[i] - message[i]) % p;
            if (noise[i] > p / 2) noise[i] -= p;
            if (noise[i] < -p / 2) noise[i] += p;
        }
        if (!seen++) {
            memcpy(first, noise, r->n * sizeof *first);
            for (size_t i = 0; i < r->n; i++) {
                m->sum += (double)first[i];
                m->sum2 += (double)first[i] * (double)first[i];
                m->count++;
            }
        }
        for (size_t i = 0; i < r->n; i++) ck_assert_int_eq(noise[i], first[i]);
    }
    free(first);
    ckks_free(room);
}

/* c0 + c1 s = m + e: exactly the error's distribution. On a basis that is no prefix. */
START_TEST(symmetric)
{
    ring r = toy_ring(_i);
    ckks_complex z[256], back[256];
    moments m = {0, 0, 0};
    ckks_basis basis = 0x1d;
    ckks_ciphertext *ct = new_ciphertext(&r);
    double slots = 0;
    for (int k = 0; k < SAMPLES; k++) {
        random_complex(z, r.slots, 1);
        ckks_plaintext *plain = encode(&r, z, r.slots, 0x1p35, basis);
        ck_assert_ok(ckks_encrypt(r.context, r.ws, ct, plain, r.secret, r.rng));
        ck_assert_uint_eq(ckks_ciphertext_basis(ct), basis);
        ck_assert_double_eq(ckks_ciphertext_scale(ct), 0x1p35);
        collect_noise(&r, &m, ct, plain);
        decrypt(&r, back, ct);
        slots += pow(rms_difference(back, z, r.slots), 2);
        /* the second polynomial is the seed's expansion */
        ck_assert_int_eq(ct->seeded, 1);
        uint64_t *a = ckks_alloc(r.n * sizeof *a);
        for (unsigned i = 0; i < ct->poly->limbs; i++) {
            unsigned t = ct->poly->modulus[i];
            ckks_sample_uniform(a, r.n, r.context->modulus[t].p, ct->seed, t);
            ck_assert_mem_eq(a, ct->poly[1].limb[i], r.n * sizeof *a);
        }
        ckks_free(a);
        ckks_plaintext_destroy(plain);
    }
    ck_assert_double_le(fabs(m.sum / m.count), 5 * sqrt(CKKS_ERROR_VARIANCE / m.count));
    assert_variance("symmetric encryption, coefficients", m.sum2 / m.count, CKKS_ERROR_VARIANCE,
                    m.count, 0);
    /* slots: N coefficients, and the rounding of the encoding */
    double expected = (double)r.n * (CKKS_ERROR_VARIANCE + 1.0 / 12) * 0x1p-70;
    assert_variance("symmetric encryption, slots", slots / SAMPLES, expected,
                    SAMPLES * (double)r.slots, 0);
    ckks_ciphertext_destroy(ct);
    ring_close(&r);
}
END_TEST

/* m + e v + e0 + e1 s, with e the key's error and v ternary of variance 2/3. */
START_TEST(public)
{
    ring r = toy_ring(_i);
    const ckks_context *c = r.context;
    ckks_public_key *pk;
    ck_assert_ok(ckks_public_key_create(&pk, c, r.secret, r.chain, r.rng));
    ckks_ciphertext key = {.context = c, .poly = {pk->b, pk->a}};
    int64_t error[512];
    double norm2 = 0;
    centred_phase(&r, error, &key, 0);
    for (size_t i = 0; i < r.n; i++) norm2 += (double)(error[i] * error[i]);
    ckks_complex z[256];
    moments m = {0, 0, 0};
    ckks_ciphertext *ct = new_ciphertext(&r);
    for (int k = 0; k < SAMPLES; k++) {
        random_complex(z, r.slots, 1);
        ckks_plaintext *plain = encode(&r, z, r.slots, 0x1p35, k % 2 ? r.chain : 0x16);
        ck_assert_ok(ckks_encrypt_public(c, r.ws, ct, plain, pk, r.rng));
        ck_assert_int_eq(ct->seeded, 0);
        collect_noise(&r, &m, ct, plain);
        ckks_plaintext_destroy(plain);
    }
    double expected = norm2 * 2 / 3 + CKKS_ERROR_VARIANCE * (1 + secret_norm2(&r));
    /* coefficients of one product are not independent: as if there were SAMPLES / 2 values less per
     * coefficient */
    assert_variance("public-key encryption, coefficients", m.sum2 / m.count, expected, m.count / 2,
                    0.02);
    ckks_public_key_destroy(pk);
    ckks_public_key_destroy(NULL);
    ckks_ciphertext_destroy(ct);
    ring_close(&r);
}
END_TEST

/* Two encryptions of one message share nothing. */
START_TEST(fresh)
{
    ring r = toy_ring(0);
    ckks_complex z[256];
    random_complex(z, r.slots, 1);
    ckks_ciphertext *a = encrypt(&r, z, r.slots, 0x1p35, r.chain),
                    *b = encrypt(&r, z, r.slots, 0x1p35, r.chain);
    ck_assert_mem_ne(a->seed, b->seed, 32);
    ck_assert_mem_ne(a->poly[1].limb[0], b->poly[1].limb[0], 64);
    ckks_complex back[256];
    ckks_ciphertext *copy = new_ciphertext(&r);
    ck_assert_ok(ckks_ciphertext_copy(copy, a));
    ck_assert_uint_eq(ciphertext_hash(copy), ciphertext_hash(a));
    ck_assert_int_eq(copy->seeded, 1);
    ck_assert_mem_eq(copy->seed, a->seed, 32);
    /* a declared scale divides the values */
    ck_assert_ok(ckks_ciphertext_set_scale(copy, 0x1p36));
    decrypt(&r, back, copy);
    for (size_t i = 0; i < r.slots; i++) back[i] = (ckks_complex){2 * back[i].re, 2 * back[i].im};
    ck_assert_double_le(worst_difference(back, z, r.slots), 0x1p-25);
    ckks_ciphertext_destroy(a);
    ckks_ciphertext_destroy(b);
    ckks_ciphertext_destroy(copy);
    ring_close(&r);
}
END_TEST

#ifdef HAVE_GMP
/* Decryption composes integers of up to 125 bits from the lowest limbs, signs and limits included:
 * a ciphertext (m, 0). */
START_TEST(composition)
{
    ring r;
    ckks_params_spec spec = _i ? shared_spec(5, 24.5, 6, 24.5) : flat_spec(5, 50, 6, 37);
    ring_open(&r, &spec, NULL);
    const ckks_context *c = r.context;
    gmp_randstate_t state;
    gmp_randinit_default(state);
    gmp_randseed_ui(state, random_word());
    mpz_t *m = integers_create(r.n), q, limit;
    double exact[32], scratch[32];
    ckks_complex want[16], got[16];
    mpz_inits(q, limit, NULL);
    static const ckks_basis bases[] = {1, 2, 3, 7, 0xf, 0x7f, 0x54, 0x29, 0x70};
    for (size_t k = 0; k < sizeof bases / sizeof bases[0]; k++) {
        ckks_ciphertext *ct = new_ciphertext(&r);
        ckks_poly room[2];
        ck_assert_ok(ckks_ciphertext_reserve(ct, bases[k], room));
        /* what is used: limbs from the bottom while their product is below 2^126 */
        unsigned index[CKKS_MAX_PRIMES], limbs = ckks_limb_list(c, bases[k], index);
        ckks_basis used = 0;
        double bits = 0;
        for (unsigned t = 0; t < limbs; t++)
            if ((bits += ckks_params_log2(r.params, c->modulus[index[t]].primes)) < 126)
                used |= c->modulus[index[t]].primes;
        integer_product(q, &r, used);
        mpz_fdiv_q_2exp(limit, q, 1);
        for (size_t i = 0; i < r.n; i++) {
            mpz_urandomm(m[i], state, q);
            integer_centre(m[i], q);
            if (i % 8 == 1) mpz_set(m[i], limit);
            if (i % 8 == 2) mpz_neg(m[i], limit);
            if (i % 8 == 3) mpz_set_si(m[i], -1);
            if (i % 8 == 4) mpz_set_ui(m[i], 0);
            if (i % 8 == 5) mpz_fdiv_q_2exp(m[i], m[i], 60);
            exact[i] = mpz_get_d(m[i]);
        }
        poly_from_integers(&r, &room[0], m);
        memset(room[1].limb[0], 0, ckks_poly_bytes(c, bases[k]));
        double scale = basis_product(&r, used);
        ckks_ciphertext_set(ct, bases[k], scale, 0);
        decrypt(&r, got, ct);
        ckks_decode_coefficients(c, want, r.slots, scratch, exact, scale);
        ck_assert_double_le(worst_difference(got, want, r.slots), 0x1p-48 * (double)r.n);
        ckks_ciphertext_destroy(ct);
    }
    integers_destroy(m, r.n);
    mpz_clears(q, limit, NULL);
    gmp_randclear(state);
    ring_close(&r);
}
END_TEST
#endif

/* Anything but the right secret gives noise of the size of the modulus. */
START_TEST(wrong_secret)
{
    ring r = toy_ring(0);
    ckks_complex z[256], back[256];
    ckks_secret_key *other;
    ck_assert_ok(ckks_secret_key_create(&other, r.context, r.rng));
    random_complex(z, r.slots, 1);
    ckks_ciphertext *ct = encrypt(&r, z, r.slots, 0x1p35, r.chain);
    ck_assert_ok(ckks_decrypt(r.context, r.ws, back, r.slots, ct, other));
    ck_assert_double_gt(rms(back, r.slots), 0x1p20);
    /* fewer slots on demand, the rest untouched */
    back[3] = (ckks_complex){7, 7};
    ck_assert_ok(ckks_decrypt(r.context, r.ws, back, 3, ct, r.secret));
    ck_assert_double_le(worst_difference(back, z, 3), 0x1p-25);
    ck_assert(back[3].re == 7 && back[3].im == 7);
    ckks_secret_key_destroy(other);
    ckks_ciphertext_destroy(ct);
    ring_close(&r);
}
END_TEST

/* A workspace of zeros, which nothing has been taken from. */
static ckks_workspace *clean_workspace(const ring *r)
{
    ckks_workspace *ws;
    ck_assert_ok(ckks_workspace_create(&ws, r->context));
    ckks_mark mark = ckks_workspace_mark(ws);
    ck_assert_ptr_nonnull(ckks_workspace_take(ws, 1));
    ckks_workspace_release(ws, mark);
    memset(ws->block[0].memory, 0, ws->block[0].size);
    return ws;
}

/* Most bytes of N neighbours that are not 0, and the end of the workspace. Limbs and small
 * polynomials have more than half of them, the structures of polynomials far fewer. */
static size_t close_workspace(ckks_workspace *ws, size_t n)
{
    const unsigned char *memory = ws->block[0].memory;
    size_t most = 0;
    ck_assert_uint_eq(ws->blocks, 1);
    for (size_t i = 0, here = 0; i < ws->block[0].size; i++) {
        here += memory[i] != 0;
        if (i >= n) here -= memory[i - n] != 0;
        if (here > most) most = here;
    }
    ckks_workspace_destroy(ws);
    return most;
}

/* Errors, masks, products with the secret and what is decrypted do not stay in the workspace. */
START_TEST(nothing_left)
{
    ring r = toy_ring(_i);
    const ckks_context *c = r.context;
    ckks_complex z[256];
    ckks_public_key *pk;
    ckks_ciphertext *ct = new_ciphertext(&r);
    random_complex(z, r.slots, 1);
    ckks_plaintext *plain = encode(&r, z, r.slots, 0x1p35, r.chain);
    ck_assert_ok(ckks_public_key_create(&pk, c, r.secret, r.chain, r.rng));
    ckks_workspace *ws = clean_workspace(&r);
    ck_assert_ok(ckks_encrypt(c, ws, ct, plain, r.secret, r.rng));
    ck_assert_uint_lt(close_workspace(ws, r.n), r.n / 4);
    ws = clean_workspace(&r);
    ck_assert_ok(ckks_encrypt_public(c, ws, ct, plain, pk, r.rng));
    ck_assert_uint_lt(close_workspace(ws, r.n), r.n / 4);
    ws = clean_workspace(&r);
    ck_assert_ok(ckks_decrypt(c, ws, z, r.slots, ct, r.secret));
    ck_assert_uint_lt(close_workspace(ws, r.n), r.n / 4);
    ckks_public_key_destroy(pk);
    ckks_plaintext_destroy(plain);
    ckks_ciphertext_destroy(ct);
    ring_close(&r);
}
END_TEST

static void add_tests(TCase *tcase)
{
    tcase_add_loop_test(tcase, symmetric, 0, 2);
    tcase_add_loop_test(tcase, public, 0, 2);
    tcase_add_test(tcase, fresh);
#ifdef HAVE_GMP
    tcase_add_loop_test(tcase, composition, 0, 2);
#endif
    tcase_add_test(tcase, wrong_secret);
    tcase_add_loop_test(tcase, nothing_left, 0, 2);
}

int main(void)
{
    test_seed(0);
#ifndef HAVE_GMP
    puts("without GMP: the composition of integers is not tested");
#endif
    return test_run("encrypt", add_tests, 60);
}
