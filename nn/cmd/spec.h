/* SPDX-License-Identifier: Apache-2.0 */
/* Specifications of parameter sets as text, for fhola params --check; the format is described in
 * fhola-params(1). */
#ifndef NN_CMD_SPEC_H
#define NN_CMD_SPEC_H

#include "ckks/ckks.h"

/* Reads a specification. FHOLA_IO, FHOLA_FORMAT (the message names the line). */
fhola_status nn_cmd_spec_read(ckks_params_spec *spec, const char *path) FHOLA_WARN_UNUSED;

/* Prints a specification in that format. */
void nn_cmd_spec_print(const ckks_params_spec *spec);
/* The set of that name; a name with '/' or '.' is that of a file with a specification. */
FHOLA_WARN_UNUSED fhola_status nn_cmd_spec_find(ckks_params_spec *spec, const char *name);
FHOLA_WARN_UNUSED fhola_status nn_cmd_params_find(ckks_params **params, const char *name);

#endif
