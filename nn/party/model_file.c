/* SPDX-License-Identifier: Apache-2.0 */
/* A model in a container: MODL, then for every node but the input NODE, the numbers of its maps and
 * of its bias. Numbers come in pieces, so that memory is taken as bytes arrive, whatever counts a
 * file claims; and what is read is checked to be a graph as the builder makes them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn/graph/graph.h"
#include "nn/graph/model_io.h"
#include "nn/party/artifact.h"
#include "nn/party/bytes.h"

#define MODEL_TAG   "MODL"
#define NODE_TAG    "NODE"
#define NUMBERS_TAG "WGHT"
#define ENTRIES_TAG "SPRS"

#define PIECE        ((size_t)1 << 16) /* numbers, or entries, of a chunk */
#define MAX_POINTS   ((size_t)1 << 16) /* of a table */
#define MAX_MODEL    (256u + NN_MAX_CLASSES * (4u + NN_MAX_NAME))
#define EDGE_BYTES   64u /* at most */
#define MAX_NODE     (512 + 16 * MAX_POINTS + NN_GRAPH_MAX_TERMS * EDGE_BYTES)
#define ENTRY_BYTES  16u
#define MAX_REACH    ((uint64_t)1 << 24) /* places from a convolution's first one to its last */
#define MAX_PRODUCTS ((double)((uint64_t)1 << 36)) /* of a whole graph: minutes */

/* ---- numbers in pieces ---- */

static size_t piece_of(size_t done, size_t count)
{
    return count - done < PIECE ? count - done : PIECE;
}

static fhola_status write_numbers(ckks_writer *writer, const double *x, size_t count)
{
    fhola_status status = FHOLA_OK;
    for (size_t done = 0; done < count && status == FHOLA_OK; done += PIECE) {
        nn_bytes b = {0};
        nn_bytes_add_doubles(&b, x + done, piece_of(done, count));
        status = nn_bytes_built(&b);
        if (status == FHOLA_OK) status = ckks_writer_chunk(writer, NUMBERS_TAG, b.bytes, b.length);
        free(b.bytes);
    }
    return status;
}

/* Room for `more` elements behind `used` ones. `array` is the address of a pointer to them. */
static fhola_status make_room(void *array, size_t element, size_t used, size_t more)
{
    void *old;
    memcpy(&old, array, sizeof old);
    void *grown = realloc(old, (used + more) * element);
    if (!grown) return fhola_fail(FHOLA_NOMEM, "no memory for %zu numbers", used + more);
    memcpy(array, &grown, sizeof grown);
    /* cppcheck-suppress memleak; it stands in *array */
    return FHOLA_OK;
}

/* *x, NULL at first, belongs to the caller whatever comes back. */
static fhola_status read_numbers(double **x, size_t count, ckks_reader *r)
{
    fhola_status status = FHOLA_OK;
    for (size_t done = 0; done < count && status == FHOLA_OK; done += PIECE) {
        const unsigned char *content;
        size_t piece = piece_of(done, count);
        status = ckks_reader_chunk(r, NUMBERS_TAG, 8 * piece, 8 * piece, &content, NULL);
        if (status == FHOLA_OK) status = make_room(x, sizeof **x, done, piece);
        if (status != FHOLA_OK) return status;
        nn_cursor c = {content, 8 * piece, false};
        nn_take_doubles(*x + done, &c, piece);
        for (size_t k = done; k < done + piece; k++)
            if (!isfinite((*x)[k]))
                return ckks_reader_fail(r, FHOLA_FORMAT, "value %zu is not finite", k);
    }
    return status;
}

/* ---- shapes ---- */

static void add_shape(nn_bytes *b, nn_shape s)
{
    nn_bytes_add32(b, s.channels);
    nn_bytes_add32(b, s.height);
    nn_bytes_add32(b, s.width);
}

