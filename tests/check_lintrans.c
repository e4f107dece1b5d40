/* SPDX-License-Identifier: Apache-2.0 */
/* Linear transforms against the matrix product they stand for, over periods, splits, hoisting,
 * bases and numbers of dropped primes, with the error predicted. */
#include "ckks/scheme/encode.h"

#include "tests/support.h"

#define MOST  40 /* diagonals */
#define SLOTS 128

typedef struct matrix {
    size_t period, count;
    int32_t offset[MOST];
    ckks_complex value[MOST][SLOTS];
    int32_t missing; /* an offset whose diagonal is refused, if among them */
} matrix;

static int diagonal(void *arg, unsigned block, int32_t offset, ckks_complex *values)
{
    (void)block;
    const matrix *m = arg;
    for (size_t i = 0; i < m->count; i++)
        if (m->offset[i] == offset && offset != m->missing) {
            memcpy(values, m->value[i], m->period * sizeof *values);
            return 0;
        }
    return 1;
}

/* Eight primes; below 25 bits: in four limbs. */
static ring toy_ring(double bits)
{
    ring r;
    ckks_params_spec spec = bits < 25 ? shared_spec(8, bits, 7, bits) : flat_spec(8, 45, 7, bits);
    ring_open(&r, &spec, NULL);
    ck_assert_uint_eq(ckks_limb_count(r.context, r.chain), bits < 25 ? 4 : 8);
    ck_assert_uint_eq(r.slots, SLOTS);
    return r;
}

/* Distinct offsets of both signs, the given ones first; entries such that results are of size 1. */
static void random_matrix(matrix *m, size_t period, size_t count)
{
    static const int32_t first[] = {0, 1, -1, 5, 5 - SLOTS, SLOTS - 1, 1 - SLOTS};
    m->period = period;
    m->missing = INT32_MIN;
    for (m->count = 0; m->count < count;) {
        int32_t d = m->count < sizeof first / sizeof first[0]
                        ? first[m->count]
                        : (int32_t)(random_word() % (2 * SLOTS - 1)) - (SLOTS - 1);
        int seen = 0;
        for (size_t i = 0; i < m->count; i++) seen |= m->offset[i] == d;
        if (seen) continue;
        random_complex(m->value[m->count], period, 1 / sqrt((double)count));
        m->offset[m->count++] = d;
    }
}

static void apply_plain(ckks_complex *y, const matrix *m, const ckks_complex *x)
{
    for (size_t s = 0; s < SLOTS; s++) {
        y[s] = (ckks_complex){0, 0};
        for (size_t i = 0; i < m->count; i++)
            y[s] = c_add(y[s], c_mul(m->value[i][s % m->period],
                                     x[(s + (size_t)(m->offset[i] + SLOTS)) % SLOTS]));
    }
}

/* double_hoist: 2 and, with single hoisting, 3 for giants in turn; 4: babies too. */
static ckks_lintrans_spec spec_of(const ring *r, matrix *m, ckks_basis basis, double plain_scale,
                                  uint32_t baby_step, int double_hoist)
{
    ckks_lintrans_spec spec = {
        .basis = basis, .count = m->count, .offset = m->offset, .diagonal = diagonal, .arg = m};
    spec.special = ckks_basis_special_for(r->params, basis);
    spec.period = m->period;
    spec.plain_scale = plain_scale;
    spec.baby_step = baby_step;
    spec.double_hoist = double_hoist == 1 || double_hoist == 2;
    spec.in_turn = double_hoist > 1;
    spec.babies_in_turn = double_hoist > 3;
    return spec;
}

static ckks_lintrans *create(ring *r, const ckks_lintrans_spec *spec)
{
    ckks_lintrans *lt = NULL;
    ck_assert_ok(ckks_lintrans_create(&lt, r->context, r->ws, spec));
    return lt;
}

/* Variance of the result's slots: diagonals times the errors of x (fresh; babies switched, with
 * rounding unless hoisted twice), the diagonals' rounding times x, and the rounding of the
 * result. */
static double predict(const ring *r, const matrix *m, const ckks_complex *x, double scale,
                      double plain_scale, double out_scale, int double_hoist)
{
    double n = (double)r->n, rounding = (1 + secret_norm2(r)) / 12, entries = 0;
    double digits = ckks_params_digits(r->params),
           inner = digits * n * CKKS_ERROR_VARIANCE * exp2(-7.8) / 12;
    double in = n * (CKKS_ERROR_VARIANCE + 1.0 / 12 + inner + (double_hoist ? 0 : rounding)) /
                (scale * scale);
    for (size_t i = 0; i < m->count; i++) entries += pow(rms(m->value[i], m->period), 2);
    double encoding =
        (double)m->count * 2 * (double)m->period / 12 * pow(rms(x, SLOTS) / plain_scale, 2);
    return sqrt(entries * in + encoding + n * rounding / (out_scale * out_scale));
}

