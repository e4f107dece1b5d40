/* SPDX-License-Identifier: Apache-2.0 */
#include "ckks/scheme/keys.h"

#include <stdlib.h>
#include <string.h>

#include "ckks/alloc.h"

/* Bytes between packed limbs of a key beyond their content: staggers them across cache sets. */
#define LIMB_PAD 576u

static void small_to_limb(const ckks_context *c, unsigned prime, uint64_t *limb,
                          const int64_t *wide)
{
    c->kernel->reduce_signed(&c->modulus[prime], limb, wide, c->n);
    c->kernel->ntt_forward(&c->modulus[prime], &limb, 1);
}

static int64_t *widen(const ckks_context *c, const int8_t *coefficient)
{
    int64_t *wide = ckks_alloc(c->n * sizeof *wide);
    if (wide)
        for (size_t i = 0; i < c->n; i++) wide[i] = coefficient[i];
    return wide;
}

fhola_status ckks_poly_from_small(const ckks_context *c, const ckks_poly *out,
                                  const int8_t *coefficient)
{
    int64_t *wide = widen(c, coefficient);
    if (!wide) return fhola_fail(FHOLA_NOMEM, "no memory for %zu coefficients", c->n);
#pragma omp parallel for num_threads(ckks_context_threads(c)) schedule(dynamic)
    for (unsigned i = 0; i < out->limbs; i++) small_to_limb(c, out->modulus[i], out->limb[i], wide);
    ckks_wipe_free(wide, c->n * sizeof *wide);
    return FHOLA_OK;
}

void ckks_poly_expand(const ckks_context *c, const ckks_poly *out, const uint8_t seed[32])
{
#pragma omp parallel for num_threads(ckks_context_threads(c)) schedule(dynamic)
    for (unsigned i = 0; i < out->limbs; i++)
        ckks_sample_uniform(out->limb[i], c->n, c->modulus[out->modulus[i]].p, seed,
                            out->modulus[i]);
}

static size_t secret_ntt_bytes(const ckks_context *c)
{
    return c->moduli * c->stride * sizeof(uint64_t);
}

fhola_status ckks_secret_key_transform(ckks_secret_key *sk)
{
    const ckks_context *c = sk->context;
    int64_t *wide = widen(c, sk->coefficient);
    if (!wide) return fhola_fail(FHOLA_NOMEM, "no memory for %zu coefficients", c->n);
#pragma omp parallel for num_threads(ckks_context_threads(c)) schedule(dynamic)
    for (unsigned t = 0; t < c->moduli; t++) small_to_limb(c, t, sk->ntt + t * c->stride, wide);
    ckks_wipe_free(wide, c->n * sizeof *wide);
    return FHOLA_OK;
}

fhola_status ckks_secret_key_allocate(ckks_secret_key **out, const ckks_context *c)
{
    ckks_secret_key *sk = calloc(1, sizeof *sk);
    if (!sk) return fhola_fail(FHOLA_NOMEM, "no memory for a secret key");
    sk->context = c;
    sk->coefficient = ckks_alloc(c->n);
    sk->ntt = ckks_alloc(secret_ntt_bytes(c));
    if (!sk->coefficient || !sk->ntt) {
        ckks_secret_key_destroy(sk);
        return fhola_fail(FHOLA_NOMEM, "no memory for a secret key");
    }
    *out = sk;
    return FHOLA_OK;
}

/* Of one whose coefficients are there. */
static fhola_status complete_secret(ckks_secret_key **out, ckks_secret_key *sk)
{
    fhola_status st = ckks_secret_key_transform(sk);
    if (st)
        ckks_secret_key_destroy(sk);
    else
        *out = sk;
    return st;
}

/* A secret with fresh ternary coefficients: `weight` of them not 0, or with 0 all uniform. */
static fhola_status secret_create(ckks_secret_key **out, const ckks_context *c, ckks_rng *rng,
                                  unsigned weight)
{
    ckks_secret_key *sk = NULL;
    FHOLA_TRY(ckks_secret_key_allocate(&sk, c));
    if (weight) {
        ckks_sample_sparse_ternary(sk->coefficient, c->n, weight, rng);
    } else {
        ckks_sample_ternary(sk->coefficient, c->n, rng);
        ckks_rng_aside(rng, sk->seed);
    }
    return complete_secret(out, sk);
}

