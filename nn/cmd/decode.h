/* SPDX-License-Identifier: Apache-2.0 */
/* Decoders of picture formats for which the program uses a library: bytes of a file in, pixels out.
 * Internal to the program. */
#ifndef NN_CMD_DECODE_H
#define NN_CMD_DECODE_H

#include <stdbool.h>
#include <stddef.h>

#include "status.h"

/* Larger pictures are refused before memory is taken. */
#define NN_CMD_MAX_SIDE   65535u
#define NN_CMD_MAX_PIXELS ((size_t)1 << 26)

/* width x height pixels of 3 bytes (red, green, blue), row by row. `pixels` belongs to the owner of
 * the struct (nn_cmd_pixels_clear, which wipes). */
typedef struct nn_cmd_pixels {
    size_t width, height;
    unsigned char *pixels;
} nn_cmd_pixels;

void nn_cmd_pixels_clear(nn_cmd_pixels *image);

/* By their signatures. */
bool nn_cmd_is_png(const unsigned char *bytes, size_t length);
bool nn_cmd_is_jpeg(const unsigned char *bytes, size_t length);

/* What a file says in 8 bits of red, green and blue: deeper samples lose their low bits, grey and
 * palettes are spread, an alpha channel is left out, gamma and colour profiles are not applied.
 * `name` goes into messages. FHOLA_FORMAT: damaged, truncated, too large, or the program was built
 * without the library. FHOLA_NOMEM. On error `image` is unchanged. */
FHOLA_WARN_UNUSED fhola_status nn_cmd_decode_png(nn_cmd_pixels *image, const unsigned char *bytes,
                                                 size_t length, const char *name);
FHOLA_WARN_UNUSED fhola_status nn_cmd_decode_jpeg(nn_cmd_pixels *image, const unsigned char *bytes,
                                                  size_t length, const char *name);

#endif
