/* SPDX-License-Identifier: Apache-2.0 */
/* Keys and ciphertexts as chunks of a container. Residues are packed to the bits of their prime;
 * uniform polynomials are seeds. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ckks/alloc.h"
#include "ckks/scheme/ciphertext.h"
#include "ckks/scheme/container.h"
#include "ckks/scheme/keys.h"

#define SECRET_TAG     "SKEY"
#define PUBLIC_TAG     "PKEY"
#define LIST_TAG       "KEYS"
#define KEY_TAG        "KEY "
#define CIPHERTEXT_TAG "CIPH"

#define LIST_ENTRY_BYTES      24u
#define MAX_KEYS              65536u
#define CIPHERTEXT_HEAD_BYTES 24u
#define SHRUNK_HEAD_BYTES     8u
#define PUBLIC_HEAD_BYTES     (8u + CKKS_SEED_BYTES)

/* Standard deviations from 2N/3 at which a secret's number of nonzero coefficients is refused:
 * probability below 2^-49. */
#define WEIGHT_DEVIATIONS 8.0

/* ---- polynomials ---- */

/* Of a polynomial with `count` values in each limb. */
static size_t some_bytes(const ckks_context *c, ckks_basis basis, size_t count)
{
    size_t bytes = 0;
    unsigned index[CKKS_MAX_PRIMES], limbs = ckks_limb_list(c, basis, index);
    for (unsigned i = 0; i < limbs; i++)
        bytes += ckks_packed_bits_bytes(count, c->modulus[index[i]].bits);
    return bytes;
}

static size_t packed_bytes(const ckks_context *c, ckks_basis basis)
{
    return some_bytes(c, basis, c->n);
}

/* Where the limb of `prime` starts in a packed polynomial over `basis`. */
static size_t packed_offset(const ckks_context *c, ckks_basis basis, unsigned prime)
{
    return packed_bytes(c, ckks_basis_below(c, basis, prime));
}

static void pack_poly(const ckks_context *c, unsigned char *out, const ckks_poly *p)
{
#pragma omp parallel for num_threads(ckks_context_threads(c)) schedule(dynamic)
    for (unsigned i = 0; i < p->limbs; i++)
        ckks_pack_bits(out + packed_offset(c, p->basis, p->modulus[i]), p->limb[i], 8, c->n,
                       c->modulus[p->modulus[i]].bits);
}

static fhola_status not_residues(const ckks_reader *r, size_t bad)
{
    return ckks_reader_fail(r, FHOLA_FORMAT, "%zu residues are not below their prime", bad);
}

static fhola_status unpack_poly(const ckks_context *c, const ckks_reader *r, const ckks_poly *out,
                                const unsigned char *in)
{
    size_t bad = 0;
#pragma omp parallel for num_threads(ckks_context_threads(c)) schedule(dynamic) reduction(+ : bad)
    for (unsigned i = 0; i < out->limbs; i++) {
        unsigned t = out->modulus[i];
        const ckks_modulus *m = &c->modulus[t];
        bad += ckks_unpack_bits(out->limb[i], 8, in + packed_offset(c, out->basis, t), c->n,
                                m->bits, m->p);
    }
    return bad ? not_residues(r, bad) : FHOLA_OK;
}

static fhola_status check_basis(const ckks_context *c, const ckks_reader *r, ckks_basis basis)
{
    if (basis && !(basis & ~c->chain)) return FHOLA_OK;
    return ckks_reader_fail(r, FHOLA_FORMAT, "a basis of the primes %s does not fit the parameters",
                            ckks_basis_describe(c->params, basis).text);
}

static fhola_status check_length(const ckks_reader *r, size_t length, size_t expected)
{
    if (length == expected) return FHOLA_OK;
    return ckks_reader_fail(r, FHOLA_FORMAT, "the length is %zu, must be %zu", length, expected);
}

/* ---- secret keys ---- */

fhola_status ckks_key_id(uint64_t *out, ckks_rng *rng)
{
    unsigned char bytes[8];
    uint64_t id = 0;
    fhola_status st = ckks_rng_renew(rng);
    if (st) return st;
    while (!id) {
        ckks_rng_bytes(rng, bytes, sizeof bytes);
        id = ckks_get64(bytes);
        ckks_declassify(&id, sizeof id); /* stands in every file made with the key */
    }
    *out = id;
    return FHOLA_OK;
}

