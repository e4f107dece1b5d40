/* SPDX-License-Identifier: Apache-2.0 */
/* Weighted least squares in the Chebyshev basis: Householder QR of the matrix sqrt(weight_i)
 * T_k(X_i), in long double. Columns are in order of degree, so the leading k x k block of R solves
 * the problem of degree k - 1. Below the points, one row per coefficient holds RIDGE times that
 * coefficient: it decides only what the data leave open to working precision (e.g. T_63 where all
 * data lie in the middle third of the interval), in favour of the smallest coefficients. */
#include "ola/measure.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* 2^-46: coefficients up to 2^46 times the error, whose rounding then matches the error */
#define RIDGE       1.4210854715202004e-14L
#define MAX_COLUMNS (OLA_MAX_DEGREE + 1u)
/* columns reflected together: their sums wait for each other's additions, not for their own; as
 * many as the stack of the x87 holds */
#define TOGETHER 4u

typedef struct least_squares {
    size_t rows;
    unsigned columns;
    /* column after column, `rows` each, the last one the right-hand side; R in its upper triangle
     * and Q^T rhs after factorise() */
    long double *matrix;
    long double *rhs;
    long double diagonal[MAX_COLUMNS];
} least_squares;

static fhola_status build(least_squares *s, const ola_points *points, unsigned degree)
{
    s->columns = degree + 1;
    s->rows = points->count + s->columns;
    s->matrix = calloc(s->rows * (s->columns + 1u), sizeof *s->matrix);
    if (s->matrix == NULL)
        return fhola_fail(FHOLA_NOMEM,
                          "no memory for a least-squares problem of %zu rows, %u columns", s->rows,
                          s->columns);
    s->rhs = s->matrix + s->rows * s->columns;
    for (size_t i = 0; i < points->count; i++) {
        long double root = sqrtl((long double)points->weight[i]), X = (long double)points->X[i];
        long double previous = root * X, current = root; /* T_(-1) = T_1 */
        for (unsigned k = 0; k < s->columns; k++) {
            s->matrix[k * s->rows + i] = current;
            long double next = 2 * X * current - previous;
            previous = current;
            current = next;
        }
        s->rhs[i] = root * (long double)points->target[i];
    }
    for (unsigned k = 0; k < s->columns; k++) s->matrix[k * s->rows + points->count + k] = RIDGE;
    return FHOLA_OK;
}

