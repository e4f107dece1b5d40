/* SPDX-License-Identifier: Apache-2.0 */
/* Allocations that fail while a network is compiled, saved, opened, given keys and run, and while
 * its owner makes keys, encrypts and decrypts. Shared by check_network_alloc and
 * long_network_alloc. */
#ifndef TESTS_NETWORK_ALLOC_H
#define TESTS_NETWORK_ALLOC_H

/* fopencookie comes first */
#include "tests/served_network.h"

#include <limits.h>

#include "nn/party/artifact.h"
#include "nn/party/client.h"
#include "nn/party/flooded.h"
#include "tests/failing_alloc.h"

static served_network n;
static nn_run *serving;
static bytes result; /* of the encrypted picture */
static int wrong;    /* an attempt left something behind, or changed what it should not have */

static int went_wrong(void)
{
    return wrong;
}

static int exists(const char *path)
{
    return access(path, F_OK) == 0;
}

/* ---- streams ---- */

/* Not by limited_stream: an assertion allocates, and would be counted. */
static FILE *opened(FILE *stream)
{
    if (!stream) abort();
    return stream;
}

static FILE *nowhere(limited *s)
{
    *s = (limited){.fail_at = SIZE_MAX};
    return opened(limited_open(s, "wb"));
}

static FILE *somewhere(limited *s, bytes b)
{
    *s = (limited){.data = b.data, .length = b.length};
    return opened(limited_open(s, "rb"));
}

/* ---- what is tried: each gives back all it has taken ---- */

static fhola_status run_save(void)
{
    (void)remove(n.network);
    (void)remove(n.client);
    fhola_status st = nn_compiled_save(n.network, n.client, n.params, &n.s.model, &n.s.plan);
    wrong |= exists(n.network) != !st || exists(n.client) != !st;
    return st;
}

static fhola_status run_open_client(void)
{
    nn_owner *owner = NULL;
    fhola_status st = nn_owner_open_client(&owner, n.client);
    wrong |= st && owner;
    nn_owner_destroy(owner);
    return st;
}

static fhola_status run_generate(void)
{
    nn_owner *owner = NULL;
    (void)remove(n.secret);
    (void)remove(n.keys);
    fhola_status st = nn_owner_open_client(&owner, n.client);
    if (!st) st = nn_owner_generate(owner, n.secret, n.keys, NULL, NULL);
    wrong |=
        exists(n.secret) != !st || exists(n.keys) != !st || (st && owner && nn_owner_key(owner));
    nn_owner_destroy(owner);
    return st;
}

static fhola_status run_open_secret(void)
{
    nn_owner *owner = NULL;
    fhola_status st = nn_owner_open_secret(&owner, n.secret);
    wrong |= st && owner;
    nn_owner_destroy(owner);
    return st;
}

/* With a workspace that has nothing yet. */
static fhola_status run_encrypt(void)
{
    limited s;
    FILE *stream = nowhere(&s);
    nn_owner *owner = NULL;
    ckks_writer *writer = NULL;
    fhola_status st = nn_owner_open_secret(&owner, n.secret);
    if (!st) st = ckks_writer_create(&writer, stream, "nowhere");
    if (!st) st = nn_owner_encrypt(owner, writer, n.rgb);
    ckks_writer_destroy(writer);
    nn_owner_destroy(owner);
    fclose(stream);
    return st;
}

static fhola_status decrypt_scores(double bits)
{
    limited s;
    FILE *stream = somewhere(&s, result);
    nn_owner *owner = NULL;
    ckks_reader *reader = NULL;
    double scores[10] = {0};
    int more = 0;
    fhola_status st = nn_owner_open_secret(&owner, n.secret);
    if (!st && bits > 0) st = nn_owner_flood(owner, n.secret, bits, 1e9, 0.02);
    if (!st) st = ckks_reader_create(&reader, stream, "result");
    if (!st) st = nn_owner_decrypt(owner, scores, reader, &more);
    for (int i = 0; i < 10; i++) wrong |= st && scores[i] != 0;
    wrong |= !st && !more;
    ckks_reader_destroy(reader);
    nn_owner_destroy(owner);
    fclose(stream);
    return st;
}

static fhola_status run_decrypt(void)
{
    return decrypt_scores(0);
}

static fhola_status run_decrypt_flooded(void)
{
    return decrypt_scores(4);
}

static fhola_status run_open_server(void)
{
    nn_server *server = NULL;
    fhola_status st = nn_server_open(&server, n.network);
    wrong |= st && server;
    nn_server_destroy(server);
    return st;
}

