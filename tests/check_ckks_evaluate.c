/* SPDX-License-Identifier: Apache-2.0 */
/* Ciphertext arithmetic: slots against plain arithmetic with the noise predicted for each
 * operation, on a prefix of the chain and on another subset; the product and its fused rescale
 * against exact integers. */
#include "ckks/scheme/evaluate.h"

#include "ckks/ring/rns.h"
#include "tests/support.h"

#define SCALE 0x1p36

/* all eight primes; primes missing at the bottom, in the middle and near the top */
static const ckks_basis bases[] = {0xff, 0xb5};
#define BASES 2

/* Loop indices from BASES on: primes share limbs, two and two. */
static ring toy_ring(int shared)
{
    ring r;
    ckks_params_spec spec = shared ? shared_spec(8, 24.5, 7, 24.5) : flat_spec(8, 46, 7, 36);
    ring_open(&r, &spec, NULL);
    ck_assert_uint_eq(ckks_limb_count(r.context, r.chain), shared ? 4 : 8);
    return r;
}

/* Standard deviation of a slot for a variance per coefficient. */
static double slot_rms(const ring *r, double variance, double scale)
{
    return sqrt((double)r->n * variance) / scale;
}

/* A fresh ciphertext: error and rounding of the encoding. */
static double fresh_rms(const ring *r)
{
    return slot_rms(r, CKKS_ERROR_VARIANCE + 1.0 / 12, SCALE);
}

/* Rounding both polynomials of a ciphertext (rescale, the end of a key switch). */
static double rounding_rms(const ring *r, double scale)
{
    return slot_rms(r, (1 + secret_norm2(r)) / 12, scale);
}

/* Key switching with 3.9 bits between digits and P: N sigma^2 2^-7.8 / 12 per digit at most,
 * besides the rounding. */
static double switch_rms(const ring *r, double scale)
{
    double digits = ckks_params_digits(r->params);
    return hypot(rounding_rms(r, scale),
                 slot_rms(r, digits * (double)r->n * CKKS_ERROR_VARIANCE * exp2(-7.8) / 12, scale));
}

static double top_prime(const ring *r, ckks_basis basis)
{
    return basis_product(r, ckks_basis_top(basis));
}

typedef struct sample {
    ckks_complex x[128], y[128], want[128], got[128];
    ckks_ciphertext *a, *b, *out;
} sample;

static sample fresh_sample(ring *r, ckks_basis basis)
{
    sample s;
    random_complex(s.x, r->slots, 1);
    random_complex(s.y, r->slots, 1);
    s.a = encrypt(r, s.x, r->slots, SCALE, basis);
    s.b = encrypt(r, s.y, r->slots, SCALE, basis);
    s.out = new_ciphertext(r);
    return s;
}

static void sample_clear(sample *s)
{
    ckks_ciphertext_destroy(s->a);
    ckks_ciphertext_destroy(s->b);
    ckks_ciphertext_destroy(s->out);
}

/* Basis and scale of s->out as given, its slots within one bit of the expected error. */
static void check(ring *r, sample *s, const char *what, ckks_basis basis, double scale,
                  double expected)
{
    ck_assert_uint_eq(ckks_ciphertext_basis(s->out), basis);
    ck_assert_double_eq_tol(ckks_ciphertext_scale(s->out) / scale, 1, 1e-12);
    decrypt(r, s->got, s->out);
    assert_within(what, rms_difference(s->got, s->want, r->slots), expected, 1, 1);
    /* slots are near normal: the worst of 128 is below five standard deviations */
    ck_assert_double_le(worst_difference(s->got, s->want, r->slots), 10 * expected);
}

