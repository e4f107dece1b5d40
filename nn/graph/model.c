/* SPDX-License-Identifier: Apache-2.0 */
#define XXH_INLINE_ALL
#include <xxhash.h>

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

#define NAME_ROOM   96u
#define PREFIX_ROOM 64u

/* A weights file being taken apart: which tensors were used, and the hash over them in the
 * network's order. */
typedef struct loader {
    const char *path;
    nn_safetensors *file;
    /* of every tensor name: "" or what a wrapper put there, such as "module." */
    char prefix[PREFIX_ROOM];
    bool *used;
    double eps; /* of all batch norms */
    XXH3_state_t hash;
} loader;

/* ---- tensors by name ---- */

static const nn_weight_tensor *find(const loader *l, const char *name)
{
    char full[PREFIX_ROOM + NAME_ROOM];
    snprintf(full, sizeof full, "%s%s", l->prefix, name);
    return nn_safetensors_find(l->file, full);
}

static void format_shape(char *out, size_t room, const size_t *shape, size_t rank)
{
    size_t at = 0;
    out[0] = 0;
    for (size_t i = 0; i < rank && at < room; i++)
        at += (size_t)snprintf(out + at, room - at, "%s%zu", i ? " x " : "", shape[i]);
}

static void hash_tensor(loader *l, const char *name, const double *values, size_t count)
{
    XXH3_64bits_update(&l->hash, name, strlen(name) + 1);
    for (size_t i = 0; i < count; i++) {
        uint64_t bits;
        unsigned char bytes[8];
        memcpy(&bits, &values[i], sizeof bits);
        for (unsigned b = 0; b < 8; b++) bytes[b] = (unsigned char)(bits >> (8 * b));
        XXH3_64bits_update(&l->hash, bytes, sizeof bytes);
    }
}

/* Reads tensor `name`, hashed under the name `role`, which must have the given shape. *values
 * belongs to the caller. */
static fhola_status take(double **values, loader *l, const char *name, const char *role,
                         const size_t *shape, size_t rank)
{
    const nn_weight_tensor *tensor = find(l, name);
    if (!tensor)
        return fhola_fail(FHOLA_FORMAT, "%s: tensor %s%s is missing", l->path, l->prefix, name);
    if (tensor->rank != rank || memcmp(tensor->shape, shape, rank * sizeof *shape) != 0) {
        char is[160], should[160];
        format_shape(is, sizeof is, tensor->shape, tensor->rank);
        format_shape(should, sizeof should, shape, rank);
        return fhola_fail(FHOLA_FORMAT, "%s: tensor %s is %s, must be %s", l->path, tensor->name,
                          is, should);
    }
    double *result = malloc((tensor->count + 1) * sizeof *result);
    if (!result)
        return fhola_fail(FHOLA_NOMEM, "%s: no memory for tensor %s", l->path, tensor->name);
    fhola_status status = nn_tensor_values(result, tensor, l->path);
    if (status != FHOLA_OK) {
        free(result);
        return status;
    }
    for (size_t i = 0; i < nn_safetensors_count(l->file); i++)
        if (nn_safetensors_tensor(l->file, i) == tensor) l->used[i] = true;
    hash_tensor(l, role, result, tensor->count);
    *values = result;
    return FHOLA_OK;
}

/* A tensor every network of the family has; what stands before it in the file is the prefix of all
 * names. */
static const char first_block[] = "layer1.0.conv1.weight";

static void find_prefix(loader *l)
{
    for (size_t i = 0; i < nn_safetensors_count(l->file); i++) {
        const char *name = nn_safetensors_tensor(l->file, i)->name, *at = strstr(name, first_block);
        size_t length = at ? (size_t)(at - name) : PREFIX_ROOM;
        if (length >= PREFIX_ROOM || strcmp(at, first_block) != 0 ||
            (length > 0 && name[length - 1] != '.'))
            continue;
        memcpy(l->prefix, name, length);
        l->prefix[length] = 0;
        return;
    }
}

static fhola_status no_network(const loader *l)
{
    size_t count = nn_safetensors_count(l->file);
    return fhola_fail(FHOLA_FORMAT,
                      "%s: tensor %s is missing: not a CIFAR ResNet under its usual names (conv1, "
                      "bn1, layer1.0.conv1, ..., linear or fc); "
                      "%zu tensors, the first is called %.80s",
                      l->path, first_block, count,
                      count ? nn_safetensors_tensor(l->file, 0)->name : "nothing");
}

static fhola_status take_part(double **values, loader *l, const char *layer, const char *role,
                              const char *part, const size_t *shape, size_t rank)
{
    char name[NAME_ROOM], hashed[NAME_ROOM];
    snprintf(name, sizeof name, "%s.%s", layer, part);
    snprintf(hashed, sizeof hashed, "%s.%s", role, part);
    return take(values, l, name, hashed, shape, rank);
}

