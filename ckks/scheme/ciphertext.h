/* SPDX-License-Identifier: Apache-2.0 */
/* Plaintext and ciphertext objects. All polynomials are in evaluation form. */
#ifndef CKKS_CIPHERTEXT_H
#define CKKS_CIPHERTEXT_H

#include "ckks/ring/poly.h"
#include "ckks/scheme/context.h"

/* Largest relative difference of two scales that count as equal. */
#define CKKS_SCALE_TOLERANCE 0x1p-30

struct ckks_plaintext {
    const ckks_context *context;
    double scale;
    size_t period;   /* slots after which the values repeat */
    ckks_poly poly;  /* over basis 0: empty */
    size_t capacity; /* limbs */
    uint64_t *block; /* they lie in */
};

struct ckks_ciphertext {
    const ckks_context *context;
    double scale;
    size_t period;     /* slots after which the values repeat; 0: not known */
    ckks_poly poly[2]; /* of one basis, 0: empty; decrypts as poly[0] + poly[1] s */
    size_t capacity;   /* limbs of each polynomial */
    uint64_t *block[2];
    /* fresh: poly[1] is the expansion of seed, and a file need only hold the seed */
    bool seeded;
    uint8_t seed[32];
    uint32_t label; /* the caller's own */
    /* period not 0: of the subring, poly[0] being known at the coefficients of its slots only; it
     * decrypts under the secret of that small ring */
    ckks_shrunk shrunk;
};

/* Makes room for `basis` and lays the polynomials of a result out in it, where the object's own
 * lie; the object stays what it is (a result of fewer limbs may be made in place) but is empty
 * where its memory had to grow. */
fhola_status ckks_ciphertext_reserve(ckks_ciphertext *ct, ckks_basis basis,
                                     ckks_poly room[2]) FHOLA_WARN_UNUSED;
fhola_status ckks_plaintext_reserve(ckks_plaintext *pt, ckks_basis basis,
                                    ckks_poly *room) FHOLA_WARN_UNUSED;

/* Declares what the memory now holds: the result of an operation; basis 0: nothing. */
void ckks_ciphertext_set(ckks_ciphertext *ct, ckks_basis basis, double scale, size_t period);
void ckks_plaintext_set(ckks_plaintext *pt, ckks_basis basis, double scale, size_t period);
/* Slots after which what is made of both repeats; 0: not known. */
size_t ckks_common_period(size_t a, size_t b);

/* A ciphertext whose polynomials live in the workspace until the caller's mark is released; not to
 * be destroyed. */
fhola_status ckks_ciphertext_scratch(ckks_ciphertext *ct, ckks_workspace *ws,
                                     ckks_basis room) FHOLA_WARN_UNUSED;

/* Common checks: belongs to the context, is not empty and not shrunk; `what` names the operand in
 * the message. */
fhola_status ckks_ciphertext_check(const ckks_context *c, const ckks_ciphertext *ct,
                                   const char *what) FHOLA_WARN_UNUSED;
/* The same of one that may be shrunk. */
fhola_status ckks_ciphertext_check_any(const ckks_context *c, const ckks_ciphertext *ct,
                                       const char *what) FHOLA_WARN_UNUSED;
fhola_status ckks_plaintext_check(const ckks_context *c, const ckks_plaintext *pt,
                                  const char *what) FHOLA_WARN_UNUSED;
/* SCALE unless `scale`, of what is called `what`, is a positive normal number of at most N/2 times
 * the product of the primes of `basis`: beyond, no slot can hold 1, whatever the N coefficients. */
fhola_status ckks_scale_fits(const ckks_context *c, ckks_basis basis, double scale,
                             const char *what) FHOLA_WARN_UNUSED;
/* SCALE unless both agree within CKKS_SCALE_TOLERANCE. */
fhola_status ckks_scale_check(double a, double b, const char *what) FHOLA_WARN_UNUSED;

#endif
