/* SPDX-License-Identifier: Apache-2.0 */
/* Construction of a graph. A tensor is an expression: a sum of linear maps of nodes, plus a
 * constant. Linear functions make new expressions; a node comes to be where an activation is, or
 * where a product of maps would cost more than a node. */
#include "nn/graph/builder.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn/graph/model.h"

#define MAX_NAME 255u   /* bytes */
#define MAX_SIDE 65535u /* of kernels, strides, dilations and pads */

/* ---- memory ---- */

static void clear_terms(nn_edge *terms, size_t count)
{
    for (size_t k = 0; k < count; k++) nn_map_clear(&terms[k].map);
    free(terms);
}

static void clear_expression(nn_expression *e)
{
    clear_terms(e->terms, e->term_count);
    free(e->name);
    free(e->constant);
    free(e->view);
    memset(e, 0, sizeof *e);
}

static void forget_tensors(nn_graph *graph)
{
    for (size_t k = 0; k < graph->tensor_count; k++) clear_expression(&graph->tensors[k]);
    free(graph->tensors);
    graph->tensors = NULL;
    graph->tensor_count = graph->tensor_room = 0;
}

void nn_graph_destroy(nn_graph *graph)
{
    if (!graph) return;
    forget_tensors(graph);
    for (size_t i = 0; i < graph->count; i++) nn_node_clear(&graph->nodes[i]);
    free(graph->nodes);
    free(graph);
}

static fhola_status no_memory(const char *name)
{
    return fhola_fail(FHOLA_NOMEM, "%s: no memory", name);
}

static void *copy_of(const void *from, size_t bytes)
{
    void *copy = malloc(bytes + 1);
    if (copy) memcpy(copy, from, bytes);
    return copy;
}

/* Names end up on terminals and pages: what cannot be printed becomes question marks. */
static char *copy_name(const char *name)
{
    size_t length = name ? strlen(name) : 0;
    if (length == 0) return copy_name("?");
    char *copy = copy_of(name, length < MAX_NAME ? length : MAX_NAME);
    if (!copy) return NULL;
    if (length > MAX_NAME) length = MAX_NAME;
    copy[length] = 0;
    for (size_t k = 0; k < length && !fhola_is_printable(copy, length); k++)
        if ((unsigned char)copy[k] < 0x20 || (unsigned char)copy[k] > 0x7e) copy[k] = '?';
    return copy;
}

/* ---- checks ---- */

static fhola_status check_shape(const char *name, nn_shape shape)
{
    if (shape.channels == 0 || shape.height == 0 || shape.width == 0 ||
        (double)shape.channels * shape.height * shape.width > (double)NN_GRAPH_MAX_VALUES)
        return fhola_fail(FHOLA_PARAM, "%s: a tensor of %u x %u x %u values: 1 to %zu are possible",
                          name, shape.channels, shape.height, shape.width, NN_GRAPH_MAX_VALUES);
    return FHOLA_OK;
}

static fhola_status check_weights(const char *name, const char *what, const double *values,
                                  size_t count)
{
    for (size_t k = 0; values && k < count; k++)
        if (!isfinite(values[k]))
            return fhola_fail(FHOLA_RANGE, "%s: %s %zu is %s", name, what, k,
                              isnan(values[k]) ? "NaN" : "infinite");
    return FHOLA_OK;
}

fhola_status nn_graph_check_tensor(const nn_graph *graph, const char *name, nn_tensor in)
{
    if (graph->finished) return fhola_fail(FHOLA_PARAM, "%s: the graph is finished", name);
    if (in >= graph->tensor_count)
        return fhola_fail(FHOLA_PARAM, "%s: its input, tensor %zu, does not exist", name, in);
    return FHOLA_OK;
}

nn_shape nn_graph_shape(const nn_graph *graph, nn_tensor tensor)
{
    if (tensor == 0) return graph->nodes[0].shape;
    return tensor < graph->tensor_count ? graph->tensors[tensor].shape : (nn_shape){0, 0, 0};
}

/* ---- nodes and tensors ---- */

static fhola_status make_room(void **items, size_t *room, size_t count, size_t size,
                              const char *name)
{
    if (count < *room) return FHOLA_OK;
    size_t more = 2 * count + 8;
    void *grown = realloc(*items, more * size);
    if (!grown) return no_memory(name);
    *items = grown;
    *room = more;
    return FHOLA_OK;
}

/* Moves the expression into the graph; it is empty afterwards in any case. */
static fhola_status push(nn_graph *graph, nn_tensor *out, const char *name, nn_expression *e)
{
    fhola_status status = make_room((void **)&graph->tensors, &graph->tensor_room,
                                    graph->tensor_count, sizeof *graph->tensors, name);
    if (status == FHOLA_OK) {
        free(e->name);
        e->name = copy_name(name);
        if (!e->name) status = no_memory(name);
    }
    if (status != FHOLA_OK) {
        clear_expression(e);
        return status;
    }
    *out = graph->tensor_count;
    graph->tensors[graph->tensor_count++] = *e;
    memset(e, 0, sizeof *e);
    return FHOLA_OK;
}

/* The constant of an expression as a node's bias: one value a channel if that is enough. */
static fhola_status set_bias(nn_node *node, const double *constant)
{
    size_t count = nn_shape_values(node->shape), k = 0,
           plane = (size_t)node->shape.height * node->shape.width;
    while (constant && k < count && constant[k] == constant[k / plane * plane]) k++;
    node->full_bias = constant && k < count;
    size_t values = node->full_bias ? count : node->shape.channels;
    node->bias = calloc(values, sizeof *node->bias);
    if (!node->bias) return no_memory(node->name);
    for (k = 0; constant && k < values; k++)
        node->bias[k] = constant[node->full_bias ? k : k * plane];
    return FHOLA_OK;
}

