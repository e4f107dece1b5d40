/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "nn/cmd/serve/queue.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "nn/cmd/cmd.h"
#include "nn/cmd/serve/rates.h"
#include "nn/cmd/serve/turns.h"

#define DETAIL_ROOM 512u
/* How much the picture before last counts for how long one takes, against the last one. */
#define MEMORY_OF_TIMES 0.75

struct serve_job {
    serve_queue *queue;
    serve_job *next;
    serve_network *network;
    char owner[SERVE_OWNER_ROOM], request[SERVE_REQUEST_ROOM];
    uint64_t id; /* of its keys */
    ckks_ciphertext ***picture;
    size_t pictures, reserved, done;
    serve_stage stage;
    bool held, cancelled; /* held: by the loader or the worker */
    char *results;
    size_t length;
    FILE *stream;
    ckks_writer *writer;
    fhola_status status;
    char detail[DETAIL_ROOM];
    /* of the picture that is worked on */
    size_t layer;
    const char *step;
    double start, share;
};

struct serve_queue {
    serve_cache *cache;
    double threads;
    size_t most, reserved;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    pthread_t loader, worker;
    bool closed, loader_ended;
    serve_job *first; /* in the order of arrival */
    serve_turns turns;
    serve_rates rates;
    serve_job *ready; /* the next one, and its keys */
    nn_keys *ready_keys;
    serve_queue_figures figures;
};

/* ---- waiting ---- */

static void lock(serve_queue *q)
{
    (void)pthread_mutex_lock(&q->mutex);
}

static void unlock(serve_queue *q)
{
    (void)pthread_mutex_unlock(&q->mutex);
}

static void tell(serve_queue *q)
{
    (void)pthread_cond_broadcast(&q->changed);
}

static struct timespec from_now(unsigned milliseconds)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += milliseconds / 1000;
    t.tv_nsec += (long)(milliseconds % 1000) * 1000000;
    t.tv_sec += t.tv_nsec / 1000000000;
    t.tv_nsec %= 1000000000;
    return t;
}

/* ---- jobs, with the mutex ---- */

static bool is_queued(const serve_job *job)
{
    return job->stage == SERVE_WAITING || job->stage == SERVE_RUNNING;
}

static void end_job(serve_job *job, serve_stage stage)
{
    serve_queue *q = job->queue;
    job->stage = stage;
    if (stage == SERVE_CANCELLED) q->figures.cancelled++;
    if (stage == SERVE_BROKEN) q->figures.failed++;
    tell(q);
}

static void break_job(serve_job *job, fhola_status status)
{
    job->status = status;
    snprintf(job->detail, sizeof job->detail, "%s", fhola_detail());
    end_job(job, SERVE_BROKEN);
}

/* Who holds it looks at the mark. */
static void cancel_job(serve_job *job)
{
    if (!is_queued(job)) return;
    job->cancelled = true;
    if (!job->held) end_job(job, SERVE_CANCELLED);
}

static serve_job *find_job(const serve_queue *q, const char *owner, const char *request)
{
    for (serve_job *job = q->first; job; job = job->next)
        if (is_queued(job) && *request && strcmp(job->request, request) == 0 &&
            strcmp(job->owner, owner) == 0)
            return job;
    return NULL;
}

/* ---- the loader: picks pictures and has their keys ready ---- */

/* With the mutex. Of an owner's jobs the first one is next. */
static serve_job *pick(const serve_queue *q)
{
    serve_job *best = NULL;
    uint64_t best_turn = 0;
    for (serve_job *job = q->first; job; job = job->next) {
        if (!is_queued(job) || job->held) continue;
        uint64_t turn = serve_turns_of(&q->turns, job->owner);
        if (best && turn >= best_turn) continue;
        best = job;
        best_turn = turn;
    }
    return best;
}

static bool has_queued(const serve_queue *q)
{
    for (const serve_job *job = q->first; job; job = job->next)
        if (is_queued(job)) return true;
    return false;
}

