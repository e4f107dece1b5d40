/* SPDX-License-Identifier: Apache-2.0 */
/* A model and its plan as the sequence of slot-wise steps the encrypted network executes, still
 * without ciphertexts: layouts, linear layers with all scales folded in, biases, skip factors,
 * polynomials. Internal to nn/.
 *
 * Scales. Between layers slot values are y_c / gain_c, |value| <= 1, where gain_c bounds the
 * activation polynomial of channel c over [-1, 1]. In front of the bootstrap they are w_c = (x_c -
 * centre_c) / half_width_c. The network's input is the normalised picture over input_bound. ReLU
 * networks lose nothing by it: every factor folds into a weight, a bias or a coefficient. */
#ifndef NN_SCHEDULE_H
#define NN_SCHEDULE_H

#include "nn/encrypted/layout.h"
#include "nn/graph/model.h"

/* Activation layer i: what leads up to it, and the activation. The steps, with x the running value
 * and kept the block's other branch:
 *
 *     opens:                 kept = shortcut x (stage change) or x
 *                            x = linear x
 *     closes:                x += kept (stage change) or skip * kept
 *                            x += bias;   x = sin(2 pi eps x) / sin(2 pi eps);   x = sum_k coeff_k T_k(x), times 1 + sign(x) if
 *                            the activation has a composition
 */
typedef struct nn_recipe {
    nn_layout layout; /* of the pre-activation and of the output */
    nn_linear linear;
    int opens, closes; /* the layer is the first, the second of a block */
    int stage_change;  /* of the block the layer belongs to */
    /* opens and stage_change: towards the pre-activation that closes the block */
    nn_linear shortcut;
    double *skip; /* closes and not stage_change: a factor per channel, else NULL */
    double *bias; /* per channel: (bias + shortcut bias - centre) / half_width */
    unsigned degree;
    double *coeff;              /* (degree + 1) * channels: the plan's over gain */
    double *gain;               /* per channel, > 0 */
    unsigned depth;             /* levels of the activation */
    struct ola_composite *sign; /* NULL: none */
} nn_recipe;

typedef struct nn_schedule {
    double eps;         /* of the plan; 0: no sine */
    double input_bound; /* of the normalised picture */
    nn_layout input;
    size_t count; /* activation layers, 6 b + 1 */
    nn_recipe *layer;
    nn_linear scores;
    unsigned classes;
    double *score_bias; /* classes */
} nn_schedule;

/* FHOLA_PARAM: the plan does not fit the model. */
fhola_status nn_schedule_init(nn_schedule *out, const nn_model *model,
                              const nn_plan *plan) FHOLA_WARN_UNUSED;
void nn_schedule_clear(nn_schedule *schedule);

/* The bound of |(pixel - mean) / std| over pixels in [0, 1]. */
double nn_input_bound(const double mean[3], const double std[3]);

#endif
