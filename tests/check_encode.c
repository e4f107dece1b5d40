/* SPDX-License-Identifier: Apache-2.0 */
/* The encoder against direct evaluation of the embedding in long double, its errors, and packed
 * plaintexts. */
#include "ckks/scheme/encode.h"

#include "ckks/alloc.h"
#include "tests/support.h"

/* Five primes; shared: in three limbs. */
static ring toy_ring(unsigned log_n, int shared)
{
    ring r;
    ckks_params_spec spec =
        shared ? shared_spec(log_n, 24.5, 4, 24.5) : flat_spec(log_n, 50, 4, 45);
    ring_open(&r, &spec, NULL);
    ck_assert_uint_eq(ckks_limb_count(r.context, r.chain), shared ? 3 : 5);
    return r;
}

/* The j-th slot's exponent: 5^j modulo 2N. */
static uint64_t slot_exponent(size_t n, size_t j)
{
    uint64_t e = 1;
    while (j-- > 0) e = e * 5 & (2 * n - 1);
    return e;
}

/* Coefficients, before rounding, of the polynomial whose slots are z: c_k = (2 / N) Re sum_j z_j
 * conj(zeta^(5^j k)). */
static void embed(long double *c, const ckks_complex *z, size_t period, size_t n)
{
    const long double pi = acosl(-1);
    size_t slots = n / 2;
    for (size_t k = 0; k < n; k++) {
        long double sum = 0;
        uint64_t e = 1;
        for (size_t j = 0; j < slots; j++, e = e * 5 & (2 * n - 1)) {
            long double angle = pi * (long double)(e * k & (2 * n - 1)) / (long double)n;
            sum += z[j % period].re * cosl(angle) + z[j % period].im * sinl(angle);
        }
        c[k] = sum / (long double)slots;
    }
}

/* Every coefficient is the nearest integer to the exact one (to the accuracy of the transform), at
 * every period. Where primes share limbs, the basis without prime 1 has half of one. */
START_TEST(nearest_integers)
{
    for (unsigned log_n = 4; log_n <= 8; log_n++) {
        ring r = toy_ring(log_n, _i);
        ckks_complex *z = malloc(r.slots * sizeof *z);
        long double *exact = malloc(r.n * sizeof *exact);
        int64_t *got = malloc(r.n * sizeof *got);
        ck_assert(z && exact && got);
        for (size_t period = 1; period <= r.slots; period *= 2) {
            double scale = exp2(_i ? 16 + 6 * random_unit() : 20 + 10 * random_unit());
            random_complex(z, period, 1);
            embed(exact, z, period, r.n);
            ckks_plaintext *plain = encode(&r, z, period, scale, r.chain & ~(ckks_basis)2);
            ck_assert_double_eq(plain->scale, scale);
            for (unsigned i = 0; i < plain->poly.limbs; i++) {
                centred_limb(&r, got, plain->poly.limb[i], plain->poly.modulus[i]);
                for (size_t k = 0; k < r.n; k++) {
                    ck_assert_msg(fabsl((long double)got[k] - exact[k] * scale) < 0.5L + 1e-4L,
                                  "N = %zu, period %zu: coefficient %zu is %" PRId64 ", not %.3Lf",
                                  r.n, period, k, got[k], exact[k] * scale);
                    if (k % (r.slots / period)) ck_assert_int_eq(got[k], 0);
                }
            }
            ckks_plaintext_destroy(plain);
        }
        free(z);
        free(exact);
        free(got);
        ring_close(&r);
    }
}
END_TEST

/* Slots of the encoded polynomial, evaluated term by term at zeta^(5^j): the values, up to rounding
 * of 2 period coefficients. */
START_TEST(slots_by_evaluation)
{
    ring r = toy_ring(8, 0);
    const long double pi = acosl(-1);
    ckks_complex z[128];
    int64_t c[256];
    for (size_t period = 1; period <= r.slots; period *= 2) {
        double scale = 0x1p30, sum = 0;
        random_complex(z, period, 1);
        ckks_plaintext *plain = encode(&r, z, period, scale, r.chain);
        centred_limb(&r, c, plain->poly.limb[0], 0);
        for (size_t j = 0; j < r.slots; j++) {
            uint64_t e = slot_exponent(r.n, j);
            long double re = 0, im = 0;
            for (size_t k = 0; k < r.n; k++) {
                long double angle = pi * (long double)(e * k & (2 * r.n - 1)) / (long double)r.n;
                re += (long double)c[k] * cosl(angle);
                im += (long double)c[k] * sinl(angle);
            }
            long double dr = re / scale - z[j % period].re, di = im / scale - z[j % period].im;
            sum += (double)(dr * dr + di * di);
        }
        /* 2 period independent roundings of variance 1/12; period 1 has too few to average */
        double measured = sqrt(sum / (double)r.slots) * scale,
               expected = sqrt(2 * (double)period / 12);
        if (period >= 16) assert_within("rounding of an encoding", measured, expected, 1, 1);
        ck_assert_double_le(measured, (double)period);
        ckks_plaintext_destroy(plain);
    }
    ring_close(&r);
}
END_TEST

