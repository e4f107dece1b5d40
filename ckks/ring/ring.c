/* SPDX-License-Identifier: Apache-2.0 */
#include "ckks/ring/ring.h"

#include <stdlib.h>
#include <string.h>

#ifdef _OPENMP
#include <omp.h>
#include <pthread.h>
#endif

#include "ckks/alloc.h"

/* Cache lines between the limbs of a polynomial, an odd number: without them, equal positions of
 * all limbs share a set of each cache. bench/archive/2026-11.md says what it brings; make
 * CPPFLAGS=-DCKKS_STAGGER=0 builds without. */
#ifndef CKKS_STAGGER
#define CKKS_STAGGER 9u
#endif

/* A child of fork() has none of its parent's threads, but libgomp would wait for them: with one
 * thread it does not. LLVM's library, which clang links, starts threads anew by itself. */
#ifdef _OPENMP
static bool is_child; /* written where there is one thread only */
#endif
#if defined(_OPENMP) && !defined(__clang__)
static void in_child(void)
{
    is_child = true;
    omp_set_num_threads(1);
}

static void register_in_child(void)
{
    (void)pthread_atfork(NULL, NULL, in_child);
}

static void prepare_for_fork(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, register_in_child);
}
#else
static void prepare_for_fork(void)
{
}
#endif

/* The smallest primitive 2n-th root of unity: every odd power of one root is another. */
static uint64_t smallest_root(uint64_t p, unsigned log_n)
{
    uint64_t order = (uint64_t)2 << log_n, root = 0;
    for (uint64_t g = 2; !root; g++) {
        uint64_t r = ckks_mod_pow(g, (p - 1) / order, p);
        if (ckks_mod_pow(r, order / 2, p) == p - 1) root = r;
    }
    uint64_t square = ckks_mod_mul(root, root, p), best = root;
    for (uint64_t k = 1, r = root; k < order / 2; k++) {
        r = ckks_mod_mul(r, square, p);
        if (r < best) best = r;
    }
    return best;
}

/* x modulo a b that is x_a modulo a and x_b modulo b. */
static uint64_t combine_residues(uint64_t x_a, uint64_t a, uint64_t x_b, uint64_t b)
{
    uint64_t difference = (x_b + b - x_a % b) % b;
    return x_a + a * ckks_mod_mul(difference, ckks_mod_inverse(a, b), b);
}

/* Tables of modulus i, `prime` or a product, for the ring, and for the subrings of X^2, X^4, X^8
 * with the matching powers of the root. */
static fhola_status modulus_init(ckks_context *c, unsigned i, uint64_t prime)
{
    ckks_modulus *p = &c->modulus[i];
    if (i < c->primes) {
        p->p = prime;
        p->psi = smallest_root(p->p, c->log_n);
    } else {
        const ckks_modulus *a = &c->modulus[ckks_basis_lowest(c->modulus[i].primes)], *b = a + 1;
        p->p = a->p * b->p;
        p->psi = combine_residues(a->psi, a->p, b->psi, b->p);
    }
    p->inverse = 1.0 / (double)p->p;
    p->log_n = c->log_n;
    while (p->p >> p->bits) p->bits++;
    p->width = ckks_packed_width(p->bits);
    p->tally = c->tally;
    fhola_status st = c->kernel->prime_init(p);
    for (unsigned k = 0; k < c->subrings && !st; k++) {
        ckks_modulus *q = &c->subring[k][i];
        *q = *p;
        q->tables = NULL;
        q->psi = ckks_mod_pow(p->psi, (uint64_t)2 << k, p->p);
        q->log_n = c->log_n - k - 1;
        st = c->kernel->prime_init(q);
    }
    return st;
}

static void list_moduli(ckks_context *c)
{
    for (unsigned i = 0; i < c->primes; i++) c->modulus[c->moduli++].primes = CKKS_BIT(i);
    for (unsigned i = 0; i < c->primes; i++)
        if (c->shared & CKKS_BIT(i)) c->modulus[c->moduli++].primes = CKKS_BIT(i) | CKKS_BIT(i + 1);
}

static void set_residues(ckks_context *c)
{
    for (unsigned i = 0; i < c->primes; i++)
        for (unsigned t = 0; t < c->moduli; t++) {
            c->residue[i][t] = c->modulus[i].p % c->modulus[t].p;
            if (!(c->modulus[t].primes & CKKS_BIT(i)))
                c->inverse[i][t] = ckks_mod_inverse(c->residue[i][t], c->modulus[t].p);
        }
}

static unsigned subrings(unsigned log_n)
{
    if (log_n < 6) return 0;
    return log_n - 6 < CKKS_MAX_SUBRINGS ? log_n - 6 : CKKS_MAX_SUBRINGS;
}