/* Makes a node of e's inner values under the function and moves e's terms into it. */
static fhola_status add_node(nn_graph *graph, const char *name, nn_expression *e,
                             const ola_function *f)
{
    if (graph->count >= NN_GRAPH_MAX_NODES)
        return fhola_fail(FHOLA_PARAM, "%s: a network of more than %u layers", name,
                          NN_GRAPH_MAX_NODES);
    fhola_status status = make_room((void **)&graph->nodes, &graph->node_room, graph->count,
                                    sizeof *graph->nodes, name);
    if (status != FHOLA_OK) return status;
    nn_node node = {.name = copy_name(name), .shape = e->inner};
    if (!node.name) return no_memory(name);
    status = nn_node_set_function(&node, f);
    if (status == FHOLA_OK) status = set_bias(&node, e->constant);
    if (status != FHOLA_OK) {
        nn_node_clear(&node);
        return status;
    }
    node.edges = e->terms;
    node.edge_count = e->term_count;
    e->terms = NULL;
    e->term_count = 0;
    graph->nodes[graph->count++] = node;
    return FHOLA_OK;
}

/* The values of a node. */
static fhola_status read_node(nn_expression *e, size_t node, nn_shape shape, const char *name)
{
    nn_edge *term = calloc(1, sizeof *term);
    if (!term) return no_memory(name);
    fhola_status status = nn_map_scaling(&term->map, shape, 1);
    if (status != FHOLA_OK) {
        free(term);
        return status;
    }
    term->node = node;
    *e = (nn_expression){.shape = shape, .inner = shape, .term_count = 1, .terms = term};
    return FHOLA_OK;
}

static bool is_node(const nn_expression *e)
{
    return e->term_count == 1 && !e->constant && nn_map_is_identity(&e->terms[0].map);
}

/* Makes a node of the tensor's values, unless it is one. */
static fhola_status keep_node(nn_graph *graph, nn_tensor tensor)
{
    const ola_function linear = {.kind = OLA_IDENTITY};
    nn_expression *e = &graph->tensors[tensor], values = {0};
    if (is_node(e) || e->term_count == 0) return FHOLA_OK;
    fhola_status status = read_node(&values, graph->count, e->inner, e->name);
    if (status != FHOLA_OK) return status;
    status = add_node(graph, e->name, e, &linear);
    if (status != FHOLA_OK) {
        clear_expression(&values);
        return status;
    }
    free(e->constant);
    e->constant = NULL;
    e->terms = values.terms;
    e->term_count = 1;
    return FHOLA_OK;
}

/* Adds a map of a node to the expression and takes the map over in any case. */
static fhola_status add_term(nn_expression *e, size_t node, nn_map *map)
{
    size_t at = 0;
    while (at < e->term_count && e->terms[at].node < node) at++;
    if (at < e->term_count && e->terms[at].node == node) {
        nn_map sum;
        fhola_status status = nn_map_sum(&sum, &e->terms[at].map, map);
        nn_map_clear(map);
        if (status != FHOLA_OK) return status;
        nn_map_clear(&e->terms[at].map);
        e->terms[at].map = sum;
        return FHOLA_OK;
    }
    nn_edge *terms = realloc(e->terms, (e->term_count + 1) * sizeof *terms);
    if (!terms) {
        nn_map_clear(map);
        return fhola_fail(FHOLA_NOMEM, "no memory for a sum of %zu maps", e->term_count + 1);
    }
    memmove(terms + at + 1, terms + at, (e->term_count - at) * sizeof *terms);
    terms[at] = (nn_edge){.node = node, .map = *map};
    memset(map, 0, sizeof *map);
    e->terms = terms;
    e->term_count++;
    return FHOLA_OK;
}

/* ---- linear maps of tensors ---- */

/* to += map(from), of inner values. */
static fhola_status add_image(nn_expression *to, const nn_map *map, const nn_expression *from,
                              size_t *cost)
{
    for (size_t k = 0; k < from->term_count; k++) {
        nn_map product;
        fhola_status status = nn_map_compose(&product, map, &from->terms[k].map);
        if (status != FHOLA_OK) return status;
        *cost += nn_map_cost(&product);
        status = add_term(to, from->terms[k].node, &product);
        if (status != FHOLA_OK) return status;
    }
    if (!from->constant) return FHOLA_OK;
    if (!to->constant) to->constant = calloc(nn_shape_values(map->out), sizeof *to->constant);
    if (!to->constant) return fhola_fail(FHOLA_NOMEM, "no memory for a constant");
    nn_map_add(to->constant, map, from->constant);
    return FHOLA_OK;
}

static size_t cost_of(const nn_expression *e)
{
    size_t cost = 0;
    for (size_t k = 0; k < e->term_count; k++) cost += nn_map_cost(&e->terms[k].map);
    return cost;
}

/* The image of a tensor's inner values. Where it cannot be had, or costs more than a node, the
 * tensor becomes a node first. */
static fhola_status map_inner(nn_graph *graph, nn_expression *result, nn_tensor in,
                              const nn_map *map)
{
    const nn_expression *e = &graph->tensors[in];
    size_t cost = 0, limit = cost_of(e) + nn_map_cost(map) + NN_GRAPH_MAX_GROWTH;
    nn_expression image = {.shape = map->out, .inner = map->out};
    fhola_status status = add_image(&image, map, e, &cost);
    if ((status == FHOLA_PARAM || (status == FHOLA_OK && cost > limit)) && !is_node(e)) {
        clear_expression(&image);
        status = keep_node(graph, in);
        image = (nn_expression){.shape = map->out, .inner = map->out};
        if (status == FHOLA_OK) status = add_image(&image, map, &graph->tensors[in], &cost);
    }
    if (status == FHOLA_OK)
        *result = image;
    else
        clear_expression(&image);
    return status;
}