/* encode_coefficients, then decode_coefficients: back to the values. Unit vectors and limits
 * included. */
START_TEST(round_trip)
{
    for (unsigned log_n = 4; log_n <= 13; log_n += 3) {
        ring r = toy_ring(log_n, 0);
        ckks_complex *z = malloc(r.slots * sizeof *z), *back = malloc(r.slots * sizeof *back);
        int64_t *c = malloc(r.n * sizeof *c);
        double *scratch = malloc(r.n * sizeof *scratch), *wide = malloc(r.n * sizeof *wide);
        ck_assert(z && back && c && scratch && wide);
        for (int pattern = 0; pattern < 5; pattern++) {
            random_complex(z, r.slots, pattern == 0 ? 1 : 0);
            if (pattern == 1) z[random_word() % r.slots].im = 1;
            if (pattern == 2)
                for (size_t i = 0; i < r.slots; i++) z[i].re = -1;
            if (pattern == 3)
                for (size_t i = 0; i < r.slots; i++) z[i].re = i % 2 ? 1 : -1;
            double scale = 0x1p45;
            ck_assert_ok(ckks_encode_coefficients(r.context, c, scratch, z, r.slots, scale,
                                                  (double)INFINITY));
            for (size_t i = 0; i < r.n; i++) wide[i] = (double)c[i];
            ckks_decode_coefficients(r.context, back, r.slots, scratch, wide, scale);
            /* rounding to integers, and doubles of 53 bits through 2 log2(N) butterflies */
            ck_assert_double_le(worst_difference(back, z, r.slots),
                                8 * sqrt((double)r.n / 12) / scale + 64 * 0x1p-53);
        }
        free(z);
        free(back);
        free(c);
        free(scratch);
        free(wide);
        ring_close(&r);
    }
}
END_TEST

/* A gap polynomial encoded in its subring and read back as the kernels read it (kernel.h,
 * plain_product) is the whole limb. */
START_TEST(packed_limbs)
{
    ckks_params_spec spec = _i ? shared_spec(9, 22, 3, 24.5) : flat_spec(9, 40, 2, 28);
    ring r;
    ring_open(&r, &spec, NULL);
    const ckks_context *c = r.context;
    ckks_complex z[256];
    uint64_t *packed = ckks_alloc(c->n * sizeof *packed),
             *subring = ckks_alloc(c->n * sizeof *subring);
    int64_t *coefficient = ckks_alloc(c->n * sizeof *coefficient);
    double scratch[512];
    ck_assert(packed && subring && coefficient);
    for (size_t period = 1; period <= r.slots; period *= 2) {
        unsigned log_gap = ckks_packed_log_gap(c, period);
        ck_assert_uint_eq(log_gap, period * 8 <= r.slots
                                       ? 3
                                       : (unsigned)(log2((double)(r.slots / period)) + 0.5));
        random_complex(z, period, 1);
        /* a shared limb and half a one, or three */
        ckks_plaintext *plain = encode(&r, z, period, 0x1p20, 7);
        unsigned index[CKKS_MAX_PRIMES], limbs = ckks_limb_list(c, 7, index);
        ck_assert_uint_eq(limbs, _i ? 2 : 3);
        ck_assert_ok(ckks_encode_coefficients(c, coefficient, scratch, z, period, 0x1p20,
                                              ckks_half_modulus(c, 7)));
        for (unsigned k = 0; k < limbs; k++) {
            unsigned t = index[k];
            const uint64_t *limb = plain->poly.limb[k];
            ckks_encode_packed(c, t, log_gap, packed, subring, coefficient, period);
            for (size_t i = 0; i < c->n; i++) {
                size_t at = (i >> 3 >> log_gap << 3) + (i & 7);
                ck_assert_uint_eq(limb[i], ckks_packed_get(packed, c->modulus[t].width, at));
            }
        }
        /* each limb padded to 64 bytes */
        size_t words = c->n >> log_gap, bytes = 0;
        for (unsigned k = 0; k < limbs; k++)
            bytes += (words * c->modulus[index[k]].width + 63) / 64 * 64;
        ck_assert_uint_eq(ckks_packed_bytes(c, 7, log_gap), bytes);
        ckks_plaintext_destroy(plain);
    }
    ckks_free(packed);
    ckks_free(subring);
    ckks_free(coefficient);
    ring_close(&r);
}
END_TEST

