/* SPDX-License-Identifier: Apache-2.0 */
/* Every allocation of the owner and of an inference fails in turn; of those of compiling, saving and loading, which take seconds each,
 * some: the first, the last and others evenly between. */
#include "tests/network_alloc.h"

START_TEST(server)
{
    fail_server(6);
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
    int failed = test_run("owner's allocations", owner_case, 300);
    return test_run("server's allocations", server_case, 900) || failed;
}
