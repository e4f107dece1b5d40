/* SPDX-License-Identifier: Apache-2.0 */
/* ONNX networks: files are built here message by message, and what the importer makes of them is
 * held against the operators' definitions, evaluated here on their own. */
#include "check_nn_support.h"

#ifdef HAVE_ONNX
#include "nn/cmd/onnx/onnx.h"
#include "nn/graph/graph.h"
#include "nn/graph/model.h"
#include <nn/cmd/onnx/onnx.pb-c.h> /* made by protoc-c */

#define MOST 64u

/* ---- files ---- */

/* A file under construction; everything is released at once by file_clear. */
typedef struct file {
    Onnx__Model model;
    Onnx__Graph graph;
    Onnx__OperatorSet opset, *opsets[1];
    Onnx__Node *nodes[MOST];
    Onnx__Tensor *tensors[MOST];
    Onnx__ValueInfo *inputs[MOST], *outputs[MOST];
    void *memory[1024];
    size_t memories;
    char path[32];
} file;

static void *keep(file *f, size_t bytes)
{
    ck_assert_uint_lt(f->memories, sizeof f->memory / sizeof *f->memory);
    return f->memory[f->memories++] = calloc(1, bytes + 1);
}

static char *text(file *f, const char *string)
{
    return strcpy(keep(f, strlen(string)), string);
}

static void file_init(file *f)
{
    *f = (file){
        .model = ONNX__MODEL__INIT, .graph = ONNX__GRAPH__INIT, .opset = ONNX__OPERATOR_SET__INIT};
    f->model.has_ir_version = 1;
    f->model.ir_version = 8;
    f->model.graph = &f->graph;
    f->opset.has_version = 1;
    f->opset.version = 13;
    f->opsets[0] = &f->opset;
    f->model.opset_import = f->opsets;
    f->model.n_opset_import = 1;
    f->graph.node = f->nodes;
    f->graph.initializer = f->tensors;
    f->graph.input = f->inputs;
    f->graph.output = f->outputs;
}

static void file_clear(file *f)
{
    for (size_t i = 0; i < f->memories; i++) free(f->memory[i]);
}

static Onnx__ValueInfo *info(file *f, const char *name, size_t rank, const long *dims)
{
    Onnx__ValueInfo *v = keep(f, sizeof *v);
    Onnx__Type *type = keep(f, sizeof *type);
    Onnx__TensorType *tensor = keep(f, sizeof *tensor);
    Onnx__Shape *shape = keep(f, sizeof *shape);
    onnx__value_info__init(v);
    onnx__type__init(type);
    onnx__tensor_type__init(tensor);
    onnx__shape__init(shape);
    v->name = text(f, name);
    v->type = type;
    type->tensor_type = tensor;
    tensor->shape = shape;
    shape->n_dim = rank;
    shape->dim = keep(f, rank * sizeof *shape->dim);
    for (size_t i = 0; i < rank; i++) {
        shape->dim[i] = keep(f, sizeof **shape->dim);
        onnx__dimension__init(shape->dim[i]);
        shape->dim[i]->has_dim_value = dims[i] > 0;
        shape->dim[i]->dim_value = dims[i];
    }
    return v;
}

static void input(file *f, const char *name, size_t rank, const long *dims)
{
    f->inputs[f->graph.n_input++] = info(f, name, rank, dims);
}

static void output(file *f, const char *name)
{
    f->outputs[f->graph.n_output++] = info(f, name, 0, NULL);
}

/* Numbers that differ from each other, about 1 in size. */
static float number(size_t seed, size_t i)
{
    return (float)((double)((seed * 7919 + i * 104729 + 13) % 2003) / 1001.5 - 1);
}

static Onnx__Tensor *tensor(file *f, const char *name, size_t rank, const long *dims)
{
    Onnx__Tensor *t = keep(f, sizeof *t);
    onnx__tensor__init(t);
    t->name = text(f, name);
    t->n_dims = rank;
    t->dims = keep(f, rank * sizeof *t->dims);
    size_t count = 1;
    for (size_t i = 0; i < rank; i++) count *= (size_t)(t->dims[i] = dims[i]);
    t->has_data_type = 1;
    t->data_type = 1;
    t->n_float_data = count;
    t->float_data = keep(f, count * sizeof *t->float_data);
    for (size_t i = 0; i < count; i++) t->float_data[i] = number((size_t)name[0] + strlen(name), i);
    f->tensors[f->graph.n_initializer++] = t;
    return t;
}

