/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/graph/picture.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "nn/base/file.h"
#include "nn/nn.h"

#define PLANE    ((size_t)NN_PICTURE_SIDE * NN_PICTURE_SIDE)
#define MAX_FILE ((size_t)1 << 30)

/* ---- PPM ---- */

typedef struct ppm_reader {
    const unsigned char *at, *end;
    const char *name;
} ppm_reader;

static bool is_space(unsigned char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The next number of a header (or of P3's pixels) after white space and # comments; false if there
 * is none or it is too large. */
static bool next_number(ppm_reader *r, unsigned long *number)
{
    while (r->at < r->end && (is_space(*r->at) || *r->at == '#')) {
        if (*r->at == '#')
            while (r->at < r->end && *r->at != '\n' && *r->at != '\r') r->at++;
        else
            r->at++;
    }
    const unsigned char *start = r->at;
    unsigned long value = 0;
    while (r->at < r->end && *r->at >= '0' && *r->at <= '9' && value <= NN_IMAGE_MAX_SIDE)
        value = value * 10 + (unsigned long)(*r->at++ - '0');
    *number = value;
    return r->at > start && value <= NN_IMAGE_MAX_SIDE;
}

static unsigned char to_byte(unsigned long value, unsigned long maxval)
{
    return (unsigned char)((value * 255 + maxval / 2) / maxval);
}

static fhola_status read_binary(unsigned char *pixels, size_t samples, const ppm_reader *r,
                                unsigned long maxval)
{
    size_t width = maxval > 255 ? 2 : 1;
    for (size_t i = 0; i < samples; i++) {
        const unsigned char *sample = r->at + i * width;
        unsigned long value = width == 2 ? (unsigned long)sample[0] << 8 | sample[1] : sample[0];
        if (value > maxval)
            return fhola_fail(FHOLA_FORMAT, "%s: sample %zu is %lu, above the maximum of %lu",
                              r->name, i, value, maxval);
        pixels[i] = to_byte(value, maxval);
    }
    return FHOLA_OK;
}

static fhola_status read_decimal(unsigned char *pixels, size_t samples, ppm_reader *r,
                                 unsigned long maxval)
{
    for (size_t i = 0; i < samples; i++) {
        unsigned long value;
        if (!next_number(r, &value) || value > maxval)
            return fhola_fail(
                FHOLA_FORMAT,
                "%s: sample %zu of %zu is missing, no number or above the maximum of %lu", r->name,
                i, samples, maxval);
        pixels[i] = to_byte(value, maxval);
    }
    return FHOLA_OK;
}

fhola_status nn_image_decode_ppm(nn_image *image, const unsigned char *bytes, size_t length,
                                 const char *name)
{
    ppm_reader r = {bytes, bytes + length, name};
    unsigned long width, height, maxval;
    if (length < 3 || bytes[0] != 'P' || (bytes[1] != '6' && bytes[1] != '3') ||
        !(is_space(bytes[2]) || bytes[2] == '#'))
        return fhola_fail(FHOLA_FORMAT, "%s: not a PPM picture (it starts with neither P6 nor P3)",
                          name);
    bool binary = bytes[1] == '6';
    r.at += 2;
    if (!next_number(&r, &width) || !next_number(&r, &height) || !next_number(&r, &maxval) ||
        width == 0 || height == 0 || maxval == 0)
        return fhola_fail(FHOLA_FORMAT,
                          "%s: bad PPM header: width, height and maximum must be 1 to %u", name,
                          NN_IMAGE_MAX_SIDE);
    if (width > NN_IMAGE_MAX_PIXELS / height)
        return fhola_fail(FHOLA_FORMAT, "%s: %lu x %lu pixels are too many", name, width, height);
    if (r.at >= r.end || !is_space(*r.at))
        return fhola_fail(FHOLA_FORMAT, "%s: bad PPM header: no white space after the maximum",
                          name);
    r.at++;
    size_t samples = 3 * (size_t)width * (size_t)height;
    size_t least = binary ? samples * (maxval > 255 ? 2 : 1) : 2 * samples - 1;
    /* a line that ends in CR LF, where the pixels do not begin with the LF */
    if (r.at[-1] == '\r' && r.at < r.end && *r.at == '\n' && (size_t)(r.end - r.at) > least) r.at++;
    if ((size_t)(r.end - r.at) < least)
        return fhola_fail(FHOLA_FORMAT,
                          "%s: truncated: %lu x %lu pixels need at least %zu bytes, %zu are there",
                          name, width, height, least, (size_t)(r.end - r.at));
    unsigned char *pixels = malloc(samples);
    if (!pixels)
        return fhola_fail(FHOLA_NOMEM, "%s: no memory for %lu x %lu pixels", name, width, height);
    fhola_status status = binary ? read_binary(pixels, samples, &r, maxval)
                                 : read_decimal(pixels, samples, &r, maxval);
    if (status != FHOLA_OK) {
        nn_file_free(pixels, samples);
        return status;
    }
    image->width = width;
    image->height = height;
    image->pixels = pixels;
    return FHOLA_OK;
}

/* ---- resampling ---- */

/* Cell `cell` of `cells` along a side of `length` pixels covers [cell * length, (cell + 1) *
 * length) in units of 1 / cells pixel, all whole numbers: how much of pixel `pixel` that is, 0 to
 * `cells`. */
static size_t overlap(size_t cell, size_t cells, size_t pixel, size_t length)
{
    size_t low = cell * length > pixel * cells ? cell * length : pixel * cells;
    size_t high =
        (cell + 1) * length < (pixel + 1) * cells ? (cell + 1) * length : (pixel + 1) * cells;
    return high > low ? high - low : 0;
}

/* A pixel's part of channel `c`. Grey is ITU-R 601-2 luma in 16 bits of fraction, rounded, as other
 * programs have it; of three equal parts it is that part. */
static uint64_t sample(const unsigned char *pixel, size_t channels, size_t c)
{
    if (channels == 3) return pixel[c];
    return ((uint64_t)pixel[0] * 19595 + (uint64_t)pixel[1] * 38470 + (uint64_t)pixel[2] * 7471 +
            0x8000) >>
           16;
}

/* Adds the picture's row `pixels`, reduced to the shape's width, times `weight` to one row of
 * cells, channel by channel. The sums are exact. */
static void add_row(uint64_t *row, nn_shape shape, const unsigned char *pixels, size_t width,
                    uint64_t weight)
{
    size_t cells = shape.width;
    for (size_t cell = 0; cell < cells; cell++) {
        size_t first = cell * width / cells;
        for (size_t x = first; x < width && x * cells < (cell + 1) * width; x++) {
            uint64_t part = weight * overlap(cell, cells, x, width);
            for (size_t c = 0; c < shape.channels; c++)
                row[c * cells + cell] += part * sample(pixels + 3 * x, shape.channels, c);
        }
    }
}

static fhola_status check_sides(nn_shape shape, size_t width, size_t height)
{
    if (width == 0 || height == 0 || width > NN_IMAGE_MAX_SIDE || height > NN_IMAGE_MAX_SIDE)
        return fhola_fail(FHOLA_PARAM, "a picture of %zu x %zu pixels: both sides must be 1 to %u",
                          width, height, NN_IMAGE_MAX_SIDE);
    if ((shape.channels != 1 && shape.channels != 3) || shape.height == 0 || shape.width == 0 ||
        shape.height > NN_IMAGE_MAX_SIDE || shape.width > NN_IMAGE_MAX_SIDE)
        return fhola_fail(FHOLA_PARAM,
                          "the network takes %u x %u x %u values (channels, height, width): no "
                          "picture, grey or in colour, can be made that",
                          shape.channels, shape.height, shape.width);
    return FHOLA_OK;
}

fhola_status nn_picture_resample(double *values, nn_shape shape, const unsigned char *pixels,
                                 size_t width, size_t height)
{
    FHOLA_TRY(check_sides(shape, width, height));
    size_t cells = shape.height, plane = cells * shape.width,
           bytes = sizeof(uint64_t) * shape.channels * shape.width;
    uint64_t *row = malloc(bytes);
    if (!row) return fhola_fail(FHOLA_NOMEM, "no memory for a row of %u cells", shape.width);
    /* a cell has width * height units of area */
    double scale = 255.0 * (double)width * (double)height;
    for (size_t cell = 0; cell < cells; cell++) {
        memset(row, 0, bytes);
        for (size_t y = cell * height / cells; y < height && y * cells < (cell + 1) * height; y++)
            add_row(row, shape, pixels + 3 * width * y, width, overlap(cell, cells, y, height));
        for (size_t c = 0; c < shape.channels; c++)
            for (size_t x = 0; x < shape.width; x++)
                values[c * plane + cell * shape.width + x] =
                    (double)row[c * shape.width + x] / scale;
    }
    nn_file_free((unsigned char *)row, bytes);
    return FHOLA_OK;
}

fhola_status nn_picture_decode(double *values, nn_shape shape, const unsigned char *bytes,
                               size_t length, const char *name)
{
    nn_image image;
    fhola_status status = nn_image_decode_ppm(&image, bytes, length, name);
    if (status != FHOLA_OK) return status;
    status = nn_picture_resample(values, shape, image.pixels, image.width, image.height);
    nn_file_free(image.pixels, 3 * image.width * image.height);
    return status;
}

fhola_status nn_picture_read(double *values, nn_shape shape, const char *path)
{
    unsigned char *bytes;
    size_t length;
    fhola_status status = nn_file_read(&bytes, &length, path, MAX_FILE);
    if (status != FHOLA_OK) return status;
    status = nn_picture_decode(values, shape, bytes, length, path);
    nn_file_free(bytes, length);
    return status;
}

void nn_picture_normalise(double *values, const double *rgb, const double mean[3],
                          const double std[3])
{
    for (size_t c = 0; c < 3; c++)
        for (size_t i = 0; i < PLANE; i++)
            values[c * PLANE + i] = (rgb[c * PLANE + i] - mean[c]) / std[c];
}