/* Carries out a tensor's selection, so that its inner values are its values. */
static fhola_status settle(nn_graph *graph, nn_tensor tensor)
{
    nn_expression *e = &graph->tensors[tensor], settled;
    nn_map map;
    if (!e->view) return FHOLA_OK;
    fhola_status status = nn_map_select(&map, e->inner, e->shape, e->view);
    if (status != FHOLA_OK) return status;
    status = map_inner(graph, &settled, tensor, &map);
    nn_map_clear(&map);
    if (status != FHOLA_OK) return status;
    e = &graph->tensors[tensor];
    settled.name = e->name;
    e->name = NULL;
    clear_expression(e);
    *e = settled;
    return FHOLA_OK;
}

static fhola_status add_constant(nn_expression *e, const double *values, const char *name)
{
    size_t count = nn_shape_values(e->inner);
    if (!e->constant) e->constant = calloc(count, sizeof *e->constant);
    if (!e->constant) return no_memory(name);
    for (size_t k = 0; k < count; k++) e->constant[k] += values[k];
    return FHOLA_OK;
}

fhola_status nn_graph_apply(nn_graph *graph, nn_tensor *out, const char *name, nn_tensor in,
                            const nn_map *map, const double *bias)
{
    nn_expression result;
    fhola_status status = settle(graph, in);
    if (status == FHOLA_OK) status = map_inner(graph, &result, in, map);
    if (status != FHOLA_OK) return status;
    if (bias) status = add_constant(&result, bias, name);
    if (status == FHOLA_OK) return push(graph, out, name, &result);
    clear_expression(&result);
    return status;
}

/* Values of channels as values of a tensor; NULL: no memory. */
static double *spread(const double *channels, nn_shape shape)
{
    size_t plane = (size_t)shape.height * shape.width, count = nn_shape_values(shape);
    double *values = malloc(count * sizeof *values);
    for (size_t k = 0; values && k < count; k++) values[k] = channels[k / plane];
    return values;
}

/* ---- construction ---- */

fhola_status nn_graph_create(nn_graph **graph, nn_shape input)
{
    nn_expression picture;
    nn_tensor tensor;
    fhola_status status = check_shape("input", input);
    if (status != FHOLA_OK) return status;
    nn_graph *g = calloc(1, sizeof *g);
    if (!g) return no_memory("input");
    g->node_room = 8;
    g->nodes = calloc(g->node_room, sizeof *g->nodes);
    if (g->nodes) g->nodes[0] = (nn_node){.name = copy_name("input"), .shape = input};
    g->count = g->nodes ? 1 : 0;
    status = g->nodes && g->nodes[0].name ? FHOLA_OK : no_memory("input");
    if (status == FHOLA_OK) g->nodes[0].function.kind = OLA_IDENTITY;
    if (status == FHOLA_OK) status = read_node(&picture, 0, input, "input");
    if (status == FHOLA_OK) status = push(g, &tensor, "input", &picture);
    if (status == FHOLA_OK)
        *graph = g;
    else
        nn_graph_destroy(g);
    return status;
}

static unsigned or_one(unsigned number)
{
    return number ? number : 1;
}

/* Places of the result of a window that slides over `in` places; false: none. */
static bool window_places(unsigned *out, unsigned in, unsigned kernel, unsigned step,
                          unsigned dilation, unsigned before, unsigned after)
{
    size_t padded = (size_t)in + before + after, extent = (size_t)(kernel - 1) * dilation + 1;
    *out = extent <= padded ? (unsigned)((padded - extent) / step + 1) : 0;
    return extent <= padded;
}

static fhola_status check_convolution(nn_convolution *c, nn_shape *out, const char *name,
                                      nn_shape in, const nn_convolution_spec *s)
{
    *c = (nn_convolution){.in_channels = in.channels,
                          .out_channels = s->channels,
                          .groups = or_one(s->groups),
                          .kernel_y = s->kernel_y,
                          .kernel_x = s->kernel_x,
                          .stride_y = or_one(s->stride_y),
                          .stride_x = or_one(s->stride_x),
                          .dilation_y = or_one(s->dilation_y),
                          .dilation_x = or_one(s->dilation_x),
                          .pad_y = (int)s->pad_top,
                          .pad_x = (int)s->pad_left,
                          .weight = (double *)s->weight};
    const unsigned sides[] = {c->kernel_y,   c->kernel_x, c->stride_y, c->stride_x,   c->dilation_y,
                              c->dilation_x, s->pad_top,  s->pad_left, s->pad_bottom, s->pad_right};
    for (size_t k = 0; k < sizeof sides / sizeof *sides; k++)
        if (sides[k] > MAX_SIDE || (k < 2 && sides[k] == 0))
            return fhola_fail(FHOLA_PARAM, "%s: a kernel, stride, dilation or pad of %u", name,
                              sides[k]);
    if (s->channels == 0 || in.channels % c->groups != 0 || s->channels % c->groups != 0)
        return fhola_fail(FHOLA_PARAM, "%s: %u groups do not divide %u channels in and %u out",
                          name, c->groups, in.channels, s->channels);
    out->channels = s->channels;
    if (!window_places(&out->height, in.height, c->kernel_y, c->stride_y, c->dilation_y, s->pad_top,
                       s->pad_bottom) ||
        !window_places(&out->width, in.width, c->kernel_x, c->stride_x, c->dilation_x, s->pad_left,
                       s->pad_right))
        return fhola_fail(FHOLA_PARAM,
                          "%s: a kernel of %u x %u (dilation %u, %u) does not fit into its input "
                          "of %u x %u with pads %u, %u, %u, %u",
                          name, c->kernel_y, c->kernel_x, c->dilation_y, c->dilation_x, in.height,
                          in.width, s->pad_top, s->pad_left, s->pad_bottom, s->pad_right);
    double weights = (double)s->channels * (in.channels / c->groups) * c->kernel_y * c->kernel_x;
    if (weights > (double)NN_MAP_MAX_WEIGHTS)
        return fhola_fail(FHOLA_PARAM, "%s: %.0f weights: at most %zu are possible", name, weights,
                          NN_MAP_MAX_WEIGHTS);
    return check_shape(name, *out);
}

