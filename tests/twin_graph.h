/* SPDX-License-Identifier: Apache-2.0 */
/* A graph under construction beside the values that its tensors have for one picture, computed
 * layer by layer from the layers' definitions: the reference for everything that runs a graph. */
#ifndef TESTS_TWIN_GRAPH_H
#define TESTS_TWIN_GRAPH_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check_nn_support.h"
#include "nn/graph/graph.h"

#define TWIN_TENSORS 256u

typedef struct twin {
    nn_graph *graph;
    nn_shape shape[TWIN_TENSORS];
    double *value[TWIN_TENSORS];
    size_t count;
    uint64_t random;
    size_t scores; /* the tensor that is the result */
} twin;

static inline size_t twin_at(nn_shape s, unsigned c, unsigned y, unsigned x)
{
    return ((size_t)c * s.height + y) * s.width + x;
}

static inline double *twin_random(twin *t, size_t count, double lo, double hi)
{
    double *values = malloc((count + 1) * sizeof *values);
    ck_assert_ptr_nonnull(values);
    for (size_t k = 0; k < count; k++) values[k] = uniform(&t->random, lo, hi);
    return values;
}

/* A new tensor of the twin, all zeros; `tensor` is what the graph calls it. */
static inline double *twin_tensor(twin *t, nn_tensor tensor, nn_shape shape)
{
    ck_assert_uint_lt(tensor, TWIN_TENSORS);
    nn_shape s = nn_graph_shape(t->graph, tensor);
    ck_assert_msg(nn_shape_equal(s, shape), "%u x %u x %u instead of %u x %u x %u", s.channels,
                  s.height, s.width, shape.channels, shape.height, shape.width);
    if (t->count <= tensor) t->count = tensor + 1;
    t->shape[tensor] = shape;
    free(t->value[tensor]);
    t->value[tensor] = calloc(nn_shape_values(shape), sizeof(double));
    ck_assert_ptr_nonnull(t->value[tensor]);
    return t->value[tensor];
}

static inline void twin_init(twin *t, nn_shape input, uint64_t seed)
{
    *t = (twin){.random = seed};
    succeed(nn_graph_create(&t->graph, input));
    double *picture = twin_tensor(t, 0, input);
    for (size_t k = 0; k < nn_shape_values(input); k++) picture[k] = uniform(&t->random, -2, 2);
}

static inline void twin_clear(twin *t)
{
    for (size_t k = 0; k < t->count; k++) free(t->value[k]);
    nn_graph_destroy(t->graph);
}

/* ---- layers; numbers of 0 mean what they mean in the specs ---- */

static inline nn_tensor twin_convolution(twin *t, nn_tensor in, nn_convolution_spec spec)
{
    nn_tensor out;
    nn_shape from = t->shape[in], to = {spec.channels, 0, 0};
    unsigned groups = spec.groups ? spec.groups : 1, sy = spec.stride_y ? spec.stride_y : 1,
             sx = spec.stride_x ? spec.stride_x : 1, dy = spec.dilation_y ? spec.dilation_y : 1,
             dx = spec.dilation_x ? spec.dilation_x : 1;
    unsigned per_group = from.channels / groups, taps = spec.kernel_y * spec.kernel_x;
    double size = 1.7 / sqrt((double)per_group * taps);
    double *weight = twin_random(t, (size_t)spec.channels * per_group * taps, -size, size),
           *bias = twin_random(t, spec.channels, -0.3, 0.3);
    spec.weight = weight;
    spec.bias = bias;
    succeed(nn_graph_convolution(t->graph, &out, "convolution", in, &spec));
    to.height =
        (from.height + spec.pad_top + spec.pad_bottom - dy * (spec.kernel_y - 1) - 1) / sy + 1;
    to.width =
        (from.width + spec.pad_left + spec.pad_right - dx * (spec.kernel_x - 1) - 1) / sx + 1;
    double *result = twin_tensor(t, out, to);
    for (unsigned o = 0; o < to.channels; o++)
        for (unsigned y = 0; y < to.height; y++)
            for (unsigned x = 0; x < to.width; x++) {
                double sum = bias[o];
                for (unsigned i = 0; i < per_group; i++)
                    for (unsigned k = 0; k < taps; k++) {
                        long yy = (long)(y * sy + k / spec.kernel_x * dy) - spec.pad_top,
                             xx = (long)(x * sx + k % spec.kernel_x * dx) - spec.pad_left;
                        unsigned c = o / (to.channels / groups) * per_group + i;
                        if (yy >= 0 && yy < (long)from.height && xx >= 0 && xx < (long)from.width)
                            sum += weight[((size_t)o * per_group + i) * taps + k] *
                                   t->value[in][twin_at(from, c, (unsigned)yy, (unsigned)xx)];
                    }
                result[twin_at(to, o, y, x)] = sum;
            }
    free(weight);
    free(bias);
    return out;
}

