/* SPDX-License-Identifier: Apache-2.0 */
/* fhola keygen: from a client file to a secret key, which stays, and evaluation keys, which go to
 * the server; or to a file of the secret key there is already, for another network. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "nn/cmd/stream.h"

typedef struct keygen_options {
    const char *directory; /* NULL: the current one */
    const char *secret, *output;
    bool force, json;
} keygen_options;

static const nn_cmd_option options[] = {
    NN_CMD_TEXT("directory", 'd', "DIRECTORY", keygen_options, directory,
                "where secret.key and eval.keys go (default: here); made if it is not there"),
    NN_CMD_TEXT("secret", 0, "FILE", keygen_options, secret,
                "no new keys: the network gets the secret key in FILE, of another network\nwhose "
                "evaluation keys serve this one, too"),
    NN_CMD_OUTPUT("output", 'o', "FILE", keygen_options, output,
                  "with --secret: where the secret key for this network goes"),
    NN_CMD_FLAG("force", 'f', keygen_options, force, "replace files that are there"),
    NN_CMD_FLAG("json", 0, keygen_options, json, "print one JSON object"),
    NN_CMD_THREADS,
    NN_CMD_PROGRESS,
    NN_CMD_QUIET,
    NN_CMD_END,
};

static char *path_in(const char *directory, const char *name)
{
    size_t length = strlen(directory), room = length + strlen(name) + 2;
    char *path = malloc(room);
    if (path)
        snprintf(path, room, "%s%s%s", directory, length && directory[length - 1] == '/' ? "" : "/",
                 name);
    return path;
}

/* Of a client file, or of a bundled model. */
static fhola_status open_owner(nn_owner **owner, const char *client)
{
    if (!nn_cmd_is_bundled(client)) {
        ckks_reader *reader = NULL;
        fhola_status status = nn_cmd_open_input(&reader, client);
        if (status == FHOLA_OK) status = nn_owner_read_client(owner, reader);
        ckks_reader_destroy(reader);
        return status;
    }
    nn_cmd_network n;
    fhola_status status = nn_cmd_load_network(&n, client, NULL, NULL, NULL);
    if (status == FHOLA_OK) status = nn_owner_create(owner, n.params, n.model, n.plan);
    nn_cmd_network_clear(&n);
    return status;
}

static fhola_status exists(const char *path)
{
    return fhola_fail(FHOLA_PARAM, "%s exists; it would be lost (--force overwrites it)", path);
}

/* A secret key that is overwritten takes with it everything encrypted for it. Here to say so before
 * the work begins; nn_owner_generate replaces nothing either. */
static fhola_status check_target(const keygen_options *o, const char *secret, const char *keys)
{
    struct stat info;
    if (o->directory && mkdir(o->directory, 0700) != 0 && errno != EEXIST)
        return fhola_fail(FHOLA_IO, "%s: %s", o->directory, strerror(errno));
    if (!o->force && lstat(secret, &info) == 0) return exists(secret);
    if (!o->force && lstat(keys, &info) == 0) return exists(keys);
    return FHOLA_OK;
}

/* Before the first of them is made: what fills a disk is the stranger's list of keys. */
static void announce(const nn_owner *owner, const char *keys, uint64_t bytes)
{
    if (nn_cmd_is_quiet()) return;
    nn_cmd_progress_end();
    fprintf(stderr, "fhola keygen: %zu keys for the server, ",
            nn_client_keys(nn_owner_client(owner))->count);
    nn_cmd_print_size(stderr, (double)bytes);
    fprintf(stderr, " in all, go into ");
    nn_cmd_show(stderr, keys);
    fputc('\n', stderr);
}

static fhola_status generate(const keygen_options *o, const char *client, const char *secret,
                             const char *keys)
{
    nn_owner *owner = NULL;
    uint64_t bytes = 0;
    fhola_status status = open_owner(&owner, client);
    if (status == FHOLA_OK) status = nn_owner_keys_bytes(&bytes, owner);
    if (status == FHOLA_OK) status = check_target(o, secret, keys);
    if (status == FHOLA_OK) announce(owner, keys, bytes);
    if (status == FHOLA_OK && o->force) nn_owner_overwrite(owner);
    if (status == FHOLA_OK) status = nn_owner_generate(owner, secret, keys, nn_cmd_count, NULL);
    nn_cmd_progress_end();
    nn_owner_destroy(owner);
    return status;
}

static fhola_status make_keys(const keygen_options *o, const char *client)
{
    const char *folder = o->directory ? o->directory : ".";
    char *secret = path_in(folder, "secret.key"), *keys = path_in(folder, "eval.keys");
    fhola_status status = secret && keys ? generate(o, client, secret, keys)
                                         : fhola_fail(FHOLA_NOMEM, "no memory for file names");
    if (status == FHOLA_OK) {
        const nn_cmd_file files[] = {{secret, "stays with you"}, {keys, "goes to the server"}};
        nn_cmd_report_files(files, sizeof files / sizeof files[0], o->json);
    }
    free(secret);
    free(keys);
    return status;
}

static fhola_status reuse_secret(const keygen_options *o, const char *client)
{
    nn_owner *owner = NULL;
    ckks_reader *other = NULL;
    struct stat info;
    if (!o->force && lstat(o->output, &info) == 0) return exists(o->output);
    fhola_status status = open_owner(&owner, client);
    if (status == FHOLA_OK) status = nn_cmd_open_input(&other, o->secret);
    if (status == FHOLA_OK && o->force) nn_owner_overwrite(owner);
    if (status == FHOLA_OK) status = nn_owner_reuse_secret(owner, other, o->output);
    ckks_reader_destroy(other);
    nn_owner_destroy(owner);
    if (status == FHOLA_OK)
        nn_cmd_report_files(&(nn_cmd_file){o->output, "stays with you"}, 1, o->json);
    return status;
}

static int run(int argc, char **argv)
{
    keygen_options o = {0};
    if (!nn_cmd_parse(&nn_cmd_keygen, &o, &argc, argv)) return NN_CMD_WRONG_USE;
    if (!o.secret != !o.output)
        return nn_cmd_wrong_use("keygen", "--secret and --output belong together");
    if (o.secret && o.directory)
        return nn_cmd_wrong_use("keygen", "with --secret no keys go into a folder");
    if (o.directory && strcmp(o.directory, "-") == 0)
        return nn_cmd_wrong_use("keygen", "keys go into a folder: one called - is ./-");
    nn_cmd_catch_signals();
    return nn_cmd_finish_caught("keygen",
                                o.secret ? reuse_secret(&o, argv[1]) : make_keys(&o, argv[1]));
}

const nn_cmd_command nn_cmd_keygen = {
    .name = "keygen",
    .run = run,
    .secret = true,
    .usage = "FILE.client",
    .purpose = "make a secret key, and the evaluation keys for the server",
    .options = options,
    .least = 1,
    .most = 1,
    .operands = "one client file",
    .notes = "The name of a bundled model will do in place of FILE.client.",
    .examples = "fhola keygen resnet20.client -d keys\n"
                "fhola keygen resnet20\n"
                "fhola keygen retrained.client --secret keys/secret.key -o keys/retrained.key",
};
