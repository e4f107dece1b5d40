/* SPDX-License-Identifier: Apache-2.0 */
#include "ckks/keyswitch.h"

#include <string.h>

#include "ckks/rns.h"

#define TARGET_CHUNK                                                                               \
    3 /* target primes per task: more share the reads of the source limbs, fewer keep threads evenly busy */

/* One piece of mod_up: one digit of one polynomial to a few primes. */
typedef struct raise_task {
    const ckks_decomposition *d;
    const ckks_conversion *conversion;
    unsigned digit, targets;
    unsigned target[TARGET_CHUNK];
} raise_task;

static void shape_of(const ckks_context *c, ckks_decomposition *d, const ckks_switch_key *key,
                     ckks_basis basis)
{
    (void)c;
    d->basis = basis;
    d->special = key->request.p;
    d->digits = 0;
    for (unsigned j = 0; j < key->digits; j++) {
        if (!(key->digit[j] & basis)) continue;
        d->digit[d->digits] = key->digit[j] & basis;
        d->key_digit[d->digits++] = j;
    }
}

static size_t list_tasks(const ckks_context *c, raise_task *task, const ckks_decomposition *d,
                         const ckks_conversion *conversion)
{
    size_t tasks = 0;
    for (unsigned j = 0; j < d->digits; j++) {
        unsigned index[CKKS_MAX_PRIMES],
            n = ckks_limb_list(c, (d->basis | d->special) & ~d->digit[j], index);
        for (unsigned first = 0; first < n; first += TARGET_CHUNK) {
            raise_task *t = &task[tasks++];
            t->d = d;
            t->conversion = &conversion[j];
            t->digit = j;
            t->targets = n - first < TARGET_CHUNK ? n - first : TARGET_CHUNK;
            memcpy(t->target, index + first, t->targets * sizeof index[0]);
        }
    }
    return tasks;
}

static void run_task(const ckks_context *c, const raise_task *task)
{
    uint64_t *out[TARGET_CHUNK];
    for (unsigned i = 0; i < task->targets; i++)
        out[i] = ckks_limb(c, task->d->raised[task->digit], task->d->basis | task->d->special,
                           task->target[i]);
    ckks_conversion_apply(task->conversion, c, task->target, task->targets, out);
}

fhola_status ckks_decompose(const ckks_context *c, ckks_workspace *ws, ckks_decomposition *out,
                            size_t count, const ckks_switch_key *key, ckks_basis basis,
                            const uint64_t *const polynomial[])
{
    if (count == 0) return FHOLA_OK;
    ckks_basis whole = basis | key->request.p;
    unsigned index[CKKS_MAX_PRIMES], limbs = ckks_limb_list(c, basis, index),
                                     all = ckks_limb_count(c, whole);
    for (size_t k = 0; k < count; k++) {
        shape_of(c, &out[k], key, basis);
        out[k].own = polynomial[k];
        for (unsigned j = 0; j < out[k].digits; j++) {
            out[k].raised[j] = ckks_workspace_poly(ws, all);
            if (!out[k].raised[j]) return FHOLA_NOMEM;
        }
    }
    unsigned digits = out[0].digits;
    uint64_t *y = ckks_workspace_poly(ws, count * limbs),
             *v = ckks_workspace_poly(ws, count * digits);
    ckks_conversion *conversion = ckks_workspace_take(ws, count * digits * sizeof *conversion);
    raise_task *task =
        ckks_workspace_take(ws, count * digits * (all / TARGET_CHUNK + 1) * sizeof *task);
    if (!y || !v || !conversion || !task) return FHOLA_NOMEM;
        /* y holds the limbs digit by digit. */
#pragma omp parallel for schedule(dynamic) collapse(2)
    for (unsigned i = 0; i < limbs; i++)
        for (size_t k = 0; k < count; k++) {
            const ckks_prime *p = &c->prime[index[i]];
            size_t before = 0;
            unsigned j = 0;
            for (; !(out[k].digit[j] & c->part[index[i]]); j++)
                before += ckks_limb_count(c, out[k].digit[j]);
            ckks_basis digit = out[k].digit[j];
            uint64_t *limb =
                y + (k * limbs + before + ckks_limb_index(c, digit, index[i])) * c->stride;
            c->kernel->ntt_inverse_scaled(p, limb, polynomial[k] + i * c->stride,
                                          ckks_conversion_factor(c, digit, index[i]));
        }
    size_t tasks = 0;
    for (size_t k = 0; k < count; k++) {
        unsigned at = 0;
        for (unsigned j = 0; j < digits; j++) {
            ckks_conversion_set(&conversion[k * digits + j], c, out[k].digit[j],
                                y + (k * limbs + at) * c->stride, v + (k * digits + j) * c->stride);
            at += ckks_limb_count(c, out[k].digit[j]);
        }
        tasks += list_tasks(c, task + tasks, &out[k], conversion + k * digits);
    }
    ckks_conversion_overflows(conversion, count * digits, c);
#pragma omp parallel for schedule(dynamic)
    for (size_t i = 0; i < tasks; i++) run_task(c, &task[i]);
    return FHOLA_OK;
}

