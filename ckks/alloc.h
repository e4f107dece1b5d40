/* SPDX-License-Identifier: Apache-2.0 */
/* Aligned memory for limbs. Big blocks ask the system for huge pages and do without where it has
 * none. */
#ifndef CKKS_ALLOC_H
#define CKKS_ALLOC_H

#include <stdbool.h>
#include <stddef.h>

/* 64-byte aligned (2 MiB aligned from 2 MiB up), NULL when there is no memory; contents undefined.
 * Release with ckks_free. */
void *ckks_alloc(size_t bytes);
void ckks_free(void *memory);

/* Sets bytes to zero in a way the compiler may not leave out (ckks.h). */
void ckks_wipe(void *memory, size_t bytes);
/* Wipes and frees; `memory` may be NULL. */
void ckks_wipe_free(void *memory, size_t bytes);
/* For tables that are read all the time: from 512 KiB up they get huge pages of their own. */
void *ckks_alloc_table(size_t bytes);

/* Many blocks that are released together, packed into few big allocations: blocks below 2 MiB, too,
 * then lie in huge pages. Zeroed memory is an empty arena. Not thread-safe. */
typedef struct ckks_arena {
    void **slab;
    size_t slabs;
    unsigned char *next; /* free space of the newest shared slab */
    size_t left;
    bool given; /* that is all there is, and somebody else's */
} ckks_arena;

/* An arena of these bytes and no more, from an address that is a multiple of 64 on; they stay the
 * caller's. */
ckks_arena ckks_arena_over(void *memory, size_t bytes);

/* What a block takes of an arena. */
static inline size_t ckks_arena_room(size_t bytes)
{
    return (bytes + 63) & ~(size_t)63;
}
/* As ckks_alloc; lives until ckks_arena_clear. */
void *ckks_arena_take(ckks_arena *arena, size_t bytes);
void ckks_arena_clear(ckks_arena *arena);

#endif
