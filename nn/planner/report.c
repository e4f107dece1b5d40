/* SPDX-License-Identifier: Apache-2.0 */
/* A plan as one HTML page that needs nothing else. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/base/file.h"
#include "nn/base/json.h"
#include "nn/graph/graph.h"
#include "nn/graph/model_io.h"
#include "nn/nn.h"
#include "nn/plain/predict.h"
#include "nn/planner/degrees.h"
#include "nn/planner/profile.h"
#include "nn/planner/svg.h"

#define CURVE    241u /* points of a curve */
#define FRONTIER 512u /* points drawn of a frontier, at most */
#define TITLE    200u

/* Everything the page shows. */
typedef struct report {
    nn_text *out;
    const nn_model *model;
    const nn_plan *plan;
    const nn_plan_options *options;
    const nn_profile *profile;
    const nn_comparison *frontier, *ablation;
    nn_degrees table;
    nn_margins margins;
    nn_evaluation evaluation;
    unsigned *degrees; /* of the plan */
    double x[FRONTIER], y[FRONTIER];
    size_t points; /* of the predicted frontier */
} report;

static const char style[] =
    "<style>\n"
    ":root{--bg:#fbfbf9;--card:#fff;--ink:#1c2430;--soft:#5b6675;--grid:#e3e6ea;--a:#2563a8;--b:#"
    "c4571b;--c:#3a7d44;--h:#c9d5e3;--"
    "warn:#b3261e}\n"
    "@media(prefers-color-scheme:dark){:root{--bg:#14181d;--card:#1c2229;--ink:#e6e9ee;--soft:#"
    "9aa6b4;--grid:#303843;--a:#7fb2ea;--"
    "b:#f09a63;"
    "--c:#86c790;--h:#3b4a5c;--warn:#ff8a80}}\n"
    "*{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.5 "
    "system-ui,sans-serif}\n"
    "main{max-width:1120px;margin:0 auto;padding:28px 20px 60px}h1{font-size:26px;margin:0 0 "
    "4px}h2{font-size:19px;margin:36px 0 "
    "6px}\n"
    "p{margin:4px 0 12px;max-width:78ch;color:var(--soft)}.card{background:var(--card);border:1px "
    "solid "
    "var(--grid);border-radius:10px;padding:14px}\n"
    ".tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;margin:"
    "18px 0}\n"
    ".tiles b{display:block;font-size:22px;font-variant-numeric:tabular-nums}.tiles "
    "span{color:var(--soft);font-size:13px}\n"
    ".fits{display:grid;grid-template-columns:repeat(auto-fill,minmax(250px,1fr));gap:12px}.fits "
    "h3{font-size:14px;margin:0}\n"
    ".fits small{color:var(--soft);font-size:12px}\n"
    "svg{display:block;width:100%;height:auto;overflow:visible}\n"
    ".grid{stroke:var(--grid);stroke-width:1}.tick,.axis{fill:var(--soft);font-size:11px}.axis{"
    "font-size:12px}.mid{text-anchor:"
    "middle}.end{text-anchor:end}\n"
    "polyline{fill:none;stroke-width:2;stroke-linejoin:round}.pa{stroke:var(--a)}.pb{stroke:var(--"
    "b)}.pc{stroke:var(--c)}.thin{"
    "stroke:var(--soft);stroke-width:1.2}\n"
    ".dash{stroke:var(--soft);stroke-dasharray:5 "
    "4;stroke-width:1.2}.limit{stroke:var(--warn);stroke-dasharray:5 "
    "4;stroke-width:1.2}\n"
    ".hist{fill:var(--h);stroke:none}.fa{fill:var(--a)}.fb{fill:var(--b)}.fc{fill:var(--c)}.chosen{"
    "fill:var(--b);stroke:var(--card)"
    ";stroke-width:2}\n"
    ".label{fill:var(--ink);font-size:11px}.key{display:inline-block;width:11px;height:11px;border-"
    "radius:3px;margin:0 5px 0 "
    "14px;vertical-align:-1px}\n"
    "table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}th,td{text-align:"
    "left;padding:6px "
    "10px;border-bottom:1px solid var(--grid)}\n"
    "th{font-size:13px;color:var(--soft);font-weight:600}td.n,th.n{text-align:right}.scroll{"
    "overflow-x:auto}.warn{color:var(--warn)"
    "}\n"
    "td.d{font-size:12px;color:var(--soft);white-space:nowrap}tr.first td{font-weight:600}\n"
    "</style>\n";

