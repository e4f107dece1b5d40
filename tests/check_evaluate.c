/* SPDX-License-Identifier: Apache-2.0 */
#include "check_nn_support.h"
#include "nn/graph/model_io.h"
#include "nn/nn.h"

#ifdef _OPENMP
#include <omp.h>
#endif

static size_t reported;

static void note(void *user, const char *step, size_t done, size_t total)
{
    (void)step;
    ck_assert_uint_eq(total, *(size_t *)user);
    reported = done;
}

/* Lines through the origin: scores are those of a linear network, easy to keep finite. */
static nn_plan *linear_plan(const nn_model *model, double half_width)
{
    nn_plan *plan;
    succeed(nn_plan_create(&plan, model, 0.125));
    for (size_t i = 0; i < plan->count; i++) {
        nn_activation *a = &plan->activations[i];
        succeed(nn_plan_set_degree(plan, i, 3));
        for (unsigned c = 0; c < a->channels; c++) {
            a->half_width[c] = half_width;
            a->coeff[a->channels + c] = 1;
        }
    }
    return plan;
}

START_TEST(counts_what_the_engine_says)
{
    nn_model *model;
    nn_batch *batch;
    nn_evaluation e;
    size_t count = 40, right = 0;
    double max_score = 0;
    succeed(nn_model_load(&model, write_network("n", 1, "down", test_seed), NULL));
    succeed(nn_batch_load(&batch, write_batch("b", count, 3, test_seed), 0, 0));
    nn_plan *plan = linear_plan(model, 4);
    for (size_t i = 0; i < count; i++) {
        double rgb[NN_PICTURE_VALUES], scores[3];
        nn_batch_picture(batch, i, rgb);
        nn_picture_normalise(rgb, rgb, model->mean, model->std);
        succeed(nn_plain_scores(scores, model, plan, rgb));
        size_t best = scores[1] > scores[0] ? 1 : 0;
        best = scores[2] > scores[best] ? 2 : best;
        right += best == nn_batch_label(batch, i);
        for (size_t k = 0; k < 3; k++) max_score = fmax(max_score, fabs(scores[k]));
    }
    succeed(nn_evaluate(&e, model, plan, batch, 0, 0, note, &count));
    ck_assert_uint_eq(reported, count);
    ck_assert_uint_eq(e.pictures, count);
    ck_assert_uint_eq(e.right, right);
    ck_assert_uint_eq(e.not_finite, 0);
    assert_close(e.max_score, max_score, 1e-4 * max_score);
    nn_plan_free(plan);
    nn_batch_free(batch);
    nn_model_free(model);
}
END_TEST

/* A row for every picture; as text they are read back the same. */
START_TEST(gives_scores)
{
    nn_model *model;
    nn_batch *batch;
    nn_evaluation e;
    float scores[3 * 7], marked[3 * 2] = {1, -2.5f, 0.1f, (float)NAN, 1e30f, -(float)INFINITY};
    double values[NN_PICTURE_VALUES], wanted[3];
    char *text;
    size_t length;
    succeed(nn_model_load(&model, write_network("n", 1, "down", test_seed), NULL));
    succeed(nn_batch_load(&batch, write_batch("b", 7, 3, test_seed), 0, 0));
    nn_plan *plan = linear_plan(model, 4);
    succeed(nn_evaluate_scores(&e, scores, model, plan, batch, 0, 0, NULL, NULL));
    ck_assert_uint_eq(e.pictures, 7);
    for (size_t i = 0; i < 7; i++) {
        nn_batch_picture(batch, i, values);
        nn_model_normalise(model, values, values);
        succeed(nn_plain_scores(wanted, model, plan, values));
        for (size_t k = 0; k < 3; k++)
            assert_close(scores[3 * i + k], wanted[k], 1e-4 * e.max_score);
    }
    succeed(nn_scores_save(in_folder("scores"), batch, 3, scores, scores));
    FILE *file = fopen(in_folder("scores"), "r");
    for (size_t i = 0; i < 7; i++) {
        unsigned label;
        float s[6];
        ck_assert_int_eq(fscanf(file,
                                "{\"label\": %u, \"scores\": [%f, %f, %f], \"exact_scores\": "
                                "[%f, %f, %f]}\n",
                                &label, s, s + 1, s + 2, s + 3, s + 4, s + 5),
                         7);
        ck_assert_uint_eq(label, nn_batch_label(batch, i));
        for (size_t k = 0; k < 6; k++) ck_assert(s[k] == scores[3 * i + k % 3]);
    }
    ck_assert_int_eq(fgetc(file), EOF);
    fclose(file);
    nn_batch_free(batch);
    succeed(nn_batch_load(&batch, write_bytes("two", (char[2 * 3073]){4}, 2 * 3073), 0, 0));
    succeed(nn_scores_format(&text, &length, batch, 3, marked, NULL));
    ck_assert_str_eq(text, "{\"label\": 4, \"scores\": [1, -2.5, 0.100000001]}\n"
                           "{\"label\": 0, \"scores\": [null, 1.00000002e+30, null]}\n");
    ck_assert_uint_eq(length, strlen(text));
    free(text);
    fail_with(nn_scores_save(in_folder("none/scores"), batch, 3, marked, NULL), FHOLA_IO, "none");
    nn_plan_free(plan);
    nn_batch_free(batch);
    nn_model_free(model);
}
END_TEST

