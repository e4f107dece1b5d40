/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/plain/gradient.h"

#include "check_nn_support.h"
#include "nn/base/parallel.h"
#include "nn/plain/convolve.h"
#include "nn/plain/trace.h"

#define STEP 1e-4

/* The loss in double precision with `along` (channels-last) times `step` added to what comes out of
 * activation `at`. */
typedef struct nudge {
    size_t at;
    const float *along;
    double step;
} nudge;

static void activate(double *y, const double *x, size_t i, const nn_model *model, const nudge *n)
{
    size_t channels = nn_activation_channels(model, i),
           plane = (size_t)nn_activation_size(model, i) * nn_activation_size(model, i);
    for (size_t c = 0; c < channels; c++)
        for (size_t j = 0; j < plane; j++) {
            double value = ola_function_eval(&model->function, x[c * plane + j]);
            y[c * plane + j] =
                value + (n->at == i ? n->step * (double)n->along[j * channels + c] : 0);
        }
}

static void add_shortcut(double *x, const nn_block *block, const double *in)
{
    static double room[16384];
    size_t size = block->conv2.in_size, plane = size * size, channels = block->conv2.out;
    if (block->shortcut == NN_SHORTCUT_PAD) {
        for (size_t c = 0; c < channels / 2; c++)
            for (size_t j = 0; j < plane; j++)
                x[(c + channels / 4) * plane + j] +=
                    in[c * 4 * plane + 4 * size * (j / size) + 2 * (j % size)];
        return;
    }
    if (block->shortcut == NN_SHORTCUT_PROJECTION)
        nn_conv_apply(room, &block->projection, in);
    else
        memcpy(room, in, channels * plane * sizeof *room);
    for (size_t j = 0; j < channels * plane; j++) x[j] += room[j];
}

static double loss(const nn_model *model, const double *planes, unsigned label, const nudge *n)
{
    static double state[16384], middle[16384], x[16384];
    double scores[NN_MAX_CLASSES], sum = 0;
    nn_conv_apply(x, &model->first, planes);
    activate(state, x, 0, model, n);
    for (size_t k = 0; k < 3 * (size_t)model->blocks_per_stage; k++) {
        nn_conv_apply(x, &model->blocks[k].conv1, state);
        activate(middle, x, 2 * k + 1, model, n);
        nn_conv_apply(x, &model->blocks[k].conv2, middle);
        add_shortcut(x, &model->blocks[k], state);
        activate(state, x, 2 * k + 2, model, n);
    }
    for (unsigned k = 0; k < model->classes; k++) {
        scores[k] = model->fc_bias[k];
        for (size_t j = 0; j < 4096; j++)
            scores[k] += model->fc_weight[k * 64 + j / 64] * state[j] / 64;
        sum += exp(scores[k]);
    }
    return log(sum) - scores[label];
}

static void load_picture(double *values, float *planes, const nn_model *model,
                         const nn_batch *batch, size_t index)
{
    nn_batch_picture(batch, index, values);
    nn_picture_normalise(values, values, model->mean, model->std);
    for (size_t j = 0; j < NN_PICTURE_VALUES; j++) planes[j] = (float)values[j];
}

static const struct {
    unsigned blocks;
    const char *shortcut, *function;
} networks[] = {{1, "down", "relu"},
                {1, NULL, "relu"},
                {2, "down", "relu"},
                {1, "down", "gelu"},
                {1, NULL, "silu"}};

/* The slope along a random direction at every activation, against a central difference of the
 * loss. */
START_TEST(agrees_with_finite_differences)
{
    static float along[16384], planes[NN_PICTURE_VALUES];
    static double values[NN_PICTURE_VALUES];
    nn_model *model;
    nn_batch *batch;
    nn_gradient *gradient;
    nn_gradient_trace trace;
    uint64_t random = test_seed;
    succeed(nn_model_load(
        &model, write_network("n", networks[_i].blocks, networks[_i].shortcut, test_seed), NULL));
    succeed(nn_model_set_function(model, networks[_i].function));
    succeed(nn_batch_load(&batch, write_batch("b", 2, 3, test_seed), 0, 0));
    succeed(nn_gradient_create(&gradient, model));
    succeed(nn_gradient_trace_create(&trace, model));
    for (size_t picture = 0; picture < 2; picture++) {
        unsigned label = nn_batch_label(batch, picture);
        load_picture(values, planes, model, batch, picture);
        nn_gradient_run(gradient, &trace, planes, label);
        assert_close(trace.loss, loss(model, values, label, &(nudge){.at = SIZE_MAX}), 1e-4);
        for (size_t i = 0; i < nn_model_activations(model); i++) {
            size_t side = nn_activation_size(model, i),
                   count = side * side * nn_activation_channels(model, i);
            double slope = 0, size = 0;
            for (size_t j = 0; j < count; j++) {
                along[j] = (float)uniform(&random, -1, 1);
                slope += (double)trace.gradient[i][j] * (double)along[j];
                size += (double)trace.gradient[i][j] * (double)trace.gradient[i][j] / 3;
            }
            double above = loss(model, values, label, &(nudge){i, along, STEP}),
                   below = loss(model, values, label, &(nudge){i, along, -STEP});
            double difference = (above - below) / (2 * STEP);
            ck_assert_msg(fabs(slope - difference) <= 0.02 * sqrt(size) && size > 0,
                          "activation %zu: slope %g, difference %g, typical %g", i, slope,
                          difference, sqrt(size));
        }
    }
    nn_gradient_trace_clear(&trace);
    nn_gradient_free(gradient);
    nn_batch_free(batch);
    nn_model_free(model);
}
END_TEST

