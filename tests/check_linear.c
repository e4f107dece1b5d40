/* SPDX-License-Identifier: Apache-2.0 */
/* Linear maps of every kind between layouts of every kind: their diagonals applied to a slot
 * vector, with the folds behind them, against the map itself on tensors, and how many there are. */
#include "nn/encrypted/linear.h"

#include "tests/slots_support.h"

/* ---- layouts ---- */

/* `shape` on the grid of a tensor whose sides are `gap` times as long. */
static nn_layout on_grid(nn_shape shape, unsigned gap)
{
    nn_layout large, l;
    nn_shape big = {1, shape.height * gap, shape.width * gap};
    nn_map map = {.kind = NN_MAP_CONVOLUTION, .in = big, .out = shape};
    map.convolution.stride_y = map.convolution.stride_x = gap;
    ck_assert_ok(nn_layout_fresh(&large, big, NN_MAX_SLOTS, "big"));
    if (gap == 1 || !nn_layout_behind(&l, large, &map))
        ck_assert_ok(nn_layout_fresh(&l, shape, NN_MAX_SLOTS, "x"));
    return l;
}

/* ---- a map, applied ---- */

/* What bootstraps make of slots: halves of a single part added, copies averaged, against the
 * tensor; padding slots hold 0. */
static void compare_bootstraps(nn_layout layout, slot_parts slots, const double *tensor)
{
    double worst = 0;
    for (unsigned k = 0; k < nn_layout_bootstraps(layout); k++) {
        nn_rows rows = nn_layout_rows(layout, k);
        for (uint32_t j = 0; j < rows.count; j++) {
            ckks_complex sum = bootstrapped(layout, k, slots[k], j);
            double re = slot_value(layout, rows.first, tensor, j),
                   im = slot_value(layout, rows.second, tensor, j + rows.offset);
            worst = fmax(worst, fmax(fabs(sum.re - re), fabs(sum.im - im)));
        }
    }
    ck_assert_msg(worst < 1e-9, "worst difference %g", worst);
}

static void compare_rows(nn_layout layout, const ckks_complex *slots, const double *tensor)
{
    for (uint32_t s = 0; s < SLOTS; s++) {
        ck_assert_double_eq_tol(slots[s].re, slot_value(layout, 0, tensor, s), 1e-9);
        ck_assert_double_eq(slots[s].im, 0);
    }
}

/* What the map makes of every picture of a batch. */
static void apply_to_pictures(double *result, const nn_map *map, double *tensor, unsigned pictures,
                              const double *in_scale, const double *out_scale)
{
    size_t inputs = nn_shape_values(map->in), outputs = nn_shape_values(map->out);
    for (unsigned p = 0; p < pictures; p++) {
        double *x = tensor + p * inputs, *y = result + p * outputs;
        for (size_t k = 0; k < inputs; k++)
            x[k] *= in_scale[k / ((size_t)map->in.height * map->in.width)];
        nn_map_add(y, map, x);
        for (size_t k = 0; k < outputs; k++)
            y[k] /= out_scale[k / ((size_t)map->out.height * map->out.width)];
    }
}

/* Diagonals that are kept as one have the same factor for every slot of the input, and the same
 * rotation of it. */
static void check_same(nn_linear *l)
{
    static ckks_complex diagonal[SLOTS], same[SLOTS];
    size_t distinct = 0;
    for (size_t i = 0; i < l->count; i++) {
        size_t j = l->same[i];
        uint32_t further = (uint32_t)(l->offset[j] - l->offset[i]);
        distinct += j == i;
        if (j == i || i % 5) continue; /* they take their time */
        ck_assert_uint_eq(l->same[j], j);
        ck_assert_uint_eq(further % l->baby_step, 0);
        (void)nn_linear_diagonal(l, l->block[i], l->offset[i], diagonal);
        (void)nn_linear_diagonal(l, l->block[j], l->offset[j], same);
        for (uint32_t s = 0; s < l->period; s++) {
            ckks_complex other = same[(s - further) & (l->period - 1)];
            ck_assert(diagonal[s].re == other.re && diagonal[s].im == other.im);
        }
    }
    ck_assert_uint_eq(l->distinct, distinct);
}

