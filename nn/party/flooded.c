/* SPDX-License-Identifier: Apache-2.0 */
#define _XOPEN_SOURCE 700 /* realpath */
#include "nn/party/flooded.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "nn/base/file.h"
#include "nn/base/json.h"

#define FLOODED_VERSION 1u
#define SUFFIX          ".flooded"
#define MAX_KINDS       1024u
#define MAX_BYTES       ((size_t)1 << 17)
#define MOST            0x1p53 /* results of a kind: what a double counts */

/* Relative. Sums of so few terms are more exact, and the least share, 2^-30, is far above it. */
#define TOLERANCE 0x1p-40

typedef struct flood_kind {
    double bits, queries, results;
} flood_kind;

typedef struct flood_count {
    const char *path; /* for messages */
    uint64_t key;
    size_t kinds;
    flood_kind kind[MAX_KINDS];
} flood_count;

fhola_status nn_flooded_path(char **path, const char *secret, uint64_t key)
{
    struct stat info;
    if (stat(secret, &info) != 0) return fhola_fail(FHOLA_IO, "%s: %s", secret, strerror(errno));
    if (!S_ISREG(info.st_mode))
        return fhola_fail(FHOLA_PARAM,
                          "%s: flooded results are counted beside the file of the secret key, and "
                          "this is no file",
                          secret);
    char real[PATH_MAX];
    if (!realpath(secret, real)) return fhola_fail(FHOLA_IO, "%s: %s", secret, strerror(errno));
    size_t folder = (size_t)(strrchr(real, '/') - real), room = folder + 18 + sizeof SUFFIX;
    char *result = malloc(room);
    if (result)
        snprintf(result, room, "%.*s/%016llx" SUFFIX, (int)folder, real, (unsigned long long)key);
    if (!result) return fhola_fail(FHOLA_NOMEM, "no memory for a file name");
    *path = result;
    return FHOLA_OK;
}

/* ---- the file ---- */

static void render_body(nn_text *text, const flood_count *c)
{
    nn_text_format(text,
                   "{\"format\": \"fhola-flooded\", \"version\": %u, \"key\": \"%016llx\", "
                   "\"results\": [",
                   FLOODED_VERSION, (unsigned long long)c->key);
    for (size_t i = 0; i < c->kinds; i++) {
        const double row[] = {c->kind[i].bits, c->kind[i].queries, c->kind[i].results};
        nn_text_add(text, i ? ",\n" : "\n");
        nn_json_add_array(text, row, 3);
    }
    nn_text_add(text, "],\n");
}

/* *text belongs to the caller (free). */
static fhola_status render(char **text, const flood_count *c)
{
    nn_text t = {0};
    render_body(&t, c);
    uint64_t hash = t.failed ? 0 : XXH3_64bits(t.bytes, t.length);
    nn_text_format(&t, "\"hash\": \"%016llx\"}\n", (unsigned long long)hash);
    if (t.failed) {
        free(t.bytes);
        return fhola_fail(FHOLA_NOMEM, "%s: no memory for the count", c->path);
    }
    *text = t.bytes;
    return FHOLA_OK;
}

static fhola_status damaged(const flood_count *c)
{
    return fhola_fail(FHOLA_FORMAT,
                      "%s: the count of flooded results is damaged; it is not begun anew: bring it "
                      "back from a copy, or make a new key",
                      c->path);
}

static bool is_kind(const flood_kind *k)
{
    return k->bits >= 0 && k->bits <= NN_FLOODED_BITS && k->queries >= 1 &&
           k->queries <= NN_FLOODED_QUERIES && k->results >= 1 && k->results < MOST;
}

static fhola_status take_kinds(flood_count *c, const nn_json *root)
{
    const nn_json *list = nn_json_get(root, "results");
    if (!list || list->type != NN_JSON_ARRAY || list->count > MAX_KINDS) return damaged(c);
    for (const nn_json *row = list->child; row; row = row->next) {
        double number[3];
        if (nn_json_get_row(number, row, list, 3, "results", c->path) != FHOLA_OK)
            return damaged(c);
        flood_kind *k = &c->kind[c->kinds++];
        *k = (flood_kind){number[0], number[1], number[2]};
        if (!is_kind(k)) return damaged(c);
    }
    return FHOLA_OK;
}

