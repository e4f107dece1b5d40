/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/plain/trace.h"

#include "check_nn_support.h"
#include "nn/graph/model_io.h"
#include "nn/nn.h"

static double at(const double *in, size_t side, size_t channel, long y, long x)
{
    bool inside = y >= 0 && x >= 0 && y < (long)side && x < (long)side;
    return inside ? in[(channel * side + (size_t)y) * side + (size_t)x] : 0;
}

/* The definition in model.h, one output after the other. */
static double convolution_at(const nn_conv *c, const double *in, size_t o, size_t y, size_t x)
{
    double sum = c->bias[o];
    for (size_t i = 0; i < c->in; i++)
        for (size_t ky = 0; ky < c->kernel; ky++)
            for (size_t kx = 0; kx < c->kernel; kx++)
                sum += c->weight[((o * c->in + i) * c->kernel + ky) * c->kernel + kx] *
                       at(in, c->in_size, i, (long)(y * c->stride + ky) - (long)(c->kernel / 2),
                          (long)(x * c->stride + kx) - (long)(c->kernel / 2));
    return sum;
}

START_TEST(convolution_is_its_definition)
{
    static const nn_conv shapes[] = {{.in = 3, .out = 16, .kernel = 3, .stride = 1, .in_size = 32},
                                     {.in = 16, .out = 32, .kernel = 3, .stride = 2, .in_size = 32},
                                     {.in = 32, .out = 64, .kernel = 1, .stride = 2, .in_size = 16},
                                     {.in = 64, .out = 64, .kernel = 3, .stride = 1, .in_size = 8}};
    nn_conv c = shapes[_i];
    uint64_t random = test_seed;
    size_t weights_count = c.out * c.in * c.kernel * c.kernel, side = c.in_size / c.stride,
           values = c.in * c.in_size * c.in_size;
    double *in = malloc(values * sizeof *in), *out = malloc(c.out * side * side * sizeof *out);
    c.weight = malloc(weights_count * sizeof *c.weight);
    c.bias = malloc(c.out * sizeof *c.bias);
    for (size_t i = 0; i < weights_count; i++) c.weight[i] = uniform(&random, -1, 1);
    for (size_t i = 0; i < c.out; i++) c.bias[i] = uniform(&random, -1, 1);
    for (size_t i = 0; i < values; i++) in[i] = uniform(&random, -1, 1);
    nn_conv_apply(out, &c, in);
    for (size_t o = 0; o < c.out; o++)
        for (size_t y = 0; y < side; y++)
            for (size_t x = 0; x < side; x++)
                assert_close(out[(o * side + y) * side + x], convolution_at(&c, in, o, y, x),
                             1e-12);
    free(in);
    free(out);
    free(c.weight);
    free(c.bias);
}
END_TEST

/* Cosine form of T_k for |X| <= 1, hyperbolic beyond. */
static double chebyshev(unsigned k, double x)
{
    if (fabs(x) <= 1) return cos(k * acos(x));
    return (x < 0 && k % 2 ? -1 : 1) * cosh(k * acosh(fabs(x)));
}

static void random_plan(nn_plan *plan, uint64_t seed)
{
    uint64_t random = seed;
    for (size_t i = 0; i < plan->count; i++) {
        static const unsigned degrees[] = {3, 7, 5, 15, 1, 2};
        nn_activation *a = &plan->activations[i];
        succeed(nn_plan_set_degree(plan, i, degrees[i % 6]));
        for (unsigned c = 0; c < a->channels; c++) {
            a->centre[c] = uniform(&random, -0.5, 0.5);
            a->half_width[c] = uniform(&random, 3, 6);
            for (unsigned k = 0; k <= a->degree; k++)
                a->coeff[k * a->channels + c] = uniform(&random, -1, 1) / (1 + k);
        }
    }
}

