/* SPDX-License-Identifier: Apache-2.0 */
/* Times of the plaintext engine's convolutions, on values that are made up. */
#include <stdlib.h>
#include <string.h>

#include "ckks/measure/measure.h"
#include "nn/base/parallel.h"
#include "nn/measure/measure.h"
#include "nn/plain/convolve.h"
#include "nn/plain/plain.h"

enum { LEAST_RUNS = 11, MOST_RUNS = 101, MOST_THREADS = 256 };

#define FIGURE_US 25e3 /* after LEAST_RUNS, a figure takes no longer */
#define RUN_MACS  4e6  /* of a run: as many convolutions as it takes, so that a clock can tell */
#define VALUES    ((size_t)16384)                          /* of an input or a result */
#define FRAME     ((size_t)34 * 34 * 16)                   /* of a padded input */
#define ROOM      (FRAME + 2 * VALUES + NN_CONVOLVE_SLACK) /* of a thread */

const char *nn_bench_isa(size_t i)
{
    for (nn_simd simd = NN_SIMD_SETS; simd-- > NN_SIMD_PORTABLE;)
        if (nn_simd_can_run(simd) && i-- == 0) return nn_simd_name(simd);
    return NULL;
}

static double macs(const nn_bench_shape *s)
{
    double side = (double)s->side / s->stride, taps = (double)s->kernel * s->kernel;
    return side * side * taps * s->in * s->out;
}

static fhola_status check(const nn_bench_shape *s, unsigned threads)
{
    bool fits = s->in > 0 && s->out > 0 && s->out % NN_CONVOLVE_GROUP == 0 &&
                (s->kernel == 1 || s->kernel == 3) && (s->stride == 1 || s->stride == 2) &&
                s->side % (8 * s->stride) == 0 && s->side > 0 && s->side <= 32;
    size_t padded = (size_t)(s->side + 2) * (s->side + 2), pixels = (size_t)s->side * s->side;
    if (!fits || padded * s->in > FRAME || pixels / (s->stride * s->stride) * s->out > VALUES)
        return fhola_fail(FHOLA_PARAM,
                          "no convolution of the engine has %u to %u channels, kernel %u, stride "
                          "%u, side %u",
                          s->in, s->out, s->kernel, s->stride, s->side);
#ifdef _OPENMP
    if (threads >= 1 && threads <= MOST_THREADS) return FHOLA_OK;
#else
    if (threads == 1) return FHOLA_OK;
#endif
    return fhola_fail(FHOLA_PARAM, "%u threads are outside 1..%d, or the library has none", threads,
                      MOST_THREADS);
}

/* Weights and inputs are small multiples of a power of two. */
static fhola_status make(nn_fast_map *fast, float **room, const nn_bench_shape *s, const char *isa,
                         unsigned threads)
{
    size_t weights = (size_t)s->in * s->out * s->kernel * s->kernel;
    unsigned out_side = s->side / s->stride;
    nn_convolution convolution = {.in_channels = s->in,
                                  .out_channels = s->out,
                                  .groups = 1,
                                  .kernel_y = s->kernel,
                                  .kernel_x = s->kernel,
                                  .stride_y = s->stride,
                                  .stride_x = s->stride,
                                  .dilation_y = 1,
                                  .dilation_x = 1,
                                  .pad_y = (int)s->kernel / 2,
                                  .pad_x = (int)s->kernel / 2,
                                  .weight = malloc(weights * sizeof *convolution.weight)};
    double *bias = calloc(s->out, sizeof *bias);
    nn_map map = {.kind = NN_MAP_CONVOLUTION,
                  .in = {s->in, s->side, s->side},
                  .out = {s->out, out_side, out_side},
                  .convolution = convolution};
    *room = malloc(threads * ROOM * sizeof **room);
    fhola_status status = *room && convolution.weight && bias
                              ? FHOLA_OK
                              : fhola_fail(FHOLA_NOMEM, "no memory for a convolution");
    for (size_t i = 0; !status && i < weights; i++)
        convolution.weight[i] = ((double)(i % 61) - 30) / 64;
    for (size_t i = 0; !status && i < threads * ROOM; i++) (*room)[i] = ((float)(i % 53) - 26) / 64;
    if (!status) status = nn_fast_map_create(fast, &map, bias);
    if (!status) status = nn_simd_select(&fast->simd, isa);
    free(convolution.weight);
    free(bias);
    return status;
}

/* A run on each of the threads at once: from the first start to the last end. */
static double time_run(const nn_fast_map *conv, float *room, unsigned threads, size_t repeats)
{
    double begin[MOST_THREADS], end[MOST_THREADS], first, last;
#ifdef _OPENMP
#pragma omp parallel num_threads(threads) if (threads > 1)
#endif
    {
        size_t t = nn_thread_index();
        float *padded = room + t * ROOM, *in = padded + FRAME, *out = in + VALUES;
#ifdef _OPENMP
#pragma omp barrier
#endif
        begin[t] = ckks_now_us();
        for (size_t i = 0; i < repeats; i++) nn_fast_map_apply(out, conv, in, padded, false);
        end[t] = ckks_now_us();
    }
    first = begin[0];
    last = end[0];
    for (unsigned t = 1; t < threads; t++) {
        first = begin[t] < first ? begin[t] : first;
        last = end[t] > last ? end[t] : last;
    }
    return (last - first) / (double)repeats;
}

fhola_status nn_bench_convolution(nn_bench_time *result, const nn_bench_shape *shape,
                                  const char *isa, unsigned threads)
{
    nn_fast_map conv = {0};
    float *room = NULL;
    double time[MOST_RUNS], spent = 0;
    size_t runs = 0, repeats = 1 + (size_t)(RUN_MACS / macs(shape));
    fhola_status status = check(shape, threads);
    if (status) return status;
    status = make(&conv, &room, shape, isa, threads);
    for (int warm = 0; !status && warm < 3; warm++) (void)time_run(&conv, room, threads, repeats);
    for (; !status && runs < MOST_RUNS && (runs < LEAST_RUNS || spent < FIGURE_US); runs++) {
        time[runs] = time_run(&conv, room, threads, repeats);
        spent += time[runs] * (double)repeats;
    }
    if (!status) {
        ckks_sort_numbers(time, runs);
        *result = (nn_bench_time){.isa = nn_simd_name(conv.simd),
                                  .median_us = time[runs / 2],
                                  .min_us = time[0],
                                  .gmacs = macs(shape) / time[runs / 2] * 1e-3};
    }
    nn_fast_map_clear(&conv);
    free(room);
    return status;
}
