/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/plain/gradient.h"

#include "nn/base/parallel.h"
#include "twin_graph.h"

#define STEP 1e-6

/* The loss in double precision with `along` (channels-last) times `step` added to what comes out of
 * activation `at`. */
typedef struct nudge {
    size_t at;
    const float *along;
    double step;
} nudge;

static void activate(double *y, const double *x, size_t i, const nn_node *node, const nudge *n)
{
    size_t channels = node->shape.channels, plane = (size_t)node->shape.height * node->shape.width;
    for (size_t c = 0; c < channels; c++)
        for (size_t j = 0; j < plane; j++) {
            double value = ola_function_eval(&node->function, x[c * plane + j]);
            y[c * plane + j] =
                value + (n->at == i ? n->step * (double)n->along[j * channels + c] : 0);
        }
}

static double loss(const nn_model *model, const double *planes, unsigned label, const nudge *n)
{
    const nn_graph *g = model->graph;
    double *values[64], scores[64], sum = 0;
    ck_assert_uint_le(g->count, 64);
    for (size_t i = 0; i < g->count; i++) {
        const nn_node *node = &g->nodes[i];
        size_t count = nn_shape_values(node->shape);
        values[i] = malloc(count * sizeof **values);
        ck_assert_ptr_nonnull(values[i]);
        if (i == 0) memcpy(values[0], planes, count * sizeof *planes);
        for (size_t k = 0; i > 0 && k < count; k++) values[i][k] = nn_node_bias(node, k);
        for (size_t k = 0; k < node->edge_count; k++)
            nn_map_add(values[i], &node->edges[k].map, values[node->edges[k].node]);
        if (i > 0 && i + 1 < g->count) activate(values[i], values[i], i - 1, node, n);
    }
    memcpy(scores, values[g->count - 1], model->classes * sizeof *scores);
    for (unsigned k = 0; k < model->classes; k++) sum += exp(scores[k]);
    for (size_t i = 0; i < g->count; i++) free(values[i]);
    return log(sum) - scores[label];
}

static void load_picture(double *values, float *planes, const nn_model *model,
                         const nn_batch *batch, size_t index)
{
    nn_batch_picture(batch, index, values);
    nn_picture_normalise(values, values, model->mean, model->std);
    for (size_t j = 0; j < NN_PICTURE_VALUES; j++) planes[j] = (float)values[j];
}

static const struct {
    unsigned blocks;
    const char *shortcut, *function;
} networks[] = {{1, "down", "relu"},
                {1, NULL, "relu"},
                {2, "down", "relu"},
                {1, "down", "gelu"},
                {1, NULL, "silu"}};

/* The slope along a random direction at every activation, against a central difference of the
 * loss. */
static void check_slopes(const nn_model *model, const double *values, const float *planes,
                         unsigned label)
{
    static float along[1 << 16];
    uint64_t random = test_seed;
    nn_gradient *gradient;
    nn_gradient_trace trace;
    succeed(nn_gradient_create(&gradient, model));
    succeed(nn_gradient_trace_create(&trace, gradient));
    nn_gradient_run(gradient, &trace, planes, label);
    assert_close(trace.loss, loss(model, values, label, &(nudge){.at = SIZE_MAX}), 1e-4);
    for (size_t i = 0; i < nn_model_activations(model); i++) {
        size_t count = nn_shape_values(nn_graph_layer(model->graph, i)->shape);
        double slope = 0, size = 0;
        for (size_t j = 0; j < count; j++) {
            along[j] = (float)uniform(&random, -1, 1);
            slope += (double)trace.gradient[i][j] * (double)along[j];
            size += (double)trace.gradient[i][j] * (double)trace.gradient[i][j] / 3;
        }
        double above = loss(model, values, label, &(nudge){i, along, STEP}),
               below = loss(model, values, label, &(nudge){i, along, -STEP});
        double difference = (above - below) / (2 * STEP);
        ck_assert_msg(fabs(slope - difference) <= 0.02 * sqrt(size) && size > 0,
                      "activation %zu: slope %g, difference %g, typical %g", i, slope, difference,
                      sqrt(size));
    }
    nn_gradient_trace_clear(&trace);
    nn_gradient_free(gradient);
}

