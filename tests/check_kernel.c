/* SPDX-License-Identifier: Apache-2.0 */
/* Every function of every kernel table this machine can run, but the transforms (check_ntt.c),
 * against the remainder operator; modulo primes (even loop indices) and products of two (odd
 * ones). */
#define _POSIX_C_SOURCE 200112L
#include "tests/kernel_support.h"

static const ckks_kernel *tables[CKKS_MAX_KERNELS];
static size_t table_count;

static const unsigned sizes[] = {18, 20, 24, 28, 30, 31, 32, 33, 36,
                                 40, 43, 44, 45, 46, 47, 48, 49, 50};
enum { SIZES = sizeof sizes / sizeof *sizes };

static uint64_t add_mod(uint64_t a, uint64_t b, uint64_t p)
{
    return (uint64_t)(((wide)a + b) % p);
}

/* ---- Element-wise ---- */

static void check_elementwise(const ckks_kernel *k, const ckks_modulus *p, const uint64_t *a,
                              const uint64_t *b, const uint64_t *c, uint64_t s, size_t n)
{
    uint64_t q = p->p, *out = limb_alloc(n), *expected = limb_alloc(n);
#define EXPECT(what, formula, call)                                                                \
    do {                                                                                           \
        for (size_t i = 0; i < n; i++) expected[i] = (formula);                                    \
        call;                                                                                      \
        ck_assert_limbs_eq(out, expected, n, k, p, what);                                          \
    } while (0)
    EXPECT("add", add_mod(a[i], b[i], q), k->add(p, out, a, b, n));
    EXPECT("sub", add_mod(a[i], q - b[i], q), k->sub(p, out, a, b, n));
    EXPECT("mul", mul_mod(a[i], b[i], q), k->mul(p, out, a, b, n));
    EXPECT("mul_add", add_mod(c[i], mul_mod(a[i], b[i], q), q), k->mul_add(p, out, c, a, b, n));
    EXPECT("add_scalar", add_mod(a[i], s, q), k->add_scalar(p, out, a, s, n));
    EXPECT("mul_scalar", mul_mod(a[i], s, q), k->mul_scalar(p, out, a, s, n));
    EXPECT("mul_scalar_add", add_mod(c[i], mul_mod(a[i], s, q), q),
           k->mul_scalar_add(p, out, c, a, s, n));
    EXPECT("sub_mul_scalar", mul_mod(add_mod(a[i], q - b[i], q), s, q),
           k->sub_mul_scalar(p, out, a, b, s, n));
    /* In place. */
    EXPECT("mul in place", mul_mod(a[i], b[i], q),
           (memcpy(out, a, n * sizeof *out), k->mul(p, out, out, b, n)));
    EXPECT("square in place", mul_mod(a[i], a[i], q),
           (memcpy(out, a, n * sizeof *out), k->mul(p, out, out, out, n)));
    EXPECT("mul_add in place", add_mod(c[i], mul_mod(a[i], b[i], q), q),
           (memcpy(out, c, n * sizeof *out), k->mul_add(p, out, out, a, b, n)));
    EXPECT("sub in place", add_mod(a[i], q - b[i], q),
           (memcpy(out, b, n * sizeof *out), k->sub(p, out, a, out, n)));
    EXPECT("add to itself", add_mod(a[i], a[i], q), k->add(p, out, a, a, n));
#undef EXPECT
    free(out), free(expected);
}

static void check_tensor(const ckks_kernel *k, const ckks_modulus *p, const uint64_t *a,
                         const uint64_t *b, const uint64_t *c, const uint64_t *d, size_t n)
{
    uint64_t q = p->p, *out[3], *expected[3];
    for (int i = 0; i < 3; i++) out[i] = limb_alloc(n), expected[i] = limb_alloc(n);
    for (int square = 0; square < 2; square++) {
        const uint64_t *e = square ? a : c, *f = square ? b : d;
        for (size_t i = 0; i < n; i++) {
            expected[0][i] = mul_mod(a[i], e[i], q);
            expected[1][i] = add_mod(mul_mod(a[i], f[i], q), mul_mod(b[i], e[i], q), q);
            expected[2][i] = mul_mod(b[i], f[i], q);
        }
        k->tensor(p, out[0], out[1], out[2], a, b, e, f, n);
        for (int i = 0; i < 3; i++) ck_assert_limbs_eq(out[i], expected[i], n, k, p, "tensor");
    }
    for (int i = 0; i < 3; i++) free(out[i]), free(expected[i]);
}

