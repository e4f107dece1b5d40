/* SPDX-License-Identifier: Apache-2.0 */
/* As check_network_alloc, with every allocation of compiling, saving and loading, by turns alone
 * and with all that follow. Takes most of an hour. */
#include "tests/network_alloc.h"

int main(void)
{
    return test_network_alloc(LONG_MAX, 900, 36000);
}
