/* SPDX-License-Identifier: Apache-2.0 */
/* Polynomials in the Chebyshev basis at exact target level and scale.
 *
 * p = q T_G + r with G the largest power of two up to the degree (T_(G+i) = 2 T_G T_i - T_(G-i)),
 * recursively, down to leaves that are linear combinations of the T_i at hand. Products of one
 * level that are added up are relinearised and rescaled together. The recursion carries (levels
 * consumed, scale) of its result, from the top of the polynomial to the leaves, so that every sum
 * adds equal scales exactly and nothing is rescaled to fit (the recursion of Bossuat et al.,
 * Eurocrypt 2021, section 4). Creation simulates it and encodes coefficients; application repeats
 * it. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ckks/alloc.h"
#include "ckks/ring/elementary.h"
#include "ckks/scheme/encode.h"
#include "ckks/scheme/evaluate.h"

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
    unsigned first; /* the whole polynomial's coefficient that begins here */
    bool leaf;
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
    return (double)pe->context->modulus[pe->consumed[level]].p;
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

static bool leaf_possible(unsigned degree, unsigned level)
{
    return degree <= LEAF_DEGREE && log2_ceil(degree < 1 ? 1 : degree) + 1 <= level;
}

static int add_node(ckks_polynomial *pe, double *coeff, unsigned first, unsigned degree,
                    unsigned level, double scale);

/* p = q T_G + r for the coefficients of a node. NULL without memory. */
static int divide_by_power(const node *n, size_t period, double **quotient, double **remainder)
{
    unsigned degree = n->degree, giant = n->giant;
    double *q = calloc((degree - giant + 1) * period, sizeof *q),
           *r = calloc(giant * period, sizeof *r);
    if (!q || !r) {
        free(q);
        free(r);
        return 0;
    }
    memcpy(r, n->coeff, giant * period * sizeof *r);
    memcpy(q, n->coeff + giant * period, period * sizeof *q);
    for (unsigned i = 1; giant + i <= degree; i++)
        for (size_t s = 0; s < period; s++) {
            double x = n->coeff[(giant + i) * period + s];
            q[i * period + s] = 2 * x;
            r[(giant - i) * period + s] -= x;
        }
    *quotient = q;
    *remainder = r;
    return 1;
}

/* Makes node `index` an inner one: its quotient a level higher, its remainder beside it. */
static int add_inner(ckks_polynomial *pe, int index)
{
    node *n = &pe->node[index];
    double *q, *r;
    n->giant = 1;
    while (2 * n->giant <= n->degree) n->giant *= 2;
    need_power(pe, n->giant);
    if (!divide_by_power(n, pe->period, &q, &r)) return -1;
    double before = n->scale * prime_of(pe, n->level - 1);
    n->quotient = add_node(pe, q, n->first + n->giant, n->degree - n->giant, n->level - 1,
                           before / pe->power_scale[n->giant]);
    if (n->quotient < 0) {
        free(r);
        return -1;
    }
    /* A remainder that is a leaf is added at the product's scale, before the common rescale. */
    n->remainder = add_node(pe, r, n->first, n->giant - 1, n->level, n->scale);
    return n->remainder < 0 ? -1 : index;
}

/* Adds the node of a polynomial (coefficients taken over) and its descendants; its index, or -1. */
static int add_node(ckks_polynomial *pe, double *coeff, unsigned first, unsigned degree,
                    unsigned level, double scale)
{
    size_t period = pe->period;
    while (degree > 1 && is_zero(coeff + degree * period, period)) degree--;
    if (pe->nodes == MAX_NODES) {
        free(coeff);
        return -1;
    }
    int index = (int)pe->nodes++;
    node *n = &pe->node[index];
    *n = (node){.first = first,
                .degree = degree,
                .level = level,
                .scale = scale,
                .leaf = leaf_possible(degree, level),
                .quotient = -1,
                .remainder = -1,
                .coeff = coeff};
    if (!n->leaf) return add_inner(pe, index);
    for (unsigned i = 1; i <= degree; i++)
        if (!is_zero(coeff + i * period, period)) need_power(pe, i);
    return index;
}

/* The scale of a node before its rescale. */
static double target_scale(const ckks_polynomial *pe, const node *n)
{
    return n->scale * prime_of(pe, n->level - 1);
}

