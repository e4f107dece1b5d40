/* SPDX-License-Identifier: Apache-2.0 */
/* A kernel table that counts what it is asked to do and passes it on to another one. */
#ifndef CKKS_TALLY_H
#define CKKS_TALLY_H

#include <stdatomic.h>

#include "ckks/kernel/kernel.h"

/* Kinds of work, in the order of ckks_work_kind (ckks.h). */
enum {
    CKKS_TALLY_NTT_FORWARD,
    CKKS_TALLY_NTT_INVERSE,
    CKKS_TALLY_INNER_PRODUCT,
    CKKS_TALLY_PLAIN_PRODUCT,
    CKKS_TALLY_COMBINE,
    CKKS_TALLY_OVERFLOW,
    CKKS_TALLY_TENSOR,
    CKKS_TALLY_PERMUTE,
    CKKS_TALLY_ELEMENTWISE,
    CKKS_TALLY_KINDS
};

/* Work of one kind on primes of one width, in words: what is written, and what it is made of. */
typedef struct ckks_tally_entry {
    _Alignas(64) atomic_ullong outputs;
    atomic_ullong terms;
} ckks_tally_entry;

typedef struct ckks_tally {
    /* counts, then calls `kernel`; functions without work worth counting are those of `kernel` */
    ckks_kernel table;
    const ckks_kernel *kernel;
    ckks_tally_entry entry[CKKS_TALLY_KINDS][2]; /* [1]: primes of 2^32 or more */
    /* packed words read by inner products and plaintext products */
    atomic_ullong key_bytes, plain_bytes;
} ckks_tally;

/* The primes of a counting table point to the tally (ckks_modulus.tally). NULL when there is no
 * memory. */
ckks_tally *ckks_tally_create(const ckks_kernel *kernel);
void ckks_tally_destroy(ckks_tally *tally);

/* For work that is seen outside of the table only. */
void ckks_tally_add(ckks_tally *tally, unsigned kind, unsigned wide, size_t outputs, size_t terms);

#endif
