/* SPDX-License-Identifier: Apache-2.0 */
/* Keys and ciphertexts in files: what comes back is what was written, to the last residue, and
 * nothing else is accepted. */
#include "tests/container_support.h"

#include "ckks/kernel/kernel.h"
#include "ckks/scheme/ciphertext.h"
#include "ckks/scheme/keys.h"

#define KEY 77u

static ring tiny_ring(void)
{
    ckks_params_spec spec = flat_spec(4, 28, 2, 28);
    ring r;
    ring_open(&r, &spec, NULL);
    return r;
}

static ring toy_ring(const char *name, const char *isa)
{
    ckks_params_spec spec = named_spec(name);
    ring r;
    ring_open(&r, &spec, isa);
    return r;
}

/* Seven primes; shared: in four limbs. */
static ring small_ring(int shared)
{
    ckks_params_spec spec = shared ? shared_spec(8, 24.5, 6, 24.5) : named_spec("toy");
    ring r;
    ring_open(&r, &spec, NULL);
    ck_assert_uint_eq(ckks_limb_count(r.context, r.chain), shared ? 4 : 7);
    return r;
}

/* ---- objects to bytes and back ---- */

typedef enum object { SECRET, PUBLIC, KEYS, CIPHERTEXT } object;
static const ckks_file_kind kinds[] = {CKKS_FILE_SECRET_KEY, CKKS_FILE_PUBLIC_KEY,
                                       CKKS_FILE_EVAL_KEYS, CKKS_FILE_CIPHERTEXT};

static bytes to_bytes(const ring *r, object what, const void *thing)
{
    memory_writer m;
    memory_open(&m);
    ck_assert_ok(ckks_writer_begin(m.writer, kinds[what], r->params, KEY));
    switch (what) {
    case SECRET: ck_assert_ok(ckks_secret_key_write(m.writer, thing)); break;
    case PUBLIC: ck_assert_ok(ckks_public_key_write(m.writer, thing)); break;
    case KEYS: ck_assert_ok(ckks_eval_keys_write(m.writer, thing, NULL, NULL)); break;
    case CIPHERTEXT: ck_assert_ok(ckks_ciphertext_write(m.writer, thing)); break;
    }
    ck_assert_ok(ckks_writer_end(m.writer));
    return memory_close(&m);
}

/* *thing belongs to the caller; NULL after a failure. A ciphertext is made for it. */
static fhola_status from_bytes(const ring *r, object what, bytes b, void **thing)
{
    limited s;
    FILE *stream;
    ckks_reader *reader = bytes_reader(b, &s, &stream);
    ckks_secret_key *secret = NULL;
    ckks_public_key *public = NULL;
    ckks_eval_keys *keys = NULL;
    ckks_ciphertext *ct = NULL;
    fhola_status st = ckks_reader_begin(reader, NULL, kinds[what], r->context, KEY);
    if (!st && what == SECRET) st = ckks_secret_key_read(&secret, r->context, reader);
    if (!st && what == PUBLIC) st = ckks_public_key_read(&public, r->context, reader);
    if (!st && what == KEYS) st = ckks_eval_keys_read(&keys, r->context, reader, NULL, NULL, NULL);
    if (!st && what == CIPHERTEXT) {
        ct = new_ciphertext(r);
        st = ckks_ciphertext_read(ct, r->context, reader);
        if (st) ck_assert_uint_eq(ckks_ciphertext_basis(ct), 0);
    }
    if (!st) st = ckks_reader_finish(reader);
    if (st) {
        ckks_secret_key_destroy(secret);
        ckks_public_key_destroy(public);
        ckks_eval_keys_destroy(keys);
        ckks_ciphertext_destroy(ct);
        *thing = NULL;
    } else {
        *thing = what == SECRET   ? (void *)secret
                 : what == PUBLIC ? (void *)public
                 : what == KEYS   ? (void *)keys
                                  : (void *)ct;
    }
    ckks_reader_destroy(reader);
    fclose(stream);
    return st;
}

static void refused(const ring *r, object what, bytes b, fhola_status status, const char *text)
{
    void *thing;
    ck_assert_fails(from_bytes(r, what, b, &thing), status);
    ck_assert_detail(text);
}

/* Everything any damage or truncation leads to is a FORMAT error. */
static void damage_everywhere(const ring *r, object what, const void *thing)
{
    bytes b = to_bytes(r, what, thing);
    void *back;
    size_t length = b.length;
    for (size_t i = 0; i < length; i++) {
        unsigned char flip = (unsigned char)(1u << random_word() % 8);
        b.data[i] ^= flip;
        ck_assert_fails(from_bytes(r, what, b, &back), FHOLA_FORMAT);
        b.data[i] ^= flip;
    }
    for (b.length = 0; b.length < length; b.length++) {
        /* from a block of exactly this size, so that reading behind it is seen */
        bytes cut = bytes_copy(b);
        ck_assert_fails(from_bytes(r, what, cut, &back), FHOLA_FORMAT);
        free(cut.data);
    }
    free(b.data);
}

/* ---- secret keys ---- */

