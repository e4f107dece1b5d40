/* SPDX-License-Identifier: Apache-2.0 */
/* Tensors and linear maps on plain slots, without ciphertexts: for the tests of layouts, linear
 * maps and schedules. */
#ifndef TESTS_SLOTS_SUPPORT_H
#define TESTS_SLOTS_SUPPORT_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn/encrypted/linear.h"
#include "tests/support.h"

#define SLOTS      16384u
#define MOST_PARTS 16u /* ciphertexts of a tensor */

/* The slots of a tensor's ciphertexts. */
typedef ckks_complex slot_parts[MOST_PARTS][SLOTS];

static inline double *random_vector(size_t count)
{
    double *v = malloc(count * sizeof *v);
    ck_assert_ptr_nonnull(v);
    for (size_t i = 0; i < count; i++) v[i] = random_unit();
    return v;
}

/* What a slot of a part has to hold; 0 for padding. `tensor`: of a batch, one picture's after the
 * other. */
static inline double slot_value(nn_layout layout, unsigned part, const double *tensor,
                                uint32_t slot)
{
    nn_place p;
    if (!nn_layout_place(&p, layout, part, slot)) return 0;
    size_t channel =
        nn_layout_picture(layout, part, slot) * (size_t)layout.shape.channels + p.channel;
    return tensor[(channel * layout.shape.height + p.y) * layout.shape.width + p.x];
}

static inline void fill_slots(nn_layout layout, slot_parts slots, const double *tensor)
{
    ck_assert_uint_le(layout.parts, MOST_PARTS);
    for (unsigned k = 0; k < layout.parts; k++)
        for (uint32_t s = 0; s < SLOTS; s++)
            slots[k][s] = (ckks_complex){slot_value(layout, k, tensor, s), 0};
}

/* Every slot becomes the sum of the slots a multiple of the modulus away. */
static inline void apply_folds(const nn_linear *l, ckks_complex *x)
{
    static ckks_complex before[SLOTS];
    for (uint32_t r = l->modulus; r < l->span; r *= 2) {
        memcpy(before, x, sizeof before);
        for (uint32_t s = 0; s < SLOTS; s++) {
            x[s].re += before[(s + r) % SLOTS].re;
            x[s].im += before[(s + r) % SLOTS].im;
        }
    }
}

/* x + i y of parts two and two. */
static inline void join_parts(slot_parts joined, slot_parts in, unsigned count)
{
    for (unsigned k = 0; k < count; k++)
        for (uint32_t s = 0; s < SLOTS; s++) {
            ckks_complex x = in[2 * k][s], y = in[2 * k + 1][s];
            joined[k][s] = (ckks_complex){x.re - y.im, x.im + y.re};
        }
}

/* All diagonals, then the folds. */
static inline void apply_linear(nn_linear *l, slot_parts out, slot_parts in)
{
    static ckks_complex diagonal[SLOTS];
    static slot_parts joined;
    if (l->joined) join_parts(joined, in, l->inputs);
    ckks_complex(*x_of)[SLOTS] = l->joined ? joined : in;
    for (unsigned o = 0; o < l->outputs; o++) memset(out[o], 0, sizeof out[o]);
    for (size_t d = 0; d < l->count; d++) {
        ckks_complex *to = out[l->block[d] / l->inputs], *from = x_of[l->block[d] % l->inputs];
        ck_assert_int_eq(nn_linear_diagonal(l, l->block[d], l->offset[d], diagonal), 0);
        for (uint32_t s = 0; s < SLOTS; s++) {
            ckks_complex w = diagonal[s % l->period],
                         x = from[(s + (uint32_t)l->offset[d]) % SLOTS];
            to[s].re += w.re * x.re - w.im * x.im;
            to[s].im += w.re * x.im + w.im * x.re;
        }
    }
    for (unsigned o = 0; l->folds && o < l->outputs; o++) apply_folds(l, out[o]);
}

/* What bootstrap `index` adds up: slot j of its rows, the imaginary parts those of its second
 * part. */
static inline ckks_complex bootstrapped(nn_layout layout, unsigned index, const ckks_complex *slots,
                                        uint32_t j)
{
    nn_rows rows = nn_layout_rows(layout, index);
    ckks_complex sum = {0, 0};
    for (uint32_t s = j; s < SLOTS; s += rows.count) {
        sum.re += slots[s].re * layout.slots / SLOTS;
        sum.im += slots[s].im * layout.slots / SLOTS;
    }
    return sum;
}

#endif
