/* SPDX-License-Identifier: Apache-2.0 */
/* Calibration and test data: which format a file has, its records, their labels. */
#include "nn/cmd/data.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "ckks/ckks.h"
#include "nn/cmd/cmd.h"

#define MAX_FILE   ((size_t)1 << 32)
#define MAX_LABELS ((size_t)1 << 28)

/* The records that are asked for, and of whom. */
typedef struct request {
    const char *path, *name; /* name: for messages */
    const nn_model *model;   /* NULL: labels do not matter */
    const char *labels;      /* path; NULL: none */
    nn_shape shape;
    size_t first, count; /* count 0: all that follow */
} request;

size_t nn_cmd_values(nn_shape shape)
{
    return (size_t)shape.channels * shape.height * shape.width;
}

/* Makes r->count the number of records, of the `available` ones. */
static fhola_status check_range(request *r, size_t available)
{
    if (r->first >= available || r->count > available - r->first)
        return fhola_fail(FHOLA_RANGE, "%s: records %zu to %zu asked for, there are only %zu",
                          r->name, r->first, r->first + (r->count ? r->count - 1 : 0), available);
    if (r->count == 0) r->count = available - r->first;
    return FHOLA_OK;
}

static fhola_status refuse_labels(const request *r, const char *what)
{
    if (!r->labels) return FHOLA_OK;
    return fhola_fail(FHOLA_PARAM, "%s: %s have labels already; %s is one too many", r->name, what,
                      r->labels);
}

/* ---- labels of arrays ---- */

static fhola_status take_labels(unsigned *labels, const nn_cmd_array *a, const request *r,
                                size_t records)
{
    if (a->kind == 'f')
        return fhola_fail(FHOLA_FORMAT, "%s: labels are integers, not floating point", a->name);
    if (a->rank == 0 || a->count != a->dim[0])
        return fhola_fail(FHOLA_FORMAT, "%s: labels are one number a record, in a row", a->name);
    if (a->count != records)
        return fhola_fail(FHOLA_PARAM, "%s has %zu labels, %s has %zu records", a->name, a->count,
                          r->name, records);
    for (size_t i = 0; i < r->count; i++) {
        double label = nn_cmd_array_get(a, r->first + i);
        if (label < 0 || label > UINT_MAX)
            return fhola_fail(FHOLA_RANGE, "%s: record %zu has the label %.0f", a->name,
                              r->first + i, label);
        labels[i] = (unsigned)label;
    }
    return FHOLA_OK;
}

/* *labels, of r->count records, is to be freed; NULL if nobody wants them. */
static fhola_status load_labels(unsigned **labels, const request *r, size_t records)
{
    unsigned char *bytes;
    size_t length;
    nn_cmd_array a;
    *labels = NULL;
    if (!r->model) return FHOLA_OK;
    if (!r->labels)
        return fhola_fail(FHOLA_PARAM, "%s: an array has no labels: --labels FILE gives them",
                          r->name);
    FHOLA_TRY(nn_cmd_read_input(&bytes, &length, r->labels, MAX_LABELS));
    fhola_status status = nn_cmd_decode_array(&a, bytes, length, nn_cmd_input_name(r->labels));
    if (status == FHOLA_OK && !(*labels = calloc(r->count, sizeof **labels)))
        status = fhola_fail(FHOLA_NOMEM, "no memory for %zu labels", r->count);
    if (status == FHOLA_OK) status = take_labels(*labels, &a, r, records);
    nn_cmd_free_input(bytes, length);
    return status;
}

/* ---- formats ---- */

static fhola_status load_array(nn_batch **batch, request *r, const unsigned char *bytes,
                               size_t length)
{
    nn_cmd_array a;
    unsigned *labels = NULL;
    FHOLA_TRY(nn_cmd_decode_array(&a, bytes, length, r->name));
    size_t records = a.rank ? a.dim[0] : 0;
    FHOLA_TRY(check_range(r, records));
    fhola_status status = load_labels(&labels, r, records);
    if (status == FHOLA_OK)
        status = nn_cmd_array_batch(batch, &a, r->shape, r->first, r->count, labels);
    free(labels);
    return status;
}

