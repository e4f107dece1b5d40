/* SPDX-License-Identifier: Apache-2.0 */
/* fhola bench net: a network on encrypted pictures, stage by stage, beside what the times of the
 * kernels alone predict.
 *
 * A child process plays the owner of the picture: it makes the keys and encrypts. This process is
 * the server, with the evaluation keys it reads from a file, so that its largest size is a
 * server's. */
#define _GNU_SOURCE
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "nn/cmd/bench.h"
#include "nn/cmd/stream.h"

#define PATH_ROOM 4096u
#define PICTURE   "cat"
#define MEBI      0x1p20
#define BRIEF     1e-4 /* seconds: a stage below it is not shown in the table */

typedef enum stage {
    CONVOLUTION,
    SLOTS_TO_COEFFS,
    SWITCH_TO_SPARSE,
    COEFFS_TO_SLOTS,
    EVAL_MOD,
    ACTIVATION,
    STAGES
} stage;

static const char *const stage_name[STAGES] = {"convolution",      "slots_to_coeffs",
                                               "switch_to_sparse", "coeffs_to_slots",
                                               "eval_mod",         "activation"};

/* What a stage took and did. */
typedef struct account {
    double seconds;
    ckks_work work;
} account;

/* Files of one run, below a folder of its own. */
typedef struct files {
    char folder[PATH_ROOM], secret[PATH_ROOM + 16], keys[PATH_ROOM + 16], picture[PATH_ROOM + 16],
        result[PATH_ROOM + 16];
} files;

typedef struct bench {
    const char *isa, *model_name;
    unsigned threads, pictures; /* pictures, or batches of them, measured */
    unsigned batch;             /* pictures at once */
    files files;
    nn_cmd_network source;
    ckks_cost cost;
    ckks_context *context;
    ckks_workspace *workspace;
    nn_network *network;
    ckks_eval_keys *keys;
    ckks_ciphertext **in, *out[NN_MAX_PICTURES];
    uint64_t network_id, key_id;
    size_t layers;    /* and one more account for the scores */
    account *account; /* layers + 1 rows of STAGES */
    account last;     /* what all came to when the present stage began */
    size_t layer;     /* the present one */
    stage stage;
    double keygen_seconds, startup_seconds, first_seconds, seconds;
    double *picture_seconds;
    double memory_before, memory_after, peak;
    char class_name[80];
} bench;

/* ---- the owner of the picture ---- */

static fhola_status make_folder(files *f)
{
    const char *parent = getenv("TMPDIR");
    int n = snprintf(f->folder, sizeof f->folder, "%s/fhola-bench-XXXXXX",
                     parent && *parent ? parent : "/tmp");
    if (n < 0 || (size_t)n >= sizeof f->folder || !mkdtemp(f->folder)) {
        f->folder[0] = 0;
        return fhola_fail(FHOLA_IO, "cannot make a folder for keys");
    }
    snprintf(f->secret, sizeof f->secret, "%s/secret.key", f->folder);
    snprintf(f->keys, sizeof f->keys, "%s/eval.keys", f->folder);
    snprintf(f->picture, sizeof f->picture, "%s/picture", f->folder);
    snprintf(f->result, sizeof f->result, "%s/result", f->folder);
    return FHOLA_OK;
}

static void remove_files(const files *f)
{
    if (!f->folder[0]) return;
    (void)remove(f->secret);
    (void)remove(f->keys);
    (void)remove(f->picture);
    (void)remove(f->result);
    (void)rmdir(f->folder);
}

static int count_keys(void *arg, size_t done, size_t total)
{
    (void)arg;
    nn_cmd_progress_at("key", done, total, NULL);
    return nn_cmd_interrupted();
}

