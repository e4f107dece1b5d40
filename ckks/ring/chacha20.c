/* SPDX-License-Identifier: Apache-2.0 */
/* ChaCha20, several blocks at a time. A vector holds the same state word of neighbouring blocks,
 * one block a lane, so a quarter round is the one of RFC 8439 with vectors in place of words. The
 * same code is compiled for 4, 8 and 16 lanes; the widest the processor has is used. The bytes are
 * the same for each. */
#include "ckks/ring/chacha20.h"

#include <string.h>

#define STREAM_BYTES CKKS_CHACHA20_AHEAD

static uint32_t load32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
           (uint32_t)bytes[3] << 24;
}

static inline void store32(uint8_t *bytes, uint32_t word)
{
    bytes[0] = (uint8_t)word;
    bytes[1] = (uint8_t)(word >> 8);
    bytes[2] = (uint8_t)(word >> 16);
    bytes[3] = (uint8_t)(word >> 24);
}

#define ROTATE_LEFT(x, bits) ((x) << (bits) | (x) >> (32 - (bits)))

/* RFC 8439 section 2.1 */
#define QUARTER_ROUND(a, b, c, d)                                                                  \
    do {                                                                                           \
        a += b;                                                                                    \
        d ^= a;                                                                                    \
        d = ROTATE_LEFT(d, 16);                                                                    \
        c += d;                                                                                    \
        b ^= c;                                                                                    \
        b = ROTATE_LEFT(b, 12);                                                                    \
        a += b;                                                                                    \
        d ^= a;                                                                                    \
        d = ROTATE_LEFT(d, 8);                                                                     \
        c += d;                                                                                    \
        b ^= c;                                                                                    \
        b = ROTATE_LEFT(b, 7);                                                                     \
    } while (0)

/* Defines `name`, which writes the next STREAM_BYTES of the key stream, `lanes` blocks at a time,
 * and advances the count in `input`. A carry out of the count (word 12) goes into word 13. The key
 * may be secret: the arrays are erased. */
#define DEFINE_CORE(name, type, lanes, attribute)                                                  \
    attribute static void name(uint32_t input[16], uint8_t *out)                                   \
    {                                                                                              \
        uint32_t words[16][lanes];                                                                 \
        type start[16], x[16];                                                                     \
        for (uint8_t *end = out + STREAM_BYTES; out != end; out += 64 * (lanes)) {                 \
            for (unsigned word = 0; word < 16; word++)                                             \
                for (uint32_t lane = 0; lane < (lanes); lane++) words[word][lane] = input[word];   \
            for (uint32_t lane = 0; lane < (lanes); lane++) {                                      \
                words[12][lane] += lane;                                                           \
                words[13][lane] += words[12][lane] < lane;                                         \
            }                                                                                      \
            memcpy(start, words, sizeof start);                                                    \
            memcpy(x, words, sizeof x);                                                            \
            for (unsigned round = 0; round < 20; round += 2) {                                     \
                QUARTER_ROUND(x[0], x[4], x[8], x[12]);                                            \
                QUARTER_ROUND(x[1], x[5], x[9], x[13]);                                            \
                QUARTER_ROUND(x[2], x[6], x[10], x[14]);                                           \
                QUARTER_ROUND(x[3], x[7], x[11], x[15]);                                           \
                QUARTER_ROUND(x[0], x[5], x[10], x[15]);                                           \
                QUARTER_ROUND(x[1], x[6], x[11], x[12]);                                           \
                QUARTER_ROUND(x[2], x[7], x[8], x[13]);                                            \
                QUARTER_ROUND(x[3], x[4], x[9], x[14]);                                            \
            }                                                                                      \
            for (unsigned word = 0; word < 16; word++) x[word] += start[word];                     \
            memcpy(words, x, sizeof words);                                                        \
            for (unsigned lane = 0; lane < (lanes); lane++)                                        \
                for (unsigned word = 0; word < 16; word++)                                         \
                    store32(out + 64 * lane + 4 * word, words[word][lane]);                        \
            input[12] += (lanes);                                                                  \
            input[13] += input[12] < (lanes);                                                      \
        }                                                                                          \
        ckks_wipe(words, sizeof words);                                                            \
        ckks_wipe(start, sizeof start);                                                            \
        ckks_wipe(x, sizeof x);                                                                    \
    }

#if defined(__GNUC__)
typedef uint32_t vector_4 __attribute__((vector_size(16)));
DEFINE_CORE(core_portable, vector_4, 4u, )
#else
DEFINE_CORE(core_portable, uint32_t, 1u, )
#endif

#if defined(__GNUC__) && defined(__x86_64__)
typedef uint32_t vector_8 __attribute__((vector_size(32)));
typedef uint32_t vector_16 __attribute__((vector_size(64)));
DEFINE_CORE(core_avx2, vector_8, 8u, __attribute__((target("avx2"))))
DEFINE_CORE(core_avx512, vector_16, 16u, __attribute__((target("avx512f,avx512bw,avx512vl"))))
#endif

unsigned ckks_chacha20_cores(ckks_chacha20_core *cores)
{
    unsigned count = 0;
    cores[count++] = core_portable;
#if defined(__GNUC__) && defined(__x86_64__)
    /* These checks include whether the operating system saves the wide registers. */
    if (__builtin_cpu_supports("avx2")) cores[count++] = core_avx2;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl"))
        cores[count++] = core_avx512;
#endif
    return count;
}

void ckks_chacha20_init(ckks_chacha20 *state, const uint8_t key[CKKS_CHACHA20_KEY_BYTES],
                        const uint8_t nonce[CKKS_CHACHA20_NONCE_BYTES], uint32_t counter)
{
    static const uint8_t constant[16] = {'e', 'x', 'p', 'a', 'n', 'd', ' ', '3',
                                         '2', '-', 'b', 'y', 't', 'e', ' ', 'k'};
    for (unsigned i = 0; i < 4; i++) state->input[i] = load32(constant + 4u * i);
    for (unsigned i = 0; i < 8; i++) state->input[4 + i] = load32(key + 4u * i);
    state->input[12] = counter;
    for (unsigned i = 0; i < 3; i++) state->input[13 + i] = load32(nonce + 4u * i);
    memset(state->stream, 0, sizeof state->stream);
    state->used = STREAM_BYTES;
}

/* Hands out at most `len` of the bytes computed ahead; returns how many. */
static size_t take_ahead(ckks_chacha20 *state, uint8_t *out, size_t len)
{
    size_t take = STREAM_BYTES - state->used;
    if (take > len) take = len;
    memcpy(out, state->stream + state->used, take);
    memset(state->stream + state->used, 0, take);
    state->used += take;
    return take;
}

void ckks_chacha20_bytes(ckks_chacha20 *state, void *out, size_t len)
{
    uint8_t *bytes = out;
    if (len == 0) return;
    size_t done = take_ahead(state, bytes, len);
    if (done == len) return;
    ckks_chacha20_core cores[CKKS_CHACHA20_MAX_CORES];
    ckks_chacha20_core next_blocks = cores[ckks_chacha20_cores(cores) - 1];
    for (; len - done >= STREAM_BYTES; done += STREAM_BYTES)
        next_blocks(state->input, bytes + done);
    if (done < len) {
        next_blocks(state->input, state->stream);
        state->used = 0;
        take_ahead(state, bytes + done, len - done);
    }
}

void ckks_chacha20_wipe(ckks_chacha20 *state)
{
    ckks_wipe(state, sizeof *state);
}
