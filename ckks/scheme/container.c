/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "ckks/scheme/container.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "ckks/kernel/packed.h"
#include "ckks/output.h"
#include "ckks/ring/chacha20.h"
#include "ckks/scheme/params.h"

/* As in PNG: a byte above 127, and line ends that a transfer as text would change. */
static const unsigned char magic[8] = {0x89, 'F', 'H', 'O', 'L', 'A', '\r', '\n'};

#define PARAMS_TAG "PARM"
#define END_TAG    "END "
#define SKIP_STEP  ((size_t)1 << 16)

/* A chunk's head, taken apart. */
typedef struct chunk_head {
    uint64_t length, hash;
} chunk_head;

struct ckks_writer {
    FILE *stream; /* of the caller; NULL: `output` */
    ckks_output output;
    char *name; /* for messages */
    int inside; /* between begin and end */
    int done;   /* committed, where that can be done only once */
    uint32_t chunks;
    uint64_t offset;
};

struct ckks_reader {
    FILE *stream;
    int owned;
    unsigned char first[CKKS_LOOK_BYTES]; /* before what the stream still has */
    size_t first_length;
    char *name;
    int allow_insecure;
    int inside; /* between begin and end */
    int peeked; /* `head` is that of a container that has not been begun */
    ckks_file_head head;
    ckks_params *params;
    unsigned char spec[CKKS_SPEC_BYTES]; /* what `params` was made from */
    char tag[5];                         /* of the current chunk; "": none yet */
    /* heads read in this container; number of the current chunk */
    uint32_t chunks, chunk;
    uint64_t chunk_offset; /* of its head */
    int ahead;             /* its head has been read, but nobody has asked for the chunk */
    chunk_head ahead_head;
    uint64_t offset;
    unsigned char *buffer;
    size_t capacity;
};

const char *ckks_file_kind_name(ckks_file_kind kind)
{
    switch (kind) {
    case CKKS_FILE_ANY: break;
    case CKKS_FILE_SECRET_KEY: return "a secret key";
    case CKKS_FILE_PUBLIC_KEY: return "a public key";
    case CKKS_FILE_EVAL_KEYS: return "evaluation keys";
    case CKKS_FILE_CIPHERTEXT: return "a ciphertext";
    case CKKS_FILE_CLIENT: return "a client file";
    case CKKS_FILE_NETWORK: return "a compiled network";
    }
    return "an unknown kind of object";
}

/* ---- packed residues ---- */

static inline uint64_t load_word(const void *words, unsigned width, size_t i)
{
    return width == 8 ? ((const uint64_t *)words)[i] : ckks_packed_get(words, width, i);
}

static inline void store_word(void *words, unsigned width, size_t i, uint64_t x)
{
    if (width == 8)
        ((uint64_t *)words)[i] = x;
    else
        ckks_packed_put(words, width, i, x);
}

void ckks_pack_bits(unsigned char *out, const void *words, unsigned width, size_t n, unsigned bits)
{
    uint64_t room = 0, mask = ((uint64_t)1 << bits) - 1;
    unsigned fill = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t x = load_word(words, width, i) & mask;
        room |= x << fill;
        fill += bits;
        if (fill < 64) continue;
        ckks_put64(out, room);
        out += 8;
        fill -= 64;
        room = fill ? x >> (bits - fill) : 0;
    }
    for (; fill >= 8; fill -= 8, room >>= 8) *out++ = (unsigned char)room;
}

size_t ckks_unpack_bits(void *words, unsigned width, const unsigned char *in, size_t n,
                        unsigned bits, uint64_t p)
{
    uint64_t mask = ((uint64_t)1 << bits) - 1;
    size_t bad = 0;
    for (size_t i = 0; i < n; i++) {
        size_t bit = i * bits;
        uint64_t x = ckks_get64(in + bit / 8) >> (bit % 8) & mask;
        bad += x >= p;
        store_word(words, width, i, x);
    }
    return bad;
}

/* ---- specification of parameters ---- */

/* Where its parts start: whole numbers at 0, whether it is insecure, real numbers, scales. */
#define SPEC_INSECURE 44u
#define SPEC_REALS    48u
#define SPEC_SCALES   128u

