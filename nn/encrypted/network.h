/* SPDX-License-Identifier: Apache-2.0 */
/* A schedule on ciphertexts: the basis, scale and encoded plaintexts of every step. Internal to
 * nn/.
 *
 * Bases, from the roles of the parameters' primes (d the degree of a layer's polynomial):
 *     activation input    base + slots_to_coeffs + residual (1 + depth(d))     as the bootstrap leaves it
 *     convolution input   base + slots_to_coeffs + residual (1)                as the polynomial leaves it, and the encrypted
 * picture
 *     bootstrap input     base + slots_to_coeffs                               sums of convolution, skip and bias
 *     scores              base + lowest slots_to_coeffs prime, then base alone
 * All values in front of a bootstrap have one scale, and so have all outputs of activations. */
#ifndef NN_NETWORK_H
#define NN_NETWORK_H

#include "ckks/ckks.h"
#include "nn/encrypted/composition.h"
#include "nn/encrypted/schedule.h"
#include "nn/nn.h"
#include "nn/party/client.h"

/* Scores of magnitude below this fit into the result. */
#define NN_SCORE_BOUND 512.0

#define NN_LOG_MIN_VALUES 12u /* log2 of the smallest and largest n that is bootstrapped */
#define NN_LOG_MAX_VALUES 14u
#define NN_BOOTSTRAPS     (NN_LOG_MAX_VALUES - NN_LOG_MIN_VALUES + 1)

typedef struct nn_layer {
    ckks_lintrans *linear;
    /* towards the other branch; NULL: the branch is the input itself, or no block opens here */
    ckks_lintrans *shortcut;
    ckks_plaintext *skip; /* factor of the kept branch; NULL: none */
    int opens, closes;    /* a block begins, ends with this layer */
    ckks_plaintext *bias;
    const ckks_bootstrap *bootstrap;
    unsigned residual_levels; /* 1 + depth of the activation */
    ckks_polynomial *activation;
    nn_composition *composition; /* in place of `activation`, or NULL */
} nn_layer;

struct nn_network {
    nn_schedule schedule;
    int encoded;
    ckks_basis convolution_basis, bootstrap_basis, score_input_basis, score_basis, result_basis;
    double scale;        /* in front of bootstraps and behind them */
    double linear_scale; /* of the input and of activations: what linear layers take */
    double score_scale;  /* on score_basis */
    size_t count;
    nn_layer *layer;
    ckks_bootstrap *bootstrap[NN_BOOTSTRAPS]; /* of n = 2^12, 2^13, 2^14 values */
    ckks_lintrans *scores;
    ckks_plaintext *score_bias;
    ckks_key_list keys;
    nn_client client;
};

#endif
