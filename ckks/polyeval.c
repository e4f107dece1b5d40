/* SPDX-License-Identifier: Apache-2.0 */
/* Polynomials in the Chebyshev basis at exact target level and scale.
 *
 * p = q T_G + r with G the largest power of two up to the degree (T_(G+i) = 2 T_G T_i - T_(G-i)),
 * recursively, down to leaves that are linear combinations of the T_i at hand. The recursion
 * carries (levels consumed, scale) of its result, from the top of the polynomial to the leaves, so
 * that every sum adds equal scales exactly and nothing is rescaled to fit (the recursion of Bossuat
 * et al., Eurocrypt 2021, section 4). Creation simulates it and encodes coefficients; application
 * repeats it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ckks/alloc.h"
#include "ckks/elementary.h"
#include "ckks/encode.h"
#include "ckks/evaluate.h"

#define MAX_DEGREE  63u
#define MAX_DEPTH   6u
#define LEAF_DEGREE 3u    /* leaves of higher degree would need more T_i than they save products */
#define LEAF_RANGE  1024u /* positions of a leaf made at a time */
#define MAX_NODES   128u
#define ENCODED_BITS                                                                               \
    56             /* scale at which constant terms are encoded at most, if the primes allow it */
#define TINY 1e-30 /* coefficients below are zero */

/* A node computes p at level `level` (primes consumed) and scale `scale`: a leaf is a linear
 * combination of T_0 .. T_degree one level higher, rescaled; an inner node is quotient * T_G +
 * remainder, the remainder joining before the rescale if it is a leaf. */
typedef struct node {
    unsigned degree, level;
    double scale;
    int leaf;
    int quotient, remainder; /* indices of nodes */
    unsigned giant;          /* G */
    double *coeff;           /* (degree + 1) * period */
    /* leaf with period > 1: packed plaintexts, NULL = zero */
    unsigned char *plain[LEAF_DEGREE + 1];
} node;

struct ckks_polynomial {
    const ckks_context *context;
    unsigned degree, depth;
    size_t period;
    unsigned log_gap;
    ckks_basis level[MAX_DEPTH + 1]; /* basis after consuming k primes */
    unsigned consumed[MAX_DEPTH];    /* the prime consumed from level k to k + 1 */
    double power_scale[MAX_DEGREE + 1];
    unsigned power_level[MAX_DEGREE + 1];
    unsigned char needed[MAX_DEGREE + 1]; /* T_i is used */
    /* constant terms are encoded at a scale smaller by this power of two, and multiply it */
    double unit;
    unsigned nodes;
    node node[MAX_NODES];
    size_t bytes;
};

unsigned ckks_polynomial_depth(unsigned degree)
{
    unsigned depth = 0;
    while ((1u << depth) < degree + 1) depth++;
    return depth;
}

static unsigned log2_ceil(unsigned i)
{
    unsigned k = 0;
    while ((1u << k) < i) k++;
    return k;
}

/* T_i = 2 T_a T_b - T_(a-b) with a the largest power of two below i (or i/2 twice). */
static void factor_power(unsigned i, unsigned *a, unsigned *b)
{
    *a = 1;
    while (2 * *a < i) *a *= 2;
    *b = i - *a;
}

static double prime_of(const ckks_polynomial *pe, unsigned level)
{
    return (double)pe->context->prime[pe->consumed[level]].p;
}

static void need_power(ckks_polynomial *pe, unsigned i)
{
    if (pe->needed[i]) return;
    pe->needed[i] = 1;
    if (i < 2) return;
    unsigned a, b;
    factor_power(i, &a, &b);
    need_power(pe, a);
    need_power(pe, b);
    if (a != b) need_power(pe, a - b);
    unsigned at = pe->power_level[a] > pe->power_level[b] ? pe->power_level[a] : pe->power_level[b];
    pe->power_level[i] = at + 1;
    pe->power_scale[i] = pe->power_scale[a] * pe->power_scale[b] / prime_of(pe, at);
}

