/* SPDX-License-Identifier: Apache-2.0 */
/* The ring's tables against their definitions, the workspace as a stack, one context shared by
 * threads, and the number of threads of its own. */
#include "ckks/ring/ring.h"

#include <pthread.h>
#include <stdatomic.h>

#ifdef _OPENMP
#include <omp.h>
#endif

#include "ckks/alloc.h"
#include "tests/support.h"

static const ckks_kernel *tables[CKKS_MAX_KERNELS];

static ring opened(const char *isa)
{
    ring r;
    ckks_params_spec spec = named_spec("toy-boot");
    ring_open(&r, &spec, isa);
    return r;
}

START_TEST(prime_tables)
{
    ring r = opened(tables[_i]->name);
    const ckks_context *c = r.context;
    ck_assert_str_eq(ckks_context_isa(c), tables[_i]->name);
    ck_assert_uint_eq(c->n, 1024);
    ck_assert_uint_eq(ckks_slots(c), 512);
    ck_assert_uint_eq(c->primes, ckks_params_chain(r.params) + ckks_params_special(r.params));
    for (unsigned i = 0; i < c->primes; i++) {
        const ckks_modulus *p = &c->modulus[i];
        ck_assert_uint_eq(p->p, ckks_params_prime(r.params, i));
        ck_assert_uint_eq(ckks_mod_pow(p->psi, c->n, p->p), p->p - 1);
        /* the smallest of all primitive roots */
        uint64_t root = p->psi, square = ckks_mod_mul(root, root, p->p);
        for (size_t k = 0; k < c->n; k++, root = ckks_mod_mul(root, square, p->p))
            ck_assert_uint_ge(root, p->psi);
        ck_assert_double_eq(p->inverse, 1.0 / (double)p->p);
        ck_assert_uint_eq(p->bits, (unsigned)floor(log2((double)p->p)) + 1);
        ck_assert_uint_eq(p->width, p->p >> 48 ? 7 : p->p >> 40 ? 6 : p->p >> 32 ? 5 : 4);
        for (unsigned t = 0; t < c->moduli; t++) {
            ck_assert_uint_eq(c->residue[i][t], p->p % c->modulus[t].p);
            if (!(c->modulus[t].primes >> i & 1))
                ck_assert_uint_eq(ckks_mod_mul(c->residue[i][t], c->inverse[i][t], c->modulus[t].p),
                                  1);
        }
    }
    for (int k = 0; k < 400; k++) {
        ckks_basis basis = random_word() & (r.chain | r.special);
        unsigned t = (unsigned)(random_word() % c->moduli);
        uint64_t product = 1, q = c->modulus[t].p;
        for (unsigned i = 0; i < c->primes; i++)
            if (basis >> i & 1) product = ckks_mod_mul(product, c->modulus[i].p % q, q);
        ck_assert_uint_eq(ckks_product_mod(c, basis, t), product);
        if (!(basis & c->modulus[t].primes))
            ck_assert_uint_eq(ckks_mod_mul(ckks_product_inverse_mod(c, basis, t), product, q), 1);
    }
    ring_close(&r);
}
END_TEST

