/* SPDX-License-Identifier: Apache-2.0 */
/* Weighted least squares against exact arithmetic (GMP), against expansions in orthonormal
 * polynomials, and against what characterises the minimum; and its refusals. */
#include "check_ola_support.h"
#ifdef HAVE_GMP
#include <gmp.h>
#endif

#include "ola/measure.h"

static ola_fit_result results[OLA_MAX_DEGREE + 1];

/* Skewed, with a gap and a far outlier; targets are noisy. */
static ola_histogram realistic_histogram(uint64_t seed)
{
    ola_histogram h;
    succeed(ola_histogram_init(&h, -4, 4, 2048, OLA_HISTOGRAM_TARGETS));
    for (int i = 0; i < 20000; i++) {
        double x = fmax(-3.9, fmin(normal(&seed, -0.4, 0.7), 2));
        succeed(ola_histogram_add(&h, x, fmax(x, 0) + normal(&seed, 0.1, 0.2), 1));
    }
    succeed(ola_histogram_add(&h, 3.5, 3.5, 1));
    return h;
}

static ola_problem realistic_problem(const ola_histogram *h, ola_weight weight, double eps,
                                     bool conditional)
{
    return (ola_problem){.function = {.kind = OLA_RELU},
                         .interval = {-0.2, 4.6},
                         .eps = eps,
                         .weight = weight,
                         .histogram = h,
                         .guard = OLA_DEFAULT_GUARD,
                         .mean = -0.4,
                         .deviation = 0.7,
                         .conditional = conditional};
}

#ifdef HAVE_GMP
/* The exact minimiser for the given points (as rational numbers), from the normal equations by
 * elimination. */
static void exact_fit(double *coeff, const ola_points *p, unsigned degree)
{
    unsigned n = degree + 1;
    mpq_t *g = malloc(n * (n + 1) * sizeof *g), *t = malloc((n + 1) * sizeof *t), a, x, w;
    ck_assert(g != NULL && t != NULL);
    mpq_inits(a, x, w, (mpq_ptr)NULL);
    for (unsigned i = 0; i < n * (n + 1); i++) mpq_init(g[i]);
    for (unsigned k = 0; k <= n; k++) mpq_init(t[k]);
    for (size_t i = 0; i < p->count; i++) {
        mpq_set_d(x, p->X[i]);
        mpq_set_d(w, p->weight[i]);
        mpq_set_ui(t[0], 1, 1);
        if (n > 1) mpq_set(t[1], x);
        for (unsigned k = 2; k < n; k++) {
            mpq_mul(t[k], x, t[k - 1]);
            mpq_add(t[k], t[k], t[k]);
            mpq_sub(t[k], t[k], t[k - 2]);
        }
        mpq_set_d(t[n], p->target[i]);
        for (unsigned r = 0; r < n; r++)
            for (unsigned c = r; c <= n; c++) {
                mpq_mul(a, t[r], t[c]);
                mpq_mul(a, a, w);
                mpq_add(g[r * (n + 1) + c], g[r * (n + 1) + c], a);
            }
    }
    for (unsigned r = 0; r < n; r++)
        for (unsigned c = 0; c < r; c++) mpq_set(g[r * (n + 1) + c], g[c * (n + 1) + r]);
    for (unsigned pivot = 0; pivot < n; pivot++)
        for (unsigned r = 0; r < n; r++) {
            if (r == pivot) continue;
            mpq_div(x, g[r * (n + 1) + pivot], g[pivot * (n + 1) + pivot]);
            for (unsigned c = pivot; c <= n; c++) {
                mpq_mul(a, x, g[pivot * (n + 1) + c]);
                mpq_sub(g[r * (n + 1) + c], g[r * (n + 1) + c], a);
            }
        }
    for (unsigned k = 0; k < n; k++) {
        mpq_div(a, g[k * (n + 1) + n], g[k * (n + 1) + k]);
        coeff[k] = mpq_get_d(a);
    }
    for (unsigned i = 0; i < n * (n + 1); i++) mpq_clear(g[i]);
    for (unsigned k = 0; k <= n; k++) mpq_clear(t[k]);
    mpq_clears(a, x, w, (mpq_ptr)NULL);
    free(g);
    free(t);
}

