/* SPDX-License-Identifier: Apache-2.0 */
/* A small strict JSON (RFC 8259) reader and writer for plans, profiles and model metadata. Internal
 * to nn/. Strict: one value per text, no comments, no trailing commas, valid UTF-8, no repeated
 * keys, no NUL in strings, numbers finite. */
#ifndef NN_JSON_H
#define NN_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "status.h"

#define NN_JSON_MAX_DEPTH   32u   /* nested arrays and objects */
#define NN_JSON_MAX_MEMBERS 8192u /* of one object */

typedef enum nn_json_type {
    NN_JSON_NULL,
    NN_JSON_FALSE,
    NN_JSON_TRUE,
    NN_JSON_NUMBER,
    NN_JSON_STRING,
    NN_JSON_ARRAY,
    NN_JSON_OBJECT
} nn_json_type;

typedef struct nn_json nn_json;
struct nn_json {
    nn_json_type type;
    size_t line, column; /* where the value starts, from 1; columns count bytes */
    double number;       /* NN_JSON_NUMBER */
    char *string;        /* NN_JSON_STRING: UTF-8, ends with a NUL */
    char *key;           /* name of this member if the parent is an object, else NULL */
    size_t count;        /* elements or members */
    nn_json *child;      /* first element or member */
    nn_json *next;       /* next element or member of the parent */
};

/* Parses `length` bytes. `name` (a file name) only goes into messages: FHOLA_FORMAT says
 * "NAME:LINE:COLUMN: what". */
fhola_status nn_json_parse(nn_json **value, const char *text, size_t length,
                           const char *name) FHOLA_WARN_UNUSED;

void nn_json_free(nn_json *value);

/* The member `key` of an object, or NULL (also when `value` is NULL or no object). */
const nn_json *nn_json_get(const nn_json *value, const char *key);

/* What files are checked with. All return FHOLA_FORMAT "NAME:LINE:COLUMN: what" for anything but
 * the expected, a missing member included. */

/* `value` is not what it should be; NULL stands for a missing member of `parent`. */
fhola_status nn_json_reject(const nn_json *value, const nn_json *parent, const char *name,
                            const char *what) FHOLA_WARN_UNUSED;

/* Member `key`: a whole number from least to most. */
fhola_status nn_json_get_whole(unsigned *number, const nn_json *object, const char *key,
                               unsigned least, unsigned most, const char *name) FHOLA_WARN_UNUSED;

/* `array`, a member or element of `parent` called `what` in messages: exactly `count` numbers. */
fhola_status nn_json_get_row(double *numbers, const nn_json *array, const nn_json *parent,
                             size_t count, const char *what, const char *name) FHOLA_WARN_UNUSED;

/* Member `key`: exactly `count` numbers. */
fhola_status nn_json_get_numbers(double *numbers, const nn_json *object, const char *key,
                                 size_t count, const char *name) FHOLA_WARN_UNUSED;

/* Member `key`: exactly `rows` arrays of `count` numbers each. */
fhola_status nn_json_get_rows(double *numbers, const nn_json *object, const char *key, size_t rows,
                              size_t count, const char *name) FHOLA_WARN_UNUSED;

/* A text under construction. Running out of memory sets `failed` and makes further additions do
 * nothing, so that only the end needs a check. Starts as all zeros; free(text.bytes) at the end. */
typedef struct nn_text {
    char *bytes; /* ends with a NUL once anything was added */
    size_t length, capacity;
    bool failed;
} nn_text;

void nn_text_add(nn_text *text, const char *string);
/* at most 255 bytes */
void nn_text_format(nn_text *text, const char *format, ...) FHOLA_PRINTF(2, 3);
/* with quotes and escapes */
void nn_json_add_string(nn_text *text, const char *string);
/* 17 significant digits: reads back the same; not finite: null */
void nn_json_add_number(nn_text *text, double number);
/* the same of a float, in 9 digits */
void nn_json_add_float(nn_text *text, float number);
void nn_json_add_array(nn_text *text, const double *numbers, size_t count);

/* The end: *bytes is the caller's to free. FHOLA_NOMEM, with nothing to free, if the text has
 * failed; `what` says what it was to be. */
fhola_status nn_text_take(char **bytes, size_t *length, nn_text *text,
                          const char *what) FHOLA_WARN_UNUSED;

#endif