/* ---- layers ---- */

/* Multiplies the batch norm (gamma, beta, running mean, running variance) of `layer` into the
 * convolution. */
static fhola_status fold_batch_norm(nn_conv *conv, loader *l, const char *layer, const char *role)
{
    static const char *const parts[4] = {"weight", "bias", "running_mean", "running_var"};
    double *values[4] = {NULL, NULL, NULL, NULL};
    size_t shape[1] = {conv->out}, per_output = (size_t)conv->in * conv->kernel * conv->kernel;
    fhola_status status = FHOLA_OK;
    for (int i = 0; i < 4 && status == FHOLA_OK; i++)
        status = take_part(&values[i], l, layer, role, parts[i], shape, 1);
    for (size_t o = 0; o < conv->out && status == FHOLA_OK; o++) {
        if (values[3][o] < 0) {
            status =
                fhola_fail(FHOLA_FORMAT, "%s: tensor %s%s.running_var: element %zu is negative",
                           l->path, l->prefix, layer, o);
            break;
        }
        double gain = values[0][o] / sqrt(values[3][o] + l->eps);
        for (size_t i = 0; i < per_output; i++) conv->weight[o * per_output + i] *= gain;
        conv->bias[o] = values[1][o] - values[2][o] * gain;
    }
    for (int i = 0; i < 4; i++) free(values[i]);
    return status;
}

/* `conv` comes with its dimensions set; names as in the file, roles as hashed. */
static fhola_status load_conv(nn_conv *conv, loader *l, const char *name, const char *role,
                              const char *norm, const char *norm_role)
{
    size_t shape[4] = {conv->out, conv->in, conv->kernel, conv->kernel};
    conv->bias = calloc(conv->out, sizeof *conv->bias);
    if (!conv->bias) return fhola_fail(FHOLA_NOMEM, "%s: no memory for %s", l->path, name);
    fhola_status status = take_part(&conv->weight, l, name, role, "weight", shape, 4);
    return status == FHOLA_OK ? fold_batch_norm(conv, l, norm, norm_role) : status;
}

static fhola_status load_block_conv(nn_conv *conv, loader *l, unsigned stage, unsigned k,
                                    unsigned which)
{
    char name[NAME_ROOM], norm[NAME_ROOM];
    snprintf(name, sizeof name, "layer%u.%u.conv%u", stage + 1, k, which);
    snprintf(norm, sizeof norm, "layer%u.%u.bn%u", stage + 1, k, which);
    return load_conv(conv, l, name, name, norm, norm);
}

static fhola_status load_shortcut(nn_block *block, loader *l, unsigned stage, unsigned k)
{
    static const char *const words[] = {"down", "downsample", "shortcut"};
    char name[NAME_ROOM], norm[NAME_ROOM], role[NAME_ROOM], norm_role[NAME_ROOM];
    if (block->conv1.stride == 1) {
        block->shortcut = NN_SHORTCUT_IDENTITY;
        return FHOLA_OK;
    }
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        snprintf(name, sizeof name, "layer%u.%u.%s.0.weight", stage + 1, k, words[i]);
        if (!find(l, name)) continue;
        snprintf(name, sizeof name, "layer%u.%u.%s.0", stage + 1, k, words[i]);
        snprintf(norm, sizeof norm, "layer%u.%u.%s.1", stage + 1, k, words[i]);
        snprintf(role, sizeof role, "layer%u.%u.down.0", stage + 1, k);
        snprintf(norm_role, sizeof norm_role, "layer%u.%u.down.1", stage + 1, k);
        block->shortcut = NN_SHORTCUT_PROJECTION;
        block->projection = block->conv1;
        block->projection.kernel = 1;
        block->projection.weight = block->projection.bias = NULL;
        return load_conv(&block->projection, l, name, role, norm, norm_role);
    }
    block->shortcut = NN_SHORTCUT_PAD;
    return FHOLA_OK;
}

static fhola_status load_block(nn_block *block, loader *l, unsigned stage, unsigned k)
{
    bool narrows = stage > 0 && k == 0;
    unsigned out = 16u << stage, out_size = NN_IMAGE_SIDE >> stage;
    nn_conv second = {.in = out, .out = out, .kernel = 3, .stride = 1, .in_size = out_size};
    block->conv1 = block->conv2 = second;
    if (narrows) {
        block->conv1.in = out / 2;
        block->conv1.stride = 2;
        block->conv1.in_size = 2 * out_size;
    }
    fhola_status status = load_block_conv(&block->conv1, l, stage, k, 1);
    if (status == FHOLA_OK) status = load_block_conv(&block->conv2, l, stage, k, 2);
    return status == FHOLA_OK ? load_shortcut(block, l, stage, k) : status;
}

