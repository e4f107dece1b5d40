/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of labelled pictures. */
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "nn/base/file.h"
#include "nn/graph/map.h"
#include "nn/nn.h"

#define MAX_FILE ((size_t)1 << 30)

struct nn_batch {
    nn_shape shape;
    size_t count, values; /* pictures; values of one */
    unsigned *label;
    unsigned char *bytes; /* count * values, or NULL: then */
    float *floats;
    bool part; /* the arrays belong to another batch */
};

static fhola_status allocate(nn_batch **batch, nn_shape shape, size_t count, nn_batch_type type)
{
    nn_batch *b = calloc(1, sizeof *b);
    if (!b) return fhola_fail(FHOLA_NOMEM, "no memory for pictures");
    b->shape = shape;
    b->count = count;
    b->values = nn_shape_values(shape);
    b->label = calloc(count + 1, sizeof *b->label);
    if (b->values == 0 || count > SIZE_MAX / sizeof(float) / b->values) {
        nn_batch_free(b);
        return fhola_fail(FHOLA_PARAM, "%zu pictures of %u x %u x %u values", count, shape.channels,
                          shape.height, shape.width);
    }
    if (type == NN_BATCH_BYTES)
        b->bytes = malloc(count * b->values + 1);
    else
        b->floats = malloc(count * b->values * sizeof *b->floats + 1);
    if (!b->label || (!b->bytes && !b->floats)) {
        nn_batch_free(b);
        return fhola_fail(FHOLA_NOMEM, "no memory for %zu pictures", count);
    }
    *batch = b;
    return FHOLA_OK;
}

fhola_status nn_batch_create(nn_batch **batch, nn_shape shape, size_t count, nn_batch_type type,
                             const void *values, const unsigned *labels)
{
    nn_batch *b;
    fhola_status status = allocate(&b, shape, count, type);
    if (status != FHOLA_OK) return status;
    if (type == NN_BATCH_BYTES)
        memcpy(b->bytes, values, count * b->values);
    else
        memcpy(b->floats, values, count * b->values * sizeof *b->floats);
    for (size_t i = 0; b->floats && i < count * b->values; i++) {
        if (isfinite(b->floats[i])) continue;
        nn_batch_free(b);
        return fhola_fail(FHOLA_RANGE, "record %zu: value %zu is %s", i / nn_shape_values(shape),
                          i % nn_shape_values(shape),
                          isnan(((const float *)values)[i]) ? "NaN" : "infinite");
    }
    if (labels) memcpy(b->label, labels, count * sizeof *labels);
    *batch = b;
    return FHOLA_OK;
}

/* ---- CIFAR records ---- */

/* Bytes of a record: one or two labels, of which the last one counts, then the planes. */
static fhola_status check_records(size_t *record, size_t *count, const char *path,
                                  const unsigned char *bytes, size_t length, size_t first)
{
    *record = NN_PICTURE_VALUES + (length % (NN_PICTURE_VALUES + 1) == 0 ? 1 : 2);
    if (length == 0 || length % *record != 0)
        return nn_file_blame_transfer(
            fhola_fail(FHOLA_FORMAT,
                       "%s: %zu bytes are no whole number of CIFAR-10 (%u bytes) or CIFAR-100 "
                       "(%u bytes) records",
                       path, length, NN_PICTURE_VALUES + 1, NN_PICTURE_VALUES + 2),
            bytes, length, path);
    size_t available = length / *record;
    if (first >= available || *count > available - first)
        return fhola_fail(FHOLA_RANGE, "%s: records %zu to %zu asked for, there are only %zu", path,
                          first, first + (*count ? *count - 1 : 0), available);
    if (*count == 0) *count = available - first;
    return FHOLA_OK;
}

fhola_status nn_batch_decode(nn_batch **batch, const unsigned char *bytes, size_t length,
                             const char *name, size_t first, size_t count)
{
    const nn_shape colour = {3, NN_PICTURE_SIDE, NN_PICTURE_SIDE};
    size_t record;
    nn_batch *b = NULL;
    fhola_status status = check_records(&record, &count, name, bytes, length, first);
    if (status == FHOLA_OK) status = allocate(&b, colour, count, NN_BATCH_BYTES);
    if (status != FHOLA_OK) return status;
    for (size_t i = 0; i < count; i++) {
        const unsigned char *planes = bytes + (first + i + 1) * record - NN_PICTURE_VALUES;
        b->label[i] = planes[-1];
        memcpy(b->bytes + i * NN_PICTURE_VALUES, planes, NN_PICTURE_VALUES);
    }
    *batch = b;
    return FHOLA_OK;
}

fhola_status nn_batch_load(nn_batch **batch, const char *path, size_t first, size_t count)
{
    unsigned char *bytes;
    size_t length;
    fhola_status status = nn_file_read(&bytes, &length, path, MAX_FILE);
    if (status != FHOLA_OK) return status;
    status = nn_batch_decode(batch, bytes, length, path, first, count);
    nn_file_free(bytes, length);
    return status;
}

fhola_status nn_batch_part(nn_batch **part, const nn_batch *whole, size_t first, size_t count)
{
    if (first >= whole->count || count > whole->count - first)
        return fhola_fail(FHOLA_RANGE, "records %zu to %zu of %zu", first,
                          first + (count ? count - 1 : 0), whole->count);
    nn_batch *result = malloc(sizeof *result);
    if (!result) return fhola_fail(FHOLA_NOMEM, "no memory for a part of a batch");
    *result = *whole;
    result->part = true;
    result->count = count ? count : whole->count - first;
    result->label += first;
    if (result->bytes) result->bytes += first * whole->values;
    if (result->floats) result->floats += first * whole->values;
    *part = result;
    return FHOLA_OK;
}

/* ---- reading ---- */

void nn_batch_free(nn_batch *batch)
{
    if (!batch) return;
    if (!batch->part) {
        free(batch->label);
        nn_file_free(batch->bytes, batch->count * batch->values);
        nn_file_free((unsigned char *)batch->floats,
                     batch->count * batch->values * sizeof *batch->floats);
    }
    free(batch);
}

nn_shape nn_batch_shape(const nn_batch *batch)
{
    return batch->shape;
}

size_t nn_batch_count(const nn_batch *batch)
{
    return batch->count;
}

unsigned nn_batch_label(const nn_batch *batch, size_t index)
{
    return batch->label[index];
}

void nn_batch_picture(const nn_batch *batch, size_t index, double *pixels)
{
    size_t from = index * batch->values;
    for (size_t i = 0; i < batch->values; i++)
        pixels[i] = batch->bytes ? batch->bytes[from + i] / 255.0 : (double)batch->floats[from + i];
}
