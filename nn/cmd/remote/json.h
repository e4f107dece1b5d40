/* SPDX-License-Identifier: Apache-2.0 */
/* Members of a JSON object (RFC 8259) that came from a stranger. */
#ifndef NN_CMD_REMOTE_JSON_H
#define NN_CMD_REMOTE_JSON_H

#include <stdbool.h>
#include <stddef.h>

/* False: `json` (NULL is no object) has no such member of that type. */
bool remote_json_number(const char *json, const char *key, double *number);
bool remote_json_bool(const char *json, const char *key, bool *value);
/* The member's element of that number, if the member is an array of objects; NULL: there is none.
 * For use as `json`: what follows the object does not matter. */
const char *remote_json_item(const char *json, const char *key, size_t index);
/* Cut to its room; characters beyond ASCII that were escaped become '?'. */
bool remote_json_text(const char *json, const char *key, char *text, size_t room);

#endif
