/* SPDX-License-Identifier: Apache-2.0 */
/* Calibration and test data: .npy and IDX files, folders, CIFAR records, their labels, and what is
 * none of them. */
#include <sys/stat.h>

#include "check_nn_support.h"
#include "nn/cmd/cmd.h"
#include "nn/cmd/data.h"
#include "nn/nn.h"

#define ROOM 65536u

typedef struct file {
    unsigned char bytes[ROOM];
    size_t length;
} file;

static void put(file *f, const void *bytes, size_t length)
{
    ck_assert_uint_le(f->length + length, ROOM);
    memcpy(f->bytes + f->length, bytes, length);
    f->length += length;
}

static void put_text(file *f, const char *text)
{
    put(f, text, strlen(text));
}

/* Little endian. */
static void put_number(file *f, uint64_t number, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) {
        unsigned char byte = (unsigned char)(number >> (8 * i));
        put(f, &byte, 1);
    }
}

static void put_float(file *f, double x, unsigned bytes)
{
    float single = (float)x;
    uint64_t bits = 0;
    uint32_t low;
    memcpy(&low, &single, sizeof low);
    memcpy(&bits, &x, sizeof bits);
    put_number(f, bytes == 4 ? low : bits, bytes);
}

/* A .npy file without its numbers; `header` is the dictionary. */
static file *npy(unsigned version, const char *header)
{
    static file f;
    f.length = 0;
    put_text(&f, "\x93NUMPY");
    put_number(&f, version, 2);
    put_number(&f, strlen(header), version == 1 ? 2 : 4);
    put_text(&f, header);
    return &f;
}

/* The usual one. */
static file *npy_of(const char *type, const char *shape)
{
    char header[256];
    snprintf(header, sizeof header, "{'descr': '%s', 'fortran_order': False, 'shape': %s, }   \n",
             type, shape);
    return npy(1, header);
}

static const char *save(const file *f, const char *name)
{
    return write_bytes(name, f->bytes, f->length);
}

/* A network for the shape. */
static nn_model *model_for(nn_shape shape, unsigned classes, const char *const *names)
{
    nn_graph *graph;
    nn_model *model;
    nn_tensor t;
    size_t values = nn_cmd_values(shape);
    size_t count = (values > classes ? values : classes) * classes; /* of either layer */
    double *weight = calloc(count, sizeof *weight);
    const nn_activation_spec relu = {.kind = "relu"};
    const nn_model_options options = {.class_names = names, .class_count = names ? classes : 0};
    for (size_t i = 0; i < count; i++) weight[i] = (double)(i % 7) / 7;
    succeed(nn_graph_create(&graph, shape));
    succeed(nn_graph_dense(graph, &t, "a", 0, classes, weight, NULL));
    succeed(nn_graph_activation(graph, &t, "b", t, &relu));
    succeed(nn_graph_dense(graph, &t, "c", t, classes, weight, NULL));
    succeed(nn_graph_finish(graph, t));
    succeed(nn_model_create(&model, graph, &options));
    free(weight);
    return model;
}

/* Three labels, 7 8 9. */
static const char *three_labels(void)
{
    file *f = npy_of("|u1", "(3,)");
    put(f, "\7\10\11", 3);
    return save(f, "three.npy");
}

/* ---- arrays ---- */

/* Byte (or number) of record i, channel c, row y, column x; all differ in small shapes. */
static unsigned pixel(size_t i, size_t c, size_t y, size_t x)
{
    return (unsigned)(i * 61 + c * 41 + y * 7 + x) & 255;
}

static const nn_shape odd = {3, 4, 5};

/* Three records of the shape, channels last or not; element: 1 (bytes), 4 or 8 (floats). */
static void put_records(file *f, nn_shape s, bool last, unsigned element)
{
    size_t plane = (size_t)s.height * s.width;
    for (size_t k = 0; k < 3 * nn_cmd_values(s); k++) {
        size_t i = k / nn_cmd_values(s), at = k % nn_cmd_values(s),
               c = last ? at % s.channels : at / plane, p = last ? at / s.channels : at % plane;
        unsigned value = pixel(i, c, p / s.width, p % s.width);
        if (element == 1)
            put_number(f, value, 1);
        else
            put_float(f, value / 256.0, element);
    }
}

