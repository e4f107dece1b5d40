/* SPDX-License-Identifier: Apache-2.0 */
/* Values of an ONNX graph while it is read: their names, dimensions and order. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/cmd/onnx/import.h"

size_t onnx_count(const onnx_dims *dims)
{
    size_t count = 1;
    for (unsigned i = 0; i < dims->rank; i++) count *= dims->size[i];
    return count;
}

void onnx_value_clear(onnx_value *value)
{
    free(value->number);
    free(value->order);
    *value = (onnx_value){0};
}

fhola_status onnx_refuse(const onnx_import *import, const char *format, ...)
{
    char text[600];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return fhola_fail(FHOLA_PARAM, "%s: %s: %s", import->path, import->label, text);
}

/* ---- attributes ---- */

const Onnx__Attribute *onnx_attribute(const onnx_import *import, const char *name)
{
    for (size_t i = 0; i < import->node->n_attribute; i++) {
        const Onnx__Attribute *attribute = import->node->attribute[i];
        if (attribute->name && strcmp(attribute->name, name) == 0) return attribute;
    }
    return NULL;
}

int64_t onnx_int(const onnx_import *import, const char *name, int64_t otherwise)
{
    const Onnx__Attribute *attribute = onnx_attribute(import, name);
    return attribute && attribute->has_i ? attribute->i : otherwise;
}

double onnx_float(const onnx_import *import, const char *name, double otherwise)
{
    const Onnx__Attribute *attribute = onnx_attribute(import, name);
    return attribute && attribute->has_f ? (double)attribute->f : otherwise;
}

bool onnx_text_is(const onnx_import *import, const char *name, const char *text, bool otherwise)
{
    const Onnx__Attribute *attribute = onnx_attribute(import, name);
    if (!attribute || !attribute->has_s) return otherwise;
    return attribute->s.len == strlen(text) &&
           memcmp(attribute->s.data, text, attribute->s.len) == 0;
}

fhola_status onnx_ints(int64_t *out, size_t *count, size_t room, const onnx_import *import,
                       const char *name, int index)
{
    const Onnx__Attribute *attribute = onnx_attribute(import, name);
    const onnx_value *value = NULL;
    *count = 0;
    if (!attribute && index >= 0 && onnx_input(import, (size_t)index)) {
        fhola_status status = onnx_need_constant(&value, import, (size_t)index);
        if (status != FHOLA_OK) return status;
    }
    size_t n = attribute ? attribute->n_ints : value ? onnx_count(&value->dims) : 0;
    if (n > room)
        return onnx_refuse(import, "'%s' has %zu numbers; at most %zu make sense here", name, n,
                           room);
    for (size_t i = 0; i < n; i++) {
        double x = attribute ? (double)attribute->ints[i] : value->number[i];
        if (!(x >= -2147483648.0 &&
              x <= 2147483647.0)) /* "to the end" is written as a huge number */
            x = x > 0 ? 2147483647.0 : -2147483648.0;
        out[i] = (int64_t)x;
    }
    *count = n;
    return FHOLA_OK;
}

/* ---- by name ---- */

static size_t hash_name(const char *name)
{
    uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a */
    for (; *name; name++) hash = (hash ^ (unsigned char)*name) * 0x100000001b3u;
    return (size_t)(hash ^ hash >> 32);
}

/* The place of a name in the table, or of the empty slot where it belongs. */
static size_t slot_of(const onnx_import *import, const char *name)
{
    size_t at = hash_name(name) & (import->slot_count - 1);
    while (import->slot[at] && strcmp(import->values[import->slot[at] - 1].name, name) != 0)
        at = (at + 1) & (import->slot_count - 1);
    return at;
}

onnx_value *onnx_find(const onnx_import *import, const char *name)
{
    if (!import->slot_count) return NULL;
    uint32_t index = import->slot[slot_of(import, name)];
    return index ? &import->values[index - 1] : NULL;
}

static fhola_status grow(onnx_import *import)
{
    size_t room = import->value_room ? 2 * import->value_room : 64;
    onnx_value *values = realloc(import->values, room * sizeof *values);
    if (!values) return fhola_fail(FHOLA_NOMEM, "%s: no memory for %zu values", import->path, room);
    import->values = values;
    import->value_room = room;
    uint32_t *slot = calloc(4 * room, sizeof *slot);
    if (!slot) return fhola_fail(FHOLA_NOMEM, "%s: no memory for %zu names", import->path, room);
    free(import->slot);
    import->slot = slot;
    import->slot_count = 4 * room;
    for (size_t i = 0; i < import->value_count; i++)
        slot[slot_of(import, import->values[i].name)] = (uint32_t)i + 1;
    return FHOLA_OK;
}

