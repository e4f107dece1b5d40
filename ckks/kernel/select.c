/* SPDX-License-Identifier: Apache-2.0 */
/* Which kernel tables this machine can run. Decided at run time, by what the processor offers
 * (CPUID) and by what the operating system saves on a context switch (XCR0); the build only says
 * which tables exist (HAVE_KERNEL_AVX2 and the like). */
#include <stdlib.h>
#include <string.h>

#include "ckks/kernel/kernel.h"

#if (defined(HAVE_KERNEL_AVX2) || defined(HAVE_KERNEL_AVX512F) ||                                  \
     defined(HAVE_KERNEL_AVX512IFMA)) &&                                                           \
    defined(__x86_64__)
#define X86_TABLES
#include <cpuid.h>
#endif

#ifdef X86_TABLES
#define LEAF1_FMA        (1u << 12)
#define LEAF1_OSXSAVE    (1u << 27)
#define LEAF1_AVX        (1u << 28)
#define LEAF7_AVX2       (1u << 5)
#define LEAF7_AVX512F    (1u << 16)
#define LEAF7_AVX512DQ   (1u << 17)
#define LEAF7_AVX512IFMA (1u << 21)
#define LEAF7_AVX512BW   (1u << 30)
#define LEAF7_AVX512VL   (1u << 31)
#define LEAF7_AVX512VBMI (1u << 1)
#define XCR0_YMM         0x06u /* SSE and AVX state */
#define XCR0_ZMM         0xe6u /* and opmask, upper halves, upper registers */

static unsigned enabled_state(void)
{
    unsigned low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

/* Feature bits of two leaves, by the register they come in. */
typedef struct features {
    unsigned leaf1_c, leaf7_b, leaf7_c;
} features;

/* They, as far as the system's saved state covers `state`; 0 where it does not. */
static features features_of(unsigned state)
{
    features f = {0, 0, 0};
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & LEAF1_OSXSAVE) || !(c & LEAF1_AVX)) return f;
    if ((enabled_state() & state) != state) return f;
    f.leaf1_c = c;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) f.leaf7_b = b, f.leaf7_c = c;
    return f;
}
#endif

#if defined(X86_TABLES) && defined(HAVE_KERNEL_AVX2)
static int can_avx2(void)
{
    const features f = features_of(XCR0_YMM);
    return (f.leaf1_c & LEAF1_FMA) && (f.leaf7_b & LEAF7_AVX2);
}
#endif

#if defined(X86_TABLES) && (defined(HAVE_KERNEL_AVX512F) || defined(HAVE_KERNEL_AVX512IFMA))
static int can_avx512f(void)
{
    const unsigned need = LEAF7_AVX512F | LEAF7_AVX512DQ | LEAF7_AVX512BW | LEAF7_AVX512VL;
    return (features_of(XCR0_ZMM).leaf7_b & need) == need;
}
#endif

#if defined(X86_TABLES) && defined(HAVE_KERNEL_AVX512IFMA)
static int can_avx512ifma(void)
{
    const features f = features_of(XCR0_ZMM);
    return can_avx512f() && (f.leaf7_b & LEAF7_AVX512IFMA) && (f.leaf7_c & LEAF7_AVX512VBMI);
}
#endif

/* Best first. */
size_t ckks_kernel_list(const ckks_kernel *out[CKKS_MAX_KERNELS])
{
    size_t count = 0;
#if defined(X86_TABLES) && defined(HAVE_KERNEL_AVX512IFMA)
    if (can_avx512ifma()) out[count++] = &ckks_kernel_avx512ifma;
#endif
#if defined(X86_TABLES) && defined(HAVE_KERNEL_AVX512F)
    if (can_avx512f()) out[count++] = &ckks_kernel_avx512f;
#endif
#if defined(X86_TABLES) && defined(HAVE_KERNEL_AVX2)
    if (can_avx2()) out[count++] = &ckks_kernel_avx2;
#endif
    out[count++] = &ckks_kernel_portable;
    return count;
}

fhola_status ckks_kernel_select(const ckks_kernel **out, const char *name)
{
    const ckks_kernel *list[CKKS_MAX_KERNELS];
    size_t count = ckks_kernel_list(list);
    const char *origin = "";
    if (!name) {
        name = getenv("FHOLA_ISA");
        origin = "FHOLA_ISA: ";
    }
    if (!name || !*name) {
        *out = list[0];
        return FHOLA_OK;
    }
    for (size_t i = 0; i < count; i++)
        if (!strcmp(name, list[i]->name)) {
            *out = list[i];
            return FHOLA_OK;
        }
    if (!strcmp(name, "avx2") || !strcmp(name, "avx512f") || !strcmp(name, "avx512ifma"))
        return fhola_fail(FHOLA_PARAM,
                          "%skernel \"%s\" is not in this build or this machine cannot run it",
                          origin, name);
    return fhola_fail(FHOLA_PARAM, "%sunknown kernel \"%s\" (portable, avx2, avx512f, avx512ifma)",
                      origin, name);
}
