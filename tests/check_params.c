/* SPDX-License-Identifier: Apache-2.0 */
/* Parameter sets: primes and their roles, digits, and that nothing above a security bound gets
 * through. */
#include "ckks/scheme/params.h"

#include "tests/support.h"

/* All built-in names, then the toy sets, which are not listed. */
static const char *set_name(int i)
{
    static const char *const toys[] = {"toy", "toy-boot"};
    int listed = 0;
    while (ckks_params_name((size_t)listed)) listed++;
    return i < listed ? ckks_params_name((size_t)i) : i < listed + 2 ? toys[i - listed] : NULL;
}

static ckks_params *create(const ckks_params_spec *spec)
{
    ckks_params *p = NULL;
    ck_assert_ok(ckks_params_create(&p, spec));
    return p;
}

/* ---- primality ---- */

START_TEST(is_prime_sieve)
{
    enum { LIMIT = 1000000 };
    unsigned char *composite = calloc(LIMIT, 1);
    ck_assert_ptr_nonnull(composite);
    composite[0] = composite[1] = 1;
    for (size_t i = 2; i * i < LIMIT; i++)
        if (!composite[i])
            for (size_t j = i * i; j < LIMIT; j += i) composite[j] = 1;
    for (size_t i = 0; i < LIMIT; i++)
        ck_assert_msg(ckks_is_prime(i) == !composite[i], "%zu is %sprime", i,
                      composite[i] ? "not " : "");
    free(composite);
}
END_TEST

/* Strong pseudoprimes to many bases, Carmichael numbers, prime squares, the ends of the range. */
START_TEST(is_prime_hard)
{
    static const uint64_t composite[] = {2047,
                                         1373653,
                                         25326001,
                                         3215031751u,
                                         2152302898747u,
                                         3474749660383u,
                                         341550071728321u,
                                         3825123056546413051u,
                                         561,
                                         1729,
                                         825265,
                                         321197185,
                                         9746347772161u,
                                         (uint64_t)4294967291u * 4294967291u,
                                         18446744073709551615u};
    static const uint64_t prime[] = {18446744073709551557u, 9223372036854775783u, 4294967291u,
                                     1125899906842597u, 281474976710597u};
    for (size_t i = 0; i < sizeof composite / sizeof composite[0]; i++)
        ck_assert_msg(!ckks_is_prime(composite[i]), "%" PRIu64 " is composite", composite[i]);
    for (size_t i = 0; i < sizeof prime / sizeof prime[0]; i++)
        ck_assert_msg(ckks_is_prime(prime[i]), "%" PRIu64 " is prime", prime[i]);
}
END_TEST

#ifdef HAVE_GMP
START_TEST(is_prime_random)
{
    mpz_t x;
    mpz_init(x);
    for (int i = 0; i < 20000; i++) {
        uint64_t n = random_word() >> (i % 50) | 1;
        mpz_set_ui(x, n);
        ck_assert_msg(ckks_is_prime(n) == (mpz_probab_prime_p(x, 30) > 0), "%" PRIu64, n);
    }
    mpz_clear(x);
}
END_TEST

START_TEST(modular_arithmetic)
{
    mpz_t a, b, p, r;
    mpz_inits(a, b, p, r, NULL);
    for (int i = 0; i < 5000; i++) {
        mpz_set_ui(p, (random_word() >> (1 + i % 48)) | 4);
        mpz_nextprime(p, p);
        uint64_t prime = mpz_get_ui(p), x = random_word() % prime, e = random_word() >> (i % 60);
        if (prime >> 63) continue;
        mpz_set_ui(a, x);
        mpz_set_ui(b, e);
        mpz_powm(r, a, b, p);
        ck_assert_uint_eq(ckks_mod_pow(x, e, prime), mpz_get_ui(r));
        mpz_mul_ui(r, a, e % prime);
        ck_assert_uint_eq(ckks_mod_mul(x, e % prime, prime), mpz_fdiv_ui(r, prime));
        if (x) ck_assert_uint_eq(ckks_mod_mul(ckks_mod_inverse(x, prime), x, prime), 1);
    }
    mpz_clears(a, b, p, r, NULL);
}
END_TEST

