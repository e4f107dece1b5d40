/* SPDX-License-Identifier: Apache-2.0 */
#include "ckks/scheme/params.h"

#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "ckks/kernel/kernel.h"
#include "ckks/ring/elementary.h"
#include "ckks/ring/modular.h"

/* Named sets.
 *
 * R15: eps 1/4, K 11, degree 30, r 2, EvalMod scales 36, 40, 38, 36, 36, 35, 34. All other primes
 * are as small as 12 bits of precision allow, so that two of them share a limb and two digits
 * suffice for key switching (ARCHITECTURE.md, "Parameters"). R15-28 (the same with a limb for each
 * prime), R15-A3, R15-A2, R15-B: the sets it was chosen against. R16: for activations of up to 14
 * levels, with 21 bits of precision: K 12, degree 62, r 1. R16-6: six residual levels in the same
 * ring, its other sizes near those of R15. Toy sets keep every structural feature (same roles and
 * levels) in a ring small enough for exact oracles. */
/* clang-format off: one field after the other, as many as fit a line */
#define COSINE(levels, range, degree, doubles, ...)                                                \
    .eval_mod_levels = levels, .eval_mod_scale_bits = {__VA_ARGS__}, .eval_mod_range = range,      \
    .eval_mod_degree = degree, .double_angles = doubles, .eval_mod_power = 0.3,                    \
    .hamming_weight = 32
#define QUARTER_TURN      .eps = 0.25, COSINE(7, 11, 30, 2, 36, 40, 38, 36, 36, 35, 34)
#define FINE_QUARTER_TURN .eps = 0.25, COSINE(7, 11, 30, 2, 42, 46, 44, 42, 42, 41, 39)
#define EIGHTH_TURN       .eps = 0.125, COSINE(7, 12, 62, 1, 45, 47, 46, 46, 45.5, 45, 42)
static const struct {
    const char *name;
    ckks_params_spec spec;
} named[] = {
    {"R15",
     {QUARTER_TURN, .log_n = 15, .base_bits = 22, .stc_levels = 2, .stc_bits = 22,
      .residual_levels = 5, .residual_bits = 28, .residual_low_bits = {25.6, 19.6},
      .scale_bits = 28, .cts_levels = 4, .cts_bits = 24, .special_primes = 6, .special_bits = 48,
      .limb_bits = 48}},
    {"R15-28",
     {QUARTER_TURN, .log_n = 15, .base_bits = 28, .stc_levels = 2, .stc_bits = 24,
      .residual_levels = 5, .residual_bits = 28, .scale_bits = 28, .cts_levels = 3, .cts_bits = 28,
      .special_primes = 6, .special_bits = 48}},
    {"R15-A3",
     {QUARTER_TURN, .log_n = 15, .base_bits = 28, .stc_levels = 3, .stc_bits = 28,
      .residual_levels = 5, .residual_bits = 28, .scale_bits = 28, .cts_levels = 3, .cts_bits = 34,
      .special_primes = 5, .special_bits = 48}},
    {"R15-A2",
     {QUARTER_TURN, .log_n = 15, .base_bits = 28, .stc_levels = 2, .stc_bits = 28,
      .residual_levels = 5, .residual_bits = 28, .scale_bits = 28, .cts_levels = 2, .cts_bits = 34,
      .special_primes = 6, .special_bits = 48}},
    {"R15-B",
     {FINE_QUARTER_TURN, .log_n = 15, .base_bits = 32, .stc_levels = 2, .stc_bits = 32,
      .residual_levels = 5, .residual_bits = 32, .scale_bits = 32, .cts_levels = 2, .cts_bits = 40,
      .special_primes = 4, .special_bits = 48}},
    {"R16",
     {EIGHTH_TURN, .log_n = 16, .base_bits = 36, .stc_levels = 3, .stc_bits = 32,
      .residual_levels = 15, .residual_bits = 36, .scale_bits = 36, .cts_levels = 3, .cts_bits = 38,
      .special_primes = 12, .special_bits = 48}},
    {"R16-6",
     {QUARTER_TURN, .log_n = 16, .base_bits = 24, .stc_levels = 3, .stc_bits = 22.3,
      .residual_levels = 6, .residual_bits = 28, .residual_low_bits = {25.6, 19.6},
      .scale_bits = 28, .cts_levels = 4, .cts_bits = 24, .special_primes = 7, .special_bits = 48,
      .limb_bits = 48}},
    {"toy",
     {.log_n = 8,
      .base_bits = 28,
      .residual_levels = 6,
      .residual_bits = 28,
      .scale_bits = 28,
      .special_primes = 3,
      .special_bits = 48,
      .insecure = 1}},
    {"toy-boot",
     {QUARTER_TURN, .log_n = 10, .base_bits = 22, .stc_levels = 2, .stc_bits = 22,
      .residual_levels = 5, .residual_bits = 28, .residual_low_bits = {25.6, 19.6},
      .scale_bits = 28, .cts_levels = 3, .cts_bits = 24, .special_primes = 6, .special_bits = 48,
      .limb_bits = 48, .insecure = 1}},
};
/* clang-format on */
#define NAMED_COUNT (sizeof named / sizeof named[0])

