/* SPDX-License-Identifier: Apache-2.0 */
/* Reader of the safetensors format: 8 bytes of header length, a JSON header, then the tensors'
 * bytes back to back. Internal to nn/. */
#ifndef NN_SAFETENSORS_H
#define NN_SAFETENSORS_H

#include <stddef.h>

#include "status.h"

#define NN_TENSOR_MAX_RANK 8u

typedef enum nn_dtype { NN_F32, NN_F64, NN_F16, NN_BF16, NN_I64, NN_OTHER_DTYPE } nn_dtype;

typedef struct nn_weight_tensor {
    const char *name;
    nn_dtype dtype;
    const char *dtype_name;
    size_t rank;
    size_t shape[NN_TENSOR_MAX_RANK];
    size_t count;               /* elements */
    size_t begin, end;          /* of its bytes, from the start of the data */
    const unsigned char *bytes; /* little-endian, row-major */
} nn_weight_tensor;

typedef struct nn_safetensors nn_safetensors;

/* Reads and validates `path`: the header's length and syntax, every tensor's dtype, shape and byte
 * range, and that the ranges fill the data without gap or overlap (which a truncated file
 * violates). FHOLA_FORMAT names the file and the tensor. */
fhola_status nn_safetensors_open(nn_safetensors **file, const char *path) FHOLA_WARN_UNUSED;
/* The same from the bytes of a file, which must outlive *file. */
fhola_status nn_safetensors_decode(nn_safetensors **file, const unsigned char *bytes, size_t length,
                                   const char *path) FHOLA_WARN_UNUSED;
void nn_safetensors_close(nn_safetensors *file);

size_t nn_safetensors_count(const nn_safetensors *file);
/* in order of their bytes */
const nn_weight_tensor *nn_safetensors_tensor(const nn_safetensors *file, size_t index);
/* NULL if there is none */
const nn_weight_tensor *nn_safetensors_find(const nn_safetensors *file, const char *name);

/* A string of __metadata__, NULL if it is missing. */
const char *nn_safetensors_metadata(const nn_safetensors *file, const char *key);

/* Converts all elements of a floating-point tensor to `values` (tensor->count of them).
 * FHOLA_FORMAT: another dtype, or a value is NaN or infinite (says which element). `path` only goes
 * into messages. */
fhola_status nn_tensor_values(double *values, const nn_weight_tensor *tensor,
                              const char *path) FHOLA_WARN_UNUSED;

#endif
