/* SPDX-License-Identifier: Apache-2.0 */
/* IDX files, the format of MNIST: 0 0 TYPE RANK, the dimensions as big-endian numbers of 32 bits,
 * the values. */
#include <stdint.h>

#include "nn/cmd/data.h"

#define UNSIGNED_BYTES 0x08u

/* Bytes of a value; 0: no such type. */
static size_t size_of(unsigned type)
{
    static const unsigned char size[] = {
        [0x08] = 1, [0x09] = 1, [0x0b] = 2, [0x0c] = 4, [0x0d] = 4, [0x0e] = 8};
    return type < sizeof size ? size[type] : 0;
}

/* Whether the first bytes are those of an IDX file; then the number of values, SIZE_MAX for more
 * than can be, and where they begin. */
static bool measure(size_t *count, size_t *from, const unsigned char *b, size_t length)
{
    if (length < 4 || b[0] || b[1] || !size_of(b[2]) || b[3] == 0 || b[3] > NN_CMD_MAX_RANK)
        return false;
    *from = 4 + 4 * (size_t)b[3];
    if (length < *from) return false;
    *count = 1;
    for (size_t i = 4; i < *from; i += 4) {
        size_t dim = (size_t)b[i] << 24 | (size_t)b[i + 1] << 16 | (size_t)b[i + 2] << 8 | b[i + 3];
        if (dim && *count > SIZE_MAX / 8 / dim)
            *count = SIZE_MAX;
        else
            *count *= dim;
    }
    return true;
}

bool nn_cmd_begins_idx(const unsigned char *bytes, size_t length)
{
    size_t count, from;
    return measure(&count, &from, bytes, length);
}

bool nn_cmd_is_idx(const unsigned char *bytes, size_t length)
{
    size_t count, from;
    if (!measure(&count, &from, bytes, length) || count == SIZE_MAX) return false;
    return count * size_of(bytes[2]) == length - from;
}

fhola_status nn_cmd_decode_idx(nn_cmd_array *array, const unsigned char *bytes, size_t length,
                               const char *name)
{
    size_t count, from;
    if (!measure(&count, &from, bytes, length))
        return fhola_fail(FHOLA_FORMAT, "%s: not an IDX file", name);
    if (bytes[2] != UNSIGNED_BYTES)
        return fhola_fail(FHOLA_FORMAT,
                          "%s: an IDX file with values of type 0x%02x; only unsigned bytes, 0x08, "
                          "can be",
                          name, bytes[2]);
    if (count != length - from)
        return fhola_fail(FHOLA_FORMAT, "%s: %s: the header promises %zu values, %zu are there",
                          name, count > length - from ? "truncated" : "too long", count,
                          length - from);
    *array = (nn_cmd_array){.name = name,
                            .kind = 'u',
                            .size = 1,
                            .rank = bytes[3],
                            .count = count,
                            .values = bytes + from};
    for (size_t i = 0; i < array->rank; i++) {
        const unsigned char *b = bytes + 4 + 4 * i;
        array->dim[i] = (size_t)b[0] << 24 | (size_t)b[1] << 16 | (size_t)b[2] << 8 | b[3];
    }
    return FHOLA_OK;
}