/* Behind the primes their products, in order, whose tables agree with those of their primes. */
START_TEST(products_of_two)
{
    ring r = opened(tables[_i]->name);
    const ckks_context *c = r.context;
    unsigned t = c->primes;
    uint64_t *whole = ckks_alloc(3 * c->n * sizeof *whole), *half = whole + c->n,
             *again = half + c->n;
    ck_assert_ptr_nonnull(whole);
    for (unsigned i = 0; i < c->primes; i++) {
        ck_assert_uint_eq(c->modulus[i].primes, CKKS_BIT(i));
        if (!(r.params->shared >> i & 1)) continue;
        const ckks_modulus *p = &c->modulus[t], *q[2] = {&c->modulus[i], &c->modulus[i + 1]};
        ck_assert_uint_eq(c->modulus[t].primes, CKKS_BIT(i) | CKKS_BIT(i + 1));
        ck_assert_uint_eq(p->p, q[0]->p * q[1]->p);
        ck_assert_double_eq(p->inverse, 1.0 / (double)p->p);
        ck_assert_uint_eq(p->bits, (unsigned)floor(log2((double)p->p)) + 1);
        ck_assert_uint_eq(p->width, p->p >> 48 ? 7 : p->p >> 40 ? 6 : p->p >> 32 ? 5 : 4);
        for (size_t j = 0; j < c->n; j++) whole[j] = random_word() % p->p;
        for (int k = 0; k < 2; k++) {
            ck_assert_uint_eq(p->psi % q[k]->p, q[k]->psi);
            for (unsigned g = 0; g < c->subrings; g++)
                ck_assert_uint_eq(c->subring[g][t].psi % q[k]->p,
                                  c->subring[g][i + (unsigned)k].psi);
            /* the transform of residues modulo the product is, position by position, those modulo
             * each prime */
            for (size_t j = 0; j < c->n; j++) again[j] = whole[j], half[j] = whole[j] % q[k]->p;
            c->kernel->ntt_forward(p, &again, 1);
            c->kernel->ntt_forward(q[k], &half, 1);
            for (size_t j = 0; j < c->n; j++) ck_assert_uint_eq(again[j] % q[k]->p, half[j]);
        }
        t++;
    }
    ck_assert_uint_eq(t, c->moduli);
    ck_assert_uint_eq(t, c->primes + 3);
    ckks_free(whole);
    ring_close(&r);
}
END_TEST

/* Every basis of the lowest ten primes, others at random, with and without special primes: the
 * limbs one after the other, those of two primes where both are there. */
START_TEST(limbs_of_bases)
{
    ring r = opened(NULL);
    const ckks_context *c = r.context;
    for (ckks_basis low = 0; low <= r.chain; low += low < 0x400 ? 1 : 1 + random_word() % 64) {
        ckks_basis basis = low | (random_word() & random_word() & r.special), seen = 0;
        ckks_poly p;
        ckks_poly_lay(&p, c, basis, NULL);
        ck_assert_uint_eq(p.limbs, ckks_limb_count(c, basis));
        for (unsigned k = 0; k < p.limbs; k++) {
            ckks_basis part = c->modulus[p.modulus[k]].primes;
            /* above all before, and part of the basis */
            ck_assert(!(part & ~basis) && part > seen);
            seen |= part;
            ck_assert_uint_eq(ckks_poly_index(c, &p, p.modulus[k]), k);
            ck_assert_uint_eq(ckks_poly_step(c, &p, p.modulus[k]), c->n);
            ck_assert_uint_eq(ckks_basis_below(c, basis, p.modulus[k]), seen & ~part);
            unsigned first = ckks_basis_lowest(part),
                     second = ckks_basis_lowest(ckks_basis_top(part));
            if (first == second) { /* alone: its partner is not there */
                ck_assert(!(r.params->shared & part && basis & part << 1) &&
                          !(r.params->shared & part >> 1 && basis & part >> 1));
                continue;
            }
            for (int h = 0; h < 2; h++) {
                ck_assert_ptr_null(ckks_poly_limb(&p, h ? second : first));
                ck_assert_uint_eq(ckks_poly_index(c, &p, h ? second : first), k);
            }
        }
        ck_assert_uint_eq(seen, basis);
    }
    ring_close(&r);
}
END_TEST

/* Residues modulo one of two primes that share a limb are the limb's, reduced; others are where
 * they are. */