/* With the mutex, which is released meanwhile. */
static void make_ready(serve_queue *q, serve_job *job)
{
    nn_keys *keys = NULL;
    job->held = true;
    serve_turns_serve(&q->turns, job->owner);
    unlock(q);
    fhola_status status = serve_cache_take(q->cache, &keys, job->network, job->owner, job->id);
    lock(q);
    if (status == FHOLA_OK && !job->cancelled) {
        q->ready = job;
        q->ready_keys = keys;
        tell(q);
        return;
    }
    serve_cache_give_back(q->cache, keys);
    job->held = false;
    if (job->cancelled)
        end_job(job, SERVE_CANCELLED);
    else
        break_job(job, status);
}

static void *load_keys(void *arg)
{
    serve_queue *q = arg;
    nn_cmd_set_threads(1); /* beside the team */
    lock(q);
    while (!q->closed || has_queued(q)) {
        serve_job *job = q->ready ? NULL : pick(q);
        if (job)
            make_ready(q, job);
        else
            (void)pthread_cond_wait(&q->changed, &q->mutex);
    }
    q->loader_ended = true;
    tell(q);
    unlock(q);
    return NULL;
}

/* ---- the worker ---- */

/* Pictures that are worked on at once: the next `count[i]` of job i, packs or alone. */
typedef struct batch {
    serve_queue *queue;
    serve_job *job[NN_MAX_PICTURES];
    size_t count[NN_MAX_PICTURES], jobs;
    size_t pictures, room; /* those in packs counted one by one */
    double start;
} batch;

/* One, or as many as are packed in it. */
static size_t pictures_in(ckks_ciphertext *const picture[])
{
    size_t packed = nn_encrypted_pictures(picture);
    return packed ? packed : 1;
}

/* With the mutex. A job that begins a batch has its next pack in it, whatever the room. */
static void begin_job(batch *b, serve_job *job)
{
    size_t count = 0, pictures = 0;
    for (size_t k = job->done; k < job->pictures; k++, count++) {
        size_t more = pictures_in(job->picture[k]);
        if (b->pictures + pictures + more > b->room && b->pictures + pictures) break;
        pictures += more;
    }
    if (!count) return;
    b->job[b->jobs] = job;
    b->count[b->jobs++] = count;
    b->pictures += pictures;
    job->held = true;
    job->stage = SERVE_RUNNING;
    job->layer = 0;
    job->step = NULL;
    job->share = 0;
    job->start = b->start;
}

/* With the mutex. Whoever waits for the same network with the same keys comes along. */
static void gather(batch *b, serve_queue *q, serve_job *first)
{
    *b = (batch){.queue = q,
                 .room = nn_network_pictures(nn_server_network(first->network->server)),
                 .start = nn_cmd_now()};
    begin_job(b, first);
    for (serve_job *job = q->first; job && b->pictures < b->room; job = job->next)
        if (is_queued(job) && !job->held && job->network == first->network &&
            job->id == first->id && strcmp(job->owner, first->owner) == 0)
            begin_job(b, job);
    tell(q);
}

/* With the mutex. Those who want it still decide. */
static bool is_wanted(const batch *b)
{
    for (size_t i = 0; i < b->jobs; i++)
        if (!b->job[i]->cancelled) return true;
    return false;
}

/* Of nn_infer_hooks. */
static int take_step(void *arg, size_t layer, nn_step step, size_t done, size_t total)
{
    const batch *b = arg;
    lock(b->queue);
    for (size_t i = 0; i < b->jobs; i++) {
        b->job[i]->layer = layer + 1;
        b->job[i]->step = nn_step_name(step);
        b->job[i]->share = total ? (double)done / (double)total : 0;
    }
    bool wanted = is_wanted(b);
    tell(b->queue);
    unlock(b->queue);
    return !wanted;
}