static fhola_status take_shape(nn_shape *shape, nn_cursor *c, const ckks_reader *r)
{
    nn_shape s = {nn_take32(c), nn_take32(c), nn_take32(c)};
    const uint64_t most = NN_GRAPH_MAX_VALUES;
    if (s.channels < 1 || s.height < 1 || s.width < 1 || s.channels > most || s.height > most ||
        (uint64_t)s.channels * s.height > most || (uint64_t)s.channels * s.height * s.width > most)
        return ckks_reader_fail(r, FHOLA_FORMAT, "a tensor of %u x %u x %u values", s.channels,
                                s.height, s.width);
    *shape = s;
    return FHOLA_OK;
}

/* ---- functions ---- */

static void add_function(nn_bytes *b, const ola_function *f)
{
    size_t points = f->kind == OLA_TABLE ? f->count : 0;
    nn_bytes_add_name(b, ola_function_name(f));
    nn_bytes_add_doubles(b, &f->a, 1);
    nn_bytes_add_doubles(b, &f->b, 1);
    nn_bytes_add32(b, (uint32_t)points);
    nn_bytes_add_doubles(b, f->x, points);
    nn_bytes_add_doubles(b, f->y, points);
}

static fhola_status take_table(nn_node *node, nn_cursor *c, const ckks_reader *r, size_t points)
{
    if (points > MAX_POINTS || 16 * points > c->left)
        return ckks_reader_fail(r, FHOLA_FORMAT, "a table of %zu points", points);
    double *x = malloc(2 * points * sizeof *x);
    if (!x) return fhola_fail(FHOLA_NOMEM, "no memory for a table of %zu points", points);
    nn_take_doubles(x, c, 2 * points);
    ola_function table = {.kind = OLA_TABLE, .count = points, .x = x, .y = x + points};
    fhola_status status = nn_node_set_function(node, &table);
    free(x);
    return status;
}

static fhola_status take_function(nn_node *node, nn_cursor *c, const ckks_reader *r)
{
    char *name = NULL;
    ola_function f;
    fhola_status status = nn_take_name(&name, c, r, "a function");
    if (status != FHOLA_OK) return status;
    double a = nn_take_double(c), b = nn_take_double(c);
    size_t points = nn_take32(c);
    if (strcmp(name, "table") == 0) {
        status = take_table(node, c, r, points);
    } else if (points || !ola_function_find(&f, name)) {
        status = ckks_reader_fail(r, FHOLA_FORMAT, "\"%s\" is no function", name);
    } else {
        f.a = a;
        f.b = b;
        status = nn_node_set_function(node, &f);
    }
    free(name);
    return status == FHOLA_PARAM ? ckks_reader_fail(r, FHOLA_FORMAT, "%s", fhola_detail()) : status;
}

/* ---- linear maps ---- */

static void add_map(nn_bytes *b, const nn_map *map)
{
    const nn_convolution *c = &map->convolution;
    nn_bytes_add32(b, map->kind == NN_MAP_SPARSE);
    if (map->kind == NN_MAP_SPARSE) {
        nn_bytes_add32(b, (uint32_t)map->sparse.row[nn_shape_values(map->out)]);
        return;
    }
    const uint32_t field[] = {c->in_first,       c->in_channels, c->out_first,  c->out_channels,
                              c->groups,         c->kernel_y,    c->kernel_x,   c->stride_y,
                              c->stride_x,       c->dilation_y,  c->dilation_x, (uint32_t)c->pad_y,
                              (uint32_t)c->pad_x};
    for (size_t i = 0; i < sizeof field / sizeof *field; i++) nn_bytes_add32(b, field[i]);
}

static bool channels_fit(unsigned first, unsigned count, unsigned groups, unsigned all)
{
    return count >= 1 && first <= all && count <= all - first && groups >= 1 && count % groups == 0;
}

/* Along one axis: no product of these overflows, and taps are so few that they can be tried. */
static bool axis_fits(unsigned out, unsigned kernel, unsigned stride, unsigned dilation, int pad)
{
    return kernel >= 1 && stride >= 1 && dilation >= 1 && kernel <= MAX_REACH &&
           stride <= MAX_REACH && dilation <= MAX_REACH &&
           (uint64_t)(out - 1) * stride + (uint64_t)(kernel - 1) * dilation <= MAX_REACH &&
           (uint64_t)out * kernel <= MAX_REACH && pad <= (int)MAX_REACH && pad >= -(int)MAX_REACH;
}