/* Follows the definition through the network at scattered places of every layer. */
static void check_trace(const nn_model *model, const nn_plan *plan, uint64_t seed)
{
    double values[NN_PICTURE_VALUES], scores[3];
    uint64_t random = seed;
    nn_trace *trace;
    for (size_t i = 0; i < NN_PICTURE_VALUES; i++) values[i] = uniform(&random, -2, 2);
    succeed(nn_trace_create(&trace, model, plan, values));
    ck_assert_uint_eq(trace->count, nn_model_activations(model));
    for (size_t i = 0; i < trace->count; i++) {
        const nn_trace_layer *layer = &trace->layers[i];
        const nn_block *block = i > 0 ? &model->blocks[(i - 1) / 2] : NULL;
        for (int n = 0; n < 300; n++) {
            size_t c = next_random(&random) % layer->channels,
                   y = next_random(&random) % layer->size, x = next_random(&random) % layer->size;
            size_t place = (c * layer->size + y) * layer->size + x;
            double sum = convolution_at(nn_activation_conv(model, i),
                                        i ? trace->layers[i - 1].y : values, c, y, x);
            if (i > 0 && i % 2 == 0) {
                const double *in = trace->layers[i - 2].y;
                size_t quarter = layer->channels / 4;
                if (block->shortcut == NN_SHORTCUT_IDENTITY)
                    sum += in[place];
                else if (block->shortcut == NN_SHORTCUT_PROJECTION)
                    sum += convolution_at(&block->projection, in, c, y, x);
                else if (c >= quarter && c < 3 * quarter)
                    sum += at(in, 2 * layer->size, c - quarter, (long)(2 * y), (long)(2 * x));
            }
            assert_close(layer->x[place], sum, 1e-11);
            if (!plan) {
                ck_assert_ptr_null(layer->w);
                assert_close(layer->y[place], fmax(sum, 0), 1e-11);
                continue;
            }
            const nn_activation *a = &plan->activations[i];
            double w = (sum - a->centre[c]) / a->half_width[c], X = w, y_expected = 0;
            if (plan->eps > 0)
                X = sin(2 * acos(-1) * plan->eps * w) / sin(2 * acos(-1) * plan->eps);
            for (unsigned k = 0; k <= a->degree; k++)
                y_expected += a->coeff[k * a->channels + c] * chebyshev(k, X);
            assert_close(layer->w[place], w, 1e-11);
            assert_close(layer->y[place], y_expected, 1e-9 * (1 + fabs(y_expected)));
        }
    }
    const double *last = trace->layers[trace->count - 1].y;
    for (size_t k = 0; k < 3; k++) {
        double sum = model->fc_bias[k];
        for (size_t c = 0; c < 64; c++)
            for (size_t i = 0; i < 64; i++)
                sum += model->fc_weight[k * 64 + c] * last[c * 64 + i] / 64;
        assert_close(trace->scores[k], sum, 1e-10 * (1 + fabs(sum)));
    }
    succeed(nn_plain_scores(scores, model, plan, values));
    ck_assert_int_eq(memcmp(scores, trace->scores, sizeof scores), 0);
    nn_trace_free(trace);
}

START_TEST(network_is_its_definition)
{
    nn_model *model;
    nn_plan *plan;
    succeed(nn_model_load(&model, write_network("n", 2, _i ? "down" : NULL, test_seed + 5), NULL));
    check_trace(model, NULL, test_seed);
    succeed(nn_plan_create(&plan, model, 0.125));
    random_plan(plan, test_seed);
    check_trace(model, plan, test_seed + 1);
    plan->eps = 0;
    check_trace(model, plan, test_seed + 2);
    plan->model_hash ^= 1;
    nn_trace *trace = NULL;
    double values[NN_PICTURE_VALUES] = {0};
    fail_with(nn_trace_create(&trace, model, plan, values), FHOLA_PARAM, "for another model");
    ck_assert_ptr_null(trace);
    nn_plan_free(plan);
    nn_model_free(model);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("trace");
    tcase_add_loop_test(tcase, convolution_is_its_definition, 0, 4);
    tcase_add_loop_test(tcase, network_is_its_definition, 0, 2);
    return run_tests("trace", tcase, 120);
}
