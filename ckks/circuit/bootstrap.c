/* SPDX-License-Identifier: Apache-2.0 */
/* Bootstrapping, slots to coefficients first. Real vectors of n values take n / 2 complex slots:
 *
 *   1  merge            slot j of every half block: w_j + i w_(j + n/2), by one rotation
 *   2  slots_to_coeffs  coefficients in Y = X^(N/n) are eps q0 w, bit-reversed until step 4
 *   3  switch_to_sparse at q0 from the dense to the sparse secret
 *   4  coeffs_to_slots  and the conjugate: slots hold t = coefficient / (q0 (K + 1/4)), real. The
 *                       first transform lifts to the whole chain; its babies are back under the
 *                       dense secret
 *   5  trace            onto Z[Y]: rotations by n/2, n, ..., N/4, each added, in front of the last
 *                       transform of step 4: the other diagonals repeat after n / 2 slots, so that
 *                       it is the same there as before them, on fewer primes
 *   6  eval_mod         sin(2 pi eps w) / sin(2 pi eps), or w by one more polynomial, the arcsine
 *
 * Complex vectors of n values take n slots: no merge; step 4 leaves real and imaginary parts apart,
 * and step 6 runs on both. The caller gets their sum, or (two real vectors bootstrapped as a pair)
 * each for itself.
 *
 * Order and structure: Chen, Han (Eurocrypt 2018); Bossuat, Troncoso-Pastoriza, Hubaux (ACNS 2022)
 * for the sparse secret's encapsulation; double angles: Han, Ki (CT-RSA 2020). The sine itself is
 * the output where the caller's next polynomial absorbs it. For the identity values x in [-1, 1]
 * are raised as w = x turn / eps, a part of what the sine could take, so that the arcsine stays
 * away from where it is steep (an inverse sine after the sine: Lee, Lee, Lee, Kim, No, Eurocrypt
 * 2021). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ckks/alloc.h"
#include "ckks/clock.h"
#include "ckks/ring/elementary.h"
#include "ckks/ring/rns.h"
#include "ckks/scheme/evaluate.h"

#define MAX_GROUPS 8u
#define FIT_NODES  33 /* nodes of the cosine's least-squares fit per integer I */
/* What packing multiplies with stands at this part of the working scale if there are primes enough
 * to divide by, and at no less than the other: 8 bits below and beside the errors of a rescale. */
#define PACKING_SCALE       0x1p-8
#define LEAST_PACKING_SCALE 0x1p-12
#define ARCSINE_LEVELS      5u /* at most: degree 31 */
#define ARCSINE_TERMS       16 /* odd ones up to that degree */
#define ARCSINE_NODES       64 /* of its fit */
#define TWO_PI              6.283185307179586476925286766559
#define ONE_LN2             1.4426950408889634074
#define LEAST_LOG_WEIGHT                                                                           \
    (-30.0) /* of the fit: keeps overflows that hardly occur from being forgotten */

struct ckks_bootstrap {
    const ckks_context *context;
    int complex;       /* complex values; else real ones, two in a slot */
    int small_keys;    /* transforms with two keys each */
    unsigned log_half; /* log2 of `half` */
    /* slots up to which vectors repeat: n / 2 real values, or n complex ones */
    size_t half;
    double scale_in, scale_out;
    double turn;       /* 1 is raised to this part of the sine's period: eps, or less */
    double sine_scale; /* of sin(2 pi turn x) / sin(2 pi turn) */
    unsigned stc_count, cts_count;
    ckks_lintrans *stc[MAX_GROUPS], *cts[MAX_GROUPS];
    ckks_polynomial *cosine;    /* in T_2(u) */
    ckks_polynomial *arcsine;   /* for the identity; else NULL */
    unsigned arcsine_levels;    /* 0: none */
    ckks_plaintext *i;          /* complex: the imaginary unit at scale 1 */
    ckks_basis input, eval_mod; /* base + stc; base + stc + residual + eval_mod */
};

/* ---- matrices ---- */

/* A product of butterfly layers as diagonals on h slots: entry [d] (h values or NULL) multiplies x
 * rotated left by d. */
typedef struct diagonals {
    size_t h;
    ckks_complex **value;
} diagonals;

static void diagonals_clear(diagonals *m)
{
    if (m->value)
        for (size_t d = 0; d < m->h; d++) free(m->value[d]);
    free(m->value);
    m->value = NULL;
}

static ckks_complex *diagonal_at(diagonals *m, size_t d)
{
    if (!m->value[d]) m->value[d] = calloc(m->h, sizeof *m->value[d]);
    return m->value[d];
}

static int diagonals_init(diagonals *m, size_t h)
{
    m->h = h;
    m->value = calloc(h, sizeof *m->value);
    return m->value != NULL;
}

static int add_entry(diagonals *m, size_t row, size_t column, double re, double im)
{
    ckks_complex *d = diagonal_at(m, (column + m->h - row) & (m->h - 1));
    if (!d) return 0;
    d[row].re += re;
    d[row].im += im;
    return 1;
}

/* Butterfly layer `l` of the special Fourier transform on h slots without bit reversal (span
 * 2^(l+1)), or its inverse. */
static int butterfly(diagonals *m, size_t h, unsigned l, int inverse)
{
    if (!diagonals_init(m, h)) return 0;
    size_t half = (size_t)1 << l, span = 2 * half;
    for (size_t j = 0; j < half; j++) {
        double w[2];
        uint64_t power = 1;
        for (size_t k = 0; k < j; k++) power = power * 5 & (4 * span - 1);
        ckks_root_of_unity(w, power, l + 3);
        for (size_t i = 0; i < h; i += span) {
            size_t p = i + j, r = p + half;
            int ok = inverse ? add_entry(m, p, p, 0.5, 0) && add_entry(m, p, r, 0.5, 0) &&
                                   add_entry(m, r, p, 0.5 * w[0], -0.5 * w[1]) &&
                                   add_entry(m, r, r, -0.5 * w[0], 0.5 * w[1])
                             : add_entry(m, p, p, 1, 0) && add_entry(m, p, r, w[0], w[1]) &&
                                   add_entry(m, r, p, 1, 0) && add_entry(m, r, r, -w[0], -w[1]);
            if (!ok) return 0;
        }
    }
    return 1;
}

/* a b: first b, then a. */
static int compose(diagonals *out, const diagonals *a, const diagonals *b)
{
    size_t h = a->h;
    if (!diagonals_init(out, h)) return 0;
    for (size_t i = 0; i < h; i++)
        for (size_t j = 0; a->value[i] && j < h; j++) {
            if (!b->value[j]) continue;
            ckks_complex *d = diagonal_at(out, (i + j) & (h - 1));
            if (!d) return 0;
            for (size_t s = 0; s < h; s++) {
                ckks_complex x = a->value[i][s], y = b->value[j][(s + i) & (h - 1)];
                d[s].re += x.re * y.re - x.im * y.im;
                d[s].im += x.re * y.im + x.im * y.re;
            }
        }
    return 1;
}

