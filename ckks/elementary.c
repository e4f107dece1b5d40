/* SPDX-License-Identifier: Apache-2.0 */
#include "ckks/elementary.h"

#include <math.h>

#define LN2       0.69314718055994530942
#define ONE_LN2   1.4426950408889634074
#define EXP_TERMS 18 /* |t| <= ln(2) / 2: the first term left out is below 2^-80 */
#define LOG_TERMS 18 /* |s| <= 3 - 2 sqrt(2): the first term left out is below 2^-95 */

double ckks_exp2(double x)
{
    double whole = rint(x), t = (x - whole) * LN2, sum = 1;
    for (int k = EXP_TERMS; k > 0; k--) sum = 1 + t * sum / k;
    return ldexp(sum, (int)whole);
}

/* ln(m) = 2 artanh(s), s = (m - 1) / (m + 1), for m between sqrt(1/2) and sqrt(2). */
double ckks_log2(double x)
{
    int exponent;
    double m = frexp(x, &exponent);
    if (m < 0.70710678118654752440) {
        m *= 2;
        exponent--;
    }
    double s = (m - 1) / (m + 1), z = s * s, sum = 0;
    for (int k = LOG_TERMS; k > 0; k--) sum = z * (sum + 1.0 / (2 * k + 1));
    return exponent + 2 * ONE_LN2 * (s + s * sum);
}
