/* SPDX-License-Identifier: Apache-2.0 */
/* A plan as one HTML page that needs nothing else: its head, the figures with a bar or a dot for
 * each activation, and the order of its parts. */
#define _POSIX_C_SOURCE 200809L
#include "nn/planner/report.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "nn/base/file.h"

#define WIDTH 720.0 /* of a drawing as wide as the page */
#define GIB   0x1p30

/* Texts of drawings are in units of the drawing, which shrinks with the page: the narrower, the
 * more units, so that they keep their size on the screen. */
static const char style[] =
    "<style>\n"
    ":root{color-scheme:light dark;--bg:#fbfbf9;--card:#fff;--ink:#1c2430;--soft:#5b6675;"
    "--grid:#e3e6ea;--a:#2563a8;--b:#c4571b;--c:#3a7d44;--d:#7b4bb0;--h:#c9d5e3;--warn:#b3261e}\n"
    "@media(prefers-color-scheme:dark){:root{--bg:#14181d;--card:#1c2229;--ink:#e6e9ee;"
    "--soft:#a9b4c1;--grid:#333c47;--a:#7fb2ea;--b:#f09a63;--c:#86c790;--d:#c9a6f2;--h:#4b5f78;"
    "--warn:#ff8a80}}\n"
    "*{box-sizing:border-box}\n"
    "body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.5 system-ui,sans-serif}\n"
    "main{max-width:1120px;margin:0 auto;padding:28px 12px 60px}\n"
    "h1{font-size:26px;line-height:1.25;margin:0 0 4px}h2{font-size:19px;margin:36px 0 6px}\n"
    "p{margin:4px 0 12px;max-width:78ch;color:var(--soft)}a{color:var(--a)}\n"
    "code{font-size:13px;overflow-wrap:anywhere;color:var(--ink)}\n"
    "i{font-style:normal;white-space:nowrap}\n" /* options are not broken at their hyphens */
    ".card{background:var(--card);border:1px solid var(--grid);border-radius:10px;padding:12px;"
    "overflow-x:auto}\n"
    ".tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;"
    "margin:18px 0}\n"
    ".tiles b{display:block;font-size:22px;font-variant-numeric:tabular-nums}\n"
    ".tiles span{color:var(--soft);font-size:13px}\n"
    ".keys{font-size:14px}.key{display:inline-block;width:11px;height:11px;border-radius:3px;"
    "margin:0 5px 0 14px;vertical-align:-1px}.key:first-child{margin-left:0}\n"
    ".letters{margin:8px 0 0;max-width:none;font-size:14px}\n"
    ".letters span{display:inline-block;margin-right:14px}.letters b{color:var(--d)}\n"
    ".fits{display:grid;grid-template-columns:repeat(auto-fill,minmax(212px,1fr));gap:12px}\n"
    ".fits h3{font-size:14px;margin:0}.fits small{color:var(--soft);font-size:12px}\n"
    ".fit{padding:12px 8px}.fit input{margin:4px 4px 4px 0;vertical-align:-2px;"
    "accent-color:var(--b)}\n"
    ".fit label{font-size:12px;margin-right:10px}.fit figure{display:none;margin:4px 0 0}\n"
    ".fit input:nth-of-type(1):checked~figure:nth-of-type(1),"
    ".fit input:nth-of-type(2):checked~figure:nth-of-type(2),"
    ".fit input:nth-of-type(3):checked~figure:nth-of-type(3){display:block}\n"
    "svg{display:block;width:100%;height:auto}svg text{font-size:12px}\n"
    "figure svg{max-width:380px}\n"
    ".wide{min-width:400px}.wide text{font-size:17px}\n"
    "@media(min-width:560px){.wide text{font-size:14px}}\n"
    "@media(min-width:760px){.wide text{font-size:11px}}\n"
    "@media(min-width:1000px){.wide text{font-size:8.5px}}\n"
    ".grid{stroke:var(--grid);stroke-width:1}.tick{fill:var(--soft)}.mid{text-anchor:middle}"
    ".end{text-anchor:end}\n"
    "polyline{fill:none;stroke-width:2;stroke-linejoin:round}.pa{stroke:var(--a)}"
    ".pb{stroke:var(--b)}.thin{stroke:var(--soft);stroke-width:1.2}.lead{stroke:var(--soft);"
    "stroke-width:.6}\n"
    ".dash{stroke:var(--soft);stroke-dasharray:5 4;stroke-width:1.2}"
    ".limit{stroke:var(--warn);stroke-dasharray:5 4;stroke-width:1.2}\n"
    ".hist{fill:var(--h)}.fa{fill:var(--a)}.fb{fill:var(--b)}.fc{fill:var(--c)}"
    ".fd{fill:var(--d)}.chosen{fill:var(--b);stroke:var(--card);stroke-width:2}\n"
    ".label{fill:var(--ink);paint-order:stroke;stroke:var(--card);stroke-width:3px;"
    "stroke-linejoin:round}\n"
    "table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}\n"
    "th,td{text-align:left;padding:6px 10px;border-bottom:1px solid var(--grid)}\n"
    "th{font-size:13px;color:var(--soft);font-weight:600}td.n,th.n{text-align:right}\n"
    "td.d{font-size:12px;color:var(--soft);white-space:nowrap}tr.first td{font-weight:600}"
    ".warn{color:var(--warn)}\n"
    "</style>\n";