/* Returns the number of diagonals. */
static size_t check_map(const char *name, const nn_map *map, nn_layout in, nn_layout out,
                        nn_linear_target target)
{
    static slot_parts x, y;
    size_t inputs = nn_shape_values(map->in), outputs = nn_shape_values(map->out);
    unsigned pictures = in.pictures;
    double *tensor = random_vector(pictures * inputs),
           *result = calloc(pictures * outputs, sizeof *result),
           *in_scale = random_vector(map->in.channels),
           *out_scale = random_vector(map->out.channels);
    ck_assert_ptr_nonnull(result);
    for (unsigned c = 0; c < map->in.channels; c++) in_scale[c] += 2;
    for (unsigned c = 0; c < map->out.channels; c++) out_scale[c] += 2;
    nn_linear l;
    ck_assert_ok(nn_linear_init(&l, map, in, out, target, in_scale, out_scale, name));
    fill_slots(in, x, tensor);
    apply_to_pictures(result, map, tensor, pictures, in_scale, out_scale);
    apply_linear(&l, y, x);
    check_same(&l);
    for (unsigned p = 0; target == NN_LINEAR_SCORES && p < pictures; p++)
        compare_rows(out, y[p], result + p * outputs);
    if (target == NN_LINEAR_BOOTSTRAP) compare_bootstraps(out, y, result);
    printf("%-22s %4zu diagonals of %5u, %4zu kept, step %4u, %3u babies + %3u giants, %u folds\n",
           name, l.count, (unsigned)l.period, l.distinct, (unsigned)l.baby_step, l.babies, l.giants,
           l.folds);
    size_t count = l.count;
    nn_linear_clear(&l);
    free(tensor);
    free(result);
    free(in_scale);
    free(out_scale);
    return count;
}

/* ---- convolutions ---- */

typedef struct geometry {
    const char *name;
    nn_shape in, out;
    unsigned gap; /* of the input */
    unsigned groups, kernel_y, kernel_x, stride, dilation;
    int pad_y, pad_x;
    size_t diagonals; /* 0: not said */
} geometry;

/* Those of a CIFAR ResNet. With b blocks in `span` slots and kernel shifts s, t (rows, columns) of
 * the grid: b times the number of (s, t). First layer: 4 blocks, 3 x 3 shifts; stages: 8, 4, 2
 * blocks, shifts -(2g - 1) .. 2g - 1; stride 2: half the output's blocks, shifts -(3g - 1) .. 2g -
 * 1, or -(2g - 1) .. g - 1 with a 1 x 1 kernel. */
