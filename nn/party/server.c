/* SPDX-License-Identifier: Apache-2.0 */
/* The server's network: compiled, as a file, and made ready to run. */
#include "nn/party/server.h"

#include <stdlib.h>

#include "nn/party/artifact.h"

/* ---- compiled networks ---- */

/* A network without its encoded weights: enough for its description. */
typedef struct dry_run {
    ckks_context *context;
    ckks_workspace *workspace;
    nn_network *network;
    nn_description description;
} dry_run;

static fhola_status dry_run_init(dry_run *d, const ckks_params *params, const nn_model *model,
                                 const nn_plan *plan)
{
    *d = (dry_run){0};
    fhola_status status = ckks_context_create(&d->context, params, NULL);
    if (status == FHOLA_OK) status = ckks_workspace_create(&d->workspace, d->context);
    if (status == FHOLA_OK)
        status = nn_network_create(&d->network, d->context, d->workspace, model, plan, 0);
    return status == FHOLA_OK ? nn_description_make(&d->description, nn_network_client(d->network),
                                                    params, model->hash)
                              : status;
}

static void dry_run_clear(dry_run *d)
{
    nn_description_clear(&d->description);
    nn_network_destroy(d->network);
    ckks_workspace_destroy(d->workspace);
    ckks_context_destroy(d->context);
}

/* A file open for writing, with its container begun and its description written. */
static fhola_status begin_file(ckks_writer **writer, const char *path, ckks_file_kind kind,
                               const ckks_params *params, const nn_description *description)
{
    fhola_status status = ckks_writer_open(writer, path, 0);
    if (status == FHOLA_OK) status = ckks_writer_begin(*writer, kind, params, 0);
    return status == FHOLA_OK ? nn_description_write(*writer, description) : status;
}

static fhola_status save(const char *path, const char *client_path, const ckks_params *params,
                         const nn_model *model, const nn_plan *plan,
                         const nn_description *description)
{
    ckks_writer *network = NULL, *client = NULL;
    fhola_status status = begin_file(&network, path, CKKS_FILE_NETWORK, params, description);
    if (status == FHOLA_OK) status = nn_model_write(network, model);
    if (status == FHOLA_OK) status = nn_plan_write(network, plan);
    if (status == FHOLA_OK) status = ckks_writer_end(network);
    if (status == FHOLA_OK && client_path)
        status = begin_file(&client, client_path, CKKS_FILE_CLIENT, params, description);
    if (status == FHOLA_OK && client_path) status = ckks_writer_end(client);
    if (status == FHOLA_OK)
        status =
            client_path ? ckks_writer_commit_both(network, client) : ckks_writer_commit(network);
    ckks_writer_destroy(network);
    ckks_writer_destroy(client);
    return status;
}

fhola_status nn_compiled_save(const char *path, const char *client_path, const ckks_params *params,
                              const nn_model *model, const nn_plan *plan)
{
    dry_run d;
    fhola_status status = dry_run_init(&d, params, model, plan);
    if (status == FHOLA_OK) status = save(path, client_path, params, model, plan, &d.description);
    dry_run_clear(&d);
    return status;
}

static void compiled_clear(nn_compiled *c)
{
    nn_plan_free(c->plan);
    nn_model_free(c->model);
    ckks_params_destroy(c->params);
    *c = (nn_compiled){0};
}

/* The description needs a context to be checked with. */
static fhola_status read_description(nn_compiled *c, ckks_reader *reader)
{
    ckks_context *context = NULL;
    nn_description description = {0};
    nn_client client = {0};
    fhola_status status = ckks_context_create(&context, c->params, "portable");
    if (status == FHOLA_OK) status = nn_description_read(&description, &client, context, reader);
    c->id = description.network;
    c->pictures = nn_client_pictures(&client);
    c->small_keys = client.small_keys;
    nn_client_clear(&client);
    nn_description_clear(&description);
    ckks_context_destroy(context);
    return status;
}

static fhola_status read_compiled(nn_compiled *c, ckks_reader *reader)
{
    fhola_status status = ckks_reader_begin(reader, NULL, CKKS_FILE_NETWORK, NULL, 0);
    if (status == FHOLA_OK)
        status = ckks_params_create(&c->params, ckks_params_get_spec(ckks_reader_params(reader)));
    if (status == FHOLA_OK) status = read_description(c, reader);
    if (status == FHOLA_OK) status = nn_model_read(&c->model, reader);
    if (status == FHOLA_OK) status = nn_plan_read(&c->plan, c->model, reader);
    if (status == FHOLA_OK) status = nn_plan_set_pictures(c->plan, c->pictures);
    if (status == FHOLA_OK) nn_plan_set_small_keys(c->plan, c->small_keys);
    return status == FHOLA_OK ? ckks_reader_finish(reader) : status;
}

fhola_status nn_compiled_read(nn_model **model, nn_plan **plan, ckks_params **params,
                              ckks_reader *reader)
{
    nn_compiled c = {0};
    fhola_status status = read_compiled(&c, reader);
    if (status != FHOLA_OK) compiled_clear(&c);
    if (status != FHOLA_OK) return status;
    *model = c.model;
    *plan = c.plan;
    *params = c.params;
    return FHOLA_OK;
}

