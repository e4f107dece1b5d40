/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/planner/profile.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn/base/document.h"
#include "nn/base/file.h"
#include "nn/base/json.h"
#include "nn/graph/graph.h"
#include "nn/nn.h"
#include "nn/plain/gradient.h"
#include "nn/plain/predict.h"
#include "nn/planner/fit.h"

#define FORMAT_VERSION 2u
#define MAX_CHANNELS   65536u
#define DEGREES        NN_PROFILE_DEGREES
#define GRADIENT_SHARE                                                                             \
    5u /* gradients are taken of so many times the pictures that measure sensitivities */

const unsigned nn_profile_degrees[DEGREES] = {3, 7, 15, 31};

/* ---- memory ---- */

static fhola_status allocate_layer(nn_profile_layer *layer, unsigned channels)
{
    layer->channels = channels;
    layer->min = calloc((5 + NN_PROFILE_BINS) * (size_t)channels, sizeof *layer->min);
    if (!layer->min) return fhola_fail(FHOLA_NOMEM, "no memory for %u channels", channels);
    layer->max = layer->min + channels;
    layer->mean = layer->max + channels;
    layer->deviation = layer->mean + channels;
    layer->importance = layer->deviation + channels;
    layer->histogram = layer->importance + channels;
    return FHOLA_OK;
}

static nn_profile *allocate_profile(size_t count)
{
    nn_profile *profile = calloc(1, sizeof *profile);
    if (!profile) return NULL;
    profile->layers = calloc(count, sizeof *profile->layers);
    if (!profile->layers) {
        free(profile);
        return NULL;
    }
    profile->count = count;
    return profile;
}

void nn_profile_free(nn_profile *profile)
{
    if (!profile) return;
    for (size_t i = 0; i < profile->count; i++) free(profile->layers[i].min);
    free(profile->layers);
    free(profile);
}

/* ---- measuring ---- */

/* Adds every bin of `from` as one sample at its mean to `bins` bins over [lo, hi]. */
static void rebin(double *to, size_t bins, double lo, double hi, const ola_histogram *from)
{
    for (size_t b = 0; b < from->bins; b++) {
        if (!(from->weight[b] > 0)) continue;
        double place = (from->sum_x[b] / from->weight[b] - lo) / (hi - lo) * (double)bins;
        size_t bin = place > 0 ? (size_t)place : 0;
        to[bin < bins ? bin : bins - 1] += from->weight[b];
    }
}

static fhola_status describe_layer(nn_profile_layer *layer, const nn_arrivals *arrivals)
{
    fhola_status status = allocate_layer(layer, arrivals->channels);
    for (unsigned c = 0; c < arrivals->channels && status == FHOLA_OK; c++) {
        layer->min[c] = arrivals->min[c];
        layer->max[c] = arrivals->max[c];
        layer->mean[c] = arrivals->histograms[c].mean;
        layer->deviation[c] = ola_histogram_deviation(&arrivals->histograms[c]);
        if (!(layer->min[c] < layer->max[c]))
            status = fhola_fail(FHOLA_RANGE,
                                "channel %u is constant: it is %g on all calibration pictures", c,
                                layer->min[c]);
        else
            rebin(layer->histogram + c * NN_PROFILE_BINS, NN_PROFILE_BINS, layer->min[c],
                  layer->max[c], &arrivals->histograms[c]);
    }
    nn_profile_range all =
        status == FHOLA_OK ? nn_profile_layer_range(layer) : (nn_profile_range){0};
    for (unsigned c = 0; c < arrivals->channels && status == FHOLA_OK; c++)
        rebin(layer->layer_histogram, NN_PROFILE_LAYER_BINS, all.min, all.max,
              &arrivals->histograms[c]);
    return status;
}

void nn_profile_describe(const nn_profile *profile, nn_profile_info *info)
{
    *info = (nn_profile_info){.hash = profile->model_hash,
                              .pictures = profile->pictures,
                              .activations = profile->count,
                              .eps = profile->eps};
}

void nn_profile_arrivals(const nn_profile *profile, size_t i, double *least, double *most,
                         double *deviation)
{
    nn_profile_range range = nn_profile_layer_range(&profile->layers[i]);
    *least = range.min;
    *most = range.max;
    *deviation = range.deviation;
}