static fhola_status own(const bench *b, double *seconds)
{
    double *picture = NULL;
    nn_shape shape = {0, 0, 0};
    char path[PATH_ROOM];
    nn_owner *owner = NULL;
    ckks_writer *out = NULL;
    nn_cmd_bundled(path, sizeof path, "pictures", PICTURE, ".ppm");
    fhola_status status =
        nn_owner_create(&owner, b->source.params, b->source.model, b->source.plan);
    if (status == FHOLA_OK) {
        shape = nn_client_shape(nn_owner_client(owner));
        status = nn_cmd_read_picture(&picture, shape, path, -1);
    }
    double start = nn_cmd_now();
    if (status == FHOLA_OK)
        status = nn_owner_generate(owner, b->files.secret, b->files.keys, count_keys, NULL);
    *seconds = nn_cmd_now() - start;
    if (status == FHOLA_OK) status = ckks_writer_open(&out, b->files.picture, 1);
    if (status == FHOLA_OK) status = nn_owner_encrypt(owner, out, picture);
    if (status == FHOLA_OK) status = ckks_writer_commit(out);
    nn_cmd_free_picture(picture, shape);
    ckks_writer_destroy(out);
    nn_owner_destroy(owner);
    return status;
}

/* In a process of its own: what it needs is not counted. */
static fhola_status run_owner(bench *b)
{
    int end[2], how;
    if (pipe(end)) return fhola_fail(FHOLA_IO, "cannot make a pipe");
    fflush(stdout);
    pid_t child = fork();
    if (child < 0) return fhola_fail(FHOLA_IO, "cannot make a process");
    if (child == 0) {
        double seconds;
        fhola_status status = own(b, &seconds);
        if (status == FHOLA_OK && write(end[1], &seconds, sizeof seconds) != sizeof seconds)
            status = FHOLA_IO;
        _exit(nn_cmd_finish("bench net", status));
    }
    close(end[1]);
    bool told =
        read(end[0], &b->keygen_seconds, sizeof b->keygen_seconds) == sizeof b->keygen_seconds;
    close(end[0]);
    if (waitpid(child, &how, 0) != child || !told || !WIFEXITED(how) || WEXITSTATUS(how))
        return fhola_fail(FHOLA_KEY, "the process that makes the keys failed");
    return FHOLA_OK;
}

/* After all is measured: what the result says. */
static fhola_status decrypt(bench *b)
{
    nn_owner *owner = NULL;
    ckks_reader *in = NULL;
    int more = 0;
    fhola_status status = nn_owner_open_secret(&owner, b->files.secret);
    size_t classes = status == FHOLA_OK ? nn_client_classes(nn_owner_client(owner)) : 0, best = 0;
    double *scores = calloc(classes + 1, sizeof *scores);
    if (!scores) status = fhola_fail(FHOLA_NOMEM, "no memory for the scores");
    if (status == FHOLA_OK) status = ckks_reader_open(&in, b->files.result);
    if (status == FHOLA_OK) status = nn_owner_decrypt(owner, scores, in, &more);
    for (size_t i = 1; i < classes; i++)
        if (scores[i] > scores[best]) best = i;
    if (status == FHOLA_OK)
        snprintf(b->class_name, sizeof b->class_name, "%s",
                 nn_client_class(nn_owner_client(owner), best));
    free(scores);
    ckks_reader_destroy(in);
    nn_owner_destroy(owner);
    return status;
}

/* ---- the server ---- */

static fhola_status read_keys(bench *b)
{
    ckks_reader *reader = NULL;
    fhola_status status = ckks_reader_open(&reader, b->files.keys);
    if (status == FHOLA_OK)
        status = ckks_reader_begin(reader, NULL, CKKS_FILE_EVAL_KEYS, b->context, 0);
    if (status == FHOLA_OK) status = nn_network_id_read(&b->network_id, reader);
    if (status == FHOLA_OK)
        status = ckks_eval_keys_read(&b->keys, b->context, reader, NULL, NULL, NULL);
    if (status == FHOLA_OK) status = ckks_reader_finish(reader);
    if (status == FHOLA_OK) b->key_id = ckks_reader_head(reader).key;
    ckks_reader_destroy(reader);
    return status;
}

static fhola_status read_picture(bench *b)
{
    ckks_reader *reader = NULL;
    uint64_t id;
    fhola_status status = ckks_reader_open(&reader, b->files.picture);
    if (status == FHOLA_OK)
        status = ckks_reader_begin(reader, NULL, CKKS_FILE_CIPHERTEXT, b->context, b->key_id);
    if (status == FHOLA_OK) status = nn_network_id_read(&id, reader);
    for (ckks_ciphertext **part = b->in; status == FHOLA_OK && *part; part++)
        status = ckks_ciphertext_read(*part, b->context, reader);
    ckks_reader_destroy(reader);
    return status;
}

