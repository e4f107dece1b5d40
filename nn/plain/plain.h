/* SPDX-License-Identifier: Apache-2.0 */
/* The fast plaintext engine: single precision, layer by layer over channels-last values, for
 * batches, fits and sensitivities. Internal to nn/.
 *
 * Every multiplication and addition is rounded on its own and in one order, so results are the same
 * bits on every instruction set and number of threads. */
#ifndef NN_PLAIN_H
#define NN_PLAIN_H

#include <stddef.h>
#include <stdint.h>

#include "nn/graph/graph.h"
#include "nn/graph/model.h"
#include "nn/plain/activate.h"
#include "status.h"

/* A network converted to single precision, with the exact function or a polynomial at each
 * layer. */
typedef struct nn_plain nn_plain;

/* plan NULL: the model's functions everywhere. The model must outlive the result; the plan need
 * not. FHOLA_PARAM: the plan is not for this model. */
fhola_status nn_plain_create(nn_plain **plain, const nn_model *model,
                             const nn_plan *plan) FHOLA_WARN_UNUSED;
void nn_plain_free(nn_plain *plain);

/* Replaces activation i: a polynomial in the sine variable of eps, or the exact function for
 * NULL. */
fhola_status nn_plain_set_activation(nn_plain *plain, size_t i, const nn_activation *activation,
                                     double eps) FHOLA_WARN_UNUSED;

/* Working memory of one thread. What belongs to the caller between two calls: `pre` and `out`, room
 * for the values of any node each, and `values`, a pointer for each node. */
typedef struct nn_scratch {
    float *room; /* of linear maps */
    float *pre, *out;
    const float **values;
    float **slot;   /* where nn_plain_run keeps values */
    float *planes;  /* a picture, channels first */
    double *planar; /* values of any node, channels first */
} nn_scratch;

/* One scratch per thread nn_thread_count() promises; free with nn_scratch_free(scratch, *count). */
fhola_status nn_scratch_create(nn_scratch **scratch, size_t *count,
                               const nn_plain *plain) FHOLA_WARN_UNUSED;
void nn_scratch_free(nn_scratch *scratch, size_t count);

/* The steps. Values are channels-last: values[j] are those of node j of the graph, needed where
 * node j is read. `pre` is what goes into activation i and has room for NN_CONVOLVE_SLACK more. */

/* The picture, normalised, channels first, in scratch->planes, which is returned. */
const float *nn_plain_load(const nn_plain *plain, nn_scratch *scratch, const nn_batch *batch,
                           size_t index);
/* Channels-first values as channels-last ones. */
void nn_plain_channels_last(float *values, const float *planes, nn_shape shape);
void nn_plain_pre(const nn_plain *plain, size_t i, nn_scratch *scratch, float *pre,
                  const float *const *values);

/* Activation i (out and pre may be the same); returns the largest |w| (NaN aside; 0 for the exact
 * function). noise may be NULL. */
float nn_plain_activate(const nn_plain *plain, size_t i, float *out, const float *pre,
                        const nn_noise *noise);

/* The exact function of `count` values; out and pre may be the same. */
void nn_plain_exact(const ola_function *f, float *out, const float *pre, size_t count);

/* The last node. */
void nn_plain_finish(const nn_plain *plain, nn_scratch *scratch, float *scores,
                     const float *const *values);

/* All of the above for one picture, normalised, channels first: scores (classes), and max_w (one
 * per activation, may be NULL). */
void nn_plain_run(const nn_plain *plain, nn_scratch *scratch, float *scores, float *max_w,
                  const float *planes, const nn_noise *noise);
/* The same, leaving behind what goes into each activation (with the slack of nn_plain_pre). */
void nn_plain_run_keeping(const nn_plain *plain, nn_scratch *scratch, float *scores,
                          float *const *pre, const float *planes);
/* The end of it, from what goes into activation `first` on; scratch->values has the earlier nodes
 * that are read after it. `pre` may be scratch->pre. */
void nn_plain_run_from(const nn_plain *plain, nn_scratch *scratch, float *scores, size_t first,
                       const float *pre);

/* FHOLA_PARAM unless the batch's pictures have the shape of the model's input; FHOLA_RANGE, naming
 * the record, unless the labels of its first `count` are below the number of classes. */
fhola_status nn_plain_check_pictures(const nn_model *model,
                                     const nn_batch *batch) FHOLA_WARN_UNUSED;
fhola_status nn_plain_check_labels(const nn_model *model, const nn_batch *batch,
                                   size_t count) FHOLA_WARN_UNUSED;

#endif
