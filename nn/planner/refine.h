/* SPDX-License-Identifier: Apache-2.0 */
/* Exchanging degrees between activations while the whole network, fitted anew, gets closer to the
 * exact one. Internal to nn/. */
#ifndef NN_REFINE_H
#define NN_REFINE_H

#include "nn/nn.h"
#include "nn/planner/degrees.h"

/* Improves degrees[] (one per activation, all in the table) within `budget`: a local search by
 * exchanges (one activation a step up, or another a step down, or both), each judged by what the
 * sum of sensitivities cannot tell, the mean squared change of the scores behind a fit of the whole
 * network. Fits to the first options->refine_pictures of `calibration`, judges on as many of
 * `held_out` (of `calibration` without it). Deterministic. Errors as nn_plan_make; degrees are then
 * as they were. */
fhola_status nn_refine_degrees(unsigned *degrees, const nn_model *model,
                               const nn_batch *calibration, const nn_batch *held_out,
                               const nn_degrees *table, double budget,
                               const nn_plan_options *options, nn_progress progress,
                               void *user) FHOLA_WARN_UNUSED;

#endif