static void check_records(const nn_batch *batch, nn_shape s, size_t first, double divisor)
{
    double *values = malloc(nn_cmd_values(s) * sizeof *values);
    size_t plane = (size_t)s.height * s.width;
    for (size_t i = 0; i < nn_batch_count(batch); i++) {
        ck_assert_uint_eq(nn_batch_label(batch, i), 7 + first + i);
        nn_batch_picture(batch, i, values);
        for (size_t k = 0; k < nn_cmd_values(s); k++) {
            size_t p = k % plane;
            assert_close(values[k], pixel(first + i, k / plane, p / s.width, p % s.width) / divisor,
                         1e-15);
        }
    }
    free(values);
}

static const struct {
    const char *shape;
    nn_shape network;
    bool last;
} layouts[] = {
    {"(3, 3, 4, 5)", {3, 4, 5}, false}, {"(3, 4, 5, 3)", {3, 4, 5}, true},
    {"(3, 4, 5)", {1, 4, 5}, false},    {"(3, 1, 4, 5)", {1, 4, 5}, false},
    {"(3,4,5,1)", {1, 4, 5}, false},    {"(3, 20)", {1, 4, 5}, false},
    {"(3, 60)", {60, 1, 1}, false},     {"(3, 3, 4, 5)", {60, 1, 1}, false},
    {"(3, 6, 10)", {60, 1, 1}, false},  {"(3, 1, 60)", {60, 1, 1}, false},
    {"(3, 2, 2, 3)", {2, 2, 3}, false}, {"(3, 7, 3, 2)", {2, 7, 3}, true},
};

START_TEST(reads_layouts)
{
    static const char *const types[] = {"|u1", "<f4", "<f8"};
    static const unsigned element[] = {1, 4, 8};
    nn_shape s = layouts[_i].network;
    nn_model *model = model_for(s, 12, NULL);
    for (int type = 0; type < 3; type++) {
        nn_batch *batch = NULL;
        file *f = npy_of(types[type], layouts[_i].shape);
        put_records(f, s, layouts[_i].last, element[type]);
        const char *path = save(f, "a.npy"), *labels = three_labels();
        double divisor = type ? 256 : 255;
        succeed(nn_cmd_load_batch(&batch, model, path, labels, 0, 0));
        ck_assert_uint_eq(nn_batch_count(batch), 3);
        check_records(batch, s, 0, divisor);
        nn_batch_free(batch);
        succeed(nn_cmd_load_batch(&batch, model, path, labels, 1, 1));
        ck_assert_uint_eq(nn_batch_count(batch), 1);
        check_records(batch, s, 1, divisor);
        nn_batch_free(batch);
    }
    nn_model_free(model);
}
END_TEST

static const struct {
    const char *shape, *message;
    nn_shape network;
} misfits[] = {
    {"(3, 28, 28)", "records of 28 x 28 values, the network takes 3 x 4 x 5", {3, 4, 5}},
    {"(3, 5, 4, 3)", "records of 5 x 4 x 3 values, the network takes 3 x 4 x 5", {3, 4, 5}},
    {"(3, 60)", "60 values in a row do not say where the 3 channels are", {3, 4, 5}},
    {"(3, 3, 3, 3)", "3 x 3 x 3 values may have their channels first or last", {3, 3, 3}},
    {"(3, 59)", "records of 59 values, the network takes 60 x 1 x 1", {60, 1, 1}},
    {"(3,)", "records of 1 values, the network takes 1 x 4 x 5", {1, 4, 5}},
    {"(3, 0)", "records of 0 values, the network takes 60 x 1 x 1", {60, 1, 1}},
    {"()", "there are only 0", {1, 4, 5}},
    {"(0, 4, 5)", "there are only 0", {1, 4, 5}},
};

START_TEST(refuses_other_shapes)
{
    nn_cmd_array a;
    nn_batch *batch = NULL;
    nn_model *model = model_for(misfits[_i].network, 12, NULL);
    file *f = npy_of("|u1", misfits[_i].shape);
    size_t head = f->length;
    memset(f->bytes + head, 1, ROOM - head);
    f->length = ROOM; /* too long, so that the message tells the length */
    (void)!nn_cmd_decode_npy(&a, f->bytes, f->length, "a");
    const char *promised = strstr(fhola_detail(), "promises ");
    ck_assert_ptr_nonnull(promised);
    f->length = head + strtoul(promised + 9, NULL, 10);
    const char *path = save(f, "a.npy");
    fhola_status status = nn_cmd_load_batch(&batch, model, path, three_labels(), 0, 0);
    fail_with(status, strstr(misfits[_i].message, "only") ? FHOLA_RANGE : FHOLA_PARAM,
              misfits[_i].message);
    ck_assert_ptr_null(batch);
    nn_model_free(model);
}
END_TEST

