/* SPDX-License-Identifier: Apache-2.0 */
/* The client's view of a network. Internal to nn/; the functions are in nn.h. */
#ifndef NN_CLIENT_H
#define NN_CLIENT_H

#include "ckks/ckks.h"
#include "nn/encrypted/layout.h"
#include "nn/nn.h"

/* More than this where a sound result is zero is none; in units of NN_SCORE_BOUND. */
#define NN_UNSOUND 0.125

struct nn_client {
    nn_layout input;
    double mean[3], std[3]; /* as those of a model */
    double input_bound;     /* the normalised picture is divided by it */
    ckks_basis basis;       /* of the encrypted picture */
    double scale;
    size_t classes;
    size_t rows; /* period of the scores in the slots */
    char **class_name;
    ckks_key_list keys;
    unsigned pictures; /* that the network computes at once; 0: 1 */
    bool small_keys;   /* of the network: nn_plan_set_small_keys */
};

/* Copies the names and the list of keys; everything else is set by the caller. */
fhola_status nn_client_init(nn_client *client, const ckks_context *context,
                            const char *const *class_name, size_t classes,
                            const ckks_key_list *keys) FHOLA_WARN_UNUSED;
void nn_client_clear(nn_client *client);

/* `count` ciphertexts, for nn_encrypted_destroy. */
fhola_status nn_encrypted_create_count(ckks_ciphertext ***picture, const ckks_context *context,
                                       unsigned count) FHOLA_WARN_UNUSED;
/* How pictures for a network that computes several at once are packed. */
nn_packing nn_client_packing(const nn_client *client, const ckks_context *context);
/* Of a packed ciphertext: taking it apart leads to that of a picture alone. */
double nn_packed_scale(const nn_client *client, nn_packing packing);

/* How the results of packed pictures share a ciphertext, whose label says how many there are: those
 * of picture k at place k. */
ckks_interleaving nn_client_results(const nn_client *client);

/* Primes of the scores while they are summed up, and those of the result that is sent. */
ckks_basis nn_score_basis(const ckks_params *params);
ckks_basis nn_result_basis(const ckks_params *params);
/* The scale of a result: a score of NN_SCORE_BOUND is half the product of its primes, where that is
 * the base prime alone, and the same times its next prime otherwise. */
double nn_result_scale(const ckks_params *params);
/* What the result of a picture is shrunk to before it is sent, or those of a pack: of a network
 * with so many rows of scores that computes so many pictures at once. */
ckks_shrunk nn_result_shrunk(const ckks_params *params, size_t rows, unsigned pictures,
                             bool packed);
/* Whether a ciphertext has the form of a result. LEVEL: other primes, whose values would be no
 * scores. SCALE: another scale than the parameters imply (relative difference above 2^-30), which
 * would show more of the error than a score has, or hide a score in it. */
fhola_status nn_result_check(const ckks_params *params, const nn_client *client,
                             const ckks_ciphertext *in) FHOLA_WARN_UNUSED;
/* The same of one that was sent. FORMAT: it is not shrunk as the network's results are. */
fhola_status nn_sent_result_check(const ckks_params *params, const nn_client *client,
                                  const ckks_ciphertext *in) FHOLA_WARN_UNUSED;

#endif
