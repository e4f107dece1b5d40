/* SPDX-License-Identifier: Apache-2.0 */
/* One option per layer: exact dynamic programming over discretised cost, and two simpler schedules
 * to compare with. */
#include "ola/ola.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MAX_OPTIONS 65535u
#define MAX_CELLS   ((size_t)1 << 28)
/* a cost this close (relatively, or in units) to a multiple of the resolution counts as that */
#define ROUNDING 1e-9

struct ola_frontier {
    size_t layers;
    ola_option **options; /* copies, so that the points outlive the caller's arrays */
    size_t *option_counts;
    uint32_t **units; /* rounded cost of each option; UNAFFORDABLE above any budget */
    size_t cells;     /* largest total of units + 1 */
    double resolution;
    /* layers * cells: the option the best schedule of layers 0..i within u units takes at layer
     * i */
    uint16_t *best;
    size_t count; /* points */
    uint32_t *point_units;
    ola_schedule *points;
};

#define UNAFFORDABLE UINT32_MAX

static fhola_status check_layers(const ola_layer *layers, size_t count)
{
    if (count == 0) return fhola_fail(FHOLA_PARAM, "no layer to schedule");
    for (size_t i = 0; i < count; i++) {
        if (layers[i].count == 0 || layers[i].count > MAX_OPTIONS)
            return fhola_fail(FHOLA_PARAM, "layer %zu has %zu options, not 1..%u", i,
                              layers[i].count, MAX_OPTIONS);
        for (size_t k = 0; k < layers[i].count; k++) {
            const ola_option *o = &layers[i].options[k];
            if (!(o->cost >= 0) || !isfinite(o->cost) || !isfinite(o->loss))
                return fhola_fail(FHOLA_PARAM,
                                  "layer %zu, option %zu (degree %u): cost %g, loss %g", i, k,
                                  o->degree, o->cost, o->loss);
        }
    }
    return FHOLA_OK;
}

/* Index of the cheapest option; of equally cheap ones the one with the smallest loss. */
static size_t cheapest(const ola_layer *layer)
{
    size_t best = 0;
    for (size_t k = 1; k < layer->count; k++) {
        const ola_option *o = &layer->options[k], *b = &layer->options[best];
        if (o->cost < b->cost || (o->cost == b->cost && o->loss < b->loss)) best = k;
    }
    return best;
}

static ola_schedule total(const ola_layer *layers, size_t count, const size_t *choice)
{
    ola_schedule sum = {0, 0};
    for (size_t i = 0; i < count; i++) {
        sum.cost += layers[i].options[choice[i]].cost;
        sum.loss += layers[i].options[choice[i]].loss;
    }
    return sum;
}

/* Slack for sums of costs that should reach a budget exactly but were rounded. */
static bool fits(double cost, double budget)
{
    return cost <= budget || cost - budget <= ROUNDING * budget;
}

static double round_up(double cost, double resolution)
{
    double units = cost / resolution;
    return ceil(units - ROUNDING * fmax(1, units));
}

static double round_down(double budget, double resolution)
{
    double units = budget / resolution;
    return floor(units + ROUNDING * fmax(1, units));
}

/* Whole units of a budget: the smaller of the budget and the most expensive schedule. */
static fhola_status count_cells(size_t *cells, const ola_layer *layers, size_t count, double budget,
                                double resolution)
{
    double least = 0, most = 0, exact_least = 0;
    for (size_t i = 0; i < count; i++) {
        double low = INFINITY, high = 0;
        for (size_t k = 0; k < layers[i].count; k++) {
            double units = round_up(layers[i].options[k].cost, resolution);
            low = fmin(low, units);
            high = fmax(high, units);
        }
        least += low;
        most += high;
        exact_least += layers[i].options[cheapest(&layers[i])].cost;
    }
    double units = fmin(most, round_down(budget, resolution));
    if (!(units >= least))
        return fhola_fail(FHOLA_PARAM, "budget %g is below %g, the cost of the cheapest schedule%s",
                          budget, exact_least,
                          budget >= exact_least ? " (after rounding to the resolution)" : "");
    if (!((units + 1) * (double)count <= (double)MAX_CELLS))
        return fhola_fail(FHOLA_PARAM,
                          "%g units of cost in %zu layers need over 2^28 cells: take a coarser "
                          "resolution than %g",
                          units, count, resolution);
    *cells = (size_t)units + 1;
    return FHOLA_OK;
}