static void check_apply(ring *r, matrix *m, ckks_basis basis, ckks_basis input, unsigned drop,
                        uint32_t baby_step, int double_hoist)
{
    ckks_basis out_basis = input;
    for (unsigned i = 0; i < drop; i++) out_basis &= ~ckks_basis_top(out_basis);
    double scale = exp2(ckks_params_get_spec(r->params)->residual_bits), out_scale = scale;
    double plain_scale = basis_product(r, input & ~out_basis);
    if (plain_scale > 0x1p58) { /* coefficients stay below 2^62 */
        out_scale *= 0x1p58 / plain_scale;
        plain_scale = 0x1p58;
    }
    ckks_lintrans_spec spec = spec_of(r, m, basis, plain_scale, baby_step, double_hoist);
    ckks_lintrans *lt = create(r, &spec);
    ckks_key_list_clear(&r->list);
    ck_assert_ok(ckks_lintrans_keys(lt, r->context, &r->list));
    ring_keys(r);
    ckks_complex x[SLOTS], want[SLOTS], got[SLOTS];
    random_complex(x, SLOTS, 1);
    apply_plain(want, m, x);
    ckks_ciphertext *in = encrypt(r, x, SLOTS, scale, input), *out = new_ciphertext(r);
    uint64_t before = ciphertext_hash(in);
    const ckks_lintrans *const transform = lt;
    ck_assert_ok(
        ckks_lintrans_apply(r->context, r->ws, r->keys, 1, &transform, &out, in, out_basis));
    ck_assert_uint_eq(ciphertext_hash(in), before);
    ck_assert_uint_eq(ckks_ciphertext_basis(out), out_basis);
    ck_assert_double_eq_tol(ckks_ciphertext_scale(out) / out_scale, 1, 1e-12);
    decrypt(r, got, out);
    char what[120];
    snprintf(what, sizeof what, "period %zu, %zu diagonals, step %u, hoist %d, -%u", m->period,
             m->count, baby_step, 1 + double_hoist, drop);
    /* Of babies in turn the last one has the errors of all before it: up to 24 switches, not 1. */
    double above = spec.babies_in_turn ? 2 : 1;
    assert_within(what, rms_difference(got, want, SLOTS),
                  predict(r, m, x, scale, plain_scale, out_scale, spec.double_hoist), 1, above);
    ck_assert_uint_eq(ckks_lintrans_bytes(lt),
                      m->count * ckks_packed_bytes(r->context,
                                                   basis | (spec.double_hoist ? spec.special : 0),
                                                   ckks_packed_log_gap(r->context, m->period)));
    ckks_ciphertext_destroy(in);
    ckks_ciphertext_destroy(out);
    ckks_lintrans_destroy(lt);
}

/* Every compressed size of plaintext (log_gap 0 .. 3), automatic and explicit splits, both kinds of
 * hoisting, and giants in turn. */
START_TEST(periods_and_splits)
{
    int hoist = _i % 5;
    static const size_t period[] = {128, 64, 32, 16, 1};
    static const uint32_t step[] = {0, 1, 4, 16, 128};
    ring r = toy_ring(_i < 5 ? 28 : 24.5);
    matrix m;
    for (size_t p = 0; p < 5; p++)
        for (size_t s = 0; s < 5; s++) {
            random_matrix(&m, period[p], 3 + (p * 5 + s * 7) % 22);
            check_apply(&r, &m, r.chain, r.chain, 1, step[s], hoist);
        }
    ring_close(&r);
}
END_TEST

/* One and two primes dropped, none; inputs on fewer primes than the transform, not a prefix among
 * them; 32-bit and 64-bit limbs. */
START_TEST(bases)
{
    static const ckks_basis basis[] = {0xff, 0xe3, 0x07};
    static const ckks_basis input[] = {0xb5, 0xa1, 0x06};
    matrix m;
    for (int wide = 0; wide < 2; wide++) {
        ring r = toy_ring(wide ? 34 : 28);
        for (size_t k = 0; k < 3; k++) {
            random_matrix(&m, 64, 13);
            check_apply(&r, &m, basis[k], basis[k], 1, 0, _i);
            check_apply(&r, &m, basis[k], input[k], 1, 4, _i);
            if (k < 2) check_apply(&r, &m, basis[k], input[k], 2, 8, _i);
        }
        ring_close(&r);
    }
}
END_TEST

/* Where primes share limbs: bases with halves of them, inputs with some of the basis's limbs,
 * results with half of one; another input is refused. */
START_TEST(shared_limbs)
{
    static const ckks_basis basis[] = {0xff, 0xe7, 0x6d, 0x07}, input[] = {0xcf, 0xe4, 0x6c, 0x03},
                            other[] = {0xdf, 0xe6, 0x69, 0x05};
    ring r = toy_ring(24.5);
    matrix m;
    for (size_t k = 0; k < 4; k++) {
        random_matrix(&m, k % 2 ? 16 : 64, 13);
        check_apply(&r, &m, basis[k], basis[k], 1, 0, _i);
        if (k < 3) check_apply(&r, &m, basis[k], basis[k], 2, 4, _i);
        if (k < 3) check_apply(&r, &m, basis[k], input[k], 1, 8, _i);
        if (k < 2) check_apply(&r, &m, basis[k], input[k], 2, 0, _i);
        ckks_lintrans_spec spec = spec_of(&r, &m, basis[k], 0x1p24, 0, _i);
        ckks_lintrans *lt = create(&r, &spec);
        const ckks_lintrans *const transform = lt;
        ckks_complex x[SLOTS];
        random_complex(x, SLOTS, 1);
        ckks_ciphertext *in = encrypt(&r, x, SLOTS, 0x1p20, other[k]), *out = new_ciphertext(&r);
        ck_assert_fails(ckks_lintrans_apply(r.context, r.ws, r.keys, 1, &transform, &out, in,
                                            ckks_basis_top(other[k])),
                        FHOLA_LEVEL);
        ck_assert_uint_eq(ckks_ciphertext_basis(out), 0);
        ckks_ciphertext_destroy(in);
        ckks_ciphertext_destroy(out);
        ckks_lintrans_destroy(lt);
    }
    ring_close(&r);
}
END_TEST

/* Shapes at the edges: the identity, one rotation, only babies, only giants, all slots, many. */
START_TEST(shapes)
{
    ring r = toy_ring(28);
    matrix m;
    random_matrix(&m, 128, 1);
    check_apply(&r, &m, 0x1f, 0x1f, 1, 0, _i);
    m.offset[0] = -127;
    check_apply(&r, &m, 0x1f, 0x1f, 1, 0, _i);
    random_matrix(&m, 16, 5);
    for (int32_t i = 0; i < 5; i++) m.offset[i] = i;
    check_apply(&r, &m, 0x1f, 0x1f, 1, 128, _i);
    for (int32_t i = 0; i < 5; i++) m.offset[i] = 16 * i;
    check_apply(&r, &m, 0x1f, 0x1f, 1, 16, _i);
    random_matrix(&m, 128, MOST);
    check_apply(&r, &m, 0x1f, 0x1f, 1, 0, _i);
    random_matrix(&m, 32, 32);
    for (int32_t i = 0; i < 32; i++) m.offset[i] = i - 16;
    check_apply(&r, &m, 0x1f, 0x1f, 1, 0, _i);
    ring_close(&r);
}
END_TEST

