/* SPDX-License-Identifier: Apache-2.0 */
/* Vectors side by side in the coefficients of a ciphertext: encoded so, joined, picked out, taken
 * apart, against the vectors themselves. */
#include "tests/support.h"

#include "ckks/scheme/keys.h"

#define LOG_N 9u
#define SLOTS (1u << (LOG_N - 1))
#define SCALE 0x1p36

/* Noise of fresh encryptions, rotations and roundings is 2^-20 at most at this scale. */
#define BOUND 1e-6

static const ckks_interleaving shapes[] = {{1, 1}, {1, 2},  {16, 1},    {16, 4},
                                           {4, 8}, {64, 4}, {SLOTS, 1}, {1, SLOTS}};
#define SHAPES ((int)(sizeof shapes / sizeof shapes[0]))

static ring open_toy(void)
{
    ring r;
    ckks_params_spec spec = shared_spec(LOG_N, 40, 3, 24);
    ring_open(&r, &spec, NULL);
    return r;
}

/* The mean of all copies of `period` slots. */
static void mean_of_copies(ring *r, ckks_complex *out, const ckks_ciphertext *ct, size_t period)
{
    ckks_complex z[SLOTS];
    decrypt(r, z, ct);
    for (size_t k = 0; k < period; k++) {
        out[k] = (ckks_complex){0, 0};
        for (size_t s = k; s < SLOTS; s += period) out[k] = c_add(out[k], z[s]);
        out[k].re /= (double)(SLOTS / period);
        out[k].im /= (double)(SLOTS / period);
    }
}

static void check_vector(ring *r, const ckks_ciphertext *ct, const ckks_complex *vector,
                         size_t period)
{
    ckks_complex got[SLOTS];
    mean_of_copies(r, got, ct, period);
    ck_assert_double_le(worst_difference(got, vector, period), BOUND);
}

/* Encrypted together: each vector can be picked out. */
START_TEST(encoded)
{
    ring r = open_toy();
    ckks_interleaving s = shapes[_i];
    ckks_complex z[SLOTS];
    ckks_plaintext *plain;
    ckks_ciphertext *ct = new_ciphertext(&r), *one = new_ciphertext(&r);
    random_complex(z, s.period * s.count, 1);
    ck_assert_ok(ckks_plaintext_create(&plain, r.context));
    ck_assert_ok(ckks_encode_interleaved(r.context, r.ws, plain, z, s, SCALE, r.chain));
    ck_assert_ok(ckks_encrypt(r.context, r.ws, ct, plain, r.secret, r.rng));
    ck_assert_uint_eq(ckks_ciphertext_period(ct), s.period * s.count);
    for (size_t k = 0; k < s.count; k++) {
        ck_assert_ok(ckks_interleaved_at(r.context, r.ws, one, ct, k, s));
        check_vector(&r, one, z + k * s.period, s.period);
    }
    ckks_plaintext_destroy(plain);
    ckks_ciphertext_destroy(ct);
    ckks_ciphertext_destroy(one);
    ring_close(&r);
}
END_TEST

/* Encrypted one by one, joined, and taken apart again: what repeats, and nothing of the others. */
START_TEST(joined_and_apart)
{
    ring r = open_toy();
    ckks_interleaving s = shapes[_i];
    ckks_complex z[SLOTS], slots[SLOTS];
    ckks_ciphertext *in[SLOTS], *out[SLOTS], *all = new_ciphertext(&r);
    size_t given = s.count > 2 ? s.count - 1 : s.count;
    random_complex(z, s.period * s.count, 1);
    for (size_t k = given * s.period; k < s.period * s.count; k++) z[k] = (ckks_complex){0, 0};
    for (size_t k = 0; k < s.count; k++) {
        in[k] = encrypt(&r, z + k * s.period, s.period, SCALE, r.chain);
        out[k] = new_ciphertext(&r);
    }
    ck_assert_ok(ckks_deinterleave_keys(r.context, r.chain, s, &r.list));
    ring_keys(&r);
    ck_assert_ok(ckks_ciphertext_set_label(in[0], 7));
    ck_assert_ok(
        ckks_interleave(r.context, r.ws, all, (const ckks_ciphertext *const *)in, given, s));
    ck_assert_uint_eq(ckks_ciphertext_label(all), 0);
    ck_assert_ok(ckks_deinterleave(r.context, r.ws, r.keys, out, all, s));
    for (size_t k = 0; k < s.count; k++) {
        ck_assert_double_eq(ckks_ciphertext_scale(out[k]), (double)s.count * SCALE);
        ck_assert_uint_eq(ckks_ciphertext_period(out[k]), s.period);
        /* the scale has grown, and the values with it; in every slot, not only in the mean */
        decrypt(&r, slots, out[k]);
        for (size_t j = 0; j < SLOTS; j += s.period)
            ck_assert_double_le(worst_difference(slots + j, z + k * s.period, s.period),
                                16 * BOUND);
    }
    for (size_t k = 0; k < s.count; k++) {
        ckks_ciphertext_destroy(in[k]);
        ckks_ciphertext_destroy(out[k]);
    }
    ckks_ciphertext_destroy(all);
    ring_close(&r);
}
END_TEST

