/* SPDX-License-Identifier: Apache-2.0 */
/* Plans beside each other: along the frontier, and with one part of the method changed at a
 * time. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/graph/model_io.h"
#include "nn/nn.h"
#include "nn/plain/predict.h"
#include "nn/planner/degrees.h"
#include "nn/planner/profile.h"

#define MAX_ROWS 32u

/* What all rows have in common. */
typedef struct bench {
    const nn_model *model;
    const nn_batch *calibration, *held_out, *judged;
    nn_margins margins;
    nn_comparison *result;
    nn_progress progress;
    void *user;
    size_t planned; /* rows */
} bench;

void nn_comparison_free(nn_comparison *comparison)
{
    if (!comparison) return;
    for (size_t k = 0; k < comparison->count; k++) free(comparison->row[k].degrees);
    free(comparison->row);
    free(comparison);
}

static fhola_status open_bench(bench *b)
{
    nn_comparison *c = calloc(1, sizeof *c);
    if (!c) return fhola_fail(FHOLA_NOMEM, "no memory for a comparison");
    b->result = c;
    c->row = calloc(MAX_ROWS, sizeof *c->row);
    if (!c->row) return fhola_fail(FHOLA_NOMEM, "no memory for a comparison");
    c->activations = nn_model_activations(b->model);
    c->calibration = nn_batch_count(b->calibration);
    c->pictures = nn_batch_count(b->judged);
    fhola_status status = nn_margins_create(&b->margins, b->model, b->judged);
    if (status == FHOLA_OK) c->exact_accuracy = nn_margins_accuracy(&b->margins, 0);
    return status;
}

static fhola_status close_bench(bench *b, fhola_status status, nn_comparison **comparison)
{
    nn_margins_clear(&b->margins);
    if (status == FHOLA_OK)
        *comparison = b->result;
    else
        nn_comparison_free(b->result);
    return status;
}

/* Seconds of the degrees, or NaN. */
static fhola_status find_seconds(double *seconds, const bench *b, const nn_plan_options *options,
                                 const unsigned *degrees)
{
    const nn_cost_set *set;
    *seconds = (double)NAN;
    if (!options->cost) return FHOLA_OK;
    fhola_status status =
        nn_cost_find(&set, options->cost, options->params ? options->params : "R15");
    if (status != FHOLA_OK) return status;
    double sum = nn_cost_total(set, b->model, degrees);
    if (isfinite(sum)) *seconds = sum;
    return FHOLA_OK;
}

static fhola_status describe(nn_comparison_row *row, const bench *b, const nn_plan_options *options,
                             const nn_plan *plan)
{
    nn_degrees table;
    nn_evaluation evaluation;
    for (size_t i = 0; i < b->result->activations; i++) row->degrees[i] = nn_plan_degree(plan, i);
    row->depth = nn_plan_depth(plan);
    fhola_status status = find_seconds(&row->seconds, b, options, row->degrees);
    if (status == FHOLA_OK) status = nn_degrees_create(&table, b->model, options);
    if (status != FHOLA_OK) return status;
    row->predicted = nn_margins_accuracy(&b->margins, nn_degrees_total(&table, row->degrees).loss *
                                                          table.change_per_loss);
    nn_degrees_clear(&table);
    status = nn_evaluate(&evaluation, b->model, plan, b->judged, 0, 0, NULL, NULL);
    if (status != FHOLA_OK) return status;
    row->accuracy = 100.0 * (double)evaluation.right / (double)evaluation.pictures;
    row->not_finite = evaluation.not_finite;
    row->max_w = evaluation.max_w;
    return FHOLA_OK;
}

