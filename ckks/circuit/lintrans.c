/* SPDX-License-Identifier: Apache-2.0 */
/* Baby-step giant-step with hoisting: with every diagonal offset written as giant + baby,
 *
 *     y = sum over giants J of
 *             rot_J( sum over babies b of (diagonal_(J+b) shifted right by J) rot_b(x) ).
 *
 * All baby rotations share one decomposition of x. With several inputs x_i and outputs y_o there is
 * such a sum over J and b for every block (o, i): babies belong to an input and serve all outputs,
 * giants belong to an output and come after the sum over all inputs. The steps, prime by prime
 * wherever possible:
 *   A  decompose every x
 *   B  babies: inner products with the baby keys; double hoisting keeps them over Q and P, single
 *      hoisting divides by P
 *   C  plaintext products, summed per giant
 *   D  giants: decompose each sum's second polynomial, inner products, all added up over Q and P
 *   E  for every output one division by P and the primes the caller drops.
 * A transform that raises its inputs (spec.raised) lifts them in step A: their second polynomials,
 * small integers, are digits as they are.
 * One application may take several sets of inputs, the *copies*: keys and diagonals are the same
 * for all, and what is read for the first is in the cache for the others. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ckks/alloc.h"
#include "ckks/ring/rns.h"
#include "ckks/scheme/encode.h"
#include "ckks/scheme/evaluate.h"

#define BABY_BATCH  4u                /* babies divided by P at a time */
#define GIANT_BATCH CKKS_MAX_SWITCHES /* giants switched at a time */
/* positions of all babies made and used at a time: they stay in the second-level cache */
#define FUSED_RANGE 1024u
#define CACHE_BYTES ((size_t)512 << 10)

/* A rotation of an input (a baby) or of an output's partial sum (a giant). */
typedef struct rotation {
    unsigned part; /* which input or output */
    int32_t by;
} rotation;

/* One diagonal, which baby it multiplies, and which plaintext it is: several may be one. */
typedef struct term {
    size_t number; /* in the list that the transform was made from */
    unsigned block;
    int32_t offset;
    unsigned giant, baby, plain;
} term;

struct ckks_lintrans {
    const ckks_context *context;
    ckks_basis basis, special;
    ckks_basis baby_special; /* of the babies' keys: fewer where the babies are made from a lift */
    ckks_basis encoded;      /* primes the diagonals are encoded over */
    int double_hoist, in_turn, babies_in_turn, has_plain;
    bool raised;
    bool
        real; /* of each plaintext the lower half of every limb is kept, the upper one mirrors it */
    double plain_scale;
    size_t period;
    unsigned log_gap;
    unsigned inputs, outputs;
    unsigned babies, giants, terms, plains;
    rotation *baby, *giant; /* ascending */
    /* What each is made with: a baby from the input or in turn the baby before, and the sum of a
     * giant from where it is to its output, or in turn to the giant before. */
    rotation *baby_turn, *giant_turn;
    unsigned *visit; /* the babies in the order of their keys: by rotation, then input */
    /* giants + 1: terms of giant j are first[j] .. first[j + 1] - 1, ordered by baby */
    unsigned *first;
    term *term;
    unsigned *maker;                                  /* plains: a term that has this plaintext */
    size_t limb_offset[CKKS_MAX_PRIMES], plain_bytes; /* of what is kept of a plaintext */
    /* What is kept of the plaintexts, one after the other: packed limbs, or coefficients, or
     * nothing but where they come from. */
    ckks_lintrans_store store;
    unsigned char *data;
    int32_t *coefficient;
    int (*diagonal)(void *arg, unsigned block, int32_t offset, ckks_complex *values);
    void *arg;
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

static int compare_rotations(const void *a, const void *b)
{
    const rotation *x = a, *y = b;
    return x->part != y->part ? (x->part > y->part) - (x->part < y->part)
                              : (x->by > y->by) - (x->by < y->by);
}

/* Sorts, and leaves one of each. */
static size_t unique(rotation *value, size_t count)
{
    qsort(value, count, sizeof *value, compare_rotations);
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        if (n == 0 || compare_rotations(&value[n - 1], &value[i]) != 0) value[n++] = value[i];
    return n;
}

/* Those that do rotate. */
static size_t rotations(const rotation *value, size_t count)
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++) n += value[i].by != 0;
    return n;
}

static unsigned block_of(const ckks_lintrans_spec *spec, size_t i)
{
    return spec->block ? spec->block[i] : 0;
}

static unsigned inputs_of(const ckks_lintrans_spec *spec)
{
    return spec->inputs ? spec->inputs : 1;
}

static unsigned outputs_of(const ckks_lintrans_spec *spec)
{
    return spec->outputs ? spec->outputs : 1;
}