static fhola_status copy_layers(ola_frontier *f, const ola_layer *layers, size_t count)
{
    f->layers = count;
    f->options = calloc(count, sizeof *f->options);
    f->option_counts = calloc(count, sizeof *f->option_counts);
    f->units = calloc(count, sizeof *f->units);
    if (f->options == NULL || f->option_counts == NULL || f->units == NULL)
        return fhola_fail(FHOLA_NOMEM, "no memory for %zu layers", count);
    for (size_t i = 0; i < count; i++) {
        size_t n = layers[i].count;
        f->option_counts[i] = n;
        f->options[i] = malloc(n * sizeof **f->options);
        f->units[i] = malloc(n * sizeof **f->units);
        if (f->options[i] == NULL || f->units[i] == NULL)
            return fhola_fail(FHOLA_NOMEM, "no memory for %zu options of layer %zu", n, i);
        memcpy(f->options[i], layers[i].options, n * sizeof **f->options);
        for (size_t k = 0; k < n; k++) {
            double units = round_up(f->options[i][k].cost, f->resolution);
            f->units[i][k] = units < (double)f->cells ? (uint32_t)units : UNAFFORDABLE;
        }
    }
    return FHOLA_OK;
}

/* One layer more: next[u] = least loss of layers 0..i within u units, choice[u] = the option of
 * layer i in it. Ties go to the earlier option. */
static void extend(const ola_frontier *f, size_t layer, const double *previous, double *next,
                   uint16_t *choice)
{
    for (size_t u = 0; u < f->cells; u++) {
        next[u] = INFINITY;
        choice[u] = 0;
    }
    for (size_t k = 0; k < f->option_counts[layer]; k++) {
        uint32_t units = f->units[layer][k];
        double loss = f->options[layer][k].loss;
        for (size_t u = units; units != UNAFFORDABLE && u < f->cells; u++)
            if (previous[u - units] + loss < next[u]) {
                next[u] = previous[u - units] + loss;
                choice[u] = (uint16_t)k;
            }
    }
}

static fhola_status fill_table(ola_frontier *f, double **least_loss)
{
    f->best = malloc(f->layers * f->cells * sizeof *f->best);
    double *previous = calloc(f->cells, sizeof *previous), *next = malloc(f->cells * sizeof *next);
    if (f->best == NULL || previous == NULL || next == NULL) {
        free(previous);
        free(next);
        return fhola_fail(FHOLA_NOMEM, "no memory for a schedule table of %zu x %zu cells",
                          f->layers, f->cells);
    }
    for (size_t i = 0; i < f->layers; i++) {
        extend(f, i, previous, next, f->best + i * f->cells);
        double *swap = previous;
        previous = next;
        next = swap;
    }
    free(next);
    *least_loss = previous;
    return FHOLA_OK;
}

/* Walks the table back from the last layer and a number of units. */
static ola_schedule walk(const ola_frontier *f, uint32_t units, size_t *choice)
{
    ola_schedule sum = {0, 0};
    size_t left = units;
    for (size_t i = f->layers; i-- > 0;) {
        size_t k = f->best[i * f->cells + left];
        sum.cost += f->options[i][k].cost;
        sum.loss += f->options[i][k].loss;
        left -= f->units[i][k];
        if (choice != NULL) choice[i] = k;
    }
    return sum;
}

/* Points where the least loss falls. By the order of summation a later point may be no better than
 * the one before, and by the rounding of costs it may be no more expensive: then it is left out, or
 * replaces the one before. */
