/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/graph/model.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/base/json.h"
#include "nn/graph/graph.h"
#include "nn/graph/model_io.h"
#include "nn/graph/resnet.h"
#include "nn/graph/safetensors.h"
#include "nn/nn.h"

/* A weights file. */
typedef struct source {
    const char *path;
    nn_safetensors *file;
} source;

/* ---- metadata ---- */

static fhola_status read_numbers(double out[3], const source *l, const char *key,
                                 const double *option)
{
    if (option) {
        memcpy(out, option, 3 * sizeof *out);
        return FHOLA_OK;
    }
    const char *text = nn_safetensors_metadata(l->file, key);
    if (!text)
        return fhola_fail(
            FHOLA_FORMAT,
            "%s: the metadata has no \"%s\" and none was given: add --mean R,G,B --std R,G,B, by "
            "which the pixels (0 to 1) were "
            "normalised in training (often 0.4914,0.4822,0.4465 and 0.2470,0.2435,0.2616)",
            l->path, key);
    char name[512];
    nn_json *array;
    snprintf(name, sizeof name, "%s: metadata \"%s\"", l->path, key);
    fhola_status status = nn_json_parse(&array, text, strlen(text), name);
    if (status != FHOLA_OK) return status;
    size_t found = 0;
    if (array->type == NN_JSON_ARRAY && array->count == 3)
        for (const nn_json *value = array->child; value && value->type == NN_JSON_NUMBER;
             value = value->next)
            out[found++] = value->number;
    nn_json_free(array);
    return found == 3 ? FHOLA_OK
                      : fhola_fail(FHOLA_FORMAT, "%s is not an array of 3 numbers", name);
}

static char *copy_string(const char *string)
{
    size_t length = strlen(string) + 1;
    char *copy = malloc(length);
    if (copy) memcpy(copy, string, length);
    return copy;
}

static fhola_status set_class(nn_model *model, size_t index, const char *name, const char *path)
{
    if (!fhola_is_printable(name, strlen(name)) || strlen(name) > 255)
        return fhola_fail(FHOLA_FORMAT,
                          "%s: the name of class %zu has control characters, is no UTF-8 or longer "
                          "than 255 bytes",
                          path, index);
    model->class_names[index] = copy_string(name);
    return model->class_names[index]
               ? FHOLA_OK
               : fhola_fail(FHOLA_NOMEM, "%s: no memory for class names", path);
}

static fhola_status classes_from_metadata(nn_model *model, const source *l, const char *text)
{
    char name[512];
    nn_json *array;
    snprintf(name, sizeof name, "%s: metadata \"classes\"", l->path);
    fhola_status status = nn_json_parse(&array, text, strlen(text), name);
    if (status != FHOLA_OK) return status;
    if (array->type != NN_JSON_ARRAY || array->count != model->classes)
        status = fhola_fail(FHOLA_FORMAT, "%s is not an array of %u names", name, model->classes);
    size_t index = 0;
    for (const nn_json *value = array->child; value && status == FHOLA_OK;
         value = value->next, index++)
        status = value->type == NN_JSON_STRING
                     ? set_class(model, index, value->string, l->path)
                     : fhola_fail(FHOLA_FORMAT, "%s: entry %zu is not a string", name, index);
    nn_json_free(array);
    return status;
}

/* The options' names, or numbers. */
static fhola_status name_classes(nn_model *model, const char *path, const nn_model_options *options)
{
    if (options->class_names && options->class_count != model->classes)
        return fhola_fail(FHOLA_PARAM, "%zu class names given, %s has %u classes",
                          options->class_count, path, model->classes);
    for (size_t i = 0; i < model->classes; i++) {
        char number[24];
        snprintf(number, sizeof number, "%zu", i);
        fhola_status status =
            set_class(model, i, options->class_names ? options->class_names[i] : number, path);
        if (status != FHOLA_OK) return status;
    }
    return FHOLA_OK;
}

