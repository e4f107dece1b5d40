/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers of an ONNX file: tensors of every type, data in files beside it, and the arithmetic on
 * shapes that exporters write into graphs. */
#define _XOPEN_SOURCE 700
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "nn/cmd/onnx/import.h"

/* Types of elements by their numbers in the format. */
enum {
    TYPE_FLOAT = 1,
    TYPE_UINT8,
    TYPE_INT8,
    TYPE_UINT16,
    TYPE_INT16,
    TYPE_INT32,
    TYPE_INT64,
    TYPE_BOOL = 9,
    TYPE_HALF,
    TYPE_DOUBLE,
    TYPE_UINT32,
    TYPE_UINT64,
    TYPE_BFLOAT16 = 16
};

static size_t width_of(int type)
{
    static const unsigned char width[] = {
        [TYPE_FLOAT] = 4,   [TYPE_UINT8] = 1,  [TYPE_INT8] = 1,   [TYPE_UINT16] = 2,
        [TYPE_INT16] = 2,   [TYPE_INT32] = 4,  [TYPE_INT64] = 8,  [TYPE_BOOL] = 1,
        [TYPE_HALF] = 2,    [TYPE_DOUBLE] = 8, [TYPE_UINT32] = 4, [TYPE_UINT64] = 8,
        [TYPE_BFLOAT16] = 2};
    return type > 0 && (size_t)type < sizeof width ? width[type] : 0;
}

static double from_half(uint64_t bits)
{
    double sign = bits >> 15 & 1 ? -1 : 1, fraction = (double)(bits & 1023);
    int exponent = (int)(bits >> 10 & 31);
    if (exponent == 0) return sign * ldexp(fraction, -24);
    if (exponent == 31) return fraction != 0 ? (double)NAN : sign * (double)INFINITY;
    return sign * ldexp(1024 + fraction, exponent - 25);
}

static double from_float_bits(uint64_t bits)
{
    uint32_t word = (uint32_t)bits;
    float x;
    memcpy(&x, &word, sizeof x);
    return (double)x;
}

static double number_of(uint64_t bits, int type)
{
    double x;
    switch (type) {
    case TYPE_FLOAT: return from_float_bits(bits);
    case TYPE_BFLOAT16: return from_float_bits(bits << 16);
    case TYPE_HALF: return from_half(bits);
    case TYPE_DOUBLE: memcpy(&x, &bits, sizeof x); return x;
    case TYPE_INT8: return (double)(int8_t)bits;
    case TYPE_INT16: return (double)(int16_t)bits;
    case TYPE_INT32: return (double)(int32_t)bits;
    case TYPE_INT64: return (double)(int64_t)bits;
    default: return (double)bits;
    }
}

/* Little-endian, whatever the machine. */
static void read_raw(double *out, size_t count, const unsigned char *bytes, int type)
{
    size_t width = width_of(type);
    for (size_t i = 0; i < count; i++) {
        uint64_t bits = 0;
        for (size_t k = 0; k < width; k++) bits |= (uint64_t)bytes[i * width + k] << (8 * k);
        out[i] = number_of(bits, type);
    }
}

static const char *entry(const Onnx__Tensor *tensor, const char *key)
{
    for (size_t i = 0; i < tensor->n_external_data; i++)
        if (tensor->external_data[i]->key && strcmp(tensor->external_data[i]->key, key) == 0)
            return tensor->external_data[i]->value;
    return NULL;
}

static const char *title(const Onnx__Tensor *tensor)
{
    return tensor->name && *tensor->name ? tensor->name : "(constant)";
}

/* A path below the model's folder: relative, and without a step up; links are followed only as far
 * as they stay inside. */