START_TEST(elementwise)
{
    const ckks_kernel *k = tables[_i / 2];
    static const unsigned rings[] = {4, 5, 6, 7, 9};
    for (size_t r = 0; r < sizeof rings / sizeof *rings; r++)
        for (size_t s = 0; s < SIZES; s++) {
            uint64_t prime = modulus_below((uint64_t)1 << sizes[s], rings[r], _i % 2);
            if (!prime) continue;
            size_t n = (size_t)1 << rings[r];
            ckks_modulus p = ring_prime(k, prime, rings[r]);
            uint64_t *a = limb_alloc(n), *b = limb_alloc(n), *c = limb_alloc(n), *d = limb_alloc(n);
            for (enum pattern x = ZEROS; x < PATTERNS; x++)
                for (enum pattern y = ZEROS; y < PATTERNS; y++) {
                    uint64_t scalar;
                    fill_pattern(a, n, x, prime), fill_pattern(b, n, y, prime);
                    fill_pattern(c, n, (x + y) % PATTERNS, prime),
                        fill_pattern(d, n, (x + 2 * y) % PATTERNS, prime);
                    fill_pattern(&scalar, 1, y == ALTERNATING ? TOP : y, prime);
                    check_elementwise(k, &p, a, b, c, scalar, n);
                    check_tensor(k, &p, a, b, c, d, n);
                }
            free(a), free(b), free(c), free(d);
            k->prime_clear(&p);
        }
}
END_TEST

/* All pairs of residues of the smallest primes. */
START_TEST(all_pairs)
{
    const ckks_kernel *k = tables[_i];
    static const uint64_t primes[] = {97, 193, 257};
    for (size_t t = 0; t < sizeof primes / sizeof *primes; t++) {
        ckks_modulus p = ring_prime(k, primes[t], 4);
        size_t n = (primes[t] + 7) / 8 * 8;
        uint64_t *a = limb_alloc(n), *b = limb_alloc(n), *c = limb_alloc(n);
        for (size_t i = 0; i < n; i++) a[i] = i % primes[t];
        for (uint64_t s = 0; s < primes[t]; s++) {
            for (size_t i = 0; i < n; i++) b[i] = s, c[i] = (i + s) % primes[t];
            check_elementwise(k, &p, a, b, c, s, n);
        }
        free(a), free(b), free(c);
        k->prime_clear(&p);
    }
}
END_TEST

START_TEST(signed_reduction)
{
    const ckks_kernel *k = tables[_i / 2];
    const int64_t top = ((int64_t)1 << 62) - 1;
    for (size_t s = 0; s < SIZES; s++) {
        enum { N = 1024 };
        uint64_t prime = modulus_below((uint64_t)1 << sizes[s], 4, _i % 2), *out = limb_alloc(N);
        int64_t *x = limb_alloc(N), q = (int64_t)prime;
        const int64_t edge[] = {
            0,     1,     -1,     top,         -top,           q,      -q, q - 1,
            1 - q, q + 1, -q - 1, top / q * q, -(top / q * q), top / 2};
        ckks_modulus p = ring_prime(k, prime, 4);
        for (size_t i = 0; i < N; i++)
            x[i] = i < sizeof edge / sizeof *edge
                       ? edge[i]
                       : (int64_t)(random_word() >> 2) * (i & 1 ? 1 : -1) >> i % 60;
        k->reduce_signed(&p, out, x, N);
        for (size_t i = 0; i < N; i++) ck_assert_uint_eq(out[i], (uint64_t)((x[i] % q + q) % q));
        k->prime_clear(&p);
        free(x), free(out);
    }
}
END_TEST

/* ---- Whole limbs ---- */

