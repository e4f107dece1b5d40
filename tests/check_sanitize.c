/* SPDX-License-Identifier: Apache-2.0 */
/* Sanitizing: the noise on the coefficients that carry values against its formula, the others
 * uniform, the second polynomial masked, values as they were; and what is refused. */
#include "ckks/ring/gaussian.h"
#include "ckks/scheme/keys.h"
#include "tests/support.h"

#define PERIOD 4u
#define RUNS   300

/* Eight primes; shared: the lowest two in one limb. Digits of a few primes. */
static ring toy_ring(int shared)
{
    ring r;
    ckks_params_spec spec = shared ? shared_spec(8, 24.5, 7, 24.5) : flat_spec(8, 46, 7, 36);
    ring_open(&r, &spec, NULL);
    ck_assert_uint_gt(ckks_params_digits(r.params), 1);
    ring_request(&r, CKKS_KEY_RELINEARIZE, 0, r.chain, r.special);
    ring_keys(&r);
    return r;
}

/* Variance of what the encryption of zero adds: errors of the pair times the mask, and two own. */
static double zero_variance(const ring *r)
{
    return CKKS_ERROR_VARIANCE * ((double)r->n * 2 / 3 + 1 + secret_norm2(r));
}

typedef struct moments {
    double sum, square, count;
} moments;

static void add(moments *m, double x)
{
    m->sum += x;
    m->square += x * x;
    m->count++;
}

static void assert_moments(const char *what, const moments *m, double variance)
{
    assert_variance(what, m->square / m->count, variance, m->count, 1e-3);
    ck_assert_double_le(fabs(m->sum / m->count), 5 * sqrt(variance / m->count));
}

static int64_t centred_difference(int64_t a, int64_t b, int64_t p)
{
    int64_t d = (a - b) % p;
    return d > p / 2 ? d - p : d < -(p / 2) ? d + p : d;
}

/* One ciphertext over and over, at a deviation: the moments of what came to its phase on and beside
 * the subring, and to its second polynomial, modulo the lowest prime. */
static void collect(ring *r, ckks_basis basis, double deviation, moments *on, moments *beside,
                    moments *second)
{
    const int64_t p = (int64_t)r->context->modulus[0].p;
    const size_t gap = r->slots / PERIOD;
    const unsigned top = ckks_basis_limbs(r->context->shared, basis) > 1 ? 1 : 0;
    int64_t *before = calloc(6 * r->n, sizeof *before), *after = before + r->n, *a = after + r->n,
            *b = a + r->n, *high = b + r->n, *higher = high + r->n;
    ckks_complex z[PERIOD];
    ckks_ciphertext *out = new_ciphertext(r);
    ck_assert_ptr_nonnull(before);
    random_complex(z, PERIOD, 1);
    ckks_ciphertext *ct = encrypt(r, z, PERIOD, 0x1p20, basis);
    const unsigned t = ct->poly->modulus[0];
    centred_phase(r, before, ct, 0);
    centred_phase(r, high, ct, top);
    centred_limb(r, a, ct->poly[1].limb[0], t);
    for (int k = 0; k < RUNS; k++) {
        ck_assert_ok(ckks_ciphertext_copy(out, ct));
        ck_assert_ok(ckks_sanitize(r->context, r->ws, out, PERIOD, r->keys, deviation, r->rng));
        ck_assert_uint_eq(ckks_ciphertext_basis(out), basis);
        ck_assert_double_eq(ckks_ciphertext_scale(out), 0x1p20);
        ck_assert(!out->seeded);
        centred_phase(r, after, out, 0);
        centred_phase(r, higher, out, top);
        centred_limb(r, b, out->poly[1].limb[0], t);
        for (size_t j = 0; j < r->n; j++) {
            int64_t noise = centred_difference(after[j], before[j], p);
            add(j % gap ? beside : on, (double)noise);
            add(second, (double)centred_difference(b[j], a[j], (int64_t)r->context->modulus[t].p));
            /* the same integer modulo every prime */
            if (j % gap == 0 && top)
                ck_assert_int_eq(noise, centred_difference(higher[j], high[j],
                                                           (int64_t)r->context->modulus[1].p));
        }
    }
    ckks_ciphertext_destroy(ct);
    ckks_ciphertext_destroy(out);
    free(before);
}

/* Loop index: what the ring and the ciphertext are like, and the noise. */
static const struct {
    int shared;
    ckks_basis basis;
    double deviation;
} kind[] = {
    {0, 0x1, 1}, /* the least noise: that of the encryption of zero is as large */
    {0, 0x1, 0x1p20},
    {0, 0x3, 0x1p20},
    {1, 0x3, 0x1p16},
};

