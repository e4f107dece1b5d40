/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/encrypted/schedule.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn/graph/model_io.h"
#include "ola/ola.h"

/* Points of [-1, 1] at which an activation polynomial is sampled for its bound: 16 per extremum of
 * T_63. */
#define GAIN_SAMPLES 1024u

double nn_input_bound(const double mean[3], const double std[3])
{
    double bound = 0;
    for (int i = 0; i < 3; i++) bound = fmax(bound, fmax(mean[i], 1 - mean[i]) / std[i]);
    return bound;
}

/* The largest magnitude of the channel's activation on [-1, 1], sampled; 1 for the zero
 * polynomial. */
static double polynomial_bound(const nn_activation *a, unsigned channel)
{
    double bound = 0;
    for (unsigned j = 0; j <= GAIN_SAMPLES; j++)
        bound = fmax(bound, fabs(nn_activation_eval(a, channel, 2.0 * j / GAIN_SAMPLES - 1)));
    return bound > 0 ? bound : 1;
}

static double *per_channel(size_t count)
{
    return calloc(count, sizeof(double));
}

static fhola_status activation_of(nn_recipe *r, const nn_activation *a)
{
    r->degree = a->degree;
    r->depth = nn_activation_depth(a);
    if (a->sign) {
        r->sign = malloc(sizeof *r->sign);
        if (!r->sign) return fhola_fail(FHOLA_NOMEM, "no memory for a composition");
        *r->sign = *a->sign;
    }
    r->gain = per_channel(a->channels);
    r->coeff = per_channel((size_t)(a->degree + 1) * a->channels);
    if (!r->gain || !r->coeff)
        return fhola_fail(FHOLA_NOMEM, "no memory for a polynomial of %u channels", a->channels);
    for (unsigned c = 0; c < a->channels; c++) r->gain[c] = polynomial_bound(a, c);
    for (unsigned k = 0; k <= a->degree; k++)
        for (unsigned c = 0; c < a->channels; c++) {
            size_t at = (size_t)k * a->channels + c;
            r->coeff[at] = a->coeff[at] / r->gain[c];
        }
    return FHOLA_OK;
}

static fhola_status bias_of(nn_recipe *r, const nn_activation *a, const double *bias,
                            const double *shortcut_bias)
{
    r->bias = per_channel(a->channels);
    if (!r->bias)
        return fhola_fail(FHOLA_NOMEM, "no memory for the bias of %u channels", a->channels);
    for (unsigned c = 0; c < a->channels; c++)
        r->bias[c] =
            (bias[c] + (shortcut_bias ? shortcut_bias[c] : 0) - a->centre[c]) / a->half_width[c];
    return FHOLA_OK;
}

static fhola_status skip_of(nn_recipe *r, const nn_activation *a, const double *in_gain)
{
    r->skip = per_channel(a->channels);
    if (!r->skip)
        return fhola_fail(FHOLA_NOMEM, "no memory for the skip of %u channels", a->channels);
    for (unsigned c = 0; c < a->channels; c++) r->skip[c] = in_gain[c] / a->half_width[c];
    return FHOLA_OK;
}

static fhola_status shortcut_of(nn_linear *out, const nn_block *b, const double *in_gain,
                                const double *half_width)
{
    if (b->shortcut == NN_SHORTCUT_PROJECTION)
        return nn_linear_convolution(out, &b->projection, in_gain, half_width);
    return nn_linear_pad(out, b->conv1.in, b->conv1.in_size, in_gain, half_width);
}

