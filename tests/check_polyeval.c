/* SPDX-License-Identifier: Apache-2.0 */
/* Polynomials of every degree, with one polynomial for all slots or one per slot class, against the
 * Chebyshev sum in long double. */
#include "tests/support.h"

#define SLOTS 128
#define SCALE exp2(bits)

static double bits = 28; /* of the scale and of the primes */

enum pattern { FULL, ODD, EVEN, LEADING, SPARSE, NO_TOP, PATTERNS };
static const char *const names[PATTERNS] = {"full", "odd", "even", "leading", "sparse", "top zero"};

static ring toy_ring(void)
{
    ring r;
    bits = 28;
    ckks_params_spec spec = flat_spec(8, 42, 8, 28);
    ring_open(&r, &spec, NULL);
    ring_count(&r);
    ck_assert_uint_eq(r.slots, SLOTS);
    return r;
}

/* Primes small enough to share limbs, from the lowest on or from the next: every second level, in
 * the one or in the other, ends in the middle of a limb. */
static ring shared_ring(int from)
{
    ring r;
    bits = 24.5;
    ckks_params_spec spec = shared_spec(8, from ? 42 : bits, 8, bits);
    ring_open(&r, &spec, NULL);
    ring_count(&r);
    ck_assert_uint_eq(ckks_limb_count(r.context, r.chain), 5);
    ck_assert_uint_eq(r.params->shared & 1, from ? 0 : 1);
    return r;
}

static int wanted(enum pattern pattern, unsigned k, unsigned degree)
{
    /* not the constant alone, whose ciphertext has no noise */
    if (k == 1 && degree < 4) return 1;
    switch (pattern) {
    case ODD: return k % 2 == 1;
    case EVEN: return k % 2 == 0;
    case LEADING: return k == degree;
    case SPARSE: return k == degree || random_word() % 4 == 0;
    case NO_TOP: return k + 2 < degree;
    default: return 1;
    }
}

/* Of size 1 together, whatever the degree. */
static double *coefficients(enum pattern pattern, unsigned degree, size_t period)
{
    double *c = calloc((degree + 1) * period, sizeof *c);
    ck_assert_ptr_nonnull(c);
    for (unsigned k = 0; k <= degree; k++)
        if (wanted(pattern, k, degree))
            for (size_t s = 0; s < period; s++)
                c[k * period + s] = random_unit() / sqrt(degree + 1.0);
    return c;
}

static double chebyshev_sum(const double *c, unsigned degree, size_t period, size_t slot, double x)
{
    long double t0 = 1, t1 = x, sum = c[slot % period];
    for (unsigned k = 1; k <= degree; k++) {
        sum += c[k * period + slot % period] * t1;
        long double t2 = 2 * (long double)x * t1 - t0;
        t0 = t1;
        t1 = t2;
    }
    return (double)sum;
}

/* m U_(m-1)(y), the derivative of T_m. */
static double slope(unsigned m, double y)
{
    double u0 = 0, u1 = 1;
    for (unsigned i = 1; i < m; i++) {
        double u2 = 2 * y * u1 - u0;
        u0 = u1;
        u1 = u2;
    }
    return m * u1;
}

/* Standard error of every slot of the result. The error of x, and the rounding of each T_(2^j)
 * computed on the way, reach T_k through the derivative of T_m, m = floor(k / 2^j), at T_(2^j)(x);
 * the coefficients' signs are random, so squares add up. The sums and products that follow add
 * about four roundings, and the last rescale one at the final scale. */
