/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/graph/safetensors.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "nn/base/file.h"
#include "nn/base/json.h"

#define MAX_FILE     ((size_t)1 << 30)
#define MAX_HEADER   ((size_t)1 << 23)
#define LENGTH_BYTES 8u

struct nn_safetensors {
    const unsigned char *bytes; /* the whole file */
    unsigned char *owned;       /* the same, if it is to be freed */
    nn_json *header;
    nn_weight_tensor *tensors; /* sorted by begin */
    size_t count;
};

static const struct dtype_info {
    const char *name;
    nn_dtype dtype;
    size_t size;
} dtypes[] = {{"F32", NN_F32, 4},         {"F64", NN_F64, 8},         {"F16", NN_F16, 2},
              {"BF16", NN_BF16, 2},       {"I64", NN_I64, 8},         {"U64", NN_OTHER_DTYPE, 8},
              {"I32", NN_OTHER_DTYPE, 4}, {"U32", NN_OTHER_DTYPE, 4}, {"I16", NN_OTHER_DTYPE, 2},
              {"U16", NN_OTHER_DTYPE, 2}, {"I8", NN_OTHER_DTYPE, 1},  {"U8", NN_OTHER_DTYPE, 1},
              {"BOOL", NN_OTHER_DTYPE, 1}};

/* A whole number of a JSON value, at most the file limit; false if it is anything else. */
static bool whole_number(const nn_json *value, size_t *number)
{
    if (!value || value->type != NN_JSON_NUMBER || value->number < 0 ||
        value->number > (double)MAX_FILE || value->number != floor(value->number))
        return false;
    *number = (size_t)value->number;
    return true;
}

static fhola_status read_dtype(nn_weight_tensor *tensor, size_t *size, const nn_json *entry,
                               const char *path)
{
    const nn_json *dtype = nn_json_get(entry, "dtype");
    if (!dtype || dtype->type != NN_JSON_STRING)
        return fhola_fail(FHOLA_FORMAT, "%s: tensor %s has no dtype", path, tensor->name);
    for (size_t i = 0; i < sizeof dtypes / sizeof dtypes[0]; i++) {
        if (strcmp(dtypes[i].name, dtype->string) == 0) {
            tensor->dtype = dtypes[i].dtype;
            tensor->dtype_name = dtypes[i].name;
            *size = dtypes[i].size;
            return FHOLA_OK;
        }
    }
    return fhola_fail(FHOLA_FORMAT, "%s: tensor %s has the unknown dtype %.40s", path, tensor->name,
                      dtype->string);
}

static fhola_status read_shape(nn_weight_tensor *tensor, const nn_json *entry, const char *path)
{
    const nn_json *shape = nn_json_get(entry, "shape");
    if (!shape || shape->type != NN_JSON_ARRAY || shape->count > NN_TENSOR_MAX_RANK)
        return fhola_fail(FHOLA_FORMAT, "%s: tensor %s has no shape of at most %u dimensions", path,
                          tensor->name, NN_TENSOR_MAX_RANK);
    tensor->count = 1;
    for (const nn_json *side = shape->child; side; side = side->next) {
        size_t length;
        if (!whole_number(side, &length))
            return fhola_fail(FHOLA_FORMAT, "%s: tensor %s has a bad shape", path, tensor->name);
        if (length && tensor->count > MAX_FILE / length)
            return fhola_fail(FHOLA_FORMAT, "%s: tensor %s is larger than any file may be", path,
                              tensor->name);
        tensor->shape[tensor->rank++] = length;
        tensor->count *= length;
    }
    return FHOLA_OK;
}

static fhola_status read_range(nn_weight_tensor *tensor, size_t size, const nn_json *entry,
                               size_t available, const char *path)
{
    const nn_json *range = nn_json_get(entry, "data_offsets");
    if (!range || range->type != NN_JSON_ARRAY || range->count != 2 ||
        !whole_number(range->child, &tensor->begin) ||
        !whole_number(range->child->next, &tensor->end) || tensor->begin > tensor->end)
        return fhola_fail(FHOLA_FORMAT, "%s: tensor %s has bad data_offsets", path, tensor->name);
    if (tensor->end > available)
        return fhola_fail(FHOLA_FORMAT,
                          "%s: truncated: tensor %s ends at byte %zu of %zu bytes of data", path,
                          tensor->name, tensor->end, available);
    if (tensor->end - tensor->begin != tensor->count * size)
        return fhola_fail(FHOLA_FORMAT, "%s: tensor %s: %zu bytes do not hold its %zu elements",
                          path, tensor->name, tensor->end - tensor->begin, tensor->count);
    return FHOLA_OK;
}