/* Makes a plan and its row. */
static fhola_status add_row(bench *b, const char *group, const char *name,
                            const nn_plan_options *options)
{
    nn_comparison_row *row = &b->result->row[b->result->count];
    nn_plan *plan;
    fhola_status status =
        nn_plan_make(&plan, b->model, b->calibration, b->held_out, options, NULL, NULL);
    if (status != FHOLA_OK) return fhola_fail(status, "%s, %s: %s", group, name, fhola_detail());
    row->group = group;
    snprintf(row->name, sizeof row->name, "%s", name);
    row->degrees = calloc(b->result->activations, sizeof *row->degrees);
    status = row->degrees ? describe(row, b, options, plan)
                          : fhola_fail(FHOLA_NOMEM, "no memory for degrees");
    nn_plan_free(plan);
    if (status != FHOLA_OK) {
        free(row->degrees);
        row->degrees = NULL;
        return status;
    }
    b->result->count++;
    if (b->progress) b->progress(b->user, "plans", b->result->count, b->planned);
    return FHOLA_OK;
}

/* ---- ablation ---- */

/* What diverges already while it is fitted has a row without an accuracy. */
static fhola_status add_divergent(bench *b, const char *group, const char *name,
                                  const nn_plan_options *options)
{
    nn_comparison_row *row = &b->result->row[b->result->count];
    size_t size = b->result->activations * sizeof *row->degrees;
    unsigned *degrees = malloc(size);
    if (!degrees) return fhola_fail(FHOLA_NOMEM, "no memory for degrees");
    memcpy(degrees, options->degrees, size);
    *row =
        (nn_comparison_row){.group = group, .degrees = degrees, .not_finite = b->result->pictures};
    row->predicted = row->accuracy = row->max_w = (double)NAN;
    snprintf(row->name, sizeof row->name, "%s", name);
    for (size_t i = 0; i < b->result->activations; i++) row->depth += ola_depth(degrees[i]);
    fhola_status status = find_seconds(&row->seconds, b, options, degrees);
    b->result->count++;
    return status;
}

/* A row with the degrees of the first one, so that only what is named differs. What fails within
 * its ranges is shown without the guard. */
static fhola_status add_variant(bench *b, const char *group, const char *name,
                                nn_plan_options options)
{
    options.degrees = b->result->row[0].degrees;
    options.refine_pictures = 0;
    fhola_status status = add_row(b, group, name, &options);
    if (status != FHOLA_RANGE || options.unguarded) return status;
    options.unguarded = 1;
    status = add_row(b, group, name, &options);
    return status == FHOLA_RANGE ? add_divergent(b, group, name, &options) : status;
}

/* A row with degrees of its own; left out if no such schedule exists. */
static fhola_status add_schedule(bench *b, const char *group, const char *name,
                                 const nn_plan_options *options)
{
    fhola_status status = add_row(b, group, name, options);
    if (status != FHOLA_PARAM) return status;
    b->planned--;
    return FHOLA_OK;
}

static fhola_status add_schedules(bench *b, const nn_plan_options *options)
{
    nn_plan_options o = *options;
    o.choice = NN_CHOICE_UNIFORM;
    fhola_status status = add_schedule(b, "schedule", "one degree for all", &o);
    o.choice = NN_CHOICE_GREEDY;
    if (status == FHOLA_OK) status = add_schedule(b, "schedule", "greedy", &o);
    o = *options;
    o.importance = NN_IMPORTANCE_GRADIENT;
    if (status == FHOLA_OK) status = add_schedule(b, "importance", "gradients, A_i E_i", &o);
    return status;
}

static fhola_status add_fits(bench *b, const nn_plan_options *options)
{
    nn_plan_options o = *options;
    o.weight = NN_WEIGHT_NORMAL;
    fhola_status status = add_variant(b, "weight", "normal", o);
    o.weight = NN_WEIGHT_EMPIRICAL;
    if (status == FHOLA_OK) status = add_variant(b, "weight", "empirical, no guard", o);
    o = *options;
    o.per_layer = 1;
    if (status == FHOLA_OK) status = add_variant(b, "scope", "one polynomial per layer", o);
    o = *options;
    o.plain_target = 1;
    if (status == FHOLA_OK) status = add_variant(b, "target", "plain", o);
    o = *options;
    o.minimax = 1;
    if (status == FHOLA_OK) status = add_variant(b, "fit", "minimax", o);
    return status;
}

