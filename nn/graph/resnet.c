/* SPDX-License-Identifier: Apache-2.0 */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "nn/graph/resnet.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/graph/builder.h"
#include "nn/graph/model.h"

#define SIDE        32u /* of CIFAR pictures */
#define STAGES      3u
#define MAX_BLOCKS  50u   /* of a stage: depth 302 */
#define MAX_WIDTH   1024u /* a tensor of the graph has room for so many channels */
#define NAME_ROOM   96u
#define PREFIX_ROOM 64u

/* A weights file on its way to a graph: which tensors were used, and the hash over them in the
 * network's order. */
typedef struct importer {
    const char *path;
    const nn_safetensors *file;
    /* of every tensor name: "" or what a wrapper put there, such as "module." */
    char prefix[PREFIX_ROOM];
    bool *used;
    double eps; /* of all batch norms */
    const ola_function *function;
    unsigned width, blocks; /* channels of the first convolution; blocks of a stage */
    nn_graph *graph;
    XXH3_state_t hash;
} importer;

/* ---- tensors by name ---- */

static const nn_weight_tensor *find(const importer *m, const char *name)
{
    char full[PREFIX_ROOM + NAME_ROOM];
    snprintf(full, sizeof full, "%s%s", m->prefix, name);
    return nn_safetensors_find(m->file, full);
}

static void format_shape(char *out, size_t room, const size_t *shape, size_t rank)
{
    size_t at = 0;
    out[0] = 0;
    for (size_t i = 0; i < rank && at < room; i++)
        at += (size_t)snprintf(out + at, room - at, "%s%zu", i ? " x " : "", shape[i]);
}

static void hash_tensor(importer *m, const char *name, const double *values, size_t count)
{
    XXH3_64bits_update(&m->hash, name, strlen(name) + 1);
    for (size_t i = 0; i < count; i++) {
        uint64_t bits;
        unsigned char bytes[8];
        memcpy(&bits, &values[i], sizeof bits);
        for (unsigned b = 0; b < 8; b++) bytes[b] = (unsigned char)(bits >> (8 * b));
        XXH3_64bits_update(&m->hash, bytes, sizeof bytes);
    }
}

static fhola_status check_shape(const importer *m, const nn_weight_tensor *tensor,
                                const size_t *shape, size_t rank)
{
    char is[160], should[160];
    if (tensor->rank == rank && memcmp(tensor->shape, shape, rank * sizeof *shape) == 0)
        return FHOLA_OK;
    format_shape(is, sizeof is, tensor->shape, tensor->rank);
    format_shape(should, sizeof should, shape, rank);
    return fhola_fail(FHOLA_FORMAT,
                      "%s: tensor %s is %s, must be %s in a ResNet of %u first channels", m->path,
                      tensor->name, is, should, m->width);
}

/* Reads tensor `name`, hashed under the name `role`, which must have the given shape. *values
 * belongs to the caller. */
static fhola_status take(double **values, importer *m, const char *name, const char *role,
                         const size_t *shape, size_t rank)
{
    const nn_weight_tensor *tensor = find(m, name);
    if (!tensor)
        return fhola_fail(FHOLA_FORMAT, "%s: tensor %s%s is missing", m->path, m->prefix, name);
    FHOLA_TRY(check_shape(m, tensor, shape, rank));
    double *result = malloc((tensor->count + 1) * sizeof *result);
    if (!result)
        return fhola_fail(FHOLA_NOMEM, "%s: no memory for tensor %s", m->path, tensor->name);
    fhola_status status = nn_tensor_values(result, tensor, m->path);
    if (status != FHOLA_OK) {
        free(result);
        return status;
    }
    for (size_t i = 0; i < nn_safetensors_count(m->file); i++)
        if (nn_safetensors_tensor(m->file, i) == tensor) m->used[i] = true;
    hash_tensor(m, role, result, tensor->count);
    *values = result;
    return FHOLA_OK;
}

static fhola_status take_part(double **values, importer *m, const char *layer, const char *role,
                              const char *part, const size_t *shape, size_t rank)
{
    char name[NAME_ROOM], hashed[NAME_ROOM];
    snprintf(name, sizeof name, "%s.%s", layer, part);
    snprintf(hashed, sizeof hashed, "%s.%s", role, part);
    return take(values, m, name, hashed, shape, rank);
}

/* A tensor every network of the family has; what stands before it in the file is the prefix of all
 * names. */
static const char first_block[] = "layer1.0.conv1.weight";

