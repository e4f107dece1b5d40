/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 (FIPS 180-4): what the server keeps of tokens and secrets. */
#ifndef NN_CMD_SERVE_SHA256_H
#define NN_CMD_SERVE_SHA256_H

#include <stddef.h>

#define SERVE_HASH_BYTES 32u
#define SERVE_HASH_HEX   (2 * SERVE_HASH_BYTES + 1) /* in hexadecimal digits, with the end */

void serve_sha256(unsigned char hash[SERVE_HASH_BYTES], const void *bytes, size_t length);
/* Lower-case hexadecimal digits and an end: 2 length + 1 characters. */
void serve_hex(char *out, const unsigned char *bytes, size_t length);

#endif
