/* SPDX-License-Identifier: Apache-2.0 */
/* Pictures: PNG and JPEG through libraries where the program is built with them (decode.h), PPM and
 * records of CIFAR batches by fhola's own. */
#include <stdlib.h>
#include <string.h>

#include "ckks/ckks.h"
#include "nn/cmd/cmd.h"
#include "nn/cmd/decode.h"

#define MAX_FILE ((size_t)1 << 28)

void nn_cmd_pixels_clear(nn_cmd_pixels *image)
{
    if (image->pixels) ckks_wipe(image->pixels, 3 * image->width * image->height);
    free(image->pixels);
    *image = (nn_cmd_pixels){0};
}

static fhola_status read_record(double *rgb, const char *path, double record)
{
    nn_batch *batch = NULL;
    fhola_status status = nn_cmd_load_batch(&batch, path, record, 1);
    if (status == FHOLA_OK) nn_batch_picture(batch, 0, rgb);
    nn_batch_free(batch);
    return status;
}

/* A file that can only be read as a batch: its length is a number of records. */
static bool is_batch(size_t length)
{
    return length > 0 && (length % 3073 == 0 || length % 3074 == 0);
}

/* The signature of PNG files has been made to show it. */
static bool lines_changed(const unsigned char *bytes, size_t length)
{
    return length >= 5 && (bytes[0] & 0x7f) == 9 && memcmp(bytes + 1, "PNG", 3) == 0 &&
           (bytes[4] == '\r' || bytes[4] == '\n');
}

static fhola_status decode(double *rgb, const unsigned char *bytes, size_t length, const char *path)
{
    nn_cmd_pixels image = {0};
    if (!nn_cmd_is_png(bytes, length) && !nn_cmd_is_jpeg(bytes, length))
        return lines_changed(bytes, length)
                   ? fhola_fail(FHOLA_FORMAT,
                                "%s: a PNG file that was damaged by a transfer as text, which "
                                "changes line ends: transfer it as binary",
                                path)
                   : nn_picture_decode(rgb, bytes, length, path);
    fhola_status status = nn_cmd_is_png(bytes, length)
                              ? nn_cmd_decode_png(&image, bytes, length, path)
                              : nn_cmd_decode_jpeg(&image, bytes, length, path);
    if (status == FHOLA_OK)
        status = nn_picture_resample(rgb, image.pixels, image.width, image.height);
    nn_cmd_pixels_clear(&image);
    return status;
}

fhola_status nn_cmd_read_picture(double *rgb, const char *path, double record)
{
    unsigned char *bytes = NULL;
    size_t length = 0;
    if (record >= 0) return read_record(rgb, path, record);
    fhola_status status = nn_cmd_read_input(&bytes, &length, path, MAX_FILE);
    if (status != FHOLA_OK) return status;
    path = nn_cmd_input_name(path);
    status = decode(rgb, bytes, length, path);
    if (status == FHOLA_FORMAT && is_batch(length))
        status =
            fhola_fail(FHOLA_FORMAT,
                       "%s: no picture, but it may be a batch of them: --record N takes one", path);
    ckks_wipe(bytes, length);
    free(bytes);
    return status;
}
