/* SPDX-License-Identifier: Apache-2.0 */
/* What commands say of the files that they have written. */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "nn/cmd/cmd.h"

/* Bytes of a regular file; negative: it is none, or standard output goes into it. */
static double bytes_of(const char *path)
{
    struct stat info;
    if (!path || strcmp(path, "-") == 0 || nn_cmd_goes_to_standard_output(path)) return -1;
    if (stat(path, &info) != 0 || !S_ISREG(info.st_mode)) return -1;
    return (double)info.st_size;
}

void nn_cmd_json_files(const nn_cmd_file *files, size_t count)
{
    const char *separator = "";
    printf("\"files\": [");
    for (size_t i = 0; i < count; i++) {
        double bytes = bytes_of(files[i].path);
        if (bytes < 0) continue;
        printf("%s{\"file\": ", separator);
        nn_cmd_json_string(files[i].path);
        printf(", \"bytes\": %.0f}", bytes);
        separator = ", ";
    }
    printf("]");
}

static void report_file(const nn_cmd_file *file)
{
    double bytes = bytes_of(file->path);
    if (bytes < 0) return;
    nn_cmd_show(stdout, file->path);
    printf("  ");
    nn_cmd_print_size(stdout, bytes);
    printf("  %s\n", file->what);
}

void nn_cmd_report_files(const nn_cmd_file *files, size_t count, bool json)
{
    if (json) {
        printf("{");
        nn_cmd_json_files(files, count);
        printf("}\n");
    }
    for (size_t i = 0; i < count && !json && !nn_cmd_is_quiet(); i++) report_file(&files[i]);
}
