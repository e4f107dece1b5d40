/* SPDX-License-Identifier: Apache-2.0 */
/* The noise of every operation at full size (R15), measured with the secret key on the integers
 * behind the ciphertexts, against the formulas of ARCHITECTURE.md, "Noise". A measurement is a
 * sample of 32,768 coefficients or more: the interval of five standard errors around a formula is 2
 * to 6 %, so a wrong term, a wrong variance of a sampler or a bias shows. Transforms are measured
 * in slots.
 *
 * Notation: N ring degree, V variance per coefficient, E = 10.5 that of an error, S the secret's
 * squared norm. */
#include "ckks/alloc.h"
#include "ckks/ring/rns.h"
#include "ckks/scheme/evaluate.h"
#include "tests/support.h"

#ifdef HAVE_GMP

#define E CKKS_ERROR_VARIANCE

static ring r15(void)
{
    ring r;
    ckks_params_spec spec = named_spec("R15");
    set_threads(0);
    ring_open(&r, &spec, NULL);
    return r;
}

/* Variance that rounding both polynomials of a ciphertext leaves in its phase: each rounds with
 * 1/12, the second is multiplied by s. */
static double rounding(const ring *r)
{
    return (1 + secret_norm2(r)) / 12;
}

/* Variance that a key adds before the division by P: sum over digits of a uniform residue modulo
 * D_j times an error, N products. */
static double switching(const ring *r, const ckks_switch_key *key, ckks_basis basis)
{
    double sum = 0;
    for (unsigned j = 0; j < key->digits; j++)
        if (key->digit[j] & basis) sum += pow(basis_product(r, key->digit[j] & basis), 2);
    return (double)r->n * E * sum / 12;
}

static double squared(const ring *r, ckks_basis basis)
{
    return pow(basis_product(r, basis), 2);
}

/* ---- measuring ---- */

typedef struct moments {
    double sum, square, count;
} moments;

/* Adds x - want / d for all coefficients, x known modulo `modulus`. */
static void collect(moments *m, const ring *r, mpz_t *x, mpz_t *want, const mpz_t d,
                    const mpz_t modulus)
{
    mpz_t e, whole;
    mpz_inits(e, whole, NULL);
    mpz_mul(whole, modulus, d);
    for (size_t i = 0; i < r->n; i++) {
        mpz_mul(e, x[i], d);
        mpz_sub(e, e, want[i]);
        integer_centre(e, whole);
        double value = mpz_get_d(e) / mpz_get_d(d);
        m->sum += value;
        m->square += value * value;
        m->count++;
    }
    mpz_clears(e, whole, NULL);
}

/* Phase of a ciphertext against the integers `want` divided by the product of `divisor`. */
static void collect_phase(moments *m, const ring *r, const ckks_ciphertext *ct, mpz_t *want,
                          ckks_basis divisor)
{
    mpz_t *x = integers_create(r->n), d, modulus;
    mpz_inits(d, modulus, NULL);
    integer_product(d, r, divisor);
    integer_product(modulus, r, ct->poly->basis);
    integer_phase(x, r, ct->poly, NULL);
    collect(m, r, x, want, d, modulus);
    integers_destroy(x, r->n);
    mpz_clears(d, modulus, NULL);
}

/* The variance within five standard errors of the formula, the mean within five of zero.
 * `independent`: share of the coefficients that count as independent values (products correlate
 * them). */
static void hold(const char *what, const moments *m, double formula, double independent)
{
    double count = m->count * independent;
    assert_variance(what, m->square / m->count, formula, count, 0);
    ck_assert_msg(fabs(m->sum / m->count) <= 5 * sqrt(formula / count), "%s: mean %g is not 0",
                  what, m->sum / m->count);
}

static void plain_integers(mpz_t *out, const ring *r, const ckks_plaintext *plain, ckks_basis basis)
{
    ckks_poly part = poly_create(r, basis);
    ck_assert_ok(ckks_poly_copy(r->context, 1, &part, &plain->poly));
    integers_from_poly(out, r, &part);
    poly_destroy(&part);
}

/* Product of two polynomials over one basis, pointwise where it belongs: in evaluation form. */
static void product_integers(mpz_t *out, const ring *r, const ckks_poly *a, const ckks_poly *b)
{
    ckks_poly product = poly_create(r, a->basis);
    ck_assert_ok(ckks_poly_mul(r->context, 1, &product, a, b));
    integers_from_poly(out, r, &product);
    poly_destroy(&product);
}