void ckks_spec_to_bytes(unsigned char out[CKKS_SPEC_BYTES], const ckks_params_spec *spec)
{
    unsigned char *real = out + SPEC_REALS;
    memset(out, 0, CKKS_SPEC_BYTES);
#define PUT_WHOLE(name, slot, need) ckks_put32(out + 4 * (slot), spec->name);
#define PUT_REAL(name, slot, need)  ckks_put_double(real + 8 * (slot), spec->name);
#define PUT_PAIR(name, slot, need)                                                                 \
    for (unsigned i = 0; i < 2; i++) ckks_put_double(real + 8 * ((slot) + i), spec->name[i]);
#define PUT_SCALES(name, need)                                                                     \
    for (unsigned i = 0; i < CKKS_MAX_EVAL_MOD_LEVELS; i++)                                        \
        ckks_put_double(out + SPEC_SCALES + 8 * i, spec->name[i]);
    CKKS_PARAMS_FIELDS(PUT_WHOLE, PUT_WHOLE, PUT_REAL, PUT_PAIR, PUT_SCALES)
    ckks_put32(out + SPEC_INSECURE, spec->insecure != 0);
}

void ckks_spec_from_bytes(ckks_params_spec *spec, const unsigned char in[CKKS_SPEC_BYTES])
{
    const unsigned char *real = in + SPEC_REALS;
#define GET_WHOLE(name, slot, need) spec->name = ckks_get32(in + 4 * (slot));
#define GET_REAL(name, slot, need)  spec->name = ckks_get_double(real + 8 * (slot));
#define GET_PAIR(name, slot, need)                                                                 \
    for (unsigned i = 0; i < 2; i++) spec->name[i] = ckks_get_double(real + 8 * ((slot) + i));
#define GET_SCALES(name, need)                                                                     \
    for (unsigned i = 0; i < CKKS_MAX_EVAL_MOD_LEVELS; i++)                                        \
        spec->name[i] = ckks_get_double(in + SPEC_SCALES + 8 * i);
    CKKS_PARAMS_FIELDS(GET_WHOLE, GET_WHOLE, GET_REAL, GET_PAIR, GET_SCALES)
    spec->insecure = ckks_get32(in + SPEC_INSECURE) != 0;
}

/* ---- writing ---- */

static char *copy_string(const char *string)
{
    size_t bytes = strlen(string) + 1;
    char *copy = malloc(bytes);
    if (copy) memcpy(copy, string, bytes);
    return copy;
}

static fhola_status new_writer(ckks_writer **out, FILE *stream, const char *name)
{
    ckks_writer *w = calloc(1, sizeof *w);
    char *copy = copy_string(name);
    if (!w || !copy) {
        free(w);
        free(copy);
        return fhola_fail(FHOLA_NOMEM, "%s: no memory to write", name);
    }
    w->stream = stream;
    w->name = copy;
    *out = w;
    return FHOLA_OK;
}

fhola_status ckks_writer_create(ckks_writer **out, FILE *stream, const char *name)
{
    return stream ? new_writer(out, stream, name)
                  : fhola_fail(FHOLA_PARAM, "%s: no stream to write to", name);
}

fhola_status ckks_writer_open(ckks_writer **out, const char *path, unsigned flags)
{
    ckks_writer *w = NULL;
    fhola_status st = new_writer(&w, NULL, path);
    if (!st) st = ckks_output_open(&w->output, path, flags);
    if (st)
        ckks_writer_destroy(w);
    else
        *out = w;
    return st;
}

static fhola_status write_failed(const ckks_writer *w)
{
    return fhola_fail(FHOLA_IO, "%s: writing at byte %llu: %s", w->name,
                      (unsigned long long)w->offset, errno ? strerror(errno) : "short write");
}

/* FHOLA_OK if all that belongs to the writer's file has been written. */
static fhola_status check_complete(const ckks_writer *w)
{
    if (w->done) return fhola_fail(FHOLA_PARAM, "%s: was written already", w->name);
    if (w->inside) return fhola_fail(FHOLA_PARAM, "%s: the last container was not ended", w->name);
    return FHOLA_OK;
}

fhola_status ckks_writer_commit(ckks_writer *w)
{
    fhola_status st = check_complete(w);
    if (st) return st;
    if (w->stream) {
        errno = 0;
        return fflush(w->stream) != 0 || ferror(w->stream) ? write_failed(w) : FHOLA_OK;
    }
    st = ckks_output_commit(&w->output);
    w->done = !st;
    return st;
}

