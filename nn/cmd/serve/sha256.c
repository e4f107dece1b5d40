/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/cmd/serve/sha256.h"

#include <string.h>

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

bool serve_sha256(unsigned char hash[SERVE_HASH_BYTES], const void *bytes, size_t length)
{
    if (gnutls_hash_fast(GNUTLS_DIG_SHA256, bytes, length, hash) == 0) return true;
    memset(hash, 0, SERVE_HASH_BYTES);
    return false;
}

void serve_hex(char *out, const unsigned char *bytes, size_t length)
{
    static const char digit[] = "0123456789abcdef";
    for (size_t i = 0; i < length; i++) {
        out[2 * i] = digit[bytes[i] >> 4];
        out[2 * i + 1] = digit[bytes[i] & 15];
    }
    out[2 * length] = 0;
}