/* Layers first .. last - 1 as one matrix; the inverse runs from the top layer down. */
static int group_matrix(diagonals *out, size_t h, unsigned first, unsigned last, int inverse)
{
    diagonals product = {0, NULL}, layer, next;
    for (unsigned k = 0; k < last - first; k++) {
        int ok = butterfly(&layer, h, inverse ? last - 1 - k : first + k, inverse);
        if (ok && product.value) {
            ok = compose(&next, &layer, &product);
            diagonals_clear(&layer);
            diagonals_clear(&product);
            product = next;
        } else {
            diagonals_clear(&product);
            product = layer;
        }
        if (!ok) {
            diagonals_clear(&product);
            return 0;
        }
    }
    *out = product;
    return 1;
}

typedef struct group_source {
    diagonals matrix;
    size_t period; /* h, or 2h with the factor (1/2 | -i/2) of the last coeffs_to_slots group */
    double factor; /* with period h */
    int32_t turn, turned; /* as in group_spec */
} group_source;

static int group_diagonal(void *arg, unsigned block, int32_t offset, ckks_complex *values)
{
    (void)block;
    const group_source *g = arg;
    size_t h = g->matrix.h;
    const ckks_complex *d = g->matrix.value[(size_t)(offset - g->turn) & (h - 1)];
    if (!d) return 1;
    for (size_t s = 0; s < g->period; s++) {
        size_t row = (s + (size_t)g->turned) & (g->period - 1);
        ckks_complex x = d[row & (h - 1)];
        if (g->period == h)
            values[s] = (ckks_complex){g->factor * x.re, g->factor * x.im};
        else
            values[s] = row < h ? (ckks_complex){0.5 * x.re, 0.5 * x.im}
                                : (ckks_complex){0.5 * x.im, -0.5 * x.re};
    }
    return 0;
}

/* Layers are grouped from the bottom in equal parts, the same for every n, and the top group takes
 * the rest: so the rotations of a small n are among those of the largest, and one set of keys
 * serves all. */
static unsigned group_size(const ckks_context *c, unsigned groups)
{
    return (c->log_n - 2) / groups;
}

typedef struct group_spec {
    unsigned first, last; /* layers */
    int inverse, raised, final, encode;
    ckks_basis basis;
    double plain_scale;
    /* The result is rotated by `turned`, by `turn` more than the input: so much more are the
     * rotations of the diagonals. */
    int32_t turn, turned;
} group_spec;

/* All rotations are to the left, so that giants in turn take one key. For that the result of each
 * transform is a rotation of what it would be, and the offsets -reach .. reach of a group are moved
 * up by a step of the group above less its own. What is left of it is in the end one step of the
 * top group, whose offsets wrap around. */
static void choose_turn(group_spec *g, int top, unsigned size)
{
    int32_t step = (int32_t)1 << g->first, low = g->first ? step : 0, high = top ? 0 : step << size;
    g->turned = g->inverse ? -low : high;
    g->turn = high - low;
}

/* Babies of a group whose highest offset is `reach` steps. There are as many keys as babies that
 * are rotations, the last of which is the way from giant to giant, and reach / babies - 1 giants. A
 * key is megabytes to send and to read, a giant a decomposition: they count alike, and of equals
 * the fewest giants are taken. */
static int32_t choose_babies(int32_t reach)
{
    int32_t best = 1, least = reach;
    for (int32_t babies = 2; babies <= reach; babies++) {
        int32_t cost = babies + (reach + babies - 1) / babies - 1;
        if (cost > least) continue;
        best = babies;
        least = cost;
    }
    return best;
}

/* Babies of the group that raises: an inner product with a key of one digit is a tenth of a giant's
 * time, so there are many. With small keys they are few, since each has a key. */
static int32_t choose_raised_babies(const ckks_bootstrap *bs, int32_t reach)
{
    return bs->small_keys ? (reach + 4) / 5 : (reach + 1) / 2;
}

static fhola_status create_group(ckks_lintrans **out, const ckks_bootstrap *bs, ckks_workspace *ws,
                                 const group_spec *g)
{
    const ckks_context *c = bs->context;
    unsigned layers = g->last - g->first,
             size = group_size(c, g->inverse ? bs->cts_count : bs->stc_count);
    int top = g->last == bs->log_half;
    int32_t step = (int32_t)1 << g->first, reach = ((int32_t)1 << layers) - 1, offset[2 << 12];
    int32_t last = (2 << size) - 1,
            babies = g->raised ? choose_raised_babies(bs, last) : choose_babies(last);
    if (layers > 12)
        return fhola_fail(FHOLA_PARAM, "a group of %u butterfly layers is too large", layers);
    size_t count = 0;
    /* The top group's offsets wrap around half a block, the others reach both ways. */
    for (int32_t i = top ? 0 : -reach; i <= reach; i++)
        offset[count++] = i * step + (top ? 0 : g->turn);
    group_source source = {.period = g->final && !bs->complex ? 2 * bs->half : bs->half,
                           .factor = g->final ? 0.5 : 1,
                           .turn = g->turn,
                           .turned = g->turned};
    ckks_lintrans_spec spec = {.basis = g->basis,
                               .special = ckks_basis_special_for(c->params, g->basis),
                               .count = count,
                               .offset = offset,
                               .arg = &source,
                               .period = source.period,
                               .plain_scale = g->plain_scale,
                               .baby_step = (uint32_t)(step * babies),
                               .double_hoist = g->raised || (g->inverse && !bs->small_keys),
                               .in_turn = 1,
                               .whole_baby = last % babies ? 0 : last * step,
                               .babies_in_turn = bs->small_keys && !g->raised,
                               .raised = g->raised};
    if (g->encode) {
        if (!group_matrix(&source.matrix, bs->half, g->first, g->last, g->inverse))
            return fhola_fail(FHOLA_NOMEM, "no memory for a bootstrapping matrix");
        spec.diagonal = group_diagonal;
    }
    fhola_status st = ckks_lintrans_create(out, c, ws, &spec);
    diagonals_clear(&source.matrix);
    return st;
}

static double top_prime(const ckks_context *c, ckks_basis basis)
{
    return (double)c->modulus[ckks_basis_lowest(ckks_basis_top(basis))].p;
}

/* A chain of transforms from scale `from` to exactly scale `to`, each carrying an equal share.
 * Bases: `start`, less its top prime each time. */
static fhola_status create_groups(ckks_bootstrap *bs, ckks_workspace *ws, int inverse, double from,
                                  double to, ckks_basis start, int encode)
{
    const ckks_context *c = bs->context;
    unsigned groups = inverse ? bs->cts_count : bs->stc_count, size = group_size(c, groups);
    ckks_lintrans **out = inverse ? bs->cts : bs->stc;
    double share = ckks_exp2(ckks_log2(to / from) / groups), scale = from;
    fhola_status st = FHOLA_OK;
    for (unsigned i = 0; i < groups && !st; i++) {
        unsigned part = inverse ? groups - 1 - i : i; /* the inverse starts with the top layers */
        double target = i + 1 == groups ? to : scale * share, prime = top_prime(c, start);
        group_spec g = {.first = part * size,
                        .last = part + 1 == groups ? bs->log_half : (part + 1) * size,
                        .inverse = inverse,
                        .raised = inverse && i == 0,
                        .final = inverse && part == 0,
                        .encode = encode,
                        .basis = start,
                        .plain_scale = target / scale * prime};
        choose_turn(&g, part + 1 == groups, size);
        st = create_group(&out[i], bs, ws, &g);
        scale = scale * g.plain_scale / prime;
        start &= ~ckks_basis_top(start);
    }
    return st;
}

