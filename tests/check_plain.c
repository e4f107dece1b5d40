/* SPDX-License-Identifier: Apache-2.0 */
/* The single-precision engine against the double-precision trace, and under every instruction
 * set. */
#define _POSIX_C_SOURCE 200809L
#include "nn/plain/plain.h"

#include "nn/graph/model_io.h"
#include "nn/nn.h"
#include "nn/plain/convolve.h"
#include "nn/plain/simd.h"
#include "nn/plain/trace.h"
#include "ola/ola.h"
#include "twin_graph.h"

#define VALUES 16384u /* of the first layer of a CIFAR ResNet */

/* A plan whose polynomials stay tame: leaning lines plus a little of everything else. */
static nn_plan *tame_plan(const nn_model *model, double eps)
{
    static const unsigned degrees[] = {3, 7, 15, 5, 31, 1, 2};
    uint64_t random = test_seed;
    nn_plan *plan;
    succeed(nn_plan_create(&plan, model, eps));
    for (size_t i = 0; i < plan->count; i++) {
        nn_activation *a = &plan->activations[i];
        succeed(nn_plan_set_degree(plan, i, degrees[i % 7]));
        for (unsigned c = 0; c < a->channels; c++) {
            a->centre[c] = uniform(&random, -0.5, 0.5);
            a->half_width[c] = uniform(&random, 4, 6);
            a->coeff[c] = uniform(&random, 0, 1);
            a->coeff[a->channels + c] = uniform(&random, 0.5, 2);
            for (unsigned k = 2; k <= a->degree; k++)
                a->coeff[k * a->channels + c] = uniform(&random, -0.1, 0.1) / k;
        }
    }
    return plan;
}

/* The same with a composition of two polynomials at every other activation. */
static void compose(nn_plan *plan)
{
    static const unsigned degrees[] = {7, 3};
    ola_composite sign;
    succeed(ola_composite_sign(&sign, degrees, 2, 0.05));
    for (size_t i = 0; i < plan->count; i += 2) {
        nn_activation *a = &plan->activations[i];
        succeed(nn_plan_set_degree(plan, i, 3));
        succeed(nn_plan_set_sign(plan, i, &sign));
        for (unsigned c = 0; c < a->channels; c++) {
            a->centre[c] = 0;
            a->half_width[c] = 30;
            a->coeff[a->channels + c] = 15;
            a->coeff[3 * a->channels + c] = 0.1 * c / a->channels;
        }
    }
}

static double largest_w(const nn_trace_layer *layer)
{
    double max = 0;
    for (size_t i = 0; i < nn_shape_values(layer->shape); i++) max = fmax(max, fabs(layer->w[i]));
    return max;
}

static void compare(const nn_model *model, const nn_plan *plan)
{
    size_t values = nn_shape_values(model->graph->nodes[0].shape), count;
    double *picture = malloc(values * sizeof *picture);
    float *planes = malloc(values * sizeof *planes), scores[8], max_w[64];
    uint64_t random = test_seed + 3;
    nn_trace *trace;
    nn_plain *plain;
    nn_scratch *scratch;
    ck_assert(picture && planes);
    for (size_t i = 0; i < values; i++) {
        planes[i] = (float)uniform(&random, -2, 2);
        picture[i] = (double)planes[i];
    }
    succeed(nn_trace_create(&trace, model, plan, picture));
    succeed(nn_plain_create(&plain, model, plan));
    succeed(nn_scratch_create(&scratch, &count, plain));
    nn_plain_run(plain, scratch, scores, max_w, planes, NULL);
    for (size_t k = 0; k < model->classes; k++)
        assert_close(scores[k], trace->scores[k], 2e-5 * (1 + fabs(trace->scores[k])));
    for (size_t i = 0; plan && i < trace->count; i++)
        assert_close(max_w[i], largest_w(&trace->layers[i]), 2e-5 * (1 + (double)max_w[i]));
    float again[8];
    nn_plain_run(plain, &scratch[count - 1], again, NULL, planes, NULL);
    ck_assert_int_eq(memcmp(again, scores, model->classes * sizeof *scores), 0);
    nn_scratch_free(scratch, count);
    nn_plain_free(plain);
    nn_trace_free(trace);
    free(picture);
    free(planes);
}