/* `count` bits from bit `from` up. */
static ckks_basis span(unsigned from, unsigned count)
{
    return count == 0 ? 0 : (~(ckks_basis)0 >> (64 - count)) << from;
}

ckks_basis ckks_basis_base(const ckks_params *p)
{
    (void)p;
    return 1;
}

ckks_basis ckks_basis_stc(const ckks_params *p)
{
    return span(1, p->spec.stc_levels);
}

ckks_basis ckks_basis_residual(const ckks_params *p, unsigned levels)
{
    return span(1 + p->spec.stc_levels,
                levels < p->spec.residual_levels ? levels : p->spec.residual_levels);
}

ckks_basis ckks_basis_level(const ckks_params *p, unsigned level)
{
    return ckks_basis_base(p) | ckks_basis_stc(p) | ckks_basis_residual(p, level);
}

ckks_basis ckks_basis_eval_mod(const ckks_params *p)
{
    return span(1 + p->spec.stc_levels + p->spec.residual_levels, p->spec.eval_mod_levels);
}

ckks_basis ckks_basis_cts(const ckks_params *p)
{
    return span(1 + p->spec.stc_levels + p->spec.residual_levels + p->spec.eval_mod_levels,
                p->spec.cts_levels);
}

/* ---- roles in words ---- */

#define ROLES 6

typedef struct role {
    const char *name;
    ckks_basis basis;
} role;

static void roles_of(role out[ROLES], const ckks_params *p)
{
    out[0] = (role){"base", ckks_basis_base(p)};
    out[1] = (role){"slots to coefficients", ckks_basis_stc(p)};
    out[2] = (role){"residual", ckks_basis_residual(p, p->spec.residual_levels)};
    out[3] = (role){"sine evaluation", ckks_basis_eval_mod(p)};
    out[4] = (role){"coefficients to slots", ckks_basis_cts(p)};
    out[5] = (role){"special", ckks_basis_special(p)};
}

const char *ckks_params_role(const ckks_params *p, unsigned index)
{
    role roles[ROLES];
    roles_of(roles, p);
    for (int i = 0; i < ROLES; i++)
        if (index < CKKS_MAX_PRIMES && roles[i].basis >> index & 1) return roles[i].name;
    return "";
}

static void append(ckks_basis_text *out, const char *format, ...) FHOLA_PRINTF(2, 3);

static void append(ckks_basis_text *out, const char *format, ...)
{
    size_t used = strlen(out->text);
    va_list args;
    va_start(args, format);
    vsnprintf(out->text + used, sizeof out->text - used, format, args);
    va_end(args);
}

