/* SPDX-License-Identifier: Apache-2.0 */
/* Which of a server's networks it is, and the client file of that one. */
#define _POSIX_C_SOURCE 200809L
#include <stdlib.h>
#include <string.h>

#include "nn/cmd/remote/json.h"
#include "nn/cmd/remote/session.h"
#include "nn/cmd/stream.h"

/* A client file has 5 KB, or a few more for a thousand classes. */
#define MOST_CLIENT (4u << 20)
#define MOST_LIST   (256u << 10)
#define NAME_ROOM   65u

/* Whatever passes is tried again. */
static fhola_status get(const remote_session *s, const char *path, size_t most, remote_reply *reply)
{
    unsigned tries = 0;
    fhola_status status;
    const remote_request r = {.method = "GET", .path = path, .most = most};
    do {
        remote_reply_clear(reply);
        status = remote_http_send(s->http, &r, reply);
    } while (status == FHOLA_OK && remote_is_passing(reply) &&
             remote_try_again(&tries, reply->retry));
    return nn_cmd_interrupted() ? fhola_fail(FHOLA_CANCELLED, "interrupted") : status;
}

/* ---- names ---- */

/* False: there is no network of that number, or the server calls it what no network is called. */
static bool name_of(char name[NAME_ROOM], const char *list, size_t index)
{
    static const char good[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";
    const char *item = remote_json_item(list, "networks", index);
    return remote_json_text(item, "name", name, NAME_ROOM) && *name && *name != '.' &&
           !name[strspn(name, good)];
}

static bool has_network(const char *list, const char *wanted)
{
    char name[NAME_ROOM];
    for (size_t i = 0; name_of(name, list, i); i++)
        if (strcmp(name, wanted) == 0) return true;
    return false;
}

/* Fails with the names. */
static fhola_status tell_names(const remote_session *s, const char *list)
{
    const char *wanted = s->options->network, *url = remote_http_url(s->http);
    char *names = NULL, name[NAME_ROOM];
    size_t length;
    FILE *out = open_memstream(&names, &length);
    for (size_t i = 0; out && name_of(name, list, i); i++)
        fprintf(out, "%s%s", i ? ", " : "", name);
    fhola_status status;
    if (!out || fclose(out) != 0)
        status = fhola_fail(FHOLA_NOMEM, "no memory for the names of networks");
    else if (wanted)
        status = fhola_fail(FHOLA_PARAM, "%s has no network '%s', but %s", url, wanted, names);
    else
        status =
            fhola_fail(FHOLA_PARAM, "%s has several: %s; --network NAME says which", url, names);
    free(names);
    return status;
}

/* The network that was asked for, or else the only one. */
static fhola_status choose(remote_session *s, const char *list)
{
    const char *wanted = s->options->network;
    char first[NAME_ROOM], second[NAME_ROOM];
    if (!name_of(first, list, 0))
        return fhola_fail(FHOLA_FORMAT, "%s%s: no list of networks came", remote_http_url(s->http),
                          REMOTE_NETWORKS);
    if (wanted ? !has_network(list, wanted) : name_of(second, list, 1)) return tell_names(s, list);
    snprintf(s->network, sizeof s->network, REMOTE_NETWORKS "/%s", wanted ? wanted : first);
    return FHOLA_OK;
}

/* A server that has no such list, or a proxy before it, has one network. */
static fhola_status find_network(remote_session *s)
{
    remote_reply reply = {.code = 0};
    fhola_status status = get(s, REMOTE_NETWORKS, MOST_LIST, &reply);
    if (status == FHOLA_OK && reply.code == 404 && !s->options->network)
        snprintf(s->network, sizeof s->network, "/v1");
    else if (status == FHOLA_OK && reply.code != 200)
        status = remote_http_refused(s->http, REMOTE_NETWORKS, &reply);
    else if (status == FHOLA_OK)
        status = choose(s, reply.body);
    remote_reply_clear(&reply);
    return status;
}

/* ---- its client file ---- */

static fhola_status read_client(nn_owner **owner, const remote_reply *reply, const char *name)
{
    ckks_reader *reader = NULL;
    FILE *stream = reply->length ? fmemopen(reply->body, reply->length, "rb") : NULL;
    if (!stream) return fhola_fail(FHOLA_FORMAT, "%s: no client file came", name);
    fhola_status status = ckks_reader_create(&reader, stream, name);
    if (status == FHOLA_OK) status = nn_owner_read_client(owner, reader);
    ckks_reader_destroy(reader);
    (void)fclose(stream);
    return status;
}

fhola_status remote_fetch_client(remote_session *s)
{
    char path[REMOTE_PATH_ROOM], name[NN_CMD_PATH_ROOM];
    remote_reply reply = {.code = 0};
    nn_cmd_progress_at("network", 0, 1, "asking the server");
    FHOLA_TRY(find_network(s));
    snprintf(path, sizeof path, "%s/network", s->network);
    fhola_status status = get(s, path, MOST_CLIENT, &reply);
    if (status == FHOLA_OK && reply.code != 200)
        status = remote_http_refused(s->http, path, &reply);
    snprintf(name, sizeof name, "%s%s", remote_http_url(s->http), path);
    if (status == FHOLA_OK) status = read_client(&s->owner, &reply, name);
    remote_reply_clear(&reply);
    return status;
}
