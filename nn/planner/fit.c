/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/planner/fit.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "nn/base/parallel.h"
#include "nn/plain/plain.h"

#define SPREAD 16u /* pixels laid out by channel at a time */
#define CHUNK  64u /* pictures whose arrivals are laid out by channel at a time */
/* of a histogram that has just grown: at least half of them lie in the range */
#define BINS 4096u
/* of the factor of a composition, in units of the half-width */
#define FACTOR_ERROR         0x1p-20
#define LARGEST_FACTOR_ERROR 0x1p-12
/* of a layer's range behind polynomials over that of the exact network */
#define MAX_GROWTH 32.0

/* ---- arrivals ---- */

void nn_arrivals_clear(nn_arrivals *arrivals)
{
    for (unsigned c = 0; arrivals->histograms && c < arrivals->channels; c++)
        ola_histogram_clear(&arrivals->histograms[c]);
    free(arrivals->histograms);
    free(arrivals->min);
    memset(arrivals, 0, sizeof *arrivals);
}

static fhola_status allocate_arrivals(nn_arrivals *arrivals, unsigned channels)
{
    memset(arrivals, 0, sizeof *arrivals);
    arrivals->channels = channels;
    arrivals->histograms = calloc(channels, sizeof *arrivals->histograms);
    arrivals->min = malloc(6 * (size_t)channels * sizeof *arrivals->min);
    if (!arrivals->histograms || !arrivals->min)
        return fhola_fail(FHOLA_NOMEM, "no memory for the histograms of %u channels", channels);
    arrivals->max = arrivals->min + channels;
    arrivals->held_min = arrivals->max + channels;
    arrivals->held_max = arrivals->held_min + channels;
    arrivals->exact_min = arrivals->held_max + channels;
    arrivals->exact_max = arrivals->exact_min + channels;
    for (unsigned c = 0; c < channels; c++) {
        arrivals->min[c] = arrivals->held_min[c] = arrivals->exact_min[c] = (double)INFINITY;
        arrivals->max[c] = arrivals->held_max[c] = arrivals->exact_max[c] = -(double)INFINITY;
        fhola_status status = ola_histogram_init(&arrivals->histograms[c], -1.0 / 64, 1.0 / 64,
                                                 BINS, OLA_HISTOGRAM_TARGETS | OLA_HISTOGRAM_GROW);
        if (status != FHOLA_OK) return status;
    }
    return FHOLA_OK;
}

/* ---- passage ---- */

/* What a picture keeps in front of an activation: the values of nodes that are still to be read,
 * one after the other, then, if that takes no more room than what it is made of, what goes into the
 * activation. */
typedef struct front {
    size_t nodes;
    size_t *node, *place; /* which, and where their values start */
    bool ready;           /* what goes in is there, */
    size_t pre;           /* here */
    size_t values;        /* in all */
} front;

struct nn_passage {
    const nn_model *model;
    nn_plain *exact, *approximate;
    nn_scratch *scratch;
    size_t threads;
    size_t calibration, all; /* pictures: calibration first, then held out */
    bool conditional;
    size_t layers;
    front *fronts;      /* layers + 1; the last one in front of the scores */
    size_t at;          /* the front of all pictures */
    size_t values;      /* of the largest front */
    size_t largest;     /* node */
    float *state;       /* all * values, of the polynomial network */
    float *exact_state; /* calibration * values, of the exact network */
    float *arriving;    /* CHUNK * largest: by channel, then picture, then pixel */
    float *targets;     /* the same, of the exact network's activation outputs */
};

/* Values of the nodes that only node i reads from here on. */
static size_t dying_values(const nn_graph *graph, const size_t *last, size_t i)
{
    size_t sum = 0;
    for (size_t j = 0; j < i; j++)
        if (last[j] == i) sum += nn_shape_values(graph->nodes[j].shape);
    return sum;
}