fhola_status nn_graph_convolution(nn_graph *graph, nn_tensor *out, const char *name, nn_tensor in,
                                  const nn_convolution_spec *spec)
{
    nn_convolution c;
    nn_shape shape;
    nn_map map;
    double *bias = NULL;
    fhola_status status = nn_graph_check_tensor(graph, name, in);
    if (status != FHOLA_OK) return status;
    status = check_convolution(&c, &shape, name, nn_graph_shape(graph, in), spec);
    if (status != FHOLA_OK) return status;
    status = check_weights(name, "weight", spec->weight, nn_convolution_weights(&c));
    if (status == FHOLA_OK) status = check_weights(name, "bias", spec->bias, spec->channels);
    if (status != FHOLA_OK) return status;
    if (spec->bias && !(bias = spread(spec->bias, shape))) return no_memory(name);
    status = nn_map_convolution(&map, nn_graph_shape(graph, in), shape, &c);
    if (status == FHOLA_OK) {
        status = nn_graph_apply(graph, out, name, in, &map, bias);
        nn_map_clear(&map);
    }
    free(bias);
    return status;
}

/* The weights of a fully connected layer by the inner values of its input. */
static double *inner_columns(const nn_expression *e, size_t count, const double *weight)
{
    size_t values = nn_shape_values(e->shape), inner = nn_shape_values(e->inner);
    double *result = calloc(count * inner, sizeof *result);
    for (size_t k = 0; result && k < count; k++)
        for (size_t j = 0; j < values; j++)
            result[k * inner + (e->view ? e->view[j] : j)] += weight[k * values + j];
    return result;
}

static fhola_status map_dense(nn_graph *graph, nn_expression *result, nn_tensor in, size_t count,
                              const double *weight)
{
    const nn_expression *e = &graph->tensors[in];
    nn_convolution c = {.in_channels = e->inner.channels,
                        .out_channels = (unsigned)count,
                        .groups = 1,
                        .kernel_y = e->inner.height,
                        .kernel_x = e->inner.width,
                        .stride_y = 1,
                        .stride_x = 1,
                        .dilation_y = 1,
                        .dilation_x = 1,
                        .weight = inner_columns(e, count, weight)};
    nn_map map;
    if (!c.weight) return no_memory(e->name);
    fhola_status status = nn_map_convolution(&map, e->inner, (nn_shape){(unsigned)count, 1, 1}, &c);
    free(c.weight);
    if (status != FHOLA_OK) return status;
    status = map_inner(graph, result, in, &map);
    nn_map_clear(&map);
    return status;
}

fhola_status nn_graph_dense(nn_graph *graph, nn_tensor *out, const char *name, nn_tensor in,
                            size_t count, const double *weight, const double *bias)
{
    nn_expression result;
    fhola_status status = nn_graph_check_tensor(graph, name, in);
    if (status != FHOLA_OK) return status;
    const nn_expression *e = &graph->tensors[in];
    size_t values = nn_shape_values(e->shape), inner = nn_shape_values(e->inner);
    if (count == 0 || count > NN_MAP_MAX_WEIGHTS / inner)
        return fhola_fail(FHOLA_PARAM,
                          "%s: %zu values out of %zu: at most %zu weights are possible", name,
                          count, values, NN_MAP_MAX_WEIGHTS);
    status = check_weights(name, "weight", weight, count * values);
    if (status == FHOLA_OK) status = check_weights(name, "bias", bias, count);
    if (status == FHOLA_OK) status = map_dense(graph, &result, in, count, weight);
    if (status != FHOLA_OK) return status;
    if (bias) status = add_constant(&result, bias, name);
    if (status == FHOLA_OK) return push(graph, out, name, &result);
    clear_expression(&result);
    return status;
}

/* ---- value by value ---- */

/* Whether the tensor's values are its inner ones in another order. */
static bool is_permutation(const nn_expression *e)
{
    size_t count = nn_shape_values(e->shape);
    if (!e->view) return true;
    if (count != nn_shape_values(e->inner)) return false;
    unsigned char *seen = calloc(count, 1);
    size_t k = 0;
    while (seen && k < count && !seen[e->view[k]]) seen[e->view[k++]] = 1;
    free(seen);
    return k == count;
}

static double *inner_order(const nn_expression *e, const double *values)
{
    size_t count = nn_shape_values(e->shape);
    double *result = malloc(count * sizeof *result);
    for (size_t k = 0; result && k < count; k++) result[e->view ? e->view[k] : k] = values[k];
    return result;
}

static fhola_status copy_view(nn_expression *to, const nn_expression *from, const char *name)
{
    to->shape = from->shape;
    if (!from->view) return FHOLA_OK;
    to->view = copy_of(from->view, nn_shape_values(from->shape) * sizeof *to->view);
    return to->view ? FHOLA_OK : no_memory(name);
}

/* result = in * scale + shift of inner values, seen as `in` is. */
static fhola_status map_values(nn_graph *graph, nn_expression *result, nn_tensor in,
                               const char *name, const double *scale, const double *shift)
{
    const nn_expression *e = &graph->tensors[in];
    nn_map map;
    double *inner_scale = scale ? inner_order(e, scale) : NULL,
           *inner_shift = shift ? inner_order(e, shift) : NULL;
    bool lacking = (scale && !inner_scale) || (shift && !inner_shift);
    fhola_status status = lacking ? no_memory(name)
                          : scale ? nn_map_diagonal(&map, e->inner, inner_scale)
                                  : nn_map_scaling(&map, e->inner, 1);
    if (status == FHOLA_OK) {
        status = map_inner(graph, result, in, &map);
        nn_map_clear(&map);
        if (status == FHOLA_OK) {
            status = copy_view(result, &graph->tensors[in], name);
            if (status == FHOLA_OK && shift) status = add_constant(result, inner_shift, name);
            if (status != FHOLA_OK) clear_expression(result);
        }
    }
    free(inner_scale);
    free(inner_shift);
    return status;
}

