/* SPDX-License-Identifier: Apache-2.0 */
/* fhola bench --calibrate: the table of costs that 'fhola plan' counts with, measured on this
 * machine. */
#include <stdio.h>
#include <string.h>

#include "nn/cmd/bench.h"
#include "nn/cmd/spec.h"
#include "nn/measure/measure.h"

#define MACHINE 120u

/* The processor's name, where Linux tells it. */
static void find_machine(char machine[MACHINE])
{
    char line[256];
    FILE *file = fopen("/proc/cpuinfo", "r");
    snprintf(machine, MACHINE, "unknown");
    while (file && fgets(line, sizeof line, file)) {
        const char *value = strncmp(line, "model name", 10) == 0 ? strchr(line, ':') : NULL;
        if (!value) continue;
        snprintf(machine, MACHINE, "%.*s", (int)(MACHINE - 1),
                 value + 1 + strspn(value + 1, " \t"));
        machine[strcspn(machine, "\n")] = 0;
        break;
    }
    if (file) fclose(file);
}

static void report(const nn_cmd_bench_options *o)
{
    const nn_cmd_file file = {o->output, "the table of costs, for 'fhola plan --cost'"};
    nn_cmd_report_files(&file, 1, o->json);
}

int nn_cmd_bench_calibrate(const nn_cmd_bench_options *o)
{
    static const char name[] = "bench";
    char machine[MACHINE];
    nn_model *model = NULL;
    nn_cost *kept = NULL, *cost = NULL;
    ckks_params *params = NULL;
    if (!o->output) return nn_cmd_wrong_use(name, "-o FILE is missing");
    nn_cmd_set_threads(o->threads);
    find_machine(machine);
    fhola_status status = nn_cmd_check_output(o->output);
    if (status == FHOLA_OK) status = nn_cmd_params_find(&params, o->params);
    if (status == FHOLA_OK) status = nn_cmd_find_model(&model, o->model, NULL);
    if (status == FHOLA_OK && o->keep) status = nn_cmd_load_cost(&kept, o->keep);
    if (status == FHOLA_OK)
        status = nn_cost_measure(&cost, params, o->params, o->machine ? o->machine : machine, model,
                                 (unsigned)o->max_degree, (unsigned)o->repeat, kept,
                                 nn_cmd_progress, NULL);
    nn_cmd_progress_end();
    if (status == FHOLA_OK) status = nn_cost_save(cost, o->output);
    if (status == FHOLA_OK) report(o);
    nn_cost_free(cost);
    nn_cost_free(kept);
    ckks_params_destroy(params);
    nn_model_free(model);
    return nn_cmd_finish(name, status);
}
