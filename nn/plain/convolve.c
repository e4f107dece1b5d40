/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/plain/convolve.h"

#include <stdlib.h>
#include <string.h>

#define GROUP NN_CONVOLVE_GROUP

#define NAME(x) x##_portable
#define TARGET
#define LANES  4
#define PIXELS 2
#include "nn/plain/convolve_kernel.h"

#ifdef NN_SIMD_X86
#define NAME(x) x##_avx2
#define TARGET  NN_SIMD_TARGET_AVX2
#define LANES   8
#define PIXELS  4
#include "nn/plain/convolve_kernel.h"

#define NAME(x) x##_avx512
#define TARGET  NN_SIMD_TARGET_AVX512
#define LANES   16
#define PIXELS  8
#include "nn/plain/convolve_kernel.h"
#endif

static void convolve(float *out, const nn_fast_conv *conv, const float *in, size_t pitch)
{
#ifdef NN_SIMD_X86
    if (conv->simd == NN_SIMD_AVX512) {
        convolve_avx512(out, conv, in, pitch);
        return;
    }
    if (conv->simd == NN_SIMD_AVX2) {
        convolve_avx2(out, conv, in, pitch);
        return;
    }
#endif
    convolve_portable(out, conv, in, pitch);
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
    fhola_status status = nn_simd_select(&conv->simd, NULL);
    if (status != FHOLA_OK) return status;
    /* no vector of weights across two cache lines */
    conv->weight = aligned_alloc(64, conv->out * conv->in * conv->kernel * conv->kernel *
                                         sizeof *conv->weight);
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