/* Several transforms of one input in one call: what they give alone. */
START_TEST(several)
{
    enum { COUNT = 3 };
    ring r = toy_ring(28);
    matrix m[COUNT];
    ckks_lintrans *lt[COUNT];
    ckks_complex x[SLOTS], want[SLOTS], got[SLOTS];
    ckks_ciphertext *out[COUNT], *alone = new_ciphertext(&r);
    const ckks_lintrans *transform[COUNT];
    ckks_basis basis = 0xb7, out_basis = 0x37;
    double plain = basis_product(&r, 0x80);
    random_complex(x, SLOTS, 1);
    for (size_t k = 0; k < COUNT; k++) {
        random_matrix(&m[k], (size_t)32 << k, 5 + 9 * k);
        ckks_lintrans_spec spec = spec_of(&r, &m[k], basis, plain, k == 1 ? 8 : 0, k == 2);
        transform[k] = lt[k] = create(&r, &spec);
        out[k] = new_ciphertext(&r);
        ck_assert_ok(ckks_lintrans_keys(lt[k], r.context, &r.list));
    }
    ring_keys(&r);
    ckks_ciphertext *in = encrypt(&r, x, SLOTS, 0x1p28, basis);
    ck_assert_ok(
        ckks_lintrans_apply(r.context, r.ws, r.keys, COUNT, transform, out, in, out_basis));
    for (size_t k = 0; k < COUNT; k++) {
        ck_assert_ok(
            ckks_lintrans_apply(r.context, r.ws, r.keys, 1, &transform[k], &alone, in, out_basis));
        apply_plain(want, &m[k], x);
        decrypt(&r, got, out[k]);
        double expected = predict(&r, &m[k], x, 0x1p28, plain, 0x1p28, k == 2);
        assert_within("one of several", rms_difference(got, want, SLOTS), expected, 1, 1);
        decrypt(&r, want, alone);
        ck_assert_double_le(rms_difference(got, want, SLOTS), 2 * expected);
        ckks_ciphertext_destroy(out[k]);
        ckks_lintrans_destroy(lt[k]);
    }
    ckks_ciphertext_destroy(alone);
    ckks_ciphertext_destroy(in);
    ring_close(&r);
}
END_TEST

/* A baby that is not rotated costs no key: the diagonals 0 to 3 are three rotations, whether babies
 * stay over P or not. */
START_TEST(counted_keys)
{
    ring r = toy_ring(28);
    ring_count(&r);
    matrix m = {.period = SLOTS, .count = 4, .offset = {0, 1, 2, 3}, .missing = INT32_MIN};
    ckks_complex x[SLOTS];
    uint64_t switches[2], bytes[2];
    random_complex(x, SLOTS, 1);
    ckks_ciphertext *in = encrypt(&r, x, SLOTS, 0x1p28, r.chain), *out = new_ciphertext(&r);
    for (int hoist = 0; hoist < 2; hoist++) {
        ckks_lintrans_spec spec = spec_of(&r, &m, r.chain, basis_product(&r, 0x80), 4, hoist);
        ckks_lintrans *lt = create(&r, &spec);
        ck_assert_ok(ckks_lintrans_keys(lt, r.context, &r.list));
        ring_keys(&r);
        ckks_work before = ring_work(&r);
        const ckks_lintrans *one = lt;
        ck_assert_ok(ckks_lintrans_apply(r.context, r.ws, r.keys, 1, &one, &out, in, 0x7f));
        switches[hoist] = ring_work(&r).key_switches - before.key_switches;
        bytes[hoist] = ring_work(&r).key_bytes - before.key_bytes;
        ckks_lintrans_destroy(lt);
    }
    ck_assert_uint_eq(r.list.count, 3);
    ck_assert_uint_eq(switches[0], 3);
    ck_assert_uint_eq(switches[1], 3);
    ck_assert_uint_eq(bytes[0], bytes[1]);
    ckks_ciphertext_destroy(in);
    ckks_ciphertext_destroy(out);
    ring_close(&r);
}
END_TEST

/* In turn giants, and babies too, take one key where their distances are equal, and as many key
 * switches. */
START_TEST(in_turn)
{
    ring r = toy_ring(28);
    ring_count(&r);
    matrix m = {.period = SLOTS, .count = 16, .missing = INT32_MIN};
    for (size_t i = 0; i < m.count; i++) {
        m.offset[i] = (int32_t)i;
        random_complex(m.value[i], SLOTS, 1);
    }
    ckks_complex x[SLOTS];
    static const size_t keys[] = {6, 4, 2};
    random_complex(x, SLOTS, 1);
    ckks_ciphertext *in = encrypt(&r, x, SLOTS, 0x1p28, r.chain), *out = new_ciphertext(&r);
    for (int turn = 0; turn < 3; turn++) {
        ckks_lintrans_spec spec = spec_of(&r, &m, r.chain, basis_product(&r, 0x80), 4, 2 * turn);
        ckks_lintrans *lt = create(&r, &spec);
        ckks_key_list_clear(&r.list);
        ck_assert_ok(ckks_lintrans_keys(lt, r.context, &r.list));
        ck_assert_uint_eq(r.list.count, keys[turn]);
        ring_keys(&r);
        ckks_work before = ring_work(&r);
        const ckks_lintrans *one = lt;
        ck_assert_ok(ckks_lintrans_apply(r.context, r.ws, r.keys, 1, &one, &out, in, 0x7f));
        ck_assert_uint_eq(ring_work(&r).key_switches - before.key_switches, 6);
        ckks_lintrans_destroy(lt);
    }
    ckks_ciphertext_destroy(in);
    ckks_ciphertext_destroy(out);
    ring_close(&r);
}
END_TEST

