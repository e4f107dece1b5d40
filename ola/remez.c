/* SPDX-License-Identifier: Apache-2.0 */
/* Minimax approximation by Remez exchange, and compositions of minimax polynomials for sign and
 * ReLU.
 *
 * One exchange serves both cases. On [-1, -delta] u [delta, 1] the best approximation of the odd
 * function sign is odd, so it is the best approximation of 1 on [delta, 1] by odd Chebyshev
 * polynomials alone, which satisfy the Haar condition there. */
#include "ola/measure.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PI            3.14159265358979323846
#define MAX_TERMS     (OLA_MAX_DEGREE + 1u)
#define MAX_REFERENCE (MAX_TERMS + 1u)
#define SCAN          2048u /* points scanned for extrema, without breaks and reference */
#define MAX_SCAN      (SCAN + OLA_MAX_BREAKS + MAX_REFERENCE)
#define MAX_EXCHANGES 100
#define PATIENCE                                                                                   \
    4 /* exchanges after which a levelled error below rounding will not grow out of it */
#define TOLERANCE 1e-9 /* relative difference of the largest error and the levelled error */
#define NEGLIGIBLE                                                                                 \
    1e-8 /* a lower degree may only step in for errors below this share of the function's size */
#define REFINEMENTS 40
#define GOLDEN      0.61803398874989484820L

/* What to approximate on [lo, 1]: with `problem`, its function by all T_k; without, the constant 1
 * by T_1, T_3, ... */
typedef struct remez {
    const ola_problem *problem;
    double lo;
    unsigned degree, terms;
    double coeff[MAX_TERMS]; /* of T_0 .. T_degree */
    bool solved;             /* coeff and level belong to the reference */
    double level;            /* levelled error on the reference, signed */
    double error;            /* largest error found on the scan */
    double size;             /* largest value of the function on the scan */
    unsigned reference_count;
    double reference[MAX_REFERENCE];
    size_t scan_count;
    double fixed[SCAN + OLA_MAX_BREAKS]; /* scanned in every exchange */
    size_t fixed_count;
    double scan[MAX_SCAN], errors[MAX_SCAN];
} remez;

static unsigned term_degree(const remez *r, unsigned term)
{
    return r->problem != NULL ? term : 2 * term + 1;
}

static double function_at(const remez *r, double X)
{
    return r->problem != NULL ? ola_problem_target(r->problem, X) : 1;
}

/* In long double: where the polynomial is steep, the error near 2^-40 would otherwise drown. */
static double signed_error(const remez *r, double X)
{
    long double above = 0, current = 0, x = (long double)X;
    for (unsigned k = r->degree; k > 0; k--) {
        long double next = (long double)r->coeff[k] + 2 * x * current - above;
        above = current;
        current = next;
    }
    return (double)((long double)r->coeff[0] + x * current - above -
                    (long double)function_at(r, X));
}

/* The i-th of n + 1 points spaced like Chebyshev extrema: on [-1, 1] in X; for odd polynomials, X
 * times a polynomial in X^2, in X^2. */
static double spaced(const remez *r, unsigned i, unsigned n)
{
    double s = sin(PI / 2 * i / n), share = s * s;
    if (r->problem != NULL) return 2 * share - 1;
    return i == n ? 1 : i == 0 ? r->lo : sqrt(r->lo * r->lo + (1 - r->lo * r->lo) * share);
}

/* `skewed`: from points that are not symmetric. An even function levels to 0 on symmetric points,
 * which can leave no way on. */
