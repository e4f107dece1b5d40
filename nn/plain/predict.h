/* SPDX-License-Identifier: Apache-2.0 */
/* Accuracy predicted from the change of the scores: what independent normal errors of a given size
 * do to the exact network's decisions. Internal to nn/. */
#ifndef NN_PREDICT_H
#define NN_PREDICT_H

#include "nn/nn.h"

/* How far each picture's own class is ahead of the best other class in the exact network's scores
 * (negative: it is misclassified).
 */
typedef struct nn_margins {
    size_t count;
    double *margin;
} nn_margins;

fhola_status nn_margins_create(nn_margins *margins, const nn_model *model,
                               const nn_batch *batch) FHOLA_WARN_UNUSED;
void nn_margins_clear(nn_margins *margins);

/* Expected percentage of right answers when every score gets an independent normal error of mean
 * square `change`. */
double nn_margins_accuracy(const nn_margins *margins, double change);

/* Mean squared difference of `count` scores; anything not finite counts as a very large one, so
 * that schedules avoid it. */
double nn_mean_change(const float *scores, const float *exact, size_t count);

#endif
