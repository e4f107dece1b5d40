/* SPDX-License-Identifier: Apache-2.0 */
/* Readers of files, each as a function of bytes: what libFuzzer drives (fuzz.c) and
 * tests/check_fuzz replays. */
#ifndef TESTS_FUZZ_TARGETS_H
#define TESTS_FUZZ_TARGETS_H

#include <stddef.h>
#include <stdint.h>

#include "ckks/ckks.h"

typedef struct fuzz_target {
    const char *name;
    /* Reads; aborts if the reader breaks a promise that sanitizers do not know of. Returns 1 if the
     * bytes were accepted. */
    int (*run)(const uint8_t *bytes, size_t length);
} fuzz_target;

extern const fuzz_target fuzz_targets[];
extern const size_t fuzz_target_count;
const fuzz_target *fuzz_find(const char *name); /* NULL if there is none */

/* The rings of the seeds: the smallest one, with keys of several digits, and one with room for a
 * picture. */
ckks_params_spec fuzz_ring(void);
ckks_params_spec fuzz_picture_ring(void);

#endif