/* Without diagonals: the same keys, and no application. */
START_TEST(structure_only)
{
    ring r = toy_ring(28);
    matrix m;
    random_matrix(&m, 64, 20);
    ckks_lintrans_spec spec = spec_of(&r, &m, r.chain, 0x1p28, 0, 0);
    ckks_lintrans *full = create(&r, &spec);
    spec.diagonal = NULL;
    ckks_lintrans *bare = create(&r, &spec);
    ckks_key_list other = {NULL, 0, 0};
    ck_assert_ok(ckks_lintrans_keys(full, r.context, &r.list));
    ck_assert_ok(ckks_lintrans_keys(bare, r.context, &other));
    ck_assert_uint_eq(other.count, r.list.count);
    ck_assert_mem_eq(other.request, r.list.request, other.count * sizeof *other.request);
    ck_assert_uint_eq(ckks_lintrans_bytes(bare), 0);
    ring_keys(&r);
    ckks_complex x[SLOTS];
    random_complex(x, SLOTS, 1);
    ckks_ciphertext *in = encrypt(&r, x, SLOTS, 0x1p28, r.chain), *out = new_ciphertext(&r);
    const ckks_lintrans *transform = bare;
    ck_assert_fails(ckks_lintrans_apply(r.context, r.ws, r.keys, 1, &transform, &out, in, 1),
                    FHOLA_PARAM);
    ck_assert_uint_eq(ckks_ciphertext_basis(out), 0);
    ckks_key_list_clear(&other);
    ckks_lintrans_destroy(full);
    ckks_lintrans_destroy(bare);
    ckks_lintrans_destroy(NULL);
    ckks_ciphertext_destroy(in);
    ckks_ciphertext_destroy(out);
    ring_close(&r);
}
END_TEST

/* Whatever is kept of the diagonals, the result is the same bit for bit. What does not fit in 32
 * bits is not kept. */
START_TEST(stores)
{
    static const struct {
        ckks_lintrans_store store, becomes;
        double plain_scale;
        size_t bytes; /* of a diagonal of period 64 */
    } cases[] = {
        {CKKS_LINTRANS_LIMBS, CKKS_LINTRANS_LIMBS, 0x1p26, 0},
        {CKKS_LINTRANS_COEFFICIENTS, CKKS_LINTRANS_COEFFICIENTS, 0x1p26, 512},
        {CKKS_LINTRANS_NONE, CKKS_LINTRANS_NONE, 0x1p26, 0},
        {CKKS_LINTRANS_LIMBS, CKKS_LINTRANS_LIMBS, 0x1p44, 0},
        {CKKS_LINTRANS_COEFFICIENTS, CKKS_LINTRANS_NONE, 0x1p44, 0},
    };
    ring r = toy_ring(28);
    matrix m;
    random_matrix(&m, 64, 20);
    uint64_t hash = 0;
    ckks_complex x[SLOTS];
    random_complex(x, SLOTS, 1);
    ckks_ciphertext *in = encrypt(&r, x, SLOTS, 0x1p28, r.chain), *out = new_ciphertext(&r);
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        ckks_lintrans_spec spec = spec_of(&r, &m, r.chain, cases[k].plain_scale, 0, _i);
        spec.store = cases[k].store;
        ckks_lintrans *lt = create(&r, &spec);
        const ckks_lintrans *transform = lt;
        bool limbs = cases[k].store == CKKS_LINTRANS_LIMBS;
        ck_assert_int_eq(ckks_lintrans_stored(lt), cases[k].becomes);
        ck_assert_uint_eq(ckks_lintrans_bytes(lt),
                          limbs ? ckks_lintrans_encoded_bytes(lt) : m.count * cases[k].bytes);
        if (k == 0) {
            ck_assert_ok(ckks_lintrans_keys(lt, r.context, &r.list));
            ring_keys(&r);
        }
        for (int twice = 0; twice < 2; twice++) {
            ck_assert_ok(
                ckks_lintrans_apply(r.context, r.ws, r.keys, 1, &transform, &out, in, 0x7f));
            if (limbs && !twice) hash = ciphertext_hash(out);
            ck_assert_uint_eq(ciphertext_hash(out), hash);
        }
        ckks_lintrans_destroy(lt);
    }
    ckks_ciphertext_destroy(in);
    ckks_ciphertext_destroy(out);
    ring_close(&r);
}
END_TEST

/* Diagonals that are the same for every slot of the input are kept once, with the same result bit
 * for bit; those that a split parts are refused. */
START_TEST(same_diagonals)
{
    enum { HALF = 5, BY = 32 };
    static const int32_t offset[HALF] = {0, 1, 6, 9, 11};
    ring r = toy_ring(28);
    matrix m;
    size_t same[2 * HALF], bytes[2];
    uint64_t hash[2];
    random_matrix(&m, 64, 2 * HALF);
    for (size_t i = 0; i < HALF; i++) {
        m.offset[i] = offset[i];
        m.offset[HALF + i] = offset[i] - BY;
        same[i] = same[HALF + i] = HALF + i;
        for (size_t s = 0; s < 64; s++) m.value[i][s] = m.value[HALF + i][(s + BY) % 64];
    }
    ckks_complex x[SLOTS], want[SLOTS], got[SLOTS];
    random_complex(x, SLOTS, 1);
    apply_plain(want, &m, x);
    ckks_ciphertext *in = encrypt(&r, x, SLOTS, 0x1p28, r.chain), *out = new_ciphertext(&r);
    double plain_scale = basis_product(&r, 0x80);
    for (int store = CKKS_LINTRANS_LIMBS; store <= CKKS_LINTRANS_NONE; store++)
        for (int once = 0; once < 2; once++) {
            ckks_lintrans_spec spec = spec_of(&r, &m, r.chain, plain_scale, 4, _i);
            spec.store = (ckks_lintrans_store)store;
            spec.same = once ? same : NULL;
            ckks_lintrans *lt = create(&r, &spec);
            const ckks_lintrans *one = lt;
            if (!r.keys) {
                ck_assert_ok(ckks_lintrans_keys(lt, r.context, &r.list));
                ring_keys(&r);
            }
            bytes[once] = ckks_lintrans_encoded_bytes(lt);
            ck_assert_ok(ckks_lintrans_apply(r.context, r.ws, r.keys, 1, &one, &out, in, 0x7f));
            hash[once] = ciphertext_hash(out);
            ckks_lintrans_destroy(lt);
            if (once) ck_assert_uint_eq(hash[0], hash[1]);
            if (once) ck_assert_uint_eq(bytes[0], 2 * bytes[1]);
        }
    decrypt(&r, got, out);
    assert_within("same", rms_difference(got, want, SLOTS),
                  predict(&r, &m, x, 0x1p28, plain_scale, 0x1p28, _i), 1, 1);
    ckks_lintrans *none = NULL;
    ckks_lintrans_spec spec = spec_of(&r, &m, r.chain, plain_scale, 64, _i);
    spec.same = same;
    ck_assert_fails(ckks_lintrans_create(&none, r.context, r.ws, &spec), FHOLA_PARAM);
    spec.baby_step = 4;
    same[3] = 2 * HALF;
    ck_assert_fails(ckks_lintrans_create(&none, r.context, r.ws, &spec), FHOLA_PARAM);
    ck_assert_ptr_null(none);
    ckks_ciphertext_destroy(in);
    ckks_ciphertext_destroy(out);
    ring_close(&r);
}
END_TEST