static void integers(file *f, const char *name, size_t count, const long *values)
{
    long dims[] = {(long)count};
    Onnx__Tensor *t = tensor(f, name, 1, dims);
    t->data_type = 7;
    t->n_float_data = 0;
    t->n_int64_data = count;
    t->int64_data = keep(f, count * sizeof *t->int64_data);
    for (size_t i = 0; i < count; i++) t->int64_data[i] = values[i];
}

static void scalar(file *f, const char *name, float value)
{
    tensor(f, name, 0, NULL)->float_data[0] = value;
}

/* "a b c": inputs by their names, "-" for one that is left out. */
static Onnx__Node *node(file *f, const char *op, const char *inputs, const char *result)
{
    Onnx__Node *n = keep(f, sizeof *n);
    char *names = text(f, inputs), *at = strtok(names, " ");
    onnx__node__init(n);
    n->op_type = text(f, op);
    n->input = keep(f, MOST * sizeof *n->input);
    n->output = keep(f, MOST * sizeof *n->output);
    n->attribute = keep(f, MOST * sizeof *n->attribute);
    for (; at; at = strtok(NULL, " ")) n->input[n->n_input++] = text(f, strcmp(at, "-") ? at : "");
    n->output[n->n_output++] = text(f, result);
    f->nodes[f->graph.n_node++] = n;
    return n;
}

static Onnx__Attribute *attribute(file *f, Onnx__Node *n, const char *name)
{
    Onnx__Attribute *a = keep(f, sizeof *a);
    onnx__attribute__init(a);
    a->name = text(f, name);
    return n->attribute[n->n_attribute++] = a;
}

static void attribute_ints(file *f, Onnx__Node *n, const char *name, size_t count,
                           const long *values)
{
    Onnx__Attribute *a = attribute(f, n, name);
    a->n_ints = count;
    a->ints = keep(f, count * sizeof *a->ints);
    for (size_t i = 0; i < count; i++) a->ints[i] = values[i];
}

static void attribute_int(file *f, Onnx__Node *n, const char *name, long value)
{
    Onnx__Attribute *a = attribute(f, n, name);
    a->has_i = 1;
    a->i = value;
}

static void attribute_text(file *f, Onnx__Node *n, const char *name, const char *value)
{
    Onnx__Attribute *a = attribute(f, n, name);
    a->has_s = 1;
    a->s.len = strlen(value);
    a->s.data = (uint8_t *)text(f, value);
}

static fhola_status parse(nn_model **model, file *f, nn_shape shape, const char **note)
{
    size_t length = onnx__model__get_packed_size(&f->model);
    unsigned char *bytes = malloc(length);
    onnx__model__pack(&f->model, bytes);
    nn_model_options options = {.mean = NULL};
    fhola_status status = nn_onnx_parse(model, bytes, length, "n.onnx", shape, &options, note);
    free(bytes);
    return status;
}

/* ---- what a graph computes ---- */

static double *node_values(const nn_graph *graph, size_t i, double *const *values)
{
    const nn_node *node = &graph->nodes[i];
    size_t count = nn_shape_values(node->shape), plane = count / node->shape.channels;
    double *v = calloc(count, sizeof *v);
    for (size_t j = 0; node->bias && j < count; j++)
        v[j] = node->bias[node->full_bias ? j : j / plane];
    for (size_t e = 0; e < node->edge_count; e++)
        nn_map_add(v, &node->edges[e].map, values[node->edges[e].node]);
    for (size_t j = 0; j < count; j++) v[j] = ola_function_eval(&node->function, v[j]);
    return v;
}

