/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/encrypted/network.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn/encrypted/memory.h"

/* What every compiling function works with. */
typedef struct compiler {
    nn_network *network; /* whose layers are compiled */
    nn_network *whole;   /* that one, or the one it is the lone form of: has keys and bootstraps */
    const ckks_context *context;
    ckks_workspace *workspace;
    nn_room room; /* for diagonals */
} compiler;

/* ---- bases and scales ---- */

static double prime_of(const ckks_params *params, ckks_basis one)
{
    unsigned index = 0;
    while (!(one >> index & 1)) index++;
    return (double)ckks_params_prime(params, index);
}

/* The prime the convolution's rescaling divides by. */
static double convolution_prime(const compiler *c)
{
    return prime_of(ckks_context_params(c->context),
                    ckks_basis_residual(ckks_context_params(c->context), 1));
}

static fhola_status check_slots(const compiler *c, nn_layout layout, const char *node)
{
    size_t slots = ckks_slots(c->context);
    return layout.slots <= slots
               ? FHOLA_OK
               : fhola_fail(FHOLA_PARAM, "%s takes %u slots, the parameter set has %zu", node,
                            (unsigned)layout.slots, slots);
}

static fhola_status check_parameters(const compiler *c)
{
    const ckks_params *params = ckks_context_params(c->context);
    const ckks_params_spec *spec = ckks_params_get_spec(params);
    const nn_schedule *s = &c->network->schedule;
    if (!spec->stc_levels || !spec->cts_levels || !spec->eval_mod_levels)
        return fhola_fail(FHOLA_PARAM, "the parameter set cannot bootstrap");
    if (fabs(s->eps - spec->eps) > 1e-12)
        return fhola_fail(FHOLA_PARAM, "the plan was fitted with eps %g, the parameter set has %g",
                          s->eps, spec->eps);
    fhola_status status = check_slots(c, s->input, "the input");
    for (size_t i = 0; status == FHOLA_OK && i < s->count; i++) {
        const nn_recipe *r = &s->layer[i];
        status = check_slots(c, r->layout, r->name);
        if (status == FHOLA_OK && 1 + r->depth > spec->residual_levels)
            status = fhola_fail(
                FHOLA_PARAM,
                "%s: its activation, of degree %u, needs %u residual levels, the parameter set has "
                "%u",
                r->name, r->degree, 1 + r->depth, spec->residual_levels);
    }
    return status;
}

/* An activation is a product of a quotient at scale q and a power at about the working scale w,
 * divided by its last prime p. Where p is smaller than w, the result's scale q w / p is larger, so
 * that q is smaller than w by this factor at most. */
#define QUOTIENT_LOSS 8

static void choose_bases(const compiler *c)
{
    const ckks_params *params = ckks_context_params(c->context);
    nn_network *n = c->network;
    ckks_basis base = ckks_basis_base(params), stc = ckks_basis_stc(params),
               conv = ckks_basis_residual(params, 1);
    n->bootstrap_basis = base | stc;
    n->convolution_basis = base | stc | conv;
    n->score_basis = nn_score_basis(params);
    n->score_input_basis = n->score_basis | conv;
    n->result_basis = nn_result_basis(params);
    n->scale = ckks_params_scale(params);
    n->linear_scale = fmax(n->scale, n->scale * n->scale /
                                         prime_of(params, ckks_basis_residual(params, 2) & ~conv) /
                                         QUOTIENT_LOSS);
    n->score_scale =
        prime_of(params, base) / 2 / NN_SCORE_BOUND * prime_of(params, n->score_basis & ~base);
}

/* ---- linear maps ---- */

/* Where the result of a layer's linear maps is: what differs between layers and scores. */
typedef struct landing {
    ckks_basis input, output; /* bases */
    double scale;
} landing;

static landing layer_landing(const nn_network *n)
{
    return (landing){n->convolution_basis, n->bootstrap_basis, n->scale};
}

static landing score_landing(const nn_network *n)
{
    return (landing){n->score_input_basis, n->score_basis, n->score_scale};
}

/* So that rescaling leads to the landing's scale. */
static double plain_scale(const compiler *c, landing to)
{
    return to.scale * convolution_prime(c) / c->network->linear_scale;
}

