/* SPDX-License-Identifier: Apache-2.0 */
/* How a plan is made: the step between fit.c, which fits one network of given degrees, and plan.c,
 * which knows the file. Internal to nn/. */
#ifndef NN_PLAN_H
#define NN_PLAN_H

#include "nn/graph/model_io.h"
#include "nn/nn.h"

/* Text of a plan file, as nn_plan_save writes it. *text belongs to the caller (free). */
fhola_status nn_plan_format(char **text, size_t *length, const nn_plan *plan) FHOLA_WARN_UNUSED;

/* The reverse. `name` (a file name) goes into messages. */
fhola_status nn_plan_parse(nn_plan **plan, const char *text, size_t length,
                           const char *name) FHOLA_WARN_UNUSED;

#endif