START_TEST(permutations)
{
    const ckks_kernel *k = tables[_i / 2];
    for (unsigned log_n = CKKS_MIN_LOG_N; log_n <= 12; log_n++) {
        uint64_t prime =
            modulus_below((uint64_t)1 << (log_n & 1 ? 28 + 4 * (_i % 2) : 48), log_n, _i % 2);
        ck_assert_uint_ne(prime, 0);
        size_t n = (size_t)1 << log_n;
        ckks_modulus p = ring_prime(k, prime, log_n);
        uint64_t *a = limb_alloc(n), *b = limb_alloc(n), *c = limb_alloc(n),
                 *expected = limb_alloc(n);
        for (uint64_t t = 0; t < (n <= 64 ? n : 40); t++) {
            uint64_t g = n <= 64  ? 2 * t + 1
                         : t == 0 ? 1
                         : t == 1 ? 2 * n - 1
                         : t == 2 ? 5
                                  : (random_word() & (2 * n - 1)) | 1;
            ckks_automorphism sigma = automorphism(g, log_n);
            fill_pattern(a, n, RANDOM, prime), fill_pattern(b, n, EDGES, prime);
            for (size_t i = 0; i < n; i++) expected[i] = a[sigma.source[i]];
            k->permute(&p, c, NULL, a, &sigma);
            ck_assert_limbs_eq(c, expected, n, k, &p, "permute");
            for (size_t i = 0; i < n; i++) expected[i] = add_mod(expected[i], b[i], prime);
            k->permute(&p, c, b, a, &sigma);
            ck_assert_limbs_eq(c, expected, n, k, &p, "permute and add");
            memcpy(c, b, n * sizeof *c);
            k->permute(&p, c, c, a, &sigma);
            ck_assert_limbs_eq(c, expected, n, k, &p, "permute and add in place");
            free((void *)(uintptr_t)sigma.source);
        }
        /* The transform of a(X^g) is the permuted transform of a. */
        uint64_t g = (random_word() & (2 * n - 1)) | 1;
        ckks_automorphism sigma = automorphism(g, log_n);
        fill_pattern(a, n, RANDOM, prime);
        for (size_t j = 0; j < n; j++) {
            size_t to = g * j & (2 * n - 1);
            b[to & (n - 1)] = to < n ? a[j] : add_mod(prime - a[j], 0, prime);
        }
        k->ntt_forward(&p, &a, 1);
        k->ntt_forward(&p, &b, 1);
        k->permute(&p, c, NULL, a, &sigma);
        ck_assert_limbs_eq(c, b, n, k, &p, "automorphism");
        free((void *)(uintptr_t)sigma.source);
        free(a), free(b), free(c), free(expected);
        k->prime_clear(&p);
    }
}
END_TEST

/* `terms` digits, shared among up to three switches: under g, under the identity, and under
 * g^-1-like 2n - g. The result is made in two ranges where there are two blocks. */
static void check_inner(const ckks_kernel *k, const ckks_modulus *p, size_t terms,
                        enum pattern pattern, int with_add, uint64_t g)
{
    enum { SWITCHES = 3 };
    size_t n = (size_t)1 << p->log_n, switches = terms < SWITCHES ? terms : SWITCHES;
    uint64_t q = p->p, *a[CKKS_MAX_TERMS], *b[2][CKKS_MAX_TERMS], *sum[2], *out[2], factor;
    void *key[2][CKKS_MAX_TERMS];
    uint64_t *add0 = limb_alloc(n);
    int accumulate = terms & 2 ? 1 : 0;
    fill_pattern(add0, n, pattern, q);
    fill_pattern(&factor, 1, pattern == ALTERNATING ? TOP : pattern, q);
    for (size_t d = 0; d < terms; d++) {
        a[d] = limb_alloc(n);
        fill_pattern(a[d], n, pattern, q);
        for (int i = 0; i < 2; i++) {
            b[i][d] = limb_alloc(n);
            fill_pattern(b[i][d], n, i ? RANDOM : pattern, q);
            key[i][d] = pack(b[i][d], n, p->width);
        }
    }
    ckks_automorphism sigma[SWITCHES] = {automorphism(g ? g : 1, p->log_n),
                                         automorphism(1, p->log_n),
                                         automorphism(2 * n - (g ? g : 1), p->log_n)};
    ckks_switch_term term[SWITCHES];
    size_t first[SWITCHES + 1];
    for (size_t s = 0; s <= switches; s++) first[s] = terms * s / switches;
    for (size_t s = 0; s < switches; s++)
        term[s] = (ckks_switch_term){s == 1 || (s == 0 && !g) ? NULL : &sigma[s],
                                     first[s + 1] - first[s],
                                     (const uint64_t *const *)a + first[s],
                                     (const void *const *)key[0] + first[s],
                                     (const void *const *)key[1] + first[s],
                                     with_add ? add0 : NULL,
                                     accumulate ? add0 : NULL};
    for (int i = 0; i < 2; i++) {
        out[i] = limb_alloc(n), sum[i] = limb_alloc(n);
        fill_pattern(out[i], n, pattern, q);
        for (size_t j = 0; j < n; j++) {
            sum[i][j] = accumulate ? out[i][j] : 0;
            for (size_t s = 0; s < switches; s++) {
                size_t from = sigma[s].source[j];
                if (i == 0 ? with_add : accumulate)
                    sum[i][j] = add_mod(sum[i][j], mul_mod(add0[from], factor, q), q);
                for (size_t d = first[s]; d < first[s + 1]; d++)
                    sum[i][j] = add_mod(sum[i][j], mul_mod(a[d][from], b[i][d][j], q), q);
            }
        }
    }
    size_t cut = n > 64 ? 64 : n;
    k->inner_product(p, out[0], out[1], 0, cut, switches, term, factor, accumulate);
    if (cut < n)
        k->inner_product(p, out[0] + cut, out[1] + cut, cut, n - cut, switches, term, factor,
                         accumulate);
    for (int i = 0; i < 2; i++) ck_assert_limbs_eq(out[i], sum[i], n, k, p, "inner product");
    for (size_t d = 0; d < terms; d++)
        free(a[d]), free(b[0][d]), free(b[1][d]), free(key[0][d]), free(key[1][d]);
    for (size_t s = 0; s < SWITCHES; s++) free((void *)(uintptr_t)sigma[s].source);
    free(out[0]), free(out[1]), free(sum[0]), free(sum[1]), free(add0);
}

