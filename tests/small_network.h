/* SPDX-License-Identifier: Apache-2.0 */
/* A small random ResNet with a random plan, and the definition of what it computes: the reference
 * of the network tests. */
#ifndef TESTS_SMALL_NETWORK_H
#define TESTS_SMALL_NETWORK_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn/graph/model.h"
#include "nn/graph/model_io.h"
#include "nn/graph/resnet.h"

#define SMALL_EPS 0.25

typedef struct small_network {
    nn_model model;
    nn_plan plan;
    uint64_t state; /* of the random numbers */
} small_network;

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

static inline nn_conv small_conv(small_network *n, unsigned in, unsigned out, unsigned kernel,
                                 unsigned stride, unsigned in_size)
{
    nn_conv c = {.in = in, .out = out, .kernel = kernel, .stride = stride, .in_size = in_size};
    size_t fan_in = (size_t)in * kernel * kernel;
    c.weight = small_vector(n, out * fan_in, 1.5 / sqrt((double)fan_in));
    c.bias = small_vector(n, out, 0.2);
    return c;
}

static inline void small_activation(small_network *n, nn_activation *a, unsigned channels,
                                    unsigned degree)
{
    *a = (nn_activation){.degree = degree, .channels = channels};
    a->centre = small_vector(n, channels, 0.3);
    a->half_width = small_vector(n, channels, 1);
    a->coeff = small_vector(n, (size_t)(degree + 1) * channels, 1);
    for (unsigned c = 0; c < channels; c++) a->half_width[c] = 3;
}

/* `pad`: zero-padded shortcuts instead of projections. Degrees run 3, 5, 7, 15, 3, ... */
static inline void small_network_init(small_network *n, unsigned blocks_per_stage, unsigned classes,
                                      int pad, uint64_t seed)
{
    static const unsigned degrees[] = {3, 5, 7, 15};
    *n = (small_network){.state = seed};
    nn_model *m = &n->model;
    m->blocks_per_stage = blocks_per_stage;
    m->depth = 6 * blocks_per_stage + 2;
    m->first = small_conv(n, 3, 16, 3, 1, 32);
    m->blocks = calloc(3 * blocks_per_stage, sizeof *m->blocks);
    n->plan.eps = SMALL_EPS;
    n->plan.count = 6 * blocks_per_stage + 1;
    n->plan.activations = calloc(n->plan.count, sizeof *n->plan.activations);
    if (!m->blocks || !n->plan.activations) abort();
    small_activation(n, &n->plan.activations[0], 16, 7);
    for (unsigned k = 0; k < 3 * blocks_per_stage; k++) {
        unsigned stage = k / blocks_per_stage, change = stage > 0 && k % blocks_per_stage == 0;
        unsigned out = 16u << stage, in = change ? out / 2 : out, size = 32u >> stage;
        nn_block *b = &m->blocks[k];
        b->conv1 = small_conv(n, in, out, 3, 1 + change, size << change);
        b->conv2 = small_conv(n, out, out, 3, 1, size);
        b->shortcut = !change ? NN_SHORTCUT_IDENTITY
                      : pad   ? NN_SHORTCUT_PAD
                              : NN_SHORTCUT_PROJECTION;
        if (b->shortcut == NN_SHORTCUT_PROJECTION)
            b->projection = small_conv(n, in, out, 1, 2, 2 * size);
        small_activation(n, &n->plan.activations[2 * k + 1], out, degrees[2 * k % 4]);
        small_activation(n, &n->plan.activations[2 * k + 2], out, degrees[(2 * k + 1) % 4]);
    }
    m->classes = classes;
    m->fc_weight = small_vector(n, (size_t)classes * 64, 1);
    m->fc_bias = small_vector(n, classes, 1);
    for (int i = 0; i < 3; i++) m->mean[i] = 0.45, m->std[i] = 0.2 + 0.02 * i;
    m->test_accuracy = 50;
    m->class_names = calloc(classes, sizeof *m->class_names);
    if (!m->class_names) abort();
    for (unsigned i = 0; i < classes; i++) {
        m->class_names[i] = malloc(2);
        if (!m->class_names[i]) abort();
        m->class_names[i][0] = (char)('a' + i % 26);
        m->class_names[i][1] = 0;
    }
    m->hash = n->plan.model_hash = 42;
    if (nn_resnet_graph(&m->graph, m) != FHOLA_OK) abort();
}

static inline void small_conv_clear(nn_conv *c)
{
    free(c->weight);
    free(c->bias);
}