/* Pictures that come one after the other, resampled. */
typedef struct album {
    float *values; /* a row for each */
    double *picture;
    unsigned *labels;
    size_t count, each;
} album;

static fhola_status album_init(album *a, const request *r)
{
    *a = (album){.count = r->count, .each = nn_cmd_values(r->shape)};
    if (a->count > SIZE_MAX / sizeof(float) / a->each)
        return fhola_fail(FHOLA_NOMEM, "%s: no memory for %zu pictures", r->name, a->count);
    a->values = malloc(a->count * a->each * sizeof *a->values);
    a->picture = malloc(a->each * sizeof *a->picture);
    a->labels = calloc(a->count, sizeof *a->labels);
    if (!a->values || !a->picture || !a->labels)
        return fhola_fail(FHOLA_NOMEM, "%s: no memory for %zu pictures", r->name, a->count);
    return FHOLA_OK;
}

static void album_clear(album *a)
{
    if (a->values) ckks_wipe(a->values, a->count * a->each * sizeof *a->values);
    if (a->picture) ckks_wipe(a->picture, a->each * sizeof *a->picture);
    free(a->values);
    free(a->picture);
    free(a->labels);
}

/* a->picture becomes picture `index`. */
static void album_put(album *a, size_t index, unsigned label)
{
    for (size_t k = 0; k < a->each; k++) a->values[index * a->each + k] = (float)a->picture[k];
    a->labels[index] = label;
}

/* The values of record `index` of a batch of CIFAR pictures, resampled. */
static fhola_status resample_record(double *values, nn_shape shape, const nn_batch *batch,
                                    size_t index)
{
    static double planes[NN_PICTURE_VALUES];
    static unsigned char pixels[NN_PICTURE_VALUES];
    size_t plane = NN_PICTURE_VALUES / 3;
    nn_batch_picture(batch, index, planes);
    for (size_t i = 0; i < NN_PICTURE_VALUES; i++)
        pixels[i] = (unsigned char)(255 * planes[i % 3 * plane + i / 3] + 0.5);
    fhola_status status =
        nn_picture_resample(values, shape, pixels, NN_PICTURE_SIDE, NN_PICTURE_SIDE);
    ckks_wipe(planes, sizeof planes);
    ckks_wipe(pixels, sizeof pixels);
    return status;
}

static fhola_status resample_all(nn_batch **batch, request *r, const nn_batch *records)
{
    album a;
    r->count = nn_batch_count(records);
    fhola_status status = album_init(&a, r);
    for (size_t i = 0; i < r->count && status == FHOLA_OK; i++) {
        status = resample_record(a.picture, r->shape, records, i);
        if (status == FHOLA_OK) album_put(&a, i, nn_batch_label(records, i));
    }
    if (status == FHOLA_OK)
        status = nn_batch_create(batch, r->shape, r->count, NN_BATCH_FLOATS, a.values, a.labels);
    album_clear(&a);
    return status;
}

static fhola_status load_cifar(nn_batch **batch, request *r, const unsigned char *bytes,
                               size_t length)
{
    nn_batch *records = NULL;
    FHOLA_TRY(refuse_labels(r, "CIFAR records"));
    FHOLA_TRY(nn_batch_decode(&records, bytes, length, r->name, r->first, r->count));
    nn_shape is = nn_batch_shape(records), want = r->shape;
    if (is.channels == want.channels && is.height == want.height && is.width == want.width) {
        *batch = records;
        return FHOLA_OK;
    }
    fhola_status status = resample_all(batch, r, records);
    nn_batch_free(records);
    return status;
}

