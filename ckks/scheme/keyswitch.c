/* SPDX-License-Identifier: Apache-2.0 */
#include "ckks/scheme/keyswitch.h"

#include <string.h>

#include "ckks/ring/rns.h"

/* Target limbs per task: more share the reads of the source limbs, fewer keep threads evenly
 * busy. */
#define TARGET_CHUNK 3

/* ---- decomposition ---- */

static void shape_of(ckks_decomposition *d, const ckks_switch_key *key, ckks_basis basis)
{
    *d = (ckks_decomposition){.basis = basis, .special = key->request.p};
    for (unsigned j = 0; j < key->digits; j++) {
        if (!(key->digit[j] & basis)) continue;
        d->part[d->digits] = key->digit[j] & basis;
        d->key_digit[d->digits++] = j;
    }
}

/* Digit j over all primes: the polynomial's own limbs, and new ones. */
static fhola_status lay_digit(const ckks_context *c, ckks_workspace *ws,
                              const ckks_decomposition *d, unsigned j, const ckks_poly *polynomial)
{
    ckks_poly *digit = &d->digit[j];
    ckks_poly_lay(digit, c, d->basis | d->special, NULL);
    uint64_t *next = ckks_workspace_limbs(ws, digit->limbs - ckks_limb_count(c, d->part[j]));
    if (!next) return FHOLA_NOMEM;
    for (unsigned i = 0; i < digit->limbs; i++) {
        unsigned t = digit->modulus[i];
        if (d->part[j] & c->modulus[t].primes) {
            digit->limb[i] = ckks_poly_limb(polynomial, t);
        } else {
            digit->limb[i] = next;
            next += c->stride;
        }
    }
    return FHOLA_OK;
}

static fhola_status lay_digits(const ckks_context *c, ckks_workspace *ws, size_t count,
                               ckks_decomposition d[], const ckks_switch_key *key,
                               const ckks_poly polynomial[])
{
    for (size_t k = 0; k < count; k++) {
        if (polynomial[k].basis != polynomial->basis ||
            !ckks_basis_same_limbs(c->shared, polynomial[k].basis, key->request.q))
            return fhola_fail(FHOLA_LEVEL, "a key over the primes %s cannot switch %s",
                              ckks_basis_describe(c->params, key->request.q).text,
                              ckks_basis_describe(c->params, polynomial[k].basis).text);
        shape_of(&d[k], key, polynomial[k].basis);
        d[k].digit = ckks_workspace_take(ws, d[k].digits * sizeof *d[k].digit);
        if (!d[k].digit) return FHOLA_NOMEM;
        for (unsigned j = 0; j < d[k].digits; j++)
            FHOLA_TRY(lay_digit(c, ws, &d[k], j, &polynomial[k]));
    }
    return FHOLA_OK;
}

/* A conversion for each digit; NULL without memory. */
static ckks_conversion *lay_conversions(const ckks_context *c, ckks_workspace *ws, size_t count,
                                        const ckks_decomposition d[])
{
    unsigned digits = d->digits;
    uint64_t *y = ckks_workspace_limbs(ws, count * ckks_limb_count(c, d->basis)),
             *v = ckks_workspace_limbs(ws, count * digits);
    ckks_conversion *cv = ckks_workspace_take(ws, count * digits * sizeof *cv);
    if (!y || !v || !cv) return NULL;
    for (size_t k = 0; k < count * digits; k++) {
        ckks_poly_lay(&cv[k].y, c, d[k / digits].part[k % digits], y);
        y += cv[k].y.limbs * c->stride;
        cv[k].v = v + k * c->stride;
    }
    return cv;
}

/* Limb i of a polynomial, ready for the conversion of its digit. */
static void prepare_limb(const ckks_context *c, const ckks_decomposition *d,
                         const ckks_conversion cv[], const ckks_poly *polynomial, unsigned i)
{
    unsigned t = polynomial->modulus[i], j = 0;
    while (!(d->part[j] & c->modulus[t].primes)) j++;
    c->kernel->ntt_inverse_scaled(&c->modulus[t], ckks_poly_limb(&cv[j].y, t), polynomial->limb[i],
                                  ckks_conversion_factor(c, d->part[j], t));
}