static bool convolution_fits(const nn_map *map)
{
    const nn_convolution *c = &map->convolution;
    if (!channels_fit(c->in_first, c->in_channels, c->groups, map->in.channels) ||
        !channels_fit(c->out_first, c->out_channels, c->groups, map->out.channels) ||
        !axis_fits(map->out.height, c->kernel_y, c->stride_y, c->dilation_y, c->pad_y) ||
        !axis_fits(map->out.width, c->kernel_x, c->stride_x, c->dilation_x, c->pad_x))
        return false;
    double weights =
        (double)c->out_channels * (c->in_channels / c->groups) * c->kernel_y * c->kernel_x;
    return weights <= (double)NN_MAP_MAX_WEIGHTS;
}

static int take_signed(nn_cursor *c)
{
    uint32_t x = nn_take32(c);
    return x > INT32_MAX ? -(int)(UINT32_MAX - x) - 1 : (int)x;
}

static void take_convolution(nn_convolution *k, nn_cursor *c)
{
    unsigned *const field[] = {&k->in_first, &k->in_channels, &k->out_first, &k->out_channels,
                               &k->groups,   &k->kernel_y,    &k->kernel_x,  &k->stride_y,
                               &k->stride_x, &k->dilation_y,  &k->dilation_x};
    for (size_t i = 0; i < sizeof field / sizeof *field; i++) *field[i] = nn_take32(c);
    k->pad_y = take_signed(c);
    k->pad_x = take_signed(c);
}

/* Everything but the numbers; of a sparse map *entries. */
static fhola_status take_map(nn_map *map, size_t *entries, nn_cursor *c, const ckks_reader *r)
{
    uint32_t kind = nn_take32(c);
    if (kind > 1) return ckks_reader_fail(r, FHOLA_FORMAT, "unknown kind %u of linear map", kind);
    map->kind = kind ? NN_MAP_SPARSE : NN_MAP_CONVOLUTION;
    if (kind) {
        *entries = nn_take32(c);
        if (*entries > NN_MAP_MAX_ENTRIES)
            return ckks_reader_fail(r, FHOLA_FORMAT, "a linear map of %zu entries", *entries);
        return FHOLA_OK;
    }
    take_convolution(&map->convolution, c);
    if (!c->short_of && !convolution_fits(map))
        return ckks_reader_fail(r, FHOLA_FORMAT, "a convolution that does not fit its tensors");
    return FHOLA_OK;
}

static fhola_status write_entries(ckks_writer *writer, const nn_map *map)
{
    const nn_sparse *s = &map->sparse;
    size_t rows = nn_shape_values(map->out), count = s->row[rows], row = 0;
    fhola_status status = FHOLA_OK;
    for (size_t done = 0; done < count && status == FHOLA_OK; done += PIECE) {
        nn_bytes b = {0};
        for (size_t k = done; k < done + piece_of(done, count); k++) {
            while (s->row[row + 1] <= k) row++;
            nn_bytes_add32(&b, (uint32_t)row);
            nn_bytes_add32(&b, s->column[k]);
            nn_bytes_add_doubles(&b, &s->weight[k], 1);
        }
        status = nn_bytes_built(&b);
        if (status == FHOLA_OK) status = ckks_writer_chunk(writer, ENTRIES_TAG, b.bytes, b.length);
        free(b.bytes);
    }
    return status;
}

static fhola_status write_map(ckks_writer *writer, const nn_map *map)
{
    return map->kind == NN_MAP_SPARSE ? write_entries(writer, map)
                                      : write_numbers(writer, map->convolution.weight,
                                                      nn_convolution_weights(&map->convolution));
}