START_TEST(secret_round_trip)
{
    test_seed(11);
    static const char *const names[] = {"toy", "toy-boot"};
    for (int i = 0; i < 2; i++) {
        ring r = toy_ring(names[i], NULL);
        bytes b = to_bytes(&r, SECRET, r.secret);
        ck_assert_uint_eq(b.length,
                          40 + 32 + CKKS_SPEC_BYTES + 32 + r.n / 4 + CKKS_SEED_BYTES + 32);
        void *thing;
        ck_assert_ok(from_bytes(&r, SECRET, b, &thing));
        ckks_secret_key *back = thing;
        ck_assert_mem_eq(back->coefficient, r.secret->coefficient, r.n);
        for (unsigned t = 0; t < r.context->moduli; t++)
            ck_assert_mem_eq(back->ntt + t * r.context->stride,
                             r.secret->ntt + t * r.context->stride, r.n * sizeof *back->ntt);
        ckks_secret_key_destroy(back);
        free(b.data);
        ring_close(&r);
    }
}
END_TEST

/* A secret with `weight` coefficients 1 at the front. */
static bytes secret_of_weight(const ring *r, size_t weight)
{
    bytes b = to_bytes(r, SECRET, r->secret);
    unsigned char *packed = chunk_content(b, 1);
    memset(packed, 0, r->n / 4);
    for (size_t i = 0; i < weight; i++) packed[i / 4] |= (unsigned char)(1u << 2 * (i % 4));
    fix_chunk(b, 1);
    return b;
}

START_TEST(bad_secrets)
{
    test_seed(12);
    ring r = toy_ring("toy-boot", NULL); /* N = 1024: 682.7 +- 15.1 */
    static const size_t sparse[] = {0, 1, 32, 64, 192, 561, 804, 1024};
    for (size_t i = 0; i < sizeof sparse / sizeof sparse[0]; i++) {
        bytes b = secret_of_weight(&r, sparse[i]);
        refused(&r, SECRET, b, FHOLA_SECURITY,
                "a uniform ternary secret has 683 +- 15: not secure");
        free(b.data);
    }
    void *thing;
    bytes usual = secret_of_weight(&r, 680);
    ck_assert_ok(from_bytes(&r, SECRET, usual, &thing));
    ckks_secret_key_destroy(thing);
    chunk_content(usual, 1)[r.n / 4 - 1] = 0x80; /* the code 2 means nothing */
    fix_chunk(usual, 1);
    refused(&r, SECRET, usual, FHOLA_SECURITY, "1 coefficients are not in {-1, 0, 1}");
    free(usual.data);
    ring_close(&r);
}
END_TEST

START_TEST(key_ids)
{
    test_seed(13);
    ring r = tiny_ring();
    uint64_t a = 0, b = 0;
    ck_assert_ok(ckks_key_id(&a, r.rng));
    ck_assert_ok(ckks_key_id(&b, r.rng));
    ck_assert(a != 0 && b != 0 && a != b);
    ring_close(&r);
}
END_TEST

/* ---- public keys ---- */

static ckks_ciphertext *encrypt_public(const ring *r, const ckks_plaintext *plain,
                                       const ckks_public_key *key)
{
    ckks_ciphertext *ct = new_ciphertext(r);
    ckks_rng *rng;
    ck_assert_ok(ckks_rng_create_seeded(&rng, (const uint8_t *)"0123456789abcdef0123456789abcdef"));
    ck_assert_ok(ckks_encrypt_public(r->context, r->ws, ct, plain, key, rng));
    ckks_rng_destroy(rng);
    return ct;
}

START_TEST(public_round_trip)
{
    test_seed(14);
    ring r = small_ring(_i);
    const ckks_basis basis = r.chain & ~(ckks_basis)4; /* no prefix */
    ckks_public_key *key;
    void *back;
    ck_assert_ok(ckks_public_key_create(&key, r.context, r.secret, basis, r.rng));
    bytes b = to_bytes(&r, PUBLIC, key);
    ck_assert_ok(from_bytes(&r, PUBLIC, b, &back));
    ckks_complex value[4];
    random_complex(value, 4, 1);
    ckks_plaintext *plain = encode(&r, value, 4, 0x1p28, basis);
    ckks_ciphertext *x = encrypt_public(&r, plain, key), *y = encrypt_public(&r, plain, back);
    ck_assert_uint_eq(ciphertext_hash(x), ciphertext_hash(y));
    ckks_put64(chunk_content(b, 1), r.chain | r.special);
    fix_chunk(b, 1);
    refused(&r, PUBLIC, b, FHOLA_FORMAT, "does not fit the parameters");
    ckks_put64(chunk_content(b, 1), basis & (basis - 1));
    fix_chunk(b, 1);
    refused(&r, PUBLIC, b, FHOLA_FORMAT, "the length is");
    ckks_ciphertext_destroy(x);
    ckks_ciphertext_destroy(y);
    ckks_plaintext_destroy(plain);
    ckks_public_key_destroy(key);
    ckks_public_key_destroy(back);
    free(b.data);
    ring_close(&r);
}
END_TEST

/* ---- evaluation keys ---- */