START_TEST(ranges)
{
    ring r = opened(tables[_i]->name);
    const ckks_context *c = r.context;
    uint64_t *room = ckks_alloc(c->n * sizeof *room);
    ck_assert_ptr_nonnull(room);
    for (int k = 0; k < 100; k++) {
        ckks_basis basis = k ? random_word() & (r.chain | r.special) : r.chain;
        ckks_poly p = poly_random(&r, basis);
        for (unsigned i = 0; i < p.limbs; i++)
            for (size_t j = 0; j < c->n; j += 7) p.limb[i][j] = c->modulus[p.modulus[i]].p - 1;
        for (unsigned i = 0; i < p.limbs; i++)
            for (unsigned t = 0; t < c->moduli; t++) {
                if (c->modulus[t].primes & ~c->modulus[p.modulus[i]].primes) continue;
                const uint64_t *limb = p.limb[i];
                size_t count = ckks_poly_step(c, &p, t);
                ck_assert_uint_eq(count, t == p.modulus[i] ? c->n : CKKS_RANGE);
                for (size_t from = 0; from < c->n; from += count) {
                    const uint64_t *x = ckks_poly_range(c, &p, t, from, count, room);
                    ck_assert_ptr_eq(x, t == p.modulus[i] ? limb + from : room);
                    for (size_t j = 0; j < count; j++)
                        ck_assert_uint_eq(x[j], limb[from + j] % c->modulus[t].p);
                }
            }
        poly_destroy(&p);
    }
    ckks_free(room);
    ring_close(&r);
}
END_TEST

START_TEST(automorphisms)
{
    ring r = opened(NULL);
    const ckks_context *c = r.context;
    uint64_t g = 1;
    uint32_t *position = calloc(2 * c->n, sizeof *position);
    ck_assert_ptr_nonnull(position);
    for (uint32_t i = 0; i < c->n; i++) position[ckks_ntt_exponent(i, c->log_n)] = i;
    for (uint32_t k = 0; k < c->slots; k++, g = g * 5 % (2 * c->n)) {
        ck_assert_uint_eq(ckks_galois_element(c, k), g);
        if (k % 37 > 1) continue;
        ckks_automorphism sigma;
        ck_assert_ok(ckks_automorphism_create(&sigma, c, g));
        ck_assert_uint_eq(sigma.g, g);
        for (uint32_t i = 0; i < c->n; i++)
            ck_assert_uint_eq(sigma.source[i],
                              position[g * ckks_ntt_exponent(i, c->log_n) % (2 * c->n)]);
        ckks_free((void *)(uintptr_t)sigma.source);
    }
    ck_assert_uint_eq(g, 1); /* 5 has order N / 2 */
    free(position);
    ring_close(&r);
}
END_TEST

START_TEST(isa_names)
{
    ckks_params *p;
    ckks_context *c = NULL;
    ck_assert_ok(ckks_params_named(&p, "toy"));
    ck_assert_fails(ckks_context_create(&c, p, "mmx"), FHOLA_PARAM);
    ck_assert_ptr_null(c);
    ck_assert_ok(ckks_context_create(&c, p, "portable"));
    ck_assert_str_eq(ckks_context_isa(c), "portable");
    ck_assert_uint_eq(ckks_params_hash(ckks_context_params(c)), ckks_params_hash(p));
    ckks_params_destroy(p);
    /* the context has its own copy */
    ck_assert_uint_eq(ckks_params_chain(ckks_context_params(c)), 7);
    ckks_context_destroy(c);
    ckks_context_destroy(NULL);
}
END_TEST

