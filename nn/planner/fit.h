/* SPDX-License-Identifier: Apache-2.0 */
/* Passing a set of pictures through the network activation by activation, and fitting each
 * activation to what arrives. Internal to nn/. */
#ifndef NN_FIT_H
#define NN_FIT_H

#include <stdbool.h>
#include <stddef.h>

#include "nn/graph/model_io.h"
#include "nn/nn.h"
#include "ola/ola.h"

/* What arrives at one activation. Arrays have one entry per channel. */
typedef struct nn_arrivals {
    unsigned channels;
    const char *name;             /* of the layer */
    bool output;                  /* of a block: see nn_graph_is_output */
    const ola_function *function; /* the layer's */
    /* of the calibration pictures; the target is the exact network's activation */
    ola_histogram *histograms;
    /* of the calibration pictures, polynomial and exact network together */
    double *min, *max;
    double *held_min, *held_max;   /* of the held-out pictures; +inf, -inf if there are none */
    double *exact_min, *exact_max; /* of the calibration pictures in the exact network */
} nn_arrivals;

void nn_arrivals_clear(nn_arrivals *arrivals);

/* A set of pictures on their way through two networks at once: the exact one, and one whose
 * activations are being replaced by polynomials from the front. Both hold every picture's values at
 * one place; nn_passage_arrivals looks at what goes into the next activation, nn_passage_advance
 * applies it and moves on. */
typedef struct nn_passage nn_passage;

/* Starts in front of activation 0, with the first pictures of each batch. `conditional` false: only
 * one network, whose activations stay exact. FHOLA_NOMEM: a picture takes what
 * its largest few live tensors do (64 KiB in a CIFAR ResNet), calibration pictures twice that if
 * `conditional`. held_out may be NULL. FHOLA_PARAM: pictures of another shape. */
fhola_status nn_passage_create(nn_passage **passage, const nn_model *model,
                               const nn_batch *calibration, size_t calibration_count,
                               const nn_batch *held_out, size_t held_count,
                               bool conditional) FHOLA_WARN_UNUSED;
void nn_passage_free(nn_passage *passage);

/* Puts `to` where `from` stands. Both were created with the same arguments. */
void nn_passage_copy(nn_passage *to, const nn_passage *from);

/* Collects the arrivals at activation i, the one the passage stands in front of. FHOLA_RANGE:
 * something is not finite. */
fhola_status nn_passage_arrivals(nn_arrivals *arrivals, nn_passage *passage,
                                 size_t i) FHOLA_WARN_UNUSED;

/* Applies activation i and the linear layer behind it. `activation` is what the polynomial network
 * has there; ignored if not `conditional`. */
fhola_status nn_passage_advance(nn_passage *passage, size_t i, const nn_activation *activation,
                                double eps) FHOLA_WARN_UNUSED;

/* Scores of all pictures if the next activation were this one (NULL: exact) and those behind it as
 * they are; the passage stays where it is. */
fhola_status nn_passage_try(float *scores, nn_passage *passage, const nn_activation *activation,
                            double eps) FHOLA_WARN_UNUSED;

/* Behind the last activation: classes scores of each picture, calibration pictures first. */
void nn_passage_scores(float *scores, nn_passage *passage);

/* Sets intervals and coefficients of activation i of the plan, whose degree is set already (a
 * composition's is set here), to the arrivals. Without options->unguarded an interval that held-out
 * pictures leave is stretched before the fit. FHOLA_RANGE, naming activation and channel: a channel
 * is constant; what arrives is so far beyond the exact network's range that the polynomials before
 * must diverge.
 */
fhola_status nn_fit_activation(nn_plan *plan, size_t i, const nn_arrivals *arrivals,
                               const nn_plan_options *options) FHOLA_WARN_UNUSED;

/* Fits activation i of the plan to what arrives there, and passes on. Errors of the three steps
 * above. */
fhola_status nn_passage_fit(nn_plan *plan, size_t i, nn_passage *passage,
                            const nn_plan_options *options) FHOLA_WARN_UNUSED;

#endif
