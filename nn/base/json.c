/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/base/json.h"

#include <locale.h>
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- reading ---- */

typedef struct reader {
    const unsigned char *at, *end;
    const unsigned char *line_start;
    size_t line;
    unsigned depth;
    const char *name;
} reader;

static fhola_status reject(const reader *r, const char *what)
{
    return fhola_fail(FHOLA_FORMAT, "%s:%zu:%zu: %s", r->name, r->line,
                      (size_t)(r->at - r->line_start) + 1, what);
}

static fhola_status no_memory(const reader *r)
{
    return fhola_fail(FHOLA_NOMEM, "%s:%zu: no memory", r->name, r->line);
}

static void skip_space(reader *r)
{
    for (; r->at < r->end; r->at++) {
        if (*r->at == '\n') {
            r->line++;
            r->line_start = r->at + 1;
        } else if (*r->at != ' ' && *r->at != '\t' && *r->at != '\r') {
            return;
        }
    }
}

static bool next_is(const reader *r, unsigned char c)
{
    return r->at < r->end && *r->at == c;
}

static size_t encode_utf8(char *out, uint32_t code)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    size_t length = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const unsigned char lead[5] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = length - 1; i > 0; i--) {
        out[i] = (char)(0x80u | (code & 0x3fu));
        code >>= 6;
    }
    out[0] = (char)(lead[length] | code);
    return length;
}

static fhola_status read_hex4(reader *r, uint32_t *code)
{
    uint32_t value = 0;
    for (int i = 0; i < 4; i++, r->at++) {
        unsigned char c = r->at < r->end ? *r->at : 0;
        if (c >= '0' && c <= '9')
            value = value * 16 + (uint32_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            value = value * 16 + (uint32_t)(c - 'a') + 10;
        else if (c >= 'A' && c <= 'F')
            value = value * 16 + (uint32_t)(c - 'A') + 10;
        else
            return reject(r, "four hexadecimal digits expected after \\u");
    }
    *code = value;
    return FHOLA_OK;
}

/* At the character after a backslash. */
static fhola_status read_escape(reader *r, char *out, size_t *written)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (r->at >= r->end) return reject(r, "the text ends inside a string");
    if (*r->at != 'u') {
        const char *found = *r->at ? strchr(from, *r->at) : NULL;
        if (!found) return reject(r, "unknown escape");
        *out = to[found - from];
        *written = 1;
        r->at++;
        return FHOLA_OK;
    }
    uint32_t code = 0, low = 0;
    r->at++;
    fhola_status status = read_hex4(r, &code);
    if (status != FHOLA_OK) return status;
    if (code >= 0xd800 && code < 0xdc00) {
        if (r->end - r->at < 6 || r->at[0] != '\\' || r->at[1] != 'u')
            return reject(r, "a high surrogate must be followed by a low one");
        r->at += 2;
        status = read_hex4(r, &low);
        if (status != FHOLA_OK) return status;
        if (low < 0xdc00 || low > 0xdfff)
            return reject(r, "a high surrogate must be followed by a low one");
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    } else if (code >= 0xdc00 && code <= 0xdfff) {
        return reject(r, "a low surrogate without a high one");
    }
    if (code == 0) return reject(r, "NUL in a string");
    *written = encode_utf8(out, code);
    return FHOLA_OK;
}

static fhola_status read_string_body(reader *r, char *out)
{
    while (!next_is(r, '"')) {
        size_t length = 1;
        if (r->at >= r->end) return reject(r, "the text ends inside a string");
        if (*r->at < 0x20) return reject(r, "control character in a string");
        if (*r->at == '\\') {
            r->at++;
            fhola_status status = read_escape(r, out, &length);
            if (status != FHOLA_OK) return status;
        } else {
            length = fhola_utf8_length((const char *)r->at, (size_t)(r->end - r->at));
            if (length == 0) return reject(r, "not UTF-8");
            memcpy(out, r->at, length);
            r->at += length;
        }
        out += length;
    }
    r->at++;
    *out = 0;
    return FHOLA_OK;
}

/* At the opening quote. An escape never decodes to more bytes than it takes, so the raw length
 * bounds the result. */
