/* SPDX-License-Identifier: Apache-2.0 */
/* fhola infer: runs a compiled network on a stream of encrypted pictures. Holds no secret, and
 * refuses a file that does. */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "nn/cmd/stream.h"

typedef struct infer_options {
    const char *output;
    double memory;
    bool json;
} infer_options;

static const nn_cmd_option options[] = {
    NN_CMD_STREAM("output", 'o', "FILE", infer_options, output,
                  "where the results go (default, and -: standard output)"),
    NN_CMD_FLAG("json", 0, infer_options, json,
                "print a JSON object a picture, and one at the end; on standard error\nwhere "
                "results go to standard output"),
    NN_CMD_THREADS,
    NN_CMD_MEMORY(infer_options, memory),
    NN_CMD_PROGRESS,
    NN_CMD_QUIET,
    NN_CMD_END,
};

/* ---- progress ---- */

typedef struct progress {
    const nn_server *server;
    const ckks_reader *in;
    double bytes;             /* of all pictures; 0: nobody knows */
    size_t picture, pictures; /* from 1; how many there will be, 0: nobody knows */
    double start;             /* of the picture, or of all that are computed at once */
} progress;

static int show_keys(void *arg, size_t done, size_t total)
{
    (void)arg;
    nn_cmd_progress_at("key", done, total, NULL);
    return nn_cmd_interrupted();
}

/* When its container has been read: those of all pictures have as many bytes. */
static void begin_picture(progress *p)
{
    uint64_t bytes;
    uint32_t chunks;
    size_t together = nn_network_pictures(nn_server_network(p->server));
    ckks_reader_extent(p->in, &bytes, &chunks);
    if (p->picture == 1 && bytes > 0) p->pictures = (size_t)(p->bytes / (double)bytes + 0.5);
    if (p->pictures < p->picture) p->pictures = 0;
    nn_cmd_progress_picture(p->picture, p->pictures, together);
    p->start = nn_cmd_now();
}

static int show_step(void *arg, size_t layer, nn_step step, size_t done, size_t total)
{
    progress *p = arg;
    if (done == 0) begin_picture(p);
    nn_cmd_progress_step(nn_server_network(p->server), layer, step, done, total);
    return nn_cmd_interrupted();
}

/* ----  ---- */

/* What cannot be is found before keys are read. */
static fhola_status limit_memory(nn_server *server, const infer_options *o)
{
    uint64_t memory = nn_cmd_memory(o->memory);
    fhola_status status = nn_server_limit_memory(server, memory);
    if (status == FHOLA_OK) nn_cmd_say_memory(memory, nn_server_memory(server));
    return status;
}

/* Reading keys takes time: first a look at the head of both files, to refuse at once what does not
 * belong together. A stream of pictures may be silent until the keys are in use, and is not waited
 * for. */
static fhola_status look_at(ckks_reader *keys, ckks_reader *pictures, const char *name)
{
    int more = 1;
    fhola_status status = ckks_reader_peek(keys, NULL, CKKS_FILE_EVAL_KEYS);
    if (status != FHOLA_OK || !ckks_reader_file(pictures).inode) return status;
    status = ckks_reader_peek(pictures, &more, CKKS_FILE_CIPHERTEXT);
    uint64_t key = ckks_reader_head(keys).key, wanted = ckks_reader_head(pictures).key;
    if (status == FHOLA_OK && more && key != wanted)
        status = fhola_fail(FHOLA_KEY, "%s: %s of another key (%016llx, not %016llx)",
                            nn_cmd_input_name(name), ckks_file_kind_name(CKKS_FILE_CIPHERTEXT),
                            (unsigned long long)wanted, (unsigned long long)key);
    return status;
}

/* Of a file that holds nothing but pictures; 0: it is none. */
static double bytes_of(const char *input)
{
    struct stat info;
    bool standard = !input || strcmp(input, "-") == 0;
    int found = standard ? fstat(STDIN_FILENO, &info) : stat(input, &info);
    return found == 0 && S_ISREG(info.st_mode) ? (double)info.st_size : 0;
}

/* A line for each of `count` pictures, where standard output is free. */
static void report_pictures(const infer_options *o, const progress *p, int count)
{
    double seconds = (nn_cmd_now() - p->start) / count;
    if (!o->json) return;
    nn_cmd_progress_end();
    for (size_t k = 0; k < (size_t)count; k++)
        fprintf(o->output ? stdout : stderr, "{\"picture\": %zu, \"seconds\": %.3f}\n",
                p->picture + k, seconds);
    (void)fflush(stdout);
}

/* Results are handed on one by one, but a file is made in one piece: also of what was finished when
 * a signal came, if that was not among the bytes of a result. */
