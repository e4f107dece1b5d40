/* SPDX-License-Identifier: Apache-2.0 */
/* Layouts: every value has a slot of its own, on the grid one expects; what fits and what does
 * not. Linear maps between them: check_linear. */
#include "nn/encrypted/layout.h"

#include "tests/slots_support.h"

/* Every place of a picture comes back from its slot, of which no other place is. */
static void check_picture(nn_layout l, unsigned picture, unsigned char taken[MOST_PARTS][SLOTS])
{
    nn_place p;
    for (unsigned c = 0; c < l.shape.channels; c++)
        for (unsigned y = 0; y < l.shape.height; y++)
            for (unsigned x = 0; x < l.shape.width; x++) {
                uint32_t slot = nn_layout_slot(l, picture, (nn_place){c, y, x});
                unsigned part = nn_layout_part(l, picture, c);
                ck_assert(slot < l.period && part < l.parts);
                ck_assert(!taken[part][slot]);
                taken[part][slot] = 1;
                ck_assert(nn_layout_place(&p, l, part, slot) && p.channel == c && p.y == y &&
                          p.x == x);
                ck_assert(nn_layout_place(&p, l, part, slot + l.period) && p.channel == c);
                ck_assert_uint_eq(nn_layout_picture(l, part, slot), picture);
            }
}

/* A walk finds the same places, in order, back and forth, and beyond the period. */
static void check_walk(nn_layout l, unsigned part)
{
    nn_walk walk = nn_layout_walk(&l, part);
    for (uint32_t s = 0; s < 2 * l.period; s++) {
        nn_place p, q;
        uint32_t slot = random_word() % 16 == 0 ? (uint32_t)(random_word() % (2 * l.period)) : s;
        ck_assert_int_eq(nn_walk_place(&p, &walk, slot), nn_layout_place(&q, l, part, slot));
        ck_assert(p.channel == q.channel && p.y == q.y && p.x == q.x);
    }
}

/* All other slots are padding. */
static void check_layout(nn_layout l)
{
    static unsigned char taken[MOST_PARTS][SLOTS];
    nn_place p;
    memset(taken, 0, sizeof taken);
    ck_assert_uint_le(l.parts, MOST_PARTS);
    for (unsigned picture = 0; picture < l.pictures; picture++) check_picture(l, picture, taken);
    for (unsigned k = 0; k < l.parts; k++)
        for (uint32_t s = 0; s < l.period; s++)
            ck_assert_int_eq(nn_layout_place(&p, l, k, s), taken[k][s]);
    for (unsigned k = 0; k < l.parts; k++) check_walk(l, k);
    ck_assert(l.parts == 1 || l.period == l.room || l.pictures > 1);
    ck_assert(l.period <= l.slots && l.slots <= NN_MAX_SLOTS);
    ck_assert_uint_eq(l.period & (l.period - 1), 0);
}

static const struct {
    nn_shape shape;
    unsigned pitch, block;
    uint32_t period;
} fresh_layouts[] = {
    {{3, 32, 32}, 32, 1024, 4096},  {{16, 32, 32}, 32, 1024, 16384},
    {{1, 28, 28}, 32, 1024, 1024},  {{3, 64, 64}, 64, 4096, 16384},
    {{1, 1, 1}, 1, 1, 1},           {{10, 1, 1}, 1, 1, 16},
    {{784, 1, 1}, 1, 1, 1024},      {{16384, 1, 1}, 1, 1, 16384},
    {{2, 20, 48}, 64, 2048, 4096},  {{1, 1, 100}, 128, 128, 128},
    {{20, 24, 24}, 24, 576, 16384}, {{1, 128, 128}, 128, 16384, 16384},
    {{5, 57, 57}, 57, 3249, 16384},
};

START_TEST(fresh)
{
    nn_layout l;
    ck_assert_ok(nn_layout_fresh(&l, fresh_layouts[_i].shape, NN_MAX_SLOTS, "x"));
    ck_assert_uint_eq(l.pitch, fresh_layouts[_i].pitch);
    ck_assert_uint_eq(l.block, fresh_layouts[_i].block);
    ck_assert_uint_eq(l.period, fresh_layouts[_i].period);
    ck_assert_uint_ge(l.slots, NN_MIN_SLOTS);
    check_layout(l);
}
END_TEST

START_TEST(too_large)
{
    nn_layout l;
    ck_assert_fails(nn_layout_fresh(&l, (nn_shape){1, 128, 129}, 1 << 15, "conv7"), FHOLA_PARAM);
    ck_assert_str_eq(fhola_detail(), "conv7: a channel of 128 x 129 values is more than the 16384 "
                                     "that fit into one ciphertext");
    ck_assert_fails(nn_layout_fresh(&l, (nn_shape){4, 64, 65}, 4096, "conv7"), FHOLA_PARAM);
}
END_TEST

/* Several ciphertexts: whole channels, as many as fit; on grids of powers of two unless a channel
 * does not fit so. */
