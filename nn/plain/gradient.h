/* SPDX-License-Identifier: Apache-2.0 */
/* The backward pass of the exact network: how much the loss of a picture (cross entropy, -log
 * softmax(scores)[label]) depends on what comes out of each activation. Internal to nn/. */
#ifndef NN_GRADIENT_H
#define NN_GRADIENT_H

#include <stddef.h>

#include "nn/graph/model_io.h"
#include "nn/nn.h"

/* A network with the transposes of its linear maps. The model must outlive it. */
typedef struct nn_gradient nn_gradient;

fhola_status nn_gradient_create(nn_gradient **gradient, const nn_model *model) FHOLA_WARN_UNUSED;
void nn_gradient_free(nn_gradient *gradient);

/* What one picture leaves behind, and room to compute it: one per thread. */
typedef struct nn_gradient_trace {
    size_t count;     /* activations */
    float **pre;      /* what goes into each activation, channels-last */
    float **gradient; /* the loss differentiated by what comes out of it */
    double *scores;   /* the loss differentiated by the scores: one per class */
    double loss;
    float *room; /* of the transposes */
    struct nn_scratch *scratch;
    size_t scratch_count;
} nn_gradient_trace;

fhola_status nn_gradient_trace_create(nn_gradient_trace *trace,
                                      const nn_gradient *gradient) FHOLA_WARN_UNUSED;
void nn_gradient_trace_clear(nn_gradient_trace *trace);

/* Forward and back. `planes`: the picture, normalised, channels first; label < classes. */
void nn_gradient_run(const nn_gradient *gradient, nn_gradient_trace *trace, const float *planes,
                     unsigned label);

/* Importances: for each activation i and channel c, importance[i][c] = mean over the batch's first
 * `pictures` of the sum over pixels of the squared gradient. If the activation's outputs get
 * independent errors of mean square E_c, the mean squared change of the loss is to first order the
 * sum over c of importance[i][c] E_c; with one E for the whole layer, the A_i E_i of Lee et al.,
 * arXiv 2310.10349. *score_square gets the mean over pictures of the sum over classes of the
 * squared gradient by the scores. Deterministic: the same on any number of threads. FHOLA_RANGE: a
 * label beyond the model's classes, or a gradient that is not finite. */
fhola_status nn_gradient_importances(double *const *importance, double *score_square,
                                     const nn_model *model, const nn_batch *batch, size_t pictures,
                                     nn_progress progress, void *user) FHOLA_WARN_UNUSED;

#endif
