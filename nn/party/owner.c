/* SPDX-License-Identifier: Apache-2.0 */
/* The owner of the pictures: from a client file to keys, from pictures to ciphertexts, from results
 * to scores. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "nn/nn.h"
#include "nn/party/artifact.h"
#include "nn/party/client.h"
#include "nn/party/flooded.h"

struct nn_owner {
    ckks_context *context;
    ckks_workspace *workspace;
    ckks_rng *rng;
    nn_description description;
    nn_client client;
    nn_network *network; /* whose client is in use instead; NULL: `client` is */
    ckks_secret_key *secret;
    uint64_t key;           /* id of the secret key */
    char *flooded;          /* path of the count of flooded results; NULL: no noise */
    double bits, queries;   /* that the noise is for */
    double flood_deviation; /* on scores */
    ckks_file_id source;    /* the file it was opened from */
    int overwrite;          /* keys may replace files */
};

static fhola_status prepare(nn_owner *o, const ckks_params *params)
{
    fhola_status status = ckks_context_create(&o->context, params, NULL);
    if (status == FHOLA_OK) status = ckks_workspace_create(&o->workspace, o->context);
    return status == FHOLA_OK ? ckks_rng_create(&o->rng) : status;
}

void nn_owner_destroy(nn_owner *o)
{
    if (!o) return;
    ckks_secret_key_destroy(o->secret);
    free(o->flooded);
    nn_network_destroy(o->network);
    nn_client_clear(&o->client);
    nn_description_clear(&o->description);
    ckks_rng_destroy(o->rng);
    ckks_workspace_destroy(o->workspace);
    ckks_context_destroy(o->context);
    free(o);
}

static fhola_status read_file(nn_owner *o, ckks_reader *reader, ckks_file_kind kind)
{
    fhola_status status = ckks_reader_begin(reader, NULL, kind, NULL, 0);
    if (status == FHOLA_OK) status = prepare(o, ckks_reader_params(reader));
    if (status == FHOLA_OK)
        status = nn_description_read(&o->description, &o->client, o->context, reader);
    if (status == FHOLA_OK && kind == CKKS_FILE_SECRET_KEY)
        status = ckks_secret_key_read(&o->secret, o->context, reader);
    o->key = ckks_reader_head(reader).key;
    if (status == FHOLA_OK && kind == CKKS_FILE_SECRET_KEY && !o->key)
        status = ckks_reader_fail(reader, FHOLA_FORMAT, "the secret key has no id");
    return status == FHOLA_OK ? ckks_reader_finish(reader) : status;
}

static fhola_status read_owner(nn_owner **owner, ckks_reader *reader, ckks_file_kind kind)
{
    nn_owner *o = calloc(1, sizeof *o);
    if (!o) return fhola_fail(FHOLA_NOMEM, "no memory for the keys' owner");
    fhola_status status = read_file(o, reader, kind);
    o->source = ckks_reader_file(reader);
    if (status != FHOLA_OK)
        nn_owner_destroy(o);
    else
        *owner = o;
    return status;
}

static fhola_status open_file(nn_owner **owner, const char *path, ckks_file_kind kind)
{
    ckks_reader *reader = NULL;
    fhola_status status = ckks_reader_open(&reader, path);
    if (status == FHOLA_OK) status = read_owner(owner, reader, kind);
    ckks_reader_destroy(reader);
    return status;
}

fhola_status nn_owner_read_client(nn_owner **owner, ckks_reader *reader)
{
    return read_owner(owner, reader, CKKS_FILE_CLIENT);
}

fhola_status nn_owner_read_secret(nn_owner **owner, ckks_reader *reader)
{
    return read_owner(owner, reader, CKKS_FILE_SECRET_KEY);
}

fhola_status nn_owner_open_client(nn_owner **owner, const char *path)
{
    return open_file(owner, path, CKKS_FILE_CLIENT);
}

fhola_status nn_owner_open_secret(nn_owner **owner, const char *path)
{
    return open_file(owner, path, CKKS_FILE_SECRET_KEY);
}

