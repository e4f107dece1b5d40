/* SPDX-License-Identifier: Apache-2.0 */
/* Bootstrapping: every stage on a toy ring, on the integers behind the ciphertexts; the whole for
 * all n; once at N = 2^15.
 *
 * The stages are not visible outside their file, so this test contains it. */
#include "ckks/circuit/bootstrap.c"

#include "tests/support.h"

/* Recorded RMS on the toy ring: 2^-15.4 of the range for n = 512, less for smaller n; 0.4 bit
 * more. */
#define TOY_BOUND 0x1p-15
/* The identity's, recorded for complex values: 2^-13.9 and, of an arcsine of 2 levels, 2^-12.6;
 * real ones are 0.7 bit better. */
#define IDENTITY_BOUND   exp2(-13.5)
#define IDENTITY_BOUND_2 exp2(-12.2)

static ring toy_ring(void)
{
    ring r;
    ckks_params_spec spec = named_spec("toy-boot");
    ring_open(&r, &spec, NULL);
    return r;
}

static ckks_bootstrap *create(ring *r, unsigned log_values)
{
    ckks_bootstrap *bs = NULL;
    ck_assert_ok(ckks_bootstrap_create(&bs, r->context, r->ws, log_values,
                                       exp2(r->context->params->spec.scale_bits), 1));
    ck_assert_ok(ckks_bootstrap_keys(bs, r->context, &r->list));
    return bs;
}

static void random_values(double *w, size_t n, double radius)
{
    for (size_t s = 0; s < n; s++) w[s] = radius * random_unit();
}

/* Coefficient of Y^k that belongs to value s: bit-reversed within each half. */
static size_t coefficient_of(size_t s, size_t half)
{
    size_t k = 0;
    for (size_t bit = 1, top = half / 2; bit < half; bit *= 2, top /= 2)
        if (s % half & bit) k |= top;
    return s < half ? k : k + half;
}

#ifdef HAVE_GMP
/* Relative error of a chain of grouped butterflies from rounding the encoded diagonals: those of
 * layers up to `last` have period 2^last, so 2^(last + 1) of their coefficients are rounded; the
 * group itself stretches vectors by sqrt(2) a layer, the inverse shrinks them. */
static double encoding_error(const ckks_bootstrap *bs, int inverse, double from, double to,
                             ckks_basis start)
{
    const ckks_context *c = bs->context;
    unsigned groups = inverse ? bs->cts_count : bs->stc_count, size = group_size(c, groups);
    double share = pow(to / from, 1.0 / groups), sum = 0;
    for (unsigned i = 0; i < groups; i++) {
        unsigned part = inverse ? groups - 1 - i : i, first = part * size,
                 last = part + 1 == groups ? bs->log_half : first + size;
        double count = exp2(last - first) * (part + 1 == groups ? 1 : 2),
               gain = exp2((inverse ? -0.5 : 0.5) * (last - first));
        sum += count * exp2(last + 1) / 12 / pow(gain * share * top_prime(c, start), 2);
        start &= ~ckks_basis_top(start);
    }
    return sqrt(sum);
}

/* P(S > a) for the sum S of n independent uniform variables on (-1/2, 1/2), exactly (Irwin,
 * Hall). */
static double uniform_sum_tail(unsigned n, double a)
{
    mpq_t sum, term, y;
    mpz_t binomial, factorial;
    mpq_inits(sum, term, y, NULL);
    mpz_inits(binomial, factorial, NULL);
    /* the lower tail at n / 2 - a */
    mpq_set_d(y, n / 2.0 - a);
    for (unsigned k = 0; mpq_sgn(y) > 0; k++) {
        mpq_t one;
        mpq_init(one);
        mpq_set_ui(term, 1, 1);
        for (unsigned i = 0; i < n; i++) mpq_mul(term, term, y);
        mpz_bin_uiui(binomial, n, k);
        mpq_set_z(one, binomial);
        mpq_mul(term, term, one);
        if (k % 2)
            mpq_sub(sum, sum, term);
        else
            mpq_add(sum, sum, term);
        mpq_set_ui(one, 1, 1);
        mpq_sub(y, y, one);
        mpq_clear(one);
    }
    mpz_fac_ui(factorial, n);
    mpq_set_z(term, factorial);
    mpq_div(sum, sum, term);
    double tail = mpq_get_d(sum);
    mpq_clears(sum, term, y, NULL);
    mpz_clears(binomial, factorial, NULL);
    return tail;
}

/* The probability of overflow that the documents state. Modulo q0 the phase is c0 + sum of h
 * coefficients of c1 with signs, and I is the rounded sum less the message: |I| > K for some of n
 * coefficients, |message| = eps |w|. */
START_TEST(overflow_probability)
{
    ckks_params_spec spec = named_spec("R15");
    double edge = spec.eval_mod_range + 0.5, loss[3];
    for (int w = 0; w <= 2; w++) {
        double p = uniform_sum_tail(spec.hamming_weight, edge - spec.eps * w) +
                   uniform_sum_tail(spec.hamming_weight, edge + spec.eps * w);
        loss[w] = p * exp2(14);
        printf("overflow of a bootstrap, n = 2^14, |w| = %d: 2^%.2f; ResNet-20 2^%.2f, ResNet-32 "
               "2^%.2f\n",
               w, log2(loss[w]), log2(loss[w] * 11.5), log2(loss[w] * 18.5));
    }
    ck_assert_double_le(loss[1], exp2(-31.7));
    ck_assert_double_ge(loss[1], exp2(-31.8));
    ck_assert_double_le(loss[1] * 11.5, exp2(-28));
    ck_assert_double_le(loss[1] * 18.5, exp2(-27.5));
}
END_TEST

/* Lifting is exact: every residue modulo a small q0, to every prime. */
START_TEST(lift_exhaustive)
{
    ring r;
    ckks_params_spec spec = named_spec("toy-boot");
    spec.base_bits = 13.5;
    ring_open(&r, &spec, NULL);
    const ckks_context *c = r.context;
    ckks_basis all = r.chain | r.special;
    ckks_poly in = poly_create(&r, 1), out = poly_create(&r, all);
    uint64_t q0 = c->modulus[0].p, *low = in.limb[0];
    ck_assert_uint_lt(out.limbs, c->primes);
    for (uint64_t first = 0; first < q0; first += c->n) {
        for (size_t j = 0; j < c->n; j++) low[j] = (first + j) % q0;
        c->kernel->ntt_forward(&c->modulus[0], &low, 1);
        ck_assert_ok(ckks_lift(c, r.ws, &out, &in));
        for (unsigned i = 0; i < out.limbs; i++) {
            const ckks_modulus *m = &c->modulus[out.modulus[i]];
            uint64_t *x = out.limb[i], p = m->p;
            c->kernel->ntt_inverse(m, &x, 1);
            for (size_t j = 0; j < c->n; j++) {
                uint64_t y = (first + j) % q0;
                ck_assert_uint_eq(x[j], y <= q0 / 2 ? y % p : (p - (q0 - y) % p) % p);
            }
        }
    }
    poly_destroy(&in);
    poly_destroy(&out);
    ring_close(&r);
}
END_TEST

