/* SPDX-License-Identifier: Apache-2.0 */
/* From an ONNX file to a model: node by node, in the file's order, each by the operators of
 * pointwise.c, shapes.c, linear.c or by arithmetic on constants. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/cmd/cmd.h"
#include "nn/cmd/onnx/import.h"
#include "nn/cmd/onnx/onnx.h"

#define OLDEST_OPSET 7
#define NEWEST_OPSET 20
#define MAX_SIDE     4096u

/* ---- operators that cannot be had, and what would do instead ---- */

static const struct {
    const char *begins, *reason;
} refused[] = {
    {"QuantizeLinear", "a quantised network; export it in floating point"},
    {"DequantizeLinear", "a quantised network; export it in floating point"},
    {"QLinear", "a quantised network; export it in floating point"},
    {"ConvInteger", "a quantised network; export it in floating point"},
    {"MatMulInteger", "a quantised network; export it in floating point"},
    {"DynamicQuantize", "a quantised network; export it in floating point"},
    {"LayerNorm", "it divides by a deviation that depends on the picture; use batch normalisation"},
    {"InstanceNorm",
     "it divides by a deviation that depends on the picture; use batch normalisation"},
    {"GroupNorm", "it divides by a deviation that depends on the picture; use batch normalisation"},
    {"MeanVarianceNorm",
     "it divides by a deviation that depends on the picture; use batch normalisation"},
    {"RMSNorm", "it divides by a deviation that depends on the picture; use batch normalisation"},
    {"SimplifiedLayerNorm",
     "it divides by a deviation that depends on the picture; use batch normalisation"},
    {"LRN", "it divides by what depends on the picture; use batch normalisation"},
    {"LpNorm", "it divides by what depends on the picture; use batch normalisation"},
    {"Attention", "it multiplies values that both depend on the picture"},
    {"MultiHeadAttention", "it multiplies values that both depend on the picture"},
    {"Einsum", "it multiplies values that both depend on the picture"},
    {"LSTM", "recurrent networks cannot be had"},
    {"GRU", "recurrent networks cannot be had"},
    {"RNN", "recurrent networks cannot be had"},
    {"If", "control flow cannot be had; export the network for inference, without branches"},
    {"Loop", "control flow cannot be had; export the network for inference, without branches"},
    {"Scan", "control flow cannot be had; export the network for inference, without branches"},
    {"Where", "it chooses by what depends on the picture; write it as an activation"},
    {"TopK", "it chooses by what depends on the picture; the client does this with the scores"},
    {"ReduceMax", "a maximum over more than a window cannot be had; use MaxPool or a mean"},
};

static fhola_status refuse_operator(const onnx_import *import)
{
    const char *op = import->node->op_type;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        if (strncmp(op, refused[i].begins, strlen(refused[i].begins)) == 0)
            return onnx_refuse(import, "%s", refused[i].reason);
    return onnx_refuse(
        import,
        "this operator cannot be had; convolution, matrix products with constants, "
        "batch normalisation, pooling, sums, concatenation and functions of one number can");
}

/* ---- nodes ---- */

static void set_label(onnx_import *import, size_t index)
{
    const Onnx__Node *node = import->node;
    if (node->name && *node->name)
        (void)snprintf(import->label, sizeof import->label, "node '%.96s' (%.40s)", node->name,
                       node->op_type);
    else
        (void)snprintf(import->label, sizeof import->label, "node %zu (%.40s)", index,
                       node->op_type);
}

/* What a client does itself with the scores. */
static bool is_final(const char *op)
{
    return strcmp(op, "Softmax") == 0 || strcmp(op, "LogSoftmax") == 0 || strcmp(op, "ArgMax") == 0;
}

/* A softmax is passed by: its output is its input. Whoever reads it is refused. */
static fhola_status pass_final(onnx_import *import)
{
    onnx_value *in, out;
    fhola_status status = onnx_need_computed(&in, import, 0);
    if (status == FHOLA_OK) status = onnx_like(&out, in, in->expression);
    if (status != FHOLA_OK) return status;
    import->final = import->node;
    return onnx_output(import, 0, out);
}

static fhola_status check_final(const onnx_import *import)
{
    for (size_t i = 0; import->final && i < import->node->n_input; i++)
        if (strcmp(import->node->input[i], import->final->output[0]) == 0)
            return onnx_refuse(import,
                               "it reads a %s, which can be had only at the end of a network "
                               "(where the client does it)",
                               import->final->op_type);
    return FHOLA_OK;
}

