/* SPDX-License-Identifier: Apache-2.0 */
/* The instruction sets the plaintext engine is compiled for. Internal to nn/.
 *
 * A hot loop is written once, as an inline function, and compiled once for each of them; all give
 * the same bits. */
#ifndef NN_SIMD_H
#define NN_SIMD_H

#include <stdbool.h>

#include "status.h"

#define NN_SIMD_INLINE static inline __attribute__((always_inline))
#if defined(__x86_64__)
#define NN_SIMD_X86
#define NN_SIMD_TARGET_AVX2   __attribute__((target("avx2")))
#define NN_SIMD_TARGET_AVX512 __attribute__((target("avx512f")))
#endif

typedef enum nn_simd { NN_SIMD_PORTABLE, NN_SIMD_AVX2, NN_SIMD_AVX512, NN_SIMD_SETS } nn_simd;

/* "portable", "avx2", "avx512f" */
const char *nn_simd_name(nn_simd simd);

/* What the processor offers and the system saves; NN_SIMD_PORTABLE always. */
bool nn_simd_can_run(nn_simd simd);

/* A set by its name ("avx512ifma", the kernel table, means AVX-512 here), NULL: that of the
 * environment's FHOLA_ISA, or the best one. FHOLA_PARAM: unknown, or this machine cannot run it. */
fhola_status nn_simd_select(nn_simd *simd, const char *name) FHOLA_WARN_UNUSED;

#endif