fhola_status ckks_writer_commit_both(ckks_writer *first, ckks_writer *second)
{
    fhola_status st = check_complete(first);
    if (!st) st = check_complete(second);
    if (!st && (first->stream || second->stream))
        st = fhola_fail(FHOLA_PARAM, "%s, %s: only named files are committed together", first->name,
                        second->name);
    if (!st) st = ckks_output_commit_both(&first->output, &second->output);
    first->done = second->done = !st;
    return st;
}

static ckks_file_id file_of(FILE *stream)
{
    struct stat info;
    int descriptor = fileno(stream);
    if (descriptor < 0 || fstat(descriptor, &info) != 0 || !S_ISREG(info.st_mode))
        return (ckks_file_id){0, 0};
    return (ckks_file_id){(uint64_t)info.st_dev, (uint64_t)info.st_ino};
}

fhola_status ckks_writer_spare(const ckks_writer *w, ckks_file_id file)
{
    ckks_file_id own = {0, 0};
    if (w->stream)
        own = file_of(w->stream);
    else
        ckks_output_replaces(&w->output, &own.device, &own.inode);
    if (!own.inode || own.inode != file.inode || own.device != file.device) return FHOLA_OK;
    return fhola_fail(FHOLA_PARAM, "%s: is read from, and would be overwritten", w->name);
}

void ckks_writer_destroy(ckks_writer *w)
{
    if (!w) return;
    ckks_output_clear(&w->output);
    free(w->name);
    free(w);
}

uint64_t ckks_writer_bytes(const ckks_writer *w)
{
    return w->offset;
}

static fhola_status write_bytes(ckks_writer *w, const void *bytes, size_t length)
{
    if (w->done) return fhola_fail(FHOLA_PARAM, "%s: was written already", w->name);
    errno = 0;
    size_t done = !length     ? 0
                  : w->stream ? fwrite(bytes, 1, length, w->stream)
                              : ckks_output_write(&w->output, bytes, length);
    w->offset += done;
    return done == length ? FHOLA_OK : write_failed(w);
}

static fhola_status write_chunk(ckks_writer *w, const char *tag, const void *content, size_t length)
{
    unsigned char head[CKKS_CHUNK_HEAD_BYTES];
    memcpy(head, tag, 4);
    ckks_put32(head + 4, w->chunks++);
    ckks_put64(head + 8, length);
    ckks_put64(head + 16, XXH3_64bits(content, length));
    ckks_put64(head + 24, XXH3_64bits(head, 24));
    fhola_status st = write_bytes(w, head, sizeof head);
    return st ? st : write_bytes(w, content, length);
}

fhola_status ckks_writer_begin(ckks_writer *w, ckks_file_kind kind, const ckks_params *params,
                               uint64_t key)
{
    unsigned char head[CKKS_HEAD_BYTES], spec[CKKS_SPEC_BYTES];
    if (w->inside) return fhola_fail(FHOLA_PARAM, "%s: the last container was not ended", w->name);
    if (kind == CKKS_FILE_ANY)
        return fhola_fail(FHOLA_PARAM, "%s: a container needs a kind", w->name);
    memcpy(head, magic, sizeof magic);
    ckks_put32(head + 8, CKKS_FILE_VERSION);
    ckks_put32(head + 12, (uint32_t)kind);
    ckks_put64(head + 16, ckks_params_hash(params));
    ckks_put64(head + 24, key);
    ckks_put64(head + 32, XXH3_64bits(head, 32));
    ckks_spec_to_bytes(spec, ckks_params_get_spec(params));
    w->inside = 1;
    w->chunks = 0;
    fhola_status st = write_bytes(w, head, sizeof head);
    return st ? st : write_chunk(w, PARAMS_TAG, spec, sizeof spec);
}

fhola_status ckks_writer_chunk(ckks_writer *w, const char *tag, const void *content, size_t length)
{
    if (!w->inside) return fhola_fail(FHOLA_PARAM, "%s: a chunk needs a container", w->name);
    if (strlen(tag) != 4 || !strcmp(tag, END_TAG))
        return fhola_fail(FHOLA_PARAM, "%s: a chunk cannot be called '%s'", w->name, tag);
    return write_chunk(w, tag, content, length);
}

