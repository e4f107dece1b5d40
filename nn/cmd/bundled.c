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
#include "nn/cmd/spec.h"

#define MAX_WEIGHTS     ((size_t)1 << 30)
#define NAMES           64u
#define LONGEST_PICTURE 64u /* bytes of a name */

/* Whether this program stands in its build folder, *root, where configure has made links to what
 * is bundled. An installed one does not: *root is then what stands before the folders it was
 * configured for, where it was installed below another root (DESTDIR) or moved. */
static bool in_build_folder(char root[NN_CMD_PATH_ROOM])
{
    static const char bin[] = FHOLA_BINDIR, links[] = "/bundled";
    char path[NN_CMD_PATH_ROOM + sizeof links];
    ssize_t length = readlink("/proc/self/exe", root, NN_CMD_PATH_ROOM - 1);
    root[length < 0 ? 0 : length] = 0;
    char *slash = strrchr(root, '/');
    if (slash) *slash = 0;
    size_t folder = strlen(root);
    if (folder >= sizeof bin - 1 && strcmp(root + folder - (sizeof bin - 1), bin) == 0) {
        root[folder - (sizeof bin - 1)] = 0;
        return false;
    }
    snprintf(path, sizeof path, "%s%s", root, links);
    if (folder && access(path, R_OK) == 0) return true;
    root[0] = 0;
    return false;
}

void nn_cmd_bundled(char *path, size_t room, const char *folder, const char *name,
                    const char *suffix)
{
    char root[NN_CMD_PATH_ROOM];
    const char *files = in_build_folder(root) ? "/bundled" : FHOLA_PKGDATADIR;
    snprintf(path, room, "%s%s/%s/%s%s", root, files, folder, name, suffix);
}

bool nn_cmd_is_bundled(const char *name)
{
    return *name && strcmp(name, "-") != 0 && !strpbrk(name, "/.");
}

