/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "report_page.h"

static void check_origin_and_sizes(const char *page)
{
    ck_assert_ptr_nonnull(strstr(page, "<p id=\"origin\">Made by fhola " PACKAGE_VERSION
                                       ", 2000-02-29 12:34 UTC: <code>fhola plan "
                                       "'it'\\''s &lt;b&gt;' <i>--depth=21</i> ''</code></p>"));
    ck_assert_ptr_nonnull(strstr(page, "<b>7</b><span>bootstraps a picture</span>"));
    ck_assert_ptr_nonnull(strstr(page, "<b>1.50 GiB</b><span>memory of the server, at least 0.75"));
    ck_assert_ptr_nonnull(strstr(page, "a table of costs from test, avx2, 2 threads."));
    ck_assert_ptr_nonnull(strstr(page, "the sine folds a value back"));
    ck_assert_ptr_null(strstr(page, "runs away"));
}

/* The file behind a link, decoded; to be freed. */
static char *saved(const char *page, const char *name)
{
    char start[120];
    snprintf(start, sizeof start, "download=\"%s\" href=\"data:text/csv;charset=utf-8,", name);
    const char *from = strstr(page, start);
    ck_assert_msg(from != NULL, "no link to %s", name);
    from += strlen(start);
    char *text = malloc(strcspn(from, "\"") + 1), *to = text;
    ck_assert_ptr_nonnull(text);
    while (*from != '"') {
        char hex[3] = {from[1], from[1] ? from[2] : 0, 0};
        *to++ = *from == '%' ? (char)strtol(hex, NULL, 16) : *from;
        from += *from == '%' ? 3 : 1;
    }
    *to = 0;
    return text;
}

static void check_files(const char *page)
{
    char *activations = saved(page, "activations.csv"), *plans = saved(page, "plans.csv"),
         *frontier = saved(page, "frontier.csv");
    ck_assert_uint_eq(occurrences(activations, "\n"), 1 + PAGE_ACTIVATIONS);
    ck_assert_ptr_nonnull(strstr(activations, "activation,layer,channels,degree,levels,"));
    ck_assert_ptr_nonnull(strstr(activations, "\n6,\""));
    ck_assert_uint_eq(occurrences(plans, "\nfrontier,\"frontier\",\""), 3);
    ck_assert_uint_eq(occurrences(plans, "\nablation,\"all\",\"as asked for\",21,"), 1);
    ck_assert_uint_gt(occurrences(frontier, "\n"), 2);
    free(frontier);
    free(plans);
    free(activations);
}

START_TEST(page_is_complete_and_alone)
{
    char *page = read_whole(make_page());
    check_parts(page);
    ck_assert_ptr_nonnull(strstr(page, "<h1>Polynomials for a network of depth 8</h1>\n"
                                       "<p>Input 3 x 32 x 32, 7 activations, 3 classes, "));
    ck_assert_ptr_null(strstr(page, " src="));
    ck_assert_uint_eq(occurrences(page, "href="), 3);
    ck_assert_uint_eq(occurrences(page, "href=\"data:text/csv;"), 3);
    ck_assert_uint_lt(strlen(page), 180000);
    ck_assert_ptr_null(strstr(page, "url("));
    ck_assert_ptr_null(strstr(page, "@import"));
    ck_assert_ptr_null(strstr(page, "<script"));
    ck_assert_ptr_null(strstr(page, "nan"));
    check_origin_and_sizes(page);
    check_files(page);
    free(page);
}
END_TEST

/* The number behind `name` in the element that holds `title`. */
static double attribute_of(const char *page, const char *title, const char *name)
{
    const char *end = strstr(page, title), *at = end;
    ck_assert_msg(end != NULL, "nothing is called %s", title);
    while (strncmp(at, name, strlen(name)) != 0) at--;
    return strtod(at + strlen(name), NULL);
}

/* One plan that fails is a triangle at the edge, and the others keep the axis to themselves; the
 * letters of dots at one place do not cover each other. The same report gives the same bytes. */
START_TEST(an_outlier_does_not_squeeze)
{
    /* a plan as good as the network, so that the axis is that of the rows */
    unsigned degrees[PAGE_ACTIVATIONS] = {31, 31, 31, 31, 31, 31, 31};
    nn_comparison_row row[4];
    static const double accuracy[4] = {80, 79, 79.95, 10};
    static const char *const names[4] = {"first", "second", "third", "fourth"};
    for (size_t k = 0; k < 4; k++) {
        row[k] = (nn_comparison_row){.group = "g", .depth = 21, .accuracy = accuracy[k]};
        row[k].degrees = degrees;
        snprintf(row[k].name, sizeof row[k].name, "%s", names[k]);
    }
    nn_comparison ablation = {PAGE_ACTIVATIONS, 5, 5, 80, 4, row};
    nn_model *model;
    nn_batch *batch;
    nn_plan *plan;
    nn_plan_options options;
    nn_plan_defaults(&options);
    options.degrees = degrees;
    options.sensitivity_pictures = 2;
    succeed(nn_model_load(&model, write_network("n", 1, NULL, test_seed), NULL));
    succeed(nn_batch_load(&batch, write_batch("c", 6, 3, test_seed), 0, 0));
    nn_profile *profile;
    succeed(nn_profile_make(&profile, model, batch, &options, NULL, NULL));
    options.profile = profile;
    succeed(nn_plan_make(&plan, model, batch, NULL, &options, NULL, NULL));
    nn_report report = {.model = model,
                        .plan = plan,
                        .options = &options,
                        .held_out = batch,
                        .ablation = &ablation};
    succeed(nn_report_save(in_folder("1.html"), &report));
    succeed(nn_report_save(in_folder("2.html"), &report));
    char *page = read_whole(in_folder("1.html")), *again = read_whole(in_folder("2.html"));
    ck_assert_str_eq(page, again);
    ck_assert_uint_eq(occurrences(page, "<polygon class=\"fd\""), 1);
    ck_assert_ptr_nonnull(strstr(page, ">D (-70.0)</text>"));
    double first = attribute_of(page, "g, first:", " cy=\""),
           second = attribute_of(page, "g, second:", " cy=\"");
    ck_assert_msg(second - first > 30, "a point is %g pixels", second - first);
    double a = attribute_of(page, ">A</text>", " y=\""),
           c = attribute_of(page, ">C</text>", " y=\"");
    ck_assert_msg(fabs(a - c) >= 14, "letters at %g and %g", a, c);
    free(again);
    free(page);
    nn_plan_free(plan);
    nn_profile_free(profile);
    nn_batch_free(batch);
    nn_model_free(model);
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
    nn_report none = {.model = model, .plan = plan, .options = &options, .held_out = batch};
    fail_with(nn_report_save(in_folder("none.html"), &none), FHOLA_PARAM, "profile");
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
    tcase_add_test(tcase, an_outlier_does_not_squeeze);
    tcase_add_test(tcase, refuses_what_is_missing);
    return run_tests("report", tcase, 240);
}
