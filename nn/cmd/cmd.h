/* SPDX-License-Identifier: Apache-2.0 */
/* What the subcommands of the program share. */
#ifndef NN_CMD_H
#define NN_CMD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "ckks/ckks.h"
#include "nn/cmd/progress.h"
#include "nn/cmd/threads.h"
#include "nn/nn.h"
#include "status.h"

/* Exit codes: 0 success, 1 wrong use, then 1 + status for each fhola_status (2 no memory, 3
 * parameter, 4 level, 5 scale, 6 key, 7 format, 8 input/output, 9 security, 10 range, 11
 * cancelled). */
#define NN_CMD_WRONG_USE 1

/* The parameter set of networks, unless another one is asked for. */
#define NN_CMD_PARAMS "R15"

/* ---- commands and their options ---- */

typedef enum nn_cmd_type {
    NN_CMD_IS_FLAG,      /* the field is a bool */
    NN_CMD_IS_TEXT,      /* const char * */
    NN_CMD_IS_OUTPUT,    /* const char *: a file to be written, and none that is read; not "-" */
    NN_CMD_IS_STREAM,    /* the same; "-" and NULL are standard output: "-" becomes NULL */
    NN_CMD_IS_PRINTABLE, /* the same; "-" is standard output and stays, NULL is nowhere */
    NN_CMD_IS_WORD,      /* const char *: one of the words of `value`, which are separated by '|' */
    NN_CMD_IS_NUMBER,    /* double */
    NN_CMD_IS_WHOLE,     /* double, a whole number */
    NN_CMD_IS_RANGE,     /* nn_cmd_range, "A" or "A-B" */
    /* no field: what every command understands in the same way is done when it is read */
    NN_CMD_IS_QUIET,   /* nn_cmd_be_quiet */
    NN_CMD_IS_THREADS, /* nn_cmd_set_threads, a whole number */
    NN_CMD_IS_PROGRESS /* nn_cmd_progress_style: one of the words of `value` */
} nn_cmd_type;

typedef struct nn_cmd_range {
    double first, last; /* whole numbers */
} nn_cmd_range;

/* One option of a command: parsed, explained and completed from this one description. */
typedef struct nn_cmd_option {
    const char *name; /* without dashes; NULL: the end of the options */
    char letter;      /* its short form; 0: none */
    nn_cmd_type type;
    size_t offset; /* of the field in the command's own structure */
    /* what the help calls the value; in what stands for itself, like FILE, completion sees a file
     * name */
    const char *value;
    double least, most; /* of a number */
    const char *help;   /* lines */
} nn_cmd_option;

#define NN_CMD_FLAG(name, letter, type, field, help)                                               \
    {                                                                                              \
        name, letter, NN_CMD_IS_FLAG, offsetof(type, field), NULL, 0, 0, help                      \
    }
#define NN_CMD_TEXT(name, letter, value, type, field, help)                                        \
    {                                                                                              \
        name, letter, NN_CMD_IS_TEXT, offsetof(type, field), value, 0, 0, help                     \
    }
#define NN_CMD_OUTPUT(name, letter, value, type, field, help)                                      \
    {                                                                                              \
        name, letter, NN_CMD_IS_OUTPUT, offsetof(type, field), value, 0, 0, help                   \
    }
#define NN_CMD_STREAM(name, letter, value, type, field, help)                                      \
    {                                                                                              \
        name, letter, NN_CMD_IS_STREAM, offsetof(type, field), value, 0, 0, help                   \
    }
#define NN_CMD_PRINTABLE(name, letter, value, type, field, help)                                   \
    {                                                                                              \
        name, letter, NN_CMD_IS_PRINTABLE, offsetof(type, field), value, 0, 0, help                \
    }
#define NN_CMD_WORD(name, letter, words, type, field, help)                                        \
    {                                                                                              \
        name, letter, NN_CMD_IS_WORD, offsetof(type, field), words, 0, 0, help                     \
    }
#define NN_CMD_NUMBER(name, letter, value, type, field, least, most, help)                         \
    {                                                                                              \
        name, letter, NN_CMD_IS_NUMBER, offsetof(type, field), value, least, most, help            \
    }
#define NN_CMD_WHOLE(name, letter, value, type, field, least, most, help)                          \
    {                                                                                              \
        name, letter, NN_CMD_IS_WHOLE, offsetof(type, field), value, least, most, help             \
    }
