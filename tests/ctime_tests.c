/* SPDX-License-Identifier: Apache-2.0 */
/* Constant time: the library's own code, as it was compiled, runs under valgrind with everything
 * secret marked as undefined, so that memcheck reports each branch and each address that depends on
 * a secret (the method of ctgrind and of libsecp256k1). Secret are: the state of the generator and
 * all drawn from it (secret keys, errors), pictures and values to encrypt, and what decryption
 * gives. Public are the points where the library calls ckks_declassify, each with its reason there,
 * and the results listed below under "published". Not covered: instructions whose time depends on
 * their operands (division of floating point numbers), the caches and the predictor; the AVX-512
 * tables, which valgrind cannot run.
 *
 *     valgrind --error-exitcode=9 tests/ctime_tests [branch|index|noise-branch|noise-index]
 *
 * With an argument a leak is planted, which valgrind must find: of the secret key, or of the noise
 * of flooding where it is drawn. What is planted is a call or a load, which no compiler turns into
 * arithmetic. Exit code 77 outside valgrind, or
 * without the tables of FHOLA_ISA. make check-ctime does all of this. */
#define _GNU_SOURCE /* open_memstream */
#include "tests/support.h"

#include "ckks/alloc.h"
#include "ckks/ring/gaussian.h"
#include "ckks/scheme/container.h"
#include "nn/encrypted/schedule.h"
#include "nn/nn.h"
#include "nn/party/client.h"

#ifdef HAVE_VALGRIND_MEMCHECK_H
#include <valgrind/memcheck.h>

static unsigned declassified;

/* In place of the library's (linked with --wrap). */
void __wrap_ckks_declassify(const void *memory, size_t bytes);
void __wrap_ckks_declassify(const void *memory, size_t bytes)
{
    declassified++;
    (void)VALGRIND_MAKE_MEM_DEFINED(memory, bytes);
}

/* ---- planted leaks ---- */

static enum { NO_PLANT, NOISE_BRANCH, NOISE_INDEX } in_noise;

static void nothing(void)
{
}
static void (*volatile call)(void) = nothing;
static volatile unsigned sink;

static void leak_by_branch(int64_t value)
{
    if (value > 0) call();
}

static void leak_by_index(int64_t value)
{
    static volatile const unsigned char table[256] = {3, 1, 4, 1};
    sink = table[value & 0xff];
}

/* In place of the library's (linked with --wrap). */
void __real_ckks_gaussian_sample(const ckks_gaussian *g, int64_t *out, size_t n, ckks_rng *rng);
void __wrap_ckks_gaussian_sample(const ckks_gaussian *g, int64_t *out, size_t n, ckks_rng *rng);
void __wrap_ckks_gaussian_sample(const ckks_gaussian *g, int64_t *out, size_t n, ckks_rng *rng)
{
    __real_ckks_gaussian_sample(g, out, n, rng);
    for (size_t i = 0; i < n && in_noise == NOISE_BRANCH; i++) leak_by_branch(out[i]);
    for (size_t i = 0; i < n && in_noise == NOISE_INDEX; i++) leak_by_index(out[i]);
}

static void secret(const void *memory, size_t bytes)
{
    (void)VALGRIND_MAKE_MEM_UNDEFINED(memory, bytes);
}

static void published(const void *memory, size_t bytes)
{
    (void)VALGRIND_MAKE_MEM_DEFINED(memory, bytes);
}

/* Stops unless the bytes are still secret: otherwise the marks were lost on the way and the run
 * would show nothing. */
static void assert_secret(const char *what, const void *memory, size_t bytes)
{
    unsigned char mark[64];
    if (bytes > sizeof mark) bytes = sizeof mark;
    unsigned seen = 0;
    if (VALGRIND_GET_VBITS(memory, mark, bytes) == 1)
        for (size_t i = 0; i < bytes; i++) seen |= mark[i];
    published(&seen, sizeof seen);
    if (seen) return;
    fprintf(stderr, "%s: not marked as secret\n", what);
    exit(EXIT_FAILURE);
}

static void ok(const char *what, fhola_status st)
{
    if (st == FHOLA_OK) return;
    fprintf(stderr, "%s: %s: %s\n", what, fhola_strerror(st), fhola_detail());
    exit(EXIT_FAILURE);
}

/* ---- what is published ---- */

