/* SPDX-License-Identifier: Apache-2.0 */
/* Ciphertexts shrunk to a small ring: their values, the noise at full size against its formula, the
 * bound on the modulus, files, secrets that are each their own, and what is refused. */
#include "tests/container_support.h"

#include "ckks/scheme/params.h"

#define LOG_N      10u
#define SLOTS      512u
#define LOG_DEGREE 7u
#define PERIOD     16u
#define SCALE      0x1p36
#define BOUND      1e-6 /* errors are 2^-22 of the scale */
#define KEY        UINT64_C(77)

static ring open_toy(void)
{
    ring r;
    ckks_params_spec spec = shared_spec(LOG_N, 24, 5, 24);
    ring_open(&r, &spec, NULL);
    ring_request(&r, CKKS_KEY_SHRINK, LOG_DEGREE, 3, ckks_basis_special_for(r.params, 3));
    ring_request(&r, CKKS_KEY_RELINEARIZE, 0, 3, r.special);
    ring_request(&r, CKKS_KEY_ROTATE, 1, 3, r.special);
    ring_keys(&r);
    return r;
}

static ckks_ciphertext *shrunk(ring *r, const ckks_complex *z, size_t period)
{
    ckks_ciphertext *ct = encrypt(r, z, period, SCALE, 3);
    ck_assert_ok(ckks_ciphertext_set_label(ct, 5));
    ck_assert_ok(ckks_shrink(r->context, r->ws, r->keys, ct, ct, LOG_DEGREE, period));
    ck_assert_uint_eq(ckks_ciphertext_shrunk(ct).log_degree, LOG_DEGREE);
    ck_assert_uint_eq(ckks_ciphertext_shrunk(ct).period, period);
    ck_assert_uint_eq(ckks_ciphertext_label(ct), 5);
    ck_assert_double_eq(ckks_ciphertext_scale(ct), SCALE);
    return ct;
}

static void check_values(ring *r, const ckks_ciphertext *ct, const ckks_complex *z, size_t period)
{
    ckks_complex got[SLOTS];
    decrypt(r, got, ct);
    for (size_t s = 0; s < SLOTS; s += period)
        ck_assert_double_le(worst_difference(got + s, z, period), BOUND);
}

/* Loop index: the period. */
static const size_t periods[] = {4, PERIOD, 1u << (LOG_DEGREE - 1)};

START_TEST(values)
{
    ring r = open_toy();
    ckks_complex z[SLOTS];
    random_complex(z, SLOTS, 1);
    ckks_ciphertext *ct = shrunk(&r, z, periods[_i]);
    check_values(&r, ct, z, periods[_i]);
    ckks_ciphertext_destroy(ct);
    ring_close(&r);
}
END_TEST

/* What does not repeat is averaged. */
START_TEST(means)
{
    ring r = open_toy();
    ckks_complex z[2 * PERIOD], mean[PERIOD];
    random_complex(z, 2 * PERIOD, 1);
    for (size_t k = 0; k < PERIOD; k++) {
        mean[k] = c_add(z[k], z[k + PERIOD]);
        mean[k].re /= 2;
        mean[k].im /= 2;
    }
    ckks_ciphertext *ct = encrypt(&r, z, 2 * PERIOD, SCALE, 3);
    ck_assert_ok(ckks_shrink(r.context, r.ws, r.keys, ct, ct, LOG_DEGREE, PERIOD));
    check_values(&r, ct, mean, PERIOD);
    ckks_ciphertext_destroy(ct);
    ring_close(&r);
}
END_TEST