fhola_status nn_owner_create(nn_owner **owner, const ckks_params *params, const nn_model *model,
                             const nn_plan *plan)
{
    nn_owner *o = calloc(1, sizeof *o);
    if (!o) return fhola_fail(FHOLA_NOMEM, "no memory for the keys' owner");
    fhola_status status = prepare(o, params);
    if (status == FHOLA_OK)
        status = nn_network_create(&o->network, o->context, o->workspace, model, plan, 0);
    if (status == FHOLA_OK)
        status = nn_description_make(&o->description, nn_network_client(o->network), params,
                                     model->hash);
    if (status != FHOLA_OK)
        nn_owner_destroy(o);
    else
        *owner = o;
    return status;
}

fhola_status nn_owner_set_threads(nn_owner *o, unsigned threads)
{
    return ckks_context_set_threads(o->context, threads);
}

const ckks_params *nn_owner_params(const nn_owner *o)
{
    return ckks_context_params(o->context);
}

const nn_client *nn_owner_client(const nn_owner *o)
{
    return o->network ? nn_network_client(o->network) : &o->client;
}

uint64_t nn_owner_network(const nn_owner *o)
{
    return o->description.network;
}

uint64_t nn_owner_key(const nn_owner *o)
{
    return o->key;
}

/* ---- keys ---- */

static fhola_status write_secret(const nn_owner *o, ckks_writer *writer,
                                 const ckks_secret_key *secret, uint64_t key)
{
    fhola_status status = ckks_writer_begin(writer, CKKS_FILE_SECRET_KEY, nn_owner_params(o), key);
    if (status == FHOLA_OK) status = nn_description_write(writer, &o->description);
    if (status == FHOLA_OK) status = ckks_secret_key_write(writer, secret);
    return status == FHOLA_OK ? ckks_writer_end(writer) : status;
}

static fhola_status write_keys(const nn_owner *o, ckks_writer *writer,
                               const ckks_secret_key *secret, uint64_t key,
                               nn_count_progress progress, void *arg)
{
    const ckks_key_list *list = nn_client_keys(nn_owner_client(o));
    fhola_status status = ckks_writer_begin(writer, CKKS_FILE_EVAL_KEYS, nn_owner_params(o), key);
    if (status == FHOLA_OK) status = nn_network_id_write(writer, o->description.network);
    if (status == FHOLA_OK)
        status = ckks_eval_keys_generate(writer, o->context, secret, list, o->rng, progress, arg);
    return status == FHOLA_OK ? ckks_writer_end(writer) : status;
}

fhola_status nn_owner_keys_bytes(uint64_t *bytes, const nn_owner *o)
{
    const ckks_key_list *list = nn_client_keys(nn_owner_client(o));
    fhola_status status = ckks_key_list_check(list, nn_owner_params(o));
    if (status != FHOLA_OK) return status;
    uint64_t size = ckks_eval_keys_file_bytes(o->context, list) + NN_NETWORK_ID_BYTES;
    if (size > NN_MAX_KEYS_BYTES)
        return fhola_fail(
            FHOLA_RANGE,
            "the %zu evaluation keys that are asked for would take %.1f GB, more than "
            "the %.1f GB that they may",
            list->count, (double)size / 1e9, (double)NN_MAX_KEYS_BYTES / 1e9);
    *bytes = size;
    return FHOLA_OK;
}

void nn_owner_overwrite(nn_owner *o)
{
    o->overwrite = 1;
}

static unsigned writer_flags(const nn_owner *o)
{
    return o->overwrite ? 0 : CKKS_WRITER_NEW;
}

static fhola_status open_secret_file(const nn_owner *o, ckks_writer **secret, const char *path)
{
    FHOLA_TRY(ckks_writer_open(secret, path,
                               writer_flags(o) | CKKS_WRITER_OWNER_ONLY | CKKS_WRITER_LOCK));
    return ckks_writer_spare(*secret, o->source);
}