static void predict(double *slot_error, const ring *r, const double *c, unsigned degree,
                    size_t period, const double *x, double scale_out)
{
    double n = (double)r->n, rounding = n * (1 + secret_norm2(r)) / 12,
           fresh = n * (CKKS_ERROR_VARIANCE + 1.0 / 12);
    for (size_t s = 0; s < SLOTS; s++) {
        double y = x[s], sum = 4 * rounding;
        for (unsigned j = 0; 1u << j <= degree; j++) {
            for (unsigned k = 1u << j; k <= degree; k++)
                sum +=
                    (j ? rounding : fresh) * pow(c[k * period + s % period] * slope(k >> j, y), 2);
            y = 2 * y * y - 1;
        }
        slot_error[s] = sqrt(sum / (SCALE * SCALE) + rounding / (scale_out * scale_out));
    }
}

/* The input's slots: ends and middle, then the inside of the interval. At the ends one slot can err
 * as much as all others together, which would spoil the average. */
#define SPECIAL 4
static void fill_input(ckks_complex *z, double *x)
{
    static const double end[SPECIAL] = {1, -1, 0, 0.5};
    for (size_t s = 0; s < SLOTS; s++) {
        x[s] = s < SPECIAL ? end[s] : 0.9 * random_unit();
        z[s] = (ckks_complex){x[s], 0};
    }
}

/* `given` is the basis of the ciphertext, basis_in or (period 1) part of it. */
static void check_polynomial(ring *r, enum pattern pattern, unsigned degree, size_t period,
                             ckks_basis basis_in, ckks_basis given, double scale_out)
{
    unsigned depth = ckks_polynomial_depth(degree);
    ckks_basis basis_out = basis_in, given_out = given;
    for (unsigned k = 0; k < depth; k++) {
        basis_out &= ~ckks_basis_top(basis_out);
        given_out &= ~ckks_basis_top(given_out);
    }
    double *c = coefficients(pattern, degree, period), x[SLOTS];
    ckks_polynomial_spec spec = {degree, period, c, basis_in, basis_out, SCALE, scale_out};
    ckks_polynomial *pe = NULL;
    ckks_complex z[SLOTS], want[SLOTS], got[SLOTS];
    fill_input(z, x);
    for (size_t s = 0; s < SLOTS; s++)
        want[s] = (ckks_complex){chebyshev_sum(c, degree, period, s, x[s]), 0};
    ck_assert_ok(ckks_polynomial_create(&pe, r->context, r->ws, &spec));
    ckks_key_list_clear(&r->list);
    ck_assert_ok(ckks_polynomial_keys(pe, r->context, &r->list));
    ck_assert_uint_le(r->list.count, depth);
    ring_keys(r);
    ckks_ciphertext *in = encrypt(r, z, SLOTS, SCALE, given), *out = new_ciphertext(r);
    uint64_t before = ciphertext_hash(in);
    uint64_t products = ring_work(r).products, switches = ring_work(r).key_switches;
    ck_assert_ok(ckks_polynomial_apply(r->context, r->ws, r->keys, pe, out, in));
    products = ring_work(r).products - products;
    switches = ring_work(r).key_switches - switches;
    /* four and five powers; products that are added up share a relinearisation */
    if (pattern == FULL && (degree == 15 || degree == 31)) {
        ck_assert_uint_eq(products, degree == 15 ? 8 : 13);
        ck_assert_uint_eq(switches, degree == 15 ? 7 : 10);
    }
    ck_assert_uint_eq(ciphertext_hash(in), before);
    ck_assert_uint_eq(ckks_ciphertext_basis(out), given_out);
    ck_assert_double_eq(ckks_ciphertext_scale(out), scale_out);
    decrypt(r, got, out);
    char what[80];
    double slot_error[SLOTS], expected2 = 0, largest = 0;
    predict(slot_error, r, c, degree, period, x, scale_out);
    for (size_t s = 0; s < SLOTS; s++) {
        largest = fmax(largest, slot_error[s]);
        if (s >= SPECIAL) expected2 += pow(slot_error[s], 2) / (SLOTS - SPECIAL);
    }
    snprintf(what, sizeof what, "degree %u, %s, period %zu (%u products)", degree, names[pattern],
             period, (unsigned)products);
    assert_within(what, rms_difference(got + SPECIAL, want + SPECIAL, SLOTS - SPECIAL),
                  sqrt(expected2), 2.5, 2.5);
    ck_assert_double_le(worst_difference(got, want, SLOTS), 12 * largest);
    ck_assert(period > 1 ? ckks_polynomial_bytes(pe) > 0 : ckks_polynomial_bytes(pe) == 0);
    /* in place */
    ck_assert_ok(ckks_polynomial_apply(r->context, r->ws, r->keys, pe, in, in));
    ck_assert_uint_eq(ciphertext_hash(in), ciphertext_hash(out));
    ckks_ciphertext_destroy(in);
    ckks_ciphertext_destroy(out);
    ckks_polynomial_destroy(pe);
    free(c);
}

