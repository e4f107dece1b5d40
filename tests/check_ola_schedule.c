/* SPDX-License-Identifier: Apache-2.0 */
/* Dynamic programming against the enumeration of all schedules, the frontier, greedy and uniform
 * schedules, bad input. */
#include "check_ola_support.h"

#define MAX_LAYERS  6u
#define MAX_OPTIONS 5u
#define EPS         1e-9

typedef struct instance {
    size_t count;
    ola_layer layers[MAX_LAYERS];
    ola_option options[MAX_LAYERS][MAX_OPTIONS];
} instance;

/* Integer costs up to 9 (sometimes 0, often equal); losses mostly, not always, falling with the
 * cost. */
static void draw(instance *in, uint64_t *state, bool fractional)
{
    in->count = 1 + next_random(state) % MAX_LAYERS;
    for (size_t i = 0; i < in->count; i++) {
        size_t n = 1 + next_random(state) % MAX_OPTIONS;
        in->layers[i] = (ola_layer){in->options[i], n};
        for (size_t k = 0; k < n; k++) {
            double cost = fractional ? uniform(state, 0, 9) : (double)(next_random(state) % 10);
            double loss = next_random(state) % 4 == 0 ? uniform(state, -1, 1)
                                                      : uniform(state, 0, 4) / (1 + cost);
            in->options[i][k] = (ola_option){(unsigned)(2 + next_random(state) % 3), cost, loss};
        }
    }
}

static ola_schedule total(const instance *in, const size_t *choice)
{
    ola_schedule sum = {0, 0};
    for (size_t i = 0; i < in->count; i++) {
        ck_assert_uint_lt(choice[i], in->layers[i].count);
        sum.cost += in->options[i][choice[i]].cost;
        sum.loss += in->options[i][choice[i]].loss;
    }
    return sum;
}

/* Least loss of all schedules whose costs, each rounded up to the resolution (0: exact), keep the
 * budget; INFINITY if none does. */
static double brute_force(const instance *in, double budget, double resolution)
{
    size_t choice[MAX_LAYERS] = {0};
    double best = INFINITY;
    for (;;) {
        double cost = 0, loss = 0;
        for (size_t i = 0; i < in->count; i++) {
            const ola_option *o = &in->options[i][choice[i]];
            cost += resolution > 0 ? resolution * ceil(o->cost / resolution - EPS) : o->cost;
            loss += o->loss;
        }
        if (cost <= budget + EPS && loss < best) best = loss;
        size_t i = 0;
        while (i < in->count && ++choice[i] == in->layers[i].count) choice[i++] = 0;
        if (i == in->count) return best;
    }
}

START_TEST(test_dp_is_optimal)
{
    uint64_t state = test_seed;
    for (int trial = 0; trial < 1500; trial++) {
        instance in;
        draw(&in, &state, false);
        for (double budget = 0; budget <= 30; budget += 3) {
            size_t choice[MAX_LAYERS];
            ola_schedule found;
            double best = brute_force(&in, budget, 0);
            fhola_status status = ola_schedule_dp(choice, &found, in.layers, in.count, budget, 1);
            if (best == INFINITY) {
                fail_with(status, FHOLA_PARAM, "cheapest schedule");
                continue;
            }
            succeed(status);
            ola_schedule sum = total(&in, choice);
            assert_close(found.loss, best, EPS);
            assert_close(found.loss, sum.loss, EPS);
            assert_close(found.cost, sum.cost, EPS);
            ck_assert_double_le(found.cost, budget);
        }
    }
}
END_TEST

/* With costs that are no multiples of the resolution the result is exact for the rounded costs, and
 * keeps the budget. */
START_TEST(test_dp_rounds_up)
{
    uint64_t state = test_seed + 1;
    for (int trial = 0; trial < 1500; trial++) {
        instance in;
        draw(&in, &state, true);
        size_t choice[MAX_LAYERS];
        ola_schedule found;
        double resolution = 0.25, budget = uniform(&state, 0, 40),
               whole = resolution * floor(budget / resolution);
        double best = brute_force(&in, whole, resolution);
        fhola_status status =
            ola_schedule_dp(choice, &found, in.layers, in.count, budget, resolution);
        if (best == INFINITY) {
            fail_with(status, FHOLA_PARAM, "cheapest schedule");
            continue;
        }
        succeed(status);
        ck_assert_double_le(found.cost, budget);
        ck_assert_double_le(found.loss, best + EPS);
        ck_assert_double_ge(found.loss, brute_force(&in, budget, 0) - EPS);
    }
}
END_TEST

