/* SPDX-License-Identifier: Apache-2.0 */
/* The secret key is nowhere in the memory of the process any more once its owner is gone, in any
 * form it is used in: that of its file, coefficients, and values modulo every modulus. Nor is a
 * picture that was encrypted, nor what was in a workspace. */
#define _GNU_SOURCE
#include "tests/memory_search.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "ckks/ring/workspace.h"
#include "ckks/scheme/keys.h"
#include "nn/nn.h"
#include "nn/party/client.h"
#include "tests/small_network.h"
#include "tests/support.h"

#define FIRST        2048u /* coefficient that is searched for, and as many after it as fit */
#define COEFFICIENTS (MEMORY_LENGTH)
#define WORDS        (MEMORY_LENGTH / 8)

static void look_for_key(const ckks_secret_key *key)
{
    unsigned char packed[COEFFICIENTS / 4] = {0};
    int64_t wide[WORDS];
    const int8_t *coefficient = key->coefficient + FIRST;
    for (size_t i = 0; i < COEFFICIENTS; i++)
        packed[i / 4] |= (unsigned char)(((unsigned)coefficient[i] & 3u) << (2 * (i % 4)));
    for (size_t i = 0; i < WORDS; i++) wide[i] = coefficient[i];
    memory_look_for(packed, sizeof packed);
    memory_look_for(coefficient, COEFFICIENTS);
    memory_look_for(wide, sizeof wide);
    for (unsigned t = 0; t < key->context->moduli; t++)
        memory_look_for(ckks_secret_limb(key, t) + FIRST, MEMORY_LENGTH);
    ckks_wipe(packed, sizeof packed);
    ckks_wipe(wide, sizeof wide);
}

static void load_patterns(const char *path)
{
    ckks_reader *reader = NULL;
    ckks_context *context = NULL;
    ckks_secret_key *key = NULL;
    ckks_chunk_info info = {"", 0, 0};
    ck_assert_ok(ckks_reader_open(&reader, path));
    ck_assert_ok(ckks_reader_begin(reader, NULL, CKKS_FILE_SECRET_KEY, NULL, 0));
    ck_assert_ok(ckks_context_create(&context, ckks_reader_params(reader), NULL));
    ck_assert_ok(ckks_reader_skip(reader, &info)); /* the client's description */
    ck_assert_ok(ckks_secret_key_read(&key, context, reader));
    memory_forget_patterns();
    look_for_key(key);
    ckks_secret_key_destroy(key);
    ckks_context_destroy(context);
    ckks_reader_destroy(reader);
}

static char folder[32];
static char network_path[64], client_path[64], secret_path[64], keys_path[64];

static void make_files(void)
{
    ckks_params *params = NULL;
    small_network s;
    snprintf(folder, sizeof folder, "/tmp/check_wipe.XXXXXX");
    ck_assert(mkdtemp(folder) != NULL);
    snprintf(network_path, sizeof network_path, "%s/n.fhola", folder);
    snprintf(client_path, sizeof client_path, "%s/n.client", folder);
    snprintf(secret_path, sizeof secret_path, "%s/secret.key", folder);
    snprintf(keys_path, sizeof keys_path, "%s/eval.keys", folder);
    small_network_init(&s, 1, 10, 0, 5);
    ck_assert_ok(ckks_params_named(&params, "R15"));
    ck_assert_ok(nn_compiled_save(network_path, client_path, params, &s.model, &s.plan));
    ckks_params_destroy(params);
    small_network_clear(&s);
}

static void remove_files(void)
{
    (void)remove(network_path);
    (void)remove(client_path);
    (void)remove(secret_path);
    (void)remove(keys_path);
    (void)remove(folder);
}

static double picture[NN_PICTURE_VALUES];

/* Encrypts a picture and tries to decrypt it, so that every use of the key has left its traces. */
static void use(nn_owner *owner)
{
    static double scores[10];
    FILE *stream = tmpfile();
    ckks_writer *out = NULL;
    ckks_reader *in = NULL;
    int more;
    ck_assert(stream != NULL);
    ck_assert_ok(ckks_writer_create(&out, stream, "stream"));
    ck_assert_ok(nn_owner_encrypt(owner, out, picture));
    ck_assert_ok(ckks_writer_commit(out));
    ckks_writer_destroy(out);
    rewind(stream);
    ck_assert_ok(ckks_reader_create(&in, stream, "stream"));
    /* a picture is no result */
    ck_assert_int_eq(nn_owner_decrypt(owner, scores, in, &more), FHOLA_LEVEL);
    ckks_reader_destroy(in);
    (void)fclose(stream);
}