nn_profile_range nn_profile_layer_range(const nn_profile_layer *layer)
{
    nn_profile_range range = {.min = layer->min[0], .max = layer->max[0]};
    double square = 0;
    for (unsigned c = 0; c < layer->channels; c++) {
        range.min = fmin(range.min, layer->min[c]);
        range.max = fmax(range.max, layer->max[c]);
        range.mean += layer->mean[c] / layer->channels;
    }
    for (unsigned c = 0; c < layer->channels; c++) {
        double distance = layer->mean[c] - range.mean;
        square +=
            (layer->deviation[c] * layer->deviation[c] + distance * distance) / layer->channels;
    }
    range.deviation = sqrt(square);
    return range;
}

fhola_status nn_profile_histogram(ola_histogram *histogram, const nn_profile_layer *layer,
                                  unsigned channel)
{
    bool whole = channel == layer->channels;
    nn_profile_range all = nn_profile_layer_range(layer);
    double lo = whole ? all.min : layer->min[channel], hi = whole ? all.max : layer->max[channel];
    size_t bins = whole ? NN_PROFILE_LAYER_BINS : NN_PROFILE_BINS;
    const double *count =
        whole ? layer->layer_histogram : layer->histogram + channel * NN_PROFILE_BINS;
    ola_histogram result;
    fhola_status status = ola_histogram_init(&result, lo, hi, bins, 0);
    if (status != FHOLA_OK) return status;
    for (size_t b = 0; b < bins && status == FHOLA_OK; b++)
        if (count[b] > 0)
            status = ola_histogram_add(&result, lo + (hi - lo) * ((double)b + 0.5) / (double)bins,
                                       0, count[b]);
    if (status == FHOLA_OK)
        *histogram = result;
    else
        ola_histogram_clear(&result);
    return status;
}

/* Gradients of more pictures than sensitivities: they cost less, and vary more from picture to
 * picture. */
static fhola_status measure_importances(nn_profile *profile, const nn_model *model,
                                        const nn_batch *calibration, size_t pictures,
                                        nn_progress progress, void *user)
{
    size_t count = nn_batch_count(calibration);
    double **rows = malloc(profile->count * sizeof *rows);
    if (!rows) return fhola_fail(FHOLA_NOMEM, "no memory for %zu activations", profile->count);
    for (size_t i = 0; i < profile->count; i++) rows[i] = profile->layers[i].importance;
    if (pictures < count / GRADIENT_SHARE) count = GRADIENT_SHARE * pictures;
    fhola_status status = nn_gradient_importances(rows, &profile->score_square, model, calibration,
                                                  count, progress, user);
    free(rows);
    return status;
}

/* Passes all pictures through the exact network once: describes what arrives at each activation,
 * and fits plans[k], all of whose activations have degree nn_profile_degrees[k], to it. */
static fhola_status observe(nn_profile *profile, nn_plan *const plans[DEGREES],
                            const nn_model *model, const nn_batch *calibration,
                            const nn_plan_options *options, nn_progress progress, void *user)
{
    nn_passage *passage;
    fhola_status status = nn_passage_create(&passage, model, calibration,
                                            nn_batch_count(calibration), NULL, 0, false);
    if (status != FHOLA_OK) return status;
    for (size_t i = 0; i < profile->count && status == FHOLA_OK; i++) {
        nn_arrivals arrivals = {0};
        status = nn_passage_arrivals(&arrivals, passage, i);
        if (status == FHOLA_OK) status = describe_layer(&profile->layers[i], &arrivals);
        if (status == FHOLA_RANGE && profile->layers[i].channels)
            status = fhola_fail(status, "activation %zu: %s (layer %s)", i, fhola_detail(),
                                nn_graph_layer(model->graph, i)->name);
        for (size_t k = 0; k < DEGREES && status == FHOLA_OK; k++)
            status = nn_fit_activation(plans[k], i, &arrivals, options);
        nn_arrivals_clear(&arrivals);
        if (status == FHOLA_OK) status = nn_passage_advance(passage, i, NULL, 0);
        if (progress) progress(user, "profile", i + 1, profile->count);
    }
    nn_passage_free(passage);
    return status;
}

/* Pictures whose scores are compared. */
typedef struct trial {
    const nn_model *model;
    const nn_batch *batch;
    size_t pictures;
    float *exact_scores, *scores; /* pictures * classes */
} trial;

