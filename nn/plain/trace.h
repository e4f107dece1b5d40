/* SPDX-License-Identifier: Apache-2.0 */
/* One picture through the network in double precision, with everything that passes by: what the
 * encrypted network is compared with layer by layer. Internal to nn/. */
#ifndef NN_TRACE_H
#define NN_TRACE_H

#include <stddef.h>

#include "nn/graph/model.h"
#include "status.h"

/* What one picture does in every layer, planar, in double precision. */
typedef struct nn_trace_layer {
    unsigned channels, size;
    double *x; /* channels * size * size values that go into the activation */
    double *w; /* the same, normalised: (x - centre) / half_width; NULL for the exact network */
    double *y; /* what comes out */
} nn_trace_layer;

typedef struct nn_trace {
    size_t count; /* activations */
    nn_trace_layer *layers;
    unsigned classes;
    double *scores;
} nn_trace;

/* plan NULL: the exact network. `values`: NN_PICTURE_VALUES normalised values, planar. */
fhola_status nn_trace_create(nn_trace **trace, const nn_model *model, const nn_plan *plan,
                             const double *values) FHOLA_WARN_UNUSED;
void nn_trace_free(nn_trace *trace);

/* The convolution of model.h in double precision: `out` is planar, conv->out pictures of side
 * in_size / stride. */
void nn_conv_apply(double *out, const nn_conv *conv, const double *in);

#endif
