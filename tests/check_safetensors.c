/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/graph/safetensors.h"

#include "check_nn_support.h"

/* A file with this header and `data` bytes after it. */
static const char *write_file(const char *header, const void *data, size_t length)
{
    unsigned char bytes[4096] = {0};
    size_t header_length = strlen(header);
    bytes[0] = (unsigned char)header_length;
    bytes[1] = (unsigned char)(header_length >> 8);
    memcpy(bytes + 8, header, header_length);
    memcpy(bytes + 8 + header_length, data, length);
    return write_bytes("t.safetensors", bytes, 8 + header_length + length);
}

/* 1, -2, 0.125, 0 */
static const unsigned char ones[32] = {0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0, 0, 0, 0, 0x3e, 0, 0, 0, 0};

START_TEST(reads_tensors)
{
    nn_safetensors *file;
    double values[4];
    succeed(nn_safetensors_open(
        &file,
        write_file("{\"b\": {\"dtype\": \"F32\", \"shape\": [2], \"data_offsets\": [8, 16]}, "
                   "\"__metadata__\": {\"k\": "
                   "\"v\"}, \"a\": {\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[0,8]}, "
                   "\"e\": {\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[16,24]}}  ",
                   ones, 24)));
    ck_assert_uint_eq(nn_safetensors_count(file), 3);
    const nn_weight_tensor *a = nn_safetensors_find(file, "a"), *b = nn_safetensors_find(file, "b"),
                           *e = nn_safetensors_find(file, "e");
    ck_assert_ptr_eq(nn_safetensors_tensor(file, 0), a);
    ck_assert_uint_eq(a->rank, 2);
    ck_assert_uint_eq(a->shape[1], 2);
    succeed(nn_tensor_values(values, a, "t"));
    ck_assert_double_eq(values[0], 1);
    ck_assert_double_eq(values[1], -2);
    succeed(nn_tensor_values(values, b, "t"));
    ck_assert_double_eq(values[0], 0.125);
    ck_assert_uint_eq(e->rank, 0);
    ck_assert_uint_eq(e->count, 1);
    fail_with(nn_tensor_values(values, e, "t"), FHOLA_FORMAT, "I64 is no floating-point type");
    ck_assert_str_eq(nn_safetensors_metadata(file, "k"), "v");
    ck_assert_ptr_null(nn_safetensors_metadata(file, "l"));
    ck_assert_ptr_null(nn_safetensors_find(file, "c"));
    nn_safetensors_close(file);
}
END_TEST

static double convert(const char *dtype, const void *bytes, size_t size)
{
    char header[200];
    nn_safetensors *file;
    double value;
    snprintf(header, sizeof header,
             "{\"a\":{\"dtype\":\"%s\",\"shape\":[1],\"data_offsets\":[0,%zu]}}", dtype, size);
    succeed(nn_safetensors_open(&file, write_file(header, bytes, size)));
    succeed(nn_tensor_values(&value, nn_safetensors_find(file, "a"), "t"));
    nn_safetensors_close(file);
    return value;
}

START_TEST(converts_number_formats)
{
    ck_assert_double_eq(convert("F16", "\x00\x3c", 2), 1);
    ck_assert_double_eq(convert("F16", "\x00\xc0", 2), -2);
    ck_assert_double_eq(convert("F16", "\x01\x00", 2), 0x1p-24);
    ck_assert_double_eq(convert("F16", "\xff\x03", 2), 1023 * 0x1p-24);
    ck_assert_double_eq(convert("F16", "\xff\x7b", 2), 65504);
    ck_assert_double_eq(convert("F16", "\x55\x35", 2), 0x1.554p-2);
    ck_assert_double_eq(convert("BF16", "\x80\x3f", 2), 1);
    ck_assert_double_eq(convert("BF16", "\x49\x40", 2), 3.140625);
    ck_assert_double_eq(convert("F64", "\x18\x2d\x44\x54\xfb\x21\x09\x40", 8), 3.141592653589793);
}
END_TEST

#define ENTRY(dtype, shape, offsets)                                                               \
    "{\"a\": {\"dtype\": " dtype ", \"shape\": " shape ", \"data_offsets\": " offsets "}}"

