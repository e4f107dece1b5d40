/* SPDX-License-Identifier: Apache-2.0 */
#define _XOPEN_SOURCE 700 /* SIGTRAP, SIGSYS */
#include "nn/cmd/stream.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "nn/cmd/ranks.h"

/* ---- streams ---- */

static bool is_standard(const char *path)
{
    return !path || strcmp(path, "-") == 0;
}

fhola_status nn_cmd_open_input(ckks_reader **reader, const char *path)
{
    if (!is_standard(path)) return ckks_reader_open(reader, path);
    fhola_status status = nn_cmd_take_standard_input();
    if (status != FHOLA_OK) return status;
    (void)setvbuf(stdin, NULL, _IONBF, 0); /* no copy of a secret stays there */
    return ckks_reader_create(reader, stdin, nn_cmd_input_name("-"));
}

fhola_status nn_cmd_open_output(ckks_writer **writer, const char *path)
{
    /* A stream of its own on the same descriptor: what goes wrong with it is reported once, by its
     * writer. */
    static FILE *output;
    if (path) return ckks_writer_open(writer, path, 0);
    if (isatty(STDOUT_FILENO) && !nn_ranks_started())
        return fhola_fail(FHOLA_PARAM, "ciphertexts are not for a terminal: use a pipe or -o FILE");
    if (!output) output = fdopen(STDOUT_FILENO, "wb");
    if (!output) return fhola_fail(FHOLA_IO, "standard output: %s", strerror(errno));
    (void)setvbuf(output, NULL, _IONBF, 0); /* containers are written in big pieces */
    return ckks_writer_create(writer, output, "standard output");
}

fhola_status nn_cmd_open_secret(nn_owner **owner, const char *path)
{
    ckks_reader *reader = NULL;
    fhola_status status = nn_cmd_open_input(&reader, path);
    if (status == FHOLA_OK) status = nn_owner_read_secret(owner, reader);
    ckks_reader_destroy(reader);
    return status;
}

fhola_status nn_cmd_open_server(nn_server **server, const char *name)
{
    if (!nn_cmd_is_bundled(name)) {
        ckks_reader *reader = NULL;
        fhola_status status = nn_cmd_open_input(&reader, name);
        if (status == FHOLA_OK) status = nn_server_read(server, reader);
        ckks_reader_destroy(reader);
        return status;
    }
    nn_cmd_network n;
    fhola_status status = nn_cmd_load_network(&n, name, NULL, NULL, NULL);
    if (status == FHOLA_OK) status = nn_server_adopt(server, n.params, n.model, n.plan);
    if (status != FHOLA_OK) nn_cmd_network_clear(&n);
    return status;
}

/* ---- signals ---- */

static volatile sig_atomic_t caught;

static bool is_fault(int number)
{
    return number == SIGSEGV || number == SIGBUS || number == SIGFPE || number == SIGILL ||
           number == SIGTRAP || number == SIGSYS;
}

/* A fault of the program itself goes on to its end; the same signal from elsewhere is a wish like
 * any other. */
static void catch_signal(int number, siginfo_t *info, void *context)
{
    (void)context;
    if (info->si_code > 0 && is_fault(number))
        (void)signal(number, SIG_DFL);
    else
        caught = number;
}

/* By default, and if it can be caught. */
static bool ends_the_program(int number)
{
    static const int others[] = {SIGKILL, SIGSTOP, SIGCHLD, SIGCONT, SIGTSTP,
                                 SIGTTIN, SIGTTOU, SIGURG,  SIGPIPE, SIGXFSZ};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (number == others[i]) return false;
#ifdef SIGWINCH
    if (number == SIGWINCH) return false;
#endif
    return true;
}

void nn_cmd_catch_signals(void)
{
    struct sigaction action = {.sa_sigaction = catch_signal, .sa_flags = SA_SIGINFO}, before;
    sigemptyset(&action.sa_mask);
    for (int number = 1; number <= SIGRTMAX; number++)
        /* what the caller has chosen to ignore (nohup, a background job) stays ignored */
        if (ends_the_program(number) && sigaction(number, NULL, &before) == 0 &&
            before.sa_handler != SIG_IGN)
            (void)sigaction(number, &action, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
}

bool nn_cmd_interrupted(void)
{
    return caught != 0;
}

static struct kept {
    const char *path; /* a file with what was finished */
    size_t results, behind;
} kept;

void nn_cmd_keep(const char *path, size_t results, size_t behind)
{
    kept = (struct kept){path, results, behind};
}

static struct left {
    const char *what; /* NULL: nothing was left behind */
    char path[NN_CMD_PATH_ROOM];
} left;

void nn_cmd_leave(const char *what, const char *path)
{
    left.what = what;
    snprintf(left.path, sizeof left.path, "%s", path);
}

static void show_left(void)
{
    fprintf(stderr, ", %s", left.what ? left.what : "nothing was left behind");
    nn_cmd_show(stderr, left.path);
    fprintf(stderr, "\n");
}

static void show_kept(void)
{
    nn_cmd_show(stderr, kept.path);
    fprintf(stderr, " has the %zu result%s that %s finished\n", kept.results,
            kept.results == 1 ? "" : "s", kept.results == 1 ? "was" : "were");
}

void nn_cmd_raise_caught(void)
{
    if (!caught) return;
    (void)signal(caught, SIG_DFL);
    (void)raise(caught);
}

int nn_cmd_finish_caught(const char *command, fhola_status status)
{
    if (status == FHOLA_OK) return nn_cmd_finish(command, status);
    if (caught) {
        nn_cmd_progress_end();
        fprintf(stderr, "fhola %s: stopped by a signal%s", command, kept.path ? "; " : "");
        if (!kept.path) show_left();
    } else {
        (void)nn_cmd_finish(command, status);
        if (kept.path) fprintf(stderr, "fhola %s: ", command);
    }
    if (kept.path) {
        show_kept();
        fprintf(stderr, "fhola %s: --skip %zu goes on behind them\n", command, kept.behind);
    }
    nn_cmd_raise_caught();
    return 1 + (int)status;
}

int nn_cmd_count(void *arg, size_t done, size_t total)
{
    (void)arg;
    nn_cmd_progress_at("key", done, total, NULL);
    return nn_cmd_interrupted();
}