/* The numbers of the primes `part` of a role, those that follow each other as "first-last". */
static void append_numbers(ckks_basis_text *out, ckks_basis part, ckks_basis whole)
{
    unsigned below = ckks_basis_lowest(whole);
    char separator = ' ';
    while (part) {
        unsigned first = ckks_basis_lowest(part), last = first;
        while (last + 1 < CKKS_MAX_PRIMES && part >> (last + 1) & 1) last++;
        append(out, "%c%u", separator, first - below + 1);
        if (last > first) append(out, "-%u", last - below + 1);
        part &= ~span(first, last - first + 1);
        separator = '+';
    }
}

ckks_basis_text ckks_basis_describe(const ckks_params *p, ckks_basis basis)
{
    ckks_basis_text out = {""};
    role roles[ROLES];
    roles_of(roles, p);
    for (int i = 0; i < ROLES; i++) {
        ckks_basis part = basis & roles[i].basis;
        if (!part) continue;
        append(&out, "%s%s", out.text[0] ? ", " : "", roles[i].name);
        if (ckks_basis_count(roles[i].basis) > 1) append_numbers(&out, part, roles[i].basis);
        basis &= ~part;
    }
    if (basis) append(&out, "%s%u unknown", out.text[0] ? ", " : "", ckks_basis_count(basis));
    if (!out.text[0]) append(&out, "none");
    return out;
}

/* ---- levels and sizes ---- */

unsigned ckks_polynomial_depth(unsigned degree)
{
    unsigned depth = 0;
    while ((1u << depth) < degree + 1) depth++;
    return depth;
}

ckks_basis ckks_basis_chain(const ckks_params *p)
{
    return span(0, p->chain);
}

ckks_basis ckks_basis_special(const ckks_params *p)
{
    return span(p->chain, p->special);
}

ckks_basis ckks_basis_special_for(const ckks_params *p, ckks_basis q)
{
    double need = ckks_params_log2(p, q) + CKKS_DIGIT_MARGIN;
    for (unsigned n = 1; n <= p->special; n++)
        if (ckks_params_log2(p, span(p->chain, n)) >= need) return span(p->chain, n);
    return ckks_basis_special(p);
}

double ckks_params_log2(const ckks_params *p, ckks_basis basis)
{
    double sum = 0;
    for (unsigned i = 0; i < p->chain + p->special; i++)
        if (basis >> i & 1) sum += p->log2_prime[i];
    return sum;
}

/* Largest log2(QP) for 128-bit classical security with uniform ternary secrets (ePrint 2024/463,
 * table 5.2), by log2(N) from 10. */
double ckks_log2_cap(unsigned log_n)
{
    static const double cap[] = {26, 53, 106, 214, 430, 868, 1747, 3523};
    return log_n < 10 || log_n > 17 ? 0 : cap[log_n - 10];
}

/* Largest modulus of keys under the ephemeral secret of Hamming weight 32. At N = 2^16, h = 32
 * reaches 128 bits up to about 121 bits (ePrint 2022/024, section 5); at N = 2^15 published sets
 * with h = 32 stop between 84 and 96 bits, of which the lower end is taken. */
static double ephemeral_cap(unsigned log_n, unsigned weight)
{
    if (weight < CKKS_LEAST_WEIGHT) return 0;
    return log_n >= 16 ? 121 : log_n == 15 ? 84 : 0;
}

double ckks_params_log2_cap(const ckks_params *p)
{
    return ckks_log2_cap(p->spec.log_n);
}

double ckks_params_log2_ephemeral(const ckks_params *p)
{
    return p->spec.eval_mod_levels ? p->log2_prime[0] + p->log2_prime[p->chain] : 0;
}

double ckks_params_log2_ephemeral_cap(const ckks_params *p)
{
    return ephemeral_cap(p->spec.log_n, p->spec.hamming_weight);
}

