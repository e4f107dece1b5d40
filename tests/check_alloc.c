/* SPDX-License-Identifier: Apache-2.0 */
/* Every allocation fails in turn, alone and with all that follow: each call returns NOMEM with a
 * message, leaks nothing, leaves nothing half written, and works when tried again. Linked with
 * --wrap, so that only the project's own allocations are counted and fail. */
#include "tests/failing_alloc.h"

/* ---- what is tried ---- */

/* Prepared without failures; every step below is self-contained: what it creates it destroys. */
typedef struct world {
    ring r;
    ckks_public_key *pk;
    ckks_plaintext *plain;
    ckks_ciphertext *x, *low, *boot_in, *unpacked;
    ckks_bootstrap *bootstrap;
    ckks_complex z[512];
    double coeff[8 * 16];
} world;

static world w;

static fhola_status step_params(void)
{
    ckks_params *p = NULL;
    fhola_status st = ckks_params_named(&p, "toy-boot");
    ckks_params_destroy(p);
    return st;
}

static fhola_status step_context(void)
{
    ckks_context *c = NULL;
    fhola_status st = ckks_context_create(&c, w.r.params, NULL);
    ckks_context_destroy(c);
    return st;
}

static fhola_status step_encode(void)
{
    ckks_workspace *ws = NULL;
    ckks_plaintext *p = NULL;
    fhola_status st = ckks_workspace_create(&ws, w.r.context);
    if (!st) st = ckks_plaintext_create(&p, w.r.context);
    if (!st) st = ckks_encode(w.r.context, ws, p, w.z, 512, 0x1p28, w.r.chain);
    ckks_plaintext_destroy(p);
    ckks_workspace_destroy(ws);
    return st;
}

static fhola_status step_secret(void)
{
    ckks_rng *rng = NULL;
    ckks_secret_key *s = NULL;
    ckks_public_key *pk = NULL;
    fhola_status st = ckks_rng_create(&rng);
    if (!st) st = ckks_secret_key_create(&s, w.r.context, rng);
    if (!st) st = ckks_public_key_create(&pk, w.r.context, s, 0x7, rng);
    ckks_public_key_destroy(pk);
    ckks_secret_key_destroy(s);
    ckks_rng_destroy(rng);
    return st;
}

static fhola_status step_keys(void)
{
    ckks_key_list list = {NULL, 0, 0};
    ckks_eval_keys *keys = NULL;
    const ckks_context *c = w.r.context;
    const ckks_basis p0 = (ckks_basis)1 << ckks_params_chain(w.r.params);
    const ckks_key_request request[] = {{CKKS_KEY_RELINEARIZE, 0, 0xff, w.r.special},
                                        {CKKS_KEY_ROTATE, 1, 0x7, w.r.special},
                                        {CKKS_KEY_ROTATE, 1, 0x3, w.r.special},
                                        {CKKS_KEY_CONJUGATE, 0, 0x7, w.r.special},
                                        {CKKS_KEY_DENSE_TO_SPARSE, 0, 1, p0},
                                        {CKKS_KEY_SPARSE_TO_DENSE, 0, w.r.chain, w.r.special}};
    fhola_status st = FHOLA_OK;
    for (size_t i = 0; i < sizeof request / sizeof request[0] && !st; i++)
        st = ckks_key_list_add(&list, c, request[i]);
    if (!st) st = ckks_eval_keys_create(&keys, c, w.r.secret, &list, w.r.rng, NULL, NULL);
    ckks_eval_keys_destroy(keys);
    ckks_key_list_clear(&list);
    return st;
}

/* An output that held something must be empty or unchanged when a call fails. */
static ckks_ciphertext *filled;
static uint64_t filled_hash;
static int half_written; /* in any of the attempts */

static fhola_status begin(ckks_workspace **ws, ckks_ciphertext **out)
{
    *ws = NULL;
    *out = NULL;
    fhola_status st = ckks_workspace_create(ws, w.r.context);
    if (!st) st = ckks_ciphertext_create(out, w.r.context);
    if (!st) st = ckks_ciphertext_copy(*out, w.low);
    filled = st ? NULL : *out;
    if (!st) filled_hash = ciphertext_hash(*out);
    return st;
}

static fhola_status end(fhola_status st, ckks_workspace *ws, ckks_ciphertext *out)
{
    if (st && filled && filled->poly->basis)
        half_written |= ciphertext_hash(filled) != filled_hash || filled->seeded != w.low->seeded ||
                        memcmp(filled->seed, w.low->seed, sizeof w.low->seed) != 0;
    ckks_ciphertext_destroy(out);
    ckks_workspace_destroy(ws);
    return st;
}

