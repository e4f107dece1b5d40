/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/graph/map.h"

#include <stdlib.h>
#include <string.h>

/* ---- memory ---- */

void nn_map_clear(nn_map *map)
{
    free(map->convolution.weight);
    free(map->sparse.row);
    free(map->sparse.column);
    free(map->sparse.weight);
    memset(map, 0, sizeof *map);
}

size_t nn_convolution_weights(const nn_convolution *c)
{
    return (size_t)c->out_channels * (c->in_channels / c->groups) * c->kernel_y * c->kernel_x;
}

fhola_status nn_map_convolution(nn_map *map, nn_shape in, nn_shape out,
                                const nn_convolution *convolution)
{
    size_t bytes = nn_convolution_weights(convolution) * sizeof(double);
    nn_map result = {.kind = NN_MAP_CONVOLUTION, .in = in, .out = out, .convolution = *convolution};
    result.convolution.weight = malloc(bytes + 1);
    if (!result.convolution.weight)
        return fhola_fail(FHOLA_NOMEM, "no memory for a convolution of %zu bytes", bytes);
    memcpy(result.convolution.weight, convolution->weight, bytes);
    if (out.height == 1) result.convolution.stride_y = 1;
    if (out.width == 1) result.convolution.stride_x = 1;
    if (convolution->kernel_y == 1) result.convolution.dilation_y = 1;
    if (convolution->kernel_x == 1) result.convolution.dilation_x = 1;
    *map = result;
    return FHOLA_OK;
}

static fhola_status allocate_sparse(nn_map *map, nn_shape in, nn_shape out, size_t entries)
{
    if (entries > NN_MAP_MAX_ENTRIES)
        return fhola_fail(FHOLA_PARAM, "a linear map of %zu entries: at most %zu are possible",
                          entries, NN_MAP_MAX_ENTRIES);
    nn_map result = {.kind = NN_MAP_SPARSE, .in = in, .out = out};
    result.sparse.row = calloc(nn_shape_values(out) + 1, sizeof *result.sparse.row);
    result.sparse.column = malloc((entries + 1) * sizeof *result.sparse.column);
    result.sparse.weight = malloc((entries + 1) * sizeof *result.sparse.weight);
    if (!result.sparse.row || !result.sparse.column || !result.sparse.weight) {
        nn_map_clear(&result);
        return fhola_fail(FHOLA_NOMEM, "no memory for a linear map of %zu entries", entries);
    }
    *map = result;
    return FHOLA_OK;
}

fhola_status nn_map_copy(nn_map *out, const nn_map *map)
{
    if (map->kind == NN_MAP_CONVOLUTION)
        return nn_map_convolution(out, map->in, map->out, &map->convolution);
    size_t rows = nn_shape_values(map->out), entries = map->sparse.row[rows];
    fhola_status status = allocate_sparse(out, map->in, map->out, entries);
    if (status != FHOLA_OK) return status;
    memcpy(out->sparse.row, map->sparse.row, (rows + 1) * sizeof *map->sparse.row);
    memcpy(out->sparse.column, map->sparse.column, entries * sizeof *map->sparse.column);
    memcpy(out->sparse.weight, map->sparse.weight, entries * sizeof *map->sparse.weight);
    return FHOLA_OK;
}

/* ---- simple maps ---- */

/* 1 x 1 on every channel by itself; the weights are to be set. */
static nn_convolution pointwise(nn_shape shape)
{
    return (nn_convolution){.in_channels = shape.channels,
                            .out_channels = shape.channels,
                            .groups = shape.channels,
                            .kernel_y = 1,
                            .kernel_x = 1,
                            .stride_y = 1,
                            .stride_x = 1,
                            .dilation_y = 1,
                            .dilation_x = 1};
}

