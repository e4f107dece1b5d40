/* SPDX-License-Identifier: Apache-2.0 */
/* The whole schedule executed on plain slots (diagonals, sine, polynomials, masks) for small random
 * networks: equal to the definition. */
#include "nn/encrypted/schedule.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/slots_support.h"
#include "tests/small_network.h"

#define MAX_LAYERS 16

static uint64_t seed;

typedef struct simulator {
    ckks_complex x[MAX_LAYERS + 1][SLOTS]; /* node i */
    ckks_complex sum[SLOTS], part[SLOTS];
} simulator;

/* `halves`: in front of a bootstrap. */
static void add_bias(const nn_recipe *r, ckks_complex *x, bool halves)
{
    ckks_complex *v = malloc(r->layout.slots * sizeof *v);
    ck_assert_ptr_nonnull(v);
    nn_layout_spread(r->layout, v, r->bias, r->full_bias, halves);
    for (uint32_t s = 0; s < SLOTS; s++) {
        x[s].re += v[s % r->layout.slots].re;
        x[s].im += v[s % r->layout.slots].im;
    }
    free(v);
}

static void add_up(simulator *m, nn_recipe *r, bool halves)
{
    memset(m->sum, 0, sizeof m->sum);
    for (size_t e = 0; e < r->count; e++) {
        apply_linear(&r->contribution[e].linear, m->part, m->x[r->contribution[e].from]);
        for (uint32_t s = 0; s < SLOTS; s++) {
            m->sum[s].re += m->part[s].re;
            m->sum[s].im += m->part[s].im;
        }
    }
    add_bias(r, m->sum, halves);
}

/* What the bootstrap does to its slots: add the halves, average the copies, take the sine. Real
 * again, period n. */
static void sine(nn_layout layout, double eps, ckks_complex *x)
{
    const double pi = acos(-1.0);
    uint32_t half = layout.slots / 2;
    for (uint32_t j = 0; j < half; j++) {
        double w[2] = {0, 0};
        for (uint32_t s = j; s < SLOTS; s += half) {
            w[0] += x[s].re * layout.slots / SLOTS;
            w[1] += x[s].im * layout.slots / SLOTS;
        }
        for (uint32_t s = j; s < SLOTS; s += half) {
            double v = w[s % layout.slots >= half];
            x[s] = (ckks_complex){sin(2 * pi * eps * v) / sin(2 * pi * eps), 0};
        }
    }
}

static void polynomial(const nn_recipe *r, ckks_complex *out, const ckks_complex *x)
{
    for (uint32_t s = 0; s < SLOTS; s++) {
        nn_place p;
        out[s] = (ckks_complex){0, 0};
        if (!nn_layout_place(&p, r->layout, s)) continue;
        double t0 = 1, t1 = x[s].re, sum = r->coeff[p.channel];
        for (unsigned k = 1; k <= r->degree; k++) {
            sum += r->coeff[k * r->layout.shape.channels + p.channel] * t1;
            double t = 2 * x[s].re * t1 - t0;
            t0 = t1;
            t1 = t;
        }
        /* the gain bounds the output */
        if (fabs(x[s].re) <= 1) ck_assert_double_le(fabs(sum), 1.001);
        out[s].re = sum;
    }
}

static void start(simulator *m, const nn_schedule *s, const double *picture)
{
    for (uint32_t k = 0; k < SLOTS; k++) {
        m->x[0][k] = (ckks_complex){slot_value(s->input, picture, k) / s->input_bound, 0};
        ck_assert_double_le(fabs(m->x[0][k].re), 1);
    }
}

/* ---- networks ---- */

static void resnet(small_network *n)
{
    small_network_init(n, 1, 10, 0, seed);
}

static void padded_resnet(small_network *n)
{
    small_network_init(n, 1, 17, 1, seed + 1);
}

/* One of everything: a grey picture of 28, valid and depthwise convolution, branches of different
 * strides joined, pooling, a hidden layer. */
static void mixture(small_network *n)
{
    small_begin(n, (nn_shape){1, 28, 28}, seed + 2);
    nn_tensor x = small_relu(
        n, small_convolution(n, 0,
                             (nn_convolution_spec){.channels = 6, .kernel_y = 5, .kernel_x = 5}));
    nn_tensor y = small_relu(n, small_convolution(n, x,
                                                  (nn_convolution_spec){.channels = 6,
                                                                        .groups = 6,
                                                                        .kernel_y = 3,
                                                                        .kernel_x = 3,
                                                                        .pad_top = 1,
                                                                        .pad_left = 1,
                                                                        .pad_bottom = 1,
                                                                        .pad_right = 1}));
    x = small_relu(n, small_conv(n, small_concat(n, x, y), 8, 3, 2));
    x = small_max(n, x, 2, 2);
    x = small_relu(n, small_dense(n, x, 40));
    small_end(n, small_dense(n, x, 10));
}

