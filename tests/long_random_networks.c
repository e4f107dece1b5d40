/* SPDX-License-Identifier: Apache-2.0 */
/* Randomly initialised CIFAR ResNets of several depths and widths with both kinds of shortcuts, 10
 * and 100 classes: encrypted scores agree with the plaintext polynomial network. */
#include "agreement.h"

static const struct {
    unsigned blocks;
    const char *shortcut;
    size_t width, classes;
    const char *function;
    unsigned log_n;
} networks[] = {{1, "down", 16, 10, "relu", 15},        {1, NULL, 16, 100, "relu", 15},
                {2, "downsample", 16, 100, "relu", 15}, {2, NULL, 8, 10, "relu", 14},
                {7, "shortcut", 16, 10, "relu", 15},    {7, NULL, 16, 100, "relu", 15},
                {1, "down", 32, 10, "relu", 15},        {3, "down", 16, 10, "gelu", 15},
                {3, "down", 8, 10, "silu", 14}};

START_TEST(encrypted_scores_agree)
{
    char name[120];
    snprintf(name, sizeof name, "ResNet-%u, %zu channels, %s, %s, %zu classes",
             6 * networks[_i].blocks + 2, networks[_i].width,
             networks[_i].shortcut ? "projections" : "zero-padded shortcuts", networks[_i].function,
             networks[_i].classes);
    check_agreement(name,
                    random_resnet(networks[_i].blocks, networks[_i].shortcut, networks[_i].width,
                                  networks[_i].classes, networks[_i].function),
                    networks[_i].log_n, 10);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("random networks");
    tcase_add_loop_test(tcase, encrypted_scores_agree, 0,
                        (int)(sizeof networks / sizeof networks[0]));
    return run_tests("random networks", tcase, 1800);
}
