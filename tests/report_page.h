/* SPDX-License-Identifier: Apache-2.0 */
/* A page about a plan for a small random network, with everything on it. */
#ifndef REPORT_PAGE_H
#define REPORT_PAGE_H

#include "check_nn_support.h"
#include "nn/nn.h"

#define PAGE_ACTIVATIONS 7

static const char page_costs[] =
    "{\"format\": \"fhola-cost\", \"version\": 1, \"machine\": "
    "\"test\", \"isa\": \"avx2\", \"threads\": 2, \"sets\": [{\"params\": \"R15\", "
    "\"degrees\": [3, 7, 15], "
    "\"fixed_seconds\": 0.5, \"stages\": [{\"channels\": 16, "
    "\"seconds\": [1, 1.1, 1.25], \"change_seconds\": -0.25}, "
    "{\"channels\": 32, \"seconds\": "
    "[0.9, 1, 1.1], \"change_seconds\": 0.5}, {\"channels\": 64, "
    "\"seconds\": [0.8, 0.9, 1], \"change_seconds\": 0.5}]}]}";

static const char *const page_command[] = {"plan", "it's <b>", "--depth=21", "", NULL};

/* Returns the page's path, in the test's folder. */
static inline const char *make_page(void)
{
    nn_model *model;
    nn_batch *calibration, *held_out;
    nn_profile *profile;
    nn_plan *plan;
    nn_cost *cost;
    nn_comparison *ablation, *frontier;
    nn_plan_options options;
    nn_plan_defaults(&options);
    options.depth = 21;
    options.sensitivity_pictures = 4;
    succeed(nn_model_load(&model, write_network("n", 1, "down", test_seed), NULL));
    succeed(nn_batch_load(&calibration, write_batch("c", 10, 3, test_seed), 0, 0));
    succeed(nn_batch_load(&held_out, write_batch("h", 8, 3, test_seed + 1), 0, 0));
    succeed(nn_cost_load(&cost, write_string("cost", page_costs)));
    succeed(nn_profile_make(&profile, model, calibration, &options, NULL, NULL));
    options.profile = profile;
    options.cost = cost;
    succeed(nn_plan_make(&plan, model, calibration, held_out, &options, NULL, NULL));
    succeed(nn_compare_ablation(&ablation, model, calibration, held_out, held_out, &options, NULL,
                                NULL));
    succeed(nn_compare_frontier(&frontier, model, calibration, held_out, held_out, &options, 3,
                                NULL, NULL));
    succeed(nn_report_save(in_folder("page.html"), &(nn_report){.model = model,
                                                                .plan = plan,
                                                                .options = &options,
                                                                .held_out = held_out,
                                                                .frontier = frontier,
                                                                .ablation = ablation,
                                                                .command = page_command,
                                                                .date = 951827696,
                                                                .bootstraps = 7,
                                                                .ciphertexts = 1,
                                                                .memory_least = 3 << 28,
                                                                .memory = 3 << 29}));
    nn_comparison_free(frontier);
    nn_comparison_free(ablation);
    nn_plan_free(plan);
    nn_profile_free(profile);
    nn_cost_free(cost);
    nn_batch_free(held_out);
    nn_batch_free(calibration);
    nn_model_free(model);
    return in_folder("page.html");
}

/* A whole file as a string. */
static inline char *read_whole(const char *path)
{
    FILE *file = fopen(path, "rb");
    ck_assert_ptr_nonnull(file);
    size_t room = 1 << 24;
    char *text = malloc(room);
    ck_assert_ptr_nonnull(text);
    size_t length = fread(text, 1, room - 1, file);
    text[length] = 0;
    fclose(file);
    return text;
}

static inline size_t occurrences(const char *text, const char *part)
{
    size_t count = 0;
    for (const char *at = strstr(text, part); at; at = strstr(at + 1, part)) count++;
    return count;
}

/* Every part of the page is there: in the file, or in what a browser made of it. */
static inline void check_parts(const char *page)
{
    static const char *const ids[] = {"origin",     "tiles",    "frontier", "degrees", "ranges",
                                      "importance", "ablation", "measured", "fits",    "data"};
    char part[40];
    for (size_t k = 0; k < sizeof ids / sizeof ids[0]; k++) {
        snprintf(part, sizeof part, "id=\"%s\"", ids[k]);
        ck_assert_msg(occurrences(page, part) == 1, "%s: %zu times", part, occurrences(page, part));
    }
    ck_assert_uint_eq(occurrences(page, "class=\"card fit\""), PAGE_ACTIVATIONS);
    /* three channels of each, one of them to be seen */
    ck_assert_uint_eq(occurrences(page, "<input type=\"radio\""), 3 * PAGE_ACTIVATIONS);
    ck_assert_uint_eq(occurrences(page, "checked="), PAGE_ACTIVATIONS);
    ck_assert_uint_eq(occurrences(page, "<polyline class=\"pb\""), 3 * PAGE_ACTIVATIONS);
    ck_assert_uint_eq(occurrences(page, "<polygon class=\"hist\""), 3 * PAGE_ACTIVATIONS);
    ck_assert_uint_eq(occurrences(page, "<svg "), 3 * PAGE_ACTIVATIONS + 4);
    ck_assert_uint_eq(occurrences(page, "</svg>"), 3 * PAGE_ACTIVATIONS + 4);
    ck_assert_uint_eq(occurrences(page, "<rect "), 2 * PAGE_ACTIVATIONS);
    ck_assert_uint_eq(occurrences(page, "download="), 3);
    ck_assert_uint_ge(occurrences(page, "<tr"), 12);
    ck_assert_ptr_nonnull(strstr(page, "</html>"));
}

#endif
