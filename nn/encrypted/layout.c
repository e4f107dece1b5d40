/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/encrypted/layout.h"

static uint32_t power_of_two_from(size_t x)
{
    uint32_t p = 1;
    while (p < x) p *= 2;
    return p;
}

/* Takes parts and period from the number of slots from the first value to the last; false: not even
 * a block has room. */
static bool close_layout(nn_layout *l)
{
    size_t group = (size_t)l->gap_y * l->gap_x, blocks = (l->shape.channels + group - 1) / group,
           last = ((size_t)l->shape.height * l->gap_y - 1) * l->pitch +
                  (size_t)l->shape.width * l->gap_x,
           extent = (blocks - 1) * l->block + last;
    l->blocks = (unsigned)(extent <= l->room ? blocks : l->room / l->block);
    if (!l->blocks) return false;
    l->parts = (unsigned)((blocks + l->blocks - 1) / l->blocks);
    l->period = extent <= l->room ? power_of_two_from(extent) : l->room;
    l->slots = l->period > NN_MIN_SLOTS ? l->period : NN_MIN_SLOTS;
    l->pictures = 1;
    l->each = l->parts;
    l->stride = l->period;
    return true;
}

/* False: a channel does not fit. */
static bool fresh(nn_layout *out, nn_shape shape, uint32_t room)
{
    nn_layout grid = {.shape = shape, .gap_y = 1, .gap_x = 1, .room = room}, rows = grid;
    grid.pitch = power_of_two_from(shape.width);
    grid.block = grid.pitch * power_of_two_from(shape.height);
    rows.pitch = shape.width;
    rows.block = shape.width * shape.height;
    bool on_grid = close_layout(&grid), in_rows = close_layout(&rows);
    *out = on_grid && (grid.parts == 1 || rows.parts > 1) ? grid : rows;
    return in_rows;
}

fhola_status nn_layout_fresh(nn_layout *out, nn_shape shape, size_t slots, const char *node)
{
    uint32_t room = slots < NN_MAX_SLOTS ? (uint32_t)slots : NN_MAX_SLOTS;
    nn_layout l;
    if ((size_t)shape.height * shape.width > room || !fresh(&l, shape, room))
        return fhola_fail(FHOLA_PARAM,
                          "%s: a channel of %u x %u values is more than the %u that fit into one "
                          "ciphertext",
                          node, shape.height, shape.width, (unsigned)room);
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
    nn_layout l = {.shape = map->out, .pitch = in.pitch, .block = in.block, .room = in.room}, least;
    if ((map->out.height == 1 && map->out.width == 1) || !fresh(&least, map->out, in.room))
        return false;
    l.gap_y = in.gap_y * stride_of(map->in.height, map->out.height, c ? c->stride_y : 0);
    l.gap_x = in.gap_x * stride_of(map->in.width, map->out.width, c ? c->stride_x : 0);
    if (map->out.width * l.gap_x > l.pitch) return false;
    nn_layout tight = l;
    tight.block = map->out.height * l.gap_y * l.pitch;
    bool fits = tight.block <= l.block && close_layout(&l);
    if ((!fits || l.parts > least.parts) && close_layout(&tight) &&
        (!fits || tight.parts < l.parts)) {
        l = tight;
        fits = true;
    }
    if (!fits || (l.parts > least.parts && l.parts > in.parts)) return false;
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
                       .blocks = count,
                       .parts = 1,
                       .pictures = 1,
                       .each = 1,
                       .stride = rows,
                       .room = rows,
                       .period = rows,
                       .slots = rows};
}

bool nn_layout_equal(nn_layout a, nn_layout b)
{
    return nn_shape_equal(a.shape, b.shape) && a.gap_y == b.gap_y && a.gap_x == b.gap_x &&
           a.pitch == b.pitch && a.block == b.block && a.blocks == b.blocks && a.parts == b.parts &&
           a.pictures == b.pictures && a.stride == b.stride && a.period == b.period &&
           a.slots == b.slots;
}

/* ---- batches ---- */

/* `couples` of them in a ciphertext, or in two. */
static nn_layout arrange(nn_layout one, unsigned pictures, uint32_t couples, bool together)
{
    nn_layout l = one;
    if (pictures == 1) return one;
    l.pictures = pictures;
    l.period = couples * one.period * (together ? 2 : 1);
    l.slots = l.period > NN_MIN_SLOTS ? l.period : NN_MIN_SLOTS;
    l.parts = together ? 1 : one.parts * pictures / couples;
    return l;
}

nn_layout nn_layout_batch(nn_layout one, unsigned pictures)
{
    uint32_t couples = one.room / one.period;
    if (couples > pictures / 2) couples = pictures / 2;
    uint32_t slots = 2 * couples * one.period;
    /* a bootstrap alone adds halves of NN_MIN_SLOTS at least: x and y are to be these halves */
    return arrange(one, pictures, couples, slots <= one.room && slots >= NN_MIN_SLOTS);
}

nn_layout nn_layout_apart(nn_layout one, unsigned pictures)
{
    return arrange(one, pictures, 1, false);
}

nn_layout nn_layout_single(nn_layout batch)
{
    nn_layout l = batch;
    l.pictures = 1;
    l.parts = batch.each;
    l.period = batch.stride;
    l.slots = l.period > NN_MIN_SLOTS ? l.period : NN_MIN_SLOTS;
    return l;
}

nn_packing nn_layout_packing(nn_layout one, unsigned pictures, size_t slots)
{
    nn_packing p = {.period = one.period, .vectors = pictures / 2 * one.parts};
    size_t most = slots / p.period;
    p.side = power_of_two_from(p.vectors);
    if (p.side > most) p.side = most;
    p.ciphertexts = (unsigned)((p.vectors + p.side - 1) / p.side);
    return p;
}

