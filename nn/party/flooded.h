/* SPDX-License-Identifier: Apache-2.0 */
/* The count of flooded results of a secret key, in a file beside it. Internal.
 *
 * A result with `bits` and `queries` is released with noise so wide that the divergence of noisy
 * from exact scores is 2^-bits / queries, in units in which 2^-bits leaves an adversary the
 * advantage that `bits` stands for. Divergences of results add up, whatever the noise of each. So
 * the file counts results by bits and queries, and every promise ever made under a key is kept as
 * long as the sum over all its results is at most 2^-b, b the most bits of any of them. */
#ifndef NN_FLOODED_H
#define NN_FLOODED_H

#include <stdint.h>

#include "status.h"

#define NN_FLOODED_BITS    200.0 /* at most */
#define NN_FLOODED_QUERIES 1e9   /* at most */

/* Path of the count (free) for the key of this id in the file `secret`: in its folder, behind all
 * symbolic links, "ID.flooded". FHOLA_IO: there is no such file. FHOLA_PARAM: it is no regular
 * file, so nothing can stay beside it. */
fhola_status nn_flooded_path(char **path, const char *secret, uint64_t key) FHOLA_WARN_UNUSED;

/* Counts one more result, on the disk and alone among all processes, or says why it must not be
 * decrypted. FHOLA_SECURITY: the sum would be too large, or there are too many kinds of noise.
 * FHOLA_FORMAT: the count is damaged. FHOLA_KEY: it is another key's. FHOLA_IO: it cannot be read
 * or written. */
fhola_status nn_flooded_take(const char *path, uint64_t key, double bits,
                             double queries) FHOLA_WARN_UNUSED;

#endif
