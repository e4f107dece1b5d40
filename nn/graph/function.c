/* SPDX-License-Identifier: Apache-2.0 */
/* The activation function of a model: by name, or piecewise linear through points of a file. */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <stdlib.h>
#include <string.h>

#include "nn/base/file.h"
#include "nn/base/json.h"
#include "nn/graph/graph.h"
#include "nn/graph/model_io.h"
#include "nn/nn.h"

#define MAX_FILE   ((size_t)1 << 22)
#define MAX_POINTS 65536u

/* Of numbers as little-endian bytes, on every machine. */
static uint64_t hash_numbers(const double *values, size_t count, uint64_t seed)
{
    unsigned char bytes[512];
    XXH3_state_t state;
    XXH3_INITSTATE(&state);
    XXH3_64bits_reset_withSeed(&state, seed);
    for (size_t done = 0; done < count;) {
        size_t n = 0;
        for (; done < count && n < sizeof bytes; done++) {
            uint64_t bits;
            memcpy(&bits, &values[done], sizeof bits);
            for (unsigned b = 0; b < 64; b += 8) bytes[n++] = (unsigned char)(bits >> b);
        }
        XXH3_64bits_update(&state, bytes, n);
    }
    return XXH3_64bits_digest(&state);
}

uint64_t nn_model_exact_hash(const nn_model *model)
{
    const ola_function *f = &model->function;
    uint64_t hash = model->hash;
    const unsigned char kind[8] = {(unsigned char)f->kind}; /* little-endian */
    if (model->hash_has_functions ? !model->replaced : f->kind == OLA_RELU) return hash;
    hash = XXH3_64bits_withSeed(kind, sizeof kind, hash);
    if (ola_function_parameters(f) > 0) {
        const double parameters[2] = {f->a, f->b};
        hash = hash_numbers(parameters, 2, hash);
    }
    if (f->kind == OLA_TABLE) hash = hash_numbers(f->x, 2 * f->count, hash);
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

/* Gives every layer that has an activation this one; trees of |x| that pool are left alone. */
static fhola_status replace_functions(nn_model *model, const ola_function *f)
{
    nn_graph *g = model->graph;
    for (size_t i = 1; g && i + 1 < g->count; i++) {
        if (g->nodes[i].function.kind == OLA_IDENTITY || g->nodes[i].function.kind == OLA_ABS)
            continue;
        fhola_status status = nn_node_set_function(&g->nodes[i], f);
        if (status != FHOLA_OK) return status;
    }
    model->replaced = true;
    return FHOLA_OK;
}

fhola_status nn_model_set_function(nn_model *model, const char *name)
{
    ola_function f;
    if (!ola_function_find(&f, name)) {
        fhola_status status = load_table(model, name);
        return status == FHOLA_OK ? replace_functions(model, &model->function) : status;
    }
    free(model->points);
    model->points = NULL;
    model->function = f;
    return replace_functions(model, &f);
}
