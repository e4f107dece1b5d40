/* SPDX-License-Identifier: Apache-2.0 */
/* Every kind of linear layer: its diagonals applied to a slot vector against the direct definition
 * on tensors, and how many there are. */
#include "nn/encrypted/layout.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS 16384u

static uint64_t state;

static double uniform(void)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (double)(int64_t)(state >> 11) / 4503599627370496.0 - 1;
}

static double *vector(size_t n, int random)
{
    double *v = calloc(n, sizeof *v);
    ck_assert_ptr_nonnull(v);
    for (size_t i = 0; random && i < n; i++) v[i] = uniform();
    return v;
}

/* The slots of a tensor, repeated to fill them all. */
static void to_slots(nn_layout layout, ckks_complex *slots, const double *tensor)
{
    for (uint32_t s = 0; s < SLOTS; s++) {
        nn_place p = nn_layout_place(layout, s % layout.slots);
        int inside = p.channel < layout.channels;
        slots[s] = (ckks_complex){
            inside ? tensor[(p.channel * layout.side + p.y) * layout.side + p.x] : 0, 0};
    }
}

static void apply(nn_linear *l, ckks_complex *out, const ckks_complex *in)
{
    ckks_complex *diagonal = malloc(l->period * sizeof *diagonal);
    ck_assert_ptr_nonnull(diagonal);
    memset(out, 0, SLOTS * sizeof *out);
    for (size_t d = 0; d < l->count; d++) {
        ck_assert_int_eq(nn_linear_diagonal(l, l->offset[d], diagonal), 0);
        for (uint32_t s = 0; s < SLOTS; s++) {
            ckks_complex w = diagonal[s % l->period], x = in[(s + (uint32_t)l->offset[d]) % SLOTS];
            out[s].re += w.re * x.re - w.im * x.im;
            out[s].im += w.re * x.im + w.im * x.re;
        }
    }
    free(diagonal);
}

/* What a bootstrap makes of slots: halves added, copies averaged, against the tensor; padding slots
 * hold 0. */
static void compare(nn_layout layout, const ckks_complex *slots, const double *tensor)
{
    double worst = 0;
    uint32_t half = layout.slots / 2;
    for (uint32_t j = 0; j < half; j++) {
        double sum[2] = {0, 0};
        for (uint32_t s = j; s < SLOTS; s += half) {
            sum[0] += slots[s].re * layout.slots / SLOTS;
            sum[1] += slots[s].im * layout.slots / SLOTS;
        }
        for (uint32_t k = 0; k < 2; k++) {
            nn_place p = nn_layout_place(layout, j + k * half);
            double v = p.channel < layout.channels
                           ? tensor[(p.channel * layout.side + p.y) * layout.side + p.x]
                           : 0;
            worst = fmax(worst, fabs(sum[k] - v));
        }
    }
    ck_assert_msg(worst < 1e-9, "worst difference %g", worst);
}

static double tap(const nn_conv *c, const double *in, unsigned o, unsigned y, unsigned x)
{
    double sum = 0;
    int half = (int)(c->kernel / 2), side = (int)c->in_size;
    for (unsigned i = 0; i < c->in; i++)
        for (int ky = 0; ky < (int)c->kernel; ky++)
            for (int kx = 0; kx < (int)c->kernel; kx++) {
                int yy = (int)(y * c->stride) + ky - half, xx = (int)(x * c->stride) + kx - half;
                if (yy < 0 || yy >= side || xx < 0 || xx >= side) continue;
                sum += c->weight[((o * c->in + i) * c->kernel + (unsigned)ky) * c->kernel +
                                 (unsigned)kx] *
                       in[((int)i * side + yy) * side + xx];
            }
    return sum;
}

/* With b blocks in m slots and kernel shifts s, t (rows, columns) of the grid: b times the number
 * of (s, t). First layer: 4 blocks, 3 x 3 shifts; stages: 8, 4, 2 blocks, shifts -(2g - 1) .. 2g -
 * 1; stride 2: half the output's blocks, shifts -(3g - 1) .. 2g - 1, or -(2g - 1) .. g - 1 with a 1
 * x 1 kernel. */