static fhola_status read_file(double *values, nn_shape shape, const char *path)
{
    unsigned char *bytes;
    size_t length;
    FHOLA_TRY(nn_cmd_check_input(path));
    FHOLA_TRY(nn_cmd_read_input(&bytes, &length, path, NN_CMD_MAX_PICTURE));
    fhola_status status = nn_cmd_decode_picture(values, shape, bytes, length, path);
    nn_cmd_free_input(bytes, length);
    return status;
}

static fhola_status read_files(nn_batch **batch, request *r, const nn_cmd_folder *folder)
{
    album a;
    FHOLA_TRY(check_range(r, folder->count));
    fhola_status status = album_init(&a, r);
    for (size_t i = 0; i < r->count && status == FHOLA_OK; i++) {
        status = read_file(a.picture, r->shape, folder->path[r->first + i]);
        if (status == FHOLA_OK) album_put(&a, i, folder->label[r->first + i]);
    }
    if (status == FHOLA_OK)
        status = nn_batch_create(batch, r->shape, r->count, NN_BATCH_FLOATS, a.values, a.labels);
    album_clear(&a);
    return status;
}

static fhola_status load_folder(nn_batch **batch, request *r)
{
    nn_cmd_folder folder;
    FHOLA_TRY(refuse_labels(r, "folders for each class"));
    fhola_status status = nn_cmd_folder_list(&folder, r->path, r->model);
    if (status == FHOLA_OK) status = read_files(batch, r, &folder);
    nn_cmd_folder_clear(&folder);
    return status;
}

/* ---- which one it is ---- */

static bool is_cifar(size_t length)
{
    return length > 0 &&
           (length % (NN_PICTURE_VALUES + 1) == 0 || length % (NN_PICTURE_VALUES + 2) == 0);
}

bool nn_cmd_is_records(const unsigned char *bytes, size_t length)
{
    return nn_cmd_is_array(bytes, length) || is_cifar(length);
}

static fhola_status decode(nn_batch **batch, request *r, const unsigned char *bytes, size_t length)
{
    if (nn_cmd_is_array(bytes, length)) return load_array(batch, r, bytes, length);
    if (is_cifar(length)) return load_cifar(batch, r, bytes, length);
    /* a file that is none of them: the message is that of what it was probably meant to be */
    if (r->labels || nn_cmd_begins_idx(bytes, length)) return load_array(batch, r, bytes, length);
    return load_cifar(batch, r, bytes, length);
}

static fhola_status load(nn_batch **batch, request *r)
{
    unsigned char *bytes;
    size_t length;
    r->name = nn_cmd_input_name(r->path);
    if (nn_cmd_is_folder(r->path)) return load_folder(batch, r);
    FHOLA_TRY(nn_cmd_read_input(&bytes, &length, r->path, MAX_FILE));
    fhola_status status = decode(batch, r, bytes, length);
    nn_cmd_free_input(bytes, length);
    return status;
}

fhola_status nn_cmd_load_batch(nn_batch **batch, const nn_model *model, const char *path,
                               const char *labels, double first, double count)
{
    nn_model_info info;
    nn_model_describe(model, &info);
    request r = {.path = path,
                 .model = model,
                 .labels = labels,
                 .shape = info.input,
                 .first = (size_t)first,
                 .count = (size_t)count};
    return load(batch, &r);
}

fhola_status nn_cmd_read_records(nn_batch **batch, nn_shape shape, const char *path,
                                 nn_cmd_range records)
{
    request r = {.path = path,
                 .shape = shape,
                 .first = (size_t)records.first,
                 .count = (size_t)(records.last - records.first) + 1};
    return load(batch, &r);
}

fhola_status nn_cmd_read_record(double *values, nn_shape shape, const char *path, double index)
{
    nn_batch *batch = NULL;
    fhola_status status = nn_cmd_read_records(&batch, shape, path, (nn_cmd_range){index, index});
    if (status == FHOLA_OK) nn_batch_picture(batch, 0, values);
    nn_batch_free(batch);
    return status;
}
