/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/encrypted/linear.h"

#include <stdlib.h>
#include <string.h>

#define MAX_DIAGONALS 4096u /* of one transform */

/* ---- diagonals ---- */

static double weight_at(const nn_linear *l, nn_place o, nn_place i)
{
    double w = nn_map_entry(l->map, o, i);
    if (w == 0) return 0; /* no division then: many are */
    w *= l->in_scale[i.channel];
    return l->out_scale ? w / l->out_scale[o.channel] : w;
}

/* A part of a tensor, slot by slot. */
typedef struct reading {
    const nn_layout *layout;
    unsigned part;
    nn_walk walk;
} reading;

static reading read_part(const nn_layout *layout, unsigned part)
{
    return (reading){layout, part, nn_layout_walk(layout, part)};
}

/* The slots of a grid's row from one on: the first `inside` of `count` are of pixels there are. */
typedef struct stretch {
    uint32_t count, inside;
    unsigned picture;
} stretch;

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static stretch stretch_from(reading *r, uint32_t slot)
{
    const nn_layout *l = r->layout;
    nn_walk *w = &r->walk;
    uint32_t s = slot & (l->stride - 1), width = l->shape.width * l->gap_x;
    if (s - w->from >= w->count) nn_walk_row(w, s);
    uint32_t at = s - w->from, count = least(w->count - at, l->stride - s);
    return (stretch){.count = count,
                     .inside = w->inside && at < width ? least(width - at, count) : 0,
                     .picture = l->pictures == 1 ? 0 : nn_layout_picture(*l, r->part, slot)};
}

/* After so many slots of a row weights repeat: a convolution knows only distances. */
static uint32_t pattern_of(const nn_linear *l)
{
    bool repeats = l->map->kind == NN_MAP_CONVOLUTION &&
                   l->out.gap_x == l->in.gap_x * l->map->convolution.stride_x;
    return repeats ? l->out.gap_x : UINT32_MAX;
}

/* The rows of a diagonal: slots `at` to at + count - 1 of a part of the result, in turn. */
typedef struct row_list {
    reading rows;
    uint32_t at, count;
    double factor;
    unsigned picture; /* of scores, which say nothing of it: whose they are; else 0 */
} row_list;

/* values[2 k] = the factor times the weight from the input's slot from + k to slot at + k of the
 * result, k < count, both in one row of their grids and inside. */
static void fill_stretch(const nn_linear *l, row_list *r, uint32_t at, reading *in, uint32_t from,
                         uint32_t count, double *values)
{
    const uint32_t pattern = least(pattern_of(l), count);
    nn_place o, i;
    for (uint32_t k = 0; k < pattern; k++)
        values[2 * (size_t)k] =
            nn_walk_place(&o, &r->rows.walk, at + k) && nn_walk_place(&i, &in->walk, from + k)
                ? r->factor * weight_at(l, o, i)
                : 0;
    for (uint32_t k = pattern; k < count; k++)
        values[2 * (size_t)k] = values[2 * (size_t)(k - pattern)];
}

/* The real or imaginary parts of a diagonal whose first column is the input's slot `from`. */
static void fill_rows(const nn_linear *l, row_list *r, reading in, uint32_t from, double *values)
{
    for (uint32_t s = 0, n; s < l->period; s += n) {
        uint32_t row = s & (r->count - 1), at = r->at + row;
        stretch o = stretch_from(&r->rows, at), i = stretch_from(&in, from + s);
        n = least(least(o.count, i.count), least(r->count - row, l->period - s));
        bool same = o.picture + r->picture == i.picture;
        uint32_t inside = same ? least(least(o.inside, i.inside), n) : 0;
        fill_stretch(l, r, at, &in, from + s, inside, values + 2 * (size_t)s);
        for (uint32_t k = inside; k < n; k++) values[2 * (size_t)(s + k)] = 0;
    }
}

/* Offsets to what a bootstrap takes count modulo this: a bootstrap without a partner has half as
 * many rows as a pair. */
static uint32_t span_of(const nn_linear *l, unsigned output)
{
    if (l->target == NN_LINEAR_SCORES) return l->span;
    uint32_t rows = nn_layout_rows(l->out, output).count;
    return l->span < rows ? l->span : rows;
}