static FILE *open_beside(char *path, size_t room, const onnx_import *import, const char *location)
{
    const char *slash = strrchr(import->path, '/');
    int folder = slash ? (int)(slash - import->path) : 0;
    char *root = NULL, *real = NULL;
    FILE *file = NULL;
    (void)snprintf(path, room, "%.*s/%s", folder ? folder : 1, folder || slash ? import->path : ".",
                   location);
    errno = EACCES;
    if (*location == '/' || strcmp(location, "..") == 0 || strncmp(location, "../", 3) == 0 ||
        strstr(location, "/../"))
        return NULL;
    char *base = malloc(room);
    if (base) {
        (void)snprintf(base, room, "%.*s", folder ? folder : 1,
                       folder  ? import->path
                       : slash ? "/"
                               : ".");
        root = realpath(base, NULL);
        real = realpath(path, NULL);
    }
    if (root && real) {
        size_t length = strlen(root);
        errno = EACCES;
        if (strncmp(real, root, length) == 0 && (real[length] == '/' || root[length - 1] == '/'))
            file = fopen(real, "rb");
    }
    free(base);
    free(root);
    free(real);
    return file;
}

static fhola_status read_external(double *out, size_t count, const onnx_import *import,
                                  const Onnx__Tensor *tensor)
{
    char path[4096];
    const char *location = entry(tensor, "location"), *offset = entry(tensor, "offset");
    size_t bytes = count * width_of(tensor->data_type);
    unsigned long long from = offset ? strtoull(offset, NULL, 10) : 0;
    if (!location || from > (1ull << 40))
        return fhola_fail(FHOLA_FORMAT,
                          "%s: tensor '%s': its data should be in another file, but no "
                          "usable place is named",
                          import->path, title(tensor));
    FILE *file = open_beside(path, sizeof path, import, location);
    if (!file)
        return fhola_fail(FHOLA_IO, "%s: tensor '%s': %s: %s (data must lie in the model's folder)",
                          import->path, title(tensor), path, strerror(errno));
    struct stat info;
    unsigned char *raw = NULL;
    fhola_status status = FHOLA_OK;
    if (fstat(fileno(file), &info) != 0 || !S_ISREG(info.st_mode) ||
        (unsigned long long)info.st_size < from || (unsigned long long)info.st_size - from < bytes)
        status = fhola_fail(FHOLA_FORMAT, "%s: tensor '%s': %s is too short for %zu bytes at %llu",
                            import->path, title(tensor), path, bytes, from);
    if (status == FHOLA_OK && !(raw = malloc(bytes + 1)))
        status = fhola_fail(FHOLA_NOMEM, "%s: no memory for %zu bytes", path, bytes);
    if (status == FHOLA_OK &&
        (fseeko(file, (off_t)from, SEEK_SET) != 0 || fread(raw, 1, bytes, file) != bytes))
        status = fhola_fail(FHOLA_IO, "%s: tensor '%s': %s: cannot be read", import->path,
                            title(tensor), path);
    if (status == FHOLA_OK) read_raw(out, count, raw, tensor->data_type);
    free(raw);
    (void)fclose(file);
    return status;
}

/* The fields of typed numbers; false if none has `count` of them. */
static bool read_typed(double *out, size_t count, const Onnx__Tensor *t)
{
    for (size_t i = 0; i < count; i++) {
        if (t->n_float_data == count && t->data_type == TYPE_FLOAT)
            out[i] = (double)t->float_data[i];
        else if (t->n_double_data == count && t->data_type == TYPE_DOUBLE)
            out[i] = t->double_data[i];
        else if (t->n_int64_data == count && t->data_type == TYPE_INT64)
            out[i] = (double)t->int64_data[i];
        else if (t->n_uint64_data == count)
            out[i] = (double)t->uint64_data[i];
        else if (t->n_int32_data == count)
            out[i] = number_of((uint64_t)(int64_t)t->int32_data[i], t->data_type);
        else
            return false;
    }
    return true;
}