/* Real diagonals take half the memory and give the right values, whatever is kept of them; others
 * are refused. */
START_TEST(real_diagonals)
{
    static const size_t period[] = {128, 64, 16, 2};
    ring r = toy_ring(_i < 2 ? 28 : 24.5);
    matrix m;
    double plain_scale = basis_product(&r, 0x80);
    ckks_complex x[SLOTS], want[SLOTS], got[SLOTS];
    random_complex(x, SLOTS, 1);
    ckks_ciphertext *in = encrypt(&r, x, SLOTS, 0x1p28, r.chain), *out = new_ciphertext(&r);
    for (size_t p = 0; p < sizeof period / sizeof *period; p++) {
        uint64_t hash = 0;
        random_matrix(&m, period[p], 20);
        for (size_t i = 0; i < m.count; i++)
            for (size_t s = 0; s < m.period; s++) m.value[i][s].im = 0;
        ckks_lintrans_spec spec = spec_of(&r, &m, r.chain, plain_scale, _i % 2 ? 0 : 8, 0);
        ckks_lintrans *whole = create(&r, &spec);
        ckks_key_list_clear(&r.list);
        ck_assert_ok(ckks_lintrans_keys(whole, r.context, &r.list));
        ring_keys(&r);
        apply_plain(want, &m, x);
        spec.real = 1;
        for (int store = CKKS_LINTRANS_LIMBS; store <= CKKS_LINTRANS_NONE; store++) {
            spec.store = (ckks_lintrans_store)store;
            ckks_lintrans *half = create(&r, &spec);
            const ckks_lintrans *one = half;
            /* half the words of each limb, which is padded to 64 bytes */
            unsigned log_gap = ckks_packed_log_gap(r.context, period[p]);
            ck_assert_uint_eq(ckks_lintrans_encoded_bytes(half) *
                                  ckks_packed_bytes(r.context, r.chain, log_gap),
                              ckks_lintrans_encoded_bytes(whole) *
                                  ckks_packed_bytes(r.context, r.chain, log_gap + 1));
            ck_assert_ok(ckks_lintrans_apply(r.context, r.ws, r.keys, 1, &one, &out, in, 0x7f));
            if (!hash) hash = ciphertext_hash(out);
            ck_assert_uint_eq(ciphertext_hash(out), hash);
            decrypt(&r, got, out);
            assert_within("real", rms_difference(got, want, SLOTS),
                          predict(&r, &m, x, 0x1p28, plain_scale, ckks_ciphertext_scale(out), 0), 1,
                          1);
            ckks_lintrans_destroy(half);
        }
        ckks_lintrans *none = NULL;
        spec.store = CKKS_LINTRANS_LIMBS;
        m.value[11][m.period / 2].im = 0x1p-30;
        ck_assert_fails(ckks_lintrans_create(&none, r.context, r.ws, &spec), FHOLA_PARAM);
        ck_assert_ptr_nonnull(strstr(fhola_detail(), "is not real"));
        spec.double_hoist = 1;
        ck_assert_fails(ckks_lintrans_create(&none, r.context, r.ws, &spec), FHOLA_PARAM);
        ckks_lintrans_destroy(whole);
    }
    ckks_ciphertext_destroy(in);
    ckks_ciphertext_destroy(out);
    ring_close(&r);
}
END_TEST

/* Several ciphertexts at once give what each gives alone, bit for bit. */
START_TEST(each)
{
    enum { COUNT = 5 };
    ring r = toy_ring(28);
    matrix m;
    ckks_ciphertext *in[COUNT], *out[COUNT], *alone = new_ciphertext(&r);
    const ckks_ciphertext *inputs[COUNT];
    random_matrix(&m, 64, 23);
    ckks_lintrans_spec spec = spec_of(&r, &m, r.chain, basis_product(&r, 0x80), 8, _i);
    ckks_lintrans *lt = create(&r, &spec);
    const ckks_lintrans *one = lt;
    ck_assert_ok(ckks_lintrans_keys(lt, r.context, &r.list));
    ring_keys(&r);
    for (size_t k = 0; k < COUNT; k++) {
        ckks_complex x[SLOTS];
        random_complex(x, SLOTS, 1);
        inputs[k] = in[k] = encrypt(&r, x, SLOTS, 0x1p28, r.chain);
        out[k] = new_ciphertext(&r);
    }
    ck_assert_ok(ckks_lintrans_apply_each(r.context, r.ws, r.keys, lt, COUNT, out, inputs, 0x7f));
    for (size_t k = 0; k < COUNT; k++) {
        ck_assert_ok(ckks_lintrans_apply(r.context, r.ws, r.keys, 1, &one, &alone, in[k], 0x7f));
        ck_assert_uint_eq(ciphertext_hash(out[k]), ciphertext_hash(alone));
    }
    ck_assert_fails(ckks_lintrans_apply_each(r.context, r.ws, r.keys, lt, 0, out, inputs, 0x7f),
                    FHOLA_PARAM);
    ckks_ciphertext_destroy(out[4]);
    out[4] = out[1];
    ck_assert_fails(ckks_lintrans_apply_each(r.context, r.ws, r.keys, lt, COUNT, out, inputs, 0x7f),
                    FHOLA_PARAM);
    for (size_t k = 0; k < COUNT; k++) {
        ckks_ciphertext_destroy(in[k]);
        if (k < 4) ckks_ciphertext_destroy(out[k]);
    }
    ckks_ciphertext_destroy(alone);
    ckks_lintrans_destroy(lt);
    ring_close(&r);
}
END_TEST