START_TEST(depths)
{
    static const unsigned degree[] = {1, 2, 3, 4, 7, 8, 15, 16, 31, 32, 63};
    static const unsigned depth[] = {1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6};
    for (size_t i = 0; i < sizeof degree / sizeof degree[0]; i++)
        ck_assert_uint_eq(ckks_polynomial_depth(degree[i]), depth[i]);
}
END_TEST

/* Every degree, every pattern of coefficients in turn; one number or a vector per coefficient. */
START_TEST(degrees)
{
    static const size_t period[] = {1, 4, 1, 128, 32, 1, 64};
    ring r = _i < 2 ? toy_ring() : shared_ring(_i - 2);
    for (unsigned degree = 1; degree <= 63; degree++)
        check_polynomial(&r, (enum pattern)(degree * (unsigned)(_i + 1) % PATTERNS), degree,
                         period[(degree + (unsigned)_i) % 7], r.chain, r.chain,
                         SCALE * exp2(random_unit()));
    ring_close(&r);
}
END_TEST

/* All patterns at the degrees activations use, whole vectors of coefficients. */
START_TEST(patterns)
{
    static const unsigned degree[] = {3, 7, 15, 30};
    ring r = _i < 1 ? toy_ring() : shared_ring(_i - 1);
    for (size_t d = 0; d < 4; d++)
        for (enum pattern pattern = FULL; pattern < PATTERNS; pattern++) {
            check_polynomial(&r, pattern, degree[d], 1, r.chain, r.chain, SCALE);
            check_polynomial(&r, pattern, degree[d], 128, r.chain, r.chain, SCALE);
        }
    ring_close(&r);
}
END_TEST

/* Bases that are no prefix, inputs lacking lower primes, other output scales. */
START_TEST(bases)
{
    ring r = toy_ring();
    check_polynomial(&r, FULL, 15, 1, 0x1f5, 0x1f5, SCALE);
    check_polynomial(&r, FULL, 15, 1, 0x1ff, 0x1e1, SCALE);
    check_polynomial(&r, FULL, 15, 1, 0x1ff, 0x1f4, SCALE);
    check_polynomial(&r, ODD, 7, 1, 0x0ff, 0x0e9, 0x1p25);
    check_polynomial(&r, FULL, 7, 32, 0x1d3, 0x1d3, 0x1p31);
    check_polynomial(&r, FULL, 3, 128, 0x007, 0x007, 0x1p26);
    ring_close(&r);
}
END_TEST

/* Where primes share limbs: bases that begin or end with half of one, inputs lacking whole limbs;
 * one that lacks half of one is refused. */
