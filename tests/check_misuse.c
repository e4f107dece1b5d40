/* SPDX-License-Identifier: Apache-2.0 */
/* Wrong levels, scales, keys, contexts and aliases: the documented status, a message, and outputs
 * that are unchanged or empty. What one module alone can get wrong is in that module's test. */
#include "tests/support.h"

typedef struct world {
    ring r, other; /* two rings of equal parameters */
    ckks_ciphertext *x, *y, *low, *scaled, *empty, *foreign, *out;
    uint64_t out_hash, x_hash;
    ckks_plaintext *plain, *foreign_plain, *empty_plain, *special_plain;
    ckks_public_key *pk, *low_pk;
} world;

static world create(void)
{
    world w;
    memset(&w, 0, sizeof w);
    ckks_params_spec spec = flat_spec(8, 45, 4, 36);
    ring_open(&w.r, &spec, NULL);
    ring_open(&w.other, &spec, NULL);
    ring *r = &w.r;
    for (int k = 0; k < 2; k++) {
        ring *each = k ? &w.other : r;
        ring_request(each, CKKS_KEY_RELINEARIZE, 0, 0xf, each->special);
        ring_request(each, CKKS_KEY_ROTATE, 1, 0xf, each->special);
        ring_request(each, CKKS_KEY_CONJUGATE, 0, 0xf, each->special);
        ring_keys(each);
    }
    ckks_complex z[128];
    random_complex(z, 128, 1);
    w.x = encrypt(r, z, 128, 0x1p36, 0xf);
    w.y = encrypt(r, z, 128, 0x1p36, 0x1f);
    w.low = encrypt(r, z, 128, 0x1p36, 0x7);
    w.scaled = encrypt(r, z, 128, 0x1.00001p36, 0xf);
    w.out = encrypt(r, z, 128, 0x1p30, 0x1f);
    w.empty = new_ciphertext(r);
    w.foreign = encrypt(&w.other, z, 128, 0x1p36, 0xf);
    w.plain = encode(r, z, 128, 0x1p36, 0x7);
    w.special_plain = encode(r, z, 128, 0x1p36, r->special | 1);
    w.foreign_plain = encode(&w.other, z, 128, 0x1p36, 0x1f);
    ck_assert_ok(ckks_plaintext_create(&w.empty_plain, r->context));
    ck_assert_ok(ckks_public_key_create(&w.pk, r->context, r->secret, r->chain, r->rng));
    ck_assert_ok(ckks_public_key_create(&w.low_pk, r->context, r->secret, 0x3, r->rng));
    w.out_hash = ciphertext_hash(w.out);
    w.x_hash = ciphertext_hash(w.x);
    return w;
}

static void destroy(world *w)
{
    ckks_ciphertext *ct[] = {w->x, w->y, w->low, w->scaled, w->out, w->empty, w->foreign};
    for (size_t i = 0; i < sizeof ct / sizeof ct[0]; i++) ckks_ciphertext_destroy(ct[i]);
    ckks_plaintext *pt[] = {w->plain, w->special_plain, w->foreign_plain, w->empty_plain};
    for (size_t i = 0; i < sizeof pt / sizeof pt[0]; i++) ckks_plaintext_destroy(pt[i]);
    ckks_public_key_destroy(w->pk);
    ckks_public_key_destroy(w->low_pk);
    ring_close(&w->r);
    ring_close(&w->other);
}

/* The call fails as said; `out` is unchanged or empty, and the operand x unchanged. */
#define REFUSED(call, status)                                                                      \
    do {                                                                                           \
        ck_assert_fails(call, status);                                                             \
        if (ckks_ciphertext_basis(w.out)) ck_assert_uint_eq(ciphertext_hash(w.out), w.out_hash);   \
        ck_assert_uint_eq(ciphertext_hash(w.x), w.x_hash);                                         \
    } while (0)

static uint64_t plaintext_hash(const ckks_plaintext *plain)
{
    ckks_ciphertext view = {
        .context = plain->context, .scale = plain->scale, .poly = {plain->poly, plain->poly}};
    return ciphertext_hash(&view);
}