/* What T_i is multiplied with in a leaf; i = 0: the constant term. */
static double leaf_integer(const ckks_polynomial *pe, const node *n, unsigned i)
{
    return rint(n->coeff[i] * target_scale(pe, n) / pe->power_scale[i]);
}

/* Whether the T_i hold their values at the scales they stand at, modulo the primes that are
 * `present`. */
static fhola_status check_powers(const ckks_polynomial *pe, ckks_basis present)
{
    char name[16];
    for (unsigned i = 2; i <= MAX_DEGREE; i++) {
        if (!pe->needed[i]) continue;
        unsigned at = pe->power_level[i] - 1;
        double scale = pe->power_scale[i];
        snprintf(name, sizeof name, "T_%u", i);
        FHOLA_TRY(
            ckks_scale_fits(pe->context, pe->level[at] & present, scale * prime_of(pe, at), name));
        if (scale < 1)
            return fhola_fail(FHOLA_SCALE, "T_%u would stand at scale 2^%.2f, below 1", i,
                              ckks_log2(scale));
    }
    return FHOLA_OK;
}

/* The same for the sum of a node, and for the coefficients of a leaf that are numbers: vectors are
 * checked where they are encoded. */
static fhola_status check_node(const ckks_polynomial *pe, const node *n, ckks_basis present)
{
    ckks_basis before = pe->level[n->level - 1] & present;
    double target = target_scale(pe, n), half = ckks_half_modulus(pe->context, before);
    FHOLA_TRY(ckks_scale_fits(pe->context, before, target, "a polynomial's sum"));
    for (unsigned i = 0; i <= n->degree && n->leaf && pe->period == 1; i++)
        if (!(fabs(leaf_integer(pe, n, i)) < half))
            return fhola_fail(
                FHOLA_RANGE,
                "coefficient %u of a polynomial: %g at scale 2^%.2f is not below half "
                "the modulus, 2^%.2f",
                n->first + i, n->coeff[i], ckks_log2(target / pe->power_scale[i]), ckks_log2(half));
    return FHOLA_OK;
}

static fhola_status check_fit(const ckks_polynomial *pe, ckks_basis present)
{
    FHOLA_TRY(check_powers(pe, present));
    for (unsigned i = 0; i < pe->nodes; i++) FHOLA_TRY(check_node(pe, &pe->node[i], present));
    return FHOLA_OK;
}

/* Constant terms stand at the scale of products, which may be too large to encode: the power of two
 * that takes them to ENCODED_BITS. It stays below every prime. */
static double choose_unit(const ckks_polynomial *pe)
{
    double most = 1, room = 62;
    for (unsigned i = 0; i < pe->context->primes; i++)
        if (pe->level[0] & CKKS_BIT(i))
            room = fmin(room, floor(pe->context->params->log2_prime[i]));
    for (unsigned i = 0; i < pe->nodes; i++)
        if (pe->node[i].leaf) most = fmax(most, target_scale(pe, &pe->node[i]));
    double excess = ceil(ckks_log2(most)) - ENCODED_BITS;
    return excess > 0 ? ckks_exp2(fmin(excess, room)) : 1;
}

/* What encoding a leaf works in. */
typedef struct leaf_encoder {
    ckks_complex *value;
    double *scratch;
    int64_t *coefficient;
    uint64_t *limb;
} leaf_encoder;

/* Encodes coefficient vector i of a leaf over `basis`. */
static fhola_status encode_coefficient(ckks_polynomial *pe, const leaf_encoder *e, node *n,
                                       unsigned i, ckks_basis basis)
{
    const ckks_context *c = pe->context;
    size_t period = pe->period, bytes = ckks_packed_bytes(c, basis, pe->log_gap);
    double scale = target_scale(pe, n) / (i ? pe->power_scale[i] : pe->unit),
           limit = ckks_half_modulus(c, basis) / (i ? 1 : pe->unit);
    unsigned index[CKKS_MAX_PRIMES], limbs = ckks_limb_list(c, basis, index);
    for (size_t s = 0; s < period; s++) e->value[s] = (ckks_complex){n->coeff[i * period + s], 0};
    fhola_status status =
        ckks_encode_coefficients(c, e->coefficient, e->scratch, e->value, period, scale, limit);
    if (status)
        return fhola_fail(status, "coefficient %u of a polynomial: %s", n->first + i,
                          fhola_detail());
    n->plain[i] = ckks_alloc(bytes);
    if (!n->plain[i]) return fhola_fail(FHOLA_NOMEM, "no memory for a polynomial's coefficients");
    pe->bytes += bytes;
    for (unsigned t = 0; t < limbs; t++)
        ckks_encode_packed(
            c, index[t], pe->log_gap,
            n->plain[i] + ckks_packed_bytes(c, ckks_basis_below(c, basis, index[t]), pe->log_gap),
            e->limb, e->coefficient, period);
    return FHOLA_OK;
}

