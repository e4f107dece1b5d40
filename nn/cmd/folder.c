/* SPDX-License-Identifier: Apache-2.0 */
/* Folders of pictures, a folder for each class. */
#define _POSIX_C_SOURCE 200809L
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "nn/cmd/data.h"

/* Names in a folder, sorted byte by byte. */
typedef struct names {
    struct dirent **entry;
    size_t count;
} names;

bool nn_cmd_is_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

static int is_shown(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static int compare(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static fhola_status names_list(names *n, const char *path)
{
    int count = scandir(path, &n->entry, is_shown, compare);
    if (count < 0)
        return fhola_fail(errno == ENOMEM ? FHOLA_NOMEM : FHOLA_IO, "%s: %s", path,
                          strerror(errno));
    n->count = (size_t)count;
    return FHOLA_OK;
}

static void names_clear(names *n)
{
    for (size_t i = 0; i < n->count; i++) free(n->entry[i]);
    free(n->entry);
    *n = (names){NULL, 0};
}

/* To be freed; NULL: no memory. */
static char *join(const char *folder, const char *name)
{
    size_t length = strlen(folder) + strlen(name) + 2;
    char *path = malloc(length);
    if (path) (void)snprintf(path, length, "%s/%s", folder, name);
    return path;
}

/* ---- classes ---- */

/* Whether the model's classes are called "0", "1", ..., as without names. */
static bool has_numbers(const nn_model *model, size_t classes)
{
    char number[24];
    for (size_t i = 0; i < classes; i++) {
        (void)snprintf(number, sizeof number, "%zu", i);
        if (strcmp(nn_model_class(model, i), number) != 0) return false;
    }
    return true;
}

/* The class of this name; `classes`: there is none. */
static size_t find_class(const nn_model *model, size_t classes, const char *name)
{
    size_t i = 0;
    while (i < classes && strcmp(nn_model_class(model, i), name) != 0) i++;
    return i;
}

/* label[i]: of folder i. */
static fhola_status label_folders(unsigned *label, const names *folders, const nn_model *model,
                                  const char *path)
{
    nn_model_info info;
    for (size_t i = 0; i < folders->count; i++) label[i] = (unsigned)i;
    if (!model) return FHOLA_OK;
    nn_model_describe(model, &info);
    if (folders->count > info.classes)
        return fhola_fail(FHOLA_FORMAT, "%s: %zu folders, the network has %zu classes", path,
                          folders->count, info.classes);
    /* as frameworks number folders, whatever they are called */
    if (has_numbers(model, info.classes)) return FHOLA_OK;
    for (size_t i = 0; i < folders->count; i++) {
        const char *name = folders->entry[i]->d_name;
        size_t class = find_class(model, info.classes, name);
        if (class == info.classes)
            return fhola_fail(FHOLA_FORMAT,
                              "%s: the folder '%s' is no class of the network ('%s' is one); "
                              "--classes says how they are called",
                              path, name, nn_model_class(model, 0));
        label[i] = (unsigned)class;
    }
    return FHOLA_OK;
}

/* ---- files ---- */

/* What is listed of a folder of folders. */
typedef struct listing {
    const char *path;
    names folders, *files; /* files of each folder */
    unsigned *label;       /* of each folder */
    size_t most, count;    /* files of the fullest folder; of all */
} listing;

/* Other files beside the folders do not matter. */
static void keep_folders(names *folders, const char *path)
{
    size_t kept = 0;
    for (size_t i = 0; i < folders->count; i++) {
        char *full = join(path, folders->entry[i]->d_name);
        if (!full || nn_cmd_is_folder(full)) /* what cannot be asked fails where it is read */
            folders->entry[kept++] = folders->entry[i];
        else
            free(folders->entry[i]);
        free(full);
    }
    folders->count = kept;
}

static fhola_status list_files(listing *l)
{
    for (size_t i = 0; i < l->folders.count; i++) {
        char *full = join(l->path, l->folders.entry[i]->d_name);
        if (!full) return fhola_fail(FHOLA_NOMEM, "no memory for the folder %s", l->path);
        fhola_status status = names_list(&l->files[i], full);
        free(full);
        if (status != FHOLA_OK) return status;
        l->count += l->files[i].count;
        if (l->files[i].count > l->most) l->most = l->files[i].count;
    }
    if (l->count) return FHOLA_OK;
    return fhola_fail(FHOLA_FORMAT, "%s: no files in its folders", l->path);
}

static fhola_status list(listing *l, const nn_model *model)
{
    FHOLA_TRY(names_list(&l->folders, l->path));
    keep_folders(&l->folders, l->path);
    size_t count = l->folders.count;
    if (count == 0)
        return fhola_fail(FHOLA_FORMAT,
                          "%s: a folder without folders; pictures are in one for each class",
                          l->path);
    l->files = calloc(count, sizeof *l->files);
    l->label = calloc(count, sizeof *l->label);
    if (!l->files || !l->label) return fhola_fail(FHOLA_NOMEM, "no memory for %zu folders", count);
    FHOLA_TRY(label_folders(l->label, &l->folders, model, l->path));
    return list_files(l);
}

static void listing_clear(listing *l)
{
    for (size_t i = 0; l->files && i < l->folders.count; i++) names_clear(&l->files[i]);
    names_clear(&l->folders);
    free(l->files);
    free(l->label);
}

/* The first file of every folder, then the second, and so on: any part of the records has all
 * classes in it. */
static fhola_status interleave(nn_cmd_folder *folder, const listing *l)
{
    folder->path = calloc(l->count, sizeof *folder->path);
    folder->label = calloc(l->count, sizeof *folder->label);
    if (!folder->path || !folder->label)
        return fhola_fail(FHOLA_NOMEM, "no memory for %zu files", l->count);
    for (size_t k = 0; k < l->most; k++) {
        for (size_t i = 0; i < l->folders.count; i++) {
            if (k >= l->files[i].count) continue;
            char *class = join(l->path, l->folders.entry[i]->d_name);
            char *path = class ? join(class, l->files[i].entry[k]->d_name) : NULL;
            free(class);
            if (!path) return fhola_fail(FHOLA_NOMEM, "no memory for %zu files", l->count);
            folder->path[folder->count] = path;
            folder->label[folder->count++] = l->label[i];
        }
    }
    return FHOLA_OK;
}

fhola_status nn_cmd_folder_list(nn_cmd_folder *folder, const char *path, const nn_model *model)
{
    listing l = {.path = path};
    *folder = (nn_cmd_folder){NULL, NULL, 0};
    fhola_status status = list(&l, model);
    if (status == FHOLA_OK) status = interleave(folder, &l);
    listing_clear(&l);
    return status;
}

void nn_cmd_folder_clear(nn_cmd_folder *folder)
{
    for (size_t i = 0; i < folder->count; i++) free(folder->path[i]);
    free(folder->path);
    free(folder->label);
    *folder = (nn_cmd_folder){NULL, NULL, 0};
}
