/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CKKS_WORK_H
#define CKKS_WORK_H

/* Kinds of work that kernels do. Each has outputs and the terms they are made of, in words of one
 * residue. */
typedef enum ckks_work_kind {
    /* outputs: first limbs of a call, which find the tables cold; terms: all limbs */
    CKKS_WORK_NTT_FORWARD,
    CKKS_WORK_NTT_INVERSE, /* the same */
    /* outputs: pairs of words; terms: digits, each read once, with two words of key */
    CKKS_WORK_INNER_PRODUCT,
    CKKS_WORK_PLAIN_PRODUCT, /* outputs: pairs of words; terms: plaintext words times pairs */
    CKKS_WORK_COMBINE,       /* base conversion, outputs: words; terms: words read */
    CKKS_WORK_OVERFLOW,      /* of base conversion, the same */
    CKKS_WORK_TENSOR,        /* outputs: triples of words; no terms */
    CKKS_WORK_PERMUTE,       /* outputs: words; no terms */
    CKKS_WORK_ELEMENTWISE,   /* sums, differences, products: words written, words read */
    CKKS_WORK_KINDS
} ckks_work_kind;

#endif
