/* SPDX-License-Identifier: Apache-2.0 */
/* Plaintext and ciphertext objects. All polynomials are in evaluation form. */
#ifndef CKKS_CIPHERTEXT_H
#define CKKS_CIPHERTEXT_H

#include "ckks/context.h"

/* Largest relative difference of two scales that count as equal. */
#define CKKS_SCALE_TOLERANCE 0x1p-30

struct ckks_plaintext {
    const ckks_context *context;
    ckks_basis basis; /* 0 = empty */
    double scale;
    size_t capacity; /* limbs */
    uint64_t *poly;
};

struct ckks_ciphertext {
    const ckks_context *context;
    ckks_basis basis; /* 0 = empty */
    double scale;
    size_t capacity;   /* limbs of each polynomial */
    uint64_t *poly[2]; /* decrypts as poly[0] + poly[1] s */
    /* fresh: poly[1] is the expansion of seed, and a file need only hold the seed */
    int seeded;
    uint8_t seed[32];
};

/* Makes room for `basis` (contents are lost if the block must grow, which never happens when the
 * basis shrinks). */
fhola_status ckks_ciphertext_reserve(ckks_ciphertext *ct, ckks_basis basis) FHOLA_WARN_UNUSED;
fhola_status ckks_plaintext_reserve(ckks_plaintext *pt, ckks_basis basis) FHOLA_WARN_UNUSED;

/* Declares what a reserved block now holds: the result of an operation. */
void ckks_ciphertext_set(ckks_ciphertext *ct, ckks_basis basis, double scale);

/* Common checks: belongs to the context and is not empty; `what` names the operand in the
 * message. */
fhola_status ckks_ciphertext_check(const ckks_context *c, const ckks_ciphertext *ct,
                                   const char *what) FHOLA_WARN_UNUSED;
fhola_status ckks_plaintext_check(const ckks_context *c, const ckks_plaintext *pt,
                                  const char *what) FHOLA_WARN_UNUSED;
/* SCALE unless both agree within CKKS_SCALE_TOLERANCE. */
fhola_status ckks_scale_check(double a, double b, const char *what) FHOLA_WARN_UNUSED;

#endif
