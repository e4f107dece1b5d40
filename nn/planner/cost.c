/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/planner/cost.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/base/document.h"
#include "nn/base/file.h"
#include "nn/base/json.h"
#include "nn/graph/graph.h"

#define MAX_FILE    ((size_t)1 << 20)
#define MAX_SECONDS 1e6

/* A bootstrap of two ciphertexts against one of a single one: measured 1.42 to 1.47. */
#define PAIR_SECONDS 1.45

/* What layers of the network that tables are measured with have: 16 x 16 channels (or as much in
 * later stages), kernels of 3 x 3, two values in a number. A diagonal more takes this share of a
 * layer, kept ready: measured on ResNet-20 of 1, 2 and 4 times the width
 * (tests/long_wide_networks). */
#define TABLE_DIAGONALS   72
#define DIAGONAL_OF_LAYER (1.0 / 1800)

static fhola_status get_text(char *to, size_t room, const nn_json *object, const char *key,
                             const char *name)
{
    const nn_json *value = nn_json_get(object, key);
    char what[80];
    snprintf(what, sizeof what, "\"%s\" must be a string of 1 to %zu bytes", key, room - 1);
    if (!value || value->type != NN_JSON_STRING || !*value->string || strlen(value->string) >= room)
        return nn_json_reject(value, object, name, what);
    memcpy(to, value->string, strlen(value->string) + 1);
    return FHOLA_OK;
}

static fhola_status get_seconds(double *seconds, const nn_json *object, const char *key,
                                double least, const char *name)
{
    const nn_json *value = nn_json_get(object, key);
    char what[80];
    snprintf(what, sizeof what, "\"%s\" must be a number of seconds", key);
    if (!value || value->type != NN_JSON_NUMBER ||
        !(value->number >= least && value->number <= MAX_SECONDS))
        return nn_json_reject(value, object, name, what);
    *seconds = value->number;
    return FHOLA_OK;
}

static fhola_status parse_stage(nn_cost_set *set, size_t stage, const nn_json *object,
                                const char *name)
{
    unsigned channels = 16u << stage;
    double *seconds = set->seconds[stage];
    FHOLA_TRY(nn_json_get_whole(&channels, object, "channels", channels, channels, name));
    FHOLA_TRY(nn_json_get_numbers(seconds, object, "seconds", set->degree_count, name));
    for (size_t k = 0; k < set->degree_count; k++)
        if (!(seconds[k] > 0 && seconds[k] <= MAX_SECONDS) || (k && seconds[k] < seconds[k - 1]))
            return nn_json_reject(nn_json_get(object, "seconds"), object, name,
                                  "\"seconds\" must be positive and not fall");
    return get_seconds(&set->change[stage], object, "change_seconds", -seconds[0], name);
}

static fhola_status parse_degrees(nn_cost_set *set, const nn_json *object, const char *name)
{
    const nn_json *degrees = nn_json_get(object, "degrees");
    double numbers[NN_COST_MAX_DEGREES];
    if (!degrees || degrees->type != NN_JSON_ARRAY || degrees->count == 0 ||
        degrees->count > NN_COST_MAX_DEGREES)
        return nn_json_reject(degrees, object, name,
                              "\"degrees\" must be an array of 1 to 8 degrees");
    set->degree_count = degrees->count;
    FHOLA_TRY(nn_json_get_numbers(numbers, object, "degrees", degrees->count, name));
    for (size_t k = 0; k < set->degree_count; k++) {
        if (!(numbers[k] >= 1 && numbers[k] <= NN_MAX_DEGREE) || floor(numbers[k]) != numbers[k] ||
            (k && numbers[k] <= numbers[k - 1]))
            return nn_json_reject(degrees, object, name,
                                  "\"degrees\" must be whole numbers from 1 to 63, rising");
        set->degree[k] = (unsigned)numbers[k];
    }
    return FHOLA_OK;
}

static fhola_status parse_set(nn_cost_set *set, const nn_json *object, const char *name)
{
    const nn_json *stages = nn_json_get(object, "stages"),
                  *estimated = nn_json_get(object, "estimated");
    FHOLA_TRY(get_text(set->params, sizeof set->params, object, "params", name));
    FHOLA_TRY(parse_degrees(set, object, name));
    FHOLA_TRY(get_seconds(&set->fixed, object, "fixed_seconds", 0, name));
    if (!stages || stages->type != NN_JSON_ARRAY || stages->count != NN_COST_STAGES)
        return nn_json_reject(stages, object, name, "\"stages\" must be an array of the 3 stages");
    set->estimated = estimated && estimated->type == NN_JSON_TRUE;
    size_t stage = 0;
    for (const nn_json *entry = stages->child; entry; entry = entry->next)
        FHOLA_TRY(parse_stage(set, stage++, entry, name));
    return FHOLA_OK;
}

static fhola_status parse_table(nn_cost *cost, const nn_json *root, const char *name)
{
    const nn_json *sets = nn_json_get(root, "sets");
    FHOLA_TRY(nn_document_check(root, NN_DOCUMENT_COST, 1, name));
    FHOLA_TRY(get_text(cost->machine, sizeof cost->machine, root, "machine", name));
    FHOLA_TRY(nn_json_get_whole(&cost->threads, root, "threads", 1, 100000, name));
    if (nn_json_get(root, "isa"))
        FHOLA_TRY(get_text(cost->isa, sizeof cost->isa, root, "isa", name));
    if (!sets || sets->type != NN_JSON_ARRAY || sets->count == 0 || sets->count > NN_COST_MAX_SETS)
        return nn_json_reject(sets, root, name,
                              "\"sets\" must be an array of 1 to 8 parameter sets");
    for (const nn_json *entry = sets->child; entry; entry = entry->next)
        FHOLA_TRY(parse_set(&cost->set[cost->count++], entry, name));
    return FHOLA_OK;
}