static void find_prefix(importer *m)
{
    for (size_t i = 0; i < nn_safetensors_count(m->file); i++) {
        const char *name = nn_safetensors_tensor(m->file, i)->name, *at = strstr(name, first_block);
        size_t length = at ? (size_t)(at - name) : PREFIX_ROOM;
        if (length >= PREFIX_ROOM || strcmp(at, first_block) != 0 ||
            (length > 0 && name[length - 1] != '.'))
            continue;
        memcpy(m->prefix, name, length);
        m->prefix[length] = 0;
        return;
    }
}

static fhola_status no_network(const importer *m)
{
    size_t count = nn_safetensors_count(m->file);
    return fhola_fail(FHOLA_FORMAT,
                      "%s: tensor %s is missing: not a CIFAR ResNet under its usual names (conv1, "
                      "bn1, layer1.0.conv1, ..., linear or fc); "
                      "%zu tensors, the first is called %.80s",
                      m->path, first_block, count,
                      count ? nn_safetensors_tensor(m->file, 0)->name : "nothing");
}

/* ---- layers ---- */

/* A convolution and its batch norm: names in the file, and those they are hashed under. */
typedef struct conv_names {
    const char *conv, *norm, *conv_role, *norm_role;
} conv_names;

/* Multiplies the batch norm (gamma, beta, running mean, running variance) into a convolution of
 * `channels` results, each with `taps` weights. */
static fhola_status fold_batch_norm(double *weight, double *bias, importer *m,
                                    const conv_names *names, size_t channels, size_t taps)
{
    static const char *const parts[4] = {"weight", "bias", "running_mean", "running_var"};
    double *values[4] = {NULL, NULL, NULL, NULL};
    fhola_status status = FHOLA_OK;
    for (int i = 0; i < 4 && status == FHOLA_OK; i++)
        status = take_part(&values[i], m, names->norm, names->norm_role, parts[i], &channels, 1);
    for (size_t o = 0; o < channels && status == FHOLA_OK; o++) {
        if (values[3][o] < 0) {
            status =
                fhola_fail(FHOLA_FORMAT, "%s: tensor %s%s.running_var: element %zu is negative",
                           m->path, m->prefix, names->norm, o);
            break;
        }
        double gain = values[0][o] / sqrt(values[3][o] + m->eps);
        for (size_t i = 0; i < taps; i++) weight[o * taps + i] *= gain;
        bias[o] = values[1][o] - values[2][o] * gain;
    }
    for (int i = 0; i < 4; i++) free(values[i]);
    return status;
}

/* A square convolution with its batch norm, padded to keep the side up to its stride. */
static fhola_status add_conv(importer *m, nn_tensor *out, const char *name, nn_tensor in,
                             const conv_names *names, unsigned channels, unsigned kernel,
                             unsigned stride)
{
    size_t from = nn_graph_shape(m->graph, in).channels,
           shape[4] = {channels, from, kernel, kernel};
    unsigned pad = kernel / 2;
    double *weight = NULL, *bias = calloc(channels, sizeof *bias);
    if (!bias) return fhola_fail(FHOLA_NOMEM, "%s: no memory for %s", m->path, name);
    fhola_status status = take_part(&weight, m, names->conv, names->conv_role, "weight", shape, 4);
    if (status == FHOLA_OK)
        status = fold_batch_norm(weight, bias, m, names, channels, from * kernel * kernel);
    const nn_convolution_spec spec = {.channels = channels,
                                      .kernel_y = kernel,
                                      .kernel_x = kernel,
                                      .stride_y = stride,
                                      .stride_x = stride,
                                      .pad_top = pad,
                                      .pad_left = pad,
                                      .pad_bottom = pad,
                                      .pad_right = pad,
                                      .weight = weight,
                                      .bias = bias};
    if (status == FHOLA_OK) status = nn_graph_convolution(m->graph, out, name, in, &spec);
    free(weight);
    free(bias);
    return status;
}

static fhola_status activate(const importer *m, nn_tensor *out, const char *name, nn_tensor in)
{
    const ola_function *f = m->function;
    nn_activation_spec spec = {.kind = ola_function_name(f),
                               .a = f->a,
                               .b = f->b,
                               .count = f->count,
                               .x = f->x,
                               .y = f->y};
    return nn_graph_activation(m->graph, out, name, in, &spec);
}