/* kernel x kernel, padded so that stride 1 keeps the shape */
static inline nn_tensor twin_conv(twin *t, nn_tensor in, unsigned channels, unsigned kernel,
                                  unsigned stride, unsigned groups)
{
    unsigned pad = kernel / 2;
    return twin_convolution(t, in,
                            (nn_convolution_spec){.channels = channels,
                                                  .groups = groups,
                                                  .kernel_y = kernel,
                                                  .kernel_x = kernel,
                                                  .stride_y = stride,
                                                  .stride_x = stride,
                                                  .pad_top = pad,
                                                  .pad_left = pad,
                                                  .pad_bottom = pad,
                                                  .pad_right = pad});
}

static inline nn_tensor twin_dense(twin *t, nn_tensor in, size_t count)
{
    nn_tensor out;
    size_t values = nn_shape_values(t->shape[in]);
    double size = 1.7 / sqrt((double)values);
    double *weight = twin_random(t, count * values, -size, size),
           *bias = twin_random(t, count, -0.3, 0.3);
    succeed(nn_graph_dense(t->graph, &out, "dense", in, count, weight, bias));
    double *result = twin_tensor(t, out, (nn_shape){(unsigned)count, 1, 1});
    for (size_t k = 0; k < count; k++) {
        result[k] = bias[k];
        for (size_t j = 0; j < values; j++) result[k] += weight[k * values + j] * t->value[in][j];
    }
    free(weight);
    free(bias);
    return out;
}

static inline nn_tensor twin_affine(twin *t, nn_tensor in)
{
    nn_tensor out;
    nn_shape s = t->shape[in];
    double *scale = twin_random(t, s.channels, 0.5, 1.5),
           *shift = twin_random(t, s.channels, -0.5, 0.5);
    succeed(nn_graph_affine(t->graph, &out, "batch norm", in, scale, shift));
    double *result = twin_tensor(t, out, s);
    for (size_t k = 0; k < nn_shape_values(s); k++) {
        size_t c = k / ((size_t)s.height * s.width);
        result[k] = t->value[in][k] * scale[c] + shift[c];
    }
    free(scale);
    free(shift);
    return out;
}

static inline nn_tensor twin_affine_full(twin *t, nn_tensor in)
{
    nn_tensor out;
    nn_shape s = t->shape[in];
    size_t count = nn_shape_values(s);
    double *scale = twin_random(t, count, 0.5, 1.5), *shift = twin_random(t, count, -0.5, 0.5);
    succeed(nn_graph_affine_full(t->graph, &out, "affine", in, scale, shift));
    double *result = twin_tensor(t, out, s);
    for (size_t k = 0; k < count; k++) result[k] = t->value[in][k] * scale[k] + shift[k];
    free(scale);
    free(shift);
    return out;
}

static inline nn_tensor twin_combine(twin *t, nn_tensor x, double a, nn_tensor y, double b)
{
    nn_tensor out;
    succeed(nn_graph_combine(t->graph, &out, "sum", x, a, y, b));
    double *result = twin_tensor(t, out, t->shape[x]);
    for (size_t k = 0; k < nn_shape_values(t->shape[x]); k++)
        result[k] = a * t->value[x][k] + b * t->value[y][k];
    return out;
}