static int is_zero(const double *coeff, size_t period)
{
    for (size_t s = 0; s < period; s++)
        if (fabs(coeff[s]) > TINY) return 0;
    return 1;
}

static int leaf_possible(unsigned degree, unsigned level)
{
    return degree <= LEAF_DEGREE && log2_ceil(degree < 1 ? 1 : degree) + 1 <= level;
}

/* Adds the node of a polynomial (coefficients taken over) and its descendants; its index, or -1. */
static int add_node(ckks_polynomial *pe, double *coeff, unsigned degree, unsigned level,
                    double scale)
{
    size_t period = pe->period;
    while (degree > 1 && is_zero(coeff + degree * period, period)) degree--;
    if (pe->nodes == MAX_NODES) {
        free(coeff);
        return -1;
    }
    int index = (int)pe->nodes++;
    node *n = &pe->node[index];
    *n = (node){.degree = degree,
                .level = level,
                .scale = scale,
                .quotient = -1,
                .remainder = -1,
                .coeff = coeff};
    if (leaf_possible(degree, level)) {
        n->leaf = 1;
        for (unsigned i = 1; i <= degree; i++)
            if (!is_zero(coeff + i * period, period)) need_power(pe, i);
        return index;
    }
    unsigned giant = 1;
    while (2 * giant <= degree) giant *= 2;
    need_power(pe, giant);
    n->giant = giant;
    double *q = calloc((degree - giant + 1) * period, sizeof *q),
           *r = calloc(giant * period, sizeof *r);
    if (!q || !r) {
        free(q);
        free(r);
        return -1;
    }
    memcpy(r, coeff, giant * period * sizeof *r);
    memcpy(q, coeff + giant * period, period * sizeof *q);
    for (unsigned i = 1; giant + i <= degree; i++)
        for (size_t s = 0; s < period; s++) {
            double x = coeff[(giant + i) * period + s];
            q[i * period + s] = 2 * x;
            r[(giant - i) * period + s] -= x;
        }
    double before = scale * prime_of(pe, level - 1);
    int quotient = add_node(pe, q, degree - giant, level - 1, before / pe->power_scale[giant]);
    pe->node[index].quotient = quotient;
    if (quotient < 0) {
        free(r);
        return -1;
    }
    /* A remainder that is a leaf is added at the product's scale, before the common rescale. */
    int remainder = add_node(pe, r, giant - 1, level, scale);
    pe->node[index].remainder = remainder;
    return remainder < 0 ? -1 : index;
}

/* Constant terms stand at the scale of products, which may be too large to encode: the power of two
 * that takes them to ENCODED_BITS. It stays below every prime. */
static double choose_unit(const ckks_polynomial *pe)
{
    double most = 1, room = 62;
    for (unsigned i = 0; i < pe->context->primes; i++)
        if (pe->level[0] & CKKS_BIT(i)) room = fmin(room, floor(pe->context->params.log2_prime[i]));
    for (unsigned i = 0; i < pe->nodes; i++)
        if (pe->node[i].leaf)
            most = fmax(most, pe->node[i].scale * prime_of(pe, pe->node[i].level - 1));
    double excess = ceil(ckks_log2(most)) - ENCODED_BITS;
    return excess > 0 ? ckks_exp2(fmin(excess, room)) : 1;
}

