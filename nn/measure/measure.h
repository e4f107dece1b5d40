/* SPDX-License-Identifier: Apache-2.0 */
/* Measuring networks, for the program and for tests: no part of the library. */
#ifndef NN_MEASURE_H
#define NN_MEASURE_H

#include "nn/nn.h"

/* ---- tables of costs ---- */

/* As nn_cost_load reads it. */
FHOLA_WARN_UNUSED fhola_status nn_cost_save(const nn_cost *cost, const char *path);

/* Measures such a table on this machine, with as many threads as OpenMP has: runs `model` on an
 * encrypted picture with one degree for all activations, for each of 3, 7, 15, ... up to
 * `max_degree` that the parameters have levels for, `repeats` times each (of which the shortest
 * time of a layer counts). `params_name` (up to 119 bytes), by which plans find the set, and
 * `machine` (the same) go into the table, as do the sets of `kept` (may be NULL) that are not
 * measured. Takes the memory of one inference. FHOLA_PARAM: parameters without levels for
 * polynomials, a name that is too long, or a number out of range. */
FHOLA_WARN_UNUSED fhola_status nn_cost_measure(nn_cost **cost, const ckks_params *params,
                                               const char *params_name, const char *machine,
                                               const nn_model *model, unsigned max_degree,
                                               unsigned repeats, const nn_cost *kept,
                                               nn_progress progress, void *user);

/* ---- convolutions of the plaintext engine ---- */

/* A convolution of the engine, as ResNets have them: kernel 1 or 3, stride 1 or 2, square pictures
 * of side 8 to 32. */
typedef struct nn_bench_shape {
    unsigned in, out; /* channels; out: a multiple of 16 */
    unsigned kernel, stride, side;
} nn_bench_shape;

typedef struct nn_bench_time {
    const char *isa; /* instruction set: "portable", "avx2" or "avx512f" */
    /* of one convolution on each thread: until the last has finished */
    double median_us, min_us;
    double gmacs; /* multiplications with an addition, 10^9 a second and thread, at the median */
} nn_bench_time;

/* Times a convolution on made-up values, on `threads` (1..256) threads at once, each with values of
 * its own; takes some 30 ms. isa: NULL for the one networks use, else one of the above or a kernel
 * table's name. FHOLA_PARAM: no such convolution, instruction set or number of threads. */
FHOLA_WARN_UNUSED fhola_status nn_bench_convolution(nn_bench_time *time,
                                                    const nn_bench_shape *shape, const char *isa,
                                                    unsigned threads);
/* The i-th instruction set this machine can run, best first; NULL past the end. */
const char *nn_bench_isa(size_t i);

#endif
