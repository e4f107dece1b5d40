/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "nn/cmd/serve/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static fhola_status malformed(const char *text)
{
    return fhola_fail(FHOLA_PARAM,
                      "'%s' is no ADDRESS:PORT: an address in numbers, in brackets for IPv6, and a "
                      "port from 0 to 65535",
                      text);
}

static fhola_status resolve(struct addrinfo **found, const char *text)
{
    char address[SERVE_ADDRESS_ROOM];
    const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
                                   .ai_socktype = SOCK_STREAM};
    const char *colon = strrchr(text, ':'), *begin = text;
    if (!colon || colon == text) return malformed(text);
    size_t length = (size_t)(colon - text), digits = strlen(colon + 1);
    if (digits < 1 || digits > 5 || strspn(colon + 1, "0123456789") != digits ||
        strtoul(colon + 1, NULL, 10) > 65535)
        return malformed(text);
    if (*begin == '[' && length > 2 && colon[-1] == ']') {
        begin++;
        length -= 2;
    } else if (memchr(text, ':', length)) {
        return malformed(text);
    }
    if (length >= sizeof address) return malformed(text);
    memcpy(address, begin, length);
    address[length] = 0;
    return getaddrinfo(address, colon + 1, &hints, found) == 0 ? FHOLA_OK : malformed(text);
}

static int open_socket(const struct addrinfo *at)
{
    const int on = 1;
    int s = socket(at->ai_family, SOCK_STREAM, 0);
    if (s < 0) return -1;
    (void)fcntl(s, F_SETFD, FD_CLOEXEC);
    /* so that a server can start where one has just ended */
    (void)setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(s, at->ai_addr, at->ai_addrlen) == 0) return s;
    int code = errno;
    (void)close(s);
    errno = code;
    return -1;
}

static fhola_status name_of(int s, char actual[SERVE_ADDRESS_ROOM])
{
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    char host[40], port[8];
    if (getsockname(s, (struct sockaddr *)(void *)&address, &length) != 0 ||
        getnameinfo((const struct sockaddr *)(const void *)&address, length, host, sizeof host,
                    port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return fhola_fail(FHOLA_IO, "the address of the socket is not known");
    snprintf(actual, SERVE_ADDRESS_ROOM, address.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host,
             port);
    return FHOLA_OK;
}

fhola_status serve_bind(int *bound, char actual[SERVE_ADDRESS_ROOM], const char *text)
{
    struct addrinfo *found = NULL;
    FHOLA_TRY(resolve(&found, text));
    int s = open_socket(found);
    freeaddrinfo(found);
    if (s < 0) return fhola_fail(FHOLA_IO, "%s: %s", text, strerror(errno));
    fhola_status status = name_of(s, actual);
    if (status != FHOLA_OK)
        (void)close(s);
    else
        *bound = s;
    return status;
}
