/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/plain/plain.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn/base/parallel.h"
#include "nn/graph/model_io.h"
#include "nn/plain/convolve.h"
#include "ola/ola.h"

#define TWO_PI 6.283185307179586476925286766559
#define PERIOD                                                                                     \
    64u /* per-channel constants are repeated to this length; every picture has a multiple of it */
#define FEATURES 64u

typedef struct plain_block {
    nn_fast_conv conv1, conv2, projection;
    nn_shortcut shortcut;
} plain_block;

typedef struct plain_activation {
    size_t count; /* values of a picture */
    bool polynomial;
    unsigned degree;
    float eps, gain;      /* X = sin(2 pi eps w) * gain; X = w for eps = 0 */
    float *scale, *shift; /* w = x * scale + shift: PERIOD each */
    float *coeff;         /* (degree + 1) * PERIOD */
    unsigned stages;      /* polynomials of the composition that approximates the sign; 0: none */
    unsigned stage_degree[OLA_MAX_STAGES];
    float *stage; /* their coefficients, one after the other */
} plain_activation;

struct nn_plain {
    nn_simd simd; /* of activations */
    nn_fast_conv first;
    plain_block *blocks;
    size_t block_count;
    plain_activation *activations;
    size_t activation_count;
    size_t classes;
    const ola_function *function; /* the model's */
    double *fc_weight, *fc_bias;
};

/* ---- activation ---- */

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

/* out = sum coeff[k] T_k(t), Clenshaw. */
NN_SIMD_INLINE void clenshaw(float *restrict out, const float *restrict t,
                             const float *restrict coeff, unsigned degree)
{
    float b1[PERIOD], b2[PERIOD] = {0};
    memcpy(b1, coeff + degree * PERIOD, sizeof b1);
    if (degree == 0) {
        memcpy(out, b1, sizeof b1);
        return;
    }
    for (unsigned k = degree - 1; k > 0; k--) {
        const float *c = coeff + k * PERIOD;
        for (size_t j = 0; j < PERIOD; j++) {
            float next = c[j] + 2.0f * t[j] * b1[j] - b2[j];
            b2[j] = b1[j];
            b1[j] = next;
        }
    }
    for (size_t j = 0; j < PERIOD; j++) out[j] = coeff[j] + t[j] * b1[j] - b2[j];
}

/* out *= 1 + s(t), s the composition; t is overwritten. */
NN_SIMD_INLINE void multiply_sign(const plain_activation *a, float *restrict out, float *restrict t)
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

/* PERIOD values from `at` on; raises max to their |w|. */
NN_SIMD_INLINE void activate_any(const plain_activation *a, float *restrict out, float *restrict w,
                                 float *restrict max)
{
    for (size_t j = 0; j < PERIOD; j++) max[j] = fabsf(w[j]) > max[j] ? fabsf(w[j]) : max[j];
    if (a->eps > 0.0f) sine_variable(w, a->eps, a->gain);
    clenshaw(out, w, a->coeff, a->degree);
    if (a->stages) multiply_sign(a, out, w);
}

static void activate_portable(const plain_activation *a, float *restrict out, float *restrict w,
                              float *restrict max)
{
    activate_any(a, out, w, max);
}

#ifdef NN_SIMD_X86
NN_SIMD_TARGET_AVX2 static void activate_avx2(const plain_activation *a, float *restrict out,
                                              float *restrict w, float *restrict max)
{
    activate_any(a, out, w, max);
}

NN_SIMD_TARGET_AVX512 static void activate_avx512(const plain_activation *a, float *restrict out,
                                                  float *restrict w, float *restrict max)
{
    activate_any(a, out, w, max);
}
#endif

typedef void activate_function(const plain_activation *a, float *restrict out, float *restrict w,
                               float *restrict max);

static activate_function *activate_for(nn_simd simd)
{
#ifdef NN_SIMD_X86
    if (simd == NN_SIMD_AVX512) return activate_avx512;
    if (simd == NN_SIMD_AVX2) return activate_avx2;
#endif
    (void)simd;
    return activate_portable;
}

