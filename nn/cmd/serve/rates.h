/* SPDX-License-Identifier: Apache-2.0 */
/* How many pictures an owner may send: a bucket for each that holds a minute's worth, full at
 * first, and fills up steadily. */
#ifndef NN_CMD_SERVE_RATES_H
#define NN_CMD_SERVE_RATES_H

#include <stdbool.h>

#include "nn/cmd/serve/store.h"

typedef struct serve_bucket serve_bucket;

typedef struct serve_rates {
    double minute;        /* pictures; 0: any number */
    serve_bucket *bucket; /* of owners whose bucket is not full */
    size_t count, room;
} serve_rates; /* zeroed, but for `minute`: nobody has sent any */

/* Takes one picture out of the owner's bucket; false: there is none, or no memory to count it.
 * `now` in seconds, of a clock that never goes back. */
bool serve_rates_take(serve_rates *rates, const char *owner, double now);
/* Seconds until there is one. */
double serve_rates_wait(const serve_rates *rates, const char *owner, double now);
void serve_rates_clear(serve_rates *rates);

#endif