START_TEST(test_frontier)
{
    uint64_t state = test_seed + 2;
    for (int trial = 0; trial < 500; trial++) {
        instance in;
        draw(&in, &state, false);
        ola_frontier *f = NULL;
        succeed(ola_frontier_create(&f, in.layers, in.count, INFINITY, 1));
        size_t count = ola_frontier_count(f), choice[MAX_LAYERS], index;
        ck_assert_uint_ge(count, 1);
        ola_schedule previous = {-1, INFINITY}, point;
        for (size_t i = 0; i < count; i++) {
            succeed(ola_frontier_point(f, i, &point, choice));
            ck_assert_double_gt(point.cost, previous.cost);
            ck_assert_double_lt(point.loss, previous.loss);
            assert_close(total(&in, choice).cost, point.cost, EPS);
            assert_close(total(&in, choice).loss, point.loss, EPS);
            assert_close(point.loss, brute_force(&in, point.cost, 0), EPS);
            /* nothing better for less */
            if (i > 0)
                assert_close(brute_force(&in, point.cost - 1, 0), previous.loss, EPS);
            else
                ck_assert(brute_force(&in, point.cost - 1, 0) == INFINITY);
            succeed(ola_frontier_within_budget(f, point.cost + 0.5, &index));
            ck_assert_uint_eq(index, i);
            succeed(ola_frontier_within_loss(f, point.loss, &index));
            ck_assert_uint_eq(index, i);
            previous = point;
        }
        assert_close(previous.loss, brute_force(&in, INFINITY, 0), EPS);
        fail_with(ola_frontier_within_loss(f, previous.loss - 1, &index), FHOLA_PARAM,
                  "smallest one reached");
        fail_with(ola_frontier_point(f, count, &point, NULL), FHOLA_PARAM, "no point");
        succeed(ola_frontier_point(f, 0, &point, NULL));
        if (point.cost > 0)
            fail_with(ola_frontier_within_budget(f, point.cost - 0.5, &index), FHOLA_PARAM,
                      "cost of the cheapest schedule");
        ola_frontier_destroy(f);
    }
}
END_TEST

/* Coarsely rounded costs: true costs and losses still are strictly monotone, and points keep their
 * own rounded budget. */
START_TEST(test_frontier_of_rounded_costs)
{
    uint64_t state = test_seed + 3;
    for (int trial = 0; trial < 500; trial++) {
        instance in;
        draw(&in, &state, true);
        ola_frontier *f = NULL;
        succeed(ola_frontier_create(&f, in.layers, in.count, INFINITY, 2));
        ola_schedule previous = {-1, INFINITY}, point;
        for (size_t i = 0; i < ola_frontier_count(f); i++) {
            size_t index;
            succeed(ola_frontier_point(f, i, &point, NULL));
            ck_assert_double_gt(point.cost, previous.cost);
            ck_assert_double_lt(point.loss, previous.loss);
            succeed(ola_frontier_within_budget(f, point.cost, &index));
            ck_assert_uint_eq(index, i);
            previous = point;
        }
        assert_close(previous.loss, brute_force(&in, INFINITY, 0), EPS);
        ola_frontier_destroy(f);
    }
}
END_TEST

START_TEST(test_greedy_and_uniform)
{
    uint64_t state = test_seed + 4;
    int greedy_optimal = 0, greedy_worse = 0, uniform_found = 0;
    for (int trial = 0; trial < 3000; trial++) {
        instance in;
        draw(&in, &state, false);
        size_t choice[MAX_LAYERS];
        ola_schedule dp, greedy, same;
        double budget = (double)(next_random(&state) % 40);
        if (ola_schedule_dp(choice, &dp, in.layers, in.count, budget, 1) != FHOLA_OK) {
            fail_with(ola_schedule_greedy(choice, &greedy, in.layers, in.count, budget),
                      FHOLA_PARAM, "cheapest schedule");
            continue;
        }
        succeed(ola_schedule_greedy(choice, &greedy, in.layers, in.count, budget));
        assert_close(total(&in, choice).loss, greedy.loss, EPS);
        ck_assert_double_le(greedy.cost, budget);
        ck_assert_double_ge(greedy.loss, dp.loss - EPS);
        if (greedy.loss > dp.loss + EPS)
            greedy_worse++;
        else
            greedy_optimal++;
        if (ola_schedule_uniform(choice, &same, in.layers, in.count, budget) != FHOLA_OK) continue;
        uniform_found++;
        assert_close(total(&in, choice).loss, same.loss, EPS);
        for (size_t i = 1; i < in.count; i++)
            ck_assert_uint_eq(in.options[i][choice[i]].degree, in.options[0][choice[0]].degree);
        ck_assert_double_le(same.cost, budget);
        ck_assert_double_ge(same.loss, dp.loss - EPS);
    }
    ck_assert_int_gt(greedy_optimal, 0);
    ck_assert_int_gt(greedy_worse, 0);
    ck_assert_int_gt(uniform_found, 0);
}
END_TEST