/* Two bits a coefficient: 0, 1, and 3 for -1; then the seed of the secrets of small rings. Nothing
 * branches on the values, no index depends on them. */
fhola_status ckks_secret_key_write(ckks_writer *w, const ckks_secret_key *key)
{
    size_t coefficients = key->context->n / 4, bytes = coefficients + sizeof key->seed;
    unsigned char *packed = ckks_alloc(bytes);
    if (!packed) return fhola_fail(FHOLA_NOMEM, "no memory to write a secret key");
    memcpy(packed + coefficients, key->seed, sizeof key->seed);
    for (size_t i = 0; i < coefficients; i++) {
        unsigned byte = 0;
        for (unsigned k = 0; k < 4; k++)
            byte |= ((unsigned)key->coefficient[4 * i + k] & 3u) << (2 * k);
        packed[i] = (unsigned char)byte;
    }
    fhola_status st = ckks_writer_chunk(w, SECRET_TAG, packed, bytes);
    ckks_wipe_free(packed, bytes);
    return st;
}

/* What is found out about a secret while it is unpacked. */
typedef struct secret_counts {
    size_t nonzero, invalid;
} secret_counts;

static secret_counts unpack_secret(int8_t *coefficient, const unsigned char *packed, size_t n)
{
    secret_counts count = {0, 0};
    for (size_t i = 0; i < n; i++) {
        unsigned code = (unsigned)packed[i / 4] >> (2 * (i % 4)) & 3u;
        coefficient[i] = (int8_t)((int)(code & 1u) - (int)(code & 2u));
        count.nonzero += code & 1u;
        count.invalid += (code >> 1) & ~code & 1u;
    }
    return count;
}

static fhola_status check_secret(const ckks_reader *r, secret_counts count, size_t n)
{
    double expected = 2.0 * (double)n / 3.0, deviation = sqrt(2.0 * (double)n / 9.0);
    if (count.invalid)
        return ckks_reader_fail(r, FHOLA_SECURITY, "%zu coefficients are not in {-1, 0, 1}",
                                count.invalid);
    if (fabs((double)count.nonzero - expected) > WEIGHT_DEVIATIONS * deviation)
        return ckks_reader_fail(r, FHOLA_SECURITY,
                                "%zu of %zu coefficients are not 0, a uniform ternary secret has "
                                "%.0f +- %.0f: not secure",
                                count.nonzero, n, expected, deviation);
    return FHOLA_OK;
}

fhola_status ckks_secret_key_read(ckks_secret_key **out, const ckks_context *c, ckks_reader *r)
{
    const unsigned char *packed;
    const size_t coefficients = c->n / 4, bytes = coefficients + CKKS_SEED_BYTES;
    ckks_secret_key *sk;
    FHOLA_TRY(ckks_reader_chunk(r, SECRET_TAG, bytes, bytes, &packed, NULL));
    FHOLA_TRY(ckks_secret_key_allocate(&sk, c));
    memcpy(sk->seed, packed + coefficients, sizeof sk->seed);
    secret_counts count = unpack_secret(sk->coefficient, packed, c->n);
    /* Whether a file is accepted; and how many of a uniform secret's coefficients are 0 tells next
     * to nothing about which. */
    ckks_declassify(&count, sizeof count);
    fhola_status st = check_secret(r, count, c->n);
    if (!st) st = ckks_secret_key_transform(sk);
    if (st)
        ckks_secret_key_destroy(sk);
    else
        *out = sk;
    return st;
}

/* ---- public keys ---- */

fhola_status ckks_public_key_write(ckks_writer *w, const ckks_public_key *key)
{
    const ckks_context *c = key->context;
    size_t bytes = PUBLIC_HEAD_BYTES + packed_bytes(c, key->b.basis);
    unsigned char *content = ckks_alloc(bytes);
    if (!content) return fhola_fail(FHOLA_NOMEM, "no memory to write a public key");
    ckks_put64(content, key->b.basis);
    memcpy(content + 8, key->seed, sizeof key->seed);
    pack_poly(c, content + PUBLIC_HEAD_BYTES, &key->b);
    fhola_status st = ckks_writer_chunk(w, PUBLIC_TAG, content, bytes);
    ckks_free(content);
    return st;
}

