/* SPDX-License-Identifier: Apache-2.0 */
/* The smallest network and parameters that can be run, with both parties: 8 layers of degree 3 at N
 * = 2^15, compiled, saved, opened by a server that has evaluation keys and encoded weights, and an
 * encrypted picture for it. */
#ifndef TESTS_SERVED_NETWORK_H
#define TESTS_SERVED_NETWORK_H

#include "tests/container_support.h"

#include <unistd.h>

#include "nn/encrypted/network.h"
#include "nn/nn.h"
#include "nn/party/server.h"
#include "tests/small_network.h"

typedef struct served_network {
    char folder[64], network[96], client[96], secret[96], keys[96];
    small_network s;
    ckks_params *params;
    nn_owner *owner;
    nn_server *server;
    nn_keys *eval;
    const ckks_context *context; /* the server's */
    double rgb[NN_PICTURE_VALUES];
    bytes picture;
} served_network;

static inline bytes served_encrypt(served_network *n)
{
    memory_writer m;
    memory_open(&m);
    ck_assert_ok(nn_owner_encrypt(n->owner, m.writer, n->rgb));
    return memory_close(&m);
}

/* A folder of its own, and the names of the files in it. */
static inline void served_names(served_network *n)
{
    snprintf(n->folder, sizeof n->folder, "/tmp/fhola-check-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(n->folder));
    snprintf(n->network, sizeof n->network, "%s/n.fhola", n->folder);
    snprintf(n->client, sizeof n->client, "%s/n.client", n->folder);
    snprintf(n->secret, sizeof n->secret, "%s/secret.key", n->folder);
    snprintf(n->keys, sizeof n->keys, "%s/eval.keys", n->folder);
}

static inline void served_remove(const served_network *n)
{
    const char *const file[] = {n->network, n->client, n->secret, n->keys};
    for (size_t i = 0; i < sizeof file / sizeof file[0]; i++) (void)unlink(file[i]);
    ck_assert_msg(rmdir(n->folder) == 0, "%s holds something else than its files", n->folder);
}

static inline void served_open(served_network *n)
{
    ckks_params_spec spec = named_spec("R15");
    served_names(n);
    spec.residual_levels = 3;
    ck_assert_ok(ckks_params_create(&n->params, &spec));
    small_network_init(&n->s, 1, 10, 1, 1);
    for (size_t i = 0; i < n->s.plan.count; i++) n->s.plan.activations[i].degree = 3;
    for (size_t i = 0; i < NN_PICTURE_VALUES; i++) n->rgb[i] = 0.5 + 0.5 * random_unit();
    ck_assert_ok(nn_compiled_save(n->network, n->client, n->params, &n->s.model, &n->s.plan));
    ck_assert_ok(nn_owner_open_client(&n->owner, n->client));
    ck_assert_ok(nn_owner_generate(n->owner, n->secret, n->keys, NULL, NULL));
    n->picture = served_encrypt(n);
    ck_assert_ok(nn_server_open(&n->server, n->network));
    ck_assert_ok(nn_keys_load(&n->eval, n->server, n->keys, NULL, NULL));
    ck_assert_ok(nn_server_prepare(n->server));
    n->context = n->server->context;
}

static inline void served_close(served_network *n)
{
    nn_keys_release(n->eval);
    nn_server_destroy(n->server);
    nn_owner_destroy(n->owner);
    ckks_params_destroy(n->params);
    small_network_clear(&n->s);
    free(n->picture.data);
    served_remove(n);
}

/* The encrypted picture as a ciphertext of the server's context, for nn_infer without the server's
 * workspace. No assertion: other threads call this, and a test whose allocations are counted. */
static inline fhola_status served_read_picture(const served_network *n, ckks_ciphertext *out)
{
    limited s = {.data = n->picture.data, .length = n->picture.length};
    FILE *stream = limited_open(&s, "rb");
    ckks_reader *reader = NULL;
    uint64_t id;
    fhola_status st = stream ? ckks_reader_create(&reader, stream, "picture") : FHOLA_IO;
    if (!st)
        st = ckks_reader_begin(reader, NULL, CKKS_FILE_CIPHERTEXT, n->context,
                               nn_owner_key(n->owner));
    if (!st) st = nn_network_id_read(&id, reader);
    if (!st) st = ckks_ciphertext_read(out, n->context, reader);
    ckks_reader_destroy(reader);
    if (stream) fclose(stream);
    return st;
}

#endif