START_TEST(linear)
{
    ring r = toy_ring(_i / BASES);
    ckks_basis basis = bases[_i % BASES];
    sample s = fresh_sample(&r, basis);
    for (size_t i = 0; i < r.slots; i++) s.want[i] = c_add(s.x[i], s.y[i]);
    ck_assert_ok(ckks_add(r.context, s.out, s.a, s.b));
    check(&r, &s, "add", basis, SCALE, sqrt(2) * fresh_rms(&r));
    for (size_t i = 0; i < r.slots; i++) s.want[i] = c_sub(s.x[i], s.y[i]);
    ck_assert_ok(ckks_sub(r.context, s.out, s.a, s.b));
    check(&r, &s, "sub", basis, SCALE, sqrt(2) * fresh_rms(&r));
    /* in place */
    ck_assert_ok(ckks_add(r.context, s.out, s.out, s.b));
    memcpy(s.want, s.x, sizeof s.want);
    check(&r, &s, "(x - y) + y, in place", basis, SCALE, fresh_rms(&r));
    ck_assert_ok(ckks_sub(r.context, s.out, s.out, s.out));
    memset(s.want, 0, sizeof s.want);
    decrypt(&r, s.got, s.out);
    ck_assert_double_eq(worst_difference(s.got, s.want, r.slots), 0);

    ckks_plaintext *plain = encode(&r, s.y, r.slots, SCALE, 0xff | r.special);
    for (size_t i = 0; i < r.slots; i++) s.want[i] = c_add(s.x[i], s.y[i]);
    ck_assert_ok(ckks_add_plain(r.context, s.out, s.a, plain));
    check(&r, &s, "add_plain", basis, SCALE, fresh_rms(&r));
    ck_assert_int_eq(s.out->seeded, 0);
    ckks_plaintext_destroy(plain);
    static const double constant[] = {0, 1, -0.3, 1000.25};
    for (int k = 0; k < 4; k++) {
        for (size_t i = 0; i < r.slots; i++)
            s.want[i] = c_add(s.x[i], (ckks_complex){constant[k], 0});
        ck_assert_ok(ckks_add_scalar(r.context, s.out, s.a, constant[k]));
        check(&r, &s, "add_scalar", basis, SCALE, fresh_rms(&r));
    }
    static const int64_t factor[] = {1, -1, 3, -1000, 65537};
    for (int k = 0; k < 5; k++) {
        for (size_t i = 0; i < r.slots; i++)
            s.want[i] =
                (ckks_complex){s.x[i].re * (double)factor[k], s.x[i].im * (double)factor[k]};
        ck_assert_ok(ckks_mul_integer(r.context, s.out, s.a, factor[k]));
        check(&r, &s, "mul_integer", basis, SCALE, fresh_rms(&r) * fabs((double)factor[k]));
    }
    ck_assert_ok(ckks_mul_integer(r.context, s.out, s.a, 0));
    decrypt(&r, s.got, s.out);
    ck_assert_double_eq(rms(s.got, r.slots), 0);
    /* -2^63 is reduced like any other */
    ck_assert_ok(ckks_mul_integer(r.context, s.out, s.a, INT64_MIN));
    int64_t a[256], b[256];
    unsigned t = ckks_basis_lowest(basis);
    centred_phase(&r, a, s.a, t);
    centred_phase(&r, b, s.out, t);
    int64_t p = (int64_t)ckks_params_prime(r.params, t);
    uint64_t f = (uint64_t)p - ((uint64_t)1 << 63) % (uint64_t)p;
    for (size_t i = 0; i < r.n; i++)
        ck_assert_uint_eq(ckks_mod_mul((uint64_t)(a[i] < 0 ? a[i] + p : a[i]), f, (uint64_t)p),
                          (uint64_t)(b[i] < 0 ? b[i] + p : b[i]));
    sample_clear(&s);
    ring_close(&r);
}
END_TEST

START_TEST(plain_product)
{
    ring r = toy_ring(_i / BASES);
    ckks_basis basis = bases[_i % BASES], next = basis & ~ckks_basis_top(basis);
    for (size_t period = 1; period <= r.slots; period *= 8) {
        sample s = fresh_sample(&r, basis);
        ckks_plaintext *plain = encode(&r, s.y, period, 0x1p30, 0xff);
        for (size_t i = 0; i < r.slots; i++) s.want[i] = c_mul(s.x[i], s.y[i % period]);
        ck_assert_ok(ckks_mul_plain(r.context, s.out, s.a, plain));
        /* the ciphertext's error times y, and y's rounding (2 period coefficients) times x */
        double e = hypot(fresh_rms(&r) * rms(s.y, period),
                         rms(s.x, r.slots) * sqrt(2 * (double)period / 12) / 0x1p30);
        check(&r, &s, "mul_plain", basis, SCALE * 0x1p30, e);
        double scale = SCALE * 0x1p30 / top_prime(&r, basis);
        ck_assert_ok(ckks_rescale(r.context, r.ws, s.out, s.out, next));
        check(&r, &s, "mul_plain, rescaled in place", next, scale,
              hypot(e, rounding_rms(&r, scale)));
        ckks_plaintext_destroy(plain);
        sample_clear(&s);
    }
    ring_close(&r);
}
END_TEST

