/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands that read and write files of keys and ciphertexts share. */
#ifndef NN_CMD_STREAM_H
#define NN_CMD_STREAM_H

#include "ckks/ckks.h"
#include "nn/cmd/cmd.h"

nn_cmd_function nn_cmd_compile, nn_cmd_decrypt, nn_cmd_encrypt, nn_cmd_infer, nn_cmd_inspect, nn_cmd_keygen;

/* The parameter set of networks, unless another one is asked for. */
#define NN_CMD_PARAMS "R15"

/* NULL or "-" is standard input, or standard output (which must not be a terminal: PARAM). */
FHOLA_WARN_UNUSED fhola_status nn_cmd_open_input(ckks_reader **reader, const char *path);
FHOLA_WARN_UNUSED fhola_status nn_cmd_open_output(ckks_writer **writer, const char *path);

/* From now on SIGINT, SIGTERM and SIGHUP only set a mark and end a blocked read or write, so that the command can clean up; a
 * closed pipe is an error of the write. */
void nn_cmd_catch_signals(void);
bool nn_cmd_interrupted(void);
/* As nn_cmd_finish; but if a signal came, says so and ends the program with it. To be called when all is cleaned up. */
int nn_cmd_finish_caught(const char *command, fhola_status status);

/* An nn_count_progress: shows it (arg: name of the command) and stops when a signal came. */
int nn_cmd_count(void *arg, size_t done, size_t total);

/* Reads a picture: a file of any format the program knows. */
FHOLA_WARN_UNUSED fhola_status nn_cmd_read_picture(double *rgb, const char *path);

/* Whether `name` can only be that of a bundled model; and what 'fhola compile' would put into a file for it. */
bool nn_cmd_is_bundled(const char *name);
typedef struct nn_cmd_network {
    nn_model *model;
    nn_plan *plan;
    ckks_params *params;
} nn_cmd_network;
FHOLA_WARN_UNUSED fhola_status nn_cmd_bundled_network(nn_cmd_network *network, const char *name);
void nn_cmd_network_clear(nn_cmd_network *network); /* also after a failure */

/* Prints a string for JSON, with quotes. */
void nn_cmd_json_string(const char *string);

#endif
