/* SPDX-License-Identifier: Apache-2.0 */
/* fhola infer on many ranks. Rank 0 reads the stream, gives every rank that is free the next batch,
 * itself too, and writes the results in the order of the pictures. */
#define _POSIX_C_SOURCE 200809L
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "nn/cmd/mpi/helper.h"
#include "nn/cmd/mpi/messages.h"
#include "nn/cmd/ranks.h"

/* Batches a rank that are read, or whose results wait for earlier ones. */
#define BATCHES_A_RANK 4u

/* ---- making ready ---- */

/* Place 0 of a machine reads the keys, the others use them there; where no memory can be shared
 * each reads its own. */
static fhola_status share_keys(infer_job *job)
{
    bool reads = nn_mpi_place() == 0;
    void *memory = nn_mpi_here() > 1 ? nn_mpi_share(nn_keys_shared_bytes(job->server)) : NULL;
    if (!memory && nn_mpi_here() > 1 && reads)
        nn_cmd_note("the ranks of a machine cannot share memory: each reads the keys");
    if (!memory) return nn_keys_read(&job->keys, job->server, job->keys_file, nn_cmd_count, NULL);
    fhola_status status = FHOLA_OK;
    if (reads)
        status = nn_keys_read_shared(&job->keys, job->server, memory, job->keys_file, nn_cmd_count,
                                     NULL);
    /* the id of no key is 0 */
    uint64_t id = reads && status == FHOLA_OK ? nn_keys_id(job->keys) : 0;
    nn_mpi_tell(&id);
    if (reads) return status;
    return id ? nn_keys_attach(&job->keys, job->server, memory, id)
              : fhola_fail(FHOLA_CANCELLED, "the keys could not be read");
}

/* Every rank opens the network and, in case that it has to read them, the keys. */
static fhola_status open_all(infer_job *job)
{
    unsigned here = (unsigned)nn_mpi_here();
    if (strcmp(job->network, "-") == 0 || strcmp(job->keys_path, "-") == 0)
        return fhola_fail(FHOLA_PARAM, "all ranks read the network and the keys, which standard "
                                       "input cannot give them");
    if (nn_ranks_own() == 0)
        FHOLA_TRY(infer_open_files(job));
    else
        FHOLA_TRY(nn_cmd_open_input(&job->keys_file, job->keys_path));
    return infer_open_server(job, here);
}

static fhola_status get_ready(infer_job *job)
{
    unsigned share = nn_cmd_share_threads((unsigned)nn_mpi_here());
    if (nn_ranks_own() == 0 && nn_cmd_threads() < share)
        nn_cmd_note("bound to fewer processors than the %u that a rank could have here; "
                    "'mpirun --bind-to none' lets it use them",
                    share);
    FHOLA_TRY(nn_mpi_agree(open_all(job)));
    fhola_status status = share_keys(job);
    if (status == FHOLA_OK) nn_cmd_progress_at("loading", 0, 1, "preparing the network");
    if (status == FHOLA_OK) status = nn_server_prepare(job->server);
    return nn_mpi_agree(status);
}

/* ---- ranks that compute ---- */

static int go_on(void *user, size_t layer, nn_step step, size_t done, size_t total)
{
    (void)user;
    (void)layer;
    (void)step;
    (void)done;
    (void)total;
    return nn_cmd_interrupted() || nn_mpi_is_stopped();
}

/* Computes a batch that came, and sends what became of it. */
static fhola_status answer(const nn_mpi_message *m, nn_run *run, const nn_keys *keys)
{
    static const nn_infer_hooks hooks = {.progress = go_on};
    batch b = {.first = m->first, .count = m->count, .bytes = m->bytes, .length = m->length};
    batch_compute(&b, run, keys, &hooks);
    nn_mpi_message reply = {.kind = NN_MPI_RESULTS,
                            .count = m->count,
                            .seconds = b.seconds,
                            .bytes = b.results,
                            .length = b.results_length};
    if (b.status != FHOLA_OK) {
        reply.kind = NN_MPI_FAILURE;
        reply.status = (int32_t)b.status;
        reply.bytes = (unsigned char *)b.detail;
        reply.length = strlen(b.detail) + 1;
    }
    bool wanted = b.status != FHOLA_CANCELLED;
    fhola_status status = wanted ? nn_mpi_send(&reply) : FHOLA_OK;
    batch_clear(&b); /* the bytes that came, too */
    return status;
}

