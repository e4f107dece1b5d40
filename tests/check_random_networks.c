/* SPDX-License-Identifier: Apache-2.0 */
/* A network unlike the bundled ones, encrypted: depth 8, zero-padded shortcuts, 100 classes. The
 * others: long_random_networks and long_planned_networks. */
#include "agreement.h"

START_TEST(shallow_network_of_100_classes)
{
    check_agreement("ResNet-8, zero-padded shortcuts, 100 classes",
                    random_resnet(1, NULL, 16, 100, "relu"), 15, 2);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("random networks");
    tcase_add_test(tcase, shallow_network_of_100_classes);
    return run_tests("random networks", tcase, 1500); /* seconds, but minutes on a busy machine */
}