/* Encodes the coefficient vectors of a leaf, one level above its result. */
static fhola_status encode_leaf(ckks_polynomial *pe, ckks_workspace *ws, node *n)
{
    const ckks_context *c = pe->context;
    size_t period = pe->period;
    ckks_basis basis = pe->level[n->level - 1];
    unsigned index[CKKS_MAX_PRIMES], limbs = ckks_limb_list(c, basis, index);
    double target = n->scale * prime_of(pe, n->level - 1);
    ckks_mark mark = ckks_workspace_mark(ws);
    ckks_complex *value = ckks_workspace_take(ws, period * sizeof *value);
    double *scratch = ckks_workspace_take(ws, 2 * period * sizeof *scratch);
    int64_t *coefficient = ckks_workspace_take(ws, 2 * period * sizeof *coefficient);
    uint64_t *limb = ckks_workspace_poly(ws, 1);
    fhola_status st = value && scratch && coefficient && limb ? FHOLA_OK : FHOLA_NOMEM;
    for (unsigned i = 0; i <= n->degree && !st; i++) {
        if (is_zero(n->coeff + i * period, period)) continue;
        for (size_t s = 0; s < period; s++) value[s] = (ckks_complex){n->coeff[i * period + s], 0};
        double scale = target / (i ? pe->power_scale[i] : pe->unit);
        st = ckks_encode_coefficients(c, coefficient, scratch, value, period, scale);
        if (!st && !(n->plain[i] = ckks_alloc(ckks_packed_bytes(c, basis, pe->log_gap))))
            st = fhola_fail(FHOLA_NOMEM, "no memory for a polynomial's coefficients");
        if (!st) pe->bytes += ckks_packed_bytes(c, basis, pe->log_gap);
        for (unsigned t = 0; t < limbs && !st; t++)
            ckks_encode_packed(c, index[t], pe->log_gap,
                               n->plain[i] + ckks_packed_bytes(c,
                                                               ckks_basis_below(c, basis, index[t]),
                                                               pe->log_gap),
                               limb, coefficient, period);
    }
    ckks_workspace_release(ws, mark);
    return st;
}

static fhola_status check_spec(const ckks_context *c, const ckks_polynomial_spec *spec)
{
    if (spec->degree < 1 || spec->degree > MAX_DEGREE)
        return fhola_fail(FHOLA_PARAM, "degree %u is outside 1..%u", spec->degree, MAX_DEGREE);
    if (spec->period == 0 || spec->period > c->slots || spec->period & (spec->period - 1))
        return fhola_fail(FHOLA_PARAM, "a period of %zu slots is not a power of two up to %zu",
                          spec->period, c->slots);
    if (!(spec->scale_in > 0) || !(spec->scale_out > 0))
        return fhola_fail(FHOLA_SCALE, "a polynomial's scales must be positive");
    if (!spec->basis_in || spec->basis_in & ~c->chain)
        return fhola_fail(FHOLA_LEVEL, "a polynomial's basis must be chain primes");
    for (size_t i = 0; i < (spec->degree + 1) * spec->period; i++)
        if (!isfinite(spec->coeff[i]) || fabs(spec->coeff[i]) > 0x1p40)
            return fhola_fail(FHOLA_RANGE, "coefficient %zu of a polynomial is %g",
                              i / spec->period, spec->coeff[i]);
    ckks_basis basis = spec->basis_in;
    for (unsigned k = ckks_polynomial_depth(spec->degree); k > 0; k--)
        basis &= ~ckks_basis_top(basis);
    if (!basis || basis != spec->basis_out)
        return fhola_fail(FHOLA_LEVEL, "degree %u leads from basis %#llx to %#llx, not to %#llx",
                          spec->degree, (unsigned long long)spec->basis_in,
                          (unsigned long long)basis, (unsigned long long)spec->basis_out);
    return FHOLA_OK;
}

