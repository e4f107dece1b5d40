/* SPDX-License-Identifier: Apache-2.0 */
/* Operators with weights, pooling, padding, normalisation by constants. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn/cmd/onnx/import.h"

/* ---- windows ---- */

/* Of convolutions and pooling: kernel, strides, dilations, padding above, left, below, right. */
typedef struct window {
    int64_t kernel[2], stride[2], dilation[2], pad[4];
} window;

static fhola_status pair(int64_t out[2], const onnx_import *import, const char *name,
                         int64_t otherwise)
{
    size_t count = 0;
    fhola_status status = onnx_ints(out, &count, 2, import, name, -1);
    if (status == FHOLA_OK && count == 0) out[0] = out[1] = otherwise;
    if (status == FHOLA_OK && count == 1)
        return onnx_refuse(import, "it has one spatial dimension; only pictures of two can be had");
    for (int i = 0; i < 2 && status == FHOLA_OK; i++)
        if (out[i] < 1 || out[i] > 65535)
            return onnx_refuse(import, "%s of %lld", name, (long long)out[i]);
    return status;
}

/* Padding as "SAME" asks for it, or as given; with ceil_mode what a last, partial window needs. */
static fhola_status padding(window *w, const onnx_import *import, nn_shape in)
{
    size_t count = 0, size[2] = {in.height, in.width};
    bool upper = onnx_text_is(import, "auto_pad", "SAME_UPPER", false),
         lower = onnx_text_is(import, "auto_pad", "SAME_LOWER", false);
    fhola_status status = onnx_ints(w->pad, &count, 4, import, "pads", -1);
    if (status != FHOLA_OK) return status;
    if (count != 0 && count != 4)
        return onnx_refuse(import, "%zu numbers of padding instead of 4", count);
    for (int i = 0; i < 4; i++) {
        if (count == 0 || onnx_text_is(import, "auto_pad", "VALID", false)) w->pad[i] = 0;
        if (w->pad[i] < 0 || w->pad[i] > 65535)
            return onnx_refuse(import, "a padding of %lld", (long long)w->pad[i]);
    }
    for (int i = 0; i < 2 && (upper || lower); i++) {
        int64_t n = (int64_t)size[i], out = (n + w->stride[i] - 1) / w->stride[i];
        int64_t all = (out - 1) * w->stride[i] + (w->kernel[i] - 1) * w->dilation[i] + 1 - n;
        all = all > 0 ? all : 0;
        w->pad[i] = upper ? all / 2 : all - all / 2;
        w->pad[i + 2] = all - w->pad[i];
    }
    return FHOLA_OK;
}

/* ceil_mode: the rest of a last window that begins inside of the picture or its padding. */
static void ceil_padding(int64_t extra[2], const window *w, nn_shape in)
{
    size_t size[2] = {in.height, in.width};
    for (int i = 0; i < 2; i++) {
        int64_t room = (int64_t)size[i] + w->pad[i] + w->pad[i + 2] - w->kernel[i];
        int64_t rest = room % w->stride[i], begins = room - rest + w->stride[i];
        extra[i] = rest && begins < (int64_t)size[i] + w->pad[i] ? w->stride[i] - rest : 0;
    }
}

static fhola_status window_of(window *w, const onnx_import *import, nn_shape in,
                              const int64_t *kernel)
{
    fhola_status status = kernel ? FHOLA_OK : pair(w->kernel, import, "kernel_shape", 0);
    if (kernel) memcpy(w->kernel, kernel, sizeof w->kernel);
    if (status == FHOLA_OK) status = pair(w->stride, import, "strides", 1);
    if (status == FHOLA_OK) status = pair(w->dilation, import, "dilations", 1);
    return status == FHOLA_OK ? padding(w, import, in) : status;
}

/* A picture among the inputs: channels, height, width. */
static fhola_status need_picture(nn_tensor *tensor, onnx_import *import)
{
    onnx_value *in;
    fhola_status status = onnx_need_computed(&in, import, 0);
    if (status == FHOLA_OK && in->dims.rank != 4)
        status = onnx_refuse(import,
                             "its input has %u dimensions; batch, channels, height and width "
                             "are wanted",
                             in->dims.rank);
    return status == FHOLA_OK ? onnx_in_order(import, tensor, in) : status;
}

