/* SPDX-License-Identifier: Apache-2.0 */
#define _DEFAULT_SOURCE /* flock */
#include "nn/cmd/remote/folder.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "nn/cmd/remote/http.h"
#include "nn/cmd/stream.h"

#define SECRET_KEY    "secret.key"
#define EVAL_KEYS     "eval.keys"
#define SERVER_SECRET "server.secret"
#define LOCK          ".lock"
#define NAME_ROOM     64u

/* ---- names ---- */

static fhola_status join(char path[NN_CMD_PATH_ROOM], const char *folder, const char *name)
{
    int length = snprintf(path, NN_CMD_PATH_ROOM, "%s/%s", folder, name);
    if (length < 0 || (size_t)length >= NN_CMD_PATH_ROOM)
        return fhola_fail(FHOLA_PARAM, "%s/%s: too long a path", folder, name);
    return FHOLA_OK;
}

fhola_status remote_folder_path(const remote_folder *f, const char *name,
                                char path[NN_CMD_PATH_ROOM])
{
    return join(path, f->path, name);
}

/* Where the user's data are, by the XDG base directory specification. */
static fhola_status find_directory(char path[NN_CMD_PATH_ROOM], const char *directory)
{
    const char *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    int length = -1;
    if (directory)
        length = snprintf(path, NN_CMD_PATH_ROOM, "%s", directory);
    else if (data && *data == '/')
        length = snprintf(path, NN_CMD_PATH_ROOM, "%s/fhola", data);
    else if (home && *home == '/')
        length = snprintf(path, NN_CMD_PATH_ROOM, "%s/.local/share/fhola", home);
    else
        return fhola_fail(FHOLA_PARAM, "neither XDG_DATA_HOME nor HOME says where keys may be "
                                       "kept: --keys DIRECTORY does");
    if (length >= 0 && (size_t)length < NN_CMD_PATH_ROOM) return FHOLA_OK;
    return fhola_fail(FHOLA_PARAM, "the folder of keys: too long a path");
}

static void mix(uint64_t *hash, uint64_t value)
{
    for (unsigned i = 0; i < 8; i++) {
        *hash ^= value >> (8 * i) & 0xff;
        *hash *= UINT64_C(0x100000001b3);
    }
}

/* FNV-1a of parameters and list. It need not withstand anybody: keys that are another network's, or
 * do not cover its list, are refused when they are read. */
static uint64_t list_hash(const nn_owner *owner)
{
    const ckks_key_list *list = nn_client_keys(nn_owner_client(owner));
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    mix(&hash, ckks_params_hash(nn_owner_params(owner)));
    for (size_t i = 0; i < list->count; i++) {
        mix(&hash, list->request[i].kind);
        mix(&hash, list->request[i].rotation);
        mix(&hash, list->request[i].q);
        mix(&hash, list->request[i].p);
    }
    return hash;
}

/* ---- folders ---- */

/* And those above it that are not there, for the user only. */
static fhola_status make_folders(char path[NN_CMD_PATH_ROOM])
{
    for (char *c = path + 1;; c++) {
        if (*c && *c != '/') continue;
        const char end = *c;
        *c = 0;
        int made = mkdir(path, 0700);
        if (made != 0 && errno != EEXIST && (errno != EROFS && errno != EACCES))
            return fhola_fail(FHOLA_IO, "%s: %s", path, strerror(errno));
        *c = end;
        if (end) continue;
        if (made == 0 || access(path, W_OK | X_OK) == 0) return FHOLA_OK;
        return fhola_fail(FHOLA_IO, "%s: %s", path, strerror(errno));
    }
}

fhola_status remote_folder_lock(remote_folder *f)
{
    char path[NN_CMD_PATH_ROOM];
    FHOLA_TRY(join(path, f->path, LOCK));
    f->lock = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (f->lock < 0) return fhola_fail(FHOLA_IO, "%s: %s", path, strerror(errno));
    for (bool said = false; flock(f->lock, LOCK_EX | LOCK_NB) != 0; said = true) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return fhola_fail(FHOLA_IO, "%s: %s", path, strerror(errno));
        if (!said) nn_cmd_note("waiting for another program that has %s", f->path);
        FHOLA_TRY(remote_wait(0.2));
    }
    struct stat info;
    if (fstat(f->lock, &info) == 0 && info.st_nlink > 0) return FHOLA_OK;
    return fhola_fail(FHOLA_IO, "%s: removed by another program meanwhile", f->path);
}

