/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/planner/degrees.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn/graph/graph.h"

#define CHOICES NN_PROFILE_DEGREES

/* ---- losses ---- */

static ola_weight weight_of(nn_plan_weight weight)
{
    return weight == NN_WEIGHT_NORMAL      ? OLA_WEIGHT_NORMAL
           : weight == NN_WEIGHT_EMPIRICAL ? OLA_WEIGHT_EMPIRICAL
                                           : OLA_WEIGHT_GUARDED;
}

/* Mean square errors of the best polynomials for one histogram; `interval` is the channel's or the
 * layer's. */
static fhola_status fit_errors(double error[CHOICES], const ola_function *function,
                               const ola_histogram *histogram, const ola_interval *interval,
                               const nn_plan_options *options)
{
    const unsigned largest = nn_profile_degrees[CHOICES - 1];
    ola_fit_result *results = malloc((largest + 1) * sizeof *results);
    ola_problem problem = {.function = *function,
                           .interval = *interval,
                           .eps = options->eps,
                           .weight = weight_of(options->weight),
                           .histogram = histogram,
                           .guard = options->guard,
                           .mean = histogram->mean,
                           .deviation = ola_histogram_deviation(histogram)};
    if (!results) return fhola_fail(FHOLA_NOMEM, "no memory for fits of degree %u", largest);
    fhola_status status = ola_fit_all(results, &problem, largest);
    for (size_t k = 0; k < CHOICES && status == FHOLA_OK; k++)
        error[k] = results[nn_profile_degrees[k]].rms * results[nn_profile_degrees[k]].rms;
    free(results);
    return status;
}

static fhola_status add_errors(double loss[CHOICES], const ola_function *function,
                               const nn_profile_layer *layer, unsigned channel, double importance,
                               const ola_interval *interval, const nn_plan_options *options)
{
    ola_histogram histogram;
    double error[CHOICES];
    fhola_status status = nn_profile_histogram(&histogram, layer, channel);
    if (status != FHOLA_OK) return status;
    status = fit_errors(error, function, &histogram, interval, options);
    ola_histogram_clear(&histogram);
    for (size_t k = 0; k < CHOICES && status == FHOLA_OK; k++) loss[k] += importance * error[k];
    return status;
}

static fhola_status add_layer_errors(double loss[CHOICES], const ola_function *function,
                                     const nn_profile_layer *layer, const ola_interval_rule *rule,
                                     const nn_plan_options *options)
{
    nn_profile_range range = nn_profile_layer_range(layer);
    ola_interval interval;
    double importance = 0;
    fhola_status status = ola_select_intervals(&interval, &range.min, &range.max, 1, rule);
    for (unsigned c = 0; c < layer->channels; c++) importance += layer->importance[c];
    return status == FHOLA_OK
               ? add_errors(loss, function, layer, layer->channels, importance, &interval, options)
               : status;
}

static fhola_status add_channel_errors(double loss[CHOICES], const ola_function *function,
                                       const nn_profile_layer *layer, const ola_interval_rule *rule,
                                       const nn_plan_options *options)
{
    ola_interval *intervals = malloc(layer->channels * sizeof *intervals);
    if (!intervals) return fhola_fail(FHOLA_NOMEM, "no memory for %u intervals", layer->channels);
    fhola_status status =
        ola_select_intervals(intervals, layer->min, layer->max, layer->channels, rule);
    for (unsigned c = 0; c < layer->channels && status == FHOLA_OK; c++)
        status = add_errors(loss, function, layer, c, layer->importance[c], &intervals[c], options);
    free(intervals);
    return status;
}

fhola_status nn_degrees_errors(double loss[CHOICES], const nn_model *model,
                               const nn_profile_layer *layer, size_t i,
                               const nn_plan_options *options)
{
    const ola_function *function = &nn_graph_layer(model->graph, i)->function;
    bool output = nn_graph_is_output(model->graph, i);
    ola_interval_rule rule = {.margin = output ? options->margin_output : options->margin_inside,
                              .floor = options->floor};
    double sum[CHOICES] = {0};
    fhola_status status = options->per_layer
                              ? add_layer_errors(sum, function, layer, &rule, options)
                              : add_channel_errors(sum, function, layer, &rule, options);
    if (status != FHOLA_OK)
        return fhola_fail(status, "activation %zu: %s (layer %s)", i, fhola_detail(),
                          nn_graph_layer(model->graph, i)->name);
    memcpy(loss, sum, sizeof sum);
    return FHOLA_OK;
}

/* ---- the table ---- */

void nn_degrees_clear(nn_degrees *degrees)
{
    free(degrees->options);
    free(degrees->layers);
    memset(degrees, 0, sizeof *degrees);
}

static fhola_status select_degrees(nn_degrees *d, const nn_plan_options *options,
                                   const nn_cost_set *set)
{
    for (size_t k = 0; k < CHOICES; k++) {
        unsigned degree = nn_profile_degrees[k];
        if (degree <= options->max_degree && (!set || degree <= set->degree[set->degree_count - 1]))
            d->degree[d->choices++] = degree;
    }
    if (d->choices == 0)
        return fhola_fail(
            FHOLA_PARAM,
            "no degree to choose from: the largest allowed is %u, the smallest tried is %u",
            options->max_degree, nn_profile_degrees[0]);
    return FHOLA_OK;
}

