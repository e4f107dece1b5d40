/* SPDX-License-Identifier: Apache-2.0 */
/* Linear maps in single precision over channels-last tensors: value (c, y, x) is number (y * width
 * + x) * channels + c. Internal to nn/.
 *
 * Every multiplication and addition is rounded on its own and in one order, so results are the same
 * bits on every instruction set. */
#ifndef NN_CONVOLVE_H
#define NN_CONVOLVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nn/graph/map.h"
#include "nn/plain/simd.h"
#include "status.h"

#define NN_CONVOLVE_GROUP 16u /* output channels computed together */
/* Values behind a result that nn_fast_map_apply may overwrite: a last group of channels is written
 * as if it were whole. */
#define NN_CONVOLVE_SLACK (NN_CONVOLVE_GROUP - 1)

typedef enum nn_fast_kind {
    NN_FAST_DENSE,       /* a convolution between all channels; groups are filled with zeros */
    NN_FAST_CHANNELWISE, /* a convolution of each channel by itself */
    NN_FAST_COPY,        /* the values themselves */
    NN_FAST_SPARSE
} nn_fast_kind;

typedef struct nn_fast_map {
    nn_fast_kind kind;
    nn_simd simd;
    size_t channels, height, width;             /* of the input tensor */
    size_t out_channels, out_height, out_width; /* of the output tensor */
    size_t in_first, in, out_first, out;        /* the channels concerned */
    size_t kernel_y, kernel_x, stride_y, stride_x, dilation_y, dilation_x;
    /* The input lies in a frame of zeros, its pixels `spread` apart (more than 1 for the transpose
     * of a map with a stride), the first at (pad_y, pad_x); without `framed`, it is its own. */
    bool framed;
    size_t frame_height, frame_width, spread_y, spread_x;
    long pad_y, pad_x;
    /* dense: [out / 16, rounded up][kernel_y][kernel_x][in][16]; channelwise: [kernel_y]
     * [kernel_x][out]; sparse: by entry */
    float *weight;
    float *bias; /* of a dense map, out rounded up to 16 */
    size_t *row; /* sparse: as in nn_sparse, rows and columns in the order of the tensors */
    uint32_t *column;
} nn_fast_map;

/* nn_fast_map_clear releases what was made, also after a failure; it accepts an all-zero struct.
 * `bias`: one number for each channel of the output, added by a dense map to all of its channels,
 * or NULL. */
fhola_status nn_fast_map_create(nn_fast_map *fast, const nn_map *map,
                                const double *bias) FHOLA_WARN_UNUSED;
/* The transposed matrix: takes a gradient by the output to that by the input. */
fhola_status nn_fast_map_create_adjoint(nn_fast_map *fast, const nn_map *map) FHOLA_WARN_UNUSED;
void nn_fast_map_clear(nn_fast_map *fast);

/* Values of working memory that nn_fast_map_apply needs. */
size_t nn_fast_map_room(const nn_fast_map *fast);

/* Whether nn_fast_map_apply can write all of the output, with its bias, itself. */
bool nn_fast_map_is_whole(const nn_fast_map *fast);

/* out = map(in) + bias (only if it is whole), or with `add` out += map(in) + bias. `room`:
 * nn_fast_map_room values. `out` has room for NN_CONVOLVE_SLACK values more; it may not overlap
 * `in`. */
void nn_fast_map_apply(float *out, const nn_fast_map *fast, const float *in, float *room, bool add);

#endif