static ckks_poly phase_poly(const ring *r, const ckks_ciphertext *ct)
{
    const ckks_context *c = r->context;
    ckks_poly x = poly_create(r, ct->poly->basis);
    for (unsigned i = 0; i < x.limbs; i++)
        c->kernel->mul_add(&c->modulus[x.modulus[i]], x.limb[i], ct->poly[0].limb[i],
                           ct->poly[1].limb[i], ckks_secret_limb(r->secret, x.modulus[i]), r->n);
    return x;
}

static double norm2(mpz_t *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += mpz_get_d(x[i]) * mpz_get_d(x[i]);
    return sum;
}

static ckks_plaintext *random_plain(ring *r, double scale, ckks_basis basis)
{
    ckks_complex *z = malloc(r->slots * sizeof *z);
    ck_assert_ptr_nonnull(z);
    random_complex(z, r->slots, 1);
    ckks_plaintext *plain = encode(r, z, r->slots, scale, basis);
    free(z);
    return plain;
}

/* ---- encryption and what needs no key ---- */

START_TEST(linear)
{
    ring r = r15();
    const ckks_context *c = r.context;
    ckks_basis basis = ckks_basis_base(r.params) | ckks_basis_stc(r.params) |
                       ckks_basis_residual(r.params, 1),
               next = basis & ~ckks_basis_top(basis);
    moments secret = {0, 0, 0}, public = secret, sum = secret, scaled = secret, divided = secret,
            whole = secret;
    mpz_t *m = integers_create(r.n), *m2 = integers_create(r.n), *p = integers_create(r.n),
          *want = integers_create(r.n), one, q;
    ckks_ciphertext *a = new_ciphertext(&r), *b = new_ciphertext(&r), *out = new_ciphertext(&r);
    ckks_public_key *pk;
    double public_formula = 0, product_formula = 0;
    mpz_inits(one, q, NULL);
    mpz_set_ui(one, 1);
    for (int k = 0; k < 3; k++) {
        ckks_plaintext *x = random_plain(&r, 0x1p24, basis), *y = random_plain(&r, 0x1p24, basis),
                       *f = random_plain(&r, 0x1p10, basis);
        plain_integers(m, &r, x, basis);
        plain_integers(m2, &r, y, basis);
        ck_assert_ok(ckks_encrypt(c, r.ws, a, x, r.secret, r.rng));
        collect_phase(&secret, &r, a, m, 0);
        ck_assert_ok(ckks_public_key_create(&pk, c, r.secret, basis, r.rng));
        ck_assert_ok(ckks_encrypt_public(c, r.ws, b, y, pk, r.rng));
        collect_phase(&public, &r, b, m2, 0);
        public_formula = E * (1 + secret_norm2(&r) + 2.0 / 3 * (double)r.n);
        ckks_public_key_destroy(pk);

        ck_assert_ok(ckks_encrypt(c, r.ws, b, y, r.secret, r.rng));
        ck_assert_ok(ckks_add(c, out, a, b));
        for (size_t i = 0; i < r.n; i++) mpz_add(want[i], m[i], m2[i]);
        collect_phase(&sum, &r, out, want, 0);

        /* a plaintext product multiplies the error's variance by the plaintext's squared norm */
        ck_assert_ok(ckks_mul_plain(c, out, a, f));
        plain_integers(p, &r, f, basis);
        product_integers(want, &r, &x->poly, &f->poly);
        collect_phase(&scaled, &r, out, want, 0);
        product_formula += E * norm2(p, r.n) / 3;

        /* a rescale rounds both polynomials; all else is divided exactly */
        ck_assert_ok(ckks_rescale(c, r.ws, b, out, next));
        collect_phase(&whole, &r, b, want, basis & ~next);
        integer_phase(want, &r, out->poly, NULL);
        collect_phase(&divided, &r, b, want, basis & ~next);
        ckks_plaintext_destroy(x);
        ckks_plaintext_destroy(y);
        ckks_plaintext_destroy(f);
    }
    hold("encrypt: E", &secret, E, 1);
    hold("encrypt_public: E (1 + S + 2N/3)", &public, public_formula, 0.5);
    hold("add: V_a + V_b", &sum, 2 * E, 1);
    hold("mul_plain: V |p|^2", &scaled, product_formula, 0.5);
    hold("rescale: (1 + S)/12", &divided, rounding(&r), 0.5);
    hold("mul_plain, rescale: V |p|^2 / q^2 + (1 + S)/12", &whole,
         product_formula / squared(&r, basis & ~next) + rounding(&r), 0.5);
    ckks_ciphertext_destroy(a);
    ckks_ciphertext_destroy(b);
    ckks_ciphertext_destroy(out);
    integers_destroy(m, r.n);
    integers_destroy(m2, r.n);
    integers_destroy(p, r.n);
    integers_destroy(want, r.n);
    mpz_clears(one, q, NULL);
    ring_close(&r);
}
END_TEST