/* Keys of the giants, or of babies and giants, may have other digits than one another: right values
 * or an error. */
START_TEST(mixed_keys)
{
    ring r = toy_ring(34);
    ckks_basis low = 0x81;
    matrix m;
    random_matrix(&m, 128, 4);
    static const int32_t giants[] = {0, 4, 8, 9}, babies[] = {0, 1, 2, 8};
    for (int which = 0; which < 2; which++) {
        memcpy(m.offset, which ? babies : giants, sizeof giants);
        ckks_lintrans_spec spec = spec_of(&r, &m, low, basis_product(&r, 0x80), 4, _i);
        spec.special = r.special;
        ckks_lintrans *lt = create(&r, &spec);
        ckks_key_list wanted = {NULL, 0, 0};
        ck_assert_ok(ckks_lintrans_keys(lt, r.context, &wanted));
        /* every second key over the whole chain, in several digits; the others in one */
        ckks_key_list_clear(&r.list);
        for (size_t i = 0; i < wanted.count; i++)
            ring_request(&r, CKKS_KEY_ROTATE, (int32_t)wanted.request[i].rotation,
                         i % 2 ? low : r.chain, r.special);
        ring_keys(&r);
        ckks_complex x[SLOTS], want[SLOTS], got[SLOTS];
        random_complex(x, SLOTS, 1);
        apply_plain(want, &m, x);
        ckks_ciphertext *in = encrypt(&r, x, SLOTS, 0x1p34, low), *out = new_ciphertext(&r);
        const ckks_lintrans *transform = lt;
        fhola_status st = ckks_lintrans_apply(r.context, r.ws, r.keys, 1, &transform, &out, in, 1);
        if (st) {
            ck_assert_int_eq(st, FHOLA_KEY);
            ck_assert_uint_eq(ckks_ciphertext_basis(out), 0);
        } else {
            decrypt(&r, got, out);
            ck_assert_double_le(rms_difference(got, want, SLOTS), 0x1p-20);
        }
        ckks_key_list_clear(&wanted);
        ckks_ciphertext_destroy(in);
        ckks_ciphertext_destroy(out);
        ckks_lintrans_destroy(lt);
    }
    ring_close(&r);
}
END_TEST

START_TEST(errors)
{
    ring r = toy_ring(28);
    matrix m;
    random_matrix(&m, 64, 10);
    const ckks_lintrans_spec good = spec_of(&r, &m, r.chain, 0x1p28, 4, 0);
    int32_t outside[] = {0, SLOTS}, below[] = {-SLOTS}, twice[] = {0, 3, 3};
#define REFUSED(status, change)                                                                    \
    do {                                                                                           \
        ckks_lintrans_spec spec = good;                                                            \
        ckks_lintrans *lt = NULL;                                                                  \
        change;                                                                                    \
        ck_assert_fails(ckks_lintrans_create(&lt, r.context, r.ws, &spec), status);                \
        ck_assert_ptr_null(lt);                                                                    \
    } while (0)
    REFUSED(FHOLA_LEVEL, spec.basis = 0);
    REFUSED(FHOLA_LEVEL, spec.basis = r.chain | r.special);
    REFUSED(FHOLA_LEVEL, spec.special = 0);
    REFUSED(FHOLA_LEVEL, spec.special = 1);
    REFUSED(FHOLA_PARAM, spec.special = ckks_basis_top(r.special));
    REFUSED(FHOLA_PARAM, spec.count = 0);
    REFUSED(FHOLA_PARAM, spec.count = 4097);
    REFUSED(FHOLA_PARAM, spec.period = 0);
    REFUSED(FHOLA_PARAM, spec.period = 48);
    REFUSED(FHOLA_PARAM, spec.period = 256);
    REFUSED(FHOLA_SCALE, spec.plain_scale = 0);
    REFUSED(FHOLA_SCALE, spec.plain_scale = (double)NAN);
    REFUSED(FHOLA_SCALE, spec.plain_scale = (double)INFINITY);
    REFUSED(FHOLA_SCALE, spec.plain_scale = 0x1p-1050);
    REFUSED(FHOLA_SCALE, spec.plain_scale = 0.501 * (double)r.n * basis_product(&r, r.chain));
    REFUSED(FHOLA_RANGE, spec.plain_scale = 0x1p70);
    REFUSED(FHOLA_PARAM, spec.offset = outside; spec.count = 2);
    REFUSED(FHOLA_PARAM, spec.offset = below; spec.count = 1);
    REFUSED(FHOLA_PARAM, spec.offset = twice; spec.count = 3);
    REFUSED(FHOLA_PARAM, spec.baby_step = UINT32_MAX);
    REFUSED(FHOLA_PARAM, spec.double_hoist = spec.babies_in_turn = 1);
    REFUSED(FHOLA_PARAM, spec.double_hoist = 0; spec.raised = 1);
    m.missing = m.offset[7];
    REFUSED(FHOLA_PARAM, (void)spec);
    ring_close(&r);
}
END_TEST

/* Coefficients of diagonals at the edge: those just below 2^62 give the right values, those above
 * it, or above half the product of the primes, are refused by the name of their diagonal. */
