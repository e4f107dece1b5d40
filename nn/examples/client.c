/* SPDX-License-Identifier: Apache-2.0 */
/* A client of server.c: encrypts pictures, sends them, decrypts the scores that come back.
 *
 *     cc -o client client.c $(pkg-config --cflags --libs fhola)
 *     ./client keys resnet20.client       makes secret.key, to stay here, and eval.keys to send
 *     ./client ask 7000 cat.ppm ship.ppm */
#define _POSIX_C_SOURCE 200809L
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fhola/ckks.h>
#include <fhola/nn.h>

/* Comes again for two minutes: a server that was started just now is still reading keys. */
static int connect_to(const char *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((unsigned short)atoi(port))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (int second = 0;; second++) {
        int connection = socket(AF_INET, SOCK_STREAM, 0);
        if (connection >= 0 &&
            connect(connection, (struct sockaddr *)&address, sizeof address) == 0)
            return connection;
        if (connection < 0 || errno != ECONNREFUSED || second == 120) {
            perror("cannot connect");
            exit(1);
        }
        close(connection);
        sleep(1);
    }
}

/* Sends a picture, waits for its scores, and prints the best class. */
static fhola_status ask(nn_owner *owner, ckks_writer *out, ckks_reader *in, const char *picture)
{
    const nn_client *network = nn_owner_client(owner);
    nn_shape shape = nn_client_shape(network);
    size_t pixels = (size_t)shape.channels * shape.height * shape.width;
    size_t best = 0, classes = nn_client_classes(network);
    double *score = calloc(classes + pixels, sizeof *score); /* the pixels behind them */
    int more = 0;
    fhola_status status = score ? nn_picture_read(score + classes, shape, picture) : FHOLA_NOMEM;
    if (status == FHOLA_OK) status = nn_owner_encrypt(owner, out, score + classes);
    if (status == FHOLA_OK) status = ckks_writer_commit(out);
    if (status == FHOLA_OK) status = nn_owner_decrypt(owner, score, in, &more);
    for (size_t i = 1; i < classes && more; i++)
        if (score[i] > score[best]) best = i;
    if (status == FHOLA_OK)
        printf("%s: %s\n", picture, more ? nn_client_class(network, best) : "no answer");
    free(score);
    return status;
}

int main(int argc, char **argv)
{
    nn_owner *owner = NULL;
    ckks_writer *out = NULL;
    ckks_reader *in = NULL;
    fhola_status status;
    if (argc == 3 && strcmp(argv[1], "keys") == 0) {
        status = nn_owner_open_client(&owner, argv[2]);
        if (status == FHOLA_OK)
            status = nn_owner_generate(owner, "secret.key", "eval.keys", NULL, NULL);
    } else if (argc > 3 && strcmp(argv[1], "ask") == 0) {
        int connection = connect_to(argv[2]);
        status = nn_owner_open_secret(&owner, "secret.key");
        if (status == FHOLA_OK)
            status = ckks_writer_create(&out, fdopen(connection, "wb"), "server");
        if (status == FHOLA_OK)
            status = ckks_reader_create(&in, fdopen(dup(connection), "rb"), "server");
        for (int i = 3; i < argc && status == FHOLA_OK; i++) status = ask(owner, out, in, argv[i]);
    } else {
        fprintf(stderr, "usage: client keys NETWORK.client | client ask PORT PICTURE.ppm ...\n");
        return 1;
    }
    if (status != FHOLA_OK) fprintf(stderr, "%s: %s\n", fhola_strerror(status), fhola_detail());
    ckks_reader_destroy(in);
    ckks_writer_destroy(out);
    nn_owner_destroy(owner); /* wipes the secret key */
    return status != FHOLA_OK;
}
