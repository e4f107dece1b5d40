/* SPDX-License-Identifier: Apache-2.0 */
/* The samplers against their exact distributions (chi-square at fixed seeds, a false alarm about
 * once in a million), the public sampler against values computed by another implementation, and the
 * system's randomness through a replaced getentropy. */
#define _DEFAULT_SOURCE 1 /* syscall */
#include <check.h>
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "ckks/ring/sample.h"

static uint64_t test_seed = 1;

/* A generator of its own for each use in the tests. */
static ckks_rng seeded_rng(uint8_t number)
{
    uint8_t seed[CKKS_SEED_BYTES] = {number};
    for (unsigned i = 0; i < 8; i++) seed[8 + i] = (uint8_t)(test_seed >> (8 * i));
    ckks_rng rng;
    ckks_rng_from_seed(&rng, seed);
    return rng;
}

/* Fails unless sum (seen - expected)^2 / expected lies where a chi-square variable of that many
 * degrees of freedom lies all but about once in 10^6 times (Wilson and Hilferty, PNAS 17, 1931: its
 * cube root is nearly normal). Too small is as suspicious as too large. */
static void assert_chi_square(double statistic, double freedom, const char *what)
{
    double spread = 2.0 / (9.0 * freedom);
    double deviation = (cbrt(statistic / freedom) - (1.0 - spread)) / sqrt(spread);
    ck_assert_msg(fabs(deviation) < 4.9,
                  "%s: chi-square %.1f with %.0f degrees of freedom, %.1f standard deviations off",
                  what, statistic, freedom, deviation);
}

static double chi_square(const uint64_t *seen, const double *expected, size_t cells)
{
    double sum = 0.0;
    for (size_t i = 0; i < cells; i++) {
        double difference = (double)seen[i] - expected[i];
        sum += difference * difference / expected[i];
    }
    return sum;
}

static void assert_uniform(const uint64_t *seen, size_t cells, double total, const char *what)
{
    double expected[1024];
    ck_assert_uint_le(cells, 1024);
    for (size_t i = 0; i < cells; i++) expected[i] = total / (double)cells;
    assert_chi_square(chi_square(seen, expected, cells), (double)cells - 1.0, what);
}

/* ---- generators ---- */

static enum { HONEST, REFUSED } system_mood;
static unsigned system_calls;

/* Takes the place of the C library's, and fails on request. */
int getentropy(void *buffer, size_t length)
{
    system_calls++;
    if (system_mood == REFUSED) {
        errno = ENOSYS;
        return -1;
    }
    return syscall(SYS_getrandom, buffer, length, 0) == (long)length ? 0 : -1;
}

START_TEST(test_from_os)
{
    uint8_t a[64], b[64];
    ckks_rng rng;
    system_calls = 0;
    system_mood = HONEST;
    ck_assert_int_eq(ckks_rng_from_os(&rng), FHOLA_OK);
    ckks_rng_bytes(&rng, a, sizeof a);
    ck_assert_int_eq(ckks_rng_from_os(&rng), FHOLA_OK);
    ckks_rng_bytes(&rng, b, sizeof b);
    ck_assert_mem_ne(a, b, sizeof a);
    ck_assert_uint_ge(system_calls, 2);
}
END_TEST

START_TEST(test_from_os_fails)
{
    static const uint8_t erased[sizeof(ckks_chacha20)];
    ckks_rng rng = seeded_rng(0);
    system_mood = REFUSED;
    ck_assert_int_eq(ckks_rng_from_os(&rng), FHOLA_IO);
    ck_assert_ptr_nonnull(strstr(fhola_detail(), strerror(ENOSYS)));
    ck_assert_mem_eq(&rng.stream, erased, sizeof erased);
    system_mood = HONEST;
}
END_TEST

