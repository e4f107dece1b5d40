/* SPDX-License-Identifier: Apache-2.0 */
/* The client half of the library as a WebAssembly module: what worker.js calls. One owner at a
 * time; what goes in and out are bytes in memory. Functions that can fail return an fhola_status;
 * web_message says what was wrong. */
#define _GNU_SOURCE /* fopencookie */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "ckks/ckks.h"
#include "nn/nn.h"

#define EXPORT(name) __attribute__((export_name(#name), visibility("default")))
#define IMPORT(name) __attribute__((import_module("page"), import_name(#name)))
#define MESSAGE_ROOM 1024u
#define ID_DIGITS    16

/* Bytes of evaluation keys, in their order. */
IMPORT(take_keys) void page_take_keys(const void *bytes, size_t length);
/* Keys made, and how many there will be. */
IMPORT(count_keys) void page_count_keys(size_t done, size_t total);

static nn_owner *owner;
static double *scores; /* of the owner's classes */
static char *result;   /* what a call wrote */
static size_t result_length;
static char message[MESSAGE_ROOM], id[ID_DIGITS + 1];

/* ---- memory ---- */

EXPORT(web_room) void *web_room(size_t bytes)
{
    return malloc(bytes);
}

/* Wipes, too. */
EXPORT(web_give_back) void web_give_back(void *room, size_t bytes)
{
    if (room) ckks_wipe(room, bytes);
    free(room);
}

EXPORT(web_message) const char *web_message(void)
{
    return message;
}

static int finish(fhola_status status)
{
    if (status != FHOLA_OK)
        snprintf(message, sizeof message, "%s: %s", fhola_strerror(status), fhola_detail());
    return (int)status;
}

/* ---- results ---- */

EXPORT(web_result) const char *web_result(void)
{
    return result;
}

EXPORT(web_result_length) size_t web_result_length(void)
{
    return result_length;
}

EXPORT(web_drop_result) void web_drop_result(void)
{
    web_give_back(result, result_length);
    result = NULL;
    result_length = 0;
}

/* A writer whose bytes become the result when the stream is closed. */
static fhola_status open_result(FILE **stream, ckks_writer **writer)
{
    web_drop_result();
    *stream = open_memstream(&result, &result_length);
    if (!*stream) return fhola_fail(FHOLA_NOMEM, "no memory for a result");
    (void)setvbuf(*stream, NULL, _IONBF, 0); /* no copy stays */
    return ckks_writer_create(writer, *stream, "the result");
}

static fhola_status close_result(FILE *stream, ckks_writer *writer, fhola_status status)
{
    ckks_writer_destroy(writer);
    if (stream && fclose(stream) != 0 && status == FHOLA_OK)
        status = fhola_fail(FHOLA_NOMEM, "no memory for a result");
    if (status != FHOLA_OK) web_drop_result();
    return status;
}

static fhola_status open_bytes(FILE **stream, ckks_reader **reader, const void *bytes,
                               size_t length, const char *name)
{
    *stream = length ? fmemopen((void *)(uintptr_t)bytes, length, "rb") : NULL;
    if (!*stream) return fhola_fail(FHOLA_FORMAT, "%s: nothing arrived", name);
    (void)setvbuf(*stream, NULL, _IONBF, 0);
    return ckks_reader_create(reader, *stream, name);
}

static void close_bytes(FILE *stream, ckks_reader *reader)
{
    ckks_reader_destroy(reader);
    if (stream) (void)fclose(stream);
}

/* ---- the owner ---- */

EXPORT(web_close) void web_close(void)
{
    if (scores) ckks_wipe(scores, nn_client_classes(nn_owner_client(owner)) * sizeof *scores);
    free(scores);
    scores = NULL;
    nn_owner_destroy(owner);
    owner = NULL;
    web_drop_result();
}

static int open_owner(fhola_status (*read)(nn_owner **, ckks_reader *), const void *bytes,
                      size_t length, const char *name)
{
    FILE *stream = NULL;
    ckks_reader *reader = NULL;
    web_close();
    fhola_status status = open_bytes(&stream, &reader, bytes, length, name);
    if (status == FHOLA_OK) status = read(&owner, reader);
    close_bytes(stream, reader);
    if (status == FHOLA_OK) {
        scores = calloc(nn_client_classes(nn_owner_client(owner)), sizeof *scores);
        if (!scores) status = fhola_fail(FHOLA_NOMEM, "no memory for scores");
    }
    if (status != FHOLA_OK) web_close();
    return finish(status);
}