START_TEST(rescale_and_drop)
{
    ring r = toy_ring(_i / BASES);
    ckks_basis basis = bases[_i % BASES];
    sample s = fresh_sample(&r, basis);
    memcpy(s.want, s.x, sizeof s.want);
    ck_assert_ok(ckks_drop(r.context, s.out, s.a, basis & 0x95));
    check(&r, &s, "drop", basis & 0x95, SCALE, fresh_rms(&r));
    ck_assert_ok(ckks_drop(r.context, s.out, s.out, basis & 0x81));
    check(&r, &s, "drop in place", basis & 0x81, SCALE, fresh_rms(&r));
    /* in place onto primes that were half a limb, where two shared one */
    ck_assert_ok(ckks_drop(r.context, s.out, s.a, basis & 0x95));
    uint64_t hash = ciphertext_hash(s.out);
    ck_assert_ok(ckks_ciphertext_copy(s.out, s.a));
    ck_assert_ok(ckks_drop(r.context, s.out, s.out, basis & 0x95));
    ck_assert_uint_eq(ciphertext_hash(s.out), hash);
    /* two primes at once, from the middle */
    ckks_ciphertext *big = new_ciphertext(&r);
    ckks_plaintext *one = encode(&r, &(ckks_complex){1, 0}, 1, 0x1p60, 0xff);
    ck_assert_ok(ckks_mul_plain(r.context, big, s.a, one));
    double scale = SCALE * 0x1p60 / basis_product(&r, basis & 0x30);
    ck_assert_ok(ckks_rescale(r.context, r.ws, s.out, big, basis & ~(ckks_basis)0x30));
    check(&r, &s, "rescale by the primes 4 and 5", basis & ~(ckks_basis)0x30, scale,
          hypot(fresh_rms(&r), rounding_rms(&r, scale)));
    /* one of two that may share a limb */
    scale = SCALE * 0x1p60 / basis_product(&r, 0x10);
    ck_assert_ok(ckks_rescale(r.context, r.ws, s.out, big, basis & ~(ckks_basis)0x10));
    check(&r, &s, "rescale by prime 4", basis & ~(ckks_basis)0x10, scale,
          hypot(fresh_rms(&r), rounding_rms(&r, scale)));
    /* nothing to divide by: a copy */
    ck_assert_ok(ckks_rescale(r.context, r.ws, s.out, s.a, basis));
    ck_assert_uint_eq(ciphertext_hash(s.out), ciphertext_hash(s.a));
    ckks_plaintext_destroy(one);
    ckks_ciphertext_destroy(big);
    sample_clear(&s);
    ring_close(&r);
}
END_TEST

