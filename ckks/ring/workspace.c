/* SPDX-License-Identifier: Apache-2.0 */
#include "ckks/ring/workspace.h"

#include <stdlib.h>

#include "ckks/alloc.h"
#include "ckks/ring/sample.h"

#define BLOCK_LIMBS 64 /* a new block holds at least this many limbs */

fhola_status ckks_workspace_create(ckks_workspace **out, const ckks_context *context)
{
    ckks_workspace *ws = calloc(1, sizeof *ws);
    if (!ws) return fhola_fail(FHOLA_NOMEM, "no memory for a workspace");
    ws->context = context;
    *out = ws;
    return FHOLA_OK;
}

void ckks_workspace_destroy(ckks_workspace *ws)
{
    if (!ws) return;
    for (unsigned i = 0; i < ws->blocks; i++) {
        ckks_wipe(ws->block[i].memory, ws->block[i].size);
        ckks_free(ws->block[i].memory);
    }
    free(ws);
}

size_t ckks_workspace_bytes(const ckks_workspace *ws)
{
    size_t bytes = 0;
    for (unsigned i = 0; i < ws->blocks; i++) bytes += ws->block[i].size;
    return bytes;
}

ckks_bootstrap_times *ckks_workspace_times(ckks_workspace *ws)
{
    return &ws->times;
}

void ckks_workspace_observe(ckks_workspace *ws, void (*ended)(void *arg, ckks_stage stage),
                            void *arg)
{
    ws->stage_ended = ended;
    ws->stage_arg = arg;
}

ckks_mark ckks_workspace_mark(const ckks_workspace *ws)
{
    ckks_mark mark = {ws->current, ws->blocks ? ws->block[ws->current].used : 0};
    return mark;
}

void ckks_workspace_release(ckks_workspace *ws, ckks_mark mark)
{
    if (!ws->blocks) return;
    for (unsigned i = mark.current + 1; i <= ws->current; i++) ws->block[i].used = 0;
    ws->current = mark.current;
    ws->block[mark.current].used = mark.used;
}

static int add_block(ckks_workspace *ws, size_t bytes)
{
    size_t size = BLOCK_LIMBS * ws->context->stride * sizeof(uint64_t);
    if (size < bytes) size = bytes;
    if (ws->blocks == CKKS_WORKSPACE_BLOCKS) return 0;
    unsigned char *memory = ckks_alloc(size);
    if (!memory) return 0;
    ws->block[ws->blocks].memory = memory;
    ws->block[ws->blocks].size = size;
    ws->block[ws->blocks].used = 0;
    ws->blocks++;
    return 1;
}

void *ckks_workspace_take(ckks_workspace *ws, size_t bytes)
{
    bytes = (bytes + 63) & ~(size_t)63;
    if (bytes == 0) bytes = 64;
    for (unsigned i = ws->current; i < CKKS_WORKSPACE_BLOCKS; i++) {
        if (i == ws->blocks && !add_block(ws, bytes)) break;
        if (ws->block[i].size - ws->block[i].used >= bytes) {
            void *memory = ws->block[i].memory + ws->block[i].used;
            ws->block[i].used += bytes;
            ws->current = i;
            return memory;
        }
    }
    (void)fhola_fail(FHOLA_NOMEM, "no memory for %zu bytes of workspace", bytes);
    return NULL;
}

uint64_t *ckks_workspace_limbs(ckks_workspace *ws, size_t limbs)
{
    /* Bases of polynomials taken one after the other start on different cache sets. */
    size_t shift = ws->context->log_n >= 12 ? (ws->stagger++ * 5 % 64) * 8 : 0;
    uint64_t *memory =
        ckks_workspace_take(ws, (limbs * ws->context->stride + shift) * sizeof *memory);
    return memory ? memory + shift : NULL;
}
