/* SPDX-License-Identifier: Apache-2.0 */
/* Convolutions under every instruction set against the sums written out, bit for bit. */
#include "nn/plain/convolve.h"

#include "check_nn_support.h"
#include "nn/measure/measure.h"

#define MOST 16384u            /* values of a picture */
#define ROOM (40u * 40u * 64u) /* of a frame around one */

/* Channels in, out; kernel, stride, side: every convolution of the networks. */
static const unsigned shapes[][5] = {
    {3, 16, 3, 1, 32},  {16, 16, 3, 1, 32}, {16, 32, 3, 2, 32}, {32, 32, 3, 1, 16},
    {32, 64, 3, 2, 16}, {64, 64, 3, 1, 8},  {16, 32, 1, 2, 32}, {32, 64, 1, 2, 16},
};
#define SHAPES (int)(sizeof shapes / sizeof *shapes)

static void fill(float *values, size_t count, uint64_t *random)
{
    for (size_t i = 0; i < count; i++) values[i] = (float)uniform(random, -1, 1);
}

/* Output channel o at pixel (y, x): the bias, then by row and column of the kernel and by channel;
 * each product and each sum is rounded to single precision. What is outside adds a product, too. */
static float sum_up(const nn_map *map, const double *bias, const float *in, size_t o, size_t y,
                    size_t x)
{
    const nn_convolution *conv = &map->convolution;
    const size_t kernel = conv->kernel_y, size = map->in.height, edge = kernel / 2;
    volatile float sum = (float)bias[o]; /* no more precision than that */
    for (size_t ky = 0; ky < kernel; ky++)
        for (size_t kx = 0; kx < kernel; kx++)
            for (size_t i = 0; i < conv->in_channels; i++) {
                size_t row = y * conv->stride_y + ky - edge,
                       column = x * conv->stride_x + kx - edge;
                bool inside = row < size && column < size; /* -1 is a large number */
                float value = inside ? in[(row * size + column) * conv->in_channels + i] : 0.0f;
                volatile float product =
                    value *
                    (float)conv->weight[((o * conv->in_channels + i) * kernel + ky) * kernel + kx];
                sum = sum + product;
            }
    return sum;
}

static void make(nn_map *map, double *bias, const unsigned *s, uint64_t *random)
{
    size_t count = (size_t)s[0] * s[1] * s[2] * s[2];
    double *weight = calloc(count, sizeof *weight);
    ck_assert_ptr_nonnull(weight);
    for (size_t i = 0; i < count; i++) weight[i] = uniform(random, -1, 1);
    for (size_t o = 0; o < s[1]; o++) bias[o] = uniform(random, -1, 1);
    nn_convolution conv = {.in_channels = s[0],
                           .out_channels = s[1],
                           .groups = 1,
                           .kernel_y = s[2],
                           .kernel_x = s[2],
                           .stride_y = s[3],
                           .stride_x = s[3],
                           .dilation_y = 1,
                           .dilation_x = 1,
                           .pad_y = (int)s[2] / 2,
                           .pad_x = (int)s[2] / 2,
                           .weight = weight};
    nn_shape in = {s[0], s[4], s[4]}, out = {s[1], s[4] / s[3], s[4] / s[3]};
    succeed(nn_map_convolution(map, in, out, &conv));
    free(weight);
}