START_TEST(encryption)
{
    world w = create();
    ring *r = &w.r;
    ckks_complex z[129];
    REFUSED(ckks_encrypt(r->context, r->ws, w.out, w.foreign_plain, r->secret, r->rng),
            FHOLA_PARAM);
    REFUSED(ckks_encrypt(r->context, r->ws, w.foreign, w.plain, r->secret, r->rng), FHOLA_PARAM);
    REFUSED(ckks_encrypt(r->context, w.other.ws, w.out, w.plain, r->secret, r->rng), FHOLA_PARAM);
    REFUSED(ckks_encrypt(r->context, r->ws, w.out, w.empty_plain, r->secret, r->rng), FHOLA_LEVEL);
    REFUSED(ckks_encrypt(r->context, r->ws, w.out, w.special_plain, r->secret, r->rng),
            FHOLA_LEVEL);
    REFUSED(ckks_encrypt(r->context, r->ws, w.out, w.plain, w.other.secret, r->rng), FHOLA_KEY);
    ckks_public_key *foreign;
    ck_assert_ok(
        ckks_public_key_create(&foreign, w.other.context, w.other.secret, 0x7, w.other.rng));
    REFUSED(ckks_encrypt_public(r->context, r->ws, w.out, w.plain, foreign, r->rng), FHOLA_KEY);
    ckks_public_key_destroy(foreign);
    REFUSED(ckks_encrypt_public(r->context, r->ws, w.out, w.plain, w.low_pk, r->rng), FHOLA_LEVEL);
    REFUSED(ckks_encrypt_public(r->context, r->ws, w.out, w.special_plain, w.pk, r->rng),
            FHOLA_LEVEL);
    REFUSED(ckks_encrypt_public(r->context, r->ws, w.out, w.foreign_plain, w.pk, r->rng),
            FHOLA_PARAM);
    z[0] = (ckks_complex){7, 7};
    REFUSED(ckks_decrypt(r->context, r->ws, z, 1, w.empty, r->secret), FHOLA_LEVEL);
    REFUSED(ckks_decrypt(r->context, r->ws, z, 1, w.foreign, r->secret), FHOLA_PARAM);
    REFUSED(ckks_decrypt(r->context, w.other.ws, z, 1, w.x, r->secret), FHOLA_PARAM);
    REFUSED(ckks_decrypt(r->context, r->ws, z, 1, w.x, w.other.secret), FHOLA_KEY);
    REFUSED(ckks_decrypt(r->context, r->ws, z, 129, w.x, r->secret), FHOLA_PARAM);
    ck_assert(z[0].re == 7 && z[0].im == 7);
    destroy(&w);
}
END_TEST

/* What would wrap modulo the primes at hand, or is no number, is not encoded; what just fits comes
 * back. */
START_TEST(encoding)
{
    world w = create();
    ring *r = &w.r;
    double q0 = (double)ckks_params_prime(r->params, 0),
           q01 = q0 * (double)ckks_params_prime(r->params, 1);
    ckks_complex z = {0.49, 0};
    ckks_plaintext *plain = encode(r, &z, 1, q0, 1);
    ckks_ciphertext *ct = new_ciphertext(r);
    ck_assert_ok(ckks_encrypt(r->context, r->ws, ct, plain, r->secret, r->rng));
    ckks_complex back[1];
    ck_assert_ok(ckks_decrypt(r->context, r->ws, back, 1, ct, r->secret));
    ck_assert_double_eq_tol(back[0].re, 0.49, 1e-9);
    uint64_t before = plaintext_hash(plain);
    static const double wrong[] = {
        0.51, -0.51, 1, 1e3, (double)NAN, (double)INFINITY, -(double)INFINITY};
    for (int k = 0; k < 7; k++) {
        z.re = wrong[k];
        REFUSED(ckks_encode(r->context, r->ws, plain, &z, 1, q0, 1), FHOLA_RANGE);
        ck_assert_uint_eq(plaintext_hash(plain), before);
    }
    z.re = 0.51; /* two primes hold it, but not at their product */
    ck_assert_ok(ckks_encode(r->context, r->ws, plain, &z, 1, q0, 3));
    REFUSED(ckks_encode(r->context, r->ws, plain, &z, 1, q01, 3), FHOLA_RANGE);
    ckks_plaintext_destroy(plain);
    ckks_ciphertext_destroy(ct);
    destroy(&w);
}
END_TEST

