/* SPDX-License-Identifier: Apache-2.0 */
/* Base conversion and rounded division against integers: GMP's on random and limiting inputs,
 * machine integers on whole rows of residue pairs of two small primes. Bases are prefixes of the
 * chain, other subsets, and mixtures with special primes, in a ring with a limb for each prime and
 * in one where primes share limbs. */
#include "ckks/ring/rns.h"

#include "ckks/alloc.h"
#include "tests/support.h"

static const ckks_kernel *tables[CKKS_MAX_KERNELS];

/* Prepares a polynomial in coefficient form for conversion; v: one limb. */
static ckks_conversion convert_from(const ckks_context *c, const ckks_poly *x, uint64_t *v)
{
    ckks_conversion cv = {.y = *x, .v = v};
    for (unsigned i = 0; i < x->limbs; i++)
        c->kernel->mul_scalar(&c->modulus[x->modulus[i]], x->limb[i], x->limb[i],
                              ckks_conversion_factor(c, x->basis, x->modulus[i]), c->n);
    ckks_conversion_overflows(&cv, 1, c);
    return cv;
}

/* x mod t of pairs of residues of two small primes, centred: v has no tie and double precision
 * decides every case. */
START_TEST(conversion_exhaustive)
{
    ring r;
    ckks_params_spec spec = flat_spec(8, 12.6, 1, 12.9);
    spec.special_primes = 1;
    spec.special_bits = 40;
    ring_open(&r, &spec, tables[_i]->name);
    const ckks_context *c = r.context;
    int64_t p = (int64_t)c->modulus[0].p, q = (int64_t)c->modulus[1].p,
            t = (int64_t)c->modulus[2].p;
    ckks_poly x = poly_create(&r, 3), out = poly_create(&r, 4), v = poly_create(&r, 4);
    const unsigned target = 0;
    /* every 64th row of residue pairs, from a random one on, and the rows around the middle */
    for (int64_t a = (int64_t)(random_word() % 64); a < p;
         a += (a > p / 2 - 64 && a < p / 2 + 4) ? 1 : 64)
        for (int64_t b = 0; b < q; b += (int64_t)c->n) {
            for (size_t j = 0; j < c->n; j++) {
                x.limb[0][j] = (uint64_t)a;
                x.limb[1][j] = (uint64_t)((b + (int64_t)j) % q);
            }
            ckks_conversion cv = convert_from(c, &x, v.limb[0]);
            ckks_conversion_apply(&cv, c, &out, &target, 1);
            int64_t inverse = (int64_t)c->inverse[0][1];
            for (size_t j = 0; j < c->n; j++) {
                int64_t y = (b + (int64_t)j) % q,
                        z = a + p * ((((y - a) % q + q) % q) * inverse % q);
                if (2 * z > p * q) z -= p * q;
                ck_assert_msg((int64_t)out.limb[0][j] == (z % t + t) % t,
                              "residues %" PRId64 ", %" PRId64 " give %" PRIu64, a, y,
                              out.limb[0][j]);
            }
        }
    poly_destroy(&x);
    poly_destroy(&out);
    poly_destroy(&v);
    ring_close(&r);
}
END_TEST

#ifdef HAVE_GMP
/* Primes of 20 to 50 bits of every role. shared: the lowest has a limb of its own, the next two of
 * each two do not, up to the tenth. */
static ring mixed_ring(unsigned log_n, int shared)
{
    ring r;
    ckks_params_spec spec = named_spec("toy-boot");
    spec.log_n = log_n;
    spec.base_bits = 50;
    spec.residual_bits = shared ? 24.5 : 27;
    spec.stc_bits = 21;
    spec.hamming_weight = 4;
    spec.limb_bits = shared ? CKKS_MAX_PRIME_BITS : 0;
    ring_open(&r, &spec, tables[0]->name);
    ck_assert_uint_eq(r.params->shared & 0xff, shared ? 0x2a : 0);
    return r;
}

/* Integers modulo D at the limits of the centred range and at random. Returns how close to the wrap
 * one may be: |x| > D/2 - margin may come out as x -+ D. */
static void fill_range(mpz_t *x, size_t n, const mpz_t d, gmp_randstate_t state)
{
    mpz_t half;
    mpz_init(half);
    mpz_fdiv_q_2exp(half, d, 1);
    for (size_t i = 0; i < n; i++) {
        switch (i) {
        case 0: mpz_set_ui(x[i], 0); break;
        case 1: mpz_set_ui(x[i], 1); break;
        case 2: mpz_set_si(x[i], -1); break;
        case 3: mpz_set(x[i], half); break;
        case 4: mpz_neg(x[i], half); break;
        case 5: mpz_sub_ui(x[i], half, 1); break;
        case 6: mpz_fdiv_q_2exp(x[i], d, 2); break;
        case 7: mpz_mul_ui(x[i], half, 9), mpz_fdiv_q_ui(x[i], x[i], 10); break;
        case 8: mpz_mul_si(x[i], half, -9), mpz_tdiv_q_ui(x[i], x[i], 10); break;
        default:
            mpz_urandomm(x[i], state, d);
            integer_centre(x[i], d);
            if (i % 4 == 0) mpz_fdiv_q_2exp(x[i], x[i], random_word() % 60); /* small ones too */
        }
    }
    mpz_clear(half);
}