fhola_status ckks_public_key_read(ckks_public_key **out, const ckks_context *c, ckks_reader *r)
{
    const unsigned char *content;
    size_t length;
    fhola_status st =
        ckks_reader_chunk(r, PUBLIC_TAG, PUBLIC_HEAD_BYTES,
                          PUBLIC_HEAD_BYTES + packed_bytes(c, c->chain), &content, &length);
    if (st) return st;
    ckks_basis basis = ckks_get64(content);
    st = check_basis(c, r, basis);
    if (!st) st = check_length(r, length, PUBLIC_HEAD_BYTES + packed_bytes(c, basis));
    if (st) return st;
    ckks_public_key *pk;
    FHOLA_TRY(ckks_public_key_allocate(&pk, c, basis));
    memcpy(pk->seed, content + 8, sizeof pk->seed);
    ckks_poly_expand(c, &pk->a, pk->seed);
    st = unpack_poly(c, r, &pk->b, content + PUBLIC_HEAD_BYTES);
    if (st)
        ckks_public_key_destroy(pk);
    else
        *out = pk;
    return st;
}

/* ---- evaluation keys ---- */

/* A key: the seed of its a parts, the primes of each digit, then its b parts, digit by digit. */
static size_t key_head_bytes(const ckks_switch_key *key)
{
    return CKKS_SEED_BYTES + 8 * (size_t)key->digits;
}

static size_t key_bytes(const ckks_context *c, const ckks_switch_key *key)
{
    return key_head_bytes(key) + key->digits * packed_bytes(c, key->request.q | key->request.p);
}

/* One limb of a key's b parts. */
typedef struct key_limb {
    unsigned digit, prime;
    size_t offset; /* in the packed key */
} key_limb;

static key_limb locate(const ckks_context *c, const ckks_switch_key *key, const unsigned index[],
                       unsigned limbs, unsigned k)
{
    ckks_basis basis = key->request.q | key->request.p;
    key_limb at = {k / limbs, index[k % limbs], 0};
    at.offset =
        key_head_bytes(key) + at.digit * packed_bytes(c, basis) + packed_offset(c, basis, at.prime);
    return at;
}

static void pack_key(const ckks_context *c, unsigned char *out, const ckks_switch_key *key)
{
    unsigned index[CKKS_MAX_PRIMES],
        limbs = ckks_limb_list(c, key->request.q | key->request.p, index);
    memcpy(out, key->seed, CKKS_SEED_BYTES);
    for (unsigned d = 0; d < key->digits; d++)
        ckks_put64(out + CKKS_SEED_BYTES + 8 * d, key->digit[d]);
#pragma omp parallel for num_threads(ckks_context_threads(c)) schedule(dynamic)
    for (unsigned k = 0; k < key->digits * limbs; k++) {
        key_limb at = locate(c, key, index, limbs, k);
        const ckks_modulus *p = &c->modulus[at.prime];
        ckks_pack_bits(out + at.offset, ckks_switch_key_limb(c, key, at.digit, at.prime, 0),
                       p->width, c->n, p->bits);
    }
}

static fhola_status unpack_key(const ckks_context *c, const ckks_reader *r, ckks_switch_key *key,
                               const unsigned char *in)
{
    unsigned index[CKKS_MAX_PRIMES],
        limbs = ckks_limb_list(c, key->request.q | key->request.p, index);
    size_t bad = 0;
    for (unsigned d = 0; d < key->digits; d++)
        if (ckks_get64(in + CKKS_SEED_BYTES + 8 * d) != key->digit[d])
            return ckks_reader_fail(
                r, FHOLA_FORMAT, "digit %u has the primes %s, must have %s", d,
                ckks_basis_describe(c->params, ckks_get64(in + CKKS_SEED_BYTES + 8 * d)).text,
                ckks_basis_describe(c->params, key->digit[d]).text);
    memcpy(key->seed, in, CKKS_SEED_BYTES);
#pragma omp parallel for num_threads(ckks_context_threads(c)) schedule(dynamic) reduction(+ : bad)
    for (unsigned k = 0; k < key->digits * limbs; k++) {
        key_limb at = locate(c, key, index, limbs, k);
        const ckks_modulus *p = &c->modulus[at.prime];
        const unsigned char *limb = ckks_switch_key_limb(c, key, at.digit, at.prime, 0);
        bad += ckks_unpack_bits(key->data + (limb - key->data), p->width, in + at.offset, c->n,
                                p->bits, p->p);
    }
    return bad ? not_residues(r, bad) : FHOLA_OK;
}

