/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "ckks/alloc.h"

void ckks_wipe(void *memory, size_t bytes)
{
#if defined(__GNUC__)
    if (bytes != 0) memset(memory, 0, bytes);
    /* Claims to read the memory, so the stores above have to happen. */
    __asm__ __volatile__("" : : "r"(memory) : "memory");
#else
    volatile unsigned char *byte = memory;
    while (bytes-- != 0) *byte++ = 0;
#endif
}

void ckks_wipe_free(void *memory, size_t bytes)
{
    if (memory) ckks_wipe(memory, bytes);
    ckks_free(memory);
}