static void add(const report *r, const char *text)
{
    nn_text_add(r->out, text);
}

static void key(const report *r, const char *colour, const char *text)
{
    nn_text_format(r->out, "<span class=\"key\" style=\"background:var(--%s)\"></span>%s", colour,
                   text);
}

static const char *cost_name(const report *r)
{
    return r->table.by_seconds ? "seconds a picture" : "total multiplicative depth";
}

/* ---- head ---- */

static void tile(const report *r, double number, unsigned decimals, const char *unit,
                 const char *name)
{
    add(r, "<div class=\"card\"><b>");
    nn_html_number(r->out, number, decimals);
    add(r, unit);
    add(r, "</b><span>");
    add(r, name);
    add(r, "</span></div>\n");
}

static void write_head(const report *r)
{
    ola_schedule total = nn_degrees_total(&r->table, r->degrees);
    double exact = nn_margins_accuracy(&r->margins, 0),
           now = 100.0 * (double)r->evaluation.right / (double)r->evaluation.pictures;
    add(r, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta "
           "name=\"viewport\" content=\"width=device-width, "
           "initial-scale=1\">\n");
    unsigned depth = nn_graph_depth(r->model->graph);
    nn_shape input = r->model->graph->nodes[0].shape;
    nn_text_format(r->out, "<title>Plan for a network of depth %u</title>\n", depth);
    add(r, style);
    nn_text_format(r->out, "</head><body><main>\n<h1>Polynomials for a network of depth %u</h1>\n",
                   depth);
    nn_text_format(r->out,
                   "<p>Input %u x %u x %u, %zu activations, %u classes, weights %016llx, %s, sine "
                   "of the bootstrap: eps = ",
                   input.channels, input.height, input.width, r->plan->count, r->model->classes,
                   (unsigned long long)r->model->hash,
                   r->options->per_layer ? "one polynomial per layer"
                                         : "one polynomial per channel");
    nn_html_number(r->out, r->plan->eps, 4);
    nn_text_format(r->out,
                   ". Accuracies on this page: %zu pictures held out from fitting.</p>\n<div "
                   "class=\"tiles\">\n",
                   r->margins.count);
    tile(r, exact, 2, " %", "exact network");
    tile(r, now, 2, " %", "polynomial network");
    tile(r, exact - now, 2, "", "points lost");
    tile(r, nn_plan_depth(r->plan), 0, "", "total depth of all activations");
    if (r->table.by_seconds)
        tile(r, total.cost, 2, " s",
             r->table.estimated ? "a picture, estimated" : "a picture, by the table of costs");
    tile(r, r->evaluation.max_w, 2, "", "largest |w| reached (1 is the edge)");
    add(r, "</div>\n");
    if (r->evaluation.not_finite || r->evaluation.outside)
        nn_text_format(r->out,
                       "<p class=\"warn\">%zu pictures leave an interval, %zu have scores that are "
                       "not finite.</p>\n",
                       r->evaluation.outside, r->evaluation.not_finite);
}

/* ---- frontier ---- */

/* Cost and predicted accuracy of every point of the exact frontier, thinned to FRONTIER. */
static fhola_status predict_frontier(report *r)
{
    ola_frontier *frontier;
    fhola_status status = ola_frontier_create(&frontier, r->table.layers, r->table.activations,
                                              (double)INFINITY, r->table.resolution);
    if (status != FHOLA_OK) return status;
    size_t count = ola_frontier_count(frontier), step = (count + FRONTIER - 1) / FRONTIER;
    for (size_t k = 0; k < count && status == FHOLA_OK; k += step) {
        ola_schedule point;
        status = ola_frontier_point(frontier, k, &point, NULL);
        r->x[r->points] = point.cost + r->table.fixed;
        r->y[r->points++] = nn_margins_accuracy(&r->margins, point.loss * r->table.change_per_loss);
    }
    ola_frontier_destroy(frontier);
    return status;
}

static double row_cost(const report *r, const nn_comparison_row *row)
{
    return r->table.by_seconds ? row->seconds : row->depth;
}