static fhola_status read_string(reader *r, char **string)
{
    const unsigned char *close = ++r->at;
    while (close < r->end && *close != '"') close += *close == '\\' && r->end - close > 1 ? 2 : 1;
    size_t room = (size_t)((close < r->end ? close : r->end) - r->at) + 1;
    char *out = malloc(room);
    if (!out) return no_memory(r);
    fhola_status status = read_string_body(r, out);
    if (status != FHOLA_OK) {
        free(out);
        return status;
    }
    *string = out;
    return FHOLA_OK;
}

static size_t digits(const reader *r, const unsigned char *at)
{
    const unsigned char *start = at;
    while (at < r->end && *at >= '0' && *at <= '9') at++;
    return (size_t)(at - start);
}

/* strtod with a decimal point, whatever the locale of the program around us says. */
static double to_double(const char *token)
{
    char local[96];
    const char *point = localeconv()->decimal_point, *dot = strchr(token, '.');
    if (!dot || strcmp(point, ".") == 0) return strtod(token, NULL);
    snprintf(local, sizeof local, "%.*s%s%s", (int)(dot - token), token, point, dot + 1);
    return strtod(local, NULL);
}

static fhola_status read_number(reader *r, double *number)
{
    const unsigned char *at = r->at;
    if (*at == '-') at++;
    size_t whole = digits(r, at);
    if (whole == 0 || (whole > 1 && *at == '0')) return reject(r, "not a JSON value");
    at += whole;
    if (at < r->end && *at == '.') {
        size_t fraction = digits(r, at + 1);
        if (fraction == 0) return reject(r, "a digit is missing after the decimal point");
        at += 1 + fraction;
    }
    if (at < r->end && (*at == 'e' || *at == 'E')) {
        at++;
        if (at < r->end && (*at == '+' || *at == '-')) at++;
        size_t exponent = digits(r, at);
        if (exponent == 0) return reject(r, "a digit is missing in the exponent");
        at += exponent;
    }
    char token[80];
    size_t length = (size_t)(at - r->at);
    if (length >= sizeof token) return reject(r, "a number of more than 79 characters");
    memcpy(token, r->at, length);
    token[length] = 0;
    double value = to_double(token);
    if (!isfinite(value)) return reject(r, "a number too large for double precision");
    *number = value;
    r->at = at;
    return FHOLA_OK;
}

static fhola_status read_word(reader *r, const char *word)
{
    size_t length = strlen(word);
    if ((size_t)(r->end - r->at) < length || memcmp(r->at, word, length) != 0)
        return reject(r, "not a JSON value");
    r->at += length;
    return FHOLA_OK;
}

static fhola_status read_value(reader *r, nn_json *value);

static fhola_status read_key(reader *r, const nn_json *object, char **key)
{
    if (!next_is(r, '"')) return reject(r, "a key in quotes expected");
    if (object->count >= NN_JSON_MAX_MEMBERS) return reject(r, "too many members in an object");
    reader start = *r;
    fhola_status status = read_string(r, key);
    if (status != FHOLA_OK) return status;
    if (nn_json_get(object, *key)) status = reject(&start, "repeated key");
    skip_space(r);
    if (status == FHOLA_OK && !next_is(r, ':')) status = reject(r, "':' expected after a key");
    if (status != FHOLA_OK) {
        free(*key);
        *key = NULL;
        return status;
    }
    r->at++;
    return FHOLA_OK;
}

/* After the opening bracket of `parent`, up to and including the closing one. Children are linked
 * in as soon as they exist, so that freeing the root frees everything at any point. */
static fhola_status read_children(reader *r, nn_json *parent)
{
    bool object = parent->type == NN_JSON_OBJECT;
    unsigned char closing = object ? '}' : ']';
    nn_json **tail = &parent->child;
    if (++r->depth > NN_JSON_MAX_DEPTH) return reject(r, "nested too deeply");
    skip_space(r);
    bool more = !next_is(r, closing);
    while (more) {
        char *key = NULL;
        if (object) {
            skip_space(r);
            fhola_status status = read_key(r, parent, &key);
            if (status != FHOLA_OK) return status;
        }
        nn_json *child = calloc(1, sizeof *child);
        if (!child) {
            free(key);
            return no_memory(r);
        }
        *tail = child;
        tail = &child->next;
        fhola_status status = read_value(r, child);
        child->key = key; /* after reading: the value is stored whole */
        if (status != FHOLA_OK) return status;
        parent->count++;
        skip_space(r);
        more = next_is(r, ',');
        if (more) r->at++;
    }
    if (r->at >= r->end)
        return reject(r,
                      object ? "the text ends inside an object" : "the text ends inside an array");
    if (!next_is(r, closing))
        return reject(r, object ? "',' or '}' expected" : "',' or ']' expected");
    r->at++;
    r->depth--;
    return FHOLA_OK;
}