void nn_page_add(const nn_page *page, const char *text)
{
    nn_text_add(page->out, text);
}

void nn_page_key(const nn_page *page, const char *colour, const char *text)
{
    nn_text_format(page->out, "<span class=\"key\" style=\"background:var(--%s)\"></span>%s",
                   colour, text);
}

const char *nn_page_cost_name(const nn_page *page)
{
    return page->table.by_seconds ? "seconds a picture" : "total multiplicative depth";
}

nn_plot nn_page_plot(const nn_page *page, double height, const char *label)
{
    nn_svg_begin(page->out, "wide", WIDTH, height + 70, label);
    return (nn_plot){
        .out = page->out, .left = 58, .top = 26, .width = WIDTH - 70, .height = height};
}

void nn_page_place(char place[NN_PAGE_PLACE], const nn_page *page, size_t i)
{
    const nn_node *node = nn_graph_layer(page->model->graph, i);
    snprintf(place, NN_PAGE_PLACE, "%.48s%s, %u channels", node->name,
             node->function.kind == OLA_IDENTITY ? " (linear)" : "", node->shape.channels);
}

/* ---- head ---- */

/* As a shell would take it. */
static void add_word(nn_text *out, const char *word)
{
    static const char plain[] =
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz%+,-./:=@_";
    if (*word && strspn(word, plain) == strlen(word)) {
        nn_text_add(out, word);
        return;
    }
    nn_text_add(out, "'");
    for (; *word; word++) {
        const char one[2] = {*word, 0};
        if (*word == '\'')
            nn_text_add(out, "'\\''");
        else
            nn_html_text(out, one);
    }
    nn_text_add(out, "'");
}

/* Who made the page, when, and how. */
static void write_origin(const nn_page *page)
{
    const nn_report *report = page->report;
    char day[64];
    time_t seconds = (time_t)report->date;
    struct tm date;
    nn_page_add(page, "<p id=\"origin\">Made by fhola " PACKAGE_VERSION);
    if (report->date && gmtime_r(&seconds, &date) &&
        strftime(day, sizeof day, "%Y-%m-%d %H:%M UTC", &date))
        nn_text_format(page->out, ", %s", day);
    if (report->command) {
        nn_page_add(page, ": <code>fhola");
        for (size_t k = 0; report->command[k]; k++) {
            bool option = *report->command[k] == '-';
            nn_page_add(page, option ? " <i>" : " ");
            add_word(page->out, report->command[k]);
            if (option) nn_page_add(page, "</i>");
        }
        nn_page_add(page, "</code>");
    }
    nn_page_add(page, "</p>\n");
}

