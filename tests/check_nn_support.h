/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the tests of nn/: random numbers, statuses, files in a folder of their own, and small
 * random networks as safetensors files. */
#ifndef CHECK_NN_SUPPORT_H
#define CHECK_NN_SUPPORT_H

#include <check.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "status.h"

static uint64_t test_seed = 1;
static char test_folder[64];

/* splitmix64 */
static inline uint64_t next_random(uint64_t *state)
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

static inline void succeed(fhola_status status)
{
    ck_assert_msg(status == FHOLA_OK, "%s: %s", fhola_strerror(status), fhola_detail());
}

/* The call must fail in this way, with a message that mentions `words`. */
static inline void fail_with(fhola_status status, fhola_status expected, const char *words)
{
    ck_assert_msg(status == expected, "%s instead of %s (%s)", fhola_strerror(status),
                  fhola_strerror(expected), fhola_detail());
    ck_assert_msg(strstr(fhola_detail(), words) != NULL, "message \"%s\" does not mention \"%s\"",
                  fhola_detail(), words);
}

#define assert_close(a, b, tolerance)                                                              \
    ck_assert_msg(fabs((double)(a) - (double)(b)) <= (tolerance),                                  \
                  "%s = %.17g, %s = %.17g differ by more than %g", #a, (double)(a), #b,            \
                  (double)(b), (double)(tolerance))

/* ---- files ---- */

/* Path of a file in the test's folder; valid until the fourth call after. */
static inline const char *in_folder(const char *name)
{
    static char path[4][160];
    static unsigned turn;
    char *result = path[turn++ % 4];
    snprintf(result, sizeof path[0], "%s/%s", test_folder, name);
    return result;
}

static inline const char *write_bytes(const char *name, const void *bytes, size_t length)
{
    const char *path = in_folder(name);
    FILE *file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(bytes, 1, length, file), length);
    ck_assert_int_eq(fclose(file), 0);
    return path;
}

static inline const char *write_string(const char *name, const char *text)
{
    return write_bytes(name, text, strlen(text));
}

/* A file of the project itself, found through top_srcdir. */
static inline const char *project_file(const char *name)
{
    static char path[4096];
    const char *top = getenv("top_srcdir");
    snprintf(path, sizeof path, "%s/%s", top ? top : ".", name);
    return path;
}

/* Runs the tests in a folder that is gone afterwards; returns the exit code of the program. */
static inline int run_tests(const char *name, TCase *tcase, double timeout)
{
    const char *seed = getenv("FHOLA_TEST_SEED");
    char remove[192];
    if (seed) test_seed = strtoull(seed, NULL, 0);
    printf("FHOLA_TEST_SEED=%" PRIu64 "\n", test_seed);
    fflush(stdout);
    snprintf(test_folder, sizeof test_folder, "/tmp/fhola-test-%ld", (long)getpid());
    snprintf(remove, sizeof remove, "rm -rf %s && mkdir %s", test_folder, test_folder);
    if (system(remove) != 0) return 1;
    Suite *suite = suite_create(name);
    tcase_set_timeout(tcase, timeout);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    snprintf(remove, sizeof remove, "rm -rf %s", test_folder);
    return system(remove) != 0 || failed != 0;
}

/* ---- networks as safetensors files ---- */

typedef struct weights {
    char header[1 << 16];
    size_t header_length, count;
    float *data;
    size_t used;
    uint64_t random;
    /* Changes: names a tensor that is left out, or written with one more row, or gets one value
     * replaced, or one further tensor. */
    const char *leave_out, *misshape, *spoil, *further;
    float spoiled;
    size_t classes; /* 0: 3 */
    size_t width;   /* channels of the first stage; 0: 16 */
} weights;

static inline void add_text(weights *w, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int length =
        vsnprintf(w->header + w->header_length, sizeof w->header - w->header_length, format, args);
    va_end(args);
    w->header_length += (size_t)length;
    ck_assert_uint_lt(w->header_length, sizeof w->header);
}

static inline bool is(const char *a, const char *b)
{
    return a && b && strcmp(a, b) == 0;
}

/* Adds a tensor of values uniform in [lo, hi]; sides of 0 do not count. */
static inline void add_tensor(weights *w, const char *name, size_t a, size_t b, size_t c, size_t d,
                              double lo, double hi)
{
    size_t rank = b == 0 ? 1 : c == 0 ? 2 : 4, count = a * (b ? b : 1) * (c ? c * d : 1);
    if (is(w->leave_out, name)) return;
    if (is(w->misshape, name)) {
        count += count / a;
        a++;
    }
    add_text(w, "%s\"%s\": {\"dtype\": \"F32\", \"shape\": [%zu", w->count++ ? ", " : "", name, a);
    if (rank > 1) add_text(w, ", %zu", b);
    if (rank > 2) add_text(w, ", %zu, %zu", c, d);
    add_text(w, "], \"data_offsets\": [%zu, %zu]}", 4 * w->used, 4 * (w->used + count));
    w->data = realloc(w->data, (w->used + count) * sizeof *w->data);
    ck_assert_ptr_nonnull(w->data);
    for (size_t i = 0; i < count; i++) w->data[w->used + i] = (float)uniform(&w->random, lo, hi);
    if (is(w->spoil, name)) w->data[w->used + count / 2] = w->spoiled;
    w->used += count;
}

static inline void add_norm(weights *w, const char *layer, size_t channels)
{
    char name[160];
    const char *const parts[4] = {"weight", "bias", "running_mean", "running_var"};
    const double lo[4] = {0.5, -0.3, -0.3, 0.5}, hi[4] = {1.5, 0.3, 0.3, 2};
    for (int i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "%s.%s", layer, parts[i]);
        add_tensor(w, name, channels, 0, 0, 0, lo[i], hi[i]);
    }
}