static fhola_status compile_linear(compiler *c, ckks_lintrans **out, nn_linear *linear, landing to)
{
    ckks_lintrans_spec spec = {
        .basis = to.input,
        .special = ckks_basis_special_for(ckks_context_params(c->context), to.input),
        .inputs = linear->inputs,
        .outputs = linear->outputs,
        .count = linear->count,
        .offset = linear->offset,
        .block = linear->block,
        .same = linear->same,
        .diagonal = c->network->encoded ? nn_linear_diagonal : NULL,
        .arg = linear,
        .period = linear->period,
        .plain_scale = plain_scale(c, to),
        .baby_step = linear->baby_step,
        .in_turn = 1,
        .babies_in_turn = c->whole->small_keys,
        .real = linear->joined,
        .store = nn_room_place(&c->room, linear, ckks_basis_count(to.input)),
    };
    fhola_status status = ckks_lintrans_create(out, c->context, c->workspace, &spec);
    return status == FHOLA_OK ? ckks_lintrans_keys(*out, c->context, &c->whole->keys) : status;
}

static fhola_status encode(const compiler *c, ckks_plaintext **out, const ckks_complex *values,
                           size_t count, double scale, ckks_basis basis)
{
    fhola_status status = ckks_plaintext_create(out, c->context);
    return status == FHOLA_OK
               ? ckks_encode(c->context, c->workspace, *out, values, count, scale, basis)
               : status;
}

static fhola_status compile_factor(const compiler *c, ckks_plaintext **out, nn_linear *linear,
                                   landing to)
{
    if (!c->network->encoded) return FHOLA_OK;
    ckks_complex *values = malloc(linear->period * sizeof *values);
    if (!values) return fhola_fail(FHOLA_NOMEM, "no memory for %u slots", (unsigned)linear->period);
    (void)nn_linear_diagonal(linear, 0, 0, values);
    fhola_status status = encode(c, out, values, linear->period, plain_scale(c, to), to.input);
    free(values);
    return status;
}

static fhola_status compile_folds(const compiler *c, nn_transform *t, const nn_linear *linear,
                                  landing to)
{
    ckks_basis special = ckks_basis_special_for(ckks_context_params(c->context), to.output);
    fhola_status status = FHOLA_OK;
    t->fold = linear->modulus;
    t->fold_end = linear->span;
    for (uint32_t r = t->fold; status == FHOLA_OK && r < t->fold_end; r *= 2)
        status = ckks_key_list_add(&c->whole->keys, c->context,
                                   (ckks_key_request){CKKS_KEY_ROTATE, r, to.output, special});
    return status;
}

static fhola_status compile_transform(compiler *c, nn_transform *t, nn_contribution *edge,
                                      landing to)
{
    nn_linear *linear = &edge->linear;
    t->from = edge->from;
    t->joined = linear->joined;
    fhola_status status = nn_linear_is_factor(linear) ? compile_factor(c, &t->factor, linear, to)
                                                      : compile_linear(c, &t->linear, linear, to);
    return status == FHOLA_OK ? compile_folds(c, t, linear, to) : status;
}

/* All transforms of the values of node `from`. Keys are listed in the order of their use. */
static fhola_status compile_readers(compiler *c, size_t from)
{
    nn_network *n = c->network;
    fhola_status status = FHOLA_OK;
    for (size_t i = from; i <= n->count; i++) {
        nn_recipe *r = &n->schedule.layer[i];
        landing to = i < n->count ? layer_landing(n) : score_landing(n);
        for (size_t e = 0; status == FHOLA_OK && e < r->count; e++)
            if (r->contribution[e].from == from)
                status = compile_transform(c, &n->layer[i].transform[e], &r->contribution[e], to);
    }
    return status;
}

/* The bias of sum `index` in front of a bootstrap, or of a picture's scores. */
static fhola_status compile_bias(const compiler *c, nn_layer *layer, const nn_recipe *r, landing to,
                                 unsigned index, bool scores)
{
    if (!c->network->encoded) return FHOLA_OK;
    ckks_complex *values = malloc(r->layout.slots * sizeof *values);
    if (!values)
        return fhola_fail(FHOLA_NOMEM, "no memory for %u slots", (unsigned)r->layout.slots);
    if (scores)
        nn_layout_spread(r->layout, 0, values, r->bias, r->full_bias);
    else
        nn_layout_spread_rows(r->layout, index, values, r->bias, r->full_bias);
    fhola_status status =
        encode(c, &layer->bias[index], values, r->layout.slots, to.scale, to.output);
    free(values);
    return status;
}