/* Times a real number, onto other primes and a scale of the caller's. */
START_TEST(scalars)
{
    ring r = toy_ring(_i / BASES);
    ckks_basis basis = bases[_i % BASES], top = ckks_basis_top(basis), rest = basis & ~top;
    sample s = fresh_sample(&r, basis);
    static const double factor[] = {1, -0.37, 1e-3, 12345.678};
    for (size_t k = 0; k < 4; k++) {
        /* a wanted scale, not what dividing by the prime gives */
        double scale = k % 2 ? SCALE : 0x1.23p34;
        if (r.params->shared) scale = 0x1.23p33; /* primes of 24 bits */
        for (size_t i = 0; i < r.slots; i++)
            s.want[i] = (ckks_complex){factor[k] * s.x[i].re, factor[k] * s.x[i].im};
        ck_assert_ok(ckks_mul_scalar(r.context, r.ws, s.out, s.a, factor[k], scale, rest));
        /* of the integer that takes the factor's place */
        double unit = SCALE / (scale * basis_product(&r, top)),
               off = rint(factor[k] / unit) * unit - factor[k];
        check(&r, &s, "times a number", rest, scale,
              hypot(hypot(fabs(factor[k]) * fresh_rms(&r), off * rms(s.x, r.slots)),
                    rounding_rms(&r, scale)));
    }
    ck_assert_ok(ckks_mul_scalar(r.context, r.ws, s.out, s.a, 0, SCALE, rest));
    decrypt(&r, s.got, s.out);
    ck_assert_double_eq(rms(s.got, r.slots), 0);
    /* exact on the same primes */
    memcpy(s.want, s.x, sizeof s.want);
    for (size_t i = 0; i < r.slots; i++) s.want[i].re *= -3, s.want[i].im *= -3;
    ck_assert_ok(ckks_mul_scalar(r.context, r.ws, s.out, s.a, -3, SCALE, basis));
    check(&r, &s, "times -3", basis, SCALE, 3 * fresh_rms(&r));
    uint64_t hash = ciphertext_hash(s.out);
    ck_assert_ok(ckks_mul_integer(r.context, s.a, s.a, -3));
    ck_assert_uint_eq(ciphertext_hash(s.a), hash);
    ck_assert_fails(ckks_mul_scalar(r.context, r.ws, s.out, s.a, 0.37, SCALE, basis), FHOLA_RANGE);
    ck_assert_fails(ckks_mul_scalar(r.context, r.ws, s.out, s.a, 1, 1.5 * SCALE, basis),
                    FHOLA_RANGE);
    ck_assert_fails(ckks_mul_scalar(r.context, r.ws, s.out, s.a, 1e300, SCALE, rest), FHOLA_RANGE);
    ck_assert_fails(ckks_mul_scalar(r.context, r.ws, s.out, s.a, (double)NAN, SCALE, rest),
                    FHOLA_RANGE);
    ck_assert_fails(ckks_mul_scalar(r.context, r.ws, s.out, s.a, 1, -1, rest), FHOLA_SCALE);
    ck_assert_fails(ckks_mul_scalar(r.context, r.ws, s.out, s.a, 1, SCALE, 0), FHOLA_LEVEL);
    ck_assert_fails(ckks_mul_scalar(r.context, r.ws, s.out, s.a, 1, SCALE, basis | 0x100),
                    FHOLA_LEVEL);
    ck_assert_uint_eq(ciphertext_hash(s.out), hash);
    sample_clear(&s);
    ring_close(&r);
}
END_TEST

/* x - y after bringing both together: from other primes, other scales, and both, either way. */
START_TEST(alignment)
{
    ring r = toy_ring(_i / BASES);
    ckks_basis basis = bases[_i % BASES], low = basis & 0x97;
    const struct {
        ckks_basis a, b, common;
        double scale_a, scale_b;
    } from[] = {{basis, low, low, SCALE, SCALE},
                {basis, low, low, SCALE, 0x1.7p33},
                {low, basis, low, 0x1.7p33, SCALE},
                {basis & 0xf3, basis & 0xb7, 0, SCALE, 0x1.1p35},
                {basis, basis, 0, 0x1.3p35, SCALE}};
    ckks_complex x[128], y[128], got[128];
    random_complex(x, r.slots, 1);
    random_complex(y, r.slots, 1);
    for (size_t k = 0; k < 5; k++) {
        ckks_ciphertext *a = encrypt(&r, x, r.slots, from[k].scale_a, from[k].a),
                        *b = encrypt(&r, y, r.slots, from[k].scale_b, from[k].b);
        ck_assert_ok(ckks_align(r.context, r.ws, a, b));
        if (from[k].common) ck_assert_uint_eq(ckks_ciphertext_basis(a), from[k].common);
        ck_assert_ok(ckks_sub(r.context, a, a, b));
        decrypt(&r, got, a);
        for (size_t i = 0; i < r.slots; i++) got[i] = c_add(got[i], c_sub(y[i], x[i]));
        printf("aligned, %zu: 2^%.2f\n", k, log2(rms(got, r.slots)));
        ck_assert_double_le(rms(got, r.slots),
                            2 * hypot(8 * fresh_rms(&r), rounding_rms(&r, 0x1.7p33)) +
                                (double)r.n / (8 * ckks_params_scale(r.params)));
        ckks_ciphertext_destroy(a);
        ckks_ciphertext_destroy(b);
    }
    /* a prime each, nothing to divide by */
    ckks_ciphertext *a = encrypt(&r, x, r.slots, 0x1p20, 1),
                    *b = encrypt(&r, y, r.slots, 0x1.7p20, 1),
                    *c = encrypt(&r, y, r.slots, 0x1p20, 4);
    uint64_t hash_a = ciphertext_hash(a), hash_b = ciphertext_hash(b);
    ck_assert_fails(ckks_align(r.context, r.ws, a, b), FHOLA_SCALE);
    ck_assert_fails(ckks_align(r.context, r.ws, a, c), FHOLA_LEVEL);
    ck_assert_uint_eq(ciphertext_hash(a), hash_a);
    ck_assert_uint_eq(ciphertext_hash(b), hash_b);
    ckks_ciphertext_destroy(a);
    ckks_ciphertext_destroy(b);
    ckks_ciphertext_destroy(c);
    ring_close(&r);
}
END_TEST