static long double dot(const long double *a, const long double *b, size_t n)
{
    long double sum = 0;
    for (size_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

/* Reflects a vector: x -= scale (v.x) v. */
static void reflect(long double *x, const long double *v, size_t n, long double scale)
{
    long double factor = scale * dot(v, x, n);
    for (size_t i = 0; i < n; i++) x[i] -= factor * v[i];
}

/* The same for TOGETHER vectors, `stride` apart: the same sums in the same order. */
static void reflect_together(long double *x, size_t stride, const long double *v, size_t n,
                             long double scale)
{
    long double sum[TOGETHER] = {0};
    for (size_t i = 0; i < n; i++)
        for (unsigned c = 0; c < TOGETHER; c++) sum[c] += v[i] * x[c * stride + i];
    for (unsigned c = 0; c < TOGETHER; c++) {
        long double factor = scale * sum[c];
        for (size_t i = 0; i < n; i++) x[c * stride + i] -= factor * v[i];
    }
}

/* QR factorisation. No column can vanish, because of its ridge row. */
static void factorise(least_squares *s)
{
    for (unsigned k = 0; k < s->columns; k++) {
        size_t n = s->rows - k;
        long double *v = s->matrix + k * s->rows + k;
        long double norm = sqrtl(dot(v, v, n)), pivot = v[0] > 0 ? -norm : norm;
        long double scale = 1 / (norm * (norm + fabsl(v[0])));
        v[0] -= pivot;
        unsigned j = k + 1;
        for (; j + TOGETHER <= s->columns + 1; j += TOGETHER)
            reflect_together(s->matrix + j * s->rows + k, s->rows, v, n, scale);
        for (; j < s->columns + 1; j++) reflect(s->matrix + j * s->rows + k, v, n, scale);
        s->diagonal[k] = pivot;
    }
}

/* Coefficients of the best polynomial of a degree below s->columns; false if they overflow. */
static bool solve(const least_squares *s, unsigned degree, double *coeff)
{
    long double x[MAX_COLUMNS];
    for (unsigned k = degree + 1; k-- > 0;) {
        long double sum = s->rhs[k];
        for (unsigned j = k + 1; j <= degree; j++) sum -= s->matrix[j * s->rows + k] * x[j];
        x[k] = sum / s->diagonal[k];
        coeff[k] = (double)x[k];
        if (!isfinite(coeff[k])) return false;
    }
    return true;
}

static double condition(const least_squares *s, unsigned degree)
{
    long double smallest = fabsl(s->diagonal[0]), largest = smallest;
    for (unsigned k = 1; k <= degree; k++) {
        smallest = fminl(smallest, fabsl(s->diagonal[k]));
        largest = fmaxl(largest, fabsl(s->diagonal[k]));
    }
    return (double)(largest / smallest);
}

/* The fits of degrees from..to, from one factorisation. */
static fhola_status solve_degrees(ola_fit_result *results, const ola_problem *problem,
                                  const ola_points *points, unsigned from, unsigned to)
{
    least_squares s = {.rows = 0};
    fhola_status status = build(&s, points, to);
    if (status == FHOLA_OK) {
        factorise(&s);
        ola_grid grid;
        ola_grid_fill(&grid, problem);
        for (unsigned degree = from; degree <= to && status == FHOLA_OK; degree++) {
            ola_fit_result *r = &results[degree - from];
            *r = (ola_fit_result){
                .degree = degree, .outside = points->outside, .condition = condition(&s, degree)};
            if (!solve(&s, degree, r->coeff)) {
                status = fhola_fail(FHOLA_RANGE, "the coefficients of degree %u overflow", degree);
                break;
            }
            r->rms = ola_points_rms(points, r->coeff, degree);
            r->max_error = ola_grid_error(&grid, problem, r->coeff, degree);
        }
    }
    free(s.matrix);
    return status;
}

static fhola_status fit_range(ola_fit_result *results, const ola_problem *problem, unsigned from,
                              unsigned to)
{
    if (to > OLA_MAX_DEGREE)
        return fhola_fail(FHOLA_PARAM, "degree %u is above %u", to, OLA_MAX_DEGREE);
    ola_points points;
    fhola_status status = ola_points_create(&points, problem);
    if (status != FHOLA_OK) return status;
    ola_fit_result *fresh = NULL;
    size_t count = to - from + 1u;
    if (problem->weight == OLA_WEIGHT_EMPIRICAL && points.count < to + 1u) {
        status = fhola_fail(
            FHOLA_RANGE,
            "%zu occupied bins do not determine the %u coefficients of degree %u (a guard would)",
            points.count, to + 1, to);
    } else {
        fresh = malloc(count * sizeof *fresh);
        status = fresh != NULL ? solve_degrees(fresh, problem, &points, from, to)
                               : fhola_fail(FHOLA_NOMEM, "no memory for %zu fits", count);
    }
    if (status == FHOLA_OK) memcpy(results, fresh, count * sizeof *fresh);
    free(fresh);
    ola_points_destroy(&points);
    return status;
}

fhola_status ola_fit(ola_fit_result *result, const ola_problem *problem, unsigned degree)
{
    return fit_range(result, problem, degree, degree);
}

fhola_status ola_fit_all(ola_fit_result *results, const ola_problem *problem, unsigned max_degree)
{
    return fit_range(results, problem, 0, max_degree);
}
