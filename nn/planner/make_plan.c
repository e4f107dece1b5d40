/* SPDX-License-Identifier: Apache-2.0 */
/* Making a plan: degrees within the budget, then one fit of the whole network. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn/graph/model_io.h"
#include "nn/nn.h"
#include "nn/plain/predict.h"
#include "nn/planner/degrees.h"
#include "nn/planner/fit.h"
#include "nn/planner/profile.h"
#include "nn/planner/refine.h"

#define MAX_TRIES 8u   /* plans fitted to find one that keeps a loss */
#define MAX_STEPS 100u /* predicted losses looked at for it */

void nn_plan_defaults(nn_plan_options *options)
{
    memset(options, 0, sizeof *options);
    options->depth = 63;
    options->params = "R15";
    options->max_degree = 15; /* what R15 has levels for */
    options->eps = 0.25;
    options->margin_inside = 1.3;
    options->margin_output = 1.3;
    options->floor = 0.3;
    options->guard = OLA_DEFAULT_GUARD;
    options->limit_w = 0.9;
    options->sensitivity_pictures = 400;
}

void nn_plan_set_method(nn_plan_options *options, nn_plan_method method)
{
    bool paper = method == NN_METHOD_PAPER;
    options->choice = method == NN_METHOD_GREEDY    ? NN_CHOICE_GREEDY
                      : method == NN_METHOD_UNIFORM ? NN_CHOICE_UNIFORM
                                                    : NN_CHOICE_DP;
    options->importance = paper ? NN_IMPORTANCE_GRADIENT : NN_IMPORTANCE_SENSITIVITY;
    options->weight = paper ? NN_WEIGHT_NORMAL : NN_WEIGHT_GUARDED;
    options->per_layer = options->plain_target = options->exact_inputs = options->unguarded = paper;
    options->minimax = 0;
}

static fhola_status check_budget(const nn_plan_options *o)
{
    if (o->sign) return FHOLA_OK;
    if (!(o->seconds >= 0 && o->seconds <= 1e9) || !(o->max_loss >= 0 && o->max_loss <= 100))
        return fhola_fail(FHOLA_PARAM, "a budget of %g seconds or %g points is out of range",
                          o->seconds, o->max_loss);
    if (!o->degrees && (o->depth > 0) + (o->seconds > 0) + (o->max_loss > 0) != 1)
        return fhola_fail(FHOLA_PARAM,
                          "exactly one budget is needed: depth %u, %g seconds, %g points of loss "
                          "contradict each other",
                          o->depth, o->seconds, o->max_loss);
    if (!o->degrees && o->seconds > 0 && !o->cost)
        return fhola_fail(FHOLA_PARAM, "a budget of %g seconds needs a table of costs", o->seconds);
    if (!o->degrees && (o->max_degree < 3 || o->max_degree > NN_MAX_DEGREE))
        return fhola_fail(FHOLA_PARAM, "the largest degree to choose, %u, is not 3 to %u",
                          o->max_degree, NN_MAX_DEGREE);
    return FHOLA_OK;
}

static fhola_status check_profile(const nn_plan_options *o, const nn_model *model)
{
    if (o->profile->model_hash != nn_model_exact_hash(model) ||
        o->profile->count != nn_model_activations(model))
        return fhola_fail(FHOLA_PARAM,
                          "the profile is of another model or activation function: %016llx, the "
                          "model's is %016llx",
                          (unsigned long long)o->profile->model_hash,
                          (unsigned long long)nn_model_exact_hash(model));
    /* its sensitivities are those of polynomials behind that sine */
    if (!o->sign && fabs(o->profile->eps - o->eps) > 1e-12)
        return fhola_fail(FHOLA_PARAM, "the profile was made with eps %g, the plan is for eps %g",
                          o->profile->eps, o->eps);
    return FHOLA_OK;
}

