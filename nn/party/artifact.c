/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/party/artifact.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "nn/graph/graph.h"
#include "nn/graph/model_io.h"
#include "nn/nn.h"
#include "nn/planner/plan.h"

#define CLIENT_TAG  "CLNT"
#define NETWORK_TAG "NETW"
#define PLAN_TAG    "PLAN"

#define MAX_NAMES  (NN_MAX_CLASSES * (4u + NN_MAX_NAME))
#define SMALL_KEYS 0x100u /* added to the number of pictures */
#define MAX_KEYS   4096u
#define MIN_CLIENT 100u
#define MAX_CLIENT (256u + MAX_NAMES + 24u * MAX_KEYS)
#define MAX_PLAN   ((size_t)1 << 26)

/* ---- names of classes, normalisation ---- */

static void free_names(char **name, size_t count)
{
    for (size_t i = 0; name && i < count; i++) free(name[i]);
    free(name);
}

fhola_status nn_take_class_names(char ***name, nn_cursor *c, const ckks_reader *r, size_t count)
{
    fhola_status status = FHOLA_OK;
    if (count < 2 || count > NN_MAX_CLASSES)
        return ckks_reader_fail(r, FHOLA_FORMAT, "%zu classes are not 2..%u", count,
                                NN_MAX_CLASSES);
    char **names = calloc(count, sizeof *names);
    if (!names) return fhola_fail(FHOLA_NOMEM, "no memory for %zu class names", count);
    for (size_t i = 0; i < count && status == FHOLA_OK; i++) {
        char what[32];
        snprintf(what, sizeof what, "class %zu", i);
        status = nn_take_name(&names[i], c, r, what);
    }
    if (status != FHOLA_OK)
        free_names(names, count);
    else
        *name = names;
    return status;
}

fhola_status nn_take_normalisation(double mean[3], double std[3], nn_cursor *c,
                                   const ckks_reader *r)
{
    nn_take_doubles(mean, c, 3);
    nn_take_doubles(std, c, 3);
    for (int i = 0; i < 3; i++)
        if (!isfinite(mean[i]) || !isfinite(std[i]) || !(std[i] > 0))
            return ckks_reader_fail(r, FHOLA_FORMAT,
                                    "mean %g, std %g of channel %d are no normalisation", mean[i],
                                    std[i], i);
    return FHOLA_OK;
}

/* ---- description of a client ---- */

