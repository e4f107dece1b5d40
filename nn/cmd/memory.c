/* SPDX-License-Identifier: Apache-2.0 */
/* How much memory a network may take, and would. */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <unistd.h>

#include "nn/cmd/cgroup.h"
#include "nn/cmd/cmd.h"

#define GIB 0x1p30
/* Of what there is, this stays for others, without --memory. */
#define RESERVE 0.125

/* Of the machine; infinite where the system does not tell. */
static double physical(void)
{
#ifdef _SC_PHYS_PAGES
    double pages = (double)sysconf(_SC_PHYS_PAGES), size = (double)sysconf(_SC_PAGESIZE);
    if (pages > 0 && size > 0) return pages * size;
#endif
    return (double)INFINITY;
}

uint64_t nn_cmd_memory(double gib)
{
    double there = fmin(physical(), nn_cmd_memory_limit(NN_CMD_CGROUPS, NN_CMD_CGROUP_MOUNT));
    double bytes = gib > 0 ? gib * GIB : there * (1 - RESERVE);
    return bytes < 0x1p62 ? (uint64_t)bytes : 0;
}

void nn_cmd_say_memory(uint64_t memory, nn_memory needed)
{
    if (!memory || memory >= needed.most) return;
    nn_cmd_note("%.2f GiB of memory: not all weights stay encoded, which %.2f GiB would allow; it "
                "takes longer",
                (double)memory / GIB, (double)needed.most / GIB);
}

fhola_status nn_cmd_bare_init(nn_cmd_bare *bare, const ckks_params *params, const nn_model *model,
                              const nn_plan *plan)
{
    *bare = (nn_cmd_bare){NULL, NULL, NULL};
    FHOLA_TRY(ckks_context_create(&bare->context, params, NULL));
    FHOLA_TRY(ckks_workspace_create(&bare->workspace, bare->context));
    return nn_network_create(&bare->network, bare->context, bare->workspace, model, plan, 0);
}

void nn_cmd_bare_clear(nn_cmd_bare *bare)
{
    nn_network_destroy(bare->network);
    ckks_workspace_destroy(bare->workspace);
    ckks_context_destroy(bare->context);
}
