/* SPDX-License-Identifier: Apache-2.0 */
/* From a problem's weights to points. A density becomes Gauss-Legendre nodes on panels that end
 * where the function bends, fine enough to integrate products of two polynomials of the highest
 * degree. */
#include "ola/quadrature.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "ola/function.h"

#define PI 3.14159265358979323846
#define MAX_NODES                                                                                  \
    64u /* Gauss-Legendre nodes in a panel: exact for products of two polynomials of degree 63 */
#define NORMAL_REACH                                                                               \
    20 /* deviations where a normal density ends: x^126 times it is 2^-92 of its peak there */
/* a bin's mean may pass the interval's end by this share of the half width through rounding */
#define EDGE_TOLERANCE 1e-12

/* Distances from 0 at which curved functions such as GELU become straight. */
static const double smooth_breaks[] = {-16, -8, -4, -2, 0, 2, 4, 8, 16};

size_t ola_function_breaks(const ola_function *f, double lo, double hi, double *breaks)
{
    double kinks[OLA_MAX_KINKS];
    const double *candidates = kinks;
    size_t candidate_count, count = 0, inside = 0;
    if (f->kind == OLA_TABLE) {
        candidates = f->x;
        candidate_count = f->count;
    } else if (!ola_function_kinks(f, kinks, &candidate_count)) {
        candidates = smooth_breaks;
        candidate_count = sizeof smooth_breaks / sizeof *smooth_breaks;
    }
    for (size_t i = 0; i < candidate_count; i++) inside += candidates[i] > lo && candidates[i] < hi;
    for (size_t i = 0; i < candidate_count && inside <= OLA_MAX_BREAKS; i++)
        if (candidates[i] > lo && candidates[i] < hi) breaks[count++] = candidates[i];
    /* A table this fine is as good as smooth: evenly spaced breaks do. */
    for (size_t i = 1; i <= OLA_MAX_BREAKS && inside > OLA_MAX_BREAKS; i++)
        breaks[count++] = lo + (hi - lo) * (double)i / (double)(OLA_MAX_BREAKS + 1);
    return count;
}

static fhola_status check_weight(const ola_problem *p)
{
    switch (p->weight) {
    case OLA_WEIGHT_NORMAL:
        if (!isfinite(p->mean) || !(p->deviation > 0) || !isfinite(p->deviation))
            return fhola_fail(FHOLA_PARAM, "no normal density has mean %g and deviation %g",
                              p->mean, p->deviation);
        if (p->conditional)
            return fhola_fail(FHOLA_PARAM,
                              "conditional targets need a histogram, not a normal density");
        return FHOLA_OK;
    case OLA_WEIGHT_GUARDED:
        if (!(p->guard > 0) || !isfinite(p->guard))
            return fhola_fail(FHOLA_PARAM, "guard mass %g is not a positive number", p->guard);
        break;
    case OLA_WEIGHT_EMPIRICAL: break;
    default: return fhola_fail(FHOLA_PARAM, "unknown kind of weight %d", (int)p->weight);
    }
    if (p->histogram == NULL)
        return fhola_fail(FHOLA_PARAM, "an empirical weight needs a histogram");
    if (p->conditional && p->histogram->sum_target == NULL)
        return fhola_fail(FHOLA_PARAM, "conditional targets need a histogram that keeps targets");
    return FHOLA_OK;
}

fhola_status ola_problem_check(const ola_problem *p)
{
    fhola_status status = ola_function_check(&p->function);
    if (status != FHOLA_OK) return status;
    if (!isfinite(p->interval.centre) || !(p->interval.half_width > 0) ||
        !isfinite(p->interval.half_width))
        return fhola_fail(FHOLA_PARAM, "no interval has centre %g and half width %g",
                          p->interval.centre, p->interval.half_width);
    if (!(p->eps >= 0 && p->eps <= 0.25))
        return fhola_fail(FHOLA_PARAM, "eps %g is outside of [0, 1/4]", p->eps);
    return check_weight(p);
}

double ola_problem_target(const ola_problem *p, double X)
{
    return ola_function_eval(&p->function,
                             p->interval.centre +
                                 p->interval.half_width * ola_variable_inverse(p->eps, X));
}