/* Of the slots after coefficients to slots, from the scale `raised` to `scale`. Each rescale rounds
 * N coefficients with variance R, in front of matrices that make a random vector smaller by 2^(1/2)
 * a layer. In front of the trace values are the gap-th part of what they will be, and its sums of
 * rotations multiply the variance of errors by the gap. The conjugate doubles all. The roundings of
 * the trace and of the conjugation are less than the others. */
static double rescale_error(const ring *r, const ckks_bootstrap *bs, double raised, double scale)
{
    double sum = 0, gap = (double)(r->slots / bs->half), groups = bs->cts_count,
           rounding = (1 + secret_norm2(r)) / 12;
    unsigned size = group_size(r->context, bs->cts_count);
    for (unsigned i = 0; i < bs->cts_count; i++) {
        double at = raised * pow(scale / raised, (i + 1) / groups),
               after = (bs->cts_count - 1 - i) * size;
        sum +=
            (i + 1 < bs->cts_count ? gap : 1) * (double)r->n * rounding / (at * at) * exp2(-after);
    }
    return sqrt(2 * sum);
}

/* The coefficients that step->a, at q0 under the sparse secret, is lifted to: its phase under the
 * dense secret by the key of no rotation, over all primes and not divided by P, so that what the
 * switch adds vanishes in the division. */
static void raised_phase(mpz_t *out, const ring *r, const struct run *step)
{
    const ckks_context *c = step->c;
    const ckks_switch_key *key;
    ck_assert_ok(ckks_eval_keys_find(&key, step->keys, CKKS_KEY_SPARSE_TO_DENSE, 0, c->chain, 0));
    ckks_basis whole = c->chain | key->request.p;
    ckks_poly *first = ckks_poly_take(step->ws, 1, c->chain),
              *second = ckks_poly_take(step->ws, 1, whole),
              *sum = ckks_poly_take(step->ws, 2, whole);
    ck_assert_ok(ckks_lift(c, step->ws, first, &step->a.poly[0]));
    ck_assert_ok(ckks_lift(c, step->ws, second, &step->a.poly[1]));
    ckks_decomposition d;
    ckks_decomposition_of_one(&d, key, c->chain, second);
    const ckks_switch s = {&d, key, first, NULL};
    ckks_switch_each(c, 1, sum, &s);
    mpz_t p, half;
    mpz_inits(p, half, NULL);
    integer_product(p, r, key->request.p);
    mpz_tdiv_q_2exp(half, p, 1);
    integer_phase(out, r, sum, NULL);
    for (size_t k = 0; k < c->n; k++) {
        mpz_add(out[k], out[k], half);
        mpz_fdiv_q(out[k], out[k], p);
    }
    mpz_clears(p, half, NULL);
}

/* The loop index is log2(n). */
START_TEST(stages)
{
    ring r = toy_ring();
    const ckks_context *c = r.context;
    const ckks_params_spec *spec = &c->params->spec;
    ckks_bootstrap *bs = create(&r, (unsigned)_i);
    ring_keys(&r);
    size_t n = (size_t)1 << _i, half = n / 2, gap = r.n / n;
    double w[512], q0 = (double)c->modulus[0].p, rounding = (1 + secret_norm2(&r)) / 12;
    ckks_complex z[512], got[512], want[512];
    random_values(w, n, 1);
    bootstrap_slots(z, w, n);
    ckks_ciphertext *in = encrypt(&r, z, n, bs->scale_in, bs->input);
    /* three residual levels, not two: the second and the third share a limb */
    ckks_basis chain = bs->input | ckks_basis_residual(r.params, 3) |
                       ckks_basis_eval_mod(r.params) | ckks_basis_cts(r.params);
    struct run step = {.c = c, .ws = r.ws, .keys = r.keys, .bs = bs, .chain = chain};
    ckks_mark mark = ckks_workspace_mark(r.ws);
    ck_assert_ok(ckks_ciphertext_scratch(&step.a, r.ws, chain));
    ck_assert_ok(ckks_ciphertext_scratch(&step.b, r.ws, chain));

    /* 1 merge: w_j + i w_(j + n/2) on every half block */
    ck_assert_ok(merge_halves(&step, in));
    for (size_t s = 0; s < r.slots; s++) want[s] = (ckks_complex){w[s % half], w[s % half + half]};
    decrypt(&r, got, &step.a);
    double fresh = CKKS_ERROR_VARIANCE + 1.0 / 12;
    assert_within("merge, slots", rms_difference(got, want, r.slots),
                  sqrt((double)r.n * (2 * fresh + rounding)) / bs->scale_in, 1, 1);

    /* only what is on q0 can be raised */
    ckks_ciphertext *to = &step.b;
    const ckks_ciphertext *merged = &step.a;
    ck_assert_fails(
        ckks_lintrans_apply_each(c, r.ws, r.keys, bs->cts[0], 1, &to, &merged, drop_top(chain, 1)),
        FHOLA_LEVEL);

    /* 2 slots_to_coeffs: eps q0 w on the grid, noise elsewhere. The last rescale rounds with
     * `rounding`, and the one before it as much, since its error is carried along at nearly the
     * same relative size. */
    int64_t phase[1024];
    ck_assert_ok(slots_to_coeffs(&step, 1));
    ck_assert_uint_eq(step.a.poly->basis, 1);
    ck_assert_double_eq_tol(step.a.scale / (spec->eps * q0), 1, 1e-9);
    centred_phase(&r, phase, &step.a, 0);
    double sum = 0;
    for (size_t s = 0; s < n; s++)
        sum += pow((double)phase[gap * coefficient_of(s, half)] - spec->eps * q0 * w[s], 2);
    /* times the RMS of w */
    double matrices =
        encoding_error(bs, 0, bs->scale_in, spec->eps * q0, bs->input) * sqrt(1.0 / 3);
    assert_within("slots_to_coeffs, in units of eps q0", sqrt(sum / (double)n) / (spec->eps * q0),
                  hypot(sqrt(2 * rounding) / (spec->eps * q0), matrices), 1, 1);
    int64_t before[1024];
    memcpy(before, phase, sizeof before);

    /* 3 to the sparse secret: the same residues modulo q0 up to a rounding, plus q0 I with I of
     * variance (h + 1) / 12 */
    ck_assert_ok(switch_to_sparse(&step));
    ck_assert_uint_eq(step.a.poly->basis, 1);
    mpz_t *x = integers_create(r.n);
    raised_phase(x, &r, &step);
    double noise = 0, overflow = 0, largest = 0;
    for (size_t k = 0; k < r.n; k++) {
        double value = mpz_get_d(x[k]), turns = rint((value - (double)before[k]) / q0),
               e = value - (double)before[k] - q0 * turns;
        noise += e * e;
        overflow += turns * turns;
        largest = fmax(largest, fabs(turns));
    }
    assert_variance("switch to sparse, noise of coefficients", noise / (double)r.n,
                    (1 + spec->hamming_weight) / 12.0, (double)r.n, 0.05);
    assert_variance("overflow I", overflow / (double)r.n, (spec->hamming_weight + 1) / 12.0,
                    (double)r.n, 0.05);
    ck_assert_double_le(largest, spec->eval_mod_range);

    /* 4 and 5 coeffs_to_slots of the trace: t = coefficient / (q0 (K + 1/4)), real, period n */
    double range = q0 * (spec->eval_mod_range + 0.25), raised = (double)gap * range,
           scale = exp2(spec->eval_mod_scale_bits[0]);
    ck_assert_ok(coeffs_to_slots(&step, 1));
    ck_assert_uint_eq(step.a.poly->basis, chain & ~ckks_basis_cts(r.params));
    ck_assert_double_eq_tol(step.a.scale / scale, 1, 1e-9);
    for (size_t s = 0; s < r.slots; s++)
        want[s] = (ckks_complex){mpz_get_d(x[gap * coefficient_of(s % n, half)]) / range, 0};
    decrypt(&r, got, &step.a);
    matrices = encoding_error(bs, 1, raised, scale, chain) * rms(want, r.slots);
    assert_within("coeffs_to_slots, slots", rms_difference(got, want, r.slots),
                  hypot(rescale_error(&r, bs, raised, scale), matrices), 1, 1);

    /* 6 eval_mod: the sine of the same integers */
    ck_assert_ok(eval_mod(&step));
    ck_assert_uint_eq(step.a.poly->basis, bs->input | ckks_basis_residual(r.params, 3));
    for (size_t s = 0; s < r.slots; s++) {
        double turns = (double)before[gap * coefficient_of(s % n, half)] / q0;
        want[s] = (ckks_complex){bootstrap_sine(turns / spec->eps, spec->eps), 0};
    }
    decrypt(&r, got, &step.a);
    double error = rms_difference(got, want, r.slots);
    printf("eval_mod, slots                                          2^%.2f\n", log2(error));
    ck_assert_double_le(error, TOY_BOUND);
    ckks_workspace_release(r.ws, mark);
    integers_destroy(x, r.n);
    ckks_ciphertext_destroy(in);
    ckks_bootstrap_destroy(bs);
    ring_close(&r);
}
END_TEST
#endif

