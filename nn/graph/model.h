/* SPDX-License-Identifier: Apache-2.0 */
/* The network and its plan as plain data: what the plaintext engine runs and what the encrypted
 * runtime compiles. Internal to nn/. */
#ifndef NN_MODEL_H
#define NN_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ola/ola.h"
#include "status.h"

#define NN_IMAGE_SIDE  32u /* pictures are 3 x 32 x 32 */
#define NN_MAX_CLASSES 1000u
#define NN_MAX_DEGREE  63u

/* A convolution with its batch norm folded in: out[o][y][x] = bias[o] + sum weight[o][i][ky][kx]
 * in[i][y*stride+ky-k/2][x*stride+kx-k/2], zero outside the picture. weight has out * in * kernel *
 * kernel doubles in that order. */
typedef struct nn_conv {
    unsigned in, out; /* channels */
    unsigned kernel;  /* 3 or 1 */
    unsigned stride;  /* 1 or 2 */
    unsigned in_size; /* side of the input picture; the output's is in_size / stride */
    double *weight;
    double *bias;
} nn_conv;

typedef enum nn_shortcut {
    NN_SHORTCUT_IDENTITY,   /* same shape */
    NN_SHORTCUT_PROJECTION, /* 1 x 1 convolution of stride 2 + batch norm */
    NN_SHORTCUT_PAD /* every second pixel, in/2 zero channels before and after (out = 2 in) */
} nn_shortcut;

typedef struct nn_block {
    nn_conv conv1, conv2;
    nn_shortcut shortcut;
    nn_conv projection; /* only for NN_SHORTCUT_PROJECTION */
} nn_block;

/* A CIFAR ResNet of depth 6 b + 2: first convolution, 3 stages of b blocks (16, 32, 64 channels at
 * 32, 16, 8 pixels), average pooling, linear layer. Activations are numbered 0 (after the first
 * convolution), 2k+1 and 2k+2 (inside and after block k): 6 b + 1 in all. */
typedef struct nn_model {
    struct nn_graph *graph; /* the network; what follows repeats it if it is a CIFAR ResNet */
    unsigned depth; /* 0: no CIFAR ResNet of 16, 32 and 64 channels; then there are no blocks */
    unsigned blocks_per_stage;
    nn_conv first;
    nn_block *blocks; /* 3 * blocks_per_stage */
    unsigned classes;
    double *fc_weight; /* classes * 64 */
    double *fc_bias;   /* classes */
    /* of every channel of the picture; if it has more than 3, of all values: the first number */
    double mean[3], std[3];
    /* of every activation of the exact network; ReLU unless the file or nn_model_set_function says
     * otherwise */
    ola_function function;
    bool replaced;        /* by nn_model_set_function */
    double *points;       /* what a table in `function` consists of */
    char **class_names;   /* classes strings */
    double test_accuracy; /* percent; NaN if the file does not say */
    /* XXH3-64 over the tensors that make up the network: binds plans and compiled models to their
     * weights */
    uint64_t hash;
} nn_model;

/* One activation polynomial per channel. With w = (x - centre[c]) / half_width[c] and X = sin(2 pi
 * eps w) / sin(2 pi eps) (eps = 0: X = w), the activation is y = sum_k coeff[k * channels + c]
 * T_k(X), times 1 + sign(X) if there is a composition `sign`: then the sum approximates x / 2, the
 * composition the sign of X, and y is a ReLU (centres are 0). */
typedef struct nn_activation {
    unsigned degree;
    unsigned channels;
    double *centre, *half_width; /* channels each; half_width > 0 */
    double *coeff;               /* (degree + 1) * channels */
    double max_w;                /* largest |w| seen on the held-out pictures, 0 if unknown */
    struct ola_composite *sign;  /* NULL: none; one for all channels */
} nn_activation;

typedef struct nn_plan {
    uint64_t model_hash;
    double eps;   /* of the bootstrap's sine, e.g. 0.25; 0 = no sine */
    size_t count; /* activations */
    nn_activation *activations;
} nn_plan;

#endif
