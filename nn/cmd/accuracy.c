/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/cmd/accuracy.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "nn/cmd/cmd.h"

#define LARGEST_MATRIX 20u /* classes that fit on a line */

/* ---- shares ---- */

nn_cmd_share nn_cmd_share_of(size_t right, size_t count)
{
    static const double z = 1.959964; /* of the normal distribution, 95 % on both sides */
    double n = (double)count, p = (double)right / n, scale = 1 / (1 + z * z / n),
           middle = (p + z * z / (2 * n)) * scale,
           half = z * sqrt(p * (1 - p) / n + z * z / (4 * n * n)) * scale;
    /* of none or all of them the interval ends where the share is; rounding must not say otherwise
     */
    return (nn_cmd_share){100 * p, right == 0 ? 0 : 100 * (middle - half),
                          right == count ? 100 : 100 * (middle + half)};
}

void nn_cmd_print_share(nn_cmd_share s)
{
    printf("%.2f %% (%.2f to %.2f)", s.percent, s.low, s.high);
}

void nn_cmd_json_share(const char *name, nn_cmd_share s)
{
    printf("\"%s\": %.10g, \"%s_interval\": [%.4f, %.4f]", name, s.percent, name, s.low, s.high);
}

/* ---- measuring ---- */

size_t nn_cmd_class_of(const float *scores, size_t classes)
{
    size_t best = 0;
    for (size_t i = 0; i < classes; i++) {
        if (!isfinite(scores[i])) return classes;
        if (scores[i] > scores[best]) best = i;
    }
    return best;
}

static fhola_status measure(nn_cmd_accuracy *a, const nn_model *model, const nn_plan *plan,
                            const nn_batch *batch, double noise)
{
    size_t count = a->pictures * a->classes;
    a->exact_scores = malloc(count * sizeof(float));
    a->polynomial_scores = plan ? malloc(count * sizeof(float)) : NULL;
    if (!a->exact_scores || (plan && !a->polynomial_scores))
        return fhola_fail(FHOLA_NOMEM, "no memory for %zu scores", count);
    FHOLA_TRY(nn_evaluate_scores(&a->exact, a->exact_scores, model, NULL, batch, 0, 0,
                                 nn_cmd_progress, NULL));
    if (!plan) return FHOLA_OK;
    FHOLA_TRY(nn_evaluate_scores(&a->polynomial, a->polynomial_scores, model, plan, batch, noise, 1,
                                 nn_cmd_progress, NULL));
    for (size_t i = 0; i < a->pictures; i++) {
        size_t exact = nn_cmd_class_of(a->exact_scores + i * a->classes, a->classes);
        a->agreeing += exact < a->classes &&
                       exact == nn_cmd_class_of(a->polynomial_scores + i * a->classes, a->classes);
    }
    return FHOLA_OK;
}

fhola_status nn_cmd_accuracy_measure(nn_cmd_accuracy *a, const nn_model *model, const nn_plan *plan,
                                     const nn_batch *batch, double noise)
{
    nn_model_info info;
    nn_model_describe(model, &info);
    *a = (nn_cmd_accuracy){
        .pictures = nn_batch_count(batch), .classes = info.classes, .has_plan = plan != NULL};
    return measure(a, model, plan, batch, noise);
}

void nn_cmd_accuracy_clear(nn_cmd_accuracy *a)
{
    free(a->exact_scores);
    free(a->polynomial_scores);
    *a = (nn_cmd_accuracy){0};
}

/* ---- classes ---- */

/* Rows of classes + 1 numbers. */
static size_t *count_confusion(const nn_cmd_accuracy *a, const nn_batch *batch)
{
    const float *scores = a->has_plan ? a->polynomial_scores : a->exact_scores;
    size_t *taken = calloc(a->classes * (a->classes + 1), sizeof *taken);
    for (size_t i = 0; taken && i < a->pictures; i++)
        taken[nn_batch_label(batch, i) * (a->classes + 1) +
              nn_cmd_class_of(scores + i * a->classes, a->classes)]++;
    return taken;
}

static void print_table(const nn_cmd_accuracy *a, const nn_model *model, const size_t *taken)
{
    size_t row = a->classes + 1;
    printf("\n%-16s %8s  right\n", "class", "pictures");
    for (size_t i = 0; i < a->classes; i++) {
        size_t count = 0;
        for (size_t k = 0; k < row; k++) count += taken[i * row + k];
        printf("%-16s %8zu  ", nn_model_class(model, i), count);
        if (count) nn_cmd_print_share(nn_cmd_share_of(taken[i * row + i], count));
        printf(count ? "\n" : "-\n");
    }
}

static void print_matrix(const nn_cmd_accuracy *a, const nn_model *model, const size_t *taken)
{
    size_t row = a->classes + 1;
    printf("\n%-16s", "taken for");
    for (size_t k = 0; k < a->classes; k++) printf(" %5zu", k);
    printf("  none\n");
    for (size_t i = 0; i < a->classes; i++) {
        printf("%-16s", nn_model_class(model, i));
        for (size_t k = 0; k < row; k++) printf(" %5zu", taken[i * row + k]);
        printf("\n");
    }
}

static void print_json(const nn_cmd_accuracy *a, const nn_model *model, const size_t *taken)
{
    printf("\"classes\": [");
    for (size_t i = 0; i < a->classes; i++) {
        if (i) printf(", ");
        nn_cmd_json_string(nn_model_class(model, i));
    }
    printf("], \"confusion\": [");
    for (size_t i = 0; i < a->classes; i++) {
        printf(i ? ", [" : "[");
        for (size_t k = 0; k <= a->classes; k++)
            printf(k ? ", %zu" : "%zu", taken[i * (a->classes + 1) + k]);
        printf("]");
    }
    printf("]");
}

fhola_status nn_cmd_print_classes(const nn_cmd_accuracy *a, const nn_model *model,
                                  const nn_batch *batch, bool json)
{
    size_t *taken = count_confusion(a, batch);
    if (!taken) return fhola_fail(FHOLA_NOMEM, "no memory for a table of %zu classes", a->classes);
    if (json) {
        print_json(a, model, taken);
    } else {
        print_table(a, model, taken);
        if (a->classes <= LARGEST_MATRIX) print_matrix(a, model, taken);
    }
    free(taken);
    return FHOLA_OK;
}
