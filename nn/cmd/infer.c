/* SPDX-License-Identifier: Apache-2.0 */
/* fhola infer: runs a compiled network on a stream of encrypted pictures. Holds no secret, and
 * refuses a file that does. */
#define _POSIX_C_SOURCE 200809L
#include "nn/cmd/infer.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "nn/cmd/ranks.h"

static const nn_cmd_option options[] = {
    NN_CMD_STREAM("output", 'o', "FILE", infer_options, output,
                  "where the results go (default, and -: standard output)"),
    NN_CMD_WHOLE("skip", 0, "N", infer_options, skip, 0, 1e15,
                 "pass over the first N pictures, whose results are there already"),
    NN_CMD_FLAG("json", 0, infer_options, json,
                "print a JSON object a picture, and one at the end; on standard error\nwhere "
                "results go to standard output"),
    NN_CMD_SANITIZE(infer_options, sanitize, error),
    NN_CMD_THREADS,
    NN_CMD_MEMORY(infer_options, memory),
    NN_CMD_PROGRESS,
    NN_CMD_QUIET,
    NN_CMD_END,
};

/* ---- progress ---- */

void infer_count_pictures(infer_job *job)
{
    uint64_t bytes;
    uint32_t chunks;
    ckks_reader_extent(job->in, &bytes, &chunks);
    if (job->pictures || bytes == 0) return;
    job->pictures = (size_t)(job->bytes / (double)bytes + 0.5);
}

/* When its container has been read. */
static void begin_picture(infer_job *job)
{
    size_t together = nn_network_pictures(nn_server_network(job->server));
    infer_count_pictures(job);
    if (job->pictures < job->picture) job->pictures = 0;
    nn_cmd_progress_picture(job->picture, job->pictures, together);
    job->start = nn_cmd_now();
}

static int show_step(void *arg, size_t layer, nn_step step, size_t done, size_t total)
{
    infer_job *job = arg;
    if (done == 0) begin_picture(job);
    nn_cmd_progress_step(nn_server_network(job->server), layer, step, done, total);
    return nn_cmd_interrupted();
}

/* ---- making ready ---- */

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

fhola_status infer_open_files(infer_job *job)
{
    job->bytes = bytes_of(job->input);
    FHOLA_TRY(nn_cmd_open_input(&job->keys_file, job->keys_path));
    FHOLA_TRY(nn_cmd_open_input(&job->in, job->input));
    FHOLA_TRY(look_at(job->keys_file, job->in, job->input ? job->input : "-"));
    return nn_cmd_open_output(&job->out, job->options->output);
}

fhola_status infer_open_run(nn_run **run, const infer_job *job)
{
    const infer_options *o = job->options;
    FHOLA_TRY(nn_run_create(run, job->server));
    fhola_status status =
        isnan(o->sanitize) ? FHOLA_OK : nn_run_sanitize(*run, o->sanitize, o->error);
    if (status == FHOLA_OK) return FHOLA_OK;
    nn_run_destroy(*run);
    *run = NULL;
    return status;
}

fhola_status infer_open_server(infer_job *job, unsigned processes)
{
    double gib = job->options->memory;
    uint64_t memory = nn_cmd_memory(gib);
    if (gib <= 0) memory /= processes;
    FHOLA_TRY(nn_cmd_open_server(&job->server, job->network));
    /* what cannot be is found before keys are read */
    FHOLA_TRY(nn_server_limit_memory(job->server, memory));
    nn_cmd_say_memory(memory, nn_server_memory(job->server));
    return FHOLA_OK;
}

/* Everything but the streams of pictures and results. */
static fhola_status get_ready(infer_job *job)
{
    FHOLA_TRY(infer_open_server(job, 1));
    FHOLA_TRY(nn_keys_read(&job->keys, job->server, job->keys_file, nn_cmd_count, NULL));
    nn_cmd_progress_at("loading", 0, 1, "preparing the network");
    return nn_server_prepare(job->server);
}

/* ---- pictures ---- */

fhola_status infer_look(size_t *pictures, const infer_job *job, ckks_reader *in)
{
    ckks_ciphertext **picture = NULL;
    int more = 1;
    FHOLA_TRY(nn_server_receive(job->server, &picture, in, &more));
    unsigned packed = more ? nn_encrypted_pictures(picture) : 0;
    *pictures = packed ? packed : more != 0;
    nn_encrypted_destroy(picture);
    return FHOLA_OK;
}

static fhola_status skip_pack(size_t *pictures, const infer_job *job)
{
    FHOLA_TRY(infer_look(pictures, job, job->in));
    if (!*pictures || ckks_reader_head(job->in).key == nn_keys_id(job->keys)) return FHOLA_OK;
    return ckks_reader_fail(job->in, FHOLA_KEY, "it belongs to another secret key");
}

/* *pictures: how many the next container has; 0: there is none. */
static fhola_status skip_container(infer_job *job, size_t *pictures)
{
    ckks_chunk_info chunk = {.length = 0};
    int more = 1;
    if (nn_network_pictures(nn_server_network(job->server)) > 1) return skip_pack(pictures, job);
    FHOLA_TRY(ckks_reader_begin(job->in, &more, CKKS_FILE_CIPHERTEXT, NULL, nn_keys_id(job->keys)));
    while (more && strcmp(chunk.tag, "END ") != 0) FHOLA_TRY(ckks_reader_skip(job->in, &chunk));
    *pictures = more != 0;
    return FHOLA_OK;
}

