/* SPDX-License-Identifier: Apache-2.0 */
/* Key switching as exact integers: with digits d_j (centred residues of the second polynomial) and
 * the errors e_j of the key,
 *     out0 + out1 s = P sigma(c0 + c1 s') + sum sigma(d_j) e_j   modulo Q P,
 * s' = s for Galois keys, s^2 for relinearisation. Then its noise after the division by P against
 * the formula. */
#include "ckks/scheme/keyswitch.h"

#include "ckks/alloc.h"
#include "ckks/ring/rns.h"
#include "tests/support.h"

/* Twelve primes, three digits; shared: in six limbs. */
static ring toy_ring(int shared)
{
    ring r;
    ckks_params_spec spec = shared ? shared_spec(7, 24.5, 11, 24.5) : flat_spec(7, 45, 11, 33);
    ring_open(&r, &spec, NULL);
    ck_assert_uint_eq(ckks_limb_count(r.context, r.chain), shared ? 6 : 12);
    return r;
}

/* Error coefficients of one digit, read off modulo a special prime. */
static void key_error(const ring *r, int64_t *error, const ckks_switch_key *key, unsigned digit)
{
    const ckks_context *c = r->context;
    unsigned t = ckks_basis_lowest(c->special);
    uint64_t *limb = ckks_alloc(3 * c->n * sizeof *limb), *word = limb + c->n;
    ck_assert_ptr_nonnull(limb);
    for (int part = 0; part < 2; part++)
        for (size_t i = 0; i < c->n; i++)
            *word++ = ckks_packed_get(ckks_switch_key_limb(c, key, digit, t, part),
                                      c->modulus[t].width, i);
    c->kernel->mul_add(&c->modulus[t], limb, limb + c->n, limb + 2 * c->n,
                       r->secret->ntt + t * c->stride, c->n);
    centred_limb(r, error, limb, t);
    for (size_t i = 0; i < c->n; i++) ck_assert_int_le(llabs(error[i]), CKKS_ERROR_BITS);
    ckks_free(limb);
}

static const ckks_switch_key *find(const ring *r, ckks_key_kind kind, uint32_t rotation,
                                   ckks_basis basis)
{
    const ckks_switch_key *key;
    ck_assert_ok(ckks_eval_keys_find(&key, r->keys, kind, rotation, basis, 0));
    return key;
}

static void request_all(ring *r)
{
    /* three digits over the whole chain, one digit over small subsets (with fewer special
     * primes) */
    static const ckks_basis subset[] = {0x001, 0x01e, 0x821, 0x003};
    ring_request(r, CKKS_KEY_RELINEARIZE, 0, r->chain, r->special);
    ring_request(r, CKKS_KEY_CONJUGATE, 0, r->chain, r->special);
    ring_request(r, CKKS_KEY_ROTATE, 5, r->chain, r->special);
    for (size_t k = 0; k < sizeof subset / sizeof subset[0]; k++) {
        ring_request(r, CKKS_KEY_RELINEARIZE, 0, subset[k],
                     ckks_basis_special_for(r->params, subset[k]));
        ring_request(r, CKKS_KEY_ROTATE, -7, subset[k],
                     ckks_basis_special_for(r->params, subset[k]));
    }
    ring_keys(r);
}

#ifdef HAVE_GMP
/* P sigma(c0 + c1 s') + sum sigma(d_j) e_j - (out0 + out1 s) is zero modulo Q P. */
static void check_exact(ring *r, const ckks_switch_key *key, ckks_basis basis, int with_c0)
{
    const ckks_context *c = r->context;
    ckks_basis whole = basis | key->request.p;
    ckks_poly in[2] = {poly_random(r, basis), poly_random(r, basis)},
              out[2] = {poly_create(r, whole), poly_create(r, whole)};
    mpz_t *x = integers_create(c->n), *expected = integers_create(c->n),
          *digit = integers_create(c->n), *noise = integers_create(c->n),
          *e = integers_create(c->n), P, qp;
    int64_t *error = malloc(c->n * sizeof *error);
    mpz_inits(P, qp, NULL);
    integer_product(P, r, key->request.p);
    integer_product(qp, r, whole);
    if (!with_c0) memset(in[0].limb[0], 0, ckks_poly_bytes(c, basis));
    ck_assert_ok(ckks_key_switch(c, r->ws, key, with_c0 ? &in[0] : NULL, NULL, &in[1], out));

    uint64_t *source = NULL;
    if (key->request.kind == CKKS_KEY_RELINEARIZE) {
        source = ckks_alloc(c->moduli * c->stride * sizeof *source);
        ck_assert_ptr_nonnull(source);
        for (unsigned t = 0; t < c->moduli; t++)
            c->kernel->mul(&c->modulus[t], source + t * c->stride, r->secret->ntt + t * c->stride,
                           r->secret->ntt + t * c->stride, c->n);
    }
    integer_phase(x, r, in, source);
    for (size_t i = 0; i < c->n; i++) mpz_mul(x[i], x[i], P);
    uint64_t g = key->sigma ? key->sigma->g : 1;
    integer_automorphism(expected, x, g, c->n);
    unsigned used = 0;
    for (unsigned j = 0; j < key->digits; j++) {
        ckks_basis d = key->digit[j] & basis;
        if (!d) continue;
        used++;
        ckks_poly part = poly_create(r, d);
        ck_assert_ok(ckks_poly_copy(c, 1, &part, &in[1]));
        integers_from_poly(digit, r, &part);
        key_error(r, error, key, j);
        for (size_t i = 0; i < c->n; i++) mpz_set_si(e[i], error[i]);
        integer_automorphism(x, digit, g, c->n);
        negacyclic_product(noise, x, e, c->n);
        for (size_t i = 0; i < c->n; i++) mpz_add(expected[i], expected[i], noise[i]);
        poly_destroy(&part);
    }
    ck_assert_uint_ge(used, 1);
    integer_phase(x, r, out, NULL);
    for (size_t i = 0; i < c->n; i++) {
        mpz_sub(x[i], x[i], expected[i]);
        ck_assert_msg(mpz_divisible_p(x[i], qp),
                      "kind %d, basis %#" PRIx64 ": coefficient %zu is wrong",
                      (int)key->request.kind, basis, i);
    }
    integers_destroy(x, c->n);
    integers_destroy(expected, c->n);
    integers_destroy(digit, c->n);
    integers_destroy(noise, c->n);
    integers_destroy(e, c->n);
    mpz_clears(P, qp, NULL);
    free(error);
    ckks_free(source);
    for (int k = 0; k < 2; k++) {
        poly_destroy(&in[k]);
        poly_destroy(&out[k]);
    }
}