START_TEST(workspace_stack)
{
    ring r = opened(NULL);
    ckks_workspace *ws;
    ck_assert_ok(ckks_workspace_create(&ws, r.context));
    ckks_mark outer = ckks_workspace_mark(ws);
    unsigned char *first = ckks_workspace_take(ws, 100);
    ck_assert_ptr_nonnull(first);
    ck_assert_uint_eq((uintptr_t)first % 64, 0);
    memset(first, 1, 100);
    ckks_mark inner = ckks_workspace_mark(ws);
    /* many takes across several blocks never overlap */
    enum { TAKES = 200 };
    uint64_t *poly[TAKES];
    for (unsigned i = 0; i < TAKES; i++) {
        size_t limbs = 1 + i % 7;
        poly[i] = ckks_workspace_limbs(ws, limbs);
        ck_assert_ptr_nonnull(poly[i]);
        ck_assert_uint_eq((uintptr_t)poly[i] % 64, 0);
        for (size_t j = 0; j < limbs * r.context->stride; j++) poly[i][j] = i;
    }
    for (unsigned i = 0; i < TAKES; i++)
        for (size_t j = 0; j < (1 + i % 7) * r.context->stride; j++)
            ck_assert_uint_eq(poly[i][j], i);
    for (int i = 0; i < 100; i++) ck_assert_uint_eq(first[i], 1);
    ckks_workspace_release(ws, inner);
    /* the same memory again: a steady computation does not grow */
    unsigned blocks = ws->blocks;
    for (int round = 0; round < 5; round++) {
        for (unsigned i = 0; i < TAKES; i++)
            ck_assert_ptr_nonnull(ckks_workspace_limbs(ws, 1 + i % 7));
        ckks_workspace_release(ws, inner);
    }
    ck_assert_uint_eq(ws->blocks, blocks);
    ckks_workspace_release(ws, outer);
    ck_assert_ptr_eq(ckks_workspace_take(ws, 100), first);
    ck_assert_ptr_nonnull(ckks_workspace_take(ws, 0));
    ckks_workspace_destroy(ws);
    ckks_workspace_destroy(NULL);
    ring_close(&r);
}
END_TEST

/* Two threads, one context, one set of keys, a workspace each: both get what one thread gets. */
typedef struct job {
    const ring *r;
    const ckks_ciphertext *in;
    uint64_t hash;
    fhola_status status;
} job;

static fhola_status compute(job *j)
{
    const ring *r = j->r;
    ckks_workspace *ws = NULL;
    ckks_ciphertext *x = NULL;
    fhola_status st = ckks_workspace_create(&ws, r->context);
    if (!st) st = ckks_ciphertext_create(&x, r->context);
    if (!st) st = ckks_ciphertext_copy(x, j->in);
    for (int i = 0; i < 40 && !st; i++) {
        st = ckks_mul(r->context, ws, r->keys, x, j->in, j->in, 0);
        if (!st) st = ckks_rotate(r->context, ws, r->keys, x, x, 1 + i % 3);
        ckks_ciphertext *y = NULL;
        if (!st) st = ckks_ciphertext_create(&y, r->context);
        if (!st) st = ckks_conjugate(r->context, ws, r->keys, y, x);
        if (!st) st = ckks_sub(r->context, x, x, y);
        ckks_ciphertext_destroy(y);
        if (!st) j->hash = j->hash * 31 + ciphertext_hash(x);
    }
    ckks_ciphertext_destroy(x);
    ckks_workspace_destroy(ws);
    return st;
}

static void *run_job(void *arg)
{
    job *j = arg;
    j->status = compute(j);
    return NULL;
}

/* A ring with a ciphertext and the keys that compute() needs. */
static ckks_ciphertext *open_work(ring *r)
{
    ckks_complex z[512];
    *r = opened(NULL);
    random_complex(z, r->slots, 1);
    ckks_ciphertext *in = encrypt(r, z, r->slots, 0x1p28, r->chain);
    ring_request(r, CKKS_KEY_RELINEARIZE, 0, r->chain, r->special);
    ring_request(r, CKKS_KEY_CONJUGATE, 0, r->chain, r->special);
    for (int k = 1; k <= 3; k++) ring_request(r, CKKS_KEY_ROTATE, k, r->chain, r->special);
    ring_keys(r);
    return in;
}

START_TEST(shared_context)
{
    ring r;
    ckks_ciphertext *in = open_work(&r);
    job alone = {&r, in, 0, FHOLA_OK}, pair[2] = {alone, alone};
    ck_assert_ok(compute(&alone));
    pthread_t thread[2];
    for (int k = 0; k < 2; k++)
        ck_assert_int_eq(pthread_create(&thread[k], NULL, run_job, &pair[k]), 0);
    for (int k = 0; k < 2; k++) ck_assert_int_eq(pthread_join(thread[k], NULL), 0);
    for (int k = 0; k < 2; k++) {
        ck_assert_int_eq(pair[k].status, FHOLA_OK);
        ck_assert_uint_eq(pair[k].hash, alone.hash);
    }
    ckks_ciphertext_destroy(in);
    ring_close(&r);
}
END_TEST

