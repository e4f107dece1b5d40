/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/party/artifact.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "nn/graph/model_io.h"
#include "nn/graph/resnet.h"
#include "nn/nn.h"
#include "nn/planner/plan.h"

#define CLIENT_TAG  "CLNT"
#define NETWORK_TAG "NETW"
#define MODEL_TAG   "MODL"
#define WEIGHTS_TAG "WGHT"
#define PLAN_TAG    "PLAN"

#define MAX_NAME   255u
#define MAX_NAMES  (NN_MAX_CLASSES * (4u + MAX_NAME))
#define MAX_KEYS   4096u
#define MIN_CLIENT 100u
#define MAX_CLIENT (256u + MAX_NAMES + 24u * MAX_KEYS)
#define MAX_MODEL  (256u + MAX_NAMES)
#define MAX_PLAN   ((size_t)1 << 26)

/* ---- little-endian bytes, growing and shrinking ---- */

/* Bytes under construction. Running out of memory sets `failed`; one check at the end is enough. */
typedef struct builder {
    unsigned char *bytes;
    size_t length, capacity;
    int failed;
} builder;

static void add_bytes(builder *b, const void *bytes, size_t length)
{
    if (b->capacity - b->length < length && !b->failed) {
        size_t capacity = 2 * b->capacity + length + 256;
        unsigned char *grown = realloc(b->bytes, capacity);
        b->failed = !grown;
        if (!grown) return;
        b->bytes = grown;
        b->capacity = capacity;
    }
    if (b->failed || !length) return;
    memcpy(b->bytes + b->length, bytes, length);
    b->length += length;
}

static void add_integer(builder *b, uint64_t x, unsigned width)
{
    unsigned char bytes[8];
    for (unsigned i = 0; i < width; i++) bytes[i] = (unsigned char)(x >> (8 * i));
    add_bytes(b, bytes, width);
}

static void add32(builder *b, uint32_t x)
{
    add_integer(b, x, 4);
}

static void add64(builder *b, uint64_t x)
{
    add_integer(b, x, 8);
}

static void add_double(builder *b, double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    add64(b, bits);
}

static void add_doubles(builder *b, const double *x, size_t count)
{
    for (size_t i = 0; i < count; i++) add_double(b, x[i]);
}

static fhola_status built(const builder *b)
{
    return b->failed ? fhola_fail(FHOLA_NOMEM, "no memory for a chunk of more than %zu bytes",
                                  b->capacity)
                     : FHOLA_OK;
}

/* Bytes being taken apart. Running out of bytes sets `short_of`; what is taken then is 0. */
typedef struct cursor {
    const unsigned char *bytes;
    size_t left;
    int short_of;
} cursor;

static const unsigned char *take_bytes(cursor *c, size_t length)
{
    const unsigned char *bytes = c->bytes;
    if (length > c->left) {
        c->short_of = 1;
        c->left = 0;
        return NULL;
    }
    c->bytes += length;
    c->left -= length;
    return bytes;
}

static uint64_t take_integer(cursor *c, unsigned width)
{
    const unsigned char *bytes = take_bytes(c, width);
    uint64_t x = 0;
    for (unsigned i = 0; bytes && i < width; i++) x |= (uint64_t)bytes[i] << (8 * i);
    return x;
}

static uint32_t take32(cursor *c)
{
    return (uint32_t)take_integer(c, 4);
}

static uint64_t take64(cursor *c)
{
    return take_integer(c, 8);
}

static double take_double(cursor *c)
{
    uint64_t bits = take64(c);
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static void take_doubles(double *x, cursor *c, size_t count)
{
    for (size_t i = 0; i < count; i++) x[i] = take_double(c);
}

static fhola_status taken(const cursor *c, const ckks_reader *r)
{
    if (c->short_of) return ckks_reader_fail(r, FHOLA_FORMAT, "the content is too short");
    if (c->left) return ckks_reader_fail(r, FHOLA_FORMAT, "%zu bytes are too many", c->left);
    return FHOLA_OK;
}

/* ---- names of classes ---- */

static void add_names(builder *b, char *const *name, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        add32(b, (uint32_t)strlen(name[i]));
        add_bytes(b, name[i], strlen(name[i]));
    }
}

