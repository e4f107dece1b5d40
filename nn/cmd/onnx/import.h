/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the ONNX importer share. Internal to nn/cmd/onnx. */
#ifndef NN_CMD_ONNX_IMPORT_H
#define NN_CMD_ONNX_IMPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nn/nn.h"
#include "ola/ola.h"
#include "status.h"
#include <nn/cmd/onnx/onnx.pb-c.h> /* made by protoc-c */

#define ONNX_MAX_RANK   8u
#define ONNX_MAX_VALUES ((size_t)1 << 27) /* numbers of one constant */
#define ONNX_MAX_FILE   ((size_t)1 << 30)

typedef struct onnx_dims {
    unsigned rank;
    size_t size[ONNX_MAX_RANK];
} onnx_dims;

size_t onnx_count(const onnx_dims *dims);

/* A value of the file's graph: numbers known now, or something the network computes. */
typedef enum onnx_kind { ONNX_UNKNOWN, ONNX_CONSTANT, ONNX_COMPUTED } onnx_kind;

/* A computed value is a function of one number (an expression, pointwise.h) applied to each value
 * of a tensor of the graph under construction. Value j of the file's tensor, in row order, is made
 * from value order[j] of that tensor; order NULL: from value j. dims[0] is the batch, always 1. */
typedef struct onnx_value {
    const char *name; /* borrowed from the file */
    onnx_kind kind;
    onnx_dims dims;
    double *number;      /* ONNX_CONSTANT: onnx_count of them */
    unsigned expression; /* ONNX_COMPUTED */
    uint32_t *order;
} onnx_value;

void onnx_value_clear(onnx_value *value);

/* One step of a pointwise function. */
typedef enum onnx_step_kind {
    ONNX_STEP_TENSOR, /* the value of a tensor itself */
    ONNX_STEP_ADD,    /* a + b, or a + constant */
    ONNX_STEP_MUL,
    ONNX_STEP_DIV, /* a / b, or constant / a with swapped */
    ONNX_STEP_POW,
    ONNX_STEP_UNARY
} onnx_step_kind;

typedef struct onnx_step {
    onnx_step_kind kind;
    nn_tensor tensor;  /* that everything comes from */
    unsigned a, b;     /* earlier steps */
    bool has_constant; /* instead of b */
    double constant, constant2;
    double (*unary)(double x, double p, double q); /* with parameters constant and constant2 */
    bool applied;                                  /* `result` is a tensor of the graph by now */
    nn_tensor result;
} onnx_step;

typedef struct onnx_import {
    const char *path;
    Onnx__Model *model;
    int64_t opset;
    nn_graph *graph;
    onnx_value *values; /* by name; a hash table would pay beyond thousands of nodes */
    size_t value_count, value_room;
    uint32_t *slot; /* open addressing: index + 1 into values */
    size_t slot_count;
    onnx_step *steps;
    unsigned step_count, step_room;
    size_t constants; /* numbers of all constants made while folding */
    const Onnx__Node *node;
    const Onnx__Node *final; /* a softmax or the like, passed by; NULL: none so far */
    char label[160];         /* of the node at hand, for messages */
    char note[256];
} onnx_import;

/* ---- messages ---- */

/* FHOLA_PARAM: "path: node 'name' (Op): ..." */
fhola_status onnx_refuse(const onnx_import *import, const char *format, ...) FHOLA_WARN_UNUSED
    __attribute__((format(printf, 2, 3)));

/* ---- attributes of the node at hand ---- */

const Onnx__Attribute *onnx_attribute(const onnx_import *import, const char *name);
int64_t onnx_int(const onnx_import *import, const char *name, int64_t otherwise);
double onnx_float(const onnx_import *import, const char *name, double otherwise);
/* false if it is not `text`; true if missing and `otherwise` */
bool onnx_text_is(const onnx_import *import, const char *name, const char *text, bool otherwise);
/* Integers of an attribute, or if it has none those of input `index` (a constant; -1: none). *count
 * = 0: neither is there. */
fhola_status onnx_ints(int64_t *out, size_t *count, size_t room, const onnx_import *import,
                       const char *name, int index) FHOLA_WARN_UNUSED;

/* ---- values ---- */

size_t onnx_inputs(const onnx_import *import); /* of the node, trailing empty ones left out */
/* Input `index` of the node; NULL if it is left out. */
onnx_value *onnx_input(const onnx_import *import, size_t index);
/* An input that must be there and known. */
fhola_status onnx_need_constant(const onnx_value **value, const onnx_import *import,
                                size_t index) FHOLA_WARN_UNUSED;
fhola_status onnx_need_computed(onnx_value **value, const onnx_import *import,
                                size_t index) FHOLA_WARN_UNUSED;
onnx_value *onnx_find(const onnx_import *import, const char *name);
/* Output `index` of the node becomes `value`, which is taken over. */
fhola_status onnx_set(onnx_import *import, const char *name, onnx_value value) FHOLA_WARN_UNUSED;
fhola_status onnx_output(onnx_import *import, size_t index, onnx_value value) FHOLA_WARN_UNUSED;
/* A computed value that is a tensor in its own order. */
onnx_value onnx_tensor_value(onnx_import *import, nn_tensor tensor, onnx_dims dims);
/* A copy of dims and order with another expression. */
fhola_status onnx_like(onnx_value *out, const onnx_value *from,
                       unsigned expression) FHOLA_WARN_UNUSED;

/* The shape of the builder's tensor for dims: the batch left out, what is before the last two
 * dimensions together. */
nn_shape onnx_shape(const onnx_dims *dims);

/* The tensor behind a value with its function applied, still in the value's order. */
fhola_status onnx_apply(onnx_import *import, nn_tensor *tensor,
                        const onnx_value *value) FHOLA_WARN_UNUSED;
/* The tensor of a value in its own order and shape. */
fhola_status onnx_in_order(onnx_import *import, nn_tensor *tensor,
                           const onnx_value *value) FHOLA_WARN_UNUSED;

/* ---- pointwise functions ---- */

fhola_status onnx_step_add(unsigned *index, onnx_import *import, onnx_step step) FHOLA_WARN_UNUSED;
double onnx_step_eval(const onnx_import *import, unsigned index, double x);
/* The function of <fhola/ola.h> that a step of kind UNARY is, with its parameters; false if it is
 * none of them. */
bool onnx_step_function(ola_function *function, const onnx_step *step);

/* ---- constants ---- */

fhola_status onnx_constant_of(onnx_value *value, const onnx_import *import,
                              const Onnx__Tensor *tensor) FHOLA_WARN_UNUSED;
/* Computes the node now if all its inputs are known and it is one of shape arithmetic; *done says
 * whether it was. */
fhola_status onnx_fold(onnx_import *import, bool *done) FHOLA_WARN_UNUSED;

/* ---- operators ---- */

/* Adds the node at hand to the graph. */
fhola_status onnx_node(onnx_import *import) FHOLA_WARN_UNUSED;
fhola_status onnx_pointwise_node(onnx_import *import, bool *done) FHOLA_WARN_UNUSED;
fhola_status onnx_shape_node(onnx_import *import, bool *done) FHOLA_WARN_UNUSED;
fhola_status onnx_linear_node(onnx_import *import, bool *done) FHOLA_WARN_UNUSED;

#endif
