/* SPDX-License-Identifier: Apache-2.0 */
/* The client's end: what is refused at encryption, scores out of a result, results that are not
 * readable, noise flooding. On a toy ring: a result is a block of 16 slots, ten of them scores, at
 * a scale of q0 / 1024. */
#define _POSIX_C_SOURCE 200809L /* mkstemp */
#include "nn/party/client.h"

#include "nn/encrypted/network.h"
#include "tests/support.h"

#include <malloc.h>

/* ---- what is released ---- */

/* While `watching`: big blocks that were released, and how many of them held something. */
static int watching, released, dirty;

void __real_free(void *memory);
void __wrap_free(void *memory);

void __wrap_free(void *memory)
{
    size_t size = watching && memory ? malloc_usable_size(memory) : 0;
    /* Structures are below 256 bytes, or wiped too; the last few bytes may never have been asked
     * for. */
    if (size >= 256) {
        const unsigned char *byte = memory;
        int held = 0;
        for (size_t i = 0; i < size - 32; i++) held |= byte[i];
        released++;
        dirty += held != 0;
    }
    __real_free(memory);
}

enum { CLASSES = 10, ROWS = 16 };

static ring toy_ring(void)
{
    ring r;
    ckks_params_spec spec = flat_spec(9, 40, 2, 36);
    ring_open(&r, &spec, NULL);
    return r;
}

static nn_client make_client(const ring *r)
{
    nn_client client;
    static const char *const name[CLASSES] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
    ckks_key_list none = {NULL, 0, 0};
    const double mean[3] = {0, 0, 0}, std[3] = {1, 1, 1};
    nn_layout input;
    ck_assert_ok(nn_layout_fresh(&input, (nn_shape){3, 32, 32}, NN_MAX_SLOTS, "input"));
    ck_assert_ok(nn_client_init(&client, r->context, name, CLASSES, &none));
    memcpy(client.mean, mean, sizeof mean);
    memcpy(client.std, std, sizeof std);
    client.input = input;
    client.rows = ROWS;
    return client;
}

static double score_scale(const ring *r)
{
    return (double)ckks_params_prime(r->params, 0) / 2 / NN_SCORE_BOUND;
}

/* A result with these scores: encrypted over two primes and brought to the first, as far as its
 * values go wherever they wrap. */
static ckks_ciphertext *result(ring *r, const double *score)
{
    ckks_complex z[ROWS] = {{0, 0}};
    for (int k = 0; k < CLASSES; k++) z[k].re = score[k];
    ckks_ciphertext *ct = encrypt(r, z, ROWS, score_scale(r), 3);
    ck_assert_ok(ckks_drop(r->context, ct, ct, 1));
    return ct;
}

START_TEST(scores)
{
    ring r = toy_ring();
    nn_client client = make_client(&r);
    double score[CLASSES], got[CLASSES];
    for (int k = 0; k < CLASSES; k++) score[k] = 30 * random_unit();
    /* one alone may exceed the bound: what must not is a coefficient, a mean over the block */
    score[3] = 600;
    ckks_ciphertext *ct = result(&r, score);
    ck_assert_ok(nn_decrypt_scores(r.context, r.ws, got, &client, ct, r.secret));
    for (int k = 0; k < CLASSES; k++) ck_assert_double_eq_tol(got[k], score[k], 1e-6);
    ckks_ciphertext_destroy(ct);
    nn_client_clear(&client);
    ring_close(&r);
}
END_TEST

/* The scale of a result follows from the parameters: what a ciphertext says of it must not decide
 * how many digits of the error a score shows, or how much noise drowns it. */
START_TEST(scales)
{
    static const double near[] = {1, 1 + 0x1p-31, 1 - 0x1p-31},
                        far[] = {1 + 0x1p-29, 1 - 0x1p-29, 0x1p-10, 0x1p10, 0x1p-1000, -1};
    ring r = toy_ring();
    nn_client client = make_client(&r);
    double score[CLASSES] = {1, -2, 3}, got[CLASSES], scale = nn_result_scale(r.params);
    ck_assert_double_eq(scale, score_scale(&r));
    ckks_ciphertext *ct = result(&r, score);
    for (int k = 0; k < 3; k++) {
        ct->scale = near[k] * scale;
        ck_assert_ok(nn_decrypt_scores(r.context, r.ws, got, &client, ct, r.secret));
        ck_assert_double_eq_tol(got[0], 1, 1e-6);
        ck_assert_ok(
            nn_decrypt_scores_flooded(r.context, r.ws, got, &client, ct, r.secret, 0.1, r.rng));
    }
    for (int k = 0; k < 6; k++) {
        ct->scale = far[k] * scale;
        got[0] = 7;
        ck_assert_fails(nn_decrypt_scores(r.context, r.ws, got, &client, ct, r.secret),
                        FHOLA_SCALE);
        ck_assert_fails(
            nn_decrypt_scores_flooded(r.context, r.ws, got, &client, ct, r.secret, 0.1, r.rng),
            FHOLA_SCALE);
        ck_assert_double_eq(got[0], 7);
    }
    ckks_ciphertext_destroy(ct);
    /* other primes */
    ct = encrypt(&r, &(ckks_complex){1, 0}, 1, scale, 3);
    ck_assert_fails(nn_decrypt_scores(r.context, r.ws, got, &client, ct, r.secret), FHOLA_LEVEL);
    ck_assert_fails(
        nn_decrypt_scores_flooded(r.context, r.ws, got, &client, ct, r.secret, 0.1, r.rng),
        FHOLA_LEVEL);
    ckks_ciphertext_destroy(ct);
    nn_client_clear(&client);
    ring_close(&r);
}
END_TEST