static fhola_status write_list(ckks_writer *w, const ckks_key_request *request, size_t count)
{
    size_t bytes = count * LIST_ENTRY_BYTES;
    if (count > MAX_KEYS)
        return fhola_fail(FHOLA_PARAM, "%zu keys, a file holds at most %u", count, MAX_KEYS);
    unsigned char *content = malloc(bytes + 1);
    if (!content) return fhola_fail(FHOLA_NOMEM, "no memory for a list of %zu keys", count);
    for (size_t i = 0; i < count; i++) {
        unsigned char *entry = content + i * LIST_ENTRY_BYTES;
        ckks_put32(entry, (uint32_t)request[i].kind);
        ckks_put32(entry + 4, request[i].rotation);
        ckks_put64(entry + 8, request[i].q);
        ckks_put64(entry + 16, request[i].p);
    }
    fhola_status st = ckks_writer_chunk(w, LIST_TAG, content, bytes);
    free(content);
    return st;
}

uint64_t ckks_eval_keys_file_bytes(const ckks_context *c, const ckks_key_list *list)
{
    /* the head, parameters, the list, the end */
    uint64_t bytes = CKKS_HEAD_BYTES + CKKS_SPEC_BYTES + 3 * CKKS_CHUNK_HEAD_BYTES +
                     (uint64_t)list->count * LIST_ENTRY_BYTES;
    for (size_t i = 0; i < list->count; i++) {
        ckks_switch_key key = {.request = list->request[i]};
        key.digits = ckks_request_digits(c->params, &key.request, key.digit);
        bytes += CKKS_CHUNK_HEAD_BYTES + key_bytes(c, &key);
    }
    return bytes;
}

/* What the functions that write keys share. */
typedef struct key_output {
    ckks_writer *writer;
    const ckks_context *context;
    ckks_progress_fn progress;
    void *arg;
    size_t done, total;
    unsigned char *packed; /* a key's chunk */
    size_t capacity;
} key_output;

static fhola_status tell(key_output *o)
{
    if (!o->progress || !o->progress(o->arg, o->done, o->total)) return FHOLA_OK;
    return fhola_fail(FHOLA_CANCELLED, "writing the evaluation keys was interrupted");
}

static fhola_status write_keys(key_output *o, const ckks_eval_keys *keys)
{
    fhola_status st = FHOLA_OK;
    for (size_t i = 0; i < keys->count && !st; i++) {
        const ckks_switch_key *key = &keys->key[i];
        size_t bytes = key_bytes(o->context, key);
        st = tell(o);
        if (!st && bytes > o->capacity) {
            ckks_free(o->packed);
            o->packed = ckks_alloc(bytes);
            o->capacity = o->packed ? bytes : 0;
            if (!o->packed)
                st = fhola_fail(FHOLA_NOMEM, "no memory to write a key of %zu bytes", bytes);
        }
        if (st) break;
        pack_key(o->context, o->packed, key);
        st = ckks_writer_chunk(o->writer, KEY_TAG, o->packed, bytes);
        o->done++;
    }
    return st;
}

fhola_status ckks_eval_keys_write(ckks_writer *w, const ckks_eval_keys *keys,
                                  ckks_progress_fn progress, void *arg)
{
    key_output o = {.writer = w,
                    .context = keys->context,
                    .progress = progress,
                    .arg = arg,
                    .total = keys->count};
    ckks_key_request *request = calloc(keys->count + 1, sizeof *request);
    if (!request) return fhola_fail(FHOLA_NOMEM, "no memory for a list of %zu keys", keys->count);
    for (size_t i = 0; i < keys->count; i++) request[i] = keys->key[i].request;
    fhola_status st = write_list(w, request, keys->count);
    free(request);
    if (!st) st = write_keys(&o, keys);
    if (!st) st = tell(&o);
    ckks_free(o.packed);
    return st;
}

static fhola_status generate_some(key_output *o, const ckks_secret_key *secret,
                                  ckks_key_request *request, size_t count, ckks_rng *rng)
{
    ckks_key_list list = {request, count, count};
    ckks_eval_keys *keys = NULL;
    fhola_status st = tell(o);
    if (!st) st = ckks_eval_keys_create(&keys, o->context, secret, &list, rng, NULL, NULL);
    if (!st) st = write_keys(o, keys);
    ckks_eval_keys_destroy(keys);
    return st;
}

