/* SPDX-License-Identifier: Apache-2.0 */
/* Times of the kernel tables this machine can run, one line a figure:
 *     name isa threads n prime_bits hot|cold median_us min_us kcycles
 * Arguments, all optional: table (or "all"), log2 of n, prime bits. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/kernel_figures.h"

static void print_figure(void *context, const bench_figure *f)
{
    (void)context;
    printf("%-22s %-10s %d %6zu %2u %-4s median %9.2f us min %9.2f us %9.1f kcycles\n", f->name, f->isa, f->threads, f->n,
           f->prime_bits, f->hot ? "hot" : "cold", f->median_us, f->min_us, f->kcycles);
    fflush(stdout);
}

static int failed(fhola_status status)
{
    if (status) fprintf(stderr, "bench_kernel: %s: %s\n", fhola_strerror(status), fhola_detail());
    return status != FHOLA_OK;
}

int main(int argc, char **argv)
{
    static const unsigned all_rings[] = {15, 16}, all_bits[] = {28, 30, 40, 48, 50};
    const char *isa = argc > 1 && strcmp(argv[1], "all") ? argv[1] : NULL;
    unsigned ring = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 0, bits = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 0;
    const ckks_kernel *tables[3];
    size_t count = ckks_kernel_list(tables), found = 0;
    for (size_t r = 0; r < 2; r++) {
        if (ring && all_rings[r] != ring) continue;
        if (failed(bench_memory_figures(all_rings[r], print_figure, NULL))) return EXIT_FAILURE;
        for (size_t t = 0; t < count; t++) {
            if (isa && strcmp(isa, tables[t]->name)) continue;
            for (size_t b = 0; b < sizeof all_bits / sizeof *all_bits; b++) {
                if (bits && all_bits[b] != bits) continue;
                if (failed(bench_kernel_figures(tables[t], all_rings[r], all_bits[b], print_figure, NULL))) return EXIT_FAILURE;
                found++;
            }
        }
    }
    if (!found) fprintf(stderr, "bench_kernel: nothing matches the arguments\n");
    return found ? EXIT_SUCCESS : EXIT_FAILURE;
}
