/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes inside a container (the container itself is public, see "files" in ckks.h):
 * little-endian numbers and packed residues. Internal.
 *
 * A container, all numbers little-endian:
 *     head         40 bytes   magic (8), version u32, kind u32, parameter hash u64, key id u64,
 *                             XXH3-64 of the 32 bytes before
 *     chunk 0                 "PARM": the specification of the parameters
 *     chunk 1, 2, ...         the object
 *     last chunk              "END ", empty
 * A chunk is a head of 32 bytes and its content:
 *     tag (4 characters), number of the chunk u32, length u64, XXH3-64 of the content, XXH3-64 of
 *     the 24 bytes before
 * A stream is any number of containers, one after the other. */
#ifndef CKKS_CONTAINER_H
#define CKKS_CONTAINER_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "ckks/ckks.h"

#define CKKS_HEAD_BYTES       40u
#define CKKS_CHUNK_HEAD_BYTES 32u
#define CKKS_SPEC_BYTES       224u
#define CKKS_UNPACK_SLACK                                                                          \
    8u /* bytes readable behind the last packed residue; a reader's chunks have them */

static inline void ckks_put32(unsigned char *out, uint32_t x)
{
    for (unsigned i = 0; i < 4; i++) out[i] = (unsigned char)(x >> (8 * i));
}

static inline void ckks_put64(unsigned char *out, uint64_t x)
{
    for (unsigned i = 0; i < 8; i++) out[i] = (unsigned char)(x >> (8 * i));
}

static inline uint32_t ckks_get32(const unsigned char *in)
{
    return (uint32_t)in[0] | (uint32_t)in[1] << 8 | (uint32_t)in[2] << 16 | (uint32_t)in[3] << 24;
}

static inline uint64_t ckks_get64(const unsigned char *in)
{
    return (uint64_t)ckks_get32(in) | (uint64_t)ckks_get32(in + 4) << 32;
}

static inline void ckks_put_double(unsigned char *out, double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    ckks_put64(out, bits);
}

static inline double ckks_get_double(const unsigned char *in)
{
    uint64_t bits = ckks_get64(in);
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Bytes of n residues of `bits` bits each; n a multiple of 8. */
static inline size_t ckks_packed_bits_bytes(size_t n, unsigned bits)
{
    return n / 8 * bits;
}

/* Writes the low `bits` (at most 57) bits of each of n words, lowest bit first, without gaps:
 * packed words of `width` bytes (packed.h), or a limb, width 8. */
void ckks_pack_bits(unsigned char *out, const void *words, unsigned width, size_t n, unsigned bits);
/* The reverse; returns how many of the numbers are not below p. Reads up to CKKS_UNPACK_SLACK bytes
 * behind the last one. */
size_t ckks_unpack_bits(void *words, unsigned width, const unsigned char *in, size_t n,
                        unsigned bits, uint64_t p);

/* The content of a "PARM" chunk. */
void ckks_spec_to_bytes(unsigned char out[CKKS_SPEC_BYTES], const ckks_params_spec *spec);
void ckks_spec_from_bytes(ckks_params_spec *spec, const unsigned char in[CKKS_SPEC_BYTES]);

#endif
