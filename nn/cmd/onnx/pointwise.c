/* SPDX-License-Identifier: Apache-2.0 */
/* Functions of one number, however a file spells them: GELU as Div, Erf, Add, Mul, Mul; SiLU as
 * Sigmoid, Mul; and so on. Each value of the file is kept as an expression over one tensor until
 * something else than a function of single numbers reads it. What the expression is then called
 * follows from its values, not from its spelling. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn/cmd/onnx/import.h"

#define MAX_STEPS 65536u
#define MAX_SPAN  1024u /* steps from a tensor to the end of a function of it */

fhola_status onnx_step_add(unsigned *index, onnx_import *import, onnx_step step)
{
    if (import->step_count == import->step_room) {
        unsigned room = import->step_room ? 2 * import->step_room : 256;
        if (room > MAX_STEPS)
            return fhola_fail(FHOLA_PARAM, "%s: more than %u pointwise operations", import->path,
                              MAX_STEPS);
        onnx_step *steps = realloc(import->steps, room * sizeof *steps);
        if (!steps)
            return fhola_fail(FHOLA_NOMEM, "%s: no memory for %u steps", import->path, room);
        import->steps = steps;
        import->step_room = room;
    }
    *index = import->step_count;
    import->steps[import->step_count++] = step;
    return FHOLA_OK;
}

/* ---- evaluation ---- */

static double combine(const onnx_step *step, double a, double b)
{
    switch (step->kind) {
    case ONNX_STEP_ADD: return a + b;
    case ONNX_STEP_MUL: return a * b;
    case ONNX_STEP_DIV: return a / b;
    case ONNX_STEP_POW: return pow(a, b);
    case ONNX_STEP_UNARY: return step->unary(a, step->constant, step->constant2);
    case ONNX_STEP_TENSOR: break;
    }
    return a;
}

/* Where the steps of an expression begin: its tensor. */
static unsigned first_step(const onnx_import *import, unsigned index)
{
    nn_tensor source = import->steps[index].tensor;
    unsigned first = index;
    while (import->steps[first].kind != ONNX_STEP_TENSOR || import->steps[first].tensor != source)
        first--;
    return first;
}

double onnx_step_eval(const onnx_import *import, unsigned index, double x)
{
    double value[MAX_SPAN];
    nn_tensor source = import->steps[index].tensor;
    unsigned first = first_step(import, index);
    if (index - first >= MAX_SPAN) return (double)NAN;
    for (unsigned i = first; i <= index; i++) {
        const onnx_step *step = &import->steps[i];
        double *at = &value[i - first];
        *at = 0;
        if (step->tensor != source) continue;
        *at = x;
        if (step->kind == ONNX_STEP_TENSOR) continue;
        *at = combine(step, value[step->a - first],
                      step->has_constant ? step->constant : value[step->b - first]);
    }
    return value[index - first];
}

/* ---- functions of the format ---- */

static double f_relu(double x, double p, double q)
{
    (void)p;
    (void)q;
    return x > 0 ? x : 0;
}
static double f_leaky(double x, double p, double q)
{
    (void)q;
    return x > 0 ? x : p * x;
}
static double f_clip(double x, double p, double q)
{
    return x < p ? p : x > q ? q : x;
}
static double f_sigmoid(double x, double p, double q)
{
    (void)p;
    (void)q;
    return 1 / (1 + exp(-x));
}
static double f_tanh(double x, double p, double q)
{
    (void)p;
    (void)q;
    return tanh(x);
}
static double f_erf(double x, double p, double q)
{
    (void)p;
    (void)q;
    return erf(x);
}
static double f_exp(double x, double p, double q)
{
    (void)p;
    (void)q;
    return exp(x);
}
static double f_log(double x, double p, double q)
{
    (void)p;
    (void)q;
    return log(x);
}
static double f_sqrt(double x, double p, double q)
{
    (void)p;
    (void)q;
    return sqrt(x);
}
static double f_abs(double x, double p, double q)
{
    (void)p;
    (void)q;
    return fabs(x);
}
static double f_elu(double x, double p, double q)
{
    (void)q;
    return x > 0 ? x : p * expm1(x);
}
static double f_selu(double x, double p, double q)
{
    return q * (x > 0 ? x : p * expm1(x));
}
static double f_celu(double x, double p, double q)
{
    (void)q;
    return x > 0 ? x : p * expm1(x / p);
}
static double f_softplus(double x, double p, double q)
{
    (void)p;
    (void)q;
    return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}
