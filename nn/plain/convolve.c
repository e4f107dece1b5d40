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

static void convolve(float *out, const nn_fast_map *f, const float *in, size_t pitch)
{
#ifdef NN_SIMD_X86
    if (f->simd == NN_SIMD_AVX512) {
        convolve_avx512(out, f, in, pitch);
        return;
    }
    if (f->simd == NN_SIMD_AVX2) {
        convolve_avx2(out, f, in, pitch);
        return;
    }
#endif
    convolve_portable(out, f, in, pitch);
}

/* ---- applying ---- */

/* One line of the frame from one of the input, whose pixels fit; zeros where there are none. */
static void fill_line(float *line, const nn_fast_map *f, const float *from)
{
    size_t row = f->frame_width * f->in;
    if (f->spread_x == 1 && f->in == f->channels && f->pad_x >= 0 &&
        (size_t)f->pad_x + f->width <= f->frame_width) {
        size_t left = (size_t)f->pad_x * f->in, values = f->width * f->in;
        memset(line, 0, left * sizeof *line);
        memcpy(line + left, from, values * sizeof *line);
        memset(line + left + values, 0, (row - left - values) * sizeof *line);
        return;
    }
    memset(line, 0, row * sizeof *line);
    for (size_t x = 0; x < f->width; x++) {
        long to_x = (long)(x * f->spread_x) + f->pad_x;
        if (to_x >= 0 && to_x < (long)f->frame_width)
            memcpy(line + (size_t)to_x * f->in, from + x * f->channels, f->in * sizeof *line);
    }
}

/* Copies the channels concerned into a frame of zeros. */
static void fill_frame(float *frame, const nn_fast_map *f, const float *in)
{
    size_t row = f->frame_width * f->in;
    for (size_t y = 0; y < f->frame_height; y++) {
        float *line = frame + y * row;
        long from_y = (long)y - f->pad_y;
        if (from_y >= 0 && (size_t)from_y % f->spread_y == 0 &&
            (size_t)from_y / f->spread_y < f->height)
            fill_line(line, f,
                      in + (size_t)from_y / f->spread_y * f->width * f->channels + f->in_first);
        else
            memset(line, 0, row * sizeof *line);
    }
}

/* to[p][c] += from[p][c] for tensors whose pixels lie `to_pitch` and `pitch` apart. */
static void add_channels(float *restrict to, size_t to_pitch, const float *restrict from,
                         size_t pitch, size_t pixels, size_t channels)
{
    if (to_pitch == channels && pitch == channels) {
        for (size_t k = 0; k < pixels * channels; k++) to[k] += from[k];
        return;
    }
    for (size_t p = 0; p < pixels; p++)
        for (size_t c = 0; c < channels; c++) to[p * to_pitch + c] += from[p * pitch + c];
}

static void apply_channelwise(float *restrict out, const nn_fast_map *f, const float *restrict in,
                              size_t pitch)
{
    for (size_t y = 0; y < f->out_height; y++)
        for (size_t x = 0; x < f->out_width; x++) {
            float *restrict to = out + (y * f->out_width + x) * f->out;
            const float *weight = f->weight;
            memset(to, 0, f->out * sizeof *to);
            for (size_t ky = 0; ky < f->kernel_y; ky++)
                for (size_t kx = 0; kx < f->kernel_x; kx++, weight += f->out) {
                    const float *from = in + ((y * f->stride_y + ky * f->dilation_y) * pitch +
                                              x * f->stride_x + kx * f->dilation_x) *
                                                 f->in;
                    for (size_t c = 0; c < f->out; c++) to[c] += weight[c] * from[c];
                }
        }
}

static void apply_sparse(float *out, const nn_fast_map *f, const float *in, bool add)
{
    for (size_t r = 0; r < f->out_channels * f->out_height * f->out_width; r++) {
        float sum = 0;
        for (size_t k = f->row[r]; k < f->row[r + 1]; k++) sum += f->weight[k] * in[f->column[k]];
        out[r] = add ? out[r] + sum : sum;
    }
}

/* The output of a convolution for its own channels alone. */
static void apply_convolution(float *out, const nn_fast_map *f, const float *in, float *frame)
{
    size_t pitch = f->width;
    if (f->framed) {
        fill_frame(frame, f, in);
        in = frame;
        pitch = f->frame_width;
    }
    if (f->kind == NN_FAST_DENSE)
        convolve(out, f, in, pitch);
    else
        apply_channelwise(out, f, in, pitch);
}