/* The front of node i, which is layer i - 1 or the scores. */
static fhola_status make_front(front *f, const nn_graph *graph, const size_t *last, size_t i)
{
    size_t own = nn_shape_values(graph->nodes[i].shape);
    f->node = malloc(2 * i * sizeof *f->node);
    if (!f->node) return fhola_fail(FHOLA_NOMEM, "no memory for a network");
    f->place = f->node + i;
    f->ready = i + 1 < graph->count && own <= dying_values(graph, last, i);
    if (i == 1) f->ready = true;
    for (size_t j = 0; j < i; j++) {
        if (last[j] < i || (f->ready && last[j] == i)) continue;
        f->node[f->nodes] = j;
        f->place[f->nodes++] = f->values;
        f->values += nn_shape_values(graph->nodes[j].shape);
    }
    f->pre = f->values;
    if (f->ready) f->values += own;
    return FHOLA_OK;
}

static fhola_status make_fronts(nn_passage *p)
{
    const nn_graph *graph = p->model->graph;
    size_t *last = malloc(graph->count * sizeof *last);
    p->fronts = calloc(p->layers + 1, sizeof *p->fronts);
    fhola_status status =
        last && p->fronts ? FHOLA_OK : fhola_fail(FHOLA_NOMEM, "no memory for a network");
    if (status == FHOLA_OK) nn_graph_last_readers(graph, last);
    for (size_t i = 0; i <= p->layers && status == FHOLA_OK; i++) {
        size_t values = nn_shape_values(graph->nodes[i].shape);
        status = make_front(&p->fronts[i], graph, last, i + 1);
        if (p->fronts[i].values > p->values) p->values = p->fronts[i].values;
        if (values > p->largest) p->largest = values;
    }
    free(last);
    return status;
}

/* Points to what the picture keeps. */
static void find_values(const nn_passage *p, nn_scratch *scratch, const float *state)
{
    const front *f = &p->fronts[p->at];
    for (size_t k = 0; k < f->nodes; k++) scratch->values[f->node[k]] = state + f->place[k];
}

/* What goes into the activation for one picture of one network. */
static const float *going_in(const nn_passage *p, const nn_plain *plain, nn_scratch *scratch,
                             const float *state)
{
    if (p->fronts[p->at].ready) return state + p->fronts[p->at].pre;
    find_values(p, scratch, state);
    nn_plain_pre(plain, p->at, scratch, scratch->pre, scratch->values);
    return scratch->pre;
}

/* Writes the front behind node `made`, whose values are scratch->values[made], to `next`. */
static void keep(const nn_passage *p, const nn_plain *plain, nn_scratch *scratch, float *next,
                 size_t made)
{
    const nn_graph *graph = p->model->graph;
    const front *f = &p->fronts[made];
    for (size_t k = 0; k < f->nodes; k++)
        memcpy(next + f->place[k], scratch->values[f->node[k]],
               nn_shape_values(graph->nodes[f->node[k]].shape) * sizeof *next);
    if (!f->ready) return;
    nn_plain_pre(plain, made, scratch, scratch->pre, scratch->values);
    memcpy(next + f->pre, scratch->pre,
           nn_shape_values(graph->nodes[made + 1].shape) * sizeof *next);
}

static void start_picture(nn_passage *p, const nn_batch *batch, size_t from, size_t to)
{
    nn_scratch *scratch = &p->scratch[nn_thread_index()];
    const float *planes = nn_plain_load(p->exact, scratch, batch, from);
    nn_plain_channels_last(scratch->out, planes, p->model->graph->nodes[0].shape);
    scratch->values[0] = scratch->out;
    keep(p, p->exact, scratch, p->state + to * p->values, 0);
    if (p->conditional && to < p->calibration)
        memcpy(p->exact_state + to * p->values, p->state + to * p->values,
               p->values * sizeof *p->state);
}

static fhola_status allocate_passage(nn_passage *p)
{
    fhola_status status = nn_plain_create(&p->exact, p->model, NULL);
    if (status == FHOLA_OK) status = nn_plain_create(&p->approximate, p->model, NULL);
    if (status == FHOLA_OK) status = nn_scratch_create(&p->scratch, &p->threads, p->exact);
    if (status == FHOLA_OK) status = make_fronts(p);
    if (status != FHOLA_OK) return status;
    p->state = malloc(p->all * p->values * sizeof *p->state);
    p->exact_state =
        malloc((p->conditional ? p->calibration : 1) * p->values * sizeof *p->exact_state);
    p->arriving = malloc(CHUNK * p->largest * sizeof *p->arriving);
    p->targets = malloc(CHUNK * p->largest * sizeof *p->targets);
    if (!p->state || !p->exact_state || !p->arriving || !p->targets)
        return fhola_fail(FHOLA_NOMEM, "no memory for the activations of %zu pictures", p->all);
    return FHOLA_OK;
}