START_TEST(secret_is_wiped)
{
    nn_owner *owner = NULL;
    set_threads(0);
    make_files();
    ck_assert_ok(nn_owner_open_client(&owner, client_path));
    ck_assert_ok(nn_owner_generate(owner, secret_path, keys_path, NULL, NULL));
    use(owner);
    load_patterns(secret_path);
    ck_assert_uint_ge(memory_count(), 1); /* the search finds what is there */
    nn_owner_destroy(owner);
    ck_assert_uint_eq(memory_count(), 0);

    owner = NULL;
    ck_assert_ok(nn_owner_open_secret(&owner, secret_path));
    use(owner);
    ck_assert_uint_ge(memory_count(), 1);
    nn_owner_destroy(owner);
    ck_assert_uint_eq(memory_count(), 0);
    remove_files();
}
END_TEST

/* What encryption makes of a picture, in the places of its temporaries. */
static void look_for_picture(const nn_owner *owner, const double *rgb)
{
    const nn_client *client = nn_owner_client(owner);
    size_t count = nn_client_input_values(client);
    ckks_context *context = NULL;
    ckks_workspace *ws = NULL;
    ckks_plaintext *plain = NULL;
    ckks_complex *values = malloc(count * sizeof *values);
    ck_assert_ptr_nonnull(values);
    memory_forget_patterns();
    ck_assert_ok(ckks_context_create(&context, nn_owner_params(owner), NULL));
    ck_assert_ok(ckks_workspace_create(&ws, context));
    ck_assert_ok(ckks_plaintext_create(&plain, context));
    nn_encode_picture(values, client, 0, rgb);
    ck_assert_ok(ckks_encode(context, ws, plain, values, count, client->scale, client->basis));
    memory_look_for(rgb, MEMORY_LENGTH);
    memory_look_for(values, MEMORY_LENGTH);
    for (unsigned i = 0; i < plain->poly.limbs; i++)
        memory_look_for(plain->poly.limb[i], MEMORY_LENGTH);
    ckks_wipe(values, count * sizeof *values);
    free(values);
    ckks_plaintext_destroy(plain);
    ckks_workspace_destroy(ws);
    ckks_context_destroy(context);
}

START_TEST(picture_is_wiped)
{
    nn_owner *owner = NULL;
    set_threads(0);
    make_files();
    ck_assert_ok(nn_owner_open_client(&owner, client_path));
    ck_assert_ok(nn_owner_generate(owner, secret_path, keys_path, NULL, NULL));
    for (size_t i = 0; i < NN_PICTURE_VALUES; i++) picture[i] = 0.5 + 0.5 * random_unit();
    look_for_picture(owner, picture);
    ck_assert_uint_ge(memory_count(), 1);
    use(owner);
    ckks_wipe(picture, sizeof picture);
    nn_owner_destroy(owner);
    ck_assert_uint_eq(memory_count(), 0);
    remove_files();
}
END_TEST

/* Most of what passes through a workspace is not wiped when it is released, but at the end. */
START_TEST(workspace_is_wiped)
{
    enum { BYTES = 1 << 16 };
    unsigned char mark[MEMORY_LENGTH];
    ring r;
    ckks_params_spec spec = named_spec("toy");
    ckks_workspace *ws = NULL;
    ring_open(&r, &spec, NULL);
    ck_assert_ok(ckks_workspace_create(&ws, r.context));
    for (size_t i = 0; i < sizeof mark; i++) mark[i] = (unsigned char)(random_word() >> 32);
    memory_forget_patterns();
    memory_look_for(mark, sizeof mark);
    for (int block = 0; block < 2; block++) { /* the second is one of its own */
        size_t bytes = block ? (size_t)1 << 24 : BYTES;
        unsigned char *room = ckks_workspace_take(ws, bytes);
        ck_assert_ptr_nonnull(room);
        memcpy(room, mark, sizeof mark);
        memcpy(room + bytes - sizeof mark, mark, sizeof mark);
    }
    ckks_wipe(mark, sizeof mark);
    ck_assert_uint_eq(memory_count(), 4);
    ckks_workspace_destroy(ws);
    ck_assert_uint_eq(memory_count(), 0);
    ring_close(&r);
}
END_TEST

static void add(TCase *tcase)
{
    tcase_add_test(tcase, secret_is_wiped);
    tcase_add_test(tcase, picture_is_wiped);
    tcase_add_test(tcase, workspace_is_wiped);
}

int main(void)
{
    memory_keep_released();
    test_seed(0);
    return test_run("wipe", add, 120);
}
