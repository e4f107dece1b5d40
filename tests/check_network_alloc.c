/* SPDX-License-Identifier: Apache-2.0 */
/* Every allocation of the owner and of an inference fails in turn; of those of compiling, saving
 * and loading, which take seconds each, some: the first, the last and others evenly between. */
#include "tests/network_alloc.h"

int main(void)
{
    return test_network_alloc(6, 300, 900);
}