/* The block between `in` (the layer before it) and its two layers. */
static fhola_status block_of(const nn_recipe *in, nn_recipe *first, nn_recipe *second,
                             const nn_block *b, const nn_activation a[2])
{
    int change = b->shortcut != NN_SHORTCUT_IDENTITY;
    const double *shortcut_bias = b->shortcut == NN_SHORTCUT_PROJECTION ? b->projection.bias : NULL;
    first->opens = second->closes = 1;
    first->stage_change = second->stage_change = change;
    first->layout = nn_layout_of(b->conv1.out, b->conv1.in_size / b->conv1.stride);
    second->layout = nn_layout_of(b->conv2.out, b->conv2.in_size / b->conv2.stride);
    fhola_status s = activation_of(first, &a[0]);
    if (s == FHOLA_OK) s = activation_of(second, &a[1]);
    if (s == FHOLA_OK) s = bias_of(first, &a[0], b->conv1.bias, NULL);
    if (s == FHOLA_OK) s = bias_of(second, &a[1], b->conv2.bias, shortcut_bias);
    if (s == FHOLA_OK)
        s = nn_linear_convolution(&first->linear, &b->conv1, in->gain, a[0].half_width);
    if (s == FHOLA_OK)
        s = nn_linear_convolution(&second->linear, &b->conv2, first->gain, a[1].half_width);
    if (s == FHOLA_OK && change) s = shortcut_of(&first->shortcut, b, in->gain, a[1].half_width);
    if (s == FHOLA_OK && !change) s = skip_of(second, &a[1], in->gain);
    return s;
}

static fhola_status first_of(nn_recipe *r, const nn_model *model, const nn_activation *a,
                             double input_bound)
{
    double in_scale[3] = {input_bound, input_bound, input_bound};
    r->layout = nn_layout_of(model->first.out, model->first.in_size);
    fhola_status s = activation_of(r, a);
    if (s == FHOLA_OK) s = bias_of(r, a, model->first.bias, NULL);
    if (s == FHOLA_OK)
        s = nn_linear_convolution(&r->linear, &model->first, in_scale, a->half_width);
    return s;
}

static fhola_status scores_of(nn_schedule *s, const nn_model *model)
{
    const nn_recipe *last = &s->layer[s->count - 1];
    s->classes = model->classes;
    s->score_bias = per_channel(model->classes);
    if (!s->score_bias) return fhola_fail(FHOLA_NOMEM, "no memory for %u scores", model->classes);
    memcpy(s->score_bias, model->fc_bias, model->classes * sizeof *s->score_bias);
    return nn_linear_scores(&s->scores, last->layout, model->classes, model->fc_weight, last->gain);
}

static fhola_status fill(nn_schedule *s, const nn_model *model, const nn_plan *plan)
{
    s->eps = plan->eps;
    s->input_bound = nn_input_bound(model->mean, model->std);
    s->input = nn_layout_of(model->first.in, model->first.in_size);
    s->count = plan->count;
    s->layer = calloc(s->count, sizeof *s->layer);
    if (!s->layer) return fhola_fail(FHOLA_NOMEM, "no memory for %zu layers", s->count);
    fhola_status status = first_of(&s->layer[0], model, &plan->activations[0], s->input_bound);
    for (size_t k = 0; status == FHOLA_OK && 2 * k + 2 < s->count; k++) {
        nn_recipe *r = &s->layer[2 * k];
        status = block_of(r, r + 1, r + 2, &model->blocks[k], &plan->activations[2 * k + 1]);
    }
    return status == FHOLA_OK ? scores_of(s, model) : status;
}

fhola_status nn_schedule_init(nn_schedule *out, const nn_model *model, const nn_plan *plan)
{
    *out = (nn_schedule){0};
    fhola_status status = nn_plan_check(plan, model);
    if (status == FHOLA_OK) status = fill(out, model, plan);
    if (status != FHOLA_OK) nn_schedule_clear(out);
    return status;
}

void nn_schedule_clear(nn_schedule *schedule)
{
    for (size_t i = 0; schedule->layer && i < schedule->count; i++) {
        nn_recipe *r = &schedule->layer[i];
        nn_linear_clear(&r->linear);
        nn_linear_clear(&r->shortcut);
        free(r->skip);
        free(r->bias);
        free(r->coeff);
        free(r->gain);
        free(r->sign);
    }
    free(schedule->layer);
    nn_linear_clear(&schedule->scores);
    free(schedule->score_bias);
    *schedule = (nn_schedule){0};
}