START_TEST(shared_bases)
{
    ring r = shared_ring(0);
    check_polynomial(&r, FULL, 15, 1, 0x1fd, 0x1fd, SCALE);
    check_polynomial(&r, FULL, 15, 1, 0x1ff, 0x1fc, SCALE);
    check_polynomial(&r, FULL, 15, 1, 0x1ff, 0x1f3, SCALE);
    check_polynomial(&r, ODD, 7, 1, 0x0ff, 0x0f3, SCALE);
    check_polynomial(&r, FULL, 7, 1, 0x07f, 0x073, SCALE);
    check_polynomial(&r, FULL, 7, 32, 0x1d3, 0x1d3, SCALE);
    check_polynomial(&r, FULL, 7, 64, 0x0de, 0x0de, SCALE);
    double c[8] = {0};
    c[7] = 1;
    ckks_polynomial_spec spec = {7, 1, c, 0x1ff, 0x03f, SCALE, SCALE};
    ckks_polynomial *pe = NULL;
    ck_assert_ok(ckks_polynomial_create(&pe, r.context, r.ws, &spec));
    ckks_complex z[SLOTS];
    random_complex(z, SLOTS, 1);
    static const ckks_basis given[] = {0x1fe, 0x1fb, 0x1ef, 0x1c1};
    for (size_t k = 0; k < 4; k++) {
        ckks_ciphertext *in = encrypt(&r, z, SLOTS, SCALE, given[k]), *out = new_ciphertext(&r);
        ring_keys(&r);
        ck_assert_fails(ckks_polynomial_apply(r.context, r.ws, r.keys, pe, out, in), FHOLA_LEVEL);
        ck_assert_uint_eq(ckks_ciphertext_basis(out), 0);
        ckks_ciphertext_destroy(in);
        ckks_ciphertext_destroy(out);
    }
    ckks_polynomial_destroy(pe);
    ring_close(&r);
}
END_TEST

/* Scales whose products no 64-bit integer holds: constant terms are encoded apart. */
START_TEST(large_scales)
{
    enum { DEGREE = 7, PERIOD = 4 };
    ring r;
    ckks_params_spec flat = flat_spec(8, 42, 4, 36);
    ring_open(&r, &flat, NULL);
    double *c = coefficients(FULL, DEGREE, PERIOD), x[SLOTS], scale = 0x1p36;
    for (size_t s = 0; s < PERIOD; s++) c[s] = 0.7 + 0.1 * (double)s;
    ckks_basis out_basis = ckks_basis_base(r.params) | ckks_basis_residual(r.params, 1);
    ckks_polynomial_spec spec = {DEGREE, PERIOD, c, r.chain, out_basis, scale, scale};
    ckks_polynomial *pe = NULL;
    ckks_complex z[SLOTS], want[SLOTS], got[SLOTS];
    fill_input(z, x);
    for (size_t s = 0; s < SLOTS; s++)
        want[s] = (ckks_complex){chebyshev_sum(c, DEGREE, PERIOD, s, x[s]), 0};
    ck_assert_ok(ckks_polynomial_create(&pe, r.context, r.ws, &spec));
    ck_assert_ok(ckks_polynomial_keys(pe, r.context, &r.list));
    ring_keys(&r);
    ckks_ciphertext *in = encrypt(&r, z, SLOTS, scale, r.chain), *out = new_ciphertext(&r);
    ck_assert_ok(ckks_polynomial_apply(r.context, r.ws, r.keys, pe, out, in));
    decrypt(&r, got, out);
    printf("scale 2^36: RMS 2^%.2f\n", log2(rms_difference(got, want, SLOTS)));
    ck_assert_double_le(rms_difference(got, want, SLOTS), 0x1p-24);
    ckks_ciphertext_destroy(in);
    ckks_ciphertext_destroy(out);
    ckks_polynomial_destroy(pe);
    free(c);
    ring_close(&r);
}
END_TEST

/* What a polynomial of degree 1 makes of x. */
static void apply_line(ring *r, const ckks_polynomial_spec *spec, ckks_complex *got,
                       const ckks_complex *x)
{
    ckks_polynomial *pe = NULL;
    ckks_ciphertext *in = encrypt(r, x, SLOTS, spec->scale_in, spec->basis_in),
                    *out = new_ciphertext(r);
    ck_assert_ok(ckks_polynomial_create(&pe, r->context, r->ws, spec));
    ck_assert_ok(ckks_polynomial_apply(r->context, r->ws, r->keys, pe, out, in));
    decrypt(r, got, out);
    ckks_polynomial_destroy(pe);
    ckks_ciphertext_destroy(in);
    ckks_ciphertext_destroy(out);
}

