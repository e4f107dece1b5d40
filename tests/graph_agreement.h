/* SPDX-License-Identifier: Apache-2.0 */
/* A small network of any kind, encrypted, against its definition: layer by layer, and the scores as
 * their owner gets them. Shared by check_graph_networks, check_infer_batch and
 * long_graph_networks. */
#ifndef TESTS_GRAPH_AGREEMENT_H
#define TESTS_GRAPH_AGREEMENT_H

#include "tests/support.h"

#include "ckks/clock.h"
#include "nn/encrypted/network.h"
#include "tests/small_network.h"

/* RMS errors: of a layer in units of its range, of scores in those of their deviation. As in
 * long_network. */
#define GRAPH_LAYER_BOUND  0x1p-9
#define GRAPH_SCORE_BOUND  0.02
#define GRAPH_MAX_LAYERS   24
#define GRAPH_MAX_FOLLOWED ((size_t)GRAPH_MAX_LAYERS * SMALL_VALUES)

typedef struct graph_run {
    small_network s;
    ckks_params *params;
    ckks_context *context;
    ckks_workspace *workspace;
    ckks_rng *rng;
    ckks_secret_key *secret;
    ckks_eval_keys *keys;
    nn_network *network;
    ckks_ciphertext **in, *out;
    double *layers; /* what they are to be */
    double worst;   /* RMS error of any layer */
} graph_run;

/* R15 in a ring of 2^log_n: a ciphertext holds 2^(log_n - 1) values, at most 2^14. */
static inline void graph_open(graph_run *g, unsigned log_n)
{
    uint8_t start[32];
    ckks_params_spec spec = named_spec("R15");
    spec.log_n = log_n;
    spec.insecure = log_n < 15;
    random_seed_bytes(start);
    ck_assert_ok(ckks_params_create(&g->params, &spec));
    ck_assert_ok(ckks_context_create(&g->context, g->params, NULL));
    ck_assert_ok(ckks_workspace_create(&g->workspace, g->context));
    ck_assert_ok(ckks_rng_create_seeded(&g->rng, start));
    ck_assert_ok(ckks_secret_key_create(&g->secret, g->context, g->rng));
    ck_assert_ok(
        nn_network_create(&g->network, g->context, g->workspace, &g->s.model, &g->s.plan, 1));
    ck_assert_ok(ckks_eval_keys_create(&g->keys, g->context, g->secret, nn_network_keys(g->network),
                                       g->rng, NULL, NULL));
    ck_assert_ok(nn_encrypted_create(&g->in, g->context, nn_network_client(g->network)));
    ck_assert_ok(ckks_ciphertext_create(&g->out, g->context));
    g->layers = calloc(GRAPH_MAX_FOLLOWED, sizeof *g->layers);
    ck_assert_ptr_nonnull(g->layers);
}

static inline void graph_close(graph_run *g)
{
    free(g->layers);
    nn_encrypted_destroy(g->in);
    ckks_ciphertext_destroy(g->out);
    ckks_eval_keys_destroy(g->keys);
    nn_network_destroy(g->network);
    ckks_secret_key_destroy(g->secret);
    ckks_rng_destroy(g->rng);
    ckks_workspace_destroy(g->workspace);
    ckks_context_destroy(g->context);
    ckks_params_destroy(g->params);
    small_network_clear(&g->s);
}

static inline fhola_status graph_observe(void *user, size_t layer, nn_step step, unsigned part,
                                         const ckks_ciphertext *value)
{
    static ckks_complex slots[SMALL_VALUES];
    static double tensor[SMALL_VALUES];
    graph_run *g = user;
    if (step != NN_STEP_ACTIVATION) return FHOLA_OK;
    const nn_recipe *r = &g->network->schedule.layer[layer];
    size_t count = nn_shape_values(r->layout.shape), plane = count / r->layout.shape.channels;
    double square = 0;
    ck_assert_ok(ckks_decrypt(g->context, g->workspace, slots, r->layout.slots, value, g->secret));
    nn_layout_gather(r->layout, part, tensor, slots);
    if (part + 1 < r->layout.parts) return FHOLA_OK;
    for (size_t k = 0; k < count; k++)
        square += pow(tensor[k] - g->layers[layer * SMALL_VALUES + k] / r->gain[k / plane], 2);
    g->worst = fmax(g->worst, sqrt(square / (double)count));
    return FHOLA_OK;
}

static inline double graph_deviation(const double *x, size_t count)
{
    double mean = 0, square = 0;
    for (size_t i = 0; i < count; i++) mean += x[i] / (double)count;
    for (size_t i = 0; i < count; i++) square += (x[i] - mean) * (x[i] - mean) / (double)count;
    return sqrt(square);
}

static inline void print_splits(const nn_network *n)
{
    for (size_t i = 0; i <= nn_network_layers(n); i++)
        for (size_t e = 0; e < nn_network_edges(n, i); e++) {
            nn_linear_cost c = nn_network_linear_cost(n, i, e);
            printf("  %-12s %u x %5zu slots: %4zu diagonals of %5zu, %u babies, %u giants, %u "
                   "folds\n",
                   nn_network_layer_name(n, i), nn_network_layer_ciphertexts(n, i),
                   nn_network_layer_slots(n, i), c.diagonals, c.period, c.babies, c.giants,
                   c.folds);
        }
}

/* The network `make` builds, on one random picture. */
static inline void check_graph_agreement(const char *name, void (*make)(small_network *),
                                         unsigned log_n)
{
    static double pixels[SMALL_VALUES], picture[SMALL_VALUES];
    static double direct[NN_MAX_CLASSES], scores[NN_MAX_CLASSES];
    graph_run g = {.worst = 0};
    make(&g.s);
    ck_assert_uint_le(g.s.plan.count, GRAPH_MAX_LAYERS);
    small_picture(&g.s, pixels, picture);
    direct_network(&g.s, direct, picture, NULL, 1);
    graph_open(&g, log_n);
    ck_assert_double_le(direct_network(&g.s, direct, picture, g.layers, 0), 1);
    const nn_client *client = nn_network_client(g.network);
    nn_infer_hooks hooks = {.user = &g, .observe = graph_observe};
    ck_assert_ok(nn_encrypt_picture(g.context, g.workspace, g.in, client, pixels, g.secret, g.rng));
    double start = ckks_seconds();
    ck_assert_ok(nn_infer(g.context, g.workspace, g.out, g.network, g.keys, g.in, &hooks));
    double seconds = ckks_seconds() - start;
    ck_assert_ok(nn_decrypt_scores(g.context, g.workspace, scores, client, g.out, g.secret));
    size_t classes = nn_client_classes(client);
    double square = 0, deviation = graph_deviation(direct, classes);
    for (size_t k = 0; k < classes; k++) square += pow(scores[k] - direct[k], 2);
    double error = sqrt(square / (double)classes) / deviation;
    printf("%s: %zu layers, %zu keys; layers wrong by 2^%.1f at most (bound 2^%.1f), scores by "
           "%.5f of their deviation %.3f (bound %.2f), RMS; %.2f s\n",
           name, g.s.plan.count, nn_network_keys(g.network)->count, log2(g.worst),
           log2(GRAPH_LAYER_BOUND), error, deviation, GRAPH_SCORE_BOUND, seconds);
    print_splits(g.network);
    fflush(stdout);
    ck_assert_double_le(g.worst, GRAPH_LAYER_BOUND);
    ck_assert_double_le(error, GRAPH_SCORE_BOUND);
    graph_close(&g);
}

#endif
