/* SPDX-License-Identifier: Apache-2.0 */
/* Times of the kernel functions, one figure after the other, handed to a callback. */
#ifndef BENCH_KERNEL_FIGURES_H
#define BENCH_KERNEL_FIGURES_H

#include <stddef.h>

#include "ckks/kernel/kernel.h"

typedef struct bench_figure {
    const char *name;    /* ntt_forward, ntt_inverse, inner_product, combine, plain_product, permute, memcpy, .. */
    const char *isa;     /* name of the kernel table */
    int threads;         /* threads at work */
    size_t n;            /* ring degree */
    unsigned prime_bits; /* 0 where no prime is involved */
    int hot;             /* operands and tables of the call before, or others each time */
    double median_us, min_us; /* of one call on one limb; of `combine`, on one output limb */
    double kcycles;      /* median in thousands of core cycles: the clock is measured, not the time stamp counter's */
} bench_figure;

typedef void bench_report(void *context, const bench_figure *figure);

/* All figures of one table for a ring degree and a prime size (log_n + 2 to 50 bits). NOMEM, or PARAM if there is no such ring
 * or no such prime. */
fhola_status bench_kernel_figures(const ckks_kernel *kernel, unsigned log_n, unsigned prime_bits, bench_report *report,
                                  void *context) FHOLA_WARN_UNUSED;

/* Copying one limb of n words: the roofline of everything bound by memory. */
fhola_status bench_memory_figures(unsigned log_n, bench_report *report, void *context) FHOLA_WARN_UNUSED;

/* Core clock in GHz, from a chain of dependent multiplications of known latency (three cycles on every x86-64 since 2008). */
double bench_clock_ghz(void);

#endif