/* The keys of the ephemeral secret first: they are made together, since the secret ends with the
 * call that makes them. */
static size_t encapsulation_first(ckks_key_request *out, const ckks_key_list *list)
{
    size_t first = 0, n = 0;
    for (size_t i = 0; i < list->count; i++)
        if (ckks_key_is_sparse(list->request[i].kind)) out[n++] = list->request[i];
    first = n;
    for (size_t i = 0; i < list->count; i++)
        if (!ckks_key_is_sparse(list->request[i].kind)) out[n++] = list->request[i];
    return first;
}

fhola_status ckks_eval_keys_generate(ckks_writer *w, const ckks_context *c,
                                     const ckks_secret_key *secret, const ckks_key_list *list,
                                     ckks_rng *rng, ckks_progress_fn progress, void *arg)
{
    key_output o = {
        .writer = w, .context = c, .progress = progress, .arg = arg, .total = list->count};
    fhola_status st = ckks_key_list_check(list, ckks_context_params(c));
    if (st) return st;
    ckks_key_request *request = calloc(list->count + 1, sizeof *request);
    if (!request) return fhola_fail(FHOLA_NOMEM, "no memory for a list of %zu keys", list->count);
    size_t next = encapsulation_first(request, list);
    st = write_list(w, request, list->count);
    if (!st && next) st = generate_some(&o, secret, request, next, rng);
    for (; next < list->count && !st; next++)
        st = generate_some(&o, secret, request + next, 1, rng);
    if (!st) st = tell(&o);
    ckks_free(o.packed);
    free(request);
    return st;
}

/* A failure found in what a file asks for. */
static fhola_status refuse(const ckks_reader *r, fhola_status st)
{
    return ckks_reader_fail(r, st == FHOLA_SECURITY || st == FHOLA_NOMEM ? st : FHOLA_FORMAT, "%s",
                            fhola_detail());
}

/* *list belongs to the caller, even after a failure. */
static fhola_status read_list(const ckks_context *c, ckks_reader *r, ckks_key_list *list)
{
    const unsigned char *content;
    size_t length;
    FHOLA_TRY(ckks_reader_chunk(r, LIST_TAG, 0, MAX_KEYS * LIST_ENTRY_BYTES, &content, &length));
    if (length % LIST_ENTRY_BYTES)
        return ckks_reader_fail(r, FHOLA_FORMAT, "%zu bytes are no whole number of entries",
                                length);
    size_t n = length / LIST_ENTRY_BYTES;
    list->request = malloc((n + 1) * sizeof *list->request);
    if (!list->request) return fhola_fail(FHOLA_NOMEM, "no memory for a list of %zu keys", n);
    list->capacity = n + 1;
    list->count = n;
    for (size_t i = 0; i < n; i++) {
        const unsigned char *entry = content + i * LIST_ENTRY_BYTES;
        list->request[i] =
            (ckks_key_request){(ckks_key_kind)ckks_get32(entry), ckks_get32(entry + 4),
                               ckks_get64(entry + 8), ckks_get64(entry + 16)};
    }
    fhola_status st = ckks_key_list_check(list, ckks_context_params(c));
    return st ? refuse(r, st) : FHOLA_OK;
}

static fhola_status read_key(ckks_eval_keys *keys, size_t i, const ckks_key_request *request,
                             ckks_reader *r)
{
    const ckks_context *c = keys->context;
    const unsigned char *content;
    fhola_status st = ckks_eval_keys_prepare(keys, i, request);
    if (st) return refuse(r, st);
    size_t bytes = key_bytes(c, &keys->key[i]);
    st = ckks_reader_chunk(r, KEY_TAG, bytes, bytes, &content, NULL);
    if (!st) st = unpack_key(c, r, &keys->key[i], content);
    return st ? st : ckks_switch_key_expand(c, &keys->key[i]);
}

static fhola_status skip_key(ckks_reader *r)
{
    ckks_chunk_info info;
    FHOLA_TRY(ckks_reader_skip(r, &info));
    if (strcmp(info.tag, KEY_TAG) == 0) return FHOLA_OK;
    return ckks_reader_fail(r, FHOLA_FORMAT, "a key belongs here");
}

