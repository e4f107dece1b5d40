/* SPDX-License-Identifier: Apache-2.0 */
/* What a profile holds. Internal to nn/; making, saving and loading one is in nn.h. */
#ifndef NN_PROFILE_H
#define NN_PROFILE_H

#include <stddef.h>
#include <stdint.h>

#include "status.h"

#define NN_PROFILE_DEGREES 4u /* 3, 7, 15, 31: the largest degree of each depth from 2 to 5 */
extern const unsigned nn_profile_degrees[NN_PROFILE_DEGREES];

/* One activation of the exact network, over all pixels of the calibration pictures. Arrays have one entry per channel. */
typedef struct nn_profile_layer {
    unsigned channels;
    double *min, *max, *mean, *deviation;
    /* Mean over pictures and classes of the squared change of the scores when this activation alone becomes a polynomial of these degrees. */
    double sensitivity[NN_PROFILE_DEGREES];
} nn_profile_layer;

struct nn_profile {
    uint64_t model_hash;
    double eps;      /* of the sine the polynomials were fitted with */
    size_t pictures; /* calibration pictures */
    size_t count;    /* activations */
    nn_profile_layer *layers;
};

fhola_status nn_profile_format(char **text, size_t *length, const struct nn_profile *profile) FHOLA_WARN_UNUSED;
fhola_status nn_profile_parse(struct nn_profile **profile, const char *text, size_t length, const char *name) FHOLA_WARN_UNUSED;

#endif