fhola_status ckks_secret_key_small(ckks_secret_key **out, const ckks_secret_key *secret,
                                   unsigned log_degree)
{
    const ckks_context *c = secret->context;
    const size_t degree = (size_t)1 << log_degree, gap = c->n >> log_degree;
    ckks_secret_key *sk = NULL;
    ckks_rng rng;
    FHOLA_TRY(ckks_secret_key_allocate(&sk, c));
    ckks_rng_from_stream(&rng, secret->seed, log_degree);
    ckks_sample_ternary(sk->coefficient, degree, &rng);
    ckks_rng_clear(&rng);
    /* from the end, so that none is overwritten before it is read */
    for (size_t i = degree; i-- > 0;) {
        int8_t value = sk->coefficient[i];
        memset(sk->coefficient + i * gap, 0, gap);
        sk->coefficient[i * gap] = value;
    }
    return complete_secret(out, sk);
}

fhola_status ckks_secret_key_create(ckks_secret_key **out, const ckks_context *context,
                                    ckks_rng *rng)
{
    fhola_status st = ckks_rng_renew(rng);
    return st ? st : secret_create(out, context, rng, 0);
}

void ckks_secret_key_destroy(ckks_secret_key *sk)
{
    if (!sk) return;
    ckks_wipe_free(sk->coefficient, sk->context->n);
    ckks_wipe_free(sk->ntt, secret_ntt_bytes(sk->context));
    ckks_wipe(sk->seed, sizeof sk->seed);
    free(sk);
}

/* b = e - a s over one prime; e arrives in evaluation form in b. */
static void hide(const ckks_context *c, unsigned prime, uint64_t *b, const uint64_t *a,
                 const uint64_t *s, uint64_t *scratch)
{
    const ckks_modulus *p = &c->modulus[prime];
    c->kernel->mul(p, scratch, a, s, c->n);
    c->kernel->sub(p, b, b, scratch, c->n);
}

fhola_status ckks_public_key_allocate(ckks_public_key **out, const ckks_context *c,
                                      ckks_basis basis)
{
    ckks_public_key *pk = calloc(1, sizeof *pk);
    uint64_t *block = ckks_alloc(2 * ckks_poly_bytes(c, basis));
    if (!pk || !block) {
        free(pk);
        ckks_free(block);
        return fhola_fail(FHOLA_NOMEM, "no memory for a public key of %u limbs",
                          ckks_limb_count(c, basis));
    }
    pk->context = c;
    pk->block = block;
    ckks_poly_lay(&pk->b, c, basis, block);
    ckks_poly_lay(&pk->a, c, basis, block + pk->b.limbs * c->stride);
    *out = pk;
    return FHOLA_OK;
}

/* b = e - a s with a fresh seed of a and fresh errors. */
static fhola_status fill_public_key(ckks_public_key *pk, const ckks_secret_key *secret,
                                    ckks_rng *rng)
{
    const ckks_context *c = pk->context;
    size_t bytes = ckks_poly_bytes(c, pk->b.basis);
    fhola_status status = FHOLA_NOMEM;
    int8_t *error = ckks_alloc(c->n);
    uint64_t *scratch = ckks_alloc(bytes);
    if (!error || !scratch) {
        (void)fhola_fail(status, "no memory for a public key of %u limbs", pk->b.limbs);
        goto end;
    }
    ckks_rng_bytes(rng, pk->seed, sizeof pk->seed);
    ckks_declassify(pk->seed, sizeof pk->seed); /* part of the public key */
    ckks_sample_error(error, c->n, rng);
    status = ckks_poly_from_small(c, &pk->b, error);
    if (status) goto end;
    ckks_poly_expand(c, &pk->a, pk->seed);
#pragma omp parallel for num_threads(ckks_context_threads(c)) schedule(dynamic)
    for (unsigned i = 0; i < pk->b.limbs; i++) {
        unsigned t = pk->b.modulus[i];
        hide(c, t, pk->b.limb[i], pk->a.limb[i], ckks_secret_limb(secret, t),
             scratch + i * c->stride);
    }
end:
    ckks_wipe_free(error, c->n);
    ckks_wipe_free(scratch, bytes);
    return status;
}

