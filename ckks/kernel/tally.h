/* SPDX-License-Identifier: Apache-2.0 */
/* Where work is counted. A context has a tally only if it was made to count; the kernel table that
 * fills it, and what reads it, stand in ckks/measure/. */
#ifndef CKKS_TALLY_H
#define CKKS_TALLY_H

#include <stdatomic.h>

#include "ckks/kernel/kernel.h"
#include "ckks/kernel/work.h"

/* Work of one kind on primes of one width, in words: what is written, and what it is made of. */
typedef struct ckks_tally_entry {
    _Alignas(64) atomic_ullong outputs;
    atomic_ullong terms;
} ckks_tally_entry;

typedef struct ckks_tally {
    /* counts, then calls `kernel`; functions without work worth counting are those of `kernel` */
    ckks_kernel table;
    const ckks_kernel *kernel;
    ckks_tally_entry entry[CKKS_WORK_KINDS][2]; /* [1]: primes of 2^32 or more */
    /* packed words read by inner products and plaintext products */
    atomic_ullong key_bytes, plain_bytes;
    atomic_ullong key_switches, products; /* of ciphertexts */
} ckks_tally;

/* The following is for work that no function of the table sees. NULL: nobody counts. */

static inline void ckks_tally_add(ckks_tally *t, ckks_work_kind kind, unsigned wide, size_t outputs,
                                  size_t terms)
{
    if (!t) return;
    ckks_tally_entry *e = &t->entry[kind][wide];
    atomic_fetch_add_explicit(&e->outputs, outputs, memory_order_relaxed);
    if (terms) atomic_fetch_add_explicit(&e->terms, terms, memory_order_relaxed);
}

static inline void ckks_tally_key_switches(ckks_tally *t, size_t count)
{
    if (t) atomic_fetch_add_explicit(&t->key_switches, count, memory_order_relaxed);
}

static inline void ckks_tally_products(ckks_tally *t, size_t count)
{
    if (t) atomic_fetch_add_explicit(&t->products, count, memory_order_relaxed);
}

#endif
