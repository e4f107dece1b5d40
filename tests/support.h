/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the scheme share: random numbers from a printed seed, a ring with its keys,
 * plain slot arithmetic, deviations held against a formula, and (with GMP) the integers behind
 * polynomials and ciphertexts. */
#ifndef TESTS_SUPPORT_H
#define TESTS_SUPPORT_H

#include <check.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef HAVE_GMP
#include <gmp.h>
#endif

#include "ckks/ckks.h"
#include "ckks/measure/measure.h"
#include "ckks/ring/workspace.h"
#include "ckks/scheme/ciphertext.h"
#include "ckks/scheme/keys.h"

#define ck_assert_ok(call)                                                                         \
    do {                                                                                           \
        fhola_status status_ = (call);                                                             \
        ck_assert_msg(status_ == FHOLA_OK, "%s: %s: %s", #call, fhola_strerror(status_),           \
                      fhola_detail());                                                             \
    } while (0)

/* The call fails with this status and says why. */
#define ck_assert_fails(call, wanted)                                                              \
    do {                                                                                           \
        (void)fhola_fail(FHOLA_OK, "%s", "");                                                      \
        fhola_status status_ = (call);                                                             \
        ck_assert_msg(status_ == (wanted), "%s: \"%s\" (%s) instead of \"%s\"", #call,             \
                      fhola_strerror(status_), fhola_detail(), fhola_strerror(wanted));            \
        ck_assert_msg(fhola_detail()[0] != 0, "%s: no detail message", #call);                     \
    } while (0)

/* ---- random numbers ---- */

/* Reads FHOLA_TEST_SEED (default: `fallback`, or the clock if that is 0) and prints the seed, so
 * that a failure can be repeated. */
void test_seed(uint64_t fallback);
uint64_t random_word(void);
double random_unit(void); /* uniform in [-1, 1) */
/* uniform in the square of that half side */
void random_complex(ckks_complex *z, size_t count, double radius);
void random_seed_bytes(uint8_t seed[32]);

/* Runs a suite of one case (timeout in seconds) and returns the exit code of main. On one thread:
 * on toy rings starting threads would take longer than the work. set_threads() changes that where
 * threads matter (0: as many as there are). */
void set_threads(int threads);
int test_run(const char *name, void (*add)(TCase *), double timeout);

/* ---- a ring and its keys ---- */

typedef struct ring {
    ckks_params *params;
    ckks_context *context;
    ckks_workspace *ws;
    ckks_rng *rng;
    ckks_secret_key *secret;
    ckks_key_list list;
    ckks_eval_keys *keys;
    size_t n, slots;
    ckks_basis chain, special;
} ring;

/* base_bits | levels x bits || 3 x 48, no bootstrapping. */
ckks_params_spec flat_spec(unsigned log_n, double base_bits, unsigned levels, double bits);
/* The same with limbs of up to 50 bits: from the bottom up, two neighbouring primes share one where
 * they fit. */
ckks_params_spec shared_spec(unsigned log_n, double base_bits, unsigned levels, double bits);
ckks_params_spec named_spec(const char *name);
void ring_open(ring *r, const ckks_params_spec *spec, const char *isa);
/* Opens a ring without keys again, with a context that counts. */
void ring_count(ring *r);
ckks_work ring_work(const ring *r); /* since then */
void ring_close(ring *r);
void ring_request(ring *r, ckks_key_kind kind, int32_t rotation, ckks_basis q, ckks_basis p);
void ring_keys(ring *r); /* generates the keys requested so far, in place of earlier ones */

double basis_product(const ring *r, ckks_basis basis);
double secret_norm2(const ring *r); /* squared Euclidean norm of the secret's coefficients */

ckks_ciphertext *new_ciphertext(const ring *r);
ckks_plaintext *encode(ring *r, const ckks_complex *values, size_t period, double scale,
                       ckks_basis basis);
ckks_ciphertext *encrypt(ring *r, const ckks_complex *values, size_t period, double scale,
                         ckks_basis basis);
void decrypt(ring *r, ckks_complex *values, const ckks_ciphertext *ct); /* all slots */
/* of basis, scale and limbs */
uint64_t ciphertext_hash(const ckks_ciphertext *ct);

/* ---- slots ---- */

static inline ckks_complex c_add(ckks_complex a, ckks_complex b)
{
    return (ckks_complex){a.re + b.re, a.im + b.im};
}

static inline ckks_complex c_sub(ckks_complex a, ckks_complex b)
{
    return (ckks_complex){a.re - b.re, a.im - b.im};
}

static inline ckks_complex c_mul(ckks_complex a, ckks_complex b)
{
    return (ckks_complex){a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}

static inline double c_abs2(ckks_complex a)
{
    return a.re * a.re + a.im * a.im;
}

double rms(const ckks_complex *a, size_t count);
double rms_difference(const ckks_complex *a, const ckks_complex *b, size_t count);
double worst_difference(const ckks_complex *a, const ckks_complex *b, size_t count);

/* Prints both figures as powers of two and fails unless below bits under .. above bits over the
 * expectation hold `measured`. */
void assert_within(const char *what, double measured, double expected, double below, double above);
/* The sample variance of `count` values against its expectation: within five standard errors of a
 * normal sample, plus `systematic` (relative). */
void assert_variance(const char *what, double variance, double expected, double count,
                     double systematic);

/* A bootstrap's input: w_s on the first half of the block of n, i w_s on the second. And what comes
 * out of it. */
void bootstrap_slots(ckks_complex *z, const double *w, size_t n);
double bootstrap_sine(double w, double eps);

/* ---- the integers behind it all ---- */

/* Coefficients of an evaluation-form limb as centred residues of its prime. */
void centred_limb(const ring *r, int64_t *out, const uint64_t *limb, unsigned prime);
/* Residues of c0 + c1 s modulo one prime of the ciphertext, centred. */
void centred_phase(const ring *r, int64_t *out, const ckks_ciphertext *ct, unsigned prime);

/* A polynomial with memory of its own; random: with uniform residues. */
ckks_poly poly_create(const ring *r, ckks_basis basis);
ckks_poly poly_random(const ring *r, ckks_basis basis);
void poly_destroy(ckks_poly *p);

#ifdef HAVE_GMP
mpz_t *integers_create(size_t count);
void integers_destroy(mpz_t *x, size_t count);
void integer_product(mpz_t out, const ring *r, ckks_basis basis);
void integer_centre(mpz_t x, const mpz_t modulus); /* into (-modulus / 2, modulus / 2] */
/* Centred integers of a polynomial, and its inverse. */
void integers_from_poly(mpz_t *out, const ring *r, const ckks_poly *p);
void poly_from_integers(const ring *r, const ckks_poly *p, mpz_t *x);
/* ct[0] + ct[1] s, centred. s2 (evaluation form over all primes) NULL: the ring's secret. */
void integer_phase(mpz_t *out, const ring *r, const ckks_poly ct[2], const uint64_t *s2);
/* a b modulo X^n + 1. */
void negacyclic_product(mpz_t *out, mpz_t *a, mpz_t *b, size_t n);
/* a(X^g) modulo X^n + 1. */
void integer_automorphism(mpz_t *out, mpz_t *a, uint64_t g, size_t n);
#endif

#endif
