/* SPDX-License-Identifier: Apache-2.0 */
/* Baby-step giant-step with hoisting: with every diagonal offset written as giant + baby,
 *
 *     y = sum over giants J of rot_J( sum over babies b of diagonal_(J+b) shifted right by J  *  rot_b(x) ).
 *
 * All baby rotations share one decomposition of x. The steps, prime by prime wherever possible:
 *   A  decompose x
 *   B  babies: inner products with the baby keys; double hoisting keeps them over Q and P, single hoisting divides by P
 *   C  plaintext products, summed per giant
 *   D  giants: decompose each sum's second polynomial, inner products, all added up over Q and P
 *   E  one division by P and the primes the caller drops. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ckks/alloc.h"
#include "ckks/encode.h"
#include "ckks/evaluate.h"
#include "ckks/rns.h"

#ifdef _OPENMP
#include <omp.h>
#endif

#define BABY_BATCH  4u                /* babies divided by P at a time */
#define GIANT_BATCH CKKS_MAX_SWITCHES /* giants switched at a time */
#define FUSED_RANGE                                                                                \
    1024u /* positions of all babies made and used at a time: they stay in the second-level cache */
#define CACHE_BYTES ((size_t)512 << 10)

/* One diagonal: which baby it multiplies, and its packed limbs. */
typedef struct term {
    int32_t offset;
    unsigned baby;
    unsigned char *plain; /* NULL without encoding */
} term;

struct ckks_lintrans {
    const ckks_context *context;
    ckks_basis basis, special;
    ckks_basis encoded; /* primes the diagonals are encoded over */
    int double_hoist, has_plain;
    double plain_scale;
    size_t period;
    unsigned log_gap;
    unsigned babies, giants, terms;
    int32_t *baby, *giant; /* rotations */
    /* giants + 1: terms of giant j are first[j] .. first[j + 1] - 1, ordered by baby */
    unsigned *first;
    term *term;
    size_t limb_offset[CKKS_MAX_PRIMES], plain_bytes;
    unsigned char *data;
};

static int32_t floor_mod(int32_t a, int32_t m)
{
    int32_t r = a % m;
    return r < 0 ? r + m : r;
}

/* offset = giant + baby with giant a multiple of step and -shift <= baby < step - shift. */
static int32_t baby_of(int32_t offset, int32_t step, int32_t shift)
{
    return floor_mod(offset + shift, step) - shift;
}

static int compare_int32(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

static size_t unique(int32_t *value, size_t count)
{
    qsort(value, count, sizeof *value, compare_int32);
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        if (n == 0 || value[n - 1] != value[i]) value[n++] = value[i];
    return n;
}

/* Nonzero entries of a sorted list of rotations. */
static size_t rotations(const int32_t *value, size_t count)
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++) n += value[i] != 0;
    return n;
}

/* Cost of a split in limb transforms: a baby costs its division by P (not with double hoisting), a
 * giant its decomposition. */
static double split_cost(const ckks_context *c, const ckks_lintrans_spec *spec, size_t babies,
                         size_t giants)
{
    ckks_basis digit[CKKS_MAX_DIGITS];
    double q = ckks_limb_count(c, spec->basis), p = ckks_limb_count(c, spec->special);
    double digits = ckks_switch_key_digits(c, spec->basis, spec->special, digit),
           inner = 0.15 * digits * (q + p);
    double raise = digits * (q + p), lower = 2 * (q + p);
    return spec->double_hoist
               ? (double)babies * inner + (double)giants * (inner + raise + lower / 2)
               : (double)babies * (inner + lower) + (double)giants * (inner + raise);
}

/* The cheapest (step, shift): every step up to 64, multiples of 32 and powers of two beyond; babies
 * from 0 or centred. */