static size_t out_pixels(const nn_fast_map *f)
{
    return f->out_height * f->out_width;
}

static size_t frame_values(const nn_fast_map *f)
{
    return f->framed ? f->frame_height * f->frame_width * f->in : 0;
}

size_t nn_fast_map_room(const nn_fast_map *f)
{
    return frame_values(f) + out_pixels(f) * f->out + NN_CONVOLVE_SLACK;
}

bool nn_fast_map_is_whole(const nn_fast_map *f)
{
    return f->kind == NN_FAST_DENSE && f->out == f->out_channels;
}

void nn_fast_map_apply(float *out, const nn_fast_map *f, const float *in, float *room, bool add)
{
    if (f->kind == NN_FAST_SPARSE) {
        apply_sparse(out, f, in, add);
        return;
    }
    if (f->kind == NN_FAST_COPY) {
        add_channels(out, f->out, in, f->out, out_pixels(f), f->out);
        return;
    }
    if (!add && nn_fast_map_is_whole(f)) {
        apply_convolution(out, f, in, room);
        return;
    }
    float *own = room + frame_values(f);
    apply_convolution(own, f, in, room);
    add_channels(out + f->out_first, f->out_channels, own, f->out, out_pixels(f), f->out);
}

/* ---- making ---- */

void nn_fast_map_clear(nn_fast_map *f)
{
    free(f->weight);
    free(f->bias);
    free(f->row);
    free(f->column);
    memset(f, 0, sizeof *f);
}

static fhola_status no_memory(size_t values)
{
    return fhola_fail(FHOLA_NOMEM, "no memory for a linear map of %zu weights", values);
}

static size_t up_to_group(size_t channels)
{
    return (channels + GROUP - 1) / GROUP * GROUP;
}

static void set_shapes(nn_fast_map *f, nn_shape in, nn_shape out)
{
    f->channels = in.channels;
    f->height = in.height;
    f->width = in.width;
    f->out_channels = out.channels;
    f->out_height = out.height;
    f->out_width = out.width;
}

static void set_frame(nn_fast_map *f)
{
    f->frame_height = (f->out_height - 1) * f->stride_y + (f->kernel_y - 1) * f->dilation_y + 1;
    f->frame_width = (f->out_width - 1) * f->stride_x + (f->kernel_x - 1) * f->dilation_x + 1;
    f->framed = f->pad_y != 0 || f->pad_x != 0 || f->spread_y > 1 || f->spread_x > 1 ||
                f->in != f->channels || f->frame_height > f->height || f->frame_width > f->width;
}

/* Geometry of a convolution, or with `adjoint` of its transpose: that takes values spread as far
 * apart as the stride, by the kernel turned round. */
static void set_geometry(nn_fast_map *f, const nn_map *map, bool adjoint)
{
    const nn_convolution *c = &map->convolution;
    bool channelwise = c->groups == c->in_channels && c->groups == c->out_channels;
    f->kind = channelwise ? NN_FAST_CHANNELWISE : NN_FAST_DENSE;
    f->in_first = adjoint ? c->out_first : c->in_first;
    f->in = adjoint ? c->out_channels : c->in_channels;
    f->out_first = adjoint ? c->in_first : c->out_first;
    f->out = adjoint ? c->in_channels : c->out_channels;
    f->kernel_y = c->kernel_y;
    f->kernel_x = c->kernel_x;
    f->dilation_y = c->dilation_y;
    f->dilation_x = c->dilation_x;
    f->stride_y = adjoint ? 1 : c->stride_y;
    f->stride_x = adjoint ? 1 : c->stride_x;
    f->spread_y = adjoint ? c->stride_y : 1;
    f->spread_x = adjoint ? c->stride_x : 1;
    f->pad_y = adjoint ? (long)((c->kernel_y - 1) * c->dilation_y) - c->pad_y : c->pad_y;
    f->pad_x = adjoint ? (long)((c->kernel_x - 1) * c->dilation_x) - c->pad_x : c->pad_x;
    set_frame(f);
}

/* Weight of tap (k = ky * kernel_x + kx) from input to output channel of the convolution, both
 * counted from its first. */
static double weight_of(const nn_convolution *c, size_t o, size_t i, size_t k)
{
    size_t ins = c->in_channels / c->groups, outs = c->out_channels / c->groups,
           taps = (size_t)c->kernel_y * c->kernel_x;
    if (i / ins != o / outs) return 0;
    return c->weight[(o * ins + i % ins) * taps + k];
}

