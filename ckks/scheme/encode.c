/* SPDX-License-Identifier: Apache-2.0 */
#include "ckks/scheme/encode.h"

#include <math.h>
#include <string.h>

/* Names the first coefficient that does not fit. */
static fhola_status out_of_range(const double *coefficient, double scale, double limit)
{
    while (fabs(*coefficient) < limit) coefficient++;
    return fhola_fail(FHOLA_RANGE, "a value of 2^%.2f at scale 2^%.2f is not below 2^%.2f",
                      log2(fabs(*coefficient)) - log2(scale), log2(scale), log2(limit));
}

fhola_status ckks_encode_coefficients(const ckks_context *c, int64_t *coefficient, double *scratch,
                                      const ckks_complex *values, size_t period, double scale,
                                      double limit)
{
    if (limit > 0x1p62) limit = 0x1p62;
    for (size_t i = 0; i < period; i++) {
        scratch[2 * i] = values[i].re;
        scratch[2 * i + 1] = values[i].im;
    }
    ckks_fft_inverse(c->fft, scratch, period);
    unsigned misfits = 0;
    for (size_t i = 0; i < 2 * period; i++) {
        scratch[i] *= scale;
        misfits += !(fabs(scratch[i]) < limit);
    }
    ckks_declassify(&misfits, sizeof misfits); /* whether encoding fails */
    if (misfits) return out_of_range(scratch, scale, limit);
    for (size_t i = 0; i < period; i++) {
        coefficient[i] = llrint(scratch[2 * i]);
        coefficient[i + period] = llrint(scratch[2 * i + 1]);
    }
    return FHOLA_OK;
}

/* Spreads 2 period coefficients over a ring's limb and transforms. */
static void encode_ring(const ckks_kernel *kernel, const ckks_modulus *p, uint64_t *limb,
                        const int64_t *coefficient, size_t period)
{
    size_t n = (size_t)1 << p->log_n, gap = n / (2 * period);
    /* Reduced at the far end of the limb first, then spread from the front, so that no second
     * buffer is needed: coefficient i moves from n - 2 period + i to i gap, never overtaking an
     * unread one. */
    uint64_t *packed = limb + (n - 2 * period);
    if (2 * period >= 8) {
        kernel->reduce_signed(p, packed, coefficient, 2 * period);
    } else {
        int64_t padded[8] = {0};
        uint64_t reduced[8];
        memcpy(padded, coefficient, 2 * period * sizeof *coefficient);
        kernel->reduce_signed(p, reduced, padded, 8);
        memcpy(packed, reduced, 2 * period * sizeof *packed);
    }
    if (gap > 1)
        for (size_t i = 0; i < 2 * period; i++) {
            uint64_t x = packed[i];
            limb[i * gap] = x;
            memset(limb + i * gap + 1, 0, (gap - 1) * sizeof *limb);
        }
    kernel->ntt_forward(p, &limb, 1);
}

void ckks_encode_limb(const ckks_context *c, unsigned prime, uint64_t *limb,
                      const int64_t *coefficient, size_t period)
{
    encode_ring(c->kernel, &c->modulus[prime], limb, coefficient, period);
}

unsigned ckks_packed_log_gap(const ckks_context *c, size_t period)
{
    unsigned log_gap = 0;
    while (log_gap < c->subrings && (period << (log_gap + 1)) <= c->slots) log_gap++;
    return log_gap;
}

size_t ckks_packed_bytes(const ckks_context *c, ckks_basis basis, unsigned log_gap)
{
    size_t bytes = 0;
    unsigned index[CKKS_MAX_PRIMES], limbs = ckks_limb_list(c, basis, index);
    for (unsigned i = 0; i < limbs; i++)
        bytes += ((c->n >> log_gap) * c->modulus[index[i]].width + 63) & ~(size_t)63;
    return bytes;
}

void ckks_encode_packed(const ckks_context *c, unsigned prime, unsigned log_gap, void *out,
                        uint64_t *scratch, const int64_t *coefficient, size_t period)
{
    size_t words = c->n >> log_gap;
    unsigned log_vectors = log_gap > 3 ? 0 : 3 - log_gap; /* distinct vectors in a block of 64 */
    encode_ring(c->kernel, log_gap ? &c->subring[log_gap - 1][prime] : &c->modulus[prime], scratch,
                coefficient, period);
    for (size_t w = 0; w < words; w++) {
        size_t from = w;
        if (log_gap) {
            /* Lane l of packed vector v of block b is index (8 b + l) 2^log_vectors + v in plain
             * bit-reversed order, which the subring stores in its own blocks of 64. */
            size_t lane = w & 7, vector = (w >> 3) & (((size_t)1 << log_vectors) - 1),
                   block = w >> (3 + log_vectors);
            size_t plain = ((block << 3 | lane) << log_vectors) | vector;
            from = (plain & ~(size_t)63) | (plain & 7) << 3 | (plain >> 3 & 7);
        }
        ckks_packed_put(out, c->modulus[prime].width, w, scratch[from]);
    }
}

