/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/encrypted/layout.h"

static uint32_t power_of_two_from(size_t x)
{
    uint32_t p = 1;
    while (p < x) p *= 2;
    return p;
}

/* Takes the period from the number of slots from the first value to the last; false: too many. */
static bool close_layout(nn_layout *l)
{
    size_t group = (size_t)l->gap_y * l->gap_x, blocks = (l->shape.channels + group - 1) / group,
           last = ((size_t)l->shape.height * l->gap_y - 1) * l->pitch +
                  (size_t)l->shape.width * l->gap_x,
           extent = (blocks - 1) * l->block + last;
    if (extent > NN_MAX_SLOTS) return false;
    l->period = power_of_two_from(extent);
    l->slots = l->period > NN_MIN_SLOTS ? l->period : NN_MIN_SLOTS;
    return true;
}

fhola_status nn_layout_fresh(nn_layout *out, nn_shape shape, const char *node)
{
    size_t values = nn_shape_values(shape);
    if (values > NN_MAX_SLOTS)
        return fhola_fail(FHOLA_PARAM,
                          "%s: %u x %u x %u are %zu values, more than the %u that fit into one "
                          "ciphertext",
                          node, shape.channels, shape.height, shape.width, values, NN_MAX_SLOTS);
    nn_layout l = {.shape = shape, .gap_y = 1, .gap_x = 1};
    l.pitch = power_of_two_from(shape.width);
    l.block = l.pitch * power_of_two_from(shape.height);
    if (!close_layout(&l)) {
        l.pitch = shape.width;
        l.block = shape.width * shape.height;
        (void)close_layout(&l);
    }
    *out = l;
    return FHOLA_OK;
}

/* Input pixels from one output pixel to the next, along one axis. */
static unsigned stride_of(unsigned in, unsigned out, unsigned convolution)
{
    if (convolution) return convolution;
    return in >= out ? in / out : 1;
}

bool nn_layout_behind(nn_layout *out, nn_layout in, const nn_map *map)
{
    const nn_convolution *c = map->kind == NN_MAP_CONVOLUTION ? &map->convolution : NULL;
    nn_layout l = {.shape = map->out, .pitch = in.pitch, .block = in.block};
    if (map->out.height == 1 && map->out.width == 1) return false;
    l.gap_y = in.gap_y * stride_of(map->in.height, map->out.height, c ? c->stride_y : 0);
    l.gap_x = in.gap_x * stride_of(map->in.width, map->out.width, c ? c->stride_x : 0);
    if (map->out.width * l.gap_x > l.pitch) return false;
    if (map->out.height * l.gap_y * l.pitch > l.block || !close_layout(&l)) {
        l.block = map->out.height * l.gap_y * l.pitch;
        if (!close_layout(&l)) return false;
    }
    *out = l;
    return true;
}

nn_layout nn_layout_scores(unsigned count)
{
    uint32_t rows = power_of_two_from(count < NN_MIN_ROWS ? NN_MIN_ROWS : count);
    return (nn_layout){.shape = {count, 1, 1},
                       .gap_y = 1,
                       .gap_x = 1,
                       .pitch = 1,
                       .block = 1,
                       .period = rows,
                       .slots = rows};
}

bool nn_layout_equal(nn_layout a, nn_layout b)
{
    return nn_shape_equal(a.shape, b.shape) && a.gap_y == b.gap_y && a.gap_x == b.gap_x &&
           a.pitch == b.pitch && a.block == b.block && a.period == b.period && a.slots == b.slots;
}

uint32_t nn_layout_slot(nn_layout l, nn_place p)
{
    unsigned group = l.gap_y * l.gap_x, inside = p.channel % group;
    return p.channel / group * l.block + (p.y * l.gap_y + inside / l.gap_x) * l.pitch +
           p.x * l.gap_x + inside % l.gap_x;
}

bool nn_layout_place(nn_place *place, nn_layout l, uint32_t slot)
{
    uint32_t s = slot & (l.period - 1), block = s / l.block, in_block = s % l.block,
             row = in_block / l.pitch, column = in_block % l.pitch;
    nn_place p = {(block * l.gap_y + row % l.gap_y) * l.gap_x + column % l.gap_x, row / l.gap_y,
                  column / l.gap_x};
    bool inside = p.channel < l.shape.channels && p.y < l.shape.height && p.x < l.shape.width;
    *place = inside ? p : (nn_place){0, 0, 0};
    return inside;
}

ckks_complex nn_layout_half_factor(nn_layout layout, uint32_t slot)
{
    bool second = slot % layout.slots >= layout.slots / 2;
    return second ? (ckks_complex){0, 1} : (ckks_complex){1, 0};
}

static size_t number_of(nn_layout l, nn_place p)
{
    return ((size_t)p.channel * l.shape.height + p.y) * l.shape.width + p.x;
}

void nn_layout_spread(nn_layout layout, ckks_complex *values, const double *value, bool full,
                      bool halves)
{
    for (uint32_t s = 0; s < layout.slots; s++) {
        nn_place p;
        bool inside = nn_layout_place(&p, layout, s);
        double v = inside ? value[full ? number_of(layout, p) : p.channel] : 0;
        ckks_complex f = halves ? nn_layout_half_factor(layout, s) : (ckks_complex){1, 0};
        values[s] = (ckks_complex){v * f.re, v * f.im};
    }
}

void nn_layout_gather(nn_layout layout, double *tensor, const ckks_complex *values)
{
    for (uint32_t s = 0; s < layout.period; s++) {
        nn_place p;
        if (nn_layout_place(&p, layout, s)) tensor[number_of(layout, p)] = values[s].re;
    }
}
