/* SPDX-License-Identifier: Apache-2.0 */
/* Minimax polynomials: equioscillation, closed forms, comparison with least squares, and the
 * compositions' published precision. */
#include "check_ola_support.h"

static ola_problem problem_of(ola_function_kind kind, double centre, double half_width, double eps)
{
    return (ola_problem){.function = {.kind = kind},
                         .interval = {centre, half_width},
                         .eps = eps,
                         .weight = OLA_WEIGHT_NORMAL,
                         .mean = centre,
                         .deviation = half_width / 3};
}

/* Number of alternating extrema of the error that come within `tolerance` (relative) of the
 * largest. */
static unsigned alternations(const ola_problem *p, const ola_fit_result *r, double tolerance)
{
    unsigned count = 0;
    int last = 0;
    double largest = 0;
    for (int i = 0; i <= 50000; i++) {
        double X = -cos(PI * i / 50000),
               x = p->interval.centre + p->interval.half_width * ola_variable_inverse(p->eps, X);
        double error =
            ola_chebyshev_eval(r->coeff, r->degree, X) - ola_function_eval(&p->function, x);
        largest = fmax(largest, fabs(error));
        int sign = error > 0 ? 1 : -1;
        if (fabs(error) >= r->max_error * (1 - tolerance) && sign != last) {
            count++;
            last = sign;
        }
    }
    ck_assert_double_le(largest, r->max_error * (1 + 1e-6) + 1e-14);
    return count;
}

START_TEST(test_equioscillation)
{
    static const ola_function_kind kinds[] = {OLA_RELU, OLA_GELU, OLA_SILU};
    static const unsigned degrees[] = {0, 1, 2, 3, 4, 5, 7, 8, 11, 15, 16, 23, 31};
    for (int e = 0; e < 2; e++)
        for (size_t d = 0; d < sizeof degrees / sizeof *degrees; d++) {
            ola_problem p = problem_of(kinds[_i], e == 0 ? 0 : 0.37, 3, 0.125 * e);
            ola_fit_result minimax, squares;
            succeed(ola_minimax(&minimax, &p, degrees[d]));
            ck_assert_uint_eq(minimax.degree, degrees[d]);
            if (minimax.max_error > 1e-9)
                ck_assert_uint_ge(alternations(&p, &minimax, 5e-3), degrees[d] + 2);
            succeed(ola_fit(&squares, &p, degrees[d]));
            ck_assert_double_le(minimax.max_error, squares.max_error * (1 + 1e-9) + 1e-14);
            ck_assert_double_ge(minimax.rms, squares.rms * (1 - 1e-9) - 1e-15);
        }
}
END_TEST

START_TEST(test_degree_63)
{
    for (int e = 0; e < 2; e++) {
        ola_problem p = problem_of(OLA_RELU, 0.1, 2, 0.125 * e);
        ola_fit_result r;
        succeed(ola_minimax(&r, &p, OLA_MAX_DEGREE));
        ck_assert_uint_ge(alternations(&p, &r, 1e-2), OLA_MAX_DEGREE + 2);
    }
    /* best error far below double precision: close to it is enough */
    ola_problem smooth = problem_of(OLA_GELU, 0, 4, 0);
    ola_fit_result r;
    succeed(ola_minimax(&r, &smooth, OLA_MAX_DEGREE));
    ck_assert_double_lt(r.max_error, 1e-13);
}
END_TEST

