/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/graph/picture.h"

#include "check_nn_support.h"
#include "nn/nn.h"

static const nn_shape colour = {3, 32, 32};

static fhola_status decode(nn_image *image, const char *bytes, size_t length)
{
    /* exact size, so that a sanitizer sees any read beyond */
    unsigned char *copy = malloc(length + !length);
    memcpy(copy, bytes, length);
    fhola_status status = nn_image_decode_ppm(image, copy, length, "p");
    free(copy);
    return status;
}

START_TEST(reads_both_kinds_of_ppm)
{
    nn_image a, b;
    static const char binary[] = "P6 # a comment\n#another\n2 1\n255\n\x01\x02\x03\xff\x80\n",
                      decimal[] = "P3\n2 1 255 1 2\t3\n255 128 10";
    succeed(decode(&a, binary, sizeof binary - 1));
    succeed(decode(&b, decimal, sizeof decimal - 1));
    ck_assert_uint_eq(a.width, 2);
    ck_assert_uint_eq(a.height, 1);
    ck_assert_int_eq(memcmp(a.pixels, b.pixels, 6), 0);
    ck_assert_uint_eq(a.pixels[4], 128);
    free(a.pixels);
    free(b.pixels);
    static const char deep[] = "P6 1 1 65535\n\xff\xff\x80\x00\x00\x01",
                      shallow[] = "P6 1 1 1\n\x01\x00\x01";
    succeed(decode(&a, deep, sizeof deep - 1));
    ck_assert_uint_eq(a.pixels[0], 255);
    ck_assert_uint_eq(a.pixels[1], 128);
    ck_assert_uint_eq(a.pixels[2], 0);
    free(a.pixels);
    succeed(decode(&a, shallow, sizeof shallow - 1));
    ck_assert_uint_eq(a.pixels[0], 255);
    ck_assert_uint_eq(a.pixels[1], 0);
    free(a.pixels);
}
END_TEST

START_TEST(reads_headers_of_other_systems)
{
    static const struct {
        const char *bytes;
        size_t length;
    } same[] = {
        {"P6\r\n2 1\r\n255\r\n\x01\x02\x03\xff\x80\n", 21},
        {"P6 # a comment\r2 1\r255\r\x01\x02\x03\xff\x80\n", 30},
        {"P6\n2 1\n255\r\n\x01\x02\x03\xff\x80\n", 19},
    };
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        nn_image image = {0};
        succeed(decode(&image, same[i].bytes, same[i].length));
        ck_assert_uint_eq(image.width, 2);
        ck_assert_int_eq(memcmp(image.pixels, "\x01\x02\x03\xff\x80\n", 6), 0);
        free(image.pixels);
    }
    /* the first pixel is the LF */
    nn_image image = {0};
    succeed(decode(&image, "P6 1 1 255\r\n\x02\x03", 14));
    ck_assert_int_eq(memcmp(image.pixels, "\n\x02\x03", 3), 0);
    free(image.pixels);
}
END_TEST

static const struct {
    const char *bytes, *message;
} wrong[] = {{"", "neither P6 nor P3"},
             {"P5 1 1 255\nabc", "neither P6 nor P3"},
             {"P61 1 255\nabc", "neither P6 nor P3"},
             {"\x89PNG\r\n", "neither P6 nor P3"},
             {"P6", "neither"},
             {"P6\n", "bad PPM header"},
             {"P6 1", "bad PPM header"},
             {"P6 1 1 x", "bad PPM header"},
             {"P6 0 1 255\n", "bad PPM header"},
             {"P6 1 1 0\nabc", "bad PPM header"},
             {"P6 1 1 65536\nabc", "bad PPM header"},
             {"P6 99999999999999999999 1 255\nabc", "bad PPM header"},
             {"P6 -1 1 255\nabc", "bad PPM header"},
             {"P6 1 1 255", "no white space"},
             {"P6 1 1 255\nab", "truncated: 1 x 1 pixels need at least 3 bytes, 2 are there"},
             {"P6 65535 65535 255\nabc", "too many"},
             {"P6 8000 8000 255\nabc", "truncated"},
             {"P6 1 1 100\nabe", "above the maximum of 100"},
             {"P3 1 1 255 1 2 ", "truncated"},
             {"P3 1 1 255 1 2   ", "sample 2 of 3"},
             {"P3 1 1 255 1 2 x", "sample 2 of 3"},
             {"P3 1 1 255 1 2 256", "sample 2 of 3"}};

START_TEST(refuses_the_rest)
{
    nn_image image = {0};
    fail_with(decode(&image, wrong[_i].bytes, strlen(wrong[_i].bytes)), FHOLA_FORMAT,
              wrong[_i].message);
    ck_assert_ptr_null(image.pixels);
}
END_TEST

START_TEST(small_pictures_stay_as_they_are)
{
    unsigned char pixels[3072];
    double rgb[3072];
    uint64_t random = test_seed;
    for (size_t i = 0; i < 3072; i++) pixels[i] = (unsigned char)next_random(&random);
    succeed(nn_picture_resample(rgb, colour, pixels, 32, 32));
    for (size_t i = 0; i < 1024; i++)
        for (size_t c = 0; c < 3; c++)
            assert_close(rgb[c * 1024 + i], pixels[3 * i + c] / 255.0, 1e-15);
}
END_TEST

/* Each new pixel is the integral over its rectangle, taken on a grid on which both pixel rasters
 * have whole sides. Grey is that of each pixel, before. */