static const struct {
    nn_shape shape;
    size_t slots;
    unsigned pitch, blocks, parts, bootstraps;
} large_layouts[] = {
    {{16, 64, 64}, 1 << 14, 64, 4, 4, 2},   {{17, 32, 32}, 1 << 14, 32, 16, 2, 1},
    {{5, 64, 65}, 1 << 15, 128, 2, 3, 2},   {{40, 24, 24}, 1 << 14, 32, 16, 3, 2},
    {{3, 100, 150}, 1 << 14, 150, 1, 3, 2}, {{40000, 1, 1}, 1 << 14, 1, 16384, 3, 2},
    {{20, 32, 32}, 4096, 32, 4, 5, 3},      {{4097, 1, 1}, 4096, 1, 4096, 2, 1},
};

START_TEST(several_parts)
{
    nn_layout l;
    ck_assert_ok(nn_layout_fresh(&l, large_layouts[_i].shape, large_layouts[_i].slots, "x"));
    ck_assert_uint_eq(l.pitch, large_layouts[_i].pitch);
    ck_assert_uint_eq(l.blocks, large_layouts[_i].blocks);
    ck_assert_uint_eq(l.parts, large_layouts[_i].parts);
    ck_assert_uint_eq(nn_layout_bootstraps(l), large_layouts[_i].bootstraps);
    check_layout(l);
}
END_TEST

/* A stride takes as many ciphertexts as the values need, on the grid of its input. */
START_TEST(fewer_parts_behind)
{
    nn_layout in, out;
    nn_map map = {.kind = NN_MAP_CONVOLUTION,
                  .in = {20, 32, 32},
                  .out = {40, 16, 16},
                  .convolution = {.stride_y = 2, .stride_x = 2}};
    ck_assert_ok(nn_layout_fresh(&in, map.in, 4096, "x"));
    ck_assert(nn_layout_behind(&out, in, &map));
    ck_assert(out.gap_x == 2 && out.pitch == 32);
    ck_assert_uint_eq(out.parts, 3);
    check_layout(out);
    /* on the grid of 32 these take two ciphertexts more than on a fresh one: not behind one */
    map.out = (nn_shape){17, 15, 15};
    map.convolution.stride_y = map.convolution.stride_x = 1;
    ck_assert(nn_layout_behind(&out, in, &map));
    ck_assert_uint_eq(out.parts, 3);
    check_layout(out);
    map.in = (nn_shape){4, 32, 32};
    ck_assert_ok(nn_layout_fresh(&in, map.in, 4096, "x"));
    ck_assert(!nn_layout_behind(&out, in, &map));
}
END_TEST

/* What comes behind a convolution of this stride; gap 0: it gets no layout. */
static const struct {
    nn_shape in, out;
    unsigned stride, gap;
    uint32_t period;
} behind_layouts[] = {
    {{16, 32, 32}, {32, 16, 16}, 2, 2, 8192}, {{16, 32, 32}, {64, 8, 8}, 4, 4, 4096},
    {{1, 28, 28}, {6, 24, 24}, 1, 1, 8192},   {{6, 24, 24}, {6, 12, 12}, 2, 2, 2048},
    {{4, 30, 30}, {12, 10, 10}, 3, 3, 2048},  {{2, 28, 28}, {4, 34, 34}, 1, 0, 0},
    {{64, 8, 8}, {64, 1, 1}, 1, 0, 0},        {{16, 32, 32}, {17, 32, 32}, 1, 1, 16384},
    {{1, 28, 28}, {18, 24, 24}, 1, 1, 16384},
};

START_TEST(behind)
{
    nn_layout in, out;
    const nn_map map = {.kind = NN_MAP_CONVOLUTION,
                        .in = behind_layouts[_i].in,
                        .out = behind_layouts[_i].out,
                        .convolution = {.stride_y = behind_layouts[_i].stride,
                                        .stride_x = behind_layouts[_i].stride}};
    ck_assert_ok(nn_layout_fresh(&in, map.in, NN_MAX_SLOTS, "x"));
    bool fits = nn_layout_behind(&out, in, &map);
    ck_assert_int_eq(fits, behind_layouts[_i].gap != 0);
    if (!fits) return;
    ck_assert_uint_eq(out.pitch, in.pitch);
    ck_assert_uint_eq(out.gap_y, behind_layouts[_i].gap);
    ck_assert_uint_eq(out.gap_x, behind_layouts[_i].gap);
    ck_assert_uint_eq(out.period, behind_layouts[_i].period);
    check_layout(out);
}
END_TEST

/* An even picture and the one after it have their values in the same places: of two parts, or of
 * the halves of n slots. */
static void check_couples(nn_layout l)
{
    for (unsigned k = 0; k < nn_layout_bootstraps(l); k++) {
        nn_rows rows = nn_layout_rows(l, k);
        for (uint32_t s = 0; s < rows.count; s++) {
            nn_place x, y;
            bool there = nn_layout_place(&x, l, rows.first, s);
            unsigned even = nn_layout_picture(l, rows.first, s);
            ck_assert_uint_eq(even % 2, 0);
            ck_assert_uint_eq(nn_layout_picture(l, rows.second, s + rows.offset), even + 1);
            ck_assert_int_eq(nn_layout_place(&y, l, rows.second, s + rows.offset), there);
            ck_assert(x.channel == y.channel && x.y == y.y && x.x == y.x);
        }
    }
}