static fhola_status try_layer(nn_profile_layer *layer, const trial *t, nn_passage *passage,
                              size_t i, nn_plan *const plans[DEGREES])
{
    for (size_t k = 0; k < DEGREES; k++) {
        fhola_status status =
            nn_passage_try(t->scores, passage, &plans[k]->activations[i], plans[k]->eps);
        if (status != FHOLA_OK) return status;
        layer->sensitivity[k] =
            nn_mean_change(t->scores, t->exact_scores, t->pictures * t->model->classes);
    }
    return nn_passage_advance(passage, i, NULL, 0);
}

/* What each polynomial alone does to the scores. Pictures stand in front of its activation, so that
 * what comes before is computed once. */
static fhola_status measure_sensitivities(nn_profile *profile, const trial *t,
                                          nn_plan *const plans[DEGREES], nn_progress progress,
                                          void *user)
{
    nn_passage *passage;
    fhola_status status =
        nn_passage_create(&passage, t->model, t->batch, t->pictures, NULL, 0, false);
    if (status != FHOLA_OK) return status;
    status = nn_passage_try(t->exact_scores, passage, NULL, 0);
    for (size_t i = 0; i < profile->count && status == FHOLA_OK; i++) {
        status = try_layer(&profile->layers[i], t, passage, i, plans);
        if (progress) progress(user, "sensitivities", i + 1, profile->count);
    }
    nn_passage_free(passage);
    return status;
}

static fhola_status create_plans(nn_plan *plans[DEGREES], const nn_model *model, double eps)
{
    fhola_status status = FHOLA_OK;
    for (size_t k = 0; k < DEGREES && status == FHOLA_OK; k++) {
        status = nn_plan_create(&plans[k], model, eps);
        for (size_t i = 0; i < nn_model_activations(model) && status == FHOLA_OK; i++)
            status = nn_plan_set_degree(plans[k], i, nn_profile_degrees[k]);
    }
    return status;
}

static fhola_status measure(nn_profile *profile, nn_plan *plans[DEGREES], trial *t,
                            const nn_plan_options *options, nn_progress progress, void *user)
{
    size_t scores = t->pictures * t->model->classes;
    t->exact_scores = malloc(scores * sizeof *t->exact_scores);
    t->scores = malloc(scores * sizeof *t->scores);
    if (!t->exact_scores || !t->scores)
        return fhola_fail(FHOLA_NOMEM, "no memory for the scores of %zu pictures", t->pictures);
    fhola_status status = create_plans(plans, t->model, options->eps);
    if (status == FHOLA_OK)
        status = observe(profile, plans, t->model, t->batch, options, progress, user);
    if (status == FHOLA_OK)
        status = measure_importances(profile, t->model, t->batch, t->pictures, progress, user);
    return status == FHOLA_OK ? measure_sensitivities(profile, t, plans, progress, user) : status;
}

fhola_status nn_profile_make(nn_profile **profile, const nn_model *model,
                             const nn_batch *calibration, const nn_plan_options *options,
                             nn_progress progress, void *user)
{
    nn_plan *plans[DEGREES] = {NULL};
    trial t = {.model = model, .batch = calibration, .pictures = options->sensitivity_pictures};
    fhola_status status = nn_plan_options_check(options, model);
    if (status != FHOLA_OK) return status;
    if (t.pictures > nn_batch_count(calibration)) t.pictures = nn_batch_count(calibration);
    nn_profile *result = allocate_profile(nn_model_activations(model));
    if (!result) return fhola_fail(FHOLA_NOMEM, "no memory for a profile");
    result->model_hash = nn_model_exact_hash(model);
    result->eps = options->eps;
    result->pictures = nn_batch_count(calibration);
    status = measure(result, plans, &t, options, progress, user);
    for (size_t k = 0; k < DEGREES; k++) nn_plan_free(plans[k]);
    free(t.exact_scores);
    free(t.scores);
    if (status != FHOLA_OK) {
        nn_profile_free(result);
        return status;
    }
    *profile = result;
    return FHOLA_OK;
}

/* ---- writing ---- */

static void add_row(nn_text *text, const char *key, const double *values, size_t count)
{
    nn_text_format(text, ",\n     \"%s\": ", key);
    nn_json_add_array(text, values, count);
}

