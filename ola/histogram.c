/* SPDX-License-Identifier: Apache-2.0 */
/* Uniformly binned samples with the mean of each bin, optional targets, and exact moments and
 * extremes. */
#include "ola/ola.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MAX_BINS ((size_t)1 << 24)
#define LARGEST  1e300 /* samples beyond this could overflow the range of a growing histogram */
#define CHUNK    4096u /* samples per update of the moments */

static void reset_counts(ola_histogram *h)
{
    memset(h->weight, 0, h->bins * sizeof *h->weight);
    memset(h->sum_x, 0, h->bins * sizeof *h->sum_x);
    if (h->sum_target != NULL) memset(h->sum_target, 0, h->bins * sizeof *h->sum_target);
    h->total = h->below = h->above = 0;
    h->min = INFINITY;
    h->max = -INFINITY;
    h->mean = h->m2 = 0;
}

fhola_status ola_histogram_init(ola_histogram *h, double lo, double hi, size_t bins, unsigned flags)
{
    if (!(lo < hi) || !(fabs(lo) <= LARGEST) || !(fabs(hi) <= LARGEST))
        return fhola_fail(FHOLA_PARAM, "[%g, %g) is not a finite range", lo, hi);
    if (bins == 0 || bins > MAX_BINS)
        return fhola_fail(FHOLA_PARAM, "%zu bins are outside of 1..%zu", bins, MAX_BINS);
    if ((flags & ~(unsigned)(OLA_HISTOGRAM_TARGETS | OLA_HISTOGRAM_GROW)) != 0)
        return fhola_fail(FHOLA_PARAM, "unknown histogram flags %#x", flags);
    bool grow = (flags & OLA_HISTOGRAM_GROW) != 0, targets = (flags & OLA_HISTOGRAM_TARGETS) != 0;
    if (grow && bins % 2 != 0)
        return fhola_fail(FHOLA_PARAM, "a growing histogram needs an even number of bins, not %zu",
                          bins);

    ola_histogram fresh = {.lo = lo, .hi = hi, .bins = bins, .grow = grow};
    fresh.weight = malloc(bins * sizeof *fresh.weight);
    fresh.sum_x = malloc(bins * sizeof *fresh.sum_x);
    if (targets) fresh.sum_target = malloc(bins * sizeof *fresh.sum_target);
    if (fresh.weight == NULL || fresh.sum_x == NULL || (targets && fresh.sum_target == NULL)) {
        ola_histogram_clear(&fresh);
        return fhola_fail(FHOLA_NOMEM, "no memory for a histogram of %zu bins", bins);
    }
    reset_counts(&fresh);
    *h = fresh;
    return FHOLA_OK;
}

void ola_histogram_clear(ola_histogram *h)
{
    if (!h) return;
    free(h->weight);
    free(h->sum_x);
    free(h->sum_target);
    *h = (ola_histogram){.lo = 0};
}

void ola_histogram_reset(ola_histogram *h)
{
    reset_counts(h);
}

/* Merges pairs of bins into one half of the array, the upper one if `upper`, and empties the other
 * half. */
static void fold_pairs(double *a, size_t bins, bool upper)
{
    size_t half = bins / 2;
    if (upper) {
        for (size_t k = half; k-- > 0;) a[half + k] = a[2 * k] + a[2 * k + 1];
        memset(a, 0, half * sizeof *a);
    } else {
        for (size_t k = 0; k < half; k++) a[k] = a[2 * k] + a[2 * k + 1];
        memset(a + half, 0, half * sizeof *a);
    }
}

/* Doubles the range towards the side a value lies on until the range contains the value. */
static void grow_to(ola_histogram *h, double x)
{
    while (x < h->lo || x >= h->hi) {
        bool down = x < h->lo;
        double width = h->hi - h->lo;
        if (down)
            h->lo -= width;
        else
            h->hi += width;
        fold_pairs(h->weight, h->bins, down);
        fold_pairs(h->sum_x, h->bins, down);
        if (h->sum_target != NULL) fold_pairs(h->sum_target, h->bins, down);
    }
}

/* Joins the moments of a second group of samples (T. Chan, G. Golub, R. LeVeque, 1979). */
static void join_moments(ola_histogram *h, double weight, double mean, double m2)
{
    if (weight == 0) return;
    double total = h->total + weight, distance = mean - h->mean;
    h->mean += distance * (weight / total);
    h->m2 += m2 + distance * distance * (h->total * (weight / total));
    h->total = total;
}

static void put(ola_histogram *h, double x, double target, double weight, double bins_per_unit)
{
    if (x < h->lo) {
        h->below += weight;
    } else if (x >= h->hi) {
        h->above += weight;
    } else {
        size_t k = (size_t)((x - h->lo) * bins_per_unit);
        if (k >= h->bins) k = h->bins - 1;
        h->weight[k] += weight;
        h->sum_x[k] += weight * x;
        if (h->sum_target != NULL) h->sum_target[k] += weight * target;
    }
}

static double bins_per_unit(const ola_histogram *h)
{
    return (double)h->bins / (h->hi - h->lo);
}

static void note_extremes(ola_histogram *h, double min, double max)
{
    h->min = fmin(h->min, min);
    h->max = fmax(h->max, max);
    if (h->grow) {
        grow_to(h, min);
        grow_to(h, max);
    }
}