/* A new key from the system, or no further use; a caller's seed goes on. */
START_TEST(test_renew)
{
    uint8_t a[64], b[64];
    ckks_rng rng, copy;
    system_mood = HONEST;
    ck_assert_int_eq(ckks_rng_from_os(&rng), FHOLA_OK);
    copy = rng;
    ck_assert_int_eq(ckks_rng_renew(&rng), FHOLA_OK);
    ckks_rng_bytes(&rng, a, sizeof a);
    ckks_rng_bytes(&copy, b, sizeof b);
    ck_assert_mem_ne(a, b, sizeof a);
    system_mood = REFUSED;
    for (int k = 0; k < 2; k++) ck_assert_int_eq(ckks_rng_renew(&rng), FHOLA_IO);
    system_mood = HONEST;
    ck_assert_int_eq(ckks_rng_renew(&rng), FHOLA_OK);
    ckks_rng_bytes(&rng, b, sizeof b);
    ck_assert_mem_ne(a, b, sizeof a);
    system_calls = 0;
    rng = copy = seeded_rng(3);
    ck_assert_int_eq(ckks_rng_renew(&rng), FHOLA_OK);
    ckks_rng_bytes(&rng, a, sizeof a);
    ckks_rng_bytes(&copy, b, sizeof b);
    ck_assert_mem_eq(a, b, sizeof a);
    ck_assert_uint_eq(system_calls, 0);
}
END_TEST

START_TEST(test_generator_is_the_key_stream)
{
    uint8_t seed[CKKS_SEED_BYTES] = {1, 2, 3}, nonce[CKKS_CHACHA20_NONCE_BYTES] = {0}, expected[64],
            got[64];
    ckks_chacha20 stream;
    ckks_rng rng;
    ckks_chacha20_init(&stream, seed, nonce, 0);
    ckks_chacha20_bytes(&stream, expected, sizeof expected);
    ckks_rng_from_seed(&rng, seed);
    ckks_rng_bytes(&rng, got, sizeof got);
    ck_assert_mem_eq(got, expected, sizeof got);
    static const uint8_t erased[sizeof(ckks_chacha20)];
    ckks_rng_clear(&rng);
    ck_assert_mem_eq(&rng.stream, erased, sizeof erased);
}
END_TEST

START_TEST(test_child)
{
    ckks_rng parent = seeded_rng(1), twin = seeded_rng(1), child, other;
    uint8_t key[CKKS_SEED_BYTES], a[64], b[64];
    ckks_rng_child(&parent, &child);
    ckks_rng_child(&parent, &other);
    /* The documented construction: the next 32 bytes are the child's key. */
    ckks_rng_bytes(&twin, key, sizeof key);
    ckks_rng expected;
    ckks_rng_from_seed(&expected, key);
    ckks_rng_bytes(&expected, a, sizeof a);
    ckks_rng_bytes(&child, b, sizeof b);
    ck_assert_mem_eq(a, b, sizeof a);
    ckks_rng_bytes(&other, b, sizeof b);
    ck_assert_mem_ne(a, b, sizeof a);
    ckks_rng_bytes(&twin, key, sizeof key);
    ckks_rng_bytes(&parent, a, sizeof a);
    ckks_rng_bytes(&twin, b, sizeof b);
    ck_assert_mem_eq(a, b, sizeof a);
}
END_TEST

/* ---- public randomness ---- */

typedef struct known_answer {
    uint64_t p, stream;
    uint64_t first[2], last; /* residues 0, 1 and 4999 */
    uint64_t hash;           /* XXH64 of 5000 residues as 8 bytes little-endian each */
} known_answer;

#define KNOWN_COUNT 5000

/* Seed 0, 1, ..., 31. Computed from OpenSSL's key stream by a program that shares no code with this
 * project. */
