/* SPDX-License-Identifier: Apache-2.0 */
/* As much of Check's interface as the tests use, for machines whose Check cannot be had
 * (.ci/parts/foreign): one process runs all tests, and the first failure ends it. Environment:
 * FHOLA_TEST_ONLY, the name of the only test to run. */
#ifndef FOREIGN_CHECK_H
#define FOREIGN_CHECK_H

#include <inttypes.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FOREIGN_MAX_TESTS 100

typedef struct foreign_test {
    const char *name;
    void (*run)(int);
    int first, end;
} foreign_test;

typedef struct TCase {
    foreign_test test[FOREIGN_MAX_TESTS];
    int count;
    void (*set_up[4])(void), (*tear_down[4])(void);
    int set_ups, tear_downs;
} TCase;
typedef TCase Suite;
typedef TCase SRunner;

enum { CK_ENV };

#define START_TEST(name) static void name(int _i __attribute__((unused)))
#define END_TEST

#define tcase_add_test(tcase, name)                  foreign_add(tcase, #name, name, 0, 1)
#define tcase_add_loop_test(tcase, name, first, end) foreign_add(tcase, #name, name, first, end)

static inline TCase *tcase_create(const char *name)
{
    TCase *tcase = calloc(1, sizeof *tcase);
    (void)name;
    if (!tcase) abort();
    return tcase;
}

static inline void foreign_add(TCase *tcase, const char *name, void (*run)(int), int first, int end)
{
    if (tcase->count == FOREIGN_MAX_TESTS) abort();
    tcase->test[tcase->count++] = (foreign_test){name, run, first, end};
}

static inline void tcase_add_checked_fixture(TCase *tcase, void (*before)(void),
                                             void (*after)(void))
{
    if (before) tcase->set_up[tcase->set_ups++] = before;
    if (after) tcase->tear_down[tcase->tear_downs++] = after;
}

static inline void tcase_set_timeout(TCase *tcase, double seconds)
{
    (void)tcase;
    (void)seconds;
}

static inline Suite *suite_create(const char *name)
{
    (void)name;
    return NULL;
}

/* A suite is its one case. */
#define suite_add_tcase(suite, tcase) ((suite) = (tcase))

static inline SRunner *srunner_create(Suite *suite)
{
    return suite;
}

static inline void srunner_run_all(SRunner *runner, int mode)
{
    const char *only = getenv("FHOLA_TEST_ONLY");
    (void)mode;
    for (int t = 0; t < runner->count; t++) {
        const foreign_test *test = &runner->test[t];
        if (only && strcmp(only, test->name) != 0) continue;
        for (int i = test->first; i < test->end; i++) {
            for (int k = 0; k < runner->set_ups; k++) runner->set_up[k]();
            test->run(i);
            for (int k = runner->tear_downs; k-- > 0;) runner->tear_down[k]();
        }
        printf("%s\n", test->name);
        fflush(stdout);
    }
}

static inline int srunner_ntests_failed(SRunner *runner)
{
    (void)runner;
    return 0;
}

static inline void srunner_free(SRunner *runner)
{
    free(runner);
}

#define ck_abort_msg(...)                                                                          \
    do {                                                                                           \
        printf("%s:%d: ", __FILE__, __LINE__);                                                     \
        printf(__VA_ARGS__);                                                                       \
        printf("\n");                                                                              \
        fflush(stdout);                                                                            \
        exit(1);                                                                                   \
    } while (0)
#define ck_assert_msg(condition, ...)                                                              \
    do {                                                                                           \
        if (!(condition)) ck_abort_msg(__VA_ARGS__);                                               \
    } while (0)
#define ck_assert(condition) ck_assert_msg(condition, "%s", #condition)

#define FOREIGN_COMPARE(type, format, a, op, b)                                                    \
    do {                                                                                           \
        const type a_ = (a), b_ = (b);                                                             \
        ck_assert_msg(a_ op b_, "%s %s %s: " format ", " format, #a, #op, #b, a_, b_);             \
    } while (0)
#define FOREIGN_UINT(a, op, b)   FOREIGN_COMPARE(uintmax_t, "%ju", a, op, b)
#define FOREIGN_INT(a, op, b)    FOREIGN_COMPARE(intmax_t, "%jd", a, op, b)
#define FOREIGN_DOUBLE(a, op, b) FOREIGN_COMPARE(double, "%.17g", a, op, b)

#define ck_assert_uint_eq(a, b)   FOREIGN_UINT(a, ==, b)
#define ck_assert_uint_ne(a, b)   FOREIGN_UINT(a, !=, b)
#define ck_assert_uint_lt(a, b)   FOREIGN_UINT(a, <, b)
#define ck_assert_uint_le(a, b)   FOREIGN_UINT(a, <=, b)
#define ck_assert_uint_gt(a, b)   FOREIGN_UINT(a, >, b)
#define ck_assert_uint_ge(a, b)   FOREIGN_UINT(a, >=, b)
#define ck_assert_int_eq(a, b)    FOREIGN_INT(a, ==, b)
#define ck_assert_int_ne(a, b)    FOREIGN_INT(a, !=, b)
#define ck_assert_int_lt(a, b)    FOREIGN_INT(a, <, b)
#define ck_assert_int_le(a, b)    FOREIGN_INT(a, <=, b)
#define ck_assert_int_gt(a, b)    FOREIGN_INT(a, >, b)
#define ck_assert_int_ge(a, b)    FOREIGN_INT(a, >=, b)
#define ck_assert_double_eq(a, b) FOREIGN_DOUBLE(a, ==, b)
#define ck_assert_double_ne(a, b) FOREIGN_DOUBLE(a, !=, b)
#define ck_assert_double_lt(a, b) FOREIGN_DOUBLE(a, <, b)
#define ck_assert_double_le(a, b) FOREIGN_DOUBLE(a, <=, b)
#define ck_assert_double_gt(a, b) FOREIGN_DOUBLE(a, >, b)
#define ck_assert_double_ge(a, b) FOREIGN_DOUBLE(a, >=, b)
#define ck_assert_double_eq_tol(a, b, tolerance)                                                   \
    ck_assert_msg(fabs((double)(a) - (double)(b)) < (tolerance), "%s, %s: %.17g, %.17g", #a, #b,   \
                  (double)(a), (double)(b))
#define ck_assert_float_eq(a, b)       FOREIGN_DOUBLE((double)(a), ==, (double)(b))
#define ck_assert_float_nan(a)         ck_assert(isnan(a))
#define ck_assert_float_infinite(a)    ck_assert(isinf(a))
#define ck_assert_ptr_eq(a, b)         ck_assert((const void *)(a) == (const void *)(b))
#define ck_assert_ptr_ne(a, b)         ck_assert((const void *)(a) != (const void *)(b))
#define ck_assert_ptr_null(a)          ck_assert((a) == NULL)
#define ck_assert_ptr_nonnull(a)       ck_assert((a) != NULL)
#define ck_assert_mem_eq(a, b, length) ck_assert(memcmp(a, b, length) == 0)
#define ck_assert_mem_ne(a, b, length) ck_assert(memcmp(a, b, length) != 0)
#define ck_assert_str_eq(a, b)                                                                     \
    ck_assert_msg(strcmp(a, b) == 0, "%s == %s: \"%s\", \"%s\"", #a, #b, a, b)
#define ck_assert_str_ne(a, b) ck_assert(strcmp(a, b) != 0)

#endif