unsigned ckks_shrunk_log_degree(const ckks_params *p, ckks_basis basis, size_t period)
{
    double bits = ckks_params_log2(p, basis | ckks_basis_special_for(p, basis));
    unsigned log_degree = CKKS_LEAST_LOG_DEGREE;
    if (p->spec.insecure && p->spec.log_n > CKKS_LEAST_LOG_DEGREE + 3)
        log_degree = p->spec.log_n - 3; /* as in secure sets */
    while (log_degree < p->spec.log_n && ((size_t)1 << log_degree < 2 * period ||
                                          (!p->spec.insecure && bits > ckks_log2_cap(log_degree))))
        log_degree++;
    return log_degree;
}

/* The prime nearest to 2^bits that is 1 modulo 2N, not yet taken and on the cheap side of the
 * storage and kernel limits (2^32, 2^48). */
static uint64_t find_prime(const ckks_params *p, unsigned taken, double bits)
{
    uint64_t step = (uint64_t)2 << p->spec.log_n;
    uint64_t limit = (uint64_t)1 << (bits <= 32 ? 32 : bits <= 48 ? 48 : CKKS_MAX_PRIME_BITS);
    uint64_t centre = (uint64_t)(ckks_exp2(bits) / (double)step) * step + 1;
    for (uint64_t k = 0; k < (uint64_t)1 << 24; k++) {
        int rises = centre + k * step < limit, falls = k && k * step + step < centre;
        if (!rises && !falls && k) break; /* or a file could ask for a long search in vain */
        for (int side = 0; side < 2; side++) {
            if (side ? !falls : !rises) continue;
            uint64_t x = side ? centre - k * step : centre + k * step;
            int used = x >= limit || x <= step;
            for (unsigned i = 0; i < taken && !used; i++) used = p->prime[i] == x;
            if (!used && ckks_is_prime(x)) return x;
        }
    }
    return 0;
}

static fhola_status add_prime(ckks_params *p, unsigned *count, double bits)
{
    if (!(bits >= 12 && bits <= CKKS_MAX_PRIME_BITS))
        return fhola_fail(FHOLA_PARAM, "a prime of %.2f bits is outside 12..%u", bits,
                          CKKS_MAX_PRIME_BITS);
    if (*count >= CKKS_MAX_PRIMES)
        return fhola_fail(FHOLA_PARAM, "more than %u primes", CKKS_MAX_PRIMES);
    uint64_t x = find_prime(p, *count, bits);
    if (x == 0)
        return fhola_fail(FHOLA_PARAM, "no prime of %.2f bits is left that is 1 mod 2^%u", bits,
                          p->spec.log_n + 1);
    p->prime[*count] = x;
    p->log2_prime[*count] = ckks_log2((double)x);
    ++*count;
    return FHOLA_OK;
}

/* The prime consumed at EvalMod depth l: squaring scale S_l and dividing by it gives S_(l+1); the
 * last lands on the residual scale of sin(2 pi eps w) / (2 pi eps). */
static double eval_mod_bits(const ckks_params_spec *s, unsigned l)
{
    double landing = s->scale_bits - ckks_log2(2 * 3.14159265358979323846 * s->eps);
    double next = l + 1 < s->eval_mod_levels ? s->eval_mod_scale_bits[l + 1] : landing;
    return 2 * s->eval_mod_scale_bits[l] - next;
}

/* Chain primes that share a limb, from the bottom up, so that levels leave the chain from the top a
 * whole limb at every other step. */
static void pair_primes(ckks_params *p)
{
    for (unsigned i = 0; i + 1 < p->chain; i++)
        if (p->log2_prime[i] + p->log2_prime[i + 1] < p->spec.limb_bits) {
            p->shared |= (ckks_basis)1 << i;
            i++;
        }
}

ckks_basis ckks_basis_partner(const ckks_params *p, ckks_basis basis)
{
    return (basis & p->shared) << 1 | (basis & p->shared << 1) >> 1;
}

