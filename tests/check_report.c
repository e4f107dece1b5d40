/* SPDX-License-Identifier: Apache-2.0 */
#include "report_page.h"

START_TEST(page_is_complete_and_alone)
{
    char *page = read_whole(make_page());
    check_parts(page);
    ck_assert_ptr_nonnull(strstr(page, "<h1>Polynomials for a network of depth 8</h1>\n"
                                       "<p>Input 3 x 32 x 32, 7 activations, 3 classes, "));
    ck_assert_ptr_null(strstr(page, " src="));
    ck_assert_ptr_null(strstr(page, "href="));
    ck_assert_ptr_null(strstr(page, "url("));
    ck_assert_ptr_null(strstr(page, "@import"));
    ck_assert_ptr_null(strstr(page, "<script"));
    ck_assert_ptr_null(strstr(page, "nan"));
    free(page);
}
END_TEST

START_TEST(refuses_what_is_missing)
{
    nn_model *model;
    nn_batch *batch;
    nn_plan *plan;
    nn_plan_options options;
    unsigned degrees[PAGE_ACTIVATIONS] = {7, 7, 7, 7, 7, 7, 7};
    nn_comparison *comparison = NULL;
    nn_plan_defaults(&options);
    options.degrees = degrees;
    succeed(nn_model_load(&model, write_network("n", 1, NULL, test_seed), NULL));
    succeed(nn_batch_load(&batch, write_batch("c", 6, 3, test_seed), 0, 0));
    succeed(nn_plan_make(&plan, model, batch, NULL, &options, NULL, NULL));
    fail_with(nn_report_save(in_folder("none.html"), model, plan, &options, batch, NULL, NULL),
              FHOLA_PARAM, "profile");
    fail_with(nn_compare_ablation(&comparison, model, batch, batch, batch, &options, NULL, NULL),
              FHOLA_PARAM, "profile");
    fail_with(nn_compare_frontier(&comparison, model, batch, batch, batch, &options, 4, NULL, NULL),
              FHOLA_PARAM, "profile");
    ck_assert(access(in_folder("none.html"), F_OK) != 0);
    nn_plan_free(plan);
    nn_batch_free(batch);
    nn_model_free(model);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("report");
    tcase_add_test(tcase, page_is_complete_and_alone);
    tcase_add_test(tcase, refuses_what_is_missing);
    return run_tests("report", tcase, 240);
}
