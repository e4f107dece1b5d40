/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* memfd_create */
#include "nn/cmd/mpi/messages.h"

#include <fcntl.h>
#include <limits.h>
#include <mpi.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* A message waits so long before it is seen: nothing beside the time of a picture. */
#define NAP_NANOSECONDS 500000L
#define DETAIL_ROOM     1024u

/* A rank as others call it. */
typedef struct address {
    char host[MPI_MAX_PROCESSOR_NAME];
} address;

static struct world {
    int own, count;
    int here, place;
    MPI_Comm machine; /* the ranks on this one */
    void *memory;     /* that they share; NULL: none */
    uint64_t bytes;
    address *address; /* of every rank; on rank 0 only */
} world;

/* ---- joining and leaving ---- */

static void introduce(void)
{
    address mine = {""};
    int length;
    MPI_Get_processor_name(mine.host, &length);
    if (world.own == 0) world.address = calloc((size_t)world.count, sizeof *world.address);
    if (world.own == 0 && !world.address) {
        fprintf(stderr, "fhola infer: no memory for the names of %d ranks\n", world.count);
        MPI_Abort(MPI_COMM_WORLD, 1 + (int)FHOLA_NOMEM);
    }
    MPI_Gather(&mine, sizeof mine, MPI_BYTE, world.address, sizeof mine, MPI_BYTE, 0,
               MPI_COMM_WORLD);
}

/* Signals are for the main thread, whose reads they end: not for threads of MPI. */
static int init_without_signals(void)
{
    int provided = MPI_THREAD_SINGLE;
    sigset_t all, before;
    sigfillset(&all);
    (void)pthread_sigmask(SIG_BLOCK, &all, &before);
    MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return provided;
}

fhola_status nn_mpi_begin(int *own, int *count)
{
    if (init_without_signals() < MPI_THREAD_FUNNELED)
        return fhola_fail(FHOLA_PARAM, "this MPI does not work beside other threads");
    MPI_Comm_rank(MPI_COMM_WORLD, &world.own);
    MPI_Comm_size(MPI_COMM_WORLD, &world.count);
    MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, world.own, MPI_INFO_NULL,
                        &world.machine);
    MPI_Comm_rank(world.machine, &world.place);
    MPI_Comm_size(world.machine, &world.here);
    *own = world.own;
    *count = world.count;
    introduce();
    return FHOLA_OK;
}

void nn_mpi_end(void)
{
    if (world.memory) (void)munmap(world.memory, world.bytes);
    MPI_Comm_free(&world.machine);
    MPI_Finalize();
    free(world.address);
    world = (struct world){0};
}

int nn_mpi_here(void)
{
    return world.here;
}

int nn_mpi_place(void)
{
    return world.place;
}

const char *nn_mpi_name(int rank)
{
    static char name[MPI_MAX_PROCESSOR_NAME + 32];
    snprintf(name, sizeof name, "rank %d on %s", rank, world.address[rank].host);
    return name;
}

/* ---- all together ---- */

typedef struct verdict {
    int32_t status;
    char detail[DETAIL_ROOM];
} verdict;

/* One that gave up because of another is not where to look. */
static int first_failure(const verdict *v)
{
    int found = -1;
    for (int r = world.count - 1; r >= 0; r--)
        if (v[r].status != FHOLA_OK &&
            (found < 0 || v[r].status != FHOLA_CANCELLED || v[found].status == FHOLA_CANCELLED))
            found = r;
    return found;
}

static fhola_status judge(const verdict *all)
{
    int failed = first_failure(all);
    if (failed < 0) return FHOLA_OK;
    fhola_status status = (fhola_status)all[failed].status;
    return failed == 0 ? fhola_fail(status, "%s", all[0].detail)
                       : fhola_fail(status, "%s: %s", nn_mpi_name(failed), all[failed].detail);
}

fhola_status nn_mpi_agree(fhola_status status)
{
    verdict mine = {.status = (int32_t)status};
    verdict *all = world.own == 0 ? calloc((size_t)world.count, sizeof *all) : NULL;
    int32_t fine = world.own == 0 && !all ? FHOLA_NOMEM : FHOLA_OK;
    if (status != FHOLA_OK) snprintf(mine.detail, sizeof mine.detail, "%s", fhola_detail());
    MPI_Bcast(&fine, 1, MPI_INT32_T, 0, MPI_COMM_WORLD);
    if (fine == FHOLA_OK)
        MPI_Gather(&mine, sizeof mine, MPI_BYTE, all, sizeof mine, MPI_BYTE, 0, MPI_COMM_WORLD);
    if (all) fine = (int32_t)judge(all);
    if (world.own == 0 && !all)
        (void)fhola_fail(FHOLA_NOMEM, "no memory for %d ranks", world.count);
    MPI_Bcast(&fine, 1, MPI_INT32_T, 0, MPI_COMM_WORLD);
    free(all);
    if (fine == FHOLA_OK || world.own == 0) return (fhola_status)fine;
    return fhola_fail(FHOLA_CANCELLED, "another rank failed");
}

/* Memory without a name; it goes with the last process that has it, however that ends. -1: none. */
static int make_memory(uint64_t bytes)
{
#ifdef MFD_CLOEXEC
    int memory = memfd_create("fhola keys", MFD_CLOEXEC);
    if (memory >= 0 && posix_fallocate(memory, 0, (off_t)bytes) == 0) return memory;
    if (memory >= 0) (void)close(memory);
#else
    (void)bytes;
#endif
    return -1;
}