fhola_status nn_plan_options_check(const nn_plan_options *o, const nn_model *model)
{
    if (!(o->eps >= 0 && o->eps <= 0.25))
        return fhola_fail(FHOLA_PARAM, "eps %g is not in [0, 0.25]", o->eps);
    if (!(o->margin_inside >= 1 && o->margin_inside <= 100) ||
        !(o->margin_output >= 1 && o->margin_output <= 100))
        return fhola_fail(FHOLA_PARAM, "margins %g, %g are not in [1, 100]", o->margin_inside,
                          o->margin_output);
    if (!(o->floor >= 0 && o->floor <= 1) || !(o->guard > 0 && o->guard <= 1) ||
        !(o->limit_w > 0 && o->limit_w <= 1))
        return fhola_fail(FHOLA_PARAM,
                          "floor %g, guard %g or limit %g is not in [0, 1] or not positive",
                          o->floor, o->guard, o->limit_w);
    if (o->exact_inputs && !o->plain_target)
        return fhola_fail(FHOLA_PARAM, "fits to the exact network's inputs have no other target "
                                       "than the function itself: set plain_target");
    if (check_budget(o) != FHOLA_OK) return FHOLA_PARAM;
    if (o->refine_pictures > 0 && (o->exact_inputs || o->degrees || o->sign || o->max_loss > 0))
        return fhola_fail(
            FHOLA_PARAM,
            "degrees are exchanged within a depth or a time, behind the polynomials of the layers "
            "before: "
            "neither given degrees, a loss, nor fits to the exact network's inputs go with that");
    if (o->sensitivity_pictures == 0)
        return fhola_fail(FHOLA_PARAM, "sensitivities need at least one picture");
    if (o->profile && check_profile(o, model) != FHOLA_OK) return FHOLA_PARAM;
    for (size_t i = 0; o->degrees && i < nn_model_activations(model); i++)
        if (o->degrees[i] < 1 || o->degrees[i] > NN_MAX_DEGREE)
            return fhola_fail(FHOLA_PARAM, "degree %u of activation %zu is not 1 to %u",
                              o->degrees[i], i, NN_MAX_DEGREE);
    return FHOLA_OK;
}

static fhola_status fit_network(nn_plan *plan, const nn_model *model, const nn_batch *calibration,
                                const nn_batch *held_out, const nn_plan_options *options,
                                nn_progress progress, void *user)
{
    nn_passage *passage;
    fhola_status status = nn_passage_create(
        &passage, model, calibration, nn_batch_count(calibration), held_out,
        held_out ? nn_batch_count(held_out) : 0, !options->exact_inputs && !options->sign);
    if (status != FHOLA_OK) return status;
    for (size_t i = 0; i < plan->count && status == FHOLA_OK; i++) {
        status = nn_passage_fit(plan, i, passage, options);
        if (progress) progress(user, "fit", i + 1, plan->count);
    }
    nn_passage_free(passage);
    return status;
}

/* A plan in the making. */
typedef struct work {
    const nn_model *model;
    const nn_batch *calibration, *held_out;
    nn_plan_options options; /* with a profile if one is needed */
    nn_profile *own_profile;
    nn_progress progress;
    void *user;
} work;

static fhola_status check_depth(const work *w)
{
    size_t activations = nn_model_activations(w->model);
    if (w->options.depth > 0 && !w->options.degrees && !w->options.sign &&
        w->options.depth < 2 * activations)
        return fhola_fail(FHOLA_PARAM,
                          "a depth of %u is too small: %zu activations need at least %zu",
                          w->options.depth, activations, 2 * activations);
    return FHOLA_OK;
}

static fhola_status find_profile(work *w)
{
    if (w->options.profile || w->options.degrees || w->options.sign) return FHOLA_OK;
    fhola_status status = nn_profile_make(&w->own_profile, w->model, w->calibration, &w->options,
                                          w->progress, w->user);
    w->options.profile = w->own_profile;
    return status;
}