static const char good[] = "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 2)}";

static const struct {
    unsigned version;
    const char *header;
} headers[] = {
    {1, good},
    {2, good},
    {3, good},
    {1, "{\"shape\":(2,2,),\"descr\":\"<u1\" , 'fortran_order' :False,}  \n"},
    {1, "{'shape': (4,), 'fortran_order': True, 'descr': '>u1'}"},
};

START_TEST(reads_headers)
{
    nn_cmd_array a;
    file *f = npy(headers[_i].version, headers[_i].header);
    put(f, "\1\2\3\4", 4);
    succeed(nn_cmd_decode_npy(&a, f->bytes, f->length, "a"));
    ck_assert_uint_eq(a.count, 4);
    for (size_t i = 0; i < 4; i++) ck_assert_double_eq(nn_cmd_array_get(&a, i), (double)i + 1);
}
END_TEST

#define HEADER(type, order, shape)                                                                 \
    "{'descr': " type ", 'fortran_order': " order ", 'shape': " shape "}"

static const struct {
    const char *header, *message;
} spoilt[] = {
    {"", ".npy header must say"},
    {"{}", ".npy header must say"},
    {"{'descr': '|u1', 'fortran_order': False}", "must say"},
    {"{'descr': '|u1', 'descr': '|u1', 'shape': (4,)}", "must say"},
    {HEADER("'|u1'", "False", "(4,), 'more': 1"), "must say"},
    {HEADER("'|u1'", "False", "(4,)") " x", "must say"},
    {HEADER("'|u1'", "Maybe", "(4,)"), "must say"},
    {HEADER("'|u1'", "False", "(4)"), "must say"},
    {HEADER("'|u1'", "False", "(2 2)"), "must say"},
    {HEADER("'|u1'", "False", "(-4,)"), "must say"},
    {HEADER("'|u1'", "False", "(99999999999999999999,)"), "must say"},
    {HEADER("'|u1'", "False", "(1,1,1,1,1,1,4)"), "at most 6 dimensions"},
    {HEADER("'|u1", "False", "(4,)"), "must say"},
    {HEADER("'a type that is far too long'", "False", "(4,)"), "must say"},
    {HEADER("[('x', '<f4')]", "False", "(1,)"), "one type of numbers"},
    {HEADER("'|u1'", "True", "(2, 2)"), "column order (fortran_order)"},
    {HEADER("'>u2'", "False", "(2,)"), "'>u2' are big endian"},
    {HEADER("'<f2'", "False", "(2,)"), "type '<f2'; there can be uint8, float32 and float64"},
    {HEADER("'|O'", "False", "(4,)"), "type '|O'"},
    {HEADER("'|b1'", "False", "(4,)"), "type '|b1'"},
    {HEADER("'<u3'", "False", "(1,)"), "type '<u3'"},
    {HEADER("'|u2'", "False", "(2,)"), "type '|u2'"},
    {HEADER("'<c8'", "False", "(1,)"), "type '<c8'"},
    {HEADER("'|u1'", "False", "(5,)"), "truncated: the header promises 5 numbers of 1 bytes, 4"},
    {HEADER("'|u1'", "False", "(3,)"), "too long: the header promises 3 numbers"},
    {HEADER("'<u2'", "False", "(3,)"), "truncated"},
    {HEADER("'|u1'", "False", "(8589934592, 8589934592)"), "more numbers than can be"},
};

START_TEST(refuses_headers)
{
    nn_cmd_array a;
    file *f = npy(1, spoilt[_i].header);
    put(f, "\1\2\3\4", 4);
    fail_with(nn_cmd_decode_npy(&a, f->bytes, f->length, "a"), FHOLA_FORMAT, spoilt[_i].message);
}
END_TEST

