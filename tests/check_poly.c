/* SPDX-License-Identifier: Apache-2.0 */
/* Arithmetic of polynomials, residue by residue: operands over the result's basis and over larger
 * ones, whose limbs are shared where the result's are not; bases that do not fit are refused. */
#include "ckks/ring/poly.h"

#include "ckks/alloc.h"
#include "tests/support.h"

static ring toy_ring(void)
{
    ring r;
    ckks_params_spec spec = shared_spec(10, 22, 6, 24);
    ring_open(&r, &spec, NULL);
    ck_assert_uint_eq(ckks_limb_count(r.context, r.chain), 4);
    return r;
}

/* Residue j of p modulo t, from whichever limb has it. */
static uint64_t residue(const ring *r, const ckks_poly *p, unsigned t, size_t j)
{
    return p->limb[ckks_poly_index(r->context, p, t)][j] % r->context->modulus[t].p;
}

typedef enum operation { ADD, SUB, MUL, COPY, INTEGER, OPERATIONS } operation;

static const int64_t factors[] = {0, 1, -1, 12345678901, -12345678901, INT64_MAX, INT64_MIN};

static uint64_t expected(operation op, uint64_t x, uint64_t y, int64_t factor, uint64_t m)
{
    __extension__ typedef __int128 wide;
    switch (op) {
    case ADD: return (x + y) % m;
    case SUB: return (x + m - y) % m;
    case MUL: return (uint64_t)((wide)x * y % m);
    case INTEGER: return (uint64_t)(((wide)x * factor % m + m) % m);
    default: return x;
    }
}

static fhola_status operate(const ring *r, operation op, const ckks_poly out[2],
                            const ckks_poly a[2], const ckks_poly b[2], int64_t factor)
{
    const ckks_context *c = r->context;
    switch (op) {
    case ADD: return ckks_poly_add(c, 2, out, a, b);
    case SUB: return ckks_poly_sub(c, 2, out, a, b);
    case MUL: return ckks_poly_mul(c, 2, out, a, b);
    case INTEGER: return ckks_poly_mul_integer(c, 2, out, a, factor);
    default: return ckks_poly_copy(c, 2, out, a);
    }
}

static void check(const ring *r, operation op, ckks_basis basis, ckks_basis of_a, ckks_basis of_b,
                  int64_t factor)
{
    const ckks_context *c = r->context;
    ckks_poly out[2], a[2], b[2];
    for (int k = 0; k < 2; k++) {
        out[k] = poly_create(r, basis);
        a[k] = poly_random(r, of_a);
        b[k] = poly_random(r, of_b);
    }
    ck_assert_ok(operate(r, op, out, a, b, factor));
    for (int k = 0; k < 2; k++) {
        for (unsigned i = 0; i < out[k].limbs; i++)
            for (size_t j = 0; j < c->n; j++) {
                unsigned t = out[k].modulus[i];
                ck_assert_uint_eq(out[k].limb[i][j],
                                  expected(op, residue(r, &a[k], t, j), residue(r, &b[k], t, j),
                                           factor, c->modulus[t].p));
            }
        poly_destroy(&out[k]);
        poly_destroy(&a[k]);
        poly_destroy(&b[k]);
    }
}

/* The loop index is the operation. */
START_TEST(residues)
{
    ring r = toy_ring();
    static const ckks_basis bases[][3] = {{0x7f, 0x7f, 0x7f}, {0x15, 0x7f, 0x15},
                                          {0x2a, 0x2a, 0x7f}, {0x01, 0x03, 0x07},
                                          {0x5f, 0x7f, 0x7f}, {0x40, 0x60, 0x40}};
    for (size_t k = 0; k < sizeof bases / sizeof bases[0]; k++)
        for (size_t f = 0; f < (_i == INTEGER ? sizeof factors / sizeof factors[0] : 1); f++)
            check(&r, (operation)_i, bases[k][0], bases[k][1], bases[k][2], factors[f]);
    ring_close(&r);
}
END_TEST

/* Halving is exact, and so is doubling modulo p. */
static uint64_t integer_mod(double x, uint64_t p)
{
    unsigned doublings = 0;
    double size = fabs(rint(x));
    for (; size >= 0x1p53; size /= 2) doublings++;
    uint64_t m = (uint64_t)size % p;
    for (; doublings; doublings--) m = 2 * m % p;
    return x < 0 && m ? p - m : m;
}