static const geometry convolutions[] = {
    {"first", {3, 32, 32}, {16, 32, 32}, 1, 1, 3, 3, 1, 1, 1, 1, 4 * 3 * 3},
    {"stage 1", {16, 32, 32}, {16, 32, 32}, 1, 1, 3, 3, 1, 1, 1, 1, 8 * 3 * 3},
    {"down 1", {16, 32, 32}, {32, 16, 16}, 1, 1, 3, 3, 2, 1, 1, 1, 4 * 4 * 4},
    {"stage 2", {32, 16, 16}, {32, 16, 16}, 2, 1, 3, 3, 1, 1, 1, 1, 4 * 7 * 7},
    {"down 2", {32, 16, 16}, {64, 8, 8}, 2, 1, 3, 3, 2, 1, 1, 1, 2 * 9 * 9},
    {"stage 3", {64, 8, 8}, {64, 8, 8}, 4, 1, 3, 3, 1, 1, 1, 1, 2 * 15 * 15},
    {"project 1", {16, 32, 32}, {32, 16, 16}, 1, 1, 1, 1, 2, 1, 0, 0, 4 * 2 * 2},
    {"project 2", {32, 16, 16}, {64, 8, 8}, 2, 1, 1, 1, 2, 1, 0, 0, 2 * 5 * 5},
    {"identity", {16, 32, 32}, {16, 32, 32}, 1, 16, 1, 1, 1, 1, 0, 0, 1},
    {"identity of a vector", {100, 1, 1}, {100, 1, 1}, 1, 100, 1, 1, 1, 1, 0, 0, 1},
    {"depthwise", {16, 32, 32}, {16, 32, 32}, 1, 16, 3, 3, 1, 1, 1, 1, 9},
    {"depthwise stride 2", {16, 32, 32}, {16, 16, 16}, 1, 16, 3, 3, 2, 1, 1, 1, 0},
    {"groups", {16, 16, 16}, {24, 16, 16}, 2, 4, 3, 3, 1, 1, 1, 1, 0},
    {"valid 5 x 5", {1, 28, 28}, {6, 24, 24}, 1, 1, 5, 5, 1, 1, 0, 0, 0},
    {"valid behind a pool", {6, 12, 12}, {16, 8, 8}, 2, 1, 5, 5, 1, 1, 0, 0, 0},
    {"dilated", {8, 16, 16}, {8, 16, 16}, 1, 1, 3, 3, 1, 2, 2, 2, 0},
    {"stride 3", {4, 30, 30}, {12, 10, 10}, 1, 1, 3, 3, 3, 1, 0, 0, 0},
    {"stride 4, 11 x 11", {3, 63, 63}, {8, 14, 14}, 1, 1, 11, 11, 4, 1, 0, 0, 0},
    {"rectangle", {2, 20, 48}, {4, 20, 48}, 1, 1, 3, 5, 1, 1, 1, 2, 0},
    {"one row", {2, 1, 60}, {4, 1, 60}, 1, 1, 1, 7, 1, 1, 0, 3, 0},
    {"padded to more", {2, 28, 28}, {4, 34, 34}, 1, 1, 3, 3, 1, 1, 4, 4, 0},
    {"cropped", {4, 16, 16}, {4, 10, 10}, 1, 4, 1, 1, 1, 1, -3, -3, 0},
    {"kernel beyond the side", {8, 4, 4}, {8, 4, 4}, 1, 1, 7, 7, 1, 1, 3, 3, 0},
    {"colour of 64", {3, 64, 64}, {8, 32, 32}, 1, 1, 3, 3, 2, 1, 1, 1, 0},
    {"no grid has room", {20, 24, 24}, {20, 24, 24}, 1, 20, 3, 3, 1, 1, 1, 1, 9},
};

static nn_map make_convolution(const geometry *g)
{
    nn_map map;
    nn_convolution c = {.in_channels = g->in.channels,
                        .out_channels = g->out.channels,
                        .groups = g->groups,
                        .kernel_y = g->kernel_y,
                        .kernel_x = g->kernel_x,
                        .stride_y = g->stride,
                        .stride_x = g->stride,
                        .dilation_y = g->dilation,
                        .dilation_x = g->dilation,
                        .pad_y = g->pad_y,
                        .pad_x = g->pad_x};
    c.weight = random_vector(nn_convolution_weights(&c));
    ck_assert_ok(nn_map_convolution(&map, g->in, g->out, &c));
    free(c.weight);
    return map;
}

START_TEST(convolution)
{
    const geometry *g = &convolutions[_i];
    nn_map map = make_convolution(g);
    nn_layout in = on_grid(g->in, g->gap), out;
    if (!nn_layout_behind(&out, in, &map))
        ck_assert_ok(nn_layout_fresh(&out, g->out, NN_MAX_SLOTS, g->name));
    size_t count = check_map(g->name, &map, in, out, NN_LINEAR_BOOTSTRAP);
    if (g->diagonals) ck_assert_uint_eq(count, g->diagonals);
    nn_map_clear(&map);
}
END_TEST