static double f_softsign(double x, double p, double q)
{
    (void)p;
    (void)q;
    return x / (1 + fabs(x));
}
static double f_hard_sigmoid(double x, double p, double q)
{
    return f_clip(p * x + q, 0, 1);
}
static double f_hard_swish(double x, double p, double q)
{
    (void)p;
    (void)q;
    return x * f_clip(x / 6 + 0.5, 0, 1);
}
static double f_mish(double x, double p, double q)
{
    return x * tanh(f_softplus(x, p, q));
}
static double f_gelu(double x, double p, double q)
{
    (void)q;
    if (p > 0) return x / 2 * (1 + tanh(0.79788456080286535588 * (x + 0.044715 * x * x * x)));
    return x / 2 * erfc(-x * 0.70710678118654752440);
}

typedef struct function_name {
    const char *op;
    double (*f)(double x, double p, double q);
    const char *first, *second; /* attributes */
    double otherwise, otherwise2;
} function_name;

static const function_name functions[] = {
    {"Relu", f_relu, NULL, NULL, 0, 0},
    {"LeakyRelu", f_leaky, "alpha", NULL, 0.01, 0},
    {"Sigmoid", f_sigmoid, NULL, NULL, 0, 0},
    {"Tanh", f_tanh, NULL, NULL, 0, 0},
    {"Erf", f_erf, NULL, NULL, 0, 0},
    {"Exp", f_exp, NULL, NULL, 0, 0},
    {"Log", f_log, NULL, NULL, 0, 0},
    {"Sqrt", f_sqrt, NULL, NULL, 0, 0},
    {"Abs", f_abs, NULL, NULL, 0, 0},
    {"Elu", f_elu, "alpha", NULL, 1, 0},
    {"Selu", f_selu, "alpha", "gamma", 1.67326319217681884765625, 1.05070102214813232421875},
    {"Celu", f_celu, "alpha", NULL, 1, 0},
    {"Softplus", f_softplus, NULL, NULL, 0, 0},
    {"Softsign", f_softsign, NULL, NULL, 0, 0},
    {"HardSigmoid", f_hard_sigmoid, "alpha", "beta", 0.2, 0.5},
    {"HardSwish", f_hard_swish, NULL, NULL, 0, 0},
    {"Mish", f_mish, NULL, NULL, 0, 0},
};

bool onnx_step_function(ola_function *function, const onnx_step *step)
{
    static const struct {
        double (*f)(double x, double p, double q);
        const char *name;
    } names[] = {{f_relu, "relu"},
                 {f_leaky, "leaky_relu"},
                 {f_clip, "clip"},
                 {f_sigmoid, "sigmoid"},
                 {f_tanh, "tanh"},
                 {f_abs, "abs"},
                 {f_elu, "elu"},
                 {f_softplus, "softplus"},
                 {f_hard_sigmoid, "hard_sigmoid"},
                 {f_hard_swish, "hard_swish"}};
    if (step->kind != ONNX_STEP_UNARY) return false;
    if (step->unary == f_gelu)
        return ola_function_find(function, step->constant > 0 ? "gelu_tanh" : "gelu");
    if (step->unary == f_clip && step->constant == 0 && isinf(step->constant2))
        return ola_function_find(function, "relu");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (step->unary == names[i].f && ola_function_find(function, names[i].name)) {
            if (ola_function_parameters(function) > 0) function->a = step->constant;
            if (ola_function_parameters(function) > 1) function->b = step->constant2;
            return ola_function_check(function) == FHOLA_OK;
        }
    return false;
}

/* ---- nodes ---- */

/* One more step: index becomes that of `kind` of the step it was and a constant. */
static fhola_status constant_step(unsigned *index, onnx_import *import, onnx_step_kind kind,
                                  double constant)
{
    return onnx_step_add(index, import,
                         (onnx_step){.kind = kind,
                                     .tensor = import->steps[*index].tensor,
                                     .a = *index,
                                     .has_constant = true,
                                     .constant = constant});
}

