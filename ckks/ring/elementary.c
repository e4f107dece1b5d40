/* SPDX-License-Identifier: Apache-2.0 */
#include "ckks/ring/elementary.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>

/* 0, 1 and 16 all compute double operations in double. */
_Static_assert(FLT_EVAL_METHOD == 0 || FLT_EVAL_METHOD == 1 || FLT_EVAL_METHOD == 16,
               "double arithmetic must not keep excess precision (on 32-bit x86 compile with "
               "-msse2 -mfpmath=sse)");

#define LN2       0.69314718055994530942
#define ONE_LN2   1.4426950408889634074
#define EXP_TERMS 18 /* |t| <= ln(2) / 2: the first term left out is below 2^-80 */
#define LOG_TERMS 18 /* |s| <= 3 - 2 sqrt(2): the first term left out is below 2^-95 */

double ckks_exp2(double x)
{
    if (!(fabs(x) < 0x1p12)) return x > 0 ? INFINITY : x < 0 ? 0 : NAN;
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

/* ---- sines ---- */

/* Angles are measured in eighths of a turn: octant + t, 0 <= t <= 1. A fixed-point number is an
 * unsigned multiple of 2^-63 that is at most 1. */
#define FRACTION_BITS 63
#define FIXED_ONE     (UINT64_C(1) << FRACTION_BITS)
#define SERIES_TERMS  10

/* Taylor coefficients, (pi/4)^n / n! rounded to fixed point: n = 1, 3, ..., 19 for the sine of an
 * eighth of a turn times t, and n = 0, 2, ..., 18 for the cosine. The first term left out is below
 * 2^-68. */
static const uint64_t sine_series[SERIES_TERMS] = {
    UINT64_C(0x6487ed5110b4611a), UINT64_C(0x0a55de7312df295f), UINT64_C(0x00519af19dd6ab87),
    UINT64_C(0x000132d2cce62bd8), UINT64_C(0x000002a0f0690fdd), UINT64_C(0x00000003c60e9fbd),
    UINT64_C(0x0000000003d1e86a), UINT64_C(0x000000000002df5b), UINT64_C(0x00000000000001ab),
    UINT64_C(0x0000000000000001)};
static const uint64_t cosine_series[SERIES_TERMS] = {
    UINT64_C(0x8000000000000000), UINT64_C(0x277a79937c8bbcb5), UINT64_C(0x020783e1036b5876),
    UINT64_C(0x000aae9e3f1e5ffd), UINT64_C(0x00001e1f506891bb), UINT64_C(0x00000034da3e5441),
    UINT64_C(0x000000003f3a7147), UINT64_C(0x000000000036dc4a), UINT64_C(0x0000000000002419),
    UINT64_C(0x0000000000000013)};

/* Product of fixed-point numbers, rounded to nearest. */
static uint64_t fixed_multiply(uint64_t a, uint64_t b)
{
    uint64_t a0 = a & UINT32_MAX, a1 = a >> 32, b0 = b & UINT32_MAX, b1 = b >> 32;
    uint64_t middle = a1 * b0 + (a0 * b0 >> 32); /* below 2^64: a1 <= 2^31 */
    uint64_t carry = (middle & UINT32_MAX) + a0 * b1;
    uint64_t high = a1 * b1 + (middle >> 32) + (carry >> 32);
    return (high << 1 | (carry >> 31 & 1)) + (carry >> 30 & 1);
}

/* s_0 - z (s_1 - z (s_2 - ...)) */
static uint64_t alternating_series(const uint64_t series[SERIES_TERMS], uint64_t z)
{
    uint64_t sum = series[SERIES_TERMS - 1];
    for (unsigned i = SERIES_TERMS - 1; i-- > 0;) sum = series[i] - fixed_multiply(z, sum);
    return sum;
}

/* Cosine of t eighths of a turn. */
static double cosine_in_octant(uint64_t t)
{
    return ldexp((double)alternating_series(cosine_series, fixed_multiply(t, t)), -FRACTION_BITS);
}

/* Sine of mantissa 2^-shift eighths of a turn; FIXED_ONE / 2 <= mantissa <= FIXED_ONE, so that no
 * digit of a small sine is lost. */
static double sine_in_octant(uint64_t mantissa, int shift)
{
    uint64_t t = shift < FRACTION_BITS ? mantissa >> shift : 0;
    uint64_t ratio = alternating_series(sine_series, fixed_multiply(t, t)); /* sine / t */
    return ldexp((double)fixed_multiply(mantissa, ratio), -FRACTION_BITS - shift);
}

static double sine_of_fixed(uint64_t t)
{
    int shift = 0;
    if (t == 0) return 0.0;
    while (t < FIXED_ONE / 2) {
        t <<= 1;
        shift++;
    }
    return sine_in_octant(t, shift);
}

/* out = {cosine, sine} of octant + t eighths of a turn, octant < 8; sine_of_t is the sine of t
 * eighths. */
static void turn_to_octant(double out[2], unsigned octant, uint64_t t, double sine_of_t)
{
    bool reflect = octant & 1; /* an odd octant is the mirror image of the even one after it */
    double c = cosine_in_octant(reflect ? FIXED_ONE - t : t);
    double s = reflect ? sine_of_fixed(FIXED_ONE - t) : sine_of_t;
    bool swap = octant == 1 || octant == 2 || octant == 5 || octant == 6;
    double x = swap ? s : c, y = swap ? c : s;
    /* Subtracted from zero, so that zero keeps its sign. */
    out[0] = octant >= 2 && octant < 6 ? 0.0 - x : x;
    out[1] = octant >= 4 ? 0.0 - y : y;
}

void ckks_root_of_unity(double out[2], uint64_t k, unsigned log_order)
{
    uint64_t turn = log_order == 0 ? 0 : k << (64 - log_order); /* in units of 2^-64 turns */
    uint64_t t = (turn << 3) >> 1;
    turn_to_octant(out, (unsigned)(turn >> 61), t, sine_of_fixed(t));
}

/* As ckks_root_of_unity, for x >= 0. */
static void turn_by(double out[2], double x)
{
    double eighths = 8.0 * fmod(x, 1.0);
    double octant = floor(eighths);
    double fraction = eighths - octant; /* exact */
    int exponent = 0;
    double sine = 0.0;
    if (fraction > 0.0) {
        uint64_t mantissa = (uint64_t)ldexp(frexp(fraction, &exponent), FRACTION_BITS);
        sine = sine_in_octant(mantissa, -exponent);
    }
    turn_to_octant(out, (unsigned)octant, (uint64_t)ldexp(fraction, FRACTION_BITS), sine);
}

double ckks_sin2pi(double x)
{
    double point[2];
    if (!isfinite(x)) return NAN;
    turn_by(point, fabs(x));
    return x < 0.0 ? 0.0 - point[1] : point[1];
}

double ckks_cos2pi(double x)
{
    double point[2];
    if (!isfinite(x)) return NAN;
    turn_by(point, fabs(x));
    return point[0];
}