START_TEST(does_not_depend_on_threads)
{
#ifdef _OPENMP
    nn_model *model;
    nn_batch *batch;
    nn_evaluation one, three;
    succeed(nn_model_load(&model, write_network("n", 1, NULL, test_seed), NULL));
    succeed(nn_batch_load(&batch, write_batch("b", 30, 3, test_seed), 0, 0));
    nn_plan *plan = linear_plan(model, 4);
    omp_set_num_threads(1);
    succeed(nn_evaluate(&one, model, plan, batch, 0.01, 5, NULL, NULL));
    omp_set_num_threads(3);
    succeed(nn_evaluate(&three, model, plan, batch, 0.01, 5, NULL, NULL));
    ck_assert_uint_eq(one.right, three.right);
    ck_assert_double_eq(one.max_score, three.max_score);
    ck_assert_double_eq(one.max_w, three.max_w);
    succeed(nn_evaluate(&three, model, plan, batch, 0.01, 6, NULL, NULL));
    ck_assert_double_ne(one.max_score, three.max_score);
    nn_plan_free(plan);
    nn_batch_free(batch);
    nn_model_free(model);
#endif
}
END_TEST

START_TEST(notices_explosions)
{
    nn_model *model;
    nn_batch *batch;
    nn_evaluation e;
    succeed(nn_model_load(&model, write_network("n", 1, "down", test_seed), NULL));
    succeed(nn_batch_load(&batch, write_batch("b", 10, 3, test_seed), 0, 0));
    nn_plan *plan = linear_plan(model, 4);
    nn_activation *last = &plan->activations[plan->count - 1];
    for (unsigned c = 0; c < last->channels; c++) last->coeff[c] = c % 2 ? 1e4 : 1e-3;
    succeed(nn_evaluate(&e, model, plan, batch, 0, 0, NULL, NULL));
    ck_assert_uint_eq(e.too_large, 10);
    ck_assert_uint_eq(e.not_finite, 0);
    plan->eps = 0; /* no sine to bound it */
    for (unsigned c = 0; c < 16; c++) {
        plan->activations[0].half_width[c] = 1e-20;
        plan->activations[0].coeff[48 + c] = 1e10;
    }
    succeed(nn_evaluate(&e, model, plan, batch, 0, 0, NULL, NULL));
    ck_assert_uint_eq(e.not_finite, 10);
    ck_assert_uint_eq(e.right, 0);
    ck_assert_uint_eq(e.outside, 10);
    nn_plan_free(plan);
    nn_batch_free(batch);
    nn_model_free(model);
}
END_TEST

START_TEST(refuses_what_it_must)
{
    nn_model *model;
    nn_batch *batch;
    nn_evaluation e = {.pictures = 7};
    succeed(nn_model_load(&model, write_network("n", 1, "down", test_seed), NULL));
    succeed(nn_batch_load(&batch, write_batch("b", 50, 4, test_seed), 0, 0));
    fail_with(nn_evaluate(&e, model, NULL, batch, 0, 0, NULL, NULL), FHOLA_RANGE, "label 3");
    fail_with(nn_evaluate(&e, model, NULL, batch, -1, 0, NULL, NULL), FHOLA_PARAM, "noise -1");
    fail_with(nn_evaluate(&e, model, NULL, batch, (double)NAN, 0, NULL, NULL), FHOLA_PARAM,
              "noise");
    ck_assert_uint_eq(e.pictures, 7);
    nn_batch_free(batch);
    nn_model_free(model);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("evaluate");
    tcase_add_test(tcase, counts_what_the_engine_says);
    tcase_add_test(tcase, gives_scores);
    tcase_add_test(tcase, does_not_depend_on_threads);
    tcase_add_test(tcase, notices_explosions);
    tcase_add_test(tcase, refuses_what_it_must);
    return run_tests("evaluate", tcase, 120);
}
