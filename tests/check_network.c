/* SPDX-License-Identifier: Apache-2.0 */
/* Compiling: bases, scales and the list of keys of a small network at R15, what is refused, the
 * client's side, and one encrypted layer (convolution with the stage change beside it, polynomial)
 * against the plain computation. */
#include "nn/encrypted/network.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/small_network.h"

static uint64_t seed;
static ckks_params *params;
static ckks_context *context;
static ckks_workspace *workspace;

static void set_up_with(const ckks_params_spec *spec)
{
    ck_assert_int_eq(ckks_params_create(&params, spec), FHOLA_OK);
    ck_assert_int_eq(ckks_context_create(&context, params, NULL), FHOLA_OK);
    ck_assert_int_eq(ckks_workspace_create(&workspace, context), FHOLA_OK);
}

static ckks_params_spec r15(void)
{
    ckks_params_spec spec;
    ck_assert_int_eq(ckks_params_spec_named(&spec, "R15"), FHOLA_OK);
    return spec;
}

static void set_up(void)
{
    ckks_params_spec spec = r15();
    set_up_with(&spec);
}

static void tear_down(void)
{
    ckks_workspace_destroy(workspace);
    ckks_context_destroy(context);
    ckks_params_destroy(params);
    workspace = NULL;
    context = NULL;
    params = NULL;
}

static int requests_rotation(const ckks_key_list *keys, uint32_t rotation, ckks_basis basis)
{
    for (size_t i = 0; i < keys->count; i++)
        if (keys->request[i].kind == CKKS_KEY_ROTATE && keys->request[i].rotation == rotation &&
            keys->request[i].q == basis)
            return 1;
    return 0;
}

/* Every rotation a linear layer makes has its key at the layer's own level. */
static void check_linear_keys(const nn_network *n, const nn_linear *l, ckks_basis basis)
{
    for (size_t i = 0; i < l->count; i++) {
        uint32_t d = (uint32_t)l->offset[i], baby = d % l->baby_step, giant = d - baby;
        if (baby) ck_assert(requests_rotation(&n->keys, baby, basis));
        if (giant) ck_assert(requests_rotation(&n->keys, giant, basis));
    }
}

START_TEST(dry_run)
{
    small_network s;
    nn_network *n = NULL;
    set_up();
    small_network_init(&s, 1, 10, _i, seed);
    ck_assert_int_eq(nn_network_create(&n, context, workspace, &s.model, &s.plan, 0), FHOLA_OK);
    ck_assert_uint_eq(nn_network_layers(n), 7);
    ck_assert_uint_eq(nn_network_bytes(n), 0);
    ckks_basis stc = ckks_basis_base(params) | ckks_basis_stc(params),
               conv = stc | ckks_basis_residual(params, 1);
    ck_assert_uint_eq(n->bootstrap_basis, stc);
    ck_assert_uint_eq(n->convolution_basis, conv);
    ck_assert_uint_eq(ckks_basis_count(n->score_basis), 2);
    for (size_t i = 0; i < n->count; i++) {
        nn_recipe *r = &n->schedule.layer[i];
        check_linear_keys(n, &r->linear, conv);
        if (r->opens && r->stage_change) check_linear_keys(n, &r->shortcut, conv);
        ck_assert_uint_eq(n->layer[i].residual_levels,
                          1 + ckks_polynomial_depth(s.plan.activations[i].degree));
        nn_linear_cost cost = nn_network_linear_cost(n, i, 0);
        ck_assert_uint_eq(cost.diagonals, r->linear.count);
        ck_assert_uint_eq(nn_network_linear_cost(n, i, 1).diagonals != 0, i == 3 || i == 5);
    }
    check_linear_keys(n, &n->schedule.scores, n->score_input_basis);
    for (uint32_t k = 16; k < 4096; k *= 2)
        ck_assert(requests_rotation(&n->keys, k, n->score_basis));
    for (size_t i = 0; i < n->keys.count; i++)
        for (size_t k = 0; k < i; k++) {
            ckks_key_request a = n->keys.request[i], b = n->keys.request[k];
            ck_assert(a.kind != b.kind || a.rotation != b.rotation || a.q != b.q || a.p != b.p);
        }
    const nn_client *client = nn_network_client(n);
    ck_assert_uint_eq(nn_client_keys(client)->count, n->keys.count);
    ck_assert_uint_eq(nn_client_classes(client), 10);
    ck_assert_str_eq(nn_client_class(client, 2), "c");
    printf("%zu keys\n", n->keys.count);

    ckks_ciphertext *x = NULL;
    ck_assert_int_eq(ckks_ciphertext_create(&x, context), FHOLA_OK);
    ck_assert_int_eq(nn_infer(context, workspace, x, n, NULL, x, NULL), FHOLA_PARAM);
    ckks_ciphertext_destroy(x);
    nn_network_destroy(n);
    small_network_clear(&s);
    tear_down();
}
END_TEST

