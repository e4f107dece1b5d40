/* SPDX-License-Identifier: Apache-2.0 */
/* NumPy's .npy files: a header that is a Python dictionary, then the numbers. */
#include <limits.h>
#include <string.h>

#include "nn/cmd/data.h"

#define MAGIC_BYTES 8u /* with the version */
#define MAX_HEADER  65536u

/* The text of a header on its way through the parser; it ends with `end`. */
typedef struct cursor {
    const char *at, *end;
} cursor;

/* What a header says. */
typedef struct header {
    nn_cmd_array *array;
    char type[16]; /* descr */
    bool has_type, has_order, has_shape, columns;
} header;

bool nn_cmd_is_npy(const unsigned char *bytes, size_t length)
{
    return length >= 6 && memcmp(bytes, "\x93NUMPY", 6) == 0;
}

static void skip_space(cursor *c)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\t' || *c->at == '\n')) c->at++;
}

static bool take(cursor *c, char wanted)
{
    skip_space(c);
    if (c->at == c->end || *c->at != wanted) return false;
    c->at++;
    return true;
}

static bool take_word(cursor *c, const char *word)
{
    size_t length = strlen(word);
    skip_space(c);
    if ((size_t)(c->end - c->at) < length || memcmp(c->at, word, length) != 0) return false;
    c->at += length;
    return true;
}

/* 'text' or "text", without escapes, into `room` bytes. */
static bool take_string(char *text, size_t room, cursor *c)
{
    skip_space(c);
    if (c->at == c->end || (*c->at != '\'' && *c->at != '"')) return false;
    const char *start = c->at + 1, *close = memchr(start, *c->at, (size_t)(c->end - start));
    if (!close || (size_t)(close - start) >= room) return false;
    memcpy(text, start, (size_t)(close - start));
    text[close - start] = 0;
    c->at = close + 1;
    return true;
}

static bool take_size(size_t *size, cursor *c)
{
    skip_space(c);
    const char *start = c->at;
    for (*size = 0; c->at < c->end && *c->at >= '0' && *c->at <= '9'; c->at++) {
        if (*size > (SIZE_MAX - 9) / 10) return false;
        *size = 10 * *size + (size_t)(*c->at - '0');
    }
    return c->at > start;
}

/* (2000, 28, 28), (7,) or () */
static bool take_shape(nn_cmd_array *array, cursor *c)
{
    array->rank = 0;
    if (!take(c, '(')) return false;
    while (!take(c, ')')) {
        if (array->rank == NN_CMD_MAX_RANK || !take_size(&array->dim[array->rank++], c))
            return false;
        if (take(c, ',')) continue;
        return array->rank > 1 && take(c, ')');
    }
    return true;
}

/* A key and its value, which must be new. */
static bool take_member(header *h, cursor *c)
{
    char key[16];
    if (!take_string(key, sizeof key, c) || !take(c, ':')) return false;
    if (strcmp(key, "descr") == 0 && !h->has_type)
        return h->has_type = take_string(h->type, sizeof h->type, c);
    if (strcmp(key, "fortran_order") == 0 && !h->has_order) {
        h->columns = take_word(c, "True");
        return h->has_order = h->columns || take_word(c, "False");
    }
    if (strcmp(key, "shape") == 0 && !h->has_shape) return h->has_shape = take_shape(h->array, c);
    return false;
}

static bool take_header(header *h, cursor *c)
{
    if (!take(c, '{')) return false;
    while (!take(c, '}')) {
        if (!take_member(h, c)) return false;
        if (take(c, ',')) continue;
        if (!take(c, '}')) return false;
        break;
    }
    skip_space(c);
    return c->at == c->end && h->has_type && h->has_order && h->has_shape;
}

