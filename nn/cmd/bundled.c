/* SPDX-License-Identifier: Apache-2.0 */
/* Where the bundled models and pictures are, and a model with its plan. */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "nn/cmd/cmd.h"

#define PATH_ROOM 4096u

/* Whether this program is the installed one, or the source tree is gone: then its files are the installed ones. */
static int installed(void)
{
    char path[PATH_ROOM];
    size_t prefix = strlen(FHOLA_BINDIR);
    if (access(FHOLA_SOURCEDIR "/nn/models", R_OK) != 0) return 1;
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return strncmp(path, FHOLA_BINDIR, prefix) == 0 && path[prefix] == '/';
}

void nn_cmd_bundled(char *path, size_t room, const char *folder, const char *name, const char *suffix)
{
    if (installed())
        snprintf(path, room, "%s/%s/%s%s", FHOLA_PKGDATADIR, folder, name, suffix);
    else
        snprintf(path, room, "%s/nn/%s/%s%s", FHOLA_SOURCEDIR, strcmp(folder, "pictures") == 0 ? "data" : folder, name, suffix);
}

/* The model's path with .plan for its suffix. */
static void plan_beside(char *path, size_t room, const char *model_path)
{
    const char *slash = strrchr(model_path, '/'), *dot = strrchr(model_path, '.');
    int stem = (int)(dot && (!slash || dot > slash) ? (size_t)(dot - model_path) : strlen(model_path));
    snprintf(path, room, "%.*s.plan", stem, model_path);
}

fhola_status nn_cmd_load_model(nn_model **model, nn_plan **plan, const char *model_name, const char *plan_path)
{
    char beside[PATH_ROOM];
    nn_model *m = NULL;
    nn_plan *p = NULL;
    fhola_status status = nn_cmd_find_model(&m, model_name);
    if (status == FHOLA_OK) status = nn_cmd_find_plan(&p, plan_path, model_name, m);
    if (status == FHOLA_OK && !p) {
        plan_beside(beside, sizeof beside, model_name);
        status = nn_plan_load(&p, beside, m);
    }
    if (status != FHOLA_OK) {
        nn_model_free(m);
        return status;
    }
    *model = m;
    *plan = p;
    return FHOLA_OK;
}