static inline nn_tensor twin_add(twin *t, nn_tensor x, nn_tensor y)
{
    return twin_combine(t, x, 1, y, 1);
}

static inline nn_tensor twin_concat(twin *t, const nn_tensor *parts, size_t count)
{
    nn_tensor out;
    nn_shape s = t->shape[parts[0]];
    s.channels = 0;
    for (size_t k = 0; k < count; k++) s.channels += t->shape[parts[k]].channels;
    succeed(nn_graph_concat(t->graph, &out, "concat", parts, count));
    double *result = twin_tensor(t, out, s);
    for (size_t k = 0; k < count; k++) {
        size_t values = nn_shape_values(t->shape[parts[k]]);
        memcpy(result, t->value[parts[k]], values * sizeof *result);
        result += values;
    }
    return out;
}

/* The largest or, with `average`, the mean over windows. */
static inline nn_tensor twin_pool(twin *t, nn_tensor in, nn_pool_spec spec, bool average)
{
    nn_tensor out;
    nn_shape from = t->shape[in], to = from;
    unsigned sy = spec.stride_y ? spec.stride_y : 1, sx = spec.stride_x ? spec.stride_x : 1;
    to.height = (from.height + spec.pad_top + spec.pad_bottom - spec.kernel_y) / sy + 1;
    to.width = (from.width + spec.pad_left + spec.pad_right - spec.kernel_x) / sx + 1;
    if (average)
        succeed(nn_graph_average_pool(t->graph, &out, "average pool", in, &spec));
    else
        succeed(nn_graph_max_pool(t->graph, &out, "max pool", in, &spec));
    double *result = twin_tensor(t, out, to);
    for (unsigned c = 0; c < to.channels; c++)
        for (unsigned y = 0; y < to.height; y++)
            for (unsigned x = 0; x < to.width; x++) {
                double sum = 0, largest = -(double)INFINITY, inside = 0;
                for (unsigned k = 0; k < spec.kernel_y * spec.kernel_x; k++) {
                    long yy = (long)(y * sy + k / spec.kernel_x) - spec.pad_top,
                         xx = (long)(x * sx + k % spec.kernel_x) - spec.pad_left;
                    if (yy < 0 || yy >= (long)from.height || xx < 0 || xx >= (long)from.width)
                        continue;
                    double v = t->value[in][twin_at(from, c, (unsigned)yy, (unsigned)xx)];
                    sum += v;
                    largest = fmax(largest, v);
                    inside++;
                }
                double divisor = spec.count_padding ? spec.kernel_y * spec.kernel_x : inside;
                result[twin_at(to, c, y, x)] = average ? sum / divisor : largest;
            }
    return out;
}

static inline nn_tensor twin_max_pool(twin *t, nn_tensor in, unsigned kernel, unsigned stride)
{
    return twin_pool(
        t, in,
        (nn_pool_spec){
            .kernel_y = kernel, .kernel_x = kernel, .stride_y = stride, .stride_x = stride},
        false);
}

static inline nn_tensor twin_global(twin *t, nn_tensor in)
{
    nn_tensor out;
    nn_shape s = t->shape[in];
    size_t plane = (size_t)s.height * s.width;
    succeed(nn_graph_global_average_pool(t->graph, &out, "global pool", in));
    double *result = twin_tensor(t, out, (nn_shape){s.channels, 1, 1});
    for (size_t k = 0; k < nn_shape_values(s); k++)
        result[k / plane] += t->value[in][k] / (double)plane;
    return out;
}