static const struct {
    const char *header, *message;
    size_t length;
} wrong[] = {{"[]", "not a JSON object", 0},
             {"{\"a\": 1}", "tensor a has no dtype", 0},
             {"{\"a\": {}}", "tensor a has no dtype", 0},
             {ENTRY("\"F31\"", "[2]", "[0, 8]"), "unknown dtype F31", 8},
             {ENTRY("\"F32\"", "2", "[0, 8]"), "no shape", 8},
             {ENTRY("\"F32\"", "[1,1,1,1,1,1,1,1,2]", "[0, 8]"), "no shape of at most 8", 8},
             {ENTRY("\"F32\"", "[-2]", "[0, 8]"), "bad shape", 8},
             {ENTRY("\"F32\"", "[2.5]", "[0, 8]"), "bad shape", 8},
             {ENTRY("\"F32\"", "[1000000000, 1000000000]", "[0, 8]"), "larger than any file", 8},
             {ENTRY("\"F32\"", "[2]", "[0]"), "bad data_offsets", 8},
             {ENTRY("\"F32\"", "[2]", "[8, 0]"), "bad data_offsets", 8},
             {ENTRY("\"F32\"", "[2]", "[0, 4]"), "do not hold its 2 elements", 4},
             {ENTRY("\"F32\"", "[2]", "[0, 8]"), "truncated: tensor a ends at byte 8 of 7", 7},
             {ENTRY("\"F32\"", "[2]", "[0, 8]"), "4 bytes after the last tensor", 12},
             {ENTRY("\"F32\"", "[2]", "[4, 12]"), "byte 0 expected", 12},
             {"{\"a\": {\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}, \"b\": "
              "{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}}",
              "tensor b starts at byte 4 of the data, byte 8 expected", 12},
             {"{\"__metadata__\": 1}", "__metadata__ is not an object", 0},
             {"{\"__metadata__\": {\"k\": 1}}", "entry k is not a string", 0},
             {"{\"a\": }", "t.safetensors:1:7", 0}};

START_TEST(refuses_bad_headers)
{
    nn_safetensors *file = NULL;
    fail_with(nn_safetensors_open(&file, write_file(wrong[_i].header, ones, wrong[_i].length)),
              FHOLA_FORMAT, wrong[_i].message);
    ck_assert_ptr_null(file);
}
END_TEST

START_TEST(refuses_bad_lengths)
{
    nn_safetensors *file = NULL;
    fail_with(nn_safetensors_open(&file, in_folder("none")), FHOLA_IO, "none");
    fail_with(nn_safetensors_open(&file, write_bytes("short", "1234567", 7)), FHOLA_FORMAT,
              "too few");
    fail_with(
        nn_safetensors_open(&file, write_bytes("long", "\xff\xff\xff\xff\xff\xff\xff\xff{}", 10)),
        FHOLA_FORMAT, "a header of");
    fail_with(nn_safetensors_open(&file, write_bytes("zip", "PK\003\004archive", 11)), FHOLA_FORMAT,
              "a zip archive, as torch.save writes it");
    fail_with(nn_safetensors_open(&file, write_bytes("cut", "\x03\0\0\0\0\0\0\0{}", 10)),
              FHOLA_FORMAT, "truncated: a header of 3");
}
END_TEST

START_TEST(refuses_nan_and_infinity)
{
    nn_safetensors *file;
    double values[2];
    unsigned char bytes[8] = {0, 0, 0x80, 0x3f, 0, 0, 0xc0, 0x7f};
    succeed(nn_safetensors_open(&file, write_file(ENTRY("\"F32\"", "[2]", "[0, 8]"), bytes, 8)));
    fail_with(nn_tensor_values(values, nn_safetensors_find(file, "a"), "t"), FHOLA_FORMAT,
              "t: tensor a: element 1 is NaN");
    nn_safetensors_close(file);
    bytes[6] = 0x80;
    succeed(nn_safetensors_open(&file, write_file(ENTRY("\"F32\"", "[2]", "[0, 8]"), bytes, 8)));
    fail_with(nn_tensor_values(values, nn_safetensors_find(file, "a"), "t"), FHOLA_FORMAT,
              "element 1 is infinite");
    nn_safetensors_close(file);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("safetensors");
    tcase_add_test(tcase, reads_tensors);
    tcase_add_test(tcase, converts_number_formats);
    tcase_add_loop_test(tcase, refuses_bad_headers, 0, (int)(sizeof wrong / sizeof wrong[0]));
    tcase_add_test(tcase, refuses_bad_lengths);
    tcase_add_test(tcase, refuses_nan_and_infinity);
    return run_tests("safetensors", tcase, 60);
}