static fhola_status unary(onnx_import *import, double (*f)(double, double, double), double p,
                          double q)
{
    onnx_value *in, out;
    unsigned index = 0;
    fhola_status status = onnx_need_computed(&in, import, 0);
    if (status != FHOLA_OK) return status;
    onnx_step step = {.kind = ONNX_STEP_UNARY,
                      .tensor = import->steps[in->expression].tensor,
                      .a = in->expression,
                      .has_constant = true,
                      .constant = p,
                      .constant2 = q,
                      .unary = f};
    status = onnx_step_add(&index, import, step);
    if (status == FHOLA_OK) status = onnx_like(&out, in, index);
    return status == FHOLA_OK ? onnx_output(import, 0, out) : status;
}

static fhola_status negate(onnx_import *import)
{
    onnx_value *in, out;
    fhola_status status = onnx_need_computed(&in, import, 0);
    if (status != FHOLA_OK) return status;
    unsigned index = in->expression;
    status = constant_step(&index, import, ONNX_STEP_MUL, -1);
    if (status == FHOLA_OK) status = onnx_like(&out, in, index);
    return status == FHOLA_OK ? onnx_output(import, 0, out) : status;
}

static fhola_status bound(double *x, const onnx_import *import, const char *name, size_t index)
{
    const onnx_value *value;
    *x = onnx_float(import, name, *x);
    if (!onnx_input(import, index)) return FHOLA_OK;
    fhola_status status = onnx_need_constant(&value, import, index);
    if (status == FHOLA_OK && onnx_count(&value->dims) != 1)
        status = onnx_refuse(import, "its %s must be one number", name);
    if (status == FHOLA_OK) *x = value->number[0];
    return status;
}

static fhola_status clip(onnx_import *import)
{
    double low = -(double)INFINITY, high = (double)INFINITY;
    fhola_status status = bound(&low, import, "min", 1);
    if (status == FHOLA_OK) status = bound(&high, import, "max", 2);
    return status == FHOLA_OK ? unary(import, f_clip, low, high) : status;
}

/* max(x, constant) and min(x, constant) are clips. */
static fhola_status extreme(onnx_import *import, bool largest)
{
    const onnx_value *constant;
    if (onnx_inputs(import) != 2)
        return onnx_refuse(import, "only of a computed value and one constant");
    fhola_status status = onnx_need_constant(&constant, import, 1);
    if (status == FHOLA_OK && onnx_count(&constant->dims) != 1)
        status = onnx_refuse(import, "the constant must be one number");
    if (status != FHOLA_OK) return status;
    double bound = constant->number[0];
    return unary(import, f_clip, largest ? bound : -(double)INFINITY,
                 largest ? (double)INFINITY : bound);
}

static fhola_status prelu(onnx_import *import)
{
    const onnx_value *slope;
    fhola_status status = onnx_need_constant(&slope, import, 1);
    if (status != FHOLA_OK) return status;
    for (size_t i = 1; i < onnx_count(&slope->dims); i++)
        if (slope->number[i] != slope->number[0])
            return onnx_refuse(import, "its slopes differ from channel to channel; one activation "
                                       "has one function: train with a single slope (LeakyRelu)");
    return unary(import, f_leaky, slope->number[0], 0);
}

static bool same_order(const onnx_value *a, const onnx_value *b)
{
    size_t count = onnx_count(&a->dims);
    if (count != onnx_count(&b->dims) || !a->order != !b->order) return false;
    return !a->order || memcmp(a->order, b->order, count * sizeof *a->order) == 0;
}

static bool same_dims(const onnx_dims *a, const onnx_dims *b)
{
    return a->rank == b->rank && memcmp(a->size, b->size, a->rank * sizeof *a->size) == 0;
}