/* One piece of mod_up: one digit of one polynomial to a few limbs. */
typedef struct raise_task {
    const ckks_conversion *conversion;
    const ckks_poly *digit;
    unsigned targets, target[TARGET_CHUNK];
} raise_task;

static size_t list_tasks(const ckks_context *c, raise_task task[], const ckks_decomposition *d,
                         const ckks_conversion cv[])
{
    size_t tasks = 0;
    for (unsigned j = 0; j < d->digits; j++) {
        unsigned open = TARGET_CHUNK;
        for (unsigned i = 0; i < d->digit[j].limbs; i++) {
            if (d->part[j] & c->modulus[d->digit[j].modulus[i]].primes) continue;
            if (open == TARGET_CHUNK) {
                task[tasks++] = (raise_task){.conversion = &cv[j], .digit = &d->digit[j]};
                open = 0;
            }
            task[tasks - 1].target[task[tasks - 1].targets++] = i;
            open++;
        }
    }
    return tasks;
}

fhola_status ckks_decompose(const ckks_context *c, ckks_workspace *ws, size_t count,
                            ckks_decomposition out[], const ckks_switch_key *key,
                            const ckks_poly polynomial[])
{
    if (count == 0) return FHOLA_OK;
    FHOLA_TRY(lay_digits(c, ws, count, out, key, polynomial));
    unsigned digits = out->digits, all = out->digit->limbs;
    ckks_conversion *cv = lay_conversions(c, ws, count, out);
    raise_task *task =
        ckks_workspace_take(ws, count * digits * (all / TARGET_CHUNK + 1) * sizeof *task);
    if (!cv || !task) return FHOLA_NOMEM;
#pragma omp parallel for num_threads(ckks_context_threads(c)) schedule(dynamic) collapse(2)
    for (unsigned i = 0; i < polynomial->limbs; i++)
        for (size_t k = 0; k < count; k++)
            prepare_limb(c, &out[k], &cv[k * digits], &polynomial[k], i);
    ckks_conversion_overflows(cv, count * digits, c);
    size_t tasks = 0;
    for (size_t k = 0; k < count; k++)
        tasks += list_tasks(c, task + tasks, &out[k], &cv[k * digits]);
#pragma omp parallel for num_threads(ckks_context_threads(c)) schedule(dynamic)
    for (size_t i = 0; i < tasks; i++)
        ckks_conversion_apply(task[i].conversion, c, task[i].digit, task[i].target,
                              task[i].targets);
    return FHOLA_OK;
}

void ckks_decomposition_of_one(ckks_decomposition *out, const ckks_switch_key *key,
                               ckks_basis basis, ckks_poly *polynomial)
{
    *out = (ckks_decomposition){.basis = basis,
                                .special = key->request.p,
                                .digits = 1,
                                .part = {basis},
                                .digit = polynomial,
                                .transformed = true};
}

fhola_status ckks_decomposition_check(const ckks_context *c, const ckks_decomposition *d,
                                      const ckks_switch_key *key)
{
    ckks_decomposition other;
    shape_of(&other, key, d->basis);
    bool fits = d->special == key->request.p &&
                ckks_basis_same_limbs(c->shared, d->basis, key->request.q) &&
                other.digits == d->digits &&
                !memcmp(other.part, d->part, d->digits * sizeof d->part[0]) &&
                !memcmp(other.key_digit, d->key_digit, d->digits * sizeof d->key_digit[0]);
    return fits ? FHOLA_OK
                : fhola_fail(FHOLA_KEY,
                             "the key of rotation %u has other digits than its neighbours",
                             key->request.rotation);
}

/* ---- inner products ---- */

void ckks_decomposition_transform(const ckks_context *c, const ckks_decomposition *d, unsigned i)
{
    if (d->transformed || !d->digits) return;
    unsigned t = d->digit->modulus[i];
    uint64_t *batch[CKKS_MAX_DIGITS];
    size_t n = 0;
    for (unsigned j = 0; j < d->digits; j++)
        if (!(d->part[j] & c->modulus[t].primes)) batch[n++] = d->digit[j].limb[i];
    c->kernel->ntt_forward(&c->modulus[t], batch, n);
}