static fhola_status serve(infer_job *job)
{
    nn_run *run = NULL;
    nn_mpi_message m = {.kind = NN_MPI_BATCH};
    fhola_status status = nn_mpi_agree(infer_open_run(&run, job));
    if (status != FHOLA_OK) m.kind = NN_MPI_LEAVE;
    while (status == FHOLA_OK && m.kind != NN_MPI_STOP) {
        status = nn_mpi_receive(&m);
        if (status == FHOLA_OK && m.kind == NN_MPI_BATCH) status = answer(&m, run, job->keys);
    }
    nn_run_destroy(run);
    if (status != FHOLA_OK) return status;
    free(m.bytes);
    return nn_mpi_send(&(nn_mpi_message){.kind = NN_MPI_LEAVE});
}

/* ---- rank 0 ---- */

/* Batches are numbered from 0; batch k is at k % room. */
typedef struct desk {
    infer_job *job;
    helper own;
    batch *at;
    size_t room;
    size_t read, given, written; /* batches */
    size_t end;                  /* this one is not there, or failed as `status` says */
    size_t next;                 /* number of the next picture to be read */
    batch **with;                /* what every rank computes; NULL: nothing */
    fhola_status status;
    char detail[BATCH_DETAIL];
} desk;

/* Nothing is to be written from batch `end` on. */
static void end_at(desk *d, size_t end, fhola_status status)
{
    if (end >= d->end) return;
    d->end = end;
    d->status = status;
    if (status != FHOLA_OK) snprintf(d->detail, sizeof d->detail, "%s", fhola_detail());
}

/* Whether reading would not keep results waiting. */
static bool input_is_there(const desk *d)
{
    struct pollfd standard = {.fd = STDIN_FILENO, .events = POLLIN};
    const char *input = d->job->input;
    if (input && strcmp(input, "-") != 0) return true;
    return poll(&standard, 1, 0) != 0;
}

/* The next batch, ahead of the ranks. */
static bool read_batch(desk *d)
{
    if (d->read > d->given || d->read >= d->end || d->read - d->written == d->room) return false;
    if (!input_is_there(d)) return false;
    batch *b = &d->at[d->read % d->room];
    fhola_status status = batch_read(b, d->job, d->next);
    if (status != FHOLA_OK || b->count == 0) {
        batch_clear(b);
        end_at(d, d->read, status);
        return true;
    }
    d->next += b->count;
    d->read++;
    return true;
}

/* To a rank that has none, if there is one. */
static bool give_batch(desk *d)
{
    int rank = 0;
    if (d->given == d->read || d->given >= d->end) return false;
    while (rank < nn_ranks_count() && d->with[rank]) rank++;
    if (rank == nn_ranks_count()) return false;
    batch *b = &d->at[d->given++ % d->room];
    d->with[rank] = b;
    b->rank = rank;
    if (rank == 0) {
        helper_give(&d->own, b);
        return true;
    }
    fhola_status status = nn_mpi_send(&(nn_mpi_message){.kind = NN_MPI_BATCH,
                                                        .rank = rank,
                                                        .first = b->first,
                                                        .count = b->count,
                                                        .bytes = b->bytes,
                                                        .length = b->length});
    if (status != FHOLA_OK) end_at(d, d->given - 1, status);
    return true;
}

/* Batch b is done with. */
static void take_batch(desk *d, batch *b)
{
    size_t number = d->written;
    while (&d->at[number % d->room] != b) number++;
    b->done = true;
    d->with[b->rank] = NULL;
    if (b->status == FHOLA_OK) return;
    (void)fhola_fail(b->status, "%s: %s", nn_mpi_name(b->rank), b->detail);
    end_at(d, number, b->status);
}

/* What another rank has sent. */
static void take_reply(desk *d, nn_mpi_message *m)
{
    batch *b = d->with[m->rank];
    if (m->kind == NN_MPI_RESULTS) {
        b->results = m->bytes;
        b->results_length = m->length;
        b->seconds = m->seconds;
    } else {
        b->status = (fhola_status)m->status;
        snprintf(b->detail, sizeof b->detail, "%s", (const char *)m->bytes);
        free(m->bytes);
    }
    take_batch(d, b);
}

static bool take_results(desk *d)
{
    nn_mpi_message m;
    bool came = false;
    batch *own = helper_take(&d->own);
    if (own) take_batch(d, own);
    fhola_status status = nn_mpi_look(&m, &came);
    if (status != FHOLA_OK)
        end_at(d, d->written, status);
    else if (came)
        take_reply(d, &m);
    return own || came;
}