static fhola_status dims_of(onnx_dims *dims, const onnx_import *import, const Onnx__Tensor *tensor)
{
    size_t count = 1;
    if (tensor->n_dims > ONNX_MAX_RANK)
        return fhola_fail(FHOLA_FORMAT, "%s: tensor '%s' has %zu dimensions; at most %u are read",
                          import->path, title(tensor), tensor->n_dims, ONNX_MAX_RANK);
    dims->rank = (unsigned)tensor->n_dims;
    for (size_t i = 0; i < tensor->n_dims; i++) {
        int64_t d = tensor->dims[i];
        if (d < 0 || (uint64_t)d > ONNX_MAX_VALUES ||
            (d > 0 && count > ONNX_MAX_VALUES / (size_t)d))
            return fhola_fail(FHOLA_FORMAT,
                              "%s: tensor '%s': dimension %zu of %lld: more than %zu numbers, "
                              "or fewer than none",
                              import->path, title(tensor), i, (long long)d, ONNX_MAX_VALUES);
        count *= (size_t)d;
        dims->size[i] = (size_t)d;
    }
    return FHOLA_OK;
}

fhola_status onnx_constant_of(onnx_value *value, const onnx_import *import,
                              const Onnx__Tensor *tensor)
{
    onnx_value result = {.kind = ONNX_CONSTANT};
    size_t width = width_of(tensor->data_type);
    fhola_status status = dims_of(&result.dims, import, tensor);
    if (status != FHOLA_OK) return status;
    size_t count = onnx_count(&result.dims);
    bool external = tensor->data_location == 1;
    if (width == 0)
        return fhola_fail(FHOLA_FORMAT,
                          "%s: tensor '%s' has elements of type %d, which are no numbers "
                          "that can be read",
                          import->path, title(tensor), tensor->data_type);
    /* What the file holds bounds what is allocated. */
    bool there =
        external || (tensor->has_raw_data
                         ? tensor->raw_data.len == count * width
                         : tensor->n_float_data + tensor->n_double_data + tensor->n_int32_data +
                                   tensor->n_int64_data + tensor->n_uint64_data ==
                               count);
    if (!there)
        return fhola_fail(
            FHOLA_FORMAT,
            "%s: tensor '%s' should have %zu numbers, but its data has another length",
            import->path, title(tensor), count);
    result.number = malloc((count + 1) * sizeof *result.number);
    if (!result.number)
        return fhola_fail(FHOLA_NOMEM, "%s: no memory for %zu numbers", import->path, count);
    if (external)
        status = read_external(result.number, count, import, tensor);
    else if (tensor->has_raw_data)
        read_raw(result.number, count, tensor->raw_data.data, tensor->data_type);
    else if (!read_typed(result.number, count, tensor))
        status = fhola_fail(FHOLA_FORMAT,
                            "%s: tensor '%s': its numbers stand in a field of another type",
                            import->path, title(tensor));
    if (status != FHOLA_OK) {
        free(result.number);
        return status;
    }
    *value = result;
    return FHOLA_OK;
}

/* ---- arithmetic on constants ---- */

#define MAX_FOLDED ((size_t)1 << 22) /* numbers of one folded constant */

static fhola_status make(onnx_value *out, onnx_import *import, onnx_dims dims)
{
    size_t count = 1;
    for (unsigned i = 0; i < dims.rank; i++) {
        if (dims.size[i] && count > MAX_FOLDED / dims.size[i])
            return onnx_refuse(import, "a computed constant of more than %zu numbers", MAX_FOLDED);
        count *= dims.size[i];
    }
    *out = (onnx_value){.kind = ONNX_CONSTANT, .dims = dims};
    out->number = calloc(count + 1, sizeof *out->number);
    import->constants += count;
    if (import->constants > ONNX_MAX_VALUES)
        return free(out->number), onnx_refuse(import, "too many computed constants");
    return out->number ? FHOLA_OK
                       : fhola_fail(FHOLA_NOMEM, "%s: no memory for a constant", import->path);
}