/* ---- bootstraps and polynomials ---- */

static unsigned log_values(nn_layout layout)
{
    unsigned log = 0;
    while (1u << log < layout.slots) log++;
    return log;
}

/* The bootstrap of sum `index`. */
static fhola_status compile_bootstrap(const compiler *c, nn_layer *layer, nn_layout layout,
                                      unsigned index)
{
    nn_network *n = c->whole;
    bool pair = nn_layout_is_pair(layout, index);
    int options =
        (n->encoded ? CKKS_BOOTSTRAP_ENCODE : 0) | (n->small_keys ? CKKS_BOOTSTRAP_SMALL_KEYS : 0);
    ckks_bootstrap **b = &(pair ? n->pair : n->single)[log_values(layout) - NN_LOG_MIN_SLOTS];
    fhola_status status = FHOLA_OK;
    if (!*b) {
        status = pair ? ckks_bootstrap_create_complex(b, c->context, c->workspace,
                                                      log_values(layout), n->scale, options)
                      : ckks_bootstrap_create(b, c->context, c->workspace, log_values(layout),
                                              n->scale, options);
        if (status == FHOLA_OK) status = ckks_bootstrap_keys(*b, c->context, &n->keys);
    }
    layer->bootstrap[index] = *b;
    return status;
}

/* Coefficient k of slot s of a part at k * stride + s; 0 for padding, which so stays small. */
static double *spread_coefficients(const nn_recipe *r, unsigned part)
{
    size_t n = r->layout.stride, channels = r->layout.shape.channels;
    double *coeff = calloc((r->degree + 1) * n, sizeof *coeff);
    for (size_t k = 0; coeff && k <= r->degree; k++)
        for (uint32_t s = 0; s < n; s++) {
            nn_place p;
            if (nn_layout_place(&p, r->layout, part, s))
                coeff[k * n + s] = r->coeff[k * channels + p.channel];
        }
    return coeff;
}

static ckks_basis activation_basis(const compiler *c, unsigned residual_levels)
{
    const ckks_params *params = ckks_context_params(c->context);
    return c->network->bootstrap_basis | ckks_basis_residual(params, residual_levels);
}

/* Polynomials multiply ciphertexts, one level after the other: each has a key of its own, with no
 * more special primes than it needs. */
static fhola_status request_relinearisation(const compiler *c, ckks_basis basis, unsigned depth)
{
    const ckks_params *params = ckks_context_params(c->context);
    fhola_status status = FHOLA_OK;
    for (; depth > 0 && status == FHOLA_OK; depth--) {
        ckks_key_request request = {CKKS_KEY_RELINEARIZE, 0, basis,
                                    ckks_basis_special_for(params, basis)};
        status = ckks_key_list_add(&c->whole->keys, c->context, request);
        basis &= ~ckks_basis_top(basis);
    }
    return status;
}

static fhola_status create_activation(const compiler *c, nn_activated *out, const nn_recipe *r,
                                      double scale_in, const double *coeff, ckks_basis basis)
{
    double scale_out = c->network->linear_scale;
    nn_composition_spec composition = {r->sign, r->degree, r->layout.stride, coeff,
                                       basis,   scale_in,  scale_out};
    ckks_polynomial_spec polynomial = {
        r->degree, r->layout.stride, coeff, basis, c->network->convolution_basis,
        scale_in,  scale_out};
    return r->sign
               ? nn_composition_create(&out->composition, c->context, c->workspace, &composition)
               : ckks_polynomial_create(&out->polynomial, c->context, c->workspace, &polynomial);
}

/* Of the parts that are like this one of a picture's. */
static fhola_status compile_part(const compiler *c, nn_layer *layer, const nn_recipe *r,
                                 unsigned part, ckks_basis basis)
{
    double *coeff = spread_coefficients(r, part);
    unsigned kind = nn_layout_part_of_picture(r->layout, part);
    if (!coeff)
        return fhola_fail(FHOLA_NOMEM,
                          "no memory for the coefficients of a polynomial of degree %u", r->degree);
    fhola_status status =
        create_activation(c, &layer->activation[kind], r,
                          ckks_bootstrap_scale_out(layer->bootstrap[part / 2]), coeff, basis);
    free(coeff);
    return status;
}

