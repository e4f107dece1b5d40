/* SPDX-License-Identifier: Apache-2.0 */
/* The program: picks the subcommand. */
#include <stdio.h>
#include <string.h>

#include "nn/cmd/cmd.h"
#include "nn/cmd/stream.h"

typedef struct command {
    const char *name;
    nn_cmd_function *run;
    const char *arguments;
    const char *purpose;
    const char *options;
} command;

static const command commands[] = {
    {"classify", nn_cmd_classify, "PICTURE [--model MODEL] [--plan FILE] [--params SET] [--threads N] [--quiet] [--json]",
     "encrypt a picture, run the network on it, decrypt the scores, all in one process",
     "  --model MODEL  a weights file or the name of a bundled model (default resnet20)\n"
     "  --plan FILE    polynomials to use; default: FILE.plan beside the weights\n"
     "  --params SET   parameter set (default R15; 'fhola params' lists them)\n"
     "  --threads N    number of threads\n"
     "  --quiet        no progress line\n"
     "  --json         print one JSON object\n"},
    {"compile", nn_cmd_compile, "MODEL [PLAN] -o FILE.fhola [--params SET]",
     "make a model and its plan the server's compiled network, and FILE.client for the owners of pictures",
     "  -o, --output FILE  where the compiled network goes; FILE.client goes beside it\n"
     "  --params SET       parameter set (default R15; 'fhola params' lists them)\n"
     "PLAN defaults to the plan beside the model.\n"},
    {"decrypt", nn_cmd_decrypt, "SECRET.KEY [FILE] [--top K] [--json]", "decrypt results: the best classes and their scores, rounded",
     "  --top K  show K classes (default 3)\n"
     "  --json   print one JSON object a result\n"
     "FILE defaults to standard input.\n"},
    {"encrypt", nn_cmd_encrypt, "SECRET.KEY PICTURE... [-o FILE] [--record N] [--preview]", "encrypt pictures",
     "  -o, --output FILE  where the ciphertexts go (default: standard output)\n"
     "  --record N         PICTURE is a CIFAR batch; take its record N\n"
     "  --preview          show on standard error what the network will see\n"},
    {"eval", nn_cmd_eval, "MODEL BATCH [--plan FILE] [--noise BITS] [--first N] [--count N] [--json]",
     "accuracy of a network and of its polynomial form on the pictures of a CIFAR batch",
     "  --plan FILE    polynomials to use; default: the plan bundled with a bundled model, none for a file\n"
     "  --noise BITS   add normal noise of standard deviation 2^-BITS to the normalised input of every activation\n"
     "  --first N      start at record N (default 0)\n"
     "  --count N      use N records (default: all that follow)\n"
     "  --json         print one JSON object\n"},
    {"infer", nn_cmd_infer, "FILE.fhola EVAL.KEYS [FILE] [-o FILE] [--threads N] [--quiet]", "run a compiled network on encrypted pictures",
     "  -o, --output FILE  where the results go (default: standard output)\n"
     "  --threads N        number of threads\n"
     "  --quiet            no progress line\n"
     "FILE, with any number of encrypted pictures, defaults to standard input. The results come in the same order.\n"},
    {"inspect", nn_cmd_inspect, "FILE [--json]", "what a file is, whether it is whole, and what it belongs to",
     "  --json  print one JSON object a line\n"},
    {"keygen", nn_cmd_keygen, "FILE.client [-d DIRECTORY] [--force]", "make a secret key, and the evaluation keys for the server",
     "  -d, --directory DIRECTORY  where secret.key and eval.keys go (default: here); made if it is not there\n"
     "  -f, --force                overwrite secret.key\n"},
    {"params", nn_cmd_params, "[SET]", "the parameter sets: primes, digits, security", ""},
    {"plan", nn_cmd_plan, "MODEL [PROFILE] CALIBRATION --depth K|--budget S|--max-loss P|--degrees LIST -o PLAN [options]",
     "choose a degree for every activation and fit its polynomials",
     "  -o, --output FILE  where the plan goes\n"
     "  --depth K          total multiplicative depth of all activations\n"
     "  --budget SECONDS   time of an encrypted picture, by the table of costs\n"
     "  --max-loss POINTS  the cheapest plan that loses at most so many points of accuracy on the held-out pictures\n"
     "  --degrees LIST     degrees instead, separated by commas; the last one holds for all that follow\n"
     "  --method NAME      layerwise+ (default), paper (one polynomial per layer, normal weight, gradients), greedy, uniform\n"
     "  --weight NAME      guarded, empirical or normal, in place of the method's\n"
     "  --params SET       parameter set of the costs (default R15); --max-degree N: largest degree (15; 31 for other sets)\n"
     "  --cost TABLE       times of the layers (default: the bundled table)\n"
     "  --heldout FILE     batch to check ranges on; default: the last fifth of CALIBRATION, which is then not fitted to\n"
     "  --count N          use the first N records of CALIBRATION\n"
     "  --eps X            the bootstrap's sine takes the value w to sin(2 pi X w) (default 0.125; 0: no sine)\n"
     "  --report FILE      write an HTML page; --points N: measured points of its frontier (default 5, 0: none)\n"
     "  --ablation         print what each part of the method is worth at this budget\n"
     "  --judge FILE       pictures that measure both (default: the held-out ones); --judged N: the first N of them\n"
     "  --compared N       calibration pictures that both fit to (default 1000)\n"
     "PROFILE, from 'fhola profile', saves measuring it again.\n"},
    {"profile", nn_cmd_profile, "MODEL CALIBRATION -o PROFILE [--count N] [--eps X]",
     "histograms of all activations and how much the network depends on each",
     "  -o, --output FILE  where the profile goes\n"
     "  --count N          use the first N records of CALIBRATION\n"
     "  --eps X            the bootstrap's sine, as for 'fhola plan' (default 0.125)\n"},
};

