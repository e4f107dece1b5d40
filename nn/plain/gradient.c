/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/plain/gradient.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn/base/parallel.h"
#include "nn/plain/convolve.h"
#include "nn/plain/plain.h"

#define CHUNK 64u /* pictures between two sums */

struct nn_gradient {
    const nn_model *model;
    nn_plain *plain;
    nn_fast_map **adjoint; /* of each layer's edges; NULL from the picture */
    size_t count;          /* layers */
    size_t room, values;   /* largest numbers of any map and layer */
};

static size_t value_count(const nn_model *model, size_t i)
{
    return nn_shape_values(nn_graph_layer(model->graph, i)->shape);
}

/* ---- memory ---- */

void nn_gradient_free(nn_gradient *gradient)
{
    if (!gradient) return;
    for (size_t i = 0; gradient->adjoint && i < gradient->count; i++) {
        const nn_node *node = nn_graph_layer(gradient->model->graph, i);
        for (size_t k = 0; gradient->adjoint[i] && k < node->edge_count; k++)
            nn_fast_map_clear(&gradient->adjoint[i][k]);
        free(gradient->adjoint[i]);
    }
    free(gradient->adjoint);
    nn_plain_free(gradient->plain);
    free(gradient);
}

static fhola_status transpose_layer(nn_gradient *g, size_t i)
{
    const nn_node *node = nn_graph_layer(g->model->graph, i);
    g->adjoint[i] = calloc(node->edge_count, sizeof **g->adjoint);
    if (!g->adjoint[i]) return fhola_fail(FHOLA_NOMEM, "no memory for %s", node->name);
    if (value_count(g->model, i) > g->values) g->values = value_count(g->model, i);
    for (size_t k = 0; k < node->edge_count; k++) {
        if (node->edges[k].node == 0) continue;
        fhola_status status = nn_fast_map_create_adjoint(&g->adjoint[i][k], &node->edges[k].map);
        if (status != FHOLA_OK) return status;
        size_t room = nn_fast_map_room(&g->adjoint[i][k]);
        if (room > g->room) g->room = room;
    }
    return FHOLA_OK;
}

fhola_status nn_gradient_create(nn_gradient **gradient, const nn_model *model)
{
    nn_gradient *g = calloc(1, sizeof *g);
    if (!g) return fhola_fail(FHOLA_NOMEM, "no memory for a network");
    g->model = model;
    g->count = nn_graph_layers(model->graph);
    g->adjoint = calloc(g->count, sizeof *g->adjoint);
    fhola_status status = g->adjoint ? nn_plain_create(&g->plain, model, NULL)
                                     : fhola_fail(FHOLA_NOMEM, "no memory for a network");
    for (size_t i = 0; i < g->count && status == FHOLA_OK; i++) status = transpose_layer(g, i);
    if (status != FHOLA_OK) {
        nn_gradient_free(g);
        return status;
    }
    *gradient = g;
    return FHOLA_OK;
}

void nn_gradient_trace_clear(nn_gradient_trace *trace)
{
    for (size_t i = 0; i < trace->count; i++) {
        free(trace->pre[i]);
        free(trace->gradient[i]);
    }
    free(trace->pre);
    free(trace->gradient);
    free(trace->scores);
    free(trace->room);
    nn_scratch_free(trace->scratch, trace->scratch_count);
    memset(trace, 0, sizeof *trace);
}

static fhola_status allocate_trace(nn_gradient_trace *trace, const nn_gradient *g)
{
    trace->pre = calloc(g->count, sizeof *trace->pre);
    trace->gradient = calloc(g->count, sizeof *trace->gradient);
    trace->scores = calloc(g->model->classes, sizeof *trace->scores);
    trace->room = malloc((g->room + g->values + NN_CONVOLVE_SLACK) * sizeof *trace->room);
    if (!trace->pre || !trace->gradient || !trace->scores || !trace->room)
        return fhola_fail(FHOLA_NOMEM, "no memory for gradients");
    trace->count = g->count;
    for (size_t i = 0; i < g->count; i++) {
        size_t values = value_count(g->model, i) + NN_CONVOLVE_SLACK;
        trace->pre[i] = malloc(values * sizeof **trace->pre);
        trace->gradient[i] = malloc(values * sizeof **trace->gradient);
        if (!trace->pre[i] || !trace->gradient[i])
            return fhola_fail(FHOLA_NOMEM, "no memory for the gradients of activation %zu", i);
    }
    return nn_scratch_create(&trace->scratch, &trace->scratch_count, g->plain);
}