/* Entries of rows up to *row have been read, the last of them in column *column. */
static fhola_status take_entries(nn_map *map, nn_cursor *c, const ckks_reader *r, size_t done,
                                 size_t piece, size_t *row, size_t *column)
{
    nn_sparse *s = &map->sparse;
    for (size_t k = done; k < done + piece; k++) {
        size_t to = nn_take32(c), from = nn_take32(c);
        s->weight[k] = nn_take_double(c);
        s->column[k] = (uint32_t)from;
        if (to >= nn_shape_values(map->out) || from >= nn_shape_values(map->in) || to < *row ||
            (k && to == *row && from <= *column) || !isfinite(s->weight[k]))
            return ckks_reader_fail(r, FHOLA_FORMAT, "entry %zu is out of place or not finite", k);
        while (*row < to) s->row[++*row] = k;
        *column = from;
    }
    return FHOLA_OK;
}

static fhola_status read_entries(nn_map *map, size_t entries, ckks_reader *r)
{
    size_t rows = nn_shape_values(map->out), row = 0, column = 0;
    nn_sparse *s = &map->sparse;
    fhola_status status = FHOLA_OK;
    s->row = calloc(rows + 1, sizeof *s->row);
    s->column = calloc(1, sizeof *s->column);
    s->weight = calloc(1, sizeof *s->weight);
    if (!s->row || !s->column || !s->weight)
        return fhola_fail(FHOLA_NOMEM, "no memory for %zu rows of a linear map", rows);
    for (size_t done = 0; done < entries && status == FHOLA_OK; done += PIECE) {
        const unsigned char *content;
        size_t piece = piece_of(done, entries), bytes = ENTRY_BYTES * piece;
        status = ckks_reader_chunk(r, ENTRIES_TAG, bytes, bytes, &content, NULL);
        if (status == FHOLA_OK) status = make_room(&s->column, sizeof *s->column, done, piece);
        if (status == FHOLA_OK) status = make_room(&s->weight, sizeof *s->weight, done, piece);
        nn_cursor c = {content, bytes, false};
        if (status == FHOLA_OK) status = take_entries(map, &c, r, done, piece, &row, &column);
    }
    while (status == FHOLA_OK && row < rows) s->row[++row] = entries;
    return status;
}

static fhola_status read_map(nn_map *map, size_t entries, ckks_reader *r)
{
    return map->kind == NN_MAP_SPARSE ? read_entries(map, entries, r)
                                      : read_numbers(&map->convolution.weight,
                                                     nn_convolution_weights(&map->convolution), r);
}

/* ---- nodes ---- */

static size_t bias_count(const nn_node *node)
{
    return node->full_bias ? nn_shape_values(node->shape) : node->shape.channels;
}

static fhola_status write_node(ckks_writer *writer, const nn_node *node)
{
    nn_bytes b = {0};
    nn_bytes_add_name(&b, node->name);
    add_shape(&b, node->shape);
    nn_bytes_add32(&b, node->full_bias);
    add_function(&b, &node->function);
    nn_bytes_add32(&b, (uint32_t)node->edge_count);
    for (size_t e = 0; e < node->edge_count; e++) {
        nn_bytes_add32(&b, (uint32_t)node->edges[e].node);
        add_map(&b, &node->edges[e].map);
    }
    fhola_status status = nn_bytes_built(&b);
    if (status == FHOLA_OK) status = ckks_writer_chunk(writer, NODE_TAG, b.bytes, b.length);
    free(b.bytes);
    for (size_t e = 0; e < node->edge_count && status == FHOLA_OK; e++)
        status = write_map(writer, &node->edges[e].map);
    return status == FHOLA_OK ? write_numbers(writer, node->bias, bias_count(node)) : status;
}