/* Both computed: a function of the same numbers, or a sum of two tensors. */
static fhola_status two_values(onnx_import *import, onnx_step_kind kind, double sign,
                               const onnx_value *a, const onnx_value *b)
{
    nn_tensor source = import->steps[a->expression].tensor, x, y;
    onnx_value out;
    unsigned index = 0, negative = b->expression;
    bool same = source == import->steps[b->expression].tensor && same_dims(&a->dims, &b->dims) &&
                same_order(a, b);
    if (!same && kind != ONNX_STEP_ADD)
        return onnx_refuse(
            import,
            "it %s two values that both depend on the picture (as squeeze-and-excitation, "
            "gates and attention do); only sums of them can be had",
            kind == ONNX_STEP_MUL ? "multiplies" : "divides or raises");
    if (!same_dims(&a->dims, &b->dims))
        return onnx_refuse(import,
                           "its inputs have different shapes; broadcasting is for constants only");
    fhola_status status = FHOLA_OK;
    if (same) {
        if (sign < 0) status = constant_step(&negative, import, ONNX_STEP_MUL, -1);
        if (status == FHOLA_OK)
            status = onnx_step_add(
                &index, import,
                (onnx_step){.kind = kind, .tensor = source, .a = a->expression, .b = negative});
        if (status == FHOLA_OK) status = onnx_like(&out, a, index);
        return status == FHOLA_OK ? onnx_output(import, 0, out) : status;
    }
    bool ordered = same_order(a, b) && a->order;
    status = ordered ? onnx_apply(import, &x, a) : onnx_in_order(import, &x, a);
    if (status == FHOLA_OK)
        status = ordered ? onnx_apply(import, &y, b) : onnx_in_order(import, &y, b);
    if (status == FHOLA_OK)
        status = nn_graph_combine(import->graph, &x, import->label, x, 1.0, y, sign);
    if (status != FHOLA_OK) return status;
    onnx_value sum = onnx_tensor_value(import, x, a->dims);
    if (!ordered) return onnx_output(import, 0, sum);
    status = onnx_like(&out, a, sum.expression);
    return status == FHOLA_OK ? onnx_output(import, 0, out) : status;
}

/* constant broadcast to dims as numpy does it, in the order of the tensor behind the value. NULL if
 * the shapes do not fit or there is no memory. */
static double *spread(const onnx_value *value, const onnx_value *constant)
{
    size_t count = onnx_count(&value->dims);
    unsigned r = value->dims.rank, cr = constant->dims.rank;
    double *out = malloc((count ? count : 1) * sizeof *out);
    for (unsigned i = 0; out && i < cr; i++) {
        size_t c = constant->dims.size[cr - 1 - i];
        bool fits = i < r ? c == 1 || c == value->dims.size[r - 1 - i] : c == 1;
        if (!fits) {
            free(out);
            return NULL;
        }
    }
    for (size_t j = 0; out && j < count; j++) {
        size_t rest = j, at = 0, step = 1;
        for (unsigned i = 0; i < r && i < cr; i++) {
            size_t size = value->dims.size[r - 1 - i], c = constant->dims.size[cr - 1 - i];
            at += (c == 1 ? 0 : rest % size) * step;
            step *= c;
            rest /= size;
        }
        out[value->order ? value->order[j] : j] = constant->number[at];
    }
    return out;
}

static bool all_equal(const double *values, size_t count)
{
    for (size_t i = 1; i < count; i++)
        if (values[i] != values[0]) return false;
    return true;
}

/* values = numbers of a tensor of this shape; true if each channel has one of them, which then
 * stands first. */
static bool by_channel(double *values, nn_shape shape)
{
    size_t plane = (size_t)shape.height * shape.width;
    for (size_t c = 0; c < shape.channels; c++)
        if (!all_equal(values + c * plane, plane)) return false;
    for (size_t c = 0; c < shape.channels; c++) values[c] = values[c * plane];
    return true;
}

static fhola_status affine(onnx_import *import, onnx_step_kind kind, double *numbers,
                           const onnx_value *value)
{
    nn_tensor tensor;
    onnx_value out;
    fhola_status status = onnx_apply(import, &tensor, value);
    if (status != FHOLA_OK) return status;
    nn_shape shape = nn_graph_shape(import->graph, tensor);
    const double *scale = kind == ONNX_STEP_MUL ? numbers : NULL, *shift = scale ? NULL : numbers;
    status =
        by_channel(numbers, shape)
            ? nn_graph_affine(import->graph, &tensor, import->label, tensor, scale, shift)
            : nn_graph_affine_full(import->graph, &tensor, import->label, tensor, scale, shift);
    if (status != FHOLA_OK) return status;
    onnx_value made = onnx_tensor_value(import, tensor, value->dims);
    status = onnx_like(&out, value, made.expression);
    return status == FHOLA_OK ? onnx_output(import, 0, out) : status;
}

/* Makes the `count` numbers of a constant what is added to or multiplied with the other operand;
 * exponents stay as they are. */