/* ---- key switching ---- */

static const ckks_switch_key *find(const ring *r, ckks_key_kind kind, uint32_t rotation,
                                   ckks_basis basis)
{
    const ckks_switch_key *key;
    ck_assert_ok(ckks_eval_keys_find(&key, r->keys, kind, rotation, basis, 0));
    return key;
}

/* One rotation: the inner product before the division by P, the division alone (mod_down), the
 * whole rotation, the hoisted one. */
static void rotation_noise(ring *r, const char *name, ckks_basis basis, unsigned digits)
{
    const ckks_context *c = r->context;
    const ckks_switch_key *key = find(r, CKKS_KEY_ROTATE, 3, basis);
    ckks_basis p = key->request.p, whole = basis | p;
    mpz_t *phase = integers_create(r->n), *moved = integers_create(r->n),
          *x = integers_create(r->n), P, q, one;
    ckks_poly sum[2] = {poly_create(r, whole), poly_create(r, whole)},
              low[2] = {poly_create(r, basis), poly_create(r, basis)};
    ckks_ciphertext *ct = new_ciphertext(r), *out = new_ciphertext(r), *other = new_ciphertext(r);
    moments inner = {0, 0, 0}, down = inner, rotated = inner, hoisted = inner;
    char what[96];
    mpz_inits(P, q, one, NULL);
    mpz_set_ui(one, 1);
    ck_assert_uint_eq(key->digits, digits);
    for (int k = 0; k < 2; k++) {
        ckks_plaintext *plain = random_plain(r, 0x1p24, basis);
        ck_assert_ok(ckks_encrypt(c, r->ws, ct, plain, r->secret, r->rng));
        integer_phase(phase, r, ct->poly, NULL);
        integer_automorphism(moved, phase, key->sigma->g, r->n);

        ck_assert_ok(ckks_key_switch(c, r->ws, key, &ct->poly[0], NULL, &ct->poly[1], sum));
        integer_phase(x, r, sum, NULL);
        integer_product(P, r, p);
        integer_product(q, r, whole);
        for (size_t i = 0; i < r->n; i++) mpz_mul(phase[i], moved[i], P);
        collect(&inner, r, x, phase, one, q);

        ck_assert_ok(ckks_divide_round(c, r->ws, 2, low, sum));
        ckks_ciphertext lowered = {.context = c, .poly = {low[0], low[1]}};
        collect_phase(&down, r, &lowered, x, p);

        ck_assert_ok(ckks_rotate(c, r->ws, r->keys, out, ct, 3));
        collect_phase(&rotated, r, out, moved, 0);
        ckks_ciphertext *both[2] = {out, other};
        const int32_t by[2] = {3, 5};
        ck_assert_ok(ckks_rotate_hoisted(c, r->ws, r->keys, both, ct, by, 2));
        collect_phase(&hoisted, r, out, moved, 0);
        ckks_plaintext_destroy(plain);
    }
    double added = switching(r, key, basis);
    snprintf(what, sizeof what, "%s: key switch, sum N E D_j^2 / 12", name);
    hold(what, &inner, added, 0.5);
    snprintf(what, sizeof what, "%s: mod_down, (1 + S)/12", name);
    hold(what, &down, rounding(r), 0.5);
    snprintf(what, sizeof what, "%s: rotate, their sum", name);
    hold(what, &rotated, added / squared(r, p) + rounding(r), 0.5);
    snprintf(what, sizeof what, "%s: rotate_hoisted, the same", name);
    hold(what, &hoisted, added / squared(r, p) + rounding(r), 0.5);
    integers_destroy(phase, r->n);
    integers_destroy(moved, r->n);
    integers_destroy(x, r->n);
    for (int k = 0; k < 2; k++) {
        poly_destroy(&sum[k]);
        poly_destroy(&low[k]);
    }
    ckks_ciphertext_destroy(ct);
    ckks_ciphertext_destroy(out);
    ckks_ciphertext_destroy(other);
    mpz_clears(P, q, one, NULL);
}

/* Product of two fresh ciphertexts: relinearisation alone against the product of the phases, then
 * rescaled against the product of the messages. */
