/* SPDX-License-Identifier: Apache-2.0 */
/* Contents of chunks: little-endian bytes, growing and shrinking. Internal to nn/. */
#ifndef NN_BYTES_H
#define NN_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ckks/ckks.h"

#define NN_MAX_NAME 255u /* bytes of a class's or node's name */

/* Bytes under construction. Running out of memory sets `failed`; one check at the end
 * (nn_bytes_built) is enough. `bytes` belongs to the caller (free). */
typedef struct nn_bytes {
    unsigned char *bytes;
    size_t length, capacity;
    bool failed;
} nn_bytes;

void nn_bytes_add(nn_bytes *b, const void *bytes, size_t length);
void nn_bytes_add32(nn_bytes *b, uint32_t x);
void nn_bytes_add64(nn_bytes *b, uint64_t x);
void nn_bytes_add_doubles(nn_bytes *b, const double *x, size_t count);
/* Length and bytes. A name that is too long loses its middle, one that is not printable gets
 * escapes. */
void nn_bytes_add_name(nn_bytes *b, const char *name);
fhola_status nn_bytes_built(const nn_bytes *b) FHOLA_WARN_UNUSED;

/* Bytes being taken apart. Running out of bytes sets `short_of`; what is taken then is 0. */
typedef struct nn_cursor {
    const unsigned char *bytes;
    size_t left;
    bool short_of;
} nn_cursor;

/* NULL: there are not so many. */
const unsigned char *nn_take(nn_cursor *c, size_t length);
uint32_t nn_take32(nn_cursor *c);
uint64_t nn_take64(nn_cursor *c);
double nn_take_double(nn_cursor *c);
void nn_take_doubles(double *x, nn_cursor *c, size_t count);
/* *name belongs to the caller (free). `what` goes into messages: "class 3". */
fhola_status nn_take_name(char **name, nn_cursor *c, const ckks_reader *r,
                          const char *what) FHOLA_WARN_UNUSED;
/* FORMAT unless everything was there and nothing is left. */
fhola_status nn_taken(const nn_cursor *c, const ckks_reader *r) FHOLA_WARN_UNUSED;

#endif
