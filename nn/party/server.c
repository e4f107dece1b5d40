/* SPDX-License-Identifier: Apache-2.0 */
/* The server: compiled networks as files, evaluation keys, encrypted pictures in, encrypted scores
 * out. It never holds a secret key. */
#include <math.h>
#include <stdlib.h>

#include "nn/nn.h"
#include "nn/party/artifact.h"

/* Largest relative difference between a picture's scale and the network's. */
#define SCALE_TOLERANCE 0x1p-30

/* A compiled network as it is in its file. */
typedef struct compiled {
    ckks_params *params;
    nn_model *model;
    nn_plan *plan;
    uint64_t id;
} compiled;

struct nn_server {
    ckks_context *context;
    ckks_workspace *workspace;
    nn_network *network;
    compiled source; /* of the network, until its weights are encoded and not needed any more */
    bool prepared;
    uint64_t room; /* for diagonals */
    uint64_t id;
    ckks_eval_keys *keys;
    uint64_t key; /* id of the secret key they belong to */
    ckks_ciphertext **picture, *result;
    ckks_file_id network_file, keys_file; /* where it was read from */
};

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

static void compiled_clear(compiled *c)
{
    nn_plan_free(c->plan);
    nn_model_free(c->model);
    ckks_params_destroy(c->params);
    *c = (compiled){0};
}

/* The description needs a context to be checked with. */
static fhola_status read_description(compiled *c, ckks_reader *reader)
{
    ckks_context *context = NULL;
    nn_description description = {0};
    nn_client client = {0};
    fhola_status status = ckks_context_create(&context, c->params, "portable");
    if (status == FHOLA_OK) status = nn_description_read(&description, &client, context, reader);
    c->id = description.network;
    nn_client_clear(&client);
    nn_description_clear(&description);
    ckks_context_destroy(context);
    return status;
}

static fhola_status read_compiled(compiled *c, ckks_reader *reader)
{
    fhola_status status = ckks_reader_begin(reader, NULL, CKKS_FILE_NETWORK, NULL, 0);
    if (status == FHOLA_OK)
        status = ckks_params_create(&c->params, ckks_params_get_spec(ckks_reader_params(reader)));
    if (status == FHOLA_OK) status = read_description(c, reader);
    if (status == FHOLA_OK) status = nn_model_read(&c->model, reader);
    if (status == FHOLA_OK) status = nn_plan_read(&c->plan, c->model, reader);
    return status == FHOLA_OK ? ckks_reader_finish(reader) : status;
}

fhola_status nn_compiled_read(nn_model **model, nn_plan **plan, ckks_params **params,
                              ckks_reader *reader)
{
    compiled c = {0};
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
    s->room = UINT64_MAX;
    fhola_status status = ckks_context_create(&s->context, params, NULL);
    if (status == FHOLA_OK) status = ckks_workspace_create(&s->workspace, s->context);
    if (status == FHOLA_OK) status = ckks_ciphertext_create(&s->result, s->context);
    if (status == FHOLA_OK)
        status = nn_network_create(&s->network, s->context, s->workspace, model, plan, 0);
    if (status == FHOLA_OK)
        status = nn_encrypted_create(&s->picture, s->context, nn_network_client(s->network));
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
    s->source = (compiled){params, model, plan, s->id};
    *server = s;
    return FHOLA_OK;
}