START_TEST(linear)
{
    world w = create();
    const ckks_context *c = w.r.context;
    REFUSED(ckks_add(c, w.out, w.x, w.low), FHOLA_LEVEL);
    REFUSED(ckks_add(c, w.out, w.x, w.scaled), FHOLA_SCALE);
    REFUSED(ckks_add(c, w.out, w.empty, w.x), FHOLA_LEVEL);
    REFUSED(ckks_add(c, w.out, w.x, w.foreign), FHOLA_PARAM);
    REFUSED(ckks_add(c, w.foreign, w.x, w.x), FHOLA_PARAM);
    REFUSED(ckks_add(w.other.context, w.out, w.x, w.x), FHOLA_PARAM);
    REFUSED(ckks_sub(c, w.out, w.low, w.x), FHOLA_LEVEL);
    REFUSED(ckks_sub(c, w.out, w.scaled, w.x), FHOLA_SCALE);
    REFUSED(ckks_sub(c, w.x, w.x, w.low), FHOLA_LEVEL); /* in place */
    REFUSED(ckks_add_plain(c, w.out, w.x, w.plain), FHOLA_LEVEL);
    REFUSED(ckks_add_plain(c, w.out, w.x, w.foreign_plain), FHOLA_PARAM);
    REFUSED(ckks_add_plain(c, w.out, w.x, w.empty_plain), FHOLA_LEVEL);
    ckks_plaintext *fine = encode(&w.r, &(ckks_complex){1, 0}, 1, 0x1p35, 0x1f);
    REFUSED(ckks_add_plain(c, w.out, w.x, fine), FHOLA_SCALE);
    ckks_plaintext_destroy(fine);
    REFUSED(ckks_add_scalar(c, w.out, w.x, (double)NAN), FHOLA_RANGE);
    REFUSED(ckks_add_scalar(c, w.out, w.x, 1e40), FHOLA_RANGE);
    REFUSED(ckks_add_scalar(c, w.out, w.empty, 1), FHOLA_LEVEL);
    REFUSED(ckks_mul_plain(c, w.out, w.x, w.plain), FHOLA_LEVEL);
    REFUSED(ckks_mul_plain(c, w.out, w.x, w.foreign_plain), FHOLA_PARAM);
    REFUSED(ckks_mul_integer(c, w.out, w.empty, 2), FHOLA_LEVEL);
    REFUSED(ckks_mul_integer(c, w.foreign, w.x, 2), FHOLA_PARAM);
    REFUSED(ckks_ciphertext_copy(w.foreign, w.x), FHOLA_PARAM);
    destroy(&w);
}
END_TEST

/* Constants at the edge of half the modulus: those just below give the right values. */
START_TEST(constants)
{
    world w = create();
    const ckks_context *c = w.r.context;
    ckks_ciphertext *low = new_ciphertext(&w.r), *lowest = new_ciphertext(&w.r);
    ck_assert_ok(ckks_drop(c, low, w.x, 3));
    ck_assert_ok(ckks_drop(c, lowest, w.x, 1));
    double most = basis_product(&w.r, 3) / 2 / 0x1p36, one = basis_product(&w.r, 1) / 2;
    ckks_complex x[128], y[128];
    decrypt(&w.r, x, low);
    for (int sign = -1; sign <= 1; sign += 2) {
        double value = sign * most * (1 - 0x1p-30);
        REFUSED(ckks_add_scalar(c, w.out, low, sign * most * (1 + 0x1p-30)), FHOLA_RANGE);
        ckks_ciphertext *sum = new_ciphertext(&w.r);
        ck_assert_ok(ckks_add_scalar(c, sum, low, value));
        decrypt(&w.r, y, sum);
        for (int i = 0; i < 128; i++) ck_assert_double_eq_tol(y[i].re, value + x[i].re, 0x1p-6);
        ckks_ciphertext_destroy(sum);
        int64_t factor = (int64_t)(one * (1 + 0x1p-30));
        REFUSED(ckks_mul_integer(c, w.out, lowest, sign * factor), FHOLA_RANGE);
    }
    REFUSED(ckks_mul_integer(c, w.out, lowest, INT64_MIN), FHOLA_RANGE);
    ckks_ciphertext_destroy(low);
    ckks_ciphertext_destroy(lowest);
    destroy(&w);
}
END_TEST