/* ---- its number of threads ---- */

#define MOST_THREADS 8

/* Functions of the kernel that also count, by its number of threads, the team they are called
 * in. */
static const ckks_kernel *observed;
static atomic_uint calls[MOST_THREADS];

static void count_call(void)
{
#ifdef _OPENMP
    int threads = omp_get_num_threads();
#else
    int threads = 1;
#endif
    ck_assert_int_lt(threads, MOST_THREADS);
    atomic_fetch_add(&calls[threads], 1);
}

static void observed_forward(const ckks_modulus *p, uint64_t *const limbs[], size_t count)
{
    count_call();
    observed->ntt_forward(p, limbs, count);
}

static void observed_sub(const ckks_modulus *p, uint64_t *out, const uint64_t *a, const uint64_t *b,
                         size_t count)
{
    count_call();
    observed->sub(p, out, a, b, count);
}

/* Everything of `job` in teams of `threads`, and with the same result. */
static void check_teams(job *j, ckks_context *c, unsigned set, unsigned threads, uint64_t hash)
{
    for (int k = 0; k < MOST_THREADS; k++) atomic_store(&calls[k], 0);
    ck_assert_ok(ckks_context_set_threads(c, set));
    ck_assert_uint_eq(ckks_context_threads(c), threads);
    j->hash = 0;
    ck_assert_ok(compute(j));
    ck_assert_uint_eq(j->hash, hash);
    for (unsigned k = 2; k < MOST_THREADS; k++)
        ck_assert_msg((atomic_load(&calls[k]) > 0) == (k == threads),
                      "%u calls in teams of %u, not %u threads", atomic_load(&calls[k]), k,
                      threads);
}

/* OpenMP gives the thread that calls two. A thread of the user's own gets what the context says
 * all the same. */
START_TEST(own_threads)
{
    ring r;
    ckks_ciphertext *in = open_work(&r);
    ckks_context *c = r.context;
    job alone = {&r, in, 0, FHOLA_OK}, other = alone;
    ck_assert_ok(compute(&alone));
    ckks_kernel table = *c->kernel;
    observed = c->kernel;
    table.ntt_forward = observed_forward;
    table.sub = observed_sub;
    c->kernel = &table;
    set_threads(2);
    unsigned many = ckks_context_threads(c) == 2 ? 3 : 1; /* 1: no OpenMP */
    check_teams(&other, c, 0, ckks_context_threads(c), alone.hash);
    check_teams(&other, c, 3, many, alone.hash);
    check_teams(&other, c, 1, 1, alone.hash);
    ck_assert_ok(ckks_context_set_threads(c, 3));
    for (int k = 0; k < MOST_THREADS; k++) atomic_store(&calls[k], 0);
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, run_job, &other), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_uint_gt(atomic_load(&calls[many]), 0);
    ck_assert_fails(ckks_context_set_threads(c, CKKS_MAX_THREADS + 1), FHOLA_PARAM);
    ck_assert_uint_eq(ckks_context_threads(c), many);
    c->kernel = observed;
    ckks_ciphertext_destroy(in);
    ring_close(&r);
}
END_TEST

static void add_tests(TCase *tcase)
{
    tcase_add_loop_test(tcase, prime_tables, 0, (int)ckks_kernel_list(tables));
    tcase_add_loop_test(tcase, products_of_two, 0, (int)ckks_kernel_list(tables));
    tcase_add_test(tcase, limbs_of_bases);
    tcase_add_loop_test(tcase, ranges, 0, (int)ckks_kernel_list(tables));
    tcase_add_test(tcase, automorphisms);
    tcase_add_test(tcase, isa_names);
    tcase_add_test(tcase, workspace_stack);
    tcase_add_test(tcase, shared_context);
    tcase_add_test(tcase, own_threads);
}

int main(void)
{
    test_seed(0);
    return test_run("context", add_tests, 120);
}