/* Scores of the picture with value number(99, i) at i. */
static size_t scores_of(double *scores, const nn_model *model)
{
    const nn_graph *graph = model->graph;
    double **values = calloc(graph->count, sizeof *values);
    size_t count = nn_shape_values(graph->nodes[0].shape);
    values[0] = malloc(count * sizeof *values[0]);
    for (size_t i = 0; i < count; i++) values[0][i] = (double)number(99, i);
    for (size_t i = 1; i < graph->count; i++) values[i] = node_values(graph, i, values);
    count = nn_shape_values(graph->nodes[graph->count - 1].shape);
    memcpy(scores, values[graph->count - 1], count * sizeof *scores);
    for (size_t i = 0; i < graph->count; i++) free(values[i]);
    free(values);
    return count;
}

/* Imports the file and holds its scores against `wanted`. */
static void expect(file *f, nn_shape shape, size_t count, const double *wanted, double tolerance)
{
    nn_model *model = NULL;
    double scores[1000];
    succeed(parse(&model, f, shape, NULL));
    ck_assert_uint_eq(scores_of(scores, model), count);
    for (size_t i = 0; i < count; i++)
        ck_assert_msg(fabs(scores[i] - wanted[i]) <= tolerance, "score %zu: %.9g instead of %.9g",
                      i, scores[i], wanted[i]);
    nn_model_free(model);
    file_clear(f);
}

/* ---- the operators' definitions ---- */

static double relu(double x)
{
    return x > 0 ? x : 0;
}

/* The picture's value, or 0 outside of it. */
static double pixel(long channels, long side, long c, long y, long x)
{
    if (y < 0 || y >= side || x < 0 || x >= side || c >= channels) return 0;
    return (double)number(99, (size_t)((c * side + y) * side + x));
}

/* ---- networks ---- */

START_TEST(convolution_in_groups)
{
    /* 4 channels of 6 x 6; 2 groups, 3 x 2 kernel, stride 2 and 1, dilation 1 and 2, uneven
     * padding */
    file f;
    double wanted[1000];
    size_t k = 0;
    file_init(&f);
    input(&f, "x", 4, (long[]){0, 4, 6, 6});
    Onnx__Tensor *w = tensor(&f, "w", 4, (long[]){6, 2, 3, 2}),
                 *b = tensor(&f, "bias", 1, (long[]){6});
    Onnx__Node *n = node(&f, "Conv", "x w bias", "c");
    attribute_int(&f, n, "group", 2);
    attribute_ints(&f, n, "strides", 2, (long[]){2, 1});
    attribute_ints(&f, n, "dilations", 2, (long[]){1, 2});
    attribute_ints(&f, n, "pads", 4, (long[]){1, 0, 2, 1});
    node(&f, "Relu", "c", "r");
    output(&f, "r");
    for (long o = 0; o < 6; o++)
        for (long y = 0; y < 4; y++)
            for (long x = 0; x < 5; x++) {
                double sum = (double)b->float_data[o];
                for (long i = 0; i < 2; i++)
                    for (long ky = 0; ky < 3; ky++)
                        for (long kx = 0; kx < 2; kx++)
                            sum += (double)w->float_data[((o * 2 + i) * 3 + ky) * 2 + kx] *
                                   pixel(4, 6, o / 3 * 2 + i, 2 * y + ky - 1, x + 2 * kx);
                wanted[k++] = relu(sum);
            }
    expect(&f, (nn_shape){0, 0, 0}, k, wanted, 1e-9);
}
END_TEST

/* As much padding as a window in every stride takes; the odd one is behind, or with SAME_LOWER in
 * front. */
START_TEST(padding_by_rule)
{
    file f;
    double wanted[15];
    size_t k = 0;
    file_init(&f);
    input(&f, "x", 4, (long[]){1, 1, 5, 5});
    Onnx__Tensor *w = tensor(&f, "w", 4, (long[]){1, 1, 2, 4});
    Onnx__Node *n = node(&f, "Conv", "x w", "c");
    attribute_ints(&f, n, "strides", 2, (long[]){2, 1});
    attribute_text(&f, n, "auto_pad", _i ? "SAME_LOWER" : "SAME_UPPER");
    node(&f, "Relu", "c", "r");
    output(&f, "r");
    for (long y = 0; y < 3; y++)
        for (long x = 0; x < 5; x++) {
            double sum = 0;
            for (long ky = 0; ky < 2; ky++)
                for (long kx = 0; kx < 4; kx++)
                    sum += (double)w->float_data[ky * 4 + kx] *
                           pixel(1, 5, 0, 2 * y + ky - _i, x + kx - 1 - _i);
            wanted[k++] = relu(sum);
        }
    expect(&f, (nn_shape){0, 0, 0}, k, wanted, 1e-9);
}
END_TEST

