/* SPDX-License-Identifier: Apache-2.0 */
/* Small random networks with random plans, and the definition of what they compute: the reference
 * of the network tests. */
#ifndef TESTS_SMALL_NETWORK_H
#define TESTS_SMALL_NETWORK_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/graph/graph.h"
#include "nn/graph/model.h"
#include "nn/graph/model_io.h"
#include "nn/nn.h"

#define SMALL_EPS    0.25
#define SMALL_VALUES 65536u /* of a tensor, at most */

typedef struct small_network {
    nn_model model;
    nn_plan plan;
    uint64_t state; /* of the random numbers */
    double reach;   /* of weights, over the square root of the number of inputs */
} small_network;

static inline void small_must(fhola_status status)
{
    if (status == FHOLA_OK) return;
    fprintf(stderr, "a small network: %s: %s\n", fhola_strerror(status), fhola_detail());
    abort();
}

static inline double small_uniform(small_network *n)
{
    n->state = n->state * 6364136223846793005u + 1442695040888963407u;
    return (double)(int64_t)(n->state >> 11) / 4503599627370496.0 - 1;
}

static inline double *small_vector(small_network *n, size_t count, double size)
{
    double *v = malloc(count * sizeof *v);
    if (!v) abort();
    for (size_t i = 0; i < count; i++) v[i] = size * small_uniform(n);
    return v;
}

/* ---- layers: each takes a tensor and gives one ---- */

static inline void small_begin(small_network *n, nn_shape input, uint64_t seed)
{
    *n = (small_network){.state = seed, .reach = 1.5};
    small_must(nn_graph_create(&n->model.graph, input));
}

/* Random weights and biases for a geometry. */
static inline nn_tensor small_convolution(small_network *n, nn_tensor in, nn_convolution_spec spec)
{
    nn_tensor out;
    unsigned groups = spec.groups ? spec.groups : 1;
    size_t fan_in = (size_t)nn_graph_shape(n->model.graph, in).channels / groups * spec.kernel_y *
                    spec.kernel_x;
    double *weight = small_vector(n, spec.channels * fan_in, n->reach / sqrt((double)fan_in)),
           *bias = small_vector(n, spec.channels, 0.2);
    spec.weight = weight;
    spec.bias = bias;
    small_must(nn_graph_convolution(n->model.graph, &out, "convolution", in, &spec));
    free(weight);
    free(bias);
    return out;
}

/* Square, padded to keep the side up to its stride. */
static inline nn_tensor small_conv(small_network *n, nn_tensor in, unsigned channels,
                                   unsigned kernel, unsigned stride)
{
    unsigned pad = kernel / 2;
    return small_convolution(n, in,
                             (nn_convolution_spec){.channels = channels,
                                                   .kernel_y = kernel,
                                                   .kernel_x = kernel,
                                                   .stride_y = stride,
                                                   .stride_x = stride,
                                                   .pad_top = pad,
                                                   .pad_left = pad,
                                                   .pad_bottom = pad,
                                                   .pad_right = pad});
}

static inline nn_tensor small_dense(small_network *n, nn_tensor in, size_t count)
{
    nn_tensor out;
    nn_shape s = nn_graph_shape(n->model.graph, in);
    size_t inputs = (size_t)s.channels * s.height * s.width;
    double *weight = small_vector(n, count * inputs, n->reach / sqrt((double)inputs)),
           *bias = small_vector(n, count, 0.2);
    small_must(nn_graph_dense(n->model.graph, &out, "dense", in, count, weight, bias));
    free(weight);
    free(bias);
    return out;
}

static inline nn_tensor small_activation(small_network *n, nn_tensor in, const char *kind)
{
    nn_tensor out;
    const nn_activation_spec spec = {.kind = kind};
    small_must(nn_graph_activation(n->model.graph, &out, kind, in, &spec));
    return out;
}

static inline nn_tensor small_relu(small_network *n, nn_tensor in)
{
    return small_activation(n, in, "relu");
}

/* A batch norm: factors about 1. */
static inline nn_tensor small_norm(small_network *n, nn_tensor in)
{
    nn_tensor out;
    unsigned channels = nn_graph_shape(n->model.graph, in).channels;
    double *scale = small_vector(n, channels, 0.5), *shift = small_vector(n, channels, 0.3);
    for (unsigned c = 0; c < channels; c++) scale[c] += 1;
    small_must(nn_graph_affine(n->model.graph, &out, "norm", in, scale, shift));
    free(scale);
    free(shift);
    return out;
}

static inline nn_tensor small_add(small_network *n, nn_tensor x, nn_tensor y)
{
    nn_tensor out;
    small_must(nn_graph_add(n->model.graph, &out, "add", x, y));
    return out;
}

static inline nn_tensor small_concat(small_network *n, nn_tensor x, nn_tensor y)
{
    nn_tensor out;
    const nn_tensor parts[] = {x, y};
    small_must(nn_graph_concat(n->model.graph, &out, "concat", parts, 2));
    return out;
}

