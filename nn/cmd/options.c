/* SPDX-License-Identifier: Apache-2.0 */
/* Options of all commands: parsing and help from one table each. */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/cmd/cmd.h"

#define CANDIDATES 64u
#define LONGEST    32u /* of words compared */

/* ---- did you mean ---- */

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Letters to insert, drop, replace or swap with their neighbour to make one word the other. */
static size_t distance(const char *a, const char *b)
{
    size_t d[LONGEST + 1][LONGEST + 1], m = strlen(a), n = strlen(b);
    if (m > LONGEST || n > LONGEST) return LONGEST;
    for (size_t i = 0; i <= m; i++)
        for (size_t j = 0; j <= n; j++) {
            if (i == 0 || j == 0) {
                d[i][j] = i + j;
                continue;
            }
            d[i][j] = smaller(smaller(d[i - 1][j], d[i][j - 1]) + 1,
                              d[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                d[i][j] = smaller(d[i][j], d[i - 2][j - 2] + 1);
        }
    return d[m][n];
}

const char *nn_cmd_nearest(const char *word, const char *const *candidates, size_t count)
{
    const char *nearest = NULL;
    size_t best = strlen(word) / 2 + 1; /* half of the letters must be right */
    if (best > 4) best = 4;
    for (size_t i = 0; i < count; i++) {
        size_t d = strlen(word) > 1 && strncmp(candidates[i], word, strlen(word)) == 0
                       ? 1
                       : distance(word, candidates[i]);
        if (d >= best) continue;
        best = d;
        nearest = candidates[i];
    }
    return nearest;
}

/* ---- options ---- */

/* The option that is being read. */
typedef struct reading {
    const nn_cmd_command *command;
    const nn_cmd_option *option;
    char shown[LONGEST]; /* as messages call it: "--output" or "-o" */
    void *fields;
} reading;

static bool complain_unknown(const reading *r, const char *argument)
{
    const char *names[CANDIDATES];
    char word[LONGEST + 1];
    size_t count = 0, length = strcspn(argument, "=");
    for (const nn_cmd_option *o = r->command->options; o->name && count < CANDIDATES - 1; o++)
        names[count++] = o->name;
    names[count++] = "help";
    snprintf(word, sizeof word, "%.*s", (int)length, argument);
    const char *nearest =
        argument[1] == '-' && length > 2 ? nn_cmd_nearest(word + 2, names, count) : NULL;
    if (nearest)
        nn_cmd_wrong_use(r->command->name, "unknown option '%.*s'; did you mean --%s?", (int)length,
                         argument, nearest);
    else
        nn_cmd_wrong_use(r->command->name, "unknown option '%.*s'", (int)length, argument);
    return false;
}

static bool is_word_of(const char *words, const char *text)
{
    size_t length = strlen(text);
    for (const char *w = words;; w++) {
        size_t n = strcspn(w, "|");
        if (n == length && memcmp(w, text, n) == 0) return true;
        w += n;
        if (!*w) return false;
    }
}

static bool read_number(const reading *r, const char *text, double *number)
{
    const nn_cmd_option *o = r->option;
    char *end;
    double value = strtod(text, &end);
    bool whole = o->type != NN_CMD_IS_NUMBER;
    if (end == text || *end || !(value >= o->least && value <= o->most) ||
        (whole && floor(value) < value)) {
        nn_cmd_wrong_use(r->command->name, "%s must be a %s from %.10g to %.10g, not '%s'",
                         r->shown, whole ? "whole number" : "number", o->least, o->most, text);
        return false;
    }
    *number = value;
    return true;
}

/* "-" for an output: the default, or nothing that can be made. */
static bool read_dash(const reading *r, const char **field)
{
    if (r->option->type == NN_CMD_IS_STREAM) *field = NULL;
    if (r->option->type != NN_CMD_IS_OUTPUT) return true;
    nn_cmd_wrong_use(r->command->name,
                     "%s makes a file: standard output is /dev/stdout, a file called - is ./-",
                     r->shown);
    return false;
}

/* An option without a value. */
static bool is_flag(const nn_cmd_option *o)
{
    return o->type == NN_CMD_IS_FLAG || o->type == NN_CMD_IS_QUIET;
}

static bool take_whole(double *number, const char **text, const nn_cmd_option *o)
{
    size_t digits = strspn(*text, "0123456789");
    *number = strtod(*text, NULL);
    *text += digits;
    return digits && *number >= o->least && *number <= o->most;
}

static bool read_range(const reading *r, const char *text, nn_cmd_range *range)
{
    const nn_cmd_option *o = r->option;
    const char *at = text;
    nn_cmd_range value;
    bool fine = take_whole(&value.first, &at, o);
    value.last = value.first;
    if (fine && *at == '-') {
        at++;
        fine = take_whole(&value.last, &at, o) && value.last >= value.first;
    }
    if (!fine || *at) {
        nn_cmd_wrong_use(r->command->name,
                         "%s must be a whole number from %.10g to %.10g, or two of them, as 3-7, "
                         "not '%s'",
                         r->shown, o->least, o->most, text);
        return false;
    }
    *range = value;
    return true;
}

static bool read_threads(const reading *r, const char *text)
{
    double threads;
    if (!read_number(r, text, &threads)) return false;
    nn_cmd_set_threads(threads);
    return true;
}

static bool read_word(const reading *r, const char *text)
{
    if (is_word_of(r->option->value, text)) return true;
    nn_cmd_wrong_use(r->command->name, "%s must be one of %s, not '%s'", r->shown, r->option->value,
                     text);
    return false;
}

static bool read_progress(const reading *r, const char *text)
{
    if (!read_word(r, text)) return false;
    nn_cmd_progress_style(text);
    return true;
}

static bool read_value(const reading *r, const char *text)
{
    char *field = (char *)r->fields + r->option->offset;
    switch (r->option->type) {
    case NN_CMD_IS_FLAG: *(bool *)(void *)field = true; return true;
    case NN_CMD_IS_NUMBER:
    case NN_CMD_IS_WHOLE: return read_number(r, text, (double *)(void *)field);
    case NN_CMD_IS_RANGE: return read_range(r, text, (nn_cmd_range *)(void *)field);
    case NN_CMD_IS_QUIET: nn_cmd_be_quiet(); return true;
    case NN_CMD_IS_PROGRESS: return read_progress(r, text);
    case NN_CMD_IS_THREADS: return read_threads(r, text);
    case NN_CMD_IS_WORD:
        if (!read_word(r, text)) return false;
        break;
    case NN_CMD_IS_TEXT:
    case NN_CMD_IS_OUTPUT:
    case NN_CMD_IS_STREAM:
    case NN_CMD_IS_PRINTABLE:
        if (!*text) {
            nn_cmd_wrong_use(r->command->name, "%s needs a value", r->shown);
            return false;
        }
        break;
    }
    *(const char **)(void *)field = text;
    return strcmp(text, "-") != 0 || read_dash(r, (const char **)(void *)field);
}

/* A value that is an argument of its own. */
static bool read_next(const reading *r, int argc, char **argv, int *i)
{
    if (*i + 1 >= argc) {
        nn_cmd_wrong_use(r->command->name, "%s needs a value", r->shown);
        return false;
    }
    return read_value(r, argv[++*i]);
}

/* "--name", "--name value" or "--name=value". */
static bool read_long(reading *r, int argc, char **argv, int *i)
{
    const char *argument = argv[*i], *name = argument + 2;
    size_t length = strcspn(name, "=");
    r->option = r->command->options;
    while (r->option->name &&
           (strlen(r->option->name) != length || memcmp(r->option->name, name, length) != 0))
        r->option++;
    if (!r->option->name) return complain_unknown(r, argument);
    snprintf(r->shown, sizeof r->shown, "--%s", r->option->name);
    if (name[length] == 0)
        return is_flag(r->option) ? read_value(r, NULL) : read_next(r, argc, argv, i);
    if (!is_flag(r->option)) return read_value(r, name + length + 1);
    nn_cmd_wrong_use(r->command->name, "%s takes no value", r->shown);
    return false;
}

/* "-a", several letters together, and at the last one's end, or in the next argument, its value. */
static bool read_short(reading *r, int argc, char **argv, int *i)
{
    for (const char *letter = argv[*i] + 1; *letter; letter++) {
        r->option = r->command->options;
        while (r->option->name && r->option->letter != *letter) r->option++;
        snprintf(r->shown, sizeof r->shown, "-%c", *letter);
        if (!r->option->name) return complain_unknown(r, r->shown);
        if (!is_flag(r->option))
            return letter[1] ? read_value(r, letter + 1) : read_next(r, argc, argv, i);
        if (!read_value(r, NULL)) return false;
    }
    return true;
}

static const char *text_of(const nn_cmd_option *o, const void *fields, nn_cmd_type type)
{
    if (o->type != type) return NULL;
    return *(const char *const *)(const void *)((const char *)fields + o->offset);
}

/* The file that an option is to write, NULL: none. */
static const char *output_of(const nn_cmd_option *o, const void *fields)
{
    const char *path = text_of(o, fields, NN_CMD_IS_OUTPUT);
    if (!path) path = text_of(o, fields, NN_CMD_IS_STREAM);
    if (path) return path;
    path = text_of(o, fields, NN_CMD_IS_PRINTABLE);
    return path && strcmp(path, "-") != 0 ? path : NULL;
}

/* No file that an option names for output may be another value or an operand. */
static bool check_files(const nn_cmd_command *command, const void *fields, int operands,
                        char **operand)
{
    fhola_status status = FHOLA_OK;
    for (const nn_cmd_option *o = command->options; o->name && status == FHOLA_OK; o++) {
        const char *path = output_of(o, fields);
        if (path) status = nn_cmd_claim_output(path);
    }
    for (const nn_cmd_option *o = command->options; o->name && status == FHOLA_OK; o++) {
        const char *path = text_of(o, fields, NN_CMD_IS_TEXT);
        if (path) status = nn_cmd_check_input(path);
    }
    for (int i = 0; i < operands && status == FHOLA_OK; i++)
        status = nn_cmd_check_input(operand[i]);
    if (status != FHOLA_OK) nn_cmd_wrong_use(command->name, "%s", fhola_detail());
    return status == FHOLA_OK;
}

bool nn_cmd_parse(const nn_cmd_command *command, void *fields, int *argc, char **argv)
{
    reading r = {command, NULL, "", fields};
    nn_cmd_set_running(command->name);
    bool options = true;
    int operands = 0;
    for (int i = 1; i < *argc; i++) {
        char *argument = argv[i];
        if (!options || argument[0] != '-' || !argument[1]) {
            argv[++operands] = argument;
        } else if (strcmp(argument, "--") == 0) {
            options = false;
        } else if (!(argument[1] == '-' ? read_long : read_short)(&r, *argc, argv, &i)) {
            return false;
        }
    }
    if (operands < command->least || operands > command->most) {
        nn_cmd_wrong_use(command->name, "%s expected, %d operand%s given", command->operands,
                         operands, operands == 1 ? "" : "s");
        return false;
    }
    *argc = operands + 1;
    return check_files(command, fields, operands, argv + 1);
}

/* ---- help ---- */

/* "  -o, --output FILE" with both columns as wide as they must be. */
static int describe(char *text, size_t room, const nn_cmd_option *o)
{
    const char *gap = o->value ? " " : "", *value = o->value ? o->value : "";
    if (o->letter) return snprintf(text, room, "  -%c, --%s%s%s", o->letter, o->name, gap, value);
    return snprintf(text, room, "      --%s%s%s", o->name, gap, value);
}

static void print_option(const nn_cmd_option *o, int width)
{
    char text[128];
    describe(text, sizeof text, o);
    printf("%-*s  ", width, text);
    for (const char *c = o->help; *c; c++) {
        putchar(*c);
        if (*c == '\n') printf("%*s", width + 2, "");
    }
    putchar('\n');
}

/* Lines, indented. */
static void print_lines(const char *lines)
{
    while (*lines) {
        size_t length = strcspn(lines, "\n");
        printf("  %.*s\n", (int)length, lines);
        lines += length + (lines[length] != 0);
    }
}

void nn_cmd_print_help(const nn_cmd_command *c)
{
    static const nn_cmd_option help = {"help", 'h', NN_CMD_IS_FLAG, 0, NULL, 0, 0, "print this"};
    char text[128];
    int width = describe(text, sizeof text, &help);
    printf("usage: fhola %s %s%s[OPTION...]\n\n%c%s.\n\nOptions:\n", c->name, c->usage,
           *c->usage ? " " : "", toupper((unsigned char)*c->purpose), c->purpose + 1);
    for (const nn_cmd_option *o = c->options; o->name; o++) {
        int w = describe(text, sizeof text, o);
        if (w > width) width = w;
    }
    for (const nn_cmd_option *o = c->options; o->name; o++) print_option(o, width);
    print_option(&help, width);
    if (c->notes) printf("\n%s\n", c->notes);
    printf("\nExamples:\n");
    print_lines(c->examples);
    if (c->page)
        printf("\nMore: man %s\n", c->page);
    else
        printf("\nMore: man fhola-%s\n", c->name);
}
