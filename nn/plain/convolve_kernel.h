/* SPDX-License-Identifier: Apache-2.0 */
/* The loops of a convolution. convolve.c includes this once for each instruction set, with TARGET,
 * LANES (floats in a vector), PIXELS (neighbours computed together) and NAME(x), which makes names
 * of its own. PIXELS * VECTORS sums, VECTORS weights and an input must fit the registers, and that
 * many sums must hide the latency of an addition: compilers keep sums wider than a register in
 * memory. PIXELS divides the side of every output. */

#define VECTOR  NAME(vector)
#define VECTORS (GROUP / LANES)

typedef float VECTOR __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

/* sum[p][v] += from[p * step + i] * weight[i][v], i < count, in this order: `count` inputs that lie
 * one after the other and their weights for GROUP output channels. */
TARGET NN_SIMD_INLINE void NAME(add_run)(VECTOR sum[PIXELS][VECTORS], const float *weight,
                                         const float *from, size_t count, size_t step)
{
    for (size_t i = 0; i < count; i++, weight += GROUP) {
        VECTOR w[VECTORS];
#pragma GCC unroll 8
        for (size_t v = 0; v < VECTORS; v++) w[v] = *(const VECTOR *)(weight + v * LANES);
#pragma GCC unroll 8
        for (size_t p = 0; p < PIXELS; p++)
#pragma GCC unroll 8
            for (size_t v = 0; v < VECTORS; v++) sum[p][v] += from[p * step + i] * w[v];
    }
}

/* PIXELS neighbours of `out` for the group of output channels from `group` on; `from`: their first
 * input, `row`: values in a row of the input. Output channels run along the vectors, so each sum is
 * taken in the same order whatever their length: bias, then ky, kx, in. */
TARGET NN_SIMD_INLINE void NAME(convolve_tile)(float *out, const nn_fast_conv *conv, size_t group,
                                               const float *from, size_t row)
{
    const size_t step = conv->stride * conv->in, run = conv->kernel * conv->in;
    const float *weight = conv->weight + group * run * conv->kernel;
    VECTOR sum[PIXELS][VECTORS];
#pragma GCC unroll 8
    for (size_t p = 0; p < PIXELS; p++)
#pragma GCC unroll 8
        for (size_t v = 0; v < VECTORS; v++)
            sum[p][v] = *(const VECTOR *)(conv->bias + group + v * LANES);
    for (size_t ky = 0; ky < conv->kernel; ky++)
        NAME(add_run)(sum, weight + ky * run * GROUP, from + ky * row, run, step);
#pragma GCC unroll 8
    for (size_t p = 0; p < PIXELS; p++)
#pragma GCC unroll 8
        for (size_t v = 0; v < VECTORS; v++)
            *(VECTOR *)(out + p * conv->out + group + v * LANES) = sum[p][v];
}

TARGET static void NAME(convolve)(float *out, const nn_fast_conv *conv, const float *in,
                                  size_t pitch)
{
    const size_t step = conv->stride * conv->in, row = pitch * conv->in, size = conv->out_size;
    for (size_t group = 0; group < conv->out; group += GROUP)
        for (size_t y = 0; y < size; y++)
            for (size_t x = 0; x < size; x += PIXELS)
                NAME(convolve_tile)
                (out + (y * size + x) * conv->out, conv, group,
                 in + y * conv->stride * row + x * step, row);
}

#undef VECTOR
#undef VECTORS
#undef TARGET
#undef LANES
#undef PIXELS
#undef NAME