int nn_linear_diagonal(void *linear, unsigned block, int32_t offset, ckks_complex *values)
{
    const nn_linear *l = linear;
    bool scores = l->target == NN_LINEAR_SCORES;
    unsigned output = block / l->inputs, input = block % l->inputs * (l->joined ? 2 : 1);
    nn_rows taken = nn_layout_rows(l->out, scores ? 0 : output);
    reading in = read_part(&l->in, input);
    row_list rows = {.rows = read_part(&l->out, taken.first),
                     .count = scores ? l->period : taken.count,
                     .factor = 1};
    if (scores)
        rows.picture = output;
    else
        rows.factor = (double)l->in.period / span_of(l, output) / (taken.offset ? 2 : 1);
    fill_rows(l, &rows, in, (uint32_t)offset, &values->re);
    if (scores || l->joined) {
        for (uint32_t s = 0; s < l->period; s++) values[s].im = 0;
    } else {
        rows.rows = read_part(&l->out, taken.second);
        rows.at = taken.offset;
        fill_rows(l, &rows, in, (uint32_t)offset, &values->im);
    }
    return 0;
}

/* ---- which diagonals there are ---- */

typedef struct marker {
    const nn_linear *linear;
    uint32_t modulus;
    unsigned char *marked; /* modulus for each block */
} marker;

static unsigned char *block_marks(const marker *m, unsigned output, unsigned input)
{
    return m->marked + ((size_t)output * m->linear->inputs + input) * m->modulus;
}

/* The diagonal of one picture's weight between two places, and `tap` slots beyond the second. */
static void mark_picture(const marker *m, unsigned picture, nn_place to, nn_place from,
                         uint32_t tap)
{
    const nn_linear *l = m->linear;
    bool scores = l->target == NN_LINEAR_SCORES;
    unsigned row = scores ? 0 : picture,
             output = scores ? picture : nn_layout_part(l->out, picture, to.channel) / 2,
             input = nn_layout_part(l->in, picture, from.channel) / (l->joined ? 2 : 1);
    uint32_t span = span_of(l, output), distance = nn_layout_slot(l->in, picture, from) -
                                                   nn_layout_slot(l->out, row, to) + tap;
    block_marks(m, output, input)[distance % (span < m->modulus ? span : m->modulus)] = 1;
}

static void mark(const marker *m, nn_place to, nn_place from, uint32_t tap)
{
    const nn_linear *l = m->linear;
    for (unsigned picture = 0; picture < l->in.pictures; picture += l->joined ? 2 : 1)
        mark_picture(m, picture, to, from, tap);
}

static void mark_entry(void *arg, nn_place o, nn_place i, double weight)
{
    if (weight != 0) mark(arg, o, i, 0);
}

/* The offset between two channels at a kernel distance does not depend on the pixel. */
static bool same_for_all_pixels(const nn_linear *l)
{
    if (l->map->kind != NN_MAP_CONVOLUTION) return false;
    const nn_convolution *c = &l->map->convolution;
    return l->in.pitch * l->in.gap_y * c->stride_y == l->out.pitch * l->out.gap_y &&
           l->in.gap_x * c->stride_x == l->out.gap_x;
}

/* Whether some output coordinate finds its input at kernel distance `tap` inside. */
static bool reaches(unsigned out, unsigned stride, int tap, unsigned in)
{
    for (unsigned k = 0; k < out; k++) {
        int at = (int)(k * stride) + tap;
        if (at >= 0 && at < (int)in) return true;
    }
    return false;
}

/* Marks the offsets between all channels at kernel distance (dy, dx), in input pixels. */
static void mark_tap(const marker *m, size_t kernel_place, int dy, int dx)
{
    const nn_linear *l = m->linear;
    const nn_convolution *c = &l->map->convolution;
    unsigned inputs = c->in_channels / c->groups, outputs = c->out_channels / c->groups;
    size_t taps = (size_t)c->kernel_y * c->kernel_x;
    uint32_t tap = (uint32_t)(dy * (int)(l->in.gap_y * l->in.pitch) + dx * (int)l->in.gap_x);
    for (unsigned o = 0; o < c->out_channels; o++)
        for (unsigned i = 0; i < inputs; i++) {
            if (c->weight[((size_t)o * inputs + i) * taps + kernel_place] == 0) continue;
            nn_place to = {c->out_first + o, 0, 0},
                     from = {c->in_first + o / outputs * inputs + i, 0, 0};
            mark(m, to, from, tap);
        }
}

static void mark_taps(const marker *m)
{
    const nn_map *map = m->linear->map;
    const nn_convolution *c = &map->convolution;
    for (unsigned ky = 0; ky < c->kernel_y; ky++)
        for (unsigned kx = 0; kx < c->kernel_x; kx++) {
            int dy = (int)(ky * c->dilation_y) - c->pad_y,
                dx = (int)(kx * c->dilation_x) - c->pad_x;
            if (reaches(map->out.height, c->stride_y, dy, map->in.height) &&
                reaches(map->out.width, c->stride_x, dx, map->in.width))
                mark_tap(m, (size_t)ky * c->kernel_x + kx, dy, dx);
        }
}

