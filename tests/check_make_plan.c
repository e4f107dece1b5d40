/* SPDX-License-Identifier: Apache-2.0 */
#include "check_nn_support.h"
#include "nn/graph/model_io.h"
#include "nn/nn.h"
#include "nn/planner/plan.h"
#include "nn/planner/profile.h"
#include "ola/ola.h"

#ifdef _OPENMP
#include <omp.h>
#endif

typedef struct setting {
    nn_model *model;
    nn_batch *calibration, *held_out;
    nn_plan_options options;
} setting;

static setting set_up(void)
{
    setting s;
    succeed(nn_model_load(&s.model, write_network("n", 1, "down", test_seed), NULL));
    succeed(nn_batch_load(&s.calibration, write_batch("c", 40, 3, test_seed), 0, 0));
    succeed(nn_batch_load(&s.held_out, write_batch("h", 20, 3, test_seed + 1), 0, 0));
    nn_plan_defaults(&s.options);
    s.options.depth = 20;
    s.options.max_degree = 31;
    s.options.sensitivity_pictures = 10;
    return s;
}

static void tear_down(setting *s)
{
    nn_batch_free(s->calibration);
    nn_batch_free(s->held_out);
    nn_model_free(s->model);
}

static nn_plan *make(const setting *s)
{
    nn_plan *plan;
    succeed(nn_plan_make(&plan, s->model, s->calibration, s->held_out, &s->options, NULL, NULL));
    return plan;
}

/* Root mean square difference of the held-out scores to the exact network's. */
static double error_of(const setting *s, const nn_plan *plan)
{
    double sum = 0;
    for (size_t i = 0; i < nn_batch_count(s->held_out); i++) {
        double rgb[NN_PICTURE_VALUES], exact[3], scores[3];
        nn_batch_picture(s->held_out, i, rgb);
        nn_picture_normalise(rgb, rgb, s->model->mean, s->model->std);
        succeed(nn_plain_scores(exact, s->model, NULL, rgb));
        succeed(nn_plain_scores(scores, s->model, plan, rgb));
        for (size_t k = 0; k < 3; k++) sum += (scores[k] - exact[k]) * (scores[k] - exact[k]);
    }
    return sqrt(sum / (3.0 * (double)nn_batch_count(s->held_out)));
}

START_TEST(higher_degrees_come_closer)
{
    setting s = set_up();
    static const unsigned degrees[3] = {3, 7, 31};
    double error[3];
    for (int k = 0; k < 3; k++) {
        unsigned all[7];
        for (size_t i = 0; i < 7; i++) all[i] = degrees[k];
        s.options.degrees = all;
        nn_plan *plan = make(&s);
        succeed(nn_plan_check(plan, s.model));
        error[k] = error_of(&s, plan);
        for (size_t i = 0; i < 7; i++)
            ck_assert(nn_plan_max_w(plan, i) > 0 &&
                      nn_plan_max_w(plan, i) <= s.options.limit_w + 1e-9);
        nn_plan_free(plan);
    }
    printf("RMS error of the scores at degrees 3, 7, 31: %.4f %.4f %.4f\n", error[0], error[1],
           error[2]);
    ck_assert(error[1] < 0.7 * error[0]);
    ck_assert(error[2] < 0.5 * error[1]);
    tear_down(&s);
}
END_TEST

/* A composition is ReLU up to 2^-alpha of the half-width, at every activation; nothing else of the
 * options matters. */
START_TEST(composition_is_nearly_exact)
{
    static const unsigned degrees[] = {15, 15, 27};
    setting s = set_up();
    ola_composite sign;
    succeed(ola_composite_relu(&sign, degrees, 3, 13));
    s.options.sign = &sign;
    s.options.depth = 0;
    nn_plan *plan = NULL;
    fail_with(nn_plan_make(&plan, s.model, s.calibration, s.held_out, &s.options, NULL, NULL),
              FHOLA_PARAM, "smaller eps");
    s.options.eps = 0.125; /* at 1/4 the sine is level at the ends */
    plan = make(&s);
    ck_assert_uint_eq(nn_plan_depth(plan), 7 * 14);
    ck_assert_uint_eq(nn_plan_levels(plan), 15);
    for (size_t i = 0; i < plan->count; i++) {
        const nn_activation *a = &plan->activations[i];
        ck_assert_double_le(nn_plan_max_w(plan, i), s.options.limit_w + 1e-9);
        for (int j = -1000; j <= 1000; j++) {
            double w = j / 1000.0, y = nn_activation_eval(a, 1, ola_variable(plan->eps, w)),
                   half = a->half_width[1];
            ck_assert_double_le(fabs(y - half * fmax(w, 0)), half * 0x1p-12);
        }
    }
    double error = error_of(&s, plan);
    printf("scores with compositions: off by %g\n", error);
    ck_assert_double_le(error, 0.02);
    nn_plan_free(plan);
    tear_down(&s);
}
END_TEST