fhola_status ckks_writer_end(ckks_writer *w)
{
    if (!w->inside) return fhola_fail(FHOLA_PARAM, "%s: no container to end", w->name);
    w->inside = 0;
    return write_chunk(w, END_TAG, "", 0);
}

/* ---- reading: streams and messages ---- */

fhola_status ckks_reader_create(ckks_reader **out, FILE *stream, const char *name)
{
    if (!stream) return fhola_fail(FHOLA_PARAM, "%s: no stream to read from", name);
    ckks_reader *r = calloc(1, sizeof *r);
    char *copy = copy_string(name);
    if (!r || !copy) {
        free(r);
        free(copy);
        return fhola_fail(FHOLA_NOMEM, "%s: no memory to read", name);
    }
    r->stream = stream;
    r->name = copy;
    *out = r;
    return FHOLA_OK;
}

fhola_status ckks_reader_open(ckks_reader **out, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    FILE *stream = fd >= 0 ? fdopen(fd, "rb") : NULL;
    if (!stream) {
        fhola_status st = fhola_fail(FHOLA_IO, "%s: %s", path, strerror(errno));
        if (fd >= 0) (void)close(fd);
        return st;
    }
    (void)setvbuf(stream, NULL, _IONBF, 0);
    fhola_status st = ckks_reader_create(out, stream, path);
    if (st)
        (void)fclose(stream);
    else
        (*out)->owned = 1;
    return st;
}

ckks_file_id ckks_reader_file(const ckks_reader *r)
{
    return file_of(r->stream);
}

void ckks_reader_destroy(ckks_reader *r)
{
    if (!r) return;
    if (r->owned) (void)fclose(r->stream);
    if (r->buffer) ckks_wipe(r->buffer, r->capacity);
    free(r->buffer);
    ckks_params_destroy(r->params);
    free(r->name);
    free(r);
}

void ckks_reader_allow_insecure(ckks_reader *r)
{
    r->allow_insecure = 1;
}

ckks_file_head ckks_reader_head(const ckks_reader *r)
{
    return r->head;
}

const ckks_params *ckks_reader_params(const ckks_reader *r)
{
    return r->params;
}

fhola_status ckks_reader_fail(const ckks_reader *r, fhola_status status, const char *format, ...)
{
    char message[512];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    if (!r->tag[0])
        return fhola_fail(status, "%s: byte %llu: %s", r->name, (unsigned long long)r->chunk_offset,
                          message);
    return fhola_fail(status, "%s: chunk %u '%s' at byte %llu: %s", r->name, r->chunk, r->tag,
                      (unsigned long long)r->chunk_offset, message);
}

/* Reads up to `length` bytes; fewer only at the end of the stream. */
static fhola_status read_some(ckks_reader *r, void *out, size_t length, size_t *got)
{
    size_t first = length < r->first_length ? length : r->first_length;
    memcpy(out, r->first, first);
    memmove(r->first, r->first + first, r->first_length - first);
    r->first_length -= first;
    errno = 0;
    *got = first;
    if (length > first) *got += fread((unsigned char *)out + first, 1, length - first, r->stream);
    r->offset += *got;
    if (*got < length && ferror(r->stream))
        return fhola_fail(FHOLA_IO, "%s: reading at byte %llu: %s", r->name,
                          (unsigned long long)r->offset, errno ? strerror(errno) : "error");
    return FHOLA_OK;
}

static fhola_status read_all(ckks_reader *r, void *out, size_t length)
{
    size_t got;
    fhola_status st = read_some(r, out, length, &got);
    if (st || got == length) return st;
    return ckks_reader_fail(r, FHOLA_FORMAT, "truncated: the data ends at byte %llu",
                            (unsigned long long)r->offset);
}

/* ---- reading: chunks ---- */

/* For messages only: a tag that may be anything. */
static void keep_tag(ckks_reader *r, const unsigned char *tag)
{
    for (int i = 0; i < 4; i++) r->tag[i] = tag[i] >= 0x20 && tag[i] < 0x7f ? (char)tag[i] : '?';
}

