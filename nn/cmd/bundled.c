/* SPDX-License-Identifier: Apache-2.0 */
/* Where models are: the bundled ones by their names, weights with a plan beside them, compiled
 * networks. */
#define _POSIX_C_SOURCE 200809L
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ckks/ckks.h"
#include "nn/cmd/cmd.h"

#define PATH_ROOM 4096u
#define NAMES     64u

/* Whether this program is an installed one; or the source tree is gone, then it must be. *root:
 * what stands before the folders it was configured for, where it was installed below another root
 * (DESTDIR) or moved. */
static bool installed(char root[PATH_ROOM])
{
    static const char bin[] = FHOLA_BINDIR;
    root[0] = 0;
    ssize_t length = readlink("/proc/self/exe", root, PATH_ROOM - 1);
    root[length < 0 ? 0 : length] = 0;
    char *slash = strrchr(root, '/');
    if (slash) *slash = 0;
    size_t folder = strlen(root);
    if (folder >= sizeof bin - 1 && strcmp(root + folder - (sizeof bin - 1), bin) == 0) {
        root[folder - (sizeof bin - 1)] = 0;
        return true;
    }
    root[0] = 0;
    return access(FHOLA_SOURCEDIR "/nn/models", R_OK) != 0;
}

void nn_cmd_bundled(char *path, size_t room, const char *folder, const char *name,
                    const char *suffix)
{
    char root[PATH_ROOM];
    if (installed(root))
        snprintf(path, room, "%s%s/%s/%s%s", root, FHOLA_PKGDATADIR, folder, name, suffix);
    else
        snprintf(path, room, "%s/nn/%s/%s%s", FHOLA_SOURCEDIR,
                 strcmp(folder, "pictures") == 0 ? "data" : folder, name, suffix);
}

bool nn_cmd_is_bundled(const char *name)
{
    return *name && !strpbrk(name, "/.");
}

/* Names of the bundled models, sorted; the number of them. */
static size_t list_models(const char *list[NAMES])
{
    static char names[NAMES][64];
    char folder[PATH_ROOM];
    size_t count = 0;
    nn_cmd_bundled(folder, sizeof folder, "models", "", "");
    DIR *directory = opendir(folder);
    for (struct dirent *entry; directory && count < NAMES && (entry = readdir(directory));) {
        const char *suffix = strstr(entry->d_name, ".safetensors");
        size_t length = suffix ? (size_t)(suffix - entry->d_name) : 0, at = count;
        if (!length || length >= sizeof names[0]) continue;
        memcpy(names[count], entry->d_name, length);
        names[count][length] = 0;
        for (; at > 0 && strcmp(list[at - 1], names[count]) > 0; at--) list[at] = list[at - 1];
        list[at] = names[count++];
    }
    if (directory) (void)closedir(directory);
    return count;
}

void nn_cmd_print_models(void)
{
    const char *list[NAMES];
    size_t count = list_models(list);
    for (size_t i = 0; i < count; i++) printf(i ? " %s" : "%s", list[i]);
}

static fhola_status no_such_model(const char *name)
{
    const char *list[NAMES];
    size_t count = list_models(list);
    const char *nearest = nn_cmd_nearest(name, list, count);
    if (nearest)
        return fhola_fail(
            FHOLA_IO,
            "no bundled model '%s'; did you mean '%s'? (files are named with a '/' or a '.')", name,
            nearest);
    return fhola_fail(FHOLA_IO, "no bundled model '%s' (files are named with a '/' or a '.')",
                      name);
}

static bool is_compiled(const char *name)
{
    unsigned char first = 0;
    FILE *file = fopen(name, "rb");
    bool found = file && fread(&first, 1, 1, file) == 1 && first == 0x89;
    if (file) (void)fclose(file);
    return found;
}