/* Grouped butterfly layers: StC is the special Fourier transform without bit reversal, CtS its
 * inverse. */
START_TEST(matrices)
{
    enum { H = 32, LAYERS = 5 };
    const long double pi = acosl(-1);
    static const unsigned cut[][2] = {{0, 5}, {0, 2}, {2, 5}, {0, 1}, {4, 5}};
    ckks_complex u[H], v[H], t[H];
    random_complex(u, H, 1);
    /* the product of all layers, in two groups, against direct evaluation */
    memcpy(v, u, sizeof v);
    for (size_t g = 1; g <= 2; g++) {
        diagonals m;
        ck_assert(group_matrix(&m, H, cut[g][0], cut[g][1], 0));
        memset(t, 0, sizeof t);
        for (size_t d = 0; d < H; d++)
            for (size_t s = 0; m.value[d] && s < H; s++)
                t[s] = c_add(t[s], c_mul(m.value[d][s], v[(s + d) % H]));
        memcpy(v, t, sizeof v);
        diagonals_clear(&m);
    }
    for (size_t j = 0; j < H; j++) {
        long double re = 0, im = 0;
        uint64_t e = 1;
        for (size_t k = 0; k < j; k++) e = e * 5 % (4 * H);
        for (size_t k = 0; k < H; k++) {
            /* coefficient k is u at the bit-reversed place */
            ckks_complex x = u[coefficient_of(k, H)];
            long double angle = 2 * pi * (long double)(e * k % (4 * H)) / (4 * H);
            re += x.re * cosl(angle) - x.im * sinl(angle);
            im += x.re * sinl(angle) + x.im * cosl(angle);
        }
        ck_assert_double_le(fabs((double)(re - v[j].re)) + fabs((double)(im - v[j].im)), 1e-12);
    }
    /* every group times its inverse is the identity */
    for (size_t g = 0; g < 5; g++) {
        diagonals m, inverse;
        ck_assert(group_matrix(&m, H, cut[g][0], cut[g][1], 0) &&
                  group_matrix(&inverse, H, cut[g][0], cut[g][1], 1));
        diagonals product;
        ck_assert(compose(&product, &inverse, &m));
        for (size_t d = 0; d < H; d++)
            for (size_t s = 0; product.value[d] && s < H; s++)
                ck_assert_double_le(
                    fabs(product.value[d][s].re - (d == 0)) + fabs(product.value[d][s].im), 1e-12);
        diagonals_clear(&m);
        diagonals_clear(&inverse);
        diagonals_clear(&product);
    }
}
END_TEST

/* The fitted cosine where it is used: within 2^-18 after the double angles, weighted by how often
 * each overflow occurs. */
START_TEST(cosine)
{
    ckks_params_spec spec = named_spec("R15");
    double coeff[64], variance = (spec.hamming_weight + 1) / 12.0, sum = 0, weight = 0;
    ck_assert_ok(fit_cosine(coeff, &spec));
    for (int i = -(int)spec.eval_mod_range; i <= (int)spec.eval_mod_range; i++)
        for (int j = -100; j <= 100; j++) {
            double x = i + spec.eps * j / 100, u = (x - 0.25) / (spec.eval_mod_range + 0.25),
                   y = 2 * u * u - 1;
            double t0 = 1, t1 = y, value = coeff[0], p = exp(-0.5 * i * i / variance);
            for (unsigned k = 1; k <= spec.eval_mod_degree / 2; k++) {
                double t2 = 2 * y * t1 - t0;
                value += coeff[k] * t1;
                t0 = t1;
                t1 = t2;
            }
            for (unsigned k = 0; k < spec.double_angles; k++) value = 2 * value * value - 1;
            sum += p * pow((value - sin(TWO_PI * x)) / sin(TWO_PI * spec.eps), 2);
            weight += p;
        }
    printf("cosine fit, in units of the range                        2^%.2f\n",
           log2(sqrt(sum / weight)));
    ck_assert_double_le(sqrt(sum / weight), 0x1p-17);
}
END_TEST