static fhola_status fold_constant(onnx_import *import)
{
    const Onnx__Attribute *t = onnx_attribute(import, "value");
    onnx_value out = {0};
    fhola_status status = FHOLA_OK;
    if (t && t->t) {
        status = onnx_constant_of(&out, import, t->t);
    } else {
        const Onnx__Attribute *a = NULL;
        static const char *const names[] = {"value_float", "value_int", "value_floats",
                                            "value_ints"};
        for (size_t i = 0; i < 4 && !a; i++) a = onnx_attribute(import, names[i]);
        if (!a) return onnx_refuse(import, "a constant without numbers");
        bool row = strcmp(a->name, "value_floats") == 0 || strcmp(a->name, "value_ints") == 0;
        size_t count = row ? (a->n_floats ? a->n_floats : a->n_ints) : 1;
        status = make(&out, import, row ? (onnx_dims){1, {count}} : (onnx_dims){0, {0}});
        for (size_t i = 0; i < count && status == FHOLA_OK; i++)
            out.number[i] = !row          ? (a->has_f ? (double)a->f : (double)a->i)
                            : a->n_floats ? (double)a->floats[i]
                                          : (double)a->ints[i];
    }
    return status == FHOLA_OK ? onnx_output(import, 0, out) : status;
}

static fhola_status fold_shape(onnx_import *import)
{
    const onnx_value *in = onnx_input(import, 0);
    onnx_value out = {0};
    if (!in) return onnx_refuse(import, "its input is missing");
    fhola_status status = make(&out, import, (onnx_dims){1, {in->dims.rank}});
    for (unsigned i = 0; i < in->dims.rank && status == FHOLA_OK; i++)
        out.number[i] = (double)in->dims.size[i];
    return status == FHOLA_OK ? onnx_output(import, 0, out) : status;
}

/* Rows along the first dimension by their numbers. */
static fhola_status fold_gather(onnx_import *import)
{
    const onnx_value *data = onnx_input(import, 0), *index = onnx_input(import, 1);
    onnx_value out = {0};
    if (data->dims.rank != 1 || onnx_int(import, "axis", 0) != 0 || index->dims.rank > 1)
        return onnx_refuse(import, "only of a row of numbers");
    fhola_status status = make(&out, import, index->dims);
    for (size_t i = 0; status == FHOLA_OK && i < onnx_count(&index->dims); i++) {
        double at =
            index->number[i] < 0 ? index->number[i] + (double)data->dims.size[0] : index->number[i];
        if (!(at >= 0 && at < (double)data->dims.size[0])) {
            onnx_value_clear(&out);
            return onnx_refuse(import, "index %g of %zu", index->number[i], data->dims.size[0]);
        }
        out.number[i] = data->number[(size_t)at];
    }
    return status == FHOLA_OK ? onnx_output(import, 0, out) : status;
}

static fhola_status fold_concat(onnx_import *import)
{
    onnx_value out = {0};
    size_t count = 0, at = 0;
    for (size_t i = 0; i < import->node->n_input; i++) {
        if (onnx_input(import, i)->dims.rank != 1)
            return onnx_refuse(import, "only of rows of numbers");
        count += onnx_count(&onnx_input(import, i)->dims);
    }
    fhola_status status = make(&out, import, (onnx_dims){1, {count}});
    for (size_t i = 0; status == FHOLA_OK && i < import->node->n_input; i++) {
        const onnx_value *in = onnx_input(import, i);
        memcpy(out.number + at, in->number, onnx_count(&in->dims) * sizeof *out.number);
        at += onnx_count(&in->dims);
    }
    return status == FHOLA_OK ? onnx_output(import, 0, out) : status;
}

static fhola_status fold_slice(onnx_import *import)
{
    const onnx_value *in = onnx_input(import, 0);
    int64_t start[1] = {0}, end[1] = {0}, step[1] = {1};
    size_t n = 0, m = 0, k = 0;
    onnx_value out = {0};
    if (in->dims.rank != 1) return onnx_refuse(import, "only of a row of numbers");
    int64_t size = (int64_t)in->dims.size[0];
    fhola_status status = onnx_ints(start, &n, 1, import, "starts", 1);
    if (status == FHOLA_OK) status = onnx_ints(end, &m, 1, import, "ends", 2);
    if (status == FHOLA_OK) status = onnx_ints(step, &k, 1, import, "steps", 4);
    if (status == FHOLA_OK && (n != 1 || m != 1 || (k && step[0] != 1)))
        status = onnx_refuse(import, "only one start and end with a step of 1");
    if (status != FHOLA_OK) return status;
    for (int64_t *x = start; x; x = x == start ? end : NULL) {
        if (*x < 0) *x += size;
        *x = *x < 0 ? 0 : *x > size ? size : *x;
    }
    size_t count = end[0] > start[0] ? (size_t)(end[0] - start[0]) : 0;
    status = make(&out, import, (onnx_dims){1, {count}});
    if (status != FHOLA_OK) return status;
    memcpy(out.number, in->number + start[0], count * sizeof *out.number);
    return onnx_output(import, 0, out);
}

