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
    slot_parts x[MAX_LAYERS + 1]; /* node i */
    slot_parts sum, term;
} simulator;

static void add_to(ckks_complex *x, const ckks_complex *y, uint32_t period)
{
    for (uint32_t s = 0; s < SLOTS; s++) {
        x[s].re += y[s % period].re;
        x[s].im += y[s % period].im;
    }
}

static void add_up(simulator *m, nn_recipe *r, bool scores)
{
    static ckks_complex bias[SLOTS];
    unsigned sums = nn_layout_bootstraps(r->layout);
    memset(m->sum, 0, sizeof m->sum);
    for (size_t e = 0; e < r->count; e++) {
        apply_linear(&r->contribution[e].linear, m->term, m->x[r->contribution[e].from]);
        for (unsigned k = 0; k < sums; k++) add_to(m->sum[k], m->term[k], SLOTS);
    }
    for (unsigned k = 0; k < sums; k++) {
        if (scores)
            nn_layout_spread(r->layout, k, bias, r->bias, r->full_bias);
        else
            nn_layout_spread_rows(r->layout, k, bias, r->bias, r->full_bias);
        add_to(m->sum[k], bias, r->layout.slots);
    }
}

/* What bootstrap `index` does to its slots: add the halves of a part, or set a pair apart, average
 * the copies, take the sine. Real, period n. */
static void bootstrap(nn_layout layout, double eps, unsigned index, const ckks_complex *sum,
                      slot_parts out)
{
    const double pi = acos(-1.0);
    nn_rows rows = nn_layout_rows(layout, index);
    for (uint32_t j = 0; j < rows.count; j++) {
        ckks_complex w = bootstrapped(layout, index, sum, j);
        for (uint32_t s = j; s < SLOTS; s += layout.slots) {
            out[rows.first][s] = (ckks_complex){sin(2 * pi * eps * w.re) / sin(2 * pi * eps), 0};
            out[rows.second][s + rows.offset] =
                (ckks_complex){sin(2 * pi * eps * w.im) / sin(2 * pi * eps), 0};
        }
    }
}

static void polynomial(const nn_recipe *r, unsigned part, ckks_complex *x)
{
    for (uint32_t s = 0; s < SLOTS; s++) {
        nn_place p;
        double v = x[s].re;
        x[s] = (ckks_complex){0, 0};
        if (!nn_layout_place(&p, r->layout, part, s)) continue;
        double t0 = 1, t1 = v, sum = r->coeff[p.channel];
        for (unsigned k = 1; k <= r->degree; k++) {
            sum += r->coeff[k * r->layout.shape.channels + p.channel] * t1;
            double t = 2 * v * t1 - t0;
            t0 = t1;
            t1 = t;
        }
        /* the gain bounds the output */
        if (fabs(v) <= 1) ck_assert_double_le(fabs(sum), 1.001);
        x[s].re = sum;
    }
}

/* Layer i, and its values as a tensor. */
static void run_layer(simulator *m, const nn_schedule *s, size_t i, double *tensor)
{
    nn_recipe *r = &s->layer[i];
    add_up(m, r, false);
    for (unsigned k = 0; k < nn_layout_bootstraps(r->layout); k++)
        bootstrap(r->layout, s->eps, k, m->sum[k], m->x[i + 1]);
    for (unsigned k = 0; k < r->layout.parts; k++) {
        polynomial(r, k, m->x[i + 1][k]);
        nn_layout_gather(r->layout, k, tensor, m->x[i + 1][k]);
    }
}

