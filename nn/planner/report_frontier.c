/* SPDX-License-Identifier: Apache-2.0 */
/* The page's first figure, accuracy against cost, and the tables of all plans that were measured.
 * Accuracies are shown against that of the exact network on the same pictures, because plan and
 * comparisons may be measured on different ones. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "nn/planner/report.h"

#define LETTERS    26u
#define LETTER_GAP 16.0 /* pixels between the lines of two letters */
#define NEAR       40.0 /* pixels between dots whose letters are put together */

const char *nn_page_letter(size_t k)
{
    static const char letters[LETTERS][2] = {"A", "B", "C", "D", "E", "F", "G", "H", "I",
                                             "J", "K", "L", "M", "N", "O", "P", "Q", "R",
                                             "S", "T", "U", "V", "W", "X", "Y", "Z"};
    return k < LETTERS ? letters[k] : "";
}

static double row_cost(const nn_page *page, const nn_comparison_row *row)
{
    return page->table.by_seconds ? row->seconds : row->depth;
}

/* Points of accuracy gained against the exact network; NaN if fitting diverged. */
static double row_gain(const nn_comparison *c, size_t k)
{
    return c->row[k].accuracy - c->exact_accuracy;
}

/* ---- what the axes show ---- */

/* The largest gain below `gain`; minus infinity if there is none. */
static double next_below(const nn_comparison *c, double gain)
{
    double next = -(double)INFINITY;
    for (size_t k = 0; c && k < c->count; k++)
        if (row_gain(c, k) < gain) next = fmax(next, row_gain(c, k));
    return next;
}

/* The lowest gain that the axis shows. One plan that fails would squeeze all others into a line, so
 * it ends where the next plan loses more than three times as much, and a point. */
static double lowest_shown(const nn_page *page)
{
    double lowest = fmin(page->now - page->exact, 0);
    for (;;) {
        double next = fmax(next_below(page->frontier, lowest), next_below(page->ablation, lowest));
        if (!(next >= 3 * lowest - 1)) return lowest;
        lowest = next;
    }
}

static void take_in_rows(nn_plot *p, const nn_page *page, const nn_comparison *c)
{
    for (size_t k = 0; c && k < c->count; k++) {
        double cost = row_cost(page, &c->row[k]);
        if (isfinite(cost)) {
            p->x_min = fmin(p->x_min, cost);
            p->x_max = fmax(p->x_max, cost);
        }
        p->y_max = fmax(p->y_max, row_gain(c, k)); /* which passes over NaN */
    }
}

static nn_plot frontier_plot(const nn_page *page)
{
    nn_plot p = nn_page_plot(page, 250, "Accuracy against cost");
    p.x_min = page->cost[0];
    p.x_max = page->cost[page->points - 1];
    p.y_min = lowest_shown(page);
    p.y_max = fmax(page->now - page->exact, 0);
    take_in_rows(&p, page, page->frontier);
    take_in_rows(&p, page, page->ablation);
    double margin = fmax(0.04 * (p.x_max - p.x_min), 0.05),
           room = fmax(0.1 * (p.y_max - p.y_min), 0.1);
    p.x_min -= margin;
    p.x_max += margin;
    p.y_min -= room;
    p.y_max += room;
    return p;
}

/* ---- marks ---- */

/* The predicted line, from where it is inside of the plot: it rises. */
static void plot_predicted(const nn_plot *p, const nn_page *page)
{
    size_t first = 0;
    while (first < page->points && page->gain[first] < p->y_min) first++;
    nn_plot_line(p, "pa", page->cost + first, page->gain + first, page->points - first);
}

/* A dot; below the axis' range, a triangle at its edge. */
static void plot_row(const nn_plot *p, const nn_page *page, const nn_comparison *c, size_t k,
                     const char *class_name)
{
    char title[NN_PAGE_TITLE], percent[NN_FIXED_ROOM], gain[NN_FIXED_ROOM];
    const nn_comparison_row *row = &c->row[k];
    snprintf(title, sizeof title, "%s, %s: %s %%, %s points, depth %u", row->group, row->name,
             nn_fixed(percent, row->accuracy, 2), nn_fixed(gain, row_gain(c, k), 2), row->depth);
    if (row_gain(c, k) < p->y_min)
        nn_plot_below(p, class_name, row_cost(page, row), title);
    else
        nn_plot_dot(p, class_name, row_cost(page, row), row_gain(c, k), 4.5, title);
}

static bool has_place(const nn_page *page, const nn_comparison *c, size_t k)
{
    return isfinite(row_cost(page, &c->row[k])) && isfinite(c->row[k].accuracy);
}

