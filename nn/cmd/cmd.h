/* SPDX-License-Identifier: Apache-2.0 */
/* What the subcommands of the program share. */
#ifndef NN_CMD_H
#define NN_CMD_H

#include <stdbool.h>
#include <stddef.h>

#include "nn/nn.h"
#include "status.h"

/* Exit codes: 0 success, 1 wrong use, then 1 + status for each fhola_status (2 no memory, 3 parameter, 4 level, 5 scale, 6 key, 7 format,
 * 8 input/output, 9 security, 10 range), 11 any other failure. */
#define NN_CMD_WRONG_USE 1
#define NN_CMD_FAILED    11

/* A subcommand: argv[0] is its name. Returns the exit code. */
typedef int nn_cmd_function(int argc, char **argv);
nn_cmd_function nn_cmd_classify, nn_cmd_eval, nn_cmd_params, nn_cmd_plan, nn_cmd_profile;

/* "fhola COMMAND: message" and a hint at the help on stderr; returns NN_CMD_WRONG_USE. */
int nn_cmd_wrong_use(const char *command, const char *format, ...) FHOLA_PRINTF(2, 3);

/* "fhola COMMAND: status: detail" on stderr; returns the exit code of `status` (0 for FHOLA_OK, silently). */
int nn_cmd_finish(const char *command, fhola_status status);

/* A number given as an option; false, with a message, unless it is all there is in `text` and within [least, most]. */
bool nn_cmd_number(const char *command, const char *option, const char *text, double least, double most, double *number);

/* Path of a bundled file: folder "models" or "pictures", suffix with its dot. Of the source tree until the program is installed. */
void nn_cmd_bundled(char *path, size_t room, const char *folder, const char *name, const char *suffix);

/* Loads a model (a file, or the name of a bundled one) with a plan: plan_path, or with NULL the .plan beside the model. */
FHOLA_WARN_UNUSED fhola_status nn_cmd_load_model(nn_model **model, nn_plan **plan, const char *model_name, const char *plan_path);

/* The two apart. Without a path the plan is the one bundled with the model; *plan is left alone if the model is no bundled one. */
FHOLA_WARN_UNUSED fhola_status nn_cmd_find_model(nn_model **model, const char *name);
FHOLA_WARN_UNUSED fhola_status nn_cmd_find_plan(nn_plan **plan, const char *path, const char *name, const nn_model *model);

/* An nn_progress: one line on stderr, rewritten, if that is a terminal; nn_cmd_progress_end clears it. user: name of the command. */
void nn_cmd_progress(void *user, const char *step, size_t done, size_t total);
void nn_cmd_progress_end(void);

/* Prints a number for JSON: null if it is not finite. */
void nn_cmd_json_number(double number);

#endif