static inline void small_network_clear(small_network *n)
{
    nn_graph_destroy(n->model.graph);
    small_conv_clear(&n->model.first);
    for (unsigned k = 0; k < 3 * n->model.blocks_per_stage; k++) {
        small_conv_clear(&n->model.blocks[k].conv1);
        small_conv_clear(&n->model.blocks[k].conv2);
        small_conv_clear(&n->model.blocks[k].projection);
    }
    for (size_t i = 0; i < n->plan.count; i++) {
        free(n->plan.activations[i].centre);
        free(n->plan.activations[i].half_width);
        free(n->plan.activations[i].coeff);
    }
    for (unsigned i = 0; i < n->model.classes; i++) free(n->model.class_names[i]);
    free(n->model.class_names);
    free(n->model.blocks);
    free(n->model.fc_weight);
    free(n->model.fc_bias);
    free(n->plan.activations);
}

static inline void direct_conv(const nn_conv *c, double *out, const double *in)
{
    unsigned side = c->in_size / c->stride;
    int half = (int)(c->kernel / 2), size = (int)c->in_size;
    for (unsigned o = 0; o < c->out; o++)
        for (unsigned y = 0; y < side; y++)
            for (unsigned x = 0; x < side; x++) {
                double sum = c->bias[o];
                for (unsigned i = 0; i < c->in; i++)
                    for (int ky = 0; ky < (int)c->kernel; ky++)
                        for (int kx = 0; kx < (int)c->kernel; kx++) {
                            int yy = (int)(y * c->stride) + ky - half,
                                xx = (int)(x * c->stride) + kx - half;
                            if (yy >= 0 && yy < size && xx >= 0 && xx < size)
                                sum += c->weight[((o * c->in + i) * c->kernel + (unsigned)ky) *
                                                     c->kernel +
                                                 (unsigned)kx] *
                                       in[((int)i * size + yy) * size + xx];
                        }
                out[(o * side + y) * side + x] = sum;
            }
}

/* values (channels * pixels) through the activation; *max_w: the largest |w| so far. With `fit`
 * half-widths are set to what the values need first. */
static inline void direct_activation(const nn_activation *a, double eps, double *values,
                                     size_t pixels, double *max_w, int fit)
{
    const double pi = acos(-1.0);
    for (unsigned c = 0; c < a->channels; c++) {
        if (fit) a->half_width[c] = 0.3;
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

static inline void direct_shortcut(const nn_block *b, double *out, const double *in)
{
    unsigned channels = b->conv1.in, size = b->conv1.in_size, half = size / 2;
    if (b->shortcut == NN_SHORTCUT_IDENTITY) {
        memcpy(out, in, (size_t)channels * size * size * sizeof *out);
    } else if (b->shortcut == NN_SHORTCUT_PROJECTION) {
        direct_conv(&b->projection, out, in);
    } else {
        memset(out, 0, (size_t)2 * channels * half * half * sizeof *out);
        for (unsigned c = 0; c < channels; c++)
            for (unsigned y = 0; y < half; y++)
                for (unsigned x = 0; x < half; x++)
                    out[((c + channels / 2) * half + y) * half + x] =
                        in[(c * size + 2 * y) * size + 2 * x];
    }
}

/* Scores of a normalised picture. `layers` (may be NULL) gets the output of every activation, 16384
 * doubles apart. Returns the largest |w|. With `fit` the plan's half-widths are changed to suit
 * this picture. */
static inline double direct_network(const small_network *n, double *scores, const double *picture,
                                    double *layers, int fit)
{
    static double x[16384], y[16384], z[16384], kept[16384];
    const nn_model *m = &n->model;
    const nn_activation *a = n->plan.activations;
    double max_w = 0;
    direct_conv(&m->first, x, picture);
    direct_activation(&a[0], n->plan.eps, x, 1024, &max_w, fit);
    if (layers) memcpy(layers, x, sizeof x);
    for (unsigned k = 0; k < 3 * m->blocks_per_stage; k++) {
        const nn_block *b = &m->blocks[k];
        size_t pixels = (size_t)b->conv2.in_size * b->conv2.in_size;
        direct_shortcut(b, kept, x);
        direct_conv(&b->conv1, y, x);
        direct_activation(&a[2 * k + 1], n->plan.eps, y, pixels, &max_w, fit);
        if (layers) memcpy(layers + (2 * k + 1) * 16384, y, sizeof y);
        direct_conv(&b->conv2, z, y);
        for (size_t i = 0; i < b->conv2.out * pixels; i++) x[i] = z[i] + kept[i];
        direct_activation(&a[2 * k + 2], n->plan.eps, x, pixels, &max_w, fit);
        if (layers) memcpy(layers + (2 * k + 2) * 16384, x, sizeof x);
    }
    for (unsigned r = 0; r < m->classes; r++) {
        scores[r] = m->fc_bias[r];
        for (unsigned i = 0; i < 4096; i++) scores[r] += m->fc_weight[r * 64 + i / 64] * x[i] / 64;
    }
    return max_w;
}

#endif