START_TEST(log2_products)
{
    ring r;
    ckks_params_spec spec = named_spec(set_name(_i));
    memset(&r, 0, sizeof r);
    r.params = create(&spec);
    mpz_t product;
    mpz_init(product);
    for (int i = 0; i < 100; i++) {
        ckks_basis all = ckks_basis_chain(r.params) | ckks_basis_special(r.params),
                   basis = i ? random_word() & all : all;
        long exponent;
        integer_product(product, &r, basis);
        double mantissa = mpz_get_d_2exp(&exponent, product);
        ck_assert_double_eq_tol(ckks_params_log2(r.params, basis),
                                log2(mantissa) + (double)exponent, 1e-9);
    }
    mpz_clear(product);
    ckks_params_destroy(r.params);
}
END_TEST
#endif

/* ---- primes and roles ---- */

static void check_bits(const ckks_params *p, ckks_basis basis, double bits)
{
    for (unsigned i = 0; i < CKKS_MAX_PRIMES; i++)
        if (basis >> i & 1)
            ck_assert_double_eq_tol(log2((double)ckks_params_prime(p, i)), bits,
                                    bits <= 24 ? 0.5 : 0.05);
}

START_TEST(primes_and_roles)
{
    ckks_params_spec spec = named_spec(set_name(_i));
    ckks_params *p = create(&spec);
    unsigned total = ckks_params_chain(p) + ckks_params_special(p);
    ck_assert_uint_eq(ckks_params_chain(p), 1 + spec.stc_levels + spec.residual_levels +
                                                spec.eval_mod_levels + spec.cts_levels);
    ck_assert_uint_eq(ckks_params_special(p), spec.special_primes);
    for (unsigned i = 0; i < total; i++) {
        uint64_t x = ckks_params_prime(p, i);
        ck_assert(ckks_is_prime(x));
        ck_assert_uint_eq(x % ((uint64_t)2 << spec.log_n), 1);
        ck_assert_uint_lt(x, (uint64_t)1 << 50);
        for (unsigned j = 0; j < i; j++) ck_assert_uint_ne(x, ckks_params_prime(p, j));
    }
    ck_assert_uint_eq(ckks_params_prime(p, total), 0);

    ckks_basis role[] = {
        ckks_basis_base(p),     ckks_basis_stc(p), ckks_basis_residual(p, spec.residual_levels),
        ckks_basis_eval_mod(p), ckks_basis_cts(p), ckks_basis_special(p)};
    unsigned count[] = {1,
                        spec.stc_levels,
                        spec.residual_levels,
                        spec.eval_mod_levels,
                        spec.cts_levels,
                        spec.special_primes};
    ckks_basis seen = 0;
    for (int k = 0; k < 6; k++) {
        ck_assert_uint_eq(ckks_basis_count(role[k]), count[k]);
        ck_assert_msg((role[k] & seen) == 0, "role %d overlaps a lower one", k);
        ck_assert_msg(role[k] == 0 || role[k] > seen, "role %d is below another", k);
        seen |= role[k];
    }
    ck_assert_uint_eq(seen, ckks_basis_chain(p) | ckks_basis_special(p));
    ck_assert_uint_eq(ckks_basis_residual(p, 1000), role[2]);
    ck_assert_uint_eq(ckks_basis_residual(p, 0), 0);

    check_bits(p, role[0], spec.base_bits);
    check_bits(p, role[1], spec.stc_bits);
    for (unsigned l = 0; l < spec.residual_levels; l++) {
        double low = l < 2 ? spec.residual_low_bits[l] : 0;
        check_bits(p, ckks_basis_residual(p, l + 1) & ~ckks_basis_residual(p, l),
                   low > 0 ? low : spec.residual_bits);
    }
    check_bits(p, role[4], spec.cts_bits);
    check_bits(p, role[5], spec.special_bits);
    /* The EvalMod prime of depth l, top first, takes S_l^2 to S_(l+1), and the last lands on
     * 2^scale_bits / (2 pi eps). */
    ckks_basis left = role[3];
    for (unsigned l = 0; l < spec.eval_mod_levels; l++) {
        double next = l + 1 < spec.eval_mod_levels
                          ? spec.eval_mod_scale_bits[l + 1]
                          : spec.scale_bits - log2(2 * acos(-1) * spec.eps);
        check_bits(p, ckks_basis_top(left), 2 * spec.eval_mod_scale_bits[l] - next);
        left &= ~ckks_basis_top(left);
    }
    ckks_params_destroy(p);
}
END_TEST