static void set_weights(nn_fast_map *f, const nn_convolution *c, bool adjoint)
{
    size_t taps = f->kernel_y * f->kernel_x;
    for (size_t o = 0; o < f->out; o++)
        for (size_t i = 0; i < f->in; i++) {
            if (f->kind == NN_FAST_CHANNELWISE && i != o) continue;
            for (size_t k = 0; k < taps; k++) {
                float w =
                    (float)(adjoint ? weight_of(c, i, o, taps - 1 - k) : weight_of(c, o, i, k));
                if (f->kind == NN_FAST_CHANNELWISE)
                    f->weight[k * f->out + o] = w;
                else
                    f->weight[((o / GROUP * taps + k) * f->in + i) * GROUP + o % GROUP] = w;
            }
        }
}

static fhola_status create_convolution(nn_fast_map *f, const nn_map *map, const double *bias,
                                       bool adjoint)
{
    set_geometry(f, map, adjoint);
    if (nn_map_is_identity(map)) {
        f->kind = NN_FAST_COPY;
        return FHOLA_OK;
    }
    size_t padded = up_to_group(f->out), taps = f->kernel_y * f->kernel_x;
    size_t values = f->kind == NN_FAST_DENSE ? padded * f->in * taps : f->out * taps;
    values = up_to_group(values);
    /* no vector of weights across two cache lines */
    f->weight = aligned_alloc(64, values * sizeof *f->weight);
    f->bias = calloc(padded, sizeof *f->bias);
    if (!f->weight || !f->bias) return no_memory(values);
    memset(f->weight, 0, values * sizeof *f->weight);
    set_weights(f, &map->convolution, adjoint);
    for (size_t o = 0; bias && o < f->out; o++) f->bias[o] = (float)bias[f->out_first + o];
    return FHOLA_OK;
}

/* The number, channels last, of value `number`. */
static size_t channels_last(nn_shape shape, size_t number)
{
    size_t plane = (size_t)shape.height * shape.width;
    return number % plane * shape.channels + number / plane;
}

/* Counts entries by row, then puts them in place; `in` and `out` are those of the result. */
static void sort_entries(nn_fast_map *f, const nn_map *map, bool adjoint)
{
    const nn_sparse *s = &map->sparse;
    size_t rows = nn_shape_values(map->out), out = nn_shape_values(adjoint ? map->in : map->out);
    for (size_t pass = 0; pass < 2; pass++) {
        for (size_t r = 0; r < rows; r++)
            for (size_t k = s->row[r]; k < s->row[r + 1]; k++) {
                size_t row = channels_last(map->out, r),
                       column = channels_last(map->in, s->column[k]), to = adjoint ? column : row;
                if (pass == 0) {
                    f->row[to + 1]++;
                    continue;
                }
                f->column[f->row[to]] = (uint32_t)(adjoint ? row : column);
                f->weight[f->row[to]++] = (float)s->weight[k];
            }
        for (size_t r = 0; r < out && pass == 0; r++) f->row[r + 1] += f->row[r];
    }
    /* now each row's begin stands where its end was */
    memmove(f->row + 1, f->row, out * sizeof *f->row);
    f->row[0] = 0;
}

static fhola_status create_sparse(nn_fast_map *f, const nn_map *map, bool adjoint)
{
    size_t entries = nn_map_entries(map), rows = nn_shape_values(adjoint ? map->in : map->out);
    f->kind = NN_FAST_SPARSE;
    f->row = calloc(rows + 1, sizeof *f->row);
    f->column = malloc((entries + 1) * sizeof *f->column);
    f->weight = malloc((entries + 1) * sizeof *f->weight);
    if (!f->row || !f->column || !f->weight) return no_memory(entries);
    sort_entries(f, map, adjoint);
    return FHOLA_OK;
}

static fhola_status create(nn_fast_map *f, const nn_map *map, const double *bias, bool adjoint)
{
    memset(f, 0, sizeof *f);
    set_shapes(f, adjoint ? map->out : map->in, adjoint ? map->in : map->out);
    fhola_status status = nn_simd_select(&f->simd, NULL);
    if (status != FHOLA_OK) return status;
    return map->kind == NN_MAP_SPARSE ? create_sparse(f, map, adjoint)
                                      : create_convolution(f, map, bias, adjoint);
}

fhola_status nn_fast_map_create(nn_fast_map *fast, const nn_map *map, const double *bias)
{
    return create(fast, map, bias, false);
}

fhola_status nn_fast_map_create_adjoint(nn_fast_map *fast, const nn_map *map)
{
    return create(fast, map, NULL, true);
}
