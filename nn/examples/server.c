/* SPDX-License-Identifier: Apache-2.0 */
/* Encrypted pictures in, encrypted scores out, a thread for every client. Holds no secret key.
 *     cc -o server server.c $(pkg-config --cflags --libs fhola) -pthread
 *     ./server resnet20.fhola eval.keys 7000 */
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
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER; /* one picture after the other */

/* Computes in memory, so that no client is waited for in its turn; then sends the scores. */
static fhola_status answer(ckks_ciphertext *const picture[], FILE *to)
{
    char *scores = NULL;
    size_t length = 0;
    FILE *memory = open_memstream(&scores, &length);
    ckks_writer *out = NULL;
    fhola_status status = ckks_writer_create(&out, memory, "memory");
    pthread_mutex_lock(&turn);
    if (status == FHOLA_OK) status = nn_server_answer(server, out, picture, NULL);
    pthread_mutex_unlock(&turn);
    ckks_writer_destroy(out);
    int complete = memory && fclose(memory) == 0;
    if (status == FHOLA_OK && (!complete || fwrite(scores, 1, length, to) < length || fflush(to)))
        status = fhola_fail(FHOLA_IO, "its scores cannot be sent");
    free(scores);
    return status;
}

/* The thread of a client: picture by picture, until it has no more. */
static void *serve(void *connection)
{
    FILE *from = connection, *to = fdopen(dup(fileno(from)), "wb");
    ckks_reader *in = NULL;
    fhola_status status = ckks_reader_create(&in, to ? from : NULL, "client");
    for (int more = 1; status == FHOLA_OK && more;) {
        ckks_ciphertext **picture = NULL;
        status = nn_server_receive(server, &picture, in, &more);
        if (status == FHOLA_OK && more) status = answer(picture, to);
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
    fhola_status status = argc == 4 ? nn_server_open(&server, argv[1]) : FHOLA_PARAM;
    if (status == FHOLA_OK) status = nn_server_load_keys(server, argv[2], NULL, NULL);
    if (status == FHOLA_OK) status = nn_server_prepare(server);
    if (status != FHOLA_OK)
        return fprintf(stderr, "server NETWORK.fhola EVAL.KEYS PORT: %s\n", fhola_detail()), 1;
    struct sockaddr_in local = {AF_INET, htons(atoi(argv[3])), {htonl(INADDR_LOOPBACK)}, {0}};
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
        if (from && pthread_create(&thread, NULL, serve, from) == 0) pthread_detach(thread);
    }
}
