/* SPDX-License-Identifier: Apache-2.0 */
/* fhola bench plain: how fast the plaintext engine's convolutions are. */
#include <stdio.h>
#include <string.h>

#include "nn/cmd/bench.h"
#include "nn/measure/measure.h"

/* Those of ResNet-20: the first, one of each stage, a shortcut's. */
static const struct {
    const char *name;
    nn_bench_shape shape;
} figures[] = {
    {"convolve_3_16", {.in = 3, .out = 16, .kernel = 3, .stride = 1, .side = 32}},
    {"convolve_16_16", {.in = 16, .out = 16, .kernel = 3, .stride = 1, .side = 32}},
    {"convolve_32_32", {.in = 32, .out = 32, .kernel = 3, .stride = 1, .side = 16}},
    {"convolve_64_64", {.in = 64, .out = 64, .kernel = 3, .stride = 1, .side = 8}},
    {"project_16_32", {.in = 16, .out = 32, .kernel = 1, .stride = 2, .side = 32}},
};

static void print(const char *name, const nn_bench_shape *s, const nn_bench_time *t,
                  unsigned threads, double ratio, bool json)
{
    const char *format =
        json ? "{\"name\": \"%s\", \"isa\": \"%s\", \"threads\": %u, \"in\": %u, \"out\": %u, "
               "\"kernel\": %u, \"stride\": %u, \"side\": %u, \"median_us\": %.3f, "
               "\"min_us\": %.3f, \"gmac_per_s\": %.3f, \"ratio\": %.3f}\n"
             : "%-16s %-9s %7u %3u %3u %6u %6u %4u %11.2f %11.2f %7.1f %6.2f\n";
    printf(format, name, t->isa, threads, s->in, s->out, s->kernel, s->stride, s->side,
           t->median_us, t->min_us, t->gmacs, ratio);
    fflush(stdout);
}

/* The k-th instruction set asked for; NULL past the end. */
static const char *table(const nn_cmd_bench_options *o, size_t k)
{
    if (!o->isa) return nn_bench_isa(k);
    return k == 0 ? o->isa : NULL;
}

fhola_status nn_cmd_bench_plain(const nn_cmd_bench_options *o)
{
    unsigned threads = o->threads > 0 ? (unsigned)o->threads : 1;
    fhola_status status = FHOLA_OK;
    if (!o->json)
        printf("%-16s %-9s %7s %3s %3s %6s %6s %4s %11s %11s %7s %6s\n", "name", "isa", "threads",
               "in", "out", "kernel", "stride", "side", "median us", "min us", "GMAC/s", "ratio");
    for (size_t i = 0; i < sizeof figures / sizeof *figures && !status; i++) {
        const char *name = figures[i].name, *isa;
        const nn_bench_shape *shape = &figures[i].shape;
        nn_bench_time portable, time;
        if (o->only && strncmp(name, o->only, strlen(o->only)) != 0) continue;
        status = nn_bench_convolution(&portable, shape, "portable", threads);
        for (size_t k = 0; !status && (isa = table(o, k)); k++) {
            time = portable;
            if (strcmp(isa, portable.isa) != 0)
                status = nn_bench_convolution(&time, shape, isa, threads);
            if (!status)
                print(name, shape, &time, threads, portable.median_us / time.median_us, o->json);
        }
    }
    return status;
}