static void choose_split(const ckks_context *c, const ckks_lintrans_spec *spec, int32_t *scratch,
                         int32_t *step, int32_t *shift)
{
    double best = INFINITY;
    *step = 1;
    *shift = 0;
    for (int32_t s = 1; s <= (int32_t)c->slots; s += s < 64 ? 1 : 32) {
        if (s > 4096 && (s & (s - 1))) continue;
        for (int centred = 0; centred < 2; centred++) {
            int32_t *baby = scratch, *giant = scratch + spec->count, sh = centred ? s / 2 : 0;
            for (size_t i = 0; i < spec->count; i++) {
                baby[i] = baby_of(spec->offset[i], s, sh);
                giant[i] = spec->offset[i] - baby[i];
            }
            size_t nb = unique(baby, spec->count), ng = unique(giant, spec->count);
            double cost = split_cost(c, spec, rotations(baby, nb), rotations(giant, ng));
            if (cost < best) {
                best = cost;
                *step = s;
                *shift = sh;
            }
        }
    }
}

/* Sorts the diagonals into giants and babies. */
static fhola_status split(ckks_lintrans *lt, const ckks_lintrans_spec *spec)
{
    size_t n = spec->count;
    int32_t *scratch = malloc(2 * n * sizeof *scratch);
    lt->baby = malloc(n * sizeof *lt->baby);
    lt->giant = malloc(n * sizeof *lt->giant);
    lt->first = calloc(n + 1, sizeof *lt->first);
    lt->term = calloc(n, sizeof *lt->term);
    if (!scratch || !lt->baby || !lt->giant || !lt->first || !lt->term) {
        free(scratch);
        return fhola_fail(FHOLA_NOMEM, "no memory for a transform of %zu diagonals", n);
    }
    memcpy(scratch, spec->offset, n * sizeof *scratch);
    if (unique(scratch, n) < n) {
        free(scratch);
        return fhola_fail(FHOLA_PARAM, "the offsets of a transform are not distinct");
    }
    int32_t step = (int32_t)spec->baby_step, shift = 0;
    if (step == 0) choose_split(lt->context, spec, scratch, &step, &shift);
    for (size_t i = 0; i < n; i++) {
        lt->baby[i] = baby_of(spec->offset[i], step, shift);
        lt->giant[i] = spec->offset[i] - lt->baby[i];
    }
    lt->babies = (unsigned)unique(lt->baby, n);
    lt->giants = (unsigned)unique(lt->giant, n);
    for (unsigned j = 0; j < lt->giants; j++) {
        lt->first[j] = lt->terms;
        for (unsigned b = 0; b < lt->babies; b++)
            for (size_t i = 0; i < n; i++)
                if (spec->offset[i] == lt->giant[j] + lt->baby[b]) {
                    lt->term[lt->terms].offset = spec->offset[i];
                    lt->term[lt->terms++].baby = b;
                }
    }
    lt->first[lt->giants] = lt->terms;
    free(scratch);
    return FHOLA_OK;
}

/* Encodes the diagonals of terms first .. last - 1 on one thread; scratch: 2 period doubles, 2
 * period integers, values, one limb. */
static fhola_status encode_terms(ckks_lintrans *lt, const ckks_lintrans_spec *spec, unsigned first,
                                 unsigned last)
{
    const ckks_context *c = lt->context;
    size_t period = lt->period;
    unsigned index[CKKS_MAX_PRIMES], limbs = ckks_limb_list(c, lt->encoded, index);
    ckks_complex *value = malloc(2 * period * sizeof *value);
    double *scratch = malloc(2 * period * sizeof *scratch);
    int64_t *coefficient = ckks_alloc(2 * period * sizeof *coefficient);
    uint64_t *limb = ckks_alloc(c->n * sizeof *limb);
    fhola_status st = value && scratch && coefficient && limb
                          ? FHOLA_OK
                          : fhola_fail(FHOLA_NOMEM, "no memory to encode a transform");
    for (unsigned i = first; i < last && !st; i++) {
        unsigned giant = 0;
        while (lt->first[giant + 1] <= i) giant++;
        if (spec->diagonal(spec->arg, lt->term[i].offset, value)) {
            st = fhola_fail(FHOLA_PARAM, "diagonal %d of a transform is not available",
                            lt->term[i].offset);
            break;
        }
        /* shifted right by the giant step: entry s comes from s - J */
        size_t shift = (size_t)floor_mod(-lt->giant[giant], (int32_t)period);
        for (size_t s = 0; s < period; s++) value[period + s] = value[(s + shift) & (period - 1)];
        st = ckks_encode_coefficients(c, coefficient, scratch, value + period, period,
                                      lt->plain_scale);
        for (unsigned t = 0; t < limbs && !st; t++) {
            ckks_encode_packed(c, index[t], lt->log_gap,
                               lt->term[i].plain + lt->limb_offset[index[t]], limb, coefficient,
                               period);
        }
    }
    free(value);
    free(scratch);
    ckks_free(coefficient);
    ckks_free(limb);
    return st;
}

