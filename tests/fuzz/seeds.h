/* SPDX-License-Identifier: Apache-2.0 */
/* Well-formed files of every kind, small, from fixed seeds: where fuzzing starts. */
#ifndef TESTS_FUZZ_SEEDS_H
#define TESTS_FUZZ_SEEDS_H

#include <stddef.h>

/* Calls `take` with each seed. `target` is a name in fuzz_targets; `accepted` tells whether the
 * reader must accept it. */
void fuzz_seeds(void (*take)(void *user, const char *target, const void *bytes, size_t length,
                             int accepted),
                void *user);

#endif
