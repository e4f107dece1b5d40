/* SPDX-License-Identifier: Apache-2.0 */
/* A server for encrypted pictures: whoever connects sends them, and gets encrypted scores. It never
 * holds a secret key.
 *
 *     cc -o server server.c $(pkg-config --cflags --libs fhola)
 *     ./server resnet20.fhola eval.keys 7000 */
#define _POSIX_C_SOURCE 200809L
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fhola/ckks.h>
#include <fhola/nn.h>

/* A socket that waits for connections from this machine; port 0: any free one. The port is
 * printed. */
static int listen_on(const char *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((unsigned short)atoi(port))};
    socklen_t length = sizeof address;
    int yes = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    (void)setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(listener, 4) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &length) != 0) {
        perror("cannot listen");
        exit(1);
    }
    printf("port %d\n", ntohs(address.sin_port));
    fflush(stdout);
    return listener;
}

/* Answers picture by picture until the client has no more. */
static fhola_status answer(nn_server *server, int connection)
{
    FILE *from = fdopen(connection, "rb"), *to = fdopen(dup(connection), "wb");
    ckks_reader *in = NULL;
    ckks_writer *out = NULL;
    int more = 1;
    fhola_status status = from && to ? ckks_reader_create(&in, from, "client") : FHOLA_IO;
    if (status == FHOLA_OK) status = ckks_writer_create(&out, to, "client");
    while (status == FHOLA_OK && more) {
        status = nn_server_infer(server, out, in, &more, NULL);
        if (status == FHOLA_OK) status = ckks_writer_commit(out);
    }
    ckks_writer_destroy(out);
    ckks_reader_destroy(in);
    if (to) fclose(to);
    if (from) fclose(from);
    return status;
}

int main(int argc, char **argv)
{
    nn_server *server = NULL;
    if (argc != 4) {
        fprintf(stderr, "usage: server NETWORK.fhola EVAL.KEYS PORT\n");
        return 1;
    }
    signal(SIGPIPE, SIG_IGN); /* a client that hangs up is an error of the write, not the end */
    fhola_status status = nn_server_open(&server, argv[1]);
    if (status == FHOLA_OK) status = nn_server_load_keys(server, argv[2], NULL, NULL);
    if (status == FHOLA_OK) status = nn_server_prepare(server);
    if (status != FHOLA_OK) {
        fprintf(stderr, "%s: %s\n", fhola_strerror(status), fhola_detail());
        nn_server_destroy(server);
        return 1;
    }
    for (int listener = listen_on(argv[3]);;) {
        int connection = accept(listener, NULL, NULL);
        if (connection >= 0 && answer(server, connection) != FHOLA_OK)
            fprintf(stderr, "a client failed: %s\n", fhola_detail());
    }
}
