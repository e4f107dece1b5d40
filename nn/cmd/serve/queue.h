/* SPDX-License-Identifier: Apache-2.0 */
/* The queue of encrypted pictures. One picture is worked on at a time, by one team of threads; the
 * keys of the next one are loaded meanwhile. Clients take turns, picture by picture, however many
 * one of them sends. A network for batches takes as many as it can of those of one key that wait,
 * of whatever requests, and waits for none. */
#ifndef NN_CMD_SERVE_QUEUE_H
#define NN_CMD_SERVE_QUEUE_H

#include <stdio.h>

#include "nn/cmd/serve/cache.h"

#define SERVE_REQUEST_ROOM 65u /* of the id that a client gives a request */

typedef struct serve_queue serve_queue;

typedef enum serve_stage {
    SERVE_ARRIVING, /* not in the queue yet */
    SERVE_WAITING,
    SERVE_RUNNING, /* a picture is worked on, or was */
    SERVE_DONE,    /* the results are complete */
    SERVE_CANCELLED,
    SERVE_TURNED_AWAY, /* the server ends */
    SERVE_BROKEN       /* by an error, which the job has */
} serve_stage;

/* The pictures of one request. Made, filled and destroyed by the thread of the request. */
typedef struct serve_job serve_job;

/* `pictures`: how many may be in memory; one owner may have half of them, and send `minute` a
 * minute (0: any number). `threads` of the team. */
FHOLA_WARN_UNUSED fhola_status serve_queue_create(serve_queue **queue, serve_cache *cache,
                                                  unsigned pictures, double minute, double threads);
/* From now on requests are turned away, and so are those of which no picture was begun. */
void serve_queue_close(serve_queue *queue);
/* After serve_queue_close: cancels the others, too. */
void serve_queue_abort(serve_queue *queue);
/* After serve_queue_close; ends the threads. There is no job any more. Accepts NULL. */
void serve_queue_destroy(serve_queue *queue);

/* ---- for the thread of a request ---- */

typedef enum serve_admission {
    SERVE_ADMITTED,
    SERVE_QUEUE_FULL,
    SERVE_TOO_FAST, /* more than the owner may send a minute */
    SERVE_SAME_ID,
    SERVE_CLOSED
} serve_admission;

/* For pictures of that network. `request` may be "". NULL: no memory. */
serve_job *serve_job_create(serve_queue *queue, serve_network *network, const char *owner,
                            const char *request);
/* Room for one more picture: to be asked for before it is read. */
serve_admission serve_job_reserve(serve_job *job);
/* After SERVE_TOO_FAST: seconds until there is room. */
double serve_job_hold_off(serve_job *job);
/* Takes the picture over, also when it fails (NOMEM). */
FHOLA_WARN_UNUSED fhola_status serve_job_add(serve_job *job, ckks_ciphertext **picture);
size_t serve_job_pictures(const serve_job *job);

/* All pictures are of the keys `id`. */
serve_admission serve_queue_add(serve_job *job, uint64_t id);
/* Waits for at most that time; the stage then. */
serve_stage serve_job_wait(serve_job *job, unsigned milliseconds);
void serve_job_cancel(serve_job *job);
/* After SERVE_DONE: bytes with all results in the order of the pictures; good until the job is
 * destroyed. */
const char *serve_job_results(const serve_job *job, size_t *length);
/* After SERVE_BROKEN. */
fhola_status serve_job_error(const serve_job *job, const char **detail);
/* Cancels it, unless it has ended, and waits until no other thread has it. Accepts NULL. */
void serve_job_destroy(serve_job *job);

/* ---- for others ---- */

/* Cancels the owner's request of that id; false: there is none. */
bool serve_queue_cancel(serve_queue *queue, const char *owner, const char *request);

typedef struct serve_progress {
    serve_stage stage;        /* WAITING or RUNNING */
    size_t place;             /* pictures in front of the next one, while it waits */
    size_t picture, pictures; /* picture 1 of `pictures` is worked on */
    size_t layer, layers;     /* from 1 */
    const char *step;         /* NULL: none yet */
    double share, remaining;  /* of the picture: done, 0 to 1; seconds, -1: not known */
} serve_progress;
/* False: the owner has no request of that id in the queue. Waits for at most that time for
 * something new to happen to it. */
bool serve_queue_look(serve_queue *queue, const char *owner, const char *request,
                      serve_progress *progress, unsigned milliseconds);

typedef struct serve_queue_figures {
    size_t requests, pictures;  /* waiting or at work; in memory */
    uint64_t answered, runs;    /* pictures; and times that a network ran */
    uint64_t cancelled, failed; /* requests */
    double seconds;             /* of inference */
    double typical;             /* seconds a picture takes; 0: not known */
    bool closed;
} serve_queue_figures;
serve_queue_figures serve_queue_count(serve_queue *queue);

#endif
