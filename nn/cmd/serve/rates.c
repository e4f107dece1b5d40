/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/cmd/serve/rates.h"

#include <stdlib.h>
#include <string.h>

struct serve_bucket {
    char owner[SERVE_OWNER_ROOM];
    double pictures, when; /* in it then */
};

static double level(const serve_rates *r, const serve_bucket *b, double now)
{
    double pictures = b->pictures + (now - b->when) * r->minute / 60;
    return pictures < r->minute ? pictures : r->minute;
}

static serve_bucket *find(const serve_rates *r, const char *owner)
{
    for (size_t i = 0; i < r->count; i++)
        if (strcmp(r->bucket[i].owner, owner) == 0) return &r->bucket[i];
    return NULL;
}

/* Full ones are like those of newcomers. */
static void forget(serve_rates *r, double now)
{
    size_t kept = 0;
    for (size_t i = 0; i < r->count; i++)
        if (level(r, &r->bucket[i], now) < r->minute) r->bucket[kept++] = r->bucket[i];
    r->count = kept;
}

static serve_bucket *add(serve_rates *r, const char *owner, double now)
{
    forget(r, now);
    if (r->count == r->room) {
        size_t room = r->room ? 2 * r->room : 16;
        serve_bucket *more = realloc(r->bucket, room * sizeof *more);
        if (!more) return NULL;
        r->bucket = more;
        r->room = room;
    }
    serve_bucket *b = &r->bucket[r->count++];
    memcpy(b->owner, owner, strlen(owner) + 1);
    b->pictures = r->minute;
    b->when = now;
    return b;
}

bool serve_rates_take(serve_rates *r, const char *owner, double now)
{
    if (!(r->minute > 0)) return true;
    serve_bucket *b = find(r, owner);
    if (!b) b = add(r, owner, now);
    if (!b) return false;
    double there = level(r, b, now);
    if (there < 1) return false;
    b->pictures = there - 1;
    b->when = now;
    return true;
}

double serve_rates_wait(const serve_rates *r, const char *owner, double now)
{
    const serve_bucket *b = find(r, owner);
    double there = b && r->minute > 0 ? level(r, b, now) : 1;
    return there < 1 ? (1 - there) * 60 / r->minute : 0;
}

void serve_rates_clear(serve_rates *r)
{
    free(r->bucket);
    *r = (serve_rates){.minute = r->minute};
}