#define NN_CMD_RANGE(name, letter, value, type, field, least, most, help)                          \
    {                                                                                              \
        name, letter, NN_CMD_IS_RANGE, offsetof(type, field), value, least, most, help             \
    }
#define NN_CMD_QUIET                                                                               \
    {                                                                                              \
        "quiet", 'q', NN_CMD_IS_QUIET, 0, NULL, 0, 0,                                              \
            "no progress, no notes, nothing about files written"                                   \
    }
#define NN_CMD_PROGRESS                                                                            \
    {                                                                                              \
        "progress", 0, NN_CMD_IS_PROGRESS, 0, "bar|lines|json|none", 0, 0,                         \
            "how progress is shown on standard error (default: a bar on a terminal)"               \
    }
#define NN_CMD_THREADS                                                                             \
    {                                                                                              \
        "threads", 0, NN_CMD_IS_THREADS, 0, "N", 1, NN_CMD_MAX_THREADS,                            \
            "number of threads (default: one a processor)"                                         \
    }
#define NN_CMD_END                                                                                 \
    {                                                                                              \
        NULL, 0, NN_CMD_IS_FLAG, 0, NULL, 0, 0, NULL                                               \
    }

#define NN_CMD_ANY 0x7fffffff /* any number of operands */

typedef struct nn_cmd_command {
    const char *name;
    int (*run)(int argc, char **argv); /* argv[0] is the command's name; returns the exit code */
    const char *usage;                 /* operands, and options that must be given */
    const char *purpose;               /* one line, no capital, no full stop */
    const nn_cmd_option *options;
    int least, most; /* operands */
    /* the same in words, for messages: "a secret key and at least one picture" */
    const char *operands;
    const char *notes;    /* lines after the options */
    const char *page;     /* the manual page's name; NULL: fhola-NAME */
    bool secret;          /* opens or makes a secret key: no core dump, no debugger */
    const char *examples; /* lines */
} nn_cmd_command;

extern const nn_cmd_command nn_cmd_bench, nn_cmd_classify, nn_cmd_compile, nn_cmd_decrypt,
    nn_cmd_encrypt, nn_cmd_eval, nn_cmd_infer, nn_cmd_inspect, nn_cmd_keygen, nn_cmd_params,
    nn_cmd_plan, nn_cmd_profile, nn_cmd_serve, nn_cmd_version;

/* Reads the options of argv, which may follow operands, into the structure `fields`; what is left
 * in argv[1] to argv[*argc - 1] are the operands, as many as the command takes. False after a
 * message. "--" ends the options. */
bool nn_cmd_parse(const nn_cmd_command *command, void *fields, int *argc, char **argv);

void nn_cmd_print_help(const nn_cmd_command *command);

/* The candidate that `word` was probably meant to be; NULL: none is near. */
const char *nn_cmd_nearest(const char *word, const char *const *candidates, size_t count);

/* ---- messages ---- */

/* Prints a name that may hold anything (of a file, a machine), escaped for the terminal. */
void nn_cmd_show(FILE *stream, const char *text);

/* "fhola COMMAND: message" and a hint at the help on stderr; returns NN_CMD_WRONG_USE. */
int nn_cmd_wrong_use(const char *command, const char *format, ...) FHOLA_PRINTF(2, 3);

/* "fhola COMMAND: status: detail" on stderr; returns the exit code of `status` (0 for FHOLA_OK,
 * silently). */
int nn_cmd_finish(const char *command, fhola_status status);

/* Whether a stream is a terminal that understands escape sequences. */
bool nn_cmd_is_screen(int descriptor);

/* Whether escape sequences for colours may go to a stream: a terminal that knows them, and the
 * environment has no NO_COLOR. */
bool nn_cmd_colours(int descriptor);

/* From now on only errors: no progress, no notes, nothing about files written. */
void nn_cmd_be_quiet(void);

bool nn_cmd_is_quiet(void);

/* The command that runs, for notes and progress; nn_cmd_parse says it. */
void nn_cmd_set_running(const char *command);
const char *nn_cmd_running(void);

/* "fhola COMMAND: message" on stderr: what is worth knowing and no error. */
void nn_cmd_note(const char *format, ...) FHOLA_PRINTF(1, 2);