/* The same with binary floating point of many more bits than the normal equations of a
 * well-conditioned problem take away. */
#define MP_BITS 512
static void precise_fit(double *coeff, const ola_points *p, unsigned degree)
{
    unsigned n = degree + 1;
    mpf_set_default_prec(MP_BITS);
    mpf_t *g = malloc(n * (n + 1) * sizeof *g), *t = malloc((n + 1) * sizeof *t), a, x, w;
    ck_assert(g != NULL && t != NULL);
    mpf_inits(a, x, w, (mpf_ptr)NULL);
    for (unsigned i = 0; i < n * (n + 1); i++) mpf_init(g[i]);
    for (unsigned k = 0; k <= n; k++) mpf_init(t[k]);
    for (size_t i = 0; i < p->count; i++) {
        mpf_set_d(x, p->X[i]);
        mpf_set_d(w, p->weight[i]);
        mpf_set_ui(t[0], 1);
        if (n > 1) mpf_set(t[1], x);
        for (unsigned k = 2; k < n; k++) {
            mpf_mul(t[k], x, t[k - 1]);
            mpf_mul_ui(t[k], t[k], 2);
            mpf_sub(t[k], t[k], t[k - 2]);
        }
        mpf_set_d(t[n], p->target[i]);
        for (unsigned r = 0; r < n; r++) {
            mpf_mul(x, t[r], w);
            for (unsigned c = r; c <= n; c++) {
                mpf_mul(a, x, t[c]);
                mpf_add(g[r * (n + 1) + c], g[r * (n + 1) + c], a);
            }
        }
    }
    for (unsigned r = 0; r < n; r++)
        for (unsigned c = 0; c < r; c++) mpf_set(g[r * (n + 1) + c], g[c * (n + 1) + r]);
    for (unsigned pivot = 0; pivot < n; pivot++)
        for (unsigned r = 0; r < n; r++) {
            if (r == pivot) continue;
            mpf_div(x, g[r * (n + 1) + pivot], g[pivot * (n + 1) + pivot]);
            for (unsigned c = pivot; c <= n; c++) {
                mpf_mul(a, x, g[pivot * (n + 1) + c]);
                mpf_sub(g[r * (n + 1) + c], g[r * (n + 1) + c], a);
            }
        }
    for (unsigned k = 0; k < n; k++) {
        mpf_div(a, g[k * (n + 1) + n], g[k * (n + 1) + k]);
        coeff[k] = mpf_get_d(a);
    }
    for (unsigned i = 0; i < n * (n + 1); i++) mpf_clear(g[i]);
    for (unsigned k = 0; k <= n; k++) mpf_clear(t[k]);
    mpf_clears(a, x, w, (mpf_ptr)NULL);
    free(g);
    free(t);
}

/* Bits by which the largest deviation from `exact` exceeds the rounding of the largest
 * coefficient. */
static double lost_bits(const double *coeff, const double *exact, unsigned degree)
{
    double largest = 0, deviation = 0;
    for (unsigned k = 0; k <= degree; k++) {
        largest = fmax(largest, fabs(exact[k]));
        deviation = fmax(deviation, fabs(coeff[k] - exact[k]));
    }
    return deviation == 0 ? 0 : fmax(0, log2(deviation / largest) + 53);
}