/* Those that are next in order. */
static void write_results(desk *d)
{
    for (; d->written < d->end && d->written < d->read; d->written++) {
        infer_job *job = d->job;
        batch *b = &d->at[d->written % d->room];
        if (!b->done) return;
        fhola_status status = batch_write(b, job);
        if (status == FHOLA_OK) status = infer_finish_pictures(job, b->count, b->seconds);
        if (status != FHOLA_OK) {
            end_at(d, d->written, status);
            return;
        }
        batch_clear(b);
        size_t done = job->picture - 1;
        if (job->pictures >= done) nn_cmd_progress_at("pictures", done, job->pictures, NULL);
    }
}

/* Which pictures have no results because a signal came. */
static void say_what_was_under_way(const desk *d)
{
    char text[256] = "";
    size_t at = 0;
    for (int r = 0; r < nn_ranks_count() && at < sizeof text - 48; r++)
        if (d->with[r])
            at += (size_t)snprintf(text + at, sizeof text - at, "%s%zu (rank %d)", at ? ", " : "",
                                   d->with[r]->first, r);
    if (at) nn_cmd_note("not finished: the batches from picture %s on", text);
}

/* Until all is written that there will be. */
static void hand_out(desk *d)
{
    fhola_status status = infer_skip(d->job);
    if (status != FHOLA_OK) end_at(d, 0, status);
    d->next = d->job->picture;
    while (d->written < d->end && !nn_cmd_interrupted()) {
        bool busy = take_results(d);
        write_results(d);
        busy = read_batch(d) || busy;
        busy = give_batch(d) || busy;
        if (!busy) nn_mpi_nap();
    }
}

/* A signal came, perhaps because another rank is lost and mpirun ends all of them: a second later
 * it leaves no choice, so nothing is waited for, not even the own picture. */
static void give_up(const desk *d)
{
    infer_job *job = d->job;
    infer_keep(job);
    ckks_writer_destroy(job->out);
    say_what_was_under_way(d);
    (void)nn_cmd_finish_caught("infer", FHOLA_CANCELLED);
}

/* Every rank takes leave; what it sends before is not wanted any more. */
static fhola_status dismiss(void)
{
    nn_mpi_message m;
    int left = nn_ranks_count() - 1;
    for (int r = 1; r < nn_ranks_count(); r++)
        FHOLA_TRY(nn_mpi_send(&(nn_mpi_message){.kind = NN_MPI_STOP, .rank = r}));
    while (left > 0) {
        FHOLA_TRY(nn_mpi_receive(&m));
        left -= m.kind == NN_MPI_LEAVE;
        free(m.bytes);
    }
    return FHOLA_OK;
}

static fhola_status spare_inputs(const infer_job *job)
{
    FHOLA_TRY(ckks_writer_spare(job->out, ckks_reader_file(job->in)));
    return ckks_writer_spare(job->out, ckks_reader_file(job->keys_file));
}

static fhola_status open_desk(desk *d, infer_job *job)
{
    size_t ranks = (size_t)nn_ranks_count();
    *d = (desk){.job = job, .end = SIZE_MAX, .room = BATCHES_A_RANK * ranks};
    d->at = calloc(d->room, sizeof *d->at);
    d->with = calloc(ranks, sizeof *d->with);
    FHOLA_TRY(helper_begin(&d->own, job));
    if (!d->at || !d->with) return fhola_fail(FHOLA_NOMEM, "no memory for %zu batches", d->room);
    return spare_inputs(job);
}

static void close_desk(desk *d)
{
    helper_end(&d->own);
    for (size_t i = 0; d->at && i < d->room; i++) batch_clear(&d->at[i]);
    free(d->at);
    free(d->with);
}

static fhola_status preside(infer_job *job)
{
    desk d;
    fhola_status opened = open_desk(&d, job), status = nn_mpi_agree(opened);
    if (status == FHOLA_OK) {
        hand_out(&d);
        status = dismiss();
        if (nn_cmd_interrupted()) give_up(&d);
        if (d.status != FHOLA_OK) status = fhola_fail(d.status, "%s", d.detail);
    }
    close_desk(&d);
    return status;
}

/* ----  ---- */

fhola_status nn_ranks_infer(infer_job *job)
{
    /* as if there were many pictures */
    static const nn_cmd_phase phases[] = {{"key", 1.5}, {"loading", 2.5}, {"pictures", 35}};
    nn_cmd_progress_expect(phases, sizeof phases / sizeof phases[0]);
    FHOLA_TRY(get_ready(job));
    return nn_ranks_own() == 0 ? preside(job) : serve(job);
}
