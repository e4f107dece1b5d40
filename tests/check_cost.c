/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/planner/cost.h"

#include "check_nn_support.h"
#include "ckks/ckks.h"
#include "nn/measure/measure.h"
#include "small_network.h"

#define START                                                                                      \
    "{\"format\": \"fhola-cost\", \"version\": 1, \"machine\": \"m\", \"threads\": 2, \"sets\": ["
#define STAGE(channels, seconds)                                                                   \
    "{\"channels\": " channels ", \"seconds\": " seconds ", \"change_seconds\": 0.5}"
#define SET(degrees, stages)                                                                       \
    START "{\"params\": \"R15\", \"degrees\": " degrees                                            \
          ", \"fixed_seconds\": 0.25, \"stages\": [" stages "]}]}"
#define STAGES STAGE("16", "[1, 2]") ", " STAGE("32", "[3, 4]") ", " STAGE("64", "[5, 6]")

START_TEST(says_what_a_layer_costs)
{
    const char *text = SET("[3, 7]", STAGES);
    nn_cost *cost;
    nn_model *model;
    const nn_cost_set *set = NULL;
    succeed(nn_model_load(&model, write_network("n", 1, "down", test_seed), NULL));
    succeed(nn_cost_parse(&cost, text, strlen(text), "text"));
    fail_with(nn_cost_find(&set, cost, "R16"), FHOLA_PARAM, "no parameter set R16, only R15");
    succeed(nn_cost_find(&set, cost, "R15"));
    ck_assert(set->fixed == 0.25 && !set->estimated && cost->threads == 2);
    ck_assert(nn_cost_seconds(set, model, 0, 3) == 1.5); /* the first of its stage */
    ck_assert(nn_cost_seconds(set, model, 1, 4) == 2);   /* as the next larger degree */
    ck_assert(nn_cost_seconds(set, model, 2, 2) == 1);
    ck_assert(nn_cost_seconds(set, model, 3, 7) == 4.5); /* stride 2 */
    ck_assert(nn_cost_seconds(set, model, 4, 7) == 4);
    ck_assert(nn_cost_seconds(set, model, 6, 3) == 5);
    ck_assert(isinf(nn_cost_seconds(set, model, 6, 8)));
    nn_cost_free(cost);
    nn_model_free(model);
}
END_TEST

/* Of five ciphertexts two pairs cost 1.45 each, and one is alone. */
START_TEST(several_ciphertexts)
{
    const char *text = SET("[3, 7]", STAGES);
    nn_cost *cost;
    const nn_cost_set *set;
    small_network n;
    small_begin(&n, (nn_shape){1, 64, 64}, test_seed);
    nn_tensor x = small_relu(&n, small_conv(&n, 0, 20, 3, 1));
    x = small_relu(&n, small_conv(&n, x, 8, 1, 1));
    small_end(&n, small_dense(&n, small_global(&n, x), 10));
    succeed(nn_cost_parse(&cost, text, strlen(text), "text"));
    succeed(nn_cost_find(&set, cost, "R15"));
    ck_assert_double_eq_tol(nn_cost_seconds(set, &n.model, 0, 7), 2 * (2 * 1.45 + 1) + 0.5, 1e-12);
    ck_assert_double_eq_tol(nn_cost_seconds(set, &n.model, 1, 3), 1.45, 1e-12);
    nn_cost_free(cost);
    small_network_clear(&n);
}
END_TEST

/* 64 x 64 channels of 94^2 entries, two in a number, beyond the 72 diagonals of the table's
 * network; whatever the degree. */
START_TEST(wide_convolutions)
{
    const char *text = SET("[3, 7]", STAGES);
    double diagonals = 64 * 64 * 94 * 94 / 32768.0 - 72;
    nn_cost *cost;
    const nn_cost_set *set;
    small_network n;
    small_begin(&n, (nn_shape){1, 32, 32}, test_seed);
    nn_tensor x = small_relu(&n, small_conv(&n, 0, 64, 1, 1));
    x = small_relu(&n, small_conv(&n, x, 64, 3, 1));
    small_end(&n, small_dense(&n, small_global(&n, x), 10));
    succeed(nn_cost_parse(&cost, text, strlen(text), "text"));
    succeed(nn_cost_find(&set, cost, "R15"));
    ck_assert_double_eq_tol(nn_cost_seconds(set, &n.model, 1, 3), 2 * 1.45 + diagonals / 1800,
                            1e-9);
    ck_assert_double_eq_tol(nn_cost_seconds(set, &n.model, 1, 7), 4 * 1.45 + diagonals / 1800,
                            1e-9);
    nn_cost_free(cost);
    small_network_clear(&n);
}
END_TEST

