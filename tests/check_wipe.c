/* SPDX-License-Identifier: Apache-2.0 */
/* The secret key is nowhere in the memory of the process any more once its owner is gone: all that
 * the process may write is searched for it, in the form of its file and as coefficients. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "ckks/ckks.h"
#include "nn/nn.h"
#include "tests/small_network.h"
#include "tests/support.h"

#define PACKED  48u        /* bytes of the file's form that are searched for, 4 coefficients each */
#define PIECE   (1u << 20) /* memory is searched in pieces of this size */
#define PATTERN (4u * PACKED) /* the longer of both */

/* What is searched for, and the copy of the piece of memory that is searched; all in one place,
 * which is left out of the search. */
static struct {
    unsigned char packed[PACKED], unpacked[PATTERN], piece[PIECE + PATTERN];
} search;

static void load_pattern(const char *path)
{
    ckks_reader *reader = NULL;
    ckks_chunk_info info = {"", 0, 0};
    ck_assert_ok(ckks_reader_open(&reader, path));
    ck_assert_ok(ckks_reader_begin(reader, NULL, CKKS_FILE_SECRET_KEY, NULL, 0));
    while (strcmp(info.tag, "SKEY") != 0) ck_assert_ok(ckks_reader_skip(reader, &info));
    ckks_reader_destroy(reader);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ck_assert_int_ge(file, 0);
    ck_assert_int_eq(pread(file, search.packed, PACKED, (off_t)info.offset + 512), PACKED);
    (void)close(file);
    for (size_t i = 0; i < PATTERN; i++) {
        unsigned code = (unsigned)search.packed[i / 4] >> (2 * (i % 4)) & 3u;
        search.unpacked[i] = (unsigned char)(code == 3 ? 0xff : code); /* -1, 0 or 1 */
    }
}

static size_t count_of(const unsigned char *pattern, size_t length, size_t got)
{
    size_t found = 0;
    const unsigned char *at = search.piece, *end = search.piece + got;
    while ((at = memmem(at, (size_t)(end - at), pattern, length)) != NULL) {
        found++;
        at++;
    }
    return found;
}

/* How often either form is found in memory from `start` to `end`. */
static size_t count_in(int memory, unsigned long start, unsigned long end)
{
    size_t found = 0;
    for (unsigned long at = start; at < end; at += PIECE) {
        unsigned long own = (unsigned long)&search;
        if (at < own + sizeof search && own < at + PIECE + PATTERN) continue;
        size_t wanted = end - at < sizeof search.piece ? end - at : sizeof search.piece;
        ssize_t got = pread(memory, search.piece, wanted, (off_t)at);
        if (got <= 0) continue;
        found += count_of(search.packed, PACKED, (size_t)got) +
                 count_of(search.unpacked, PATTERN, (size_t)got);
    }
    return found;
}

static size_t count_everywhere(void)
{
    char line[512], rights[8];
    unsigned long start, end;
    size_t found = 0, searched = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    int memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    ck_assert(maps != NULL && memory >= 0);
    while (fgets(line, sizeof line, maps))
        if (sscanf(line, "%lx-%lx %7s", &start, &end, rights) == 3 && rights[0] == 'r' &&
            rights[1] == 'w') {
            found += count_in(memory, start, end);
            searched += end - start;
        }
    (void)fclose(maps);
    (void)close(memory);
    ck_assert_uint_gt(searched, 1u << 20);
    return found;
}

static char folder[] = "/tmp/check_wipe.XXXXXX";
static char network_path[64], client_path[64], secret_path[64], keys_path[64];

static void make_files(void)
{
    ckks_params *params = NULL;
    small_network s;
    ck_assert(mkdtemp(folder) != NULL);
    snprintf(network_path, sizeof network_path, "%s/n.fhola", folder);
    snprintf(client_path, sizeof client_path, "%s/n.client", folder);
    snprintf(secret_path, sizeof secret_path, "%s/secret.key", folder);
    snprintf(keys_path, sizeof keys_path, "%s/eval.keys", folder);
    small_network_init(&s, 1, 10, 0, 5);
    ck_assert_ok(ckks_params_named(&params, "R15"));
    ck_assert_ok(nn_compiled_save(network_path, client_path, params, &s.model, &s.plan));
    ckks_params_destroy(params);
    small_network_clear(&s);
}

static void remove_files(void)
{
    (void)remove(network_path);
    (void)remove(client_path);
    (void)remove(secret_path);
    (void)remove(keys_path);
    (void)remove(folder);
}

/* Encrypts a picture and tries to decrypt it, so that every use of the key has left its traces. */
static void use(nn_owner *owner)
{
    static double rgb[NN_PICTURE_VALUES], scores[10];
    FILE *stream = tmpfile();
    ckks_writer *out = NULL;
    ckks_reader *in = NULL;
    int more;
    ck_assert(stream != NULL);
    ck_assert_ok(ckks_writer_create(&out, stream, "stream"));
    ck_assert_ok(nn_owner_encrypt(owner, out, rgb));
    ck_assert_ok(ckks_writer_commit(out));
    ckks_writer_destroy(out);
    rewind(stream);
    ck_assert_ok(ckks_reader_create(&in, stream, "stream"));
    /* a picture is no result */
    ck_assert_int_eq(nn_owner_decrypt(owner, scores, in, &more), FHOLA_LEVEL);
    ckks_reader_destroy(in);
    (void)fclose(stream);
}

START_TEST(secret_is_wiped)
{
    nn_owner *owner = NULL;
    set_threads(0);
    make_files();
    ck_assert_ok(nn_owner_open_client(&owner, client_path));
    ck_assert_ok(nn_owner_generate(owner, secret_path, keys_path, NULL, NULL));
    use(owner);
    load_pattern(secret_path);
    ck_assert_uint_ge(count_everywhere(), 1); /* the search finds what is there */
    nn_owner_destroy(owner);
    ck_assert_uint_eq(count_everywhere(), 0);

    owner = NULL;
    ck_assert_ok(nn_owner_open_secret(&owner, secret_path));
    use(owner);
    ck_assert_uint_ge(count_everywhere(), 1);
    nn_owner_destroy(owner);
    ck_assert_uint_eq(count_everywhere(), 0);
    remove_files();
}
END_TEST

static void add(TCase *tcase)
{
    tcase_add_test(tcase, secret_is_wiped);
}

int main(void)
{
    return test_run("wipe", add, 120);
}
