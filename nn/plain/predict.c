/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/plain/predict.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn/base/parallel.h"
#include "nn/graph/model_io.h"
#include "nn/plain/plain.h"

static double margin_of(const float *scores, size_t classes, unsigned label)
{
    double best = -(double)INFINITY;
    for (size_t k = 0; k < classes; k++)
        if (k != label) best = fmax(best, (double)scores[k]);
    return (double)scores[label] - best;
}

static double run_picture(const nn_plain *plain, nn_scratch *scratch, const nn_model *model,
                          const nn_batch *batch, size_t index)
{
    float scores[NN_MAX_CLASSES];
    nn_plain_run(plain, scratch, scores, NULL, nn_plain_load(plain, scratch, batch, index), NULL);
    return margin_of(scores, model->classes, nn_batch_label(batch, index));
}

static fhola_status check_labels(const nn_model *model, const nn_batch *batch)
{
    if (nn_batch_count(batch) == 0 || model->classes < 2)
        return fhola_fail(FHOLA_PARAM, "%zu pictures and %u classes leave nothing to predict",
                          nn_batch_count(batch), model->classes);
    return nn_plain_check_labels(model, batch, nn_batch_count(batch));
}

fhola_status nn_margins_create(nn_margins *margins, const nn_model *model, const nn_batch *batch)
{
    nn_plain *plain = NULL;
    nn_scratch *scratch = NULL;
    size_t threads = 0;
    nn_margins result = {.count = nn_batch_count(batch)};
    fhola_status status = check_labels(model, batch);
    if (status != FHOLA_OK) return status;
    result.margin = malloc(result.count * sizeof *result.margin);
    if (!result.margin)
        return fhola_fail(FHOLA_NOMEM, "no memory for the margins of %zu pictures", result.count);
    status = nn_plain_create(&plain, model, NULL);
    if (status == FHOLA_OK) status = nn_scratch_create(&scratch, &threads, plain);
    if (status == FHOLA_OK) {
        NN_PARALLEL_FOR
        for (size_t i = 0; i < result.count; i++)
            result.margin[i] = run_picture(plain, &scratch[nn_thread_index()], model, batch, i);
    }
    nn_scratch_free(scratch, threads);
    nn_plain_free(plain);
    if (status == FHOLA_OK)
        *margins = result;
    else
        nn_margins_clear(&result);
    return status;
}

void nn_margins_clear(nn_margins *margins)
{
    free(margins->margin);
    memset(margins, 0, sizeof *margins);
}

double nn_margins_accuracy(const nn_margins *margins, double change)
{
    double sum = 0;
    for (size_t i = 0; i < margins->count; i++) {
        double m = margins->margin[i];
        /* The difference of two scores has twice the variance of one. */
        sum += change > 0 ? 0.5 * erfc(-m / (2 * sqrt(change))) : m > 0 ? 1.0 : 0.0;
    }
    return 100 * sum / (double)margins->count;
}

double nn_mean_change(const float *scores, const float *exact, size_t count)
{
    const double limit = 1e12;
    double sum = 0;
    for (size_t j = 0; j < count; j++) {
        double change = (double)scores[j] - (double)exact[j];
        sum += isfinite(change) ? fmin(change * change, limit) : limit;
    }
    return sum / (double)count;
}