static void mark_offsets(marker *m)
{
    if (same_for_all_pixels(m->linear))
        mark_taps(m);
    else
        nn_map_for_each(m->linear->map, mark_entry, m);
    size_t all = (size_t)m->linear->inputs * m->linear->outputs * m->modulus;
    if (!memchr(m->marked, 1, all)) m->marked[0] = 1; /* a transform has a diagonal */
}

/* ---- how to split them ---- */

/* Whether an offset from `first` on below `end`, in steps of `step`, is marked in a block.
 * `marked` repeats with `modulus`; offsets are those below l->modulus. */
static bool any_marked(const marker *m, const unsigned char *marked, uint32_t first, uint32_t end,
                       uint32_t step)
{
    for (uint32_t d = first; d < end; d += step)
        if (marked[d % m->modulus]) return true;
    return false;
}

static void count_rotations(const nn_linear *l, const marker *m, uint32_t step, unsigned *babies,
                            unsigned *giants)
{
    *babies = *giants = 0;
    for (unsigned i = 0; i < l->inputs; i++)
        for (uint32_t baby = 1; baby < step; baby++) {
            bool used = false;
            for (unsigned o = 0; o < l->outputs && !used; o++)
                used = any_marked(m, block_marks(m, o, i), baby, l->modulus, step);
            *babies += used;
        }
    for (unsigned o = 0; o < l->outputs; o++)
        for (uint32_t giant = step; giant < l->modulus; giant += step) {
            bool used = false;
            for (unsigned i = 0; i < l->inputs && !used; i++)
                used = any_marked(m, block_marks(m, o, i), giant, giant + step, 1);
            *giants += used;
        }
}

/* A rotation of the input costs about two of a partial sum: it needs its own division by the
 * special primes, which the partial sums share. */
static unsigned split_cost(unsigned babies, unsigned giants)
{
    return 2 * babies + giants;
}

static void choose_split(nn_linear *l, const marker *m)
{
    for (uint32_t step = 1; step <= l->modulus; step *= 2) {
        unsigned babies, giants;
        count_rotations(l, m, step, &babies, &giants);
        if (step > 1 && split_cost(babies, giants) >= split_cost(l->babies, l->giants)) continue;
        l->baby_step = step;
        l->babies = babies;
        l->giants = giants;
    }
}

/* A fold pays for all that a baby and a giant pay for. */
double nn_linear_work(const nn_linear *l)
{
    return split_cost(l->babies, l->giants) + 3.0 * l->folds + (double)l->count / 16;
}

/* Every modulus from the rows up to the span, the cheapest one last of all in *l. */
static void choose_modulus(nn_linear *l, const marker *m)
{
    nn_linear best = *l;
    size_t marked = 0, all = (size_t)l->inputs * l->outputs * m->modulus;
    for (size_t d = 0; d < all; d++) marked += m->marked[d];
    for (uint32_t modulus = m->modulus; modulus <= l->span; modulus *= 2) {
        nn_linear tried = *l;
        tried.modulus = modulus;
        tried.count = marked * (modulus / m->modulus);
        for (uint32_t r = modulus; r < l->span; r *= 2) tried.folds++;
        choose_split(&tried, m);
        if (modulus == m->modulus || nn_linear_work(&tried) < nn_linear_work(&best)) best = tried;
    }
    *l = best;
}

static fhola_status list_offsets(nn_linear *l, const marker *m, const char *node)
{
    size_t blocks = (size_t)l->inputs * l->outputs, k = 0;
    if (l->count > MAX_DIAGONALS * blocks)
        return fhola_fail(FHOLA_PARAM,
                          "%s: a linear map of %zu diagonals, at most %zu are possible: put a "
                          "layer with fewer values in front of it",
                          node, l->count, MAX_DIAGONALS * blocks);
    l->offset = malloc(l->count * sizeof *l->offset);
    l->block = malloc(l->count * sizeof *l->block);
    l->same = malloc(l->count * sizeof *l->same);
    if (!l->offset || !l->block || !l->same)
        return fhola_fail(FHOLA_NOMEM, "%s: no memory for %zu offsets", node, l->count);
    for (unsigned b = 0; b < blocks; b++)
        for (uint32_t d = 0; d < l->modulus; d++)
            if (m->marked[(size_t)b * m->modulus + d % m->modulus]) {
                l->block[k] = b;
                l->offset[k++] = (int32_t)d;
            }
    return FHOLA_OK;
}

