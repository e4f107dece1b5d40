/* SPDX-License-Identifier: Apache-2.0 */
/* Pictures the program decodes with libraries: what a file says in red, green and blue, and files
 * that are no pictures. Files are written here by the same libraries. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check_nn_support.h"
#include "nn/cmd/decode.h"
#include "tests/memory_search.h"

#if defined(HAVE_PNG) && defined(HAVE_JPEG)
#include <jpeglib.h>
#include <png.h>

#define SIDE 13u /* odd, so that interlaced passes have unequal sizes */

/* ---- PNG ---- */

typedef struct file_bytes {
    unsigned char bytes[1 << 16];
    size_t length;
} file_bytes;

static void append(png_structp png, png_bytep bytes, size_t count)
{
    file_bytes *file = png_get_io_ptr(png);
    ck_assert_uint_le(file->length + count, sizeof file->bytes);
    memcpy(file->bytes + file->length, bytes, count);
    file->length += count;
}

static void flush(png_structp png)
{
    (void)png;
}

/* How a picture is stored. */
typedef struct png_form {
    const char *name;
    int colour, depth, interlace;
    bool transparent; /* a tRNS chunk */
    bool gamma;       /* a gAMA chunk */
} png_form;

static const png_form forms[] = {
    {"rgb8", PNG_COLOR_TYPE_RGB, 8, PNG_INTERLACE_NONE, false, false},
    {"rgb16", PNG_COLOR_TYPE_RGB, 16, PNG_INTERLACE_NONE, false, false},
    {"rgb16 interlaced", PNG_COLOR_TYPE_RGB, 16, PNG_INTERLACE_ADAM7, false, false},
    {"rgb16 gamma", PNG_COLOR_TYPE_RGB, 16, PNG_INTERLACE_NONE, false, true},
    {"rgb8 gamma", PNG_COLOR_TYPE_RGB, 8, PNG_INTERLACE_NONE, false, true},
    {"rgb8 transparent colour", PNG_COLOR_TYPE_RGB, 8, PNG_INTERLACE_NONE, true, false},
    {"rgba8", PNG_COLOR_TYPE_RGBA, 8, PNG_INTERLACE_NONE, false, false},
    {"rgba16 interlaced", PNG_COLOR_TYPE_RGBA, 16, PNG_INTERLACE_ADAM7, false, false},
    {"grey1", PNG_COLOR_TYPE_GRAY, 1, PNG_INTERLACE_NONE, false, false},
    {"grey2", PNG_COLOR_TYPE_GRAY, 2, PNG_INTERLACE_NONE, false, false},
    {"grey4 interlaced", PNG_COLOR_TYPE_GRAY, 4, PNG_INTERLACE_ADAM7, false, false},
    {"grey8 transparent", PNG_COLOR_TYPE_GRAY, 8, PNG_INTERLACE_NONE, true, false},
    {"grey16", PNG_COLOR_TYPE_GRAY, 16, PNG_INTERLACE_NONE, false, false},
    {"grey-alpha8", PNG_COLOR_TYPE_GRAY_ALPHA, 8, PNG_INTERLACE_NONE, false, false},
    {"palette4", PNG_COLOR_TYPE_PALETTE, 4, PNG_INTERLACE_NONE, false, false},
    {"palette8 transparent", PNG_COLOR_TYPE_PALETTE, 8, PNG_INTERLACE_NONE, true, false},
};

/* Sample `channel` of the pixel at (x, y), of `depth` bits. */
static unsigned sample(const png_form *form, unsigned x, unsigned y, unsigned channel)
{
    unsigned value = (x * 4099 + y * 977 + channel * 21001 + 77) & 0xffff;
    return value >> (16 - form->depth);
}

static unsigned channels_of(const png_form *form)
{
    static const unsigned channels[] = {[PNG_COLOR_TYPE_GRAY] = 1,
                                        [PNG_COLOR_TYPE_RGB] = 3,
                                        [PNG_COLOR_TYPE_PALETTE] = 1,
                                        [PNG_COLOR_TYPE_GRAY_ALPHA] = 2,
                                        [PNG_COLOR_TYPE_RGBA] = 4};
    return channels[form->colour];
}

static png_color palette_colour(unsigned index)
{
    return (png_color){(png_byte)(index * 7 + 3), (png_byte)(255 - index), (png_byte)(index * 91)};
}

static void fill_row(png_bytep row, const png_form *form, unsigned y)
{
    unsigned channels = channels_of(form), depth = (unsigned)form->depth;
    memset(row, 0, SIDE * channels * 2);
    for (unsigned i = 0; i < SIDE * channels; i++) {
        unsigned value = sample(form, i / channels, y, i % channels);
        if (depth == 16) {
            row[2 * i] = (png_byte)(value >> 8);
            row[2 * i + 1] = (png_byte)value;
        } else {
            unsigned bit = i * depth;
            row[bit / 8] = (png_byte)(row[bit / 8] | value << (8 - depth - bit % 8));
        }
    }
}