static const known_answer known[] = {
    {UINT64_C(268369921),
     UINT64_C(0),
     {UINT64_C(220986681), UINT64_C(169461209)},
     UINT64_C(61742308),
     UINT64_C(0x50f4a38611d9c76c)},
    {UINT64_C(268894209),
     UINT64_C(1),
     {UINT64_C(49390639), UINT64_C(160333904)},
     UINT64_C(254191614),
     UINT64_C(0xb8d337d9fad0441e)},
    {UINT64_C(4294967291),
     UINT64_C(2),
     {UINT64_C(3514151508), UINT64_C(400057676)},
     UINT64_C(587901888),
     UINT64_C(0xefa2d15efde24bdf)},
    {UINT64_C(4294967311),
     UINT64_C(3),
     {UINT64_C(4165040745), UINT64_C(739191263)},
     UINT64_C(489767545),
     UINT64_C(0xc99b4a82c703dd35)},
    {UINT64_C(281474976645121),
     UINT64_C(0x0123456789abcdef),
     {UINT64_C(38417429820462), UINT64_C(217290051563561)},
     UINT64_C(39488971245205),
     UINT64_C(0x1138296972e0caaf)},
    {UINT64_C(1125899906826241),
     UINT64_MAX,
     {UINT64_C(607608586012117), UINT64_C(615393168117930)},
     UINT64_C(460442766375944),
     UINT64_C(0x9efa4664446cbd49)},
    {UINT64_C(17),
     UINT64_C(5),
     {UINT64_C(15), UINT64_C(7)},
     UINT64_C(0),
     UINT64_C(0xad41e0dd3d7aa460)},
    {UINT64_C(1),
     UINT64_C(6),
     {UINT64_C(0), UINT64_C(0)},
     UINT64_C(0),
     UINT64_C(0x2573011508ff5cfd)},
};

START_TEST(test_uniform_known_answers)
{
    const known_answer *k = &known[_i];
    uint8_t seed[CKKS_SEED_BYTES];
    for (unsigned i = 0; i < sizeof seed; i++) seed[i] = (uint8_t)i;
    static uint64_t got[KNOWN_COUNT + 1];
    static uint8_t bytes[8 * KNOWN_COUNT];
    got[KNOWN_COUNT] = 42;
    ckks_sample_uniform(got, KNOWN_COUNT, k->p, seed, k->stream);
    ck_assert_uint_eq(got[0], k->first[0]);
    ck_assert_uint_eq(got[1], k->first[1]);
    ck_assert_uint_eq(got[KNOWN_COUNT - 1], k->last);
    ck_assert_uint_eq(got[KNOWN_COUNT], 42);
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)(got[i / 8] >> (i % 8 * 8));
    ck_assert_uint_eq(XXH64(bytes, sizeof bytes, 0), k->hash);
    /* A shorter request is a prefix. */
    static const size_t lengths[] = {0, 1, 2, 7, 511, 512, 513, 1024, 1025, 4999};
    for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++) {
        static uint64_t part[KNOWN_COUNT + 1];
        part[lengths[l]] = 43;
        ckks_sample_uniform(part, lengths[l], k->p, seed, k->stream);
        ck_assert(lengths[l] == 0 || memcmp(part, got, lengths[l] * sizeof *got) == 0);
        ck_assert_uint_eq(part[lengths[l]], 43);
    }
}
END_TEST

