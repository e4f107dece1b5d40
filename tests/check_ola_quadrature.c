/* SPDX-License-Identifier: Apache-2.0 */
/* The points of a problem: moments of densities against closed forms, the histogram's points one by
 * one, and what is refused. */
#include "check_ola_support.h"
#include "ola/quadrature.h"

/* Integral of T_k(X(w)) T_j(X(w)) f(x(w)) over the guard. */
static double guard_moment(const ola_points *p, unsigned k, unsigned j, bool with_target)
{
    double sum = 0;
    for (size_t i = p->data; i < p->count; i++) {
        double X = p->X[i];
        sum +=
            p->weight[i] * cos(k * acos(X)) * cos(j * acos(X)) * (with_target ? p->target[i] : 1);
    }
    return sum;
}

static ola_histogram two_samples(void)
{
    ola_histogram h;
    succeed(ola_histogram_init(&h, -1, 1, 64, 0));
    succeed(ola_histogram_add(&h, -0.5, 0, 3));
    succeed(ola_histogram_add(&h, 0.5, 0, 1));
    return h;
}

START_TEST(test_guard_is_uniform)
{
    ola_histogram h = two_samples();
    ola_problem problem = {.function = {.kind = OLA_RELU},
                           .interval = {0.3, 1.5},
                           .weight = OLA_WEIGHT_GUARDED,
                           .histogram = &h,
                           .guard = 1e-3};
    ola_points p;
    succeed(ola_points_create(&p, &problem));
    ck_assert_uint_eq(p.data, 2);
    assert_close(p.weight[0], 0.75, 1e-15);
    assert_close(p.X[0], -0.8 / 1.5, 1e-15);
    ck_assert_double_eq(p.target[1], 0.5);
    ck_assert_double_eq(p.outside, 0);
    /* integral over [-1, 1] of T_k T_j / 2 = (1 / (1 - (k + j)^2) + 1 / (1 - (k - j)^2)) / 2 for
     * even k + j, else 0 */
    for (unsigned k = 0; k <= OLA_MAX_DEGREE; k++)
        for (unsigned j = 0; j <= k; j++) {
            double s = k + j, d = k - j,
                   expected = (k + j) % 2 == 0 ? (1 / (1 - s * s) + 1 / (1 - d * d)) / 2 : 0;
            assert_close(guard_moment(&p, k, j, false), 1e-3 * expected, 1e-16);
        }
    /* mean of relu over [-1.2, 1.8] */
    assert_close(guard_moment(&p, 0, 0, true), 1e-3 * 1.8 * 1.8 / 2 / 3, 1e-17);
    ola_points_destroy(&p);

    /* with the sine the guard stays uniform in w: mean of X^2 is (1/2 - sin(4 pi eps) / (8 pi eps))
     * / sin^2(2 pi eps) */
    problem.eps = 0.125;
    succeed(ola_points_create(&p, &problem));
    assert_close(guard_moment(&p, 1, 1, false), 1e-3 * (0.5 - 1 / PI) / 0.5, 1e-16);
    ola_points_destroy(&p);
    ola_histogram_clear(&h);
}
END_TEST

START_TEST(test_normal_moments)
{
    ola_problem problem = {.function = {.kind = OLA_RELU},
                           .interval = {1, 12},
                           .weight = OLA_WEIGHT_NORMAL,
                           .mean = 0.5,
                           .deviation = 0.25};
    ola_points p;
    succeed(ola_points_create(&p, &problem));
    double mass = 0, mean = 0, square = 0, fourth = 0, relu = 0;
    for (size_t i = 0; i < p.count; i++) {
        double distance = (1 + 12 * p.X[i] - 0.5) / 0.25;
        mass += p.weight[i];
        mean += p.weight[i] * distance;
        square += p.weight[i] * pow(distance, 2);
        fourth += p.weight[i] * pow(distance, 4);
        relu += p.weight[i] * p.target[i];
    }
    ck_assert_uint_eq(p.data, p.count);
    assert_close(mass, 1, 1e-14);
    assert_close(mean, 0, 1e-13);
    assert_close(square, 1, 1e-13);
    assert_close(fourth, 3, 1e-12);
    /* E relu = mean Phi(mean / deviation) + deviation phi(mean / deviation) */
    assert_close(relu, 0.5 * 0.97724986805182079 + 0.25 * 0.053990966513188056, 1e-14);
    assert_close(p.outside, 0, 1e-14);
    ola_points_destroy(&p);

    /* one deviation on each side: 1 - erf(sqrt(1/2)) is cut */
    problem.interval = (ola_interval){0.5, 0.25};
    succeed(ola_points_create(&p, &problem));
    assert_close(p.outside, 0.31731050786291410, 1e-13);
    ola_points_destroy(&p);
    problem.interval = (ola_interval){50, 1};
    fail_with(ola_points_create(&p, &problem), FHOLA_RANGE, "no weight in the interval [49, 51]");
}
END_TEST