static fhola_status encode_all(ckks_lintrans *lt, const ckks_lintrans_spec *spec)
{
    const ckks_context *c = lt->context;
    for (unsigned t = 0; t < c->moduli; t++)
        lt->limb_offset[t] = ckks_packed_bytes(c, ckks_basis_below(c, lt->encoded, t), lt->log_gap);
    lt->plain_bytes = ckks_packed_bytes(c, lt->encoded, lt->log_gap);
    lt->data = ckks_alloc(lt->plain_bytes * lt->terms);
    if (!lt->data)
        return fhola_fail(FHOLA_NOMEM, "no memory for %zu bytes of encoded diagonals",
                          lt->plain_bytes * lt->terms);
    for (unsigned i = 0; i < lt->terms; i++) lt->term[i].plain = lt->data + i * lt->plain_bytes;
    lt->has_plain = 1;
    /* The diagonal callback belongs to the caller and need not be reentrant only if it keeps state:
     * it is called from several threads. */
    fhola_status failed = FHOLA_OK;
    unsigned tasks = 4 * ckks_threads() < lt->terms ? 4 * ckks_threads() : lt->terms;
#pragma omp parallel for schedule(dynamic)
    for (unsigned k = 0; k < tasks; k++) {
        fhola_status st =
            encode_terms(lt, spec, lt->terms * k / tasks, lt->terms * (k + 1) / tasks);
        if (st)
#pragma omp critical(ckks_lintrans_encode)
            failed = st;
    }
    return failed
               ? fhola_fail(failed, "encoding a linear transform of %u diagonals failed", lt->terms)
               : FHOLA_OK;
}

static fhola_status check_spec(const ckks_context *c, const ckks_lintrans_spec *spec)
{
    if (!spec->basis || spec->basis & ~c->chain || !spec->special || spec->special & ~c->special)
        return fhola_fail(FHOLA_LEVEL, "a transform needs chain primes and special primes");
    if (spec->count == 0 || spec->count > 4096)
        return fhola_fail(FHOLA_PARAM, "%zu diagonals are outside 1..4096", spec->count);
    if (spec->period == 0 || spec->period > c->slots || spec->period & (spec->period - 1))
        return fhola_fail(FHOLA_PARAM, "a period of %zu slots is not a power of two up to %zu",
                          spec->period, c->slots);
    if (!(spec->plain_scale > 0))
        return fhola_fail(FHOLA_SCALE, "scale %g of the diagonals is not positive",
                          spec->plain_scale);
    for (size_t i = 0; i < spec->count; i++)
        if (spec->offset[i] <= -(int32_t)c->slots || spec->offset[i] >= (int32_t)c->slots)
            return fhola_fail(FHOLA_PARAM, "offset %d is outside the slots", spec->offset[i]);
    if (spec->baby_step > c->slots)
        return fhola_fail(FHOLA_PARAM, "baby step %u exceeds the %zu slots", spec->baby_step,
                          c->slots);
    ckks_basis digit[CKKS_MAX_DIGITS];
    return ckks_switch_key_digits(c, spec->basis, spec->special, digit) ? FHOLA_OK : FHOLA_PARAM;
}

fhola_status ckks_lintrans_create(ckks_lintrans **out, const ckks_context *c, ckks_workspace *ws,
                                  const ckks_lintrans_spec *spec)
{
    (void)ws;
    fhola_status st = check_spec(c, spec);
    if (st) return st;
    ckks_lintrans *lt = calloc(1, sizeof *lt);
    if (!lt) return fhola_fail(FHOLA_NOMEM, "no memory for a transform");
    lt->context = c;
    lt->basis = spec->basis;
    lt->special = spec->special;
    lt->encoded = spec->basis | (spec->double_hoist ? spec->special : 0);
    lt->double_hoist = spec->double_hoist;
    lt->plain_scale = spec->plain_scale;
    lt->period = spec->period;
    lt->log_gap = ckks_packed_log_gap(c, spec->period);
    st = split(lt, spec);
    if (!st && spec->diagonal) st = encode_all(lt, spec);
    if (st) {
        ckks_lintrans_destroy(lt);
        return st;
    }
    *out = lt;
    return FHOLA_OK;
}

