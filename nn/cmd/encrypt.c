/* SPDX-License-Identifier: Apache-2.0 */
/* fhola encrypt: pictures to ciphertexts. */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <unistd.h>

#include "nn/cmd/stream.h"

#define SIDE   NN_PICTURE_SIDE
#define PIXELS (SIDE * SIDE)

typedef struct encrypt_options {
    const char *output;
    double record; /* -1: pictures are pictures, not batches */
    bool preview;
} encrypt_options;

static const nn_cmd_option options[] = {
    NN_CMD_OUTPUT("output", 'o', "FILE", encrypt_options, output,
                  "where the ciphertexts go (default: standard output)"),
    NN_CMD_WHOLE("record", 0, "N", encrypt_options, record, 0, 1e9,
                 "PICTURE is a CIFAR batch; take its record N, counted from 0"),
    NN_CMD_FLAG("preview", 0, encrypt_options, preview,
                "show on standard error what the network will see"),
    NN_CMD_END,
};

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
            fprintf(stderr, "\033[38;2;%u;%u;%um\033[48;2;%u;%u;%um\xe2\x96\x80", level(upper[0]),
                    level(upper[PIXELS]), level(upper[2 * PIXELS]), level(lower[0]),
                    level(lower[PIXELS]), level(lower[2 * PIXELS]));
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
    (nn_cmd_colours(STDERR_FILENO) ? preview_colours : preview_characters)(rgb);
}

/* ----  ---- */

static fhola_status encrypt_all(const encrypt_options *o, nn_owner *owner, ckks_writer *out,
                                int count, char **pictures)
{
    static double rgb[NN_PICTURE_VALUES];
    fhola_status status = FHOLA_OK;
    for (int i = 0; i < count && status == FHOLA_OK; i++) {
        status = nn_cmd_read_picture(rgb, pictures[i], o->record);
        if (status == FHOLA_OK && o->preview) preview(rgb);
        if (status == FHOLA_OK) status = nn_owner_encrypt(owner, out, rgb);
        ckks_wipe(rgb, sizeof rgb);
        if (status == FHOLA_OK && nn_cmd_interrupted())
            status = fhola_fail(FHOLA_IO, "interrupted");
    }
    return status == FHOLA_OK ? ckks_writer_commit(out) : status;
}

static int run(int argc, char **argv)
{
    encrypt_options o = {.record = -1};
    nn_owner *owner = NULL;
    ckks_writer *out = NULL;
    if (!nn_cmd_parse(&nn_cmd_encrypt, &o, &argc, argv)) return NN_CMD_WRONG_USE;
    nn_cmd_catch_signals();
    fhola_status status = nn_cmd_open_secret(&owner, argv[1]);
    if (status == FHOLA_OK) status = nn_cmd_open_output(&out, o.output);
    if (status == FHOLA_OK) status = encrypt_all(&o, owner, out, argc - 2, argv + 2);
    ckks_writer_destroy(out);
    nn_owner_destroy(owner);
    if (status == FHOLA_OK && o.output)
        nn_cmd_report_file(o.output, argc > 3 ? "encrypted pictures, for the server"
                                              : "an encrypted picture, for the server");
    return nn_cmd_finish_caught("encrypt", status);
}

const nn_cmd_command nn_cmd_encrypt = {
    .name = "encrypt",
    .run = run,
    .usage = "SECRET.KEY PICTURE...",
    .purpose = "encrypt pictures",
    .options = options,
    .least = 2,
    .most = NN_CMD_ANY,
    .operands = "a secret key and at least one picture",
    .notes = "A picture is a PPM or PNG file of any size, or a record of a CIFAR batch.",
    .examples = "fhola encrypt keys/secret.key cat.ppm -o cat.ct\n"
                "fhola encrypt keys/secret.key test_batch.bin --record 7 --preview > seven.ct",
};