static void free_names(char **name, size_t count)
{
    for (size_t i = 0; name && i < count; i++) free(name[i]);
    free(name);
}

static fhola_status take_name(char **name, cursor *c, const ckks_reader *r, size_t index)
{
    size_t length = take32(c);
    if (length > MAX_NAME)
        return ckks_reader_fail(r, FHOLA_FORMAT,
                                "the name of class %zu has %zu bytes, more than %u", index, length,
                                MAX_NAME);
    const char *text = (const char *)take_bytes(c, length);
    if (!text) return taken(c, r);
    if (!fhola_is_printable(text, length))
        return ckks_reader_fail(
            r, FHOLA_FORMAT, "the name of class %zu has control characters or is no UTF-8", index);
    *name = calloc(length + 1, 1);
    if (!*name) return fhola_fail(FHOLA_NOMEM, "no memory for class names");
    memcpy(*name, text, length);
    return FHOLA_OK;
}

/* *name belongs to the caller (free_names). */
static fhola_status take_names(char ***name, cursor *c, const ckks_reader *r, size_t count)
{
    fhola_status status = FHOLA_OK;
    if (count < 2 || count > NN_MAX_CLASSES)
        return ckks_reader_fail(r, FHOLA_FORMAT, "%zu classes are not 2..%u", count,
                                NN_MAX_CLASSES);
    char **names = calloc(count, sizeof *names);
    if (!names) return fhola_fail(FHOLA_NOMEM, "no memory for %zu class names", count);
    for (size_t i = 0; i < count && status == FHOLA_OK; i++) status = take_name(&names[i], c, r, i);
    if (status != FHOLA_OK)
        free_names(names, count);
    else
        *name = names;
    return status;
}

/* ---- description of a client ---- */

fhola_status nn_description_make(nn_description *out, const nn_client *client,
                                 const ckks_params *params, uint64_t model_hash)
{
    builder b = {0};
    add64(&b, ckks_params_hash(params));
    add64(&b, model_hash);
    add_doubles(&b, client->mean, 3);
    add_doubles(&b, client->std, 3);
    add_double(&b, client->input_bound);
    add_double(&b, client->scale);
    add64(&b, client->basis);
    add32(&b, client->input.channels);
    add32(&b, client->input.side);
    add32(&b, (uint32_t)client->rows);
    add32(&b, (uint32_t)client->classes);
    add_names(&b, client->class_name, client->classes);
    add32(&b, (uint32_t)client->keys.count);
    for (size_t i = 0; i < client->keys.count; i++) {
        const ckks_key_request *k = &client->keys.request[i];
        add32(&b, (uint32_t)k->kind);
        add32(&b, k->rotation);
        add64(&b, k->q);
        add64(&b, k->p);
    }
    fhola_status status = built(&b);
    if (status == FHOLA_OK && (client->keys.count > MAX_KEYS || b.length > MAX_CLIENT))
        status = fhola_fail(FHOLA_PARAM, "%zu keys, or the names of %zu classes, are too many",
                            client->keys.count, client->classes);
    if (status != FHOLA_OK)
        free(b.bytes);
    else
        *out = (nn_description){b.bytes, b.length, XXH3_64bits(b.bytes, b.length)};
    return status;
}

void nn_description_clear(nn_description *description)
{
    free(description->bytes);
    *description = (nn_description){0};
}

fhola_status nn_description_write(ckks_writer *writer, const nn_description *description)
{
    return ckks_writer_chunk(writer, CLIENT_TAG, description->bytes, description->length);
}

