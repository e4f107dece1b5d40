/* SPDX-License-Identifier: Apache-2.0 */
/* OpenMP where it is there, plain loops where it is not. Internal to nn/. Iterations must not
 * depend on which thread runs them. */
#ifndef NN_PARALLEL_H
#define NN_PARALLEL_H

#include <stddef.h>

#ifdef _OPENMP
#include <omp.h>
#define NN_PARALLEL_FOR _Pragma("omp parallel for schedule(dynamic, 1)")
static inline size_t nn_thread_count(void)
{
    return (size_t)omp_get_max_threads();
}
static inline size_t nn_thread_index(void)
{
    return (size_t)omp_get_thread_num();
}
#else
#define NN_PARALLEL_FOR
static inline size_t nn_thread_count(void)
{
    return 1;
}
static inline size_t nn_thread_index(void)
{
    return 0;
}
#endif

#endif