void ckks_lintrans_destroy(ckks_lintrans *lt)
{
    if (!lt) return;
    free(lt->baby);
    free(lt->giant);
    free(lt->first);
    free(lt->term);
    ckks_free(lt->data);
    free(lt);
}

size_t ckks_lintrans_bytes(const ckks_lintrans *lt)
{
    return lt->has_plain ? lt->plain_bytes * lt->terms : 0;
}

fhola_status ckks_lintrans_keys(const ckks_lintrans *lt, const ckks_context *c, ckks_key_list *list)
{
    ckks_key_request r = {CKKS_KEY_ROTATE, 0, lt->basis, lt->special};
    fhola_status st = FHOLA_OK;
    for (unsigned b = 0; b < lt->babies && !st; b++) {
        r.rotation = (uint32_t)lt->baby[b];
        st = ckks_key_list_add(list, c, r);
    }
    for (unsigned j = 0; j < lt->giants && !st; j++) {
        r.rotation = (uint32_t)lt->giant[j];
        st = ckks_key_list_add(list, c, r);
    }
    return st;
}

/* What one application works with. `whole` is the input's basis and the special primes; blocks over
 * it are named after the step that fills them. */
typedef struct application {
    const ckks_context *c;
    const ckks_lintrans *lt;
    const ckks_ciphertext *in;
    ckks_basis basis, whole;
    const ckks_switch_key **baby_key, **giant_key; /* NULL entries: no rotation */
    uint64_t **x[2];                               /* single hoisting: babies over basis */
    /* per giant: over whole (double) or basis (single) */
    uint64_t **sum[2];
    uint64_t *total[2]; /* over whole */
    const void **list;  /* per thread: LISTS * babies pointers */
} application;

#define LISTS 5u /* x0, x1 of all babies; plaintexts, x0, x1 of one giant's terms */

static const uint64_t **thread_list(const application *a, unsigned list)
{
    unsigned thread = 0;
#ifdef _OPENMP
    thread = (unsigned)omp_get_thread_num();
#endif
    return (const uint64_t **)(a->list + ((size_t)thread * LISTS + list) * a->lt->babies);
}

static fhola_status find_keys(application *a, ckks_workspace *ws, const ckks_eval_keys *keys,
                              const ckks_switch_key ***out, const int32_t *rotation, unsigned count)
{
    uint32_t mask = (uint32_t)(a->c->slots - 1);
    const ckks_switch_key **key = ckks_workspace_take(ws, count * sizeof *key);
    if (!key) return FHOLA_NOMEM;
    for (unsigned i = 0; i < count; i++) {
        uint32_t k = (uint32_t)rotation[i] & mask;
        key[i] = NULL;
        fhola_status st =
            k ? ckks_eval_keys_find(&key[i], keys, CKKS_KEY_ROTATE, k, a->basis, a->lt->special)
              : FHOLA_OK;
        if (st) return st;
    }
    *out = key;
    return FHOLA_OK;
}

static fhola_status take_blocks(ckks_workspace *ws, uint64_t ***out, size_t count, unsigned limbs)
{
    uint64_t **block = ckks_workspace_take(ws, (count + 1) * sizeof *block);
    if (!block) return FHOLA_NOMEM;
    for (size_t i = 0; i < count; i++)
        if (!(block[i] = ckks_workspace_poly(ws, limbs))) return FHOLA_NOMEM;
    *out = block;
    return FHOLA_OK;
}

static const ckks_switch_key *any_key(const ckks_switch_key *const *key, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (key[i]) return key[i];
    return NULL;
}

/* Positions worked on at a time: both polynomials of all babies over a range stay in half a
 * second-level cache, whatever the number of giants that read them. A multiple of 512, at most
 * n. */