/* Where primes share limbs, a basis has the limbs of its key, those that are half a shared one
 * included. */
START_TEST(exact_integers)
{
    enum { BASES = 8, SMALL = 7 };
    static const ckks_basis bases[2][BASES] = {
        {0xfff, 0x7ff, 0x001, 0x00f, 0x821, 0xa55, 0x5aa, 0x800},
        {0xfff, 0x3ff, 0x003, 0x00f, 0xc33, 0x3cc, 0x0c0, 0xc00}};
    static const ckks_basis small[2][SMALL] = {{0x001, 0x01e, 0x821, 0x003, 0x00a, 0x020, 0x801},
                                               {0x001, 0x01e, 0x821, 0x003, 0x00e, 0x020, 0x801}};
    ring r = toy_ring(_i);
    request_all(&r);
    ck_assert_uint_ge(ckks_params_digits(r.params), 3);
    for (size_t k = 0; k < BASES; k++) {
        ckks_basis basis = bases[_i][k];
        check_exact(&r, find(&r, CKKS_KEY_RELINEARIZE, 0, basis), basis, 1);
        check_exact(&r, find(&r, CKKS_KEY_CONJUGATE, 0, basis), basis, k % 2 == 0);
        check_exact(&r, find(&r, CKKS_KEY_ROTATE, 5, basis), basis, 1);
    }
    for (size_t k = 0; k < SMALL; k++) {
        const ckks_switch_key *key = find(&r, CKKS_KEY_ROTATE, (uint32_t)r.slots - 7, small[_i][k]);
        ck_assert_uint_eq(key->digits, 1);
        check_exact(&r, key, small[_i][k], 1);
    }
    ring_close(&r);
}
END_TEST
#endif

/* After division by P: variance sum_j |e_j|^2 D_j^2 / (12 P^2) from the digits, uniform modulo D_j,
 * plus (1 + |s|^2) / 12 from rounding both polynomials. Measured on rotations and conjugations,
 * whose phase is known exactly; key after key. */
static void check_noise(int shared, const char *what, ckks_key_kind kind, ckks_basis q,
                        ckks_basis basis, ckks_basis special)
{
    enum { KEYS = 4, SWITCHES = 40 };
    ring r = toy_ring(shared);
    const ckks_context *c = r.context;
    ckks_basis p = special ? special : r.special;
    int64_t *want = malloc(4 * c->n * sizeof *want), *got = want + c->n, *moved = got + c->n,
            *error = moved + c->n;
    double variance = 0, expected = 0, mean = 0;
    ck_assert_ptr_nonnull(want);
    for (int k = 0; k < KEYS; k++) {
        ckks_key_list_clear(&r.list);
        ring_request(&r, kind, 3, q, p);
        ring_keys(&r);
        const ckks_switch_key *key = &r.keys->key[0];
        expected += (1 + secret_norm2(&r)) / 12;
        for (unsigned j = 0; j < key->digits; j++) {
            double norm2 = 0,
                   ratio = basis_product(&r, key->digit[j] & basis) / basis_product(&r, p);
            key_error(&r, error, key, j);
            for (size_t i = 0; i < c->n; i++) norm2 += (double)(error[i] * error[i]);
            if (key->digit[j] & basis) expected += norm2 * ratio * ratio / 12;
        }
        for (int i = 0; i < SWITCHES; i++) {
            ckks_complex z[64];
            random_complex(z, r.slots, 1);
            ckks_ciphertext *in = encrypt(&r, z, r.slots, 0x1p20, basis), *out = new_ciphertext(&r);
            if (kind == CKKS_KEY_ROTATE)
                ck_assert_ok(ckks_rotate(c, r.ws, r.keys, out, in, 3));
            else
                ck_assert_ok(ckks_conjugate(c, r.ws, r.keys, out, in));
            unsigned t = ckks_basis_lowest(basis);
            centred_phase(&r, want, in, t);
            centred_phase(&r, got, out, t);
            for (size_t j = 0; j < c->n; j++) {
                size_t e = (size_t)(j * key->sigma->g) & (2 * c->n - 1);
                moved[e & (c->n - 1)] = e < c->n ? want[j] : -want[j];
            }
            for (size_t j = 0; j < c->n; j++) {
                mean += (double)(got[j] - moved[j]);
                variance += (double)((got[j] - moved[j]) * (got[j] - moved[j]));
            }
            ckks_ciphertext_destroy(in);
            ckks_ciphertext_destroy(out);
        }
    }
    double count = (double)KEYS * SWITCHES * (double)c->n;
    variance /= count;
    expected /= KEYS;
    assert_variance(what, variance, expected, count / 2, 0.01);
    ck_assert_double_le(fabs(mean / count), 5 * sqrt(expected / count * 2));
    free(want);
    ring_close(&r);
}