static void widen_for_rows(nn_plot *p, const report *r, const nn_comparison *c, double lowest)
{
    for (size_t k = 0; c && k < c->count; k++) {
        if (isfinite(row_cost(r, &c->row[k]))) {
            p->x_min = fmin(p->x_min, row_cost(r, &c->row[k]));
            p->x_max = fmax(p->x_max, row_cost(r, &c->row[k]));
        }
        p->y_min = fmin(p->y_min,
                        isfinite(c->row[k].accuracy) ? fmax(c->row[k].accuracy, lowest) : p->y_min);
    }
}

static void plot_rows(const nn_plot *p, const report *r, const nn_comparison *c,
                      const char *class_name, double radius)
{
    for (size_t k = 0; c && k < c->count; k++) {
        char title[TITLE], percent[NN_FIXED_ROOM];
        const nn_comparison_row *row = &c->row[k];
        if (!isfinite(row_cost(r, row)) || !isfinite(row->accuracy)) continue;
        snprintf(title, sizeof title, "%s, %s: %s %%, depth %u", row->group, row->name,
                 nn_fixed(percent, row->accuracy, 2), row->depth);
        nn_plot_dot(p, class_name, row_cost(r, row), row->accuracy, radius, title);
    }
}

static void plot_chosen(const nn_plot *p, const report *r, double accuracy)
{
    char title[TITLE], percent[NN_FIXED_ROOM];
    ola_schedule total = nn_degrees_total(&r->table, r->degrees);
    snprintf(title, sizeof title, "this plan: %s %%", nn_fixed(percent, accuracy, 2));
    if (!isfinite(total.cost)) return;
    nn_plot_dot(p, "chosen", total.cost, accuracy, 7, title);
    nn_svg_text(p->out, nn_plot_x(p, total.cost) + 10, nn_plot_y(p, accuracy) + 16, "label", title);
}

static void write_frontier(const report *r)
{
    double exact = nn_margins_accuracy(&r->margins, 0),
           now = 100.0 * (double)r->evaluation.right / (double)r->evaluation.pictures;
    double lowest = fmax(exact - 25, 0);
    nn_plot p = {.out = r->out, .left = 52, .top = 26, .width = 1000, .height = 330};
    p.x_min = r->x[0];
    p.x_max = r->x[r->points - 1];
    p.y_min = fmin(fmax(r->y[0], lowest), now);
    widen_for_rows(&p, r, r->frontier, lowest);
    widen_for_rows(&p, r, r->ablation, lowest);
    double margin = fmax(0.03 * (p.x_max - p.x_min), 0.05),
           room = fmax(0.08 * (exact - p.y_min), 0.2);
    p.x_min -= margin;
    p.x_max += margin;
    p.y_min -= room;
    p.y_max = exact + room;
    add(r, "<h2>Accuracy against cost</h2>\n<p>The line is what the exact schedule of every budget "
           "should lose, from the profile "
           "alone: each activation's error "
           "counted as an independent normal change of the scores. Dots were fitted and measured");
    if (r->frontier)
        nn_text_format(r->out, " (fitted to %zu pictures, measured on %zu)",
                       r->frontier->calibration, r->frontier->pictures);
    add(r, ".</p>\n<div class=\"card\" id=\"frontier\">\n<div>");
    key(r, "a", "predicted");
    if (r->frontier) key(r, "c", "measured along the frontier");
    if (r->ablation) key(r, "h", "measured, ablation");
    key(r, "b", "this plan");
    add(r, "</div>\n");
    nn_svg_begin(r->out, 1070, 400, "Accuracy against cost");
    nn_plot_axes(&p, cost_name(r), "accuracy, percent");
    nn_plot_level(&p, "dash", exact, "exact network");
    nn_plot_line(&p, "pa", r->x, r->y, r->points);
    plot_rows(&p, r, r->ablation, "hist", 5);
    plot_rows(&p, r, r->frontier, "fc", 5);
    plot_chosen(&p, r, now);
    nn_svg_end(r->out);
    add(r, "</div>\n");
}

/* ---- per activation ---- */

/* A layer's name may be anything; it is cut where it would not fit. */
static void place_name(char *name, size_t room, const report *r, size_t i)
{
    const nn_node *node = nn_graph_layer(r->model->graph, i);
    snprintf(name, room, "%.48s%s, %u channels", node->name,
             node->function.kind == OLA_IDENTITY ? " (linear)" : "", node->shape.channels);
}

static const char *bar_class(const report *r, size_t i)
{
    return nn_graph_is_output(r->model->graph, i) ? "fa" : "fc";
}

