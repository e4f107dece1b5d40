/* SPDX-License-Identifier: Apache-2.0 */
#include "ckks/ring/gaussian.h"

#include <math.h>
#include <string.h>

#include "ckks/ring/chacha20.h"

#define BASE_SIGMA 38.435917081166394 /* sqrt(1024 / ln 2) */
#define SMOOTHING  1.91               /* of the integers for 2^-102, as a standard deviation */
#define SQRT2      1.41421356237309504880
#define LOG_WEIGHT 11u /* weights are 2^(-x^2 / 2^11) */
#define ONE_BITS   127u

/* Floor of the product of numbers below 1 in units of 2^-127. */
static ckks_u128 multiply(ckks_u128 a, ckks_u128 b)
{
    ckks_u128 a1 = a >> 64, a0 = (uint64_t)a, b1 = b >> 64, b0 = (uint64_t)b;
    return (a1 * b1 << 1) + ((a1 * b0 + a0 * b1 + (a0 * b0 >> 64)) >> 63);
}

/* Floor of the square root of a number below 1. */
static ckks_u128 square_root(ckks_u128 a)
{
    ckks_u128 root = 0;
    for (unsigned bit = ONE_BITS; bit-- > 0;) {
        ckks_u128 next = root | (ckks_u128)1 << bit;
        if (multiply(next, next) <= a) root = next;
    }
    return root;
}

/* a / b for a < b < 2^127. */
static ckks_u128 divide(ckks_u128 a, ckks_u128 b)
{
    ckks_u128 quotient = 0;
    for (unsigned bit = 0; bit < ONE_BITS; bit++) {
        a <<= 1;
        quotient <<= 1;
        if (a >= b) {
            a -= b;
            quotient |= 1;
        }
    }
    return quotient;
}

/* Weights in units of 2^-120, so that their sum, about 2^126.6, has room. Rounding moves no
 * cumulative probability by 2^-110. */
static void fill_table(ckks_u128 above[CKKS_GAUSSIAN_TABLE])
{
    /* root[j] = 2^(-2^j / 2^11) */
    ckks_u128 root[LOG_WEIGHT], weight[CKKS_GAUSSIAN_TABLE], sum = 0, tail = 0;
    for (unsigned j = LOG_WEIGHT; j-- > 0;)
        root[j] = square_root(j == LOG_WEIGHT - 1 ? (ckks_u128)1 << (ONE_BITS - 1) : root[j + 1]);
    for (unsigned x = 0; x < CKKS_GAUSSIAN_TABLE; x++) {
        unsigned square = x * x;
        ckks_u128 w = ((ckks_u128)1 << ONE_BITS) - 1;
        for (unsigned j = 0; j < LOG_WEIGHT; j++)
            if (square >> j & 1) w = multiply(w, root[j]);
        weight[x] = w >> (square >> LOG_WEIGHT) >> 7;
        sum += x ? 2 * weight[x] : weight[x];
    }
    for (unsigned x = CKKS_GAUSSIAN_TABLE; x-- > 0;) {
        above[x] = divide(tail, sum);
        tail += 2 * weight[x];
    }
}

static double widened(double sigma, double factor)
{
    return sigma * sqrt(1 + factor * factor);
}

static double most_factor(double sigma)
{
    return floor(sigma / (SQRT2 * SMOOTHING));
}

/* Takes `levels` steps if they can reach sigma and come closer than what *g has: the first by
 * factor `first`, the others as wide as they may be, the last as needed. */
static void try_steps(ckks_gaussian *g, unsigned levels, double first, double sigma)
{
    int64_t factor[CKKS_GAUSSIAN_LEVELS];
    double reached = BASE_SIGMA;
    for (unsigned l = 0; l < levels; l++) {
        double most = most_factor(reached), ratio = sigma / reached, k = l == 0 ? first : most;
        if (l == levels - 1) k = fmax(1, ceil(sqrt(fmax(ratio * ratio - 1, 0))));
        if (k > most) return;
        factor[l] = (int64_t)k;
        reached = widened(reached, k);
    }
    if (reached < sigma || (g->levels && reached >= g->sigma)) return;
    g->sigma = reached;
    g->levels = levels;
    memcpy(g->factor, factor, levels * sizeof factor[0]);
}

fhola_status ckks_gaussian_init(ckks_gaussian *g, double sigma)
{
    if (!(sigma > 0 && sigma <= CKKS_GAUSSIAN_MOST))
        return fhola_fail(FHOLA_RANGE, "noise of standard deviation %g is outside 0..2^50", sigma);
    g->sigma = BASE_SIGMA;
    g->levels = 0;
    for (unsigned levels = 1; sigma > BASE_SIGMA && !g->levels; levels++)
        for (double first = 1; first <= most_factor(BASE_SIGMA); first++)
            try_steps(g, levels, first, sigma);
    fill_table(g->above);
    return FHOLA_OK;
}

/* 1 if a < b, else 0; both below 2^127. */
static inline int64_t below(ckks_u128 a, ckks_u128 b)
{
    return (int64_t)((a - b) >> 127);
}

static int64_t sample_base(const ckks_gaussian *g, ckks_rng *rng)
{
    uint8_t bytes[16];
    ckks_u128 u = 0;
    int64_t magnitude = 0;
    ckks_rng_bytes(rng, bytes, sizeof bytes);
    for (unsigned i = 0; i < sizeof bytes; i++) u |= (ckks_u128)bytes[i] << (8 * i);
    int64_t sign = 1 - 2 * (int64_t)(u >> 127);
    u &= ((ckks_u128)1 << 127) - 1;
    for (unsigned x = 0; x < CKKS_GAUSSIAN_TABLE; x++) magnitude += below(u, g->above[x]);
    ckks_wipe(bytes, sizeof bytes);
    return sign * magnitude;
}

static int64_t sample(const ckks_gaussian *g, unsigned level, ckks_rng *rng)
{
    if (level == 0) return sample_base(g, rng);
    int64_t x = sample(g, level - 1, rng);
    return x + g->factor[level - 1] * sample(g, level - 1, rng);
}

void ckks_gaussian_sample(const ckks_gaussian *g, int64_t *out, size_t n, ckks_rng *rng)
{
    for (size_t i = 0; i < n; i++) out[i] = sample(g, g->levels, rng);
}
