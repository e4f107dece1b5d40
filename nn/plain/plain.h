/* SPDX-License-Identifier: Apache-2.0 */
/* The fast plaintext engine: single precision, step by step over channels-last pictures, for
 * batches, fits and sensitivities. Internal to nn/.
 *
 * Every multiplication and addition is rounded on its own and in one order, so results are the same
 * bits on every instruction set and number of threads. */
#ifndef NN_PLAIN_H
#define NN_PLAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nn/graph/model.h"
#include "status.h"

#define NN_PLAIN_MAX_VALUES                                                                        \
    16384u /* of one picture at any activation: 16 x 32 x 32; later stages have less */

/* A network converted to single precision, with the exact function or a polynomial at each
 * activation. */
typedef struct nn_plain nn_plain;

/* plan NULL: the model's function everywhere. The model must outlive the result; the plan need not.
 * FHOLA_PARAM: the plan is not for this model. */
fhola_status nn_plain_create(nn_plain **plain, const nn_model *model,
                             const nn_plan *plan) FHOLA_WARN_UNUSED;
void nn_plain_free(nn_plain *plain);

/* Replaces activation i: a polynomial in the sine variable of eps, or the exact function for
 * NULL. */
fhola_status nn_plain_set_activation(nn_plain *plain, size_t i, const nn_activation *activation,
                                     double eps) FHOLA_WARN_UNUSED;

/* Working memory of one thread: `padded` is the convolutions' own, the others belong to the
 * caller. */
typedef struct nn_scratch {
    float *padded;
    float *state, *middle, *pre; /* NN_PLAIN_MAX_VALUES each */
} nn_scratch;

/* One scratch per thread nn_thread_count() promises; free with nn_scratch_free(scratch, *count). */
fhola_status nn_scratch_create(nn_scratch **scratch, size_t *count) FHOLA_WARN_UNUSED;
void nn_scratch_free(nn_scratch *scratch, size_t count);

/* Normal noise for the w of one picture: standard deviation and the picture's own seed. The sum of
 * eight uniform numbers stands for the normal distribution (cut at 4.9 standard deviations). */
typedef struct nn_noise {
    float deviation;
    uint64_t seed;
} nn_noise;

/* The steps. Pictures are channels-last (row, column, channel) except `planes`, which is planar as
 * in nn.h. `pre` is what goes into an activation: of activation 0 for nn_plain_first, 2k + 1 for
 * nn_plain_inside(k), 2k + 2 for nn_plain_output(k), where `in` is the input of block k and
 * `middle` the output of activation 2k + 1. Outputs and inputs are disjoint. */
void nn_plain_first(const nn_plain *plain, nn_scratch *scratch, float *pre, const float *planes);
void nn_plain_inside(const nn_plain *plain, size_t k, nn_scratch *scratch, float *pre,
                     const float *in);
void nn_plain_output(const nn_plain *plain, size_t k, nn_scratch *scratch, float *pre,
                     const float *middle, const float *in);

/* Activation i (out and pre may be the same); returns the largest |w| (NaN aside; 0 for the exact
 * function). noise may be NULL. */
float nn_plain_activate(const nn_plain *plain, size_t i, float *out, const float *pre,
                        const nn_noise *noise);

/* The exact function of `count` values; out and pre may be the same. */
void nn_plain_exact(const ola_function *f, float *out, const float *pre, size_t count);

/* Average pooling and the linear layer. */
void nn_plain_linear(const nn_plain *plain, float *scores, const float *in);

/* All of the above for one picture: scores (classes), and max_w (one per activation, may be
 * NULL). */
void nn_plain_run(const nn_plain *plain, nn_scratch *scratch, float *scores, float *max_w,
                  const float *planes, const nn_noise *noise);

#endif