static fhola_status fill(nn_degrees *d, const nn_model *model, const nn_plan_options *options,
                         const nn_cost_set *set)
{
    fhola_status status = select_degrees(d, options, set);
    if (status != FHOLA_OK) return status;
    d->options = calloc(d->activations * d->choices, sizeof *d->options);
    d->layers = calloc(d->activations, sizeof *d->layers);
    if (!d->options || !d->layers) return fhola_fail(FHOLA_NOMEM, "no memory for a schedule");
    for (size_t i = 0; i < d->activations && status == FHOLA_OK; i++) {
        const nn_profile_layer *layer = &options->profile->layers[i];
        double loss[CHOICES];
        memcpy(loss, layer->sensitivity, sizeof loss);
        if (options->importance == NN_IMPORTANCE_GRADIENT)
            status = nn_degrees_errors(loss, model, layer, i, options);
        for (size_t k = 0; k < d->choices && status == FHOLA_OK; k++) {
            double cost =
                set ? nn_cost_seconds(set, model, i, d->degree[k]) : ola_depth(d->degree[k]);
            d->options[i * d->choices + k] = (ola_option){d->degree[k], cost, loss[k]};
        }
        d->layers[i] = (ola_layer){d->options + i * d->choices, d->choices};
    }
    return status;
}

fhola_status nn_degrees_create(nn_degrees *degrees, const nn_model *model,
                               const nn_plan_options *options)
{
    const nn_cost_set *set = NULL;
    fhola_status status = FHOLA_OK;
    nn_degrees result = {
        .activations = options->profile->count, .resolution = 1, .change_per_loss = 1};
    if (options->cost && options->depth == 0)
        status = nn_cost_find(&set, options->cost, options->params ? options->params : "R15");
    if (status != FHOLA_OK) return status;
    result.by_seconds = set != NULL;
    if (set) {
        result.fixed = set->fixed;
        result.estimated = set->estimated;
        result.resolution = 1e-3;
    }
    /* A change ds of the scores changes the loss by (gradient by the scores) . ds: with independent
     * ds of one size, by its square times score_square in the mean square. */
    if (options->importance == NN_IMPORTANCE_GRADIENT && options->profile->score_square > 0)
        result.change_per_loss = 1 / options->profile->score_square;
    status = fill(&result, model, options, set);
    if (status == FHOLA_OK)
        *degrees = result;
    else
        nn_degrees_clear(&result);
    return status;
}

/* ---- choosing ---- */

/* What goes wrong is said of the budget as it was given; the schedule knows what is left of it for
 * activations, without units. */
static fhola_status check_reach(const nn_degrees *d, double budget)
{
    double least = d->fixed;
    for (size_t i = 0; i < d->activations; i++) least += d->layers[i].options[0].cost;
    if (budget >= least) return FHOLA_OK;
    if (d->by_seconds)
        return fhola_fail(
            FHOLA_PARAM,
            "a budget of %g seconds is too small: the cheapest plan takes %.3f seconds", budget,
            least);
    return fhola_fail(FHOLA_PARAM, "a depth of %g is too small: the cheapest plan has %g", budget,
                      least);
}

fhola_status nn_degrees_choose(unsigned *chosen, ola_schedule *total, const nn_degrees *d,
                               nn_plan_choice choice, double budget)
{
    ola_schedule schedule;
    FHOLA_TRY(check_reach(d, budget));
    fhola_status status;
    size_t *index = calloc(d->activations, sizeof *index);
    if (!index) return fhola_fail(FHOLA_NOMEM, "no memory for a schedule");
    double left = budget - d->fixed;
    if (choice == NN_CHOICE_UNIFORM)
        status = ola_schedule_uniform(index, &schedule, d->layers, d->activations, left);
    else if (choice == NN_CHOICE_GREEDY)
        status = ola_schedule_greedy(index, &schedule, d->layers, d->activations, left);
    else
        status = ola_schedule_dp(index, &schedule, d->layers, d->activations, left, d->resolution);
    for (size_t i = 0; i < d->activations && status == FHOLA_OK; i++)
        chosen[i] = d->degree[index[i]];
    if (status == FHOLA_OK && total)
        *total = (ola_schedule){schedule.cost + d->fixed, schedule.loss};
    free(index);
    return status;
}

ola_schedule nn_degrees_total(const nn_degrees *d, const unsigned *chosen)
{
    ola_schedule total = {d->fixed, 0};
    for (size_t i = 0; i < d->activations; i++) {
        size_t k = 0;
        while (k + 1 < d->choices && d->degree[k] < chosen[i]) k++;
        bool there = d->degree[k] >= chosen[i];
        total.cost += there ? d->layers[i].options[k].cost : (double)INFINITY;
        total.loss += d->layers[i].options[k].loss;
    }
    return total;
}