static const struct {
    const char *name;
    unsigned in, out, kernel, stride, in_size;
    size_t diagonals;
} shapes[] = {
    {"first", 3, 16, 3, 1, 32, 4 * 3 * 3},      {"stage 1", 16, 16, 3, 1, 32, 8 * 3 * 3},
    {"down 1", 16, 32, 3, 2, 32, 4 * 4 * 4},    {"stage 2", 32, 32, 3, 1, 16, 4 * 7 * 7},
    {"down 2", 32, 64, 3, 2, 16, 2 * 9 * 9},    {"stage 3", 64, 64, 3, 1, 8, 2 * 15 * 15},
    {"project 1", 16, 32, 1, 2, 32, 4 * 2 * 2}, {"project 2", 32, 64, 1, 2, 16, 2 * 5 * 5},
};

START_TEST(convolution)
{
    nn_conv c = {.in = shapes[_i].in,
                 .out = shapes[_i].out,
                 .kernel = shapes[_i].kernel,
                 .stride = shapes[_i].stride,
                 .in_size = shapes[_i].in_size};
    unsigned side = c.in_size / c.stride;
    size_t inputs = (size_t)c.in * c.in_size * c.in_size, outputs = (size_t)c.out * side * side;
    c.weight = vector((size_t)c.in * c.out * c.kernel * c.kernel, 1);
    double *in = vector(inputs, 1), *scaled = vector(inputs, 0), *out = vector(outputs, 0);
    double in_scale[64], out_scale[64];
    for (unsigned i = 0; i < 64; i++) in_scale[i] = 1.5 + uniform(), out_scale[i] = 1.5 + uniform();
    for (size_t i = 0; i < inputs; i++) scaled[i] = in[i] / in_scale[i / (c.in_size * c.in_size)];
    for (size_t k = 0; k < outputs; k++)
        out[k] = tap(&c, in, (unsigned)(k / (side * side)), (unsigned)(k / side % side),
                     (unsigned)(k % side)) /
                 out_scale[k / (side * side)];

    nn_linear l;
    ck_assert_int_eq(nn_linear_convolution(&l, &c, in_scale, out_scale), FHOLA_OK);
    static ckks_complex x[SLOTS], y[SLOTS];
    to_slots(l.in, x, scaled);
    apply(&l, y, x);
    compare(l.out, y, out);
    printf("%-10s %4zu diagonals of %5u, baby step %4u, %2u babies + %2u giants\n", shapes[_i].name,
           l.count, (unsigned)l.period, (unsigned)l.baby_step, l.babies, l.giants);
    ck_assert_uint_eq(l.count, shapes[_i].diagonals);
    nn_linear_clear(&l);
    free(c.weight);
    free(in);
    free(scaled);
    free(out);
}
END_TEST

START_TEST(pad)
{
    unsigned channels = _i ? 32 : 16, side = _i ? 16 : 32, half = side / 2;
    double in_scale[32], out_scale[64];
    for (unsigned i = 0; i < 64; i++) out_scale[i] = 1.5 + uniform();
    for (unsigned i = 0; i < 32; i++) in_scale[i] = 1.5 + uniform();
    double *in = vector((size_t)channels * side * side, 1),
           *out = vector((size_t)2 * channels * half * half, 0);
    for (unsigned c = 0; c < channels; c++)
        for (unsigned y = 0; y < half; y++)
            for (unsigned x = 0; x < half; x++) {
                unsigned o = c + channels / 2;
                out[(o * half + y) * half + x] =
                    in[(c * side + 2 * y) * side + 2 * x] * in_scale[c] / out_scale[o];
            }
    nn_linear l;
    ck_assert_int_eq(nn_linear_pad(&l, channels, side, in_scale, out_scale), FHOLA_OK);
    static ckks_complex x[SLOTS], y[SLOTS];
    to_slots(l.in, x, in);
    apply(&l, y, x);
    compare(l.out, y, out);
    printf("pad %u      %4zu diagonals of %5u, baby step %4u, %2u babies + %2u giants\n", _i + 1,
           l.count, (unsigned)l.period, (unsigned)l.baby_step, l.babies, l.giants);
    ck_assert_uint_le(l.count, _i ? 2 * 5 * 5 : 4 * 2 * 2);
    nn_linear_clear(&l);
    free(in);
    free(out);
}
END_TEST