static fhola_status check_normalisation(const nn_client *c, const ckks_reader *r)
{
    for (int i = 0; i < 3; i++)
        if (!isfinite(c->mean[i]) || !isfinite(c->std[i]) || !(c->std[i] > 0))
            return ckks_reader_fail(r, FHOLA_FORMAT,
                                    "mean %g, std %g of colour %d are no normalisation", c->mean[i],
                                    c->std[i], i);
    if (!isnormal(c->input_bound) || c->input_bound < 0)
        return ckks_reader_fail(r, FHOLA_FORMAT, "the input's bound %g is not positive",
                                c->input_bound);
    if (!isnormal(c->scale) || c->scale < 0)
        return ckks_reader_fail(r, FHOLA_FORMAT, "the scale %g is not positive", c->scale);
    return FHOLA_OK;
}

static fhola_status check_shape(const nn_client *c, const ckks_context *context,
                                const ckks_reader *r, uint32_t channels, uint32_t side)
{
    ckks_basis chain = ckks_basis_chain(ckks_context_params(context));
    if (!c->basis || c->basis & ~chain)
        return ckks_reader_fail(r, FHOLA_FORMAT, "basis %#llx does not fit the parameters",
                                (unsigned long long)c->basis);
    if (channels != 3 || side != NN_IMAGE_SIDE)
        return ckks_reader_fail(
            r, FHOLA_FORMAT, "pictures of %u planes of side %u are not supported", channels, side);
    if (c->classes > NN_MAX_CLASSES || c->rows != nn_layout_score_rows((unsigned)c->classes) ||
        c->rows > ckks_slots(context))
        return ckks_reader_fail(r, FHOLA_FORMAT, "%zu rows of scores for %zu classes", c->rows,
                                c->classes);
    if (c->input.slots > ckks_slots(context))
        return ckks_reader_fail(r, FHOLA_FORMAT, "a picture takes %u slots, there are %zu",
                                c->input.slots, ckks_slots(context));
    return FHOLA_OK;
}

static fhola_status take_keys(ckks_key_list *keys, cursor *c, const ckks_context *context,
                              const ckks_reader *r)
{
    size_t count = take32(c);
    if (count > MAX_KEYS)
        return ckks_reader_fail(r, FHOLA_FORMAT, "%zu keys are more than %u", count, MAX_KEYS);
    if (count * 24 > c->left) return ckks_reader_fail(r, FHOLA_FORMAT, "the content is too short");
    fhola_status status = FHOLA_OK;
    for (size_t i = 0; i < count && status == FHOLA_OK; i++) {
        ckks_key_request request;
        request.kind = (ckks_key_kind)take32(c);
        request.rotation = take32(c);
        request.q = take64(c);
        request.p = take64(c);
        status = ckks_key_list_add(keys, context, request);
    }
    if (status != FHOLA_OK) return status;
    status = ckks_key_list_check(keys, ckks_context_params(context));
    if (status == FHOLA_OK) return FHOLA_OK;
    return ckks_reader_fail(r, status == FHOLA_SECURITY ? status : FHOLA_FORMAT, "%s",
                            fhola_detail());
}

static fhola_status parse_client(nn_client *client, const ckks_context *context, cursor *c,
                                 const ckks_reader *r)
{
    nn_client fixed = {0};
    ckks_key_list keys = {0};
    char **name = NULL;
    uint64_t params = take64(c);
    (void)take64(c); /* the model's hash: only part of the network's id */
    take_doubles(fixed.mean, c, 3);
    take_doubles(fixed.std, c, 3);
    fixed.input_bound = take_double(c);
    fixed.scale = take_double(c);
    fixed.basis = take64(c);
    uint32_t channels = take32(c), side = take32(c);
    fixed.rows = take32(c);
    fixed.classes = take32(c);
    if (params != ckks_params_hash(ckks_context_params(context)))
        return ckks_reader_fail(r, FHOLA_FORMAT, "made for other parameters");
    fixed.input = nn_layout_of(3, NN_IMAGE_SIDE);
    fhola_status status = check_normalisation(&fixed, r);
    if (status == FHOLA_OK) status = check_shape(&fixed, context, r, channels, side);
    if (status == FHOLA_OK) status = take_names(&name, c, r, fixed.classes);
    if (status == FHOLA_OK) status = take_keys(&keys, c, context, r);
    if (status == FHOLA_OK) status = taken(c, r);
    if (status == FHOLA_OK)
        status = nn_client_init(client, context, (const char *const *)name, fixed.classes, &keys);
    if (status == FHOLA_OK) {
        memcpy(client->mean, fixed.mean, sizeof fixed.mean);
        memcpy(client->std, fixed.std, sizeof fixed.std);
        client->input_bound = fixed.input_bound;
        client->input = fixed.input;
        client->basis = fixed.basis;
        client->scale = fixed.scale;
        client->rows = fixed.rows;
    }
    free_names(name, name ? fixed.classes : 0);
    ckks_key_list_clear(&keys);
    return status;
}