START_TEST(test_small_cases_exactly)
{
    uint64_t state = test_seed;
    for (int trial = 0; trial < 60; trial++) {
        unsigned degree = (unsigned)(next_random(&state) % 9),
                 occupied = degree + 1 + (unsigned)(next_random(&state) % 12);
        bool guarded = trial % 3 == 2;
        ola_histogram h;
        succeed(ola_histogram_init(&h, -1, 1, 64, OLA_HISTOGRAM_TARGETS));
        /* spread over the interval: the middles of different bins, small integer weights */
        for (unsigned i = 0; i < occupied; i++)
            succeed(ola_histogram_add(&h, (double)(64 * i / occupied) / 32 - 1 + 1.0 / 64,
                                      (double)(next_random(&state) % 17) / 8,
                                      (double)(1 + next_random(&state) % 7)));
        ola_problem problem = {.function = {.kind = OLA_RELU},
                               .interval = {0, 1},
                               .histogram = &h,
                               .guard = 0.125,
                               .weight = guarded ? OLA_WEIGHT_GUARDED : OLA_WEIGHT_EMPIRICAL,
                               .conditional = true,
                               .eps = trial % 2 == 0 ? 0 : 0.125};
        ola_points points;
        ola_fit_result result;
        double exact[OLA_MAX_DEGREE + 1];
        succeed(ola_points_create(&points, &problem));
        exact_fit(exact, &points, degree);
        succeed(ola_fit(&result, &problem, degree));
        ck_assert_msg(lost_bits(result.coeff, exact, degree) <= 1,
                      "degree %u, %u points: %.2f bits lost", degree, occupied,
                      lost_bits(result.coeff, exact, degree));
        assert_close(result.rms, ola_points_rms(&points, exact, degree), 1e-14);
        ola_points_destroy(&points);
        ola_histogram_clear(&h);
    }
}
END_TEST

START_TEST(test_high_degrees_precisely)
{
    static const unsigned degrees[] = {15, 31, 63};
    ola_histogram h = realistic_histogram(test_seed);
    for (size_t i = 0; i < 3; i++) {
        ola_problem problem = realistic_problem(&h, OLA_WEIGHT_GUARDED, i == 1 ? 0 : 0.125, i != 2);
        ola_points points;
        ola_fit_result result;
        double exact[OLA_MAX_DEGREE + 1];
        succeed(ola_points_create(&points, &problem));
        precise_fit(exact, &points, degrees[i]);
        succeed(ola_fit(&result, &problem, degrees[i]));
        printf("degree %u: %.2f bits lost, condition %.3g\n", degrees[i],
               lost_bits(result.coeff, exact, degrees[i]), result.condition);
        ck_assert_msg(lost_bits(result.coeff, exact, degrees[i]) <= 4, "degree %u: %.2f bits lost",
                      degrees[i], lost_bits(result.coeff, exact, degrees[i]));
        ola_points_destroy(&points);
    }
    ola_histogram_clear(&h);
}
END_TEST
#endif

/* At the minimum the residual is orthogonal to every polynomial of the degree. */
START_TEST(test_residual_is_orthogonal)
{
    ola_histogram h = realistic_histogram(test_seed + 1);
    for (int variant = 0; variant < 6; variant++) {
        ola_weight weight = variant < 2 ? OLA_WEIGHT_NORMAL : OLA_WEIGHT_GUARDED;
        ola_problem problem =
            realistic_problem(&h, weight, variant % 2 == 0 ? 0 : 0.125, variant >= 4);
        ola_points points;
        succeed(ola_points_create(&points, &problem));
        succeed(ola_fit_all(results, &problem, OLA_MAX_DEGREE));
        for (unsigned degree = 0; degree <= OLA_MAX_DEGREE; degree += 9)
            for (unsigned k = 0; k <= degree; k++) {
                double sum = 0;
                for (size_t i = 0; i < points.count; i++)
                    sum += points.weight[i] * cos(k * acos(points.X[i])) *
                           (ola_chebyshev_eval(results[degree].coeff, degree, points.X[i]) -
                            points.target[i]);
                assert_close(sum, 0, 2e-14);
            }
        ola_points_destroy(&points);
    }
    ola_histogram_clear(&h);
}
END_TEST

