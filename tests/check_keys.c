/* SPDX-License-Identifier: Apache-2.0 */
/* Key lists, and every kind of key against its defining equation; where the ephemeral secret's keys
 * may live. */
#include "ckks/scheme/keys.h"

#include "ckks/alloc.h"
#include "tests/support.h"

/* Bootstrapping needs more than one kind of key; shared: primes in pairs have limbs in common. */
static ring boot_ring(int shared)
{
    ring r;
    ckks_params_spec spec = named_spec("toy-boot");
    if (!shared) spec.limb_bits = 0;
    ring_open(&r, &spec, NULL);
    ck_assert_uint_eq(ckks_limb_count(r.context, r.chain), shared ? 15 : 18);
    return r;
}

START_TEST(key_list)
{
    ring r = boot_ring(1);
    const ckks_basis all = r.chain;
    ring_request(&r, CKKS_KEY_ROTATE, 5, all, r.special);
    ring_request(&r, CKKS_KEY_ROTATE, 5, all, r.special);
    ring_request(&r, CKKS_KEY_ROTATE, 5 + (int32_t)r.slots, all, r.special);
    ck_assert_uint_eq(r.list.count, 1);
    ring_request(&r, CKKS_KEY_ROTATE, -1, all, r.special);
    ck_assert_uint_eq(r.list.count, 2);
    ck_assert_uint_eq(r.list.request[1].rotation, r.slots - 1);
    ring_request(&r, CKKS_KEY_ROTATE, 0, all, r.special);
    ring_request(&r, CKKS_KEY_ROTATE, (int32_t)r.slots, all, r.special);
    ck_assert_uint_eq(r.list.count, 2);
    ring_request(&r, CKKS_KEY_ROTATE, 5, all >> 1, r.special);
    ring_request(&r, CKKS_KEY_CONJUGATE, 7, all, r.special); /* no rotation there */
    ck_assert_uint_eq(r.list.count, 4);
    ck_assert_uint_eq(r.list.request[3].rotation, 0);
    for (int k = 1; k < 500; k++) ring_request(&r, CKKS_KEY_ROTATE, k, all, r.special);
    ck_assert_uint_eq(r.list.count, 4 + 498);
    ckks_key_list_clear(&r.list);
    ck_assert(r.list.count == 0 && r.list.capacity == 0 && !r.list.request);
    ckks_key_list_clear(NULL);
    ring_close(&r);
}
END_TEST

/* Operations of every level find a key; only a level that ends within a limb asks for another. */
START_TEST(operations)
{
    ring r = boot_ring(1);
    static const int32_t rotation[] = {1, -2, 0};
    unsigned levels = r.params->spec.residual_levels;
    ck_assert_fails(ckks_key_list_add_operations(&r.list, r.context, levels + 1, 0, rotation, 1),
                    FHOLA_PARAM);
    ck_assert_fails(ckks_key_list_add_operations(&r.list, r.context, 1, 4, NULL, 0), FHOLA_PARAM);
    ck_assert_uint_eq(r.list.count, 0);
    ck_assert_ok(ckks_key_list_add_operations(
        &r.list, r.context, levels, CKKS_OPERATION_MUL | CKKS_OPERATION_CONJUGATE, rotation, 3));
    /* base and the first prime share a limb, and so do two and two above them: keys for levels 5,
     * 2 and 0 of a product, a conjugation and two rotations */
    ck_assert_uint_eq(r.list.count, 4 * 3);
    ring_keys(&r);
    for (unsigned level = 0; level <= levels; level++) {
        const ckks_switch_key *key;
        ckks_basis basis = ckks_basis_level(r.params, level);
        ck_assert_ok(ckks_eval_keys_find(&key, r.keys, CKKS_KEY_RELINEARIZE, 0, basis, 0));
        ck_assert_ok(ckks_eval_keys_find(&key, r.keys, CKKS_KEY_CONJUGATE, 0, basis, 0));
        ck_assert_ok(ckks_eval_keys_find(&key, r.keys, CKKS_KEY_ROTATE, 1, basis, 0));
        ck_assert_ok(
            ckks_eval_keys_find(&key, r.keys, CKKS_KEY_ROTATE, (uint32_t)r.slots - 2, basis, 0));
        ck_assert_fails(ckks_eval_keys_find(&key, r.keys, CKKS_KEY_ROTATE, 2, basis, 0), FHOLA_KEY);
    }
    ring_close(&r);
}
END_TEST