fhola_status nn_graph_affine_full(nn_graph *graph, nn_tensor *out, const char *name, nn_tensor in,
                                  const double *scale, const double *shift)
{
    nn_expression result;
    fhola_status status = nn_graph_check_tensor(graph, name, in);
    if (status != FHOLA_OK) return status;
    size_t count = nn_shape_values(nn_graph_shape(graph, in));
    status = check_weights(name, "factor", scale, count);
    if (status == FHOLA_OK) status = check_weights(name, "addend", shift, count);
    if (status == FHOLA_OK && !is_permutation(&graph->tensors[in])) status = settle(graph, in);
    if (status == FHOLA_OK) status = map_values(graph, &result, in, name, scale, shift);
    return status == FHOLA_OK ? push(graph, out, name, &result) : status;
}

fhola_status nn_graph_affine(nn_graph *graph, nn_tensor *out, const char *name, nn_tensor in,
                             const double *scale, const double *shift)
{
    fhola_status status = nn_graph_check_tensor(graph, name, in);
    if (status != FHOLA_OK) return status;
    nn_shape shape = nn_graph_shape(graph, in);
    double *full_scale = scale ? spread(scale, shape) : NULL,
           *full_shift = shift ? spread(shift, shape) : NULL;
    status = (scale && !full_scale) || (shift && !full_shift)
                 ? no_memory(name)
                 : nn_graph_affine_full(graph, out, name, in, full_scale, full_shift);
    free(full_scale);
    free(full_shift);
    return status;
}

static fhola_status set_function(ola_function *f, const char *name, const nn_activation_spec *spec)
{
    if (strcmp(spec->kind, "table") == 0) {
        *f = (ola_function){.kind = OLA_TABLE, .count = spec->count, .x = spec->x, .y = spec->y};
    } else if (!ola_function_find(f, spec->kind)) {
        return fhola_fail(FHOLA_PARAM, "%s: there is no function \"%.40s\"", name, spec->kind);
    } else if (strcmp(spec->kind, "relu6") != 0) {
        f->a = ola_function_parameters(f) > 0 ? spec->a : 0;
        f->b = ola_function_parameters(f) > 1 ? spec->b : 0;
    }
    if (ola_function_check(f) == FHOLA_OK) return FHOLA_OK;
    return fhola_fail(FHOLA_PARAM, "%s: %s", name, fhola_detail());
}

static fhola_status copy_expression(nn_expression *to, const nn_expression *from, const char *name)
{
    nn_expression copy = {.shape = from->shape, .inner = from->inner};
    fhola_status status = copy_view(&copy, from, name);
    for (size_t k = 0; k < from->term_count && status == FHOLA_OK; k++) {
        nn_map map;
        status = nn_map_copy(&map, &from->terms[k].map);
        if (status == FHOLA_OK) status = add_term(&copy, from->terms[k].node, &map);
    }
    if (status == FHOLA_OK && from->constant) status = add_constant(&copy, from->constant, name);
    if (status == FHOLA_OK)
        *to = copy;
    else
        clear_expression(&copy);
    return status;
}

static fhola_status activate(nn_graph *graph, nn_expression *result, const char *name, nn_tensor in,
                             const ola_function *f)
{
    nn_expression e;
    fhola_status status = copy_expression(&e, &graph->tensors[in], name);
    if (status != FHOLA_OK) return status;
    status = read_node(result, graph->count, e.inner, name);
    if (status == FHOLA_OK) {
        status = copy_view(result, &e, name);
        if (status == FHOLA_OK) status = add_node(graph, name, &e, f);
        if (status != FHOLA_OK) clear_expression(result);
    }
    clear_expression(&e);
    return status;
}

fhola_status nn_graph_activation(nn_graph *graph, nn_tensor *out, const char *name, nn_tensor in,
                                 const nn_activation_spec *spec)
{
    ola_function f;
    nn_expression result;
    fhola_status status = nn_graph_check_tensor(graph, name, in);
    if (status == FHOLA_OK) status = set_function(&f, name, spec);
    if (status != FHOLA_OK) return status;
    if (graph->tensors[in].term_count == 0)
        return fhola_fail(FHOLA_PARAM, "%s: its input does not depend on the picture", name);
    if (!is_permutation(&graph->tensors[in])) status = settle(graph, in);
    if (status != FHOLA_OK) return status;
    status = f.kind == OLA_IDENTITY ? copy_expression(&result, &graph->tensors[in], name)
                                    : activate(graph, &result, name, in, &f);
    return status == FHOLA_OK ? push(graph, out, name, &result) : status;
}

/* ---- several tensors ---- */

static bool same_view(const nn_expression *a, const nn_expression *b)
{
    if (!nn_shape_equal(a->inner, b->inner) || !a->view != !b->view) return false;
    return !a->view || memcmp(a->view, b->view, nn_shape_values(a->shape) * sizeof *a->view) == 0;
}

static fhola_status add_scaled(nn_expression *to, const nn_expression *from, double factor)
{
    nn_map map;
    size_t cost = 0;
    fhola_status status = nn_map_scaling(&map, from->inner, factor);
    if (status != FHOLA_OK) return status;
    status = add_image(to, &map, from, &cost);
    nn_map_clear(&map);
    return status;
}

static fhola_status sum_of(nn_expression *result, const nn_expression *x, double a,
                           const nn_expression *y, double b, const char *name)
{
    nn_expression sum = {.shape = x->shape, .inner = x->inner};
    fhola_status status = copy_view(&sum, x, name);
    if (status == FHOLA_OK) status = add_scaled(&sum, x, a);
    if (status == FHOLA_OK) status = add_scaled(&sum, y, b);
    if (status == FHOLA_OK)
        *result = sum;
    else
        clear_expression(&sum);
    return status;
}

