/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/graph/resnet.h"

#include <stdio.h>

#include "nn/graph/builder.h"

#define NAME_ROOM 48u

static fhola_status add_conv(nn_graph *g, nn_tensor *out, const char *name, nn_tensor in,
                             const nn_conv *conv)
{
    nn_convolution_spec spec = {.channels = conv->out,
                                .kernel_y = conv->kernel,
                                .kernel_x = conv->kernel,
                                .stride_y = conv->stride,
                                .stride_x = conv->stride,
                                .weight = conv->weight,
                                .bias = conv->bias};
    spec.pad_top = spec.pad_left = spec.pad_bottom = spec.pad_right = conv->kernel / 2;
    return nn_graph_convolution(g, out, name, in, &spec);
}

static fhola_status activate(nn_graph *g, nn_tensor *out, const char *name, nn_tensor in,
                             const ola_function *f)
{
    nn_activation_spec spec = {.kind = ola_function_name(f),
                               .a = f->a,
                               .b = f->b,
                               .count = f->count,
                               .x = f->x,
                               .y = f->y};
    return nn_graph_activation(g, out, name, in, &spec);
}

/* Every second pixel of every second row; the channels go to the middle of twice as many. */
static fhola_status pad_channels(nn_graph *g, nn_tensor *out, const char *name, nn_tensor in)
{
    nn_shape from = nn_graph_shape(g, in);
    nn_shape to = {2 * from.channels, (from.height + 1) / 2, (from.width + 1) / 2};
    nn_map identity, map;
    fhola_status status = nn_map_scaling(&identity, from, 1);
    if (status != FHOLA_OK) return status;
    identity.convolution.out_first = from.channels / 2;
    identity.convolution.stride_y = identity.convolution.stride_x = 2;
    status = nn_map_convolution(&map, from, to, &identity.convolution);
    nn_map_clear(&identity);
    if (status != FHOLA_OK) return status;
    status = nn_graph_apply(g, out, name, in, &map, NULL);
    nn_map_clear(&map);
    return status;
}

static fhola_status add_shortcut(nn_graph *g, nn_tensor *out, const char *name, nn_tensor in,
                                 const nn_block *block)
{
    *out = in;
    if (block->shortcut == NN_SHORTCUT_PROJECTION)
        return add_conv(g, out, name, in, &block->projection);
    return block->shortcut == NN_SHORTCUT_PAD ? pad_channels(g, out, name, in) : FHOLA_OK;
}

static fhola_status add_block(nn_graph *g, nn_tensor *x, const nn_model *model, size_t k)
{
    const nn_block *block = &model->blocks[k];
    size_t stage = k / model->blocks_per_stage + 1, place = k % model->blocks_per_stage;
    char conv1[NAME_ROOM], conv2[NAME_ROOM], skip[NAME_ROOM];
    nn_tensor inside, shortcut;
    snprintf(conv1, sizeof conv1, "layer%zu.%zu.conv1", stage, place);
    snprintf(conv2, sizeof conv2, "layer%zu.%zu.conv2", stage, place);
    snprintf(skip, sizeof skip, "layer%zu.%zu.shortcut", stage, place);
    fhola_status status = add_conv(g, &inside, conv1, *x, &block->conv1);
    if (status == FHOLA_OK) status = activate(g, &inside, conv1, inside, &model->function);
    if (status == FHOLA_OK) status = add_conv(g, &inside, conv2, inside, &block->conv2);
    if (status == FHOLA_OK) status = add_shortcut(g, &shortcut, skip, *x, block);
    if (status == FHOLA_OK) status = nn_graph_add(g, &inside, conv2, inside, shortcut);
    return status == FHOLA_OK ? activate(g, x, conv2, inside, &model->function) : status;
}

static fhola_status build(nn_graph *g, const nn_model *model)
{
    nn_tensor x;
    fhola_status status = add_conv(g, &x, "conv1", 0, &model->first);
    if (status == FHOLA_OK) status = activate(g, &x, "conv1", x, &model->function);
    for (size_t k = 0; k < 3 * (size_t)model->blocks_per_stage && status == FHOLA_OK; k++)
        status = add_block(g, &x, model, k);
    if (status == FHOLA_OK) status = nn_graph_global_average_pool(g, &x, "pool", x);
    if (status == FHOLA_OK)
        status =
            nn_graph_dense(g, &x, "linear", x, model->classes, model->fc_weight, model->fc_bias);
    return status == FHOLA_OK ? nn_graph_finish(g, x) : status;
}

fhola_status nn_resnet_graph(nn_graph **graph, const nn_model *model)
{
    nn_graph *g;
    fhola_status status = nn_graph_create(
        &g, (nn_shape){model->first.in, model->first.in_size, model->first.in_size});
    if (status != FHOLA_OK) return status;
    status = build(g, model);
    if (status == FHOLA_OK)
        *graph = g;
    else
        nn_graph_destroy(g);
    return status;
}