fhola_status ckks_polynomial_create(ckks_polynomial **out, const ckks_context *c,
                                    ckks_workspace *ws, const ckks_polynomial_spec *spec)
{
    fhola_status st = check_spec(c, spec);
    if (st) return st;
    size_t values = (spec->degree + 1) * spec->period;
    ckks_polynomial *pe = calloc(1, sizeof *pe);
    double *coeff = malloc(values * sizeof *coeff);
    if (!pe || !coeff) {
        free(pe);
        free(coeff);
        return fhola_fail(FHOLA_NOMEM, "no memory for a polynomial of degree %u", spec->degree);
    }
    memcpy(coeff, spec->coeff, values * sizeof *coeff);
    pe->context = c;
    pe->degree = spec->degree;
    pe->depth = ckks_polynomial_depth(spec->degree);
    pe->period = spec->period;
    pe->log_gap = ckks_packed_log_gap(c, spec->period);
    pe->level[0] = spec->basis_in;
    for (unsigned k = 0; k < pe->depth; k++) {
        ckks_basis top = ckks_basis_top(pe->level[k]);
        pe->consumed[k] = ckks_basis_lowest(top);
        pe->level[k + 1] = pe->level[k] & ~top;
    }
    pe->power_scale[1] = spec->scale_in;
    pe->needed[1] = 1;
    if (add_node(pe, coeff, spec->degree, pe->depth, spec->scale_out) < 0)
        st = fhola_fail(FHOLA_NOMEM, "no memory for a polynomial");
    pe->unit = choose_unit(pe);
    for (unsigned i = 0; i < pe->nodes && !st && pe->period > 1; i++)
        if (pe->node[i].leaf) st = encode_leaf(pe, ws, &pe->node[i]);
    if (st) {
        ckks_polynomial_destroy(pe);
        return st;
    }
    *out = pe;
    return FHOLA_OK;
}

void ckks_polynomial_destroy(ckks_polynomial *pe)
{
    if (!pe) return;
    for (unsigned i = 0; i < pe->nodes; i++) {
        free(pe->node[i].coeff);
        for (unsigned k = 0; k <= LEAF_DEGREE; k++) ckks_free(pe->node[i].plain[k]);
    }
    free(pe);
}

size_t ckks_polynomial_bytes(const ckks_polynomial *pe)
{
    return pe->bytes;
}

fhola_status ckks_polynomial_keys(const ckks_polynomial *pe, const ckks_context *c,
                                  ckks_key_list *list)
{
    fhola_status st = FHOLA_OK;
    unsigned char level_used[MAX_DEPTH + 1] = {0};
    for (unsigned i = 2; i <= MAX_DEGREE; i++)
        if (pe->needed[i]) level_used[pe->power_level[i] - 1] = 1;
    for (unsigned i = 0; i < pe->nodes; i++)
        if (!pe->node[i].leaf) level_used[pe->node[i].level - 1] = 1;
    for (unsigned k = 0; k < pe->depth && !st; k++)
        if (level_used[k]) {
            ckks_key_request r = {CKKS_KEY_RELINEARIZE, 0, pe->level[k],
                                  ckks_basis_special_for(&c->params, pe->level[k])};
            st = ckks_key_list_add(list, c, r);
        }
    return st;
}

/* One evaluation: the powers at hand and the constant limbs `unit` and 0 that let constant terms
 * join a plaintext product. */
typedef struct evaluation {
    const ckks_context *c;
    const ckks_polynomial *pe;
    ckks_workspace *ws;
    const ckks_eval_keys *keys;
    ckks_basis present; /* primes of the input */
    ckks_ciphertext power[MAX_DEGREE + 1];
    uint64_t *one, *zero;
} evaluation;

static ckks_basis level_basis(const evaluation *e, unsigned level)
{
    return e->pe->level[level] & e->present;
}

/* What T_(a+b) = 2 T_a T_b - T_(a-b) adds to the product: the constant -1 or a multiple of
 * T_(a-b). */
typedef struct power_addend {
    const evaluation *e;
    const ckks_ciphertext *x; /* NULL: the constant */
    double factor;            /* an integer */
} power_addend;

static void add_power(const void *arg, unsigned prime, uint64_t *d0, uint64_t *d1)
{
    const power_addend *o = arg;
    const ckks_context *c = o->e->c;
    const ckks_prime *p = &c->prime[prime];
    uint64_t factor = ckks_integer_mod(c, o->factor, prime);
    if (!o->x) {
        c->kernel->add_scalar(p, d0, d0, factor, c->n);
        return;
    }
    uint64_t *const d[2] = {d0, d1}, room[CKKS_RANGE];
    size_t range = ckks_range_length(c, o->x->basis, prime);
    for (int k = 0; k < 2; k++)
        for (size_t j = 0; j < c->n; j += range) {
            const uint64_t *x =
                ckks_limb_range(c, o->x->poly[k], o->x->basis, prime, j, range, room);
            c->kernel->mul_scalar_add(p, d[k] + j, d[k] + j, x, factor, range);
        }
}