static int by_position(const void *a, const void *b)
{
    const nn_weight_tensor *left = a, *right = b;
    if (left->begin != right->begin) return left->begin < right->begin ? -1 : 1;
    return left->end < right->end ? -1 : left->end > right->end;
}

static fhola_status check_coverage(const nn_safetensors *file, size_t available, const char *path)
{
    size_t at = 0;
    for (size_t i = 0; i < file->count; i++) {
        const nn_weight_tensor *tensor = &file->tensors[i];
        if (tensor->begin != at)
            return fhola_fail(FHOLA_FORMAT,
                              "%s: tensor %s starts at byte %zu of the data, byte %zu expected",
                              path, tensor->name, tensor->begin, at);
        at = tensor->end;
    }
    if (at != available)
        return fhola_fail(FHOLA_FORMAT, "%s: %zu bytes after the last tensor", path,
                          available - at);
    return FHOLA_OK;
}

static fhola_status read_metadata(const nn_json *metadata, const char *path)
{
    if (metadata->type != NN_JSON_OBJECT)
        return fhola_fail(FHOLA_FORMAT, "%s: __metadata__ is not an object", path);
    for (const nn_json *entry = metadata->child; entry; entry = entry->next)
        if (entry->type != NN_JSON_STRING)
            return fhola_fail(FHOLA_FORMAT, "%s: __metadata__ entry %.80s is not a string", path,
                              entry->key);
    return FHOLA_OK;
}

static fhola_status read_header(nn_safetensors *file, size_t header_length, size_t file_length,
                                const char *path)
{
    if (file->header->type != NN_JSON_OBJECT)
        return fhola_fail(FHOLA_FORMAT, "%s: the header is not a JSON object", path);
    const unsigned char *data = file->bytes + LENGTH_BYTES + header_length;
    size_t available = file_length - LENGTH_BYTES - header_length;
    file->tensors = calloc(file->header->count + 1, sizeof *file->tensors);
    if (!file->tensors)
        return fhola_fail(FHOLA_NOMEM, "%s: no memory for %zu tensors", path, file->header->count);
    for (const nn_json *entry = file->header->child; entry; entry = entry->next) {
        fhola_status status;
        if (strcmp(entry->key, "__metadata__") == 0) {
            status = read_metadata(entry, path);
            if (status != FHOLA_OK) return status;
            continue;
        }
        nn_weight_tensor *tensor = &file->tensors[file->count];
        size_t size = 0;
        tensor->name = entry->key;
        status = read_dtype(tensor, &size, entry, path);
        if (status == FHOLA_OK) status = read_shape(tensor, entry, path);
        if (status == FHOLA_OK) status = read_range(tensor, size, entry, available, path);
        if (status != FHOLA_OK) return status;
        tensor->bytes = data + tensor->begin;
        file->count++;
    }
    qsort(file->tensors, file->count, sizeof *file->tensors, by_position);
    return check_coverage(file, available, path);
}

static fhola_status header_length(size_t *length, const unsigned char *bytes, size_t file_length,
                                  const char *path)
{
    if (file_length < LENGTH_BYTES)
        return fhola_fail(FHOLA_FORMAT, "%s: not a safetensors file: %zu bytes are too few", path,
                          file_length);
    if (memcmp(bytes, "PK\003\004", 4) == 0)
        return fhola_fail(FHOLA_FORMAT,
                          "%s: not a safetensors file but a zip archive, as torch.save writes it; "
                          "export.py makes one of it, see man fhola",
                          path);
    uint64_t value = 0;
    for (unsigned i = LENGTH_BYTES; i-- > 0;) value = value << 8 | bytes[i];
    if (value > MAX_HEADER)
        return fhola_fail(FHOLA_FORMAT, "%s: not a safetensors file: a header of %llu bytes", path,
                          (unsigned long long)value);
    if (value > file_length - LENGTH_BYTES)
        return fhola_fail(FHOLA_FORMAT, "%s: truncated: a header of %llu bytes in a file of %zu",
                          path, (unsigned long long)value, file_length);
    *length = (size_t)value;
    return FHOLA_OK;
}