static void refuse(small_network *s, const char *word)
{
    nn_network *n = NULL;
    ck_assert_int_eq(nn_network_create(&n, context, workspace, &s->model, &s->plan, 0),
                     FHOLA_PARAM);
    ck_assert_ptr_null(n);
    ck_assert_msg(strstr(fhola_detail(), word) != NULL, "\"%s\" does not mention \"%s\"",
                  fhola_detail(), word);
}

START_TEST(refusals)
{
    small_network s;
    small_network_init(&s, 1, 10, 0, seed);
    set_up();
    s.plan.eps = 0;
    refuse(&s, "eps");
    s.plan.eps = SMALL_EPS;
    tear_down();

    ckks_params_spec spec = r15();
    spec.residual_levels = 4;
    set_up_with(&spec);
    refuse(&s, "residual");
    tear_down();

    spec = r15();
    spec.log_n = 14;
    spec.insecure = 1;
    set_up_with(&spec);
    refuse(&s, "slots");
    tear_down();

    spec = (ckks_params_spec){.log_n = 15,
                              .base_bits = 40,
                              .residual_levels = 5,
                              .residual_bits = 28,
                              .special_primes = 2,
                              .special_bits = 48};
    set_up_with(&spec);
    refuse(&s, "bootstrap");
    tear_down();
    small_network_clear(&s);
}
END_TEST

START_TEST(pictures)
{
    small_network s;
    nn_network *n = NULL;
    static double rgb[3072];
    static ckks_complex values[4096];
    set_up();
    small_network_init(&s, 1, 10, 0, seed);
    ck_assert_int_eq(nn_network_create(&n, context, workspace, &s.model, &s.plan, 0), FHOLA_OK);
    for (unsigned i = 0; i < 3072; i++) rgb[i] = (i % 3) / 2.0;
    const nn_client *client = nn_network_client(n);
    ck_assert_uint_eq(nn_client_input_values(client), 4096);
    nn_encode_picture(values, client, rgb);
    double largest = 0;
    for (unsigned i = 0; i < 3072; i++) {
        double v = (rgb[i] - s.model.mean[i / 1024]) / s.model.std[i / 1024];
        ck_assert_double_eq_tol(values[i].re * client->input_bound, v, 1e-12);
        largest = fmax(largest, fabs(values[i].re));
    }
    for (unsigned i = 3072; i < 4096; i++) ck_assert_double_eq(values[i].re, 0);
    ck_assert_double_le(largest, 1);
    ck_assert_double_ge(largest, 0.999);
    nn_network_destroy(n);
    small_network_clear(&s);
    tear_down();
}
END_TEST

/* ---- one encrypted layer, without a bootstrap ---- */

typedef struct layer_test {
    ckks_basis conv, out;
    ckks_rng *rng;
    ckks_secret_key *secret;
    ckks_eval_keys *keys;
    ckks_lintrans *linear, *shortcut;
} layer_test;

static void compile_transform(layer_test *t, ckks_lintrans **out, nn_linear *l, ckks_key_list *keys)
{
    ckks_lintrans_spec spec = {.basis = t->conv,
                               .special = ckks_basis_special_for(params, t->conv),
                               .count = l->count,
                               .offset = l->offset,
                               .diagonal = nn_linear_diagonal,
                               .arg = l,
                               .period = l->period,
                               .plain_scale = 0x1p28,
                               .baby_step = l->baby_step};
    ck_assert_int_eq(ckks_lintrans_create(out, context, workspace, &spec), FHOLA_OK);
    ck_assert_int_eq(ckks_lintrans_keys(*out, context, keys), FHOLA_OK);
}

static void encrypt_tensor(layer_test *t, ckks_ciphertext *out, nn_layout layout,
                           const double *tensor)
{
    ckks_plaintext *plain = NULL;
    ckks_complex *values = calloc(layout.slots, sizeof *values);
    ck_assert_ptr_nonnull(values);
    for (uint32_t s = 0; s < layout.slots; s++) {
        nn_place p = nn_layout_place(layout, s);
        values[s].re = tensor[(p.channel * layout.side + p.y) * layout.side + p.x];
    }
    ck_assert_int_eq(ckks_plaintext_create(&plain, context), FHOLA_OK);
    ck_assert_int_eq(ckks_encode(context, workspace, plain, values, layout.slots, 0x1p28, t->conv),
                     FHOLA_OK);
    ck_assert_int_eq(ckks_encrypt(context, workspace, out, plain, t->secret, t->rng), FHOLA_OK);
    ckks_plaintext_destroy(plain);
    free(values);
}

/* Log2 of the RMS difference of a ciphertext from a tensor, once its halves are added and its
 * copies averaged. */
static double error_of(layer_test *t, const ckks_ciphertext *x, nn_layout layout,
                       const double *tensor)
{
    size_t slots = ckks_slots(context), half = layout.slots / 2;
    double square = 0;
    ckks_complex *values = malloc(slots * sizeof *values);
    ck_assert_ptr_nonnull(values);
    ck_assert_int_eq(ckks_decrypt(context, workspace, values, slots, x, t->secret), FHOLA_OK);
    for (uint32_t j = 0; j < half; j++) {
        double sum[2] = {0, 0};
        for (size_t s = j; s < slots; s += half) {
            sum[0] += values[s].re * layout.slots / (double)slots;
            sum[1] += values[s].im * layout.slots / (double)slots;
        }
        for (uint32_t k = 0; k < 2; k++) {
            nn_place p = nn_layout_place(layout, j + k * (uint32_t)half);
            double d = sum[k] - tensor[(p.channel * layout.side + p.y) * layout.side + p.x];
            square += d * d;
        }
    }
    free(values);
    return log2(sqrt(square / layout.slots));
}