/* Whole bootstraps: all n of the toy ring, every number of residual levels. */
START_TEST(whole)
{
    ring r = toy_ring();
    ckks_bootstrap *bs = create(&r, (unsigned)_i);
    const ckks_params_spec *spec = &r.context->params->spec;
    ring_keys(&r);
    size_t n = (size_t)1 << _i;
    ckks_complex z[512], got[512], want[512];
    double w[512];
    ckks_ciphertext *out = new_ciphertext(&r);
    for (unsigned levels = 0; levels <= spec->residual_levels; levels++) {
        random_values(w, n, 1);
        w[0] = 1, w[1] = -1, w[n / 2] = 1, w[n - 1] = -1;
        bootstrap_slots(z, w, n);
        for (size_t s = 0; s < r.slots; s++)
            want[s] = (ckks_complex){bootstrap_sine(w[s % n], spec->eps), 0};
        ckks_ciphertext *in = encrypt(&r, z, n, ckks_bootstrap_scale_in(bs), bs->input);
        uint64_t before = ciphertext_hash(in);
        ck_assert_ok(ckks_bootstrap_apply(r.context, r.ws, r.keys, bs, out, in, levels));
        ck_assert_uint_eq(ciphertext_hash(in), before);
        ck_assert_uint_eq(ckks_ciphertext_basis(out), ckks_basis_base(r.params) |
                                                          ckks_basis_stc(r.params) |
                                                          ckks_basis_residual(r.params, levels));
        ck_assert_double_eq(ckks_ciphertext_scale(out), ckks_bootstrap_scale_out(bs));
        decrypt(&r, got, out);
        double error = rms_difference(got, want, r.slots);
        printf("toy ring, n = %zu, %u levels: 2^%.2f\n", n, levels, log2(error));
        ck_assert_double_le(error, TOY_BOUND);
        ck_assert_double_le(worst_difference(got, want, r.slots), 8 * TOY_BOUND);
        /* in place */
        if (levels == 0) {
            ck_assert_ok(ckks_bootstrap_apply(r.context, r.ws, r.keys, bs, in, in, levels));
            ck_assert_uint_eq(ciphertext_hash(in), ciphertext_hash(out));
        }
        ckks_ciphertext_destroy(in);
    }
    /* |w| up to 2 still lands on the sine */
    random_values(w, n, 2);
    bootstrap_slots(z, w, n);
    ckks_ciphertext *in = encrypt(&r, z, n, ckks_bootstrap_scale_in(bs), bs->input);
    ck_assert_ok(ckks_bootstrap_apply(r.context, r.ws, r.keys, bs, out, in, 1));
    decrypt(&r, got, out);
    for (size_t s = 0; s < r.slots; s++)
        want[s] = (ckks_complex){bootstrap_sine(w[s % n], spec->eps), 0};
    ck_assert_double_le(rms_difference(got, want, r.slots), 2 * TOY_BOUND);
    ckks_ciphertext_destroy(in);
    ckks_ciphertext_destroy(out);
    ckks_bootstrap_destroy(bs);
    ring_close(&r);
}
END_TEST

/* Several at once, more than share their reads: each gives what it gives alone, bit for bit. */
static void several_pairs(ring *r, const ckks_bootstrap *bs, const ckks_ciphertext *in,
                          unsigned levels)
{
    enum { COUNT = CKKS_BOOTSTRAPS_AT_ONCE + 1 };
    ckks_ciphertext *other[COUNT], *out[2 * COUNT],
        *alone[2] = {new_ciphertext(r), new_ciphertext(r)};
    const ckks_ciphertext *inputs[COUNT];
    for (unsigned k = 0; k < COUNT; k++) {
        inputs[k] = other[k] = new_ciphertext(r);
        ck_assert_ok(ckks_add_scalar(r->context, other[k], in, 0.01 * k));
        for (unsigned part = 0; part < 2; part++) out[2 * k + part] = new_ciphertext(r);
    }
    ck_assert_ok(
        ckks_bootstrap_apply_pairs(r->context, r->ws, r->keys, bs, COUNT, out, inputs, levels));
    for (unsigned k = 0; k < COUNT; k++) {
        ck_assert_ok(
            ckks_bootstrap_apply_pair(r->context, r->ws, r->keys, bs, alone, other[k], levels));
        for (unsigned part = 0; part < 2; part++) {
            ck_assert_uint_eq(ciphertext_hash(out[2 * k + part]), ciphertext_hash(alone[part]));
            ckks_ciphertext_destroy(out[2 * k + part]);
        }
        ckks_ciphertext_destroy(other[k]);
    }
    for (unsigned part = 0; part < 2; part++) ckks_ciphertext_destroy(alone[part]);
}

/* The same with the parts apart: each is real, and no worse than their sum. */
static void check_pair(ring *r, const ckks_bootstrap *bs, const ckks_ciphertext *in,
                       unsigned levels, const ckks_complex *want)
{
    ckks_complex got[512], part[512];
    ckks_ciphertext *out[] = {new_ciphertext(r), new_ciphertext(r)};
    ck_assert_ok(ckks_bootstrap_apply_pair(r->context, r->ws, r->keys, bs, out, in, levels));
    for (unsigned k = 0; k < 2; k++) {
        decrypt(r, got, out[k]);
        ck_assert_double_eq(ckks_ciphertext_scale(out[k]), ckks_bootstrap_scale_out(bs));
        for (size_t s = 0; s < r->slots; s++)
            part[s] = (ckks_complex){k ? want[s].im : want[s].re, 0};
        ck_assert_double_le(rms_difference(got, part, r->slots), exp2(-14.1));
        ckks_ciphertext_destroy(out[k]);
    }
    several_pairs(r, bs, in, levels);
    ckks_ciphertext *same[] = {NULL, NULL};
    same[0] = same[1] = new_ciphertext(r);
    ck_assert_fails(ckks_bootstrap_apply_pair(r->context, r->ws, r->keys, bs, same, in, levels),
                    FHOLA_PARAM);
    ckks_ciphertext_destroy(same[0]);
}