/* A stem that makes channels of the pixels of a block. */
START_TEST(blocks_of_pixels)
{
    file f;
    double wanted[3 * 2 * 3];
    size_t k = 0;
    file_init(&f);
    input(&f, "x", 4, (long[]){1, 2, 4, 6});
    Onnx__Tensor *w = tensor(&f, "w", 4, (long[]){3, 8, 1, 1});
    attribute_int(&f, node(&f, "SpaceToDepth", "x", "d"), "blocksize", 2);
    node(&f, "Conv", "d w", "c");
    node(&f, "Relu", "c", "r");
    output(&f, "r");
    for (long o = 0; o < 3; o++)
        for (long y = 0; y < 2; y++)
            for (long x = 0; x < 3; x++) {
                double sum = 0;
                for (long dy = 0; dy < 2; dy++)
                    for (long dx = 0; dx < 2; dx++)
                        for (long c = 0; c < 2; c++)
                            sum +=
                                (double)w->float_data[o * 8 + (dy * 2 + dx) * 2 + c] *
                                (double)number(99, (size_t)((c * 4 + 2 * y + dy) * 6 + 2 * x + dx));
                wanted[k++] = relu(sum);
            }
    expect(&f, (nn_shape){0, 0, 0}, k, wanted, 1e-9);
}
END_TEST

/* Channels last, as TensorFlow has them: transposed for the convolution and back, flattened, a
 * product with a matrix and a sum. */
START_TEST(channels_last)
{
    file f;
    double hidden[4 * 4 * 2], wanted[3];
    file_init(&f);
    input(&f, "x", 4, (long[]){1, 4, 4, 3});
    Onnx__Tensor *w = tensor(&f, "w", 4, (long[]){2, 3, 1, 1}),
                 *m = tensor(&f, "m", 2, (long[]){32, 3}), *a = tensor(&f, "add", 1, (long[]){3});
    attribute_ints(&f, node(&f, "Transpose", "x", "t"), "perm", 4, (long[]){0, 3, 1, 2});
    node(&f, "Conv", "t w", "c");
    node(&f, "Relu", "c", "r");
    attribute_ints(&f, node(&f, "Transpose", "r", "u"), "perm", 4, (long[]){0, 2, 3, 1});
    integers(&f, "shape", 2, (long[]){-1, 32});
    node(&f, "Reshape", "u shape", "flat");
    node(&f, "MatMul", "flat m", "p");
    node(&f, "Add", "p add", "s");
    output(&f, "s");
    for (size_t j = 0; j < 32; j++) {
        double sum = 0;
        for (size_t c = 0; c < 3; c++)
            sum += (double)w->float_data[j % 2 * 3 + c] * (double)number(99, c * 16 + j / 2);
        hidden[j] = relu(sum);
    }
    for (size_t k = 0; k < 3; k++) {
        wanted[k] = (double)a->float_data[k];
        for (size_t j = 0; j < 32; j++) wanted[k] += hidden[j] * (double)m->float_data[j * 3 + k];
    }
    expect(&f, (nn_shape){0, 0, 0}, 3, wanted, 1e-9);
}
END_TEST