fhola_status ckks_public_key_create(ckks_public_key **out, const ckks_context *c,
                                    const ckks_secret_key *secret, ckks_basis basis, ckks_rng *rng)
{
    ckks_public_key *pk;
    if (secret->context != c)
        return fhola_fail(FHOLA_KEY, "the secret key belongs to another context");
    if (!basis || basis & ~c->chain)
        return fhola_fail(FHOLA_LEVEL, "a public key needs a basis of chain primes");
    fhola_status st = ckks_rng_renew(rng);
    if (st) return st;
    FHOLA_TRY(ckks_public_key_allocate(&pk, c, basis));
    fhola_status status = fill_public_key(pk, secret, rng);
    if (status) {
        ckks_public_key_destroy(pk);
        return status;
    }
    *out = pk;
    return FHOLA_OK;
}

void ckks_public_key_destroy(ckks_public_key *pk)
{
    if (!pk) return;
    ckks_free(pk->block);
    free(pk);
}

bool ckks_key_list_has(const ckks_key_list *list, const ckks_key_request *request)
{
    for (size_t i = 0; i < list->count; i++) {
        const ckks_key_request *r = &list->request[i];
        if (r->kind == request->kind && r->rotation == request->rotation && r->q == request->q &&
            r->p == request->p)
            return true;
    }
    return false;
}

fhola_status ckks_key_list_add(ckks_key_list *list, const ckks_context *c, ckks_key_request request)
{
    if (request.kind == CKKS_KEY_ROTATE || request.kind == CKKS_KEY_SPARSE_TO_DENSE) {
        request.rotation &= (uint32_t)(c->slots - 1);
        if (request.kind == CKKS_KEY_ROTATE && request.rotation == 0) return FHOLA_OK;
    } else if (request.kind != CKKS_KEY_SHRINK) {
        request.rotation = 0;
    }
    if (ckks_key_list_has(list, &request)) return FHOLA_OK;
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? 2 * list->capacity : 64;
        ckks_key_request *grown = realloc(list->request, capacity * sizeof *grown);
        if (!grown) return fhola_fail(FHOLA_NOMEM, "no memory for a list of %zu keys", capacity);
        list->request = grown;
        list->capacity = capacity;
    }
    list->request[list->count++] = request;
    return FHOLA_OK;
}

/* A key for the highest level, and one more wherever a level ends within a limb of the one
 * before. */
static fhola_status add_at_levels(ckks_key_list *list, const ckks_context *c, unsigned level,
                                  ckks_key_kind kind, uint32_t rotation)
{
    ckks_basis served = 0;
    for (unsigned l = level + 1; l-- > 0;) {
        ckks_basis q = ckks_basis_level(c->params, l);
        if (ckks_basis_same_limbs(c->shared, q, served)) continue;
        FHOLA_TRY(ckks_key_list_add(
            list, c, (ckks_key_request){kind, rotation, q, ckks_basis_special_for(c->params, q)}));
        served = q;
    }
    return FHOLA_OK;
}

fhola_status ckks_key_list_add_operations(ckks_key_list *list, const ckks_context *c,
                                          unsigned level, unsigned operations,
                                          const int32_t rotation[], size_t count)
{
    if (operations & ~(CKKS_OPERATION_MUL | CKKS_OPERATION_CONJUGATE))
        return fhola_fail(FHOLA_PARAM, "unknown operations %#x", operations);
    if (level > c->params->spec.residual_levels)
        return fhola_fail(FHOLA_PARAM, "keys for level %u asked for, there are %u", level,
                          c->params->spec.residual_levels);
    if (operations & CKKS_OPERATION_MUL)
        FHOLA_TRY(add_at_levels(list, c, level, CKKS_KEY_RELINEARIZE, 0));
    if (operations & CKKS_OPERATION_CONJUGATE)
        FHOLA_TRY(add_at_levels(list, c, level, CKKS_KEY_CONJUGATE, 0));
    for (size_t i = 0; i < count; i++)
        FHOLA_TRY(add_at_levels(list, c, level, CKKS_KEY_ROTATE, (uint32_t)rotation[i]));
    return FHOLA_OK;
}

static const char *kind_name(ckks_key_kind kind)
{
    static const char *const name[] = {"",
                                       "relinearisation",
                                       "rotation",
                                       "conjugation",
                                       "dense-to-sparse",
                                       "sparse-to-dense",
                                       "shrinking"};
    return name[kind];
}

