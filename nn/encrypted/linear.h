/* SPDX-License-Identifier: Apache-2.0 */
/* Any linear map between two layouts as diagonals over the slots. Internal to nn/.
 *
 *     out[s] = sum_d diagonal_d[s] in[s + d],
 *
 * the input repeated with its period P. Two things make the diagonals few.
 *
 * In front of a bootstrap. The bootstrap adds the two halves of each n slots and projects onto
 * vectors that repeat with n, which means that it takes
 *     w_j + i w_(j + n / 2) = (mean over all copies of n slots) of out[j] + out[j + n / 2],
 *     j < n / 2.
 * Only these sums have to be right, so each entry of the matrix needs one place among all slots
 * that are j modulo n / 2, and the weights of rows j and j + n / 2 share one complex number:
 * offsets count modulo `span` = min(P, n / 2) instead of P, which halves the diagonals of a layer
 * that keeps its layout and quarters those of one of stride 2. With offsets in [0, span),
 *     diagonal_d[s] = (M[j][c] + i M[j + n / 2][c]) P / (2 span),
 *     j = s mod n / 2,   c = (s + d) mod P;
 * the factor is the number of copies over the number of places at which the pair (j, c) meets.
 *
 * Where a tensor takes several ciphertexts, the map is a matrix of blocks, from each part of the
 * input to what each bootstrap takes. Of a pair x + i y the rows j of x and of y share a number:
 * there is nothing to be added then, so n stands for n / 2 above, and the factor is P / span.
 *
 * Of a batch of pictures the matrix is that of one picture for each. What a bootstrap takes is x +
 * i y, and pictures that are in ciphertexts apart come so too, as one ciphertext x + i y: the
 * diagonals, with the rows of x, are real then, and serve both. Those of another group of pictures
 * (layout.h) are the same, with results that lie t slots further: diagonal_d of the first group is
 * that of offset d - t there, and has the same factor for each slot of the input.
 *
 * Few rows. Where the output repeats with fewer than `span` slots, the same diagonals may stop at
 * any multiple `modulus` of the rows: the sum of the result over all rotations by multiples of
 * `modulus` below `span` is then what all diagonals would have given. Fully connected layers and
 * scores become generalised diagonals by it (Halevi, Shoup, Crypto 2014), at the price of log2(span
 * / modulus) rotations, the *folds*. No level is spent on either. */
#ifndef NN_LINEAR_H
#define NN_LINEAR_H

#include "nn/encrypted/layout.h"

typedef enum nn_linear_target {
    NN_LINEAR_BOOTSTRAP, /* what the bootstrap behind it takes */
    NN_LINEAR_SCORES     /* row s mod period in every slot s: span = P, real diagonals */
} nn_linear_target;

typedef struct nn_linear {
    nn_linear_target target;
    nn_layout in, out;
    /* What the weights are: entry(o, i) * in_scale[channel of i] / out_scale[channel of o],
     * out_scale NULL: 1. They belong to others and are needed by nn_linear_diagonal only. */
    const nn_map *map;
    const double *in_scale, *out_scale;
    bool joined; /* an input is x + i y of two pictures' parts, one after the other in `in` */
    /* parts of `in`, if joined half of them, and bootstraps of `out`, or for the scores pictures */
    unsigned inputs, outputs;
    uint32_t span, modulus; /* powers of two */
    uint32_t period;        /* of the diagonals */
    size_t count;           /* diagonals, of all blocks */
    unsigned *block;        /* count of them, ascending: output * inputs + input */
    int32_t *offset;        /* count of them in [0, modulus), ascending in a block */
    size_t *same;           /* which diagonal it is encoded with (ckks_lintrans_spec.same) */
    size_t distinct;        /* of them */
    /* a power of two: offset = giant + baby, giant a multiple of it, 0 <= baby < baby_step */
    uint32_t baby_step;
    unsigned babies, giants; /* rotations other than 0, of all inputs and of all outputs */
    unsigned folds;          /* rotations by modulus, 2 modulus, ..., span / 2 behind it */
} nn_linear;

/* Finds the diagonals and how to split them. PARAM, naming the node: too many diagonals. */
fhola_status nn_linear_init(nn_linear *out, const nn_map *map, nn_layout in, nn_layout to,
                            nn_linear_target target, const double *in_scale,
                            const double *out_scale, const char *node) FHOLA_WARN_UNUSED;
void nn_linear_clear(nn_linear *linear);

/* The only diagonal is that of offset 0: a plaintext factor. */
bool nn_linear_is_factor(const nn_linear *linear);
/* The work in units of a partial sum's rotation: what layouts and splits are chosen by. */
double nn_linear_work(const nn_linear *linear);

/* The diagonal of `offset` in `block` (linear->offset and block of one number): linear->period
 * values. Has the type of ckks_lintrans_spec.diagonal; returns 0. */
int nn_linear_diagonal(void *linear, unsigned block, int32_t offset, ckks_complex *values);

#endif
