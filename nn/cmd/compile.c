/* SPDX-License-Identifier: Apache-2.0 */
/* fhola compile: a model and its plan become the server's compiled network and the client file for
 * the owners of pictures. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/cmd/stream.h"

typedef struct compile_options {
    const char *output, *params;
    double batch;
    bool small_keys, dry_run, json;
    nn_cmd_metadata metadata;
} compile_options;

static const nn_cmd_option options[] = {
    NN_CMD_OUTPUT("output", 'o', "FILE", compile_options, output,
                  "where the compiled network goes; FILE.client goes beside it"),
    NN_CMD_TEXT("params", 0, "SET", compile_options, params,
                "parameter set (default R15; 'fhola params' lists them), or a file with one"),
    NN_CMD_WHOLE(
        "batch", 0, "B", compile_options, batch, 1, NN_MAX_PICTURES,
        "compute up to B pictures of one owner at once: 1, 2, 4 or 8 (default 1,\nor what a "
        "compiled network says)"),
    NN_CMD_FLAG("small-keys", 0, compile_options, small_keys,
                "about half the evaluation keys, but pictures take longer"),
    NN_CMD_FLAG("dry-run", 0, compile_options, dry_run,
                "write nothing, print what the network takes"),
    NN_CMD_FLAG("json", 0, compile_options, json, "print one JSON object"),
    NN_CMD_QUIET,
    NN_CMD_METADATA(compile_options, metadata),
    NN_CMD_END,
};

/* FILE.client beside FILE.fhola. NULL: no memory. */
static char *client_path(const char *output)
{
    static const char from[] = ".fhola", to[] = ".client";
    size_t length = strlen(output);
    char *path = malloc(length + sizeof to);
    if (!path) return NULL;
    if (length > strlen(from) && strcmp(output + length - strlen(from), from) == 0)
        length -= strlen(from);
    memcpy(path, output, length);
    memcpy(path + length, to, sizeof to);
    return path;
}

/* Model and plan, for as many pictures as asked for. */
static fhola_status load(nn_cmd_network *n, const compile_options *o, const char *model,
                         const char *plan)
{
    FHOLA_TRY(nn_cmd_load_network(n, model, &o->metadata, plan, o->params));
    if (o->small_keys) nn_plan_set_small_keys(n->plan, 1);
    return nn_cmd_set_batch(n->plan, o->batch);
}

static fhola_status compile(const compile_options *o, const char *model, const char *plan,
                            const char *client)
{
    nn_cmd_network n = {NULL, NULL, NULL};
    fhola_status status = nn_cmd_claim_output(client);
    if (status == FHOLA_OK && plan) status = nn_cmd_check_input(plan);
    if (status == FHOLA_OK) status = load(&n, o, model, plan);
    if (status == FHOLA_OK && nn_cmd_interrupted())
        status = fhola_fail(FHOLA_CANCELLED, "interrupted");
    if (status == FHOLA_OK) status = nn_compiled_save(o->output, client, n.params, n.model, n.plan);
    nn_cmd_network_clear(&n);
    return status;
}

static void print_size(const nn_network *n, const ckks_context *context)
{
    nn_memory memory = nn_network_memory(n, context);
    double gib = (double)nn_network_diagonal_bytes(n) / ((size_t)1 << 30);
    if (nn_network_pictures(n) > 1)
        printf("pictures at once          %u\n", nn_network_pictures(n));
    printf("ciphertexts of a picture  %u\n", nn_client_ciphertexts(nn_network_client(n)));
    printf("ciphertexts of a layer    %u at most\n", nn_network_ciphertexts(n));
    printf("bootstraps                %zu\n", nn_network_bootstraps(n));
    printf("evaluation keys           %zu, %.0f MB\n", nn_network_keys(n)->count,
           (double)ckks_eval_keys_file_bytes(context, nn_network_keys(n)) / 1e6);
    printf("encoded diagonals         %.2f GiB\n", gib);
    printf("memory                    %.2f GiB, or at least %.2f (infer --memory)\n",
           (double)memory.most / 0x1p30, (double)memory.least / 0x1p30);
}

static void print_size_json(const nn_network *n, const ckks_context *context)
{
    nn_memory memory = nn_network_memory(n, context);
    printf("{\"pictures\": %u, \"picture_ciphertexts\": %u, \"layer_ciphertexts\": %u, "
           "\"bootstraps\": %zu, \"keys\": %zu, \"key_bytes\": %.0f, ",
           nn_network_pictures(n), nn_client_ciphertexts(nn_network_client(n)),
           nn_network_ciphertexts(n), nn_network_bootstraps(n), nn_network_keys(n)->count,
           (double)ckks_eval_keys_file_bytes(context, nn_network_keys(n)));
    printf("\"diagonal_bytes\": %.0f, \"memory_bytes\": %.0f, \"least_memory_bytes\": %.0f}\n",
           (double)nn_network_diagonal_bytes(n), (double)memory.most, (double)memory.least);
}

/* What the network takes, before anybody waits for it. */
static fhola_status dry_run(const compile_options *o, const char *model, const char *plan)
{
    nn_cmd_network files = {NULL, NULL, NULL};
    nn_cmd_bare bare = {NULL, NULL, NULL};
    fhola_status status = load(&files, o, model, plan);
    if (status == FHOLA_OK) status = nn_cmd_bare_init(&bare, files.params, files.model, files.plan);
    if (status == FHOLA_OK) (o->json ? print_size_json : print_size)(bare.network, bare.context);
    nn_cmd_bare_clear(&bare);
    nn_cmd_network_clear(&files);
    return status;
}

static int run(int argc, char **argv)
{
    compile_options o = {0};
    if (!nn_cmd_parse(&nn_cmd_compile, &o, &argc, argv)) return NN_CMD_WRONG_USE;
    if (!o.output && !o.dry_run) return nn_cmd_wrong_use("compile", "-o FILE.fhola is missing");
    if (o.output && o.dry_run)
        return nn_cmd_wrong_use("compile", "--dry-run writes nothing: not with -o");
    nn_cmd_catch_signals();
    if (o.dry_run)
        return nn_cmd_finish_caught("compile", dry_run(&o, argv[1], argc > 2 ? argv[2] : NULL));
    char *client = client_path(o.output);
    fhola_status status = client ? compile(&o, argv[1], argc > 2 ? argv[2] : NULL, client)
                                 : fhola_fail(FHOLA_NOMEM, "no memory for a file name");
    if (status == FHOLA_OK) {
        const nn_cmd_file files[] = {{o.output, "the network, for the server"},
                                     {client, "for the owners of pictures, to make keys from"}};
        nn_cmd_report_files(files, sizeof files / sizeof files[0], o.json);
    }
    free(client);
    return nn_cmd_finish_caught("compile", status);
}

const nn_cmd_command nn_cmd_compile = {
    .name = "compile",
    .run = run,
    .usage = "MODEL [PLAN] -o FILE.fhola|--dry-run",
    .purpose = "make a model and its plan the server's compiled network, and a client file to make "
               "keys from",
    .options = options,
    .least = 1,
    .most = 2,
    .operands = "a model, and perhaps a plan,",
    .notes = "MODEL is a safetensors file or the name of a bundled model. PLAN defaults to the "
             "plan beside the model.",
    .examples = "fhola compile resnet20 -o resnet20.fhola\n"
                "fhola compile mine.safetensors mine.plan -o mine.fhola\n"
                "fhola compile resnet20 --dry-run",
};