fhola_status ckks_key_list_covers(const ckks_key_list *list, const ckks_key_list *needed)
{
    const ckks_key_request *first = NULL;
    size_t missing = 0;
    for (size_t i = 0; i < needed->count; i++) {
        if (ckks_key_list_has(list, &needed->request[i])) continue;
        if (!missing++) first = &needed->request[i];
    }
    if (!missing) return FHOLA_OK;
    return fhola_fail(FHOLA_KEY,
                      "%zu of the %zu keys that are needed are missing; the first is the %s key "
                      "(rotation %u)",
                      missing, needed->count, kind_name(first->kind), first->rotation);
}

void ckks_key_list_clear(ckks_key_list *list)
{
    if (!list) return;
    free(list->request);
    memset(list, 0, sizeof *list);
}

static unsigned digits_of(const ckks_params *params, ckks_basis q, ckks_basis p,
                          ckks_basis digit[CKKS_MAX_DIGITS])
{
    if (ckks_params_log2(params, p) >= ckks_params_log2(params, q) + CKKS_DIGIT_MARGIN &&
        ckks_basis_limbs(params->shared, q) < CKKS_MAX_TERMS) {
        digit[0] = q;
        return 1;
    }
    if (p != ckks_basis_special(params)) {
        (void)fhola_fail(
            FHOLA_PARAM,
            "special primes of %.1f bits cannot carry a key over %.1f bits in one digit",
            ckks_params_log2(params, p), ckks_params_log2(params, q));
        return 0;
    }
    unsigned digits = 0;
    for (unsigned j = 0; j < params->digits; j++)
        if (params->digit[j] & q) digit[digits++] = params->digit[j] & q;
    return digits;
}

unsigned ckks_switch_key_digits(const ckks_context *c, ckks_basis q, ckks_basis p,
                                ckks_basis digit[CKKS_MAX_DIGITS])
{
    return digits_of(c->params, q, p, digit);
}

static size_t limb_bytes(const ckks_context *c, unsigned prime)
{
    return c->n * c->modulus[prime].width + LIMB_PAD;
}

static size_t basis_bytes(const ckks_context *c, ckks_basis basis)
{
    size_t bytes = 0;
    unsigned index[CKKS_MAX_PRIMES], limbs = ckks_limb_list(c, basis, index);
    for (unsigned i = 0; i < limbs; i++) bytes += limb_bytes(c, index[i]);
    return bytes;
}

static unsigned char *key_limb(const ckks_context *c, const ckks_switch_key *key, unsigned digit,
                               unsigned prime, int part)
{
    ckks_basis basis = key->request.q | key->request.p;
    size_t whole = 2 * basis_bytes(c, basis),
           before = 2 * basis_bytes(c, ckks_basis_below(c, basis, prime));
    return key->data + digit * whole + before + (part ? limb_bytes(c, prime) : 0);
}

const void *ckks_switch_key_limb(const ckks_context *c, const ckks_switch_key *key, unsigned digit,
                                 unsigned prime, int part)
{
    return key_limb(c, key, digit, prime, part);
}

fhola_status ckks_eval_keys_find(const ckks_switch_key **out, const ckks_eval_keys *keys,
                                 ckks_key_kind kind, uint32_t rotation, ckks_basis basis,
                                 ckks_basis p)
{
    const ckks_switch_key *best = NULL;
    for (size_t i = 0; i < keys->count; i++) {
        const ckks_switch_key *key = &keys->key[i];
        const ckks_key_request *r = &key->request;
        if (r->kind != kind || r->rotation != rotation || (p && r->p != p) ||
            !ckks_basis_same_limbs(keys->context->shared, basis, r->q))
            continue;
        if (!best || key->bytes < best->bytes) best = key;
    }
    if (!best)
        return fhola_fail(FHOLA_KEY, "no %s key (rotation %u) covers the primes %s%s",
                          kind_name(kind), rotation,
                          ckks_basis_describe(keys->context->params, basis).text,
                          p ? " with the special primes asked for" : "");
    *out = best;
    return FHOLA_OK;
}

fhola_status ckks_eval_keys_allocate(ckks_eval_keys **out, const ckks_context *c, size_t count)
{
    ckks_eval_keys *keys = calloc(1, sizeof *keys);
    if (keys) {
        keys->context = c;
        keys->key = calloc(count + 1, sizeof *keys->key);
        keys->automorphism = calloc(count + 1, sizeof *keys->automorphism);
        keys->count = count;
    }
    if (!keys || !keys->key || !keys->automorphism) {
        ckks_eval_keys_destroy(keys);
        return fhola_fail(FHOLA_NOMEM, "no memory for %zu evaluation keys", count);
    }
    *out = keys;
    return FHOLA_OK;
}