void ckks_decode_coefficients(const ckks_context *c, ckks_complex *values, size_t count,
                              double *scratch, const double *coefficient, double scale)
{
    for (size_t i = 0; i < c->slots; i++) {
        scratch[2 * i] = coefficient[i] / scale;
        scratch[2 * i + 1] = coefficient[i + c->slots] / scale;
    }
    ckks_fft_forward(c->fft, scratch, c->slots);
    for (size_t i = 0; i < count; i++) {
        values[i].re = scratch[2 * i];
        values[i].im = scratch[2 * i + 1];
    }
}

static bool is_power_of_two(size_t x)
{
    return x && !(x & (x - 1));
}

fhola_status ckks_interleaving_check(const ckks_context *c, ckks_interleaving s)
{
    if (!is_power_of_two(s.period) || s.period > c->slots)
        return fhola_fail(FHOLA_PARAM, "a period of %zu values is not a power of two up to %zu",
                          s.period, c->slots);
    if (!is_power_of_two(s.count) || s.count > c->slots / s.period)
        return fhola_fail(FHOLA_PARAM, "%zu vectors are not a power of two up to %zu", s.count,
                          c->slots / s.period);
    return FHOLA_OK;
}

static fhola_status check_encode(const ckks_context *c, const ckks_workspace *ws,
                                 const ckks_plaintext *out, ckks_interleaving shape, double scale,
                                 ckks_basis basis)
{
    if (out->context != c || ws->context != c)
        return fhola_fail(FHOLA_PARAM, "the plaintext or workspace belongs to another context");
    FHOLA_TRY(ckks_interleaving_check(c, shape));
    if (!basis || basis & ~(c->chain | c->special))
        return fhola_fail(FHOLA_LEVEL, "no plaintext can have the primes %s",
                          ckks_basis_describe(c->params, basis).text);
    return ckks_scale_fits(c, basis, scale, "the plaintext");
}

/* Coefficient i of vector k at i * count + k. vector: 2 period of them; scratch: as many. */
static fhola_status interleave(const ckks_context *c, int64_t *coefficient, int64_t *vector,
                               double *scratch, const ckks_complex *values, ckks_interleaving shape,
                               double scale, double limit)
{
    for (size_t k = 0; k < shape.count; k++) {
        FHOLA_TRY(ckks_encode_coefficients(c, vector, scratch, values + k * shape.period,
                                           shape.period, scale, limit));
        for (size_t i = 0; i < 2 * shape.period; i++) coefficient[i * shape.count + k] = vector[i];
    }
    return FHOLA_OK;
}

fhola_status ckks_encode_interleaved(const ckks_context *c, ckks_workspace *ws, ckks_plaintext *out,
                                     const ckks_complex *values, ckks_interleaving shape,
                                     double scale, ckks_basis basis)
{
    FHOLA_TRY(check_encode(c, ws, out, shape, scale, basis));
    fhola_status status = FHOLA_NOMEM;
    size_t period = shape.period * shape.count;
    ckks_poly room;
    ckks_mark mark = ckks_workspace_mark(ws);
    int64_t *coefficient = ckks_workspace_take(ws, 2 * period * sizeof *coefficient),
            *vector = coefficient;
    double *scratch = ckks_workspace_take(ws, 2 * shape.period * sizeof *scratch);
    if (shape.count > 1) vector = ckks_workspace_take(ws, 2 * shape.period * sizeof *vector);
    if (!coefficient || !scratch || !vector) goto end;
    status = interleave(c, coefficient, vector, scratch, values, shape, scale,
                        ckks_half_modulus(c, basis));
    if (status) goto end;
    status = ckks_plaintext_reserve(out, basis, &room);
    if (status) goto end;
#pragma omp parallel for num_threads(ckks_context_threads(c)) schedule(dynamic)
    for (unsigned i = 0; i < room.limbs; i++)
        ckks_encode_limb(c, room.modulus[i], room.limb[i], coefficient, period);
    ckks_plaintext_set(out, basis, scale, period);
end:
    ckks_workspace_release(ws, mark);
    return status;
}

fhola_status ckks_encode(const ckks_context *c, ckks_workspace *ws, ckks_plaintext *out,
                         const ckks_complex *values, size_t period, double scale, ckks_basis basis)
{
    return ckks_encode_interleaved(c, ws, out, values, (ckks_interleaving){period, 1}, scale,
                                   basis);
}
