/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/planner/degrees.h"

#include "check_nn_support.h"
#include "nn/graph/graph.h"
#include "nn/plain/predict.h"
#include "report_page.h"

#define ACTIVATIONS 7

typedef struct setting {
    nn_model *model;
    nn_batch *calibration, *held_out;
    nn_profile *profile;
    nn_cost *cost;
    nn_plan_options options;
} setting;

static setting set_up(void)
{
    setting s;
    nn_plan_defaults(&s.options);
    s.options.sensitivity_pictures = 4;
    succeed(nn_model_load(&s.model, write_network("n", 1, "down", test_seed), NULL));
    succeed(nn_batch_load(&s.calibration, write_batch("c", 8, 3, test_seed), 0, 0));
    succeed(nn_batch_load(&s.held_out, write_batch("h", 6, 3, test_seed + 1), 0, 0));
    succeed(nn_cost_load(&s.cost, write_string("cost", page_costs)));
    succeed(nn_profile_make(&s.profile, s.model, s.calibration, &s.options, NULL, NULL));
    s.options.profile = s.profile;
    s.options.depth = 21;
    return s;
}

static void tear_down(setting *s)
{
    nn_profile_free(s->profile);
    nn_cost_free(s->cost);
    nn_batch_free(s->held_out);
    nn_batch_free(s->calibration);
    nn_model_free(s->model);
}

/* Every schedule there is, against the dynamic programming, in levels and in seconds, for both
 * measures of importance. */
START_TEST(finds_the_best_of_all_schedules)
{
    setting s = set_up();
    for (int way = 0; way < 4; way++) {
        nn_degrees table;
        unsigned chosen[ACTIVATIONS], tried[ACTIVATIONS];
        ola_schedule total, best = {0, (double)INFINITY};
        s.options.importance = way & 1 ? NN_IMPORTANCE_GRADIENT : NN_IMPORTANCE_SENSITIVITY;
        s.options.depth = way & 2 ? 0 : 20;
        s.options.cost = way & 2 ? s.cost : NULL;
        double budget = way & 2 ? 8.2 : 20;
        succeed(nn_degrees_create(&table, s.model, &s.options));
        ck_assert_uint_eq(table.choices, 3);
        succeed(nn_degrees_choose(chosen, &total, &table, NN_CHOICE_DP, budget));
        for (unsigned code = 0; code < 2187; code++) {
            unsigned rest = code;
            for (size_t i = 0; i < ACTIVATIONS; i++, rest /= 3) tried[i] = table.degree[rest % 3];
            ola_schedule t = nn_degrees_total(&table, tried);
            if (t.cost <= budget + 1e-9 && t.loss < best.loss) best = t;
        }
        assert_close(total.loss, best.loss, 1e-12 * best.loss);
        ck_assert(total.cost <= budget + 1e-9);
        assert_close(nn_degrees_total(&table, chosen).cost, total.cost, 1e-9);
        assert_close(nn_degrees_total(&table, chosen).loss, total.loss, 1e-9 * total.loss);
        ola_schedule greedy, uniform;
        succeed(nn_degrees_choose(tried, &greedy, &table, NN_CHOICE_GREEDY, budget));
        succeed(nn_degrees_choose(tried, &uniform, &table, NN_CHOICE_UNIFORM, budget));
        for (size_t i = 1; i < ACTIVATIONS; i++) ck_assert_uint_eq(tried[i], tried[0]);
        ck_assert(greedy.loss >= total.loss * (1 - 1e-12) &&
                  uniform.loss >= total.loss * (1 - 1e-12));
        nn_degrees_clear(&table);
    }
    tear_down(&s);
}
END_TEST

/* Every named method gives a plan within its budget. */
START_TEST(methods_keep_their_budgets)
{
    static const nn_plan_method methods[] = {NN_METHOD_LAYERWISE, NN_METHOD_PAPER, NN_METHOD_GREEDY,
                                             NN_METHOD_UNIFORM};
    setting s = set_up();
    for (size_t m = 0; m < 4; m++) {
        nn_plan *plan, *timed;
        nn_plan_options by_time;
        nn_plan_set_method(&s.options, methods[m]);
        succeed(nn_plan_make(&plan, s.model, s.calibration, s.held_out, &s.options, NULL, NULL));
        ck_assert_uint_le(nn_plan_depth(plan), 21);
        by_time = s.options;
        by_time.depth = 0;
        by_time.cost = s.cost;
        by_time.seconds = 8.0;
        succeed(nn_plan_make(&timed, s.model, s.calibration, s.held_out, &by_time, NULL, NULL));
        const nn_activation *a = &timed->activations[3];
        if (methods[m] == NN_METHOD_PAPER)
            for (unsigned c = 1; c < a->channels; c++)
                ck_assert(a->centre[c] == a->centre[0] && a->coeff[c] == a->coeff[0]);
        nn_plan_free(timed);
        nn_plan_free(plan);
    }
    tear_down(&s);
}
END_TEST

