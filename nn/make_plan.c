/* SPDX-License-Identifier: Apache-2.0 */
/* Making a plan: degrees by dynamic programming over measured sensitivities, then one fit of the whole network. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn/fit.h"
#include "nn/model_io.h"
#include "nn/nn.h"

#define CHOICES 4u
static const unsigned choices[CHOICES] = {3, 7, 15, 31}; /* the largest degree of each depth */

void nn_plan_defaults(nn_plan_options *options)
{
    memset(options, 0, sizeof *options);
    options->depth = 63;
    options->eps = 0.125;
    options->margin_inside = 1.5;
    options->margin_output = 2.2;
    options->floor = 0.3;
    options->guard = OLA_DEFAULT_GUARD;
    options->limit_w = 0.9;
    options->sensitivity_pictures = 400;
}

static fhola_status check_options(const nn_plan_options *o, const nn_model *model)
{
    if (!(o->eps >= 0 && o->eps <= 0.25))
        return fhola_fail(FHOLA_PARAM, "eps %g is not in [0, 0.25]", o->eps);
    if (!(o->margin_inside >= 1 && o->margin_inside <= 100) || !(o->margin_output >= 1 && o->margin_output <= 100))
        return fhola_fail(FHOLA_PARAM, "margins %g, %g are not in [1, 100]", o->margin_inside, o->margin_output);
    if (!(o->floor >= 0 && o->floor <= 1) || !(o->guard > 0 && o->guard <= 1) || !(o->limit_w > 0 && o->limit_w <= 1))
        return fhola_fail(FHOLA_PARAM, "floor %g, guard %g or limit %g is not in [0, 1] or not positive", o->floor, o->guard, o->limit_w);
    for (size_t i = 0; o->degrees && i < nn_model_activations(model); i++)
        if (o->degrees[i] < 1 || o->degrees[i] > NN_MAX_DEGREE)
            return fhola_fail(FHOLA_PARAM, "degree %u of activation %zu is not 1 to %u", o->degrees[i], i, NN_MAX_DEGREE);
    return FHOLA_OK;
}

/* Degrees of the smallest total sensitivity within the depth. */
static fhola_status schedule(unsigned *degrees, const double *loss, size_t activations, unsigned depth)
{
    ola_option *options = malloc(activations * CHOICES * sizeof *options);
    ola_layer *layers = malloc(activations * sizeof *layers);
    size_t *choice = malloc(activations * sizeof *choice);
    ola_schedule ignored;
    fhola_status status = options && layers && choice ? FHOLA_OK : fhola_fail(FHOLA_NOMEM, "no memory for a schedule");
    for (size_t i = 0; i < activations && status == FHOLA_OK; i++) {
        for (size_t k = 0; k < CHOICES; k++)
            options[i * CHOICES + k] = (ola_option){choices[k], ola_depth(choices[k]), loss[i * CHOICES + k]};
        layers[i] = (ola_layer){options + i * CHOICES, CHOICES};
    }
    if (status == FHOLA_OK)
        status = ola_schedule_dp(choice, &ignored, layers, activations, depth, 1.0);
    for (size_t i = 0; i < activations && status == FHOLA_OK; i++)
        degrees[i] = choices[choice[i]];
    free(options);
    free(layers);
    free(choice);
    return status;
}

static fhola_status choose_degrees(unsigned *degrees, const nn_model *model, const nn_batch *calibration, const nn_plan_options *options,
                                   nn_progress progress, void *user)
{
    size_t activations = nn_model_activations(model);
    if (options->degrees) {
        memcpy(degrees, options->degrees, activations * sizeof *degrees);
        return FHOLA_OK;
    }
    if (options->depth < 2 * activations)
        return fhola_fail(FHOLA_PARAM, "a depth of %u is too small: %zu activations need at least %zu", options->depth, activations,
                          2 * activations);
    double *loss = malloc(activations * CHOICES * sizeof *loss);
    if (!loss)
        return fhola_fail(FHOLA_NOMEM, "no memory for sensitivities");
    fhola_status status = nn_sensitivities(loss, model, calibration, choices, CHOICES, options, progress, user);
    if (status == FHOLA_OK)
        status = schedule(degrees, loss, activations, options->depth);
    free(loss);
    return status;
}

static fhola_status fit_network(nn_plan *plan, const nn_model *model, const nn_batch *calibration, const nn_batch *held_out,
                                const nn_plan_options *options, nn_progress progress, void *user)
{
    nn_passage *passage;
    fhola_status status = nn_passage_create(&passage, model, calibration, nn_batch_count(calibration), held_out, true);
    if (status != FHOLA_OK)
        return status;
    for (size_t i = 0; i < plan->count && status == FHOLA_OK; i++) {
        nn_arrivals arrivals = {0};
        status = nn_passage_arrivals(&arrivals, passage, i);
        if (status == FHOLA_OK)
            status = nn_fit_activation(plan, i, &arrivals, options);
        nn_arrivals_clear(&arrivals);
        if (status == FHOLA_OK)
            status = nn_passage_advance(passage, i, &plan->activations[i], plan->eps);
        if (progress)
            progress(user, "fit", i + 1, plan->count);
    }
    nn_passage_free(passage);
    return status;
}

fhola_status nn_plan_make(nn_plan **plan, const nn_model *model, const nn_batch *calibration, const nn_batch *held_out,
                          const nn_plan_options *options, nn_progress progress, void *user)
{
    size_t activations = nn_model_activations(model);
    fhola_status status = check_options(options, model);
    if (status != FHOLA_OK)
        return status;
    unsigned *degrees = malloc(activations * sizeof *degrees);
    nn_plan *result = NULL;
    if (!degrees)
        return fhola_fail(FHOLA_NOMEM, "no memory for degrees");
    status = choose_degrees(degrees, model, calibration, options, progress, user);
    if (status == FHOLA_OK)
        status = nn_plan_create(&result, model, options->eps);
    for (size_t i = 0; i < activations && status == FHOLA_OK; i++)
        status = nn_plan_set_degree(result, i, degrees[i]);
    if (status == FHOLA_OK)
        status = fit_network(result, model, calibration, held_out, options, progress, user);
    free(degrees);
    if (status != FHOLA_OK) {
        nn_plan_free(result);
        return status;
    }
    *plan = result;
    return FHOLA_OK;
}
