/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of `fhola bench` share. */
#ifndef NN_CMD_BENCH_H
#define NN_CMD_BENCH_H

#include "ckks/measure/measure.h"
#include "nn/cmd/cmd.h"

typedef struct nn_cmd_bench_options {
    bool json;
    const char *isa;    /* NULL: every table the machine can run */
    const char *only;   /* figures whose names begin so; NULL: all */
    const char *params; /* parameter set; net: NULL is R15, or the compiled network's */
    double threads;     /* 0: not given */
    double log_n;       /* 0: several */
    double bits;        /* 0: several */
    double log_values;  /* of a bootstrap; 0: as many as there are slots */
    bool complex_values;
    double identity; /* levels of the arcsine of a bootstrap; 0: the sine stays */
    bool calibrate;
    /* of a table of costs; model: of net and paper too */
    const char *output, *machine, *keep, *model;
    double repeat, max_degree;
    /* the plans' names without their suffixes; NULL: bundled with the model */
    const char *plans;
    const char *configs; /* configurations to run, "1,2" */
    /* CIFAR batch to take pictures from and to measure accuracy on; NULL: bundled pictures, no
     * accuracy */
    const char *test;
    double pictures; /* encrypted ones; net: after a first one */
    double batch;    /* net: pictures at once; 0: what the network says */
    double judged;   /* pictures of `test` behind an accuracy; 0: all */
} nn_cmd_bench_options;

/* Whole operations of the scheme on a parameter set, and one bootstrap with its stages; under every
 * table asked for. */
FHOLA_WARN_UNUSED fhola_status nn_cmd_bench_operations(const nn_cmd_bench_options *options);
FHOLA_WARN_UNUSED fhola_status nn_cmd_bench_bootstraps(const nn_cmd_bench_options *options);
/* Convolutions of the plaintext engine: prints on its own. */
FHOLA_WARN_UNUSED fhola_status nn_cmd_bench_plain(const nn_cmd_bench_options *options);
/* A whole network on encrypted pictures. Catches signals. */
FHOLA_WARN_UNUSED fhola_status nn_cmd_bench_net(const nn_cmd_bench_options *options);

/* ---- calibrate: measures a table of costs. Returns the exit code. ---- */
int nn_cmd_bench_calibrate(const nn_cmd_bench_options *options);
/* Uniform against layerwise degrees: prints on its own. */
FHOLA_WARN_UNUSED fhola_status nn_cmd_bench_paper(const nn_cmd_bench_options *options);

/* A ckks_figure_fn: prints one line, for JSON readers or for people. arg: whether JSON (bool). */
void nn_cmd_bench_print(void *arg, const ckks_figure *figure);

#endif