static fhola_status scale_channels(nn_map *map, nn_shape shape, const double *factor, size_t step)
{
    nn_convolution c = pointwise(shape);
    c.weight = malloc(shape.channels * sizeof *c.weight);
    if (!c.weight) return fhola_fail(FHOLA_NOMEM, "no memory for %u channels", shape.channels);
    for (size_t k = 0; k < shape.channels; k++) c.weight[k] = factor[k * step];
    fhola_status status = nn_map_convolution(map, shape, shape, &c);
    free(c.weight);
    return status;
}

fhola_status nn_map_scaling(nn_map *map, nn_shape shape, double factor)
{
    return scale_channels(map, shape, &factor, 0);
}

fhola_status nn_map_diagonal(nn_map *map, nn_shape shape, const double *factor)
{
    size_t plane = (size_t)shape.height * shape.width, count = nn_shape_values(shape), k = 0;
    while (k < count && factor[k] == factor[k / plane * plane]) k++;
    if (k == count) return scale_channels(map, shape, factor, plane);
    fhola_status status = allocate_sparse(map, shape, shape, count);
    if (status != FHOLA_OK) return status;
    for (size_t r = 0; r < count; r++) {
        map->sparse.row[r + 1] = r + 1;
        map->sparse.column[r] = (uint32_t)r;
        map->sparse.weight[r] = factor[r];
    }
    return FHOLA_OK;
}

/* How a selection moves along one axis: place p of the result comes from first + p * stride. */
typedef struct stride {
    long first, step;
} stride;

static bool find_stride(stride *s, const uint32_t *index, size_t unit, size_t count, size_t divisor,
                        size_t modulus)
{
    s->first = (long)(index[0] / divisor % modulus);
    s->step = 1;
    if (count == 1) return true;
    s->step = (long)(index[unit] / divisor % modulus) - s->first;
    return s->step > 0;
}

/* A selection that takes whole channels (in any order), each by the same crop and stride. */
static bool select_is_regular(nn_convolution *c, uint32_t *from, nn_shape in, nn_shape out,
                              const uint32_t *index)
{
    stride y, x;
    size_t plane = (size_t)out.height * out.width, in_plane = (size_t)in.height * in.width;
    if (!find_stride(&y, index, out.width, out.height, in.width, in.height) ||
        !find_stride(&x, index, 1, out.width, 1, in.width))
        return false;
    for (size_t o = 0; o < out.channels; o++) {
        from[o] = index[o * plane] / (uint32_t)in_plane;
        for (size_t p = 0; p < plane; p++) {
            size_t place = from[o] * in_plane +
                           (size_t)(y.first + (long)(p / out.width) * y.step) * in.width +
                           (size_t)(x.first + (long)(p % out.width) * x.step);
            if (index[o * plane + p] != place) return false;
        }
    }
    *c = pointwise(out);
    c->stride_y = (unsigned)y.step;
    c->stride_x = (unsigned)x.step;
    c->pad_y = (int)-y.first;
    c->pad_x = (int)-x.first;
    return true;
}

static fhola_status select_channels(nn_map *map, nn_shape in, nn_shape out, nn_convolution *c,
                                    const uint32_t *from)
{
    size_t o = 0;
    while (o < out.channels && from[o] == from[0] + o) o++;
    bool slice = o == out.channels;
    size_t inputs = slice ? 1 : in.channels;
    if (slice) {
        c->in_first = from[0];
    } else {
        c->in_channels = in.channels;
        c->groups = 1;
    }
    c->weight = calloc(out.channels * inputs, sizeof *c->weight);
    if (!c->weight) return fhola_fail(FHOLA_NOMEM, "no memory for %u channels", out.channels);
    for (o = 0; o < out.channels; o++) c->weight[o * inputs + (slice ? 0 : from[o])] = 1;
    fhola_status status = nn_map_convolution(map, in, out, c);
    free(c->weight);
    return status;
}

