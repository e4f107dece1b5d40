/* SPDX-License-Identifier: Apache-2.0 */
/* Activation functions against their definitions, the sine variable against its inverse, interval
 * selection, and bad input. */
#include "check_ola_support.h"

static const double table_x[] = {-1, 0, 2, 3}, table_y[] = {1, 0, 4, 4};
static const ola_function table = {.kind = OLA_TABLE, .count = 4, .x = table_x, .y = table_y};

START_TEST(test_known_values)
{
    ola_function relu = {.kind = OLA_RELU}, gelu = {.kind = OLA_GELU}, silu = {.kind = OLA_SILU};
    ck_assert_double_eq(ola_function_eval(&relu, -3), 0);
    ck_assert_double_eq(ola_function_eval(&relu, 2.5), 2.5);
    /* Phi(1) = 0.8413447460685429, Phi(-2) = 0.02275013194817921, 1 / (1 + exp(-1)) =
     * 0.7310585786300049 */
    assert_close(ola_function_eval(&gelu, 1), 0.8413447460685429, 1e-15);
    assert_close(ola_function_eval(&gelu, -2), -2 * 0.02275013194817921, 1e-16);
    assert_close(ola_function_eval(&silu, 1), 0.7310585786300049, 1e-15);
    ck_assert_double_eq(ola_function_eval(&silu, -2000), 0);
    ck_assert_double_eq(ola_function_eval(&gelu, -2000), 0);
    ck_assert_double_eq(ola_function_eval(&gelu, 2000), 2000);
}
END_TEST

START_TEST(test_table)
{
    succeed(ola_function_check(&table));
    for (size_t i = 0; i < 4; i++)
        ck_assert_double_eq(ola_function_eval(&table, table_x[i]), table_y[i]);
    ck_assert_double_eq(ola_function_eval(&table, -0.5), 0.5);
    ck_assert_double_eq(ola_function_eval(&table, 1), 2);
    ck_assert_double_eq(ola_function_eval(&table, -3), 3); /* first segment continued */
    ck_assert_double_eq(ola_function_eval(&table, 10), 4); /* last segment continued */
}
END_TEST

/* Away from kinks the slope is a central difference; on a kink it is that of the left. */
START_TEST(test_slopes)
{
    const ola_function functions[] = {
        {.kind = OLA_RELU}, {.kind = OLA_GELU}, {.kind = OLA_SILU}, table};
    for (size_t k = 0; k < 4; k++)
        for (double x = -4.03; x < 5; x += 0.05) {
            double difference = (ola_function_eval(&functions[k], x + 1e-6) -
                                 ola_function_eval(&functions[k], x - 1e-6)) /
                                2e-6;
            assert_close(ola_function_slope(&functions[k], x), difference, 1e-8);
        }
    ck_assert_double_eq(ola_function_slope(&functions[0], 0), 0);
    ck_assert_double_eq(ola_function_slope(&table, 0), -1);
    ck_assert_double_eq(ola_function_slope(&table, 2), 2);
    ck_assert(isnan(ola_function_eval(&functions[0], (double)NAN)));
}
END_TEST

static ola_function named(const char *name)
{
    ola_function f;
    ck_assert_msg(ola_function_find(&f, name), "%s", name);
    succeed(ola_function_check(&f));
    return f;
}

/* One value on each side of what makes a function special, from its definition. */
static const struct {
    const char *name;
    double x, y;
} named_values[] = {
    {"relu", -3, 0},
    {"relu", 2.5, 2.5},
    {"gelu", 1, 0.8413447460685429}, /* Phi(1) */
    {"silu", 1, 0.7310585786300049}, /* 1 / (1 + exp(-1)) */
    {"leaky_relu", -2, -0.02},
    {"leaky_relu", 3, 3},
    {"clip", -1, 0},
    {"clip", 0.25, 0.25},
    {"clip", 7, 1},
    {"relu6", 7, 6},
    {"relu6", 5, 5},
    {"gelu_tanh", 1, 0.8411919906082768},
    {"gelu_tanh", -2, -0.04540230591222494},
    {"hard_swish", -3.5, 0},
    {"hard_swish", 1, 2.0 / 3},
    {"hard_swish", 4, 4},
    {"hard_sigmoid", -4, 0},
    {"hard_sigmoid", 1, 2.0 / 3},
    {"hard_sigmoid", 4, 1},
    {"sigmoid", 1, 0.7310585786300049},
    {"sigmoid", -800, 0},
    {"tanh", 1, 0.7615941559557649},
    {"elu", -1, -0.6321205588285577},
    {"elu", 2, 2},
    {"selu", -1, -1.1113307378125625},
    {"selu", 2, 2.1014019747109610},
    {"softplus", 0, 0.6931471805599453},
    {"softplus", 800, 800},
    {"softplus", -800, 0},
    {"abs", -2, 2},
    {"identity", -2, -2},
};
#define NAMED (sizeof named_values / sizeof *named_values)