fhola_status nn_passage_create(nn_passage **passage, const nn_model *model,
                               const nn_batch *calibration, size_t calibration_count,
                               const nn_batch *held_out, size_t held_count, bool conditional)
{
    fhola_status status = nn_plain_check_pictures(model, calibration);
    if (status == FHOLA_OK && held_count > 0) status = nn_plain_check_pictures(model, held_out);
    if (status != FHOLA_OK) return status;
    nn_passage *p = calloc(1, sizeof *p);
    if (!p) return fhola_fail(FHOLA_NOMEM, "no memory for a network");
    p->model = model;
    p->conditional = conditional;
    p->calibration = calibration_count;
    p->all = calibration_count + held_count;
    p->layers = nn_graph_layers(model->graph);
    status = allocate_passage(p);
    if (status != FHOLA_OK) {
        nn_passage_free(p);
        return status;
    }
    NN_PARALLEL_FOR
    for (size_t i = 0; i < p->all; i++) {
        bool held = i >= calibration_count;
        start_picture(p, held ? held_out : calibration, held ? i - calibration_count : i, i);
    }
    *passage = p;
    return FHOLA_OK;
}

void nn_passage_free(nn_passage *p)
{
    if (!p) return;
    nn_plain_free(p->exact);
    nn_plain_free(p->approximate);
    nn_scratch_free(p->scratch, p->threads);
    for (size_t i = 0; p->fronts && i <= p->layers; i++) free(p->fronts[i].node);
    free(p->fronts);
    free(p->state);
    free(p->exact_state);
    free(p->arriving);
    free(p->targets);
    free(p);
}

void nn_passage_copy(nn_passage *to, const nn_passage *from)
{
    to->at = from->at;
    memcpy(to->state, from->state, from->all * from->values * sizeof *to->state);
    if (from->conditional)
        memcpy(to->exact_state, from->exact_state,
               from->calibration * from->values * sizeof *to->exact_state);
}

/* Channels-last to one run of pixels per channel, `stride` apart. So many pixels at a time that
 * what is read for one channel is still in the cache for the next. */
static void spread(float *out, size_t stride, const float *in, size_t pixels, size_t channels)
{
    for (size_t first = 0; first < pixels; first += SPREAD) {
        size_t end = pixels - first < SPREAD ? pixels : first + SPREAD;
        for (size_t c = 0; c < channels; c++)
            for (size_t j = first; j < end; j++) out[c * stride + j] = in[j * channels + c];
    }
}

static void load_picture(nn_passage *p, size_t picture, size_t slot, size_t pixels, size_t channels)
{
    nn_scratch *scratch = &p->scratch[nn_thread_index()];
    float *to = p->arriving + slot * pixels, *target = p->targets + slot * pixels;
    size_t stride = CHUNK * pixels;
    spread(to, stride, going_in(p, p->approximate, scratch, p->state + picture * p->values), pixels,
           channels);
    if (p->conditional && picture < p->calibration)
        spread(target, stride, going_in(p, p->exact, scratch, p->exact_state + picture * p->values),
               pixels, channels);
}

static void widen(double *min, double *max, const float *values, size_t count)
{
    float low, high;
    ola_extremes(&low, &high, values, count);
    *min = fmin(*min, (double)low);
    *max = fmax(*max, (double)high);
}

/* Adds one channel of `pictures` calibration pictures. Pictures come in order and a channel has one
 * thread, so the sums do not depend on the number of threads. */
static bool add_channel(nn_arrivals *arrivals, nn_passage *p, unsigned channel, size_t pictures,
                        size_t pixels)
{
    size_t count = pictures * pixels;
    const float *x = p->arriving + channel * CHUNK * pixels;
    float *target = p->targets + channel * CHUNK * pixels;
    if (!p->conditional) memcpy(target, x, count * sizeof *target);
    widen(&arrivals->exact_min[channel], &arrivals->exact_max[channel], target, count);
    nn_plain_exact(arrivals->function, target, target, count);
    ola_histogram *h = &arrivals->histograms[channel];
    if (ola_histogram_add_floats(h, x, target, count) != FHOLA_OK) return false;
    arrivals->min[channel] = fmin(h->min, arrivals->exact_min[channel]);
    arrivals->max[channel] = fmax(h->max, arrivals->exact_max[channel]);
    return true;
}