static void start(simulator *m, const nn_schedule *s, const double *picture)
{
    fill_slots(s->input, m->x[0], picture);
    for (unsigned p = 0; p < s->input.parts; p++)
        for (uint32_t k = 0; k < SLOTS; k++) {
            m->x[0][p][k].re /= s->input_bound;
            ck_assert_double_le(fabs(m->x[0][p][k].re), 1);
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

/* Five, three and two ciphertexts of 4,096 values, a sum of nodes with several, a vector. */
static void large(small_network *n)
{
    small_begin(n, (nn_shape){3, 48, 48}, seed + 3);
    nn_tensor x = small_relu(n, small_conv(n, 0, 5, 3, 1));
    nn_tensor y = small_relu(n, small_conv(n, x, 12, 3, 2));
    x = small_relu(n, small_add(n, small_conv(n, y, 12, 3, 1), small_conv(n, x, 12, 1, 2)));
    x = small_relu(n, small_dense(n, x, 30));
    small_end(n, small_dense(n, x, 10));
}

static const struct {
    void (*make)(small_network *);
    size_t slots;
} networks[] = {
    {resnet, SLOTS}, {padded_resnet, SLOTS}, {mixture, SLOTS}, {resnet, 4096}, {large, 4096}};

START_TEST(schedule_computes_the_network)
{
    small_network n;
    nn_schedule s;
    static simulator m;
    static double pixels[SLOTS], picture[SLOTS], layers[MAX_LAYERS * SMALL_VALUES], tensor[SLOTS];
    double scores[32], direct[32];
    networks[_i].make(&n);
    small_picture(&n, pixels, picture);
    direct_network(&n, direct, picture, NULL, 1);
    double max_w = direct_network(&n, direct, picture, layers, 0);
    ck_assert_double_le(max_w, 1);
    ck_assert_int_eq(nn_schedule_init(&s, &n.model, &n.plan, networks[_i].slots), FHOLA_OK);
    ck_assert_uint_eq(s.count, n.plan.count);
    ck_assert_uint_le(s.count, MAX_LAYERS);
    start(&m, &s, picture);
    for (size_t i = 0; i < s.count; i++) {
        nn_recipe *r = &s.layer[i];
        size_t plane = (size_t)r->layout.shape.height * r->layout.shape.width;
        run_layer(&m, &s, i, tensor);
        for (size_t k = 0; k < nn_shape_values(r->layout.shape); k++)
            ck_assert_double_eq_tol(tensor[k] * r->gain[k / plane], layers[i * SMALL_VALUES + k],
                                    1e-8);
    }
    add_up(&m, &s.layer[s.count], true);
    nn_layout_gather(nn_schedule_scores(&s)->layout, 0, scores, m.sum[0]);
    for (unsigned r = 0; r < n.model.classes; r++)
        ck_assert_double_eq_tol(scores[r], direct[r], 1e-7);
    printf("network %d: %zu layers, %u ciphertexts behind the first, largest |w| %.2f, first score "
           "%.3f\n",
           _i, s.count, s.layer[0].layout.parts, max_w, scores[0]);
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
    ck_assert_int_eq(nn_schedule_init(&s, &n.model, &n.plan, SLOTS), FHOLA_PARAM);
    ck_assert_ptr_null(s.layer);
    n.plan.count++;
    n.plan.activations[3].channels--;
    ck_assert_int_eq(nn_schedule_init(&s, &n.model, &n.plan, SLOTS), FHOLA_PARAM);
    n.plan.activations[3].channels++;
    small_network_clear(&n);
}
END_TEST

/* The message says which node, and how many values a channel has. */
START_TEST(too_many_values)
{
    small_network n;
    nn_schedule s;
    small_begin(&n, (nn_shape){1, 80, 80}, seed);
    nn_tensor x = small_relu(&n, small_conv(&n, 0, 2, 3, 2));
    small_end(&n, small_dense(&n, small_global(&n, x), 10));
    ck_assert_int_eq(nn_schedule_init(&s, &n.model, &n.plan, 4096), FHOLA_PARAM);
    ck_assert_ptr_nonnull(strstr(fhola_detail(), "a channel of 80 x 80 values is more than the "
                                                 "4096 that fit into one ciphertext"));
    ck_assert_ptr_nonnull(strstr(fhola_detail(), n.model.graph->nodes[0].name));
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
