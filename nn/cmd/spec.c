/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/cmd/spec.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/cmd/cmd.h"

#define LINE_ROOM 1024

/* Where a key's value goes: a whole number, a real one, two of them, or the list of scales. */
typedef enum kind { WHOLE, REAL, PAIR, SCALES } kind;

/* Who has to give a key: everyone, sets that bootstrap, nobody (0 then). */
typedef enum need { ALWAYS, BOOTSTRAP, OPTIONAL } need;

typedef struct field {
    const char *key;
    kind kind;
    size_t offset;
    need need;
} field;

#define SKIP(...)
#define LINE(name, kind, need)       {#name, kind, offsetof(ckks_params_spec, name), need},
#define LINE_WHOLE(name, slot, need) LINE(name, WHOLE, need)
#define LINE_REAL(name, slot, need)  LINE(name, REAL, need)
#define LINE_PAIR(name, slot, need)  LINE(name, PAIR, need)
#define LINE_SCALES(name, need)      LINE(name, SCALES, need)
static const field fields[] = {
    CKKS_PARAMS_FIELDS(LINE_WHOLE, SKIP, LINE_REAL, LINE_PAIR, LINE_SCALES)};
#define FIELDS (sizeof fields / sizeof fields[0])

/* One number from *text on; false if there is none. */
static bool take_number(double *number, char **text)
{
    char *end;
    errno = 0;
    *number = strtod(*text, &end);
    bool fine = end != *text && errno == 0 && isfinite(*number);
    *text = end;
    return fine;
}

static bool at_end(const char *text)
{
    return text[strspn(text, " \t\r\n")] == 0;
}

static bool store(ckks_params_spec *spec, const field *f, char *text)
{
    double number;
    void *to = (char *)spec + f->offset;
    if (f->kind == SCALES) {
        spec->eval_mod_levels = 0;
        while (!at_end(text)) {
            if (spec->eval_mod_levels == CKKS_MAX_EVAL_MOD_LEVELS || !take_number(&number, &text))
                return false;
            spec->eval_mod_scale_bits[spec->eval_mod_levels++] = number;
        }
        return spec->eval_mod_levels > 0;
    }
    if (!take_number(&number, &text)) return false;
    if (f->kind == PAIR) {
        ((double *)to)[0] = number;
        return take_number((double *)to + 1, &text) && at_end(text);
    }
    if (!at_end(text)) return false;
    if (f->kind == REAL) {
        *(double *)to = number;
        return true;
    }
    if (number < 0 || number > 1e6 || number != floor(number)) return false;
    *(unsigned *)to = (unsigned)number;
    return true;
}

static const field *find_field(const char *key, size_t length)
{
    for (size_t i = 0; i < FIELDS; i++)
        if (strlen(fields[i].key) == length && strncmp(fields[i].key, key, length) == 0)
            return &fields[i];
    return NULL;
}

/* "key = value", with everything from a '#' on ignored. */
static fhola_status read_line(ckks_params_spec *spec, bool seen[FIELDS], char *line,
                              const char *path, unsigned number)
{
    line[strcspn(line, "#")] = 0;
    if (at_end(line)) return FHOLA_OK;
    char *key = line + strspn(line, " \t");
    size_t length = strcspn(key, " \t=\r\n");
    char *value = key + length + strspn(key + length, " \t");
    const field *f = find_field(key, length);
    if (!f)
        return fhola_fail(FHOLA_FORMAT, "%s, line %u: unknown key '%.*s'", path, number,
                          (int)length, key);
    if (*value != '=')
        return fhola_fail(FHOLA_FORMAT, "%s, line %u: 'key = value' expected", path, number);
    if (seen[f - fields])
        return fhola_fail(FHOLA_FORMAT, "%s, line %u: %s is given twice", path, number, f->key);
    seen[f - fields] = true;
    if (!store(spec, f, value + 1))
        return fhola_fail(FHOLA_FORMAT, "%s, line %u: %s needs %s", path, number, f->key,
                          f->kind == WHOLE  ? "a whole number"
                          : f->kind == REAL ? "a number"
                          : f->kind == PAIR ? "two numbers"
                                            : "1 to 12 numbers");
    return FHOLA_OK;
}

static fhola_status read_stream(ckks_params_spec *spec, FILE *file, const char *path)
{
    char line[LINE_ROOM];
    bool seen[FIELDS] = {false}, bootstrap = false;
    fhola_status status = FHOLA_OK;
    for (unsigned number = 1; status == FHOLA_OK && fgets(line, sizeof line, file); number++) {
        if (strlen(line) + 1 == sizeof line)
            status = fhola_fail(FHOLA_FORMAT, "%s, line %u is too long", path, number);
        else
            status = read_line(spec, seen, line, path, number);
    }
    if (status == FHOLA_OK && ferror(file)) status = fhola_fail(FHOLA_IO, "cannot read %s", path);
    for (size_t i = 0; i < FIELDS; i++)
        bootstrap = bootstrap || (fields[i].need == BOOTSTRAP && seen[i]);
    for (size_t i = 0; i < FIELDS && status == FHOLA_OK; i++)
        if (!seen[i] && (fields[i].need == ALWAYS || (fields[i].need == BOOTSTRAP && bootstrap)))
            status = fhola_fail(FHOLA_FORMAT, "%s: %s is missing", path, fields[i].key);
    return status;
}

fhola_status nn_cmd_spec_read(ckks_params_spec *spec, const char *path)
{
    ckks_params_spec result;
    memset(&result, 0, sizeof result);
    bool standard = strcmp(path, "-") == 0;
    fhola_status status = standard ? nn_cmd_take_standard_input() : FHOLA_OK;
    if (status != FHOLA_OK) return status;
    FILE *file = standard ? stdin : fopen(path, "r");
    if (!file) return fhola_fail(FHOLA_IO, "cannot open %s: %s", path, strerror(errno));
    status = read_stream(&result, file, nn_cmd_input_name(path));
    if (!standard) fclose(file);
    if (status == FHOLA_OK) *spec = result;
    return status;
}

/* Standard input could be read only once, and a set is needed more often. */
static bool is_file(const char *name)
{
    return !nn_cmd_is_bundled(name) && strcmp(name, "-") != 0;
}

fhola_status nn_cmd_spec_find(ckks_params_spec *spec, const char *name)
{
    return is_file(name) ? nn_cmd_spec_read(spec, name) : ckks_params_spec_named(spec, name);
}

fhola_status nn_cmd_params_find(ckks_params **params, const char *name)
{
    ckks_params_spec spec;
    if (!is_file(name)) return ckks_params_named(params, name);
    FHOLA_TRY(nn_cmd_check_input(name));
    FHOLA_TRY(nn_cmd_spec_read(&spec, name));
    return ckks_params_create(params, &spec);
}

void nn_cmd_spec_print(const ckks_params_spec *spec)
{
    for (size_t i = 0; i < FIELDS; i++) {
        const field *f = &fields[i];
        const void *from = (const char *)spec + f->offset;
        if (f->need == BOOTSTRAP && spec->eval_mod_levels == 0) continue;
        printf("%s =", f->key);
        if (f->kind == WHOLE) printf(" %u", *(const unsigned *)from);
        if (f->kind == REAL) printf(" %.10g", *(const double *)from);
        if (f->kind == PAIR)
            printf(" %.10g %.10g", *(const double *)from, *((const double *)from + 1));
        for (unsigned k = 0; f->kind == SCALES && k < spec->eval_mod_levels; k++)
            printf(" %.10g", spec->eval_mod_scale_bits[k]);
        printf("\n");
    }
}
