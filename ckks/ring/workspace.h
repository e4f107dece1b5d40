/* SPDX-License-Identifier: Apache-2.0 */
/* Scratch arena: a stack of blocks that is marked, filled and released, so that a steady
 * computation allocates nothing. */
#ifndef CKKS_WORKSPACE_H
#define CKKS_WORKSPACE_H

#include "ckks/ring/ring.h"

#ifdef _OPENMP
#include <omp.h>
#endif

#define CKKS_WORKSPACE_BLOCKS 64u

struct ckks_workspace {
    const ckks_context *context;
    struct {
        unsigned char *memory;
        size_t size, used;
    } block[CKKS_WORKSPACE_BLOCKS];
    unsigned blocks, current;
    unsigned stagger;
    ckks_bootstrap_times times;
    void (*stage_ended)(void *arg, ckks_stage stage); /* or NULL */
    void *stage_arg;
};

typedef struct ckks_mark {
    unsigned current;
    size_t used;
} ckks_mark;

/* Everything taken after a mark is given back by releasing it. */
ckks_mark ckks_workspace_mark(const ckks_workspace *ws);
void ckks_workspace_release(ckks_workspace *ws, ckks_mark mark);

/* 64-byte aligned scratch; NULL (with the detail message set) when there is no memory. Not callable
 * from inside a parallel region. */
void *ckks_workspace_take(ckks_workspace *ws, size_t bytes);

/* Which of ckks_context_threads pieces of scratch belongs to the calling thread of a region. */
static inline unsigned ckks_thread_number(void)
{
#ifdef _OPENMP
    return (unsigned)omp_get_thread_num();
#else
    return 0;
#endif
}

/* A block of `limbs` limbs, `stride` words apart, its base staggered against its neighbours'. */
uint64_t *ckks_workspace_limbs(ckks_workspace *ws, size_t limbs);

#endif