static fhola_status check_head(const flood_count *c, const nn_json *root)
{
    const nn_json *format = nn_json_get(root, "format"), *key = nn_json_get(root, "key");
    unsigned version;
    char id[24];
    if (!format || format->type != NN_JSON_STRING || strcmp(format->string, "fhola-flooded") != 0 ||
        !key || key->type != NN_JSON_STRING ||
        nn_json_get_whole(&version, root, "version", 1, 1000000, c->path) != FHOLA_OK)
        return damaged(c);
    if (version != FLOODED_VERSION)
        return fhola_fail(FHOLA_FORMAT,
                          "%s: format version %u is not %u, the one this program reads", c->path,
                          version, FLOODED_VERSION);
    snprintf(id, sizeof id, "%016llx", (unsigned long long)c->key);
    if (strcmp(key->string, id) != 0)
        return fhola_fail(
            FHOLA_KEY,
            "%s: counts the flooded results of another key (%s, not %s); move it away "
            "and bring back this key's, or make a new key",
            c->path, key->string, id);
    return FHOLA_OK;
}

/* Whatever differs from what would have been written in any byte is damaged. */
static fhola_status parse(flood_count *c, const nn_locked_file *file)
{
    nn_json *root = NULL;
    char *again = NULL;
    fhola_status status = nn_json_parse(&root, (const char *)file->bytes, file->length, c->path);
    if (status == FHOLA_FORMAT) status = damaged(c);
    if (status == FHOLA_OK) status = check_head(c, root);
    if (status == FHOLA_OK) status = take_kinds(c, root);
    if (status == FHOLA_OK) status = render(&again, c);
    if (status == FHOLA_OK &&
        (strlen(again) != file->length || memcmp(again, file->bytes, file->length) != 0))
        status = damaged(c);
    free(again);
    nn_json_free(root);
    return status;
}

/* ---- the budget ---- */

static double most_bits(const flood_count *c, double bits)
{
    for (size_t i = 0; i < c->kinds; i++) bits = fmax(bits, c->kind[i].bits);
    return bits;
}

/* Of all results together, as part of what `bits` bits allow. */
static double spent(const flood_count *c, double bits)
{
    double sum = 0;
    for (size_t i = 0; i < c->kinds; i++) {
        const flood_kind *k = &c->kind[i];
        sum += k->results / k->queries * exp2(bits - k->bits);
    }
    return sum;
}

static fhola_status used_up(const flood_count *c, double bits, double queries, double promised)
{
    double results = 0, least = ceil(exp2(promised - bits) / (1 - spent(c, promised)));
    char remedy[80] = "make a new key";
    for (size_t i = 0; i < c->kinds; i++) results += c->kind[i].results;
    if (least > queries && least <= NN_FLOODED_QUERIES)
        snprintf(remedy, sizeof remedy, "make a new key, or ask for noise for %.0f queries", least);
    return fhola_fail(FHOLA_SECURITY,
                      "%s: %.0f %s been decrypted with noise under this key; one more for %g bits "
                      "and %.0f %s would leave less than the %g bits promised: %s",
                      c->path, results, results == 1 ? "result has" : "results have", bits, queries,
                      queries == 1 ? "query" : "queries", promised, remedy);
}

static fhola_status add(flood_count *c, double bits, double queries)
{
    double promised = most_bits(c, bits), share = exp2(promised - bits) / queries;
    if (!(spent(c, promised) + share <= 1 + TOLERANCE)) return used_up(c, bits, queries, promised);
    size_t i = 0;
    while (i < c->kinds && (c->kind[i].bits != bits || c->kind[i].queries != queries)) i++;
    if (i == MAX_KINDS)
        return fhola_fail(
            FHOLA_SECURITY,
            "%s: %u kinds of noise have been used under this key: use one of them, or "
            "make a new key",
            c->path, MAX_KINDS);
    if (i == c->kinds) c->kind[c->kinds++] = (flood_kind){bits, queries, 0};
    c->kind[i].results++;
    return FHOLA_OK;
}

static fhola_status take(flood_count *c, double bits, double queries)
{
    char *before = NULL, *after = NULL;
    nn_locked_file file;
    fhola_status status = render(&before, c);
    if (status != FHOLA_OK) return status;
    status = nn_file_lock(&file, c->path, before, MAX_BYTES);
    if (status == FHOLA_OK) status = parse(c, &file);
    if (status == FHOLA_OK) status = add(c, bits, queries);
    if (status == FHOLA_OK) status = render(&after, c);
    if (status == FHOLA_OK) status = nn_file_replace(&file, after);
    nn_file_unlock(&file);
    free(before);
    free(after);
    return status;
}

fhola_status nn_flooded_take(const char *path, uint64_t key, double bits, double queries)
{
    flood_count *c = calloc(1, sizeof *c);
    if (!c) return fhola_fail(FHOLA_NOMEM, "%s: no memory for the count", path);
    c->path = path;
    c->key = key;
    fhola_status status = take(c, bits, queries);
    free(c);
    return status;
}
