/* SPDX-License-Identifier: Apache-2.0 */
/* Records in arrays of numbers: their layout, their values. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ckks/ckks.h"
#include "nn/cmd/data.h"

static bool is_gzip(const unsigned char *bytes, size_t length)
{
    return length >= 2 && bytes[0] == 0x1f && bytes[1] == 0x8b;
}

static bool is_zip(const unsigned char *bytes, size_t length)
{
    return length >= 4 && memcmp(bytes, "PK\3\4", 4) == 0;
}

bool nn_cmd_is_array(const unsigned char *bytes, size_t length)
{
    return nn_cmd_is_npy(bytes, length) || nn_cmd_is_idx(bytes, length) || is_gzip(bytes, length) ||
           is_zip(bytes, length);
}

fhola_status nn_cmd_decode_array(nn_cmd_array *array, const unsigned char *bytes, size_t length,
                                 const char *name)
{
    if (nn_cmd_is_npy(bytes, length)) return nn_cmd_decode_npy(array, bytes, length, name);
    if (nn_cmd_begins_idx(bytes, length)) return nn_cmd_decode_idx(array, bytes, length, name);
    if (is_gzip(bytes, length))
        return fhola_fail(FHOLA_FORMAT, "%s: compressed by gzip: gunzip it first", name);
    if (is_zip(bytes, length))
        return fhola_fail(FHOLA_FORMAT,
                          "%s: a zip archive, as .npz files are: save each array by numpy.save",
                          name);
    return fhola_fail(FHOLA_FORMAT, "%s: neither a .npy nor an IDX file", name);
}

/* ---- layouts ---- */

/* "2 x 28 x 28", of dimensions from `from` on. */
static const char *show_dims(char text[128], const nn_cmd_array *a, size_t from)
{
    size_t used = 0;
    (void)snprintf(text, 128, "1");
    for (size_t i = from; i < a->rank && used < 128; i++)
        used += (size_t)snprintf(text + used, 128 - used, i > from ? " x %zu" : "%zu", a->dim[i]);
    return text;
}

/* Whether the dimensions of a record are these; 0 stands for one that is not there. */
static bool is(const nn_cmd_array *a, size_t x, size_t y, size_t z)
{
    const size_t wanted[] = {x, y, z};
    size_t rank = z ? 3 : y ? 2 : 1;
    for (size_t i = 0; i < rank && a->rank == rank + 1; i++)
        if (a->dim[1 + i] != wanted[i]) return false;
    return a->rank == rank + 1;
}

/* Whether a record has so many values, in any dimensions. */
static bool has_values(const nn_cmd_array *a, size_t values)
{
    for (size_t i = 1; i < a->rank; i++) {
        if (!a->dim[i] || values % a->dim[i]) return false;
        values /= a->dim[i];
    }
    return values == 1;
}

/* How the values of records lie, by the shape that the network takes: as in a tensor, or with
 * channels last. */
static fhola_status choose_layout(bool *channels_last, const nn_cmd_array *array, nn_shape shape)
{
    char dims[128];
    size_t c = shape.channels, h = shape.height, w = shape.width;
    bool vector = h == 1 && w == 1, first = is(array, c, h, w), last = is(array, h, w, c);
    *channels_last = false;
    if (array->rank > 0 && vector && has_values(array, c)) return FHOLA_OK;
    if (first && last)
        return fhola_fail(FHOLA_PARAM,
                          "%s: records of %s values may have their channels first or last",
                          array->name, show_dims(dims, array, 1));
    if (c > 1 && is(array, c * h * w, 0, 0))
        return fhola_fail(FHOLA_PARAM,
                          "%s: records of %zu values in a row do not say where the %zu channels "
                          "are; reshape them to %zu x %zu x %zu or %zu x %zu x %zu",
                          array->name, array->dim[1], c, c, h, w, h, w, c);
    *channels_last = last;
    if (first || last || (c == 1 && (is(array, h, w, 0) || is(array, h * w, 0, 0))))
        return FHOLA_OK;
    return fhola_fail(FHOLA_PARAM,
                      "%s: records of %s values, the network takes %zu x %zu x %zu (channels, "
                      "height, width)",
                      array->name, show_dims(dims, array, 1), c, h, w);
}

