/* SPDX-License-Identifier: Apache-2.0 */
/* fhola encrypt: pictures to ciphertexts. */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "nn/cmd/stream.h"

#define WIDEST 64u /* characters of a preview */

typedef struct encrypt_options {
    const char *output;
    nn_cmd_range record; /* first -1: pictures are pictures, not batches */
    bool preview, json;
} encrypt_options;

static const nn_cmd_option options[] = {
    NN_CMD_STREAM("output", 'o', "FILE", encrypt_options, output,
                  "where the ciphertexts go (default, and -: standard output)"),
    NN_CMD_RANGE("record", 0, "N", encrypt_options, record, 0, 1e9,
                 "PICTURE holds records; take its record N, counted from 0, or with A-B\nrecords A "
                 "to B"),
    NN_CMD_FLAG("preview", 0, encrypt_options, preview,
                "show on standard error what the network will see"),
    NN_CMD_FLAG("json", 0, encrypt_options, json, "with -o: print one JSON object"),
    NN_CMD_THREADS,
    NN_CMD_PROGRESS,
    NN_CMD_QUIET,
    NN_CMD_END,
};

/* ---- preview: what the network will see, two rows of pixels a line ---- */

/* A picture, of which every `step`-th pixel of every `step`-th row is shown. */
typedef struct view {
    const double *values;
    nn_shape shape;
    unsigned step;
} view;

/* Channel `c` (of red, green and blue) at a pixel, 0 to 255; below the last row 0. */
static unsigned level(const view *v, unsigned c, unsigned y, unsigned x)
{
    nn_shape s = v->shape;
    if (y >= s.height) return 0;
    size_t plane = (size_t)s.height * s.width, at = (size_t)y * s.width + x;
    double value = v->values[(s.channels == 3 ? c : 0) * plane + at];
    return value <= 0 ? 0 : value >= 1 ? 255 : (unsigned)(255 * value + 0.5);
}

static void show_colours(const view *v, unsigned y, unsigned x)
{
    unsigned below = y + v->step;
    fprintf(stderr, "\033[38;2;%u;%u;%um\033[48;2;%u;%u;%um\xe2\x96\x80", level(v, 0, y, x),
            level(v, 1, y, x), level(v, 2, y, x), level(v, 0, below, x), level(v, 1, below, x),
            level(v, 2, below, x));
}

static void show_character(const view *v, unsigned y, unsigned x)
{
    static const char shade[] = " .:-=+*#%@";
    unsigned sum = 0, rows = y + v->step < v->shape.height ? 2 : 1;
    for (unsigned c = 0; c < 3; c++)
        for (unsigned k = 0; k < rows; k++) sum += level(v, c, y + k * v->step, x);
    fputc(shade[sum / (3 * rows) * (sizeof shade - 2) / 255], stderr);
}

/* Values that are no picture are not shown. */
static void preview(const double *values, nn_shape shape)
{
    bool colours = nn_cmd_colours(STDERR_FILENO);
    view v = {values, shape, (shape.width + WIDEST - 1) / WIDEST};
    if (shape.channels != 1 && shape.channels != 3) return;
    for (unsigned y = 0; y < shape.height; y += 2 * v.step) {
        for (unsigned x = 0; x < shape.width; x += v.step)
            (colours ? show_colours : show_character)(&v, y, x);
        fprintf(stderr, colours ? "\033[0m\n" : "\n");
    }
}

/* ----  ---- */

/* The command at work. */
typedef struct work {
    const encrypt_options *options;
    nn_owner *owner;
    ckks_writer *out;
    double *held[NN_MAX_PICTURES]; /* pictures that wait for others to be packed with */
    size_t holds;
    size_t done, total; /* pictures */
} work;

/* How many go into one container. */
static size_t pack_of(const work *w)
{
    return nn_client_pictures(nn_owner_client(w->owner));
}

static void forget(work *w, nn_shape shape)
{
    for (size_t k = 0; k < w->holds; k++) nn_cmd_free_picture(w->held[k], shape);
    w->holds = 0;
}

/* Those that wait, if there are any. */
static fhola_status encrypt_held(work *w, nn_shape shape)
{
    if (!w->holds) return FHOLA_OK;
    fhola_status status =
        nn_owner_encrypt_several(w->owner, w->out, (const double *const *)w->held, w->holds);
    w->done += w->holds;
    forget(w, shape);
    FHOLA_TRY(status);
    if (w->total > 1) nn_cmd_progress_at("picture", w->done, w->total, NULL);
    return nn_cmd_interrupted() ? fhola_fail(FHOLA_CANCELLED, "interrupted") : FHOLA_OK;
}