static fhola_status check_needed(const ckks_reader *r, const ckks_key_list *list,
                                 const ckks_key_list *needed)
{
    if (!needed || ckks_key_list_covers(list, needed) == FHOLA_OK) return FHOLA_OK;
    return ckks_reader_fail(r, FHOLA_KEY, "%s", fhola_detail());
}

/* Those of the listed keys that are needed, each once however often a stranger's file has it; the
 * list begins with what was kept. */
static fhola_status read_keys(ckks_eval_keys *keys, ckks_reader *r, ckks_key_list *list,
                              const ckks_key_list *needed, ckks_progress_fn progress, void *arg)
{
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++) {
        const ckks_key_request request = list->request[i];
        const ckks_key_list there = {list->request, kept, kept};
        if (progress && progress(arg, i, list->count))
            return fhola_fail(FHOLA_CANCELLED, "reading the evaluation keys was interrupted");
        if (needed &&
            (!ckks_key_list_has(needed, &request) || ckks_key_list_has(&there, &request))) {
            FHOLA_TRY(skip_key(r));
            continue;
        }
        list->request[kept] = request;
        FHOLA_TRY(read_key(keys, kept++, &request, r));
    }
    keys->count = kept;
    return FHOLA_OK;
}

/* memory: of ckks_eval_keys_shared_bytes, or NULL. */
static fhola_status read_eval_keys(ckks_eval_keys **out, const ckks_context *c, void *memory,
                                   ckks_reader *r, const ckks_key_list *needed,
                                   ckks_progress_fn progress, void *arg)
{
    ckks_key_list list = {0};
    ckks_eval_keys *keys = NULL;
    fhola_status st = read_list(c, r, &list);
    if (!st) st = check_needed(r, &list, needed);
    if (!st) st = ckks_eval_keys_allocate(&keys, c, list.count);
    if (!st && memory)
        ckks_eval_keys_place(keys, memory, ckks_eval_keys_shared_bytes(c, needed), needed->count);
    if (!st) st = read_keys(keys, r, &list, needed, progress, arg);
    if (!st && memory) ckks_eval_keys_label(keys, memory);
    size_t count = list.count;
    ckks_key_list_clear(&list);
    if (st) {
        ckks_eval_keys_destroy(keys);
        return st;
    }
    if (progress) (void)progress(arg, count, count);
    *out = keys;
    return FHOLA_OK;
}

fhola_status ckks_eval_keys_read(ckks_eval_keys **out, const ckks_context *c, ckks_reader *r,
                                 const ckks_key_list *needed, ckks_progress_fn progress, void *arg)
{
    return read_eval_keys(out, c, NULL, r, needed, progress, arg);
}

fhola_status ckks_eval_keys_read_shared(ckks_eval_keys **out, const ckks_context *c, void *memory,
                                        ckks_reader *r, const ckks_key_list *needed,
                                        ckks_progress_fn progress, void *arg)
{
    return read_eval_keys(out, c, memory, r, needed, progress, arg);
}

/* ---- ciphertexts ---- */

/* Basis, scale, form, label; then the packed first polynomial, and the second: packed, or as its
 * seed. Of a shrunk ciphertext: the logarithms of degree and period (u32), and of both polynomials
 * the packed coefficients that it has, those of the constant term first. */
enum { FORM_WHOLE, FORM_SEEDED, FORM_SHRUNK };

typedef struct ciphertext_head {
    ckks_basis basis;
    double scale;
    uint32_t form, label;
    ckks_shrunk shrunk;
} ciphertext_head;

/* Where the polynomials begin, and where the second ends. */
static void lay_out(size_t at[3], const ckks_context *c, const ciphertext_head *h)
{
    const bool shrunk = h->form == FORM_SHRUNK;
    at[0] = CIPHERTEXT_HEAD_BYTES + (shrunk ? SHRUNK_HEAD_BYTES : 0);
    at[1] = at[0] + some_bytes(c, h->basis, shrunk ? 2 * h->shrunk.period : c->n);
    at[2] =
        at[1] + (h->form == FORM_SEEDED
                     ? CKKS_SEED_BYTES
                     : some_bytes(c, h->basis, shrunk ? (size_t)1 << h->shrunk.log_degree : c->n));
}

