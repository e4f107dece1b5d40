/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/plain/gradient.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn/base/parallel.h"
#include "nn/plain/convolve.h"
#include "nn/plain/plain.h"

#define CHUNK       64u /* pictures between two sums */
#define FEATURES    64u
#define LAST_PIXELS 64u /* of the last stage, 8 x 8 */

typedef struct adjoint_block {
    nn_fast_conv conv1, conv2, projection;
} adjoint_block;

struct nn_gradient {
    const nn_model *model;
    nn_plain *plain;
    adjoint_block *blocks;
    size_t block_count;
};

static size_t value_count(const nn_model *model, size_t i)
{
    size_t side = nn_activation_size(model, i);
    return side * side * nn_activation_channels(model, i);
}

/* ---- memory ---- */

void nn_gradient_free(nn_gradient *gradient)
{
    if (!gradient) return;
    for (size_t k = 0; gradient->blocks && k < gradient->block_count; k++) {
        nn_fast_conv_clear(&gradient->blocks[k].conv1);
        nn_fast_conv_clear(&gradient->blocks[k].conv2);
        nn_fast_conv_clear(&gradient->blocks[k].projection);
    }
    free(gradient->blocks);
    nn_plain_free(gradient->plain);
    free(gradient);
}

static fhola_status transpose(nn_gradient *g)
{
    fhola_status status = FHOLA_OK;
    for (size_t k = 0; k < g->block_count && status == FHOLA_OK; k++) {
        const nn_block *block = &g->model->blocks[k];
        status = nn_fast_conv_create_adjoint(&g->blocks[k].conv1, &block->conv1);
        if (status == FHOLA_OK)
            status = nn_fast_conv_create_adjoint(&g->blocks[k].conv2, &block->conv2);
        if (status == FHOLA_OK && block->shortcut == NN_SHORTCUT_PROJECTION)
            status = nn_fast_conv_create_adjoint(&g->blocks[k].projection, &block->projection);
    }
    return status;
}

fhola_status nn_gradient_create(nn_gradient **gradient, const nn_model *model)
{
    nn_gradient *g = calloc(1, sizeof *g);
    if (!g) return fhola_fail(FHOLA_NOMEM, "no memory for a network");
    g->model = model;
    g->block_count = 3 * (size_t)model->blocks_per_stage;
    g->blocks = calloc(g->block_count, sizeof *g->blocks);
    fhola_status status = g->blocks ? nn_plain_create(&g->plain, model, NULL)
                                    : fhola_fail(FHOLA_NOMEM, "no memory for a network");
    if (status == FHOLA_OK) status = transpose(g);
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
    free(trace->padded);
    nn_scratch_free(trace->scratch, trace->scratch_count);
    memset(trace, 0, sizeof *trace);
}

static fhola_status allocate_trace(nn_gradient_trace *trace, const nn_model *model)
{
    size_t count = nn_model_activations(model);
    trace->pre = calloc(count, sizeof *trace->pre);
    trace->gradient = calloc(count, sizeof *trace->gradient);
    trace->scores = calloc(model->classes, sizeof *trace->scores);
    trace->padded =
        malloc((NN_CONVOLVE_ADJOINT_PADDED + 2 * NN_PLAIN_MAX_VALUES) * sizeof *trace->padded);
    if (!trace->pre || !trace->gradient || !trace->scores || !trace->padded)
        return fhola_fail(FHOLA_NOMEM, "no memory for gradients");
    trace->wide = trace->padded + NN_CONVOLVE_ADJOINT_PADDED;
    trace->count = count;
    for (size_t i = 0; i < count; i++) {
        trace->pre[i] = malloc(value_count(model, i) * sizeof **trace->pre);
        trace->gradient[i] = malloc(value_count(model, i) * sizeof **trace->gradient);
        if (!trace->pre[i] || !trace->gradient[i])
            return fhola_fail(FHOLA_NOMEM, "no memory for the gradients of activation %zu", i);
    }
    return nn_scratch_create(&trace->scratch, &trace->scratch_count);
}