/* Functions however they are spelled; `kind` is what the importer must find. */
static void spell(file *f, int which)
{
    switch (which) {
    case 0: /* GELU as exporters before operator set 20 write it */
        scalar(f, "root", 1.41421354f);
        scalar(f, "one", 1);
        scalar(f, "half", 0.5f);
        node(f, "Div", "c root", "d");
        node(f, "Erf", "d", "e");
        node(f, "Add", "e one", "g");
        node(f, "Mul", "c g", "h");
        node(f, "Mul", "h half", "r");
        break;
    case 1:
        node(f, "Sigmoid", "c", "d");
        node(f, "Mul", "c d", "r");
        break;
    case 2:
        scalar(f, "three", 3);
        scalar(f, "zero", 0);
        scalar(f, "six", 6);
        node(f, "Add", "c three", "d");
        node(f, "Clip", "d zero six", "e");
        node(f, "Mul", "c e", "g");
        node(f, "Div", "g six", "r");
        break;
    case 3: /* no function with a name: a table */
        node(f, "Softplus", "c", "d");
        node(f, "Tanh", "d", "e");
        node(f, "Mul", "c e", "r");
        break;
    case 4: /* a factor before, a factor and a shift behind */
        scalar(f, "three", 3);
        scalar(f, "one", 1);
        node(f, "Mul", "c three", "d");
        node(f, "Relu", "d", "e");
        node(f, "Neg", "e", "g");
        node(f, "Sub", "one g", "r");
        break;
    case 5: /* an operator that the importer knows by its values alone */
        node(f, "Selu", "c", "r");
        break;
    default:
        attribute(f, node(f, "LeakyRelu", "c", "r"), "alpha")->has_f = 1;
        f->nodes[f->graph.n_node - 1]->attribute[0]->f = 0.25f;
    }
}

static double spelled(double x, int which)
{
    switch (which) {
    case 0: return x / 2 * (1 + erf(x / sqrt(2)));
    case 1: return x / (1 + exp(-x));
    case 2: return x * fmin(6, fmax(0, x + 3)) / 6;
    case 3: return x * tanh(log(1 + exp(x)));
    case 4: return 1 + 3 * relu(x);
    case 5: return 1.0507009873554805 * (x > 0 ? x : 1.6732632423543772 * expm1(x));
    default: return x > 0 ? x : x / 4;
    }
}

static const char *const found[] = {"gelu", "silu", "hard_swish", "table",
                                    "relu", "selu", "leaky_relu"};
#define SPELLINGS (sizeof found / sizeof *found)

START_TEST(functions)
{
    file f;
    double wanted[16];
    nn_model *model = NULL;
    file_init(&f);
    input(&f, "x", 4, (long[]){1, 1, 4, 4});
    Onnx__Tensor *w = tensor(&f, "w", 4, (long[]){1, 1, 1, 1});
    w->float_data[0] = 4;
    node(&f, "Conv", "x w", "c");
    spell(&f, _i);
    output(&f, "r");
    succeed(parse(&model, &f, (nn_shape){0, 0, 0}, NULL));
    ck_assert_uint_eq(nn_graph_layers(model->graph), 1);
    ck_assert_str_eq(ola_function_name(&model->graph->nodes[1].function), found[_i]);
    nn_model_free(model);
    for (size_t i = 0; i < 16; i++) wanted[i] = spelled(4 * (double)number(99, i), _i);
    expect(&f, (nn_shape){0, 0, 0}, 16, wanted, _i == 3 ? 1e-4 : 1e-6);
}
END_TEST

/* Shape arithmetic as exporters write it, batch norm in front of an activation, both kinds of
 * pooling with ceil_mode and padding, a concatenation, a slice, a softmax at the end. */
