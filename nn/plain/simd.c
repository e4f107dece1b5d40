/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/plain/simd.h"

#include <stdlib.h>
#include <string.h>

static const char *const names[NN_SIMD_SETS] = {"portable", "avx2", "avx512f"};

const char *nn_simd_name(nn_simd simd)
{
    return names[simd];
}

bool nn_simd_can_run(nn_simd simd)
{
#ifdef NN_SIMD_X86
    if (simd == NN_SIMD_AVX512) return __builtin_cpu_supports("avx512f");
    if (simd == NN_SIMD_AVX2) return __builtin_cpu_supports("avx2");
#endif
    return simd == NN_SIMD_PORTABLE;
}

static nn_simd best(void)
{
    nn_simd simd = NN_SIMD_SETS - 1;
    while (!nn_simd_can_run(simd)) simd--;
    return simd;
}

fhola_status nn_simd_select(nn_simd *simd, const char *name)
{
    const char *origin = "";
    if (!name) {
        name = getenv("FHOLA_ISA");
        origin = "FHOLA_ISA: ";
    }
    if (!name || !*name) {
        *simd = best();
        return FHOLA_OK;
    }
    const char *sought = strcmp(name, "avx512ifma") == 0 ? names[NN_SIMD_AVX512] : name;
    for (nn_simd i = NN_SIMD_PORTABLE; i < NN_SIMD_SETS; i++) {
        if (strcmp(sought, names[i]) != 0) continue;
        if (!nn_simd_can_run(i))
            return fhola_fail(FHOLA_PARAM, "%sthis machine cannot run \"%s\"", origin, name);
        *simd = i;
        return FHOLA_OK;
    }
    return fhola_fail(FHOLA_PARAM,
                      "%sunknown instruction set \"%s\" (portable, avx2, avx512f, avx512ifma)",
                      origin, name);
}
