/* SPDX-License-Identifier: Apache-2.0 */
/* Errors of polynomials. */
#include "ola/measure.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PI          3.14159265358979323846
#define BLOCK       64u
#define REFINEMENTS 40 /* golden section steps: the bracket shrinks by 2^-28 */
#define CANDIDATES                                                                                 \
    0.995 /* between the points of the grid an error may exceed theirs by less than the rest */
#define GOLDEN 0.61803398874989484820

void ola_grid_fill(ola_grid *grid, const ola_problem *p)
{
    double breaks[OLA_MAX_BREAKS], centre = p->interval.centre, half_width = p->interval.half_width;
    size_t break_count =
        ola_function_breaks(&p->function, centre - half_width, centre + half_width, breaks);
    grid->count = 0;
    for (unsigned i = 0; i < OLA_GRID; i++) grid->X[grid->count++] = -cos(PI * i / (OLA_GRID - 1));
    for (size_t i = 0; i < break_count; i++)
        grid->X[grid->count++] = ola_variable(p->eps, (breaks[i] - centre) / half_width);
    ola_sort(grid->X, grid->count);
    for (size_t i = 0; i < grid->count; i++) grid->target[i] = ola_problem_target(p, grid->X[i]);
}

/* values[i] = polynomial at X[i], for up to BLOCK points. */
static void eval_block(const double *coeff, unsigned degree, const double *X, size_t count,
                       double *values)
{
    double x[BLOCK] = {0}, above[BLOCK] = {0}, current[BLOCK] = {0};
    memcpy(x, X, count * sizeof *x);
    for (unsigned k = degree; k > 0; k--) {
        double c = coeff[k];
        for (unsigned i = 0; i < BLOCK; i++) {
            double next = c + 2 * x[i] * current[i] - above[i];
            above[i] = current[i];
            current[i] = next;
        }
    }
    for (size_t i = 0; i < count; i++) values[i] = coeff[0] + x[i] * current[i] - above[i];
}

double ola_points_rms(const ola_points *points, const double *coeff, unsigned degree)
{
    double sum = 0, values[BLOCK];
    for (size_t start = 0; start < points->data; start += BLOCK) {
        size_t length = points->data - start < BLOCK ? points->data - start : BLOCK;
        eval_block(coeff, degree, points->X + start, length, values);
        for (size_t i = 0; i < length; i++) {
            double error = values[i] - points->target[start + i];
            sum += points->weight[start + i] * error * error;
        }
    }
    return sqrt(sum);
}

static double error_at(const ola_problem *p, const double *coeff, unsigned degree, double X)
{
    return fabs(ola_chebyshev_eval(coeff, degree, X) - ola_problem_target(p, X));
}

/* Largest error between two points with one local maximum between them, by golden section. */
static double refine(const ola_problem *p, const double *coeff, unsigned degree, double lo,
                     double hi)
{
    double left = hi - GOLDEN * (hi - lo), right = lo + GOLDEN * (hi - lo);
    double error_left = error_at(p, coeff, degree, left),
           error_right = error_at(p, coeff, degree, right);
    for (int step = 0; step < REFINEMENTS; step++) {
        if (error_left > error_right) {
            hi = right;
            right = left;
            error_right = error_left;
            left = hi - GOLDEN * (hi - lo);
            error_left = error_at(p, coeff, degree, left);
        } else {
            lo = left;
            left = right;
            error_left = error_right;
            right = lo + GOLDEN * (hi - lo);
            error_right = error_at(p, coeff, degree, right);
        }
    }
    return fmax(error_left, error_right);
}

double ola_grid_error(const ola_grid *grid, const ola_problem *p, const double *coeff,
                      unsigned degree)
{
    double errors[OLA_GRID + OLA_MAX_BREAKS], largest = 0;
    for (size_t start = 0; start < grid->count; start += BLOCK) {
        size_t length = grid->count - start < BLOCK ? grid->count - start : BLOCK;
        eval_block(coeff, degree, grid->X + start, length, errors + start);
        for (size_t i = start; i < start + length; i++) {
            errors[i] = fabs(errors[i] - grid->target[i]);
            largest = fmax(largest, errors[i]);
        }
    }
    double candidate = largest * CANDIDATES;
    for (size_t i = 0; i < grid->count; i++) {
        size_t left = i > 0 ? i - 1 : i, right = i + 1 < grid->count ? i + 1 : i;
        if (errors[i] >= candidate && errors[i] >= errors[left] && errors[i] >= errors[right])
            largest = fmax(largest, refine(p, coeff, degree, grid->X[left], grid->X[right]));
    }
    return largest;
}

fhola_status ola_measure(ola_fit_result *result, const ola_problem *problem, const double *coeff,
                         unsigned degree)
{
    if (degree > OLA_MAX_DEGREE)
        return fhola_fail(FHOLA_PARAM, "degree %u is above %u", degree, OLA_MAX_DEGREE);
    for (unsigned k = 0; k <= degree; k++)
        if (!isfinite(coeff[k])) return fhola_fail(FHOLA_RANGE, "coefficient %u is not finite", k);
    ola_points points;
    fhola_status status = ola_points_create(&points, problem);
    if (status != FHOLA_OK) return status;
    ola_grid grid;
    ola_grid_fill(&grid, problem);
    ola_fit_result fresh = {.degree = degree, .outside = points.outside};
    memcpy(fresh.coeff, coeff, (degree + 1) * sizeof *coeff);
    fresh.rms = ola_points_rms(&points, fresh.coeff, degree);
    fresh.max_error = ola_grid_error(&grid, problem, fresh.coeff, degree);
    ola_points_destroy(&points);
    *result = fresh;
    return FHOLA_OK;
}