/* Ciphertexts, public keys and evaluation keys leave their owner: all of their residues are. */
static void publish_ciphertext(const ckks_ciphertext *ct)
{
    size_t bytes = ckks_poly_bytes(ct->context, ct->poly->basis);
    for (int k = 0; k < 2; k++) published(ct->poly[k].limb[0], bytes);
}

static void publish_keys(const ckks_eval_keys *keys)
{
    for (size_t i = 0; i < keys->count; i++) published(keys->key[i].data, keys->key[i].bytes);
}

/* ---- the party that holds the secrets ---- */

typedef struct party {
    ckks_params *params;
    ckks_context *context;
    ckks_workspace *ws;
    ckks_rng *rng;
    ckks_secret_key *key;
    ckks_basis chain, special;
} party;

static void party_open(party *p, const ckks_params_spec *spec)
{
    static const uint8_t seed[32] = "a seed, marked as secret below";
    ok("parameters", ckks_params_create(&p->params, spec));
    ok("context", ckks_context_create(&p->context, p->params, NULL));
    ok("workspace", ckks_workspace_create(&p->ws, p->context));
    ok("generator", ckks_rng_create_seeded(&p->rng, seed));
    secret(p->rng->stream.input + 4, 32);
    secret(p->rng->stream.stream, sizeof p->rng->stream.stream);
    p->chain = ckks_basis_chain(p->params);
    p->special = ckks_basis_special(p->params);
}

static void party_close(party *p)
{
    ckks_secret_key_destroy(p->key);
    ckks_rng_destroy(p->rng);
    ckks_workspace_destroy(p->ws);
    ckks_context_destroy(p->context);
    ckks_params_destroy(p->params);
}

static void make_secret_key(party *p)
{
    ok("secret key", ckks_secret_key_create(&p->key, p->context, p->rng));
    assert_secret("secret key", p->key->coefficient, 64);
    assert_secret("secret key, evaluation form", p->key->ntt, 64);
}

/* ---- key generation ---- */

static void request(party *p, ckks_key_list *list, ckks_key_kind kind, uint32_t rotation,
                    ckks_basis q, ckks_basis special)
{
    ok("list of keys",
       ckks_key_list_add(list, p->context, (ckks_key_request){kind, rotation, q, special}));
}

static void test_keys(void)
{
    ckks_params_spec spec;
    party p = {0};
    ckks_key_list list = {0};
    ckks_eval_keys *keys = NULL;
    ckks_public_key *pk = NULL;
    ok("toy-boot", ckks_params_spec_named(&spec, "toy-boot"));
    party_open(&p, &spec);
    make_secret_key(&p);
    ok("public key", ckks_public_key_create(&pk, p.context, p.key, 0x7, p.rng));
    request(&p, &list, CKKS_KEY_RELINEARIZE, 0, p.chain, p.special);
    request(&p, &list, CKKS_KEY_ROTATE, 5, 0x7, ckks_basis_special_for(p.params, 0x7));
    request(&p, &list, CKKS_KEY_CONJUGATE, 0, 0x7, p.special);
    request(&p, &list, CKKS_KEY_DENSE_TO_SPARSE, 0, 1,
            (ckks_basis)1 << ckks_params_chain(p.params));
    request(&p, &list, CKKS_KEY_SPARSE_TO_DENSE, 0, p.chain, p.special);
    ok("evaluation keys", ckks_eval_keys_create(&keys, p.context, p.key, &list, p.rng, NULL, NULL));
    for (size_t i = 0; i < keys->count; i++) assert_secret("evaluation key", keys->key[i].data, 8);
    publish_keys(keys);
    ckks_eval_keys_destroy(keys);
    ckks_public_key_destroy(pk);
    ckks_key_list_clear(&list);
    party_close(&p);
}

/* ---- encryption and decryption ---- */

enum { SLOTS = 128 };

static void decrypt_once(party *p, const ckks_ciphertext *ct)
{
    ckks_complex z[SLOTS];
    ok("decrypt", ckks_decrypt(p->context, p->ws, z, SLOTS, ct, p->key));
    assert_secret("decrypted values", z, sizeof z);
    ckks_complex noisy[SLOTS];
    ok("decrypt with noise",
       ckks_decrypt_flooded(p->context, p->ws, noisy, SLOTS, ct, p->key, 1e4, p->rng));
    assert_secret("decrypted values with noise", noisy, sizeof noisy);
    /* and they are right */
    published(z, sizeof z);
    for (size_t i = 0; i < SLOTS; i++)
        if (fabs(z[i].re - 0.5) > 0x1p-10 || fabs(z[i].im - (double)i / SLOTS) > 0x1p-10) {
            fprintf(stderr, "slot %zu: %g + %g i\n", i, z[i].re, z[i].im);
            exit(EXIT_FAILURE);
        }
}