static fhola_status check_options(const nn_plan_options *options, const nn_batch *judged)
{
    if (!options->profile) return fhola_fail(FHOLA_PARAM, "a comparison needs a profile");
    if (options->degrees || options->max_loss > 0)
        return fhola_fail(FHOLA_PARAM, "a comparison needs a depth or a time as its budget");
    if (nn_batch_count(judged) == 0) return fhola_fail(FHOLA_PARAM, "no pictures to judge by");
    return FHOLA_OK;
}

fhola_status nn_compare_ablation(nn_comparison **comparison, const nn_model *model,
                                 const nn_batch *calibration, const nn_batch *held_out,
                                 const nn_batch *judged, const nn_plan_options *options,
                                 nn_progress progress, void *user)
{
    bench b = {.model = model,
               .calibration = calibration,
               .held_out = held_out,
               .judged = judged,
               .progress = progress,
               .user = user,
               .planned = 10};
    fhola_status status = check_options(options, judged);
    if (status != FHOLA_OK) return status;
    status = open_bench(&b);
    if (status == FHOLA_OK) status = add_row(&b, "all", "as asked for", options);
    if (status == FHOLA_OK) status = add_schedules(&b, options);
    if (status == FHOLA_OK) status = add_fits(&b, options);
    nn_plan_options paper = *options;
    nn_plan_set_method(&paper, NN_METHOD_PAPER);
    if (status == FHOLA_OK) status = add_schedule(&b, "all", "paper", &paper);
    return close_bench(&b, status, comparison);
}

/* ---- frontier ---- */

/* Cheapest and dearest schedule there is. */
static fhola_status cost_range(double *least, double *most, bool *by_seconds, const nn_model *model,
                               const nn_plan_options *options)
{
    nn_degrees table;
    fhola_status status = nn_degrees_create(&table, model, options);
    if (status != FHOLA_OK) return status;
    *least = *most = table.fixed;
    *by_seconds = table.by_seconds;
    for (size_t i = 0; i < table.activations; i++) {
        *least += table.layers[i].options[0].cost;
        *most += table.layers[i].options[table.choices - 1].cost;
    }
    nn_degrees_clear(&table);
    return FHOLA_OK;
}

static fhola_status add_point(bench *b, const nn_plan_options *options, double budget,
                              bool by_seconds)
{
    char name[NN_COMPARISON_NAME];
    nn_plan_options o = *options;
    o.depth = by_seconds ? 0 : (unsigned)(budget + 0.5);
    /* costs are rounded up to 1 ms each */
    o.seconds = by_seconds ? budget + 0.001 * (double)b->result->activations : 0;
    o.max_loss = 0;
    o.degrees = NULL;
    o.unguarded = 1;
    snprintf(name, sizeof name, by_seconds ? "%.2f s" : "depth %.0f", budget);
    return add_row(b, "frontier", name, &o);
}

fhola_status nn_compare_frontier(nn_comparison **comparison, const nn_model *model,
                                 const nn_batch *calibration, const nn_batch *held_out,
                                 const nn_batch *judged, const nn_plan_options *options,
                                 size_t points, nn_progress progress, void *user)
{
    bench b = {.model = model,
               .calibration = calibration,
               .held_out = held_out,
               .judged = judged,
               .progress = progress,
               .user = user};
    double least, most;
    bool by_seconds;
    nn_plan_options o = *options;
    if (!o.profile || points < 2 || points > MAX_ROWS)
        return fhola_fail(FHOLA_PARAM,
                          o.profile ? "a frontier of %zu points: 2 to %u are possible"
                                    : "a frontier needs a profile",
                          points, MAX_ROWS);
    if (o.cost) o.depth = 0;
    b.planned = points;
    fhola_status status = cost_range(&least, &most, &by_seconds, model, &o);
    if (status != FHOLA_OK) return status;
    status = open_bench(&b);
    for (size_t k = 0; k < points && status == FHOLA_OK; k++)
        status = add_point(&b, &o, least + (most - least) * (double)k / (double)(points - 1),
                           by_seconds);
    return close_bench(&b, status, comparison);
}