static fhola_status read_chunk_head(ckks_reader *r, chunk_head *head)
{
    unsigned char bytes[CKKS_CHUNK_HEAD_BYTES];
    *head = (chunk_head){0, 0}; /* gcc does not see that it is filled in when nothing fails */
    if (!r->inside) return fhola_fail(FHOLA_PARAM, "%s: no container has been begun", r->name);
    if (r->ahead) {
        *head = r->ahead_head;
        r->ahead = 0;
        return FHOLA_OK;
    }
    r->chunk_offset = r->offset;
    r->chunk = r->chunks++;
    memcpy(r->tag, "head", 5);
    fhola_status st = read_all(r, bytes, sizeof bytes);
    if (st) return st;
    if (ckks_get64(bytes + 24) != XXH3_64bits(bytes, 24))
        return ckks_reader_fail(r, FHOLA_FORMAT, "the chunk's head is damaged");
    keep_tag(r, bytes);
    if (ckks_get32(bytes + 4) != r->chunk)
        return ckks_reader_fail(
            r, FHOLA_FORMAT, "the chunk says it is number %u: a chunk is missing or out of place",
            ckks_get32(bytes + 4));
    head->length = ckks_get64(bytes + 8);
    head->hash = ckks_get64(bytes + 16);
    if (!strcmp(r->tag, END_TAG) && head->length)
        return ckks_reader_fail(r, FHOLA_FORMAT, "the end mark is not empty");
    return FHOLA_OK;
}

static fhola_status grow(ckks_reader *r, size_t length)
{
    size_t need = length + CKKS_UNPACK_SLACK;
    if (need <= r->capacity) return FHOLA_OK;
    unsigned char *buffer = calloc(need, 1);
    if (!buffer) return ckks_reader_fail(r, FHOLA_NOMEM, "no memory for %zu bytes", length);
    if (r->buffer) ckks_wipe(r->buffer, r->capacity);
    free(r->buffer);
    r->buffer = buffer;
    r->capacity = need;
    return FHOLA_OK;
}

static fhola_status wrong_checksum(const ckks_reader *r)
{
    return ckks_reader_fail(r, FHOLA_FORMAT, "the content does not match its checksum");
}

fhola_status ckks_reader_chunk(ckks_reader *r, const char *tag, size_t min, size_t max,
                               const unsigned char **content, size_t *length)
{
    chunk_head head;
    fhola_status st = read_chunk_head(r, &head);
    if (st) return st;
    if (strcmp(r->tag, tag) != 0)
        return ckks_reader_fail(r, FHOLA_FORMAT, "chunk '%s' must come here", tag);
    if (head.length < min || head.length > max)
        return min == max ? ckks_reader_fail(r, FHOLA_FORMAT, "the length is %llu, must be %zu",
                                             (unsigned long long)head.length, min)
                          : ckks_reader_fail(r, FHOLA_FORMAT, "the length %llu is not in %zu..%zu",
                                             (unsigned long long)head.length, min, max);
    size_t bytes = (size_t)head.length;
    st = grow(r, bytes);
    if (!st) st = read_all(r, r->buffer, bytes);
    if (st) return st;
    int damaged = XXH3_64bits(r->buffer, bytes) != head.hash;
    ckks_declassify(&damaged, sizeof damaged); /* whether a file is accepted */
    if (damaged) return wrong_checksum(r);
    *content = r->buffer;
    if (length) *length = bytes;
    return FHOLA_OK;
}

fhola_status ckks_reader_next(ckks_reader *r, ckks_chunk_info *info)
{
    chunk_head head;
    fhola_status st = read_chunk_head(r, &head);
    if (st) return st;
    r->ahead = 1;
    r->ahead_head = head;
    memcpy(info->tag, r->tag, sizeof info->tag);
    info->offset = r->offset;
    info->length = head.length;
    return FHOLA_OK;
}

void ckks_reader_extent(const ckks_reader *r, uint64_t *bytes, uint32_t *chunks)
{
    *bytes = r->offset - r->head.offset;
    *chunks = r->chunks;
}

fhola_status ckks_reader_skip(ckks_reader *r, ckks_chunk_info *info)
{
    chunk_head head;
    XXH3_state_t hash;
    fhola_status st = read_chunk_head(r, &head);
    if (!st) st = grow(r, SKIP_STEP);
    if (st) return st;
    memcpy(info->tag, r->tag, sizeof info->tag);
    info->offset = r->offset;
    info->length = head.length;
    (void)XXH3_64bits_reset(&hash);
    for (uint64_t left = head.length; left;) {
        size_t step = left < SKIP_STEP ? (size_t)left : SKIP_STEP;
        st = read_all(r, r->buffer, step);
        if (st) return st;
        (void)XXH3_64bits_update(&hash, r->buffer, step);
        left -= step;
    }
    if (XXH3_64bits_digest(&hash) != head.hash) return wrong_checksum(r);
    if (!strcmp(r->tag, END_TAG)) r->inside = 0;
    return FHOLA_OK;
}

