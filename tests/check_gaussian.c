/* SPDX-License-Identifier: Apache-2.0 */
/* Discrete Gaussian noise: its table against exponentials in long double, the base by chi-square
 * over every value, wide noise by chi-square over equally likely cells and by its moments; and the
 * decryption that adds it. Seeds are fixed; thresholds are those of a chance of 1 in a million. */
#include "ckks/ring/gaussian.h"

#include "tests/support.h"

/* Upper quantile of chi-square with `freedom` degrees at 10^-6 (Wilson, Hilferty 1931; 4.75 is the
 * normal quantile). */
static double chi_square_limit(double freedom)
{
    double a = 2 / (9 * freedom);
    return freedom * pow(1 - a + 4.75 * sqrt(a), 3);
}

static void seeded(ckks_rng *rng, uint8_t first)
{
    uint8_t seed[CKKS_SEED_BYTES] = {first, 's', 'e', 'e', 'd'};
    ckks_rng_from_seed(rng, seed);
}

START_TEST(table)
{
    ckks_gaussian g;
    ck_assert_ok(ckks_gaussian_init(&g, 1));
    ck_assert_uint_eq(g.levels, 0);
    long double sum = 1, tail = 0, worst = 0;
    for (int x = 1; x < (int)CKKS_GAUSSIAN_TABLE; x++) sum += 2 * exp2l(-(long double)x * x / 2048);
    ck_assert_double_eq_tol(g.sigma * g.sigma, 1024 / log(2), 1e-9);
    for (int x = (int)CKKS_GAUSSIAN_TABLE - 1; x >= 0; x--) {
        long double have = (long double)g.above[x] * 0x1p-127L, want = tail / sum;
        if (x < (int)CKKS_GAUSSIAN_TABLE - 1) {
            ck_assert(x < 400 ? g.above[x] > g.above[x + 1] : g.above[x] >= g.above[x + 1]);
            if (x < 300) worst = fmaxl(worst, fabsl(have - want) / want);
        }
        tail += 2 * exp2l(-(long double)x * x / 2048);
    }
    ck_assert(g.above[CKKS_GAUSSIAN_TABLE - 1] == 0);
    printf("cumulative probabilities: largest relative error 2^%.1f\n", (double)log2l(worst));
    ck_assert_double_le((double)worst, 0x1p-60);
}
END_TEST

/* Every deviation asked for is reached and not exceeded by more than said. */
START_TEST(widths)
{
    ckks_gaussian g;
    for (double sigma = 0.3; sigma < CKKS_GAUSSIAN_MOST; sigma *= 1.0173) {
        ck_assert_ok(ckks_gaussian_init(&g, sigma));
        ck_assert_double_ge(g.sigma, sigma);
        ck_assert_double_le(g.sigma, sigma < 38.4  ? 38.44
                                     : sigma < 539 ? 1.6 * sigma
                                                   : 1.1 * sigma);
        double reached = sqrt(1024 / log(2));
        for (unsigned l = 0; l < g.levels; l++) {
            ck_assert_double_le(sqrt(2) * 1.91 * (double)g.factor[l], reached);
            reached *= sqrt(1 + pow((double)g.factor[l], 2));
        }
        ck_assert_double_eq_tol(reached / g.sigma, 1, 1e-12);
    }
    static const double bad[] = {0, -1, (double)NAN, (double)INFINITY, 0x1p51};
    for (int k = 0; k < 5; k++) ck_assert_fails(ckks_gaussian_init(&g, bad[k]), FHOLA_RANGE);
}
END_TEST

START_TEST(base_distribution)
{
    enum { DRAWS = 1 << 20, REACH = 150 };
    ckks_gaussian g;
    ckks_rng rng;
    seeded(&rng, 1);
    ck_assert_ok(ckks_gaussian_init(&g, 1));
    int64_t *x = malloc(DRAWS * sizeof *x);
    double seen[2 * REACH + 1] = {0}, norm = 1, chi = 0, cells = 0;
    ck_assert_ptr_nonnull(x);
    ckks_gaussian_sample(&g, x, DRAWS, &rng);
    for (int i = 1; i < 512; i++) norm += 2 * exp2(-i * i / 2048.0);
    for (size_t i = 0; i < DRAWS; i++)
        if (llabs(x[i]) <= REACH) seen[x[i] + REACH]++;
    for (int i = -REACH; i <= REACH; i++) {
        double want = DRAWS * exp2(-i * i / 2048.0) / norm;
        if (want < 10) continue;
        chi += pow(seen[i + REACH] - want, 2) / want;
        cells++;
    }
    printf("base: chi-square %.1f over %.0f values, limit %.1f\n", chi, cells,
           chi_square_limit(cells - 1));
    ck_assert_double_gt(cells, 200);
    ck_assert_double_le(chi, chi_square_limit(cells - 1));
    free(x);
    ckks_rng_clear(&rng);
}
END_TEST

/* Cells of equal probability under the normal distribution; mean, variance and fourth moment;
 * neighbours uncorrelated. */