fhola_status nn_safetensors_decode(nn_safetensors **file, const unsigned char *bytes, size_t length,
                                   const char *path)
{
    nn_safetensors *result = calloc(1, sizeof *result);
    if (!result) return fhola_fail(FHOLA_NOMEM, "%s: no memory", path);
    size_t header = 0;
    result->bytes = bytes;
    fhola_status status = header_length(&header, bytes, length, path);
    if (status == FHOLA_OK)
        status = nn_json_parse(&result->header, (const char *)bytes + LENGTH_BYTES, header, path);
    if (status == FHOLA_OK) status = read_header(result, header, length, path);
    if (status != FHOLA_OK) {
        nn_safetensors_close(result);
        return nn_file_blame_transfer(status, bytes, length, path);
    }
    *file = result;
    return FHOLA_OK;
}

fhola_status nn_safetensors_open(nn_safetensors **file, const char *path)
{
    unsigned char *bytes;
    size_t length;
    fhola_status status = nn_file_read(&bytes, &length, path, MAX_FILE);
    if (status != FHOLA_OK) return status;
    status = nn_safetensors_decode(file, bytes, length, path);
    if (status == FHOLA_OK)
        (*file)->owned = bytes;
    else
        free(bytes);
    return status;
}

void nn_safetensors_close(nn_safetensors *file)
{
    if (!file) return;
    nn_json_free(file->header);
    free(file->tensors);
    free(file->owned);
    free(file);
}

size_t nn_safetensors_count(const nn_safetensors *file)
{
    return file->count;
}

const nn_weight_tensor *nn_safetensors_tensor(const nn_safetensors *file, size_t index)
{
    return &file->tensors[index];
}

const nn_weight_tensor *nn_safetensors_find(const nn_safetensors *file, const char *name)
{
    for (size_t i = 0; i < file->count; i++)
        if (strcmp(file->tensors[i].name, name) == 0) return &file->tensors[i];
    return NULL;
}

const char *nn_safetensors_metadata(const nn_safetensors *file, const char *key)
{
    const nn_json *entry = nn_json_get(nn_json_get(file->header, "__metadata__"), key);
    return entry ? entry->string : NULL;
}

static uint64_t little_endian(const unsigned char *bytes, size_t size)
{
    uint64_t value = 0;
    for (size_t i = size; i-- > 0;) value = value << 8 | bytes[i];
    return value;
}

static double from_f32(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return (double)value;
}

static double from_f64(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* IEEE 754 binary16. */
static double from_f16(uint32_t bits)
{
    int exponent = (int)(bits >> 10 & 31u);
    double mantissa = (double)(bits & 1023u), value;
    if (exponent == 31)
        value = mantissa == 0.0 ? (double)INFINITY : (double)NAN;
    else if (exponent == 0)
        value = ldexp(mantissa, -24);
    else
        value = ldexp(mantissa + 1024.0, exponent - 25);
    return bits >> 15 ? -value : value;
}

fhola_status nn_tensor_values(double *values, const nn_weight_tensor *tensor, const char *path)
{
    for (size_t i = 0; i < tensor->count; i++) {
        switch (tensor->dtype) {
        case NN_F32: values[i] = from_f32((uint32_t)little_endian(tensor->bytes + 4 * i, 4)); break;
        case NN_F64: values[i] = from_f64(little_endian(tensor->bytes + 8 * i, 8)); break;
        case NN_F16: values[i] = from_f16((uint32_t)little_endian(tensor->bytes + 2 * i, 2)); break;
        case NN_BF16:
            values[i] = from_f32((uint32_t)little_endian(tensor->bytes + 2 * i, 2) << 16);
            break;
        default:
            return fhola_fail(FHOLA_FORMAT, "%s: tensor %s: %s is no floating-point type", path,
                              tensor->name, tensor->dtype_name);
        }
        if (!isfinite(values[i]))
            return fhola_fail(FHOLA_FORMAT, "%s: tensor %s: element %zu is %s", path, tensor->name,
                              i, isnan(values[i]) ? "NaN" : "infinite");
    }
    return FHOLA_OK;
}