static void refused_by_name(ring *r, const ckks_polynomial_spec *spec, const char *name)
{
    ckks_polynomial *pe = NULL;
    ck_assert_fails(ckks_polynomial_create(&pe, r->context, r->ws, spec), FHOLA_RANGE);
    ck_assert_msg(strstr(fhola_detail(), name), "%s", fhola_detail());
    ck_assert_ptr_null(pe);
}

/* Coefficients that are numbers, at the edge of half the modulus, beyond 128 bits: just below they
 * give the right values, just above they are refused by name. */
START_TEST(range_of_numbers)
{
    ring r;
    ckks_params_spec flat = flat_spec(8, 48, 4, 48);
    ring_open(&r, &flat, NULL);
    ring_keys(&r);
    double c[8] = {0}, scale = 0x1p60,
           most = basis_product(&r, 7) / 2 / (scale * basis_product(&r, 4));
    ckks_complex x[SLOTS], got[SLOTS];
    random_complex(x, SLOTS, 1);
    /* 2^30 at a scale of 2^108 takes 138 bits, the largest one 143 */
    const double constant[] = {0x1p30, -0x1p30, most * (1 - 0x1p-20), -most * (1 - 0x1p-20)};
    for (size_t k = 0; k < 4; k++) {
        c[0] = constant[k];
        c[1] = 1;
        ckks_polynomial_spec spec = {1, 1, c, 7, 3, scale, scale};
        apply_line(&r, &spec, got, x);
        for (size_t s = 0; s < SLOTS; s++)
            ck_assert_double_eq_tol(got[s].re, c[0] + x[s].re, 0x1p-12);
        if (k < 2) continue;
        c[0] = constant[k] * (1 + 0x1p-18);
        refused_by_name(&r, &spec, "coefficient 0 of a polynomial");
    }
    /* of degree 1, at a low scale of x; and one of a quotient */
    ckks_polynomial_spec low = {1, 1, c, 3, 1, 0x1p30, 0x1p40},
                         inner = {7, 1, c, 0xf, 1, 0x1p44, 0x1p48};
    c[0] = 0;
    c[1] = 0x1p30 * basis_product(&r, 1) / 2 / 0x1p40 * (1 + 0x1p-20);
    refused_by_name(&r, &low, "coefficient 1 of a polynomial");
    c[1] = 0;
    c[4] = 0x1p39;
    refused_by_name(&r, &inner, "coefficient 4 of a polynomial");
    ring_close(&r);
}
END_TEST

/* The same coefficients on an input without the lower primes. */
START_TEST(range_of_lower_inputs)
{
    ring r;
    ckks_params_spec flat = flat_spec(8, 48, 4, 48);
    ring_open(&r, &flat, NULL);
    ring_keys(&r);
    double c[2] = {0, 1}, scale = 0x1p40, most = basis_product(&r, 8) / 2 / scale;
    ckks_complex x[SLOTS];
    random_complex(x, SLOTS, 1);
    for (int above = 0; above < 2; above++) {
        c[0] = most * (1 + (above ? 0x1p-20 : -0x1p-20));
        ckks_polynomial_spec spec = {1, 1, c, 0x1f, 0xf, scale, scale};
        ckks_polynomial *pe = NULL;
        ckks_ciphertext *in = encrypt(&r, x, SLOTS, scale, 0x18), *out = new_ciphertext(&r);
        ck_assert_ok(ckks_polynomial_create(&pe, r.context, r.ws, &spec));
        ck_assert_int_eq(ckks_polynomial_apply(r.context, r.ws, r.keys, pe, out, in),
                         above ? FHOLA_RANGE : FHOLA_OK);
        ckks_polynomial_destroy(pe);
        ckks_ciphertext_destroy(in);
        ckks_ciphertext_destroy(out);
    }
    ring_close(&r);
}
END_TEST