fhola_status ckks_reader_end(ckks_reader *r)
{
    const unsigned char *content;
    fhola_status st = ckks_reader_chunk(r, END_TAG, 0, 0, &content, NULL);
    if (!st) r->inside = 0;
    return st;
}

fhola_status ckks_reader_finish(ckks_reader *r)
{
    unsigned char byte;
    size_t got = 0;
    fhola_status st = ckks_reader_end(r);
    if (!st) st = read_some(r, &byte, 1, &got);
    if (st || !got) return st;
    return fhola_fail(FHOLA_FORMAT, "%s: something follows the end at byte %llu", r->name,
                      (unsigned long long)r->offset - 1);
}

/* ---- reading: heads ---- */

/* The magic as a transfer as text leaves it: CR LF as LF, LF as CR LF, or only 7 bits. */
static int lines_changed(const unsigned char *bytes, size_t length)
{
    if (length < 7 || memcmp(bytes + 1, magic + 1, 5) != 0) return 0;
    return bytes[0] == magic[0] || bytes[0] == (magic[0] & 0x7f);
}

int ckks_is_container(const unsigned char *bytes, size_t length)
{
    if (lines_changed(bytes, length)) return 1;
    return length > 0 && memcmp(bytes, magic, length < sizeof magic ? length : sizeof magic) == 0;
}

void ckks_reader_unread(ckks_reader *r, const unsigned char *bytes, size_t length)
{
    memcpy(r->first, bytes, length);
    r->first_length = length;
}

/* What the first 12 of the `got` bytes of a head say: the magic and the format version. */
static fhola_status check_format(const ckks_reader *r, const unsigned char *bytes, size_t got)
{
    if (memcmp(bytes, magic, got < sizeof magic ? got : sizeof magic) != 0)
        return ckks_reader_fail(r, FHOLA_FORMAT, "%s",
                                lines_changed(bytes, got)
                                    ? "a fhola file that was damaged by a transfer as text, which "
                                      "changes line ends: transfer it as binary"
                                    : "not a fhola file");
    if (got < 12)
        return ckks_reader_fail(r, FHOLA_FORMAT, "truncated: the data ends at byte %llu",
                                (unsigned long long)r->offset);
    uint32_t version = ckks_get32(bytes + 8);
    if (version < CKKS_FILE_VERSION)
        return ckks_reader_fail(r, FHOLA_FORMAT,
                                "format version %u is older than version %u, the one this program "
                                "reads: compile the network and make the keys anew",
                                version, CKKS_FILE_VERSION);
    if (version > CKKS_FILE_VERSION)
        return ckks_reader_fail(r, FHOLA_FORMAT,
                                "format version %u is newer than version %u, the one this program "
                                "reads",
                                version, CKKS_FILE_VERSION);
    return FHOLA_OK;
}

static fhola_status read_head(ckks_reader *r, int *more)
{
    unsigned char bytes[CKKS_HEAD_BYTES];
    size_t got;
    r->chunk_offset = r->offset;
    r->tag[0] = 0;
    FHOLA_TRY(read_some(r, bytes, sizeof bytes, &got));
    if (got == 0 && more) {
        *more = 0;
        return FHOLA_OK;
    }
    if (got == 0)
        return fhola_fail(FHOLA_FORMAT, "%s: %s", r->name,
                          r->offset ? "ends where another object should follow" : "empty");
    FHOLA_TRY(check_format(r, bytes, got));
    if (got < sizeof bytes)
        return ckks_reader_fail(r, FHOLA_FORMAT, "truncated: the data ends at byte %llu",
                                (unsigned long long)r->offset);
    if (ckks_get64(bytes + 32) != XXH3_64bits(bytes, 32))
        return ckks_reader_fail(r, FHOLA_FORMAT, "the head is damaged");
    uint32_t kind = ckks_get32(bytes + 12);
    if (kind < CKKS_FILE_SECRET_KEY || kind > CKKS_FILE_NETWORK)
        return ckks_reader_fail(r, FHOLA_FORMAT, "unknown kind of object %u", kind);
    r->head = (ckks_file_head){(ckks_file_kind)kind, ckks_get64(bytes + 16), ckks_get64(bytes + 24),
                               r->chunk_offset};
    r->inside = 1;
    r->chunks = 0;
    if (more) *more = 1;
    return FHOLA_OK;
}