static fhola_status load_linear(nn_model *model, loader *l)
{
    const char *name = !find(l, "linear.weight") && find(l, "fc.weight") ? "fc" : "linear";
    char full[NAME_ROOM];
    snprintf(full, sizeof full, "%s.weight", name);
    const nn_weight_tensor *weight = find(l, full);
    if (!weight)
        return fhola_fail(FHOLA_FORMAT,
                          "%s: neither tensor %slinear.weight nor %sfc.weight is there", l->path,
                          l->prefix, l->prefix);
    if (weight->rank != 2 || weight->shape[0] < 2 || weight->shape[0] > NN_MAX_CLASSES)
        return fhola_fail(FHOLA_FORMAT, "%s: tensor %s must be CLASSES x 64 with 2 to %u classes",
                          l->path, weight->name, NN_MAX_CLASSES);
    model->classes = (unsigned)weight->shape[0];
    size_t shape[2] = {model->classes, 64};
    fhola_status status = take_part(&model->fc_weight, l, name, "linear", "weight", shape, 2);
    if (status == FHOLA_OK)
        status = take_part(&model->fc_bias, l, name, "linear", "bias", shape, 1);
    return status;
}

/* Every tensor must have had a place, except the counters batch norm keeps for training. */
static fhola_status check_all_used(const loader *l, unsigned depth)
{
    static const char counter[] = ".num_batches_tracked";
    for (size_t i = 0; i < nn_safetensors_count(l->file); i++) {
        const char *name = nn_safetensors_tensor(l->file, i)->name;
        size_t length = strlen(name);
        bool ignored = length >= sizeof counter - 1 &&
                       strcmp(name + length - (sizeof counter - 1), counter) == 0;
        if (!l->used[i] && !ignored)
            return fhola_fail(FHOLA_FORMAT,
                              "%s: unexpected tensor %s: not part of a CIFAR ResNet of depth %u",
                              l->path, name, depth);
    }
    return FHOLA_OK;
}

static fhola_status load_network(nn_model *model, loader *l)
{
    char name[NAME_ROOM];
    unsigned blocks = 0;
    do snprintf(name, sizeof name, "layer1.%u.conv1.weight", blocks);
    while (find(l, name) && blocks++ < NN_MAX_BLOCKS_PER_STAGE);
    if (blocks == 0) return no_network(l);
    if (blocks > NN_MAX_BLOCKS_PER_STAGE)
        return fhola_fail(FHOLA_FORMAT, "%s: more than %u blocks per stage", l->path,
                          NN_MAX_BLOCKS_PER_STAGE);
    model->blocks_per_stage = blocks;
    model->depth = 6 * blocks + 2;
    model->blocks = calloc(3 * (size_t)blocks, sizeof *model->blocks);
    if (!model->blocks)
        return fhola_fail(FHOLA_NOMEM, "%s: no memory for %u blocks", l->path, 3 * blocks);
    nn_conv first = {.in = 3, .out = 16, .kernel = 3, .stride = 1, .in_size = NN_IMAGE_SIDE};
    model->first = first;
    fhola_status status = load_conv(&model->first, l, "conv1", "conv1", "bn1", "bn1");
    for (unsigned k = 0; k < 3 * blocks && status == FHOLA_OK; k++)
        status = load_block(&model->blocks[k], l, k / blocks, k % blocks);
    if (status == FHOLA_OK) status = load_linear(model, l);
    return status == FHOLA_OK ? check_all_used(l, model->depth) : status;
}

/* ---- metadata ---- */

