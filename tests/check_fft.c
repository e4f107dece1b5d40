/* SPDX-License-Identifier: Apache-2.0 */
/* The special Fourier transform against its definition in long double, its algebraic properties,
 * and the roots of unity against the mathematical library in long double. */
#include <check.h>
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "ckks/ring/elementary.h"
#include "ckks/ring/fft.h"

#define UNIT_ROUNDOFF (DBL_EPSILON / 2) /* 2^-53 */
#define MAX_M         ((size_t)1 << (CKKS_FFT_MAX_LOG_N - 1))

static const long double pi = 3.141592653589793238462643383279502884L;
static uint64_t test_seed = 1;
static ckks_fft *fft; /* for the largest ring */

static uint64_t next_random(uint64_t *state) /* splitmix64 */
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* Uniform in [-1, 1). */
static double next_real(uint64_t *state)
{
    return ldexp((double)(next_random(state) >> 11), -52) - 1.0;
}

static double *random_values(size_t m, uint64_t salt)
{
    uint64_t state = test_seed + salt * UINT64_C(0x5851f42d4c957f2d);
    double *values = malloc(2 * m * sizeof *values);
    ck_assert_ptr_nonnull(values);
    for (size_t i = 0; i < 2 * m; i++) values[i] = next_real(&state);
    return values;
}

static double *copy_of(const double *values, size_t m)
{
    double *copy = malloc(2 * m * sizeof *copy);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, values, 2 * m * sizeof *copy);
    return copy;
}

/* |a - b| / |b| in the Euclidean norm. */
static double relative_error(const double *a, const double *b, size_t m)
{
    long double difference = 0.0L, norm = 0.0L;
    for (size_t i = 0; i < 2 * m; i++) {
        long double d = (long double)a[i] - b[i];
        difference += d * d;
        norm += (long double)b[i] * b[i];
    }
    return (double)sqrtl(difference / norm);
}

/* The proved bound (Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., theorem 24.2):
 * each stage adds at most mu + gamma_4 (sqrt 2 + mu) = 6.4 * 2^-53, mu = 0.73 * 2^-53 being the
 * largest error of a root. */
static double error_bound(unsigned log_m)
{
    return 7.0 * log_m * UNIT_ROUNDOFF;
}

/* What was measured on random inputs, 0.7 sqrt(log2 m) 2^-53, and one bit more; on few values
 * chance is too large to say more than the proved bound. */
static double measured_bound(unsigned log_m)
{
    return log_m < 3 ? error_bound(log_m) : 1.4 * sqrt(log_m) * UNIT_ROUNDOFF;
}

/* XXH64 of the bits of doubles, 8 bytes little-endian each. */
static uint64_t hash_of(const double *values, size_t count)
{
    uint8_t *bytes = malloc(8 * count);
    ck_assert_ptr_nonnull(bytes);
    for (size_t i = 0; i < 8 * count; i++) {
        uint64_t bits;
        memcpy(&bits, &values[i / 8], sizeof bits);
        bytes[i] = (uint8_t)(bits >> (i % 8 * 8));
    }
    uint64_t hash = XXH64(bytes, 8 * count, 0);
    free(bytes);
    return hash;
}

/* ---- roots of unity ---- */

static double ulp_of(double x)
{
    int exponent;
    frexp(x, &exponent);
    return ldexp(DBL_EPSILON, exponent - 1);
}

/* Fails unless got is within the documented error of an exact value known to long double
 * precision. */
static void assert_close(double got, long double exact, const char *what, double x)
{
    double ulps = (double)(fabsl((long double)got - exact) / ulp_of((double)exact));
    double allowed = LDBL_MANT_DIG >= 64 ? 0.51 : 1.0;
    if (!(ulps <= allowed))
        ck_abort_msg("%s of %.17g: %.17g is %.4f ulp from %.21Lg", what, x, got, ulps, exact);
}

/* A first eighth of the circle against sinl and cosl, the other seven against the first by
 * symmetry, bit for bit. */