static void write_extras(png_structp png, png_infop info, const png_form *form)
{
    png_color palette[256];
    png_byte alpha[4] = {0, 128, 255, 7};
    png_color_16 clear = {.red = 77, .green = 82, .blue = 90, .gray = 77};
    for (unsigned i = 0; i < 256; i++) palette[i] = palette_colour(i);
    if (form->colour == PNG_COLOR_TYPE_PALETTE) png_set_PLTE(png, info, palette, 1 << form->depth);
    if (form->transparent) png_set_tRNS(png, info, alpha, 4, &clear);
    if (form->gamma) png_set_gAMA(png, info, 1.0);
}

static void write_png(file_bytes *file, const png_form *form)
{
    png_byte rows[SIDE][SIDE * 8];
    png_bytep row[SIDE];
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    file->length = 0;
    png_set_write_fn(png, file, append, flush);
    png_set_IHDR(png, info, SIDE, SIDE, form->depth, form->colour, form->interlace,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    write_extras(png, info, form);
    for (unsigned y = 0; y < SIDE; y++) {
        fill_row(rows[y], form, y);
        row[y] = rows[y];
    }
    png_write_info(png, info);
    png_write_image(png, row);
    png_write_end(png, NULL);
    png_destroy_write_struct(&png, &info);
}

/* The byte a decoder must give. */
static unsigned expected(const png_form *form, unsigned x, unsigned y, unsigned channel)
{
    if (form->colour == PNG_COLOR_TYPE_PALETTE) {
        png_color c = palette_colour(sample(form, x, y, 0));
        return channel == 0 ? c.red : channel == 1 ? c.green : c.blue;
    }
    bool grey = !(form->colour & PNG_COLOR_MASK_COLOR);
    unsigned value = sample(form, x, y, grey ? 0 : channel);
    return form->depth == 16 ? value >> 8 : value * 255 / ((1u << form->depth) - 1);
}

START_TEST(reads_png)
{
    const png_form *form = &forms[_i];
    static file_bytes file;
    nn_cmd_pixels image = {0};
    write_png(&file, form);
    ck_assert(nn_cmd_is_png(file.bytes, file.length));
    succeed(nn_cmd_decode_png(&image, file.bytes, file.length, "p.png"));
    ck_assert_uint_eq(image.width, SIDE);
    ck_assert_uint_eq(image.height, SIDE);
    for (unsigned i = 0; i < SIDE * SIDE * 3; i++) {
        unsigned x = i / 3 % SIDE, y = i / 3 / SIDE;
        ck_assert_msg(image.pixels[i] == expected(form, x, y, i % 3), "%s: pixel %u, %u: %u",
                      form->name, x, y, image.pixels[i]);
    }
    nn_cmd_pixels_clear(&image);
    ck_assert_ptr_null(image.pixels);
}
END_TEST

/* Nothing of a picture is left in memory that libpng has given back. Written by another process,
 * whose libpng leaves it. */
START_TEST(png_is_wiped)
{
    unsigned char row[3 * SIDE];
    nn_cmd_pixels image = {0};
    file_bytes *file =
        mmap(NULL, sizeof *file, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert(file != MAP_FAILED);
    pid_t process = fork();
    ck_assert_int_ge(process, 0);
    if (process == 0) {
        write_png(file, &forms[0]);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(process, NULL, 0), process);
    memory_keep_released();
    for (unsigned i = 0; i < sizeof row; i++)
        row[i] = (unsigned char)expected(&forms[0], i / 3, SIDE - 1, i % 3);
    memory_look_for(row, sizeof row);
    ckks_wipe(row, sizeof row);
    succeed(nn_cmd_decode_png(&image, file->bytes, file->length, "p.png"));
    ck_assert_uint_ge(memory_count(), 1);
    nn_cmd_pixels_clear(&image);
    ckks_wipe(file, sizeof *file); /* perhaps not compressed */
    ck_assert_uint_eq(memory_count(), 0);
    (void)munmap(file, sizeof *file);
}
END_TEST

/* Every length and a flipped bit at every place: an error or, where the damage is in what nobody
 * reads, a picture; never a crash. */
START_TEST(damaged_png)
{
    static file_bytes file;
    nn_cmd_pixels image = {0};
    write_png(&file, &forms[2]);
    for (size_t length = 0; length < file.length; length++) {
        unsigned char *copy = malloc(length + !length); /* exact, for sanitizers */
        memcpy(copy, file.bytes, length);
        ck_assert_int_eq(nn_cmd_decode_png(&image, copy, length, "p.png"), FHOLA_FORMAT);
        ck_assert_ptr_null(image.pixels);
        free(copy);
    }
    ck_assert_ptr_nonnull(strstr(fhola_detail(), "p.png: "));
    size_t refused = 0;
    for (size_t at = 8; at < file.length; at++) {
        file.bytes[at] ^= 1;
        refused += nn_cmd_decode_png(&image, file.bytes, file.length, "p.png") != FHOLA_OK;
        nn_cmd_pixels_clear(&image);
        file.bytes[at] ^= 1;
    }
    ck_assert_uint_gt(refused, file.length * 9 / 10);
}
END_TEST

/* ---- JPEG ---- */

static unsigned char *write_jpeg(unsigned long *length, bool grey, bool progressive)
{
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;
    unsigned char *bytes = NULL, row[64 * 3];
    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_compress(&jpeg);
    *length = 0;
    jpeg_mem_dest(&jpeg, &bytes, length);
    jpeg.image_width = jpeg.image_height = 64;
    jpeg.input_components = grey ? 1 : 3;
    jpeg.in_color_space = grey ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_set_defaults(&jpeg);
    jpeg_set_quality(&jpeg, 95, TRUE);
    if (progressive) jpeg_simple_progression(&jpeg);
    jpeg_start_compress(&jpeg, TRUE);
    for (unsigned y = 0; y < 64; y++) {
        for (unsigned i = 0; i < 64u * (grey ? 1 : 3); i++)
            row[i] = (unsigned char)(grey ? 2 * i + y : i % 3 == 0 ? i : i % 3 == 1 ? 2 * y : 90);
        JSAMPROW rows[] = {row};
        (void)jpeg_write_scanlines(&jpeg, rows, 1);
    }
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    return bytes;
}

START_TEST(reads_jpeg)
{
    bool grey = _i & 1, progressive = _i & 2;
    unsigned long length;
    unsigned char *bytes = write_jpeg(&length, grey, progressive);
    nn_cmd_pixels image = {0};
    ck_assert(nn_cmd_is_jpeg(bytes, length));
    succeed(nn_cmd_decode_jpeg(&image, bytes, length, "p.jpeg"));
    ck_assert_uint_eq(image.width, 64);
    ck_assert_uint_eq(image.height, 64);
    for (unsigned i = 0; i < 64 * 64 * 3; i++) {
        unsigned x = i / 3 % 64, y = i / 3 / 64, c = i % 3;
        int wanted = (int)(grey ? 2 * x + y : c == 0 ? 3 * x : c == 1 ? 2 * y : 90);
        ck_assert_msg(abs((int)image.pixels[i] - wanted) <= 8, "pixel %u, %u: %u", x, y,
                      image.pixels[i]);
    }
    nn_cmd_pixels_clear(&image);
    free(bytes);
}
END_TEST

START_TEST(damaged_jpeg)
{
    unsigned long length;
    unsigned char *bytes = write_jpeg(&length, false, true);
    nn_cmd_pixels image = {0};
    for (unsigned long cut = 3; cut < length - 2; cut += 1 + cut / 64) {
        unsigned char *copy = malloc(cut);
        memcpy(copy, bytes, cut);
        ck_assert_int_eq(nn_cmd_decode_jpeg(&image, copy, cut, "p.jpeg"), FHOLA_FORMAT);
        ck_assert_ptr_null(image.pixels);
        free(copy);
    }
    ck_assert_ptr_nonnull(strstr(fhola_detail(), "p.jpeg: the file is truncated"));
    for (unsigned long at = 2; at < length; at++) {
        bytes[at] ^= 0x55;
        (void)!nn_cmd_decode_jpeg(&image, bytes, length, "p.jpeg");
        nn_cmd_pixels_clear(&image);
        bytes[at] ^= 0x55;
    }
    free(bytes);
}
END_TEST

/* A header that promises more than is allowed is refused before memory is taken. */
START_TEST(too_large)
{
    unsigned long length;
    unsigned char *bytes = write_jpeg(&length, false, false);
    static file_bytes file;
    nn_cmd_pixels image = {0};
    for (unsigned long at = 0; at + 9 < length; at++)
        if (bytes[at] == 0xff && bytes[at + 1] == 0xc0) memcpy(bytes + at + 5, "\xff\0\xff\0", 4);
    ck_assert_int_eq(nn_cmd_decode_jpeg(&image, bytes, length, "p"), FHOLA_FORMAT);
    ck_assert_ptr_nonnull(strstr(fhola_detail(), "too many pixels"));
    free(bytes);
    write_png(&file, &forms[0]);
    memcpy(file.bytes + 16, "\0\1\0\0\0\1\0\0", 8);
    ck_assert_int_eq(nn_cmd_decode_png(&image, file.bytes, file.length, "p"), FHOLA_FORMAT);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("decode");
    tcase_add_loop_test(tcase, reads_png, 0, (int)(sizeof forms / sizeof *forms));
    tcase_add_test(tcase, damaged_png);
    if (MEMORY_SEARCHABLE) tcase_add_test(tcase, png_is_wiped);
    tcase_add_loop_test(tcase, reads_jpeg, 0, 4);
    tcase_add_test(tcase, damaged_jpeg);
    tcase_add_test(tcase, too_large);
    return run_tests("decode", tcase, 60);
}
#else
int main(void)
{
    puts("skipped: this build reads no PNG or no JPEG");
    return 77;
}
#endif