/* Coefficients that are vectors: the limits of encoding them, 62 bits and half the modulus. */
START_TEST(range_of_vectors)
{
    enum { PERIOD = 4 };
    ring r = toy_ring();
    ring_keys(&r);
    double c[2 * PERIOD], scale = 0x1p20, most = basis_product(&r, 2) / 2 / scale;
    ckks_complex x[SLOTS], got[SLOTS];
    random_complex(x, SLOTS, 1);
    ckks_polynomial_spec spec = {1, PERIOD, c, 6, 2, scale, scale};
    for (size_t s = 0; s < PERIOD; s++) {
        c[s] = most * (1 - 0x1p-6);
        c[PERIOD + s] = 1;
    }
    apply_line(&r, &spec, got, x);
    for (size_t s = 0; s < SLOTS; s++) ck_assert_double_eq_tol(got[s].re, c[0] + x[s].re, 0x1p-6);
    for (size_t s = 0; s < PERIOD; s++) c[s] = most * (1 + 0x1p-20);
    refused_by_name(&r, &spec, "coefficient 0 of a polynomial");
    spec = (ckks_polynomial_spec){1, PERIOD, c, 7, 3, 0x1p20, 0x1p28};
    for (size_t s = 0; s < PERIOD; s++) {
        c[s] = 0;
        c[PERIOD + s] = 0x1p54 / basis_product(&r, 4) * (1 - 0x1p-20);
    }
    ckks_polynomial *pe = NULL;
    ck_assert_ok(ckks_polynomial_create(&pe, r.context, r.ws, &spec));
    ckks_polynomial_destroy(pe);
    for (size_t s = 0; s < PERIOD; s++) c[PERIOD + s] *= 1 + 0x1p-18;
    refused_by_name(&r, &spec, "coefficient 1 of a polynomial");
    ring_close(&r);
}
END_TEST

