/* SPDX-License-Identifier: Apache-2.0 */
/* Single pictures: PNG and JPEG through libraries where the program is built with them (decode.h),
 * PPM by fhola's own, and records by their number. */
#include <stdlib.h>
#include <string.h>

#include "ckks/ckks.h"
#include "nn/cmd/cmd.h"
#include "nn/cmd/data.h"
#include "nn/cmd/decode.h"

void nn_cmd_pixels_clear(nn_cmd_pixels *image)
{
    if (image->pixels) ckks_wipe(image->pixels, 3 * image->width * image->height);
    free(image->pixels);
    *image = (nn_cmd_pixels){0};
}

/* The signature of PNG files has been made to show it. */
static bool lines_changed(const unsigned char *bytes, size_t length)
{
    return length >= 5 && (bytes[0] & 0x7f) == 9 && memcmp(bytes + 1, "PNG", 3) == 0 &&
           (bytes[4] == '\r' || bytes[4] == '\n');
}

fhola_status nn_cmd_decode_picture(double *values, nn_shape shape, const unsigned char *bytes,
                                   size_t length, const char *name)
{
    nn_cmd_pixels image = {0};
    bool png = nn_cmd_is_png(bytes, length);
    if (!png && lines_changed(bytes, length))
        return fhola_fail(FHOLA_FORMAT,
                          "%s: a PNG file that was damaged by a transfer as text, which changes "
                          "line ends: transfer it as binary",
                          name);
    if (!png && !nn_cmd_is_jpeg(bytes, length))
        return nn_picture_decode(values, shape, bytes, length, name);
    fhola_status status = png ? nn_cmd_decode_png(&image, bytes, length, name)
                              : nn_cmd_decode_jpeg(&image, bytes, length, name);
    if (status == FHOLA_OK)
        status = nn_picture_resample(values, shape, image.pixels, image.width, image.height);
    nn_cmd_pixels_clear(&image);
    return status;
}

/* ---- arrays of one record ---- */

/* The whole array is a record, or all there are. */
static fhola_status decode_array(double *values, nn_shape shape, const unsigned char *bytes,
                                 size_t length, const char *name)
{
    nn_cmd_array a;
    nn_batch *batch = NULL;
    FHOLA_TRY(nn_cmd_decode_npy(&a, bytes, length, name));
    if (a.count != nn_cmd_values(shape))
        return fhola_fail(FHOLA_PARAM,
                          "%s: %zu values, the network takes %u x %u x %u (channels, height, "
                          "width); --record N takes a record of many",
                          name, a.count, shape.channels, shape.height, shape.width);
    if (a.rank == 0 || a.dim[0] != 1) {
        if (a.rank == NN_CMD_MAX_RANK)
            return fhola_fail(FHOLA_PARAM, "%s: %zu dimensions", name, a.rank);
        memmove(a.dim + 1, a.dim, a.rank * sizeof *a.dim);
        a.dim[0] = 1;
        a.rank++;
    }
    fhola_status status = nn_cmd_array_batch(&batch, &a, shape, 0, 1, NULL);
    if (status == FHOLA_OK) nn_batch_picture(batch, 0, values);
    nn_batch_free(batch);
    return status;
}

static fhola_status read_file(double *values, nn_shape shape, const char *path)
{
    unsigned char *bytes;
    size_t length;
    const char *name = nn_cmd_input_name(path);
    FHOLA_TRY(nn_cmd_read_input(&bytes, &length, path, NN_CMD_MAX_PICTURE));
    bool npy = nn_cmd_is_npy(bytes, length);
    fhola_status status = npy ? decode_array(values, shape, bytes, length, name)
                              : nn_cmd_decode_picture(values, shape, bytes, length, name);
    if (status == FHOLA_FORMAT && !npy && nn_cmd_is_records(bytes, length))
        status =
            fhola_fail(FHOLA_FORMAT,
                       "%s: no picture, but it may be a batch of them: --record N takes one", name);
    nn_cmd_free_input(bytes, length);
    return status;
}

fhola_status nn_cmd_read_picture(double **values, nn_shape shape, const char *path, double record)
{
    double *picture = calloc(nn_cmd_values(shape), sizeof *picture);
    if (!picture) return fhola_fail(FHOLA_NOMEM, "no memory for %zu values", nn_cmd_values(shape));
    fhola_status status = record < 0 ? read_file(picture, shape, path)
                                     : nn_cmd_read_record(picture, shape, path, record);
    if (status == FHOLA_OK)
        *values = picture;
    else
        nn_cmd_free_picture(picture, shape);
    return status;
}

void nn_cmd_free_picture(double *values, nn_shape shape)
{
    if (values) ckks_wipe(values, nn_cmd_values(shape) * sizeof *values);
    free(values);
}
