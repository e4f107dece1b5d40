/* SPDX-License-Identifier: Apache-2.0 */
/* make_toy_files write|read FOLDER: keys and a ciphertext of a toy ring, all from one seed, so that
 * two machines write the same files byte for byte; or reads such files and calculates with them.
 * For .ci/parts/foreign. */
#include "tests/support.h"

#define KEY   UINT64_C(0x0123456789abcdef)
#define SLOTS 16
#define SCALE 0x1p28

static const char *const names[] = {"secret", "evaluation", "ciphertext"};
static const ckks_file_kind kinds[] = {CKKS_FILE_SECRET_KEY, CKKS_FILE_EVAL_KEYS,
                                       CKKS_FILE_CIPHERTEXT};

static const char *path_of(const char *folder, int which)
{
    static char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, names[which]);
    return path;
}

static void open_ring(ring *r)
{
    /* two limbs of two primes, others of one */
    ckks_params_spec spec = shared_spec(8, 24.5, 3, 24.5);
    ring_open(r, &spec, NULL);
    ring_request(r, CKKS_KEY_RELINEARIZE, 0, r->chain, r->special);
    ring_request(r, CKKS_KEY_ROTATE, 3, r->chain, r->special);
}

static void fill(ckks_complex values[SLOTS])
{
    for (int i = 0; i < SLOTS; i++)
        values[i] = (ckks_complex){(i * 5 % 16 - 7) / 8.0, (i * 3 % 16 - 8) / 8.0};
}

static void write_files(ring *r, const char *folder)
{
    ckks_complex values[SLOTS];
    fill(values);
    ring_keys(r);
    ckks_ciphertext *ct = encrypt(r, values, SLOTS, SCALE, r->chain);
    for (int i = 0; i < 3; i++) {
        ckks_writer *w;
        ck_assert_ok(ckks_writer_open(&w, path_of(folder, i), 0));
        ck_assert_ok(ckks_writer_begin(w, kinds[i], r->params, KEY));
        if (i == 0) ck_assert_ok(ckks_secret_key_write(w, r->secret));
        if (i == 1) ck_assert_ok(ckks_eval_keys_write(w, r->keys, NULL, NULL));
        if (i == 2) ck_assert_ok(ckks_ciphertext_write(w, ct));
        ck_assert_ok(ckks_writer_end(w));
        ck_assert_ok(ckks_writer_commit(w));
        ckks_writer_destroy(w);
    }
    ckks_ciphertext_destroy(ct);
}

static void check_values(ring *r, const ckks_ciphertext *ct, const ckks_complex wanted[SLOTS])
{
    ckks_complex found[128];
    decrypt(r, found, ct);
    double worst = worst_difference(found, wanted, SLOTS);
    printf("worst difference 2^%.1f\n", log2(worst));
    ck_assert_double_le(worst, 0x1p-8);
}

static void calculate(ring *r, ckks_ciphertext *ct)
{
    ckks_complex values[SLOTS], wanted[SLOTS];
    fill(values);
    check_values(r, ct, values);
    ck_assert_ok(ckks_rotate(r->context, r->ws, r->keys, ct, ct, 3));
    ck_assert_ok(ckks_mul(r->context, r->ws, r->keys, ct, ct, ct, 1));
    for (int i = 0; i < SLOTS; i++)
        wanted[i] = c_mul(values[(i + 3) % SLOTS], values[(i + 3) % SLOTS]);
    check_values(r, ct, wanted);
}

static void read_files(ring *r, const char *folder)
{
    ckks_ciphertext *ct = new_ciphertext(r);
    ckks_secret_key_destroy(r->secret);
    r->secret = NULL;
    for (int i = 0; i < 3; i++) {
        ckks_reader *reader;
        ck_assert_ok(ckks_reader_open(&reader, path_of(folder, i)));
        ckks_reader_allow_insecure(reader);
        ck_assert_ok(ckks_reader_begin(reader, NULL, kinds[i], r->context, KEY));
        if (i == 0) ck_assert_ok(ckks_secret_key_read(&r->secret, r->context, reader));
        if (i == 1)
            ck_assert_ok(ckks_eval_keys_read(&r->keys, r->context, reader, NULL, NULL, NULL));
        if (i == 2) ck_assert_ok(ckks_ciphertext_read(ct, r->context, reader));
        ck_assert_ok(ckks_reader_finish(reader));
        ckks_reader_destroy(reader);
    }
    calculate(r, ct);
    ckks_ciphertext_destroy(ct);
}

int main(int argc, char **argv)
{
    ring r;
    if (argc != 3) return 1;
    bool writes = strcmp(argv[1], "write") == 0;
    test_seed(writes ? 1 : 2); /* what is read owes nothing to the seed */
    open_ring(&r);
    (writes ? write_files : read_files)(&r, argv[2]);
    ring_close(&r);
    return 0;
}
