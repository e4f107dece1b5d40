/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "nn/cmd/serve/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define LINE 2048

/* One write: lines of several threads do not mix. */
void serve_log(const char *event, const char *format, ...)
{
    char line[LINE], moment[32];
    struct timespec now;
    struct tm utc;
    va_list args;
    clock_gettime(CLOCK_REALTIME, &now);
    if (!gmtime_r(&now.tv_sec, &utc) || !strftime(moment, sizeof moment, "%Y-%m-%dT%H:%M:%S", &utc))
        moment[0] = 0;
    int length = snprintf(line, sizeof line, "time=%s.%03dZ event=%s ", moment,
                          (int)(now.tv_nsec / 1000000), event);
    va_start(args, format);
    (void)vsnprintf(line + length, sizeof line - (size_t)length, format, args);
    va_end(args);
    fprintf(stderr, "%s\n", line);
}

void serve_log_quote(char *out, size_t room, const char *text)
{
    fhola_escape(out, room - 3, text);
    for (char *c = out; *c; c++)
        if (*c == '"') *c = '\'';
    size_t length = strlen(out);
    memmove(out + 1, out, length);
    out[0] = '"';
    out[length + 1] = '"';
    out[length + 2] = 0;
}