void ckks_eval_keys_destroy(ckks_eval_keys *keys)
{
    if (!keys) return;
    ckks_arena_clear(&keys->arena);
    for (size_t i = 0; i < keys->automorphisms; i++) {
        ckks_free((void *)(uintptr_t)keys->automorphism[i]->source);
        free(keys->automorphism[i]);
    }
    free(keys->key);
    free(keys->automorphism);
    free(keys);
}

size_t ckks_eval_keys_bytes(const ckks_eval_keys *keys)
{
    size_t bytes = keys->automorphisms * keys->context->n * sizeof(uint32_t);
    for (size_t i = 0; i < keys->count; i++) bytes += keys->key[i].bytes;
    return bytes;
}

static fhola_status find_automorphism(const ckks_automorphism **out, ckks_eval_keys *keys,
                                      uint64_t g)
{
    for (size_t i = 0; i < keys->automorphisms; i++)
        if (keys->automorphism[i]->g == g) {
            *out = keys->automorphism[i];
            return FHOLA_OK;
        }
    ckks_automorphism *sigma = malloc(sizeof *sigma);
    if (!sigma) return fhola_fail(FHOLA_NOMEM, "no memory for an automorphism");
    fhola_status st = ckks_automorphism_create(sigma, keys->context, g);
    if (st) {
        free(sigma);
        return st;
    }
    keys->automorphism[keys->automorphisms++] = sigma;
    *out = sigma;
    return FHOLA_OK;
}

/* What may be encrypted under the ephemeral secret: nothing above q0 p0, where alone it is safe,
 * and nothing at all without bootstrapping, whose bounds on weight and modulus hold for it. */
static fhola_status check_sparse(const ckks_params *params, const ckks_key_request *r)
{
    if (!ckks_key_is_sparse(r->kind)) return FHOLA_OK;
    if (!params->spec.eval_mod_levels || !params->spec.hamming_weight)
        return fhola_fail(FHOLA_SECURITY, "the parameters have no bootstrapping, but a key of its "
                                          "ephemeral secret is asked for");
    if (r->kind == CKKS_KEY_DENSE_TO_SPARSE && (r->q != 1 || r->p != CKKS_BIT(params->chain)))
        return fhola_fail(FHOLA_SECURITY, "a dense-to-sparse key must live at q0 p0 only");
    return FHOLA_OK;
}

/* What may be encrypted under the secret of a small ring: what its degree is good for. */
static fhola_status check_small(const ckks_params *params, const ckks_key_request *r)
{
    double bits = ckks_params_log2(params, r->q | r->p);
    if (r->rotation < CKKS_LEAST_LOG_DEGREE || r->rotation > params->spec.log_n)
        return fhola_fail(FHOLA_KEY, "a shrinking key for the degree 2^%u, outside 2^%u..2^%u",
                          r->rotation, CKKS_LEAST_LOG_DEGREE, params->spec.log_n);
    if (!params->spec.insecure && bits > ckks_log2_cap(r->rotation))
        return fhola_fail(FHOLA_SECURITY,
                          "a shrinking key at %.2f bits is above %.0f, the 128-bit cap at the "
                          "degree 2^%u",
                          bits, ckks_log2_cap(r->rotation), r->rotation);
    return FHOLA_OK;
}

static fhola_status check_request(const ckks_params *params, const ckks_key_request *r)
{
    size_t slots = (size_t)1 << (params->spec.log_n - 1);
    if (r->kind < CKKS_KEY_RELINEARIZE || r->kind > CKKS_KEY_SHRINK)
        return fhola_fail(FHOLA_KEY, "unknown key kind %d", (int)r->kind);
    if (!r->q || r->q & ~ckks_basis_chain(params) || !r->p || r->p & ~ckks_basis_special(params))
        return fhola_fail(FHOLA_KEY, "a key over the primes %s and %s does not fit the parameters",
                          ckks_basis_describe(params, r->q).text,
                          ckks_basis_describe(params, r->p).text);
    if (r->kind == CKKS_KEY_SHRINK) return check_small(params, r);
    bool rotates = r->kind == CKKS_KEY_ROTATE || r->kind == CKKS_KEY_SPARSE_TO_DENSE;
    if (rotates ? r->rotation >= slots : r->rotation != 0)
        return fhola_fail(FHOLA_KEY, "rotation %u is outside 0..%zu", r->rotation,
                          rotates ? slots - 1 : 0);
    if (r->kind == CKKS_KEY_ROTATE && r->rotation == 0)
        return fhola_fail(FHOLA_KEY, "rotation 0 needs no key");
    return check_sparse(params, r);
}