static fhola_status take_edges(nn_node *node, size_t *entries, const nn_graph *graph, size_t index,
                               nn_cursor *c, const ckks_reader *r)
{
    size_t count = nn_take32(c);
    fhola_status status = FHOLA_OK;
    if (count < 1 || count > NN_GRAPH_MAX_TERMS)
        return ckks_reader_fail(r, FHOLA_FORMAT, "%s reads %zu nodes, not 1..%u", node->name, count,
                                NN_GRAPH_MAX_TERMS);
    node->edges = calloc(count, sizeof *node->edges);
    if (!node->edges) return fhola_fail(FHOLA_NOMEM, "no memory for %zu edges", count);
    node->edge_count = count;
    for (size_t e = 0; e < count && status == FHOLA_OK; e++) {
        size_t from = nn_take32(c);
        if (from >= index || (e && from <= node->edges[e - 1].node))
            return ckks_reader_fail(r, FHOLA_FORMAT, "%s reads node %zu out of order", node->name,
                                    from);
        node->edges[e].node = from;
        node->edges[e].map.in = graph->nodes[from].shape;
        node->edges[e].map.out = node->shape;
        status = take_map(&node->edges[e].map, &entries[e], c, r);
    }
    return status;
}

static fhola_status take_node(nn_node *node, size_t *entries, const nn_graph *graph, size_t index,
                              nn_cursor *c, const ckks_reader *r)
{
    fhola_status status = nn_take_name(&node->name, c, r, "a node");
    if (status == FHOLA_OK) status = take_shape(&node->shape, c, r);
    if (status != FHOLA_OK) return status;
    uint32_t full_bias = nn_take32(c);
    if (full_bias > 1) return ckks_reader_fail(r, FHOLA_FORMAT, "unknown kind of bias");
    node->full_bias = full_bias;
    status = take_function(node, c, r);
    if (status == FHOLA_OK) status = take_edges(node, entries, graph, index, c, r);
    return status == FHOLA_OK ? nn_taken(c, r) : status;
}

static fhola_status read_node(nn_graph *graph, size_t index, ckks_reader *r)
{
    const unsigned char *content;
    size_t length, entries[NN_GRAPH_MAX_TERMS] = {0};
    nn_node *node = &graph->nodes[index];
    fhola_status status = ckks_reader_chunk(r, NODE_TAG, 0, MAX_NODE, &content, &length);
    if (status != FHOLA_OK) return status;
    nn_cursor c = {content, length, false};
    graph->count = index + 1;
    status = take_node(node, entries, graph, index, &c, r);
    for (size_t e = 0; e < node->edge_count && status == FHOLA_OK; e++)
        status = read_map(&node->edges[e].map, entries[e], r);
    return status == FHOLA_OK ? read_numbers(&node->bias, bias_count(node), r) : status;
}

/* ---- graphs ---- */

static bool is_read(const nn_graph *graph, size_t index)
{
    for (size_t i = index + 1; i < graph->count; i++)
        for (size_t e = 0; e < graph->nodes[i].edge_count; e++)
            if (graph->nodes[i].edges[e].node == index) return true;
    return false;
}

static fhola_status check_graph(const nn_graph *graph, unsigned classes, const ckks_reader *r)
{
    const nn_node *last = nn_graph_scores(graph);
    double products = 0;
    if (last->shape.channels != classes || last->shape.height != 1 || last->shape.width != 1 ||
        last->function.kind != OLA_IDENTITY)
        return ckks_reader_fail(r, FHOLA_FORMAT, "the last node does not give %u scores", classes);
    for (size_t i = 0; i + 1 < graph->count; i++)
        if (!is_read(graph, i))
            return ckks_reader_fail(r, FHOLA_FORMAT, "nothing reads node %zu", i);
    for (size_t i = 1; i < graph->count; i++)
        for (size_t e = 0; e < graph->nodes[i].edge_count; e++)
            products += (double)nn_map_entries(&graph->nodes[i].edges[e].map);
    if (products > MAX_PRODUCTS)
        return ckks_reader_fail(r, FHOLA_FORMAT, "a network of %.2g products, more than %.2g",
                                products, MAX_PRODUCTS);
    return FHOLA_OK;
}

