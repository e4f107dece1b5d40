/* SPDX-License-Identifier: Apache-2.0 */
/* A round measures every single step from the present schedule, each behind a fit of all later
 * activations, then tries the exchanges that these measurements predict to be best, with a fit of
 * the whole network each. It ends when none of them helps. */
#include "nn/planner/refine.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn/graph/model_io.h"
#include "nn/plain/predict.h"
#include "nn/planner/fit.h"

#define ROUNDS 12u
#define TRIES  8u /* exchanges fitted in a round */
#define LEAST_GAIN                                                                                 \
    0.005 /* of the present change, for an exchange to be taken: less is noise of the pictures */
#define SLACK 1e-9 /* of a budget, for sums of costs in another order */

typedef struct search {
    const nn_model *model;
    const nn_batch *calibration, *judges;
    size_t calibration_count, judge_count, activations, values; /* values: scores of all judges */
    const nn_degrees *table;
    const nn_plan_options *options;
    double budget;
    nn_plan *plan;         /* fitted over and over */
    nn_passage *here;      /* the present schedule, in front of some activation */
    nn_passage *ahead;     /* a trial, from there to the end */
    float *scores, *exact; /* of the judges; `scores` begins with the calibration pictures' */
    size_t *choice;        /* index of the present degree of each activation */
    double change;         /* measured with it */
    /* the same with one activation a step up or down; infinite if there is no such step or fit */
    double *up, *down;
} search;

/* up or down may be `none`. */
typedef struct exchange {
    size_t up, down;
    double predicted;
} exchange;

#define none SIZE_MAX

static double cost_of(const search *s, const size_t *choice)
{
    double cost = s->table->fixed;
    for (size_t i = 0; i < s->activations; i++) cost += s->table->layers[i].options[choice[i]].cost;
    return cost;
}

static void apply(size_t *choice, exchange e)
{
    if (e.up != none) choice[e.up]++;
    if (e.down != none) choice[e.down]--;
}

/* ---- measuring ---- */

static fhola_status create_passage(nn_passage **passage, const search *s)
{
    return nn_passage_create(passage, s->model, s->calibration, s->calibration_count, s->judges,
                             s->judge_count, true);
}

/* Fits activation i of the passage, which stands in front of it, with the degree of this index, and
 * goes on. */
static fhola_status fit_one(const search *s, nn_passage *passage, size_t i, size_t index)
{
    fhola_status status = nn_plan_set_degree(s->plan, i, s->table->layers[i].options[index].degree);
    return status == FHOLA_OK ? nn_passage_fit(s->plan, i, passage, s->options) : status;
}

static double change_at_end(const search *s, nn_passage *passage)
{
    nn_passage_scores(s->scores, passage);
    return nn_mean_change(s->scores + s->calibration_count * s->model->classes, s->exact,
                          s->values);
}

/* Leaves in *change what the schedule brings from activation `from` on, in front of which s->here
 * stands; infinite where polynomials diverge. */
static fhola_status measure_from(double *change, const search *s, size_t from, const size_t *choice)
{
    fhola_status status = FHOLA_OK;
    nn_passage_copy(s->ahead, s->here);
    for (size_t i = from; i < s->activations && status == FHOLA_OK; i++)
        status = fit_one(s, s->ahead, i, choice[i]);
    *change = (double)INFINITY;
    if (status == FHOLA_OK) *change = change_at_end(s, s->ahead);
    return status == FHOLA_RANGE ? FHOLA_OK : status;
}

static fhola_status measure_step(double *change, search *s, size_t i, exchange step)
{
    bool possible =
        step.up != none ? s->choice[i] + 1 < s->table->layers[i].count : s->choice[i] > 0;
    *change = (double)INFINITY;
    if (!possible) return FHOLA_OK;
    apply(s->choice, step);
    fhola_status status = measure_from(change, s, i, s->choice);
    apply(s->choice, (exchange){step.down, step.up, 0});
    return status;
}

static fhola_status restart(search *s)
{
    nn_passage_free(s->here);
    s->here = NULL;
    return create_passage(&s->here, s);
}

/* Every single step from the present schedule, and the schedule itself. */
static fhola_status measure_steps(search *s, nn_progress progress, void *user)
{
    fhola_status status = restart(s);
    for (size_t i = 0; i < s->activations && status == FHOLA_OK; i++) {
        status = measure_step(&s->up[i], s, i, (exchange){i, none, 0});
        if (status == FHOLA_OK) status = measure_step(&s->down[i], s, i, (exchange){none, i, 0});
        if (status == FHOLA_OK) status = fit_one(s, s->here, i, s->choice[i]);
        if (progress) progress(user, "degrees", i + 1, s->activations);
    }
    if (status == FHOLA_OK) s->change = change_at_end(s, s->here);
    return status;
}

/* ---- exchanging ---- */

static void consider(exchange *list, size_t *count, const search *s, size_t up, size_t down)
{
    exchange e = {up, down, s->change};
    if (up != none) e.predicted += s->up[up] - s->change;
    if (down != none) e.predicted += s->down[down] - s->change;
    if (up != down && e.predicted < s->change) list[(*count)++] = e;
}

/* By prediction; then by place, so that the order is one and the same everywhere. */
static int compare_exchanges(const void *left, const void *right)
{
    const exchange *a = left, *b = right;
    if (a->predicted != b->predicted) return a->predicted < b->predicted ? -1 : 1;
    if (a->up != b->up) return a->up < b->up ? -1 : 1;
    return (a->down > b->down) - (a->down < b->down);
}