static size_t range_length(const application *a)
{
    size_t words = CACHE_BYTES / (2 * sizeof(uint64_t) * a->lt->babies), length = 512;
    while (2 * length <= words && 2 * length <= a->c->n) length *= 2;
    return length < a->c->n ? length : a->c->n;
}

/* Step C for one prime and positions from .. from + count - 1, which start x[k][b], the baby limbs;
 * a NULL x[0][b] is zero modulo this prime. */
static void multiply_plain(const application *a, unsigned prime, const uint64_t *const *x0,
                           const uint64_t *const *x1, ckks_basis sum_basis, size_t from,
                           size_t count)
{
    const ckks_lintrans *lt = a->lt;
    const ckks_prime *p = &a->c->prime[prime];
    const void **plain = (const void **)thread_list(a, 2);
    const uint64_t **f = thread_list(a, 3), **g = thread_list(a, 4);
    size_t plain_from = lt->limb_offset[prime] + (from >> lt->log_gap) * p->width;
    for (unsigned j = 0; j < lt->giants; j++) {
        size_t terms = 0;
        for (unsigned i = lt->first[j]; i < lt->first[j + 1]; i++) {
            unsigned b = lt->term[i].baby;
            if (!x0[b]) continue;
            plain[terms] = lt->term[i].plain + plain_from;
            f[terms] = x0[b];
            g[terms++] = x1[b];
        }
        uint64_t *out0 = ckks_limb(a->c, a->sum[0][j], sum_basis, prime),
                 *out1 = ckks_limb(a->c, a->sum[1][j], sum_basis, prime);
        a->c->kernel->plain_product(p, out0 + from, out1 + from, count, terms, plain, lt->log_gap,
                                    f, g, 0);
    }
}

/* Steps B and C with double hoisting for one prime: a range of positions of every baby is made and
 * multiplied while it is in the cache. room: two polynomials' ranges for each baby. */
static void babies_double_prime(const application *a, ckks_decomposition *d, unsigned t,
                                uint64_t *room, size_t range)
{
    const ckks_context *c = a->c;
    const ckks_lintrans *lt = a->lt;
    const ckks_prime *p = &c->prime[t];
    const uint64_t **x0 = thread_list(a, 0), **x1 = thread_list(a, 1), *limb[CKKS_MAX_DIGITS];
    int in_q = (a->basis & c->part[t]) != 0;
    uint64_t P = ckks_product_mod(c, lt->special, t);
    const uint64_t *c0 = in_q ? ckks_limb_const(c, a->in->poly[0], a->basis, t) : NULL;
    const uint64_t *c1 = in_q ? ckks_limb_const(c, a->in->poly[1], a->basis, t) : NULL;
    if (d->digits) ckks_decomposition_limbs(c, d, t, limb);
    for (size_t from = 0; from < c->n; from += range) {
        for (unsigned b = 0; b < lt->babies; b++) {
            uint64_t *u0 = room + 2 * b * range, *u1 = u0 + range;
            x0[b] = u0;
            x1[b] = u1;
            if (a->baby_key[b]) {
                ckks_switch_operand o;
                ckks_switch_operand_set(&o, c, d, a->baby_key[b], t, limb, c0, NULL);
                c->kernel->inner_product(p, u0, u1, from, range, 1, &o.term, P, 0);
            } else if (in_q) { /* P x */
                c->kernel->mul_scalar(p, u0, c0 + from, P, range);
                c->kernel->mul_scalar(p, u1, c1 + from, P, range);
            } else {
                x0[b] = x1[b] = NULL;
            }
        }
        multiply_plain(a, t, x0, x1, a->whole, from, range);
    }
}

/* One pass over the primes. */
static fhola_status babies_double(application *a, ckks_workspace *ws, ckks_decomposition *d)
{
    unsigned index[CKKS_MAX_PRIMES], all = ckks_limb_list(a->c, a->whole, index),
                                     threads = ckks_threads();
    size_t range = a->c->n < FUSED_RANGE ? a->c->n : FUSED_RANGE,
           words = 2 * a->lt->babies * range + 8;
    uint64_t *room = ckks_workspace_take(ws, threads * words * sizeof *room);
    if (!room) return FHOLA_NOMEM;
#pragma omp parallel for schedule(dynamic) num_threads(threads)
    for (unsigned i = 0; i < all; i++) {
        unsigned thread = 0;
#ifdef _OPENMP
        thread = (unsigned)omp_get_thread_num();
#endif
        babies_double_prime(a, d, index[i], room + thread * words, range);
    }
    return FHOLA_OK;
}