static void same_keys(const ring *r, const ckks_eval_keys *a, const ckks_eval_keys *b)
{
    const ckks_context *c = r->context;
    ck_assert_uint_eq(a->count, b->count);
    for (size_t i = 0; i < a->count; i++) {
        const ckks_switch_key *x = &a->key[i], *y = &b->key[i];
        ck_assert_int_eq((int)x->request.kind, (int)y->request.kind);
        ck_assert_uint_eq(x->request.rotation, y->request.rotation);
        ck_assert_uint_eq(x->request.q, y->request.q);
        ck_assert_uint_eq(x->request.p, y->request.p);
        ck_assert_uint_eq(x->digits, y->digits);
        ck_assert_mem_eq(x->digit, y->digit, x->digits * sizeof x->digit[0]);
        ck_assert_mem_eq(x->seed, y->seed, sizeof x->seed);
        unsigned index[CKKS_MAX_PRIMES],
            limbs = ckks_limb_list(c, x->request.q | x->request.p, index);
        for (unsigned d = 0; d < x->digits; d++)
            for (unsigned k = 0; k < limbs; k++)
                for (int part = 0; part < 2; part++)
                    ck_assert_mem_eq(ckks_switch_key_limb(c, x, d, index[k], part),
                                     ckks_switch_key_limb(c, y, d, index[k], part),
                                     c->n * c->modulus[index[k]].width);
    }
}

static void request_some(ring *r)
{
    ring_request(r, CKKS_KEY_RELINEARIZE, 0, r->chain, r->special);
    ring_request(r, CKKS_KEY_ROTATE, 1, r->chain, r->special);
    ring_request(r, CKKS_KEY_ROTATE, 3, 1, ckks_basis_special_for(r->params, 1));
    ring_request(r, CKKS_KEY_CONJUGATE, 0, r->chain & ~(ckks_basis)2, r->special);
}

static void request_bootstrap(ring *r)
{
    ckks_bootstrap *bootstrap;
    ck_assert_ok(ckks_bootstrap_create(&bootstrap, r->context, r->ws, 8, 0x1p28, 0));
    ck_assert_ok(ckks_bootstrap_keys(bootstrap, r->context, &r->list));
    ckks_bootstrap_destroy(bootstrap);
}

START_TEST(keys_round_trip)
{
    test_seed(15);
    for (int boot = 0; boot < 2; boot++) {
        ring r = toy_ring(boot ? "toy-boot" : "toy", NULL);
        request_some(&r);
        if (boot) request_bootstrap(&r);
        ring_keys(&r);
        bytes b = to_bytes(&r, KEYS, r.keys);
        void *back;
        ck_assert_ok(from_bytes(&r, KEYS, b, &back));
        same_keys(&r, r.keys, back);
        bytes again = to_bytes(&r, KEYS, back);
        ck_assert_uint_eq(again.length, b.length);
        ck_assert_mem_eq(again.data, b.data, b.length);
        printf("%zu keys: %zu bytes, in memory %zu\n", r.list.count, b.length,
               ckks_eval_keys_bytes(r.keys));
        ck_assert_uint_lt(b.length, ckks_eval_keys_bytes(r.keys) / 2);
        ckks_eval_keys_destroy(back);
        free(b.data);
        free(again.data);
        ring_close(&r);
    }
}
END_TEST

/* A key set of no keys is a key set. */
START_TEST(no_keys)
{
    test_seed(16);
    ring r = tiny_ring();
    ring_keys(&r);
    bytes b = to_bytes(&r, KEYS, r.keys);
    void *back;
    ck_assert_ok(from_bytes(&r, KEYS, b, &back));
    same_keys(&r, r.keys, back);
    ckks_eval_keys_destroy(back);
    free(b.data);
    ring_close(&r);
}
END_TEST

typedef struct tally {
    size_t calls, done, total, stop_at;
} tally;

static int count_calls(void *arg, size_t done, size_t total)
{
    tally *t = arg;
    ck_assert_uint_ge(done, t->done);
    ck_assert_uint_le(done, total);
    t->done = done;
    t->total = total;
    return ++t->calls == t->stop_at;
}

/* Keys written as they are made work as those made together: a rotation, a product, a bootstrap. */
START_TEST(generated_keys)
{
    test_seed(17);
    ring r = toy_ring("toy-boot", NULL);
    request_some(&r);
    request_bootstrap(&r);
    memory_writer m;
    memory_open(&m);
    tally t = {0};
    ck_assert_ok(ckks_writer_begin(m.writer, CKKS_FILE_EVAL_KEYS, r.params, KEY));
    ck_assert_ok(
        ckks_eval_keys_generate(m.writer, r.context, r.secret, &r.list, r.rng, count_calls, &t));
    ck_assert_ok(ckks_writer_end(m.writer));
    ck_assert_uint_eq(t.done, r.list.count);
    ck_assert_uint_eq(t.total, r.list.count);
    ck_assert_uint_ge(t.calls, r.list.count);
    bytes b = memory_close(&m);
    void *thing;
    ck_assert_ok(from_bytes(&r, KEYS, b, &thing));
    r.keys = thing;
    for (size_t i = 0; i < r.list.count; i++) {
        const ckks_switch_key *key;
        const ckks_key_request *q = &r.list.request[i];
        ck_assert_ok(ckks_eval_keys_find(&key, r.keys, q->kind, q->rotation, q->q, q->p));
    }

    ckks_complex *x = malloc(r.slots * sizeof *x), *y = malloc(r.slots * sizeof *y);
    ck_assert(x && y);
    random_complex(x, r.slots, 1);
    ckks_ciphertext *a = encrypt(&r, x, r.slots, 0x1p28, r.chain), *p = new_ciphertext(&r);
    ck_assert_ok(ckks_rotate(r.context, r.ws, r.keys, p, a, 1));
    decrypt(&r, y, p);
    for (size_t i = 0; i < r.slots; i++)
        ck_assert_double_lt(c_abs2(c_sub(y[i], x[(i + 1) % r.slots])), 0x1p-20);
    ck_assert_ok(ckks_mul(r.context, r.ws, r.keys, p, a, a, 1));
    decrypt(&r, y, p);
    for (size_t i = 0; i < r.slots; i++)
        ck_assert_double_lt(c_abs2(c_sub(y[i], c_mul(x[i], x[i]))), 0x1p-20);

    ckks_bootstrap *bootstrap;
    ck_assert_ok(ckks_bootstrap_create(&bootstrap, r.context, r.ws, 8, 0x1p28, 1));
    for (size_t i = 0; i < r.slots; i++)
        x[i] = i % 256 < 128 ? (ckks_complex){0.5, 0} : (ckks_complex){0, 0.5};
    ckks_ciphertext *in =
        encrypt(&r, x, 256, 0x1p28, ckks_basis_base(r.params) | ckks_basis_stc(r.params));
    ck_assert_ok(ckks_bootstrap_apply(r.context, r.ws, r.keys, bootstrap, p, in, 1));
    decrypt(&r, y, p);
    for (size_t i = 0; i < r.slots; i++)
        ck_assert_double_eq_tol(y[i].re, bootstrap_sine(0.5, named_spec("toy-boot").eps), 0x1p-8);
    ckks_bootstrap_destroy(bootstrap);
    ckks_ciphertext_destroy(in);
    ckks_ciphertext_destroy(a);
    ckks_ciphertext_destroy(p);
    free(x);
    free(y);
    free(b.data);
    ring_close(&r);
}
END_TEST