#define NN_CMD_PROFILE_PHASES 3
/* What nn_profile_make takes for so many pictures, in the units of 'profile' and 'plan'. */
void nn_cmd_profile_phases(nn_cmd_phase phases[NN_CMD_PROFILE_PHASES], size_t pictures,
                           const nn_plan_options *options);

/* Progress for a step of an encrypted network, as from nn_infer_hooks. */
void nn_cmd_progress_step(const nn_network *network, size_t layer, nn_step step, size_t done,
                          size_t total);
double nn_cmd_now(void); /* seconds, from some fixed point on */

/* "12 KB", "3.4 MB" */
void nn_cmd_print_size(FILE *stream, double bytes);

/* A file that a command has written. */
typedef struct nn_cmd_file {
    const char *path; /* NULL, "-": none */
    const char *what; /* for people */
} nn_cmd_file;
/* What a command that writes files ends with, on standard output: "PATH  SIZE  what" for each of
 * them, or one JSON object. Regular files only: a device may be where standard output goes, too. */
void nn_cmd_report_files(const nn_cmd_file *files, size_t count, bool json);
/* The object's member "files", for an object with more; no comma. */
void nn_cmd_json_files(const nn_cmd_file *files, size_t count);

/* No output is an input: a command claims its outputs (nn_cmd_parse does so for options, and checks
 * the other values and the operands), and checks what it reads beside these. PARAM: the same file,
 * by device and inode. `path` is not copied. */
FHOLA_WARN_UNUSED fhola_status nn_cmd_claim_output(const char *path);
FHOLA_WARN_UNUSED fhola_status nn_cmd_check_input(const char *path);

/* Whether standard output goes into that file. */
bool nn_cmd_goes_to_standard_output(const char *path);

/* FHOLA_IO if a file cannot be made there: for commands that work for minutes before they write.
 * NULL is nowhere, and well. */
FHOLA_WARN_UNUSED fhola_status nn_cmd_check_output(const char *path);

/* ---- bundled files and models ---- */

/* Path of a bundled file: folder "models" or "pictures", suffix with its dot. Links in the build
 * folder lead there until the program is installed. */
void nn_cmd_bundled(char *path, size_t room, const char *folder, const char *name,
                    const char *suffix);

/* Names of the bundled models and pictures, separated by spaces. */
void nn_cmd_print_models(void);
void nn_cmd_print_pictures(void);

/* Whether `name` can only be that of a bundled model: no '/' and no '.'. */
bool nn_cmd_is_bundled(const char *name);

#define NN_CMD_PATH_ROOM 4096u
/* The file that a picture's name means: one that is there or, where the name has no '/', the
 * bundled picture that is called so, with its suffix or without; a note says so. `room` holds what
 * is returned then. */
const char *nn_cmd_find_picture(char room[NN_CMD_PATH_ROOM], const char *name);

/* What a file of weights does not say itself, as the options give it; each may be NULL. */
typedef struct nn_cmd_metadata {
    const char *mean, *std; /* "R,G,B" */
    const char *classes;    /* names separated by commas, or a file with one a line */
    double bn_eps;          /* 0: not given */
    const char *input;      /* "CxHxW", of ONNX networks */
} nn_cmd_metadata;

/* The options, for commands with an nn_cmd_metadata in their structure. */
#define NN_CMD_METADATA(type, field)                                                               \
    NN_CMD_TEXT("mean", 0, "R,G,B", type, field.mean,                                              \
                "pictures (pixels from 0 to 1) were normalised with this mean in training,"),      \
        NN_CMD_TEXT("std", 0, "R,G,B", type, field.std,                                            \
                    "and this deviation; for weights that do not say it themselves"),              \
        NN_CMD_TEXT("classes", 0, "FILE", type, field.classes,                                     \
                    "names of the classes, one a line; or the names, separated by commas"),        \
        NN_CMD_NUMBER("bn-eps", 0, "X", type, field.bn_eps, 1e-12, 1,                              \
                      "what batch norm adds to variances (default: as the weights say, or 1e-5)"), \
        NN_CMD_TEXT("input", 0, "CxHxW", type, field.input,                                        \
                    "the picture an ONNX network takes, where its file has values in a row")

/* An ONNX network, by its name or its first field, where weights have the length of a header. */
bool nn_cmd_is_onnx(const unsigned char *bytes, size_t length, const char *name);

/* What commands say of the records that they take, and the option that goes with them. */
#define NN_CMD_RECORDS                                                                             \
    "records: CIFAR's, a folder with a folder of pictures for each\n"                              \
    "class, a .npy or an IDX file ('man fhola' says more)."