/* The same map, with its result in a layout that has nothing to do with its input's. */
START_TEST(other_layout)
{
    const geometry g = {"relaid", {8, 16, 16}, {8, 8, 8}, 2, 1, 3, 3, 2, 1, 1, 1, 0};
    nn_map map = make_convolution(&g);
    nn_layout out;
    ck_assert_ok(nn_layout_fresh(&out, g.out, NN_MAX_SLOTS, g.name));
    (void)check_map(g.name, &map, on_grid(g.in, g.gap), out, NN_LINEAR_BOOTSTRAP);
    nn_map_clear(&map);
}
END_TEST

/* A part of the channels of the result from a part of those of the input. */
START_TEST(concatenation)
{
    nn_map map;
    nn_shape in = {8, 16, 16}, out = {24, 16, 16};
    nn_convolution c = {.in_first = 2,
                        .in_channels = 4,
                        .out_first = 12,
                        .out_channels = 4,
                        .groups = 4,
                        .kernel_y = 1,
                        .kernel_x = 1,
                        .stride_y = 1,
                        .stride_x = 1,
                        .dilation_y = 1,
                        .dilation_x = 1,
                        .weight = random_vector(4)};
    ck_assert_ok(nn_map_convolution(&map, in, out, &c));
    ck_assert_uint_eq(check_map("part", &map, on_grid(in, 1), on_grid(out, 1), NN_LINEAR_BOOTSTRAP),
                      1);
    ck_assert_uint_le(
        check_map("part, gap 2", &map, on_grid(in, 2), on_grid(out, 2), NN_LINEAR_BOOTSTRAP), 4);
    nn_map_clear(&map);
    free(c.weight);
}
END_TEST

/* ---- fully connected layers ---- */

static nn_map make_dense(nn_shape in, unsigned count)
{
    const geometry g = {.in = in,
                        .out = {count, 1, 1},
                        .groups = 1,
                        .kernel_y = in.height,
                        .kernel_x = in.width,
                        .stride = 1,
                        .dilation = 1};
    return make_convolution(&g);
}

static const struct {
    nn_shape in;
    unsigned gap, count;
    size_t most; /* diagonals: a power of two from the rows */
} dense[] = {{{64, 8, 8}, 4, 10, 16},   {{64, 8, 8}, 4, 16, 16},     {{64, 8, 8}, 4, 17, 32},
             {{64, 8, 8}, 4, 100, 128}, {{64, 8, 8}, 4, 1000, 1024}, {{1, 28, 28}, 1, 64, 64},
             {{784, 1, 1}, 1, 64, 64},  {{64, 1, 1}, 1, 64, 64},     {{64, 1, 1}, 1, 10, 16},
             {{3, 1, 1}, 1, 10, 4},     {{3, 1, 1}, 1, 3000, 4},     {{16, 32, 32}, 1, 64, 64},
             {{16, 5, 5}, 4, 120, 128}};

START_TEST(fully_connected)
{
    nn_map map = make_dense(dense[_i].in, dense[_i].count);
    nn_layout in = on_grid(dense[_i].in, dense[_i].gap), out;
    ck_assert_ok(nn_layout_fresh(&out, map.out, NN_MAX_SLOTS, "hidden"));
    size_t hidden = check_map("hidden", &map, in, out, NN_LINEAR_BOOTSTRAP);
    ck_assert_uint_le(hidden, dense[_i].most);
    if (dense[_i].count <= 1000) {
        out = nn_layout_scores(dense[_i].count);
        ck_assert_uint_le(check_map("scores", &map, in, out, NN_LINEAR_SCORES), dense[_i].most);
    }
    nn_map_clear(&map);
}
END_TEST

/* A vector that becomes a picture. */
START_TEST(fully_connected_to_picture)
{
    nn_shape in = {20, 1, 1}, out = {2, 8, 8};
    size_t count = 20 * 128;
    nn_entry *entry = calloc(count, sizeof *entry);
    ck_assert_ptr_nonnull(entry);
    for (size_t k = 0; k < count; k++)
        entry[k] = (nn_entry){(uint32_t)(k / 20), (uint32_t)(k % 20), random_unit()};
    nn_map map;
    ck_assert_ok(nn_map_from_entries(&map, in, out, entry, count));
    (void)check_map("to a picture", &map, on_grid(in, 1), on_grid(out, 1), NN_LINEAR_BOOTSTRAP);
    nn_map_clear(&map);
    free(entry);
}
END_TEST

