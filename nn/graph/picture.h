/* SPDX-License-Identifier: Apache-2.0 */
/* Pictures as bytes, before resampling: what a decoder of an image format hands over. Internal to
 * nn/; the rest is in nn.h. */
#ifndef NN_PICTURE_H
#define NN_PICTURE_H

#include <stddef.h>

#include "status.h"

#define NN_IMAGE_MAX_PIXELS ((size_t)1 << 26)
#define NN_IMAGE_MAX_SIDE   65535u

/* width x height pixels of 3 bytes, row by row; pixels belongs to the owner of the struct
 * (free). */
typedef struct nn_image {
    size_t width, height;
    unsigned char *pixels;
} nn_image;

/* Decodes the bytes of a PPM file, P6 or P3, any maxval (brought to 255). `name` goes into
 * messages. FHOLA_FORMAT, FHOLA_NOMEM. */
fhola_status nn_image_decode_ppm(nn_image *image, const unsigned char *bytes, size_t length,
                                 const char *name) FHOLA_WARN_UNUSED;

#endif
