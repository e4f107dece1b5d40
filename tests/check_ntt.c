/* SPDX-License-Identifier: Apache-2.0 */
/* The transforms of every kernel table this machine can run: against the polynomial's values at
 * psi^ckks_ntt_exponent(i), against products of big integers, there and back, and against the
 * portable table; modulo primes (even loop indices) and products of two (odd ones). */
#ifdef HAVE_GMP
#include <gmp.h>
#endif

#include "tests/kernel_support.h"

static const ckks_kernel *tables[CKKS_MAX_KERNELS];
static size_t table_count;

static const unsigned sizes[] = {18, 20, 24, 28, 30, 32, 36, 40, 43, 44, 45, 46, 47, 48, 49, 50};
enum { SIZES = sizeof sizes / sizeof *sizes };

/* powers[e] = psi^e for e < 2n. */
static uint64_t *powers_of_psi(const ckks_modulus *p)
{
    size_t n = (size_t)1 << p->log_n;
    uint64_t *powers = limb_alloc(2 * n);
    powers[0] = 1;
    for (size_t e = 1; e < 2 * n; e++) powers[e] = mul_mod(powers[e - 1], p->psi, p->p);
    return powers;
}

static uint64_t evaluate(const uint64_t *a, size_t n, uint64_t x, uint64_t p)
{
    uint64_t s = 0;
    for (size_t j = n; j-- > 0;) s = (uint64_t)(((wide)s * x + a[j]) % p);
    return s;
}

/* All positions of the transform of `a` for small rings, some for large ones; then back. */
static void check_limb(const ckks_kernel *k, const ckks_modulus *p, const uint64_t *powers,
                       const uint64_t *a, const char *what)
{
    size_t n = (size_t)1 << p->log_n, step = n <= 256 ? 1 : n / 2 - 1;
    uint64_t *b = limb_alloc(n);
    memcpy(b, a, n * sizeof *b);
    k->ntt_forward(p, &b, 1);
    for (size_t i = 0; i < n; i += step) {
        uint64_t value = evaluate(a, n, powers[ckks_ntt_exponent((uint32_t)i, p->log_n)], p->p);
        if (b[i] != value)
            ck_abort_msg("%s, p = %" PRIu64 ", n = %zu, %s: value %zu is %" PRIu64 ", not %" PRIu64,
                         k->name, p->p, n, what, i, b[i], value);
    }
    for (size_t i = 0; i < n; i++) ck_assert_uint_lt(b[i], p->p);
    k->ntt_inverse(p, &b, 1);
    ck_assert_limbs_eq(b, a, n, k, p, "there and back");
    free(b);
}

/* X^j has the value psi^(j e) everywhere: checks every position of any ring at little cost. */
static void check_monomial(const ckks_kernel *k, const ckks_modulus *p, const uint64_t *powers,
                           size_t j)
{
    size_t n = (size_t)1 << p->log_n;
    uint64_t *a = limb_alloc(n);
    memset(a, 0, n * sizeof *a);
    a[j] = p->p - 1;
    k->ntt_forward(p, &a, 1);
    for (size_t i = 0; i < n; i++)
        if (a[i] != p->p - powers[j * ckks_ntt_exponent((uint32_t)i, p->log_n) & (2 * n - 1)])
            ck_abort_msg("%s, p = %" PRIu64 ", n = %zu: wrong value %zu of -X^%zu", k->name, p->p,
                         n, i, j);
    k->ntt_inverse(p, &a, 1);
    for (size_t i = 0; i < n; i++) ck_assert_uint_eq(a[i], i == j ? p->p - 1 : 0);
    free(a);
}

static void check_ring(const ckks_kernel *k, uint64_t prime, unsigned log_n)
{
    static const char *const names[PATTERNS] = {"zeros",       "ones",  "all p - 1",
                                                "alternating", "edges", "random"};
    ckks_modulus p = ring_prime(k, prime, log_n);
    size_t n = (size_t)1 << log_n;
    uint64_t *powers = powers_of_psi(&p), *a = limb_alloc(n);
    for (enum pattern pattern = n > 4096 ? EDGES : ZEROS; pattern < PATTERNS; pattern++) {
        fill_pattern(a, n, pattern, prime);
        check_limb(k, &p, powers, a, names[pattern]);
    }
    const size_t unit[] = {1, random_word() & (n - 1), 0, n / 2, n - 1};
    for (size_t i = 0; i < (n > 4096 ? 2 : sizeof unit / sizeof *unit); i++)
        check_monomial(k, &p, powers, unit[i]);
    free(a);
    free(powers);
    k->prime_clear(&p);
    ck_assert_ptr_null(p.tables);
}

START_TEST(values_small)
{
    const ckks_kernel *k = tables[_i / 2];
    for (unsigned log_n = CKKS_MIN_LOG_N; log_n <= 8; log_n++)
        for (size_t s = 0; s < SIZES; s++) {
            uint64_t prime = modulus_below((uint64_t)1 << sizes[s], log_n, _i % 2);
            if (prime) check_ring(k, prime, log_n);
        }
}
END_TEST