static void start(remez *r, bool skewed)
{
    r->terms = r->problem != NULL ? r->degree + 1 : (r->degree + 1) / 2;
    r->reference_count = r->terms + 1;
    for (unsigned i = 0; i < r->reference_count; i++)
        r->reference[i] = spaced(r, i, r->reference_count - (skewed ? 0 : 1));
    for (unsigned i = 0; i < SCAN; i++) r->fixed[r->fixed_count++] = spaced(r, i, SCAN - 1);
    if (r->problem != NULL) {
        const ola_interval *in = &r->problem->interval;
        double *breaks = r->fixed + r->fixed_count;
        size_t count = ola_function_breaks(&r->problem->function, in->centre - in->half_width,
                                           in->centre + in->half_width, breaks);
        for (size_t i = 0; i < count; i++)
            breaks[i] = ola_variable(r->problem->eps, (breaks[i] - in->centre) / in->half_width);
        r->fixed_count += count;
    }
    for (size_t i = 0; i < r->fixed_count; i++)
        r->size = fmax(r->size, fabs(function_at(r, r->fixed[i])));
}

/* Gaussian elimination with partial pivoting of an n x (n + 1) system; false if it is singular. */
static bool eliminate(long double matrix[MAX_REFERENCE][MAX_REFERENCE + 1], unsigned n)
{
    for (unsigned column = 0; column < n; column++) {
        unsigned pivot = column;
        for (unsigned i = column + 1; i < n; i++)
            if (fabsl(matrix[i][column]) > fabsl(matrix[pivot][column])) pivot = i;
        if (matrix[pivot][column] == 0) return false;
        for (unsigned j = column; j <= n && pivot != column; j++) {
            long double swap = matrix[pivot][j];
            matrix[pivot][j] = matrix[column][j];
            matrix[column][j] = swap;
        }
        for (unsigned i = 0; i < n; i++) {
            if (i == column) continue;
            long double factor = matrix[i][column] / matrix[column][column];
            for (unsigned j = column; j <= n; j++) matrix[i][j] -= factor * matrix[column][j];
        }
    }
    for (unsigned i = 0; i < n; i++) matrix[i][n] /= matrix[i][i];
    return true;
}

/* Coefficients and level with polynomial(x_i) + (-1)^i level = function(x_i) on the reference. */
static bool level_reference(remez *r)
{
    long double matrix[MAX_REFERENCE][MAX_REFERENCE + 1];
    unsigned n = r->reference_count;
    for (unsigned i = 0; i < n; i++) {
        long double x = (long double)r->reference[i], previous = x, current = 1;
        for (unsigned k = 0, term = 0; term < r->terms; k++) {
            if (k == term_degree(r, term)) matrix[i][term++] = current;
            long double next = 2 * x * current - previous;
            previous = current;
            current = next;
        }
        matrix[i][r->terms] = i % 2 == 0 ? 1 : -1;
        matrix[i][n] = (long double)function_at(r, r->reference[i]);
    }
    if (!eliminate(matrix, n)) return false;
    memset(r->coeff, 0, sizeof r->coeff);
    for (unsigned term = 0; term < r->terms; term++)
        r->coeff[term_degree(r, term)] = (double)matrix[term][n];
    r->level = (double)matrix[r->terms][n];
    return isfinite(r->level);
}

static void scan_errors(remez *r)
{
    memcpy(r->scan, r->fixed, r->fixed_count * sizeof *r->scan);
    memcpy(r->scan + r->fixed_count, r->reference, r->reference_count * sizeof *r->scan);
    r->scan_count = r->fixed_count + r->reference_count;
    ola_sort(r->scan, r->scan_count);
    for (size_t i = 0; i < r->scan_count; i++) r->errors[i] = signed_error(r, r->scan[i]);
}

typedef struct extremum {
    double X, error;
} extremum;

/* The largest error of the sign of scan point `where` between its neighbours, by golden section. */
static extremum refine(const remez *r, size_t where)
{
    long double lo = (long double)r->scan[where > 0 ? where - 1 : 0];
    long double hi = (long double)r->scan[where + 1 < r->scan_count ? where + 1 : where];
    double sign = r->errors[where] < 0 ? -1 : 1;
    extremum best = {r->scan[where], r->errors[where]};
    for (int step = 0; step < REFINEMENTS && hi > lo; step++) {
        double left = (double)(hi - GOLDEN * (hi - lo)), right = (double)(lo + GOLDEN * (hi - lo));
        double error_left = signed_error(r, left), error_right = signed_error(r, right);
        if (sign * error_left > sign * best.error) best = (extremum){left, error_left};
        if (sign * error_right > sign * best.error) best = (extremum){right, error_right};
        if (sign * error_left > sign * error_right)
            hi = (long double)right;
        else
            lo = (long double)left;
    }
    return best;
}

