/* SPDX-License-Identifier: Apache-2.0 */
/* How often a network is right, with what is uncertain about it. Internal to the program. */
#ifndef NN_CMD_ACCURACY_H
#define NN_CMD_ACCURACY_H

#include <stdbool.h>
#include <stddef.h>

#include "nn/nn.h"
#include "status.h"

/* The exact network and, where there is a plan, the polynomial one on the same pictures. */
typedef struct nn_cmd_accuracy {
    size_t pictures, classes;
    bool has_plan;
    nn_evaluation exact, polynomial;
    float *exact_scores, *polynomial_scores; /* a row for each picture; NULL without a plan */
    size_t agreeing;                         /* pictures to which both give the same class */
} nn_cmd_accuracy;

/* `noise` is that of nn_evaluate. To be cleared in any case. */
FHOLA_WARN_UNUSED fhola_status nn_cmd_accuracy_measure(nn_cmd_accuracy *a, const nn_model *model,
                                                       const nn_plan *plan, const nn_batch *batch,
                                                       double noise);
void nn_cmd_accuracy_clear(nn_cmd_accuracy *a);

/* The class of a picture's scores: the first of the largest; `classes` if one is not finite. */
size_t nn_cmd_class_of(const float *scores, size_t classes);

/* A share of `right` in `count` (at least 1), in percent, and its 95 % interval by Wilson (Journal
 * of the American Statistical Association 22, 1927). */
typedef struct nn_cmd_share {
    double percent, low, high;
} nn_cmd_share;
nn_cmd_share nn_cmd_share_of(size_t right, size_t count);

void nn_cmd_print_share(nn_cmd_share share); /* "91.20 % (90.63 to 91.74)" */
/* Members `name`, and `name`_interval, a pair; no comma. */
void nn_cmd_json_share(const char *name, nn_cmd_share share);

/* For every class, how many of its pictures were taken for which: by the polynomial network if
 * there is one. For people a table of classes, and a matrix up to 20 of them; or members "classes"
 * and "confusion" (rows are labels; a last column for pictures without a class: a score was not
 * finite). */
FHOLA_WARN_UNUSED fhola_status nn_cmd_print_classes(const nn_cmd_accuracy *a, const nn_model *model,
                                                    const nn_batch *batch, bool json);

#endif
