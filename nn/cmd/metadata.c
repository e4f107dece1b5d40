/* SPDX-License-Identifier: Apache-2.0 */
/* Weights with what their file does not say: --mean, --std, --classes and --bn-eps. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/cmd/cmd.h"
#include "nn/cmd/onnx/onnx.h"

#define MAX_TEXT 65536u /* bytes of a list or a file of names */

/* "0.49,0.48,0.45", or one number for all channels. */
static fhola_status parse_channels(double values[3], size_t *count, const char *option,
                                   const char *text)
{
    const char *at = text;
    for (*count = 0; *count < 3; at++) {
        char *end;
        values[(*count)++] = strtod(at, &end);
        if (end == at || (*end && *end != ','))
            return fhola_fail(FHOLA_PARAM,
                              "%s must be numbers separated by commas (red, green, blue), or one "
                              "number, not '%s'",
                              option, text);
        at = end;
        if (!*end) break;
    }
    if (*at || *count == 2)
        return fhola_fail(FHOLA_PARAM, "%s must be three numbers or one, not '%s'", option, text);
    if (*count == 1) values[1] = values[2] = values[0];
    return FHOLA_OK;
}

/* "3x32x32"; all zero for NULL. */
static fhola_status parse_shape(nn_shape *shape, const char *text)
{
    int end = 0;
    *shape = (nn_shape){0, 0, 0};
    if (!text) return FHOLA_OK;
    if (strspn(text, "0123456789x") != strlen(text) ||
        sscanf(text, "%5ux%5ux%5u%n", &shape->channels, &shape->height, &shape->width, &end) != 3 ||
        text[end] || !shape->channels || !shape->height || !shape->width)
        return fhola_fail(FHOLA_PARAM,
                          "--input must be channels, height and width, like 1x28x28, not '%s'",
                          text);
    return FHOLA_OK;
}

/* Names, and the text that they are pieces of. */
typedef struct class_names {
    char *text;
    const char **name;
    size_t count;
} class_names;

/* `text` has room for MAX_TEXT bytes and a NUL. */
static fhola_status read_text(char *text, const char *path)
{
    unsigned char *bytes;
    size_t length;
    fhola_status status = nn_cmd_read_input(&bytes, &length, path, MAX_TEXT);
    if (status == FHOLA_IO)
        return fhola_fail(FHOLA_IO,
                          "--classes takes names separated by commas, or a file with one name a "
                          "line; %s",
                          fhola_detail());
    if (status != FHOLA_OK) return status;
    memcpy(text, bytes, length);
    text[length] = 0;
    free(bytes);
    return FHOLA_OK;
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

/* ---- formats of models ---- */

bool nn_cmd_is_onnx(const unsigned char *bytes, size_t length, const char *name)
{
    const char *dot = strrchr(name, '.');
    if (dot && strcmp(dot, ".onnx") == 0) return true;
    return length > 8 && nn_onnx_begins(bytes, length) && bytes[8] != '{';
}

static fhola_status decode_onnx(nn_model **model, const unsigned char *bytes, size_t length,
                                const char *name, nn_shape input, const nn_model_options *options)
{
#ifdef HAVE_ONNX
    const char *note = NULL;
    fhola_status status = nn_onnx_parse(model, bytes, length, name, input, options, &note);
    if (status == FHOLA_OK && note) {
        nn_cmd_show(stderr, name);
        fprintf(stderr, ": %s\n", note);
    }
    return status;
#else
    (void)model;
    (void)bytes;
    (void)length;
    (void)input;
    (void)options;
    return fhola_fail(FHOLA_FORMAT,
                      "%s: an ONNX file, but this program was built without protobuf-c", name);
#endif
}

/* Three numbers for a picture of one channel are a mistake that nobody else would see. */
static fhola_status check_channels(nn_model **model, const char *name, size_t most)
{
    nn_model_info info;
    nn_model_describe(*model, &info);
    if (most <= 1 || info.input.channels == most) return FHOLA_OK;
    nn_model_free(*model);
    *model = NULL;
    return fhola_fail(FHOLA_PARAM,
                      "%s: its pictures have %u channels: --mean and --std take one number", name,
                      info.input.channels);
}

fhola_status nn_cmd_decode_weights(nn_model **model, const unsigned char *bytes, size_t length,
                                   const char *name, const nn_cmd_metadata *metadata)
{
    static const nn_cmd_metadata none = {.mean = NULL};
    const nn_cmd_metadata *m = metadata ? metadata : &none;
    double mean[3], std[3];
    size_t means = 0, stds = 0;
    nn_shape input;
    class_names names = {NULL, NULL, 0};
    nn_model_options options = {
        .mean = m->mean ? mean : NULL, .std = m->std ? std : NULL, .batch_norm_eps = m->bn_eps};
    bool onnx = nn_cmd_is_onnx(bytes, length, name);
    fhola_status status = parse_shape(&input, m->input);
    if (status == FHOLA_OK && m->input && !onnx)
        status = fhola_fail(FHOLA_PARAM, "%s: --input is for ONNX networks", name);
    if (status == FHOLA_OK && m->mean) status = parse_channels(mean, &means, "--mean", m->mean);
    if (status == FHOLA_OK && m->std) status = parse_channels(std, &stds, "--std", m->std);
    if (status == FHOLA_OK && m->classes) {
        status = parse_classes(&names, m->classes);
        options.class_names = names.name;
        options.class_count = names.count;
    }
    nn_model *loaded = NULL;
    if (status == FHOLA_OK)
        status = onnx ? decode_onnx(&loaded, bytes, length, name, input, &options)
                      : nn_model_decode(&loaded, bytes, length, name, &options);
    if (status == FHOLA_OK) status = check_channels(&loaded, name, means > stds ? means : stds);
    if (status == FHOLA_OK) *model = loaded;
    free(names.name);
    free(names.text);
    return status;
}