static float activate_polynomial(const nn_plain *plain, size_t i, float *out, const float *pre,
                                 const nn_noise *noise)
{
    const plain_activation *a = &plain->activations[i];
    activate_function *activate = activate_for(plain->simd);
    float max[PERIOD] = {0};
    for (size_t at = 0; at < a->count; at += PERIOD) {
        float w[PERIOD], y[PERIOD];
        for (size_t j = 0; j < PERIOD; j++) w[j] = pre[at + j] * a->scale[j] + a->shift[j];
        if (noise && noise->deviation > 0.0f) add_noise(w, noise, i, at);
        activate(a, y, w, max);
        memcpy(out + at, y, sizeof y);
    }
    return largest(max);
}

void nn_plain_exact(const ola_function *f, float *out, const float *pre, size_t count)
{
    if (f->kind == OLA_RELU)
        for (size_t j = 0; j < count; j++)
            out[j] = pre[j] < 0.0f ? 0.0f : pre[j]; /* NaN stays NaN */
    else
        for (size_t j = 0; j < count; j++) out[j] = (float)ola_function_eval(f, (double)pre[j]);
}

float nn_plain_activate(const nn_plain *plain, size_t i, float *out, const float *pre,
                        const nn_noise *noise)
{
    const plain_activation *a = &plain->activations[i];
    if (a->polynomial) return activate_polynomial(plain, i, out, pre, noise);
    nn_plain_exact(plain->function, out, pre, a->count);
    return 0.0f;
}

static void clear_activation(plain_activation *a)
{
    free(a->scale);
    free(a->coeff);
    free(a->stage);
    a->scale = a->shift = a->coeff = a->stage = NULL;
    a->stages = 0;
    a->polynomial = false;
}

static size_t stage_values(const ola_composite *sign)
{
    size_t count = 0;
    for (unsigned k = 0; sign && k < sign->count; k++) count += sign->degree[k] + 1;
    return count;
}

/* `stage`: room for all coefficients. */
static void set_sign(plain_activation *a, float *stage, const ola_composite *sign)
{
    a->stage = stage;
    a->stages = sign->count;
    for (unsigned k = 0; k < sign->count; k++) {
        a->stage_degree[k] = sign->degree[k];
        for (unsigned j = 0; j <= sign->degree[k]; j++) *stage++ = (float)sign->coeff[k][j];
    }
}

fhola_status nn_plain_set_activation(nn_plain *plain, size_t i, const nn_activation *activation,
                                     double eps)
{
    plain_activation *a = &plain->activations[i];
    if (!activation) {
        clear_activation(a);
        return FHOLA_OK;
    }
    size_t channels = activation->channels;
    float *scale = malloc(2 * PERIOD * sizeof *scale);
    float *coeff = malloc((activation->degree + 1) * (size_t)PERIOD * sizeof *coeff);
    size_t values = stage_values(activation->sign);
    float *stage = values ? malloc(values * sizeof *stage) : NULL;
    if (!scale || !coeff || (values && !stage)) {
        free(scale);
        free(coeff);
        free(stage);
        return fhola_fail(FHOLA_NOMEM, "no memory for an activation of degree %u",
                          activation->degree);
    }
    clear_activation(a);
    a->polynomial = true;
    a->degree = activation->degree;
    a->eps = (float)eps;
    a->gain = eps > 0 ? (float)(1.0 / sin(TWO_PI * eps)) : 1.0f;
    a->scale = scale;
    a->shift = scale + PERIOD;
    a->coeff = coeff;
    if (stage) set_sign(a, stage, activation->sign);
    for (size_t j = 0; j < PERIOD; j++) {
        size_t c = j % channels;
        a->scale[j] = (float)(1.0 / activation->half_width[c]);
        a->shift[j] = (float)(-activation->centre[c] / activation->half_width[c]);
        for (size_t k = 0; k <= a->degree; k++)
            coeff[k * PERIOD + j] = (float)activation->coeff[k * channels + c];
    }
    return FHOLA_OK;
}

/* ---- the network ---- */

static fhola_status convert_block(plain_block *block, const nn_block *from)
{
    block->shortcut = from->shortcut;
    fhola_status status = nn_fast_conv_create(&block->conv1, &from->conv1);
    if (status == FHOLA_OK) status = nn_fast_conv_create(&block->conv2, &from->conv2);
    if (status == FHOLA_OK && from->shortcut == NN_SHORTCUT_PROJECTION)
        status = nn_fast_conv_create(&block->projection, &from->projection);
    return status;
}

