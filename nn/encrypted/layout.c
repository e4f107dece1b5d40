/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/encrypted/layout.h"

#include <stdlib.h>
#include <string.h>

static uint32_t power_of_two_from(uint32_t x)
{
    uint32_t p = 1;
    while (p < x) p *= 2;
    return p;
}

uint32_t nn_layout_score_rows(unsigned classes)
{
    return power_of_two_from(classes < 16 ? 16 : classes);
}

nn_layout nn_layout_of(unsigned channels, unsigned side)
{
    unsigned gap = NN_GRID / side;
    unsigned blocks = (channels + gap * gap - 1) / (gap * gap);
    return (nn_layout){channels, side, gap, power_of_two_from(blocks) * NN_BLOCK_SLOTS};
}

uint32_t nn_layout_slot(nn_layout layout, unsigned channel, unsigned y, unsigned x)
{
    unsigned g = layout.gap;
    unsigned block = channel / (g * g), i = channel / g % g, j = channel % g;
    return block * NN_BLOCK_SLOTS + (y * g + i) * NN_GRID + (x * g + j);
}

nn_place nn_layout_place(nn_layout layout, uint32_t slot)
{
    unsigned g = layout.gap;
    unsigned block = slot / NN_BLOCK_SLOTS, row = slot / NN_GRID % NN_GRID, column = slot % NN_GRID;
    return (nn_place){block * g * g + row % g * g + column % g, row / g, column / g};
}

ckks_complex nn_layout_half_factor(nn_layout layout, uint32_t slot)
{
    int second = slot % layout.slots >= layout.slots / 2;
    return second ? (ckks_complex){0, 1} : (ckks_complex){1, 0};
}

void nn_layout_spread(nn_layout layout, ckks_complex *values, const double *channel_value,
                      int halves)
{
    for (uint32_t s = 0; s < layout.slots; s++) {
        unsigned channel = nn_layout_place(layout, s).channel;
        double v = channel < layout.channels ? channel_value[channel] : 0;
        ckks_complex f = halves ? nn_layout_half_factor(layout, s) : (ckks_complex){1, 0};
        values[s] = (ckks_complex){v * f.re, v * f.im};
    }
}

void nn_layout_gather(nn_layout layout, double *tensor, const ckks_complex *values)
{
    for (uint32_t s = 0; s < layout.slots; s++) {
        nn_place p = nn_layout_place(layout, s);
        if (p.channel < layout.channels)
            tensor[(p.channel * layout.side + p.y) * layout.side + p.x] = values[s].re;
    }
}

/* ---- matrix entries ---- */

/* The channel a padded shortcut feeds from input channel c. */
static unsigned padded_channel(const nn_linear *l, unsigned c)
{
    return c + (l->out.channels - l->in.channels) / 2;
}

/* The matrix entry from input place `i` to output place `o`; 0 where the kernel does not reach. */
static double entry(const nn_linear *l, nn_place o, nn_place i)
{
    unsigned k = l->kernel;
    if (o.channel >= l->out.channels || i.channel >= l->in.channels) return 0;
    unsigned ky = i.y + k / 2 - l->stride * o.y, kx = i.x + k / 2 - l->stride * o.x;
    if (ky >= k || kx >= k) return 0;
    if (l->kind == NN_LINEAR_PAD)
        return o.channel == padded_channel(l, i.channel) ? l->weight[i.channel] : 0;
    return l->weight[((size_t)(o.channel * l->in.channels + i.channel) * k + ky) * k + kx];
}

static void convolution_diagonal(const nn_linear *l, uint32_t offset, ckks_complex *values)
{
    uint32_t half = l->out.slots / 2;
    double factor = (double)l->in.slots / (2.0 * l->modulus);
    for (uint32_t s = 0; s < l->period; s++) {
        nn_place i = nn_layout_place(l->in, (s + offset) % l->in.slots);
        nn_place o = nn_layout_place(l->out, s % half),
                 o_half = nn_layout_place(l->out, s % half + half);
        values[s] = (ckks_complex){factor * entry(l, o, i), factor * entry(l, o_half, i)};
    }
}

static void scores_diagonal(const nn_linear *l, uint32_t offset, ckks_complex *values)
{
    for (uint32_t s = 0; s < l->period; s++) {
        nn_place i = nn_layout_place(l->in, (s + offset) % l->in.slots);
        unsigned row = s % l->rows;
        int inside = row < l->out.channels && i.channel < l->in.channels;
        values[s] =
            (ckks_complex){inside ? l->weight[(size_t)row * l->in.channels + i.channel] : 0, 0};
    }
}

int nn_linear_diagonal(void *linear, int32_t offset, ckks_complex *values)
{
    const nn_linear *l = linear;
    if (l->kind == NN_LINEAR_SCORES)
        scores_diagonal(l, (uint32_t)offset, values);
    else
        convolution_diagonal(l, (uint32_t)offset, values);
    return 0;
}

/* ---- which diagonals there are, and how to split them ---- */

/* Marks the offsets between all channels of `l` at kernel distance (dy, dx), in input pixels.
 * Because the grid is the same on both sides, an offset does not depend on the pixel. */
static void mark_tap(const nn_linear *l, unsigned char *marked, int dy, int dx)
{
    int32_t tap = (dy * (int32_t)NN_GRID + dx) * (int32_t)l->in.gap;
    for (unsigned o = 0; o < l->out.channels; o++)
        for (unsigned i = 0; i < l->in.channels; i++) {
            if (l->kind == NN_LINEAR_PAD && o != padded_channel(l, i)) continue;
            uint32_t d =
                nn_layout_slot(l->in, i, 0, 0) - nn_layout_slot(l->out, o, 0, 0) + (uint32_t)tap;
            marked[d % l->modulus] = 1;
        }
}

