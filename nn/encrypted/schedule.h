/* SPDX-License-Identifier: Apache-2.0 */
/* A model and its plan as the sequence of slot-wise steps the encrypted network executes, still
 * without ciphertexts: layouts, linear maps with all scales folded in, biases, polynomials.
 * Internal to nn/.
 *
 * Scales. Between layers slot values are y_c / gain_c, |value| <= 1, where gain_c bounds the
 * activation polynomial of channel c over [-1, 1]. In front of the bootstrap they are w_c = (x_c -
 * centre_c) / half_width_c. The network's input is the normalised picture over input_bound. ReLU
 * networks lose nothing by it: every factor folds into a weight, a bias or a coefficient. */
#ifndef NN_SCHEDULE_H
#define NN_SCHEDULE_H

#include "nn/encrypted/linear.h"
#include "nn/graph/graph.h"
#include "nn/graph/model.h"

/* What one earlier node contributes to a node. */
typedef struct nn_contribution {
    size_t from; /* the node: 0 is the input, i + 1 is layer i */
    nn_linear linear;
} nn_contribution;

/* Layer i, or the scores: with x_j the values of the nodes it reads,
 *
 *     x = sum over j of linear_j x_j + bias
 *     x = sin(2 pi eps x) / sin(2 pi eps);   x = sum_k coeff_k T_k(x), times 1 + sign(x) if the
 *     activation has a composition
 *
 * The scores end with the first line. */
typedef struct nn_recipe {
    char *name; /* of the node */
    nn_layout layout;
    size_t count;
    nn_contribution *contribution;
    double *bias; /* per channel, or with full_bias per value: (bias - centre) / half_width */
    bool full_bias;
    unsigned degree;
    double *coeff;              /* (degree + 1) * channels: the plan's over gain */
    double *gain;               /* per channel, > 0 */
    unsigned depth;             /* levels of the activation */
    struct ola_composite *sign; /* NULL: none */
} nn_recipe;

typedef struct nn_schedule {
    double eps;         /* of the plan; 0: no sine */
    double input_bound; /* of the normalised picture */
    unsigned pictures;  /* that are computed at once */
    nn_layout input;    /* of all of them: each in ciphertexts of its own */
    double *input_gain; /* per channel: input_bound */
    size_t slots;       /* of a ciphertext */
    size_t count;       /* layers */
    nn_recipe *layer;   /* count, and the scores behind them */
} nn_schedule;

/* `slots`: of a ciphertext. FHOLA_PARAM: the plan does not fit the model, or a node's channel does
 * not fit into a ciphertext. The linear maps refer to the model's weights and the plan's
 * half-widths: nn_linear_diagonal needs both. */
fhola_status nn_schedule_init(nn_schedule *out, const nn_model *model, const nn_plan *plan,
                              size_t slots) FHOLA_WARN_UNUSED;
/* From now on the schedule does without model and plan, and has no diagonals. */
void nn_schedule_release_weights(nn_schedule *schedule);
void nn_schedule_clear(nn_schedule *schedule);

const nn_recipe *nn_schedule_scores(const nn_schedule *schedule);
/* The layout of a node's values: 0 the input, i + 1 layer i. */
nn_layout nn_schedule_layout(const nn_schedule *schedule, size_t node);

/* The bound of |(pixel - mean) / std| over pixels in [0, 1] and `channels` channels. */
double nn_input_bound(unsigned channels, const double mean[3], const double std[3]);

#endif