static fhola_status choose_degrees(unsigned *degrees, const work *w)
{
    const nn_plan_options *o = &w->options;
    nn_degrees table;
    if (o->degrees) memcpy(degrees, o->degrees, nn_model_activations(w->model) * sizeof *degrees);
    /* until fitted */
    for (size_t i = 0; o->sign && i < nn_model_activations(w->model); i++) degrees[i] = 1;
    if (o->degrees || o->sign) return FHOLA_OK;
    fhola_status status = nn_degrees_create(&table, w->model, o);
    if (status != FHOLA_OK) return status;
    double budget = o->depth > 0 ? o->depth : o->seconds;
    status = nn_degrees_choose(degrees, NULL, &table, o->choice, budget);
    if (status == FHOLA_OK && o->refine_pictures > 0)
        status = nn_refine_degrees(degrees, w->model, w->calibration, w->held_out, &table, budget,
                                   o, w->progress, w->user);
    nn_degrees_clear(&table);
    return status;
}

static fhola_status fit_degrees(nn_plan **plan, const work *w, const unsigned *degrees)
{
    nn_plan *result = NULL;
    fhola_status status = nn_plan_create(&result, w->model, w->options.eps);
    for (size_t i = 0; i < nn_model_activations(w->model) && status == FHOLA_OK; i++)
        status = nn_plan_set_degree(result, i, degrees[i]);
    if (status == FHOLA_OK)
        status = fit_network(result, w->model, w->calibration, w->held_out, &w->options,
                             w->progress, w->user);
    if (status == FHOLA_OK)
        *plan = result;
    else
        nn_plan_free(result);
    return status;
}

/* ---- within a loss of accuracy ---- */

/* A search among the schedules of the frontier, cheapest first: those before `least` lose too much,
 * that at `kept` is the cheapest found that does not (none yet: the number of schedules). */
typedef struct loss_search {
    const work *work;
    const nn_degrees *table;
    const nn_margins *margins;
    ola_frontier *frontier;
    size_t *choice; /* room for one */
    size_t least, kept;
    nn_plan *plan; /* that at `kept` */
    double loss;   /* of the last plan tried */
} loss_search;

/* The cheapest schedule predicted to keep the accuracy within `allowed`, or the best one there
 * is. */
static fhola_status find_schedule(size_t *k, const loss_search *s, double allowed)
{
    size_t last = ola_frontier_count(s->frontier) - 1;
    double accuracy = nn_margins_accuracy(s->margins, 0) - allowed;
    for (*k = 0; *k < last; ++*k) {
        ola_schedule point;
        fhola_status status = ola_frontier_point(s->frontier, *k, &point, s->choice);
        if (status != FHOLA_OK) return status;
        if (nn_margins_accuracy(s->margins, point.loss * s->table->change_per_loss) >= accuracy)
            return FHOLA_OK;
    }
    return FHOLA_OK;
}

/* Fits schedule k and measures its loss on the held-out pictures: without end, and without a plan,
 * if the polynomials diverge. */
static fhola_status try_schedule(loss_search *s, unsigned *degrees, size_t k)
{
    const work *w = s->work;
    ola_schedule point;
    nn_evaluation e;
    nn_plan *plan = NULL;
    s->loss = (double)INFINITY;
    fhola_status status = ola_frontier_point(s->frontier, k, &point, s->choice);
    for (size_t i = 0; i < s->table->activations && status == FHOLA_OK; i++)
        degrees[i] = s->table->layers[i].options[s->choice[i]].degree;
    if (status == FHOLA_OK) status = fit_degrees(&plan, w, degrees);
    if (status == FHOLA_OK) {
        status = nn_evaluate(&e, w->model, plan, w->held_out, 0, 0, NULL, NULL);
        if (status == FHOLA_OK)
            s->loss =
                nn_margins_accuracy(s->margins, 0) - 100.0 * (double)e.right / (double)e.pictures;
    } else if (status == FHOLA_RANGE) {
        status = FHOLA_OK;
    }
    if (status == FHOLA_OK && s->loss <= w->options.max_loss) {
        nn_plan_free(s->plan);
        s->plan = plan;
        s->kept = k;
    } else {
        nn_plan_free(plan);
        s->least = k + 1;
    }
    return status;
}

/* The cheapest plan found that keeps the loss: a search over the predicted loss, which may be far
 * from the one measured, by doubling or halving until there is a plan that keeps it and one that
 * does not, then between the two. No schedule is fitted twice: many losses lead to the same. */
