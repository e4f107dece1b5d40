/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/plain/activate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ola/ola.h"

#define TWO_PI 6.283185307179586476925286766559
#define PERIOD 64u /* values computed together */

/* `count` values of one activation, and what nn_noise adds to them. */
typedef struct activation_run {
    size_t layer;
    float *out;
    const float *pre;
    size_t count;
    const nn_noise *noise;
} activation_run;

static uint64_t mix(uint64_t x)
{
    /* the output function of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014) */
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

static void add_noise(float *w, const nn_noise *noise, size_t activation, size_t at)
{
    uint64_t stream = mix(noise->seed + 0x9e3779b97f4a7c15u * (activation + 1));
    /* eight uniforms on [0, 65536): variance 8 / 12 * 65536^2 */
    float scale = noise->deviation * (float)(sqrt(1.5) / 65536.0);
    for (size_t j = 0; j < PERIOD; j++) {
        uint64_t a = mix(stream + 2 * (at + j) + 1), b = mix(stream + 2 * (at + j) + 2);
        int sum = -4 * 65535;
        for (unsigned part = 0; part < 64; part += 16)
            sum += (int)(a >> part & 0xffff) + (int)(b >> part & 0xffff);
        w[j] += scale * (float)sum;
    }
}

/* condition ? a : b without a branch, which would keep gcc from making vectors of the loop. */
NN_SIMD_INLINE float choose(bool condition, float a, float b)
{
    uint32_t mask = -(uint32_t)condition, x, y;
    memcpy(&x, &a, sizeof x);
    memcpy(&y, &b, sizeof y);
    x = (x & mask) | (y & ~mask);
    memcpy(&a, &x, sizeof a);
    return a;
}

/* t = sin(2 pi eps t) * gain. Whole turns off, folded to a quarter turn, then the Taylor polynomial
 * of degree 11: within 2e-7. What is too large to reduce counts as a whole number of turns,
 * infinite becomes NaN, NaN stays. */
NN_SIMD_INLINE void sine_variable(float *restrict t, float eps, float gain)
{
    static const float c1 = 6.28318531f, c3 = -41.3417022f, c5 = 81.6052493f, c7 = -76.7058597f,
                       c9 = 42.0586939f, c11 = -15.0946426f;
    const float magic = 12582912.0f; /* 1.5 * 2^23: adding it rounds to a whole number */
    for (size_t j = 0; j < PERIOD; j++) {
        float turns = t[j] * eps;
        float whole = (turns + magic) - magic;
        float r = turns - choose(fabsf(turns) >= 4.0e6f, turns, whole);
        r = choose(fabsf(r) > 0.25f, copysignf(0.5f, r) - r, r);
        float q = r * r;
        t[j] = r * (c1 + q * (c3 + q * (c5 + q * (c7 + q * (c9 + q * c11))))) * gain;
    }
}

/* out = sum coeff[k] T_k(t), Clenshaw; rows of coeff lie `pitch` apart. */
NN_SIMD_INLINE void clenshaw(float *restrict out, const float *restrict t,
                             const float *restrict coeff, size_t pitch, unsigned degree)
{
    float b1[PERIOD], b2[PERIOD] = {0};
    memcpy(b1, coeff + degree * pitch, sizeof b1);
    if (degree == 0) {
        memcpy(out, b1, sizeof b1);
        return;
    }
    for (unsigned k = degree - 1; k > 0; k--) {
        const float *c = coeff + k * pitch;
        for (size_t j = 0; j < PERIOD; j++) {
            float next = c[j] + 2.0f * t[j] * b1[j] - b2[j];
            b2[j] = b1[j];
            b1[j] = next;
        }
    }
    for (size_t j = 0; j < PERIOD; j++) out[j] = coeff[j] + t[j] * b1[j] - b2[j];
}

/* out *= 1 + s(t), s the composition; t is overwritten. */
NN_SIMD_INLINE void multiply_sign(const nn_fast_activation *a, float *restrict out,
                                  float *restrict t)
{
    const float *coeff = a->stage;
    for (unsigned stage = 0; stage < a->stages; coeff += a->stage_degree[stage++] + 1) {
        float b1[PERIOD], b2[PERIOD] = {0};
        for (size_t j = 0; j < PERIOD; j++) b1[j] = coeff[a->stage_degree[stage]];
        for (unsigned k = a->stage_degree[stage] - 1; k > 0; k--)
            for (size_t j = 0; j < PERIOD; j++) {
                float next = coeff[k] + 2.0f * t[j] * b1[j] - b2[j];
                b2[j] = b1[j];
                b1[j] = next;
            }
        for (size_t j = 0; j < PERIOD; j++) t[j] = coeff[0] + t[j] * b1[j] - b2[j];
    }
    for (size_t j = 0; j < PERIOD; j++) out[j] *= 1.0f + t[j];
}

static float largest(const float *values)
{
    float result = 0.0f;
    for (size_t j = 0; j < PERIOD; j++) result = values[j] > result ? values[j] : result;
    return result;
}

/* PERIOD values, the first of channel `channel`; raises max to their |w|. */
NN_SIMD_INLINE void activate(const nn_fast_activation *a, size_t channel, float *restrict out,
                             float *restrict w, float *restrict max)
{
    for (size_t j = 0; j < PERIOD; j++) max[j] = fabsf(w[j]) > max[j] ? fabsf(w[j]) : max[j];
    if (a->eps > 0.0f) sine_variable(w, a->eps, a->gain);
    clenshaw(out, w, a->coeff + channel, a->pitch, a->degree);
    if (a->stages) multiply_sign(a, out, w);
}

/* `rest` values from `at` on, the first of channel `channel`; what is missing to PERIOD is 0. */
NN_SIMD_INLINE void apply_some(const nn_fast_activation *a, const activation_run *run, size_t at,
                               size_t channel, const size_t rest, float *restrict max)
{
    const float *scale = a->scale + channel, *shift = a->shift + channel;
    float w[PERIOD], y[PERIOD];
    for (size_t j = 0; j < rest; j++) w[j] = run->pre[at + j] * scale[j] + shift[j];
    for (size_t j = rest; j < PERIOD; j++) w[j] = 0;
    if (run->noise && run->noise->deviation > 0.0f) add_noise(w, run->noise, run->layer, at);
    for (size_t j = rest; j < PERIOD; j++) w[j] = 0;
    activate(a, channel, y, w, max);
    memcpy(run->out + at, y, rest * sizeof *y);
}

/* Whole periods have a length the compiler knows. */
NN_SIMD_INLINE float apply_any(const nn_fast_activation *a, const activation_run *run)
{
    float max[PERIOD] = {0};
    size_t channel = 0, at = 0;
    for (; at + PERIOD <= run->count; at += PERIOD, channel = (channel + PERIOD) % a->channels)
        apply_some(a, run, at, channel, PERIOD, max);
    if (at < run->count) apply_some(a, run, at, channel, run->count - at, max);
    return largest(max);
}

static float apply_portable(const nn_fast_activation *a, const activation_run *run)
{
    return apply_any(a, run);
}

#ifdef NN_SIMD_X86
NN_SIMD_TARGET_AVX2 static float apply_avx2(const nn_fast_activation *a, const activation_run *run)
{
    return apply_any(a, run);
}

NN_SIMD_TARGET_AVX512 static float apply_avx512(const nn_fast_activation *a,
                                                const activation_run *run)
{
    return apply_any(a, run);
}
#endif

float nn_fast_activation_apply(const nn_fast_activation *a, nn_simd simd, size_t layer, float *out,
                               const float *pre, size_t count, const nn_noise *noise)
{
    activation_run run = {.layer = layer, .out = out, .pre = pre, .count = count, .noise = noise};
#ifdef NN_SIMD_X86
    if (simd == NN_SIMD_AVX512) return apply_avx512(a, &run);
    if (simd == NN_SIMD_AVX2) return apply_avx2(a, &run);
#endif
    (void)simd;
    return apply_portable(a, &run);
}

void nn_fast_activation_clear(nn_fast_activation *a)
{
    free(a->scale);
    free(a->coeff);
    free(a->stage);
    memset(a, 0, sizeof *a);
}

static size_t stage_values(const ola_composite *sign)
{
    size_t count = 0;
    for (unsigned k = 0; sign && k < sign->count; k++) count += sign->degree[k] + 1;
    return count;
}

/* `stage`: room for all coefficients. */
static void set_sign(nn_fast_activation *a, float *stage, const ola_composite *sign)
{
    a->stage = stage;
    a->stages = sign->count;
    for (unsigned k = 0; k < sign->count; k++) {
        a->stage_degree[k] = sign->degree[k];
        for (unsigned j = 0; j <= sign->degree[k]; j++) *stage++ = (float)sign->coeff[k][j];
    }
}

/* Constants of the channels, one after the other, over and over. */
static void fill_rows(nn_fast_activation *a, const nn_activation *from)
{
    for (size_t j = 0; j < a->pitch; j++) {
        size_t c = j % a->channels;
        a->scale[j] = (float)(1.0 / from->half_width[c]);
        a->shift[j] = (float)(-from->centre[c] / from->half_width[c]);
        for (size_t k = 0; k <= a->degree; k++)
            a->coeff[k * a->pitch + j] = (float)from->coeff[k * a->channels + c];
    }
}

fhola_status nn_fast_activation_set(nn_fast_activation *a, const nn_activation *from, double eps)
{
    size_t pitch = from->channels + PERIOD, values = stage_values(from->sign);
    nn_fast_activation result = {.channels = from->channels,
                                 .pitch = pitch,
                                 .degree = from->degree,
                                 .eps = (float)eps,
                                 .gain = eps > 0 ? (float)(1.0 / sin(TWO_PI * eps)) : 1.0f,
                                 .scale = malloc(2 * pitch * sizeof(float)),
                                 .coeff = malloc((from->degree + 1) * pitch * sizeof(float))};
    float *stage = values ? malloc(values * sizeof *stage) : NULL;
    if (!result.scale || !result.coeff || (values && !stage)) {
        nn_fast_activation_clear(&result);
        free(stage);
        return fhola_fail(FHOLA_NOMEM, "no memory for an activation of degree %u", from->degree);
    }
    result.shift = result.scale + pitch;
    if (stage) set_sign(&result, stage, from->sign);
    fill_rows(&result, from);
    nn_fast_activation_clear(a);
    *a = result;
    return FHOLA_OK;
}
