/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/plain/convolve.h"

#include <stdlib.h>
#include <string.h>

#define GROUP NN_CONVOLVE_GROUP

typedef float vector __attribute__((vector_size(4 * GROUP), aligned(4), may_alias));

/* A hot loop is written once, as an inline function, and compiled once for each instruction set
 * worth having; all give the same bits. */
#define INLINE static inline __attribute__((always_inline))
#if defined(__x86_64__)
#define AVX2   __attribute__((target("avx2")))
#define AVX512 __attribute__((target("avx512f")))
#endif

/* Output channels run along the vector, so each sum is taken in the same order whatever the vector
 * length: bias, then ky, kx, in. `pitch`: pixels per row of `in`. `pixels` (2, 4 or 8: as many as
 * the registers hold) divides the output's side. */
INLINE void convolve_any(float *out, const nn_fast_conv *conv, const float *in, size_t pitch,
                         const size_t pixels)
{
    const size_t depth = conv->in, step = conv->stride * depth, size = conv->out_size;
    for (size_t group = 0; group < conv->out / GROUP; group++) {
        const vector bias = *(const vector *)(conv->bias + group * GROUP);
        const float *weights = conv->weight + group * GROUP * depth * conv->kernel * conv->kernel;
        for (size_t place = 0; place < size * size; place += pixels) {
            const size_t y = place / size, x = place % size;
            const float *weight = weights;
            vector sum[8];
#pragma GCC unroll 8
            for (size_t p = 0; p < pixels; p++) sum[p] = bias;
            for (size_t ky = 0; ky < conv->kernel; ky++) {
                const float *from = in + (y * conv->stride + ky) * pitch * depth + x * step;
                for (size_t i = 0; i < conv->kernel * depth; i++, weight += GROUP) {
                    const vector w = *(const vector *)weight;
#pragma GCC unroll 8
                    for (size_t p = 0; p < pixels; p++) sum[p] += from[i + p * step] * w;
                }
            }
#pragma GCC unroll 8
            for (size_t p = 0; p < pixels; p++)
                *(vector *)(out + (place + p) * conv->out + group * GROUP) = sum[p];
        }
    }
}

static void convolve_generic(float *out, const nn_fast_conv *conv, const float *in, size_t pitch)
{
    convolve_any(out, conv, in, pitch, 2);
}

#if defined(__x86_64__)
AVX2 static void convolve_avx2(float *out, const nn_fast_conv *conv, const float *in, size_t pitch)
{
    convolve_any(out, conv, in, pitch, 4);
}

AVX512 static void convolve_avx512(float *out, const nn_fast_conv *conv, const float *in,
                                   size_t pitch)
{
    convolve_any(out, conv, in, pitch, 8);
}
#endif

static void convolve(float *out, const nn_fast_conv *conv, const float *in, size_t pitch)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f")) {
        convolve_avx512(out, conv, in, pitch);
        return;
    }
    if (__builtin_cpu_supports("avx2")) {
        convolve_avx2(out, conv, in, pitch);
        return;
    }
#endif
    convolve_generic(out, conv, in, pitch);
}

/* Copies a picture into a frame of zeros one pixel wide. */
static void pad(float *padded, const float *in, size_t size, size_t channels)
{
    size_t row = size * channels, wide = row + 2 * channels;
    memset(padded, 0, wide * sizeof *padded);
    for (size_t y = 0; y < size; y++) {
        float *to = padded + (y + 1) * wide;
        memset(to, 0, channels * sizeof *to);
        memcpy(to + channels, in + y * row, row * sizeof *to);
        memset(to + channels + row, 0, channels * sizeof *to);
    }
    memset(padded + (size + 1) * wide, 0, wide * sizeof *padded);
}

void nn_fast_conv_apply(float *out, const nn_fast_conv *conv, const float *in, float *padded)
{
    if (conv->kernel == 1) {
        convolve(out, conv, in, conv->in_size);
        return;
    }
    pad(padded, in, conv->in_size, conv->in);
    convolve(out, conv, padded, conv->in_size + 2);
}

static fhola_status allocate(nn_fast_conv *conv)
{
    conv->weight =
        malloc(conv->out * conv->in * conv->kernel * conv->kernel * sizeof *conv->weight);
    conv->bias = calloc(conv->out, sizeof *conv->bias);
    if (!conv->weight || !conv->bias)
        return fhola_fail(FHOLA_NOMEM, "no memory for a convolution of %zu x %zu channels",
                          conv->out, conv->in);
    return FHOLA_OK;
}

static void set_weight(nn_fast_conv *conv, size_t o, size_t i, size_t k, double value)
{
    conv->weight[((o / GROUP * conv->kernel * conv->kernel + k) * conv->in + i) * GROUP +
                 o % GROUP] = (float)value;
}

fhola_status nn_fast_conv_create(nn_fast_conv *conv, const nn_conv *from)
{
    size_t taps = (size_t)from->kernel * from->kernel;
    *conv = (nn_fast_conv){.in = from->in,
                           .out = from->out,
                           .kernel = from->kernel,
                           .stride = from->stride,
                           .in_size = from->in_size,
                           .out_size = from->in_size / from->stride};
    fhola_status status = allocate(conv);
    for (size_t o = 0; o < conv->out && status == FHOLA_OK; o++) {
        conv->bias[o] = (float)from->bias[o];
        for (size_t i = 0; i < conv->in; i++)
            for (size_t k = 0; k < taps; k++)
                set_weight(conv, o, i, k, from->weight[(o * conv->in + i) * taps + k]);
    }
    return status;
}

fhola_status nn_fast_conv_create_adjoint(nn_fast_conv *conv, const nn_conv *from)
{
    size_t taps = (size_t)from->kernel * from->kernel,
           size = from->kernel == 1 ? from->in_size / from->stride : from->in_size;
    *conv = (nn_fast_conv){.in = from->out,
                           .out = from->in,
                           .kernel = from->kernel,
                           .stride = 1,
                           .in_size = size,
                           .out_size = size};
    fhola_status status = allocate(conv);
    for (size_t o = 0; o < conv->out && status == FHOLA_OK; o++)
        for (size_t i = 0; i < conv->in; i++)
            for (size_t k = 0; k < taps; k++)
                set_weight(conv, o, i, taps - 1 - k, from->weight[(i * conv->out + o) * taps + k]);
    return status;
}

void nn_fast_conv_clear(nn_fast_conv *conv)
{
    free(conv->weight);
    free(conv->bias);
    conv->weight = conv->bias = NULL;
}