/* Digits partition the chain, each below P by 3.9 bits. */
START_TEST(digits)
{
    ckks_params_spec spec = named_spec(set_name(_i));
    ckks_params *p = create(&spec);
    double special = ckks_params_log2(p, ckks_basis_special(p));
    ckks_basis seen = 0;
    for (unsigned j = 0; j < ckks_params_digits(p); j++) {
        ckks_basis digit = ckks_params_digit(p, j);
        ck_assert_uint_ne(digit, 0);
        ck_assert_msg((digit & seen) == 0, "digit %u overlaps a lower one", j);
        ck_assert_double_le(ckks_params_log2(p, digit), special - 3.9);
        seen |= digit;
    }
    ck_assert_uint_eq(seen, ckks_basis_chain(p));
    ck_assert_uint_eq(ckks_params_digit(p, ckks_params_digits(p)), 0);
    /* One digit where the fewest special primes allow it. */
    for (ckks_basis q = 1; q < ckks_basis_chain(p); q = q << 1 | 1) {
        ckks_basis s = ckks_basis_special_for(p, q);
        ck_assert_uint_eq(s & ~ckks_basis_special(p), 0);
        if (s != ckks_basis_special(p)) {
            ck_assert_double_ge(ckks_params_log2(p, s), ckks_params_log2(p, q) + 3.9);
            ckks_basis fewer = s & ~ckks_basis_top(s);
            if (fewer)
                ck_assert_double_lt(ckks_params_log2(p, fewer), ckks_params_log2(p, q) + 3.9);
        }
    }
    ckks_params_destroy(p);
}
END_TEST

/* Limbs that two primes share: neighbours, below the limit, never apart in a digit, and all that
 * the limit allows from the bottom up. */
START_TEST(shared_limbs)
{
    ckks_params_spec spec = named_spec("R15");
    ckks_params *p = create(&spec);
    ckks_basis chain = ckks_basis_chain(p), low = 0;
    /* base, StC | StC, residual | two residual | two CtS */
    ck_assert_uint_eq(p->shared, 1 | 1 << 2 | 1 << 4 | 1 << 15);
    for (unsigned i = 0; i < p->chain; i++) {
        int shared = p->shared >> i & 1, taken = low >> i & 1;
        double both = i + 1 < p->chain ? ckks_params_log2(p, (ckks_basis)3 << i) : INFINITY;
        ck_assert_int_eq(shared, !taken && both < spec.limb_bits);
        if (shared) low |= (ckks_basis)1 << (i + 1);
    }
    for (ckks_basis q = 1; q <= chain; q = q << 1 | 1) {
        unsigned limbs = 0;
        for (unsigned i = 0; i < p->chain; i++)
            if (q >> i & 1) limbs += !(i && p->shared >> (i - 1) & 1);
        ck_assert_uint_eq(ckks_basis_limbs(p->shared, q), limbs);
        for (unsigned j = 0; j < ckks_params_digits(p); j++) {
            ckks_basis digit = ckks_params_digit(p, j);
            ck_assert_uint_eq(ckks_basis_partner(p, digit) & ~digit, 0);
        }
    }
    ck_assert_uint_eq(ckks_basis_partner(p, 1), 2);
    ck_assert_uint_eq(ckks_basis_partner(p, 2), 1);
    ck_assert_uint_eq(ckks_basis_partner(p, (ckks_basis)1 << 7), 0);
    ck_assert(ckks_basis_same_limbs(p->shared, 3, chain));
    ck_assert(ckks_basis_same_limbs(p->shared, 1, 1));
    ck_assert(ckks_basis_same_limbs(p->shared, 1, 5)); /* 2's partner is not there */
    ck_assert(!ckks_basis_same_limbs(p->shared, 1, chain));
    ck_assert(!ckks_basis_same_limbs(p->shared, 2, 3));
    ck_assert(!ckks_basis_same_limbs(p->shared, 3, 1));
    spec.limb_bits = 51;
    ckks_params *other = NULL;
    ck_assert_fails(ckks_params_create(&other, &spec), FHOLA_PARAM);
    spec.limb_bits = 48;
    spec.residual_low_bits[1] = -19.6;
    ck_assert_fails(ckks_params_create(&other, &spec), FHOLA_PARAM);
    ckks_params_destroy(p);
}
END_TEST