START_TEST(keeps_the_depth_and_uses_it)
{
    setting s = set_up();
    nn_profile *profile;
    succeed(nn_profile_make(&profile, s.model, s.calibration, &s.options, NULL, NULL));
    for (size_t i = 0; i < profile->count; i++)
        for (size_t k = 1; k < NN_PROFILE_DEGREES; k++)
            ck_assert(profile->layers[i].sensitivity[k] >= 0);
    s.options.profile = profile;
    double before = (double)INFINITY;
    for (unsigned depth = 14; depth <= 35; depth += 7) {
        s.options.depth = depth;
        nn_plan *plan = make(&s);
        double error = error_of(&s, plan);
        ck_assert_uint_le(nn_plan_depth(plan), depth);
        ck_assert_uint_ge(nn_plan_depth(plan), depth - 2);
        ck_assert(error < before);
        before = error;
        nn_plan_free(plan);
    }
    nn_profile_free(profile);
    tear_down(&s);
}
END_TEST

/* Exchanges of degrees bring the scores closer to the exact network's within the same budget. The
 * sensitivities are turned round, so that there is something to exchange. */
START_TEST(exchanges_improve_a_schedule)
{
    setting s = set_up();
    nn_profile *profile;
    succeed(nn_profile_make(&profile, s.model, s.calibration, &s.options, NULL, NULL));
    for (size_t k = 0; k < NN_PROFILE_DEGREES; k++)
        for (size_t i = 0; i < profile->count / 2; i++) {
            double *front = &profile->layers[i].sensitivity[k],
                   *back = &profile->layers[profile->count - 1 - i].sensitivity[k], kept = *front;
            *front = *back;
            *back = kept;
        }
    s.options.profile = profile;
    nn_plan *before = make(&s);
    s.options.refine_pictures = nn_batch_count(s.held_out);
    nn_plan *after = make(&s);
    double error[2] = {error_of(&s, before), error_of(&s, after)};
    printf("RMS error of the scores before and after exchanges: %.4f %.4f\n", error[0], error[1]);
    ck_assert(error[1] < 0.99 * error[0]);
    ck_assert_uint_le(nn_plan_depth(after), s.options.depth);
    nn_plan_free(before);
    nn_plan_free(after);
    nn_profile_free(profile);
    tear_down(&s);
}
END_TEST

/* With and without a profile at hand, on one thread and on three: the same file. */
START_TEST(is_deterministic)
{
    setting s = set_up();
    nn_profile *profile;
    char *first, *second;
    size_t length, length_2;
#ifdef _OPENMP
    omp_set_num_threads(1);
#endif
    nn_plan *plan = make(&s);
    succeed(nn_plan_format(&first, &length, plan));
    nn_plan_free(plan);
#ifdef _OPENMP
    omp_set_num_threads(3);
#endif
    succeed(nn_profile_make(&profile, s.model, s.calibration, &s.options, NULL, NULL));
    s.options.profile = profile;
    plan = make(&s);
    succeed(nn_plan_format(&second, &length_2, plan));
    ck_assert_uint_eq(length, length_2);
    ck_assert_int_eq(memcmp(first, second, length), 0);
    free(first);
    free(second);
    nn_plan_free(plan);
    nn_profile_free(profile);
    tear_down(&s);
}
END_TEST

/* Networks with smooth activations, and ReLU given as points; a profile belongs to one function. */
START_TEST(fits_other_functions)
{
    static const char *const functions[] = {"gelu", "silu", NULL};
    setting s = set_up();
    unsigned all[7];
    double error[3];
    for (size_t i = 0; i < 7; i++) all[i] = 15;
    s.options.degrees = all;
    nn_plan *relu = make(&s), *table;
    double relu_error = error_of(&s, relu);
    for (int f = 0; f < 3; f++) {
        succeed(nn_model_set_function(
            s.model, functions[f] ? functions[f] : write_string("t", "[[-9, 0], [0, 0], [9, 9]]")));
        table = make(&s);
        error[f] = error_of(&s, table);
        if (f < 2) nn_plan_free(table);
    }
    printf("RMS error of the scores at degree 15: ReLU %.5f, GELU %.5f, SiLU %.5f\n", relu_error,
           error[0], error[1]);
    ck_assert(error[0] < relu_error / 4 && error[1] < relu_error / 4); /* they have no kink */
    assert_close(error[2], relu_error, 0.01 * relu_error);
    for (size_t i = 0; i < 7; i++)
        for (size_t k = 0; k < 16 * (size_t)relu->activations[i].channels; k++)
            assert_close(table->activations[i].coeff[k], relu->activations[i].coeff[k], 1e-3);
    nn_plan_free(table);
    nn_plan_free(relu);
    nn_profile *profile;
    s.options.degrees = NULL;
    succeed(nn_profile_make(&profile, s.model, s.calibration, &s.options, NULL, NULL));
    s.options.profile = profile;
    succeed(nn_model_set_function(s.model, "relu"));
    fail_with(nn_plan_make(&table, s.model, s.calibration, NULL, &s.options, NULL, NULL),
              FHOLA_PARAM, "activation function");
    nn_profile_free(profile);
    tear_down(&s);
}
END_TEST