START_TEST(test_all_degrees_at_once)
{
    ola_histogram h = realistic_histogram(test_seed + 2);
    ola_problem problem = realistic_problem(&h, OLA_WEIGHT_GUARDED, 0.125, true);
    succeed(ola_fit_all(results, &problem, OLA_MAX_DEGREE));
    double previous = INFINITY;
    for (unsigned degree = 0; degree <= OLA_MAX_DEGREE; degree += 7) {
        ola_fit_result one, measured;
        succeed(ola_fit(&one, &problem, degree));
        ck_assert_uint_eq(results[degree].degree, degree);
        for (unsigned k = 0; k <= OLA_MAX_DEGREE; k++)
            assert_close(one.coeff[k], results[degree].coeff[k], 1e-14);
        assert_close(one.rms, results[degree].rms, 1e-15);
        ck_assert_double_le(results[degree].rms, previous);
        previous = results[degree].rms + 1e-6; /* the guard has a part in the minimum */
        succeed(ola_measure(&measured, &problem, one.coeff, degree));
        ck_assert_double_eq(measured.rms, one.rms);
        ck_assert_double_eq(measured.max_error, one.max_error);
        ck_assert_double_eq(measured.outside, one.outside);
    }
    /* the same call gives the same bits */
    static ola_fit_result again[OLA_MAX_DEGREE + 1];
    succeed(ola_fit_all(again, &problem, OLA_MAX_DEGREE));
    for (unsigned degree = 0; degree <= OLA_MAX_DEGREE; degree++)
        ck_assert_mem_eq(again[degree].coeff, results[degree].coeff, sizeof again[degree].coeff);
    ola_histogram_clear(&h);
}
END_TEST

/* Stretching x and moving it leaves the polynomial in X alone; stretching ReLU scales it. */
START_TEST(test_affine_invariance)
{
    uint64_t state = test_seed + 3;
    double a = 3.7, b = -11.25;
    ola_histogram h, moved, scaled;
    succeed(ola_histogram_init(&h, -2, 2, 1000, OLA_HISTOGRAM_TARGETS));
    succeed(ola_histogram_init(&moved, -2 * a + b, 2 * a + b, 1000, OLA_HISTOGRAM_TARGETS));
    succeed(ola_histogram_init(&scaled, -2 * a, 2 * a, 1000, OLA_HISTOGRAM_TARGETS));
    for (int i = 0; i < 1000; i++) {
        double x = -2 + (i + uniform(&state, 0.1, 0.9)) / 250, weight = exp(-x * x),
               target = fmax(x, 0) + uniform(&state, 0, 0.1);
        succeed(ola_histogram_add(&h, x, target, weight));
        succeed(ola_histogram_add(&moved, a * x + b, target, weight));
        succeed(ola_histogram_add(&scaled, a * x, a * target, weight));
    }
    for (int e = 0; e < 2; e++)
        for (unsigned degree = 3; degree <= OLA_MAX_DEGREE; degree += 20) {
            ola_fit_result r, m, s;
            ola_problem p = {.function = {.kind = OLA_RELU},
                             .interval = {0.1, 2.2},
                             .eps = 0.125 * e,
                             .weight = OLA_WEIGHT_EMPIRICAL,
                             .histogram = &h,
                             .guard = 1e-3,
                             .conditional = true};
            ola_problem p_moved = p, p_scaled = p;
            p_moved.interval = (ola_interval){a * 0.1 + b, a * 2.2};
            p_moved.histogram = &moved;
            succeed(ola_fit(&r, &p, degree));
            succeed(ola_fit(&m, &p_moved, degree));
            double largest = 0;
            for (unsigned k = 0; k <= degree; k++) largest = fmax(largest, fabs(r.coeff[k]));
            /* without a guard, rounding x itself moves the coefficients of high degrees */
            for (unsigned k = 0; k <= degree && degree <= 23; k++)
                assert_close(m.coeff[k], r.coeff[k], 1e-9 * largest);
            assert_close(m.rms, r.rms, 1e-15 * largest + 1e-13);
            p_scaled.interval = (ola_interval){a * 0.1, a * 2.2};
            p_scaled.histogram = &scaled;
            /* ReLU commutes with scaling, so the guard may take part */
            p.weight = p_scaled.weight = OLA_WEIGHT_GUARDED;
            succeed(ola_fit(&r, &p, degree));
            succeed(ola_fit(&s, &p_scaled, degree));
            for (unsigned k = 0; k <= degree; k++) assert_close(s.coeff[k], a * r.coeff[k], 1e-12);
            assert_close(s.rms, a * r.rms, 1e-13);
            assert_close(s.max_error, a * r.max_error, 1e-11);
        }
    ola_histogram_clear(&h);
    ola_histogram_clear(&moved);
    ola_histogram_clear(&scaled);
}
END_TEST

