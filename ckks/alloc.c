/* SPDX-License-Identifier: Apache-2.0 */
#define _DEFAULT_SOURCE
#include "ckks/alloc.h"

#include <stdint.h>
#include <stdlib.h>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#define HUGE_PAGE ((size_t)2 << 20)

void *ckks_alloc(size_t bytes)
{
    size_t unit = bytes >= HUGE_PAGE ? HUGE_PAGE : 64;
    if (bytes == 0 || bytes > SIZE_MAX - unit) return NULL;
    bytes = (bytes + unit - 1) / unit * unit;
    void *memory = aligned_alloc(unit, bytes);
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    /* Only a hint: memory reads of whole limbs are faster from huge pages, nothing depends on it. */
    if (memory && unit == HUGE_PAGE) (void)madvise(memory, bytes, MADV_HUGEPAGE);
#endif
    return memory;
}

void ckks_free(void *memory)
{
    free(memory);
}