fhola_status nn_profile_format(char **text, size_t *length, const nn_profile *profile)
{
    nn_text out = {0};
    nn_document_add_header(&out, NN_DOCUMENT_PROFILE, FORMAT_VERSION, profile->model_hash);
    nn_text_add(&out, ", \"eps\": ");
    nn_json_add_number(&out, profile->eps);
    nn_text_format(&out, ", \"pictures\": %zu, \"score_square\": ", profile->pictures);
    nn_json_add_number(&out, profile->score_square);
    nn_text_add(&out, ",\n  \"degrees\": [");
    for (size_t k = 0; k < DEGREES; k++)
        nn_text_format(&out, k ? ", %u" : "%u", nn_profile_degrees[k]);
    nn_text_add(&out, "],\n  \"activations\": [");
    for (size_t i = 0; i < profile->count; i++) {
        const nn_profile_layer *layer = &profile->layers[i];
        nn_text_format(&out, "%s\n    {\"channels\": %u", i ? "," : "", layer->channels);
        add_row(&out, "sensitivity", layer->sensitivity, DEGREES);
        add_row(&out, "min", layer->min, layer->channels);
        add_row(&out, "max", layer->max, layer->channels);
        add_row(&out, "mean", layer->mean, layer->channels);
        add_row(&out, "deviation", layer->deviation, layer->channels);
        add_row(&out, "importance", layer->importance, layer->channels);
        add_row(&out, "layer_histogram", layer->layer_histogram, NN_PROFILE_LAYER_BINS);
        nn_text_add(&out, ",\n     \"histogram\": [");
        for (unsigned c = 0; c < layer->channels; c++) {
            nn_text_add(&out, c ? ",\n       " : "\n       ");
            nn_json_add_array(&out, layer->histogram + c * NN_PROFILE_BINS, NN_PROFILE_BINS);
        }
        nn_text_add(&out, "]");
        nn_text_add(&out, "}");
    }
    nn_text_add(&out, "\n  ]}\n");
    return nn_text_take(text, length, &out, nn_document_name(NN_DOCUMENT_PROFILE));
}

fhola_status nn_profile_save(const nn_profile *profile, const char *path)
{
    char *text;
    size_t length;
    fhola_status status = nn_profile_format(&text, &length, profile);
    if (status != FHOLA_OK) return status;
    status = nn_file_write(path, text, length);
    free(text);
    return status;
}

/* ---- reading ---- */

static fhola_status check_counts(const double *counts, size_t bins, const nn_json *object,
                                 const char *name)
{
    double total = 0;
    for (size_t b = 0; b < bins; b++) {
        if (counts[b] < 0)
            return nn_json_reject(NULL, object, name, "a histogram has a negative count");
        total += counts[b];
    }
    return total > 0 ? FHOLA_OK : nn_json_reject(NULL, object, name, "a histogram is empty");
}

static fhola_status parse_histograms(nn_profile_layer *layer, const nn_json *object,
                                     const char *name)
{
    FHOLA_TRY(nn_json_get_numbers(layer->layer_histogram, object, "layer_histogram",
                                  NN_PROFILE_LAYER_BINS, name));
    FHOLA_TRY(check_counts(layer->layer_histogram, NN_PROFILE_LAYER_BINS, object, name));
    FHOLA_TRY(nn_json_get_rows(layer->histogram, object, "histogram", layer->channels,
                               NN_PROFILE_BINS, name));
    for (unsigned c = 0; c < layer->channels; c++)
        FHOLA_TRY(
            check_counts(layer->histogram + c * NN_PROFILE_BINS, NN_PROFILE_BINS, object, name));
    return FHOLA_OK;
}

/* What else a layer's numbers must satisfy. */
static fhola_status check_layer(const nn_profile_layer *layer, const nn_json *object,
                                const char *name)
{
    for (size_t k = 0; k < DEGREES; k++)
        if (layer->sensitivity[k] < 0)
            return nn_json_reject(nn_json_get(object, "sensitivity"), object, name,
                                  "a sensitivity is negative");
    for (unsigned c = 0; c < layer->channels; c++) {
        if (layer->importance[c] < 0)
            return nn_json_reject(nn_json_get(object, "importance"), object, name,
                                  "an importance is negative");
        if (!(layer->min[c] < layer->max[c]) || layer->deviation[c] < 0)
            return nn_json_reject(nn_json_get(object, "max"), object, name,
                                  "a channel has no range");
    }
    return FHOLA_OK;
}