/* One digit exactly when P exceeds the primes covered by 3.9 bits, else the parameters'
 * partition. */
START_TEST(digits)
{
    ring r = boot_ring(_i);
    ckks_basis digit[CKKS_MAX_DIGITS];
    for (int k = 0; k < 500; k++) {
        ckks_basis q = random_word() & random_word() & r.chain, p = r.special, seen = 0;
        if (!q) continue;
        unsigned n = ckks_switch_key_digits(r.context, q, p, digit);
        int one = ckks_params_log2(r.params, q) + 3.9 <= ckks_params_log2(r.params, p);
        ck_assert_uint_ge(n, 1);
        if (one) ck_assert_uint_eq(n, 1);
        for (unsigned j = 0; j < n; j++) {
            ck_assert_uint_eq(seen & digit[j], 0);
            ck_assert_double_le(ckks_params_log2(r.params, digit[j]) + 3.9,
                                ckks_params_log2(r.params, p));
            seen |= digit[j];
        }
        ck_assert_uint_eq(seen, q);
    }
    /* fewer special primes carry one digit or nothing */
    ckks_basis one = ckks_basis_top(r.special);
    ck_assert_uint_eq(ckks_switch_key_digits(r.context, 1, one, digit), 1);
    ck_assert_uint_eq(ckks_switch_key_digits(r.context, 7, one, digit), 0);
    ring_close(&r);
}
END_TEST

START_TEST(requests_refused)
{
    ring r = boot_ring(1), flat;
    ckks_params_spec spec = named_spec("toy");
    ring_open(&flat, &spec, NULL);
    ckks_basis p0 = (ckks_basis)1 << ckks_params_chain(r.params), p1 = p0 << 1, all = r.chain;
    struct {
        ckks_key_request request;
        fhola_status status;
    } wrong[] = {
        {{CKKS_KEY_DENSE_TO_SPARSE, 0, 1, r.special}, FHOLA_SECURITY},
        {{CKKS_KEY_DENSE_TO_SPARSE, 0, 1, p0 | p1}, FHOLA_SECURITY},
        {{CKKS_KEY_DENSE_TO_SPARSE, 0, 1, p1}, FHOLA_SECURITY},
        {{CKKS_KEY_DENSE_TO_SPARSE, 0, 3, p0}, FHOLA_SECURITY},
        {{CKKS_KEY_DENSE_TO_SPARSE, 0, 2, p0}, FHOLA_SECURITY},
        {{CKKS_KEY_DENSE_TO_SPARSE, 0, all, r.special}, FHOLA_SECURITY},
        {{CKKS_KEY_RELINEARIZE, 0, 0, r.special}, FHOLA_KEY},
        {{CKKS_KEY_RELINEARIZE, 0, all, 0}, FHOLA_KEY},
        {{CKKS_KEY_RELINEARIZE, 0, all | p0, r.special}, FHOLA_KEY},
        {{CKKS_KEY_RELINEARIZE, 0, all, r.special | 1}, FHOLA_KEY},
        {{CKKS_KEY_RELINEARIZE, 3, all, r.special}, FHOLA_KEY},
        {{CKKS_KEY_ROTATE, 0, all, r.special}, FHOLA_KEY},
        {{CKKS_KEY_ROTATE, (uint32_t)r.slots, all, r.special}, FHOLA_KEY},
        {{CKKS_KEY_SPARSE_TO_DENSE, (uint32_t)r.slots, all, p0}, FHOLA_KEY},
        {{CKKS_KEY_DENSE_TO_SPARSE, 1, 1, p0}, FHOLA_KEY},
        {{(ckks_key_kind)0, 0, all, r.special}, FHOLA_KEY},
        {{(ckks_key_kind)6, 0, all, r.special}, FHOLA_KEY},
        /* one special prime cannot carry the chain */
        {{CKKS_KEY_RELINEARIZE, 0, all, p0}, FHOLA_PARAM},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        /* a good key before the bad one */
        ckks_key_request request[2] = {{CKKS_KEY_CONJUGATE, 0, 1, p0}, wrong[i].request};
        ckks_key_list list = {request, 2, 2};
        ckks_eval_keys *keys = NULL;
        fhola_status st =
            ckks_eval_keys_create(&keys, r.context, r.secret, &list, r.rng, NULL, NULL);
        ck_assert_msg(st == wrong[i].status, "request %zu: %s (%s)", i, fhola_strerror(st),
                      fhola_detail());
        ck_assert_ptr_null(keys);
    }
    /* no ephemeral secret without bootstrapping */
    ckks_key_request sparse = {CKKS_KEY_SPARSE_TO_DENSE, 0, flat.chain, flat.special};
    ckks_key_list list = {&sparse, 1, 1};
    ckks_eval_keys *keys = NULL;
    ck_assert_fails(
        ckks_eval_keys_create(&keys, flat.context, flat.secret, &list, flat.rng, NULL, NULL),
        FHOLA_SECURITY);
    /* another context's secret */
    sparse.kind = CKKS_KEY_RELINEARIZE;
    ck_assert_fails(
        ckks_eval_keys_create(&keys, flat.context, r.secret, &list, flat.rng, NULL, NULL),
        FHOLA_KEY);
    ckks_public_key *pk = NULL;
    ck_assert_fails(ckks_public_key_create(&pk, flat.context, r.secret, flat.chain, flat.rng),
                    FHOLA_KEY);
    ck_assert_fails(ckks_public_key_create(&pk, r.context, r.secret, 0, r.rng), FHOLA_LEVEL);
    ck_assert_fails(ckks_public_key_create(&pk, r.context, r.secret, all | p0, r.rng), FHOLA_LEVEL);
    ck_assert(!keys && !pk);
    ring_close(&r);
    ring_close(&flat);
}
END_TEST

