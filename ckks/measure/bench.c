/* SPDX-License-Identifier: Apache-2.0 */
/* Times of the kernel functions on limbs of whole rings, for every table the machine can run, and
 * the core clock that turns them into cycles. Each figure is the median of runs after a few to warm
 * up; runs stop after a fixed share of a second. */
#define _POSIX_C_SOURCE 200809L
#include <stdlib.h>
#include <string.h>

#ifdef _OPENMP
#include <omp.h>
#endif

#include "ckks/alloc.h"
#include "ckks/clock.h"
#include "ckks/kernel/kernel.h"
#include "ckks/measure/measure.h"
#include "ckks/ring/modular.h"

enum {
    LEAST_RUNS = 11,
    MOST_RUNS = 101,
    COLD_SETS = 24, /* primes with their limbs that cold runs take turns with */
    DIGITS = 3,     /* terms of the inner product */
    COMBINE_TERMS = 10,
    COMBINE_TARGETS = 10,
    FEW_COMBINE_TERMS = 3,
    FEW_COMBINE_TARGETS = 2, /* as many as are transformed while they are near */
    ROTATIONS = 8,
    PLAIN_TERMS = 16,
    PLAIN_GIANTS = 8,
    FEW_PLAIN_TERMS = 4,
    MOST_THREADS = 256
};

/* Keys and plaintexts come from memory, once each, and sums of plaintext products go there: limbs
 * of one thread, more than caches hold. */
#define KEY_BYTES ((size_t)192 << 20)
#define SUM_BYTES ((size_t)64 << 20)

#define FIGURE_US 25e3 /* after LEAST_RUNS, a figure takes no longer */

__extension__ typedef unsigned __int128 wide;

/* Operands of one thread for one ring and prime size. Limbs lie in one arena, staggered by odd
 * numbers of cache lines. */
typedef struct bench_set {
    const ckks_kernel *kernel; /* whose tables the primes hold now */
    ckks_modulus prime[COLD_SETS];
    size_t n, primes;
    char *arena;
    size_t used, size;
    uint64_t *limb[COLD_SETS][DIGITS]; /* residues */
    char *key;                         /* packed limbs of any prime */
    size_t key_stride, keys;           /* bytes from one to the next; how many */
    size_t next_key;                   /* read longest ago */
    /* limbs for the sums of a linear transform, more than caches hold, too */
    uint64_t *sum;
    size_t sums, next_sum;
    int hot; /* the same keys and sums in every run */
    uint64_t *out[2];
    uint64_t *target[COMBINE_TARGETS];
    uint64_t weight[COMBINE_TARGETS][COMBINE_TERMS];
    uint32_t *source;
    ckks_automorphism sigma;
} bench_set;

typedef void bench_run(bench_set *set, size_t turn);

/* One figure: what runs, how many limbs that is, and the bytes a limb's run reads and writes: whole
 * words and packed words of n. */
typedef struct figure {
    const char *name;
    unsigned group;
    bench_run *run;
    double share, words, packed;
} figure;