static fhola_status put_tensor(onnx_import *import, nn_tensor tensor)
{
    nn_shape s = nn_graph_shape(import->graph, tensor);
    onnx_dims dims = {4, {1, s.channels, s.height, s.width}};
    return onnx_output(import, 0, onnx_tensor_value(import, tensor, dims));
}

/* ---- layers ---- */

/* A row of `count` numbers among the inputs; NULL where there is none. */
static fhola_status numbers(const double **row, onnx_import *import, size_t index, size_t count)
{
    const onnx_value *value;
    *row = NULL;
    if (!onnx_input(import, index)) return FHOLA_OK;
    fhola_status status = onnx_need_constant(&value, import, index);
    if (status == FHOLA_OK && onnx_count(&value->dims) != count)
        status = onnx_refuse(import, "input %zu has %zu numbers instead of %zu", index,
                             onnx_count(&value->dims), count);
    if (status == FHOLA_OK) *row = value->number;
    return status;
}

static fhola_status convolution(onnx_import *import)
{
    const onnx_value *weight;
    const double *bias = NULL;
    nn_tensor tensor;
    window w = {.kernel = {0}};
    fhola_status status = need_picture(&tensor, import);
    if (status == FHOLA_OK) status = onnx_need_constant(&weight, import, 1);
    if (status == FHOLA_OK && weight->dims.rank != 4)
        status = onnx_refuse(import,
                             "weights of %u dimensions; only pictures of two dimensions can be had",
                             weight->dims.rank);
    if (status != FHOLA_OK) return status;
    nn_shape in = nn_graph_shape(import->graph, tensor);
    const size_t *d = weight->dims.size;
    int64_t kernel[2] = {(int64_t)d[2], (int64_t)d[3]}, groups = onnx_int(import, "group", 1);
    if (groups < 1 || d[1] * (size_t)groups != in.channels)
        return onnx_refuse(import, "weights for %zu channels in %lld groups, but its input has %u",
                           d[1], (long long)groups, in.channels);
    status = window_of(&w, import, in, kernel);
    if (status == FHOLA_OK) status = numbers(&bias, import, 2, d[0]);
    if (status != FHOLA_OK) return status;
    nn_convolution_spec spec = {.channels = (unsigned)d[0],
                                .groups = (unsigned)groups,
                                .kernel_y = (unsigned)w.kernel[0],
                                .kernel_x = (unsigned)w.kernel[1],
                                .stride_y = (unsigned)w.stride[0],
                                .stride_x = (unsigned)w.stride[1],
                                .dilation_y = (unsigned)w.dilation[0],
                                .dilation_x = (unsigned)w.dilation[1],
                                .pad_top = (unsigned)w.pad[0],
                                .pad_left = (unsigned)w.pad[1],
                                .pad_bottom = (unsigned)w.pad[2],
                                .pad_right = (unsigned)w.pad[3],
                                .weight = weight->number,
                                .bias = bias};
    status = nn_graph_convolution(import->graph, &tensor, import->label, tensor, &spec);
    return status == FHOLA_OK ? put_tensor(import, tensor) : status;
}

/* out = weight in + bias with weight[k * row + j * column] and a factor for each, columns brought
 * into the order of the tensor behind the value. */
static fhola_status dense(onnx_import *import, const onnx_value *in, const onnx_value *weight,
                          size_t outputs, size_t row, size_t column, double alpha,
                          const onnx_value *bias, double beta)
{
    size_t inputs = onnx_count(&in->dims), biases = bias ? onnx_count(&bias->dims) : 0;
    nn_tensor tensor;
    if (bias && biases != 1 && biases != outputs)
        return onnx_refuse(import, "%zu biases for %zu outputs", biases, outputs);
    double *w = malloc((outputs * inputs + outputs) * sizeof *w),
           *b = w ? w + outputs * inputs : NULL;
    if (!w)
        return fhola_fail(FHOLA_NOMEM, "%s: no memory for %zu x %zu weights", import->path, outputs,
                          inputs);
    for (size_t k = 0; k < outputs; k++) {
        b[k] = bias ? beta * bias->number[biases == 1 ? 0 : k] : 0;
        for (size_t j = 0; j < inputs; j++)
            w[k * inputs + (in->order ? in->order[j] : j)] =
                alpha * weight->number[k * row + j * column];
    }
    onnx_dims dims = in->dims;
    dims.size[dims.rank - 1] = outputs;
    fhola_status status = onnx_apply(import, &tensor, in);
    if (status == FHOLA_OK)
        status = nn_graph_dense(import->graph, &tensor, import->label, tensor, outputs, w,
                                bias ? b : NULL);
    free(w);
    return status == FHOLA_OK ? onnx_output(import, 0, onnx_tensor_value(import, tensor, dims))
                              : status;
}

