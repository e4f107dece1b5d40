/* SPDX-License-Identifier: Apache-2.0 */
/* A feed-forward network in normal form: v_i = f_i(sum over inputs j of A_ij v_j + b_i). Internal
 * to nn/; the builder is in nn.h. */
#ifndef NN_GRAPH_H
#define NN_GRAPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nn/graph/map.h"
#include "ola/ola.h"

#define NN_GRAPH_MAX_VALUES ((size_t)1 << 20) /* of one tensor */
#define NN_GRAPH_MAX_NODES  4096u
#define NN_GRAPH_MAX_TERMS  6u /* earlier nodes that one tensor is a sum over */
/* Diagonals that two maps may have more as one than as two: beyond, a node stands between them. A
 * bootstrap takes as long as about so many. */
#define NN_GRAPH_MAX_GROWTH 2048u

typedef struct nn_edge {
    size_t node; /* where the values come from: an earlier node */
    nn_map map;
} nn_edge;

typedef struct nn_node {
    char *name; /* what the importer calls it, for messages; never NULL */
    nn_shape shape;
    size_t edge_count;
    nn_edge *edges; /* of different nodes, in their order */
    double *bias;   /* per channel, or with full_bias per value */
    bool full_bias;
    ola_function function; /* OLA_IDENTITY: a linear node */
    double *points;        /* what a table in `function` consists of: all x, then all y */
} nn_node;

/* A tensor under construction: the sum of maps of earlier nodes, and a constant (NULL: 0), as
 * `inner` values; `shape` and with `view` not NULL a selection of these are what the caller
 * sees. */
typedef struct nn_expression {
    char *name;
    nn_shape shape, inner;
    size_t term_count;
    nn_edge *terms;
    double *constant;
    uint32_t *view;
} nn_expression;

/* Node 0 is the picture (no edges, identity). The last node gives the scores: shape K x 1 x 1, its
 * function identity; it has no bootstrap. The nodes between are the *layers*: layer i is node i +
 * 1, each with one activation (a polynomial of the plan; of a linear node, one that undoes the
 * sine) and one bootstrap. Nodes are in topological order and each is used. */
struct nn_graph {
    size_t count;
    nn_node *nodes;
    bool finished;
    /* until nn_graph_finish */
    size_t tensor_count, tensor_room, node_room;
    nn_expression *tensors;
};

size_t nn_graph_layers(const nn_graph *graph); /* count - 2 */
const nn_node *nn_graph_layer(const nn_graph *graph, size_t i);
const nn_node *nn_graph_scores(const nn_graph *graph); /* the last node */

/* Linear maps on the longest way from the picture to the scores: 20 of ResNet-20. */
unsigned nn_graph_depth(const nn_graph *graph);

/* Whether layer i ends a sum, or several nodes read it: outputs of blocks, rather than what is
 * inside of them. */
bool nn_graph_is_output(const nn_graph *graph, size_t i);

static inline double nn_node_bias(const nn_node *node, size_t value)
{
    return node
        ->bias[node->full_bias ? value : value / ((size_t)node->shape.height * node->shape.width)];
}

/* last[j]: the last node that reads node j. */
void nn_graph_last_readers(const nn_graph *graph, size_t *last);
/* Gives each node but the last a slot for its values: none that a value of another node in it is
 * still to be read from afterwards. *slots gets their number. */
fhola_status nn_graph_slots(const nn_graph *graph, size_t *slot, size_t *slots) FHOLA_WARN_UNUSED;

void nn_node_clear(nn_node *node);

/* Replaces the function; points of a table are copied. FHOLA_NOMEM, FHOLA_PARAM. */
fhola_status nn_node_set_function(nn_node *node, const ola_function *f) FHOLA_WARN_UNUSED;

/* XXH3-64 over everything but names, functions included, in a form that is the same on every
 * machine. */
uint64_t nn_graph_hash(const nn_graph *graph);

#endif