START_TEST(test_roots)
{
    unsigned log_order = (unsigned)_i;
    uint64_t order = UINT64_C(1) << log_order;
    for (uint64_t k = 0; k <= order / 8; k++) {
        double w[2], v[2];
        ckks_root_of_unity(w, k, log_order);
        long double angle = pi / 4 * ((long double)k / (long double)(order / 8));
        assert_close(w[0], cosl(angle), "cos", (double)k);
        if (k == 0)
            ck_assert(w[1] == 0.0 && !signbit(w[1]));
        else
            assert_close(w[1], sinl(angle), "sin", (double)k);
        ckks_root_of_unity(v, order / 4 - k, log_order);
        if (v[0] != w[1] || v[1] != w[0])
            ck_abort_msg("root %llu of order 2^%u is not its mirror image", (unsigned long long)k,
                         log_order);
    }
    for (uint64_t k = 0; k < order / 4; k++)
        for (uint64_t quarter = 0; quarter < 4; quarter++) {
            double w[2], v[2];
            ckks_root_of_unity(w, k + quarter * (order / 4), log_order);
            ckks_root_of_unity(v, k + (quarter + 1) * (order / 4), log_order); /* i w */
            if (v[0] != 0.0 - w[1] || v[1] != w[0] || (v[0] == 0.0 && signbit(v[0])) ||
                (v[1] == 0.0 && signbit(v[1])))
                ck_abort_msg("root %llu of order 2^%u turned by a quarter", (unsigned long long)k,
                             log_order);
        }
}
END_TEST

START_TEST(test_roots_of_small_and_huge_order)
{
    static const double quarters[4][2] = {{1.0, 0.0}, {0.0, 1.0}, {-1.0, 0.0}, {0.0, -1.0}};
    double w[2];
    for (uint64_t k = 0; k < 8; k++) {
        ckks_root_of_unity(w, k, 0);
        ck_assert_mem_eq(w, quarters[0], sizeof w);
        ckks_root_of_unity(w, k, 1);
        ck_assert_mem_eq(w, quarters[2 * (k % 2)], sizeof w);
        ckks_root_of_unity(w, k, 2);
        ck_assert_mem_eq(w, quarters[k % 4], sizeof w);
        ckks_root_of_unity(w, k << 60, 62);
        ck_assert_mem_eq(w, quarters[k % 4], sizeof w);
    }
    for (unsigned log_order = 20; log_order <= 62; log_order++) {
        ckks_root_of_unity(w, 3, log_order);
        long double angle = ldexpl(6.0L * pi, -(int)log_order);
        assert_close(w[0], cosl(angle), "cos", log_order);
        assert_close(w[1], sinl(angle), "sin", log_order);
    }
}
END_TEST

START_TEST(test_sin2pi)
{
    uint64_t state = test_seed + 77;
    for (int trial = 0; trial < 200000; trial++) {
        /* In (0, 1/8), of many magnitudes: no argument reduction in the reference. */
        double x = ldexp(1.0 + fabs(next_real(&state)),
                         -5 - (int)(next_random(&state) % (trial % 2 == 0 ? 2 : 200)));
        double s = ckks_sin2pi(x), c = ckks_cos2pi(x);
        assert_close(s, sinl(2.0L * pi * x), "sin2pi", x);
        assert_close(c, cosl(2.0L * pi * x), "cos2pi", x);
        if (ckks_sin2pi(-x) != 0.0 - s || ckks_cos2pi(-x) != c)
            ck_abort_msg("sin2pi is not odd or cos2pi not even at %.17g", x);
        /* below 1/8, 1 - y and 5 + y exact */
        double y = ldexp((double)(next_random(&state) >> 38), -29);
        s = ckks_sin2pi(y);
        c = ckks_cos2pi(y);
        if (ckks_sin2pi(1.0 - y) != 0.0 - s || ckks_cos2pi(1.0 - y) != c ||
            ckks_sin2pi(0.5 - y) != s || ckks_cos2pi(0.5 - y) != 0.0 - c ||
            ckks_sin2pi(0.25 - y) != c || ckks_cos2pi(0.25 - y) != s || ckks_sin2pi(5.0 + y) != s ||
            ckks_cos2pi(5.0 + y) != c)
            ck_abort_msg("a symmetry of sin2pi or cos2pi fails at %.17g", y);
    }
    ck_assert_double_eq(ckks_cos2pi(1e300), 1.0);
    ck_assert_double_eq(ckks_sin2pi(1e300), 0.0);
    ck_assert_double_eq(ckks_sin2pi(0.25), 1.0);
    ck_assert_double_eq(ckks_sin2pi(-0.25), -1.0);
    ck_assert_double_eq(ckks_cos2pi(0.25), 0.0);
    ck_assert(!signbit(ckks_cos2pi(0.75)) && !signbit(ckks_sin2pi(-0.5)) &&
              !signbit(ckks_sin2pi(-0.0)));
    ck_assert_double_eq_tol(ckks_sin2pi(DBL_MIN) / DBL_MIN, 2.0 * (double)pi, 1e-15);
    ck_assert(isnan(ckks_sin2pi(INFINITY)) && isnan(ckks_cos2pi(-INFINITY)) &&
              isnan(ckks_sin2pi(NAN)) && isnan(ckks_cos2pi(NAN)));
}
END_TEST