fhola_status nn_description_make(nn_description *out, const nn_client *client,
                                 const ckks_params *params, uint64_t model_hash)
{
    nn_bytes b = {0};
    nn_shape input = client->input.shape;
    nn_bytes_add64(&b, ckks_params_hash(params));
    nn_bytes_add64(&b, model_hash);
    nn_bytes_add_doubles(&b, &client->input_bound, 1);
    nn_bytes_add_doubles(&b, &client->scale, 1);
    nn_bytes_add64(&b, client->basis);
    nn_bytes_add32(&b, input.channels);
    nn_bytes_add32(&b, input.height);
    nn_bytes_add32(&b, input.width);
    nn_bytes_add_doubles(&b, client->mean, 3);
    nn_bytes_add_doubles(&b, client->std, 3);
    nn_bytes_add32(&b, (uint32_t)client->rows);
    nn_bytes_add32(&b, (uint32_t)client->classes);
    for (size_t i = 0; i < client->classes; i++) nn_bytes_add_name(&b, client->class_name[i]);
    nn_bytes_add32(&b, (uint32_t)client->keys.count);
    for (size_t i = 0; i < client->keys.count; i++) {
        const ckks_key_request *k = &client->keys.request[i];
        nn_bytes_add32(&b, (uint32_t)k->kind);
        nn_bytes_add32(&b, k->rotation);
        nn_bytes_add64(&b, k->q);
        nn_bytes_add64(&b, k->p);
    }
    if (nn_client_pictures(client) > 1 || client->small_keys)
        nn_bytes_add32(&b, nn_client_pictures(client) | (client->small_keys ? SMALL_KEYS : 0));
    fhola_status status = nn_bytes_built(&b);
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

static fhola_status check_encryption(const nn_client *c, const ckks_context *context,
                                     const ckks_reader *r)
{
    const ckks_params *params = ckks_context_params(context);
    if (!isnormal(c->input_bound) || c->input_bound < 0)
        return ckks_reader_fail(r, FHOLA_FORMAT, "the input's bound %g is not positive",
                                c->input_bound);
    if (!isnormal(c->scale) || c->scale < 0)
        return ckks_reader_fail(r, FHOLA_FORMAT, "the scale %g is not positive", c->scale);
    if (!c->basis || c->basis & ~ckks_basis_chain(params))
        return ckks_reader_fail(r, FHOLA_FORMAT,
                                "a basis of the primes %s does not fit the parameters",
                                ckks_basis_describe(params, c->basis).text);
    return FHOLA_OK;
}

static fhola_status take_input(nn_client *client, nn_cursor *c, const ckks_context *context,
                               const ckks_reader *r)
{
    nn_shape s;
    s.channels = nn_take32(c);
    s.height = nn_take32(c);
    s.width = nn_take32(c);
    const uint64_t most = NN_GRAPH_MAX_VALUES;
    if (s.channels < 1 || s.height < 1 || s.width < 1 || s.channels > most || s.height > most ||
        (uint64_t)s.channels * s.height > most || (uint64_t)s.channels * s.height * s.width > most)
        return ckks_reader_fail(r, FHOLA_FORMAT, "an input of %u x %u x %u values", s.channels,
                                s.height, s.width);
    fhola_status status = nn_layout_fresh(&client->input, s, ckks_slots(context), "the input");
    if (status != FHOLA_OK) return ckks_reader_fail(r, FHOLA_FORMAT, "%s", fhola_detail());
    return nn_take_normalisation(client->mean, client->std, c, r);
}

static fhola_status take_scores(nn_client *client, nn_cursor *c, const ckks_context *context,
                                const ckks_reader *r)
{
    client->rows = nn_take32(c);
    size_t classes = nn_take32(c);
    if (classes < 1 || classes > NN_MAX_CLASSES || client->rows > ckks_slots(context) ||
        client->rows != nn_layout_scores((unsigned)classes).period)
        return ckks_reader_fail(r, FHOLA_FORMAT, "%zu rows of scores for %zu classes", client->rows,
                                classes);
    fhola_status status = nn_take_class_names(&client->class_name, c, r, classes);
    if (status == FHOLA_OK) client->classes = classes;
    return status;
}

static fhola_status take_keys(ckks_key_list *keys, nn_cursor *c, const ckks_context *context,
                              const ckks_reader *r)
{
    size_t count = nn_take32(c);
    if (count > MAX_KEYS)
        return ckks_reader_fail(r, FHOLA_FORMAT, "%zu keys are more than %u", count, MAX_KEYS);
    if (count * 24 > c->left) return ckks_reader_fail(r, FHOLA_FORMAT, "the content is too short");
    fhola_status status = FHOLA_OK;
    for (size_t i = 0; i < count && status == FHOLA_OK; i++) {
        ckks_key_request request;
        request.kind = (ckks_key_kind)nn_take32(c);
        request.rotation = nn_take32(c);
        request.q = nn_take64(c);
        request.p = nn_take64(c);
        status = ckks_key_list_add(keys, context, request);
    }
    if (status != FHOLA_OK) return status;
    status = ckks_key_list_check(keys, ckks_context_params(context));
    if (status == FHOLA_OK) return FHOLA_OK;
    return ckks_reader_fail(r, status == FHOLA_SECURITY ? status : FHOLA_FORMAT, "%s",
                            fhola_detail());
}

/* Only networks for batches or with small keys say so, in what is left. */
static fhola_status take_options(nn_client *client, nn_cursor *c, const ckks_reader *r)
{
    client->pictures = 1;
    if (c->left != 4) return FHOLA_OK;
    uint32_t options = nn_take32(c);
    client->small_keys = options & SMALL_KEYS;
    client->pictures = options & ~SMALL_KEYS;
    return client->pictures == 2 || client->pictures == 4 || client->pictures == NN_MAX_PICTURES ||
                   options == (1 | SMALL_KEYS)
               ? FHOLA_OK
               : ckks_reader_fail(r, FHOLA_FORMAT, "a batch of %u pictures", client->pictures);
}

static fhola_status parse_client(nn_client *client, const ckks_context *context, nn_cursor *c,
                                 const ckks_reader *r)
{
    uint64_t params = nn_take64(c);
    (void)nn_take64(c); /* the model's hash: only part of the network's id */
    client->input_bound = nn_take_double(c);
    client->scale = nn_take_double(c);
    client->basis = nn_take64(c);
    if (params != ckks_params_hash(ckks_context_params(context)))
        return ckks_reader_fail(r, FHOLA_FORMAT, "made for other parameters");
    fhola_status status = check_encryption(client, context, r);
    if (status == FHOLA_OK) status = take_input(client, c, context, r);
    if (status == FHOLA_OK) status = take_scores(client, c, context, r);
    if (status == FHOLA_OK) status = take_keys(&client->keys, c, context, r);
    if (status == FHOLA_OK) status = take_options(client, c, r);
    return status == FHOLA_OK ? nn_taken(c, r) : status;
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
    nn_cursor c = {content, length, false};
    status = parse_client(client, context, &c, reader);
    unsigned char *copy = status == FHOLA_OK ? malloc(length) : NULL;
    if (status == FHOLA_OK && !copy)
        status = fhola_fail(FHOLA_NOMEM, "no memory for the description of a client");
    if (status != FHOLA_OK) {
        nn_client_clear(client);
        return status;
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
    nn_cursor c = {content, 8, false};
    *id = nn_take64(&c);
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
