/* SPDX-License-Identifier: Apache-2.0 */
/* Activation functions, the variable of their polynomials, and the intervals they are used on. */
#include "ola/function.h"

#include <math.h>
#include <string.h>

#define PI         3.14159265358979323846
#define TWO_PI     6.28318530717958647692
#define SQRT_HALF  0.70710678118654752440
#define GELU_SCALE 0.79788456080286535588 /* sqrt(2 / pi) */
#define GELU_CUBE  0.044715               /* Hendrycks, Gimpel, arXiv 1606.08415 */
#define SELU_ALPHA 1.67326324235437728482 /* Klambauer et al., arXiv 1706.02515 */
#define SELU_SCALE 1.05070098735548049342

static double relu(const ola_function *f, double x)
{
    (void)f;
    return x < 0 ? 0 : x; /* NaN stays NaN */
}

static double relu_slope(const ola_function *f, double x)
{
    (void)f;
    return x > 0 ? 1 : 0;
}

static double gelu(const ola_function *f, double x)
{
    (void)f;
    return 0.5 * x * erfc(-x * SQRT_HALF);
}

static double gelu_slope(const ola_function *f, double x)
{
    (void)f;
    return 0.5 * erfc(-x * SQRT_HALF) + x * exp(-0.5 * x * x) * SQRT_HALF / sqrt(PI);
}

static double sigmoid(const ola_function *f, double x)
{
    (void)f;
    return 1 / (1 + exp(-x));
}

static double sigmoid_slope(const ola_function *f, double x)
{
    double s = sigmoid(f, x);
    return s * (1 - s);
}

static double silu(const ola_function *f, double x)
{
    (void)f;
    return x / (1 + exp(-x));
}

static double silu_slope(const ola_function *f, double x)
{
    double s = sigmoid(f, x);
    return s * (1 + x * (1 - s));
}

static double gelu_tanh(const ola_function *f, double x)
{
    (void)f;
    return 0.5 * x * (1 + tanh(GELU_SCALE * (x + GELU_CUBE * x * x * x)));
}

static double gelu_tanh_slope(const ola_function *f, double x)
{
    (void)f;
    double t = tanh(GELU_SCALE * (x + GELU_CUBE * x * x * x));
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * GELU_SCALE * (1 + 3 * GELU_CUBE * x * x);
}

static double hyperbolic(const ola_function *f, double x)
{
    (void)f;
    return tanh(x);
}

static double hyperbolic_slope(const ola_function *f, double x)
{
    (void)f;
    double t = tanh(x);
    return 1 - t * t;
}

static double leaky(const ola_function *f, double x)
{
    return x < 0 ? f->a * x : x;
}

static double leaky_slope(const ola_function *f, double x)
{
    return x > 0 ? 1 : f->a;
}

static double clip(const ola_function *f, double x)
{
    return x < f->a ? f->a : x > f->b ? f->b : x;
}

static double clip_slope(const ola_function *f, double x)
{
    return x > f->a && x <= f->b ? 1 : 0;
}

static size_t clip_kinks(const ola_function *f, double *kinks)
{
    kinks[0] = f->a;
    kinks[1] = f->b;
    return 2;
}

static fhola_status clip_check(const ola_function *f)
{
    if (f->a < f->b) return FHOLA_OK;
    return fhola_fail(FHOLA_PARAM, "clip between %g and %g leaves nothing", f->a, f->b);
}

static double hard_sigmoid(const ola_function *f, double x)
{
    double y = f->a * x + f->b;
    return y < 0 ? 0 : y > 1 ? 1 : y;
}

static double hard_sigmoid_slope(const ola_function *f, double x)
{
    return x > -f->b / f->a && x <= (1 - f->b) / f->a ? f->a : 0;
}

static size_t hard_sigmoid_kinks(const ola_function *f, double *kinks)
{
    kinks[0] = -f->b / f->a;
    kinks[1] = (1 - f->b) / f->a;
    return 2;
}

static fhola_status hard_sigmoid_check(const ola_function *f)
{
    if (f->a > 0) return FHOLA_OK;
    return fhola_fail(FHOLA_PARAM, "hard_sigmoid with slope %g: it must be positive", f->a);
}

static double hard_swish(const ola_function *f, double x)
{
    (void)f;
    return x <= -3 ? 0 : x > 3 ? x : x * (x + 3) / 6;
}

static double hard_swish_slope(const ola_function *f, double x)
{
    (void)f;
    return x <= -3 ? 0 : x > 3 ? 1 : (2 * x + 3) / 6;
}

static size_t hard_swish_kinks(const ola_function *f, double *kinks)
{
    (void)f;
    kinks[0] = -3;
    kinks[1] = 3;
    return 2;
}

static double elu(const ola_function *f, double x)
{
    return x < 0 ? f->a * expm1(x) : x;
}

static double elu_slope(const ola_function *f, double x)
{
    return x > 0 ? 1 : f->a * exp(x);
}

static double selu(const ola_function *f, double x)
{
    (void)f;
    return SELU_SCALE * (x < 0 ? SELU_ALPHA * expm1(x) : x);
}

static double selu_slope(const ola_function *f, double x)
{
    (void)f;
    return SELU_SCALE * (x > 0 ? 1 : SELU_ALPHA * exp(x));
}

static double softplus(const ola_function *f, double x)
{
    (void)f;
    return (x > 0 ? x : 0) + log1p(exp(-fabs(x)));
}

static double identity(const ola_function *f, double x)
{
    (void)f;
    return x;
}

