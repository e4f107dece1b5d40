/* SPDX-License-Identifier: Apache-2.0 */
/* Histograms against sums over the samples themselves: single, bulk, grown and merged; and bad
 * input. */
#include "check_ola_support.h"

#define SAMPLES 20000u

static float samples[SAMPLES], targets[SAMPLES];

static void draw_samples(double mean, double deviation)
{
    uint64_t state = test_seed;
    for (size_t i = 0; i < SAMPLES; i++) {
        samples[i] = (float)normal(&state, mean, deviation);
        targets[i] = (float)uniform(&state, -1, 1);
    }
}

/* Everything a histogram says about its samples, checked against the samples. */
static void check_contents(const ola_histogram *h, double tolerance)
{
    double sum = 0, squares = 0, min = INFINITY, max = -INFINITY, inside = 0;
    double bin_x = 0, bin_target = 0, expect_x = 0, expect_target = 0;
    for (size_t i = 0; i < SAMPLES; i++) {
        double x = (double)samples[i];
        sum += x;
        min = fmin(min, x);
        max = fmax(max, x);
        if (x >= h->lo && x < h->hi) {
            inside++;
            expect_x += x;
            expect_target += (double)targets[i];
        }
    }
    for (size_t i = 0; i < SAMPLES; i++)
        squares += ((double)samples[i] - sum / SAMPLES) * ((double)samples[i] - sum / SAMPLES);
    ck_assert_double_eq(h->total, SAMPLES);
    ck_assert_double_eq(h->min, min);
    ck_assert_double_eq(h->max, max);
    assert_close(h->mean, sum / SAMPLES, 1e-12);
    assert_close(ola_histogram_deviation(h), sqrt(squares / SAMPLES), 1e-12);

    double weight = 0, width = (h->hi - h->lo) / (double)h->bins;
    for (size_t k = 0; k < h->bins; k++) {
        weight += h->weight[k];
        bin_x += h->sum_x[k];
        if (h->sum_target != NULL) bin_target += h->sum_target[k];
        if (h->weight[k] > 0) { /* the bin's mean lies in the bin */
            double mean = h->sum_x[k] / h->weight[k];
            ck_assert_double_ge(mean, h->lo + (double)k * width - tolerance);
            ck_assert_double_le(mean, h->lo + (double)(k + 1) * width + tolerance);
        }
    }
    ck_assert_double_eq(weight, inside);
    ck_assert_double_eq(h->below + h->above, SAMPLES - inside);
    assert_close(bin_x, expect_x, 1e-8);
    if (h->sum_target != NULL) assert_close(bin_target, expect_target, 1e-8);
}

START_TEST(test_bulk_and_single)
{
    draw_samples(0.3, 1);
    ola_histogram bulk, single;
    /* some samples fall outside */
    succeed(ola_histogram_init(&bulk, -2, 2, 77, OLA_HISTOGRAM_TARGETS));
    succeed(ola_histogram_init(&single, -2, 2, 77, OLA_HISTOGRAM_TARGETS));
    succeed(ola_histogram_add_floats(&bulk, samples, targets, SAMPLES));
    for (size_t i = 0; i < SAMPLES; i++)
        succeed(ola_histogram_add(&single, (double)samples[i], (double)targets[i], 1));
    ck_assert_double_gt(bulk.below, 0);
    ck_assert_double_gt(bulk.above, 0);
    check_contents(&bulk, 1e-9);
    check_contents(&single, 1e-9);
    ck_assert_mem_eq(bulk.weight, single.weight, 77 * sizeof(double));
    ck_assert_mem_eq(bulk.sum_x, single.sum_x, 77 * sizeof(double));
    ola_histogram_reset(&bulk);
    ck_assert_double_eq(bulk.total, 0);
    succeed(ola_histogram_add_floats(&bulk, samples, targets, SAMPLES));
    check_contents(&bulk, 1e-9);
    ola_histogram_clear(&bulk);
    ola_histogram_clear(&single);
    ola_histogram_clear(NULL);
}
END_TEST