fhola_status nn_gradient_trace_create(nn_gradient_trace *trace, const nn_gradient *gradient)
{
    nn_gradient_trace result = {0};
    fhola_status status = allocate_trace(&result, gradient);
    if (status == FHOLA_OK)
        *trace = result;
    else
        nn_gradient_trace_clear(&result);
    return status;
}

/* ---- one picture ---- */

/* The loss, and softmax(scores) - (1 at the label). */
static void differentiate_loss(nn_gradient_trace *t, const float *scores, size_t classes,
                               unsigned label)
{
    /* a largest float, not double: gcc 12 for aarch64 fails at that */
    float largest = scores[0];
    double sum = 0;
    for (size_t k = 1; k < classes; k++) largest = fmaxf(largest, scores[k]);
    for (size_t k = 0; k < classes; k++)
        sum += t->scores[k] = exp((double)scores[k] - (double)largest);
    t->loss = log(sum) + (double)largest - (double)scores[label];
    for (size_t k = 0; k < classes; k++)
        t->scores[k] = t->scores[k] / sum - (k == label ? 1.0 : 0.0);
}

/* The transpose of an entry of the scores' map: gradient[from] += score[to] * weight. */
typedef struct transposed {
    const nn_map *map;
    const double *score;
    double *gradient;
} transposed;

static void add_entry(void *arg, nn_place o, nn_place i, double weight)
{
    const transposed *t = arg;
    nn_shape in = t->map->in;
    t->gradient[((size_t)i.y * in.width + i.x) * in.channels + i.channel] +=
        t->score[o.channel] * weight;
}

static void back_through_scores(nn_gradient_trace *t, const nn_model *model)
{
    const nn_node *node = nn_graph_scores(model->graph);
    double *sum = t->scratch->planar;
    for (size_t k = 0; k < node->edge_count; k++) {
        const nn_edge *edge = &node->edges[k];
        size_t count = nn_shape_values(edge->map.in);
        if (edge->node == 0) continue;
        memset(sum, 0, count * sizeof *sum);
        transposed entry = {&edge->map, t->scores, sum};
        nn_map_for_each(&edge->map, add_entry, &entry);
        float *to = t->gradient[edge->node - 1];
        for (size_t j = 0; j < count; j++) to[j] += (float)sum[j];
    }
}

static void back_through_function(float *out, const ola_function *f, const float *gradient,
                                  const float *pre, size_t count)
{
    if (f->kind == OLA_RELU)
        for (size_t j = 0; j < count; j++) out[j] = pre[j] > 0.0f ? gradient[j] : 0.0f;
    else if (f->kind == OLA_ABS) /* where both sides of a maximum are equal, each has half of it */
        for (size_t j = 0; j < count; j++)
            out[j] = pre[j] > 0.0f ? gradient[j] : pre[j] < 0.0f ? -gradient[j] : 0.0f;
    else
        for (size_t j = 0; j < count; j++)
            out[j] = (float)(ola_function_slope(f, (double)pre[j]) * (double)gradient[j]);
}

/* From the gradient by layer i's output to those by its inputs. */
static void back_through_layer(const nn_gradient *g, nn_gradient_trace *t, size_t i)
{
    const nn_node *node = nn_graph_layer(g->model->graph, i);
    float *pre_gradient = t->room + g->room;
    back_through_function(pre_gradient, &node->function, t->gradient[i], t->pre[i],
                          value_count(g->model, i));
    for (size_t k = 0; k < node->edge_count; k++) {
        size_t from = node->edges[k].node;
        if (from > 0)
            nn_fast_map_apply(t->gradient[from - 1], &g->adjoint[i][k], pre_gradient, t->room,
                              true);
    }
}

void nn_gradient_run(const nn_gradient *g, nn_gradient_trace *t, const float *planes,
                     unsigned label)
{
    float scores[NN_MAX_CLASSES];
    nn_plain_run_keeping(g->plain, t->scratch, scores, t->pre, planes);
    differentiate_loss(t, scores, g->model->classes, label);
    for (size_t i = 0; i < t->count; i++)
        memset(t->gradient[i], 0, value_count(g->model, i) * sizeof **t->gradient);
    back_through_scores(t, g->model);
    for (size_t i = g->count; i-- > 0;) back_through_layer(g, t, i);
}

/* ---- many pictures ---- */

/* One pass over a batch; `squares` has a row per picture of a chunk: every activation's channels,
 * one after the other, then the scores. */
typedef struct pass {
    nn_gradient *gradient;
    nn_gradient_trace *traces;
    size_t threads, row;
    double *squares;
} pass;

