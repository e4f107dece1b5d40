/* SPDX-License-Identifier: Apache-2.0 */
/* Discrete Gaussian noise of any width, for noise flooding. Internal.
 *
 * Base: the discrete Gaussian on the integers whose probabilities are proportional to 2^(-x^2 /
 * 2048), of parameter s_0 = sqrt(1024 / ln 2) = 38.4, by a table of cumulative probabilities of 127
 * bits that every draw reads from end to end. Wider: x + k y of two independent samples of
 * parameter s is a sample of parameter s sqrt(1 + k^2), as long as s >= sqrt(2) k times the
 * smoothing parameter of the integers (Micciancio, Walter, "Gaussian sampling over the integers:
 * efficient, generic, constant-time", Crypto 2017, corollary 4.1); repeated, with k limited so that
 * each step's relative error is below 2^-100. No branch and no memory index depends on the values
 * drawn. */
#ifndef CKKS_GAUSSIAN_H
#define CKKS_GAUSSIAN_H

#include "ckks/ring/modular.h"
#include "ckks/ring/sample.h"

#define CKKS_GAUSSIAN_TABLE                                                                        \
    512u /* magnitudes 0 .. 511: the tail beyond has probability below 2^-126 */
#define CKKS_GAUSSIAN_LEVELS 4u     /* steps of widening */
#define CKKS_GAUSSIAN_MOST   0x1p50 /* widest */

typedef struct ckks_gaussian {
    /* parameter reached: standard deviation up to 2^-100 */
    double sigma;
    unsigned levels;
    int64_t factor[CKKS_GAUSSIAN_LEVELS]; /* k of each step */
    ckks_u128 above[CKKS_GAUSSIAN_TABLE]; /* P(|x| > i) in units of 2^-127 */
} ckks_gaussian;

/* Prepares for a standard deviation of at least `sigma`: 38.44 below that, at most 1.6 sigma up to
 * 539, at most 1.1 sigma beyond. RANGE above CKKS_GAUSSIAN_MOST, or if sigma is not positive. */
fhola_status ckks_gaussian_init(ckks_gaussian *gaussian, double sigma) FHOLA_WARN_UNUSED;

/* n independent values. */
void ckks_gaussian_sample(const ckks_gaussian *gaussian, int64_t *out, size_t n, ckks_rng *rng);

#endif
