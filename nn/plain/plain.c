/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/plain/plain.h"

#include <stdlib.h>
#include <string.h>

#include "nn/base/parallel.h"
#include "nn/graph/model_io.h"
#include "nn/plain/convolve.h"

/* What goes into a layer: maps of earlier nodes, one of which may bring the bias. */
typedef struct plain_layer {
    const nn_node *node;
    nn_fast_map *maps; /* of node->edges */
    size_t main;       /* the map that writes all values first; node->edge_count: none does */
    float *bias;       /* a value each; NULL: in the main map */
    nn_fast_activation polynomial;
} plain_layer;

/* The last layer, in double precision. A map that takes the mean of each channel first (`mean` not
 * NULL: its weights, classes x channels) is computed so. */
typedef struct plain_scores {
    const nn_node *node;
    double *mean;
} plain_scores;

struct nn_plain {
    const nn_model *model;
    nn_simd simd;
    size_t count; /* layers */
    plain_layer *layers;
    plain_scores scores;
    size_t *slot; /* of each node's values in nn_plain_run */
    size_t slots;
    size_t room, values; /* largest numbers of any map and node */
};

/* ---- conversion ---- */

/* The map that writes all of a layer: the one of most weights. */
static size_t find_main(const plain_layer *layer)
{
    size_t main = layer->node->edge_count, most = 0;
    for (size_t k = 0; k < layer->node->edge_count; k++) {
        size_t weights = layer->node->edges[k].map.kind == NN_MAP_CONVOLUTION
                             ? nn_convolution_weights(&layer->node->edges[k].map.convolution)
                             : 0;
        if (nn_fast_map_is_whole(&layer->maps[k]) && weights > most) {
            main = k;
            most = weights;
        }
    }
    return main;
}

static fhola_status set_bias(plain_layer *layer)
{
    const nn_node *node = layer->node;
    size_t channels = node->shape.channels, count = nn_shape_values(node->shape),
           plane = count / channels;
    if (layer->main < node->edge_count && !node->full_bias) {
        for (size_t c = 0; c < channels; c++)
            layer->maps[layer->main].bias[c] = (float)node->bias[c];
        return FHOLA_OK;
    }
    layer->bias = malloc(count * sizeof *layer->bias);
    if (!layer->bias) return fhola_fail(FHOLA_NOMEM, "no memory for the bias of %s", node->name);
    for (size_t k = 0; k < count; k++)
        layer->bias[k % plane * channels + k / plane] = (float)nn_node_bias(node, k);
    return FHOLA_OK;
}

static fhola_status convert_layer(nn_plain *plain, plain_layer *layer, const nn_node *node)
{
    layer->node = node;
    layer->maps = calloc(node->edge_count, sizeof *layer->maps);
    if (!layer->maps) return fhola_fail(FHOLA_NOMEM, "no memory for %s", node->name);
    for (size_t k = 0; k < node->edge_count; k++) {
        fhola_status status = nn_fast_map_create(&layer->maps[k], &node->edges[k].map, NULL);
        if (status != FHOLA_OK) return status;
        size_t room = nn_fast_map_room(&layer->maps[k]);
        if (room > plain->room) plain->room = room;
    }
    layer->main = find_main(layer);
    return set_bias(layer);
}

/* Whether the scores are linear in the means of channels. */
static bool takes_means(const nn_node *node)
{
    const nn_map *map = &node->edges[0].map;
    const nn_convolution *c = &map->convolution;
    if (node->edge_count != 1 || map->kind != NN_MAP_CONVOLUTION || c->groups != 1 ||
        c->in_channels != map->in.channels || c->out_channels != map->out.channels ||
        c->kernel_y != map->in.height || c->kernel_x != map->in.width || c->pad_y != 0 ||
        c->pad_x != 0 || c->dilation_y != 1 || c->dilation_x != 1)
        return false;
    size_t plane = (size_t)map->in.height * map->in.width, count = nn_convolution_weights(c);
    for (size_t k = 0; k < count; k++)
        if (c->weight[k] != c->weight[k / plane * plane]) return false;
    return true;
}