static bool all_finite(const ckks_params_spec *s)
{
    bool finite = true;
#define SKIP(...)
#define FINITE(name, slot, need) finite = finite && isfinite(s->name);
#define BOTH(name, slot, need)   finite = finite && isfinite(s->name[0]) && isfinite(s->name[1]);
    CKKS_PARAMS_FIELDS(SKIP, SKIP, FINITE, BOTH, SKIP)
#undef FINITE
#undef BOTH
    for (unsigned i = 0; i < CKKS_MAX_EVAL_MOD_LEVELS; i++)
        finite = finite && isfinite(s->eval_mod_scale_bits[i]);
    return finite;
}

static fhola_status check_eval_mod(const ckks_params_spec *s)
{
    if (!(s->eps > 0 && s->eps <= 0.25))
        return fhola_fail(FHOLA_PARAM, "eps %g is outside (0, 1/4]", s->eps);
    if (s->eval_mod_degree < 2 || s->eval_mod_degree > 126 || s->eval_mod_degree % 2)
        return fhola_fail(FHOLA_PARAM, "eval_mod degree %u is not even in 2..126",
                          s->eval_mod_degree);
    unsigned depth = 1 + ckks_polynomial_depth(s->eval_mod_degree / 2) + s->double_angles;
    if (s->double_angles > CKKS_MAX_EVAL_MOD_LEVELS || s->eval_mod_levels != depth)
        return fhola_fail(FHOLA_PARAM,
                          "eval_mod of degree %u with %u double angles takes %u levels, not %u",
                          s->eval_mod_degree, s->double_angles, depth, s->eval_mod_levels);
    if (s->eval_mod_range < 1 || s->eval_mod_range > 64)
        return fhola_fail(FHOLA_PARAM, "eval_mod range %u is outside 1..64", s->eval_mod_range);
    return FHOLA_OK;
}

/* All bootstrapping levels or none, and an ephemeral secret only with them: without, nothing bounds
 * what is encrypted under it. Each number is bounded before any two are added. */
static fhola_status check_bootstrapping(const ckks_params_spec *s)
{
    bool any = s->stc_levels || s->eval_mod_levels || s->cts_levels,
         all = s->stc_levels && s->eval_mod_levels && s->cts_levels;
    if (!any && s->hamming_weight)
        return fhola_fail(FHOLA_PARAM,
                          "an ephemeral secret of weight %u, but no levels of bootstrapping",
                          s->hamming_weight);
    if (!any) return FHOLA_OK;
    if (!all)
        return fhola_fail(FHOLA_PARAM,
                          "bootstrapping needs slots-to-coefficients, eval_mod and "
                          "coefficients-to-slots levels (%u, %u, %u)",
                          s->stc_levels, s->eval_mod_levels, s->cts_levels);
    if (s->stc_levels > 8 || s->eval_mod_levels > CKKS_MAX_EVAL_MOD_LEVELS || s->cts_levels > 8)
        return fhola_fail(FHOLA_PARAM, "too many bootstrapping levels (%u, %u, %u)", s->stc_levels,
                          s->eval_mod_levels, s->cts_levels);
    if (s->hamming_weight < 1 || s->hamming_weight > 1u << (s->log_n - 1))
        return fhola_fail(FHOLA_PARAM, "Hamming weight %u is outside 1..N/2", s->hamming_weight);
    return check_eval_mod(s);
}