START_TEST(errors)
{
    ring r = toy_ring(), other = toy_ring();
    double c[64 * 4];
    for (size_t i = 0; i < 64 * 4; i++) c[i] = 0.01;
    const ckks_polynomial_spec good = {7, 4, c, 0x1ff, 0x03f, SCALE, SCALE};
#define REFUSED(status, change)                                                                    \
    do {                                                                                           \
        ckks_polynomial_spec spec = good;                                                          \
        ckks_polynomial *pe_ = NULL;                                                               \
        change;                                                                                    \
        ck_assert_fails(ckks_polynomial_create(&pe_, r.context, r.ws, &spec), status);             \
        ck_assert_ptr_null(pe_);                                                                   \
    } while (0)
    REFUSED(FHOLA_PARAM, spec.degree = 0);
    REFUSED(FHOLA_PARAM, spec.degree = 64);
    REFUSED(FHOLA_PARAM, spec.period = 0);
    REFUSED(FHOLA_PARAM, spec.period = 3);
    REFUSED(FHOLA_PARAM, spec.period = 256);
    REFUSED(FHOLA_SCALE, spec.scale_in = 0);
    REFUSED(FHOLA_SCALE, spec.scale_out = -1);
    const double scales[] = {(double)NAN, (double)INFINITY, 0x1p-1050,
                             0.501 * (double)r.n * basis_product(&r, 0x1ff)};
    for (size_t i = 0; i < 4; i++) {
        REFUSED(FHOLA_SCALE, spec.scale_in = scales[i]);
        REFUSED(FHOLA_SCALE, spec.scale_out = scales[i]);
        REFUSED(FHOLA_SCALE, spec.scale_in = scales[i]; spec.period = 1);
    }
    REFUSED(FHOLA_SCALE, spec.scale_in = 0x1p12);  /* T_2 at 2^-4 */
    REFUSED(FHOLA_SCALE, spec.scale_in = 0x1p140); /* T_2 at 2^280, on 266 bits */
    REFUSED(FHOLA_LEVEL, spec.basis_in = 0);
    REFUSED(FHOLA_LEVEL, spec.basis_in = r.special);
    REFUSED(FHOLA_LEVEL, spec.basis_out = 0x07f);
    REFUSED(FHOLA_LEVEL, spec.basis_out = 0x01f);
    REFUSED(FHOLA_LEVEL, spec.basis_in = 0x7; spec.basis_out = 0);
    const double bad[] = {(double)NAN, (double)INFINITY, 1e13};
    for (size_t i = 0; i < 3; i++) {
        c[13] = bad[i];
        REFUSED(FHOLA_RANGE, (void)spec);
    }
    c[13] = 0.01;
    ckks_polynomial *pe = NULL;
    ckks_polynomial_spec spec = good;
    ck_assert_ok(ckks_polynomial_create(&pe, r.context, r.ws, &spec));
    ck_assert_ok(ckks_polynomial_keys(pe, r.context, &r.list));
    ring_keys(&r);
    ring_keys(&other);
    ckks_complex z[SLOTS];
    random_complex(z, SLOTS, 1);
    ckks_ciphertext *in = encrypt(&r, z, SLOTS, SCALE, 0x1ff),
                    *low = encrypt(&r, z, SLOTS, SCALE, 0x1fe), *out = new_ciphertext(&r);
    ckks_ciphertext *scaled = encrypt(&r, z, SLOTS, SCALE * 1.001, 0x1ff),
                    *foreign = encrypt(&other, z, SLOTS, SCALE, 0x1ff);
    /* vectors: exactly the basis */
    ck_assert_fails(ckks_polynomial_apply(r.context, r.ws, r.keys, pe, out, low), FHOLA_LEVEL);
    ck_assert_fails(ckks_polynomial_apply(r.context, r.ws, r.keys, pe, out, out), FHOLA_LEVEL);
    ck_assert_fails(ckks_polynomial_apply(r.context, r.ws, r.keys, pe, out, scaled), FHOLA_SCALE);
    ck_assert_fails(ckks_polynomial_apply(r.context, r.ws, r.keys, pe, out, foreign), FHOLA_PARAM);
    ck_assert_fails(ckks_polynomial_apply(r.context, other.ws, r.keys, pe, out, in), FHOLA_PARAM);
    ck_assert_fails(ckks_polynomial_apply(r.context, r.ws, other.keys, pe, out, in), FHOLA_PARAM);
    ckks_key_list_clear(&r.list);
    ring_request(&r, CKKS_KEY_RELINEARIZE, 0, 0x3, r.special);
    ring_keys(&r);
    ck_assert_fails(ckks_polynomial_apply(r.context, r.ws, r.keys, pe, out, in), FHOLA_KEY);
    ck_assert_uint_eq(ckks_ciphertext_basis(out), 0);
    ckks_polynomial_destroy(pe);
    ckks_polynomial_destroy(NULL);
    ckks_ciphertext_destroy(in);
    ckks_ciphertext_destroy(low);
    ckks_ciphertext_destroy(scaled);
    ckks_ciphertext_destroy(foreign);
    ckks_ciphertext_destroy(out);
    ring_close(&r);
    ring_close(&other);
}
END_TEST

static void add_tests(TCase *tcase)
{
    tcase_add_test(tcase, depths);
    tcase_add_loop_test(tcase, degrees, 0, 4);
    tcase_add_loop_test(tcase, patterns, 0, 3);
    tcase_add_test(tcase, bases);
    tcase_add_test(tcase, shared_bases);
    tcase_add_test(tcase, large_scales);
    tcase_add_test(tcase, range_of_numbers);
    tcase_add_test(tcase, range_of_lower_inputs);
    tcase_add_test(tcase, range_of_vectors);
    tcase_add_test(tcase, errors);
}

int main(void)
{
    test_seed(0);
    return test_run("polyeval", add_tests, 120);
}
