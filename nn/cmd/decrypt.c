/* SPDX-License-Identifier: Apache-2.0 */
/* fhola decrypt: results to classes and rounded scores. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/cmd/stream.h"

typedef struct decrypt_options {
    double top;
    bool json;
    double flood, queries, error; /* flood NaN: none */
} decrypt_options;

static const nn_cmd_option options[] = {
    NN_CMD_WHOLE("top", 0, "K", decrypt_options, top, 1, 1000, "show K classes (default 3)"),
    NN_CMD_FLAG("json", 0, decrypt_options, json, "print one JSON object a result"),
    NN_CMD_THREADS,
    NN_CMD_QUIET,
    NN_CMD_NUMBER("flood", 0, "BITS", decrypt_options, flood, 0, 40,
                  "drown the error in noise, for scores that others will see"),
    NN_CMD_WHOLE("flood-queries", 0, "N", decrypt_options, queries, 1, 1e9,
                 "results given away under this key, which are counted (default 1)"),
    NN_CMD_NUMBER("flood-error", 0, "E", decrypt_options, error, 1e-9, 1e3,
                  "bound of the scores' RMS error (default 0.02)"),
    NN_CMD_END,
};

/* Results are counted from 1; one alone has no number before it. */
static fhola_status print_result(const decrypt_options *o, const nn_client *client,
                                 const double *score, size_t number, bool more)
{
    if (o->json)
        printf("{\"result\": %zu, ", number);
    else if (number > 1 || more)
        printf(number > 1 ? "\nresult %zu\n" : "result %zu\n", number);
    fhola_status status = nn_cmd_print_scores(client, score, o->top, o->json);
    if (o->json) printf("}\n");
    (void)fflush(stdout); /* an error is found at the end */
    return status;
}

/* A stream may be silent for long: whether a file has another result is seen, a pipe is not waited
 * for. */
static fhola_status look_ahead(int *more, ckks_reader *in)
{
    *more = 0;
    return ckks_reader_file(in).inode ? ckks_reader_peek(in, more, CKKS_FILE_CIPHERTEXT) : FHOLA_OK;
}

/* `count` results that came together; `number`: that of the first. */
static fhola_status print_results(const decrypt_options *o, const nn_client *client,
                                  const double *score, size_t number, size_t count, bool more)
{
    fhola_status status = FHOLA_OK;
    for (size_t k = 0; status == FHOLA_OK && k < count; k++)
        status = print_result(o, client, score + k * nn_client_classes(client), number + k,
                              more || k + 1 < count);
    return status;
}

static fhola_status decrypt_all(const decrypt_options *o, nn_owner *owner, ckks_reader *in,
                                double *score)
{
    size_t count;
    for (size_t number = 1;; number += count) {
        int another;
        fhola_status status = nn_owner_decrypt_several(owner, score, &count, in);
        if (status == FHOLA_OK && !count && number == 1)
            status = fhola_fail(FHOLA_FORMAT, "no result arrived");
        if (status != FHOLA_OK || !count) return status;
        status = look_ahead(&another, in);
        fhola_status printed = print_results(o, nn_owner_client(owner), score, number, count,
                                             status != FHOLA_OK || another);
        if (status != FHOLA_OK || printed != FHOLA_OK) return status == FHOLA_OK ? printed : status;
    }
}

static fhola_status flood(const decrypt_options *o, nn_owner *owner, const char *secret)
{
    const char *path = strcmp(secret, "-") == 0 ? "/dev/stdin" : secret;
    fhola_status status = nn_owner_flood(owner, path, o->flood, o->queries, o->error);
    if (status == FHOLA_OK)
        nn_cmd_note("every score has noise of standard deviation %.3g",
                    nn_flood_deviation(nn_owner_client(owner), o->flood, o->queries, o->error));
    return status;
}

static fhola_status decrypt(const decrypt_options *o, const char *secret, const char *input)
{
    nn_owner *owner = NULL;
    ckks_reader *in = NULL;
    fhola_status status = nn_cmd_open_secret(&owner, secret);
    if (status == FHOLA_OK) status = nn_cmd_open_input(&in, input);
    if (status == FHOLA_OK && !isnan(o->flood)) status = flood(o, owner, secret);
    if (status == FHOLA_OK) {
        const nn_client *client = nn_owner_client(owner);
        size_t scores = nn_client_pictures(client) * nn_client_classes(client);
        double *score = calloc(scores, sizeof *score);
        status = score ? decrypt_all(o, owner, in, score)
                       : fhola_fail(FHOLA_NOMEM, "no memory for %zu scores", scores);
        if (score) ckks_wipe(score, scores * sizeof *score);
        free(score);
    }
    ckks_reader_destroy(in);
    nn_owner_destroy(owner);
    return status;
}

static int run(int argc, char **argv)
{
    decrypt_options o = {.top = 3, .flood = (double)NAN, .queries = 1, .error = NN_CMD_ERROR};
    if (!nn_cmd_parse(&nn_cmd_decrypt, &o, &argc, argv)) return NN_CMD_WRONG_USE;
    nn_cmd_catch_signals();
    return nn_cmd_finish_caught("decrypt", decrypt(&o, argv[1], argc > 2 ? argv[2] : NULL));
}

const nn_cmd_command nn_cmd_decrypt = {
    .name = "decrypt",
    .run = run,
    .secret = true,
    .usage = "SECRET.KEY [FILE]",
    .purpose = "decrypt results: the best classes and their scores, rounded",
    .options = options,
    .least = 1,
    .most = 2,
    .operands = "a secret key and perhaps a file of results",
    .notes = "FILE defaults to standard input.",
    .examples = "fhola decrypt keys/secret.key scores.ct\n"
                "fhola decrypt keys/secret.key --json --top 1 < scores.ct",
};
