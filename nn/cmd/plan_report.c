/* SPDX-License-Identifier: Apache-2.0 */
/* What the page of 'fhola plan --report' says beside what the planner knows: when it was made, and
 * what the encrypted network takes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "nn/cmd/cmd.h"
#include "nn/cmd/spec.h"

fhola_status nn_cmd_report_date(int64_t *date)
{
    const char *fixed = getenv("SOURCE_DATE_EPOCH");
    if (!fixed) {
        *date = (int64_t)time(NULL);
        return FHOLA_OK;
    }
    errno = 0;
    long long seconds = strtoll(fixed, NULL, 10);
    if (!*fixed || fixed[strspn(fixed, "0123456789")] || errno)
        return fhola_fail(FHOLA_PARAM,
                          "SOURCE_DATE_EPOCH must be a whole number of seconds, not '%s'", fixed);
    *date = (int64_t)seconds;
    return FHOLA_OK;
}

fhola_status nn_cmd_report_size(nn_report *report, const char *set)
{
    ckks_params *params;
    nn_cmd_bare bare;
    FHOLA_TRY(nn_cmd_params_find(&params, set));
    fhola_status status = nn_cmd_bare_init(&bare, params, report->model, report->plan);
    if (status == FHOLA_OK) {
        nn_memory memory = nn_network_memory(bare.network, bare.context);
        report->bootstraps = nn_network_bootstraps(bare.network);
        report->ciphertexts = nn_network_ciphertexts(bare.network);
        report->memory_least = memory.least;
        report->memory = memory.most;
    }
    nn_cmd_bare_clear(&bare);
    ckks_params_destroy(params);
    return status == FHOLA_NOMEM ? status : FHOLA_OK;
}
