/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/plain/trace.h"

#include "nn/graph/model_io.h"
#include "nn/nn.h"
#include "twin_graph.h"

/* What goes into value `place` of a node, from the entries of its maps. */
static double sum_at(const nn_node *node, const nn_trace *trace, const double *picture,
                     size_t place)
{
    size_t plane = (size_t)node->shape.height * node->shape.width;
    nn_place o = {(unsigned)(place / plane), (unsigned)(place % plane / node->shape.width),
                  (unsigned)(place % node->shape.width)};
    double sum = nn_node_bias(node, place);
    for (size_t e = 0; e < node->edge_count; e++) {
        const nn_edge *edge = &node->edges[e];
        const double *in = edge->node ? trace->layers[edge->node - 1].y : picture;
        nn_place i;
        for (i.channel = 0; i.channel < edge->map.in.channels; i.channel++)
            for (i.y = 0; i.y < edge->map.in.height; i.y++)
                for (i.x = 0; i.x < edge->map.in.width; i.x++)
                    sum += nn_map_entry(&edge->map, o, i) * *in++;
    }
    return sum;
}

/* Cosine form of T_k for |X| <= 1, hyperbolic beyond. */
static double chebyshev(unsigned k, double x)
{
    if (fabs(x) <= 1) return cos(k * acos(x));
    return (x < 0 && k % 2 ? -1 : 1) * cosh(k * acosh(fabs(x)));
}

static void random_plan(nn_plan *plan, uint64_t seed)
{
    uint64_t random = seed;
    for (size_t i = 0; i < plan->count; i++) {
        static const unsigned degrees[] = {3, 7, 5, 15, 1, 2};
        nn_activation *a = &plan->activations[i];
        succeed(nn_plan_set_degree(plan, i, degrees[i % 6]));
        for (unsigned c = 0; c < a->channels; c++) {
            a->centre[c] = uniform(&random, -0.5, 0.5);
            a->half_width[c] = uniform(&random, 3, 6);
            for (unsigned k = 0; k <= a->degree; k++)
                a->coeff[k * a->channels + c] = uniform(&random, -1, 1) / (1 + k);
        }
    }
}

/* Follows the definition through the network at scattered places of every layer. */
static void check_trace(const nn_model *model, const nn_plan *plan, const double *values)
{
    double scores[8];
    uint64_t random = test_seed;
    nn_trace *trace;
    succeed(nn_trace_create(&trace, model, plan, values));
    ck_assert_uint_eq(trace->count, nn_model_activations(model));
    for (size_t i = 0; i < trace->count; i++) {
        const nn_trace_layer *layer = &trace->layers[i];
        const nn_node *node = nn_graph_layer(model->graph, i);
        size_t plane = (size_t)layer->shape.height * layer->shape.width;
        ck_assert(nn_shape_equal(layer->shape, node->shape));
        for (int n = 0; n < 20; n++) {
            size_t place = next_random(&random) % (layer->shape.channels * plane),
                   c = place / plane;
            double sum = sum_at(node, trace, values, place);
            assert_close(layer->x[place], sum, 1e-11 * (1 + fabs(sum)));
            if (!plan) {
                ck_assert_ptr_null(layer->w);
                assert_close(layer->y[place], ola_function_eval(&node->function, sum),
                             1e-11 * (1 + fabs(sum)));
                continue;
            }
            const nn_activation *a = &plan->activations[i];
            double w = (sum - a->centre[c]) / a->half_width[c], X = w, y_expected = 0;
            if (plan->eps > 0)
                X = sin(2 * acos(-1) * plan->eps * w) / sin(2 * acos(-1) * plan->eps);
            for (unsigned k = 0; k <= a->degree; k++)
                y_expected += a->coeff[k * a->channels + c] * chebyshev(k, X);
            assert_close(layer->w[place], w, 1e-11 * (1 + fabs(w)));
            assert_close(layer->y[place], y_expected, 1e-9 * (1 + fabs(y_expected)));
        }
    }
    for (size_t k = 0; k < model->classes; k++) {
        double sum = sum_at(nn_graph_scores(model->graph), trace, values, k);
        assert_close(trace->scores[k], sum, 1e-10 * (1 + fabs(sum)));
    }
    succeed(nn_plain_scores(scores, model, plan, values));
    ck_assert_int_eq(memcmp(scores, trace->scores, model->classes * sizeof *scores), 0);
    nn_trace_free(trace);
}

/* Exact scores of every kind of network against what its layers compute one by one. */
START_TEST(networks_are_their_layers)
{
    twin t;
    double scores[8];
    nn_model *model;
    nn_plan *plan;
    twin_kind(&t, (unsigned)_i, test_seed);
    succeed(nn_model_create(&model, t.graph, NULL));
    t.graph = NULL;
    succeed(nn_plain_scores(scores, model, NULL, t.value[0]));
    for (size_t k = 0; k < model->classes; k++)
        assert_close(scores[k], t.value[t.scores][k], 1e-11);
    check_trace(model, NULL, t.value[0]);
    succeed(nn_plan_create(&plan, model, 0.25));
    random_plan(plan, test_seed);
    check_trace(model, plan, t.value[0]);
    nn_plan_free(plan);
    nn_model_free(model);
    twin_clear(&t);
}
END_TEST

START_TEST(network_is_its_definition)
{
    nn_model *model;
    nn_plan *plan;
    double picture[NN_PICTURE_VALUES];
    uint64_t random = test_seed;
    for (size_t i = 0; i < NN_PICTURE_VALUES; i++) picture[i] = uniform(&random, -2, 2);
    succeed(nn_model_load(&model, write_network("n", 2, _i ? "down" : NULL, test_seed + 5), NULL));
    check_trace(model, NULL, picture);
    succeed(nn_plan_create(&plan, model, 0.125));
    random_plan(plan, test_seed);
    check_trace(model, plan, picture);
    plan->eps = 0;
    check_trace(model, plan, picture);
    plan->model_hash ^= 1;
    nn_trace *trace = NULL;
    double values[NN_PICTURE_VALUES] = {0};
    fail_with(nn_trace_create(&trace, model, plan, values), FHOLA_PARAM, "for another model");
    ck_assert_ptr_null(trace);
    nn_plan_free(plan);
    nn_model_free(model);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("trace");
    tcase_add_loop_test(tcase, networks_are_their_layers, 0, TWIN_KINDS);
    tcase_add_loop_test(tcase, network_is_its_definition, 0, 2);
    return run_tests("trace", tcase, 120);
}
