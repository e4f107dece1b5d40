/* SPDX-License-Identifier: Apache-2.0 */
#include "ckks/ciphertext.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ckks/alloc.h"

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
static void release_poly(ckks_plaintext *pt)
{
    if (pt->poly) ckks_wipe(pt->poly, block_bytes(pt->context, pt->capacity));
    ckks_free(pt->poly);
}

void ckks_plaintext_destroy(ckks_plaintext *pt)
{
    if (!pt) return;
    release_poly(pt);
    free(pt);
}

fhola_status ckks_plaintext_reserve(ckks_plaintext *pt, ckks_basis basis)
{
    size_t limbs = ckks_limb_count(pt->context, basis);
    if (limbs <= pt->capacity) return FHOLA_OK;
    uint64_t *poly = ckks_alloc(block_bytes(pt->context, limbs));
    if (!poly) return fhola_fail(FHOLA_NOMEM, "no memory for a plaintext of %zu limbs", limbs);
    release_poly(pt);
    pt->poly = poly;
    pt->capacity = limbs;
    pt->basis = 0;
    return FHOLA_OK;
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
    ckks_free(ct->poly[0]);
    ckks_free(ct->poly[1]);
    free(ct);
}

fhola_status ckks_ciphertext_reserve(ckks_ciphertext *ct, ckks_basis basis)
{
    size_t limbs = ckks_limb_count(ct->context, basis);
    if (limbs <= ct->capacity) return FHOLA_OK;
    uint64_t *poly[2] = {ckks_alloc(block_bytes(ct->context, limbs)),
                         ckks_alloc(block_bytes(ct->context, limbs))};
    if (!poly[0] || !poly[1]) {
        ckks_free(poly[0]);
        ckks_free(poly[1]);
        return fhola_fail(FHOLA_NOMEM, "no memory for a ciphertext of %zu limbs", limbs);
    }
    for (int k = 0; k < 2; k++) {
        ckks_free(ct->poly[k]);
        ct->poly[k] = poly[k];
    }
    ct->capacity = limbs;
    ct->basis = 0;
    return FHOLA_OK;
}

void ckks_ciphertext_set(ckks_ciphertext *ct, ckks_basis basis, double scale)
{
    ct->basis = basis;
    ct->scale = scale;
    ct->seeded = 0;
}

fhola_status ckks_ciphertext_copy(ckks_ciphertext *out, const ckks_ciphertext *in)
{
    if (out == in) return FHOLA_OK;
    if (out->context != in->context)
        return fhola_fail(FHOLA_PARAM, "the ciphertexts belong to different contexts");
    fhola_status st = ckks_ciphertext_reserve(out, in->basis);
    if (st) return st;
    ckks_ciphertext_set(out, in->basis, in->scale);
    out->seeded = in->seeded;
    memcpy(out->seed, in->seed, sizeof out->seed);
    if (in->basis)
        for (int k = 0; k < 2; k++)
            memcpy(out->poly[k], in->poly[k],
                   block_bytes(in->context, ckks_limb_count(in->context, in->basis)));
    return FHOLA_OK;
}

ckks_basis ckks_ciphertext_basis(const ckks_ciphertext *ct)
{
    return ct->basis;
}

double ckks_ciphertext_scale(const ckks_ciphertext *ct)
{
    return ct->scale;
}

void ckks_ciphertext_set_scale(ckks_ciphertext *ct, double scale)
{
    ct->scale = scale;
}

fhola_status ckks_ciphertext_check(const ckks_context *c, const ckks_ciphertext *ct,
                                   const char *what)
{
    if (ct->context != c) return fhola_fail(FHOLA_PARAM, "%s belongs to another context", what);
    if (!ct->basis) return fhola_fail(FHOLA_LEVEL, "%s is empty", what);
    return FHOLA_OK;
}

fhola_status ckks_plaintext_check(const ckks_context *c, const ckks_plaintext *pt, const char *what)
{
    if (pt->context != c) return fhola_fail(FHOLA_PARAM, "%s belongs to another context", what);
    if (!pt->basis) return fhola_fail(FHOLA_LEVEL, "%s is empty", what);
    return FHOLA_OK;
}

fhola_status ckks_scale_check(double a, double b, const char *what)
{
    if (fabs(a - b) <= CKKS_SCALE_TOLERANCE * fabs(b)) return FHOLA_OK;
    return fhola_fail(FHOLA_SCALE, "scale 2^%.6f does not match 2^%.6f of %s", log2(a), log2(b),
                      what);
}