static inline nn_tensor twin_pad(twin *t, nn_tensor in, int top, int left, int bottom, int right)
{
    nn_tensor out;
    nn_shape s = t->shape[in], to = s;
    to.height = (unsigned)((int)s.height + top + bottom);
    to.width = (unsigned)((int)s.width + left + right);
    succeed(nn_graph_pad(t->graph, &out, "pad", in, top, left, bottom, right));
    double *result = twin_tensor(t, out, to);
    for (unsigned c = 0; c < s.channels; c++)
        for (int y = 0; y < (int)to.height; y++)
            for (int x = 0; x < (int)to.width; x++)
                if (y >= top && y - top < (int)s.height && x >= left && x - left < (int)s.width)
                    result[twin_at(to, c, (unsigned)y, (unsigned)x)] =
                        t->value[in][twin_at(s, c, (unsigned)(y - top), (unsigned)(x - left))];
    return out;
}

static inline nn_tensor twin_select(twin *t, nn_tensor in, nn_shape shape, const uint32_t *index)
{
    nn_tensor out;
    succeed(nn_graph_select(t->graph, &out, "select", in, shape, index));
    double *result = twin_tensor(t, out, shape);
    for (size_t k = 0; k < nn_shape_values(shape); k++) result[k] = t->value[in][index[k]];
    return out;
}

/* (c, y, x) becomes (y, x, c): from channels first to channels last. */
static inline nn_tensor twin_channels_last(twin *t, nn_tensor in)
{
    nn_shape s = t->shape[in];
    uint32_t *index = malloc(nn_shape_values(s) * sizeof *index), *at = index;
    ck_assert_ptr_nonnull(index);
    for (unsigned y = 0; y < s.height; y++)
        for (unsigned x = 0; x < s.width; x++)
            for (unsigned c = 0; c < s.channels; c++) *at++ = (uint32_t)twin_at(s, c, y, x);
    nn_tensor out = twin_select(t, in, (nn_shape){s.height, s.width, s.channels}, index);
    free(index);
    return out;
}

static inline nn_tensor twin_reshape(twin *t, nn_tensor in, nn_shape shape)
{
    nn_tensor out;
    succeed(nn_graph_reshape(t->graph, &out, "reshape", in, shape));
    double *result = twin_tensor(t, out, shape);
    memcpy(result, t->value[in], nn_shape_values(shape) * sizeof *result);
    return out;
}

static inline nn_tensor twin_activation(twin *t, nn_tensor in, const char *kind)
{
    nn_tensor out;
    ola_function f;
    ck_assert(ola_function_find(&f, kind));
    nn_activation_spec spec = {.kind = kind, .a = f.a, .b = f.b};
    succeed(nn_graph_activation(t->graph, &out, kind, in, &spec));
    double *result = twin_tensor(t, out, t->shape[in]);
    for (size_t k = 0; k < nn_shape_values(t->shape[in]); k++)
        result[k] = ola_function_eval(&f, t->value[in][k]);
    return out;
}

static inline void twin_finish(twin *t, nn_tensor scores)
{
    succeed(nn_graph_finish(t->graph, scores));
    t->scores = scores;
}

/* ---- a few kinds of networks ---- */

static inline nn_tensor twin_layer(twin *t, nn_tensor in, unsigned channels, unsigned kernel,
                                   unsigned stride, unsigned groups, const char *kind)
{
    in = twin_affine(t, twin_conv(t, in, channels, kernel, stride, groups));
    return kind ? twin_activation(t, in, kind) : in;
}

static inline void twin_mobile(twin *t, const char *kind)
{
    nn_tensor x = twin_layer(t, 0, 8, 3, 2, 1, kind), y;
    y = twin_layer(t, twin_layer(t, x, 8, 3, 1, 8, kind), 8, 1, 1, 1, NULL);
    x = twin_add(t, x, y); /* a linear bottleneck */
    x = twin_layer(t, x, 24, 1, 1, 1, kind);
    x = twin_layer(t, twin_layer(t, x, 24, 5, 2, 24, kind), 12, 1, 1, 1, NULL);
    twin_finish(t, twin_dense(t, twin_global(t, twin_layer(t, x, 20, 1, 1, 1, kind)), 5));
}

