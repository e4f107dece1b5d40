/* SPDX-License-Identifier: Apache-2.0 */
/* Networks of every kind, encrypted, against their definition, on small rings. The larger ones:
 * long_graph_networks. */
#include "nn/encrypted/memory.h"
#include "tests/graph_agreement.h"

static uint64_t seed;

/* Strides of their own for each axis, dilation, no padding, a rectangle. */
static void convolutions(small_network *n)
{
    small_begin(n, (nn_shape){2, 20, 28}, seed);
    nn_tensor x = small_relu(
        n, small_convolution(n, 0,
                             (nn_convolution_spec){.channels = 4, .kernel_y = 3, .kernel_x = 5}));
    x = small_relu(n, small_convolution(n, x,
                                        (nn_convolution_spec){.channels = 8,
                                                              .kernel_y = 3,
                                                              .kernel_x = 3,
                                                              .stride_y = 2,
                                                              .stride_x = 3,
                                                              .pad_top = 1,
                                                              .pad_left = 1}));
    x = small_relu(n, small_convolution(n, x,
                                        (nn_convolution_spec){.channels = 8,
                                                              .groups = 2,
                                                              .kernel_y = 3,
                                                              .kernel_x = 2,
                                                              .dilation_y = 2,
                                                              .dilation_x = 3,
                                                              .pad_bottom = 2,
                                                              .pad_right = 1}));
    small_end(n, small_dense(n, x, 5));
}

/* Depthwise and pointwise, pooling by averages. */
static void separable(small_network *n)
{
    small_begin(n, (nn_shape){3, 16, 16}, seed + 1);
    nn_tensor x = small_relu(n, small_conv(n, 0, 8, 3, 1));
    x = small_relu(n, small_convolution(n, x,
                                        (nn_convolution_spec){.channels = 8,
                                                              .groups = 8,
                                                              .kernel_y = 3,
                                                              .kernel_x = 3,
                                                              .stride_y = 2,
                                                              .stride_x = 2,
                                                              .pad_top = 1,
                                                              .pad_left = 1,
                                                              .pad_bottom = 1,
                                                              .pad_right = 1}));
    x = small_relu(n, small_conv(n, x, 12, 1, 1));
    x = small_average(n, small_relu(n, small_conv(n, x, 12, 3, 1)), 2, 2);
    small_end(n, small_dense(n, small_global(n, small_relu(n, small_conv(n, x, 20, 3, 1))), 10));
}

/* Three fully connected layers; the input is a vector. */
static void perceptron(small_network *n)
{
    small_begin(n, (nn_shape){784, 1, 1}, seed + 2);
    nn_tensor x = small_relu(n, small_dense(n, 0, 64));
    x = small_relu(n, small_dense(n, x, 64));
    small_end(n, small_dense(n, x, 10));
}

/* Each layer reads all before it. */
static void dense_block(small_network *n)
{
    small_begin(n, (nn_shape){3, 16, 16}, seed + 3);
    nn_tensor x = small_relu(n, small_conv(n, 0, 4, 3, 1));
    for (int k = 0; k < 3; k++) x = small_concat(n, x, small_relu(n, small_conv(n, x, 4, 3, 1)));
    x = small_average(n, small_relu(n, small_conv(n, x, 8, 1, 1)), 2, 2);
    x = small_concat(n, x, small_relu(n, small_conv(n, x, 8, 3, 1)));
    small_end(n, small_dense(n, small_global(n, x), 10));
}

/* Two branches of two layers each, from one input, joined by addition and read by two others; the
 * scores read two nodes. */
static void branches(small_network *n)
{
    small_begin(n, (nn_shape){1, 16, 16}, seed + 4);
    nn_tensor x = small_relu(n, small_conv(n, 0, 8, 3, 1));
    nn_tensor left =
        small_relu(n, small_conv(n, small_relu(n, small_conv(n, x, 8, 1, 1)), 16, 3, 2));
    nn_tensor right = small_relu(n, small_conv(n, x, 16, 5, 2));
    nn_tensor sum = small_relu(n, small_add(n, left, right));
    nn_tensor last = small_relu(n, small_add(n, small_conv(n, sum, 16, 3, 1), right));
    small_end(n, small_dense(n, small_concat(n, small_global(n, sum), small_global(n, last)), 10));
}

/* A tree of |x| for each. */
static void maxima(small_network *n)
{
    small_begin(n, (nn_shape){1, 28, 28}, seed + 5);
    nn_tensor x = small_max(n, small_relu(n, small_conv(n, 0, 4, 3, 1)), 2, 2);
    x = small_max(n, small_relu(n, small_conv(n, x, 6, 3, 1)), 3, 2);
    small_end(n, small_dense(n, x, 10));
}

/* The last activation gives the scores themselves. */
static void scores_of_activation(small_network *n)
{
    small_begin(n, (nn_shape){2, 8, 8}, seed + 6);
    nn_tensor x = small_relu(n, small_conv(n, 0, 4, 3, 2));
    small_end(n, small_relu(n, small_dense(n, x, 12)));
}