/* Without the mutex: only the worker has the jobs. */
static fhola_status work(batch *b, const nn_keys *keys)
{
    nn_infer_hooks hooks = {.user = b, .progress = take_step};
    ckks_ciphertext *const *picture[NN_MAX_PICTURES];
    ckks_writer *out[NN_MAX_PICTURES];
    size_t n = 0;
    for (size_t i = 0; i < b->jobs; i++)
        for (size_t k = 0; k < b->count[i]; k++, n++) {
            picture[n] = b->job[i]->picture[b->job[i]->done + k];
            out[n] = b->job[i]->writer;
        }
    FHOLA_TRY(nn_run_answer_batch(b->job[0]->network->run, out, keys, picture, n, &hooks));
    for (size_t i = 0; i < b->jobs; i++)
        if (b->job[i]->done + b->count[i] == b->job[i]->pictures)
            FHOLA_TRY(ckks_writer_commit(b->job[i]->writer));
    return FHOLA_OK;
}

static void count_time(serve_queue *q, const batch *b)
{
    double seconds = nn_cmd_now() - b->start, each = seconds / (double)b->pictures,
           before = q->figures.typical > 0 ? q->figures.typical : each;
    q->figures.answered += b->pictures;
    q->figures.runs++;
    q->figures.seconds += seconds;
    q->figures.typical = MEMORY_OF_TIMES * before + (1 - MEMORY_OF_TIMES) * each;
}

/* With the mutex. */
static void leave_job(serve_job *job, size_t count, fhola_status status)
{
    job->held = false;
    if (status == FHOLA_OK) job->done += count;
    if (job->cancelled)
        end_job(job, SERVE_CANCELLED);
    else if (status != FHOLA_OK)
        break_job(job, status);
    else if (job->done == job->pictures)
        end_job(job, SERVE_DONE);
}

/* With the mutex, which is released meanwhile. */
static void run_batch(serve_queue *q, serve_job *first, nn_keys *keys)
{
    batch b;
    gather(&b, q, first);
    const bool wanted = is_wanted(&b);
    unlock(q);
    fhola_status status = wanted ? work(&b, keys) : FHOLA_CANCELLED;
    serve_cache_give_back(q->cache, keys);
    lock(q);
    if (status == FHOLA_OK) count_time(q, &b);
    for (size_t i = 0; i < b.jobs; i++) leave_job(b.job[i], b.count[i], status);
    tell(q);
}

static void *answer(void *arg)
{
    serve_queue *q = arg;
    nn_cmd_set_threads(q->threads);
    lock(q);
    while (q->ready || !q->loader_ended) {
        serve_job *job = q->ready;
        if (!job) {
            (void)pthread_cond_wait(&q->changed, &q->mutex);
            continue;
        }
        nn_keys *keys = q->ready_keys;
        q->ready = NULL;
        q->ready_keys = NULL;
        run_batch(q, job, keys);
    }
    unlock(q);
    return NULL;
}

/* ---- queues ---- */

static fhola_status start(serve_queue *q)
{
    if (pthread_create(&q->loader, NULL, load_keys, q) != 0)
        return fhola_fail(FHOLA_NOMEM, "no thread to load keys");
    if (pthread_create(&q->worker, NULL, answer, q) == 0) return FHOLA_OK;
    serve_queue_close(q);
    (void)pthread_join(q->loader, NULL);
    return fhola_fail(FHOLA_NOMEM, "no thread to answer requests");
}

static void clear(serve_queue *q)
{
    serve_rates_clear(&q->rates);
    (void)pthread_cond_destroy(&q->changed);
    (void)pthread_mutex_destroy(&q->mutex);
    free(q);
}

fhola_status serve_queue_create(serve_queue **queue, serve_cache *cache, unsigned pictures,
                                double minute, double threads)
{
    pthread_condattr_t clock;
    serve_queue *q = calloc(1, sizeof *q);
    if (!q) return fhola_fail(FHOLA_NOMEM, "no memory for a queue");
    q->cache = cache;
    q->most = pictures;
    q->rates.minute = minute;
    q->threads = threads;
    (void)pthread_mutex_init(&q->mutex, NULL);
    (void)pthread_condattr_init(&clock);
    (void)pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&q->changed, &clock);
    (void)pthread_condattr_destroy(&clock);
    fhola_status status = start(q);
    if (status != FHOLA_OK)
        clear(q);
    else
        *queue = q;
    return status;
}

