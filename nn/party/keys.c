/* SPDX-License-Identifier: Apache-2.0 */
/* The evaluation keys of a client of the server, which whoever uses them shares. */
#include <stdlib.h>

#include "nn/party/artifact.h"
#include "nn/party/server.h"

/* Into memory that processes share, unless that is NULL. */
static fhola_status read_keys(ckks_eval_keys **eval, const nn_server *s, void *memory,
                              ckks_reader *reader, nn_count_progress progress, void *arg)
{
    const ckks_key_list *needed = nn_network_keys(s->network);
    uint64_t maker;
    FHOLA_TRY(ckks_reader_begin(reader, NULL, CKKS_FILE_EVAL_KEYS, s->context, 0));
    if (!ckks_reader_head(reader).key)
        return ckks_reader_fail(reader, FHOLA_FORMAT,
                                "the keys do not say which secret key they belong to");
    FHOLA_TRY(nn_network_id_read(&maker, reader)); /* any network's that has these keys, too */
    FHOLA_TRY(
        memory ? ckks_eval_keys_read_shared(eval, s->context, memory, reader, needed, progress, arg)
               : ckks_eval_keys_read(eval, s->context, reader, needed, progress, arg));
    return ckks_reader_finish(reader);
}

static fhola_status create(nn_keys **keys, const nn_server *server)
{
    nn_keys *k = calloc(1, sizeof *k);
    if (!k) return fhola_fail(FHOLA_NOMEM, "no memory for evaluation keys");
    atomic_init(&k->holders, 1);
    k->server = server;
    *keys = k;
    return FHOLA_OK;
}

static fhola_status read_into(nn_keys **keys, const nn_server *server, void *memory,
                              ckks_reader *reader, nn_count_progress progress, void *arg)
{
    nn_keys *k = NULL;
    FHOLA_TRY(create(&k, server));
    fhola_status status = read_keys(&k->eval, server, memory, reader, progress, arg);
    k->key = ckks_reader_head(reader).key;
    k->file = ckks_reader_file(reader);
    if (status != FHOLA_OK)
        nn_keys_release(k);
    else
        *keys = k;
    return status;
}

fhola_status nn_keys_read(nn_keys **keys, const nn_server *server, ckks_reader *reader,
                          nn_count_progress progress, void *arg)
{
    return read_into(keys, server, NULL, reader, progress, arg);
}

fhola_status nn_keys_load(nn_keys **keys, const nn_server *server, const char *path,
                          nn_count_progress progress, void *arg)
{
    ckks_reader *reader = NULL;
    fhola_status status = ckks_reader_open(&reader, path);
    if (status == FHOLA_OK) status = nn_keys_read(keys, server, reader, progress, arg);
    ckks_reader_destroy(reader);
    return status;
}

uint64_t nn_keys_shared_bytes(const nn_server *server)
{
    return ckks_eval_keys_shared_bytes(server->context, nn_network_keys(server->network));
}

fhola_status nn_keys_read_shared(nn_keys **keys, const nn_server *server, void *memory,
                                 ckks_reader *reader, nn_count_progress progress, void *arg)
{
    return read_into(keys, server, memory, reader, progress, arg);
}

fhola_status nn_keys_attach(nn_keys **keys, const nn_server *server, const void *memory,
                            uint64_t key)
{
    nn_keys *k = NULL;
    FHOLA_TRY(create(&k, server));
    k->key = key;
    fhola_status status =
        ckks_eval_keys_attach(&k->eval, server->context, memory, nn_network_keys(server->network));
    if (status != FHOLA_OK)
        nn_keys_release(k);
    else
        *keys = k;
    return status;
}

nn_keys *nn_keys_retain(nn_keys *keys)
{
    /* whoever calls holds them already: nothing has to be seen before or after */
    (void)atomic_fetch_add_explicit(&keys->holders, 1, memory_order_relaxed);
    return keys;
}

void nn_keys_release(nn_keys *keys)
{
    if (!keys) return;
    /* what other holders did with the keys comes before their end */
    if (atomic_fetch_sub_explicit(&keys->holders, 1, memory_order_acq_rel) != 1) return;
    ckks_eval_keys_destroy(keys->eval);
    free(keys);
}

uint64_t nn_keys_id(const nn_keys *keys)
{
    return keys->key;
}

uint64_t nn_keys_bytes(const nn_keys *keys)
{
    return ckks_eval_keys_bytes(keys->eval);
}