START_TEST(interleaved)
{
    ring r = open_toy();
    const ckks_interleaving shape = {PERIOD, 4};
    ckks_complex z[4][PERIOD];
    ckks_ciphertext *part[4], *all = new_ciphertext(&r), *one = new_ciphertext(&r);
    for (size_t k = 0; k < 4; k++) {
        random_complex(z[k], PERIOD, 1);
        part[k] = encrypt(&r, z[k], PERIOD, SCALE, 3);
    }
    ck_assert_ok(
        ckks_interleave(r.context, r.ws, all, (const ckks_ciphertext *const *)part, 4, shape));
    ck_assert_ok(ckks_shrink(r.context, r.ws, r.keys, all, all, LOG_DEGREE, 4 * PERIOD));
    for (size_t k = 0; k < 4; k++) {
        ckks_complex got[SLOTS], mean[PERIOD] = {{0, 0}};
        ck_assert_ok(ckks_interleaved_at(r.context, r.ws, one, all, k, shape));
        decrypt(&r, got, one);
        for (size_t s = 0; s < SLOTS; s++) {
            mean[s % PERIOD].re += got[s].re * PERIOD / SLOTS;
            mean[s % PERIOD].im += got[s].im * PERIOD / SLOTS;
        }
        ck_assert_double_le(worst_difference(mean, z[k], PERIOD), BOUND);
        ckks_ciphertext_destroy(part[k]);
    }
    ck_assert_fails(ckks_interleaved_at(r.context, r.ws, one, all, 0, (ckks_interleaving){8, 4}),
                    FHOLA_PARAM);
    ckks_ciphertext_destroy(all);
    ckks_ciphertext_destroy(one);
    ring_close(&r);
}
END_TEST

/* ---- full size ---- */

#define RUNS 8u

static double small_norm2(const ring *r, unsigned log_degree)
{
    ckks_secret_key *small;
    double sum = 0;
    ck_assert_ok(ckks_secret_key_small(&small, r->secret, log_degree));
    for (size_t j = 0; j < r->n; j++) sum += small->coefficient[j] * small->coefficient[j];
    ckks_secret_key_destroy(small);
    return sum;
}

/* The fresh error, the key's before the division by P, and what the division rounds, of which the
 * small ring's secret has less than the secret key. */
static double formula(const ring *r, ckks_basis basis, unsigned log_degree)
{
    const ckks_basis special = ckks_basis_special_for(r->params, basis);
    double key = (double)r->n * CKKS_ERROR_VARIANCE * pow(basis_product(r, basis), 2) / 12;
    return CKKS_ERROR_VARIANCE + key / pow(basis_product(r, special), 2) +
           (1 + small_norm2(r, log_degree)) / 12;
}

START_TEST(noise)
{
    ring r;
    ckks_params_spec spec = named_spec("R15");
    const double scale = 0x1p34;
    set_threads(0);
    ring_open(&r, &spec, NULL);
    const unsigned log_degree = ckks_shrunk_log_degree(r.params, 3, 16);
    const size_t period = (size_t)1 << (log_degree - 1);
    ck_assert_uint_eq(log_degree, 12);
    ring_request(&r, CKKS_KEY_SHRINK, (int32_t)log_degree, 3, ckks_basis_special_for(r.params, 3));
    ring_keys(&r);
    ckks_complex *z = calloc(2 * r.slots, sizeof *z), *got = z + r.slots;
    ck_assert_ptr_nonnull(z);
    double sum = 0;
    for (unsigned k = 0; k < RUNS; k++) {
        random_complex(z, period, 1);
        ckks_ciphertext *ct = encrypt(&r, z, period, scale, 3);
        ck_assert_ok(ckks_shrink(r.context, r.ws, r.keys, ct, ct, log_degree, period));
        decrypt(&r, got, ct);
        sum += pow(rms_difference(got, z, period) * scale, 2) / (double)(2 * period);
        ckks_ciphertext_destroy(ct);
    }
    assert_variance("shrinking", sum / RUNS, formula(&r, 3, log_degree),
                    (double)(RUNS * 2 * period), 1e-2);
    free(z);
    ring_close(&r);
}
END_TEST

/* Every named set: the degree holds the values, has 128-bit security, and half of it does not. */
START_TEST(degrees)
{
    const char *name;
    for (size_t i = 0; (name = ckks_params_name(i)) != NULL; i++)
        for (size_t period = 4; period <= 4096; period *= 32)
            for (ckks_basis basis = 1; basis <= 3; basis += 2) {
                ckks_params *p;
                ck_assert_ok(ckks_params_named(&p, name));
                unsigned log_degree = ckks_shrunk_log_degree(p, basis, period);
                ckks_basis special = ckks_basis_special_for(p, basis);
                ckks_key_request key = {CKKS_KEY_SHRINK, log_degree, basis, special};
                const ckks_key_list list = {&key, 1, 1};
                ck_assert_uint_ge((size_t)1 << log_degree, 2 * period);
                ck_assert_double_le(ckks_params_log2(p, basis | special),
                                    ckks_log2_cap(log_degree));
                ck_assert_ok(ckks_key_list_check(&list, p));
                key.rotation--;
                if ((size_t)1 << log_degree > 2 * period)
                    ck_assert_fails(ckks_key_list_check(&list, p), FHOLA_SECURITY);
                ckks_params_destroy(p);
            }
}
END_TEST