START_TEST(errors)
{
    ring r = toy_ring(5, 0), other = toy_ring(5, 0);
    int64_t a[32], b[32];
    ckks_complex z[16], bad[16];
    random_complex(z, 16, 1);
    ckks_plaintext *plain = encode(&r, z, 16, 0x1p30, r.chain);
    uint64_t first = plain->poly.limb[0][0];
#define REFUSED(c, workspace, values, period, at, over, status)                                    \
    do {                                                                                           \
        ck_assert_fails(ckks_encode(c, workspace, plain, values, period, at, over), status);       \
        ck_assert_uint_eq(plain->poly.basis, r.chain);                                             \
        ck_assert_double_eq(plain->scale, 0x1p30);                                                 \
        ck_assert_uint_eq(plain->poly.limb[0][0], first);                                          \
    } while (0)
    REFUSED(r.context, r.ws, z, 0, 0x1p30, r.chain, FHOLA_PARAM);
    REFUSED(r.context, r.ws, z, 3, 0x1p30, r.chain, FHOLA_PARAM);
    REFUSED(r.context, r.ws, z, 32, 0x1p30, r.chain, FHOLA_PARAM);
    REFUSED(r.context, r.ws, z, 16, 0x1p30, 0, FHOLA_LEVEL);
    REFUSED(r.context, r.ws, z, 16, 0x1p30, (ckks_basis)1 << 8, FHOLA_LEVEL);
    REFUSED(r.context, r.ws, z, 16, 0, r.chain, FHOLA_SCALE);
    REFUSED(r.context, r.ws, z, 16, -1, r.chain, FHOLA_SCALE);
    REFUSED(r.context, r.ws, z, 16, (double)NAN, r.chain, FHOLA_SCALE);
    REFUSED(r.context, r.ws, z, 16, (double)INFINITY, r.chain, FHOLA_SCALE);
    REFUSED(r.context, r.ws, z, 16, 0x1p-1050, r.chain, FHOLA_SCALE);
    REFUSED(r.context, r.ws, z, 16, 0.501 * (double)r.n * basis_product(&r, 3), 3, FHOLA_SCALE);
    REFUSED(other.context, r.ws, z, 16, 0x1p30, r.chain, FHOLA_PARAM);
    REFUSED(r.context, other.ws, z, 16, 0x1p30, r.chain, FHOLA_PARAM);
    const double wrong[] = {(double)NAN, (double)INFINITY, -(double)INFINITY, 0x1p40, 1e308};
    for (size_t k = 0; k < 5; k++) {
        memcpy(bad, z, sizeof bad);
        bad[k].im = wrong[k];
        REFUSED(r.context, r.ws, bad, 16, 0x1p30, r.chain, FHOLA_RANGE);
    }
    /* exactly the limit: the constant 1 has one coefficient, the scale */
    ckks_complex one = {1, 0};
    REFUSED(r.context, r.ws, &one, 1, 0x1p62, r.chain, FHOLA_RANGE);
    /* and half the modulus */
    double half = basis_product(&r, 1) / 2;
    REFUSED(r.context, r.ws, &one, 1, half * (1 + 0x1p-20), 1, FHOLA_RANGE);
    ck_assert_ok(ckks_encode(r.context, r.ws, plain, &one, 1, half * (1 - 0x1p-20), 1));
    centred_limb(&r, a, plain->poly.limb[0], 0);
    ck_assert_double_eq((double)a[0], rint(half * (1 - 0x1p-20)));
    ck_assert_ok(ckks_encode(r.context, r.ws, plain, &one, 1, nextafter(0x1p62, 0), r.chain));
    /* over special primes it is the same polynomial */
    ck_assert_ok(ckks_encode(r.context, r.ws, plain, z, 16, 0x1p30, r.chain | r.special));
    centred_limb(&r, a, plain->poly.limb[0], 0);
    centred_limb(&r, b, ckks_poly_limb(&plain->poly, 7), 7);
    for (int k = 0; k < 32; k++) ck_assert_int_eq(a[k], b[k]);
    ckks_plaintext_destroy(plain);
    ckks_plaintext_destroy(NULL);
    ring_close(&r);
    ring_close(&other);
}
END_TEST

static void add_tests(TCase *tcase)
{
    tcase_add_loop_test(tcase, nearest_integers, 0, 2);
    tcase_add_test(tcase, slots_by_evaluation);
    tcase_add_test(tcase, round_trip);
    tcase_add_loop_test(tcase, packed_limbs, 0, 2);
    tcase_add_test(tcase, errors);
}

int main(void)
{
    test_seed(0);
    return test_run("encode", add_tests, 60);
}