/* A picture alone takes those of the batch, where it has the same slots; false: they are others. */
static bool borrow_activations(const compiler *c, nn_layer *layer, const nn_recipe *r)
{
    size_t i = (size_t)(layer - c->network->layer);
    if (c->whole == c->network) return false;
    const nn_layer *lender = &c->whole->layer[i];
    nn_layout layout = nn_layout_single(c->whole->schedule.layer[i].layout);
    if (!nn_layout_equal(layout, r->layout) || ckks_bootstrap_scale_out(lender->bootstrap[0]) !=
                                                   ckks_bootstrap_scale_out(layer->bootstrap[0]))
        return false;
    memcpy(layer->activation, lender->activation, layer->activations * sizeof *layer->activation);
    layer->borrows = true;
    return true;
}

static fhola_status compile_activation(const compiler *c, nn_layer *layer, const nn_recipe *r)
{
    layer->residual_levels = 1 + r->depth;
    ckks_basis basis = activation_basis(c, layer->residual_levels);
    fhola_status status = request_relinearisation(c, basis, layer->residual_levels - 1);
    if (!c->network->encoded) return status;
    if (borrow_activations(c, layer, r)) return status;
    for (unsigned k = 0; status == FHOLA_OK && k < layer->activations; k++)
        status = compile_part(c, layer, r, nn_layout_first_part(r->layout, k), basis);
    return status;
}

/* ---- layers ---- */

/* What the pictures of a batch have alike is there once: biases of the sums of one group of them,
 * activations of the parts of one. */
static fhola_status allocate_layer(nn_layer *layer, const nn_recipe *r, unsigned parts,
                                   unsigned sums)
{
    layer->count = r->count;
    layer->parts = parts;
    layer->sums = sums;
    layer->biases = sums / nn_layout_groups(r->layout);
    layer->activations = r->layout.each;
    layer->transform = calloc(r->count, sizeof *layer->transform);
    layer->bias = calloc(layer->biases, sizeof(ckks_plaintext *));
    layer->bootstrap = calloc(layer->sums, sizeof(ckks_bootstrap *));
    layer->activation = calloc(layer->activations, sizeof *layer->activation);
    return layer->transform && layer->bias && layer->bootstrap && layer->activation
               ? FHOLA_OK
               : fhola_fail(FHOLA_NOMEM, "%s: no memory for %zu inputs and %u ciphertexts", r->name,
                            r->count, layer->parts);
}

static fhola_status allocate_layers(nn_network *n)
{
    fhola_status status = FHOLA_OK;
    n->count = n->schedule.count;
    n->layer = calloc(n->count + 1, sizeof *n->layer);
    if (!n->layer) return fhola_fail(FHOLA_NOMEM, "no memory for %zu layers", n->count);
    for (size_t i = 0; status == FHOLA_OK && i < n->count; i++) {
        const nn_recipe *r = &n->schedule.layer[i];
        status = allocate_layer(&n->layer[i], r, r->layout.parts, nn_layout_bootstraps(r->layout));
    }
    unsigned pictures = n->schedule.pictures;
    nn_layer *scores = &n->layer[n->count];
    if (status == FHOLA_OK)
        status = allocate_layer(scores, nn_schedule_scores(&n->schedule), pictures, pictures);
    scores->biases = 1;
    return status;
}

/* Layer i, and what is done with the values of node i: those in front of it. */
static fhola_status compile_layer(compiler *c, size_t i)
{
    nn_network *n = c->network;
    nn_layer *layer = &n->layer[i];
    const nn_recipe *r = &n->schedule.layer[i];
    fhola_status s = FHOLA_OK;
    for (unsigned k = 0; s == FHOLA_OK && k < layer->sums; k++)
        s = compile_bootstrap(c, layer, r->layout, k);
    if (s == FHOLA_OK) s = compile_readers(c, i);
    for (unsigned k = 0; s == FHOLA_OK && k < layer->biases; k++)
        s = compile_bias(c, layer, r, layer_landing(n), k, false);
    return s == FHOLA_OK ? compile_activation(c, layer, r) : s;
}