START_TEST(inner_products)
{
    const ckks_kernel *k = tables[_i / 2];
    static const unsigned rings[] = {4, 6, 7, 10};
    static const size_t terms[] = {1, 2, 3, 4, 15, 16, 31, 32};
    for (size_t r = 0; r < sizeof rings / sizeof *rings; r++)
        for (size_t s = 0; s < SIZES; s++) {
            size_t n = (size_t)1 << rings[r];
            uint64_t modulus = modulus_below((uint64_t)1 << sizes[s], rings[r], _i % 2);
            if (!modulus) continue;
            ckks_modulus p = ring_prime(k, modulus, rings[r]);
            for (size_t t = 0; t < sizeof terms / sizeof *terms; t++) {
                check_inner(k, &p, terms[t], TOP, 1, 0);
                check_inner(k, &p, terms[t], RANDOM, t & 1, (random_word() & (2 * n - 1)) | 1);
                check_inner(k, &p, terms[t], EDGES, !(t & 1), t & 1 ? 0 : 2 * n - 1);
            }
            k->prime_clear(&p);
        }
}
END_TEST

static void check_plain(const ckks_kernel *k, const ckks_modulus *p, size_t terms, unsigned log_gap,
                        enum pattern pattern, int both, int accumulate)
{
    enum { DISTINCT = 7 }; /* limbs in use; further terms repeat them */
    size_t n = (size_t)1 << p->log_n, packed = n >> log_gap;
    uint64_t q = p->p, *words[DISTINCT], *limb[2][DISTINCT], *out[2], *expected[2];
    void *plain[DISTINCT];
    const void **plains = calloc(terms, sizeof *plains);
    const uint64_t **x[2] = {calloc(terms, sizeof *x[0]), calloc(terms, sizeof *x[1])};
    ck_assert(plains && x[0] && x[1]);
    for (size_t d = 0; d < DISTINCT; d++) {
        words[d] = limb_alloc(packed), limb[0][d] = limb_alloc(n), limb[1][d] = limb_alloc(n);
        fill_pattern(words[d], packed, pattern, q);
        fill_pattern(limb[0][d], n, pattern, q), fill_pattern(limb[1][d], n, RANDOM, q);
        plain[d] = pack(words[d], packed, p->width);
    }
    for (int i = 0; i < 2; i++) {
        out[i] = limb_alloc(n), expected[i] = limb_alloc(n);
        fill_pattern(out[i], n, pattern, q);
        for (size_t j = 0; j < n; j++) {
            size_t at = (j >> 3 >> log_gap << 3) + (j & 7);
            wide sum = accumulate ? out[i][j] : 0;
            for (size_t d = 0; d < DISTINCT; d++) {
                size_t times = terms / DISTINCT + (d < terms % DISTINCT);
                sum += (wide)mul_mod(words[d][at], limb[i][d][j], q) * times;
            }
            expected[i][j] = (uint64_t)(sum % q);
        }
    }
    /* In one piece, or in two ranges. */
    size_t cut = n >= 128 && terms & 1 ? 64 : n;
    for (size_t from = 0, to = cut; from < n; from = to, to = n) {
        for (size_t b = 0; b < terms; b++) {
            size_t d = b % DISTINCT;
            plains[b] = (const char *)plain[d] + (from >> log_gap) * p->width;
            x[0][b] = limb[0][d] + from, x[1][b] = limb[1][d] + from;
        }
        k->plain_product(p, out[0] + from, both ? out[1] + from : NULL, to - from, terms, plains,
                         log_gap, x[0], both ? x[1] : NULL, accumulate);
    }
    for (int i = 0; i <= both; i++)
        ck_assert_limbs_eq(out[i], expected[i], n, k, p, "plain product");
    for (size_t d = 0; d < DISTINCT; d++)
        free(words[d]), free(limb[0][d]), free(limb[1][d]), free(plain[d]);
    for (int i = 0; i < 2; i++) free(out[i]), free(expected[i]), free(x[i]);
    free(plains);
}

