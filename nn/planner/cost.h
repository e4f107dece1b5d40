/* SPDX-License-Identifier: Apache-2.0 */
/* What a table of costs holds. Internal to nn/; loading one is in nn.h. */
#ifndef NN_COST_H
#define NN_COST_H

#include <stdbool.h>
#include <stddef.h>

#include "nn/graph/model_io.h"
#include "nn/nn.h"

#define NN_COST_MAX_SETS    8u
#define NN_COST_MAX_DEGREES 8u
#define NN_COST_STAGES      3u

/* Times under one parameter set. A degree costs what the next larger one listed does; larger ones
 * cannot be had. */
typedef struct nn_cost_set {
    char params[120]; /* a name, or the path of a file as it was given */
    bool estimated;   /* not measured */
    size_t degree_count;
    unsigned degree[NN_COST_MAX_DEGREES]; /* rising */
    /* layers of 2^14, 2^13 and up to 2^12 values: the stages with 16, 32, 64 channels of a CIFAR
     * ResNet */
    double seconds[NN_COST_STAGES][NN_COST_MAX_DEGREES];
    /* what the first activation of a stage costs more (or less) */
    double change[NN_COST_STAGES];
    /* beside all activations: pooling and linear layer */
    double fixed;
} nn_cost_set;

struct nn_cost {
    char machine[120];
    char isa[16]; /* empty: not said */
    unsigned threads;
    size_t count;
    nn_cost_set set[NN_COST_MAX_SETS];
};

fhola_status nn_cost_parse(nn_cost **cost, const char *text, size_t length,
                           const char *name) FHOLA_WARN_UNUSED;

/* FHOLA_PARAM, naming the sets there are, if `params` is not among them. */
fhola_status nn_cost_find(const nn_cost_set **set, const nn_cost *cost,
                          const char *params) FHOLA_WARN_UNUSED;

/* The stage whose times activation i has, by the number of its values. */
size_t nn_cost_stage(const nn_model *model, size_t i);

/* Activation i is the first of its stage: none of the layers it reads belongs to the same one. */
bool nn_cost_is_first(const nn_model *model, size_t i);

/* Seconds of activation i with that degree; infinite if the set cannot do it. Of several
 * ciphertexts two at a time take as long as 1.45 alone; wide convolutions take longer, by the
 * number of their diagonals, all of them kept ready in memory. */
double nn_cost_seconds(const nn_cost_set *set, const nn_model *model, size_t i, unsigned degree);

/* Of all activations, and what is beside them. */
double nn_cost_total(const nn_cost_set *set, const nn_model *model, const unsigned *degrees);

#endif
