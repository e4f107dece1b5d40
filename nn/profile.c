/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/profile.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn/file.h"
#include "nn/fit.h"
#include "nn/json.h"
#include "nn/nn.h"
#include "nn/parallel.h"
#include "nn/plain.h"

#define MAX_FILE ((size_t)1 << 26)
#define FORMAT_NAME "fhola-profile"
#define FORMAT_VERSION 1u
#define MAX_ACTIVATIONS (6u * NN_MAX_BLOCKS_PER_STAGE + 1u)
#define MAX_CHANNELS 64u
#define DEGREES NN_PROFILE_DEGREES

const unsigned nn_profile_degrees[DEGREES] = {3, 7, 15, 31};

/* ---- memory ---- */

static fhola_status allocate_layer(nn_profile_layer *layer, unsigned channels)
{
    layer->channels = channels;
    layer->min = calloc(4 * (size_t)channels, sizeof *layer->min);
    if (!layer->min)
        return fhola_fail(FHOLA_NOMEM, "no memory for %u channels", channels);
    layer->max = layer->min + channels;
    layer->mean = layer->max + channels;
    layer->deviation = layer->mean + channels;
    return FHOLA_OK;
}

static nn_profile *allocate_profile(size_t count)
{
    nn_profile *profile = calloc(1, sizeof *profile);
    if (!profile)
        return NULL;
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
    if (!profile)
        return;
    for (size_t i = 0; i < profile->count; i++)
        free(profile->layers[i].min);
    free(profile->layers);
    free(profile);
}

/* ---- measuring ---- */

static fhola_status describe_layer(nn_profile_layer *layer, const nn_arrivals *arrivals)
{
    fhola_status status = allocate_layer(layer, arrivals->channels);
    for (unsigned c = 0; c < arrivals->channels && status == FHOLA_OK; c++) {
        layer->min[c] = arrivals->min[c];
        layer->max[c] = arrivals->max[c];
        layer->mean[c] = arrivals->histograms[c].mean;
        layer->deviation[c] = ola_histogram_deviation(&arrivals->histograms[c]);
    }
    return status;
}

/* Passes all pictures through the exact network once: describes what arrives at each activation, and fits plans[k], all of whose activations
 * have degree nn_profile_degrees[k], to it. */
static fhola_status observe(nn_profile *profile, nn_plan *const plans[DEGREES], const nn_model *model, const nn_batch *calibration,
                            const nn_plan_options *options, nn_progress progress, void *user)
{
    nn_passage *passage;
    fhola_status status = nn_passage_create(&passage, model, calibration, nn_batch_count(calibration), NULL, false);
    if (status != FHOLA_OK)
        return status;
    for (size_t i = 0; i < profile->count && status == FHOLA_OK; i++) {
        nn_arrivals arrivals = {0};
        status = nn_passage_arrivals(&arrivals, passage, i);
        if (status == FHOLA_OK)
            status = describe_layer(&profile->layers[i], &arrivals);
        for (size_t k = 0; k < DEGREES && status == FHOLA_OK; k++)
            status = nn_fit_activation(plans[k], i, &arrivals, options);
        nn_arrivals_clear(&arrivals);
        if (status == FHOLA_OK)
            status = nn_passage_advance(passage, i, NULL, 0);
        if (progress)
            progress(user, "profile", i + 1, profile->count);
    }
    nn_passage_free(passage);
    return status;
}

/* Pictures whose scores are compared. */
typedef struct trial {
    const nn_model *model;
    const nn_batch *batch;
    size_t pictures, threads;
    nn_scratch *scratch;
    float *exact_scores, *scores; /* pictures * classes */
} trial;

static void score_pictures(const trial *t, const nn_plain *plain, float *scores)
{
    NN_PARALLEL_FOR
    for (size_t i = 0; i < t->pictures; i++) {
        double rgb[NN_PICTURE_VALUES];
        float planes[NN_PICTURE_VALUES];
        nn_batch_picture(t->batch, i, rgb);
        nn_picture_normalise(rgb, rgb, t->model->mean, t->model->std);
        for (size_t j = 0; j < NN_PICTURE_VALUES; j++)
            planes[j] = (float)rgb[j];
        nn_plain_run(plain, &t->scratch[nn_thread_index()], scores + i * t->model->classes, NULL, planes, NULL);
    }
}

