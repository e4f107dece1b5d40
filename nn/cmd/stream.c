/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "nn/cmd/stream.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- streams ---- */

static bool is_standard(const char *path)
{
    return !path || strcmp(path, "-") == 0;
}

fhola_status nn_cmd_open_input(ckks_reader **reader, const char *path)
{
    if (!is_standard(path)) return ckks_reader_open(reader, path);
    if (isatty(STDIN_FILENO))
        return fhola_fail(FHOLA_PARAM,
                          "ciphertexts are not typed at a terminal: use a pipe or name a FILE");
    return ckks_reader_create(reader, stdin, "standard input");
}

fhola_status nn_cmd_open_output(ckks_writer **writer, const char *path)
{
    /* A stream of its own on the same descriptor: what goes wrong with it is reported once, by its
     * writer. */
    static FILE *output;
    if (!is_standard(path)) return ckks_writer_open(writer, path, 0);
    if (isatty(STDOUT_FILENO))
        return fhola_fail(FHOLA_PARAM, "ciphertexts are not for a terminal: use a pipe or -o FILE");
    if (!output) output = fdopen(STDOUT_FILENO, "wb");
    if (!output) return fhola_fail(FHOLA_IO, "standard output: %s", strerror(errno));
    (void)setvbuf(output, NULL, _IONBF, 0); /* containers are written in big pieces */
    return ckks_writer_create(writer, output, "standard output");
}

/* ---- signals ---- */

static volatile sig_atomic_t caught;

static void catch_signal(int number)
{
    caught = number;
}

void nn_cmd_catch_signals(void)
{
    static const int ending[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action = {.sa_handler = catch_signal}, before;
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof ending / sizeof ending[0]; i++)
        /* what the caller has chosen to ignore (nohup, a background job) stays ignored */
        if (sigaction(ending[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
            (void)sigaction(ending[i], &action, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
}

bool nn_cmd_interrupted(void)
{
    return caught != 0;
}

int nn_cmd_finish_caught(const char *command, fhola_status status)
{
    if (status == FHOLA_OK || !caught) return nn_cmd_finish(command, status);
    nn_cmd_progress_end();
    fprintf(stderr, "fhola %s: stopped by a signal, nothing was left behind\n", command);
    (void)signal(caught, SIG_DFL);
    (void)raise(caught);
    return NN_CMD_FAILED;
}

int nn_cmd_count(void *arg, size_t done, size_t total)
{
    nn_cmd_progress(arg, "key", done, total);
    return nn_cmd_interrupted();
}