#define NN_CMD_LABELS(type, field, of)                                                             \
    NN_CMD_TEXT("labels", 0, "FILE", type, field,                                                  \
                "the labels of " of ", where it is a .npy or an IDX file: another such file")

/* nn_model_decode with metadata (NULL: none). FHOLA_PARAM or FHOLA_IO: they are malformed. */
FHOLA_WARN_UNUSED fhola_status nn_cmd_decode_weights(nn_model **model, const unsigned char *bytes,
                                                     size_t length, const char *name,
                                                     const nn_cmd_metadata *metadata);

/* A model: a file of weights, a compiled network, or a bundled model by its name. `metadata` (may
 * be NULL) is for weights only. */
FHOLA_WARN_UNUSED fhola_status nn_cmd_find_model(nn_model **model, const char *name,
                                                 const nn_cmd_metadata *metadata);

/* nn_model_set_function; "-" is a table on standard input. */
FHOLA_WARN_UNUSED fhola_status nn_cmd_set_function(nn_model *model, const char *name);

/* What 'fhola compile' puts into a file. */
typedef struct nn_cmd_network {
    nn_model *model;
    nn_plan *plan;
    ckks_params *params;
} nn_cmd_network;

/* A model and its plan: that of plan_path, or with NULL the one that comes with the model: inside
 * of the compiled network, or in the file with the suffix .plan beside the weights, or none. The
 * parameters are those of a compiled network, or NULL. Clear it in any case. */
FHOLA_WARN_UNUSED fhola_status nn_cmd_find_network(nn_cmd_network *network, const char *name,
                                                   const nn_cmd_metadata *metadata,
                                                   const char *plan_path);

/* Bytes of memory a network may take: those of --memory, or with 0 what the machine and the control
 * groups have, less a reserve; 0 if nobody knows. */
uint64_t nn_cmd_memory(double gib);
/* Says on standard error that a network is not kept whole, if so. */
void nn_cmd_say_memory(uint64_t memory, nn_memory needed);
#define NN_CMD_MEMORY(type, field)                                                                 \
    NN_CMD_NUMBER("memory", 0, "GIB", type, field, 0.001, 1e6,                                     \
                  "memory to get along with, in GiB (default: what the machine has,\nless an "     \
                  "eighth)")

/* What the error of a result is taken to be, where noise has to cover it. */
#define NN_CMD_ERROR 0.02
#define NN_CMD_SANITIZE(type, bits, error)                                                         \
    NN_CMD_NUMBER("sanitize", 0, "BITS", type, bits, 0, 40,                                        \
                  "results say nothing of the weights but the scores: noise for so many\nbits of " \
                  "security ('man fhola-security')"),                                              \
        NN_CMD_NUMBER("sanitize-error", 0, "E", type, error, 1e-9, 1e3,                            \
                      "what the error of a result is taken to be (default 0.02)")

/* The same with parameters: the set of that name, or with NULL the compiled network's own,
 * otherwise NN_CMD_PARAMS. Here it is an error if there is no plan. */
FHOLA_WARN_UNUSED fhola_status nn_cmd_load_network(nn_cmd_network *network, const char *name,
                                                   const nn_cmd_metadata *metadata,
                                                   const char *plan_path, const char *params_name);
void nn_cmd_network_clear(nn_cmd_network *network);
/* A plan for at least `batch` pictures at once, the next of 1, 2, 4 and 8; 0: as it is. */
FHOLA_WARN_UNUSED fhola_status nn_cmd_set_batch(nn_plan *plan, double batch);

/* A network without its encoded weights, which knows what it would take. Clear it in any case;
 * model and plan must outlive it. Errors of nn_network_create. */
typedef struct nn_cmd_bare {
    ckks_context *context;
    ckks_workspace *workspace;
    nn_network *network;
} nn_cmd_bare;
FHOLA_WARN_UNUSED fhola_status nn_cmd_bare_init(nn_cmd_bare *bare, const ckks_params *params,
                                                const nn_model *model, const nn_plan *plan);
void nn_cmd_bare_clear(nn_cmd_bare *bare);

/* What 'plan' adds to a report. The date: of SOURCE_DATE_EPOCH, else now; FHOLA_PARAM if that is no
 * number. What the network takes under a parameter set; one that 'compile' would refuse leaves it
 * out. */