static fhola_status collect_points(ola_frontier *f, const double *least_loss)
{
    size_t falls = 0;
    for (size_t u = 0; u < f->cells; u++)
        falls += isfinite(least_loss[u]) && (u == 0 || least_loss[u] < least_loss[u - 1]);
    f->point_units = malloc((falls + 1) * sizeof *f->point_units);
    f->points = malloc((falls + 1) * sizeof *f->points);
    if (f->point_units == NULL || f->points == NULL)
        return fhola_fail(FHOLA_NOMEM, "no memory for %zu schedules", falls);
    for (size_t u = 0; u < f->cells; u++) {
        if (!isfinite(least_loss[u]) || (u > 0 && least_loss[u] >= least_loss[u - 1])) continue;
        ola_schedule point = walk(f, (uint32_t)u, NULL);
        if (f->count > 0 && point.loss >= f->points[f->count - 1].loss) continue;
        while (f->count > 0 && point.cost <= f->points[f->count - 1].cost) f->count--;
        f->point_units[f->count] = (uint32_t)u;
        f->points[f->count++] = point;
    }
    return FHOLA_OK;
}

static fhola_status build(ola_frontier *f, const ola_layer *layers, size_t count, double max_budget)
{
    double *least_loss = NULL;
    fhola_status status = count_cells(&f->cells, layers, count, max_budget, f->resolution);
    if (status == FHOLA_OK) status = copy_layers(f, layers, count);
    if (status == FHOLA_OK) status = fill_table(f, &least_loss);
    if (status == FHOLA_OK) status = collect_points(f, least_loss);
    free(least_loss);
    return status;
}

fhola_status ola_frontier_create(ola_frontier **frontier, const ola_layer *layers, size_t count,
                                 double max_budget, double resolution)
{
    fhola_status status = check_layers(layers, count);
    if (status != FHOLA_OK) return status;
    if (!(max_budget >= 0))
        return fhola_fail(FHOLA_PARAM, "budget %g is not a number >= 0", max_budget);
    if (!(resolution > 0) || !isfinite(resolution))
        return fhola_fail(FHOLA_PARAM, "resolution %g is not a positive number", resolution);
    ola_frontier *f = calloc(1, sizeof *f);
    if (f == NULL) return fhola_fail(FHOLA_NOMEM, "no memory for a frontier");
    f->resolution = resolution;
    status = build(f, layers, count, max_budget);
    if (status != FHOLA_OK) {
        ola_frontier_destroy(f);
        return status;
    }
    *frontier = f;
    return FHOLA_OK;
}

void ola_frontier_destroy(ola_frontier *f)
{
    if (f == NULL) return;
    for (size_t i = 0; i < f->layers; i++) {
        if (f->options != NULL) free(f->options[i]);
        if (f->units != NULL) free(f->units[i]);
    }
    free(f->options);
    free(f->units);
    free(f->option_counts);
    free(f->best);
    free(f->point_units);
    free(f->points);
    free(f);
}

size_t ola_frontier_count(const ola_frontier *f)
{
    return f->count;
}

fhola_status ola_frontier_point(const ola_frontier *f, size_t index, ola_schedule *schedule,
                                size_t *choice)
{
    if (index >= f->count)
        return fhola_fail(FHOLA_PARAM, "the frontier has no point %zu, only %zu points", index,
                          f->count);
    *schedule = f->points[index];
    if (choice != NULL) walk(f, f->point_units[index], choice);
    return FHOLA_OK;
}

fhola_status ola_frontier_within_budget(const ola_frontier *f, double budget, size_t *index)
{
    if (!fits(f->points[0].cost, budget))
        return fhola_fail(FHOLA_PARAM, "budget %g is below %g, the cost of the cheapest schedule",
                          budget, f->points[0].cost);
    size_t best = 0;
    while (best + 1 < f->count && fits(f->points[best + 1].cost, budget)) best++;
    *index = best;
    return FHOLA_OK;
}

fhola_status ola_frontier_within_loss(const ola_frontier *f, double max_loss, size_t *index)
{
    for (size_t i = 0; i < f->count; i++)
        if (f->points[i].loss <= max_loss) {
            *index = i;
            return FHOLA_OK;
        }
    return fhola_fail(FHOLA_PARAM, "loss %g is below %g, the smallest one reached (at cost %g)",
                      max_loss, f->points[f->count - 1].loss, f->points[f->count - 1].cost);
}