static inline nn_pool_spec small_pool_spec(unsigned kernel, unsigned stride)
{
    return (nn_pool_spec){
        .kernel_y = kernel, .kernel_x = kernel, .stride_y = stride, .stride_x = stride};
}

static inline nn_tensor small_average(small_network *n, nn_tensor in, unsigned kernel,
                                      unsigned stride)
{
    nn_tensor out;
    const nn_pool_spec spec = small_pool_spec(kernel, stride);
    small_must(nn_graph_average_pool(n->model.graph, &out, "average", in, &spec));
    return out;
}

static inline nn_tensor small_max(small_network *n, nn_tensor in, unsigned kernel, unsigned stride)
{
    nn_tensor out;
    const nn_pool_spec spec = small_pool_spec(kernel, stride);
    small_must(nn_graph_max_pool(n->model.graph, &out, "max", in, &spec));
    return out;
}

static inline nn_tensor small_global(small_network *n, nn_tensor in)
{
    nn_tensor out;
    small_must(nn_graph_global_average_pool(n->model.graph, &out, "global", in));
    return out;
}

/* ---- the end: a model and its plan ---- */

/* Coefficients that fall with the degree, as those of activations do. */
static inline void small_polynomial(small_network *n, nn_activation *a, unsigned channels,
                                    unsigned degree)
{
    *a = (nn_activation){.degree = degree, .channels = channels};
    a->centre = small_vector(n, channels, 0.3);
    a->half_width = small_vector(n, channels, 1);
    a->coeff = small_vector(n, (size_t)(degree + 1) * channels, 1);
    for (unsigned c = 0; c < channels; c++) a->half_width[c] = 3;
    for (unsigned k = 2; k <= degree; k++)
        for (unsigned c = 0; c < channels; c++) a->coeff[k * channels + c] /= k * k;
    for (unsigned c = 0; c < channels; c++)
        a->coeff[channels + c] += copysign(0.5, a->coeff[channels + c]);
}

static inline void small_classes(nn_model *m, unsigned classes)
{
    m->classes = classes;
    m->class_names = calloc(classes, sizeof *m->class_names);
    if (!m->class_names) abort();
    for (unsigned i = 0; i < classes; i++) {
        m->class_names[i] = malloc(2);
        if (!m->class_names[i]) abort();
        m->class_names[i][0] = (char)('a' + i % 26);
        m->class_names[i][1] = 0;
    }
}

/* Degrees run 7, 3, 5, 7, 15, 3, ... */
static inline void small_end(small_network *n, nn_tensor scores)
{
    static const unsigned degrees[] = {3, 5, 7, 15};
    nn_model *m = &n->model;
    small_must(nn_graph_finish(m->graph, scores));
    n->plan.eps = SMALL_EPS;
    n->plan.count = nn_graph_layers(m->graph);
    n->plan.activations = calloc(n->plan.count, sizeof *n->plan.activations);
    if (!n->plan.activations) abort();
    for (size_t i = 0; i < n->plan.count; i++)
        small_polynomial(n, &n->plan.activations[i], nn_graph_layer(m->graph, i)->shape.channels,
                         i ? degrees[(i - 1) % 4] : 7);
    for (int i = 0; i < 3; i++) m->mean[i] = 0.45, m->std[i] = 0.2 + 0.02 * i;
    m->test_accuracy = 50;
    small_classes(m, nn_graph_scores(m->graph)->shape.channels);
    m->hash = n->plan.model_hash = 42;
}

static inline void small_network_clear(small_network *n)
{
    nn_model *m = &n->model;
    for (size_t i = 0; i < n->plan.count; i++) {
        free(n->plan.activations[i].centre);
        free(n->plan.activations[i].half_width);
        free(n->plan.activations[i].coeff);
    }
    free(n->plan.activations);
    for (unsigned i = 0; i < m->classes; i++) free(m->class_names[i]);
    free(m->class_names);
    nn_graph_destroy(m->graph);
}

/* ---- a residual network for 3 x 32 x 32 ---- */

/* Every second pixel, between zero channels. */
static inline nn_tensor small_padded_shortcut(small_network *n, nn_tensor in, unsigned channels)
{
    nn_tensor out;
    double *weight = calloc((size_t)channels * channels / 2, sizeof *weight);
    if (!weight) abort();
    for (unsigned c = 0; c < channels / 2; c++) weight[(c + channels / 4) * (channels / 2) + c] = 1;
    const nn_convolution_spec spec = {.channels = channels,
                                      .kernel_y = 1,
                                      .kernel_x = 1,
                                      .stride_y = 2,
                                      .stride_x = 2,
                                      .weight = weight};
    small_must(nn_graph_convolution(n->model.graph, &out, "shortcut", in, &spec));
    free(weight);
    return out;
}