static bool all_finite(const float *values, size_t count)
{
    for (size_t j = 0; j < count; j++)
        if (!isfinite(values[j])) return false;
    return true;
}

static bool add_held_out(nn_arrivals *arrivals, const nn_passage *p, unsigned channel,
                         size_t pictures, size_t pixels)
{
    const float *x = p->arriving + channel * CHUNK * pixels;
    widen(&arrivals->held_min[channel], &arrivals->held_max[channel], x, pictures * pixels);
    return all_finite(x, pictures * pixels);
}

/* Pictures first to end - 1, at most CHUNK, all calibration or all held out. `fine` has room for
 * all channels. */
static fhola_status add_chunk(nn_arrivals *arrivals, nn_passage *p, bool *fine, size_t first,
                              size_t end)
{
    const nn_node *node = nn_graph_layer(p->model->graph, p->at);
    size_t pixels = (size_t)node->shape.height * node->shape.width;
    NN_PARALLEL_FOR
    for (size_t picture = first; picture < end; picture++)
        load_picture(p, picture, picture - first, pixels, arrivals->channels);
    NN_PARALLEL_FOR
    for (unsigned c = 0; c < arrivals->channels; c++)
        fine[c] = first < p->calibration ? add_channel(arrivals, p, c, end - first, pixels)
                                         : add_held_out(arrivals, p, c, end - first, pixels);
    for (unsigned c = 0; c < arrivals->channels; c++)
        if (!fine[c])
            return fhola_fail(FHOLA_RANGE,
                              "activation %zu, channel %u (%s): values of pictures %zu to %zu are "
                              "not finite",
                              p->at, c, node->name, first, end - 1);
    return FHOLA_OK;
}

fhola_status nn_passage_arrivals(nn_arrivals *arrivals, nn_passage *p, size_t i)
{
    const nn_node *node = nn_graph_layer(p->model->graph, i);
    nn_arrivals result;
    fhola_status status = allocate_arrivals(&result, node->shape.channels);
    bool *fine = malloc(node->shape.channels * sizeof *fine);
    if (status == FHOLA_OK && !fine) status = fhola_fail(FHOLA_NOMEM, "no memory for arrivals");
    result.name = node->name;
    result.function = &node->function;
    result.output = nn_graph_is_output(p->model->graph, i);
    for (size_t first = 0; first < p->all && status == FHOLA_OK;) {
        size_t limit = first < p->calibration ? p->calibration : p->all;
        size_t end = limit - first < CHUNK ? limit : first + CHUNK;
        status = add_chunk(&result, p, fine, first, end);
        first = end;
    }
    free(fine);
    if (status != FHOLA_OK) {
        nn_arrivals_clear(&result);
        return status;
    }
    *arrivals = result;
    return FHOLA_OK;
}

/* `next`: room for a front. */
static void advance_picture(const nn_passage *p, const nn_plain *plain, nn_scratch *scratch,
                            float *state, float *next)
{
    const float *pre = going_in(p, plain, scratch, state);
    nn_plain_activate(plain, p->at, scratch->out, pre, NULL);
    find_values(p, scratch, state);
    scratch->values[p->at + 1] = scratch->out;
    keep(p, plain, scratch, next, p->at + 1);
    memcpy(state, next, p->fronts[p->at + 1].values * sizeof *state);
}

fhola_status nn_passage_advance(nn_passage *p, size_t i, const nn_activation *activation,
                                double eps)
{
    fhola_status status =
        nn_plain_set_activation(p->approximate, i, p->conditional ? activation : NULL, eps);
    if (status != FHOLA_OK) return status;
    float *next = malloc(p->threads * p->values * sizeof *next);
    if (!next) return fhola_fail(FHOLA_NOMEM, "no memory for %zu threads", p->threads);
    NN_PARALLEL_FOR
    for (size_t picture = 0; picture < p->all; picture++) {
        nn_scratch *scratch = &p->scratch[nn_thread_index()];
        float *room = next + nn_thread_index() * p->values;
        advance_picture(p, p->approximate, scratch, p->state + picture * p->values, room);
        if (p->conditional && picture < p->calibration)
            advance_picture(p, p->exact, scratch, p->exact_state + picture * p->values, room);
    }
    free(next);
    p->at++;
    return FHOLA_OK;
}