fhola_status nn_map_select(nn_map *map, nn_shape in, nn_shape out, const uint32_t *index)
{
    size_t count = nn_shape_values(out);
    nn_convolution c;
    uint32_t *from = malloc((out.channels + 1) * sizeof *from);
    if (!from) return fhola_fail(FHOLA_NOMEM, "no memory for %u channels", out.channels);
    bool regular = select_is_regular(&c, from, in, out, index) &&
                   (size_t)in.channels * out.channels <= NN_MAP_MAX_WEIGHTS / 16;
    fhola_status status =
        regular ? select_channels(map, in, out, &c, from) : allocate_sparse(map, in, out, count);
    free(from);
    if (status != FHOLA_OK || regular) return status;
    for (size_t r = 0; r < count; r++) {
        map->sparse.row[r + 1] = r + 1;
        map->sparse.column[r] = index[r];
        map->sparse.weight[r] = 1;
    }
    return FHOLA_OK;
}

static int by_place(const void *a, const void *b)
{
    const nn_entry *left = a, *right = b;
    if (left->row != right->row) return left->row < right->row ? -1 : 1;
    if (left->column != right->column) return left->column < right->column ? -1 : 1;
    return left->weight < right->weight ? -1 : left->weight > right->weight;
}

fhola_status nn_map_from_entries(nn_map *map, nn_shape in, nn_shape out, const nn_entry *entries,
                                 size_t count)
{
    nn_map result;
    fhola_status status = allocate_sparse(&result, in, out, count);
    if (status != FHOLA_OK) return status;
    nn_entry *sorted = malloc((count + 1) * sizeof *sorted);
    if (!sorted) {
        nn_map_clear(&result);
        return fhola_fail(FHOLA_NOMEM, "no memory for a linear map of %zu entries", count);
    }
    if (count) memcpy(sorted, entries, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, by_place);
    size_t used = 0;
    for (size_t k = 0; k < count; k++) {
        bool again =
            k > 0 && sorted[k].row == sorted[k - 1].row && sorted[k].column == sorted[k - 1].column;
        if (again) {
            result.sparse.weight[used - 1] += sorted[k].weight;
            continue;
        }
        result.sparse.column[used] = sorted[k].column;
        result.sparse.weight[used++] = sorted[k].weight;
        result.sparse.row[sorted[k].row + 1]++;
    }
    free(sorted);
    for (size_t r = 0; r < nn_shape_values(out); r++)
        result.sparse.row[r + 1] += result.sparse.row[r];
    *map = result;
    return FHOLA_OK;
}

/* ---- applying ---- */

/* Adds weight * in, shifted and strided, to one output plane. */
static void add_shifted(double *out, nn_shape out_shape, const double *in, nn_shape in_shape,
                        const nn_convolution *c, unsigned ky, unsigned kx, double weight)
{
    for (size_t y = 0; y < out_shape.height; y++) {
        long from_y = (long)(y * c->stride_y + ky * c->dilation_y) - c->pad_y;
        if (from_y < 0 || from_y >= (long)in_shape.height) continue;
        const double *row = in + (size_t)from_y * in_shape.width;
        long shift = (long)(kx * c->dilation_x) - c->pad_x;
        for (size_t x = 0; x < out_shape.width; x++) {
            long from_x = (long)(x * c->stride_x) + shift;
            if (from_x >= 0 && from_x < (long)in_shape.width)
                out[y * out_shape.width + x] += weight * row[from_x];
        }
    }
}

static void add_convolution(double *out, const nn_map *map, const double *in)
{
    const nn_convolution *c = &map->convolution;
    size_t plane = (size_t)map->out.height * map->out.width,
           in_plane = (size_t)map->in.height * map->in.width;
    unsigned per_group = c->in_channels / c->groups, outs = c->out_channels / c->groups;
    const double *weight = c->weight;
    for (unsigned o = 0; o < c->out_channels; o++) {
        double *to = out + (c->out_first + o) * plane;
        const double *from = in + (c->in_first + (size_t)(o / outs) * per_group) * in_plane;
        for (unsigned i = 0; i < per_group; i++)
            for (unsigned ky = 0; ky < c->kernel_y; ky++)
                for (unsigned kx = 0; kx < c->kernel_x; kx++)
                    add_shifted(to, map->out, from + i * in_plane, map->in, c, ky, kx, *weight++);
    }
}