fhola_status ckks_ring_create(ckks_context **out, const ckks_ring_primes *primes,
                              const ckks_kernel *kernel, ckks_tally *tally)
{
    ckks_context *c = calloc(1, sizeof *c);
    if (!c) return fhola_fail(FHOLA_NOMEM, "no memory for a context");
    prepare_for_fork();
    c->kernel = kernel;
    c->tally = tally;
    c->log_n = primes->log_n;
    c->n = (size_t)1 << c->log_n;
    c->log_slots = c->log_n - 1;
    c->slots = c->n / 2;
    c->stride = c->log_n >= 12 ? c->n + CKKS_STAGGER * 8 : c->n;
    c->primes = primes->chain + primes->special;
    c->subrings = subrings(c->log_n);
    c->shared = primes->shared;
    for (unsigned i = 0; i < c->primes; i++)
        *(i < primes->chain ? &c->chain : &c->special) |= CKKS_BIT(i);
    list_moduli(c);
    fhola_status status = FHOLA_OK;
    for (unsigned i = 0; i < c->moduli && !status; i++)
        status = modulus_init(c, i, i < c->primes ? primes->prime[i] : 0);
    if (!status) status = ckks_fft_create(&c->fft, c->log_n);
    if (status) {
        c->tally = NULL;
        ckks_ring_destroy(c);
        return status;
    }
    set_residues(c);
    *out = c;
    return FHOLA_OK;
}

void ckks_ring_destroy(ckks_context *c)
{
    for (unsigned i = 0; i < c->moduli; i++) {
        if (c->modulus[i].tables) c->kernel->prime_clear(&c->modulus[i]);
        for (unsigned k = 0; k < c->subrings; k++)
            if (c->subring[k][i].tables) c->kernel->prime_clear(&c->subring[k][i]);
    }
    ckks_fft_destroy(c->fft);
    ckks_free(c->tally);
    free(c);
}

uint64_t ckks_product_mod(const ckks_context *c, ckks_basis basis, unsigned t)
{
    uint64_t r = 1;
    for (unsigned i = 0; i < c->primes; i++)
        if (basis & CKKS_BIT(i)) r = ckks_mod_mul(r, c->residue[i][t], c->modulus[t].p);
    return r;
}

uint64_t ckks_product_inverse_mod(const ckks_context *c, ckks_basis basis, unsigned t)
{
    uint64_t r = 1;
    for (unsigned i = 0; i < c->primes; i++)
        if (basis & CKKS_BIT(i)) r = ckks_mod_mul(r, c->inverse[i][t], c->modulus[t].p);
    return r;
}

unsigned ckks_limb_list(const ckks_context *c, ckks_basis basis, unsigned modulus[CKKS_MAX_PRIMES])
{
    ckks_basis both = basis & basis >> 1 & c->shared;
    unsigned n = 0, shared = c->primes;
    for (unsigned i = 0; i < c->primes; i++) {
        if (both & CKKS_BIT(i))
            modulus[n++] = shared;
        else if (basis & CKKS_BIT(i) && !(both << 1 & CKKS_BIT(i)))
            modulus[n++] = i;
        shared += c->shared >> i & 1;
    }
    return n;
}

double ckks_scale_divided(const ckks_context *c, double scale, ckks_basis divisor)
{
    for (unsigned i = 0; i < c->primes; i++)
        if (divisor & CKKS_BIT(i)) scale /= (double)c->modulus[i].p;
    return scale;
}

double ckks_half_modulus(const ckks_context *c, ckks_basis basis)
{
    /* Each of up to 64 primes and products is rounded once, by 2^-53 of it: 2^-46 together. */
    double half = 0.5 - 0x1p-44;
    for (unsigned i = 0; i < c->primes; i++)
        if (basis & CKKS_BIT(i)) half *= (double)c->modulus[i].p;
    return half;
}

uint64_t ckks_galois_element(const ckks_context *c, uint32_t rotation)
{
    uint64_t mask = 2 * c->n - 1, g = 1, base = 5;
    for (uint32_t e = rotation; e; e >>= 1) {
        if (e & 1) g = g * base & mask;
        base = base * base & mask;
    }
    return g;
}

fhola_status ckks_automorphism_create(ckks_automorphism *sigma, const ckks_context *c, uint64_t g)
{
    uint32_t *source = ckks_alloc((c->n + c->n / 64 + 1) * sizeof *source),
             *position = ckks_alloc(c->n * sizeof *position);
    if (!source || !position) {
        ckks_free(source);
        ckks_free(position);
        return fhola_fail(FHOLA_NOMEM, "no memory for an automorphism of %zu entries", c->n);
    }
    /* (sigma a)(psi^e) = a(psi^(e g)): position i of sigma a is the position of a whose exponent is
     * e_i g. */
    for (uint32_t i = 0; i < c->n; i++) position[ckks_ntt_exponent(i, c->log_n) >> 1] = i;
    for (uint32_t i = 0; i < c->n; i++) {
        uint64_t e = ckks_ntt_exponent(i, c->log_n) * g & (2 * c->n - 1);
        source[i] = position[e >> 1];
    }
    ckks_free(position);
    for (size_t b = 0; b < c->n / 64; b++) source[c->n + b] = source[64 * b];
    source[c->n + c->n / 64] = 0;
    sigma->g = g;
    sigma->source = source;
    sigma->block = source + c->n;
    return FHOLA_OK;
}

fhola_status ckks_context_set_threads(ckks_context *c, unsigned threads)
{
    if (threads > CKKS_MAX_THREADS)
        return fhola_fail(FHOLA_PARAM, "a context has at most %u threads, not %u", CKKS_MAX_THREADS,
                          threads);
    c->threads = threads;
    return FHOLA_OK;
}

unsigned ckks_context_threads(const ckks_context *c)
{
#ifdef _OPENMP
    return c->threads && !is_child ? c->threads : (unsigned)omp_get_max_threads();
#else
    (void)c;
    return 1;
#endif
}