double ckks_now_us(void)
{
    return 1e6 * ckks_seconds();
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void ckks_sort_numbers(double *value, size_t count)
{
    qsort(value, count, sizeof *value, compare);
}

/* Three cycles a product on every x86-64 since 2008. */
double ckks_bench_clock_ghz(void)
{
    enum { STEPS = 100000 };
    double best = 1e300;
    for (int r = 0; r < 5; r++) {
        volatile uint64_t seed = 3;
        uint64_t x = seed, y = seed;
        double start = ckks_now_us();
        for (int i = 0; i < STEPS; i++) {
            x *= y; /* four dependent products, twelve cycles */
            y *= x;
            x *= y;
            y *= x;
        }
        double time = ckks_now_us() - start;
        seed = x + y;
        if (time < best) best = time;
    }
    return 12e-3 * STEPS / best;
}

/* ---- Operands ---- */

static uint64_t root_of_unity(uint64_t p, unsigned log_n)
{
    for (uint64_t g = 2;; g++) {
        uint64_t psi = ckks_mod_pow(g, (p - 1) >> (log_n + 1), p);
        if (ckks_mod_pow(psi, (uint64_t)1 << log_n, p) == p - 1) return psi;
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

static void fill_packed(void *a, size_t n, unsigned width, uint64_t p)
{
    uint64_t word;
    for (size_t i = 0; i < n; i++) {
        word = (i * 0x9e3779b97f4a7c15u >> 14) % p;
        ckks_packed_put(a, width, i, word);
    }
}

static void clear_tables(bench_set *s)
{
    for (size_t i = 0; i < s->primes; i++)
        if (s->prime[i].tables) s->kernel->prime_clear(&s->prime[i]);
}

static fhola_status set_tables(bench_set *s, const ckks_kernel *kernel)
{
    fhola_status status = FHOLA_OK;
    clear_tables(s);
    s->kernel = kernel;
    for (size_t i = 0; i < s->primes && !status; i++) status = kernel->prime_init(&s->prime[i]);
    return status;
}

static void set_clear(bench_set *s)
{
    clear_tables(s);
    free(s->source);
    ckks_free(s->arena);
    ckks_free(s->key);
    ckks_free(s->sum);
}

static fhola_status set_primes(bench_set *s, unsigned log_n, unsigned bits)
{
    uint64_t step = (uint64_t)2 << log_n, p = (((uint64_t)1 << bits) - 2) / step * step + 1;
    for (; s->primes < COLD_SETS && p >> (bits - 1); p -= step) {
        if (!ckks_is_prime(p)) continue;
        ckks_modulus *q = &s->prime[s->primes];
        q->p = p;
        q->psi = root_of_unity(p, log_n);
        q->inverse = 1.0 / (double)p;
        q->bits = bits;
        q->width = ckks_packed_width(bits);
        q->log_n = log_n;
        s->primes++;
    }
    return s->primes ? FHOLA_OK
                     : fhola_fail(FHOLA_PARAM, "no prime of %u bits for n = 2^%u", bits, log_n);
}

static fhola_status set_automorphism(bench_set *s, unsigned log_n)
{
    uint32_t *position = malloc(2 * s->n * sizeof *position);
    s->source = calloc(s->n + s->n / 64 + 1, sizeof *s->source);
    if (!position || !s->source) {
        free(position);
        return fhola_fail(FHOLA_NOMEM, "no memory for an automorphism of n = %zu", s->n);
    }
    const uint64_t g = 25;
    for (uint32_t i = 0; i < s->n; i++) position[ckks_ntt_exponent(i, log_n)] = i;
    for (uint32_t i = 0; i < s->n; i++)
        s->source[i] = position[g * ckks_ntt_exponent(i, log_n) & (2 * s->n - 1)];
    for (size_t b = 0; b < s->n / 64; b++) s->source[s->n + b] = s->source[64 * b];
    free(position);
    s->sigma.g = g;
    s->sigma.source = s->source;
    s->sigma.block = s->source + s->n;
    return FHOLA_OK;
}

static fhola_status set_limbs(bench_set *s)
{
    size_t limb = s->n * sizeof(uint64_t);
    s->size = (limb + 256) * (COLD_SETS * DIGITS + COMBINE_TARGETS + 2);
    s->arena = ckks_alloc(s->size);
    if (!s->arena) return fhola_fail(FHOLA_NOMEM, "no memory for %zu bytes of operands", s->size);
    for (size_t i = 0; i < s->primes; i++)
        for (size_t d = 0; d < DIGITS; d++)
            fill(s->limb[i][d] = take(s, limb), s->n, s->prime[i].p);
    for (size_t i = 0; i < 2; i++) memset(s->out[i] = take(s, limb), 0, limb);
    for (size_t t = 0; t < COMBINE_TARGETS; t++) {
        memset(s->target[t] = take(s, limb), 0, limb);
        fill(s->weight[t], COMBINE_TERMS, s->prime[t % s->primes].p);
    }
    return FHOLA_OK;
}

/* What lies in memory: keys and sums. */
static fhola_status set_keys(bench_set *s)
{
    const ckks_modulus *least = &s->prime[s->primes - 1];
    s->key_stride = s->n * least->width + 192;
    s->keys = KEY_BYTES / s->key_stride;
    s->key = ckks_alloc(s->keys * s->key_stride);
    if (!s->key)
        return fhola_fail(FHOLA_NOMEM, "no memory for %zu bytes of keys", s->keys * s->key_stride);
    fill_packed(s->key, s->keys * s->key_stride / least->width, least->width, least->p);
    s->sums = SUM_BYTES / (s->n * sizeof *s->sum);
    s->sum = ckks_alloc(s->sums * s->n * sizeof *s->sum);
    if (!s->sum) return fhola_fail(FHOLA_NOMEM, "no memory for %zu limbs of sums", s->sums);
    memset(s->sum, 0, s->sums * s->n * sizeof *s->sum);
    return FHOLA_OK;
}

static char *key_at(const bench_set *s, size_t i)
{
    return s->key + (s->next_key + i) % s->keys * s->key_stride;
}

static void drop_keys(bench_set *s, size_t count)
{
    if (!s->hot) s->next_key = (s->next_key + count) % s->keys;
}

/* The next `count` limbs of keys, at most as many as there are. */
static void next_keys(bench_set *s, size_t count, const void *key[])
{
    for (size_t i = 0; i < count; i++) key[i] = key_at(s, i);
    drop_keys(s, count);
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

static void inner(bench_set *s, size_t turn, size_t digits, const ckks_automorphism *sigma)
{
    const void *key[2 * DIGITS];
    next_keys(s, 2 * digits, key);
    const ckks_switch_term term = {
        sigma, digits, (const uint64_t *const *)s->limb[0], key, key + digits, NULL, NULL};
    s->kernel->inner_product(&s->prime[turn], s->out[0], s->out[1], 0, s->n, 1, &term, 0, 0);
}

static void run_inner(bench_set *s, size_t turn)
{
    inner(s, turn, DIGITS, NULL);
}

static void run_inner_rotated(bench_set *s, size_t turn)
{
    inner(s, turn, DIGITS, &s->sigma);
}

/* As a linear transform makes its rotations: by ranges of positions, all keys of one range before
 * the next, each with a limb that joins without a key. */
static void rotate(bench_set *s, size_t turn, size_t digits)
{
    enum { RANGE = 1024 };
    const ckks_modulus *p = &s->prime[turn];
    size_t range = s->n < RANGE ? s->n : RANGE;
    const void *key[ROTATIONS * 2 * DIGITS];
    next_keys(s, ROTATIONS * 2 * digits, key);
    for (size_t from = 0; from < s->n; from += range)
        for (size_t k = 0; k < ROTATIONS; k++) {
            const void *const *k0 = key + 2 * digits * k;
            const ckks_switch_term term = {
                &s->sigma,    digits, (const uint64_t *const *)s->limb[turn], k0, k0 + digits,
                s->target[0], NULL};
            s->kernel->inner_product(p, s->out[0] + k * range, s->out[1] + k * range, from, range,
                                     1, &term, s->weight[0][0] % p->p, 0);
        }
}

static void run_rotations(bench_set *s, size_t turn)
{
    rotate(s, turn, DIGITS);
}

static void run_rotations_one(bench_set *s, size_t turn)
{
    rotate(s, turn, 1);
}

static void convert(bench_set *s, size_t turn, size_t terms, size_t targets)
{
    const ckks_modulus *primes[COMBINE_TARGETS];
    const uint64_t *y[COMBINE_TERMS], *weight[COMBINE_TARGETS];
    for (size_t t = 0; t < COMBINE_TARGETS; t++)
        primes[t] = &s->prime[t % s->primes], weight[t] = s->weight[t];
    for (size_t i = 0; i < COMBINE_TERMS; i++)
        y[i] = s->limb[(turn + i / DIGITS) % s->primes][i % DIGITS];
    s->kernel->combine(primes, targets, s->target, terms, y, weight, s->n);
}

static void run_combine(bench_set *s, size_t turn)
{
    convert(s, turn, COMBINE_TERMS, COMBINE_TARGETS);
}

static void run_combine_few(bench_set *s, size_t turn)
{
    convert(s, turn, FEW_COMBINE_TERMS, FEW_COMBINE_TARGETS);
}

static void run_combine_pair(bench_set *s, size_t turn)
{
    convert(s, turn, COMBINE_TERMS, FEW_COMBINE_TARGETS);
}

static void run_overflow(bench_set *s, size_t turn)
{
    const uint64_t *y[COMBINE_TERMS];
    double inverse[COMBINE_TERMS];
    for (size_t i = 0; i < COMBINE_TERMS; i++) {
        y[i] = s->limb[(turn + i / DIGITS) % s->primes][i % DIGITS];
        inverse[i] = s->prime[i % s->primes].inverse;
    }
    s->kernel->overflow(s->target[0], COMBINE_TERMS, y, inverse, s->n);
}

/* As a linear transform does it: ranges of rotated ciphertexts stay near while each of PLAIN_GIANTS
 * sums reads them. */
static void multiply_plain(bench_set *s, size_t turn, size_t terms)
{
    enum { RANGE = 1024 };
    size_t range = s->n < RANGE ? s->n : RANGE;
    const void *limb[PLAIN_GIANTS * PLAIN_TERMS];
    uint64_t *sum[2 * PLAIN_GIANTS];
    next_keys(s, PLAIN_GIANTS * terms, limb);
    for (size_t i = 0; i < 2 * PLAIN_GIANTS; i++)
        sum[i] = s->sum + (s->next_sum + i) % s->sums * s->n;
    if (!s->hot) s->next_sum = (s->next_sum + 2 * PLAIN_GIANTS) % s->sums;
    const ckks_modulus *p = &s->prime[turn];
    for (size_t from = 0; from < s->n; from += range)
        for (size_t g = 0; g < PLAIN_GIANTS; g++) {
            const void *plain[PLAIN_TERMS];
            const uint64_t *x0[PLAIN_TERMS], *x1[PLAIN_TERMS];
            for (size_t b = 0; b < terms; b++) {
                size_t k = g * terms + b;
                plain[b] = (const char *)limb[k] + from * p->width;
                x0[b] = s->limb[(turn + b / 2) % s->primes][b % 2] + from;
                x1[b] = s->limb[(turn + b / 2) % s->primes][(b + 1) % DIGITS] + from;
            }
            s->kernel->plain_product(p, sum[2 * g] + from, sum[2 * g + 1] + from, range, terms,
                                     plain, 0, x0, x1, 0);
        }
}

static void run_plain(bench_set *s, size_t turn)
{
    multiply_plain(s, turn, PLAIN_TERMS);
}

static void run_plain_few(bench_set *s, size_t turn)
{
    multiply_plain(s, turn, FEW_PLAIN_TERMS);
}

static void run_permute(bench_set *s, size_t turn)
{
    s->kernel->permute(&s->prime[turn], s->out[0], NULL, s->limb[turn][0], &s->sigma);
}

static void run_mul(bench_set *s, size_t turn)
{
    s->kernel->mul(&s->prime[turn], s->out[0], s->limb[turn][0], s->limb[turn][1], s->n);
}

static void run_mod_down(bench_set *s, size_t turn)
{
    s->kernel->sub_mul_scalar(&s->prime[turn], s->out[0], s->limb[turn][0], s->limb[turn][1],
                              s->weight[0][0] % s->prime[turn].p, s->n);
}

static void run_tensor(bench_set *s, size_t turn)
{
    uint64_t *const *a = s->limb[turn];
    s->kernel->tensor(&s->prime[turn], s->out[0], s->out[1], s->target[0], a[0], a[1], a[2], a[0],
                      s->n);
}

static void run_copy(bench_set *s, size_t turn)
{
    (void)turn;
    memcpy(key_at(s, 1), key_at(s, 0), s->n * s->prime[0].width);
    drop_keys(s, 2);
}

static const figure figures[] = {
    {"ntt_forward", CKKS_FIGURES_NTT, run_forward, 1, 2, 0},
    {"ntt_inverse", CKKS_FIGURES_NTT, run_inverse, 1, 2, 0},
    {"ntt_forward_3", CKKS_FIGURES_NTT, run_forward_digits, DIGITS, 2, 0},
    {"inner_product", CKKS_FIGURES_KEY_SWITCH, run_inner, 1, DIGITS + 2, 2 * DIGITS},
    {"inner_product_rotated", CKKS_FIGURES_KEY_SWITCH, run_inner_rotated, 1, DIGITS + 2,
     2 * DIGITS},
    {"rotations", CKKS_FIGURES_KEY_SWITCH, run_rotations, ROTATIONS, 3, 2 * DIGITS},
    {"rotations_1", CKKS_FIGURES_KEY_SWITCH, run_rotations_one, ROTATIONS, 3, 2},
    {"base_conversion", CKKS_FIGURES_KEY_SWITCH, run_combine, COMBINE_TARGETS,
     1 + (double)COMBINE_TERMS / COMBINE_TARGETS, 0},
    {"base_conversion_10_2", CKKS_FIGURES_KEY_SWITCH, run_combine_pair, FEW_COMBINE_TARGETS,
     1 + (double)COMBINE_TERMS / FEW_COMBINE_TARGETS, 0},
    {"base_conversion_3_2", CKKS_FIGURES_KEY_SWITCH, run_combine_few, FEW_COMBINE_TARGETS,
     1 + (double)FEW_COMBINE_TERMS / FEW_COMBINE_TARGETS, 0},
    {"overflow", CKKS_FIGURES_KEY_SWITCH, run_overflow, 1, COMBINE_TERMS + 1, 0},
    {"plain_product", CKKS_FIGURES_KEY_SWITCH, run_plain, PLAIN_GIANTS, 2, PLAIN_TERMS},
    {"plain_product_4", CKKS_FIGURES_KEY_SWITCH, run_plain_few, PLAIN_GIANTS, 2, FEW_PLAIN_TERMS},
    {"automorphism", CKKS_FIGURES_KEY_SWITCH, run_permute, 1, 2, 0},
    {"multiply", CKKS_FIGURES_KEY_SWITCH, run_mul, 1, 3, 0},
    {"mod_down", CKKS_FIGURES_KEY_SWITCH, run_mod_down, 1, 3, 0},
    {"tensor", CKKS_FIGURES_KEY_SWITCH, run_tensor, 1, 7, 0},
};
enum { FIGURES = sizeof figures / sizeof *figures };

static const figure memory_copy = {"memory_copy", 0, run_copy, 1, 0, 2};

static int wanted(const ckks_bench_spec *spec, const figure *f)
{
    return (spec->groups & f->group || f == &memory_copy) &&
           (!spec->only || !strncmp(f->name, spec->only, strlen(spec->only)));
}

static int any_wanted(const ckks_bench_spec *spec)
{
    int any = wanted(spec, &memory_copy);
    for (size_t i = 0; i < FIGURES; i++) any |= wanted(spec, &figures[i]);
    return any;
}

/* One run by all threads at once: microseconds from the first start to the last end. */
static double run_once(bench_set *const set[], unsigned threads, const figure *f, size_t run)
{
    double begin[MOST_THREADS], end[MOST_THREADS], first = 0, last = 0;
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        unsigned t = 0;
#ifdef _OPENMP
        t = (unsigned)omp_get_thread_num();
#endif
        size_t turn = set[t]->hot ? 0 : run % set[t]->primes;
#pragma omp barrier
        begin[t] = ckks_now_us();
        f->run(set[t], turn);
        end[t] = ckks_now_us();
    }
    for (unsigned t = 0; t < threads; t++) {
        if (t == 0 || begin[t] < first) first = begin[t];
        if (t == 0 || end[t] > last) last = end[t];
    }
    return last - first;
}

static ckks_figure measure(bench_set *const set[], unsigned threads, const figure *f, int hot)
{
    double time[MOST_RUNS] = {0}, spent = 0;
    size_t runs = 0;
    for (unsigned t = 0; t < threads; t++) set[t]->hot = hot;
    for (unsigned t = 0; t < threads; t++)
        for (size_t i = 0; i < 3; i++) f->run(set[t], hot ? 0 : i % set[t]->primes);
    for (; runs < MOST_RUNS && (runs < LEAST_RUNS || spent < FIGURE_US); runs++) {
        double took = run_once(set, threads, f, runs);
        time[runs] = took / f->share;
        spent += took;
    }
    ckks_sort_numbers(time, runs);
    double mean = 0;
    /* the slowest tenth are those that something else interrupted */
    size_t counted = runs - runs / 10;
    for (size_t i = 0; i < counted; i++) mean += time[i] / (double)counted;
    const bench_set *s = set[0];
    double median = time[runs / 2], n = (double)s->n;
    return (ckks_figure){.name = f->name,
                         .isa = s->kernel->name,
                         .threads = threads,
                         .n = s->n,
                         .prime_bits = s->prime[0].bits,
                         .hot = hot,
                         .median_us = median,
                         .min_us = time[0],
                         .mean_us = mean,
                         .kcycles = median * ckks_bench_clock_ghz(),
                         .bytes = n * (8 * f->words + s->prime[0].width * f->packed)};
}

static fhola_status set_init(bench_set *s, unsigned log_n, unsigned prime_bits)
{
    memset(s, 0, sizeof *s);
    s->n = (size_t)1 << log_n;
    fhola_status status = set_primes(s, log_n, prime_bits);
    if (!status) status = set_limbs(s);
    if (!status) status = set_keys(s);
    if (!status) status = set_automorphism(s, log_n);
    return status;
}

/* The figures of one table; `portable` holds the medians of the portable table, or takes them. */
static fhola_status table_figures(const ckks_bench_spec *spec, bench_set *const set[],
                                  const ckks_kernel *kernel, int show, double portable[FIGURES][2],
                                  ckks_figure_fn report, void *arg)
{
    fhola_status status = FHOLA_OK;
    for (unsigned t = 0; t < spec->threads && !status; t++) status = set_tables(set[t], kernel);
    for (size_t i = 0; i < FIGURES && !status; i++)
        for (int hot = !spec->cold_only; hot >= 0 && wanted(spec, &figures[i]); hot--) {
            ckks_figure f = measure(set, spec->threads, &figures[i], hot);
            if (kernel == &ckks_kernel_portable) portable[i][hot] = f.median_us;
            f.ratio = portable[i][hot] / f.median_us;
            if (show) report(arg, &f);
        }
    return status;
}

static fhola_status all_figures(const ckks_bench_spec *spec, bench_set *const set[],
                                const ckks_kernel *const table[], size_t tables,
                                ckks_figure_fn report, void *arg)
{
    double portable[FIGURES][2] = {{0}};
    fhola_status status = FHOLA_OK;
    for (int hot = !spec->cold_only; hot >= 0 && wanted(spec, &memory_copy); hot--) {
        set[0]->kernel = &ckks_kernel_portable;
        ckks_figure f = measure(set, spec->threads, &memory_copy, hot);
        f.isa = "none";
        f.prime_bits = 0;
        report(arg, &f);
    }
    /* the portable table comes first: the others are compared with it */
    for (size_t i = tables; i-- > 0 && !status;) {
        int show = !spec->isa || !strcmp(spec->isa, table[i]->name);
        if (show || !spec->cold_only)
            status = table_figures(spec, set, table[i], show, portable, report, arg);
    }
    return status;
}

static fhola_status check(const ckks_bench_spec *spec)
{
    const ckks_kernel *table;
    if (spec->log_n < 10 || spec->log_n > CKKS_MAX_LOG_N || spec->prime_bits < spec->log_n + 2 ||
        spec->prime_bits > CKKS_MAX_PRIME_BITS)
        return fhola_fail(FHOLA_PARAM, "no figures for n = 2^%u and primes of %u bits", spec->log_n,
                          spec->prime_bits);
    if (spec->threads < 1 || spec->threads > MOST_THREADS)
        return fhola_fail(FHOLA_PARAM, "%u threads are outside 1..%d", spec->threads, MOST_THREADS);
    return spec->isa ? ckks_kernel_select(&table, spec->isa) : FHOLA_OK;
}

fhola_status ckks_bench_kernels(const ckks_bench_spec *spec, ckks_figure_fn report, void *arg)
{
    const ckks_kernel *table[CKKS_MAX_KERNELS];
    size_t tables = ckks_kernel_list(table);
    fhola_status status = check(spec);
    if (status || !any_wanted(spec)) return status;
    bench_set **set = calloc(spec->threads, sizeof *set);
    if (!set) return fhola_fail(FHOLA_NOMEM, "no memory for the operands");
    for (unsigned t = 0; t < spec->threads && !status; t++) {
        set[t] = calloc(1, sizeof *set[t]);
        status = set[t] ? set_init(set[t], spec->log_n, spec->prime_bits)
                        : fhola_fail(FHOLA_NOMEM, "no memory for the operands");
    }
    if (!status) status = all_figures(spec, set, table, tables, report, arg);
    for (unsigned t = 0; t < spec->threads; t++) {
        if (set[t]) set_clear(set[t]);
        free(set[t]);
    }
    free(set);
    return status;
}