/* RMS errors of the best polynomials under the standard normal density cut at +-reach, computed
 * another way: Simpson's rule on a fine grid (a kink at 0 is on a node), polynomials orthonormal on
 * it from their three-term recurrence (Stieltjes), residuals in full. */
#define STEPS 40000
static void expected_rms(const ola_function *f, double reach, unsigned max_degree, double *rms)
{
    static long double residual[STEPS + 1], weight[STEPS + 1], before[STEPS + 1], now[STEPS + 1];
    long double h = 2 * (long double)reach / STEPS, mass = 0, off = 0;
    for (int i = 0; i <= STEPS; i++) {
        long double x = -(long double)reach + h * i;
        weight[i] = expl(-x * x / 2) * (i == 0 || i == STEPS ? 1 : i % 2 == 1 ? 4 : 2);
        mass += weight[i];
        residual[i] = (long double)ola_function_eval(f, (double)x);
        before[i] = 0;
        now[i] = 1;
    }
    for (int i = 0; i <= STEPS; i++) weight[i] /= mass;
    for (unsigned k = 0; k <= max_degree; k++) {
        long double coeff = 0, square = 0, norm = 0;
        for (int i = 0; i <= STEPS; i++) coeff += weight[i] * residual[i] * now[i];
        /* the density is even, so the recurrence has no middle term */
        for (int i = 0; i <= STEPS; i++) {
            long double next = (-(long double)reach + h * i) * now[i] - off * before[i];
            residual[i] -= coeff * now[i];
            square += weight[i] * residual[i] * residual[i];
            before[i] = now[i];
            now[i] = next;
            norm += weight[i] * next * next;
        }
        off = sqrtl(norm);
        for (int i = 0; i <= STEPS; i++) now[i] /= off;
        rms[k] = (double)sqrtl(square);
    }
}

START_TEST(test_normal_density)
{
    static const ola_function_kind kinds[] = {OLA_RELU, OLA_GELU, OLA_SILU};
    static const double reaches[] = {4, 6, 8};
    ola_function f = {.kind = kinds[_i]};
    for (int r = 0; r < 3; r++) {
        double expected[OLA_MAX_DEGREE + 1];
        expected_rms(&f, reaches[r], OLA_MAX_DEGREE, expected);
        ola_problem problem = {.function = f,
                               .interval = {0, reaches[r]},
                               .weight = OLA_WEIGHT_NORMAL,
                               .deviation = 1};
        succeed(ola_fit_all(results, &problem, OLA_MAX_DEGREE));
        for (unsigned degree = 0; degree <= OLA_MAX_DEGREE; degree++)
            assert_close(results[degree].rms, expected[degree], 1e-8 * expected[degree] + 1e-14);
    }
}
END_TEST

/* GELU and SiLU under the standard normal density on the whole line: RMS errors from their Hermite
 * coefficients, computed once with 40 digits; on twelve deviations the cut is beyond double
 * precision for these degrees. */
START_TEST(test_known_values)
{
    static const unsigned degrees[] = {1, 3, 5, 7, 9};
    static const double gelu[] = {0.309263659398176, 0.07822630973758049, 0.03063544621383177,
                                  0.01330222891345665, 0.006036766139725787};
    static const double silu[] = {0.2511638847334961, 0.03920502637129266, 0.0103834195724585,
                                  0.003351971681005716, 0.001224379524286899};
    for (int f = 0; f < 2; f++) {
        ola_problem problem = {.function = {.kind = f == 0 ? OLA_GELU : OLA_SILU},
                               .interval = {0, 12},
                               .weight = OLA_WEIGHT_NORMAL,
                               .deviation = 1};
        succeed(ola_fit_all(results, &problem, 9));
        for (size_t i = 0; i < 5; i++)
            assert_close(results[degrees[i]].rms / (f == 0 ? gelu : silu)[i], 1, 1e-9);
    }
}
END_TEST

