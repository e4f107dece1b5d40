/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/planner/plan.h"

#include "check_nn_support.h"
#include "ola/ola.h"

static nn_model *load_model(void)
{
    nn_model *model;
    succeed(nn_model_load(&model, write_network("n", 1, "down", test_seed), NULL));
    return model;
}

static nn_plan *random_plan(const nn_model *model)
{
    static const unsigned degrees[] = {3, 7, 15, 63, 1, 2, 31};
    uint64_t random = test_seed;
    nn_plan *plan;
    succeed(nn_plan_create(&plan, model, 0.1));
    for (size_t i = 0; i < plan->count; i++) {
        nn_activation *a = &plan->activations[i];
        succeed(nn_plan_set_degree(plan, i, degrees[i % 7]));
        a->max_w = uniform(&random, 0, 1);
        for (unsigned c = 0; c < a->channels; c++) {
            a->centre[c] = uniform(&random, -5, 5);
            a->half_width[c] = exp(uniform(&random, -20, 20));
        }
        for (size_t k = 0; k < (a->degree + 1) * (size_t)a->channels; k++)
            a->coeff[k] = uniform(&random, -1, 1) * exp(uniform(&random, -30, 10));
    }
    return plan;
}

START_TEST(comes_back_the_same)
{
    nn_model *model = load_model();
    nn_plan *plan = random_plan(model), *back = NULL;
    succeed(nn_plan_save(plan, in_folder("plan")));
    succeed(nn_plan_load(&back, in_folder("plan"), model));
    ck_assert_uint_eq(back->model_hash, model->hash);
    ck_assert_double_eq(back->eps, 0.1);
    ck_assert_uint_eq(nn_plan_count(back), 7);
    ck_assert_uint_eq(nn_plan_depth(back), 2 + 3 + 4 + 6 + 1 + 2 + 5);
    for (size_t i = 0; i < back->count; i++) {
        const nn_activation *a = &plan->activations[i], *b = &back->activations[i];
        size_t row = a->channels * sizeof(double);
        ck_assert_uint_eq(nn_plan_degree(back, i), a->degree);
        ck_assert_double_eq(nn_plan_max_w(back, i), a->max_w);
        ck_assert_uint_eq(a->channels, b->channels);
        ck_assert_int_eq(memcmp(a->centre, b->centre, row), 0);
        ck_assert_int_eq(memcmp(a->half_width, b->half_width, row), 0);
        ck_assert_int_eq(memcmp(a->coeff, b->coeff, (a->degree + 1) * row), 0);
    }
    nn_plan_free(back);
    nn_plan_free(plan);
    nn_model_free(model);
}
END_TEST

static ola_composite composition(void)
{
    static const unsigned degrees[] = {3, 5};
    ola_composite sign;
    succeed(ola_composite_sign(&sign, degrees, 2, 0.1));
    return sign;
}

START_TEST(compositions_come_back)
{
    nn_model *model = load_model();
    nn_plan *plan = random_plan(model), *back = NULL;
    ola_composite sign = composition();
    nn_activation *a = &plan->activations[0];
    succeed(nn_plan_set_sign(plan, 0, &sign));
    memset(a->centre, 0, a->channels * sizeof *a->centre);
    succeed(nn_plan_save(plan, in_folder("plan")));
    succeed(nn_plan_load(&back, in_folder("plan"), model));
    const nn_activation *b = &back->activations[0];
    ck_assert_ptr_nonnull(b->sign);
    ck_assert_ptr_null(back->activations[1].sign);
    ck_assert_uint_eq(b->sign->count, 2);
    for (unsigned k = 0; k < 2; k++) {
        ck_assert_uint_eq(b->sign->degree[k], sign.degree[k]);
        ck_assert_int_eq(
            memcmp(b->sign->coeff[k], sign.coeff[k], (sign.degree[k] + 1) * sizeof(double)), 0);
    }
    ck_assert_uint_eq(nn_activation_depth(b), 2 + 3 + 1);
    ck_assert_uint_eq(nn_plan_depth(back), 6 + 3 + 4 + 6 + 1 + 2 + 5);
    ck_assert_uint_eq(nn_plan_levels(back), 1 + 6);
    double X = 0.3, y = ola_chebyshev_eval((double[]){a->coeff[5], a->coeff[a->channels + 5],
                                                      a->coeff[2 * a->channels + 5],
                                                      a->coeff[3 * a->channels + 5]},
                                           3, X);
    ck_assert_double_eq(nn_activation_eval(b, 5, X), y * (1 + ola_composite_eval_sign(&sign, X)));

    a->centre[3] = 0.5;
    fail_with(nn_plan_save(plan, in_folder("wrong")), FHOLA_PARAM,
              "activation 0, channel 3: centre 0.5");
    a->centre[3] = 0;
    a->sign->degree[0] = 1;
    a->sign->count = 1;
    fail_with(nn_plan_save(plan, in_folder("wrong")), FHOLA_PARAM,
              "activation 0: degree 3 is too high beside a composition of depth 1");
    a->sign->count = 0;
    fail_with(nn_plan_save(plan, in_folder("wrong")), FHOLA_PARAM,
              "a composition of 0 polynomials");
    a->sign->count = 2;
    a->sign->coeff[1][4] = NAN;
    fail_with(nn_plan_save(plan, in_folder("wrong")), FHOLA_PARAM,
              "a coefficient of its composition is not finite");
    nn_plan_free(back);
    nn_plan_free(plan);
    nn_model_free(model);
}
END_TEST