#define COMMAND_COUNT (sizeof commands / sizeof commands[0])

static const command *find(const char *name)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static void print_overview(void)
{
    printf("usage: fhola COMMAND ...\n\n");
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        printf("  %-9s %s\n", commands[i].name, commands[i].purpose);
    printf("  %-9s %s\n  %-9s %s\n", "help", "more about a command: fhola help COMMAND", "version", "print the version");
    printf("\nMODEL is a safetensors file or the name of a bundled model (resnet20).\n");
    printf("Exit status: 0 success, 1 wrong usage, 2 out of memory, 3 bad parameter, 4 level, 5 scale, 6 key, 7 malformed\n"
           "file, 8 input/output error, 9 security, 10 value out of range, 11 another failure.\n");
}

static int help(const char *name)
{
    const command *c = name ? find(name) : NULL;
    if (name && !c) {
        fprintf(stderr, "fhola: no command '%s'\nTry 'fhola help'.\n", name);
        return NN_CMD_WRONG_USE;
    }
    if (c)
        printf("usage: fhola %s %s\n\n%s.\n\n%s", c->name, c->arguments, c->purpose, c->options);
    else
        print_overview();
    return 0;
}

/* Output that could not be written (a full disk, a closed pipe) is an error too. */
static int check_output(int code)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return code;
    fprintf(stderr, "fhola: cannot write to standard output\n");
    return code ? code : 1 + (int)FHOLA_IO;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: fhola COMMAND ...\nTry 'fhola help'.\n");
        return NN_CMD_WRONG_USE;
    }
    if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        return check_output(help(argc > 2 ? argv[2] : NULL));
    if (strcmp(argv[1], "version") == 0 || strcmp(argv[1], "--version") == 0) {
        printf("fhola %s\n", PACKAGE_VERSION);
        return check_output(0);
    }
    const command *c = find(argv[1]);
    if (!c) {
        fprintf(stderr, "fhola: no command '%s'\nTry 'fhola help'.\n", argv[1]);
        return NN_CMD_WRONG_USE;
    }
    for (int i = 2; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return check_output(help(c->name));
    return check_output(c->run(argc - 1, argv + 1));
}
