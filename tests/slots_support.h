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

#define SLOTS 16384u

static inline double *random_vector(size_t count)
{
    double *v = malloc(count * sizeof *v);
    ck_assert_ptr_nonnull(v);
    for (size_t i = 0; i < count; i++) v[i] = random_unit();
    return v;
}

/* What a slot has to hold; 0 for padding. */
static inline double slot_value(nn_layout layout, const double *tensor, uint32_t slot)
{
    nn_place p;
    if (!nn_layout_place(&p, layout, slot)) return 0;
    return tensor[(p.channel * layout.shape.height + p.y) * layout.shape.width + p.x];
}

static inline void fill_slots(nn_layout layout, ckks_complex *slots, const double *tensor)
{
    for (uint32_t s = 0; s < SLOTS; s++)
        slots[s] = (ckks_complex){slot_value(layout, tensor, s), 0};
}

/* All diagonals, then the folds. */
static inline void apply_linear(nn_linear *l, ckks_complex *out, const ckks_complex *in)
{
    ckks_complex *diagonal = malloc(l->period * sizeof *diagonal),
                 *before = malloc(SLOTS * sizeof *before);
    ck_assert(diagonal && before);
    memset(out, 0, SLOTS * sizeof *out);
    for (size_t d = 0; d < l->count; d++) {
        ck_assert_int_eq(nn_linear_diagonal(l, l->offset[d], diagonal), 0);
        for (uint32_t s = 0; s < SLOTS; s++) {
            ckks_complex w = diagonal[s % l->period], x = in[(s + (uint32_t)l->offset[d]) % SLOTS];
            out[s].re += w.re * x.re - w.im * x.im;
            out[s].im += w.re * x.im + w.im * x.re;
        }
    }
    for (uint32_t r = l->modulus; r < l->span; r *= 2) {
        memcpy(before, out, SLOTS * sizeof *before);
        for (uint32_t s = 0; s < SLOTS; s++) {
            out[s].re += before[(s + r) % SLOTS].re;
            out[s].im += before[(s + r) % SLOTS].im;
        }
    }
    free(diagonal);
    free(before);
}

#endif