/* Scales that are no positive normal numbers, or exceed the modulus, whether given or made. */
START_TEST(scales)
{
    world w = create();
    ring *r = &w.r;
    const ckks_context *c = r->context;
    ckks_complex z[128];
    const double bad[] = {0,           -1,
                          (double)NAN, (double)INFINITY,
                          0x1p-1050,   0.501 * (double)r->n * basis_product(r, 0xf)};
    for (size_t k = 0; k < 6; k++) {
        REFUSED(ckks_ciphertext_set_scale(w.x, bad[k]), FHOLA_SCALE);
        ck_assert_double_eq(ckks_ciphertext_scale(w.x), 0x1p36);
        REFUSED(ckks_encode(c, r->ws, w.plain, z, 128, bad[k], 0xf), FHOLA_SCALE);
    }
    REFUSED(ckks_ciphertext_set_scale(w.empty, 1), FHOLA_LEVEL);
    double half = 0.499 * (double)r->n;
    ckks_ciphertext *large = new_ciphertext(r), *small = new_ciphertext(r);
    ck_assert_ok(ckks_ciphertext_copy(large, w.x));
    ck_assert_ok(ckks_ciphertext_copy(small, w.x));
    ck_assert_ok(ckks_ciphertext_set_scale(large, half * basis_product(r, 0xf)));
    ck_assert_ok(ckks_ciphertext_set_scale(small, 0x1p-1000));
    ckks_plaintext *plain = encode(r, &(ckks_complex){1, 0}, 1, 0x1p40, 0xf);
    REFUSED(ckks_mul(c, r->ws, r->keys, w.out, large, w.x, 1), FHOLA_SCALE);
    REFUSED(ckks_mul(c, r->ws, r->keys, w.out, small, small, 1), FHOLA_SCALE);
    REFUSED(ckks_mul_plain(c, w.out, large, plain), FHOLA_SCALE);
    REFUSED(ckks_rescale(c, r->ws, w.out, small, 0x7), FHOLA_SCALE);
    REFUSED(ckks_drop(c, w.out, large, 0x3), FHOLA_SCALE);
    /* 126 bits are decrypted: the lowest three primes */
    ck_assert_ok(ckks_ciphertext_set_scale(large, half * basis_product(r, 0x7)));
    ck_assert_ok(ckks_drop(c, small, large, 0x7));
    ck_assert_ok(ckks_decrypt(c, r->ws, z, 128, large, r->secret));
    ck_assert_ok(ckks_ciphertext_set_scale(large, 1.1 * half * basis_product(r, 0x7)));
    z[0].re = 7;
    REFUSED(ckks_decrypt(c, r->ws, z, 128, large, r->secret), FHOLA_SCALE);
    REFUSED(ckks_decrypt_flooded(c, r->ws, z, 128, large, r->secret, 100, r->rng), FHOLA_SCALE);
    ck_assert_double_eq(z[0].re, 7);
    ckks_plaintext_destroy(plain);
    ckks_ciphertext_destroy(large);
    ckks_ciphertext_destroy(small);
    destroy(&w);
}
END_TEST

START_TEST(levels)
{
    world w = create();
    ring *r = &w.r;
    REFUSED(ckks_rescale(r->context, r->ws, w.out, w.x, 0), FHOLA_LEVEL);
    REFUSED(ckks_rescale(r->context, r->ws, w.out, w.x, 0x11), FHOLA_LEVEL);
    REFUSED(ckks_rescale(r->context, r->ws, w.out, w.empty, 1), FHOLA_LEVEL);
    REFUSED(ckks_rescale(r->context, r->ws, w.out, w.foreign, 1), FHOLA_PARAM);
    REFUSED(ckks_rescale(r->context, w.other.ws, w.out, w.x, 1), FHOLA_PARAM);
    REFUSED(ckks_drop(r->context, w.out, w.x, 0), FHOLA_LEVEL);
    REFUSED(ckks_drop(r->context, w.out, w.x, 0x11), FHOLA_LEVEL);
    REFUSED(ckks_drop(r->context, w.out, w.empty, 1), FHOLA_LEVEL);
    REFUSED(ckks_drop(r->context, w.foreign, w.x, 1), FHOLA_PARAM);
    destroy(&w);
}
END_TEST