static void add_squares(double *squares, const float *values, size_t count, size_t channels)
{
    for (size_t j = 0; j < count; j += channels)
        for (size_t c = 0; c < channels; c++)
            squares[c] += (double)values[j + c] * (double)values[j + c];
}

static void run_picture(const pass *p, const nn_batch *batch, size_t index, double *squares)
{
    const nn_model *model = p->gradient->model;
    nn_gradient_trace *trace = &p->traces[nn_thread_index()];
    const float *planes = nn_plain_load(p->gradient->plain, trace->scratch, batch, index);
    nn_gradient_run(p->gradient, trace, planes, nn_batch_label(batch, index));
    memset(squares, 0, p->row * sizeof *squares);
    for (size_t i = 0; i < trace->count; i++) {
        size_t channels = nn_activation_channels(model, i);
        add_squares(squares, trace->gradient[i], value_count(model, i), channels);
        squares += channels;
    }
    for (size_t k = 0; k < model->classes; k++) *squares += trace->scores[k] * trace->scores[k];
}

static fhola_status set_up(pass *p, const nn_model *model)
{
    p->row = 1;
    for (size_t i = 0; i < nn_model_activations(model); i++)
        p->row += nn_activation_channels(model, i);
    size_t threads = nn_thread_count();
    p->squares = malloc(CHUNK * p->row * sizeof *p->squares);
    p->traces = calloc(threads, sizeof *p->traces);
    if (!p->squares || !p->traces) return fhola_fail(FHOLA_NOMEM, "no memory for gradients");
    p->threads = threads;
    fhola_status status = nn_gradient_create(&p->gradient, model);
    for (size_t t = 0; t < threads && status == FHOLA_OK; t++)
        status = nn_gradient_trace_create(&p->traces[t], p->gradient);
    return status;
}

static void tear_down(pass *p)
{
    for (size_t t = 0; t < p->threads; t++) nn_gradient_trace_clear(&p->traces[t]);
    free(p->traces);
    free(p->squares);
    nn_gradient_free(p->gradient);
}

static fhola_status check_batch(const nn_model *model, const nn_batch *batch, size_t pictures)
{
    if (pictures == 0 || pictures > nn_batch_count(batch))
        return fhola_fail(FHOLA_PARAM, "importances of %zu pictures: there are %zu", pictures,
                          nn_batch_count(batch));
    return nn_plain_check_labels(model, batch, pictures);
}

static fhola_status share_out(double *const *importance, double *score_square, const double *total,
                              const nn_model *model, size_t pictures)
{
    size_t at = 0;
    for (size_t i = 0; i < nn_model_activations(model); i++)
        for (unsigned c = 0; c < nn_activation_channels(model, i); c++, at++)
            if (!isfinite(total[at]))
                return fhola_fail(FHOLA_RANGE,
                                  "activation %zu, channel %u (%s): the gradient is not finite", i,
                                  c, nn_graph_layer(model->graph, i)->name);
    at = 0;
    for (size_t i = 0; i < nn_model_activations(model); i++)
        for (unsigned c = 0; c < nn_activation_channels(model, i); c++, at++)
            importance[i][c] = total[at] / (double)pictures;
    *score_square = total[at] / (double)pictures;
    return FHOLA_OK;
}

fhola_status nn_gradient_importances(double *const *importance, double *score_square,
                                     const nn_model *model, const nn_batch *batch, size_t pictures,
                                     nn_progress progress, void *user)
{
    pass p = {0};
    fhola_status status = check_batch(model, batch, pictures);
    if (status == FHOLA_OK) status = set_up(&p, model);
    double *total = status == FHOLA_OK ? calloc(p.row, sizeof *total) : NULL;
    if (status == FHOLA_OK && !total) status = fhola_fail(FHOLA_NOMEM, "no memory for gradients");
    for (size_t first = 0; first < pictures && status == FHOLA_OK; first += CHUNK) {
        size_t end = pictures - first < CHUNK ? pictures : first + CHUNK;
        NN_PARALLEL_FOR
        for (size_t i = first; i < end; i++)
            run_picture(&p, batch, i, p.squares + (i - first) * p.row);
        for (size_t j = 0; j < (end - first) * p.row; j++) total[j % p.row] += p.squares[j];
        if (progress) progress(user, "gradients", end, pictures);
    }
    if (status == FHOLA_OK) status = share_out(importance, score_square, total, model, pictures);
    free(total);
    tear_down(&p);
    return status;
}
