/* SPDX-License-Identifier: Apache-2.0 */
/* Known answers: from one seed the same keys, ciphertexts and bootstrap, bit for bit, on every
 * kernel table the machine has and for any number of threads, whatever compiler and C library. The
 * answers are in known_answers.h. When they change on purpose,
 *     FHOLA_TEST_ANSWERS=$PWD/../tests/known_answers.h make check TESTS=tests/check_determinism
 * writes them anew (from the first table on one thread; the other runs must still agree), and
 * CHANGELOG.md says so: old files and new code then differ. */
#include "tests/support.h"

#include "tests/little_endian.h"

/* One line an answer: STAGE(identifier, name, hash). */
#define STAGE(identifier, name, hash) identifier,
enum stage {
#include "tests/known_answers.h"
    STAGES
};
#undef STAGE

#define STAGE(identifier, name, hash) {#identifier, name, UINT64_C(hash)},
static struct {
    const char *identifier, *name;
    uint64_t hash;
} known[STAGES] = {
#include "tests/known_answers.h"
};
#undef STAGE

/* A parameter set of this test's own, so that a better built-in set does not move the answers. */
static const ckks_params_spec spec = {.log_n = 10,
                                      .base_bits = 28,
                                      .stc_levels = 2,
                                      .stc_bits = 24,
                                      .residual_levels = 5,
                                      .residual_bits = 28,
                                      .eval_mod_levels = 7,
                                      .eval_mod_scale_bits = {36, 40, 38, 36, 36, 35, 34},
                                      .cts_levels = 3,
                                      .cts_bits = 28,
                                      .special_primes = 5,
                                      .special_bits = 48,
                                      .eps = 0.125,
                                      .eval_mod_range = 11,
                                      .eval_mod_degree = 30,
                                      .double_angles = 2,
                                      .eval_mod_power = 0.3,
                                      .hamming_weight = 32,
                                      .insecure = 1};

/* Primes two and two in a limb, whose root is theirs: its own root shows in no answer above. */
static const ckks_params_spec shared = {.log_n = 10,
                                        .base_bits = 22,
                                        .residual_levels = 5,
                                        .residual_bits = 24,
                                        .special_primes = 3,
                                        .special_bits = 48,
                                        .limb_bits = 50,
                                        .insecure = 1};

#define SLOTS 512

/* A packed limb as numbers of 4 or 8 bytes. */
static void hash_limb(XXH3_state_t *state, const void *limb, size_t n, unsigned width)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t word = ckks_packed_get(limb, width, i);
        uint32_t narrow = (uint32_t)word;
        if (width == 4)
            hash_numbers(state, &narrow, 1, sizeof narrow);
        else
            hash_numbers(state, &word, 1, sizeof word);
    }
}

static uint64_t keys_hash(const ring *r)
{
    XXH3_state_t state;
    XXH3_64bits_reset(&state);
    for (size_t k = 0; k < r->keys->count; k++) {
        const ckks_switch_key *key = &r->keys->key[k];
        XXH3_64bits_update(&state, key->seed, sizeof key->seed);
        unsigned index[CKKS_MAX_PRIMES],
            limbs = ckks_limb_list(r->context, key->request.q | key->request.p, index);
        for (unsigned d = 0; d < key->digits; d++)
            for (unsigned i = 0; i < limbs; i++)
                for (int part = 0; part < 2; part++)
                    hash_limb(&state, ckks_switch_key_limb(r->context, key, d, index[i], part),
                              r->n, r->context->modulus[index[i]].width);
    }
    return XXH3_64bits_digest(&state);
}

/* Values from integers alone. */
static void fill(ckks_complex *z, size_t count, uint32_t step)
{
    for (uint32_t i = 0; i < count; i++)
        z[i] = (ckks_complex){(double)(i * step % 1009) / 1009 - 0.5,
                              (double)(i * (step + 6) % 997) / 997 - 0.5};
}

static int diagonal(void *arg, unsigned block, int32_t offset, ckks_complex *values)
{
    (void)block;
    (void)arg;
    fill(values, 128, (uint32_t)(3 * offset + 200));
    return 0;
}

static ckks_lintrans *transform(ring *r, ckks_basis basis, int double_hoist)
{
    static const int32_t offset[] = {-9, -4, 0, 1, 2, 3, 17, 40, 41, 300};
    ckks_lintrans_spec s = {.basis = basis,
                            .special = r->special,
                            .count = 10,
                            .offset = offset,
                            .diagonal = diagonal,
                            .period = 128};
    s.plain_scale = 0x1p28;
    s.baby_step = 8;
    s.double_hoist = double_hoist;
    ckks_lintrans *lt;
    ck_assert_ok(ckks_lintrans_create(&lt, r->context, r->ws, &s));
    ck_assert_ok(ckks_lintrans_keys(lt, r->context, &r->list));
    return lt;
}

