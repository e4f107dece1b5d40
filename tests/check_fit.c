/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/planner/fit.h"

#include "check_nn_support.h"
#include "nn/graph/graph.h"
#include "nn/plain/trace.h"

#define PICTURES 66u /* more than one chunk */
#define HELD     3u

typedef struct setting {
    nn_model *model;
    nn_batch *calibration, *held_out;
    nn_plan *plan;
    nn_plan_options options;
} setting;

static setting set_up(const char *shortcut)
{
    setting s;
    succeed(nn_model_load(&s.model, write_network("n", 1, shortcut, test_seed), NULL));
    succeed(nn_batch_load(&s.calibration, write_batch("c", PICTURES, 3, test_seed), 0, 0));
    succeed(nn_batch_load(&s.held_out, write_batch("h", HELD, 3, test_seed + 1), 0, 0));
    nn_plan_defaults(&s.options);
    succeed(nn_plan_create(&s.plan, s.model, s.options.eps));
    for (size_t i = 0; i < s.plan->count; i++)
        succeed(nn_plan_set_degree(s.plan, i, i % 2 ? 7 : 5));
    return s;
}

static void tear_down(setting *s)
{
    nn_plan_free(s->plan);
    nn_batch_free(s->calibration);
    nn_batch_free(s->held_out);
    nn_model_free(s->model);
}

static void trace_of(nn_trace **trace, const setting *s, const nn_plan *plan, const nn_batch *batch,
                     size_t index)
{
    double rgb[NN_PICTURE_VALUES];
    nn_batch_picture(batch, index, rgb);
    nn_picture_normalise(rgb, rgb, s->model->mean, s->model->std);
    succeed(nn_trace_create(trace, s->model, plan, rgb));
}

/* What the passage collects in front of activation i, against traces of every picture through the
 * plan fitted so far. */
static void compare_arrivals(const setting *s, const nn_arrivals *arrivals, size_t i)
{
    double min[64], max[64], held_min[64], held_max[64], sum[64] = {0}, target[64] = {0};
    unsigned channels = arrivals->channels;
    nn_plan *plan;
    /* what lies behind i does not matter, but must be a plan */
    succeed(nn_plan_create(&plan, s->model, s->plan->eps));
    for (size_t j = 0; j < plan->count; j++) {
        nn_activation *to = &plan->activations[j];
        const nn_activation *from = &s->plan->activations[j];
        succeed(nn_plan_set_degree(plan, j, j < i ? from->degree : 1));
        for (unsigned c = 0; c < to->channels && j < i; c++) {
            to->centre[c] = from->centre[c];
            to->half_width[c] = from->half_width[c];
            for (unsigned k = 0; k <= to->degree; k++)
                to->coeff[k * to->channels + c] = from->coeff[k * to->channels + c];
        }
    }
    for (unsigned c = 0; c < channels; c++) {
        min[c] = held_min[c] = (double)INFINITY;
        max[c] = held_max[c] = -(double)INFINITY;
    }
    size_t plane = 0;
    for (size_t p = 0; p < PICTURES + HELD; p++) {
        bool held = p >= PICTURES;
        nn_trace *trace, *exact;
        trace_of(&trace, s, plan, held ? s->held_out : s->calibration, held ? p - PICTURES : p);
        trace_of(&exact, s, NULL, held ? s->held_out : s->calibration, held ? p - PICTURES : p);
        plane = (size_t)trace->layers[i].shape.height * trace->layers[i].shape.width;
        for (unsigned c = 0; c < channels; c++) {
            for (size_t j = c * plane; j < (c + 1) * plane; j++) {
                double x = trace->layers[i].x[j], x_exact = exact->layers[i].x[j];
                if (held) {
                    held_min[c] = fmin(held_min[c], x);
                    held_max[c] = fmax(held_max[c], x);
                } else {
                    min[c] = fmin(min[c], fmin(x, x_exact));
                    max[c] = fmax(max[c], fmax(x, x_exact));
                    sum[c] += x;
                    target[c] += exact->layers[i].y[j];
                }
            }
        }
        nn_trace_free(trace);
        nn_trace_free(exact);
    }
    for (unsigned c = 0; c < channels; c++) {
        const ola_histogram *h = &arrivals->histograms[c];
        double in_bins = 0, x_sum = 0, target_sum = 0, count = (double)(PICTURES * plane);
        for (size_t b = 0; b < h->bins; b++) {
            in_bins += h->weight[b];
            x_sum += h->sum_x[b];
            target_sum += h->sum_target[b];
        }
        ck_assert_double_eq(in_bins, count);
        assert_close(x_sum / count, sum[c] / count, 1e-4);
        assert_close(target_sum / count, target[c] / count, 1e-4);
        assert_close(arrivals->min[c], min[c], 1e-4);
        assert_close(arrivals->max[c], max[c], 1e-4);
        assert_close(arrivals->held_min[c], held_min[c], 1e-4);
        assert_close(arrivals->held_max[c], held_max[c], 1e-4);
    }
    nn_plan_free(plan);
}

