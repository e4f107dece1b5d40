/* SPDX-License-Identifier: Apache-2.0 */
/* The fuzz targets without a fuzzer: seeds are read as they should be, a few thousand changes of
 * each do no harm, and what fuzzing has found (tests/fuzz/cases/TARGET) stays fixed.
 * FHOLA_FUZZ_SEEDS=FOLDER writes the seeds to FOLDER/TARGET instead. */
#include "tests/support.h"

#include <dirent.h>
#include <sys/stat.h>

#include "tests/fuzz/seeds.h"
#include "tests/fuzz/targets.h"

#define CHANGES 400

/* Whether this program reads what the target is made of. */
static bool is_built(const char *target)
{
#ifndef HAVE_PNG
    if (!strcmp(target, "png")) return false;
#endif
#ifndef HAVE_JPEG
    if (!strcmp(target, "jpeg")) return false;
#endif
#ifndef HAVE_ONNX
    if (!strcmp(target, "onnx")) return false;
#endif
    return *target != 0;
}

static void check_seed(void *user, const char *target, const void *bytes, size_t length,
                       int accepted)
{
    unsigned *seen = user;
    const fuzz_target *t = fuzz_find(target);
    ck_assert_msg(t != NULL, "a seed for %s, which is no target", target);
    *seen |= 1u << (t - fuzz_targets);
    if (!is_built(target)) return;
    ck_assert_msg(t->run(bytes, length) == accepted, "a seed of %s, %zu bytes: not %s", target,
                  length, accepted ? "accepted" : "refused");
}

START_TEST(seeds)
{
    unsigned seen = 0;
    fuzz_seeds(check_seed, &seen);
    for (size_t i = 0; i < fuzz_target_count; i++) {
        if (!is_built(fuzz_targets[i].name)) continue;
        ck_assert_msg(seen >> i & 1, "no seed for %s", fuzz_targets[i].name);
    }
}
END_TEST

/* A byte changed, a piece left out, doubled or overwritten by another: up to four of these. */
static size_t change(unsigned char *bytes, size_t length, size_t room)
{
    for (unsigned times = 1 + random_word() % 4; times && length; times--) {
        size_t at = random_word() % length, piece = 1 + random_word() % 16,
               from = random_word() % length;
        if (piece > length - at) piece = length - at;
        switch (random_word() % 4) {
        case 0: bytes[at] = (unsigned char)random_word(); break;
        case 1:
            memmove(bytes + at, bytes + at + piece, length - at - piece);
            length -= piece;
            break;
        case 2:
            if (length + piece > room) break;
            memmove(bytes + at + piece, bytes + at, length - at);
            length += piece;
            break;
        default:
            if (piece > length - from) piece = length - from;
            memmove(bytes + at, bytes + from, piece);
            break;
        }
    }
    return length;
}

static void change_seed(void *user, const char *target, const void *bytes, size_t length,
                        int accepted)
{
    const fuzz_target *t = fuzz_find(target);
    unsigned char *copy = malloc(2 * length + 64);
    size_t *taken = user;
    (void)accepted;
    ck_assert_ptr_nonnull(copy);
    for (unsigned i = 0; i < CHANGES; i++) {
        memcpy(copy, bytes, length);
        size_t changed = change(copy, length, 2 * length + 64);
        taken[t->run(copy, changed)]++;
    }
    free(copy);
}

START_TEST(changed_seeds)
{
    size_t taken[2] = {0, 0};
    fuzz_seeds(change_seed, taken);
    printf("%zu changed files refused, %zu read\n", taken[0], taken[1]);
    ck_assert_uint_gt(taken[0], 10 * taken[1] / 100);
}
END_TEST

/* ---- what was found ---- */

static void replay(const fuzz_target *target, const char *path)
{
    static unsigned char bytes[1 << 20];
    FILE *file = fopen(path, "rb");
    ck_assert_ptr_nonnull(file);
    size_t length = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    printf("%s\n", path);
    fflush(stdout);
    (void)target->run(bytes, length);
}

START_TEST(cases)
{
    char path[4096];
    const char *top = getenv("top_srcdir");
    size_t count = 0;
    for (size_t i = 0; i < fuzz_target_count; i++) {
        snprintf(path, sizeof path, "%s/tests/fuzz/cases/%s", top ? top : ".",
                 fuzz_targets[i].name);
        DIR *folder = opendir(path);
        size_t end = strlen(path);
        for (const struct dirent *entry; folder && (entry = readdir(folder));) {
            if (entry->d_name[0] == '.') continue;
            snprintf(path + end, sizeof path - end, "/%s", entry->d_name);
            replay(&fuzz_targets[i], path);
            count++;
        }
        if (folder) closedir(folder);
    }
    printf("%zu cases\n", count);
}
END_TEST

/* ---- seeds as files ---- */

static void save_seed(void *user, const char *target, const void *bytes, size_t length,
                      int accepted)
{
    static unsigned number;
    char path[4096];
    (void)accepted;
    snprintf(path, sizeof path, "%s/%s", (const char *)user, target);
    (void)mkdir(path, 0777);
    snprintf(path, sizeof path, "%s/%s/seed-%u", (const char *)user, target, number++);
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(bytes, 1, length, file) != length || fclose(file) != 0) {
        perror(path);
        exit(EXIT_FAILURE);
    }
}

static void add_tests(TCase *tcase)
{
    tcase_add_test(tcase, seeds);
    tcase_add_test(tcase, changed_seeds);
    tcase_add_test(tcase, cases);
}

int main(void)
{
    char *folder = getenv("FHOLA_FUZZ_SEEDS");
    if (folder) {
        fuzz_seeds(save_seed, folder);
        return EXIT_SUCCESS;
    }
    test_seed(77);
    return test_run("fuzz", add_tests, 120);
}
