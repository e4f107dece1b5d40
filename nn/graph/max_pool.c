/* SPDX-License-Identifier: Apache-2.0 */
/* Max pooling: max(x, y) = (x + y)/2 + |x - y|/2, first along rows, then along columns. The largest
 * of a window of w places comes from two overlapping windows of at most w of the round before. */
#include <stdlib.h>

#include "nn/graph/builder.h"

/* One axis of a round: place p of the result compares places p * stride - pad and that plus
 * `distance`, each moved to the nearest one there is. */
typedef struct comparison {
    bool vertical;
    unsigned places, stride, pad, distance;
} comparison;

static uint32_t source(const comparison *c, nn_shape in, unsigned channel, unsigned y, unsigned x,
                       unsigned distance)
{
    unsigned side = c->vertical ? in.height : in.width;
    long place = (long)(c->vertical ? y : x) * c->stride - c->pad + distance;
    if (place < 0) place = 0;
    if (place >= (long)side) place = (long)side - 1;
    if (c->vertical)
        y = (unsigned)place;
    else
        x = (unsigned)place;
    return (channel * in.height + y) * in.width + x;
}

/* a x + b x', x' being `distance` further on. */
static fhola_status border_map(nn_map *map, const comparison *c, nn_shape in, nn_shape out,
                               const double *weight)
{
    size_t count = nn_shape_values(out), at = 0;
    nn_entry *entries = malloc(2 * count * sizeof *entries);
    if (!entries) return fhola_fail(FHOLA_NOMEM, "no memory for %zu comparisons", count);
    for (unsigned channel = 0; channel < out.channels; channel++)
        for (unsigned y = 0; y < out.height; y++)
            for (unsigned x = 0; x < out.width; x++, at++)
                for (unsigned k = 0; k < 2; k++)
                    entries[2 * at + k] = (nn_entry){
                        (uint32_t)at, source(c, in, channel, y, x, k * c->distance), weight[k]};
    fhola_status status = nn_map_from_entries(map, in, out, entries, 2 * count);
    free(entries);
    return status;
}

/* The same where no place lies outside. */
static fhola_status inner_map(nn_map *map, const comparison *c, nn_shape in, nn_shape out,
                              const double *weight)
{
    nn_convolution f = {.in_channels = in.channels,
                        .out_channels = in.channels,
                        .groups = in.channels,
                        .kernel_y = c->vertical ? 2 : 1,
                        .kernel_x = c->vertical ? 1 : 2,
                        .stride_y = c->vertical ? c->stride : 1,
                        .stride_x = c->vertical ? 1 : c->stride,
                        .dilation_y = c->vertical ? c->distance : 1,
                        .dilation_x = c->vertical ? 1 : c->distance,
                        .weight = malloc(2 * (size_t)in.channels * sizeof *f.weight)};
    if (!f.weight) return fhola_fail(FHOLA_NOMEM, "no memory for %u channels", in.channels);
    for (size_t k = 0; k < 2 * (size_t)in.channels; k++) f.weight[k] = weight[k % 2];
    fhola_status status = nn_map_convolution(map, in, out, &f);
    free(f.weight);
    return status;
}

static fhola_status pair_map(nn_map *map, const comparison *c, nn_shape in, nn_shape out,
                             double first, double second)
{
    const double weight[2] = {first, second};
    unsigned side = c->vertical ? in.height : in.width;
    bool inside = c->pad == 0 && (size_t)(c->places - 1) * c->stride + c->distance < side;
    return inside ? inner_map(map, c, in, out, weight) : border_map(map, c, in, out, weight);
}