START_TEST(agrees_with_finite_differences)
{
    static float planes[NN_PICTURE_VALUES];
    static double values[NN_PICTURE_VALUES];
    nn_model *model;
    nn_batch *batch;
    succeed(nn_model_load(
        &model, write_network("n", networks[_i].blocks, networks[_i].shortcut, test_seed), NULL));
    succeed(nn_model_set_function(model, networks[_i].function));
    succeed(nn_batch_load(&batch, write_batch("b", 2, 3, test_seed), 0, 0));
    for (size_t picture = 0; picture < 2; picture++) {
        load_picture(values, planes, model, batch, picture);
        check_slopes(model, values, planes, nn_batch_label(batch, picture));
    }
    nn_batch_free(batch);
    nn_model_free(model);
}
END_TEST

START_TEST(networks_of_any_kind)
{
    static float planes[1 << 14];
    twin t;
    nn_model *model;
    if (_i == 2) return; /* the largest of several zeros has no slope; silu has no zeros (7) */
    twin_kind(&t, (unsigned)_i, test_seed);
    succeed(nn_model_create(&model, t.graph, NULL));
    t.graph = NULL;
    for (size_t k = 0; k < nn_shape_values(t.shape[0]); k++) planes[k] = (float)t.value[0][k];
    check_slopes(model, t.value[0], planes, 1);
    nn_model_free(model);
    twin_clear(&t);
}
END_TEST

START_TEST(importances_are_mean_squares)
{
    static float planes[NN_PICTURE_VALUES];
    static double values[NN_PICTURE_VALUES];
    nn_model *model;
    nn_batch *batch, *beyond;
    nn_gradient *gradient;
    nn_gradient_trace trace;
    double room[7][64], *rows[7], expected = 0, scores = 0, score_square, square;
    for (size_t i = 0; i < 7; i++) rows[i] = room[i];
    succeed(nn_model_load(&model, write_network("n", 1, "down", test_seed), NULL));
    succeed(nn_batch_load(&batch, write_batch("b", 70, 3, test_seed), 0, 0));
    succeed(nn_gradient_create(&gradient, model));
    succeed(nn_gradient_trace_create(&trace, gradient));
    succeed(nn_gradient_importances(rows, &score_square, model, batch, 70, NULL, NULL));
    for (size_t picture = 0; picture < 70; picture++) {
        load_picture(values, planes, model, batch, picture);
        nn_gradient_run(gradient, &trace, planes, nn_batch_label(batch, picture));
        for (size_t j = 0; j < 256; j++)
            expected +=
                (double)trace.gradient[4][j * 32 + 5] * (double)trace.gradient[4][j * 32 + 5] / 70;
        for (size_t k = 0; k < 3; k++) scores += trace.scores[k] * trace.scores[k] / 70;
    }
    assert_close(room[4][5], expected, 1e-9 * expected);
    assert_close(score_square, scores, 1e-9 * scores);
#ifdef _OPENMP
    double before = room[2][3];
    omp_set_num_threads(1);
    succeed(nn_gradient_importances(rows, &square, model, batch, 70, NULL, NULL));
    ck_assert(before == room[2][3] && square == score_square);
#endif
    fail_with(nn_gradient_importances(rows, &square, model, batch, 71, NULL, NULL), FHOLA_PARAM,
              "71");
    fail_with(nn_gradient_importances(rows, &square, model, batch, 0, NULL, NULL), FHOLA_PARAM,
              "0 pictures");
    succeed(nn_batch_load(&beyond, write_batch("beyond", 20, 10, test_seed), 0, 0));
    fail_with(nn_gradient_importances(rows, &square, model, beyond, 20, NULL, NULL), FHOLA_RANGE,
              "label");
    nn_gradient_trace_clear(&trace);
    nn_gradient_free(gradient);
    nn_batch_free(beyond);
    nn_batch_free(batch);
    nn_model_free(model);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("gradient");
    tcase_add_loop_test(tcase, agrees_with_finite_differences, 0,
                        (int)(sizeof networks / sizeof networks[0]));
    tcase_add_loop_test(tcase, networks_of_any_kind, 0, TWIN_KINDS);
    tcase_add_test(tcase, importances_are_mean_squares);
    return run_tests("gradient", tcase, 120);
}
