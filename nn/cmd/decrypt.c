/* SPDX-License-Identifier: Apache-2.0 */
/* fhola decrypt: results to classes and rounded scores. */
#define _GNU_SOURCE
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "nn/cmd/stream.h"

typedef struct decrypt_options {
    const char *secret, *input;
    double top;
    bool json;
} decrypt_options;

static bool read_options(decrypt_options *o, int argc, char **argv)
{
    static const struct option table[] = {
        {"top", required_argument, NULL, 't'}, {"json", no_argument, NULL, 'j'}, {NULL, 0, NULL, 0}};
    *o = (decrypt_options){.top = 3};
    int option;
    bool fine = true;
    opterr = 0;
    while (fine && (option = getopt_long(argc, argv, ":", table, NULL)) != -1) {
        switch (option) {
        case 't': fine = nn_cmd_number("decrypt", "--top", optarg, 1, 1000, &o->top); break;
        case 'j': o->json = true; break;
        default: fine = nn_cmd_wrong_use("decrypt", "unknown option or missing value: '%s'", argv[optind - 1]) == 0; break;
        }
    }
    int operands = argc - optind;
    if (fine && operands != 1 && operands != 2)
        fine = nn_cmd_wrong_use("decrypt", "a secret key and perhaps a file of results expected, %d operands given", operands) == 0;
    if (!fine) return false;
    o->secret = argv[optind];
    o->input = operands == 2 ? argv[optind + 1] : NULL;
    return true;
}

/* Indices of the classes, best score first. */
static void rank(size_t *index, const double *score, size_t classes)
{
    for (size_t i = 0; i < classes; i++) {
        size_t at = i;
        for (; at > 0 && score[index[at - 1]] < score[i]; at--) index[at] = index[at - 1];
        index[at] = i;
    }
}

static void print_text(const nn_client *client, const double *score, const size_t *index, size_t top)
{
    for (size_t i = 0; i < top; i++) printf("%-16s %8.2f\n", nn_client_class(client, index[i]), score[index[i]]);
}

static void print_json(const nn_client *client, const double *score, const size_t *index, size_t top)
{
    printf("{\"class\": ");
    nn_cmd_json_string(nn_client_class(client, index[0]));
    printf(", \"top\": [");
    for (size_t i = 0; i < top; i++) {
        printf(i ? ", {\"name\": " : "{\"name\": ");
        nn_cmd_json_string(nn_client_class(client, index[i]));
        printf(", \"score\": %.2f}", score[index[i]]);
    }
    printf("]}\n");
}

static fhola_status decrypt_all(const decrypt_options *o, nn_owner *owner, ckks_reader *in, double *score, size_t *index)
{
    const nn_client *client = nn_owner_client(owner);
    size_t classes = nn_client_classes(client), top = o->top < (double)classes ? (size_t)o->top : classes;
    for (size_t results = 0;; results++) {
        int more;
        fhola_status status = nn_owner_decrypt(owner, score, in, &more);
        if (status == FHOLA_OK && !more && !results) status = fhola_fail(FHOLA_FORMAT, "no result arrived");
        if (status != FHOLA_OK || !more) return status;
        rank(index, score, classes);
        if (results && !o->json) printf("\n");
        (o->json ? print_json : print_text)(client, score, index, top);
        (void)fflush(stdout); /* an error is found at the end */
    }
}

static fhola_status run(const decrypt_options *o)
{
    nn_owner *owner = NULL;
    ckks_reader *in = NULL;
    double *score = NULL;
    size_t *index = NULL;
    fhola_status status = nn_owner_open_secret(&owner, o->secret);
    if (status == FHOLA_OK) status = nn_cmd_open_input(&in, o->input);
    if (status == FHOLA_OK) {
        size_t classes = nn_client_classes(nn_owner_client(owner));
        score = calloc(classes, sizeof *score);
        index = calloc(classes, sizeof *index);
        status =
            score && index ? decrypt_all(o, owner, in, score, index) : fhola_fail(FHOLA_NOMEM, "no memory for %zu scores", classes);
    }
    free(score);
    free(index);
    ckks_reader_destroy(in);
    nn_owner_destroy(owner);
    return status;
}

int nn_cmd_decrypt(int argc, char **argv)
{
    decrypt_options o;
    if (!read_options(&o, argc, argv)) return NN_CMD_WRONG_USE;
    nn_cmd_catch_signals();
    return nn_cmd_finish_caught("decrypt", run(&o));
}
