/* SPDX-License-Identifier: Apache-2.0 */
/* Where the values of a tensor sit in the slots. Internal to nn/.
 *
 * Multiplexed layout (Lee et al., "Low-complexity deep convolutional neural networks on fully
 * homomorphic encryption using multiplexed parallel convolutions", ICML 2022, section 4): a layer
 * of stride 2 keeps the grid of its input and spreads its pixels over it with a gap, and the
 * channels of a block of gap_y * gap_x interleave on one grid:
 *
 *     channel c = (b gap_y + i) gap_x + j, pixel (y, x)
 *         ->  slot b * block + (y gap_y + i) * pitch + (x gap_x + j).
 *
 * So the distance of two slots whose values a kernel brings together is the same for every pixel.
 * Grids have sides that are powers of two where that fits: the distances of all channels then
 * coincide best. A vector (height and width 1) lies in contiguous slots.
 *
 * All values have to fit into one ciphertext for now. Slot numbers leave room for more: those of
 * ciphertext k will begin at k * NN_MAX_SLOTS. */
#ifndef NN_LAYOUT_H
#define NN_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ckks/ckks.h"
#include "nn/graph/map.h"

#define NN_LOG_MIN_SLOTS 12u /* log2 of the smallest and largest n that is bootstrapped */
#define NN_LOG_MAX_SLOTS 14u
#define NN_MIN_SLOTS     (1u << NN_LOG_MIN_SLOTS)
#define NN_MAX_SLOTS     (1u << NN_LOG_MAX_SLOTS)
#define NN_MIN_ROWS      16u /* of the scores */

typedef struct nn_layout {
    nn_shape shape;
    unsigned gap_y, gap_x;
    unsigned pitch;  /* slots from a row of the grid to the next */
    unsigned block;  /* slots from a block of channels to the next */
    uint32_t period; /* the values repeat with it: a power of two */
    uint32_t slots;  /* n, what a bootstrap takes: the period, but at least NN_MIN_SLOTS */
} nn_layout;

/* Gap 1 on the smallest grid whose sides are powers of two; where the channels do not fit on such
 * grids, row after row without any room between them. PARAM, naming the node: more than
 * NN_MAX_SLOTS values. */
fhola_status nn_layout_fresh(nn_layout *out, nn_shape shape, const char *node) FHOLA_WARN_UNUSED;
/* The layout of `map`'s result that keeps the grid of its input; false if it does not fit. */
bool nn_layout_behind(nn_layout *out, nn_layout in, const nn_map *map);
/* A vector with at least NN_MIN_ROWS slots: what a result is, without a bootstrap. */
nn_layout nn_layout_scores(unsigned count);
bool nn_layout_equal(nn_layout a, nn_layout b);

uint32_t nn_layout_slot(nn_layout layout, nn_place place);
/* What a slot holds (any slot: modulo the period). False: padding, `place` is then 0, 0, 0. */
bool nn_layout_place(nn_place *place, nn_layout layout, uint32_t slot);

/* The factor of a slot before slots_to_coeffs: 1 on the first half of each n slots, i on the
 * second. */
ckks_complex nn_layout_half_factor(nn_layout layout, uint32_t slot);

/* values[slot] for the n slots: the tensor's value, 0 for padding; with `halves` times the half
 * factor. `value`: one per channel, or with `full` one per value of the tensor. */
void nn_layout_spread(nn_layout layout, ckks_complex *values, const double *value, bool full,
                      bool halves);
/* tensor[channel][y][x] from the real parts of n slots. */
void nn_layout_gather(nn_layout layout, double *tensor, const ckks_complex *values);

#endif
