/* SPDX-License-Identifier: Apache-2.0 */
/* A randomly initialised network, planned, compiled and run encrypted on R15, against its plaintext
 * polynomial network. Shared by check_random_networks, long_random_networks and
 * long_planned_networks. */
#ifndef TESTS_AGREEMENT_H
#define TESTS_AGREEMENT_H

#include "check_nn_support.h"
#include "ckks/ckks.h"
#include "nn/nn.h"

#define AGREEMENT_SCORE_BOUND                                                                      \
    0.02 /* RMS error of the scores over their deviation, as in long_network */
#define AGREEMENT_CALIBRATION 48u
#define AGREEMENT_HELD_OUT    16u
#define AGREEMENT_CLASSES     128u

typedef struct agreement {
    nn_model *model;
    nn_plan *plan;
    nn_batch *pictures, *calibration, *held_out; /* the latter are parts of the first */
    ckks_params *params;
    ckks_context *context;
    ckks_workspace *workspace;
    ckks_rng *rng;
    ckks_secret_key *secret;
    nn_network *network;
    ckks_eval_keys *keys;
    ckks_ciphertext **in, *out;
} agreement;

/* A CIFAR ResNet of depth 6 blocks + 2 from a weights file, whose metadata name `function`. Weights
 * of He's scale, batch norms near the identity: values keep their size from layer to layer, as they
 * do in trained networks. */
static inline nn_model *random_resnet(unsigned blocks, const char *shortcut, size_t width,
                                      size_t classes, const char *function)
{
    char metadata[256];
    nn_model *model;
    weights *w = calloc(1, sizeof *w);
    ck_assert_ptr_nonnull(w);
    w->random = test_seed;
    w->classes = classes;
    w->width = width;
    snprintf(metadata, sizeof metadata,
             "\"__metadata__\": {\"mean\": \"[0.5, 0.4, 0.45]\", \"std\": \"[0.25, 0.24, "
             "0.26]\", \"activation\": \"%s\"}",
             function);
    make_weights(w, blocks, shortcut, "linear", "", metadata);
    succeed(nn_model_load(&model, write_weights(w, "random.safetensors"), NULL));
    free(w);
    return model;
}

/* Smooth pictures: a plane wave in each channel, and some noise. */
static inline nn_batch *smooth_pictures(nn_shape shape, size_t count)
{
    size_t plane = (size_t)shape.height * shape.width;
    nn_batch *batch;
    uint64_t random = test_seed;
    unsigned char *bytes = malloc(count * shape.channels * plane), *at = bytes;
    ck_assert_ptr_nonnull(bytes);
    for (size_t i = 0; i < count * shape.channels; i++) {
        double fx = uniform(&random, -0.5, 0.5), fy = uniform(&random, -0.5, 0.5),
               phase = uniform(&random, 0, 6), level = uniform(&random, 60, 190),
               contrast = uniform(&random, 10, 60);
        for (size_t k = 0; k < plane; k++)
            *at++ = (unsigned char)(level +
                                    contrast * sin(fx * (double)(k % shape.width) +
                                                   fy * (double)(k / shape.width) + phase) +
                                    uniform(&random, -5, 5));
    }
    succeed(nn_batch_create(&batch, shape, count, NN_BATCH_BYTES, bytes, NULL));
    free(bytes);
    return batch;
}

/* Degree 7 everywhere but in the first activation, on a few smooth random pictures. */
static inline void plan_random_network(agreement *a)
{
    nn_plan_options options;
    nn_model_info info;
    nn_model_describe(a->model, &info);
    unsigned *degrees = malloc(info.activations * sizeof *degrees);
    ck_assert_ptr_nonnull(degrees);
    for (size_t i = 0; i < info.activations; i++) degrees[i] = i ? 7 : 15;
    nn_plan_defaults(&options);
    options.degrees = degrees;
    a->pictures = smooth_pictures(info.input, AGREEMENT_CALIBRATION + AGREEMENT_HELD_OUT);
    succeed(nn_batch_part(&a->calibration, a->pictures, 0, AGREEMENT_CALIBRATION));
    succeed(nn_batch_part(&a->held_out, a->pictures, AGREEMENT_CALIBRATION, AGREEMENT_HELD_OUT));
    succeed(nn_plan_make(&a->plan, a->model, a->calibration, a->held_out, &options, NULL, NULL));
    free(degrees);
}