START_TEST(basis_helpers)
{
    ck_assert_uint_eq(ckks_basis_count(0), 0);
    ck_assert_uint_eq(ckks_basis_count(~(ckks_basis)0), 64);
    ck_assert_uint_eq(ckks_basis_top(0), 0);
    ck_assert_uint_eq(ckks_basis_top(0x15), 0x10);
    ck_assert_uint_eq(ckks_basis_top(~(ckks_basis)0), (ckks_basis)1 << 63);
    ck_assert_uint_eq(ckks_basis_lowest(0x50), 4);
}
END_TEST

/* Every prime in words, alone and with others. */
START_TEST(roles_in_words)
{
    static const struct {
        ckks_basis basis;
        const char *text;
    } want[] = {
        {0, "none"},
        {1, "base"},
        {0x7, "base, slots to coefficients 1-2"},
        {0xff, "base, slots to coefficients 1-2, residual 1-5"},
        {0x79, "base, residual 1-4"},
        {0xa8, "residual 1+3+5"},
        {0xd8, "residual 1-2+4-5"},
        {(ckks_basis)0x7f << 8, "sine evaluation 1-7"},
        {(ckks_basis)1 << 18, "coefficients to slots 4"},
        {(ckks_basis)3 << 19, "special 1-2"},
        {(ckks_basis)1 << 25, "1 unknown"},
        {(ckks_basis)1 << 63 | 1, "base, 1 unknown"},
    };
    ckks_params *p = NULL;
    ck_assert_ok(ckks_params_named(&p, "R15"));
    for (size_t k = 0; k < sizeof want / sizeof want[0]; k++)
        ck_assert_str_eq(ckks_basis_describe(p, want[k].basis).text, want[k].text);
    /* the longest text there is has room */
    ckks_basis alternating = 0x5555555555555555;
    ck_assert_uint_lt(strlen(ckks_basis_describe(p, alternating).text),
                      sizeof(ckks_basis_text) - 1);
    ck_assert_str_eq(ckks_params_role(p, 0), "base");
    ck_assert_str_eq(ckks_params_role(p, 24), "special");
    ck_assert_str_eq(ckks_params_role(p, 25), "");
    ck_assert_str_eq(ckks_params_role(p, 64), "");
    ck_assert_uint_eq(ckks_basis_level(p, 0), 0x7);
    ck_assert_uint_eq(ckks_basis_level(p, 2), 0x1f);
    ckks_params_destroy(p);
}
END_TEST

/* ---- security ---- */

START_TEST(caps)
{
    static const struct {
        unsigned log_n;
        double cap;
    } table[] = {{15, 868}, {16, 1747}, {17, 3523}}; /* ePrint 2024/463, table 5.2 */
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        /* Up to the last accepted number of levels the product stays below the cap, with the next
         * it would not. */
        ckks_params_spec spec = flat_spec(table[i].log_n, 50, 1, 49);
        spec.insecure = 0;
        spec.special_primes = 1;
        spec.special_bits = 50;
        double last = 0;
        for (;; spec.residual_levels++) {
            ckks_params *p = NULL;
            if (spec.residual_levels > 62) break; /* the ring's cap is beyond 64 primes */
            spec.residual_bits = 45;
            fhola_status st = ckks_params_create(&p, &spec);
            if (st == FHOLA_PARAM) break; /* digits or primes run out before the cap */
            if (st) {
                ck_assert_int_eq(st, FHOLA_SECURITY);
                ck_assert_ptr_null(p);
                ck_assert_double_gt(last + 45.1, table[i].cap);
                break;
            }
            last = ckks_params_log2(p, ckks_basis_chain(p) | ckks_basis_special(p));
            ck_assert_double_le(last, table[i].cap);
            ck_assert_double_eq(ckks_params_log2_cap(p), table[i].cap);
            ckks_params_destroy(p);
        }
    }
}
END_TEST

