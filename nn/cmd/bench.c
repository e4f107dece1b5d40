/* SPDX-License-Identifier: Apache-2.0 */
/* fhola bench: measures this machine. Each part prints one figure a line. */
#include "nn/cmd/bench.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "nn/cmd/stream.h"

void nn_cmd_bench_print(void *arg, const ckks_figure *f)
{
    const bool *json = arg;
    if (*json) {
        printf("{\"name\": \"%s\", \"isa\": \"%s\", \"threads\": %u, \"n\": %zu, \"prime_bits\": "
               "%u, \"hot\": %s, ",
               f->name, f->isa, f->threads, f->n, f->prime_bits, f->hot ? "true" : "false");
        printf("\"median_us\": %.3f, \"min_us\": %.3f, \"kcycles\": %.2f, ", f->median_us,
               f->min_us, f->kcycles);
        printf("\"gb_per_s\": ");
        nn_cmd_json_number(f->bytes > 0 ? f->bytes / f->median_us * 1e-3 : (double)NAN);
        printf(", \"ratio\": ");
        nn_cmd_json_number(f->ratio > 0 ? f->ratio : (double)NAN);
        printf("}\n");
    } else {
        printf("%-22s %-10s %7u %6zu %4u %-4s %11.2f %11.2f %10.1f", f->name, f->isa, f->threads,
               f->n, f->prime_bits, f->hot ? "hot" : "cold", f->median_us, f->min_us, f->kcycles);
        if (f->bytes > 0)
            printf(" %7.1f", f->bytes / f->median_us * 1e-3);
        else
            printf(" %7s", "-");
        if (f->ratio > 0)
            printf(" %6.2f\n", f->ratio);
        else
            printf(" %6s\n", "-");
    }
    fflush(stdout);
}

/* Kernel figures of one group for the rings and primes asked for. */
static fhola_status kernels(const nn_cmd_bench_options *o, unsigned group)
{
    static const unsigned rings[] = {15, 16}, bits[] = {30, 40, 48, 50};
    bool json = o->json;
    fhola_status status = FHOLA_OK;
    for (size_t r = 0; r < (o->log_n > 0 ? 1 : 2) && !status; r++)
        for (size_t b = 0; b < (o->bits > 0 ? 1 : 4) && !status; b++) {
            const ckks_bench_spec spec = {.isa = o->isa,
                                          .log_n = o->log_n > 0 ? (unsigned)o->log_n : rings[r],
                                          .prime_bits = o->bits > 0 ? (unsigned)o->bits : bits[b],
                                          .threads = o->threads > 0 ? (unsigned)o->threads : 1,
                                          .groups = group,
                                          .only = o->only};
            status = ckks_bench_kernels(&spec, nn_cmd_bench_print, &json);
        }
    return status;
}

static fhola_status bench_ntt(const nn_cmd_bench_options *o)
{
    return kernels(o, CKKS_FIGURES_NTT);
}

static fhola_status bench_keyswitch(const nn_cmd_bench_options *o)
{
    fhola_status status = kernels(o, CKKS_FIGURES_KEY_SWITCH);
    return status ? status : nn_cmd_bench_operations(o);
}