void nn_map_add(double *out, const nn_map *map, const double *in)
{
    if (map->kind == NN_MAP_CONVOLUTION) {
        add_convolution(out, map, in);
        return;
    }
    const nn_sparse *s = &map->sparse;
    for (size_t r = 0; r < nn_shape_values(map->out); r++)
        for (size_t k = s->row[r]; k < s->row[r + 1]; k++)
            out[r] += s->weight[k] * in[s->column[k]];
}

/* ---- looking at entries ---- */

/* Which tap reads place `in` for place `out`; false if none does. */
static bool find_tap(unsigned *tap, unsigned out, unsigned in, unsigned step, unsigned dilation,
                     unsigned kernel, int pad)
{
    long distance = (long)in + pad - (long)out * (long)step;
    if (distance < 0) return false;
    /* Most convolutions are not dilated: no division then. */
    if (dilation != 1) {
        if (distance % (long)dilation != 0) return false;
        distance /= (long)dilation;
    }
    *tap = (unsigned)distance;
    return distance < (long)kernel;
}

static double convolution_entry(const nn_convolution *c, nn_place o, nn_place i)
{
    unsigned ky, kx, per_group = c->in_channels, first = c->in_first;
    if (o.channel < c->out_first || o.channel - c->out_first >= c->out_channels) return 0;
    unsigned to = o.channel - c->out_first;
    if (c->groups != 1) {
        per_group /= c->groups;
        first += to / (c->out_channels / c->groups) * per_group;
    }
    if (i.channel < first || i.channel - first >= per_group) return 0;
    if (!find_tap(&ky, o.y, i.y, c->stride_y, c->dilation_y, c->kernel_y, c->pad_y) ||
        !find_tap(&kx, o.x, i.x, c->stride_x, c->dilation_x, c->kernel_x, c->pad_x))
        return 0;
    return c
        ->weight[(((size_t)to * per_group + i.channel - first) * c->kernel_y + ky) * c->kernel_x +
                 kx];
}

static size_t place_number(nn_shape shape, nn_place place)
{
    return ((size_t)place.channel * shape.height + place.y) * shape.width + place.x;
}

static nn_place place_of(nn_shape shape, size_t number)
{
    size_t row = number / shape.width;
    return (nn_place){(unsigned)(row / shape.height), (unsigned)(row % shape.height),
                      (unsigned)(number % shape.width)};
}

double nn_map_entry(const nn_map *map, nn_place o, nn_place i)
{
    if (map->kind == NN_MAP_CONVOLUTION) return convolution_entry(&map->convolution, o, i);
    const nn_sparse *s = &map->sparse;
    size_t row = place_number(map->out, o), column = place_number(map->in, i);
    size_t lo = s->row[row], hi = s->row[row + 1];
    while (lo < hi) {
        size_t middle = lo + (hi - lo) / 2;
        if (s->column[middle] < column)
            lo = middle + 1;
        else
            hi = middle;
    }
    return lo < s->row[row + 1] && s->column[lo] == column ? s->weight[lo] : 0;
}

/* The taps of one output place that lie within the input. */
static void visit_place(const nn_map *map, nn_place o, nn_map_visit *visit, void *arg)
{
    const nn_convolution *c = &map->convolution;
    unsigned per_group = c->in_channels / c->groups, to = o.channel - c->out_first;
    unsigned first = c->in_first + to / (c->out_channels / c->groups) * per_group;
    const double *weight = c->weight + (size_t)to * per_group * c->kernel_y * c->kernel_x;
    for (unsigned i = 0; i < per_group; i++)
        for (unsigned ky = 0; ky < c->kernel_y; ky++)
            for (unsigned kx = 0; kx < c->kernel_x; kx++, weight++) {
                long y = (long)(o.y * c->stride_y + ky * c->dilation_y) - c->pad_y,
                     x = (long)(o.x * c->stride_x + kx * c->dilation_x) - c->pad_x;
                if (y >= 0 && y < (long)map->in.height && x >= 0 && x < (long)map->in.width)
                    visit(arg, o, (nn_place){first + i, (unsigned)y, (unsigned)x}, *weight);
            }
}

