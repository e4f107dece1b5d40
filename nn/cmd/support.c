/* SPDX-License-Identifier: Apache-2.0 */
/* Messages, scores and JSON. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "nn/cmd/cmd.h"

/* ---- messages ---- */

bool nn_cmd_is_screen(int descriptor)
{
    const char *term = getenv("TERM");
    return isatty(descriptor) && term && strcmp(term, "dumb") != 0;
}

bool nn_cmd_colours(int descriptor)
{
    const char *plain = getenv("NO_COLOR");
    return nn_cmd_is_screen(descriptor) && !(plain && *plain);
}

static void begin_message(const char *command)
{
    nn_cmd_progress_end();
    fprintf(stderr,
            nn_cmd_colours(STDERR_FILENO) ? "\033[1;31mfhola %s:\033[0m " : "fhola %s: ", command);
}

void nn_cmd_show(FILE *stream, const char *text)
{
    size_t room = 4 * strlen(text) + 16; /* as if every byte were escaped */
    char *shown = malloc(room);
    if (shown) fhola_escape(shown, room, text);
    fputs(shown ? shown : "?", stream);
    free(shown);
}

/* A message of any length, escaped; `otherwise` without memory for it. */
static void FHOLA_PRINTF(1, 0) show_message(const char *format, va_list args, const char *otherwise)
{
    va_list again;
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    char *message = length < 0 ? NULL : malloc((size_t)length + 1);
    if (message) vsnprintf(message, (size_t)length + 1, format, again);
    va_end(again);
    nn_cmd_show(stderr, message ? message : otherwise);
    free(message);
}

int nn_cmd_wrong_use(const char *command, const char *format, ...)
{
    va_list args;
    begin_message(command);
    va_start(args, format);
    show_message(format, args, "wrong usage");
    va_end(args);
    fprintf(stderr, "\nTry 'fhola help %s'.\n", command);
    return NN_CMD_WRONG_USE;
}

int nn_cmd_finish(const char *command, fhola_status status)
{
    nn_cmd_progress_end();
    if (status == FHOLA_OK) return 0;
    begin_message(command);
    fprintf(stderr, "%s: %s\n", fhola_strerror(status), fhola_detail());
    return 1 + (int)status;
}

static bool quiet;
static const char *running = "";

const char *nn_cmd_running(void)
{
    return running;
}

void nn_cmd_set_running(const char *command)
{
    running = command;
}

void nn_cmd_be_quiet(void)
{
    quiet = true;
    nn_cmd_progress_style("none");
}

bool nn_cmd_is_quiet(void)
{
    return quiet;
}

void nn_cmd_note(const char *format, ...)
{
    va_list args;
    if (quiet) return;
    nn_cmd_progress_end();
    fprintf(stderr, "fhola %s: ", running);
    va_start(args, format);
    show_message(format, args, "a note");
    va_end(args);
    fputc('\n', stderr);
}

double nn_cmd_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void nn_cmd_progress_step(const nn_network *network, size_t layer, nn_step step, size_t done,
                          size_t total)
{
    char detail[96];
    snprintf(detail, sizeof detail, "layer %zu of %zu, %s", layer + 1,
             nn_network_layers(network) + 1, nn_step_name(step));
    nn_cmd_progress_at("layers", done, total, detail);
}

/* ---- files ---- */

void nn_cmd_print_size(FILE *stream, double bytes)
{
    if (bytes < 1e6)
        fprintf(stream, "%.0f KB", bytes / 1e3);
    else
        fprintf(stream, "%.1f MB", bytes / 1e6);
}

double nn_cmd_peak_mib(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (double)usage.ru_maxrss / 1024 : NAN;
}

/* ---- scores ---- */

/* Indices of the classes, best score first. */
static void rank(size_t *index, const double *score, size_t classes)
{
    for (size_t i = 0; i < classes; i++) {
        size_t at = i;
        for (; at > 0 && score[index[at - 1]] < score[i]; at--) index[at] = index[at - 1];
        index[at] = i;
    }
}

fhola_status nn_cmd_print_scores(const nn_client *client, const double *scores, double top,
                                 bool json)
{
    size_t classes = nn_client_classes(client),
           shown = top < (double)classes ? (size_t)top : classes;
    size_t *index = calloc(classes, sizeof *index);
    if (!index) return fhola_fail(FHOLA_NOMEM, "no memory to sort %zu scores", classes);
    rank(index, scores, classes);
    if (json) {
        printf("\"class\": ");
        nn_cmd_json_string(nn_client_class(client, index[0]));
        printf(", \"top\": [");
    }
    for (size_t i = 0; i < shown; i++) {
        if (json) {
            printf(i ? ", {\"name\": " : "{\"name\": ");
            nn_cmd_json_string(nn_client_class(client, index[i]));
            printf(", \"score\": %.2f}", scores[index[i]]);
        } else {
            printf("%-16s %8.2f\n", nn_client_class(client, index[i]), scores[index[i]]);
        }
    }
    if (json) printf("]");
    free(index);
    return FHOLA_OK;
}

/* ---- JSON ---- */

void nn_cmd_json_number(double number)
{
    if (isfinite(number))
        printf("%.10g", number);
    else
        printf("null");
}

/* The code of a character of 2 or 3 bytes. */
static unsigned code_of(const char *character, size_t bytes)
{
    unsigned code = (unsigned char)character[0] & (bytes == 2 ? 0x1fu : 0x0fu);
    for (size_t i = 1; i < bytes; i++) code = code << 6 | ((unsigned char)character[i] & 0x3fu);
    return code;
}

void nn_cmd_json_string(const char *string)
{
    size_t length = strlen(string), bytes;
    putchar('"');
    for (size_t at = 0; at < length; at += bytes ? bytes : 1) {
        const char *c = string + at;
        bytes = fhola_utf8_length(c, length - at);
        if (!bytes)
            printf("\\ufffd"); /* JSON is UTF-8: no place for other bytes */
        else if (*c == '"' || *c == '\\')
            printf("\\%c", *c);
        else if (fhola_is_printable(c, bytes))
            fwrite(c, 1, bytes, stdout);
        else
            printf("\\u%04x", bytes == 1 ? (unsigned)(unsigned char)*c : code_of(c, bytes));
    }
    putchar('"');
}