static inline void twin_vgg(twin *t, const char *kind)
{
    nn_tensor x = twin_layer(t, 0, 6, 3, 1, 1, kind);
    x = twin_max_pool(t, x, 2, 2);
    x = twin_max_pool(t, twin_layer(t, x, 9, 3, 1, 1, kind), 2, 2);
    x = twin_reshape(t, x, (nn_shape){(unsigned)nn_shape_values(t->shape[x]), 1, 1});
    twin_finish(t, twin_dense(t, twin_activation(t, twin_dense(t, x, 16), kind), 4));
}

static inline void twin_dense_net(twin *t)
{
    nn_tensor x = twin_conv(t, 0, 6, 3, 1, 1);
    for (unsigned k = 0; k < 3; k++) {
        nn_tensor y = twin_activation(t, twin_affine(t, x), "relu"), parts[2] = {x, 0};
        parts[1] = twin_conv(t, y, 4, 3, 1, 1);
        x = twin_concat(t, parts, 2);
    }
    x = twin_activation(t, twin_affine(t, x), "relu");
    x = twin_pool(t, twin_conv(t, x, 8, 1, 1, 1),
                  (nn_pool_spec){.kernel_y = 2, .kernel_x = 2, .stride_y = 2, .stride_x = 2}, true);
    x = twin_activation(t, twin_affine(t, x), "relu");
    twin_finish(t, twin_dense(t, twin_global(t, x), 3));
}

/* Pre-activation ResNet: the affine map before a zero-padded convolution has an activation between
 * them; with `linear` it has not, so that borders have biases of their own. */
static inline void twin_preactivation(twin *t, const char *kind, bool linear)
{
    nn_tensor x = twin_conv(t, linear ? twin_affine(t, 0) : 0, 8, 3, 1, 1);
    for (unsigned k = 0; k < 3; k++) {
        nn_tensor y = twin_activation(t, twin_affine(t, x), kind);
        nn_tensor skip = k == 1 ? twin_conv(t, y, 12, 1, 2, 1) : x;
        unsigned channels = t->shape[skip].channels;
        y = twin_conv(t, y, channels, 3, k == 1 ? 2 : 1, 1);
        y = twin_conv(t, twin_activation(t, twin_affine(t, y), kind), channels, 3, 1, 1);
        x = twin_add(t, skip, y);
    }
    x = twin_activation(t, twin_affine(t, x), kind);
    twin_finish(t, twin_dense(t, twin_global(t, x), 4));
}

/* Channels last around everything, as TensorFlow writes it. */
static inline void twin_tensorflow(twin *t)
{
    nn_tensor x = twin_layer(t, 0, 6, 3, 2, 1, NULL);
    x = twin_activation(t, twin_channels_last(t, x), "silu");
    x = twin_affine_full(t, x);
    x = twin_reshape(t, x, (nn_shape){(unsigned)nn_shape_values(t->shape[x]), 1, 1});
    x = twin_activation(t, twin_dense(t, x, 12), "tanh");
    twin_finish(t, twin_dense(t, x, 3));
}

#define TWIN_KINDS 9
static const char *const twin_kind_names[TWIN_KINDS] = {
    "mobile relu6", "mobile silu", "vgg",        "concatenation", "preactivation gelu",
    "full biases",  "tensorflow",  "28x28 grey", "64x64 colour"};

static inline void twin_kind(twin *t, unsigned kind, uint64_t seed)
{
    static const nn_shape shapes[TWIN_KINDS] = {{3, 16, 16}, {3, 13, 15}, {3, 16, 12},
                                                {3, 8, 8},   {3, 9, 9},   {1, 9, 9},
                                                {1, 10, 14}, {1, 28, 28}, {3, 64, 64}};
    twin_init(t, shapes[kind], seed);
    if (kind == 0 || kind == 8) twin_mobile(t, "relu6");
    if (kind == 1) twin_mobile(t, "silu");
    if (kind == 2) twin_vgg(t, "relu");
    if (kind == 7) twin_vgg(t, "silu");
    if (kind == 3) twin_dense_net(t);
    if (kind == 4) twin_preactivation(t, "gelu", false);
    if (kind == 5) twin_preactivation(t, "leaky_relu", true);
    if (kind == 6) twin_tensorflow(t);
}

#endif
