/* SPDX-License-Identifier: Apache-2.0 */
/* Pictures: PNG through libpng where the program is built with it, everything else by the
 * library. */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#ifdef HAVE_PNG
#include <png.h>
#endif

#include "nn/cmd/cmd.h"

#define MAX_SIDE   65535u
#define MAX_PIXELS ((size_t)1 << 26)

static bool begins_with(const char *path, const char *signature, size_t length)
{
    char start[8];
    FILE *file = fopen(path, "rb");
    bool found =
        file && fread(start, 1, length, file) == length && memcmp(start, signature, length) == 0;
    if (file) (void)fclose(file);
    return found;
}

static bool is_png(const char *path)
{
    return begins_with(path, "\x89PNG\r\n\x1a\n", 8);
}

#ifdef HAVE_PNG
static fhola_status read_pixels(double *rgb, png_image *image, const char *path)
{
    static const png_color white = {255, 255, 255}; /* under transparent pixels */
    if (image->width > MAX_SIDE || image->height > MAX_SIDE ||
        (size_t)image->width * image->height > MAX_PIXELS)
        return fhola_fail(FHOLA_FORMAT, "%s: %u x %u pixels are too many", path,
                          (unsigned)image->width, (unsigned)image->height);
    image->format = PNG_FORMAT_RGB;
    unsigned char *pixels = malloc(PNG_IMAGE_SIZE(*image));
    if (!pixels)
        return fhola_fail(FHOLA_NOMEM, "%s: no memory for %u x %u pixels", path,
                          (unsigned)image->width, (unsigned)image->height);
    fhola_status status = FHOLA_OK;
    if (!png_image_finish_read(image, &white, pixels, 0, NULL))
        status = fhola_fail(FHOLA_FORMAT, "%s: %s", path, image->message);
    if (status == FHOLA_OK) status = nn_picture_resample(rgb, pixels, image->width, image->height);
    free(pixels);
    return status;
}

static fhola_status read_png(double *rgb, const char *path)
{
    png_image image;
    memset(&image, 0, sizeof image);
    image.version = PNG_IMAGE_VERSION;
    if (!png_image_begin_read_from_file(&image, path))
        return fhola_fail(FHOLA_FORMAT, "%s: %s", path, image.message);
    fhola_status status = read_pixels(rgb, &image, path);
    png_image_free(&image);
    return status;
}
#else
static fhola_status read_png(double *rgb, const char *path)
{
    (void)rgb;
    return fhola_fail(FHOLA_FORMAT, "%s: a PNG file, but this program was built without libpng",
                      path);
}
#endif

static fhola_status read_record(double *rgb, const char *path, size_t record)
{
    nn_batch *batch = NULL;
    fhola_status status = nn_batch_load(&batch, path, record, 1);
    if (status == FHOLA_OK) nn_batch_picture(batch, 0, rgb);
    nn_batch_free(batch);
    return status;
}

/* A file that can only be read as a batch: its length is a number of records. */
static bool is_batch(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode) && info.st_size > 0 &&
           (info.st_size % 3073 == 0 || info.st_size % 3074 == 0);
}

fhola_status nn_cmd_read_picture(double *rgb, const char *path, double record)
{
    if (record >= 0) return read_record(rgb, path, (size_t)record);
    fhola_status status = is_png(path) ? read_png(rgb, path) : nn_picture_read(rgb, path);
    if (status == FHOLA_FORMAT && is_batch(path))
        return fhola_fail(FHOLA_FORMAT,
                          "%s: no picture, but it may be a batch of them: --record N takes one",
                          path);
    if (status == FHOLA_FORMAT && begins_with(path, "\xff\xd8\xff", 3))
        return fhola_fail(FHOLA_FORMAT, "%s: a JPEG file; what can be read are PPM and PNG files",
                          path);
    return status;
}
