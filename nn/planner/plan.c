/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/planner/plan.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "nn/base/document.h"
#include "nn/base/file.h"
#include "nn/base/json.h"
#include "nn/graph/graph.h"
#include "ola/ola.h"

#define FORMAT_VERSION 1u
#define MAX_CHANNELS   65536u
#define MAX_EPS        0.25

/* ---- memory ---- */

static fhola_status allocate_activation(nn_activation *a, unsigned channels)
{
    a->channels = channels;
    a->centre = calloc(channels, sizeof *a->centre);
    a->half_width = calloc(channels, sizeof *a->half_width);
    a->coeff = calloc(channels, sizeof *a->coeff);
    if (!a->centre || !a->half_width || !a->coeff)
        return fhola_fail(FHOLA_NOMEM, "no memory for %u channels", channels);
    for (unsigned c = 0; c < channels; c++) a->half_width[c] = 1.0;
    return FHOLA_OK;
}

static nn_plan *allocate_plan(size_t count)
{
    nn_plan *plan = calloc(1, sizeof *plan);
    if (!plan) return NULL;
    plan->activations = calloc(count, sizeof *plan->activations);
    if (!plan->activations) {
        free(plan);
        return NULL;
    }
    plan->count = count;
    return plan;
}

fhola_status nn_plan_create(nn_plan **plan, const nn_model *model, double eps)
{
    nn_plan *result = allocate_plan(nn_model_activations(model));
    if (!result) return fhola_fail(FHOLA_NOMEM, "no memory for a plan");
    result->model_hash = model->hash;
    result->eps = eps;
    for (size_t i = 0; i < result->count; i++) {
        fhola_status status =
            allocate_activation(&result->activations[i], nn_activation_channels(model, i));
        if (status != FHOLA_OK) {
            nn_plan_free(result);
            return status;
        }
    }
    *plan = result;
    return FHOLA_OK;
}

fhola_status nn_plan_set_degree(nn_plan *plan, size_t i, unsigned degree)
{
    nn_activation *a = &plan->activations[i];
    if (degree > NN_MAX_DEGREE)
        return fhola_fail(FHOLA_PARAM, "degree %u of activation %zu is above %u", degree, i,
                          NN_MAX_DEGREE);
    double *coeff = calloc((degree + 1) * (size_t)a->channels, sizeof *coeff);
    if (!coeff) return fhola_fail(FHOLA_NOMEM, "no memory for activation %zu", i);
    free(a->coeff);
    a->coeff = coeff;
    a->degree = degree;
    return FHOLA_OK;
}

fhola_status nn_plan_set_sign(nn_plan *plan, size_t i, const ola_composite *sign)
{
    ola_composite *copy = malloc(sizeof *copy);
    if (!copy) return fhola_fail(FHOLA_NOMEM, "no memory for activation %zu", i);
    *copy = *sign;
    free(plan->activations[i].sign);
    plan->activations[i].sign = copy;
    return FHOLA_OK;
}

void nn_plan_free(nn_plan *plan)
{
    if (!plan) return;
    for (size_t i = 0; i < plan->count; i++) {
        free(plan->activations[i].sign);
        free(plan->activations[i].centre);
        free(plan->activations[i].half_width);
        free(plan->activations[i].coeff);
    }
    free(plan->activations);
    free(plan);
}

fhola_status nn_plan_set_pictures(nn_plan *plan, unsigned pictures)
{
    if (pictures < 1 || pictures > NN_MAX_PICTURES || pictures & (pictures - 1))
        return fhola_fail(FHOLA_PARAM, "a batch of %u pictures: it can be of 1, 2, 4 or 8",
                          pictures);
    plan->pictures = pictures;
    return FHOLA_OK;
}

void nn_plan_set_small_keys(nn_plan *plan, int small_keys)
{
    plan->small_keys = small_keys != 0;
}

/* ---- questions ---- */

int nn_plan_small_keys(const nn_plan *plan)
{
    return plan->small_keys;
}

unsigned nn_plan_pictures(const nn_plan *plan)
{
    return plan->pictures ? plan->pictures : 1;
}

uint64_t nn_plan_model(const nn_plan *plan)
{
    return plan->model_hash;
}

double nn_plan_eps(const nn_plan *plan)
{
    return plan->eps;
}

size_t nn_plan_count(const nn_plan *plan)
{
    return plan->count;
}

unsigned nn_plan_degree(const nn_plan *plan, size_t i)
{
    return plan->activations[i].degree;
}