static void test_encryption(void)
{
    ckks_params_spec spec;
    party p = {0};
    ckks_complex z[SLOTS];
    ckks_plaintext *plain = NULL;
    ckks_ciphertext *ct = NULL;
    ckks_public_key *pk = NULL;
    ok("toy", ckks_params_spec_named(&spec, "toy"));
    party_open(&p, &spec);
    make_secret_key(&p);
    for (size_t i = 0; i < SLOTS; i++) z[i] = (ckks_complex){0.5, (double)i / SLOTS};
    secret(z, sizeof z);
    ok("plaintext", ckks_plaintext_create(&plain, p.context));
    ok("ciphertext", ckks_ciphertext_create(&ct, p.context));
    ok("encode", ckks_encode(p.context, p.ws, plain, z, SLOTS, 0x1p28, p.chain));
    assert_secret("plaintext", plain->poly.limb[0], 64);
    ok("encrypt", ckks_encrypt(p.context, p.ws, ct, plain, p.key, p.rng));
    assert_secret("ciphertext", ct->poly[0].limb[0], 64);
    publish_ciphertext(ct);
    decrypt_once(&p, ct);
    ok("public key", ckks_public_key_create(&pk, p.context, p.key, p.chain, p.rng));
    ok("encrypt_public", ckks_encrypt_public(p.context, p.ws, ct, plain, pk, p.rng));
    publish_ciphertext(ct);
    decrypt_once(&p, ct);
    /* few primes, whose integers are composed another way */
    ok("drop", ckks_drop(p.context, ct, ct, 0x3));
    decrypt_once(&p, ct);
    ckks_public_key_destroy(pk);
    ckks_ciphertext_destroy(ct);
    ckks_plaintext_destroy(plain);
    party_close(&p);
}

/* ---- the secret key's file ---- */

static void test_secret_file(void)
{
    ckks_params_spec spec;
    party p = {0};
    ckks_secret_key *back = NULL;
    ckks_writer *writer = NULL;
    ckks_reader *reader = NULL;
    char *data = NULL;
    size_t length = 0;
    ok("toy", ckks_params_spec_named(&spec, "toy"));
    party_open(&p, &spec);
    make_secret_key(&p);
    uint64_t id = 0;
    ok("id", ckks_key_id(&id, p.rng));
    FILE *out = open_memstream(&data, &length);
    if (!out) exit(EXIT_FAILURE);
    ok("writer", ckks_writer_create(&writer, out, "memory"));
    ok("head", ckks_writer_begin(writer, CKKS_FILE_SECRET_KEY, p.params, id));
    ok("secret key", ckks_secret_key_write(writer, p.key));
    ok("end", ckks_writer_end(writer));
    ok("commit", ckks_writer_commit(writer));
    ckks_writer_destroy(writer);
    fclose(out);
    /* All but the content of the chunk, its checksum included, is public: the head, "PARM", the
     * heads of "SKEY" and "END ". */
    size_t content = 40 + 32 + CKKS_SPEC_BYTES + 32, packed = p.context->n / 4 + CKKS_SEED_BYTES;
    assert_secret("file", data + content, packed);
    published(data, content);
    published(data + content + packed, length - content - packed);
    FILE *in = fmemopen(data, length, "rb");
    if (!in) exit(EXIT_FAILURE);
    ok("reader", ckks_reader_create(&reader, in, "memory"));
    ckks_reader_allow_insecure(reader);
    ok("head", ckks_reader_begin(reader, NULL, CKKS_FILE_SECRET_KEY, p.context, id));
    ok("secret key", ckks_secret_key_read(&back, p.context, reader));
    assert_secret("secret key from a file", back->coefficient, 64);
    ok("end", ckks_reader_finish(reader));
    ckks_reader_destroy(reader);
    fclose(in);
    ckks_secret_key_destroy(back);
    free(data);
    party_close(&p);
}

/* ---- pictures and scores ---- */