static fhola_status write_result(const bench *b)
{
    ckks_writer *out = NULL;
    ckks_ciphertext *result = b->out[b->batch - 1];
    FHOLA_TRY(nn_shrink_result(b->context, b->workspace, b->network, b->keys, result));
    fhola_status status = ckks_writer_open(&out, b->files.result, 1);
    if (status == FHOLA_OK)
        status = ckks_writer_begin(out, CKKS_FILE_CIPHERTEXT, b->source.params, b->key_id);
    if (status == FHOLA_OK) status = nn_network_id_write(out, b->network_id);
    if (status == FHOLA_OK) status = ckks_ciphertext_write(out, result);
    if (status == FHOLA_OK) status = ckks_writer_end(out);
    if (status == FHOLA_OK) status = ckks_writer_commit(out);
    ckks_writer_destroy(out);
    return status;
}

static fhola_status start_up(bench *b)
{
    double start = nn_cmd_now();
    fhola_status status = ckks_context_create_counting(&b->context, b->source.params, b->isa);
    if (status == FHOLA_OK) status = ckks_workspace_create(&b->workspace, b->context);
    if (status == FHOLA_OK)
        status = nn_network_create(&b->network, b->context, b->workspace, b->source.model,
                                   b->source.plan, 1);
    if (status == FHOLA_OK) status = read_keys(b);
    b->startup_seconds = nn_cmd_now() - start;
    if (status == FHOLA_OK)
        status = nn_encrypted_create(&b->in, b->context, nn_network_client(b->network));
    b->batch = status == FHOLA_OK ? nn_network_pictures(b->network) : 0;
    for (unsigned p = 0; status == FHOLA_OK && p < b->batch; p++)
        status = ckks_ciphertext_create(&b->out[p], b->context);
    if (status == FHOLA_OK) status = read_picture(b);
    if (status != FHOLA_OK) return status;
    b->layers = nn_network_layers(b->network);
    b->account = calloc((b->layers + 1) * STAGES, sizeof *b->account);
    b->picture_seconds = calloc(b->pictures, sizeof *b->picture_seconds);
    return b->account && b->picture_seconds
               ? FHOLA_OK
               : fhola_fail(FHOLA_NOMEM, "no memory for the accounts of %zu layers", b->layers);
}

/* ---- accounts ---- */

static void add_account(account *sum, const account *a, const account *b) /* sum += a - b */
{
    sum->seconds += a->seconds - b->seconds;
    ckks_work_add(&sum->work, &a->work, &b->work);
}

static account present(const bench *b)
{
    account a = {.seconds = nn_cmd_now()};
    ckks_context_work(b->context, &a.work);
    return a;
}

/* What happened since the last call belonged to the stage under way; another one begins. */
static void turn(bench *b, size_t layer, stage next)
{
    account a = present(b);
    add_account(&b->account[b->layer * STAGES + b->stage], &a, &b->last);
    b->last = a;
    b->layer = layer;
    b->stage = next;
}

/* A step of the first picture, which has no accounts. */
static int first_step(void *user, size_t layer, nn_step step, size_t done, size_t total)
{
    (void)user, (void)layer, (void)step;
    nn_cmd_progress_at("step", done, total, NULL);
    return nn_cmd_interrupted();
}

static int step_begins(void *user, size_t layer, nn_step step, size_t done, size_t total)
{
    static const stage first[] = {CONVOLUTION, SLOTS_TO_COEFFS, ACTIVATION, CONVOLUTION};
    (void)done;
    (void)total;
    turn(user, layer, first[step]);
    return nn_cmd_interrupted();
}

static void stage_ended(void *user, ckks_stage ended)
{
    static const stage next[] = {SWITCH_TO_SPARSE, COEFFS_TO_SLOTS, EVAL_MOD, EVAL_MOD};
    bench *b = user;
    turn(b, b->layer, next[ended]);
}

/* ---- the run ---- */

/* Resident now, in MiB. */
static double resident(void)
{
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f) return NAN;
    int found = fscanf(f, "%*u %lu", &pages);
    fclose(f);
    return found == 1 ? (double)pages * (double)sysconf(_SC_PAGESIZE) / MEBI : NAN;
}