double nn_plan_max_w(const nn_plan *plan, size_t i)
{
    return plan->activations[i].max_w;
}

unsigned nn_activation_depth(const nn_activation *a)
{
    unsigned depth = a->sign ? 1 : ola_depth(a->degree);
    for (unsigned k = 0; a->sign && k < a->sign->count; k++) depth += ola_depth(a->sign->degree[k]);
    return depth;
}

double nn_activation_eval(const nn_activation *a, unsigned channel, double X)
{
    double coeff[NN_MAX_DEGREE + 1];
    for (unsigned k = 0; k <= a->degree; k++)
        coeff[k] = a->coeff[(size_t)k * a->channels + channel];
    double y = ola_chebyshev_eval(coeff, a->degree, X);
    return a->sign ? y * (1 + ola_composite_eval_sign(a->sign, X)) : y;
}

unsigned nn_plan_depth(const nn_plan *plan)
{
    unsigned depth = 0;
    for (size_t i = 0; i < plan->count; i++) depth += nn_activation_depth(&plan->activations[i]);
    return depth;
}

unsigned nn_plan_levels(const nn_plan *plan)
{
    unsigned levels = 0;
    for (size_t i = 0; i < plan->count; i++) {
        unsigned needed = 1 + nn_activation_depth(&plan->activations[i]);
        levels = needed > levels ? needed : levels;
    }
    return levels;
}

static fhola_status check_sign(const nn_activation *a, size_t i)
{
    const ola_composite *s = a->sign;
    if (s->count < 1 || s->count > OLA_MAX_STAGES)
        return fhola_fail(FHOLA_PARAM,
                          "activation %zu: a composition of %u polynomials is not 1 to %u", i,
                          s->count, OLA_MAX_STAGES);
    for (unsigned k = 0; k < s->count; k++) {
        if (s->degree[k] < 1 || s->degree[k] > NN_MAX_DEGREE)
            return fhola_fail(FHOLA_PARAM,
                              "activation %zu: degree %u in a composition is not 1 to %u", i,
                              s->degree[k], NN_MAX_DEGREE);
        for (unsigned j = 0; j <= s->degree[k]; j++)
            if (!isfinite(s->coeff[k][j]))
                return fhola_fail(FHOLA_PARAM,
                                  "activation %zu: a coefficient of its composition is not finite",
                                  i);
    }
    if (nn_activation_depth(a) <= ola_depth(a->degree))
        return fhola_fail(FHOLA_PARAM,
                          "activation %zu: degree %u is too high beside a composition of depth %u",
                          i, a->degree, nn_activation_depth(a) - 1);
    for (unsigned c = 0; c < a->channels; c++)
        if (a->centre[c] != 0)
            return fhola_fail(FHOLA_PARAM,
                              "activation %zu, channel %u: centre %g, but compositions are for "
                              "intervals around 0",
                              i, c, a->centre[c]);
    return FHOLA_OK;
}

static fhola_status check_activation(const nn_activation *a, size_t i)
{
    if (a->degree < 1 || a->degree > NN_MAX_DEGREE)
        return fhola_fail(FHOLA_PARAM, "activation %zu: degree %u is not 1 to %u", i, a->degree,
                          NN_MAX_DEGREE);
    if (!isfinite(a->max_w) || a->max_w < 0)
        return fhola_fail(FHOLA_PARAM, "activation %zu: max_w %g is no magnitude", i, a->max_w);
    for (unsigned c = 0; c < a->channels; c++)
        if (!isfinite(a->centre[c]) || !isfinite(a->half_width[c]) || !(a->half_width[c] > 0))
            return fhola_fail(FHOLA_PARAM,
                              "activation %zu, channel %u: no interval: centre %g, half-width %g",
                              i, c, a->centre[c], a->half_width[c]);
    for (size_t k = 0; k < (a->degree + 1) * (size_t)a->channels; k++)
        if (!isfinite(a->coeff[k]))
            return fhola_fail(FHOLA_PARAM,
                              "activation %zu: coefficient %zu of channel %zu is not finite", i,
                              k / a->channels, k % a->channels);
    return a->sign ? check_sign(a, i) : FHOLA_OK;
}

static fhola_status check_values(const nn_plan *plan)
{
    if (!(plan->eps >= 0 && plan->eps <= MAX_EPS))
        return fhola_fail(FHOLA_PARAM, "eps %g is not in [0, %g]", plan->eps, MAX_EPS);
    for (size_t i = 0; i < plan->count; i++) {
        fhola_status status = check_activation(&plan->activations[i], i);
        if (status != FHOLA_OK) return status;
    }
    return FHOLA_OK;
}