fhola_status nn_server_read(nn_server **server, ckks_reader *reader)
{
    nn_server *s = calloc(1, sizeof *s);
    if (!s) return fhola_fail(FHOLA_NOMEM, "no memory for a server");
    compiled *c = &s->source;
    fhola_status status = read_compiled(c, reader);
    s->network_file = ckks_reader_file(reader);
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
    if (s->prepared) return FHOLA_OK;
    FHOLA_TRY(nn_network_create_within(&network, s->context, s->workspace, s->source.model,
                                       s->source.plan, s->room));
    nn_network_destroy(s->network);
    s->network = network;
    s->prepared = true;
    if (!nn_network_needs_weights(network)) compiled_clear(&s->source);
    return FHOLA_OK;
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
    nn_encrypted_destroy(s->picture);
    ckks_ciphertext_destroy(s->result);
    ckks_eval_keys_destroy(s->keys);
    nn_network_destroy(s->network);
    compiled_clear(&s->source);
    ckks_workspace_destroy(s->workspace);
    ckks_context_destroy(s->context);
    free(s);
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

const ckks_eval_keys *nn_server_keys(const nn_server *s)
{
    return s->keys;
}

/* ---- evaluation keys ---- */

static fhola_status read_keys(nn_server *s, ckks_eval_keys **keys, ckks_reader *reader,
                              nn_count_progress progress, void *arg)
{
    fhola_status status = ckks_reader_begin(reader, NULL, CKKS_FILE_EVAL_KEYS, s->context, 0);
    if (status == FHOLA_OK && !ckks_reader_head(reader).key)
        status = ckks_reader_fail(reader, FHOLA_FORMAT,
                                  "the keys do not say which secret key they belong to");
    if (status == FHOLA_OK) status = nn_network_id_check(reader, s->id);
    if (status == FHOLA_OK) status = ckks_eval_keys_read(keys, s->context, reader, progress, arg);
    return status == FHOLA_OK ? ckks_reader_finish(reader) : status;
}

fhola_status nn_server_read_keys(nn_server *s, ckks_reader *reader, nn_count_progress progress,
                                 void *arg)
{
    ckks_eval_keys *keys = NULL;
    fhola_status status = read_keys(s, &keys, reader, progress, arg);
    if (status == FHOLA_OK) {
        ckks_eval_keys_destroy(s->keys);
        s->keys = keys;
        s->key = ckks_reader_head(reader).key;
        s->keys_file = ckks_reader_file(reader);
    } else {
        ckks_eval_keys_destroy(keys);
    }
    return status;
}

fhola_status nn_server_load_keys(nn_server *s, const char *path, nn_count_progress progress,
                                 void *arg)
{
    ckks_reader *reader = NULL;
    fhola_status status = ckks_reader_open(&reader, path);
    if (status == FHOLA_OK) status = nn_server_read_keys(s, reader, progress, arg);
    ckks_reader_destroy(reader);
    return status;
}

/* ---- inference ---- */

static fhola_status read_part(const nn_server *s, ckks_ciphertext *part, ckks_reader *in)
{
    const nn_client *client = nn_network_client(s->network);
    fhola_status status = ckks_ciphertext_read(part, s->context, in);
    if (status == FHOLA_OK && ckks_ciphertext_basis(part) != client->basis)
        status = ckks_reader_fail(
            in, FHOLA_LEVEL, "this is no encrypted picture: its primes are %#llx, not %#llx",
            (unsigned long long)ckks_ciphertext_basis(part), (unsigned long long)client->basis);
    if (status == FHOLA_OK &&
        fabs(ckks_ciphertext_scale(part) / client->scale - 1) > SCALE_TOLERANCE)
        status = ckks_reader_fail(in, FHOLA_SCALE, "the scale is %g, not %g",
                                  ckks_ciphertext_scale(part), client->scale);
    return status;
}

/* After ckks_reader_begin. As many ciphertexts as the network takes, whatever the stream has. */
static fhola_status read_picture(const nn_server *s, ckks_ciphertext *const picture[],
                                 ckks_reader *in)
{
    fhola_status status = nn_network_id_check(in, s->id);
    for (ckks_ciphertext *const *part = picture; status == FHOLA_OK && *part; part++)
        status = read_part(s, *part, in);
    return status == FHOLA_OK ? ckks_reader_end(in) : status;
}

static fhola_status write_result(const nn_server *s, ckks_writer *out)
{
    fhola_status status = ckks_writer_begin(out, CKKS_FILE_CIPHERTEXT, nn_server_params(s), s->key);
    if (status == FHOLA_OK) status = nn_network_id_write(out, s->id);
    if (status == FHOLA_OK) status = ckks_ciphertext_write(out, s->result);
    return status == FHOLA_OK ? ckks_writer_end(out) : status;
}

static fhola_status check_keys(const nn_server *s)
{
    return s->keys ? FHOLA_OK : fhola_fail(FHOLA_KEY, "there are no evaluation keys yet");
}

/* No result goes where the pictures (`in` NULL: nobody knows), the network or the keys came
 * from. */
static fhola_status spare_inputs(const nn_server *s, const ckks_writer *out, const ckks_reader *in)
{
    fhola_status status = in ? ckks_writer_spare(out, ckks_reader_file(in)) : FHOLA_OK;
    if (status == FHOLA_OK) status = ckks_writer_spare(out, s->network_file);
    return status == FHOLA_OK ? ckks_writer_spare(out, s->keys_file) : status;
}

static fhola_status answer(nn_server *s, ckks_writer *out, ckks_ciphertext *const picture[],
                           const nn_infer_hooks *hooks)
{
    fhola_status status = nn_server_prepare(s);
    if (status == FHOLA_OK)
        status = nn_infer(s->context, s->workspace, s->result, s->network, s->keys, picture, hooks);
    return status == FHOLA_OK ? write_result(s, out) : status;
}

fhola_status nn_server_infer(nn_server *s, ckks_writer *out, ckks_reader *in, int *more,
                             const nn_infer_hooks *hooks)
{
    fhola_status status = check_keys(s);
    if (status == FHOLA_OK) status = spare_inputs(s, out, in);
    if (status == FHOLA_OK)
        status = ckks_reader_begin(in, more, CKKS_FILE_CIPHERTEXT, s->context, s->key);
    if (status != FHOLA_OK || !*more) return status;
    status = read_picture(s, s->picture, in);
    return status == FHOLA_OK ? answer(s, out, s->picture, hooks) : status;
}

fhola_status nn_server_receive(const nn_server *s, ckks_ciphertext ***picture, ckks_reader *in,
                               int *more)
{
    ckks_ciphertext **result = NULL;
    fhola_status status = check_keys(s);
    if (status == FHOLA_OK)
        status = ckks_reader_begin(in, more, CKKS_FILE_CIPHERTEXT, s->context, s->key);
    if (status != FHOLA_OK || !*more) return status;
    status = nn_encrypted_create(&result, s->context, nn_network_client(s->network));
    if (status == FHOLA_OK) status = read_picture(s, result, in);
    if (status != FHOLA_OK)
        nn_encrypted_destroy(result);
    else
        *picture = result;
    return status;
}

fhola_status nn_server_answer(nn_server *s, ckks_writer *out, ckks_ciphertext *const picture[],
                              const nn_infer_hooks *hooks)
{
    fhola_status status = check_keys(s);
    if (status == FHOLA_OK) status = spare_inputs(s, out, NULL);
    return status == FHOLA_OK ? answer(s, out, picture, hooks) : status;
}