/* '<f4', '|u1' and the like. */
static fhola_status check_type(header *h, const char *name)
{
    nn_cmd_array *a = h->array;
    const char *t = h->type;
    bool one = t[0] && t[1] && t[2] >= '1' && t[2] <= '8' && !t[3];
    a->kind = one ? t[1] : 0;
    a->size = one ? (unsigned)(t[2] - '0') : 0;
    if (a->size > 1 && t[0] == '>')
        return fhola_fail(FHOLA_FORMAT,
                          "%s: numbers of type '%s' are big endian; a.astype(a.dtype.newbyteorder("
                          "'<')) makes them little endian",
                          name, t);
    bool order = t[0] == '<' || ((t[0] == '|' || t[0] == '>') && a->size == 1),
         integer = (a->kind == 'u' || a->kind == 'i') &&
                   (a->size == 1 || a->size == 2 || a->size == 4 || a->size == 8),
         floating = a->kind == 'f' && (a->size == 4 || a->size == 8);
    if (order && (integer || floating)) return FHOLA_OK;
    return fhola_fail(FHOLA_FORMAT,
                      "%s: numbers of type '%s'; there can be uint8, float32 and float64, and "
                      "integers for labels",
                      name, t);
}

/* `rest` bytes follow the header. */
static fhola_status check_length(nn_cmd_array *a, size_t rest, const char *name)
{
    a->count = 1;
    for (size_t i = 0; i < a->rank; i++) {
        if (a->dim[i] && a->count > SIZE_MAX / a->dim[i])
            return fhola_fail(FHOLA_FORMAT, "%s: an array of more numbers than can be", name);
        a->count *= a->dim[i];
    }
    if (a->count == rest / a->size && rest % a->size == 0) return FHOLA_OK;
    return fhola_fail(
        FHOLA_FORMAT, "%s: %s: the header promises %zu numbers of %u bytes, %zu bytes are there",
        name, a->count > rest / a->size ? "truncated" : "too long", a->count, a->size, rest);
}

/* Bytes of the header's text, which begins after *from of them. */
static fhola_status measure(size_t *from, size_t *text, const unsigned char *b, size_t length,
                            const char *name)
{
    unsigned major = length >= MAGIC_BYTES ? b[6] : 0;
    if (length >= MAGIC_BYTES && (major < 1 || major > 3))
        return fhola_fail(FHOLA_FORMAT, "%s: a .npy file of format %u; known are 1 to 3", name,
                          major);
    *from = MAGIC_BYTES + (major == 1 ? 2 : 4);
    if (length < MAGIC_BYTES || length < *from)
        return fhola_fail(FHOLA_FORMAT, "%s: a .npy file, truncated within its header", name);
    *text = (size_t)b[8] | (size_t)b[9] << 8;
    if (major > 1) *text |= (size_t)b[10] << 16 | (size_t)b[11] << 24;
    if (*text > MAX_HEADER)
        return fhola_fail(FHOLA_FORMAT, "%s: a .npy header of %zu bytes; %u are the most", name,
                          *text, MAX_HEADER);
    if (*text > length - *from)
        return fhola_fail(FHOLA_FORMAT, "%s: a .npy file, truncated within its header", name);
    return FHOLA_OK;
}

fhola_status nn_cmd_decode_npy(nn_cmd_array *array, const unsigned char *bytes, size_t length,
                               const char *name)
{
    size_t from = 0, text = 0;
    nn_cmd_array a = {.name = name};
    header h = {.array = &a};
    if (!nn_cmd_is_npy(bytes, length)) return fhola_fail(FHOLA_FORMAT, "%s: not a .npy file", name);
    FHOLA_TRY(measure(&from, &text, bytes, length, name));
    cursor c = {(const char *)bytes + from, (const char *)bytes + from + text};
    if (!take_header(&h, &c))
        return fhola_fail(FHOLA_FORMAT,
                          "%s: byte %zu: a .npy header must say descr (one type of numbers), "
                          "fortran_order and shape, of at most %u dimensions",
                          name, (size_t)(c.at - (const char *)bytes), NN_CMD_MAX_RANK);
    FHOLA_TRY(check_type(&h, name));
    if (h.columns && a.rank > 1)
        return fhola_fail(FHOLA_FORMAT,
                          "%s: an array in column order (fortran_order); save "
                          "numpy.ascontiguousarray of it",
                          name);
    FHOLA_TRY(check_length(&a, length - from - text, name));
    a.values = bytes + from + text;
    *array = a;
    return FHOLA_OK;
}
