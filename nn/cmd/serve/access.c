/* SPDX-License-Identifier: Apache-2.0 */
#define _DEFAULT_SOURCE /* getentropy */
#include "nn/cmd/serve/access.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define LINE            1024
#define SHORTEST        16u /* token */
#define NAME_CHARACTERS 32u /* fewer than a hash has: no name is the owner of a secret */
#define SECRET_BYTES    32u

typedef struct token {
    char owner[SERVE_OWNER_ROOM];
    unsigned char hash[SERVE_HASH_BYTES];
} token;

struct serve_access {
    token *token;
    size_t count;
    bool tokens;
};

/* ---- the file ---- */

/* 1 if they are equal, 0 if not, in a time that does not depend on where they differ. */
static unsigned equal(const unsigned char *a, const unsigned char *b)
{
    unsigned difference = 0;
    for (unsigned i = 0; i < SERVE_HASH_BYTES; i++) difference |= (unsigned)(a[i] ^ b[i]);
    return (difference - 1) >> 31;
}

static bool is_name(const char *text)
{
    static const char good[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    size_t length = strlen(text);
    return length > 0 && length <= NAME_CHARACTERS && strspn(text, good) == length;
}

static fhola_status add(serve_access *a, const char *name, const char *secret, const char *path,
                        unsigned number)
{
    token *more = realloc(a->token, (a->count + 1) * sizeof *more);
    if (!more) return fhola_fail(FHOLA_NOMEM, "no memory for %zu tokens", a->count + 1);
    a->token = more;
    token *t = &more[a->count];
    snprintf(t->owner, sizeof t->owner, "%s", name);
    serve_sha256(t->hash, secret, strlen(secret));
    for (size_t i = 0; i < a->count; i++)
        if (equal(more[i].hash, t->hash))
            return fhola_fail(FHOLA_FORMAT, "%s: line %u: a token that is there already", path,
                              number);
    a->count++;
    return FHOLA_OK;
}

static fhola_status take_line(serve_access *a, char *line, const char *path, unsigned number)
{
    char *rest = line, *name = strtok_r(rest, " \t\r\n", &rest);
    if (!name || name[0] == '#') return FHOLA_OK;
    char *secret = strtok_r(NULL, " \t\r\n", &rest);
    if (!is_name(name))
        return fhola_fail(FHOLA_FORMAT, "%s: line %u: a name has 1 to %u letters, digits, - and _",
                          path, number, NAME_CHARACTERS);
    if (!secret || strlen(secret) < SHORTEST || strtok_r(NULL, " \t\r\n", &rest))
        return fhola_fail(FHOLA_FORMAT,
                          "%s: line %u: a name and a token of %u characters or more, nothing else",
                          path, number, SHORTEST);
    return add(a, name, secret, path, number);
}

static fhola_status read_tokens(serve_access *a, FILE *file, const char *path)
{
    char line[LINE];
    fhola_status status = FHOLA_OK;
    for (unsigned number = 1; status == FHOLA_OK && fgets(line, sizeof line, file); number++)
        status = strlen(line) + 1 < sizeof line
                     ? take_line(a, line, path, number)
                     : fhola_fail(FHOLA_FORMAT, "%s: line %u is too long", path, number);
    if (status == FHOLA_OK && ferror(file))
        status = fhola_fail(FHOLA_IO, "%s: %s", path, strerror(errno));
    if (status == FHOLA_OK && !a->count)
        status = fhola_fail(FHOLA_FORMAT, "%s: there is no token", path);
    ckks_wipe(line, sizeof line);
    return status;
}

static fhola_status open_tokens(serve_access *a, const char *path)
{
    FILE *file = fopen(path, "r");
    if (!file) return fhola_fail(FHOLA_IO, "%s: %s", path, strerror(errno));
    (void)setvbuf(file, NULL, _IONBF, 0); /* no copy stays */
    fhola_status status = read_tokens(a, file, path);
    (void)fclose(file);
    return status;
}

fhola_status serve_access_open(serve_access **access, const char *path)
{
    serve_access *a = calloc(1, sizeof *a);
    if (!a) return fhola_fail(FHOLA_NOMEM, "no memory for tokens");
    a->tokens = path != NULL;
    fhola_status status = path ? open_tokens(a, path) : FHOLA_OK;
    if (status != FHOLA_OK)
        serve_access_close(a);
    else
        *access = a;
    return status;
}

void serve_access_close(serve_access *a)
{
    if (!a) return;
    free(a->token);
    free(a);
}

bool serve_access_has_tokens(const serve_access *a)
{
    return a->tokens;
}

/* ---- requests ---- */

/* All of them are looked at. */
static bool find_token(const serve_access *a, const unsigned char hash[SERVE_HASH_BYTES],
                       char owner[SERVE_OWNER_ROOM])
{
    size_t found = 0;
    for (size_t i = 0; i < a->count; i++) found |= (i + 1) * equal(a->token[i].hash, hash);
    if (!found) return false;
    memcpy(owner, a->token[found - 1].owner, SERVE_OWNER_ROOM);
    return true;
}

bool serve_access_find(const serve_access *a, const char *authorization,
                       char owner[SERVE_OWNER_ROOM])
{
    static const char scheme[] = "Bearer ";
    unsigned char hash[SERVE_HASH_BYTES];
    if (!authorization || strncasecmp(authorization, scheme, sizeof scheme - 1) != 0) return false;
    const char *secret = authorization + sizeof scheme - 1;
    secret += strspn(secret, " ");
    size_t length = strlen(secret);
    serve_sha256(hash, secret, length);
    if (a->tokens) return find_token(a, hash, owner);
    /* The store is asked for the hash. How long it takes to find it, or a name near it, tells
     * nothing of a secret with that hash. */
    if (length != 2 * (size_t)SECRET_BYTES) return false;
    serve_hex(owner, hash, sizeof hash);
    return true;
}

fhola_status serve_access_make(char secret[SERVE_SECRET_ROOM], char owner[SERVE_OWNER_ROOM])
{
    unsigned char random[SECRET_BYTES], hash[SERVE_HASH_BYTES];
    if (getentropy(random, sizeof random) != 0)
        return fhola_fail(FHOLA_IO, "no randomness: %s", strerror(errno));
    serve_hex(secret, random, sizeof random);
    serve_sha256(hash, secret, 2 * sizeof random);
    serve_hex(owner, hash, sizeof hash);
    ckks_wipe(random, sizeof random);
    return FHOLA_OK;
}