static double arithmetic(char op, double a, double b)
{
    return op == 'A' ? a + b : op == 'S' ? a - b : op == 'M' ? a * b : b != 0 ? a / b : 0;
}

static fhola_status fold_arithmetic(onnx_import *import)
{
    const onnx_value *a = onnx_input(import, 0), *b = onnx_input(import, 1);
    size_t n = onnx_count(&a->dims), m = onnx_count(&b->dims);
    onnx_value out = {0};
    if (n != m && n != 1 && m != 1) return onnx_refuse(import, "constants of different shapes");
    fhola_status status = make(&out, import, n >= m ? a->dims : b->dims);
    for (size_t i = 0; status == FHOLA_OK && i < onnx_count(&out.dims); i++)
        out.number[i] = arithmetic(import->node->op_type[0], a->number[n == 1 ? 0 : i],
                                   b->number[m == 1 ? 0 : i]);
    return status == FHOLA_OK ? onnx_output(import, 0, out) : status;
}

static fhola_status fold_fill(onnx_import *import)
{
    const onnx_value *shape = onnx_input(import, 0);
    const Onnx__Attribute *value = onnx_attribute(import, "value");
    onnx_value out = {0}, number = {0};
    onnx_dims dims = {(unsigned)onnx_count(&shape->dims), {0}};
    if (dims.rank > ONNX_MAX_RANK)
        return onnx_refuse(import, "more than %u dimensions", ONNX_MAX_RANK);
    for (unsigned i = 0; i < dims.rank; i++) {
        if (!(shape->number[i] >= 0 && shape->number[i] <= (double)MAX_FOLDED))
            return onnx_refuse(import, "a dimension of %g", shape->number[i]);
        dims.size[i] = (size_t)shape->number[i];
    }
    fhola_status status =
        value && value->t ? onnx_constant_of(&number, import, value->t) : FHOLA_OK;
    if (status == FHOLA_OK) status = make(&out, import, dims);
    for (size_t i = 0; status == FHOLA_OK && number.number && i < onnx_count(&dims); i++)
        out.number[i] = number.number[0];
    onnx_value_clear(&number);
    return status == FHOLA_OK ? onnx_output(import, 0, out) : status;
}

static bool all_constant(const onnx_import *import)
{
    for (size_t i = 0; i < import->node->n_input; i++) {
        if (!*import->node->input[i]) continue;
        const onnx_value *value = onnx_input(import, i);
        if (!value || value->kind != ONNX_CONSTANT) return false;
    }
    return import->node->n_input > 0;
}

fhola_status onnx_fold(onnx_import *import, bool *done)
{
    const char *op = import->node->op_type;
    *done = true;
    if (strcmp(op, "Constant") == 0) return fold_constant(import);
    if (strcmp(op, "Shape") == 0) return fold_shape(import);
    *done = all_constant(import);
    if (!*done) return FHOLA_OK;
    if (strcmp(op, "Gather") == 0) return fold_gather(import);
    if (strcmp(op, "Concat") == 0) return fold_concat(import);
    if (strcmp(op, "Slice") == 0) return fold_slice(import);
    if (strcmp(op, "ConstantOfShape") == 0) return fold_fill(import);
    static const char *const two[] = {"Add", "Sub", "Mul", "Div"};
    for (size_t i = 0; i < 4; i++)
        if (strcmp(op, two[i]) == 0) return fold_arithmetic(import);
    *done = false; /* what moves numbers about is in shapes.c, for constants as well */
    return FHOLA_OK;
}