/* ---- the cosine ---- */

/* Weight of the point I + w, at `angle` of the cosine in turns. */
static double fit_weight(const ckks_params_spec *s, int i, double angle)
{
    double variance = (s->hamming_weight + 1) / 12.0, doubles = ldexp(1, (int)s->double_angles);
    double log_probability = -0.5 * (ONE_LN2 * i * i / variance + ckks_log2(TWO_PI * variance));
    double amplification =
        s->double_angles ? fabs(doubles * ckks_sin2pi(doubles * angle) / ckks_sin2pi(angle)) : 1;
    return ckks_exp2(0.5 * fmax(s->eval_mod_power * log_probability, LEAST_LOG_WEIGHT)) *
           amplification;
}

/* A row for each point: a holds m columns of weighted Chebyshev polynomials, b the weighted
 * cosine. */
static void fill_rows(double *a, double *b, size_t m, size_t rows, const ckks_params_spec *s)
{
    double range = s->eval_mod_range + 0.25, doubles = ldexp(1, (int)s->double_angles);
    size_t row = 0;
    for (int i = -(int)s->eval_mod_range; i <= (int)s->eval_mod_range; i++)
        for (int j = 0; j < FIT_NODES; j++, row++) {
            double x = i + 2 * s->eps * ckks_cos2pi((j + 0.5) / (2 * FIT_NODES)),
                   u = (x - 0.25) / range, y = 2 * u * u - 1, angle = (x - 0.25) / doubles,
                   weight = fit_weight(s, i, angle), t0 = 1, t1 = y;
            for (size_t k = 0; k < m; k++) {
                double t2 = 2 * y * t1 - t0;
                a[k * rows + row] = weight * t0;
                t0 = t1;
                t1 = t2;
            }
            b[row] = weight * ckks_cos2pi(angle);
        }
}

/* Makes column k orthonormal to those before it, r on the way; takes its part out of b and returns
 * how much that was. */
static double orthogonalize(double *a, double *b, double *r, size_t k, size_t m, size_t rows)
{
    double *column = a + k * rows, norm = 0, part = 0;
    for (int pass = 0; pass < 2; pass++)
        for (size_t l = 0; l < k; l++) {
            double dot = 0;
            for (size_t i = 0; i < rows; i++) dot += a[l * rows + i] * column[i];
            for (size_t i = 0; i < rows; i++) column[i] -= dot * a[l * rows + i];
            r[l * m + k] += dot;
        }
    for (size_t i = 0; i < rows; i++) norm += column[i] * column[i];
    norm = sqrt(norm);
    for (size_t i = 0; i < rows; i++) column[i] /= norm;
    r[k * m + k] = norm;
    for (size_t i = 0; i < rows; i++) part += column[i] * b[i];
    for (size_t i = 0; i < rows; i++) b[i] -= part * column[i];
    return part;
}

/* The least-squares solution of a coeff = b; r: m * m zeros. Modified Gram-Schmidt, twice. */
static void solve(double *coeff, double *a, double *b, double *r, size_t m, size_t rows)
{
    for (size_t k = 0; k < m; k++) coeff[k] = orthogonalize(a, b, r, k, m, rows);
    for (size_t k = m; k-- > 0;) {
        for (size_t l = k + 1; l < m; l++) coeff[k] -= r[k * m + l] * coeff[l];
        coeff[k] /= r[k * m + k];
    }
}

/* Least-squares coefficients of cos(2 pi ((K + 1/4) u) / 2^r) as an even polynomial in u, in
 * Chebyshev polynomials of y = T_2(u) = 2 u^2 - 1, over the points X = I + w, |w| <= 2 eps, |I| <=
 * K, u = (X - 1/4) / (K + 1/4). Weight: P(I)^power times the amplification of r double-angle steps;
 * P(I) is near normal with variance (h + 1) / 12. */
static fhola_status fit_cosine(double *coeff, const ckks_params_spec *s)
{
    size_t m = s->eval_mod_degree / 2 + 1, rows = (2 * s->eval_mod_range + 1) * FIT_NODES;
    double *a = calloc(rows * m + rows + m * m, sizeof *a);
    if (!a) return fhola_fail(FHOLA_NOMEM, "no memory to fit the cosine");
    double *b = a + rows * m, *r = b + rows;
    fill_rows(a, b, m, rows, s);
    solve(coeff, a, b, r, m, rows);
    free(a);
    return FHOLA_OK;
}

/* ---- the arcsine ---- */

/* Odd Chebyshev coefficients (all of them, even ones 0) of x as a polynomial of degree 2 m - 1 in
 * y = sin(2 pi turn x) / sin(2 pi turn), |x| <= 1, by least squares over points that crowd at the
 * ends as Chebyshev's do. *worst: its largest error there. */
static void fit_arcsine(double *coeff, double *worst, size_t m, double turn)
{
    double a[ARCSINE_TERMS * ARCSINE_NODES], b[ARCSINE_NODES], x[ARCSINE_NODES],
        r[ARCSINE_TERMS * ARCSINE_TERMS] = {0}, odd[ARCSINE_TERMS];
    for (size_t j = 0; j < ARCSINE_NODES; j++) {
        b[j] = x[j] = ckks_cos2pi(((double)j + 0.5) / (4 * ARCSINE_NODES));
        double y = ckks_sin2pi(turn * x[j]) / ckks_sin2pi(turn), before = y, at = y;
        for (size_t k = 0; k < m; k++) { /* T_(2k+1) = 2 T_2 T_(2k-1) - T_(2k-3) */
            double next = 2 * (2 * y * y - 1) * at - before;
            a[k * ARCSINE_NODES + j] = at;
            before = at;
            at = next;
        }
    }
    solve(odd, a, b, r, m, ARCSINE_NODES);
    *worst = 0;
    for (size_t j = 0; j < ARCSINE_NODES; j++) *worst = fmax(*worst, fabs(b[j]));
    for (size_t k = 0; k < m; k++) {
        coeff[2 * k] = 0;
        coeff[2 * k + 1] = odd[k];
    }
}

/* The arcsine of as high a degree as its levels allow, and the part of the sine's period that 1 is
 * raised to: a small part loses precision to the noise, which grows by 1 / (2 pi turn) and the
 * arcsine's steepness, a large one to the polynomial. */
static void choose_arcsine(double *coeff, double *turn, unsigned levels, const ckks_params_spec *s)
{
    size_t m = (size_t)1 << (levels - 1);
    /* of the sine: 2^-12.4 were measured at scale 2^28, 2^-21.6 at 2^36 */
    double noise = ckks_exp2(15 - s->scale_bits), least = HUGE_VAL;
    double t = fmin(s->eps, 0.125);
    for (int halvings = 0; halvings < 5; halvings++, t /= 2) {
        double fit[2 * ARCSINE_TERMS], worst;
        fit_arcsine(fit, &worst, m, t);
        double error = worst + noise / (TWO_PI * t * ckks_cos2pi(t));
        if (error >= least) continue;
        least = error;
        *turn = t;
        memcpy(coeff, fit, 2 * m * sizeof *coeff);
    }
}