/* ---- several ciphertexts, of 4,096 slots ---- */

/* With p parts in, q parts out and the diagonals of a block as above, of which a pair has twice as
 * many as a part alone: 5 to 5 parts of 4 channels have 5 (7 + 7 + 4 / 2) channel distances. */
static const geometry large[] = {
    {"5 parts to 5", {20, 32, 32}, {20, 32, 32}, 1, 1, 3, 3, 1, 1, 1, 1, 5 * (4 + 4 + 2) * 9},
    {"3 parts to 2", {12, 32, 32}, {8, 32, 32}, 1, 1, 3, 3, 1, 1, 1, 1, 3 * 4 * 9},
    {"2 parts to 1", {8, 32, 32}, {4, 32, 32}, 1, 1, 3, 3, 1, 1, 1, 1, 2 * 2 * 9},
    {"1 part to 3", {4, 32, 32}, {11, 32, 32}, 1, 1, 3, 3, 1, 1, 1, 1, (4 + 2) * 9},
    {"a little to 3 parts", {1, 32, 32}, {9, 32, 32}, 1, 1, 3, 3, 1, 1, 1, 1, (1 + 1) * 9},
    {"stride 2, 4 parts to 2", {16, 32, 32}, {32, 16, 16}, 1, 1, 3, 3, 2, 1, 1, 1, 0},
    {"stride 2, 5 parts to 3", {20, 32, 32}, {40, 16, 16}, 1, 1, 3, 3, 2, 1, 1, 1, 0},
    {"identity of 3 parts", {12, 32, 32}, {12, 32, 32}, 1, 12, 1, 1, 1, 1, 0, 0, 3},
    {"depthwise, 3 parts", {12, 32, 32}, {12, 32, 32}, 1, 12, 3, 3, 1, 1, 1, 1, 3 * 9},
    {"rows without room", {7, 33, 33}, {7, 33, 33}, 1, 1, 3, 3, 1, 1, 1, 1, 0},
};

START_TEST(several_ciphertexts)
{
    const geometry *g = &large[_i];
    nn_map map = make_convolution(g);
    nn_layout in, out;
    ck_assert_ok(nn_layout_fresh(&in, g->in, 4096, g->name));
    if (!nn_layout_behind(&out, in, &map))
        ck_assert_ok(nn_layout_fresh(&out, g->out, 4096, g->name));
    ck_assert_uint_gt(in.parts + out.parts, 2);
    size_t count = check_map(g->name, &map, in, out, NN_LINEAR_BOOTSTRAP);
    if (g->diagonals) ck_assert_uint_eq(count, g->diagonals);
    nn_map_clear(&map);
}
END_TEST

static const struct {
    nn_shape in;
    unsigned count;
} large_dense[] = {{{20, 32, 32}, 10}, {{12, 32, 32}, 100}, {{30, 1, 1}, 5000}, {{9000, 1, 1}, 20}};

START_TEST(several_ciphertexts_fully_connected)
{
    nn_map map = make_dense(large_dense[_i].in, large_dense[_i].count);
    nn_layout in, out;
    ck_assert_ok(nn_layout_fresh(&in, map.in, 4096, "x"));
    ck_assert_ok(nn_layout_fresh(&out, map.out, 4096, "hidden"));
    (void)check_map("hidden", &map, in, out, NN_LINEAR_BOOTSTRAP);
    if (map.out.channels <= 300)
        (void)check_map("scores", &map, in, nn_layout_scores(map.out.channels), NN_LINEAR_SCORES);
    nn_map_clear(&map);
}
END_TEST

/* ---- batches of pictures ---- */