static fhola_status check_spec(const ckks_params_spec *s)
{
    if (!all_finite(s)) return fhola_fail(FHOLA_PARAM, "a parameter is not a finite number");
    if (s->log_n < CKKS_MIN_LOG_N || s->log_n > CKKS_MAX_LOG_N)
        return fhola_fail(FHOLA_PARAM, "ring degree 2^%u is outside 2^%u..2^%u", s->log_n,
                          CKKS_MIN_LOG_N, CKKS_MAX_LOG_N);
    if (s->residual_levels == 0)
        return fhola_fail(FHOLA_PARAM, "a parameter set needs at least one residual prime");
    if (s->residual_levels >= CKKS_MAX_PRIMES)
        return fhola_fail(FHOLA_PARAM, "more than %u primes", CKKS_MAX_PRIMES);
    double scale_bits = s->scale_bits == 0 ? s->residual_bits : s->scale_bits;
    if (!(scale_bits >= 12 && scale_bits <= 60))
        return fhola_fail(FHOLA_PARAM, "a working scale of %.2f bits is outside 12..60",
                          scale_bits);
    if (s->limb_bits > CKKS_MAX_PRIME_BITS)
        return fhola_fail(FHOLA_PARAM, "limbs of %u bits are larger than %u", s->limb_bits,
                          CKKS_MAX_PRIME_BITS);
    if (s->special_primes == 0 || s->special_primes > 16)
        return fhola_fail(FHOLA_PARAM, "%u special primes are outside 1..16", s->special_primes);
    return check_bootstrapping(s);
}

static double residual_bits(const ckks_params_spec *s, unsigned level)
{
    return level < 2 && s->residual_low_bits[level] != 0 ? s->residual_low_bits[level]
                                                         : s->residual_bits;
}

static fhola_status find_primes(ckks_params *p)
{
    const ckks_params_spec *s = &p->spec;
    fhola_status st = add_prime(p, &p->chain, s->base_bits);
    for (unsigned i = 0; i < s->stc_levels && !st; i++) st = add_prime(p, &p->chain, s->stc_bits);
    for (unsigned i = 0; i < s->residual_levels && !st; i++)
        st = add_prime(p, &p->chain, residual_bits(s, i));
    for (unsigned i = s->eval_mod_levels; i-- > 0 && !st;)
        st = add_prime(p, &p->chain, eval_mod_bits(s, i));
    for (unsigned i = 0; i < s->cts_levels && !st; i++) st = add_prime(p, &p->chain, s->cts_bits);
    pair_primes(p);
    unsigned count = p->chain;
    for (unsigned i = 0; i < s->special_primes && !st; i++)
        st = add_prime(p, &count, s->special_bits);
    p->special = count - p->chain;
    if (!st && count + ckks_basis_count(p->shared) > CKKS_MAX_PRIMES)
        st = fhola_fail(FHOLA_PARAM, "%u primes and %u limbs shared by two are more than %u", count,
                        ckks_basis_count(p->shared), CKKS_MAX_PRIMES);
    return st;
}

/* The primes of the limb that prime i, the lower of them, is in. */
static ckks_basis limb_from(const ckks_params *p, unsigned i)
{
    ckks_basis prime = (ckks_basis)1 << i;
    return prime | (prime & p->shared) << 1;
}

/* Digits of neighbouring limbs, filled from the bottom: each product stays below 2^room, each fits
 * into one base conversion. */
static fhola_status group_neighbours(ckks_params *p, double room)
{
    for (unsigned i = 0; i < p->chain;) {
        double sum = 0;
        ckks_basis digit = 0;
        while (i < p->chain && ckks_basis_count(digit) + 1 < CKKS_MAX_TERMS) {
            ckks_basis limb = limb_from(p, i);
            if (sum + ckks_params_log2(p, limb) > room) break;
            sum += ckks_params_log2(p, limb);
            digit |= limb;
            i += ckks_basis_count(limb);
        }
        if (!digit)
            return fhola_fail(
                FHOLA_PARAM, "special primes of %.1f bits in all cannot carry a prime of %.2f bits",
                room + CKKS_DIGIT_MARGIN, ckks_params_log2(p, limb_from(p, i)));
        if (p->digits == CKKS_MAX_DIGITS)
            return fhola_fail(FHOLA_PARAM, "more than %u key-switching digits", CKKS_MAX_DIGITS);
        p->digit[p->digits++] = digit;
    }
    return FHOLA_OK;
}