static double identity_slope(const ola_function *f, double x)
{
    (void)f;
    (void)x;
    return 1;
}

static double absolute(const ola_function *f, double x)
{
    (void)f;
    return fabs(x);
}

static double absolute_slope(const ola_function *f, double x)
{
    (void)f;
    return x > 0 ? 1 : -1;
}

static size_t kink_at_zero(const ola_function *f, double *kinks)
{
    (void)f;
    kinks[0] = 0;
    return 1;
}

static size_t no_kinks(const ola_function *f, double *kinks)
{
    (void)f;
    (void)kinks;
    return 0;
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

static fhola_status table_check(const ola_function *f)
{
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

/* Everything the library knows of a function stands in its row. `kinks`: where it bends sharply,
 * at most OLA_MAX_KINKS places; NULL: nowhere, it is curved around 0. A new function is a new row
 * at the end. */
static const struct function_row {
    const char *name, *title;
    size_t parameters;
    double a, b; /* the usual ones */
    double (*eval)(const ola_function *f, double x);
    double (*slope)(const ola_function *f, double x);
    size_t (*kinks)(const ola_function *f, double *kinks);
    fhola_status (*check)(const ola_function *f);
} rows[] = {
    [OLA_RELU] = {"relu", "ReLU", 0, 0, 0, relu, relu_slope, kink_at_zero, NULL},
    [OLA_GELU] = {"gelu", "GELU", 0, 0, 0, gelu, gelu_slope, NULL, NULL},
    [OLA_SILU] = {"silu", "SiLU", 0, 0, 0, silu, silu_slope, NULL, NULL},
    [OLA_TABLE] = {"table", "the table", 0, 0, 0, table_eval, table_slope, no_kinks, table_check},
    [OLA_IDENTITY] = {"identity", "the identity", 0, 0, 0, identity, identity_slope, no_kinks,
                      NULL},
    [OLA_ABS] = {"abs", "|x|", 0, 0, 0, absolute, absolute_slope, kink_at_zero, NULL},
    {"leaky_relu", "leaky ReLU", 1, 0.01, 0, leaky, leaky_slope, kink_at_zero, NULL},
    {"clip", "clipping", 2, 0, 1, clip, clip_slope, clip_kinks, clip_check},
    {"gelu_tanh", "GELU (tanh)", 0, 0, 0, gelu_tanh, gelu_tanh_slope, NULL, NULL},
    {"hard_swish", "hard swish", 0, 0, 0, hard_swish, hard_swish_slope, hard_swish_kinks, NULL},
    {"hard_sigmoid", "hard sigmoid", 2, 1.0 / 6, 0.5, hard_sigmoid, hard_sigmoid_slope,
     hard_sigmoid_kinks, hard_sigmoid_check},
    {"sigmoid", "sigmoid", 0, 0, 0, sigmoid, sigmoid_slope, NULL, NULL},
    {"tanh", "tanh", 0, 0, 0, hyperbolic, hyperbolic_slope, NULL, NULL},
    {"elu", "ELU", 1, 1, 0, elu, elu_slope, NULL, NULL},
    {"softplus", "softplus", 0, 0, 0, softplus, sigmoid, NULL, NULL},
    {"selu", "SELU", 0, 0, 0, selu, selu_slope, kink_at_zero, NULL},
};
#define ROWS (sizeof rows / sizeof *rows)

bool ola_function_find(ola_function *f, const char *name)
{
    if (strcmp(name, "relu6") == 0) {
        if (!ola_function_find(f, "clip")) return false;
        f->b = 6;
        return true;
    }
    for (size_t k = 0; k < ROWS; k++)
        if (k != OLA_TABLE && strcmp(name, rows[k].name) == 0) {
            *f = (ola_function){.kind = (ola_function_kind)k, .a = rows[k].a, .b = rows[k].b};
            return true;
        }
    return false;
}

const char *ola_function_list(size_t i)
{
    if (i >= OLA_TABLE) i++;
    return i < ROWS ? rows[i].name : i == ROWS ? "relu6" : NULL;
}

const char *ola_function_name(const ola_function *f)
{
    return rows[f->kind].name;
}

const char *ola_function_title(const ola_function *f)
{
    return rows[f->kind].title;
}

size_t ola_function_parameters(const ola_function *f)
{
    return rows[f->kind].parameters;
}

fhola_status ola_function_check(const ola_function *f)
{
    if ((size_t)f->kind >= ROWS)
        return fhola_fail(FHOLA_PARAM, "unknown function kind %d", (int)f->kind);
    const struct function_row *row = &rows[f->kind];
    if ((row->parameters > 0 && !isfinite(f->a)) || (row->parameters > 1 && !isfinite(f->b)))
        return fhola_fail(FHOLA_PARAM, "%s: its parameters %g, %g must be finite", row->name, f->a,
                          f->b);
    return row->check ? row->check(f) : FHOLA_OK;
}

double ola_function_eval(const ola_function *f, double x)
{
    return (size_t)f->kind < ROWS ? rows[f->kind].eval(f, x) : NAN;
}

double ola_function_slope(const ola_function *f, double x)
{
    return (size_t)f->kind < ROWS ? rows[f->kind].slope(f, x) : NAN;
}

bool ola_function_kinks(const ola_function *f, double *kinks, size_t *count)
{
    *count = rows[f->kind].kinks ? rows[f->kind].kinks(f, kinks) : 0;
    return rows[f->kind].kinks != NULL;
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