FHOLA_WARN_UNUSED fhola_status nn_cmd_report_date(int64_t *date);
FHOLA_WARN_UNUSED fhola_status nn_cmd_report_size(nn_report *report, const char *set);

/* A whole file, or with "-" standard input: opened once and read to its end, pipes too. *bytes is
 * to be freed, after ckks_wipe if it is secret. FHOLA_IO; FHOLA_FORMAT: longer than `limit`. */
FHOLA_WARN_UNUSED fhola_status nn_cmd_read_input(unsigned char **bytes, size_t *length,
                                                 const char *path, size_t limit);

/* How messages call an input: "standard input" for "-". */
const char *nn_cmd_input_name(const char *path);
/* PARAM if standard input has another use in this command, or is a terminal. */
FHOLA_WARN_UNUSED fhola_status nn_cmd_take_standard_input(void);

/* An input that may be of several kinds, opened once: its first bytes tell. */
typedef struct nn_cmd_source {
    const char *name;    /* for messages */
    ckks_reader *reader; /* of a container's stream; NULL: it is none, but these bytes */
    unsigned char *bytes;
    size_t length;
    FILE *file; /* nn_cmd_source_close's */
} nn_cmd_source;
/* `path` as for nn_cmd_read_input. To be closed in any case. */
FHOLA_WARN_UNUSED fhola_status nn_cmd_source_open(nn_cmd_source *source, const char *path,
                                                  size_t limit);
void nn_cmd_source_close(nn_cmd_source *source);

/* Wipes and frees what nn_cmd_read_input made. */
void nn_cmd_free_input(unsigned char *bytes, size_t length);

/* As the nn_..._load functions, with paths as for nn_cmd_read_input. */
FHOLA_WARN_UNUSED fhola_status nn_cmd_load_plan(nn_plan **plan, const char *path,
                                                const nn_model *model);
FHOLA_WARN_UNUSED fhola_status nn_cmd_load_profile(nn_profile **profile, const char *path,
                                                   const nn_model *model);
FHOLA_WARN_UNUSED fhola_status nn_cmd_load_cost(nn_cost **cost, const char *path);

/* Records `first` to `first` + `count` - 1 (count 0: all that follow) of what a command calls BATCH
 * or CALIBRATION: CIFAR records; a .npy or an IDX file, with `labels`, the path of another one
 * (NULL: none); or a folder with a folder of pictures for each class. They get the shape that the
 * model takes: pictures are resampled to it, arrays must have it. fhola(1) has the rules. FHOLA_IO,
 * FHOLA_FORMAT, FHOLA_PARAM (of another shape; labels missing or not wanted), FHOLA_RANGE (fewer
 * records, or a value outside [0, 1]). */
FHOLA_WARN_UNUSED fhola_status nn_cmd_load_batch(nn_batch **batch, const nn_model *model,
                                                 const char *path, const char *labels, double first,
                                                 double count);

/* Reads a picture of any format the program knows, resampled to the shape, or a .npy file of one
 * record; with record >= 0, that record of what nn_cmd_load_batch takes. *values is to be released
 * by nn_cmd_free_picture. */
FHOLA_WARN_UNUSED fhola_status nn_cmd_read_picture(double **values, nn_shape shape,
                                                   const char *path, double record);
void nn_cmd_free_picture(double *values, nn_shape shape); /* wiped; NULL is well */

/* Records `first` to `last` of what nn_cmd_load_batch takes, without their labels. */
FHOLA_WARN_UNUSED fhola_status nn_cmd_read_records(nn_batch **batch, nn_shape shape,
                                                   const char *path, nn_cmd_range records);

/* The arithmetic kernel that contexts will have; NULL: FHOLA_ISA names none of this machine's. */
const char *nn_cmd_kernel(void);

/* this process's largest size so far, in MiB; NaN if nobody tells */
double nn_cmd_peak_mib(void);

/* ---- results ---- */

/* Prints the best `top` classes and their scores, best first: one a line, or as members of a JSON
 * object, "class" and "top". */
FHOLA_WARN_UNUSED fhola_status nn_cmd_print_scores(const nn_client *client, const double *scores,
                                                   double top, bool json);

/* For JSON: a number (null if it is not finite); a string with its quotes, valid for any bytes:
 * those of no character become U+FFFD. */
void nn_cmd_json_number(double number);
void nn_cmd_json_string(const char *string);

#endif
