/* SPDX-License-Identifier: Apache-2.0 */
/* Whose turn it is in the server's queue: nobody starves, nobody is served twice while another one
 * waits who was served before. */
#include "nn/cmd/serve/turns.h"

#include "check_nn_support.h"

#define OWNERS 3u

static const char *const name[OWNERS] = {"ann", "bob", "cid"};

/* Of those who wait, in the order of their arrival. */
static unsigned next(const serve_turns *t, const bool waits[OWNERS])
{
    unsigned best = OWNERS;
    for (unsigned i = 0; i < OWNERS; i++)
        if (waits[i] &&
            (best == OWNERS || serve_turns_of(t, name[i]) < serve_turns_of(t, name[best])))
            best = i;
    return best;
}

/* One who always waits, and others who come back at random moments. */
START_TEST(all_are_served)
{
    static serve_turns t;
    unsigned served[OWNERS] = {0};
    bool waits[OWNERS] = {true, false, false};
    for (unsigned round = 0; round < 3000; round++) {
        for (unsigned i = 1; i < OWNERS; i++)
            if (next_random(&test_seed) % 2) waits[i] = true;
        unsigned who = next(&t, waits);
        serve_turns_serve(&t, name[who]);
        served[who]++;
        waits[who] = who == 0;
        /* nobody gets far ahead of him who always waits */
        for (unsigned i = 1; i < OWNERS; i++) ck_assert_uint_le(served[i], served[0] + 1);
    }
    ck_assert_uint_ge(served[0], 1000);
    ck_assert_uint_ge(served[1], 500);
    ck_assert_uint_ge(served[2], 500);
}
END_TEST

/* Three who always wait take turns, however the first one floods. */
START_TEST(in_turn)
{
    static serve_turns t;
    const bool alone[OWNERS] = {true, false, false}, all[OWNERS] = {true, true, true};
    for (unsigned i = 0; i < 100; i++) {
        ck_assert_uint_eq(next(&t, alone), 0);
        serve_turns_serve(&t, name[0]);
    }
    unsigned served[OWNERS] = {0};
    for (unsigned i = 0; i < 300; i++) {
        unsigned who = next(&t, all);
        serve_turns_serve(&t, name[who]);
        served[who]++;
        for (unsigned k = 0; k < OWNERS; k++) ck_assert_uint_le(served[who], served[k] + 1);
    }
}
END_TEST

/* More owners than are remembered. */
START_TEST(many)
{
    static serve_turns t;
    char owner[SERVE_OWNER_ROOM];
    for (unsigned i = 0; i < 5 * SERVE_TURNS; i++) {
        snprintf(owner, sizeof owner, "owner%u", i);
        ck_assert_uint_eq(serve_turns_of(&t, owner), 0);
        serve_turns_serve(&t, owner);
        ck_assert_uint_le(t.count, SERVE_TURNS);
        ck_assert_uint_eq(serve_turns_of(&t, owner), 1);
    }
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("turns");
    tcase_add_test(tcase, all_are_served);
    tcase_add_test(tcase, in_turn);
    tcase_add_test(tcase, many);
    return run_tests("turns", tcase, 60);
}
