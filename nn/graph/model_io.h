/* SPDX-License-Identifier: Apache-2.0 */
/* Building, checking and releasing the plain data of model.h. Internal to nn/; loading and saving
 * files is in nn.h. */
#ifndef NN_MODEL_IO_H
#define NN_MODEL_IO_H

#include <stdbool.h>

#include "nn/graph/model.h"
#include "nn/nn.h"

/* Number of activations (layers of the graph), and channels of activation i. */
size_t nn_model_activations(const nn_model *model);
unsigned nn_activation_channels(const nn_model *model, size_t i);

/* Which of a model's three means and deviations is a channel's: its own, or if there are more
 * channels than three, the first. */
static inline unsigned nn_normalised_by(unsigned channels, unsigned channel)
{
    return channels > 3 ? 0 : channel;
}

/* What binds a profile to the exact network: model->hash, changed by activation functions that it
 * does not speak of. One of weights alone stands for ReLU. */
uint64_t nn_model_exact_hash(const nn_model *model);

/* An empty plan for the model: degrees 0, centres 0, half-widths 1. */
fhola_status nn_plan_create(nn_plan **plan, const nn_model *model, double eps) FHOLA_WARN_UNUSED;

/* Sets activation i to `degree` with room for its coefficients, all 0; keeps centres and
 * half-widths. */
fhola_status nn_plan_set_degree(nn_plan *plan, size_t i, unsigned degree) FHOLA_WARN_UNUSED;

/* Gives activation i the composition `sign` (copied). */
fhola_status nn_plan_set_sign(nn_plan *plan, size_t i,
                              const struct ola_composite *sign) FHOLA_WARN_UNUSED;

/* Levels of an activation: those of its polynomial, or those of its composition and one for the
 * product. */
unsigned nn_activation_depth(const nn_activation *activation);

/* y of one channel at X. */
double nn_activation_eval(const nn_activation *activation, unsigned channel, double X);

/* FHOLA_PARAM, naming activation and value, unless the plan is made for this model and everything
 * in it is within its range. */
fhola_status nn_plan_check(const nn_plan *plan, const nn_model *model) FHOLA_WARN_UNUSED;

/* FHOLA_PARAM unless all options are within their ranges and belong to the model. */
fhola_status nn_plan_options_check(const nn_plan_options *options,
                                   const nn_model *model) FHOLA_WARN_UNUSED;

#endif