fhola_status nn_passage_try(float *scores, nn_passage *p, const nn_activation *activation,
                            double eps)
{
    fhola_status status = nn_plain_set_activation(p->approximate, p->at, activation, eps);
    if (status != FHOLA_OK) return status;
    NN_PARALLEL_FOR
    for (size_t picture = 0; picture < p->all; picture++) {
        nn_scratch *scratch = &p->scratch[nn_thread_index()];
        const float *state = p->state + picture * p->values;
        const float *pre = going_in(p, p->approximate, scratch, state);
        find_values(p, scratch, state);
        nn_plain_run_from(p->approximate, scratch, scores + picture * p->model->classes, p->at,
                          pre);
    }
    return nn_plain_set_activation(p->approximate, p->at, NULL, 0);
}

void nn_passage_scores(float *scores, nn_passage *p)
{
    NN_PARALLEL_FOR
    for (size_t picture = 0; picture < p->all; picture++) {
        nn_scratch *scratch = &p->scratch[nn_thread_index()];
        find_values(p, scratch, p->state + picture * p->values);
        nn_plain_finish(p->approximate, scratch, scores + picture * p->model->classes,
                        scratch->values);
    }
}

/* ---- fitting ---- */

/* Where the held-out pictures go beyond `limit`, the interval is stretched just so far that they do
 * not. Returns the largest |w|.
 */
static double reach_of_held_out(ola_interval *interval, double low, double high, double limit,
                                bool stretch)
{
    double reach = fmax(high - interval->centre, interval->centre - low);
    if (!(reach > 0)) return 0;
    if (stretch && reach > limit * interval->half_width) interval->half_width = reach / limit;
    return reach / interval->half_width;
}

/* Polynomials that leave their intervals make what comes after grow without limit: better to say so
 * than to fit that. */
static fhola_status check_growth(const nn_arrivals *a, size_t i)
{
    double exact = 0, now = 0;
    unsigned worst = 0;
    for (unsigned c = 0; c < a->channels; c++) {
        double half = (fmax(a->max[c], a->held_max[c]) - fmin(a->min[c], a->held_min[c])) / 2;
        exact = fmax(exact, (a->exact_max[c] - a->exact_min[c]) / 2);
        worst = half > now ? c : worst;
        now = fmax(now, half);
    }
    if (now <= MAX_GROWTH * exact) return FHOLA_OK;
    return fhola_fail(
        FHOLA_RANGE,
        "activation %zu, channel %u (%s): values spread %.3g times as far as in the exact "
        "network: the polynomials before it diverge; "
        "allow more depth or wider margins",
        i, worst, a->name, now / exact);
}

static void merge_ranges(double *min, double *max, const double *mins, const double *maxs,
                         unsigned channels)
{
    *min = mins[0];
    *max = maxs[0];
    for (unsigned c = 1; c < channels; c++) {
        *min = fmin(*min, mins[c]);
        *max = fmax(*max, maxs[c]);
    }
}

/* One interval for all channels, or one for each. */
static fhola_status select_observed(ola_interval *intervals, const nn_arrivals *a,
                                    const ola_interval_rule *rule, bool per_layer)
{
    double min, max;
    if (!per_layer) return ola_select_intervals(intervals, a->min, a->max, a->channels, rule);
    merge_ranges(&min, &max, a->min, a->max, a->channels);
    fhola_status status = ola_select_intervals(intervals, &min, &max, 1, rule);
    for (unsigned c = 1; c < a->channels && status == FHOLA_OK; c++) intervals[c] = intervals[0];
    return status;
}