START_TEST(bundled_table_is_good)
{
    nn_cost *cost;
    const nn_cost_set *set;
    succeed(nn_cost_load(&cost, project_file("nn/models/cost.json")));
    succeed(nn_cost_find(&set, cost, "R15"));
    succeed(nn_cost_find(&set, cost, "R16"));
    nn_cost_free(cost);
}
END_TEST

static const struct {
    const char *text, *message;
} wrong[] = {
    {"[]", "\"format\""},
    {"{\"format\": \"fhola-plan\"}", "a plan instead of a table of costs"},
    {START "]}", "1 to 8 parameter sets"},
    {START "{}]}", "\"params\""},
    {SET("[]", STAGES), "\"degrees\""},
    {SET("[7, 3]", STAGES), "rising"},
    {SET("[3, 64]", STAGES), "1 to 63"},
    {SET("[3, 7, 15]", STAGES), "\"seconds\""},
    {SET("[3, 7]", STAGE("16", "[1, 2]")), "3 stages"},
    {SET("[3, 7]", STAGE("16", "[1, 2]") ", " STAGE("16", "[1, 2]") ", " STAGE("64", "[1, 2]")),
     "\"channels\""},
    {SET("[3, 7]", STAGE("16", "[2, 1]") ", " STAGE("32", "[1, 2]") ", " STAGE("64", "[1, 2]")),
     "not fall"},
    {SET("[3, 7]", STAGE("16", "[0, 1]") ", " STAGE("32", "[1, 2]") ", " STAGE("64", "[1, 2]")),
     "positive"},
};

START_TEST(refuses_bad_tables)
{
    nn_cost *cost = NULL;
    fail_with(nn_cost_parse(&cost, wrong[_i].text, strlen(wrong[_i].text), "text"), FHOLA_FORMAT,
              wrong[_i].message);
    ck_assert_ptr_null(cost);
}
END_TEST

START_TEST(comes_back_the_same)
{
    const char *text = SET("[3, 7]", STAGES);
    nn_cost *cost, *back;
    succeed(nn_cost_parse(&cost, text, strlen(text), "text"));
    cost->set[0].estimated = true;
    cost->set[0].change[2] = -0.0125;
    succeed(nn_cost_save(cost, in_folder("cost")));
    succeed(nn_cost_load(&back, in_folder("cost")));
    ck_assert(memcmp(cost, back, sizeof *cost) == 0);
    nn_cost_free(back);
    nn_cost_free(cost);
}
END_TEST

START_TEST(refuses_to_measure_nothing)
{
    nn_cost *cost = NULL;
    nn_model *model;
    ckks_params *params;
    char wide[121] = "";
    memset(wide, 'w', sizeof wide - 1);
    succeed(ckks_params_named(&params, "R15"));
    succeed(nn_model_load(&model, write_network("n", 1, "down", test_seed), NULL));
    fail_with(nn_cost_measure(&cost, params, "R15", "m", model, 63, 0, NULL, NULL, NULL),
              FHOLA_PARAM, "1 to 100 runs");
    fail_with(nn_cost_measure(&cost, params, "R15", "", model, 63, 1, NULL, NULL, NULL),
              FHOLA_PARAM, "machine \"\"");
    fail_with(nn_cost_measure(&cost, params, wide, "m", model, 63, 1, NULL, NULL, NULL),
              FHOLA_PARAM, "1 to 119 bytes");
    fail_with(nn_cost_measure(&cost, params, "R15", "m", model, 2, 1, NULL, NULL, NULL),
              FHOLA_PARAM, "no polynomial to measure");
    ck_assert_ptr_null(cost);
    nn_model_free(model);
    ckks_params_destroy(params);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("cost");
    tcase_add_test(tcase, says_what_a_layer_costs);
    tcase_add_test(tcase, several_ciphertexts);
    tcase_add_test(tcase, wide_convolutions);
    tcase_add_test(tcase, bundled_table_is_good);
    tcase_add_test(tcase, comes_back_the_same);
    tcase_add_test(tcase, refuses_to_measure_nothing);
    tcase_add_loop_test(tcase, refuses_bad_tables, 0, (int)(sizeof wrong / sizeof wrong[0]));
    return run_tests("cost", tcase, 60);
}
