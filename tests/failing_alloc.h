/* SPDX-License-Identifier: Apache-2.0 */
/* An allocator whose calls can be made to fail, in turn. Linked with --wrap (failing_alloc_flags in
 * Makefile.inc), so that only the project's own allocations are counted and fail. Not for several
 * threads. */
#ifndef TESTS_FAILING_ALLOC_H
#define TESTS_FAILING_ALLOC_H

#include <errno.h>

#include "tests/support.h"

/* Counted while `watching`, that is during the calls under test: blocks in use, allocations, the
 * one to fail (with all later ones). */
static int watching, fail_rest;
static long live, calls, fail_at;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void __real_free(void *memory);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
void __wrap_free(void *memory);

static int fails(void)
{
    if (!watching) return 0;
    long call = calls++;
    if (fail_at < 0 || (call != fail_at && !(fail_rest && call > fail_at))) return 0;
    errno = ENOMEM; /* as POSIX has it */
    return 1;
}

static void *counted(void *memory)
{
    live += watching && memory;
    return memory;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : counted(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : counted(__real_calloc(count, size));
}

void *__wrap_realloc(void *old, size_t size)
{
    if (fails()) return NULL;
    void *memory = __real_realloc(old, size);
    live += watching && memory && !old;
    return memory;
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return fails() ? NULL : counted(__real_aligned_alloc(alignment, size));
}

void __wrap_free(void *memory)
{
    live -= watching && memory;
    __real_free(memory);
}

/* ---- trying ---- */

/* Runs `run` with allocation `at` failing (-1: none), and with `rest` all later ones. `spoilt` (may
 * be NULL): has anything else gone wrong? What a failing run has allocated must be released, and so
 * must all of a succeeding one unless `keeps`. */
static inline fhola_status run_failing(const char *name, fhola_status (*run)(void),
                                       int (*spoilt)(void), int keeps, long at, int rest)
{
    (void)fhola_fail(FHOLA_OK, "%s", "");
    calls = live = 0;
    fail_at = at;
    fail_rest = rest;
    watching = 1;
    fhola_status st = run();
    watching = 0;
    ck_assert_msg(live == 0 || (keeps && !st), "%s, allocation %ld%s: %ld blocks leaked", name, at,
                  rest ? " and later" : "", live);
    ck_assert_msg(!spoilt || !spoilt(), "%s, allocation %ld%s: an output is half written", name, at,
                  rest ? " and later" : "");
    return st;
}

/* The next position to try of `total`, where at most `most` are: a third of those are the first
 * ones, a third the last ones, the others are spread evenly between. */
static inline long next_position(long at, long total, long most)
{
    long ends = most / 3;
    if (total <= most || at + 1 < ends || at + 1 >= total - ends) return at + 1;
    long step = (total - 2 * ends + ends - 1) / ends, next = at + 1 == ends ? ends : at + step;
    return next < total - ends ? next : total - ends;
}

/* Of more positions than this, every other one fails alone, the others with all that follow. */
#define BOTH_WAYS 300

/* Lets allocations of `run` fail, alone and with all that follow: each time NOMEM with a message.
 * Then `run` must succeed. */
static inline void fail_each(const char *name, fhola_status (*run)(void), int (*spoilt)(void),
                             long most)
{
    fhola_status first = run_failing(name, run, spoilt, 0, -1, 0);
    long total = calls, tried = 0;
    ck_assert_msg(first == FHOLA_OK, "%s: %s", name, fhola_detail());
    ck_assert_int_gt(total, 0);
    for (long at = 0; at < total; at = next_position(at, total, most), tried++)
        for (int rest = 0; rest < 2; rest++) {
            if (total > BOTH_WAYS && most > BOTH_WAYS && rest != at % 2) continue;
            fhola_status st = run_failing(name, run, spoilt, 0, at, rest);
            ck_assert_msg(st == FHOLA_NOMEM, "%s, allocation %ld of %ld%s: %s (%s)", name, at,
                          total, rest ? " and later" : "", fhola_strerror(st), fhola_detail());
            ck_assert_msg(fhola_detail()[0] != 0, "%s, allocation %ld: no message", name, at);
        }
    ck_assert_msg(run_failing(name, run, spoilt, 0, -1, 0) == FHOLA_OK, "%s, again: %s", name,
                  fhola_detail());
    printf("%-28s %ld of %ld allocations failed in turn\n", name, tried, total);
    fflush(stdout);
}

#endif
