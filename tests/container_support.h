/* SPDX-License-Identifier: Apache-2.0 */
/* Containers in memory, streams that fail or stutter, and containers with one thing wrong but all
 * checksums right: what the tests of files share. Include it before anything else. */
#ifndef TESTS_CONTAINER_SUPPORT_H
#define TESTS_CONTAINER_SUPPORT_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* fopencookie */
#endif
#include <errno.h>
#include <stdio.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "ckks/scheme/container.h"
#include "tests/support.h"

/* ---- bytes in memory ---- */

typedef struct bytes {
    unsigned char *data;
    size_t length;
} bytes;

typedef struct memory_writer {
    ckks_writer *writer;
    FILE *stream;
    char *data;
    size_t length;
} memory_writer;

static inline void memory_open(memory_writer *m)
{
    m->data = NULL;
    m->stream = open_memstream(&m->data, &m->length);
    ck_assert_ptr_nonnull(m->stream);
    ck_assert_ok(ckks_writer_create(&m->writer, m->stream, "memory"));
}

static inline bytes memory_close(memory_writer *m)
{
    ck_assert_ok(ckks_writer_commit(m->writer));
    ckks_writer_destroy(m->writer);
    ck_assert_int_eq(fclose(m->stream), 0);
    return (bytes){(unsigned char *)m->data, m->length};
}

static inline bytes bytes_copy(bytes b)
{
    bytes c = {malloc(b.length + 1), b.length};
    ck_assert_ptr_nonnull(c.data);
    memcpy(c.data, b.data, b.length);
    return c;
}

/* ---- streams with limits ---- */

/* Reads hand over at most `step` bytes; at byte `fail_at` reads and writes fail with `error`. */
typedef struct limited {
    const unsigned char *data; /* what reads give */
    size_t length, at, step, fail_at;
    int error;
} limited;

static inline ssize_t limited_read(void *cookie, char *out, size_t size)
{
    limited *s = cookie;
    size_t left = s->length - s->at, until = s->fail_at - s->at;
    if (s->error && until == 0) {
        errno = s->error;
        return -1;
    }
    if (size > left) size = left;
    if (s->step && size > s->step) size = s->step;
    if (s->error && size > until) size = until;
    memcpy(out, s->data + s->at, size);
    s->at += size;
    return (ssize_t)size;
}

static inline ssize_t limited_write(void *cookie, const char *in, size_t size)
{
    limited *s = cookie;
    (void)in;
    if (size > s->fail_at - s->at) size = s->fail_at - s->at;
    if (size == 0) {
        errno = s->error;
        return 0; /* what a cookie's write returns for an error */
    }
    s->at += size;
    return (ssize_t)size;
}

static inline FILE *limited_open(limited *s, const char *mode)
{
    return fopencookie(s, mode,
                       (cookie_io_functions_t){.read = limited_read, .write = limited_write});
}

static inline FILE *limited_stream(limited *s, const char *mode)
{
    FILE *stream = limited_open(s, mode);
    ck_assert_ptr_nonnull(stream);
    return stream;
}

static inline ckks_reader *bytes_reader(bytes b, limited *s, FILE **stream)
{
    ckks_reader *r;
    *s = (limited){.data = b.data, .length = b.length};
    *stream = limited_stream(s, "rb");
    ck_assert_ok(ckks_reader_create(&r, *stream, "memory"));
    ckks_reader_allow_insecure(r);
    return r;
}

/* ---- what a container is made of ---- */

/* Position of the head of chunk `number` of the container at `start`. */
static inline size_t chunk_at(bytes b, size_t start, unsigned number)
{
    size_t at = start + CKKS_HEAD_BYTES;
    for (; number; number--) at += CKKS_CHUNK_HEAD_BYTES + (size_t)ckks_get64(b.data + at + 8);
    ck_assert_uint_le(at + CKKS_CHUNK_HEAD_BYTES, b.length);
    return at;
}

static inline unsigned char *chunk_content(bytes b, unsigned number)
{
    return b.data + chunk_at(b, 0, number) + CKKS_CHUNK_HEAD_BYTES;
}

/* Makes the checksums right again after a change. */
static inline void fix_head(bytes b)
{
    ckks_put64(b.data + 32, XXH3_64bits(b.data, 32));
}

static inline void fix_chunk_head(bytes b, unsigned number)
{
    unsigned char *head = b.data + chunk_at(b, 0, number);
    ckks_put64(head + 24, XXH3_64bits(head, 24));
}

static inline void fix_chunk(bytes b, unsigned number)
{
    unsigned char *head = b.data + chunk_at(b, 0, number);
    ckks_put64(head + 16, XXH3_64bits(head + CKKS_CHUNK_HEAD_BYTES, (size_t)ckks_get64(head + 8)));
    fix_chunk_head(b, number);
}

/* The detail message of the last failure contains `text`. */
#define ck_assert_detail(text)                                                                     \
    ck_assert_msg(strstr(fhola_detail(), text) != NULL, "the message \"%s\" does not say \"%s\"",  \
                  fhola_detail(), text)

#endif