/* Keys for ciphertexts over `basis`: over the whole chain, but over the same limbs where some are
 * shared. */
static void product_keys(ring *r, ckks_basis basis)
{
    ckks_basis q = r->params->shared ? basis : r->chain;
    ring_request(r, CKKS_KEY_RELINEARIZE, 0, q, r->special);
    ring_request(r, CKKS_KEY_CONJUGATE, 0, q, r->special);
    for (int k = 0; k < 7; k++) ring_request(r, CKKS_KEY_ROTATE, 1 << k, q, r->special);
    ring_request(r, CKKS_KEY_ROTATE, -1, q, r->special);
    ring_keys(r);
}

static void add_ciphertext(const void *arg, unsigned t, uint64_t *d0, uint64_t *d1)
{
    const ckks_ciphertext *x = arg;
    const ckks_context *c = x->context;
    c->kernel->add(&c->modulus[t], d0, d0, ckks_poly_limb(&x->poly[0], t), c->n);
    c->kernel->add(&c->modulus[t], d1, d1, ckks_poly_limb(&x->poly[1], t), c->n);
}

START_TEST(product)
{
    ring r = toy_ring(_i / BASES);
    ckks_basis basis = bases[_i % BASES], next = basis & ~ckks_basis_top(basis),
               third = next & ~ckks_basis_top(next);
    product_keys(&r, basis);
    sample s = fresh_sample(&r, basis);
    for (size_t i = 0; i < r.slots; i++) s.want[i] = c_mul(s.x[i], s.y[i]);
    double e = fresh_rms(&r) * hypot(rms(s.x, r.slots), rms(s.y, r.slots)),
           scale = SCALE * SCALE / top_prime(&r, basis);
    ck_assert_ok(ckks_mul(r.context, r.ws, r.keys, s.out, s.a, s.b, 0));
    /* at this scale the switch does not show */
    check(&r, &s, "product", basis, SCALE * SCALE, e);
    ck_assert_ok(ckks_mul(r.context, r.ws, r.keys, s.out, s.a, s.b, 1));
    check(&r, &s, "product, rescaled", next, scale, hypot(e, rounding_rms(&r, scale)));
    /* in place, both ways, and a square */
    uint64_t hash = ciphertext_hash(s.out);
    ckks_ciphertext *t = new_ciphertext(&r);
    ck_assert_ok(ckks_ciphertext_copy(t, s.a));
    ck_assert_ok(ckks_mul(r.context, r.ws, r.keys, t, t, s.b, 1));
    ck_assert_uint_eq(ciphertext_hash(t), hash);
    ck_assert_ok(ckks_ciphertext_copy(t, s.b));
    ck_assert_ok(ckks_mul(r.context, r.ws, r.keys, t, s.a, t, 1));
    ck_assert_uint_eq(ciphertext_hash(t), hash);
    ck_assert_ok(ckks_ciphertext_copy(t, s.a));
    ck_assert_ok(ckks_mul(r.context, r.ws, r.keys, t, t, t, 1));
    ck_assert_ok(ckks_mul(r.context, r.ws, r.keys, s.out, s.a, s.a, 1));
    ck_assert_uint_eq(ciphertext_hash(t), ciphertext_hash(s.out));
    for (size_t i = 0; i < r.slots; i++) s.want[i] = c_mul(s.x[i], s.x[i]);
    check(&r, &s, "square, rescaled", next, scale,
          hypot(2 * fresh_rms(&r) * rms(s.x, r.slots), rounding_rms(&r, scale)));
    /* factor 2 and an addend, which joins at the product's scale; rescaled by two primes */
    ckks_ciphertext *fine = encrypt(&r, s.y, r.slots, 0x1p60, basis);
    const ckks_addend addend = {add_ciphertext, fine};
    const ckks_product one = {s.a, fine};
    ck_assert_ok(ckks_mul_fused(r.context, r.ws, r.keys, s.out, 1, &one, 2, &addend, third));
    scale = SCALE * 0x1p60 / basis_product(&r, basis & ~third);
    for (size_t i = 0; i < r.slots; i++) {
        ckks_complex xy = c_mul(s.x[i], s.y[i]);
        s.want[i] = (ckks_complex){2 * xy.re + s.y[i].re / SCALE, 2 * xy.im + s.y[i].im / SCALE};
    }
    check(&r, &s, "fused product, two primes", third, scale,
          hypot(2 * fresh_rms(&r) * rms(s.y, r.slots), rounding_rms(&r, scale)));
    ckks_ciphertext_destroy(fine);
    ckks_ciphertext_destroy(t);
    sample_clear(&s);
    ring_close(&r);
}
END_TEST