/* Whether doubles can tell x from x -+ D: |x| is below D/2 by more than 2^-44 D. */
static int decidable(const mpz_t x, const mpz_t d)
{
    mpz_t room, bound;
    mpz_inits(room, bound, NULL);
    mpz_abs(room, x);
    mpz_mul_2exp(room, room, 1);
    mpz_sub(room, d, room);
    mpz_fdiv_q_2exp(bound, d, 43);
    int yes = mpz_cmp(room, bound) > 0;
    mpz_clears(room, bound, NULL);
    return yes;
}

static void check_conversion(const ring *r, ckks_basis from, gmp_randstate_t state)
{
    const ckks_context *c = r->context;
    unsigned target[CKKS_MAX_PRIMES];
    mpz_t *x = integers_create(c->n), d, other;
    ckks_poly y = poly_create(r, from), v = poly_create(r, 1),
              out = poly_create(r, (r->chain | r->special) & ~from);
    mpz_inits(d, other, NULL);
    integer_product(d, r, from);
    fill_range(x, c->n, d, state);
    for (unsigned i = 0; i < y.limbs; i++)
        for (size_t j = 0; j < c->n; j++)
            y.limb[i][j] = mpz_fdiv_ui(x[j], c->modulus[y.modulus[i]].p);
    for (unsigned t = 0; t < out.limbs; t++) target[t] = t;
    ckks_conversion cv = convert_from(c, &y, v.limb[0]);
    ckks_conversion_apply(&cv, c, &out, target, out.limbs);
    for (size_t j = 0; j < c->n; j++) {
        int exact = 1, wrapped = 1;
        if (mpz_sgn(x[j]) > 0)
            mpz_sub(other, x[j], d);
        else
            mpz_add(other, x[j], d);
        for (unsigned t = 0; t < out.limbs; t++) {
            uint64_t m = c->modulus[out.modulus[t]].p;
            exact &= out.limb[t][j] == mpz_fdiv_ui(x[j], m);
            wrapped &= out.limb[t][j] == mpz_fdiv_ui(other, m);
        }
        if (!exact && (decidable(x[j], d) || !wrapped))
            ck_abort_msg("from basis %#" PRIx64 ": coefficient %zu is wrong", from, j);
    }
    poly_destroy(&y);
    poly_destroy(&v);
    poly_destroy(&out);
    integers_destroy(x, c->n);
    mpz_clears(d, other, NULL);
}

/* At least one prime, at most 30, not all. */
static ckks_basis random_basis(ckks_basis all)
{
    ckks_basis basis;
    do basis = random_word() & (random_word() | random_word()) & all;
    while (!basis || basis == all || ckks_basis_count(basis) > 30);
    return basis;
}

START_TEST(conversion)
{
    gmp_randstate_t state;
    gmp_randinit_default(state);
    gmp_randseed_ui(state, random_word());
    for (unsigned log_n = 4; log_n <= 8; log_n += 2) {
        ring r = mixed_ring(log_n, _i);
        for (ckks_basis prefix = 1; prefix < r.chain; prefix = prefix << 1 | 1)
            check_conversion(&r, prefix, state);
        check_conversion(&r, r.special, state);
        check_conversion(&r, (ckks_basis)1 << 5, state);
        for (ckks_basis some = 2; log_n == 4 && some < 0x80; some += 2)
            check_conversion(&r, some, state);
        for (int k = 0; k < 60; k++) check_conversion(&r, random_basis(r.chain | r.special), state);
        ring_close(&r);
    }
    gmp_randclear(state);
}
END_TEST