/* ---- which of them are the same ---- */

/* The diagonal of a block with this offset; l->count: there is none. */
static size_t find_diagonal(const nn_linear *l, unsigned block, uint32_t offset)
{
    size_t low = 0, high = l->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        bool below = l->block[middle] != block ? l->block[middle] < block
                                               : (uint32_t)l->offset[middle] < offset;
        if (below)
            low = middle + 1;
        else
            high = middle;
    }
    bool found = low < l->count && l->block[low] == block && (uint32_t)l->offset[low] == offset;
    return found ? low : l->count;
}

/* The diagonal that is the same for the first group of pictures, or diagonal i itself. */
static size_t first_like(const nn_linear *l, size_t i)
{
    unsigned output = l->block[i] / l->inputs, input = l->block[i] % l->inputs,
             groups = nn_layout_groups(l->out), group = input / l->in.each;
    if (!l->joined || output / l->out.each != group % groups) return i;
    /* beyond the modulus it is another representative, the same only if all repeats with it */
    uint32_t shift = group / groups * l->out.stride, offset = (uint32_t)l->offset[i] + shift;
    bool wraps = l->modulus % l->in.period == 0 && l->modulus % l->period == 0;
    if (shift % l->baby_step || (offset >= l->modulus && !wraps)) return i;
    size_t found = find_diagonal(l, output % l->out.each * l->inputs + input % l->in.each,
                                 offset % l->modulus);
    return found < l->count ? found : i;
}

static void share_diagonals(nn_linear *l)
{
    for (size_t i = 0; i < l->count; i++) {
        l->same[i] = first_like(l, i);
        l->distinct += l->same[i] == i;
    }
}

/* The slots of `to` that rows of joined inputs have. */
static uint32_t rows_period(nn_layout to)
{
    uint32_t rows = nn_layout_rows(to, 0).count;
    return to.period < rows ? to.period : rows;
}

/* Couples beside each other have the same diagonals, if they keep their distance or share it with
 * those that come between them. */
static uint32_t period_of(nn_layout in, nn_layout to, bool joined)
{
    uint32_t out = joined ? rows_period(to) : to.period;
    if (joined && in.period == out) return in.stride > to.stride ? in.stride : to.stride;
    return in.period > out ? in.period : out;
}

/* Everything but the diagonals. */
static nn_linear describe(const nn_map *map, nn_layout in, nn_layout to, nn_linear_target target)
{
    bool scores = target == NN_LINEAR_SCORES;
    bool joined = !scores && in.pictures > 1 && in.parts > 1;
    uint32_t rows = scores ? in.period : nn_layout_rows(to, 0).count;
    return (nn_linear){.target = target,
                       .in = in,
                       .out = to,
                       .map = map,
                       .joined = joined,
                       .inputs = joined ? in.parts / 2 : in.parts,
                       .outputs = scores ? in.pictures : nn_layout_bootstraps(to),
                       .span = in.period < rows ? in.period : rows,
                       .period = period_of(in, to, joined)};
}

fhola_status nn_linear_init(nn_linear *out, const nn_map *map, nn_layout in, nn_layout to,
                            nn_linear_target target, const double *in_scale,
                            const double *out_scale, const char *node)
{
    nn_linear l = describe(map, in, to, target);
    uint32_t rows = target == NN_LINEAR_SCORES ? to.period : rows_period(to);
    marker m = {.linear = &l, .modulus = rows < l.span ? rows : l.span};
    l.in_scale = in_scale;
    l.out_scale = out_scale;
    *out = (nn_linear){0};
    m.marked = calloc((size_t)l.inputs * l.outputs, m.modulus);
    if (!m.marked)
        return fhola_fail(FHOLA_NOMEM, "%s: no memory for %u offsets of a linear map", node,
                          (unsigned)m.modulus);
    mark_offsets(&m);
    choose_modulus(&l, &m);
    fhola_status status = list_offsets(&l, &m, node);
    free(m.marked);
    if (status != FHOLA_OK) {
        nn_linear_clear(&l);
        return status;
    }
    share_diagonals(&l);
    *out = l;
    return FHOLA_OK;
}

void nn_linear_clear(nn_linear *linear)
{
    free(linear->offset);
    free(linear->block);
    free(linear->same);
    *linear = (nn_linear){0};
}

bool nn_linear_is_factor(const nn_linear *l)
{
    return l->inputs * l->outputs == 1 && l->count == 1 && l->offset[0] == 0 && l->folds == 0;
}
