/* SPDX-License-Identifier: Apache-2.0 */
/* fhola compile: a model and its plan become the server's compiled network and the client file for the owners of pictures. */
#define _GNU_SOURCE
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/cmd/stream.h"

typedef struct compile_options {
    const char *model, *plan, *output, *params;
} compile_options;

static bool read_options(compile_options *o, int argc, char **argv)
{
    static const struct option table[] = {
        {"output", required_argument, NULL, 'o'}, {"params", required_argument, NULL, 'p'}, {NULL, 0, NULL, 0}};
    *o = (compile_options){.params = NN_CMD_PARAMS};
    int option;
    bool fine = true;
    opterr = 0;
    while (fine && (option = getopt_long(argc, argv, ":o:", table, NULL)) != -1) {
        switch (option) {
        case 'o': o->output = optarg; break;
        case 'p': o->params = optarg; break;
        default: fine = nn_cmd_wrong_use("compile", "unknown option or missing value: '%s'", argv[optind - 1]) == 0; break;
        }
    }
    int operands = argc - optind;
    if (fine && operands != 1 && operands != 2)
        fine = nn_cmd_wrong_use("compile", "a model, and perhaps a plan, expected, %d operands given", operands) == 0;
    if (fine && !o->output) fine = nn_cmd_wrong_use("compile", "-o FILE.fhola is missing") == 0;
    if (!fine) return false;
    o->model = argv[optind];
    o->plan = operands == 2 ? argv[optind + 1] : NULL;
    return true;
}

/* FILE.client beside FILE.fhola. NULL: no memory. */
static char *client_path(const char *output)
{
    static const char from[] = ".fhola", to[] = ".client";
    size_t length = strlen(output);
    char *path = malloc(length + sizeof to);
    if (!path) return NULL;
    if (length > strlen(from) && strcmp(output + length - strlen(from), from) == 0) length -= strlen(from);
    memcpy(path, output, length);
    memcpy(path + length, to, sizeof to);
    return path;
}

static fhola_status compile(const compile_options *o, const char *client)
{
    nn_model *model = NULL;
    nn_plan *plan = NULL;
    ckks_params *params = NULL;
    fhola_status status = nn_cmd_load_model(&model, &plan, o->model, o->plan);
    if (status == FHOLA_OK) status = ckks_params_named(&params, o->params);
    if (status == FHOLA_OK && nn_cmd_interrupted()) status = fhola_fail(FHOLA_IO, "interrupted");
    if (status == FHOLA_OK) status = nn_compiled_save(o->output, client, params, model, plan);
    ckks_params_destroy(params);
    nn_plan_free(plan);
    nn_model_free(model);
    return status;
}

int nn_cmd_compile(int argc, char **argv)
{
    compile_options o;
    if (!read_options(&o, argc, argv)) return NN_CMD_WRONG_USE;
    nn_cmd_catch_signals();
    char *client = client_path(o.output);
    fhola_status status = client ? compile(&o, client) : fhola_fail(FHOLA_NOMEM, "no memory for a file name");
    if (status == FHOLA_OK)
        printf("%s  the network, for the server\n%s  for the owners of pictures, to make keys from\n", o.output, client);
    free(client);
    return nn_cmd_finish_caught("compile", status);
}