START_TEST(named_sets_are_secure)
{
    size_t i = 0;
    for (const char *name; (name = ckks_params_name(i)); i++) {
        ckks_params *p;
        ck_assert_ok(ckks_params_named(&p, name));
        double qp = ckks_params_log2(p, ckks_basis_chain(p) | ckks_basis_special(p));
        printf("%s: log2(QP) = %.2f of %.0f, ephemeral %.2f of %.0f\n", name, qp,
               ckks_params_log2_cap(p), ckks_params_log2_ephemeral(p),
               ckks_params_log2_ephemeral_cap(p));
        ck_assert_int_eq(ckks_params_get_spec(p)->insecure, 0);
        int large = ckks_params_get_spec(p)->log_n == 16;
        ck_assert(large || ckks_params_get_spec(p)->log_n == 15);
        ck_assert_double_le(qp, large ? 1747 : 868);
        ck_assert_double_gt(ckks_params_log2_ephemeral(p), 0);
        ck_assert_double_eq_tol(ckks_params_log2_ephemeral(p),
                                log2((double)ckks_params_prime(p, 0)) +
                                    log2((double)ckks_params_prime(p, ckks_params_chain(p))),
                                1e-9);
        ck_assert_double_le(ckks_params_log2_ephemeral(p), ckks_params_log2_ephemeral_cap(p));
        ck_assert_double_le(ckks_params_log2_ephemeral_cap(p), large ? 121 : 84);
        ckks_params_destroy(p);
    }
    ck_assert_uint_ge(i, 3);
}
END_TEST

START_TEST(refused_as_insecure)
{
    ckks_params *p = NULL;
    ckks_params_spec spec = named_spec("R15");
    /* 96 bits more than the set has, which is within 50 bits of the cap */
    spec.special_primes += 2;
    ck_assert_fails(ckks_params_create(&p, &spec), FHOLA_SECURITY);
    spec = named_spec("R15");
    spec.residual_levels += 2; /* 56 bits more */
    ck_assert_fails(ckks_params_create(&p, &spec), FHOLA_SECURITY);
    spec = named_spec("R15");
    spec.log_n = 14;
    ck_assert_fails(ckks_params_create(&p, &spec), FHOLA_SECURITY);
    spec = named_spec("R15");
    spec.hamming_weight = 31;
    ck_assert_fails(ckks_params_create(&p, &spec), FHOLA_SECURITY);
    /* q0 p0 at 88 bits: above what weight 32 carries at N = 2^15, below what it carries at 2^16. */
    spec = named_spec("R15");
    spec.base_bits = 40;
    spec.special_bits = 47.9;
    spec.residual_levels = 3;
    ck_assert_fails(ckks_params_create(&p, &spec), FHOLA_SECURITY);
    ck_assert_ptr_nonnull(strstr(fhola_detail(), "ephemeral"));
    spec.log_n = 16;
    ck_assert_ok(ckks_params_create(&p, &spec));
    ckks_params_destroy(p);
    p = NULL;
    /* Small rings only with the flag. */
    spec = named_spec("toy");
    ck_assert(spec.insecure);
    spec.insecure = 0;
    ck_assert_fails(ckks_params_create(&p, &spec), FHOLA_SECURITY);
    spec = named_spec("toy-boot");
    ck_assert(spec.insecure);
    spec.insecure = 0;
    ck_assert_fails(ckks_params_create(&p, &spec), FHOLA_SECURITY);
    ck_assert_ptr_null(p);
}
END_TEST

/* Sets like those of a stranger's file: as many bits as the cap allows, no bootstrapping. */
static ckks_params_spec plain_spec(void)
{
    ckks_params_spec spec = flat_spec(15, 28, 4, 28);
    spec.insecure = 0;
    return spec;
}