/* <conv(x), g> = <x, adjoint(g)> for every shape there is. */
START_TEST(adjoint_is_the_transpose)
{
    static const unsigned shape[6][5] = {{16, 16, 3, 1, 32}, {16, 32, 3, 2, 32},
                                         {32, 64, 3, 2, 16}, {64, 64, 3, 1, 8},
                                         {16, 32, 1, 2, 32}, {32, 64, 1, 2, 16}};
    static float x[16384], y[16384], g[16384], wide[32768], back[16384],
        padded[NN_CONVOLVE_ADJOINT_PADDED];
    uint64_t random = test_seed + (uint64_t)_i;
    const unsigned *s = shape[_i];
    nn_conv conv = {.in = s[0], .out = s[1], .kernel = s[2], .stride = s[3], .in_size = s[4]};
    size_t size = conv.in_size / conv.stride, in_count = (size_t)conv.in * s[4] * s[4],
           out_count = conv.out * size * size;
    conv.weight = calloc((size_t)conv.in * conv.out * 9, sizeof(double));
    conv.bias = calloc(conv.out, sizeof(double));
    ck_assert(conv.weight && conv.bias);
    for (size_t j = 0; j < (size_t)conv.in * conv.out * conv.kernel * conv.kernel; j++)
        conv.weight[j] = uniform(&random, -1, 1);
    for (size_t j = 0; j < in_count; j++) x[j] = (float)uniform(&random, -1, 1);
    for (size_t j = 0; j < out_count; j++) g[j] = (float)uniform(&random, -1, 1);
    nn_fast_conv forward, adjoint;
    succeed(nn_fast_conv_create(&forward, &conv));
    succeed(nn_fast_conv_create_adjoint(&adjoint, &conv));
    nn_fast_conv_apply(y, &forward, x, padded);
    memset(wide, 0, sizeof wide);
    for (size_t j = 0; j < size * size; j++)
        memcpy(wide + (conv.kernel == 1
                           ? j
                           : conv.stride * (j / size) * conv.in_size + conv.stride * (j % size)) *
                          conv.out,
               g + j * conv.out, conv.out * sizeof *g);
    nn_fast_conv_apply(back, &adjoint, wide, padded);
    double left = 0, right = 0;
    for (size_t j = 0; j < out_count; j++) left += (double)y[j] * (double)g[j];
    if (conv.kernel == 1)
        for (size_t j = 0; j < size * size; j++)
            for (size_t c = 0; c < conv.in; c++)
                right += (double)x[(2 * (j / size) * conv.in_size + 2 * (j % size)) * conv.in + c] *
                         (double)back[j * conv.in + c];
    else
        for (size_t j = 0; j < in_count; j++) right += (double)x[j] * (double)back[j];
    assert_close(left, right, 1e-4 * sqrt((double)out_count * conv.in * 9));
    nn_fast_conv_clear(&forward);
    nn_fast_conv_clear(&adjoint);
    free(conv.weight);
    free(conv.bias);
}
END_TEST

START_TEST(importances_are_mean_squares)
{
    static float planes[NN_PICTURE_VALUES];
    static double values[NN_PICTURE_VALUES];
    nn_model *model;
    nn_batch *batch, *beyond;
    nn_gradient *gradient;
    nn_gradient_trace trace;
    double room[7][64], *rows[7], expected = 0, scores = 0, score_square, square;
    for (size_t i = 0; i < 7; i++) rows[i] = room[i];
    succeed(nn_model_load(&model, write_network("n", 1, "down", test_seed), NULL));
    succeed(nn_batch_load(&batch, write_batch("b", 70, 3, test_seed), 0, 0));
    succeed(nn_gradient_create(&gradient, model));
    succeed(nn_gradient_trace_create(&trace, model));
    succeed(nn_gradient_importances(rows, &score_square, model, batch, 70, NULL, NULL));
    for (size_t picture = 0; picture < 70; picture++) {
        load_picture(values, planes, model, batch, picture);
        nn_gradient_run(gradient, &trace, planes, nn_batch_label(batch, picture));
        for (size_t j = 0; j < 256; j++)
            expected +=
                (double)trace.gradient[4][j * 32 + 5] * (double)trace.gradient[4][j * 32 + 5] / 70;
        for (size_t k = 0; k < 3; k++) scores += trace.scores[k] * trace.scores[k] / 70;
    }
    assert_close(room[4][5], expected, 1e-9 * expected);
    assert_close(score_square, scores, 1e-9 * scores);
#ifdef _OPENMP
    double before = room[2][3];
    omp_set_num_threads(1);
    succeed(nn_gradient_importances(rows, &square, model, batch, 70, NULL, NULL));
    ck_assert(before == room[2][3] && square == score_square);
#endif
    fail_with(nn_gradient_importances(rows, &square, model, batch, 71, NULL, NULL), FHOLA_PARAM,
              "71");
    fail_with(nn_gradient_importances(rows, &square, model, batch, 0, NULL, NULL), FHOLA_PARAM,
              "0 pictures");
    succeed(nn_batch_load(&beyond, write_batch("beyond", 20, 10, test_seed), 0, 0));
    fail_with(nn_gradient_importances(rows, &square, model, beyond, 20, NULL, NULL), FHOLA_RANGE,
              "label");
    nn_gradient_trace_clear(&trace);
    nn_gradient_free(gradient);
    nn_batch_free(beyond);
    nn_batch_free(batch);
    nn_model_free(model);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("gradient");
    tcase_add_loop_test(tcase, agrees_with_finite_differences, 0,
                        (int)(sizeof networks / sizeof networks[0]));
    tcase_add_loop_test(tcase, adjoint_is_the_transpose, 0, 6);
    tcase_add_test(tcase, importances_are_mean_squares);
    return run_tests("gradient", tcase, 120);
}
