/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON files of fhola begin alike: members "format" and "version". Internal to nn/;
 * nn_document_load_kind is in nn.h. */
#ifndef NN_DOCUMENT_H
#define NN_DOCUMENT_H

#include <stdint.h>

#include "nn/base/json.h"
#include "nn/nn.h"

#define NN_DOCUMENT_MAX_BYTES ((size_t)1 << 26) /* of the largest kind */

/* FHOLA_FORMAT unless `root` is of this kind and version; the message says what it is instead, or
 * which of the two is newer. */
fhola_status nn_document_check(const nn_json *root, nn_document kind, unsigned version,
                               const char *name) FHOLA_WARN_UNUSED;

/* The same, and the member "model_hash" (16 hexadecimal digits). */
fhola_status nn_document_get_header(uint64_t *model_hash, const nn_json *root, nn_document kind,
                                    unsigned version, const char *name) FHOLA_WARN_UNUSED;

/* The member "activations" of plans and profiles: an array of 1 to `most` elements. */
fhola_status nn_document_get_activations(const nn_json **activations, const nn_json *root,
                                         size_t most, const char *name) FHOLA_WARN_UNUSED;

/* The beginning of such a file: without the closing brace. */
void nn_document_add_header(nn_text *text, nn_document kind, unsigned version, uint64_t model_hash);

#endif
