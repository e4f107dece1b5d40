/* SPDX-License-Identifier: Apache-2.0 */
/* The count of flooded results: never more than was promised, whatever the mixture of noise, across
 * calls and processes, and with a damaged file. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "nn/party/flooded.h"
#include "tests/support.h"

#define KEY UINT64_C(0x0123456789abcdef)

static char folder[40], path[80];

static void open_folder(void)
{
    snprintf(folder, sizeof folder, "/tmp/check_flooded.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/%016llx.flooded", folder, (unsigned long long)KEY);
}

/* Nothing else is left in it. */
static void close_folder(void)
{
    (void)unlink(path);
    ck_assert_int_eq(rmdir(folder), 0);
}

static size_t read_count(char *text, size_t room)
{
    FILE *file = fopen(path, "rb");
    if (!file) return 0;
    size_t length = fread(text, 1, room - 1, file);
    (void)fclose(file);
    text[length] = 0;
    return length;
}

static void write_count(const char *text, size_t length)
{
    FILE *file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(text, 1, length, file), length);
    ck_assert_int_eq(fclose(file), 0);
}

static fhola_status take(double bits, double queries)
{
    return nn_flooded_take(path, KEY, bits, queries);
}

/* Result q + 1 is refused, q is not, and a refusal changes nothing. */
START_TEST(one_kind)
{
    static const double queries[] = {1, 2, 3, 7, 10, 49, 200};
    char before[4096], after[4096];
    struct stat info;
    for (size_t i = 0; i < sizeof queries / sizeof queries[0]; i++) {
        open_folder();
        for (double k = 0; k < queries[i]; k++) ck_assert_ok(take(4.5, queries[i]));
        size_t length = read_count(before, sizeof before);
        ck_assert_fails(take(4.5, queries[i]), FHOLA_SECURITY);
        ck_assert_ptr_nonnull(strstr(fhola_detail(), path));
        ck_assert_ptr_nonnull(strstr(fhola_detail(), "make a new key"));
        char results[32];
        snprintf(results, sizeof results, ": %.0f result", queries[i]);
        ck_assert_ptr_nonnull(strstr(fhola_detail(), results));
        ck_assert_uint_eq(read_count(after, sizeof after), length);
        ck_assert_mem_eq(before, after, length);
        ck_assert_int_eq(stat(path, &info), 0);
        ck_assert_int_eq(info.st_mode & 0777, 0600);
        close_folder();
    }
}
END_TEST

/* Other noise after the first: what was promised before holds as well. */
START_TEST(kinds_mixed)
{
    open_folder();
    ck_assert_ok(take(10, 2)); /* half of what 10 bits allow */
    ck_assert_fails(take(4, 1), FHOLA_SECURITY);
    ck_assert_ptr_nonnull(strstr(fhola_detail(), "for 128 queries"));
    ck_assert_fails(take(4, 127), FHOLA_SECURITY);
    ck_assert_ok(take(4, 128)); /* as much noise as the first */
    ck_assert_fails(take(4, 1e9), FHOLA_SECURITY);
    ck_assert_fails(take(10, 1e9), FHOLA_SECURITY);
    close_folder();

    open_folder();
    ck_assert_ok(take(4, 1e9)); /* more than 64 times as many would do for 10 bits */
    ck_assert_ok(take(10, 2));
    ck_assert_fails(take(10, 2), FHOLA_SECURITY);
    ck_assert_ptr_nonnull(strstr(fhola_detail(), "for 3 queries"));
    ck_assert_fails(take(40, 1e9), FHOLA_SECURITY); /* too late for so many bits */
    ck_assert_ptr_null(strstr(fhola_detail(), "queries:"));
    close_folder();

    open_folder();
    ck_assert_ok(take(4, 3)); /* thirds and sixths make one */
    ck_assert_ok(take(4, 3));
    ck_assert_ok(take(4, 6));
    ck_assert_ok(take(4, 6));
    ck_assert_fails(take(4, 1e9), FHOLA_SECURITY);
    close_folder();
}
END_TEST

/* The advantage of any sequence, from the noise that each result gets: the divergence of a result
 * whose error is at most 1 from the exact one is 1 / (2 sigma^2), those of all add up, and half of
 * the sum is at most the square of the advantage (Pinsker). */