fhola_status nn_cmd_find_model(nn_model **model, const char *name, const nn_cmd_metadata *metadata)
{
    char path[PATH_ROOM];
    if (nn_cmd_is_bundled(name)) {
        nn_cmd_bundled(path, sizeof path, "models", name, ".safetensors");
        return access(path, F_OK) == 0 ? nn_cmd_load_weights(model, path, metadata)
                                       : no_such_model(name);
    }
    if (!is_compiled(name)) return nn_cmd_load_weights(model, name, metadata);
    if (metadata && (metadata->mean || metadata->std || metadata->classes || metadata->bn_eps > 0))
        return fhola_fail(FHOLA_PARAM,
                          "%s: a compiled network has its mean, deviation, class names and folded "
                          "batch norms already",
                          name);
    nn_cmd_network n = {NULL, NULL, NULL};
    fhola_status status = nn_cmd_check_input(name);
    if (status == FHOLA_OK) status = nn_compiled_load(&n.model, &n.plan, &n.params, name);
    if (status == FHOLA_OK) {
        *model = n.model;
        n.model = NULL;
    }
    nn_cmd_network_clear(&n);
    return status;
}

/* The plan's usual place: the model's path with .plan for its suffix. */
static void plan_beside(char *path, size_t room, const char *name)
{
    if (nn_cmd_is_bundled(name)) {
        nn_cmd_bundled(path, room, "models", name, ".plan");
        return;
    }
    const char *slash = strrchr(name, '/'), *dot = strrchr(name, '.');
    int stem = (int)(dot && (!slash || dot > slash) ? (size_t)(dot - name) : strlen(name));
    snprintf(path, room, "%.*s.plan", stem, name);
}

fhola_status nn_cmd_find_plan(nn_plan **plan, const char *plan_path, const char *name,
                              const nn_model *model)
{
    char beside[PATH_ROOM];
    if (plan_path) return nn_plan_load(plan, plan_path, model);
    if (nn_cmd_is_bundled(name) || !is_compiled(name)) {
        plan_beside(beside, sizeof beside, name);
        if (access(beside, F_OK) != 0) return FHOLA_OK;
        fhola_status status = nn_cmd_check_input(beside);
        return status == FHOLA_OK ? nn_plan_load(plan, beside, model) : status;
    }
    nn_cmd_network n = {NULL, NULL, NULL};
    fhola_status status = nn_compiled_load(&n.model, &n.plan, &n.params, name);
    if (status == FHOLA_OK) {
        *plan = n.plan;
        n.plan = NULL;
    }
    nn_cmd_network_clear(&n);
    return status;
}

/* ---- with parameters ---- */

static fhola_status find_params(ckks_params **params, const char *name)
{
    if (nn_cmd_is_bundled(name) || !is_compiled(name))
        return ckks_params_named(params, NN_CMD_PARAMS);
    nn_cmd_network n = {NULL, NULL, NULL};
    fhola_status status = nn_compiled_load(&n.model, &n.plan, params, name);
    nn_cmd_network_clear(&n);
    return status;
}

fhola_status nn_cmd_load_network(nn_cmd_network *network, const char *name,
                                 const nn_cmd_metadata *metadata, const char *plan_path,
                                 const char *params_name)
{
    *network = (nn_cmd_network){NULL, NULL, NULL};
    fhola_status status = nn_cmd_find_model(&network->model, name, metadata);
    if (status == FHOLA_OK)
        status = nn_cmd_find_plan(&network->plan, plan_path, name, network->model);
    if (status == FHOLA_OK && !network->plan) {
        char beside[PATH_ROOM];
        plan_beside(beside, sizeof beside, name);
        status = fhola_fail(FHOLA_IO, "no plan for %s: there is no %s ('fhola plan' makes one)",
                            name, beside);
    }
    if (status != FHOLA_OK) return status;
    return params_name ? ckks_params_named(&network->params, params_name)
                       : find_params(&network->params, name);
}

void nn_cmd_network_clear(nn_cmd_network *network)
{
    ckks_params_destroy(network->params);
    nn_plan_free(network->plan);
    nn_model_free(network->model);
}