static fhola_status run_load_keys(void)
{
    nn_keys *keys = NULL;
    fhola_status st = nn_keys_load(&keys, n.server, n.keys, NULL, NULL);
    wrong |= st && keys;
    nn_keys_release(keys);
    return st;
}

static fhola_status run_encode(void)
{
    nn_network *network = NULL;
    ckks_workspace *ws = NULL;
    fhola_status st = ckks_workspace_create(&ws, n.context);
    if (!st) st = nn_network_create(&network, n.context, ws, &n.s.model, &n.s.plan, 1);
    wrong |= st && network;
    nn_network_destroy(network);
    ckks_workspace_destroy(ws);
    return st;
}

/* With a workspace that has nothing yet. The result is always the same, whatever failed before. */
static fhola_status run_infer(void)
{
    static uint64_t hash;
    ckks_workspace *ws = NULL;
    ckks_ciphertext *in = NULL, *out = NULL;
    fhola_status st = ckks_workspace_create(&ws, n.context);
    if (!st) st = ckks_ciphertext_create(&in, n.context);
    if (!st) st = ckks_ciphertext_create(&out, n.context);
    if (!st) st = served_read_picture(&n, in);
    if (!st)
        st = nn_infer(n.context, ws, out, nn_server_network(n.server), n.eval->eval, &in, NULL);
    if (!st && !hash) hash = ciphertext_hash(out);
    wrong |= !st && ciphertext_hash(out) != hash;
    wrong |= st && out && ckks_ciphertext_basis(out);
    ckks_ciphertext_destroy(out);
    ckks_ciphertext_destroy(in);
    ckks_workspace_destroy(ws);
    return st;
}

static fhola_status run_create(void)
{
    nn_run *run = NULL;
    fhola_status st = nn_run_create(&run, n.server);
    wrong |= st && run;
    nn_run_destroy(run);
    return st;
}

/* From one stream to the other, always with the same run. */
static fhola_status run_serve(void)
{
    limited from, to;
    FILE *in = somewhere(&from, n.picture), *out = nowhere(&to);
    ckks_reader *reader = NULL;
    ckks_writer *writer = NULL;
    int more = 0;
    fhola_status st = ckks_reader_create(&reader, in, "picture");
    if (!st) st = ckks_writer_create(&writer, out, "nowhere");
    if (!st) st = nn_run_infer(serving, writer, n.eval, reader, &more, NULL);
    ckks_writer_destroy(writer);
    ckks_reader_destroy(reader);
    fclose(in);
    fclose(out);
    return st;
}

/* ---- the owner, on a toy ring ---- */

/* Keys of nothing much: what a client file asks for decides. */
static nn_client toy_client(const ring *r)
{
    static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"};
    ckks_key_list keys = {0};
    nn_client c;
    for (int32_t k = 1; k < 4; k++)
        ck_assert_ok(ckks_key_list_add(
            &keys, r->context,
            (ckks_key_request){CKKS_KEY_ROTATE, (uint32_t)k, r->chain, r->special}));
    ck_assert_ok(ckks_key_list_add(
        &keys, r->context, (ckks_key_request){CKKS_KEY_RELINEARIZE, 0, r->chain, r->special}));
    const double mean[3] = {0}, std[3] = {1, 1, 1};
    nn_layout input;
    ck_assert_ok(nn_layout_fresh(&input, (nn_shape){3, 32, 32}, NN_MAX_SLOTS, "input"));
    ck_assert_ok(nn_client_init(&c, r->context, names, 10, &keys));
    memcpy(c.mean, mean, sizeof mean);
    memcpy(c.std, std, sizeof std);
    c.input = input;
    ckks_key_list_clear(&keys);
    c.input_bound = 1;
    c.basis = r->chain;
    c.scale = 0x1p28;
    c.rows = 16;
    return c;
}

static void write_client(const ring *r, nn_description *d)
{
    ckks_writer *writer;
    nn_client c = toy_client(r);
    ck_assert_ok(nn_description_make(d, &c, r->params, 99));
    ck_assert_ok(ckks_writer_open(&writer, n.client, 0));
    ck_assert_ok(ckks_writer_begin(writer, CKKS_FILE_CLIENT, r->params, 0));
    ck_assert_ok(nn_description_write(writer, d));
    ck_assert_ok(ckks_writer_end(writer));
    ck_assert_ok(ckks_writer_commit(writer));
    ckks_writer_destroy(writer);
    nn_client_clear(&c);
}