START_TEST(test_uniform_distribution)
{
    /* Small ones cell by cell, the others by their place in [0, p) and by their value modulo
     * 256. */
    static const uint64_t primes[] = {2,
                                      3,
                                      5,
                                      97,
                                      193,
                                      257,
                                      268369921,
                                      268894209,
                                      4294967291,
                                      4294967311,
                                      281474976645121,
                                      1125899906826241,
                                      UINT64_C(9223372036854775783)};
    enum { COUNT = 400000 };
    uint64_t *values = malloc(COUNT * sizeof *values);
    ck_assert_ptr_nonnull(values);
    uint8_t seed[CKKS_SEED_BYTES] = {9};
    for (unsigned i = 0; i < 8; i++) seed[8 + i] = (uint8_t)(test_seed >> (8 * i));
    for (size_t k = 0; k < sizeof primes / sizeof *primes; k++) {
        uint64_t p = primes[k], place[257] = {0}, low[256] = {0};
        ckks_sample_uniform(values, COUNT, p, seed, k);
        size_t cells = p < 257 ? (size_t)p : 257, outside = 0;
        for (size_t i = 0; i < COUNT; i++) {
            outside += values[i] >= p;
            size_t cell =
                p <= 257 ? (size_t)values[i] : (size_t)((double)values[i] / (double)p * 257.0);
            place[cell < cells ? cell : cells - 1]++;
            low[values[i] & 255]++;
        }
        ck_assert_uint_eq(outside, 0);
        char what[64];
        snprintf(what, sizeof what, "uniform below %llu", (unsigned long long)p);
        assert_uniform(place, cells, COUNT, what);
        if (p > UINT64_C(1) << 27) assert_uniform(low, 256, COUNT, what);
    }
    free(values);
}
END_TEST

START_TEST(test_uniform_streams_differ)
{
    uint8_t seed[CKKS_SEED_BYTES] = {1};
    uint64_t a[64], b[64];
    const uint64_t p = UINT64_C(281474976645121);
    ckks_sample_uniform(a, 64, p, seed, 0);
    for (unsigned bit = 0; bit < 64; bit++) {
        ckks_sample_uniform(b, 64, p, seed, UINT64_C(1) << bit);
        ck_assert_mem_ne(a, b, sizeof a);
    }
    for (unsigned byte = 0; byte < CKKS_SEED_BYTES; byte++) {
        seed[byte] ^= 0x80;
        ckks_sample_uniform(b, 64, p, seed, 0);
        seed[byte] ^= 0x80;
        ck_assert_mem_ne(a, b, sizeof a);
    }
}
END_TEST

/* ---- secrets and errors ---- */

static uint64_t next_word(ckks_rng *rng)
{
    uint8_t bytes[8];
    uint64_t word = 0;
    ckks_rng_bytes(rng, bytes, sizeof bytes);
    for (unsigned i = 0; i < 8; i++) word |= (uint64_t)bytes[i] << (8 * i);
    return word;
}

START_TEST(test_ternary)
{
    enum { COUNT = 600000 };
    int8_t *values = malloc(COUNT);
    ck_assert_ptr_nonnull(values);
    ckks_rng rng = seeded_rng(2);
    ckks_sample_ternary(values, COUNT, &rng);
    uint64_t seen[3] = {0}, pairs[9] = {0};
    for (size_t i = 0; i < COUNT; i++)
        if (values[i] < -1 || values[i] > 1) ck_abort_msg("value %zu is %d", i, values[i]);
    for (size_t i = 0; i < COUNT; i++) {
        seen[values[i] + 1]++;
        if (i % 2 == 1) pairs[3 * (values[i - 1] + 1) + values[i] + 1]++;
    }
    assert_uniform(seen, 3, COUNT, "ternary");
    assert_uniform(pairs, 9, COUNT / 2, "pairs of ternary");
    free(values);
}
END_TEST

START_TEST(test_ternary_construction)
{
    enum { COUNT = 1000 };
    int8_t values[COUNT + 1];
    values[COUNT] = 42;
    ckks_rng rng = seeded_rng(3), twin = seeded_rng(3);
    ckks_sample_ternary(values, COUNT, &rng);
    ck_assert_int_eq(values[COUNT], 42);
    for (size_t i = 0; i < COUNT; i++) {
        /* floor(3 r / 2^64) counts the thirds of 2^64 that r reaches. */
        uint64_t r = next_word(&twin);
        int third = (r > UINT64_MAX / 3) + (r > UINT64_MAX / 3 * 2);
        ck_assert_int_eq(values[i], third - 1);
    }
    ck_assert_uint_eq(next_word(&rng), next_word(&twin));
}
END_TEST