/* ---- values ---- */

static uint64_t bits_of(const nn_cmd_array *a, size_t index)
{
    const unsigned char *b = a->values + index * a->size;
    uint64_t bits = 0;
    for (unsigned i = 0; i < a->size; i++) bits |= (uint64_t)b[i] << (8 * i);
    return bits;
}

double nn_cmd_array_get(const nn_cmd_array *array, size_t index)
{
    uint64_t bits = bits_of(array, index);
    unsigned unused = 64 - 8 * array->size;
    if (array->kind == 'u') return (double)bits;
    if (array->kind == 'i') {
        uint64_t sign = (uint64_t)1 << (63 - unused);
        return bits & sign ? -(double)((~bits & (sign - 1)) + 1) : (double)bits;
    }
    if (array->size == 8) {
        double x;
        memcpy(&x, &bits, sizeof x);
        return x;
    }
    uint32_t low = (uint32_t)bits;
    float x;
    memcpy(&x, &low, sizeof x);
    return (double)x;
}

/* Index among a record's numbers of value `k` of a tensor. */
static size_t place(size_t k, nn_shape shape, bool channels_last)
{
    size_t plane = (size_t)shape.height * shape.width;
    return channels_last ? k % plane * shape.channels + k / plane : k;
}

static void gather_bytes(unsigned char *to, const nn_cmd_array *array, nn_shape shape,
                         bool channels_last, size_t first, size_t count)
{
    size_t each = nn_cmd_values(shape);
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < each; k++)
            to[i * each + k] = array->values[(first + i) * each + place(k, shape, channels_last)];
}

static fhola_status gather_floats(float *to, const nn_cmd_array *array, nn_shape shape,
                                  bool channels_last, size_t first, size_t count)
{
    size_t each = nn_cmd_values(shape);
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < each; k++) {
            size_t at = place(k, shape, channels_last);
            double x = nn_cmd_array_get(array, (first + i) * each + at);
            if (!(x >= 0 && x <= 1))
                return fhola_fail(FHOLA_RANGE,
                                  "%s: record %zu: value %zu is %g; floating point must be from 0 "
                                  "to 1, uint8 is divided by 255",
                                  array->name, first + i, at, x);
            to[i * each + k] = (float)x;
        }
    }
    return FHOLA_OK;
}

fhola_status nn_cmd_array_batch(nn_batch **batch, const nn_cmd_array *array, nn_shape shape,
                                size_t first, size_t count, const unsigned *labels)
{
    bool channels_last, bytes = array->kind == 'u' && array->size == 1;
    if (!bytes && array->kind != 'f')
        return fhola_fail(FHOLA_FORMAT,
                          "%s: integers of %u bytes; values of pictures are uint8, float32 or "
                          "float64",
                          array->name, array->size);
    FHOLA_TRY(choose_layout(&channels_last, array, shape));
    size_t size = count * nn_cmd_values(shape) * (bytes ? 1 : sizeof(float));
    void *values = malloc(size);
    if (!values)
        return fhola_fail(FHOLA_NOMEM, "%s: no memory for %zu records", array->name, count);
    fhola_status status = FHOLA_OK;
    if (bytes)
        gather_bytes(values, array, shape, channels_last, first, count);
    else
        status = gather_floats(values, array, shape, channels_last, first, count);
    if (status == FHOLA_OK)
        status = nn_batch_create(batch, shape, count, bytes ? NN_BATCH_BYTES : NN_BATCH_FLOATS,
                                 values, labels);
    ckks_wipe(values, size);
    free(values);
    return status;
}
