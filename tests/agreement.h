/* SPDX-License-Identifier: Apache-2.0 */
/* A randomly initialised network from a weights file, planned, compiled and run encrypted on R15,
 * against its plaintext polynomial network. Shared by check_random_networks and
 * long_random_networks. */
#ifndef TESTS_AGREEMENT_H
#define TESTS_AGREEMENT_H

#include "check_nn_support.h"
#include "ckks/ckks.h"
#include "nn/nn.h"

#define AGREEMENT_SCORE_BOUND                                                                      \
    0.02 /* RMS error of the scores over their deviation, as in long_network */
#define AGREEMENT_CALIBRATION 48u
#define AGREEMENT_HELD_OUT    16u
#define AGREEMENT_PICTURES    2u /* encrypted, of the held-out ones */

typedef struct agreement {
    nn_model *model;
    nn_plan *plan;
    nn_batch *calibration, *held_out;
    ckks_params *params;
    ckks_context *context;
    ckks_workspace *workspace;
    ckks_rng *rng;
    ckks_secret_key *secret;
    nn_network *network;
    ckks_eval_keys *keys;
    ckks_ciphertext *in, *out;
} agreement;

/* Weights of He's scale, batch norms near the identity: values keep their size from layer to layer,
 * as they do in trained networks. */
static inline void load_random_network(agreement *a, unsigned blocks, const char *shortcut,
                                       size_t classes)
{
    weights *w = calloc(1, sizeof *w);
    ck_assert_ptr_nonnull(w);
    w->random = test_seed;
    w->classes = classes;
    make_weights(
        w, blocks, shortcut, "linear", "",
        "\"__metadata__\": {\"mean\": \"[0.5, 0.4, 0.45]\", \"std\": \"[0.25, 0.24, 0.26]\"}");
    succeed(nn_model_load(&a->model, write_weights(w, "random.safetensors"), NULL));
    free(w);
}

/* Degree 7 everywhere but in the first activation, on a few smooth random pictures. */
static inline void plan_random_network(agreement *a)
{
    const char *pictures =
        write_batch("pictures.bin", AGREEMENT_CALIBRATION + AGREEMENT_HELD_OUT, 2, test_seed);
    nn_plan_options options;
    nn_model_info info;
    nn_model_describe(a->model, &info);
    unsigned *degrees = malloc(info.activations * sizeof *degrees);
    ck_assert_ptr_nonnull(degrees);
    for (size_t i = 0; i < info.activations; i++) degrees[i] = i ? 7 : 15;
    nn_plan_defaults(&options);
    options.degrees = degrees;
    succeed(nn_batch_load(&a->calibration, pictures, 0, AGREEMENT_CALIBRATION));
    succeed(nn_batch_load(&a->held_out, pictures, AGREEMENT_CALIBRATION, AGREEMENT_HELD_OUT));
    succeed(nn_plan_make(&a->plan, a->model, a->calibration, a->held_out, &options, NULL, NULL));
    free(degrees);
}

static inline void compile_random_network(agreement *a)
{
    succeed(ckks_params_named(&a->params, "R15"));
    succeed(ckks_context_create(&a->context, a->params, NULL));
    succeed(ckks_workspace_create(&a->workspace, a->context));
    succeed(ckks_rng_create(&a->rng));
    succeed(ckks_secret_key_create(&a->secret, a->context, a->rng));
    succeed(nn_network_create(&a->network, a->context, a->workspace, a->model, a->plan, 1));
    succeed(ckks_eval_keys_create(&a->keys, a->context, a->secret, nn_network_keys(a->network),
                                  a->rng, NULL, NULL));
    succeed(ckks_ciphertext_create(&a->in, a->context));
    succeed(ckks_ciphertext_create(&a->out, a->context));
}

static inline void release_agreement(agreement *a)
{
    ckks_ciphertext_destroy(a->in);
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
    nn_plan_free(a->plan);
    nn_model_free(a->model);
}

/* Scores of a held-out picture, encrypted and plain. */
static inline void score_picture(agreement *a, size_t index, double *encrypted, double *plain)
{
    static double rgb[NN_PICTURE_VALUES], values[NN_PICTURE_VALUES];
    nn_model_info info;
    nn_model_describe(a->model, &info);
    nn_batch_picture(a->held_out, index, rgb);
    nn_picture_normalise(values, rgb, info.mean, info.std);
    succeed(nn_plain_scores(plain, a->model, a->plan, values));
    const nn_client *client = nn_network_client(a->network);
    ck_assert_uint_eq(nn_client_classes(client), info.classes);
    succeed(nn_encrypt_picture(a->context, a->workspace, &a->in, client, rgb, a->secret, a->rng));
    succeed(nn_infer(a->context, a->workspace, a->out, a->network, a->keys, &a->in, NULL));
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

/* The whole way for a network of depth 6 blocks + 2. The pictures must also differ from each other
 * by far more than the error, else the network would not have looked at them. */
static inline void check_agreement(unsigned blocks, const char *shortcut, size_t classes)
{
    static double encrypted[AGREEMENT_PICTURES][128], plain[AGREEMENT_PICTURES][128];
    agreement a = {.model = NULL};
    ck_assert_uint_le(classes, 128);
    load_random_network(&a, blocks, shortcut, classes);
    plan_random_network(&a);
    compile_random_network(&a);
    for (size_t i = 0; i < AGREEMENT_PICTURES; i++) {
        score_picture(&a, i, encrypted[i], plain[i]);
        double error = rms_difference(encrypted[i], plain[i], classes),
               deviation = score_deviation(plain[i], classes);
        double apart = rms_difference(plain[i], plain[(i + 1) % AGREEMENT_PICTURES], classes);
        printf("ResNet-%u, %s, %zu classes, picture %zu: error %.5f of the deviation %.3f (bound "
               "%.2f); the next picture's scores are %.3f "
               "away\n",
               6 * blocks + 2, shortcut ? "projections" : "zero-padded shortcuts", classes, i,
               error / deviation, deviation, AGREEMENT_SCORE_BOUND, apart);
        fflush(stdout);
        ck_assert_double_le(error, AGREEMENT_SCORE_BOUND * deviation);
        ck_assert_double_gt(apart, 5 * error);
    }
    release_agreement(&a);
}

#endif
