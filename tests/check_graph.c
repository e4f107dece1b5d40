/* SPDX-License-Identifier: Apache-2.0 */
/* Graphs in normal form against what their layers compute one by one; what the builder refuses. */
#include "twin_graph.h"

/* The scores of the normal form. */
static void run(const nn_graph *g, double *scores, const double *picture)
{
    double **value = calloc(g->count, sizeof *value);
    ck_assert_ptr_nonnull(value);
    for (size_t i = 0; i < g->count; i++) {
        const nn_node *node = &g->nodes[i];
        size_t count = nn_shape_values(node->shape);
        value[i] = calloc(count, sizeof **value);
        ck_assert_ptr_nonnull(value[i]);
        if (i == 0) memcpy(value[0], picture, count * sizeof **value);
        for (size_t k = 0; i > 0 && k < count; k++) value[i][k] = nn_node_bias(node, k);
        for (size_t k = 0; k < node->edge_count; k++) {
            ck_assert_uint_lt(node->edges[k].node, i);
            if (k > 0) ck_assert_uint_lt(node->edges[k - 1].node, node->edges[k].node);
            nn_map_add(value[i], &node->edges[k].map, value[node->edges[k].node]);
        }
        for (size_t k = 0; k < count; k++)
            value[i][k] = ola_function_eval(&node->function, value[i][k]);
    }
    const nn_node *last = nn_graph_scores(g);
    ck_assert_uint_eq(last->shape.height * last->shape.width, 1);
    memcpy(scores, value[g->count - 1], last->shape.channels * sizeof *scores);
    for (size_t i = 0; i < g->count; i++) free(value[i]);
    free(value);
}

/* The finished twin has `layers` layers and the scores it must have. */
static void check_scores(twin *t, size_t layers)
{
    double scores[64];
    size_t count = nn_shape_values(t->shape[t->scores]);
    ck_assert_uint_eq(nn_graph_scores(t->graph)->shape.channels, count);
    run(t->graph, scores, t->value[0]);
    for (size_t k = 0; k < count; k++) assert_close(scores[k], t->value[t->scores][k], 1e-11);
    ck_assert_uint_eq(nn_graph_layers(t->graph), layers);
    twin_clear(t);
}

START_TEST(test_networks)
{
    twin t;
    twin_init(&t, (nn_shape){3, 16, 16}, test_seed);
    twin_mobile(&t, "relu6");
    check_scores(&t, 5);
    twin_init(&t, (nn_shape){3, 16, 12}, test_seed);
    twin_vgg(&t, "relu");
    check_scores(&t, 2 + 2 * 2 + 1);
    twin_init(&t, (nn_shape){3, 8, 8}, test_seed);
    twin_dense_net(&t);
    check_scores(&t, 5);
    twin_init(&t, (nn_shape){3, 9, 9}, test_seed);
    twin_preactivation(&t, "gelu", false);
    check_scores(&t, 7);
    twin_init(&t, (nn_shape){1, 9, 9}, test_seed);
    twin_preactivation(&t, "silu", true);
    ck_assert(nn_graph_layer(t.graph, 0)->full_bias);
    check_scores(&t, 7);
    twin_init(&t, (nn_shape){1, 10, 14}, test_seed);
    twin_tensorflow(&t);
    check_scores(&t, 2);
}
END_TEST

/* Every kind of maximum pooling: kernels, strides, pads. */
START_TEST(test_max_pool)
{
    static const nn_pool_spec specs[] = {
        {.kernel_y = 2, .kernel_x = 2, .stride_y = 2, .stride_x = 2},
        {.kernel_y = 3,
         .kernel_x = 3,
         .stride_y = 2,
         .stride_x = 2,
         .pad_top = 1,
         .pad_left = 1,
         .pad_bottom = 1,
         .pad_right = 1},
        {.kernel_y = 3, .kernel_x = 2, .stride_y = 1, .stride_x = 3},
        {.kernel_y = 4, .kernel_x = 5, .stride_y = 4, .stride_x = 2},
        {.kernel_y = 1, .kernel_x = 3, .stride_y = 2, .stride_x = 1, .pad_right = 2},
        {.kernel_y = 1, .kernel_x = 1, .stride_y = 2, .stride_x = 2},
        {.kernel_y = 2, .kernel_x = 2, .stride_y = 2, .stride_x = 2, .pad_bottom = 1},
    };
    for (size_t k = 0; k < sizeof specs / sizeof *specs; k++) {
        twin t;
        twin_init(&t, (nn_shape){2, 11, 9}, test_seed + k);
        nn_tensor x = twin_layer(&t, 0, 3, 3, 1, 1, "tanh");
        x = twin_pool(&t, x, specs[k], false);
        twin_finish(&t, twin_dense(&t, x, 4));
        size_t rounds = 0;
        for (unsigned w = 1; w < specs[k].kernel_x; w *= 2) rounds++;
        for (unsigned w = 1; w < specs[k].kernel_y; w *= 2) rounds++;
        check_scores(&t, 1 + rounds);
    }
}
END_TEST