START_TEST(habits_of_exporters)
{
    file f;
    nn_model *model = NULL;
    const char *note = NULL;
    double wanted[8], scores[1000];
    file_init(&f);
    input(&f, "x", 4, (long[]){7, 1, 5, 5}); /* exported with seven pictures */
    input(&f, "scale", 1, (long[]){1});      /* weights listed as inputs as well */
    Onnx__Tensor *p[4];
    static const char *const names[] = {"scale", "shift", "mean", "var"};
    for (int i = 0; i < 4; i++) p[i] = tensor(&f, names[i], 1, (long[]){1});
    p[3]->float_data[0] = 0.7f;
    node(&f, "BatchNormalization", "x scale shift mean var", "b");
    node(&f, "Relu", "b", "r");
    Onnx__Node *pool = node(&f, "MaxPool", "r", "q");
    attribute_ints(&f, pool, "kernel_shape", 2, (long[]){2, 2});
    attribute_ints(&f, pool, "strides", 2, (long[]){2, 2});
    attribute_int(&f, pool, "ceil_mode", 1);
    pool = node(&f, "AveragePool", "q", "a");
    attribute_ints(&f, pool, "kernel_shape", 2, (long[]){2, 2});
    attribute_ints(&f, pool, "strides", 2, (long[]){2, 2});
    attribute_ints(&f, pool, "pads", 4, (long[]){1, 1, 0, 0});
    attribute_int(&f, node(&f, "Concat", "a a", "k"), "axis", 1);
    node(&f, "Shape", "k", "s");
    integers(&f, "zeroth", 1, (long[]){0});
    integers(&f, "minus", 1, (long[]){-1});
    attribute_int(&f, node(&f, "Gather", "s zeroth", "n"), "axis", 0);
    attribute_int(&f, node(&f, "Concat", "n minus", "to"), "axis", 0);
    node(&f, "Reshape", "k to", "flat");
    node(&f, "Softmax", "flat", "y");
    output(&f, "y");
    succeed(parse(&model, &f, (nn_shape){0, 0, 0}, &note));
    ck_assert_ptr_nonnull(note);
    ck_assert_ptr_nonnull(strstr(note, "Softmax at the end is left out"));
    double factor = (double)p[0]->float_data[0] / sqrt((double)p[3]->float_data[0] + 1e-5),
           best[3][3];
    for (long y = 0; y < 3; y++)
        for (long x = 0; x < 3; x++) {
            best[y][x] = 0;
            for (long i = 0; i < 4; i++) {
                long py = 2 * y + i / 2, px = 2 * x + i % 2;
                if (py > 4 || px > 4) continue;
                double v = (pixel(1, 5, 0, py, px) - (double)p[2]->float_data[0]) * factor +
                           (double)p[1]->float_data[0];
                best[y][x] = fmax(best[y][x], relu(v));
            }
        }
    wanted[0] = best[0][0];
    wanted[1] = (best[0][1] + best[0][2]) / 2;
    wanted[2] = (best[1][0] + best[2][0]) / 2;
    wanted[3] = (best[1][1] + best[1][2] + best[2][1] + best[2][2]) / 4;
    memcpy(wanted + 4, wanted, 4 * sizeof *wanted);
    ck_assert_uint_eq(scores_of(scores, model), 8);
    for (int i = 0; i < 8; i++) ck_assert_double_eq_tol(scores[i], wanted[i], 1e-9);
    nn_model_free(model);
    file_clear(&f);
}
END_TEST

/* Values in a row are a picture in row order, or the one that --input names. */
START_TEST(values_in_a_row)
{
    file f;
    nn_model *model = NULL;
    file_init(&f);
    input(&f, "x", 3, (long[]){1, 48, 1});
    tensor(&f, "m", 2, (long[]){2, 48});
    node(&f, "Flatten", "x", "flat");
    attribute_int(&f, node(&f, "Gemm", "flat m", "g"), "transB", 1);
    node(&f, "Relu", "g", "r");
    output(&f, "r");
    succeed(parse(&model, &f, (nn_shape){0, 0, 0}, NULL));
    ck_assert_uint_eq(model->graph->nodes[0].shape.channels, 3);
    ck_assert_uint_eq(model->graph->nodes[0].shape.height, 4);
    nn_model_free(model);
    succeed(parse(&model, &f, (nn_shape){1, 6, 8}, NULL));
    ck_assert_uint_eq(model->graph->nodes[0].shape.width, 8);
    nn_model_free(model);
    model = NULL;
    fail_with(parse(&model, &f, (nn_shape){1, 6, 7}, NULL), FHOLA_PARAM,
              "a picture of 1x6x7 has 42 values, the network takes 48");
    f.inputs[0]->type->tensor_type->shape->dim[1]->dim_value = 47;
    fail_with(parse(&model, &f, (nn_shape){0, 0, 0}, NULL), FHOLA_PARAM, "--input CxHxW");
    ck_assert_ptr_null(model);
    file_clear(&f);
}
END_TEST