/* Integers of any size that a double can have, modulo primes and products of two. */
START_TEST(integers)
{
    ring r = toy_ring();
    for (int k = 0; k < 4000; k++) {
        int exponent = k < 80 ? k : (int)(random_word() % 1023);
        double x = ldexp(k % 3 ? random_unit() : k % 2 ? 1 : -1, exponent);
        for (unsigned t = 0; t < r.context->moduli; t++)
            ck_assert_uint_eq(ckks_integer_mod(r.context, x, t),
                              integer_mod(x, r.context->modulus[t].p));
    }
    ring_close(&r);
}
END_TEST

/* An operand that lacks a prime, or results of two bases: LEVEL, and nothing is written. */
START_TEST(refusals)
{
    ring r = toy_ring();
    ckks_poly whole[2] = {poly_random(&r, 0x7f), poly_random(&r, 0x7f)},
              part[2] = {poly_random(&r, 0x0f), poly_random(&r, 0x0f)},
              mixed[2] = {part[0], whole[1]}, none[2] = {{.basis = 0}, {.basis = 0}};
    uint64_t first = whole[0].limb[0][0], other = part[0].limb[0][0];
    for (int op = 0; op < OPERATIONS; op++) {
        ck_assert_fails(operate(&r, (operation)op, whole, part, whole, 2), FHOLA_LEVEL);
        ck_assert_fails(operate(&r, (operation)op, whole, mixed, whole, 2), FHOLA_LEVEL);
        ck_assert_fails(operate(&r, (operation)op, mixed, whole, whole, 2), FHOLA_LEVEL);
        ck_assert_fails(operate(&r, (operation)op, none, whole, whole, 2), FHOLA_LEVEL);
        if (op <= MUL)
            ck_assert_fails(operate(&r, (operation)op, whole, whole, part, 2), FHOLA_LEVEL);
    }
    ck_assert_uint_eq(whole[0].limb[0][0], first);
    ck_assert_uint_eq(part[0].limb[0][0], other);
    for (int k = 0; k < 2; k++) {
        poly_destroy(&whole[k]);
        poly_destroy(&part[k]);
    }
    ring_close(&r);
}
END_TEST

/* Copies within one block move limbs down; a polynomial of the workspace is laid out like any
 * other. */
START_TEST(places)
{
    ring r = toy_ring();
    ckks_poly p = poly_random(&r, 0x7f), before = poly_create(&r, 0x7f), down;
    ck_assert_ok(ckks_poly_copy(r.context, 1, &before, &p));
    ckks_poly_lay(&down, r.context, 0x6a, p.limb[0]);
    ck_assert_ok(ckks_poly_copy(r.context, 1, &down, &p));
    for (unsigned i = 0; i < down.limbs; i++)
        for (size_t j = 0; j < r.n; j++)
            ck_assert_uint_eq(down.limb[i][j], residue(&r, &before, down.modulus[i], j));
    ckks_mark mark = ckks_workspace_mark(r.ws);
    ckks_poly *taken = ckks_poly_take(r.ws, 3, 0x55);
    ck_assert_ptr_nonnull(taken);
    for (int k = 0; k < 3; k++) {
        ck_assert(taken[k].basis == 0x55 && taken[k].limbs == 4);
        for (unsigned i = 0; i < 4; i++)
            ck_assert_ptr_eq(ckks_poly_limb(&taken[k], 2 * i), taken[k].limb[i]);
        ck_assert_ptr_null(ckks_poly_limb(&taken[k], 1));
    }
    ckks_workspace_release(r.ws, mark);
    poly_destroy(&p);
    poly_destroy(&before);
    ring_close(&r);
}
END_TEST

static void add_tests(TCase *tcase)
{
    tcase_add_loop_test(tcase, residues, 0, OPERATIONS);
    tcase_add_test(tcase, integers);
    tcase_add_test(tcase, refusals);
    tcase_add_test(tcase, places);
}

int main(void)
{
    test_seed(0);
    return test_run("poly", add_tests, 60);
}
