/* SPDX-License-Identifier: Apache-2.0 */
/* Convolutions in single precision over channels-last pictures (row, column, channel). Internal to
 * nn/.
 *
 * Every multiplication and addition is rounded on its own and in one order, so results are the same
 * bits on every instruction set. */
#ifndef NN_CONVOLVE_H
#define NN_CONVOLVE_H

#include <stddef.h>

#include "nn/graph/model.h"
#include "nn/plain/simd.h"
#include "status.h"

#define NN_CONVOLVE_GROUP                                                                          \
    16u /* output channels computed together: their number must be a multiple */
#define NN_CONVOLVE_PADDED                                                                         \
    (34u * 34u * 16u) /* values of the largest padded picture: later stages have less */
#define NN_CONVOLVE_ADJOINT_PADDED (34u * 34u * 32u) /* the same going backwards */

typedef struct nn_fast_conv {
    size_t in, out, kernel, stride, in_size, out_size;
    float *weight; /* [out / 16][kernel][kernel][in][16], 64-byte aligned */
    float *bias;
    nn_simd simd; /* set by the functions below to what nn_simd_select says */
} nn_fast_conv;

/* FHOLA_PARAM: as nn_simd_select. nn_fast_conv_clear releases what was made, also after a failure; it accepts an all-zero
 * struct. */
fhola_status nn_fast_conv_create(nn_fast_conv *conv, const nn_conv *from) FHOLA_WARN_UNUSED;
void nn_fast_conv_clear(nn_fast_conv *conv);

/* The transposed matrix as a convolution of stride 1 without bias: takes a gradient by the output
 * (with stride 2 spread over every second pixel of a picture of side in_size; for a 1 x 1 kernel
 * not spread) to that by the input. */
fhola_status nn_fast_conv_create_adjoint(nn_fast_conv *conv, const nn_conv *from) FHOLA_WARN_UNUSED;

/* out = conv(in). `padded` is room for NN_CONVOLVE_PADDED (adjoint: NN_CONVOLVE_ADJOINT_PADDED)
 * values, not used by 1 x 1 kernels. `out` may be `in` unless the kernel is 1 x 1. */
void nn_fast_conv_apply(float *out, const nn_fast_conv *conv, const float *in, float *padded);

#endif
