/* SPDX-License-Identifier: Apache-2.0 */
#include "ckks/ring/poly.h"

#include <float.h>
#include <math.h>
#include <string.h>

void ckks_poly_lay(ckks_poly *p, const ckks_context *c, ckks_basis basis, uint64_t *block)
{
    unsigned modulus[CKKS_MAX_PRIMES];
    p->basis = basis;
    p->limbs = ckks_limb_list(c, basis, modulus);
    for (unsigned i = 0; i < p->limbs; i++) {
        p->modulus[i] = (unsigned char)modulus[i];
        p->limb[i] = block ? block + i * c->stride : NULL;
    }
}

size_t ckks_poly_bytes(const ckks_context *c, ckks_basis basis)
{
    return ckks_limb_count(c, basis) * c->stride * sizeof(uint64_t);
}

ckks_poly *ckks_poly_take(ckks_workspace *ws, size_t count, ckks_basis basis)
{
    ckks_poly *p = ckks_workspace_take(ws, count * sizeof *p);
    for (size_t k = 0; p && k < count; k++) {
        uint64_t *block = ckks_workspace_limbs(ws, ckks_limb_count(ws->context, basis));
        if (!block) return NULL;
        ckks_poly_lay(&p[k], ws->context, basis, block);
    }
    return p;
}

uint64_t *ckks_poly_limb(const ckks_poly *p, unsigned t)
{
    for (unsigned i = 0; i < p->limbs; i++)
        if (p->modulus[i] == t) return p->limb[i];
    return NULL;
}

/* ---- residues modulo one modulus ---- */

unsigned ckks_poly_index(const ckks_context *c, const ckks_poly *p, unsigned t)
{
    unsigned i = 0;
    while (c->modulus[t].primes & ~c->modulus[p->modulus[i]].primes) i++;
    return i;
}

static bool is_shared(const ckks_context *c, const ckks_poly *p, unsigned t)
{
    return p->modulus[ckks_poly_index(c, p, t)] != t;
}

size_t ckks_poly_step(const ckks_context *c, const ckks_poly *p, unsigned t)
{
    return c->n > CKKS_RANGE && is_shared(c, p, t) ? CKKS_RANGE : c->n;
}

const uint64_t *ckks_limb_reduce(const ckks_context *c, unsigned t, const uint64_t *limb,
                                 size_t count, uint64_t *room)
{
    const ckks_modulus *m = &c->modulus[t];
    const uint64_t one = 1, *weight = &one;
    c->kernel->combine(&m, 1, &room, 1, &limb, &weight, count);
    return room;
}

const uint64_t *ckks_poly_range(const ckks_context *c, const ckks_poly *p, unsigned t, size_t from,
                                size_t count, uint64_t *room)
{
    unsigned i = ckks_poly_index(c, p, t);
    const uint64_t *limb = p->limb[i] + from;
    return p->modulus[i] == t ? limb : ckks_limb_reduce(c, t, limb, count, room);
}

/* ---- arithmetic ---- */