static ckks_basis drop_top(ckks_basis basis, unsigned count)
{
    for (; count > 0; count--) basis &= ~ckks_basis_top(basis);
    return basis;
}

/* EvalMod from scale S_0 on `basis`: one level for T_2(u), then the polynomial, then the double
 * angles. */
static fhola_status create_eval_mod(ckks_bootstrap *bs, ckks_workspace *ws)
{
    const ckks_context *c = bs->context;
    const ckks_params_spec *s = &c->params->spec;
    double coeff[64], scale = ckks_exp2(s->eval_mod_scale_bits[0]);
    unsigned degree = s->eval_mod_degree / 2, depth = ckks_polynomial_depth(degree);
    fhola_status st = fit_cosine(coeff, s);
    if (st) return st;
    ckks_basis basis = drop_top(bs->eval_mod, 1);
    FHOLA_TRY(ckks_scale_fits(c, bs->eval_mod, scale * scale, "T_2 in EvalMod"));
    scale = scale * scale / top_prime(c, bs->eval_mod);
    double landing = ckks_exp2(s->scale_bits) / (TWO_PI * s->eps);
    double out =
        1 + depth < s->eval_mod_levels ? ckks_exp2(s->eval_mod_scale_bits[1 + depth]) : landing;
    ckks_polynomial_spec spec = {degree, 1, coeff, basis, drop_top(basis, depth), scale, out};
    st = ckks_polynomial_create(&bs->cosine, c, ws, &spec);
    if (st) return st;
    basis = spec.basis_out;
    for (unsigned i = 0; i < s->double_angles; i++) {
        FHOLA_TRY(ckks_scale_fits(c, basis, out * out, "a doubled angle"));
        out = out * out / top_prime(c, basis);
        basis = drop_top(basis, 1);
    }
    bs->scale_out = bs->sine_scale = out * ckks_sin2pi(bs->turn);
    return FHOLA_OK;
}

/* From what eval_mod leaves to the values themselves at the working scale, on the highest residual
 * primes. */
static fhola_status create_arcsine(ckks_bootstrap *bs, ckks_workspace *ws, const double *coeff)
{
    const ckks_params *p = bs->context->params;
    ckks_basis basis = ckks_basis_level(p, p->spec.residual_levels);
    ckks_polynomial_spec spec = {.degree = (1u << bs->arcsine_levels) - 1,
                                 .period = 1,
                                 .coeff = coeff,
                                 .basis_in = basis,
                                 .basis_out = drop_top(basis, bs->arcsine_levels),
                                 .scale_in = bs->sine_scale,
                                 .scale_out = ckks_params_scale(p)};
    bs->scale_out = spec.scale_out;
    return ckks_polynomial_create(&bs->arcsine, bs->context, ws, &spec);
}

/* Residual primes that the arcsine uses up. */
static ckks_basis arcsine_basis(const ckks_bootstrap *bs)
{
    const ckks_params *p = bs->context->params;
    unsigned levels = p->spec.residual_levels;
    return ckks_basis_residual(p, levels) & ~ckks_basis_residual(p, levels - bs->arcsine_levels);
}

/* ---- set-up ---- */

/* The scale right after the lift: slots hold coefficient / (q0 (K + 1/4)), and the trace will
 * multiply by the gap. */
static double raised_scale(const ckks_bootstrap *bs)
{
    const ckks_context *c = bs->context;
    return (double)(c->slots / bs->half) * (double)c->modulus[0].p *
           (c->params->spec.eval_mod_range + 0.25);
}

/* The imaginary unit as the monomial X^(N/2): products with it are exact. */
static fhola_status create_unit(ckks_bootstrap *bs, ckks_workspace *ws)
{
    const ckks_complex unit = {0, 1};
    fhola_status st = ckks_plaintext_create(&bs->i, bs->context);
    return st ? st : ckks_encode(bs->context, ws, bs->i, &unit, 1, 1, bs->eval_mod);
}

/* What the public functions choose. */
typedef struct bootstrap_spec {
    unsigned log_half;
    int complex;
    unsigned arcsine_levels;
    double scale_in;
    int options;
} bootstrap_spec;

static fhola_status check_transforms(const ckks_context *c, const bootstrap_spec *spec)
{
    const ckks_params_spec *s = &c->params->spec;
    unsigned lower = (s->stc_levels - 1) * group_size(c, s->stc_levels),
             lower_cts = (s->cts_levels - 1) * group_size(c, s->cts_levels);
    if (s->cts_levels == 1 && spec->log_half < c->log_slots)
        return fhola_fail(FHOLA_PARAM,
                          "coefficients to slots in one level is for 2^%u values alone",
                          c->log_slots + !spec->complex);
    if (spec->log_half > lower && spec->log_half > lower_cts) return FHOLA_OK;
    return fhola_fail(FHOLA_PARAM, "2^%u values are too few for transforms of %u and %u levels",
                      spec->log_half + !spec->complex, s->stc_levels, s->cts_levels);
}

/* All parts of a bootstrap whose fields are set. */
static fhola_status create_parts(ckks_bootstrap *bs, ckks_workspace *ws, int encode)
{
    const ckks_context *c = bs->context;
    const ckks_params_spec *s = &c->params->spec;
    double coeff[2 * ARCSINE_TERMS];
    bs->turn = s->eps;
    if (bs->arcsine_levels) choose_arcsine(coeff, &bs->turn, bs->arcsine_levels, s);
    FHOLA_TRY(create_groups(bs, ws, 0, bs->scale_in * (s->eps / bs->turn),
                            s->eps * (double)c->modulus[0].p, bs->input, encode));
    FHOLA_TRY(create_groups(bs, ws, 1, raised_scale(bs), ckks_exp2(s->eval_mod_scale_bits[0]),
                            c->chain, encode));
    FHOLA_TRY(create_eval_mod(bs, ws));
    if (bs->arcsine_levels) FHOLA_TRY(create_arcsine(bs, ws, coeff));
    return bs->complex ? create_unit(bs, ws) : FHOLA_OK;
}

static fhola_status create_bootstrap(ckks_bootstrap **out, const ckks_context *c,
                                     ckks_workspace *ws, const bootstrap_spec *spec)
{
    const ckks_params_spec *s = &c->params->spec;
    ckks_basis input = ckks_basis_level(c->params, 0);
    FHOLA_TRY(ckks_scale_fits(c, input, spec->scale_in, "a bootstrap's input"));
    FHOLA_TRY(check_transforms(c, spec));
    ckks_bootstrap *bs = calloc(1, sizeof *bs);
    if (!bs) return fhola_fail(FHOLA_NOMEM, "no memory for a bootstrap");
    bs->context = c;
    bs->complex = spec->complex;
    bs->small_keys = spec->options & CKKS_BOOTSTRAP_SMALL_KEYS;
    bs->log_half = spec->log_half;
    bs->half = (size_t)1 << bs->log_half;
    bs->arcsine_levels = spec->arcsine_levels;
    bs->scale_in = spec->scale_in;
    bs->stc_count = s->stc_levels;
    bs->cts_count = s->cts_levels;
    bs->input = input;
    bs->eval_mod = ckks_basis_level(c->params, s->residual_levels) | ckks_basis_eval_mod(c->params);
    fhola_status status = create_parts(bs, ws, spec->options & CKKS_BOOTSTRAP_ENCODE);
    if (status) {
        ckks_bootstrap_destroy(bs);
        return status;
    }
    *out = bs;
    return FHOLA_OK;
}