static fhola_status select_intervals(ola_interval *intervals, double *max_w, const nn_arrivals *a,
                                     size_t i, const nn_plan_options *options)
{
    ola_interval_rule rule = {.margin = a->output ? options->margin_output : options->margin_inside,
                              .floor = options->floor,
                              .symmetric = options->sign != NULL};
    fhola_status status = options->unguarded ? FHOLA_OK : check_growth(a, i);
    if (status != FHOLA_OK) return status;
    status = select_observed(intervals, a, &rule, options->per_layer);
    if (status != FHOLA_OK)
        return fhola_fail(status, "activation %zu: %s (layer %s)", i, fhola_detail(), a->name);
    double low, high;
    merge_ranges(&low, &high, a->held_min, a->held_max, a->channels);
    *max_w = 0;
    for (unsigned c = 0; c < a->channels; c++)
        *max_w =
            fmax(*max_w, reach_of_held_out(&intervals[c], options->per_layer ? low : a->held_min[c],
                                           options->per_layer ? high : a->held_max[c],
                                           options->limit_w, !options->unguarded));
    return FHOLA_OK;
}

static ola_problem make_problem(const ola_function *function, const ola_histogram *histogram,
                                const ola_interval *interval, const nn_plan_options *options)
{
    static const ola_weight weights[] = {[NN_WEIGHT_GUARDED] = OLA_WEIGHT_GUARDED,
                                         [NN_WEIGHT_EMPIRICAL] = OLA_WEIGHT_EMPIRICAL,
                                         [NN_WEIGHT_NORMAL] = OLA_WEIGHT_NORMAL};
    return (ola_problem){.function = *function,
                         .interval = *interval,
                         .eps = options->eps,
                         .weight = weights[options->weight],
                         .histogram = histogram,
                         .conditional =
                             !options->plain_target && options->weight != NN_WEIGHT_NORMAL,
                         .guard = options->guard,
                         .mean = histogram->mean,
                         .deviation = ola_histogram_deviation(histogram)};
}

/* Coefficients for channels first to end - 1, which share them. */
static fhola_status fit_channels(nn_activation *a, unsigned first, unsigned end,
                                 const ola_function *function, const ola_histogram *histogram,
                                 const ola_interval *interval, const nn_plan_options *options)
{
    ola_fit_result result;
    ola_problem problem = make_problem(function, histogram, interval, options);
    fhola_status status = options->minimax ? ola_minimax(&result, &problem, a->degree)
                                           : ola_fit(&result, &problem, a->degree);
    if (status != FHOLA_OK) return status;
    for (unsigned c = first; c < end; c++) {
        a->centre[c] = interval->centre;
        a->half_width[c] = interval->half_width;
        for (unsigned k = 0; k <= a->degree; k++)
            a->coeff[(size_t)k * a->channels + c] = result.coeff[k];
    }
    return FHOLA_OK;
}

static fhola_status fit_layer(nn_activation *a, const nn_arrivals *arrivals,
                              const ola_interval *interval, const nn_plan_options *options)
{
    ola_histogram all;
    fhola_status status = ola_histogram_init(&all, -1.0 / 64, 1.0 / 64, BINS,
                                             OLA_HISTOGRAM_TARGETS | OLA_HISTOGRAM_GROW);
    if (status != FHOLA_OK) return status;
    for (unsigned c = 0; c < arrivals->channels && status == FHOLA_OK; c++)
        status = ola_histogram_merge(&all, &arrivals->histograms[c]);
    if (status == FHOLA_OK)
        status = fit_channels(a, 0, a->channels, arrivals->function, &all, interval, options);
    ola_histogram_clear(&all);
    return status;
}

/* The lowest odd degree of full depth whose polynomial undoes the sine up to FACTOR_ERROR: x / 2 on
 * [-1, 1] as a function of X. */
static fhola_status fit_factor(ola_fit_result *result, const ola_composite *sign, double eps)
{
    static const double x[] = {-1, 1}, y[] = {-0.5, 0.5};
    const ola_problem line = {.function = {.kind = OLA_TABLE, .count = 2, .x = x, .y = y},
                              .interval = {0, 1},
                              .eps = eps,
                              .weight = OLA_WEIGHT_NORMAL,
                              .deviation = 1};
    unsigned depth = 0;
    for (unsigned k = 0; k < sign->count; k++) depth += ola_depth(sign->degree[k]);
    fhola_status status = FHOLA_OK;
    *result = (ola_fit_result){.max_error = (double)INFINITY};
    for (unsigned k = 1; k <= depth && k <= 5; k++) {
        status = ola_minimax(result, &line, (1u << k) - 1);
        if (status != FHOLA_OK || result->max_error <= FACTOR_ERROR) break;
    }
    if (status == FHOLA_OK && !(result->max_error <= LARGEST_FACTOR_ERROR))
        return fhola_fail(FHOLA_PARAM,
                          "no polynomial of degree %u undoes the sine of eps %g closer than %.2g: "
                          "a composition needs a smaller eps, such "
                          "as 1/8",
                          result->degree, eps, result->max_error);
    return status;
}