/* Average pooling at borders, pads and crops, shuffled channels, strided and dilated convolutions,
 * slices, sums of a tensor with itself. */
START_TEST(test_linear_layers)
{
    twin t;
    twin_init(&t, (nn_shape){4, 10, 8}, test_seed);
    nn_tensor x = twin_convolution(&t, 0,
                                   (nn_convolution_spec){.channels = 6,
                                                         .groups = 2,
                                                         .kernel_y = 3,
                                                         .kernel_x = 2,
                                                         .stride_x = 2,
                                                         .dilation_y = 2,
                                                         .pad_top = 1,
                                                         .pad_bottom = 3,
                                                         .pad_left = 1});
    x = twin_pad(&t, x, 2, -1, 0, 1);
    x = twin_activation(&t, x, "leaky_relu");
    nn_pool_spec window = {
        .kernel_y = 3, .kernel_x = 3, .pad_top = 1, .pad_left = 1, .pad_bottom = 1, .pad_right = 1};
    nn_tensor a = twin_pool(&t, x, window, true);
    window.count_padding = true;
    nn_tensor b = twin_pool(&t, x, window, true);
    x = twin_combine(&t, a, 0.5, b, -2);
    nn_shape s = t.shape[x];
    uint32_t index[3 * 4 * 2];
    for (unsigned k = 0; k < 24; k++) /* channels 4, 2, 0; a crop */
        index[k] = (uint32_t)twin_at(s, 4 - 2 * (k / 8), 1 + k / 2 % 4, k % 2);
    nn_tensor shuffled = twin_select(&t, x, (nn_shape){3, 4, 2}, index);
    for (unsigned k = 0; k < 24; k++) index[k] = 23 - k;
    nn_tensor turned = twin_select(&t, shuffled, (nn_shape){3, 4, 2}, index);
    x = twin_activation(&t, twin_add(&t, turned, twin_affine(&t, turned)), "elu");
    x = twin_add(&t, x, twin_affine_full(&t, twin_add(&t, shuffled, x)));
    twin_finish(&t, twin_dense(&t, twin_dense(&t, x, 7), 3));
    check_scores(&t, 2);
}
END_TEST

/* Where the product of two maps costs too much a linear node stands between them; what nothing
 * reads is gone. */
START_TEST(test_linear_node)
{
    twin t;
    twin_init(&t, (nn_shape){3, 8, 8}, test_seed);
    nn_tensor x = twin_activation(&t, twin_conv(&t, 0, 64, 3, 1, 1), "relu");
    twin_activation(&t, twin_conv(&t, x, 4, 3, 1, 1), "relu");
    x = twin_conv(&t, twin_conv(&t, x, 64, 3, 1, 1), 64, 3, 1, 1);
    x = twin_activation(&t, x, "relu");
    twin_finish(&t, twin_dense(&t, twin_global(&t, x), 3));
    ck_assert_int_eq(nn_graph_layer(t.graph, 1)->function.kind, OLA_IDENTITY);
    ck_assert_str_eq(nn_graph_layer(t.graph, 1)->name, "convolution");
    ck_assert_uint_eq(nn_graph_depth(t.graph), 4);
    check_scores(&t, 3);
}
END_TEST

/* Of two ways through a network the longer one counts, linear nodes as well. */
START_TEST(test_depth)
{
    twin t;
    twin_init(&t, (nn_shape){2, 6, 6}, test_seed);
    nn_tensor x = twin_activation(&t, twin_conv(&t, 0, 4, 3, 1, 1), "relu");
    x = twin_activation(&t, twin_conv(&t, x, 4, 3, 1, 1), "relu");
    x = twin_activation(&t, twin_conv(&t, x, 4, 3, 1, 1), "relu");
    nn_tensor y = twin_activation(&t, twin_conv(&t, 0, 4, 3, 1, 1), "relu"); /* a later node */
    twin_finish(&t, twin_dense(&t, twin_global(&t, twin_add(&t, x, y)), 3));
    ck_assert_uint_eq(nn_graph_depth(t.graph), 4);
    check_scores(&t, 4);
}
END_TEST

