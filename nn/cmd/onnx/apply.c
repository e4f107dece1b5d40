/* SPDX-License-Identifier: Apache-2.0 */
/* From an expression to layers of the graph: factors and shifts around it become affine layers, the
 * function between them one activation: one that has a name, or a table of points. */
#include <math.h>
#include <stdlib.h>

#include "nn/cmd/onnx/import.h"

#define SAME         1e-6 /* two functions are one if they differ by less than this times 1 + |y| */
#define TABLE_POINTS 4097u
#define TABLE_REACH  64.0 /* beyond, a table goes on as a straight line */

static bool is_scalar_affine(const onnx_step *step)
{
    return step->has_constant && (step->kind == ONNX_STEP_ADD || step->kind == ONNX_STEP_MUL);
}

static fhola_status apply_affine(onnx_import *import, nn_tensor *tensor, const onnx_step *step)
{
    unsigned channels = nn_graph_shape(import->graph, *tensor).channels;
    double *numbers = malloc(channels * sizeof *numbers);
    if (!numbers) return fhola_fail(FHOLA_NOMEM, "no memory for %u channels", channels);
    for (unsigned c = 0; c < channels; c++) numbers[c] = step->constant;
    bool scale = step->kind == ONNX_STEP_MUL;
    fhola_status status = nn_graph_affine(import->graph, tensor, import->label, *tensor,
                                          scale ? numbers : NULL, scale ? NULL : numbers);
    free(numbers);
    return status;
}

/* The step below which only factors and shifts stand: a function of one tensor's values after
 * `affine` of them. */
static bool only_affine(const onnx_import *import, unsigned index)
{
    while (is_scalar_affine(&import->steps[index])) index = import->steps[index].a;
    return import->steps[index].kind == ONNX_STEP_TENSOR;
}

/* Points at which functions are compared, close together where activations bend. */
static double point(unsigned i, unsigned count)
{
    double t = 2.0 * i / (count - 1) - 1; /* -1 to 1 */
    return TABLE_REACH * t * (0.1 + 0.9 * t * t);
}

static bool same_function(const onnx_import *import, unsigned index, const ola_function *f)
{
    for (unsigned i = 0; i < 257; i++) {
        double x = point(i, 257), y = onnx_step_eval(import, index, x), z = ola_function_eval(f, x);
        if (!(fabs(y - z) <= SAME * (1 + fabs(z)))) return false;
    }
    return true;
}

static bool find_by_values(ola_function *f, const onnx_import *import, unsigned index)
{
    const char *name;
    for (size_t i = 0; (name = ola_function_list(i)); i++)
        if (ola_function_find(f, name) && same_function(import, index, f)) return true;
    return false;
}

static fhola_status activate(onnx_import *import, nn_tensor *tensor, const ola_function *f)
{
    bool table = f->kind == OLA_TABLE;
    nn_activation_spec spec = {.kind = table ? "table" : ola_function_name(f),
                               .a = f->a,
                               .b = f->b,
                               .count = f->count,
                               .x = f->x,
                               .y = f->y};
    return nn_graph_activation(import->graph, tensor, import->label, *tensor, &spec);
}

static fhola_status apply_table(onnx_import *import, nn_tensor *tensor, unsigned index)
{
    double *x = malloc(2 * TABLE_POINTS * sizeof *x), *y = x ? x + TABLE_POINTS : NULL;
    if (!x) return fhola_fail(FHOLA_NOMEM, "no memory for a table of %u points", TABLE_POINTS);
    fhola_status status = FHOLA_OK;
    for (unsigned i = 0; i < TABLE_POINTS && status == FHOLA_OK; i++) {
        x[i] = point(i, TABLE_POINTS);
        y[i] = onnx_step_eval(import, index, x[i]);
        if (!isfinite(y[i]))
            status = onnx_refuse(import, "the activation before it is not finite at %g", x[i]);
    }
    ola_function f = {.kind = OLA_TABLE, .count = TABLE_POINTS, .x = x, .y = y};
    if (status == FHOLA_OK) status = activate(import, tensor, &f);
    free(x);
    return status;
}

static fhola_status apply_step(onnx_import *import, nn_tensor *tensor, unsigned index);

/* `index` is no tensor and no affine step. */
static fhola_status apply_function(onnx_import *import, nn_tensor *tensor, unsigned index)
{
    const onnx_step *step = &import->steps[index];
    ola_function f = {0};
    if (onnx_step_function(&f, step) && only_affine(import, step->a)) {
        fhola_status status = apply_step(import, tensor, step->a);
        return status == FHOLA_OK ? activate(import, tensor, &f) : status;
    }
    *tensor = step->tensor;
    return find_by_values(&f, import, index) ? activate(import, tensor, &f)
                                             : apply_table(import, tensor, index);
}

/* Factors and shifts at the end of an expression become layers of their own, but not where they
 * belong to a function with a name (GELU ends with a factor of 1/2). */
static bool ends_affine(const onnx_import *import, unsigned index)
{
    ola_function f;
    return is_scalar_affine(&import->steps[index]) && !import->steps[index].applied &&
           (only_affine(import, index) || !find_by_values(&f, import, index));
}

/* Steps are applied from the tensor upwards; each result is kept, so that two readers share it. */
static fhola_status apply_step(onnx_import *import, nn_tensor *tensor, unsigned index)
{
    unsigned bottom = index, count = 0;
    while (ends_affine(import, bottom)) {
        bottom = import->steps[bottom].a;
        count++;
    }
    onnx_step *step = &import->steps[bottom];
    fhola_status status = FHOLA_OK;
    *tensor = step->applied ? step->result : step->tensor;
    if (!step->applied && step->kind != ONNX_STEP_TENSOR)
        status = apply_function(import, tensor, bottom);
    if (status != FHOLA_OK) return status;
    import->steps[bottom].applied = true;
    import->steps[bottom].result = *tensor;
    for (; count > 0; count--) { /* the affine steps above, lowest first */
        unsigned at = index;
        for (unsigned k = 1; k < count; k++) at = import->steps[at].a;
        status = apply_affine(import, tensor, &import->steps[at]);
        if (status != FHOLA_OK) return status;
        import->steps[at].applied = true;
        import->steps[at].result = *tensor;
    }
    return FHOLA_OK;
}

fhola_status onnx_apply(onnx_import *import, nn_tensor *tensor, const onnx_value *value)
{
    return apply_step(import, tensor, value->expression);
}