/* A sum over many nodes becomes a node, so that what reads it does not repeat them all. */
static fhola_status push_sum(nn_graph *graph, nn_tensor *out, const char *name,
                             nn_expression *result)
{
    nn_tensor tensor;
    bool many = result->term_count > NN_GRAPH_MAX_TERMS;
    fhola_status status = push(graph, &tensor, name, result);
    if (status == FHOLA_OK && many) status = keep_node(graph, tensor);
    if (status == FHOLA_OK) *out = tensor;
    return status;
}

fhola_status nn_graph_combine(nn_graph *graph, nn_tensor *out, const char *name, nn_tensor x,
                              double a, nn_tensor y, double b)
{
    nn_expression sum;
    fhola_status status = nn_graph_check_tensor(graph, name, x);
    if (status == FHOLA_OK) status = nn_graph_check_tensor(graph, name, y);
    if (status != FHOLA_OK) return status;
    nn_shape left = nn_graph_shape(graph, x), right = nn_graph_shape(graph, y);
    if (!nn_shape_equal(left, right))
        return fhola_fail(FHOLA_PARAM, "%s: a sum of %u x %u x %u and %u x %u x %u values", name,
                          left.channels, left.height, left.width, right.channels, right.height,
                          right.width);
    if (!isfinite(a) || !isfinite(b))
        return fhola_fail(FHOLA_RANGE, "%s: factors %g and %g must be finite", name, a, b);
    if (!same_view(&graph->tensors[x], &graph->tensors[y])) {
        status = settle(graph, x);
        if (status == FHOLA_OK) status = settle(graph, y);
        if (status != FHOLA_OK) return status;
    }
    status = sum_of(&sum, &graph->tensors[x], a, &graph->tensors[y], b, name);
    if (status == FHOLA_PARAM) {
        status = keep_node(graph, x);
        if (status == FHOLA_OK) status = keep_node(graph, y);
        if (status == FHOLA_OK)
            status = sum_of(&sum, &graph->tensors[x], a, &graph->tensors[y], b, name);
    }
    return status == FHOLA_OK ? push_sum(graph, out, name, &sum) : status;
}

fhola_status nn_graph_add(nn_graph *graph, nn_tensor *out, const char *name, nn_tensor x,
                          nn_tensor y)
{
    return nn_graph_combine(graph, out, name, x, 1, y, 1);
}

static fhola_status check_parts(nn_graph *graph, nn_shape *shape, const char *name,
                                const nn_tensor *parts, size_t count)
{
    size_t channels = 0;
    if (count == 0) return fhola_fail(FHOLA_PARAM, "%s: nothing to concatenate", name);
    for (size_t k = 0; k < count; k++) {
        fhola_status status = nn_graph_check_tensor(graph, name, parts[k]);
        if (status != FHOLA_OK) return status;
        nn_shape part = nn_graph_shape(graph, parts[k]);
        if (k == 0) *shape = part;
        if (part.height != shape->height || part.width != shape->width)
            return fhola_fail(FHOLA_PARAM,
                              "%s: a concatenation of %u x %u and %u x %u pixels (part %zu)", name,
                              shape->height, shape->width, part.height, part.width, k);
        channels += part.channels;
    }
    shape->channels = channels < NN_GRAPH_MAX_VALUES ? (unsigned)channels : UINT32_MAX;
    return check_shape(name, *shape);
}

/* The part as channels first, first + 1, ... of `shape`. */
static fhola_status add_part(nn_expression *to, nn_shape shape, unsigned first,
                             const nn_expression *part)
{
    nn_map identity, map;
    size_t cost = 0;
    fhola_status status = nn_map_scaling(&identity, part->inner, 1);
    if (status != FHOLA_OK) return status;
    identity.convolution.out_first = first;
    status = nn_map_convolution(&map, part->inner, shape, &identity.convolution);
    nn_map_clear(&identity);
    if (status != FHOLA_OK) return status;
    status = add_image(to, &map, part, &cost);
    nn_map_clear(&map);
    return status;
}

static fhola_status join(const nn_graph *graph, nn_expression *result, nn_shape shape,
                         const nn_tensor *parts, size_t count)
{
    nn_expression whole = {.shape = shape, .inner = shape};
    fhola_status status = FHOLA_OK;
    unsigned first = 0;
    for (size_t k = 0; k < count && status == FHOLA_OK; k++) {
        status = add_part(&whole, shape, first, &graph->tensors[parts[k]]);
        first += graph->tensors[parts[k]].shape.channels;
    }
    if (status == FHOLA_OK)
        *result = whole;
    else
        clear_expression(&whole);
    return status;
}

fhola_status nn_graph_concat(nn_graph *graph, nn_tensor *out, const char *name,
                             const nn_tensor *parts, size_t count)
{
    nn_shape shape;
    nn_expression whole;
    fhola_status status = check_parts(graph, &shape, name, parts, count);
    for (size_t k = 0; k < count && status == FHOLA_OK; k++) status = settle(graph, parts[k]);
    if (status != FHOLA_OK) return status;
    status = join(graph, &whole, shape, parts, count);
    if (status == FHOLA_PARAM) {
        status = FHOLA_OK;
        for (size_t k = 0; k < count && status == FHOLA_OK; k++)
            status = keep_node(graph, parts[k]);
        if (status == FHOLA_OK) status = join(graph, &whole, shape, parts, count);
    }
    return status == FHOLA_OK ? push_sum(graph, out, name, &whole) : status;
}

/* ---- places ---- */

