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

double nn_input_bound(unsigned channels, const double mean[3], const double std[3])
{
    double bound = 0;
    for (unsigned c = 0; c < channels; c++) {
        unsigned i = nn_normalised_by(channels, c);
        bound = fmax(bound, fmax(mean[i], 1 - mean[i]) / std[i]);
    }
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

static double *numbers(size_t count)
{
    return calloc(count, sizeof(double));
}

/* ---- one node ---- */

static fhola_status activation_of(nn_recipe *r, const nn_activation *a)
{
    r->degree = a->degree;
    r->depth = nn_activation_depth(a);
    if (a->sign) {
        r->sign = malloc(sizeof *r->sign);
        if (!r->sign) return fhola_fail(FHOLA_NOMEM, "no memory for a composition");
        *r->sign = *a->sign;
    }
    r->gain = numbers(a->channels);
    r->coeff = numbers((size_t)(a->degree + 1) * a->channels);
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

/* `a` NULL: the scores. */
static fhola_status bias_of(nn_recipe *r, const nn_node *node, const nn_activation *a)
{
    size_t pixels = node->full_bias ? (size_t)node->shape.height * node->shape.width : 1,
           count = node->shape.channels * pixels;
    r->full_bias = node->full_bias;
    r->bias = numbers(count);
    if (!r->bias) return fhola_fail(FHOLA_NOMEM, "%s: no memory for %zu biases", r->name, count);
    for (size_t k = 0; k < count; k++) {
        size_t c = k / pixels;
        r->bias[k] = a ? (node->bias[k] - a->centre[c]) / a->half_width[c] : node->bias[k];
    }
    return FHOLA_OK;
}

static void clear_contributions(nn_recipe *r)
{
    for (size_t e = 0; r->contribution && e < r->count; e++)
        nn_linear_clear(&r->contribution[e].linear);
    free(r->contribution);
    r->contribution = NULL;
}

/* The node's linear maps into `layout`. */
static fhola_status contributions_of(nn_recipe *r, const nn_schedule *s, const nn_node *node,
                                     nn_layout layout, const nn_activation *a)
{
    fhola_status status = FHOLA_OK;
    r->layout = layout;
    r->count = node->edge_count;
    r->contribution = calloc(r->count, sizeof *r->contribution);
    if (!r->contribution)
        return fhola_fail(FHOLA_NOMEM, "%s: no memory for %zu inputs", r->name, r->count);
    for (size_t e = 0; status == FHOLA_OK && e < r->count; e++) {
        size_t from = node->edges[e].node;
        r->contribution[e].from = from;
        status = nn_linear_init(
            &r->contribution[e].linear, &node->edges[e].map, nn_schedule_layout(s, from), layout,
            a ? NN_LINEAR_BOOTSTRAP : NN_LINEAR_SCORES,
            from ? s->layer[from - 1].gain : s->input_gain, a ? a->half_width : NULL, r->name);
    }
    return status;
}

static double work_of(const nn_recipe *r)
{
    double work = 0;
    for (size_t e = 0; e < r->count; e++) work += nn_linear_work(&r->contribution[e].linear);
    return work;
}

/* Takes the maps into `layout` unless those *r already has are as cheap. PARAM: there are too many
 * diagonals, which may not be so with another layout. */
static fhola_status try_layout(nn_recipe *r, const nn_schedule *s, const nn_node *node,
                               nn_layout layout, const nn_activation *a)
{
    nn_recipe tried = {.name = r->name};
    if (r->contribution && nn_layout_equal(layout, r->layout)) return FHOLA_OK;
    fhola_status status = contributions_of(&tried, s, node, layout, a);
    if (status == FHOLA_OK && (!r->contribution || work_of(&tried) < work_of(r))) {
        clear_contributions(r);
        r->layout = tried.layout;
        r->count = tried.count;
        r->contribution = tried.contribution;
    } else {
        clear_contributions(&tried);
    }
    return status;
}

/* The grid of an input, if a convolution leads from it, else the cheaper of an input's and a fresh
 * one. */
static fhola_status choose_layout(nn_recipe *r, const nn_schedule *s, const nn_node *node,
                                  const nn_activation *a)
{
    nn_layout one;
    fhola_status status = nn_layout_fresh(&one, node->shape, s->slots, r->name);
    bool grid = false;
    for (int kind = NN_MAP_CONVOLUTION; kind <= NN_MAP_SPARSE && !grid; kind++)
        for (size_t e = 0; status == FHOLA_OK && e < node->edge_count; e++) {
            const nn_edge *edge = &node->edges[e];
            nn_layout behind;
            nn_layout in = nn_layout_single(nn_schedule_layout(s, edge->node));
            if ((int)edge->map.kind != kind || !nn_layout_behind(&behind, in, &edge->map)) continue;
            status = try_layout(r, s, node, nn_layout_batch(behind, s->pictures), a);
            grid |= status == FHOLA_OK && kind == NN_MAP_CONVOLUTION;
            if (status == FHOLA_PARAM) status = FHOLA_OK;
        }
    if (status == FHOLA_OK && !grid)
        status = try_layout(r, s, node, nn_layout_batch(one, s->pictures), a);
    return status == FHOLA_PARAM && r->contribution ? FHOLA_OK : status;
}

static fhola_status copy_name(nn_recipe *r, const nn_node *node)
{
    size_t bytes = strlen(node->name) + 1;
    r->name = malloc(bytes);
    if (!r->name) return fhola_fail(FHOLA_NOMEM, "%s: no memory", node->name);
    memcpy(r->name, node->name, bytes);
    return FHOLA_OK;
}

static fhola_status layer_of(nn_recipe *r, const nn_schedule *s, const nn_node *node,
                             const nn_activation *a)
{
    fhola_status status = copy_name(r, node);
    if (status == FHOLA_OK) status = activation_of(r, a);
    if (status == FHOLA_OK) status = bias_of(r, node, a);
    return status == FHOLA_OK ? choose_layout(r, s, node, a) : status;
}

static fhola_status scores_of(nn_recipe *r, const nn_schedule *s, const nn_node *node)
{
    fhola_status status = copy_name(r, node);
    if (status == FHOLA_OK) status = bias_of(r, node, NULL);
    return status == FHOLA_OK
               ? contributions_of(r, s, node, nn_layout_scores(node->shape.channels), NULL)
               : status;
}

/* ---- the whole ---- */

static fhola_status input_of(nn_schedule *s, const nn_model *model)
{
    nn_shape shape = model->graph->nodes[0].shape;
    nn_layout one;
    fhola_status status = nn_layout_fresh(&one, shape, s->slots, model->graph->nodes[0].name);
    if (status != FHOLA_OK) return status;
    s->input = nn_layout_apart(one, s->pictures);
    s->input_bound = nn_input_bound(shape.channels, model->mean, model->std);
    s->input_gain = numbers(shape.channels);
    if (!s->input_gain)
        return fhola_fail(FHOLA_NOMEM, "no memory for an input of %u channels", shape.channels);
    for (unsigned c = 0; c < shape.channels; c++) s->input_gain[c] = s->input_bound;
    return FHOLA_OK;
}

static fhola_status fill(nn_schedule *s, const nn_model *model, const nn_plan *plan)
{
    const nn_graph *graph = model->graph;
    s->eps = plan->eps;
    s->count = plan->count;
    s->layer = calloc(s->count + 1, sizeof *s->layer);
    if (!s->layer) return fhola_fail(FHOLA_NOMEM, "no memory for %zu layers", s->count);
    fhola_status status = input_of(s, model);
    for (size_t i = 0; status == FHOLA_OK && i < s->count; i++)
        status = layer_of(&s->layer[i], s, nn_graph_layer(graph, i), &plan->activations[i]);
    return status == FHOLA_OK ? scores_of(&s->layer[s->count], s, &graph->nodes[graph->count - 1])
                              : status;
}

fhola_status nn_schedule_init(nn_schedule *out, const nn_model *model, const nn_plan *plan,
                              size_t slots)
{
    *out = (nn_schedule){.slots = slots, .pictures = nn_plan_pictures(plan)};
    fhola_status status = nn_plan_check(plan, model);
    if (status == FHOLA_OK) status = fill(out, model, plan);
    if (status != FHOLA_OK) nn_schedule_clear(out);
    return status;
}

void nn_schedule_release_weights(nn_schedule *schedule)
{
    for (size_t i = 0; i <= schedule->count; i++)
        for (size_t e = 0; e < schedule->layer[i].count; e++) {
            nn_linear *l = &schedule->layer[i].contribution[e].linear;
            l->map = NULL;
            l->in_scale = l->out_scale = NULL;
        }
}

void nn_schedule_clear(nn_schedule *schedule)
{
    for (size_t i = 0; schedule->layer && i <= schedule->count; i++) {
        nn_recipe *r = &schedule->layer[i];
        clear_contributions(r);
        free(r->name);
        free(r->bias);
        free(r->coeff);
        free(r->gain);
        free(r->sign);
    }
    free(schedule->layer);
    free(schedule->input_gain);
    *schedule = (nn_schedule){0};
}

const nn_recipe *nn_schedule_scores(const nn_schedule *schedule)
{
    return &schedule->layer[schedule->count];
}

nn_layout nn_schedule_layout(const nn_schedule *schedule, size_t node)
{
    return node ? schedule->layer[node - 1].layout : schedule->input;
}