static void write_title(const nn_page *page)
{
    unsigned depth = nn_graph_depth(page->model->graph);
    nn_shape input = page->model->graph->nodes[0].shape;
    nn_page_add(page, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    nn_text_format(page->out, "<title>Plan for a network of depth %u</title>\n", depth);
    nn_page_add(page, style);
    nn_text_format(page->out,
                   "</head><body><main>\n<h1>Polynomials for a network of depth %u</h1>\n", depth);
    nn_text_format(page->out,
                   "<p>Input %u x %u x %u, %zu activations, %u classes, weights %016llx, %s, sine "
                   "of the bootstrap: eps = ",
                   input.channels, input.height, input.width, page->plan->count,
                   page->model->classes, (unsigned long long)page->model->hash,
                   page->options.per_layer ? "one polynomial per layer"
                                           : "one polynomial per channel");
    nn_html_number(page->out, page->plan->eps, 4);
    nn_text_format(page->out, ". Accuracies on this page: %zu pictures held out from fitting.",
                   page->margins.count);
    if (page->table.by_seconds) {
        nn_page_add(page, " Seconds: by a table of costs from ");
        nn_html_text(page->out, page->options.cost->machine);
        if (nn_cost_isa(page->options.cost)) {
            nn_page_add(page, ", ");
            nn_html_text(page->out, nn_cost_isa(page->options.cost));
        }
        nn_text_format(page->out, ", %u threads.", page->options.cost->threads);
    }
    nn_page_add(page, "</p>\n");
}

static void tile(const nn_page *page, double number, unsigned decimals, const char *unit,
                 const char *name)
{
    nn_page_add(page, "<div class=\"card\"><b>");
    nn_html_number(page->out, number, decimals);
    nn_page_add(page, unit);
    nn_page_add(page, "</b><span>");
    nn_page_add(page, name);
    nn_page_add(page, "</span></div>\n");
}

/* What the encrypted network takes. */
static void size_tiles(const nn_page *page)
{
    const nn_report *report = page->report;
    char least[NN_FIXED_ROOM], name[80];
    if (!report->bootstraps) return;
    tile(page, report->ciphertexts, 0, "",
         report->ciphertexts == 1 ? "ciphertext a layer" : "ciphertexts a layer, at most");
    tile(page, (double)report->bootstraps, 0, "", "bootstraps a picture");
    snprintf(name, sizeof name, "memory of the server, at least %s (<i>infer --memory</i>)",
             nn_fixed(least, (double)report->memory_least / GIB, 2));
    tile(page, (double)report->memory / GIB, 2, " GiB", name);
}

static void write_tiles(const nn_page *page)
{
    ola_schedule total = nn_degrees_total(&page->table, page->degrees);
    nn_page_add(page, "<div class=\"tiles\" id=\"tiles\">\n");
    tile(page, page->exact, 2, " %", "exact network");
    tile(page, page->now, 2, " %", "polynomial network");
    tile(page, page->exact - page->now, 2, "", "points lost");
    tile(page, nn_plan_depth(page->plan), 0, "", "total depth of all activations");
    if (page->table.by_seconds)
        tile(page, total.cost, 2, " s",
             page->table.estimated ? "a picture, estimated" : "a picture, by the table of costs");
    tile(page, page->evaluation.max_w, 2, "", "largest |w| reached (1 is the edge)");
    size_tiles(page);
    nn_page_add(page, "</div>\n");
    if (page->evaluation.not_finite || page->evaluation.outside)
        nn_text_format(page->out,
                       "<p class=\"warn\">%zu pictures leave an interval, %zu have scores that are "
                       "not finite.</p>\n",
                       page->evaluation.outside, page->evaluation.not_finite);
}

/* ---- a bar or dots for each activation ---- */

static nn_plot activation_plot(const nn_page *page, const char *label)
{
    nn_plot p = nn_page_plot(page, 140, label);
    p.x_min = -0.7;
    p.x_max = (double)page->plan->count - 0.3;
    return p;
}

static const char *bar_class(const nn_page *page, size_t i)
{
    return nn_graph_is_output(page->model->graph, i) ? "fa" : "fc";
}

static void write_bar_keys(const nn_page *page)
{
    nn_page_add(page, "<div class=\"keys\">");
    nn_page_key(page, "a", "read by several layers, or a sum");
    nn_page_key(page, "c", "other layers");
    nn_page_add(page, "</div>\n");
}

static void write_degrees(const nn_page *page)
{
    nn_page_add(page, "<h2>Degrees</h2>\n<p>Height: levels an activation takes, ceil(log2(degree + "
                      "1)). The number is the degree.</p>\n<div class=\"card\" id=\"degrees\">\n");
    write_bar_keys(page);
    nn_plot p = activation_plot(page, "Degree of every activation");
    p.y_max = 5;
    for (size_t i = 0; i < page->plan->count; i++)
        p.y_max = fmax(p.y_max, ola_depth(page->degrees[i]) + 0.5);
    nn_plot_axes(&p, "activation", "levels");
    bool room = p.width >= 18 * (double)page->plan->count;
    for (size_t i = 0; i < page->plan->count; i++) {
        char title[NN_PAGE_TITLE], number[16], place[NN_PAGE_PLACE];
        nn_page_place(place, page, i);
        snprintf(number, sizeof number, "%u", page->degrees[i]);
        snprintf(title, sizeof title, "activation %zu, %s: degree %u", i, place, page->degrees[i]);
        nn_plot_bar(&p, bar_class(page, i), (double)i, 0.7, ola_depth(page->degrees[i]), title);
        if (room)
            nn_svg_text(page->out, nn_plot_x(&p, (double)i),
                        nn_plot_y(&p, ola_depth(page->degrees[i])) - 4, 0, "label mid", number);
    }
    nn_svg_end(page->out);
    nn_page_add(page, "</div>\n");
}

/* What happens to a value beyond its interval, by the sine it goes through. */
static const char *beyond(double eps)
{
    if (!(eps > 0)) return "Beyond 1 a polynomial runs away";
    if (eps < 0.25)
        return "Beyond 1 a value leaves what the polynomial was fitted for, which may become much "
               "too large there";
    return "Beyond 1 the sine folds a value back into the interval: it is wrong there, but never "
           "large";
}

static void write_ranges(const nn_page *page)
{
    char title[NN_PAGE_TITLE], number[NN_FIXED_ROOM], place[NN_PAGE_PLACE];
    nn_page_add(page, "<h2>Ranges</h2>\n<p>Largest |w| on the held-out pictures, w = (x - centre) "
                      "/ half-width of the channel. ");
    nn_page_add(page, beyond(page->plan->eps));
    nn_page_add(page, ". Above the lower dashed line an interval is stretched and its activation "
                      "fitted again.</p>\n<div class=\"card\" id=\"ranges\">\n");
    write_bar_keys(page);
    nn_plot p = activation_plot(page, "Largest normalised input of every activation");
    p.y_max = 1.1;
    for (size_t i = 0; i < page->plan->count; i++)
        if (page->plan->activations[i].max_w < 10)
            p.y_max = fmax(p.y_max, 1.05 * page->plan->activations[i].max_w);
    nn_plot_axes(&p, "activation", "largest |w|");
    for (size_t i = 0; i < page->plan->count; i++) {
        double w = page->plan->activations[i].max_w;
        nn_page_place(place, page, i);
        snprintf(title, sizeof title, "activation %zu, %s: %s", i, place, nn_fixed(number, w, 3));
        nn_plot_bar(&p, bar_class(page, i), (double)i, 0.7, w, title);
    }
    nn_plot_level(&p, "limit", 1, "edge of the interval");
    nn_plot_level(&p, "dash", page->options.limit_w, NULL);
    nn_svg_end(page->out);
    nn_page_add(page, "</div>\n");
}

/* Dots, not bars: a logarithmic axis has no zero that a bar could begin at. */
static void importance_dot(const nn_plot *p, const char *class_name, const char *name, size_t i,
                           double change)
{
    char title[NN_PAGE_TITLE], number[NN_FIXED_ROOM];
    if (!(change > 0)) return;
    int power = (int)floor(log10(change));
    snprintf(title, sizeof title, "activation %zu, %s: %se%d", i, name,
             nn_fixed(number, change / pow(10, power), 2), power);
    nn_plot_dot(p, class_name, (double)i, change, 4.5, title);
}

static void write_importances(const nn_page *page)
{
    nn_page_add(page, "<h2>What an activation's error counts</h2>\n<p>Mean squared change of a "
                      "score when one activation alone becomes a polynomial of degree 7: measured, "
                      "and by the squared gradient of the loss times the fit's mean squared "
                      "error.</p>\n<div class=\"card\" id=\"importance\">\n<div class=\"keys\">");
    nn_page_key(page, "a", "measured, S");
    nn_page_key(page, "b", "by gradients, A E");
    nn_page_add(page, "</div>\n");
    nn_plot p = activation_plot(page, "Importance of every activation");
    p.log_y = true;
    p.y_min = 1e6;
    p.y_max = 1e-12;
    for (size_t i = 0; i < page->profile->count; i++) {
        const double change[2] = {page->measured[i], page->gradient[i]};
        for (size_t k = 0; k < 2; k++) {
            if (change[k] > 0) p.y_min = fmin(p.y_min, change[k]);
            p.y_max = fmax(p.y_max, change[k]);
        }
    }
    p.y_max = fmin(pow(10, ceil(log10(p.y_max) + 0.05)), 1e6);
    p.y_min = fmin(fmax(pow(10, floor(log10(p.y_min) - 0.05)), 1e-12), p.y_max / 10);
    nn_plot_axes(&p, "activation", "change");
    for (size_t i = 0; i < page->profile->count; i++) {
        importance_dot(&p, "fa", "measured", i, page->measured[i]);
        importance_dot(&p, "fb", "by gradients", i, page->gradient[i]);
    }
    nn_svg_end(page->out);
    nn_page_add(page, "</div>\n");
}

/* ---- what the page shows ---- */

/* Cost and predicted gain of every point of the exact frontier, thinned. */
static fhola_status predict_frontier(nn_page *page)
{
    ola_frontier *frontier;
    FHOLA_TRY(ola_frontier_create(&frontier, page->table.layers, page->table.activations,
                                  (double)INFINITY, page->table.resolution));
    size_t count = ola_frontier_count(frontier),
           step = (count + NN_PAGE_FRONTIER - 1) / NN_PAGE_FRONTIER;
    fhola_status status = FHOLA_OK;
    for (size_t k = 0; k < count && status == FHOLA_OK; k += step) {
        ola_schedule point;
        status = ola_frontier_point(frontier, k, &point, NULL);
        if (status != FHOLA_OK) break;
        page->cost[page->points] = point.cost + page->table.fixed;
        page->gain[page->points++] =
            nn_margins_accuracy(&page->margins, point.loss * page->table.change_per_loss) -
            page->exact;
    }
    ola_frontier_destroy(frontier);
    return status;
}

/* What an activation at degree 7 costs by each of the two measures, as a change of the scores. */
static fhola_status importance_at_7(nn_page *page)
{
    const nn_profile *profile = page->profile;
    for (size_t i = 0; i < profile->count; i++) {
        double loss[NN_PROFILE_DEGREES];
        FHOLA_TRY(nn_degrees_errors(loss, page->model, &profile->layers[i], i, &page->options));
        page->measured[i] = profile->layers[i].sensitivity[1];
        page->gradient[i] = profile->score_square > 0 ? loss[1] / profile->score_square : 0;
    }
    return FHOLA_OK;
}

static fhola_status collect(nn_page *page, const nn_batch *held_out)
{
    size_t count = page->plan->count;
    page->degrees = calloc(count, sizeof *page->degrees);
    page->measured = calloc(page->profile->count, sizeof *page->measured);
    page->gradient = calloc(page->profile->count, sizeof *page->gradient);
    if (!page->degrees || !page->measured || !page->gradient)
        return fhola_fail(FHOLA_NOMEM, "no memory for a page");
    for (size_t i = 0; i < count; i++) page->degrees[i] = nn_plan_degree(page->plan, i);
    FHOLA_TRY(nn_margins_create(&page->margins, page->model, held_out));
    FHOLA_TRY(nn_evaluate(&page->evaluation, page->model, page->plan, held_out, 0, 0, NULL, NULL));
    FHOLA_TRY(nn_degrees_create(&page->table, page->model, &page->options));
    page->exact = nn_margins_accuracy(&page->margins, 0);
    page->now = 100.0 * (double)page->evaluation.right / (double)page->evaluation.pictures;
    FHOLA_TRY(importance_at_7(page));
    return predict_frontier(page);
}

static fhola_status write_page(const nn_page *page)
{
    write_title(page);
    write_origin(page);
    write_tiles(page);
    nn_page_frontier(page);
    write_degrees(page);
    write_ranges(page);
    write_importances(page);
    nn_page_tables(page);
    FHOLA_TRY(nn_page_fits(page));
    nn_page_data(page);
    nn_page_add(page, "</main></body></html>\n");
    return page->out->failed ? fhola_fail(FHOLA_NOMEM, "no memory for a page") : FHOLA_OK;
}

static void page_free(nn_page *page)
{
    nn_degrees_clear(&page->table);
    nn_margins_clear(&page->margins);
    free(page->degrees);
    free(page->measured);
    free(page->gradient);
    free(page);
}

fhola_status nn_report_save(const char *path, const nn_report *report)
{
    nn_text out = {0};
    const nn_plan_options *options = report->options;
    if (!options->profile || !report->held_out || nn_batch_count(report->held_out) == 0)
        return fhola_fail(FHOLA_PARAM, "a report needs a profile and held-out pictures");
    FHOLA_TRY(nn_plan_check(report->plan, report->model));
    nn_page *page = calloc(1, sizeof *page);
    if (!page) return fhola_fail(FHOLA_NOMEM, "no memory for a page");
    *page = (nn_page){.out = &out,
                      .report = report,
                      .model = report->model,
                      .plan = report->plan,
                      .options = *options,
                      .profile = options->profile,
                      .frontier = report->frontier,
                      .ablation = report->ablation};
    if (options->cost) page->options.depth = 0;
    fhola_status status = collect(page, report->held_out);
    if (status == FHOLA_OK) status = write_page(page);
    if (status == FHOLA_OK) status = nn_file_write(path, out.bytes, out.length);
    page_free(page);
    free(out.bytes);
    return status;
}