static fhola_status convert_linear(nn_plain *plain, const nn_model *model)
{
    plain->classes = model->classes;
    plain->function = &model->function;
    plain->fc_weight = malloc(plain->classes * FEATURES * sizeof *plain->fc_weight);
    plain->fc_bias = malloc(plain->classes * sizeof *plain->fc_bias);
    if (!plain->fc_weight || !plain->fc_bias)
        return fhola_fail(FHOLA_NOMEM, "no memory for %zu classes", plain->classes);
    memcpy(plain->fc_weight, model->fc_weight,
           plain->classes * FEATURES * sizeof *plain->fc_weight);
    memcpy(plain->fc_bias, model->fc_bias, plain->classes * sizeof *plain->fc_bias);
    return FHOLA_OK;
}

static fhola_status convert(nn_plain *plain, const nn_model *model, const nn_plan *plan)
{
    plain->blocks = calloc(3 * (size_t)model->blocks_per_stage, sizeof *plain->blocks);
    plain->activations = calloc(nn_model_activations(model), sizeof *plain->activations);
    if (!plain->blocks || !plain->activations)
        return fhola_fail(FHOLA_NOMEM, "no memory for a network of depth %u", model->depth);
    plain->block_count = 3 * (size_t)model->blocks_per_stage;
    plain->activation_count = nn_model_activations(model);
    fhola_status status = nn_fast_conv_create(&plain->first, &model->first);
    for (size_t k = 0; k < plain->block_count && status == FHOLA_OK; k++)
        status = convert_block(&plain->blocks[k], &model->blocks[k]);
    for (size_t i = 0; i < plain->activation_count && status == FHOLA_OK; i++) {
        size_t size = nn_activation_size(model, i);
        plain->activations[i].count = size * size * nn_activation_channels(model, i);
        if (plan) status = nn_plain_set_activation(plain, i, &plan->activations[i], plan->eps);
    }
    return status == FHOLA_OK ? convert_linear(plain, model) : status;
}

fhola_status nn_plain_create(nn_plain **plain, const nn_model *model, const nn_plan *plan)
{
    fhola_status status = nn_model_check_blocks(model);
    if (status == FHOLA_OK && plan) status = nn_plan_check(plan, model);
    if (status != FHOLA_OK) return status;
    nn_plain *result = calloc(1, sizeof *result);
    if (!result) return fhola_fail(FHOLA_NOMEM, "no memory for a network");
    status = nn_simd_select(&result->simd, NULL);
    if (status == FHOLA_OK) status = convert(result, model, plan);
    if (status != FHOLA_OK) {
        nn_plain_free(result);
        return status;
    }
    *plain = result;
    return FHOLA_OK;
}

void nn_plain_free(nn_plain *plain)
{
    if (!plain) return;
    nn_fast_conv_clear(&plain->first);
    for (size_t k = 0; k < plain->block_count; k++) {
        nn_fast_conv_clear(&plain->blocks[k].conv1);
        nn_fast_conv_clear(&plain->blocks[k].conv2);
        nn_fast_conv_clear(&plain->blocks[k].projection);
    }
    for (size_t i = 0; i < plain->activation_count; i++) clear_activation(&plain->activations[i]);
    free(plain->blocks);
    free(plain->activations);
    free(plain->fc_weight);
    free(plain->fc_bias);
    free(plain);
}

fhola_status nn_scratch_create(nn_scratch **scratch, size_t *count)
{
    size_t threads = nn_thread_count();
    nn_scratch *result = calloc(threads, sizeof *result);
    if (!result) return fhola_fail(FHOLA_NOMEM, "no memory for %zu threads", threads);
    for (size_t i = 0; i < threads; i++) {
        result[i].padded = malloc((NN_CONVOLVE_PADDED + 3 * NN_PLAIN_MAX_VALUES) * sizeof(float));
        if (!result[i].padded) {
            nn_scratch_free(result, i);
            return fhola_fail(FHOLA_NOMEM, "no memory for %zu threads", threads);
        }
        result[i].state = result[i].padded + NN_CONVOLVE_PADDED;
        result[i].middle = result[i].state + NN_PLAIN_MAX_VALUES;
        result[i].pre = result[i].middle + NN_PLAIN_MAX_VALUES;
    }
    *scratch = result;
    *count = threads;
    return FHOLA_OK;
}