#ifdef HAVE_GMP
/* (factor a b + add) / q as integers against the phase of the fused product, whose second operand,
 * or first, may have more primes: rounding of variance (1 + |s|^2) / 12 in every coefficient and
 * nothing else, the switch's noise being divided by q too. */
START_TEST(product_integers)
{
    ring r = toy_ring(_i / BASES);
    const ckks_context *c = r.context;
    ckks_basis basis = bases[_i % BASES], next = basis & ~ckks_basis_top(basis);
    product_keys(&r, basis);
    mpz_t *a = integers_create(r.n), *b = integers_create(r.n), q, whole;
    double sum = 0, count = 0, variance = (1 + secret_norm2(&r)) / 12;
    mpz_inits(q, whole, NULL);
    integer_product(q, &r, ckks_basis_top(basis));
    integer_product(whole, &r, basis);
    for (int k = 0; k < 16; k++) {
        sample s = fresh_sample(&r, basis);
        const ckks_addend addend = {add_ciphertext, s.a};
        ckks_basis more = k % 8 < 4 ? basis : 0xff;
        ckks_ciphertext_destroy(s.b);
        s.b = encrypt(&r, s.y, r.slots, SCALE, more);
        /* in the second half plus a a */
        const ckks_product ab = {s.a, s.b}, ba = {s.b, s.a},
                           terms[2] = {k % 8 < 6 ? ab : ba, {s.a, s.a}};
        size_t products = 1 + (size_t)k / 8;
        ck_assert_ok(ckks_mul_fused(c, r.ws, r.keys, s.out, products, terms, 1 + k % 2,
                                    k % 4 < 2 ? NULL : &addend, next));
        integer_phase(a, &r, s.a->poly, NULL);
        integer_phase(b, &r, s.b->poly, NULL);
        if (products == 2)
            for (size_t i = 0; i < r.n; i++) mpz_add(b[i], b[i], a[i]);
        negacyclic_product(b, a, b, r.n);
        for (size_t i = 0; i < r.n; i++) {
            mpz_mul_si(b[i], b[i], 1 + k % 2);
            if (k % 4 >= 2) mpz_add(b[i], b[i], a[i]);
        }
        integer_phase(a, &r, s.out->poly, NULL);
        for (size_t i = 0; i < r.n; i++, count++) {
            mpz_submul(b[i], a[i], q);
            integer_centre(b[i], whole);
            double e = mpz_get_d(b[i]) / mpz_get_d(q);
            ck_assert_double_le(fabs(e), 6.5 * sqrt(variance));
            sum += e * e;
        }
        sample_clear(&s);
    }
    assert_variance("rescaled product, coefficients", sum / count, variance, count / 2, 0.01);
    integers_destroy(a, r.n);
    integers_destroy(b, r.n);
    mpz_clears(q, whole, NULL);
    ring_close(&r);
}
END_TEST
#endif