static fhola_status read_eps(double *eps, const source *l, const nn_model_options *options)
{
    static const char key[] = "batch_norm_epsilon";
    const char *text = nn_safetensors_metadata(l->file, key);
    nn_json *value = NULL;
    *eps = options->batch_norm_eps;
    if (*eps == 0 && text) {
        fhola_status status = nn_json_parse(&value, text, strlen(text), l->path);
        *eps = status == FHOLA_OK && value->type == NN_JSON_NUMBER ? value->number : -1;
        nn_json_free(value);
    } else if (*eps == 0) {
        *eps = NN_BATCH_NORM_EPS;
    }
    if (*eps > 0 && *eps <= 1) return FHOLA_OK;
    return fhola_fail(options->batch_norm_eps == 0 ? FHOLA_FORMAT : FHOLA_PARAM,
                      "%s: the epsilon of batch norm (metadata \"%s\") must be a number above "
                      "0 and at most 1, not %s",
                      l->path, key, options->batch_norm_eps == 0 ? text : "the one given");
}

static fhola_status read_function(ola_function *function, const source *l)
{
    const char *name = nn_safetensors_metadata(l->file, "activation");
    if (!name || ola_function_find(function, name)) return FHOLA_OK;
    return fhola_fail(FHOLA_FORMAT, "%s: metadata \"activation\" is no function known: %.40s",
                      l->path, name);
}

static fhola_status load_classes(nn_model *model, const source *l, const nn_model_options *options)
{
    model->class_names = calloc(model->classes, sizeof *model->class_names);
    if (!model->class_names)
        return fhola_fail(FHOLA_NOMEM, "%s: no memory for class names", l->path);
    const char *text = nn_safetensors_metadata(l->file, "classes");
    if (!options->class_names && text) return classes_from_metadata(model, l, text);
    return name_classes(model, l->path, options);
}

static fhola_status check_normalisation(const nn_model *model, const char *name,
                                        const nn_model_options *options)
{
    for (int i = 0; i < 3; i++) {
        double mean = model->mean[i], std = model->std[i];
        bool mean_fits = mean >= 0 && mean <= 1;
        if (mean_fits && std > 0 && std <= 1) continue;
        const double *given = mean_fits ? options->std : options->mean;
        return fhola_fail(given ? FHOLA_PARAM : FHOLA_FORMAT,
                          "%s: mean %g, std %g of channel %d: %s", name, mean, std, i,
                          mean > 1 || std > 1 ? "pixels are from 0 to 1: what is for pixels from 0 "
                                                "to 255 must be divided by 255"
                          : mean_fits         ? "std must be positive"
                                              : "mean must be 0 to 1");
    }
    return FHOLA_OK;
}

/* Percent; NaN if the file does not say. */
static double read_accuracy(const source *l)
{
    const char *text = nn_safetensors_metadata(l->file, "test_accuracy");
    nn_json *value = NULL;
    double accuracy = (double)NAN;
    if (text && nn_json_parse(&value, text, strlen(text), l->path) == FHOLA_OK &&
        value->type == NN_JSON_NUMBER)
        accuracy = value->number;
    nn_json_free(value);
    return accuracy;
}

static fhola_status load_metadata(nn_model *model, const source *l, const nn_model_options *options)
{
    FHOLA_TRY(read_numbers(model->mean, l, "mean", options->mean));
    FHOLA_TRY(read_numbers(model->std, l, "std", options->std));
    FHOLA_TRY(check_normalisation(model, l->path, options));
    FHOLA_TRY(load_classes(model, l, options));
    model->test_accuracy = read_accuracy(l);
    return FHOLA_OK;
}

/* ---- the whole ---- */

static fhola_status load_from(nn_model *model, const source *l, const nn_model_options *options)
{
    double eps;
    FHOLA_TRY(read_eps(&eps, l, options));
    FHOLA_TRY(read_function(&model->function, l));
    FHOLA_TRY(
        nn_resnet_import(&model->graph, &model->hash, l->file, l->path, eps, &model->function));
    model->classes = nn_graph_scores(model->graph)->shape.channels;
    return load_metadata(model, l, options);
}