static void (*const networks[])(small_network *) = {resnet, padded_resnet, mixture};

START_TEST(schedule_computes_the_network)
{
    small_network n;
    nn_schedule s;
    static simulator m;
    static double pixels[SLOTS], picture[SLOTS], layers[MAX_LAYERS * SMALL_VALUES], tensor[SLOTS];
    double scores[32], direct[32];
    networks[_i](&n);
    small_picture(&n, pixels, picture);
    direct_network(&n, direct, picture, NULL, 1);
    double max_w = direct_network(&n, direct, picture, layers, 0);
    ck_assert_double_le(max_w, 1);
    ck_assert_int_eq(nn_schedule_init(&s, &n.model, &n.plan), FHOLA_OK);
    ck_assert_uint_eq(s.count, n.plan.count);
    ck_assert_uint_le(s.count, MAX_LAYERS);
    start(&m, &s, picture);
    for (size_t i = 0; i < s.count; i++) {
        nn_recipe *r = &s.layer[i];
        size_t plane = (size_t)r->layout.shape.height * r->layout.shape.width;
        add_up(&m, r, true);
        sine(r->layout, s.eps, m.sum);
        polynomial(r, m.x[i + 1], m.sum);
        nn_layout_gather(r->layout, tensor, m.x[i + 1]);
        for (size_t k = 0; k < nn_shape_values(r->layout.shape); k++)
            ck_assert_double_eq_tol(tensor[k] * r->gain[k / plane], layers[i * SMALL_VALUES + k],
                                    1e-8);
    }
    add_up(&m, &s.layer[s.count], false);
    nn_layout_gather(nn_schedule_scores(&s)->layout, scores, m.sum);
    for (unsigned r = 0; r < n.model.classes; r++)
        ck_assert_double_eq_tol(scores[r], direct[r], 1e-7);
    printf("network %d: %zu layers, largest |w| %.2f, first score %.3f\n", _i, s.count, max_w,
           scores[0]);
    nn_schedule_clear(&s);
    small_network_clear(&n);
}
END_TEST

START_TEST(wrong_plan)
{
    small_network n;
    nn_schedule s;
    small_network_init(&n, 1, 10, 0, seed);
    n.plan.count--;
    ck_assert_int_eq(nn_schedule_init(&s, &n.model, &n.plan), FHOLA_PARAM);
    ck_assert_ptr_null(s.layer);
    n.plan.count++;
    n.plan.activations[3].channels--;
    ck_assert_int_eq(nn_schedule_init(&s, &n.model, &n.plan), FHOLA_PARAM);
    n.plan.activations[3].channels++;
    small_network_clear(&n);
}
END_TEST

/* The message says which node, and how many values it has. */
START_TEST(too_many_values)
{
    small_network n;
    nn_schedule s;
    small_begin(&n, (nn_shape){3, 64, 64}, seed);
    nn_tensor x = small_relu(&n, small_conv(&n, 0, 8, 3, 1));
    small_end(&n, small_dense(&n, small_global(&n, x), 10));
    ck_assert_int_eq(nn_schedule_init(&s, &n.model, &n.plan), FHOLA_PARAM);
    ck_assert_ptr_nonnull(strstr(fhola_detail(), "8 x 64 x 64 are 32768 values"));
    ck_assert_ptr_nonnull(strstr(fhola_detail(), nn_graph_layer(n.model.graph, 0)->name));
    small_network_clear(&n);
}
END_TEST

int main(void)
{
    const char *text = getenv("FHOLA_TEST_SEED");
    seed = text ? strtoull(text, NULL, 0) : 5;
    printf("FHOLA_TEST_SEED=%llu\n", (unsigned long long)seed);
    Suite *suite = suite_create("schedule");
    TCase *tcase = tcase_create("schedule");
    tcase_set_timeout(tcase, 240);
    tcase_add_loop_test(tcase, schedule_computes_the_network, 0,
                        sizeof networks / sizeof networks[0]);
    tcase_add_test(tcase, wrong_plan);
    tcase_add_test(tcase, too_many_values);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
