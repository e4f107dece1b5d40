/* SPDX-License-Identifier: Apache-2.0 */
/* The page's figures as CSV files (RFC 4180), which are inside of the page as data: links. */
#include <math.h>
#include <stdlib.h>

#include "nn/planner/report.h"

/* ---- CSV ---- */

static void text_cell(nn_text *csv, const char *text)
{
    nn_text_add(csv, ",\"");
    for (; *text; text++) {
        const char one[2] = {*text, 0};
        nn_text_add(csv, *text == '"' ? "\"\"" : one);
    }
    nn_text_add(csv, "\"");
}

/* Empty where the number is not finite. */
static void number_cell(nn_text *csv, double number)
{
    nn_text_add(csv, ",");
    if (isfinite(number)) nn_html_number(csv, number, 4);
}

/* Of any size. */
static void change_cell(nn_text *csv, double number)
{
    nn_text_add(csv, ",");
    if (isfinite(number)) nn_json_add_float(csv, (float)number);
}

static void add_rows(nn_text *csv, const nn_page *page, const nn_comparison *c)
{
    for (size_t k = 0; c && k < c->count; k++) {
        const nn_comparison_row *row = &c->row[k];
        nn_text_add(csv, c == page->ablation ? "ablation" : "frontier");
        text_cell(csv, row->group);
        text_cell(csv, row->name);
        nn_text_format(csv, ",%u", row->depth);
        number_cell(csv, row->seconds);
        number_cell(csv, row->predicted);
        number_cell(csv, row->accuracy);
        number_cell(csv, c->exact_accuracy);
        nn_text_format(csv, ",%zu,%zu", c->pictures, row->not_finite);
        number_cell(csv, row->max_w);
        nn_text_add(csv, ",");
        for (size_t i = 0; i < c->activations; i++)
            nn_text_format(csv, i ? " %u" : "%u", row->degrees[i]);
        nn_text_add(csv, "\n");
    }
}

static void add_plans(nn_text *csv, const nn_page *page)
{
    nn_text_add(csv, "comparison,varied,plan,depth,seconds,predicted,accuracy,exact,pictures,"
                     "not_finite,max_w,degrees\n");
    add_rows(csv, page, page->frontier);
    add_rows(csv, page, page->ablation);
}

static void add_activations(nn_text *csv, const nn_page *page)
{
    nn_text_add(csv, "activation,layer,channels,degree,levels,max_w,change_measured_7,"
                     "change_by_gradients_7\n");
    for (size_t i = 0; i < page->plan->count; i++) {
        const nn_node *node = nn_graph_layer(page->model->graph, i);
        nn_text_format(csv, "%zu", i);
        text_cell(csv, node->name);
        nn_text_format(csv, ",%u,%u,%u", node->shape.channels, page->degrees[i],
                       ola_depth(page->degrees[i]));
        number_cell(csv, page->plan->activations[i].max_w);
        change_cell(csv, page->measured[i]);
        change_cell(csv, page->gradient[i]);
        nn_text_add(csv, "\n");
    }
}

static void add_predictions(nn_text *csv, const nn_page *page)
{
    nn_text_add(csv, page->table.by_seconds ? "seconds,points_gained\n" : "depth,points_gained\n");
    for (size_t k = 0; k < page->points; k++) {
        nn_html_number(csv, page->cost[k], 4);
        number_cell(csv, page->gain[k]);
        nn_text_add(csv, "\n");
    }
}

/* ---- links ---- */

static void add_encoded(nn_text *out, const char *text)
{
    for (; *text; text++) {
        const char one[2] = {*text, 0};
        bool plain = (*text >= '0' && *text <= '9') || (*text >= 'a' && *text <= 'z') ||
                     (*text >= 'A' && *text <= 'Z') || *text == '.' || *text == ',' ||
                     *text == '-' || *text == '_';
        if (plain)
            nn_text_add(out, one);
        else
            nn_text_format(out, "%%%02X", (unsigned)(unsigned char)*text);
    }
}

static void link_to(const nn_page *page, const char *name,
                    void (*fill)(nn_text *csv, const nn_page *page))
{
    nn_text csv = {0};
    fill(&csv, page);
    if (csv.failed) page->out->failed = true;
    nn_text_format(page->out, "<li><a download=\"%s\" href=\"data:text/csv;charset=utf-8,", name);
    if (csv.bytes) add_encoded(page->out, csv.bytes);
    nn_text_format(page->out, "\">%s</a></li>\n", name);
    free(csv.bytes);
}

void nn_page_data(const nn_page *page)
{
    nn_page_add(page, "<h2>Data</h2>\n<p>The figures of this page, to be saved:</p>\n"
                      "<ul id=\"data\">\n");
    link_to(page, "activations.csv", add_activations);
    link_to(page, "frontier.csv", add_predictions);
    if (page->frontier || page->ablation) link_to(page, "plans.csv", add_plans);
    nn_page_add(page, "</ul>\n");
}
