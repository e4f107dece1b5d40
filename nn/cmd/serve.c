/* SPDX-License-Identifier: Apache-2.0 */
/* fhola serve: compiled networks for many clients over HTTP. */
#include <math.h>

#include "nn/cmd/serve/serve.h"

#include "nn/cmd/cmd.h"

static const nn_cmd_option options[] = {
    NN_CMD_TEXT("keys", 'k', "DIRECTORY", serve_options, keys,
                "folder of the clients' evaluation keys; made if it is not there"),
    NN_CMD_TEXT("listen", 'l', "ADDRESS:PORT", serve_options, listen,
                "where to listen (default 127.0.0.1:8080; port 0: any that is free)"),
    NN_CMD_TEXT("tokens", 0, "FILE", serve_options, tokens,
                "who may use it: a name and a token a line (default: everybody, with\na secret "
                "that comes with the first keys)"),
    NN_CMD_TEXT("tls-cert", 0, "FILE", serve_options, certificate, "certificate (PEM) for HTTPS"),
    NN_CMD_TEXT("tls-key", 0, "FILE", serve_options, key, "and its key"),
    NN_CMD_TEXT("web", 0, "DIRECTORY", serve_options, web,
                "the page for browsers (default: the one that is installed, if it is;\nnone: no "
                "page)"),
    NN_CMD_SANITIZE(serve_options, sanitize, error),
    NN_CMD_THREADS,
    NN_CMD_MEMORY(serve_options, memory),
    NN_CMD_NUMBER("cache", 0, "GIB", serve_options, cache, 0, 1e6,
                  "of it, for keys beside those in use (default: a quarter, at most 2)"),
    NN_CMD_NUMBER("disk", 0, "GIB", serve_options, disk, 0, 1e9,
                  "for all keys in DIRECTORY (default: what the disk has)"),
    NN_CMD_NUMBER("client-disk", 0, "GIB", serve_options, client_disk, 0, 1e9,
                  "for the keys of one client (default 1; 0: no limit)"),
    NN_CMD_NUMBER("expire-keys", 0, "DAYS", serve_options, expire, 0, 1e5,
                  "remove keys that were not used for so long (default: never)"),
    NN_CMD_WHOLE("queue", 0, "N", serve_options, queue, 1, 1e6,
                 "encrypted pictures in memory; a client has at most half of them\n(default 64)"),
    NN_CMD_NUMBER("request", 0, "MIB", serve_options, request, 0.001, 4096,
                  "size of one request for inference (default 16)"),
    NN_CMD_NUMBER("rate", 0, "N", serve_options, rate, 0, 1e6,
                  "encrypted pictures a minute of one client (default, and 0: no limit)"),
    NN_CMD_WHOLE("address-connections", 0, "N", serve_options, of_address, 0, 10000,
                 "connections of one address at once (default, and 0: no limit)"),
    NN_CMD_WHOLE("connections", 0, "N", serve_options, connections, 1, 10000,
                 "connections at once (default 64)"),
    NN_CMD_WHOLE("timeout", 0, "SECONDS", serve_options, timeout, 1, 3600,
                 "how long a client may be silent (default 30)"),
    NN_CMD_END,
};

/* What options there are together; false after a message. */
static bool fits(const serve_options *o)
{
    if (!o->keys) {
        nn_cmd_wrong_use("serve", "--keys DIRECTORY is missing: where the clients' keys go");
        return false;
    }
    if (!o->certificate != !o->key) {
        nn_cmd_wrong_use("serve", "--tls-cert and --tls-key go together");
        return false;
    }
    return true;
}

static int serve(const serve_options *o, char *const networks[], size_t count)
{
#ifdef HAVE_MICROHTTPD
    nn_cmd_progress_style("none");
    return nn_cmd_finish("serve", serve_run(o, networks, count));
#else
    (void)o;
    (void)networks;
    (void)count;
    return nn_cmd_finish("serve",
                         fhola_fail(FHOLA_PARAM, "this program was built without libmicrohttpd"));
#endif
}

static int run(int argc, char **argv)
{
    serve_options o = {.listen = "127.0.0.1:8080",
                       .cache = (double)NAN,
                       .sanitize = (double)NAN,
                       .error = NN_CMD_ERROR,
                       .client_disk = 1,
                       .queue = 64,
                       .request = 16,
                       .connections = 64,
                       .timeout = 30};
    if (!nn_cmd_parse(&nn_cmd_serve, &o, &argc, argv) || !fits(&o)) return NN_CMD_WRONG_USE;
    return serve(&o, argv + 1, (size_t)argc - 1);
}

const nn_cmd_command nn_cmd_serve = {
    .name = "serve",
    .run = run,
    .usage = "[NAME=]FILE.fhola... --keys DIRECTORY",
    .purpose = "run compiled networks for many clients, over HTTP",
    .options = options,
    .least = 1,
    .most = NN_CMD_ANY,
    .operands = "at least one compiled network",
    .notes =
        "The name of a bundled model will do in place of FILE.fhola. Clients know a network by "
        "NAME,\nor by the name of its file; those who name none have the first one.\n"
        "SIGHUP exchanges networks whose files have changed, tokens and certificate. "
        "SIGTERM ends it when the answers that were begun are sent.",
    .examples = "fhola serve resnet20.fhola --keys clients\n"
                "fhola serve resnet20 --keys clients --tokens tokens.txt --listen 127.0.0.1:8081",
};
