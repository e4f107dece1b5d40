/* SPDX-License-Identifier: Apache-2.0 */
/* Networks of every family, with random weights: planned on pictures, compiled, and run encrypted
 * on ten others, against the plaintext polynomial network. Residual ones of CIFAR:
 * long_random_networks. */
#include "agreement.h"
#include "small_network.h"

static nn_tensor depthwise(small_network *n, nn_tensor in, unsigned stride)
{
    unsigned channels = nn_graph_shape(n->model.graph, in).channels;
    return small_convolution(n, in,
                             (nn_convolution_spec){.channels = channels,
                                                   .groups = channels,
                                                   .kernel_y = 3,
                                                   .kernel_x = 3,
                                                   .stride_y = stride,
                                                   .stride_x = stride,
                                                   .pad_top = 1,
                                                   .pad_left = 1,
                                                   .pad_bottom = 1,
                                                   .pad_right = 1});
}

/* Like MobileNetV2: expand, depthwise, project without an activation, add where shapes agree. */
static nn_tensor mobilenet(small_network *n)
{
    nn_tensor x = small_activation(n, small_norm(n, small_conv(n, 0, 8, 3, 1)), "relu6");
    static const unsigned widths[] = {8, 12, 12, 16}, strides[] = {2, 1, 1, 2};
    for (int k = 0; k < 4; k++) {
        unsigned from = nn_graph_shape(n->model.graph, x).channels;
        nn_tensor y = small_activation(n, small_norm(n, small_conv(n, x, 2 * from, 1, 1)), "relu6");
        y = small_activation(n, small_norm(n, depthwise(n, y, strides[k])), "relu6");
        y = small_norm(n, small_conv(n, y, widths[k], 1, 1));
        x = strides[k] == 1 && widths[k] == from ? small_add(n, x, y) : y;
    }
    x = small_activation(n, small_norm(n, small_conv(n, x, 32, 1, 1)), "relu6");
    return small_dense(n, small_global(n, x), 10);
}

static nn_tensor vgg(small_network *n)
{
    nn_tensor x = small_relu(n, small_norm(n, small_conv(n, 0, 8, 3, 1)));
    x = small_max(n, x, 2, 2);
    x = small_relu(n, small_norm(n, small_conv(n, x, 16, 3, 1)));
    x = small_relu(n, small_norm(n, small_conv(n, x, 16, 3, 1)));
    x = small_max(n, x, 2, 2);
    x = small_relu(n, small_dense(n, x, 64));
    return small_dense(n, x, 10);
}

/* Batch norm and activation in front of every convolution; all earlier features are read. */
static nn_tensor densenet(small_network *n)
{
    nn_tensor x = small_conv(n, 0, 8, 3, 1);
    for (int part = 0; part < 2; part++) {
        for (int k = 0; k < 3; k++)
            x = small_concat(n, x, small_conv(n, small_relu(n, small_norm(n, x)), 8, 3, 1));
        x = small_conv(n, small_relu(n, small_norm(n, x)), 16, 1, 1);
        if (part == 0) x = small_average(n, x, 2, 2);
    }
    return small_dense(n, small_global(n, small_relu(n, small_norm(n, x))), 10);
}

/* Sums are never activated, only what is read of them. */
static nn_tensor preactivation(small_network *n)
{
    nn_tensor x = small_conv(n, 0, 16, 3, 1);
    for (int k = 0; k < 5; k++) {
        bool narrows = k == 3;
        unsigned channels = k < 3 ? 16 : 32;
        nn_tensor read = small_relu(n, small_norm(n, x)),
                  y = small_relu(n, small_norm(n, small_conv(n, read, channels, 3, 1 + narrows)));
        y = small_conv(n, y, channels, 3, 1);
        x = small_add(n, narrows ? small_conv(n, read, channels, 1, 2) : x, y);
    }
    return small_dense(n, small_global(n, small_relu(n, small_norm(n, x))), 10);
}

static nn_tensor grey(small_network *n)
{
    nn_tensor x = small_activation(
        n,
        small_convolution(n, 0, (nn_convolution_spec){.channels = 6, .kernel_y = 5, .kernel_x = 5}),
        "tanh");
    x = small_average(n, x, 2, 2);
    x = small_activation(
        n,
        small_convolution(n, x,
                          (nn_convolution_spec){.channels = 16, .kernel_y = 5, .kernel_x = 5}),
        "tanh");
    x = small_activation(n, small_dense(n, small_average(n, x, 2, 2), 84), "sigmoid");
    return small_dense(n, x, 10);
}

static nn_tensor colour(small_network *n)
{
    nn_tensor x = small_relu(n, small_norm(n, small_conv(n, 0, 4, 3, 1)));
    x = small_relu(n, small_norm(n, small_conv(n, x, 16, 3, 2)));
    nn_tensor y = small_relu(n, small_norm(n, small_conv(n, x, 16, 3, 1)));
    x = small_relu(n, small_add(n, x, small_norm(n, small_conv(n, y, 16, 3, 1))));
    x = small_activation(n, small_norm(n, small_conv(n, x, 32, 3, 2)), "silu");
    return small_dense(n, small_global(n, x), 20);
}

static const struct {
    const char *name;
    nn_tensor (*make)(small_network *);
    nn_shape input;
    unsigned log_n;
} networks[] = {
    {"MobileNet", mobilenet, {3, 16, 16}, 13},
    {"VGG", vgg, {3, 16, 16}, 13},
    {"DenseNet", densenet, {3, 16, 16}, 14},
    {"pre-activation ResNet", preactivation, {3, 16, 16}, 13},
    {"grey pictures of 28 x 28", grey, {1, 28, 28}, 14},
    {"colour pictures of 64 x 64", colour, {3, 64, 64}, 15},
};

START_TEST(encrypted_scores_agree)
{
    static const double mean[] = {0.5, 0.4, 0.45}, std[] = {0.25, 0.24, 0.26};
    const nn_model_options options = {.mean = mean, .std = std};
    small_network n;
    nn_model *model;
    small_begin(&n, networks[_i].input, test_seed + (uint64_t)_i);
    n.reach = sqrt(6); /* values keep their size (He, Zhang, Ren, Sun, arXiv 1502.01852) */
    small_must(nn_graph_finish(n.model.graph, networks[_i].make(&n)));
    succeed(nn_model_create(&model, n.model.graph, &options));
    check_agreement(networks[_i].name, model, networks[_i].log_n, 10);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("planned networks");
    tcase_add_loop_test(tcase, encrypted_scores_agree, 0,
                        (int)(sizeof networks / sizeof networks[0]));
    return run_tests("planned networks", tcase, 1800);
}