static fhola_status encrypt_values(work *w, const double *values, nn_shape shape)
{
    size_t bytes = (size_t)shape.channels * shape.height * shape.width * sizeof *values;
    if (w->options->preview) {
        nn_cmd_progress_end();
        preview(values, shape);
    }
    double *copy = malloc(bytes);
    if (!copy) return fhola_fail(FHOLA_NOMEM, "no memory for a picture");
    memcpy(copy, values, bytes);
    w->held[w->holds++] = copy;
    return w->holds < pack_of(w) ? FHOLA_OK : encrypt_held(w, shape);
}

static fhola_status encrypt_picture(work *w, nn_shape shape, const char *path)
{
    double *values = NULL;
    char room[NN_CMD_PATH_ROOM];
    FHOLA_TRY(nn_cmd_read_picture(&values, shape, nn_cmd_find_picture(room, path), -1));
    fhola_status status = encrypt_values(w, values, shape);
    nn_cmd_free_picture(values, shape);
    return status;
}

static fhola_status encrypt_records(work *w, nn_shape shape, const char *path)
{
    nn_batch *batch = NULL;
    double *values = calloc((size_t)shape.channels * shape.height * shape.width, sizeof *values);
    fhola_status status = values ? FHOLA_OK : fhola_fail(FHOLA_NOMEM, "no memory for a picture");
    if (status == FHOLA_OK) status = nn_cmd_read_records(&batch, shape, path, w->options->record);
    for (size_t i = 0; status == FHOLA_OK && i < nn_batch_count(batch); i++) {
        nn_batch_picture(batch, i, values);
        status = encrypt_values(w, values, shape);
    }
    nn_batch_free(batch);
    nn_cmd_free_picture(values, shape);
    return status;
}

static fhola_status encrypt_all(work *w, size_t count, char **pictures)
{
    nn_cmd_range record = w->options->record;
    nn_shape shape = nn_client_shape(nn_owner_client(w->owner));
    w->total = record.first < 0 ? count : count * ((size_t)(record.last - record.first) + 1);
    fhola_status status = FHOLA_OK;
    for (size_t i = 0; status == FHOLA_OK && i < count; i++)
        status = (record.first < 0 ? encrypt_picture : encrypt_records)(w, shape, pictures[i]);
    if (status == FHOLA_OK) status = encrypt_held(w, shape);
    forget(w, shape);
    return status == FHOLA_OK ? ckks_writer_commit(w->out) : status;
}

static void report(const work *w)
{
    const nn_cmd_file file = {w->options->output, w->done > 1
                                                      ? "encrypted pictures, for the server"
                                                      : "an encrypted picture, for the server"};
    if (!file.path) return;
    nn_cmd_report_files(&file, 1, w->options->json);
}

static int run(int argc, char **argv)
{
    encrypt_options o = {.record = {-1, -1}};
    work w = {.options = &o};
    if (!nn_cmd_parse(&nn_cmd_encrypt, &o, &argc, argv)) return NN_CMD_WRONG_USE;
    if (o.json && !o.output)
        return nn_cmd_wrong_use("encrypt", "--json goes with -o: standard output has ciphertexts");
    nn_cmd_catch_signals();
    fhola_status status = nn_cmd_open_secret(&w.owner, argv[1]);
    if (status == FHOLA_OK) status = nn_cmd_open_output(&w.out, o.output);
    if (status == FHOLA_OK) status = encrypt_all(&w, (size_t)argc - 2, argv + 2);
    nn_cmd_progress_end();
    ckks_writer_destroy(w.out);
    nn_owner_destroy(w.owner);
    if (status == FHOLA_OK) report(&w);
    return nn_cmd_finish_caught("encrypt", status);
}

const nn_cmd_command nn_cmd_encrypt = {
    .name = "encrypt",
    .run = run,
    .secret = true,
    .usage = "SECRET.KEY PICTURE...",
    .purpose = "encrypt pictures",
    .options = options,
    .least = 2,
    .most = NN_CMD_ANY,
    .operands = "a secret key and at least one picture",
    .notes =
        "A picture is a PPM, PNG or JPEG file of any size; a .npy file with the values the network "
        "takes;\nor, with --record, records of what 'fhola eval' takes ('man fhola' says "
        "more).\nPictures for a network that computes several at once share ciphertexts.",
    .examples = "fhola encrypt keys/secret.key cat.ppm -o cat.ct\n"
                "fhola encrypt keys/secret.key test_batch.bin --record 7 --preview > seven.ct\n"
                "fhola encrypt keys/secret.key test_batch.bin --record 0-9 -o ten.ct",
};