START_TEST(rotations)
{
    ring r = toy_ring(_i / BASES);
    ckks_basis basis = bases[_i % BASES];
    product_keys(&r, basis);
    sample s = fresh_sample(&r, basis);
    static const int32_t by[] = {1, 2, 64, -1, 128, 0, -127, 129, 127};
    for (size_t k = 0; k < sizeof by / sizeof by[0]; k++) {
        for (size_t i = 0; i < r.slots; i++) s.want[i] = s.x[(i + (size_t)(by[k] + 256)) % r.slots];
        ck_assert_ok(ckks_rotate(r.context, r.ws, r.keys, s.out, s.a, by[k]));
        check(&r, &s, "rotate", basis, SCALE,
              by[k] % 128 ? hypot(fresh_rms(&r), switch_rms(&r, SCALE)) : fresh_rms(&r));
        ckks_ciphertext *t = new_ciphertext(&r);
        ck_assert_ok(ckks_ciphertext_copy(t, s.a));
        ck_assert_ok(ckks_rotate(r.context, r.ws, r.keys, t, t, by[k]));
        ck_assert_uint_eq(ciphertext_hash(t), ciphertext_hash(s.out));
        ckks_ciphertext_destroy(t);
    }
    for (size_t i = 0; i < r.slots; i++) s.want[i] = (ckks_complex){s.x[i].re, -s.x[i].im};
    ck_assert_ok(ckks_conjugate(r.context, r.ws, r.keys, s.out, s.a));
    check(&r, &s, "conjugate", basis, SCALE, hypot(fresh_rms(&r), switch_rms(&r, SCALE)));
    ck_assert_ok(ckks_conjugate(r.context, r.ws, r.keys, s.out, s.out));
    memcpy(s.want, s.x, sizeof s.want);
    check(&r, &s, "conjugate twice, in place", basis, SCALE,
          hypot(fresh_rms(&r), sqrt(2) * switch_rms(&r, SCALE)));
    sample_clear(&s);
    ring_close(&r);
}
END_TEST

/* Hoisted rotations: single ones bit for bit (the decomposition is the same). */
START_TEST(hoisted)
{
    ring r = toy_ring(_i / BASES);
    ckks_basis basis = bases[_i % BASES];
    product_keys(&r, basis);
    sample s = fresh_sample(&r, basis);
    enum { COUNT = 8 };
    static const int32_t by[COUNT] = {4, 0, -1, 1, 64, 128, 8, -127};
    ckks_ciphertext *out[COUNT], *one = new_ciphertext(&r);
    for (int k = 0; k < COUNT; k++) out[k] = new_ciphertext(&r);
    uint64_t before = ciphertext_hash(s.a);
    ck_assert_ok(ckks_rotate_hoisted(r.context, r.ws, r.keys, out, s.a, by, COUNT));
    ck_assert_uint_eq(ciphertext_hash(s.a), before);
    for (int k = 0; k < COUNT; k++) {
        ck_assert_ok(ckks_rotate(r.context, r.ws, r.keys, one, s.a, by[k]));
        ck_assert_uint_eq(ciphertext_hash(out[k]), ciphertext_hash(one));
        for (size_t i = 0; i < r.slots; i++) s.want[i] = s.x[(i + (size_t)(by[k] + 256)) % r.slots];
        decrypt(&r, s.got, out[k]);
        ck_assert_double_le(rms_difference(s.got, s.want, r.slots),
                            2 * hypot(fresh_rms(&r), switch_rms(&r, SCALE)));
    }
    ck_assert_ok(ckks_rotate_hoisted(r.context, r.ws, r.keys, out, s.a, by, 0));
    for (int k = 0; k < COUNT; k++) ckks_ciphertext_destroy(out[k]);
    ckks_ciphertext_destroy(one);
    sample_clear(&s);
    ring_close(&r);
}
END_TEST

/* The key of one rotation may have other digits than the next one's: right values or an error,
 * never wrong ones. */