fhola_status nn_description_read(nn_description *out, nn_client *client,
                                 const ckks_context *context, ckks_reader *reader)
{
    const unsigned char *content;
    size_t length;
    *client = (nn_client){0};
    fhola_status status =
        ckks_reader_chunk(reader, CLIENT_TAG, MIN_CLIENT, MAX_CLIENT, &content, &length);
    if (status != FHOLA_OK) return status;
    cursor c = {content, length, 0};
    status = parse_client(client, context, &c, reader);
    if (status != FHOLA_OK) return status;
    unsigned char *copy = malloc(length);
    if (!copy) {
        nn_client_clear(client);
        return fhola_fail(FHOLA_NOMEM, "no memory for the description of a client");
    }
    memcpy(copy, content, length);
    *out = (nn_description){copy, length, XXH3_64bits(copy, length)};
    return FHOLA_OK;
}

/* ---- id of a network ---- */

fhola_status nn_network_id_write(ckks_writer *writer, uint64_t network)
{
    unsigned char bytes[8];
    for (unsigned i = 0; i < 8; i++) bytes[i] = (unsigned char)(network >> (8 * i));
    return ckks_writer_chunk(writer, NETWORK_TAG, bytes, sizeof bytes);
}

fhola_status nn_network_id_read(uint64_t *id, ckks_reader *reader)
{
    const unsigned char *content;
    fhola_status status = ckks_reader_chunk(reader, NETWORK_TAG, 8, 8, &content, NULL);
    if (status != FHOLA_OK) return status;
    cursor c = {content, 8, 0};
    *id = take64(&c);
    return FHOLA_OK;
}

fhola_status nn_network_id_check(ckks_reader *reader, uint64_t network)
{
    uint64_t id;
    fhola_status status = nn_network_id_read(&id, reader);
    if (status != FHOLA_OK || id == network) return status;
    return ckks_reader_fail(reader, FHOLA_KEY, "made for another network (%016llx, not %016llx)",
                            (unsigned long long)id, (unsigned long long)network);
}

/* ---- models ---- */

/* The layers of a model in the order of their chunks, as (weights, biases). */
typedef struct layer_values {
    double *weight, *bias;
    size_t weights, biases;
} layer_values;

static size_t conv_weights(const nn_conv *c)
{
    return (size_t)c->out * c->in * c->kernel * c->kernel;
}

static layer_values conv_values(const nn_conv *c)
{
    return (layer_values){c->weight, c->bias, conv_weights(c), c->out};
}

/* Calls visit for every layer until it fails. */
static fhola_status each_layer(const nn_model *m,
                               fhola_status (*visit)(void *arg, layer_values values), void *arg)
{
    fhola_status status = visit(arg, conv_values(&m->first));
    for (unsigned k = 0; k < 3 * m->blocks_per_stage && status == FHOLA_OK; k++) {
        const nn_block *b = &m->blocks[k];
        status = visit(arg, conv_values(&b->conv1));
        if (status == FHOLA_OK) status = visit(arg, conv_values(&b->conv2));
        if (status == FHOLA_OK && b->shortcut == NN_SHORTCUT_PROJECTION)
            status = visit(arg, conv_values(&b->projection));
    }
    if (status == FHOLA_OK)
        status = visit(
            arg, (layer_values){m->fc_weight, m->fc_bias, (size_t)m->classes * 64, m->classes});
    return status;
}

