/* SPDX-License-Identifier: Apache-2.0 */
/* Logarithm and power of two against the mathematical library in long double, where they must be
 * exact, and as bits. */
#include "ckks/ring/elementary.h"

#include "tests/little_endian.h"
#include "tests/support.h"

START_TEST(power)
{
    for (int k = -1000; k <= 1000; k++) ck_assert_double_eq(ckks_exp2(k), ldexp(1, k));
    static const double beyond[] = {1024, 4096, 1e300, (double)INFINITY};
    for (int k = 0; k < 4; k++) {
        ck_assert_double_eq(ckks_exp2(beyond[k]), (double)INFINITY);
        ck_assert_double_eq(ckks_exp2(-2 * beyond[k]), 0);
    }
    ck_assert(isnan(ckks_exp2((double)NAN)));
    double worst = 0;
    for (int i = 0; i < 200000; i++) {
        double x = random_unit() * (i % 2 ? 64 : 1), y = ckks_exp2(x);
        long double want = exp2l((long double)x);
        worst = fmax(worst, fabs((double)(((long double)y - want) / want)));
    }
    printf("2^x: largest relative error %.2f 2^-53\n", worst * 0x1p53);
    ck_assert_double_le(worst, 0x1p-52);
}
END_TEST

START_TEST(logarithm)
{
    for (int k = -1000; k <= 1000; k++) ck_assert_double_eq(ckks_log2(ldexp(1, k)), k);
    double worst = 0;
    for (int i = 0; i < 200000; i++) {
        int k = (int)(random_word() % 60);
        double x = i % 2 ? ldexp(1.5 + 0.5 * random_unit(), k - 30)
                         : 1 + 0.5 * random_unit() * ldexp(1, -k),
               y = ckks_log2(x);
        long double want = log2l((long double)x);
        worst = fmax(worst, fabs((double)((long double)y - want)) / fmax(fabs((double)want), 1));
    }
    printf("log2(x): largest error %.2f 2^-53\n", worst * 0x1p53);
    ck_assert_double_le(worst, 0x1p-52);
}
END_TEST

/* The same on every machine, compiler and C library. */
START_TEST(bits)
{
    static double value[2 * 20000];
    for (int i = 0; i < 20000; i++) {
        value[2 * i] = ckks_exp2((i - 9999) * 0.0037);
        value[2 * i + 1] = ckks_log2((i + 1) * 0.37);
    }
    uint64_t hash = numbers_hash(value, 2 * 20000, sizeof value[0]);
    ck_assert_msg(hash == UINT64_C(0x4de541da116c6462), "hash 0x%016" PRIx64, hash);
}
END_TEST

static void add_tests(TCase *tcase)
{
    tcase_add_test(tcase, power);
    tcase_add_test(tcase, logarithm);
    tcase_add_test(tcase, bits);
}

int main(void)
{
    test_seed(0);
    return test_run("elementary", add_tests, 60);
}