static const nn_cmd_option options[] = {
    NN_CMD_WHOLE("bits", 0, "N", nn_cmd_bench_options, bits, 12, 50,
                 "primes of N bits only (default: 30, 40, 48 and 50)"),
    NN_CMD_WORD("isa", 0, "portable|avx2|avx512f|avx512ifma", nn_cmd_bench_options, isa,
                "figures of one kernel table only; net: the table used"),
    NN_CMD_FLAG("complex", 0, nn_cmd_bench_options, complex_values,
                "bootstrap: complex values instead of real ones"),
    NN_CMD_TEXT("configs", 0, "LIST", nn_cmd_bench_options, configs,
                "paper: configurations to run (default 1,2,3,4; 5 needs --plans)"),
    NN_CMD_WHOLE("identity", 0, "L", nn_cmd_bench_options, identity, 2, 5,
                 "bootstrap: one that returns the values themselves, with an arcsine of\nL levels "
                 "(default: the sine of them)"),
    NN_CMD_FLAG("json", 0, nn_cmd_bench_options, json, "print one JSON object a line"),
    NN_CMD_WHOLE(
        "batch", 0, "B", nn_cmd_bench_options, batch, 1, NN_MAX_PICTURES,
        "net: B pictures at once: 1, 2, 4 or 8 (default 1, or what a compiled\nnetwork says)"),
    NN_CMD_WHOLE("log-n", 0, "N", nn_cmd_bench_options, log_n, 10, 17,
                 "functions on limbs: ring degree 2^N only (default: 15 and 16)"),
    NN_CMD_WHOLE("log-values", 0, "N", nn_cmd_bench_options, log_values, 1, 16,
                 "bootstrap: 2^N values (default: as many as there are slots)"),
    NN_CMD_WHOLE("judged", 0, "N", nn_cmd_bench_options, judged, 1, 1e9,
                 "paper: accuracy on the first N pictures of the test batch only"),
    NN_CMD_TEXT("only", 0, "NAME", nn_cmd_bench_options, only, "figures whose names begin so"),
    NN_CMD_TEXT("params", 0, "SET", nn_cmd_bench_options, params,
                "parameter set of whole operations, net and costs, or a file with one\n(default "
                "R15; net: or what a compiled network says)"),
    NN_CMD_WHOLE("pictures", 0, "N", nn_cmd_bench_options, pictures, 1, 1e6,
                 "paper: encrypted pictures of each configuration (default 1);\nnet: pictures "
                 "measured, after one that is not (default 1)"),
    NN_CMD_TEXT("plans", 0, "PREFIX", nn_cmd_bench_options, plans,
                "paper: plans PREFIX-uniform.plan, PREFIX-paper.plan, PREFIX.plan "
                "and\nPREFIX-uniform15.plan (default: bundled with the model)"),
    NN_CMD_TEXT("test", 0, "FILE", nn_cmd_bench_options, test,
                "paper: CIFAR records to classify, which measure accuracy too\n(default: bundled "
                "pictures, no accuracy)"),
    NN_CMD_WHOLE("threads", 0, "N", nn_cmd_bench_options, threads, 1, 256,
                 "functions on limbs and plain: N threads at once, each on its own (default 1);\n"
                 "whole operations: N threads share the work (default: all)"),
    NN_CMD_FLAG("calibrate", 0, nn_cmd_bench_options, calibrate,
                "measure the table of costs that 'fhola plan' counts with: one encrypted\npicture "
                "per degree; with these:"),
    NN_CMD_OUTPUT("output", 'o', "FILE", nn_cmd_bench_options, output, "where the table goes"),
    NN_CMD_TEXT("model", 0, "MODEL", nn_cmd_bench_options, model,
                "network to measure (default resnet20); net: a compiled one does as well"),
    NN_CMD_TEXT("machine", 0, "NAME", nn_cmd_bench_options, machine,
                "its name in the table (default: the processor's)"),
    NN_CMD_WHOLE("max-degree", 0, "N", nn_cmd_bench_options, max_degree, 3, 63,
                 "largest degree to measure (default 63)"),
    NN_CMD_TEXT("keep", 0, "TABLE", nn_cmd_bench_options, keep,
                "take over that table's other parameter sets; may be FILE itself"),
    NN_CMD_WHOLE("repeat", 0, "N", nn_cmd_bench_options, repeat, 1, 100,
                 "the shortest of N times of each layer counts (default 2)"),
    NN_CMD_PROGRESS,
    NN_CMD_QUIET,
    NN_CMD_END,
};

static const struct {
    const char *name;
    fhola_status (*run)(const nn_cmd_bench_options *);
    bool figures; /* prints lines of nn_cmd_bench_print */
} parts[] = {
    {"bootstrap", nn_cmd_bench_bootstraps, false},
    {"keyswitch", bench_keyswitch, true},
    {"net", nn_cmd_bench_net, false},
    {"ntt", bench_ntt, true},
    {"paper", nn_cmd_bench_paper, false},
    {"plain", nn_cmd_bench_plain, false},
};

static int run(int argc, char **argv)
{
    nn_cmd_bench_options o = {
        .model = "resnet20", .repeat = 2, .max_degree = 63, .configs = "1,2,3,4", .pictures = 1};
    if (!nn_cmd_parse(&nn_cmd_bench, &o, &argc, argv)) return NN_CMD_WRONG_USE;
    bool net = argc > 1 && strcmp(argv[1], "net") == 0;
    if (!o.params && !net) o.params = NN_CMD_PARAMS;
    if (o.calibrate && argc > 1)
        return nn_cmd_wrong_use("bench", "--calibrate stands for what to measure");
    if (o.calibrate) return nn_cmd_bench_calibrate(&o);
    if (argc < 2)
        return nn_cmd_wrong_use(
            "bench", "what to measure is missing: ntt, keyswitch, bootstrap, net, plain, paper or "
                     "--calibrate");
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (strcmp(argv[1], parts[i].name) != 0) continue;
        if (!o.json && parts[i].figures)
            printf("%-22s %-10s %7s %6s %4s %-4s %11s %11s %10s %7s %6s\n", "name", "isa",
                   "threads", "n", "bits", "", "median us", "min us", "kcycles", "GB/s", "ratio");
        return nn_cmd_finish_caught("bench", parts[i].run(&o));
    }
    return nn_cmd_wrong_use(
        "bench", "nothing called '%s' to measure: ntt, keyswitch, bootstrap, net, plain or paper",
        argv[1]);
}

const nn_cmd_command nn_cmd_bench = {
    .name = "bench",
    .run = run,
    .secret = true,
    .usage = "ntt|keyswitch|bootstrap|net|plain|paper|--calibrate",
    .purpose = "measure the arithmetic on this machine",
    .options = options,
    .least = 0,
    .most = 1,
    .operands = "what to measure: ntt, keyswitch, bootstrap, net, plain or paper",
    .notes = "Kernel tables are compared with the portable one, which is therefore measured too, "
             "except by 'bootstrap --isa'.",
    .examples = "fhola bench ntt --only ntt_forward --log-n 16 --bits 48\n"
                "fhola bench bootstrap --json\n"
                "fhola bench bootstrap --params R16 --log-values 14\n"
                "fhola bench bootstrap --log-values 14 --identity 3\n"
                "fhola bench net --threads 1 --pictures 10\n"
                "fhola bench plain --threads 2\n"
                "fhola bench --calibrate -o cost.json\n"
                "fhola bench paper --configs 1,4 --test test_batch.bin",
};