START_TEST(refuses_every_cut)
{
    nn_cmd_array a;
    file *f = npy(2, good);
    put(f, "\1\2\3\4", 4);
    for (size_t length = 0; length < f->length; length++) {
        unsigned char *copy = malloc(length + !length); /* exact, for sanitizers */
        memcpy(copy, f->bytes, length);
        ck_assert_int_eq(nn_cmd_decode_array(&a, copy, length, "a"), FHOLA_FORMAT);
        free(copy);
    }
    f->bytes[6] = 4;
    fail_with(nn_cmd_decode_npy(&a, f->bytes, f->length, "a"), FHOLA_FORMAT, "format 4");
    f->bytes[6] = 2;
    memcpy(f->bytes + 8, "\1\0\1\0", 4);
    fail_with(nn_cmd_decode_npy(&a, f->bytes, f->length, "a"), FHOLA_FORMAT, "65537 bytes");
    fail_with(nn_cmd_decode_npy(&a, f->bytes, 3, "a"), FHOLA_FORMAT, "not a .npy file");
}
END_TEST

/* Numbers of every kind, with and without a sign. */
START_TEST(numbers)
{
    static const struct {
        const char *type;
        uint64_t bits;
        unsigned bytes;
        double value;
    } all[] = {
        {"|u1", 0xff, 1, 255},
        {"|i1", 0xff, 1, -1},
        {"|i1", 0x80, 1, -128},
        {"<u2", 0xfffe, 2, 65534},
        {"<i2", 0xfffe, 2, -2},
        {"<i4", 0x80000000, 4, -2147483648.0},
        {"<u4", 0xffffffff, 4, 4294967295.0},
        {"<i8", 7, 8, 7},
        {"<i8", UINT64_MAX, 8, -1},
        {"<i8", (uint64_t)1 << 63, 8, -0x1p63},
        {"<f4", 0xbf400000, 4, -0.75},
        {"<f8", UINT64_C(0x3fd0000000000000), 8, 0.25},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        nn_cmd_array a;
        file *f = npy_of(all[i].type, "(1,)");
        put_number(f, all[i].bits, all[i].bytes);
        succeed(nn_cmd_decode_npy(&a, f->bytes, f->length, "a"));
        ck_assert_double_eq(nn_cmd_array_get(&a, 0), all[i].value);
    }
}
END_TEST

/* Values that are no pixels from 0 to 1, and the wrong sort of numbers. */
START_TEST(refuses_values)
{
    static const double bad[] = {-0.001, 1.001, 254, (double)NAN, (double)INFINITY};
    nn_batch *batch = NULL;
    nn_model *model = model_for((nn_shape){1, 1, 2}, 12, NULL);
    for (size_t i = 0; i < 5; i++) {
        for (unsigned bytes = 4; bytes <= 8; bytes += 4) {
            file *f = npy_of(bytes == 4 ? "<f4" : "<f8", "(3, 1, 2)");
            for (size_t k = 0; k < 6; k++) put_float(f, k == 5 ? bad[i] : 0.5, bytes);
            const char *path = save(f, "a.npy");
            fail_with(nn_cmd_load_batch(&batch, model, path, three_labels(), 0, 0), FHOLA_RANGE,
                      "a.npy: record 2: value 1 is");
            succeed(nn_cmd_load_batch(&batch, model, path, three_labels(), 0, 2));
            nn_batch_free(batch);
            batch = NULL;
        }
    }
    file *f = npy_of("<i4", "(3, 1, 2)");
    put(f, "123412341234123412341234", 24);
    const char *path = save(f, "a.npy");
    fail_with(nn_cmd_load_batch(&batch, model, path, three_labels(), 0, 0), FHOLA_FORMAT,
              "a.npy: integers of 4 bytes");
    nn_model_free(model);
}
END_TEST

/* ---- IDX ---- */

static file *idx(unsigned type, const unsigned *dims, unsigned rank)
{
    static file f;
    f.length = 0;
    put_number(&f, 0, 2);
    put_number(&f, type, 1);
    put_number(&f, rank, 1);
    for (unsigned i = 0; i < 4 * rank; i++) put_number(&f, dims[i / 4] >> (24 - 8 * (i % 4)), 1);
    return &f;
}