/* Names of the bundled files of a folder that end so, sorted; the number of them. */
static size_t list_files(const char *list[NAMES], const char *folder_name, const char *end)
{
    static char names[NAMES][64];
    char folder[NN_CMD_PATH_ROOM];
    size_t count = 0;
    nn_cmd_bundled(folder, sizeof folder, folder_name, "", "");
    DIR *directory = opendir(folder);
    for (struct dirent *entry; directory && count < NAMES && (entry = readdir(directory));) {
        const char *suffix = strstr(entry->d_name, end);
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

static void print_names(const char *folder, const char *suffix)
{
    const char *list[NAMES];
    size_t count = list_files(list, folder, suffix);
    for (size_t i = 0; i < count; i++) printf(i ? " %s" : "%s", list[i]);
}

void nn_cmd_print_models(void)
{
    print_names("models", ".safetensors");
}

void nn_cmd_print_pictures(void)
{
    print_names("pictures", ".ppm");
}

const char *nn_cmd_find_picture(char room[NN_CMD_PATH_ROOM], const char *path)
{
    static const char suffix[] = ".ppm";
    char stem[LONGEST_PICTURE + sizeof suffix];
    size_t length = strlen(path);
    if (length > sizeof stem - 1 || strchr(path, '/') || strcmp(path, "-") == 0) return path;
    if (access(path, F_OK) == 0) return path;
    memcpy(stem, path, length + 1);
    if (length >= strlen(suffix) && strcmp(stem + length - strlen(suffix), suffix) == 0)
        stem[length - strlen(suffix)] = 0;
    nn_cmd_bundled(room, NN_CMD_PATH_ROOM, "pictures", stem, suffix);
    if (access(room, R_OK) != 0) return path;
    nn_cmd_note("%s: no such file here, this is the bundled picture", path);
    return room;
}

static fhola_status no_such_model(const char *name)
{
    const char *list[NAMES];
    size_t count = list_files(list, "models", ".safetensors");
    const char *nearest = nn_cmd_nearest(name, list, count);
    if (nearest)
        return fhola_fail(
            FHOLA_IO,
            "no bundled model '%s'; did you mean '%s'? (files are named with a '/' or a '.')", name,
            nearest);
    return fhola_fail(FHOLA_IO, "no bundled model '%s' (files are named with a '/' or a '.')",
                      name);
}

static bool is_given(const nn_cmd_metadata *m)
{
    return m && (m->mean || m->std || m->classes || m->bn_eps > 0);
}

/* Weights or a compiled network, whichever the file holds. */
static fhola_status load_file(nn_cmd_network *n, const char *path, const nn_cmd_metadata *metadata)
{
    nn_cmd_source source;
    fhola_status status = nn_cmd_check_input(path);
    if (status != FHOLA_OK) return status;
    status = nn_cmd_source_open(&source, path, MAX_WEIGHTS);
    if (status == FHOLA_OK && source.reader && is_given(metadata))
        status = fhola_fail(
            FHOLA_PARAM,
            "%s: a compiled network has its mean, deviation, class names and folded batch norms "
            "already",
            source.name);
    else if (status == FHOLA_OK && source.reader)
        status = nn_compiled_read(&n->model, &n->plan, &n->params, source.reader);
    else if (status == FHOLA_OK)
        status =
            nn_cmd_decode_weights(&n->model, source.bytes, source.length, source.name, metadata);
    nn_cmd_source_close(&source);
    return status;
}

static fhola_status load_any(nn_cmd_network *n, const char *name, const nn_cmd_metadata *metadata)
{
    char path[NN_CMD_PATH_ROOM];
    if (!nn_cmd_is_bundled(name)) return load_file(n, name, metadata);
    nn_cmd_bundled(path, sizeof path, "models", name, ".safetensors");
    return access(path, F_OK) == 0 ? load_file(n, path, metadata) : no_such_model(name);
}

fhola_status nn_cmd_find_model(nn_model **model, const char *name, const nn_cmd_metadata *metadata)
{
    nn_cmd_network n = {NULL, NULL, NULL};
    fhola_status status = load_any(&n, name, metadata);
    if (status == FHOLA_OK) {
        *model = n.model;
        n.model = NULL;
    }
    nn_cmd_network_clear(&n);
    return status;
}

fhola_status nn_cmd_set_function(nn_model *model, const char *name)
{
    if (strcmp(name, "-") != 0) return nn_model_set_function(model, name);
    fhola_status status = nn_cmd_take_standard_input();
    return status == FHOLA_OK ? nn_model_set_function(model, "/dev/stdin") : status;
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

fhola_status nn_cmd_find_network(nn_cmd_network *network, const char *name,
                                 const nn_cmd_metadata *metadata, const char *plan_path)
{
    char beside[NN_CMD_PATH_ROOM];
    *network = (nn_cmd_network){NULL, NULL, NULL};
    fhola_status status = load_any(network, name, metadata);
    if (status != FHOLA_OK) return status;
    if (plan_path) {
        nn_plan_free(network->plan);
        network->plan = NULL;
        return nn_cmd_load_plan(&network->plan, plan_path, network->model);
    }
    plan_beside(beside, sizeof beside, name);
    if (network->plan || strcmp(name, "-") == 0 || access(beside, F_OK) != 0) return FHOLA_OK;
    status = nn_cmd_check_input(beside);
    return status == FHOLA_OK ? nn_plan_load(&network->plan, beside, network->model) : status;
}

fhola_status nn_cmd_load_network(nn_cmd_network *network, const char *name,
                                 const nn_cmd_metadata *metadata, const char *plan_path,
                                 const char *params_name)
{
    fhola_status status = nn_cmd_find_network(network, name, metadata, plan_path);
    if (status == FHOLA_OK && !network->plan) {
        char beside[NN_CMD_PATH_ROOM];
        plan_beside(beside, sizeof beside, name);
        status = fhola_fail(FHOLA_IO, "no plan for %s: there is no %s ('fhola plan' makes one)",
                            name, beside);
    }
    if (status != FHOLA_OK) return status;
    if (!params_name && network->params) return FHOLA_OK;
    ckks_params_destroy(network->params);
    network->params = NULL;
    return nn_cmd_params_find(&network->params, params_name ? params_name : NN_CMD_PARAMS);
}

fhola_status nn_cmd_set_batch(nn_plan *plan, double batch)
{
    unsigned pictures = 1;
    while (pictures < batch) pictures *= 2;
    return batch > 0 ? nn_plan_set_pictures(plan, pictures) : FHOLA_OK;
}

void nn_cmd_network_clear(nn_cmd_network *network)
{
    ckks_params_destroy(network->params);
    nn_plan_free(network->plan);
    nn_model_free(network->model);
}