/* Closed forms for ReLU: E relu^2 = 1/2, coefficients 1 / sqrt(2 pi), 1/2, 1 / sqrt(4 pi). */
START_TEST(test_relu_closed_form)
{
    ola_problem problem = {.function = {.kind = OLA_RELU},
                           .interval = {0, 12},
                           .weight = OLA_WEIGHT_NORMAL,
                           .deviation = 1};
    succeed(ola_fit_all(results, &problem, 3));
    assert_close(results[0].rms, sqrt(0.5 - 1 / (2 * PI)), 1e-12);
    assert_close(results[1].rms, sqrt(0.25 - 1 / (2 * PI)), 1e-12);
    assert_close(results[2].rms, sqrt(0.25 - 3 / (4 * PI)), 1e-12);
    assert_close(results[3].rms, results[2].rms, 1e-12); /* relu - x / 2 is even */
    /* p(x) = 1/sqrt(2 pi) + x/2 + (x^2 - 1)/(2 sqrt(2 pi)) at 1 */
    assert_close(ola_chebyshev_eval(results[2].coeff, 2, 1.0 / 12), 0.5 + 1 / sqrt(2 * PI), 1e-12);
}
END_TEST

/* A normal sample in a histogram gives about the fit to the density itself. */
START_TEST(test_histogram_of_normal_samples)
{
    ola_histogram h;
    succeed(ola_histogram_init(&h, -8, 8, 4096, 0));
    for (int i = 0; i < 4096; i++) {
        double x = -8 + (i + 0.5) / 256;
        succeed(ola_histogram_add(&h, x, 0, exp(-x * x / 2)));
    }
    ola_problem density = {.function = {.kind = OLA_GELU},
                           .interval = {0, 8},
                           .weight = OLA_WEIGHT_NORMAL,
                           .deviation = 1};
    ola_problem empirical = density;
    empirical.weight = OLA_WEIGHT_EMPIRICAL;
    empirical.histogram = &h;
    for (unsigned degree = 1; degree <= 15; degree += 2) {
        ola_fit_result a, b;
        succeed(ola_fit(&a, &density, degree));
        succeed(ola_fit(&b, &empirical, degree));
        assert_close(a.rms, b.rms, 1e-6 * a.rms);
    }
    ola_histogram_clear(&h);
}
END_TEST

/* A target that is a polynomial is found, with every weight. */
START_TEST(test_reproduces_polynomials)
{
    ola_histogram h = realistic_histogram(test_seed + 4);
    double truth[] = {0.5, -1, 0.25, 0, 2, 0.125};
    for (size_t k = 0; k < h.bins; k++)
        if (h.weight[k] > 0)
            h.sum_target[k] =
                h.weight[k] * ola_chebyshev_eval(truth, 5, (h.sum_x[k] / h.weight[k] + 0.2) / 4.6);
    ola_problem problem = realistic_problem(&h, OLA_WEIGHT_EMPIRICAL, 0, true);
    for (unsigned degree = 5; degree <= 12; degree++) {
        ola_fit_result r;
        succeed(ola_fit(&r, &problem, degree));
        for (unsigned k = 0; k <= degree; k++)
            assert_close(r.coeff[k], k <= 5 ? truth[k] : 0, 1e-15 * r.condition * r.condition);
        assert_close(r.rms, 0, 1e-12);
    }
    ola_histogram_clear(&h);
}
END_TEST

/* The guard bounds what an unguarded fit does beyond its data, at hardly any cost on them. */
START_TEST(test_guard_tames_the_ends)
{
    uint64_t state = test_seed + 5;
    ola_histogram h;
    succeed(ola_histogram_init(&h, -1, 1, 2048, 0));
    for (int i = 0; i < 50000; i++)
        succeed(ola_histogram_add(&h, fmax(-0.99, fmin(normal(&state, 0, 0.25), 0.99)), 0, 1));
    ola_problem p = {.function = {.kind = OLA_RELU},
                     .interval = {0, 2.2},
                     .weight = OLA_WEIGHT_EMPIRICAL,
                     .histogram = &h,
                     .guard = OLA_DEFAULT_GUARD};
    ola_fit_result bare, guarded;
    for (unsigned degree = 15; degree <= OLA_MAX_DEGREE; degree += 16) {
        p.weight = OLA_WEIGHT_EMPIRICAL;
        succeed(ola_fit(&bare, &p, degree));
        p.weight = OLA_WEIGHT_GUARDED;
        succeed(ola_fit(&guarded, &p, degree));
        ck_assert_double_gt(bare.max_error, 1e3);
        ck_assert_double_lt(guarded.max_error, 3);
        ck_assert_double_lt(guarded.rms, 0.05);
        ck_assert_double_ge(guarded.rms, bare.rms);
    }
    ola_histogram_clear(&h);
}
END_TEST