fhola_status nn_graph_pad(nn_graph *graph, nn_tensor *out, const char *name, nn_tensor in, int top,
                          int left, int bottom, int right)
{
    nn_map identity, map;
    fhola_status status = nn_graph_check_tensor(graph, name, in);
    if (status != FHOLA_OK) return status;
    nn_shape shape = nn_graph_shape(graph, in), padded = shape;
    long height = (long)shape.height + top + bottom, width = (long)shape.width + left + right;
    if (height < 1 || width < 1 || height > (long)NN_GRAPH_MAX_VALUES ||
        width > (long)NN_GRAPH_MAX_VALUES)
        return fhola_fail(FHOLA_PARAM, "%s: pads %d, %d, %d, %d of %u x %u pixels", name, top, left,
                          bottom, right, shape.height, shape.width);
    padded.height = (unsigned)height;
    padded.width = (unsigned)width;
    status = check_shape(name, padded);
    if (status == FHOLA_OK) status = nn_map_scaling(&identity, shape, 1);
    if (status != FHOLA_OK) return status;
    identity.convolution.pad_y = top;
    identity.convolution.pad_x = left;
    status = nn_map_convolution(&map, shape, padded, &identity.convolution);
    nn_map_clear(&identity);
    if (status != FHOLA_OK) return status;
    status = nn_graph_apply(graph, out, name, in, &map, NULL);
    nn_map_clear(&map);
    return status;
}

/* Sets the view of `e` to index after its own; none where nothing moves. */
static fhola_status set_view(nn_expression *e, nn_shape shape, const uint32_t *index,
                             const char *name)
{
    size_t count = nn_shape_values(shape), moved = 0;
    uint32_t *view = malloc(count * sizeof *view);
    if (!view) return no_memory(name);
    for (size_t k = 0; k < count; k++) {
        uint32_t value = index ? index[k] : (uint32_t)k;
        view[k] = e->view ? e->view[value] : value;
        moved += view[k] != k;
    }
    free(e->view);
    e->view = view;
    e->shape = shape;
    if (moved > 0 || !nn_shape_equal(shape, e->inner)) return FHOLA_OK;
    free(view);
    e->view = NULL;
    return FHOLA_OK;
}

static fhola_status select_values(nn_graph *graph, nn_tensor *out, const char *name, nn_tensor in,
                                  nn_shape shape, const uint32_t *index)
{
    nn_expression e;
    fhola_status status = copy_expression(&e, &graph->tensors[in], name);
    if (status != FHOLA_OK) return status;
    status = set_view(&e, shape, index, name);
    if (status == FHOLA_OK) return push(graph, out, name, &e);
    clear_expression(&e);
    return status;
}

fhola_status nn_graph_select(nn_graph *graph, nn_tensor *out, const char *name, nn_tensor in,
                             nn_shape shape, const uint32_t *index)
{
    fhola_status status = nn_graph_check_tensor(graph, name, in);
    if (status == FHOLA_OK) status = check_shape(name, shape);
    if (status != FHOLA_OK) return status;
    size_t count = nn_shape_values(nn_graph_shape(graph, in));
    for (size_t k = 0; k < nn_shape_values(shape); k++)
        if (index[k] >= count)
            return fhola_fail(FHOLA_PARAM, "%s: value %zu is to be value %lu of %zu", name, k,
                              (unsigned long)index[k], count);
    return select_values(graph, out, name, in, shape, index);
}

fhola_status nn_graph_reshape(nn_graph *graph, nn_tensor *out, const char *name, nn_tensor in,
                              nn_shape shape)
{
    fhola_status status = nn_graph_check_tensor(graph, name, in);
    if (status == FHOLA_OK) status = check_shape(name, shape);
    if (status != FHOLA_OK) return status;
    nn_shape from = nn_graph_shape(graph, in);
    if (nn_shape_values(from) != nn_shape_values(shape))
        return fhola_fail(FHOLA_PARAM, "%s: %u x %u x %u values cannot become %u x %u x %u", name,
                          from.channels, from.height, from.width, shape.channels, shape.height,
                          shape.width);
    return select_values(graph, out, name, in, shape, NULL);
}

/* ---- pooling ---- */

fhola_status nn_graph_check_pool(nn_pool_spec *checked, nn_shape *out, const char *name,
                                 nn_shape in, const nn_pool_spec *spec)
{
    nn_pool_spec p = *spec;
    p.stride_y = or_one(p.stride_y);
    p.stride_x = or_one(p.stride_x);
    if (p.kernel_y == 0 || p.kernel_x == 0 || p.kernel_y > MAX_SIDE || p.kernel_x > MAX_SIDE ||
        p.stride_y > MAX_SIDE || p.stride_x > MAX_SIDE || p.pad_top >= p.kernel_y ||
        p.pad_bottom >= p.kernel_y || p.pad_left >= p.kernel_x || p.pad_right >= p.kernel_x)
        return fhola_fail(FHOLA_PARAM,
                          "%s: pooling by %u x %u, strides %u, %u, pads %u, %u, %u, %u", name,
                          p.kernel_y, p.kernel_x, p.stride_y, p.stride_x, p.pad_top, p.pad_left,
                          p.pad_bottom, p.pad_right);
    out->channels = in.channels;
    if (!window_places(&out->height, in.height, p.kernel_y, p.stride_y, 1, p.pad_top,
                       p.pad_bottom) ||
        !window_places(&out->width, in.width, p.kernel_x, p.stride_x, 1, p.pad_left, p.pad_right))
        return fhola_fail(FHOLA_PARAM, "%s: pooling by %u x %u does not fit into %u x %u pixels",
                          name, p.kernel_y, p.kernel_x, in.height, in.width);
    *checked = p;
    return FHOLA_OK;
}

static nn_convolution pool_geometry(const nn_pool_spec *p, unsigned channels)
{
    return (nn_convolution){.in_channels = channels,
                            .out_channels = channels,
                            .groups = channels,
                            .kernel_y = p->kernel_y,
                            .kernel_x = p->kernel_x,
                            .stride_y = p->stride_y,
                            .stride_x = p->stride_x,
                            .dilation_y = 1,
                            .dilation_x = 1,
                            .pad_y = (int)p->pad_top,
                            .pad_x = (int)p->pad_left};
}

