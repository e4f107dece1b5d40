/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/plain/trace.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "nn/graph/model_io.h"
#include "nn/nn.h"
#include "ola/ola.h"

#define FEATURES 64u

/* Adds weight * in, shifted by (dy, dx) and sampled every `stride` pixels, to one output plane. */
static void add_shifted(double *out, size_t out_size, const double *in, size_t in_size,
                        size_t stride, int dy, int dx, double weight)
{
    for (size_t y = 0; y < out_size; y++) {
        long from_y = (long)(y * stride) + dy;
        if (from_y < 0 || from_y >= (long)in_size) continue;
        const double *row = in + (size_t)from_y * in_size;
        for (size_t x = 0; x < out_size; x++) {
            long from_x = (long)(x * stride) + dx;
            if (from_x >= 0 && from_x < (long)in_size)
                out[y * out_size + x] += weight * row[from_x];
        }
    }
}

void nn_conv_apply(double *out, const nn_conv *conv, const double *in)
{
    size_t out_size = conv->in_size / conv->stride, plane = out_size * out_size,
           in_plane = (size_t)conv->in_size * conv->in_size;
    int half = (int)conv->kernel / 2;
    const double *weight = conv->weight;
    for (size_t o = 0; o < conv->out; o++) {
        for (size_t i = 0; i < plane; i++) out[o * plane + i] = conv->bias[o];
        for (size_t i = 0; i < conv->in; i++)
            for (int ky = 0; ky < (int)conv->kernel; ky++)
                for (int kx = 0; kx < (int)conv->kernel; kx++)
                    add_shifted(out + o * plane, out_size, in + i * in_plane, conv->in_size,
                                conv->stride, ky - half, kx - half, *weight++);
    }
}

static void trace_activation(nn_trace_layer *layer, const ola_function *f, const nn_activation *a,
                             double eps)
{
    size_t plane = (size_t)layer->size * layer->size;
    for (size_t c = 0; c < layer->channels; c++) {
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

static void add_shortcut(double *x, const nn_block *block, const double *in, double *room)
{
    size_t channels = block->conv2.out, size = block->conv2.in_size, plane = size * size;
    switch (block->shortcut) {
    case NN_SHORTCUT_IDENTITY:
        for (size_t i = 0; i < channels * plane; i++) x[i] += in[i];
        break;
    case NN_SHORTCUT_PROJECTION:
        nn_conv_apply(room, &block->projection, in);
        for (size_t i = 0; i < channels * plane; i++) x[i] += room[i];
        break;
    case NN_SHORTCUT_PAD:
        for (size_t c = 0; c < channels / 2; c++)
            add_shifted(x + (c + channels / 4) * plane, size, in + 4 * c * plane, 2 * size, 2, 0, 0,
                        1.0);
        break;
    }
}

static void trace_linear(nn_trace *trace, const nn_model *model)
{
    const nn_trace_layer *last = &trace->layers[trace->count - 1];
    size_t plane = (size_t)last->size * last->size;
    for (size_t k = 0; k < trace->classes; k++) {
        double sum = model->fc_bias[k];
        for (size_t c = 0; c < FEATURES; c++) {
            double mean = 0;
            for (size_t i = 0; i < plane; i++) mean += last->y[c * plane + i];
            sum += model->fc_weight[k * FEATURES + c] * (mean / (double)plane);
        }
        trace->scores[k] = sum;
    }
}

static fhola_status allocate_trace(nn_trace *trace, const nn_model *model, bool polynomial)
{
    trace->layers = calloc(nn_model_activations(model), sizeof *trace->layers);
    trace->scores = calloc(model->classes, sizeof *trace->scores);
    trace->classes = model->classes;
    if (!trace->layers || !trace->scores)
        return fhola_fail(FHOLA_NOMEM, "no memory for the layers of a network");
    trace->count = nn_model_activations(model);
    for (size_t i = 0; i < trace->count; i++) {
        nn_trace_layer *layer = &trace->layers[i];
        layer->channels = nn_activation_channels(model, i);
        layer->size = nn_activation_size(model, i);
        size_t values = (size_t)layer->channels * layer->size * layer->size;
        layer->x = calloc(values, sizeof *layer->x);
        layer->y = calloc(values, sizeof *layer->y);
        layer->w = polynomial ? calloc(values, sizeof *layer->w) : NULL;
        if (!layer->x || !layer->y || (polynomial && !layer->w))
            return fhola_fail(FHOLA_NOMEM, "no memory for the values of activation %zu", i);
    }
    return FHOLA_OK;
}

static fhola_status fill_trace(nn_trace *trace, const nn_model *model, const nn_plan *plan,
                               const double *values)
{
    /* no picture is larger */
    double *room = malloc((size_t)16 * NN_IMAGE_SIDE * NN_IMAGE_SIDE * sizeof *room);
    if (!room) return fhola_fail(FHOLA_NOMEM, "no memory for a shortcut");
    for (size_t i = 0; i < trace->count; i++) {
        nn_trace_layer *layer = &trace->layers[i];
        nn_conv_apply(layer->x, nn_activation_conv(model, i),
                      i == 0 ? values : trace->layers[i - 1].y);
        if (i > 0 && i % 2 == 0)
            add_shortcut(layer->x, &model->blocks[i / 2 - 1], trace->layers[i - 2].y, room);
        trace_activation(layer, &model->function, plan ? &plan->activations[i] : NULL,
                         plan ? plan->eps : 0);
    }
    trace_linear(trace, model);
    free(room);
    return FHOLA_OK;
}

fhola_status nn_trace_create(nn_trace **trace, const nn_model *model, const nn_plan *plan,
                             const double *values)
{
    fhola_status status = nn_model_check_blocks(model);
    if (status == FHOLA_OK && plan) status = nn_plan_check(plan, model);
    if (status != FHOLA_OK) return status;
    nn_trace *result = calloc(1, sizeof *result);
    if (!result) return fhola_fail(FHOLA_NOMEM, "no memory for a trace");
    status = allocate_trace(result, model, plan != NULL);
    if (status == FHOLA_OK) status = fill_trace(result, model, plan, values);
    if (status != FHOLA_OK) {
        nn_trace_free(result);
        return status;
    }
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
