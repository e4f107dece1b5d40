/* SPDX-License-Identifier: Apache-2.0 */
/* Bootstrapping at full size. Set R15: n = 2^14, 2^13, 2^12, all numbers of residual levels, and
 * four in a row; RMS errors in units of the range, held against 2^-12.0; the fourth in a row within
 * 0.3 bit of the first. Set R16: 2^14 real values, half as many as there are slots, and complex
 * ones in all slots, held against 2^-20. */
#include "tests/support.h"

#define LOG_MOST 14u
#define BOUND    12.0
#define BOUND_16 20.0

static ring r;
static double eps;

static double seconds(void)
{
    const ckks_bootstrap_times *t = ckks_workspace_times(r.ws);
    return t->slots_to_coeffs + t->switch_to_sparse + t->coeffs_to_slots + t->eval_mod;
}

static void sines(ckks_complex *want, const double *w, size_t n)
{
    for (size_t s = 0; s < r.slots; s++) want[s] = (ckks_complex){bootstrap_sine(w[s % n], eps), 0};
}

/* Bootstraps z, repeated in blocks of n, and compares with `want` in all slots: the RMS error in
 * bits. */
static double compare(const ckks_bootstrap *bs, ckks_complex *z, const ckks_complex *want, size_t n,
                      unsigned levels)
{
    double before = seconds();
    ckks_ciphertext *ct = encrypt(&r, z, n, ckks_bootstrap_scale_in(bs),
                                  ckks_basis_base(r.params) | ckks_basis_stc(r.params));
    ck_assert_ok(ckks_bootstrap_apply(r.context, r.ws, r.keys, bs, ct, ct, levels));
    decrypt(&r, z, ct);
    double bits = -log2(rms_difference(z, want, r.slots));
    printf("n = %zu, %u residual levels: RMS 2^-%.2f, worst 2^%.2f, %.2f s\n", n, levels, bits,
           log2(worst_difference(z, want, r.slots)), seconds() - before);
    fflush(stdout);
    ckks_ciphertext_destroy(ct);
    return bits;
}

/* One bootstrap of fresh random values: its RMS error in bits. */
static double once(const ckks_bootstrap *bs, unsigned log_n, unsigned levels)
{
    size_t n = (size_t)1 << log_n;
    double *w = malloc(n * sizeof *w);
    ckks_complex *z = malloc(2 * r.slots * sizeof *z), *want = z + r.slots;
    ck_assert(w && z);
    for (size_t s = 0; s < n; s++) w[s] = random_unit();
    bootstrap_slots(z, w, n);
    sines(want, w, n);
    double bits = compare(bs, z, want, n, levels);
    free(w);
    free(z);
    return bits;
}

/* What the merge and the trace make of a ciphertext's slots: errors of a half's unused component
 * join the other half, copies are averaged. */
static void effective_input(double *w, const ckks_complex *z, size_t n)
{
    size_t half = n / 2;
    memset(w, 0, n * sizeof *w);
    for (size_t s = 0; s < r.slots; s++) {
        w[s % half] += z[s].re * (double)n / (double)r.slots;
        w[s % half + half] += z[s].im * (double)n / (double)r.slots;
    }
}

/* Bootstrap, multiply by the mask (1 | i), back to the input's level and scale, again. Each error
 * is that of one bootstrap: against the sine of what its input stands for. The sum of all is
 * printed besides. */
static void four_in_a_row(const ckks_bootstrap *bs, unsigned log_n)
{
    enum { ROUNDS = 4 };
    size_t n = (size_t)1 << log_n;
    double *w = malloc(2 * n * sizeof *w), *whole = w + n, bits[ROUNDS];
    ckks_complex *z = malloc(2 * r.slots * sizeof *z), *want = z + r.slots,
                 *mask = malloc(n * sizeof *mask);
    ckks_basis input = ckks_basis_base(r.params) | ckks_basis_stc(r.params),
               top = ckks_basis_residual(r.params, 1);
    ck_assert(w && z && mask);
    for (size_t s = 0; s < n; s++) {
        whole[s] = random_unit();
        w[s] = 1;
    }
    bootstrap_slots(mask, w, n);
    double plain_scale =
        ckks_bootstrap_scale_in(bs) * basis_product(&r, top) / ckks_bootstrap_scale_out(bs);
    ckks_plaintext *plain = encode(&r, mask, n, plain_scale, input | top);
    bootstrap_slots(z, whole, n);
    ckks_ciphertext *ct = encrypt(&r, z, n, ckks_bootstrap_scale_in(bs), input);
    for (int round = 0; round < ROUNDS; round++) {
        decrypt(&r, z, ct);
        effective_input(w, z, n);
        for (size_t s = 0; s < n; s++) whole[s] = bootstrap_sine(whole[s], eps);
        ck_assert_ok(ckks_bootstrap_apply(r.context, r.ws, r.keys, bs, ct, ct, 1));
        decrypt(&r, z, ct);
        sines(want, w, n);
        bits[round] = -log2(rms_difference(z, want, r.slots));
        for (size_t s = 0; s < r.slots; s++) want[s] = (ckks_complex){whole[s % n], 0};
        printf("n = 2^%u, number %d in a row: RMS 2^-%.2f, with those before 2^%.2f\n", log_n,
               round + 1, bits[round], log2(rms_difference(z, want, r.slots)));
        fflush(stdout);
        ck_assert_double_ge(bits[round], BOUND);
        ck_assert_ok(ckks_mul_plain(r.context, ct, ct, plain));
        ck_assert_ok(ckks_rescale(r.context, r.ws, ct, ct, input));
    }
    /* Better, if anything: the sine makes values smaller each time, and part of the error is in
     * proportion to them. */
    ck_assert_double_ge(bits[ROUNDS - 1], bits[0] - 0.3);
    ckks_plaintext_destroy(plain);
    ckks_ciphertext_destroy(ct);
    free(w);
    free(z);
    free(mask);
}