/* Every second pixel of every second row; the channels go to the middle of twice as many. */
static fhola_status pad_channels(nn_graph *g, nn_tensor *out, const char *name, nn_tensor in)
{
    nn_shape from = nn_graph_shape(g, in);
    nn_shape to = {2 * from.channels, (from.height + 1) / 2, (from.width + 1) / 2};
    nn_map identity, map;
    FHOLA_TRY(nn_map_scaling(&identity, from, 1));
    identity.convolution.out_first = from.channels / 2;
    identity.convolution.stride_y = identity.convolution.stride_x = 2;
    fhola_status status = nn_map_convolution(&map, from, to, &identity.convolution);
    nn_map_clear(&identity);
    if (status != FHOLA_OK) return status;
    status = nn_graph_apply(g, out, name, in, &map, NULL);
    nn_map_clear(&map);
    return status;
}

/* ---- blocks ---- */

/* What is added at the end of a block that halves the sides and doubles the channels. */
static fhola_status add_shortcut(importer *m, nn_tensor *out, const char *block, nn_tensor in)
{
    static const char *const words[] = {"down", "downsample", "shortcut"};
    char label[NAME_ROOM], name[NAME_ROOM], norm[NAME_ROOM], role[NAME_ROOM], norm_role[NAME_ROOM];
    unsigned channels = nn_graph_shape(m->graph, in).channels;
    snprintf(label, sizeof label, "%s.shortcut", block);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        snprintf(name, sizeof name, "%s.%s.0.weight", block, words[i]);
        if (!find(m, name)) continue;
        snprintf(name, sizeof name, "%s.%s.0", block, words[i]);
        snprintf(norm, sizeof norm, "%s.%s.1", block, words[i]);
        snprintf(role, sizeof role, "%s.down.0", block);
        snprintf(norm_role, sizeof norm_role, "%s.down.1", block);
        const conv_names names = {name, norm, role, norm_role};
        return add_conv(m, out, label, in, &names, 2 * channels, 1, 2);
    }
    if (channels % 2)
        return fhola_fail(FHOLA_FORMAT,
                          "%s: tensor %s%s.down.0.weight is missing: a shortcut without weights "
                          "puts as many zero channels before as after, which %u channels cannot",
                          m->path, m->prefix, block, channels);
    return pad_channels(m->graph, out, label, in);
}

static fhola_status add_block_conv(importer *m, nn_tensor *out, const char *block, unsigned which,
                                   nn_tensor in, unsigned channels, unsigned stride)
{
    char name[NAME_ROOM], norm[NAME_ROOM];
    snprintf(name, sizeof name, "%s.conv%u", block, which);
    snprintf(norm, sizeof norm, "%s.bn%u", block, which);
    const conv_names names = {name, norm, name, norm};
    return add_conv(m, out, name, in, &names, channels, 3, stride);
}

static fhola_status add_block(importer *m, nn_tensor *x, unsigned stage, unsigned place)
{
    char block[NAME_ROOM / 2], conv1[NAME_ROOM], conv2[NAME_ROOM];
    bool narrows = stage > 0 && place == 0;
    unsigned channels = m->width << stage;
    nn_tensor inside, shortcut = *x;
    snprintf(block, sizeof block, "layer%u.%u", stage + 1, place);
    snprintf(conv1, sizeof conv1, "%s.conv1", block);
    snprintf(conv2, sizeof conv2, "%s.conv2", block);
    FHOLA_TRY(add_block_conv(m, &inside, block, 1, *x, channels, narrows ? 2 : 1));
    FHOLA_TRY(activate(m, &inside, conv1, inside));
    FHOLA_TRY(add_block_conv(m, &inside, block, 2, inside, channels, 1));
    if (narrows) FHOLA_TRY(add_shortcut(m, &shortcut, block, *x));
    FHOLA_TRY(nn_graph_add(m->graph, &inside, conv2, inside, shortcut));
    return activate(m, x, conv2, inside);
}

static fhola_status add_linear(importer *m, nn_tensor *x)
{
    const char *name = !find(m, "linear.weight") && find(m, "fc.weight") ? "fc" : "linear";
    size_t inputs = nn_graph_shape(m->graph, *x).channels;
    char full[NAME_ROOM];
    snprintf(full, sizeof full, "%s.weight", name);
    const nn_weight_tensor *tensor = find(m, full);
    if (!tensor)
        return fhola_fail(FHOLA_FORMAT,
                          "%s: neither tensor %slinear.weight nor %sfc.weight is there", m->path,
                          m->prefix, m->prefix);
    if (tensor->rank != 2 || tensor->shape[0] < 2 || tensor->shape[0] > NN_MAX_CLASSES)
        return fhola_fail(FHOLA_FORMAT, "%s: tensor %s must be CLASSES x %zu with 2 to %u classes",
                          m->path, tensor->name, inputs, NN_MAX_CLASSES);
    size_t shape[2] = {tensor->shape[0], inputs};
    double *weight = NULL, *bias = NULL;
    fhola_status status = take_part(&weight, m, name, "linear", "weight", shape, 2);
    if (status == FHOLA_OK) status = take_part(&bias, m, name, "linear", "bias", shape, 1);
    if (status == FHOLA_OK)
        status = nn_graph_dense(m->graph, x, "linear", *x, shape[0], weight, bias);
    free(weight);
    free(bias);
    return status;
}