static int count_calls(void *calls, size_t done, size_t total)
{
    (void)done;
    (void)total;
    ++*(int *)calls;
    return 0;
}

/* A key of the ephemeral secret without bootstrapping: whatever weight the parameters claim, and
 * before any other key of the list is made. */
START_TEST(sparse_keys_without_bootstrapping)
{
    static const unsigned weight[] = {0, 1, 5, 31, 32};
    ring r;
    ckks_params_spec spec = named_spec("toy");
    ring_open(&r, &spec, NULL);
    ckks_basis p0 = (ckks_basis)1 << ckks_params_chain(r.params);
    ckks_key_request request[] = {{CKKS_KEY_CONJUGATE, 0, 1, p0},
                                  {CKKS_KEY_DENSE_TO_SPARSE, 0, 1, p0}};
    ckks_key_list list = {request, 2, 2};
    for (size_t i = 0; i < 10; i++) {
        int calls = 0;
        ckks_eval_keys *keys = NULL;
        /* as no parameters that are checked may be */
        r.context->params->spec.hamming_weight = weight[i % 5];
        request[1] = i < 5 ? (ckks_key_request){CKKS_KEY_DENSE_TO_SPARSE, 0, 1, p0}
                           : (ckks_key_request){CKKS_KEY_SPARSE_TO_DENSE, 0, r.chain, r.special};
        ck_assert_fails(ckks_key_list_check(&list, r.context->params), FHOLA_SECURITY);
        ck_assert_fails(
            ckks_eval_keys_create(&keys, r.context, r.secret, &list, r.rng, count_calls, &calls),
            FHOLA_SECURITY);
        ck_assert_ptr_null(keys);
        ck_assert_int_eq(calls, 0);
    }
    ring_close(&r);
}
END_TEST

/* ---- the equations ---- */

static void unpack(const ckks_context *c, uint64_t *out, const void *in, unsigned prime)
{
    for (size_t i = 0; i < c->n; i++) out[i] = ckks_packed_get(in, c->modulus[prime].width, i);
}