START_TEST(interrupted)
{
    test_seed(18);
    ring r = tiny_ring();
    request_some(&r);
    ring_keys(&r);
    bytes b = to_bytes(&r, KEYS, r.keys);
    for (size_t stop = 1; stop <= r.list.count; stop++) {
        tally t[3] = {{.stop_at = stop}, {.stop_at = stop}, {.stop_at = stop}};
        memory_writer m;
        for (int generate = 0; generate < 2; generate++) {
            memory_open(&m);
            ck_assert_ok(ckks_writer_begin(m.writer, CKKS_FILE_EVAL_KEYS, r.params, KEY));
            if (generate)
                ck_assert_fails(ckks_eval_keys_generate(m.writer, r.context, r.secret, &r.list,
                                                        r.rng, count_calls, &t[0]),
                                FHOLA_CANCELLED);
            else
                ck_assert_fails(ckks_eval_keys_write(m.writer, r.keys, count_calls, &t[1]),
                                FHOLA_CANCELLED);
            ck_assert_detail("interrupted");
            ckks_writer_destroy(m.writer);
            fclose(m.stream);
            free(m.data);
        }
        limited s;
        FILE *stream;
        ckks_eval_keys *keys = NULL;
        ckks_reader *reader = bytes_reader(b, &s, &stream);
        ck_assert_ok(ckks_reader_begin(reader, NULL, CKKS_FILE_EVAL_KEYS, r.context, KEY));
        ck_assert_fails(ckks_eval_keys_read(&keys, r.context, reader, NULL, count_calls, &t[2]),
                        FHOLA_CANCELLED);
        ck_assert_ptr_null(keys);
        ckks_reader_destroy(reader);
        fclose(stream);
    }
    free(b.data);
    ring_close(&r);
}
END_TEST

/* Of the keys in a file those that are needed, which work; without all of them, none. */
START_TEST(only_what_is_needed)
{
    test_seed(19);
    ring r = tiny_ring();
    request_some(&r);
    ring_keys(&r);
    bytes b = to_bytes(&r, KEYS, r.keys);
    for (size_t i = 0; i <= r.list.count; i++) {
        ckks_key_request request[2] = {r.list.request[i % r.list.count]};
        ckks_key_list needed = {request, 1, 2};
        bool missing = i == r.list.count;
        if (missing) {
            request[1] = request[0];
            request[1].rotation += 1000;
            needed.count = 2;
        }
        limited s;
        FILE *stream;
        ckks_eval_keys *keys = NULL;
        ckks_reader *reader = bytes_reader(b, &s, &stream);
        ck_assert_ok(ckks_reader_begin(reader, NULL, CKKS_FILE_EVAL_KEYS, r.context, KEY));
        fhola_status st = ckks_eval_keys_read(&keys, r.context, reader, &needed, NULL, NULL);
        if (missing) {
            ck_assert_int_eq(st, FHOLA_KEY);
            ck_assert_detail("1 of the 2 keys that are needed are missing; the first is the ");
            ck_assert_ptr_null(keys);
        } else {
            ck_assert_ok(st);
            ck_assert_ok(ckks_reader_finish(reader));
            ck_assert_uint_eq(keys->count, 1);
            ck_assert_mem_eq(&keys->key[0].request, &request[0], sizeof request[0]);
            ck_assert_uint_eq(keys->key[0].bytes, r.keys->key[i].bytes);
            ck_assert_mem_eq(ckks_switch_key_limb(r.context, &keys->key[0], 0, 0, 0),
                             ckks_switch_key_limb(r.context, &r.keys->key[i], 0, 0, 0),
                             r.context->n * r.context->modulus[0].width);
        }
        ckks_eval_keys_destroy(keys);
        ckks_reader_destroy(reader);
        fclose(stream);
    }
    free(b.data);
    ring_close(&r);
}
END_TEST