START_TEST(test_named_values)
{
    for (size_t k = 0; k < NAMED; k++) {
        ola_function f = named(named_values[k].name);
        double y = ola_function_eval(&f, named_values[k].x);
        ck_assert_msg(fabs(y - named_values[k].y) <= 1e-15, "%s(%g) = %.17g", named_values[k].name,
                      named_values[k].x, y);
    }
}
END_TEST

/* All slopes against central differences; names found are the names given. */
START_TEST(test_named_slopes)
{
    const char *name;
    size_t count = 0;
    for (; (name = ola_function_list(count)); count++) {
        ola_function f = named(name);
        if (strcmp(name, "relu6") != 0) ck_assert_str_eq(ola_function_name(&f), name);
        for (double x = -7.03; x < 8; x += 0.05) {
            double difference =
                (ola_function_eval(&f, x + 1e-6) - ola_function_eval(&f, x - 1e-6)) / 2e-6;
            ck_assert_msg(fabs(ola_function_slope(&f, x) - difference) <= 1e-8,
                          "%s at %g: %.12g instead of %.12g", name, x, ola_function_slope(&f, x),
                          difference);
        }
    }
    ck_assert_uint_ge(count, 15);
    ola_function f;
    ck_assert(!ola_function_find(&f, "table"));
    ck_assert(!ola_function_find(&f, "swish"));
}
END_TEST

/* Every name is listed, and has values to be held against. */
START_TEST(test_list)
{
    const char *name;
    for (size_t i = 0; (name = ola_function_list(i)); i++) {
        size_t k = 0;
        while (k < NAMED && strcmp(named_values[k].name, name) != 0) k++;
        ck_assert_msg(k < NAMED, "no value of %s in this test", name);
        ck_assert_str_ne(name, "table");
    }
    for (size_t k = 0; k < NAMED; k++) {
        size_t i = 0;
        while ((name = ola_function_list(i)) && strcmp(named_values[k].name, name) != 0) i++;
        ck_assert_msg(name != NULL, "%s is not listed", named_values[k].name);
    }
}
END_TEST

START_TEST(test_bad_parameters)
{
    ola_function f = named("clip");
    f.b = -1;
    fail_with(ola_function_check(&f), FHOLA_PARAM, "clip between 0 and -1 leaves nothing");
    f.b = INFINITY;
    fail_with(ola_function_check(&f), FHOLA_PARAM, "must be finite");
    f = named("hard_sigmoid");
    f.a = 0;
    fail_with(ola_function_check(&f), FHOLA_PARAM, "slope 0");
    f = named("leaky_relu");
    f.a = NAN;
    fail_with(ola_function_check(&f), FHOLA_PARAM, "leaky_relu");
}
END_TEST

START_TEST(test_bad_functions)
{
    static const double still[] = {0, 1, 1}, broken[] = {0, NAN, 1}, y[] = {0, 0, 0};
    ola_function f = {.kind = OLA_TABLE, .count = 3, .x = still, .y = y};
    fail_with(ola_function_check(&f), FHOLA_PARAM, "must rise");
    f.x = broken;
    fail_with(ola_function_check(&f), FHOLA_PARAM, "point 1 of the table is not finite");
    f.count = 1;
    fail_with(ola_function_check(&f), FHOLA_PARAM, "at least 2, got 1");
    f = (ola_function){.kind = (ola_function_kind)99};
    fail_with(ola_function_check(&f), FHOLA_PARAM, "unknown function kind 99");
}
END_TEST

