/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "nn/cmd/mpi/batch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Chunks of a picture beside those of its ciphertexts, and their bytes with all heads: far more
 * than there are. */
#define OTHER_CHUNKS 16u
#define OTHER_BYTES  ((size_t)1 << 16)

void batch_clear(batch *b)
{
    free(b->bytes);
    free(b->results);
    *b = (batch){0};
}

/* ---- containers ---- */

/* No chunk is longer: two polynomials of all primes, a word for each number. */
static size_t longest_chunk(const nn_server *server)
{
    const ckks_params_spec *spec = ckks_params_get_spec(nn_server_params(server));
    return ((size_t)2 * CKKS_MAX_PRIMES * sizeof(uint64_t) << spec->log_n) + OTHER_BYTES;
}

/* The chunks of a container that has begun, up to its end. */
static fhola_status copy_chunks(ckks_writer *out, ckks_reader *in, const infer_job *job)
{
    const nn_network *network = nn_server_network(job->server);
    unsigned most = nn_client_ciphertexts(nn_network_client(network)) + OTHER_CHUNKS;
    const unsigned char *content;
    ckks_chunk_info chunk;
    size_t length;
    for (unsigned k = 0; k < most; k++) {
        FHOLA_TRY(ckks_reader_next(in, &chunk));
        if (strcmp(chunk.tag, "END ") == 0) return ckks_reader_end(in);
        FHOLA_TRY(
            ckks_reader_chunk(in, chunk.tag, 0, longest_chunk(job->server), &content, &length));
        FHOLA_TRY(ckks_writer_chunk(out, chunk.tag, content, length));
    }
    return ckks_reader_fail(in, FHOLA_FORMAT, "a picture has no more than %u chunks", most);
}

/* The next container as it is; *more = 0: there is none. */
static fhola_status copy_container(ckks_writer *out, ckks_reader *in, int *more,
                                   const infer_job *job)
{
    FHOLA_TRY(ckks_reader_begin(in, more, CKKS_FILE_CIPHERTEXT, NULL, nn_keys_id(job->keys)));
    if (!*more) return FHOLA_OK;
    FHOLA_TRY(ckks_writer_begin(out, CKKS_FILE_CIPHERTEXT, ckks_reader_params(in),
                                ckks_reader_head(in).key));
    FHOLA_TRY(copy_chunks(out, in, job));
    return ckks_writer_end(out);
}

/* ---- streams in memory ---- */

/* A stream that is written to memory. */
typedef struct memory_stream {
    FILE *file;
    char *bytes; /* once it is closed */
    size_t length;
    ckks_writer *writer;
} memory_stream;

static fhola_status open_memory(memory_stream *m, const char *name)
{
    *m = (memory_stream){0};
    m->file = open_memstream(&m->bytes, &m->length);
    if (!m->file) return fhola_fail(FHOLA_NOMEM, "no memory for %s", name);
    return ckks_writer_create(&m->writer, m->file, name);
}

/* The bytes are the caller's. */
static fhola_status close_memory(memory_stream *m, fhola_status status)
{
    if (status == FHOLA_OK) status = ckks_writer_commit(m->writer);
    ckks_writer_destroy(m->writer);
    if (m->file && fclose(m->file) != 0 && status == FHOLA_OK)
        status = fhola_fail(FHOLA_NOMEM, "no memory for a stream: %s", strerror(errno));
    return status;
}

static fhola_status open_bytes(ckks_reader **reader, FILE **file, unsigned char *bytes,
                               size_t length, const char *name)
{
    *file = fmemopen(bytes, length, "rb");
    if (!*file) return fhola_fail(FHOLA_NOMEM, "no memory for a stream: %s", strerror(errno));
    return ckks_reader_create(reader, *file, name);
}

static void close_bytes(ckks_reader *reader, FILE *file)
{
    ckks_reader_destroy(reader);
    if (file) (void)fclose(file);
}

/* ---- batches ---- */

/* How many pictures the container has that was written from byte `from` on. */
static fhola_status look_back(size_t *pictures, const memory_stream *to, size_t from,
                              const infer_job *job)
{
    ckks_reader *in = NULL;
    FILE *file = NULL;
    FHOLA_TRY(ckks_writer_commit(to->writer));
    fhola_status status = open_bytes(&in, &file, (unsigned char *)to->bytes + from,
                                     to->length - from, "an encrypted picture");
    if (status == FHOLA_OK) status = infer_look(pictures, job, in);
    close_bytes(in, file);
    return status;
}

/* A pack fills a batch. */
static fhola_status read_pictures(batch *b, memory_stream *to, infer_job *job)
{
    size_t most = nn_network_pictures(nn_server_network(job->server)), pictures = 1;
    int more = 1;
    while (b->count < most && pictures == 1) {
        size_t from = to->length;
        FHOLA_TRY(copy_container(to->writer, job->in, &more, job));
        if (!more) return FHOLA_OK;
        infer_count_pictures(job);
        if (most > 1) FHOLA_TRY(look_back(&pictures, to, from, job));
        b->count += pictures;
    }
    return FHOLA_OK;
}

fhola_status batch_read(batch *b, infer_job *job, size_t first)
{
    memory_stream to;
    *b = (batch){.first = first};
    fhola_status status = open_memory(&to, "encrypted pictures");
    if (status == FHOLA_OK) status = read_pictures(b, &to, job);
    status = close_memory(&to, status);
    b->bytes = (unsigned char *)to.bytes;
    b->length = to.length;
    return status;
}

fhola_status batch_write(const batch *b, infer_job *job)
{
    ckks_reader *from = NULL;
    FILE *file;
    int more = 1;
    fhola_status status = open_bytes(&from, &file, b->results, b->results_length, "results");
    while (status == FHOLA_OK && more) status = copy_container(job->out, from, &more, job);
    close_bytes(from, file);
    return status;
}

static void name_pictures(char *name, size_t room, const batch *b)
{
    if (b->count == 1)
        snprintf(name, room, "picture %zu", b->first);
    else
        snprintf(name, room, "pictures %zu to %zu", b->first, b->first + b->count - 1);
}

static fhola_status run_pictures(const batch *b, nn_run *run, ckks_writer *out, const nn_keys *keys,
                                 ckks_reader *in, const nn_infer_hooks *hooks)
{
    size_t count = 0;
    for (int more = 1; more; count += (size_t)more)
        FHOLA_TRY(nn_run_infer(run, out, keys, in, &more, hooks));
    if (count == b->count) return FHOLA_OK;
    return fhola_fail(FHOLA_FORMAT, "%zu pictures came in place of %zu", count, b->count);
}

void batch_compute(batch *b, nn_run *run, const nn_keys *keys, const nn_infer_hooks *hooks)
{
    char name[64];
    ckks_reader *from = NULL;
    FILE *file = NULL;
    memory_stream to;
    double start = nn_cmd_now();
    name_pictures(name, sizeof name, b);
    fhola_status status = open_memory(&to, "results");
    if (status == FHOLA_OK) status = open_bytes(&from, &file, b->bytes, b->length, name);
    if (status == FHOLA_OK) status = run_pictures(b, run, to.writer, keys, from, hooks);
    close_bytes(from, file);
    b->status = close_memory(&to, status);
    b->results = (unsigned char *)to.bytes;
    b->results_length = to.length;
    b->seconds = nn_cmd_now() - start;
    if (b->status != FHOLA_OK) snprintf(b->detail, sizeof b->detail, "%s", fhola_detail());
}