static fhola_status compile_scores(compiler *c)
{
    nn_network *n = c->network;
    fhola_status s = compile_readers(c, n->count);
    return s == FHOLA_OK ? compile_bias(c, &n->layer[n->count], nn_schedule_scores(&n->schedule),
                                        score_landing(n), 0, true)
                         : s;
}

static fhola_status compile_unit(const compiler *c)
{
    const ckks_complex unit = {0, 1};
    nn_network *n = c->network;
    return n->schedule.pictures > 1 && n->encoded
               ? encode(c, &n->i, &unit, 1, 1, n->convolution_basis)
               : FHOLA_OK;
}

/* How packed pictures come, and the keys that take them apart. */
static fhola_status compile_packing(const compiler *c)
{
    nn_network *n = c->network;
    if (n->schedule.pictures < 2) return FHOLA_OK;
    n->packing = nn_layout_packing(nn_layout_single(n->schedule.input), n->schedule.pictures,
                                   ckks_slots(c->context));
    return ckks_deinterleave_keys(c->context, n->convolution_basis,
                                  (ckks_interleaving){n->packing.period, n->packing.side},
                                  &n->keys);
}

/* The key that shrinks results; behind all others. */
static fhola_status compile_result(const compiler *c)
{
    const ckks_params *params = ckks_context_params(c->context);
    nn_network *n = c->network;
    const ckks_shrunk to = nn_result_shrunk(params, nn_schedule_scores(&n->schedule)->layout.period,
                                            n->schedule.pictures, true);
    return ckks_key_list_add(&n->keys, c->context,
                             (ckks_key_request){CKKS_KEY_SHRINK, to.log_degree, n->result_basis,
                                                ckks_basis_special_for(params, n->result_basis)});
}

static fhola_status make_client(const compiler *c, const nn_model *model)
{
    nn_network *n = c->network;
    const char *const *names = (const char *const *)model->class_names;
    fhola_status status = nn_client_init(&n->client, c->context, names, model->classes, &n->keys);
    if (status != FHOLA_OK) return status;
    memcpy(n->client.mean, model->mean, sizeof n->client.mean);
    memcpy(n->client.std, model->std, sizeof n->client.std);
    n->client.input = nn_layout_single(n->schedule.input);
    n->client.pictures = n->schedule.pictures;
    n->client.small_keys = n->small_keys;
    n->client.input_bound = n->schedule.input_bound;
    n->client.basis = n->convolution_basis;
    n->client.scale = n->linear_scale;
    n->client.rows = nn_schedule_scores(&n->schedule)->layout.period;
    return FHOLA_OK;
}

bool nn_network_needs_weights(const nn_network *network)
{
    for (size_t i = 0; i <= network->count; i++)
        for (size_t e = 0; e < network->layer[i].count; e++) {
            const ckks_lintrans *linear = network->layer[i].transform[e].linear;
            if (linear && ckks_lintrans_stored(linear) == CKKS_LINTRANS_NONE) return true;
        }
    return network->alone && nn_network_needs_weights(network->alone);
}

/* All but the client. */
static fhola_status compile_layers(compiler *c)
{
    nn_network *n = c->network;
    fhola_status status = allocate_layers(n);
    for (size_t i = 0; status == FHOLA_OK && i < n->count; i++) status = compile_layer(c, i);
    if (status == FHOLA_OK) status = compile_scores(c);
    return status == FHOLA_OK ? compile_unit(c) : status;
}

/* The schedule, and all that follows from parameters. */
static fhola_status plan_layers(const compiler *c, const nn_model *model, const nn_plan *plan)
{
    FHOLA_TRY(nn_schedule_init(&c->network->schedule, model, plan, ckks_slots(c->context)));
    FHOLA_TRY(check_parameters(c));
    choose_bases(c);
    return FHOLA_OK;
}