/* Legendre polynomial P_n and its derivative at x. */
static void legendre(unsigned n, double x, double *value, double *derivative)
{
    double previous = 1, current = x;
    for (unsigned k = 2; k <= n; k++) {
        double next = ((2 * k - 1) * x * current - (k - 1) * previous) / k;
        previous = current;
        current = next;
    }
    *value = current;
    *derivative = n * (previous - x * current) / (1 - x * x);
}

/* Nodes and weights of n-point Gauss-Legendre quadrature on [-1, 1], n >= 2. */
static void gauss_legendre(unsigned n, double *node, double *weight)
{
    for (unsigned i = 0; i < n; i++) {
        double x = -cos(PI * (i + 0.75) / (n + 0.5)), value = 0, derivative = 1;
        for (int step = 0; step < 6; step++) {
            legendre(n, x, &value, &derivative);
            x -= value / derivative;
        }
        legendre(n, x, &value, &derivative);
        node[i] = x;
        weight[i] = 2 / ((1 - x * x) * derivative * derivative);
    }
}

/* Enough nodes for a product of two polynomials of degree 63 in X on the panel [a, b] of w, found
 * from the number of waves of T_126. */
static unsigned panel_nodes(double eps, double a, double b)
{
    double angle = acos(fmax(ola_variable(eps, a), -1)) - acos(fmin(ola_variable(eps, b), 1));
    return (unsigned)fmin(MAX_NODES, 12 + ceil(32 * angle));
}

typedef double (*density_function)(const ola_problem *problem, double x);

static double uniform_density(const ola_problem *p, double x)
{
    (void)x;
    return p->guard / 2; /* per unit of w */
}

static double normal_density(const ola_problem *p, double x)
{
    double distance = (x - p->mean) / p->deviation;
    return exp(-0.5 * distance * distance) * (p->interval.half_width / p->deviation) / sqrt(2 * PI);
}

/* Appends the nodes of a density per unit of w over the panels between `cuts` (values of w,
 * rising). */