static fhola_status check_head(const ckks_reader *r, ckks_file_kind kind,
                               const ckks_context *context, uint64_t key)
{
    const ckks_file_head *h = &r->head;
    if (kind && h->kind != kind && h->kind == CKKS_FILE_SECRET_KEY)
        return fhola_fail(FHOLA_SECURITY,
                          "%s: a secret key instead of %s; it must stay with its owner", r->name,
                          ckks_file_kind_name(kind));
    if (kind && h->kind != kind)
        return fhola_fail(FHOLA_FORMAT, "%s: %s instead of %s", r->name,
                          ckks_file_kind_name(h->kind), ckks_file_kind_name(kind));
    if (context && h->params != ckks_params_hash(ckks_context_params(context)))
        return fhola_fail(FHOLA_KEY, "%s: %s for other parameters (%016llx, not %016llx)", r->name,
                          ckks_file_kind_name(h->kind), (unsigned long long)h->params,
                          (unsigned long long)ckks_params_hash(ckks_context_params(context)));
    if (key && h->key != key)
        return fhola_fail(FHOLA_KEY, "%s: %s of another key (%016llx, not %016llx)", r->name,
                          ckks_file_kind_name(h->kind), (unsigned long long)h->key,
                          (unsigned long long)key);
    return FHOLA_OK;
}

/* Makes the parameters, unless they are those of the container before. */
static fhola_status take_params(ckks_reader *r, const unsigned char *bytes)
{
    ckks_params_spec spec;
    if (r->params && !memcmp(bytes, r->spec, sizeof r->spec)) return FHOLA_OK;
    ckks_spec_from_bytes(&spec, bytes);
    if (spec.insecure && !r->allow_insecure)
        return ckks_reader_fail(r, FHOLA_SECURITY, "the parameters are marked as insecure");
    ckks_params *params = NULL;
    fhola_status st = ckks_params_create(&params, &spec);
    if (st) return ckks_reader_fail(r, st == FHOLA_PARAM ? FHOLA_FORMAT : st, "%s", fhola_detail());
    ckks_params_destroy(r->params);
    r->params = params;
    memcpy(r->spec, bytes, sizeof r->spec);
    return FHOLA_OK;
}

static fhola_status read_params(ckks_reader *r)
{
    const unsigned char *bytes;
    fhola_status st =
        ckks_reader_chunk(r, PARAMS_TAG, CKKS_SPEC_BYTES, CKKS_SPEC_BYTES, &bytes, NULL);
    if (!st) st = take_params(r, bytes);
    if (st || ckks_params_hash(r->params) == r->head.params) return st;
    return ckks_reader_fail(
        r, FHOLA_FORMAT, "the parameters have the hash %016llx, the head says %016llx",
        (unsigned long long)ckks_params_hash(r->params), (unsigned long long)r->head.params);
}

fhola_status ckks_reader_begin(ckks_reader *r, int *more, ckks_file_kind kind,
                               const ckks_context *context, uint64_t key)
{
    if (r->inside)
        return fhola_fail(FHOLA_PARAM, "%s: the last container was not read to its end", r->name);
    int found = 1;
    fhola_status st = FHOLA_OK;
    if (r->peeked)
        r->inside = 1;
    else
        st = read_head(r, more ? &found : NULL);
    r->peeked = 0;
    if (!st && found) st = check_head(r, kind, context, key);
    if (!st && found) st = read_params(r);
    if (!st && more) *more = found;
    return st;
}

fhola_status ckks_reader_peek(ckks_reader *r, int *more, ckks_file_kind kind)
{
    if (r->inside)
        return fhola_fail(FHOLA_PARAM, "%s: the last container was not read to its end", r->name);
    int found = 1;
    fhola_status st = r->peeked ? FHOLA_OK : read_head(r, more ? &found : NULL);
    r->peeked = !st && found;
    r->inside = 0;
    if (!st && found) st = check_head(r, kind, NULL, 0);
    if (!st && more) *more = found;
    return st;
}