START_TEST(test_variable)
{
    static const double eps[] = {0, 0.01, 0.125, 0.25};
    for (size_t e = 0; e < 4; e++) {
        double previous = -1.5;
        for (int i = -100; i <= 100; i++) {
            double w = i / 100.0, X = ola_variable(eps[e], w);
            ck_assert_double_gt(X, previous);
            previous = X;
            assert_close(ola_variable_inverse(eps[e], X), w, eps[e] == 0.25 ? 1e-7 : 1e-14);
        }
        ck_assert_double_eq(ola_variable(eps[e], 1), 1);
        ck_assert_double_eq(ola_variable(eps[e], -1), -1);
        ck_assert_double_eq(ola_variable_inverse(eps[e], 2), 1);
    }
    /* the sine's maximum over sin(pi / 4) */
    assert_close(ola_variable(0.125, 2), sqrt(2), 1e-15);
}
END_TEST

START_TEST(test_intervals)
{
    double min[] = {-1, -0.1, 5}, max[] = {3, 0.1, 5};
    ola_interval in[3];
    ola_interval_rule rule = {.margin = 1.5, .floor = 0.3};
    succeed(ola_select_intervals(in, min, max, 3, &rule));
    assert_close(in[0].centre, 1, 1e-15);
    assert_close(in[0].half_width, 3, 1e-15);
    assert_close(in[1].centre, 0, 1e-15);
    assert_close(in[1].half_width, 0.6, 1e-15); /* the floor: 0.3 of the largest half range, 2 */
    assert_close(in[2].centre, 5, 1e-15);
    assert_close(in[2].half_width, 0.6, 1e-15); /* a constant channel */
    rule.symmetric = true;
    succeed(ola_select_intervals(in, min, max, 3, &rule));
    for (int c = 0; c < 3; c++) ck_assert_double_eq(in[c].centre, 0);
    assert_close(in[0].half_width, 4.5, 1e-15);
    assert_close(in[2].half_width, 7.5, 1e-15);
}
END_TEST

START_TEST(test_bad_intervals)
{
    double min[] = {-1, 5}, max[] = {3, 5};
    ola_interval in[2] = {{7, 8}, {9, 10}};
    ola_interval_rule rule = {.margin = 1.5, .floor = 0};
    fail_with(ola_select_intervals(in, min, max, 2, &rule), FHOLA_RANGE,
              "channel 1 is constant (5)");
    ck_assert_double_eq(in[0].centre, 7); /* untouched */
    fail_with(ola_select_intervals(in, min, max, 0, &rule), FHOLA_PARAM, "no channel");
    rule.margin = 0.9;
    fail_with(ola_select_intervals(in, min, max, 2, &rule), FHOLA_PARAM, "margin 0.9");
    rule = (ola_interval_rule){.margin = 1, .floor = 1.5};
    fail_with(ola_select_intervals(in, min, max, 2, &rule), FHOLA_PARAM, "floor 1.5");
    rule.floor = 0.5;
    min[1] = INFINITY; /* an empty histogram's extremes */
    max[1] = -INFINITY;
    fail_with(ola_select_intervals(in, min, max, 2, &rule), FHOLA_RANGE,
              "channel 1: the observed range [inf, -inf] is not finite");
    min[1] = NAN;
    fail_with(ola_select_intervals(in, min, max, 2, &rule), FHOLA_RANGE, "channel 1");
    min[1] = 4;
    max[1] = 3;
    fail_with(ola_select_intervals(in, min, max, 2, &rule), FHOLA_PARAM,
              "smallest value 4 above largest 3");
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("functions");
    tcase_add_test(tcase, test_known_values);
    tcase_add_test(tcase, test_table);
    tcase_add_test(tcase, test_slopes);
    tcase_add_test(tcase, test_named_values);
    tcase_add_test(tcase, test_named_slopes);
    tcase_add_test(tcase, test_list);
    tcase_add_test(tcase, test_bad_parameters);
    tcase_add_test(tcase, test_bad_functions);
    tcase_add_test(tcase, test_variable);
    tcase_add_test(tcase, test_intervals);
    tcase_add_test(tcase, test_bad_intervals);
    return run_case("ola_function", tcase);
}