/* The same picture at all places of a batch. */
static fhola_status infer(bench *b, const nn_infer_hooks *hooks, double *seconds)
{
    ckks_ciphertext *const *picture[NN_MAX_PICTURES];
    for (unsigned p = 0; p < b->batch; p++) picture[p] = b->in;
    double start = nn_cmd_now();
    fhola_status status = nn_infer_batch(b->context, b->workspace, b->out, b->network, b->keys,
                                         picture, b->batch, hooks);
    *seconds = nn_cmd_now() - start;
    return status;
}

/* The first picture fills the workspace; the others are measured. */
static fhola_status run_pictures(bench *b)
{
    nn_infer_hooks first = {.user = b, .progress = first_step},
                   hooks = {.user = b, .progress = step_begins};
    fhola_status status = infer(b, &first, &b->first_seconds);
    b->memory_before = resident();
    ckks_workspace_observe(b->workspace, stage_ended, b);
    for (unsigned i = 0; i < b->pictures && status == FHOLA_OK; i++) {
        b->layer = 0;
        b->stage = CONVOLUTION;
        b->last = present(b);
        status = infer(b, &hooks, &b->picture_seconds[i]);
        turn(b, 0, CONVOLUTION);
        b->seconds += b->picture_seconds[i] / b->pictures;
    }
    b->memory_after = resident();
    b->peak = nn_cmd_peak_mib();
    return status;
}

/* A busy machine is slower for minutes: what is predicted is for the mean of the times before and
 * after the pictures. */
static fhola_status measure_cost(bench *b)
{
    ckks_cost now, *c = &b->cost;
    fhola_status status =
        ckks_cost_measure(&now, b->isa, ckks_params_get_spec(b->source.params)->log_n, b->threads);
    if (status != FHOLA_OK || !c->threads) {
        *c = now;
        return status;
    }
    c->clock_ghz = (c->clock_ghz + now.clock_ghz) / 2;
    c->bytes_per_us = (c->bytes_per_us + now.bytes_per_us) / 2;
    c->transform_floor_us = (c->transform_floor_us + now.transform_floor_us) / 2;
    for (size_t k = 0; k < CKKS_WORK_KINDS; k++)
        for (size_t wide = 0; wide < 2; wide++) {
            c->output_us[k][wide] = (c->output_us[k][wide] + now.output_us[k][wide]) / 2;
            c->term_us[k][wide] = (c->term_us[k][wide] + now.term_us[k][wide]) / 2;
        }
    return FHOLA_OK;
}

static fhola_status measure(bench *b)
{
    fhola_status status = make_folder(&b->files);
    if (status == FHOLA_OK) status = run_owner(b);
    /* its operands are fewer than what the server takes later */
    if (status == FHOLA_OK) status = measure_cost(b);
    if (status == FHOLA_OK) status = start_up(b);
    if (status == FHOLA_OK) status = run_pictures(b);
    if (status == FHOLA_OK) status = write_result(b);
    if (status == FHOLA_OK) status = decrypt(b);
    if (status == FHOLA_OK) status = measure_cost(b); /* after the server's memory was read */
    return status;
}

static void release(bench *b)
{
    remove_files(&b->files);
    free(b->picture_seconds);
    free(b->account);
    nn_encrypted_destroy(b->in);
    for (size_t p = 0; p < NN_MAX_PICTURES; p++) ckks_ciphertext_destroy(b->out[p]);
    ckks_eval_keys_destroy(b->keys);
    nn_network_destroy(b->network);
    ckks_workspace_destroy(b->workspace);
    ckks_context_destroy(b->context);
    nn_cmd_network_clear(&b->source);
}

/* ---- what is printed ---- */

/* The share of one run: of a picture, or a batch. */
static account per_run(const bench *b, const account *a)
{
    account one = *a;
    uint64_t k = b->pictures;
    one.seconds /= (double)k;
    for (size_t i = 0; i < CKKS_WORK_KINDS; i++)
        for (size_t wide = 0; wide < 2; wide++) {
            one.work.outputs[i][wide] /= k;
            one.work.terms[i][wide] /= k;
        }
    one.work.key_bytes /= k;
    one.work.plain_bytes /= k;
    one.work.key_switches /= k;
    one.work.products /= k;
    return one;
}