START_TEST(sums_are_those_written_out)
{
    static float in[MOST], expected[MOST], out[MOST + NN_CONVOLVE_SLACK], padded[ROOM];
    uint64_t random = test_seed + (uint64_t)_i;
    double bias[64];
    nn_map map;
    nn_fast_map fast;
    make(&map, bias, shapes[_i], &random);
    size_t size = map.out.height, channels = map.out.channels, count = nn_shape_values(map.out);
    fill(in, nn_shape_values(map.in), &random);
    for (size_t j = 0; j < count; j++)
        expected[j] =
            sum_up(&map, bias, in, j % channels, j / channels / size, j / channels % size);
    succeed(nn_fast_map_create(&fast, &map, bias));
    ck_assert_uint_le(nn_fast_map_room(&fast), ROOM);
    for (nn_simd simd = NN_SIMD_PORTABLE; simd < NN_SIMD_SETS; simd++) {
        if (!nn_simd_can_run(simd)) continue;
        fast.simd = simd;
        memset(out, 0xff, sizeof out);
        fill(padded, ROOM, &random);
        nn_fast_map_apply(out, &fast, in, padded, false);
        for (size_t j = 0; j < count; j++)
            ck_assert_msg(memcmp(&out[j], &expected[j], sizeof *out) == 0,
                          "%s, value %zu: %a instead of %a", nn_simd_name(simd), j, (double)out[j],
                          (double)expected[j]);
    }
    nn_fast_map_clear(&fast);
    nn_map_clear(&map);
}
END_TEST

START_TEST(adjoints_agree)
{
    static float in[2 * MOST], portable[2 * MOST], out[2 * MOST], padded[ROOM];
    uint64_t random = test_seed + (uint64_t)_i;
    double bias[64];
    nn_map map;
    nn_fast_map fast;
    if (shapes[_i][0] == 3) return; /* nothing goes back through the first one */
    make(&map, bias, shapes[_i], &random);
    fill(in, 2 * MOST, &random);
    succeed(nn_fast_map_create_adjoint(&fast, &map));
    ck_assert_uint_le(nn_fast_map_room(&fast), ROOM);
    fast.simd = NN_SIMD_PORTABLE;
    nn_fast_map_apply(portable, &fast, in, padded, false);
    for (nn_simd simd = NN_SIMD_AVX2; simd < NN_SIMD_SETS; simd++) {
        if (!nn_simd_can_run(simd)) continue;
        fast.simd = simd;
        nn_fast_map_apply(out, &fast, in, padded, false);
        ck_assert_msg(memcmp(out, portable, sizeof out) == 0, "%s: not the portable results",
                      nn_simd_name(simd));
    }
    nn_fast_map_clear(&fast);
    nn_map_clear(&map);
}
END_TEST

START_TEST(convolutions_are_timed)
{
    const nn_bench_shape shape = {.in = 16, .out = 16, .kernel = 3, .stride = 1, .side = 8};
    nn_bench_shape wrong = shape;
    nn_bench_time time;
    size_t sets = 0;
    for (const char *isa; (isa = nn_bench_isa(sets)); sets++) {
        succeed(nn_bench_convolution(&time, &shape, isa, 2));
        ck_assert_str_eq(time.isa, isa);
        ck_assert(time.min_us > 0 && time.min_us <= time.median_us);
        assert_close(time.gmacs, 64 * 16 * 16 * 9 / time.median_us * 1e-3, 1e-9 * time.gmacs);
    }
    ck_assert_str_eq(nn_bench_isa(sets - 1), "portable");
    fail_with(nn_bench_convolution(&time, &shape, "abacus", 1), FHOLA_PARAM, "abacus");
    fail_with(nn_bench_convolution(&time, &shape, NULL, 0), FHOLA_PARAM, "0 threads");
    wrong.out = 24;
    fail_with(nn_bench_convolution(&time, &wrong, NULL, 1), FHOLA_PARAM, "24 channels");
    wrong = (nn_bench_shape){.in = 64, .out = 16, .kernel = 3, .stride = 1, .side = 32};
    fail_with(nn_bench_convolution(&time, &wrong, NULL, 1), FHOLA_PARAM, "64 to 16");
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("convolve");
    tcase_add_loop_test(tcase, sums_are_those_written_out, 0, SHAPES);
    tcase_add_loop_test(tcase, adjoints_agree, 0, SHAPES);
    tcase_add_test(tcase, convolutions_are_timed);
    return run_tests("convolve", tcase, 60);
}