/* Mean squared difference of the scores; anything not finite counts as a very large one, so that schedules avoid it. */
static double mean_change(const trial *t)
{
    const double limit = 1e12;
    size_t count = t->pictures * t->model->classes;
    double sum = 0;
    for (size_t j = 0; j < count; j++) {
        double change = (double)t->scores[j] - (double)t->exact_scores[j];
        sum += isfinite(change) ? fmin(change * change, limit) : limit;
    }
    return sum / (double)count;
}

static fhola_status try_layer(nn_profile_layer *layer, const trial *t, nn_plain *plain, size_t i, nn_plan *const plans[DEGREES])
{
    for (size_t k = 0; k < DEGREES; k++) {
        fhola_status status = nn_plain_set_activation(plain, i, &plans[k]->activations[i], plans[k]->eps);
        if (status != FHOLA_OK)
            return status;
        score_pictures(t, plain, t->scores);
        layer->sensitivity[k] = mean_change(t);
    }
    return nn_plain_set_activation(plain, i, NULL, 0);
}

static fhola_status measure_sensitivities(nn_profile *profile, const trial *t, nn_plan *const plans[DEGREES], nn_progress progress,
                                          void *user)
{
    nn_plain *plain;
    fhola_status status = nn_plain_create(&plain, t->model, NULL);
    if (status != FHOLA_OK)
        return status;
    score_pictures(t, plain, t->exact_scores);
    for (size_t i = 0; i < profile->count && status == FHOLA_OK; i++) {
        status = try_layer(&profile->layers[i], t, plain, i, plans);
        if (progress)
            progress(user, "sensitivities", i + 1, profile->count);
    }
    nn_plain_free(plain);
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

static fhola_status measure(nn_profile *profile, nn_plan *plans[DEGREES], trial *t, const nn_plan_options *options, nn_progress progress,
                            void *user)
{
    size_t scores = t->pictures * t->model->classes;
    t->exact_scores = malloc(scores * sizeof *t->exact_scores);
    t->scores = malloc(scores * sizeof *t->scores);
    if (!t->exact_scores || !t->scores)
        return fhola_fail(FHOLA_NOMEM, "no memory for the scores of %zu pictures", t->pictures);
    fhola_status status = create_plans(plans, t->model, options->eps);
    if (status == FHOLA_OK)
        status = nn_scratch_create(&t->scratch, &t->threads);
    if (status == FHOLA_OK)
        status = observe(profile, plans, t->model, t->batch, options, progress, user);
    return status == FHOLA_OK ? measure_sensitivities(profile, t, plans, progress, user) : status;
}

fhola_status nn_profile_make(nn_profile **profile, const nn_model *model, const nn_batch *calibration, const nn_plan_options *options,
                             nn_progress progress, void *user)
{
    nn_plan *plans[DEGREES] = {NULL};
    trial t = {.model = model, .batch = calibration, .pictures = options->sensitivity_pictures};
    fhola_status status = nn_plan_options_check(options, model);
    if (status != FHOLA_OK)
        return status;
    if (t.pictures > nn_batch_count(calibration))
        t.pictures = nn_batch_count(calibration);
    nn_profile *result = allocate_profile(nn_model_activations(model));
    if (!result)
        return fhola_fail(FHOLA_NOMEM, "no memory for a profile");
    result->model_hash = model->hash;
    result->eps = options->eps;
    result->pictures = nn_batch_count(calibration);
    status = measure(result, plans, &t, options, progress, user);
    for (size_t k = 0; k < DEGREES; k++)
        nn_plan_free(plans[k]);
    nn_scratch_free(t.scratch, t.threads);
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
    nn_json_add_header(&out, FORMAT_NAME, FORMAT_VERSION, profile->model_hash);
    nn_text_add(&out, ", \"eps\": ");
    nn_json_add_number(&out, profile->eps);
    nn_text_format(&out, ", \"pictures\": %zu,\n  \"degrees\": [", profile->pictures);
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
        nn_text_add(&out, "}");
    }
    nn_text_add(&out, "\n  ]}\n");
    if (out.failed) {
        free(out.bytes);
        return fhola_fail(FHOLA_NOMEM, "no memory for the text of a profile");
    }
    *text = out.bytes;
    *length = out.length;
    return FHOLA_OK;
}

fhola_status nn_profile_save(const nn_profile *profile, const char *path)
{
    char *text;
    size_t length;
    fhola_status status = nn_profile_format(&text, &length, profile);
    if (status != FHOLA_OK)
        return status;
    status = nn_file_write(path, text, length);
    free(text);
    return status;
}