fhola_status onnx_node(onnx_import *import)
{
    const Onnx__Node *node = import->node;
    bool done = false;
    if (node->domain && *node->domain && strcmp(node->domain, "ai.onnx") != 0)
        return onnx_refuse(import, "an operator of the domain '%s', which is not ONNX's own",
                           node->domain);
    if (node->n_output == 0) return onnx_refuse(import, "it has no output");
    fhola_status status = check_final(import);
    for (size_t i = 0; status == FHOLA_OK && i < node->n_input; i++)
        if (*node->input[i] && !onnx_find(import, node->input[i]))
            status =
                onnx_refuse(import, "its input '%s' is made by no node before it", node->input[i]);
    if (status == FHOLA_OK && is_final(node->op_type)) return pass_final(import);
    static fhola_status (*const steps[])(onnx_import *, bool *) = {
        onnx_fold, onnx_shape_node, onnx_pointwise_node, onnx_linear_node};
    for (size_t i = 0; status == FHOLA_OK && !done && i < sizeof steps / sizeof *steps; i++)
        status = steps[i](import, &done);
    return status == FHOLA_OK && !done ? refuse_operator(import) : status;
}

/* ---- the picture ---- */

static fhola_status input_dims(onnx_dims *dims, const onnx_import *import,
                               const Onnx__ValueInfo *info)
{
    const Onnx__Shape *shape =
        info->type && info->type->tensor_type ? info->type->tensor_type->shape : NULL;
    if (!shape || shape->n_dim < 1 || shape->n_dim > ONNX_MAX_RANK)
        return fhola_fail(FHOLA_PARAM, "%s: input '%s' has no shape; export the network with one",
                          import->path, info->name);
    dims->rank = (unsigned)shape->n_dim;
    for (unsigned i = 0; i < dims->rank; i++) {
        int64_t d = shape->dim[i]->has_dim_value ? shape->dim[i]->dim_value : 0;
        if (i > 0 && (d < 1 || d > (int64_t)MAX_SIDE * MAX_SIDE))
            return fhola_fail(FHOLA_PARAM,
                              "%s: input '%s': dimension %u ('%s') has no usable size; export the "
                              "network with a fixed one",
                              import->path, info->name, i,
                              shape->dim[i]->dim_param ? shape->dim[i]->dim_param : "");
        dims->size[i] =
            i == 0 ? 1 : (size_t)d; /* whatever the batch is: pictures come one by one */
    }
    return FHOLA_OK;
}

static bool is_colour(size_t channels)
{
    return channels == 1 || channels == 3;
}

/* A square picture of K values, grey or in three colours; channels = 0: neither. */
static nn_shape square_of(size_t values)
{
    for (unsigned channels = 1; channels <= 3; channels += 2) {
        unsigned side = (unsigned)(sqrt((double)values / channels) + 0.5);
        if ((size_t)side * side * channels == values) return (nn_shape){channels, side, side};
    }
    return (nn_shape){0, 0, 0};
}

static size_t values_of(nn_shape s)
{
    return (size_t)s.channels * s.height * s.width;
}

/* The picture behind the file's input; *last: the file has channels last. */
static fhola_status choose_picture(nn_shape *picture, bool *last, const onnx_import *import,
                                   const onnx_dims *dims, nn_shape asked)
{
    const size_t *d = dims->size;
    size_t count = onnx_count(dims);
    bool four = dims->rank == 4;
    *last = four && !is_colour(d[1]) && is_colour(d[3]);
    *picture = !four   ? square_of(count)
               : *last ? (nn_shape){(unsigned)d[3], (unsigned)d[1], (unsigned)d[2]}
                       : (nn_shape){(unsigned)d[1], (unsigned)d[2], (unsigned)d[3]};
    if (asked.channels) {
        if (values_of(asked) != count)
            return fhola_fail(
                FHOLA_PARAM, "%s: a picture of %ux%ux%u has %zu values, the network takes %zu",
                import->path, asked.channels, asked.height, asked.width, values_of(asked), count);
        *last = four && asked.channels == d[3] && asked.height == d[1] && asked.width == d[2] &&
                !(asked.channels == d[1] && asked.height == d[2] && asked.width == d[3]);
        *picture = asked;
    }
    if (picture->channels == 0)
        return fhola_fail(FHOLA_PARAM,
                          "%s: its input of %zu values is no square picture, grey or colour; say "
                          "which with --input CxHxW",
                          import->path, count);
    return FHOLA_OK;
}

static fhola_status add_picture(onnx_import *import, const Onnx__ValueInfo *info, nn_shape asked)
{
    onnx_dims dims;
    nn_shape picture = {0, 0, 0};
    bool last = false;
    fhola_status status = input_dims(&dims, import, info);
    if (status == FHOLA_OK) status = choose_picture(&picture, &last, import, &dims, asked);
    if (status == FHOLA_OK) status = nn_graph_create(&import->graph, picture);
    if (status != FHOLA_OK) return status;
    onnx_value value = onnx_tensor_value(import, 0, dims);
    if (last) {
        size_t h = dims.size[1], w = dims.size[2], c = dims.size[3];
        value.order = malloc(h * w * c * sizeof *value.order);
        if (!value.order)
            return fhola_fail(FHOLA_NOMEM, "%s: no memory for an order of values", import->path);
        for (size_t j = 0; j < h * w * c; j++) value.order[j] = (uint32_t)(j % c * h * w + j / c);
    }
    return onnx_set(import, info->name, value);
}