/* Complex vectors, from those that leave most of the ring empty to one value per slot. */
START_TEST(complex_values)
{
    ring r = toy_ring();
    ckks_bootstrap *bs = NULL;
    const ckks_params_spec *spec = &r.context->params->spec;
    size_t n = (size_t)1 << _i;
    ckks_complex z[512], got[512], want[512];
    ck_assert_ok(ckks_bootstrap_create_complex(&bs, r.context, r.ws, (unsigned)_i,
                                               exp2(spec->scale_bits), 1));
    ck_assert_ok(ckks_bootstrap_keys(bs, r.context, &r.list));
    ring_keys(&r);
    ckks_ciphertext *out = new_ciphertext(&r);
    for (unsigned levels = 0; levels <= spec->residual_levels; levels += 2) {
        random_complex(z, n, 1);
        z[0] = (ckks_complex){1, -1};
        z[n - 1] = (ckks_complex){0, 1};
        for (size_t s = 0; s < r.slots; s++)
            want[s] = (ckks_complex){bootstrap_sine(z[s % n].re, spec->eps),
                                     bootstrap_sine(z[s % n].im, spec->eps)};
        ckks_ciphertext *in = encrypt(&r, z, n, ckks_bootstrap_scale_in(bs), bs->input);
        ck_assert_ok(ckks_bootstrap_apply(r.context, r.ws, r.keys, bs, out, in, levels));
        ck_assert_uint_eq(ckks_ciphertext_basis(out),
                          bs->input | ckks_basis_residual(r.params, levels));
        ck_assert_double_eq(ckks_ciphertext_scale(out), ckks_bootstrap_scale_out(bs));
        decrypt(&r, got, out);
        double error = rms_difference(got, want, r.slots);
        printf("toy ring, %zu complex values, %u levels: 2^%.2f\n", n, levels, log2(error));
        /* recorded: 2^-14.5 for 512 values, less for fewer */
        ck_assert_double_le(error, exp2(-14.1));
        ck_assert_double_le(worst_difference(got, want, r.slots), 8 * TOY_BOUND);
        check_pair(&r, bs, in, levels, want);
        ckks_ciphertext_destroy(in);
    }
    ckks_ciphertext_destroy(out);
    ckks_bootstrap_destroy(bs);
    ck_assert_fails(ckks_bootstrap_create_complex(&bs, r.context, r.ws, 10, 0x1p28, 1),
                    FHOLA_PARAM);
    ck_assert_fails(ckks_bootstrap_create_complex(&bs, r.context, r.ws, 4, 0x1p28, 1), FHOLA_PARAM);
    ring_close(&r);
}
END_TEST

/* The arcsine's polynomial between the points it was fitted at, for each number of levels. */
START_TEST(arcsine)
{
    ckks_params_spec spec = named_spec("R15");
    /* of degrees 3, 7, 15, 31 at the part of a turn that was chosen */
    static const double bound[] = {0x1p-13, 0x1p-15, 0x1p-26, 0x1p-45};
    for (unsigned levels = 2; levels <= ARCSINE_LEVELS; levels++) {
        double coeff[2 * ARCSINE_TERMS], turn = 0, worst = 0;
        choose_arcsine(coeff, &turn, levels, &spec);
        ck_assert_double_eq(turn, levels == 2 ? 0.0625 : 0.125);
        for (int k = -1000; k <= 1000; k++) {
            double x = k / 1000.0, y = sin(TWO_PI * turn * x) / sin(TWO_PI * turn), t0 = 1, t1 = y,
                   value = 0;
            for (unsigned i = 1; i < 1u << levels; i++) {
                double t2 = 2 * y * t1 - t0;
                value += coeff[i] * t1;
                t0 = t1;
                t1 = t2;
            }
            worst = fmax(worst, fabs(value - x));
        }
        printf("arcsine of %u levels, up to 1/%g turn: 2^%.2f\n", levels, 1 / turn, log2(worst));
        ck_assert_double_le(worst, bound[levels - 2]);
    }
}
END_TEST

static ckks_bootstrap *identity(ring *r, unsigned log_values, int parts, unsigned arcsine_levels)
{
    ckks_bootstrap *bs = NULL;
    ck_assert_ok(ckks_bootstrap_create_identity(&bs, r->context, r->ws, log_values, parts,
                                                arcsine_levels, 1));
    ck_assert_ok(ckks_bootstrap_keys(bs, r->context, &r->list));
    ring_keys(r);
    return bs;
}

/* Real values, then complex ones; two to four levels for the arcsine; from one level and from all,
 * to every number of levels. What comes out goes in again. */
START_TEST(identities)
{
    ring r = toy_ring();
    int parts = _i / 3;
    unsigned arcsine_levels = 2 + (unsigned)_i % 3;
    const double scale = ckks_params_scale(r.params),
                 bound = arcsine_levels == 2 ? IDENTITY_BOUND_2 : IDENTITY_BOUND;
    ckks_bootstrap *bs = identity(&r, 9, parts, arcsine_levels);
    ckks_complex z[512], got[512];
    ckks_ciphertext *out = new_ciphertext(&r);
    random_complex(z, 512, 1);
    for (size_t s = 0; s < 512; s++)
        if (!parts) z[s].im = 0;
    z[0].re = z[511].re = 1;
    z[1].re = z[255].re = -1;
    for (unsigned levels = 0; levels <= 5 - arcsine_levels; levels++) {
        ckks_ciphertext *in =
            encrypt(&r, z, 512, scale, ckks_basis_level(r.params, levels % 2 ? 1 : 5));
        ck_assert_ok(ckks_bootstrap_apply(r.context, r.ws, r.keys, bs, out, in, levels));
        ck_assert_uint_eq(ckks_level(out), levels);
        ck_assert_uint_eq(ckks_ciphertext_basis(out), ckks_basis_level(r.params, levels));
        ck_assert_double_eq(ckks_ciphertext_scale(out), scale);
        ck_assert_double_eq(ckks_bootstrap_scale_out(bs), scale);
        ck_assert_uint_eq(ckks_ciphertext_period(out), 512);
        decrypt(&r, got, out);
        printf("identity, %s, arcsine of %u levels, %u left: 2^%.2f, worst 2^%.2f\n",
               parts ? "complex" : "real", arcsine_levels, levels,
               log2(rms_difference(got, z, 512)), log2(worst_difference(got, z, 512)));
        ck_assert_double_le(rms_difference(got, z, 512), bound);
        ck_assert_double_le(worst_difference(got, z, 512), 8 * bound);
        if (levels) {
            ck_assert_ok(ckks_bootstrap_apply(r.context, r.ws, r.keys, bs, out, out, levels));
            decrypt(&r, got, out);
            ck_assert_double_le(rms_difference(got, z, 512), 2 * bound);
        }
        ckks_ciphertext_destroy(in);
    }
    ck_assert_fails(ckks_bootstrap_apply(r.context, r.ws, r.keys, bs, out, out, 6 - arcsine_levels),
                    FHOLA_LEVEL);
    ckks_ciphertext_destroy(out);
    ckks_bootstrap_destroy(bs);
    ring_close(&r);
}
END_TEST

