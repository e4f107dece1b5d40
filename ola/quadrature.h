/* SPDX-License-Identifier: Apache-2.0 */
/* Weighted points at which a problem is looked at: the data (histogram bins or nodes of a normal
 * density), then the guard. */
#ifndef OLA_QUADRATURE_H
#define OLA_QUADRATURE_H

#include "ola/ola.h"

typedef struct ola_points {
    size_t count; /* all points */
    /* the first `data` of them are the data, of total weight 1; the others are the guard */
    size_t data;
    double outside; /* share of the data's weight that lies outside of the interval */
    double *X;      /* count: variable of the polynomial, in [-1, 1] */
    double *weight; /* count */
    double *target; /* count */
} ola_points;

/* PARAM, RANGE as documented for ola_fit. */
fhola_status ola_points_create(ola_points *points, const ola_problem *problem);
void ola_points_destroy(ola_points *points);

/* The values of x between `lo` and `hi`, both excluded, where f bends or changes its character: at
 * most OLA_MAX_BREAKS of them in rising order. Returns their number. */
#define OLA_MAX_BREAKS 256u
size_t ola_function_breaks(const ola_function *f, double lo, double hi, double *breaks);

/* Sorts numbers into rising order. */
void ola_sort(double *value, size_t count);

/* Checks everything in a problem but the contents of its histogram. */
fhola_status ola_problem_check(const ola_problem *problem);

/* f at the point of the interval where the variable has the value X. */
double ola_problem_target(const ola_problem *problem, double X);

#endif