/* All exchanges predicted to help, as if single steps added up, the best first. `list` has room for
 * (activations + 1)^2. */
static size_t list_exchanges(exchange *list, const search *s)
{
    size_t count = 0;
    for (size_t up = 0; up <= s->activations; up++)
        for (size_t down = 0; down <= s->activations; down++)
            consider(list, &count, s, up < s->activations ? up : none,
                     down < s->activations ? down : none);
    qsort(list, count, sizeof *list, compare_exchanges);
    return count;
}

/* Keeps an exchange that helps behind a fit of the whole network. */
static fhola_status try_exchange(bool *taken, bool *tried, search *s, exchange e)
{
    double change = (double)INFINITY;
    fhola_status status = FHOLA_OK;
    apply(s->choice, e);
    *tried = cost_of(s, s->choice) <= s->budget * (1 + SLACK);
    if (*tried) status = measure_from(&change, s, 0, s->choice);
    *taken = status == FHOLA_OK && change < s->change * (1 - LEAST_GAIN);
    if (*taken)
        s->change = change;
    else
        apply(s->choice, (exchange){e.down, e.up, 0});
    return status;
}

/* Tries the best exchanges of untouched activations in order, each on top of those already
 * taken. */
static fhola_status exchange_degrees(bool *improved, search *s)
{
    size_t room = s->activations + 1;
    exchange *list = malloc(room * room * sizeof *list);
    bool *touched = calloc(room, sizeof *touched);
    fhola_status status = FHOLA_OK;
    if (list && touched)
        status = restart(s);
    else
        status =
            fhola_fail(FHOLA_NOMEM, "no memory for the exchanges of %zu degrees", s->activations);
    size_t count = status == FHOLA_OK ? list_exchanges(list, s) : 0;
    unsigned tries = 0;
    *improved = false;
    for (size_t k = 0; k < count && tries < TRIES && status == FHOLA_OK; k++) {
        bool taken, tried;
        exchange e = list[k];
        if ((e.up != none && touched[e.up]) || (e.down != none && touched[e.down])) continue;
        status = try_exchange(&taken, &tried, s, e);
        tries += tried;
        if (!taken) continue;
        *improved = true;
        if (e.up != none) touched[e.up] = true;
        if (e.down != none) touched[e.down] = true;
    }
    free(touched);
    free(list);
    return status;
}

/* ---- all of it ---- */

static fhola_status score_exact(search *s)
{
    nn_passage *exact;
    fhola_status status =
        nn_passage_create(&exact, s->model, s->judges, s->judge_count, NULL, 0, false);
    if (status != FHOLA_OK) return status;
    for (size_t i = 0; i < s->activations && status == FHOLA_OK; i++)
        status = nn_passage_advance(exact, i, NULL, 0);
    if (status == FHOLA_OK) nn_passage_scores(s->exact, exact);
    nn_passage_free(exact);
    return status;
}

static fhola_status set_up(search *s, const unsigned *degrees)
{
    size_t classes = s->model->classes, n = s->activations;
    s->choice = calloc(n, sizeof *s->choice);
    s->up = calloc(2 * n, sizeof *s->up);
    s->scores = malloc((s->calibration_count + s->judge_count) * classes * sizeof *s->scores);
    s->exact = malloc(s->judge_count * classes * sizeof *s->exact);
    if (!s->choice || !s->up || !s->scores || !s->exact)
        return fhola_fail(FHOLA_NOMEM, "no memory for the scores of %zu pictures",
                          s->calibration_count + s->judge_count);
    s->down = s->up + n;
    s->values = s->judge_count * classes;
    for (size_t i = 0; i < n; i++)
        while (s->table->layers[i].options[s->choice[i]].degree < degrees[i]) s->choice[i]++;
    fhola_status status = score_exact(s);
    if (status == FHOLA_OK) status = create_passage(&s->ahead, s);
    return status == FHOLA_OK ? nn_plan_create(&s->plan, s->model, s->options->eps) : status;
}

static void tear_down(search *s)
{
    nn_plan_free(s->plan);
    nn_passage_free(s->here);
    nn_passage_free(s->ahead);
    free(s->choice);
    free(s->up);
    free(s->scores);
    free(s->exact);
}

static size_t lesser(size_t a, size_t b)
{
    return a < b ? a : b;
}

fhola_status nn_refine_degrees(unsigned *degrees, const nn_model *model,
                               const nn_batch *calibration, const nn_batch *held_out,
                               const nn_degrees *table, double budget,
                               const nn_plan_options *options, nn_progress progress, void *user)
{
    const nn_batch *judges = held_out && nn_batch_count(held_out) > 0 ? held_out : calibration;
    search s = {.model = model,
                .calibration = calibration,
                .judges = judges,
                .calibration_count = lesser(options->refine_pictures, nn_batch_count(calibration)),
                .judge_count = lesser(options->refine_pictures, nn_batch_count(judges)),
                .activations = nn_model_activations(model),
                .table = table,
                .options = options,
                .budget = budget};
    fhola_status status = set_up(&s, degrees);
    bool improved = true;
    for (unsigned round = 0; round < ROUNDS && improved && status == FHOLA_OK; round++) {
        status = measure_steps(&s, progress, user);
        if (status == FHOLA_OK) status = exchange_degrees(&improved, &s);
    }
    for (size_t i = 0; i < s.activations && status == FHOLA_OK; i++)
        degrees[i] = table->layers[i].options[s.choice[i]].degree;
    tear_down(&s);
    return status;
}