static fhola_status convert_scores(nn_plain *plain, const nn_node *node)
{
    plain->scores.node = node;
    if (!takes_means(node)) return FHOLA_OK;
    const nn_map *map = &node->edges[0].map;
    size_t plane = (size_t)map->in.height * map->in.width,
           count = (size_t)map->out.channels * map->in.channels;
    plain->scores.mean = malloc(count * sizeof *plain->scores.mean);
    if (!plain->scores.mean) return fhola_fail(FHOLA_NOMEM, "no memory for %s", node->name);
    for (size_t k = 0; k < count; k++)
        plain->scores.mean[k] = map->convolution.weight[k * plane] * (double)plane;
    return FHOLA_OK;
}

static fhola_status convert(nn_plain *plain, const nn_plan *plan)
{
    const nn_graph *graph = plain->model->graph;
    plain->layers = calloc(nn_graph_layers(graph), sizeof *plain->layers);
    plain->slot = malloc(graph->count * sizeof *plain->slot);
    if (!plain->layers || !plain->slot)
        return fhola_fail(FHOLA_NOMEM, "no memory for a network of %zu layers", graph->count);
    plain->count = nn_graph_layers(graph);
    for (size_t i = 0; i < graph->count; i++) {
        size_t values = nn_shape_values(graph->nodes[i].shape);
        if (values > plain->values) plain->values = values;
    }
    fhola_status status = nn_graph_slots(graph, plain->slot, &plain->slots);
    for (size_t i = 0; i < plain->count && status == FHOLA_OK; i++) {
        status = convert_layer(plain, &plain->layers[i], nn_graph_layer(graph, i));
        if (status == FHOLA_OK && plan)
            status = nn_plain_set_activation(plain, i, &plan->activations[i], plan->eps);
    }
    return status == FHOLA_OK ? convert_scores(plain, nn_graph_scores(graph)) : status;
}

fhola_status nn_plain_create(nn_plain **plain, const nn_model *model, const nn_plan *plan)
{
    fhola_status status = plan ? nn_plan_check(plan, model) : FHOLA_OK;
    if (status != FHOLA_OK) return status;
    nn_plain *result = calloc(1, sizeof *result);
    if (!result) return fhola_fail(FHOLA_NOMEM, "no memory for a network");
    result->model = model;
    status = nn_simd_select(&result->simd, NULL);
    if (status == FHOLA_OK) status = convert(result, plan);
    if (status != FHOLA_OK) {
        nn_plain_free(result);
        return status;
    }
    *plain = result;
    return FHOLA_OK;
}

static void clear_layer(plain_layer *layer)
{
    for (size_t k = 0; layer->maps && k < layer->node->edge_count; k++)
        nn_fast_map_clear(&layer->maps[k]);
    free(layer->maps);
    free(layer->bias);
    nn_fast_activation_clear(&layer->polynomial);
}

void nn_plain_free(nn_plain *plain)
{
    if (!plain) return;
    for (size_t i = 0; i < plain->count; i++) clear_layer(&plain->layers[i]);
    free(plain->layers);
    free(plain->scores.mean);
    free(plain->slot);
    free(plain);
}

fhola_status nn_plain_set_activation(nn_plain *plain, size_t i, const nn_activation *activation,
                                     double eps)
{
    nn_fast_activation *polynomial = &plain->layers[i].polynomial;
    if (activation) return nn_fast_activation_set(polynomial, activation, eps);
    nn_fast_activation_clear(polynomial);
    return FHOLA_OK;
}

/* ---- working memory ---- */

static fhola_status create_scratch(nn_scratch *s, const nn_plain *plain)
{
    size_t values = plain->values + NN_CONVOLVE_SLACK;
    size_t picture = nn_shape_values(plain->model->graph->nodes[0].shape);
    s->room = malloc((plain->room + 2 * values + picture) * sizeof *s->room);
    s->planar = malloc(plain->values * sizeof *s->planar);
    s->values = calloc(plain->count + 2, sizeof *s->values);
    s->slot = calloc(plain->slots + 1, sizeof *s->slot);
    if (!s->room || !s->planar || !s->values || !s->slot)
        return fhola_fail(FHOLA_NOMEM, "no memory to run a network");
    s->pre = s->room + plain->room;
    s->out = s->pre + values;
    s->planes = s->out + values;
    for (size_t k = 0; k < plain->slots; k++) {
        s->slot[k] = malloc(values * sizeof **s->slot);
        if (!s->slot[k]) return fhola_fail(FHOLA_NOMEM, "no memory to run a network");
    }
    return FHOLA_OK;
}