void ckks_decomposition_limbs(const ckks_context *c, const ckks_decomposition *d, unsigned prime,
                              const uint64_t *limb[CKKS_MAX_DIGITS])
{
    uint64_t *batch[CKKS_MAX_DIGITS];
    size_t n = 0;
    for (unsigned j = 0; j < d->digits; j++) {
        if (d->digit[j] & c->part[prime]) {
            limb[j] = ckks_limb_const(c, d->own, d->basis, prime);
        } else {
            batch[n] = ckks_limb(c, d->raised[j], d->basis | d->special, prime);
            limb[j] = batch[n++];
        }
    }
    c->kernel->ntt_forward(&c->prime[prime], batch, n);
}

int ckks_decomposition_fits(const ckks_context *c, const ckks_decomposition *d,
                            const ckks_switch_key *key)
{
    ckks_decomposition other;
    if (d->special != key->request.p ||
        !ckks_basis_same_limbs(&c->params, d->basis, key->request.q))
        return 0;
    shape_of(c, &other, key, d->basis);
    return other.digits == d->digits &&
           !memcmp(other.digit, d->digit, d->digits * sizeof d->digit[0]) &&
           !memcmp(other.key_digit, d->key_digit, d->digits * sizeof d->key_digit[0]);
}

void ckks_switch_operand_set(ckks_switch_operand *out, const ckks_context *c,
                             const ckks_decomposition *d, const ckks_switch_key *key,
                             unsigned prime, const uint64_t *const limb[], const uint64_t *add0,
                             const uint64_t *add1)
{
    for (unsigned j = 0; j < d->digits; j++)
        for (int part = 0; part < 2; part++)
            out->key[part][j] = ckks_switch_key_limb(c, key, d->key_digit[j], prime, part);
    out->term =
        (ckks_switch_term){key->sigma, d->digits, limb, out->key[0], out->key[1], add0, add1};
}

void ckks_switch_limb(const ckks_context *c, const ckks_decomposition *d,
                      const ckks_switch_key *key, unsigned prime, const uint64_t *const limb[],
                      uint64_t *out0, uint64_t *out1, const uint64_t *add0, const uint64_t *add1,
                      uint64_t factor)
{
    ckks_switch_operand o;
    ckks_switch_operand_set(&o, c, d, key, prime, limb, add0, add1);
    c->kernel->inner_product(&c->prime[prime], out0, out1, 0, c->n, 1, &o.term, factor, 0);
}

void ckks_switch_count(const ckks_context *c, ckks_workspace *ws, const ckks_decomposition *d,
                       size_t count, size_t keys)
{
    unsigned limbs = ckks_limb_count(c, d->basis), all = limbs + ckks_limb_count(c, d->special);
    size_t bytes = 0;
    unsigned index[CKKS_MAX_PRIMES], whole = ckks_limb_list(c, d->basis | d->special, index);
    for (unsigned i = 0; i < whole; i++) bytes += 2 * c->n * c->prime[index[i]].width;
    ws->counters.ntt += count * (limbs + (size_t)d->digits * all - limbs);
    ws->counters.key_switches += count * keys;
    ws->counters.key_bytes += count * keys * d->digits * bytes;
}

fhola_status ckks_key_switch(const ckks_context *c, ckks_workspace *ws, const ckks_switch_key *key,
                             ckks_basis basis, const uint64_t *add0, const uint64_t *add1,
                             const uint64_t *poly, uint64_t *const out[2])
{
    ckks_basis whole = basis | key->request.p;
    unsigned index[CKKS_MAX_PRIMES], all = ckks_limb_list(c, whole, index);
    ckks_mark mark = ckks_workspace_mark(ws);
    ckks_decomposition d;
    fhola_status st = ckks_decompose(c, ws, &d, 1, key, basis, &poly);
    if (!st) {
#pragma omp parallel for schedule(dynamic)
        for (unsigned i = 0; i < all; i++) {
            unsigned t = index[i];
            const uint64_t *limb[CKKS_MAX_DIGITS];
            int in_q = (basis & c->part[t]) != 0;
            ckks_decomposition_limbs(c, &d, t, limb);
            ckks_switch_limb(c, &d, key, t, limb, out[0] + i * c->stride, out[1] + i * c->stride,
                             add0 && in_q ? ckks_limb_const(c, add0, basis, t) : NULL,
                             add1 && in_q ? ckks_limb_const(c, add1, basis, t) : NULL,
                             ckks_product_mod(c, key->request.p, t));
        }
        ckks_switch_count(c, ws, &d, 1, 1);
    }
    ckks_workspace_release(ws, mark);
    return st;
}