/* Scores under the owner's key, as if they came from a server. The id of the key. */
static uint64_t make_result(ring *r, const nn_description *d)
{
    ckks_complex scores[16] = {{3, 0}, {-1, 0}, {0.5, 0}};
    nn_description own = {0};
    nn_client c = {0};
    memory_writer m;
    ckks_reader *reader;
    ckks_secret_key_destroy(r->secret);
    ck_assert_ok(ckks_reader_open(&reader, n.secret));
    ck_assert_ok(ckks_reader_begin(reader, NULL, CKKS_FILE_SECRET_KEY, r->context, 0));
    uint64_t key = ckks_reader_head(reader).key;
    ck_assert_ok(nn_description_read(&own, &c, r->context, reader));
    ck_assert_ok(ckks_secret_key_read(&r->secret, r->context, reader));
    ckks_reader_destroy(reader);
    nn_description_clear(&own);
    nn_client_clear(&c);
    const ckks_basis basis = nn_result_basis(r->params);
    const ckks_shrunk to = nn_result_shrunk(r->params, 16, 1, false);
    ckks_ciphertext *ct = encrypt(r, scores, 16, nn_result_scale(r->params), basis);
    ring_request(r, CKKS_KEY_SHRINK, (int32_t)to.log_degree, basis,
                 ckks_basis_special_for(r->params, basis));
    ring_keys(r);
    ck_assert_ok(ckks_shrink(r->context, r->ws, r->keys, ct, ct, to.log_degree, to.period));
    memory_open(&m);
    ck_assert_ok(ckks_writer_begin(m.writer, CKKS_FILE_CIPHERTEXT, r->params, key));
    ck_assert_ok(nn_network_id_write(m.writer, d->network));
    ck_assert_ok(ckks_ciphertext_write(m.writer, ct));
    ck_assert_ok(ckks_writer_end(m.writer));
    result = memory_close(&m);
    ckks_ciphertext_destroy(ct);
    return key;
}

static void remove_flooded(uint64_t key)
{
    char *path = NULL;
    ck_assert_ok(nn_flooded_path(&path, n.secret, key));
    ck_assert_int_eq(remove(path), 0);
    free(path);
}

/* Every allocation, on the smallest secure ring with room for a picture: 4096 slots. */
START_TEST(owner)
{
    ckks_params_spec spec = flat_spec(13, 28, 1, 28);
    nn_description d;
    ring r;
    spec.insecure = 0;
    ring_open(&r, &spec, NULL);
    served_names(&n);
    write_client(&r, &d);
    fail_each("open a client file", run_open_client, went_wrong, LONG_MAX);
    fail_each("make keys", run_generate, went_wrong, LONG_MAX);
    uint64_t key = make_result(&r, &d);
    fail_each("open a secret key", run_open_secret, went_wrong, LONG_MAX);
    for (size_t i = 0; i < NN_PICTURE_VALUES; i++) n.rgb[i] = 0.5 + 0.5 * random_unit();
    fail_each("encrypt a picture", run_encrypt, went_wrong, LONG_MAX);
    fail_each("decrypt scores", run_decrypt, went_wrong, LONG_MAX);
    fail_each("decrypt scores, flooded", run_decrypt_flooded, went_wrong, LONG_MAX);
    remove_flooded(key);
    free(result.data);
    nn_description_clear(&d);
    ring_close(&r);
    served_remove(&n);
}
END_TEST

/* ---- the server, on the smallest network ---- */

/* At most `most` positions of those that take long; every one of an inference. */
static void fail_server(long most)
{
    served_open(&n);
    fail_each("infer", run_infer, went_wrong, LONG_MAX);
    ck_assert_ok(nn_run_create(&serving, n.server));
    ck_assert_ok(run_serve()); /* leaves its workspace as large as it gets */
    fail_each("infer, streams", run_serve, went_wrong, LONG_MAX);
    nn_run_destroy(serving);
    fail_each("create a run", run_create, went_wrong, LONG_MAX);
    fail_each("encode weights", run_encode, went_wrong, most);
    fail_each("load keys", run_load_keys, went_wrong, most);
    fail_each("open a network", run_open_server, went_wrong, most);
    fail_each("save a network", run_save, went_wrong, most);
    served_close(&n);
}

static long most_positions; /* of what fail_server may leave out */

START_TEST(server)
{
    fail_server(most_positions);
}
END_TEST

static void owner_case(TCase *tcase)
{
    tcase_add_test(tcase, owner);
}

static void server_case(TCase *tcase)
{
    tcase_add_test(tcase, server);
}

/* Both sides, with time limits in seconds: the main of a test. */
static int test_network_alloc(long most, double owner_seconds, double server_seconds)
{
    test_seed(52);
    most_positions = most;
    int failed = test_run("owner's allocations", owner_case, owner_seconds);
    return test_run("server's allocations", server_case, server_seconds) || failed;
}

#endif