/* Of the roots the largest ring uses: the same on every machine. */
START_TEST(test_roots_known_hash)
{
    enum { LOG_ORDER = CKKS_FFT_MAX_LOG_N + 1 };
    static double roots[2 << LOG_ORDER];
    for (size_t k = 0; k < (size_t)1 << LOG_ORDER; k++)
        ckks_root_of_unity(roots + 2 * k, k, LOG_ORDER);
    ck_assert_uint_eq(hash_of(roots, sizeof roots / sizeof *roots), UINT64_C(10379555808375258960));
}
END_TEST

/* ---- transforms ---- */

/* powers[e] = exp(2 pi i e / 4m), interleaved. */
static long double *powers_of_zeta(size_t m)
{
    long double *powers = malloc(8 * m * sizeof *powers);
    ck_assert_ptr_nonnull(powers);
    for (size_t e = 0; e < 4 * m; e++) {
        long double angle = 2.0L * pi * (long double)e / (long double)(4 * m);
        powers[2 * e] = cosl(angle);
        powers[2 * e + 1] = sinl(angle);
    }
    return powers;
}

/* slot_j = sum over k < 2m of c_k zeta^(5^j k), straight from the real polynomial. */
static void direct_forward(double *slots, const double *values, size_t m)
{
    long double *powers = powers_of_zeta(m);
    size_t power_of_5 = 1;
    for (size_t j = 0; j < m; j++) {
        long double re = 0.0L, im = 0.0L;
        for (size_t k = 0; k < 2 * m; k++) {
            long double c = k < m ? values[2 * k] : values[2 * (k - m) + 1];
            const long double *w = powers + 2 * (power_of_5 * k % (4 * m));
            re += c * w[0];
            im += c * w[1];
        }
        slots[2 * j] = (double)re;
        slots[2 * j + 1] = (double)im;
        power_of_5 = power_of_5 * 5 % (4 * m);
    }
    free(powers);
}

/* c_k = (1/m) sum over j of Re(slot_j zeta^(-5^j k)), 0 <= k < 2m. */
static void direct_inverse(double *values, const double *slots, size_t m)
{
    long double *powers = powers_of_zeta(m);
    for (size_t k = 0; k < 2 * m; k++) {
        long double sum = 0.0L;
        size_t power_of_5 = 1;
        for (size_t j = 0; j < m; j++) {
            const long double *w = powers + 2 * (power_of_5 * k % (4 * m));
            sum += slots[2 * j] * w[0] + slots[2 * j + 1] * w[1];
            power_of_5 = power_of_5 * 5 % (4 * m);
        }
        values[k < m ? 2 * k : 2 * (k - m) + 1] = (double)(sum / (long double)m);
    }
    free(powers);
}

START_TEST(test_against_definition)
{
    unsigned log_m = (unsigned)_i;
    size_t m = (size_t)1 << log_m;
    double *values = random_values(m, 1 + log_m), *got = copy_of(values, m),
           *expected = copy_of(values, m);
    direct_forward(expected, values, m);
    ckks_fft_forward(fft, got, m);
    double forward = relative_error(got, expected, m);
    memcpy(got, values, 2 * m * sizeof *got);
    direct_inverse(expected, values, m);
    ckks_fft_inverse(fft, got, m);
    double inverse = relative_error(got, expected, m);
    printf("m = 2^%-2u relative error in units of 2^-53: forward %.3f inverse %.3f\n", log_m,
           forward / UNIT_ROUNDOFF, inverse / UNIT_ROUNDOFF);
    ck_assert_double_le(forward, error_bound(log_m));
    ck_assert_double_le(inverse, error_bound(log_m));
    ck_assert_double_le(forward, measured_bound(log_m));
    ck_assert_double_le(inverse, measured_bound(log_m));
    free(values);
    free(got);
    free(expected);
}
END_TEST

