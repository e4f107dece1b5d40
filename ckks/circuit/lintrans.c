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
 *   E  for every output one division by P and the primes the caller drops. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ckks/alloc.h"
#include "ckks/ring/rns.h"
#include "ckks/scheme/encode.h"
#include "ckks/scheme/evaluate.h"

#ifdef _OPENMP
#include <omp.h>
#endif

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

/* One diagonal, and which baby it multiplies. */
typedef struct term {
    unsigned block;
    int32_t offset;
    unsigned giant, baby;
} term;

struct ckks_lintrans {
    const ckks_context *context;
    ckks_basis basis, special;
    ckks_basis encoded; /* primes the diagonals are encoded over */
    int double_hoist, has_plain;
    double plain_scale;
    size_t period;
    unsigned log_gap;
    unsigned inputs, outputs;
    unsigned babies, giants, terms;
    rotation *baby, *giant; /* ascending */
    /* giants + 1: terms of giant j are first[j] .. first[j + 1] - 1, ordered by baby */
    unsigned *first;
    term *term;
    size_t limb_offset[CKKS_MAX_PRIMES], plain_bytes;
    /* What is kept of the diagonals, one after the other: packed limbs, or coefficients, or nothing
     * but where they come from. */
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
        lt->term[i] = (term){.block = block_of(spec, i),
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

/* Sorts the diagonals into giants and babies. scratch: 2 count rotations. */
static fhola_status split(ckks_lintrans *lt, const ckks_lintrans_spec *spec, rotation *scratch)
{
    size_t n = spec->count;
    int32_t step = (int32_t)spec->baby_step, shift = 0;
    if (step == 0) choose_split(lt->context, spec, scratch, &step, &shift);
    for (size_t i = 0; i < n; i++) split_offset(spec, i, step, shift, &lt->baby[i], &lt->giant[i]);
    lt->babies = (unsigned)unique(lt->baby, n);
    lt->giants = (unsigned)unique(lt->giant, n);
    return list_terms(lt, spec, step, shift);
}

static fhola_status set_terms(ckks_lintrans *lt, const ckks_lintrans_spec *spec)
{
    size_t n = spec->count;
    rotation *scratch = malloc(2 * n * sizeof *scratch);
    lt->baby = malloc(n * sizeof *lt->baby);
    lt->giant = malloc(n * sizeof *lt->giant);
    lt->first = calloc(n + 1, sizeof *lt->first);
    lt->term = calloc(n, sizeof *lt->term);
    fhola_status status =
        scratch && lt->baby && lt->giant && lt->first && lt->term
            ? split(lt, spec, scratch)
            : fhola_fail(FHOLA_NOMEM, "no memory for a transform of %zu diagonals", n);
    free(scratch);
    return status;
}

/* What encoding on one thread works in. */
typedef struct encoder {
    ckks_complex *value; /* a diagonal, and the same shifted */
    double *scratch;
    int64_t *coefficient;
    uint64_t *limb;
} encoder;

/* The coefficients of diagonal i from its values. */
static fhola_status encode_values(const ckks_lintrans *lt, const encoder *e, unsigned i)
{
    const ckks_context *c = lt->context;
    size_t period = lt->period;
    if (lt->diagonal(lt->arg, lt->term[i].block, lt->term[i].offset, e->value))
        return fhola_fail(FHOLA_PARAM, "diagonal %d of a transform is not available",
                          lt->term[i].offset);
    /* shifted right by the giant step J: entry s comes from s - J */
    size_t shift = (size_t)floor_mod(-lt->giant[lt->term[i].giant].by, (int32_t)period);
    ckks_complex *shifted = e->value + period;
    for (size_t s = 0; s < period; s++) shifted[s] = e->value[(s + shift) & (period - 1)];
    fhola_status status =
        ckks_encode_coefficients(c, e->coefficient, e->scratch, shifted, period, lt->plain_scale,
                                 ckks_half_modulus(c, lt->basis));
    return status ? fhola_fail(status, "diagonal %d of a transform: %s", lt->term[i].offset,
                               fhola_detail())
                  : FHOLA_OK;
}

/* What one task does with diagonal i. data: what is to be filled, of all diagonals. */
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
    for (unsigned t = 0; t < limbs; t++)
        ckks_encode_packed(c, index[t], lt->log_gap, plain + lt->limb_offset[index[t]], e->limb,
                           e->coefficient, lt->period);
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

/* The diagonals of terms first .. last - 1 on one thread. */
static fhola_status encode_terms(const ckks_lintrans *lt, encode_step *step, void *data,
                                 unsigned first, unsigned last)
{
    size_t period = lt->period;
    encoder e = {.value = malloc(2 * period * sizeof *e.value),
                 .scratch = malloc(2 * period * sizeof *e.scratch),
                 .coefficient = ckks_alloc(2 * period * sizeof *e.coefficient),
                 .limb = ckks_alloc(lt->context->n * sizeof *e.limb)};
    fhola_status status = e.value && e.scratch && e.coefficient && e.limb
                              ? FHOLA_OK
                              : fhola_fail(FHOLA_NOMEM, "no memory to encode a transform");
    for (unsigned i = first; i < last && !status; i++) status = step(lt, &e, i, data);
    free(e.value);
    free(e.scratch);
    ckks_free(e.coefficient);
    ckks_free(e.limb);
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

/* All diagonals, in parallel. */
static fhola_status encode_all(const ckks_lintrans *lt, encode_step *step, void *data)
{
    failure failed = {FHOLA_OK, ""};
    unsigned most = 4 * ckks_context_threads(lt->context),
             tasks = most < lt->terms ? most : lt->terms;
#pragma omp parallel for num_threads(ckks_context_threads(lt->context)) schedule(dynamic)
    for (unsigned k = 0; k < tasks; k++) {
        fhola_status st = encode_terms(lt, step, data, (unsigned)((uint64_t)lt->terms * k / tasks),
                                       (unsigned)((uint64_t)lt->terms * (k + 1) / tasks));
        if (st) record(&failed, st);
    }
    return failed.status ? fhola_fail(failed.status, "%s", failed.detail) : FHOLA_OK;
}

/* The packed limbs of all diagonals, to be freed by the caller. */
static fhola_status make_limbs(const ckks_lintrans *lt, unsigned char **out)
{
    unsigned char *data = ckks_alloc(lt->plain_bytes * lt->terms);
    if (!data)
        return fhola_fail(FHOLA_NOMEM, "no memory for %zu bytes of encoded diagonals",
                          lt->plain_bytes * lt->terms);
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
    size_t bytes = ckks_lintrans_coefficient_bytes(lt->terms, lt->period);
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

static fhola_status keep_diagonals(ckks_lintrans *lt, const ckks_lintrans_spec *spec)
{
    const ckks_context *c = lt->context;
    for (unsigned t = 0; t < c->moduli; t++)
        lt->limb_offset[t] = ckks_packed_bytes(c, ckks_basis_below(c, lt->encoded, t), lt->log_gap);
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
    lt->inputs = inputs_of(spec);
    lt->outputs = outputs_of(spec);
    lt->log_gap = ckks_packed_log_gap(c, spec->period);
    lt->plain_bytes = ckks_packed_bytes(c, lt->encoded, lt->log_gap);
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
    free(lt->first);
    free(lt->term);
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
    return lt->plain_bytes * lt->terms;
}

size_t ckks_lintrans_bytes(const ckks_lintrans *lt)
{
    if (lt->data) return ckks_lintrans_encoded_bytes(lt);
    return lt->coefficient ? ckks_lintrans_coefficient_bytes(lt->terms, lt->period) : 0;
}

fhola_status ckks_lintrans_keys(const ckks_lintrans *lt, const ckks_context *c, ckks_key_list *list)
{
    ckks_key_request r = {CKKS_KEY_ROTATE, 0, lt->basis, lt->special};
    fhola_status st = FHOLA_OK;
    for (unsigned b = 0; b < lt->babies && !st; b++) {
        r.rotation = (uint32_t)lt->baby[b].by;
        st = ckks_key_list_add(list, c, r);
    }
    for (unsigned j = 0; j < lt->giants && !st; j++) {
        r.rotation = (uint32_t)lt->giant[j].by;
        st = ckks_key_list_add(list, c, r);
    }
    return st;
}

/* ---- application ---- */

/* What one application works with. `whole` is the inputs' basis and the special primes; polynomials
 * are named after the step that fills them. */
typedef struct application {
    const ckks_context *c;
    ckks_workspace *ws;
    const ckks_lintrans *lt;
    const unsigned char *plain; /* packed limbs of all diagonals */
    const ckks_ciphertext *const *in;
    ckks_basis basis, whole;
    const ckks_switch_key **baby_key, **giant_key; /* NULL entries: no rotation */
    ckks_decomposition *d;                         /* of each input, if a baby is rotated */
    ckks_poly *x;                                  /* single hoisting: pairs, babies over basis */
    ckks_poly *sum;    /* pairs, per giant: over whole (double hoisting) or basis (single) */
    ckks_poly *total;  /* a pair over whole, of one output after the other */
    const void **list; /* per thread: LISTS * babies pointers */
} application;

#define LISTS 5u /* x0, x1 of all babies; plaintexts, x0, x1 of one giant's terms */

static unsigned thread_number(void)
{
#ifdef _OPENMP
    return (unsigned)omp_get_thread_num();
#else
    return 0;
#endif
}

static const uint64_t **thread_list(const application *a, unsigned list)
{
    return (const uint64_t **)(a->list + ((size_t)thread_number() * LISTS + list) * a->lt->babies);
}

static fhola_status find_keys(application *a, const ckks_eval_keys *keys,
                              const ckks_switch_key ***out, const rotation *list, unsigned count)
{
    uint32_t mask = (uint32_t)(a->c->slots - 1);
    const ckks_switch_key **key = ckks_workspace_take(a->ws, count * sizeof *key);
    if (!key) return FHOLA_NOMEM;
    for (unsigned i = 0; i < count; i++) {
        uint32_t k = (uint32_t)list[i].by & mask;
        key[i] = NULL;
        if (k)
            FHOLA_TRY(
                ckks_eval_keys_find(&key[i], keys, CKKS_KEY_ROTATE, k, a->basis, a->lt->special));
    }
    *out = key;
    return FHOLA_OK;
}

static ckks_decomposition *decomposition_of(const application *a, unsigned baby)
{
    return &a->d[a->lt->baby[baby].part];
}

static const ckks_poly *input_of(const application *a, unsigned baby)
{
    return a->in[a->lt->baby[baby].part]->poly;
}

/* Step A. */
static fhola_status decompose_inputs(application *a)
{
    a->d = ckks_workspace_take(a->ws, a->lt->inputs * sizeof *a->d);
    if (!a->d) return FHOLA_NOMEM;
    memset(a->d, 0, a->lt->inputs * sizeof *a->d);
    for (unsigned b = 0; b < a->lt->babies; b++) {
        const ckks_switch_key *key = a->baby_key[b];
        ckks_decomposition *d = decomposition_of(a, b);
        if (!key) continue;
        if (!d->digits) FHOLA_TRY(ckks_decompose(a->c, a->ws, 1, d, key, &input_of(a, b)[1]));
        FHOLA_TRY(ckks_decomposition_check(a->c, d, key));
    }
    return FHOLA_OK;
}

/* Step C modulo t for the positions from .. from + count - 1, which start x0[b] and x1[b], the baby
 * limbs; a NULL x0[b] is zero modulo t. */
static void multiply_plain(const application *a, unsigned t, const uint64_t *const *x0,
                           const uint64_t *const *x1, size_t from, size_t count)
{
    const ckks_lintrans *lt = a->lt;
    const ckks_modulus *m = &a->c->modulus[t];
    const void **plain = (const void **)thread_list(a, 2);
    const uint64_t **f = thread_list(a, 3), **g = thread_list(a, 4);
    size_t plain_from = lt->limb_offset[t] + (from >> lt->log_gap) * m->width;
    for (unsigned j = 0; j < lt->giants; j++) {
        size_t terms = 0;
        for (unsigned i = lt->first[j]; i < lt->first[j + 1]; i++) {
            unsigned b = lt->term[i].baby;
            if (!x0[b]) continue;
            plain[terms] = a->plain + i * lt->plain_bytes + plain_from;
            f[terms] = x0[b];
            g[terms++] = x1[b];
        }
        a->c->kernel->plain_product(m, ckks_poly_limb(&a->sum[2 * j], t) + from,
                                    ckks_poly_limb(&a->sum[2 * j + 1], t) + from, count, terms,
                                    plain, lt->log_gap, f, g, 0);
    }
}

/* ---- double hoisting: babies over Q and P ---- */

/* One baby, times P, at a range of positions of limb i over `whole`; false if it is zero there. */
static bool baby_range(const application *a, unsigned b, unsigned i, size_t from, size_t range,
                       uint64_t *u0, uint64_t *u1)
{
    const ckks_context *c = a->c;
    const ckks_poly *in = input_of(a, b);
    unsigned t = a->total->modulus[i];
    if (a->baby_key[b]) {
        const ckks_switch s = {decomposition_of(a, b), a->baby_key[b], &in[0], NULL};
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
 * in the cache. room: two polynomials' ranges for each baby. */
static void babies_double_limb(const application *a, unsigned i, uint64_t *room, size_t range)
{
    unsigned babies = a->lt->babies;
    const uint64_t **x0 = thread_list(a, 0), **x1 = thread_list(a, 1);
    for (unsigned k = 0; k < a->lt->inputs; k++)
        if (a->d[k].digits) ckks_decomposition_transform(a->c, &a->d[k], i);
    for (size_t from = 0; from < a->c->n; from += range) {
        for (unsigned b = 0; b < babies; b++) {
            uint64_t *u0 = room + 2 * b * range, *u1 = u0 + range;
            bool there = baby_range(a, b, i, from, range, u0, u1);
            x0[b] = there ? u0 : NULL;
            x1[b] = there ? u1 : NULL;
        }
        multiply_plain(a, a->total->modulus[i], x0, x1, from, range);
    }
}

/* A key for each baby that is rotated. */
static void count_switches(const application *a)
{
    size_t rotated = 0;
    for (unsigned b = 0; b < a->lt->babies; b++) rotated += a->baby_key[b] != NULL;
    ckks_tally_key_switches(a->c->tally, rotated);
}

static fhola_status babies_double(application *a)
{
    unsigned threads = ckks_context_threads(a->c), babies = a->lt->babies;
    size_t range = a->c->n < FUSED_RANGE ? a->c->n : FUSED_RANGE, words = 2 * babies * range + 8;
    uint64_t *room = ckks_workspace_take(a->ws, threads * words * sizeof *room);
    if (!room) return FHOLA_NOMEM;
#pragma omp parallel for schedule(dynamic) num_threads(threads)
    for (unsigned i = 0; i < a->total->limbs; i++)
        babies_double_limb(a, i, room + thread_number() * words, range);
    count_switches(a);
    return FHOLA_OK;
}

/* ---- single hoisting: babies divided by P ---- */

/* The next babies of one input that are rotated, at most BABY_BATCH; the input stands for those
 * that are not. */
static size_t next_babies(const application *a, unsigned *first, ckks_switch s[BABY_BATCH],
                          ckks_poly out[2 * BABY_BATCH])
{
    size_t n = 0;
    for (; *first < a->lt->babies && n < BABY_BATCH; ++*first) {
        ckks_poly *x = &a->x[2 * *first];
        const ckks_poly *in = input_of(a, *first);
        if (!a->baby_key[*first]) {
            x[0] = in[0];
            x[1] = in[1];
            continue;
        }
        if (n && s[0].of != decomposition_of(a, *first)) break;
        out[2 * n] = x[0];
        out[2 * n + 1] = x[1];
        s[n++] = (ckks_switch){decomposition_of(a, *first), a->baby_key[*first], &in[0], NULL};
    }
    return n;
}

/* Step B. */
static fhola_status babies_single(application *a)
{
    ckks_poly *raised = ckks_poly_take(a->ws, 2 * BABY_BATCH, a->whole), out[2 * BABY_BATCH];
    ckks_switch s[BABY_BATCH];
    a->x = ckks_poly_take(a->ws, 2 * (size_t)a->lt->babies, a->basis);
    if (!raised || !a->x) return FHOLA_NOMEM;
    size_t n;
    for (unsigned first = 0; (n = next_babies(a, &first, s, out)) > 0;) {
        ckks_switch_each(a->c, n, raised, s);
        a->d[s[0].of - a->d].transformed = true;
        FHOLA_TRY(ckks_divide_round(a->c, a->ws, 2 * n, out, raised));
    }
    return FHOLA_OK;
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

/* Step C. */
static void products_single(const application *a)
{
    size_t step = range_length(a);
#pragma omp parallel for num_threads(ckks_context_threads(a->c)) schedule(dynamic) collapse(2)
    for (unsigned i = 0; i < a->sum->limbs; i++)
        for (size_t from = 0; from < a->c->n; from += step) {
            const uint64_t **x0 = thread_list(a, 0), **x1 = thread_list(a, 1);
            for (unsigned b = 0; b < a->lt->babies; b++) {
                x0[b] = a->x[2 * b].limb[i] + from;
                x1[b] = a->x[2 * b + 1].limb[i] + from;
            }
            multiply_plain(a, a->sum->modulus[i], x0, x1, from, step);
        }
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
static void start_total(const application *a, unsigned first, unsigned end)
{
    const ckks_context *c = a->c;
    const ckks_lintrans *lt = a->lt;
#pragma omp parallel for num_threads(ckks_context_threads(c)) schedule(static) collapse(2)
    for (unsigned k = 0; k < 2; k++)
        for (unsigned i = 0; i < a->total->limbs; i++) {
            unsigned t = a->total->modulus[i];
            uint64_t *out = a->total[k].limb[i];
            uint64_t factor = lt->double_hoist ? 1 : ckks_product_mod(c, lt->special, t);
            memset(out, 0, c->n * sizeof *out);
            for (unsigned j = first; j < end; j++) {
                const uint64_t *sum =
                    a->giant_key[j] ? NULL : ckks_poly_limb(&a->sum[2 * j + k], t);
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

/* total += the switched sums of these giants. */
static fhola_status add_giants(const application *a, size_t n, const unsigned member[])
{
    ckks_decomposition d[GIANT_BATCH];
    ckks_switch s[GIANT_BATCH];
    ckks_poly second[GIANT_BATCH], *lowered = second;
    for (size_t k = 0; k < n; k++) second[k] = a->sum[2 * member[k] + 1];
    if (a->lt->double_hoist) {
        lowered = ckks_poly_take(a->ws, n, a->basis);
        if (!lowered) return FHOLA_NOMEM;
        FHOLA_TRY(ckks_divide_round(a->c, a->ws, n, lowered, second));
    }
    FHOLA_TRY(ckks_decompose(a->c, a->ws, n, d, a->giant_key[member[0]], lowered));
    for (size_t k = 0; k < n; k++) {
        s[k] = (ckks_switch){&d[k], a->giant_key[member[k]], &a->sum[2 * member[k]], NULL};
        FHOLA_TRY(ckks_decomposition_check(a->c, &d[k], s[k].key));
    }
    ckks_switch_sum(a->c, n, a->total, s);
    return FHOLA_OK;
}

/* Step D: total = sum over the giants of an output of the switched sums, over whole. */
static fhola_status giants(const application *a, unsigned output)
{
    unsigned member[GIANT_BATCH], first = first_giant(a->lt, output),
                                  end = first_giant(a->lt, output + 1);
    size_t n;
    start_total(a, first, end);
    while ((n = next_giants(a, &first, end, member)) > 0) {
        ckks_mark mark = ckks_workspace_mark(a->ws);
        fhola_status status = add_giants(a, n, member);
        ckks_workspace_release(a->ws, mark);
        if (status) return status;
    }
    return FHOLA_OK;
}

/* Steps A to C: what they use is given back. */
static fhola_status babies(application *a)
{
    ckks_mark mark = ckks_workspace_mark(a->ws);
    fhola_status status = decompose_inputs(a);
    if (status) goto end;
    status = a->lt->double_hoist ? babies_double(a) : babies_single(a);
    if (status) goto end;
    if (!a->lt->double_hoist) products_single(a);
end:
    ckks_workspace_release(a->ws, mark);
    return status;
}

static fhola_status apply(const ckks_context *c, ckks_workspace *ws, const ckks_eval_keys *keys,
                          const ckks_lintrans *lt, const unsigned char *plain,
                          ckks_ciphertext *const out[], const ckks_ciphertext *const in[],
                          ckks_basis out_basis)
{
    ckks_basis basis = in[0]->poly->basis, whole = basis | lt->special;
    double scale = ckks_scale_divided(c, in[0]->scale * lt->plain_scale, basis & ~out_basis);
    application a = {
        .c = c,
        .ws = ws,
        .lt = lt,
        .plain = plain,
        .in = in,
        .basis = basis,
        .whole = whole,
        .list = ckks_workspace_take(ws, (size_t)ckks_context_threads(c) * LISTS * lt->babies *
                                            sizeof *a.list),
        .sum = ckks_poly_take(ws, 2 * (size_t)lt->giants, lt->double_hoist ? whole : basis),
        .total = ckks_poly_take(ws, 2, whole)};
    if (!a.list || !a.sum || !a.total) return FHOLA_NOMEM;
    FHOLA_TRY(find_keys(&a, keys, &a.baby_key, lt->baby, lt->babies));
    FHOLA_TRY(find_keys(&a, keys, &a.giant_key, lt->giant, lt->giants));
    FHOLA_TRY(babies(&a));
    for (unsigned o = 0; o < lt->outputs; o++) {
        FHOLA_TRY(giants(&a, o));
        FHOLA_TRY(ckks_ciphertext_divide(c, ws, out[o], a.total, out_basis, scale, 0));
    }
    return FHOLA_OK;
}

/* Every input and output is there, on the right primes, and none is both. */
static fhola_status check_parts(const ckks_context *c, const ckks_lintrans *lt,
                                ckks_ciphertext *const out[], const ckks_ciphertext *const in[])
{
    for (unsigned i = 0; i < lt->inputs; i++) {
        FHOLA_TRY(ckks_ciphertext_check(c, in[i], "the input"));
        if (in[i]->poly->basis != in[0]->poly->basis)
            return fhola_fail(FHOLA_LEVEL, "input %u of a transform has the primes %s, input 0 %s",
                              i, ckks_basis_describe(c->params, in[i]->poly->basis).text,
                              ckks_basis_describe(c->params, in[0]->poly->basis).text);
        FHOLA_TRY(ckks_scale_check(in[i]->scale, in[0]->scale, "a transform's input"));
    }
    for (unsigned o = 0; o < lt->outputs; o++) {
        bool other = out[o]->context == c;
        for (unsigned i = 0; i < lt->inputs; i++) other = other && out[o] != in[i];
        for (unsigned k = 0; k < o; k++) other = other && out[o] != out[k];
        if (!other)
            return fhola_fail(
                FHOLA_PARAM, "a transform's result must be another ciphertext of the same context");
    }
    return FHOLA_OK;
}

static fhola_status check_apply(const ckks_context *c, const ckks_workspace *ws,
                                const ckks_eval_keys *keys, const ckks_lintrans *lt,
                                ckks_ciphertext *const out[], const ckks_ciphertext *const in[],
                                ckks_basis out_basis)
{
    FHOLA_TRY(ckks_ciphertext_check(c, in[0], "the input"));
    if (keys->context != c || ws->context != c)
        return fhola_fail(FHOLA_PARAM, "the keys or the workspace belong to another context");
    ckks_basis basis = in[0]->poly->basis;
    if (!out_basis || out_basis & ~basis)
        return fhola_fail(FHOLA_LEVEL, "the result's basis is empty or not part of the input's");
    if (!lt->has_plain)
        return fhola_fail(FHOLA_PARAM, "the transform was created without its diagonals");
    if (lt->context != c)
        return fhola_fail(FHOLA_PARAM, "the transform belongs to another context");
    FHOLA_TRY(check_parts(c, lt, out, in));
    if (!ckks_basis_same_limbs(c->shared, basis, lt->basis))
        return fhola_fail(FHOLA_LEVEL, "the input's primes %s exceed the transform's %s",
                          ckks_basis_describe(c->params, basis).text,
                          ckks_basis_describe(c->params, lt->basis).text);
    return ckks_scale_fits(c, basis, in[0]->scale * lt->plain_scale, "the transform");
}

fhola_status ckks_lintrans_apply_matrix(const ckks_context *c, ckks_workspace *ws,
                                        const ckks_eval_keys *keys, const ckks_lintrans *transform,
                                        ckks_ciphertext *const out[],
                                        const ckks_ciphertext *const in[], ckks_basis out_basis)
{
    FHOLA_TRY(check_apply(c, ws, keys, transform, out, in, out_basis));
    unsigned char *made = NULL;
    if (!transform->data) FHOLA_TRY(make_limbs(transform, &made));
    ckks_mark mark = ckks_workspace_mark(ws);
    fhola_status status =
        apply(c, ws, keys, transform, made ? made : transform->data, out, in, out_basis);
    ckks_workspace_release(ws, mark);
    ckks_free(made);
    return status;
}

fhola_status ckks_lintrans_apply(const ckks_context *c, ckks_workspace *ws,
                                 const ckks_eval_keys *keys, size_t count,
                                 const ckks_lintrans *const transform[],
                                 ckks_ciphertext *const out[], const ckks_ciphertext *in,
                                 ckks_basis out_basis)
{
    for (size_t i = 0; i < count; i++) {
        const ckks_lintrans *lt = transform[i];
        if (lt->inputs != 1 || lt->outputs != 1)
            return fhola_fail(FHOLA_PARAM, "the transform has %u inputs and %u outputs, not 1",
                              lt->inputs, lt->outputs);
        FHOLA_TRY(ckks_lintrans_apply_matrix(c, ws, keys, lt, &out[i], &in, out_basis));
    }
    return FHOLA_OK;
}