START_TEST(reads_idx)
{
    static const unsigned dims[] = {3, 4, 5}, one[] = {3};
    const nn_shape shape = {1, 4, 5};
    nn_batch *batch = NULL;
    nn_model *model = model_for(shape, 12, NULL);
    file *f = idx(8, one, 1);
    put(f, "\7\10\11", 3);
    const char *labels = save(f, "labels-idx1-ubyte");
    f = idx(8, dims, 3);
    put_records(f, shape, false, 1);
    const char *path = save(f, "images-idx3-ubyte");
    succeed(nn_cmd_load_batch(&batch, model, path, labels, 0, 0));
    ck_assert_uint_eq(nn_batch_count(batch), 3);
    check_records(batch, shape, 0, 255);
    nn_batch_free(batch);
    batch = NULL;
    f->length--;
    fail_with(nn_cmd_load_batch(&batch, model, save(f, "cut"), labels, 0, 0), FHOLA_FORMAT,
              "cut: truncated: the header promises 60 values, 59 are there");
    f->length += 2;
    fail_with(nn_cmd_load_batch(&batch, model, save(f, "long"), labels, 0, 0), FHOLA_FORMAT,
              "long: too long");
    f = idx(13, one, 1);
    put(f, "123412341234", 12);
    fail_with(nn_cmd_load_batch(&batch, model, save(f, "float"), labels, 0, 0), FHOLA_FORMAT,
              "float: an IDX file with values of type 0x0d");
    static const unsigned huge[] = {1u << 31, 1u << 31, 1u << 31};
    f = idx(8, huge, 3);
    fail_with(nn_cmd_load_batch(&batch, model, save(f, "huge"), labels, 0, 0), FHOLA_FORMAT,
              "huge: truncated");
    nn_model_free(model);
}
END_TEST

/* ---- CIFAR ---- */

/* Records that begin like an IDX file stay what they are; those of another shape are resampled. */
START_TEST(reads_cifar)
{
    static unsigned char bytes[2 * 3073];
    nn_batch *batch = NULL;
    double values[3072];
    nn_model *same = model_for((nn_shape){3, 32, 32}, 10, NULL),
             *grey = model_for((nn_shape){1, 16, 16}, 10, NULL),
             *vector = model_for((nn_shape){3072, 1, 1}, 10, NULL);
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (unsigned char)(i % 3073 < 1025 ? 0 : 100);
    memcpy(bytes, "\0\0\10\1\0\0\0\3", 8);
    bytes[3073] = 9;
    const char *path = write_bytes("records", bytes, sizeof bytes);
    succeed(nn_cmd_load_batch(&batch, same, path, NULL, 0, 0));
    ck_assert_uint_eq(nn_batch_count(batch), 2);
    ck_assert_uint_eq(nn_batch_label(batch, 1), 9);
    nn_batch_picture(batch, 0, values);
    assert_close(values[1], 8 / 255.0, 1e-15);
    nn_batch_free(batch);
    succeed(nn_cmd_load_batch(&batch, grey, path, NULL, 1, 1));
    ck_assert_uint_eq(nn_batch_label(batch, 0), 9);
    nn_batch_picture(batch, 0, values);
    /* no red, 100 of green and of blue */
    assert_close(values[255], ((100 * 38470 + 100 * 7471 + 0x8000) >> 16) / 255.0, 1e-7);
    nn_batch_free(batch);
    batch = NULL;
    fail_with(nn_cmd_load_batch(&batch, same, path, three_labels(), 0, 0), FHOLA_PARAM,
              "records: CIFAR records have labels already");
    fail_with(nn_cmd_load_batch(&batch, same, path, NULL, 2, 0), FHOLA_RANGE, "there are only 2");
    fail_with(nn_cmd_load_batch(&batch, vector, path, NULL, 0, 0), FHOLA_PARAM,
              "3072 x 1 x 1 values (channels, height, width): no picture");
    fail_with(nn_cmd_load_batch(&batch, same, write_bytes("odd", bytes, 3072), NULL, 0, 0),
              FHOLA_FORMAT, "odd: too long: the header promises 3 values");
    bytes[0] = 1;
    fail_with(nn_cmd_load_batch(&batch, same, write_bytes("odd", bytes, 3072), NULL, 0, 0),
              FHOLA_FORMAT, "odd: 3072 bytes are no whole number of CIFAR-10");
    nn_model_free(same);
    nn_model_free(grey);
    nn_model_free(vector);
}
END_TEST

