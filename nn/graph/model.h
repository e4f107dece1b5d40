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

#define NN_MAX_CLASSES 1000u
#define NN_MAX_DEGREE  63u

/* A network and what goes with it. Activation i is that of layer i of the graph. */
typedef struct nn_model {
    struct nn_graph *graph;
    unsigned classes;
    /* of every channel of the picture; if it has more than 3, of all values: the first number */
    double mean[3], std[3];
    /* of all layers, as the weights' file or nn_model_set_function says; else ReLU, and a graph's
     * own are what counts */
    ola_function function;
    bool replaced;           /* by nn_model_set_function */
    bool hash_has_functions; /* those of the graph as it came; else `hash` is of weights alone */
    double *points;          /* what a table in `function` consists of */
    char **class_names;      /* classes strings */
    double test_accuracy;    /* percent; NaN if the file does not say */
    uint64_t hash;           /* binds plans and compiled models to their network */
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
    unsigned pictures; /* that are computed at once; 0: 1 */
    bool small_keys;
} nn_plan;

#endif