/* `count` coefficients, N / count apart: all that a polynomial of a subring has. */
static fhola_status pack_some(const ckks_context *c, unsigned char *out, const ckks_poly *p,
                              size_t count)
{
    const size_t gap = c->n / count;
    uint64_t *limb = ckks_alloc(c->n * sizeof *limb);
    if (!limb) return fhola_fail(FHOLA_NOMEM, "no memory to write a ciphertext");
    for (unsigned i = 0; i < p->limbs; i++) {
        const ckks_modulus *m = &c->modulus[p->modulus[i]];
        memcpy(limb, p->limb[i], c->n * sizeof *limb);
        c->kernel->ntt_inverse(m, &limb, 1);
        for (size_t k = 0; k < count; k++) limb[k] = limb[k * gap];
        ckks_pack_bits(out, limb, 8, count, m->bits);
        out += ckks_packed_bits_bytes(count, m->bits);
    }
    ckks_free(limb);
    return FHOLA_OK;
}

static fhola_status unpack_some(const ckks_context *c, const ckks_reader *r, const ckks_poly *out,
                                const unsigned char *in, size_t count)
{
    const size_t gap = c->n / count;
    for (unsigned i = 0; i < out->limbs; i++) {
        const ckks_modulus *m = &c->modulus[out->modulus[i]];
        uint64_t *limb = out->limb[i];
        size_t bad = ckks_unpack_bits(limb, 8, in, count, m->bits, m->p);
        if (bad) return not_residues(r, bad);
        for (size_t k = count; k-- > 0;) { /* from the end: none is overwritten unread */
            uint64_t value = limb[k];
            memset(limb + k * gap, 0, gap * sizeof *limb);
            limb[k * gap] = value;
        }
        c->kernel->ntt_forward(m, &limb, 1);
        in += ckks_packed_bits_bytes(count, m->bits);
    }
    return FHOLA_OK;
}

static unsigned log2_of(size_t x)
{
    unsigned log = 0;
    while (x >> (log + 1)) log++;
    return log;
}

static ciphertext_head head_of(const ckks_ciphertext *ct)
{
    return (ciphertext_head){ckks_ciphertext_basis(ct), ct->scale,
                             ct->shrunk.period ? FORM_SHRUNK
                             : ct->seeded      ? FORM_SEEDED
                                               : FORM_WHOLE,
                             ct->label, ct->shrunk};
}

static fhola_status pack_ciphertext(unsigned char *content, const size_t at[3],
                                    const ciphertext_head *h, const ckks_ciphertext *ct)
{
    const ckks_context *c = ct->context;
    ckks_put64(content, h->basis);
    ckks_put_double(content + 8, h->scale);
    ckks_put32(content + 16, h->form);
    ckks_put32(content + 20, h->label);
    if (h->form == FORM_SHRUNK) {
        ckks_put32(content + CIPHERTEXT_HEAD_BYTES, h->shrunk.log_degree);
        ckks_put32(content + CIPHERTEXT_HEAD_BYTES + 4, log2_of(h->shrunk.period));
        FHOLA_TRY(pack_some(c, content + at[0], &ct->poly[0], 2 * h->shrunk.period));
        return pack_some(c, content + at[1], &ct->poly[1], (size_t)1 << h->shrunk.log_degree);
    }
    pack_poly(c, content + at[0], &ct->poly[0]);
    if (h->form == FORM_SEEDED)
        memcpy(content + at[1], ct->seed, CKKS_SEED_BYTES);
    else
        pack_poly(c, content + at[1], &ct->poly[1]);
    return FHOLA_OK;
}

fhola_status ckks_ciphertext_write(ckks_writer *w, const ckks_ciphertext *ct)
{
    size_t at[3];
    const ckks_context *c = ct->context;
    FHOLA_TRY(ckks_ciphertext_check_any(c, ct, "the ciphertext"));
    const ciphertext_head head = head_of(ct);
    lay_out(at, c, &head);
    unsigned char *content = ckks_alloc(at[2]);
    if (!content) return fhola_fail(FHOLA_NOMEM, "no memory to write a ciphertext");
    fhola_status st = pack_ciphertext(content, at, &head, ct);
    if (!st) st = ckks_writer_chunk(w, CIPHERTEXT_TAG, content, at[2]);
    ckks_free(content);
    return st;
}