static void add_density(ola_points *points, const ola_problem *p, density_function density,
                        const double *cuts, size_t cut_count)
{
    double node[MAX_NODES], weight[MAX_NODES];
    for (size_t k = 0; k + 1 < cut_count; k++) {
        double middle = (cuts[k] + cuts[k + 1]) / 2, half = (cuts[k + 1] - cuts[k]) / 2;
        unsigned n = panel_nodes(p->eps, cuts[k], cuts[k + 1]);
        gauss_legendre(n, node, weight);
        for (unsigned i = 0; i < n; i++) {
            double w = middle + half * node[i], x = p->interval.centre + p->interval.half_width * w;
            points->X[points->count] = ola_variable(p->eps, w);
            points->weight[points->count] = weight[i] * half * density(p, x);
            points->target[points->count] = ola_function_eval(&p->function, x);
            points->count++;
        }
    }
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void ola_sort(double *value, size_t count)
{
    qsort(value, count, sizeof *value, compare_doubles);
}

/* Panel ends in w: -1, 1, the function's breaks, and for a normal density every deviation from its
 * mean within its reach. */
#define MAX_CUTS (OLA_MAX_BREAKS + 2u * NORMAL_REACH + 3u)
static size_t panel_cuts(const ola_problem *p, bool normal, double *cuts)
{
    double centre = p->interval.centre, half_width = p->interval.half_width, from = -1, to = 1;
    if (normal) {
        from = fmax(from, (p->mean - NORMAL_REACH * p->deviation - centre) / half_width);
        to = fmin(to, (p->mean + NORMAL_REACH * p->deviation - centre) / half_width);
        if (from >= to) return 0;
    }
    size_t count = ola_function_breaks(&p->function, centre + half_width * from,
                                       centre + half_width * to, cuts);
    for (size_t i = 0; i < count; i++) cuts[i] = (cuts[i] - centre) / half_width;
    for (int k = -NORMAL_REACH; normal && k <= NORMAL_REACH; k++)
        cuts[count++] = (p->mean + k * p->deviation - centre) / half_width;
    cuts[count++] = from;
    cuts[count++] = to;
    ola_sort(cuts, count);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (cuts[i] >= from && cuts[i] <= to && (kept == 0 || cuts[i] > cuts[kept - 1]))
            cuts[kept++] = cuts[i];
    return kept;
}

/* Divides the data's weights by their sum. */
static fhola_status normalise_data(ola_points *points, const ola_problem *p, double total)
{
    double inside = 0;
    for (size_t i = 0; i < points->data; i++) inside += points->weight[i];
    if (!(inside >= DBL_MIN))
        return fhola_fail(FHOLA_RANGE, "no weight in the interval [%g, %g]",
                          p->interval.centre - p->interval.half_width,
                          p->interval.centre + p->interval.half_width);
    for (size_t i = 0; i < points->data; i++) points->weight[i] /= inside;
    points->outside = fmax(0, 1 - inside / total);
    return FHOLA_OK;
}

static fhola_status add_histogram(ola_points *points, const ola_problem *p)
{
    const ola_histogram *h = p->histogram;
    for (size_t k = 0; k < h->bins; k++) {
        double weight = h->weight[k];
        if (weight == 0) continue;
        double x = h->sum_x[k] / weight, w = (x - p->interval.centre) / p->interval.half_width;
        double target =
            p->conditional ? h->sum_target[k] / weight : ola_function_eval(&p->function, x);
        if (!(weight > 0) || !isfinite(weight) || !isfinite(w) || !isfinite(target))
            return fhola_fail(FHOLA_RANGE,
                              "bin %zu of the histogram holds weight %g, mean %g, target %g", k,
                              weight, x, target);
        if (fabs(w) > 1 + EDGE_TOLERANCE) continue;
        points->X[points->count] = ola_variable(p->eps, fmin(fmax(w, -1), 1));
        points->weight[points->count] = weight;
        points->target[points->count] = target;
        points->count++;
    }
    return FHOLA_OK;
}

static fhola_status allocate(ola_points *points, size_t capacity)
{
    points->X = malloc(capacity * sizeof *points->X);
    points->weight = malloc(capacity * sizeof *points->weight);
    points->target = malloc(capacity * sizeof *points->target);
    if (points->X == NULL || points->weight == NULL || points->target == NULL)
        return fhola_fail(FHOLA_NOMEM, "no memory for %zu points", capacity);
    return FHOLA_OK;
}

static fhola_status fill(ola_points *points, const ola_problem *p)
{
    double cuts[MAX_CUTS], total = 1;
    bool normal = p->weight == OLA_WEIGHT_NORMAL;
    size_t cut_count = panel_cuts(p, normal, cuts), density_nodes = cut_count * MAX_NODES;
    fhola_status status = allocate(points, (normal ? 0 : p->histogram->bins) + density_nodes + 1);
    if (status != FHOLA_OK) return status;

    if (normal) {
        add_density(points, p, normal_density, cuts, cut_count);
    } else {
        total = p->histogram->total;
        if (!(total > 0))
            return fhola_fail(FHOLA_RANGE, "the histogram over [%g, %g) is empty", p->histogram->lo,
                              p->histogram->hi);
        status = add_histogram(points, p);
        if (status != FHOLA_OK) return status;
    }
    points->data = points->count;
    status = normalise_data(points, p, total);
    if (status == FHOLA_OK && p->weight == OLA_WEIGHT_GUARDED)
        add_density(points, p, uniform_density, cuts, cut_count);
    return status;
}

fhola_status ola_points_create(ola_points *points, const ola_problem *problem)
{
    ola_points fresh = {.count = 0};
    fhola_status status = ola_problem_check(problem);
    if (status == FHOLA_OK) status = fill(&fresh, problem);
    if (status != FHOLA_OK) {
        ola_points_destroy(&fresh);
        return status;
    }
    *points = fresh;
    return FHOLA_OK;
}

void ola_points_destroy(ola_points *points)
{
    free(points->X);
    free(points->weight);
    free(points->target);
    *points = (ola_points){.count = 0};
}