static fhola_status parse_layer(nn_profile_layer *layer, const nn_json *object, const char *name)
{
    unsigned channels;
    FHOLA_TRY(nn_json_get_whole(&channels, object, "channels", 1, MAX_CHANNELS, name));
    FHOLA_TRY(allocate_layer(layer, channels));
    FHOLA_TRY(nn_json_get_numbers(layer->sensitivity, object, "sensitivity", DEGREES, name));
    FHOLA_TRY(nn_json_get_numbers(layer->min, object, "min", channels, name));
    FHOLA_TRY(nn_json_get_numbers(layer->max, object, "max", channels, name));
    FHOLA_TRY(nn_json_get_numbers(layer->mean, object, "mean", channels, name));
    FHOLA_TRY(nn_json_get_numbers(layer->deviation, object, "deviation", channels, name));
    FHOLA_TRY(nn_json_get_numbers(layer->importance, object, "importance", channels, name));
    FHOLA_TRY(check_layer(layer, object, name));
    return parse_histograms(layer, object, name);
}

/* On failure there may be a part of the profile. */
static fhola_status parse_root(nn_profile **profile, const nn_json *root, const char *name)
{
    size_t i = 0;
    const nn_json *activations, *degrees = nn_json_get(root, "degrees"),
                                *eps = nn_json_get(root, "eps"),
                                *score_square = nn_json_get(root, "score_square");
    double numbers[DEGREES];
    uint64_t model_hash;
    unsigned pictures;
    FHOLA_TRY(nn_document_get_header(&model_hash, root, NN_DOCUMENT_PROFILE, FORMAT_VERSION, name));
    FHOLA_TRY(nn_json_get_row(numbers, degrees, root, DEGREES, "degrees", name));
    for (size_t k = 0; k < DEGREES; k++)
        if (numbers[k] != nn_profile_degrees[k])
            return nn_json_reject(degrees, root, name, "\"degrees\" must be 3, 7, 15, 31");
    FHOLA_TRY(nn_json_get_whole(&pictures, root, "pictures", 1, 1000000000, name));
    if (!eps || eps->type != NN_JSON_NUMBER)
        return nn_json_reject(eps, root, name, "\"eps\" must be a number");
    if (!score_square || score_square->type != NN_JSON_NUMBER || score_square->number < 0)
        return nn_json_reject(score_square, root, name,
                              "\"score_square\" must be a number of at least 0");
    FHOLA_TRY(nn_document_get_activations(&activations, root, NN_GRAPH_MAX_NODES, name));
    *profile = allocate_profile(activations->count);
    if (!*profile) return fhola_fail(FHOLA_NOMEM, "%s: no memory for a profile", name);
    (*profile)->model_hash = model_hash;
    (*profile)->eps = eps->number;
    (*profile)->score_square = score_square->number;
    (*profile)->pictures = pictures;
    for (const nn_json *entry = activations->child; entry; entry = entry->next)
        FHOLA_TRY(parse_layer(&(*profile)->layers[i++], entry, name));
    return FHOLA_OK;
}

fhola_status nn_profile_parse(nn_profile **profile, const char *text, size_t length,
                              const char *name)
{
    nn_json *root;
    nn_profile *result = NULL;
    FHOLA_TRY(nn_json_parse(&root, text, length, name));
    fhola_status status = parse_root(&result, root, name);
    nn_json_free(root);
    if (status != FHOLA_OK) {
        nn_profile_free(result);
        return status;
    }
    *profile = result;
    return FHOLA_OK;
}

fhola_status nn_profile_load(nn_profile **profile, const char *path, const nn_model *model)
{
    unsigned char *bytes;
    size_t length;
    fhola_status status = nn_file_read(&bytes, &length, path, NN_DOCUMENT_MAX_BYTES);
    if (status != FHOLA_OK) return status;
    status = nn_profile_decode(profile, bytes, length, path, model);
    free(bytes);
    return status;
}

fhola_status nn_profile_decode(nn_profile **profile, const unsigned char *bytes, size_t length,
                               const char *name, const nn_model *model)
{
    nn_profile *result;
    fhola_status status = nn_profile_parse(&result, (const char *)bytes, length, name);
    if (status == FHOLA_OK && model &&
        (result->model_hash != nn_model_exact_hash(model) ||
         result->count != nn_model_activations(model))) {
        status = fhola_fail(FHOLA_PARAM,
                            "%s: the profile is of another model or activation function: %016llx, "
                            "the model's is %016llx",
                            name, (unsigned long long)result->model_hash,
                            (unsigned long long)nn_model_exact_hash(model));
        nn_profile_free(result);
    }
    if (status == FHOLA_OK) *profile = result;
    return status;
}