/* What a picture without company goes through. */
static fhola_status plan_alone(const compiler *c, const nn_model *model, const nn_plan *plan)
{
    nn_network *n = c->network;
    nn_plan single = *plan;
    if (n->schedule.pictures == 1) return FHOLA_OK;
    FHOLA_TRY(nn_plan_set_pictures(&single, 1));
    n->alone = calloc(1, sizeof *n->alone);
    if (!n->alone) return fhola_fail(FHOLA_NOMEM, "no memory for a network");
    n->alone->encoded = n->encoded;
    compiler alone = *c;
    alone.network = n->alone;
    return plan_layers(&alone, model, &single);
}

static fhola_status compile_alone(compiler *c)
{
    nn_network *n = c->network;
    if (!n->alone) return FHOLA_OK;
    c->network = n->alone;
    fhola_status status = compile_layers(c);
    c->network = n;
    return status;
}

static fhola_status compile(compiler *c, const nn_model *model, const nn_plan *plan, uint64_t room)
{
    nn_network *n = c->network;
    FHOLA_TRY(plan_layers(c, model, plan));
    FHOLA_TRY(plan_alone(c, model, plan));
    c->room = nn_room_make(&n->schedule, n->alone ? &n->alone->schedule : NULL, room);
    FHOLA_TRY(compile_packing(c));
    FHOLA_TRY(compile_layers(c));
    FHOLA_TRY(compile_alone(c));
    if (!nn_network_needs_weights(n)) {
        nn_schedule_release_weights(&n->schedule);
        if (n->alone) nn_schedule_release_weights(&n->alone->schedule);
    }
    FHOLA_TRY(compile_result(c));
    return make_client(c, model);
}

static fhola_status create(nn_network **network, const ckks_context *context,
                           ckks_workspace *workspace, const nn_model *model, const nn_plan *plan,
                           int encode, uint64_t room)
{
    nn_network *n = calloc(1, sizeof *n);
    if (!n) return fhola_fail(FHOLA_NOMEM, "no memory for a network");
    n->encoded = encode != 0;
    n->small_keys = plan->small_keys;
    compiler c = {.network = n, .whole = n, .context = context, .workspace = workspace};
    fhola_status status = compile(&c, model, plan, room);
    if (status != FHOLA_OK)
        nn_network_destroy(n);
    else
        *network = n;
    return status;
}

fhola_status nn_network_create(nn_network **network, const ckks_context *context,
                               ckks_workspace *workspace, const nn_model *model,
                               const nn_plan *plan, int encode)
{
    return create(network, context, workspace, model, plan, encode, UINT64_MAX);
}

fhola_status nn_network_create_within(nn_network **network, const ckks_context *context,
                                      ckks_workspace *workspace, const nn_model *model,
                                      const nn_plan *plan, uint64_t room)
{
    return create(network, context, workspace, model, plan, 1, room);
}

static void clear_layer(nn_layer *layer)
{
    for (size_t e = 0; layer->transform && e < layer->count; e++) {
        ckks_lintrans_destroy(layer->transform[e].linear);
        ckks_plaintext_destroy(layer->transform[e].factor);
    }
    for (unsigned k = 0; layer->bias && k < layer->biases; k++)
        ckks_plaintext_destroy(layer->bias[k]);
    for (unsigned k = 0; layer->activation && !layer->borrows && k < layer->activations; k++) {
        ckks_polynomial_destroy(layer->activation[k].polynomial);
        nn_composition_destroy(layer->activation[k].composition);
    }
    free(layer->transform);
    free(layer->bias);
    free(layer->bootstrap);
    free(layer->activation);
}

void nn_network_destroy(nn_network *network)
{
    if (!network) return;
    nn_network_destroy(network->alone);
    for (size_t i = 0; network->layer && i <= network->count; i++) clear_layer(&network->layer[i]);
    free(network->layer);
    for (size_t i = 0; i < NN_SINGLES; i++) {
        ckks_bootstrap_destroy(network->single[i]);
        ckks_bootstrap_destroy(network->pair[i]);
    }
    ckks_plaintext_destroy(network->i);
    ckks_key_list_clear(&network->keys);
    nn_client_clear(&network->client);
    nn_schedule_clear(&network->schedule);
    free(network);
}

/* ---- what there is ---- */

size_t nn_network_layers(const nn_network *network)
{
    return network->count;
}

const ckks_key_list *nn_network_keys(const nn_network *network)
{
    return &network->keys;
}

