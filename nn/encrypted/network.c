/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/encrypted/network.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn/graph/model_io.h"

/* What every compiling function works with. */
typedef struct compiler {
    nn_network *network;
    const ckks_context *context;
    ckks_workspace *workspace;
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

static fhola_status check_parameters(const compiler *c)
{
    const ckks_params *params = ckks_context_params(c->context);
    const ckks_params_spec *spec = ckks_params_get_spec(params);
    const nn_schedule *s = &c->network->schedule;
    if (!spec->stc_levels || !spec->cts_levels || !spec->eval_mod_levels)
        return fhola_fail(FHOLA_PARAM, "the parameter set cannot bootstrap");
    if (ckks_slots(c->context) < 1u << NN_LOG_MAX_VALUES)
        return fhola_fail(FHOLA_PARAM, "%zu slots, but a layer has 2^%u values",
                          ckks_slots(c->context), NN_LOG_MAX_VALUES);
    if (fabs(s->eps - spec->eps) > 1e-12)
        return fhola_fail(FHOLA_PARAM, "the plan was fitted with eps %g, the parameter set has %g",
                          s->eps, spec->eps);
    for (size_t i = 0; i < s->count; i++)
        if (1 + s->layer[i].depth > spec->residual_levels)
            return fhola_fail(
                FHOLA_PARAM,
                "activation %zu of degree %u needs %u residual levels, the parameter set has %u", i,
                s->layer[i].degree, 1 + s->layer[i].depth, spec->residual_levels);
    return FHOLA_OK;
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

/* ---- linear layers ---- */

static fhola_status compile_linear(const compiler *c, ckks_lintrans **out, nn_linear *linear,
                                   ckks_basis basis, double out_scale)
{
    ckks_lintrans_spec spec = {
        .basis = basis,
        .special = ckks_basis_special_for(ckks_context_params(c->context), basis),
        .count = linear->count,
        .offset = linear->offset,
        .diagonal = c->network->encoded ? nn_linear_diagonal : NULL,
        .arg = linear,
        .period = linear->period,
        .plain_scale = out_scale * convolution_prime(c) / c->network->linear_scale,
        .baby_step = linear->baby_step,
    };
    fhola_status status = ckks_lintrans_create(out, c->context, c->workspace, &spec);
    return status == FHOLA_OK ? ckks_lintrans_keys(*out, c->context, &c->network->keys) : status;
}

/* ---- plaintexts: a value per channel ---- */

static fhola_status compile_channels(const compiler *c, ckks_plaintext **out, nn_layout layout,
                                     const double *channel_value, double scale, ckks_basis basis)
{
    if (!c->network->encoded) return FHOLA_OK;
    ckks_complex *values = malloc(layout.slots * sizeof *values);
    if (!values) return fhola_fail(FHOLA_NOMEM, "no memory for %u slots", (unsigned)layout.slots);
    nn_layout_spread(layout, values, channel_value, 1);
    fhola_status status = ckks_plaintext_create(out, c->context);
    if (status == FHOLA_OK)
        status = ckks_encode(c->context, c->workspace, *out, values, layout.slots, scale, basis);
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

static fhola_status compile_bootstrap(const compiler *c, const ckks_bootstrap **out,
                                      nn_layout layout)
{
    nn_network *n = c->network;
    ckks_bootstrap **b = &n->bootstrap[log_values(layout) - NN_LOG_MIN_VALUES];
    fhola_status status = FHOLA_OK;
    if (!*b) {
        status = ckks_bootstrap_create(b, c->context, c->workspace, log_values(layout), n->scale,
                                       n->encoded);
        if (status == FHOLA_OK) status = ckks_bootstrap_keys(*b, c->context, &n->keys);
    }
    *out = *b;
    return status;
}

static double *spread_coefficients(const nn_recipe *r)
{
    size_t n = r->layout.slots;
    double *coeff = malloc((r->degree + 1) * n * sizeof *coeff);
    for (size_t k = 0; coeff && k <= r->degree; k++)
        for (uint32_t s = 0; s < n; s++)
            coeff[k * n + s] =
                r->coeff[k * r->layout.channels + nn_layout_place(r->layout, s).channel];
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
        status = ckks_key_list_add(&c->network->keys, c->context, request);
        basis &= ~ckks_basis_top(basis);
    }
    return status;
}

static fhola_status create_activation(const compiler *c, nn_layer *layer, const nn_recipe *r,
                                      const double *coeff, ckks_basis basis)
{
    double scale_in = ckks_bootstrap_scale_out(layer->bootstrap),
           scale_out = c->network->linear_scale;
    nn_composition_spec composition = {r->sign, r->degree, r->layout.slots, coeff,
                                       basis,   scale_in,  scale_out};
    ckks_polynomial_spec polynomial = {
        r->degree, r->layout.slots, coeff, basis, c->network->convolution_basis,
        scale_in,  scale_out};
    return r->sign
               ? nn_composition_create(&layer->composition, c->context, c->workspace, &composition)
               : ckks_polynomial_create(&layer->activation, c->context, c->workspace, &polynomial);
}

static fhola_status compile_activation(const compiler *c, nn_layer *layer, const nn_recipe *r)
{
    layer->residual_levels = 1 + r->depth;
    ckks_basis basis = activation_basis(c, layer->residual_levels);
    fhola_status status = request_relinearisation(c, basis, layer->residual_levels - 1);
    if (status != FHOLA_OK || !c->network->encoded) return status;
    double *coeff = spread_coefficients(r);
    if (!coeff)
        return fhola_fail(FHOLA_NOMEM,
                          "no memory for the coefficients of a polynomial of degree %u", r->degree);
    status = create_activation(c, layer, r, coeff, basis);
    free(coeff);
    return status;
}

/* ---- layers ---- */

static fhola_status compile_layer(const compiler *c, nn_layer *layer, nn_recipe *r)
{
    nn_network *n = c->network;
    /* so that rescaling leads to the bootstrap's scale */
    double skip_scale = n->scale * convolution_prime(c) / n->linear_scale;
    layer->opens = r->opens;
    layer->closes = r->closes;
    fhola_status s = compile_bootstrap(c, &layer->bootstrap, r->layout);
    if (s == FHOLA_OK)
        s = compile_linear(c, &layer->linear, &r->linear, n->convolution_basis, n->scale);
    if (s == FHOLA_OK && r->opens && r->stage_change)
        s = compile_linear(c, &layer->shortcut, &r->shortcut, n->convolution_basis, n->scale);
    if (s == FHOLA_OK && r->skip)
        s = compile_channels(c, &layer->skip, r->layout, r->skip, skip_scale, n->convolution_basis);
    if (s == FHOLA_OK)
        s = compile_channels(c, &layer->bias, r->layout, r->bias, n->scale, n->bootstrap_basis);
    if (s == FHOLA_OK) s = compile_activation(c, layer, r);
    return s;
}

/* Score s mod rows in every slot s. */
static fhola_status compile_score_bias(const compiler *c)
{
    nn_network *n = c->network;
    size_t rows = n->schedule.scores.rows;
    if (!n->encoded) return FHOLA_OK;
    ckks_complex *values = calloc(rows, sizeof *values);
    if (!values) return fhola_fail(FHOLA_NOMEM, "no memory for %zu scores", rows);
    for (size_t i = 0; i < n->schedule.classes; i++) values[i].re = n->schedule.score_bias[i];
    fhola_status status = ckks_plaintext_create(&n->score_bias, c->context);
    if (status == FHOLA_OK)
        status = ckks_encode(c->context, c->workspace, n->score_bias, values, rows, n->score_scale,
                             n->score_basis);
    free(values);
    return status;
}

static fhola_status compile_scores(const compiler *c)
{
    nn_network *n = c->network;
    nn_linear *l = &n->schedule.scores;
    ckks_basis special = ckks_basis_special_for(ckks_context_params(c->context), n->score_basis);
    fhola_status status = compile_linear(c, &n->scores, l, n->score_input_basis, n->score_scale);
    for (uint32_t r = l->rows; status == FHOLA_OK && r < l->in.slots; r *= 2)
        status = ckks_key_list_add(&n->keys, c->context,
                                   (ckks_key_request){CKKS_KEY_ROTATE, r, n->score_basis, special});
    return status == FHOLA_OK ? compile_score_bias(c) : status;
}

static fhola_status make_client(const compiler *c, const nn_model *model)
{
    nn_network *n = c->network;
    const char *const *names = (const char *const *)model->class_names;
    fhola_status status = nn_client_init(&n->client, c->context, names, model->classes, &n->keys);
    if (status != FHOLA_OK) return status;
    memcpy(n->client.mean, model->mean, sizeof model->mean);
    memcpy(n->client.std, model->std, sizeof model->std);
    n->client.input_bound = n->schedule.input_bound;
    n->client.input = n->schedule.input;
    n->client.basis = n->convolution_basis;
    n->client.scale = n->linear_scale;
    n->client.rows = n->schedule.scores.rows;
    return FHOLA_OK;
}

static fhola_status compile(const compiler *c, const nn_model *model, const nn_plan *plan)
{
    nn_network *n = c->network;
    fhola_status status = nn_schedule_init(&n->schedule, model, plan);
    if (status == FHOLA_OK) status = check_parameters(c);
    if (status != FHOLA_OK) return status;
    choose_bases(c);
    n->count = n->schedule.count;
    n->layer = calloc(n->count, sizeof *n->layer);
    if (!n->layer) return fhola_fail(FHOLA_NOMEM, "no memory for %zu layers", n->count);
    for (size_t i = 0; status == FHOLA_OK && i < n->count; i++)
        status = compile_layer(c, &n->layer[i], &n->schedule.layer[i]);
    if (status == FHOLA_OK) status = compile_scores(c);
    return status == FHOLA_OK ? make_client(c, model) : status;
}

fhola_status nn_network_create(nn_network **network, const ckks_context *context,
                               ckks_workspace *workspace, const nn_model *model,
                               const nn_plan *plan, int encode)
{
    if (nn_model_check_blocks(model) != FHOLA_OK) return FHOLA_PARAM;
    nn_network *n = calloc(1, sizeof *n);
    if (!n) return fhola_fail(FHOLA_NOMEM, "no memory for a network");
    n->encoded = encode != 0;
    compiler c = {n, context, workspace};
    fhola_status status = compile(&c, model, plan);
    if (status != FHOLA_OK)
        nn_network_destroy(n);
    else
        *network = n;
    return status;
}

void nn_network_destroy(nn_network *network)
{
    if (!network) return;
    for (size_t i = 0; network->layer && i < network->count; i++) {
        nn_layer *layer = &network->layer[i];
        ckks_lintrans_destroy(layer->linear);
        ckks_lintrans_destroy(layer->shortcut);
        ckks_plaintext_destroy(layer->skip);
        ckks_plaintext_destroy(layer->bias);
        ckks_polynomial_destroy(layer->activation);
        nn_composition_destroy(layer->composition);
    }
    free(network->layer);
    for (size_t i = 0; i < NN_BOOTSTRAPS; i++) ckks_bootstrap_destroy(network->bootstrap[i]);
    ckks_lintrans_destroy(network->scores);
    ckks_plaintext_destroy(network->score_bias);
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

static size_t linear_bytes(const ckks_lintrans *linear)
{
    return linear ? ckks_lintrans_bytes(linear) : 0;
}

size_t nn_network_bytes(const nn_network *network)
{
    size_t bytes = linear_bytes(network->scores);
    for (size_t i = 0; i < network->count; i++) {
        const nn_layer *layer = &network->layer[i];
        bytes += linear_bytes(layer->linear) + linear_bytes(layer->shortcut);
        if (layer->activation) bytes += ckks_polynomial_bytes(layer->activation);
        if (layer->composition) bytes += nn_composition_bytes(layer->composition);
    }
    for (size_t i = 0; i < NN_BOOTSTRAPS; i++)
        if (network->bootstrap[i]) bytes += ckks_bootstrap_bytes(network->bootstrap[i]);
    return bytes;
}

nn_linear_cost nn_network_linear_cost(const nn_network *network, size_t layer, int shortcut)
{
    if (layer > network->count || (layer == network->count && shortcut)) return (nn_linear_cost){0};
    int last = layer == network->count;
    const nn_recipe *r = last ? NULL : &network->schedule.layer[layer];
    const nn_linear *l = last ? &network->schedule.scores : shortcut ? &r->shortcut : &r->linear;
    const ckks_lintrans *t = last       ? network->scores
                             : shortcut ? network->layer[layer].shortcut
                                        : network->layer[layer].linear;
    return (nn_linear_cost){l->count, l->period, l->babies, l->giants, linear_bytes(t)};
}