static fhola_status check_size(const ckks_context *c, unsigned log_values, unsigned least)
{
    if (!c->params->spec.eval_mod_levels)
        return fhola_fail(FHOLA_PARAM, "the parameter set has no bootstrapping levels");
    if (log_values < least || log_values > c->log_slots)
        return fhola_fail(FHOLA_PARAM, "2^%u values do not fit 2^%u slots", log_values,
                          c->log_slots);
    return FHOLA_OK;
}

fhola_status ckks_bootstrap_create(ckks_bootstrap **out, const ckks_context *c, ckks_workspace *ws,
                                   unsigned log_values, double scale_in, int options)
{
    FHOLA_TRY(check_size(c, log_values, 2));
    const bootstrap_spec spec = {
        .log_half = log_values - 1, .scale_in = scale_in, .options = options};
    return create_bootstrap(out, c, ws, &spec);
}

fhola_status ckks_bootstrap_create_complex(ckks_bootstrap **out, const ckks_context *c,
                                           ckks_workspace *ws, unsigned log_values, double scale_in,
                                           int options)
{
    FHOLA_TRY(check_size(c, log_values, 1));
    const bootstrap_spec spec = {
        .log_half = log_values, .complex = 1, .scale_in = scale_in, .options = options};
    return create_bootstrap(out, c, ws, &spec);
}

fhola_status ckks_bootstrap_create_identity(ckks_bootstrap **out, const ckks_context *c,
                                            ckks_workspace *ws, unsigned log_values,
                                            int complex_values, unsigned arcsine_levels,
                                            int options)
{
    const ckks_params_spec *s = &c->params->spec;
    FHOLA_TRY(check_size(c, log_values, complex_values ? 1 : 2));
    if (arcsine_levels < 2 || arcsine_levels > ARCSINE_LEVELS)
        return fhola_fail(FHOLA_PARAM, "%u levels for the arcsine are outside 2..%u",
                          arcsine_levels, ARCSINE_LEVELS);
    if (arcsine_levels > s->residual_levels)
        return fhola_fail(FHOLA_PARAM, "%u levels for the arcsine, there are %u residual ones",
                          arcsine_levels, s->residual_levels);
    const bootstrap_spec spec = {.log_half = log_values - !complex_values,
                                 .complex = complex_values != 0,
                                 .arcsine_levels = arcsine_levels,
                                 .scale_in = ckks_params_scale(c->params),
                                 .options = options};
    return create_bootstrap(out, c, ws, &spec);
}

void ckks_bootstrap_destroy(ckks_bootstrap *bs)
{
    if (!bs) return;
    for (unsigned i = 0; i < MAX_GROUPS; i++) {
        ckks_lintrans_destroy(bs->stc[i]);
        ckks_lintrans_destroy(bs->cts[i]);
    }
    ckks_polynomial_destroy(bs->cosine);
    ckks_polynomial_destroy(bs->arcsine);
    ckks_plaintext_destroy(bs->i);
    free(bs);
}

fhola_status ckks_bootstrap_keys(const ckks_bootstrap *bs, const ckks_context *c,
                                 ckks_key_list *list)
{
    const ckks_params *p = c->params;
    ckks_key_request merge = {CKKS_KEY_ROTATE, (uint32_t)bs->half, bs->input,
                              ckks_basis_special_for(p, bs->input)};
    ckks_key_request sparse = {CKKS_KEY_DENSE_TO_SPARSE, 0, ckks_basis_base(p), CKKS_BIT(p->chain)};
    ckks_key_request conjugate = {CKKS_KEY_CONJUGATE, 0, bs->eval_mod, c->special};
    ckks_key_request relinearize = {CKKS_KEY_RELINEARIZE, 0, bs->eval_mod, c->special};
    fhola_status st = bs->complex ? FHOLA_OK : ckks_key_list_add(list, c, merge);
    if (!st) st = ckks_key_list_add(list, c, sparse);
    if (!st) st = ckks_key_list_add(list, c, conjugate);
    if (!st) st = ckks_key_list_add(list, c, relinearize);
    /* The last products of EvalMod are small enough for a key of one digit. */
    for (unsigned level = 1; level < p->spec.eval_mod_levels && !st; level++) {
        ckks_basis basis = drop_top(bs->eval_mod, level),
                   special = ckks_basis_special_for(p, basis);
        if (ckks_params_log2(p, special) < ckks_params_log2(p, basis) + CKKS_DIGIT_MARGIN) continue;
        ckks_key_request small = {CKKS_KEY_RELINEARIZE, 0, basis, special};
        st = ckks_key_list_add(list, c, small);
        break;
    }
    for (size_t k = bs->half; k < c->slots && !st; k *= 2) {
        ckks_key_request trace = {CKKS_KEY_ROTATE, (uint32_t)k,
                                  drop_top(c->chain, bs->cts_count - 1), c->special};
        st = ckks_key_list_add(list, c, trace);
    }
    for (unsigned i = 0; i < bs->stc_count && !st; i++)
        st = ckks_lintrans_keys(bs->stc[i], c, list);
    for (unsigned i = 0; i < bs->cts_count && !st; i++)
        st = ckks_lintrans_keys(bs->cts[i], c, list);
    if (!st && bs->arcsine) st = ckks_polynomial_keys(bs->arcsine, c, list);
    return st;
}

size_t ckks_bootstrap_bytes(const ckks_bootstrap *bs)
{
    size_t bytes = 0;
    for (unsigned i = 0; i < bs->stc_count; i++) bytes += ckks_lintrans_bytes(bs->stc[i]);
    for (unsigned i = 0; i < bs->cts_count; i++) bytes += ckks_lintrans_bytes(bs->cts[i]);
    return bytes;
}

size_t ckks_bootstrap_encoded_bytes(const ckks_bootstrap *bs)
{
    size_t bytes = 0;
    for (unsigned i = 0; i < bs->stc_count; i++) bytes += ckks_lintrans_encoded_bytes(bs->stc[i]);
    for (unsigned i = 0; i < bs->cts_count; i++) bytes += ckks_lintrans_encoded_bytes(bs->cts[i]);
    return bytes;
}

double ckks_bootstrap_scale_in(const ckks_bootstrap *bs)
{
    return bs->scale_in;
}

double ckks_bootstrap_scale_out(const ckks_bootstrap *bs)
{
    return bs->scale_out;
}

/* ---- packing ---- */

/* Slots after which the values repeat. */
static size_t values_of(const ckks_bootstrap *bs)
{
    return bs->complex ? bs->half : 2 * bs->half;
}

/* Whether values that repeat as far as is known do so after as many slots as the bootstrap's, or
 * (what has not met the mask of real values) earlier. */
