/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#define _DEFAULT_SOURCE
#include "bench/kernel_figures.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum {
    REPEATS = 101,
    COLD_SETS = 24,   /* primes with their limbs that cold runs take turns with */
    DIGITS = 3,       /* terms of the inner product */
    COMBINE_TERMS = 10,
    COMBINE_TARGETS = 10,
    PLAIN_TERMS = 16,
    ARENA_ALIGN = 1 << 21
};

__extension__ typedef unsigned __int128 wide;

/* Operands of all figures of one table, ring and prime size. Limbs lie in one arena, staggered by odd numbers of cache lines. */
typedef struct bench_set {
    const ckks_kernel *kernel;
    ckks_prime prime[COLD_SETS];
    size_t n, primes;
    char *arena;
    size_t used, size;
    uint64_t *limb[COLD_SETS][DIGITS]; /* residues */
    void *key[COLD_SETS][2 * DIGITS];  /* packed */
    uint64_t *out[2];
    uint64_t *target[COMBINE_TARGETS];
    uint64_t weight[COMBINE_TARGETS][COMBINE_TERMS];
    uint32_t *source;
    ckks_automorphism sigma;
    size_t turn; /* which of the sets the next cold run takes */
} bench_set;

typedef void bench_run(bench_set *set, size_t turn);

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

double bench_clock_ghz(void)
{
    enum { STEPS = 200000 };
    double best = 1e300;
    for (int r = 0; r < 9; r++) {
        volatile uint64_t seed = 3;
        uint64_t x = seed, y = seed;
        double start = now_us();
        for (int i = 0; i < STEPS; i++) {
            x *= y; /* four dependent products, twelve cycles */
            y *= x;
            x *= y;
            y *= x;
        }
        double time = now_us() - start;
        seed = x + y;
        if (time < best) best = time;
    }
    return 12e-3 * STEPS / best;
}

/* ---- Operands ---- */

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

/* Fermat's test suffices: nothing is secret here, and a pseudoprime would be timed alike. */
static int probably_prime(uint64_t p)
{
    return power_mod(2, p - 1, p) == 1 && power_mod(3, p - 1, p) == 1 && power_mod(5, p - 1, p) == 1;
}

static uint64_t root_of_unity(uint64_t p, unsigned log_n)
{
    for (uint64_t g = 2;; g++) {
        uint64_t psi = power_mod(g, (p - 1) >> (log_n + 1), p);
        if (power_mod(psi, (uint64_t)1 << log_n, p) == p - 1) return psi;
    }
}

static void *take(bench_set *s, size_t bytes)
{
    bytes = (bytes + 63) / 64 * 64 + 192; /* three cache lines apart */
    if (s->size - s->used < bytes) return NULL;
    void *p = s->arena + s->used;
    s->used += bytes;
    return p;
}

static void fill(uint64_t *a, size_t n, uint64_t p)
{
    uint64_t x = p;
    for (size_t i = 0; i < n; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        a[i] = (uint64_t)((wide)x * p >> 64);
    }
}

static void fill_packed(void *a, size_t n, const ckks_prime *p)
{
    uint64_t word;
    for (size_t i = 0; i < n; i++) {
        word = (i * 0x9e3779b97f4a7c15u >> 14) % p->p;
        if (p->width == 4) ((uint32_t *)a)[i] = (uint32_t)word;
        else ((uint64_t *)a)[i] = word;
    }
}

static void set_clear(bench_set *s)
{
    for (size_t i = 0; i < s->primes; i++) s->kernel->prime_clear(&s->prime[i]);
    free(s->source);
    free(s->arena);
}

static fhola_status set_primes(bench_set *s, unsigned log_n, unsigned bits)
{
    uint64_t step = (uint64_t)2 << log_n, p = (((uint64_t)1 << bits) - 2) / step * step + 1;
    for (; s->primes < COLD_SETS && p >> (bits - 1); p -= step) {
        if (!probably_prime(p)) continue;
        ckks_prime *q = &s->prime[s->primes];
        q->p = p;
        q->psi = root_of_unity(p, log_n);
        q->inverse = 1.0 / (double)p;
        q->bits = bits;
        q->width = p >> 32 ? 8 : 4;
        q->log_n = log_n;
        fhola_status status = s->kernel->prime_init(q);
        if (status) return status;
        s->primes++;
    }
    return s->primes ? FHOLA_OK : fhola_fail(FHOLA_PARAM, "no prime of %u bits for n = 2^%u", bits, log_n);
}