/* T_i, computed once. */
static fhola_status make_power(evaluation *e, unsigned i)
{
    if (e->power[i].basis) return FHOLA_OK;
    unsigned a, b;
    factor_power(i, &a, &b);
    fhola_status st = make_power(e, a);
    if (!st) st = make_power(e, b);
    if (!st && a != b) st = make_power(e, a - b);
    if (st) return st;
    ckks_basis out = level_basis(e, e->pe->power_level[i]);
    st = ckks_ciphertext_scratch(&e->power[i], e->ws, out);
    if (!st) {
        double scale = e->power[a].scale * e->power[b].scale;
        power_addend rest = {e, a == b ? NULL : &e->power[a - b],
                             a == b ? -scale : -rint(scale / e->power[a - b].scale)};
        const ckks_addend addend = {add_power, &rest};
        st = ckks_mul_fused(e->c, e->ws, e->keys, &e->power[i], &e->power[a], &e->power[b], 2,
                            &addend, out);
    }
    return st;
}

/* The powers of one leaf modulo one modulus, as whole limbs (shared ones where they are). They were
 * made long ago and are streams too many for a processor to foresee, so a range is asked for while
 * the one before it is used. */
typedef struct leaf_terms {
    size_t count;
    const uint64_t *x[2][LEAF_DEGREE + 1];
    int shared[LEAF_DEGREE + 1]; /* to be reduced */
    const void *plain[LEAF_DEGREE + 1];
    uint64_t factor[LEAF_DEGREE + 1];
} leaf_terms;

/* Term i of polynomial k at the positions from .. from + words - 1; room: LEAF_RANGE words, for a
 * shared limb. */
static const uint64_t *term_range(const ckks_context *c, unsigned prime, const leaf_terms *terms,
                                  size_t i, int k, size_t from, size_t words, uint64_t *room)
{
    const uint64_t *x = terms->x[k][i] + from;
    return terms->shared[i] ? ckks_limb_reduce(c, prime, x, words, room) : x;
}

static void fetch_terms(const leaf_terms *terms, size_t from, size_t words)
{
#ifdef __GNUC__
    for (size_t i = 0; i < terms->count; i++)
        for (int k = 0; k < 2; k++)
            for (size_t j = from; j < from + words; j += 8) __builtin_prefetch(terms->x[k][i] + j);
#else
    (void)terms;
    (void)from;
    (void)words;
#endif
}

/* One coefficient for all slots. */
static void scalar_range(const ckks_context *c, unsigned prime, const leaf_terms *terms,
                         uint64_t constant, uint64_t *out0, uint64_t *out1, size_t from,
                         size_t words, int accumulate)
{
    const ckks_prime *p = &c->prime[prime];
    uint64_t *const out[2] = {out0 + from, out1 + from}, room[LEAF_RANGE];
    for (int k = 0; k < 2; k++) {
        if (!accumulate) memset(out[k], 0, words * sizeof *out[k]);
        for (size_t i = 0; i < terms->count; i++)
            c->kernel->mul_scalar_add(p, out[k], out[k],
                                      term_range(c, prime, terms, i, k, from, words, room),
                                      terms->factor[i], words);
    }
    c->kernel->add_scalar(p, out[0], out[0], constant, words);
}