static fhola_status matrix(onnx_import *import, bool gemm)
{
    onnx_value *in;
    const onnx_value *weight, *bias = NULL;
    bool transposed = gemm && onnx_int(import, "transB", 0);
    fhola_status status = onnx_need_computed(&in, import, 0);
    if (status == FHOLA_OK) status = onnx_need_constant(&weight, import, 1);
    if (status == FHOLA_OK && gemm && onnx_input(import, 2))
        status = onnx_need_constant(&bias, import, 2);
    if (status != FHOLA_OK) return status;
    if (gemm && onnx_int(import, "transA", 0)) return onnx_refuse(import, "transA cannot be had");
    if (weight->dims.rank != 2)
        return onnx_refuse(import, "weights of %u dimensions instead of 2", weight->dims.rank);
    size_t inputs = weight->dims.size[transposed ? 1 : 0],
           outputs = weight->dims.size[transposed ? 0 : 1];
    if (in->dims.rank < 2 || in->dims.size[in->dims.rank - 1] != onnx_count(&in->dims))
        return onnx_refuse(import,
                           "a matrix times more than one row of a picture's values cannot be had; "
                           "flatten before it");
    if (inputs != onnx_count(&in->dims))
        return onnx_refuse(import, "weights for %zu values, but its input has %zu", inputs,
                           onnx_count(&in->dims));
    return dense(import, in, weight, outputs, transposed ? inputs : 1, transposed ? 1 : outputs,
                 gemm ? onnx_float(import, "alpha", 1) : 1, bias,
                 gemm ? onnx_float(import, "beta", 1) : 1);
}

/* Scale, shift, mean and variance of each channel are one factor and one shift. */
static fhola_status batch_norm(onnx_import *import)
{
    onnx_value *in;
    const double *scale, *shift, *mean, *variance;
    nn_tensor tensor;
    fhola_status status = onnx_need_computed(&in, import, 0);
    if (status == FHOLA_OK) status = onnx_in_order(import, &tensor, in);
    if (status != FHOLA_OK) return status;
    if (onnx_int(import, "training_mode", 0))
        return onnx_refuse(import, "it is in training mode; export the network in evaluation mode");
    size_t channels = nn_graph_shape(import->graph, tensor).channels;
    double eps = onnx_float(import, "epsilon", 1e-5);
    status = numbers(&scale, import, 1, channels);
    if (status == FHOLA_OK) status = numbers(&shift, import, 2, channels);
    if (status == FHOLA_OK) status = numbers(&mean, import, 3, channels);
    if (status == FHOLA_OK) status = numbers(&variance, import, 4, channels);
    if (status != FHOLA_OK) return status;
    if (!mean || !variance) return onnx_refuse(import, "its mean or variance is missing");
    double *factor = malloc(2 * channels * sizeof *factor);
    if (!factor)
        return fhola_fail(FHOLA_NOMEM, "%s: no memory for %zu channels", import->path, channels);
    for (size_t c = 0; c < channels; c++) {
        factor[c] = (scale ? scale[c] : 1) / sqrt(variance[c] + eps);
        factor[channels + c] = (shift ? shift[c] : 0) - factor[c] * mean[c];
    }
    onnx_dims dims = in->dims;
    status =
        nn_graph_affine(import->graph, &tensor, import->label, tensor, factor, factor + channels);
    free(factor);
    return status == FHOLA_OK ? onnx_output(import, 0, onnx_tensor_value(import, tensor, dims))
                              : status;
}

