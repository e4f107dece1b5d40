/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of keys in memory, with a budget: those that were not in use for longest give way. */
#ifndef NN_CMD_SERVE_CACHE_H
#define NN_CMD_SERVE_CACHE_H

#include "nn/cmd/serve/networks.h"
#include "nn/cmd/serve/store.h"

typedef struct serve_cache serve_cache;

/* `budget`: bytes that sets may have beside the one that was taken last. The store stays the
 * caller's. */
FHOLA_WARN_UNUSED fhola_status serve_cache_create(serve_cache **cache, const serve_store *store,
                                                  uint64_t budget);
void serve_cache_destroy(serve_cache *cache); /* accepts NULL; no set is in use */

/* The owner's set as the network takes it, from memory if the store still has that file, else
 * loaded; waits while sets in use leave no room. One thread at a time. To be given back by
 * serve_cache_give_back. FHOLA_KEY: there is none; and the errors of nn_keys_load. */
FHOLA_WARN_UNUSED fhola_status serve_cache_take(serve_cache *cache, nn_keys **keys,
                                                serve_network *network, const char *owner,
                                                uint64_t id);
void serve_cache_give_back(serve_cache *cache, nn_keys *keys); /* any thread; accepts NULL */
/* The owner's keys of that id are gone: they leave memory with their last user. */
void serve_cache_forget(serve_cache *cache, const char *owner, uint64_t id);
/* So do all that were read for a network. */
void serve_cache_retire(serve_cache *cache, const serve_network *network);

typedef struct serve_cache_figures {
    size_t sets;
    uint64_t bytes, hits, loads, evictions;
} serve_cache_figures;
serve_cache_figures serve_cache_look(serve_cache *cache);

#endif
