/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "nn/cmd/mpi/helper.h"

#include <signal.h>
#include <string.h>

static void *work(void *arg)
{
    helper *h = arg;
    nn_cmd_set_threads(h->threads); /* OpenMP's number is one thread's */
    (void)pthread_mutex_lock(&h->lock);
    while (!h->leaves) {
        if (!h->task || h->done) {
            (void)pthread_cond_wait(&h->change, &h->lock);
            continue;
        }
        (void)pthread_mutex_unlock(&h->lock);
        batch_compute(h->task, h->run, h->keys, NULL);
        (void)pthread_mutex_lock(&h->lock);
        h->done = true;
    }
    (void)pthread_mutex_unlock(&h->lock);
    return NULL;
}

/* Signals are for the main thread. */
static int start_without_signals(helper *h)
{
    sigset_t all, before;
    sigfillset(&all);
    (void)pthread_sigmask(SIG_BLOCK, &all, &before);
    int failed = pthread_create(&h->thread, NULL, work, h);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed;
}

fhola_status helper_begin(helper *h, const infer_job *job)
{
    *h = (helper){.keys = job->keys, .threads = nn_cmd_threads()};
    (void)pthread_mutex_init(&h->lock, NULL);
    (void)pthread_cond_init(&h->change, NULL);
    FHOLA_TRY(infer_open_run(&h->run, job));
    int failed = start_without_signals(h);
    h->runs = failed == 0;
    return h->runs ? FHOLA_OK : fhola_fail(FHOLA_NOMEM, "no thread: %s", strerror(failed));
}

void helper_give(helper *h, batch *task)
{
    (void)pthread_mutex_lock(&h->lock);
    h->task = task;
    h->done = false;
    (void)pthread_cond_signal(&h->change);
    (void)pthread_mutex_unlock(&h->lock);
}

batch *helper_take(helper *h)
{
    (void)pthread_mutex_lock(&h->lock);
    batch *task = h->done ? h->task : NULL;
    if (task) h->task = NULL;
    h->done = false;
    (void)pthread_mutex_unlock(&h->lock);
    return task;
}

void helper_end(helper *h)
{
    if (h->runs) {
        (void)pthread_mutex_lock(&h->lock);
        h->leaves = true;
        (void)pthread_cond_signal(&h->change);
        (void)pthread_mutex_unlock(&h->lock);
        nn_run_cancel(h->run);
        (void)pthread_join(h->thread, NULL);
    }
    nn_run_destroy(h->run);
    (void)pthread_cond_destroy(&h->change);
    (void)pthread_mutex_destroy(&h->lock);
}
