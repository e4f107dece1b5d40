/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "nn/cmd/serve/networks.h"

#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "nn/cmd/serve/log.h"
#include "nn/cmd/stream.h"

#define SUFFIX ".fhola"
#define GIB    0x1p30

/* What tells a file from another one, and from what it was. */
typedef struct stamp {
    bool known;
    uint64_t device, inode, size;
    struct timespec changed;
} stamp;

typedef struct place {
    char name[SERVE_NETWORK_ROOM];
    const char *file;
    stamp stamp;
    serve_network *network;
} place;

struct serve_networks {
    place *place;
    size_t count;
    serve_terms terms;
    pthread_mutex_t mutex; /* of who has the places */
};

/* ---- one network ---- */

serve_network *serve_network_retain(serve_network *n)
{
    /* whoever calls has it already: nothing has to be seen before or after */
    (void)atomic_fetch_add_explicit(&n->holders, 1, memory_order_relaxed);
    return n;
}

void serve_network_release(serve_network *n)
{
    if (!n) return;
    /* what other holders did with it comes before its end */
    if (atomic_fetch_sub_explicit(&n->holders, 1, memory_order_acq_rel) != 1) return;
    nn_run_destroy(n->run);
    nn_server_destroy(n->server);
    free(n->client);
    free(n);
}

/* The client file, which is the same for everybody. */
static fhola_status make_client(serve_network *n)
{
    ckks_writer *writer = NULL;
    FILE *stream = open_memstream(&n->client, &n->client_length);
    if (!stream) return fhola_fail(FHOLA_NOMEM, "no memory for a client file");
    fhola_status status = ckks_writer_create(&writer, stream, "the client file");
    if (status == FHOLA_OK) status = nn_server_write_client(n->server, writer);
    if (status == FHOLA_OK) status = ckks_writer_commit(writer);
    ckks_writer_destroy(writer);
    if (fclose(stream) != 0 && status == FHOLA_OK)
        status = fhola_fail(FHOLA_NOMEM, "no memory for a client file");
    return status;
}

/* Read, not ready to run. */
static fhola_status open_network(serve_network **out, const place *p)
{
    serve_network *n = calloc(1, sizeof *n);
    if (!n) return fhola_fail(FHOLA_NOMEM, "no memory for a network");
    atomic_init(&n->holders, 1);
    atomic_init(&n->retired, false);
    n->name = p->name;
    fhola_status status = nn_cmd_open_server(&n->server, p->file);
    if (status == FHOLA_OK) status = make_client(n);
    if (status != FHOLA_OK)
        serve_network_release(n);
    else
        *out = n;
    return status;
}

/* Within `memory` bytes; 0: any number. */
static fhola_status prepare_network(serve_network *n, const serve_terms *terms, uint64_t memory)
{
    uint64_t most = nn_server_memory(n->server).most;
    FHOLA_TRY(nn_server_limit_memory(n->server, memory));
    n->memory = memory && memory < most ? memory : most;
    FHOLA_TRY(nn_server_prepare(n->server));
    FHOLA_TRY(nn_run_create(&n->run, n->server));
    if (isnan(terms->sanitize)) return FHOLA_OK;
    return nn_run_sanitize(n->run, terms->sanitize, terms->error);
}

/* ---- names and files ---- */

static stamp look_at(const char *file)
{
    struct stat info;
    if (stat(file, &info) != 0 || !S_ISREG(info.st_mode)) return (stamp){0};
    return (stamp){true, (uint64_t)info.st_dev, (uint64_t)info.st_ino, (uint64_t)info.st_size,
                   info.st_mtim};
}

static bool is_same(const stamp *a, const stamp *b)
{
    return a->known && b->known && a->device == b->device && a->inode == b->inode &&
           a->size == b->size && a->changed.tv_sec == b->changed.tv_sec &&
           a->changed.tv_nsec == b->changed.tv_nsec;
}