#define STEP(name, call)                                                                           \
    static fhola_status step_##name(void)                                                          \
    {                                                                                              \
        const ckks_context *c = w.r.context;                                                       \
        ckks_workspace *ws;                                                                        \
        ckks_ciphertext *out;                                                                      \
        fhola_status st = begin(&ws, &out);                                                        \
        (void)c;                                                                                   \
        if (!st) st = call;                                                                        \
        return end(st, ws, out);                                                                   \
    }

static fhola_status decrypt_all(const ckks_context *c, ckks_workspace *ws)
{
    ckks_complex z[512];
    return ckks_decrypt(c, ws, z, 512, w.x, w.r.secret);
}

static fhola_status hoist(const ckks_context *c, ckks_workspace *ws, ckks_ciphertext *out)
{
    ckks_ciphertext *second = NULL;
    const int32_t by[2] = {1, 2};
    fhola_status st = ckks_ciphertext_create(&second, c);
    ckks_ciphertext *both[2] = {out, second};
    if (!st) st = ckks_rotate_hoisted(c, ws, w.r.keys, both, w.x, by, 2);
    half_written |= st && second && ckks_ciphertext_basis(second);
    ckks_ciphertext_destroy(second);
    return st;
}

STEP(encrypt, ckks_encrypt(c, ws, out, w.plain, w.r.secret, w.r.rng))
STEP(encrypt_public, ckks_encrypt_public(c, ws, out, w.plain, w.pk, w.r.rng))
STEP(decrypt, decrypt_all(c, ws))
STEP(add, ckks_add(c, out, w.x, w.x))
STEP(add_plain, ckks_add_plain(c, out, w.x, w.plain))
STEP(add_scalar, ckks_add_scalar(c, out, w.x, 0.5))
STEP(mul_plain, ckks_mul_plain(c, out, w.x, w.plain))
STEP(mul_integer, ckks_mul_integer(c, out, w.x, 3))
STEP(mul_scalar, ckks_mul_scalar(c, ws, out, w.x, 0.5, 0x1p28, 0x7f))
STEP(mul, ckks_mul(c, ws, w.r.keys, out, w.x, w.x, 1))
STEP(rescale, ckks_rescale(c, ws, out, w.x, 0x3f))
STEP(drop, ckks_drop(c, out, w.x, 0x3f))
STEP(rotate, ckks_rotate(c, ws, w.r.keys, out, w.x, 1))
STEP(conjugate, ckks_conjugate(c, ws, w.r.keys, out, w.x))
STEP(hoisted, hoist(c, ws, out))

static int diagonal(void *arg, unsigned block, int32_t offset, ckks_complex *values)
{
    (void)block;
    (void)arg;
    for (size_t s = 0; s < 64; s++) values[s] = (ckks_complex){(double)offset, 1};
    return 0;
}

static fhola_status transform(const ckks_context *c, ckks_workspace *ws, ckks_ciphertext *out,
                              int double_hoist)
{
    static const int32_t offset[] = {0, 1, 2, 3, 4, 5};
    ckks_lintrans_spec spec = {.basis = w.x->poly->basis,
                               .special = w.r.special,
                               .count = 6,
                               .offset = offset,
                               .diagonal = diagonal,
                               .period = 64};
    spec.plain_scale = 0x1p28;
    spec.baby_step = 2;
    spec.double_hoist = double_hoist;
    ckks_lintrans *lt = NULL;
    ckks_key_list list = {NULL, 0, 0};
    fhola_status st = ckks_lintrans_create(&lt, c, ws, &spec);
    const ckks_lintrans *transform_of = lt;
    if (!st) st = ckks_lintrans_keys(lt, c, &list);
    if (!st)
        st = ckks_lintrans_apply(c, ws, w.r.keys, 1, &transform_of, &out, w.x,
                                 w.x->poly->basis & ~ckks_basis_top(w.x->poly->basis));
    ckks_key_list_clear(&list);
    ckks_lintrans_destroy(lt);
    return st;
}

STEP(lintrans_single, transform(c, ws, out, 0))
STEP(lintrans_double, transform(c, ws, out, 1))

static fhola_status polynomial(const ckks_context *c, ckks_workspace *ws, ckks_ciphertext *out,
                               size_t period)
{
    ckks_basis basis_out = w.x->poly->basis;
    for (int k = 0; k < 3; k++) basis_out &= ~ckks_basis_top(basis_out);
    ckks_polynomial_spec spec = {7, period, w.coeff, w.x->poly->basis, basis_out, 0x1p28, 0x1p28};
    ckks_polynomial *pe = NULL;
    fhola_status st = ckks_polynomial_create(&pe, c, ws, &spec);
    if (!st) st = ckks_polynomial_apply(c, ws, w.r.keys, pe, out, w.x);
    ckks_polynomial_destroy(pe);
    return st;
}

STEP(polynomial_scalar, polynomial(c, ws, out, 1))
STEP(polynomial_vector, polynomial(c, ws, out, 16))