const nn_client *nn_network_client(const nn_network *network)
{
    return &network->client;
}

static size_t linear_bytes(const nn_layer *layer, size_t edge)
{
    const ckks_lintrans *linear = layer->transform[edge].linear;
    return linear ? ckks_lintrans_bytes(linear) : 0;
}

static size_t activation_bytes(const nn_layer *layer)
{
    size_t bytes = 0;
    for (unsigned k = 0; !layer->borrows && k < layer->activations; k++) {
        const nn_activated *a = &layer->activation[k];
        if (a->polynomial) bytes += ckks_polynomial_bytes(a->polynomial);
        if (a->composition) bytes += nn_composition_bytes(a->composition);
    }
    return bytes;
}

/* Of the layers and the scores. */
static size_t layers_bytes(const nn_network *network)
{
    size_t bytes = 0;
    for (size_t i = 0; i <= network->count; i++) {
        const nn_layer *layer = &network->layer[i];
        for (size_t e = 0; e < layer->count; e++) bytes += linear_bytes(layer, e);
        bytes += activation_bytes(layer);
    }
    return bytes;
}

size_t nn_network_bytes(const nn_network *network)
{
    size_t bytes = layers_bytes(network);
    if (network->alone) bytes += layers_bytes(network->alone);
    for (size_t i = 0; i < NN_SINGLES; i++) {
        if (network->single[i]) bytes += ckks_bootstrap_bytes(network->single[i]);
        if (network->pair[i]) bytes += ckks_bootstrap_bytes(network->pair[i]);
    }
    return bytes;
}

size_t nn_network_bootstrap_bytes(const nn_network *network)
{
    size_t bytes = 0;
    for (size_t i = 0; i < NN_SINGLES; i++) {
        if (network->single[i]) bytes += ckks_bootstrap_encoded_bytes(network->single[i]);
        if (network->pair[i]) bytes += ckks_bootstrap_encoded_bytes(network->pair[i]);
    }
    return bytes;
}

static size_t map_bytes(const nn_network *network)
{
    size_t bytes = 0;
    for (size_t i = 0; i <= network->count; i++)
        for (size_t e = 0; e < network->layer[i].count; e++) {
            const ckks_lintrans *linear = network->layer[i].transform[e].linear;
            if (linear) bytes += ckks_lintrans_encoded_bytes(linear);
        }
    return bytes;
}

size_t nn_network_diagonal_bytes(const nn_network *network)
{
    return nn_network_bootstrap_bytes(network) + map_bytes(network) +
           (network->alone ? map_bytes(network->alone) : 0);
}

size_t nn_network_bootstraps(const nn_network *network)
{
    size_t bootstraps = 0;
    for (size_t i = 0; i < network->count; i++) bootstraps += network->layer[i].sums;
    return bootstraps;
}

unsigned nn_network_pictures(const nn_network *network)
{
    return network->schedule.pictures;
}

unsigned nn_network_ciphertexts(const nn_network *network)
{
    unsigned most = network->schedule.input.parts;
    for (size_t i = 0; i < network->count; i++)
        if (network->layer[i].parts > most) most = network->layer[i].parts;
    return most;
}

const char *nn_network_layer_name(const nn_network *network, size_t layer)
{
    return network->schedule.layer[layer].name;
}

size_t nn_network_layer_slots(const nn_network *network, size_t layer)
{
    return network->schedule.layer[layer].layout.slots;
}

unsigned nn_network_layer_ciphertexts(const nn_network *network, size_t layer)
{
    return network->layer[layer].parts;
}

unsigned nn_network_layer_bootstraps(const nn_network *network, size_t layer)
{
    return layer < network->count ? network->layer[layer].sums : 0;
}

size_t nn_network_edges(const nn_network *network, size_t layer)
{
    return network->layer[layer].count;
}

nn_linear_cost nn_network_linear_cost(const nn_network *network, size_t layer, size_t edge)
{
    const nn_linear *l = &network->schedule.layer[layer].contribution[edge].linear;
    return (nn_linear_cost){.diagonals = l->count,
                            .period = l->period,
                            .babies = l->babies,
                            .giants = l->giants,
                            .folds = l->folds,
                            .bytes = linear_bytes(&network->layer[layer], edge)};
}