/* Every kind of network, exact and with polynomials. */
START_TEST(networks_of_any_kind)
{
    twin t;
    nn_model *model;
    twin_kind(&t, (unsigned)_i, test_seed);
    succeed(nn_model_create(&model, t.graph, NULL));
    t.graph = NULL;
    compare(model, NULL);
    nn_plan *plan = tame_plan(model, 0.25);
    compare(model, plan);
    nn_plan_free(plan);
    nn_model_free(model);
    twin_clear(&t);
}
END_TEST

/* Maps of every geometry against double precision, and their transposes: <A x, g> = <x, A' g>. */
START_TEST(maps_and_transposes)
{
    static const struct {
        nn_shape in, out;
        nn_convolution c;
    } maps[] = {
        {{3, 32, 32}, {16, 32, 32}, {0, 3, 0, 16, 1, 3, 3, 1, 1, 1, 1, 1, 1, NULL}},
        {{16, 16, 16}, {32, 8, 8}, {0, 16, 0, 32, 1, 3, 3, 2, 2, 1, 1, 1, 1, NULL}},
        {{16, 8, 8}, {32, 4, 4}, {0, 16, 0, 32, 1, 1, 1, 2, 2, 1, 1, 0, 0, NULL}},
        {{5, 7, 9}, {21, 7, 9}, {0, 5, 0, 21, 1, 3, 3, 1, 1, 1, 1, 1, 1, NULL}},
        {{6, 11, 6}, {8, 4, 5}, {0, 6, 0, 8, 2, 3, 2, 3, 1, 2, 2, 2, 1, NULL}},
        {{24, 9, 9}, {24, 5, 5}, {0, 24, 0, 24, 24, 5, 5, 2, 2, 1, 1, 2, 2, NULL}},
        {{12, 6, 6}, {20, 3, 4}, {2, 7, 5, 9, 1, 2, 3, 2, 1, 1, 1, -1, 0, NULL}},
        {{8, 6, 6}, {20, 6, 6}, {0, 8, 4, 8, 8, 1, 1, 1, 1, 1, 1, 0, 0, NULL}},
        {{33, 4, 5}, {17, 1, 1}, {0, 33, 0, 17, 1, 4, 5, 1, 1, 1, 1, 0, 0, NULL}},
    };
    uint64_t random = test_seed + (uint64_t)_i;
    nn_shape in = maps[_i].in, out = maps[_i].out;
    nn_convolution c = maps[_i].c;
    size_t ins = nn_shape_values(in), outs = nn_shape_values(out),
           count = nn_convolution_weights(&c);
    double *weight = malloc(count * sizeof *weight), *x = malloc(ins * sizeof *x),
           *y = calloc(outs, sizeof *y);
    float *xf = malloc(ins * sizeof *xf), *gf = malloc(outs * sizeof *gf),
          *yf = calloc(outs + NN_CONVOLVE_SLACK, sizeof *yf),
          *back = calloc(ins + NN_CONVOLVE_SLACK, sizeof *back);
    ck_assert(weight && x && y && xf && gf && yf && back);
    for (size_t k = 0; k < count; k++) weight[k] = (float)uniform(&random, -1, 1);
    for (size_t k = 0; k < ins; k++) {
        size_t plane = (size_t)in.height * in.width;
        x[k] = (float)uniform(&random, -1, 1);
        xf[k % plane * in.channels + k / plane] = (float)x[k];
    }
    c.weight = weight;
    nn_map map;
    nn_fast_map forward, adjoint;
    succeed(nn_map_convolution(&map, in, out, &c));
    succeed(nn_fast_map_create(&forward, &map, NULL));
    succeed(nn_fast_map_create_adjoint(&adjoint, &map));
    float *room = malloc((nn_fast_map_room(&forward) + nn_fast_map_room(&adjoint)) * sizeof *room);
    ck_assert_ptr_nonnull(room);
    nn_map_add(y, &map, x);
    nn_fast_map_apply(yf, &forward, xf, room, true);
    double left = 0, right = 0, size = sqrt((double)count / out.channels);
    for (size_t k = 0; k < outs; k++) {
        size_t plane = (size_t)out.height * out.width;
        float value = yf[k % plane * out.channels + k / plane];
        assert_close(value, y[k], 1e-6 * (1 + size));
        gf[k] = (float)uniform(&random, -1, 1);
        left += (double)yf[k] * (double)gf[k];
    }
    if (nn_fast_map_is_whole(&forward)) { /* written instead of added: the same bits */
        float *whole = malloc((outs + NN_CONVOLVE_SLACK) * sizeof *whole);
        ck_assert_ptr_nonnull(whole);
        nn_fast_map_apply(whole, &forward, xf, room, false);
        ck_assert_int_eq(memcmp(whole, yf, outs * sizeof *whole), 0);
        free(whole);
    }
    nn_fast_map_apply(back, &adjoint, gf, room, true);
    for (size_t k = 0; k < ins; k++) right += (double)xf[k] * (double)back[k];
    assert_close(left, right, 1e-6 * sqrt((double)outs) * (1 + size) * 4);
    nn_fast_map_clear(&forward);
    nn_fast_map_clear(&adjoint);
    nn_map_clear(&map);
    free(weight), free(x), free(y), free(xf), free(gf), free(yf), free(back), free(room);
}
END_TEST