void serve_queue_close(serve_queue *q)
{
    lock(q);
    q->closed = true;
    for (serve_job *job = q->first; job; job = job->next)
        if (is_queued(job) && !job->held && !job->done) end_job(job, SERVE_TURNED_AWAY);
    tell(q);
    unlock(q);
}

void serve_queue_abort(serve_queue *q)
{
    lock(q);
    for (serve_job *job = q->first; job; job = job->next) cancel_job(job);
    unlock(q);
}

void serve_queue_destroy(serve_queue *q)
{
    if (!q) return;
    (void)pthread_join(q->loader, NULL);
    (void)pthread_join(q->worker, NULL);
    clear(q);
}

/* ---- for the thread of a request ---- */

/* Of a job that is in no list. */
static void free_job(serve_job *job)
{
    for (size_t i = 0; i < job->pictures; i++) nn_encrypted_destroy(job->picture[i]);
    free(job->picture);
    ckks_writer_destroy(job->writer);
    if (job->stream) (void)fclose(job->stream);
    free(job->results);
    serve_network_release(job->network);
    free(job);
}

serve_job *serve_job_create(serve_queue *q, serve_network *network, const char *owner,
                            const char *request)
{
    serve_job *job = calloc(1, sizeof *job);
    if (!job) return NULL;
    job->queue = q;
    job->network = serve_network_retain(network);
    snprintf(job->owner, sizeof job->owner, "%s", owner);
    snprintf(job->request, sizeof job->request, "%s", request);
    job->stream = open_memstream(&job->results, &job->length);
    if (!job->stream || ckks_writer_create(&job->writer, job->stream, "the results") != FHOLA_OK) {
        free_job(job);
        return NULL;
    }
    lock(q);
    serve_job **end = &q->first;
    while (*end) end = &(*end)->next;
    *end = job;
    unlock(q);
    return job;
}

serve_admission serve_job_reserve(serve_job *job)
{
    serve_queue *q = job->queue;
    size_t own = 1;
    lock(q);
    for (const serve_job *other = q->first; other; other = other->next)
        if (strcmp(other->owner, job->owner) == 0) own += other->reserved;
    serve_admission admission = q->closed                 ? SERVE_CLOSED
                                : q->reserved >= q->most  ? SERVE_QUEUE_FULL
                                : own > (q->most + 1) / 2 ? SERVE_QUEUE_FULL
                                                          : SERVE_ADMITTED;
    if (admission == SERVE_ADMITTED && !serve_rates_take(&q->rates, job->owner, nn_cmd_now()))
        admission = SERVE_TOO_FAST;
    if (admission == SERVE_ADMITTED) {
        job->reserved++;
        q->reserved++;
    }
    unlock(q);
    return admission;
}

double serve_job_hold_off(serve_job *job)
{
    serve_queue *q = job->queue;
    lock(q);
    double seconds = serve_rates_wait(&q->rates, job->owner, nn_cmd_now());
    unlock(q);
    return seconds;
}

fhola_status serve_job_add(serve_job *job, ckks_ciphertext **picture)
{
    ckks_ciphertext ***more = realloc(job->picture, (job->pictures + 1) * sizeof *more);
    if (!more) {
        nn_encrypted_destroy(picture);
        return fhola_fail(FHOLA_NOMEM, "no memory for %zu pictures", job->pictures + 1);
    }
    job->picture = more;
    more[job->pictures++] = picture;
    return FHOLA_OK;
}

size_t serve_job_pictures(const serve_job *job)
{
    return job->pictures;
}

serve_admission serve_queue_add(serve_job *job, uint64_t id)
{
    serve_queue *q = job->queue;
    lock(q);
    serve_admission admission = q->closed                               ? SERVE_CLOSED
                                : find_job(q, job->owner, job->request) ? SERVE_SAME_ID
                                                                        : SERVE_ADMITTED;
    if (admission == SERVE_ADMITTED) {
        job->id = id;
        job->stage = SERVE_WAITING;
        tell(q);
    }
    unlock(q);
    return admission;
}