static nn_plot activation_plot(const report *r, double y_min, double y_max)
{
    return (nn_plot){.out = r->out,
                     .left = 52,
                     .top = 26,
                     .width = 1000,
                     .height = 180,
                     .x_min = -0.7,
                     .x_max = (double)r->plan->count - 0.3,
                     .y_min = y_min,
                     .y_max = y_max};
}

static void write_degrees(const report *r)
{
    nn_plot p = activation_plot(r, 0, 5);
    for (size_t i = 0; i < r->plan->count; i++)
        p.y_max = fmax(p.y_max, ola_depth(r->degrees[i]) + 0.5);
    add(r, "<h2>Degrees</h2>\n<p>Height: levels an activation takes, ceil(log2(degree + 1)). The "
           "number is the degree.</p>\n<div "
           "class=\"card\" "
           "id=\"degrees\">\n<div>");
    key(r, "a", "read by several layers, or a sum");
    key(r, "c", "other layers");
    add(r, "</div>\n");
    nn_svg_begin(r->out, 1070, 250, "Degree of every activation");
    nn_plot_axes(&p, "activation", "levels");
    for (size_t i = 0; i < r->plan->count; i++) {
        char title[TITLE], number[16], place[80];
        place_name(place, sizeof place, r, i);
        snprintf(number, sizeof number, "%u", r->degrees[i]);
        snprintf(title, sizeof title, "activation %zu, %s: degree %u", i, place, r->degrees[i]);
        nn_plot_bar(&p, bar_class(r, i), (double)i, 0.7, ola_depth(r->degrees[i]), title);
        nn_svg_text(r->out, nn_plot_x(&p, (double)i), nn_plot_y(&p, ola_depth(r->degrees[i])) - 5,
                    "label mid", number);
    }
    nn_svg_end(r->out);
    add(r, "</div>\n");
}

static void write_ranges(const report *r)
{
    nn_plot p = activation_plot(r, 0, 1.1);
    add(r, "<h2>Ranges</h2>\n<p>Largest |w| on the held-out pictures, w = (x - centre) / "
           "half-width of the channel. Beyond 1 a "
           "polynomial runs away; an "
           "interval is stretched and its activation fitted again above the limit.</p>\n<div "
           "class=\"card\" id=\"ranges\">\n");
    nn_svg_begin(r->out, 1070, 250, "Largest normalised input of every activation");
    nn_plot_axes(&p, "activation", "largest |w|");
    for (size_t i = 0; i < r->plan->count; i++) {
        char title[TITLE], number[NN_FIXED_ROOM], place[80];
        double w = r->plan->activations[i].max_w;
        place_name(place, sizeof place, r, i);
        snprintf(title, sizeof title, "activation %zu, %s: %s", i, place, nn_fixed(number, w, 3));
        nn_plot_bar(&p, bar_class(r, i), (double)i, 0.7, w, title);
    }
    nn_plot_level(&p, "limit", 1, "edge of the interval");
    nn_plot_level(&p, "dash", r->options->limit_w, NULL);
    nn_svg_end(r->out);
    add(r, "</div>\n");
}

/* What an activation at degree 7 costs by each of the two measures, as a change of the scores. */
static fhola_status importance_at_7(double *measured, double *gradient, const report *r)
{
    for (size_t i = 0; i < r->profile->count; i++) {
        double loss[NN_PROFILE_DEGREES];
        fhola_status status =
            nn_degrees_errors(loss, r->model, &r->profile->layers[i], i, r->options);
        if (status != FHOLA_OK) return status;
        measured[i] = r->profile->layers[i].sensitivity[1];
        gradient[i] = r->profile->score_square > 0 ? loss[1] / r->profile->score_square : 0;
    }
    return FHOLA_OK;
}