START_TEST(averages_areas)
{
    static const struct {
        size_t width, height;
        nn_shape to;
    } sizes[] = {
        {64, 64, {3, 32, 32}}, {33, 17, {3, 32, 32}},  {1, 1, {3, 32, 32}},   {5, 100, {3, 32, 32}},
        {31, 32, {3, 32, 32}}, {320, 96, {3, 32, 32}}, {32, 32, {3, 64, 64}}, {9, 28, {1, 28, 28}},
        {40, 7, {1, 5, 31}},   {3, 4, {1, 1, 1}},
    };
    size_t width = sizes[_i].width, height = sizes[_i].height;
    nn_shape to = sizes[_i].to;
    size_t plane = (size_t)to.height * to.width;
    unsigned char *pixels = malloc(3 * width * height);
    double *values = malloc(to.channels * plane * sizeof *values);
    uint64_t random = test_seed + (uint64_t)_i;
    for (size_t i = 0; i < 3 * width * height; i++) pixels[i] = (unsigned char)next_random(&random);
    succeed(nn_picture_resample(values, to, pixels, width, height));
    for (size_t y = 0; y < to.height; y += 5) {
        for (size_t x = 0; x < to.width; x++) {
            double sum = 0;
            for (size_t v = y * height; v < (y + 1) * height; v++) {
                for (size_t u = x * width; u < (x + 1) * width; u++) {
                    const unsigned char *p = pixels + 3 * (v / to.height * width + u / to.width);
                    sum += to.channels == 3
                               ? p[1]
                               : (p[0] * 19595 + p[1] * 38470 + p[2] * 7471 + 0x8000) / 65536;
                }
            }
            assert_close(values[(to.channels == 3) * plane + y * to.width + x],
                         sum / (255.0 * (double)(width * height)), 1e-13);
        }
    }
    free(values);
    free(pixels);
}
END_TEST

START_TEST(reads_picture_files)
{
    double rgb[3072];
    char file[13 + 3 * 64 * 64] = "P6 64 64 255\n";
    for (size_t i = 13; i < sizeof file; i++) file[i] = 51;
    succeed(nn_picture_read(rgb, colour, write_bytes("p.ppm", file, sizeof file)));
    assert_close(rgb[3000], 0.2, 1e-15);
    fail_with(nn_picture_read(rgb, colour, write_bytes("cut.ppm", file, sizeof file - 1)),
              FHOLA_FORMAT, "cut.ppm: truncated");
    fail_with(nn_picture_read(rgb, colour, in_folder("none.ppm")), FHOLA_IO, "none.ppm");
    fail_with(nn_picture_resample(rgb, colour, (const unsigned char *)file, 0, 3), FHOLA_PARAM,
              "0 x 3");
}
END_TEST

START_TEST(normalises)
{
    static const double mean[3] = {0.5, 0.25, 0}, std[3] = {0.25, 0.5, 2};
    double rgb[3072];
    for (size_t i = 0; i < 3072; i++) rgb[i] = 1;
    nn_picture_normalise(rgb, rgb, mean, std);
    ck_assert_double_eq(rgb[0], 2);
    ck_assert_double_eq(rgb[1024], 1.5);
    ck_assert_double_eq(rgb[3071], 0.5);
}
END_TEST

START_TEST(reads_batches)
{
    unsigned char *bytes = malloc(4 * 3074);
    nn_batch *batch = NULL;
    double rgb[3072];
    for (size_t i = 0; i < 4 * 3074; i++) bytes[i] = (unsigned char)(i % 251);
    succeed(nn_batch_load(&batch, write_bytes("four", bytes, 4 * 3073), 1, 2));
    ck_assert_uint_eq(nn_batch_count(batch), 2);
    ck_assert_uint_eq(nn_batch_label(batch, 0), 3073 % 251);
    nn_batch_picture(batch, 1, rgb);
    assert_close(rgb[0], (2 * 3073 + 1) % 251 / 255.0, 1e-15);
    assert_close(rgb[3071], (3 * 3073 - 1) % 251 / 255.0, 1e-15);
    nn_batch_free(batch);
    succeed(nn_batch_load(&batch, in_folder("four"), 3, 0));
    ck_assert_uint_eq(nn_batch_count(batch), 1);
    nn_batch_free(batch);
    succeed(nn_batch_load(&batch, write_bytes("hundred", bytes, 4 * 3074), 0, 0));
    ck_assert_uint_eq(nn_batch_count(batch), 4);
    ck_assert_uint_eq(nn_batch_label(batch, 1), 3075 % 251); /* the second label */
    nn_batch_free(batch);
    batch = NULL;
    fail_with(nn_batch_load(&batch, in_folder("four"), 4, 0), FHOLA_RANGE, "there are only 4");
    fail_with(nn_batch_load(&batch, in_folder("four"), 2, 3), FHOLA_RANGE, "records 2 to 4");
    fail_with(nn_batch_load(&batch, write_bytes("odd", bytes, 3072), 0, 0), FHOLA_FORMAT,
              "3072 bytes are no whole number");
    fail_with(nn_batch_load(&batch, write_bytes("empty", bytes, 0), 0, 0), FHOLA_FORMAT, "0 bytes");
    ck_assert_ptr_null(batch);
    free(bytes);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("picture");
    tcase_add_test(tcase, reads_both_kinds_of_ppm);
    tcase_add_test(tcase, reads_headers_of_other_systems);
    tcase_add_loop_test(tcase, refuses_the_rest, 0, (int)(sizeof wrong / sizeof wrong[0]));
    tcase_add_test(tcase, small_pictures_stay_as_they_are);
    tcase_add_loop_test(tcase, averages_areas, 0, 10);
    tcase_add_test(tcase, reads_picture_files);
    tcase_add_test(tcase, normalises);
    tcase_add_test(tcase, reads_batches);
    return run_tests("picture", tcase, 60);
}
