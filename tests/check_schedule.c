/* SPDX-License-Identifier: Apache-2.0 */
/* The whole schedule executed on plain slots (diagonals, sine, polynomials, masks) for small random
 * networks: equal to the definition. */
#include "nn/encrypted/schedule.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/small_network.h"

#define SLOTS 16384u

static uint64_t seed;

typedef struct simulator {
    ckks_complex x[SLOTS], kept[SLOTS], other[SLOTS];
} simulator;

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

static void add_channels(nn_layout layout, ckks_complex *x, const double *channel_value)
{
    ckks_complex *v = malloc(layout.slots * sizeof *v);
    ck_assert_ptr_nonnull(v);
    nn_layout_spread(layout, v, channel_value, 1);
    for (uint32_t s = 0; s < SLOTS; s++) {
        x[s].re += v[s % layout.slots].re;
        x[s].im += v[s % layout.slots].im;
    }
    free(v);
}

static void add_skip(nn_layout layout, ckks_complex *x, const ckks_complex *kept,
                     const double *factor)
{
    ckks_complex *v = malloc(layout.slots * sizeof *v);
    ck_assert_ptr_nonnull(v);
    nn_layout_spread(layout, v, factor, 1);
    for (uint32_t s = 0; s < SLOTS; s++) {
        x[s].re += v[s % layout.slots].re * kept[s].re;
        x[s].im += v[s % layout.slots].im * kept[s].re;
    }
    free(v);
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

static void polynomial(const nn_recipe *r, ckks_complex *x)
{
    for (uint32_t s = 0; s < SLOTS; s++) {
        unsigned c = nn_layout_place(r->layout, s % r->layout.slots).channel;
        double t0 = 1, t1 = x[s].re, sum = r->coeff[c];
        for (unsigned k = 1; k <= r->degree; k++) {
            sum += r->coeff[k * r->layout.channels + c] * t1;
            double t = 2 * x[s].re * t1 - t0;
            t0 = t1;
            t1 = t;
        }
        /* the gain bounds the output */
        if (fabs(x[s].re) <= 1) ck_assert_double_le(fabs(sum), 1.001);
        x[s].re = sum;
    }
}

static void run_layer(simulator *m, nn_schedule *s, size_t i)
{
    nn_recipe *r = &s->layer[i];
    if (r->opens && r->stage_change) apply(&r->shortcut, m->kept, m->x);
    if (r->opens && !r->stage_change) memcpy(m->kept, m->x, sizeof m->x);
    apply(&r->linear, m->other, m->x);
    memcpy(m->x, m->other, sizeof m->x);
    if (r->closes && r->skip) add_skip(r->layout, m->x, m->kept, r->skip);
    for (uint32_t k = 0; r->closes && !r->skip && k < SLOTS; k++) {
        m->x[k].re += m->kept[k].re;
        m->x[k].im += m->kept[k].im;
    }
    add_channels(r->layout, m->x, r->bias);
    sine(r->layout, s->eps, m->x);
    polynomial(r, m->x);
}

static void start(simulator *m, const nn_schedule *s, const double *picture)
{
    for (uint32_t k = 0; k < SLOTS; k++) {
        nn_place p = nn_layout_place(s->input, k % s->input.slots);
        m->x[k] = (ckks_complex){
            p.channel < 3 ? picture[(p.channel * 32 + p.y) * 32 + p.x] / s->input_bound : 0, 0};
        ck_assert_double_le(fabs(m->x[k].re), 1);
    }
}

static void finish(simulator *m, nn_schedule *s, double *scores)
{
    apply(&s->scores, m->other, m->x);
    for (uint32_t r = s->scores.rows; r < s->scores.in.slots; r *= 2) {
        memcpy(m->x, m->other, sizeof m->x);
        for (uint32_t k = 0; k < SLOTS; k++) m->other[k].re += m->x[(k + r) % SLOTS].re;
    }
    for (unsigned r = 0; r < s->classes; r++) scores[r] = m->other[r].re + s->score_bias[r];
}

static const struct {
    unsigned blocks_per_stage, classes;
    int pad;
} networks[] = {{1, 10, 0}, {1, 10, 1}, {2, 17, 0}};

START_TEST(schedule_computes_the_network)
{
    small_network n;
    nn_schedule s;
    static simulator m;
    static double picture[3072], layers[13 * 16384], tensor[16384];
    double scores[32], direct[32];
    small_network_init(&n, networks[_i].blocks_per_stage, networks[_i].classes, networks[_i].pad,
                       seed + (unsigned)_i);
    for (unsigned i = 0; i < 3072; i++) {
        double pixel = (small_uniform(&n) + 1) / 2;
        picture[i] = (pixel - n.model.mean[i / 1024]) / n.model.std[i / 1024];
    }
    direct_network(&n, direct, picture, NULL, 1);
    double max_w = direct_network(&n, direct, picture, layers, 0);
    ck_assert_int_eq(nn_schedule_init(&s, &n.model, &n.plan), FHOLA_OK);
    ck_assert_uint_eq(s.count, n.plan.count);
    start(&m, &s, picture);
    for (size_t i = 0; i < s.count; i++) {
        run_layer(&m, &s, i);
        nn_layout l = s.layer[i].layout;
        nn_layout_gather(l, tensor, m.x);
        for (unsigned k = 0; k < 16384 && k < l.channels * l.side * l.side; k++) {
            double value = tensor[k] * s.layer[i].gain[k / (l.side * l.side)];
            ck_assert_double_eq_tol(value, layers[i * 16384 + k], 1e-8);
        }
    }
    finish(&m, &s, scores);
    for (unsigned r = 0; r < n.model.classes; r++)
        ck_assert_double_eq_tol(scores[r], direct[r], 1e-7);
    printf("network %d: largest |w| %.2f, first score %.3f\n", _i, max_w, scores[0]);
    ck_assert_double_le(max_w, 1);
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

int main(void)
{
    const char *text = getenv("FHOLA_TEST_SEED");
    seed = text ? strtoull(text, NULL, 0) : 5;
    printf("FHOLA_TEST_SEED=%llu\n", (unsigned long long)seed);
    Suite *suite = suite_create("schedule");
    TCase *tcase = tcase_create("schedule");
    tcase_set_timeout(tcase, 240);
    tcase_add_loop_test(tcase, schedule_computes_the_network, 0, 3);
    tcase_add_test(tcase, wrong_plan);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