void nn_scratch_free(nn_scratch *scratch, size_t count)
{
    if (!scratch) return;
    for (size_t i = 0; i < count; i++) free(scratch[i].padded);
    free(scratch);
}

void nn_plain_first(const nn_plain *plain, nn_scratch *scratch, float *pre, const float *planes)
{
    const size_t plane = NN_IMAGE_SIDE * NN_IMAGE_SIDE;
    for (size_t i = 0; i < plane; i++)
        for (size_t c = 0; c < 3; c++) pre[3 * i + c] = planes[c * plane + i];
    nn_fast_conv_apply(pre, &plain->first, pre, scratch->padded);
}

void nn_plain_inside(const nn_plain *plain, size_t k, nn_scratch *scratch, float *pre,
                     const float *in)
{
    nn_fast_conv_apply(pre, &plain->blocks[k].conv1, in, scratch->padded);
}

static void add_values(float *to, const float *values, size_t count)
{
    for (size_t i = 0; i < count; i++) to[i] += values[i];
}

/* Every second pixel of every second row; `in` channels go to the middle of the twice as many of
 * `to`. */
static void add_subsampled(float *to, const float *in, size_t channels, size_t size)
{
    for (size_t y = 0; y < size; y++)
        for (size_t x = 0; x < size; x++)
            add_values(to + (y * size + x) * 2 * channels + channels / 2,
                       in + (4 * y * size + 2 * x) * channels, channels);
}

void nn_plain_output(const nn_plain *plain, size_t k, nn_scratch *scratch, float *pre,
                     const float *middle, const float *in)
{
    const plain_block *block = &plain->blocks[k];
    size_t size = block->conv2.out_size, count = size * size * block->conv2.out;
    nn_fast_conv_apply(pre, &block->conv2, middle, scratch->padded);
    if (block->shortcut == NN_SHORTCUT_IDENTITY) {
        add_values(pre, in, count);
    } else if (block->shortcut == NN_SHORTCUT_PAD) {
        add_subsampled(pre, in, block->conv1.in, size);
    } else {
        nn_fast_conv_apply(scratch->padded, &block->projection, in, NULL);
        add_values(pre, scratch->padded, count);
    }
}

void nn_plain_linear(const nn_plain *plain, float *scores, const float *in)
{
    double mean[FEATURES];
    const size_t pixels = 64; /* the last stage is 8 x 8 */
    for (size_t c = 0; c < FEATURES; c++) {
        mean[c] = 0;
        for (size_t i = 0; i < pixels; i++) mean[c] += (double)in[i * FEATURES + c];
        mean[c] /= (double)pixels;
    }
    for (size_t k = 0; k < plain->classes; k++) {
        double sum = plain->fc_bias[k];
        for (size_t c = 0; c < FEATURES; c++) sum += plain->fc_weight[k * FEATURES + c] * mean[c];
        scores[k] = (float)sum;
    }
}

void nn_plain_run(const nn_plain *plain, nn_scratch *scratch, float *scores, float *max_w,
                  const float *planes, const nn_noise *noise)
{
    float *state = scratch->state, *middle = scratch->middle, *pre = scratch->pre;
    float ignored = 0, *max = max_w ? max_w : &ignored;
    size_t step = max_w ? 1 : 0;
    nn_plain_first(plain, scratch, pre, planes);
    max[0] = nn_plain_activate(plain, 0, state, pre, noise);
    for (size_t k = 0; k < plain->block_count; k++) {
        nn_plain_inside(plain, k, scratch, pre, state);
        max[(2 * k + 1) * step] = nn_plain_activate(plain, 2 * k + 1, middle, pre, noise);
        nn_plain_output(plain, k, scratch, pre, middle, state);
        max[(2 * k + 2) * step] = nn_plain_activate(plain, 2 * k + 2, state, pre, noise);
    }
    nn_plain_linear(plain, scores, state);
}
