/* SPDX-License-Identifier: Apache-2.0 */
/* fhola infer: runs a compiled network on a stream of encrypted pictures. Holds no secret, and refuses a file that does. */
#define _GNU_SOURCE
#include <getopt.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#ifdef _OPENMP
#include <omp.h>
#endif

#include "nn/cmd/stream.h"

typedef struct infer_options {
    const char *network, *keys, *input, *output;
    double threads;
    bool quiet;
} infer_options;

static bool read_options(infer_options *o, int argc, char **argv)
{
    static const struct option table[] = {{"output", required_argument, NULL, 'o'},
                                          {"threads", required_argument, NULL, 't'},
                                          {"quiet", no_argument, NULL, 'q'},
                                          {NULL, 0, NULL, 0}};
    *o = (infer_options){0};
    int option;
    bool fine = true;
    opterr = 0;
    while (fine && (option = getopt_long(argc, argv, ":o:q", table, NULL)) != -1) {
        switch (option) {
        case 'o': o->output = optarg; break;
        case 't': fine = nn_cmd_number("infer", "--threads", optarg, 1, 4096, &o->threads); break;
        case 'q': o->quiet = true; break;
        default: fine = nn_cmd_wrong_use("infer", "unknown option or missing value: '%s'", argv[optind - 1]) == 0; break;
        }
    }
    int operands = argc - optind;
    if (fine && (operands < 2 || operands > 3))
        fine = nn_cmd_wrong_use("infer",
                                "a compiled network, evaluation keys and perhaps a file of ciphertexts expected, %d operands given",
                                operands) == 0;
    if (!fine) return false;
    o->network = argv[optind];
    o->keys = argv[optind + 1];
    o->input = operands == 3 ? argv[optind + 2] : NULL;
    return true;
}

static void set_threads(double threads)
{
#ifdef _OPENMP
    if (threads >= 1) omp_set_num_threads((int)threads);
#else
    (void)threads;
#endif
}

/* ---- progress ---- */

typedef struct progress {
    const infer_options *options;
    const nn_server *server;
    size_t picture; /* from 1 */
} progress;

static int show_keys(void *arg, size_t done, size_t total)
{
    static char name[] = "infer";
    const progress *p = arg;
    if (!p->options->quiet) nn_cmd_progress(name, "reading keys:", done, total);
    return nn_cmd_interrupted();
}

static int show_step(void *arg, size_t layer, nn_step step, size_t done, size_t total)
{
    static char name[] = "infer";
    const progress *p = arg;
    char text[120];
    snprintf(text, sizeof text, "picture %zu, layer %zu of %zu, %s:", p->picture, layer + 1,
             nn_network_layers(nn_server_network(p->server)) + 1, nn_step_name(step));
    if (!p->options->quiet) nn_cmd_progress(name, text, done, total);
    return nn_cmd_interrupted();
}

/* ---- */

/* Of a compiled network, or of a bundled model. */
static fhola_status open_server(nn_server **server, const char *name)
{
    if (!nn_cmd_is_bundled(name)) return nn_server_open(server, name);
    nn_cmd_network n;
    fhola_status status = nn_cmd_bundled_network(&n, name);
    if (status == FHOLA_OK) status = nn_server_create(server, n.params, n.model, n.plan);
    nn_cmd_network_clear(&n);
    return status;
}

/* Reading takes time: first a look at the keys, to refuse a wrong file at once. */
static fhola_status look_at_keys(const char *path)
{
    ckks_reader *reader = NULL;
    fhola_status status = ckks_reader_open(&reader, path);
    if (status == FHOLA_OK) status = ckks_reader_begin(reader, NULL, CKKS_FILE_EVAL_KEYS, NULL, 0);
    ckks_reader_destroy(reader);
    return status;
}

/* Results are handed on one by one. */
static fhola_status infer_all(nn_server *server, ckks_writer *out, ckks_reader *in, progress *p)
{
    static char name[] = "infer";
    nn_infer_hooks hooks = {.user = p, .progress = show_step};
    int more = 1;
    fhola_status status = FHOLA_OK;
    if (!p->options->quiet) nn_cmd_progress(name, "preparing the network:", 0, 1);
    while (status == FHOLA_OK && more) {
        p->picture++;
        status = nn_server_infer(server, out, in, &more, &hooks);
        if (status == FHOLA_OK && more && !p->options->output) status = ckks_writer_commit(out);
    }
    if (status == FHOLA_OK && p->picture == 1) status = fhola_fail(FHOLA_FORMAT, "no encrypted picture arrived");
    if (status == FHOLA_OK) status = ckks_writer_commit(out);
    return status;
}

static fhola_status run(const infer_options *o)
{
    nn_server *server = NULL;
    ckks_reader *in = NULL;
    ckks_writer *out = NULL;
    progress p = {o, NULL, 0};
    fhola_status status = look_at_keys(o->keys);
    if (status == FHOLA_OK) status = nn_cmd_open_input(&in, o->input);
    if (status == FHOLA_OK) status = nn_cmd_open_output(&out, o->output);
    if (status == FHOLA_OK) status = open_server(&server, o->network);
    p.server = server;
    if (status == FHOLA_OK) status = nn_server_load_keys(server, o->keys, show_keys, &p);
    if (status == FHOLA_OK) status = infer_all(server, out, in, &p);
    nn_cmd_progress_end();
    ckks_writer_destroy(out);
    ckks_reader_destroy(in);
    nn_server_destroy(server);
    return status;
}

int nn_cmd_infer(int argc, char **argv)
{
    infer_options o;
    if (!read_options(&o, argc, argv)) return NN_CMD_WRONG_USE;
    set_threads(o.threads);
    nn_cmd_catch_signals();
    return nn_cmd_finish_caught("infer", run(&o));
}
