/* SPDX-License-Identifier: Apache-2.0 */
/* Optimized layerwise approximation: polynomials for activation functions, fitted to the inputs a
 * layer really sees, and the choice of one degree per layer. Knows nothing of ciphertexts or
 * networks; needs only the C library.
 *
 * Method: J. Lee, J.-W. Lee, E. Lee, Y.-S. Kim, Y. Lee, Y. Kim, J.-S. No, "Optimized layerwise
 * approximation for efficient private inference on fully homomorphic encryption", Neurocomputing
 * 695 (2026), arXiv 2310.10349.
 *
 * Typical use, per channel or per layer:
 *     ola_histogram_init, ola_histogram_add_floats ...   what comes in, and what should go out
 *     ola_select_intervals                               where the polynomial must be trusted
 *     ola_fit_all                                        coefficients and errors of every degree
 * then over all layers:
 *     ola_frontier_create, ola_frontier_within_budget    degrees per layer
 *
 * Every function may be called from several threads at once, as long as no two of them write the
 * same object. Results do not depend on anything but the arguments. On error outputs are unchanged
 * unless stated otherwise. */
#ifndef OLA_OLA_H
#define OLA_OLA_H

#include <stdbool.h>
#include <stddef.h>

#include "status.h"

#ifdef __cplusplus
extern "C" {
#endif

#define OLA_MAX_DEGREE    63u  /* of every polynomial in this library */
#define OLA_DEFAULT_GUARD 1e-4 /* ola_problem.guard that keeps outliers from exploding */
#define OLA_MAX_STAGES    8u   /* polynomials in a composition */

/* ---- functions ---- */

/* The kinds that have a name in C; more may have one only in text (ola_function_find). */
typedef enum ola_function_kind {
    OLA_RELU = 0, /* max(x, 0) */
    /* x Phi(x), Phi the standard normal distribution function (the exact form, not its tanh
     * approximation) */
    OLA_GELU = 1,
    OLA_SILU = 2, /* x / (1 + exp(-x)) */
    /* piecewise linear through given points, the first and last segment continued beyond them */
    OLA_TABLE = 3,
    OLA_IDENTITY = 4, /* x */
    OLA_ABS = 5       /* |x| */
} ola_function_kind;

/* An activation function. `count`, `x`, `y` are for OLA_TABLE only: count >= 2 finite points with
 * strictly increasing x. The arrays are borrowed and must outlive the value. `a` and `b` are the
 * parameters of kinds that have any. */
typedef struct ola_function {
    ola_function_kind kind;
    size_t count;
    const double *x, *y;
    double a, b;
} ola_function;

/* The function of that name, with the usual parameters; false if there is none. Names:
 *     relu; leaky_relu: a x below 0 (a = 0.01); clip: x between a and b (0, 1); relu6: clip (0, 6);
 *     gelu; gelu_tanh: its approximation by a hyperbolic tangent; silu; hard_swish: x times
 *     hard_sigmoid (1/6, 1/2); hard_sigmoid: a x + b between 0 and 1 (1/6, 1/2); sigmoid; tanh;
 *     elu: a (exp(x) - 1) below 0 (a = 1); selu: elu with a = 1.6733, times 1.0507; softplus:
 *     log(1 + exp(x)); abs; identity.
 * A table has no name to find it by. */
bool ola_function_find(ola_function *f, const char *name);
/* The i-th of these names, NULL past the end. */
const char *ola_function_list(size_t i);

/* Name and number of parameters of a kind (of clip for relu6); "table" for OLA_TABLE. `f` must pass
 * ola_function_check. */
const char *ola_function_name(const ola_function *f);
/* 0 to 2 */
size_t ola_function_parameters(const ola_function *f);
/* As it is written in headings: "ReLU". */
const char *ola_function_title(const ola_function *f);

/* PARAM unless `f` is as described above. */
FHOLA_WARN_UNUSED fhola_status ola_function_check(const ola_function *f);

/* f(x). `f` must pass ola_function_check. */
double ola_function_eval(const ola_function *f, double x);

/* The slope of f at x; where f has a kink, that on its left. `f` must pass ola_function_check. */
double ola_function_slope(const ola_function *f, double x);

/* ---- interval and variable ---- */

/* The interval [centre - half_width, centre + half_width] on which a polynomial is used; half_width
 * > 0. */
typedef struct ola_interval {
    double centre, half_width;
} ola_interval;

/* How observed ranges become intervals. */
typedef struct ola_interval_rule {
    double margin; /* >= 1: half width over half of the observed range */
    /* in [0, 1]: no half width below this share of the largest observed half range among the
     * channels */
    double floor;
    bool symmetric; /* centre at 0 (and the observed range taken as +-max |x|) */
} ola_interval_rule;

/* Intervals of a layer's channels from the smallest and largest value observed in each (arrays of
 * `channels`): half_width = max(margin * half range, floor * largest half range). PARAM for a rule
 * outside its ranges, channels = 0, min > max; RANGE for a value that is not finite, and for a
 * constant channel that no floor widens (the message names the channel). */
FHOLA_WARN_UNUSED fhola_status ola_select_intervals(ola_interval *intervals, const double *min,
                                                    const double *max, size_t channels,
                                                    const ola_interval_rule *rule);

/* The bootstrap applies a sine instead of the identity, so polynomials are taken in X = sin(2 pi
 * eps w) / sin(2 pi eps) with w = (x - centre) / half_width; eps = 0 means X = w. Valid eps: [0,
 * 1/4]; X is monotone for |w| <= 1/(4 eps). */
double ola_variable(double eps, double w);

/* The w in [-1, 1] of an X in [-1, 1] (clamped to it). */
double ola_variable_inverse(double eps, double X);

/* ---- histograms ---- */

enum {
    /* keep the sum of a target per bin, for conditional targets E[target | x] */
    OLA_HISTOGRAM_TARGETS = 1,
    /* double the range (halving its resolution) whenever a sample falls outside; needs even
     * `bins` */
    OLA_HISTOGRAM_GROW = 2
};

/* Uniformly binned samples over [lo, hi). Each bin keeps the mean of its samples, so binning costs
 * no bias. Readable by everyone (e.g. to draw or to store it); to be written by the functions below
 * only, or by code restoring a stored histogram. */
typedef struct ola_histogram {
    double lo, hi;
    size_t bins;
    bool grow;
    double *weight; /* bins: total weight of the bin's samples */
    double *sum_x;  /* bins: weighted sum of the bin's samples */
    /* bins: weighted sum of their targets; NULL without OLA_HISTOGRAM_TARGETS */
    double *sum_target;
    double total; /* weight of all samples, those outside [lo, hi) included */
    /* weight of the samples under lo, and of those from hi on; 0 when growing */
    double below, above;
    double min, max; /* extremes of all samples; +inf, -inf while empty */
    /* weighted mean and sum of weighted squared distances from it, of all samples */
    double mean, m2;
} ola_histogram;

/* An empty histogram. PARAM unless lo < hi are finite with a finite difference and 1 <= bins <=
 * 2^24, even if growing. The caller releases it with ola_histogram_clear (also allowed on an
 * all-zero struct, and on NULL). */
FHOLA_WARN_UNUSED fhola_status ola_histogram_init(ola_histogram *h, double lo, double hi,
                                                  size_t bins, unsigned flags);
/* Releases the bins. */
void ola_histogram_clear(ola_histogram *h);

/* Forgets all samples; range and bins stay. */
void ola_histogram_reset(ola_histogram *h);

/* Adds one sample. `target` is ignored without OLA_HISTOGRAM_TARGETS. RANGE, with the histogram
 * unchanged, if a value is not finite (or beyond 1e300) or weight < 0. */
FHOLA_WARN_UNUSED fhola_status ola_histogram_add(ola_histogram *h, double x, double target,
                                                 double weight);

/* The smallest and the largest of `count` >= 1 values that are no NaN. */
void ola_extremes(float *min, float *max, const float *values, size_t count);

/* Adds `count` samples of weight 1; `target` (count values) must be given exactly if the histogram
 * keeps targets. RANGE, with the histogram unchanged and the position named, if any value is not
 * finite. */
FHOLA_WARN_UNUSED fhola_status ola_histogram_add_floats(ola_histogram *h, const float *x,
                                                        const float *target, size_t count);

/* Adds all samples of `other`, which must have the same lo, hi and bins (then the merge is exact)
 * or be merged into a growing `h` or one that covers it: then each of its bins moves as one sample
 * at the bin's mean. Both or neither keep targets, else PARAM; PARAM also if other's samples would
 * fall outside of an `h` that does not grow. */
FHOLA_WARN_UNUSED fhola_status ola_histogram_merge(ola_histogram *h, const ola_histogram *other);

/* Standard deviation of all samples, 0 if there are none. */
double ola_histogram_deviation(const ola_histogram *h);

/* Smallest and largest sample. RANGE if there is none. */
FHOLA_WARN_UNUSED fhola_status ola_histogram_support(const ola_histogram *h, double *min,
                                                     double *max);

/* ---- weighted least squares ---- */

typedef enum ola_weight {
    /* normal density of `mean` and `deviation`, cut to the interval: the paper's choice */
    OLA_WEIGHT_NORMAL = 0,
    OLA_WEIGHT_EMPIRICAL = 1, /* the histogram alone */
    OLA_WEIGHT_GUARDED =
        2 /* the histogram (mass 1) plus `guard` spread uniformly over the interval */
} ola_weight;

/* What is to be approximated, where, and what counts. */
typedef struct ola_problem {
    ola_function function;
    ola_interval interval;
    double eps; /* of the sine, [0, 1/4] */
    ola_weight weight;
    /* borrowed; for OLA_WEIGHT_EMPIRICAL and OLA_WEIGHT_GUARDED */
    const ola_histogram *histogram;
    /* on the histogram aim at its mean targets instead of f (the guard still aims at f) */
    bool conditional;
    /* mass of the guard, > 0 (usually OLA_DEFAULT_GUARD); for OLA_WEIGHT_GUARDED */
    double guard;
    double mean, deviation; /* for OLA_WEIGHT_NORMAL, deviation > 0 */
} ola_problem;

/* A polynomial sum coeff[k] T_k(X) and how good it is. All errors are in units of f. */
typedef struct ola_fit_result {
    unsigned degree;
    double coeff[OLA_MAX_DEGREE + 1]; /* Chebyshev basis in X; zero above `degree` */
    /* root mean square error under the data's weight, without the guard: E(d) = rms^2 */
    double rms;
    /* largest |p - f| on the interval (against f, also for conditional targets) */
    double max_error;
    /* share of the weight that lies outside of the interval and was left out */
    double outside;
    /* ratio in the triangular factor's diagonal: how well the data determine the fit */
    double condition;
} ola_fit_result;

/* The polynomial of degree <= `degree` (0..63) that minimises the weighted mean square error.
 * Householder QR of the weighted Chebyshev-Vandermonde matrix; where the data leave a direction
 * undetermined to working precision, the smallest coefficients. PARAM for a problem outside the
 * stated ranges; RANGE for a histogram that is empty, has no sample inside of the interval, or (no
 * guard) has fewer occupied bins than coefficients, and for coefficients that overflow. */
FHOLA_WARN_UNUSED fhola_status ola_fit(ola_fit_result *result, const ola_problem *problem,
                                       unsigned degree);

/* results[d] = the fit of degree d for every d = 0..max_degree (max_degree + 1 entries), from one
 * factorisation. Same errors. */
FHOLA_WARN_UNUSED fhola_status ola_fit_all(ola_fit_result *results, const ola_problem *problem,
                                           unsigned max_degree);

/* Errors (rms, max_error, outside; condition = 0) of any polynomial, such as a minimax one, under
 * the problem's weights. Sets degree and coeff as well. */
FHOLA_WARN_UNUSED fhola_status ola_measure(ola_fit_result *result, const ola_problem *problem,
                                           const double *coeff, unsigned degree);

/* ---- minimax ---- */

/* The polynomial of degree <= `degree` with the smallest max_error for the problem's function,
 * interval and eps (weights are used only for result->rms, so the problem must be complete). Remez
 * exchange. RANGE if it does not converge. */
FHOLA_WARN_UNUSED fhola_status ola_minimax(ola_fit_result *result, const ola_problem *problem,
                                           unsigned degree);

/* The odd polynomial of odd `degree` (1..63) closest to sign(x) on [-1, -delta] u [delta, 1], 0 <
 * delta < 1: degree + 1 coefficients of T_k(x), and its largest error there. */
FHOLA_WARN_UNUSED fhola_status ola_minimax_sign(double *coeff, double *error, unsigned degree,
                                                double delta);

/* A composition p_(count-1)( ... p_0(x)) close to sign(x) for delta <= |x| <= 1. Every stage maps
 * [-1, 1] into [-1, 1], the last one into [-1 - error, 1 + error]. */
typedef struct ola_composite {
    unsigned count;
    unsigned degree[OLA_MAX_STAGES];
    double coeff[OLA_MAX_STAGES][OLA_MAX_DEGREE + 1]; /* of T_k in the stage's own input */
    double delta;
    double error;      /* largest |composition - sign| on delta <= |x| <= 1 */
    double relu_error; /* largest |ola_composite_relu(x) - max(x, 0)| on [-1, 1] */
} ola_composite;

/* Minimax composition of `count` (1..8) odd degrees for a given delta. E. Lee, J.-W. Lee, J.-S. No,
 * Y.-S. Kim, "Minimax approximation of sign function by composite polynomial for homomorphic
 * comparison", IEEE TDSC 2022 (ePrint 2020/834). */
FHOLA_WARN_UNUSED fhola_status ola_composite_sign(ola_composite *c, const unsigned *degree,
                                                  unsigned count, double delta);

/* Composition for ReLU of precision alpha, |relu error| <= 2^-alpha on [-1, 1], with delta chosen
 * to make the ReLU error smallest. Method: J. Lee et al., "Precise approximation of convolutional
 * neural networks for homomorphically encrypted data", arXiv 2105.10879; its authors' encrypted
 * ResNets use {15, 15, 27} at alpha = 13. RANGE, naming what they reach, if the degrees do not
 * suffice. */
FHOLA_WARN_UNUSED fhola_status ola_composite_relu(ola_composite *c, const unsigned *degree,
                                                  unsigned count, double alpha);

/* The composition at x in [-1, 1], and (x + x * composition) / 2. */
double ola_composite_eval_sign(const ola_composite *c, double x);
/* (x + x * composition) / 2 */
double ola_composite_eval_relu(const ola_composite *c, double x);

/* ---- evaluation ---- */

/* sum_(k <= degree) coeff[k] T_k(x), by Clenshaw's recurrence. */
double ola_chebyshev_eval(const double *coeff, unsigned degree, double x);

/* y[i] = sum_k coeff[k] T_k(X(x[i])) in single precision, the plaintext twin of an encrypted
 * activation; X as in ola_variable, for any w. degree <= 63; x and y identical or disjoint. If
 * max_w is not NULL it is raised to the largest |w| seen (untouched by NaN). */
void ola_activation_eval(float *y, const float *x, size_t count, const double *coeff,
                         unsigned degree, const ola_interval *interval, double eps, float *max_w);

/* Multiplicative depth of a polynomial: ceil(log2(degree + 1)). */
unsigned ola_depth(unsigned degree);

/* ---- schedules ---- */

/* One way to run a layer. Costs are >= 0 and finite (levels, seconds, ...), losses finite. */
typedef struct ola_option {
    unsigned degree;
    double cost, loss;
} ola_option;

/* The options of one layer, at least one, at most 65535. Borrowed. */
typedef struct ola_layer {
    const ola_option *options;
    size_t count;
} ola_layer;

/* All best trade-offs between total cost and total loss: for no point is there a schedule of the
 * same or smaller discretised cost and smaller loss. Exact dynamic programming over costs rounded
 * up to multiples of `resolution` (so a budget always holds; nothing is lost if all costs are
 * multiples of it). Time proportional to (max_budget / resolution) x (sum of counts). */
typedef struct ola_frontier ola_frontier;

/* Frontier up to the total cost `max_budget` (INFINITY: up to the most expensive schedule). PARAM
 * if an argument is outside of its range, the budget is below the cheapest schedule (the message
 * states both) or the table would exceed 2^28 cells. */
FHOLA_WARN_UNUSED fhola_status ola_frontier_create(ola_frontier **frontier, const ola_layer *layers,
                                                   size_t count, double max_budget,
                                                   double resolution);
void ola_frontier_destroy(ola_frontier *frontier); /* NULL: does nothing */

/* Number of points, at least 1; cost strictly rises and loss strictly falls from point to point. */
size_t ola_frontier_count(const ola_frontier *frontier);

/* A schedule: total cost (as given, not rounded) and total loss. */
typedef struct ola_schedule {
    double cost, loss;
} ola_schedule;

/* Point `index` and, if `choice` is not NULL, the index of the chosen option of each layer. PARAM
 * if there is no such point. */
FHOLA_WARN_UNUSED fhola_status ola_frontier_point(const ola_frontier *frontier, size_t index,
                                                  ola_schedule *schedule, size_t *choice);

/* Index of the point of the smallest loss whose cost is within `budget`; of the smallest cost whose
 * loss is within `max_loss`. PARAM, with the nearest possible value in the message, if there is
 * none. */
FHOLA_WARN_UNUSED fhola_status ola_frontier_within_budget(const ola_frontier *frontier,
                                                          double budget, size_t *index);
/* The same for a loss. */
FHOLA_WARN_UNUSED fhola_status ola_frontier_within_loss(const ola_frontier *frontier,
                                                        double max_loss, size_t *index);

/* Three ways to one schedule within a budget; `choice` gets one option index per layer.
 * ola_schedule_dp is the frontier's best point; ola_schedule_greedy starts from the cheapest
 * options and takes the step of steepest loss decrease per cost while one fits;
 * ola_schedule_uniform gives every layer the same degree, one that all layers offer. PARAM if
 * nothing fits the budget. */
FHOLA_WARN_UNUSED fhola_status ola_schedule_dp(size_t *choice, ola_schedule *schedule,
                                               const ola_layer *layers, size_t count, double budget,
                                               double resolution);
/* See ola_schedule_dp. */
FHOLA_WARN_UNUSED fhola_status ola_schedule_greedy(size_t *choice, ola_schedule *schedule,
                                                   const ola_layer *layers, size_t count,
                                                   double budget);
/* See ola_schedule_dp. */
FHOLA_WARN_UNUSED fhola_status ola_schedule_uniform(size_t *choice, ola_schedule *schedule,
                                                    const ola_layer *layers, size_t count,
                                                    double budget);

#ifdef __cplusplus
}
#endif
#endif