static void plot_importances(const report *r, const double *measured, const double *gradient)
{
    nn_plot p = activation_plot(r, 1, 1e-6);
    p.log_y = true;
    for (size_t i = 0; i < r->profile->count; i++) {
        p.y_min = fmin(p.y_min,
                       fmin(measured[i] > 0 ? measured[i] : 1, gradient[i] > 0 ? gradient[i] : 1));
        p.y_max = fmax(p.y_max, fmax(measured[i], gradient[i]));
    }
    p.y_min = fmax(p.y_min / 2, 1e-6);
    p.y_max = fmin(p.y_max * 2, 1e6);
    add(r, "<h2>What an activation's error counts</h2>\n<p>Mean squared change of a score when one "
           "activation alone becomes a "
           "polynomial of degree 7: "
           "measured, and by the squared gradient of the loss times the fit's mean squared "
           "error.</p>\n<div class=\"card\" "
           "id=\"importance\">\n<div>");
    key(r, "a", "measured, S");
    key(r, "b", "by gradients, A E");
    add(r, "</div>\n");
    nn_svg_begin(r->out, 1070, 250, "Importance of every activation");
    nn_plot_axes(&p, "activation", "change");
    for (size_t i = 0; i < r->profile->count; i++) {
        char title[TITLE];
        snprintf(title, sizeof title, "activation %zu", i);
        nn_plot_bar(&p, "fa", (double)i - 0.18, 0.32, measured[i], title);
        nn_plot_bar(&p, "fb", (double)i + 0.18, 0.32, gradient[i], title);
    }
    nn_svg_end(r->out);
    add(r, "</div>\n");
}

static fhola_status write_importances(const report *r)
{
    double *values = calloc(2 * r->profile->count, sizeof *values);
    if (!values) return fhola_fail(FHOLA_NOMEM, "no memory for a page");
    fhola_status status = importance_at_7(values, values + r->profile->count, r);
    if (status == FHOLA_OK) plot_importances(r, values, values + r->profile->count);
    free(values);
    return status;
}

/* ---- fits ---- */

static void coefficients(double *coeff, const nn_activation *a, unsigned channel)
{
    for (unsigned k = 0; k <= a->degree; k++)
        coeff[k] = a->coeff[(size_t)k * a->channels + channel];
}

/* Error of one channel's polynomial against the function on the exact network's inputs. */
static fhola_status measure_channel(ola_fit_result *result, const report *r, size_t i,
                                    unsigned channel)
{
    const nn_activation *a = &r->plan->activations[i];
    double coeff[NN_MAX_DEGREE + 1];
    ola_histogram histogram;
    fhola_status status = nn_profile_histogram(&histogram, &r->profile->layers[i], channel);
    if (status != FHOLA_OK) return status;
    ola_problem problem = {.function = nn_graph_layer(r->model->graph, i)->function,
                           .interval = {a->centre[channel], a->half_width[channel]},
                           .eps = r->plan->eps,
                           .weight = OLA_WEIGHT_EMPIRICAL,
                           .histogram = &histogram};
    coefficients(coeff, a, channel);
    status = ola_measure(result, &problem, coeff, a->degree);
    ola_histogram_clear(&histogram);
    return status;
}

/* The channel whose error counts most by importance, and the layer's root mean square error. */
static fhola_status worst_channel(unsigned *channel, ola_fit_result *worst, double *layer_rms,
                                  const report *r, size_t i)
{
    const nn_profile_layer *layer = &r->profile->layers[i];
    double most = -1, square = 0;
    for (unsigned c = 0; c < layer->channels; c++) {
        ola_fit_result result;
        fhola_status status = measure_channel(&result, r, i, c);
        if (status != FHOLA_OK) return status;
        square += result.rms * result.rms / layer->channels;
        if (layer->importance[c] * result.rms * result.rms > most) {
            most = layer->importance[c] * result.rms * result.rms;
            *channel = c;
            *worst = result;
        }
    }
    *layer_rms = sqrt(square);
    return FHOLA_OK;
}

static void plot_histogram(const nn_plot *p, const nn_profile_layer *layer, unsigned channel)
{
    double x[2 * NN_PROFILE_BINS], y[2 * NN_PROFILE_BINS], most = 0;
    const double *count = layer->histogram + channel * NN_PROFILE_BINS;
    double lo = layer->min[channel], width = (layer->max[channel] - lo) / NN_PROFILE_BINS;
    for (size_t b = 0; b < NN_PROFILE_BINS; b++) most = fmax(most, count[b]);
    for (size_t b = 0; b < NN_PROFILE_BINS; b++) {
        x[2 * b] = lo + width * (double)b;
        x[2 * b + 1] = lo + width * (double)(b + 1);
        y[2 * b] = y[2 * b + 1] = p->y_min + (p->y_max - p->y_min) * 0.95 * count[b] / most;
    }
    nn_plot_area(p, "hist", x, y, 2 * NN_PROFILE_BINS);
}