START_TEST(products)
{
    world w = create();
    ring *r = &w.r;
    REFUSED(ckks_mul(r->context, r->ws, r->keys, w.out, w.x, w.low, 1), FHOLA_LEVEL);
    /* the key covers one prime less */
    REFUSED(ckks_mul(r->context, r->ws, r->keys, w.out, w.y, w.y, 1), FHOLA_KEY);
    REFUSED(ckks_mul(r->context, r->ws, r->keys, w.out, w.x, w.empty, 1), FHOLA_LEVEL);
    REFUSED(ckks_mul(r->context, r->ws, r->keys, w.out, w.x, w.foreign, 1), FHOLA_PARAM);
    REFUSED(ckks_mul(r->context, r->ws, r->keys, w.foreign, w.x, w.x, 1), FHOLA_PARAM);
    REFUSED(ckks_mul(r->context, r->ws, w.other.keys, w.out, w.x, w.x, 1), FHOLA_KEY);
    REFUSED(ckks_mul(r->context, w.other.ws, r->keys, w.out, w.x, w.x, 1), FHOLA_PARAM);
    ckks_ciphertext *bottom = new_ciphertext(r);
    ck_assert_ok(ckks_drop(r->context, bottom, w.x, 1));
    REFUSED(ckks_mul(r->context, r->ws, r->keys, w.out, bottom, bottom, 1), FHOLA_LEVEL);
    ckks_ciphertext_destroy(bottom);
    destroy(&w);
}
END_TEST

START_TEST(rotations)
{
    world w = create();
    ring *r = &w.r;
    REFUSED(ckks_rotate(r->context, r->ws, r->keys, w.out, w.x, 2), FHOLA_KEY);
    REFUSED(ckks_rotate(r->context, r->ws, r->keys, w.out, w.x, -1), FHOLA_KEY);
    REFUSED(ckks_rotate(r->context, r->ws, r->keys, w.out, w.y, 1), FHOLA_KEY);
    REFUSED(ckks_rotate(r->context, r->ws, r->keys, w.out, w.empty, 1), FHOLA_LEVEL);
    REFUSED(ckks_rotate(r->context, r->ws, r->keys, w.foreign, w.x, 1), FHOLA_PARAM);
    REFUSED(ckks_conjugate(r->context, r->ws, r->keys, w.out, w.y), FHOLA_KEY);
    REFUSED(ckks_conjugate(r->context, r->ws, r->keys, w.out, w.foreign), FHOLA_PARAM);
    ckks_ciphertext *both[2] = {w.out, w.empty}, *input[2] = {w.out, w.x};
    const int32_t by[2] = {1, 2}, good[2] = {1, 1};
    REFUSED(ckks_rotate_hoisted(r->context, r->ws, r->keys, both, w.x, by, 2), FHOLA_KEY);
    ck_assert_uint_eq(ckks_ciphertext_basis(w.empty), 0);
    REFUSED(ckks_rotate_hoisted(r->context, r->ws, r->keys, input, w.x, good, 2), FHOLA_PARAM);
    both[1] = w.foreign;
    REFUSED(ckks_rotate_hoisted(r->context, r->ws, r->keys, both, w.x, good, 2), FHOLA_PARAM);
    destroy(&w);
}
END_TEST

/* Keys and workspaces of another context, of equal parameters: nothing but their owner tells them
 * apart. */
START_TEST(mixed_contexts)
{
    world w = create();
    ring *r = &w.r;
    ckks_ciphertext *out[1] = {w.out};
    const int32_t by[1] = {1};
    REFUSED(ckks_rotate(r->context, r->ws, w.other.keys, w.out, w.x, 1), FHOLA_KEY);
    REFUSED(ckks_conjugate(r->context, r->ws, w.other.keys, w.out, w.x), FHOLA_KEY);
    REFUSED(ckks_rotate_hoisted(r->context, r->ws, w.other.keys, out, w.x, by, 1), FHOLA_KEY);
    REFUSED(ckks_rotate(r->context, w.other.ws, r->keys, w.out, w.x, 1), FHOLA_PARAM);
    REFUSED(ckks_conjugate(r->context, w.other.ws, r->keys, w.out, w.x), FHOLA_PARAM);
    REFUSED(ckks_rotate_hoisted(r->context, w.other.ws, r->keys, out, w.x, by, 1), FHOLA_PARAM);
    destroy(&w);
}
END_TEST

static int identity(void *arg, unsigned block, int32_t offset, ckks_complex *values)
{
    (void)arg;
    (void)block;
    (void)offset;
    values[0] = (ckks_complex){1, 0};
    return 0;
}

