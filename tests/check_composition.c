/* SPDX-License-Identifier: Apache-2.0 */
/* Encrypted activations made of several polynomials, against the same polynomials in double
 * precision and against ReLU; what is refused. */
#include "nn/encrypted/composition.h"

#include "nn/graph/model_io.h"
#include "tests/support.h"

#define PERIOD 8
#define LEVELS 14u

static ring r;
static ola_composite sign;
static double width[PERIOD], coeff[16 * PERIOD];
static nn_activation plain;

/* Factor: half of width[c] times x, with a little of T_3 to tell degrees apart. */
static void set_up(unsigned degree, ola_composite *s)
{
    memset(coeff, 0, sizeof coeff);
    for (unsigned c = 0; c < PERIOD; c++) {
        width[c] = 0.5 + 0.05 * c;
        coeff[PERIOD + c] = width[c] / 2;
        if (degree >= 3) coeff[3 * PERIOD + c] = 0.01 * c;
    }
    plain = (nn_activation){.degree = degree, .channels = PERIOD, .coeff = coeff, .sign = s};
}

static nn_composition_spec spec_of(unsigned degree)
{
    return (nn_composition_spec){.sign = &sign,
                                 .degree = degree,
                                 .period = PERIOD,
                                 .coeff = coeff,
                                 .basis_in = r.chain,
                                 .scale_in = exp2(40) * 1.01,
                                 .scale_out = exp2(40)};
}

static void open_ring(void)
{
    ckks_params_spec spec = flat_spec(10, 48, LEVELS, 40);
    ring_open(&r, &spec, NULL);
    for (ckks_basis basis = r.chain; ckks_basis_count(basis) > 1; basis &= ~ckks_basis_top(basis))
        ring_request(&r, CKKS_KEY_RELINEARIZE, 0, basis, r.special);
    ring_keys(&r);
}

/* Degrees of the composition, of the factor. */
static const struct {
    unsigned count, degree[3], factor;
    double alpha;
} cases[] = {{3, {15, 15, 27}, 7, 13},
             {3, {15, 15, 27}, 1, 13},
             {2, {7, 15, 0}, 3, 7},
             {1, {3, 0, 0}, 1, 2}};

START_TEST(against_plain)
{
    unsigned depth = 1;
    ck_assert_ok(ola_composite_relu(&sign, cases[_i].degree, cases[_i].count, cases[_i].alpha));
    open_ring();
    set_up(cases[_i].factor, &sign);
    for (unsigned k = 0; k < cases[_i].count; k++) depth += ola_depth(cases[_i].degree[k]);
    ck_assert_uint_eq(nn_activation_depth(&plain), depth);
    nn_composition_spec spec = spec_of(cases[_i].factor);
    nn_composition *n = NULL;
    ck_assert_ok(nn_composition_create(&n, r.context, r.ws, &spec));
    ck_assert_uint_gt(nn_composition_bytes(n), 0);
    ckks_complex *x = malloc(3 * r.slots * sizeof *x), *want = x + r.slots, *got = want + r.slots;
    ck_assert(x);
    for (size_t s = 0; s < r.slots; s++)
        x[s] = (ckks_complex){s % 3 ? random_unit() : random_unit() * exp2(-14), 0};
    ckks_ciphertext *in = encrypt(&r, x, r.slots, spec.scale_in, r.chain),
                    *out = new_ciphertext(&r);
    ck_assert_ok(nn_composition_apply(r.context, r.ws, r.keys, n, out, in));
    ck_assert_uint_eq(ckks_basis_count(ckks_ciphertext_basis(out)), LEVELS + 1 - depth);
    ck_assert_double_eq_tol(ckks_ciphertext_scale(out) / spec.scale_out, 1, 1e-9);
    decrypt(&r, got, out);
    double relu = 0;
    for (size_t s = 0; s < r.slots; s++) {
        unsigned c = s % PERIOD;
        want[s] = (ckks_complex){nn_activation_eval(&plain, c, x[s].re), 0};
        if (cases[_i].factor == 1)
            relu = fmax(relu, fabs(want[s].re / width[c] - fmax(x[s].re, 0)));
    }
    printf("case %d: RMS 2^%.2f, worst 2^%.2f; from ReLU 2^%.2f\n", _i,
           log2(rms_difference(got, want, r.slots)), log2(worst_difference(got, want, r.slots)),
           log2(relu));
    /* recorded: 2^-31.1 at most */
    ck_assert_double_le(rms_difference(got, want, r.slots), 0x1p-30);
    ck_assert_double_le(relu, exp2(-cases[_i].alpha));
    ckks_ciphertext_destroy(in);
    ckks_ciphertext_destroy(out);
    nn_composition_destroy(n);
    free(x);
    ring_close(&r);
}
END_TEST

START_TEST(refusals)
{
    static const unsigned degree = 3;
    nn_composition *n = NULL;
    ck_assert_ok(ola_composite_relu(&sign, &degree, 1, 1));
    open_ring();
    set_up(7, &sign);
    nn_composition_spec spec = spec_of(7); /* three levels beside two */
    ck_assert_fails(nn_composition_create(&n, r.context, r.ws, &spec), FHOLA_PARAM);
    spec = spec_of(3);
    /* no level for the product is left below */
    spec.basis_in = ckks_basis_base(r.params) | ckks_basis_residual(r.params, 2);
    ck_assert_fails(nn_composition_create(&n, r.context, r.ws, &spec), FHOLA_LEVEL);
    ck_assert_ptr_null(n);

    spec = spec_of(3);
    ck_assert_ok(nn_composition_create(&n, r.context, r.ws, &spec));
    ckks_complex zero = {0, 0};
    ckks_ciphertext *in = encrypt(&r, &zero, 1, 2 * spec.scale_in, r.chain),
                    *out = new_ciphertext(&r);
    ck_assert_fails(nn_composition_apply(r.context, r.ws, r.keys, n, out, in), FHOLA_SCALE);
    ckks_ciphertext_destroy(in);
    ckks_ciphertext_destroy(out);
    nn_composition_destroy(n);
    nn_composition_destroy(NULL);
    ring_close(&r);
}
END_TEST

static void add_tests(TCase *tcase)
{
    tcase_add_loop_test(tcase, against_plain, 0, 4);
    tcase_add_test(tcase, refusals);
}

int main(void)
{
    test_seed(0);
    return test_run("composition", add_tests, 120);
}