START_TEST(test_outside)
{
    ola_histogram h = two_samples();
    succeed(ola_histogram_add(&h, 7, 0, 4)); /* beyond the histogram's range */
    ola_problem problem = {.function = {.kind = OLA_GELU},
                           .interval = {-0.5, 0.5},
                           .weight = OLA_WEIGHT_EMPIRICAL,
                           .histogram = &h};
    ola_points p;
    succeed(ola_points_create(&p, &problem));
    ck_assert_uint_eq(p.count, 1); /* 0.5 is beyond the interval's end 0 */
    assert_close(p.outside, 1 - 3.0 / 8, 1e-15);
    ola_points_destroy(&p);
    problem.interval = (ola_interval){-0.75, 0.25}; /* the sample at the very end belongs to it */
    succeed(ola_points_create(&p, &problem));
    ck_assert_double_eq(p.X[0], 1);
    ola_points_destroy(&p);
    ola_histogram_clear(&h);
}
END_TEST

START_TEST(test_breaks)
{
    static double x[1000];
    double breaks[OLA_MAX_BREAKS];
    ola_function relu = {.kind = OLA_RELU},
                 table = {.kind = OLA_TABLE, .count = 1000, .x = x, .y = x};
    ck_assert_uint_eq(ola_function_breaks(&relu, -1, 1, breaks), 1);
    ck_assert_double_eq(breaks[0], 0);
    ck_assert_uint_eq(ola_function_breaks(&relu, 0, 1, breaks), 0);
    for (int i = 0; i < 1000; i++) x[i] = i;
    ck_assert_uint_eq(ola_function_breaks(&table, 9.5, 12.5, breaks), 3);
    ck_assert_double_eq(breaks[2], 12);
    ck_assert_uint_eq(ola_function_breaks(&table, 0, 1000, breaks), OLA_MAX_BREAKS);
    for (size_t i = 1; i < OLA_MAX_BREAKS; i++) ck_assert_double_gt(breaks[i], breaks[i - 1]);
}
END_TEST

START_TEST(test_refusals)
{
    ola_histogram h = two_samples(), empty;
    succeed(ola_histogram_init(&empty, -1, 1, 4, 0));
    const ola_problem good = {.function = {.kind = OLA_RELU},
                              .interval = {0, 1},
                              .weight = OLA_WEIGHT_GUARDED,
                              .histogram = &h,
                              .guard = OLA_DEFAULT_GUARD,
                              .deviation = 1};
    ola_points points;
    ola_problem p = good;
    p.function.kind = OLA_TABLE;
    fail_with(ola_points_create(&points, &p), FHOLA_PARAM, "table of points");
    p = good;
    p.interval.half_width = 0;
    fail_with(ola_points_create(&points, &p), FHOLA_PARAM, "half width 0");
    p.interval = (ola_interval){NAN, 1};
    fail_with(ola_points_create(&points, &p), FHOLA_PARAM, "centre nan");
    p = good;
    p.eps = 0.3;
    fail_with(ola_points_create(&points, &p), FHOLA_PARAM, "eps 0.3");
    p.eps = NAN;
    fail_with(ola_points_create(&points, &p), FHOLA_PARAM, "eps nan");
    p = good;
    p.guard = 0;
    fail_with(ola_points_create(&points, &p), FHOLA_PARAM, "guard mass 0");
    p = good;
    p.histogram = NULL;
    fail_with(ola_points_create(&points, &p), FHOLA_PARAM, "needs a histogram");
    p.histogram = &empty;
    fail_with(ola_points_create(&points, &p), FHOLA_RANGE, "empty");
    p = good;
    p.conditional = true;
    fail_with(ola_points_create(&points, &p), FHOLA_PARAM, "keeps targets");
    p.weight = OLA_WEIGHT_NORMAL;
    fail_with(ola_points_create(&points, &p), FHOLA_PARAM,
              "need a histogram, not a normal density");
    p.conditional = false;
    p.deviation = 0;
    fail_with(ola_points_create(&points, &p), FHOLA_PARAM, "deviation 0");
    p.weight = (ola_weight)5;
    fail_with(ola_points_create(&points, &p), FHOLA_PARAM, "kind of weight 5");
    p = good;
    p.interval = (ola_interval){10, 1};
    fail_with(ola_points_create(&points, &p), FHOLA_RANGE, "no weight in the interval [9, 11]");
    h.sum_x[16] = NAN; /* the bin of -0.5 in a histogram restored from bad data */
    fail_with(ola_points_create(&points, &good), FHOLA_RANGE, "bin 16 of the histogram");
    ola_histogram_clear(&h);
    ola_histogram_clear(&empty);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("points");
    tcase_add_test(tcase, test_guard_is_uniform);
    tcase_add_test(tcase, test_normal_moments);
    tcase_add_test(tcase, test_outside);
    tcase_add_test(tcase, test_breaks);
    tcase_add_test(tcase, test_refusals);
    return run_case("ola_quadrature", tcase);
}