/* b + a s2 of one digit and prime, centred coefficients. */
static void key_phase(const ring *r, int64_t *out, const ckks_switch_key *key, unsigned digit,
                      unsigned prime, const uint64_t *s2)
{
    const ckks_context *c = r->context;
    uint64_t *limb = ckks_alloc(3 * c->n * sizeof *limb), *a = limb + c->n, *b = a + c->n;
    ck_assert_ptr_nonnull(limb);
    unpack(c, b, ckks_switch_key_limb(c, key, digit, prime, 0), prime);
    unpack(c, a, ckks_switch_key_limb(c, key, digit, prime, 1), prime);
    c->kernel->mul_add(&c->modulus[prime], limb, b, a, s2, c->n);
    centred_limb(r, out, limb, prime);
    ckks_free(limb);
}

typedef struct error_sum {
    double sum, sum2, count;
} error_sum;

/* Every digit: the same small error in all limbs once P s1 is taken off the digit's own. Returns
 * nothing, adds up the errors. */
static void check_key(const ring *r, const ckks_switch_key *key, const uint64_t *s1,
                      const uint64_t *s2, error_sum *errors)
{
    const ckks_context *c = r->context;
    ckks_basis whole = key->request.q | key->request.p, covered = 0;
    int64_t *error = malloc(c->n * sizeof *error), *first = malloc(c->n * sizeof *first);
    uint64_t *limb = ckks_alloc(3 * c->n * sizeof *limb), *a = limb + c->n, *b = a + c->n;
    ck_assert(error && first && limb);
    for (unsigned d = 0; d < key->digits; d++) {
        int have_first = 0;
        ck_assert_uint_eq(covered & key->digit[d], 0);
        covered |= key->digit[d];
        unsigned index[CKKS_MAX_PRIMES], limbs = ckks_limb_list(c, whole, index);
        for (unsigned i = 0; i < limbs; i++) {
            unsigned t = index[i];
            const ckks_modulus *p = &c->modulus[t];
            unpack(c, b, ckks_switch_key_limb(c, key, d, t, 0), t);
            unpack(c, a, ckks_switch_key_limb(c, key, d, t, 1), t);
            for (size_t j = 0; j < c->n; j++) ck_assert(a[j] < p->p && b[j] < p->p);
            c->kernel->mul_add(p, limb, b, a, s2 + t * c->stride, c->n);
            if (key->digit[d] & c->modulus[t].primes) {
                c->kernel->mul_scalar(p, a, s1 + t * c->stride,
                                      ckks_product_mod(c, key->request.p, t), c->n);
                c->kernel->sub(p, limb, limb, a, c->n);
            }
            centred_limb(r, error, limb, t);
            if (!have_first) {
                have_first = 1;
                memcpy(first, error, c->n * sizeof *first);
                for (size_t j = 0; j < c->n; j++) {
                    ck_assert_msg(llabs(error[j]) <= CKKS_ERROR_BITS,
                                  "digit %u: error %" PRId64 " in limb %u", d, error[j], i);
                    errors->sum += (double)error[j];
                    errors->sum2 += (double)(error[j] * error[j]);
                    errors->count++;
                }
            }
            for (size_t j = 0; j < c->n; j++)
                ck_assert_msg(error[j] == first[j],
                              "digit %u: errors %" PRId64 " and %" PRId64 " in limb %u", d,
                              first[j], error[j], i);
        }
    }
    ck_assert_uint_eq(covered, key->request.q);
    free(error);
    free(first);
    ckks_free(limb);
}

/* A secret of these coefficients modulo all moduli. */
static uint64_t *over_all_moduli(const ring *r, int8_t *coefficient)
{
    const ckks_context *c = r->context;
    ckks_secret_key secret = {.context = c,
                              .coefficient = coefficient,
                              .ntt = ckks_alloc(c->moduli * c->stride * sizeof(uint64_t))};
    ck_assert_ptr_nonnull(secret.ntt);
    ck_assert_ok(ckks_secret_key_transform(&secret));
    return secret.ntt;
}

/* sigma of the secret: rotation, or conjugation. */
static uint64_t *transformed_secret(const ring *r, uint64_t g)
{
    const ckks_context *c = r->context;
    int8_t *small = calloc(c->n, 1);
    ck_assert_ptr_nonnull(small);
    for (size_t i = 0; i < c->n; i++) {
        size_t e = (size_t)(i * g) & (2 * c->n - 1);
        small[e & (c->n - 1)] =
            (int8_t)(e < c->n ? r->secret->coefficient[i] : -r->secret->coefficient[i]);
    }
    uint64_t *out = over_all_moduli(r, small);
    free(small);
    return out;
}