/* Encodes the coefficient vectors of a leaf, one level above its result. */
static fhola_status encode_leaf(ckks_polynomial *pe, ckks_workspace *ws, node *n)
{
    size_t period = pe->period;
    fhola_status status = FHOLA_NOMEM;
    ckks_mark mark = ckks_workspace_mark(ws);
    leaf_encoder e = {.value = ckks_workspace_take(ws, period * sizeof *e.value),
                      .scratch = ckks_workspace_take(ws, 2 * period * sizeof *e.scratch),
                      .coefficient = ckks_workspace_take(ws, 2 * period * sizeof *e.coefficient),
                      .limb = ckks_workspace_limbs(ws, 1)};
    if (!e.value || !e.scratch || !e.coefficient || !e.limb) goto end;
    status = FHOLA_OK;
    for (unsigned i = 0; i <= n->degree && !status; i++)
        if (!is_zero(n->coeff + i * period, period))
            status = encode_coefficient(pe, &e, n, i, pe->level[n->level - 1]);
end:
    ckks_workspace_release(ws, mark);
    return status;
}

static fhola_status check_spec(const ckks_context *c, const ckks_polynomial_spec *spec)
{
    if (spec->degree < 1 || spec->degree > MAX_DEGREE)
        return fhola_fail(FHOLA_PARAM, "degree %u is outside 1..%u", spec->degree, MAX_DEGREE);
    if (spec->period == 0 || spec->period > c->slots || spec->period & (spec->period - 1))
        return fhola_fail(FHOLA_PARAM, "a period of %zu slots is not a power of two up to %zu",
                          spec->period, c->slots);
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
        return fhola_fail(FHOLA_LEVEL, "degree %u leads from the primes %s to %s, not to %s",
                          spec->degree, ckks_basis_describe(c->params, spec->basis_in).text,
                          ckks_basis_describe(c->params, basis).text,
                          ckks_basis_describe(c->params, spec->basis_out).text);
    FHOLA_TRY(ckks_scale_fits(c, spec->basis_in, spec->scale_in, "a polynomial's input"));
    return ckks_scale_fits(c, spec->basis_out, spec->scale_out, "a polynomial's result");
}

static void set_levels(ckks_polynomial *pe, const ckks_context *c, const ckks_polynomial_spec *spec)
{
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
    pe->power_scale[0] = 1;
    pe->power_scale[1] = spec->scale_in;
    pe->needed[1] = 1;
}

static fhola_status set_nodes(ckks_polynomial *pe, const ckks_polynomial_spec *spec)
{
    size_t values = (spec->degree + 1) * spec->period;
    double *coeff = malloc(values * sizeof *coeff);
    if (!coeff)
        return fhola_fail(FHOLA_NOMEM, "no memory for a polynomial of degree %u", spec->degree);
    memcpy(coeff, spec->coeff, values * sizeof *coeff);
    if (add_node(pe, coeff, 0, spec->degree, pe->depth, spec->scale_out) < 0)
        return fhola_fail(FHOLA_NOMEM, "no memory for a polynomial");
    FHOLA_TRY(check_fit(pe, pe->level[0]));
    pe->unit = choose_unit(pe);
    return FHOLA_OK;
}

fhola_status ckks_polynomial_create(ckks_polynomial **out, const ckks_context *c,
                                    ckks_workspace *ws, const ckks_polynomial_spec *spec)
{
    fhola_status st = check_spec(c, spec);
    if (st) return st;
    ckks_polynomial *pe = calloc(1, sizeof *pe);
    if (!pe)
        return fhola_fail(FHOLA_NOMEM, "no memory for a polynomial of degree %u", spec->degree);
    set_levels(pe, c, spec);
    st = set_nodes(pe, spec);
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
                                  ckks_basis_special_for(c->params, pe->level[k])};
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
    const ckks_context *c;
    const ckks_ciphertext *x; /* NULL: the constant */
    double factor;            /* an integer */
} power_addend;