/* Opens the files of both keys. What they replace, if they may, stays until both are complete. */
static fhola_status open_files(const nn_owner *o, ckks_writer **secret, const char *secret_path,
                               ckks_writer **keys, const char *keys_path)
{
    FHOLA_TRY(open_secret_file(o, secret, secret_path));
    FHOLA_TRY(ckks_writer_open(keys, keys_path, writer_flags(o)));
    return ckks_writer_spare(*keys, o->source);
}

/* From now on the owner has this secret key. */
static void take_secret(nn_owner *o, ckks_secret_key *secret, uint64_t key)
{
    ckks_secret_key_destroy(o->secret);
    o->secret = secret;
    o->key = key;
}

/* *secret, with its id, belongs to the caller. */
static fhola_status make_keys(const nn_owner *o, ckks_secret_key **secret, uint64_t *key)
{
    uint64_t bytes;
    FHOLA_TRY(nn_owner_keys_bytes(&bytes, o));
    FHOLA_TRY(ckks_key_id(key, o->rng));
    return ckks_secret_key_create(secret, o->context, o->rng);
}

/* Takes the key over, which is the owner's if nothing failed. */
static fhola_status keep_secret(nn_owner *o, fhola_status status, ckks_secret_key *secret,
                                uint64_t key)
{
    if (status == FHOLA_OK)
        take_secret(o, secret, key);
    else
        ckks_secret_key_destroy(secret);
    return status;
}

fhola_status nn_owner_generate(nn_owner *o, const char *secret_path, const char *keys_path,
                               nn_count_progress progress, void *arg)
{
    ckks_secret_key *secret = NULL;
    ckks_writer *secret_file = NULL, *keys_file = NULL;
    uint64_t key = 0;
    fhola_status status = make_keys(o, &secret, &key);
    if (status == FHOLA_OK)
        status = open_files(o, &secret_file, secret_path, &keys_file, keys_path);
    if (status == FHOLA_OK) status = write_secret(o, secret_file, secret, key);
    if (status == FHOLA_OK) status = write_keys(o, keys_file, secret, key, progress, arg);
    if (status == FHOLA_OK) status = ckks_writer_commit_both(keys_file, secret_file);
    ckks_writer_destroy(secret_file);
    ckks_writer_destroy(keys_file);
    return keep_secret(o, status, secret, key);
}

fhola_status nn_owner_write_keys(nn_owner *o, ckks_writer *secret_file, ckks_writer *keys_file,
                                 nn_count_progress progress, void *arg)
{
    ckks_secret_key *secret = NULL;
    uint64_t key = 0;
    fhola_status status = make_keys(o, &secret, &key);
    if (status == FHOLA_OK) status = write_secret(o, secret_file, secret, key);
    if (status == FHOLA_OK) status = ckks_writer_commit(secret_file);
    if (status == FHOLA_OK) status = write_keys(o, keys_file, secret, key, progress, arg);
    if (status == FHOLA_OK) status = ckks_writer_commit(keys_file);
    return keep_secret(o, status, secret, key);
}

/* The secret key in the file of another network, if the evaluation keys made with it do for this
 * one: that file has their list. */
static fhola_status read_other(const nn_owner *o, ckks_secret_key **secret, ckks_reader *reader)
{
    nn_description description = {0};
    nn_client other = {0};
    FHOLA_TRY(ckks_reader_begin(reader, NULL, CKKS_FILE_SECRET_KEY, o->context, 0));
    if (!ckks_reader_head(reader).key)
        return ckks_reader_fail(reader, FHOLA_FORMAT, "the secret key has no id");
    FHOLA_TRY(nn_description_read(&description, &other, o->context, reader));
    fhola_status status = ckks_key_list_covers(&other.keys, nn_client_keys(nn_owner_client(o)));
    if (status != FHOLA_OK) status = ckks_reader_fail(reader, status, "%s", fhola_detail());
    nn_client_clear(&other);
    nn_description_clear(&description);
    FHOLA_TRY(status);
    FHOLA_TRY(ckks_secret_key_read(secret, o->context, reader));
    return ckks_reader_finish(reader);
}