/* Search for a partition of the chain into `digits` digits of any limbs: that from prime i goes
 * into the first digit with room, low ones together, backtracking until `steps` is used up. */
typedef struct partition {
    const ckks_params *params;
    unsigned digits;
    unsigned steps;
    double free[CKKS_MAX_DIGITS];
    ckks_basis digit[CKKS_MAX_DIGITS];
} partition;

static int place_limb(partition *t, unsigned i)
{
    if (i == t->params->chain) return 1;
    if (t->steps == 0) return 0;
    t->steps--;
    ckks_basis limb = limb_from(t->params, i);
    double size = ckks_params_log2(t->params, limb);
    for (unsigned d = 0; d < t->digits; d++) {
        if (t->free[d] < size || ckks_basis_count(t->digit[d]) + 1 >= CKKS_MAX_TERMS) continue;
        int empty = !t->digit[d];
        t->free[d] -= size;
        t->digit[d] |= limb;
        if (place_limb(t, i + ckks_basis_count(limb))) return 1;
        t->free[d] += size;
        t->digit[d] &= ~limb;
        if (empty) break; /* the other empty digits are alike */
    }
    return 0;
}

/* Fewest digits win, since every digit costs transforms and key memory; neighbours win among
 * equals, since then digits vanish from the top as levels are used up. */
static fhola_status group_digits(ckks_params *p)
{
    double room = ckks_params_log2(p, ckks_basis_special(p)) - CKKS_DIGIT_MARGIN;
    fhola_status st = group_neighbours(p, room);
    if (st) return st;
    unsigned least = (unsigned)ceil(ckks_params_log2(p, ckks_basis_chain(p)) / room),
             steps = 1u << 20;
    for (unsigned digits = least; digits < p->digits; digits++) {
        partition t = {.params = p, .digits = digits, .steps = steps};
        for (unsigned d = 0; d < digits; d++) t.free[d] = room;
        int found = place_limb(&t, 0);
        /* of all searches together: a file may ask for parameters without such a partition */
        steps = t.steps;
        if (!found) continue;
        memcpy(p->digit, t.digit, sizeof p->digit);
        p->digits = digits;
        break;
    }
    return FHOLA_OK;
}

static fhola_status check_security(const ckks_params *p)
{
    if (p->spec.insecure) return FHOLA_OK;
    double qp = ckks_params_log2(p, ckks_basis_chain(p) | ckks_basis_special(p)),
           cap = ckks_log2_cap(p->spec.log_n);
    if (qp > cap)
        return fhola_fail(FHOLA_SECURITY,
                          "log2(QP) = %.2f is above %.0f, the 128-bit cap at N = 2^%u", qp, cap,
                          p->spec.log_n);
    double eph = ckks_params_log2_ephemeral(p), eph_cap = ckks_params_log2_ephemeral_cap(p);
    if (p->spec.eval_mod_levels && p->spec.hamming_weight < CKKS_LEAST_WEIGHT)
        return fhola_fail(FHOLA_SECURITY, "an ephemeral secret of weight %u is below %u",
                          p->spec.hamming_weight, CKKS_LEAST_WEIGHT);
    if (p->spec.eval_mod_levels && eph > eph_cap)
        return fhola_fail(
            FHOLA_SECURITY,
            "the ephemeral secret of weight %u would live at %.2f bits, above %.0f at N = 2^%u",
            p->spec.hamming_weight, eph, eph_cap, p->spec.log_n);
    return FHOLA_OK;
}

static uint64_t double_bits(double x)
{
    uint64_t b;
    memcpy(&b, &x, sizeof b);
    return b;
}

#define HASH_WORDS (CKKS_MAX_PRIMES + CKKS_MAX_EVAL_MOD_LEVELS + CKKS_MAX_DIGITS + 16u)