static fhola_status check_period(const ckks_bootstrap *bs, const ckks_ciphertext *in, bool masked)
{
    size_t n = values_of(bs);
    if (!in->period || in->period == n || (!masked && in->period < n)) return FHOLA_OK;
    if (in->period < n)
        return fhola_fail(FHOLA_PARAM,
                          "values that repeat after %zu slots are not what ckks_bootstrap_pack "
                          "makes for a bootstrap of log_values %u",
                          in->period, bs->log_half + !bs->complex);
    return fhola_fail(FHOLA_PARAM,
                      "the values repeat after %zu slots, the bootstrap was made for log_values "
                      "%u: %zu",
                      in->period, bs->log_half + !bs->complex, n);
}

/* Primes of `in` to keep: as few as leave a factor precise when all but the bootstrap's are divided
 * away. *scale: the factor's. */
static ckks_basis kept_primes(const ckks_bootstrap *bs, const ckks_ciphertext *in, double *scale)
{
    const ckks_context *c = bs->context;
    ckks_basis kept = bs->input, rest = in->poly->basis & ~kept;
    *scale = bs->scale_in / in->scale;
    for (; rest && *scale < PACKING_SCALE * ckks_params_scale(c->params); rest &= rest - 1) {
        kept |= rest & (~rest + 1);
        *scale *= (double)c->modulus[ckks_basis_lowest(rest)].p;
    }
    return kept;
}

static fhola_status check_mask_scale(const ckks_bootstrap *bs, const ckks_ciphertext *in,
                                     double scale)
{
    const ckks_context *c = bs->context;
    double least = LEAST_PACKING_SCALE * ckks_params_scale(c->params);
    if (scale >= least) return FHOLA_OK;
    return fhola_fail(
        FHOLA_LEVEL,
        "packing values at scale 2^%.2f for a bootstrap takes residual primes of %.1f "
        "bits, there are %.1f (%s)",
        ckks_log2(in->scale), ckks_log2(least * in->scale / bs->scale_in),
        ckks_params_log2(c->params, in->poly->basis & ~bs->input),
        ckks_basis_describe(c->params, in->poly->basis & ~bs->input).text);
}

/* 1 on the first half of each block, i on the second, at `scale`, times `in`; then rescaled. */
static fhola_status apply_mask(const ckks_bootstrap *bs, ckks_workspace *ws, ckks_ciphertext *out,
                               const ckks_ciphertext *in, const ckks_plaintext *mask)
{
    const ckks_context *c = bs->context;
    ckks_ciphertext product;
    FHOLA_TRY(ckks_ciphertext_scratch(&product, ws, mask->poly.basis));
    FHOLA_TRY(ckks_drop(c, &product, in, mask->poly.basis));
    FHOLA_TRY(ckks_mul_plain(c, &product, &product, mask));
    FHOLA_TRY(ckks_rescale(c, ws, out, &product, bs->input));
    out->scale = bs->scale_in;
    return FHOLA_OK;
}

static fhola_status pack_real(const ckks_bootstrap *bs, ckks_workspace *ws, ckks_ciphertext *out,
                              const ckks_ciphertext *in)
{
    const ckks_context *c = bs->context;
    size_t n = values_of(bs);
    double scale;
    ckks_basis kept = kept_primes(bs, in, &scale);
    FHOLA_TRY(check_mask_scale(bs, in, scale));
    ckks_plaintext *mask = NULL;
    ckks_mark mark = ckks_workspace_mark(ws);
    fhola_status status = FHOLA_NOMEM;
    ckks_complex *value = ckks_workspace_take(ws, n * sizeof *value);
    if (!value) goto end;
    for (size_t s = 0; s < n; s++)
        value[s] = s < bs->half ? (ckks_complex){1, 0} : (ckks_complex){0, 1};
    status = ckks_plaintext_create(&mask, c);
    if (status) goto end;
    status = ckks_encode(c, ws, mask, value, n, scale, kept);
    if (status) goto end;
    status = apply_mask(bs, ws, out, in, mask);
end:
    ckks_plaintext_destroy(mask);
    ckks_workspace_release(ws, mark);
    return status;
}

static fhola_status pack_complex(const ckks_bootstrap *bs, ckks_workspace *ws, ckks_ciphertext *out,
                                 const ckks_ciphertext *in)
{
    const ckks_context *c = bs->context;
    double scale;
    ckks_basis kept = kept_primes(bs, in, &scale);
    ckks_ciphertext part;
    ckks_mark mark = ckks_workspace_mark(ws);
    fhola_status status = ckks_ciphertext_scratch(&part, ws, kept);
    if (!status) status = ckks_drop(c, &part, in, kept);
    if (!status) status = ckks_mul_scalar(c, ws, out, &part, 1, bs->scale_in, bs->input);
    ckks_workspace_release(ws, mark);
    return status;
}

static fhola_status pack(const ckks_bootstrap *bs, ckks_workspace *ws, ckks_ciphertext *out,
                         const ckks_ciphertext *in)
{
    const ckks_context *c = bs->context;
    FHOLA_TRY(check_period(bs, in, false));
    if (bs->input & ~in->poly->basis)
        return fhola_fail(FHOLA_LEVEL, "a bootstrap takes the primes %s, the ciphertext has %s",
                          ckks_basis_describe(c->params, bs->input).text,
                          ckks_basis_describe(c->params, in->poly->basis).text);
    return bs->complex ? pack_complex(bs, ws, out, in) : pack_real(bs, ws, out, in);
}

fhola_status ckks_bootstrap_pack(const ckks_context *c, ckks_workspace *ws,
                                 const ckks_bootstrap *bs, ckks_ciphertext *out,
                                 const ckks_ciphertext *in)
{
    FHOLA_TRY(ckks_ciphertext_check(c, in, "the input"));
    if (bs->context != c || ws->context != c || out->context != c)
        return fhola_fail(FHOLA_PARAM,
                          "the bootstrap, workspace or result belong to another context");
    return pack(bs, ws, out, in);
}

/* ---- the steps ---- */

typedef struct run {
    const ckks_context *c;
    ckks_workspace *ws;
    const ckks_eval_keys *keys;
    const ckks_bootstrap *bs;
    ckks_basis chain;          /* primes this run raises to */
    ckks_ciphertext a, b;      /* scratch, used in turn */
    ckks_ciphertext imaginary; /* complex: the imaginary parts, from coeffs_to_slots on */
} run;

static fhola_status merge_halves(run *r, const ckks_ciphertext *in)
{
    fhola_status st = ckks_rotate(r->c, r->ws, r->keys, &r->a, in, (int32_t)r->bs->half);
    return st ? st : ckks_add(r->c, &r->a, &r->a, in);
}

static void swap(run *r)
{
    ckks_ciphertext t = r->a;
    r->a = r->b;
    r->b = t;
}

/* Of all runs at once, so that keys and diagonals are read once. */
static fhola_status transform(run r[], size_t runs, const ckks_lintrans *lt, ckks_basis out_basis)
{
    ckks_ciphertext *out[CKKS_BOOTSTRAPS_AT_ONCE] = {NULL};
    const ckks_ciphertext *in[CKKS_BOOTSTRAPS_AT_ONCE] = {NULL};
    for (size_t k = 0; k < runs; k++) {
        out[k] = &r[k].b;
        in[k] = &r[k].a;
    }
    FHOLA_TRY(ckks_lintrans_apply_each(r->c, r->ws, r->keys, lt, runs, out, in, out_basis));
    for (size_t k = 0; k < runs; k++) swap(&r[k]);
    return FHOLA_OK;
}