static void check_division(ring *r, ckks_basis basis, ckks_basis remaining, size_t count,
                           gmp_randstate_t state)
{
    const ckks_context *c = r->context;
    enum { MOST = 3 };
    ckks_poly in[MOST], out[MOST];
    mpz_t *x[MOST], *y = integers_create(c->n), q, d, kept, rest;
    mpz_inits(q, d, kept, rest, NULL);
    integer_product(q, r, basis);
    integer_product(d, r, basis & ~remaining);
    integer_product(kept, r, remaining);
    for (size_t k = 0; k < count; k++) {
        in[k] = poly_create(r, basis);
        out[k] = poly_create(r, remaining);
        x[k] = integers_create(c->n);
        fill_range(x[k], c->n, q, state);
        /* the divisor's own ties and their neighbours */
        mpz_fdiv_q_2exp(x[k][9], d, 1);
        mpz_add_ui(x[k][10], x[k][9], 1);
        mpz_neg(x[k][11], x[k][9]);
        poly_from_integers(r, &in[k], x[k]);
    }
    ckks_mark mark = ckks_workspace_mark(r->ws);
    ck_assert_ok(ckks_divide_round(c, r->ws, count, out, in));
    ckks_mark after = ckks_workspace_mark(r->ws);
    ck_assert(mark.current == after.current && mark.used == after.used);
    for (size_t k = 0; k < count; k++) {
        integers_from_poly(y, r, &out[k]);
        for (size_t j = 0; j < c->n; j++) {
            /* x - D y = the centred rest, up to the wrap of doubles */
            mpz_set(rest, x[k][j]);
            mpz_submul(rest, d, y[j]);
            mpz_mul(q, kept, d);
            integer_centre(rest, q);
            mpz_mul_2exp(rest, rest, 1);
            int inside = mpz_cmpabs(rest, d) <= 0;
            mpz_set(rest, x[k][j]);
            integer_centre(rest, d);
            if (!inside && decidable(rest, d))
                ck_abort_msg("basis %#" PRIx64 " to %#" PRIx64
                             ": coefficient %zu of polynomial %zu is wrong",
                             basis, remaining, j, k);
            /* at a tie either neighbour, never further */
            if (!inside) {
                mpz_set(rest, x[k][j]);
                mpz_submul(rest, d, y[j]);
                mpz_mul(q, kept, d);
                integer_centre(rest, q);
                ck_assert_int_le(mpz_cmpabs(rest, d), 0);
            }
        }
        integers_destroy(x[k], c->n);
        poly_destroy(&in[k]);
        poly_destroy(&out[k]);
    }
    integers_destroy(y, c->n);
    mpz_clears(q, d, kept, rest, NULL);
}

START_TEST(division)
{
    gmp_randstate_t state;
    gmp_randinit_default(state);
    gmp_randseed_ui(state, random_word());
    for (unsigned log_n = 4; log_n <= 7; log_n++) {
        ring r = mixed_ring(log_n, _i);
        ckks_basis all = r.chain | r.special;
        check_division(&r, r.chain, r.chain & ~ckks_basis_top(r.chain), 2, state); /* rescale */
        check_division(&r, all, r.chain, 2, state);                                /* mod_down */
        /* both at once */
        check_division(&r, all, r.chain & ~ckks_basis_top(r.chain), 1, state);
        check_division(&r, r.chain, 1, 1, state);
        check_division(&r, r.chain, r.chain, 3, state);
        check_division(&r, 0x15, 0x11, 2, state);
        /* every part of every basis of the primes 1 to 6, which are three limbs or six */
        for (ckks_basis some = 2; log_n == 4 && some < 0x80; some += 2)
            for (ckks_basis part = some; part; part = (part - 1) & some)
                check_division(&r, some, part, 1, state);
        for (int k = 0; k < 40; k++) {
            ckks_basis basis = random_basis(all), remaining;
            do remaining = random_word() & basis;
            while (!remaining);
            check_division(&r, basis, remaining, 1 + (size_t)k % 3, state);
        }
        ring_close(&r);
    }
    gmp_randclear(state);
}
END_TEST
#endif

/* One conversion has room for 31 primes (kernel.h, CKKS_MAX_TERMS): more at once are refused, 31
 * are not. */
START_TEST(long_chain)
{
    ring r;
    ckks_params_spec spec = flat_spec(6, 40, 40, 30);
    ring_open(&r, &spec, NULL);
    ckks_complex z[32] = {{1, 0}};
    ckks_ciphertext *in = encrypt(&r, z, r.slots, 0x1p60, r.chain), *out = new_ciphertext(&r);
    /* so that the quotient's scale is a number */
    ck_assert_ok(ckks_ciphertext_set_scale(in, 0x1p1000));
    ck_assert_fails(ckks_rescale(r.context, r.ws, out, in, 1), FHOLA_LEVEL);
    ck_assert_uint_eq(ckks_ciphertext_basis(out), 0);
    ck_assert_ok(ckks_rescale(r.context, r.ws, out, in, 0x3ff));
    ckks_ciphertext_destroy(in);
    ckks_ciphertext_destroy(out);
    ring_close(&r);
}
END_TEST

static void add_tests(TCase *tcase)
{
    int end = (int)ckks_kernel_list(tables);
    tcase_add_loop_test(tcase, conversion_exhaustive, 0, end);
    tcase_add_test(tcase, long_chain);
#ifdef HAVE_GMP
    tcase_add_loop_test(tcase, conversion, 0, 2);
    tcase_add_loop_test(tcase, division, 0, 2);
#endif
}

int main(void)
{
    test_seed(0);
#ifndef HAVE_GMP
    puts("without GMP: conversion and division of big integers are not tested");
#endif
    return test_run("rns", add_tests, 120);
}