START_TEST(test_refusals)
{
    nn_graph *g = NULL;
    nn_tensor x, y;
    double weight[64] = {0}, bad[64] = {0};
    bad[5] = (double)NAN;
    nn_activation_spec relu = {.kind = "relu"}, none = {.kind = "swish"};
    fail_with(nn_graph_create(&g, (nn_shape){3, 0, 4}), FHOLA_PARAM, "3 x 0 x 4");
    succeed(nn_graph_create(&g, (nn_shape){3, 4, 4}));
    nn_convolution_spec c = {.channels = 4, .kernel_y = 5, .kernel_x = 1, .weight = weight};
    fail_with(nn_graph_convolution(g, &x, "conv7", 0, &c), FHOLA_PARAM,
              "conv7: a kernel of 5 x 1 (dilation 1, 1) does not fit into its input of 4 x 4");
    c.kernel_y = 1;
    c.groups = 2;
    fail_with(nn_graph_convolution(g, &x, "conv7", 0, &c), FHOLA_PARAM,
              "conv7: 2 groups do not divide 3 channels in and 4 out");
    c.groups = 1;
    c.weight = bad;
    fail_with(nn_graph_convolution(g, &x, "conv7", 0, &c), FHOLA_RANGE, "conv7: weight 5 is NaN");
    c.weight = weight;
    fail_with(nn_graph_convolution(g, &x, "conv7", 9, &c), FHOLA_PARAM, "tensor 9, does not exist");
    succeed(nn_graph_convolution(g, &x, "conv7", 0, &c));
    fail_with(nn_graph_add(g, &y, "add1", 0, x), FHOLA_PARAM,
              "add1: a sum of 3 x 4 x 4 and 4 x 4 x 4");
    fail_with(nn_graph_activation(g, &y, "act", x, &none), FHOLA_PARAM,
              "act: there is no function \"swish\"");
    fail_with(nn_graph_reshape(g, &y, "flat", x, (nn_shape){65, 1, 1}), FHOLA_PARAM,
              "flat: 4 x 4 x 4 values cannot become 65 x 1 x 1");
    fail_with(nn_graph_finish(g, x), FHOLA_PARAM, "no activation");
    nn_pool_spec pool = {.kernel_y = 2, .kernel_x = 5};
    fail_with(nn_graph_max_pool(g, &y, "pool", x, &pool), FHOLA_PARAM, "pool: pooling by 2 x 5");
    succeed(nn_graph_activation(g, &x, "act", x, &relu));
    fail_with(nn_graph_dense(g, &y, "fc", x, 0, weight, NULL), FHOLA_PARAM, "fc: 0 values");
    succeed(nn_graph_finish(g, x));
    fail_with(nn_graph_add(g, &y, "add2", x, x), FHOLA_PARAM, "add2: the graph is finished");
    nn_graph_destroy(g);
}
END_TEST

/* The hash knows weights, functions and edges, but not names. */
START_TEST(test_hash)
{
    uint64_t hash[4];
    for (unsigned k = 0; k < 4; k++) {
        twin t;
        twin_init(&t, (nn_shape){1, 4, 4}, test_seed);
        nn_tensor x = twin_conv(&t, 0, 2, 3, 1, 1);
        x = twin_activation(&t, x, k == 1 ? "silu" : "relu");
        if (k == 2) x = twin_add(&t, x, x);
        twin_finish(&t, twin_dense(&t, x, 2));
        if (k == 3) t.graph->nodes[1].name[0] = '!';
        hash[k] = nn_graph_hash(t.graph);
        twin_clear(&t);
    }
    ck_assert_uint_ne(hash[0], hash[1]);
    ck_assert_uint_ne(hash[0], hash[2]);
    ck_assert_uint_eq(hash[0], hash[3]);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("graph");
    tcase_add_test(tcase, test_networks);
    tcase_add_test(tcase, test_max_pool);
    tcase_add_test(tcase, test_linear_layers);
    tcase_add_test(tcase, test_linear_node);
    tcase_add_test(tcase, test_depth);
    tcase_add_test(tcase, test_refusals);
    tcase_add_test(tcase, test_hash);
    return run_tests("graph", tcase, 120);
}