static fhola_status unpack_ciphertext(const ckks_ciphertext *ct, const ckks_reader *r,
                                      const unsigned char *content, const size_t at[3],
                                      const ciphertext_head *h, const ckks_poly room[2])
{
    const ckks_context *c = ct->context;
    if (h->form == FORM_SHRUNK) {
        FHOLA_TRY(unpack_some(c, r, &room[0], content + at[0], 2 * h->shrunk.period));
        return unpack_some(c, r, &room[1], content + at[1], (size_t)1 << h->shrunk.log_degree);
    }
    FHOLA_TRY(unpack_poly(c, r, &room[0], content + at[0]));
    if (h->form == FORM_WHOLE) return unpack_poly(c, r, &room[1], content + at[1]);
    ckks_poly_expand(c, &room[1], content + at[1]);
    return FHOLA_OK;
}

static fhola_status fill_ciphertext(ckks_ciphertext *ct, const ckks_reader *r,
                                    const unsigned char *content, const size_t at[3],
                                    const ciphertext_head *h)
{
    ckks_poly room[2];
    ckks_ciphertext_set(ct, 0, 0, 0); /* empty, should anything below fail */
    FHOLA_TRY(ckks_ciphertext_reserve(ct, h->basis, room));
    FHOLA_TRY(unpack_ciphertext(ct, r, content, at, h, room));
    ckks_ciphertext_set(ct, h->basis, h->scale, 0);
    ct->label = h->label;
    ct->shrunk = h->shrunk;
    ct->seeded = h->form == FORM_SEEDED;
    if (ct->seeded) memcpy(ct->seed, content + at[1], CKKS_SEED_BYTES);
    return FHOLA_OK;
}

static fhola_status read_shrunk(ckks_shrunk *out, const ckks_context *c, const ckks_reader *r,
                                const unsigned char *in, size_t length)
{
    if (length < SHRUNK_HEAD_BYTES)
        return ckks_reader_fail(r, FHOLA_FORMAT, "%zu bytes for a shrunk ciphertext", length);
    uint32_t log_degree = ckks_get32(in), log_period = ckks_get32(in + 4);
    if (log_degree > c->log_n || log_degree < CKKS_LEAST_LOG_DEGREE || log_period >= log_degree ||
        log_period + 1 < CKKS_LEAST_LOG_DEGREE)
        return ckks_reader_fail(r, FHOLA_FORMAT,
                                "2^%u slots of a ciphertext shrunk to the degree 2^%u",
                                (unsigned)log_period, (unsigned)log_degree);
    *out = (ckks_shrunk){log_degree, (size_t)1 << log_period};
    return FHOLA_OK;
}

static fhola_status read_head(ciphertext_head *h, const ckks_context *c, const ckks_reader *r,
                              const unsigned char *content, size_t length)
{
    *h = (ciphertext_head){ckks_get64(content),
                           ckks_get_double(content + 8),
                           ckks_get32(content + 16),
                           ckks_get32(content + 20),
                           {0, 0}};
    FHOLA_TRY(check_basis(c, r, h->basis));
    if (ckks_scale_fits(c, h->basis, h->scale, "the ciphertext"))
        return ckks_reader_fail(r, FHOLA_FORMAT, "%s", fhola_detail());
    if (h->form > FORM_SHRUNK)
        return ckks_reader_fail(r, FHOLA_FORMAT, "unknown form %u of a ciphertext",
                                (unsigned)h->form);
    if (h->form != FORM_SHRUNK) return FHOLA_OK;
    return read_shrunk(&h->shrunk, c, r, content + CIPHERTEXT_HEAD_BYTES,
                       length - CIPHERTEXT_HEAD_BYTES);
}

fhola_status ckks_ciphertext_read(ckks_ciphertext *out, const ckks_context *c, ckks_reader *r)
{
    const unsigned char *content;
    const ciphertext_head largest = {.basis = c->chain, .form = FORM_WHOLE};
    ciphertext_head head;
    size_t length, at[3];
    if (out->context != c)
        return fhola_fail(FHOLA_PARAM, "the ciphertext belongs to another context");
    lay_out(at, c, &largest);
    FHOLA_TRY(
        ckks_reader_chunk(r, CIPHERTEXT_TAG, CIPHERTEXT_HEAD_BYTES, at[2], &content, &length));
    FHOLA_TRY(read_head(&head, c, r, content, length));
    lay_out(at, c, &head);
    FHOLA_TRY(check_length(r, length, at[2]));
    return fill_ciphertext(out, r, content, at, &head);
}
