/* SPDX-License-Identifier: Apache-2.0 */
/* Activation functions, the variable of their polynomials, and the intervals they are used on. */
#include "ola/ola.h"

#include <math.h>

#define PI        3.14159265358979323846
#define TWO_PI    6.28318530717958647692
#define SQRT_HALF 0.70710678118654752440

fhola_status ola_function_check(const ola_function *f)
{
    switch (f->kind) {
    case OLA_RELU:
    case OLA_GELU:
    case OLA_SILU: return FHOLA_OK;
    case OLA_TABLE: break;
    default: return fhola_fail(FHOLA_PARAM, "unknown function kind %d", (int)f->kind);
    }
    if (f->count < 2 || f->x == NULL || f->y == NULL)
        return fhola_fail(FHOLA_PARAM, "a table of points needs at least 2, got %zu", f->count);
    for (size_t i = 0; i < f->count; i++) {
        if (!isfinite(f->x[i]) || !isfinite(f->y[i]))
            return fhola_fail(FHOLA_PARAM, "point %zu of the table is not finite: (%g, %g)", i,
                              f->x[i], f->y[i]);
        if (i > 0 && f->x[i] <= f->x[i - 1])
            return fhola_fail(FHOLA_PARAM, "x of the table must rise: %g at point %zu follows %g",
                              f->x[i], i, f->x[i - 1]);
    }
    return FHOLA_OK;
}

/* The segment of a table that x lies on, by the number of its left end; the outermost ones reach to
 * infinity. */
static size_t find_segment(const ola_function *f, double x)
{
    size_t lo = 0, hi = f->count - 1;
    while (hi - lo > 1) {
        size_t middle = lo + (hi - lo) / 2;
        if (x <= f->x[middle])
            hi = middle;
        else
            lo = middle;
    }
    return lo;
}

static double table_eval(const ola_function *f, double x)
{
    size_t k = find_segment(f, x);
    double share = (x - f->x[k]) / (f->x[k + 1] - f->x[k]);
    return f->y[k] + share * (f->y[k + 1] - f->y[k]);
}

static double table_slope(const ola_function *f, double x)
{
    size_t k = find_segment(f, x);
    return (f->y[k + 1] - f->y[k]) / (f->x[k + 1] - f->x[k]);
}

double ola_function_eval(const ola_function *f, double x)
{
    switch (f->kind) {
    case OLA_RELU: return x < 0 ? 0 : x; /* NaN stays NaN */
    case OLA_GELU: return 0.5 * x * erfc(-x * SQRT_HALF);
    case OLA_SILU: return x / (1 + exp(-x));
    case OLA_TABLE: return table_eval(f, x);
    }
    return NAN;
}

double ola_function_slope(const ola_function *f, double x)
{
    double s;
    switch (f->kind) {
    case OLA_RELU: return x > 0 ? 1 : 0;
    case OLA_GELU: return 0.5 * erfc(-x * SQRT_HALF) + x * exp(-0.5 * x * x) * SQRT_HALF / sqrt(PI);
    case OLA_SILU: s = 1 / (1 + exp(-x)); return s * (1 + x * (1 - s));
    case OLA_TABLE: return table_slope(f, x);
    }
    return NAN;
}

double ola_variable(double eps, double w)
{
    return eps == 0 ? w : sin(TWO_PI * eps * w) / sin(TWO_PI * eps);
}

double ola_variable_inverse(double eps, double X)
{
    double clamped = fmin(fmax(X, -1), 1);
    if (eps == 0 || fabs(clamped) == 1) return clamped;
    double w = asin(clamped * sin(TWO_PI * eps)) / (TWO_PI * eps);
    return fmin(fmax(w, -1), 1);
}

static fhola_status check_rule(const ola_interval_rule *rule)
{
    if (!(rule->margin >= 1) || !isfinite(rule->margin))
        return fhola_fail(FHOLA_PARAM, "margin %g is not a finite number >= 1", rule->margin);
    if (!(rule->floor >= 0 && rule->floor <= 1))
        return fhola_fail(FHOLA_PARAM, "floor %g is outside of [0, 1]", rule->floor);
    return FHOLA_OK;
}

static double half_range(double min, double max, bool symmetric)
{
    return symmetric ? fmax(fabs(min), fabs(max)) : max / 2 - min / 2;
}

fhola_status ola_select_intervals(ola_interval *intervals, const double *min, const double *max,
                                  size_t channels, const ola_interval_rule *rule)
{
    fhola_status status = check_rule(rule);
    if (status != FHOLA_OK) return status;
    if (channels == 0) return fhola_fail(FHOLA_PARAM, "no channel to select an interval for");

    double largest = 0;
    for (size_t c = 0; c < channels; c++) {
        if (!isfinite(min[c]) || !isfinite(max[c]))
            return fhola_fail(
                FHOLA_RANGE,
                "channel %zu: the observed range [%g, %g] is not finite (no sample, or a bad one)",
                c, min[c], max[c]);
        if (min[c] > max[c])
            return fhola_fail(FHOLA_PARAM, "channel %zu: smallest value %g above largest %g", c,
                              min[c], max[c]);
        largest = fmax(largest, half_range(min[c], max[c], rule->symmetric));
    }
    for (size_t c = 0; c < channels; c++) {
        double half_width =
            fmax(rule->margin * half_range(min[c], max[c], rule->symmetric), rule->floor * largest);
        if (half_width == 0)
            return fhola_fail(FHOLA_RANGE,
                              "channel %zu is constant (%g) and nothing widens its interval", c,
                              min[c]);
        if (!isfinite(half_width))
            return fhola_fail(FHOLA_RANGE, "channel %zu: range [%g, %g] with margin %g overflows",
                              c, min[c], max[c], rule->margin);
    }
    for (size_t c = 0; c < channels; c++) {
        intervals[c].centre = rule->symmetric ? 0 : min[c] / 2 + max[c] / 2;
        intervals[c].half_width =
            fmax(rule->margin * half_range(min[c], max[c], rule->symmetric), rule->floor * largest);
    }
    return FHOLA_OK;
}