START_TEST(test_round_trip)
{
    unsigned log_m = (unsigned)_i;
    size_t m = (size_t)1 << log_m;
    double *values = random_values(m, 40 + log_m), *got = copy_of(values, m);
    ckks_fft_forward(fft, got, m);
    ckks_fft_inverse(fft, got, m);
    double error = relative_error(got, values, m);
    printf("m = 2^%-2u round trip error in units of 2^-53: %.3f\n", log_m, error / UNIT_ROUNDOFF);
    ck_assert_double_le(error, 2.0 * error_bound(log_m));
    ck_assert_double_le(error, sqrt(2.0) * measured_bound(log_m));
    ckks_fft_inverse(fft, got, m);
    ckks_fft_forward(fft, got, m);
    ck_assert_double_le(relative_error(got, values, m), 4.0 * error_bound(log_m));
    free(values);
    free(got);
}
END_TEST

/* Unit vectors of the largest transform: slot j of coefficient k is the root zeta^(5^j k). */
START_TEST(test_unit_vectors)
{
    static const size_t positions[] = {0, 1, 2, 3, 1000, MAX_M / 2, MAX_M - 1};
    double *values = malloc(2 * MAX_M * sizeof *values);
    ck_assert_ptr_nonnull(values);
    for (size_t p = 0; p < sizeof positions / sizeof *positions; p++) {
        for (int part = 0; part < 2; part++) {
            memset(values, 0, 2 * MAX_M * sizeof *values);
            values[2 * positions[p] + (size_t)part] = 1.0;
            ckks_fft_forward(fft, values, MAX_M);
            uint64_t power = positions[p] + (part ? MAX_M : 0);
            double worst = 0.0;
            for (size_t j = 0; j < MAX_M; j++, power *= 5) {
                double w[2];
                ckks_root_of_unity(w, power, CKKS_FFT_MAX_LOG_N + 1);
                worst =
                    fmax(worst, fmax(fabs(values[2 * j] - w[0]), fabs(values[2 * j + 1] - w[1])));
            }
            ck_assert_double_le(worst, error_bound(CKKS_FFT_MAX_LOG_N - 1));
        }
    }
    free(values);
}
END_TEST

/* Y -> Y^g on the real polynomial of 2m coefficients, Y^(2m) = -1. */
static void automorphism(double *out, const double *values, size_t m, size_t g)
{
    for (size_t k = 0; k < 2 * m; k++) {
        double c = k < m ? values[2 * k] : values[2 * (k - m) + 1];
        size_t e = k * g % (4 * m);
        if (e >= 2 * m) {
            e -= 2 * m;
            c = -c;
        }
        out[e < m ? 2 * e : 2 * (e - m) + 1] = c;
    }
}

START_TEST(test_rotation_and_conjugation)
{
    unsigned log_m = (unsigned)_i;
    size_t m = (size_t)1 << log_m;
    double *values = random_values(m, 80 + log_m), *slots = copy_of(values, m),
           *image = copy_of(values, m), *expected = copy_of(values, m);
    ckks_fft_forward(fft, slots, m);

    automorphism(image, values, m, 5);
    ckks_fft_forward(fft, image, m);
    for (size_t j = 0; j < m; j++) {
        expected[2 * j] = slots[2 * ((j + 1) % m)];
        expected[2 * j + 1] = slots[2 * ((j + 1) % m) + 1];
    }
    ck_assert_double_le(relative_error(image, expected, m), 2.0 * error_bound(log_m));

    automorphism(image, values, m, 4 * m - 1);
    ckks_fft_forward(fft, image, m);
    for (size_t j = 0; j < m; j++) {
        expected[2 * j] = slots[2 * j];
        expected[2 * j + 1] = -slots[2 * j + 1];
    }
    ck_assert_double_le(relative_error(image, expected, m), 2.0 * error_bound(log_m));
    free(values);
    free(slots);
    free(image);
    free(expected);
}
END_TEST