/* One sample, or a channel that never changes: with a guard an ordinary fit, without one an
 * error. */
START_TEST(test_single_value)
{
    ola_histogram h;
    succeed(ola_histogram_init(&h, -1, 1, 16, 0));
    succeed(ola_histogram_add(&h, 0.3, 0, 1));
    ola_problem p = {.function = {.kind = OLA_RELU},
                     .interval = {0.3, 0.5},
                     .weight = OLA_WEIGHT_GUARDED,
                     .histogram = &h,
                     .guard = OLA_DEFAULT_GUARD};
    ola_fit_result r = {.degree = 99};
    succeed(ola_fit(&r, &p, 7));
    ck_assert_double_lt(r.rms, 1e-4);
    ck_assert_double_lt(r.max_error, 0.2);
    p.weight = OLA_WEIGHT_EMPIRICAL;
    fail_with(ola_fit(&r, &p, 1), FHOLA_RANGE,
              "1 occupied bins do not determine the 2 coefficients of degree 1");
    succeed(ola_fit(&r, &p, 0));
    assert_close(r.coeff[0], 0.3, 1e-15);
    ola_histogram_clear(&h);
}
END_TEST

START_TEST(test_refusals)
{
    ola_histogram h;
    succeed(ola_histogram_init(&h, -1, 1, 16, 0));
    ola_problem p = {.function = {.kind = OLA_RELU},
                     .interval = {0, 1},
                     .weight = OLA_WEIGHT_GUARDED,
                     .histogram = &h,
                     .guard = OLA_DEFAULT_GUARD};
    ola_fit_result r = {.degree = 99};
    fail_with(ola_fit(&r, &p, 3), FHOLA_RANGE, "empty");
    succeed(ola_histogram_add(&h, 0.5, 0, 1));
    fail_with(ola_fit(&r, &p, 64), FHOLA_PARAM, "degree 64 is above 63");
    fail_with(ola_fit_all(&r, &p, 64), FHOLA_PARAM, "degree 64 is above 63");
    double coeff[] = {0, NAN};
    fail_with(ola_measure(&r, &p, coeff, 1), FHOLA_RANGE, "coefficient 1 is not finite");
    fail_with(ola_measure(&r, &p, coeff, 64), FHOLA_PARAM, "degree 64 is above 63");
    p.eps = -0.1;
    fail_with(ola_fit(&r, &p, 3), FHOLA_PARAM, "eps -0.1");
    ck_assert_uint_eq(r.degree, 99); /* untouched */
    ola_histogram_clear(&h);
}
END_TEST

int main(void)
{
    read_seed();
    TCase *tcase = tcase_create("fits");
#ifdef HAVE_GMP
    tcase_add_test(tcase, test_small_cases_exactly);
    tcase_add_test(tcase, test_high_degrees_precisely);
#else
    printf("without GMP: no comparison with exact solutions\n");
#endif
    tcase_add_test(tcase, test_residual_is_orthogonal);
    tcase_add_test(tcase, test_all_degrees_at_once);
    tcase_add_test(tcase, test_affine_invariance);
    tcase_add_loop_test(tcase, test_normal_density, 0, 3);
    tcase_add_test(tcase, test_known_values);
    tcase_add_test(tcase, test_relu_closed_form);
    tcase_add_test(tcase, test_histogram_of_normal_samples);
    tcase_add_test(tcase, test_reproduces_polynomials);
    tcase_add_test(tcase, test_guard_tames_the_ends);
    tcase_add_test(tcase, test_single_value);
    tcase_add_test(tcase, test_refusals);
    return run_case("ola_fit", tcase);
}