START_TEST(noise)
{
    ring r = toy_ring(kind[_i].shared);
    moments on = {0}, beside = {0}, second = {0};
    ckks_gaussian gaussian;
    collect(&r, kind[_i].basis, kind[_i].deviation, &on, &beside, &second);
    ck_assert_ok(ckks_gaussian_init(&gaussian, kind[_i].deviation));
    unsigned modulus[CKKS_MAX_PRIMES];
    (void)ckks_limb_list(r.context, kind[_i].basis, modulus);
    double p = (double)r.context->modulus[0].p, whole = (double)r.context->modulus[modulus[0]].p;
    assert_moments("noise of values", &on, pow(gaussian.sigma, 2) + zero_variance(&r));
    assert_moments("beside them", &beside, p * p / 12);
    assert_moments("second polynomial", &second, whole * whole / 12);
    ring_close(&r);
}
END_TEST

START_TEST(values)
{
    ring r = toy_ring(0);
    ckks_complex z[PERIOD], got[128], mean[PERIOD] = {{0, 0}};
    random_complex(z, PERIOD, 1);
    ckks_ciphertext *ct = encrypt(&r, z, PERIOD, 0x1p30, 1);
    ck_assert_ok(ckks_sanitize(r.context, r.ws, ct, PERIOD, r.keys, 0x1p16, r.rng));
    ck_assert_uint_eq(ckks_ciphertext_period(ct), 0);
    decrypt(&r, got, ct);
    for (size_t s = 0; s < r.slots; s++) {
        mean[s % PERIOD].re += got[s].re * PERIOD / (double)r.slots;
        mean[s % PERIOD].im += got[s].im * PERIOD / (double)r.slots;
    }
    double expected = sqrt(2 * PERIOD) * 0x1p16 / 0x1p30;
    ck_assert_double_lt(worst_difference(mean, z, PERIOD), 6 * expected);
    /* a single copy is no value any more */
    ck_assert_double_gt(rms_difference(got, z, PERIOD), 1000);
    ckks_ciphertext_destroy(ct);
    ring_close(&r);
}
END_TEST

START_TEST(refused)
{
    ring r = toy_ring(0), other = toy_ring(0);
    ckks_complex z[1] = {{1, 0}};
    ckks_ciphertext *ct = encrypt(&r, z, 1, 0x1p30, 1), *whole = encrypt(&r, z, 1, 0x1p30, r.chain),
                    *empty = new_ciphertext(&r);
    const uint64_t hash = ciphertext_hash(ct), whole_hash = ciphertext_hash(whole);
    const ckks_context *c = r.context;
    ck_assert_fails(ckks_sanitize(c, r.ws, ct, 3, r.keys, 100, r.rng), FHOLA_PARAM);
    ck_assert_fails(ckks_sanitize(c, r.ws, ct, 0, r.keys, 100, r.rng), FHOLA_PARAM);
    ck_assert_fails(ckks_sanitize(c, r.ws, ct, 2 * r.slots, r.keys, 100, r.rng), FHOLA_PARAM);
    ck_assert_fails(ckks_sanitize(c, other.ws, ct, 1, r.keys, 100, r.rng), FHOLA_PARAM);
    ck_assert_fails(ckks_sanitize(c, r.ws, ct, 1, other.keys, 100, r.rng), FHOLA_KEY);
    ck_assert_fails(ckks_sanitize(c, r.ws, ct, 1, r.keys, 0, r.rng), FHOLA_RANGE);
    ck_assert_fails(ckks_sanitize(c, r.ws, ct, 1, r.keys, 0x1p51, r.rng), FHOLA_RANGE);
    ck_assert_fails(ckks_sanitize(c, r.ws, empty, 1, r.keys, 100, r.rng), FHOLA_LEVEL);
    /* every digit has some of these primes */
    ck_assert_fails(ckks_sanitize(c, r.ws, whole, 1, r.keys, 100, r.rng), FHOLA_KEY);
    ck_assert_uint_eq(ciphertext_hash(ct), hash);
    ck_assert_uint_eq(ciphertext_hash(whole), whole_hash);
    ckks_ciphertext_destroy(ct);
    ckks_ciphertext_destroy(whole);
    ckks_ciphertext_destroy(empty);
    ring_close(&other);
    ring_close(&r);
}
END_TEST

static void add_tests(TCase *tcase)
{
    tcase_add_loop_test(tcase, noise, 0, (int)(sizeof kind / sizeof *kind));
    tcase_add_test(tcase, values);
    tcase_add_test(tcase, refused);
}

int main(void)
{
    test_seed(0);
    return test_run("sanitize", add_tests, 60);
}