START_TEST(test_growing)
{
    draw_samples(-3, 2);
    ola_histogram h;
    succeed(ola_histogram_init(&h, -0.25, 0.25, 1024, OLA_HISTOGRAM_GROW | OLA_HISTOGRAM_TARGETS));
    for (size_t i = 0; i < SAMPLES; i += 1000)
        succeed(ola_histogram_add_floats(&h, samples + i, targets + i, 1000));
    ck_assert_double_eq(h.below + h.above, 0);
    ck_assert_double_le(h.hi - h.lo, 64);
    check_contents(&h, 1e-9);
    succeed(ola_histogram_add(&h, 1e300, 0, 1)); /* absurd, but no overflow */
    ck_assert(isfinite(h.lo) && isfinite(h.hi) && h.hi > 1e300);
    ola_histogram_clear(&h);
}
END_TEST

START_TEST(test_merge_equal_ranges)
{
    draw_samples(0, 1);
    ola_histogram all, part;
    succeed(ola_histogram_init(&all, -2, 2, 64, OLA_HISTOGRAM_TARGETS));
    for (size_t i = 0; i < SAMPLES; i += 2500) {
        succeed(ola_histogram_init(&part, -2, 2, 64, OLA_HISTOGRAM_TARGETS));
        succeed(ola_histogram_add_floats(&part, samples + i, targets + i, 2500));
        succeed(ola_histogram_merge(&all, &part));
        ola_histogram_clear(&part);
    }
    check_contents(&all, 1e-9);
    ola_histogram_clear(&all);
}
END_TEST

START_TEST(test_merge_different_ranges)
{
    draw_samples(1, 1);
    ola_histogram all, part;
    succeed(ola_histogram_init(&all, -0.5, 0.5, 512, OLA_HISTOGRAM_GROW | OLA_HISTOGRAM_TARGETS));
    for (size_t i = 0; i < SAMPLES; i += 5000) {
        succeed(ola_histogram_init(&part, 0, 1, 256 + i / 100,
                                   OLA_HISTOGRAM_GROW | OLA_HISTOGRAM_TARGETS));
        succeed(ola_histogram_add_floats(&part, samples + i, targets + i, 5000));
        succeed(ola_histogram_merge(&all, &part));
        ola_histogram_clear(&part);
    }
    check_contents(&all, 1e-9);
    ola_histogram_clear(&all);
}
END_TEST

START_TEST(test_weights)
{
    ola_histogram h;
    double min, max;
    succeed(ola_histogram_init(&h, 0, 1, 4, 0));
    succeed(ola_histogram_add(&h, 0.1, NAN, 3)); /* no targets kept: none looked at */
    succeed(ola_histogram_add(&h, 0.2, 0, 1));
    succeed(ola_histogram_add(&h, 0.9, 0, 0)); /* weighs nothing, leaves nothing */
    succeed(ola_histogram_support(&h, &min, &max));
    ck_assert_double_eq(min, 0.1);
    ck_assert_double_eq(max, 0.2);
    assert_close(h.mean, 0.125, 1e-15);
    assert_close(ola_histogram_deviation(&h), sqrt(3 * 0.025 * 0.025 / 4 + 0.075 * 0.075 / 4),
                 1e-15);
    ola_histogram_clear(&h);
}
END_TEST

/* Moments of samples far from 0 do not suffer from cancellation. */
START_TEST(test_moments_far_from_zero)
{
    ola_histogram h;
    succeed(ola_histogram_init(&h, 1e8, 1e8 + 8, 16, 0));
    for (int i = 0; i < 1000; i++) succeed(ola_histogram_add(&h, 1e8 + (i % 2 == 0 ? 1 : 3), 0, 1));
    assert_close(h.mean, 1e8 + 2, 1e-6);
    assert_close(ola_histogram_deviation(&h), 1, 1e-9);
    ola_histogram_clear(&h);
}
END_TEST