static void plain_range(const ckks_context *c, unsigned prime, const leaf_terms *terms,
                        unsigned log_gap, uint64_t *out0, uint64_t *out1, size_t from, size_t words,
                        int accumulate)
{
    const void *plain[LEAF_DEGREE + 1];
    const uint64_t *x0[LEAF_DEGREE + 1], *x1[LEAF_DEGREE + 1];
    const ckks_prime *p = &c->prime[prime];
    uint64_t room[2][LEAF_DEGREE + 1][LEAF_RANGE];
    for (size_t i = 0; i < terms->count; i++) {
        plain[i] = (const char *)terms->plain[i] + (from >> log_gap) * p->width;
        x0[i] = term_range(c, prime, terms, i, 0, from, words, room[0][i]);
        x1[i] = term_range(c, prime, terms, i, 1, from, words, room[1][i]);
    }
    c->kernel->plain_product(p, out0 + from, out1 + from, words, terms->count, plain, log_gap, x0,
                             x1, accumulate);
}

/* A leaf's linear combination, one level above its result, modulo one modulus: added to out, or in
 * its place. */
static void leaf_limb(const evaluation *e, const node *n, unsigned prime, uint64_t *out0,
                      uint64_t *out1, int accumulate)
{
    const ckks_context *c = e->c;
    const ckks_polynomial *pe = e->pe;
    unsigned scalar = pe->period == 1;
    double target = n->scale * prime_of(pe, n->level - 1);
    leaf_terms terms = {.count = 0};
    for (unsigned i = scalar; i <= n->degree; i++) {
        if (scalar ? fabs(n->coeff[i]) <= TINY : !n->plain[i]) continue;
        for (int k = 0; k < 2; k++)
            terms.x[k][terms.count] =
                i   ? ckks_limb_const(c, e->power[i].poly[k], e->power[i].basis, prime)
                : k ? e->zero
                    : e->one;
        terms.shared[terms.count] = i && ckks_limb_shared(c, e->power[i].basis, prime);
        if (scalar)
            terms.factor[terms.count] =
                ckks_integer_mod(c, rint(n->coeff[i] * target / pe->power_scale[i]), prime);
        else
            terms.plain[terms.count] =
                n->plain[i] + ckks_packed_bytes(c,
                                                ckks_basis_below(c, pe->level[n->level - 1], prime),
                                                pe->log_gap);
        terms.count++;
    }
    uint64_t constant = scalar ? ckks_integer_mod(c, rint(n->coeff[0] * target), prime) : 0;
    size_t range = c->n < LEAF_RANGE ? c->n : LEAF_RANGE;
    fetch_terms(&terms, 0, range);
    for (size_t from = 0; from < c->n; from += range) {
        if (from + range < c->n) fetch_terms(&terms, from + range, range);
        if (scalar)
            scalar_range(c, prime, &terms, constant, out0, out1, from, range, accumulate);
        else
            plain_range(c, prime, &terms, pe->log_gap, out0, out1, from, range, accumulate);
    }
}

typedef struct leaf_addend {
    const evaluation *e;
    const node *leaf;
} leaf_addend;

static void add_leaf(const void *arg, unsigned prime, uint64_t *d0, uint64_t *d1)
{
    const leaf_addend *o = arg;
    leaf_limb(o->e, o->leaf, prime, d0, d1, 1);
}

static fhola_status evaluate_leaf(evaluation *e, const node *n, ckks_ciphertext *out)
{
    ckks_basis before = level_basis(e, n->level - 1);
    unsigned index[CKKS_MAX_PRIMES], limbs = ckks_limb_list(e->c, before, index);
    ckks_ciphertext sum;
    fhola_status st = ckks_ciphertext_scratch(&sum, e->ws, before);
    if (st) return st;
#pragma omp parallel for schedule(dynamic)
    for (unsigned k = 0; k < limbs; k++)
        leaf_limb(e, n, index[k], sum.poly[0] + k * e->c->stride, sum.poly[1] + k * e->c->stride,
                  0);
    if (e->pe->period > 1) e->ws->counters.plain_products += limbs * (n->degree + 1);
    ckks_ciphertext_set(&sum, before, n->scale * prime_of(e->pe, n->level - 1));
    return ckks_rescale(e->c, e->ws, out, &sum, level_basis(e, n->level));
}

static fhola_status evaluate_node(evaluation *e, int index, ckks_ciphertext *out);