static ckks_polynomial *polynomial(ring *r, ckks_basis basis)
{
    double coeff[16 * 64];
    for (uint32_t i = 0; i < 16 * 64; i++) coeff[i] = (double)(i * 377 % 1021) / 8192 - 0.0625;
    ckks_basis out = basis;
    for (int k = 0; k < 4; k++) out &= ~ckks_basis_top(out);
    ckks_polynomial_spec s = {15, 64, coeff, basis, out, 0x1p28, 0x1p27};
    ckks_polynomial *pe;
    ck_assert_ok(ckks_polynomial_create(&pe, r->context, r->ws, &s));
    ck_assert_ok(ckks_polynomial_keys(pe, r->context, &r->list));
    return pe;
}

/* A ring with this test's seed. */
static void open_ring(ring *r, const ckks_params_spec *params, const char *isa)
{
    static const uint8_t seed[32] = "one seed, the same bits anywhere";
    ring_open(r, params, isa);
    ckks_rng_destroy(r->rng);
    ckks_secret_key_destroy(r->secret);
    ck_assert_ok(ckks_rng_create_seeded(&r->rng, seed));
    ck_assert_ok(ckks_secret_key_create(&r->secret, r->context, r->rng));
}

static void run_shared(uint64_t hash[STAGES], const char *isa)
{
    ring r;
    ckks_complex z[SLOTS];
    open_ring(&r, &shared, isa);
    ck_assert_uint_eq(ckks_limb_count(r.context, r.chain), 3);
    ring_request(&r, CKKS_KEY_RELINEARIZE, 0, r.chain, r.special);
    ring_request(&r, CKKS_KEY_ROTATE, 5, r.chain, r.special);
    ring_keys(&r);
    hash[SHARED_KEYS] = keys_hash(&r);
    fill(z, SLOTS, 131);
    ckks_ciphertext *x = encrypt(&r, z, SLOTS, 0x1p24, r.chain);
    hash[SHARED_ENCRYPT] = ciphertext_hash(x);
    ck_assert_ok(ckks_rotate(r.context, r.ws, r.keys, x, x, 5));
    hash[SHARED_ROTATE] = ciphertext_hash(x);
    /* a level that ends within a limb */
    ck_assert_ok(ckks_mul(r.context, r.ws, r.keys, x, x, x, 1));
    hash[SHARED_PRODUCT] = ciphertext_hash(x);
    ckks_ciphertext_destroy(x);
    ring_close(&r);
}