static fhola_status write_layer(void *arg, layer_values v)
{
    builder b = {0};
    add_doubles(&b, v.weight, v.weights);
    add_doubles(&b, v.bias, v.biases);
    fhola_status status = built(&b);
    if (status == FHOLA_OK) status = ckks_writer_chunk(arg, WEIGHTS_TAG, b.bytes, b.length);
    free(b.bytes);
    return status;
}

fhola_status nn_model_write(ckks_writer *writer, const nn_model *m)
{
    builder b = {0};
    fhola_status status = nn_model_check_blocks(m);
    if (status != FHOLA_OK) return status;
    unsigned stage = m->blocks_per_stage;
    add32(&b, stage);
    add32(&b, m->classes);
    add32(&b, m->blocks[stage].shortcut == NN_SHORTCUT_PROJECTION);
    add32(&b, m->blocks[2 * stage].shortcut == NN_SHORTCUT_PROJECTION);
    add64(&b, m->hash);
    add_doubles(&b, m->mean, 3);
    add_doubles(&b, m->std, 3);
    add_double(&b, m->test_accuracy);
    add_names(&b, m->class_names, m->classes);
    status = built(&b);
    if (status == FHOLA_OK) status = ckks_writer_chunk(writer, MODEL_TAG, b.bytes, b.length);
    free(b.bytes);
    return status == FHOLA_OK ? each_layer(m, write_layer, writer) : status;
}

/* Room for a layer's values. */
static fhola_status allocate_values(double **weight, size_t weights, double **bias, size_t biases)
{
    *weight = calloc(weights, sizeof **weight);
    *bias = calloc(biases, sizeof **bias);
    return *weight && *bias
               ? FHOLA_OK
               : fhola_fail(FHOLA_NOMEM, "no memory for a layer of %zu weights", weights);
}

static fhola_status allocate_conv(nn_conv *c, nn_conv shape)
{
    *c = shape;
    return allocate_values(&c->weight, conv_weights(c), &c->bias, c->out);
}

static fhola_status allocate_block(nn_block *b, unsigned stage, int narrows, int projection)
{
    unsigned out = 16u << stage, out_size = NN_IMAGE_SIDE >> stage;
    nn_conv second = {.in = out, .out = out, .kernel = 3, .stride = 1, .in_size = out_size},
            first = second;
    if (narrows) {
        first.in = out / 2;
        first.stride = 2;
        first.in_size = 2 * out_size;
    }
    b->shortcut = !narrows     ? NN_SHORTCUT_IDENTITY
                  : projection ? NN_SHORTCUT_PROJECTION
                               : NN_SHORTCUT_PAD;
    fhola_status status = allocate_conv(&b->conv1, first);
    if (status == FHOLA_OK) status = allocate_conv(&b->conv2, second);
    first.kernel = 1;
    if (status == FHOLA_OK && b->shortcut == NN_SHORTCUT_PROJECTION)
        status = allocate_conv(&b->projection, first);
    return status;
}

static fhola_status allocate_layers(nn_model *m, const uint32_t projection[2])
{
    unsigned blocks = m->blocks_per_stage;
    m->depth = 6 * blocks + 2;
    m->blocks = calloc(3 * (size_t)blocks, sizeof *m->blocks);
    if (!m->blocks) return fhola_fail(FHOLA_NOMEM, "no memory for %u blocks", 3 * blocks);
    fhola_status status = allocate_conv(
        &m->first,
        (nn_conv){.in = 3, .out = 16, .kernel = 3, .stride = 1, .in_size = NN_IMAGE_SIDE});
    for (unsigned k = 0; k < 3 * blocks && status == FHOLA_OK; k++) {
        unsigned stage = k / blocks;
        status = allocate_block(&m->blocks[k], stage, stage > 0 && k % blocks == 0,
                                stage > 0 && projection[stage - 1]);
    }
    return status == FHOLA_OK
               ? allocate_values(&m->fc_weight, (size_t)m->classes * 64, &m->fc_bias, m->classes)
               : status;
}