/* R15 in a ring of 2^log_n, for ciphertexts of up to 2^(log_n - 1) values. */
static inline void compile_random_network(agreement *a, unsigned log_n, int encode)
{
    ckks_params *named;
    succeed(ckks_params_named(&named, "R15"));
    ckks_params_spec spec = *ckks_params_get_spec(named);
    spec.log_n = log_n;
    spec.insecure = log_n < 15;
    succeed(ckks_params_create(&a->params, &spec));
    ckks_params_destroy(named);
    succeed(ckks_context_create(&a->context, a->params, NULL));
    succeed(ckks_workspace_create(&a->workspace, a->context));
    succeed(ckks_rng_create(&a->rng));
    succeed(ckks_secret_key_create(&a->secret, a->context, a->rng));
    succeed(nn_network_create(&a->network, a->context, a->workspace, a->model, a->plan, encode));
    succeed(ckks_eval_keys_create(&a->keys, a->context, a->secret, nn_network_keys(a->network),
                                  a->rng, NULL, NULL));
    succeed(nn_encrypted_create(&a->in, a->context, nn_network_client(a->network)));
    succeed(ckks_ciphertext_create(&a->out, a->context));
}

static inline void release_agreement(agreement *a)
{
    nn_encrypted_destroy(a->in);
    ckks_ciphertext_destroy(a->out);
    ckks_eval_keys_destroy(a->keys);
    nn_network_destroy(a->network);
    ckks_secret_key_destroy(a->secret);
    ckks_rng_destroy(a->rng);
    ckks_workspace_destroy(a->workspace);
    ckks_context_destroy(a->context);
    ckks_params_destroy(a->params);
    nn_batch_free(a->calibration);
    nn_batch_free(a->held_out);
    nn_batch_free(a->pictures);
    nn_plan_free(a->plan);
    nn_model_free(a->model);
}

/* A held-out picture, encrypted in `in`, and the scores it is to have. */
static inline void encrypt_held_out(agreement *a, size_t index, ckks_ciphertext *const in[],
                                    double *plain)
{
    nn_model_info info;
    nn_model_describe(a->model, &info);
    size_t count = (size_t)info.input.channels * info.input.height * info.input.width;
    double *pixels = malloc(2 * count * sizeof *pixels), *values = pixels + count;
    ck_assert_ptr_nonnull(pixels);
    nn_batch_picture(a->held_out, index, pixels);
    nn_model_normalise(a->model, values, pixels);
    succeed(nn_plain_scores(plain, a->model, a->plan, values));
    succeed(nn_encrypt_picture(a->context, a->workspace, in, nn_network_client(a->network), pixels,
                               a->secret, a->rng));
    free(pixels);
}

/* Runs it; the result stays in a->out. */
static inline void infer_scores(agreement *a, ckks_ciphertext *const in[], double *encrypted)
{
    const nn_client *client = nn_network_client(a->network);
    succeed(nn_infer(a->context, a->workspace, a->out, a->network, a->keys, in, NULL));
    succeed(nn_decrypt_scores(a->context, a->workspace, encrypted, client, a->out, a->secret));
}

static inline double rms_difference(const double *a, const double *b, size_t count)
{
    double square = 0;
    for (size_t i = 0; i < count; i++) square += (a[i] - b[i]) * (a[i] - b[i]) / (double)count;
    return sqrt(square);
}

static inline double score_deviation(const double *scores, size_t count)
{
    double mean = 0, square = 0;
    for (size_t i = 0; i < count; i++) mean += scores[i] / (double)count;
    for (size_t i = 0; i < count; i++)
        square += (scores[i] - mean) * (scores[i] - mean) / (double)count;
    return sqrt(square);
}

/* The whole way for a model, which is released, and so many of the held-out pictures. These must
 * also differ from each other by far more than the error, else the network would not have looked at
 * them. */
static inline void check_agreement(const char *name, nn_model *model, unsigned log_n,
                                   size_t pictures)
{
    static double encrypted[AGREEMENT_HELD_OUT][AGREEMENT_CLASSES],
        plain[AGREEMENT_HELD_OUT][AGREEMENT_CLASSES];
    agreement a = {.model = model};
    nn_model_info info;
    nn_model_describe(model, &info);
    ck_assert_uint_le(info.classes, AGREEMENT_CLASSES);
    ck_assert_uint_le(pictures, AGREEMENT_HELD_OUT);
    plan_random_network(&a);
    compile_random_network(&a, log_n, 1);
    ck_assert_uint_eq(nn_client_classes(nn_network_client(a.network)), info.classes);
    for (size_t i = 0; i < pictures; i++) {
        encrypt_held_out(&a, i, a.in, plain[i]);
        infer_scores(&a, a.in, encrypted[i]);
    }
    for (size_t i = 0; i < pictures; i++) {
        double error = rms_difference(encrypted[i], plain[i], info.classes),
               deviation = score_deviation(plain[i], info.classes),
               apart = rms_difference(plain[i], plain[(i + 1) % pictures], info.classes);
        printf("%s, %zu activations, picture %zu: error %.5f of the deviation %.3f (bound %.2f); "
               "the next picture's scores are %.3f away\n",
               name, info.activations, i, error / deviation, deviation, AGREEMENT_SCORE_BOUND,
               apart);
        fflush(stdout);
        ck_assert_double_le(error, AGREEMENT_SCORE_BOUND * deviation);
        ck_assert_double_gt(apart, 5 * error);
    }
    release_agreement(&a);
}

#endif
