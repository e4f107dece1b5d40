/* SPDX-License-Identifier: Apache-2.0 */
/* What 'fhola plan' says of its plans. Internal to the program. */
#ifndef NN_CMD_PLAN_PRINT_H
#define NN_CMD_PLAN_PRINT_H

#include <stdbool.h>

#include "nn/cmd/accuracy.h"
#include "nn/cmd/cmd.h"
#include "nn/nn.h"
#include "ola/ola.h"

#define NN_CMD_PLAN_FILES 2

typedef struct nn_cmd_planned {
    const nn_plan *plan;                  /* NULL: only compared */
    const ola_composite *sign;            /* NULL: no composition */
    unsigned allowed;                     /* the depth that was the budget, 0: another budget */
    const nn_cmd_accuracy *accuracy;      /* on the held-out pictures; NULL: not measured */
    const nn_cost *cost;                  /* NULL: not counted in seconds */
    double seconds;                       /* by this table; NaN: it does not know */
    const nn_comparison *ablation;        /* NULL: none */
    nn_cmd_file files[NN_CMD_PLAN_FILES]; /* that were written */
} nn_cmd_planned;

void nn_cmd_plan_print(const nn_cmd_planned *planned);
void nn_cmd_plan_json(const nn_cmd_planned *planned); /* one object */

#endif