/* An ephemeral secret only where bootstrapping bounds it, and never one that can be guessed. */
START_TEST(ephemeral_weights)
{
    static const unsigned weight[] = {1, 5, 31};
    ckks_params *p = NULL;
    for (size_t i = 0; i < 3; i++) {
        ckks_params_spec plain = plain_spec(), boot = named_spec("R15");
        plain.hamming_weight = boot.hamming_weight = weight[i];
        ck_assert_fails(ckks_params_create(&p, &plain), FHOLA_PARAM);
        ck_assert_fails(ckks_params_create(&p, &boot), FHOLA_SECURITY);
        plain.insecure = 1;
        ck_assert_fails(ckks_params_create(&p, &plain), FHOLA_PARAM);
    }
    ckks_params_spec spec = plain_spec();
    ckks_params_destroy(create(&spec));
    static const unsigned without[] = {32, 1u << 14, UINT32_MAX};
    for (size_t i = 0; i < 3; i++) {
        spec.hamming_weight = without[i];
        ck_assert_fails(ckks_params_create(&p, &spec), FHOLA_PARAM);
    }
    spec = named_spec("R15");
    spec.hamming_weight = 0;
    ck_assert_fails(ckks_params_create(&p, &spec), FHOLA_PARAM);
    spec.hamming_weight = (1u << 14) + 1;
    ck_assert_fails(ckks_params_create(&p, &spec), FHOLA_PARAM);
    spec.hamming_weight = 1u << 14;
    ckks_params_destroy(create(&spec));
    ck_assert_ptr_null(p);
}
END_TEST

/* Levels whose sum is 0 modulo 2^32, or small, are not none. */
START_TEST(sums_of_levels)
{
    static const unsigned levels[][3] = {{1, UINT32_MAX - 1, 1},        {1u << 31, 1u << 31, 0},
                                         {1u << 31, (1u << 31) - 1, 1}, {UINT32_MAX, 7, 4},
                                         {2, 7, UINT32_MAX - 7},        {0, UINT32_MAX, 1}};
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++)
        for (unsigned weight = 0; weight < 2; weight++) {
            ckks_params *p = NULL;
            ckks_params_spec spec = weight ? plain_spec() : named_spec("R15");
            spec.stc_levels = levels[i][0];
            spec.eval_mod_levels = levels[i][1];
            spec.cts_levels = levels[i][2];
            spec.hamming_weight = weight;
            ck_assert_fails(ckks_params_create(&p, &spec), FHOLA_PARAM);
            ck_assert_ptr_null(p);
        }
}
END_TEST

/* A number that is none, in any field, used by the set or not. */
START_TEST(not_finite)
{
    static const double wrong[] = {(double)NAN, (double)INFINITY, -(double)INFINITY};
    for (int plain = 0; plain < 2; plain++)
        for (unsigned i = 0, fields = 1; i < fields; i++)
            for (int k = 0; k < 3; k++) {
                ckks_params *p = NULL;
                ckks_params_spec spec = plain ? plain_spec() : named_spec("R15");
#define SKIP(...)
#define REAL(name, slot, need) &spec.name,
#define PAIR(name, slot, need) &spec.name[0], &spec.name[1],
#define SCALES(name, need)     &spec.name[0], &spec.name[CKKS_MAX_EVAL_MOD_LEVELS - 1],
                double *field[] = {CKKS_PARAMS_FIELDS(SKIP, SKIP, REAL, PAIR, SCALES)};
                fields = sizeof field / sizeof field[0];
                *field[i] = wrong[k];
                ck_assert_fails(ckks_params_create(&p, &spec), FHOLA_PARAM);
                ck_assert_ptr_null(p);
            }
    /* the working scale that comes from a size no prime has */
    ckks_params *p = NULL;
    ckks_params_spec spec = plain_spec();
    spec.residual_levels = 2;
    spec.residual_low_bits[0] = spec.residual_low_bits[1] = 28;
    spec.residual_bits = 1e300;
    ck_assert_fails(ckks_params_create(&p, &spec), FHOLA_PARAM);
}
END_TEST

/* ---- other errors ---- */

#define REFUSED(base, change)                                                                      \
    do {                                                                                           \
        ckks_params *p_ = NULL;                                                                    \
        ckks_params_spec spec = named_spec(base);                                                  \
        change;                                                                                    \
        ck_assert_fails(ckks_params_create(&p_, &spec), FHOLA_PARAM);                              \
        ck_assert_ptr_null(p_);                                                                    \
    } while (0)