static double transforms(const ckks_work *w)
{
    return ckks_work_limbs(w, CKKS_WORK_NTT_FORWARD) + ckks_work_limbs(w, CKKS_WORK_NTT_INVERSE);
}

/* Null where the system does not tell. */
static void print_json_mib(const char *key, double mib)
{
    printf("\"%s\": ", key);
    nn_cmd_json_number(round(10 * mib) / 10);
    printf(", ");
}

static void print_json_account(const bench *b, const account *a, const char *seconds)
{
    ckks_cost_shares s;
    double predicted = ckks_cost_predict(&b->cost, &a->work, &s);
    printf("\"%s\": %.6f, \"predicted_seconds\": %.6f, \"transform_floor_seconds\": ", seconds,
           a->seconds, predicted);
    nn_cmd_json_number(s.transform_floor);
    printf(", \"memory_floor_seconds\": %.6f, \"ntt\": %.0f, \"key_switches\": %llu, "
           "\"key_bytes\": %llu, ",
           s.memory_floor, transforms(&a->work), (unsigned long long)a->work.key_switches,
           (unsigned long long)a->work.key_bytes);
    printf("\"plain_products\": %.0f, \"plain_bytes\": %llu, \"products\": %llu",
           ckks_work_limbs(&a->work, CKKS_WORK_PLAIN_PRODUCT),
           (unsigned long long)a->work.plain_bytes, (unsigned long long)a->work.products);
}

static bool did_something(const account *a)
{
    return a->seconds > 0;
}

static account total(const bench *b)
{
    account sum = {0}, zero = {0};
    for (size_t i = 0; i < (b->layers + 1) * STAGES; i++) {
        account one = per_run(b, &b->account[i]);
        if (did_something(&one)) add_account(&sum, &one, &zero);
    }
    return sum;
}

static void print_json(const bench *b)
{
    for (size_t i = 0; i <= b->layers; i++)
        for (size_t k = 0; k < STAGES; k++) {
            account one = per_run(b, &b->account[i * STAGES + k]);
            if (!did_something(&one)) continue;
            printf("{\"layer\": %zu, \"stage\": \"%s\", ", i, stage_name[k]);
            print_json_account(b, &one, "stage_seconds");
            printf("}\n");
        }
    account sum = total(b);
    ckks_cost_shares s;
    ckks_cost_predict(&b->cost, &sum.work, &s);
    printf("{\"model\": ");
    nn_cmd_json_string(b->model_name);
    printf(", \"threads\": %u, \"isa\": \"%s\", ", b->threads, ckks_context_isa(b->context));
    sum.seconds = b->seconds;
    print_json_account(b, &sum, "seconds");
    printf(", \"predicted_by_kind\": {");
    for (size_t k = 0; k < CKKS_WORK_KINDS; k++)
        printf("%s\"%s\": %.6f", k ? ", " : "", ckks_work_name((ckks_work_kind)k), s.kind[k]);
    printf("}, \"pictures\": %u, \"batch\": %u, \"seconds_per_picture\": %.6f, "
           "\"first_seconds\": %.6f, \"picture_seconds\": [",
           b->pictures, b->batch, b->seconds / b->batch, b->first_seconds);
    for (unsigned i = 0; i < b->pictures; i++)
        printf("%s%.6f", i ? ", " : "", b->picture_seconds[i]);
    printf("], \"keys_mib\": %.1f, \"plaintexts_mib\": %.1f, \"workspace_mib\": %.1f, ",
           (double)ckks_eval_keys_bytes(b->keys) / MEBI,
           (double)nn_network_bytes(b->network) / MEBI,
           (double)ckks_workspace_bytes(b->workspace) / MEBI);
    print_json_mib("peak_mib", b->peak);
    print_json_mib("memory_before_mib", b->memory_before);
    print_json_mib("memory_after_mib", b->memory_after);
    printf("\"startup_seconds\": %.3f, \"keygen_seconds\": %.3f, \"class\": ", b->startup_seconds,
           b->keygen_seconds);
    nn_cmd_json_string(b->class_name);
    printf("}\n");
}

