/* SPDX-License-Identifier: Apache-2.0 */
/* Networks with larger tensors than those of check_graph_networks, encrypted, against their
 * definition: up to 2^14 values, tensors no grid of powers of two has room for, and tensors of up
 * to four ciphertexts of the full ring. */
#include "tests/graph_agreement.h"

static uint64_t seed;

/* LeNet-5 for grey pictures of 28 x 28, with a final choice of widths. */
static void grey(small_network *n)
{
    small_begin(n, (nn_shape){1, 28, 28}, seed);
    nn_tensor x = small_relu(
        n, small_convolution(n, 0,
                             (nn_convolution_spec){.channels = 6, .kernel_y = 5, .kernel_x = 5}));
    x = small_average(n, x, 2, 2);
    x = small_relu(
        n, small_convolution(n, x,
                             (nn_convolution_spec){.channels = 16, .kernel_y = 5, .kernel_x = 5}));
    x = small_average(n, x, 2, 2);
    x = small_relu(n, small_dense(n, x, 120));
    x = small_relu(n, small_dense(n, x, 84));
    small_end(n, small_dense(n, x, 10));
}

static void colour(small_network *n)
{
    small_begin(n, (nn_shape){3, 64, 64}, seed + 1);
    nn_tensor x = small_relu(n, small_conv(n, 0, 4, 3, 1));
    x = small_relu(n, small_conv(n, x, 16, 3, 2));
    x = small_relu(n, small_conv(n, x, 32, 3, 2));
    small_end(n, small_dense(n, small_global(n, x), 10));
}

/* 20 channels of 24 x 24, 5 of 57 x 57: only without room between the channels, or between the
 * rows. */
static void crowded(small_network *n)
{
    small_begin(n, (nn_shape){5, 57, 57}, seed + 2);
    nn_tensor x = small_relu(n, small_conv(n, 0, 5, 3, 1));
    x = small_relu(
        n, small_convolution(
               n, x,
               (nn_convolution_spec){
                   .channels = 20, .kernel_y = 12, .kernel_x = 12, .stride_y = 2, .stride_x = 2}));
    x = small_relu(n, small_conv(n, x, 20, 3, 1));
    small_end(n, small_dense(n, x, 10));
}

/* A block with a residual connection on four ciphertexts, two pairs; then 12 channels of 64 x 64, a
 * pair and one alone; then two ciphertexts, then one. */
static void wide(small_network *n)
{
    small_begin(n, (nn_shape){3, 64, 64}, seed + 3);
    nn_tensor x = small_relu(n, small_conv(n, 0, 16, 3, 1));
    nn_tensor y = small_relu(n, small_conv(n, x, 16, 3, 1));
    x = small_relu(n, small_add(n, small_conv(n, y, 16, 3, 1), x));
    x = small_relu(n, small_conv(n, x, 12, 3, 1));
    x = small_relu(n, small_conv(n, x, 32, 3, 2));
    x = small_relu(n, small_conv(n, x, 64, 3, 2));
    small_end(n, small_dense(n, small_global(n, x), 10));
}

START_TEST(grey_28)
{
    check_graph_agreement("grey 28 x 28", grey, 14);
}
END_TEST

START_TEST(colour_64)
{
    check_graph_agreement("colour 64 x 64", colour, 15);
}
END_TEST

START_TEST(no_grid)
{
    check_graph_agreement("crowded", crowded, 15);
}
END_TEST

START_TEST(several_ciphertexts)
{
    check_graph_agreement("64 x 64, four ciphertexts", wide, 15);
}
END_TEST

static void add_tests(TCase *tcase)
{
    tcase_add_test(tcase, grey_28);
    tcase_add_test(tcase, colour_64);
    tcase_add_test(tcase, no_grid);
    tcase_add_test(tcase, several_ciphertexts);
}

int main(void)
{
    test_seed(72);
    seed = random_word();
    return test_run("graph networks", add_tests, 1800);
}
