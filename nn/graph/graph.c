/* SPDX-License-Identifier: Apache-2.0 */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "nn/graph/graph.h"

#include <stdlib.h>
#include <string.h>

size_t nn_graph_layers(const nn_graph *graph)
{
    return graph->count - 2;
}

const nn_node *nn_graph_layer(const nn_graph *graph, size_t i)
{
    return &graph->nodes[i + 1];
}

const nn_node *nn_graph_scores(const nn_graph *graph)
{
    return &graph->nodes[graph->count - 1];
}

bool nn_graph_is_output(const nn_graph *graph, size_t i)
{
    size_t readers = 0;
    for (size_t j = i + 2; j < graph->count; j++)
        for (size_t k = 0; k < graph->nodes[j].edge_count; k++)
            readers += graph->nodes[j].edges[k].node == i + 1;
    return nn_graph_layer(graph, i)->edge_count > 1 || readers > 1;
}

unsigned nn_graph_depth(const nn_graph *graph)
{
    unsigned depth[NN_GRAPH_MAX_NODES] = {0}, result = 0;
    for (size_t i = 1; i < graph->count; i++) {
        for (size_t k = 0; k < graph->nodes[i].edge_count; k++) {
            unsigned before = depth[graph->nodes[i].edges[k].node];
            if (depth[i] < before + 1) depth[i] = before + 1;
        }
        result = depth[i];
    }
    return result;
}

void nn_graph_last_readers(const nn_graph *graph, size_t *last)
{
    for (size_t i = 0; i < graph->count; i++) {
        last[i] = i;
        for (size_t k = 0; k < graph->nodes[i].edge_count; k++)
            last[graph->nodes[i].edges[k].node] = i;
    }
}

fhola_status nn_graph_slots(const nn_graph *graph, size_t *slot, size_t *slots)
{
    size_t n = graph->count;
    size_t *last = malloc(2 * n * sizeof *last);
    if (!last) return fhola_fail(FHOLA_NOMEM, "no memory for a network of %zu layers", n);
    size_t *free_from = last + n; /* of each slot: the node that may write to it */
    nn_graph_last_readers(graph, last);
    *slots = 0;
    for (size_t i = 0; i + 1 < n; i++) {
        size_t k = 0;
        while (k < *slots && free_from[k] > i) k++;
        if (k == *slots) ++*slots;
        slot[i] = k;
        free_from[k] = last[i];
    }
    free(last);
    return FHOLA_OK;
}

void nn_node_clear(nn_node *node)
{
    for (size_t k = 0; k < node->edge_count; k++) nn_map_clear(&node->edges[k].map);
    free(node->edges);
    free(node->name);
    free(node->bias);
    free(node->points);
    memset(node, 0, sizeof *node);
}

fhola_status nn_node_set_function(nn_node *node, const ola_function *f)
{
    double *points = NULL;
    fhola_status status = ola_function_check(f);
    if (status != FHOLA_OK) return status;
    ola_function result = *f;
    if (f->kind == OLA_TABLE) {
        points = malloc(2 * f->count * sizeof *points);
        if (!points) return fhola_fail(FHOLA_NOMEM, "no memory for %zu points", f->count);
        memcpy(points, f->x, f->count * sizeof *points);
        memcpy(points + f->count, f->y, f->count * sizeof *points);
        result.x = points;
        result.y = points + f->count;
    }
    free(node->points);
    node->points = points;
    node->function = result;
    return FHOLA_OK;
}

/* ---- hash ---- */

static void hash_whole(XXH3_state_t *hash, uint64_t value)
{
    unsigned char bytes[8];
    for (unsigned b = 0; b < 8; b++) bytes[b] = (unsigned char)(value >> (8 * b));
    XXH3_64bits_update(hash, bytes, sizeof bytes);
}

static void hash_numbers(XXH3_state_t *hash, const double *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        hash_whole(hash, bits);
    }
}

static void hash_shape(XXH3_state_t *hash, nn_shape shape)
{
    hash_whole(hash, shape.channels);
    hash_whole(hash, shape.height);
    hash_whole(hash, shape.width);
}

static void hash_convolution(XXH3_state_t *hash, const nn_convolution *c)
{
    const unsigned fields[] = {c->in_first,       c->in_channels, c->out_first,  c->out_channels,
                               c->groups,         c->kernel_y,    c->kernel_x,   c->stride_y,
                               c->stride_x,       c->dilation_y,  c->dilation_x, (unsigned)c->pad_y,
                               (unsigned)c->pad_x};
    for (size_t k = 0; k < sizeof fields / sizeof *fields; k++) hash_whole(hash, fields[k]);
    hash_numbers(hash, c->weight, nn_convolution_weights(c));
}

static void hash_edge(XXH3_state_t *hash, const nn_edge *edge)
{
    const nn_map *map = &edge->map;
    hash_whole(hash, edge->node);
    hash_whole(hash, (uint64_t)map->kind);
    if (map->kind == NN_MAP_CONVOLUTION) {
        hash_convolution(hash, &map->convolution);
        return;
    }
    size_t rows = nn_shape_values(map->out), entries = map->sparse.row[rows];
    for (size_t r = 0; r <= rows; r++) hash_whole(hash, map->sparse.row[r]);
    for (size_t k = 0; k < entries; k++) hash_whole(hash, map->sparse.column[k]);
    hash_numbers(hash, map->sparse.weight, entries);
}

static void hash_node(XXH3_state_t *hash, const nn_node *node)
{
    const ola_function *f = &node->function;
    const double parameters[2] = {f->a, f->b};
    const char *name = ola_function_name(f);
    hash_shape(hash, node->shape);
    XXH3_64bits_update(hash, name, strlen(name) + 1);
    hash_numbers(hash, parameters, ola_function_parameters(f));
    hash_whole(hash, f->kind == OLA_TABLE ? f->count : 0);
    if (f->kind == OLA_TABLE) hash_numbers(hash, node->points, 2 * f->count);
    hash_whole(hash, node->edge_count);
    for (size_t k = 0; k < node->edge_count; k++) hash_edge(hash, &node->edges[k]);
    if (!node->bias) return;
    hash_whole(hash, node->full_bias);
    hash_numbers(hash, node->bias,
                 node->full_bias ? nn_shape_values(node->shape) : node->shape.channels);
}

uint64_t nn_graph_hash(const nn_graph *graph)
{
    XXH3_state_t hash;
    XXH3_64bits_reset(&hash);
    hash_whole(&hash, graph->count);
    for (size_t i = 0; i < graph->count; i++) hash_node(&hash, &graph->nodes[i]);
    return XXH3_64bits_digest(&hash);
}
