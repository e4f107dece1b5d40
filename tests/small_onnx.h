/* SPDX-License-Identifier: Apache-2.0 */
/* A small convolutional network as an ONNX file, written byte by byte (protocol buffers), so that
 * no library is needed: Conv (4 channels of 3 x 3, stride 2, padding 1), Relu, Flatten, Gemm. */
#ifndef TESTS_SMALL_ONNX_H
#define TESTS_SMALL_ONNX_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct onnx_bytes {
    unsigned char *at;
    size_t length;
} onnx_bytes;

static inline void onnx_put(onnx_bytes *b, const void *bytes, size_t length)
{
    b->at = realloc(b->at, b->length + length + 1);
    if (!b->at) abort();
    memcpy(b->at + b->length, bytes, length);
    b->length += length;
}

static inline void onnx_varint(onnx_bytes *b, uint64_t number)
{
    do {
        unsigned char byte = (unsigned char)((number & 0x7f) | (number > 0x7f ? 0x80 : 0));
        onnx_put(b, &byte, 1);
        number >>= 7;
    } while (number);
}

static inline void onnx_number(onnx_bytes *b, unsigned field, uint64_t number)
{
    onnx_varint(b, field << 3);
    onnx_varint(b, number);
}

static inline void onnx_field(onnx_bytes *b, unsigned field, const void *bytes, size_t length)
{
    onnx_varint(b, field << 3 | 2);
    onnx_varint(b, length);
    onnx_put(b, bytes, length);
}

static inline void onnx_text(onnx_bytes *b, unsigned field, const char *text)
{
    onnx_field(b, field, text, strlen(text));
}

/* A message within another one; released. */
static inline void onnx_message(onnx_bytes *b, unsigned field, onnx_bytes *message)
{
    onnx_field(b, field, message->at, message->length);
    free(message->at);
    *message = (onnx_bytes){NULL, 0};
}

/* An initialiser of small numbers; dims end with 0. */
static inline void onnx_tensor(onnx_bytes *graph, const char *name, const unsigned *dims)
{
    onnx_bytes t = {NULL, 0}, data = {NULL, 0};
    size_t count = 1;
    for (; *dims; dims++) {
        onnx_number(&t, 1, *dims);
        count *= *dims;
    }
    for (size_t i = 0; i < count; i++) {
        float x = (float)((i * 7919 + (size_t)name[0] * 31) % 201) / 1000.0f - 0.1f;
        uint32_t bits;
        memcpy(&bits, &x, sizeof bits);
        for (unsigned k = 0; k < 4; k++) {
            unsigned char byte = (unsigned char)(bits >> (8 * k));
            onnx_put(&data, &byte, 1);
        }
    }
    onnx_number(&t, 2, 1); /* float */
    onnx_text(&t, 8, name);
    onnx_message(&t, 9, &data);
    onnx_message(graph, 5, &t);
}

static inline void onnx_value(onnx_bytes *graph, unsigned field, const char *name,
                              const unsigned *dims, size_t rank)
{
    onnx_bytes v = {NULL, 0}, type = {NULL, 0}, tensor = {NULL, 0}, shape = {NULL, 0};
    for (size_t i = 0; i < rank; i++) {
        onnx_bytes dim = {NULL, 0};
        onnx_number(&dim, 1, dims[i]);
        onnx_message(&shape, 1, &dim);
    }
    onnx_number(&tensor, 1, 1);
    onnx_message(&tensor, 2, &shape);
    onnx_message(&type, 1, &tensor);
    onnx_text(&v, 1, name);
    onnx_message(&v, 2, &type);
    onnx_message(graph, field, &v);
}

static inline void onnx_ints(onnx_bytes *node, const char *name, const unsigned *ints, size_t count)
{
    onnx_bytes a = {NULL, 0};
    onnx_text(&a, 1, name);
    for (size_t i = 0; i < count; i++) onnx_number(&a, 8, ints[i]);
    onnx_number(&a, 20, 7);
    onnx_message(node, 5, &a);
}

/* Inputs end with NULL. */
static inline onnx_bytes onnx_node(const char *op, const char *const *inputs, const char *output)
{
    onnx_bytes n = {NULL, 0};
    for (; *inputs; inputs++) onnx_text(&n, 1, *inputs);
    onnx_text(&n, 2, output);
    onnx_text(&n, 3, output);
    onnx_text(&n, 4, op);
    return n;
}

/* The file for pictures of channels x side x side, side even, and so many scores: to be freed. */
static inline onnx_bytes small_onnx(unsigned channels, unsigned side, unsigned classes)
{
    const unsigned kernel[] = {4, channels, 3, 3, 0}, bias[] = {4, 0},
                   dense[] = {side / 2 * (side / 2) * 4, classes, 0}, threes[] = {3, 3},
                   twos[] = {2, 2}, ones[] = {1, 1, 1, 1}, in[] = {1, channels, side, side},
                   out[] = {1, classes};
    onnx_bytes file = {NULL, 0}, graph = {NULL, 0}, opset = {NULL, 0};
    onnx_bytes conv = onnx_node("Conv", (const char *[]){"in", "kernel", "bias", NULL}, "a"),
               relu = onnx_node("Relu", (const char *[]){"a", NULL}, "b"),
               flat = onnx_node("Flatten", (const char *[]){"b", NULL}, "c"),
               gemm = onnx_node("Gemm", (const char *[]){"c", "dense", NULL}, "out");
    onnx_ints(&conv, "kernel_shape", threes, 2);
    onnx_ints(&conv, "strides", twos, 2);
    onnx_ints(&conv, "pads", ones, 4);
    onnx_message(&graph, 1, &conv);
    onnx_message(&graph, 1, &relu);
    onnx_message(&graph, 1, &flat);
    onnx_message(&graph, 1, &gemm);
    onnx_text(&graph, 2, "small");
    onnx_tensor(&graph, "kernel", kernel);
    onnx_tensor(&graph, "bias", bias);
    onnx_tensor(&graph, "dense", dense);
    onnx_value(&graph, 11, "in", in, 4);
    onnx_value(&graph, 12, "out", out, 2);
    onnx_number(&file, 1, 8);
    onnx_message(&file, 7, &graph);
    onnx_number(&opset, 2, 13);
    onnx_message(&file, 8, &opset);
    return file;
}

#endif