static fhola_status add_inputs(onnx_import *import, nn_shape asked)
{
    const Onnx__Graph *graph = import->model->graph;
    const Onnx__ValueInfo *picture = NULL;
    fhola_status status = FHOLA_OK;
    for (size_t i = 0; i < graph->n_initializer && status == FHOLA_OK; i++) {
        onnx_value value = {0};
        const Onnx__Tensor *tensor = graph->initializer[i];
        if (!tensor->name || !*tensor->name)
            return fhola_fail(FHOLA_FORMAT, "%s: initialiser %zu has no name", import->path, i);
        status = onnx_constant_of(&value, import, tensor);
        if (status == FHOLA_OK) status = onnx_set(import, tensor->name, value);
    }
    for (size_t i = 0; i < graph->n_input && status == FHOLA_OK; i++) {
        const Onnx__ValueInfo *info = graph->input[i];
        if (!info->name || onnx_find(import, info->name))
            continue; /* a weight, listed here as well */
        if (picture)
            return fhola_fail(FHOLA_PARAM,
                              "%s: two inputs, '%s' and '%s'; a network takes one picture",
                              import->path, picture->name, info->name);
        picture = info;
    }
    if (status == FHOLA_OK && !picture)
        return fhola_fail(FHOLA_FORMAT, "%s: no input", import->path);
    return status == FHOLA_OK ? add_picture(import, picture, asked) : status;
}

/* ---- the scores ---- */

static fhola_status finish(onnx_import *import)
{
    const Onnx__Graph *graph = import->model->graph;
    nn_tensor scores;
    if (graph->n_output != 1 || !graph->output[0]->name)
        return fhola_fail(FHOLA_PARAM, "%s: %zu outputs; a network has one, its scores",
                          import->path, graph->n_output);
    const onnx_value *out = onnx_find(import, graph->output[0]->name);
    if (!out || out->kind != ONNX_COMPUTED)
        return fhola_fail(FHOLA_FORMAT, "%s: its output '%s' is not computed from the picture",
                          import->path, graph->output[0]->name);
    (void)snprintf(import->label, sizeof import->label, "output '%.96s'", graph->output[0]->name);
    if (import->final)
        (void)snprintf(import->note, sizeof import->note,
                       "the %s at the end is left out: scores come without it, in the same order",
                       import->final->op_type);
    fhola_status status = onnx_in_order(import, &scores, out);
    return status == FHOLA_OK ? nn_graph_finish(import->graph, scores) : status;
}

/* ---- the file ---- */

static fhola_status check_opset(onnx_import *import)
{
    const Onnx__Model *model = import->model;
    import->opset = 1;
    for (size_t i = 0; i < model->n_opset_import; i++) {
        const Onnx__OperatorSet *set = model->opset_import[i];
        if (!set->domain || !*set->domain || strcmp(set->domain, "ai.onnx") == 0)
            import->opset = set->version;
    }
    if (import->opset < OLDEST_OPSET || import->opset > NEWEST_OPSET)
        return fhola_fail(FHOLA_PARAM,
                          "%s: operator set %lld; export the network with one of %d to %d",
                          import->path, (long long)import->opset, OLDEST_OPSET, NEWEST_OPSET);
    return FHOLA_OK;
}

static fhola_status run(onnx_import *import, nn_shape input)
{
    const Onnx__Graph *graph = import->model->graph;
    if (!graph || graph->n_node == 0)
        return fhola_fail(FHOLA_FORMAT, "%s: no ONNX file, or one without nodes", import->path);
    fhola_status status = check_opset(import);
    if (status == FHOLA_OK) status = add_inputs(import, input);
    for (size_t i = 0; status == FHOLA_OK && i < graph->n_node; i++) {
        import->node = graph->node[i];
        if (!import->node->op_type)
            return fhola_fail(FHOLA_FORMAT, "%s: node %zu has no operator", import->path, i);
        set_label(import, i);
        status = onnx_node(import);
    }
    return status == FHOLA_OK ? finish(import) : status;
}

static void clear(onnx_import *import)
{
    for (size_t i = 0; i < import->value_count; i++) onnx_value_clear(&import->values[i]);
    free(import->values);
    free(import->slot);
    free(import->steps);
    nn_graph_destroy(import->graph);
    if (import->model) onnx__model__free_unpacked(import->model, NULL);
}

fhola_status nn_onnx_parse(nn_model **model, const unsigned char *bytes, size_t length,
                           const char *path, nn_shape input, const nn_model_options *options,
                           const char **note)
{
    static _Thread_local char kept[sizeof((onnx_import *)0)->note];
    onnx_import import = {.path = path};
    fhola_status status = FHOLA_OK;
    import.model = onnx__model__unpack(NULL, length, bytes);
    if (!import.model)
        status = fhola_fail(FHOLA_FORMAT, "%s: no ONNX file, or a damaged or truncated one", path);
    if (status == FHOLA_OK) status = run(&import, input);
    if (status == FHOLA_OK) {
        nn_graph *graph = import.graph;
        import.graph = NULL;
        status = nn_model_create(model, graph, options);
    }
    memcpy(kept, import.note, sizeof kept);
    if (note) *note = *kept ? kept : NULL;
    clear(&import);
    return status;
}