static fhola_status pool(onnx_import *import, bool largest)
{
    nn_tensor tensor;
    window w = {.kernel = {0}};
    int64_t extra[2] = {0, 0};
    fhola_status status = need_picture(&tensor, import);
    if (status != FHOLA_OK) return status;
    nn_shape in = nn_graph_shape(import->graph, tensor);
    status = window_of(&w, import, in, NULL);
    if (status != FHOLA_OK) return status;
    if (w.dilation[0] != 1 || w.dilation[1] != 1)
        return onnx_refuse(import, "a dilated window cannot be had");
    if (onnx_int(import, "ceil_mode", 0)) ceil_padding(extra, &w, in);
    nn_pool_spec spec = {.kernel_y = (unsigned)w.kernel[0],
                         .kernel_x = (unsigned)w.kernel[1],
                         .stride_y = (unsigned)w.stride[0],
                         .stride_x = (unsigned)w.stride[1],
                         .pad_top = (unsigned)w.pad[0],
                         .pad_left = (unsigned)w.pad[1],
                         .pad_bottom = (unsigned)(w.pad[2] + extra[0]),
                         .pad_right = (unsigned)(w.pad[3] + extra[1]),
                         .count_padding = onnx_int(import, "count_include_pad", 0) != 0};
    if (spec.count_padding && (extra[0] || extra[1]))
        return onnx_refuse(import, "ceil_mode together with count_include_pad cannot be had");
    status = largest ? nn_graph_max_pool(import->graph, &tensor, import->label, tensor, &spec)
                     : nn_graph_average_pool(import->graph, &tensor, import->label, tensor, &spec);
    return status == FHOLA_OK ? put_tensor(import, tensor) : status;
}

static fhola_status global_pool(onnx_import *import, bool largest)
{
    nn_tensor tensor;
    fhola_status status = need_picture(&tensor, import);
    if (status != FHOLA_OK) return status;
    nn_shape in = nn_graph_shape(import->graph, tensor);
    nn_pool_spec spec = {
        .kernel_y = in.height, .kernel_x = in.width, .stride_y = in.height, .stride_x = in.width};
    status = largest ? nn_graph_max_pool(import->graph, &tensor, import->label, tensor, &spec)
                     : nn_graph_global_average_pool(import->graph, &tensor, import->label, tensor);
    return status == FHOLA_OK ? put_tensor(import, tensor) : status;
}

/* Which dimensions ReduceMean averages over: gone[i] for each of the `rank` of its input. */
static fhola_status averaged_axes(bool gone[ONNX_MAX_RANK], onnx_import *import, unsigned rank)
{
    int64_t axes[ONNX_MAX_RANK];
    size_t count = 0;
    fhola_status status = onnx_ints(axes, &count, ONNX_MAX_RANK, import, "axes", 1);
    if (status != FHOLA_OK) return status;
    for (size_t i = 0; i < count; i++) {
        int64_t axis = axes[i] < 0 ? axes[i] + rank : axes[i];
        if (axis < 1 || axis >= rank)
            return onnx_refuse(import, "axis %lld cannot be had", (long long)axes[i]);
        gone[axis] = true;
    }
    return count == 0 ? onnx_refuse(import, "over the batch as well; name the axes") : FHOLA_OK;
}

/* Places in the tensor behind `in` of its values, those that are averaged last:
 * order[k values + v], v counting along the dimensions that are gone and k along the others. */
static void order_averaged_last(uint32_t *order, const onnx_value *in, const bool *gone,
                                size_t values)
{
    const onnx_dims *dims = &in->dims;
    for (size_t j = 0; j < onnx_count(dims); j++) {
        size_t rest = j, k = 0, v = 0, ks = 1, vs = 1;
        for (unsigned i = dims->rank; i-- > 0; rest /= dims->size[i]) {
            size_t at = rest % dims->size[i];
            if (gone[i]) {
                v += at * vs;
                vs *= dims->size[i];
            } else {
                k += at * ks;
                ks *= dims->size[i];
            }
        }
        order[k * values + v] = in->order ? in->order[j] : (uint32_t)j;
    }
}

