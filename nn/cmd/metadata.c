/* SPDX-License-Identifier: Apache-2.0 */
/* Weights with what their file does not say: --mean, --std, --classes and --bn-eps. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/cmd/cmd.h"

#define MAX_TEXT 65536u /* bytes of a list or a file of names */

/* "0.49,0.48,0.45" */
static fhola_status parse_triple(double values[3], const char *option, const char *text)
{
    const char *at = text;
    for (int i = 0; i < 3; i++) {
        char *end;
        values[i] = strtod(at, &end);
        if (end == at || *end != (i < 2 ? ',' : 0))
            return fhola_fail(
                FHOLA_PARAM,
                "%s must be three numbers separated by commas (red, green, blue), not '%s'", option,
                text);
        at = end + 1;
    }
    return FHOLA_OK;
}

/* Names, and the text that they are pieces of. */
typedef struct class_names {
    char *text;
    const char **name;
    size_t count;
} class_names;

static fhola_status read_text(char *text, const char *path)
{
    errno = 0;
    FILE *file = fopen(path, "rb");
    size_t length = file ? fread(text, 1, MAX_TEXT + 1, file) : 0;
    fhola_status status = FHOLA_OK;
    if (!file || ferror(file))
        status = fhola_fail(
            FHOLA_IO,
            "--classes takes names separated by commas, or a file with one name a line; '%s': %s",
            path, strerror(errno));
    else if (length > MAX_TEXT)
        status = fhola_fail(FHOLA_FORMAT, "%s: more than %u bytes of class names", path, MAX_TEXT);
    if (file) (void)fclose(file);
    if (status == FHOLA_OK) text[length] = 0;
    return status;
}

/* Cuts the text at every separator; a carriage return and an empty end do not count. */
static fhola_status split(class_names *names, char separator)
{
    size_t room = 1;
    for (const char *at = names->text; *at; at++) room += *at == separator;
    names->name = malloc(room * sizeof *names->name);
    if (!names->name) return fhola_fail(FHOLA_NOMEM, "no memory for %zu class names", room);
    for (char *at = names->text; *at;) {
        char *end = strchr(at, separator), *next = end ? end + 1 : at + strlen(at);
        if (!end) end = next;
        if (end > at && end[-1] == '\r') end--;
        *end = 0;
        names->name[names->count++] = at;
        at = next;
    }
    return FHOLA_OK;
}

static fhola_status parse_classes(class_names *names, const char *text)
{
    bool list = strchr(text, ',') != NULL;
    size_t length = strlen(text);
    names->text = malloc((length > MAX_TEXT ? length : MAX_TEXT) + 2);
    if (!names->text) return fhola_fail(FHOLA_NOMEM, "no memory for class names");
    fhola_status status = FHOLA_OK;
    if (list)
        memcpy(names->text, text, length + 1);
    else
        status = read_text(names->text, text);
    return status == FHOLA_OK ? split(names, list ? ',' : '\n') : status;
}

fhola_status nn_cmd_load_weights(nn_model **model, const char *path,
                                 const nn_cmd_metadata *metadata)
{
    static const nn_cmd_metadata none = {.mean = NULL};
    const nn_cmd_metadata *m = metadata ? metadata : &none;
    double mean[3], std[3];
    class_names names = {NULL, NULL, 0};
    nn_model_options options = {
        .mean = m->mean ? mean : NULL, .std = m->std ? std : NULL, .batch_norm_eps = m->bn_eps};
    fhola_status status = m->mean ? parse_triple(mean, "--mean", m->mean) : FHOLA_OK;
    if (status == FHOLA_OK && m->std) status = parse_triple(std, "--std", m->std);
    if (status == FHOLA_OK && m->classes) {
        status = parse_classes(&names, m->classes);
        options.class_names = names.name;
        options.class_count = names.count;
    }
    if (status == FHOLA_OK) status = nn_cmd_check_input(path);
    if (status == FHOLA_OK) status = nn_model_load(model, path, &options);
    free(names.name);
    free(names.text);
    return status;
}