/* The operand of a sparse-to-dense key is a lift of one small residue: a single digit whatever the
 * size of q. */
unsigned ckks_request_digits(const ckks_params *params, const ckks_key_request *r,
                             ckks_basis digit[CKKS_MAX_DIGITS])
{
    if (r->kind != CKKS_KEY_SPARSE_TO_DENSE) return digits_of(params, r->q, r->p, digit);
    digit[0] = r->q;
    return 1;
}

fhola_status ckks_key_list_check(const ckks_key_list *list, const ckks_params *params)
{
    ckks_basis digit[CKKS_MAX_DIGITS];
    for (size_t i = 0; i < list->count; i++) {
        fhola_status st = check_request(params, &list->request[i]);
        if (!st && !ckks_request_digits(params, &list->request[i], digit)) st = FHOLA_PARAM;
        if (st) return fhola_fail(st, "key %zu: %s", i, fhola_detail());
    }
    return FHOLA_OK;
}

fhola_status ckks_eval_keys_prepare(ckks_eval_keys *keys, size_t i, const ckks_key_request *r)
{
    const ckks_context *c = keys->context;
    ckks_switch_key *key = &keys->key[i];
    fhola_status st = check_request(c->params, r);
    if (st) return st;
    key->request = *r;
    key->digits = ckks_request_digits(c->params, r, key->digit);
    if (!key->digits) return FHOLA_PARAM;
    if (r->kind == CKKS_KEY_ROTATE || (r->kind == CKKS_KEY_SPARSE_TO_DENSE && r->rotation))
        st = find_automorphism(&key->sigma, keys, ckks_galois_element(c, r->rotation));
    if (r->kind == CKKS_KEY_CONJUGATE) st = find_automorphism(&key->sigma, keys, 2 * c->n - 1);
    if (st) return st;
    key->bytes = key->digits * 2 * basis_bytes(c, r->q | r->p);
    key->data = ckks_arena_take(&keys->arena, key->bytes);
    return key->data
               ? FHOLA_OK
               : fhola_fail(FHOLA_NOMEM, "no memory for a switching key of %zu bytes", key->bytes);
}

/* ---- memory that processes share ---- */

/* What such memory begins with; the keys' data follow, each where an arena puts it. */
typedef struct shared_list {
    uint64_t count;
    ckks_key_request request[];
} shared_list;

static size_t list_bytes(size_t count)
{
    return ckks_arena_room(sizeof(shared_list) + count * sizeof(ckks_key_request));
}

uint64_t ckks_eval_keys_shared_bytes(const ckks_context *c, const ckks_key_list *list)
{
    ckks_basis digit[CKKS_MAX_DIGITS];
    uint64_t bytes = list_bytes(list->count);
    for (size_t i = 0; i < list->count; i++) {
        const ckks_key_request *r = &list->request[i];
        unsigned digits = ckks_request_digits(c->params, r, digit);
        bytes += ckks_arena_room(digits * 2 * basis_bytes(c, r->q | r->p));
    }
    return bytes;
}

void ckks_eval_keys_place(ckks_eval_keys *keys, void *memory, uint64_t bytes, size_t count)
{
    size_t head = list_bytes(count);
    keys->arena = ckks_arena_over((unsigned char *)memory + head, bytes - head);
}

void ckks_eval_keys_label(const ckks_eval_keys *keys, void *memory)
{
    shared_list *list = memory;
    list->count = keys->count;
    for (size_t i = 0; i < keys->count; i++) list->request[i] = keys->key[i].request;
}

/* The arena gives every key the place where the process that read it has put it. */
static fhola_status find_data(ckks_eval_keys *keys, const shared_list *list,
                              const ckks_key_list *needed)
{
    for (size_t i = 0; i < needed->count; i++) {
        if (!ckks_key_list_has(needed, &list->request[i]))
            return fhola_fail(FHOLA_KEY, "key %zu of the shared memory was not asked for", i);
        FHOLA_TRY(ckks_eval_keys_prepare(keys, i, &list->request[i]));
    }
    return FHOLA_OK;
}

