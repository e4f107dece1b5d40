/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L

#include "nn/cmd/cmd.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATH_ROOM 4096u

int nn_cmd_wrong_use(const char *command, const char *format, ...)
{
    va_list args;
    nn_cmd_progress_end();
    fprintf(stderr, "fhola %s: ", command);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "\nTry 'fhola help %s'.\n", command);
    return NN_CMD_WRONG_USE;
}

int nn_cmd_finish(const char *command, fhola_status status)
{
    if (status == FHOLA_OK)
        return 0;
    nn_cmd_progress_end();
    fprintf(stderr, "fhola %s: %s: %s\n", command, fhola_strerror(status), fhola_detail());
    return 1 + (int)status;
}

bool nn_cmd_number(const char *command, const char *option, const char *text, double least, double most, double *number)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !(value >= least && value <= most)) {
        nn_cmd_wrong_use(command, "%s must be a number from %g to %g, not '%s'", option, least, most, text);
        return false;
    }
    *number = value;
    return true;
}

/* ---- bundled models ---- */

static bool is_bundled_name(const char *name)
{
    return *name && !strpbrk(name, "/.");
}

fhola_status nn_cmd_find_model(nn_model **model, const char *name)
{
    char path[PATH_ROOM];
    if (!is_bundled_name(name))
        return nn_model_load(model, name, NULL);
    nn_cmd_bundled(path, sizeof path, "models", name, ".safetensors");
    fhola_status status = nn_model_load(model, path, NULL);
    return status == FHOLA_IO ? fhola_fail(FHOLA_IO, "no bundled model %s: %s (files are named with a '/' or a '.')", name, fhola_detail()) : status;
}

fhola_status nn_cmd_find_plan(nn_plan **plan, const char *path, const char *name, const nn_model *model)
{
    char bundled[PATH_ROOM];
    if (path)
        return nn_plan_load(plan, path, model);
    if (!is_bundled_name(name))
        return FHOLA_OK;
    nn_cmd_bundled(bundled, sizeof bundled, "models", name, ".plan");
    return nn_plan_load(plan, bundled, model);
}

/* ---- output ---- */

static bool progress_shown;

void nn_cmd_progress(void *user, const char *step, size_t done, size_t total)
{
    if (!isatty(STDERR_FILENO))
        return;
    fprintf(stderr, "\r\033[Kfhola %s: %s %zu of %zu", (const char *)user, step, done, total);
    fflush(stderr);
    progress_shown = true;
}

void nn_cmd_progress_end(void)
{
    if (progress_shown)
        fprintf(stderr, "\r\033[K");
    progress_shown = false;
}

void nn_cmd_json_number(double number)
{
    if (isfinite(number))
        printf("%.10g", number);
    else
        printf("null");
}
