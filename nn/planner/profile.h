/* SPDX-License-Identifier: Apache-2.0 */
/* What a profile holds. Internal to nn/; making, saving and loading one is in nn.h. */
#ifndef NN_PROFILE_H
#define NN_PROFILE_H

#include <stddef.h>
#include <stdint.h>

#include "ola/ola.h"
#include "status.h"

#define NN_PROFILE_DEGREES 4u /* 3, 7, 15, 31: the largest degree of each depth from 2 to 5 */
extern const unsigned nn_profile_degrees[NN_PROFILE_DEGREES];

#define NN_PROFILE_BINS       128u /* of a channel's histogram, over [min, max] of the channel */
#define NN_PROFILE_LAYER_BINS 512u /* of a layer's, over the smallest min to the largest max */

/* One activation of the exact network, over all pixels of the calibration pictures. Arrays have one
 * entry per channel. */
typedef struct nn_profile_layer {
    unsigned channels;
    double *min, *max, *mean, *deviation;
    double *importance; /* see nn_gradient_importances */
    double *histogram;  /* channels * NN_PROFILE_BINS numbers of values */
    double layer_histogram[NN_PROFILE_LAYER_BINS];
    /* Mean over pictures and classes of the squared change of the scores when this activation alone
     * becomes a polynomial of these degrees. */
    double sensitivity[NN_PROFILE_DEGREES];
} nn_profile_layer;

struct nn_profile {
    uint64_t model_hash;
    double eps;      /* of the sine the polynomials were fitted with */
    size_t pictures; /* calibration pictures */
    /* mean squared gradient of the loss by the scores, see nn_gradient_importances */
    double score_square;
    size_t count; /* activations */
    nn_profile_layer *layers;
};

/* Extremes, mean and deviation of a whole layer. */
typedef struct nn_profile_range {
    double min, max, mean, deviation;
} nn_profile_range;

nn_profile_range nn_profile_layer_range(const nn_profile_layer *layer);

/* Histogram of a channel, or with channel = layer->channels of the whole layer. To be released with
 * ola_histogram_clear. */
fhola_status nn_profile_histogram(ola_histogram *histogram, const nn_profile_layer *layer,
                                  unsigned channel) FHOLA_WARN_UNUSED;

fhola_status nn_profile_format(char **text, size_t *length,
                               const struct nn_profile *profile) FHOLA_WARN_UNUSED;
fhola_status nn_profile_parse(struct nn_profile **profile, const char *text, size_t length,
                              const char *name) FHOLA_WARN_UNUSED;

#endif
