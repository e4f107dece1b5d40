/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/cmd/eval_encrypted.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "nn/cmd/encrypted.h"

typedef struct work {
    nn_cmd_encrypted_result *result;
    const nn_batch *batch;
    const nn_cmd_accuracy *accuracy;
    nn_session parties;
    nn_shape shape;
    double *values, *scores; /* of a picture */
    float *rounded;
} work;

/* Sums of squares for now. */
static void judge(work *w, size_t i)
{
    size_t classes = w->accuracy->classes;
    const float *plain = w->accuracy->polynomial_scores + i * classes;
    nn_cmd_encrypted_result *r = w->result;
    double mean = 0;
    for (size_t k = 0; k < classes; k++) mean += (double)plain[k] / (double)classes;
    for (size_t k = 0; k < classes; k++) {
        double error = w->scores[k] - (double)plain[k], deviation = (double)plain[k] - mean;
        r->error += error * error;
        r->deviation += deviation * deviation;
        r->worst = fmax(r->worst, fabs(error));
        w->rounded[k] = (float)w->scores[k];
    }
    size_t found = nn_cmd_class_of(w->rounded, classes);
    r->right += found == nn_batch_label(w->batch, i);
    r->agreeing += found < classes && found == nn_cmd_class_of(plain, classes);
    r->pictures++;
}

/* Pictures first .. first + count - 1, at once. */
static fhola_status run_some(work *w, size_t first, size_t count)
{
    for (size_t k = 0; k < count; k++) {
        nn_batch_picture(w->batch, first + k, w->values);
        FHOLA_TRY(nn_session_encrypt(&w->parties, k, w->values));
    }
    FHOLA_TRY(nn_cmd_session_infer(&w->parties, count));
    w->result->seconds += w->parties.seconds;
    for (size_t k = 0; k < count; k++) {
        FHOLA_TRY(nn_session_decrypt(&w->parties, k, w->scores));
        judge(w, first + k);
    }
    return FHOLA_OK;
}

/* In groups of as many as the network takes. */
static fhola_status run_all(work *w)
{
    size_t count = nn_batch_count(w->batch), most = nn_network_pictures(w->parties.network);
    for (size_t i = 0, n; i < count; i += n) {
        n = count - i < most ? count - i : most;
        nn_cmd_progress_picture(i + 1, count, n);
        FHOLA_TRY(run_some(w, i, n));
    }
    return FHOLA_OK;
}

static fhola_status make_room(work *w)
{
    size_t values = (size_t)w->shape.channels * w->shape.height * w->shape.width;
    w->values = calloc(values, sizeof *w->values);
    w->scores = calloc(w->accuracy->classes, sizeof *w->scores);
    w->rounded = calloc(w->accuracy->classes, sizeof *w->rounded);
    return w->values && w->scores && w->rounded
               ? FHOLA_OK
               : fhola_fail(FHOLA_NOMEM, "no memory for a picture and its scores");
}

static void clear(work *w)
{
    nn_cmd_free_picture(w->values, w->shape);
    free(w->scores);
    free(w->rounded);
    nn_session_clear(&w->parties);
}

fhola_status nn_cmd_eval_encrypted(nn_cmd_encrypted_result *result, const nn_cmd_network *files,
                                   const nn_batch *batch, const nn_cmd_accuracy *accuracy,
                                   double memory)
{
    nn_model_info info;
    nn_model_describe(files->model, &info);
    *result = (nn_cmd_encrypted_result){0};
    work w = {.result = result, .batch = batch, .accuracy = accuracy, .shape = info.input};
    fhola_status status = make_room(&w);
    if (status == FHOLA_OK) status = nn_cmd_session_open(&w.parties, files, memory);
    if (status == FHOLA_OK) status = run_all(&w);
    if (status == FHOLA_OK) {
        double count = (double)result->pictures, scores = count * (double)accuracy->classes;
        result->error = sqrt(result->error / scores);
        result->deviation = sqrt(result->deviation / scores);
        result->seconds /= count;
        result->keygen_seconds = w.parties.keygen_seconds;
        result->startup_seconds = w.parties.startup_seconds;
    }
    clear(&w);
    return status;
}

void nn_cmd_encrypted_result_print(const nn_cmd_encrypted_result *r)
{
    printf("encrypted accuracy   ");
    nn_cmd_print_share(nn_cmd_share_of(r->right, r->pictures));
    printf("\nsame as in the clear ");
    nn_cmd_print_share(nn_cmd_share_of(r->agreeing, r->pictures));
    printf("\nerror of scores      %.4f (RMS), %.5f of their deviation, at most %.4f\n", r->error,
           r->error / r->deviation, r->worst);
    printf("seconds              %.2f a picture; %.2f for keys, %.2f to make ready\n", r->seconds,
           r->keygen_seconds, r->startup_seconds);
}

void nn_cmd_encrypted_result_json(const nn_cmd_encrypted_result *r)
{
    printf("\"encrypted\": {\"pictures\": %zu, ", r->pictures);
    nn_cmd_json_share("accuracy", nn_cmd_share_of(r->right, r->pictures));
    printf(", ");
    nn_cmd_json_share("agreement", nn_cmd_share_of(r->agreeing, r->pictures));
    printf(", \"rms_error\": ");
    nn_cmd_json_number(r->error);
    printf(", \"relative_error\": ");
    nn_cmd_json_number(r->error / r->deviation);
    printf(", \"max_error\": ");
    nn_cmd_json_number(r->worst);
    printf(", \"seconds\": %.3f, \"keygen_seconds\": %.3f, \"startup_seconds\": %.3f}", r->seconds,
           r->keygen_seconds, r->startup_seconds);
}