static void add_power(const void *arg, unsigned t, uint64_t *d0, uint64_t *d1)
{
    const power_addend *o = arg;
    const ckks_context *c = o->c;
    uint64_t factor = ckks_integer_mod(c, o->factor, t);
    if (o->x) {
        ckks_poly_mul_add_limb(c, d0, &o->x->poly[0], t, factor);
        ckks_poly_mul_add_limb(c, d1, &o->x->poly[1], t, factor);
    } else {
        c->kernel->add_scalar(&c->modulus[t], d0, d0, factor, c->n);
    }
}

/* T_i, computed once. */
static fhola_status make_power(evaluation *e, unsigned i)
{
    if (e->power[i].poly->basis) return FHOLA_OK;
    unsigned a, b;
    factor_power(i, &a, &b);
    FHOLA_TRY(make_power(e, a));
    FHOLA_TRY(make_power(e, b));
    if (a != b) FHOLA_TRY(make_power(e, a - b));
    ckks_basis out = level_basis(e, e->pe->power_level[i]);
    FHOLA_TRY(ckks_ciphertext_scratch(&e->power[i], e->ws, out));
    double scale = e->power[a].scale * e->power[b].scale;
    power_addend rest = {e->c, a == b ? NULL : &e->power[a - b],
                         a == b ? -scale : -rint(scale / e->power[a - b].scale)};
    const ckks_addend addend = {add_power, &rest};
    const ckks_product product = {&e->power[a], &e->power[b]};
    return ckks_mul_fused(e->c, e->ws, e->keys, &e->power[i], 1, &product, 2, &addend, out);
}

/* The powers of one leaf modulo one modulus, as whole limbs (shared ones where they are). They were
 * made long ago and are streams too many for a processor to foresee, so a range is asked for while
 * the one before it is used. */
typedef struct leaf_terms {
    size_t count;
    const uint64_t *x[2][LEAF_DEGREE + 1];
    bool shared[LEAF_DEGREE + 1]; /* to be reduced */
    const void *plain[LEAF_DEGREE + 1];
    uint64_t factor[LEAF_DEGREE + 1], constant;
} leaf_terms;

/* Term i of polynomial k at the positions from .. from + words - 1; room: LEAF_RANGE words, for a
 * shared limb. */
