/* SPDX-License-Identifier: Apache-2.0 */
#include "ckks/scheme/ciphertext.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ckks/alloc.h"
#include "ckks/ring/elementary.h"

static size_t block_bytes(const ckks_context *c, size_t limbs)
{
    return limbs * c->stride * sizeof(uint64_t);
}

fhola_status ckks_plaintext_create(ckks_plaintext **out, const ckks_context *context)
{
    ckks_plaintext *pt = calloc(1, sizeof *pt);
    if (!pt) return fhola_fail(FHOLA_NOMEM, "no memory for a plaintext");
    pt->context = context;
    *out = pt;
    return FHOLA_OK;
}

/* What was encoded may be an owner's. */
static void release_block(ckks_plaintext *pt)
{
    if (pt->block) ckks_wipe(pt->block, block_bytes(pt->context, pt->capacity));
    ckks_free(pt->block);
}

void ckks_plaintext_destroy(ckks_plaintext *pt)
{
    if (!pt) return;
    release_block(pt);
    ckks_wipe(pt, sizeof *pt); /* nothing of a plaintext stays, not even its shape */
    free(pt);
}

fhola_status ckks_plaintext_reserve(ckks_plaintext *pt, ckks_basis basis, ckks_poly *room)
{
    size_t limbs = ckks_limb_count(pt->context, basis);
    if (limbs > pt->capacity) {
        uint64_t *block = ckks_alloc(block_bytes(pt->context, limbs));
        if (!block) return fhola_fail(FHOLA_NOMEM, "no memory for a plaintext of %zu limbs", limbs);
        release_block(pt);
        pt->block = block;
        pt->capacity = limbs;
        ckks_plaintext_set(pt, 0, 0, 0);
    }
    ckks_poly_lay(room, pt->context, basis, pt->block);
    return FHOLA_OK;
}

void ckks_plaintext_set(ckks_plaintext *pt, ckks_basis basis, double scale, size_t period)
{
    ckks_poly_lay(&pt->poly, pt->context, basis, pt->block);
    pt->scale = scale;
    pt->period = period;
}

fhola_status ckks_ciphertext_create(ckks_ciphertext **out, const ckks_context *context)
{
    ckks_ciphertext *ct = calloc(1, sizeof *ct);
    if (!ct) return fhola_fail(FHOLA_NOMEM, "no memory for a ciphertext");
    ct->context = context;
    *out = ct;
    return FHOLA_OK;
}

void ckks_ciphertext_destroy(ckks_ciphertext *ct)
{
    if (!ct) return;
    ckks_free(ct->block[0]);
    ckks_free(ct->block[1]);
    free(ct);
}

static fhola_status grow(ckks_ciphertext *ct, size_t limbs)
{
    uint64_t *block[2] = {ckks_alloc(block_bytes(ct->context, limbs)),
                          ckks_alloc(block_bytes(ct->context, limbs))};
    if (!block[0] || !block[1]) {
        ckks_free(block[0]);
        ckks_free(block[1]);
        return fhola_fail(FHOLA_NOMEM, "no memory for a ciphertext of %zu limbs", limbs);
    }
    for (int k = 0; k < 2; k++) {
        ckks_free(ct->block[k]);
        ct->block[k] = block[k];
    }
    ct->capacity = limbs;
    ckks_ciphertext_set(ct, 0, 0, 0);
    return FHOLA_OK;
}

fhola_status ckks_ciphertext_reserve(ckks_ciphertext *ct, ckks_basis basis, ckks_poly room[2])
{
    size_t limbs = ckks_limb_count(ct->context, basis);
    if (limbs > ct->capacity) FHOLA_TRY(grow(ct, limbs));
    for (int k = 0; k < 2; k++) ckks_poly_lay(&room[k], ct->context, basis, ct->block[k]);
    return FHOLA_OK;
}

size_t ckks_common_period(size_t a, size_t b)
{
    return !a || !b ? 0 : a > b ? a : b; /* powers of two */
}

void ckks_ciphertext_set(ckks_ciphertext *ct, ckks_basis basis, double scale, size_t period)
{
    for (int k = 0; k < 2; k++) ckks_poly_lay(&ct->poly[k], ct->context, basis, ct->block[k]);
    ct->scale = scale;
    ct->period = period;
    ct->seeded = false;
    ct->label = 0;
    ct->shrunk = (ckks_shrunk){0, 0};
}

fhola_status ckks_ciphertext_scratch(ckks_ciphertext *ct, ckks_workspace *ws, ckks_basis room)
{
    memset(ct, 0, sizeof *ct);
    ct->context = ws->context;
    ct->capacity = ckks_limb_count(ws->context, room);
    for (int k = 0; k < 2; k++) {
        ct->block[k] = ckks_workspace_limbs(ws, ct->capacity);
        if (!ct->block[k]) return FHOLA_NOMEM;
    }
    return FHOLA_OK;
}