/* One extremum for every run of scan points with errors of one sign. */
static size_t find_extrema(const remez *r, extremum *found)
{
    size_t count = 0, where = 0;
    for (size_t i = 1; i <= r->scan_count; i++) {
        if (i < r->scan_count && (r->errors[i] < 0) == (r->errors[where] < 0)) {
            if (fabs(r->errors[i]) > fabs(r->errors[where])) where = i;
            continue;
        }
        found[count++] = refine(r, where);
        where = i;
    }
    return count;
}

static void erase(extremum *list, size_t *count, size_t index)
{
    memmove(list + index, list + index + 1, (*count - index - 1) * sizeof *list);
    --*count;
}

/* Keeps `wanted` of the alternating extrema, the large ones: while there are two or more too many,
 * the smallest goes together with the smaller of its neighbours, which have one sign; a single one
 * too many, or the smallest at an end, goes alone. */
static void thin_out(extremum *list, size_t *count, size_t wanted)
{
    while (*count > wanted) {
        size_t smallest = 0;
        if (*count == wanted + 1) {
            smallest = fabs(list[0].error) < fabs(list[*count - 1].error) ? 0 : *count - 1;
        } else {
            for (size_t i = 1; i < *count; i++)
                if (fabs(list[i].error) < fabs(list[smallest].error)) smallest = i;
            if (smallest > 0 && smallest + 1 < *count) {
                size_t neighbour = fabs(list[smallest - 1].error) < fabs(list[smallest + 1].error)
                                       ? smallest - 1
                                       : smallest + 1;
                erase(list, count, smallest > neighbour ? smallest : neighbour);
                smallest = smallest > neighbour ? neighbour : smallest;
            }
        }
        erase(list, count, smallest);
    }
}

/* What rounding the coefficients to double precision does to the polynomial, and computing in it to
 * the function. */
static double rounding(const remez *r)
{
    double sum = r->size;
    for (unsigned k = 0; k <= r->degree; k++) sum += fabs(r->coeff[k]);
    return 4 * DBL_EPSILON * sum;
}

static fhola_status exchange(remez *r)
{
    extremum *found = malloc(MAX_SCAN * sizeof *found);
    if (found == NULL)
        return fhola_fail(FHOLA_NOMEM, "no memory for the extrema of a minimax error");
    fhola_status status = FHOLA_OK;
    bool converged = false;
    for (int step = 0; step < MAX_EXCHANGES && !converged && status == FHOLA_OK; step++) {
        r->solved = level_reference(r);
        if (!r->solved) {
            status = fhola_fail(FHOLA_RANGE, "the minimax equations of degree %u are singular",
                                r->degree);
            break;
        }
        scan_errors(r);
        size_t count = find_extrema(r, found);
        r->error = 0;
        for (size_t i = 0; i < count; i++) r->error = fmax(r->error, fabs(found[i].error));
        converged = r->error - fabs(r->level) <= fmax(TOLERANCE * r->error, rounding(r));
        bool drowned = step >= PATIENCE && fabs(r->level) <= rounding(r);
        if (converged || drowned || count < r->reference_count) break;
        thin_out(found, &count, r->reference_count);
        for (size_t i = 0; i < count; i++) r->reference[i] = found[i].X;
    }
    free(found);
    if (status == FHOLA_OK && !converged)
        status = fhola_fail(
            FHOLA_RANGE, "minimax degree %u did not converge: largest error %g, levelled error %g",
            r->degree, r->error, fabs(r->level));
    return status;
}

