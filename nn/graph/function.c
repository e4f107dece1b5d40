/* SPDX-License-Identifier: Apache-2.0 */
/* The activation function of a model: by name, or piecewise linear through points of a file. */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <stdlib.h>
#include <string.h>

#include "nn/base/file.h"
#include "nn/base/json.h"
#include "nn/graph/model_io.h"
#include "nn/nn.h"

#define MAX_FILE   ((size_t)1 << 22)
#define MAX_POINTS 65536u

static const struct {
    const char *name, *title;
} names[] = {[OLA_RELU] = {"relu", "ReLU"},
             [OLA_GELU] = {"gelu", "GELU"},
             [OLA_SILU] = {"silu", "SiLU"},
             [OLA_TABLE] = {"table", "the table"}};

const char *nn_function_title(const ola_function *f)
{
    return names[f->kind].title;
}

bool nn_function_find(ola_function_kind *kind, const char *name)
{
    for (int k = OLA_RELU; k < OLA_TABLE; k++)
        if (strcmp(name, names[k].name) == 0) {
            *kind = (ola_function_kind)k;
            return true;
        }
    return false;
}

uint64_t nn_model_exact_hash(const nn_model *model)
{
    const ola_function *f = &model->function;
    uint64_t hash = model->hash, kind = (uint64_t)f->kind;
    if (f->kind == OLA_RELU) return hash;
    hash = XXH3_64bits_withSeed(&kind, sizeof kind, hash);
    if (f->kind == OLA_TABLE) hash = XXH3_64bits_withSeed(f->x, 2 * f->count * sizeof *f->x, hash);
    return hash;
}

/* An array of [x, y]: all x, then all y. */
static fhola_status parse_points(double **points, size_t *count, const char *text, size_t length,
                                 const char *path)
{
    nn_json *root;
    fhola_status status = nn_json_parse(&root, text, length, path);
    if (status != FHOLA_OK) return status;
    if (root->type != NN_JSON_ARRAY || root->count < 2 || root->count > MAX_POINTS)
        status = nn_json_reject(root, root, path,
                                "a table of points must be an array of 2 to 65536 pairs [x, y]");
    size_t n = root->count, k = 0;
    double *values = status == FHOLA_OK ? malloc(2 * n * sizeof *values) : NULL;
    if (status == FHOLA_OK && !values)
        status = fhola_fail(FHOLA_NOMEM, "%s: no memory for %zu points", path, n);
    for (const nn_json *pair = root->child; pair && status == FHOLA_OK; pair = pair->next, k++) {
        double xy[2];
        status = nn_json_get_row(xy, pair, root, 2, "point", path);
        if (status == FHOLA_OK) {
            values[k] = xy[0];
            values[n + k] = xy[1];
        }
    }
    nn_json_free(root);
    if (status == FHOLA_OK) {
        *points = values;
        *count = n;
    } else {
        free(values);
    }
    return status;
}

static fhola_status load_table(nn_model *model, const char *path)
{
    unsigned char *bytes;
    size_t length, count = 0;
    double *points = NULL;
    fhola_status status = nn_file_read(&bytes, &length, path, MAX_FILE);
    if (status != FHOLA_OK) return status;
    status = parse_points(&points, &count, (const char *)bytes, length, path);
    free(bytes);
    if (status != FHOLA_OK) return status;
    ola_function f = {.kind = OLA_TABLE, .count = count, .x = points, .y = points + count};
    status = ola_function_check(&f);
    if (status != FHOLA_OK) {
        free(points);
        return fhola_fail(FHOLA_FORMAT, "%s: %s", path, fhola_detail());
    }
    free(model->points);
    model->points = points;
    model->function = f;
    return FHOLA_OK;
}

fhola_status nn_model_set_function(nn_model *model, const char *name)
{
    ola_function_kind kind;
    if (!nn_function_find(&kind, name)) return load_table(model, name);
    free(model->points);
    model->points = NULL;
    model->function = (ola_function){.kind = kind};
    return FHOLA_OK;
}