/* ---- reading ---- */

static fhola_status parse_member(double *values, const nn_json *object, const char *key, size_t count, const char *name)
{
    return nn_json_get_row(values, nn_json_get(object, key), object, count, key, name);
}

static fhola_status parse_layer(nn_profile_layer *layer, const nn_json *object, const char *name)
{
    unsigned channels;
    fhola_status status = nn_json_get_whole(&channels, object, "channels", 1, MAX_CHANNELS, name);
    if (status == FHOLA_OK)
        status = allocate_layer(layer, channels);
    if (status == FHOLA_OK)
        status = parse_member(layer->sensitivity, object, "sensitivity", DEGREES, name);
    if (status == FHOLA_OK)
        status = parse_member(layer->min, object, "min", channels, name);
    if (status == FHOLA_OK)
        status = parse_member(layer->max, object, "max", channels, name);
    if (status == FHOLA_OK)
        status = parse_member(layer->mean, object, "mean", channels, name);
    if (status == FHOLA_OK)
        status = parse_member(layer->deviation, object, "deviation", channels, name);
    for (size_t k = 0; k < DEGREES && status == FHOLA_OK; k++)
        if (layer->sensitivity[k] < 0)
            status = nn_json_reject(nn_json_get(object, "sensitivity"), object, name, "a sensitivity is negative");
    return status;
}

static fhola_status parse_outline(nn_profile **profile, const nn_json *root, const char *name)
{
    const nn_json *activations = nn_json_get(root, "activations"), *degrees = nn_json_get(root, "degrees");
    double numbers[DEGREES], eps = 0;
    uint64_t model_hash;
    unsigned pictures;
    fhola_status status = nn_json_get_header(&model_hash, root, FORMAT_NAME, FORMAT_VERSION, name);
    if (status == FHOLA_OK)
        status = nn_json_get_row(numbers, degrees, root, DEGREES, "degrees", name);
    for (size_t k = 0; k < DEGREES && status == FHOLA_OK; k++)
        if (numbers[k] != nn_profile_degrees[k])
            status = nn_json_reject(degrees, root, name, "\"degrees\" must be 3, 7, 15, 31");
    if (status == FHOLA_OK)
        status = nn_json_get_whole(&pictures, root, "pictures", 1, 1000000000, name);
    if (status != FHOLA_OK)
        return status;
    const nn_json *eps_value = nn_json_get(root, "eps");
    if (eps_value && eps_value->type == NN_JSON_NUMBER)
        eps = eps_value->number;
    else
        return nn_json_reject(eps_value, root, name, "\"eps\" must be a number");
    if (!activations || activations->type != NN_JSON_ARRAY || activations->count == 0 || activations->count > MAX_ACTIVATIONS)
        return nn_json_reject(activations, root, name, "\"activations\" must be an array of the activations");
    *profile = allocate_profile(activations->count);
    if (!*profile)
        return fhola_fail(FHOLA_NOMEM, "%s: no memory for a profile", name);
    (*profile)->model_hash = model_hash;
    (*profile)->eps = eps;
    (*profile)->pictures = pictures;
    return FHOLA_OK;
}

fhola_status nn_profile_parse(nn_profile **profile, const char *text, size_t length, const char *name)
{
    nn_json *root = NULL;
    nn_profile *result = NULL;
    size_t i = 0;
    fhola_status status = nn_json_parse(&root, text, length, name);
    if (status == FHOLA_OK)
        status = parse_outline(&result, root, name);
    if (status == FHOLA_OK)
        for (const nn_json *entry = nn_json_get(root, "activations")->child; entry && status == FHOLA_OK; entry = entry->next)
            status = parse_layer(&result->layers[i++], entry, name);
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
    nn_profile *result;
    fhola_status status = nn_file_read(&bytes, &length, path, MAX_FILE);
    if (status != FHOLA_OK)
        return status;
    status = nn_profile_parse(&result, (const char *)bytes, length, path);
    free(bytes);
    if (status == FHOLA_OK && model && (result->model_hash != model->hash || result->count != nn_model_activations(model))) {
        status = fhola_fail(FHOLA_PARAM, "%s: the profile is of another model: weights %016llx, the model's are %016llx", path,
                            (unsigned long long)result->model_hash, (unsigned long long)model->hash);
        nn_profile_free(result);
    }
    if (status == FHOLA_OK)
        *profile = result;
    return status;
}
