/* SPDX-License-Identifier: Apache-2.0 */
/* A CIFAR ResNet as a graph. Internal to nn/. */
#ifndef NN_RESNET_H
#define NN_RESNET_H

#include "nn/graph/graph.h"
#include "nn/graph/model.h"

/* The graph of the blocks of `model`. */
fhola_status nn_resnet_graph(nn_graph **graph, const nn_model *model) FHOLA_WARN_UNUSED;

#endif
