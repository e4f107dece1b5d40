/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/base/document.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/base/file.h"

#define KINDS 3u

static const struct {
    const char *format; /* as the file says */
    const char *name;   /* as messages say */
} kinds[KINDS] = {
    [NN_DOCUMENT_PLAN] = {"fhola-plan", "a plan"},
    [NN_DOCUMENT_PROFILE] = {"fhola-profile", "a profile"},
    [NN_DOCUMENT_COST] = {"fhola-cost", "a table of costs"},
};

const char *nn_document_name(nn_document kind)
{
    return (unsigned)kind < KINDS ? kinds[kind].name : "unknown";
}

static bool find_kind(nn_document *kind, const nn_json *root)
{
    const nn_json *format = nn_json_get(root, "format");
    for (unsigned k = 0; format && format->type == NN_JSON_STRING && k < KINDS; k++)
        if (strcmp(format->string, kinds[k].format) == 0) {
            *kind = (nn_document)k;
            return true;
        }
    return false;
}

fhola_status nn_document_check(const nn_json *root, nn_document kind, unsigned version,
                               const char *name)
{
    const nn_json *format = nn_json_get(root, "format"),
                  *found_version = nn_json_get(root, "version");
    char what[120];
    nn_document found;
    if (!find_kind(&found, root)) {
        snprintf(what, sizeof what, "\"format\" must be \"%s\"", kinds[kind].format);
        return nn_json_reject(format, root, name, what);
    }
    if (found != kind) {
        snprintf(what, sizeof what, "%s instead of %s", kinds[found].name, kinds[kind].name);
        return nn_json_reject(format, root, name, what);
    }
    double number =
        found_version && found_version->type == NN_JSON_NUMBER ? found_version->number : 0;
    if (!(number >= 1 && number <= 1e9 && number == floor(number)))
        return nn_json_reject(found_version, root, name,
                              "\"version\" must be a whole number from 1 on");
    if ((unsigned)number == version) return FHOLA_OK;
    snprintf(what, sizeof what,
             "format version %.0f is %s than version %u, the one this program reads%s", number,
             number > version ? "newer" : "older", version,
             number > version ? "" : ": make it anew");
    return nn_json_reject(found_version, root, name, what);
}

static bool parse_hash(uint64_t *hash, const nn_json *value)
{
    static const char hexadecimal[] = "0123456789abcdef";
    uint64_t result = 0;
    if (!value || value->type != NN_JSON_STRING || strlen(value->string) != 16) return false;
    for (const char *c = value->string; *c; c++) {
        const char *found = strchr(hexadecimal, *c);
        if (!found) return false;
        result = result << 4 | (uint64_t)(found - hexadecimal);
    }
    *hash = result;
    return true;
}

fhola_status nn_document_get_header(uint64_t *model_hash, const nn_json *root, nn_document kind,
                                    unsigned version, const char *name)
{
    const nn_json *hash = nn_json_get(root, "model_hash");
    fhola_status status = nn_document_check(root, kind, version, name);
    if (status == FHOLA_OK && !parse_hash(model_hash, hash))
        status = nn_json_reject(hash, root, name, "\"model_hash\" must be 16 hexadecimal digits");
    return status;
}

fhola_status nn_document_get_activations(const nn_json **activations, const nn_json *root,
                                         size_t most, const char *name)
{
    const nn_json *array = nn_json_get(root, "activations");
    if (!array || array->type != NN_JSON_ARRAY || array->count == 0 || array->count > most)
        return nn_json_reject(array, root, name,
                              "\"activations\" must be an array of the activations");
    *activations = array;
    return FHOLA_OK;
}

void nn_document_add_header(nn_text *text, nn_document kind, unsigned version, uint64_t model_hash)
{
    nn_text_format(text, "{\"format\": \"%s\", \"version\": %u, \"model_hash\": \"%016llx\"",
                   kinds[kind].format, version, (unsigned long long)model_hash);
}

fhola_status nn_document_load_kind(nn_document *kind, const char *path)
{
    unsigned char *bytes;
    size_t length;
    fhola_status status = nn_file_read(&bytes, &length, path, NN_DOCUMENT_MAX_BYTES);
    if (status != FHOLA_OK) return status;
    status = nn_document_decode_kind(kind, bytes, length, path);
    free(bytes);
    return status;
}

fhola_status nn_document_decode_kind(nn_document *kind, const unsigned char *bytes, size_t length,
                                     const char *path)
{
    nn_json *root = NULL;
    fhola_status status = nn_json_parse(&root, (const char *)bytes, length, path);
    if (status == FHOLA_OK && !find_kind(kind, root))
        status = nn_json_reject(
            nn_json_get(root, "format"), root, path,
            "\"format\" must be \"fhola-plan\", \"fhola-profile\" or \"fhola-cost\"");
    nn_json_free(root);
    return status;
}
