/* SPDX-License-Identifier: Apache-2.0 */
/* Evaluation of Chebyshev sums: one value in double precision, many in single precision. */
#include "ola/ola.h"

#include <math.h>
#include <string.h>

#define BLOCK  64u /* values per inner loop: a constant, so that compilers vectorise it */
#define TWO_PI 6.28318530717958647692

unsigned ola_depth(unsigned degree)
{
    unsigned depth = 0;
    while (((unsigned long long)1 << depth) < (unsigned long long)degree + 1) depth++;
    return depth;
}

double ola_chebyshev_eval(const double *coeff, unsigned degree, double x)
{
    double above = 0, current = 0;
    for (unsigned k = degree; k > 0; k--) {
        double next = coeff[k] + 2 * x * current - above;
        above = current;
        current = next;
    }
    return coeff[0] + x * current - above;
}

/* sin(2 pi t) for any t of modest size: the nearest integer is removed by adding and subtracting
 * 1.5 * 2^23, the rest folded to [-1/4, 1/4], where the Taylor polynomial of degree 13 is exact to
 * single precision. */
static inline float sine_of_turns(float t)
{
    const float shift = 12582912.0f;
    float reduced = t - ((t + shift) - shift);
    float size = fabsf(reduced), mirrored = 0.5f - size;
    float folded = copysignf(size < mirrored ? size : mirrored, reduced);
    float angle = folded * (float)TWO_PI, s = angle * angle;
    float tail = 1.6059044e-10f;
    tail = tail * s - 2.5052108e-8f;
    tail = tail * s + 2.7557319e-6f;
    tail = tail * s - 1.9841270e-4f;
    tail = tail * s + 8.3333333e-3f;
    tail = tail * s - 1.6666667e-1f;
    return angle + angle * s * tail;
}

typedef struct evaluation {
    unsigned degree;
    float coeff[OLA_MAX_DEGREE + 1];
    float centre, inverse_half_width, eps, inverse_sine;
} evaluation;

/* BLOCK values from x to y; raises largest[i] to |w_i|, unless that is NaN. */
static void eval_block(const evaluation *e, const float *restrict x, float *restrict y,
                       float *restrict largest)
{
    float X[BLOCK], above[BLOCK], current[BLOCK], next[BLOCK];
    for (unsigned i = 0; i < BLOCK; i++) X[i] = (x[i] - e->centre) * e->inverse_half_width;
    for (unsigned i = 0; i < BLOCK; i++) {
        float size = fabsf(X[i]);
        largest[i] = size > largest[i] ? size : largest[i];
    }
    if (e->eps > 0)
        for (unsigned i = 0; i < BLOCK; i++) X[i] = sine_of_turns(e->eps * X[i]) * e->inverse_sine;
    for (unsigned i = 0; i < BLOCK; i++) above[i] = current[i] = 0;
    /* Two steps at a time, so that nothing but the new value is stored. */
    unsigned k = e->degree;
    for (; k > 1; k -= 2) {
        float c = e->coeff[k], d = e->coeff[k - 1];
        for (unsigned i = 0; i < BLOCK; i++) above[i] = c + 2 * X[i] * current[i] - above[i];
        for (unsigned i = 0; i < BLOCK; i++) current[i] = d + 2 * X[i] * above[i] - current[i];
    }
    for (unsigned i = 0; i < BLOCK && k == 1; i++) {
        next[i] = e->coeff[1] + 2 * X[i] * current[i] - above[i];
        above[i] = current[i];
        current[i] = next[i];
    }
    for (unsigned i = 0; i < BLOCK; i++) y[i] = e->coeff[0] + X[i] * current[i] - above[i];
}

void ola_activation_eval(float *y, const float *x, size_t count, const double *coeff,
                         unsigned degree, const ola_interval *interval, double eps, float *max_w)
{
    evaluation e = {.degree = degree,
                    .centre = (float)interval->centre,
                    .inverse_half_width = (float)(1 / interval->half_width),
                    .eps = (float)eps,
                    .inverse_sine = eps > 0 ? (float)(1 / sin(TWO_PI * eps)) : 1};
    float largest[BLOCK] = {0}, in[BLOCK], out[BLOCK];
    for (unsigned k = 0; k <= degree; k++) e.coeff[k] = (float)coeff[k];
    for (size_t start = 0; start < count; start += BLOCK) {
        size_t length = count - start < BLOCK ? count - start : BLOCK;
        memcpy(in, x + start, length * sizeof *in);
        for (size_t i = length; i < BLOCK; i++) in[i] = e.centre;
        eval_block(&e, in, out, largest);
        memcpy(y + start, out, length * sizeof *out);
    }
    for (unsigned i = 0; i < BLOCK && max_w != NULL; i++)
        *max_w = largest[i] > *max_w ? largest[i] : *max_w;
}