static void mark_offsets(const nn_linear *l, unsigned char *marked)
{
    int half = (int)(l->kernel / 2);
    if (l->kind == NN_LINEAR_SCORES)
        memset(marked, 1, l->rows);
    else
        for (int dy = -half; dy <= half; dy++)
            for (int dx = -half; dx <= half; dx++) mark_tap(l, marked, dy, dx);
}

static void count_rotations(const unsigned char *marked, uint32_t modulus, uint32_t step,
                            unsigned *babies, unsigned *giants)
{
    *babies = *giants = 0;
    for (uint32_t baby = 1; baby < step; baby++) {
        int used = 0;
        for (uint32_t d = baby; d < modulus && !used; d += step) used = marked[d];
        *babies += (unsigned)used;
    }
    for (uint32_t giant = step; giant < modulus; giant += step)
        *giants += memchr(marked + giant, 1, step) != NULL;
}

/* A rotation of the input costs about two of a partial sum: it needs its own division by the
 * special primes, which the partial sums share. */
static unsigned split_cost(unsigned babies, unsigned giants)
{
    return 2 * babies + giants;
}

static void choose_split(nn_linear *l, const unsigned char *marked)
{
    for (uint32_t step = 1; step <= l->modulus; step *= 2) {
        unsigned babies, giants;
        count_rotations(marked, l->modulus, step, &babies, &giants);
        if (step > 1 && split_cost(babies, giants) >= split_cost(l->babies, l->giants)) continue;
        l->baby_step = step;
        l->babies = babies;
        l->giants = giants;
    }
}

static fhola_status find_diagonals(nn_linear *l)
{
    uint32_t n_in = l->in.slots, n_out = l->out.slots;
    l->modulus = l->kind == NN_LINEAR_SCORES || n_in < n_out / 2 ? n_in : n_out / 2;
    l->period = n_out > n_in ? n_out : n_in;
    unsigned char *marked = calloc(l->modulus, 1);
    l->offset = malloc(l->modulus * sizeof *l->offset);
    if (!marked || !l->offset) {
        free(marked);
        return fhola_fail(FHOLA_NOMEM, "no memory for %u offsets of a linear layer",
                          (unsigned)l->modulus);
    }
    mark_offsets(l, marked);
    for (uint32_t d = 0; d < l->modulus; d++)
        if (marked[d]) l->offset[l->count++] = (int32_t)d;
    choose_split(l, marked);
    free(marked);
    return FHOLA_OK;
}

/* ---- the three kinds ---- */

static fhola_status with_weights(nn_linear *out, nn_linear l, size_t weights)
{
    *out = (nn_linear){0};
    l.weight = calloc(weights, sizeof *l.weight);
    if (!l.weight) return fhola_fail(FHOLA_NOMEM, "no memory for %zu weights", weights);
    fhola_status status = find_diagonals(&l);
    if (status != FHOLA_OK)
        nn_linear_clear(&l);
    else
        *out = l;
    return status;
}

fhola_status nn_linear_convolution(nn_linear *out, const nn_conv *conv, const double *in_scale,
                                   const double *out_scale)
{
    size_t taps = (size_t)conv->kernel * conv->kernel;
    nn_linear l = {.kind = NN_LINEAR_CONVOLUTION,
                   .in = nn_layout_of(conv->in, conv->in_size),
                   .out = nn_layout_of(conv->out, conv->in_size / conv->stride),
                   .kernel = conv->kernel,
                   .stride = conv->stride};
    fhola_status status = with_weights(out, l, conv->out * conv->in * taps);
    if (status != FHOLA_OK) return status;
    for (unsigned o = 0; o < conv->out; o++)
        for (unsigned i = 0; i < conv->in; i++)
            for (size_t k = 0; k < taps; k++) {
                size_t at = (o * (size_t)conv->in + i) * taps + k;
                out->weight[at] = conv->weight[at] * in_scale[i] / out_scale[o];
            }
    return FHOLA_OK;
}

fhola_status nn_linear_pad(nn_linear *out, unsigned channels, unsigned side, const double *in_scale,
                           const double *out_scale)
{
    nn_linear l = {.kind = NN_LINEAR_PAD,
                   .in = nn_layout_of(channels, side),
                   .out = nn_layout_of(2 * channels, side / 2),
                   .kernel = 1,
                   .stride = 2};
    fhola_status status = with_weights(out, l, channels);
    if (status != FHOLA_OK) return status;
    for (unsigned c = 0; c < channels; c++)
        out->weight[c] = in_scale[c] / out_scale[padded_channel(out, c)];
    return FHOLA_OK;
}

fhola_status nn_linear_scores(nn_linear *out, nn_layout in, unsigned classes, const double *weight,
                              const double *in_scale)
{
    uint32_t rows = nn_layout_score_rows(classes);
    if (rows > in.slots)
        return fhola_fail(FHOLA_PARAM, "%u classes do not fit into %u slots", classes,
                          (unsigned)in.slots);
    nn_linear l = {
        .kind = NN_LINEAR_SCORES, .in = in, .out = {classes, 1, NN_GRID, rows}, .rows = rows};
    fhola_status status = with_weights(out, l, (size_t)classes * in.channels);
    if (status != FHOLA_OK) return status;
    double pixels = (double)in.side * in.side;
    for (unsigned r = 0; r < classes; r++)
        for (unsigned c = 0; c < in.channels; c++) {
            size_t at = (size_t)r * in.channels + c;
            out->weight[at] = weight[at] * in_scale[c] / pixels;
        }
    return FHOLA_OK;
}

void nn_linear_clear(nn_linear *linear)
{
    free(linear->weight);
    free(linear->offset);
    *linear = (nn_linear){0};
}