START_TEST(refuses_archives)
{
    nn_batch *batch = NULL;
    nn_model *model = model_for((nn_shape){1, 1, 2}, 12, NULL);
    fail_with(nn_cmd_load_batch(&batch, model, write_bytes("a.gz", "\x1f\x8b\x08", 3),
                                three_labels(), 0, 0),
              FHOLA_FORMAT, "a.gz: compressed by gzip: gunzip it first");
    fail_with(
        nn_cmd_load_batch(&batch, model, write_bytes("a.npz", "PK\3\4", 4), three_labels(), 0, 0),
        FHOLA_FORMAT, "a.npz: a zip archive, as .npz files are");
    fail_with(nn_cmd_load_batch(&batch, model, in_folder("none"), NULL, 0, 0), FHOLA_IO, "none");
    nn_model_free(model);
}
END_TEST

/* ---- labels ---- */

static const struct {
    const char *type, *shape, *bytes;
    size_t length;
    fhola_status status;
    const char *message; /* NULL: they are 7, 8, 9 */
} label_files[] = {
    {"|u1", "(3,)", "\7\10\11", 3, FHOLA_OK, NULL},
    {"<i4", "(3, 1)", "\7\0\0\0\10\0\0\0\11\0\0", 12, FHOLA_OK, NULL},
    {"<i8", "(3,)", "\7\0\0\0\0\0\0\0\10\0\0\0\0\0\0\0\11\0\0\0\0\0\0", 24, FHOLA_OK, NULL},
    {"<u2", "(3,)", "\7\0\10\0\11", 6, FHOLA_OK, NULL},
    {"|u1", "(2,)", "\7\10", 2, FHOLA_PARAM, "l.npy has 2 labels, "},
    {"|u1", "(1, 3)", "\7\10\11", 3, FHOLA_FORMAT, "l.npy: labels are one number a record"},
    {"|u1", "()", "\7", 1, FHOLA_FORMAT, "l.npy: labels are one number a record"},
    {"|i1", "(3,)", "\7\xff\11", 3, FHOLA_RANGE, "l.npy: record 1 has the label -1"},
    {"<f4", "(3,)", "\0\0\0\0\0\0\0\0\0\0\0", 12, FHOLA_FORMAT, "labels are integers"},
};

START_TEST(reads_labels)
{
    nn_batch *batch = NULL;
    nn_model *model = model_for(odd, 12, NULL);
    file *f = npy_of(label_files[_i].type, label_files[_i].shape);
    put(f, label_files[_i].bytes, label_files[_i].length);
    const char *labels = save(f, "l.npy");
    f = npy_of("|u1", "(3, 3, 4, 5)");
    put_records(f, odd, false, 1);
    fhola_status status = nn_cmd_load_batch(&batch, model, save(f, "a.npy"), labels, 0, 0);
    if (label_files[_i].message)
        fail_with(status, label_files[_i].status, label_files[_i].message);
    else
        succeed(status);
    if (batch) check_records(batch, odd, 0, 255);
    nn_batch_free(batch);
    nn_model_free(model);
}
END_TEST

START_TEST(asks_for_labels)
{
    nn_batch *batch = NULL;
    nn_model *model = model_for(odd, 12, NULL);
    file *f = npy_of("|u1", "(3, 3, 4, 5)");
    put_records(f, odd, false, 1);
    const char *path = save(f, "a.npy");
    fail_with(nn_cmd_load_batch(&batch, model, path, NULL, 0, 0), FHOLA_PARAM,
              "a.npy: an array has no labels: --labels FILE gives them");
    fail_with(nn_cmd_load_batch(&batch, model, path, write_bytes("text", "7 8 9", 5), 0, 0),
              FHOLA_FORMAT, "text: neither a .npy nor an IDX file");
    fail_with(nn_cmd_load_batch(&batch, model, path, path, 0, 0), FHOLA_FORMAT,
              "labels are one number a record");
    nn_model_free(model);
}
END_TEST

/* ---- folders ---- */