START_TEST(test_bad_input)
{
    ola_histogram h = {.lo = 0}, other;
    double min, max;
    fail_with(ola_histogram_init(&h, 1, 1, 4, 0), FHOLA_PARAM, "not a finite range");
    fail_with(ola_histogram_init(&h, 0, NAN, 4, 0), FHOLA_PARAM, "not a finite range");
    fail_with(ola_histogram_init(&h, -INFINITY, 0, 4, 0), FHOLA_PARAM, "not a finite range");
    fail_with(ola_histogram_init(&h, 0, 1, 0, 0), FHOLA_PARAM, "0 bins");
    fail_with(ola_histogram_init(&h, 0, 1, (size_t)1 << 25, 0), FHOLA_PARAM, "33554432 bins");
    fail_with(ola_histogram_init(&h, 0, 1, 5, OLA_HISTOGRAM_GROW), FHOLA_PARAM,
              "even number of bins, not 5");
    fail_with(ola_histogram_init(&h, 0, 1, 4, 64), FHOLA_PARAM, "flags 0x40");
    ck_assert_ptr_null(h.weight);

    succeed(ola_histogram_init(&h, 0, 1, 4, 0));
    fail_with(ola_histogram_support(&h, &min, &max), FHOLA_RANGE, "empty");
    ck_assert_double_eq(ola_histogram_deviation(&h), 0);
    float bad[] = {0.5f, 0.25f, NAN, 0};
    fail_with(ola_histogram_add_floats(&h, bad, NULL, 4), FHOLA_RANGE,
              "sample 2 of 4 is not finite");
    bad[2] = -INFINITY;
    fail_with(ola_histogram_add_floats(&h, bad, NULL, 4), FHOLA_RANGE,
              "sample 2 of 4 is not finite");
    fail_with(ola_histogram_add_floats(&h, bad, bad, 4), FHOLA_PARAM, "targets given");
    fail_with(ola_histogram_add(&h, NAN, 0, 1), FHOLA_RANGE, "sample nan");
    fail_with(ola_histogram_add(&h, 2e300, 0, 1), FHOLA_RANGE, "sample 2e+300");
    fail_with(ola_histogram_add(&h, 0, 0, -1), FHOLA_RANGE, "weight -1");
    fail_with(ola_histogram_add(&h, 0, 0, INFINITY), FHOLA_RANGE, "weight inf");
    ck_assert_double_eq(h.total, 0); /* nothing went in */

    succeed(ola_histogram_init(&other, 0, 1, 4, OLA_HISTOGRAM_TARGETS));
    fail_with(ola_histogram_merge(&h, &other), FHOLA_PARAM,
              "only one of the two histograms keeps targets");
    fail_with(ola_histogram_add_floats(&other, bad, NULL, 2), FHOLA_PARAM, "targets missing");
    fail_with(ola_histogram_add_floats(&other, bad, bad + 1, 2), FHOLA_RANGE,
              "target 1 of 2 is not finite");
    fail_with(ola_histogram_add(&other, 0.5, NAN, 1), FHOLA_RANGE, "target nan of sample 0.5");
    ola_histogram_clear(&other);
    succeed(ola_histogram_init(&other, 0, 2, 4, 0));
    succeed(ola_histogram_add(&other, 1.5, 0, 1));
    fail_with(ola_histogram_merge(&h, &other), FHOLA_PARAM, "do not fit");
    succeed(ola_histogram_add(&other, 3, 0, 1));
    fail_with(ola_histogram_merge(&h, &other), FHOLA_PARAM, "outside of [0, 2)");
    ola_histogram_clear(&other);
    ola_histogram_clear(&h);
    ola_histogram_clear(&h); /* twice is harmless */
}
END_TEST

int main(void)
{
    read_seed();
    TCase *tcase = tcase_create("histograms");
    tcase_add_test(tcase, test_bulk_and_single);
    tcase_add_test(tcase, test_growing);
    tcase_add_test(tcase, test_merge_equal_ranges);
    tcase_add_test(tcase, test_merge_different_ranges);
    tcase_add_test(tcase, test_weights);
    tcase_add_test(tcase, test_moments_far_from_zero);
    tcase_add_test(tcase, test_bad_input);
    return run_case("ola_histogram", tcase);
}