fhola_status nn_scratch_create(nn_scratch **scratch, size_t *count, const nn_plain *plain)
{
    size_t threads = nn_thread_count();
    nn_scratch *result = calloc(threads, sizeof *result);
    fhola_status status =
        result ? FHOLA_OK : fhola_fail(FHOLA_NOMEM, "no memory for %zu threads", threads);
    for (size_t t = 0; t < threads && status == FHOLA_OK; t++)
        status = create_scratch(&result[t], plain);
    if (status != FHOLA_OK) {
        nn_scratch_free(result, threads);
        return status;
    }
    *scratch = result;
    *count = threads;
    return FHOLA_OK;
}

void nn_scratch_free(nn_scratch *scratch, size_t count)
{
    if (!scratch) return;
    for (size_t t = 0; t < count; t++) {
        for (size_t k = 0; scratch[t].slot && scratch[t].slot[k]; k++) free(scratch[t].slot[k]);
        free(scratch[t].slot);
        free(scratch[t].values);
        free(scratch[t].planar);
        free(scratch[t].room);
    }
    free(scratch);
}

/* ---- pictures ---- */

void nn_plain_channels_last(float *values, const float *planes, nn_shape shape)
{
    size_t plane = (size_t)shape.height * shape.width;
    for (size_t c = 0; c < shape.channels; c++)
        for (size_t p = 0; p < plane; p++) values[p * shape.channels + c] = planes[c * plane + p];
}

static void to_planar(double *planar, const float *values, nn_shape shape)
{
    size_t plane = (size_t)shape.height * shape.width;
    for (size_t c = 0; c < shape.channels; c++)
        for (size_t p = 0; p < plane; p++)
            planar[c * plane + p] = (double)values[p * shape.channels + c];
}

const float *nn_plain_load(const nn_plain *plain, nn_scratch *scratch, const nn_batch *batch,
                           size_t index)
{
    nn_batch_picture(batch, index, scratch->planar);
    nn_model_normalise(plain->model, scratch->planar, scratch->planar);
    for (size_t i = 0; i < nn_shape_values(plain->model->graph->nodes[0].shape); i++)
        scratch->planes[i] = (float)scratch->planar[i];
    return scratch->planes;
}

fhola_status nn_plain_check_pictures(const nn_model *model, const nn_batch *batch)
{
    nn_shape is = nn_batch_shape(batch), should = model->graph->nodes[0].shape;
    if (nn_shape_equal(is, should)) return FHOLA_OK;
    return fhola_fail(FHOLA_PARAM, "pictures of %u x %u x %u values for a network of %u x %u x %u",
                      is.channels, is.height, is.width, should.channels, should.height,
                      should.width);
}

fhola_status nn_plain_check_labels(const nn_model *model, const nn_batch *batch, size_t count)
{
    fhola_status status = nn_plain_check_pictures(model, batch);
    for (size_t i = 0; i < count && status == FHOLA_OK; i++)
        if (nn_batch_label(batch, i) >= model->classes)
            status = fhola_fail(FHOLA_RANGE, "record %zu has label %u, the model knows 0 to %u", i,
                                nn_batch_label(batch, i), model->classes - 1);
    return status;
}

/* ---- steps ---- */

static void add_values(float *restrict to, const float *restrict values, size_t count)
{
    for (size_t i = 0; i < count; i++) to[i] += values[i];
}

void nn_plain_pre(const nn_plain *plain, size_t i, nn_scratch *scratch, float *pre,
                  const float *const *values)
{
    const plain_layer *layer = &plain->layers[i];
    const nn_edge *edges = layer->node->edges;
    size_t count = nn_shape_values(layer->node->shape), main = layer->main;
    if (main < layer->node->edge_count) {
        nn_fast_map_apply(pre, &layer->maps[main], values[edges[main].node], scratch->room, false);
        if (layer->bias) add_values(pre, layer->bias, count);
    } else {
        memcpy(pre, layer->bias, count * sizeof *pre);
    }
    for (size_t k = 0; k < layer->node->edge_count; k++)
        if (k != main)
            nn_fast_map_apply(pre, &layer->maps[k], values[edges[k].node], scratch->room, true);
}

void nn_plain_exact(const ola_function *f, float *out, const float *pre, size_t count)
{
    if (f->kind == OLA_RELU)
        for (size_t j = 0; j < count; j++)
            out[j] = pre[j] < 0.0f ? 0.0f : pre[j]; /* NaN stays NaN */
    else if (f->kind == OLA_IDENTITY)
        memmove(out, pre, count * sizeof *out);
    else
        for (size_t j = 0; j < count; j++) out[j] = (float)ola_function_eval(f, (double)pre[j]);
}