/* Many classes, more than there are values in front of them. */
static void many_classes(small_network *n)
{
    small_begin(n, (nn_shape){1, 12, 12}, seed + 7);
    nn_tensor x = small_activation(n, small_dense(n, 0, 20), "silu");
    small_end(n, small_dense(n, x, 300));
}

/* Five ciphertexts of 4,096 values, two of them pairs, then three, two and one; a picture of two; a
 * sum of nodes with several. */
static void several_ciphertexts(small_network *n)
{
    small_begin(n, (nn_shape){2, 48, 48}, seed + 8);
    nn_tensor x = small_relu(n, small_conv(n, 0, 5, 3, 1));
    nn_tensor y = small_relu(n, small_conv(n, x, 12, 3, 2));
    x = small_relu(n, small_add(n, small_conv(n, y, 12, 3, 1), small_conv(n, x, 12, 1, 2)));
    x = small_relu(n, small_conv(n, x, 20, 3, 2));
    small_end(n, small_dense(n, small_global(n, x), 10));
}

static const struct {
    const char *name;
    void (*make)(small_network *);
    unsigned log_n;
} networks[] = {
    {"convolutions", convolutions, 13},
    {"separable", separable, 13},
    {"perceptron", perceptron, 13},
    {"dense block", dense_block, 13},
    {"branches", branches, 13},
    {"maxima", maxima, 13},
    {"scores of an activation", scores_of_activation, 13},
    {"many classes", many_classes, 13},
    {"several ciphertexts", several_ciphertexts, 13},
};

START_TEST(encrypted_equals_definition)
{
    check_graph_agreement(networks[_i].name, networks[_i].make, networks[_i].log_n);
}
END_TEST

/* With no room for diagonals, half of what they take as coefficients, that, half of what they take
 * when they are ready, and nearly all: the result is that of a network that keeps all, bit for
 * bit. */
static void check_budgets(void (*make)(small_network *))
{
    static double pixels[SMALL_VALUES], picture[SMALL_VALUES], direct[NN_MAX_CLASSES];
    graph_run g = {.worst = 0};
    make(&g.s);
    small_picture(&g.s, pixels, picture);
    direct_network(&g.s, direct, picture, NULL, 1);
    graph_open(&g, 13);
    ck_assert_ok(nn_encrypt_picture(g.context, g.workspace, g.in, nn_network_client(g.network),
                                    pixels, g.secret, g.rng));
    ck_assert_ok(nn_infer(g.context, g.workspace, g.out, g.network, g.keys, g.in, NULL));
    ck_assert(!nn_network_needs_weights(g.network));
    uint64_t hash = ciphertext_hash(g.out);
    uint64_t narrow = nn_room_make(&g.network->schedule, NULL, 0).ahead,
             full = nn_network_bytes(g.network);
    ck_assert_uint_gt(narrow, 0);
    const uint64_t room[] = {0, narrow / 2, narrow, 2 * narrow, 5 * narrow / 2};
    for (size_t k = 0; k < sizeof room / sizeof *room; k++) {
        nn_network *n = NULL;
        ck_assert_ok(
            nn_network_create_within(&n, g.context, g.workspace, &g.s.model, &g.s.plan, room[k]));
        ck_assert_int_eq(nn_network_needs_weights(n), room[k] < narrow);
        ck_assert_uint_lt(nn_network_bytes(n), full);
        ck_assert_ok(nn_infer(g.context, g.workspace, g.out, n, g.keys, g.in, NULL));
        ck_assert_uint_eq(ciphertext_hash(g.out), hash);
        nn_network_destroy(n);
    }
    graph_close(&g);
}

START_TEST(results_whatever_the_memory)
{
    check_budgets(_i ? several_ciphertexts : branches);
}
END_TEST

/* The room for diagonals is what memory leaves; too little of it is an error that says how much. */
START_TEST(memory_of_a_network)
{
    graph_run g = {.worst = 0};
    uint64_t room = 1;
    several_ciphertexts(&g.s);
    graph_open(&g, 13);
    nn_memory m = nn_network_memory(g.network, g.context);
    ck_assert_ok(nn_network_room(&room, g.network, g.context, m.most));
    ck_assert_uint_eq(room, UINT64_MAX);
    ck_assert_ok(nn_network_room(&room, g.network, g.context, m.least + 5));
    ck_assert_uint_eq(room, 5);
    ck_assert_fails(nn_network_room(&room, g.network, g.context, m.least - 1), FHOLA_NOMEM);
    ck_assert_uint_eq(room, 5);
    ck_assert_ptr_nonnull(strstr(fhola_detail(), "GiB of memory"));
    graph_close(&g);
}
END_TEST

static void add_tests(TCase *tcase)
{
    tcase_add_loop_test(tcase, encrypted_equals_definition, 0,
                        sizeof networks / sizeof networks[0]);
    tcase_add_loop_test(tcase, results_whatever_the_memory, 0, 2);
    tcase_add_test(tcase, memory_of_a_network);
}

int main(void)
{
    test_seed(71);
    seed = random_word();
    return test_run("graph networks", add_tests, 600);
}