/* A picture of one pixel. */
static void write_picture(const char *name, unsigned char red, unsigned char green,
                          unsigned char blue)
{
    char bytes[] = "P6 1 1 255\n...";
    bytes[11] = (char)red;
    bytes[12] = (char)green;
    bytes[13] = (char)blue;
    write_bytes(name, bytes, 14);
}

static void make_folder(const char *name)
{
    ck_assert_int_eq(mkdir(in_folder(name), 0777), 0);
}

/* Two cows, an ant, no bee; and what is passed by. */
static const char *animals(void)
{
    make_folder("animals");
    make_folder("animals/cow");
    make_folder("animals/ant");
    make_folder("animals/.cache");
    write_bytes("animals/README", "x", 1);
    write_bytes("animals/ant/.DS_Store", "x", 1);
    write_picture("animals/cow/b.ppm", 51, 51, 51);
    write_picture("animals/cow/a.ppm", 0, 102, 255);
    write_picture("animals/ant/z.ppm", 204, 204, 204);
    return in_folder("animals");
}

START_TEST(reads_folders)
{
    static const char *const names[] = {"ant", "bee", "cow"}, *const others[] = {"ant", "bee", "x"};
    static const unsigned by_name[] = {0, 2, 2}, by_order[] = {0, 1, 1};
    nn_batch *batch = NULL;
    double values[12];
    const char *path = animals();
    nn_model *named = model_for((nn_shape){3, 2, 2}, 3, names),
             *numbered = model_for((nn_shape){1, 2, 2}, 3, NULL),
             *other = model_for((nn_shape){3, 2, 2}, 3, others),
             *one = model_for((nn_shape){3, 2, 2}, 1, NULL);
    for (int k = 0; k < 2; k++) {
        succeed(nn_cmd_load_batch(&batch, k ? numbered : named, path, NULL, 0, 0));
        ck_assert_uint_eq(nn_batch_count(batch), 3);
        for (size_t i = 0; i < 3; i++)
            ck_assert_uint_eq(nn_batch_label(batch, i), (k ? by_order : by_name)[i]);
        nn_batch_picture(batch, 0, values); /* z, a, b */
        assert_close(values[3], 0.8, 1e-7);
        nn_batch_picture(batch, 1, values);
        assert_close(values[0], k ? ((102 * 38470 + 255 * 7471 + 0x8000) >> 16) / 255.0 : 0, 1e-7);
        if (!k) assert_close(values[11], 1, 1e-7);
        nn_batch_free(batch);
    }
    succeed(nn_cmd_load_batch(&batch, named, path, NULL, 2, 0));
    ck_assert_uint_eq(nn_batch_count(batch), 1);
    nn_batch_picture(batch, 0, values);
    assert_close(values[0], 0.2, 1e-7);
    nn_batch_free(batch);
    batch = NULL;
    fail_with(nn_cmd_load_batch(&batch, other, path, NULL, 0, 0), FHOLA_FORMAT,
              "the folder 'cow' is no class of the network ('ant' is one)");
    fail_with(nn_cmd_load_batch(&batch, one, path, NULL, 0, 0), FHOLA_FORMAT,
              "2 folders, the network has 1 classes");
    fail_with(nn_cmd_load_batch(&batch, named, path, three_labels(), 0, 0), FHOLA_PARAM,
              "folders for each class have labels already");
    fail_with(nn_cmd_load_batch(&batch, named, path, NULL, 3, 0), FHOLA_RANGE, "only 3");
    write_bytes("animals/cow/c.txt", "moo", 3);
    fail_with(nn_cmd_load_batch(&batch, named, path, NULL, 0, 0), FHOLA_FORMAT, "cow/c.txt: ");
    nn_model_free(named);
    nn_model_free(numbered);
    nn_model_free(other);
    nn_model_free(one);
}
END_TEST

START_TEST(refuses_folders)
{
    nn_batch *batch = NULL;
    nn_model *model = model_for((nn_shape){3, 2, 2}, 3, NULL);
    make_folder("empty");
    fail_with(nn_cmd_load_batch(&batch, model, in_folder("empty"), NULL, 0, 0), FHOLA_FORMAT,
              "empty: a folder without folders");
    make_folder("empty/0");
    fail_with(nn_cmd_load_batch(&batch, model, in_folder("empty"), NULL, 0, 0), FHOLA_FORMAT,
              "empty: no files in its folders");
    make_folder("empty/0/0");
    fail_with(nn_cmd_load_batch(&batch, model, in_folder("empty"), NULL, 0, 0), FHOLA_IO,
              "empty/0/0: Is a directory");
    nn_model_free(model);
}
END_TEST

