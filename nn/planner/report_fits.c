/* SPDX-License-Identifier: Apache-2.0 */
/* The page's polynomials over their histograms. Of each activation three channels can be looked
 * at: by radio buttons and the style sheet, without a script. */
#include <math.h>
#include <stdlib.h>

#include "nn/planner/report.h"

#define CURVE 121u /* points of a curve */
#define SHOWN 3u   /* channels of an activation */

/* How well one channel is fitted on the exact network's inputs. */
typedef struct channel_fit {
    unsigned channel;
    double weight; /* what its error counts: importance times mean square */
    double rms, largest;
} channel_fit;

/* ---- errors ---- */

static void coefficients(double *coeff, const nn_activation *a, unsigned channel)
{
    for (unsigned k = 0; k <= a->degree; k++)
        coeff[k] = a->coeff[(size_t)k * a->channels + channel];
}

static fhola_status measure_channel(channel_fit *fit, const nn_page *page, size_t i,
                                    unsigned channel)
{
    const nn_activation *a = &page->plan->activations[i];
    const nn_profile_layer *layer = &page->profile->layers[i];
    double coeff[NN_MAX_DEGREE + 1];
    ola_histogram histogram;
    ola_fit_result result;
    FHOLA_TRY(nn_profile_histogram(&histogram, layer, channel));
    ola_problem problem = {.function = nn_graph_layer(page->model->graph, i)->function,
                           .interval = {a->centre[channel], a->half_width[channel]},
                           .eps = page->plan->eps,
                           .weight = OLA_WEIGHT_EMPIRICAL,
                           .histogram = &histogram};
    coefficients(coeff, a, channel);
    fhola_status status = ola_measure(&result, &problem, coeff, a->degree);
    ola_histogram_clear(&histogram);
    if (status != FHOLA_OK) return status;
    *fit = (channel_fit){channel, layer->importance[channel] * result.rms * result.rms, result.rms,
                         result.max_error};
    return FHOLA_OK;
}

/* What counts most first. */
static int compare(const void *a, const void *b)
{
    const channel_fit *x = a, *y = b;
    if (x->weight != y->weight) return x->weight < y->weight ? 1 : -1;
    return x->channel < y->channel ? -1 : 1;
}

static fhola_status measure_layer(channel_fit *fits, double *rms, const nn_page *page, size_t i)
{
    unsigned channels = page->profile->layers[i].channels;
    double square = 0;
    for (unsigned c = 0; c < channels; c++) {
        FHOLA_TRY(measure_channel(&fits[c], page, i, c));
        square += fits[c].rms * fits[c].rms / channels;
    }
    qsort(fits, channels, sizeof *fits, compare);
    *rms = sqrt(square);
    return FHOLA_OK;
}

/* ---- drawing ---- */

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

/* A channel's polynomial and its target on the whole interval, and the ranges of both plots. */
typedef struct curves {
    double x[CURVE], y[CURVE], target[CURVE], error[CURVE];
    double low, high, largest_error;
} curves;

static void evaluate_curves(curves *v, const nn_page *page, size_t i, unsigned channel)
{
    const nn_activation *a = &page->plan->activations[i];
    const ola_function *f = &nn_graph_layer(page->model->graph, i)->function;
    double coeff[NN_MAX_DEGREE + 1];
    coefficients(coeff, a, channel);
    v->low = 0;
    v->high = 1e-6;
    v->largest_error = 1e-9;
    for (size_t k = 0; k < CURVE; k++) {
        double w = 2 * (double)k / (CURVE - 1) - 1;
        v->x[k] = a->centre[channel] + a->half_width[channel] * w;
        v->y[k] = ola_chebyshev_eval(coeff, a->degree, ola_variable(page->plan->eps, w));
        v->target[k] = ola_function_eval(f, v->x[k]);
        v->error[k] = v->y[k] - v->target[k];
        v->low = fmin(v->low, fmin(v->y[k], v->target[k]));
        v->high = fmax(v->high, fmax(v->y[k], v->target[k]));
        v->largest_error = fmax(v->largest_error, fabs(v->error[k]));
    }
}

