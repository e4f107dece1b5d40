/* SPDX-License-Identifier: Apache-2.0 */
/* Packed residues, of which keys and encoded plaintexts are made: words of as many bytes as the
 * modulus has, 4 to 7, lowest byte first, one behind the other. Inner products with keys run at the
 * speed of memory, so bytes that are always 0 would cost time. */
#ifndef CKKS_PACKED_H
#define CKKS_PACKED_H

#include <stddef.h>
#include <stdint.h>

/* Bytes of a packed residue modulo a number of that many bits, at most 50. */
static inline unsigned ckks_packed_width(unsigned bits)
{
    return bits <= 32 ? 4 : (bits + 7) / 8;
}

static inline uint64_t ckks_packed_get(const void *words, unsigned width, size_t i)
{
    const unsigned char *in = (const unsigned char *)words + i * width;
    uint64_t x =
        (uint64_t)in[0] | (uint64_t)in[1] << 8 | (uint64_t)in[2] << 16 | (uint64_t)in[3] << 24;
    if (width > 4) x |= (uint64_t)in[4] << 32;
    if (width > 5) x |= (uint64_t)in[5] << 40;
    if (width > 6) x |= (uint64_t)in[6] << 48;
    return x;
}

static inline void ckks_packed_put(void *words, unsigned width, size_t i, uint64_t x)
{
    unsigned char *out = (unsigned char *)words + i * width;
    out[0] = (unsigned char)x;
    out[1] = (unsigned char)(x >> 8);
    out[2] = (unsigned char)(x >> 16);
    out[3] = (unsigned char)(x >> 24);
    if (width > 4) out[4] = (unsigned char)(x >> 32);
    if (width > 5) out[5] = (unsigned char)(x >> 40);
    if (width > 6) out[6] = (unsigned char)(x >> 48);
}

#endif