static bool is_name(const char *text, size_t length)
{
    static const char good[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";
    return length > 0 && length < SERVE_NETWORK_ROOM && *text != '.' &&
           strspn(text, good) >= length;
}

static fhola_status name_place(place *p, const char *operand)
{
    const char *sign = strchr(operand, '='), *slash = strrchr(operand, '/'), *begin = operand;
    size_t length = sign ? (size_t)(sign - operand) : 0;
    p->file = operand;
    if (sign && is_name(operand, length)) {
        p->file = sign + 1;
    } else {
        begin = slash ? slash + 1 : operand;
        length = strlen(begin);
        if (length > strlen(SUFFIX) && strcmp(begin + length - strlen(SUFFIX), SUFFIX) == 0)
            length -= strlen(SUFFIX);
        if (!is_name(begin, length))
            return fhola_fail(FHOLA_PARAM,
                              "'%s' gives its network no name of 1 to %u letters, digits, and of "
                              "- _ and ., not first: say NAME=FILE",
                              operand, SERVE_NETWORK_ROOM - 1);
    }
    memcpy(p->name, begin, length);
    p->name[length] = 0;
    return FHOLA_OK;
}

static place *find_place(const serve_networks *all, const char *name)
{
    for (size_t i = 0; i < all->count; i++)
        if (strcmp(all->place[i].name, name) == 0) return &all->place[i];
    return NULL;
}

static fhola_status add_place(serve_networks *all, const char *operand)
{
    place *p = &all->place[all->count];
    FHOLA_TRY(name_place(p, operand));
    if (find_place(all, p->name))
        return fhola_fail(FHOLA_PARAM, "two networks called '%s': say NAME=FILE", p->name);
    all->count++;
    p->stamp = look_at(p->file);
    return open_network(&p->network, p);
}

fhola_status serve_networks_open(serve_networks **networks, char *const operands[], size_t count)
{
    serve_networks *all = calloc(1, sizeof *all);
    if (!all) return fhola_fail(FHOLA_NOMEM, "no memory for networks");
    (void)pthread_mutex_init(&all->mutex, NULL);
    all->place = calloc(count, sizeof *all->place);
    fhola_status status =
        all->place ? FHOLA_OK : fhola_fail(FHOLA_NOMEM, "no memory for %zu networks", count);
    for (size_t i = 0; status == FHOLA_OK && i < count; i++) status = add_place(all, operands[i]);
    if (status != FHOLA_OK)
        serve_networks_close(all);
    else
        *networks = all;
    return status;
}

void serve_networks_close(serve_networks *all)
{
    if (!all) return;
    for (size_t i = 0; i < all->count; i++) serve_network_release(all->place[i].network);
    (void)pthread_mutex_destroy(&all->mutex);
    free(all->place);
    free(all);
}

/* ---- memory ---- */

/* Each has what it needs at least; of what is left it has the share of what it could use. */
static uint64_t share_of(nn_memory own, nn_memory sum, uint64_t memory)
{
    if (!memory) return 0;
    if (memory >= sum.most) return own.most;
    double part = (double)(own.most - own.least) / (double)(sum.most - sum.least);
    return own.least + (uint64_t)(part * (double)(memory - sum.least));
}

fhola_status serve_networks_prepare(serve_networks *all, serve_terms terms)
{
    const uint64_t memory = terms.memory;
    nn_memory sum = {0};
    for (size_t i = 0; i < all->count; i++) {
        nn_memory own = nn_server_memory(all->place[i].network->server);
        sum.least += own.least;
        sum.most += own.most;
    }
    all->terms = terms;
    if (memory && memory < sum.least)
        return fhola_fail(FHOLA_NOMEM,
                          "the networks need %.2f GiB of memory without any encoded weights (keys, "
                          "ciphertexts and largest layers), %.2f are there",
                          (double)sum.least / GIB, (double)memory / GIB);
    nn_cmd_say_memory(memory, sum);
    for (size_t i = 0; i < all->count; i++) {
        serve_network *n = all->place[i].network;
        nn_memory own = nn_server_memory(n->server);
        FHOLA_TRY(prepare_network(n, &terms, share_of(own, sum, memory)));
    }
    return FHOLA_OK;
}

/* ---- while they are served ---- */

size_t serve_networks_count(const serve_networks *all)
{
    return all->count;
}

const char *serve_networks_name(const serve_networks *all, size_t index)
{
    return all->place[index].name;
}

serve_network *serve_networks_take(serve_networks *all, const char *name)
{
    const place *p = *name ? find_place(all, name) : all->place;
    if (!p) return NULL;
    (void)pthread_mutex_lock(&all->mutex);
    serve_network *n = serve_network_retain(p->network);
    (void)pthread_mutex_unlock(&all->mutex);
    return n;
}

/* What the others leave. */
static uint64_t room_for(const serve_networks *all, const place *p)
{
    uint64_t others = 0;
    if (!all->terms.memory) return 0;
    for (size_t i = 0; i < all->count; i++)
        if (&all->place[i] != p) others += all->place[i].network->memory;
    return others < all->terms.memory ? all->terms.memory - others : 1;
}

/* The old one and the new one are in memory at once. */
static fhola_status check_room(const place *p, const serve_network *new, uint64_t room)
{
    uint64_t most = nn_server_memory(new->server).most, wanted = room < most ? room : most;
    if (!room || wanted + p->network->memory <= room) return FHOLA_OK;
    return fhola_fail(FHOLA_NOMEM,
                      "it would be in memory beside the old one, which takes %.2f GiB where %.2f "
                      "are there: the server is to be started anew",
                      (double)(wanted + p->network->memory) / GIB, (double)room / GIB);
}

static fhola_status load_anew(const serve_networks *all, const place *p, serve_network **new)
{
    uint64_t room = room_for(all, p);
    FHOLA_TRY(open_network(new, p));
    FHOLA_TRY(check_room(p, *new, room));
    return prepare_network(*new, &all->terms, room);
}

/* False: it failed. */
static bool exchange_one(serve_networks *all, place *p, serve_retire_fn retire, void *arg)
{
    serve_network *new = NULL;
    const stamp now = look_at(p->file);
    char reason[600];
    if (is_same(&p->stamp, &now)) return true;
    fhola_status status = load_anew(all, p, &new);
    if (status != FHOLA_OK) {
        serve_log_quote(reason, sizeof reason, fhola_detail());
        serve_log("exchange", "what=network name=%s done=no status=\"%s\" reason=%s", p->name,
                  fhola_strerror(status), reason);
        serve_network_release(new);
        return false;
    }
    uint64_t id = nn_server_network_id(new->server);
    (void)pthread_mutex_lock(&all->mutex);
    serve_network *old = p->network;
    p->network = new;
    (void)pthread_mutex_unlock(&all->mutex);
    p->stamp = now;
    serve_log("exchange", "what=network name=%s done=yes id=%016" PRIx64 " before=%016" PRIx64,
              p->name, id, nn_server_network_id(old->server));
    atomic_store(&old->retired, true);
    retire(arg, old);
    serve_network_release(old);
    return true;
}

size_t serve_networks_exchange(serve_networks *all, serve_retire_fn retire, void *arg)
{
    size_t failed = 0;
    for (size_t i = 0; i < all->count; i++)
        failed += !exchange_one(all, &all->place[i], retire, arg);
    return failed;
}

/* ---- keys ---- */

/* An nn_count_progress: whether a network's keys are there is found before the first is read. */
static int stop(void *arg, size_t done, size_t total)
{
    (void)arg;
    (void)done;
    (void)total;
    return 1;
}

static fhola_status accept_keys(const serve_network *n, FILE *stream)
{
    nn_keys *keys = NULL;
    ckks_reader *reader = NULL;
    rewind(stream);
    fhola_status status = ckks_reader_create(&reader, stream, "the keys");
    if (status == FHOLA_OK) status = nn_keys_read(&keys, n->server, reader, stop, NULL);
    nn_keys_release(keys);
    ckks_reader_destroy(reader);
    return status == FHOLA_CANCELLED ? FHOLA_OK : status;
}

/* What is said of useless keys is what the last network said. */
fhola_status serve_networks_accept(void *arg, FILE *keys)
{
    serve_networks *all = arg;
    fhola_status status = FHOLA_KEY;
    for (size_t i = 0; status != FHOLA_OK && i < all->count; i++) {
        serve_network *n = serve_networks_take(all, all->place[i].name);
        status = accept_keys(n, keys);
        serve_network_release(n);
    }
    return status;
}
