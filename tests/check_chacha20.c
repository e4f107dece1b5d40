/* SPDX-License-Identifier: Apache-2.0 */
/* ChaCha20 against the vectors of RFC 8439 and against a block function written word by word. */
#include <check.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ckks/ring/chacha20.h"

#define AHEAD CKKS_CHACHA20_AHEAD

static uint64_t test_seed = 1;

static uint64_t next_random(uint64_t *state) /* splitmix64 */
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* RFC 8439 prints bytes in hexadecimal. */
static void parse_hex(uint8_t *out, size_t len, const char *text)
{
    for (size_t i = 0; i < len; i++) {
        unsigned byte = 0;
        ck_assert_int_eq(sscanf(text + 2 * i, "%2x", &byte), 1);
        out[i] = (uint8_t)byte;
    }
}

typedef struct vector {
    const char *key, *nonce;
    uint32_t counter;
    const char *message; /* NULL: zeros */
    size_t len;
    const char *expected;
} vector;

#define ZERO_KEY     "0000000000000000000000000000000000000000000000000000000000000000"
#define COUNTING_KEY "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

static const vector vectors[] = {
    /* RFC 8439 section 2.3.2 */
    {COUNTING_KEY, "000000090000004a00000000", 1, NULL, 64,
     "10f1e7e4d13b5915500fdd1fa32071c4c7d1f4c733c068030422aa9ac3d46c4e"
     "d2826446079faa0914c2d705d98b02a2b5129cd1de164eb9cbd083e8a2503c4e"},
    /* section 2.4.2 */
    {COUNTING_KEY, "000000000000004a00000000", 1,
     "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, "
     "sunscreen would be it.",
     114,
     "6e2e359a2568f98041ba0728dd0d6981e97e7aec1d4360c20a27afccfd9fae0b"
     "f91b65c5524733ab8f593dabcd62b3571639d624e65152ab8f530c359f0861d8"
     "07ca0dbf500d6a6156a38e088a22b65e52bc514d16ccf806818ce91ab7793736"
     "5af90bbf74a35be6b40b8eedf2785e42874d"},
    /* appendix A.1, vectors 1, 2, 5 */
    {ZERO_KEY, "000000000000000000000000", 0, NULL, 64,
     "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7"
     "da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586"},
    {ZERO_KEY, "000000000000000000000000", 1, NULL, 64,
     "9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed"
     "29b721769ce64e43d57133b074d839d531ed1f28510afb45ace10a1f4b794d6f"},
    {ZERO_KEY, "000000000000000000000002", 0, NULL, 64,
     "c2c64d378cd536374ae204b9ef933fcd1a8b2288b3dfa49672ab765b54ee27c7"
     "8a970e0e955c14f3a88e741b97c286f75f8fc299e8148362fa198a39531bed6d"},
};

START_TEST(test_rfc_vectors)
{
    const vector *v = &vectors[_i];
    uint8_t key[32], nonce[12], expected[128], got[128];
    parse_hex(key, sizeof key, v->key);
    parse_hex(nonce, sizeof nonce, v->nonce);
    parse_hex(expected, v->len, v->expected);
    ckks_chacha20 state;
    ckks_chacha20_init(&state, key, nonce, v->counter);
    ckks_chacha20_bytes(&state, got, v->len);
    for (size_t i = 0; v->message != NULL && i < v->len; i++) got[i] ^= (uint8_t)v->message[i];
    ck_assert_mem_eq(got, expected, v->len);
}
END_TEST

static uint32_t rotate(uint32_t x, int bits)
{
    return x << bits | x >> (32 - bits);
}

static void reference_quarter(uint32_t *a, uint32_t *b, uint32_t *c, uint32_t *d)
{
    *a += *b;
    *d = rotate(*d ^ *a, 16);
    *c += *d;
    *b = rotate(*b ^ *c, 12);
    *a += *b;
    *d = rotate(*d ^ *a, 8);
    *c += *d;
    *b = rotate(*b ^ *c, 7);
}

/* One block, as RFC 8439 section 2.3 describes it. */
static void reference_block(const uint32_t input[16], uint8_t out[64])
{
    uint32_t x[16];
    memcpy(x, input, sizeof x);
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < 4; i++) reference_quarter(x + i, x + 4 + i, x + 8 + i, x + 12 + i);
        for (int i = 0; i < 4; i++)
            reference_quarter(x + i, x + 4 + (i + 1) % 4, x + 8 + (i + 2) % 4,
                              x + 12 + (i + 3) % 4);
    }
    for (int i = 0; i < 16; i++)
        for (int byte = 0; byte < 4; byte++)
            out[4 * i + byte] = (uint8_t)((x[i] + input[i]) >> (8 * byte));
}

/* Blocks from a 64-bit count in words 12 and 13. */
static void reference_stream(const uint32_t start[16], uint8_t *out, size_t blocks)
{
    uint32_t input[16];
    memcpy(input, start, sizeof input);
    uint64_t count = (uint64_t)input[13] << 32 | input[12];
    for (size_t i = 0; i < blocks; i++, count++) {
        input[12] = (uint32_t)count;
        input[13] = (uint32_t)(count >> 32);
        reference_block(input, out + 64 * i);
    }
}