static const struct {
    nn_shape shape;
    unsigned pictures, parts;
    uint32_t period, slots;
} batch_layouts[] = {
    {{16, 32, 32}, 2, 2, 16384, 16384}, {{16, 32, 32}, 8, 8, 16384, 16384},
    {{8, 32, 32}, 2, 1, 16384, 16384},  {{8, 32, 32}, 4, 2, 16384, 16384},
    {{8, 32, 32}, 8, 4, 16384, 16384},  {{4, 32, 32}, 2, 1, 8192, 8192},
    {{4, 32, 32}, 4, 1, 16384, 16384},  {{4, 32, 32}, 8, 2, 16384, 16384},
    {{2, 32, 32}, 2, 1, 4096, 4096},    {{64, 1, 1}, 2, 2, 64, 4096},
    {{64, 1, 1}, 8, 2, 256, 4096},      {{20, 32, 32}, 2, 4, 16384, 16384},
    {{20, 32, 32}, 4, 8, 16384, 16384},
};

START_TEST(batches)
{
    nn_layout one, l;
    unsigned pictures = batch_layouts[_i].pictures;
    ck_assert_ok(nn_layout_fresh(&one, batch_layouts[_i].shape, NN_MAX_SLOTS, "x"));
    ck_assert(nn_layout_equal(nn_layout_batch(one, 1), one));
    l = nn_layout_batch(one, pictures);
    ck_assert_uint_eq(l.parts, batch_layouts[_i].parts);
    ck_assert_uint_eq(l.period, batch_layouts[_i].period);
    ck_assert_uint_eq(l.slots, batch_layouts[_i].slots);
    check_layout(l);
    check_couples(l);
    ck_assert(nn_layout_equal(nn_layout_single(l), one));
    l = nn_layout_apart(one, pictures);
    ck_assert_uint_eq(l.parts, pictures * one.parts);
    check_layout(l);
    check_couples(l);
    ck_assert(nn_layout_equal(nn_layout_single(l), one));
}
END_TEST

START_TEST(scores)
{
    ck_assert_uint_eq(nn_layout_scores(2).slots, 16);
    ck_assert_uint_eq(nn_layout_scores(16).slots, 16);
    ck_assert_uint_eq(nn_layout_scores(17).slots, 32);
    ck_assert_uint_eq(nn_layout_scores(1000).slots, 1024);
    check_layout(nn_layout_scores(10));
}
END_TEST

START_TEST(spread_and_gather)
{
    static ckks_complex values[SLOTS];
    static double value[32], full[32 * 256], tensor[32 * 256];
    nn_layout in, l;
    const nn_map map = {.kind = NN_MAP_CONVOLUTION,
                        .in = {16, 32, 32},
                        .out = {32, 16, 16},
                        .convolution = {.stride_y = 2, .stride_x = 2}};
    ck_assert_ok(nn_layout_fresh(&in, map.in, NN_MAX_SLOTS, "x"));
    ck_assert(nn_layout_behind(&l, in, &map));
    for (unsigned c = 0; c < 32; c++) value[c] = random_unit();
    for (unsigned k = 0; k < 32 * 256; k++) full[k] = random_unit();
    nn_layout_spread(l, 0, values, value, false);
    nn_layout_gather(l, 0, tensor, values);
    for (unsigned i = 0; i < 32 * 256; i++) ck_assert_double_eq(tensor[i], value[i / 256]);
    nn_layout_spread(l, 0, values, full, true);
    nn_layout_gather(l, 0, tensor, values);
    ck_assert_mem_eq(tensor, full, sizeof full);
    nn_layout_spread_rows(l, 0, values, value, false);
    ck_assert_double_eq(values[0].re, value[0]);
    ck_assert_double_eq(values[0].im, 0);
    ck_assert_double_eq(values[8191].re, 0);
    ck_assert_double_eq(values[8191].im, value[31]);
}
END_TEST

static void add_tests(TCase *tcase)
{
    tcase_add_loop_test(tcase, fresh, 0, sizeof fresh_layouts / sizeof fresh_layouts[0]);
    tcase_add_test(tcase, too_large);
    tcase_add_loop_test(tcase, behind, 0, sizeof behind_layouts / sizeof behind_layouts[0]);
    tcase_add_loop_test(tcase, several_parts, 0, sizeof large_layouts / sizeof large_layouts[0]);
    tcase_add_test(tcase, fewer_parts_behind);
    tcase_add_loop_test(tcase, batches, 0, sizeof batch_layouts / sizeof batch_layouts[0]);
    tcase_add_test(tcase, scores);
    tcase_add_test(tcase, spread_and_gather);
}

int main(void)
{
    test_seed(20240817);
    return test_run("layout", add_tests, 120);
}