START_TEST(transforms)
{
    world w = create();
    ring *r = &w.r;
    const int32_t offset[] = {0, 1, 2};
    ckks_lintrans_spec spec = {.basis = 0xf,
                               .special = r->special,
                               .count = 2,
                               .offset = offset,
                               .diagonal = identity,
                               .period = 1};
    spec.plain_scale = 0x1p36;
    ckks_lintrans *lt = NULL, *more = NULL, *bare = NULL;
    ck_assert_ok(ckks_lintrans_create(&lt, r->context, r->ws, &spec));
    spec.count = 3;
    ck_assert_ok(ckks_lintrans_create(&more, r->context, r->ws, &spec));
    spec.diagonal = NULL;
    ck_assert_ok(ckks_lintrans_create(&bare, r->context, r->ws, &spec));
    const ckks_lintrans *good = lt, *keyless = more, *structure = bare;
    ckks_ciphertext *out = w.out, *foreign = w.foreign, *in = w.x;
    REFUSED(ckks_lintrans_apply(r->context, r->ws, r->keys, 1, &keyless, &out, w.x, 0x7),
            FHOLA_KEY);
    REFUSED(ckks_lintrans_apply(r->context, r->ws, r->keys, 1, &structure, &out, w.x, 0x7),
            FHOLA_PARAM);
    REFUSED(ckks_lintrans_apply(r->context, r->ws, r->keys, 1, &good, &in, w.x, 0x7), FHOLA_PARAM);
    REFUSED(ckks_lintrans_apply(r->context, r->ws, r->keys, 1, &good, &foreign, w.x, 0x7),
            FHOLA_PARAM);
    REFUSED(ckks_lintrans_apply(r->context, r->ws, r->keys, 1, &good, &out, w.y, 0x7), FHOLA_LEVEL);
    REFUSED(ckks_lintrans_apply(r->context, r->ws, r->keys, 1, &good, &out, w.empty, 0x7),
            FHOLA_LEVEL);
    REFUSED(ckks_lintrans_apply(r->context, r->ws, r->keys, 1, &good, &out, w.x, 0), FHOLA_LEVEL);
    REFUSED(ckks_lintrans_apply(r->context, r->ws, r->keys, 1, &good, &out, w.x, 0x11),
            FHOLA_LEVEL);
    REFUSED(ckks_lintrans_apply(r->context, r->ws, r->keys, 1, &good, &out, w.foreign, 0x7),
            FHOLA_PARAM);
    REFUSED(ckks_lintrans_apply(r->context, r->ws, w.other.keys, 1, &good, &out, w.x, 0x7),
            FHOLA_PARAM);
    REFUSED(ckks_lintrans_apply(r->context, w.other.ws, r->keys, 1, &good, &out, w.x, 0x7),
            FHOLA_PARAM);
    ckks_lintrans_destroy(lt);
    ckks_lintrans_destroy(more);
    ckks_lintrans_destroy(bare);
    destroy(&w);
}
END_TEST

/* Every status has its name, the detail message survives success and is cut at 511 bytes, each
 * thread's own. */
START_TEST(messages)
{
    for (int k = FHOLA_OK; k <= FHOLA_RANGE; k++)
        for (int j = FHOLA_OK; j < k; j++)
            ck_assert_str_ne(fhola_strerror((fhola_status)k), fhola_strerror((fhola_status)j));
    ck_assert_ptr_nonnull(fhola_strerror((fhola_status)1000));
    char text[1000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    ck_assert_int_eq(fhola_fail(FHOLA_IO, "%s", text), FHOLA_IO);
    ck_assert_uint_eq(strlen(fhola_detail()), 511);
    (void)fhola_fail(FHOLA_IO, "inner");
    (void)fhola_fail(FHOLA_IO, "outer: %s", fhola_detail());
    ck_assert_str_eq(fhola_detail(), "outer: inner");
    ckks_params *p;
    ck_assert_ok(ckks_params_named(&p, "toy"));
    ck_assert_str_eq(fhola_detail(), "outer: inner");
    ckks_params_destroy(p);
}
END_TEST

static void add_tests(TCase *tcase)
{
    tcase_add_test(tcase, encryption);
    tcase_add_test(tcase, encoding);
    tcase_add_test(tcase, linear);
    tcase_add_test(tcase, constants);
    tcase_add_test(tcase, scales);
    tcase_add_test(tcase, levels);
    tcase_add_test(tcase, products);
    tcase_add_test(tcase, rotations);
    tcase_add_test(tcase, mixed_contexts);
    tcase_add_test(tcase, transforms);
    tcase_add_test(tcase, messages);
}

int main(void)
{
    test_seed(0);
    return test_run("misuse", add_tests, 60);
}