static fhola_status check_covers(size_t count, const ckks_poly out[], const ckks_poly in[])
{
    for (size_t k = 0; k < count; k++)
        if (!out[k].basis || out[k].basis != out->basis || out[k].basis & ~in[k].basis)
            return fhola_fail(FHOLA_LEVEL, "an operand over basis %#llx cannot give basis %#llx",
                              (unsigned long long)in[k].basis, (unsigned long long)out[k].basis);
    return FHOLA_OK;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

typedef void (*range_op)(const ckks_modulus *, uint64_t *, const uint64_t *, const uint64_t *,
                         size_t);

/* Limb i of out. */
static void operate_limb(const ckks_context *c, const ckks_poly *out, const ckks_poly *a,
                         const ckks_poly *b, unsigned i, range_op op)
{
    unsigned t = out->modulus[i];
    uint64_t room[2][CKKS_RANGE];
    size_t step = smaller(ckks_poly_step(c, a, t), ckks_poly_step(c, b, t));
    for (size_t j = 0; j < c->n; j += step)
        op(&c->modulus[t], out->limb[i] + j, ckks_poly_range(c, a, t, j, step, room[0]),
           ckks_poly_range(c, b, t, j, step, room[1]), step);
}

static fhola_status operate(const ckks_context *c, size_t count, const ckks_poly out[],
                            const ckks_poly a[], const ckks_poly b[], range_op op)
{
    FHOLA_TRY(check_covers(count, out, a));
    FHOLA_TRY(check_covers(count, out, b));
#pragma omp parallel for num_threads(ckks_context_threads(c)) schedule(static) collapse(2)
    for (size_t k = 0; k < count; k++)
        for (unsigned i = 0; i < out->limbs; i++) operate_limb(c, &out[k], &a[k], &b[k], i, op);
    return FHOLA_OK;
}

fhola_status ckks_poly_add(const ckks_context *c, size_t count, const ckks_poly out[],
                           const ckks_poly a[], const ckks_poly b[])
{
    return operate(c, count, out, a, b, c->kernel->add);
}

fhola_status ckks_poly_sub(const ckks_context *c, size_t count, const ckks_poly out[],
                           const ckks_poly a[], const ckks_poly b[])
{
    return operate(c, count, out, a, b, c->kernel->sub);
}

fhola_status ckks_poly_mul(const ckks_context *c, size_t count, const ckks_poly out[],
                           const ckks_poly a[], const ckks_poly b[])
{
    return operate(c, count, out, a, b, c->kernel->mul);
}

/* Serial: in place, a limb may lie where one before it was. */
fhola_status ckks_poly_copy(const ckks_context *c, size_t count, const ckks_poly out[],
                            const ckks_poly a[])
{
    FHOLA_TRY(check_covers(count, out, a));
    for (size_t k = 0; k < count; k++)
        for (unsigned i = 0; i < out->limbs; i++) {
            uint64_t room[CKKS_RANGE];
            unsigned t = out->modulus[i];
            size_t step = ckks_poly_step(c, &a[k], t);
            for (size_t j = 0; j < c->n; j += step) {
                const uint64_t *x = ckks_poly_range(c, &a[k], t, j, step, room);
                if (x != out[k].limb[i] + j) memmove(out[k].limb[i] + j, x, step * sizeof *x);
            }
        }
    return FHOLA_OK;
}

/* Limb i of the result is that of a times residue[i]. */
static fhola_status mul_residues(const ckks_context *c, size_t count, const ckks_poly out[],
                                 const ckks_poly a[], const uint64_t residue[])
{
    FHOLA_TRY(check_covers(count, out, a));
#pragma omp parallel for num_threads(ckks_context_threads(c)) schedule(static) collapse(2)
    for (size_t k = 0; k < count; k++)
        for (unsigned i = 0; i < out->limbs; i++) {
            unsigned t = out->modulus[i];
            const ckks_modulus *m = &c->modulus[t];
            uint64_t room[CKKS_RANGE];
            size_t step = ckks_poly_step(c, &a[k], t);
            for (size_t j = 0; j < c->n; j += step)
                c->kernel->mul_scalar(m, out[k].limb[i] + j,
                                      ckks_poly_range(c, &a[k], t, j, step, room), residue[i],
                                      step);
        }
    return FHOLA_OK;
}

fhola_status ckks_poly_mul_integer(const ckks_context *c, size_t count, const ckks_poly out[],
                                   const ckks_poly a[], int64_t factor)
{
    uint64_t magnitude = factor < 0 ? 0 - (uint64_t)factor : (uint64_t)factor,
             residue[CKKS_MAX_PRIMES];
    for (unsigned i = 0; i < out->limbs; i++) {
        uint64_t p = c->modulus[out->modulus[i]].p, r = magnitude % p;
        residue[i] = factor < 0 && r ? p - r : r;
    }
    return mul_residues(c, count, out, a, residue);
}

fhola_status ckks_poly_mul_whole(const ckks_context *c, size_t count, const ckks_poly out[],
                                 const ckks_poly a[], double factor)
{
    uint64_t residue[CKKS_MAX_PRIMES];
    for (unsigned i = 0; i < out->limbs; i++)
        residue[i] = ckks_integer_mod(c, factor, out->modulus[i]);
    return mul_residues(c, count, out, a, residue);
}

uint64_t ckks_integer_mod(const ckks_context *c, double x, unsigned t)
{
    /* |x| = mantissa 2^exponent, whatever its size */
    int exponent;
    uint64_t p = c->modulus[t].p,
             mantissa = (uint64_t)ldexp(frexp(fabs(rint(x)), &exponent), DBL_MANT_DIG);
    exponent -= DBL_MANT_DIG;
    uint64_t r = exponent <= 0
                     ? (mantissa >> -exponent) % p
                     : ckks_mod_mul(mantissa % p, ckks_mod_pow(2, (uint64_t)exponent, p), p);
    return x < 0 && r ? p - r : r;
}

void ckks_poly_add_integer(const ckks_context *c, const ckks_poly *out, double x)
{
#pragma omp parallel for num_threads(ckks_context_threads(c)) schedule(static)
    for (unsigned i = 0; i < out->limbs; i++) {
        unsigned t = out->modulus[i];
        c->kernel->add_scalar(&c->modulus[t], out->limb[i], out->limb[i], ckks_integer_mod(c, x, t),
                              c->n);
    }
}

void ckks_poly_mul_add_limb(const ckks_context *c, uint64_t *out, const ckks_poly *p, unsigned t,
                            uint64_t factor)
{
    uint64_t room[CKKS_RANGE];
    size_t step = ckks_poly_step(c, p, t);
    for (size_t j = 0; j < c->n; j += step)
        c->kernel->mul_scalar_add(&c->modulus[t], out + j, out + j,
                                  ckks_poly_range(c, p, t, j, step, room), factor, step);
}

void ckks_poly_tensor_limb(const ckks_context *c, const ckks_poly d[3], const ckks_poly a[2],
                           const ckks_poly b[2], unsigned i, bool accumulate)
{
    unsigned t = d->modulus[i];
    uint64_t room[4][CKKS_RANGE], part[3][CKKS_RANGE];
    size_t step = smaller(ckks_poly_step(c, a, t), ckks_poly_step(c, b, t));
    if (accumulate) step = smaller(step, CKKS_RANGE);
    for (size_t j = 0; j < c->n; j += step) {
        const uint64_t *a0 = ckks_poly_range(c, &a[0], t, j, step, room[0]);
        const uint64_t *a1 = ckks_poly_range(c, &a[1], t, j, step, room[1]);
        const uint64_t *b0 = a == b ? a0 : ckks_poly_range(c, &b[0], t, j, step, room[2]);
        const uint64_t *b1 = a == b ? a1 : ckks_poly_range(c, &b[1], t, j, step, room[3]);
        uint64_t *out[3];
        for (int k = 0; k < 3; k++) out[k] = accumulate ? part[k] : d[k].limb[i] + j;
        c->kernel->tensor(&c->modulus[t], out[0], out[1], out[2], a0, a1, b0, b1, step);
        for (int k = 0; k < 3 && accumulate; k++)
            c->kernel->add(&c->modulus[t], d[k].limb[i] + j, d[k].limb[i] + j, part[k], step);
    }
}