/* float16, bfloat16, double and raw bytes are the same numbers. */
START_TEST(types_of_numbers)
{
    static const unsigned char half[] = {0x00, 0x3e, 0x00, 0xc1},
                               brain[] = {0xc0, 0x3f, 0x20, 0xc0},
                               raw[] = {0, 0, 0xc0, 0x3f, 0, 0, 0x20, 0xc0};
    static const struct {
        int type;
        const unsigned char *bytes;
        size_t length;
    } kinds[] = {{10, half, 4}, {16, brain, 4}, {1, raw, 8}};
    for (size_t i = 0; i < 3; i++) {
        file f;
        file_init(&f);
        input(&f, "x", 4, (long[]){1, 1, 4, 4});
        Onnx__Tensor *w = tensor(&f, "w", 4, (long[]){2, 1, 1, 1});
        w->n_float_data = 0;
        w->data_type = kinds[i].type;
        w->has_raw_data = 1;
        w->raw_data.len = kinds[i].length;
        w->raw_data.data = memcpy(keep(&f, kinds[i].length), kinds[i].bytes, kinds[i].length);
        node(&f, "Conv", "x w", "c");
        node(&f, "Abs", "c", "r");
        node(&f, "GlobalAveragePool", "r", "p");
        output(&f, "p");
        double mean = 0;
        for (size_t j = 0; j < 16; j++) mean += fabs((double)number(99, j)) / 16;
        expect(&f, (nn_shape){0, 0, 0}, 2, (double[]){1.5 * mean, 2.5 * mean}, 1e-9);
    }
}
END_TEST

/* What cannot be had says which node, which operator, and what would do instead. */
static const struct {
    const char *op, *inputs, *message;
} refusals[] = {
    {"Mul", "c p", "multiplies two values that both depend on the picture"},
    {"LayerNormalization", "c w", "use batch normalisation"},
    {"QuantizeLinear", "c w", "export it in floating point"},
    {"LSTM", "c w", "recurrent networks cannot be had"},
    {"NoSuchThing", "c", "this operator cannot be had"},
    {"Conv", "c nowhere", "is made by no node before it"},
    {"Gemm", "c p", "must be a constant of the file"},
    {"Conv", "c shape", "weights of 1 dimensions"},
    {"MatMul", "c shape", "instead of 2"},
    {"Concat", "c", ""},
    {"SpaceToDepth", "c", "does not consist of blocks of 0 x 0"},
};

START_TEST(refuses)
{
    file f;
    nn_model *model = NULL;
    file_init(&f);
    input(&f, "x", 4, (long[]){1, 1, 4, 4});
    tensor(&f, "w", 4, (long[]){1, 1, 1, 1});
    integers(&f, "shape", 2, (long[]){1, 16});
    node(&f, "Conv", "x w", "c");
    node(&f, "GlobalAveragePool", "c", "p");
    Onnx__Node *n = node(&f, refusals[_i].op, refusals[_i].inputs, "bad");
    n->name = text(&f, "the-node");
    if (strcmp(n->op_type, "Concat") == 0) attribute_int(&f, n, "axis", 0);
    output(&f, "bad");
    fail_with(parse(&model, &f, (nn_shape){0, 0, 0}, NULL), FHOLA_PARAM, refusals[_i].message);
    char place[96];
    snprintf(place, sizeof place, "n.onnx: node 'the-node' (%s): ", n->op_type);
    ck_assert_ptr_nonnull(strstr(fhola_detail(), place));
    ck_assert_ptr_null(model);
    file_clear(&f);
}
END_TEST

