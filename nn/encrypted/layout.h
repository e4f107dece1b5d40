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
 * A tensor that does not fit into one ciphertext takes several, its *parts*: whole blocks of
 * channels each, as many as there is room for, in their order. Two parts x and y are bootstrapped
 * together, as x + i y; a last one without a partner alone, as the only part of a small tensor is,
 * with its second half in the imaginary parts.
 *
 * A batch of pictures is the tensor of each of them, one layout for all, and what a bootstrap takes
 * is x + i y with x of an even picture and y of the one after it. Of q such couples, as many as
 * there is room for,
 *     together  x and y are the halves of one ciphertext, if they fit,
 *     apart     else two parts, one after the other:
 *                                                 x_0 .. x_(q-1), y_0 .. y_(q-1),
 * each value a picture's `stride` slots. Where one such group has not room for all couples, they
 * are dealt to g of them in turn: group k has those of number k, k + g, k + 2 g, ... So when
 * tensors become smaller and g does, what a map does with a group's couples is the same for all of
 * them, and for every group, but for a rotation of the result. */
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
    unsigned pitch;    /* slots from a row of the grid to the next */
    unsigned block;    /* slots from a block of channels to the next */
    unsigned blocks;   /* of a part: the last one may have fewer */
    unsigned parts;    /* ciphertexts */
    unsigned pictures; /* 1, or a power of two */
    unsigned each;     /* ciphertexts that a picture's values are in */
    uint32_t stride;   /* slots from a picture to the next: a power of two; of one, the period */
    uint32_t room;     /* slots of a ciphertext that are used: a power of two */
    uint32_t period;   /* a part's values repeat with it: a power of two; of several parts, room */
    uint32_t slots;    /* n, what a bootstrap takes: the period, but at least NN_MIN_SLOTS */
} nn_layout;

/* The rows of a tensor that bootstrap `index` takes: those of part `first` and, as imaginary parts,
 * those of `second` from slot `offset` on, `count` each. */
typedef struct nn_rows {
    unsigned first, second;
    uint32_t offset, count;
} nn_rows;

/* Gap 1 on the smallest grid whose sides are powers of two; where the channels fit into one
 * ciphertext only without such grids, or one channel does, row after row without any room between
 * them. `slots`: of the ring; of more than NN_MAX_SLOTS so many are used. PARAM, naming the node:
 * a channel does not fit into a ciphertext. */
fhola_status nn_layout_fresh(nn_layout *out, nn_shape shape, size_t slots,
                             const char *node) FHOLA_WARN_UNUSED;
/* The layout of `map`'s result that keeps the grid of its input; false if it does not fit, or takes
 * more ciphertexts than a fresh one and than the input. */
bool nn_layout_behind(nn_layout *out, nn_layout in, const nn_map *map);
/* A vector with at least NN_MIN_ROWS slots: what a result is, without a bootstrap. */
nn_layout nn_layout_scores(unsigned count);
bool nn_layout_equal(nn_layout a, nn_layout b);

/* The layout of `pictures` (1, 2, 4, ...) of which `one` is that of each. */
nn_layout nn_layout_batch(nn_layout one, unsigned pictures);
/* The same with no two pictures in a ciphertext: of pictures that come encrypted one by one. */
nn_layout nn_layout_apart(nn_layout one, unsigned pictures);
/* That of one of its pictures. */
nn_layout nn_layout_single(nn_layout batch);

/* How a client packs a batch's fresh pictures: as vectors x + i y, x of an even picture and y of
 * the one after it, each of `period` slots and one for each ciphertext of a picture, couple after
 * couple. `side` of them are interleaved in a ciphertext (ckks_interleaving). */
typedef struct nn_packing {
    size_t period, side;
    unsigned vectors, ciphertexts;
} nn_packing;
/* `one`: of a fresh picture; `pictures` at least 2; `slots`: of the ring. */
nn_packing nn_layout_packing(nn_layout one, unsigned pictures, size_t slots);

/* The part a channel of a picture is in, and a place's slot there. */
unsigned nn_layout_part(nn_layout layout, unsigned picture, unsigned channel);
uint32_t nn_layout_slot(nn_layout layout, unsigned picture, nn_place place);
/* What a slot of a part holds (any slot: modulo the period). False: padding, `place` is then 0, 0,
 * 0. */
bool nn_layout_place(nn_place *place, nn_layout layout, unsigned part, uint32_t slot);
/* Whose value, or padding, it is. */
unsigned nn_layout_picture(nn_layout layout, unsigned part, uint32_t slot);
/* Which of its picture's ciphertexts a part is like, below layout.each: equal ones have the same
 * places in all slots, and repeat with layout.stride but for whose they are. */
unsigned nn_layout_part_of_picture(nn_layout layout, unsigned part);
/* The first channel in such a ciphertext of a picture, and the first part that is like it. */
unsigned nn_layout_first_channel(nn_layout layout, unsigned part_of_picture);
unsigned nn_layout_first_part(nn_layout layout, unsigned part_of_picture);
/* Groups that the couples of a batch are dealt to. */
unsigned nn_layout_groups(nn_layout layout);

/* nn_layout_place for many slots of a part, most of them in rising order: what the slots of a row
 * of the grid have in common is found once a row. */
typedef struct nn_walk {
    const nn_layout *layout;
    unsigned part;
    uint32_t from, count; /* slots of the row at hand */
    nn_place first;       /* of these, were it inside */
    bool inside;          /* of the blocks there are, and not below the last line */
} nn_walk;
nn_walk nn_layout_walk(const nn_layout *layout, unsigned part);
/* Goes to the row of a slot below the stride. */
void nn_walk_row(nn_walk *walk, uint32_t slot);

/* Inline, so that places stay in registers: a start-up asks for millions of them. */
static inline bool nn_walk_place(nn_place *place, nn_walk *w, uint32_t slot)
{
    const nn_layout *l = w->layout;
    uint32_t s = slot & (l->stride - 1);
    if (s - w->from >= w->count) nn_walk_row(w, s);
    nn_place p = w->first;
    p.x = s - w->from;
    if (l->gap_x > 1) {
        p.channel += p.x % l->gap_x;
        p.x /= l->gap_x;
    }
    bool inside = w->inside && p.channel < l->shape.channels && p.x < l->shape.width;
    *place = inside ? p : (nn_place){0, 0, 0};
    return inside;
}

/* Bootstraps of a tensor: two parts each but perhaps the last. */
unsigned nn_layout_bootstraps(nn_layout layout);
bool nn_layout_is_pair(nn_layout layout, unsigned bootstrap);
nn_rows nn_layout_rows(nn_layout layout, unsigned bootstrap);

/* values[slot] for the n slots of a part: the tensor's value, 0 for padding. `value`: one per
 * channel, or with `full` one per value of the tensor. */
void nn_layout_spread(nn_layout layout, unsigned part, ckks_complex *values, const double *value,
                      bool full);
/* The same as bootstrap `bootstrap` takes it: a pair x + i y, else 0 in the real parts of the
 * second half of n slots and in the imaginary parts of the first. */
void nn_layout_spread_rows(nn_layout layout, unsigned bootstrap, ckks_complex *values,
                           const double *value, bool full);
/* tensor[channel][y][x] of a part from the real parts of n slots; of a single picture. */
void nn_layout_gather(nn_layout layout, unsigned part, double *tensor, const ckks_complex *values);

#endif