/* Values as they are become the input of the sine's bootstrap. */
START_TEST(packing)
{
    ring r = toy_ring();
    ckks_bootstrap *bs = create(&r, 8), *both = NULL;
    ck_assert_ok(ckks_bootstrap_create_complex(&both, r.context, r.ws, 8, 0x1p28, 1));
    ring_keys(&r);
    ckks_complex z[512], want[512], got[512];
    double w[256];
    ckks_ciphertext *out = new_ciphertext(&r);
    random_values(w, 256, 1);
    for (size_t s = 0; s < 512; s++) z[s] = (ckks_complex){w[s % 256], 0};
    bootstrap_slots(want, w, 256);
    memcpy(want + 256, want, 256 * sizeof *want);
    ckks_basis two = ckks_basis_level(r.params, 2), one = ckks_basis_level(r.params, 1);
    /* at the working scale on a prime, above it on two, and both with more than needed */
    const struct {
        double scale;
        ckks_basis basis;
    } from[] = {{0x1p28, one}, {0x1p36, one}, {0x1p56, two}, {0x1p28, r.chain}};
    for (size_t k = 0; k < 4; k++) {
        ckks_ciphertext *in = encrypt(&r, z, 256, from[k].scale, from[k].basis);
        ck_assert_ok(ckks_bootstrap_pack(r.context, r.ws, bs, out, in));
        ck_assert_uint_eq(ckks_ciphertext_basis(out), bs->input);
        ck_assert_double_eq(ckks_ciphertext_scale(out), 0x1p28);
        decrypt(&r, got, out);
        printf("packing from scale 2^%.0f: 2^%.2f\n", log2(from[k].scale),
               log2(rms_difference(got, want, 512)));
        /* the mask's rounding, or that of the rescale */
        ck_assert_double_le(rms_difference(got, want, 512), 0x1p-15);
        if (from[k].scale == 0x1p28) { /* in this ring no integer is precise enough above */
            ck_assert_ok(ckks_bootstrap_pack(r.context, r.ws, both, in, in));
            decrypt(&r, got, in);
            ck_assert_double_le(rms_difference(got, z, 512), 0x1p-15);
        }
        ckks_ciphertext_destroy(in);
    }
    ckks_ciphertext *in = encrypt(&r, z, 256, 0x1p28, bs->input);
    ck_assert_fails(ckks_bootstrap_pack(r.context, r.ws, bs, out, in), FHOLA_LEVEL);
    ckks_ciphertext_destroy(in);
    in = encrypt(&r, z, 256, 0x1p50, one);
    ck_assert_fails(ckks_bootstrap_pack(r.context, r.ws, bs, out, in), FHOLA_LEVEL);
    ck_assert_fails(ckks_bootstrap_pack(r.context, r.ws, both, out, in), FHOLA_RANGE);
    ckks_ciphertext_set(out, 0, 0, 0);
    ck_assert_fails(ckks_bootstrap_pack(r.context, r.ws, both, in, out), FHOLA_LEVEL);
    ckks_ciphertext_destroy(in);
    ckks_ciphertext_destroy(out);
    ckks_bootstrap_destroy(both);
    ckks_bootstrap_destroy(bs);
    ring_close(&r);
}
END_TEST

/* A bootstrap for fewer values than the ciphertext has, or real values that are not packed, cannot
 * go unseen as long as the library knows where the values come from. */
START_TEST(wrong_number_of_values)
{
    ring r = toy_ring();
    ckks_bootstrap *bs = create(&r, 8), *exact = identity(&r, 8, 0, 3), *both = NULL;
    ck_assert_ok(ckks_bootstrap_create_complex(&both, r.context, r.ws, 8, 0x1p28, 1));
    ck_assert_ok(ckks_bootstrap_keys(both, r.context, &r.list));
    ring_keys(&r);
    ckks_complex z[512];
    ckks_ciphertext *out = new_ciphertext(&r);
    random_complex(z, 512, 1);
    ckks_ciphertext *all = encrypt(&r, z, 512, 0x1p28, bs->input),
                    *few = encrypt(&r, z, 128, 0x1p28, bs->input),
                    *high = encrypt(&r, z, 512, 0x1p28, ckks_basis_level(r.params, 1));
    ck_assert_fails(ckks_bootstrap_apply(r.context, r.ws, r.keys, bs, out, all, 1), FHOLA_PARAM);
    ck_assert_ptr_nonnull(strstr(fhola_detail(), "repeat after 512 slots"));
    ck_assert_ptr_nonnull(strstr(fhola_detail(), "log_values 8"));
    ck_assert_fails(ckks_bootstrap_apply(r.context, r.ws, r.keys, both, out, all, 1), FHOLA_PARAM);
    ck_assert_fails(ckks_bootstrap_apply(r.context, r.ws, r.keys, exact, out, high, 1),
                    FHOLA_PARAM);
    ck_assert_fails(ckks_bootstrap_pack(r.context, r.ws, bs, out, high), FHOLA_PARAM);
    /* half of a block needs i, so real values cannot repeat earlier; complex ones can */
    ck_assert_fails(ckks_bootstrap_apply(r.context, r.ws, r.keys, bs, out, few, 1), FHOLA_PARAM);
    ck_assert_ptr_nonnull(strstr(fhola_detail(), "ckks_bootstrap_pack"));
    ck_assert_ok(ckks_bootstrap_apply(r.context, r.ws, r.keys, both, out, few, 1));
    ck_assert_uint_eq(ckks_ciphertext_period(out), 256);
    /* who knows better says so */
    ck_assert_ok(ckks_ciphertext_set_period(all, 256));
    ck_assert_ok(ckks_bootstrap_apply(r.context, r.ws, r.keys, bs, out, all, 1));
    ck_assert_ok(ckks_ciphertext_set_period(all, 0));
    ck_assert_ok(ckks_bootstrap_apply(r.context, r.ws, r.keys, bs, out, all, 1));
    ck_assert_fails(ckks_ciphertext_set_period(all, 96), FHOLA_PARAM);
    ck_assert_fails(ckks_ciphertext_set_period(all, 1024), FHOLA_PARAM);
    ckks_ciphertext_destroy(all);
    ckks_ciphertext_destroy(few);
    ckks_ciphertext_destroy(high);
    ckks_ciphertext_destroy(out);
    ckks_bootstrap_destroy(bs);
    ckks_bootstrap_destroy(both);
    ckks_bootstrap_destroy(exact);
    ring_close(&r);
}
END_TEST