typedef enum arrangement {
    BATCH, /* as a bootstrap leaves them */
    FRESH  /* as they come from their owner */
} arrangement;

/* Of two pictures twice the diagonals of one, which has the half trick; of four, where pictures are
 * beside each other, a diagonal that would lead from one to the next is two. */
static const struct {
    geometry g;
    arrangement in;
    size_t couple, four; /* diagonals of 2 and of 4 pictures; 0: not said */
} batched[] = {
    {{"first", {3, 32, 32}, {16, 32, 32}, 1, 1, 3, 3, 1, 1, 1, 1, 0}, FRESH, 36, 2 * 36},
    {{"first, together", {3, 32, 32}, {16, 32, 32}, 1, 1, 3, 3, 1, 1, 1, 1, 0}, BATCH, 0, 0},
    {{"stage 1", {16, 32, 32}, {16, 32, 32}, 1, 1, 3, 3, 1, 1, 1, 1, 0}, BATCH, 144, 2 * 144},
    {{"down 1", {16, 32, 32}, {32, 16, 16}, 1, 1, 3, 3, 2, 1, 1, 1, 0}, BATCH, 128, 4 * 128},
    {{"stage 2", {32, 16, 16}, {32, 16, 16}, 2, 1, 3, 3, 1, 1, 1, 1, 0}, BATCH, 392, 735},
    {{"down 2", {32, 16, 16}, {64, 8, 8}, 2, 1, 3, 3, 2, 1, 1, 1, 0}, BATCH, 0, 0},
    {{"stage 3", {64, 8, 8}, {64, 8, 8}, 4, 1, 3, 3, 1, 1, 1, 1, 0}, BATCH, 900, 1575},
    {{"project 1", {16, 32, 32}, {32, 16, 16}, 1, 1, 1, 1, 2, 1, 0, 0, 0}, BATCH, 0, 0},
    {{"identity", {32, 16, 16}, {32, 16, 16}, 2, 32, 1, 1, 1, 1, 0, 0, 0}, BATCH, 1, 1},
    {{"larger", {8, 16, 16}, {64, 16, 16}, 1, 1, 3, 3, 1, 1, 1, 1, 0}, BATCH, 0, 0},
    {{"stride 3", {4, 30, 30}, {12, 10, 10}, 1, 1, 3, 3, 3, 1, 0, 0, 0}, BATCH, 0, 0},
    {{"two ciphertexts", {20, 32, 32}, {20, 32, 32}, 1, 20, 3, 3, 1, 1, 1, 1, 0}, BATCH, 18, 36},
    {{"from two to one", {20, 32, 32}, {20, 16, 16}, 1, 20, 3, 3, 2, 1, 1, 1, 0}, BATCH, 0, 0},
};

static nn_layout arranged(nn_layout one, unsigned pictures, arrangement how)
{
    return how == BATCH ? nn_layout_batch(one, pictures) : nn_layout_apart(one, pictures);
}

START_TEST(convolution_of_a_batch)
{
    const geometry *g = &batched[_i].g;
    nn_map map = make_convolution(g);
    nn_layout in = on_grid(g->in, g->gap), out;
    if (!nn_layout_behind(&out, in, &map))
        ck_assert_ok(nn_layout_fresh(&out, g->out, NN_MAX_SLOTS, g->name));
    for (unsigned pictures = 2; pictures <= 8; pictures *= 2) {
        nn_layout from = arranged(in, pictures, batched[_i].in),
                  to = nn_layout_batch(out, pictures);
        if (from.parts > MOST_PARTS || to.parts > MOST_PARTS) continue;
        size_t count = check_map(g->name, &map, from, to, NN_LINEAR_BOOTSTRAP);
        if (pictures == 2 && batched[_i].couple) ck_assert_uint_eq(count, batched[_i].couple);
        if (pictures == 4 && batched[_i].four) ck_assert_uint_eq(count, batched[_i].four);
    }
    nn_map_clear(&map);
}
END_TEST