static fhola_status as_operand(onnx_import *import, const char *op, bool swapped, double *numbers,
                               size_t count)
{
    bool divide = strcmp(op, "Div") == 0, subtract = strcmp(op, "Sub") == 0,
         power = strcmp(op, "Pow") == 0;
    if ((divide || power) && swapped)
        return onnx_refuse(import,
                           "a constant over or to the power of a computed value cannot be had");
    if (power && !all_equal(numbers, count))
        return onnx_refuse(import, "exponents that differ from value to value cannot be had");
    for (size_t i = 0; !power && i < count; i++) {
        if (divide) numbers[i] = 1 / numbers[i];
        if (subtract && !swapped) numbers[i] = -numbers[i];
        if (!isfinite(numbers[i]))
            return onnx_refuse(import, "a number of its constant is not finite");
    }
    return FHOLA_OK;
}

/* A value and a constant; `swapped`: constant first. */
static fhola_status with_constant(onnx_import *import, const char *op, const onnx_value *value,
                                  const onnx_value *constant, bool swapped)
{
    size_t count = onnx_count(&value->dims);
    double *numbers = spread(value, constant);
    if (!numbers)
        return onnx_refuse(import, "the constant's shape does not fit that of the computed value");
    bool power = strcmp(op, "Pow") == 0, product = strcmp(op, "Mul") == 0 || strcmp(op, "Div") == 0;
    onnx_step_kind kind = power ? ONNX_STEP_POW : product ? ONNX_STEP_MUL : ONNX_STEP_ADD;
    unsigned index = value->expression;
    bool scalar = all_equal(numbers, count);
    fhola_status status = as_operand(import, op, swapped, numbers, count);
    if (status == FHOLA_OK && strcmp(op, "Sub") == 0 && swapped)
        status = constant_step(&index, import, ONNX_STEP_MUL, -1);
    if (status == FHOLA_OK && scalar) {
        onnx_value out;
        status = constant_step(&index, import, kind, numbers[0]);
        if (status == FHOLA_OK) status = onnx_like(&out, value, index);
        if (status == FHOLA_OK) status = onnx_output(import, 0, out);
    } else if (status == FHOLA_OK) {
        onnx_value negated = *value;
        negated.expression = index;
        status = affine(import, kind, numbers, &negated);
    }
    free(numbers);
    return status;
}

static fhola_status binary(onnx_import *import, const char *op)
{
    const onnx_value *a = onnx_input(import, 0), *b = onnx_input(import, 1);
    static const struct {
        const char *op;
        onnx_step_kind kind;
        double sign;
    } kinds[] = {{"Add", ONNX_STEP_ADD, 1},
                 {"Sub", ONNX_STEP_ADD, -1},
                 {"Mul", ONNX_STEP_MUL, 1},
                 {"Div", ONNX_STEP_DIV, 1},
                 {"Pow", ONNX_STEP_POW, 1}};
    if (!a || !b || a->kind == ONNX_UNKNOWN || b->kind == ONNX_UNKNOWN)
        return onnx_refuse(import, "an input is missing");
    if (a->kind == ONNX_CONSTANT) return with_constant(import, op, b, a, true);
    if (b->kind == ONNX_CONSTANT) return with_constant(import, op, a, b, false);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(op, kinds[i].op) == 0)
            return two_values(import, kinds[i].kind, kinds[i].sign, a, b);
    return onnx_refuse(import, "unknown");
}

fhola_status onnx_pointwise_node(onnx_import *import, bool *done)
{
    const char *op = import->node->op_type;
    *done = true;
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        if (strcmp(op, functions[i].op) == 0) {
            const function_name *f = &functions[i];
            return unary(import, f->f, f->first ? onnx_float(import, f->first, f->otherwise) : 0,
                         f->second ? onnx_float(import, f->second, f->otherwise2) : 0);
        }
    if (strcmp(op, "Gelu") == 0)
        return unary(import, f_gelu, onnx_text_is(import, "approximate", "tanh", false) ? 1 : 0, 0);
    if (strcmp(op, "Clip") == 0) return clip(import);
    if (strcmp(op, "PRelu") == 0) return prelu(import);
    if (strcmp(op, "Max") == 0) return extreme(import, true);
    if (strcmp(op, "Min") == 0) return extreme(import, false);
    if (strcmp(op, "Neg") == 0) return negate(import);
    static const char *const two[] = {"Add", "Sub", "Mul", "Div", "Pow"};
    for (size_t i = 0; i < sizeof two / sizeof *two; i++)
        if (strcmp(op, two[i]) == 0) return binary(import, op);
    *done = false;
    return FHOLA_OK;
}
