/* SPDX-License-Identifier: Apache-2.0 */
/* fhola keygen: from a client file to a secret key, which stays, and evaluation keys, which go to the server. */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "nn/cmd/stream.h"

typedef struct keygen_options {
    const char *client, *directory;
    bool force;
} keygen_options;

static bool read_options(keygen_options *o, int argc, char **argv)
{
    static const struct option table[] = {
        {"directory", required_argument, NULL, 'd'}, {"force", no_argument, NULL, 'f'}, {NULL, 0, NULL, 0}};
    *o = (keygen_options){.directory = "."};
    int option;
    bool fine = true;
    opterr = 0;
    while (fine && (option = getopt_long(argc, argv, ":d:f", table, NULL)) != -1) {
        switch (option) {
        case 'd': o->directory = optarg; break;
        case 'f': o->force = true; break;
        default: fine = nn_cmd_wrong_use("keygen", "unknown option or missing value: '%s'", argv[optind - 1]) == 0; break;
        }
    }
    if (fine && argc - optind != 1)
        fine = nn_cmd_wrong_use("keygen", "one client file expected, %d operands given", argc - optind) == 0;
    if (fine) o->client = argv[optind];
    return fine;
}

static char *path_in(const char *directory, const char *name)
{
    size_t length = strlen(directory), room = length + strlen(name) + 2;
    char *path = malloc(room);
    if (path) snprintf(path, room, "%s%s%s", directory, length && directory[length - 1] == '/' ? "" : "/", name);
    return path;
}

/* Of a client file, or of a bundled model. */
static fhola_status open_owner(nn_owner **owner, const char *client)
{
    if (!nn_cmd_is_bundled(client)) return nn_owner_open_client(owner, client);
    nn_cmd_network n;
    fhola_status status = nn_cmd_bundled_network(&n, client);
    if (status == FHOLA_OK) status = nn_owner_create(owner, n.params, n.model, n.plan);
    nn_cmd_network_clear(&n);
    return status;
}

/* A secret key that is overwritten takes with it everything encrypted for it. */
static fhola_status check_target(const keygen_options *o, const char *secret)
{
    if (mkdir(o->directory, 0700) != 0 && errno != EEXIST) return fhola_fail(FHOLA_IO, "%s: %s", o->directory, strerror(errno));
    if (!o->force && access(secret, F_OK) == 0)
        return fhola_fail(FHOLA_PARAM, "%s exists; it would be lost (--force overwrites it)", secret);
    return FHOLA_OK;
}

static fhola_status generate(const keygen_options *o, const char *secret, const char *keys)
{
    static char name[] = "keygen";
    nn_owner *owner = NULL;
    fhola_status status = open_owner(&owner, o->client);
    if (status == FHOLA_OK) status = check_target(o, secret);
    if (status == FHOLA_OK) status = nn_owner_generate(owner, secret, keys, nn_cmd_count, name);
    nn_cmd_progress_end();
    nn_owner_destroy(owner);
    return status;
}

static void report(const char *path, const char *what)
{
    struct stat info;
    if (stat(path, &info) == 0) printf("%s  %.2f MB  %s\n", path, (double)info.st_size / 1e6, what);
}

int nn_cmd_keygen(int argc, char **argv)
{
    keygen_options o;
    if (!read_options(&o, argc, argv)) return NN_CMD_WRONG_USE;
    nn_cmd_catch_signals();
    char *secret = path_in(o.directory, "secret.key"), *keys = path_in(o.directory, "eval.keys");
    fhola_status status = secret && keys ? generate(&o, secret, keys) : fhola_fail(FHOLA_NOMEM, "no memory for file names");
    if (status == FHOLA_OK) {
        report(secret, "stays with you");
        report(keys, "goes to the server");
    }
    free(secret);
    free(keys);
    return nn_cmd_finish_caught("keygen", status);
}
