/* SPDX-License-Identifier: Apache-2.0 */
/* Evaluation of Chebyshev sums against cos(k acos x), single against double precision, and
 * depths. */
#include "check_ola_support.h"

START_TEST(test_eval_is_cosine_sum)
{
    uint64_t state = test_seed;
    for (unsigned degree = 0; degree <= OLA_MAX_DEGREE; degree++) {
        double coeff[OLA_MAX_DEGREE + 1];
        for (unsigned k = 0; k <= degree; k++) coeff[k] = uniform(&state, -1, 1);
        for (int i = 0; i < 50; i++) {
            double x = uniform(&state, -1, 1), sum = 0;
            for (unsigned k = 0; k <= degree; k++) sum += coeff[k] * cos(k * acos(x));
            assert_close(ola_chebyshev_eval(coeff, degree, x), sum, 2e-13);
        }
    }
    double t3[] = {0, 0, 0, 1};
    /* 4 x^3 - 3 x, also outside of [-1, 1] */
    ck_assert_double_eq(ola_chebyshev_eval(t3, 3, 2), 26);
}
END_TEST

START_TEST(test_activation)
{
    uint64_t state = test_seed + 1;
    static const double eps[] = {0, 0.125, 0.25};
    static float x[1000], y[1000];
    for (size_t e = 0; e < 3; e++)
        for (unsigned degree = 0; degree <= OLA_MAX_DEGREE; degree++) {
            size_t count = next_random(&state) % 1000;
            ola_interval in = {uniform(&state, -2, 2), uniform(&state, 0.1, 5)};
            double coeff[OLA_MAX_DEGREE + 1], largest = 0;
            float max_w = 0.25f, reach = eps[e] > 0 ? 3 : 1;
            for (unsigned k = 0; k <= degree; k++) coeff[k] = uniform(&state, -1, 1);
            for (size_t i = 0; i < count; i++)
                x[i] = (float)(in.centre + in.half_width * uniform(&state, -1, 1) * (double)reach);
            for (size_t i = count; i < 1000; i++) y[i] = -123;
            ola_activation_eval(y, x, count, coeff, degree, &in, eps[e], &max_w);
            for (size_t i = 0; i < count; i++) {
                double w = ((double)x[i] - in.centre) / in.half_width, X = ola_variable(eps[e], w);
                largest = fmax(largest, fabs(w));
                /* beyond |X| = 1, where T_k grows fast, single precision means little: the sine is
                 * tested below */
                if (fabs(X) <= 1)
                    assert_close(y[i], ola_chebyshev_eval(coeff, degree, X),
                                 2e-6 * (1 + degree) * (1 + degree));
            }
            assert_close(max_w, fmax(0.25, largest), 1e-5);
            for (size_t i = count; i < 1000; i++) ck_assert_float_eq(y[i], -123);
        }
}
END_TEST

/* Degree 1 is the sine itself: right for every w, periodic, in place, and without max_w. */
START_TEST(test_sine)
{
    static float x[4001];
    double coeff[] = {0, 1}, eps = 0.125;
    ola_interval in = {0, 1};
    for (int i = 0; i <= 4000; i++) x[i] = (float)(i - 2000) / 100;
    ola_activation_eval(x, x, 4001, coeff, 1, &in, eps, NULL);
    for (int i = 0; i <= 4000; i++)
        assert_close(x[i], ola_variable(eps, (double)((float)(i - 2000) / 100)), 3e-6);
}
END_TEST

START_TEST(test_not_a_number)
{
    float x[] = {NAN, 0.5f, INFINITY}, y[3], max_w = 0;
    double coeff[] = {1, 2, 3};
    ola_interval in = {0, 1};
    ola_activation_eval(y, x, 1, coeff, 2, &in, 0.125, &max_w);
    ck_assert_float_nan(y[0]);
    ck_assert_float_eq(max_w, 0);
    ola_activation_eval(y, x, 3, coeff, 2, &in, 0.125, &max_w);
    ck_assert(isfinite(y[1]));
    ck_assert_float_infinite(max_w);
}
END_TEST

START_TEST(test_depth)
{
    static const unsigned degree[] = {0, 1, 2, 3, 4, 7, 8, 15, 16, 27, 31, 32, 63, 64};
    static const unsigned depth[] = {0, 1, 2, 2, 3, 3, 4, 4, 5, 5, 5, 6, 6, 7};
    for (size_t i = 0; i < sizeof degree / sizeof *degree; i++)
        ck_assert_uint_eq(ola_depth(degree[i]), depth[i]);
}
END_TEST

int main(void)
{
    read_seed();
    TCase *tcase = tcase_create("evaluation");
    tcase_add_test(tcase, test_eval_is_cosine_sum);
    tcase_add_test(tcase, test_activation);
    tcase_add_test(tcase, test_sine);
    tcase_add_test(tcase, test_not_a_number);
    tcase_add_test(tcase, test_depth);
    return run_case("ola_chebyshev", tcase);
}