START_TEST(plain_products)
{
    const ckks_kernel *k = tables[_i / 2];
    static const unsigned rings[] = {4, 6, 7, 9};
    static const size_t terms[] = {1, 2, 8, 16, 61, 241, 4096};
    for (size_t r = 0; r < sizeof rings / sizeof *rings; r++)
        for (size_t s = 0; s < SIZES; s++) {
            uint64_t modulus = modulus_below((uint64_t)1 << sizes[s], rings[r], _i % 2);
            if (!modulus) continue;
            ckks_modulus p = ring_prime(k, modulus, rings[r]);
            for (unsigned gap = 0; gap <= (rings[r] < 6 ? 0 : 3); gap++)
                for (size_t t = 0; t < sizeof terms / sizeof *terms; t++) {
                    if (terms[t] == 4096 && rings[r] == 9) continue;
                    check_plain(k, &p, terms[t], gap, TOP, 1, 1);
                    check_plain(k, &p, terms[t], gap, t & 1 ? RANDOM : EDGES, (int)(gap & 1),
                                (int)(t & 1));
                }
            k->prime_clear(&p);
        }
}
END_TEST

/* ---- Combinations ---- */

static void check_combination(const ckks_kernel *k, const ckks_modulus *primes, size_t targets,
                              size_t terms, size_t count, enum pattern pattern)
{
    enum { MOST = 13 };
    const ckks_modulus *prime[MOST];
    uint64_t *y[CKKS_MAX_TERMS], *weight[MOST], *out[MOST], expected;
    for (size_t i = 0; i < terms; i++) {
        y[i] = limb_alloc(count);
        fill_pattern(y[i], count, pattern, (uint64_t)1 << (i % 3 == 1 ? 28 : 50));
    }
    for (size_t t = 0; t < targets; t++) {
        prime[t] = &primes[(t * 5 + targets) % SIZES];
        weight[t] = limb_alloc(terms), out[t] = limb_alloc(count);
        fill_pattern(weight[t], terms, pattern, prime[t]->p);
    }
    k->combine(prime, targets, out, terms, (const uint64_t *const *)y,
               (const uint64_t *const *)weight, count);
    for (size_t t = 0; t < targets; t++)
        for (size_t j = 0; j < count; j++) {
            wide sum = 0;
            for (size_t i = 0; i < terms; i++) sum += (wide)weight[t][i] * y[i][j];
            expected = (uint64_t)(sum % prime[t]->p);
            if (out[t][j] != expected)
                ck_abort_msg("%s, combine, %zu terms, target %zu, p = %" PRIu64 ": %zu is %" PRIu64
                             ", not %" PRIu64,
                             k->name, terms, t, prime[t]->p, j, out[t][j], expected);
        }
    for (size_t i = 0; i < terms; i++) free(y[i]);
    for (size_t t = 0; t < targets; t++) free(weight[t]), free(out[t]);
}

START_TEST(combinations)
{
    const ckks_kernel *k = tables[_i];
    static const size_t counts[] = {8, 24, 512, 1048}, terms[] = {1, 2, 5, 10, 15, 16, 17, 31, 32};
    ckks_modulus primes[SIZES];
    for (size_t s = 0; s < SIZES; s++)
        primes[s] = ring_prime(k, prime_below((uint64_t)1 << sizes[s], 6), 6);
    for (size_t targets = 1; targets <= 13; targets++)
        for (size_t t = 0; t < sizeof terms / sizeof *terms; t++)
            for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
                if (counts[c] == 1048 && targets != 11 && targets != 4) continue;
                check_combination(k, primes, targets, terms[t], counts[c], TOP);
                check_combination(k, primes, targets, terms[t], counts[c], c & 1 ? RANDOM : EDGES);
            }
    for (size_t s = 0; s < SIZES; s++) k->prime_clear(&primes[s]);
}
END_TEST

