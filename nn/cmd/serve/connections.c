/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "nn/cmd/serve/connections.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>

struct serve_connection {
    serve_connection *next;
    int socket;
    double deadline;
};

struct serve_connections {
    pthread_mutex_t mutex;
    serve_connection *first;
    size_t count;
};

serve_connections *serve_connections_create(void)
{
    serve_connections *all = calloc(1, sizeof *all);
    if (all) (void)pthread_mutex_init(&all->mutex, NULL);
    return all;
}

void serve_connections_destroy(serve_connections *all)
{
    if (!all) return;
    (void)pthread_mutex_destroy(&all->mutex);
    free(all);
}

size_t serve_connections_count(serve_connections *all)
{
    (void)pthread_mutex_lock(&all->mutex);
    size_t count = all->count;
    (void)pthread_mutex_unlock(&all->mutex);
    return count;
}

serve_connection *serve_connection_open(serve_connections *all, int socket, double deadline)
{
    serve_connection *c = malloc(sizeof *c);
    if (!c) return NULL;
    (void)pthread_mutex_lock(&all->mutex);
    *c = (serve_connection){all->first, socket, deadline};
    all->first = c;
    all->count++;
    (void)pthread_mutex_unlock(&all->mutex);
    return c;
}

void serve_connection_close(serve_connections *all, serve_connection *c)
{
    if (!c) return;
    (void)pthread_mutex_lock(&all->mutex);
    serve_connection **at = &all->first;
    while (*at != c) at = &(*at)->next;
    *at = c->next;
    all->count--;
    (void)pthread_mutex_unlock(&all->mutex);
    free(c);
}

void serve_connection_expect(serve_connections *all, serve_connection *c, double deadline)
{
    if (!c) return;
    (void)pthread_mutex_lock(&all->mutex);
    c->deadline = deadline;
    (void)pthread_mutex_unlock(&all->mutex);
}

/* The thread of the connection then finds it closed. */
void serve_connections_check(serve_connections *all, double now)
{
    (void)pthread_mutex_lock(&all->mutex);
    for (serve_connection *c = all->first; c; c = c->next)
        if (c->deadline > 0 && now > c->deadline) (void)shutdown(c->socket, SHUT_RDWR);
    (void)pthread_mutex_unlock(&all->mutex);
}