START_TEST(values_large)
{
    static const unsigned some[] = {24, 28, 40, 45, 48, 50};
    const ckks_kernel *k = tables[_i / 2];
    for (unsigned log_n = 9; log_n <= CKKS_MAX_LOG_N; log_n++)
        for (size_t s = 0; s < sizeof some / sizeof *some; s++) {
            uint64_t prime = modulus_below((uint64_t)1 << some[s], log_n, _i % 2);
            if (prime && (log_n < 14 || s % 2 == log_n % 2)) check_ring(k, prime, log_n);
        }
}
END_TEST

/* The smallest primes of each ring: values wrap most often, lifts and bounds are tightest relative
 * to n. */
START_TEST(values_smallest_primes)
{
    const ckks_kernel *k = tables[_i];
    for (unsigned log_n = CKKS_MIN_LOG_N; log_n <= 12; log_n++) {
        uint64_t p = ((uint64_t)2 << log_n) + 1;
        while (!is_prime(p)) p += (uint64_t)2 << log_n;
        check_ring(k, p, log_n);
    }
}
END_TEST

/* Several limbs in one call: equal to the portable table, and back. */
static void compare_ring(const ckks_kernel *k, uint64_t prime, unsigned log_n)
{
    enum { LIMBS = PATTERNS };
    uint64_t *a[LIMBS], *b[LIMBS], *c[LIMBS];
    size_t n = (size_t)1 << log_n;
    ckks_modulus p = ring_prime(k, prime, log_n),
                 q = ring_prime(&ckks_kernel_portable, prime, log_n);
    for (size_t i = 0; i < LIMBS; i++) {
        a[i] = limb_alloc(n), b[i] = limb_alloc(n), c[i] = limb_alloc(n);
        fill_pattern(a[i], n, (enum pattern)i, prime);
        memcpy(b[i], a[i], n * sizeof *b[i]);
        memcpy(c[i], a[i], n * sizeof *c[i]);
    }
    k->ntt_forward(&p, a, LIMBS);
    ckks_kernel_portable.ntt_forward(&q, b, LIMBS);
    for (size_t i = 0; i < LIMBS; i++)
        ck_assert_limbs_eq(a[i], b[i], n, k, &p, "forward against portable");
    k->ntt_inverse(&p, a, LIMBS);
    for (size_t i = 0; i < LIMBS; i++) ck_assert_limbs_eq(a[i], c[i], n, k, &p, "there and back");
    /* Inverse of arbitrary values. */
    for (size_t i = 0; i < LIMBS; i++) memcpy(b[i], c[i], n * sizeof *b[i]);
    /* scaled, from elsewhere, against the transform times the scalar */
    for (size_t i = 0; i < LIMBS; i++) {
        uint64_t factor = i == 0   ? 1
                          : i == 1 ? prime - 1
                                   : random_word() % prime,
                 *scaled = limb_alloc(n), *want = limb_alloc(n);
        memcpy(want, a[i], n * sizeof *want);
        k->ntt_inverse(&p, &want, 1);
        k->mul_scalar(&p, want, want, factor, n);
        k->ntt_inverse_scaled(&p, scaled, a[i], factor);
        ck_assert_limbs_eq(scaled, want, n, k, &p, "scaled inverse");
        memcpy(scaled, a[i], n * sizeof *scaled);
        k->ntt_inverse_scaled(&p, scaled, scaled, factor);
        ck_assert_limbs_eq(scaled, want, n, k, &p, "scaled inverse in place");
        free(scaled), free(want);
    }
    k->ntt_inverse(&p, a, LIMBS);
    ckks_kernel_portable.ntt_inverse(&q, b, LIMBS);
    for (size_t i = 0; i < LIMBS; i++) {
        ck_assert_limbs_eq(a[i], b[i], n, k, &p, "inverse against portable");
        free(a[i]), free(b[i]), free(c[i]);
    }
    k->prime_clear(&p);
    ckks_kernel_portable.prime_clear(&q);
}

/* Every ring: the largest prime of every size, and in rings that are not large others at random. */
START_TEST(equal_to_portable)
{
    enum { OTHERS = 2 };
    const ckks_kernel *k = tables[_i / 2];
    for (unsigned log_n = CKKS_MIN_LOG_N; log_n <= CKKS_MAX_LOG_N; log_n++)
        for (size_t s = 0; s < SIZES; s++) {
            uint64_t top = (uint64_t)1 << sizes[s], prime = modulus_below(top, log_n, _i % 2);
            if (prime) compare_ring(k, prime, log_n);
            for (size_t i = 0; i < OTHERS && log_n <= 12; i++) {
                prime = modulus_below(top - random_word() % (top / 2), log_n, _i % 2);
                if (prime) compare_ring(k, prime, log_n);
            }
        }
}
END_TEST