static fhola_status slots_to_coeffs(run r[], size_t runs)
{
    for (unsigned i = 0; i < r->bs->stc_count; i++)
        FHOLA_TRY(transform(r, runs, r->bs->stc[i], drop_top(r->a.poly->basis, 1)));
    return FHOLA_OK;
}

/* r->a at q0 under the sparse secret, at the scale of what it will be raised to. */
static fhola_status switch_to_sparse(run *r)
{
    const ckks_switch_key *key;
    ckks_basis base = ckks_basis_base(r->c->params);
    FHOLA_TRY(ckks_eval_keys_find(&key, r->keys, CKKS_KEY_DENSE_TO_SPARSE, 0, base, 0));
    fhola_status status = FHOLA_NOMEM;
    ckks_mark mark = ckks_workspace_mark(r->ws);
    ckks_poly *sum = ckks_poly_take(r->ws, 2, base | key->request.p);
    if (!sum) goto end;
    status = ckks_key_switch(r->c, r->ws, key, &r->a.poly[0], NULL, &r->a.poly[1], sum);
    if (status) goto end;
    status = ckks_ciphertext_divide(r->c, r->ws, &r->b, sum, base, raised_scale(r->bs), 0);
    if (!status) swap(r);
end:
    ckks_workspace_release(r->ws, mark);
    return status;
}

static fhola_status trace(run *r)
{
    fhola_status st = FHOLA_OK;
    for (size_t k = r->bs->half; k < r->c->slots && !st; k *= 2) {
        st = ckks_rotate(r->c, r->ws, r->keys, &r->b, &r->a, (int32_t)k);
        if (!st) st = ckks_add(r->c, &r->a, &r->a, &r->b);
    }
    return st;
}

static fhola_status for_each(run r[], size_t runs, fhola_status (*step)(run *r))
{
    for (size_t k = 0; k < runs; k++) FHOLA_TRY(step(&r[k]));
    return FHOLA_OK;
}

/* The real parts of what the transforms made, and the imaginary parts. */
static fhola_status separate(run *r)
{
    fhola_status st = ckks_conjugate(r->c, r->ws, r->keys, &r->b, &r->a);
    if (!st && r->bs->complex) { /* -i (z - conj z) */
        st = ckks_sub(r->c, &r->imaginary, &r->b, &r->a);
        if (!st) st = ckks_mul_plain(r->c, &r->imaginary, &r->imaginary, r->bs->i);
    }
    return st ? st : ckks_add(r->c, &r->a, &r->a, &r->b);
}

static fhola_status coeffs_to_slots(run r[], size_t runs)
{
    const ckks_bootstrap *bs = r->bs;
    for (unsigned i = 0; i < bs->cts_count; i++) {
        if (i + 1 == bs->cts_count) FHOLA_TRY(for_each(r, runs, trace));
        FHOLA_TRY(transform(r, runs, bs->cts[i], drop_top(r->chain, i + 1)));
    }
    return for_each(r, runs, separate);
}

/* -1 at the scale of r->a squared. */
static void add_minus_one(const void *arg, unsigned t, uint64_t *d0, uint64_t *d1)
{
    const run *r = arg;
    (void)d1;
    r->c->kernel->add_scalar(&r->c->modulus[t], d0, d0,
                             ckks_integer_mod(r->c, -r->a.scale * r->a.scale, t), r->c->n);
}

/* 2 x^2 - 1, rescaled. */
static fhola_status double_angle(run *r)
{
    const ckks_addend minus_one = {add_minus_one, r};
    const ckks_product square = {&r->a, &r->a};
    fhola_status st = ckks_mul_fused(r->c, r->ws, r->keys, &r->b, 1, &square, 2, &minus_one,
                                     drop_top(r->a.poly->basis, 1));
    if (!st) swap(r);
    return st;
}

static fhola_status eval_mod(run *r)
{
    const ckks_params_spec *s = &r->c->params->spec;
    /* cos(2 pi (K + 1/4) u) = sin(2 pi (K + 1/4) t) with u = t - (1/4) / (K + 1/4) */
    fhola_status st = ckks_add_scalar(r->c, &r->a, &r->a, -0.25 / (s->eval_mod_range + 0.25));
    if (!st) st = double_angle(r);
    if (!st) st = ckks_polynomial_apply(r->c, r->ws, r->keys, r->bs->cosine, &r->b, &r->a);
    if (!st) swap(r);
    for (unsigned i = 0; i < s->double_angles && !st; i++) st = double_angle(r);
    r->a.scale = r->bs->sine_scale; /* slots: sin(2 pi turn x) / sin(2 pi turn) */
    if (st || !r->bs->arcsine) return st;
    st = ckks_polynomial_apply(r->c, r->ws, r->keys, r->bs->arcsine, &r->b, &r->a);
    if (!st) swap(r);
    return st;
}

static void swap_parts(run *r)
{
    ckks_ciphertext t = r->a;
    r->a = r->imaginary;
    r->imaginary = t;
}

/* Of the imaginary parts, then of the real parts in a. */
static fhola_status eval_mod_both(run *r)
{
    swap_parts(r);
    fhola_status st = eval_mod(r);
    swap_parts(r);
    return st ? st : eval_mod(r);
}

/* a += i imaginary. */
static fhola_status join(run *r)
{
    fhola_status st = ckks_mul_plain(r->c, &r->imaginary, &r->imaginary, r->bs->i);
    return st ? st : ckks_add(r->c, &r->a, &r->a, &r->imaginary);
}

static double end_stage(const ckks_workspace *ws, ckks_stage stage)
{
    if (ws->stage_ended) ws->stage_ended(ws->stage_arg, stage);
    return ckks_seconds();
}

static fhola_status check_apply(const ckks_context *c, const ckks_workspace *ws,
                                const ckks_eval_keys *keys, const ckks_bootstrap *bs,
                                const ckks_ciphertext *out, const ckks_ciphertext *in,
                                unsigned residual_levels)
{
    FHOLA_TRY(ckks_ciphertext_check(c, in, "the input"));
    if (bs->context != c || keys->context != c || ws->context != c || out->context != c)
        return fhola_fail(FHOLA_PARAM,
                          "the bootstrap, keys, workspace or result belong to another context");
    if (!bs->stc[0] || !ckks_lintrans_bytes(bs->stc[0]))
        return fhola_fail(FHOLA_PARAM, "the bootstrap was created without its matrices");
    unsigned most = c->params->spec.residual_levels - bs->arcsine_levels;
    if (residual_levels > most)
        return fhola_fail(FHOLA_LEVEL, "%u residual levels asked for, there are %u",
                          residual_levels, most);
    if (bs->arcsine) return FHOLA_OK; /* packing checks the input */
    if (in->poly->basis != bs->input)
        return fhola_fail(FHOLA_LEVEL, "bootstrapping starts from the primes %s, not %s",
                          ckks_basis_describe(c->params, bs->input).text,
                          ckks_basis_describe(c->params, in->poly->basis).text);
    FHOLA_TRY(check_period(bs, in, !bs->complex));
    return ckks_scale_check(in->scale, bs->scale_in, "the bootstrap's input");
}