/* ---- the network ---- */

static fhola_status count_blocks(importer *m)
{
    char name[NAME_ROOM];
    do snprintf(name, sizeof name, "layer1.%u.conv1.weight", m->blocks);
    while (find(m, name) && m->blocks++ < MAX_BLOCKS);
    if (m->blocks == 0) return no_network(m);
    if (m->blocks > MAX_BLOCKS)
        return fhola_fail(FHOLA_FORMAT, "%s: more than %u blocks per stage", m->path, MAX_BLOCKS);
    return FHOLA_OK;
}

/* From the first convolution, whose shape the others follow. */
static fhola_status find_width(importer *m)
{
    char shape[160];
    const nn_weight_tensor *tensor = find(m, "conv1.weight");
    if (!tensor)
        return fhola_fail(FHOLA_FORMAT, "%s: tensor %sconv1.weight is missing", m->path, m->prefix);
    format_shape(shape, sizeof shape, tensor->shape, tensor->rank);
    if (tensor->rank != 4 || tensor->shape[0] < 1 || tensor->shape[0] > MAX_WIDTH)
        return fhola_fail(FHOLA_FORMAT,
                          "%s: tensor %s is %s, must be CHANNELS x 3 x 3 x 3 with 1 to %u channels",
                          m->path, tensor->name, shape, MAX_WIDTH);
    m->width = (unsigned)tensor->shape[0];
    return FHOLA_OK;
}

/* Every tensor must have had a place, except the counters batch norm keeps for training. */
static fhola_status check_all_used(const importer *m)
{
    static const char counter[] = ".num_batches_tracked";
    for (size_t i = 0; i < nn_safetensors_count(m->file); i++) {
        const char *name = nn_safetensors_tensor(m->file, i)->name;
        size_t length = strlen(name);
        bool ignored = length >= sizeof counter - 1 &&
                       strcmp(name + length - (sizeof counter - 1), counter) == 0;
        if (!m->used[i] && !ignored)
            return fhola_fail(FHOLA_FORMAT,
                              "%s: unexpected tensor %s: not part of a CIFAR ResNet of depth %u",
                              m->path, name, 2 * STAGES * m->blocks + 2);
    }
    return FHOLA_OK;
}

static fhola_status build(importer *m)
{
    static const conv_names first = {"conv1", "bn1", "conv1", "bn1"};
    nn_tensor x;
    FHOLA_TRY(count_blocks(m));
    FHOLA_TRY(find_width(m));
    FHOLA_TRY(nn_graph_create(&m->graph, (nn_shape){3, SIDE, SIDE}));
    FHOLA_TRY(add_conv(m, &x, "conv1", 0, &first, m->width, 3, 1));
    FHOLA_TRY(activate(m, &x, "conv1", x));
    for (unsigned stage = 0; stage < STAGES; stage++)
        for (unsigned k = 0; k < m->blocks; k++) FHOLA_TRY(add_block(m, &x, stage, k));
    FHOLA_TRY(nn_graph_global_average_pool(m->graph, &x, "pool", x));
    FHOLA_TRY(add_linear(m, &x));
    FHOLA_TRY(check_all_used(m));
    return nn_graph_finish(m->graph, x);
}

fhola_status nn_resnet_import(nn_graph **graph, uint64_t *hash, const nn_safetensors *file,
                              const char *path, double eps, const ola_function *function)
{
    importer m = {.path = path, .file = file, .eps = eps, .function = function};
    m.used = calloc(nn_safetensors_count(file) + 1, sizeof *m.used);
    if (!m.used) return fhola_fail(FHOLA_NOMEM, "%s: no memory", path);
    XXH3_64bits_reset(&m.hash);
    if (eps != NN_BATCH_NORM_EPS) hash_tensor(&m, "batch_norm_epsilon", &eps, 1);
    find_prefix(&m);
    fhola_status status = build(&m);
    free(m.used);
    if (status != FHOLA_OK) {
        nn_graph_destroy(m.graph);
        return status;
    }
    *graph = m.graph;
    *hash = XXH3_64bits_digest(&m.hash);
    return FHOLA_OK;
}