#ifdef HAVE_GMP
/* a b mod X^n + 1 over the integers, by Kronecker substitution X = 2^128, then reduced modulo p. */
static void negacyclic_product(uint64_t *out, const uint64_t *a, const uint64_t *b, size_t n,
                               uint64_t p)
{
    uint64_t *words = calloc(4 * n, sizeof *words);
    ck_assert_ptr_nonnull(words);
    mpz_t x, y;
    mpz_inits(x, y, NULL);
    for (size_t i = 0; i < n; i++) words[2 * i] = a[i];
    mpz_import(x, 2 * n, -1, sizeof *words, 0, 0, words);
    for (size_t i = 0; i < n; i++) words[2 * i] = b[i];
    mpz_import(y, 2 * n, -1, sizeof *words, 0, 0, words);
    mpz_mul(x, x, y);
    memset(words, 0, 4 * n * sizeof *words);
    mpz_export(words, NULL, -1, sizeof *words, 0, 0, x);
    for (size_t i = 0; i < n; i++) {
        uint64_t low = (uint64_t)(((wide)words[2 * i + 1] << 64 | words[2 * i]) % p);
        uint64_t high = (uint64_t)(((wide)words[2 * (n + i) + 1] << 64 | words[2 * (n + i)]) % p);
        out[i] = low >= high ? low - high : low + p - high;
    }
    mpz_clears(x, y, NULL);
    free(words);
}

START_TEST(products)
{
    const ckks_kernel *k = tables[_i / 2];
    for (unsigned log_n = CKKS_MIN_LOG_N; log_n <= 13; log_n++)
        for (size_t s = 0; s < SIZES; s++) {
            uint64_t prime = modulus_below((uint64_t)1 << sizes[s], log_n, _i % 2);
            if (!prime) continue;
            size_t n = (size_t)1 << log_n;
            ckks_modulus p = ring_prime(k, prime, log_n);
            uint64_t *a = limb_alloc(n), *b = limb_alloc(n), *c = limb_alloc(n);
            for (enum pattern pattern = ALTERNATING; pattern < PATTERNS; pattern++) {
                fill_pattern(a, n, pattern, prime);
                fill_pattern(b, n, pattern == ALTERNATING ? TOP : pattern, prime);
                negacyclic_product(c, a, b, n, prime);
                k->ntt_forward(&p, &a, 1);
                k->ntt_forward(&p, &b, 1);
                k->mul(&p, a, a, b, n);
                k->ntt_inverse(&p, &a, 1);
                ck_assert_limbs_eq(a, c, n, k, &p, "negacyclic product");
            }
            free(a), free(b), free(c);
            k->prime_clear(&p);
        }
}
END_TEST
#endif

/* The data order itself: the formula's table for one block, and its promise for polynomials in
 * X^g. */
START_TEST(data_order)
{
    for (uint32_t v = 0; v < 8; v++)
        for (uint32_t l = 0; l < 8; l++) {
            uint32_t plain = 8 * l + v, reversed = 0;
            for (unsigned bit = 0; bit < 6; bit++) reversed |= (plain >> bit & 1) << (5 - bit);
            ck_assert_uint_eq(ckks_ntt_exponent(8 * v + l, 6), 2 * reversed + 1);
        }
    const ckks_kernel *k = tables[_i];
    uint64_t prime = prime_below((uint64_t)1 << 40, 10), a[1024], *limb = a;
    ckks_modulus p = ring_prime(k, prime, 10);
    for (unsigned log_gap = 1; log_gap <= 3; log_gap++) {
        for (size_t i = 0; i < 1024; i++)
            a[i] = i & ((1u << log_gap) - 1) ? 0 : random_word() % prime;
        k->ntt_forward(&p, &limb, 1);
        for (size_t i = 0; i < 1024; i++)
            ck_assert_uint_eq(a[i], a[(i >> 3 >> log_gap << log_gap << 3) + (i & 7)]);
    }
    k->prime_clear(&p);
}
END_TEST

int main(void)
{
    seed_from_environment();
    table_count = ckks_kernel_list(tables);
    Suite *suite = suite_create("ntt");
    TCase *tcase = tcase_create("ntt");
    tcase_set_timeout(tcase, 300);
    int end = (int)table_count;
    tcase_add_loop_test(tcase, data_order, 0, end);
    tcase_add_loop_test(tcase, values_small, 0, 2 * end);
    tcase_add_loop_test(tcase, values_smallest_primes, 0, end);
    tcase_add_loop_test(tcase, values_large, 0, 2 * end);
    tcase_add_loop_test(tcase, equal_to_portable, 0, 2 * end);
#ifdef HAVE_GMP
    tcase_add_loop_test(tcase, products, 0, 2 * end);
#endif
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