START_TEST(refuses_another_model)
{
    nn_model *model = load_model(), *deeper;
    nn_plan *plan = random_plan(model), *back = NULL;
    succeed(nn_plan_save(plan, in_folder("plan")));
    succeed(nn_model_load(&deeper, write_network("deeper", 2, "down", test_seed), NULL));
    fail_with(nn_plan_load(&back, in_folder("plan"), deeper), FHOLA_PARAM,
              "plan: the plan is for another model: weights");
    deeper->hash = model->hash;
    fail_with(nn_plan_load(&back, in_folder("plan"), deeper), FHOLA_PARAM,
              "7 activations, the model 13");
    ck_assert_ptr_null(back);
    succeed(nn_plan_load(&back, in_folder("plan"), NULL));
    nn_plan_free(back);
    nn_plan_free(plan);
    nn_model_free(deeper);
    nn_model_free(model);
}
END_TEST

START_TEST(saves_nothing_wrong)
{
    nn_model *model = load_model();
    nn_plan *plan = random_plan(model);
    nn_activation *a = &plan->activations[2];
    a->coeff[20] = (double)NAN;
    fail_with(nn_plan_save(plan, in_folder("unsaved")), FHOLA_PARAM,
              "activation 2: coefficient 1 of channel 4 is not finite");
    a->coeff[20] = 0;
    a->half_width[3] = -1;
    fail_with(nn_plan_save(plan, in_folder("unsaved")), FHOLA_PARAM,
              "activation 2, channel 3: no interval");
    a->half_width[3] = 1;
    a->max_w = (double)INFINITY;
    fail_with(nn_plan_save(plan, in_folder("unsaved")), FHOLA_PARAM, "max_w");
    a->max_w = 0;
    plan->eps = 0.3;
    fail_with(nn_plan_save(plan, in_folder("unsaved")), FHOLA_PARAM, "eps 0.3");
    plan->eps = 0.1;
    fail_with(nn_plan_save(plan, in_folder("no/plan")), FHOLA_IO, "no/plan");
    fail_with(nn_plan_set_degree(plan, 0, 64), FHOLA_PARAM, "degree 64");
    ck_assert_int_ne(access(in_folder("unsaved"), F_OK), 0);
    nn_plan_free(plan);
    nn_model_free(model);
}
END_TEST

#define START                                                                                      \
    "{\"format\": \"fhola-plan\", \"version\": 1, \"model_hash\": \"0123456789abcdef\", \"eps\": " \
    "0.125, \"activations\": "
#define FINE                                                                                       \
    "{\"degree\": 1, \"channels\": 2, \"max_w\": 0.5, \"centre\": [0, 0], \"half_width\": [1, "    \
    "1], \"coeff\": [[0, 0], [1, 1]]}"