/* The slots of a polynomial in Y^2 are those of half as many coefficients, twice over. */
START_TEST(test_subring)
{
    for (unsigned log_m = 1; log_m <= 12; log_m++) {
        size_t m = (size_t)1 << log_m, half = m / 2;
        double *small = random_values(half, 120 + log_m);
        double *big = malloc(2 * m * sizeof *big), *expected = malloc(2 * m * sizeof *big);
        ck_assert(big != NULL && expected != NULL);
        memset(big, 0, 2 * m * sizeof *big);
        for (size_t k = 0; k < half; k++) {
            big[4 * k] = small[2 * k];
            big[4 * k + 1] = small[2 * k + 1];
        }
        ckks_fft_forward(fft, small, half);
        ckks_fft_forward(fft, big, m);
        memcpy(expected, small, m * sizeof *small);
        memcpy(expected + m, small, m * sizeof *small);
        ck_assert_double_le(relative_error(big, expected, m), 2.0 * error_bound(log_m));
        free(small);
        free(big);
        free(expected);
    }
}
END_TEST

/* Every ring gives the same bits for the same number of slots. */
START_TEST(test_rings_agree)
{
    for (unsigned log_n = 1; log_n <= CKKS_FFT_MAX_LOG_N; log_n++) {
        ckks_fft *ring = NULL;
        ck_assert_int_eq(ckks_fft_create(&ring, log_n), FHOLA_OK);
        for (unsigned log_m = 0; log_m < log_n; log_m++) {
            size_t m = (size_t)1 << log_m;
            double *a = random_values(m, 160), *b = copy_of(a, m);
            ckks_fft_forward(ring, a, m);
            ckks_fft_forward(fft, b, m);
            ck_assert(memcmp(a, b, 2 * m * sizeof *a) == 0);
            ckks_fft_inverse(ring, a, m);
            ckks_fft_inverse(fft, b, m);
            ck_assert(memcmp(a, b, 2 * m * sizeof *a) == 0);
            free(a);
            free(b);
        }
        ckks_fft_destroy(ring);
    }
    ckks_fft_destroy(NULL);
}
END_TEST

/* The same bits on every machine, compiler and instruction set. */
START_TEST(test_transform_known_hash)
{
    enum { M = 4096 };
    static double values[2 * M];
    static const uint64_t expected[2] = {UINT64_C(17693442824390129711),
                                         UINT64_C(5385092603490587315)};
    for (int direction = 0; direction < 2; direction++) {
        uint64_t state = 12345;
        for (size_t i = 0; i < 2 * M; i++) values[i] = next_real(&state);
        (direction == 0 ? ckks_fft_forward : ckks_fft_inverse)(fft, values, M);
        ck_assert_uint_eq(hash_of(values, 2 * M), expected[direction]);
    }
}
END_TEST

START_TEST(test_bad_ring_degree)
{
    ckks_fft *ring = fft;
    ck_assert_int_eq(ckks_fft_create(&ring, 0), FHOLA_PARAM);
    ck_assert_ptr_null(ring);
    ring = fft;
    ck_assert_int_eq(ckks_fft_create(&ring, CKKS_FFT_MAX_LOG_N + 1), FHOLA_PARAM);
    ck_assert_ptr_null(ring);
    ck_assert_ptr_nonnull(strstr(fhola_detail(), "18"));
}
END_TEST

int main(void)
{
    const char *text = getenv("FHOLA_TEST_SEED");
    if (text != NULL) test_seed = strtoull(text, NULL, 0);
    printf("FHOLA_TEST_SEED=%llu\n", (unsigned long long)test_seed);
    if (ckks_fft_create(&fft, CKKS_FFT_MAX_LOG_N) != FHOLA_OK) {
        fprintf(stderr, "%s\n", fhola_detail());
        return EXIT_FAILURE;
    }
    Suite *suite = suite_create("fft");
    TCase *tcase = tcase_create("fft");
    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, test_roots, 3, 19);
    tcase_add_test(tcase, test_roots_of_small_and_huge_order);
    tcase_add_test(tcase, test_sin2pi);
    tcase_add_test(tcase, test_roots_known_hash);
    tcase_add_loop_test(tcase, test_against_definition, 0, 9);
    tcase_add_loop_test(tcase, test_round_trip, 0, 17);
    tcase_add_test(tcase, test_unit_vectors);
    tcase_add_loop_test(tcase, test_rotation_and_conjugation, 0, 17);
    tcase_add_test(tcase, test_subring);
    tcase_add_test(tcase, test_rings_agree);
    tcase_add_test(tcase, test_transform_known_hash);
    tcase_add_test(tcase, test_bad_ring_degree);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    ckks_fft_destroy(fft);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