static const uint64_t *term_range(const ckks_context *c, unsigned t, const leaf_terms *terms,
                                  size_t i, int k, size_t from, size_t words, uint64_t *room)
{
    const uint64_t *x = terms->x[k][i] + from;
    return terms->shared[i] ? ckks_limb_reduce(c, t, x, words, room) : x;
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
static void scalar_range(const ckks_context *c, unsigned t, const leaf_terms *terms, uint64_t *out0,
                         uint64_t *out1, size_t from, size_t words, bool accumulate)
{
    const ckks_modulus *m = &c->modulus[t];
    uint64_t *const out[2] = {out0 + from, out1 + from}, room[LEAF_RANGE];
    for (int k = 0; k < 2; k++) {
        if (!accumulate) memset(out[k], 0, words * sizeof *out[k]);
        for (size_t i = 0; i < terms->count; i++)
            c->kernel->mul_scalar_add(m, out[k], out[k],
                                      term_range(c, t, terms, i, k, from, words, room),
                                      terms->factor[i], words);
    }
    c->kernel->add_scalar(m, out[0], out[0], terms->constant, words);
}

static void plain_range(const ckks_context *c, unsigned t, const leaf_terms *terms,
                        unsigned log_gap, uint64_t *out0, uint64_t *out1, size_t from, size_t words,
                        bool accumulate)
{
    const void *plain[LEAF_DEGREE + 1];
    const uint64_t *x0[LEAF_DEGREE + 1], *x1[LEAF_DEGREE + 1];
    const ckks_modulus *m = &c->modulus[t];
    uint64_t room[2][LEAF_DEGREE + 1][LEAF_RANGE];
    for (size_t i = 0; i < terms->count; i++) {
        plain[i] = (const char *)terms->plain[i] + (from >> log_gap) * m->width;
        x0[i] = term_range(c, t, terms, i, 0, from, words, room[0][i]);
        x1[i] = term_range(c, t, terms, i, 1, from, words, room[1][i]);
    }
    c->kernel->plain_product(m, out0 + from, out1 + from, words, terms->count, plain, log_gap, x0,
                             x1, accumulate);
}

/* The limbs of T_i as the next term; T_0 is the constant limb `unit`. */
static void add_term(const evaluation *e, leaf_terms *terms, unsigned t, unsigned i)
{
    const ckks_poly *power = e->power[i].poly;
    unsigned at = i ? ckks_poly_index(e->c, power, t) : 0;
    terms->x[0][terms->count] = i ? power[0].limb[at] : e->one;
    terms->x[1][terms->count] = i ? power[1].limb[at] : e->zero;
    terms->shared[terms->count] = i && power->modulus[at] != t;
    terms->count++;
}

static leaf_terms scalar_terms(const evaluation *e, const node *n, unsigned t)
{
    leaf_terms terms = {.count = 0};
    for (unsigned i = 1; i <= n->degree; i++) {
        if (fabs(n->coeff[i]) <= TINY) continue;
        terms.factor[terms.count] = ckks_integer_mod(e->c, leaf_integer(e->pe, n, i), t);
        add_term(e, &terms, t, i);
    }
    terms.constant = ckks_integer_mod(e->c, leaf_integer(e->pe, n, 0), t);
    return terms;
}

static leaf_terms plain_terms(const evaluation *e, const node *n, unsigned t)
{
    leaf_terms terms = {.count = 0};
    ckks_basis before = ckks_basis_below(e->c, e->pe->level[n->level - 1], t);
    for (unsigned i = 0; i <= n->degree; i++) {
        if (!n->plain[i]) continue;
        terms.plain[terms.count] = n->plain[i] + ckks_packed_bytes(e->c, before, e->pe->log_gap);
        add_term(e, &terms, t, i);
    }
    return terms;
}

/* A leaf's linear combination, one level above its result, modulo t: added to out, or in its
 * place. */
static void leaf_limb(const evaluation *e, const node *n, unsigned t, uint64_t *out0,
                      uint64_t *out1, bool accumulate)
{
    const ckks_context *c = e->c;
    bool scalar = e->pe->period == 1;
    leaf_terms terms = scalar ? scalar_terms(e, n, t) : plain_terms(e, n, t);
    size_t range = c->n < LEAF_RANGE ? c->n : LEAF_RANGE;
    fetch_terms(&terms, 0, range);
    for (size_t from = 0; from < c->n; from += range) {
        if (from + range < c->n) fetch_terms(&terms, from + range, range);
        if (scalar)
            scalar_range(c, t, &terms, out0, out1, from, range, accumulate);
        else
            plain_range(c, t, &terms, e->pe->log_gap, out0, out1, from, range, accumulate);
    }
}

typedef struct leaf_addend {
    const evaluation *e;
    const node *leaf;
} leaf_addend;

static void add_leaf(const void *arg, unsigned t, uint64_t *d0, uint64_t *d1)
{
    const leaf_addend *o = arg;
    leaf_limb(o->e, o->leaf, t, d0, d1, true);
}

static fhola_status evaluate_leaf(evaluation *e, const node *n, ckks_ciphertext *out)
{
    ckks_basis before = level_basis(e, n->level - 1);
    ckks_ciphertext sum;
    FHOLA_TRY(ckks_ciphertext_scratch(&sum, e->ws, before));
    ckks_ciphertext_set(&sum, before, target_scale(e->pe, n), 0);
#pragma omp parallel for num_threads(ckks_context_threads(e->c)) schedule(dynamic)
    for (unsigned i = 0; i < sum.poly->limbs; i++)
        leaf_limb(e, n, sum.poly->modulus[i], sum.poly[0].limb[i], sum.poly[1].limb[i], false);
    return ckks_rescale(e->c, e->ws, out, &sum, level_basis(e, n->level));
}

static fhola_status evaluate_node(evaluation *e, int index, ckks_ciphertext *out);

/* quotient T_G + remainder. The remainder has this level and scale, so where it is a product too,
 * the two are added up before they are relinearised, and so on down to a leaf, which joins them. */
static fhola_status evaluate_inner(evaluation *e, const node *n, ckks_ciphertext *out)
{
    ckks_basis before = level_basis(e, n->level - 1), after = level_basis(e, n->level);
    ckks_ciphertext quotient[MAX_DEPTH];
    ckks_product product[MAX_DEPTH];
    size_t count = 0;
    for (; !n->leaf; n = &e->pe->node[n->remainder], count++) {
        FHOLA_TRY(ckks_ciphertext_scratch(&quotient[count], e->ws, before));
        FHOLA_TRY(evaluate_node(e, n->quotient, &quotient[count]));
        product[count] = (ckks_product){&quotient[count], &e->power[n->giant]};
    }
    const leaf_addend rest = {e, n};
    const ckks_addend addend = {add_leaf, &rest};
    return ckks_mul_fused(e->c, e->ws, e->keys, out, count, product, 1, &addend, after);
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

static fhola_status check_apply(const ckks_context *c, const ckks_workspace *ws,
                                const ckks_eval_keys *keys, const ckks_polynomial *pe,
                                const ckks_ciphertext *out, const ckks_ciphertext *in)
{
    FHOLA_TRY(ckks_ciphertext_check(c, in, "the input"));
    if (out->context != c || ws->context != c || keys->context != c || pe->context != c)
        return fhola_fail(FHOLA_PARAM,
                          "the polynomial, keys, workspace or result belong to another context");
    ckks_basis basis = in->poly->basis, consumed = pe->level[0] & ~pe->level[pe->depth];
    bool fits = pe->period > 1 ? basis == pe->level[0]
                               : ckks_basis_same_limbs(c->shared, basis, pe->level[0]) &&
                                     (basis & consumed) == consumed;
    if (!fits)
        return fhola_fail(FHOLA_LEVEL, "the input has the primes %s, not the polynomial's %s",
                          ckks_basis_describe(c->params, basis).text,
                          ckks_basis_describe(c->params, pe->level[0]).text);
    FHOLA_TRY(ckks_scale_check(in->scale, pe->power_scale[1], "the polynomial's input"));
    return basis == pe->level[0] ? FHOLA_OK : check_fit(pe, basis);
}

/* The powers of the input and the constant limbs; without memory NULL, the detail message set. */
static evaluation *begin_evaluation(const ckks_context *c, ckks_workspace *ws,
                                    const ckks_eval_keys *keys, const ckks_polynomial *pe,
                                    const ckks_ciphertext *in)
{
    evaluation *e = ckks_workspace_take(ws, sizeof *e);
    uint64_t *limbs = ckks_workspace_limbs(ws, 2);
    if (!e || !limbs) return NULL;
    memset(e, 0, sizeof *e);
    e->c = c;
    e->pe = pe;
    e->ws = ws;
    e->keys = keys;
    e->present = in->poly->basis;
    e->one = limbs;
    e->zero = limbs + c->stride;
    for (size_t j = 0; j < c->n; j++) e->one[j] = (uint64_t)pe->unit;
    memset(e->zero, 0, c->n * sizeof *e->zero);
    e->power[1] = *in;
    return e;
}

static fhola_status evaluate(evaluation *e, ckks_ciphertext *out)
{
    const ckks_polynomial *pe = e->pe;
    ckks_ciphertext result;
    for (unsigned i = 2; i <= pe->degree; i++)
        if (pe->needed[i]) FHOLA_TRY(make_power(e, i));
    FHOLA_TRY(ckks_ciphertext_scratch(&result, e->ws, level_basis(e, pe->depth)));
    FHOLA_TRY(evaluate_node(e, 0, &result));
    result.period = ckks_common_period(e->power[1].period, pe->period);
    return ckks_ciphertext_copy(out, &result);
}

fhola_status ckks_polynomial_apply(const ckks_context *c, ckks_workspace *ws,
                                   const ckks_eval_keys *keys, const ckks_polynomial *pe,
                                   ckks_ciphertext *out, const ckks_ciphertext *in)
{
    FHOLA_TRY(check_apply(c, ws, keys, pe, out, in));
    ckks_mark mark = ckks_workspace_mark(ws);
    evaluation *e = begin_evaluation(c, ws, keys, pe, in);
    fhola_status status = e ? evaluate(e, out) : FHOLA_NOMEM;
    ckks_workspace_release(ws, mark);
    return status;
}
