/* SPDX-License-Identifier: Apache-2.0 */
#include "ckks/fft.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "ckks/alloc.h"

/* 0, 1 and 16 all compute double operations in double. */
_Static_assert(FLT_EVAL_METHOD == 0 || FLT_EVAL_METHOD == 1 || FLT_EVAL_METHOD == 16,
               "double arithmetic must not keep excess precision (on 32-bit x86 compile with "
               "-msse2 -mfpmath=sse)");

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

struct ckks_fft {
    unsigned log_m; /* of the largest m, N/2 */
    /* The stage that joins blocks of h values uses w_j = exp(2 pi i 5^j / 8h), j < h, whatever m
     * is. From roots + 3h on: h real parts, h imaginary parts, h negated imaginary parts. The
     * negated ones keep subtractions out of the complex products: some compilers (gcc 12.2) turn
     * alternate additions and subtractions of products into fused operations even when told not
     * to. */
    double *roots;
    uint32_t *reversed; /* bit reversal of log_m bits */
};

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

static void fill_roots(double *roots, size_t max_m)
{
    unsigned log_order = 3; /* of 8h */
    for (size_t h = 1; h < max_m; h *= 2, log_order++) {
        uint64_t power = 1; /* of 5, modulo 2^64 and so modulo 8h */
        for (size_t j = 0; j < h; j++, power *= 5) {
            double w[2];
            ckks_root_of_unity(w, power, log_order);
            roots[3 * h + j] = w[0];
            roots[4 * h + j] = w[1];
            roots[5 * h + j] = 0.0 - w[1];
        }
    }
}

static void fill_reversed(uint32_t *reversed, unsigned log_m)
{
    reversed[0] = 0;
    for (unsigned bit = 0; bit < log_m; bit++)
        for (uint32_t i = 0; i < UINT32_C(1) << bit; i++)
            reversed[(UINT32_C(1) << bit) + i] = reversed[i] + (UINT32_C(1) << (log_m - 1 - bit));
}

fhola_status ckks_fft_create(ckks_fft **out, unsigned log_n)
{
    *out = NULL;
    if (log_n < 1 || log_n > CKKS_FFT_MAX_LOG_N)
        return fhola_fail(FHOLA_PARAM,
                          "Fourier transform: log2 of the ring degree is %u, not in [1, %u]", log_n,
                          CKKS_FFT_MAX_LOG_N);
    size_t max_m = (size_t)1 << (log_n - 1);
    ckks_fft *fft = calloc(1, sizeof *fft);
    if (fft == NULL)
        return fhola_fail(FHOLA_NOMEM, "Fourier transform: no memory for a table header");
    fft->log_m = log_n - 1;
    fft->roots = ckks_alloc(3 * max_m * sizeof *fft->roots);
    fft->reversed = ckks_alloc(max_m * sizeof *fft->reversed);
    if (fft->roots == NULL || fft->reversed == NULL) {
        ckks_fft_destroy(fft);
        return fhola_fail(FHOLA_NOMEM, "Fourier transform: no memory for the tables of %zu slots",
                          max_m);
    }
    fill_roots(fft->roots, max_m);
    fill_reversed(fft->reversed, fft->log_m);
    *out = fft;
    return FHOLA_OK;
}

void ckks_fft_destroy(ckks_fft *fft)
{
    if (fft == NULL) return;
    ckks_free(fft->roots);
    ckks_free(fft->reversed);
    free(fft);
}

static unsigned log2_of(size_t m)
{
    unsigned log_m = 0;
    while (m >> log_m > 1) log_m++;
    return log_m;
}

static void reverse_bits(const ckks_fft *fft, double *v, size_t m)
{
    unsigned shift = fft->log_m - log2_of(m);
    for (size_t i = 0; i < m; i++) {
        size_t j = fft->reversed[i] >> shift;
        if (i < j) {
            double re = v[2 * i], im = v[2 * i + 1];
            v[2 * i] = v[2 * j];
            v[2 * i + 1] = v[2 * j + 1];
            v[2 * j] = re;
            v[2 * j + 1] = im;
        }
    }
}

/* (a, b) -> (a + w b, a - w b), with w b = (b_re w_re + b_im (-w_im), b_im w_re + b_re w_im), for h
 * complex values each. */
static void forward_stage(double *restrict a, double *restrict b, const double *restrict roots,
                          size_t h)
{
    const double *w_re = roots, *w_im = roots + h, *minus_w_im = roots + 2 * h;
    for (size_t j = 0; j < h; j++) {
        double re = b[2 * j] * w_re[j] + b[2 * j + 1] * minus_w_im[j];
        double im = b[2 * j + 1] * w_re[j] + b[2 * j] * w_im[j];
        b[2 * j] = a[2 * j] - re;
        b[2 * j + 1] = a[2 * j + 1] - im;
        a[2 * j] += re;
        a[2 * j + 1] += im;
    }
}

/* (a, b) -> (a + b, conj(w) d), d = a - b, with conj(w) d = (d_re w_re + d_im w_im, d_im w_re +
 * d_re (-w_im)), for h complex values each. */
static void inverse_stage(double *restrict a, double *restrict b, const double *restrict roots,
                          size_t h)
{
    const double *w_re = roots, *w_im = roots + h, *minus_w_im = roots + 2 * h;
    for (size_t j = 0; j < h; j++) {
        double re = a[2 * j] - b[2 * j], im = a[2 * j + 1] - b[2 * j + 1];
        a[2 * j] += b[2 * j];
        a[2 * j + 1] += b[2 * j + 1];
        b[2 * j] = re * w_re[j] + im * w_im[j];
        b[2 * j + 1] = im * w_re[j] + re * minus_w_im[j];
    }
}

void ckks_fft_forward(const ckks_fft *fft, double *re_im_interleaved, size_t m)
{
    double *v = re_im_interleaved;
    reverse_bits(fft, v, m);
    for (size_t h = 1; h < m; h *= 2)
        for (size_t block = 0; block < m; block += 2 * h)
            forward_stage(v + 2 * block, v + 2 * (block + h), fft->roots + 3 * h, h);
}

void ckks_fft_inverse(const ckks_fft *fft, double *re_im_interleaved, size_t m)
{
    double *v = re_im_interleaved;
    for (size_t h = m / 2; h > 0; h /= 2)
        for (size_t block = 0; block < m; block += 2 * h)
            inverse_stage(v + 2 * block, v + 2 * (block + h), fft->roots + 3 * h, h);
    reverse_bits(fft, v, m);
    double scale = 1.0 / (double)m; /* a power of two: exact */
    for (size_t i = 0; i < 2 * m; i++) v[i] *= scale;
}