START_TEST(refuses_files)
{
    file f;
    nn_model *model = NULL;
    file_init(&f);
    input(&f, "x", 4, (long[]){1, 1, 4, 4});
    tensor(&f, "w", 4, (long[]){1, 1, 1, 1});
    node(&f, "Conv", "x w", "c");
    node(&f, "Relu", "c", "r");
    output(&f, "r");
    f.opset.version = 21;
    fail_with(parse(&model, &f, (nn_shape){0, 0, 0}, NULL), FHOLA_PARAM, "operator set 21");
    f.opset.version = 6;
    fail_with(parse(&model, &f, (nn_shape){0, 0, 0}, NULL), FHOLA_PARAM, "one of 7 to 20");
    f.opset.version = 20;
    f.tensors[0]->dims[0] = 1l << 40;
    fail_with(parse(&model, &f, (nn_shape){0, 0, 0}, NULL), FHOLA_FORMAT,
              "tensor 'w': dimension 0");
    f.tensors[0]->dims[0] = 1000000;
    fail_with(parse(&model, &f, (nn_shape){0, 0, 0}, NULL), FHOLA_FORMAT, "has another length");
    f.tensors[0]->dims[0] = 1;
    f.tensors[0]->has_data_location = 1;
    f.tensors[0]->data_location = 1;
    f.tensors[0]->n_external_data = 1;
    Onnx__StringEntry entry = ONNX__STRING_ENTRY__INIT, *entries[] = {&entry};
    f.tensors[0]->external_data = entries;
    entry.key = text(&f, "location");
    static const char *const outside[] = {"/etc/hostname", "../hostname", "a/../../hostname", "..",
                                          "no-such-file"};
    for (size_t i = 0; i < sizeof outside / sizeof *outside; i++) {
        entry.value = text(&f, outside[i]);
        fail_with(parse(&model, &f, (nn_shape){0, 0, 0}, NULL), FHOLA_IO,
                  "data must lie in the model's folder");
    }
    f.tensors[0]->has_data_location = 0;
    f.tensors[0]->n_external_data = 0;
    f.tensors[0]->float_data[0] = (float)NAN;
    fail_with(parse(&model, &f, (nn_shape){0, 0, 0}, NULL), FHOLA_RANGE, "");
    ck_assert_ptr_null(model);
    file_clear(&f);
}
END_TEST

/* Every length and a flipped bit at every place of a whole file: an error with a message or a
 * model, never a crash. */
START_TEST(damaged_files)
{
    file f;
    file_init(&f);
    input(&f, "x", 4, (long[]){1, 1, 4, 4});
    tensor(&f, "w", 4, (long[]){2, 1, 3, 3});
    node(&f, "Conv", "x w", "c");
    node(&f, "Relu", "c", "r");
    attribute_int(&f, node(&f, "Flatten", "r", "y"), "axis", 1);
    output(&f, "y");
    size_t length = onnx__model__get_packed_size(&f.model);
    unsigned char *bytes = malloc(length);
    nn_model_options options = {.mean = NULL};
    onnx__model__pack(&f.model, bytes);
    ck_assert(nn_onnx_begins(bytes, length));
    for (size_t i = 0; i < 9 * length; i++) {
        nn_model *model = NULL;
        size_t part = i < length ? i : length, at = i / 9;
        unsigned char *copy = malloc(part + !part); /* exact, for sanitizers */
        memcpy(copy, bytes, part);
        if (i >= length) copy[at] = (unsigned char)(copy[at] ^ 1u << i % 8);
        fhola_status status =
            nn_onnx_parse(&model, copy, part, "n.onnx", (nn_shape){0, 0, 0}, &options, NULL);
        if (status != FHOLA_OK) ck_assert_ptr_nonnull(strstr(fhola_detail(), "n"));
        if (status != FHOLA_OK) ck_assert_ptr_null(model);
        nn_model_free(model);
        free(copy);
    }
    free(bytes);
    file_clear(&f);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("onnx");
    tcase_add_test(tcase, convolution_in_groups);
    tcase_add_loop_test(tcase, padding_by_rule, 0, 2);
    tcase_add_test(tcase, blocks_of_pixels);
    tcase_add_test(tcase, channels_last);
    tcase_add_loop_test(tcase, functions, 0, (int)SPELLINGS);
    tcase_add_test(tcase, habits_of_exporters);
    tcase_add_test(tcase, values_in_a_row);
    tcase_add_test(tcase, types_of_numbers);
    tcase_add_loop_test(tcase, refuses, 0, (int)(sizeof refusals / sizeof *refusals));
    tcase_add_test(tcase, refuses_files);
    tcase_add_test(tcase, damaged_files);
    return run_tests("onnx", tcase, 60);
}
#else
int main(void)
{
    puts("skipped: this build reads no ONNX (protobuf-c was not found)");
    return 77;
}
#endif
