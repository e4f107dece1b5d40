/* SPDX-License-Identifier: Apache-2.0 */
/* Where a picture's values sit in the slots, and linear layers as diagonals over those slots.
 * Internal to nn/.
 *
 * Multiplexed layout (Lee et al., "Low-complexity deep convolutional neural networks on fully
 * homomorphic encryption using multiplexed parallel convolutions", ICML 2022, section 4): a tensor
 * of C channels of side H keeps the 32 x 32 grid of the picture. With the gap g = 32 / H, g * g
 * channels interleave on one grid (a block of 1024 slots):
 *
 *     channel c = b g^2 + i g + j, pixel (y, x)  ->  slot b * 1024 + (y g + i) * 32 + (x g + j).
 *
 * All blocks together, rounded up to a power of two, are the n slots of the layout; the vector
 * repeats with period n. */
#ifndef NN_LAYOUT_H
#define NN_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#include "ckks/ckks.h"
#include "nn/graph/map.h"
#include "nn/graph/model.h"

#define NN_GRID        32u   /* side of the grid of a block */
#define NN_BLOCK_SLOTS 1024u /* NN_GRID squared */

typedef struct nn_layout {
    unsigned channels; /* > 0 */
    unsigned side;     /* 32, 16 or 8 */
    unsigned gap;      /* NN_GRID / side */
    uint32_t slots;    /* n */
} nn_layout;

/* `side` divides 32. */
nn_layout nn_layout_of(unsigned channels, unsigned side);
uint32_t nn_layout_slot(nn_layout layout, unsigned channel, unsigned y, unsigned x);

/* Period of a network's scores in the slots: the least power of two that is not below 16 or the
 * number of classes. */
uint32_t nn_layout_score_rows(unsigned classes);

/* What slot `slot` (below layout.slots) holds. A channel >= layout.channels means padding: always
 * zero. */
nn_place nn_layout_place(nn_layout layout, uint32_t slot);

/* The factor of a slot before slots_to_coeffs: 1 on the first half of each n slots, i on the
 * second. */
ckks_complex nn_layout_half_factor(nn_layout layout, uint32_t slot);

/* values[slot] for the n slots: the value of the slot's channel, 0 for padding; with `halves` times
 * the half factor. */
void nn_layout_spread(nn_layout layout, ckks_complex *values, const double *channel_value,
                      int halves);
/* tensor[channel][y][x] from the real parts of n slots. */
void nn_layout_gather(nn_layout layout, double *tensor, const ckks_complex *values);

/* ---- linear layers ---- */

typedef enum nn_linear_kind {
    NN_LINEAR_CONVOLUTION, /* weight[out][in][kernel][kernel] */
    /* every `stride`-th pixel, input channel c to output channel c + (out - in) / 2 times
     * weight[c] */
    NN_LINEAR_PAD,
    NN_LINEAR_SCORES /* weight[row][channel] times the sum over all pixels; see nn_linear_scores */
} nn_linear_kind;

/* A linear map from one layout to another as a set of diagonals: out[s] = sum_d diagonal_d[s] in[s
 * + d], the input repeated with its n_in.
 *
 * In front of a bootstrap. The bootstrap adds the two halves of each n_out slots and projects onto
 * vectors that repeat with n_out, which means that it takes
 *     w_j + i w_(j + n_out / 2) = (mean over all copies of n_out slots) of out[j] + out[j + n_out / 2],   j < n_out / 2.
 * Only these sums have to be right, so each entry of the matrix needs one place among all slots
 * that are j modulo n_out / 2, and the weights of rows j and j + n_out / 2 share one complex
 * number: offsets count modulo m = min(n_in, n_out / 2) instead of n_in, which halves the diagonals
 * of a layer that keeps its layout and quarters those of one of stride 2. With offsets in [0, m),
 *     diagonal_d[s] = (M[j][c] + i M[j + n_out / 2][c]) n_in / (2 m),   j = s mod n_out / 2,   c = (s + d) mod n_in;
 * the factor is the number of copies over the number of places at which the pair (j, c) meets. */
typedef struct nn_linear {
    nn_linear_kind kind;
    nn_layout in, out;
    unsigned kernel, stride;
    unsigned rows; /* NN_LINEAR_SCORES: a power of two, at least 16 and the classes */
    double *weight;
    uint32_t modulus; /* m, a power of two: of the offsets */
    uint32_t period;  /* of the diagonals: the larger n of the two layouts */
    size_t count;     /* diagonals */
    int32_t *offset;  /* count of them in [0, modulus), ascending */
    /* a power of two: offset = giant + baby, giant a multiple of it, 0 <= baby < baby_step */
    uint32_t baby_step;
    unsigned babies, giants; /* rotations other than 0 */
} nn_linear;

/* A convolution with weights scaled per channel: weight[o][i] = conv.weight[o][i] * in_scale[i] /
 * out_scale[o]. */
fhola_status nn_linear_convolution(nn_linear *out, const nn_conv *conv, const double *in_scale,
                                   const double *out_scale) FHOLA_WARN_UNUSED;
/* The parameter-free shortcut from `channels` channels of side `side` to twice as many of half the
 * side. */
fhola_status nn_linear_pad(nn_linear *out, unsigned channels, unsigned side, const double *in_scale,
                           const double *out_scale) FHOLA_WARN_UNUSED;
/* Average pooling and a fully connected layer in generalised diagonals: with R rows (classes
 * rounded up, at least 16),
 *     y[s] = sum_(d = 0)^(R-1) W[s mod R][channel of slot (s + d) mod n] / pixels * in[s + d];
 * the sum of y over all rotations by multiples of R below n then holds score s mod R in every slot
 * s (0 past the classes). */
fhola_status nn_linear_scores(nn_linear *out, nn_layout in, unsigned classes, const double *weight,
                              const double *in_scale) FHOLA_WARN_UNUSED;
void nn_linear_clear(nn_linear *linear);

/* The diagonal of `offset` (one of linear->offset): linear->period values. Has the type of
 * ckks_lintrans_spec.diagonal; returns 0. */
int nn_linear_diagonal(void *linear, int32_t offset, ckks_complex *values);

#endif