/* The rounding errors of one rescaling are 2^12.9 in a slot, so 2^-15.1 of a scale of 2^28; 1 bit
 * more for what the key switches and the encoded weights add. Measured: see the message. */
#define LAYER_LOG2_ERROR (-14.0)

START_TEST(encrypted_layer)
{
    ckks_params_spec spec = {.log_n = 15,
                             .base_bits = 40,
                             .residual_levels = 2,
                             .residual_bits = 28,
                             .special_primes = 3,
                             .special_bits = 48};
    layer_test t = {0};
    small_network s = {.state = seed};
    nn_linear linear, shortcut;
    ckks_key_list keys = {0};
    ckks_ciphertext *x = NULL, *y = NULL, *z = NULL;
    double one[64];
    for (int i = 0; i < 64; i++) one[i] = 1;
    set_up_with(&spec);
    t.conv = ckks_basis_chain(params);
    t.out = t.conv & ~ckks_basis_top(t.conv);
    nn_conv conv = small_conv(&s, 16, 32, 3, 2, 32), projection = small_conv(&s, 16, 32, 1, 2, 32);
    double *in = small_vector(&s, 16384, 0.5), *out = small_vector(&s, 8192, 0),
           *kept = small_vector(&s, 8192, 0);
    memset(conv.bias, 0, 32 * sizeof *conv.bias);
    memset(projection.bias, 0, 32 * sizeof *projection.bias);
    direct_conv(&conv, out, in);
    direct_conv(&projection, kept, in);

    ck_assert_int_eq(ckks_rng_create(&t.rng), FHOLA_OK);
    ck_assert_int_eq(ckks_secret_key_create(&t.secret, context, t.rng), FHOLA_OK);
    ck_assert_int_eq(nn_linear_convolution(&linear, &conv, one, one), FHOLA_OK);
    ck_assert_int_eq(nn_linear_convolution(&shortcut, &projection, one, one), FHOLA_OK);
    compile_transform(&t, &t.linear, &linear, &keys);
    compile_transform(&t, &t.shortcut, &shortcut, &keys);
    ck_assert_int_eq(ckks_eval_keys_create(&t.keys, context, t.secret, &keys, t.rng, NULL, NULL),
                     FHOLA_OK);
    ck_assert_int_eq(ckks_ciphertext_create(&x, context), FHOLA_OK);
    ck_assert_int_eq(ckks_ciphertext_create(&y, context), FHOLA_OK);
    ck_assert_int_eq(ckks_ciphertext_create(&z, context), FHOLA_OK);
    encrypt_tensor(&t, x, linear.in, in);
    const ckks_lintrans *transform[] = {t.linear, t.shortcut};
    ckks_ciphertext *const result[] = {y, z};
    ck_assert_int_eq(
        ckks_lintrans_apply(context, workspace, t.keys, 2, transform, result, x, t.out), FHOLA_OK);
    double error = error_of(&t, y, linear.out, out),
           kept_error = error_of(&t, z, shortcut.out, kept);
    printf("down 1: error 2^%.2f, projection 2^%.2f, RMS; bound 2^%.2f\n", error, kept_error,
           LAYER_LOG2_ERROR);
    ck_assert_double_lt(error, LAYER_LOG2_ERROR);
    ck_assert_double_lt(kept_error, LAYER_LOG2_ERROR);

    ckks_ciphertext_destroy(x);
    ckks_ciphertext_destroy(y);
    ckks_ciphertext_destroy(z);
    ckks_lintrans_destroy(t.linear);
    ckks_lintrans_destroy(t.shortcut);
    ckks_eval_keys_destroy(t.keys);
    ckks_secret_key_destroy(t.secret);
    ckks_rng_destroy(t.rng);
    ckks_key_list_clear(&keys);
    nn_linear_clear(&linear);
    nn_linear_clear(&shortcut);
    small_conv_clear(&conv);
    small_conv_clear(&projection);
    free(in);
    free(out);
    free(kept);
    tear_down();
}
END_TEST

int main(void)
{
    const char *text = getenv("FHOLA_TEST_SEED");
    seed = text ? strtoull(text, NULL, 0) : 11;
    printf("FHOLA_TEST_SEED=%llu\n", (unsigned long long)seed);
    Suite *suite = suite_create("network");
    TCase *tcase = tcase_create("network");
    tcase_set_timeout(tcase, 240);
    tcase_add_loop_test(tcase, dry_run, 0, 2);
    tcase_add_test(tcase, refusals);
    tcase_add_test(tcase, pictures);
    tcase_add_test(tcase, encrypted_layer);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