static inline nn_tensor small_block(small_network *n, nn_tensor x, unsigned channels, int change,
                                    int pad)
{
    nn_tensor inside = small_relu(n, small_conv(n, x, channels, 3, 1 + (unsigned)change)),
              kept = !change ? x
                     : pad   ? small_padded_shortcut(n, x, channels)
                             : small_conv(n, x, channels, 1, 2);
    return small_relu(n, small_add(n, small_conv(n, inside, channels, 3, 1), kept));
}

/* `pad`: zero-padded shortcuts instead of projections. */
static inline void small_network_init(small_network *n, unsigned blocks_per_stage, unsigned classes,
                                      int pad, uint64_t seed)
{
    small_begin(n, (nn_shape){3, 32, 32}, seed);
    nn_tensor x = small_relu(n, small_conv(n, 0, 16, 3, 1));
    for (unsigned k = 0; k < 3 * blocks_per_stage; k++)
        x = small_block(n, x, 16u << k / blocks_per_stage,
                        k >= blocks_per_stage && k % blocks_per_stage == 0, pad);
    small_end(n, small_dense(n, small_global(n, x), classes));
}

/* ---- the definition ---- */

/* Values of one node through its activation; *max_w: the largest |w| so far. With `fit` half-widths
 * are set to what the values need first; 2: where that is more than they are. */
static inline void direct_activation(const nn_activation *a, double eps, double *values,
                                     size_t pixels, double *max_w, int fit)
{
    const double pi = acos(-1.0);
    for (unsigned c = 0; c < a->channels; c++) {
        if (fit == 1) a->half_width[c] = 0.3;
        for (size_t p = 0; fit && p < pixels; p++)
            a->half_width[c] =
                fmax(a->half_width[c], 1.2 * fabs(values[c * pixels + p] - a->centre[c]));
        for (size_t p = 0; p < pixels; p++) {
            double w = (values[c * pixels + p] - a->centre[c]) / a->half_width[c];
            double x = eps > 0 ? sin(2 * pi * eps * w) / sin(2 * pi * eps) : w;
            double t0 = 1, t1 = x, sum = a->coeff[c] + a->coeff[a->channels + c] * x;
            for (unsigned k = 2; k <= a->degree; k++) {
                double t = 2 * x * t1 - t0;
                t0 = t1;
                t1 = t;
                sum += a->coeff[(size_t)k * a->channels + c] * t;
            }
            *max_w = fmax(*max_w, fabs(w));
            values[c * pixels + p] = sum;
        }
    }
}

/* The sum of the maps, and the bias, of node i. */
static inline double *direct_sum(const nn_graph *graph, size_t i, double *const *values)
{
    const nn_node *node = &graph->nodes[i];
    size_t count = nn_shape_values(node->shape);
    double *sum = malloc(count * sizeof *sum);
    if (!sum) abort();
    for (size_t k = 0; k < count; k++) sum[k] = nn_node_bias(node, k);
    for (size_t e = 0; e < node->edge_count; e++)
        nn_map_add(sum, &node->edges[e].map, values[node->edges[e].node]);
    return sum;
}

/* Scores of a normalised picture. `layers` (may be NULL) gets the output of every layer,
 * SMALL_VALUES doubles apart. Returns the largest |w|. With `fit` the plan's half-widths are
 * changed to suit this picture; 2: this one too. */
static inline double direct_network(const small_network *n, double *scores, const double *picture,
                                    double *layers, int fit)
{
    const nn_graph *graph = n->model.graph;
    double max_w = 0, **values = calloc(graph->count, sizeof *values);
    if (!values) abort();
    values[0] = malloc(nn_shape_values(graph->nodes[0].shape) * sizeof **values);
    if (!values[0]) abort();
    memcpy(values[0], picture, nn_shape_values(graph->nodes[0].shape) * sizeof **values);
    for (size_t i = 1; i < graph->count; i++) {
        nn_shape shape = graph->nodes[i].shape;
        values[i] = direct_sum(graph, i, values);
        if (i + 1 == graph->count) break;
        direct_activation(&n->plan.activations[i - 1], n->plan.eps, values[i],
                          (size_t)shape.height * shape.width, &max_w, fit);
        if (layers)
            memcpy(layers + (i - 1) * SMALL_VALUES, values[i],
                   nn_shape_values(shape) * sizeof **values);
    }
    memcpy(scores, values[graph->count - 1], n->model.classes * sizeof *scores);
    for (size_t i = 0; i < graph->count; i++) free(values[i]);
    free(values);
    return max_w;
}

/* A random picture, as its owner has it (in [0, 1]) and as the network takes it. */
static inline void small_picture(small_network *n, double *pixels, double *normalised)
{
    nn_shape shape = n->model.graph->nodes[0].shape;
    size_t plane = (size_t)shape.height * shape.width;
    for (size_t k = 0; k < nn_shape_values(shape); k++) {
        pixels[k] = (small_uniform(n) + 1) / 2;
        unsigned i = nn_normalised_by(shape.channels, (unsigned)(k / plane));
        normalised[k] = (pixels[k] - n->model.mean[i]) / n->model.std[i];
    }
}

#endif