static fhola_status read_value(reader *r, nn_json *value)
{
    skip_space(r);
    value->line = r->line;
    value->column = (size_t)(r->at - r->line_start) + 1;
    if (r->at >= r->end) return reject(r, "the text ends where a value is expected");
    switch (*r->at) {
    case '{':
    case '[':
        value->type = *r->at == '{' ? NN_JSON_OBJECT : NN_JSON_ARRAY;
        r->at++;
        return read_children(r, value);
    case '"': value->type = NN_JSON_STRING; return read_string(r, &value->string);
    case 'n': value->type = NN_JSON_NULL; return read_word(r, "null");
    case 't': value->type = NN_JSON_TRUE; return read_word(r, "true");
    case 'f': value->type = NN_JSON_FALSE; return read_word(r, "false");
    default: value->type = NN_JSON_NUMBER; return read_number(r, &value->number);
    }
}

fhola_status nn_json_parse(nn_json **value, const char *text, size_t length, const char *name)
{
    const unsigned char *start = (const unsigned char *)text;
    reader r = {.at = start, .end = start + length, .line_start = start, .line = 1, .name = name};
    nn_json *root = calloc(1, sizeof *root);
    if (!root) return no_memory(&r);
    fhola_status status = read_value(&r, root);
    skip_space(&r);
    if (status == FHOLA_OK && r.at != r.end)
        status = reject(&r, "nothing expected after the value");
    if (status != FHOLA_OK) {
        nn_json_free(root);
        return status;
    }
    *value = root;
    return FHOLA_OK;
}

/* Recursion is bounded by NN_JSON_MAX_DEPTH; siblings are a loop. */
void nn_json_free(nn_json *value)
{
    while (value) {
        nn_json *next = value->next;
        nn_json_free(value->child);
        free(value->string);
        free(value->key);
        free(value);
        value = next;
    }
}

const nn_json *nn_json_get(const nn_json *value, const char *key)
{
    if (!value || value->type != NN_JSON_OBJECT) return NULL;
    for (const nn_json *member = value->child; member; member = member->next)
        if (member->key && strcmp(member->key, key) == 0) return member;
    return NULL;
}

/* ---- expectations ---- */

fhola_status nn_json_reject(const nn_json *value, const nn_json *parent, const char *name,
                            const char *what)
{
    const nn_json *where = value ? value : parent;
    return fhola_fail(FHOLA_FORMAT, "%s:%zu:%zu: %s", name, where->line, where->column, what);
}

fhola_status nn_json_get_whole(unsigned *number, const nn_json *object, const char *key,
                               unsigned least, unsigned most, const char *name)
{
    const nn_json *value = nn_json_get(object, key);
    char what[120];
    if (!value || value->type != NN_JSON_NUMBER || value->number != floor(value->number) ||
        value->number < least || value->number > most) {
        snprintf(what, sizeof what, "\"%s\" must be a whole number from %u to %u", key, least,
                 most);
        return nn_json_reject(value, object, name, what);
    }
    *number = (unsigned)value->number;
    return FHOLA_OK;
}

fhola_status nn_json_get_row(double *numbers, const nn_json *array, const nn_json *parent,
                             size_t count, const char *what, const char *name)
{
    char message[120];
    size_t i = 0;
    if (array && array->type == NN_JSON_ARRAY && array->count == count)
        for (const nn_json *value = array->child; value && value->type == NN_JSON_NUMBER;
             value = value->next)
            numbers[i++] = value->number;
    if (i == count && array && array->count == count && array->type == NN_JSON_ARRAY)
        return FHOLA_OK;
    snprintf(message, sizeof message, "\"%s\" must be %zu numbers", what, count);
    return nn_json_reject(array, parent, name, message);
}

