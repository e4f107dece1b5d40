/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets and the time by which their peers must have sent something. A peer that is silent is
 * found by libmicrohttpd; this is for those that send a byte now and then. */
#ifndef NN_CMD_SERVE_CONNECTIONS_H
#define NN_CMD_SERVE_CONNECTIONS_H

#include <stddef.h>

typedef struct serve_connections serve_connections;
typedef struct serve_connection serve_connection;

serve_connections *serve_connections_create(void);              /* NULL: no memory */
void serve_connections_destroy(serve_connections *connections); /* accepts NULL */
size_t serve_connections_count(serve_connections *connections);

/* NULL: no memory. */
serve_connection *serve_connection_open(serve_connections *connections, int socket,
                                        double deadline);
void serve_connection_close(serve_connections *connections, serve_connection *connection);
/* In seconds as of nn_cmd_now; 0: none. Accepts NULL. */
void serve_connection_expect(serve_connections *connections, serve_connection *connection,
                             double deadline);
/* Ends those that are late. */
void serve_connections_check(serve_connections *connections, double now);

#endif