static fhola_status infer_all(progress *p, const nn_keys *keys, ckks_writer *out, ckks_reader *in,
                              const infer_options *o)
{
    nn_infer_hooks hooks = {.user = p, .progress = show_step};
    nn_run *run = NULL;
    uint64_t complete = 0;
    int more = 1;
    fhola_status status = nn_run_create(&run, p->server);
    while (status == FHOLA_OK && more) {
        status = nn_run_infer(run, out, keys, in, &more, &hooks);
        if (status == FHOLA_OK && more && !o->output) status = ckks_writer_commit(out);
        if (status != FHOLA_OK || !more) break;
        complete = ckks_writer_bytes(out);
        report_pictures(o, p, more);
        p->picture += (size_t)more;
    }
    nn_run_destroy(run);
    if (status == FHOLA_OK && p->picture == 1)
        status = fhola_fail(FHOLA_FORMAT, "no encrypted picture arrived");
    if (status == FHOLA_OK) return ckks_writer_commit(out);
    bool keeps = nn_cmd_interrupted() && o->output && complete > 0 &&
                 complete == ckks_writer_bytes(out) && ckks_writer_commit(out) == FHOLA_OK;
    if (keeps) nn_cmd_keep(o->output, p->picture - 1);
    return status;
}

static void report(const infer_options *o, const progress *p)
{
    const nn_cmd_file file = {o->output, "encrypted scores, for the owner of the key"};
    if (!o->json && o->output) nn_cmd_report_files(&file, 1, false);
    if (!o->json) return;
    if (!o->output) {
        fprintf(stderr, "{\"pictures\": %zu}\n", p->picture - 1);
        return;
    }
    printf("{\"pictures\": %zu, ", p->picture - 1);
    nn_cmd_json_files(&file, 1);
    printf("}\n");
}

/* Everything but the streams of pictures and results. */
static fhola_status get_ready(nn_server **server, nn_keys **keys, const infer_options *o,
                              const char *network, ckks_reader *keys_file)
{
    FHOLA_TRY(nn_cmd_open_server(server, network));
    FHOLA_TRY(limit_memory(*server, o));
    FHOLA_TRY(nn_keys_read(keys, *server, keys_file, show_keys, NULL));
    nn_cmd_progress_at("loading", 0, 1, "preparing the network");
    return nn_server_prepare(*server);
}

static fhola_status infer(const infer_options *o, const char *network, const char *keys_path,
                          const char *input)
{
    /* shares of the time, as ResNet-20 has them (bench/RESULTS.md) */
    static const nn_cmd_phase phases[] = {{"key", 1.5}, {"loading", 2.5}, {"layers", 3.5}};
    nn_server *server = NULL;
    nn_keys *keys = NULL;
    ckks_reader *in = NULL, *keys_file = NULL;
    ckks_writer *out = NULL;
    nn_cmd_progress_expect(phases, sizeof phases / sizeof phases[0]);
    fhola_status status = nn_cmd_open_input(&keys_file, keys_path);
    if (status == FHOLA_OK) status = nn_cmd_open_input(&in, input);
    if (status == FHOLA_OK) status = look_at(keys_file, in, input ? input : "-");
    if (status == FHOLA_OK) status = nn_cmd_open_output(&out, o->output);
    if (status == FHOLA_OK) status = get_ready(&server, &keys, o, network, keys_file);
    ckks_reader_destroy(keys_file);
    progress p = {.server = server, .in = in, .bytes = bytes_of(input), .picture = 1};
    if (status == FHOLA_OK) status = infer_all(&p, keys, out, in, o);
    nn_cmd_progress_end();
    ckks_writer_destroy(out);
    ckks_reader_destroy(in);
    nn_keys_release(keys);
    nn_server_destroy(server);
    if (status == FHOLA_OK) report(o, &p);
    return status;
}

static int run(int argc, char **argv)
{
    infer_options o = {0};
    if (!nn_cmd_parse(&nn_cmd_infer, &o, &argc, argv)) return NN_CMD_WRONG_USE;
    nn_cmd_catch_signals();
    return nn_cmd_finish_caught("infer", infer(&o, argv[1], argv[2], argc > 3 ? argv[3] : NULL));
}

const nn_cmd_command nn_cmd_infer = {
    .name = "infer",
    .run = run,
    .usage = "FILE.fhola EVAL.KEYS [FILE]",
    .purpose = "run a compiled network on encrypted pictures",
    .options = options,
    .least = 2,
    .most = 3,
    .operands = "a compiled network, evaluation keys and perhaps a file of ciphertexts",
    .notes = "FILE, with any number of encrypted pictures, defaults to standard input. The results "
             "come in the same order.\n"
             "The name of a bundled model will do in place of FILE.fhola.",
    .examples = "fhola infer resnet20.fhola eval.keys cat.ct -o scores.ct\n"
                "cat cat.ct ship.ct | fhola infer resnet20.fhola eval.keys > scores.ct",
};
