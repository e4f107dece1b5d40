/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support.h"

#include <time.h>

#ifdef _OPENMP
#include <omp.h>
#endif

#include "ckks/alloc.h"
#include "tests/little_endian.h"

/* ---- random numbers ---- */

static uint64_t random_state;

void test_seed(uint64_t fallback)
{
    const char *text = getenv("FHOLA_TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 0) : fallback ? fallback : (uint64_t)time(NULL);
    printf("FHOLA_TEST_SEED=%" PRIu64 "\n", seed);
    fflush(stdout);
    random_state = seed;
}

/* splitmix64 */
uint64_t random_word(void)
{
    uint64_t z = random_state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

double random_unit(void)
{
    return (double)(random_word() >> 11) * 0x1p-52 - 1;
}

void random_complex(ckks_complex *z, size_t count, double radius)
{
    for (size_t i = 0; i < count; i++)
        z[i] = (ckks_complex){radius * random_unit(), radius * random_unit()};
}

void random_seed_bytes(uint8_t seed[32])
{
    for (size_t i = 0; i < 32; i++) seed[i] = (uint8_t)random_word();
}

void set_threads(int threads)
{
#ifdef _OPENMP
    omp_set_num_threads(threads > 0 ? threads : omp_get_num_procs());
#else
    (void)threads;
#endif
}

static void one_thread(void)
{
    set_threads(1);
}

int test_run(const char *name, void (*add)(TCase *), double timeout)
{
    Suite *suite = suite_create(name);
    TCase *tcase = tcase_create(name);
    tcase_set_timeout(tcase, timeout);
    /* In the process of each test, not in the one it is forked from: libomp starts anew after a
     * fork and forgets the number. */
    tcase_add_checked_fixture(tcase, one_thread, NULL);
    add(tcase);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* ---- a ring and its keys ---- */

ckks_params_spec flat_spec(unsigned log_n, double base_bits, unsigned levels, double bits)
{
    ckks_params_spec spec = {
        .log_n = log_n, .base_bits = base_bits, .residual_levels = levels, .residual_bits = bits};
    spec.special_primes = 3;
    spec.special_bits = 48;
    spec.insecure = 1;
    return spec;
}

ckks_params_spec shared_spec(unsigned log_n, double base_bits, unsigned levels, double bits)
{
    ckks_params_spec spec = flat_spec(log_n, base_bits, levels, bits);
    spec.limb_bits = CKKS_MAX_PRIME_BITS;
    return spec;
}

ckks_params_spec named_spec(const char *name)
{
    ckks_params_spec spec;
    ck_assert_ok(ckks_params_spec_named(&spec, name));
    return spec;
}

/* A context of the one kind or of the other. */
typedef fhola_status context_fn(ckks_context **out, const ckks_params *params, const char *isa);

static void open_with(ring *r, const ckks_params_spec *spec, const char *isa, context_fn *create)
{
    uint8_t seed[32];
    memset(r, 0, sizeof *r);
    random_seed_bytes(seed);
    ck_assert_ok(ckks_params_create(&r->params, spec));
    ck_assert_ok(create(&r->context, r->params, isa));
    ck_assert_ok(ckks_workspace_create(&r->ws, r->context));
    ck_assert_ok(ckks_rng_create_seeded(&r->rng, seed));
    ck_assert_ok(ckks_secret_key_create(&r->secret, r->context, r->rng));
    r->slots = ckks_slots(r->context);
    r->n = 2 * r->slots;
    r->chain = ckks_basis_chain(r->params);
    r->special = ckks_basis_special(r->params);
}

void ring_open(ring *r, const ckks_params_spec *spec, const char *isa)
{
    open_with(r, spec, isa, ckks_context_create);
}

void ring_count(ring *r)
{
    const ckks_params_spec spec = *ckks_params_get_spec(r->params);
    ring_close(r);
    open_with(r, &spec, NULL, ckks_context_create_counting);
}

ckks_work ring_work(const ring *r)
{
    ckks_work work;
    ckks_context_work(r->context, &work);
    return work;
}

void ring_close(ring *r)
{
    ckks_key_list_clear(&r->list);
    ckks_eval_keys_destroy(r->keys);
    ckks_secret_key_destroy(r->secret);
    ckks_rng_destroy(r->rng);
    ckks_workspace_destroy(r->ws);
    ckks_context_destroy(r->context);
    ckks_params_destroy(r->params);
    memset(r, 0, sizeof *r);
}

void ring_request(ring *r, ckks_key_kind kind, int32_t rotation, ckks_basis q, ckks_basis p)
{
    ckks_key_request request = {kind, (uint32_t)rotation, q, p};
    ck_assert_ok(ckks_key_list_add(&r->list, r->context, request));
}

void ring_keys(ring *r)
{
    ckks_eval_keys_destroy(r->keys);
    r->keys = NULL;
    ck_assert_ok(
        ckks_eval_keys_create(&r->keys, r->context, r->secret, &r->list, r->rng, NULL, NULL));
}

double basis_product(const ring *r, ckks_basis basis)
{
    double product = 1;
    for (unsigned i = 0; i < CKKS_MAX_PRIMES; i++)
        if (basis >> i & 1) product *= (double)ckks_params_prime(r->params, i);
    return product;
}

double secret_norm2(const ring *r)
{
    double sum = 0;
    for (size_t i = 0; i < r->n; i++) sum += r->secret->coefficient[i] * r->secret->coefficient[i];
    return sum;
}

ckks_ciphertext *new_ciphertext(const ring *r)
{
    ckks_ciphertext *ct;
    ck_assert_ok(ckks_ciphertext_create(&ct, r->context));
    return ct;
}

ckks_plaintext *encode(ring *r, const ckks_complex *values, size_t period, double scale,
                       ckks_basis basis)
{
    ckks_plaintext *plain;
    ck_assert_ok(ckks_plaintext_create(&plain, r->context));
    ck_assert_ok(ckks_encode(r->context, r->ws, plain, values, period, scale, basis));
    return plain;
}

ckks_ciphertext *encrypt(ring *r, const ckks_complex *values, size_t period, double scale,
                         ckks_basis basis)
{
    ckks_ciphertext *ct = new_ciphertext(r);
    ckks_plaintext *plain = encode(r, values, period, scale, basis);
    ck_assert_ok(ckks_encrypt(r->context, r->ws, ct, plain, r->secret, r->rng));
    ckks_plaintext_destroy(plain);
    return ct;
}

void decrypt(ring *r, ckks_complex *values, const ckks_ciphertext *ct)
{
    ck_assert_ok(ckks_decrypt(r->context, r->ws, values, r->slots, ct, r->secret));
}

uint64_t ciphertext_hash(const ckks_ciphertext *ct)
{
    const ckks_context *c = ct->context;
    unsigned limbs = ct->poly->limbs;
    uint64_t word[2 * CKKS_MAX_PRIMES + 2] = {ct->poly->basis};
    memcpy(&word[1], &ct->scale, sizeof word[1]);
    for (unsigned i = 0; i < 2 * limbs; i++) {
        const uint64_t *limb = ct->poly[i % 2].limb[i / 2];
        word[2 + i] = numbers_hash(limb, c->n, sizeof *limb);
    }
    return numbers_hash(word, 2 * limbs + 2, sizeof word[0]);
}

/* ---- slots ---- */

double rms(const ckks_complex *a, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += c_abs2(a[i]);
    return sqrt(sum / (double)count);
}

double rms_difference(const ckks_complex *a, const ckks_complex *b, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += c_abs2(c_sub(a[i], b[i]));
    return sqrt(sum / (double)count);
}

double worst_difference(const ckks_complex *a, const ckks_complex *b, size_t count)
{
    double worst = 0;
    for (size_t i = 0; i < count; i++) worst = fmax(worst, c_abs2(c_sub(a[i], b[i])));
    return sqrt(worst);
}

void assert_within(const char *what, double measured, double expected, double below, double above)
{
    printf("%-56s 2^%.2f, formula 2^%.2f\n", what, log2(measured), log2(expected));
    ck_assert_msg(measured <= expected * exp2(above) && measured >= expected * exp2(-below),
                  "%s: 2^%.2f is not between 2^%.2f and 2^%.2f", what, log2(measured),
                  log2(expected) - below, log2(expected) + above);
}

void assert_variance(const char *what, double variance, double expected, double count,
                     double systematic)
{
    double tolerance = 5 * sqrt(2 / count) + systematic;
    printf("%-56s %.4g, formula %.4g (+- %.1f %%)\n", what, variance, expected, 100 * tolerance);
    ck_assert_msg(fabs(variance / expected - 1) <= tolerance,
                  "%s: variance %.6g, not %.6g within %.1f %%", what, variance, expected,
                  100 * tolerance);
}

void bootstrap_slots(ckks_complex *z, const double *w, size_t n)
{
    for (size_t s = 0; s < n; s++)
        z[s] = s < n / 2 ? (ckks_complex){w[s], 0} : (ckks_complex){0, w[s]};
}

double bootstrap_sine(double w, double eps)
{
    const double turn = 2 * acos(-1) * eps;
    return sin(turn * w) / sin(turn);
}

/* ---- the integers behind it all ---- */

void centred_limb(const ring *r, int64_t *out, const uint64_t *limb, unsigned prime)
{
    const ckks_context *c = r->context;
    const ckks_modulus *p = &c->modulus[prime];
    uint64_t *x = ckks_alloc(c->n * sizeof *x);
    ck_assert_ptr_nonnull(x);
    memcpy(x, limb, c->n * sizeof *x);
    c->kernel->ntt_inverse(p, &x, 1);
    for (size_t i = 0; i < c->n; i++)
        out[i] = x[i] > p->p / 2 ? (int64_t)(x[i] - p->p) : (int64_t)x[i];
    ckks_free(x);
}

void centred_phase(const ring *r, int64_t *out, const ckks_ciphertext *ct, unsigned prime)
{
    const ckks_context *c = r->context;
    uint64_t *x = ckks_alloc(c->n * sizeof *x);
    ck_assert_ptr_nonnull(x);
    uint64_t *y = ckks_alloc(2 * c->n * sizeof *y);
    ck_assert_ptr_nonnull(y);
    c->kernel->mul_add(&c->modulus[prime], x, ckks_poly_range(c, &ct->poly[0], prime, 0, c->n, y),
                       ckks_poly_range(c, &ct->poly[1], prime, 0, c->n, y + c->n),
                       r->secret->ntt + prime * c->stride, c->n);
    centred_limb(r, out, x, prime);
    ckks_free(x);
    ckks_free(y);
}

ckks_poly poly_create(const ring *r, ckks_basis basis)
{
    ckks_poly p;
    uint64_t *block = ckks_alloc(ckks_poly_bytes(r->context, basis));
    ck_assert_ptr_nonnull(block);
    ckks_poly_lay(&p, r->context, basis, block);
    return p;
}

ckks_poly poly_random(const ring *r, ckks_basis basis)
{
    ckks_poly p = poly_create(r, basis);
    for (unsigned i = 0; i < p.limbs; i++)
        for (size_t j = 0; j < r->n; j++)
            p.limb[i][j] = random_word() % r->context->modulus[p.modulus[i]].p;
    return p;
}

void poly_destroy(ckks_poly *p)
{
    ckks_free(p->limb[0]);
}

#ifdef HAVE_GMP
mpz_t *integers_create(size_t count)
{
    mpz_t *x = malloc(count * sizeof *x);
    ck_assert_ptr_nonnull(x);
    for (size_t i = 0; i < count; i++) mpz_init(x[i]);
    return x;
}

void integers_destroy(mpz_t *x, size_t count)
{
    for (size_t i = 0; i < count; i++) mpz_clear(x[i]);
    free(x);
}

void integer_product(mpz_t out, const ring *r, ckks_basis basis)
{
    mpz_set_ui(out, 1);
    for (unsigned i = 0; i < CKKS_MAX_PRIMES; i++)
        if (basis >> i & 1) mpz_mul_ui(out, out, ckks_params_prime(r->params, i));
}

void integer_centre(mpz_t x, const mpz_t modulus)
{
    mpz_t twice;
    mpz_init(twice);
    mpz_mod(x, x, modulus);
    mpz_mul_2exp(twice, x, 1);
    if (mpz_cmp(twice, modulus) > 0) mpz_sub(x, x, modulus);
    mpz_clear(twice);
}

void integers_from_poly(mpz_t *out, const ring *r, const ckks_poly *p)
{
    const ckks_context *c = r->context;
    uint64_t *limb = ckks_alloc(c->n * sizeof *limb);
    mpz_t whole, cofactor, inverse, prime;
    ck_assert_ptr_nonnull(limb);
    mpz_inits(whole, cofactor, inverse, prime, NULL);
    integer_product(whole, r, p->basis);
    for (size_t i = 0; i < c->n; i++) mpz_set_ui(out[i], 0);
    for (unsigned k = 0; k < p->limbs; k++) {
        unsigned t = p->modulus[k];
        memcpy(limb, p->limb[k], c->n * sizeof *limb);
        c->kernel->ntt_inverse(&c->modulus[t], &limb, 1);
        mpz_set_ui(prime, c->modulus[t].p);
        mpz_divexact(cofactor, whole, prime);
        mpz_invert(inverse, cofactor, prime);
        mpz_mul(cofactor, cofactor, inverse);
        for (size_t i = 0; i < c->n; i++) mpz_addmul_ui(out[i], cofactor, limb[i]);
    }
    for (size_t i = 0; i < c->n; i++) integer_centre(out[i], whole);
    mpz_clears(whole, cofactor, inverse, prime, NULL);
    ckks_free(limb);
}

void poly_from_integers(const ring *r, const ckks_poly *p, mpz_t *x)
{
    const ckks_context *c = r->context;
    for (unsigned k = 0; k < p->limbs; k++) {
        const ckks_modulus *m = &c->modulus[p->modulus[k]];
        uint64_t *limb = p->limb[k];
        for (size_t i = 0; i < c->n; i++) limb[i] = mpz_fdiv_ui(x[i], m->p);
        c->kernel->ntt_forward(m, &limb, 1);
    }
}

void integer_phase(mpz_t *out, const ring *r, const ckks_poly ct[2], const uint64_t *s2)
{
    const ckks_context *c = r->context;
    if (!s2) s2 = r->secret->ntt;
    ckks_poly sum = poly_create(r, ct->basis);
    for (unsigned k = 0; k < sum.limbs; k++)
        c->kernel->mul_add(&c->modulus[sum.modulus[k]], sum.limb[k], ct[0].limb[k], ct[1].limb[k],
                           s2 + sum.modulus[k] * c->stride, c->n);
    integers_from_poly(out, r, &sum);
    poly_destroy(&sum);
}

void negacyclic_product(mpz_t *out, mpz_t *a, mpz_t *b, size_t n)
{
    mpz_t *sum = integers_create(n);
    for (size_t i = 0; i < n; i++) {
        if (mpz_sgn(a[i]) == 0) continue;
        for (size_t j = 0; j < n; j++) {
            if (i + j < n)
                mpz_addmul(sum[i + j], a[i], b[j]);
            else
                mpz_submul(sum[i + j - n], a[i], b[j]);
        }
    }
    for (size_t i = 0; i < n; i++) mpz_swap(out[i], sum[i]);
    integers_destroy(sum, n);
}

void integer_automorphism(mpz_t *out, mpz_t *a, uint64_t g, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        size_t e = (size_t)(i * g) & (2 * n - 1);
        if (e < n)
            mpz_set(out[e], a[i]);
        else
            mpz_neg(out[e - n], a[i]);
    }
}
#endif
