/* SPDX-License-Identifier: Apache-2.0 */
/* Activation polynomials in single precision over channels-last values. Internal to nn/. */
#ifndef NN_ACTIVATE_H
#define NN_ACTIVATE_H

#include <stddef.h>
#include <stdint.h>

#include "nn/graph/model.h"
#include "nn/plain/simd.h"
#include "status.h"

/* Normal noise for the w of one picture: standard deviation and the picture's own seed. The sum of
 * eight uniform numbers stands for the normal distribution (cut at 4.9 standard deviations). */
typedef struct nn_noise {
    float deviation;
    uint64_t seed;
} nn_noise;

/* All zeros: none. Rows of constants repeat the channels, so that a vector may start at any. */
typedef struct nn_fast_activation {
    size_t channels, pitch; /* pitch: values in a row; 0: no polynomial */
    unsigned degree;
    float eps, gain;      /* X = sin(2 pi eps w) * gain; X = w for eps = 0 */
    float *scale, *shift; /* w = x * scale + shift */
    float *coeff;         /* degree + 1 rows */
    unsigned stages;      /* polynomials of the composition that approximates the sign; 0: none */
    unsigned stage_degree[OLA_MAX_STAGES];
    float *stage; /* their coefficients, one after the other */
} nn_fast_activation;

fhola_status nn_fast_activation_set(nn_fast_activation *a, const nn_activation *from,
                                    double eps) FHOLA_WARN_UNUSED;
void nn_fast_activation_clear(nn_fast_activation *a);

/* Of `count` values, the first of channel 0; out and pre may be the same. Returns the largest |w|
 * (NaN aside). `layer` is a part of the noise's seed; noise may be NULL. */
float nn_fast_activation_apply(const nn_fast_activation *a, nn_simd simd, size_t layer, float *out,
                               const float *pre, size_t count, const nn_noise *noise);

#endif