/* A term of the kernel's inner product and the lists it points to. */
typedef struct operand {
    const uint64_t *limb[CKKS_MAX_DIGITS];
    const void *key[2][CKKS_MAX_DIGITS];
} operand;

static ckks_switch_term switch_term(const ckks_context *c, operand *o, const ckks_switch *s,
                                    unsigned i)
{
    const ckks_decomposition *d = s->of;
    unsigned t = d->digit->modulus[i];
    for (unsigned j = 0; j < d->digits; j++) {
        o->limb[j] = d->digit[j].limb[i];
        for (int part = 0; part < 2; part++)
            o->key[part][j] = ckks_switch_key_limb(c, s->key, d->key_digit[j], t, part);
    }
    return (ckks_switch_term){.sigma = s->key->sigma,
                              .digits = d->digits,
                              .digit = o->limb,
                              .key0 = o->key[0],
                              .key1 = o->key[1],
                              .add0 = s->add0 ? ckks_poly_limb(s->add0, t) : NULL,
                              .add1 = s->add1 ? ckks_poly_limb(s->add1, t) : NULL};
}

void ckks_switch_range(const ckks_context *c, size_t count, const ckks_switch s[], unsigned i,
                       size_t from, size_t words, uint64_t *out0, uint64_t *out1, bool accumulate)
{
    operand o[CKKS_MAX_SWITCHES];
    ckks_switch_term term[CKKS_MAX_SWITCHES];
    const ckks_decomposition *d = s->of;
    unsigned t = d->digit->modulus[i];
    ckks_basis missing = d->special & ~(s->add0 ? s->add0->basis : 0);
    for (size_t k = 0; k < count; k++) term[k] = switch_term(c, &o[k], &s[k], i);
    c->kernel->inner_product(&c->modulus[t], out0, out1, from, words, count, term,
                             ckks_product_mod(c, missing, t), accumulate);
}

static bool switched_before(const ckks_switch s[], size_t k)
{
    size_t j = 0;
    while (s[j].of != s[k].of) j++;
    return j < k;
}

void ckks_switch_each(const ckks_context *c, size_t count, const ckks_poly out[],
                      const ckks_switch s[])
{
#pragma omp parallel for num_threads(ckks_context_threads(c)) schedule(dynamic)
    for (unsigned i = 0; i < out->limbs; i++) {
        for (size_t k = 0; k < count; k++)
            if (!switched_before(s, k)) ckks_decomposition_transform(c, s[k].of, i);
        for (size_t k = 0; k < count; k++)
            ckks_switch_range(c, 1, &s[k], i, 0, c->n, out[2 * k].limb[i], out[2 * k + 1].limb[i],
                              false);
    }
    ckks_tally_key_switches(c->tally, count);
}

void ckks_switch_sum(const ckks_context *c, size_t count, const ckks_poly out[2],
                     const ckks_switch s[])
{
#pragma omp parallel for num_threads(ckks_context_threads(c)) schedule(dynamic)
    for (unsigned i = 0; i < out->limbs; i++) {
        for (size_t k = 0; k < count; k++) ckks_decomposition_transform(c, s[k].of, i);
        ckks_switch_range(c, count, s, i, 0, c->n, out[0].limb[i], out[1].limb[i], true);
    }
    ckks_tally_key_switches(c->tally, count);
}

fhola_status ckks_key_switch(const ckks_context *c, ckks_workspace *ws, const ckks_switch_key *key,
                             const ckks_poly *add0, const ckks_poly *add1,
                             const ckks_poly *polynomial, const ckks_poly out[2])
{
    ckks_decomposition d;
    ckks_mark mark = ckks_workspace_mark(ws);
    fhola_status status = ckks_decompose(c, ws, 1, &d, key, polynomial);
    if (status) goto end;
    const ckks_switch s = {&d, key, add0, add1};
    ckks_switch_each(c, 1, out, &s);
end:
    ckks_workspace_release(ws, mark);
    return status;
}
