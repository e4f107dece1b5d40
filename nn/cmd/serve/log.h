/* SPDX-License-Identifier: Apache-2.0 */
/* Lines on standard error, one an event, of NAME=VALUE pairs: time, event, and what the event
 * has. */
#ifndef NN_CMD_SERVE_LOG_H
#define NN_CMD_SERVE_LOG_H

#include "ckks/ckks.h"

void serve_log(const char *event, const char *format, ...) FHOLA_PRINTF(2, 3);
/* Text from elsewhere as a value: in quotes, and so that it obeys nothing. Longer than `room` loses
 * its middle. */
void serve_log_quote(char *out, size_t room, const char *text);

#endif
