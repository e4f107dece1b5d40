/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the page about a plan. Internal to nn/planner/. */
#ifndef NN_REPORT_H
#define NN_REPORT_H

#include "nn/graph/graph.h"
#include "nn/graph/model_io.h"
#include "nn/nn.h"
#include "nn/plain/predict.h"
#include "nn/planner/degrees.h"
#include "nn/planner/profile.h"
#include "nn/planner/svg.h"

#define NN_PAGE_FRONTIER 512u /* points of the predicted frontier, at most */
#define NN_PAGE_TITLE    200u /* room of a title */
#define NN_PAGE_PLACE    100u /* room of an activation's name */

/* Everything the page shows. */
typedef struct nn_page {
    nn_text *out;
    const nn_report *report;
    const nn_model *model;
    const nn_plan *plan;
    nn_plan_options options; /* the report's, with costs in seconds where there is a table */
    const nn_profile *profile;
    const nn_comparison *frontier, *ablation;
    nn_degrees table;
    nn_margins margins;
    nn_evaluation evaluation;
    double exact, now; /* accuracies on the held-out pictures, percent */
    unsigned *degrees; /* of the plan */
    /* change of the scores by each activation alone at degree 7: measured, and by gradients */
    double *measured, *gradient;
    /* of the predicted frontier: cost, and points of accuracy gained (lost: negative) */
    double cost[NN_PAGE_FRONTIER], gain[NN_PAGE_FRONTIER];
    size_t points;
} nn_page;

void nn_page_add(const nn_page *page, const char *text);

/* An entry of a legend: a square of the colour with that name in the style sheet. */
void nn_page_key(const nn_page *page, const char *colour, const char *text);

/* A plot as wide as the page, `height` high, in a drawing of its own that ends with nn_svg_end;
 * the values at its edges are still to be set. */
nn_plot nn_page_plot(const nn_page *page, double height, const char *label);

/* Name and channels of activation i. A layer's name may be anything: it is cut where it would not
 * fit. */
void nn_page_place(char place[NN_PAGE_PLACE], const nn_page *page, size_t i);

const char *nn_page_cost_name(const nn_page *page);

/* report_frontier.c: accuracy against cost, and the tables of the plans measured. */
void nn_page_frontier(const nn_page *page);
void nn_page_tables(const nn_page *page);
/* Letter of row k of the ablation, in figure and table; "" beyond Z. */
const char *nn_page_letter(size_t k);

/* report_fits.c: every activation's polynomials over their histograms. */
fhola_status nn_page_fits(const nn_page *page) FHOLA_WARN_UNUSED;

/* report_data.c: links to the page's figures as files, which are inside of the page. */
void nn_page_data(const nn_page *page);

#endif