static const struct {
    const char *text, *message;
} wrong[] = {
    {"[]", "text:1:1: \"format\""},
    {"{\"format\": \"fhola-profile\"}", "text:1:12: a profile instead of a plan"},
    {"{\"format\": \"fhola-plan\", \"version\": 2}",
     "text:1:37: format version 2 is newer than version 1"},
    {"{\"format\": \"fhola-plan\", \"version\": 1, \"model_hash\": \"12\"}", "\"model_hash\""},
    {"{\"format\": \"fhola-plan\", \"version\": 1, \"model_hash\": \"0123456789abcdef\", \"eps\": "
     "1}",
     "\"eps\""},
    {START "[]}", "\"activations\""},
    {START "[1]}", "\"channels\""},
    {START "[" FINE ", {}]}", "\"channels\""},
    {START "[{\"degree\": 0, \"channels\": 2, \"centre\": [0, 0], \"half_width\": [1, 1], "
           "\"coeff\": []}]}",
     "\"degree\" must be"},
    {START "[{\"degree\": 64, \"channels\": 2, \"centre\": [0, 0], \"half_width\": [1, 1], "
           "\"coeff\": []}]}",
     "\"degree\" must be"},
    {START "[{\"degree\": 1, \"channels\": 65537, \"centre\": [0, 0], \"half_width\": [1, 1], "
           "\"coeff\": []}]}",
     "\"channels\" must be"},
    {START
     "[{\"degree\": 1, \"channels\": 2, \"centre\": [0], \"half_width\": [1, 1], \"coeff\": []}]}",
     "\"centre\" must be 2 numbers"},
    {START "[{\"degree\": 1, \"channels\": 2, \"centre\": [0, 0], \"half_width\": [1, null], "
           "\"coeff\": []}]}",
     "\"half_width\" must be"},
    {START "[{\"degree\": 1, \"channels\": 2, \"centre\": [0, 0], \"half_width\": [1, 0], "
           "\"coeff\": [[0, 0], [1, 1]]}]}",
     "no interval"},
    {START "[{\"degree\": 1, \"channels\": 2, \"centre\": [0, 0], \"half_width\": [1, 1], "
           "\"coeff\": [[0, 0]]}]}",
     "\"coeff\" must be 2 rows"},
    {START "[{\"degree\": 1, \"channels\": 2, \"centre\": [0, 0], \"half_width\": [1, 1], "
           "\"coeff\": [[0, 0], [1]]}]}",
     "\"coeff\" must be 2"},
    {START "[{\"degree\": 1, \"channels\": 2, \"max_w\": \"1\", \"centre\": [0, 0], "
           "\"half_width\": [1, 1], \"coeff\": [[0, 0], [1, 1]]}]}",
     "\"max_w\" must be a number"},
    {START "[" FINE "]", "text:1:"},
};

START_TEST(refuses_bad_texts)
{
    nn_plan *plan = NULL;
    fail_with(nn_plan_parse(&plan, wrong[_i].text, strlen(wrong[_i].text), "text"), FHOLA_FORMAT,
              wrong[_i].message);
    ck_assert_ptr_null(plan);
}
END_TEST

START_TEST(refuses_every_truncation)
{
    const char *text = START "[" FINE "," FINE "]}";
    nn_plan *plan = NULL;
    for (size_t length = 0; length < strlen(text); length++)
        ck_assert_int_eq(nn_plan_parse(&plan, text, length, "text"), FHOLA_FORMAT);
    succeed(nn_plan_parse(&plan, text, strlen(text), "text"));
    ck_assert_uint_eq(nn_plan_depth(plan), 2);
    nn_plan_free(plan);
    fail_with(nn_plan_load(&plan, in_folder("none"), NULL), FHOLA_IO, "none");
}
END_TEST

static const struct {
    const char *weights, *plan;
    ola_function_kind function;
    unsigned depth;
} bundled[] = {
    {"nn/models/resnet20.safetensors", "nn/models/resnet20.plan", OLA_RELU, 63},
    {"nn/models/resnet20-gelu.safetensors", "nn/models/resnet20-gelu.plan", OLA_GELU, 63},
    {"nn/models/resnet32.safetensors", "nn/models/resnet32.plan", OLA_RELU, 93},
};

START_TEST(bundled_plan_fits_its_model)
{
    nn_model *model;
    nn_plan *plan;
    succeed(nn_model_load(&model, project_file(bundled[_i].weights), NULL));
    ck_assert_int_eq(model->function.kind, bundled[_i].function);
    succeed(nn_plan_load(&plan, project_file(bundled[_i].plan), model));
    ck_assert_uint_le(nn_plan_depth(plan), bundled[_i].depth);
    for (size_t i = 0; i < nn_plan_count(plan); i++)
        ck_assert(nn_plan_max_w(plan, i) > 0 && nn_plan_max_w(plan, i) <= 1);
    nn_plan_free(plan);
    nn_model_free(model);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("plan");
    tcase_add_test(tcase, comes_back_the_same);
    tcase_add_test(tcase, compositions_come_back);
    tcase_add_test(tcase, refuses_another_model);
    tcase_add_test(tcase, saves_nothing_wrong);
    tcase_add_loop_test(tcase, refuses_bad_texts, 0, (int)(sizeof wrong / sizeof wrong[0]));
    tcase_add_test(tcase, refuses_every_truncation);
    tcase_add_loop_test(tcase, bundled_plan_fits_its_model, 0,
                        (int)(sizeof bundled / sizeof bundled[0]));
    return run_tests("plan", tcase, 60);
}