/* The input for slots_to_coeffs in r->a. */
static fhola_status begin(run *r, const ckks_ciphertext *in)
{
    const ckks_bootstrap *bs = r->bs;
    if (bs->arcsine) FHOLA_TRY(pack(bs, r->ws, &r->b, in));
    const ckks_ciphertext *packed = bs->arcsine ? &r->b : in;
    return bs->complex ? ckks_ciphertext_copy(&r->a, packed) : merge_halves(r, packed);
}

/* The steps in their order, in the a of each run. */
static fhola_status bootstrap(run r[], size_t runs, const ckks_ciphertext *const in[])
{
    const ckks_bootstrap *bs = r->bs;
    ckks_workspace *ws = r->ws;
    double start = ckks_seconds(), end;
    for (size_t k = 0; k < runs; k++) FHOLA_TRY(begin(&r[k], in[k]));
    FHOLA_TRY(slots_to_coeffs(r, runs));
    end = end_stage(ws, CKKS_STAGE_SLOTS_TO_COEFFS);
    ws->times.slots_to_coeffs += end - start;
    FHOLA_TRY(for_each(r, runs, switch_to_sparse));
    start = end_stage(ws, CKKS_STAGE_SWITCH_TO_SPARSE);
    ws->times.switch_to_sparse += start - end;
    FHOLA_TRY(coeffs_to_slots(r, runs));
    end = end_stage(ws, CKKS_STAGE_COEFFS_TO_SLOTS);
    ws->times.coeffs_to_slots += end - start;
    FHOLA_TRY(for_each(r, runs, bs->complex ? eval_mod_both : eval_mod));
    start = end_stage(ws, CKKS_STAGE_EVAL_MOD);
    ws->times.eval_mod += start - end;
    return FHOLA_OK;
}

/* The results of a run. second NULL: out becomes the sum of both parts. */
static fhola_status finish(run *r, ckks_ciphertext *out, ckks_ciphertext *second,
                           ckks_basis out_basis)
{
    if (r->bs->complex && !second) FHOLA_TRY(join(r));
    r->a.period = r->imaginary.period = values_of(r->bs);
    FHOLA_TRY(ckks_drop(r->c, out, &r->a, out_basis));
    return second ? ckks_drop(r->c, second, &r->imaginary, out_basis) : FHOLA_OK;
}

/* Of at most CKKS_BOOTSTRAPS_AT_ONCE ciphertexts; pairs: out has two for each. */
static fhola_status apply(const ckks_context *c, ckks_workspace *ws, const ckks_eval_keys *keys,
                          const ckks_bootstrap *bs, size_t count, ckks_ciphertext *const out[],
                          const ckks_ciphertext *const in[], bool pairs, unsigned residual_levels)
{
    ckks_basis out_basis = ckks_basis_level(c->params, residual_levels),
               needed = out_basis | arcsine_basis(bs);
    /* Keys have whole limbs: a residual prime left out does not leave half a shared one. */
    ckks_basis raised = needed | (ckks_basis_partner(c->params, needed) & bs->eval_mod);
    run r[CKKS_BOOTSTRAPS_AT_ONCE] = {{.bs = bs}};
    for (size_t k = 0; k < count; k++) {
        r[k] = (run){.c = c,
                     .ws = ws,
                     .keys = keys,
                     .bs = bs,
                     .chain = raised | ckks_basis_eval_mod(c->params) | ckks_basis_cts(c->params)};
        FHOLA_TRY(ckks_ciphertext_scratch(&r[k].a, ws, r[k].chain));
        FHOLA_TRY(ckks_ciphertext_scratch(&r[k].b, ws, r[k].chain));
        if (bs->complex) FHOLA_TRY(ckks_ciphertext_scratch(&r[k].imaginary, ws, r[k].chain));
    }
    FHOLA_TRY(bootstrap(r, count, in));
    for (size_t k = 0; k < count; k++)
        FHOLA_TRY(pairs ? finish(&r[k], out[2 * k], out[2 * k + 1], out_basis)
                        : finish(&r[k], out[k], NULL, out_basis));
    return FHOLA_OK;
}

fhola_status ckks_bootstrap_apply(const ckks_context *c, ckks_workspace *ws,
                                  const ckks_eval_keys *keys, const ckks_bootstrap *bs,
                                  ckks_ciphertext *out, const ckks_ciphertext *in,
                                  unsigned residual_levels)
{
    FHOLA_TRY(check_apply(c, ws, keys, bs, out, in, residual_levels));
    ckks_mark mark = ckks_workspace_mark(ws);
    fhola_status status = apply(c, ws, keys, bs, 1, &out, &in, false, residual_levels);
    ckks_workspace_release(ws, mark);
    return status;
}

static fhola_status check_pairs(const ckks_context *c, const ckks_workspace *ws,
                                const ckks_eval_keys *keys, const ckks_bootstrap *bs, size_t count,
                                ckks_ciphertext *const out[], const ckks_ciphertext *const in[],
                                unsigned residual_levels)
{
    for (size_t k = 0; k < count; k++)
        FHOLA_TRY(check_apply(c, ws, keys, bs, out[2 * k], in[k], residual_levels));
    if (!bs->complex) return fhola_fail(FHOLA_PARAM, "a pair needs a bootstrap of complex values");
    for (size_t k = 0; k < 2 * count; k++) {
        bool other = out[k]->context == c;
        for (size_t j = 0; j < k; j++) other = other && out[j] != out[k];
        if (!other)
            return fhola_fail(FHOLA_PARAM,
                              "result %zu of pairs must be another ciphertext of the "
                              "context",
                              k);
    }
    return FHOLA_OK;
}

fhola_status ckks_bootstrap_apply_pairs(const ckks_context *c, ckks_workspace *ws,
                                        const ckks_eval_keys *keys, const ckks_bootstrap *bs,
                                        size_t count, ckks_ciphertext *const out[],
                                        const ckks_ciphertext *const in[], unsigned residual_levels)
{
    FHOLA_TRY(check_pairs(c, ws, keys, bs, count, out, in, residual_levels));
    fhola_status status = FHOLA_OK;
    for (size_t k = 0, some; k < count && !status; k += some) {
        ckks_mark mark = ckks_workspace_mark(ws);
        some = count - k < CKKS_BOOTSTRAPS_AT_ONCE ? count - k : CKKS_BOOTSTRAPS_AT_ONCE;
        status = apply(c, ws, keys, bs, some, out + 2 * k, in + k, true, residual_levels);
        ckks_workspace_release(ws, mark);
    }
    return status;
}

fhola_status ckks_bootstrap_apply_pair(const ckks_context *c, ckks_workspace *ws,
                                       const ckks_eval_keys *keys, const ckks_bootstrap *bs,
                                       ckks_ciphertext *const out[2], const ckks_ciphertext *in,
                                       unsigned residual_levels)
{
    return ckks_bootstrap_apply_pairs(c, ws, keys, bs, 1, out, &in, residual_levels);
}
