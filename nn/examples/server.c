/* SPDX-License-Identifier: Apache-2.0 */
/* Encrypted pictures in, encrypted scores out, for any number of clients, each with keys of its
 * own. Holds no secret key.
 *     cc -o server server.c $(pkg-config --cflags --libs fhola) -pthread
 *     ./server resnet20.fhola 7000 eval.keys others.keys */
#define _POSIX_C_SOURCE 200809L
#include <arpa/inet.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fhola/ckks.h>
#include <fhola/nn.h>

static nn_server *server;
static nn_keys **client; /* the keys of each, and NULL */
static nn_run *run;
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER; /* of the run: one picture at a time */

/* Computes in memory, so that no client is waited for in its turn; then sends the scores. */
static fhola_status answer(uint64_t id, ckks_ciphertext *const picture[], FILE *to)
{
    char *scores = NULL;
    size_t length = 0;
    nn_keys **keys = client;
    while (*keys && nn_keys_id(*keys) != id) keys++;
    if (!*keys) return fhola_fail(FHOLA_KEY, "nobody has keys for %016llx", (unsigned long long)id);
    FILE *memory = open_memstream(&scores, &length);
    ckks_writer *out = NULL;
    fhola_status status = ckks_writer_create(&out, memory, "memory");
    pthread_mutex_lock(&turn);
    if (status == FHOLA_OK) status = nn_run_answer(run, out, *keys, picture, NULL);
    pthread_mutex_unlock(&turn);
    ckks_writer_destroy(out);
    int complete = memory && fclose(memory) == 0;
    if (status == FHOLA_OK && (!complete || fwrite(scores, 1, length, to) < length || fflush(to)))
        status = fhola_fail(FHOLA_IO, "its scores cannot be sent");
    free(scores);
    return status;
}

/* The thread of a connection: picture by picture, until there are no more. */
static void *serve(void *connection)
{
    FILE *from = connection, *to = fdopen(dup(fileno(from)), "wb");
    ckks_reader *in = NULL;
    fhola_status status = ckks_reader_create(&in, to ? from : NULL, "client");
    for (int more = 1; status == FHOLA_OK && more;) {
        ckks_ciphertext **picture = NULL;
        status = nn_server_receive(server, &picture, in, &more);
        if (status == FHOLA_OK && more) status = answer(ckks_reader_head(in).key, picture, to);
        nn_encrypted_destroy(picture);
    }
    if (status != FHOLA_OK) fprintf(stderr, "a client failed: %s\n", fhola_detail());
    ckks_reader_destroy(in);
    if (to) fclose(to);
    fclose(from);
    return NULL;
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN); /* a client that hangs up is an error of the write, not the end */
    client = calloc((size_t)argc, sizeof *client);
    fhola_status status = argc > 3 && client ? nn_server_open(&server, argv[1]) : FHOLA_PARAM;
    for (int i = 3; status == FHOLA_OK && i < argc; i++)
        status = nn_keys_load(&client[i - 3], server, argv[i], NULL, NULL);
    if (status == FHOLA_OK) status = nn_server_prepare(server);
    if (status == FHOLA_OK) status = nn_run_create(&run, server);
    if (status != FHOLA_OK)
        return fprintf(stderr, "server NETWORK.fhola PORT EVAL.KEYS...: %s\n", fhola_detail()), 1;
    struct sockaddr_in local = {AF_INET, htons(atoi(argv[2])), {htonl(INADDR_LOOPBACK)}, {0}};
    socklen_t length = sizeof local;
    int listener = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(listener, (struct sockaddr *)&local, length) || listen(listener, 4) ||
        getsockname(listener, (struct sockaddr *)&local, &length))
        return perror("cannot listen"), 1;
    printf("port %d\n", ntohs(local.sin_port)); /* port 0 is any free one */
    for (fflush(stdout);;) {
        FILE *from = fdopen(accept(listener, NULL, NULL), "rb");
        pthread_t thread;
        if (from && pthread_create(&thread, NULL, serve, from) == 0)
            pthread_detach(thread);
        else if (from)
            fclose(from); /* no thread: the client may come again */
    }
}
