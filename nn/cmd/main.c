/* SPDX-License-Identifier: Apache-2.0 */
/* The program: picks the subcommand. */
#define _POSIX_C_SOURCE 200809L
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#ifdef __linux__
#include <sys/prctl.h>
#endif

#include "nn/cmd/cmd.h"

static const nn_cmd_command help_command;

/* In the order in which the overview shows them: what most people want, then the two parties, then
 * what makes networks. */
static const nn_cmd_command *const commands[] = {
    &nn_cmd_classify, &nn_cmd_compile, &nn_cmd_keygen,  &nn_cmd_encrypt, &nn_cmd_infer,
    &nn_cmd_decrypt,  &nn_cmd_serve,   &nn_cmd_inspect, &nn_cmd_eval,    &nn_cmd_profile,
    &nn_cmd_plan,     &nn_cmd_params,  &nn_cmd_bench,   &help_command,   &nn_cmd_version,
};

#define COMMAND_COUNT (sizeof commands / sizeof commands[0])

static const nn_cmd_command *find(const char *name)
{
    const char *names[COMMAND_COUNT];
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(commands[i]->name, name) == 0) return commands[i];
        names[i] = commands[i]->name;
    }
    const char *nearest = nn_cmd_nearest(name, names, COMMAND_COUNT);
    fprintf(stderr, "fhola: no command '");
    nn_cmd_show(stderr, name);
    fprintf(stderr, nearest ? "'; did you mean '%s'?\n" : "'\n", nearest);
    fprintf(stderr, "Try 'fhola help'.\n");
    return NULL;
}

static void print_overview(void)
{
    printf("usage: fhola COMMAND ...\n\nClassify encrypted pictures.\n\nCommands:\n");
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        printf("  %-9s %s\n", commands[i]->name, commands[i]->purpose);
    printf("\nBundled models: ");
    nn_cmd_print_models();
    printf("\nBundled pictures: ");
    nn_cmd_print_pictures();
    printf("\n\nExamples:\n"
           "  fhola classify cat.ppm\n"
           "  fhola compile resnet20 -o resnet20.fhola\n"
           "  fhola keygen resnet20.client -d keys\n"
           "  fhola encrypt keys/secret.key cat.ppm | fhola infer resnet20.fhola keys/eval.keys | "
           "fhola decrypt keys/secret.key\n"
           "\nExit status: 0 success, 1 wrong usage, 2 out of memory, 3 bad parameter, 4 level, 5 "
           "scale, 6 key, 7 malformed\n"
           "file, 8 input/output error, 9 security, 10 value out of range, 11 cancelled.\n"
           "\nMore: man fhola\n");
}

/* Output that could not be written (a full disk, a closed pipe) is an error too. */
static int check_output(int code)
{
    if (fflush(stdout) == 0 && !ferror(stdout)) return code;
    fprintf(stderr, "fhola: cannot write to standard output\n");
    return code ? code : 1 + (int)FHOLA_IO;
}

/* ---- fhola help ---- */

static const nn_cmd_option help_options[] = {NN_CMD_END};

static int help(int argc, char **argv)
{
    if (!nn_cmd_parse(&help_command, NULL, &argc, argv)) return NN_CMD_WRONG_USE;
    const nn_cmd_command *c = argc > 1 ? find(argv[1]) : NULL;
    if (argc > 1 && !c) return NN_CMD_WRONG_USE;
    if (c)
        nn_cmd_print_help(c);
    else
        print_overview();
    return 0;
}

static const nn_cmd_command help_command = {
    .name = "help",
    .run = help,
    .usage = "[COMMAND]",
    .purpose = "say what the commands are, or more about one of them",
    .options = help_options,
    .most = 1,
    .operands = "at most one command",
    .page = "fhola",
    .examples = "fhola help\n"
                "fhola help encrypt",
};

/* ----  ---- */

static bool is_one_of(const char *word, const char *a, const char *b)
{
    return strcmp(word, a) == 0 || strcmp(word, b) == 0;
}

/* A descriptor 0, 1 or 2 that the caller has closed would be given to the next file, which standard
 * output would then write into. Opened the wrong way round, so that its use is an error as if it
 * were closed. */
static bool fill_descriptors(void)
{
    for (int descriptor = 0; descriptor <= 2; descriptor++)
        if (fcntl(descriptor, F_GETFD) < 0 &&
            open("/dev/null", descriptor == 0 ? O_WRONLY : O_RDONLY) != descriptor)
            return false;
    return true;
}

/* Of a process that holds a secret key no core is dumped, and no process without privileges may
 * look into it. */
static bool keep_memory_private(void)
{
    const struct rlimit none = {0, 0};
    bool kept = setrlimit(RLIMIT_CORE, &none) == 0;
#ifdef __linux__
    kept = prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0 && kept;
#endif
    if (!kept) fprintf(stderr, "fhola: cannot forbid core dumps, which would hold secrets\n");
    return kept;
}

int main(int argc, char **argv)
{
    nn_cmd_wait_politely(argv);
    if (!fill_descriptors()) return 1 + (int)FHOLA_IO;
    (void)signal(SIGXFSZ, SIG_IGN); /* too large a file is an error of the write */
    nn_cmd_settle_threads();
    if (argc < 2) {
        print_overview();
        return check_output(NN_CMD_WRONG_USE); /* a script that lost its command must notice */
    }
    const nn_cmd_command *c = is_one_of(argv[1], "--help", "-h")      ? &help_command
                              : is_one_of(argv[1], "--version", "-V") ? &nn_cmd_version
                                                                      : find(argv[1]);
    if (!c) return NN_CMD_WRONG_USE;
    for (int i = 2; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (!is_one_of(argv[i], "--help", "-h")) continue;
        nn_cmd_print_help(c);
        return check_output(0);
    }
    if (c->secret && !keep_memory_private()) return 1 + (int)FHOLA_IO;
    return check_output(c->run(argc - 1, argv + 1));
}
