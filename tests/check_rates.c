/* SPDX-License-Identifier: Apache-2.0 */
/* Buckets of pictures: a minute's worth at once, then at the rate and no faster, each owner by
 * himself; those that are full again take no memory. */
#include "nn/cmd/serve/rates.h"

#include "tests/support.h"

/* Pictures that an owner may send between two times, who tries a thousand times. */
static unsigned send(serve_rates *r, const char *owner, double from, double to)
{
    unsigned sent = 0;
    for (int i = 0; i < 1000; i++)
        sent += serve_rates_take(r, owner, from + (to - from) * i / 999.0);
    return sent;
}

START_TEST(bounded)
{
    serve_rates r = {.minute = 12};
    ck_assert_uint_eq(send(&r, "ann", 100, 100), 12);
    ck_assert_double_eq_tol(serve_rates_wait(&r, "ann", 100), 5, 1e-9);
    ck_assert_double_eq_tol(serve_rates_wait(&r, "ann", 103), 2, 1e-9);
    ck_assert_uint_eq(send(&r, "ann", 100.1, 104.9), 0);
    ck_assert_uint_eq(send(&r, "ann", 105.1, 105.2), 1);
    /* an hour at the rate */
    ck_assert_uint_eq(send(&r, "ann", 110.01, 3710.02), 721);
    /* who has waited has a minute's worth, not more */
    ck_assert_uint_eq(send(&r, "ann", 9000, 9000), 12);
    /* others are not concerned */
    ck_assert_double_eq(serve_rates_wait(&r, "bob", 9000), 0);
    ck_assert_uint_eq(send(&r, "bob", 9000, 9000), 12);
    ck_assert_uint_eq(send(&r, "ann", 9000, 9000), 0);
    serve_rates_clear(&r);
}
END_TEST

START_TEST(no_limit)
{
    serve_rates r = {0};
    ck_assert_uint_eq(send(&r, "ann", 0, 0), 1000);
    ck_assert_double_eq(serve_rates_wait(&r, "ann", 0), 0);
    ck_assert_ptr_null(r.bucket);
    serve_rates_clear(&r);
}
END_TEST

/* A thousand owners, ten at a time: no more than those are remembered. */
START_TEST(forgotten)
{
    serve_rates r = {.minute = 60};
    for (int k = 0; k < 1000; k++) {
        char owner[16];
        snprintf(owner, sizeof owner, "owner%d", k);
        ck_assert_uint_eq(send(&r, owner, 6.5 * k, 6.5 * k), 60);
        ck_assert_uint_le(r.count, 10);
    }
    serve_rates_clear(&r);
    ck_assert_uint_eq(r.count, 0);
}
END_TEST

static void add_tests(TCase *tcase)
{
    tcase_add_test(tcase, bounded);
    tcase_add_test(tcase, no_limit);
    tcase_add_test(tcase, forgotten);
}

int main(void)
{
    return test_run("rates", add_tests, 60);
}
