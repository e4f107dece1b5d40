/* SPDX-License-Identifier: Apache-2.0 */
/* fhola encrypt: pictures to ciphertexts. */
#define _GNU_SOURCE
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "nn/cmd/stream.h"

#define SIDE   NN_PICTURE_SIDE
#define PIXELS (SIDE * SIDE)

typedef struct encrypt_options {
    const char *secret, *output;
    char **pictures;
    int count;
    double record; /* -1: pictures are pictures, not batches */
    bool preview;
} encrypt_options;

static bool read_options(encrypt_options *o, int argc, char **argv)
{
    static const struct option table[] = {{"output", required_argument, NULL, 'o'},
                                          {"record", required_argument, NULL, 'r'},
                                          {"preview", no_argument, NULL, 'p'},
                                          {NULL, 0, NULL, 0}};
    *o = (encrypt_options){.record = -1};
    int option;
    bool fine = true;
    opterr = 0;
    while (fine && (option = getopt_long(argc, argv, ":o:", table, NULL)) != -1) {
        switch (option) {
        case 'o': o->output = optarg; break;
        case 'r': fine = nn_cmd_number("encrypt", "--record", optarg, 0, 1e9, &o->record); break;
        case 'p': o->preview = true; break;
        default: fine = nn_cmd_wrong_use("encrypt", "unknown option or missing value: '%s'", argv[optind - 1]) == 0; break;
        }
    }
    if (fine && argc - optind < 2)
        fine = nn_cmd_wrong_use("encrypt", "a secret key and at least one picture expected, %d operands given", argc - optind) == 0;
    if (!fine) return false;
    o->secret = argv[optind];
    o->pictures = argv + optind + 1;
    o->count = argc - optind - 1;
    return true;
}

/* ---- preview: what the network will see, two rows of pixels a line ---- */

static unsigned level(double value)
{
    return value <= 0 ? 0 : value >= 1 ? 255 : (unsigned)(255 * value + 0.5);
}

static void preview_colours(const double *rgb)
{
    for (unsigned y = 0; y < SIDE; y += 2) {
        for (unsigned x = 0; x < SIDE; x++) {
            const double *upper = rgb + y * SIDE + x, *lower = upper + SIDE;
            fprintf(stderr, "\033[38;2;%u;%u;%um\033[48;2;%u;%u;%um\xe2\x96\x80", level(upper[0]), level(upper[PIXELS]),
                    level(upper[2 * PIXELS]), level(lower[0]), level(lower[PIXELS]), level(lower[2 * PIXELS]));
        }
        fprintf(stderr, "\033[0m\n");
    }
}

static void preview_characters(const double *rgb)
{
    static const char shade[] = " .:-=+*#%@";
    for (unsigned y = 0; y < SIDE; y += 2) {
        for (unsigned x = 0; x < SIDE; x++) {
            double sum = 0;
            for (unsigned k = 0; k < 6; k++) sum += rgb[k / 2 * PIXELS + (y + k % 2) * SIDE + x];
            fputc(shade[level(sum / 6) * (sizeof shade - 2) / 255], stderr);
        }
        fputc('\n', stderr);
    }
}

static void preview(const double *rgb)
{
    const char *plain = getenv("NO_COLOR");
    (isatty(STDERR_FILENO) && !(plain && *plain) ? preview_colours : preview_characters)(rgb);
}

/* ---- */

static fhola_status read_record(double *rgb, const char *path, size_t record)
{
    nn_batch *batch = NULL;
    fhola_status status = nn_batch_load(&batch, path, record, 1);
    if (status == FHOLA_OK) nn_batch_picture(batch, 0, rgb);
    nn_batch_free(batch);
    return status;
}

static fhola_status encrypt_all(const encrypt_options *o, nn_owner *owner, ckks_writer *out)
{
    static double rgb[NN_PICTURE_VALUES];
    fhola_status status = FHOLA_OK;
    for (int i = 0; i < o->count && status == FHOLA_OK; i++) {
        status = o->record >= 0 ? read_record(rgb, o->pictures[i], (size_t)o->record) : nn_cmd_read_picture(rgb, o->pictures[i]);
        if (status == FHOLA_OK && o->preview) preview(rgb);
        if (status == FHOLA_OK) status = nn_owner_encrypt(owner, out, rgb);
        if (status == FHOLA_OK && nn_cmd_interrupted()) status = fhola_fail(FHOLA_IO, "interrupted");
    }
    return status == FHOLA_OK ? ckks_writer_commit(out) : status;
}

int nn_cmd_encrypt(int argc, char **argv)
{
    encrypt_options o;
    nn_owner *owner = NULL;
    ckks_writer *out = NULL;
    if (!read_options(&o, argc, argv)) return NN_CMD_WRONG_USE;
    nn_cmd_catch_signals();
    fhola_status status = nn_owner_open_secret(&owner, o.secret);
    if (status == FHOLA_OK) status = nn_cmd_open_output(&out, o.output);
    if (status == FHOLA_OK) status = encrypt_all(&o, owner, out);
    ckks_writer_destroy(out);
    nn_owner_destroy(owner);
    return nn_cmd_finish_caught("encrypt", status);
}
