/* SPDX-License-Identifier: Apache-2.0 */
/* How good polynomials are for a problem: what is needed once per problem is computed once. */
#ifndef OLA_MEASURE_H
#define OLA_MEASURE_H

#include "ola/quadrature.h"

#define OLA_GRID                                                                                   \
    2049u /* points on which the largest error is looked for, without the function's breaks */

typedef struct ola_grid {
    size_t count;
    double X[OLA_GRID + OLA_MAX_BREAKS]; /* rising, from -1 to 1 */
    double target[OLA_GRID + OLA_MAX_BREAKS];
} ola_grid;

/* Points spaced like Chebyshev extrema, and the breaks of the problem's function, with the
 * function's values. */
void ola_grid_fill(ola_grid *grid, const ola_problem *problem);

/* Root mean square of polynomial - target over the data points. */
double ola_points_rms(const ola_points *points, const double *coeff, unsigned degree);

/* Largest |polynomial - f| on the interval: the largest local maxima on the grid, refined between
 * their neighbours. */
double ola_grid_error(const ola_grid *grid, const ola_problem *problem, const double *coeff,
                      unsigned degree);

#endif