static fhola_status read_layer(void *arg, layer_values v)
{
    ckks_reader *r = arg;
    const unsigned char *content;
    size_t bytes = 8 * (v.weights + v.biases);
    fhola_status status = ckks_reader_chunk(r, WEIGHTS_TAG, bytes, bytes, &content, NULL);
    if (status != FHOLA_OK) return status;
    cursor c = {content, bytes, 0};
    take_doubles(v.weight, &c, v.weights);
    take_doubles(v.bias, &c, v.biases);
    for (size_t i = 0; i < v.weights + v.biases; i++)
        if (!isfinite(i < v.weights ? v.weight[i] : v.bias[i - v.weights]))
            return ckks_reader_fail(r, FHOLA_FORMAT, "value %zu is not finite", i);
    return FHOLA_OK;
}

static fhola_status parse_model(nn_model *m, uint32_t projection[2], cursor *c,
                                const ckks_reader *r)
{
    uint32_t blocks = take32(c), classes = take32(c);
    for (int i = 0; i < 2; i++) projection[i] = take32(c);
    m->hash = take64(c);
    take_doubles(m->mean, c, 3);
    take_doubles(m->std, c, 3);
    m->test_accuracy = take_double(c);
    if (blocks < 1 || blocks > NN_MAX_BLOCKS_PER_STAGE)
        return ckks_reader_fail(r, FHOLA_FORMAT, "%u blocks a stage are not 1..%u", blocks,
                                NN_MAX_BLOCKS_PER_STAGE);
    if (projection[0] > 1 || projection[1] > 1)
        return ckks_reader_fail(r, FHOLA_FORMAT, "unknown kind of shortcut");
    for (int i = 0; i < 3; i++)
        if (!isfinite(m->mean[i]) || !isfinite(m->std[i]) || !(m->std[i] > 0))
            return ckks_reader_fail(r, FHOLA_FORMAT,
                                    "mean %g, std %g of colour %d are no normalisation", m->mean[i],
                                    m->std[i], i);
    fhola_status status = take_names(&m->class_names, c, r, classes);
    if (status != FHOLA_OK) return status;
    m->classes = classes;
    m->blocks_per_stage = blocks;
    return taken(c, r);
}

fhola_status nn_model_read(nn_model **model, ckks_reader *reader)
{
    const unsigned char *content;
    size_t length;
    uint32_t projection[2];
    fhola_status status = ckks_reader_chunk(reader, MODEL_TAG, 0, MAX_MODEL, &content, &length);
    if (status != FHOLA_OK) return status;
    nn_model *m = calloc(1, sizeof *m);
    if (!m) return fhola_fail(FHOLA_NOMEM, "no memory for a model");
    cursor c = {content, length, 0};
    status = parse_model(m, projection, &c, reader);
    if (status == FHOLA_OK) status = allocate_layers(m, projection);
    if (status == FHOLA_OK) status = each_layer(m, read_layer, reader);
    if (status == FHOLA_OK) status = nn_resnet_graph(&m->graph, m);
    if (status != FHOLA_OK)
        nn_model_free(m);
    else
        *model = m;
    return status;
}

/* ---- plans ---- */

fhola_status nn_plan_write(ckks_writer *writer, const nn_plan *plan)
{
    char *text = NULL;
    size_t length = 0;
    fhola_status status = nn_plan_format(&text, &length, plan);
    if (status == FHOLA_OK) status = ckks_writer_chunk(writer, PLAN_TAG, text, length);
    free(text);
    return status;
}

fhola_status nn_plan_read(nn_plan **plan, const nn_model *model, ckks_reader *reader)
{
    const unsigned char *content;
    size_t length;
    nn_plan *result = NULL;
    fhola_status status = ckks_reader_chunk(reader, PLAN_TAG, 0, MAX_PLAN, &content, &length);
    if (status != FHOLA_OK) return status;
    status = nn_plan_parse(&result, (const char *)content, length, "the plan");
    if (status == FHOLA_OK) status = nn_plan_check(result, model);
    if (status != FHOLA_OK) {
        nn_plan_free(result);
        return status == FHOLA_NOMEM ? status
                                     : ckks_reader_fail(reader, FHOLA_FORMAT, "%s", fhola_detail());
    }
    *plan = result;
    return FHOLA_OK;
}