START_TEST(insecure_keys)
{
    ckks_params *p;
    ck_assert_ok(ckks_params_named(&p, "R15"));
    const ckks_basis special = ckks_basis_special(p), first = special & (~special + 1);
    const struct {
        ckks_key_request key;
        fhola_status status;
    } bad[] = {
        {{CKKS_KEY_SHRINK, 11, 3, first}, FHOLA_SECURITY},
        {{CKKS_KEY_SHRINK, 12, 3, special}, FHOLA_SECURITY},
        {{CKKS_KEY_SHRINK, 12, ckks_basis_chain(p), first}, FHOLA_SECURITY},
        {{CKKS_KEY_SHRINK, 2, 3, first}, FHOLA_KEY},
        {{CKKS_KEY_SHRINK, 16, 3, first}, FHOLA_KEY},
        {{CKKS_KEY_SHRINK, UINT32_MAX, 3, first}, FHOLA_KEY},
        {{CKKS_KEY_SHRINK, 12, 0, first}, FHOLA_KEY},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ckks_key_request key = bad[i].key;
        const ckks_key_list list = {&key, 1, 1};
        ck_assert_fails(ckks_key_list_check(&list, p), bad[i].status);
    }
    ckks_params_destroy(p);
}
END_TEST

/* ---- secrets ---- */

static size_t equal_coefficients(const ckks_secret_key *a, const ckks_secret_key *b, size_t gap)
{
    size_t equal = 0;
    for (size_t j = 0; j < a->context->n; j += gap) equal += a->coefficient[j] == b->coefficient[j];
    return equal;
}

/* Of the subring, a third of each value, and another one for every degree and secret key. */
START_TEST(secrets)
{
    ring r = open_toy();
    ckks_secret_key *other, *a, *b, *again, *of_other;
    const size_t gap = r.n >> LOG_DEGREE, degree = (size_t)1 << LOG_DEGREE;
    ck_assert_ok(ckks_secret_key_create(&other, r.context, r.rng));
    ck_assert_ok(ckks_secret_key_small(&a, r.secret, LOG_DEGREE));
    ck_assert_ok(ckks_secret_key_small(&again, r.secret, LOG_DEGREE));
    ck_assert_ok(ckks_secret_key_small(&b, r.secret, LOG_DEGREE + 1));
    ck_assert_ok(ckks_secret_key_small(&of_other, other, LOG_DEGREE));
    ck_assert_mem_eq(a->coefficient, again->coefficient, r.n);
    size_t nonzero = 0;
    for (size_t j = 0; j < r.n; j++) {
        nonzero += a->coefficient[j] != 0;
        if (j % gap) ck_assert_int_eq(a->coefficient[j], 0);
    }
    assert_variance("coefficients", (double)nonzero / (double)degree, 2.0 / 3, (double)degree, 0);
    const ckks_secret_key *const others[] = {r.secret, b, of_other};
    for (size_t k = 0; k < 3; k++) {
        /* a third of 128 agree by chance; the deviation is 5.3 */
        ck_assert_uint_lt(equal_coefficients(a, others[k], gap), degree / 3 + 32);
    }
    ckks_secret_key_destroy(other);
    ckks_secret_key_destroy(a);
    ckks_secret_key_destroy(b);
    ckks_secret_key_destroy(again);
    ckks_secret_key_destroy(of_other);
    ring_close(&r);
}
END_TEST

START_TEST(wrong_secret)
{
    ring r = open_toy();
    ckks_secret_key *other;
    ckks_complex z[PERIOD], got[PERIOD];
    random_complex(z, PERIOD, 1);
    ckks_ciphertext *ct = shrunk(&r, z, PERIOD);
    ck_assert_ok(ckks_secret_key_create(&other, r.context, r.rng));
    ck_assert_ok(ckks_decrypt(r.context, r.ws, got, PERIOD, ct, other));
    ck_assert_double_gt(rms_difference(got, z, PERIOD), 1000);
    ckks_secret_key_destroy(other);
    ckks_ciphertext_destroy(ct);
    ring_close(&r);
}
END_TEST

/* ---- files ---- */