/* Its sensitivities are of polynomials behind another sine. */
START_TEST(refuses_a_profile_of_another_eps)
{
    setting s = set_up();
    nn_profile *profile;
    nn_plan *plan = NULL;
    s.options.eps = 0.125;
    succeed(nn_profile_make(&profile, s.model, s.calibration, &s.options, NULL, NULL));
    s.options.profile = profile;
    s.options.eps = 0.25;
    fail_with(nn_plan_make(&plan, s.model, s.calibration, NULL, &s.options, NULL, NULL),
              FHOLA_PARAM, "eps 0.125, the plan is for eps 0.25");
    ck_assert_ptr_null(plan);
    nn_profile_free(profile);
    tear_down(&s);
}
END_TEST

static void count_fits(void *user, const char *step, size_t done, size_t total)
{
    if (strcmp(step, "fit") == 0 && done == total) ++*(unsigned *)user;
}

/* Any plan keeps a loss of 100 points: the cheapest is fitted once, not again for every loss that
 * leads to it. */
START_TEST(fits_no_schedule_twice)
{
    setting s = set_up();
    nn_plan *plan;
    unsigned fits = 0;
    s.options.depth = 0;
    s.options.max_loss = 100;
    succeed(nn_plan_make(&plan, s.model, s.calibration, s.held_out, &s.options, count_fits, &fits));
    ck_assert_uint_eq(nn_plan_depth(plan), 14);
    ck_assert_uint_eq(fits, 1);
    nn_plan_free(plan);
    tear_down(&s);
}
END_TEST

START_TEST(refuses_bad_options)
{
    static const double not_a_number = (double)NAN;
    setting s = set_up();
    nn_plan *plan = NULL;
    nn_plan_options good = s.options;
    const ola_composite composition = {.count = 0};
    unsigned degrees[7] = {3, 3, 3, 3, 3, 3, 64};
#define REFUSED(member, value, words)                                                              \
    do {                                                                                           \
        s.options = good;                                                                          \
        s.options.member = (value);                                                                \
        fail_with(nn_plan_make(&plan, s.model, s.calibration, NULL, &s.options, NULL, NULL),       \
                  FHOLA_PARAM, words);                                                             \
        ck_assert_ptr_null(plan);                                                                  \
    } while (0)
    REFUSED(depth, 13, "at least 14");
    REFUSED(eps, 0.26, "eps");
    REFUSED(eps, not_a_number, "eps");
    REFUSED(margin_inside, 0.9, "margins");
    REFUSED(margin_output, not_a_number, "margins");
    REFUSED(floor, 1.5, "floor");
    REFUSED(guard, 0, "guard");
    REFUSED(limit_w, 0, "limit");
    REFUSED(sensitivity_pictures, 0, "at least one picture");
    good.refine_pictures = 5;
    REFUSED(sign, &composition, "exchanged");
    REFUSED(degrees, degrees, "exchanged");
    good.refine_pictures = 0;
    REFUSED(degrees, degrees, "degree 64 of activation 6");
    degrees[6] = 0;
    REFUSED(degrees, degrees, "degree 0");
    tear_down(&s);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("make_plan");
    tcase_add_test(tcase, higher_degrees_come_closer);
    tcase_add_test(tcase, composition_is_nearly_exact);
    tcase_add_test(tcase, keeps_the_depth_and_uses_it);
    tcase_add_test(tcase, exchanges_improve_a_schedule);
    tcase_add_test(tcase, is_deterministic);
    tcase_add_test(tcase, fits_other_functions);
    tcase_add_test(tcase, refuses_a_profile_of_another_eps);
    tcase_add_test(tcase, fits_no_schedule_twice);
    tcase_add_test(tcase, refuses_bad_options);
    return run_tests("make_plan", tcase, 300);
}
