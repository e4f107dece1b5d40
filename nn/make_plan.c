/* SPDX-License-Identifier: Apache-2.0 */
/* Making a plan: degrees by dynamic programming over measured sensitivities, then one fit of the whole network. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn/fit.h"
#include "nn/model_io.h"
#include "nn/nn.h"
#include "nn/profile.h"

#define CHOICES NN_PROFILE_DEGREES

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

fhola_status nn_plan_options_check(const nn_plan_options *o, const nn_model *model)
{
    if (!(o->eps >= 0 && o->eps <= 0.25))
        return fhola_fail(FHOLA_PARAM, "eps %g is not in [0, 0.25]", o->eps);
    if (!(o->margin_inside >= 1 && o->margin_inside <= 100) || !(o->margin_output >= 1 && o->margin_output <= 100))
        return fhola_fail(FHOLA_PARAM, "margins %g, %g are not in [1, 100]", o->margin_inside, o->margin_output);
    if (!(o->floor >= 0 && o->floor <= 1) || !(o->guard > 0 && o->guard <= 1) || !(o->limit_w > 0 && o->limit_w <= 1))
        return fhola_fail(FHOLA_PARAM, "floor %g, guard %g or limit %g is not in [0, 1] or not positive", o->floor, o->guard, o->limit_w);
    if (o->sensitivity_pictures == 0)
        return fhola_fail(FHOLA_PARAM, "sensitivities need at least one picture");
    if (o->profile && (o->profile->model_hash != model->hash || o->profile->count != nn_model_activations(model)))
        return fhola_fail(FHOLA_PARAM, "the profile is of another model: weights %016llx, the model's are %016llx",
                          (unsigned long long)o->profile->model_hash, (unsigned long long)model->hash);
    for (size_t i = 0; o->degrees && i < nn_model_activations(model); i++)
        if (o->degrees[i] < 1 || o->degrees[i] > NN_MAX_DEGREE)
            return fhola_fail(FHOLA_PARAM, "degree %u of activation %zu is not 1 to %u", o->degrees[i], i, NN_MAX_DEGREE);
    return FHOLA_OK;
}

/* Degrees of the smallest total sensitivity within the depth. */
static fhola_status schedule(unsigned *degrees, const nn_profile *profile, unsigned depth)
{
    size_t activations = profile->count;
    ola_option *options = calloc(activations * CHOICES, sizeof *options);
    ola_layer *layers = calloc(activations, sizeof *layers);
    size_t *choice = calloc(activations, sizeof *choice);
    ola_schedule total;
    fhola_status status = options && layers && choice ? FHOLA_OK : fhola_fail(FHOLA_NOMEM, "no memory for a schedule");
    for (size_t i = 0; i < activations && status == FHOLA_OK; i++) {
        for (size_t k = 0; k < CHOICES; k++)
            options[i * CHOICES + k] =
                (ola_option){nn_profile_degrees[k], ola_depth(nn_profile_degrees[k]), profile->layers[i].sensitivity[k]};
        layers[i] = (ola_layer){options + i * CHOICES, CHOICES};
    }
    if (status == FHOLA_OK)
        status = ola_schedule_dp(choice, &total, layers, activations, depth, 1.0);
    for (size_t i = 0; i < activations && status == FHOLA_OK; i++)
        degrees[i] = nn_profile_degrees[choice[i]];
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
    if (options->profile)
        return schedule(degrees, options->profile, options->depth);
    nn_profile *profile;
    fhola_status status = nn_profile_make(&profile, model, calibration, options, progress, user);
    if (status != FHOLA_OK)
        return status;
    status = schedule(degrees, profile, options->depth);
    nn_profile_free(profile);
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
    fhola_status status = nn_plan_options_check(options, model);
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