/* The digits' limbs modulo prime t once ckks_decomposition_limbs has transformed them. */
static void transformed_limbs(const application *a, const ckks_decomposition *d, unsigned t,
                              const uint64_t *limb[CKKS_MAX_DIGITS])
{
    for (unsigned j = 0; j < d->digits; j++)
        limb[j] = d->digit[j] & a->c->part[t] ? ckks_limb_const(a->c, d->own, d->basis, t)
                                              : ckks_limb(a->c, d->raised[j], a->whole, t);
}

/* Step B with single hoisting: every baby ends over the input's basis. */
static fhola_status babies_single(application *a, ckks_workspace *ws, ckks_decomposition *d)
{
    const ckks_context *c = a->c;
    const ckks_lintrans *lt = a->lt;
    unsigned index[CKKS_MAX_PRIMES], all = ckks_limb_list(c, a->whole, index);
    uint64_t **raised;
    fhola_status st = take_blocks(ws, &raised, 2 * BABY_BATCH, all);
#pragma omp parallel for schedule(dynamic)
    for (unsigned i = 0; i < all; i++) {
        const uint64_t *limb[CKKS_MAX_DIGITS];
        if (d->digits) ckks_decomposition_limbs(c, d, index[i], limb);
    }
    for (unsigned first = 0; first < lt->babies && !st;) {
        unsigned member[BABY_BATCH], n = 0;
        for (; first < lt->babies && n < BABY_BATCH; first++) {
            if (a->baby_key[first]) {
                member[n++] = first;
            } else {
                a->x[0][first] = (uint64_t *)(uintptr_t)a->in->poly[0];
                a->x[1][first] = (uint64_t *)(uintptr_t)a->in->poly[1];
            }
        }
        if (n == 0) break;
#pragma omp parallel for schedule(dynamic) collapse(2)
        for (unsigned i = 0; i < all; i++)
            for (unsigned k = 0; k < n; k++) {
                unsigned t = index[i];
                const uint64_t *limb[CKKS_MAX_DIGITS];
                const uint64_t *c0 =
                    a->basis & c->part[t] ? ckks_limb_const(c, a->in->poly[0], a->basis, t) : NULL;
                transformed_limbs(a, d, t, limb);
                ckks_switch_limb(c, d, a->baby_key[member[k]], t, limb,
                                 raised[2 * k] + i * c->stride, raised[2 * k + 1] + i * c->stride,
                                 c0, NULL, ckks_product_mod(c, lt->special, t));
            }
        uint64_t *target[2 * BABY_BATCH];
        for (unsigned k = 0; k < 2 * n; k++) target[k] = a->x[k % 2][member[k / 2]];
        st = ckks_divide_round(c, ws, target, (const uint64_t *const *)raised, 2 * n, a->whole,
                               a->basis);
    }
    return st;
}

static void products_single(const application *a)
{
    unsigned index[CKKS_MAX_PRIMES], limbs = ckks_limb_list(a->c, a->basis, index),
                                     babies = a->lt->babies;
    size_t step = range_length(a);
#pragma omp parallel for schedule(dynamic) collapse(2)
    for (unsigned i = 0; i < limbs; i++)
        for (size_t from = 0; from < a->c->n; from += step) {
            const uint64_t **x0 = thread_list(a, 0), **x1 = thread_list(a, 1);
            for (unsigned b = 0; b < babies; b++) {
                x0[b] = a->x[0][b] + i * a->c->stride + from;
                x1[b] = a->x[1][b] + i * a->c->stride + from;
            }
            multiply_plain(a, index[i], x0, x1, a->basis, from, step);
        }
}