fhola_status ola_histogram_add(ola_histogram *h, double x, double target, double weight)
{
    if (!(fabs(x) <= LARGEST))
        return fhola_fail(FHOLA_RANGE, "sample %g is not a usable number", x);
    if (h->sum_target != NULL && !(fabs(target) <= LARGEST))
        return fhola_fail(FHOLA_RANGE, "target %g of sample %g is not a usable number", target, x);
    if (!(weight >= 0) || !isfinite(weight))
        return fhola_fail(FHOLA_RANGE, "weight %g of sample %g is not a finite number >= 0", weight,
                          x);
    if (weight == 0) return FHOLA_OK;
    note_extremes(h, x, x);
    put(h, x, target, weight, bins_per_unit(h));
    join_moments(h, weight, x, 0);
    return FHOLA_OK;
}

void ola_extremes(float *min, float *max, const float *values, size_t count)
{
    float low = values[0], high = values[0];
#if defined _OPENMP && !defined __clang__ /* clang warns that it cannot */
#pragma omp simd reduction(min : low) reduction(max : high)
#endif
    for (size_t i = 1; i < count; i++) {
        low = values[i] < low ? values[i] : low;
        high = values[i] > high ? values[i] : high;
    }
    *min = low;
    *max = high;
}

/* By the exponents' bits: a test of all without a branch for each. */
static bool all_finite(const float *values, size_t count)
{
    const uint32_t exponent = 0x7f800000;
    uint32_t bad = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        bad |= (bits & exponent) == exponent;
    }
    return !bad;
}

static fhola_status check_finite(const float *values, size_t count, const char *what)
{
    if (all_finite(values, count)) return FHOLA_OK;
    size_t i = 0;
    while (isfinite(values[i])) i++;
    return fhola_fail(FHOLA_RANGE, "%s %zu of %zu is not finite", what, i, count);
}

/* Up to CHUNK samples inside of the range of a growing histogram. */
static void add_chunk(ola_histogram *h, const float *x, const float *target, size_t count)
{
    double sum = 0, m2 = 0, scale = bins_per_unit(h);
    for (size_t i = 0; i < count; i++) sum += (double)x[i];
    double mean = sum / (double)count;
    for (size_t i = 0; i < count; i++) {
        double distance = (double)x[i] - mean;
        m2 += distance * distance;
        put(h, (double)x[i], target != NULL ? (double)target[i] : 0, 1, scale);
    }
    join_moments(h, (double)count, mean, m2);
}

fhola_status ola_histogram_add_floats(ola_histogram *h, const float *x, const float *target,
                                      size_t count)
{
    if ((target != NULL) != (h->sum_target != NULL))
        return fhola_fail(FHOLA_PARAM, "targets %s, but the histogram %s them",
                          target != NULL ? "given" : "missing",
                          h->sum_target != NULL ? "keeps" : "does not keep");
    fhola_status status = check_finite(x, count, "sample");
    if (status == FHOLA_OK && target != NULL) status = check_finite(target, count, "target");
    if (status != FHOLA_OK || count == 0) return status;

    float min, max;
    ola_extremes(&min, &max, x, count);
    note_extremes(h, (double)min, (double)max);
    for (size_t i = 0; i < count; i += CHUNK)
        add_chunk(h, x + i, target != NULL ? target + i : NULL,
                  count - i < CHUNK ? count - i : CHUNK);
    return FHOLA_OK;
}

static void add_arrays(double *sum, const double *other, size_t bins)
{
    for (size_t k = 0; k < bins; k++) sum[k] += other[k];
}

fhola_status ola_histogram_merge(ola_histogram *h, const ola_histogram *other)
{
    if ((h->sum_target != NULL) != (other->sum_target != NULL))
        return fhola_fail(FHOLA_PARAM, "only one of the two histograms keeps targets");
    bool same = h->lo == other->lo && h->hi == other->hi && h->bins == other->bins;
    if (!same && (other->below > 0 || other->above > 0))
        return fhola_fail(FHOLA_PARAM,
                          "samples outside of [%g, %g) cannot move to another range [%g, %g)",
                          other->lo, other->hi, h->lo, h->hi);
    if (!same && !h->grow && other->total > 0 && (other->min < h->lo || other->max >= h->hi))
        return fhola_fail(FHOLA_PARAM, "samples in [%g, %g] do not fit into the range [%g, %g)",
                          other->min, other->max, h->lo, h->hi);
    if (other->total == 0) return FHOLA_OK;

    /* Of equal ranges no merge can need a larger one, except that a growing one cannot hold samples
     * that the other left outside. */
    if (same && h->grow && (other->below > 0 || other->above > 0))
        return fhola_fail(FHOLA_PARAM,
                          "a growing histogram cannot take over samples outside of [%g, %g)",
                          other->lo, other->hi);
    note_extremes(h, other->min, other->max);
    same = h->lo == other->lo && h->hi == other->hi && h->bins == other->bins;
    if (same) {
        add_arrays(h->weight, other->weight, h->bins);
        add_arrays(h->sum_x, other->sum_x, h->bins);
        if (h->sum_target != NULL) add_arrays(h->sum_target, other->sum_target, h->bins);
        h->below += other->below;
        h->above += other->above;
    } else {
        double scale = bins_per_unit(h);
        for (size_t k = 0; k < other->bins; k++) {
            double weight = other->weight[k];
            if (weight > 0)
                put(h, fmin(fmax(other->sum_x[k] / weight, other->min), other->max),
                    other->sum_target != NULL ? other->sum_target[k] / weight : 0, weight, scale);
        }
    }
    join_moments(h, other->total, other->mean, other->m2);
    return FHOLA_OK;
}

double ola_histogram_deviation(const ola_histogram *h)
{
    return h->total > 0 ? sqrt(h->m2 / h->total) : 0;
}

fhola_status ola_histogram_support(const ola_histogram *h, double *min, double *max)
{
    if (h->total == 0)
        return fhola_fail(FHOLA_RANGE, "the histogram over [%g, %g) is empty", h->lo, h->hi);
    *min = h->min;
    *max = h->max;
    return FHOLA_OK;
}