static fhola_status save_secret(const nn_owner *o, const char *path, ckks_file_id other,
                                const ckks_secret_key *secret, uint64_t key)
{
    ckks_writer *writer = NULL;
    fhola_status status = open_secret_file(o, &writer, path);
    if (status == FHOLA_OK) status = ckks_writer_spare(writer, other);
    if (status == FHOLA_OK) status = write_secret(o, writer, secret, key);
    if (status == FHOLA_OK) status = ckks_writer_commit(writer);
    ckks_writer_destroy(writer);
    return status;
}

fhola_status nn_owner_reuse_secret(nn_owner *o, ckks_reader *other, const char *secret_path)
{
    ckks_secret_key *secret = NULL;
    fhola_status status = read_other(o, &secret, other);
    uint64_t key = ckks_reader_head(other).key;
    if (status == FHOLA_OK)
        status = save_secret(o, secret_path, ckks_reader_file(other), secret, key);
    return keep_secret(o, status, secret, key);
}

/* ---- pictures and scores ---- */

static fhola_status check_secret(const nn_owner *o)
{
    return o->secret ? FHOLA_OK : fhola_fail(FHOLA_KEY, "there is no secret key yet");
}

static fhola_status encrypt(nn_owner *o, ckks_ciphertext ***out, const double *const picture[],
                            size_t count)
{
    const nn_client *client = nn_owner_client(o);
    if (count != 1)
        return nn_encrypt_pack(o->context, o->workspace, out, client, picture, count, o->secret,
                               o->rng);
    FHOLA_TRY(nn_encrypted_create(out, o->context, client));
    return nn_encrypt_picture(o->context, o->workspace, *out, client, picture[0], o->secret,
                              o->rng);
}

fhola_status nn_owner_encrypt_several(nn_owner *o, ckks_writer *out, const double *const picture[],
                                      size_t count)
{
    ckks_ciphertext **encrypted = NULL;
    fhola_status status = check_secret(o);
    if (status == FHOLA_OK) status = ckks_writer_spare(out, o->source);
    if (status == FHOLA_OK) status = encrypt(o, &encrypted, picture, count);
    if (status == FHOLA_OK)
        status = ckks_writer_begin(out, CKKS_FILE_CIPHERTEXT, nn_owner_params(o), o->key);
    if (status == FHOLA_OK) status = nn_network_id_write(out, o->description.network);
    for (ckks_ciphertext **part = encrypted; status == FHOLA_OK && *part; part++)
        status = ckks_ciphertext_write(out, *part);
    if (status == FHOLA_OK) status = ckks_writer_end(out);
    nn_encrypted_destroy(encrypted);
    return status;
}

fhola_status nn_owner_encrypt(nn_owner *o, ckks_writer *out, const double *rgb)
{
    return nn_owner_encrypt_several(o, out, &rgb, 1);
}

static fhola_status read_result(nn_owner *o, ckks_ciphertext *result, ckks_reader *in)
{
    const nn_client *client = nn_owner_client(o);
    fhola_status status = nn_network_id_check(in, o->description.network);
    if (status == FHOLA_OK) status = ckks_ciphertext_read(result, o->context, in);
    if (status != FHOLA_OK) return status;
    status = nn_sent_result_check(nn_owner_params(o), client, result);
    if (status != FHOLA_OK) return ckks_reader_fail(in, status, "%s", fhola_detail());
    if (ckks_ciphertext_label(result) &&
        (nn_client_pictures(client) < 2 ||
         ckks_ciphertext_label(result) > nn_client_pictures(client)))
        return ckks_reader_fail(
            in, FHOLA_FORMAT, "results of %u pictures in one, the network computes %u at a time",
            (unsigned)ckks_ciphertext_label(result), nn_client_pictures(client));
    return ckks_reader_end(in);
}