/* The paper's shape: many layers, cost = depth, loss falling by a factor per level. */
START_TEST(test_depth_budget)
{
    static const unsigned degrees[] = {3, 7, 15, 31};
    ola_option options[31][4];
    ola_layer layers[31];
    for (size_t i = 0; i < 31; i++) {
        layers[i] = (ola_layer){options[i], 4};
        for (size_t k = 0; k < 4; k++)
            options[i][k] = (ola_option){degrees[k], ola_depth(degrees[k]),
                                         (double)(1 + i * i) * pow(0.3, (double)k)};
    }
    ola_frontier *f = NULL;
    succeed(ola_frontier_create(&f, layers, 31, INFINITY, 1));
    /* one point per total depth from 62 to 155 */
    ck_assert_uint_eq(ola_frontier_count(f), 31 * 3 + 1);
    ola_schedule point, uniform_point;
    size_t choice[31], index;
    succeed(ola_schedule_uniform(choice, &uniform_point, layers, 31, 100));
    ck_assert_uint_eq(degrees[choice[0]], 7);
    ck_assert_double_eq(uniform_point.cost, 93);
    succeed(ola_frontier_within_loss(f, uniform_point.loss, &index));
    succeed(ola_frontier_point(f, index, &point, NULL));
    ck_assert_double_lt(point.cost, 93);
    ola_frontier_destroy(f);
}
END_TEST

START_TEST(test_bad_input)
{
    ola_option options[2][2] = {{{3, 2, 1}, {7, 3, 0.5}}, {{3, 2, 1}, {7, 3, 0.5}}};
    ola_layer layers[2] = {{options[0], 2}, {options[1], 2}};
    ola_frontier *f = NULL;
    ola_schedule s = {-7, -7};
    size_t choice[2];
    fail_with(ola_frontier_create(&f, layers, 0, 5, 1), FHOLA_PARAM, "no layer");
    fail_with(ola_frontier_create(&f, layers, 2, 3, 1), FHOLA_PARAM, "budget 3 is below 4");
    fail_with(ola_frontier_create(&f, layers, 2, NAN, 1), FHOLA_PARAM, "budget nan");
    fail_with(ola_frontier_create(&f, layers, 2, 5, 0), FHOLA_PARAM, "resolution 0");
    fail_with(ola_frontier_create(&f, layers, 2, 5, NAN), FHOLA_PARAM, "resolution nan");
    fail_with(ola_frontier_create(&f, layers, 2, 5, 1e-9), FHOLA_PARAM,
              "coarser resolution than 1e-09");
    fail_with(ola_frontier_create(&f, layers, 2, 5, 3), FHOLA_PARAM,
              "after rounding to the resolution");
    fail_with(ola_schedule_greedy(choice, &s, layers, 2, 3), FHOLA_PARAM, "budget 3 is below 4");
    fail_with(ola_schedule_uniform(choice, &s, layers, 2, 3), FHOLA_PARAM, "budget 3 is below 4");
    options[1][1].loss = NAN;
    fail_with(ola_schedule_dp(choice, &s, layers, 2, 5, 1), FHOLA_PARAM,
              "layer 1, option 1 (degree 7): cost 3, loss nan");
    options[1][1] = (ola_option){7, -1, 0};
    fail_with(ola_schedule_greedy(choice, &s, layers, 2, 5), FHOLA_PARAM, "cost -1");
    options[1][1].cost = INFINITY;
    fail_with(ola_schedule_uniform(choice, &s, layers, 2, 5), FHOLA_PARAM, "cost inf");
    layers[1].count = 0;
    fail_with(ola_schedule_dp(choice, &s, layers, 2, 5, 1), FHOLA_PARAM, "layer 1 has 0 options");
    options[1][0].degree = 5;
    layers[1].count = 1;
    fail_with(ola_schedule_uniform(choice, &s, layers, 2, 5), FHOLA_PARAM, "no degree in common");
    ck_assert_ptr_null(f);
    ck_assert_double_eq(s.cost, -7);
    ola_frontier_destroy(NULL);
}
END_TEST

int main(void)
{
    read_seed();
    TCase *tcase = tcase_create("schedules");
    tcase_add_test(tcase, test_dp_is_optimal);
    tcase_add_test(tcase, test_dp_rounds_up);
    tcase_add_test(tcase, test_frontier);
    tcase_add_test(tcase, test_frontier_of_rounded_costs);
    tcase_add_test(tcase, test_greedy_and_uniform);
    tcase_add_test(tcase, test_depth_budget);
    tcase_add_test(tcase, test_bad_input);
    return run_case("ola_schedule", tcase);
}
