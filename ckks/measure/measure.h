/* SPDX-License-Identifier: Apache-2.0 */
/* Measuring, for the program and for tests: no part of the library. */
#ifndef CKKS_MEASURE_H
#define CKKS_MEASURE_H

#include "ckks/ckks.h"
#include "ckks/kernel/work.h"

/* ---- work ---- */

/* What the kernels are asked to do, to compare with what they can do: outputs and terms of each
 * kind, for primes below 2^32 ([0]) and above ([1]). */
typedef struct ckks_work {
    size_t n; /* words of one limb */
    uint64_t outputs[CKKS_WORK_KINDS][2], terms[CKKS_WORK_KINDS][2];
    uint64_t key_bytes, plain_bytes; /* of packed keys and plaintexts read */
    uint64_t key_switches, products; /* of ciphertexts */
} ckks_work;

/* A context that counts, at a cost of nanoseconds per call of a kernel function. Otherwise as
 * ckks_context_create. */
fhola_status ckks_context_create_counting(ckks_context **out, const ckks_params *params,
                                          const char *isa) FHOLA_WARN_UNUSED;
/* All work since the creation of the context; zeros for one that does not count. */
void ckks_context_work(const ckks_context *context, ckks_work *work);
/* sum += a - b: what happened between b and a. */
void ckks_work_add(ckks_work *sum, const ckks_work *a, const ckks_work *b);
/* Limbs of terms, of either width. */
double ckks_work_limbs(const ckks_work *work, ckks_work_kind kind);

/* ---- times ---- */

/* From some fixed point on. */
double ckks_now_us(void);
/* Smallest first. */
void ckks_sort_numbers(double *value, size_t count);

/* One measured time. Core cycles are microseconds times the clock measured in the same run, not
 * those of the time stamp counter. */
typedef struct ckks_figure {
    /* "ntt_forward", "ntt_inverse", "inner_product", "base_conversion", .., "memory_copy"; see
     * fhola-bench(1) */
    const char *name;
    const char *isa;     /* kernel table; "none" for memory_copy */
    unsigned threads;    /* threads at work, each on operands of its own */
    size_t n;            /* ring degree */
    unsigned prime_bits; /* 0 where no prime is involved */
    /* nonzero: operands and tables of the run before; else others each time */
    int hot;
    double median_us, min_us; /* of one limb; of base_conversion, one output limb */
    double mean_us;           /* without the slowest tenth */
    double kcycles;           /* the median in thousands of core cycles */
    /* what one thread's operands and results amount to, tables not counted */
    double bytes;
    /* median of the portable table, in the same run, over this median; 0 if there is none */
    double ratio;
} ckks_figure;

typedef void (*ckks_figure_fn)(void *arg, const ckks_figure *figure);

#define CKKS_FIGURES_NTT        1u
#define CKKS_FIGURES_KEY_SWITCH 2u /* and all other functions on limbs */

typedef struct ckks_bench_spec {
    const char *isa;            /* report one table, or all the machine can run (NULL) */
    unsigned log_n, prime_bits; /* 10..17; log_n + 2..50 */
    unsigned threads;           /* 1..256 */
    unsigned groups;            /* of CKKS_FIGURES_ */
    const char *only;           /* figures whose names begin so; NULL: all */
    /* no hot figures, and no portable table for the sake of ratios */
    int cold_only;
} ckks_bench_spec;

/* Times the kernel functions and a memory copy for one ring and prime size; takes a few seconds.
 * PARAM: no such table, ring or primes. */
fhola_status ckks_bench_kernels(const ckks_bench_spec *spec, ckks_figure_fn report,
                                void *arg) FHOLA_WARN_UNUSED;
/* Core clock in GHz, measured with a chain of dependent multiplications. */
double ckks_bench_clock_ghz(void);

/* ---- costs ---- */

/* What work costs, from figures alone: microseconds per output and per term of each kind on one
 * limb of n words, for primes below and above 2^32, while `threads` threads are at work. */
typedef struct ckks_cost {
    unsigned threads;
    size_t n;
    double clock_ghz;
    double bytes_per_us; /* copied by all threads together */
    /* of one limb: its vector multiplications, one a cycle; NaN for a table without vectors */
    double transform_floor_us;
    double output_us[CKKS_WORK_KINDS][2], term_us[CKKS_WORK_KINDS][2];
} ckks_cost;

typedef struct ckks_cost_shares {
    /* seconds of each kind of work: their sum is what is predicted */
    double kind[CKKS_WORK_KINDS];
    /* seconds of its transforms, were they bound by multiplications alone */
    double transform_floor;
    /* seconds of reading its keys and plaintexts at the speed of a copy */
    double memory_floor;
} ckks_cost_shares;

/* "ntt_forward", ...: NULL past the end. */
const char *ckks_work_name(ckks_work_kind kind);
/* Measures all figures for one kernel table, NULL: the one a context takes; takes seconds. Errors
 * as ckks_bench_kernels. */
fhola_status ckks_cost_measure(ckks_cost *cost, const char *isa, unsigned log_n,
                               unsigned threads) FHOLA_WARN_UNUSED;
/* Seconds the work takes; `shares` may be NULL. */
double ckks_cost_predict(const ckks_cost *cost, const ckks_work *work, ckks_cost_shares *shares);

#endif
