/* SPDX-License-Identifier: Apache-2.0 */
#define _DEFAULT_SOURCE /* getentropy */
#include "nn/cmd/serve/access.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "nn/cmd/serve/sha256.h"

#define LINE            1024
#define SHORTEST        16u /* token */
#define NAME_CHARACTERS 32u /* fewer than a hash has: no name is the owner of a secret */
#define SECRET_BYTES    32u

typedef struct token {
    char owner[SERVE_OWNER_ROOM];
    unsigned char hash[SERVE_HASH_BYTES];
} token;

typedef struct list {
    token *token;
    size_t count;
} list;

struct serve_access {
    const char *path; /* NULL: no tokens */
    list list;
    pthread_mutex_t mutex; /* of the list */
};

/* ---- hashes ---- */

/* 1 if they are equal, 0 if not, in a time that does not depend on where they differ. */
static unsigned equal(const unsigned char *a, const unsigned char *b)
{
    unsigned difference = 0;
    for (unsigned i = 0; i < SERVE_HASH_BYTES; i++) difference |= (unsigned)(a[i] ^ b[i]);
    return (difference - 1) >> 31;
}

static bool make_hash(unsigned char hash[SERVE_HASH_BYTES], const char *text)
{
    return serve_sha256(hash, text, strlen(text));
}

/* ---- the file ---- */

static bool is_name(const char *text)
{
    static const char good[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    size_t length = strlen(text);
    return length > 0 && length <= NAME_CHARACTERS && strspn(text, good) == length;
}

static fhola_status add(list *l, const char *name, const char *secret, const char *path,
                        unsigned number)
{
    token *more = realloc(l->token, (l->count + 1) * sizeof *more);
    if (!more) return fhola_fail(FHOLA_NOMEM, "no memory for %zu tokens", l->count + 1);
    l->token = more;
    token *t = &more[l->count];
    snprintf(t->owner, sizeof t->owner, "%s", name);
    if (!make_hash(t->hash, secret)) return fhola_fail(FHOLA_IO, "GnuTLS makes no hashes");
    for (size_t i = 0; i < l->count; i++)
        if (equal(more[i].hash, t->hash))
            return fhola_fail(FHOLA_FORMAT, "%s: line %u: a token that is there already", path,
                              number);
    l->count++;
    return FHOLA_OK;
}

static fhola_status take_line(list *l, char *line, const char *path, unsigned number)
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
    return add(l, name, secret, path, number);
}

static fhola_status read_tokens(list *l, FILE *file, const char *path)
{
    char line[LINE];
    fhola_status status = FHOLA_OK;
    for (unsigned number = 1; status == FHOLA_OK && fgets(line, sizeof line, file); number++)
        status = strlen(line) + 1 < sizeof line
                     ? take_line(l, line, path, number)
                     : fhola_fail(FHOLA_FORMAT, "%s: line %u is too long", path, number);
    if (status == FHOLA_OK && ferror(file))
        status = fhola_fail(FHOLA_IO, "%s: %s", path, strerror(errno));
    if (status == FHOLA_OK && !l->count)
        status = fhola_fail(FHOLA_FORMAT, "%s: there is no token", path);
    ckks_wipe(line, sizeof line);
    return status;
}

static fhola_status open_tokens(list *l, const char *path)
{
    FILE *file = fopen(path, "r");
    if (!file) return fhola_fail(FHOLA_IO, "%s: %s", path, strerror(errno));
    (void)setvbuf(file, NULL, _IONBF, 0); /* no copy stays */
    fhola_status status = read_tokens(l, file, path);
    (void)fclose(file);
    return status;
}

fhola_status serve_access_open(serve_access **access, const char *path)
{
    serve_access *a = calloc(1, sizeof *a);
    if (!a) return fhola_fail(FHOLA_NOMEM, "no memory for tokens");
    a->path = path;
    (void)pthread_mutex_init(&a->mutex, NULL);
    fhola_status status = path ? open_tokens(&a->list, path) : FHOLA_OK;
    if (status != FHOLA_OK)
        serve_access_close(a);
    else
        *access = a;
    return status;
}

void serve_access_close(serve_access *a)
{
    if (!a) return;
    free(a->list.token);
    (void)pthread_mutex_destroy(&a->mutex);
    free(a);
}

fhola_status serve_access_reload(serve_access *a)
{
    list new = {0};
    if (!a->path) return FHOLA_OK;
    fhola_status status = open_tokens(&new, a->path);
    if (status == FHOLA_OK) {
        (void)pthread_mutex_lock(&a->mutex);
        list old = a->list;
        a->list = new;
        new = old;
        (void)pthread_mutex_unlock(&a->mutex);
    }
    free(new.token);
    return status;
}

bool serve_access_has_tokens(const serve_access *a)
{
    return a->path != NULL;
}

/* ---- requests ---- */

/* All of them are looked at. */
static bool find_token(serve_access *a, const unsigned char hash[SERVE_HASH_BYTES],
                       char owner[SERVE_OWNER_ROOM])
{
    size_t found = 0;
    (void)pthread_mutex_lock(&a->mutex);
    const list *l = &a->list;
    for (size_t i = 0; i < l->count; i++) found |= (i + 1) * equal(l->token[i].hash, hash);
    if (found) memcpy(owner, l->token[found - 1].owner, SERVE_OWNER_ROOM);
    (void)pthread_mutex_unlock(&a->mutex);
    return found > 0;
}

bool serve_access_find(serve_access *a, const char *authorization, char owner[SERVE_OWNER_ROOM])
{
    static const char scheme[] = "Bearer ";
    unsigned char hash[SERVE_HASH_BYTES];
    if (!authorization || strncasecmp(authorization, scheme, sizeof scheme - 1) != 0) return false;
    const char *secret = authorization + sizeof scheme - 1;
    secret += strspn(secret, " ");
    if (!make_hash(hash, secret)) return false;
    if (a->path) return find_token(a, hash, owner);
    /* The store is asked for the hash. How long it takes to find it, or a name near it, tells
     * nothing of a secret with that hash. */
    if (strlen(secret) != 2 * (size_t)SECRET_BYTES) return false;
    serve_hex(owner, hash, sizeof hash);
    return true;
}

fhola_status serve_access_make(char secret[SERVE_SECRET_ROOM], char owner[SERVE_OWNER_ROOM])
{
    unsigned char random[SECRET_BYTES], hash[SERVE_HASH_BYTES] = {0};
    if (getentropy(random, sizeof random) != 0)
        return fhola_fail(FHOLA_IO, "no randomness: %s", strerror(errno));
    serve_hex(secret, random, sizeof random);
    const bool hashed = make_hash(hash, secret);
    serve_hex(owner, hash, sizeof hash);
    ckks_wipe(random, sizeof random);
    return hashed ? FHOLA_OK : fhola_fail(FHOLA_IO, "GnuTLS makes no hashes");
}
