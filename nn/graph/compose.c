/* SPDX-License-Identifier: Apache-2.0 */
/* Products and sums of linear maps. */
#include <stdlib.h>
#include <string.h>

#include "nn/graph/map.h"

#define MAX_WORK ((size_t)1 << 31) /* multiplications of one product */

static size_t gcd(size_t a, size_t b)
{
    while (b) {
        size_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* ---- rows ---- */

/* What collects a map's entries other than zeros row by row. */
typedef struct collector {
    nn_shape in, out;
    size_t count;
    size_t *row;
    uint32_t *column;
    double *weight;
} collector;

static size_t number_of(nn_shape shape, nn_place place)
{
    return ((size_t)place.channel * shape.height + place.y) * shape.width + place.x;
}

static void collect(void *arg, nn_place o, nn_place i, double weight)
{
    collector *c = arg;
    if (weight == 0) return;
    c->row[number_of(c->out, o) + 1]++;
    c->column[c->count] = (uint32_t)number_of(c->in, i);
    c->weight[c->count++] = weight;
}

/* Any map as a sparse one. */
static fhola_status to_sparse(nn_map *out, const nn_map *map)
{
    if (map->kind == NN_MAP_SPARSE) return nn_map_copy(out, map);
    size_t entries = nn_map_entries(map), rows = nn_shape_values(map->out);
    if (entries > NN_MAP_MAX_ENTRIES)
        return fhola_fail(FHOLA_PARAM, "a linear map of %zu entries: at most %zu are possible",
                          entries, NN_MAP_MAX_ENTRIES);
    collector c = {.in = map->in,
                   .out = map->out,
                   .row = calloc(rows + 1, sizeof *c.row),
                   .column = malloc((entries + 1) * sizeof *c.column),
                   .weight = malloc((entries + 1) * sizeof *c.weight)};
    nn_map result = {.kind = NN_MAP_SPARSE,
                     .in = map->in,
                     .out = map->out,
                     .sparse = {c.row, c.column, c.weight}};
    if (!c.row || !c.column || !c.weight) {
        nn_map_clear(&result);
        return fhola_fail(FHOLA_NOMEM, "no memory for a linear map of %zu entries", entries);
    }
    nn_map_for_each(map, collect, &c);
    for (size_t r = 0; r < rows; r++) c.row[r + 1] += c.row[r];
    *out = result;
    return FHOLA_OK;
}

/* Rows under construction: sums by column, and which columns have any. */
typedef struct row_builder {
    double *sum;
    unsigned char *used;
    uint32_t *touched;
    size_t touched_count;
    nn_entry *entries;
    size_t count, room;
} row_builder;

static fhola_status open_rows(row_builder *b, size_t columns)
{
    *b = (row_builder){.sum = calloc(columns, sizeof *b->sum),
                       .used = calloc(columns, 1),
                       .touched = malloc(columns * sizeof *b->touched)};
    return b->sum && b->used && b->touched
               ? FHOLA_OK
               : fhola_fail(FHOLA_NOMEM, "no memory for a linear map of %zu columns", columns);
}

static void close_rows(row_builder *b)
{
    free(b->sum);
    free(b->used);
    free(b->touched);
    free(b->entries);
}

static void add_row(row_builder *b, const nn_sparse *s, size_t row, double factor)
{
    for (size_t k = s->row[row]; k < s->row[row + 1]; k++) {
        uint32_t column = s->column[k];
        if (!b->used[column]) {
            b->used[column] = 1;
            b->touched[b->touched_count++] = column;
            b->sum[column] = 0;
        }
        b->sum[column] += factor * s->weight[k];
    }
}

static fhola_status end_row(row_builder *b, size_t row)
{
    if (b->count + b->touched_count > b->room) {
        size_t room = 2 * b->room + b->touched_count;
        if (b->count + b->touched_count > NN_MAP_MAX_ENTRIES)
            return fhola_fail(FHOLA_PARAM, "a linear map of more than %zu entries",
                              NN_MAP_MAX_ENTRIES);
        nn_entry *more = realloc(b->entries, room * sizeof *more);
        if (!more)
            return fhola_fail(FHOLA_NOMEM, "no memory for a linear map of %zu entries", room);
        b->entries = more;
        b->room = room;
    }
    for (size_t k = 0; k < b->touched_count; k++) {
        uint32_t column = b->touched[k];
        b->used[column] = 0;
        if (b->sum[column] != 0)
            b->entries[b->count++] = (nn_entry){(uint32_t)row, column, b->sum[column]};
    }
    b->touched_count = 0;
    return FHOLA_OK;
}

/* A map to single pixels with hardly a zero is a convolution by a kernel as large as its input. */
static fhola_status finish_rows(nn_map *out, const row_builder *b, nn_shape in, nn_shape out_shape)
{
    size_t full = nn_shape_values(in) * out_shape.channels;
    bool dense = out_shape.height == 1 && out_shape.width == 1 && b->count >= full / 4 &&
                 full <= NN_MAP_MAX_WEIGHTS;
    if (!dense) return nn_map_from_entries(out, in, out_shape, b->entries, b->count);
    nn_convolution c = {.in_channels = in.channels,
                        .out_channels = out_shape.channels,
                        .groups = 1,
                        .kernel_y = in.height,
                        .kernel_x = in.width,
                        .stride_y = 1,
                        .stride_x = 1,
                        .dilation_y = 1,
                        .dilation_x = 1,
                        .weight = calloc(full + 1, sizeof *c.weight)};
    if (!c.weight) return fhola_fail(FHOLA_NOMEM, "no memory for %zu weights", full);
    for (size_t k = 0; k < b->count; k++)
        c.weight[b->entries[k].row * nn_shape_values(in) + b->entries[k].column] =
            b->entries[k].weight;
    fhola_status status = nn_map_convolution(out, in, out_shape, &c);
    free(c.weight);
    return status;
}

static fhola_status multiply_rows(nn_map *out, const nn_map *second, const nn_map *first)
{
    row_builder b;
    fhola_status status = open_rows(&b, nn_shape_values(first->in));
    const nn_sparse *s = &second->sparse;
    size_t work = 0;
    for (size_t r = 0; r < nn_shape_values(second->out) && status == FHOLA_OK; r++) {
        for (size_t k = s->row[r]; k < s->row[r + 1]; k++) {
            uint32_t middle = s->column[k];
            work += first->sparse.row[middle + 1] - first->sparse.row[middle];
            add_row(&b, &first->sparse, middle, s->weight[k]);
        }
        status = work > MAX_WORK ? fhola_fail(FHOLA_PARAM, "a product of linear maps too long")
                                 : end_row(&b, r);
    }
    if (status == FHOLA_OK) status = finish_rows(out, &b, first->in, second->out);
    close_rows(&b);
    return status;
}

static fhola_status compose_sparse(nn_map *out, const nn_map *second, const nn_map *first)
{
    nn_map left = {0}, right = {0};
    fhola_status status = to_sparse(&left, second);
    if (status == FHOLA_OK) status = to_sparse(&right, first);
    if (status == FHOLA_OK) status = multiply_rows(out, &left, &right);
    nn_map_clear(&left);
    nn_map_clear(&right);
    return status;
}

static fhola_status sum_sparse(nn_map *out, const nn_map *a, const nn_map *b)
{
    nn_map left = {0}, right = {0};
    row_builder rows = {0};
    fhola_status status = to_sparse(&left, a);
    if (status == FHOLA_OK) status = to_sparse(&right, b);
    if (status == FHOLA_OK) status = open_rows(&rows, nn_shape_values(a->in));
    for (size_t r = 0; r < nn_shape_values(a->out) && status == FHOLA_OK; r++) {
        add_row(&rows, &left.sparse, r, 1);
        add_row(&rows, &right.sparse, r, 1);
        status = end_row(&rows, r);
    }
    if (status == FHOLA_OK) status = finish_rows(out, &rows, a->in, a->out);
    close_rows(&rows);
    nn_map_clear(&left);
    nn_map_clear(&right);
    return status;
}

/* ---- convolutions ---- */

/* One axis of a convolution. */
typedef struct axis {
    unsigned kernel, stride, dilation;
    int pad;
    unsigned in, out; /* places */
} axis;

static axis vertical(const nn_map *map)
{
    const nn_convolution *c = &map->convolution;
    return (axis){c->kernel_y, c->stride_y,    c->dilation_y,
                  c->pad_y,    map->in.height, map->out.height};
}

static axis horizontal(const nn_map *map)
{
    const nn_convolution *c = &map->convolution;
    return (axis){c->kernel_x, c->stride_x, c->dilation_x, c->pad_x, map->in.width, map->out.width};
}

static bool inside(long place, unsigned length)
{
    return place >= 0 && place < (long)length;
}

/* Where `second` reads beyond the middle tensor it must find zeros; so must the product, which
 * reads the input there. */
static bool borders_agree(axis second, axis first)
{
    for (unsigned p = 0; p < second.out; p++)
        for (unsigned k = 0; k < second.kernel; k++) {
            long middle = (long)p * second.stride + (long)k * second.dilation - second.pad;
            if (inside(middle, second.in)) continue;
            for (unsigned j = 0; j < first.kernel; j++)
                if (inside(middle * (long)first.stride + (long)j * first.dilation - first.pad,
                           first.in))
                    return false;
        }
    return true;
}

/* Tap k of the second and j of the first are tap (k * second.dilation * first.stride + j *
 * first.dilation) / dilation of the product. */
static axis multiply_axes(axis second, axis first)
{
    size_t outer = (size_t)second.dilation * first.stride,
           step = gcd(second.kernel > 1 ? outer : 0, first.kernel > 1 ? first.dilation : 0);
    if (step == 0) step = 1;
    size_t reach = (second.kernel - 1) * outer + (first.kernel - 1) * (size_t)first.dilation;
    return (axis){.kernel = (unsigned)(reach / step + 1),
                  .stride = second.stride * first.stride,
                  .dilation = (unsigned)step,
                  .pad = second.pad * (int)first.stride + first.pad,
                  .in = first.in,
                  .out = second.out};
}

static nn_convolution with_axes(nn_convolution c, axis y, axis x)
{
    c.kernel_y = y.kernel;
    c.kernel_x = x.kernel;
    c.stride_y = y.stride;
    c.stride_x = x.stride;
    c.dilation_y = y.dilation;
    c.dilation_x = x.dilation;
    c.pad_y = y.pad;
    c.pad_x = x.pad;
    return c;
}

/* The taps that lead from input channel i to output channel o (numbers in the tensors); NULL: none
 * do. */
static double *taps_of(const nn_convolution *c, unsigned o, unsigned i)
{
    unsigned ins = c->in_channels / c->groups, outs = c->out_channels / c->groups;
    if (o < c->out_first || o - c->out_first >= c->out_channels) return NULL;
    o -= c->out_first;
    unsigned first = c->in_first + o / outs * ins;
    if (i < first || i - first >= ins) return NULL;
    return c->weight + ((size_t)o * ins + i - first) * c->kernel_y * c->kernel_x;
}

typedef struct range {
    unsigned first, end;
} range;

static range common(range a, range b)
{
    range r = {a.first > b.first ? a.first : b.first, a.end < b.end ? a.end : b.end};
    return r;
}

/* Leaves only what is within `kept` of one side's channels, and of the other side's what belongs to
 * it: whole groups, or any channels of a single group. False if it would cut a group. */
static bool keep(unsigned *groups, range kept, unsigned *first, unsigned *channels,
                 unsigned *other_first, unsigned *other_channels)
{
    unsigned per_group = *channels / *groups, others = *other_channels / *groups;
    unsigned from = kept.first - *first, count = kept.end - kept.first;
    if (*groups > 1) {
        if (from % per_group != 0 || count % per_group != 0) return false;
        *other_first += from / per_group * others;
        *other_channels = count / per_group * others;
        *groups = count / per_group;
    }
    *first = kept.first;
    *channels = count;
    return true;
}

static bool keep_outputs(nn_convolution *c, range kept)
{
    return keep(&c->groups, kept, &c->out_first, &c->out_channels, &c->in_first, &c->in_channels);
}

static bool keep_inputs(nn_convolution *c, range kept)
{
    return keep(&c->groups, kept, &c->in_first, &c->in_channels, &c->out_first, &c->out_channels);
}

/* Channels and groups of the product; weights of the arguments do not count. */
static nn_convolution multiply_channels(nn_convolution second, nn_convolution first, range middle)
{
    nn_convolution result = second;
    bool whole = keep_inputs(&second, middle) && keep_outputs(&first, middle);
    if (whole) {
        result = second;
        result.groups = (unsigned)gcd(second.groups, first.groups);
    } else {
        result.groups = 1;
    }
    result.in_first = first.in_first;
    result.in_channels = first.in_channels;
    return result;
}

/* What the loops over taps need. */
typedef struct product {
    const nn_convolution *second, *first;
    nn_convolution result;
    range middle;
} product;

static void add_taps(const product *p, double *to, const double *second, const double *first)
{
    const nn_convolution *a = p->second, *b = p->first, *r = &p->result;
    for (unsigned ay = 0; ay < a->kernel_y; ay++)
        for (unsigned ax = 0; ax < a->kernel_x; ax++) {
            double weight = second[ay * a->kernel_x + ax];
            if (weight == 0) continue;
            for (unsigned by = 0; by < b->kernel_y; by++)
                for (unsigned bx = 0; bx < b->kernel_x; bx++) {
                    unsigned y = (ay * a->dilation_y * b->stride_y + by * b->dilation_y) /
                                 r->dilation_y,
                             x = (ax * a->dilation_x * b->stride_x + bx * b->dilation_x) /
                                 r->dilation_x;
                    to[y * r->kernel_x + x] += weight * first[by * b->kernel_x + bx];
                }
        }
}

static void multiply_weights(const product *p)
{
    const nn_convolution *r = &p->result;
    unsigned ins = r->in_channels / r->groups, outs = r->out_channels / r->groups;
    double *to = r->weight;
    for (unsigned o = 0; o < r->out_channels; o++)
        for (unsigned i = 0; i < ins; i++, to += (size_t)r->kernel_y * r->kernel_x)
            for (unsigned m = p->middle.first; m < p->middle.end; m++) {
                const double *second = taps_of(p->second, r->out_first + o, m),
                             *first = taps_of(p->first, m, r->in_first + o / outs * ins + i);
                if (second && first) add_taps(p, to, second, first);
            }
}

static bool too_large(const product *p)
{
    const nn_convolution *a = p->second, *b = p->first, *r = &p->result;
    double weights =
        (double)r->out_channels * (r->in_channels / r->groups) * r->kernel_y * r->kernel_x;
    double work = (double)r->out_channels * (a->in_channels / a->groups) *
                  (b->in_channels / b->groups) * a->kernel_y * a->kernel_x * b->kernel_y *
                  b->kernel_x;
    return weights > (double)NN_MAP_MAX_WEIGHTS || work > (double)MAX_WORK;
}

static range middle_of(const nn_convolution *second, const nn_convolution *first)
{
    return common((range){second->in_first, second->in_first + second->in_channels},
                  (range){first->out_first, first->out_first + first->out_channels});
}

/* Sets *done if the product is a convolution of a size that can be had. */
static fhola_status compose_convolutions(nn_map *out, bool *done, const nn_map *second,
                                         const nn_map *first)
{
    axis y2 = vertical(second), y1 = vertical(first), x2 = horizontal(second),
         x1 = horizontal(first);
    product p = {.second = &second->convolution, .first = &first->convolution};
    p.middle = middle_of(p.second, p.first);
    *done = false;
    if (p.middle.first >= p.middle.end || !borders_agree(y2, y1) || !borders_agree(x2, x1))
        return FHOLA_OK;
    p.result = with_axes(multiply_channels(*p.second, *p.first, p.middle), multiply_axes(y2, y1),
                         multiply_axes(x2, x1));
    if (too_large(&p)) return FHOLA_OK;
    p.result.weight = calloc(nn_convolution_weights(&p.result) + 1, sizeof *p.result.weight);
    if (!p.result.weight) return fhola_fail(FHOLA_NOMEM, "no memory for a convolution");
    multiply_weights(&p);
    fhola_status status = nn_map_convolution(out, first->in, second->out, &p.result);
    free(p.result.weight);
    *done = status == FHOLA_OK;
    return status;
}

fhola_status nn_map_compose(nn_map *out, const nn_map *second, const nn_map *first)
{
    if (!nn_shape_equal(second->in, first->out))
        return fhola_fail(FHOLA_PARAM, "a map of %u x %u x %u values after one to %u x %u x %u",
                          second->in.channels, second->in.height, second->in.width,
                          first->out.channels, first->out.height, first->out.width);
    if (nn_map_is_identity(second)) return nn_map_copy(out, first);
    if (nn_map_is_identity(first)) return nn_map_copy(out, second);
    if (second->kind == NN_MAP_CONVOLUTION && first->kind == NN_MAP_CONVOLUTION) {
        bool done;
        fhola_status status = compose_convolutions(out, &done, second, first);
        if (status != FHOLA_OK || done) return status;
    }
    return compose_sparse(out, second, first);
}

/* ---- sums ---- */

static int greater(int a, int b)
{
    return a > b ? a : b;
}

/* An axis that has the taps of both. */
static axis unite_axes(axis a, axis b)
{
    int pad = greater(a.pad, b.pad);
    int reach = greater((int)((a.kernel - 1) * a.dilation) - a.pad,
                        (int)((b.kernel - 1) * b.dilation) - b.pad);
    size_t step = gcd(a.kernel > 1 ? a.dilation : 0, b.kernel > 1 ? b.dilation : 0);
    step = gcd(step, (size_t)(a.pad > b.pad ? a.pad - b.pad : b.pad - a.pad));
    if (step == 0) step = 1;
    a.kernel = (unsigned)((size_t)(reach + pad) / step + 1);
    a.dilation = (unsigned)step;
    a.pad = pad;
    return a;
}

static nn_convolution unite_channels(nn_convolution a, const nn_convolution *b)
{
    if (a.in_first == b->in_first && a.in_channels == b->in_channels &&
        a.out_first == b->out_first && a.out_channels == b->out_channels) {
        a.groups = (unsigned)gcd(a.groups, b->groups);
        return a;
    }
    unsigned in_end = a.in_first + a.in_channels, b_in_end = b->in_first + b->in_channels,
             out_end = a.out_first + a.out_channels, b_out_end = b->out_first + b->out_channels;
    if (b->in_first < a.in_first) a.in_first = b->in_first;
    if (b->out_first < a.out_first) a.out_first = b->out_first;
    a.in_channels = (b_in_end > in_end ? b_in_end : in_end) - a.in_first;
    a.out_channels = (b_out_end > out_end ? b_out_end : out_end) - a.out_first;
    a.groups = 1;
    return a;
}

static void add_weights(const nn_convolution *to, const nn_convolution *from)
{
    unsigned ins = from->in_channels / from->groups, outs = from->out_channels / from->groups;
    const double *weight = from->weight;
    for (unsigned o = 0; o < from->out_channels; o++)
        for (unsigned i = 0; i < ins; i++) {
            double *taps = taps_of(to, from->out_first + o, from->in_first + o / outs * ins + i);
            for (unsigned ky = 0; ky < from->kernel_y; ky++)
                for (unsigned kx = 0; kx < from->kernel_x; kx++) {
                    int y = (int)(ky * from->dilation_y) - from->pad_y + to->pad_y,
                        x = (int)(kx * from->dilation_x) - from->pad_x + to->pad_x;
                    taps[(unsigned)y / to->dilation_y * to->kernel_x +
                         (unsigned)x / to->dilation_x] += *weight++;
                }
        }
}

static fhola_status sum_convolutions(nn_map *out, bool *done, const nn_map *a, const nn_map *b)
{
    const nn_convolution *ca = &a->convolution, *cb = &b->convolution;
    *done = false;
    if (ca->stride_y != cb->stride_y || ca->stride_x != cb->stride_x) return FHOLA_OK;
    nn_convolution c = with_axes(unite_channels(*ca, cb), unite_axes(vertical(a), vertical(b)),
                                 unite_axes(horizontal(a), horizontal(b)));
    size_t limit = 16 * (nn_convolution_weights(ca) + nn_convolution_weights(cb));
    double weights = (double)c.out_channels * (c.in_channels / c.groups) * c.kernel_y * c.kernel_x;
    if (weights > (double)NN_MAP_MAX_WEIGHTS || (c.groups == 1 && weights > (double)limit + 65536))
        return FHOLA_OK;
    c.weight = calloc(nn_convolution_weights(&c) + 1, sizeof *c.weight);
    if (!c.weight) return fhola_fail(FHOLA_NOMEM, "no memory for a convolution");
    add_weights(&c, ca);
    add_weights(&c, cb);
    fhola_status status = nn_map_convolution(out, a->in, a->out, &c);
    free(c.weight);
    *done = status == FHOLA_OK;
    return status;
}

fhola_status nn_map_sum(nn_map *out, const nn_map *a, const nn_map *b)
{
    if (!nn_shape_equal(a->in, b->in) || !nn_shape_equal(a->out, b->out))
        return fhola_fail(FHOLA_PARAM, "a sum of maps of different shapes");
    if (a->kind == NN_MAP_CONVOLUTION && b->kind == NN_MAP_CONVOLUTION) {
        bool done;
        fhola_status status = sum_convolutions(out, &done, a, b);
        if (status != FHOLA_OK || done) return status;
    }
    return sum_sparse(out, a, b);
}
