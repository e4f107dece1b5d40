/* SPDX-License-Identifier: Apache-2.0 */
/* Compiling: bases, scales and the list of keys of a small network at R15, what is refused, and the
 * client's side. Encrypted networks: check_graph_networks. */
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

static uint32_t giant_of(const nn_linear *l, size_t i)
{
    uint32_t d = (uint32_t)l->offset[i];
    return d - d % l->baby_step;
}

static unsigned output_of(const nn_linear *l, size_t i)
{
    return l->block ? l->block[i] / l->inputs : 0;
}

/* From the sum of diagonal i to the next one below of its output, or where it belongs. */
static uint32_t way_of_giant(const nn_linear *l, size_t i)
{
    uint32_t giant = giant_of(l, i), below = 0;
    for (size_t k = 0; k < l->count; k++) {
        uint32_t other = giant_of(l, k);
        if (output_of(l, k) == output_of(l, i) && other < giant && other > below) below = other;
    }
    return giant - below;
}

/* Every rotation a linear map makes has its key: at the map's level, folds below it. */
static void check_linear_keys(const nn_network *n, const nn_linear *l, ckks_basis basis,
                              ckks_basis below)
{
    if (nn_linear_is_factor(l)) return;
    for (size_t i = 0; i < l->count; i++) {
        uint32_t baby = (uint32_t)l->offset[i] - giant_of(l, i), way = way_of_giant(l, i);
        if (baby) ck_assert(requests_rotation(&n->keys, baby, basis));
        if (way) ck_assert(requests_rotation(&n->keys, way, basis));
    }
    for (uint32_t r = l->modulus; r < l->span; r *= 2)
        ck_assert(requests_rotation(&n->keys, r, below));
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
    for (size_t i = 0; i <= n->count; i++) {
        nn_recipe *r = &n->schedule.layer[i];
        int last = i == n->count;
        ck_assert_uint_eq(nn_network_edges(n, i), i == 2 || i == 4 || i == 6 ? 2 : 1);
        for (size_t e = 0; e < r->count; e++) {
            check_linear_keys(n, &r->contribution[e].linear, last ? n->score_input_basis : conv,
                              last ? n->score_basis : stc);
            ck_assert_uint_eq(nn_network_linear_cost(n, i, e).diagonals,
                              r->contribution[e].linear.count);
        }
        if (last) break;
        ck_assert_uint_eq(n->layer[i].residual_levels,
                          1 + ckks_polynomial_depth(s.plan.activations[i].degree));
        ck_assert_uint_eq(nn_network_layer_slots(n, i), i < 3 ? 16384 : i < 5 ? 8192 : 4096);
    }
    ck_assert_uint_eq(nn_network_linear_cost(n, n->count, 0).folds, 8);
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
    ck_assert_int_eq(nn_infer(context, workspace, x, n, NULL, &x, NULL), FHOLA_PARAM);
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
    spec.log_n = 12;
    spec.insecure = 1;
    set_up_with(&spec);
    refuse(&s, "takes 4096 slots, the parameter set has 2048");
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
    nn_encode_picture(values, client, 0, rgb);
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
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
