/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel tests share: primes, reference arithmetic with the compiler's 128-bit remainder,
 * input patterns. */
#ifndef TESTS_KERNEL_SUPPORT_H
#define TESTS_KERNEL_SUPPORT_H

#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ckks/kernel/kernel.h"

__extension__ typedef unsigned __int128 wide;

static uint64_t random_state;

/* The seed of this run: FHOLA_TEST_SEED or the clock; printed, so that a failure can be
 * repeated. */
static void seed_from_environment(void)
{
    const char *text = getenv("FHOLA_TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 0) : (uint64_t)time(NULL);
    printf("FHOLA_TEST_SEED=%" PRIu64 "\n", seed);
    fflush(stdout);
    random_state = seed;
}

/* splitmix64 */
static uint64_t random_word(void)
{
    uint64_t z = random_state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static uint64_t mul_mod(uint64_t a, uint64_t b, uint64_t p)
{
    return (uint64_t)((wide)a * b % p);
}

static uint64_t power_mod(uint64_t a, uint64_t e, uint64_t p)
{
    uint64_t r = 1;
    for (; e; e >>= 1, a = mul_mod(a, a, p))
        if (e & 1) r = mul_mod(r, a, p);
    return r;
}

/* Miller-Rabin with the twelve bases that decide all 64-bit numbers. */
static int is_prime(uint64_t n)
{
    static const uint64_t bases[] = {2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37};
    unsigned twos = 0;
    if (n < 2) return 0;
    while (((n - 1) >> twos & 1) == 0) twos++;
    for (size_t i = 0; i < sizeof bases / sizeof *bases; i++) {
        if (n % bases[i] == 0) return n == bases[i];
        uint64_t x = power_mod(bases[i], (n - 1) >> twos, n);
        int witness = x != 1 && x != n - 1;
        for (unsigned r = 1; witness && r < twos; r++) {
            x = mul_mod(x, x, n);
            if (x == n - 1) witness = 0;
        }
        if (witness) return 0;
    }
    return 1;
}

/* The largest prime = 1 mod 2n below `top`, 0 if there is none above 2n. */
static uint64_t prime_below(uint64_t top, unsigned log_n)
{
    uint64_t step = (uint64_t)2 << log_n;
    if (top <= step) return 0;
    for (uint64_t p = (top - 2) / step * step + 1; p > step; p -= step)
        if (is_prime(p)) return p;
    return 0;
}

/* A product of two such primes, of about the same size, below `top`; 0 if there is none. */
static inline uint64_t product_below(uint64_t top, unsigned log_n)
{
    uint64_t root = 0;
    for (uint64_t bit = (uint64_t)1 << 25; bit; bit >>= 1)
        if ((root | bit) * (root | bit) < top) root |= bit;
    uint64_t a = prime_below(root, log_n), b = a ? prime_below((top - 1) / a + 1, log_n) : 0;
    if (a && b == a) a = prime_below(a, log_n);
    return a * b;
}

/* Primes, or what two primes that share a limb are reduced by. */
static inline uint64_t modulus_below(uint64_t top, unsigned log_n, int product)
{
    return product ? product_below(top, log_n) : prime_below(top, log_n);
}

static uint64_t root_of_prime(uint64_t p, unsigned log_n)
{
    for (uint64_t g = 2;; g++) {
        uint64_t x = power_mod(g, (p - 1) >> (log_n + 1), p);
        if (power_mod(x, (uint64_t)1 << log_n, p) == p - 1) return x;
    }
}

/* A root of each prime, put together: x = x_a modulo a and x_b modulo b = p / a. */
static uint64_t root_of_product(uint64_t p, unsigned log_n)
{
    uint64_t a = ((uint64_t)2 << log_n) + 1, b;
    while (p % a) a += (uint64_t)2 << log_n;
    b = p / a;
    uint64_t x_a = root_of_prime(a, log_n), x_b = root_of_prime(b, log_n);
    uint64_t from_a = mul_mod(b, power_mod(b % a, a - 2, a), p),
             from_b = mul_mod(a, power_mod(a % b, b - 2, b), p);
    return (mul_mod(x_a, from_a, p) + mul_mod(x_b, from_b, p)) % p;
}

/* The ring's modulus under `kernel`; psi is the first root found, which is the same for every
 * table. */
static ckks_modulus ring_prime(const ckks_kernel *kernel, uint64_t p, unsigned log_n)
{
    ckks_modulus r;
    memset(&r, 0, sizeof r);
    r.p = p;
    r.log_n = log_n;
    r.inverse = 1.0 / (double)p;
    while (p >> r.bits) r.bits++;
    r.width = ckks_packed_width(r.bits);
    r.psi = is_prime(p) ? root_of_prime(p, log_n) : root_of_product(p, log_n);
    ck_assert_int_eq(kernel->prime_init(&r), FHOLA_OK);
    ck_assert_ptr_nonnull(r.tables);
    return r;
}

static void *limb_alloc(size_t words)
{
    void *a = aligned_alloc(64, (words * 8 + 63) / 64 * 64);
    ck_assert_ptr_nonnull(a);
    return a;
}

enum pattern { ZEROS, ONES, TOP, ALTERNATING, EDGES, RANDOM, PATTERNS };

/* Residues below p: all 0, all 1, all p - 1, 0 and p - 1 in turn, a mix of values at the edges,
 * uniform. */
static void fill_pattern(uint64_t *a, size_t n, enum pattern pattern, uint64_t p)
{
    const uint64_t edge[8] = {0, 1, 2, p - 1, p - 2, p / 2, p / 2 + 1, p / 3};
    for (size_t i = 0; i < n; i++) switch (pattern) {
        case ZEROS: a[i] = 0; break;
        case ONES: a[i] = 1; break;
        case TOP: a[i] = p - 1; break;
        case ALTERNATING: a[i] = i & 1 ? p - 1 : 0; break;
        case EDGES: a[i] = edge[random_word() & 7]; break;
        default: a[i] = random_word() % p; break;
        }
}

/* A limb as the packed words of this prime, lowest byte first, without room behind them. */
static inline void *pack(const uint64_t *a, size_t n, unsigned width)
{
    unsigned char *words = malloc(n * width);
    ck_assert_ptr_nonnull(words);
    for (size_t i = 0; i < n * width; i++)
        words[i] = (unsigned char)(a[i / width] >> 8 * (i % width));
    return words;
}

/* source[i] of X -> X^g, straight from the definition: position i holds a(psi^(g e(i))). */
static inline ckks_automorphism automorphism(uint64_t g, unsigned log_n)
{
    size_t n = (size_t)1 << log_n;
    uint32_t *source = calloc(n + n / 64 + 1, sizeof *source),
             *position = malloc(2 * n * sizeof *position);
    ck_assert(source && position);
    for (uint32_t i = 0; i < n; i++) position[ckks_ntt_exponent(i, log_n)] = i;
    for (uint32_t i = 0; i < n; i++)
        source[i] = position[g * ckks_ntt_exponent(i, log_n) & (2 * n - 1)];
    for (size_t b = 0; b < n / 64; b++) source[n + b] = source[64 * b];
    free(position);
    ckks_automorphism sigma = {g, source, source + n};
    return sigma;
}

#define ck_assert_limbs_eq(a, b, n, kernel, prime, what)                                           \
    do {                                                                                           \
        for (size_t at_ = 0; at_ < (n); at_++)                                                     \
            if ((a)[at_] != (b)[at_])                                                              \
                ck_abort_msg("%s, p = %" PRIu64 ", n = %zu, %s: position %zu is %" PRIu64          \
                             ", not %" PRIu64,                                                     \
                             (kernel)->name, (prime)->p, (size_t)1 << (prime)->log_n, what, at_,   \
                             (a)[at_], (b)[at_]);                                                  \
    } while (0)

#endif
