/* SPDX-License-Identifier: Apache-2.0 */
/* Every allocation of ola/ fails once: each call then reports NOMEM, leaves its outputs alone and
 * loses no memory. */
#include "check_ola_support.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define OWN_ALLOCATOR 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
    __has_feature(memory_sanitizer)
#define OWN_ALLOCATOR 0
#endif
#endif
#ifndef OWN_ALLOCATOR
#ifdef __GLIBC__
#define OWN_ALLOCATOR 1
#else
#define OWN_ALLOCATOR 0
#endif
#endif

#if OWN_ALLOCATOR
/* glibc's own functions, which a program's definitions of malloc, calloc and free replace. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void __libc_free(void *block);

static long until_failure = -1; /* allocations that still succeed; -1: all */
static long blocks;             /* in use */

static int fails(void)
{
    if (until_failure < 0) return 0;
    if (until_failure == 0) return 1;
    until_failure--;
    return 0;
}

void *malloc(size_t size)
{
    void *block = fails() ? NULL : __libc_malloc(size);
    blocks += block != NULL;
    return block;
}

void *calloc(size_t count, size_t size)
{
    void *block = fails() ? NULL : __libc_calloc(count, size);
    blocks += block != NULL;
    return block;
}

void free(void *block)
{
    blocks -= block != NULL;
    __libc_free(block);
}

static ola_histogram histogram;
static ola_problem problem;
static ola_option options[2][3] = {{{3, 2, 4}, {7, 3, 2}, {15, 4, 1}},
                                   {{3, 2, 8}, {7, 3, 2}, {15, 4, 1}}};
static const ola_layer layers[2] = {{options[0], 3}, {options[1], 3}};

static fhola_status call_histogram(void)
{
    ola_histogram h = {.lo = 0};
    fhola_status status = ola_histogram_init(&h, 0, 1, 16, OLA_HISTOGRAM_TARGETS);
    until_failure = -1; /* an assertion allocates, too */
    if (status != FHOLA_OK) ck_assert(h.weight == NULL && h.sum_x == NULL && h.sum_target == NULL);
    ola_histogram_clear(&h);
    return status;
}

static ola_fit_result result, fits[16];

static fhola_status call_fit(void)
{
    return ola_fit(&result, &problem, 15);
}

static fhola_status call_fit_all(void)
{
    return ola_fit_all(fits, &problem, 15);
}

static fhola_status call_measure(void)
{
    double coeff[] = {1, 2, 3};
    return ola_measure(&result, &problem, coeff, 2);
}

static fhola_status call_minimax(void)
{
    return ola_minimax(&result, &problem, 7);
}

static ola_composite composite;

static fhola_status call_composite(void)
{
    static const unsigned degrees[] = {3, 5};
    return ola_composite_relu(&composite, degrees, 2, 2);
}

static ola_schedule schedule;

static fhola_status call_schedule(void)
{
    size_t choice[2];
    return ola_schedule_dp(choice, &schedule, layers, 2, 7, 1);
}

typedef struct call {
    fhola_status (*function)(void);
    const void *output;
    size_t size;
} call;

static const call calls[] = {
    {call_histogram, NULL, 0},
    {call_fit, &result, sizeof result},
    {call_fit_all, fits, sizeof fits},
    {call_measure, &result, sizeof result},
    {call_minimax, &result, sizeof result},
    {call_composite, &composite, sizeof composite},
    {call_schedule, &schedule, sizeof schedule},
};

START_TEST(test_every_failure)
{
    static unsigned char before[sizeof fits];
    const call *c = &calls[_i];
    succeed(ola_histogram_init(&histogram, -1, 1, 64, 0));
    for (int i = 0; i < 64; i++) succeed(ola_histogram_add(&histogram, (i - 31.5) / 32, 0, 1));
    problem = (ola_problem){.function = {.kind = OLA_RELU},
                            .interval = {0, 1},
                            .weight = OLA_WEIGHT_GUARDED,
                            .histogram = &histogram,
                            .guard = OLA_DEFAULT_GUARD};
    if (c->size > 0) memcpy(before, c->output, c->size);
    long allocations = 0;
    for (;; allocations++) {
        long blocks_before = blocks;
        until_failure = allocations;
        fhola_status status = c->function();
        until_failure = -1;
        ck_assert_int_eq(blocks, blocks_before);
        if (status == FHOLA_OK) break;
        ck_assert_int_eq(status, FHOLA_NOMEM);
        if (c->size > 0) ck_assert_mem_eq(before, c->output, c->size);
    }
    ck_assert_int_gt(allocations, 0);
    ola_histogram_clear(&histogram);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("failing allocations");
    tcase_add_loop_test(tcase, test_every_failure, 0, (int)(sizeof calls / sizeof *calls));
    return run_case("ola_memory", tcase);
}
#else
int main(void)
{
    puts("SKIP: failing allocations need glibc's allocator without a sanitizer");
    return 77;
}
#endif