fhola_status nn_cost_parse(nn_cost **cost, const char *text, size_t length, const char *name)
{
    nn_json *root = NULL;
    nn_cost *result = calloc(1, sizeof *result);
    if (!result) return fhola_fail(FHOLA_NOMEM, "%s: no memory for a table of costs", name);
    fhola_status status = nn_json_parse(&root, text, length, name);
    if (status == FHOLA_OK) status = parse_table(result, root, name);
    nn_json_free(root);
    if (status == FHOLA_OK)
        *cost = result;
    else
        free(result);
    return status;
}

fhola_status nn_cost_load(nn_cost **cost, const char *path)
{
    unsigned char *bytes;
    size_t length;
    fhola_status status = nn_file_read(&bytes, &length, path, MAX_FILE);
    if (status != FHOLA_OK) return status;
    status = nn_cost_decode(cost, bytes, length, path);
    free(bytes);
    return status;
}

fhola_status nn_cost_decode(nn_cost **cost, const unsigned char *bytes, size_t length,
                            const char *name)
{
    return nn_cost_parse(cost, (const char *)bytes, length, name);
}

const char *nn_cost_machine(const nn_cost *cost)
{
    return cost->machine;
}

unsigned nn_cost_threads(const nn_cost *cost)
{
    return cost->threads;
}

const char *nn_cost_isa(const nn_cost *cost)
{
    return cost->isa[0] ? cost->isa : NULL;
}

size_t nn_cost_sets(const nn_cost *cost)
{
    return cost->count;
}

const char *nn_cost_params(const nn_cost *cost, size_t i)
{
    return cost->set[i].params;
}

void nn_cost_free(nn_cost *cost)
{
    free(cost);
}

fhola_status nn_cost_find(const nn_cost_set **set, const nn_cost *cost, const char *params)
{
    char names[NN_COST_MAX_SETS * sizeof cost->set[0].params + NN_COST_MAX_SETS] = "";
    for (size_t k = 0; k < cost->count; k++) {
        if (strcmp(cost->set[k].params, params) == 0) {
            *set = &cost->set[k];
            return FHOLA_OK;
        }
        strcat(names, " ");
        strcat(names, cost->set[k].params);
    }
    return fhola_fail(FHOLA_PARAM, "the table of costs has no parameter set %s, only%s", params,
                      names);
}

/* The stage of node i; NN_COST_STAGES for the picture. */
static size_t stage_of(const nn_graph *graph, size_t i)
{
    size_t values = nn_shape_values(graph->nodes[i].shape);
    if (i == 0) return NN_COST_STAGES;
    return values > 8192 ? 0 : values > 4096 ? 1 : 2;
}

size_t nn_cost_stage(const nn_model *model, size_t i)
{
    return stage_of(model->graph, i + 1);
}

bool nn_cost_is_first(const nn_model *model, size_t i)
{
    const nn_node *node = nn_graph_layer(model->graph, i);
    for (size_t k = 0; k < node->edge_count; k++)
        if (stage_of(model->graph, node->edges[k].node) == nn_cost_stage(model, i)) return false;
    return true;
}

/* How many layers of the table's time the convolution takes beyond what theirs do. */
static double wider(const nn_node *node)
{
    double entries = 0;
    for (size_t k = 0; k < node->edge_count; k++)
        entries += (double)nn_map_entries(&node->edges[k].map);
    return fmax(0, entries / 32768 - TABLE_DIAGONALS) * DIAGONAL_OF_LAYER;
}

double nn_cost_seconds(const nn_cost_set *set, const nn_model *model, size_t i, unsigned degree)
{
    size_t stage = nn_cost_stage(model, i), k = 0;
    const nn_node *node = nn_graph_layer(model->graph, i);
    double parts = ceil((double)nn_shape_values(node->shape) / 16384), pairs = floor(parts / 2);
    while (k < set->degree_count && set->degree[k] < degree) k++;
    if (k == set->degree_count) return (double)INFINITY;
    return (pairs * PAIR_SECONDS + (parts - 2 * pairs)) * set->seconds[stage][k] +
           wider(node) * set->seconds[stage][0] +
           (nn_cost_is_first(model, i) ? set->change[stage] : 0);
}

double nn_cost_total(const nn_cost_set *set, const nn_model *model, const unsigned *degrees)
{
    double sum = set->fixed;
    for (size_t i = 0; i < nn_model_activations(model); i++)
        sum += nn_cost_seconds(set, model, i, degrees[i]);
    return sum;
}

fhola_status nn_plan_seconds(double *seconds, const nn_plan *plan, const nn_model *model,
                             const nn_cost *cost, const char *params)
{
    const nn_cost_set *set = NULL;
    FHOLA_TRY(nn_cost_find(&set, cost, params));
    if (plan->count != nn_model_activations(model))
        return fhola_fail(FHOLA_PARAM, "a plan for %zu activations, the network has %zu",
                          plan->count, nn_model_activations(model));
    double sum = set->fixed;
    for (size_t i = 0; i < plan->count; i++)
        sum += plan->activations[i].sign
                   ? (double)NAN
                   : nn_cost_seconds(set, model, i, plan->activations[i].degree);
    *seconds = isfinite(sum) ? sum : (double)NAN;
    return FHOLA_OK;
}
