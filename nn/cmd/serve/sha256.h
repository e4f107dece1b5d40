/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256, GnuTLS's. */
#ifndef NN_CMD_SERVE_SHA256_H
#define NN_CMD_SERVE_SHA256_H

#include <stdbool.h>
#include <stddef.h>

#define SERVE_HASH_BYTES 32u
#define SERVE_HASH_HEX   65u /* of a hash in hexadecimal digits, and the end */

/* False: GnuTLS makes no hashes; the hash is zero. */
bool serve_sha256(unsigned char hash[SERVE_HASH_BYTES], const void *bytes, size_t length);

/* `length` bytes as hexadecimal digits in lower case, and the end. */
void serve_hex(char *out, const unsigned char *bytes, size_t length);

#endif