START_TEST(equations)
{
    ring r = boot_ring(_i);
    const ckks_context *c = r.context;
    ckks_basis some = 0x0f00f0f & r.chain;
    ring_request(&r, CKKS_KEY_RELINEARIZE, 0, r.chain, r.special);
    ring_request(&r, CKKS_KEY_RELINEARIZE, 0, 0x9, ckks_basis_special_for(r.params, 0x9));
    ring_request(&r, CKKS_KEY_ROTATE, 1, r.chain, r.special);
    ring_request(&r, CKKS_KEY_ROTATE, 1, some, r.special);
    ring_request(&r, CKKS_KEY_ROTATE, -3, 0x7, ckks_basis_special_for(r.params, 0x7));
    ring_request(&r, CKKS_KEY_CONJUGATE, 0, r.chain, r.special);
    ring_keys(&r);
    uint64_t *square = ckks_alloc(c->moduli * c->stride * sizeof *square);
    ck_assert_ptr_nonnull(square);
    for (unsigned t = 0; t < c->moduli; t++)
        c->kernel->mul(&c->modulus[t], square + t * c->stride, r.secret->ntt + t * c->stride,
                       r.secret->ntt + t * c->stride, c->n);
    error_sum errors = {0, 0, 0};
    size_t bytes = 0;
    for (size_t i = 0; i < r.list.count; i++) {
        const ckks_switch_key *key = &r.keys->key[i];
        const ckks_key_request *q = &key->request;
        ck_assert(!memcmp(q, &r.list.request[i], sizeof *q));
        bytes += key->bytes;
        if (q->kind == CKKS_KEY_RELINEARIZE) {
            check_key(&r, key, square, r.secret->ntt, &errors);
        } else {
            /* from sigma(s) to s */
            uint64_t g =
                q->kind == CKKS_KEY_CONJUGATE ? 2 * c->n - 1 : ckks_galois_element(c, q->rotation);
            uint64_t *source = transformed_secret(&r, g);
            check_key(&r, key, source, r.secret->ntt, &errors);
            ckks_free(source);
            ck_assert_uint_eq(key->sigma->g, g);
        }
        /* the public part is the expansion of the seed */
        size_t size = key->bytes;
        unsigned char *copy = malloc(size);
        ck_assert_ptr_nonnull(copy);
        memcpy(copy, key->data, size);
        uint64_t *a = ckks_alloc(2 * c->n * sizeof *a), *expanded = a + c->n;
        unsigned index[CKKS_MAX_PRIMES], limbs = ckks_limb_list(c, q->q | q->p, index),
                                         t = index[ckks_limb_count(c, q->q) - 1];
        ckks_sample_uniform(expanded, c->n, c->modulus[t].p, key->seed,
                            (key->digits - 1) * CKKS_MAX_PRIMES + t);
        unpack(c, a, ckks_switch_key_limb(c, key, key->digits - 1, t, 1), t);
        ck_assert_mem_eq(a, expanded, c->n * sizeof *a);
        memset(a, 0, c->n * sizeof *a);
        ck_assert_ok(ckks_switch_key_expand(c, &r.keys->key[i]));
        for (unsigned d = 0; d < key->digits; d++)
            for (unsigned k = 0; k < limbs; k++) {
                const unsigned char *limb = ckks_switch_key_limb(c, key, d, index[k], 1);
                ck_assert_mem_eq(limb, copy + (limb - key->data),
                                 c->n * c->modulus[index[k]].width);
            }
        ckks_free(a);
        free(copy);
    }
    /* two rotations and the conjugation */
    ck_assert_uint_eq(ckks_eval_keys_bytes(r.keys), bytes + 3 * c->n * sizeof(uint32_t));
    /* mean 0, variance 10.5; the fourth moment of a near-normal variable gives the spread of the
     * variance */
    ck_assert_double_le(fabs(errors.sum / errors.count),
                        5 * sqrt(CKKS_ERROR_VARIANCE / errors.count));
    assert_variance("error of switching keys", errors.sum2 / errors.count, CKKS_ERROR_VARIANCE,
                    errors.count, 0);
    ckks_free(square);
    ring_close(&r);
}
END_TEST