fhola_status ckks_ciphertext_copy(ckks_ciphertext *out, const ckks_ciphertext *in)
{
    if (out == in) return FHOLA_OK;
    if (out->context != in->context)
        return fhola_fail(FHOLA_PARAM, "the ciphertexts belong to different contexts");
    ckks_poly room[2];
    ckks_basis basis = ckks_ciphertext_basis(in);
    FHOLA_TRY(ckks_ciphertext_reserve(out, basis, room));
    if (basis) FHOLA_TRY(ckks_poly_copy(in->context, 2, room, in->poly));
    ckks_ciphertext_set(out, basis, in->scale, in->period);
    out->seeded = in->seeded;
    memcpy(out->seed, in->seed, sizeof out->seed);
    out->label = in->label;
    out->shrunk = in->shrunk;
    return FHOLA_OK;
}

ckks_basis ckks_ciphertext_basis(const ckks_ciphertext *ct)
{
    return ct->poly[0].basis;
}

double ckks_ciphertext_scale(const ckks_ciphertext *ct)
{
    return ct->scale;
}

unsigned ckks_level(const ckks_ciphertext *ct)
{
    return ckks_basis_count(ct->poly->basis & ~ckks_basis_level(ct->context->params, 0));
}

fhola_status ckks_ciphertext_set_scale(ckks_ciphertext *ct, double scale)
{
    FHOLA_TRY(ckks_ciphertext_check(ct->context, ct, "the ciphertext"));
    FHOLA_TRY(ckks_scale_fits(ct->context, ct->poly->basis, scale, "the ciphertext"));
    ct->scale = scale;
    return FHOLA_OK;
}

size_t ckks_ciphertext_period(const ckks_ciphertext *ct)
{
    return ct->period;
}

fhola_status ckks_ciphertext_set_period(ckks_ciphertext *ct, size_t period)
{
    FHOLA_TRY(ckks_ciphertext_check(ct->context, ct, "the ciphertext"));
    if (period > ct->context->slots || period & (period - 1))
        return fhola_fail(FHOLA_PARAM, "a period of %zu slots is not a power of two up to %zu",
                          period, ct->context->slots);
    ct->period = period;
    return FHOLA_OK;
}

uint32_t ckks_ciphertext_label(const ckks_ciphertext *ct)
{
    return ct->label;
}

fhola_status ckks_ciphertext_set_label(ckks_ciphertext *ct, uint32_t label)
{
    FHOLA_TRY(ckks_ciphertext_check_any(ct->context, ct, "the ciphertext"));
    ct->label = label;
    return FHOLA_OK;
}

ckks_shrunk ckks_ciphertext_shrunk(const ckks_ciphertext *ct)
{
    return ct->shrunk;
}

fhola_status ckks_ciphertext_check(const ckks_context *c, const ckks_ciphertext *ct,
                                   const char *what)
{
    FHOLA_TRY(ckks_ciphertext_check_any(c, ct, what));
    if (!ct->shrunk.period) return FHOLA_OK;
    return fhola_fail(FHOLA_KEY, "%s is shrunk: it can only be decrypted", what);
}

fhola_status ckks_ciphertext_check_any(const ckks_context *c, const ckks_ciphertext *ct,
                                       const char *what)
{
    if (ct->context != c) return fhola_fail(FHOLA_PARAM, "%s belongs to another context", what);
    if (!ct->poly[0].basis) return fhola_fail(FHOLA_LEVEL, "%s is empty", what);
    return FHOLA_OK;
}

fhola_status ckks_plaintext_check(const ckks_context *c, const ckks_plaintext *pt, const char *what)
{
    if (pt->context != c) return fhola_fail(FHOLA_PARAM, "%s belongs to another context", what);
    if (!pt->poly.basis) return fhola_fail(FHOLA_LEVEL, "%s is empty", what);
    return FHOLA_OK;
}

fhola_status ckks_scale_fits(const ckks_context *c, ckks_basis basis, double scale,
                             const char *what)
{
    if (!(isnormal(scale) && scale > 0))
        return fhola_fail(FHOLA_SCALE, "the scale %g of %s is no positive number", scale, what);
    if (scale > (double)c->n * ckks_half_modulus(c, basis))
        return fhola_fail(FHOLA_SCALE, "at the scale 2^%.2f of %s nothing fits the modulus, 2^%.2f",
                          ckks_log2(scale), what, ckks_params_log2(c->params, basis));
    return FHOLA_OK;
}

fhola_status ckks_scale_check(double a, double b, const char *what)
{
    if (fabs(a - b) <= CKKS_SCALE_TOLERANCE * fabs(b)) return FHOLA_OK;
    return fhola_fail(FHOLA_SCALE, "scale 2^%.6f does not match 2^%.6f of %s", log2(a), log2(b),
                      what);
}