START_TEST(noise)
{
    check_noise(0, "rotation, 3 digits", CKKS_KEY_ROTATE, 0xfff, 0xfff, 0);
    check_noise(0, "conjugation, 3 digits, every other prime", CKKS_KEY_CONJUGATE, 0xfff, 0x555, 0);
    check_noise(0, "rotation, 1 digit of 4 primes", CKKS_KEY_ROTATE, 0x01e, 0x01e, 0);
    check_noise(0, "rotation, 1 digit, its margin exhausted", CKKS_KEY_ROTATE, 0x001, 0x001,
                (ckks_basis)1 << 12 | (ckks_basis)1 << 13);
    check_noise(0, "rotation on one prime of a 3-digit key", CKKS_KEY_ROTATE, 0xfff, 0x800, 0);
    check_noise(1, "shared limbs: rotation, 3 digits", CKKS_KEY_ROTATE, 0xfff, 0xfff, 0);
    check_noise(1, "shared limbs: conjugation, 3 digits, every other limb", CKKS_KEY_CONJUGATE,
                0xfff, 0x333, 0);
    check_noise(1, "shared limbs: rotation, 1 digit of a limb and two halves", CKKS_KEY_ROTATE,
                0x01e, 0x01e, 0);
    check_noise(1, "shared limbs: rotation, 1 digit of a half, its margin exhausted",
                CKKS_KEY_ROTATE, 0x001, 0x001, (ckks_basis)1 << 12);
}
END_TEST

/* What one switch does: the transforms in and out, the key's bytes on the primes at hand. Only a
 * context made for it counts. */
START_TEST(counted_work)
{
    ring r = toy_ring(_i);
    ckks_work zero = {.n = r.n}, work = ring_work(&r);
    ck_assert_mem_eq(&work, &zero, sizeof work);
    ring_count(&r);
    ckks_complex z[64] = {{1, 0}};
    ring_request(&r, CKKS_KEY_ROTATE, 1, r.chain, r.special);
    ring_keys(&r);
    ckks_ciphertext *x = encrypt(&r, z, r.slots, 0x1p30, r.chain);
    ckks_work before = ring_work(&r);
    ck_assert_ok(ckks_rotate(r.context, r.ws, r.keys, x, x, 1));
    ckks_work after = ring_work(&r);
    unsigned limbs = _i ? 6 : 12, special = 3, digits = r.keys->key[0].digits;
    work = zero;
    ckks_work_add(&work, &after, &before);
    ck_assert_uint_eq(work.key_switches, 1);
    ck_assert_uint_eq(work.products, 0);
    /* raise: limbs back, digits * (limbs + special) - limbs forward; lower: 2 special back, 2 limbs
     * forward */
    ck_assert_double_eq(ckks_work_limbs(&work, CKKS_WORK_NTT_FORWARD) +
                            ckks_work_limbs(&work, CKKS_WORK_NTT_INVERSE),
                        digits * (limbs + special) + 2 * (limbs + special));
    size_t bytes = 0;
    unsigned index[CKKS_MAX_PRIMES];
    ck_assert_uint_eq(ckks_limb_list(r.context, r.chain | r.special, index), limbs + special);
    for (unsigned i = 0; i < limbs + special; i++)
        bytes += digits * 2 * r.n * r.context->modulus[index[i]].width;
    ck_assert_uint_eq(work.key_bytes, bytes);
    ckks_ciphertext_destroy(x);
    ring_close(&r);
}
END_TEST

static void add_tests(TCase *tcase)
{
#ifdef HAVE_GMP
    tcase_add_loop_test(tcase, exact_integers, 0, 2);
#endif
    tcase_add_test(tcase, noise);
    tcase_add_loop_test(tcase, counted_work, 0, 2);
}

int main(void)
{
    test_seed(0);
#ifndef HAVE_GMP
    puts("without GMP: the exact integers of key switching are not tested");
#endif
    return test_run("keyswitch", add_tests, 60);
}