static bool is_together(nn_layout l)
{
    return l.pictures > 1 && l.parts == 1;
}

/* Couples in a ciphertext, or in two. */
static unsigned couples_of(nn_layout l)
{
    return l.period / l.stride / (is_together(l) ? 2 : 1);
}

unsigned nn_layout_groups(nn_layout l)
{
    return l.pictures == 1 ? 1 : l.pictures / 2 / couples_of(l);
}

unsigned nn_layout_picture(nn_layout l, unsigned part, uint32_t slot)
{
    if (l.pictures == 1) return 0;
    unsigned place = (slot & (l.period - 1)) / l.stride, couples = couples_of(l);
    return is_together(l) ? 2 * (place % couples) + place / couples
                          : 2 * (place * nn_layout_groups(l) + part / 2 / l.each) + part % 2;
}

unsigned nn_layout_part(nn_layout l, unsigned picture, unsigned channel)
{
    unsigned part = channel / (l.gap_y * l.gap_x) / l.blocks;
    if (l.pictures == 1 || is_together(l)) return part;
    return 2 * (picture / 2 % nn_layout_groups(l) * l.each + part) + picture % 2;
}

/* The first slot of a picture. */
static uint32_t start_of(nn_layout l, unsigned picture)
{
    if (l.pictures == 1) return 0;
    unsigned place = picture / 2 / nn_layout_groups(l);
    return (is_together(l) ? picture % 2 * couples_of(l) + place : place) * l.stride;
}

unsigned nn_layout_part_of_picture(nn_layout l, unsigned part)
{
    return l.pictures == 1 || is_together(l) ? part : part / 2 % l.each;
}

unsigned nn_layout_first_channel(nn_layout l, unsigned part_of_picture)
{
    return part_of_picture * l.blocks * l.gap_y * l.gap_x;
}

unsigned nn_layout_first_part(nn_layout l, unsigned part_of_picture)
{
    return nn_layout_part(l, 0, nn_layout_first_channel(l, part_of_picture));
}

/* ---- places ---- */

uint32_t nn_layout_slot(nn_layout l, unsigned picture, nn_place p)
{
    unsigned group = l.gap_y * l.gap_x, inside = p.channel % group;
    return start_of(l, picture) + p.channel / group % l.blocks * l.block +
           (p.y * l.gap_y + inside / l.gap_x) * l.pitch + p.x * l.gap_x + inside % l.gap_x;
}

nn_walk nn_layout_walk(const nn_layout *layout, unsigned part)
{
    return (nn_walk){.layout = layout, .part = nn_layout_part_of_picture(*layout, part)};
}

void nn_walk_row(nn_walk *w, uint32_t s)
{
    const nn_layout *l = w->layout;
    uint32_t block = s / l->block, in_block = s % l->block, row = in_block / l->pitch,
             left = l->block - row * l->pitch;
    w->from = s - in_block % l->pitch;
    w->count = left < l->pitch ? left : l->pitch;
    w->first.channel = ((w->part * l->blocks + block) * l->gap_y + row % l->gap_y) * l->gap_x;
    w->first.y = row / l->gap_y;
    w->inside = block < l->blocks && w->first.y < l->shape.height;
}

bool nn_layout_place(nn_place *place, nn_layout l, unsigned part, uint32_t slot)
{
    nn_walk walk = nn_layout_walk(&l, part);
    return nn_walk_place(place, &walk, slot);
}

unsigned nn_layout_bootstraps(nn_layout l)
{
    return (l.parts + 1) / 2;
}

bool nn_layout_is_pair(nn_layout l, unsigned bootstrap)
{
    return 2 * bootstrap + 1 < l.parts;
}

nn_rows nn_layout_rows(nn_layout l, unsigned bootstrap)
{
    unsigned first = 2 * bootstrap;
    return nn_layout_is_pair(l, bootstrap) ? (nn_rows){first, first + 1, 0, l.slots}
                                           : (nn_rows){first, first, l.slots / 2, l.slots / 2};
}

static size_t number_of(nn_layout l, nn_place p)
{
    return ((size_t)p.channel * l.shape.height + p.y) * l.shape.width + p.x;
}

static double value_at(nn_walk *walk, uint32_t slot, const double *value, bool full)
{
    nn_place p;
    if (!nn_walk_place(&p, walk, slot)) return 0;
    return value[full ? number_of(*walk->layout, p) : p.channel];
}

void nn_layout_spread(nn_layout layout, unsigned part, ckks_complex *values, const double *value,
                      bool full)
{
    nn_walk walk = nn_layout_walk(&layout, part);
    for (uint32_t s = 0; s < layout.slots; s++)
        values[s] = (ckks_complex){value_at(&walk, s, value, full), 0};
}

void nn_layout_spread_rows(nn_layout layout, unsigned bootstrap, ckks_complex *values,
                           const double *value, bool full)
{
    nn_rows rows = nn_layout_rows(layout, bootstrap);
    nn_walk first = nn_layout_walk(&layout, rows.first),
            second = nn_layout_walk(&layout, rows.second);
    for (uint32_t s = 0; s < layout.slots; s++) {
        values[s].re = s < rows.count ? value_at(&first, s, value, full) : 0;
        values[s].im = s >= rows.offset ? value_at(&second, s, value, full) : 0;
    }
}

void nn_layout_gather(nn_layout layout, unsigned part, double *tensor, const ckks_complex *values)
{
    nn_walk walk = nn_layout_walk(&layout, part);
    for (uint32_t s = 0; s < layout.period; s++) {
        nn_place p;
        if (nn_walk_place(&p, &walk, s)) tensor[number_of(layout, p)] = values[s].re;
    }
}