START_TEST(test_every_core)
{
    static const uint32_t counts[] = {
        0, 1, 77, UINT32_MAX, UINT32_MAX - 3, UINT32_MAX - 4, UINT32_MAX - 15, UINT32_MAX - 16};
    ckks_chacha20_core cores[CKKS_CHACHA20_MAX_CORES];
    unsigned n = ckks_chacha20_cores(cores);
    ck_assert_uint_ge(n, 1);
    uint64_t random = test_seed;
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
        uint32_t start[16];
        for (int i = 0; i < 16; i++) start[i] = (uint32_t)next_random(&random);
        start[12] = counts[c];
        if (c % 2 != 0) start[13] = UINT32_MAX;
        uint8_t expected[3 * AHEAD], got[3 * AHEAD];
        reference_stream(start, expected, sizeof expected / 64);
        for (unsigned k = 0; k < n; k++) {
            uint32_t input[16];
            memcpy(input, start, sizeof input);
            for (int part = 0; part < 3; part++) cores[k](input, got + part * (int)AHEAD);
            ck_assert_msg(memcmp(got, expected, sizeof got) == 0,
                          "core %u of %u differs from block %u", k, n, (unsigned)counts[c]);
        }
    }
}
END_TEST

START_TEST(test_chunking)
{
    enum { TOTAL = 20000 };
    static uint8_t whole[TOTAL], pieces[TOTAL];
    uint64_t random = test_seed;
    uint8_t key[32], nonce[12];
    for (size_t i = 0; i < sizeof key; i++) key[i] = (uint8_t)next_random(&random);
    for (size_t i = 0; i < sizeof nonce; i++) nonce[i] = (uint8_t)next_random(&random);
    ckks_chacha20 state;
    ckks_chacha20_init(&state, key, nonce, 5);
    ckks_chacha20_bytes(&state, whole, TOTAL);
    static const size_t most[] = {1, 2, 63, 64, 65, AHEAD - 1, AHEAD, AHEAD + 1, 3 * AHEAD, TOTAL};
    for (size_t m = 0; m < sizeof most / sizeof *most; m++) {
        memset(pieces, 0, sizeof pieces);
        ckks_chacha20_init(&state, key, nonce, 5);
        for (size_t done = 0; done < TOTAL;) {
            size_t len = next_random(&random) % (most[m] + 1);
            if (len > TOTAL - done) len = TOTAL - done;
            ckks_chacha20_bytes(&state, pieces + done, len);
            done += len;
        }
        ck_assert_mem_eq(pieces, whole, TOTAL);
    }
}
END_TEST

START_TEST(test_counter_starts_anywhere)
{
    uint8_t key[32] = {7}, nonce[12] = {9}, whole[10 * 64], tail[64];
    ckks_chacha20 state;
    ckks_chacha20_init(&state, key, nonce, 0);
    ckks_chacha20_bytes(&state, whole, sizeof whole);
    for (uint32_t block = 0; block < 10; block++) {
        ckks_chacha20_init(&state, key, nonce, block);
        ckks_chacha20_bytes(&state, tail, sizeof tail);
        ck_assert_mem_eq(tail, whole + 64 * block, sizeof tail);
    }
}
END_TEST

static int is_zero(const void *memory, size_t len)
{
    const uint8_t *bytes = memory;
    for (size_t i = 0; i < len; i++)
        if (bytes[i] != 0) return 0;
    return 1;
}

START_TEST(test_erasure)
{
    uint8_t key[32] = {1}, nonce[12] = {2}, out[100];
    ckks_chacha20 state;
    ckks_chacha20_init(&state, key, nonce, 0);
    ckks_chacha20_bytes(&state, out, sizeof out);
    ck_assert_uint_eq(state.used, sizeof out);
    ck_assert_msg(is_zero(state.stream, state.used), "handed-out bytes are still in the state");
    ckks_chacha20_wipe(&state);
    ck_assert(is_zero(&state, sizeof state));
    uint8_t secret[33];
    memset(secret, 0xa5, sizeof secret);
    ckks_wipe(secret, 32);
    ck_assert(is_zero(secret, 32));
    ck_assert_uint_eq(secret[32], 0xa5);
    ckks_wipe(NULL, 0);
}
END_TEST

int main(void)
{
    const char *text = getenv("FHOLA_TEST_SEED");
    if (text != NULL) test_seed = strtoull(text, NULL, 0);
    printf("FHOLA_TEST_SEED=%llu\n", (unsigned long long)test_seed);
    Suite *suite = suite_create("chacha20");
    TCase *tcase = tcase_create("stream");
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, test_rfc_vectors, 0, (int)(sizeof vectors / sizeof *vectors));
    tcase_add_test(tcase, test_every_core);
    tcase_add_test(tcase, test_chunking);
    tcase_add_test(tcase, test_counter_starts_anywhere);
    tcase_add_test(tcase, test_erasure);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