START_TEST(test_closed_forms)
{
    ola_problem relu = problem_of(OLA_RELU, 0, 1, 0);
    ola_fit_result r;
    succeed(ola_minimax(&r, &relu, 0));
    assert_close(r.max_error, 0.5, 1e-9);
    succeed(ola_minimax(&r, &relu, 1)); /* |x| / 2 by a constant */
    assert_close(r.max_error, 0.25, 1e-9);
    succeed(ola_minimax(&r, &relu, 2)); /* |x| / 2 by x^2 / 2 + 1 / 16 */
    assert_close(r.max_error, 1.0 / 16, 1e-9);
    assert_close(ola_chebyshev_eval(r.coeff, 2, 0.5), 1.0 / 8 + 1.0 / 16 + 0.25, 1e-7);
    /* Bernstein: the error of |x| times the degree tends to 0.2801694990... */
    succeed(ola_minimax(&r, &relu, 62));
    assert_close(r.max_error * 62 * 2, 0.28016949902386913, 2e-4);

    static const double x[] = {-1, 0.5, 4}, y[] = {-3, 0, 7}; /* a straight line as a table */
    relu.function = (ola_function){.kind = OLA_TABLE, .count = 3, .x = x, .y = y};
    succeed(ola_minimax(&r, &relu, 5));
    ck_assert_double_lt(r.max_error, 1e-14);

    double coeff[2], error;
    /* 2 x / (1 + delta), error (1 - delta) / (1 + delta) */
    succeed(ola_minimax_sign(coeff, &error, 1, 0.25));
    assert_close(coeff[1], 1.6, 1e-9);
    ck_assert_double_eq(coeff[0], 0);
    assert_close(error, 0.6, 1e-9);
}
END_TEST

START_TEST(test_sign)
{
    for (unsigned degree = 1; degree <= OLA_MAX_DEGREE; degree += 2)
        for (double delta = 0.8; delta > 1e-6; delta /= 5) {
            double coeff[OLA_MAX_DEGREE + 1], error, largest = 0;
            unsigned count = 0;
            int last = 0;
            succeed(ola_minimax_sign(coeff, &error, degree, delta));
            for (int i = 0; i <= 20000; i++) {
                double s = sin(PI / 2 * i / 20000), x = delta + (1 - delta) * s * s;
                double difference = ola_chebyshev_eval(coeff, degree, x) - 1;
                largest = fmax(largest, fabs(difference));
                if (fabs(difference) >= error * (1 - 1e-3) && (difference > 0 ? 1 : -1) != last) {
                    last = difference > 0 ? 1 : -1;
                    count++;
                }
            }
            for (unsigned k = 0; k <= degree; k += 2) ck_assert_double_eq(coeff[k], 0);
            assert_close(largest, error, 1e-4 * error + 1e-14);
            if (error > 1e-9) /* one more than the (degree + 1) / 2 coefficients */
                ck_assert_uint_ge(count, (degree + 1) / 2 + 1);
        }
}
END_TEST

/* {15, 15, 27} is the published composition for 13 bits (E. Lee et al., ICML 2022, and the programs
 * that came with it). The other rows are this library's own results; they show that one more bit
 * needs larger degrees, and would show a loss of precision. */
START_TEST(test_composite_precision)
{
    static const unsigned degrees[][3] = {{7, 7, 27}, {7, 15, 27}, {15, 15, 27}, {15, 27, 29}};
    static const int alpha[] = {11, 12, 13, 14};
    const unsigned *d = degrees[_i];
    ola_composite c = {.count = 77};
    fail_with(ola_composite_relu(&c, d, 3, alpha[_i] + 1), FHOLA_RANGE,
              "the degrees reach a precision of");
    ck_assert_uint_eq(c.count, 77);
    succeed(ola_composite_relu(&c, d, 3, alpha[_i]));
    printf("{%u, %u, %u}: %.3f bits at delta = 2^%.3f, sign error 2^%.3f\n", d[0], d[1], d[2],
           -log2(c.relu_error), log2(c.delta), log2(c.error));

    double relu = 0, sign = 0, reach = 0;
    for (int i = 0; i <= 200000; i++) {
        double x = exp2(-20.0 * i / 200000), between = x;
        for (unsigned k = 0; k < 3; k++) {
            reach = fmax(reach, fabs(between));
            between = ola_chebyshev_eval(c.coeff[k], c.degree[k], between);
        }
        reach = fmax(reach, 1 + fabs(between - ola_composite_eval_sign(&c, x)));
        relu = fmax(relu, fabs(ola_composite_eval_relu(&c, x) - x));
        relu = fmax(relu, fabs(ola_composite_eval_relu(&c, -x)));
        if (x >= c.delta) sign = fmax(sign, fabs(between - 1));
    }
    /* every stage takes and, but for the last, gives [-1, 1] */
    ck_assert_double_le(reach, 1 + 1e-12);
    ck_assert_double_le(relu, exp2(-alpha[_i]));
    assert_close(relu / c.relu_error, 1, 1e-3);
    assert_close(sign / c.error, 1, 1e-3);
}
END_TEST