static void write_fit(const report *r, size_t i, unsigned channel, const ola_fit_result *worst,
                      double layer_rms)
{
    const nn_activation *a = &r->plan->activations[i];
    double x[CURVE], y[CURVE], target[CURVE], error[CURVE], coeff[NN_MAX_DEGREE + 1],
        largest = 1e-9, low = 0;
    const ola_function *f = &nn_graph_layer(r->model->graph, i)->function;
    char place[80];
    coefficients(coeff, a, channel);
    for (size_t k = 0; k < CURVE; k++) {
        double w = 2 * (double)k / (CURVE - 1) - 1;
        x[k] = a->centre[channel] + a->half_width[channel] * w;
        y[k] = ola_chebyshev_eval(coeff, a->degree, ola_variable(r->plan->eps, w));
        target[k] = ola_function_eval(f, x[k]);
        error[k] = y[k] - target[k];
        largest = fmax(largest, fabs(error[k]));
        low = fmin(low, y[k]);
    }
    nn_plot p = {.out = r->out,
                 .left = 30,
                 .top = 8,
                 .width = 215,
                 .height = 110,
                 .x_min = x[0],
                 .x_max = x[CURVE - 1],
                 .y_min = low,
                 .y_max = fmax(fmax(target[CURVE - 1], y[CURVE - 1]), 1e-6)};
    nn_plot e = p;
    e.top = 140;
    e.height = 46;
    e.y_min = -largest;
    e.y_max = largest;
    place_name(place, sizeof place, r, i);
    nn_text_format(r->out, "<div class=\"card fit\"><h3>%zu: degree %u</h3><small>", i, a->degree);
    nn_html_text(r->out, place);
    nn_text_format(r->out, "; channel %u shown</small>\n", channel);
    nn_svg_begin(r->out, 250, 212, "Polynomial over its histogram");
    plot_histogram(&p, &r->profile->layers[i], channel);
    nn_plot_axes(&p, NULL, NULL);
    nn_plot_line(&p, "thin", x, target, CURVE);
    nn_plot_line(&p, "pb", x, y, CURVE);
    nn_svg_text(r->out, 0, e.top - 4, "tick", "error");
    nn_plot_axes(&e, "", NULL);
    nn_plot_level(&e, "grid", 0, NULL);
    nn_plot_line(&e, "pa", x, error, CURVE);
    nn_svg_end(r->out);
    add(r, "<small>rms error ");
    nn_html_number(r->out, worst->rms, 4);
    add(r, ", layer ");
    nn_html_number(r->out, layer_rms, 4);
    add(r, ", largest ");
    nn_html_number(r->out, worst->max_error, 3);
    add(r, "</small></div>\n");
}

static fhola_status write_fits(const report *r)
{
    add(r, "<h2>Fits</h2>\n<p>Of each activation the channel whose error counts most. Grey: how "
           "often a value arrives in the exact "
           "network. ");
    add(r, "Thin: the activation function. Below: polynomial minus that. ");
    add(r, "A polynomial that aims at the exact network's output given what arrives behind other "
           "polynomials keeps some distance from "
           "it on purpose.</p>\n<div class=\"fits\" id=\"fits\">\n");
    for (size_t i = 0; i < r->plan->count; i++) {
        unsigned channel = 0;
        double layer_rms;
        ola_fit_result worst;
        fhola_status status = worst_channel(&channel, &worst, &layer_rms, r, i);
        if (status != FHOLA_OK) return fhola_fail(status, "activation %zu: %s", i, fhola_detail());
        write_fit(r, i, channel, &worst, layer_rms);
    }
    add(r, "</div>\n");
    return FHOLA_OK;
}

/* ---- ablation ---- */

static void write_degree_list(const report *r, const unsigned *degrees, size_t count)
{
    for (size_t i = 0; i < count; i++) nn_text_format(r->out, i ? " %u" : "%u", degrees[i]);
}

static void write_row(const report *r, const nn_comparison *c, const nn_comparison_row *row,
                      bool first)
{
    nn_text_format(r->out, "<tr%s><td>", first ? " class=\"first\"" : "");
    nn_html_text(r->out, row->group);
    add(r, "</td><td>");
    nn_html_text(r->out, row->name);
    nn_text_format(r->out, "</td><td class=\"n\">%u</td><td class=\"n\">", row->depth);
    nn_html_number(r->out, row->seconds, 2);
    add(r, "</td><td class=\"n\">");
    nn_html_number(r->out, row->accuracy, 2);
    add(r, "</td><td class=\"n\">");
    nn_html_number(r->out, c->exact_accuracy - row->accuracy, 2);
    nn_text_format(r->out, "</td><td class=\"n\">%zu</td><td class=\"n\">", row->not_finite);
    if (row->max_w < 1000)
        nn_html_number(r->out, row->max_w, 2);
    else
        add(r, isfinite(row->max_w) ? "&gt; 1000" : "-");
    add(r, "</td><td class=\"d\">");
    write_degree_list(r, row->degrees, c->activations);
    add(r, "</td></tr>\n");
}

