/* SPDX-License-Identifier: Apache-2.0 */
/* A table of costs by measurement: the encrypted network with one degree everywhere, once for every
 * degree the parameters have levels for. A layer's time is its convolution, its bootstrap onto the
 * chain its degree needs, and its polynomial. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ckks/measure/measure.h"
#include "nn/base/document.h"
#include "nn/base/file.h"
#include "nn/base/json.h"
#include "nn/base/parallel.h"
#include "nn/graph/graph.h"
#include "nn/measure/measure.h"
#include "nn/measure/session.h"
#include "nn/planner/cost.h"

#define MAX_REPEATS  100u
#define MACHINE_ROOM sizeof(((nn_cost *)0)->machine)
#define PARAMS_ROOM  sizeof(((nn_cost *)0)->set[0].params)

static const unsigned tried[] = {3, 7, 15, 31, 63};
#define TRIED (sizeof tried / sizeof *tried)

/* Times do not depend on values: any coefficients do, as long as none is zero. */
static fhola_status make_plan(nn_plan **plan, const nn_model *model, unsigned degree, double eps)
{
    fhola_status status = nn_plan_create(plan, model, eps);
    for (size_t i = 0; i < nn_model_activations(model) && status == FHOLA_OK; i++) {
        nn_activation *a = &(*plan)->activations[i];
        status = nn_plan_set_degree(*plan, i, degree);
        for (unsigned c = 0; c < a->channels && status == FHOLA_OK; c++) {
            a->half_width[c] = 10;
            for (unsigned k = 0; k <= degree; k++)
                a->coeff[(size_t)k * a->channels + c] = 1.0 / (1 + k * k);
        }
    }
    return status;
}

/* A black picture will do. */
static fhola_status encrypt_picture(nn_session *s)
{
    nn_shape shape = nn_client_shape(nn_network_client(s->network));
    double *black = calloc(nn_shape_values(shape), sizeof *black);
    if (!black) return fhola_fail(FHOLA_NOMEM, "no memory for a picture");
    fhola_status status = nn_session_encrypt(s, 0, black);
    free(black);
    return status;
}

/* least[i]: the shortest time of layer i in all runs; the last entry is pooling and linear
 * layer. */
static fhola_status time_layers(double *least, nn_session *s, size_t layers, unsigned repeats)
{
    FHOLA_TRY(encrypt_picture(s));
    for (unsigned run = 0; run < repeats; run++) {
        FHOLA_TRY(nn_session_infer(s, 1, NULL));
        for (size_t i = 0; i < layers; i++) {
            double seconds = nn_stage_times_sum(&s->times[i]);
            least[i] = run ? fmin(least[i], seconds) : seconds;
        }
    }
    return FHOLA_OK;
}

/* Seconds of a stage's usual layer (the median) and of its first one. */
static void summarise_stage(double *usual, double *first, const double *least,
                            const nn_model *model, size_t stage, double *room)
{
    size_t count = 0;
    *first = 0;
    for (size_t i = 0; i < nn_model_activations(model); i++) {
        if (nn_cost_stage(model, i) != stage) continue;
        if (nn_cost_is_first(model, i))
            *first = least[i];
        else
            room[count++] = least[i];
    }
    ckks_sort_numbers(room, count);
    *usual = (room[(count - 1) / 2] + room[count / 2]) / 2;
}

/* Enters one degree; the difference of first layers is averaged over degrees. `values`: a number
 * per layer, and as many more. */
static void enter_degree(nn_cost_set *set, unsigned degree, const double *values, double *room,
                         const nn_model *model, size_t degrees)
{
    size_t k = set->degree_count++;
    set->degree[k] = degree;
    for (size_t stage = 0; stage < NN_COST_STAGES; stage++) {
        double usual, first;
        summarise_stage(&usual, &first, values, model, stage, room);
        /* noise must not make it fall */
        set->seconds[stage][k] = k ? fmax(usual, set->seconds[stage][k - 1]) : usual;
        set->change[stage] += (first - usual) / (double)degrees;
    }
    set->fixed += values[nn_model_activations(model)] / (double)degrees;
}