fhola_status ckks_eval_keys_attach(ckks_eval_keys **out, const ckks_context *c, const void *memory,
                                   const ckks_key_list *needed)
{
    const shared_list *list = memory;
    ckks_eval_keys *keys = NULL;
    if (list->count != needed->count)
        return fhola_fail(FHOLA_KEY, "the shared memory holds %llu keys, %zu are needed",
                          (unsigned long long)list->count, needed->count);
    FHOLA_TRY(ckks_eval_keys_allocate(&keys, c, needed->count));
    ckks_eval_keys_place(keys, (void *)(uintptr_t)memory, ckks_eval_keys_shared_bytes(c, needed),
                         needed->count);
    fhola_status status = find_data(keys, list, needed);
    if (status != FHOLA_OK)
        ckks_eval_keys_destroy(keys);
    else
        *out = keys;
    return status;
}

/* ---- making keys ---- */

static void pack(const ckks_context *c, unsigned prime, void *out, const uint64_t *in)
{
    for (size_t i = 0; i < c->n; i++) ckks_packed_put(out, c->modulus[prime].width, i, in[i]);
}

/* Stream of the uniform part of one limb: every (digit, prime) has its own. */
static uint64_t key_stream(unsigned digit, unsigned prime)
{
    return (uint64_t)digit * CKKS_MAX_PRIMES + prime;
}

fhola_status ckks_switch_key_expand(const ckks_context *c, ckks_switch_key *key)
{
    unsigned index[CKKS_MAX_PRIMES],
        limbs = ckks_limb_list(c, key->request.q | key->request.p, index);
    uint64_t *scratch = ckks_alloc(limbs * c->stride * sizeof *scratch);
    if (!scratch) return fhola_fail(FHOLA_NOMEM, "no memory to expand a switching key");
#pragma omp parallel for num_threads(ckks_context_threads(c)) schedule(dynamic)
    for (unsigned i = 0; i < limbs; i++)
        for (unsigned d = 0; d < key->digits; d++) {
            uint64_t *a = scratch + i * c->stride;
            ckks_sample_uniform(a, c->n, c->modulus[index[i]].p, key->seed,
                                key_stream(d, index[i]));
            pack(c, index[i], key_limb(c, key, d, index[i], 1), a);
        }
    ckks_free(scratch);
    return FHOLA_OK;
}

/* Secrets in evaluation form modulo all moduli. */
typedef struct key_secrets {
    const uint64_t *source, *target;
} key_secrets;

/* Digit d modulo t: b + a target = error + P sigma(source) if the digit has t, else error. room:
 * four limbs. */
static void generate_limb(const ckks_context *c, ckks_switch_key *key, unsigned d, unsigned t,
                          key_secrets secret, const int64_t *error, uint64_t *room)
{
    const ckks_modulus *m = &c->modulus[t];
    uint64_t *b = room, *a = b + c->stride, *product = a + c->stride,
             *rotated = product + c->stride;
    const uint64_t *source = secret.source + t * c->stride;
    small_to_limb(c, t, b, error);
    ckks_sample_uniform(a, c->n, m->p, key->seed, key_stream(d, t));
    hide(c, t, b, a, secret.target + t * c->stride, product);
    if (key->digit[d] & m->primes) {
        if (key->sigma) {
            c->kernel->permute(m, rotated, NULL, source, key->sigma);
            source = rotated;
        }
        c->kernel->mul_scalar_add(m, b, b, source, ckks_product_mod(c, key->request.p, t), c->n);
    }
    pack(c, t, key_limb(c, key, d, t, 0), b);
    pack(c, t, key_limb(c, key, d, t, 1), a);
}

static fhola_status generate_key(const ckks_context *c, ckks_switch_key *key, key_secrets secret,
                                 ckks_rng *rng)
{
    unsigned index[CKKS_MAX_PRIMES],
        limbs = ckks_limb_list(c, key->request.q | key->request.p, index);
    size_t scratch_bytes = 4 * limbs * c->stride * sizeof(uint64_t);
    uint64_t *scratch = ckks_alloc(scratch_bytes);
    int8_t *error = ckks_alloc(c->n);
    fhola_status status = FHOLA_OK;
    if (!scratch || !error) goto no_memory;
    ckks_rng_bytes(rng, key->seed, sizeof key->seed);
    ckks_declassify(key->seed, sizeof key->seed); /* part of the key, which is public */
    for (unsigned d = 0; d < key->digits; d++) {
        ckks_sample_error(error, c->n, rng);
        int64_t *wide = widen(c, error);
        if (!wide) goto no_memory;
#pragma omp parallel for num_threads(ckks_context_threads(c)) schedule(dynamic)
        for (unsigned i = 0; i < limbs; i++)
            generate_limb(c, key, d, index[i], secret, wide, scratch + 4 * i * c->stride);
        ckks_wipe_free(wide, c->n * sizeof *wide);
    }
    goto end;
no_memory:
    status = fhola_fail(FHOLA_NOMEM, "no memory to generate a switching key");
end:
    ckks_wipe_free(error, c->n);
    ckks_wipe_free(scratch, scratch_bytes);
    return status;
}