fhola_status nn_json_get_numbers(double *numbers, const nn_json *object, const char *key,
                                 size_t count, const char *name)
{
    return nn_json_get_row(numbers, nn_json_get(object, key), object, count, key, name);
}

fhola_status nn_json_get_rows(double *numbers, const nn_json *object, const char *key, size_t rows,
                              size_t count, const char *name)
{
    const nn_json *array = nn_json_get(object, key);
    char message[120];
    snprintf(message, sizeof message, "\"%s\" must be %zu rows", key, rows);
    if (!array || array->type != NN_JSON_ARRAY || array->count != rows)
        return nn_json_reject(array, object, name, message);
    for (const nn_json *row = array->child; row; row = row->next, numbers += count)
        FHOLA_TRY(nn_json_get_row(numbers, row, array, count, key, name));
    return FHOLA_OK;
}

/* ---- writing ---- */

static bool reserve(nn_text *text, size_t extra)
{
    if (text->failed) return false;
    size_t needed = text->length + extra + 1;
    if (needed <= text->capacity) return true;
    size_t capacity = needed < 2048 ? 4096 : 2 * needed;
    char *larger = realloc(text->bytes, capacity);
    if (!larger) {
        text->failed = true;
        return false;
    }
    text->bytes = larger;
    text->capacity = capacity;
    return true;
}

static void add_bytes(nn_text *text, const char *bytes, size_t length)
{
    if (!reserve(text, length)) return;
    memcpy(text->bytes + text->length, bytes, length);
    text->length += length;
    text->bytes[text->length] = 0;
}

void nn_text_add(nn_text *text, const char *string)
{
    add_bytes(text, string, strlen(string));
}

void nn_text_format(nn_text *text, const char *format, ...)
{
    char buffer[256];
    va_list args;
    va_start(args, format);
    vsnprintf(buffer, sizeof buffer, format, args);
    va_end(args);
    nn_text_add(text, buffer);
}

void nn_json_add_string(nn_text *text, const char *string)
{
    size_t length = strlen(string), bytes;
    nn_text_add(text, "\"");
    for (size_t at = 0; at < length; at += bytes ? bytes : 1) {
        bytes = fhola_utf8_length(string + at, length - at);
        if (!bytes)
            nn_text_add(text, "\\ufffd"); /* JSON is UTF-8: no place for other bytes */
        else if (string[at] == '"' || string[at] == '\\')
            nn_text_format(text, "\\%c", string[at]);
        else if ((unsigned char)string[at] < 0x20)
            nn_text_format(text, "\\u%04x", (unsigned)(unsigned char)string[at]);
        else
            add_bytes(text, string + at, bytes);
    }
    nn_text_add(text, "\"");
}

static void add_number(nn_text *text, double number, int digits)
{
    char buffer[64];
    if (!isfinite(number)) {
        nn_text_add(text, "null");
        return;
    }
    snprintf(buffer, sizeof buffer, "%.*g", digits, number);
    const char *point = localeconv()->decimal_point;
    char *found = strcmp(point, ".") == 0 ? NULL : strstr(buffer, point);
    if (found) {
        *found = '.';
        memmove(found + 1, found + strlen(point), strlen(found + strlen(point)) + 1);
    }
    nn_text_add(text, buffer);
}

void nn_json_add_number(nn_text *text, double number)
{
    add_number(text, number, 17);
}

void nn_json_add_float(nn_text *text, float number)
{
    add_number(text, (double)number, 9);
}

void nn_json_add_array(nn_text *text, const double *numbers, size_t count)
{
    nn_text_add(text, "[");
    for (size_t i = 0; i < count; i++) {
        if (i) nn_text_add(text, ", ");
        nn_json_add_number(text, numbers[i]);
    }
    nn_text_add(text, "]");
}

fhola_status nn_text_take(char **bytes, size_t *length, nn_text *text, const char *what)
{
    if (text->failed) {
        free(text->bytes);
        return fhola_fail(FHOLA_NOMEM, "no memory for the text of %s", what);
    }
    *bytes = text->bytes;
    *length = text->length;
    return FHOLA_OK;
}