float nn_plain_activate(const nn_plain *plain, size_t i, float *out, const float *pre,
                        const nn_noise *noise)
{
    const plain_layer *layer = &plain->layers[i];
    size_t count = nn_shape_values(layer->node->shape);
    if (layer->polynomial.pitch > 0)
        return nn_fast_activation_apply(&layer->polynomial, plain->simd, i, out, pre, count, noise);
    nn_plain_exact(&layer->node->function, out, pre, count);
    return 0.0f;
}

/* Scores from the means of channels. */
static void finish_means(const nn_plain *plain, double *mean, float *scores, const float *in)
{
    const nn_node *node = plain->scores.node;
    nn_shape shape = node->edges[0].map.in;
    size_t channels = shape.channels, pixels = (size_t)shape.height * shape.width;
    for (size_t c = 0; c < channels; c++) {
        mean[c] = 0;
        for (size_t i = 0; i < pixels; i++) mean[c] += (double)in[i * channels + c];
        mean[c] /= (double)pixels;
    }
    for (size_t k = 0; k < node->shape.channels; k++) {
        double sum = node->bias[k];
        for (size_t c = 0; c < channels; c++) sum += plain->scores.mean[k * channels + c] * mean[c];
        scores[k] = (float)sum;
    }
}

void nn_plain_finish(const nn_plain *plain, nn_scratch *scratch, float *scores,
                     const float *const *values)
{
    const nn_node *node = plain->scores.node;
    double sum[NN_MAX_CLASSES];
    if (plain->scores.mean) {
        finish_means(plain, scratch->planar, scores, values[node->edges[0].node]);
        return;
    }
    for (size_t k = 0; k < node->shape.channels; k++) sum[k] = node->bias[k];
    for (size_t k = 0; k < node->edge_count; k++) {
        const nn_edge *edge = &node->edges[k];
        to_planar(scratch->planar, values[edge->node], edge->map.in);
        nn_map_add(sum, &edge->map, scratch->planar);
    }
    for (size_t k = 0; k < node->shape.channels; k++) scores[k] = (float)sum[k];
}

/* Activation i of what goes in, its largest |w|, and the node's values for what follows. */
static float run_activation(const nn_plain *plain, nn_scratch *s, size_t i, const float *pre,
                            const nn_noise *noise)
{
    float *out = s->slot[plain->slot[i + 1]];
    float most = nn_plain_activate(plain, i, out, pre, noise);
    s->values[i + 1] = out;
    return most;
}

/* pre and max_w may be NULL. */
static void run(const nn_plain *plain, nn_scratch *s, float *scores, float *max_w,
                float *const *pre, const float *planes, const nn_noise *noise)
{
    float *picture = s->slot[plain->slot[0]];
    nn_plain_channels_last(picture, planes, plain->model->graph->nodes[0].shape);
    s->values[0] = picture;
    for (size_t i = 0; i < plain->count; i++) {
        float *in = pre ? pre[i] : s->pre;
        nn_plain_pre(plain, i, s, in, s->values);
        float most = run_activation(plain, s, i, in, noise);
        if (max_w) max_w[i] = most;
    }
    nn_plain_finish(plain, s, scores, s->values);
}

void nn_plain_run(const nn_plain *plain, nn_scratch *scratch, float *scores, float *max_w,
                  const float *planes, const nn_noise *noise)
{
    run(plain, scratch, scores, max_w, NULL, planes, noise);
}

void nn_plain_run_keeping(const nn_plain *plain, nn_scratch *scratch, float *scores,
                          float *const *pre, const float *planes)
{
    run(plain, scratch, scores, NULL, pre, planes, NULL);
}

void nn_plain_run_from(const nn_plain *plain, nn_scratch *scratch, float *scores, size_t first,
                       const float *pre)
{
    run_activation(plain, scratch, first, pre, NULL);
    for (size_t i = first + 1; i < plain->count; i++) {
        nn_plain_pre(plain, i, scratch, scratch->pre, scratch->values);
        run_activation(plain, scratch, i, scratch->pre, NULL);
    }
    nn_plain_finish(plain, scratch, scores, scratch->values);
}