START_TEST(agrees_with_double_precision)
{
    nn_model *model;
    succeed(nn_model_load(&model, write_network("n", 2, _i ? "down" : NULL, test_seed + 5), NULL));
    compare(model, NULL);
    nn_plan *plan = tame_plan(model, 0.125);
    compare(model, plan);
    plan->eps = 0;
    compare(model, plan);
    plan->eps = 0.25;
    compare(model, plan);
    compose(plan);
    compare(model, plan);
    succeed(nn_plan_check(plan, model));
    nn_plan_free(plan);
    nn_model_free(model);
}
END_TEST

/* Fills activation 0 with chosen w and returns what comes out. */
static void activate(const nn_model *model, nn_plan *plan, float *out, const float *pre,
                     const nn_noise *noise, float *max_w)
{
    nn_plain *plain;
    succeed(nn_plain_create(&plain, model, plan));
    *max_w = nn_plain_activate(plain, 0, out, pre, noise);
    nn_plain_free(plain);
}

static nn_plan *identity_plan(const nn_model *model, double eps)
{
    nn_plan *plan = tame_plan(model, eps);
    nn_activation *a = &plan->activations[0];
    succeed(nn_plan_set_degree(plan, 0, 1));
    for (unsigned c = 0; c < a->channels; c++) {
        a->centre[c] = 0;
        a->half_width[c] = 1;
        a->coeff[a->channels + c] = 1;
    }
    return plan;
}

/* The identity polynomial shows the sine itself, far beyond [-1, 1] too. */
START_TEST(sine_is_the_sine)
{
    nn_model *model;
    static float pre[VALUES], out[VALUES];
    const double two_pi = 2 * acos(-1);
    float max_w;
    succeed(nn_model_load(&model, write_network("n", 1, NULL, test_seed), NULL));
    nn_plan *plan = identity_plan(model, 0.125);
    for (size_t i = 0; i < VALUES; i++) pre[i] = (float)(((double)i - 8192) / 1000);
    activate(model, plan, out, pre, NULL, &max_w);
    for (size_t i = 0; i < VALUES; i++)
        assert_close(out[i], sin(two_pi * 0.125 * (double)pre[i]) / sin(two_pi * 0.125), 1e-6);
    ck_assert_float_eq(max_w, 8.192f);
    memset(pre, 0, sizeof pre);
    pre[0] = (float)NAN;
    pre[1] = (float)INFINITY;
    pre[2] = -1e30f;
    pre[3] = 3e6f;
    activate(model, plan, out, pre, NULL, &max_w);
    ck_assert(isnan(out[0]) && isnan(out[1]));
    ck_assert(fabsf(out[2]) < 1.5f && fabsf(out[3]) < 1.5f);
    ck_assert(isinf(max_w));
    nn_plan_free(plan);
    nn_model_free(model);
}
END_TEST

