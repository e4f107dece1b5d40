/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "nn/base/file.h"

#include <sys/stat.h>

#include "check_nn_support.h"

START_TEST(reads_what_was_written)
{
    enum { LENGTH = 300000 }; /* several steps of the reader */
    unsigned char *bytes = malloc(LENGTH), *back = NULL;
    size_t length;
    for (size_t i = 0; i < LENGTH; i++) bytes[i] = (unsigned char)(i * i >> 3);
    const char *path = in_folder("some");
    for (size_t wanted = 0; wanted <= LENGTH; wanted = wanted < 10 ? wanted + 1 : wanted * 7) {
        succeed(nn_file_write(path, bytes, wanted));
        succeed(nn_file_read(&back, &length, path, LENGTH));
        ck_assert_uint_eq(length, wanted);
        ck_assert_int_eq(memcmp(back, bytes, wanted), 0);
        ck_assert_int_eq(back[wanted], 0);
        free(back);
    }
    free(bytes);
}
END_TEST

START_TEST(refuses_what_it_must)
{
    unsigned char *bytes = NULL;
    size_t length = 77;
    fail_with(nn_file_read(&bytes, &length, in_folder("nothing"), 100), FHOLA_IO,
              "nothing: No such file");
    fail_with(nn_file_read(&bytes, &length, test_folder, 100), FHOLA_IO, "directory");
    const char *path = write_string("ten", "0123456789");
    fail_with(nn_file_read(&bytes, &length, path, 9), FHOLA_FORMAT, "longer than 9 bytes");
    ck_assert_ptr_null(bytes);
    ck_assert_uint_eq(length, 77);
    fail_with(nn_file_write(in_folder("no/such/folder"), "x", 1), FHOLA_IO, "No such file");
}
END_TEST

/* A failed rename (onto a folder) leaves no temporary file. */
START_TEST(leaves_nothing_behind)
{
    const char *folder = in_folder("taken");
    char command[200];
    ck_assert_int_eq(mkdir(folder, 0700), 0);
    fail_with(nn_file_write(folder, "x", 1), FHOLA_IO, "taken");
    snprintf(command, sizeof command, "test -z \"$(find %s -name 'taken?*')\"", test_folder);
    ck_assert_int_eq(system(command), 0);
}
END_TEST

/* What a symbolic link leads to is replaced, not the link; a device gets the bytes and stays a
 * device. */
START_TEST(follows_links_and_keeps_devices)
{
    unsigned char *back = NULL;
    size_t length;
    struct stat info;
    const char *link = in_folder("link");
    (void)write_string("target", "before");
    ck_assert_int_eq(symlink("target", link), 0);
    succeed(nn_file_write(link, "after", 5));
    ck_assert_int_eq(lstat(link, &info), 0);
    ck_assert(S_ISLNK(info.st_mode));
    succeed(nn_file_read(&back, &length, in_folder("target"), 100));
    ck_assert_str_eq((char *)back, "after");
    free(back);
    /* through a link, lest a mistake replaces the device itself */
    link = in_folder("device");
    ck_assert_int_eq(symlink("/dev/null", link), 0);
    succeed(nn_file_write(link, "x", 1));
    ck_assert_int_eq(stat(link, &info), 0);
    ck_assert(S_ISCHR(info.st_mode));
    link = in_folder("full");
    ck_assert_int_eq(symlink("/dev/full", link), 0);
    if (access(link, W_OK) == 0)
        fail_with(nn_file_write(link, "x", 1), FHOLA_IO, "full: writing at byte 0: No space left");
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("file");
    tcase_add_test(tcase, reads_what_was_written);
    tcase_add_test(tcase, refuses_what_it_must);
    tcase_add_test(tcase, leaves_nothing_behind);
    tcase_add_test(tcase, follows_links_and_keeps_devices);
    return run_tests("file", tcase, 60);
}
