/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the tests of ola/: random numbers, assertions on statuses, and the main program around
 * one test case. */
#ifndef CHECK_OLA_SUPPORT_H
#define CHECK_OLA_SUPPORT_H

#include <check.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ola/ola.h"

#define PI 3.14159265358979323846

static uint64_t test_seed = 1;

static inline uint64_t next_random(uint64_t *state) /* splitmix64 */
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static inline double uniform(uint64_t *state, double lo, double hi)
{
    return lo + (hi - lo) * (double)(next_random(state) >> 11) * 0x1p-53;
}

static inline double normal(uint64_t *state, double mean, double deviation)
{
    double sum = 0;
    for (int i = 0; i < 12; i++) sum += uniform(state, -0.5, 0.5);
    return mean + deviation * sum;
}

/* The call must succeed; otherwise its message is shown. */
static inline void succeed(fhola_status status)
{
    ck_assert_msg(status == FHOLA_OK, "%s: %s", fhola_strerror(status), fhola_detail());
}

/* The call must fail in this way, with a message that mentions `words`. */
static inline void fail_with(fhola_status status, fhola_status expected, const char *words)
{
    ck_assert_msg(status == expected, "%s instead of %s", fhola_strerror(status),
                  fhola_strerror(expected));
    ck_assert_msg(strstr(fhola_detail(), words) != NULL, "message \"%s\" does not mention \"%s\"",
                  fhola_detail(), words);
}

#define assert_close(a, b, tolerance)                                                              \
    ck_assert_msg(fabs((double)(a) - (double)(b)) <= (tolerance),                                  \
                  "%s = %.17g, %s = %.17g differ by more than %g", #a, (double)(a), #b,            \
                  (double)(b), (double)(tolerance))

static inline int run_case(const char *name, TCase *tcase)
{
    Suite *suite = suite_create(name);
    tcase_set_timeout(tcase, 120);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static inline void read_seed(void)
{
    const char *text = getenv("FHOLA_TEST_SEED");
    if (text != NULL) test_seed = strtoull(text, NULL, 0);
    printf("FHOLA_TEST_SEED=%llu\n", (unsigned long long)test_seed);
}

#endif