START_TEST(full_size)
{
    ckks_params_spec spec = named_spec("R15");
    ckks_bootstrap *bs[3];
    eps = spec.eps;
    set_threads(0);
    ring_open(&r, &spec, NULL);
    for (unsigned k = 0; k < 3; k++) {
        ck_assert_ok(
            ckks_bootstrap_create(&bs[k], r.context, r.ws, LOG_MOST - k, exp2(spec.scale_bits), 1));
        ck_assert_ok(ckks_bootstrap_keys(bs[k], r.context, &r.list));
    }
    ring_keys(&r);
    printf("%s, %zu keys of %.2f GiB\n", ckks_context_isa(r.context), r.list.count,
           (double)ckks_eval_keys_bytes(r.keys) * 0x1p-30);
    for (unsigned k = 0; k < 3; k++)
        for (unsigned levels = 2; levels <= spec.residual_levels; levels++)
            ck_assert_double_ge(once(bs[k], LOG_MOST - k, levels), BOUND);
    for (unsigned k = 0; k < 3; k++) four_in_a_row(bs[k], LOG_MOST - k);
    for (unsigned k = 0; k < 3; k++) ckks_bootstrap_destroy(bs[k]);
    ring_close(&r);
}
END_TEST

/* A bootstrap of set R16 in a ring of its own: two sets of keys at once would take 6 GiB. */
static void open_16(ckks_bootstrap **bs, ckks_params_spec *spec, int complex_values)
{
    *spec = named_spec("R16");
    eps = spec->eps;
    set_threads(0);
    ring_open(&r, spec, NULL);
    double scale = exp2(spec->scale_bits);
    ck_assert_ok(complex_values
                     ? ckks_bootstrap_create_complex(bs, r.context, r.ws, spec->log_n - 1, scale, 1)
                     : ckks_bootstrap_create(bs, r.context, r.ws, LOG_MOST, scale, 1));
    ck_assert_ok(ckks_bootstrap_keys(*bs, r.context, &r.list));
    ring_keys(&r);
    printf("R16, %zu keys of %.2f GiB\n", r.list.count,
           (double)ckks_eval_keys_bytes(r.keys) * 0x1p-30);
}

START_TEST(deep_set_real)
{
    ckks_bootstrap *bs;
    ckks_params_spec spec;
    open_16(&bs, &spec, 0);
    ck_assert_double_ge(once(bs, LOG_MOST, spec.residual_levels), BOUND_16);
    ck_assert_double_ge(once(bs, LOG_MOST, 2), BOUND_16);
    ckks_bootstrap_destroy(bs);
    ring_close(&r);
}
END_TEST

START_TEST(deep_set_complex_in_all_slots)
{
    ckks_bootstrap *bs;
    ckks_params_spec spec;
    open_16(&bs, &spec, 1);
    ckks_complex *z = malloc(2 * r.slots * sizeof *z), *want = z + r.slots;
    ck_assert_ptr_nonnull(z);
    random_complex(z, r.slots, 1);
    for (size_t s = 0; s < r.slots; s++)
        want[s] = (ckks_complex){bootstrap_sine(z[s].re, eps), bootstrap_sine(z[s].im, eps)};
    ck_assert_double_ge(compare(bs, z, want, r.slots, spec.residual_levels), BOUND_16);
    free(z);
    ckks_bootstrap_destroy(bs);
    ring_close(&r);
}
END_TEST

static void add_tests(TCase *tcase)
{
    tcase_add_test(tcase, full_size);
    tcase_add_test(tcase, deep_set_real);
    tcase_add_test(tcase, deep_set_complex_in_all_slots);
}

int main(void)
{
    test_seed(0);
    return test_run("long_bootstrap", add_tests, 3600);
}