START_TEST(noise_is_normal)
{
    nn_model *model;
    static float pre[VALUES], out[VALUES], other[VALUES];
    const double deviation = 0.01, count = VALUES;
    float max_w;
    double sum = 0, square = 0, fourth = 0, lag = 0;
    nn_noise noise = {(float)deviation, test_seed};
    succeed(nn_model_load(&model, write_network("n", 1, NULL, test_seed), NULL));
    nn_plan *plan = identity_plan(model, 0);
    activate(model, plan, out, pre, &noise, &max_w);
    for (size_t i = 0; i < VALUES; i++) {
        double x = (double)out[i] / deviation;
        sum += x;
        square += x * x;
        fourth += x * x * x * x;
        lag += i ? x * (double)out[i - 1] / deviation : 0;
    }
    assert_close(sum / count, 0, 5 / sqrt(count));
    assert_close(square / count, 1, 5 * sqrt(2 / count));
    /* kurtosis of the sum of eight uniform numbers: 3 - 1.2 / 8 */
    assert_close(fourth / count, 2.85, 0.25);
    assert_close(lag / count, 0, 5 / sqrt(count));
    activate(model, plan, other, pre, &noise, &max_w);
    ck_assert_int_eq(memcmp(out, other, sizeof out), 0);
    noise.seed++;
    activate(model, plan, other, pre, &noise, &max_w);
    ck_assert_int_ne(memcmp(out, other, sizeof out), 0);
    nn_plan_free(plan);
    nn_model_free(model);
}
END_TEST

START_TEST(activations_can_be_replaced)
{
    nn_model *model;
    static float pre[VALUES], out[VALUES];
    nn_plain *plain = NULL;
    succeed(nn_model_load(&model, write_network("n", 1, NULL, test_seed), NULL));
    nn_plan *plan = identity_plan(model, 0);
    succeed(nn_plain_create(&plain, model, NULL));
    for (size_t i = 0; i < VALUES; i++) pre[i] = i % 2 ? 0.5f : -0.5f;
    nn_plain_activate(plain, 0, out, pre, NULL);
    ck_assert_float_eq(out[1], 0.5f);
    ck_assert_float_eq(out[2], 0);
    succeed(nn_plain_set_activation(plain, 0, &plan->activations[0], plan->eps));
    nn_plain_activate(plain, 0, out, pre, NULL);
    assert_close(out[2], -0.5 + (double)(float)plan->activations[0].coeff[2], 1e-6);
    succeed(nn_plain_set_activation(plain, 0, NULL, 0));
    nn_plain_activate(plain, 0, out, pre, NULL);
    ck_assert_float_eq(out[2], 0);
    nn_plain_free(plain);
    plain = NULL;
    plan->activations[1].half_width[3] = 0;
    fail_with(nn_plain_create(&plain, model, plan), FHOLA_PARAM, "activation 1, channel 3");
    ck_assert_ptr_null(plain);
    nn_plan_free(plan);
    nn_model_free(model);
}
END_TEST

#define FIRST_VALUES 16384u /* of the first activation */

/* Scores, largest w and one activation of values of every kind, under FHOLA_ISA = isa. */
typedef struct outcome {
    float scores[3], max_w[7], out[FIRST_VALUES], max;
} outcome;