START_TEST(passage_follows_both_networks)
{
    setting s = set_up(_i ? "down" : NULL);
    nn_passage *passage;
    succeed(nn_passage_create(&passage, s.model, s.calibration, PICTURES, s.held_out,
                              nn_batch_count(s.held_out), true));
    for (size_t i = 0; i < s.plan->count; i++) {
        nn_arrivals arrivals;
        succeed(nn_passage_arrivals(&arrivals, passage, i));
        if (i ==
            (_i ? 4 : 5)) /* behind a projection; inside of the block after a padded shortcut */
            compare_arrivals(&s, &arrivals, i);
        succeed(nn_fit_activation(s.plan, i, &arrivals, &s.options));
        succeed(nn_passage_advance(passage, i, &s.plan->activations[i], s.plan->eps));
        nn_arrivals_clear(&arrivals);
    }
    nn_passage_free(passage);
    tear_down(&s);
}
END_TEST

/* Intervals: the margin over the calibration range, and no held-out picture beyond the limit. */
START_TEST(intervals_cover_what_arrives)
{
    setting s = set_up("down");
    nn_passage *passage;
    nn_arrivals arrivals;
    succeed(nn_passage_create(&passage, s.model, s.calibration, PICTURES, s.held_out,
                              nn_batch_count(s.held_out), true));
    succeed(nn_passage_arrivals(&arrivals, passage, 0));
    arrivals.held_max[3] = 5 * arrivals.max[3] + 5;
    succeed(nn_fit_activation(s.plan, 0, &arrivals, &s.options));
    const nn_activation *a = &s.plan->activations[0];
    double widest = 0;
    for (unsigned c = 0; c < a->channels; c++)
        widest = fmax(widest, arrivals.max[c] - arrivals.min[c]);
    for (unsigned c = 0; c < a->channels; c++) {
        double half = (arrivals.max[c] - arrivals.min[c]) / 2,
               w = (arrivals.held_max[c] - a->centre[c]) / a->half_width[c];
        assert_close(a->centre[c], (arrivals.max[c] + arrivals.min[c]) / 2, 1e-9);
        ck_assert(a->half_width[c] >= s.options.margin_output * half * (1 - 1e-12));
        ck_assert(a->half_width[c] >= s.options.floor * widest / 2 * (1 - 1e-12));
        ck_assert(w <= s.options.limit_w * (1 + 1e-12));
    }
    assert_close((arrivals.held_max[3] - a->centre[3]) / a->half_width[3], s.options.limit_w, 1e-9);
    assert_close(a->max_w, s.options.limit_w, 1e-9);
    nn_arrivals_clear(&arrivals);
    nn_passage_free(passage);
    tear_down(&s);
}
END_TEST

/* Values that overflow are an error that names the place, not a plan full of NaN. */
START_TEST(refuses_values_that_are_not_finite)
{
    setting s = set_up("down");
    nn_passage *passage;
    nn_arrivals arrivals = {0};
    s.model->graph->nodes[1].bias[5] = 1e300;
    succeed(nn_passage_create(&passage, s.model, s.calibration, PICTURES, NULL, 0, true));
    fail_with(nn_passage_arrivals(&arrivals, passage, 0), FHOLA_RANGE, "activation 0, channel 5");
    ck_assert_ptr_null(arrivals.histograms);
    nn_passage_free(passage);
    tear_down(&s);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("fit");
    tcase_add_loop_test(tcase, passage_follows_both_networks, 0, 2);
    tcase_add_test(tcase, intervals_cover_what_arrives);
    tcase_add_test(tcase, refuses_values_that_are_not_finite);
    return run_tests("fit", tcase, 300);
}