/* Baby and giant of diagonal i. */
static void split_offset(const ckks_lintrans_spec *spec, size_t i, int32_t step, int32_t shift,
                         rotation *baby, rotation *giant)
{
    unsigned block = block_of(spec, i), inputs = inputs_of(spec);
    *baby = (rotation){block % inputs, baby_of(spec->offset[i], step, shift)};
    if (spec->whole_baby && spec->offset[i] == spec->whole_baby) baby->by += step;
    *giant = (rotation){block / inputs, spec->offset[i] - baby->by};
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
static void choose_split(const ckks_context *c, const ckks_lintrans_spec *spec, rotation *scratch,
                         int32_t *step, int32_t *shift)
{
    double best = INFINITY;
    *step = 1;
    *shift = 0;
    for (int32_t s = 1; s <= (int32_t)c->slots; s += s < 64 ? 1 : 32) {
        if (s > 4096 && (s & (s - 1))) continue;
        for (int centred = 0; centred < 2; centred++) {
            rotation *baby = scratch, *giant = scratch + spec->count;
            int32_t sh = centred ? s / 2 : 0;
            for (size_t i = 0; i < spec->count; i++)
                split_offset(spec, i, s, sh, &baby[i], &giant[i]);
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

static unsigned index_of(const rotation *list, size_t count, rotation r)
{
    const rotation *found = bsearch(&r, list, count, sizeof r, compare_rotations);
    return (unsigned)(found - list);
}

static int compare_terms(const void *a, const void *b)
{
    const term *x = a, *y = b;
    return x->giant != y->giant ? (x->giant > y->giant) - (x->giant < y->giant)
                                : (x->baby > y->baby) - (x->baby < y->baby);
}

/* Every diagonal as a term of its giant, in the order of babies. PARAM: one comes twice. */
static fhola_status list_terms(ckks_lintrans *lt, const ckks_lintrans_spec *spec, int32_t step,
                               int32_t shift)
{
    lt->terms = (unsigned)spec->count;
    for (unsigned i = 0; i < lt->terms; i++) {
        rotation baby, giant;
        split_offset(spec, i, step, shift, &baby, &giant);
        lt->term[i] = (term){.number = i,
                             .block = block_of(spec, i),
                             .offset = spec->offset[i],
                             .giant = index_of(lt->giant, lt->giants, giant),
                             .baby = index_of(lt->baby, lt->babies, baby)};
    }
    qsort(lt->term, lt->terms, sizeof *lt->term, compare_terms);
    for (unsigned i = 1; i < lt->terms; i++)
        if (compare_terms(&lt->term[i - 1], &lt->term[i]) == 0)
            return fhola_fail(FHOLA_PARAM, "the offsets of a transform are not distinct");
    for (unsigned j = 0, i = 0; j <= lt->giants; j++) {
        while (i < lt->terms && lt->term[i].giant < j) i++;
        lt->first[j] = i;
    }
    return FHOLA_OK;
}

/* Numbers the plaintexts in the order of their first use. known: for each diagonal that others are
 * the same as 1 + its plaintext, once it has one; zeros. */
static fhola_status number_plains(ckks_lintrans *lt, const ckks_lintrans_spec *spec,
                                  unsigned *known)
{
    for (unsigned i = 0; i < lt->terms; i++) {
        term *t = &lt->term[i];
        unsigned *plain = &known[spec->same ? spec->same[t->number] : t->number];
        if (!*plain) {
            lt->maker[lt->plains++] = i;
            *plain = lt->plains;
        }
        t->plain = *plain - 1;
        const term *maker = &lt->term[lt->maker[t->plain]];
        if (lt->baby[t->baby].by != lt->baby[maker->baby].by)
            return fhola_fail(FHOLA_PARAM,
                              "the diagonals %d and %d of a transform are split into other "
                              "rotations of the input, so they cannot be kept as one",
                              maker->offset, t->offset);
    }
    return FHOLA_OK;
}

static int compare_keys(const void *a, const void *b)
{
    const rotation *x = a, *y = b;
    return x->by != y->by ? (x->by > y->by) - (x->by < y->by)
                          : (x->part > y->part) - (x->part < y->part);
}

/* Babies of one rotation after the other. scratch: a rotation for each. */
static void order_visits(ckks_lintrans *lt, rotation *scratch)
{
    memcpy(scratch, lt->baby, lt->babies * sizeof *scratch);
    qsort(scratch, lt->babies, sizeof *scratch, compare_keys);
    for (unsigned f = 0; f < lt->babies; f++)
        lt->visit[f] = index_of(lt->baby, lt->babies, scratch[f]);
}

/* turn[i]: list[i], or in turn the way to it from the one before of the same part. */
static void choose_turns(rotation *turn, const rotation *list, unsigned count, bool in_turn)
{
    for (unsigned i = 0; i < count; i++) {
        turn[i] = list[i];
        if (in_turn && i > 0 && list[i - 1].part == list[i].part) turn[i].by -= list[i - 1].by;
    }
}

/* Sorts the diagonals into giants and babies. scratch: 2 count rotations. */
static fhola_status split(ckks_lintrans *lt, const ckks_lintrans_spec *spec, rotation *scratch)
{
    size_t n = spec->count;
    int32_t step = (int32_t)spec->baby_step, shift = 0;
    if (step == 0) choose_split(lt->context, spec, scratch, &step, &shift);
    for (size_t i = 0; i < n; i++) split_offset(spec, i, step, shift, &lt->baby[i], &lt->giant[i]);
    lt->babies = (unsigned)unique(lt->baby, n);
    lt->giants = (unsigned)unique(lt->giant, n);
    order_visits(lt, scratch);
    choose_turns(lt->baby_turn, lt->baby, lt->babies, lt->babies_in_turn);
    choose_turns(lt->giant_turn, lt->giant, lt->giants, lt->in_turn);
    return list_terms(lt, spec, step, shift);
}

static fhola_status set_terms(ckks_lintrans *lt, const ckks_lintrans_spec *spec)
{
    size_t n = spec->count;
    rotation *scratch = malloc(2 * n * sizeof *scratch);
    lt->baby = malloc(n * sizeof *lt->baby);
    lt->giant = malloc(n * sizeof *lt->giant);
    lt->baby_turn = malloc(n * sizeof *lt->baby_turn);
    lt->giant_turn = malloc(n * sizeof *lt->giant_turn);
    lt->first = calloc(n + 1, sizeof *lt->first);
    lt->term = calloc(n, sizeof *lt->term);
    lt->maker = calloc(n, sizeof *lt->maker);
    lt->visit = calloc(n, sizeof *lt->visit);
    unsigned *known = calloc(n, sizeof *known);
    fhola_status status =
        scratch && lt->baby && lt->giant && lt->baby_turn && lt->giant_turn && lt->first &&
                lt->term && lt->maker && lt->visit && known
            ? split(lt, spec, scratch)
            : fhola_fail(FHOLA_NOMEM, "no memory for a transform of %zu diagonals", n);
    if (status == FHOLA_OK) status = number_plains(lt, spec, known);
    free(known);
    free(scratch);
    return status;
}

/* What encoding on one thread works in. */
typedef struct encoder {
    ckks_complex *value; /* a diagonal, and the same shifted */
    double *scratch;
    int64_t *coefficient;
    uint64_t *limb;
    unsigned char *packed; /* real: a whole packed limb */
} encoder;

/* Of real slots, m(1 / Y) = m(Y): so it is up to roundings, and so it is made to be, since half of
 * the limbs stands for all. */
static void mirror_coefficients(int64_t *coefficient, size_t period)
{
    coefficient[period] = 0;
    for (size_t k = 1; k < period; k++) coefficient[2 * period - k] = -coefficient[k];
}

/* The coefficients of plaintext i from its values. */
static fhola_status encode_values(const ckks_lintrans *lt, const encoder *e, unsigned i)
{
    const ckks_context *c = lt->context;
    const term *t = &lt->term[lt->maker[i]];
    size_t period = lt->period;
    if (lt->diagonal(lt->arg, t->block, t->offset, e->value))
        return fhola_fail(FHOLA_PARAM, "diagonal %d of a transform is not available", t->offset);
    /* shifted right by the giant step J: entry s comes from s - J */
    size_t shift = (size_t)floor_mod(-lt->giant[t->giant].by, (int32_t)period);
    ckks_complex *shifted = e->value + period;
    for (size_t s = 0; s < period; s++) {
        shifted[s] = e->value[(s + shift) & (period - 1)];
        if (lt->real && shifted[s].im != 0)
            return fhola_fail(FHOLA_PARAM, "diagonal %d of a transform is not real", t->offset);
    }
    fhola_status status =
        ckks_encode_coefficients(c, e->coefficient, e->scratch, shifted, period, lt->plain_scale,
                                 ckks_half_modulus(c, lt->basis));
    if (status)
        return fhola_fail(status, "diagonal %d of a transform: %s", t->offset, fhola_detail());
    if (lt->real) mirror_coefficients(e->coefficient, period);
    return FHOLA_OK;
}

/* What one task does with plaintext i. data: what is to be filled, of all of them. */
typedef fhola_status encode_step(const ckks_lintrans *lt, const encoder *e, unsigned i, void *data);

/* The packed limbs, from the kept coefficients or else from the values. */
static fhola_status encode_limbs(const ckks_lintrans *lt, const encoder *e, unsigned i, void *data)
{
    const ckks_context *c = lt->context;
    unsigned index[CKKS_MAX_PRIMES], limbs = ckks_limb_list(c, lt->encoded, index);
    unsigned char *plain = (unsigned char *)data + i * lt->plain_bytes;
    if (lt->coefficient)
        for (size_t k = 0; k < 2 * lt->period; k++)
            e->coefficient[k] = lt->coefficient[i * 2 * lt->period + k];
    else
        FHOLA_TRY(encode_values(lt, e, i));
    for (unsigned t = 0; t < limbs; t++) {
        unsigned char *limb = plain + lt->limb_offset[index[t]];
        ckks_encode_packed(c, index[t], lt->log_gap, lt->real ? e->packed : limb, e->limb,
                           e->coefficient, lt->period);
        if (lt->real)
            memcpy(limb, e->packed, (c->n / 2 >> lt->log_gap) * c->modulus[index[t]].width);
    }
    return FHOLA_OK;
}

typedef struct narrowing {
    int32_t *coefficient;
    bool misfit; /* one does not fit in 32 bits */
} narrowing;

static fhola_status narrow_coefficients(const ckks_lintrans *lt, const encoder *e, unsigned i,
                                        void *data)
{
    narrowing *n = data;
    int32_t *narrow = n->coefficient + i * 2 * lt->period;
    bool misfit = false;
    FHOLA_TRY(encode_values(lt, e, i));
    for (size_t k = 0; k < 2 * lt->period; k++) {
        narrow[k] = (int32_t)e->coefficient[k];
        misfit = misfit || narrow[k] != e->coefficient[k];
    }
#pragma omp critical(ckks_lintrans_narrow)
    n->misfit = n->misfit || misfit;
    return FHOLA_OK;
}

/* The plaintexts first .. last - 1 on one thread. */
static fhola_status encode_some(const ckks_lintrans *lt, encode_step *step, void *data,
                                unsigned first, unsigned last)
{
    size_t period = lt->period;
    encoder e = {.value = malloc(2 * period * sizeof *e.value),
                 .scratch = malloc(2 * period * sizeof *e.scratch),
                 .coefficient = ckks_alloc(2 * period * sizeof *e.coefficient),
                 .limb = ckks_alloc(lt->context->n * sizeof *e.limb),
                 .packed = ckks_alloc(lt->context->n * sizeof(uint64_t))};
    fhola_status status = e.value && e.scratch && e.coefficient && e.limb && e.packed
                              ? FHOLA_OK
                              : fhola_fail(FHOLA_NOMEM, "no memory to encode a transform");
    for (unsigned i = first; i < last && !status; i++) status = step(lt, &e, i, data);
    free(e.value);
    free(e.scratch);
    ckks_free(e.coefficient);
    ckks_free(e.limb);
    ckks_free(e.packed);
    return status;
}

/* Why a parallel loop failed: the message of another thread. */
typedef struct failure {
    fhola_status status;
    char detail[512];
} failure;

static void record(failure *f, fhola_status status)
{
#pragma omp critical(ckks_lintrans_encode)
    {
        f->status = status;
        memcpy(f->detail, fhola_detail(), strlen(fhola_detail()) + 1);
    }
}

/* All plaintexts, in parallel. */
static fhola_status encode_all(const ckks_lintrans *lt, encode_step *step, void *data)
{
    failure failed = {FHOLA_OK, ""};
    unsigned most = 4 * ckks_context_threads(lt->context),
             tasks = most < lt->plains ? most : lt->plains;
#pragma omp parallel for num_threads(ckks_context_threads(lt->context)) schedule(dynamic)
    for (unsigned k = 0; k < tasks; k++) {
        fhola_status st = encode_some(lt, step, data, (unsigned)((uint64_t)lt->plains * k / tasks),
                                      (unsigned)((uint64_t)lt->plains * (k + 1) / tasks));
        if (st) record(&failed, st);
    }
    return failed.status ? fhola_fail(failed.status, "%s", failed.detail) : FHOLA_OK;
}

/* The packed limbs of all plaintexts, to be freed by the caller. */
static fhola_status make_limbs(const ckks_lintrans *lt, unsigned char **out)
{
    unsigned char *data = ckks_alloc(lt->plain_bytes * lt->plains);
    if (!data)
        return fhola_fail(FHOLA_NOMEM, "no memory for %zu bytes of encoded diagonals",
                          lt->plain_bytes * lt->plains);
    fhola_status status = encode_all(lt, encode_limbs, data);
    if (status)
        ckks_free(data);
    else
        *out = data;
    return status;
}

/* Without coefficients where one does not fit: the transform is CKKS_LINTRANS_NONE then. */
static fhola_status make_coefficients(ckks_lintrans *lt)
{
    size_t bytes = ckks_lintrans_coefficient_bytes(lt->plains, lt->period);
    int32_t *narrow = ckks_alloc(bytes);
    if (!narrow) return fhola_fail(FHOLA_NOMEM, "no memory for %zu bytes of coefficients", bytes);
    narrowing n = {narrow, false};
    fhola_status status = encode_all(lt, narrow_coefficients, &n);
    if (status == FHOLA_OK && !n.misfit) {
        lt->coefficient = narrow;
        return FHOLA_OK;
    }
    ckks_free(narrow);
    lt->store = CKKS_LINTRANS_NONE;
    return status;
}

/* A multiple of 64 for each limb, of half a limb too. */
static size_t kept_bytes(const ckks_lintrans *lt, ckks_basis basis)
{
    return ckks_packed_bytes(lt->context, basis, lt->log_gap + lt->real);
}

static fhola_status keep_diagonals(ckks_lintrans *lt, const ckks_lintrans_spec *spec)
{
    const ckks_context *c = lt->context;
    for (unsigned t = 0; t < c->moduli; t++)
        lt->limb_offset[t] = kept_bytes(lt, ckks_basis_below(c, lt->encoded, t));
    lt->has_plain = 1;
    lt->store = spec->store;
    lt->diagonal = spec->diagonal;
    lt->arg = spec->arg;
    switch (lt->store) {
    case CKKS_LINTRANS_LIMBS: return make_limbs(lt, &lt->data);
    case CKKS_LINTRANS_COEFFICIENTS: return make_coefficients(lt);
    case CKKS_LINTRANS_NONE: break;
    }
    return FHOLA_OK;
}

static fhola_status check_diagonals(const ckks_context *c, const ckks_lintrans_spec *spec)
{
    size_t inputs = inputs_of(spec), outputs = outputs_of(spec);
    if (inputs > CKKS_LINTRANS_MAX_PARTS || outputs > CKKS_LINTRANS_MAX_PARTS)
        return fhola_fail(FHOLA_PARAM, "%zu inputs and %zu outputs of a transform are more than %u",
                          inputs, outputs, CKKS_LINTRANS_MAX_PARTS);
    if (spec->count == 0 || spec->count > 4096 * inputs * outputs)
        return fhola_fail(FHOLA_PARAM, "%zu diagonals are outside 1..%zu", spec->count,
                          4096 * inputs * outputs);
    for (size_t i = 0; i < spec->count; i++) {
        if (spec->offset[i] <= -(int32_t)c->slots || spec->offset[i] >= (int32_t)c->slots)
            return fhola_fail(FHOLA_PARAM, "offset %d is outside the slots", spec->offset[i]);
        if (block_of(spec, i) >= inputs * outputs)
            return fhola_fail(FHOLA_PARAM, "block %u of a transform is not among %zu x %zu",
                              block_of(spec, i), outputs, inputs);
        if (spec->same && spec->same[i] >= spec->count)
            return fhola_fail(FHOLA_PARAM, "a transform has no diagonal %zu of %zu", spec->same[i],
                              spec->count);
    }
    return FHOLA_OK;
}

static fhola_status check_spec(const ckks_context *c, const ckks_lintrans_spec *spec)
{
    if (!spec->basis || spec->basis & ~c->chain || !spec->special || spec->special & ~c->special)
        return fhola_fail(FHOLA_LEVEL, "a transform needs chain primes and special primes");
    FHOLA_TRY(check_diagonals(c, spec));
    if (spec->period == 0 || spec->period > c->slots || spec->period & (spec->period - 1))
        return fhola_fail(FHOLA_PARAM, "a period of %zu slots is not a power of two up to %zu",
                          spec->period, c->slots);
    FHOLA_TRY(ckks_scale_fits(c, spec->basis, spec->plain_scale, "the diagonals"));
    if (spec->real && (spec->double_hoist || c->n < 2 * 64))
        return fhola_fail(FHOLA_PARAM,
                          "diagonals for double hoisting, or of a ring of %zu, are kept whole",
                          c->n);
    if (spec->babies_in_turn && spec->double_hoist)
        return fhola_fail(FHOLA_PARAM, "babies in turn are not for double hoisting");
    if (spec->raised && !spec->double_hoist)
        return fhola_fail(FHOLA_PARAM, "a transform that raises its inputs is for double hoisting");
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
    lt->baby_special = spec->raised ? ckks_basis_special_for(c->params, ckks_basis_base(c->params))
                                    : spec->special;
    lt->encoded = spec->basis | (spec->double_hoist ? lt->baby_special : 0);
    lt->double_hoist = spec->double_hoist;
    lt->in_turn = spec->in_turn;
    lt->babies_in_turn = spec->babies_in_turn;
    lt->raised = spec->raised != 0;
    lt->real = spec->real != 0;
    lt->plain_scale = spec->plain_scale;
    lt->period = spec->period;
    lt->inputs = inputs_of(spec);
    lt->outputs = outputs_of(spec);
    lt->log_gap = ckks_packed_log_gap(c, spec->period);
    lt->plain_bytes = kept_bytes(lt, lt->encoded);
    st = set_terms(lt, spec);
    if (!st && spec->diagonal) st = keep_diagonals(lt, spec);
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
    free(lt->baby_turn);
    free(lt->giant_turn);
    free(lt->first);
    free(lt->term);
    free(lt->maker);
    free(lt->visit);
    ckks_free(lt->data);
    ckks_free(lt->coefficient);
    free(lt);
}

size_t ckks_lintrans_coefficient_bytes(size_t diagonals, size_t period)
{
    return diagonals * 2 * period * sizeof(int32_t);
}

ckks_lintrans_store ckks_lintrans_stored(const ckks_lintrans *lt)
{
    return lt->store;
}

size_t ckks_lintrans_encoded_bytes(const ckks_lintrans *lt)
{
    return lt->plain_bytes * lt->plains;
}

size_t ckks_lintrans_bytes(const ckks_lintrans *lt)
{
    if (lt->data) return ckks_lintrans_encoded_bytes(lt);
    return lt->coefficient ? ckks_lintrans_coefficient_bytes(lt->plains, lt->period) : 0;
}

static ckks_key_kind baby_kind(const ckks_lintrans *lt)
{
    return lt->raised ? CKKS_KEY_SPARSE_TO_DENSE : CKKS_KEY_ROTATE;
}

fhola_status ckks_lintrans_keys(const ckks_lintrans *lt, const ckks_context *c, ckks_key_list *list)
{
    ckks_key_request r = {baby_kind(lt), 0, lt->basis, lt->baby_special};
    fhola_status st = FHOLA_OK;
    for (unsigned b = 0; b < lt->babies && !st; b++) {
        r.rotation = (uint32_t)lt->baby_turn[b].by;
        st = ckks_key_list_add(list, c, r);
    }
    r.kind = CKKS_KEY_ROTATE;
    r.p = lt->special;
    for (unsigned j = 0; j < lt->giants && !st; j++) {
        r.rotation = (uint32_t)lt->giant_turn[j].by;
        st = ckks_key_list_add(list, c, r);
    }
    return st;
}

/* ---- application ---- */

/* What one application works with. `whole` is the basis it works on and the special primes,
 * `hoisted` the same with those of the babies; polynomials are named after the step that fills
 * them. */
typedef struct application {
    const ckks_context *c;
    ckks_workspace *ws;
    const ckks_lintrans *lt;
    const unsigned char *plain; /* packed limbs of all plaintexts */
    unsigned copies;
    const ckks_ciphertext *const *in; /* of each copy the inputs; so in what follows */
    ckks_basis basis, hoisted, whole;
    ckks_poly *lifted; /* raised: pairs, each input's polynomials over basis and over hoisted */
    const ckks_switch_key **baby_key, **giant_key; /* NULL entries: no rotation */
    ckks_decomposition *d; /* of each input, if a baby is made from it with a key */
    ckks_poly *x;          /* single hoisting: pairs, babies over basis */
    ckks_poly *sum;        /* pairs, per giant: over hoisted (double hoisting) or basis (single) */
    ckks_poly *total;      /* a pair over whole, of one output after the other; in turn two pairs */
    const void **list;     /* per thread: LISTS * copies * babies pointers */
} application;

#define LISTS 5u /* x0, x1 of all babies; plaintexts, x0, x1 of one giant's terms */

static const uint64_t **thread_list(const application *a, unsigned list)
{
    size_t babies = (size_t)a->copies * a->lt->babies;
    return (const uint64_t **)(a->list + ((size_t)ckks_thread_number() * LISTS + list) * babies);
}

static fhola_status find_keys(application *a, const ckks_eval_keys *keys,
                              const ckks_switch_key ***out, ckks_key_kind kind, ckks_basis special,
                              const rotation *list, unsigned count)
{
    uint32_t mask = (uint32_t)(a->c->slots - 1);
    const ckks_switch_key **key = ckks_workspace_take(a->ws, count * sizeof *key);
    if (!key) return FHOLA_NOMEM;
    for (unsigned i = 0; i < count; i++) {
        uint32_t k = (uint32_t)list[i].by & mask;
        key[i] = NULL;
        if (k || kind != CKKS_KEY_ROTATE)
            FHOLA_TRY(ckks_eval_keys_find(&key[i], keys, kind, k, a->basis, special));
    }
    *out = key;
    return FHOLA_OK;
}

static ckks_decomposition *decomposition_of(const application *a, unsigned copy, unsigned baby)
{
    return &a->d[copy * a->lt->inputs + a->lt->baby[baby].part];
}

static const ckks_poly *input_of(const application *a, unsigned copy, unsigned baby)
{
    unsigned i = copy * a->lt->inputs + a->lt->baby[baby].part;
    return a->lifted ? &a->lifted[2 * i] : a->in[i]->poly;
}

/* Both polynomials of a copy's giant. */
static ckks_poly *sum_of(const application *a, unsigned copy, unsigned giant)
{
    return &a->sum[2 * ((size_t)copy * a->lt->giants + giant)];
}

/* Input i lifted: its second polynomial is the only digit. */
static fhola_status raise_input(const application *a, unsigned i)
{
    ckks_poly *first = ckks_poly_take(a->ws, 1, a->basis),
              *second = ckks_poly_take(a->ws, 1, a->hoisted);
    if (!first || !second) return FHOLA_NOMEM;
    FHOLA_TRY(ckks_lift(a->c, a->ws, first, &a->in[i]->poly[0]));
    FHOLA_TRY(ckks_lift(a->c, a->ws, second, &a->in[i]->poly[1]));
    a->lifted[2 * i] = *first;
    a->lifted[2 * i + 1] = *second;
    ckks_decomposition_of_one(&a->d[i], a->baby_key[0], a->basis, &a->lifted[2 * i + 1]);
    return FHOLA_OK;
}

static fhola_status raise_inputs(application *a)
{
    unsigned count = a->copies * a->lt->inputs;
    a->lifted = ckks_workspace_take(a->ws, 2 * (size_t)count * sizeof *a->lifted);
    if (!a->lifted) return FHOLA_NOMEM;
    for (unsigned i = 0; i < count; i++) FHOLA_TRY(raise_input(a, i));
    return FHOLA_OK;
}

static fhola_status decompose_copy(const application *a, unsigned copy)
{
    for (unsigned b = 0; b < a->lt->babies; b++) {
        const ckks_switch_key *key = a->baby_key[b];
        ckks_decomposition *d = decomposition_of(a, copy, b);
        if (!key) continue;
        if (!d->digits) FHOLA_TRY(ckks_decompose(a->c, a->ws, 1, d, key, &input_of(a, copy, b)[1]));
        FHOLA_TRY(ckks_decomposition_check(a->c, d, key));
    }
    return FHOLA_OK;
}

/* Step A. */
static fhola_status decompose_inputs(application *a)
{
    size_t bytes = (size_t)a->copies * a->lt->inputs * sizeof *a->d;
    a->d = ckks_workspace_take(a->ws, bytes);
    if (!a->d) return FHOLA_NOMEM;
    memset(a->d, 0, bytes);
    if (a->lt->raised) return raise_inputs(a);
    for (unsigned k = 0; k < a->copies; k++) FHOLA_TRY(decompose_copy(a, k));
    return FHOLA_OK;
}

static void reverse(uint64_t *out, const uint64_t *in, size_t count)
{
    for (size_t k = 0; k < count; k++) out[k] = in[count - 1 - k];
}

/* Step C modulo t for the positions from .. from + count - 1, which start x0[b] and x1[b], the
 * copy's baby limbs; a NULL x0[b] is zero modulo t. mirror: NULL, or room for two results, of
 * plaintexts that are kept for these positions in reverse, and so are x0 and x1. */
static void multiply_plain(const application *a, unsigned copy, unsigned t,
                           const uint64_t *const *x0, const uint64_t *const *x1, size_t from,
                           size_t count, uint64_t *mirror)
{
    const ckks_lintrans *lt = a->lt;
    const ckks_modulus *m = &a->c->modulus[t];
    const void **plain = (const void **)thread_list(a, 2);
    const uint64_t **f = thread_list(a, 3), **g = thread_list(a, 4);
    size_t kept = mirror ? a->c->n - from - count : from;
    size_t plain_from = lt->limb_offset[t] + (kept >> lt->log_gap) * m->width;
    for (unsigned j = 0; j < lt->giants; j++) {
        size_t terms = 0;
        for (unsigned i = lt->first[j]; i < lt->first[j + 1]; i++) {
            unsigned b = lt->term[i].baby;
            if (!x0[b]) continue;
            plain[terms] = a->plain + lt->term[i].plain * lt->plain_bytes + plain_from;
            f[terms] = x0[b];
            g[terms++] = x1[b];
        }
        const ckks_poly *sum = sum_of(a, copy, j);
        uint64_t *out0 = ckks_poly_limb(&sum[0], t) + from,
                 *out1 = ckks_poly_limb(&sum[1], t) + from;
        a->c->kernel->plain_product(m, mirror ? mirror : out0, mirror ? mirror + count : out1,
                                    count, terms, plain, lt->log_gap, f, g, 0);
        if (!mirror) continue;
        reverse(out0, mirror, count);
        reverse(out1, mirror + count, count);
    }
}

/* ---- double hoisting: babies over Q and P, their P ---- */

/* One baby, times P, at a range of positions of limb i over `hoisted`; false if it is zero
 * there. */
static bool baby_range(const application *a, unsigned copy, unsigned b, unsigned i, size_t from,
                       size_t range, uint64_t *u0, uint64_t *u1)
{
    const ckks_context *c = a->c;
    const ckks_poly *in = input_of(a, copy, b);
    unsigned t = a->sum->modulus[i];
    if (a->baby_key[b]) {
        const ckks_switch s = {decomposition_of(a, copy, b), a->baby_key[b], &in[0], NULL};
        ckks_switch_range(c, 1, &s, i, from, range, u0, u1, false);
        return true;
    }
    const uint64_t *c0 = ckks_poly_limb(&in[0], t), *c1 = ckks_poly_limb(&in[1], t);
    if (!c0) return false;
    uint64_t p = ckks_product_mod(c, a->lt->special, t);
    c->kernel->mul_scalar(&c->modulus[t], u0, c0 + from, p, range);
    c->kernel->mul_scalar(&c->modulus[t], u1, c1 + from, p, range);
    return true;
}

/* Steps B and C for limb i: a range of positions of every baby is made and multiplied while it is
 * in the cache. room: two polynomials' ranges for each baby of each copy. */
static void babies_double_limb(const application *a, unsigned i, uint64_t *room, size_t range)
{
    unsigned babies = a->lt->babies;
    const uint64_t **x0 = thread_list(a, 0), **x1 = thread_list(a, 1);
    for (unsigned k = 0; k < a->copies * a->lt->inputs; k++)
        if (a->d[k].digits) ckks_decomposition_transform(a->c, &a->d[k], i);
    for (size_t from = 0; from < a->c->n; from += range) {
        for (unsigned f = 0; f < babies * a->copies; f++) {
            unsigned copy = f % a->copies, b = a->lt->visit[f / a->copies],
                     place = copy * babies + b;
            uint64_t *u0 = room + 2 * place * range, *u1 = u0 + range;
            bool there = baby_range(a, copy, b, i, from, range, u0, u1);
            x0[place] = there ? u0 : NULL;
            x1[place] = there ? u1 : NULL;
        }
        for (unsigned k = 0; k < a->copies; k++)
            multiply_plain(a, k, a->sum->modulus[i], x0 + k * babies, x1 + k * babies, from, range,
                           NULL);
    }
}

/* A key for each baby that is rotated. */
static void count_switches(const application *a)
{
    size_t rotated = 0;
    for (unsigned b = 0; b < a->lt->babies; b++) rotated += a->baby_key[b] != NULL;
    ckks_tally_key_switches(a->c->tally, rotated * a->copies);
}

static fhola_status babies_double(application *a)
{
    unsigned threads = ckks_context_threads(a->c), babies = a->copies * a->lt->babies;
    size_t range = a->c->n < FUSED_RANGE ? a->c->n : FUSED_RANGE, words = 2 * babies * range + 8;
    uint64_t *room = ckks_workspace_take(a->ws, threads * words * sizeof *room);
    if (!room) return FHOLA_NOMEM;
#pragma omp parallel for schedule(dynamic) num_threads(threads)
    for (unsigned i = 0; i < a->sum->limbs; i++)
        babies_double_limb(a, i, room + ckks_thread_number() * words, range);
    count_switches(a);
    return FHOLA_OK;
}

/* ---- single hoisting: babies divided by P ---- */

/* The next babies that are rotated, at most BABY_BATCH, those of one key after each other; the
 * input stands for those that are not. first: of all visits to a copy's baby. */
static size_t next_babies(const application *a, unsigned *first, ckks_switch s[BABY_BATCH],
                          ckks_poly out[2 * BABY_BATCH])
{
    size_t n = 0;
    for (; *first < a->copies * a->lt->babies && n < BABY_BATCH; ++*first) {
        unsigned copy = *first % a->copies, b = a->lt->visit[*first / a->copies];
        ckks_poly *x = &a->x[2 * ((size_t)copy * a->lt->babies + b)];
        const ckks_poly *in = input_of(a, copy, b);
        if (!a->baby_key[b]) {
            x[0] = in[0];
            x[1] = in[1];
            continue;
        }
        out[2 * n] = x[0];
        out[2 * n + 1] = x[1];
        s[n++] = (ckks_switch){decomposition_of(a, copy, b), a->baby_key[b], &in[0], NULL};
    }
    return n;
}

/* Step B. */
static fhola_status babies_single(application *a)
{
    ckks_poly *raised = ckks_poly_take(a->ws, 2 * BABY_BATCH, a->whole), out[2 * BABY_BATCH];
    ckks_switch s[BABY_BATCH];
    a->x = ckks_poly_take(a->ws, 2 * (size_t)a->copies * a->lt->babies, a->basis);
    if (!raised || !a->x) return FHOLA_NOMEM;
    size_t n;
    for (unsigned first = 0; (n = next_babies(a, &first, s, out)) > 0;) {
        ckks_switch_each(a->c, n, raised, s);
        for (size_t k = 0; k < n; k++) a->d[s[k].of - a->d].transformed = true;
        FHOLA_TRY(ckks_divide_round(a->c, a->ws, 2 * n, out, raised));
    }
    return FHOLA_OK;
}

/* Baby b of a copy: the one before of its input, or the input, rotated by its key. */
static fhola_status next_in_turn(const application *a, unsigned copy, unsigned b)
{
    const ckks_lintrans *lt = a->lt;
    ckks_poly *x = &a->x[2 * ((size_t)copy * lt->babies + b)];
    bool first = b == 0 || lt->baby[b - 1].part != lt->baby[b].part;
    const ckks_poly *before = first ? input_of(a, copy, b) : x - 2;
    const ckks_switch_key *key = a->baby_key[b];
    if (!key) {
        x[0] = before[0];
        x[1] = before[1];
        return FHOLA_OK;
    }
    ckks_mark mark = ckks_workspace_mark(a->ws);
    ckks_poly *raised = ckks_poly_take(a->ws, 2, a->whole);
    fhola_status status =
        raised ? ckks_key_switch(a->c, a->ws, key, &before[0], NULL, &before[1], raised)
               : FHOLA_NOMEM;
    if (!status) status = ckks_divide_round(a->c, a->ws, 2, x, raised);
    ckks_workspace_release(a->ws, mark);
    return status;
}

/* Steps A and B in turn. */
static fhola_status babies_in_turn(application *a)
{
    a->x = ckks_poly_take(a->ws, 2 * (size_t)a->copies * a->lt->babies, a->basis);
    if (!a->x) return FHOLA_NOMEM;
    for (unsigned k = 0; k < a->copies; k++)
        for (unsigned b = 0; b < a->lt->babies; b++) FHOLA_TRY(next_in_turn(a, k, b));
    return FHOLA_OK;
}

/* Positions worked on at a time: both polynomials of all babies over a range stay in half a
 * second-level cache, whatever the number of giants that read them. A multiple of 512, at most
 * n. */
static size_t range_length(const application *a)
{
    size_t words = CACHE_BYTES / (2 * sizeof(uint64_t) * a->copies * a->lt->babies), length = 512;
    size_t most = a->lt->real ? a->c->n / 2 : a->c->n;
    while (2 * length <= words && 2 * length <= most) length *= 2;
    return length < most ? length : most;
}

/* Step C for limb i of the babies and a range of positions. mirror: room for 2 babies of all copies
 * and 2 results, or NULL. */
static void products_of_range(const application *a, unsigned i, size_t from, size_t step,
                              uint64_t *mirror)
{
    const uint64_t **x0 = thread_list(a, 0), **x1 = thread_list(a, 1);
    unsigned babies = a->lt->babies;
    for (unsigned b = 0; b < a->copies * babies; b++) {
        x0[b] = a->x[2 * b].limb[i] + from;
        x1[b] = a->x[2 * b + 1].limb[i] + from;
        if (!mirror) continue;
        uint64_t *y = mirror + 2 * (b + 1) * step;
        reverse(y, x0[b], step);
        reverse(y + step, x1[b], step);
        x0[b] = y;
        x1[b] = y + step;
    }
    for (unsigned k = 0; k < a->copies; k++)
        multiply_plain(a, k, a->sum->modulus[i], x0 + k * babies, x1 + k * babies, from, step,
                       mirror);
}

/* Step C. */
static void products_whole(const application *a)
{
    size_t step = range_length(a);
#pragma omp parallel for num_threads(ckks_context_threads(a->c)) schedule(dynamic) collapse(2)
    for (unsigned i = 0; i < a->sum->limbs; i++)
        for (size_t from = 0; from < a->c->n; from += step)
            products_of_range(a, i, from, step, NULL);
}

/* The same with half plaintexts: each range and then its mirror image, while the plaintexts are in
 * the cache. */
static fhola_status products_mirrored(const application *a)
{
    size_t step = range_length(a), words = 2 * ((size_t)a->copies * a->lt->babies + 1) * step;
    uint64_t *room = ckks_workspace_take(a->ws, ckks_context_threads(a->c) * words * sizeof *room);
    if (!room) return FHOLA_NOMEM;
#pragma omp parallel for num_threads(ckks_context_threads(a->c)) schedule(dynamic) collapse(2)
    for (unsigned i = 0; i < a->sum->limbs; i++)
        for (size_t from = 0; from < a->c->n / 2; from += step) {
            products_of_range(a, i, from, step, NULL);
            products_of_range(a, i, a->c->n - from - step, step,
                              room + ckks_thread_number() * words);
        }
    return FHOLA_OK;
}

static fhola_status products_single(const application *a)
{
    if (a->lt->real) return products_mirrored(a);
    products_whole(a);
    return FHOLA_OK;
}

/* ---- giants ---- */

/* The first giant of an output; of the number of outputs: the number of giants. */
static unsigned first_giant(const ckks_lintrans *lt, unsigned output)
{
    unsigned j = 0;
    while (j < lt->giants && lt->giant[j].part < output) j++;
    return j;
}

/* Giants that are no rotation start the total: offsets a multiple of all slots apart make
 * several. */
static void start_total(const application *a, unsigned copy, unsigned first, unsigned end)
{
    const ckks_context *c = a->c;
#pragma omp parallel for num_threads(ckks_context_threads(c)) schedule(static) collapse(2)
    for (unsigned k = 0; k < 2; k++)
        for (unsigned i = 0; i < a->total->limbs; i++) {
            unsigned t = a->total->modulus[i];
            uint64_t *out = a->total[k].limb[i];
            uint64_t factor = ckks_product_mod(c, a->total->basis & ~a->sum->basis, t);
            memset(out, 0, c->n * sizeof *out);
            for (unsigned j = first; j < end; j++) {
                const uint64_t *sum =
                    a->giant_key[j] ? NULL : ckks_poly_limb(&sum_of(a, copy, j)[k], t);
                if (sum) c->kernel->mul_scalar_add(&c->modulus[t], out, out, sum, factor, c->n);
            }
        }
}

/* The next giants before `end` that are rotated, as many as one inner product holds. */
static size_t next_giants(const application *a, unsigned *first, unsigned end,
                          unsigned member[GIANT_BATCH])
{
    size_t n = 0;
    for (; *first < end && n < GIANT_BATCH; ++*first) {
        const ckks_switch_key *key = a->giant_key[*first];
        if (!key) continue;
        if ((n + 1) * key->digits > CKKS_MAX_TERMS) break;
        member[n++] = *first;
    }
    return n;
}

/* The second polynomials of these sums over basis, where they are to be decomposed. */
static fhola_status lower_seconds(const application *a, size_t n, ckks_poly second[])
{
    if (second->basis == a->basis) return FHOLA_OK;
    ckks_poly *lowered = ckks_poly_take(a->ws, n, a->basis);
    if (!lowered) return FHOLA_NOMEM;
    FHOLA_TRY(ckks_divide_round(a->c, a->ws, n, lowered, second));
    memcpy(second, lowered, n * sizeof *second);
    return FHOLA_OK;
}

/* total += the switched sums of these giants. */
static fhola_status add_giants(const application *a, unsigned copy, size_t n,
                               const unsigned member[])
{
    ckks_decomposition d[GIANT_BATCH];
    ckks_switch s[GIANT_BATCH];
    ckks_poly second[GIANT_BATCH];
    for (size_t k = 0; k < n; k++) second[k] = sum_of(a, copy, member[k])[1];
    FHOLA_TRY(lower_seconds(a, n, second));
    FHOLA_TRY(ckks_decompose(a->c, a->ws, n, d, a->giant_key[member[0]], second));
    for (size_t k = 0; k < n; k++) {
        s[k] = (ckks_switch){&d[k], a->giant_key[member[k]], sum_of(a, copy, member[k]), NULL};
        FHOLA_TRY(ckks_decomposition_check(a->c, &d[k], s[k].key));
    }
    ckks_switch_sum(a->c, n, a->total, s);
    return FHOLA_OK;
}

/* Step D: *total = sum over the giants of an output of the switched sums, over whole. */
static fhola_status giants(const application *a, unsigned copy, unsigned output,
                           const ckks_poly **total)
{
    unsigned member[GIANT_BATCH], first = first_giant(a->lt, output),
                                  end = first_giant(a->lt, output + 1);
    size_t n;
    *total = a->total;
    start_total(a, copy, first, end);
    while ((n = next_giants(a, &first, end, member)) > 0) {
        ckks_mark mark = ckks_workspace_mark(a->ws);
        fhola_status status = add_giants(a, copy, n, member);
        ckks_workspace_release(a->ws, mark);
        if (status) return status;
    }
    return FHOLA_OK;
}

/* out over whole = or, with `add`, += a sum that is rotated by `key`. Offsets a multiple of all
 * slots apart are added without one. */
static fhola_status turn(const application *a, const ckks_poly out[2], const ckks_switch_key *key,
                         const ckks_poly sum[2], bool add)
{
    if (!key) return ckks_poly_add(a->c, 2, out, out, sum);
    ckks_decomposition d;
    ckks_poly second = sum[1];
    ckks_mark mark = ckks_workspace_mark(a->ws);
    fhola_status status = lower_seconds(a, 1, &second);
    if (status) goto end;
    status = ckks_decompose(a->c, a->ws, 1, &d, key, &second);
    if (status) goto end;
    const ckks_switch s = {&d, key, sum, NULL};
    if (add)
        ckks_switch_sum(a->c, 1, out, &s);
    else
        ckks_switch_each(a->c, 1, out, &s);
end:
    ckks_workspace_release(a->ws, mark);
    return status;
}

/* out over whole = a sum over fewer primes, times those it lacks. */
static void raise_sum(const application *a, const ckks_poly out[2], const ckks_poly sum[2])
{
    const ckks_context *c = a->c;
#pragma omp parallel for num_threads(ckks_context_threads(c)) schedule(static) collapse(2)
    for (unsigned k = 0; k < 2; k++)
        for (unsigned i = 0; i < out->limbs; i++) {
            unsigned t = out->modulus[i];
            const uint64_t *limb = ckks_poly_limb(&sum[k], t);
            if (limb)
                c->kernel->mul_scalar(&c->modulus[t], out[k].limb[i], limb,
                                      ckks_product_mod(c, out->basis & ~sum->basis, t), c->n);
            else
                memset(out[k].limb[i], 0, c->n * sizeof(uint64_t));
        }
}

/* Sum j of a copy over whole: where it is, or in `room`. */
static const ckks_poly *raised_sum(const application *a, unsigned copy, unsigned j,
                                   const ckks_poly room[2])
{
    const ckks_poly *sum = sum_of(a, copy, j);
    if (sum->basis == a->whole) return sum;
    raise_sum(a, room, sum);
    return room;
}

/* Step D in turn: every sum, with those above it, is rotated and added to the one below. */
static fhola_status giants_in_turn(const application *a, unsigned copy, unsigned output,
                                   const ckks_poly **total)
{
    unsigned first = first_giant(a->lt, output), j = first_giant(a->lt, output + 1) - 1;
    const ckks_poly *sum = sum_of(a, copy, j);
    unsigned room = 0; /* the pair of a->total that is free */
    *total = sum;
    if (j == first && !a->giant_key[j] && a->lt->double_hoist) return FHOLA_OK;
    if (j == first || !a->giant_key[j]) sum = raised_sum(a, copy, j, &a->total[2]);
    for (; j > first; j--, room ^= 1) {
        const ckks_poly *below = raised_sum(a, copy, j - 1, &a->total[2 * room]);
        FHOLA_TRY(turn(a, below, a->giant_key[j], sum, true));
        sum = below;
    }
    *total = sum;
    if (!a->giant_key[first]) return FHOLA_OK;
    *total = &a->total[2 * room];
    return turn(a, *total, a->giant_key[first], sum, false);
}

static fhola_status make_babies(application *a)
{
    if (a->lt->babies_in_turn) return babies_in_turn(a);
    FHOLA_TRY(decompose_inputs(a));
    return a->lt->double_hoist ? babies_double(a) : babies_single(a);
}

/* Steps A to C: what they use is given back. */
static fhola_status babies(application *a)
{
    ckks_mark mark = ckks_workspace_mark(a->ws);
    fhola_status status = make_babies(a);
    if (!status && !a->lt->double_hoist) status = products_single(a);
    ckks_workspace_release(a->ws, mark);
    return status;
}

/* The primes a transform works on: the input's, or those it is raised to, the result's and the top
 * one that is divided away. */
static ckks_basis working_basis(const ckks_lintrans *lt, const ckks_ciphertext *in,
                                ckks_basis out_basis)
{
    return lt->raised ? out_basis | ckks_basis_top(lt->basis) : in->poly->basis;
}

static fhola_status apply(const ckks_context *c, ckks_workspace *ws, const ckks_eval_keys *keys,
                          const ckks_lintrans *lt, const unsigned char *plain, unsigned copies,
                          ckks_ciphertext *const out[], const ckks_ciphertext *const in[],
                          ckks_basis out_basis)
{
    ckks_basis basis = working_basis(lt, in[0], out_basis), whole = basis | lt->special;
    double scale = ckks_scale_divided(c, in[0]->scale * lt->plain_scale, basis & ~out_basis);
    application a = {.c = c,
                     .ws = ws,
                     .lt = lt,
                     .plain = plain,
                     .copies = copies,
                     .in = in,
                     .basis = basis,
                     .hoisted = basis | lt->baby_special,
                     .whole = whole,
                     .list = ckks_workspace_take(ws, (size_t)ckks_context_threads(c) * LISTS *
                                                         copies * lt->babies * sizeof *a.list),
                     .sum = ckks_poly_take(ws, 2 * (size_t)copies * lt->giants,
                                           basis | (lt->double_hoist ? lt->baby_special : 0)),
                     .total = ckks_poly_take(ws, lt->in_turn ? 4 : 2, whole)};
    if (!a.list || !a.sum || !a.total) return FHOLA_NOMEM;
    FHOLA_TRY(find_keys(&a, keys, &a.baby_key, baby_kind(lt), lt->baby_special, lt->baby_turn,
                        lt->babies));
    FHOLA_TRY(find_keys(&a, keys, &a.giant_key, CKKS_KEY_ROTATE, lt->special, lt->giant_turn,
                        lt->giants));
    FHOLA_TRY(babies(&a));
    for (unsigned o = 0; o < copies * lt->outputs; o++) {
        const ckks_poly *total = NULL;
        FHOLA_TRY(
            (lt->in_turn ? giants_in_turn : giants)(&a, o / lt->outputs, o % lt->outputs, &total));
        FHOLA_TRY(ckks_ciphertext_divide(c, ws, out[o], total, out_basis, scale, 0));
    }
    return FHOLA_OK;
}

/* Every input and output is there, on the right primes, and none is both. */
static fhola_status check_parts(const ckks_context *c, size_t outputs, size_t inputs,
                                ckks_ciphertext *const out[], const ckks_ciphertext *const in[])
{
    for (size_t i = 0; i < inputs; i++) {
        FHOLA_TRY(ckks_ciphertext_check(c, in[i], "the input"));
        if (in[i]->poly->basis != in[0]->poly->basis)
            return fhola_fail(FHOLA_LEVEL, "input %zu of a transform has the primes %s, input 0 %s",
                              i, ckks_basis_describe(c->params, in[i]->poly->basis).text,
                              ckks_basis_describe(c->params, in[0]->poly->basis).text);
        FHOLA_TRY(ckks_scale_check(in[i]->scale, in[0]->scale, "a transform's input"));
    }
    for (size_t o = 0; o < outputs; o++) {
        bool other = out[o]->context == c;
        for (size_t i = 0; i < inputs; i++) other = other && out[o] != in[i];
        for (size_t k = 0; k < o; k++) other = other && out[o] != out[k];
        if (!other)
            return fhola_fail(
                FHOLA_PARAM, "a transform's result must be another ciphertext of the same context");
    }
    return FHOLA_OK;
}

static fhola_status check_apply(const ckks_context *c, const ckks_workspace *ws,
                                const ckks_eval_keys *keys, const ckks_lintrans *lt,
                                unsigned copies, ckks_ciphertext *const out[],
                                const ckks_ciphertext *const in[], ckks_basis out_basis)
{
    FHOLA_TRY(ckks_ciphertext_check(c, in[0], "the input"));
    if (keys->context != c || ws->context != c)
        return fhola_fail(FHOLA_PARAM, "the keys or the workspace belong to another context");
    ckks_basis basis = working_basis(lt, in[0], out_basis);
    if (!out_basis || out_basis & ~basis)
        return fhola_fail(FHOLA_LEVEL, "the result's basis is empty or not part of the input's");
    if (lt->raised && in[0]->poly->basis != ckks_basis_base(c->params))
        return fhola_fail(FHOLA_LEVEL, "only what has the primes %s can be raised, not %s",
                          ckks_basis_describe(c->params, ckks_basis_base(c->params)).text,
                          ckks_basis_describe(c->params, in[0]->poly->basis).text);
    if (!lt->has_plain)
        return fhola_fail(FHOLA_PARAM, "the transform was created without its diagonals");
    if (lt->context != c)
        return fhola_fail(FHOLA_PARAM, "the transform belongs to another context");
    FHOLA_TRY(check_parts(c, (size_t)copies * lt->outputs, (size_t)copies * lt->inputs, out, in));
    if (!ckks_basis_same_limbs(c->shared, basis, lt->basis))
        return fhola_fail(FHOLA_LEVEL, "the input's primes %s exceed the transform's %s",
                          ckks_basis_describe(c->params, basis).text,
                          ckks_basis_describe(c->params, lt->basis).text);
    return ckks_scale_fits(c, basis, in[0]->scale * lt->plain_scale, "the transform");
}

static fhola_status apply_copies(const ckks_context *c, ckks_workspace *ws,
                                 const ckks_eval_keys *keys, const ckks_lintrans *transform,
                                 unsigned copies, ckks_ciphertext *const out[],
                                 const ckks_ciphertext *const in[], ckks_basis out_basis)
{
    FHOLA_TRY(check_apply(c, ws, keys, transform, copies, out, in, out_basis));
    unsigned char *made = NULL;
    if (!transform->data) FHOLA_TRY(make_limbs(transform, &made));
    ckks_mark mark = ckks_workspace_mark(ws);
    fhola_status status =
        apply(c, ws, keys, transform, made ? made : transform->data, copies, out, in, out_basis);
    ckks_workspace_release(ws, mark);
    ckks_free(made);
    return status;
}

fhola_status ckks_lintrans_apply_matrix(const ckks_context *c, ckks_workspace *ws,
                                        const ckks_eval_keys *keys, const ckks_lintrans *transform,
                                        ckks_ciphertext *const out[],
                                        const ckks_ciphertext *const in[], ckks_basis out_basis)
{
    return apply_copies(c, ws, keys, transform, 1, out, in, out_basis);
}

static fhola_status check_alone(const ckks_lintrans *lt)
{
    if (lt->inputs == 1 && lt->outputs == 1) return FHOLA_OK;
    return fhola_fail(FHOLA_PARAM, "the transform has %u inputs and %u outputs, not 1", lt->inputs,
                      lt->outputs);
}

fhola_status ckks_lintrans_apply_each(const ckks_context *c, ckks_workspace *ws,
                                      const ckks_eval_keys *keys, const ckks_lintrans *transform,
                                      size_t count, ckks_ciphertext *const out[],
                                      const ckks_ciphertext *const in[], ckks_basis out_basis)
{
    FHOLA_TRY(check_alone(transform));
    if (count == 0 || count > CKKS_LINTRANS_MAX_PARTS)
        return fhola_fail(FHOLA_PARAM, "%zu inputs for a transform are outside 1..%u", count,
                          CKKS_LINTRANS_MAX_PARTS);
    return apply_copies(c, ws, keys, transform, (unsigned)count, out, in, out_basis);
}

fhola_status ckks_lintrans_apply(const ckks_context *c, ckks_workspace *ws,
                                 const ckks_eval_keys *keys, size_t count,
                                 const ckks_lintrans *const transform[],
                                 ckks_ciphertext *const out[], const ckks_ciphertext *in,
                                 ckks_basis out_basis)
{
    for (size_t i = 0; i < count; i++) {
        FHOLA_TRY(check_alone(transform[i]));
        FHOLA_TRY(apply_copies(c, ws, keys, transform[i], 1, &out[i], &in, out_basis));
    }
    return FHOLA_OK;
}