/* The rotations of a small n are among those of the largest: one set of keys serves all. */
START_TEST(shared_keys)
{
    ring r = toy_ring();
    ckks_bootstrap *large = create(&r, 9);
    size_t most = r.list.count;
    for (unsigned log_values = 8; log_values >= 6; log_values--) {
        ckks_bootstrap *bs = NULL;
        ckks_key_list other = {NULL, 0, 0};
        ck_assert_ok(ckks_bootstrap_create(&bs, r.context, r.ws, log_values, 0x1p28, 0));
        ck_assert_uint_eq(ckks_bootstrap_bytes(bs), 0);
        ck_assert_ok(ckks_bootstrap_keys(bs, r.context, &other));
        for (size_t i = 0; i < other.count; i++)
            ck_assert_ok(ckks_key_list_add(&r.list, r.context, other.request[i]));
        ckks_key_list_clear(&other);
        ckks_bootstrap_destroy(bs);
    }
    printf("keys for n = 512: %zu, for all n: %zu\n", most, r.list.count);
    /* what smaller n add: the trace's rotations, which the largest does not have */
    ck_assert_uint_le(r.list.count - most, 2 * 3);
    ck_assert_uint_gt(ckks_bootstrap_bytes(large), 0);
    ckks_bootstrap_destroy(large);
    ckks_bootstrap_destroy(NULL);
    ring_close(&r);
}
END_TEST

START_TEST(errors)
{
    ring r = toy_ring(), flat;
    ckks_params_spec spec = flat_spec(10, 28, 6, 28);
    ring_open(&flat, &spec, NULL);
    ckks_bootstrap *bs = NULL;
    ck_assert_fails(ckks_bootstrap_create(&bs, flat.context, flat.ws, 9, 0x1p28, 1), FHOLA_PARAM);
    ck_assert_fails(ckks_bootstrap_create(&bs, r.context, r.ws, 10, 0x1p28, 1), FHOLA_PARAM);
    ck_assert_fails(ckks_bootstrap_create(&bs, r.context, r.ws, 5, 0x1p28, 1), FHOLA_PARAM);
    ck_assert_fails(ckks_bootstrap_create(&bs, r.context, r.ws, 0, 0x1p28, 1), FHOLA_PARAM);
    ck_assert_fails(ckks_bootstrap_create(&bs, r.context, r.ws, 9, 0, 1), FHOLA_SCALE);
    const double scales[] = {(double)NAN, (double)INFINITY, -1, 0x1p-1050, 0x1p80};
    for (size_t k = 0; k < 5; k++)
        for (int encode = 0; encode < 2; encode++) {
            ck_assert_fails(ckks_bootstrap_create(&bs, r.context, r.ws, 9, scales[k], encode),
                            FHOLA_SCALE);
            ck_assert_fails(
                ckks_bootstrap_create_complex(&bs, r.context, r.ws, 9, scales[k], encode),
                FHOLA_SCALE);
        }
    ck_assert_fails(ckks_bootstrap_create_identity(&bs, flat.context, flat.ws, 9, 0, 3, 1),
                    FHOLA_PARAM);
    for (unsigned k = 0; k < 4; k++) { /* levels 0, 1, 6 and too many values */
        const unsigned levels[] = {0, 1, 6, 3};
        ck_assert_fails(ckks_bootstrap_create_identity(&bs, r.context, r.ws, k < 3 ? 9 : 10, k % 2,
                                                       levels[k], 1),
                        FHOLA_PARAM);
    }
    ck_assert_ptr_null(bs);
    bs = create(&r, 9);
    ring_keys(&r);
    ckks_complex z[512] = {{0.5, 0}};
    ckks_basis input = bs->input;
    ckks_ciphertext *in = encrypt(&r, z, r.slots, 0x1p28, input), *out = new_ciphertext(&r);
    ckks_ciphertext *high = encrypt(&r, z, r.slots, 0x1p28, input | input << 1),
                    *low = encrypt(&r, z, r.slots, 0x1p28, input >> 1);
    ckks_ciphertext *scaled = encrypt(&r, z, r.slots, 0x1.0001p28, input),
                    *foreign = encrypt(&flat, z, r.slots, 0x1p28, input);
    ck_assert_fails(ckks_bootstrap_apply(r.context, r.ws, r.keys, bs, out, high, 1), FHOLA_LEVEL);
    ck_assert_fails(ckks_bootstrap_apply(r.context, r.ws, r.keys, bs, out, low, 1), FHOLA_LEVEL);
    ck_assert_fails(ckks_bootstrap_apply(r.context, r.ws, r.keys, bs, out, out, 1), FHOLA_LEVEL);
    ck_assert_fails(ckks_bootstrap_apply(r.context, r.ws, r.keys, bs, out, in, 6), FHOLA_LEVEL);
    ck_assert_fails(ckks_bootstrap_apply(r.context, r.ws, r.keys, bs, out, scaled, 1), FHOLA_SCALE);
    ck_assert_fails(ckks_bootstrap_apply(r.context, r.ws, r.keys, bs, out, foreign, 1),
                    FHOLA_PARAM);
    ck_assert_fails(ckks_bootstrap_apply(r.context, flat.ws, r.keys, bs, out, in, 1), FHOLA_PARAM);
    /* without any one key there is no result */
    for (size_t skip = 0; skip < r.list.count; skip += 5) {
        ckks_key_request all[200], left[200];
        size_t count = r.list.count;
        ck_assert_uint_le(count, 200);
        memcpy(all, r.list.request, count * sizeof all[0]);
        memcpy(left, all, skip * sizeof left[0]);
        memcpy(left + skip, all + skip + 1, (count - skip - 1) * sizeof left[0]);
        ckks_key_list list = {left, count - 1, count - 1};
        ckks_eval_keys *keys = NULL;
        ck_assert_ok(ckks_eval_keys_create(&keys, r.context, r.secret, &list, r.rng, NULL, NULL));
        fhola_status st = ckks_bootstrap_apply(r.context, r.ws, keys, bs, out, in, 1);
        /* another key of that rotation may do the same */
        if (st) ck_assert_int_eq(st, FHOLA_KEY);
        ck_assert(st == FHOLA_OK || ckks_ciphertext_basis(out) == 0);
        if (!st) ckks_ciphertext_set(out, 0, 0, 0);
        ckks_eval_keys_destroy(keys);
    }
    ckks_bootstrap *bare = NULL;
    ck_assert_ok(ckks_bootstrap_create(&bare, r.context, r.ws, 9, 0x1p28, 0));
    ck_assert_fails(ckks_bootstrap_apply(r.context, r.ws, r.keys, bare, out, in, 1), FHOLA_PARAM);
    ck_assert_uint_eq(ckks_ciphertext_basis(out), 0);
    ckks_bootstrap_destroy(bare);
    ckks_bootstrap_destroy(bs);
    ckks_ciphertext_destroy(in);
    ckks_ciphertext_destroy(out);
    ckks_ciphertext_destroy(high);
    ckks_ciphertext_destroy(low);
    ckks_ciphertext_destroy(scaled);
    ckks_ciphertext_destroy(foreign);
    ring_close(&r);
    ring_close(&flat);
}
END_TEST