static bytes write_ciphertext(const ring *r, const ckks_ciphertext *ct)
{
    memory_writer m;
    memory_open(&m);
    ck_assert_ok(ckks_writer_begin(m.writer, CKKS_FILE_CIPHERTEXT, r->params, KEY));
    ck_assert_ok(ckks_ciphertext_write(m.writer, ct));
    ck_assert_ok(ckks_writer_end(m.writer));
    return memory_close(&m);
}

static fhola_status read_ciphertext(const ring *r, ckks_ciphertext *ct, bytes b)
{
    limited s;
    FILE *stream;
    ckks_reader *reader = bytes_reader(b, &s, &stream);
    ck_assert_ok(ckks_reader_begin(reader, NULL, CKKS_FILE_CIPHERTEXT, r->context, KEY));
    fhola_status status = ckks_ciphertext_read(ct, r->context, reader);
    if (status == FHOLA_OK) status = ckks_reader_finish(reader);
    ckks_reader_destroy(reader);
    fclose(stream);
    return status;
}

START_TEST(file)
{
    ring r = open_toy();
    ckks_complex z[PERIOD];
    random_complex(z, PERIOD, 1);
    ckks_ciphertext *ct = shrunk(&r, z, PERIOD), *got = new_ciphertext(&r);
    bytes b = write_ciphertext(&r, ct);
    const unsigned bits = r.context->modulus[ct->poly->modulus[0]].bits;
    size_t coefficients = (1u << LOG_DEGREE) + 2 * PERIOD, packed = coefficients * bits / 8 + 32;
    ck_assert_uint_eq(ckks_get64(b.data + chunk_at(b, 0, 1) + 8), packed);
    ck_assert_ok(read_ciphertext(&r, got, b));
    ck_assert_uint_eq(ciphertext_hash(got), ciphertext_hash(ct));
    ck_assert_uint_eq(ckks_ciphertext_shrunk(got).period, PERIOD);
    ck_assert_uint_eq(ckks_ciphertext_shrunk(got).log_degree, LOG_DEGREE);
    ck_assert_uint_eq(ckks_ciphertext_label(got), 5);
    check_values(&r, got, z, PERIOD);
    free(b.data);
    ckks_ciphertext_destroy(ct);
    ckks_ciphertext_destroy(got);
    ring_close(&r);
}
END_TEST

static void refused_file(const ring *r, bytes b, const char *says)
{
    ckks_ciphertext *got = new_ciphertext(r);
    ck_assert_fails(read_ciphertext(r, got, b), FHOLA_FORMAT);
    ck_assert_detail(says);
    ck_assert_uint_eq(ckks_ciphertext_basis(got), 0);
    ckks_ciphertext_destroy(got);
}