START_TEST(advantage)
{
    for (int run = 0; run < 20; run++) {
        double divergence = 0, most = 0;
        unsigned accepted = 0;
        open_folder();
        for (int k = 0; k < 60; k++) {
            double bits = floor(4 * (1 + random_unit())),
                   queries = ceil(exp2(5 * (1 + random_unit())));
            if (take(bits, queries) != FHOLA_OK) continue;
            accepted++;
            double sigma = ckks_flood_deviation(bits, queries, 1);
            divergence += 1 / (2 * sigma * sigma);
            most = fmax(most, bits);
            ck_assert_double_le(sqrt(divergence / 2), exp2(-most / 2 - 2.79));
        }
        ck_assert_uint_ge(accepted, 1);
        close_folder();
    }
}
END_TEST

/* Several processes at once count one after the other, the first one that makes the file, too. */
START_TEST(processes)
{
    enum { PROCESSES = 4, EACH = 30, QUERIES = 50 };
    pid_t process[PROCESSES];
    int accepted = 0;
    open_folder();
    for (int i = 0; i < PROCESSES; i++) {
        process[i] = fork();
        ck_assert_int_ge(process[i], 0);
        if (process[i] == 0) {
            int taken = 0;
            (void)alarm(60);
            for (int k = 0; k < EACH; k++) taken += take(3, QUERIES) == FHOLA_OK;
            _exit(taken);
        }
    }
    for (int i = 0; i < PROCESSES; i++) {
        int code;
        ck_assert_int_eq(waitpid(process[i], &code, 0), process[i]);
        ck_assert(WIFEXITED(code));
        accepted += WEXITSTATUS(code);
    }
    ck_assert_int_eq(accepted, QUERIES);
    ck_assert_fails(take(3, QUERIES), FHOLA_SECURITY);
    close_folder();
}
END_TEST

/* Never begun anew: not with any byte changed, nor cut at any length, nor longer. */
START_TEST(damaged)
{
    char text[4096];
    open_folder();
    ck_assert_ok(take(4, 20));
    ck_assert_ok(take(0.5, 1000));
    size_t length = read_count(text, sizeof text);
    for (size_t i = 0; i < length; i++)
        for (int flip = 1; flip < 256; flip *= 2) {
            text[i] ^= (char)flip;
            write_count(text, length);
            text[i] ^= (char)flip;
            fhola_status status = take(4, 20);
            ck_assert_msg(status == FHOLA_FORMAT || status == FHOLA_KEY, "byte %zu: %s", i,
                          fhola_strerror(status));
            ck_assert_ptr_nonnull(strstr(fhola_detail(), path));
        }
    for (size_t i = 0; i < length; i++) {
        write_count(text, i);
        ck_assert_fails(take(4, 20), FHOLA_FORMAT);
    }
    text[length] = '\n';
    write_count(text, length + 1);
    ck_assert_fails(take(4, 20), FHOLA_FORMAT);
    write_count(text, length);
    ck_assert_ok(take(4, 20));
    close_folder();
}
END_TEST

/* Of another key, or a version to come; a link, a folder. */
START_TEST(foreign)
{
    char other[100];
    open_folder();
    ck_assert_ok(nn_flooded_take(path, KEY + 1, 4, 20));
    ck_assert_fails(take(4, 20), FHOLA_KEY);
    ck_assert_ptr_nonnull(strstr(fhola_detail(), "another key"));
    static const char version[] = "{\"format\": \"fhola-flooded\", \"version\": 2, "
                                  "\"key\": \"0123456789abcdef\", \"more\": 1}";
    write_count(version, sizeof version - 1);
    ck_assert_fails(take(4, 20), FHOLA_FORMAT);
    ck_assert_ptr_nonnull(strstr(fhola_detail(), "version 2"));
    (void)unlink(path);
    snprintf(other, sizeof other, "%s/other", folder);
    for (int there = 0; there < 2; there++) { /* a link to nothing, a link to a count */
        if (there) ck_assert_ok(nn_flooded_take(other, KEY, 4, 20));
        ck_assert_int_eq(symlink(other, path), 0);
        ck_assert_fails(take(4, 20), FHOLA_IO);
        (void)unlink(path);
        ck_assert_int_eq(access(other, F_OK), there ? 0 : -1);
    }
    (void)unlink(other);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    ck_assert_fails(take(4, 20), FHOLA_IO);
    (void)rmdir(path);
    close_folder();
}
END_TEST

