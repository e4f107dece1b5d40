/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands that read and write files of keys and ciphertexts share. */
#ifndef NN_CMD_STREAM_H
#define NN_CMD_STREAM_H

#include "ckks/ckks.h"
#include "nn/cmd/cmd.h"

/* NULL is standard input, or standard output, and so is "-" for an input (PARAM: it is a
 * terminal). */
FHOLA_WARN_UNUSED fhola_status nn_cmd_open_input(ckks_reader **reader, const char *path);
FHOLA_WARN_UNUSED fhola_status nn_cmd_open_output(ckks_writer **writer, const char *path);

/* nn_owner_open_secret with such a path. */
FHOLA_WARN_UNUSED fhola_status nn_cmd_open_secret(nn_owner **owner, const char *path);

/* Of a compiled network with such a path, or of a bundled model. */
FHOLA_WARN_UNUSED fhola_status nn_cmd_open_server(nn_server **server, const char *name);

/* From now on every signal that would end the program only sets a mark and ends a blocked read or
 * write, so that the command can clean up; a closed pipe is an error of the write. */
void nn_cmd_catch_signals(void);
bool nn_cmd_interrupted(void);
/* The program ends with a signal that has come; returns if there was none. */
void nn_cmd_raise_caught(void);
/* A file holds so many results, those that were finished, and the pictures up to number `behind`
 * have theirs: for what is said of it should the command not succeed. */
void nn_cmd_keep(const char *path, size_t results, size_t behind);
/* Should a signal end the command: what stays on purpose, and where. Without it the command says
 * that nothing was left behind. */
void nn_cmd_leave(const char *what, const char *path);
/* As nn_cmd_finish; but if a signal came, says so and ends the program with it. To be called when
 * all is cleaned up. */
int nn_cmd_finish_caught(const char *command, fhola_status status);

/* An nn_count_progress of keys: shows it and stops when a signal came; arg: not used. */
int nn_cmd_count(void *arg, size_t done, size_t total);

#endif
