/* SPDX-License-Identifier: Apache-2.0 */
/* Measured errors of polynomials against direct sums and dense scans. */
#include "check_ola_support.h"

/* Largest error on a dense grid in x, evaluated independently of the library's own grid. */
static double scan(const ola_problem *p, const double *coeff, unsigned degree)
{
    double largest = 0;
    for (int i = -200000; i <= 200000; i++) {
        double w = sin(PI / 2 * i / 200000.0), x = p->interval.centre + p->interval.half_width * w;
        double value = ola_chebyshev_eval(coeff, degree, ola_variable(p->eps, w));
        largest = fmax(largest, fabs(value - ola_function_eval(&p->function, x)));
    }
    return largest;
}

START_TEST(test_against_scan)
{
    static const double x[] = {-1, -0.3, 0.2, 0.25, 2}, y[] = {0, 1, -1, 1, 0};
    uint64_t state = test_seed;
    ola_histogram h;
    succeed(ola_histogram_init(&h, -2, 2, 100, OLA_HISTOGRAM_TARGETS));
    for (int i = 0; i < 1000; i++)
        succeed(ola_histogram_add(&h, uniform(&state, -1, 2), uniform(&state, 0, 1),
                                  uniform(&state, 0, 2)));
    for (int trial = 0; trial < 24; trial++) {
        ola_problem p = {
            .function = {.kind = (ola_function_kind)(trial % 4), .count = 5, .x = x, .y = y},
            .interval = {uniform(&state, -0.5, 0.5), 1.2},
            .eps = trial % 3 * 0.1,
            .weight = OLA_WEIGHT_GUARDED,
            .histogram = &h,
            .guard = 1,
            .conditional = trial % 5 == 0};
        unsigned degree = (unsigned)(next_random(&state) % 64);
        double coeff[OLA_MAX_DEGREE + 1], sum = 0, inside = 0;
        for (unsigned k = 0; k <= degree; k++) coeff[k] = uniform(&state, -1, 1) / (1 + k);
        ola_fit_result r;
        succeed(ola_measure(&r, &p, coeff, degree));
        double expected = scan(&p, coeff, degree);
        assert_close(r.max_error, expected, 1e-3); /* the scan may miss the tip at a break */
        ck_assert_double_ge(r.max_error, expected * (1 - 1e-9));
        ck_assert_mem_eq(r.coeff, coeff, (degree + 1) * sizeof *coeff);
        ck_assert_uint_eq(r.degree, degree);
        for (size_t k = 0; k < h.bins; k++) {
            double mean = h.sum_x[k] / h.weight[k],
                   w = (mean - p.interval.centre) / p.interval.half_width;
            if (h.weight[k] == 0 || fabs(w) > 1) continue;
            double target = p.conditional ? h.sum_target[k] / h.weight[k]
                                          : ola_function_eval(&p.function, mean);
            sum += h.weight[k] *
                   pow(ola_chebyshev_eval(coeff, degree, ola_variable(p.eps, w)) - target, 2);
            inside += h.weight[k];
        }
        /* the guard, however large, has no part in it */
        assert_close(r.rms, sqrt(sum / inside), 1e-12);
        assert_close(r.outside, 1 - inside / h.total, 1e-12);
    }
    ola_histogram_clear(&h);
}
END_TEST

/* Errors known in closed form: x^2 over [-1, 1] as a fine table against its best constant and
 * itself. */
START_TEST(test_known_errors)
{
    static double x[2001], y[2001];
    for (int i = 0; i <= 2000; i++) {
        x[i] = (i - 1000) / 1000.0;
        y[i] = x[i] * x[i];
    }
    ola_problem p = {.function = {.kind = OLA_TABLE, .count = 2001, .x = x, .y = y},
                     .interval = {0, 1},
                     .weight = OLA_WEIGHT_NORMAL,
                     .deviation = 1e4};
    ola_fit_result r;
    double half[] = {0.5}, square[] = {0.5, 0, 0.5};
    succeed(ola_measure(&r, &p, half, 0));
    assert_close(r.max_error, 0.5, 1e-12);
    assert_close(r.rms, sqrt(0.2 - 1.0 / 3 + 0.25), 1e-6); /* a density this wide is uniform */
    succeed(ola_measure(&r, &p, square, 2));
    ck_assert_double_lt(r.max_error, 2.6e-7); /* the table's chords: h^2 / 4 */
}
END_TEST

int main(void)
{
    read_seed();
    TCase *tcase = tcase_create("errors");
    tcase_add_test(tcase, test_against_scan);
    tcase_add_test(tcase, test_known_errors);
    return run_case("ola_measure", tcase);
}