/* Every size of wrap, up to values that wrap many times: never a wrong result. */
START_TEST(wrapped_scores)
{
    ring r = toy_ring();
    nn_client client = make_client(&r);
    int refused = 0, right = 0;
    for (double size = 400; size < 1e6; size *= 1.4)
        for (int k = 0; k < 8; k++) {
            double score[CLASSES], got[CLASSES] = {7};
            for (int i = 0; i < CLASSES; i++) score[i] = k == 0 ? size : size * random_unit();
            ckks_ciphertext *ct = result(&r, score);
            fhola_status status = nn_decrypt_scores(r.context, r.ws, got, &client, ct, r.secret);
            if (status == FHOLA_OK) {
                for (int i = 0; i < CLASSES; i++) ck_assert_double_eq_tol(got[i], score[i], 1e-6);
                right++;
            } else {
                ck_assert_int_eq(status, FHOLA_RANGE);
                ck_assert_double_eq(got[0], 7);
                ck_assert_fails(nn_decrypt_scores_flooded(r.context, r.ws, got, &client, ct,
                                                          r.secret, 1, r.rng),
                                FHOLA_RANGE);
                refused++;
            }
            ckks_ciphertext_destroy(ct);
        }
    printf("scores of 400 to 10^6: %d right, %d refused\n", right, refused);
    ck_assert_int_ge(right, 8);
    ck_assert_int_ge(refused, 8 * 15);
    nn_client_clear(&client);
    ring_close(&r);
}
END_TEST

/* Nothing in the ciphertext itself names its key: its noise does. */
START_TEST(another_key)
{
    ring r = toy_ring();
    nn_client client = make_client(&r);
    double score[CLASSES] = {1, 2, 3}, got[CLASSES] = {7};
    ckks_ciphertext *ct = result(&r, score);
    for (int k = 0; k < 20; k++) {
        ckks_secret_key *other;
        ck_assert_ok(ckks_secret_key_create(&other, r.context, r.rng));
        ck_assert_fails(nn_decrypt_scores(r.context, r.ws, got, &client, ct, other), FHOLA_RANGE);
        ck_assert_double_eq(got[0], 7);
        ckks_secret_key_destroy(other);
    }
    ckks_ciphertext_destroy(ct);
    nn_client_clear(&client);
    ring_close(&r);
}
END_TEST

START_TEST(flooding)
{
    enum { RUNS = 500 };
    ring r = toy_ring();
    nn_client client = make_client(&r);
    double score[CLASSES] = {1, -2, 3, -4, 5, -6, 7, -8, 9, -10}, got[CLASSES], square = 0,
           mean = 0, cross = 0;
    ckks_ciphertext *ct = result(&r, score);
    double deviation = nn_flood_deviation(&client, 8, 2, 0.01);
    ck_assert_double_eq_tol(deviation, 4 * sqrt(24) * 16 * 0.01, 1e-9);
    for (int k = 0; k < RUNS; k++) {
        ck_assert_ok(nn_decrypt_scores_flooded(r.context, r.ws, got, &client, ct, r.secret,
                                               deviation, r.rng));
        for (int i = 0; i < CLASSES; i++) {
            double e = got[i] - score[i];
            mean += e;
            square += e * e;
            if (i) cross += e * (got[i - 1] - score[i - 1]);
        }
    }
    double count = RUNS * CLASSES;
    assert_variance("noise on scores", square / count, deviation * deviation, count, 1e-3);
    ck_assert_double_le(fabs(mean / count), 5 * deviation / sqrt(count));
    ck_assert_double_le(fabs(cross / count), 5 * deviation * deviation / sqrt(count));
    ck_assert_fails(
        nn_decrypt_scores_flooded(r.context, r.ws, got, &client, ct, r.secret, 0, r.rng),
        FHOLA_RANGE);
    ck_assert_fails(
        nn_decrypt_scores_flooded(r.context, r.ws, got, &client, ct, r.secret, 0x1p40, r.rng),
        FHOLA_RANGE);
    ckks_ciphertext_destroy(ct);
    nn_client_clear(&client);
    ring_close(&r);
}
END_TEST