static inline void add_conv(weights *w, const char *conv, const char *norm, size_t in, size_t out,
                            size_t kernel)
{
    char name[160];
    double size = 1.7 / sqrt((double)(in * kernel * kernel));
    snprintf(name, sizeof name, "%s.weight", conv);
    add_tensor(w, name, out, in, kernel, kernel, -size, size);
    add_norm(w, norm, out);
}

#define WEIGHTS_METADATA                                                                           \
    "\"__metadata__\": {\"mean\": \"[0.5, 0.4, 0.45]\", \"std\": \"[0.25, 0.24, 0.26]\", "         \
    "\"test_accuracy\": \"12.5\", "                                                                \
    "\"classes\": \"[\\\"ant\\\", \\\"bee\\\", \\\"cow\\\"]\"}"

/* A random network with `blocks` blocks per stage: projections named `shortcut`, or none for NULL;
 * w->classes classes in a layer named `linear`. `prefix` starts every name. metadata: its JSON
 * member, NULL for none. */
static inline void make_weights(weights *w, unsigned blocks, const char *shortcut,
                                const char *linear, const char *prefix, const char *metadata)
{
    char conv[96], norm[96];
    size_t classes = w->classes ? w->classes : 3, width = w->width ? w->width : 16;
    add_text(w, "{");
    if (metadata) {
        add_text(w, "%s", metadata);
        w->count++;
    }
    snprintf(conv, sizeof conv, "%sconv1", prefix);
    snprintf(norm, sizeof norm, "%sbn1", prefix);
    add_conv(w, conv, norm, 3, width, 3);
    for (unsigned stage = 1; stage <= 3; stage++) {
        for (unsigned k = 0; k < blocks; k++) {
            size_t out = width << (stage - 1), in = stage > 1 && k == 0 ? out / 2 : out;
            for (int which = 1; which <= 2; which++) {
                snprintf(conv, sizeof conv, "%slayer%u.%u.conv%d", prefix, stage, k, which);
                snprintf(norm, sizeof norm, "%slayer%u.%u.bn%d", prefix, stage, k, which);
                add_conv(w, conv, norm, which == 1 ? in : out, out, 3);
            }
            if (in == out || !shortcut) continue;
            snprintf(conv, sizeof conv, "%slayer%u.%u.%s.0", prefix, stage, k, shortcut);
            snprintf(norm, sizeof norm, "%slayer%u.%u.%s.1", prefix, stage, k, shortcut);
            add_conv(w, conv, norm, in, out, 1);
        }
    }
    snprintf(conv, sizeof conv, "%s%s.weight", prefix, linear);
    add_tensor(w, conv, classes, 4 * width, 0, 0, -0.3, 0.3);
    snprintf(conv, sizeof conv, "%s%s.bias", prefix, linear);
    add_tensor(w, conv, classes, 0, 0, 0, -0.3, 0.3);
    w->leave_out = NULL; /* it may be one that was left out */
    if (w->further) add_tensor(w, w->further, 2, 2, 0, 0, -1, 1);
    add_text(w, "}");
}

/* Header and data as one file in the test's folder. Frees the data. */
static inline const char *write_weights(weights *w, const char *name)
{
    size_t length = 8 + w->header_length + 4 * w->used;
    unsigned char *bytes = malloc(length);
    ck_assert_ptr_nonnull(bytes);
    for (unsigned i = 0; i < 8; i++)
        bytes[i] = (unsigned char)((uint64_t)w->header_length >> (8 * i));
    memcpy(bytes + 8, w->header, w->header_length);
    for (size_t i = 0; i < w->used; i++) {
        uint32_t bits;
        memcpy(&bits, &w->data[i], sizeof bits);
        for (unsigned b = 0; b < 4; b++)
            bytes[8 + w->header_length + 4 * i + b] = (unsigned char)(bits >> (8 * b));
    }
    const char *path = write_bytes(name, bytes, length);
    free(bytes);
    free(w->data);
    w->data = NULL;
    return path;
}

/* The usual one. */
static inline const char *write_network(const char *name, unsigned blocks, const char *shortcut,
                                        uint64_t seed)
{
    weights *w = calloc(1, sizeof *w);
    ck_assert_ptr_nonnull(w);
    w->random = seed;
    make_weights(w, blocks, shortcut, "linear", "", WEIGHTS_METADATA);
    const char *path = write_weights(w, name);
    free(w);
    return path;
}

/* A CIFAR-10 batch of smooth random pictures, labels below `classes`. */
static inline const char *write_batch(const char *name, size_t count, unsigned classes,
                                      uint64_t seed)
{
    unsigned char *bytes = malloc(count * 3073);
    ck_assert_ptr_nonnull(bytes);
    uint64_t random = seed;
    for (size_t i = 0; i < count; i++) {
        unsigned char *record = bytes + 3073 * i;
        record[0] = (unsigned char)(next_random(&random) % classes);
        for (size_t c = 0; c < 3; c++) {
            double fx = uniform(&random, -0.5, 0.5), fy = uniform(&random, -0.5, 0.5),
                   phase = uniform(&random, 0, 6);
            double level = uniform(&random, 60, 190), contrast = uniform(&random, 10, 60);
            for (size_t j = 0; j < 1024; j++)
                record[1 + c * 1024 + j] =
                    (unsigned char)(level +
                                    contrast *
                                        sin(fx * (double)(j % 32) + fy * (double)(j / 32) + phase) +
                                    uniform(&random, -5, 5));
        }
    }
    const char *path = write_bytes(name, bytes, count * 3073);
    free(bytes);
    return path;
}

#endif
