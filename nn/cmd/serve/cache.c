/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "nn/cmd/serve/cache.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#ifdef __GLIBC__
#include <malloc.h>
#endif

#define PATH_ROOM 4096u

typedef struct entry {
    struct entry *next;
    serve_network *network;
    char owner[SERVE_OWNER_ROOM];
    uint64_t id;
    serve_set set; /* the file it was loaded from */
    nn_keys *keys;
    unsigned users;
    bool stale; /* its file or its network is gone: it goes with its last user */
} entry;

struct serve_cache {
    const serve_store *store;
    uint64_t budget;
    pthread_mutex_t mutex;
    pthread_cond_t given_back;
    entry *first; /* the one taken last comes first */
    serve_cache_figures figures;
};

fhola_status serve_cache_create(serve_cache **cache, const serve_store *store, uint64_t budget)
{
    serve_cache *c = calloc(1, sizeof *c);
    if (!c) return fhola_fail(FHOLA_NOMEM, "no memory for a cache of keys");
    c->store = store;
    c->budget = budget;
    (void)pthread_mutex_init(&c->mutex, NULL);
    (void)pthread_cond_init(&c->given_back, NULL);
    *cache = c;
    return FHOLA_OK;
}

/* ---- with the mutex ---- */

/* Blocks of keys are large, but not so large that glibc would always give them back by itself: what
 * it keeps in one thread's arena is of no use to another one. */
static void give_memory_back(void)
{
#ifdef __GLIBC__
    (void)malloc_trim(0);
#endif
}

static void unlink_entry(serve_cache *c, entry **at)
{
    entry *e = *at;
    *at = e->next;
    c->figures.sets--;
    c->figures.bytes -= nn_keys_bytes(e->keys);
    nn_keys_release(e->keys);
    serve_network_release(e->network);
    free(e);
    give_memory_back();
}

/* Drops the set that was taken longest ago, of those not in use. */
static bool drop_one(serve_cache *c)
{
    entry **last = NULL;
    for (entry **at = &c->first; *at; at = &(*at)->next)
        if (!(*at)->users) last = at;
    if (!last) return false;
    c->figures.evictions++;
    unlink_entry(c, last);
    return true;
}

/* For one more. */
static void make_room(serve_cache *c)
{
    while (c->figures.bytes > c->budget)
        if (!drop_one(c)) (void)pthread_cond_wait(&c->given_back, &c->mutex);
}

static bool same_file(const serve_set *a, const serve_set *b)
{
    return a->device == b->device && a->inode == b->inode;
}

/* False: it is in use still. */
static bool leave(serve_cache *c, entry **at)
{
    (*at)->stale = true;
    if ((*at)->users) return false;
    unlink_entry(c, at);
    return true;
}

/* The set in memory, if it is that of the file. */
static entry *find(serve_cache *c, const serve_network *network, const char *owner, uint64_t id,
                   const serve_set *set)
{
    for (entry **at = &c->first; *at; at = &(*at)->next) {
        entry *e = *at;
        if (e->stale || e->network != network || e->id != id || strcmp(e->owner, owner) != 0)
            continue;
        if (same_file(&e->set, set)) {
            *at = e->next;
            e->next = c->first;
            c->first = e;
            return e;
        }
        (void)leave(c, at);
        return NULL;
    }
    return NULL;
}

/* ---- sets that are taken ---- */

static entry *make_entry(serve_network *network, const char *owner, uint64_t id, serve_set set)
{
    entry *e = calloc(1, sizeof *e);
    if (!e) return NULL;
    e->network = serve_network_retain(network);
    memcpy(e->owner, owner, strlen(owner) + 1);
    e->id = id;
    e->set = set;
    e->users = 1;
    return e;
}

static fhola_status load(const serve_cache *c, entry **out, serve_network *network,
                         const char *owner, uint64_t id, serve_set set)
{
    char path[PATH_ROOM];
    FHOLA_TRY(serve_store_path(c->store, owner, id, path, sizeof path));
    entry *e = make_entry(network, owner, id, set);
    if (!e) return fhola_fail(FHOLA_NOMEM, "no memory for a set of keys");
    fhola_status status = nn_keys_load(&e->keys, network->server, path, NULL, NULL);
    if (status == FHOLA_OK) {
        *out = e;
        return FHOLA_OK;
    }
    serve_network_release(network);
    free(e);
    return status;
}

fhola_status serve_cache_take(serve_cache *c, nn_keys **keys, serve_network *network,
                              const char *owner, uint64_t id)
{
    serve_set set;
    if (serve_store_find(c->store, owner, id, &set) != SERVE_WHOLE)
        return fhola_fail(FHOLA_KEY, "there are no evaluation keys %016llx",
                          (unsigned long long)id);
    pthread_mutex_lock(&c->mutex);
    entry *e = find(c, network, owner, id, &set);
    if (e) {
        e->users++;
        c->figures.hits++;
    } else {
        make_room(c);
    }
    pthread_mutex_unlock(&c->mutex);
    if (!e) {
        FHOLA_TRY(load(c, &e, network, owner, id, set));
        pthread_mutex_lock(&c->mutex);
        e->stale = atomic_load(&network->retired);
        e->next = c->first;
        c->first = e;
        c->figures.sets++;
        c->figures.loads++;
        c->figures.bytes += nn_keys_bytes(e->keys);
        pthread_mutex_unlock(&c->mutex);
    }
    serve_store_touch(c->store, owner, id);
    *keys = e->keys;
    return FHOLA_OK;
}

void serve_cache_give_back(serve_cache *c, nn_keys *keys)
{
    if (!keys) return;
    pthread_mutex_lock(&c->mutex);
    for (entry **at = &c->first; *at; at = &(*at)->next) {
        if ((*at)->keys != keys) continue;
        if (--(*at)->users == 0 && (*at)->stale) unlink_entry(c, at);
        break;
    }
    pthread_cond_broadcast(&c->given_back);
    pthread_mutex_unlock(&c->mutex);
}

void serve_cache_forget(serve_cache *c, const char *owner, uint64_t id)
{
    pthread_mutex_lock(&c->mutex);
    for (entry **at = &c->first; *at;)
        if ((*at)->id != id || strcmp((*at)->owner, owner) != 0 || !leave(c, at)) at = &(*at)->next;
    pthread_mutex_unlock(&c->mutex);
}

void serve_cache_retire(serve_cache *c, const serve_network *network)
{
    pthread_mutex_lock(&c->mutex);
    for (entry **at = &c->first; *at;)
        if ((*at)->network != network || !leave(c, at)) at = &(*at)->next;
    pthread_mutex_unlock(&c->mutex);
}

serve_cache_figures serve_cache_look(serve_cache *c)
{
    pthread_mutex_lock(&c->mutex);
    serve_cache_figures figures = c->figures;
    pthread_mutex_unlock(&c->mutex);
    return figures;
}

void serve_cache_destroy(serve_cache *c)
{
    if (!c) return;
    while (c->first) unlink_entry(c, &c->first);
    (void)pthread_cond_destroy(&c->given_back);
    (void)pthread_mutex_destroy(&c->mutex);
    free(c);
}