START_TEST(hoisted_with_mixed_keys)
{
    ring r = toy_ring(0);
    ckks_basis low = 0x81;
    ring_request(&r, CKKS_KEY_ROTATE, 1, low, r.special); /* one digit */
    ring_request(&r, CKKS_KEY_ROTATE, 2, r.chain, r.special);
    ring_keys(&r);
    ck_assert_uint_ne(r.keys->key[0].digits, r.keys->key[1].digits);
    sample s = fresh_sample(&r, low);
    for (int order = 0; order < 2; order++) {
        ckks_ciphertext *out[2] = {new_ciphertext(&r), new_ciphertext(&r)};
        const int32_t by[2] = {order ? 2 : 1, order ? 1 : 2};
        fhola_status st = ckks_rotate_hoisted(r.context, r.ws, r.keys, out, s.a, by, 2);
        if (st) ck_assert_int_eq(st, FHOLA_KEY);
        for (int k = 0; k < 2; k++) {
            if (st) {
                ck_assert_uint_eq(ckks_ciphertext_basis(out[k]), 0);
            } else {
                for (size_t i = 0; i < r.slots; i++) s.want[i] = s.x[(i + (size_t)by[k]) % r.slots];
                decrypt(&r, s.got, out[k]);
                ck_assert_double_le(rms_difference(s.got, s.want, r.slots),
                                    2 * hypot(fresh_rms(&r), switch_rms(&r, SCALE)));
            }
            ckks_ciphertext_destroy(out[k]);
        }
    }
    sample_clear(&s);
    ring_close(&r);
}
END_TEST

/* x^16 (x^8 where primes share limbs) by repeated squaring down the chain: scales, and errors slot
 * by slot: 2 x times the one before, and a rounding. */
START_TEST(depth)
{
    ring r = toy_ring(_i / BASES);
    ckks_basis basis = bases[_i % BASES];
    product_keys(&r, basis);
    sample s = fresh_sample(&r, basis);
    double scale = SCALE, e2[128], sum = 0;
    int levels = 4;
    if (r.params->shared) { /* primes too small for that scale, and for so many levels */
        scale = 0x1p25;
        levels = 3;
        ckks_ciphertext_destroy(s.a);
        s.a = encrypt(&r, s.x, r.slots, scale, basis);
    }
    ck_assert_ok(ckks_ciphertext_copy(s.out, s.a));
    for (size_t i = 0; i < r.slots; i++)
        e2[i] = pow(slot_rms(&r, CKKS_ERROR_VARIANCE + 1.0 / 12, scale), 2);
    memcpy(s.want, s.x, sizeof s.want);
    for (int k = 0; k < levels; k++) {
        if (r.params->shared) product_keys(&r, basis); /* half a limb at every other level */
        ck_assert_ok(ckks_mul(r.context, r.ws, r.keys, s.out, s.out, s.out, 1));
        scale = scale * scale / top_prime(&r, basis);
        basis &= ~ckks_basis_top(basis);
        for (size_t i = 0; i < r.slots; i++) {
            e2[i] = 4 * c_abs2(s.want[i]) * e2[i] + pow(rounding_rms(&r, scale), 2);
            s.want[i] = c_mul(s.want[i], s.want[i]);
        }
    }
    ck_assert_uint_eq(ckks_ciphertext_basis(s.out), basis);
    ck_assert_double_eq_tol(ckks_ciphertext_scale(s.out) / scale, 1, 1e-12);
    decrypt(&r, s.got, s.out);
    for (size_t i = 0; i < r.slots; i++) sum += e2[i];
    /* a few slots near |x| = 1 carry the sum: more room than for one operation */
    assert_within("powers down the chain", rms_difference(s.got, s.want, r.slots),
                  sqrt(sum / (double)r.slots), 2, 1.5);
    sample_clear(&s);
    ring_close(&r);
}
END_TEST

static void add_tests(TCase *tcase)
{
    tcase_add_loop_test(tcase, linear, 0, 2 * BASES);
    tcase_add_loop_test(tcase, plain_product, 0, 2 * BASES);
    tcase_add_loop_test(tcase, rescale_and_drop, 0, 2 * BASES);
    tcase_add_loop_test(tcase, scalars, 0, 2 * BASES);
    tcase_add_loop_test(tcase, alignment, 0, 2 * BASES);
    tcase_add_loop_test(tcase, product, 0, 2 * BASES);
#ifdef HAVE_GMP
    tcase_add_loop_test(tcase, product_integers, 0, 2 * BASES);
#endif
    tcase_add_loop_test(tcase, rotations, 0, 2 * BASES);
    tcase_add_loop_test(tcase, hoisted, 0, 2 * BASES);
    tcase_add_test(tcase, hoisted_with_mixed_keys);
    tcase_add_loop_test(tcase, depth, 0, 2 * BASES);
}

int main(void)
{
    test_seed(0);
#ifndef HAVE_GMP
    puts("without GMP: the exact integers of products are not tested");
#endif
    return test_run("ckks_evaluate", add_tests, 60);
}