/* The sparse-to-dense key gives the ephemeral secret away to who knows the dense one: it has the
 * weight asked for, and the dense-to-sparse key leads to it, on q0 p0. */
START_TEST(encapsulation)
{
    ring r = boot_ring(_i);
    const ckks_context *c = r.context;
    unsigned p0 = ckks_params_chain(r.params);
    ring_request(&r, CKKS_KEY_DENSE_TO_SPARSE, 0, 1, CKKS_BIT(p0));
    ring_request(&r, CKKS_KEY_SPARSE_TO_DENSE, 0, r.chain, r.special);
    ring_keys(&r);
    const ckks_switch_key *up = &r.keys->key[1], *down = &r.keys->key[0];
    ck_assert_uint_eq(up->digits, 1);
    ck_assert_uint_eq(down->digits, 1);
    ck_assert_uint_eq(down->request.q | down->request.p, 1 | CKKS_BIT(p0));
    ck_assert_double_lt(ckks_params_log2(r.params, down->request.q | down->request.p), 76.1);
    int64_t *phase = malloc(2 * c->n * sizeof *phase), *error = phase + c->n;
    int8_t *sparse = malloc(c->n);
    ck_assert(phase && sparse);
    /* modulo special primes only the error is left; in the limb of q0 the rest is P s */
    unsigned index[CKKS_MAX_PRIMES], lowest = (ckks_limb_list(c, r.chain, index), index[0]);
    key_phase(&r, error, up, 0, p0, r.secret->ntt + p0 * c->stride);
    key_phase(&r, phase, up, 0, lowest, r.secret->ntt + lowest * c->stride);
    uint64_t inverse = ckks_product_inverse_mod(c, r.special, lowest), q = c->modulus[lowest].p;
    unsigned weight = 0;
    for (size_t i = 0; i < c->n; i++) {
        int64_t x = phase[i] - error[i];
        uint64_t s = ckks_mod_mul((uint64_t)(x < 0 ? x + (int64_t)q : x) % q, inverse, q);
        ck_assert_msg(s <= 1 || s == q - 1, "coefficient %zu of the ephemeral secret is %" PRIu64,
                      i, s);
        sparse[i] = (int8_t)(s == q - 1 ? -1 : (int)s);
        weight += s != 0;
    }
    ck_assert_uint_eq(weight, ckks_params_get_spec(r.params)->hamming_weight);
    uint64_t *ntt = over_all_moduli(&r, sparse);
    error_sum errors = {0, 0, 0};
    check_key(&r, up, ntt, r.secret->ntt, &errors);
    check_key(&r, down, r.secret->ntt, ntt, &errors);
    /* and the main secret is dense: 2N/3 nonzero coefficients, five standard deviations */
    ck_assert_double_le(fabs(secret_norm2(&r) - 2.0 / 3 * (double)c->n),
                        5 * sqrt(2.0 / 9 * (double)c->n));
    free(phase);
    free(sparse);
    ckks_free(ntt);
    ring_close(&r);
}
END_TEST

START_TEST(public_key)
{
    ring r = boot_ring(_i);
    const ckks_context *c = r.context;
    ckks_basis basis = 0x35;
    ckks_public_key *pk;
    int64_t error[1024], first[1024];
    uint64_t *limb = ckks_alloc(2 * c->n * sizeof *limb);
    ck_assert_ok(ckks_public_key_create(&pk, c, r.secret, basis, r.rng));
    unsigned index[CKKS_MAX_PRIMES], limbs = ckks_limb_list(c, basis, index);
    ck_assert_uint_eq(limbs, _i ? 3 : 4);
    for (unsigned k = 0; k < limbs; k++) {
        unsigned t = index[k];
        const uint64_t *b = pk->b.limb[k], *a = pk->a.limb[k];
        ckks_sample_uniform(limb + c->n, c->n, c->modulus[t].p, pk->seed, t);
        ck_assert_mem_eq(limb + c->n, a, c->n * sizeof *limb);
        c->kernel->mul_add(&c->modulus[t], limb, b, a, r.secret->ntt + t * c->stride, c->n);
        centred_limb(&r, error, limb, t);
        if (!k) memcpy(first, error, sizeof first);
        for (size_t i = 0; i < c->n; i++)
            ck_assert(llabs(error[i]) <= CKKS_ERROR_BITS && error[i] == first[i]);
    }
    ckks_free(limb);
    ckks_public_key_destroy(pk);
    ring_close(&r);
}
END_TEST

