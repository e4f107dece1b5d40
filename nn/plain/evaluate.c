/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "nn/base/file.h"
#include "nn/base/json.h"
#include "nn/base/parallel.h"
#include "nn/graph/model_io.h"
#include "nn/nn.h"
#include "nn/plain/plain.h"

#define CHUNK       500u /* pictures between two reports of progress */
#define LARGE_SCORE 200.0

typedef struct outcome {
    bool right, finite, outside, lost;
    double max_score, max_w;
} outcome;

/* One evaluation in progress; `outcomes` has room for a chunk, values and scores one row per
 * thread. */
typedef struct evaluation {
    nn_plain *plain;
    nn_scratch *scratch;
    size_t threads, classes, activations;
    float *scores, *max_w;
    float *all; /* a row for every picture of the batch, or NULL: nobody wants them */
    outcome *outcomes;
} evaluation;

static void judge(outcome *o, const float *scores, size_t classes, unsigned label,
                  const float *max_w, size_t activations)
{
    size_t best = 0;
    memset(o, 0, sizeof *o);
    o->finite = true;
    for (size_t k = 0; k < classes; k++) {
        double score = (double)scores[k];
        o->finite = o->finite && isfinite(score);
        if (isfinite(score) && fabs(score) > o->max_score) o->max_score = fabs(score);
        if (scores[k] > scores[best]) best = k;
    }
    o->right = o->finite && best == label;
    for (size_t i = 0; i < activations; i++) {
        o->outside = o->outside || !(max_w[i] <= 1.0f);
        o->lost = o->lost || !(max_w[i] <= 2.0f);
        if (isfinite((double)max_w[i]) && (double)max_w[i] > o->max_w) o->max_w = (double)max_w[i];
    }
}

static void run_one(evaluation *e, const nn_batch *batch, size_t index, outcome *o, nn_noise noise)
{
    size_t thread = nn_thread_index();
    float *scores = e->all ? e->all + index * e->classes : e->scores + thread * e->classes,
          *max_w = e->max_w + thread * e->activations;
    noise.seed += index * 0xd1342543de82ef95u;
    nn_scratch *scratch = &e->scratch[thread];
    nn_plain_run(e->plain, scratch, scores, max_w, nn_plain_load(e->plain, scratch, batch, index),
                 &noise);
    judge(o, scores, e->classes, nn_batch_label(batch, index), max_w, e->activations);
}

static void sum_up(nn_evaluation *result, const outcome *outcomes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const outcome *o = &outcomes[i];
        result->pictures++;
        result->right += o->right;
        result->not_finite += !o->finite;
        result->too_large += o->finite && o->max_score >= LARGE_SCORE;
        result->outside += o->outside;
        result->lost += o->lost;
        result->max_score = fmax(result->max_score, o->max_score);
        result->max_w = fmax(result->max_w, o->max_w);
    }
}

static fhola_status set_up(evaluation *e, const nn_model *model, const nn_plan *plan)
{
    e->classes = model->classes;
    e->activations = nn_model_activations(model);
    fhola_status status = nn_plain_create(&e->plain, model, plan);
    if (status == FHOLA_OK) status = nn_scratch_create(&e->scratch, &e->threads, e->plain);
    if (status != FHOLA_OK) return status;
    e->scores = malloc(e->threads * e->classes * sizeof *e->scores);
    e->max_w = malloc(e->threads * e->activations * sizeof *e->max_w);
    e->outcomes = malloc(CHUNK * sizeof *e->outcomes);
    if (!e->scores || !e->max_w || !e->outcomes)
        return fhola_fail(FHOLA_NOMEM, "no memory to evaluate with %zu threads", e->threads);
    return FHOLA_OK;
}

static void tear_down(evaluation *e)
{
    nn_plain_free(e->plain);
    nn_scratch_free(e->scratch, e->threads);
    free(e->scores);
    free(e->max_w);
    free(e->outcomes);
}

fhola_status nn_evaluate_scores(nn_evaluation *result, float *scores, const nn_model *model,
                                const nn_plan *plan, const nn_batch *batch, double noise,
                                uint64_t seed, nn_progress progress, void *user)
{
    size_t count = nn_batch_count(batch);
    if (!(noise >= 0) || !isfinite(noise))
        return fhola_fail(FHOLA_PARAM, "noise %g is no standard deviation", noise);
    fhola_status status = nn_plain_check_labels(model, batch, count);
    if (status != FHOLA_OK) return status;
    evaluation e;
    memset(&e, 0, sizeof e);
    e.all = scores;
    status = set_up(&e, model, plan);
    nn_evaluation total;
    memset(&total, 0, sizeof total);
    for (size_t first = 0; first < count && status == FHOLA_OK; first += CHUNK) {
        size_t end = count - first < CHUNK ? count : first + CHUNK;
        nn_noise common = {(float)noise, seed};
        NN_PARALLEL_FOR
        for (size_t i = first; i < end; i++) run_one(&e, batch, i, &e.outcomes[i - first], common);
        sum_up(&total, e.outcomes, end - first);
        if (progress) progress(user, "pictures", end, count);
    }
    tear_down(&e);
    if (status == FHOLA_OK) *result = total;
    return status;
}

fhola_status nn_evaluate(nn_evaluation *result, const nn_model *model, const nn_plan *plan,
                         const nn_batch *batch, double noise, uint64_t seed, nn_progress progress,
                         void *user)
{
    return nn_evaluate_scores(result, NULL, model, plan, batch, noise, seed, progress, user);
}

/* ---- scores as text ---- */

static void add_scores(nn_text *text, const char *key, const float *scores, size_t classes)
{
    nn_text_format(text, ", \"%s\": [", key);
    for (size_t i = 0; i < classes; i++) {
        if (i) nn_text_add(text, ", ");
        nn_json_add_float(text, scores[i]);
    }
    nn_text_add(text, "]");
}

fhola_status nn_scores_format(char **text, size_t *length, const nn_batch *batch, size_t classes,
                              const float *scores, const float *exact)
{
    nn_text t = {0};
    size_t count = nn_batch_count(batch);
    nn_text_add(&t, "");
    for (size_t i = 0; i < count; i++) {
        nn_text_format(&t, "{\"label\": %u", nn_batch_label(batch, i));
        add_scores(&t, "scores", scores + i * classes, classes);
        if (exact) add_scores(&t, "exact_scores", exact + i * classes, classes);
        nn_text_add(&t, "}\n");
    }
    return nn_text_take(text, length, &t, "scores");
}

fhola_status nn_scores_save(const char *path, const nn_batch *batch, size_t classes,
                            const float *scores, const float *exact)
{
    char *text;
    size_t length;
    FHOLA_TRY(nn_scores_format(&text, &length, batch, classes, scores, exact));
    fhola_status status = nn_file_write(path, text, length);
    free(text);
    return status;
}