START_TEST(wide_distribution)
{
    static const double sigma[] = {50, 500, 0x1p13, 0x1p20, 0x1p33, 0x1p49};
    enum { DRAWS = 1 << 15, CELLS = 64 };
    ckks_gaussian g;
    ckks_rng rng;
    seeded(&rng, (uint8_t)(2 + _i));
    ck_assert_ok(ckks_gaussian_init(&g, sigma[_i]));
    int64_t *x = malloc(DRAWS * sizeof *x);
    ck_assert_ptr_nonnull(x);
    ckks_gaussian_sample(&g, x, DRAWS, &rng);
    double seen[CELLS] = {0}, mean = 0, square = 0, fourth = 0, lag = 0, chi = 0;
    for (size_t i = 0; i < DRAWS; i++) {
        /* integers stand for their surroundings */
        double z = ((double)x[i] + 0.5 * random_unit()) / g.sigma, u = 0.5 * erfc(-z / sqrt(2));
        seen[u < 1 ? (int)(u * CELLS) : CELLS - 1]++;
        z = (double)x[i] / g.sigma;
        mean += z / DRAWS;
        square += z * z / DRAWS;
        fourth += z * z * z * z / DRAWS;
        if (i) lag += z * (double)x[i - 1] / g.sigma / DRAWS;
    }
    for (int k = 0; k < CELLS; k++) chi += pow(seen[k] - (double)DRAWS / CELLS, 2) * CELLS / DRAWS;
    printf(
        "sigma %.4g in %u steps: variance %.4f, fourth moment %.4f, chi-square %.1f (limit %.1f)\n",
        g.sigma, g.levels, square, fourth, chi, chi_square_limit(CELLS - 1));
    ck_assert_double_le(chi, chi_square_limit(CELLS - 1));
    ck_assert_double_le(fabs(mean), 5 / sqrt(DRAWS));
    ck_assert_double_le(fabs(square - 1), 5 * sqrt(2.0 / DRAWS));
    ck_assert_double_le(fabs(fourth - 3), 5 * sqrt(96.0 / DRAWS));
    ck_assert_double_le(fabs(lag), 5 / sqrt(DRAWS));
    free(x);
    ckks_rng_clear(&rng);
}
END_TEST

/* The parameter of flooding, from the noise that was really added: the difference of a flooded and
 * a plain decryption has the stated deviation in every slot, is fresh every time, and vanishes
 * outside of the block's mean. */
START_TEST(flooded_decryption)
{
    enum { RUNS = 400, PERIOD = 8 };
    ring r;
    ckks_params_spec spec = flat_spec(8, 45, 2, 40);
    ring_open(&r, &spec, NULL);
    ckks_complex z[128], mean[PERIOD] = {{0, 0}}, plain[128], got[PERIOD], last[PERIOD] = {{0, 0}};
    random_complex(z, r.slots, 1);
    for (size_t s = 0; s < r.slots; s++)
        mean[s % PERIOD] = c_add(mean[s % PERIOD], (ckks_complex){z[s].re / 16, z[s].im / 16});
    ckks_ciphertext *ct = encrypt(&r, z, r.slots, 0x1p40, r.chain);
    double error = 0x1p10, deviation = ckks_flood_deviation(20, 3, error), square = 0;
    ck_assert_double_eq_tol(deviation, 6 * 0x1p10 * error, 1e-3); /* sqrt(36) 2^10 t */
    ckks_gaussian g;
    ck_assert_ok(ckks_gaussian_init(&g, deviation));
    decrypt(&r, plain, ct);
    for (int k = 0; k < RUNS; k++) {
        ck_assert_ok(
            ckks_decrypt_flooded(r.context, r.ws, got, PERIOD, ct, r.secret, deviation, r.rng));
        for (int s = 0; s < PERIOD; s++) square += c_abs2(c_sub(got[s], mean[s]));
        ck_assert(got[0].re != last[0].re);
        memcpy(last, got, sizeof last);
    }
    /* complex noise of variance 2 PERIOD sigma^2 / scale^2 in every slot */
    assert_variance("flooded decryption", square / (RUNS * PERIOD),
                    2 * PERIOD * pow(g.sigma / 0x1p40, 2), RUNS * PERIOD, 0);
    ck_assert_fails(ckks_decrypt_flooded(r.context, r.ws, got, 3, ct, r.secret, deviation, r.rng),
                    FHOLA_PARAM);
    ck_assert_fails(ckks_decrypt_flooded(r.context, r.ws, got, 0, ct, r.secret, deviation, r.rng),
                    FHOLA_PARAM);
    ck_assert_fails(ckks_decrypt_flooded(r.context, r.ws, got, 256, ct, r.secret, deviation, r.rng),
                    FHOLA_PARAM);
    ck_assert_fails(ckks_decrypt_flooded(r.context, r.ws, got, PERIOD, ct, r.secret, 0, r.rng),
                    FHOLA_RANGE);
    ck_assert_fails(ckks_decrypt_flooded(r.context, r.ws, got, PERIOD, ct, r.secret, 0x1p51, r.rng),
                    FHOLA_RANGE);
    ckks_ciphertext_destroy(ct);
    ring_close(&r);
}
END_TEST

static void add_tests(TCase *tcase)
{
    tcase_add_test(tcase, table);
    tcase_add_test(tcase, widths);
    tcase_add_test(tcase, base_distribution);
    tcase_add_loop_test(tcase, wide_distribution, 0, 6);
    tcase_add_test(tcase, flooded_decryption);
}

int main(void)
{
    test_seed(1);
    return test_run("gaussian", add_tests, 120);
}