/* Pixels of a window that lie within the input, along one axis. */
static unsigned overlap(unsigned place, unsigned stride, unsigned kernel, unsigned pad, unsigned in)
{
    long from = (long)place * stride - pad, to = from + kernel;
    if (from < 0) from = 0;
    if (to > (long)in) to = (long)in;
    return to > from ? (unsigned)(to - from) : 1;
}

/* Kernel size over the number of pixels that count, for every value. */
static double *border_factors(const nn_pool_spec *p, nn_shape in, nn_shape out)
{
    size_t plane = (size_t)out.height * out.width, count = nn_shape_values(out);
    double *factor = malloc(count * sizeof *factor);
    for (size_t k = 0; factor && k < count; k++) {
        unsigned y = (unsigned)(k % plane / out.width), x = (unsigned)(k % out.width);
        factor[k] = (double)p->kernel_y * p->kernel_x /
                    ((double)overlap(y, p->stride_y, p->kernel_y, p->pad_top, in.height) *
                     overlap(x, p->stride_x, p->kernel_x, p->pad_left, in.width));
    }
    return factor;
}

static fhola_status pool_map(nn_map *map, const nn_pool_spec *p, nn_shape in, nn_shape out)
{
    nn_convolution c = pool_geometry(p, in.channels);
    size_t count = nn_convolution_weights(&c);
    if (count > NN_MAP_MAX_WEIGHTS)
        return fhola_fail(FHOLA_PARAM, "pooling with %zu weights: at most %zu are possible", count,
                          NN_MAP_MAX_WEIGHTS);
    c.weight = malloc(count * sizeof *c.weight);
    if (!c.weight) return fhola_fail(FHOLA_NOMEM, "no memory for %zu weights", count);
    for (size_t k = 0; k < count; k++) c.weight[k] = 1.0 / ((double)p->kernel_y * p->kernel_x);
    fhola_status status = nn_map_convolution(map, in, out, &c);
    free(c.weight);
    return status;
}

fhola_status nn_graph_average_pool(nn_graph *graph, nn_tensor *out, const char *name, nn_tensor in,
                                   const nn_pool_spec *spec)
{
    nn_pool_spec p;
    nn_shape shape;
    nn_map map;
    fhola_status status = nn_graph_check_tensor(graph, name, in);
    if (status != FHOLA_OK) return status;
    nn_shape from = nn_graph_shape(graph, in);
    status = nn_graph_check_pool(&p, &shape, name, from, spec);
    if (status == FHOLA_OK) status = pool_map(&map, &p, from, shape);
    if (status != FHOLA_OK) return status;
    status = nn_graph_apply(graph, out, name, in, &map, NULL);
    nn_map_clear(&map);
    if (status != FHOLA_OK || p.count_padding) return status;
    double *factor = border_factors(&p, from, shape);
    if (!factor) return no_memory(name);
    status = nn_graph_affine_full(graph, out, name, *out, factor, NULL);
    free(factor);
    return status;
}

fhola_status nn_graph_global_average_pool(nn_graph *graph, nn_tensor *out, const char *name,
                                          nn_tensor in)
{
    nn_shape shape = nn_graph_shape(graph, in);
    nn_pool_spec all = {.kernel_y = shape.height, .kernel_x = shape.width, .count_padding = true};
    return nn_graph_average_pool(graph, out, name, in, &all);
}

/* ---- the end ---- */

/* Leaves the nodes that the last one needs. */
static fhola_status prune(nn_graph *graph)
{
    size_t *place = calloc(graph->count, sizeof *place), kept = 0;
    if (!place) return no_memory("scores");
    place[graph->count - 1] = 1;
    for (size_t i = graph->count; i-- > 0;)
        for (size_t k = 0; place[i] && k < graph->nodes[i].edge_count; k++)
            place[graph->nodes[i].edges[k].node] = 1;
    place[0] = 1;
    for (size_t i = 0; i < graph->count; i++) {
        if (!place[i]) {
            nn_node_clear(&graph->nodes[i]);
            continue;
        }
        place[i] = kept;
        for (size_t k = 0; k < graph->nodes[i].edge_count; k++)
            graph->nodes[i].edges[k].node = place[graph->nodes[i].edges[k].node];
        graph->nodes[kept++] = graph->nodes[i];
    }
    graph->count = kept;
    free(place);
    return FHOLA_OK;
}

/* Whether there is an activation on the way to the tensor. */
static bool has_layer(const nn_expression *e)
{
    return e->term_count > 0 && e->terms[e->term_count - 1].node > 0;
}

fhola_status nn_graph_finish(nn_graph *graph, nn_tensor scores)
{
    const ola_function linear = {.kind = OLA_IDENTITY};
    nn_expression e;
    nn_tensor flat;
    fhola_status status = nn_graph_check_tensor(graph, "scores", scores);
    if (status != FHOLA_OK) return status;
    size_t count = nn_shape_values(nn_graph_shape(graph, scores));
    if (count > NN_MAX_CLASSES)
        return fhola_fail(FHOLA_PARAM, "%s: %zu scores: at most %u are possible",
                          graph->tensors[scores].name, count, NN_MAX_CLASSES);
    if (!has_layer(&graph->tensors[scores]))
        return fhola_fail(FHOLA_PARAM, "%s: there is no activation on the way to the scores",
                          graph->tensors[scores].name);
    status = nn_graph_reshape(graph, &flat, "scores", scores, (nn_shape){(unsigned)count, 1, 1});
    if (status == FHOLA_OK) status = settle(graph, flat);
    if (status != FHOLA_OK) return status;
    status = copy_expression(&e, &graph->tensors[flat], "scores");
    if (status != FHOLA_OK) return status;
    status = add_node(graph, graph->tensors[scores].name, &e, &linear);
    clear_expression(&e);
    if (status == FHOLA_OK) status = prune(graph);
    if (status != FHOLA_OK) return status;
    forget_tensors(graph);
    graph->finished = true;
    return FHOLA_OK;
}