static int wants_encapsulation(const ckks_key_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        if (ckks_key_is_sparse(list->request[i].kind)) return 1;
    return 0;
}

/* `small`: where one is asked for. */
static key_secrets secrets_of(ckks_key_kind kind, const ckks_secret_key *dense,
                              const ckks_secret_key *sparse, const ckks_secret_key *small,
                              const uint64_t *square)
{
    key_secrets s = {dense->ntt, dense->ntt};
    if (kind == CKKS_KEY_SHRINK) s.target = small->ntt;
    if (kind == CKKS_KEY_RELINEARIZE) s.source = square;
    if (kind == CKKS_KEY_DENSE_TO_SPARSE) s.target = sparse->ntt;
    if (kind == CKKS_KEY_SPARSE_TO_DENSE) s.source = sparse->ntt;
    return s;
}

/* What the keys of a list are made of, beside the secret key. */
typedef struct key_sources {
    const ckks_secret_key *secret;
    ckks_secret_key *sparse;
    uint64_t *square;
} key_sources;

static fhola_status prepare_sources(key_sources *k, const ckks_context *c,
                                    const ckks_key_list *list, ckks_rng *rng)
{
    k->square = ckks_alloc(secret_ntt_bytes(c));
    if (!k->square) return fhola_fail(FHOLA_NOMEM, "no memory for key generation");
    for (unsigned t = 0; t < c->moduli; t++) {
        const uint64_t *s = ckks_secret_limb(k->secret, t);
        c->kernel->mul(&c->modulus[t], k->square + t * c->stride, s, s, c->n);
    }
    if (!wants_encapsulation(list)) return FHOLA_OK;
    return secret_create(&k->sparse, c, rng, c->params->spec.hamming_weight);
}

static void clear_sources(key_sources *k, const ckks_context *c)
{
    ckks_wipe_free(k->square, secret_ntt_bytes(c));
    ckks_secret_key_destroy(k->sparse);
}

static fhola_status make_key(ckks_eval_keys *keys, size_t i, const ckks_key_request *r,
                             const key_sources *k, ckks_rng *rng)
{
    ckks_secret_key *small = NULL;
    FHOLA_TRY(ckks_eval_keys_prepare(keys, i, r));
    if (r->kind == CKKS_KEY_SHRINK)
        FHOLA_TRY(ckks_secret_key_small(&small, k->secret, r->rotation));
    fhola_status status =
        generate_key(keys->context, &keys->key[i],
                     secrets_of(r->kind, k->secret, k->sparse, small, k->square), rng);
    ckks_secret_key_destroy(small);
    return status;
}

fhola_status ckks_eval_keys_create(ckks_eval_keys **out, const ckks_context *c,
                                   const ckks_secret_key *secret, const ckks_key_list *list,
                                   ckks_rng *rng, ckks_progress_fn progress, void *arg)
{
    if (secret->context != c)
        return fhola_fail(FHOLA_KEY, "the secret key belongs to another context");
    fhola_status st = ckks_key_list_check(list, c->params);
    if (!st) st = ckks_rng_renew(rng);
    if (st) return st;
    ckks_eval_keys *keys = NULL;
    key_sources sources = {.secret = secret};
    st = prepare_sources(&sources, c, list, rng);
    if (!st) st = ckks_eval_keys_allocate(&keys, c, list->count);
    for (size_t i = 0; i < list->count && !st; i++) {
        if (progress && progress(arg, i, list->count))
            st = fhola_fail(FHOLA_CANCELLED, "key generation was interrupted");
        if (!st) st = make_key(keys, i, &list->request[i], &sources, rng);
    }
    clear_sources(&sources, c);
    if (st) {
        ckks_eval_keys_destroy(keys);
        return st;
    }
    if (progress) (void)progress(arg, list->count, list->count);
    *out = keys;
    return FHOLA_OK;
}