fhola_status nn_owner_flood(nn_owner *o, const char *secret_path, double bits, double queries,
                            double error)
{
    char *path = NULL;
    fhola_status status = check_secret(o);
    if (status != FHOLA_OK) return status;
    if (!(bits >= 0 && bits <= NN_FLOODED_BITS) ||
        !(queries >= 1 && queries <= NN_FLOODED_QUERIES && queries == floor(queries)) ||
        !(error > 0 && isfinite(error)))
        return fhola_fail(FHOLA_PARAM, "no noise is for %g bits, %g queries and an error of %g",
                          bits, queries, error);
    status = nn_flooded_path(&path, secret_path, o->key);
    if (status != FHOLA_OK) return status;
    free(o->flooded);
    o->flooded = path;
    o->bits = bits;
    o->queries = queries;
    o->flood_deviation = nn_flood_deviation(nn_owner_client(o), bits, queries, error);
    return FHOLA_OK;
}

/* Counted first: whatever happens afterwards, more than was counted is never seen. */
static fhola_status count_flooded(const nn_owner *o, size_t results)
{
    for (size_t k = 0; o->flooded && k < results; k++)
        FHOLA_TRY(nn_flooded_take(o->flooded, o->key, o->bits, o->queries));
    return FHOLA_OK;
}

/* The result of one picture. */
static fhola_status decrypt(nn_owner *o, double *scores, const ckks_ciphertext *result)
{
    const nn_client *client = nn_owner_client(o);
    return o->flooded
               ? nn_decrypt_scores_flooded(o->context, o->workspace, scores, client, result,
                                           o->secret, o->flood_deviation, o->rng)
               : nn_decrypt_scores(o->context, o->workspace, scores, client, result, o->secret);
}

static fhola_status decrypt_packed(nn_owner *o, double *scores, const ckks_ciphertext *results)
{
    const nn_client *client = nn_owner_client(o);
    ckks_ciphertext *one = NULL;
    fhola_status status = ckks_ciphertext_create(&one, o->context);
    for (size_t k = 0; status == FHOLA_OK && k < ckks_ciphertext_label(results); k++) {
        status = nn_result_take(o->context, o->workspace, one, client, results, k);
        if (status == FHOLA_OK) status = decrypt(o, scores + k * nn_client_classes(client), one);
    }
    ckks_ciphertext_destroy(one);
    return status;
}

/* *count: as many results as there are, of at most `most`; 0: the stream has ended. */
static fhola_status decrypt_next(nn_owner *o, double *scores, size_t *count, size_t most,
                                 ckks_reader *in)
{
    ckks_ciphertext *result = NULL;
    int more = 1;
    FHOLA_TRY(check_secret(o));
    FHOLA_TRY(ckks_reader_begin(in, &more, CKKS_FILE_CIPHERTEXT, o->context, o->key));
    *count = 0;
    if (!more) return FHOLA_OK;
    fhola_status status = ckks_ciphertext_create(&result, o->context);
    if (status == FHOLA_OK) status = read_result(o, result, in);
    uint32_t packed = status == FHOLA_OK ? ckks_ciphertext_label(result) : 0;
    size_t results = packed ? packed : 1;
    if (status == FHOLA_OK && results > most)
        status = fhola_fail(FHOLA_PARAM, "the results of %zu pictures are packed in one", results);
    if (status == FHOLA_OK) status = count_flooded(o, results);
    if (status == FHOLA_OK)
        status = packed ? decrypt_packed(o, scores, result) : decrypt(o, scores, result);
    if (status == FHOLA_OK) *count = results;
    ckks_ciphertext_destroy(result);
    return status;
}

fhola_status nn_owner_decrypt_several(nn_owner *o, double *scores, size_t *count, ckks_reader *in)
{
    return decrypt_next(o, scores, count, nn_client_pictures(nn_owner_client(o)), in);
}

fhola_status nn_owner_decrypt(nn_owner *o, double *scores, ckks_reader *in, int *more)
{
    size_t count = 1;
    FHOLA_TRY(decrypt_next(o, scores, &count, 1, in));
    *more = count != 0;
    return FHOLA_OK;
}