/* The real ring, the largest n. Recorded: RMS 2^-12.4 of the range, worst 2^-10.0; 0.4 and 0.5 bit
 * more. */
START_TEST(full_size)
{
    enum { N = 1 << 14 };
    ring r;
    ckks_params_spec spec = named_spec("R15");
    set_threads(0);
    ring_open(&r, &spec, NULL);
    ckks_bootstrap *bs = create(&r, 14);
    ring_keys(&r);
    double *w = malloc(N * sizeof *w);
    ckks_complex *z = malloc(2 * N * sizeof *z), *want = z + N;
    ck_assert(w && z);
    random_values(w, N, 1);
    bootstrap_slots(z, w, N);
    ckks_ciphertext *ct = encrypt(&r, z, N, ckks_bootstrap_scale_in(bs), bs->input);
    ck_assert_ok(ckks_bootstrap_apply(r.context, r.ws, r.keys, bs, ct, ct, 3));
    for (size_t s = 0; s < N; s++) want[s] = (ckks_complex){bootstrap_sine(w[s], spec.eps), 0};
    decrypt(&r, z, ct);
    const ckks_bootstrap_times *t = ckks_workspace_times(r.ws);
    printf("R15, n = 2^14 (%s): RMS 2^%.2f, worst 2^%.2f of the range; %.2f s\n",
           ckks_context_isa(r.context), log2(rms_difference(z, want, N)),
           log2(worst_difference(z, want, N)),
           t->slots_to_coeffs + t->switch_to_sparse + t->coeffs_to_slots + t->eval_mod);
    ck_assert_double_le(rms_difference(z, want, N), exp2(-12.0));
    ck_assert_double_le(worst_difference(z, want, N), exp2(-9.5));
    ckks_ciphertext_destroy(ct);
    ckks_bootstrap_destroy(bs);
    ring_close(&r);
    free(w);
    free(z);
}
END_TEST

/* A setup without a bootstrap has what was asked for, and nothing else; one that is refused is
 * empty. The whole of one with a bootstrap is an example of fhola(3), which tests/embedding.sh
 * runs. */
START_TEST(setups)
{
    const int32_t by[1] = {1};
    ckks_setup s;
    ck_assert_ok(ckks_setup_create(&s, "R15", 1, 0, by, 1, 0));
    ck_assert(s.params && s.context && s.workspace && s.rng && s.secret && s.keys);
    ck_assert_ptr_null(s.bootstrap);
    ckks_complex z[4] = {{0.5, 0}, {-0.7, 0}, {0.3, 0}, {0.9, 0}};
    ckks_plaintext *plain = NULL;
    ckks_ciphertext *x = NULL;
    ck_assert_ok(ckks_plaintext_create(&plain, s.context));
    ck_assert_ok(ckks_ciphertext_create(&x, s.context));
    ck_assert_ok(ckks_encode(s.context, s.workspace, plain, z, 4, ckks_params_scale(s.params),
                             ckks_basis_level(s.params, 1)));
    ck_assert_ok(ckks_encrypt(s.context, s.workspace, x, plain, s.secret, s.rng));
    ck_assert_fails(ckks_mul(s.context, s.workspace, s.keys, x, x, x, 1), FHOLA_KEY);
    ck_assert_ok(ckks_rotate(s.context, s.workspace, s.keys, x, x, 1));
    ck_assert_ok(ckks_decrypt(s.context, s.workspace, z, 4, x, s.secret));
    ck_assert_double_eq_tol(z[0].re, -0.7, 0x1p-10);
    ck_assert_double_eq_tol(z[3].re, 0.5, 0x1p-10);
    ckks_ciphertext_destroy(x);
    ckks_plaintext_destroy(plain);
    ckks_setup_clear(&s);
    ck_assert(!s.params && !s.context && !s.keys);
    ckks_setup_clear(&s);
    ckks_setup_clear(NULL);

    ck_assert_fails(ckks_setup_create(&s, "R14", 1, 0, by, 1, 0), FHOLA_PARAM);
    ck_assert_fails(ckks_setup_create(&s, "R15", 99, 0, by, 1, 0), FHOLA_PARAM);
    ck_assert_fails(ckks_setup_create(&s, "R15", 1, 8, by, 1, 0), FHOLA_PARAM);
    ck_assert_fails(ckks_setup_create(&s, "R15", 1, 0, by, 1, 9), FHOLA_PARAM);
    ck_assert(!s.params && !s.context && !s.workspace && !s.rng && !s.secret && !s.keys);
}
END_TEST

static void add_tests(TCase *tcase)
{
#ifdef HAVE_GMP
    tcase_add_test(tcase, overflow_probability);
    tcase_add_test(tcase, lift_exhaustive);
    tcase_add_loop_test(tcase, stages, 6, 10);
#endif
    tcase_add_test(tcase, matrices);
    tcase_add_test(tcase, cosine);
    tcase_add_loop_test(tcase, whole, 6, 10);
    tcase_add_loop_test(tcase, complex_values, 5, 10);
    tcase_add_test(tcase, arcsine);
    tcase_add_loop_test(tcase, identities, 0, 6);
    tcase_add_test(tcase, packing);
    tcase_add_test(tcase, wrong_number_of_values);
    tcase_add_test(tcase, shared_keys);
    tcase_add_test(tcase, errors);
    tcase_add_test(tcase, full_size);
    tcase_add_test(tcase, setups);
}

int main(void)
{
    test_seed(0);
#ifndef HAVE_GMP
    puts("without GMP: the stages of bootstrapping are not tested one by one");
#endif
    return test_run("bootstrap", add_tests, 300);
}