static fhola_status read_numbers(double out[3], const loader *l, const char *key,
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

static fhola_status classes_from_metadata(nn_model *model, const loader *l, const char *text)
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

/* What is not 1e-5 enters the hash: it makes other weights of the same tensors. */
static fhola_status read_eps(loader *l, const nn_model_options *options)
{
    static const char key[] = "batch_norm_epsilon";
    const char *text = nn_safetensors_metadata(l->file, key);
    nn_json *value = NULL;
    fhola_status status = FHOLA_OK;
    l->eps = options->batch_norm_eps;
    if (l->eps == 0 && text) {
        status = nn_json_parse(&value, text, strlen(text), l->path);
        l->eps = status == FHOLA_OK && value->type == NN_JSON_NUMBER ? value->number : -1;
        nn_json_free(value);
    } else if (l->eps == 0) {
        l->eps = NN_BATCH_NORM_EPS;
    }
    if (!(l->eps > 0 && l->eps <= 1))
        return fhola_fail(options->batch_norm_eps == 0 ? FHOLA_FORMAT : FHOLA_PARAM,
                          "%s: the epsilon of batch norm (metadata \"%s\") must be a number above "
                          "0 and at most 1, not %s",
                          l->path, key, options->batch_norm_eps == 0 ? text : "the one given");
    if (l->eps != NN_BATCH_NORM_EPS) hash_tensor(l, key, &l->eps, 1);
    return FHOLA_OK;
}

static fhola_status load_classes(nn_model *model, const loader *l, const nn_model_options *options)
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

static fhola_status load_metadata(nn_model *model, const loader *l, const nn_model_options *options)
{
    fhola_status status = read_numbers(model->mean, l, "mean", options->mean);
    if (status == FHOLA_OK) status = read_numbers(model->std, l, "std", options->std);
    if (status == FHOLA_OK) status = check_normalisation(model, l->path, options);
    if (status == FHOLA_OK) status = load_classes(model, l, options);
    const char *function = nn_safetensors_metadata(l->file, "activation");
    if (status == FHOLA_OK && function && !ola_function_find(&model->function, function))
        status = fhola_fail(FHOLA_FORMAT, "%s: metadata \"activation\" is no function known: %.40s",
                            l->path, function);
    if (status != FHOLA_OK) return status;
    const char *text = nn_safetensors_metadata(l->file, "test_accuracy");
    nn_json *value = NULL;
    model->test_accuracy = (double)NAN;
    if (text && nn_json_parse(&value, text, strlen(text), l->path) == FHOLA_OK &&
        value->type == NN_JSON_NUMBER)
        model->test_accuracy = value->number;
    nn_json_free(value);
    return FHOLA_OK;
}

/* ---- the whole ---- */

static fhola_status load_from(nn_model *model, loader *l, const nn_model_options *options)
{
    l->used = calloc(nn_safetensors_count(l->file) + 1, sizeof *l->used);
    if (!l->used) return fhola_fail(FHOLA_NOMEM, "%s: no memory", l->path);
    find_prefix(l);
    XXH3_64bits_reset(&l->hash);
    fhola_status status = read_eps(l, options);
    if (status == FHOLA_OK) status = load_network(model, l);
    model->hash = XXH3_64bits_digest(&l->hash);
    if (status == FHOLA_OK) status = load_metadata(model, l, options);
    return status == FHOLA_OK ? nn_resnet_graph(&model->graph, model) : status;
}

/* Closes `file` in any case. */
static fhola_status load(nn_model **model, nn_safetensors *file, const char *path,
                         const nn_model_options *options)
{
    static const nn_model_options none = {.mean = NULL};
    nn_model *result = calloc(1, sizeof *result);
    loader l;
    memset(&l, 0, sizeof l);
    l.path = path;
    l.file = file;
    fhola_status status = result ? load_from(result, &l, options ? options : &none)
                                 : fhola_fail(FHOLA_NOMEM, "%s: no memory", path);
    nn_safetensors_close(l.file);
    free(l.used);
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

static void free_conv(nn_conv *conv)
{
    free(conv->weight);
    free(conv->bias);
}

void nn_model_free(nn_model *model)
{
    if (!model) return;
    nn_graph_destroy(model->graph);
    free_conv(&model->first);
    for (size_t k = 0; model->blocks && k < 3 * (size_t)model->blocks_per_stage; k++) {
        free_conv(&model->blocks[k].conv1);
        free_conv(&model->blocks[k].conv2);
        free_conv(&model->blocks[k].projection);
    }
    for (size_t i = 0; model->class_names && i < model->classes; i++) free(model->class_names[i]);
    free(model->class_names);
    free(model->blocks);
    free(model->fc_weight);
    free(model->fc_bias);
    free(model->points);
    free(model);
}

void nn_model_describe(const nn_model *model, nn_model_info *info)
{
    info->depth = model->depth;
    info->input = model->graph->nodes[0].shape;
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

const nn_conv *nn_activation_conv(const nn_model *model, size_t i)
{
    if (i == 0) return &model->first;
    const nn_block *block = &model->blocks[(i - 1) / 2];
    return i % 2 ? &block->conv1 : &block->conv2;
}

unsigned nn_activation_channels(const nn_model *model, size_t i)
{
    return nn_graph_layer(model->graph, i)->shape.channels;
}

unsigned nn_activation_size(const nn_model *model, size_t i)
{
    return nn_graph_layer(model->graph, i)->shape.height;
}

fhola_status nn_model_check_blocks(const nn_model *model)
{
    if (model->blocks) return FHOLA_OK;
    return fhola_fail(FHOLA_PARAM, "not for networks other than CIFAR ResNets yet");
}