/* From a client file: can make keys. */
EXPORT(web_open_client) int web_open_client(const void *bytes, size_t length)
{
    return open_owner(nn_owner_read_client, bytes, length, "the network's client file");
}

/* From the file of a secret key: can encrypt and decrypt. */
EXPORT(web_open_secret) int web_open_secret(const void *bytes, size_t length)
{
    return open_owner(nn_owner_read_secret, bytes, length, "the secret key");
}

static const char *show(uint64_t number)
{
    snprintf(id, sizeof id, "%016" PRIx64, number);
    return id;
}

/* Ids are 16 hexadecimal digits, as the server has them. */
EXPORT(web_network) const char *web_network(void)
{
    return show(nn_owner_network(owner));
}

EXPORT(web_key) const char *web_key(void)
{
    return show(nn_owner_key(owner));
}

EXPORT(web_classes) size_t web_classes(void)
{
    return nn_client_classes(nn_owner_client(owner));
}

EXPORT(web_class) const char *web_class(size_t index)
{
    return nn_client_class(nn_owner_client(owner), index);
}

/* ---- keys ---- */

/* Of the evaluation keys; 0: web_message says why there cannot be any. */
EXPORT(web_keys_bytes) double web_keys_bytes(void)
{
    uint64_t bytes = 0;
    return finish(nn_owner_keys_bytes(&bytes, owner)) == FHOLA_OK ? (double)bytes : 0;
}

static ssize_t pass_on(void *cookie, const char *bytes, size_t length)
{
    (void)cookie;
    page_take_keys(bytes, length);
    return (ssize_t)length;
}

/* An nn_count_progress. */
static int count(void *arg, size_t done, size_t total)
{
    (void)arg;
    page_count_keys(done, total);
    return 0;
}

static fhola_status write_keys(ckks_writer *secret)
{
    const cookie_io_functions_t functions = {.write = pass_on};
    ckks_writer *keys = NULL;
    FILE *stream = fopencookie(NULL, "wb", functions);
    if (!stream) return fhola_fail(FHOLA_NOMEM, "no memory for evaluation keys");
    (void)setvbuf(stream, NULL, _IONBF, 0);
    fhola_status status = ckks_writer_create(&keys, stream, "the evaluation keys");
    if (status == FHOLA_OK) status = nn_owner_write_keys(owner, secret, keys, count, NULL);
    ckks_writer_destroy(keys);
    (void)fclose(stream);
    return status;
}

/* Makes keys: those for evaluation go to page_take_keys, the file of the secret key is the
 * result. */
EXPORT(web_make_keys) int web_make_keys(void)
{
    FILE *stream = NULL;
    ckks_writer *secret = NULL;
    fhola_status status = open_result(&stream, &secret);
    if (status == FHOLA_OK) status = write_keys(secret);
    return finish(close_result(stream, secret, status));
}

/* ---- pictures and scores ---- */

static fhola_status encrypt(ckks_writer *writer, const unsigned char *pixels, size_t width,
                            size_t height)
{
    nn_shape shape = nn_client_shape(nn_owner_client(owner));
    size_t bytes = shape.channels * shape.height * shape.width * sizeof(double);
    double *picture = malloc(bytes);
    if (!picture) return fhola_fail(FHOLA_NOMEM, "no memory for a picture");
    fhola_status status = nn_picture_resample(picture, shape, pixels, width, height);
    if (status == FHOLA_OK) status = nn_owner_encrypt(owner, writer, picture);
    web_give_back(picture, bytes);
    return status;
}

/* The encrypted picture is the result. `pixels`: red, green and blue, row by row. */
EXPORT(web_encrypt) int web_encrypt(const unsigned char *pixels, size_t width, size_t height)
{
    FILE *stream = NULL;
    ckks_writer *writer = NULL;
    fhola_status status = open_result(&stream, &writer);
    if (status == FHOLA_OK) status = encrypt(writer, pixels, width, height);
    if (status == FHOLA_OK) status = ckks_writer_commit(writer);
    return finish(close_result(stream, writer, status));
}

/* Decrypts the one result that the server sent, into web_scores. */
EXPORT(web_decrypt) int web_decrypt(const void *bytes, size_t length)
{
    FILE *stream = NULL;
    ckks_reader *reader = NULL;
    int more = 1;
    fhola_status status = open_bytes(&stream, &reader, bytes, length, "the server's result");
    if (status == FHOLA_OK) status = nn_owner_decrypt(owner, scores, reader, &more);
    close_bytes(stream, reader);
    return finish(status);
}

EXPORT(web_scores) const double *web_scores(void)
{
    return scores;
}