START_TEST(range)
{
    ring r = toy_ring(28);
    matrix m = {.period = 1, .count = 2, .offset = {0, 3}, .missing = INT32_MIN};
    const double scale = 0x1p40, most = 0x1p62 / scale;
    ckks_basis basis = 7, out_basis = 3, small = 6;
    m.value[0][0] = (ckks_complex){1, 0};
    m.value[1][0] = (ckks_complex){most * (1 - 0x1p-20), 0};
    ckks_lintrans_spec spec = spec_of(&r, &m, basis, scale, 0, _i);
    ckks_lintrans *lt = create(&r, &spec), *none = NULL;
    ck_assert_ok(ckks_lintrans_keys(lt, r.context, &r.list));
    ring_keys(&r);
    ckks_complex x[SLOTS], want[SLOTS], got[SLOTS];
    random_complex(x, SLOTS, 1);
    apply_plain(want, &m, x);
    ckks_ciphertext *in = encrypt(&r, x, SLOTS, 0x1p28, basis), *out = new_ciphertext(&r);
    const ckks_lintrans *one = lt;
    ck_assert_ok(ckks_lintrans_apply(r.context, r.ws, r.keys, 1, &one, &out, in, out_basis));
    decrypt(&r, got, out);
    ck_assert_double_le(worst_difference(got, want, SLOTS), most * 0x1p-18);
    /* x at a scale that leaves no room for the diagonals' */
    in->scale = 0x1p70;
    ck_assert_fails(ckks_lintrans_apply(r.context, r.ws, r.keys, 1, &one, &out, in, out_basis),
                    FHOLA_SCALE);
    m.value[1][0].re = most * (1 + 0x1p-20);
    ck_assert_fails(ckks_lintrans_create(&none, r.context, r.ws, &spec), FHOLA_RANGE);
    ck_assert_ptr_nonnull(strstr(fhola_detail(), "diagonal 3 of a transform"));
    double half = basis_product(&r, small) / 2;
    spec = spec_of(&r, &m, small, 0x1p28, 0, _i);
    m.value[1][0].re = half * 0x1p-28 * (1 + 0x1p-20);
    ck_assert_fails(ckks_lintrans_create(&none, r.context, r.ws, &spec), FHOLA_RANGE);
    ck_assert_ptr_nonnull(strstr(fhola_detail(), "diagonal 3 of a transform"));
    ck_assert_ptr_null(none);
    m.value[1][0].re = half * 0x1p-28 * (1 - 0x1p-20);
    ckks_lintrans_destroy(create(&r, &spec));
    ckks_ciphertext_destroy(in);
    ckks_ciphertext_destroy(out);
    ckks_lintrans_destroy(lt);
    ring_close(&r);
}
END_TEST

/* ---- several inputs and outputs ---- */

#define INPUTS  3
#define OUTPUTS 2

/* Blocks of random diagonals, each with offsets of its own; one is empty. */
typedef struct block_matrix {
    matrix block[OUTPUTS * INPUTS];
    size_t count;
    int32_t offset[OUTPUTS * INPUTS * MOST];
    unsigned place[OUTPUTS * INPUTS * MOST];
} block_matrix;

static int block_diagonal(void *arg, unsigned block, int32_t offset, ckks_complex *values)
{
    block_matrix *m = arg;
    return diagonal(&m->block[block], 0, offset, values);
}

static void random_blocks(block_matrix *m, size_t period)
{
    m->count = 0;
    for (unsigned b = 0; b < OUTPUTS * INPUTS; b++) {
        random_matrix(&m->block[b], period, b == 4 ? 0 : 9 + b);
        for (size_t i = 0; i < m->block[b].count; i++) {
            m->offset[m->count] = m->block[b].offset[i];
            m->place[m->count++] = b;
        }
    }
}

static ckks_lintrans_spec spec_of_blocks(const ring *r, block_matrix *m, uint32_t step, int hoist)
{
    ckks_lintrans_spec spec =
        spec_of(r, &m->block[0], r->chain, basis_product(r, 0x80), step, hoist);
    spec.inputs = INPUTS;
    spec.outputs = OUTPUTS;
    spec.count = m->count;
    spec.offset = m->offset;
    spec.block = m->place;
    spec.diagonal = block_diagonal;
    spec.arg = m;
    return spec;
}

static void check_output(ring *r, block_matrix *m, unsigned o, ckks_complex x[INPUTS][SLOTS],
                         double plain_scale, int hoist, const ckks_ciphertext *out)
{
    ckks_complex want[SLOTS] = {{0, 0}}, got[SLOTS], part[SLOTS];
    double variance = 0;
    for (unsigned i = 0; i < INPUTS; i++) {
        const matrix *b = &m->block[o * INPUTS + i];
        apply_plain(part, b, x[i]);
        for (size_t s = 0; s < SLOTS; s++) want[s] = c_add(want[s], part[s]);
        variance += pow(predict(r, b, x[i], 0x1p28, plain_scale, 0x1p28, hoist), 2);
    }
    decrypt(r, got, out);
    assert_within("a block row", rms_difference(got, want, SLOTS), sqrt(variance), 1, 1);
}

/* A matrix of blocks against the sums of matrix products. Each input has a key switch for each
 * rotation any of its blocks needs, and each output has one for each giant. */
START_TEST(blocks)
{
    static const uint32_t step[] = {0, 16};
    ring r = toy_ring(28);
    static block_matrix m;
    ckks_complex x[INPUTS][SLOTS];
    ckks_ciphertext *in[INPUTS], *out[OUTPUTS];
    random_blocks(&m, _i % 2 ? 32 : SLOTS);
    ckks_lintrans_spec spec = spec_of_blocks(&r, &m, step[_i / 2], _i % 2);
    ckks_lintrans *lt = create(&r, &spec);
    ck_assert_ok(ckks_lintrans_keys(lt, r.context, &r.list));
    ring_keys(&r);
    for (unsigned i = 0; i < INPUTS; i++) {
        random_complex(x[i], SLOTS, 1);
        in[i] = encrypt(&r, x[i], SLOTS, 0x1p28, r.chain);
    }
    for (unsigned o = 0; o < OUTPUTS; o++) out[o] = new_ciphertext(&r);
    const ckks_ciphertext *const from[] = {in[0], in[1], in[2]};
    ck_assert_ok(ckks_lintrans_apply_matrix(r.context, r.ws, r.keys, lt, out, from, 0x7f));
    for (unsigned o = 0; o < OUTPUTS; o++)
        check_output(&r, &m, o, x, spec.plain_scale, _i % 2, out[o]);
    for (unsigned i = 0; i < INPUTS; i++) ckks_ciphertext_destroy(in[i]);
    for (unsigned o = 0; o < OUTPUTS; o++) ckks_ciphertext_destroy(out[o]);
    ckks_lintrans_destroy(lt);
    ring_close(&r);
}
END_TEST