START_TEST(test_error)
{
    /* binomial(42, 21 + e), e = 0, 1, ..., 21 */
    static const double ways[] = {538257874440, 513791607420,
                                  446775310800, 353697121050,
                                  254661927156, 166509721602,
                                  98672427616,  52860229080,
                                  25518731280,  11058116888,
                                  4280561376,   1471442973,
                                  445891810,    118030185,
                                  26978328,     5245786,
                                  850668,       111930,
                                  11480,        861,
                                  42,           1};
    enum { COUNT = 2000000, REACH = 14 };
    int8_t *values = malloc(COUNT);
    ck_assert_ptr_nonnull(values);
    ckks_rng rng = seeded_rng(4);
    ckks_sample_error(values, COUNT, &rng);
    /* One cell for each value from -14 to 14; the outer cells take what lies beyond. */
    uint64_t seen[2 * REACH + 1] = {0};
    double expected[2 * REACH + 1] = {0}, sum = 0.0, squares = 0.0, neighbours = 0.0;
    for (size_t i = 0; i < COUNT; i++) {
        int e = values[i];
        if (abs(e) > (int)CKKS_ERROR_BITS) ck_abort_msg("value %zu is %d", i, e);
        seen[(e < -REACH ? -REACH : e > REACH ? REACH : e) + REACH]++;
        sum += e;
        squares += e * e;
        if (i > 0) neighbours += e * values[i - 1];
    }
    for (int e = -21; e <= 21; e++) /* / 2^42 */
        expected[(e < -REACH  ? -REACH
                  : e > REACH ? REACH
                              : e) +
                 REACH] += ways[abs(e)] / 4398046511104.0 * COUNT;
    assert_chi_square(chi_square(seen, expected, 2 * REACH + 1), 2.0 * REACH, "error");
    const double variance = CKKS_ERROR_VARIANCE;
    ck_assert_double_lt(fabs(sum / COUNT), 5.0 * sqrt(variance / COUNT));
    ck_assert_double_lt(fabs(squares / COUNT / variance - 1.0), 5.0 * sqrt(2.0 / COUNT));
    ck_assert_double_lt(fabs(neighbours / COUNT / variance), 5.0 * sqrt(1.0 / COUNT));
    free(values);
}
END_TEST

START_TEST(test_error_construction)
{
    enum { COUNT = 1000 };
    int8_t values[COUNT + 1];
    values[COUNT] = 42;
    ckks_rng rng = seeded_rng(5), twin = seeded_rng(5);
    ckks_sample_error(values, COUNT, &rng);
    ck_assert_int_eq(values[COUNT], 42);
    for (size_t i = 0; i < COUNT; i++) {
        uint64_t r = next_word(&twin);
        int e = 0;
        for (unsigned bit = 0; bit < CKKS_ERROR_BITS; bit++)
            e += (int)(r >> bit & 1) - (int)(r >> (32 + bit) & 1);
        ck_assert_int_eq(values[i], e);
    }
    ck_assert_uint_eq(next_word(&rng), next_word(&twin));
}
END_TEST

static void assert_weight(const int8_t *values, size_t n, size_t weight)
{
    size_t nonzero = 0;
    for (size_t i = 0; i < n; i++) {
        if (values[i] < -1 || values[i] > 1) ck_abort_msg("value %zu is %d", i, values[i]);
        nonzero += values[i] != 0;
    }
    ck_assert_uint_eq(nonzero, weight);
}