static fhola_status create_bootstrap(const ckks_context *c, ckks_workspace *ws)
{
    ckks_bootstrap *bs = NULL;
    ckks_key_list list = {NULL, 0, 0};
    fhola_status st = ckks_bootstrap_create(&bs, c, ws, 6, 0x1p28, 1);
    if (!st) st = ckks_bootstrap_keys(bs, c, &list);
    ckks_key_list_clear(&list);
    ckks_bootstrap_destroy(bs);
    return st;
}

static fhola_status create_identity(const ckks_context *c, ckks_workspace *ws)
{
    ckks_bootstrap *bs = NULL;
    ckks_key_list list = {NULL, 0, 0};
    fhola_status st = ckks_bootstrap_create_identity(&bs, c, ws, 6, 0, 3, 1);
    if (!st) st = ckks_bootstrap_keys(bs, c, &list);
    if (!st) st = ckks_key_list_add_operations(&list, c, 2, CKKS_OPERATION_MUL, NULL, 0);
    ckks_key_list_clear(&list);
    ckks_bootstrap_destroy(bs);
    return st;
}

STEP(bootstrap_create, create_bootstrap(c, ws))
STEP(identity_create, create_identity(c, ws))
STEP(bootstrap_pack, ckks_bootstrap_pack(c, ws, w.bootstrap, out, w.unpacked))
STEP(bootstrap_apply, ckks_bootstrap_apply(c, ws, w.r.keys, w.bootstrap, out, w.boot_in, 1))

/* ---- trying ---- */

static const struct {
    const char *name;
    fhola_status (*run)(void);
} steps[] = {
    {"params", step_params},
    {"context", step_context},
    {"encode", step_encode},
    {"secret and public key", step_secret},
    {"evaluation keys", step_keys},
    {"encrypt", step_encrypt},
    {"encrypt_public", step_encrypt_public},
    {"decrypt", step_decrypt},
    {"add", step_add},
    {"add_plain", step_add_plain},
    {"add_scalar", step_add_scalar},
    {"mul_plain", step_mul_plain},
    {"mul_integer", step_mul_integer},
    {"mul_scalar", step_mul_scalar},
    {"mul", step_mul},
    {"rescale", step_rescale},
    {"drop", step_drop},
    {"rotate", step_rotate},
    {"conjugate", step_conjugate},
    {"rotate_hoisted", step_hoisted},
    {"lintrans, single hoisting", step_lintrans_single},
    {"lintrans, double hoisting", step_lintrans_double},
    {"polynomial, numbers", step_polynomial_scalar},
    {"polynomial, vectors", step_polynomial_vector},
    {"bootstrap_create", step_bootstrap_create},
    {"bootstrap_apply", step_bootstrap_apply},
    {"bootstrap_create_identity", step_identity_create},
    {"bootstrap_pack", step_bootstrap_pack},
};
#define STEPS ((int)(sizeof steps / sizeof steps[0]))

static void prepare(void)
{
    ckks_params_spec spec = named_spec("toy-boot");
    ring_open(&w.r, &spec, NULL);
    ring *r = &w.r;
    random_complex(w.z, 512, 1);
    for (size_t i = 0; i < 8 * 16; i++) w.coeff[i] = 0.1 * random_unit();
    ck_assert_ok(ckks_bootstrap_create(&w.bootstrap, r->context, r->ws, 6, 0x1p28, 1));
    ck_assert_ok(ckks_bootstrap_keys(w.bootstrap, r->context, &r->list));
    for (int k = 1; k <= 5; k++) ring_request(r, CKKS_KEY_ROTATE, k, 0xff, r->special);
    ring_request(r, CKKS_KEY_RELINEARIZE, 0, 0xff, r->special);
    ring_request(r, CKKS_KEY_CONJUGATE, 0, 0xff, r->special);
    ring_keys(r);
    ck_assert_ok(ckks_public_key_create(&w.pk, r->context, r->secret, 0xff, r->rng));
    w.plain = encode(r, w.z, 512, 0x1p28, 0xff);
    w.x = encrypt(r, w.z, 512, 0x1p28, 0xff);
    w.low = encrypt(r, w.z, 512, 0x1p28, 0x7);
    w.boot_in = encrypt(r, w.z, 64, 0x1p28, ckks_basis_base(r->params) | ckks_basis_stc(r->params));
    w.unpacked = encrypt(r, w.z, 64, 0x1p28, ckks_basis_level(r->params, 1));
}

static int spoilt(void)
{
    return half_written;
}

START_TEST(each_allocation)
{
    prepare();
    fail_each(steps[_i].name, steps[_i].run, spoilt, 300);
}
END_TEST

static void add_tests(TCase *tcase)
{
    tcase_add_loop_test(tcase, each_allocation, 0, STEPS);
}

int main(void)
{
    test_seed(0);
    return test_run("alloc", add_tests, 120);
}