START_TEST(overflows)
{
    enum { COUNT = 1032 };
    const ckks_kernel *k = tables[_i];
    uint64_t *y[CKKS_MAX_TERMS], *v = limb_alloc(COUNT);
    double inverse[CKKS_MAX_TERMS];
    for (size_t i = 0; i < CKKS_MAX_TERMS; i++) y[i] = limb_alloc(COUNT);
    for (size_t terms = 1; terms <= CKKS_MAX_TERMS; terms++)
        for (enum pattern pattern = ZEROS; pattern < PATTERNS; pattern++) {
            for (size_t i = 0; i < terms; i++) {
                uint64_t p = prime_below((uint64_t)1 << sizes[(i * 7 + terms) % SIZES], 5);
                inverse[i] = 1.0 / (double)p;
                fill_pattern(y[i], COUNT, pattern, p);
            }
            k->overflow(v, terms, (const uint64_t *const *)y, inverse, COUNT);
            for (size_t j = 0; j < COUNT; j++) {
                volatile double sum = 0; /* volatile: every operation is rounded */
                for (size_t i = 0; i < terms; i++) {
                    volatile double product = (double)y[i][j] * inverse[i];
                    sum = sum + product;
                }
                sum = sum + 0.5;
                ck_assert_uint_eq(v[j], (uint64_t)sum);
            }
        }
    for (size_t i = 0; i < CKKS_MAX_TERMS; i++) free(y[i]);
    free(v);
}
END_TEST

/* ---- Choice of a table ---- */

START_TEST(selection)
{
    const ckks_kernel *k = NULL;
    unsetenv("FHOLA_ISA");
    ck_assert_int_eq(ckks_kernel_select(&k, NULL), FHOLA_OK);
    ck_assert_ptr_eq(k, tables[0]);
    ck_assert_ptr_eq(tables[table_count - 1], &ckks_kernel_portable);
    for (size_t i = 0; i < table_count; i++) {
        ck_assert_int_eq(ckks_kernel_select(&k, tables[i]->name), FHOLA_OK);
        ck_assert_ptr_eq(k, tables[i]);
        setenv("FHOLA_ISA", tables[i]->name, 1);
        ck_assert_int_eq(ckks_kernel_select(&k, NULL), FHOLA_OK);
        ck_assert_ptr_eq(k, tables[i]);
    }
    k = &ckks_kernel_portable;
    setenv("FHOLA_ISA", "abacus", 1);
    ck_assert_int_eq(ckks_kernel_select(&k, NULL), FHOLA_PARAM);
    ck_assert_ptr_nonnull(strstr(fhola_detail(), "FHOLA_ISA"));
    ck_assert_ptr_nonnull(strstr(fhola_detail(), "abacus"));
    ck_assert_int_eq(ckks_kernel_select(&k, "Portable"), FHOLA_PARAM);
    ck_assert_ptr_eq(k, &ckks_kernel_portable);
    static const char *const names[] = {"avx2", "avx512f", "avx512ifma"};
    for (size_t i = 0; i < 3; i++) {
        int present = 0;
        for (size_t t = 0; t < table_count; t++) present |= !strcmp(tables[t]->name, names[i]);
        ck_assert_int_eq(ckks_kernel_select(&k, names[i]), present ? FHOLA_OK : FHOLA_PARAM);
    }
}
END_TEST

int main(void)
{
    seed_from_environment();
    table_count = ckks_kernel_list(tables);
    Suite *suite = suite_create("kernel");
    TCase *tcase = tcase_create("kernel");
    tcase_set_timeout(tcase, 300);
    int end = (int)table_count;
    tcase_add_test(tcase, selection);
    tcase_add_loop_test(tcase, elementwise, 0, 2 * end);
    tcase_add_loop_test(tcase, all_pairs, 0, end);
    tcase_add_loop_test(tcase, signed_reduction, 0, 2 * end);
    tcase_add_loop_test(tcase, permutations, 0, 2 * end);
    tcase_add_loop_test(tcase, inner_products, 0, 2 * end);
    tcase_add_loop_test(tcase, plain_products, 0, 2 * end);
    tcase_add_loop_test(tcase, combinations, 0, end);
    tcase_add_loop_test(tcase, overflows, 0, end);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