/* That of place 0, as a descriptor of this process; -1: it cannot be had. */
static int open_memory(uint64_t bytes)
{
    int64_t owner[2] = {(int64_t)getpid(), -1}; /* process and descriptor */
    char path[64];
    if (world.place == 0) owner[1] = make_memory(bytes);
    MPI_Bcast(owner, 2, MPI_INT64_T, 0, world.machine);
    if (world.place == 0 || owner[1] < 0) return (int)owner[1];
    snprintf(path, sizeof path, "/proc/%lld/fd/%lld", (long long)owner[0], (long long)owner[1]);
    return open(path, O_RDONLY | O_CLOEXEC);
}

/* Windows of MPI will not do: where there is no room for one, Open MPI 4.1 waits for ever. */
void *nn_mpi_share(uint64_t bytes)
{
    int access = world.place == 0 ? PROT_READ | PROT_WRITE : PROT_READ;
    int descriptor = open_memory(bytes), fine = 0;
    void *memory = MAP_FAILED;
    if (descriptor >= 0) memory = mmap(NULL, bytes, access, MAP_SHARED, descriptor, 0);
    fine = memory != MAP_FAILED;
    MPI_Allreduce(MPI_IN_PLACE, &fine, 1, MPI_INT, MPI_MIN, world.machine);
    if (descriptor >= 0) (void)close(descriptor);
    if (fine) {
        world.memory = memory;
        world.bytes = bytes;
        return memory;
    }
    if (memory != MAP_FAILED) (void)munmap(memory, bytes);
    return NULL;
}

void nn_mpi_tell(uint64_t *number)
{
    MPI_Bcast(number, 1, MPI_UINT64_T, 0, world.machine);
}

/* ---- messages ---- */

/* In front of a message's bytes. */
typedef struct head {
    uint64_t first, count;
    double seconds;
    int32_t status;
} head;

void nn_mpi_nap(void)
{
    const struct timespec nap = {0, NAP_NANOSECONDS};
    (void)nanosleep(&nap, NULL);
}

/* After a signal the message is left to MPI, and the process ends. */
static fhola_status complete(MPI_Request *request)
{
    for (;;) {
        int done;
        MPI_Test(request, &done, MPI_STATUS_IGNORE);
        if (done) return FHOLA_OK;
        if (nn_cmd_interrupted())
            return fhola_fail(FHOLA_CANCELLED, "waiting for another rank was interrupted");
        nn_mpi_nap();
    }
}

fhola_status nn_mpi_send(const nn_mpi_message *m)
{
    const head h = {m->first, m->count, m->seconds, m->status};
    MPI_Request request;
    if (m->length > INT_MAX - sizeof h)
        return fhola_fail(FHOLA_RANGE, "%zu bytes are too many for a message to another rank",
                          m->length);
    unsigned char *buffer = malloc(sizeof h + m->length);
    if (!buffer) return fhola_fail(FHOLA_NOMEM, "no memory for a message of %zu bytes", m->length);
    memcpy(buffer, &h, sizeof h);
    if (m->length) memcpy(buffer + sizeof h, m->bytes, m->length);
    MPI_Isend(buffer, (int)(sizeof h + m->length), MPI_BYTE, m->rank, (int)m->kind, MPI_COMM_WORLD,
              &request);
    fhola_status status = complete(&request);
    if (status == FHOLA_OK) free(buffer);
    return status;
}

static fhola_status take(nn_mpi_message *m, const MPI_Status *from)
{
    MPI_Request request;
    head h;
    int length;
    MPI_Get_count(from, MPI_BYTE, &length);
    unsigned char *buffer = malloc((size_t)length);
    if (!buffer) return fhola_fail(FHOLA_NOMEM, "no memory for a message of %d bytes", length);
    MPI_Irecv(buffer, length, MPI_BYTE, from->MPI_SOURCE, from->MPI_TAG, MPI_COMM_WORLD, &request);
    FHOLA_TRY(complete(&request));
    memcpy(&h, buffer, sizeof h);
    memmove(buffer, buffer + sizeof h, (size_t)length - sizeof h);
    *m = (nn_mpi_message){.kind = (nn_mpi_kind)from->MPI_TAG,
                          .rank = from->MPI_SOURCE,
                          .first = h.first,
                          .count = h.count,
                          .seconds = h.seconds,
                          .status = h.status,
                          .bytes = buffer,
                          .length = (size_t)length - sizeof h};
    return FHOLA_OK;
}

fhola_status nn_mpi_look(nn_mpi_message *message, bool *came)
{
    MPI_Status from;
    int there;
    MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, MPI_COMM_WORLD, &there, &from);
    *came = there;
    return there ? take(message, &from) : FHOLA_OK;
}

fhola_status nn_mpi_receive(nn_mpi_message *message)
{
    bool came = false;
    for (;;) {
        FHOLA_TRY(nn_mpi_look(message, &came));
        if (came) return FHOLA_OK;
        if (nn_cmd_interrupted())
            return fhola_fail(FHOLA_CANCELLED, "waiting for another rank was interrupted");
        nn_mpi_nap();
    }
}

bool nn_mpi_is_stopped(void)
{
    int there;
    MPI_Iprobe(0, NN_MPI_STOP, MPI_COMM_WORLD, &there, MPI_STATUS_IGNORE);
    return there;
}