void nn_map_for_each(const nn_map *map, nn_map_visit *visit, void *arg)
{
    if (map->kind == NN_MAP_CONVOLUTION) {
        const nn_convolution *c = &map->convolution;
        for (unsigned o = c->out_first; o < c->out_first + c->out_channels; o++)
            for (unsigned y = 0; y < map->out.height; y++)
                for (unsigned x = 0; x < map->out.width; x++)
                    visit_place(map, (nn_place){o, y, x}, visit, arg);
        return;
    }
    for (size_t r = 0; r < nn_shape_values(map->out); r++)
        for (size_t k = map->sparse.row[r]; k < map->sparse.row[r + 1]; k++)
            visit(arg, place_of(map->out, r), place_of(map->in, map->sparse.column[k]),
                  map->sparse.weight[k]);
}

/* Pairs of an output place and a tap within the input, along one axis. */
static size_t count_taps(unsigned out, unsigned in, unsigned step, unsigned dilation,
                         unsigned kernel, int pad)
{
    size_t count = 0;
    for (unsigned p = 0; p < out; p++)
        for (unsigned k = 0; k < kernel; k++) {
            long place = (long)(p * step + k * dilation) - pad;
            count += place >= 0 && place < (long)in;
        }
    return count;
}

size_t nn_map_entries(const nn_map *map)
{
    const nn_convolution *c = &map->convolution;
    if (map->kind == NN_MAP_SPARSE) return map->sparse.row[nn_shape_values(map->out)];
    return (size_t)c->out_channels * (c->in_channels / c->groups) *
           count_taps(map->out.height, map->in.height, c->stride_y, c->dilation_y, c->kernel_y,
                      c->pad_y) *
           count_taps(map->out.width, map->in.width, c->stride_x, c->dilation_x, c->kernel_x,
                      c->pad_x);
}

bool nn_map_is_identity(const nn_map *map)
{
    const nn_convolution *c = &map->convolution;
    if (map->kind != NN_MAP_CONVOLUTION || !nn_shape_equal(map->in, map->out) ||
        c->groups != map->in.channels || c->out_channels != c->groups || c->in_first > 0 ||
        c->out_first > 0 || c->kernel_y > 1 || c->kernel_x > 1 || c->stride_y > 1 ||
        c->stride_x > 1 || c->pad_y != 0 || c->pad_x != 0)
        return false;
    for (unsigned k = 0; k < c->groups; k++)
        if (c->weight[k] != 1) return false;
    return true;
}

static size_t lesser(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Distinct differences of column and row of a sparse map. */
static size_t count_differences(const nn_map *map)
{
    size_t rows = nn_shape_values(map->out), columns = nn_shape_values(map->in), count = 0;
    unsigned char *seen = calloc(rows + columns, 1);
    if (!seen) return lesser(rows, columns);
    for (size_t r = 0; r < rows; r++)
        for (size_t k = map->sparse.row[r]; k < map->sparse.row[r + 1]; k++) {
            size_t difference = map->sparse.column[k] + rows - r;
            count += !seen[difference];
            seen[difference] = 1;
        }
    free(seen);
    return lesser(count, lesser(rows, columns));
}

size_t nn_map_cost(const nn_map *map)
{
    const nn_convolution *c = &map->convolution;
    if (map->kind == NN_MAP_SPARSE) return count_differences(map);
    unsigned ins = c->in_channels / c->groups, outs = c->out_channels / c->groups;
    return lesser((size_t)c->kernel_y * c->kernel_x * (ins > outs ? ins : outs),
                  lesser(nn_shape_values(map->in), nn_shape_values(map->out)));
}
