/* SPDX-License-Identifier: Apache-2.0 */
/* What layers are built of beside the public functions of nn.h. Internal to nn/. */
#ifndef NN_BUILDER_H
#define NN_BUILDER_H

#include "nn/graph/graph.h"

/* out = map(in) + bias (NULL or one value for each of map->out). */
fhola_status nn_graph_apply(nn_graph *graph, nn_tensor *out, const char *name, nn_tensor in,
                            const nn_map *map, const double *bias) FHOLA_WARN_UNUSED;

/* FHOLA_PARAM, naming `name`, unless tensor `in` can be read by something further. */
fhola_status nn_graph_check_tensor(const nn_graph *graph, const char *name,
                                   nn_tensor in) FHOLA_WARN_UNUSED;

/* The spec with its strides of 0 filled in, and the shape of what comes out. FHOLA_PARAM: no such
 * pooling of `in`. */
fhola_status nn_graph_check_pool(nn_pool_spec *checked, nn_shape *out, const char *name,
                                 nn_shape in, const nn_pool_spec *spec) FHOLA_WARN_UNUSED;

#endif