static void plot_fit(const nn_page *page, size_t i, unsigned channel)
{
    curves v;
    evaluate_curves(&v, page, i, channel);
    nn_plot p = {.out = page->out,
                 .left = 42,
                 .top = 8,
                 .width = 204,
                 .height = 110,
                 .tick_count = 4,
                 .x_min = v.x[0],
                 .x_max = v.x[CURVE - 1],
                 .y_min = v.low,
                 .y_max = v.high};
    nn_plot e = p;
    e.top = 144;
    e.height = 60;
    e.tick_count = 5;
    e.y_min = -v.largest_error;
    e.y_max = v.largest_error;
    nn_svg_begin(page->out, NULL, 254, 224, "Polynomial over its histogram, and its error");
    plot_histogram(&p, &page->profile->layers[i], channel);
    nn_plot_axes(&p, NULL, "");
    nn_plot_line(&p, "thin", v.x, v.target, CURVE);
    nn_plot_line(&p, "pb", v.x, v.y, CURVE);
    nn_svg_text(page->out, e.left, e.top - 5, 0, "tick", "error");
    nn_plot_axes(&e, "", "");
    nn_plot_line(&e, "pa", v.x, v.error, CURVE);
    nn_svg_end(page->out);
}

/* ---- cards ---- */

static void write_view(const nn_page *page, size_t i, const channel_fit *fit)
{
    nn_page_add(page, "<figure>\n");
    plot_fit(page, i, fit->channel);
    nn_text_format(page->out, "<small>channel %u: rms ", fit->channel);
    nn_html_number(page->out, fit->rms, 4);
    nn_page_add(page, ", largest ");
    nn_html_number(page->out, fit->largest, 3);
    nn_page_add(page, "</small></figure>\n");
}

static void write_card(const nn_page *page, size_t i, const channel_fit *fits, double rms)
{
    static const char *const names[SHOWN] = {"worst", "middle", "best"};
    unsigned channels = page->profile->layers[i].channels;
    const unsigned rank[SHOWN] = {0, channels / 2, channels - 1};
    size_t shown = channels < SHOWN ? channels : SHOWN;
    char place[NN_PAGE_PLACE];
    nn_page_place(place, page, i);
    nn_text_format(page->out, "<div class=\"card fit\"><h3>%zu: degree %u</h3><small>", i,
                   page->plan->activations[i].degree);
    nn_html_text(page->out, place);
    nn_page_add(page, ", rms error ");
    nn_html_number(page->out, rms, 4);
    nn_page_add(page, "</small><br>\n");
    for (size_t k = 0; k < shown; k++)
        nn_text_format(page->out,
                       "<input type=\"radio\" name=\"f%zu\" id=\"f%zu-%zu\"%s>"
                       "<label for=\"f%zu-%zu\">%s</label>\n",
                       i, i, k, k ? "" : " checked=\"\"", i, k, names[k]);
    for (size_t k = 0; k < shown; k++) write_view(page, i, &fits[rank[k]]);
    nn_page_add(page, "</div>\n");
}

static fhola_status write_layer(const nn_page *page, size_t i)
{
    double rms;
    channel_fit *fits = calloc(page->profile->layers[i].channels, sizeof *fits);
    if (!fits) return fhola_fail(FHOLA_NOMEM, "no memory for a page");
    fhola_status status = measure_layer(fits, &rms, page, i);
    if (status == FHOLA_OK) write_card(page, i, fits, rms);
    free(fits);
    return status;
}

fhola_status nn_page_fits(const nn_page *page)
{
    nn_page_add(page, "<h2>Fits</h2>\n<p>Grey: how often a value arrives in the exact network. "
                      "Thin: the activation function. Thick: the polynomial. Below: polynomial "
                      "minus function. A polynomial that aims at the exact network's output given "
                      "what arrives behind other polynomials keeps some distance from it on "
                      "purpose. Of each activation three channels can be chosen: the worst, whose "
                      "error counts most (importance times mean square), one in the middle, and "
                      "the best.</p>\n<div class=\"fits\" id=\"fits\">\n");
    for (size_t i = 0; i < page->plan->count; i++) {
        fhola_status status = write_layer(page, i);
        if (status != FHOLA_OK) return fhola_fail(status, "activation %zu: %s", i, fhola_detail());
    }
    nn_page_add(page, "</div>\n");
    return FHOLA_OK;
}