fhola_status onnx_set(onnx_import *import, const char *name, onnx_value value)
{
    fhola_status status = import->value_count == import->value_room ? grow(import) : FHOLA_OK;
    if (status == FHOLA_OK && onnx_find(import, name))
        status = fhola_fail(FHOLA_FORMAT, "%s: two values are called '%s'", import->path, name);
    if (status != FHOLA_OK) {
        onnx_value_clear(&value);
        return status;
    }
    value.name = name;
    import->slot[slot_of(import, name)] = (uint32_t)import->value_count + 1;
    import->values[import->value_count++] = value;
    return FHOLA_OK;
}

fhola_status onnx_output(onnx_import *import, size_t index, onnx_value value)
{
    if (index < import->node->n_output) return onnx_set(import, import->node->output[index], value);
    onnx_value_clear(&value);
    return onnx_refuse(import, "it has no output %zu", index);
}

size_t onnx_inputs(const onnx_import *import)
{
    size_t count = import->node->n_input;
    while (count > 0 && !*import->node->input[count - 1]) count--;
    return count;
}

onnx_value *onnx_input(const onnx_import *import, size_t index)
{
    if (index >= import->node->n_input || !*import->node->input[index]) return NULL;
    return onnx_find(import, import->node->input[index]);
}

fhola_status onnx_need_constant(const onnx_value **value, const onnx_import *import, size_t index)
{
    onnx_value *input = onnx_input(import, index);
    if (!input || input->kind != ONNX_CONSTANT)
        return onnx_refuse(import,
                           "input %zu must be a constant of the file, but it %s; weights computed "
                           "from the picture cannot be had",
                           index, input ? "is computed by the network" : "is missing");
    *value = input;
    return FHOLA_OK;
}

fhola_status onnx_need_computed(onnx_value **value, const onnx_import *import, size_t index)
{
    onnx_value *input = onnx_input(import, index);
    if (!input || input->kind != ONNX_COMPUTED)
        return onnx_refuse(import, "input %zu %s", index,
                           input ? "is a constant where a computed value belongs" : "is missing");
    *value = input;
    return FHOLA_OK;
}

/* ---- computed values ---- */

onnx_value onnx_tensor_value(onnx_import *import, nn_tensor tensor, onnx_dims dims)
{
    onnx_value value = {.kind = ONNX_COMPUTED, .dims = dims};
    onnx_step step = {.kind = ONNX_STEP_TENSOR, .tensor = tensor};
    if (onnx_step_add(&value.expression, import, step) != FHOLA_OK) value.kind = ONNX_UNKNOWN;
    return value;
}

fhola_status onnx_like(onnx_value *out, const onnx_value *from, unsigned expression)
{
    onnx_value value = {.kind = ONNX_COMPUTED, .dims = from->dims, .expression = expression};
    if (from->order) {
        size_t bytes = onnx_count(&from->dims) * sizeof *value.order;
        value.order = malloc(bytes);
        if (!value.order) return fhola_fail(FHOLA_NOMEM, "no memory for the order of values");
        memcpy(value.order, from->order, bytes);
    }
    *out = value;
    return FHOLA_OK;
}

nn_shape onnx_shape(const onnx_dims *dims)
{
    nn_shape shape = {1, 1, 1};
    unsigned r = dims->rank;
    if (r == 4 || r > 4) {
        for (unsigned i = 1; i + 2 < r; i++) shape.channels *= (unsigned)dims->size[i];
        shape.height = (unsigned)dims->size[r - 2];
        shape.width = (unsigned)dims->size[r - 1];
    } else {
        if (r > 1) shape.channels = (unsigned)dims->size[1];
        if (r > 2) shape.height = (unsigned)dims->size[2];
    }
    return shape;
}

static bool same_shape(nn_shape a, nn_shape b)
{
    return a.channels == b.channels && a.height == b.height && a.width == b.width;
}

fhola_status onnx_in_order(onnx_import *import, nn_tensor *tensor, const onnx_value *value)
{
    nn_shape wanted = onnx_shape(&value->dims);
    fhola_status status = onnx_apply(import, tensor, value);
    if (status != FHOLA_OK) return status;
    if (value->order)
        return nn_graph_select(import->graph, tensor, import->label, *tensor, wanted, value->order);
    if (same_shape(nn_graph_shape(import->graph, *tensor), wanted)) return FHOLA_OK;
    return nn_graph_reshape(import->graph, tensor, import->label, *tensor, wanted);
}