START_TEST(test_composite_of_one)
{
    unsigned degree = 7;
    ola_composite c;
    double coeff[8], error;
    succeed(ola_composite_sign(&c, &degree, 1, 0.125));
    succeed(ola_minimax_sign(coeff, &error, 7, 0.125));
    ck_assert_mem_eq(c.coeff[0], coeff, sizeof coeff);
    ck_assert_double_eq(c.error, error);
}
END_TEST

START_TEST(test_every_delta)
{
    unsigned degrees[] = {15, 29, 29, 63, 3, 1, 31, 7};
    for (unsigned count = 1; count <= 8; count++)
        for (double delta = 0.9; delta > 1e-9; delta /= 20) {
            ola_composite c;
            succeed(ola_composite_sign(&c, degrees, count, delta));
            double largest = 0;
            for (int i = 0; i <= 1000; i++)
                largest =
                    fmax(largest, fabs(ola_composite_eval_sign(&c, pow(delta, i / 1000.0)) - 1));
            ck_assert_double_le(largest, c.error * (1 + 1e-6) + 1e-10);
        }
}
END_TEST

START_TEST(test_refusals)
{
    ola_problem p = problem_of(OLA_RELU, 0, 1, 0);
    ola_fit_result r;
    ola_composite c;
    double coeff[OLA_MAX_DEGREE + 1], error;
    unsigned degrees[9] = {3, 3, 3, 3, 3, 3, 3, 3, 3};
    fail_with(ola_minimax(&r, &p, 64), FHOLA_PARAM, "degree 64 is above 63");
    p.interval.half_width = -1;
    fail_with(ola_minimax(&r, &p, 3), FHOLA_PARAM, "half width -1");
    fail_with(ola_minimax_sign(coeff, &error, 4, 0.1), FHOLA_PARAM,
              "degree 4 of a sign polynomial is not an odd number");
    fail_with(ola_minimax_sign(coeff, &error, 65, 0.1), FHOLA_PARAM, "degree 65");
    fail_with(ola_minimax_sign(coeff, &error, 3, 0), FHOLA_PARAM, "delta 0 is outside of (0, 1)");
    fail_with(ola_minimax_sign(coeff, &error, 3, NAN), FHOLA_PARAM, "delta nan");
    fail_with(ola_composite_sign(&c, degrees, 9, 0.1), FHOLA_PARAM, "9 stages");
    fail_with(ola_composite_sign(&c, degrees, 0, 0.1), FHOLA_PARAM, "0 stages");
    fail_with(ola_composite_sign(&c, degrees, 2, 1), FHOLA_PARAM, "delta 1");
    fail_with(ola_composite_relu(&c, degrees, 2, 0), FHOLA_PARAM, "precision 0");
    degrees[1] = 8;
    fail_with(ola_composite_relu(&c, degrees, 2, 5), FHOLA_PARAM, "degree 8 of stage 1");
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("minimax");
    tcase_add_loop_test(tcase, test_equioscillation, 0, 3);
    tcase_add_test(tcase, test_degree_63);
    tcase_add_test(tcase, test_closed_forms);
    tcase_add_test(tcase, test_sign);
    tcase_add_loop_test(tcase, test_composite_precision, 0, 4);
    tcase_add_test(tcase, test_composite_of_one);
    tcase_add_test(tcase, test_every_delta);
    tcase_add_test(tcase, test_refusals);
    return run_case("ola_remez", tcase);
}
