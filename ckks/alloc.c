/* SPDX-License-Identifier: Apache-2.0 */
#define _DEFAULT_SOURCE
#include "ckks/alloc.h"

#include <stdint.h>
#include <stdlib.h>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#define HUGE_PAGE   ((size_t)2 << 20)
#define ARENA_SLAB  ((size_t)32 << 20) /* largest shared slab */
#define ARENA_SHARE 16u /* a shared slab holds at least so many blocks of the size that opened it */

void *ckks_alloc(size_t bytes)
{
    size_t unit = bytes >= HUGE_PAGE ? HUGE_PAGE : 64;
    if (bytes == 0 || bytes > SIZE_MAX - unit) return NULL;
    bytes = (bytes + unit - 1) / unit * unit;
    void *memory = aligned_alloc(unit, bytes);
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    /* Only a hint: memory reads of whole limbs are faster from huge pages, nothing depends on
     * it. */
    if (memory && unit == HUGE_PAGE) (void)madvise(memory, bytes, MADV_HUGEPAGE);
#endif
    return memory;
}

void ckks_free(void *memory)
{
    free(memory);
}

void *ckks_alloc_table(size_t bytes)
{
    return ckks_alloc(bytes < HUGE_PAGE / 4 || bytes > HUGE_PAGE ? bytes : HUGE_PAGE);
}

static void *add_slab(ckks_arena *arena, size_t bytes)
{
    void **slab = realloc(arena->slab, (arena->slabs + 1) * sizeof *slab);
    if (!slab) return NULL;
    arena->slab = slab;
    void *memory = ckks_alloc(bytes);
    if (memory) arena->slab[arena->slabs++] = memory;
    return memory;
}

ckks_arena ckks_arena_over(void *memory, size_t bytes)
{
    return (ckks_arena){.next = memory, .left = bytes, .given = true};
}

void *ckks_arena_take(ckks_arena *arena, size_t bytes)
{
    if (bytes == 0 || bytes > SIZE_MAX - 63) return NULL;
    bytes = ckks_arena_room(bytes);
    if (arena->given && bytes > arena->left) return NULL;
    if (!arena->given && bytes > ARENA_SLAB / 4) return add_slab(arena, bytes);
    if (bytes > arena->left) {
        size_t size = bytes < ARENA_SLAB / ARENA_SHARE ? ARENA_SHARE * bytes : ARENA_SLAB;
        unsigned char *memory = add_slab(arena, size);
        if (!memory) return NULL;
        arena->next = memory;
        arena->left = size;
    }
    void *memory = arena->next;
    arena->next += bytes;
    arena->left -= bytes;
    return memory;
}

void ckks_arena_clear(ckks_arena *arena)
{
    for (size_t i = 0; i < arena->slabs; i++) ckks_free(arena->slab[i]);
    free(arena->slab);
    *arena = (ckks_arena){0};
}