/* Of words as little-endian bytes, as files have them, on every machine. */
static uint64_t hash_words(const uint64_t *word, size_t count)
{
    unsigned char bytes[8 * HASH_WORDS];
    for (size_t i = 0; i < 8 * count; i++) bytes[i] = (unsigned char)(word[i / 8] >> (8 * (i % 8)));
    return XXH3_64bits(bytes, 8 * count);
}

uint64_t ckks_params_hash_make(const ckks_params *p)
{
    const ckks_params_spec *s = &p->spec;
    uint64_t word[HASH_WORDS], n = 0;
#define ADD(name, slot, need) word[n++] = s->name;
    CKKS_PARAMS_FIELDS(ADD, ADD, SKIP, SKIP, SKIP)
#undef ADD
    /* the sizes of primes stand in the primes */
    word[n++] = double_bits(s->eps);
    word[n++] = double_bits(s->eval_mod_power);
    word[n++] = double_bits(s->scale_bits);
    for (unsigned i = 0; i < s->eval_mod_levels; i++)
        word[n++] = double_bits(s->eval_mod_scale_bits[i]);
    for (unsigned i = 0; i < p->chain + p->special; i++) word[n++] = p->prime[i];
    for (unsigned i = 0; i < p->digits; i++) word[n++] = p->digit[i];
    return hash_words(word, n);
}

fhola_status ckks_params_create(ckks_params **out, const ckks_params_spec *spec)
{
    fhola_status st = check_spec(spec);
    if (st) return st;
    ckks_params *p = calloc(1, sizeof *p);
    if (!p) return fhola_fail(FHOLA_NOMEM, "no memory for parameters");
    p->spec = *spec;
    if (p->spec.scale_bits == 0) p->spec.scale_bits = p->spec.residual_bits;
    st = find_primes(p);
    if (!st) st = group_digits(p);
    if (!st) st = check_security(p);
    if (st) {
        free(p);
        return st;
    }
    p->hash = ckks_params_hash_make(p);
    *out = p;
    return FHOLA_OK;
}

fhola_status ckks_params_spec_named(ckks_params_spec *out, const char *name)
{
    for (size_t i = 0; i < NAMED_COUNT; i++)
        if (!strcmp(named[i].name, name)) {
            *out = named[i].spec;
            return FHOLA_OK;
        }
    return fhola_fail(FHOLA_PARAM, "no parameter set is called '%s'", name);
}

fhola_status ckks_params_named(ckks_params **out, const char *name)
{
    ckks_params_spec spec;
    fhola_status st = ckks_params_spec_named(&spec, name);
    return st ? st : ckks_params_create(out, &spec);
}

const char *ckks_params_name(size_t i)
{
    for (size_t k = 0; k < NAMED_COUNT; k++)
        if (!named[k].spec.insecure && i-- == 0) return named[k].name;
    return NULL;
}

void ckks_params_destroy(ckks_params *params)
{
    free(params);
}

const ckks_params_spec *ckks_params_get_spec(const ckks_params *params)
{
    return &params->spec;
}

double ckks_params_scale(const ckks_params *params)
{
    return ckks_exp2(params->spec.scale_bits);
}

unsigned ckks_params_chain(const ckks_params *params)
{
    return params->chain;
}

unsigned ckks_params_special(const ckks_params *params)
{
    return params->special;
}

uint64_t ckks_params_prime(const ckks_params *params, unsigned index)
{
    return index < params->chain + params->special ? params->prime[index] : 0;
}

unsigned ckks_params_digits(const ckks_params *params)
{
    return params->digits;
}

ckks_basis ckks_params_digit(const ckks_params *params, unsigned index)
{
    return index < params->digits ? params->digit[index] : 0;
}

uint64_t ckks_params_hash(const ckks_params *params)
{
    return params->hash;
}