serve_stage serve_job_wait(serve_job *job, unsigned milliseconds)
{
    serve_queue *q = job->queue;
    struct timespec end = from_now(milliseconds);
    lock(q);
    while (is_queued(job) && pthread_cond_timedwait(&q->changed, &q->mutex, &end) != ETIMEDOUT) {
    }
    serve_stage stage = job->stage;
    unlock(q);
    return stage;
}

void serve_job_cancel(serve_job *job)
{
    lock(job->queue);
    cancel_job(job);
    unlock(job->queue);
}

const char *serve_job_results(const serve_job *job, size_t *length)
{
    *length = job->length;
    return job->results;
}

fhola_status serve_job_error(const serve_job *job, const char **detail)
{
    *detail = job->detail;
    return job->status;
}

static void leave(serve_job *job)
{
    serve_queue *q = job->queue;
    lock(q);
    cancel_job(job);
    while (is_queued(job)) (void)pthread_cond_wait(&q->changed, &q->mutex);
    serve_job **at = &q->first;
    while (*at != job) at = &(*at)->next;
    *at = job->next;
    q->reserved -= job->reserved;
    unlock(q);
}

void serve_job_destroy(serve_job *job)
{
    if (!job) return;
    leave(job);
    free_job(job);
}

/* ---- for others ---- */

bool serve_queue_cancel(serve_queue *q, const char *owner, const char *request)
{
    lock(q);
    serve_job *job = find_job(q, owner, request);
    if (job) cancel_job(job);
    unlock(q);
    return job != NULL;
}

static size_t left_of(const serve_job *job)
{
    return is_queued(job) ? job->pictures - job->done : 0;
}

/* An owner's pictures, up to a job of his (NULL: all). */
static size_t pictures_of(const serve_queue *q, const char *owner, const serve_job *end)
{
    size_t count = 0;
    for (const serve_job *job = q->first; job && job != end; job = job->next)
        if (strcmp(job->owner, owner) == 0) count += left_of(job);
    return count;
}

static bool is_first_of_owner(const serve_queue *q, const serve_job *job)
{
    const serve_job *other = q->first;
    while (strcmp(other->owner, job->owner) != 0) other = other->next;
    return other == job;
}

/* Before the owner's picture k (from 0), every other owner has k + 1, or all of his. */
static size_t place_of(const serve_queue *q, const serve_job *job)
{
    size_t own = pictures_of(q, job->owner, job), place = own;
    for (const serve_job *other = q->first; other; other = other->next) {
        if (strcmp(other->owner, job->owner) == 0 || !is_first_of_owner(q, other)) continue;
        size_t all = pictures_of(q, other->owner, NULL);
        place += all < own + 1 ? all : own + 1;
    }
    return place;
}

static serve_progress progress_of(const serve_queue *q, const serve_job *job)
{
    const nn_network *network = nn_server_network(job->network->server);
    double elapsed = nn_cmd_now() - job->start;
    return (serve_progress){
        .stage = job->stage,
        .place = job->stage == SERVE_WAITING ? place_of(q, job) : 0,
        .picture = job->done + 1,
        .pictures = job->pictures,
        .layer = job->layer,
        .layers = nn_network_layers(network) + 1,
        .step = job->step,
        .share = job->share,
        .remaining = job->share > 0 ? elapsed * (1 - job->share) / job->share : -1,
    };
}

bool serve_queue_look(serve_queue *q, const char *owner, const char *request,
                      serve_progress *progress, unsigned milliseconds)
{
    struct timespec end = from_now(milliseconds);
    lock(q);
    if (milliseconds && find_job(q, owner, request))
        (void)pthread_cond_timedwait(&q->changed, &q->mutex, &end);
    const serve_job *job = find_job(q, owner, request);
    if (job) *progress = progress_of(q, job);
    unlock(q);
    return job != NULL;
}

serve_queue_figures serve_queue_count(serve_queue *q)
{
    lock(q);
    serve_queue_figures figures = q->figures;
    for (const serve_job *job = q->first; job; job = job->next) figures.requests += is_queued(job);
    figures.pictures = q->reserved;
    figures.closed = q->closed;
    unlock(q);
    return figures;
}