void remote_folder_unlock(remote_folder *f)
{
    if (f->lock >= 0) (void)close(f->lock);
    f->lock = -1;
}

void remote_folder_close(remote_folder *f)
{
    remote_folder_unlock(f);
}

fhola_status remote_folder_open(remote_folder *f, const char *directory, const char *server,
                                const nn_owner *owner)
{
    char base[NN_CMD_PATH_ROOM], of_server[NN_CMD_PATH_ROOM], name[NAME_ROOM];
    f->lock = -1;
    FHOLA_TRY(find_directory(base, directory));
    FHOLA_TRY(join(of_server, base, server));
    snprintf(name, sizeof name, "%016" PRIx64, list_hash(owner));
    FHOLA_TRY(join(f->path, of_server, name));
    FHOLA_TRY(make_folders(f->path));
    return remote_folder_lock(f);
}

static bool is_there(const char *path)
{
    return access(path, F_OK) == 0;
}

/* ---- keys ---- */

static fhola_status open_secret(nn_owner **owner, const char *path)
{
    nn_owner *with = NULL;
    FHOLA_TRY(nn_owner_open_secret(&with, path));
    nn_owner_destroy(*owner);
    *owner = with;
    return FHOLA_OK;
}

/* Keys that were being made when the program was killed may have left the second of two files. */
static fhola_status generate(const remote_folder *f, nn_owner *owner, const char *secret,
                             double *seconds)
{
    char keys[NN_CMD_PATH_ROOM];
    uint64_t bytes = 0;
    FHOLA_TRY(join(keys, f->path, EVAL_KEYS));
    FHOLA_TRY(nn_owner_keys_bytes(&bytes, owner));
    if (unlink(keys) != 0 && errno != ENOENT)
        return fhola_fail(FHOLA_IO, "%s: %s", keys, strerror(errno));
    nn_cmd_note("%zu keys for the server, %.1f MB in all, go into %s",
                nn_client_keys(nn_owner_client(owner))->count, (double)bytes / 1e6, f->path);
    double start = nn_cmd_now();
    FHOLA_TRY(nn_owner_generate(owner, secret, keys, nn_cmd_count, NULL));
    *seconds = nn_cmd_now() - start;
    return FHOLA_OK;
}

/* The keys are those of a network with other weights. */
static fhola_status adopt(const remote_folder *f, nn_owner **owner, const char *secret)
{
    char path[NN_CMD_PATH_ROOM], name[NAME_ROOM];
    ckks_reader *other = NULL;
    snprintf(name, sizeof name, "%016" PRIx64 ".key", nn_owner_network(*owner));
    FHOLA_TRY(join(path, f->path, name));
    if (is_there(path)) return open_secret(owner, path);
    FHOLA_TRY(ckks_reader_open(&other, secret));
    fhola_status status = nn_owner_reuse_secret(*owner, other, path);
    ckks_reader_destroy(other);
    return status;
}

fhola_status remote_folder_keys(const remote_folder *f, nn_owner **owner, double *seconds)
{
    char secret[NN_CMD_PATH_ROOM];
    nn_owner *first = NULL;
    *seconds = 0;
    FHOLA_TRY(join(secret, f->path, SECRET_KEY));
    if (!is_there(secret)) {
        nn_cmd_leave("no keys are left in ", f->path);
        FHOLA_TRY(generate(f, *owner, secret, seconds));
        nn_cmd_leave("the keys stay in ", f->path);
        return FHOLA_OK;
    }
    nn_cmd_leave("the keys stay in ", f->path);
    FHOLA_TRY(nn_owner_open_secret(&first, secret));
    if (nn_owner_network(first) != nn_owner_network(*owner)) {
        nn_owner_destroy(first);
        return adopt(f, owner, secret);
    }
    nn_owner_destroy(*owner);
    *owner = first;
    return FHOLA_OK;
}

/* ---- the secret that the server gave ---- */

fhola_status remote_folder_read_secret(const remote_folder *f, char secret[REMOTE_SECRET_ROOM])
{
    char path[NN_CMD_PATH_ROOM];
    unsigned char *bytes = NULL;
    size_t length;
    *secret = 0;
    FHOLA_TRY(join(path, f->path, SERVER_SECRET));
    if (!is_there(path)) return FHOLA_OK;
    FHOLA_TRY(nn_cmd_read_input(&bytes, &length, path, REMOTE_SECRET_ROOM - 1));
    while (length && isspace(bytes[length - 1])) length--;
    memcpy(secret, bytes, length);
    secret[length] = 0;
    nn_cmd_free_input(bytes, length);
    return FHOLA_OK;
}