START_TEST(refused_as_impossible)
{
    REFUSED("toy", spec.log_n = 3);
    REFUSED("toy", spec.log_n = 18);
    REFUSED("toy", spec.residual_levels = 0);
    REFUSED("toy", spec.residual_levels = 64);
    REFUSED("toy", spec.residual_levels = UINT32_MAX);
    REFUSED("toy", spec.special_primes = 0);
    REFUSED("toy", spec.special_primes = 17);
    REFUSED("toy", spec.base_bits = 11);
    REFUSED("toy", spec.base_bits = 51);
    REFUSED("toy", spec.base_bits = (double)NAN);
    REFUSED("toy", spec.special_bits = 30; spec.special_primes = 1); /* 30 < 28 + 3.9 */
    REFUSED("toy", spec.stc_levels = 1);                             /* bootstrapping in part */
    REFUSED("toy-boot", spec.cts_levels = 0);
    REFUSED("toy-boot", spec.eps = 0);
    REFUSED("toy-boot", spec.eps = 0.26);
    REFUSED("toy-boot", spec.eps = (double)NAN);
    REFUSED("toy-boot", spec.eval_mod_degree = 31);
    REFUSED("toy-boot", spec.eval_mod_degree = 128);
    REFUSED("toy-boot", spec.eval_mod_levels = 6);
    REFUSED("toy-boot", spec.double_angles = 3);
    /* 1 + 4 + r wraps around to 4 */
    REFUSED("toy-boot", spec.double_angles = UINT32_MAX; spec.eval_mod_levels = 4);
    REFUSED("toy-boot", spec.eval_mod_range = 0);
    REFUSED("toy-boot", spec.eval_mod_range = 65);
    REFUSED("toy-boot", spec.hamming_weight = 0);
    REFUSED("toy-boot", spec.hamming_weight = 513);
    REFUSED("toy-boot", spec.eval_mod_scale_bits[3] = (double)NAN);
}
END_TEST

/* One base conversion has room for 31 primes (kernel.h, CKKS_MAX_TERMS): no digit and no special
 * modulus may be longer. */
START_TEST(digits_fit_a_conversion)
{
    ckks_params *p = NULL;
    ckks_params_spec spec = flat_spec(4, 20, 42, 20);
    spec.special_primes = 16;
    spec.special_bits = 50;
    if (ckks_params_create(&p, &spec) == FHOLA_OK)
        for (unsigned j = 0; j < ckks_params_digits(p); j++)
            ck_assert_uint_le(ckks_basis_count(ckks_params_digit(p, j)), 31);
    ckks_params_destroy(p);
}
END_TEST

/* Parameters from a hostile file: refused, or digits that partition the chain and fit every array,
 * after a bounded search (the time limit of the test). */
START_TEST(any_digits)
{
    int made = 0, searched = 0;
    for (int k = 0; k < 300; k++) {
        double low = 20 + (double)(random_word() % 20);
        ckks_params_spec spec = flat_spec(4, low, 1 + (unsigned)(random_word() % 40),
                                          low + (double)(random_word() % 10));
        spec.special_primes = 1 + (uint32_t)(random_word() % 16);
        spec.special_bits = low + (double)(random_word() % 12);
        ckks_params *p = NULL;
        if (ckks_params_create(&p, &spec)) continue;
        ckks_basis seen = 0;
        double room = ckks_params_log2(p, ckks_basis_special(p)) - 3.9;
        ck_assert_uint_le(ckks_params_digits(p), CKKS_MAX_DIGITS);
        for (unsigned j = 0; j < ckks_params_digits(p); j++) {
            ckks_basis digit = ckks_params_digit(p, j);
            ck_assert_uint_ne(digit, 0);
            ck_assert_uint_eq(digit & seen, 0);
            ck_assert_uint_le(ckks_basis_count(digit), 31);
            ck_assert_double_le(ckks_params_log2(p, digit), room);
            seen |= digit;
        }
        ck_assert_uint_eq(seen, ckks_basis_chain(p));
        searched += ckks_params_digits(p) > ceil(ckks_params_log2(p, seen) / room);
        made++;
        ckks_params_destroy(p);
    }
    printf("%d of 300 sets made, %d after a search in vain\n", made, searched);
    ck_assert_int_ge(made, 50);
    ck_assert_int_ge(searched, 5);
}
END_TEST