/* Step D: total = sum over giants of the switched sums, over whole. */
static fhola_status giants(application *a, ckks_workspace *ws)
{
    const ckks_context *c = a->c;
    const ckks_lintrans *lt = a->lt;
    ckks_basis sum_basis = lt->double_hoist ? a->whole : a->basis;
    unsigned index[CKKS_MAX_PRIMES], all = ckks_limb_list(c, a->whole, index);
    fhola_status st = FHOLA_OK;
    /* Giants that are no rotation start the total: offsets a multiple of all slots apart make
     * several. */
#pragma omp parallel for schedule(static) collapse(2)
    for (int k = 0; k < 2; k++)
        for (unsigned i = 0; i < all; i++) {
            uint64_t *out = a->total[k] + i * c->stride;
            uint64_t factor = lt->double_hoist ? 1 : ckks_product_mod(c, lt->special, index[i]);
            memset(out, 0, c->n * sizeof *out);
            for (unsigned j = 0; j < lt->giants && sum_basis & c->part[index[i]]; j++)
                if (!a->giant_key[j])
                    c->kernel->mul_scalar_add(&c->prime[index[i]], out, out,
                                              ckks_limb(c, a->sum[k][j], sum_basis, index[i]),
                                              factor, c->n);
        }
    for (unsigned first = 0; first < lt->giants && !st;) {
        unsigned member[GIANT_BATCH], n = 0;
        for (; first < lt->giants && n < GIANT_BATCH; first++) {
            if (!a->giant_key[first]) continue;
            if ((n + 1) * a->giant_key[first]->digits > CKKS_MAX_TERMS) break;
            member[n++] = first;
        }
        if (n == 0) break;
        ckks_mark mark = ckks_workspace_mark(ws);
        ckks_decomposition d[GIANT_BATCH];
        const uint64_t *source[GIANT_BATCH];
        for (unsigned k = 0; k < n; k++) source[k] = a->sum[1][member[k]];
        if (lt->double_hoist) {
            uint64_t **lowered;
            st = take_blocks(ws, &lowered, n, ckks_limb_count(c, a->basis));
            if (!st) st = ckks_divide_round(c, ws, lowered, source, n, a->whole, a->basis);
            for (unsigned k = 0; k < n && !st; k++) source[k] = lowered[k];
        }
        if (!st) st = ckks_decompose(c, ws, d, n, a->giant_key[member[0]], a->basis, source);
        for (unsigned k = 0; k < n && !st; k++)
            if (!ckks_decomposition_fits(c, &d[k], a->giant_key[member[k]]))
                st = fhola_fail(FHOLA_KEY,
                                "the key of rotation %d has other digits than its neighbours",
                                lt->giant[member[k]]);
        if (!st) {
#pragma omp parallel for schedule(dynamic)
            for (unsigned i = 0; i < all; i++) {
                unsigned t = index[i];
                ckks_switch_operand o[GIANT_BATCH];
                ckks_switch_term switched[GIANT_BATCH];
                const uint64_t *limb[GIANT_BATCH][CKKS_MAX_DIGITS];
                for (unsigned k = 0; k < n; k++) {
                    const uint64_t *add0 = sum_basis & c->part[t]
                                               ? ckks_limb(c, a->sum[0][member[k]], sum_basis, t)
                                               : NULL;
                    ckks_decomposition_limbs(c, &d[k], t, limb[k]);
                    ckks_switch_operand_set(&o[k], c, &d[k], a->giant_key[member[k]], t, limb[k],
                                            add0, NULL);
                    switched[k] = o[k].term;
                }
                c->kernel->inner_product(
                    &c->prime[t], a->total[0] + i * c->stride, a->total[1] + i * c->stride, 0, c->n,
                    n, switched, lt->double_hoist ? 1 : ckks_product_mod(c, lt->special, t), 1);
            }
            ckks_switch_count(c, ws, &d[0], n, 1);
        }
        ckks_workspace_release(ws, mark);
    }
    return st;
}