static fhola_status check_model(const nn_plan *plan, const nn_model *model)
{
    if (plan->model_hash != model->hash)
        return fhola_fail(FHOLA_PARAM,
                          "the plan is for another model: weights %016llx, the model's are %016llx",
                          (unsigned long long)plan->model_hash, (unsigned long long)model->hash);
    if (plan->count != nn_model_activations(model))
        return fhola_fail(FHOLA_PARAM, "the plan has %zu activations, the model %zu", plan->count,
                          nn_model_activations(model));
    for (size_t i = 0; i < plan->count; i++)
        if (plan->activations[i].channels != nn_activation_channels(model, i))
            return fhola_fail(FHOLA_PARAM, "activation %zu: the plan has %u channels, the model %u",
                              i, plan->activations[i].channels, nn_activation_channels(model, i));
    return FHOLA_OK;
}

fhola_status nn_plan_check(const nn_plan *plan, const nn_model *model)
{
    fhola_status status = check_model(plan, model);
    return status == FHOLA_OK ? check_values(plan) : status;
}

/* ---- writing ---- */

static void format_activation(nn_text *text, const nn_activation *a)
{
    nn_text_format(text, "    {\"degree\": %u, \"channels\": %u, \"max_w\": ", a->degree,
                   a->channels);
    nn_json_add_number(text, a->max_w);
    nn_text_add(text, ",\n     \"centre\": ");
    nn_json_add_array(text, a->centre, a->channels);
    nn_text_add(text, ",\n     \"half_width\": ");
    nn_json_add_array(text, a->half_width, a->channels);
    nn_text_add(text, ",\n     \"coeff\": [");
    for (unsigned k = 0; k <= a->degree; k++) {
        if (k) nn_text_add(text, ",\n               ");
        nn_json_add_array(text, a->coeff + (size_t)k * a->channels, a->channels);
    }
    nn_text_add(text, "]");
    for (unsigned k = 0; a->sign && k < a->sign->count; k++) {
        nn_text_add(text, k ? ",\n              " : ",\n     \"sign\": [");
        nn_json_add_array(text, a->sign->coeff[k], a->sign->degree[k] + 1);
    }
    nn_text_add(text, a->sign ? "]}" : "}");
}

fhola_status nn_plan_format(char **text, size_t *length, const nn_plan *plan)
{
    nn_text out = {0};
    nn_document_add_header(&out, NN_DOCUMENT_PLAN, FORMAT_VERSION, plan->model_hash);
    nn_text_add(&out, ", \"eps\": ");
    nn_json_add_number(&out, plan->eps);
    nn_text_format(&out, ", \"depth\": %u,\n  \"activations\": [\n", nn_plan_depth(plan));
    for (size_t i = 0; i < plan->count; i++) {
        if (i) nn_text_add(&out, ",\n");
        format_activation(&out, &plan->activations[i]);
    }
    nn_text_add(&out, "\n  ]}\n");
    return nn_text_take(text, length, &out, nn_document_name(NN_DOCUMENT_PLAN));
}

fhola_status nn_plan_save(const nn_plan *plan, const char *path)
{
    char *text;
    size_t length;
    fhola_status status = check_values(plan);
    if (status == FHOLA_OK) status = nn_plan_format(&text, &length, plan);
    if (status != FHOLA_OK) return status;
    status = nn_file_write(path, text, length);
    free(text);
    return status;
}

/* ---- reading ---- */

static fhola_status parse_coefficients(nn_plan *plan, size_t i, const nn_json *object,
                                       const char *name)
{
    unsigned degree;
    FHOLA_TRY(nn_json_get_whole(&degree, object, "degree", 1, NN_MAX_DEGREE, name));
    FHOLA_TRY(nn_plan_set_degree(plan, i, degree));
    const nn_activation *a = &plan->activations[i];
    return nn_json_get_rows(a->coeff, object, "coeff", degree + 1, a->channels, name);
}