static void run_under(outcome *o, const char *isa, const nn_model *model, nn_plan *plan)
{
    float planes[NN_PICTURE_VALUES];
    static float pre[FIRST_VALUES + NN_CONVOLVE_SLACK];
    uint64_t random = test_seed + 8;
    nn_plain *plain;
    nn_scratch *scratch;
    size_t count;
    ck_assert_int_eq(setenv("FHOLA_ISA", isa, 1), 0);
    for (size_t i = 0; i < NN_PICTURE_VALUES; i++) planes[i] = (float)uniform(&random, -2, 2);
    for (size_t i = 0; i < FIRST_VALUES; i++) {
        uint32_t bits = (uint32_t)next_random(&random);
        if (i % 2)
            pre[i] = (float)uniform(&random, -20, 20);
        else
            memcpy(&pre[i], &bits, sizeof bits);
    }
    succeed(nn_plain_create(&plain, model, plan));
    succeed(nn_scratch_create(&scratch, &count, plain));
    nn_plain_run(plain, scratch, o->scores, o->max_w, planes, NULL);
    o->max = nn_plain_activate(plain, 0, o->out, pre, NULL);
    nn_scratch_free(scratch, count);
    nn_plain_free(plain);
    unsetenv("FHOLA_ISA");
}

/* Bit by bit, except for which NaN it is. */
static bool same(const float *a, const float *b, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (memcmp(&a[i], &b[i], sizeof *a) != 0 && !(isnan(a[i]) && isnan(b[i]))) return false;
    return true;
}

START_TEST(instruction_sets_agree)
{
    static outcome portable, other;
    nn_model *model;
    succeed(nn_model_load(&model, write_network("n", 1, "down", test_seed), NULL));
    for (unsigned k = 0; k < 4; k++) {
        nn_plan *plan = tame_plan(model, k == 1 ? 0 : 0.25);
        if (k == 2) compose(plan);
        run_under(&portable, "portable", model, k < 3 ? plan : NULL);
        for (nn_simd simd = NN_SIMD_PORTABLE; simd < NN_SIMD_SETS; simd++) {
            if (!nn_simd_can_run(simd)) continue;
            run_under(&other, nn_simd_name(simd), model, k < 3 ? plan : NULL);
            ck_assert_msg(same(other.scores, portable.scores, 3) &&
                              (k == 3 || same(other.max_w, portable.max_w, 7)) &&
                              same(other.out, portable.out, FIRST_VALUES) &&
                              same(&other.max, &portable.max, 1),
                          "%s, plan %u: not the portable results", nn_simd_name(simd), k);
        }
        nn_plan_free(plan);
    }
    nn_model_free(model);
}
END_TEST

START_TEST(instruction_sets_are_chosen_by_name)
{
    nn_model *model;
    nn_plain *plain = NULL;
    nn_simd simd;
    succeed(nn_model_load(&model, write_network("n", 1, NULL, test_seed), NULL));
    ck_assert_int_eq(setenv("FHOLA_ISA", "abacus", 1), 0);
    fail_with(nn_plain_create(&plain, model, NULL), FHOLA_PARAM, "FHOLA_ISA");
    ck_assert_ptr_null(plain);
    unsetenv("FHOLA_ISA");
    fail_with(nn_simd_select(&simd, "abacus"), FHOLA_PARAM, "abacus");
    for (nn_simd i = NN_SIMD_PORTABLE; i < NN_SIMD_SETS; i++) {
        const char *name = i == NN_SIMD_AVX512 ? "avx512ifma" : nn_simd_name(i);
        if (nn_simd_can_run(i)) {
            succeed(nn_simd_select(&simd, name));
            ck_assert_int_eq(simd, i);
        } else {
            fail_with(nn_simd_select(&simd, name), FHOLA_PARAM, "cannot run");
        }
    }
    ck_assert(nn_simd_can_run(NN_SIMD_PORTABLE));
    nn_model_free(model);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("plain");
    tcase_add_loop_test(tcase, agrees_with_double_precision, 0, 2);
    tcase_add_loop_test(tcase, networks_of_any_kind, 0, TWIN_KINDS);
    tcase_add_loop_test(tcase, maps_and_transposes, 0, 9);
    tcase_add_test(tcase, sine_is_the_sine);
    tcase_add_test(tcase, noise_is_normal);
    tcase_add_test(tcase, activations_can_be_replaced);
    tcase_add_test(tcase, instruction_sets_agree);
    tcase_add_test(tcase, instruction_sets_are_chosen_by_name);
    return run_tests("plain", tcase, 120);
}