/* ---- lookup, interruption, reproducibility ---- */

START_TEST(find)
{
    ring r = boot_ring(0);
    const ckks_switch_key *key = NULL;
    ckks_basis small = 0x7, p = ckks_basis_special_for(r.params, small);
    ring_request(&r, CKKS_KEY_ROTATE, 1, r.chain, r.special);
    ring_request(&r, CKKS_KEY_ROTATE, 1, small, p);
    ring_request(&r, CKKS_KEY_RELINEARIZE, 0, small, p);
    ring_keys(&r);
    ck_assert_ok(ckks_eval_keys_find(&key, r.keys, CKKS_KEY_ROTATE, 1, 0x5, 0));
    ck_assert_uint_eq(key->request.q, small); /* the cheaper one */
    ck_assert_ok(ckks_eval_keys_find(&key, r.keys, CKKS_KEY_ROTATE, 1, 0x5, r.special));
    ck_assert_uint_eq(key->request.q, r.chain);
    ck_assert_ok(ckks_eval_keys_find(&key, r.keys, CKKS_KEY_ROTATE, 1, 0x8, 0));
    ck_assert_uint_eq(key->request.q, r.chain);
    const ckks_switch_key *before = key;
    ck_assert_fails(ckks_eval_keys_find(&key, r.keys, CKKS_KEY_ROTATE, 2, 0x5, 0), FHOLA_KEY);
    ck_assert_ptr_nonnull(strstr(fhola_detail(), "rotation 2"));
    ck_assert_fails(ckks_eval_keys_find(&key, r.keys, CKKS_KEY_RELINEARIZE, 0, 0x8, 0), FHOLA_KEY);
    ck_assert_fails(ckks_eval_keys_find(&key, r.keys, CKKS_KEY_CONJUGATE, 0, 1, 0), FHOLA_KEY);
    ck_assert_fails(
        ckks_eval_keys_find(&key, r.keys, CKKS_KEY_ROTATE, 1, 0x5, ckks_basis_top(r.special)),
        FHOLA_KEY);
    ck_assert_ptr_eq(key, before);
    ring_close(&r);
}
END_TEST

/* A key with both primes of a limb does not serve a ciphertext with one of them. */
START_TEST(find_halves)
{
    ring r = boot_ring(1);
    const ckks_switch_key *key = NULL;
    /* 0 and 1 together, 2 and 4 alone */
    ckks_basis small = 0x17, p = ckks_basis_special_for(r.params, small);
    ring_request(&r, CKKS_KEY_ROTATE, 1, r.chain, r.special);
    ring_request(&r, CKKS_KEY_ROTATE, 1, small, p);
    ring_keys(&r);
    static const ckks_basis cheap[] = {0x17, 0x13, 0x14, 0x04, 0x10, 0x03},
                            whole[] = {0x0f, 0x0c, 0x30, 0x3ffff, 0x18000, 0x20003},
                            none[] = {0x01, 0x02, 0x05, 0x16, 0x1f, 0x08, 0x20, 0x1c, 0x20009};
    for (size_t k = 0; k < sizeof cheap / sizeof cheap[0]; k++) {
        ck_assert_ok(ckks_eval_keys_find(&key, r.keys, CKKS_KEY_ROTATE, 1, cheap[k], 0));
        ck_assert_uint_eq(key->request.q, small);
    }
    for (size_t k = 0; k < sizeof whole / sizeof whole[0]; k++) {
        ck_assert_ok(ckks_eval_keys_find(&key, r.keys, CKKS_KEY_ROTATE, 1, whole[k], 0));
        ck_assert_uint_eq(key->request.q, r.chain);
    }
    ckks_complex z = {0.5, 0};
    ckks_ciphertext *out = new_ciphertext(&r);
    for (size_t k = 0; k < sizeof none / sizeof none[0]; k++) {
        ck_assert_fails(ckks_eval_keys_find(&key, r.keys, CKKS_KEY_ROTATE, 1, none[k], 0),
                        FHOLA_KEY);
        ckks_ciphertext *in = encrypt(&r, &z, 1, 0x1p12, none[k]);
        ck_assert_fails(ckks_rotate(r.context, r.ws, r.keys, out, in, 1), FHOLA_KEY);
        ck_assert_uint_eq(ckks_ciphertext_basis(out), 0);
        ckks_ciphertext_destroy(in);
    }
    ckks_ciphertext_destroy(out);
    ring_close(&r);
}
END_TEST