static void product_noise(ring *r, const char *name, ckks_basis basis, unsigned digits)
{
    const ckks_context *c = r->context;
    const ckks_switch_key *key = find(r, CKKS_KEY_RELINEARIZE, 0, basis);
    ckks_basis next = basis & ~ckks_basis_top(basis), top = basis & ~next;
    mpz_t *want = integers_create(r->n), *a = integers_create(r->n), *b = integers_create(r->n);
    ckks_ciphertext *x = new_ciphertext(r), *y = new_ciphertext(r), *out = new_ciphertext(r);
    moments switched = {0, 0, 0}, scaled = switched;
    char what[96];
    double formula = 0;
    ck_assert_uint_eq(key->digits, digits);
    for (int k = 0; k < 2; k++) {
        /* scales at which the errors times messages, divided by q, are as large as the rounding */
        ckks_plaintext *mx = random_plain(r, 0x1p28, basis), *my = random_plain(r, 0x1p28, basis);
        ck_assert_ok(ckks_encrypt(c, r->ws, x, mx, r->secret, r->rng));
        ck_assert_ok(ckks_encrypt(c, r->ws, y, my, r->secret, r->rng));
        ck_assert_ok(ckks_mul(c, r->ws, r->keys, out, x, y, 0));
        ckks_poly px = phase_poly(r, x), py = phase_poly(r, y);
        product_integers(want, r, &px, &py);
        poly_destroy(&px);
        poly_destroy(&py);
        collect_phase(&switched, r, out, want, 0);
        ck_assert_ok(ckks_mul(c, r->ws, r->keys, out, x, y, 1));
        product_integers(want, r, &mx->poly, &my->poly);
        collect_phase(&scaled, r, out, want, top);
        plain_integers(a, r, mx, basis);
        plain_integers(b, r, my, basis);
        formula += (E * (norm2(a, r->n) + norm2(b, r->n)) + (double)r->n * E * E) / 2;
        ckks_plaintext_destroy(mx);
        ckks_plaintext_destroy(my);
    }
    double added = switching(r, key, basis) / squared(r, key->request.p);
    snprintf(what, sizeof what, "%s: relinearisation", name);
    hold(what, &switched, added + rounding(r), 0.5);
    snprintf(what, sizeof what, "%s: product, (E (|a|^2 + |b|^2) + N E^2 + V_ks)/q^2 + (1 + S)/12",
             name);
    hold(what, &scaled, (formula + added) / squared(r, top) + rounding(r), 0.5);
    integers_destroy(want, r->n);
    integers_destroy(a, r->n);
    integers_destroy(b, r->n);
    ckks_ciphertext_destroy(x);
    ckks_ciphertext_destroy(y);
    ckks_ciphertext_destroy(out);
}

START_TEST(key_switching)
{
    ring r = r15();
    ckks_basis low =
        ckks_basis_base(r.params) | ckks_basis_stc(r.params) | ckks_basis_residual(r.params, 1);
    for (int k = 0; k < 2; k++) {
        ckks_basis q = k ? r.chain : low, p = ckks_basis_special_for(r.params, q);
        ring_request(&r, CKKS_KEY_ROTATE, 3, q, p);
        ring_request(&r, CKKS_KEY_ROTATE, 5, q, p);
        ring_request(&r, CKKS_KEY_RELINEARIZE, 0, q, p);
    }
    ring_keys(&r);
    unsigned digits = ckks_params_digits(r.params);
    rotation_noise(&r, "convolution level, one digit", low, 1);
    rotation_noise(&r, "whole chain, all digits", r.chain, digits);
    product_noise(&r, "convolution level, one digit", low, 1);
    product_noise(&r, "whole chain, all digits", r.chain, digits);
    ring_close(&r);
}
END_TEST

/* ---- linear transforms ---- */

enum { DIAGONALS = 20, BABY_STEP = 4, PERIOD = 1 << 12 };

static int diagonal(void *arg, unsigned block, int32_t offset, ckks_complex *values)
{
    (void)block;
    const ckks_complex *all = arg;
    memcpy(values, all + (size_t)offset * PERIOD, PERIOD * sizeof *values);
    return 0;
}

/* Offsets 0 .. 19 as babies 0 .. 3 and giants 0, 4, .., 16. In units of the coefficients before the
 * last division, with |d|^2 the sum of the squared norms of the encoded diagonals:
 *     V |d|^2                               the input's error
 *   + (V_ks + R) |d|^2 3/4                  rotated babies; R = (1 + S)/12 with single hoisting,
 *                                           which divides each by P, else 0
 *   + 4 (V_ks + R')                         rotated giants; R' = S/12 with double hoisting, which
 *                                           divides their second half by P, else 0
 * over q^2, plus (1 + S)/12; and in slots the rounding of the diagonals: 20 times 2 period / 12
 * times |x|^2, over their scale squared. */