START_TEST(test_sparse_weight)
{
    static const struct {
        size_t n;
        unsigned weight, expected;
    } cases[] = {{1, 0, 0},      {1, 1, 1},       {2, 1, 1},         {16, 16, 16},
                 {16, 40, 16},   {64, 63, 63},    {0, 3, 0},         {100, 17, 17},
                 {1000, 32, 32}, {32768, 32, 32}, {65536, 192, 192}, {131072, 32, 32}};
    int8_t *values = malloc((1 << 17) + 1);
    ck_assert_ptr_nonnull(values);
    ckks_rng rng = seeded_rng(6);
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        memset(values, 42, (1 << 17) + 1);
        ckks_sample_sparse_ternary(values, cases[c].n, cases[c].weight, &rng);
        assert_weight(values, cases[c].n, cases[c].expected);
        ck_assert_int_eq(values[cases[c].n], 42);
    }
    free(values);
}
END_TEST

/* Every signed subset of a small set is equally likely. */
START_TEST(test_sparse_joint_distribution)
{
    enum { N = 5, WEIGHT = 2, OUTCOMES = 10 * 4, TRIALS = 100000 };
    uint64_t seen[243] = {0}, packed[OUTCOMES];
    ckks_rng rng = seeded_rng(7);
    for (int trial = 0; trial < TRIALS; trial++) {
        int8_t values[N];
        size_t code = 0;
        ckks_sample_sparse_ternary(values, N, WEIGHT, &rng);
        for (int i = 0; i < N; i++) code = 3 * code + (size_t)(values[i] + 1);
        seen[code]++;
    }
    size_t outcomes = 0;
    for (size_t code = 0; code < 243; code++)
        if (seen[code] != 0) {
            ck_assert_uint_lt(outcomes, OUTCOMES);
            packed[outcomes++] = seen[code];
        }
    ck_assert_uint_eq(outcomes, OUTCOMES);
    assert_uniform(packed, OUTCOMES, TRIALS, "signed pairs out of five");
}
END_TEST

START_TEST(test_sparse_positions)
{
    enum { N = 256, WEIGHT = 32, TRIALS = 20000 };
    uint64_t seen[N] = {0}, plus = 0;
    ckks_rng rng = seeded_rng(8);
    for (int trial = 0; trial < TRIALS; trial++) {
        int8_t values[N];
        ckks_sample_sparse_ternary(values, N, WEIGHT, &rng);
        for (int i = 0; i < N; i++) {
            seen[i] += values[i] != 0;
            plus += values[i] == 1;
        }
    }
    double expected[N];
    for (int i = 0; i < N; i++) expected[i] = (double)TRIALS * WEIGHT / N;
    /* Drawn without replacement, the counts spread less by (N - WEIGHT) / (N - 1). */
    assert_chi_square(chi_square(seen, expected, N) * (N - 1) / (N - WEIGHT), N - 1,
                      "sparse positions");
    double signs = (double)TRIALS * WEIGHT;
    ck_assert_double_lt(fabs((double)plus - signs / 2), 5.0 * sqrt(signs / 4));
}
END_TEST

int main(void)
{
    const char *text = getenv("FHOLA_TEST_SEED");
    if (text != NULL) test_seed = strtoull(text, NULL, 0);
    printf("FHOLA_TEST_SEED=%llu\n", (unsigned long long)test_seed);
    Suite *suite = suite_create("sample");
    TCase *tcase = tcase_create("samplers");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, test_from_os);
    tcase_add_test(tcase, test_from_os_fails);
    tcase_add_test(tcase, test_renew);
    tcase_add_test(tcase, test_generator_is_the_key_stream);
    tcase_add_test(tcase, test_child);
    tcase_add_loop_test(tcase, test_uniform_known_answers, 0, (int)(sizeof known / sizeof *known));
    tcase_add_test(tcase, test_uniform_distribution);
    tcase_add_test(tcase, test_uniform_streams_differ);
    tcase_add_test(tcase, test_ternary);
    tcase_add_test(tcase, test_ternary_construction);
    tcase_add_test(tcase, test_error);
    tcase_add_test(tcase, test_error_construction);
    tcase_add_test(tcase, test_sparse_weight);
    tcase_add_test(tcase, test_sparse_joint_distribution);
    tcase_add_test(tcase, test_sparse_positions);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