/* The exchange for one degree from one kind of start, or if that fails from the other. */
static fhola_status exchange_from_scratch(remez *r, const ola_problem *problem, double lo,
                                          unsigned degree)
{
    fhola_status status = FHOLA_OK;
    for (int attempt = 0; attempt < 2; attempt++) {
        memset(r, 0, sizeof *r);
        r->problem = problem;
        r->lo = lo;
        r->degree = degree;
        start(r, (problem != NULL) == (attempt == 0));
        status = exchange(r);
        if (status == FHOLA_OK || status == FHOLA_NOMEM) break;
    }
    return status;
}

/* Coefficients (degree + 1) and largest error, written only on success. Where rounding outweighs
 * the levelled error (easily so on a narrow interval, where the T_k are nearly dependent) a lower
 * degree can do better, and the best one is taken. */
static fhola_status approximate(double *coeff, double *error, const ola_problem *problem, double lo,
                                unsigned degree)
{
    remez *r = malloc(sizeof *r);
    if (r == NULL) return fhola_fail(FHOLA_NOMEM, "no memory for a minimax approximation");
    double best[MAX_TERMS] = {0}, best_error = INFINITY;
    fhola_status status = FHOLA_OK;
    unsigned step = problem != NULL ? 1 : 2, best_degree = degree;
    for (unsigned trial = degree; trial <= degree; trial -= step) { /* ends by wrapping below 0 */
        status = exchange_from_scratch(r, problem, lo, trial);
        if (status == FHOLA_NOMEM) break;
        if (status == FHOLA_OK && r->error < best_error) {
            best_error = r->error;
            best_degree = trial;
            memcpy(best, r->coeff, sizeof best);
        }
        if (r->solved && fabs(r->level) > rounding(r)) break;
    }
    double size = r->size;
    free(r);
    if (status == FHOLA_NOMEM || !isfinite(best_error)) return status;
    if (best_degree != degree && best_error > NEGLIGIBLE * size)
        return fhola_fail(FHOLA_RANGE, "minimax degree %u did not converge; degree %u has error %g",
                          degree, best_degree, best_error);
    memcpy(coeff, best, (degree + 1) * sizeof *coeff);
    *error = best_error;
    return FHOLA_OK;
}

fhola_status ola_minimax(ola_fit_result *result, const ola_problem *problem, unsigned degree)
{
    fhola_status status = ola_problem_check(problem);
    if (status != FHOLA_OK) return status;
    if (degree > OLA_MAX_DEGREE)
        return fhola_fail(FHOLA_PARAM, "degree %u is above %u", degree, OLA_MAX_DEGREE);
    double coeff[MAX_TERMS], error;
    status = approximate(coeff, &error, problem, -1, degree);
    return status == FHOLA_OK ? ola_measure(result, problem, coeff, degree) : status;
}

fhola_status ola_minimax_sign(double *coeff, double *error, unsigned degree, double delta)
{
    if (degree > OLA_MAX_DEGREE || degree % 2 == 0)
        return fhola_fail(FHOLA_PARAM,
                          "degree %u of a sign polynomial is not an odd number up to %u", degree,
                          OLA_MAX_DEGREE);
    if (!(delta > 0 && delta < 1))
        return fhola_fail(FHOLA_PARAM, "delta %g is outside of (0, 1)", delta);
    return approximate(coeff, error, NULL, delta, degree);
}

/* ---- compositions ---- */

double ola_composite_eval_sign(const ola_composite *c, double x)
{
    for (unsigned i = 0; i < c->count; i++) x = ola_chebyshev_eval(c->coeff[i], c->degree[i], x);
    return x;
}

double ola_composite_eval_relu(const ola_composite *c, double x)
{
    return (x + x * ola_composite_eval_sign(c, x)) / 2;
}

#define BELOW_POINTS 1024u
/* the ReLU error at x is at most x: nearer to 0 than delta / BELOW_REACH it plays no role */
#define BELOW_REACH 1024.0