/* ---- single ones ---- */

START_TEST(reads_pictures_as_arrays)
{
    static const char *const shapes[] = {"(4, 5)", "(1, 4, 5)", "(4, 5, 1)", "(20,)", "(1, 20)"};
    const nn_shape shape = {1, 4, 5}, vector = {20, 1, 1};
    double *values = NULL;
    for (size_t i = 0; i < 5; i++) {
        file *f = npy_of("|u1", shapes[i]);
        for (unsigned k = 0; k < 20; k++) put_number(f, 10 * k, 1);
        const char *path = save(f, "one.npy");
        for (int k = 0; k < 2; k++) {
            succeed(nn_cmd_read_picture(&values, k ? vector : shape, path, -1));
            for (unsigned j = 0; j < 20; j++) assert_close(values[j], 10 * j / 255.0, 1e-15);
            nn_cmd_free_picture(values, shape);
        }
    }
    file *f = npy_of("|u1", "(3, 4, 5)");
    put_records(f, shape, false, 1);
    const char *path = save(f, "three.npy");
    succeed(nn_cmd_read_picture(&values, shape, path, 2));
    assert_close(values[19], pixel(2, 0, 3, 4) / 255.0, 1e-15);
    nn_cmd_free_picture(values, shape);
    values = NULL;
    fail_with(nn_cmd_read_picture(&values, shape, path, -1), FHOLA_PARAM,
              "three.npy: 60 values, the network takes 1 x 4 x 5 (channels, height, width); "
              "--record N takes a record of many");
    fail_with(nn_cmd_read_picture(&values, shape, path, 3), FHOLA_RANGE, "only 3");
    write_picture("p.ppm", 1, 2, 3);
    fail_with(nn_cmd_read_picture(&values, vector, in_folder("p.ppm"), -1), FHOLA_PARAM,
              "the network takes 20 x 1 x 1");
    ck_assert_ptr_null(values);
}
END_TEST

/* Grey is what other programs make of the colours, and grey files are spread over three. */
START_TEST(grey_and_colour)
{
    const nn_shape grey = {1, 1, 1}, colour = {3, 1, 1};
    double *values = NULL;
    write_picture("p.ppm", 200, 100, 50);
    succeed(nn_cmd_read_picture(&values, grey, in_folder("p.ppm"), -1));
    assert_close(values[0], 124 / 255.0, 1e-15); /* Pillow: Image.convert("L") */
    nn_cmd_free_picture(values, grey);
    write_picture("p.ppm", 77, 77, 77);
    for (int k = 0; k < 2; k++) {
        succeed(nn_cmd_read_picture(&values, k ? grey : colour, in_folder("p.ppm"), -1));
        assert_close(values[0], 77 / 255.0, 1e-15);
        nn_cmd_free_picture(values, k ? grey : colour);
    }
}
END_TEST

#define COUNT(array) ((int)(sizeof(array) / sizeof(array)[0]))

int main(void)
{
    TCase *tcase = tcase_create("data");
    tcase_add_loop_test(tcase, reads_layouts, 0, COUNT(layouts));
    tcase_add_loop_test(tcase, refuses_other_shapes, 0, COUNT(misfits));
    tcase_add_loop_test(tcase, reads_headers, 0, COUNT(headers));
    tcase_add_loop_test(tcase, refuses_headers, 0, COUNT(spoilt));
    tcase_add_test(tcase, refuses_every_cut);
    tcase_add_test(tcase, numbers);
    tcase_add_test(tcase, refuses_values);
    tcase_add_test(tcase, reads_idx);
    tcase_add_test(tcase, reads_cifar);
    tcase_add_test(tcase, refuses_archives);
    tcase_add_loop_test(tcase, reads_labels, 0, COUNT(label_files));
    tcase_add_test(tcase, asks_for_labels);
    tcase_add_test(tcase, reads_folders);
    tcase_add_test(tcase, refuses_folders);
    tcase_add_test(tcase, reads_pictures_as_arrays);
    tcase_add_test(tcase, grey_and_colour);
    return run_tests("data", tcase, 60);
}
