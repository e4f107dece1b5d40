/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer's entry: FHOLA_FUZZ names the target. Built with --enable-fuzzing; see make
 * check-fuzz. */
#include <stdio.h>
#include <stdlib.h>

#ifdef _OPENMP
#include <omp.h>
#endif

#include "tests/fuzz/targets.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static const fuzz_target *target;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    const char *name = getenv("FHOLA_FUZZ");
    (void)argc;
    (void)argv;
    target = name ? fuzz_find(name) : NULL;
    if (!target) {
        fprintf(stderr, "FHOLA_FUZZ is to name a target:");
        for (size_t i = 0; i < fuzz_target_count; i++) fprintf(stderr, " %s", fuzz_targets[i].name);
        fprintf(stderr, "\n");
        exit(EXIT_FAILURE);
    }
#ifdef _OPENMP
    omp_set_num_threads(1);
#endif
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    (void)target->run(bytes, length);
    return 0;
}
