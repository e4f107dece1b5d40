/* SPDX-License-Identifier: Apache-2.0 */
/* RNS-CKKS: approximate arithmetic on encrypted vectors of complex numbers, with bootstrapping for
 * real vectors.
 *
 * Scheme: Cheon, Kim, Kim, Song (Asiacrypt 2017) in residue number system form (Cheon, Han, Kim,
 * Kim, Song, SAC 2018), hybrid key switching (Han, Ki, CT-RSA 2020), hoisting (Halevi, Shoup,
 * Crypto 2018; Bossuat et al., Eurocrypt 2021), slots-to-coefficients-first bootstrapping with
 * sparse-secret encapsulation (Bossuat, Troncoso-Pastoriza, Hubaux, ACNS 2022).
 *
 * Sharing: a context, keys, transforms and polynomials are const after creation and may be used by
 * many threads; a workspace belongs to one caller at a time. Outputs may be the same object as an
 * input unless a call says otherwise. */
#ifndef FHOLA_CKKS_H
#define FHOLA_CKKS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "status.h"

#ifdef __cplusplus
extern "C" {
#endif

#define CKKS_MAX_PRIMES          64u
#define CKKS_MAX_EVAL_MOD_LEVELS 12u
#define CKKS_MAX_DIGITS          16u

typedef struct ckks_complex {
    double re, im;
} ckks_complex;

/* A set of primes: bit i stands for prime i of the parameters. Chain primes come first, from the
 * bottom (prime 0) up, then the special primes of key switching. A ciphertext may live on any
 * subset of the chain, not just on a prefix. */
typedef uint64_t ckks_basis;

/* ---- parameters ---- */

/* A parameter set by the role of its primes, bottom to top of the chain:
 *   base (1) | slots_to_coeffs | residual | eval_mod | coeffs_to_slots || special.
 * A set without bootstrapping has only base and residual primes (the other level counts 0). Bit
 * sizes are log2 of the prime sought; the prime nearest to 2^bits that is 1 mod 2N and not yet
 * taken is used.
 *
 * Neighbouring chain primes share a limb while their product is below 2^limb_bits.
 *
 * This is the only list of the fields. The struct, the hash, files and the program's text form are
 * made from it. A row has
 *   - the kind: WHOLE a whole number, REAL a real one, PAIR two of these, SCALES a list of them,
 *     COUNT the length of that list;
 *   - the name;
 *   - but for SCALES, the place among the whole or the real numbers of a file;
 *   - who gives it in the text form: ALWAYS every set, BOOTSTRAP every set that bootstraps (it is 0
 *     in others), OPTIONAL nobody has to (it is 0 then), DERIVED nobody. */
#define CKKS_PARAMS_FIELDS(WHOLE, COUNT, REAL, PAIR, SCALES)                                       \
    WHOLE(log_n, 0, ALWAYS)         /* ring degree N = 2^log_n, 4..17 */                           \
    REAL(base_bits, 0, ALWAYS)      /* prime 0 */                                                  \
    WHOLE(stc_levels, 1, BOOTSTRAP) /* slots-to-coefficients levels */                             \
    REAL(stc_bits, 1, BOOTSTRAP)                                                                   \
    WHOLE(residual_levels, 2, ALWAYS) /* levels of the computation between bootstraps */           \
    REAL(residual_bits, 2, ALWAYS)                                                                 \
    PAIR(residual_low_bits, 8, OPTIONAL) /* the two lowest residual primes; 0: residual_bits */    \
    /* working scale between bootstraps, 2^scale_bits; 0: residual_bits */                         \
    REAL(scale_bits, 7, OPTIONAL)                                                                  \
    COUNT(eval_mod_levels, 3, DERIVED) /* 1 + ceil(log2(degree / 2 + 1)) + double_angles */        \
    /* log2 of the scale at depth 0, 1, ...; prime at depth l has 2 S_l - S_(l+1) bits */          \
    SCALES(eval_mod_scale_bits, BOOTSTRAP)                                                         \
    WHOLE(cts_levels, 4, BOOTSTRAP) /* coefficients-to-slots levels */                             \
    REAL(cts_bits, 3, BOOTSTRAP)                                                                   \
    WHOLE(special_primes, 5, ALWAYS)                                                               \
    REAL(special_bits, 4, ALWAYS)                                                                  \
    REAL(eps, 5, BOOTSTRAP)              /* |message| / q0: w in [-1, 1] is raised as eps q0 w */  \
    WHOLE(eval_mod_range, 6, BOOTSTRAP)  /* K: overflows |I| <= K are covered */                   \
    WHOLE(eval_mod_degree, 7, BOOTSTRAP) /* even degree of the cosine polynomial */                \
    WHOLE(double_angles, 8, BOOTSTRAP)   /* r */                                                   \
    REAL(eval_mod_power, 6, BOOTSTRAP)   /* exponent of P(I) in the fit's weight */                \
    WHOLE(hamming_weight, 9, BOOTSTRAP)  /* of the ephemeral secret: 32..N/2 */                    \
    WHOLE(limb_bits, 10, OPTIONAL)       /* neighbours share a limb of fewer bits; 0: never */

#define CKKS_FIELD_WHOLE(name, slot, need) unsigned name;
#define CKKS_FIELD_COUNT(name, slot, need) unsigned name;
#define CKKS_FIELD_REAL(name, slot, need)  double name;
#define CKKS_FIELD_PAIR(name, slot, need)  double name[2];
#define CKKS_FIELD_SCALES(name, need)      double name[CKKS_MAX_EVAL_MOD_LEVELS];

typedef struct ckks_params_spec {
    CKKS_PARAMS_FIELDS(CKKS_FIELD_WHOLE, CKKS_FIELD_COUNT, CKKS_FIELD_REAL, CKKS_FIELD_PAIR,
                       CKKS_FIELD_SCALES)
    int insecure; /* nonzero: skip the security checks (toy rings in tests) */
} ckks_params_spec;

#undef CKKS_FIELD_WHOLE
#undef CKKS_FIELD_COUNT
#undef CKKS_FIELD_REAL
#undef CKKS_FIELD_PAIR
#undef CKKS_FIELD_SCALES

typedef struct ckks_params ckks_params;

/* Checks the specification and finds its primes. SECURITY when log2(QP) exceeds the cap of 128-bit
 * classical security for ternary secrets (Security Guidelines for Implementing Homomorphic
 * Encryption, ePrint 2024/463, table 5.2: 868 at N = 2^15, 1747 at 2^16, 3523 at 2^17, smaller
 * rings below), or when the ephemeral secret's Hamming weight is below 32 or its modulus q0 p0 too
 * large. PARAM for anything else that is wrong, an ephemeral secret without bootstrapping and
 * numbers that are not finite among it. */
fhola_status ckks_params_create(ckks_params **out, const ckks_params_spec *spec) FHOLA_WARN_UNUSED;
/* A named set: "R15", the default; "R16-6", six residual levels at N = 2^16; "R16", 15 of them and
 * 21 bits of precision; "R15-28", "R15-A3", "R15-A2", "R15-B", which R15 was chosen against. Names
 * that begin with "toy" are insecure rings for tests. */
fhola_status ckks_params_named(ckks_params **out, const char *name) FHOLA_WARN_UNUSED;
/* The i-th built-in name, NULL past the end; insecure toy sets are not listed. */
const char *ckks_params_name(size_t i);
/* The specification behind a name, for callers who want to vary it. */
fhola_status ckks_params_spec_named(ckks_params_spec *out, const char *name) FHOLA_WARN_UNUSED;
void ckks_params_destroy(ckks_params *params); /* NULL: does nothing */

/* What it was created from. Lives as long as `params`. */
const ckks_params_spec *ckks_params_get_spec(const ckks_params *params);
/* The working scale between bootstraps, 2^scale_bits, the same on every machine. */
double ckks_params_scale(const ckks_params *params);
unsigned ckks_params_chain(const ckks_params *params);   /* number of chain primes */
unsigned ckks_params_special(const ckks_params *params); /* number of special primes */
/* prime `index`, from the bottom of the chain; special ones last */
uint64_t ckks_params_prime(const ckks_params *params, unsigned index);
/* Digits that key switching decomposes a polynomial on the whole chain into. */
unsigned ckks_params_digits(const ckks_params *params);
/* the chain primes of digit `index` */
ckks_basis ckks_params_digit(const ckks_params *params, unsigned index);
/* log2 of the product of the primes */
double ckks_params_log2(const ckks_params *params, ckks_basis basis);
/* largest log2(QP) at this N */
double ckks_params_log2_cap(const ckks_params *params);
/* log2(q0 p0), modulus of the ephemeral secret's keys; 0 = none */
double ckks_params_log2_ephemeral(const ckks_params *params);
/* The most it may be, for the ring and the Hamming weight; 0 = none. */
double ckks_params_log2_ephemeral_cap(const ckks_params *params);
/* of ring, primes, roles and digits: binds files to parameters */
uint64_t ckks_params_hash(const ckks_params *params);

/* Role bases. */
ckks_basis ckks_basis_base(const ckks_params *params);
ckks_basis ckks_basis_stc(const ckks_params *params); /* slots to coefficients */
/* the lowest `levels` residual primes */
ckks_basis ckks_basis_residual(const ckks_params *params, unsigned levels);
/* The primes of a ciphertext of that level: those of base and slots to coefficients, where
 * bootstrapping starts, and the lowest `level` residual primes. */
ckks_basis ckks_basis_level(const ckks_params *params, unsigned level);
ckks_basis ckks_basis_eval_mod(const ckks_params *params); /* sine evaluation */
ckks_basis ckks_basis_cts(const ckks_params *params);      /* coefficients to slots */
ckks_basis ckks_basis_special(const ckks_params *params);  /* special primes */
ckks_basis ckks_basis_chain(const ckks_params *params);    /* all chain primes */
unsigned ckks_basis_count(ckks_basis basis);               /* number of primes */
/* What prime `index` is for: "base", "slots to coefficients", "residual", "sine evaluation",
 * "coefficients to slots" or "special"; "" beyond the last. */
const char *ckks_params_role(const ckks_params *params, unsigned index);
/* A basis in words, as messages have it: each role with the numbers of its primes from the bottom,
 * as in "base, slots to coefficients 1-2, residual 1+3-4"; "none". Bits that are no prime of the
 * parameters are counted at the end ("2 unknown"). */
typedef struct ckks_basis_text {
    char text[256];
} ckks_basis_text;
/* The words for `basis`. */
ckks_basis_text ckks_basis_describe(const ckks_params *params, ckks_basis basis);
ckks_basis ckks_basis_top(ckks_basis basis); /* the highest prime alone */
/* The primes of the chain that share limbs with those of `basis` (limb_bits): both are kept as one
 * residue modulo their product. */
ckks_basis ckks_basis_partner(const ckks_params *params, ckks_basis basis);
/* Fewest special primes whose product exceeds that of `q` by 4 bits (one digit is then enough), or
 * all of them. */
ckks_basis ckks_basis_special_for(const ckks_params *params, ckks_basis q);

/* ---- context and workspace ---- */

typedef struct ckks_context ckks_context;
typedef struct ckks_workspace ckks_workspace;

/* Tables for a parameter set (copied). `isa`: "portable", "avx2", "avx512f", "avx512ifma", or NULL
 * for FHOLA_ISA or the best. */
fhola_status ckks_context_create(ckks_context **out, const ckks_params *params,
                                 const char *isa) FHOLA_WARN_UNUSED;
/* after all that was made with it; NULL: does nothing */
void ckks_context_destroy(ckks_context *context);
/* lives as long as the context */
const ckks_params *ckks_context_params(const ckks_context *context);
const char *ckks_context_isa(const ckks_context *context); /* name of its kernel table */
/* The i-th kernel table this machine can run, best first; NULL past the end. */
const char *ckks_isa_name(size_t i);
size_t ckks_slots(const ckks_context *context); /* N / 2 */

#define CKKS_MAX_THREADS 1024u
/* From now on every operation with this context, and with what was made for it, computes with so
 * many threads, whichever thread calls; 0, as in the beginning: with as many as OpenMP gives the
 * calling thread. To be called while nobody else uses the context. Results do not depend on it.
 * PARAM: more than CKKS_MAX_THREADS. */
fhola_status ckks_context_set_threads(ckks_context *context, unsigned threads) FHOLA_WARN_UNUSED;
/* What an operation that this thread calls now would compute with: 1 in a library without OpenMP,
 * and in a child of fork() whatever was set. */
unsigned ckks_context_threads(const ckks_context *context);

/* Seconds per stage of bootstrapping, summed over the runs of a workspace. */
typedef struct ckks_bootstrap_times {
    double slots_to_coeffs, switch_to_sparse, coeffs_to_slots, eval_mod;
} ckks_bootstrap_times;

/* Scratch memory, grown on demand and kept: a steady computation stops allocating. It is empty at
 * first, and belongs to `context`. */
fhola_status ckks_workspace_create(ckks_workspace **out,
                                   const ckks_context *context) FHOLA_WARN_UNUSED;
void ckks_workspace_destroy(ckks_workspace *workspace);       /* wipes */
size_t ckks_workspace_bytes(const ckks_workspace *workspace); /* that it holds */
/* to read, or to set to 0 */
ckks_bootstrap_times *ckks_workspace_times(ckks_workspace *workspace);

/* Stages of a bootstrap, in their order; the trace belongs to the second. */
typedef enum ckks_stage {
    CKKS_STAGE_SLOTS_TO_COEFFS,
    CKKS_STAGE_SWITCH_TO_SPARSE,
    CKKS_STAGE_COEFFS_TO_SLOTS,
    CKKS_STAGE_EVAL_MOD
} ckks_stage;
/* From now on `ended` (NULL: nobody) is told when a stage of a bootstrap with this workspace
 * ends. */
void ckks_workspace_observe(ckks_workspace *workspace, void (*ended)(void *arg, ckks_stage stage),
                            void *arg);

/* ---- randomness and keys ---- */

/* Marks bytes that were computed from secrets but are public by design, where code goes on to
 * branch on them; does nothing by itself. tests/ctime_tests, which fails where code branches on
 * anything else that comes from a secret, puts its own function in this place. Each use says why
 * the bytes may be known. */
void ckks_declassify(const void *memory, size_t bytes);

/* Sets bytes to zero in a way the compiler may not leave out, before memory that held a secret is
 * released. `memory` may be NULL if `bytes` is 0. */
void ckks_wipe(void *memory, size_t bytes);

/* Belongs to one caller at a time. One from the operating system takes a new key from there at each
 * encryption, key generation and flooded decryption, so that processes which share it after a
 * fork() draw different secrets; if the system gives none, the operation fails with IO. */
typedef struct ckks_rng ckks_rng;
/* from the operating system */
fhola_status ckks_rng_create(ckks_rng **out) FHOLA_WARN_UNUSED;
/* reproducible: tests only */
fhola_status ckks_rng_create_seeded(ckks_rng **out, const uint8_t seed[32]) FHOLA_WARN_UNUSED;
void ckks_rng_destroy(ckks_rng *rng); /* wipes */

typedef struct ckks_secret_key ckks_secret_key; /* uniform ternary */
typedef struct ckks_public_key ckks_public_key;
typedef struct ckks_eval_keys ckks_eval_keys;

/* A new secret key. */
fhola_status ckks_secret_key_create(ckks_secret_key **out, const ckks_context *context,
                                    ckks_rng *rng) FHOLA_WARN_UNUSED;
void ckks_secret_key_destroy(ckks_secret_key *key); /* wipes */

/* A public key of `secret`, for plaintexts on `basis`, chain primes, or some of them. */
fhola_status ckks_public_key_create(ckks_public_key **out, const ckks_context *context,
                                    const ckks_secret_key *secret, ckks_basis basis,
                                    ckks_rng *rng) FHOLA_WARN_UNUSED;
void ckks_public_key_destroy(ckks_public_key *key); /* NULL: does nothing */

typedef enum ckks_key_kind {
    CKKS_KEY_RELINEARIZE = 1, /* s^2 -> s */
    CKKS_KEY_ROTATE = 2,      /* slots left by `rotation` */
    CKKS_KEY_CONJUGATE = 3,
    CKKS_KEY_DENSE_TO_SPARSE = 4, /* bootstrapping, at q0 p0 only */
    CKKS_KEY_SPARSE_TO_DENSE = 5, /* bootstrapping, one digit; slots left by `rotation` */
    CKKS_KEY_SHRINK = 6           /* ckks_shrink */
} ckks_key_kind;

/* One switching key: usable on every ciphertext whose basis is a subset of `q`. */
typedef struct ckks_key_request {
    ckks_key_kind kind;
    /* 1 .. slots-1 for CKKS_KEY_ROTATE, 0 .. slots-1 for CKKS_KEY_SPARSE_TO_DENSE, the logarithm of
     * the degree for CKKS_KEY_SHRINK, else 0 */
    uint32_t rotation;
    ckks_basis q; /* chain primes covered */
    ckks_basis p; /* special primes used */
} ckks_key_request;

typedef struct ckks_key_list {
    ckks_key_request *request;
    size_t count, capacity;
} ckks_key_list;

/* Adds a request unless an equal one is there; `rotation` is reduced modulo the slots, and a
 * CKKS_KEY_ROTATE by 0 is ignored. */
fhola_status ckks_key_list_add(ckks_key_list *list, const ckks_context *context,
                               ckks_key_request request) FHOLA_WARN_UNUSED;
/* What a program will do with ciphertexts, beside rotations. */
#define CKKS_OPERATION_MUL       1u /* ckks_mul */
#define CKKS_OPERATION_CONJUGATE 2u
/* Adds the keys for operations (a sum of the above) and rotations of ciphertexts that have the
 * primes ckks_basis_level(params, l) for any l up to `level`. Where primes share limbs this may be
 * several keys for each. PARAM: unknown operations, or more levels than there are. */
fhola_status ckks_key_list_add_operations(ckks_key_list *list, const ckks_context *context,
                                          unsigned level, unsigned operations,
                                          const int32_t rotation[], size_t count) FHOLA_WARN_UNUSED;
void ckks_key_list_clear(ckks_key_list *list); /* NULL: does nothing */
/* Whether a list that may come from anybody can be served: every request of a known kind, on primes
 * and for a rotation that the parameters have, and none that would endanger the secret key. KEY,
 * PARAM (special primes that cannot carry a key), SECURITY: a key of the ephemeral secret without
 * bootstrapping, or from the secret key to it anywhere but at q0 p0; one that shrinks to a degree
 * too small for its primes. Whatever makes or reads keys checks this first. */
fhola_status ckks_key_list_check(const ckks_key_list *list,
                                 const ckks_params *params) FHOLA_WARN_UNUSED;

/* KEY, naming what is missing, unless every request of `needed` stands in the list. For lists that
 * ckks_key_list_check accepts. */
fhola_status ckks_key_list_covers(const ckks_key_list *list,
                                  const ckks_key_list *needed) FHOLA_WARN_UNUSED;

/* progress(arg, done, total) may be NULL; a nonzero return stops with FHOLA_CANCELLED. */
typedef int (*ckks_progress_fn)(void *arg, size_t done, size_t total);
/* The keys of a list, which ckks_key_list_check must accept. */
fhola_status ckks_eval_keys_create(ckks_eval_keys **out, const ckks_context *context,
                                   const ckks_secret_key *secret, const ckks_key_list *list,
                                   ckks_rng *rng, ckks_progress_fn progress,
                                   void *arg) FHOLA_WARN_UNUSED;
void ckks_eval_keys_destroy(ckks_eval_keys *keys);       /* NULL: does nothing */
size_t ckks_eval_keys_bytes(const ckks_eval_keys *keys); /* in memory */

/* ---- plaintexts and ciphertexts ---- */

/* A scale is a positive normal number, at most N/2 times the product of the primes it is used with:
 * beyond, no slot can hold 1. Every function that takes a scale, or makes one out of others, fails
 * with SCALE if it is not. */
typedef struct ckks_plaintext ckks_plaintext;
typedef struct ckks_ciphertext ckks_ciphertext;

/* An empty plaintext: ckks_encode fills it. */
fhola_status ckks_plaintext_create(ckks_plaintext **out,
                                   const ckks_context *context) FHOLA_WARN_UNUSED;
void ckks_plaintext_destroy(ckks_plaintext *plain); /* NULL: does nothing */
/* Encodes `period` values (a power of two dividing the slots), repeated to fill them, at `scale` on
 * `basis` (chain or special primes). RANGE when a coefficient would reach 2^62, or half the product
 * of the primes of `basis`. */
fhola_status ckks_encode(const ckks_context *context, ckks_workspace *workspace,
                         ckks_plaintext *out, const ckks_complex *values, size_t period,
                         double scale, ckks_basis basis) FHOLA_WARN_UNUSED;

/* Several vectors in one plaintext or ciphertext, side by side not in its slots but in its
 * coefficients: with Y = X^(N / (2 period count)) and p_k the polynomial of vector k, `period`
 * slots repeated, it is the sum of Y^k p_k. So vectors that are short, or repeat, share a
 * ciphertext and come apart again (ckks_interleave, ckks_deinterleave) without a level. */
typedef struct ckks_interleaving {
    size_t period, count; /* powers of two, whose product divides the slots */
} ckks_interleaving;
/* values[k * period + s]: value s of vector k. Errors as ckks_encode; PARAM: the numbers. */
fhola_status ckks_encode_interleaved(const ckks_context *context, ckks_workspace *workspace,
                                     ckks_plaintext *out, const ckks_complex *values,
                                     ckks_interleaving shape, double scale,
                                     ckks_basis basis) FHOLA_WARN_UNUSED;

/* An empty ciphertext, on no primes. */
fhola_status ckks_ciphertext_create(ckks_ciphertext **out,
                                    const ckks_context *context) FHOLA_WARN_UNUSED;
void ckks_ciphertext_destroy(ckks_ciphertext *ciphertext); /* NULL: does nothing */
/* Both belong to one context. */
fhola_status ckks_ciphertext_copy(ckks_ciphertext *out,
                                  const ckks_ciphertext *in) FHOLA_WARN_UNUSED;
ckks_basis ckks_ciphertext_basis(const ckks_ciphertext *ciphertext); /* 0 = empty */
double ckks_ciphertext_scale(const ckks_ciphertext *ciphertext);     /* that its values stand at */
/* How many primes it has beyond those of base and slots to coefficients: the products that can be
 * rescaled before it has to be bootstrapped. */
unsigned ckks_level(const ckks_ciphertext *ciphertext);
/* Declares another scale: multiplies the values by old/new without touching the ciphertext. LEVEL:
 * it is empty. */
fhola_status ckks_ciphertext_set_scale(ckks_ciphertext *ciphertext, double scale) FHOLA_WARN_UNUSED;

/* Slots after which the values repeat, as far as the library knows it: that of the plaintext, and
 * the longest of what operations bring together. 0: not known, after a file or a transform. A
 * bootstrap is for values of its own period and refuses others. Values that repeat earlier than
 * they were encoded to, or copies that were added up, only the caller knows of: set_period declares
 * the period, a power of two dividing the slots, or 0, else PARAM. LEVEL: it is empty. */
size_t ckks_ciphertext_period(const ckks_ciphertext *ciphertext);
/* Declares the period; see ckks_ciphertext_period. */
fhola_status ckks_ciphertext_set_period(ckks_ciphertext *ciphertext,
                                        size_t period) FHOLA_WARN_UNUSED;

/* A number of the caller's own, which copies and files keep; 0 at first, and in what operations
 * make. */
uint32_t ckks_ciphertext_label(const ckks_ciphertext *ciphertext);
/* LEVEL: the ciphertext is empty. */
fhola_status ckks_ciphertext_set_label(ckks_ciphertext *ciphertext,
                                       uint32_t label) FHOLA_WARN_UNUSED;

/* A ciphertext that ckks_shrink has made. */
typedef struct ckks_shrunk {
    unsigned log_degree; /* of the small ring */
    size_t period;       /* its slots, which repeat; 0: the ciphertext is not shrunk */
} ckks_shrunk;
/* What `ciphertext` was shrunk to. */
ckks_shrunk ckks_ciphertext_shrunk(const ckks_ciphertext *ciphertext);

/* Encrypts under the secret key, on the primes and at the scale of the plaintext. LEVEL: it has
 * special primes. */
fhola_status ckks_encrypt(const ckks_context *context, ckks_workspace *workspace,
                          ckks_ciphertext *out, const ckks_plaintext *plain,
                          const ckks_secret_key *secret, ckks_rng *rng) FHOLA_WARN_UNUSED;
/* The same under a public key that has these primes: with more noise, and without the secret. */
fhola_status ckks_encrypt_public(const ckks_context *context, ckks_workspace *workspace,
                                 ckks_ciphertext *out, const ckks_plaintext *plain,
                                 const ckks_public_key *key, ckks_rng *rng) FHOLA_WARN_UNUSED;
/* Decrypts and decodes the first `count` slots. The values carry the ciphertext's noise, which
 * depends on the secret key: whoever sees them must not be the adversary. For values that others
 * will see there is ckks_decrypt_flooded; fhola-security(7). */
fhola_status ckks_decrypt(const ckks_context *context, ckks_workspace *workspace,
                          ckks_complex *values, size_t count, const ckks_ciphertext *in,
                          const ckks_secret_key *secret) FHOLA_WARN_UNUSED;

/* Shrinking makes of a ciphertext that is only to be sent and decrypted a far smaller one. What the
 * first `period` slots hold, repeated, is a polynomial of 2 period coefficients. A key switch leads
 * to a secret of the subring of X^(N/n), n = 2^log_degree, which goes with the secret key; of the
 * result those coefficients matter of which the subring consists, and of the first polynomial only
 * those of the values. So n + 2 period coefficients are left of 2N (ring switching: Gentry, Halevi,
 * Peikert, Smart, "Ring switching in BGV-style homomorphic encryption", SCN 2012).
 *
 * The logarithm of the least degree for slots of that period in ciphertexts on `basis`: one at
 * which the key, on `basis` and the special primes ckks_basis_special_for(params, basis), has
 * 128-bit security. At most that of N. */
unsigned ckks_shrunk_log_degree(const ckks_params *params, ckks_basis basis, size_t period);
/* out = the mean of all copies of the first `period` slots (a power of two), shrunk. Only
 * decryption, ckks_interleaved_at, copies and files take it; other operations say KEY. KEY: no key
 * of kind CKKS_KEY_SHRINK for that degree and these primes. PARAM: the period is below 4, or has no
 * room in the ring. */
fhola_status ckks_shrink(const ckks_context *context, ckks_workspace *workspace,
                         const ckks_eval_keys *keys, ckks_ciphertext *out,
                         const ckks_ciphertext *in, unsigned log_degree,
                         size_t period) FHOLA_WARN_UNUSED;

/* Noise flooding (Li, Micciancio, Schultz, Sorrell, "Securing approximate homomorphic encryption
 * using differential privacy", Crypto 2022). Decrypts the mean of all copies of a block of `period`
 * slots (a power of two dividing the slots: a polynomial of 2 period coefficients) and adds
 * independent discrete Gaussian noise of standard deviation `deviation` (rounded up by at most 1.6
 * below 539, 1.1 beyond; at least 38) to each coefficient. Every one of the `period` values then
 * has complex noise of standard deviation sqrt(2 period) deviation / scale, and what adversaries
 * learn from `queries` such results beyond the exact values is bounded by `bits` bits of
 * statistical security if deviation >= ckks_flood_deviation(bits, queries, error), where `error`
 * bounds the Euclidean norm of the error of the 2 period coefficients: that is the scale times the
 * root mean square over the block of |decrypted - exact|. PARAM: period. RANGE: deviation not in
 * (0, 2^50]. */
fhola_status ckks_decrypt_flooded(const ckks_context *context, ckks_workspace *workspace,
                                  ckks_complex *values, size_t period, const ckks_ciphertext *in,
                                  const ckks_secret_key *secret, double deviation,
                                  ckks_rng *rng) FHOLA_WARN_UNUSED;
/* sqrt(12 queries) 2^(bits / 2) error: the paper's section 4.4, (c, s)-bit security with s =
 * bits. */
double ckks_flood_deviation(double bits, double queries, double error);
/* The same on the side of who computed, without the secret key: against the key's owner, to whom a
 * ciphertext would say more of the computation than its values do. In place. Adds an encryption of
 * zero, fresh at each call, with a public key that stands in the evaluation keys; to each
 * coefficient of the subring of `period` slots noise of `deviation`, as ckks_decrypt_flooded does;
 * and to all others uniform residues: only the mean of all copies of a block of `period` slots is a
 * value afterwards. The claim is for keys that were made as they should be. PARAM: period. KEY: no
 * evaluation key over the ciphertext's primes has a digit without them. RANGE: deviation. LEVEL: it
 * is empty. */
fhola_status ckks_sanitize(const ckks_context *context, ckks_workspace *workspace,
                           ckks_ciphertext *ciphertext, size_t period, const ckks_eval_keys *keys,
                           double deviation, ckks_rng *rng) FHOLA_WARN_UNUSED;

/* ---- evaluation ---- */

/* Operands of add, sub, add_plain share basis and scale (relative difference below 2^-30), else
 * LEVEL or SCALE. */
fhola_status ckks_add(const ckks_context *context, ckks_ciphertext *out, const ckks_ciphertext *a,
                      const ckks_ciphertext *b) FHOLA_WARN_UNUSED;
/* a - b. */
fhola_status ckks_sub(const ckks_context *context, ckks_ciphertext *out, const ckks_ciphertext *a,
                      const ckks_ciphertext *b) FHOLA_WARN_UNUSED;
/* a + b. */
fhola_status ckks_add_plain(const ckks_context *context, ckks_ciphertext *out,
                            const ckks_ciphertext *a, const ckks_plaintext *b) FHOLA_WARN_UNUSED;
/* The same number to every value. RANGE unless it is less than half the product of the primes, at
 * the scale of `a`. */
fhola_status ckks_add_scalar(const ckks_context *context, ckks_ciphertext *out,
                             const ckks_ciphertext *a, double c) FHOLA_WARN_UNUSED;
/* Scale becomes the product of the scales; the plaintext's basis contains the ciphertext's. */
fhola_status ckks_mul_plain(const ckks_context *context, ckks_ciphertext *out,
                            const ckks_ciphertext *a, const ckks_plaintext *b) FHOLA_WARN_UNUSED;
/* Multiplies by a small integer, exactly. RANGE unless it is less than half the product of the
 * primes. */
fhola_status ckks_mul_integer(const ckks_context *context, ckks_ciphertext *out,
                              const ckks_ciphertext *a, int64_t c) FHOLA_WARN_UNUSED;
/* c times every value, on the primes `basis`, a subset of those of `a`, and at the scale `scale`,
 * whatever that of `a`; with c = 1, a rescale to a wanted scale. Multiplies by the integer nearest
 * to c scale D / (scale of a), then divides by D, the product of the primes of `a` outside `basis`.
 * RANGE: this integer stands for a number that differs from c by more than max(1, |c|) N / (8
 * ckks_params_scale()), half of what rounding a rescale costs (leave out more primes, or begin with
 * a smaller scale); or it is not below half the product of the primes of `a`. */
fhola_status ckks_mul_scalar(const ckks_context *context, ckks_workspace *workspace,
                             ckks_ciphertext *out, const ckks_ciphertext *a, double c, double scale,
                             ckks_basis basis) FHOLA_WARN_UNUSED;
/* Brings two ciphertexts, in place, to one basis and one scale, that of one of them, so that they
 * can be added: leaves out the primes that they do not share, and as few others as the scales ask
 * for. On failure neither has changed. LEVEL: they share no prime. SCALE: there are too few primes
 * to bring the scales together as precisely as ckks_mul_scalar wants. */
fhola_status ckks_align(const ckks_context *context, ckks_workspace *workspace, ckks_ciphertext *a,
                        ckks_ciphertext *b) FHOLA_WARN_UNUSED;
/* Product, relinearised; with `rescale` also divided by the top prime of the common basis in the
 * same pass. */
fhola_status ckks_mul(const ckks_context *context, ckks_workspace *workspace,
                      const ckks_eval_keys *keys, ckks_ciphertext *out, const ckks_ciphertext *a,
                      const ckks_ciphertext *b, int rescale) FHOLA_WARN_UNUSED;
/* Divides by the primes outside `basis` (rescale), or forgets them (drop). `basis` is a subset of
 * the ciphertext's. */
fhola_status ckks_rescale(const ckks_context *context, ckks_workspace *workspace,
                          ckks_ciphertext *out, const ckks_ciphertext *in,
                          ckks_basis basis) FHOLA_WARN_UNUSED;
/* Forgets the primes outside `basis`, a subset of the ciphertext's; values and scale stay. */
fhola_status ckks_drop(const ckks_context *context, ckks_ciphertext *out, const ckks_ciphertext *in,
                       ckks_basis basis) FHOLA_WARN_UNUSED;
/* Slots left by `rotation` (may be negative). */
fhola_status ckks_rotate(const ckks_context *context, ckks_workspace *workspace,
                         const ckks_eval_keys *keys, ckks_ciphertext *out,
                         const ckks_ciphertext *in, int32_t rotation) FHOLA_WARN_UNUSED;
/* The complex conjugate of every slot. KEY: no key for it. */
fhola_status ckks_conjugate(const ckks_context *context, ckks_workspace *workspace,
                            const ckks_eval_keys *keys, ckks_ciphertext *out,
                            const ckks_ciphertext *in) FHOLA_WARN_UNUSED;
/* Several rotations of one ciphertext with one decomposition (hoisting). out[i] are distinct and
 * differ from `in`. */
fhola_status ckks_rotate_hoisted(const ckks_context *context, ckks_workspace *workspace,
                                 const ckks_eval_keys *keys, ckks_ciphertext *const out[],
                                 const ckks_ciphertext *in, const int32_t rotation[],
                                 size_t count) FHOLA_WARN_UNUSED;

/* out = the sum of Y^k in[k] for k < given <= shape.count, of one basis and scale: without keys or
 * noise of its own. The vectors of `in` repeat after `period` slots, but for noise, which joins
 * that of the others. `out` differs from all of `in` but the first. */
fhola_status ckks_interleave(const ckks_context *context, ckks_workspace *workspace,
                             ckks_ciphertext *out, const ckks_ciphertext *const in[], size_t given,
                             ckks_interleaving shape) FHOLA_WARN_UNUSED;
/* out = Y^-k in: the mean of all copies of `period` slots is vector k, of which slots alone say
 * nothing. */
fhola_status ckks_interleaved_at(const ckks_context *context, ckks_workspace *workspace,
                                 ckks_ciphertext *out, const ckks_ciphertext *in, size_t k,
                                 ckks_interleaving shape) FHOLA_WARN_UNUSED;
/* The rotations that ckks_deinterleave does with ciphertexts over `basis`. */
fhola_status ckks_deinterleave_keys(const ckks_context *context, ckks_basis basis,
                                    ckks_interleaving shape, ckks_key_list *list) FHOLA_WARN_UNUSED;
/* All vectors, out[k] repeating with `period`, at `count` times the scale of `in`: count - 1
 * rotations, no level. The outputs differ from `in`. */
fhola_status ckks_deinterleave(const ckks_context *context, ckks_workspace *workspace,
                               const ckks_eval_keys *keys, ckks_ciphertext *const out[],
                               const ckks_ciphertext *in,
                               ckks_interleaving shape) FHOLA_WARN_UNUSED;

/* ---- linear transforms ---- */

#define CKKS_LINTRANS_MAX_PARTS 1024u /* inputs, and outputs, of one transform */

/* What a transform keeps of its diagonals. Its results are the same, bit for bit. */
typedef enum ckks_lintrans_store {
    CKKS_LINTRANS_LIMBS, /* ready to be multiplied with */
    /* as integers of 32 bits, transformed at every use; as CKKS_LINTRANS_NONE where one does not
     * fit */
    CKKS_LINTRANS_COEFFICIENTS,
    /* nothing: they are asked for at every use, so that `diagonal` and `arg` must outlive the
     * transform */
    CKKS_LINTRANS_NONE
} ckks_lintrans_store;

/* y[s] = sum over d of diagonal_d[s] x[s + d], slot indices modulo the slots: baby-step giant-step
 * over the diagonals, with hoisting. With several inputs x_i and outputs y_o it is a matrix of
 * blocks, block o * inputs + i with the diagonals from x_i to y_o: every input is rotated once for
 * all outputs, and sums over inputs are rotated once for each output. */
typedef struct ckks_lintrans_spec {
    ckks_basis basis;         /* of the inputs this transform serves (or any superset) */
    ckks_basis special;       /* special primes of its key switches */
    unsigned inputs, outputs; /* 0: one */
    size_t count;             /* diagonals, of all blocks: at most 4096 for each */
    /* count offsets d, |d| < slots, distinct in a block; a fixed representative, which decides the
     * keys */
    const int32_t *offset;
    const unsigned *block; /* count of them, NULL: all 0 */
    /* Which of the diagonals has the same factor for every slot of its input,
     *     diagonal_i[s - offset_i] = diagonal_same[s - offset_same]  for every s:
     * they are kept once. The split must give them the same baby. NULL: each is its own. */
    const size_t *same;
    /* Writes diagonal `offset` of a block: `period` values; nonzero return aborts with FHOLA_PARAM.
     * Called from several threads at once. NULL: structure and keys only (apply refuses). */
    int (*diagonal)(void *arg, unsigned block, int32_t offset, ckks_complex *values);
    void *arg;
    size_t period; /* of the diagonals, a power of two dividing the slots */
    /* scale of the encoded diagonals. RANGE when a coefficient of one would reach 2^62, or half the
     * product of the primes of `basis` */
    double plain_scale;
    /* 0: chosen by cost; else d = giant + baby, giant a multiple of baby_step, 0 <= baby <
     * baby_step */
    uint32_t baby_step;
    /* babies stay on Q and P (diagonals encoded over both): fewer mod_down, more memory */
    int double_hoist;
    /* giants in turn: from the highest down, each sum is rotated by the distance to the next one
     * and added to it. A key for each distance instead of one for each giant */
    int in_turn;
    /* 0, or an offset whose baby is larger by baby_step and whose giant is smaller. Giants in turn
     * have the key of such a baby 0, and the highest offset may need no giant of its own so. */
    int32_t whole_baby;
    /* babies in turn: each is a rotation of the one before, by their distance. Again a key for each
     * distance, but a decomposition for each baby, and errors that add up. PARAM: double_hoist */
    int babies_in_turn;
    /* The inputs are what bootstrapping has under its ephemeral secret modulo q0, and the transform
     * raises them to the result's primes and the top one of its basis: babies are made from the
     * lift by keys from that secret (CKKS_KEY_SPARSE_TO_DENSE), of one digit, without a
     * decomposition. PARAM: not double_hoist */
    int raised;
    /* all diagonals are real: half of each is kept, since the limbs of a plaintext of real slots
     * read the same from both ends. PARAM: one is not. Not with double_hoist. */
    int real;
    ckks_lintrans_store store;
} ckks_lintrans_spec;

typedef struct ckks_lintrans ckks_lintrans;
/* Encodes the diagonals, as `spec` says; arrays in it are copied. PARAM, RANGE: see there. */
fhola_status ckks_lintrans_create(ckks_lintrans **out, const ckks_context *context,
                                  ckks_workspace *workspace,
                                  const ckks_lintrans_spec *spec) FHOLA_WARN_UNUSED;
void ckks_lintrans_destroy(ckks_lintrans *transform); /* NULL: does nothing */
/* Adds the rotation keys that it uses. */
fhola_status ckks_lintrans_keys(const ckks_lintrans *transform, const ckks_context *context,
                                ckks_key_list *list) FHOLA_WARN_UNUSED;
ckks_lintrans_store ckks_lintrans_stored(const ckks_lintrans *transform); /* which it became */
size_t ckks_lintrans_bytes(const ckks_lintrans *transform);               /* of diagonals kept */
/* Of that many diagonals of a period, kept as coefficients. */
size_t ckks_lintrans_coefficient_bytes(size_t diagonals, size_t period);
/* What they would be if the diagonals were encoded: the same if they are. */
size_t ckks_lintrans_encoded_bytes(const ckks_lintrans *transform);
/* Applies `count` transforms of one input and one output to one input, one after the other, and
 * divides each result by the primes of the input's basis outside `out_basis` (usually the top
 * prime). Scale: in * plain_scale / those primes. Outputs differ from `in`. */
fhola_status ckks_lintrans_apply(const ckks_context *context, ckks_workspace *workspace,
                                 const ckks_eval_keys *keys, size_t count,
                                 const ckks_lintrans *const transform[],
                                 ckks_ciphertext *const out[], const ckks_ciphertext *in,
                                 ckks_basis out_basis) FHOLA_WARN_UNUSED;

/* One transform of one input and one output applied to each of `count` ciphertexts of one basis and
 * scale: keys and diagonals are read once for all of them. Results differ from each other and from
 * the inputs, and are, bit for bit, what ckks_lintrans_apply gives. */
fhola_status ckks_lintrans_apply_each(const ckks_context *context, ckks_workspace *workspace,
                                      const ckks_eval_keys *keys, const ckks_lintrans *transform,
                                      size_t count, ckks_ciphertext *const out[],
                                      const ckks_ciphertext *const in[],
                                      ckks_basis out_basis) FHOLA_WARN_UNUSED;

/* The same for one transform with all its inputs, of one basis and scale, and outputs, which differ
 * from each other and from the inputs. */
fhola_status ckks_lintrans_apply_matrix(const ckks_context *context, ckks_workspace *workspace,
                                        const ckks_eval_keys *keys, const ckks_lintrans *transform,
                                        ckks_ciphertext *const out[],
                                        const ckks_ciphertext *const in[],
                                        ckks_basis out_basis) FHOLA_WARN_UNUSED;

/* ---- polynomials ---- */

/* p(x) = sum_k coeff[k] T_k(x) in the Chebyshev basis, slot-wise, on a ciphertext with values in
 * [-1, 1]. With period > 1 every coefficient is a vector, repeated to fill the slots (one
 * polynomial per slot class); with period 1 it is one number. Uses ckks_polynomial_depth(degree)
 * levels: the top primes of `basis_in` down to `basis_out`.
 *
 * RANGE: a coefficient above 2^40; one that is not below half the product of the primes it is
 * multiplied at (the scale of its sum times the prime the sum is then divided by, on that prime and
 * those below); with period > 1, one too large to encode (ckks_encode). SCALE: a T_k would stand at
 * a scale below 1, or above its primes. */
typedef struct ckks_polynomial_spec {
    unsigned degree; /* 1..63 */
    size_t period;
    const double *coeff;  /* (degree + 1) * period, coefficient k at k * period */
    ckks_basis basis_in;  /* of x */
    ckks_basis basis_out; /* of p(x); basis_in minus its top depth primes */
    double scale_in, scale_out;
} ckks_polynomial_spec;

typedef struct ckks_polynomial ckks_polynomial;
unsigned ckks_polynomial_depth(unsigned degree); /* ceil(log2(degree + 1)) */
/* Encodes the coefficients of `spec`, which is copied. */
fhola_status ckks_polynomial_create(ckks_polynomial **out, const ckks_context *context,
                                    ckks_workspace *workspace,
                                    const ckks_polynomial_spec *spec) FHOLA_WARN_UNUSED;
void ckks_polynomial_destroy(ckks_polynomial *polynomial);       /* NULL: does nothing */
size_t ckks_polynomial_bytes(const ckks_polynomial *polynomial); /* of encoded coefficients */
/* Adds the relinearisation keys the evaluation uses, one per level. */
fhola_status ckks_polynomial_keys(const ckks_polynomial *polynomial, const ckks_context *context,
                                  ckks_key_list *list) FHOLA_WARN_UNUSED;
/* `in` has the scale and the basis of the specification. With period 1 some of the lower primes of
 * that basis may be missing, and `out` lacks them then. RANGE: a coefficient does not fit without
 * them. */
fhola_status ckks_polynomial_apply(const ckks_context *context, ckks_workspace *workspace,
                                   const ckks_eval_keys *keys, const ckks_polynomial *polynomial,
                                   ckks_ciphertext *out,
                                   const ckks_ciphertext *in) FHOLA_WARN_UNUSED;

/* ---- bootstrapping ---- */

/* Bootstrapping of real vectors of n = 2^log_values values, repeated to fill the slots. It begins
 * with slots to coefficients; the steps and where they come from stand at the top of
 * ckks/circuit/bootstrap.c.
 *   Input: w_s in slot s of the first half of each block of n slots, i w_s in those of the second
 *     half, |w_s| <= 1 (up to 2 is computed as well), on base + slots_to_coeffs primes, at a scale
 *     near 2^scale_bits.
 *   Output: X_s = sin(2 pi eps w_s) / sin(2 pi eps) in slot s, on base + slots_to_coeffs + the
 *     lowest `residual_levels` residual primes, at the scale ckks_bootstrap_scale_out(). */
typedef struct ckks_bootstrap ckks_bootstrap;
#define CKKS_BOOTSTRAP_ENCODE     1 /* an option of bootstraps: their plaintexts are encoded */
#define CKKS_BOOTSTRAP_SMALL_KEYS 2 /* two keys for each transform, at the price of time */
/* One for real vectors, as ckks_bootstrap describes. Without CKKS_BOOTSTRAP_ENCODE it knows its
 * keys and sizes, and apply refuses it. */
fhola_status ckks_bootstrap_create(ckks_bootstrap **out, const ckks_context *context,
                                   ckks_workspace *workspace, unsigned log_values, double scale_in,
                                   int options) FHOLA_WARN_UNUSED;
/* The same for complex vectors of n = 2^log_values values (repeated to fill the slots, or as many
 * as there are slots). Input: z_s itself in slot s, |Re z_s|, |Im z_s| <= 1. Output: the sine of
 * the real part plus i times that of the imaginary part. Twice the EvalMod of a real one; a real
 * bootstrap of 2n values with n complex ones as their parts does better where 2n values fit. */
fhola_status ckks_bootstrap_create_complex(ckks_bootstrap **out, const ckks_context *context,
                                           ckks_workspace *workspace, unsigned log_values,
                                           double scale_in, int options) FHOLA_WARN_UNUSED;
/* The identity: X_s = w_s, with the sine's inverse as a polynomial at the end. Input: n =
 * 2^log_values real values w_s themselves, or complex ones, repeated after n slots or fewer, |w_s|
 * <= 1 (real and imaginary part each), on base + slots_to_coeffs and at least one residual prime
 * for ckks_bootstrap_pack, which applying it includes. Output: at ckks_params_scale(). The
 * polynomial takes the highest `arcsine_levels` residual primes, 2 to 5 of them, so that at most
 * residual_levels - arcsine_levels are left. Its own error is below 2^-13 for 2 levels and 2^-15
 * for 3 at scale_bits 28 (R15), 2^-17, 2^-23 and 2^-26 for 2, 3 and 4 at 36 (R16). The error of
 * the sine grows by 1.4 (the most levels) to 5 (the fewest at 36 bits). PARAM: other numbers of
 * levels or of values, or no bootstrapping. */
fhola_status ckks_bootstrap_create_identity(ckks_bootstrap **out, const ckks_context *context,
                                            ckks_workspace *workspace, unsigned log_values,
                                            int complex_values, unsigned arcsine_levels,
                                            int options) FHOLA_WARN_UNUSED;
/* Makes the input of a bootstrap from a ciphertext that has the values themselves in its slots, one
 * after the other, on base + slots_to_coeffs and residual primes: those of a real bootstrap are
 * multiplied by 1 on the first half of each block of n, by i on the second, and all are brought to
 * the bootstrap's scale. PARAM: the values are known to repeat after more slots than the
 * bootstrap's. LEVEL: the residual primes do not suffice for the scale of `in`; one for each level
 * of products that was not rescaled, and one more. RANGE: the same, complex values. */
fhola_status ckks_bootstrap_pack(const ckks_context *context, ckks_workspace *workspace,
                                 const ckks_bootstrap *bootstrap, ckks_ciphertext *out,
                                 const ckks_ciphertext *in) FHOLA_WARN_UNUSED;
void ckks_bootstrap_destroy(ckks_bootstrap *bootstrap); /* NULL: does nothing */
/* Adds the keys that it uses, those of ckks_bootstrap_pack among them where applying it packs. */
fhola_status ckks_bootstrap_keys(const ckks_bootstrap *bootstrap, const ckks_context *context,
                                 ckks_key_list *list) FHOLA_WARN_UNUSED;
size_t ckks_bootstrap_bytes(const ckks_bootstrap *bootstrap);         /* of encoded matrices */
size_t ckks_bootstrap_encoded_bytes(const ckks_bootstrap *bootstrap); /* encoded or not */
/* which ckks_bootstrap_apply expects */
double ckks_bootstrap_scale_in(const ckks_bootstrap *bootstrap);
double ckks_bootstrap_scale_out(const ckks_bootstrap *bootstrap); /* of its results */
/* LEVEL: the input has other primes, or more residual levels are asked for than there are. SCALE.
 * PARAM: the values of the input are known to repeat after another number of slots than those that
 * the bootstrap was made for (log_values), or the bootstrap has no matrices. KEY. */
fhola_status ckks_bootstrap_apply(const ckks_context *context, ckks_workspace *workspace,
                                  const ckks_eval_keys *keys, const ckks_bootstrap *bootstrap,
                                  ckks_ciphertext *out, const ckks_ciphertext *in,
                                  unsigned residual_levels) FHOLA_WARN_UNUSED;
/* Of complex values: out[0] gets the sine of the real parts, out[1] that of the imaginary parts. So
 * two real vectors x, y of n values are bootstrapped as x + i y, with one slots_to_coeffs, switch
 * to the sparse secret and coeffs_to_slots for both. */
fhola_status ckks_bootstrap_apply_pair(const ckks_context *context, ckks_workspace *workspace,
                                       const ckks_eval_keys *keys, const ckks_bootstrap *bootstrap,
                                       ckks_ciphertext *const out[2], const ckks_ciphertext *in,
                                       unsigned residual_levels) FHOLA_WARN_UNUSED;
#define CKKS_BOOTSTRAPS_AT_ONCE 4u
/* The same for each of `count` ciphertexts, bit for bit: those of in[k] become out[2 k] and
 * out[2 k + 1], which all differ. The keys and diagonals of transforms are read once for as many of
 * them as above. */
fhola_status ckks_bootstrap_apply_pairs(const ckks_context *context, ckks_workspace *workspace,
                                        const ckks_eval_keys *keys, const ckks_bootstrap *bootstrap,
                                        size_t count, ckks_ciphertext *const out[],
                                        const ckks_ciphertext *const in[],
                                        unsigned residual_levels) FHOLA_WARN_UNUSED;

/* ---- all of it at once ---- */

/* What one who holds the secret key computes with, made by ckks_setup_create. Where others compute,
 * they have the evaluation keys only, and each side makes its part with the functions above. */
typedef struct ckks_setup {
    ckks_params *params;
    ckks_context *context;
    ckks_workspace *workspace;
    ckks_rng *rng;
    ckks_secret_key *secret;
    ckks_eval_keys *keys;
    ckks_bootstrap *bootstrap; /* NULL: none was asked for */
} ckks_setup;
/* Makes all that computing needs with a bundled parameter set: keys for operations and rotations of
 * ciphertexts up to `level`, as ckks_key_list_add_operations has them, and, unless `arcsine_levels`
 * is 0, for the bootstrap of ckks_bootstrap_create_identity, of as many real values as there are
 * slots. On error `out` is empty. PARAM: no such set, or what those two refuse. */
fhola_status ckks_setup_create(ckks_setup *out, const char *name, unsigned level,
                               unsigned operations, const int32_t rotation[], size_t count,
                               unsigned arcsine_levels) FHOLA_WARN_UNUSED;
void ckks_setup_clear(ckks_setup *setup); /* wipes; leaves it empty */

/* ---- files ---- */

/* A file, or a piece of a stream, is a container: a head that says what it holds, the specification
 * of the parameters, chunks with checksums, an end mark; see fhola-formats(5). Checksums find
 * damage. They do not authenticate anything.
 *
 * Objects are written between ckks_writer_begin and ckks_writer_end, in chunks; several objects may
 * share a container, and a stream may hold any number of containers. Reading follows the same
 * order. A reader never allocates more than the parameters justify, whatever a file claims, and
 * hands over nothing that it has not verified. */

/* 2: the hash of parameters covers the digits; rotation keys lead from sigma(s) to s, not from s to
 * sigma^-1(s). 3: primes share limbs. 4: networks of any graph. 5: results are shrunk, and a secret
 * key has the seed of the secrets that they are shrunk to. */
#define CKKS_FILE_VERSION 5u

typedef enum ckks_file_kind {
    CKKS_FILE_ANY = 0, /* only as an expectation */
    CKKS_FILE_SECRET_KEY = 1,
    CKKS_FILE_PUBLIC_KEY = 2,
    CKKS_FILE_EVAL_KEYS = 3,
    CKKS_FILE_CIPHERTEXT = 4,
    CKKS_FILE_CLIENT = 5, /* of <fhola/nn.h> */
    CKKS_FILE_NETWORK = 6 /* of <fhola/nn.h> */
} ckks_file_kind;

/* With its article: "a secret key"; "an unknown kind of object". */
const char *ckks_file_kind_name(ckks_file_kind kind);

typedef struct ckks_file_head {
    ckks_file_kind kind;
    uint64_t params; /* ckks_params_hash */
    /* id of the secret key behind the content: a random number, equal in all made with that key; 0:
     * none */
    uint64_t key;
    uint64_t offset; /* of the container in the stream */
} ckks_file_head;

/* Which file something is: device and inode; both 0: none, or no regular file. */
typedef struct ckks_file_id {
    uint64_t device, inode;
} ckks_file_id;

/* ---- writing ---- */

typedef struct ckks_writer ckks_writer;

/* Writes to a stream, which stays open and belongs to the caller; `name` goes into messages. */
fhola_status ckks_writer_create(ckks_writer **out, FILE *stream,
                                const char *name) FHOLA_WARN_UNUSED;
#define CKKS_WRITER_OWNER_ONLY 1u /* mode 0600 from the start */
#define CKKS_WRITER_NEW        2u /* never replaces a file, not even one that appears meanwhile */
/* locks the folder until the writer is destroyed, against other writers that do */
#define CKKS_WRITER_LOCK 4u
/* Writes a new file, which ckks_writer_commit gives the name `path`, or the name that the symbolic
 * links at `path` lead to. Until then it has no name where the system can do that, else a temporary
 * one ("NAME.PID-N.tmp" in the same folder). `flags`: a sum of the above. If `path` is there and no
 * regular file (a device, a pipe), it is written directly. PARAM: CKKS_WRITER_NEW, and `path`
 * exists. */
fhola_status ckks_writer_open(ckks_writer **out, const char *path,
                              unsigned flags) FHOLA_WARN_UNUSED;
/* Flushes; a named file is then on the disk (fsync of file and folder) and replaces `path`. On
 * failure `path` is what it was. */
fhola_status ckks_writer_commit(ckks_writer *writer) FHOLA_WARN_UNUSED;
/* The same for two named files: both, or none. */
fhola_status ckks_writer_commit_both(ckks_writer *first, ckks_writer *second) FHOLA_WARN_UNUSED;
/* PARAM if the writer would replace `file`, or writes into it: that is a file something is read
 * from, and whoever holds both asks before it writes. */
fhola_status ckks_writer_spare(const ckks_writer *writer, ckks_file_id file) FHOLA_WARN_UNUSED;
/* Without a commit nothing of a named file remains. Accepts NULL. */
void ckks_writer_destroy(ckks_writer *writer);
uint64_t ckks_writer_bytes(const ckks_writer *writer); /* written so far */

/* Begins a container: what it holds, for which parameters, made with the secret key of which id (0:
 * none). */
fhola_status ckks_writer_begin(ckks_writer *writer, ckks_file_kind kind, const ckks_params *params,
                               uint64_t key) FHOLA_WARN_UNUSED;
/* `tag`: 4 printable characters. */
fhola_status ckks_writer_chunk(ckks_writer *writer, const char *tag, const void *content,
                               size_t length) FHOLA_WARN_UNUSED;
fhola_status ckks_writer_end(ckks_writer *writer) FHOLA_WARN_UNUSED; /* of the container */

/* ---- reading: failures name the stream, the chunk, and where it starts ---- */

typedef struct ckks_reader ckks_reader;

/* The stream stays the caller's. */
fhola_status ckks_reader_create(ckks_reader **out, FILE *stream,
                                const char *name) FHOLA_WARN_UNUSED;
/* Opens a file. IO: it cannot be read. */
fhola_status ckks_reader_open(ckks_reader **out, const char *path) FHOLA_WARN_UNUSED;
#define CKKS_LOOK_BYTES 8u
/* Whether what begins with these bytes is a stream of containers, perhaps one that a transfer as
 * text has damaged. CKKS_LOOK_BYTES of them tell, or all there are. */
int ckks_is_container(const unsigned char *bytes, size_t length);
/* Up to CKKS_LOOK_BYTES bytes that were read from the stream to look at them come first again. To
 * be called before anything is read with the reader. */
void ckks_reader_unread(ckks_reader *reader, const unsigned char *bytes, size_t length);
ckks_file_id ckks_reader_file(const ckks_reader *reader); /* which file it reads */
void ckks_reader_destroy(ckks_reader *reader);            /* wipes what it has read */
/* Accept parameters that are marked insecure: tests only. */
void ckks_reader_allow_insecure(ckks_reader *reader);

/* Begins the next container. *more = 0 at the end of the stream; with `more` NULL there must be a
 * container. It must be of `kind`; with `context` not NULL, for its parameters; with `key` not 0,
 * of that key. The parameters are checked as by ckks_params_create. FORMAT: not such a file,
 * another version or kind, damaged, truncated. KEY: other parameters or another key. SECURITY: a
 * secret key where something else belongs, or parameters below 128-bit security. */
fhola_status ckks_reader_begin(ckks_reader *reader, int *more, ckks_file_kind kind,
                               const ckks_context *context, uint64_t key) FHOLA_WARN_UNUSED;
/* Reads only the head of the next container (ckks_reader_head), which then can still be begun. */
fhola_status ckks_reader_peek(ckks_reader *reader, int *more,
                              ckks_file_kind kind) FHOLA_WARN_UNUSED;
/* of the container begun last, or peeked at */
ckks_file_head ckks_reader_head(const ckks_reader *reader);
/* until the next ckks_reader_begin */
const ckks_params *ckks_reader_params(const ckks_reader *reader);
/* The next chunk, which must be `tag`, of min to max bytes. *content is good until the next
 * call. */
fhola_status ckks_reader_chunk(ckks_reader *reader, const char *tag, size_t min, size_t max,
                               const unsigned char **content, size_t *length) FHOLA_WARN_UNUSED;
fhola_status ckks_reader_end(ckks_reader *reader) FHOLA_WARN_UNUSED; /* of the container */
/* of the container, and nothing follows */
fhola_status ckks_reader_finish(ckks_reader *reader) FHOLA_WARN_UNUSED;
/* Fails with a message about the current chunk. */
fhola_status ckks_reader_fail(const ckks_reader *reader, fhola_status status, const char *format,
                              ...) FHOLA_PRINTF(3, 4);

/* Verifies the next chunk without keeping it. Tag "END " is the end of the container. */
typedef struct ckks_chunk_info {
    char tag[5];
    uint64_t offset, length; /* of the content */
} ckks_chunk_info;
/* `info` says which it was. */
fhola_status ckks_reader_skip(ckks_reader *reader, ckks_chunk_info *info) FHOLA_WARN_UNUSED;
/* Which chunk comes next; it is still there to be read. */
fhola_status ckks_reader_next(ckks_reader *reader, ckks_chunk_info *info) FHOLA_WARN_UNUSED;
/* Bytes and chunks of the current container, or the last one, that have been read. */
void ckks_reader_extent(const ckks_reader *reader, uint64_t *bytes, uint32_t *chunks);

/* ---- objects ---- */

/* Fails with SECURITY for coefficients outside of {-1, 0, 1} and for a number of nonzero ones that
 * a uniform ternary secret does not have (more than 8 standard deviations from 2N/3). */
fhola_status ckks_secret_key_read(ckks_secret_key **out, const ckks_context *context,
                                  ckks_reader *reader) FHOLA_WARN_UNUSED;
/* In a container of kind CKKS_FILE_SECRET_KEY. */
fhola_status ckks_secret_key_write(ckks_writer *writer,
                                   const ckks_secret_key *key) FHOLA_WARN_UNUSED;
/* A random id for a new secret key, never 0. */
fhola_status ckks_key_id(uint64_t *out, ckks_rng *rng) FHOLA_WARN_UNUSED;

/* FORMAT: residues that are not below their primes. */
fhola_status ckks_public_key_read(ckks_public_key **out, const ckks_context *context,
                                  ckks_reader *reader) FHOLA_WARN_UNUSED;
/* In a container of kind CKKS_FILE_PUBLIC_KEY. */
fhola_status ckks_public_key_write(ckks_writer *writer,
                                   const ckks_public_key *key) FHOLA_WARN_UNUSED;

/* Keeps the keys in `needed`, each once (NULL: all of them); KEY, before the first key is read, if
 * one of them is not there. progress as in ckks_eval_keys_create. */
fhola_status ckks_eval_keys_read(ckks_eval_keys **out, const ckks_context *context,
                                 ckks_reader *reader, const ckks_key_list *needed,
                                 ckks_progress_fn progress, void *arg) FHOLA_WARN_UNUSED;
/* Writes keys that are in memory; progress as in ckks_eval_keys_create. */
fhola_status ckks_eval_keys_write(ckks_writer *writer, const ckks_eval_keys *keys,
                                  ckks_progress_fn progress, void *arg) FHOLA_WARN_UNUSED;
/* Makes the keys of `list` and writes each as soon as it is made: memory for a few keys, not for
 * all. Those of bootstrapping's ephemeral secret come first. */
fhola_status ckks_eval_keys_generate(ckks_writer *writer, const ckks_context *context,
                                     const ckks_secret_key *secret, const ckks_key_list *list,
                                     ckks_rng *rng, ckks_progress_fn progress,
                                     void *arg) FHOLA_WARN_UNUSED;

/* Keys in memory of the caller's, which processes of one machine share, from a multiple of 64 on,
 * until all that use the keys have destroyed them: as many bytes as the keys in `needed` take, each
 * once. */
uint64_t ckks_eval_keys_shared_bytes(const ckks_context *context, const ckks_key_list *needed);
/* One process reads them there; as ckks_eval_keys_read. */
fhola_status ckks_eval_keys_read_shared(ckks_eval_keys **out, const ckks_context *context,
                                        void *memory, ckks_reader *reader,
                                        const ckks_key_list *needed, ckks_progress_fn progress,
                                        void *arg) FHOLA_WARN_UNUSED;
/* Others, whose contexts have the same parameters, attach to them afterwards, at whatever address
 * they see that memory, and only look at it. KEY: the memory has other keys than those needed. */
fhola_status ckks_eval_keys_attach(ckks_eval_keys **out, const ckks_context *context,
                                   const void *memory,
                                   const ckks_key_list *needed) FHOLA_WARN_UNUSED;

/* Bytes of a container with the keys of a list that ckks_key_list_check accepts, and nothing
 * else. */
uint64_t ckks_eval_keys_file_bytes(const ckks_context *context, const ckks_key_list *list);

/* `out` was created for `context`. A fresh ciphertext takes half the room of another one: its
 * uniform half is a seed. */
fhola_status ckks_ciphertext_read(ckks_ciphertext *out, const ckks_context *context,
                                  ckks_reader *reader) FHOLA_WARN_UNUSED;
/* In a container of kind CKKS_FILE_CIPHERTEXT. LEVEL: it is empty. */
fhola_status ckks_ciphertext_write(ckks_writer *writer,
                                   const ckks_ciphertext *ciphertext) FHOLA_WARN_UNUSED;

/* ---- end of files ---- */

#ifdef __cplusplus
}
#endif
#endif
