/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/plain/trace.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "nn/graph/model_io.h"
#include "nn/nn.h"
#include "ola/ola.h"

/* x = sum of the node's maps and its bias. */
static void add_inputs(double *x, const nn_node *node, const nn_trace *trace, const double *picture)
{
    for (size_t k = 0; k < nn_shape_values(node->shape); k++) x[k] = nn_node_bias(node, k);
    for (size_t k = node->edge_count; k-- > 0;) {
        size_t from = node->edges[k].node;
        nn_map_add(x, &node->edges[k].map, from == 0 ? picture : trace->layers[from - 1].y);
    }
}

static void trace_activation(nn_trace_layer *layer, const ola_function *f, const nn_activation *a,
                             double eps)
{
    size_t plane = (size_t)layer->shape.height * layer->shape.width;
    for (size_t c = 0; c < layer->shape.channels; c++) {
        for (size_t i = c * plane; i < (c + 1) * plane; i++) {
            if (!a) {
                layer->y[i] = ola_function_eval(f, layer->x[i]);
                continue;
            }
            layer->w[i] = (layer->x[i] - a->centre[c]) / a->half_width[c];
            layer->y[i] = nn_activation_eval(a, (unsigned)c, ola_variable(eps, layer->w[i]));
        }
    }
}

static fhola_status allocate_trace(nn_trace *trace, const nn_model *model, bool polynomial)
{
    size_t count = nn_graph_layers(model->graph);
    trace->layers = calloc(count, sizeof *trace->layers);
    trace->scores = calloc(model->classes, sizeof *trace->scores);
    trace->classes = model->classes;
    if (!trace->layers || !trace->scores)
        return fhola_fail(FHOLA_NOMEM, "no memory for the layers of a network");
    trace->count = count;
    for (size_t i = 0; i < trace->count; i++) {
        nn_trace_layer *layer = &trace->layers[i];
        layer->shape = nn_graph_layer(model->graph, i)->shape;
        size_t values = nn_shape_values(layer->shape);
        layer->x = calloc(values, sizeof *layer->x);
        layer->y = calloc(values, sizeof *layer->y);
        layer->w = polynomial ? calloc(values, sizeof *layer->w) : NULL;
        if (!layer->x || !layer->y || (polynomial && !layer->w))
            return fhola_fail(FHOLA_NOMEM, "no memory for the values of activation %zu", i);
    }
    return FHOLA_OK;
}

static void fill_trace(nn_trace *trace, const nn_model *model, const nn_plan *plan,
                       const double *values)
{
    for (size_t i = 0; i < trace->count; i++) {
        const nn_node *node = nn_graph_layer(model->graph, i);
        add_inputs(trace->layers[i].x, node, trace, values);
        trace_activation(&trace->layers[i], &node->function, plan ? &plan->activations[i] : NULL,
                         plan ? plan->eps : 0);
    }
    add_inputs(trace->scores, nn_graph_scores(model->graph), trace, values);
}

fhola_status nn_trace_create(nn_trace **trace, const nn_model *model, const nn_plan *plan,
                             const double *values)
{
    fhola_status status = plan ? nn_plan_check(plan, model) : FHOLA_OK;
    if (status != FHOLA_OK) return status;
    nn_trace *result = calloc(1, sizeof *result);
    if (!result) return fhola_fail(FHOLA_NOMEM, "no memory for a trace");
    status = allocate_trace(result, model, plan != NULL);
    if (status != FHOLA_OK) {
        nn_trace_free(result);
        return status;
    }
    fill_trace(result, model, plan, values);
    *trace = result;
    return FHOLA_OK;
}

void nn_trace_free(nn_trace *trace)
{
    if (!trace) return;
    for (size_t i = 0; i < trace->count; i++) {
        free(trace->layers[i].x);
        free(trace->layers[i].w);
        free(trace->layers[i].y);
    }
    free(trace->layers);
    free(trace->scores);
    free(trace);
}

fhola_status nn_plain_scores(double *scores, const nn_model *model, const nn_plan *plan,
                             const double *values)
{
    nn_trace *trace;
    fhola_status status = nn_trace_create(&trace, model, plan, values);
    if (status != FHOLA_OK) return status;
    memcpy(scores, trace->scores, trace->classes * sizeof *scores);
    nn_trace_free(trace);
    return FHOLA_OK;
}