/* Closes `file` in any case. */
static fhola_status load(nn_model **model, nn_safetensors *file, const char *path,
                         const nn_model_options *options)
{
    static const nn_model_options none = {.mean = NULL};
    const source l = {path, file};
    nn_model *result = calloc(1, sizeof *result);
    fhola_status status = result ? load_from(result, &l, options ? options : &none)
                                 : fhola_fail(FHOLA_NOMEM, "%s: no memory", path);
    nn_safetensors_close(file);
    if (status != FHOLA_OK) {
        nn_model_free(result);
        return status;
    }
    *model = result;
    return FHOLA_OK;
}

fhola_status nn_model_load(nn_model **model, const char *path, const nn_model_options *options)
{
    nn_safetensors *file;
    fhola_status status = nn_safetensors_open(&file, path);
    return status == FHOLA_OK ? load(model, file, path, options) : status;
}

fhola_status nn_model_decode(nn_model **model, const unsigned char *bytes, size_t length,
                             const char *name, const nn_model_options *options)
{
    nn_safetensors *file;
    fhola_status status = nn_safetensors_decode(&file, bytes, length, name);
    return status == FHOLA_OK ? load(model, file, name, options) : status;
}

/* ---- from a graph ---- */

static fhola_status fill_model(nn_model *model, const nn_graph *graph,
                               const nn_model_options *options)
{
    unsigned planes = graph->nodes[0].shape.channels <= 3 ? graph->nodes[0].shape.channels : 1;
    for (unsigned i = 0; i < 3; i++) {
        unsigned from = i < planes ? i : 0;
        model->mean[i] = options->mean ? options->mean[from] : 0;
        model->std[i] = options->std ? options->std[from] : 1;
    }
    fhola_status status = check_normalisation(model, "the network", options);
    if (status != FHOLA_OK) return status;
    model->classes = nn_graph_scores(graph)->shape.channels;
    model->test_accuracy = (double)NAN;
    model->hash = nn_graph_hash(graph);
    model->hash_has_functions = true;
    model->class_names = calloc(model->classes, sizeof *model->class_names);
    if (!model->class_names) return fhola_fail(FHOLA_NOMEM, "no memory for class names");
    return name_classes(model, "the network", options);
}

fhola_status nn_model_create(nn_model **model, nn_graph *graph, const nn_model_options *options)
{
    static const nn_model_options none = {.mean = NULL};
    if (!graph->finished) return fhola_fail(FHOLA_PARAM, "the graph is not finished");
    nn_model *result = calloc(1, sizeof *result);
    if (!result) return fhola_fail(FHOLA_NOMEM, "no memory for a model");
    fhola_status status = fill_model(result, graph, options ? options : &none);
    if (status != FHOLA_OK) {
        nn_model_free(result);
        return status;
    }
    result->graph = graph;
    *model = result;
    return FHOLA_OK;
}

void nn_model_free(nn_model *model)
{
    if (!model) return;
    nn_graph_destroy(model->graph);
    for (size_t i = 0; model->class_names && i < model->classes; i++) free(model->class_names[i]);
    free(model->class_names);
    free(model->points);
    free(model);
}

void nn_model_describe(const nn_model *model, nn_model_info *info)
{
    info->input = model->graph->nodes[0].shape;
    info->nodes = model->graph->count;
    info->depth = nn_graph_depth(model->graph);
    info->activations = nn_model_activations(model);
    info->classes = model->classes;
    memcpy(info->mean, model->mean, sizeof info->mean);
    memcpy(info->std, model->std, sizeof info->std);
    info->test_accuracy = model->test_accuracy;
    info->hash = model->hash;
}

void nn_model_normalise(const nn_model *model, double *values, const double *pixels)
{
    nn_shape input = model->graph->nodes[0].shape;
    size_t plane = (size_t)input.height * input.width;
    for (size_t k = 0; k < nn_shape_values(input); k++) {
        size_t channel = input.channels <= 3 ? k / plane : 0;
        values[k] = (pixels[k] - model->mean[channel]) / model->std[channel];
    }
}

const char *nn_model_class(const nn_model *model, size_t index)
{
    return model->class_names[index];
}

size_t nn_model_activations(const nn_model *model)
{
    return nn_graph_layers(model->graph);
}

unsigned nn_activation_channels(const nn_model *model, size_t i)
{
    return nn_graph_layer(model->graph, i)->shape.channels;
}