fhola_status nn_compiled_load(nn_model **model, nn_plan **plan, ckks_params **params,
                              const char *path)
{
    ckks_reader *reader = NULL;
    fhola_status status = ckks_reader_open(&reader, path);
    if (status == FHOLA_OK) status = nn_compiled_read(model, plan, params, reader);
    ckks_reader_destroy(reader);
    return status;
}

/* ---- servers ---- */

static fhola_status create(nn_server *s, const ckks_params *params, const nn_model *model,
                           const nn_plan *plan)
{
    nn_description description = {0};
    ckks_workspace *workspace = NULL;
    s->room = UINT64_MAX;
    fhola_status status = ckks_context_create(&s->context, params, NULL);
    if (status == FHOLA_OK) status = ckks_workspace_create(&workspace, s->context);
    if (status == FHOLA_OK)
        status = nn_network_create(&s->network, s->context, workspace, model, plan, 0);
    ckks_workspace_destroy(workspace);
    if (status == FHOLA_OK)
        status =
            nn_description_make(&description, nn_network_client(s->network), params, model->hash);
    s->id = description.network;
    nn_description_clear(&description);
    return status;
}

fhola_status nn_server_adopt(nn_server **server, ckks_params *params, nn_model *model,
                             nn_plan *plan)
{
    nn_server *s = calloc(1, sizeof *s);
    if (!s) return fhola_fail(FHOLA_NOMEM, "no memory for a server");
    fhola_status status = create(s, params, model, plan);
    if (status != FHOLA_OK) {
        nn_server_destroy(s);
        return status;
    }
    s->source = (nn_compiled){params, model, plan, s->id, nn_plan_pictures(plan), plan->small_keys};
    *server = s;
    return FHOLA_OK;
}

fhola_status nn_server_read(nn_server **server, ckks_reader *reader)
{
    nn_server *s = calloc(1, sizeof *s);
    if (!s) return fhola_fail(FHOLA_NOMEM, "no memory for a server");
    nn_compiled *c = &s->source;
    fhola_status status = read_compiled(c, reader);
    s->file = ckks_reader_file(reader);
    if (status == FHOLA_OK) status = create(s, c->params, c->model, c->plan);
    if (status == FHOLA_OK && s->id != c->id)
        status = ckks_reader_fail(reader, FHOLA_FORMAT,
                                  "compiled by another version of the program; its client files "
                                  "have the id %016llx, they now need %016llx",
                                  (unsigned long long)c->id, (unsigned long long)s->id);
    if (status != FHOLA_OK)
        nn_server_destroy(s);
    else
        *server = s;
    return status;
}

fhola_status nn_server_open(nn_server **server, const char *path)
{
    ckks_reader *reader = NULL;
    fhola_status status = ckks_reader_open(&reader, path);
    if (status == FHOLA_OK) status = nn_server_read(server, reader);
    ckks_reader_destroy(reader);
    return status;
}

fhola_status nn_server_prepare(nn_server *s)
{
    nn_network *network = NULL;
    ckks_workspace *workspace = NULL;
    if (s->prepared) return FHOLA_OK;
    fhola_status status = ckks_workspace_create(&workspace, s->context);
    if (status == FHOLA_OK)
        status = nn_network_create_within(&network, s->context, workspace, s->source.model,
                                          s->source.plan, s->room);
    ckks_workspace_destroy(workspace);
    if (status != FHOLA_OK) return status;
    nn_network_destroy(s->network);
    s->network = network;
    s->prepared = true;
    if (!nn_network_needs_weights(network)) compiled_clear(&s->source);
    return FHOLA_OK;
}

fhola_status nn_server_set_threads(nn_server *s, unsigned threads)
{
    return ckks_context_set_threads(s->context, threads);
}

fhola_status nn_server_limit_memory(nn_server *s, uint64_t bytes)
{
    uint64_t room = UINT64_MAX;
    if (bytes) FHOLA_TRY(nn_network_room(&room, s->network, s->context, bytes));
    s->room = room;
    return FHOLA_OK;
}

nn_memory nn_server_memory(const nn_server *s)
{
    return nn_network_memory(s->network, s->context);
}

void nn_server_destroy(nn_server *s)
{
    if (!s) return;
    nn_network_destroy(s->network);
    compiled_clear(&s->source);
    ckks_context_destroy(s->context);
    free(s);
}

fhola_status nn_server_write_client(const nn_server *s, ckks_writer *out)
{
    nn_description description;
    if (!s->source.model)
        return fhola_fail(FHOLA_PARAM, "the network is prepared: a client file is made before");
    FHOLA_TRY(nn_description_make(&description, nn_network_client(s->network), nn_server_params(s),
                                  s->source.model->hash));
    fhola_status status = ckks_writer_begin(out, CKKS_FILE_CLIENT, nn_server_params(s), 0);
    if (status == FHOLA_OK) status = nn_description_write(out, &description);
    if (status == FHOLA_OK) status = ckks_writer_end(out);
    nn_description_clear(&description);
    return status;
}

const ckks_params *nn_server_params(const nn_server *s)
{
    return ckks_context_params(s->context);
}

const nn_network *nn_server_network(const nn_server *s)
{
    return s->network;
}

uint64_t nn_server_network_id(const nn_server *s)
{
    return s->id;
}

const nn_model *nn_server_model(const nn_server *s)
{
    return s->source.model;
}

const nn_plan *nn_server_plan(const nn_server *s)
{
    return s->source.plan;
}
