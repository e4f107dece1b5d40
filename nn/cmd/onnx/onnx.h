/* SPDX-License-Identifier: Apache-2.0 */
/* Networks from ONNX files, the exchange format of PyTorch, TensorFlow and others. Internal to the
 * program. */
#ifndef NN_CMD_ONNX_H
#define NN_CMD_ONNX_H

#include <stdbool.h>

#include "nn/nn.h"
#include "status.h"

/* By its first bytes: the IR version, a number below 256. */
static inline bool nn_onnx_begins(const unsigned char *bytes, size_t length)
{
    return length >= 2 && bytes[0] == 0x08 && bytes[1] > 0 && bytes[1] < 128;
}

/* From the bytes of a file, a network with weights, operator sets 7 to 20, one input, one output.
 * `input` (all zero: what the file says) is the picture it takes where the file has K values in a
 * row. `options` as for nn_model_load. A softmax at the end is left out: *note (may be NULL) gets a
 * sentence about it, or NULL; it lives until the next call in this thread. FHOLA_FORMAT: no ONNX
 * file, or damaged. FHOLA_PARAM: an operator that cannot be had, or used in a way that cannot be
 * had; the message names node and operator and what would do instead. Data beside the file is
 * looked for next to `path`. */
FHOLA_WARN_UNUSED fhola_status nn_onnx_parse(nn_model **model, const unsigned char *bytes,
                                             size_t length, const char *path, nn_shape input,
                                             const nn_model_options *options, const char **note);

#endif