/* Reads those of the ring's keys that are in `needed` into memory of exactly the bytes said. */
static void *read_shared(const ring *r, const ckks_key_list *needed, ckks_eval_keys **keys)
{
    bytes b = to_bytes(r, KEYS, r->keys);
    limited s;
    FILE *stream;
    void *memory = ckks_alloc(ckks_eval_keys_shared_bytes(r->context, needed));
    ckks_reader *reader = bytes_reader(b, &s, &stream);
    ck_assert_ptr_nonnull(memory);
    ck_assert_ok(ckks_reader_begin(reader, NULL, CKKS_FILE_EVAL_KEYS, r->context, KEY));
    ck_assert_ok(ckks_eval_keys_read_shared(keys, r->context, memory, reader, needed, NULL, NULL));
    ck_assert_ok(ckks_reader_finish(reader));
    ckks_reader_destroy(reader);
    fclose(stream);
    free(b.data);
    return memory;
}

/* Keys that one has read are those another finds in the same bytes at another address, in whatever
 * order it asks for them; data of more than a slab of an arena, too. */
START_TEST(shared)
{
    test_seed(28);
    ring r = toy_ring("toy-boot", NULL);
    request_some(&r);
    request_bootstrap(&r);
    ring_keys(&r);
    ckks_eval_keys *keys = NULL, *others = NULL;
    void *memory = read_shared(&r, &r.list, &keys);
    same_keys(&r, r.keys, keys);
    uint64_t size = ckks_eval_keys_shared_bytes(r.context, &r.list);
    void *mapped = ckks_alloc(size);
    ck_assert_ptr_nonnull(mapped);
    memcpy(mapped, memory, size);
    ckks_eval_keys_destroy(keys);
    memset(memory, 0, size);
    ckks_key_request swapped = r.list.request[0];
    r.list.request[0] = r.list.request[r.list.count - 1];
    r.list.request[r.list.count - 1] = swapped;
    ck_assert_ok(ckks_eval_keys_attach(&others, r.context, mapped, &r.list));
    for (size_t i = 0; i < others->count; i++)
        memcpy(others->key[i].seed, r.keys->key[i].seed, sizeof others->key[i].seed);
    same_keys(&r, r.keys, others); /* but for the seeds, which nobody needs any more */
    ckks_eval_keys_destroy(others);
    ckks_free(memory);
    ckks_free(mapped);
    ring_close(&r);
}
END_TEST

/* Memory with other keys than those asked for. */
START_TEST(shared_refused)
{
    test_seed(29);
    ring r = tiny_ring();
    request_some(&r);
    ring_keys(&r);
    const ckks_key_list first = {r.list.request, 2, 2}, last = {r.list.request + 1, 2, 2};
    ckks_eval_keys *keys = NULL, *others = NULL;
    void *memory = read_shared(&r, &first, &keys);
    ck_assert_uint_eq(keys->count, 2);
    ck_assert_fails(ckks_eval_keys_attach(&others, r.context, memory, &last), FHOLA_KEY);
    ck_assert_detail("key 0 of the shared memory was not asked for");
    ck_assert_fails(ckks_eval_keys_attach(&others, r.context, memory, &r.list), FHOLA_KEY);
    ck_assert_detail("the shared memory holds 2 keys, 4 are needed");
    ck_assert_ptr_null(others);
    ckks_eval_keys_destroy(keys);
    ckks_free(memory);
    ring_close(&r);
}
END_TEST

/* A file that has a key more often than once fills no more memory than others. */
START_TEST(repeated)
{
    test_seed(27);
    ring r = tiny_ring();
    request_some(&r);
    size_t once = r.list.count;
    ck_assert_uint_le(2 * once, r.list.capacity);
    memcpy(r.list.request + once, r.list.request, once * sizeof *r.list.request);
    r.list.count *= 2;
    ring_keys(&r);
    bytes b = to_bytes(&r, KEYS, r.keys);
    const ckks_key_list needed = {r.list.request, once, once};
    limited s;
    FILE *stream;
    ckks_eval_keys *keys = NULL;
    ckks_reader *reader = bytes_reader(b, &s, &stream);
    ck_assert_ok(ckks_reader_begin(reader, NULL, CKKS_FILE_EVAL_KEYS, r.context, KEY));
    ck_assert_ok(ckks_eval_keys_read(&keys, r.context, reader, &needed, NULL, NULL));
    ck_assert_ok(ckks_reader_finish(reader));
    ck_assert_uint_eq(keys->count, once);
    for (size_t i = 0; i < once; i++)
        ck_assert_mem_eq(&keys->key[i].request, &needed.request[i], sizeof *needed.request);
    ckks_eval_keys_destroy(keys);
    ckks_reader_destroy(reader);
    fclose(stream);
    free(b.data);
    ring_close(&r);
}
END_TEST

/* Entry `i` of the list of keys, changed. */
static bytes with_request(const ring *r, size_t i, uint32_t kind, uint32_t rotation, uint64_t q,
                          uint64_t p)
{
    bytes b = to_bytes(r, KEYS, r->keys);
    unsigned char *entry = chunk_content(b, 1) + 24 * i;
    ckks_put32(entry, kind);
    ckks_put32(entry + 4, rotation);
    ckks_put64(entry + 8, q);
    ckks_put64(entry + 16, p);
    fix_chunk(b, 1);
    return b;
}

