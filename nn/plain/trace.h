/* SPDX-License-Identifier: Apache-2.0 */
/* One picture through the network in double precision, with everything that passes by: what the
 * encrypted network is compared with layer by layer. Internal to nn/. */
#ifndef NN_TRACE_H
#define NN_TRACE_H

#include <stddef.h>

#include "nn/graph/graph.h"
#include "nn/graph/model.h"
#include "status.h"

/* What one picture does in every layer, channels first. */
typedef struct nn_trace_layer {
    nn_shape shape;
    double *x; /* what goes into the activation */
    double *w; /* the same, normalised: (x - centre) / half_width; NULL for the exact network */
    double *y; /* what comes out */
} nn_trace_layer;

typedef struct nn_trace {
    size_t count; /* activations */
    nn_trace_layer *layers;
    unsigned classes;
    double *scores;
} nn_trace;

/* plan NULL: the exact network. `values`: the picture, normalised. */
fhola_status nn_trace_create(nn_trace **trace, const nn_model *model, const nn_plan *plan,
                             const double *values) FHOLA_WARN_UNUSED;
void nn_trace_free(nn_trace *trace);

#endif