static fhola_status set_automorphism(bench_set *s, unsigned log_n)
{
    uint32_t *position = malloc(2 * s->n * sizeof *position);
    s->source = malloc(s->n * sizeof *s->source);
    if (!position || !s->source) {
        free(position);
        return fhola_fail(FHOLA_NOMEM, "no memory for an automorphism of n = %zu", s->n);
    }
    const uint64_t g = 25;
    for (uint32_t i = 0; i < s->n; i++) position[ckks_ntt_exponent(i, log_n)] = i;
    for (uint32_t i = 0; i < s->n; i++) s->source[i] = position[g * ckks_ntt_exponent(i, log_n) & (2 * s->n - 1)];
    free(position);
    s->sigma.g = g;
    s->sigma.source = s->source;
    return FHOLA_OK;
}

static fhola_status set_limbs(bench_set *s)
{
    size_t limb = s->n * sizeof(uint64_t);
    s->size = (limb + 256) * (COLD_SETS * 3 * DIGITS + COMBINE_TARGETS + 2);
    s->size = (s->size + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN;
    s->arena = aligned_alloc(ARENA_ALIGN, s->size);
    if (!s->arena) return fhola_fail(FHOLA_NOMEM, "no memory for %zu bytes of operands", s->size);
#ifdef MADV_HUGEPAGE
    madvise(s->arena, s->size, MADV_HUGEPAGE);
#endif
    for (size_t i = 0; i < s->primes; i++) {
        for (size_t d = 0; d < DIGITS; d++) fill(s->limb[i][d] = take(s, limb), s->n, s->prime[i].p);
        for (size_t d = 0; d < 2 * DIGITS; d++) fill_packed(s->key[i][d] = take(s, s->n * s->prime[i].width), s->n, &s->prime[i]);
    }
    for (size_t i = 0; i < 2; i++) memset(s->out[i] = take(s, limb), 0, limb);
    for (size_t t = 0; t < COMBINE_TARGETS; t++) {
        memset(s->target[t] = take(s, limb), 0, limb);
        fill(s->weight[t], COMBINE_TERMS, s->prime[t % s->primes].p);
    }
    return FHOLA_OK;
}

/* ---- Figures ---- */

static void run_forward(bench_set *s, size_t turn)
{
    s->kernel->ntt_forward(&s->prime[turn], &s->limb[turn][0], 1);
}

static void run_inverse(bench_set *s, size_t turn)
{
    s->kernel->ntt_inverse(&s->prime[turn], &s->limb[turn][0], 1);
}

static void run_forward_digits(bench_set *s, size_t turn)
{
    s->kernel->ntt_forward(&s->prime[turn], s->limb[turn], DIGITS);
}

static void inner(bench_set *s, size_t turn, const ckks_automorphism *sigma)
{
    const void *const *key = (const void *const *)s->key[turn];
    s->kernel->inner_product(&s->prime[turn], s->out[0], s->out[1], DIGITS, (const uint64_t *const *)s->limb[0], key, key + DIGITS,
                             NULL, NULL, 0, sigma, 0);
}

static void run_inner(bench_set *s, size_t turn)
{
    inner(s, turn, NULL);
}

static void run_inner_rotated(bench_set *s, size_t turn)
{
    inner(s, turn, &s->sigma);
}

static void run_combine(bench_set *s, size_t turn)
{
    const ckks_prime *primes[COMBINE_TARGETS];
    const uint64_t *y[COMBINE_TERMS], *weight[COMBINE_TARGETS];
    for (size_t t = 0; t < COMBINE_TARGETS; t++) primes[t] = &s->prime[t % s->primes], weight[t] = s->weight[t];
    for (size_t i = 0; i < COMBINE_TERMS; i++) y[i] = s->limb[(turn + i / DIGITS) % s->primes][i % DIGITS];
    s->kernel->combine(primes, COMBINE_TARGETS, s->target, COMBINE_TERMS, y, weight, s->n);
}

static void run_plain(bench_set *s, size_t turn)
{
    enum { RANGE = 4096 };
    size_t range = s->n < RANGE ? s->n : RANGE;
    const ckks_prime *p = &s->prime[turn];
    for (size_t from = 0; from < s->n; from += range) {
        const void *plain[PLAIN_TERMS];
        const uint64_t *x0[PLAIN_TERMS], *x1[PLAIN_TERMS];
        for (size_t b = 0; b < PLAIN_TERMS; b++) {
            plain[b] = (const char *)s->key[turn][b % (2 * DIGITS)] + from * p->width;
            x0[b] = s->limb[(turn + b / 2) % s->primes][b % 2] + from;
            x1[b] = s->limb[(turn + b / 2) % s->primes][(b + 1) % DIGITS] + from;
        }
        s->kernel->plain_product(p, s->out[0] + from, s->out[1] + from, range, PLAIN_TERMS, plain, 0, x0, x1, 0);
    }
}

static void run_permute(bench_set *s, size_t turn)
{
    s->kernel->permute(&s->prime[turn], s->out[0], NULL, s->limb[turn][0], &s->sigma);
}

static void run_mul(bench_set *s, size_t turn)
{
    s->kernel->mul(&s->prime[turn], s->out[0], s->limb[turn][0], s->limb[turn][1], s->n);
}

static void run_tensor(bench_set *s, size_t turn)
{
    uint64_t *const *a = s->limb[turn];
    s->kernel->tensor(&s->prime[turn], s->out[0], s->out[1], s->target[0], a[0], a[1], a[2], a[0], s->n);
}

static void run_copy(bench_set *s, size_t turn)
{
    memcpy(s->out[0], s->limb[turn][0], s->n * sizeof(uint64_t));
}

/* `share`: how many limbs one run handles. */
static void measure(bench_set *s, const char *name, bench_run *run, double share, int hot, bench_report *report, void *context)
{
    double time[REPEATS];
    int memory = run == run_copy;
    for (size_t i = 0; i < 3; i++) run(s, 0);
    for (size_t i = 0; i < REPEATS; i++) {
        size_t turn = hot ? 0 : i % s->primes;
        double start = now_us();
        run(s, turn);
        time[i] = (now_us() - start) / share;
    }
    qsort(time, REPEATS, sizeof *time, compare);
    double median = time[REPEATS / 2];
    bench_figure f = {name, memory ? "none" : s->kernel->name, 1, s->n, memory ? 0 : s->prime[0].bits, hot, median, time[0],
                      median * bench_clock_ghz()};
    report(context, &f);
}

static fhola_status set_init(bench_set *s, const ckks_kernel *kernel, unsigned log_n, unsigned prime_bits)
{
    memset(s, 0, sizeof *s);
    s->kernel = kernel;
    s->n = (size_t)1 << log_n;
    fhola_status status = set_primes(s, log_n, prime_bits);
    if (!status) status = set_limbs(s);
    if (!status) status = set_automorphism(s, log_n);
    if (status) set_clear(s);
    return status;
}

fhola_status bench_kernel_figures(const ckks_kernel *kernel, unsigned log_n, unsigned prime_bits, bench_report *report,
                                  void *context)
{
    static const struct {
        const char *name;
        bench_run *run;
        double share;
    } figures[] = {
        {"ntt_forward", run_forward, 1},         {"ntt_inverse", run_inverse, 1},
        {"ntt_forward_3", run_forward_digits, DIGITS}, {"inner_product", run_inner, 1},
        {"inner_product_rotated", run_inner_rotated, 1}, {"combine", run_combine, COMBINE_TARGETS},
        {"plain_product_16", run_plain, 1},      {"permute", run_permute, 1},
        {"mul", run_mul, 1},                     {"tensor", run_tensor, 1},
    };
    if (log_n < 10 || log_n > CKKS_MAX_LOG_N || prime_bits < log_n + 2 || prime_bits > CKKS_MAX_PRIME_BITS)
        return fhola_fail(FHOLA_PARAM, "no figures for n = 2^%u and primes of %u bits", log_n, prime_bits);
    bench_set *s = malloc(sizeof *s);
    if (!s) return fhola_fail(FHOLA_NOMEM, "no memory for the operands");
    fhola_status status = set_init(s, kernel, log_n, prime_bits);
    if (!status) {
        for (size_t i = 0; i < sizeof figures / sizeof *figures; i++)
            for (int hot = 1; hot >= 0; hot--)
                measure(s, figures[i].name, figures[i].run, figures[i].share, hot, report, context);
        set_clear(s);
    }
    free(s);
    return status;
}

fhola_status bench_memory_figures(unsigned log_n, bench_report *report, void *context)
{
    bench_set *s = malloc(sizeof *s);
    if (!s) return fhola_fail(FHOLA_NOMEM, "no memory for the operands");
    fhola_status status = set_init(s, &ckks_kernel_portable, log_n, 48);
    if (!status) {
        for (int hot = 1; hot >= 0; hot--) measure(s, "memcpy", run_copy, 1, hot, report, context);
        set_clear(s);
    }
    free(s);
    return status;
}