/* Runs `what` in a process of its own. */
static void in_child(void (*what)(void))
{
    int code = 1;
    pid_t process = fork();
    ck_assert_int_ge(process, 0);
    if (process == 0) {
        what();
        _exit(take(4, 20) == FHOLA_IO && strstr(fhola_detail(), path) ? 0 : 1);
    }
    ck_assert_int_eq(waitpid(process, &code, 0), process);
    ck_assert_int_eq(code, 0);
}

static void become_nobody(void)
{
    if (geteuid() == 0 && (setegid(65534) != 0 || seteuid(65534) != 0)) _exit(2);
}

static void fill_disk(void)
{
    const struct rlimit none = {0, 0};
    (void)signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &none) != 0) _exit(2);
}

/* What cannot be counted is refused: no count yet, and one that cannot be rewritten. */
START_TEST(not_writable)
{
    char before[4096], after[4096];
    open_folder();
    for (int there = 0; there < 2; there++) {
        if (there) ck_assert_ok(take(4, 20));
        if (there) ck_assert_int_eq(chmod(path, 0644), 0); /* that nobody may read it */
        size_t length = read_count(before, sizeof before);
        ck_assert_int_eq(chmod(folder, 0555), 0);
        in_child(become_nobody);
        ck_assert_int_eq(chmod(folder, 0700), 0);
        in_child(fill_disk);
        ck_assert_uint_eq(read_count(after, sizeof after), length);
        ck_assert_mem_eq(before, after, length);
    }
    close_folder();
}
END_TEST

/* Beside what links lead to; where nothing is, and where nothing can stay. */
START_TEST(places)
{
    char file[80], link[80], fifo[80], *found = NULL;
    open_folder();
    snprintf(file, sizeof file, "%s/k", folder);
    snprintf(link, sizeof link, "%s-link", folder);
    snprintf(fifo, sizeof fifo, "%s/fifo", folder);
    ck_assert_fails(nn_flooded_path(&found, file, KEY), FHOLA_IO);
    int made = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_ge(made, 0);
    (void)close(made);
    ck_assert_int_eq(symlink(file, link), 0);
    ck_assert_ok(nn_flooded_path(&found, link, KEY));
    ck_assert_str_eq(found, path);
    free(found);
    found = NULL;
    ck_assert_int_eq(mkfifo(fifo, 0600), 0);
    ck_assert_fails(nn_flooded_path(&found, fifo, KEY), FHOLA_PARAM);
    ck_assert_ptr_null(found);
    (void)unlink(fifo);
    (void)unlink(link);
    (void)unlink(file);
    close_folder();
}
END_TEST

/* As many kinds of noise as a file may hold, and no more. */
START_TEST(many_kinds)
{
    unsigned taken = 0;
    open_folder();
    while (taken < 2000 && take(0, 1e9 - taken) == FHOLA_OK) taken++;
    ck_assert_uint_eq(taken, 1024);
    ck_assert_fails(take(0, 1), FHOLA_SECURITY);
    ck_assert_fails(take(0, 1000), FHOLA_SECURITY);
    ck_assert_ptr_nonnull(strstr(fhola_detail(), "1024 kinds"));
    ck_assert_ok(take(0, 1e9));
    close_folder();
}
END_TEST

static void add_tests(TCase *tcase)
{
    tcase_add_test(tcase, one_kind);
    tcase_add_test(tcase, kinds_mixed);
    tcase_add_test(tcase, advantage);
    tcase_add_test(tcase, processes);
    tcase_add_test(tcase, damaged);
    tcase_add_test(tcase, foreign);
    tcase_add_test(tcase, not_writable);
    tcase_add_test(tcase, places);
    tcase_add_test(tcase, many_kinds);
}

int main(void)
{
    test_seed(0);
    return test_run("flooded", add_tests, 120);
}
