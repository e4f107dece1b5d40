/* SPDX-License-Identifier: Apache-2.0 */
/* Randomly initialised networks of depth 8, 14 and 44 with both kinds of shortcuts, 10 and 100
 * classes: encrypted scores agree with the plaintext polynomial network. */
#include "agreement.h"

static const struct {
    unsigned blocks;
    const char *shortcut;
    size_t classes;
} networks[] = {{1, "down", 10}, {1, NULL, 100},      {2, "downsample", 100},
                {2, NULL, 10},   {7, "shortcut", 10}, {7, NULL, 100}};

START_TEST(encrypted_scores_agree)
{
    check_agreement(networks[_i].blocks, networks[_i].shortcut, networks[_i].classes);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("random networks");
    tcase_add_loop_test(tcase, encrypted_scores_agree, 0,
                        (int)(sizeof networks / sizeof networks[0]));
    return run_tests("random networks", tcase, 1800);
}