START_TEST(names)
{
    ckks_params *p = NULL;
    ckks_params_spec spec;
    ck_assert_str_eq(ckks_params_name(0), "R15");
    ck_assert_ptr_null(ckks_params_name(1000));
    for (size_t i = 0; ckks_params_name(i); i++)
        ck_assert_ptr_null(strstr(ckks_params_name(i), "toy"));
    ck_assert_fails(ckks_params_named(&p, "R14"), FHOLA_PARAM);
    ck_assert_ptr_nonnull(strstr(fhola_detail(), "R14"));
    ck_assert_fails(ckks_params_spec_named(&spec, ""), FHOLA_PARAM);
    ck_assert_ptr_null(p);
}
END_TEST

/* The hash tells parameter sets apart and does not move for the default set, whose files it
 * binds. */
START_TEST(hashes)
{
    uint64_t hash[16];
    unsigned n = 0;
    ckks_params_spec spec = named_spec("toy-boot");
    for (int change = 0; change < 9; change++) {
        ckks_params_spec s = spec;
        if (change == 1) s.residual_levels--;
        if (change == 2) s.special_primes++;
        if (change == 3) s.eps = 0.12;
        if (change == 4) s.eval_mod_range = 12;
        if (change == 5) s.eval_mod_power = 0.4;
        if (change == 6) s.hamming_weight = 48;
        if (change == 7) s.log_n = 11;
        if (change == 8) s.eval_mod_scale_bits[3] += 0.5;
        ckks_params *p = create(&s);
        hash[n] = ckks_params_hash(p);
        for (unsigned i = 0; i < n; i++)
            ck_assert_msg(hash[i] != hash[n], "change %d does not change the hash", change);
        n++;
        ckks_params_destroy(p);
    }
    ckks_params *again = create(&spec);
    ck_assert_uint_eq(ckks_params_hash(again), hash[0]);
    /* the partition of the chain into digits is part of it: files name digits by their number
     * only */
    for (unsigned d = 0; d < again->digits; d++) {
        again->digit[d] ^= 1;
        ck_assert_uint_ne(ckks_params_hash_make(again), hash[0]);
        again->digit[d] ^= 1;
    }
    again->digits--;
    ck_assert_uint_ne(ckks_params_hash_make(again), hash[0]);
    again->digits++;
    ck_assert_uint_eq(ckks_params_hash_make(again), hash[0]);
    ckks_params_destroy(again);
}
END_TEST

static void add_tests(TCase *tcase)
{
    int sets = 0;
    while (set_name(sets)) sets++;
    tcase_add_test(tcase, is_prime_sieve);
    tcase_add_test(tcase, is_prime_hard);
#ifdef HAVE_GMP
    tcase_add_test(tcase, is_prime_random);
    tcase_add_test(tcase, modular_arithmetic);
    tcase_add_loop_test(tcase, log2_products, 0, sets);
#endif
    tcase_add_loop_test(tcase, primes_and_roles, 0, sets);
    tcase_add_loop_test(tcase, digits, 0, sets);
    tcase_add_test(tcase, shared_limbs);
    tcase_add_test(tcase, basis_helpers);
    tcase_add_test(tcase, roles_in_words);
    tcase_add_test(tcase, caps);
    tcase_add_test(tcase, named_sets_are_secure);
    tcase_add_test(tcase, refused_as_insecure);
    tcase_add_test(tcase, ephemeral_weights);
    tcase_add_test(tcase, sums_of_levels);
    tcase_add_test(tcase, not_finite);
    tcase_add_test(tcase, refused_as_impossible);
    tcase_add_test(tcase, digits_fit_a_conversion);
    tcase_add_test(tcase, any_digits);
    tcase_add_test(tcase, names);
    tcase_add_test(tcase, hashes);
}

int main(void)
{
    test_seed(0);
    return test_run("params", add_tests, 60);
}