/* Scores as a server returns them: on the primes and at the scale of a result. */
static void make_result(party *p, ckks_ciphertext *ct)
{
    ckks_complex z[16] = {{1, 0}, {2, 0}, {3, 0}};
    ckks_plaintext *plain = NULL;
    secret(z, sizeof z);
    ok("plaintext", ckks_plaintext_create(&plain, p->context));
    ok("encode",
       ckks_encode(p->context, p->ws, plain, z, 16, nn_result_scale(p->params), p->chain));
    ok("encrypt", ckks_encrypt(p->context, p->ws, ct, plain, p->key, p->rng));
    publish_ciphertext(ct);
    ok("drop", ckks_drop(p->context, ct, ct, nn_result_basis(p->params)));
    ckks_plaintext_destroy(plain);
}

static void test_picture(void)
{
    static double rgb[3 * 32 * 32];
    static const char *const names[] = {"cat", "dog", "ship"};
    ckks_params_spec spec = flat_spec(13, 28, 2, 28); /* 4096 slots: room for a picture */
    party p = {0};
    nn_client client;
    ckks_ciphertext *ct = NULL;
    ckks_key_list none = {0};
    double scores[3];
    party_open(&p, &spec);
    make_secret_key(&p);
    const double mean[3] = {0.5, 0.5, 0.5}, std[3] = {0.25, 0.25, 0.25};
    nn_layout input;
    ok("layout", nn_layout_fresh(&input, (nn_shape){3, 32, 32}, NN_MAX_SLOTS, "input"));
    ok("client", nn_client_init(&client, p.context, names, 3, &none));
    memcpy(client.mean, mean, sizeof mean);
    memcpy(client.std, std, sizeof std);
    client.input = input;
    client.input_bound = nn_input_bound(3, mean, std);
    client.basis = p.chain;
    client.scale = 0x1p28;
    client.rows = 16;
    for (size_t i = 0; i < sizeof rgb / sizeof rgb[0]; i++) rgb[i] = (double)(i % 11) / 10;
    secret(rgb, sizeof rgb);
    ok("ciphertext", ckks_ciphertext_create(&ct, p.context));
    ok("encrypt", nn_encrypt_picture(p.context, p.ws, &ct, &client, rgb, p.key, p.rng));
    publish_ciphertext(ct);
    make_result(&p, ct);
    ok("decrypt", nn_decrypt_scores(p.context, p.ws, scores, &client, ct, p.key));
    assert_secret("scores", scores, sizeof scores);
    /* noise from a table alone, and by several steps */
    for (double deviation = 1e-5; deviation < 1; deviation *= 1000) {
        ok("decrypt with noise", nn_decrypt_scores_flooded(p.context, p.ws, scores, &client, ct,
                                                           p.key, deviation, p.rng));
        assert_secret("scores with noise", scores, sizeof scores);
    }
    ckks_ciphertext_destroy(ct);
    nn_client_clear(&client);
    party_close(&p);
}

static void plant_in_key(void (*leak)(int64_t value))
{
    ckks_params_spec spec;
    party p = {0};
    ok("toy", ckks_params_spec_named(&spec, "toy"));
    party_open(&p, &spec);
    make_secret_key(&p);
    leak(p.key->coefficient[7]);
    party_close(&p);
}

static int plant(const char *what)
{
    if (!strcmp(what, "branch")) plant_in_key(leak_by_branch);
    if (!strcmp(what, "index")) plant_in_key(leak_by_index);
    if (!strcmp(what, "noise-branch")) in_noise = NOISE_BRANCH;
    if (!strcmp(what, "noise-index")) in_noise = NOISE_INDEX;
    if (in_noise) test_encryption();
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    set_threads(1);
    if (!RUNNING_ON_VALGRIND) {
        printf("This is for valgrind: make check-ctime\n");
        return 77;
    }
    const ckks_kernel *kernel;
    if (ckks_kernel_select(&kernel, NULL)) {
        printf("%s\n", fhola_detail());
        return 77;
    }
    if (argc > 1) return plant(argv[1]);
    test_keys();
    test_encryption();
    test_secret_file();
    test_picture();
    printf("keys, encryption, decryption, flooding, secret key file, pictures: no branch and no "
           "address from a secret; %u declassified\n",
           declassified);
    return EXIT_SUCCESS;
}
#else
int main(void)
{
    printf("Built without valgrind/memcheck.h (Debian: valgrind)\n");
    return 77;
}
#endif
