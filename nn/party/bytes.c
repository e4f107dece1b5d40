/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/party/bytes.h"

#include <stdlib.h>
#include <string.h>

/* ---- growing ---- */

void nn_bytes_add(nn_bytes *b, const void *bytes, size_t length)
{
    if (b->capacity - b->length < length && !b->failed) {
        size_t capacity = 2 * b->capacity + length + 256;
        unsigned char *grown = realloc(b->bytes, capacity);
        b->failed = !grown;
        if (!grown) return;
        b->bytes = grown;
        b->capacity = capacity;
    }
    if (b->failed || !length) return;
    memcpy(b->bytes + b->length, bytes, length);
    b->length += length;
}

static void add_integer(nn_bytes *b, uint64_t x, unsigned width)
{
    unsigned char bytes[8];
    for (unsigned i = 0; i < width; i++) bytes[i] = (unsigned char)(x >> (8 * i));
    nn_bytes_add(b, bytes, width);
}

void nn_bytes_add32(nn_bytes *b, uint32_t x)
{
    add_integer(b, x, 4);
}

void nn_bytes_add64(nn_bytes *b, uint64_t x)
{
    add_integer(b, x, 8);
}

void nn_bytes_add_doubles(nn_bytes *b, const double *x, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        nn_bytes_add64(b, bits);
    }
}

void nn_bytes_add_name(nn_bytes *b, const char *name)
{
    char printable[NN_MAX_NAME + 1];
    fhola_escape(printable, sizeof printable, name);
    nn_bytes_add32(b, (uint32_t)strlen(printable));
    nn_bytes_add(b, printable, strlen(printable));
}

fhola_status nn_bytes_built(const nn_bytes *b)
{
    return b->failed ? fhola_fail(FHOLA_NOMEM, "no memory for a chunk of more than %zu bytes",
                                  b->capacity)
                     : FHOLA_OK;
}

/* ---- shrinking ---- */

const unsigned char *nn_take(nn_cursor *c, size_t length)
{
    const unsigned char *bytes = c->bytes;
    if (length > c->left) {
        c->short_of = true;
        c->left = 0;
        return NULL;
    }
    c->bytes += length;
    c->left -= length;
    return bytes;
}

static uint64_t take_integer(nn_cursor *c, unsigned width)
{
    const unsigned char *bytes = nn_take(c, width);
    uint64_t x = 0;
    for (unsigned i = 0; bytes && i < width; i++) x |= (uint64_t)bytes[i] << (8 * i);
    return x;
}

uint32_t nn_take32(nn_cursor *c)
{
    return (uint32_t)take_integer(c, 4);
}

uint64_t nn_take64(nn_cursor *c)
{
    return take_integer(c, 8);
}

double nn_take_double(nn_cursor *c)
{
    uint64_t bits = nn_take64(c);
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

void nn_take_doubles(double *x, nn_cursor *c, size_t count)
{
    for (size_t i = 0; i < count; i++) x[i] = nn_take_double(c);
}

fhola_status nn_take_name(char **name, nn_cursor *c, const ckks_reader *r, const char *what)
{
    size_t length = nn_take32(c);
    if (length > NN_MAX_NAME)
        return ckks_reader_fail(r, FHOLA_FORMAT, "the name of %s has %zu bytes, more than %u", what,
                                length, NN_MAX_NAME);
    const char *text = (const char *)nn_take(c, length);
    if (!text) return nn_taken(c, r);
    if (!fhola_is_printable(text, length))
        return ckks_reader_fail(r, FHOLA_FORMAT,
                                "the name of %s has control characters or is no UTF-8", what);
    char *copy = calloc(length + 1, 1);
    if (!copy) return fhola_fail(FHOLA_NOMEM, "no memory for the name of %s", what);
    memcpy(copy, text, length);
    *name = copy;
    return FHOLA_OK;
}

fhola_status nn_taken(const nn_cursor *c, const ckks_reader *r)
{
    if (c->short_of) return ckks_reader_fail(r, FHOLA_FORMAT, "the content is too short");
    if (c->left) return ckks_reader_fail(r, FHOLA_FORMAT, "%zu bytes are too many", c->left);
    return FHOLA_OK;
}