static fhola_status apply_one(const ckks_context *c, ckks_workspace *ws, const ckks_eval_keys *keys,
                              const ckks_lintrans *lt, ckks_ciphertext *out,
                              const ckks_ciphertext *in, ckks_basis out_basis)
{
    application a = {
        .c = c, .lt = lt, .in = in, .basis = in->basis, .whole = in->basis | lt->special};
    unsigned all = ckks_limb_count(c, a.whole), limbs = ckks_limb_count(c, a.basis);
    double scale = in->scale * lt->plain_scale;
    fhola_status st = find_keys(&a, ws, keys, &a.baby_key, lt->baby, lt->babies);
    if (!st) st = find_keys(&a, ws, keys, &a.giant_key, lt->giant, lt->giants);
    if (!st && !(a.list = ckks_workspace_take(ws, (size_t)ckks_threads() * LISTS * lt->babies *
                                                      sizeof *a.list)))
        st = FHOLA_NOMEM;
    for (int k = 0; k < 2 && !st; k++) {
        st = take_blocks(ws, &a.sum[k], lt->giants, lt->double_hoist ? all : limbs);
        if (!st && !(a.total[k] = ckks_workspace_poly(ws, all))) st = FHOLA_NOMEM;
    }
    ckks_mark mark = ckks_workspace_mark(ws);
    const ckks_switch_key *shape = st ? NULL : any_key(a.baby_key, lt->babies);
    ckks_decomposition d = {.digits = 0};
    const uint64_t *c1 = in->poly[1];
    if (!st && shape) st = ckks_decompose(c, ws, &d, 1, shape, a.basis, &c1);
    for (unsigned b = 0; b < lt->babies && !st; b++)
        if (a.baby_key[b] && !ckks_decomposition_fits(c, &d, a.baby_key[b]))
            st =
                fhola_fail(FHOLA_KEY, "the key of rotation %d has other digits than its neighbours",
                           lt->baby[b]);
    if (!st && lt->double_hoist) {
        st = babies_double(&a, ws, &d);
    } else if (!st) {
        for (int k = 0; k < 2 && !st; k++) st = take_blocks(ws, &a.x[k], lt->babies, limbs);
        if (!st) st = babies_single(&a, ws, &d);
        if (!st) products_single(&a);
    }
    if (!st && shape) ckks_switch_count(c, ws, &d, 1, lt->babies);
    ws->counters.plain_products += (uint64_t)lt->terms * (lt->double_hoist ? all : limbs);
    ckks_workspace_release(ws, mark);
    if (!st) st = giants(&a, ws);
    if (!st) st = ckks_ciphertext_reserve(out, out_basis);
    if (!st) {
        const uint64_t *const source[2] = {a.total[0], a.total[1]};
        for (unsigned i = 0; i < c->primes; i++)
            if (a.basis & ~out_basis & CKKS_BIT(i)) scale /= (double)c->prime[i].p;
        st = ckks_divide_round(c, ws, out->poly, source, 2, a.whole, out_basis);
        ckks_ciphertext_set(out, st ? 0 : out_basis, scale);
    }
    return st;
}

fhola_status ckks_lintrans_apply(const ckks_context *c, ckks_workspace *ws,
                                 const ckks_eval_keys *keys, size_t count,
                                 const ckks_lintrans *const transform[],
                                 ckks_ciphertext *const out[], const ckks_ciphertext *in,
                                 ckks_basis out_basis)
{
    fhola_status st = ckks_ciphertext_check(c, in, "the input");
    if (st) return st;
    if (keys->context != c || ws->context != c)
        return fhola_fail(FHOLA_PARAM, "the keys or the workspace belong to another context");
    if (!out_basis || out_basis & ~in->basis)
        return fhola_fail(FHOLA_LEVEL, "the result's basis is empty or not part of the input's");
    for (size_t i = 0; i < count && !st; i++) {
        if (!transform[i]->has_plain)
            return fhola_fail(FHOLA_PARAM, "the transform was created without its diagonals");
        if (transform[i]->context != c || out[i]->context != c || out[i] == in)
            return fhola_fail(
                FHOLA_PARAM, "a transform's result must be another ciphertext of the same context");
        if (!ckks_basis_same_limbs(&c->params, in->basis, transform[i]->basis))
            return fhola_fail(FHOLA_LEVEL, "the input's basis %#llx exceeds the transform's %#llx",
                              (unsigned long long)in->basis,
                              (unsigned long long)transform[i]->basis);
        ckks_mark mark = ckks_workspace_mark(ws);
        st = apply_one(c, ws, keys, transform[i], out[i], in, out_basis);
        ckks_workspace_release(ws, mark);
    }
    return st;
}
