/* SPDX-License-Identifier: Apache-2.0 */
/* Secret, public and switching keys. */
#ifndef CKKS_KEYS_H
#define CKKS_KEYS_H

#include "ckks/alloc.h"
#include "ckks/ring/poly.h"
#include "ckks/ring/sample.h"
#include "ckks/scheme/context.h"

struct ckks_secret_key {
    const ckks_context *context;
    int8_t *coefficient; /* n of them in {-1, 0, 1} */
    /* evaluation form modulo every modulus of the context, `stride` words apart */
    uint64_t *ntt;
    uint8_t seed[CKKS_SEED_BYTES]; /* of the secrets of small rings */
};

/* The secret that goes with `secret` in the ring of degree 2^log_degree, as one of the subring of
 * X^(N / 2^log_degree): uniform ternary, and independent of all others. */
fhola_status ckks_secret_key_small(ckks_secret_key **out, const ckks_secret_key *secret,
                                   unsigned log_degree) FHOLA_WARN_UNUSED;

static inline const uint64_t *ckks_secret_limb(const ckks_secret_key *key, unsigned t)
{
    return key->ntt + t * key->context->stride;
}

struct ckks_public_key {
    const ckks_context *context;
    ckks_poly b, a;
    uint64_t *block;  /* they lie in */
    uint8_t seed[32]; /* of a */
};

/* A switching key from s1 to s2. Digit j covers the primes digit[j] of q; its pair (b, a) over q
 * and p satisfies
 *     b + a s2 = e + P s1 on the primes of digit[j], e elsewhere            (P the product of p)
 * (RNS gadget of Han and Ki, CT-RSA 2020, section 3). For a Galois element g the key leads from
 * sigma(s) to s: the automorphism is applied to the digits as they are read, so that keys and
 * results are passed through in order. Limbs are packed to the prime's width. */
typedef struct ckks_switch_key {
    ckks_key_request request;
    unsigned digits;
    ckks_basis digit[CKKS_MAX_DIGITS];
    uint8_t seed[32]; /* of the a parts */
    size_t bytes;
    unsigned char *data;
    /* NULL where nothing is rotated; owned by ckks_eval_keys */
    const ckks_automorphism *sigma;
} ckks_switch_key;

struct ckks_eval_keys {
    const ckks_context *context;
    size_t count;
    ckks_switch_key *key;
    size_t automorphisms;
    ckks_automorphism **automorphism;
    ckks_arena arena; /* of the keys' data: most keys are smaller than a huge page */
};

/* Digits of a key over q with special primes p: one digit if P exceeds the product of q by the
 * margin, else the parameters' partition (which needs all special primes). Returns their number; 0
 * and the detail message when neither fits. */
unsigned ckks_switch_key_digits(const ckks_context *c, ckks_basis q, ckks_basis p,
                                ckks_basis digit[CKKS_MAX_DIGITS]);

/* Packed limb: part 0 = b, 1 = a. */
const void *ckks_switch_key_limb(const ckks_context *c, const ckks_switch_key *key, unsigned digit,
                                 unsigned prime, int part);

/* The cheapest key of this kind covering `basis` limb by limb; special primes exactly `p` unless p
 * is 0. KEY names what is missing. */
fhola_status ckks_eval_keys_find(const ckks_switch_key **out, const ckks_eval_keys *keys,
                                 ckks_key_kind kind, uint32_t rotation, ckks_basis basis,
                                 ckks_basis p) FHOLA_WARN_UNUSED;

/* Whether the key has to do with the ephemeral secret. */
static inline bool ckks_key_is_sparse(ckks_key_kind kind)
{
    return kind == CKKS_KEY_DENSE_TO_SPARSE || kind == CKKS_KEY_SPARSE_TO_DENSE;
}

bool ckks_key_list_has(const ckks_key_list *list, const ckks_key_request *request);

/* Number of digits of the key for a request, and their primes; 0 with a message: its special primes
 * cannot carry it. */
unsigned ckks_request_digits(const ckks_params *params, const ckks_key_request *request,
                             ckks_basis digit[CKKS_MAX_DIGITS]);

/* Empty key set with room for `count` keys, and the empty key i of it for a request (digits, memory
 * and automorphism set up): the two steps shared by key generation and by reading a file. */
fhola_status ckks_eval_keys_allocate(ckks_eval_keys **out, const ckks_context *c,
                                     size_t count) FHOLA_WARN_UNUSED;
fhola_status ckks_eval_keys_prepare(ckks_eval_keys *keys, size_t i,
                                    const ckks_key_request *request) FHOLA_WARN_UNUSED;
/* Before the first key of an empty set is prepared: the data of `count` keys go into memory as of
 * ckks_eval_keys_shared_bytes. Once all are there their list goes in front of them, in the order of
 * the data. */
void ckks_eval_keys_place(ckks_eval_keys *keys, void *memory, uint64_t bytes, size_t count);
void ckks_eval_keys_label(const ckks_eval_keys *keys, void *memory);
/* Expands the a parts of a prepared key from its seed. */
fhola_status ckks_switch_key_expand(const ckks_context *c, ckks_switch_key *key) FHOLA_WARN_UNUSED;

/* With room for coefficients and their evaluation form, which are not set. */
fhola_status ckks_secret_key_allocate(ckks_secret_key **out,
                                      const ckks_context *c) FHOLA_WARN_UNUSED;
/* Fills ntt from coefficient. */
fhola_status ckks_secret_key_transform(ckks_secret_key *sk) FHOLA_WARN_UNUSED;

/* An empty public key with its polynomials laid out over `basis`. */
fhola_status ckks_public_key_allocate(ckks_public_key **out, const ckks_context *c,
                                      ckks_basis basis) FHOLA_WARN_UNUSED;

/* The polynomial of N small signed coefficients. */
fhola_status ckks_poly_from_small(const ckks_context *c, const ckks_poly *out,
                                  const int8_t *coefficient) FHOLA_WARN_UNUSED;
/* The uniform polynomial a seed stands for, in ciphertexts and public keys. */
void ckks_poly_expand(const ckks_context *c, const ckks_poly *out, const uint8_t seed[32]);

#endif