/* With babies 0 to 3 and giants 0 and 4 in all of 2 x 2 blocks: 2 inputs times 3, 2 outputs times
 * 1. */
START_TEST(blocks_share_rotations)
{
    enum { COUNT = 4 * 8 };
    ring r = toy_ring(28);
    ring_count(&r);
    static const ckks_complex one = {1, 0};
    int32_t offset[COUNT];
    unsigned place[COUNT];
    matrix m = {.period = 1, .count = 8, .missing = INT32_MIN};
    for (unsigned k = 0; k < COUNT; k++) {
        offset[k] = m.offset[k % 8] = (int32_t)k % 8;
        place[k] = k / 8;
        m.value[k % 8][0] = one;
    }
    ckks_lintrans_spec spec = spec_of(&r, &m, r.chain, basis_product(&r, 0x80), 4, _i);
    spec.inputs = spec.outputs = 2;
    spec.count = COUNT;
    spec.offset = offset;
    spec.block = place;
    ckks_lintrans *lt = create(&r, &spec);
    ck_assert_ok(ckks_lintrans_keys(lt, r.context, &r.list));
    ring_keys(&r);
    ck_assert_uint_eq(r.list.count, 4);
    const ckks_ciphertext *const in[] = {encrypt(&r, &one, 1, 0x1p28, r.chain),
                                         encrypt(&r, &one, 1, 0x1p28, r.chain)};
    ckks_ciphertext *out[] = {new_ciphertext(&r), new_ciphertext(&r)};
    uint64_t before = ring_work(&r).key_switches;
    ck_assert_ok(ckks_lintrans_apply_matrix(r.context, r.ws, r.keys, lt, out, in, 0x7f));
    ck_assert_uint_eq(ring_work(&r).key_switches - before, 2 * 3 + 2);
    for (unsigned k = 0; k < 2; k++) {
        ckks_ciphertext_destroy((ckks_ciphertext *)in[k]);
        ckks_ciphertext_destroy(out[k]);
    }
    ckks_lintrans_destroy(lt);
    ring_close(&r);
}
END_TEST

START_TEST(blocks_refused)
{
    ring r = toy_ring(28);
    static block_matrix m;
    ckks_lintrans *lt = NULL;
    const ckks_complex one = {1, 0};
    random_blocks(&m, SLOTS);
    ckks_lintrans_spec spec = spec_of_blocks(&r, &m, 16, 0);
    m.place[3] = OUTPUTS * INPUTS;
    ck_assert_fails(ckks_lintrans_create(&lt, r.context, r.ws, &spec), FHOLA_PARAM);
    m.place[3] = 0;
    spec.inputs = CKKS_LINTRANS_MAX_PARTS + 1;
    ck_assert_fails(ckks_lintrans_create(&lt, r.context, r.ws, &spec), FHOLA_PARAM);
    spec.inputs = INPUTS;
    lt = create(&r, &spec);
    ck_assert_ok(ckks_lintrans_keys(lt, r.context, &r.list));
    ring_keys(&r);
    ckks_ciphertext *x = encrypt(&r, &one, 1, 0x1p28, r.chain),
                    *lower = encrypt(&r, &one, 1, 0x1p28, 0x7f),
                    *finer = encrypt(&r, &one, 1, 0x1p29, r.chain),
                    *out[] = {new_ciphertext(&r), new_ciphertext(&r)};
    const ckks_lintrans *const matrix_of = lt;
    const ckks_ciphertext *in[] = {x, x, lower};
    ck_assert_fails(ckks_lintrans_apply_matrix(r.context, r.ws, r.keys, lt, out, in, 0x3f),
                    FHOLA_LEVEL);
    in[2] = finer;
    ck_assert_fails(ckks_lintrans_apply_matrix(r.context, r.ws, r.keys, lt, out, in, 0x7f),
                    FHOLA_SCALE);
    in[2] = x;
    ckks_ciphertext *same[] = {out[0], out[0]}, *input[] = {out[0], x};
    ck_assert_fails(ckks_lintrans_apply_matrix(r.context, r.ws, r.keys, lt, same, in, 0x7f),
                    FHOLA_PARAM);
    ck_assert_fails(ckks_lintrans_apply_matrix(r.context, r.ws, r.keys, lt, input, in, 0x7f),
                    FHOLA_PARAM);
    ck_assert_fails(ckks_lintrans_apply(r.context, r.ws, r.keys, 1, &matrix_of, out, x, 0x7f),
                    FHOLA_PARAM);
    ck_assert_ok(ckks_lintrans_apply_matrix(r.context, r.ws, r.keys, lt, out, in, 0x7f));
    ckks_ciphertext_destroy(x);
    ckks_ciphertext_destroy(lower);
    ckks_ciphertext_destroy(finer);
    for (unsigned k = 0; k < 2; k++) ckks_ciphertext_destroy(out[k]);
    ckks_lintrans_destroy(lt);
    ring_close(&r);
}
END_TEST

static void add_tests(TCase *tcase)
{
    tcase_add_loop_test(tcase, periods_and_splits, 0, 10);
    tcase_add_loop_test(tcase, bases, 0, 5);
    tcase_add_loop_test(tcase, shared_limbs, 0, 5);
    tcase_add_loop_test(tcase, shapes, 0, 5);
    tcase_add_test(tcase, several);
    tcase_add_test(tcase, counted_keys);
    tcase_add_test(tcase, in_turn);
    tcase_add_test(tcase, structure_only);
    tcase_add_loop_test(tcase, stores, 0, 2);
    tcase_add_loop_test(tcase, same_diagonals, 0, 2);
    tcase_add_loop_test(tcase, real_diagonals, 0, 4);
    tcase_add_loop_test(tcase, each, 0, 2);
    tcase_add_loop_test(tcase, mixed_keys, 0, 2);
    tcase_add_loop_test(tcase, range, 0, 2);
    tcase_add_test(tcase, errors);
    tcase_add_loop_test(tcase, blocks, 0, 4);
    tcase_add_loop_test(tcase, blocks_share_rotations, 0, 2);
    tcase_add_test(tcase, blocks_refused);
}

int main(void)
{
    test_seed(0);
    return test_run("lintrans", add_tests, 120);
}
