/* SPDX-License-Identifier: Apache-2.0 */
/* The importer of CIFAR ResNets. Internal to nn/. */
#ifndef NN_RESNET_H
#define NN_RESNET_H

#include "nn/graph/graph.h"
#include "nn/graph/safetensors.h"

#define NN_BATCH_NORM_EPS 1e-5 /* when nobody says */

/* The network whose tensors `file` holds, with `function` as all activations: a first convolution
 * of as many channels as conv1.weight says, three stages of equally many blocks, average pooling, a
 * linear layer. `eps` is that of all batch norms. *hash: XXH3-64 over the tensors in the network's
 * order, and over eps unless it is NN_BATCH_NORM_EPS. FHOLA_FORMAT: what is wrong with a tensor,
 * after `path`. */
fhola_status nn_resnet_import(nn_graph **graph, uint64_t *hash, const nn_safetensors *file,
                              const char *path, double eps,
                              const ola_function *function) FHOLA_WARN_UNUSED;

#endif