/* Largest ReLU error, |x| |composition - sign| / 2, below delta, where the composition has not yet
 * reached the sign. */
static double relu_error_below(const ola_composite *c)
{
    double largest = 0;
    for (unsigned i = 0; i <= BELOW_POINTS; i++) {
        double x = c->delta * pow(BELOW_REACH, (double)i / BELOW_POINTS - 1);
        largest = fmax(largest, fabs(ola_composite_eval_relu(c, x) - x));
    }
    return largest;
}

static fhola_status check_degrees(const unsigned *degree, unsigned count)
{
    if (count == 0 || count > OLA_MAX_STAGES)
        return fhola_fail(FHOLA_PARAM, "%u stages are outside of 1..%u", count, OLA_MAX_STAGES);
    for (unsigned i = 0; i < count; i++)
        if (degree[i] > OLA_MAX_DEGREE || degree[i] % 2 == 0)
            return fhola_fail(FHOLA_PARAM, "degree %u of stage %u is not an odd number up to %u",
                              degree[i], i, OLA_MAX_DEGREE);
    return FHOLA_OK;
}

fhola_status ola_composite_sign(ola_composite *c, const unsigned *degree, unsigned count,
                                double delta)
{
    fhola_status status = check_degrees(degree, count);
    if (status != FHOLA_OK) return status;
    if (!(delta > 0 && delta < 1))
        return fhola_fail(FHOLA_PARAM, "delta %g is outside of (0, 1)", delta);

    ola_composite fresh = {.count = count, .delta = delta};
    double lo = delta;
    for (unsigned i = 0; i < count; i++) {
        fresh.degree[i] = degree[i];
        status = ola_minimax_sign(fresh.coeff[i], &fresh.error, degree[i], lo);
        if (status != FHOLA_OK) return status;
        if (i + 1 == count) break;
        /* The values lie in +-[1 - error, 1 + error]; scaled to end at 1 they are the next stage's
         * domain. */
        for (unsigned k = 0; k <= degree[i]; k++) fresh.coeff[i][k] /= 1 + fresh.error;
        lo = fmin((1 - fresh.error) / (1 + fresh.error), 1 - DBL_EPSILON);
        if (!(lo > 0))
            return fhola_fail(FHOLA_RANGE, "delta %g is too small for stage %u of degree %u", delta,
                              i, degree[i]);
    }
    /* Above delta the ReLU error is largest at x = 1, which is an extremum of every stage. */
    fresh.relu_error = fmax(relu_error_below(&fresh), fresh.error / 2);
    *c = fresh;
    return FHOLA_OK;
}

fhola_status ola_composite_relu(ola_composite *c, const unsigned *degree, unsigned count,
                                double alpha)
{
    fhola_status status = check_degrees(degree, count);
    if (status != FHOLA_OK) return status;
    if (!(alpha > 0 && alpha <= 40))
        return fhola_fail(FHOLA_PARAM, "precision %g is outside of (0, 40] bits", alpha);

    /* A smaller delta moves error from the part below it to the part above it: bisect for their
     * balance. */
    ola_composite best = {.relu_error = INFINITY}, trial;
    double coarse = -0.5, fine = -42; /* log2 of delta */
    while (coarse - fine > 1e-3) {
        double middle = (coarse + fine) / 2;
        status = ola_composite_sign(&trial, degree, count, exp2(middle));
        if (status != FHOLA_OK) return status;
        if (trial.relu_error < best.relu_error) best = trial;
        if (trial.error / 2 >= trial.relu_error)
            fine = middle;
        else
            coarse = middle;
    }
    if (!(best.relu_error <= exp2(-alpha)))
        return fhola_fail(FHOLA_RANGE,
                          "the degrees reach a precision of %.2f bits for ReLU, not %g",
                          -log2(best.relu_error), alpha);
    *c = best;
    return FHOLA_OK;
}