START_TEST(damaged_files)
{
    ring r = open_toy();
    ckks_complex z[PERIOD];
    random_complex(z, PERIOD, 1);
    ckks_ciphertext *ct = shrunk(&r, z, PERIOD);
    const bytes good = write_ciphertext(&r, ct);
    const struct {
        size_t at;
        uint32_t value;
        const char *says;
    } bad[] = {
        {16, 3, "unknown form 3"},
        {16, 1, "the length is"},
        {16, 0, "the length is"},
        {24, LOG_N + 1, "shrunk to the degree 2^11"},
        {24, 2, "shrunk to the degree 2^2"},
        {24, UINT32_MAX, "shrunk to the degree"},
        {24, LOG_DEGREE + 1, "the length is"},
        {28, LOG_DEGREE, "2^7 slots"},
        {28, 1, "2^1 slots"},
        {28, UINT32_MAX, "slots of a ciphertext shrunk"},
        {28, 5, "the length is"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        bytes b = bytes_copy(good);
        ckks_put32(chunk_content(b, 1) + bad[i].at, bad[i].value);
        fix_chunk(b, 1);
        refused_file(&r, b, bad[i].says);
        free(b.data);
    }
    bytes b = bytes_copy(good);
    memset(chunk_content(b, 1) + 32 + 60, 0xff, 20);
    refused_file(&r, b, "checksum");
    fix_chunk(b, 1);
    refused_file(&r, b, "not below their prime");
    /* a head that is cut within */
    unsigned char *head = b.data + chunk_at(b, 0, 1);
    ckks_put64(head + 8, 28);
    fix_chunk(b, 1);
    refused_file(&r, b, "4 bytes for a shrunk ciphertext");
    free(b.data);
    free(good.data);
    ckks_ciphertext_destroy(ct);
    ring_close(&r);
}
END_TEST

/* ---- what is refused ---- */

START_TEST(refused)
{
    ring r = open_toy(), other = open_toy();
    const ckks_context *c = r.context;
    ckks_complex z[PERIOD];
    random_complex(z, PERIOD, 1);
    ckks_ciphertext *ct = shrunk(&r, z, PERIOD), *whole = encrypt(&r, z, PERIOD, SCALE, 3),
                    *high = encrypt(&r, z, PERIOD, SCALE, r.chain), *out = new_ciphertext(&r),
                    *empty = new_ciphertext(&r);
    const uint64_t hash = ciphertext_hash(whole);
    /* a shrunk one is good for nothing else */
    ck_assert_fails(ckks_add(c, out, ct, ct), FHOLA_KEY);
    ck_assert_fails(ckks_add(c, out, whole, ct), FHOLA_KEY);
    ck_assert_fails(ckks_mul(c, r.ws, r.keys, out, ct, ct, 0), FHOLA_KEY);
    ck_assert_fails(ckks_rotate(c, r.ws, r.keys, out, ct, 1), FHOLA_KEY);
    ck_assert_fails(ckks_rescale(c, r.ws, out, ct, 1), FHOLA_KEY);
    ck_assert_fails(ckks_sanitize(c, r.ws, ct, PERIOD, r.keys, 100, r.rng), FHOLA_KEY);
    ck_assert_fails(ckks_shrink(c, r.ws, r.keys, out, ct, LOG_DEGREE, PERIOD), FHOLA_KEY);
    ck_assert_fails(ckks_ciphertext_set_scale(ct, 1), FHOLA_KEY);
    ck_assert_fails(ckks_ciphertext_set_period(ct, 1), FHOLA_KEY);
    /* no such key, or no such ring */
    ck_assert_fails(ckks_shrink(c, r.ws, r.keys, out, whole, LOG_DEGREE + 1, PERIOD), FHOLA_KEY);
    ck_assert_fails(ckks_shrink(c, r.ws, r.keys, out, high, LOG_DEGREE, PERIOD), FHOLA_KEY);
    ck_assert_fails(ckks_shrink(c, r.ws, other.keys, out, whole, LOG_DEGREE, PERIOD), FHOLA_KEY);
    ck_assert_fails(ckks_shrink(c, other.ws, r.keys, out, whole, LOG_DEGREE, PERIOD), FHOLA_PARAM);
    ck_assert_fails(ckks_shrink(c, r.ws, r.keys, out, empty, LOG_DEGREE, PERIOD), FHOLA_LEVEL);
    const size_t bad[] = {0, 1, 2, 3, 12, 1u << LOG_DEGREE, SIZE_MAX};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_fails(ckks_shrink(c, r.ws, r.keys, whole, whole, LOG_DEGREE, bad[i]),
                        FHOLA_PARAM);
    ck_assert_fails(ckks_shrink(c, r.ws, r.keys, whole, whole, LOG_N + 1, PERIOD), FHOLA_PARAM);
    ck_assert_uint_eq(ciphertext_hash(whole), hash);
    ck_assert_uint_eq(ckks_ciphertext_basis(out), 0);
    check_values(&r, ct, z, PERIOD);
    ckks_ciphertext_destroy(ct);
    ckks_ciphertext_destroy(whole);
    ckks_ciphertext_destroy(high);
    ckks_ciphertext_destroy(out);
    ckks_ciphertext_destroy(empty);
    ring_close(&other);
    ring_close(&r);
}
END_TEST

static void add_tests(TCase *tcase)
{
    tcase_add_loop_test(tcase, values, 0, (int)(sizeof periods / sizeof *periods));
    tcase_add_test(tcase, means);
    tcase_add_test(tcase, interleaved);
    tcase_add_test(tcase, noise);
    tcase_add_test(tcase, degrees);
    tcase_add_test(tcase, insecure_keys);
    tcase_add_test(tcase, secrets);
    tcase_add_test(tcase, wrong_secret);
    tcase_add_test(tcase, file);
    tcase_add_test(tcase, damaged_files);
    tcase_add_test(tcase, refused);
}

int main(void)
{
    test_seed(0);
    return test_run("shrink", add_tests, 120);
}
