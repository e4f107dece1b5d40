/* SPDX-License-Identifier: Apache-2.0 */
/* Choosing the degree of each activation: what every degree costs and loses, by a profile, and the
 * schedule within a budget. Internal to nn/. */
#ifndef NN_DEGREES_H
#define NN_DEGREES_H

#include "nn/graph/model_io.h"
#include "nn/nn.h"
#include "nn/planner/cost.h"
#include "nn/planner/profile.h"

/* Everything there is to choose from. layers[i].options[k] is degree[k] at activation i: its cost
 * in levels or seconds, its loss in units of `importance`. */
typedef struct nn_degrees {
    size_t activations, choices;
    unsigned degree[NN_PROFILE_DEGREES];
    ola_option *options;
    ola_layer *layers;
    double fixed;           /* seconds beside the activations; 0 if the cost is levels */
    double resolution;      /* of costs: 1 level, or 1 ms */
    double change_per_loss; /* times a loss: mean squared change of a score */
    bool by_seconds, estimated;
} nn_degrees;

/* From options->profile (not NULL), importance, per_layer, weight, guard, eps, margins, max_degree,
 * cost and params. Costs are seconds if there is a table of costs and depth is not the budget.
 * nn_degrees_clear releases. FHOLA_PARAM: no degree can be had.
 */
fhola_status nn_degrees_create(nn_degrees *degrees, const nn_model *model,
                               const nn_plan_options *options) FHOLA_WARN_UNUSED;
void nn_degrees_clear(nn_degrees *degrees);

/* Mean square error of every degree at one activation under the options' weight, weighted over
 * channels as their importances are: the E_i(d) of the paper; `loss` gets importance times
 * error. */
fhola_status nn_degrees_errors(double loss[NN_PROFILE_DEGREES], const nn_model *model,
                               const nn_profile_layer *layer, size_t i,
                               const nn_plan_options *options) FHOLA_WARN_UNUSED;

/* chosen[i] = degree of activation i: the schedule options->choice within `budget`. *total gets
 * cost (with `fixed`) and loss; may be NULL. */
fhola_status nn_degrees_choose(unsigned *chosen, ola_schedule *total, const nn_degrees *degrees,
                               nn_plan_choice choice, double budget) FHOLA_WARN_UNUSED;

/* Cost and loss of given degrees, each rounded up to one there is; infinite beyond the largest. */
ola_schedule nn_degrees_total(const nn_degrees *degrees, const unsigned *chosen);

#endif