/* A graph of the input alone, with room for `count` nodes. */
static fhola_status create_graph(nn_graph **out, nn_shape input, size_t count)
{
    static const char name[] = "input";
    nn_graph *graph = calloc(1, sizeof *graph);
    if (!graph) return fhola_fail(FHOLA_NOMEM, "no memory for a network");
    graph->finished = true;
    graph->nodes = calloc(count, sizeof *graph->nodes);
    graph->count = graph->nodes ? 1 : 0;
    if (graph->nodes) graph->nodes[0].name = malloc(sizeof name);
    if (!graph->nodes || !graph->nodes[0].name) {
        nn_graph_destroy(graph);
        return fhola_fail(FHOLA_NOMEM, "no memory for a network of %zu nodes", count);
    }
    memcpy(graph->nodes[0].name, name, sizeof name);
    graph->nodes[0].shape = input;
    graph->nodes[0].function.kind = OLA_IDENTITY;
    *out = graph;
    return FHOLA_OK;
}

static fhola_status read_graph(nn_graph **out, nn_shape input, size_t count, unsigned classes,
                               ckks_reader *r)
{
    nn_graph *graph = NULL;
    fhola_status status = create_graph(&graph, input, count);
    if (status != FHOLA_OK) return status;
    for (size_t i = 1; i < count && status == FHOLA_OK; i++) status = read_node(graph, i, r);
    if (status == FHOLA_OK) status = check_graph(graph, classes, r);
    if (status == FHOLA_OK)
        *out = graph;
    else
        nn_graph_destroy(graph);
    return status;
}

/* ---- models ---- */

fhola_status nn_model_write(ckks_writer *writer, const nn_model *m)
{
    nn_bytes b = {0};
    const nn_graph *graph = m->graph;
    nn_shape input = graph->nodes[0].shape;
    nn_bytes_add64(&b, m->hash);
    nn_bytes_add_doubles(&b, &m->test_accuracy, 1);
    add_shape(&b, input);
    nn_bytes_add_doubles(&b, m->mean, 3);
    nn_bytes_add_doubles(&b, m->std, 3);
    nn_bytes_add32(&b, (uint32_t)graph->count);
    nn_bytes_add32(&b, m->classes);
    for (size_t i = 0; i < m->classes; i++) nn_bytes_add_name(&b, m->class_names[i]);
    fhola_status status = nn_bytes_built(&b);
    if (status == FHOLA_OK) status = ckks_writer_chunk(writer, MODEL_TAG, b.bytes, b.length);
    free(b.bytes);
    for (size_t i = 1; i < graph->count && status == FHOLA_OK; i++)
        status = write_node(writer, &graph->nodes[i]);
    return status;
}

static fhola_status parse_model(nn_model *m, nn_shape *input, size_t *nodes, nn_cursor *c,
                                const ckks_reader *r)
{
    m->hash = nn_take64(c);
    m->test_accuracy = nn_take_double(c);
    fhola_status status = take_shape(input, c, r);
    if (status == FHOLA_OK) status = nn_take_normalisation(m->mean, m->std, c, r);
    if (status != FHOLA_OK) return status;
    *nodes = nn_take32(c);
    uint32_t classes = nn_take32(c);
    if (*nodes < 3 || *nodes > NN_GRAPH_MAX_NODES)
        return ckks_reader_fail(r, FHOLA_FORMAT, "%zu nodes are not 3..%u", *nodes,
                                NN_GRAPH_MAX_NODES);
    status = nn_take_class_names(&m->class_names, c, r, classes);
    if (status != FHOLA_OK) return status;
    m->classes = classes;
    return nn_taken(c, r);
}

fhola_status nn_model_read(nn_model **model, ckks_reader *reader)
{
    const unsigned char *content;
    size_t length, nodes;
    nn_shape input;
    fhola_status status = ckks_reader_chunk(reader, MODEL_TAG, 0, MAX_MODEL, &content, &length);
    if (status != FHOLA_OK) return status;
    nn_model *m = calloc(1, sizeof *m);
    if (!m) return fhola_fail(FHOLA_NOMEM, "no memory for a model");
    nn_cursor c = {content, length, false};
    status = parse_model(m, &input, &nodes, &c, reader);
    if (status == FHOLA_OK) status = read_graph(&m->graph, input, nodes, m->classes, reader);
    if (status != FHOLA_OK)
        nn_model_free(m);
    else
        *model = m;
    return status;
}