fhola_status nn_gradient_trace_create(nn_gradient_trace *trace, const nn_model *model)
{
    nn_gradient_trace result = {0};
    fhola_status status = allocate_trace(&result, model);
    if (status == FHOLA_OK)
        *trace = result;
    else
        nn_gradient_trace_clear(&result);
    return status;
}

/* ---- one picture ---- */

static void forward(const nn_gradient *g, nn_gradient_trace *t, float *scores, const float *planes)
{
    nn_scratch *scratch = t->scratch;
    nn_plain_first(g->plain, scratch, t->pre[0], planes);
    nn_plain_activate(g->plain, 0, scratch->state, t->pre[0], NULL);
    for (size_t k = 0; k < g->block_count; k++) {
        size_t inside = 2 * k + 1, output = 2 * k + 2;
        nn_plain_inside(g->plain, k, scratch, t->pre[inside], scratch->state);
        nn_plain_activate(g->plain, inside, scratch->middle, t->pre[inside], NULL);
        nn_plain_output(g->plain, k, scratch, t->pre[output], scratch->middle, scratch->state);
        nn_plain_activate(g->plain, output, scratch->state, t->pre[output], NULL);
    }
    nn_plain_linear(g->plain, scores, scratch->state);
}

/* The loss, and softmax(scores) - (1 at the label). */
static void differentiate_loss(nn_gradient_trace *t, const float *scores, size_t classes,
                               unsigned label)
{
    double largest = scores[0], sum = 0;
    for (size_t k = 1; k < classes; k++) largest = fmax(largest, (double)scores[k]);
    for (size_t k = 0; k < classes; k++) sum += t->scores[k] = exp((double)scores[k] - largest);
    t->loss = log(sum) + largest - (double)scores[label];
    for (size_t k = 0; k < classes; k++)
        t->scores[k] = t->scores[k] / sum - (k == label ? 1.0 : 0.0);
}

static void back_through_linear(float *gradient, const double *scores, const nn_model *model)
{
    for (size_t c = 0; c < FEATURES; c++) {
        double sum = 0;
        for (size_t k = 0; k < model->classes; k++)
            sum += scores[k] * model->fc_weight[k * FEATURES + c];
        for (size_t j = 0; j < LAST_PIXELS; j++)
            gradient[j * FEATURES + c] = (float)(sum / LAST_PIXELS);
    }
}

static void back_through_function(float *out, const ola_function *f, const float *gradient,
                                  const float *pre, size_t count)
{
    if (f->kind == OLA_RELU)
        for (size_t j = 0; j < count; j++) out[j] = pre[j] > 0.0f ? gradient[j] : 0.0f;
    else
        for (size_t j = 0; j < count; j++)
            out[j] = (float)(ola_function_slope(f, (double)pre[j]) * (double)gradient[j]);
}

/* A picture of side `size` to every second pixel of one of twice the side, zero elsewhere. */
static void spread(float *out, const float *in, size_t size, size_t channels)
{
    memset(out, 0, 4 * size * size * channels * sizeof *out);
    for (size_t y = 0; y < size; y++)
        for (size_t x = 0; x < size; x++)
            memcpy(out + (4 * y * size + 2 * x) * channels, in + (y * size + x) * channels,
                   channels * sizeof *out);
}

/* Adds, for every second pixel, `channels` values from `in`, which has `pitch` per pixel, starting
 * at `offset`. */
static void add_spread(float *to, const float *in, size_t size, size_t channels, size_t pitch,
                       size_t offset)
{
    for (size_t y = 0; y < size; y++)
        for (size_t x = 0; x < size; x++)
            for (size_t c = 0; c < channels; c++)
                to[(4 * y * size + 2 * x) * channels + c] +=
                    in[(y * size + x) * pitch + offset + c];
}

/* Adds to the gradient by the block's input what goes through its shortcut. `room` is disjoint from
 * the others. */