fhola_status infer_skip(infer_job *job)
{
    size_t skip = (size_t)job->options->skip, pictures = 0;
    for (; job->picture <= skip; job->picture += pictures) {
        FHOLA_TRY(skip_container(job, &pictures));
        if (pictures) infer_count_pictures(job);
        if (job->picture - 1 + pictures > skip)
            return fhola_fail(FHOLA_PARAM,
                              "pictures %zu to %zu are packed in one ciphertext: %zu or %zu can be "
                              "skipped, not %zu",
                              job->picture, job->picture - 1 + pictures, job->picture - 1,
                              job->picture - 1 + pictures, skip);
        if (!pictures)
            return fhola_fail(FHOLA_FORMAT, "%zu picture%s arrived, %zu were to be skipped",
                              job->picture - 1, job->picture == 2 ? "" : "s", skip);
        if (nn_cmd_interrupted()) return fhola_fail(FHOLA_CANCELLED, "skipping was interrupted");
    }
    job->begun = nn_cmd_now();
    return FHOLA_OK;
}

fhola_status infer_finish_pictures(infer_job *job, size_t count, double seconds)
{
    const infer_options *o = job->options;
    if (!o->output) FHOLA_TRY(ckks_writer_commit(job->out));
    if (o->json) nn_cmd_progress_end();
    for (size_t k = 0; o->json && k < count; k++)
        fprintf(o->output ? stdout : stderr, "{\"picture\": %zu, \"seconds\": %.3f}\n",
                job->picture + k, seconds / (double)count);
    if (o->json) (void)fflush(stdout);
    job->picture += count;
    job->complete = ckks_writer_bytes(job->out);
    job->seconds = nn_cmd_now() - job->begun;
    return FHOLA_OK;
}

static fhola_status infer_all(infer_job *job)
{
    nn_infer_hooks hooks = {.user = job, .progress = show_step};
    nn_run *run = NULL;
    int more = 1;
    FHOLA_TRY(infer_skip(job));
    fhola_status status = infer_open_run(&run, job);
    while (status == FHOLA_OK && more) {
        status = nn_run_infer(run, job->out, job->keys, job->in, &more, &hooks);
        if (status == FHOLA_OK && more)
            status = infer_finish_pictures(job, (size_t)more, nn_cmd_now() - job->start);
    }
    nn_run_destroy(run);
    return status;
}

/* ---- the end ---- */

/* Results are handed on one by one, but a file is made in one piece. */
void infer_keep(infer_job *job)
{
    const char *output = job->options->output;
    size_t skip = (size_t)job->options->skip, last = job->picture - 1;
    bool there = output && job->complete > 0 && job->complete == ckks_writer_bytes(job->out);
    job->complete = 0;
    if (there && ckks_writer_commit(job->out) == FHOLA_OK) nn_cmd_keep(output, last - skip, last);
}

static fhola_status conclude(infer_job *job, fhola_status status)
{
    char detail[1024];
    size_t skip = (size_t)job->options->skip;
    if (status == FHOLA_OK && job->picture - 1 == skip)
        status =
            fhola_fail(FHOLA_FORMAT, skip ? "no encrypted picture is behind those to be skipped"
                                          : "no encrypted picture arrived");
    if (status == FHOLA_OK) return ckks_writer_commit(job->out);
    snprintf(detail, sizeof detail, "%s", fhola_detail());
    infer_keep(job);
    return fhola_fail(status, "%s", detail);
}

static void report(const infer_job *job)
{
    const infer_options *o = job->options;
    const nn_cmd_file file = {o->output, "encrypted scores, for the owner of the key"};
    size_t results = job->picture - 1 - (size_t)o->skip;
    if (!o->json && o->output) nn_cmd_report_files(&file, 1, false);
    if (!o->json) return;
    fprintf(o->output ? stdout : stderr, "{\"pictures\": %zu, \"seconds\": %.3f", results,
            job->seconds);
    if (o->output) {
        printf(", ");
        nn_cmd_json_files(&file, 1);
    }
    fprintf(o->output ? stdout : stderr, "}\n");
}

static fhola_status infer_alone(infer_job *job)
{
    /* shares of the time, as ResNet-20 has them (bench/RESULTS.md) */
    static const nn_cmd_phase phases[] = {{"key", 1.5}, {"loading", 2.5}, {"layers", 3.5}};
    nn_cmd_progress_expect(phases, sizeof phases / sizeof phases[0]);
    FHOLA_TRY(infer_open_files(job));
    FHOLA_TRY(get_ready(job));
    return infer_all(job);
}

static fhola_status infer(infer_job *job)
{
    bool first = nn_ranks_own() == 0;
    fhola_status status = nn_ranks_count() > 1 ? nn_ranks_infer(job) : infer_alone(job);
    if (first && job->out) status = conclude(job, status);
    nn_cmd_progress_end();
    ckks_writer_destroy(job->out);
    ckks_reader_destroy(job->in);
    ckks_reader_destroy(job->keys_file);
    nn_keys_release(job->keys);
    nn_server_destroy(job->server);
    if (first && status == FHOLA_OK) report(job);
    return status;
}

static int run(int argc, char **argv)
{
    infer_options o = {.sanitize = (double)NAN, .error = NN_CMD_ERROR};
    if (!nn_cmd_parse(&nn_cmd_infer, &o, &argc, argv)) return NN_CMD_WRONG_USE;
    nn_cmd_catch_signals();
    infer_job job = {.options = &o,
                     .network = argv[1],
                     .keys_path = argv[2],
                     .input = argc > 3 ? argv[3] : NULL,
                     .picture = 1};
    fhola_status status = nn_ranks_begin();
    if (status == FHOLA_OK) status = infer(&job);
    return nn_ranks_finish("infer", status);
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