fhola_status remote_folder_write_secret(const remote_folder *f, const char *secret)
{
    char path[NN_CMD_PATH_ROOM];
    FHOLA_TRY(join(path, f->path, SERVER_SECRET));
    return nn_write_private(path, secret, strlen(secret));
}

/* ---- removing ---- */

/* The id in the head of a secret key; 0: there is none. */
static fhola_status key_of(uint64_t *key, const remote_folder *f)
{
    char path[NN_CMD_PATH_ROOM];
    ckks_reader *reader = NULL;
    *key = 0;
    FHOLA_TRY(join(path, f->path, SECRET_KEY));
    if (!is_there(path)) return FHOLA_OK;
    FHOLA_TRY(ckks_reader_open(&reader, path));
    fhola_status status = ckks_reader_peek(reader, NULL, CKKS_FILE_SECRET_KEY);
    if (status == FHOLA_OK) *key = ckks_reader_head(reader).key;
    ckks_reader_destroy(reader);
    return status;
}

/* Exactly the files that are made here, and what a program that was killed in the making has left
 * of them ("NAME.PID-N.tmp"). */
static bool is_ours(const char *name)
{
    static const char *const names[] = {SECRET_KEY, EVAL_KEYS, SERVER_SECRET, LOCK},
                             tail[] = ".tmp";
    size_t length = strspn(name, "0123456789abcdef") == 16 && strncmp(name + 16, ".key", 4) == 0
                        ? strlen("0123456789abcdef.key")
                        : 0;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strncmp(name, names[i], strlen(names[i])) == 0) length = strlen(names[i]);
    const size_t more = strlen(name) - length;
    return length && (more == 0 || (more > strlen(tail) && name[length] == '.' &&
                                    strcmp(name + strlen(name) - strlen(tail), tail) == 0));
}

static fhola_status empty(const remote_folder *f)
{
    DIR *list = opendir(f->path);
    char path[NN_CMD_PATH_ROOM];
    fhola_status status = FHOLA_OK;
    if (!list) return fhola_fail(FHOLA_IO, "%s: %s", f->path, strerror(errno));
    for (const struct dirent *e; status == FHOLA_OK && (e = readdir(list));) {
        if (!is_ours(e->d_name)) continue;
        status = join(path, f->path, e->d_name);
        if (status == FHOLA_OK && unlink(path) != 0)
            status = fhola_fail(FHOLA_IO, "%s: %s", path, strerror(errno));
    }
    (void)closedir(list);
    if (status == FHOLA_OK && rmdir(f->path) != 0)
        status = fhola_fail(FHOLA_IO, "%s: %s", f->path, strerror(errno));
    return status;
}

static fhola_status remove_one(remote_folder *f, remote_visit_fn visit, void *arg)
{
    uint64_t key = 0;
    FHOLA_TRY(remote_folder_lock(f));
    FHOLA_TRY(key_of(&key, f));
    if (key) FHOLA_TRY(visit(arg, f, key));
    return empty(f);
}

fhola_status remote_folders_remove(const char *directory, const char *server, remote_visit_fn visit,
                                   void *arg, size_t *count)
{
    char base[NN_CMD_PATH_ROOM], of_server[NN_CMD_PATH_ROOM];
    remote_folder f = {.lock = -1};
    fhola_status status = FHOLA_OK;
    *count = 0;
    FHOLA_TRY(find_directory(base, directory));
    FHOLA_TRY(join(of_server, base, server));
    DIR *list = opendir(of_server);
    if (!list && errno == ENOENT) return FHOLA_OK;
    nn_cmd_leave("keys may still be in ", of_server);
    if (!list) return fhola_fail(FHOLA_IO, "%s: %s", of_server, strerror(errno));
    for (const struct dirent *e; status == FHOLA_OK && (e = readdir(list));) {
        if (strlen(e->d_name) != 16 || strspn(e->d_name, "0123456789abcdef") != 16) continue;
        status = join(f.path, of_server, e->d_name);
        if (status == FHOLA_OK) status = remove_one(&f, visit, arg);
        remote_folder_close(&f);
        *count += status == FHOLA_OK;
    }
    (void)closedir(list);
    if (status == FHOLA_OK) (void)rmdir(of_server); /* if it is empty now */
    return status;
}