static fhola_status search_loss(loss_search *s, unsigned *degrees)
{
    double allowed = s->work->options.max_loss, kept = 0, missed = (double)INFINITY;
    s->kept = ola_frontier_count(s->frontier);
    for (unsigned step = 0, tries = 0; step < MAX_STEPS && tries < MAX_TRIES && s->least < s->kept;
         step++) {
        size_t k;
        fhola_status status = find_schedule(&k, s, allowed);
        if (status == FHOLA_OK && k >= s->least && k < s->kept) {
            status = try_schedule(s, degrees, k);
            tries++;
        }
        if (status != FHOLA_OK) return status;
        *(k >= s->kept ? &kept : &missed) = allowed;
        allowed = kept == 0 ? allowed / 2 : isfinite(missed) ? sqrt(kept * missed) : 2 * allowed;
    }
    if (s->plan) return FHOLA_OK;
    return fhola_fail(FHOLA_RANGE,
                      "no plan found that loses at most %g points on the held-out pictures: the "
                      "last one tried loses %.2f",
                      s->work->options.max_loss, s->loss);
}

static fhola_status search_frontier(nn_plan **plan, const work *w, const nn_degrees *table,
                                    const nn_margins *margins, unsigned *degrees)
{
    loss_search s = {.work = w, .table = table, .margins = margins};
    s.choice = calloc(table->activations, sizeof *s.choice);
    if (!s.choice) return fhola_fail(FHOLA_NOMEM, "no memory for a schedule");
    fhola_status status = ola_frontier_create(&s.frontier, table->layers, table->activations,
                                              (double)INFINITY, table->resolution);
    if (status == FHOLA_OK) status = search_loss(&s, degrees);
    if (status == FHOLA_OK)
        *plan = s.plan;
    else
        nn_plan_free(s.plan);
    ola_frontier_destroy(s.frontier);
    free(s.choice);
    return status;
}

static fhola_status make_within_loss(nn_plan **plan, const work *w, unsigned *degrees)
{
    nn_degrees table;
    nn_margins margins;
    if (!w->held_out || nn_batch_count(w->held_out) == 0)
        return fhola_fail(FHOLA_PARAM, "a budget of %g points of accuracy needs held-out pictures",
                          w->options.max_loss);
    fhola_status status = nn_degrees_create(&table, w->model, &w->options);
    if (status != FHOLA_OK) return status;
    status = nn_margins_create(&margins, w->model, w->held_out);
    if (status == FHOLA_OK) {
        status = search_frontier(plan, w, &table, &margins, degrees);
        nn_margins_clear(&margins);
    }
    nn_degrees_clear(&table);
    return status;
}

/* ---- all of it ---- */

static fhola_status make(nn_plan **plan, work *w, unsigned *degrees)
{
    fhola_status status = check_depth(w);
    if (status == FHOLA_OK) status = find_profile(w);
    if (status == FHOLA_OK && w->options.max_loss > 0 && !w->options.degrees && !w->options.sign)
        return make_within_loss(plan, w, degrees);
    if (status == FHOLA_OK) status = choose_degrees(degrees, w);
    return status == FHOLA_OK ? fit_degrees(plan, w, degrees) : status;
}

fhola_status nn_plan_make(nn_plan **plan, const nn_model *model, const nn_batch *calibration,
                          const nn_batch *held_out, const nn_plan_options *options,
                          nn_progress progress, void *user)
{
    fhola_status status = nn_plan_options_check(options, model);
    if (status != FHOLA_OK) return status;
    if (nn_batch_count(calibration) == 0) return fhola_fail(FHOLA_PARAM, "no calibration pictures");
    work w = {.model = model,
              .calibration = calibration,
              .held_out = held_out,
              .options = *options,
              .progress = progress,
              .user = user};
    unsigned *degrees = malloc(nn_model_activations(model) * sizeof *degrees);
    if (!degrees) return fhola_fail(FHOLA_NOMEM, "no memory for degrees");
    status = make(plan, &w, degrees);
    nn_profile_free(w.own_profile);
    free(degrees);
    return status;
}