START_TEST(keeps_a_loss_or_says_so)
{
    setting s = set_up();
    nn_plan *plan = NULL;
    nn_evaluation exact, now;
    s.options.depth = 0;
    s.options.max_loss = 40;
    succeed(nn_plan_make(&plan, s.model, s.calibration, s.held_out, &s.options, NULL, NULL));
    succeed(nn_evaluate(&exact, s.model, NULL, s.held_out, 0, 0, NULL, NULL));
    succeed(nn_evaluate(&now, s.model, plan, s.held_out, 0, 0, NULL, NULL));
    ck_assert(100.0 * (double)exact.right - 100.0 * (double)now.right <=
              40.0 * (double)exact.pictures + 1e-9);
    nn_plan_free(plan);
    plan = NULL;
    fail_with(nn_plan_make(&plan, s.model, s.calibration, NULL, &s.options, NULL, NULL),
              FHOLA_PARAM, "held-out");
    tear_down(&s);
}
END_TEST

START_TEST(refuses_contradictions)
{
    setting s = set_up();
    nn_plan *plan = NULL;
    nn_plan_options good = s.options;
#define WITH(change, words)                                                                        \
    do {                                                                                           \
        s.options = good;                                                                          \
        change;                                                                                    \
        fail_with(nn_plan_make(&plan, s.model, s.calibration, s.held_out, &s.options, NULL, NULL), \
                  FHOLA_PARAM, words);                                                             \
    } while (0)
    WITH(s.options.depth = 0, "exactly one budget");
    WITH(s.options.seconds = 5, "contradict");
    WITH(s.options.max_loss = 1, "contradict");
    WITH((s.options.depth = 0, s.options.seconds = 5), "table of costs");
    WITH((s.options.depth = 0, s.options.seconds = 1, s.options.cost = s.cost), "budget");
    WITH((s.options.depth = 0, s.options.seconds = 8, s.options.cost = s.cost,
          s.options.params = "R99"),
         "R99");
    WITH(s.options.seconds = (double)NAN, "out of range");
    WITH(s.options.max_degree = 2, "largest degree");
    WITH(s.options.exact_inputs = 1, "plain_target");
    WITH(s.options.depth = 13, "13");
    ck_assert_ptr_null(plan);
    tear_down(&s);
}
END_TEST

START_TEST(refuses_bad_inputs)
{
    setting s = set_up();
    nn_profile *profile = NULL;
    nn_plan *plan = NULL;
    nn_batch *none = NULL, *one;
    s.options.profile = NULL;
    /* No pictures: refused where they are loaded, or where they are used. */
    if (nn_batch_load(&none, write_bytes("none", "", 0), 0, 0) == FHOLA_OK) {
        ck_assert_int_ne(nn_profile_make(&profile, s.model, none, &s.options, NULL, NULL),
                         FHOLA_OK);
        fail_with(nn_plan_make(&plan, s.model, none, NULL, &s.options, NULL, NULL), FHOLA_PARAM,
                  "no calibration pictures");
        nn_batch_free(none);
    }
    /* One picture is little, but enough. */
    succeed(nn_batch_load(&one, write_batch("one", 1, 3, test_seed), 0, 0));
    succeed(nn_plan_make(&plan, s.model, one, NULL, &s.options, NULL, NULL));
    nn_plan_free(plan);
    plan = NULL;
    nn_batch_free(one);
    /* A channel that never changes. */
    const nn_convolution *conv = &s.model->graph->nodes[2].edges[0].map.convolution;
    memset(conv->weight + (size_t)5 * conv->in_channels * 9, 0,
           (size_t)conv->in_channels * 9 * sizeof *conv->weight);
    fail_with(nn_profile_make(&profile, s.model, s.calibration, &s.options, NULL, NULL),
              FHOLA_RANGE, "activation 1: channel 5 is constant");
    /* A weight that is no number. */
    conv->weight[3] = (double)NAN;
    fail_with(nn_profile_make(&profile, s.model, s.calibration, &s.options, NULL, NULL),
              FHOLA_RANGE, "not finite");
    fail_with(nn_plan_make(&plan, s.model, s.calibration, NULL, &s.options, NULL, NULL),
              FHOLA_RANGE, "not finite");
    ck_assert(!profile && !plan);
    tear_down(&s);
}
END_TEST

/* No change: the exact network's accuracy; a change without end: even chances of each pair. */
START_TEST(predicts_accuracy)
{
    setting s = set_up();
    nn_margins margins;
    nn_evaluation exact;
    succeed(nn_margins_create(&margins, s.model, s.held_out));
    succeed(nn_evaluate(&exact, s.model, NULL, s.held_out, 0, 0, NULL, NULL));
    assert_close(nn_margins_accuracy(&margins, 0),
                 100.0 * (double)exact.right / (double)exact.pictures, 1e-9);
    assert_close(nn_margins_accuracy(&margins, 1e30), 50, 1e-6);
    nn_margins_clear(&margins);
    double two[2] = {1, -1};
    margins = (nn_margins){2, two};
    assert_close(nn_margins_accuracy(&margins, 0.5), 50, 1e-9);
    two[1] = 1;
    /* one standard deviation */
    assert_close(nn_margins_accuracy(&margins, 0.5), 84.1344746, 1e-6);
    tear_down(&s);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("degrees");
    tcase_add_test(tcase, finds_the_best_of_all_schedules);
    tcase_add_test(tcase, methods_keep_their_budgets);
    tcase_add_test(tcase, keeps_a_loss_or_says_so);
    tcase_add_test(tcase, refuses_contradictions);
    tcase_add_test(tcase, refuses_bad_inputs);
    tcase_add_test(tcase, predicts_accuracy);
    return run_tests("degrees", tcase, 240);
}