typedef struct watch {
    size_t calls, last, stop;
} watch;

static int progress(void *arg, size_t done, size_t total)
{
    watch *w = arg;
    ck_assert_uint_eq(total, 5);
    ck_assert_uint_eq(done, w->calls);
    w->calls++;
    w->last = done;
    return done == w->stop;
}

START_TEST(interruption)
{
    ring r = boot_ring(1);
    for (int k = 1; k <= 5; k++)
        ring_request(&r, CKKS_KEY_ROTATE, k, 1, ckks_basis_special_for(r.params, 1));
    watch w = {0, 0, 100};
    ckks_eval_keys *keys = NULL;
    ck_assert_ok(ckks_eval_keys_create(&keys, r.context, r.secret, &r.list, r.rng, progress, &w));
    ck_assert_uint_eq(w.last, 5);
    ckks_eval_keys_destroy(keys);
    keys = NULL;
    w = (watch){0, 0, 3};
    ck_assert_fails(ckks_eval_keys_create(&keys, r.context, r.secret, &r.list, r.rng, progress, &w),
                    FHOLA_CANCELLED);
    ck_assert_uint_eq(w.last, 3);
    ck_assert_ptr_null(keys);
    ckks_eval_keys_destroy(NULL);
    ring_close(&r);
}
END_TEST

START_TEST(generators)
{
    ring r = boot_ring(1);
    uint8_t seed[32] = {1};
    ckks_secret_key *a, *b, *d;
    ckks_rng *x, *y, *os;
    ck_assert_ok(ckks_rng_create_seeded(&x, seed));
    ck_assert_ok(ckks_rng_create_seeded(&y, seed));
    ck_assert_ok(ckks_rng_create(&os));
    ck_assert_ok(ckks_secret_key_create(&a, r.context, x));
    ck_assert_ok(ckks_secret_key_create(&b, r.context, y));
    ck_assert_mem_eq(a->coefficient, b->coefficient, r.n);
    ckks_secret_key_destroy(b);
    ck_assert_ok(ckks_secret_key_create(&b, r.context, y)); /* the next one differs */
    ck_assert_mem_ne(a->coefficient, b->coefficient, r.n);
    ck_assert_ok(ckks_secret_key_create(&d, r.context, os));
    ck_assert_mem_ne(a->coefficient, d->coefficient, r.n);
    for (size_t i = 0; i < r.n; i++) ck_assert(d->coefficient[i] >= -1 && d->coefficient[i] <= 1);
    ckks_secret_key_destroy(a);
    ckks_secret_key_destroy(b);
    ckks_secret_key_destroy(d);
    ckks_secret_key_destroy(NULL);
    ckks_rng_destroy(x);
    ckks_rng_destroy(y);
    ckks_rng_destroy(os);
    ckks_rng_destroy(NULL);
    ring_close(&r);
}
END_TEST

static void add_tests(TCase *tcase)
{
    tcase_add_test(tcase, key_list);
    tcase_add_test(tcase, operations);
    tcase_add_loop_test(tcase, digits, 0, 2);
    tcase_add_test(tcase, requests_refused);
    tcase_add_test(tcase, sparse_keys_without_bootstrapping);
    tcase_add_loop_test(tcase, equations, 0, 2);
    tcase_add_loop_test(tcase, encapsulation, 0, 2);
    tcase_add_loop_test(tcase, public_key, 0, 2);
    tcase_add_test(tcase, find);
    tcase_add_test(tcase, find_halves);
    tcase_add_test(tcase, interruption);
    tcase_add_test(tcase, generators);
}

int main(void)
{
    test_seed(0);
    return test_run("keys", add_tests, 60);
}
