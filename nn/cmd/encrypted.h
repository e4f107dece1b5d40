/* SPDX-License-Identifier: Apache-2.0 */
/* Both parties in one process (nn/measure/session.h), as commands show them. Internal to the
 * program. */
#ifndef NN_CMD_ENCRYPTED_H
#define NN_CMD_ENCRYPTED_H

#include "nn/cmd/cmd.h"
#include "nn/measure/session.h"

/* nn_session_open within --memory, with progress: steps "loading" and "key". `files` must live as
 * long. */
FHOLA_WARN_UNUSED fhola_status nn_cmd_session_open(nn_session *session, const nn_cmd_network *files,
                                                   double memory);
/* nn_session_infer; the step of progress is "layers". */
FHOLA_WARN_UNUSED fhola_status nn_cmd_session_infer(nn_session *session, size_t count);

#endif
