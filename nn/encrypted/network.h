/* SPDX-License-Identifier: Apache-2.0 */
/* A schedule on ciphertexts: the basis, scale and encoded plaintexts of every step. Internal to
 * nn/.
 *
 * Bases, from the roles of the parameters' primes (d the degree of a layer's polynomial):
 *     activation input    base + slots_to_coeffs + residual (1 + depth(d))
 *                         as the bootstrap leaves it
 *     linear map's input  base + slots_to_coeffs + residual (1)
 *                         as the polynomial leaves it, and the encrypted picture
 *     bootstrap input     base + slots_to_coeffs
 *                         sums of linear maps and bias
 *     scores              base + lowest slots_to_coeffs prime, then base alone
 * All values in front of a bootstrap have one scale, and so have all outputs of activations. */
#ifndef NN_NETWORK_H
#define NN_NETWORK_H

#include <stdatomic.h>
#include <stdbool.h>

#include "ckks/ckks.h"
#include "nn/encrypted/composition.h"
#include "nn/encrypted/schedule.h"
#include "nn/nn.h"
#include "nn/party/client.h"

/* Scores of magnitude below this fit into the result. */
#define NN_SCORE_BOUND 512.0

#define NN_SINGLES (NN_LOG_MAX_SLOTS - NN_LOG_MIN_SLOTS + 1)

/* A contribution: a transform of all parts of a node's values, or where it only multiplies the only
 * one, a plaintext. */
typedef struct nn_transform {
    size_t from; /* node: 0 the input, i + 1 layer i */
    bool joined; /* of x + i y for each two of the parts */
    ckks_lintrans *linear;
    ckks_plaintext *factor;
    uint32_t fold,
        fold_end; /* the result is summed over rotations by fold, 2 fold, .. < fold_end */
} nn_transform;

/* A polynomial for the values of a part, or a composition. */
typedef struct nn_activated {
    ckks_polynomial *polynomial;
    nn_composition *composition;
} nn_activated;

/* Layer i, or the scores: those have no bootstrap and no activation, and a sum for each picture. */
typedef struct nn_layer {
    size_t count;
    nn_transform *transform;
    unsigned sums;   /* ciphertexts that the transforms make */
    unsigned biases; /* sum k has the bias k modulo their number */
    ckks_plaintext **bias;
    const ckks_bootstrap **bootstrap; /* of each sum: of a pair, or of a single part */
    unsigned parts;                   /* ciphertexts of its values */
    unsigned activations;             /* of the parts of a picture: nn_layout_part_of_picture */
    nn_activated *activation;
    bool borrows;             /* activations of the network that this is a form of */
    unsigned residual_levels; /* 1 + depth of the activation */
} nn_layer;

struct nn_network {
    nn_schedule schedule;
    int encoded;
    bool small_keys; /* rotations in turn: nn_plan_set_small_keys */
    ckks_basis convolution_basis, bootstrap_basis, score_input_basis, score_basis, result_basis;
    double scale;        /* in front of bootstraps and behind them */
    double linear_scale; /* of the input and of activations: what linear layers take */
    double score_scale;  /* on score_basis */
    size_t count;        /* layers */
    nn_layer *layer;     /* count, and the scores behind them */
    ckks_bootstrap *single[NN_SINGLES]; /* of n = 2^12, 2^13, 2^14 values */
    ckks_bootstrap *pair[NN_SINGLES];   /* of two parts of so many values each */
    ckks_plaintext *i;  /* i at scale 1: a product with it takes no level; of one picture NULL */
    nn_packing packing; /* of packed pictures; of one picture empty */
    ckks_key_list keys;
    nn_client client;
    /* Of a network for batches: the layers that a picture without company goes through. Bootstraps,
     * keys and client are those of the whole, which has them. */
    nn_network *alone;
};

/* Of the diagonals of all bootstraps, as of a network with weights. */
size_t nn_network_bootstrap_bytes(const nn_network *network);

/* nn_infer_batch that ends with CANCELLED in front of the next linear map, bootstrap or polynomial
 * once *cancelled is set; NULL: it never is. */
fhola_status nn_infer_unless(const atomic_bool *cancelled, const ckks_context *context,
                             ckks_workspace *workspace, ckks_ciphertext *const out[],
                             const nn_network *network, const ckks_eval_keys *keys,
                             ckks_ciphertext *const *const picture[], size_t count,
                             const nn_infer_hooks *hooks) FHOLA_WARN_UNUSED;

#endif
