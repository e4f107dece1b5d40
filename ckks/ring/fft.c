/* SPDX-License-Identifier: Apache-2.0 */
#include "ckks/ring/fft.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "ckks/alloc.h"
#include "ckks/ring/elementary.h"

/* 0, 1 and 16 all compute double operations in double. */
_Static_assert(FLT_EVAL_METHOD == 0 || FLT_EVAL_METHOD == 1 || FLT_EVAL_METHOD == 16,
               "double arithmetic must not keep excess precision (on 32-bit x86 compile with "
               "-msse2 -mfpmath=sse)");

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