static void back_through_shortcut(float *to, const nn_gradient *g, size_t k,
                                  const float *pre_gradient, float *room)
{
    const nn_block *block = &g->model->blocks[k];
    size_t size = block->conv2.in_size, channels = block->conv1.in;
    if (block->shortcut == NN_SHORTCUT_IDENTITY) {
        for (size_t j = 0; j < size * size * channels; j++) to[j] += pre_gradient[j];
    } else if (block->shortcut == NN_SHORTCUT_PAD) {
        add_spread(to, pre_gradient, size, channels, 2 * channels, channels / 2);
    } else {
        nn_fast_conv_apply(room, &g->blocks[k].projection, pre_gradient, NULL);
        add_spread(to, room, size, channels, channels, 0);
    }
}

static void back_through_block(const nn_gradient *g, nn_gradient_trace *t, size_t k)
{
    const nn_block *block = &g->model->blocks[k];
    const ola_function *f = &g->model->function;
    nn_scratch *scratch = t->scratch;
    size_t inside = 2 * k + 1, output = 2 * k + 2;
    float *pre_gradient = scratch->state, *inner = scratch->middle, *spread_inner = inner;
    back_through_function(pre_gradient, f, t->gradient[output], t->pre[output],
                          value_count(g->model, output));
    nn_fast_conv_apply(t->gradient[inside], &g->blocks[k].conv2, pre_gradient, t->padded);
    back_through_function(inner, f, t->gradient[inside], t->pre[inside],
                          value_count(g->model, inside));
    if (block->conv1.stride == 2) {
        spread_inner = t->wide;
        spread(spread_inner, inner, block->conv2.in_size, block->conv1.out);
    }
    nn_fast_conv_apply(t->gradient[2 * k], &g->blocks[k].conv1, spread_inner, t->padded);
    back_through_shortcut(t->gradient[2 * k], g, k, pre_gradient, scratch->pre);
}

void nn_gradient_run(const nn_gradient *g, nn_gradient_trace *t, const float *planes,
                     unsigned label)
{
    float scores[NN_MAX_CLASSES];
    forward(g, t, scores, planes);
    differentiate_loss(t, scores, g->model->classes, label);
    back_through_linear(t->gradient[t->count - 1], t->scores, g->model);
    for (size_t k = g->block_count; k-- > 0;) back_through_block(g, t, k);
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
    for (size_t j = 0; j < count; j++)
        squares[j % channels] += (double)values[j] * (double)values[j];
}

static void run_picture(const pass *p, const nn_batch *batch, size_t index, double *squares)
{
    const nn_model *model = p->gradient->model;
    nn_gradient_trace *trace = &p->traces[nn_thread_index()];
    double rgb[NN_PICTURE_VALUES];
    float planes[NN_PICTURE_VALUES];
    nn_batch_picture(batch, index, rgb);
    nn_picture_normalise(rgb, rgb, model->mean, model->std);
    for (size_t j = 0; j < NN_PICTURE_VALUES; j++) planes[j] = (float)rgb[j];
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
        status = nn_gradient_trace_create(&p->traces[t], model);
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
    for (size_t i = 0; i < pictures; i++)
        if (nn_batch_label(batch, i) >= model->classes)
            return fhola_fail(FHOLA_RANGE, "record %zu has label %u, the model knows 0 to %u", i,
                              nn_batch_label(batch, i), model->classes - 1);
    return FHOLA_OK;
}

static fhola_status share_out(double *const *importance, double *score_square, const double *total,
                              const nn_model *model, size_t pictures)
{
    size_t at = 0;
    for (size_t i = 0; i < nn_model_activations(model); i++)
        for (unsigned c = 0; c < nn_activation_channels(model, i); c++, at++)
            if (!isfinite(total[at]))
                return fhola_fail(FHOLA_RANGE,
                                  "activation %zu, channel %u: the gradient is not finite", i, c);
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