START_TEST(fully_connected_of_a_batch)
{
    nn_map map = make_dense(dense[_i].in, dense[_i].count);
    nn_layout in = on_grid(dense[_i].in, dense[_i].gap), out;
    ck_assert_ok(nn_layout_fresh(&out, map.out, NN_MAX_SLOTS, "hidden"));
    for (unsigned k = 0; k < 4; k++) {
        unsigned pictures = 2u << k / 2;
        nn_layout from = arranged(in, pictures, k % 2 ? BATCH : FRESH);
        (void)check_map("hidden", &map, from, nn_layout_batch(out, pictures), NN_LINEAR_BOOTSTRAP);
        if (dense[_i].count <= 1000)
            (void)check_map("scores", &map, from, nn_layout_scores(dense[_i].count),
                            NN_LINEAR_SCORES);
    }
    nn_map_clear(&map);
}
END_TEST

/* ---- anything else ---- */

/* Rows and columns exchanged. */
START_TEST(transpose)
{
    nn_shape in = {4, 16, 8}, out = {4, 8, 16};
    uint32_t index[512];
    for (uint32_t k = 0; k < 512; k++) index[k] = k / 128 * 128 + k % 16 * 8 + k / 16 % 8;
    nn_map map;
    ck_assert_ok(nn_map_select(&map, in, out, index));
    (void)check_map("transpose", &map, on_grid(in, 1), on_grid(out, 1), NN_LINEAR_BOOTSTRAP);
    nn_map_clear(&map);
}
END_TEST

START_TEST(no_entries)
{
    nn_map map;
    nn_shape shape = {4, 8, 8};
    ck_assert_ok(nn_map_from_entries(&map, shape, shape, NULL, 0));
    ck_assert_uint_eq(
        check_map("nothing", &map, on_grid(shape, 1), on_grid(shape, 1), NN_LINEAR_BOOTSTRAP), 1);
    nn_map_clear(&map);
}
END_TEST

START_TEST(too_many_diagonals)
{
    const double one = 1;
    nn_shape shape = {1, 128, 128};
    nn_entry *entry = calloc(8192, sizeof *entry);
    ck_assert_ptr_nonnull(entry);
    for (uint32_t k = 0; k < 8192; k++) entry[k] = (nn_entry){k, 2 * k, 1};
    nn_map map;
    nn_linear l;
    ck_assert_ok(nn_map_from_entries(&map, shape, shape, entry, 8192));
    ck_assert_fails(nn_linear_init(&l, &map, on_grid(shape, 1), on_grid(shape, 1),
                                   NN_LINEAR_BOOTSTRAP, &one, &one, "the wide layer"),
                    FHOLA_PARAM);
    ck_assert_ptr_nonnull(strstr(fhola_detail(), "the wide layer: "));
    ck_assert_ptr_null(l.offset);
    nn_map_clear(&map);
    free(entry);
}
END_TEST

static void add_tests(TCase *tcase)
{
    tcase_add_loop_test(tcase, convolution, 0, sizeof convolutions / sizeof convolutions[0]);
    tcase_add_test(tcase, other_layout);
    tcase_add_test(tcase, concatenation);
    tcase_add_loop_test(tcase, fully_connected, 0, sizeof dense / sizeof dense[0]);
    tcase_add_test(tcase, fully_connected_to_picture);
    tcase_add_loop_test(tcase, several_ciphertexts, 0, sizeof large / sizeof large[0]);
    tcase_add_loop_test(tcase, several_ciphertexts_fully_connected, 0,
                        sizeof large_dense / sizeof large_dense[0]);
    tcase_add_loop_test(tcase, convolution_of_a_batch, 0, sizeof batched / sizeof batched[0]);
    tcase_add_loop_test(tcase, fully_connected_of_a_batch, 0, sizeof dense / sizeof dense[0]);
    tcase_add_test(tcase, transpose);
    tcase_add_test(tcase, no_entries);
    tcase_add_test(tcase, too_many_diagonals);
}

int main(void)
{
    test_seed(20240817);
    return test_run("linear", add_tests, 120);
}