/* Pooling and the fully connected layer, with the sum over rotations that follows the diagonals. */
START_TEST(scores)
{
    static const unsigned classes_of[] = {10, 16, 17, 100, 1000};
    unsigned classes = classes_of[_i];
    nn_layout in_layout = nn_layout_of(64, 8);
    double in_scale[64], *in = vector(4096, 1), *weight = vector((size_t)classes * 64, 1);
    for (unsigned i = 0; i < 64; i++) in_scale[i] = 1.5 + uniform();
    nn_linear l;
    ck_assert_int_eq(nn_linear_scores(&l, in_layout, classes, weight, in_scale), FHOLA_OK);
    if (classes <= 16) ck_assert_uint_eq(l.count, 16);
    static ckks_complex x[SLOTS], y[SLOTS];
    to_slots(in_layout, x, in);
    apply(&l, y, x);
    for (uint32_t r = l.rows; r < in_layout.slots; r *= 2) {
        memcpy(x, y, sizeof x);
        for (uint32_t s = 0; s < SLOTS; s++) y[s].re += x[(s + r) % SLOTS].re;
    }
    for (uint32_t s = 0; s < SLOTS; s++) {
        unsigned row = s % l.rows;
        double score = 0;
        for (unsigned i = 0; row < classes && i < 4096; i++)
            score += weight[row * 64 + i / 64] * in_scale[i / 64] * in[i] / 64;
        if (s < l.rows || s % 997 == 0) ck_assert_double_eq_tol(y[s].re, score, 1e-9);
    }
    nn_linear_clear(&l);
    free(in);
    free(weight);
}
END_TEST

START_TEST(too_many_classes)
{
    double one[64] = {0};
    nn_linear l = {0};
    ck_assert_int_eq(nn_linear_scores(&l, nn_layout_of(64, 8), 4097, one, one), FHOLA_PARAM);
    ck_assert_ptr_null(l.weight);
}
END_TEST

START_TEST(slots_and_places)
{
    static const unsigned shape[][3] = {
        {3, 32, 4096}, {16, 32, 16384}, {32, 16, 8192}, {64, 8, 4096}};
    for (size_t k = 0; k < 4; k++) {
        nn_layout l = nn_layout_of(shape[k][0], shape[k][1]);
        ck_assert_uint_eq(l.slots, shape[k][2]);
        for (unsigned c = 0; c < l.channels; c++)
            for (unsigned y = 0; y < l.side; y++)
                for (unsigned x = 0; x < l.side; x++) {
                    nn_place p = nn_layout_place(l, nn_layout_slot(l, c, y, x));
                    ck_assert(p.channel == c && p.y == y && p.x == x);
                }
    }
}
END_TEST

START_TEST(spread_and_gather)
{
    nn_layout l = nn_layout_of(32, 16);
    static ckks_complex values[8192];
    static double value[32], tensor[32 * 256];
    for (unsigned c = 0; c < 32; c++) value[c] = uniform();
    nn_layout_spread(l, values, value, 0);
    nn_layout_gather(l, tensor, values);
    for (unsigned i = 0; i < 32 * 256; i++) ck_assert_double_eq(tensor[i], value[i / 256]);
    nn_layout_spread(l, values, value, 1);
    ck_assert_double_eq(values[0].re, value[0]);
    ck_assert_double_eq(values[0].im, 0);
    ck_assert_double_eq(values[8191].re, 0);
    ck_assert_double_eq(values[8191].im, value[31]);
}
END_TEST

int main(void)
{
    const char *seed = getenv("FHOLA_TEST_SEED");
    state = seed ? strtoull(seed, NULL, 0) : 20240817;
    printf("FHOLA_TEST_SEED=%llu\n", (unsigned long long)state);
    Suite *suite = suite_create("layout");
    TCase *tcase = tcase_create("layout");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, slots_and_places);
    tcase_add_test(tcase, spread_and_gather);
    tcase_add_loop_test(tcase, convolution, 0, sizeof shapes / sizeof shapes[0]);
    tcase_add_loop_test(tcase, pad, 0, 2);
    tcase_add_loop_test(tcase, scores, 0, 5);
    tcase_add_test(tcase, too_many_classes);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