static void run(uint64_t hash[STAGES], const char *isa)
{
    ring r;
    open_ring(&r, &spec, isa);
    const ckks_context *c = r.context;
    ckks_basis basis =
        ckks_basis_base(r.params) | ckks_basis_stc(r.params) | ckks_basis_residual(r.params, 5);
    ckks_lintrans *single = transform(&r, basis, 0), *twice = transform(&r, basis, 1);
    ckks_polynomial *pe = polynomial(&r, basis);
    ckks_bootstrap *bs;
    ck_assert_ok(ckks_bootstrap_create(&bs, c, r.ws, 8, 0x1p28, 1));
    ck_assert_ok(ckks_bootstrap_keys(bs, c, &r.list));
    ring_request(&r, CKKS_KEY_RELINEARIZE, 0, r.chain, r.special);
    for (int k = 5; k <= 7; k++) ring_request(&r, CKKS_KEY_ROTATE, k, r.chain, r.special);
    ring_keys(&r);
    hash[SECRET] = XXH3_64bits(r.secret->coefficient, r.n);
    hash[KEYS] = keys_hash(&r);

    ckks_complex z[SLOTS];
    fill(z, SLOTS, 131);
    ckks_ciphertext *x = encrypt(&r, z, SLOTS, 0x1p28, basis), *y = new_ciphertext(&r);
    hash[ENCRYPT] = ciphertext_hash(x);
    ckks_public_key *pk;
    ckks_plaintext *plain = encode(&r, z, 64, 0x1p28, basis);
    ck_assert_ok(ckks_public_key_create(&pk, c, r.secret, basis, r.rng));
    ck_assert_ok(ckks_encrypt_public(c, r.ws, y, plain, pk, r.rng));
    hash[ENCRYPT_PUBLIC] = ciphertext_hash(y);
    ck_assert_ok(ckks_mul(c, r.ws, r.keys, y, x, y, 1));
    hash[PRODUCT] = ciphertext_hash(y);
    ck_assert_ok(ckks_rotate(c, r.ws, r.keys, y, y, 5));
    hash[ROTATE] = ciphertext_hash(y);
    ckks_ciphertext *both[2] = {new_ciphertext(&r), new_ciphertext(&r)};
    const int32_t by[2] = {6, 7};
    ck_assert_ok(ckks_rotate_hoisted(c, r.ws, r.keys, both, x, by, 2));
    hash[HOISTED] = ciphertext_hash(both[0]) ^ 31 * ciphertext_hash(both[1]);
    const ckks_lintrans *each[2] = {single, twice};
    ck_assert_ok(
        ckks_lintrans_apply(c, r.ws, r.keys, 2, each, both, x, basis & ~ckks_basis_top(basis)));
    hash[SINGLE] = ciphertext_hash(both[0]);
    hash[DOUBLE] = ciphertext_hash(both[1]);
    ck_assert_ok(ckks_polynomial_apply(c, r.ws, r.keys, pe, y, x));
    hash[POLYNOMIAL] = ciphertext_hash(y);
    double w[256];
    for (size_t i = 0; i < 256; i++) w[i] = z[i].re;
    bootstrap_slots(z, w, 256);
    ckks_ciphertext *in =
        encrypt(&r, z, 256, 0x1p28, ckks_basis_base(r.params) | ckks_basis_stc(r.params));
    ck_assert_ok(ckks_bootstrap_apply(c, r.ws, r.keys, bs, y, in, 3));
    hash[BOOTSTRAP] = ciphertext_hash(y);
    /* and it is right */
    decrypt(&r, z, y);
    for (size_t i = 0; i < SLOTS; i++)
        ck_assert_double_eq_tol(z[i].re, bootstrap_sine(w[i % 256], spec.eps), 0x1p-12);

    ckks_ciphertext *ct[] = {x, y, both[0], both[1], in};
    for (size_t i = 0; i < 5; i++) ckks_ciphertext_destroy(ct[i]);
    ckks_plaintext_destroy(plain);
    ckks_public_key_destroy(pk);
    ckks_lintrans_destroy(single);
    ckks_lintrans_destroy(twice);
    ckks_polynomial_destroy(pe);
    ckks_bootstrap_destroy(bs);
    ring_close(&r);
}

static void write_answers(const char *path, const uint64_t hash[STAGES])
{
    FILE *file = fopen(path, "w");
    ck_assert_msg(file != NULL, "cannot write %s", path);
    fprintf(file, "/* SPDX-License-Identifier: Apache-2.0 */\n/* Hashes of what one seed gives, "
                  "written by check_determinism.c. */\n");
    for (int s = 0; s < STAGES; s++) {
        fprintf(file, "STAGE(%s, \"%s\", 0x%016" PRIx64 ")\n", known[s].identifier, known[s].name,
                hash[s]);
        known[s].hash = hash[s];
    }
    ck_assert_int_eq(fclose(file), 0);
}

START_TEST(known_answers)
{
    const char *anew = getenv("FHOLA_TEST_ANSWERS");
    const ckks_kernel *tables[CKKS_MAX_KERNELS];
    uint64_t hash[STAGES];
    size_t count = ckks_kernel_list(tables);
    for (size_t k = 0; k < count; k++)
        for (int threads = 1; threads <= 3; threads++) {
            set_threads(threads);
            run(hash, tables[k]->name);
            run_shared(hash, tables[k]->name);
            if (anew && k == 0 && threads == 1) write_answers(anew, hash);
            int wrong = 0;
            for (int s = 0; s < STAGES; s++) wrong |= hash[s] != known[s].hash;
            for (int s = 0; wrong && s < STAGES; s++)
                printf("%c %-28s 0x%016" PRIx64 " %s, %d threads\n",
                       hash[s] == known[s].hash ? ' ' : '*', known[s].name, hash[s],
                       tables[k]->name, threads);
            fflush(stdout);
            for (int s = 0; s < STAGES; s++)
                ck_assert_msg(hash[s] == known[s].hash,
                              "%s, %d threads: %s is 0x%016" PRIx64 ", not 0x%016" PRIx64,
                              tables[k]->name, threads, known[s].name, hash[s], known[s].hash);
        }
}
END_TEST

static void add_tests(TCase *tcase)
{
    tcase_add_test(tcase, known_answers);
}

int main(void)
{
    test_seed(1);
    return test_run("determinism", add_tests, 200);
}
