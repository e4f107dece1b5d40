/* SPDX-License-Identifier: Apache-2.0 */
/* A stream of encrypted pictures on its way through the network: what one process and many ranks
 * have in common. Internal to the program. */
#ifndef NN_CMD_INFER_H
#define NN_CMD_INFER_H

#include "nn/cmd/stream.h"

typedef struct infer_options {
    const char *output;
    double memory, skip;
    double sanitize, error; /* sanitize NaN: not at all */
    bool json;
} infer_options;

typedef struct infer_job {
    const infer_options *options;
    const char *network, *keys_path, *input; /* as they were given; input may be NULL */
    nn_server *server;
    nn_keys *keys;
    ckks_reader *keys_file, *in;
    ckks_writer *out;
    size_t picture;    /* number of the next one without a result, from 1 */
    uint64_t complete; /* bytes of the results before it */
    double bytes;      /* of all pictures; 0: nobody knows */
    size_t pictures;   /* how many there will be, 0: nobody knows */
    double start;      /* of the picture, or of all that are computed at once */
    double begun;      /* when everything was ready */
    double seconds;    /* from then to the last result */
} infer_job;

/* The streams of pictures and results, and the file of keys as far as a look at it. */
FHOLA_WARN_UNUSED fhola_status infer_open_files(infer_job *job);
/* The network as it is in its file, and what it may take of this machine, which so many processes
 * share. */
FHOLA_WARN_UNUSED fhola_status infer_open_server(infer_job *job, unsigned processes);
/* One of the server, whose results are as --sanitize says. */
FHOLA_WARN_UNUSED fhola_status infer_open_run(nn_run **run, const infer_job *job);
/* How many pictures the next container has, one alone or a pack; 0: there is none. */
FHOLA_WARN_UNUSED fhola_status infer_look(size_t *pictures, const infer_job *job, ckks_reader *in);
/* When everything is ready. Passes over those that --skip names. */
FHOLA_WARN_UNUSED fhola_status infer_skip(infer_job *job);
/* After the container of the first picture: all have as many bytes. */
void infer_count_pictures(infer_job *job);
/* So many results more are among the bytes of `out`; a line for each where --json wants it. */
FHOLA_WARN_UNUSED fhola_status infer_finish_pictures(infer_job *job, size_t count, double seconds);
/* Gives a file that was not finished the results that were, unless that was done or they are among
 * the bytes of another one. */
void infer_keep(infer_job *job);

#endif