/* *tensor = the larger of each pair. */
static fhola_status compare(nn_graph *graph, nn_tensor *tensor, const char *name,
                            const comparison *c)
{
    const nn_activation_spec absolute = {.kind = "abs"};
    nn_shape in = nn_graph_shape(graph, *tensor), out = in;
    nn_tensor difference, mean;
    nn_map minus, plus;
    if (c->vertical)
        out.height = c->places;
    else
        out.width = c->places;
    fhola_status status = pair_map(&minus, c, in, out, 1, -1);
    if (status != FHOLA_OK) return status;
    status = nn_graph_apply(graph, &difference, name, *tensor, &minus, NULL);
    nn_map_clear(&minus);
    if (status == FHOLA_OK)
        status = nn_graph_activation(graph, &difference, name, difference, &absolute);
    if (status == FHOLA_OK) status = pair_map(&plus, c, in, out, 0.5, 0.5);
    if (status != FHOLA_OK) return status;
    status = nn_graph_apply(graph, &mean, name, *tensor, &plus, NULL);
    nn_map_clear(&plus);
    return status == FHOLA_OK ? nn_graph_combine(graph, tensor, name, mean, 1, difference, 0.5)
                              : status;
}

static unsigned gcd(unsigned a, unsigned b)
{
    while (b) {
        unsigned rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* The rounds of one axis. Window widths are 1, 2, 4, ..., kernel; a round computes only places that
 * later ones need. */
static fhola_status reduce(nn_graph *graph, nn_tensor *tensor, const char *name, bool vertical,
                           unsigned kernel, unsigned stride, unsigned pad, unsigned places)
{
    unsigned distance[32], step[32] = {0}, rounds = 0;
    for (unsigned width = 1; width < kernel; rounds++) {
        distance[rounds] = 2 * width <= kernel ? width : kernel - width;
        width += distance[rounds];
    }
    for (unsigned r = rounds; r-- > 0;)
        step[r] = r + 1 == rounds ? stride : gcd(step[r + 1], distance[r + 1]);
    /* places of round r lie `step` apart, from -pad on */
    unsigned reach = (places - 1) * stride;
    for (unsigned r = 0; r < rounds; r++) {
        unsigned further = 0, before = r == 0 ? 1 : step[r - 1];
        for (unsigned k = r + 1; k < rounds; k++) further += distance[k];
        comparison c = {.vertical = vertical,
                        .places = (reach + further) / step[r] + 1,
                        .stride = step[r] / before,
                        .pad = r == 0 ? pad : 0,
                        .distance = distance[r] / before};
        fhola_status status = compare(graph, tensor, name, &c);
        if (status != FHOLA_OK) return status;
    }
    return FHOLA_OK;
}

/* A window of one place: only the stride is left. */
static fhola_status subsample(nn_graph *graph, nn_tensor *tensor, const char *name, nn_shape out,
                              const nn_pool_spec *p)
{
    nn_shape in = nn_graph_shape(graph, *tensor);
    uint32_t *index = malloc(nn_shape_values(out) * sizeof *index), *at = index;
    if (!index) return fhola_fail(FHOLA_NOMEM, "%s: no memory", name);
    unsigned step_y = in.height == out.height ? 1 : p->stride_y,
             step_x = in.width == out.width ? 1 : p->stride_x;
    for (unsigned c = 0; c < out.channels; c++)
        for (unsigned y = 0; y < out.height; y++)
            for (unsigned x = 0; x < out.width; x++)
                *at++ = (c * in.height + y * step_y) * in.width + x * step_x;
    fhola_status status = nn_graph_select(graph, tensor, name, *tensor, out, index);
    free(index);
    return status;
}

fhola_status nn_graph_max_pool(nn_graph *graph, nn_tensor *out, const char *name, nn_tensor in,
                               const nn_pool_spec *spec)
{
    nn_pool_spec p;
    nn_shape shape;
    nn_tensor tensor = in;
    fhola_status status = nn_graph_check_tensor(graph, name, in);
    if (status != FHOLA_OK) return status;
    status = nn_graph_check_pool(&p, &shape, name, nn_graph_shape(graph, in), spec);
    if (status == FHOLA_OK && p.kernel_x > 1)
        status =
            reduce(graph, &tensor, name, false, p.kernel_x, p.stride_x, p.pad_left, shape.width);
    if (status == FHOLA_OK && p.kernel_y > 1)
        status =
            reduce(graph, &tensor, name, true, p.kernel_y, p.stride_y, p.pad_top, shape.height);
    if (status == FHOLA_OK && !nn_shape_equal(nn_graph_shape(graph, tensor), shape))
        status = subsample(graph, &tensor, name, shape, &p);
    if (status == FHOLA_OK) *out = tensor;
    return status;
}