static fhola_status measure_degree(nn_cost_set *set, const ckks_params *params,
                                   const nn_model *model, unsigned degree, double eps,
                                   unsigned repeats, size_t degrees)
{
    size_t layers = nn_model_activations(model) + 1;
    nn_session s = {0};
    nn_plan *plan = NULL;
    double *values = calloc(2 * layers, sizeof *values);
    fhola_status status =
        values ? make_plan(&plan, model, degree, eps)
               : fhola_fail(FHOLA_NOMEM, "no memory for the times of %zu layers", layers);
    if (status == FHOLA_OK) status = nn_session_open(&s, params, model, plan, NULL);
    if (status == FHOLA_OK) status = time_layers(values, &s, layers, repeats);
    if (status == FHOLA_OK) enter_degree(set, degree, values, values + layers, model, degrees);
    nn_session_clear(&s);
    nn_plan_free(plan);
    free(values);
    return status;
}

static fhola_status measure_set(nn_cost_set *set, const ckks_params *params, const nn_model *model,
                                unsigned max_degree, unsigned repeats, nn_progress progress,
                                void *user)
{
    const ckks_params_spec *spec = ckks_params_get_spec(params);
    size_t degrees = 0;
    fhola_status status = FHOLA_OK;
    while (degrees < TRIED && tried[degrees] <= max_degree &&
           ola_depth(tried[degrees]) < spec->residual_levels)
        degrees++;
    if (degrees == 0)
        return fhola_fail(FHOLA_PARAM,
                          "%s has %u levels between bootstraps, the largest degree asked for is "
                          "%u: no polynomial to measure",
                          set->params, spec->residual_levels, max_degree);
    for (size_t k = 0; k < degrees && status == FHOLA_OK; k++) {
        status = measure_degree(set, params, model, tried[k], spec->eps, repeats, degrees);
        if (progress && status == FHOLA_OK) progress(user, "degrees", k + 1, degrees);
    }
    return status;
}

/* Takes over the sets of another table that `cost` does not have. */
static fhola_status keep_sets(nn_cost *cost, const nn_cost *other)
{
    for (size_t k = 0; other && k < other->count; k++) {
        if (strcmp(other->set[k].params, cost->set[0].params) == 0) continue;
        if (cost->count == NN_COST_MAX_SETS)
            return fhola_fail(FHOLA_PARAM, "a table of costs has at most %u parameter sets",
                              NN_COST_MAX_SETS);
        cost->set[cost->count++] = other->set[k];
    }
    return FHOLA_OK;
}

/* The kernel that contexts of these parameters have. */
static fhola_status find_isa(char *isa, size_t room, const ckks_params *params)
{
    ckks_context *context = NULL;
    FHOLA_TRY(ckks_context_create(&context, params, NULL));
    snprintf(isa, room, "%s", ckks_context_isa(context));
    ckks_context_destroy(context);
    return FHOLA_OK;
}

/* Every stage needs a layer that is not its first. */
static fhola_status check_stages(const nn_model *model)
{
    size_t usual[NN_COST_STAGES] = {0};
    for (size_t i = 0; i < nn_model_activations(model); i++)
        usual[nn_cost_stage(model, i)] += !nn_cost_is_first(model, i);
    if (usual[0] > 0 && usual[1] > 0 && usual[2] > 0) return FHOLA_OK;
    return fhola_fail(FHOLA_PARAM, "costs are measured with a network that has several layers of "
                                   "2^14, of 2^13 and of 2^12 values, such as a CIFAR ResNet");
}