/* tensor = the values of `in` as `kept` channels of as many values each as are averaged. */
static fhola_status averaged_planes(onnx_import *import, nn_tensor *tensor, const onnx_value *in,
                                    const bool *gone, size_t kept, size_t values)
{
    uint32_t *order = malloc(kept * values * sizeof *order);
    if (!order)
        return fhola_fail(FHOLA_NOMEM, "%s: no memory for an order of values", import->path);
    order_averaged_last(order, in, gone, values);
    fhola_status status = onnx_apply(import, tensor, in);
    bool straight = true;
    for (size_t j = 0; j < kept * values; j++) straight = straight && order[j] == j;
    nn_shape shape = {(unsigned)kept, (unsigned)values, 1};
    if (status == FHOLA_OK && !straight)
        status = nn_graph_select(import->graph, tensor, import->label, *tensor, shape, order);
    else if (status == FHOLA_OK && nn_graph_shape(import->graph, *tensor).channels != kept)
        status = nn_graph_reshape(import->graph, tensor, import->label, *tensor, shape);
    free(order);
    return status;
}

/* The mean over height and width of a picture in either order of dimensions. */
static fhola_status reduce_mean(onnx_import *import)
{
    onnx_value *in;
    nn_tensor tensor;
    bool gone[ONNX_MAX_RANK] = {false};
    fhola_status status = onnx_need_computed(&in, import, 0);
    if (status == FHOLA_OK) status = averaged_axes(gone, import, in->dims.rank);
    if (status != FHOLA_OK) return status;
    onnx_dims dims = {0, {0}};
    size_t values = 1, kept = 1;
    for (unsigned i = 0; i < in->dims.rank; i++) {
        if (gone[i])
            values *= in->dims.size[i];
        else
            kept *= in->dims.size[i];
        if (!gone[i] || onnx_int(import, "keepdims", 1))
            dims.size[dims.rank++] = gone[i] ? 1 : in->dims.size[i];
    }
    status = averaged_planes(import, &tensor, in, gone, kept, values);
    if (status == FHOLA_OK)
        status = nn_graph_global_average_pool(import->graph, &tensor, import->label, tensor);
    return status == FHOLA_OK ? onnx_output(import, 0, onnx_tensor_value(import, tensor, dims))
                              : status;
}

static fhola_status pad(onnx_import *import)
{
    nn_tensor tensor;
    int64_t pads[8];
    size_t count = 0;
    double value = onnx_float(import, "value", 0);
    fhola_status status = need_picture(&tensor, import);
    if (status == FHOLA_OK) status = onnx_ints(pads, &count, 8, import, "pads", 1);
    if (status != FHOLA_OK) return status;
    if (onnx_input(import, 2) && onnx_input(import, 2)->kind == ONNX_CONSTANT &&
        onnx_count(&onnx_input(import, 2)->dims) == 1)
        value = onnx_input(import, 2)->number[0];
    if (!onnx_text_is(import, "mode", "constant", true) || value != 0)
        return onnx_refuse(
            import, "only padding with zeros can be had, not reflection, edges or other constants");
    if (onnx_input(import, 3)) return onnx_refuse(import, "padding of named axes cannot be had");
    if (count != 8 || pads[0] || pads[1] || pads[4] || pads[5])
        return onnx_refuse(import, "only height and width can be padded");
    status = nn_graph_pad(import->graph, &tensor, import->label, tensor, (int)pads[2], (int)pads[3],
                          (int)pads[6], (int)pads[7]);
    return status == FHOLA_OK ? put_tensor(import, tensor) : status;
}

fhola_status onnx_linear_node(onnx_import *import, bool *done)
{
    const char *op = import->node->op_type;
    *done = true;
    if (strcmp(op, "Conv") == 0) return convolution(import);
    if (strcmp(op, "Gemm") == 0) return matrix(import, true);
    if (strcmp(op, "MatMul") == 0) return matrix(import, false);
    if (strcmp(op, "BatchNormalization") == 0) return batch_norm(import);
    if (strcmp(op, "AveragePool") == 0) return pool(import, false);
    if (strcmp(op, "MaxPool") == 0) return pool(import, true);
    if (strcmp(op, "GlobalAveragePool") == 0) return global_pool(import, false);
    if (strcmp(op, "GlobalMaxPool") == 0) return global_pool(import, true);
    if (strcmp(op, "ReduceMean") == 0) return reduce_mean(import);
    if (strcmp(op, "Pad") == 0) return pad(import);
    *done = false;
    return FHOLA_OK;
}
