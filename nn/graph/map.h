/* SPDX-License-Identifier: Apache-2.0 */
/* Structured sparse linear maps between tensors: what stands between two nodes of a graph. Internal
 * to nn/. */
#ifndef NN_MAP_H
#define NN_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nn/nn.h"
#include "status.h"

/* A tensor has channels x height x width values (nn_shape), numbered (c * height + y) * width + x.
 * A vector of K values is K x 1 x 1. */

#define NN_MAP_MAX_ENTRIES ((size_t)1 << 22) /* of a sparse map */
#define NN_MAP_MAX_WEIGHTS ((size_t)1 << 24) /* of a convolution */

typedef enum nn_map_kind {
    NN_MAP_CONVOLUTION,
    NN_MAP_SPARSE /* anything else: rows of (column, weight) */
} nn_map_kind;

/* With g = o / (out_channels / groups) the group of output channel o,
 *     out[out_first + o][y][x] = sum over i < in_channels / groups, ky, kx of
 *         weight[o][i][ky][kx]
 *         * in[in_first + g * (in_channels / groups) + i]
 *             [y * stride_y + ky * dilation_y - pad_y][x * stride_x + kx * dilation_x - pad_x],
 * zero outside of the input; channels of `out` outside of [out_first, out_first + out_channels) are
 * zero. pad may be negative (cropping). This is a convolution, depthwise or not, average pooling
 * with padding counted, an identity or a scaling (1 x 1, groups = channels), a part of a
 * concatenation (out_first), a slice (in_first), and a fully connected layer (kernel = the whole
 * input, one pixel out: weight[o] is then in the order of the input's values). */
typedef struct nn_convolution {
    unsigned in_first, in_channels, out_first, out_channels, groups;
    unsigned kernel_y, kernel_x, stride_y, stride_x, dilation_y, dilation_x;
    int pad_y, pad_x; /* above, left of the input */
    double *weight;   /* [out_channels][in_channels / groups][kernel_y][kernel_x] */
} nn_convolution;

/* Row r (an output value) has the entries row[r] to row[r + 1] - 1; columns (input values) rise
 * within a row. */
typedef struct nn_sparse {
    size_t *row;
    uint32_t *column;
    double *weight;
} nn_sparse;

typedef struct nn_map {
    nn_map_kind kind;
    nn_shape in, out;
    nn_convolution convolution; /* NN_MAP_CONVOLUTION */
    nn_sparse sparse;           /* NN_MAP_SPARSE */
} nn_map;

static inline size_t nn_shape_values(nn_shape shape)
{
    return (size_t)shape.channels * shape.height * shape.width;
}

static inline bool nn_shape_equal(nn_shape a, nn_shape b)
{
    return a.channels == b.channels && a.height == b.height && a.width == b.width;
}

/* Number of weights of a convolution's geometry. */
size_t nn_convolution_weights(const nn_convolution *convolution);

/* ---- making maps; `map` is empty on failure, and belongs to the caller (nn_map_clear) ---- */

/* A convolution whose weights (nn_convolution_weights of them) are copied. */
fhola_status nn_map_convolution(nn_map *map, nn_shape in, nn_shape out,
                                const nn_convolution *convolution) FHOLA_WARN_UNUSED;
/* `factor` times the identity. */
fhola_status nn_map_scaling(nn_map *map, nn_shape shape, double factor) FHOLA_WARN_UNUSED;
/* A factor for each value; a convolution if channels have one each. */
fhola_status nn_map_diagonal(nn_map *map, nn_shape shape, const double *factor) FHOLA_WARN_UNUSED;
/* Value k of the result is value index[k]; a convolution for what is a slice or a permutation of
 * channels with a crop or a stride. index[k] is below the number of values of `in`. */
fhola_status nn_map_select(nn_map *map, nn_shape in, nn_shape out,
                           const uint32_t *index) FHOLA_WARN_UNUSED;
/* Entries (row, column, weight) in any order; those of one place add up. PARAM: too many. */
typedef struct nn_entry {
    uint32_t row, column;
    double weight;
} nn_entry;
fhola_status nn_map_from_entries(nn_map *map, nn_shape in, nn_shape out, const nn_entry *entries,
                                 size_t count) FHOLA_WARN_UNUSED;
fhola_status nn_map_copy(nn_map *out, const nn_map *map) FHOLA_WARN_UNUSED;
void nn_map_clear(nn_map *map);

/* ---- using them ---- */

/* out += map(in), in double precision; a convolution's sums run over i, ky, kx in this order. */
void nn_map_add(double *out, const nn_map *map, const double *in);
/* The matrix entry from input place i to output place o. */
typedef struct nn_place {
    unsigned channel, y, x;
} nn_place;
double nn_map_entry(const nn_map *map, nn_place o, nn_place i);
/* Calls visit for each structural entry (weights may be 0), row by row, columns rising. */
typedef void nn_map_visit(void *arg, nn_place o, nn_place i, double weight);
void nn_map_for_each(const nn_map *map, nn_map_visit *visit, void *arg);
size_t nn_map_entries(const nn_map *map);
bool nn_map_is_identity(const nn_map *map);
/* Roughly the number of diagonals of the map as a matrix on ciphertexts. */
size_t nn_map_cost(const nn_map *map);

/* out = second after first. A convolution if it is one (scalings, 1 x 1, pooling behind an unpadded
 * or shape-exact convolution, ...), else sparse. PARAM: more than NN_MAP_MAX_ENTRIES entries (the
 * caller then keeps a node between them), or shapes that do not meet. */
fhola_status nn_map_compose(nn_map *out, const nn_map *second,
                            const nn_map *first) FHOLA_WARN_UNUSED;
/* a + b of equal shapes. PARAM as above. */
fhola_status nn_map_sum(nn_map *out, const nn_map *a, const nn_map *b) FHOLA_WARN_UNUSED;

#endif