static void write_table(const report *r, const nn_comparison *c, const char *id)
{
    nn_text_format(
        r->out,
        "<div class=\"card scroll\" id=\"%s\"><table><thead><tr><th>varied</th><th>plan</th><th "
        "class=\"n\">depth</th>",
        id);
    add(r, "<th class=\"n\">seconds</th><th class=\"n\">accuracy, %</th><th class=\"n\">points "
           "lost</th><th class=\"n\">not "
           "finite</th>"
           "<th class=\"n\">max |w|</th><th>degrees</th></tr></thead><tbody>\n");
    for (size_t k = 0; k < c->count; k++) write_row(r, c, &c->row[k], k == 0 && c == r->ablation);
    add(r, "</tbody></table></div>\n");
}

static void write_tables(const report *r)
{
    if (r->ablation) {
        nn_text_format(r->out,
                       "<h2>Ablation</h2>\n<p>One part changed at a time. Fitted to %zu pictures, "
                       "measured on %zu; exact network ",
                       r->ablation->calibration, r->ablation->pictures);
        nn_html_number(r->out, r->ablation->exact_accuracy, 2);
        add(r, " %.</p>\n");
        write_table(r, r->ablation, "ablation");
    }
    if (r->frontier) {
        add(r, "<h2>Measured along the frontier</h2>\n<p>The dots of the first figure.</p>\n");
        write_table(r, r->frontier, "measured");
    }
}

/* ---- the page ---- */

static fhola_status collect(report *r, const nn_batch *held_out)
{
    r->degrees = calloc(r->plan->count, sizeof *r->degrees);
    if (!r->degrees) return fhola_fail(FHOLA_NOMEM, "no memory for a page");
    for (size_t i = 0; i < r->plan->count; i++) r->degrees[i] = nn_plan_degree(r->plan, i);
    fhola_status status = nn_margins_create(&r->margins, r->model, held_out);
    if (status == FHOLA_OK)
        status = nn_evaluate(&r->evaluation, r->model, r->plan, held_out, 0, 0, NULL, NULL);
    if (status == FHOLA_OK) status = nn_degrees_create(&r->table, r->model, r->options);
    return status == FHOLA_OK ? predict_frontier(r) : status;
}

static fhola_status write_page(const report *r)
{
    write_head(r);
    write_frontier(r);
    write_degrees(r);
    write_ranges(r);
    fhola_status status = write_importances(r);
    write_tables(r);
    if (status == FHOLA_OK) status = write_fits(r);
    add(r, "</main></body></html>\n");
    return status == FHOLA_OK && r->out->failed ? fhola_fail(FHOLA_NOMEM, "no memory for a page")
                                                : status;
}

fhola_status nn_report_save(const char *path, const nn_model *model, const nn_plan *plan,
                            const nn_plan_options *options, const nn_batch *held_out,
                            const nn_comparison *frontier, const nn_comparison *ablation)
{
    nn_text out = {0};
    if (!options->profile || !held_out || nn_batch_count(held_out) == 0)
        return fhola_fail(FHOLA_PARAM, "a report needs a profile and held-out pictures");
    nn_plan_options seconds = *options;
    if (seconds.cost) /* the page counts in seconds where it can */
        seconds.depth = 0;
    report *r = calloc(1, sizeof *r);
    if (!r) return fhola_fail(FHOLA_NOMEM, "no memory for a page");
    *r = (report){.out = &out,
                  .model = model,
                  .plan = plan,
                  .options = &seconds,
                  .profile = options->profile,
                  .frontier = frontier,
                  .ablation = ablation};
    fhola_status status = nn_plan_check(plan, model);
    if (status == FHOLA_OK) status = collect(r, held_out);
    if (status == FHOLA_OK) status = write_page(r);
    if (status == FHOLA_OK) status = nn_file_write(path, out.bytes, out.length);
    nn_degrees_clear(&r->table);
    nn_margins_clear(&r->margins);
    free(r->degrees);
    free(r);
    free(out.bytes);
    return status;
}
