/* SPDX-License-Identifier: Apache-2.0 */
/* As check_network_alloc, with every allocation of compiling, saving and loading, by turns alone and with all that follow. Takes most of an
 * hour. */
#include "tests/network_alloc.h"

START_TEST(server)
{
    fail_server(LONG_MAX);
}
END_TEST

static void owner_case(TCase *tcase)
{
    tcase_add_test(tcase, owner);
}

static void server_case(TCase *tcase)
{
    tcase_add_test(tcase, server);
}

int main(void)
{
    test_seed(52);
    int failed = test_run("owner's allocations", owner_case, 900);
    return test_run("server's allocations", server_case, 36000) || failed;
}