/* ReLU by a composition: (half_width w / 2) (1 + sign(X)), the first factor a polynomial in X as
 * well. */
static fhola_status fit_composition(nn_plan *plan, size_t i, const ola_interval *intervals,
                                    const nn_plan_options *options)
{
    ola_fit_result line;
    fhola_status status = fit_factor(&line, options->sign, options->eps);
    if (status == FHOLA_OK) status = nn_plan_set_sign(plan, i, options->sign);
    if (status == FHOLA_OK) status = nn_plan_set_degree(plan, i, line.degree);
    nn_activation *a = &plan->activations[i];
    for (unsigned c = 0; c < a->channels && status == FHOLA_OK; c++) {
        a->centre[c] = 0;
        a->half_width[c] = intervals[c].half_width;
        for (unsigned k = 1; k <= line.degree; k += 2)
            a->coeff[(size_t)k * a->channels + c] = intervals[c].half_width * line.coeff[k];
    }
    return status;
}

/* A polynomial for each channel; one that fails is fitted again, since messages belong to
 * threads. */
static fhola_status fit_each_channel(nn_activation *a, size_t i, const nn_arrivals *arrivals,
                                     const ola_interval *intervals, const nn_plan_options *options)
{
    bool *fine = malloc(arrivals->channels * sizeof *fine);
    if (!fine) return fhola_fail(FHOLA_NOMEM, "no memory for %u channels", arrivals->channels);
    NN_PARALLEL_FOR
    for (unsigned c = 0; c < arrivals->channels; c++)
        fine[c] = fit_channels(a, c, c + 1, arrivals->function, &arrivals->histograms[c],
                               &intervals[c], options) == FHOLA_OK;
    fhola_status status = FHOLA_OK;
    for (unsigned c = 0; c < arrivals->channels && status == FHOLA_OK; c++) {
        if (fine[c]) continue;
        status = fit_channels(a, c, c + 1, arrivals->function, &arrivals->histograms[c],
                              &intervals[c], options);
        if (status != FHOLA_OK)
            status = fhola_fail(status, "activation %zu, channel %u (%s): %s", i, c, arrivals->name,
                                fhola_detail());
    }
    free(fine);
    return status;
}

fhola_status nn_fit_activation(nn_plan *plan, size_t i, const nn_arrivals *arrivals,
                               const nn_plan_options *options)
{
    nn_activation *a = &plan->activations[i];
    ola_interval *intervals = malloc(arrivals->channels * sizeof *intervals);
    if (!intervals)
        return fhola_fail(FHOLA_NOMEM, "no memory for %u intervals", arrivals->channels);
    fhola_status status = select_intervals(intervals, &a->max_w, arrivals, i, options);
    if (options->sign) {
        if (status == FHOLA_OK) status = fit_composition(plan, i, intervals, options);
        free(intervals);
        return status;
    }
    if (status == FHOLA_OK && options->per_layer) {
        status = fit_layer(a, arrivals, intervals, options);
        if (status != FHOLA_OK)
            status = fhola_fail(status, "activation %zu: %s (layer %s)", i, fhola_detail(),
                                arrivals->name);
    }
    if (status == FHOLA_OK && !options->per_layer)
        status = fit_each_channel(a, i, arrivals, intervals, options);
    free(intervals);
    return status;
}

fhola_status nn_passage_fit(nn_plan *plan, size_t i, nn_passage *passage,
                            const nn_plan_options *options)
{
    nn_arrivals arrivals = {0};
    fhola_status status = nn_passage_arrivals(&arrivals, passage, i);
    if (status == FHOLA_OK) status = nn_fit_activation(plan, i, &arrivals, options);
    nn_arrivals_clear(&arrivals);
    return status == FHOLA_OK ? nn_passage_advance(passage, i, &plan->activations[i], plan->eps)
                              : status;
}