static void plot_frontier_rows(const nn_plot *p, const nn_page *page)
{
    const nn_comparison *c = page->frontier;
    for (size_t k = 0; c && k < c->count; k++)
        if (has_place(page, c, k)) plot_row(p, page, c, k, "fc");
}

/* A dot of the ablation and where the letters of all rows that have it go, in pixels. */
typedef struct letter {
    char text[2 * LETTERS + NN_FIXED_ROOM];
    double dot_x, dot_y, x, y;
} letter;

/* Letters stand to the right of all dots near theirs. From the lowest dot up, one moves up where it
 * would cover one below it. */
static void spread_letters(letter *l, size_t count)
{
    for (size_t i = 1; i < count; i++)
        for (size_t j = i; j > 0 && l[j].dot_y > l[j - 1].dot_y; j--) {
            letter swap = l[j];
            l[j] = l[j - 1];
            l[j - 1] = swap;
        }
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < count; j++)
            if (fabs(l[i].dot_x - l[j].dot_x) < NEAR) l[i].x = fmax(l[i].x, l[j].dot_x);
    for (size_t i = 1; i < count; i++)
        for (size_t j = 0; j < i; j++)
            if (fabs(l[i].x - l[j].x) < NEAR) l[i].y = fmin(l[i].y, l[j].y - LETTER_GAP);
}

static void draw_letter(const nn_plot *p, const letter *l)
{
    if (l->y < l->dot_y - 1 || l->x > l->dot_x + 1)
        nn_svg_line(p->out, "lead", l->dot_x, l->dot_y, l->x + 9, l->y);
    nn_svg_text(p->out, l->x + 11, l->y, 0.35, "label", l->text);
}

/* What does not show on the axis says how far below it is. */
static void name_row(letter *l, const nn_plot *p, const nn_comparison *c, size_t k)
{
    char gain[NN_FIXED_ROOM];
    size_t length = strlen(l->text), room = sizeof l->text - length;
    if (row_gain(c, k) < p->y_min)
        snprintf(l->text, sizeof l->text, "%s (%s)", nn_page_letter(k),
                 nn_fixed(gain, row_gain(c, k), 1));
    else
        snprintf(l->text + length, room, length ? " %s" : "%s", nn_page_letter(k));
}

static void plot_ablation_rows(const nn_plot *p, const nn_page *page)
{
    const nn_comparison *c = page->ablation;
    letter l[LETTERS];
    size_t count = 0;
    for (size_t k = 0; c && k < c->count && k < LETTERS; k++) {
        if (!has_place(page, c, k)) continue;
        plot_row(p, page, c, k, "fd");
        double x = nn_plot_x(p, row_cost(page, &c->row[k])), y = nn_plot_y(p, row_gain(c, k));
        bool below = row_gain(c, k) < p->y_min;
        size_t same = 0;
        while (same < count && (below || hypot(l[same].dot_x - x, l[same].dot_y - y) > 4)) same++;
        if (same == count) {
            y = below ? p->top + p->height - 6 : y;
            l[count++] = (letter){.dot_x = x, .dot_y = y, .x = x, .y = y};
        }
        name_row(&l[same], p, c, k);
    }
    spread_letters(l, count);
    for (size_t i = 0; i < count; i++) draw_letter(p, &l[i]);
}

static void plot_chosen(const nn_plot *p, const nn_page *page)
{
    char title[NN_PAGE_TITLE], percent[NN_FIXED_ROOM];
    ola_schedule total = nn_degrees_total(&page->table, page->degrees);
    double gain = page->now - page->exact;
    if (!isfinite(total.cost)) return;
    snprintf(title, sizeof title, "this plan: %s %%", nn_fixed(percent, page->now, 2));
    nn_plot_dot(p, "chosen", total.cost, gain, 6.5, title);
    bool left = nn_plot_x(p, total.cost) > p->left + p->width * 0.4;
    nn_svg_text(p->out, nn_plot_x(p, total.cost) + (left ? -6 : 6), nn_plot_y(p, gain) + 7, 1,
                left ? "label end" : "label", title);
}

/* ---- the figure ---- */

static void write_explanation(const nn_page *page)
{
    nn_page_add(page, "<h2>Accuracy against cost</h2>\n<p>The line is what the exact schedule of "
                      "every budget should lose, from the profile alone: each activation's error "
                      "counts as an independent normal change of the scores. Dots were fitted and "
                      "measured");
    const nn_comparison *c = page->frontier ? page->frontier : page->ablation;
    if (c)
        nn_text_format(page->out, " (fitted to %zu pictures, measured on %zu)", c->calibration,
                       c->pictures);
    nn_page_add(page, ". A triangle at the lower edge stands for a plan that loses more than the "
                      "axis shows.</p>\n");
}