static fhola_status evaluate_inner(evaluation *e, const node *n, ckks_ciphertext *out)
{
    const node *r = &e->pe->node[n->remainder];
    ckks_basis before = level_basis(e, n->level - 1), after = level_basis(e, n->level);
    const leaf_addend rest = {e, r};
    const ckks_addend addend = {add_leaf, &rest};
    ckks_ciphertext quotient, remainder;
    fhola_status st = ckks_ciphertext_scratch(&quotient, e->ws, before);
    if (!st) st = evaluate_node(e, n->quotient, &quotient);
    if (!st)
        st = ckks_mul_fused(e->c, e->ws, e->keys, out, &quotient, &e->power[n->giant], 1,
                            r->leaf ? &addend : NULL, after);
    if (st) return st;
    if (r->leaf) {
        if (e->pe->period > 1)
            e->ws->counters.plain_products += ckks_limb_count(e->c, before) * (r->degree + 1);
        return FHOLA_OK;
    }
    st = ckks_ciphertext_scratch(&remainder, e->ws, after);
    if (!st) st = evaluate_node(e, n->remainder, &remainder);
    if (st) return st;
    remainder.scale = out->scale;
    return ckks_add(e->c, out, out, &remainder);
}

static fhola_status evaluate_node(evaluation *e, int index, ckks_ciphertext *out)
{
    const node *n = &e->pe->node[index];
    ckks_mark mark = ckks_workspace_mark(e->ws);
    fhola_status st = n->leaf ? evaluate_leaf(e, n, out) : evaluate_inner(e, n, out);
    out->scale = n->scale;
    ckks_workspace_release(e->ws, mark);
    return st;
}

fhola_status ckks_polynomial_apply(const ckks_context *c, ckks_workspace *ws,
                                   const ckks_eval_keys *keys, const ckks_polynomial *pe,
                                   ckks_ciphertext *out, const ckks_ciphertext *in)
{
    fhola_status st = ckks_ciphertext_check(c, in, "the input");
    if (st) return st;
    if (out->context != c || ws->context != c || keys->context != c || pe->context != c)
        return fhola_fail(FHOLA_PARAM,
                          "the polynomial, keys, workspace or result belong to another context");
    ckks_basis consumed = pe->level[0] & ~pe->level[pe->depth];
    int fits = pe->period > 1 ? in->basis == pe->level[0]
                              : ckks_basis_same_limbs(&c->params, in->basis, pe->level[0]) &&
                                    (in->basis & consumed) == consumed;
    if (!fits)
        return fhola_fail(FHOLA_LEVEL, "the input's basis %#llx is not the polynomial's %#llx",
                          (unsigned long long)in->basis, (unsigned long long)pe->level[0]);
    st = ckks_scale_check(in->scale, pe->power_scale[1], "the polynomial's input");
    if (st) return st;
    ckks_mark mark = ckks_workspace_mark(ws);
    evaluation *e = ckks_workspace_take(ws, sizeof *e);
    uint64_t *limbs = ckks_workspace_poly(ws, 2);
    ckks_ciphertext result;
    if (!e || !limbs) st = FHOLA_NOMEM;
    if (!st) {
        memset(e, 0, sizeof *e);
        e->c = c;
        e->pe = pe;
        e->ws = ws;
        e->keys = keys;
        e->present = in->basis;
        e->one = limbs;
        e->zero = limbs + c->stride;
        for (size_t j = 0; j < c->n; j++) e->one[j] = (uint64_t)pe->unit;
        memset(e->zero, 0, c->n * sizeof *e->zero);
        e->power[1] = *in;
        for (unsigned i = 2; i <= pe->degree && !st; i++)
            if (pe->needed[i]) st = make_power(e, i);
    }
    if (!st) st = ckks_ciphertext_scratch(&result, ws, level_basis(e, pe->depth));
    if (!st) st = evaluate_node(e, 0, &result);
    if (!st) st = ckks_ciphertext_copy(out, &result);
    ckks_workspace_release(ws, mark);
    return st;
}