static void transform_noise(ring *r, const char *name, ckks_basis basis, int double_hoist)
{
    const ckks_context *c = r->context;
    int32_t offset[DIAGONALS];
    ckks_complex *all = malloc(DIAGONALS * PERIOD * sizeof *all),
                 *x = malloc(3 * r->slots * sizeof *x), *want = x + r->slots,
                 *got = want + r->slots;
    ck_assert(all && x);
    for (int k = 0; k < DIAGONALS; k++) offset[k] = k;
    random_complex(all, DIAGONALS * PERIOD, 1);
    random_complex(x, r->slots, 1);
    ckks_basis p = ckks_basis_special_for(r->params, basis), next = basis & ~ckks_basis_top(basis);
    ckks_lintrans_spec spec = {.basis = basis,
                               .special = p,
                               .count = DIAGONALS,
                               .offset = offset,
                               .diagonal = diagonal,
                               .arg = all,
                               .period = PERIOD,
                               .plain_scale = 0x1p22,
                               .baby_step = BABY_STEP,
                               .double_hoist = double_hoist};
    ckks_lintrans *lt;
    ck_assert_ok(ckks_lintrans_create(&lt, c, r->ws, &spec));
    ckks_key_list_clear(&r->list);
    ck_assert_ok(ckks_lintrans_keys(lt, c, &r->list));
    ck_assert_uint_eq(r->list.count, 3 + 4);
    ring_keys(r);
    ckks_ciphertext *in = encrypt(r, x, r->slots, 0x1p28, basis), *out = new_ciphertext(r);
    const ckks_lintrans *const one = lt;
    ck_assert_ok(ckks_lintrans_apply(c, r->ws, r->keys, 1, &one, &out, in, next));
    decrypt(r, got, out);
    /* of the encoded diagonals: coefficients have the slots' mean square times scale^2 / (2 period)
     * each */
    double norm = 0;
    for (size_t s = 0; s < r->slots; s++) {
        want[s] = (ckks_complex){0, 0};
        for (size_t d = 0; d < DIAGONALS; d++)
            want[s] = c_add(want[s], c_mul(all[d * PERIOD + s % PERIOD], x[(s + d) % r->slots]));
    }
    for (size_t i = 0; i < DIAGONALS * PERIOD; i++)
        norm += c_abs2(all[i]) * pow(spec.plain_scale, 2) / PERIOD;
    double ks = switching(r, &r->keys->key[0], basis) / squared(r, p), S = secret_norm2(r),
           R = double_hoist ? 0 : rounding(r);
    double coefficients =
        (E + 1.0 / 12) * norm + (ks + R) * norm * 3 / 4 + 4 * (ks + (double_hoist ? S / 12 : 0));
    double scale = ckks_ciphertext_scale(out),
           final = coefficients / squared(r, basis & ~next) + rounding(r);
    double slots = (double)r->n * final / pow(scale, 2) +
                   DIAGONALS * 2.0 * PERIOD / 12 * pow(rms(x, r->slots) / spec.plain_scale, 2);
    /* slots of one ciphertext are nearly independent; the diagonals' differ from slot to slot */
    assert_variance(name, pow(rms_difference(got, want, r->slots), 2), slots, (double)r->slots / 2,
                    0.02);
    ckks_ciphertext_destroy(in);
    ckks_ciphertext_destroy(out);
    ckks_lintrans_destroy(lt);
    free(all);
    free(x);
}

START_TEST(transforms)
{
    ring r = r15();
    ckks_basis low =
        ckks_basis_base(r.params) | ckks_basis_stc(r.params) | ckks_basis_residual(r.params, 1);
    transform_noise(&r, "transform, single hoisting, convolution level", low, 0);
    transform_noise(&r, "transform, double hoisting, convolution level", low, 1);
    transform_noise(&r, "transform, double hoisting, whole chain", r.chain, 1);
    ring_close(&r);
}
END_TEST

static void add_tests(TCase *tcase)
{
    tcase_add_test(tcase, linear);
    tcase_add_test(tcase, key_switching);
    tcase_add_test(tcase, transforms);
}

int main(void)
{
    test_seed(0);
    return test_run("noise", add_tests, 240);
}

#else

int main(void)
{
    puts("without GMP the integers behind the ciphertexts are not to be had");
    return 77;
}
#endif
