/* SPDX-License-Identifier: Apache-2.0 */
/* The ChaCha20 key stream of RFC 8439. */
#ifndef CKKS_CHACHA20_H
#define CKKS_CHACHA20_H

#include <stddef.h>
#include <stdint.h>

#include "ckks/ckks.h"

#define CKKS_CHACHA20_KEY_BYTES   32u
#define CKKS_CHACHA20_NONCE_BYTES 12u
#define CKKS_CHACHA20_AHEAD       1024u /* bytes computed together: 16 blocks */

/* A position in a key stream. Copying it forks the stream: both copies continue with the same
 * bytes. */
typedef struct ckks_chacha20 {
    /* state of RFC 8439 section 2.3; word 12 counts blocks */
    uint32_t input[16];
    uint8_t stream[CKKS_CHACHA20_AHEAD]; /* bytes computed ahead */
    size_t used;                         /* how many of them have been handed out */
} ckks_chacha20;

/* Starts the key stream of a 32-byte key and a 12-byte nonce at block `counter`. */
void ckks_chacha20_init(ckks_chacha20 *state, const uint8_t key[CKKS_CHACHA20_KEY_BYTES],
                        const uint8_t nonce[CKKS_CHACHA20_NONCE_BYTES], uint32_t counter);

/* Writes the next `len` bytes of the key stream to `out`. However a length is cut into calls, the
 * bytes are the same, on every machine. After block 2^32 - 1 (256 GiB), which RFC 8439 does not go
 * beyond, the count carries into the first four bytes of the nonce, so that the stream does not
 * repeat. Handed-out bytes are erased from the state. */
void ckks_chacha20_bytes(ckks_chacha20 *state, void *out, size_t len);

/* Erases the state; it must be initialised again before any use. */
void ckks_chacha20_wipe(ckks_chacha20 *state);

/* Writes the next CKKS_CHACHA20_AHEAD bytes of the key stream of the state words `input` and
 * advances their block count. */
typedef void (*ckks_chacha20_core)(uint32_t input[16], uint8_t *out);

#define CKKS_CHACHA20_MAX_CORES 3u

/* Lists the implementations that this processor can run, the fastest last (the one in use), and
 * returns how many there are. They write the same bytes, which a test checks; `cores` has
 * CKKS_CHACHA20_MAX_CORES entries. */
unsigned ckks_chacha20_cores(ckks_chacha20_core *cores);

#endif