/* What the letters stand for. */
static void write_letters(const nn_page *page)
{
    const nn_comparison *c = page->ablation;
    nn_page_add(page, "<p class=\"letters\">");
    for (size_t k = 0; k < c->count; k++) {
        nn_text_format(page->out, "%s<span><b>%s</b> ", k ? " " : "", nn_page_letter(k));
        if (strcmp(c->row[k].group, "all") != 0) {
            nn_html_text(page->out, c->row[k].group);
            nn_page_add(page, ": ");
        }
        nn_html_text(page->out, c->row[k].name);
        nn_page_add(page, has_place(page, c, k) ? "</span>" : " (diverged)</span>");
    }
    nn_page_add(page, "</p>\n");
}

void nn_page_frontier(const nn_page *page)
{
    write_explanation(page);
    nn_page_add(page, "<div class=\"card\" id=\"frontier\">\n<div class=\"keys\">");
    nn_page_key(page, "a", "predicted");
    if (page->frontier) nn_page_key(page, "c", "measured along the frontier");
    if (page->ablation) nn_page_key(page, "d", "measured, ablation");
    nn_page_key(page, "b", "this plan");
    nn_page_add(page, "</div>\n");
    nn_plot p = frontier_plot(page);
    nn_plot_axes(&p, nn_page_cost_name(page), "points of accuracy against the exact network");
    nn_plot_level(&p, "dash", 0, "exact network");
    plot_predicted(&p, page);
    plot_frontier_rows(&p, page);
    plot_ablation_rows(&p, page);
    plot_chosen(&p, page);
    nn_svg_end(page->out);
    if (page->ablation) write_letters(page);
    nn_page_add(page, "</div>\n");
}

/* ---- tables ---- */

static void number_cell(const nn_page *page, double number)
{
    nn_page_add(page, "<td class=\"n\">");
    nn_html_number(page->out, number, 2);
    nn_page_add(page, "</td>");
}

static void write_row(const nn_page *page, const nn_comparison *c, size_t k)
{
    const nn_comparison_row *row = &c->row[k];
    bool lettered = c == page->ablation;
    nn_page_add(page, lettered && k == 0 ? "<tr class=\"first\">" : "<tr>");
    if (lettered) nn_text_format(page->out, "<td>%s</td>", nn_page_letter(k));
    nn_page_add(page, "<td>");
    nn_html_text(page->out, row->group);
    nn_page_add(page, "</td><td>");
    nn_html_text(page->out, row->name);
    nn_text_format(page->out, "</td><td class=\"n\">%u</td>", row->depth);
    number_cell(page, row->seconds);
    number_cell(page, row->accuracy);
    number_cell(page, -row_gain(c, k));
    nn_text_format(page->out, "<td class=\"n\">%zu</td>", row->not_finite);
    if (isfinite(row->max_w) && row->max_w >= 1000)
        nn_page_add(page, "<td class=\"n\">&gt; 1000</td>");
    else
        number_cell(page, row->max_w);
    nn_page_add(page, "<td class=\"d\">");
    for (size_t i = 0; i < c->activations; i++)
        nn_text_format(page->out, i ? " %u" : "%u", row->degrees[i]);
    nn_page_add(page, "</td></tr>\n");
}

static void write_table(const nn_page *page, const nn_comparison *c, const char *id)
{
    nn_text_format(page->out, "<div class=\"card scroll\" id=\"%s\"><table><thead><tr>", id);
    if (c == page->ablation) nn_page_add(page, "<th></th>");
    nn_page_add(page, "<th>varied</th><th>plan</th><th class=\"n\">depth</th>"
                      "<th class=\"n\">seconds</th><th class=\"n\">accuracy, %</th>"
                      "<th class=\"n\">points lost</th><th class=\"n\">not finite</th>"
                      "<th class=\"n\">max |w|</th><th>degrees</th></tr></thead><tbody>\n");
    for (size_t k = 0; k < c->count; k++) write_row(page, c, k);
    nn_page_add(page, "</tbody></table></div>\n");
}

void nn_page_tables(const nn_page *page)
{
    if (page->ablation) {
        nn_text_format(page->out,
                       "<h2>Ablation</h2>\n<p>One part changed at a time. Fitted to %zu pictures, "
                       "measured on %zu; exact network ",
                       page->ablation->calibration, page->ablation->pictures);
        nn_html_number(page->out, page->ablation->exact_accuracy, 2);
        nn_page_add(page, " %. Letters are those of the first figure.</p>\n");
        write_table(page, page->ablation, "ablation");
    }
    if (page->frontier) {
        nn_page_add(page, "<h2>Measured along the frontier</h2>\n<p>The green dots of the first "
                          "figure.</p>\n");
        write_table(page, page->frontier, "measured");
    }
}