fhola_status ola_schedule_dp(size_t *choice, ola_schedule *schedule, const ola_layer *layers,
                             size_t count, double budget, double resolution)
{
    ola_frontier *f = NULL;
    fhola_status status = ola_frontier_create(&f, layers, count, budget, resolution);
    if (status == FHOLA_OK) status = ola_frontier_point(f, f->count - 1, schedule, choice);
    ola_frontier_destroy(f);
    return status;
}

/* The step of steepest loss decrease per cost that still fits; a decrease that costs nothing is the
 * steepest. False if there is none. */
static bool steepest_step(const ola_layer *layers, size_t count, const size_t *choice, double cost,
                          double budget, size_t *step_layer, size_t *step_option)
{
    double steepest = 0;
    for (size_t i = 0; i < count; i++) {
        const ola_option *now = &layers[i].options[choice[i]];
        for (size_t k = 0; k < layers[i].count; k++) {
            const ola_option *o = &layers[i].options[k];
            double decrease = now->loss - o->loss, increase = o->cost - now->cost;
            if (!(decrease > 0) || !fits(cost + increase, budget)) continue;
            double steepness = increase > 0 ? decrease / increase : INFINITY;
            if (steepness > steepest) {
                steepest = steepness;
                *step_layer = i;
                *step_option = k;
            }
        }
    }
    return steepest > 0;
}

fhola_status ola_schedule_greedy(size_t *choice, ola_schedule *schedule, const ola_layer *layers,
                                 size_t count, double budget)
{
    fhola_status status = check_layers(layers, count);
    if (status != FHOLA_OK) return status;
    double least = 0;
    for (size_t i = 0; i < count; i++) least += layers[i].options[cheapest(&layers[i])].cost;
    if (!fits(least, budget))
        return fhola_fail(FHOLA_PARAM, "budget %g is below %g, the cost of the cheapest schedule",
                          budget, least);
    for (size_t i = 0; i < count; i++) choice[i] = cheapest(&layers[i]);
    size_t layer = 0, option = 0;
    while (steepest_step(layers, count, choice, total(layers, count, choice).cost, budget, &layer,
                         &option))
        choice[layer] = option;
    *schedule = total(layers, count, choice);
    return FHOLA_OK;
}

/* Index of the layer's best option of a degree, or its count if it has none. */
static size_t option_of_degree(const ola_layer *layer, unsigned degree)
{
    size_t best = layer->count;
    for (size_t k = 0; k < layer->count; k++)
        if (layer->options[k].degree == degree &&
            (best == layer->count || layer->options[k].cost < layer->options[best].cost))
            best = k;
    return best;
}

/* Total of giving every layer this degree; false if a layer does not offer it. */
static bool uniform_total(const ola_layer *layers, size_t count, unsigned degree, ola_schedule *sum)
{
    *sum = (ola_schedule){0, 0};
    for (size_t i = 0; i < count; i++) {
        size_t k = option_of_degree(&layers[i], degree);
        if (k == layers[i].count) return false;
        sum->cost += layers[i].options[k].cost;
        sum->loss += layers[i].options[k].loss;
    }
    return true;
}

fhola_status ola_schedule_uniform(size_t *choice, ola_schedule *schedule, const ola_layer *layers,
                                  size_t count, double budget)
{
    fhola_status status = check_layers(layers, count);
    if (status != FHOLA_OK) return status;
    bool found = false;
    unsigned degree = 0;
    double least = INFINITY;
    ola_schedule best = {0, 0}, sum;
    for (size_t k = 0; k < layers[0].count; k++) {
        if (!uniform_total(layers, count, layers[0].options[k].degree, &sum)) continue;
        least = fmin(least, sum.cost);
        if (fits(sum.cost, budget) &&
            (!found || sum.loss < best.loss || (sum.loss == best.loss && sum.cost < best.cost))) {
            found = true;
            best = sum;
            degree = layers[0].options[k].degree;
        }
    }
    if (!found && isfinite(least))
        return fhola_fail(FHOLA_PARAM,
                          "budget %g is below %g, the cost of the cheapest uniform schedule",
                          budget, least);
    if (!found) return fhola_fail(FHOLA_PARAM, "the %zu layers have no degree in common", count);
    for (size_t i = 0; i < count; i++) choice[i] = option_of_degree(&layers[i], degree);
    *schedule = best;
    return FHOLA_OK;
}
