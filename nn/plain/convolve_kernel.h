/* SPDX-License-Identifier: Apache-2.0 */
/* The loops of a convolution. convolve.c includes this once for each instruction set, with TARGET,
 * LANES (floats in a vector), PIXELS (neighbours computed together) and NAME(x), which makes names
 * of its own. PIXELS * VECTORS sums, VECTORS weights and an input must fit the registers, and that
 * many sums must hide the latency of an addition: compilers keep sums wider than a register in
 * memory. What PIXELS leaves of a row is computed one by one. */

#define VECTOR  NAME(vector)
#define VECTORS (GROUP / LANES)

typedef float VECTOR __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

/* sum[p][v] += from[p * step + i] * weight[i][v], i < count, in this order: `count` inputs that lie
 * one after the other and their weights for GROUP output channels. */
TARGET NN_SIMD_INLINE void NAME(add_run)(VECTOR sum[PIXELS][VECTORS], const float *weight,
                                         const float *from, size_t count, size_t step,
                                         const size_t pixels)
{
    for (size_t i = 0; i < count; i++, weight += GROUP) {
        VECTOR w[VECTORS];
#pragma GCC unroll 8
        for (size_t v = 0; v < VECTORS; v++) w[v] = *(const VECTOR *)(weight + v * LANES);
#pragma GCC unroll 8
        for (size_t p = 0; p < pixels; p++)
#pragma GCC unroll 8
            for (size_t v = 0; v < VECTORS; v++) sum[p][v] += from[p * step + i] * w[v];
    }
}

/* `pixels` neighbours of `out` for the group of output channels from `group` on; `from`: their
 * first input, `row`: values in a row of the input. Output channels run along the vectors, so each
 * sum is taken in the same order whatever their length: bias, then ky, kx, in. */
TARGET NN_SIMD_INLINE void NAME(convolve_tile)(float *out, const nn_fast_map *f, size_t group,
                                               const float *from, size_t row, const size_t pixels)
{
    const size_t step = f->stride_x * f->in, run = f->kernel_x * f->in;
    const float *weight = f->weight + group * run * f->kernel_y;
    VECTOR sum[PIXELS][VECTORS];
#pragma GCC unroll 8
    for (size_t p = 0; p < pixels; p++)
#pragma GCC unroll 8
        for (size_t v = 0; v < VECTORS; v++)
            sum[p][v] = *(const VECTOR *)(f->bias + group + v * LANES);
    for (size_t ky = 0; ky < f->kernel_y; ky++) {
        const float *line = from + ky * f->dilation_y * row;
        if (f->dilation_x == 1) {
            NAME(add_run)(sum, weight + ky * run * GROUP, line, run, step, pixels);
            continue;
        }
        for (size_t kx = 0; kx < f->kernel_x; kx++) NAME(add_run)
        (sum, weight + (ky * run + kx * f->in) * GROUP, line + kx * f->dilation_x * f->in, f->in,
         step, pixels);
    }
#pragma GCC unroll 8
    for (size_t p = 0; p < pixels; p++)
#pragma GCC unroll 8
        for (size_t v = 0; v < VECTORS; v++)
            *(VECTOR *)(out + p * f->out + group + v * LANES) = sum[p][v];
}

/* The last group comes first: what it writes beyond its channels belongs to pixels and groups that
 * follow, or to the slack. */
TARGET static void NAME(convolve)(float *out, const nn_fast_map *f, const float *in, size_t pitch)
{
    const size_t step = f->stride_x * f->in, row = pitch * f->in;
    for (size_t group = (f->out - 1) / GROUP * GROUP + GROUP; group > 0;) {
        group -= GROUP;
        for (size_t y = 0; y < f->out_height; y++) {
            const float *from = in + y * f->stride_y * row;
            float *to = out + y * f->out_width * f->out;
            size_t x = 0;
            for (; x + PIXELS <= f->out_width; x += PIXELS)
                NAME(convolve_tile)(to + x * f->out, f, group, from + x * step, row, PIXELS);
            for (; x < f->out_width; x++)
                NAME(convolve_tile)(to + x * f->out, f, group, from + x * step, row, 1);
        }
    }
}

#undef VECTOR
#undef VECTORS
#undef TARGET
#undef LANES
#undef PIXELS
#undef NAME