/* Pixels outside [0, 1] would leave the range of the first bootstrap. */
START_TEST(pictures)
{
    ring r = toy_ring();
    nn_client client = make_client(&r);
    static double rgb[NN_PICTURE_VALUES];
    static const double bad[] = {-0.01, 1.01, (double)NAN, (double)INFINITY, 255};
    ckks_ciphertext *ct = new_ciphertext(&r);
    for (int k = 0; k < 5; k++) {
        rgb[1000] = bad[k];
        ck_assert_fails(nn_encrypt_picture(r.context, r.ws, &ct, &client, rgb, r.secret, r.rng),
                        FHOLA_RANGE);
        ck_assert_uint_eq(ckks_ciphertext_basis(ct), 0);
    }
    ckks_ciphertext_destroy(ct);
    nn_client_clear(&client);
    ring_close(&r);
}
END_TEST

/* Nothing of a picture or of scores is left in memory that was given back. */
START_TEST(wiped)
{
    ring r = toy_ring();
    nn_client client = make_client(&r);
    static double rgb[NN_PICTURE_VALUES];
    double score[CLASSES] = {1, -2, 3}, got[CLASSES];
    for (size_t i = 0; i < NN_PICTURE_VALUES; i++) rgb[i] = 0.5 + 0.4 * random_unit();
    ck_assert_ok(nn_layout_fresh(&client.input, (nn_shape){1, 16, 16}, NN_MAX_SLOTS, "input"));
    client.input_bound = 1;
    client.scale = 0x1p30;
    client.basis = r.chain;
    ckks_ciphertext *picture = new_ciphertext(&r), *ct = result(&r, score);
    released = dirty = 0;
    watching = 1;
    fhola_status encrypted =
        nn_encrypt_picture(r.context, r.ws, &picture, &client, rgb, r.secret, r.rng);
    int blocks = released;
    fhola_status decrypted = nn_decrypt_scores(r.context, r.ws, got, &client, ct, r.secret);
    fhola_status flooded =
        nn_decrypt_scores_flooded(r.context, r.ws, got, &client, ct, r.secret, 1, r.rng);
    watching = 0;
    ck_assert_ok(encrypted);
    ck_assert_ok(decrypted);
    ck_assert_ok(flooded);
    ck_assert_int_ge(blocks, 2); /* the values and their encoding */
    ck_assert_int_ge(released, blocks + 2);
    ck_assert_int_eq(dirty, 0);
    ckks_ciphertext_destroy(picture);
    ckks_ciphertext_destroy(ct);
    nn_client_clear(&client);
    ring_close(&r);
}
END_TEST

/* Nor of the files and pixels of pictures. */
START_TEST(wiped_files)
{
    static double rgb[NN_PICTURE_VALUES];
    static unsigned char pixels[3 * 300 * 300];
    char path[] = "/tmp/fhola-wiped-XXXXXX";
    nn_batch *batch = NULL;
    memset(pixels, 77, sizeof pixels);
    FILE *file = fdopen(mkstemp(path), "wb");
    ck_assert_ptr_nonnull(file);
    fprintf(file, "P6\n300 300\n255\n");
    ck_assert_uint_eq(fwrite(pixels, 1, sizeof pixels, file), sizeof pixels);
    ck_assert_int_eq(fclose(file), 0);
    released = dirty = 0;
    watching = 1;
    fhola_status read = nn_picture_read(rgb, (nn_shape){3, 32, 32}, path);
    int blocks = released;
    fhola_status misread = nn_batch_load(&batch, path, 0, 1);
    watching = 0;
    ck_assert_ok(read);
    ck_assert_int_eq(misread, FHOLA_FORMAT);
    ck_assert_int_ge(blocks, 4); /* the file as it grew, and its pixels */
    ck_assert_int_ge(released, blocks + 3);
    ck_assert_int_eq(dirty, 0);
    file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(pixels, 1, 2 * 3073, file), 2 * 3073);
    ck_assert_int_eq(fclose(file), 0);
    released = 0;
    watching = 1;
    fhola_status loaded = nn_batch_load(&batch, path, 1, 1);
    nn_batch_free(batch);
    watching = 0;
    ck_assert_ok(loaded);
    ck_assert_int_ge(released, 1);
    ck_assert_int_eq(dirty, 0);
    ck_assert_int_eq(remove(path), 0);
}
END_TEST

static void add_tests(TCase *tcase)
{
    tcase_add_test(tcase, scores);
    tcase_add_test(tcase, scales);
    tcase_add_test(tcase, wrapped_scores);
    tcase_add_test(tcase, another_key);
    tcase_add_test(tcase, flooding);
    tcase_add_test(tcase, pictures);
    tcase_add_test(tcase, wiped);
    tcase_add_test(tcase, wiped_files);
}

int main(void)
{
    test_seed(0);
    return test_run("client", add_tests, 60);
}
