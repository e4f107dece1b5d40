/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/cmd/serve/turns.h"

#include <string.h>

uint64_t serve_turns_of(const serve_turns *t, const char *owner)
{
    for (size_t i = 0; i < t->count; i++)
        if (strcmp(t->turn[i].owner, owner) == 0) return t->turn[i].start;
    return t->now;
}

/* Those whose turn has come are like newcomers. */
static void forget(serve_turns *t)
{
    size_t kept = 0;
    for (size_t i = 0; i < t->count; i++)
        if (t->turn[i].start > t->now) t->turn[kept++] = t->turn[i];
    t->count = kept;
}

void serve_turns_serve(serve_turns *t, const char *owner)
{
    uint64_t start = serve_turns_of(t, owner);
    if (start > t->now) t->now = start;
    forget(t);
    if (t->count == SERVE_TURNS) t->count--;
    serve_turn *last = &t->turn[t->count++];
    memcpy(last->owner, owner, strlen(owner) + 1);
    last->start = start + 1;
}