/* The first result may take the place of the first operand. */
START_TEST(in_place)
{
    ring r = open_toy();
    ckks_interleaving s = {8, 2};
    ckks_complex z[16];
    random_complex(z, 16, 1);
    ckks_ciphertext *in[2] = {encrypt(&r, z, 8, SCALE, r.chain),
                              encrypt(&r, z + 8, 8, SCALE, r.chain)};
    ck_assert_ok(ckks_interleave(r.context, r.ws, in[0], (const ckks_ciphertext *const *)in, 2, s));
    ck_assert_ok(ckks_interleaved_at(r.context, r.ws, in[0], in[0], 1, s));
    check_vector(&r, in[0], z + 8, 8);
    ckks_ciphertext_destroy(in[0]);
    ckks_ciphertext_destroy(in[1]);
    ring_close(&r);
}
END_TEST

START_TEST(refused)
{
    static const ckks_interleaving wrong[] = {{0, 1}, {3, 1},         {4, 0},     {4, 3},
                                              {4, 6}, {2 * SLOTS, 1}, {SLOTS, 2}, {1, 2 * SLOTS}};
    ring r = open_toy();
    ckks_complex z[2 * SLOTS] = {{0, 0}};
    ckks_plaintext *plain;
    ckks_ciphertext *ct = encrypt(&r, z, 8, SCALE, r.chain), *empty = new_ciphertext(&r),
                    *out[4] = {new_ciphertext(&r), new_ciphertext(&r), new_ciphertext(&r),
                               new_ciphertext(&r)};
    const ckks_ciphertext *const in[2] = {ct, empty};
    ck_assert_ok(ckks_plaintext_create(&plain, r.context));
    for (size_t k = 0; k < sizeof wrong / sizeof wrong[0]; k++) {
        ckks_interleaving s = wrong[k];
        ck_assert_fails(ckks_encode_interleaved(r.context, r.ws, plain, z, s, SCALE, r.chain),
                        FHOLA_PARAM);
        ck_assert_fails(ckks_interleave(r.context, r.ws, out[0], in, 1, s), FHOLA_PARAM);
        ck_assert_fails(ckks_interleaved_at(r.context, r.ws, out[0], ct, 0, s), FHOLA_PARAM);
        ck_assert_fails(ckks_deinterleave_keys(r.context, r.chain, s, &r.list), FHOLA_PARAM);
    }
    const ckks_interleaving s = {8, 4};
    ck_assert_fails(ckks_interleave(r.context, r.ws, out[0], in, 0, s), FHOLA_PARAM);
    ck_assert_fails(ckks_interleave(r.context, r.ws, out[0], in, 5, s), FHOLA_PARAM);
    ck_assert_fails(ckks_interleave(r.context, r.ws, out[0], in, 2, s), FHOLA_LEVEL);
    ck_assert_fails(ckks_interleaved_at(r.context, r.ws, out[0], ct, 4, s), FHOLA_PARAM);
    ring_keys(&r); /* none was asked for */
    ck_assert_fails(ckks_deinterleave(r.context, r.ws, r.keys, out, ct, s), FHOLA_KEY);
    ck_assert_fails(ckks_ciphertext_set_label(empty, 1), FHOLA_LEVEL);
    for (int k = 0; k < 4; k++) ckks_ciphertext_destroy(out[k]);
    ckks_plaintext_destroy(plain);
    ckks_ciphertext_destroy(ct);
    ckks_ciphertext_destroy(empty);
    ring_close(&r);
}
END_TEST

static void add_tests(TCase *tcase)
{
    tcase_add_loop_test(tcase, encoded, 0, SHAPES);
    tcase_add_loop_test(tcase, joined_and_apart, 0, SHAPES);
    tcase_add_test(tcase, in_place);
    tcase_add_test(tcase, refused);
}

int main(void)
{
    test_seed(91);
    return test_run("interleaved vectors", add_tests, 60);
}