static void print_row(const bench *b, const char *name, const account *a)
{
    ckks_cost_shares s;
    double predicted = ckks_cost_predict(&b->cost, &a->work, &s);
    printf("%-18s %9.4f %9.4f %6.2f %8.0f %7llu %8.0f %8.0f %8.0f", name, a->seconds, predicted,
           predicted / a->seconds, transforms(&a->work), (unsigned long long)a->work.key_switches,
           (double)a->work.key_bytes / 1e6, ckks_work_limbs(&a->work, CKKS_WORK_PLAIN_PRODUCT),
           (double)a->work.plain_bytes / 1e6);
    if (isfinite(s.transform_floor))
        printf(" %5.0f %%", 100 * s.transform_floor / a->seconds);
    else
        printf(" %7s", "-");
    printf(" %5.0f %%\n", 100 * s.memory_floor / a->seconds);
}

static void print_layers(const bench *b)
{
    printf("seconds of each layer\n%-6s", "layer");
    for (size_t k = 0; k < STAGES; k++) printf(" %17s", stage_name[k]);
    printf("\n");
    for (size_t i = 0; i <= b->layers; i++) {
        printf("%-6zu", i);
        for (size_t k = 0; k < STAGES; k++) {
            account one = per_run(b, &b->account[i * STAGES + k]);
            if (one.seconds > BRIEF)
                printf(" %17.4f", one.seconds);
            else
                printf(" %17s", "-");
        }
        printf("\n");
    }
}

static void print_text(const bench *b)
{
    account sum = total(b), zero = {0};
    ckks_cost_shares s;
    print_layers(b);
    printf("\n%-18s %9s %9s %6s %8s %7s %8s %8s %8s %7s %7s\n", "stage", "seconds", "predicted",
           "ratio", "ntt", "keys", "key MB", "plain", "plain MB", "ntt", "memory");
    for (size_t k = 0; k < STAGES; k++) {
        account all = {0};
        for (size_t i = 0; i <= b->layers; i++) {
            account one = per_run(b, &b->account[i * STAGES + k]);
            if (did_something(&one)) add_account(&all, &one, &zero);
        }
        print_row(b, stage_name[k], &all);
    }
    print_row(b, "all", &sum);
    ckks_cost_predict(&b->cost, &sum.work, &s);
    printf("\npredicted seconds by the kind of work:\n");
    for (size_t k = 0; k < CKKS_WORK_KINDS; k++)
        printf("  %-16s %8.4f\n", ckks_work_name((ckks_work_kind)k), s.kind[k]);
    printf("\n");
    nn_cmd_show(stdout, b->model_name);
    printf(", %s, %u threads: %.2f s a picture (first one %.2f s), %s\n",
           ckks_context_isa(b->context), b->threads, b->seconds / b->batch,
           b->first_seconds / b->batch, b->class_name);
    if (b->batch > 1)
        printf("%u pictures at once, in %.2f s: figures are those of all of them\n", b->batch,
               b->seconds);
    printf("MiB: keys %.0f, plaintexts %.0f, workspace %.0f\n",
           (double)ckks_eval_keys_bytes(b->keys) / MEBI,
           (double)nn_network_bytes(b->network) / MEBI,
           (double)ckks_workspace_bytes(b->workspace) / MEBI);
    printf("key generation %.1f s, start-up %.1f s", b->keygen_seconds, b->startup_seconds);
    if (isfinite(b->peak)) printf(", peak %.0f MiB", b->peak);
    if (isfinite(b->memory_before + b->memory_after))
        printf(", resident %.0f MiB before and %.0f MiB after", b->memory_before, b->memory_after);
    printf("\n");
}

/* ---- the whole ---- */

fhola_status nn_cmd_bench_net(const nn_cmd_bench_options *o)
{
    bench b = {.isa = o->isa, .model_name = o->model, .pictures = (unsigned)o->pictures};
    nn_cmd_set_threads(o->threads);
    b.threads = nn_cmd_threads();
    if (o->isa) (void)setenv("FHOLA_ISA", o->isa, 1); /* for the owner */
    nn_cmd_catch_signals();
    fhola_status status = nn_cmd_load_network(&b.source, o->model, NULL, NULL, o->params);
    if (status == FHOLA_OK) status = nn_cmd_set_batch(b.source.plan, o->batch);
    if (status == FHOLA_OK) status = measure(&b);
    if (status == FHOLA_OK && o->json)
        print_json(&b);
    else if (status == FHOLA_OK)
        print_text(&b);
    release(&b);
    return status;
}