START_TEST(bad_key_lists)
{
    test_seed(19);
    ring r = toy_ring("toy-boot", NULL);
    request_some(&r);
    ring_keys(&r);
    const struct {
        uint32_t kind, rotation;
        uint64_t q, p;
        fhola_status status;
        const char *text;
    } bad[] = {
        {0, 0, r.chain, r.special, FHOLA_FORMAT, "unknown key kind 0"},
        {7, 0, r.chain, r.special, FHOLA_FORMAT, "unknown key kind 7"},
        {CKKS_KEY_SHRINK, 0, 1, r.special, FHOLA_FORMAT, "the degree 2^0"},
        {CKKS_KEY_SHRINK, 20, 1, r.special, FHOLA_FORMAT, "the degree 2^20"},
        {0xffffffffu, 0, r.chain, r.special, FHOLA_FORMAT, "unknown key kind"},
        {CKKS_KEY_ROTATE, 0, r.chain, r.special, FHOLA_FORMAT, "rotation 0"},
        {CKKS_KEY_ROTATE, 512, r.chain, r.special, FHOLA_FORMAT, "rotation 512"},
        {CKKS_KEY_CONJUGATE, 1, r.chain, r.special, FHOLA_FORMAT, "rotation 1"},
        {CKKS_KEY_ROTATE, 1, 0, r.special, FHOLA_FORMAT, "does not fit the parameters"},
        {CKKS_KEY_ROTATE, 1, r.special, r.special, FHOLA_FORMAT, "does not fit the parameters"},
        {CKKS_KEY_ROTATE, 1, UINT64_MAX, r.special, FHOLA_FORMAT, "does not fit the parameters"},
        {CKKS_KEY_ROTATE, 1, r.chain, 0, FHOLA_FORMAT, "does not fit the parameters"},
        {CKKS_KEY_ROTATE, 1, r.chain, ckks_basis_top(r.special), FHOLA_FORMAT,
         "key 1: special primes of 48.0 bits"},
        {CKKS_KEY_ROTATE, 1, 1, r.special, FHOLA_FORMAT, "the length is"},
        {CKKS_KEY_DENSE_TO_SPARSE, 0, 1, r.special, FHOLA_SECURITY, "q0 p0 only"},
        {CKKS_KEY_DENSE_TO_SPARSE, 0, 3, r.special & (~r.special + 1), FHOLA_SECURITY,
         "q0 p0 only"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        bytes b = with_request(&r, 1, bad[i].kind, bad[i].rotation, bad[i].q, bad[i].p);
        refused(&r, KEYS, b, bad[i].status, bad[i].text);
        free(b.data);
    }
    /* more keys than there are */
    bytes b = to_bytes(&r, KEYS, r.keys), c = {malloc(b.length + 24), b.length + 24};
    ck_assert_ptr_nonnull(c.data);
    size_t end = chunk_at(b, 0, 2), list = chunk_at(b, 0, 1);
    memcpy(c.data, b.data, end);
    memcpy(c.data + end, b.data + end - 24, 24);
    memcpy(c.data + end + 24, b.data + end, b.length - end);
    ckks_put64(c.data + list + 8, 5 * 24);
    fix_chunk(c, 1);
    refused(&r, KEYS, c, FHOLA_FORMAT, "chunk 6 'END ' at byte ");
    ckks_put64(c.data + list + 8, 4 * 24 + 1);
    ckks_put64(c.data + list + 16, XXH3_64bits(c.data + list + 32, 4 * 24 + 1));
    ckks_put64(c.data + list + 24, XXH3_64bits(c.data + list, 24));
    refused(&r, KEYS, c, FHOLA_FORMAT, "no whole number of entries");
    free(b.data);
    free(c.data);
    ring_close(&r);
}
END_TEST

START_TEST(bad_key_residues)
{
    test_seed(20);
    ring r = tiny_ring();
    request_some(&r);
    ring_keys(&r);
    bytes b = to_bytes(&r, KEYS, r.keys);
    unsigned char *key = chunk_content(b, 2);
    ck_assert_uint_eq(r.keys->key[0].digits, 1);
    /* four residues of the base prime, all bits set */
    memset(key + CKKS_SEED_BYTES + 8, 0xff, 16);
    fix_chunk(b, 2);
    refused(&r, KEYS, b, FHOLA_FORMAT, "residues are not below their prime");
    key[CKKS_SEED_BYTES] ^= 2;
    fix_chunk(b, 2);
    refused(&r, KEYS, b, FHOLA_FORMAT,
            "digit 0 has the primes base, residual 2, must have base, residual 1-2");
    free(b.data);
    ring_close(&r);
}
END_TEST

/* ---- ciphertexts ---- */

static ckks_ciphertext *some_ciphertext(ring *r, ckks_basis basis)
{
    ckks_complex *x = malloc(r->slots * sizeof *x);
    ck_assert_ptr_nonnull(x);
    random_complex(x, r->slots, 1);
    ckks_ciphertext *ct = encrypt(r, x, r->slots, 0x1.8p27, basis);
    free(x);
    return ct;
}

static size_t ciphertext_room(const ring *r, ckks_basis basis, int fresh)
{
    size_t bits = 0;
    unsigned index[CKKS_MAX_PRIMES], limbs = ckks_limb_list(r->context, basis, index);
    for (unsigned i = 0; i < limbs; i++) bits += r->context->modulus[index[i]].bits;
    return 40 + 32 + CKKS_SPEC_BYTES + 32 + 24 +
           (fresh ? bits * r->n / 8 + 32 : 2 * bits * r->n / 8) + 32;
}

START_TEST(ciphertext_round_trip)
{
    test_seed(21);
    enum { BASES = 5 };
    ring r = small_ring(_i);
    const ckks_basis bases[2][BASES] = {{r.chain, 1, 2, r.chain & ~(ckks_basis)2, 0x51},
                                        {r.chain, 3, 6, r.chain & ~(ckks_basis)2, 0x51}};
    for (size_t i = 0; i < BASES; i++)
        for (int fresh = 0; fresh < 2; fresh++) {
            ckks_ciphertext *ct = some_ciphertext(&r, bases[_i][i]);
            if (!fresh) ck_assert_ok(ckks_add(r.context, ct, ct, ct));
            bytes b = to_bytes(&r, CIPHERTEXT, ct);
            ck_assert_uint_eq(b.length, ciphertext_room(&r, bases[_i][i], fresh));
            void *thing;
            ck_assert_ok(from_bytes(&r, CIPHERTEXT, b, &thing));
            ckks_ciphertext *back = thing;
            ck_assert_uint_eq(ckks_ciphertext_basis(back), bases[_i][i]);
            ck_assert_double_eq(ckks_ciphertext_scale(back), 0x1.8p27);
            ck_assert_uint_eq(ciphertext_hash(back), ciphertext_hash(ct));
            bytes again = to_bytes(&r, CIPHERTEXT, back);
            ck_assert_uint_eq(again.length, b.length);
            ck_assert_mem_eq(again.data, b.data, b.length);
            ckks_ciphertext_destroy(ct);
            ckks_ciphertext_destroy(back);
            free(b.data);
            free(again.data);
        }
    ring_close(&r);
}
END_TEST

/* One object takes ciphertexts of any size in turn. */
START_TEST(ciphertext_reused)
{
    test_seed(22);
    ring r = toy_ring("toy", NULL);
    memory_writer m;
    uint64_t hash[6];
    memory_open(&m);
    for (unsigned i = 0; i < 6; i++) {
        ckks_ciphertext *ct = some_ciphertext(&r, ((ckks_basis)1 << (1 + i % 4)) - 1);
        hash[i] = ciphertext_hash(ct);
        ck_assert_ok(ckks_writer_begin(m.writer, CKKS_FILE_CIPHERTEXT, r.params, KEY));
        ck_assert_ok(ckks_ciphertext_write(m.writer, ct));
        ck_assert_ok(ckks_writer_end(m.writer));
        ckks_ciphertext_destroy(ct);
    }
    bytes b = memory_close(&m);
    limited s;
    FILE *stream;
    int more;
    ckks_reader *reader = bytes_reader(b, &s, &stream);
    ckks_ciphertext *ct = new_ciphertext(&r);
    for (unsigned i = 0; i < 6; i++) {
        ck_assert_ok(ckks_reader_begin(reader, &more, CKKS_FILE_CIPHERTEXT, r.context, KEY));
        ck_assert_int_eq(more, 1);
        ck_assert_ok(ckks_ciphertext_read(ct, r.context, reader));
        ck_assert_ok(ckks_reader_end(reader));
        ck_assert_uint_eq(ciphertext_hash(ct), hash[i]);
    }
    ck_assert_ok(ckks_reader_begin(reader, &more, CKKS_FILE_CIPHERTEXT, r.context, KEY));
    ck_assert_int_eq(more, 0);
    ckks_ciphertext_destroy(ct);
    ckks_reader_destroy(reader);
    fclose(stream);
    free(b.data);
    ring_close(&r);
}
END_TEST

START_TEST(bad_ciphertexts)
{
    test_seed(23);
    ring r = toy_ring("toy", NULL);
    ckks_ciphertext *ct = some_ciphertext(&r, 7);
    bytes good = to_bytes(&r, CIPHERTEXT, ct), b = bytes_copy(good);
    unsigned char *content = chunk_content(b, 1);
    const uint64_t bases[] = {0, r.chain + 1, r.special, UINT64_MAX};
    for (int i = 0; i < 4; i++) {
        ckks_put64(content, bases[i]);
        fix_chunk(b, 1);
        refused(&r, CIPHERTEXT, b, FHOLA_FORMAT, "does not fit the parameters");
    }
    ckks_put64(content, 3);
    fix_chunk(b, 1);
    refused(&r, CIPHERTEXT, b, FHOLA_FORMAT, "the length is");
    memcpy(b.data, good.data, b.length);
    const double scales[] = {0, -1, (double)INFINITY, (double)NAN, 0x1p-1070};
    for (int i = 0; i < 5; i++) {
        ckks_put_double(content + 8, scales[i]);
        fix_chunk(b, 1);
        refused(&r, CIPHERTEXT, b, FHOLA_FORMAT, "is no positive number");
    }
    ckks_put_double(content + 8, 0.501 * (double)r.n * basis_product(&r, 7));
    fix_chunk(b, 1);
    refused(&r, CIPHERTEXT, b, FHOLA_FORMAT, "nothing fits the modulus");
    memcpy(b.data, good.data, b.length);
    ckks_put64(content + 16, 3);
    fix_chunk(b, 1);
    refused(&r, CIPHERTEXT, b, FHOLA_FORMAT, "unknown form 3");
    ckks_put64(content + 16, 0);
    fix_chunk(b, 1);
    refused(&r, CIPHERTEXT, b, FHOLA_FORMAT, "the length is");
    memcpy(b.data, good.data, b.length);
    memset(content + 24, 0xff, 32);
    fix_chunk(b, 1);
    refused(&r, CIPHERTEXT, b, FHOLA_FORMAT, "residues are not below their prime");
    free(b.data);
    free(good.data);

    ckks_ciphertext *empty = new_ciphertext(&r);
    memory_writer m;
    memory_open(&m);
    ck_assert_ok(ckks_writer_begin(m.writer, CKKS_FILE_CIPHERTEXT, r.params, KEY));
    ck_assert_fails(ckks_ciphertext_write(m.writer, empty), FHOLA_LEVEL);
    ckks_writer_destroy(m.writer);
    fclose(m.stream);
    free(m.data);
    ckks_ciphertext_destroy(empty);
    ckks_ciphertext_destroy(ct);
    ring_close(&r);
}
END_TEST

/* ---- all of them ---- */

START_TEST(damage)
{
    test_seed(24);
    ring r = tiny_ring();
    request_some(&r);
    ring_keys(&r);
    ckks_public_key *public;
    ckks_ciphertext *fresh = some_ciphertext(&r, 3), *sum = some_ciphertext(&r, 3);
    ck_assert_ok(ckks_add(r.context, sum, sum, sum));
    ck_assert_ok(ckks_public_key_create(&public, r.context, r.secret, r.chain, r.rng));
    damage_everywhere(&r, SECRET, r.secret);
    damage_everywhere(&r, PUBLIC, public);
    damage_everywhere(&r, KEYS, r.keys);
    damage_everywhere(&r, CIPHERTEXT, fresh);
    damage_everywhere(&r, CIPHERTEXT, sum);
    ckks_ciphertext_destroy(fresh);
    ckks_ciphertext_destroy(sum);
    ckks_public_key_destroy(public);
    ring_close(&r);
}
END_TEST

/* One seed, one file, whatever the instruction set. */
START_TEST(same_on_every_kernel)
{
    const ckks_kernel *table[CKKS_MAX_KERNELS];
    size_t tables = ckks_kernel_list(table);
    uint64_t hash[CKKS_MAX_KERNELS] = {0};
    for (size_t i = 0; i < tables; i++) {
        test_seed(25);
        ring r = toy_ring("toy-boot", table[i]->name);
        request_some(&r);
        request_bootstrap(&r);
        ring_keys(&r);
        ckks_ciphertext *ct = some_ciphertext(&r, r.chain);
        bytes part[] = {to_bytes(&r, SECRET, r.secret), to_bytes(&r, KEYS, r.keys),
                        to_bytes(&r, CIPHERTEXT, ct)};
        for (int k = 0; k < 3; k++) {
            hash[i] = hash[i] * 31 + XXH3_64bits(part[k].data, part[k].length);
            free(part[k].data);
        }
        ckks_ciphertext_destroy(ct);
        ring_close(&r);
        ck_assert_uint_eq(hash[i], hash[0]);
    }
}
END_TEST

START_TEST(sizes_at_full_size)
{
    test_seed(26);
    ring r = toy_ring("R15", NULL);
    ckks_basis in =
        ckks_basis_base(r.params) | ckks_basis_stc(r.params) | ckks_basis_residual(r.params, 1);
    ckks_basis low = ckks_basis_base(r.params) | ckks_basis_residual(r.params, 1);
    ckks_ciphertext *fresh = some_ciphertext(&r, in), *result = some_ciphertext(&r, low);
    ck_assert_ok(ckks_add(r.context, result, result, result));
    bytes a = to_bytes(&r, CIPHERTEXT, fresh), b = to_bytes(&r, CIPHERTEXT, result),
          s = to_bytes(&r, SECRET, r.secret);
    printf("encrypted picture %zu bytes, result %zu, secret key %zu\n", a.length, b.length,
           s.length);
    ck_assert_uint_eq(a.length, ciphertext_room(&r, in, 1));
    ck_assert_uint_eq(b.length, ciphertext_room(&r, low, 0));
    ck_assert_uint_lt(a.length, 400000);
    ck_assert_uint_lt(b.length, 400000);
    ck_assert_uint_lt(s.length, 10000);
    free(a.data);
    free(b.data);
    free(s.data);
    ckks_ciphertext_destroy(fresh);
    ckks_ciphertext_destroy(result);
    ring_close(&r);
}
END_TEST

static void cases(TCase *t)
{
    tcase_add_test(t, secret_round_trip);
    tcase_add_test(t, bad_secrets);
    tcase_add_test(t, key_ids);
    tcase_add_loop_test(t, public_round_trip, 0, 2);
    tcase_add_test(t, keys_round_trip);
    tcase_add_test(t, no_keys);
    tcase_add_test(t, generated_keys);
    tcase_add_test(t, interrupted);
    tcase_add_test(t, only_what_is_needed);
    tcase_add_test(t, shared);
    tcase_add_test(t, shared_refused);
    tcase_add_test(t, repeated);
    tcase_add_test(t, bad_key_lists);
    tcase_add_test(t, bad_key_residues);
    tcase_add_loop_test(t, ciphertext_round_trip, 0, 2);
    tcase_add_test(t, ciphertext_reused);
    tcase_add_test(t, bad_ciphertexts);
    tcase_add_test(t, damage);
    tcase_add_test(t, same_on_every_kernel);
    tcase_add_test(t, sizes_at_full_size);
}

int main(void)
{
    return test_run("ckks file", cases, 180);
}
