/* SPDX-License-Identifier: Apache-2.0 */
/* fhola version: what this program is and what it will compute with, for reports about it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ckks/ckks.h"
#include "nn/cmd/cmd.h"

typedef struct version_options {
    bool json;
} version_options;

static const nn_cmd_option options[] = {
    NN_CMD_FLAG("json", 0, version_options, json, "print one JSON object"),
    NN_CMD_THREADS,
    NN_CMD_END,
};

/* Optional at build time. */
static const struct library {
    const char *name, *use;
    bool there;
} libraries[] = {
#ifdef _OPENMP
    {"OpenMP", "threads", true},
#else
    {"OpenMP", "threads", false},
#endif
#ifdef HAVE_PNG
    {"libpng", "PNG pictures", true},
#else
    {"libpng", "PNG pictures", false},
#endif
#ifdef HAVE_JPEG
    {"libjpeg", "JPEG pictures", true},
#else
    {"libjpeg", "JPEG pictures", false},
#endif
#ifdef HAVE_MPI
    {"MPI", "'mpirun fhola infer'", true},
#else
    {"MPI", "'mpirun fhola infer'", false},
#endif
#ifdef HAVE_ONNX
    {"protobuf-c", "ONNX networks", true},
#else
    {"protobuf-c", "ONNX networks", false},
#endif
#ifdef HAVE_MICROHTTPD
    {"microhttpd", "serve", true},
#else
    {"microhttpd", "serve", false},
#endif
#ifdef HAVE_CURL
    {"libcurl", "classify --server", true},
#else
    {"libcurl", "classify --server", false},
#endif
};
#define LIBRARIES (sizeof libraries / sizeof libraries[0])

const char *nn_cmd_kernel(void)
{
    const char *wish = getenv("FHOLA_ISA");
    if (!wish || !*wish) return ckks_isa_name(0);
    for (size_t i = 0; ckks_isa_name(i); i++)
        if (strcmp(ckks_isa_name(i), wish) == 0) return ckks_isa_name(i);
    return NULL;
}

static void print_text(void)
{
    printf("fhola %s\nkernels    ", PACKAGE_VERSION);
    for (size_t i = 0; ckks_isa_name(i); i++) printf(i ? ", %s" : "%s", ckks_isa_name(i));
    if (nn_cmd_kernel())
        printf("; used: %s\n", nn_cmd_kernel());
    else
        printf("; FHOLA_ISA names none of them\n");
    printf("threads    %u\n", nn_cmd_threads());
    for (size_t i = 0; i < LIBRARIES; i++)
        printf("%-10s %s: %s\n", libraries[i].name, libraries[i].there ? "yes" : "no",
               libraries[i].use);
}

static void print_json(void)
{
    printf("{\"version\": \"%s\", \"kernels\": [", PACKAGE_VERSION);
    for (size_t i = 0; ckks_isa_name(i); i++) printf(i ? ", \"%s\"" : "\"%s\"", ckks_isa_name(i));
    printf(nn_cmd_kernel() ? "], \"kernel\": \"%s\"" : "], \"kernel\": null", nn_cmd_kernel());
    printf(", \"threads\": %u, \"libraries\": {", nn_cmd_threads());
    for (size_t i = 0; i < LIBRARIES; i++)
        printf("%s\"%s\": %s", i ? ", " : "", libraries[i].name,
               libraries[i].there ? "true" : "false");
    printf("}}\n");
}

static int run(int argc, char **argv)
{
    version_options o = {false};
    if (!nn_cmd_parse(&nn_cmd_version, &o, &argc, argv)) return NN_CMD_WRONG_USE;
    (o.json ? print_json : print_text)();
    return 0;
}

const nn_cmd_command nn_cmd_version = {
    .name = "version",
    .run = run,
    .usage = "",
    .purpose = "print the version, and what it will compute with on this machine",
    .options = options,
    .operands = "nothing",
    .page = "fhola",
    .examples = "fhola version\n"
                "FHOLA_ISA=avx2 fhola version --json",
};