/* "sign": an array of polynomials, each an array of coefficients. Absent: no composition. */
static fhola_status parse_sign(nn_plan *plan, size_t i, const nn_json *object, const char *name)
{
    const nn_json *stages = nn_json_get(object, "sign");
    ola_composite sign = {0};
    if (!stages) return FHOLA_OK;
    if (stages->type != NN_JSON_ARRAY || stages->count == 0 || stages->count > OLA_MAX_STAGES)
        return nn_json_reject(stages, object, name, "\"sign\" must be 1 to 8 polynomials");
    for (const nn_json *row = stages->child; row; row = row->next) {
        if (row->type != NN_JSON_ARRAY || row->count < 2 || row->count > NN_MAX_DEGREE + 1)
            return nn_json_reject(row, stages, name,
                                  "a polynomial of \"sign\" must be 2 to 64 coefficients");
        sign.degree[sign.count] = (unsigned)row->count - 1;
        FHOLA_TRY(nn_json_get_row(sign.coeff[sign.count++], row, stages, row->count, "sign", name));
    }
    return nn_plan_set_sign(plan, i, &sign);
}

static fhola_status parse_activation(nn_plan *plan, size_t i, const nn_json *object,
                                     const char *name)
{
    nn_activation *a = &plan->activations[i];
    unsigned channels;
    const nn_json *max_w = nn_json_get(object, "max_w");
    FHOLA_TRY(nn_json_get_whole(&channels, object, "channels", 1, MAX_CHANNELS, name));
    FHOLA_TRY(allocate_activation(a, channels));
    FHOLA_TRY(nn_json_get_numbers(a->centre, object, "centre", channels, name));
    FHOLA_TRY(nn_json_get_numbers(a->half_width, object, "half_width", channels, name));
    FHOLA_TRY(parse_coefficients(plan, i, object, name));
    FHOLA_TRY(parse_sign(plan, i, object, name));
    if (!max_w) return FHOLA_OK;
    if (max_w->type != NN_JSON_NUMBER)
        return nn_json_reject(max_w, object, name, "\"max_w\" must be a number");
    a->max_w = max_w->number;
    return FHOLA_OK;
}

/* On failure there may be a part of the plan. */
static fhola_status parse_root(nn_plan **plan, const nn_json *root, const char *name)
{
    size_t i = 0;
    const nn_json *activations, *eps = nn_json_get(root, "eps");
    uint64_t model_hash;
    FHOLA_TRY(nn_document_get_header(&model_hash, root, NN_DOCUMENT_PLAN, FORMAT_VERSION, name));
    if (!eps || eps->type != NN_JSON_NUMBER || !(eps->number >= 0 && eps->number <= MAX_EPS))
        return nn_json_reject(eps, root, name, "\"eps\" must be a number in [0, 0.25]");
    FHOLA_TRY(nn_document_get_activations(&activations, root, NN_GRAPH_MAX_NODES, name));
    *plan = allocate_plan(activations->count);
    if (!*plan) return fhola_fail(FHOLA_NOMEM, "%s: no memory for a plan", name);
    (*plan)->model_hash = model_hash;
    (*plan)->eps = eps->number;
    for (const nn_json *entry = activations->child; entry; entry = entry->next)
        FHOLA_TRY(parse_activation(*plan, i++, entry, name));
    return FHOLA_OK;
}

fhola_status nn_plan_parse(nn_plan **plan, const char *text, size_t length, const char *name)
{
    nn_json *root;
    nn_plan *result = NULL;
    FHOLA_TRY(nn_json_parse(&root, text, length, name));
    fhola_status status = parse_root(&result, root, name);
    nn_json_free(root);
    if (status == FHOLA_OK && check_values(result) != FHOLA_OK)
        status = fhola_fail(FHOLA_FORMAT, "%s: %s", name, fhola_detail());
    if (status != FHOLA_OK) {
        nn_plan_free(result);
        return status;
    }
    *plan = result;
    return FHOLA_OK;
}

fhola_status nn_plan_load(nn_plan **plan, const char *path, const nn_model *model)
{
    unsigned char *bytes;
    size_t length;
    fhola_status status = nn_file_read(&bytes, &length, path, NN_DOCUMENT_MAX_BYTES);
    if (status != FHOLA_OK) return status;
    status = nn_plan_decode(plan, bytes, length, path, model);
    free(bytes);
    return status;
}

fhola_status nn_plan_decode(nn_plan **plan, const unsigned char *bytes, size_t length,
                            const char *name, const nn_model *model)
{
    nn_plan *result;
    fhola_status status = nn_plan_parse(&result, (const char *)bytes, length, name);
    if (status == FHOLA_OK && model && nn_plan_check(result, model) != FHOLA_OK) {
        nn_plan_free(result);
        return fhola_fail(FHOLA_PARAM, "%s: %s", name, fhola_detail());
    }
    if (status == FHOLA_OK) *plan = result;
    return status;
}