fhola_status nn_cost_measure(nn_cost **cost, const ckks_params *params, const char *params_name,
                             const char *machine, const nn_model *model, unsigned max_degree,
                             unsigned repeats, const nn_cost *kept, nn_progress progress,
                             void *user)
{
    FHOLA_TRY(check_stages(model));
    if (repeats == 0 || repeats > MAX_REPEATS || !*machine || strlen(machine) >= MACHINE_ROOM)
        return fhola_fail(
            FHOLA_PARAM,
            "%u runs, machine \"%s\": 1 to %u runs and a name of 1 to %zu bytes are possible",
            repeats, machine, MAX_REPEATS, MACHINE_ROOM - 1);
    if (!*params_name || strlen(params_name) >= PARAMS_ROOM)
        return fhola_fail(FHOLA_PARAM,
                          "parameter set \"%s\": in a table of costs its name has 1 to %zu bytes",
                          params_name, PARAMS_ROOM - 1);
    nn_cost *result = calloc(1, sizeof *result);
    if (!result) return fhola_fail(FHOLA_NOMEM, "no memory for a table of costs");
    *result = (nn_cost){.threads = (unsigned)nn_thread_count(), .count = 1};
    memcpy(result->machine, machine, strlen(machine) + 1);
    memcpy(result->set[0].params, params_name, strlen(params_name) + 1);
    fhola_status status = keep_sets(result, kept);
    if (status == FHOLA_OK) status = find_isa(result->isa, sizeof result->isa, params);
    if (status == FHOLA_OK)
        status = measure_set(&result->set[0], params, model, max_degree, repeats, progress, user);
    if (status == FHOLA_OK)
        *cost = result;
    else
        free(result);
    return status;
}

/* ---- writing ---- */

static void add_milliseconds(nn_text *out, double seconds)
{
    nn_json_add_number(out, round(seconds * 1e4) / 1e4);
}

static void write_set(nn_text *out, const nn_cost_set *set)
{
    nn_text_add(out, "\n  {\"params\": ");
    nn_json_add_string(out, set->params);
    nn_text_format(out, ", \"estimated\": %s, \"degrees\": [", set->estimated ? "true" : "false");
    for (size_t k = 0; k < set->degree_count; k++)
        nn_text_format(out, k ? ", %u" : "%u", set->degree[k]);
    nn_text_add(out, "], \"fixed_seconds\": ");
    add_milliseconds(out, set->fixed);
    nn_text_add(out, ", \"stages\": [");
    for (size_t stage = 0; stage < NN_COST_STAGES; stage++) {
        nn_text_format(out, "%s\n    {\"channels\": %u, \"change_seconds\": ", stage ? "," : "",
                       16u << stage);
        add_milliseconds(out, set->change[stage]);
        nn_text_add(out, ", \"seconds\": [");
        for (size_t k = 0; k < set->degree_count; k++) {
            nn_text_add(out, k ? ", " : "");
            add_milliseconds(out, set->seconds[stage][k]);
        }
        nn_text_add(out, "]}");
    }
    nn_text_add(out, "]}");
}

fhola_status nn_cost_save(const nn_cost *cost, const char *path)
{
    nn_text out = {0};
    nn_text_add(&out, "{\"format\": \"fhola-cost\", \"version\": 1, \"machine\": ");
    nn_json_add_string(&out, cost->machine);
    if (cost->isa[0]) {
        nn_text_add(&out, ", \"isa\": ");
        nn_json_add_string(&out, cost->isa);
    }
    nn_text_format(&out, ", \"threads\": %u,\n \"sets\": [", cost->threads);
    for (size_t k = 0; k < cost->count; k++) {
        nn_text_add(&out, k ? "," : "");
        write_set(&out, &cost->set[k]);
    }
    nn_text_add(&out, "\n ]}\n");
    char *text;
    size_t length;
    FHOLA_TRY(nn_text_take(&text, &length, &out, nn_document_name(NN_DOCUMENT_COST)));
    fhola_status status = nn_file_write(path, text, length);
    free(text);
    return status;
}
