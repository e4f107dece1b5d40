/* SPDX-License-Identifier: Apache-2.0 */
/* The path of a picture, or a batch of them, through the encrypted network. */
#define _POSIX_C_SOURCE 199309L
#include "nn/encrypted/network.h"

#include <stdlib.h>
#include <time.h>

/* One inference under way. */
typedef struct run {
    const ckks_context *context;
    ckks_workspace *workspace;
    const nn_network *network;
    const ckks_eval_keys *keys;
    const nn_infer_hooks *hooks;  /* may be NULL */
    const atomic_bool *cancelled; /* may be NULL */
    unsigned parts;               /* of the running values, the most there are: `width` */
    size_t width, nodes;
    ckks_ciphertext **x;        /* the running values: width places, `parts` of them taken */
    const ckks_ciphertext **in; /* what a transform takes */
    ckks_ciphertext **joined;   /* x + i y of the running values two and two, once it is needed */
    ckks_ciphertext **part;     /* one contribution, if `sum` has another already: width places */
    ckks_ciphertext *next;      /* becomes one of x, or scratch */
    ckks_ciphertext **sum;      /* what layer i has got so far, and the scores: width places each;
                                    NULL: nothing */
    ckks_ciphertext **spare;    /* those that have been used, for their memory */
    size_t spares;
    size_t layer;
    size_t done, total;  /* units of work */
    double mark;         /* seconds at the beginning of the step */
    nn_stage_times time; /* of the layer */
} run;

/* ---- reports ---- */

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

const char *nn_step_name(nn_step step)
{
    static const char *const name[] = {"convolution", "bootstrap", "activation", "scores"};
    return name[step];
}

/* Units of work of a step, in proportion to measured times. */
static size_t work_of(const nn_network *n, size_t layer, nn_step step)
{
    static const size_t work[] = {3, 10, 1, 1};
    return work[step] * n->layer[layer].parts;
}

static fhola_status stopped(const run *r)
{
    return fhola_fail(FHOLA_CANCELLED, "stopped in layer %zu of %zu", r->layer + 1,
                      r->network->count + 1);
}

/* In front of everything that takes more than some milliseconds. */
static fhola_status go_on(const run *r)
{
    return r->cancelled && atomic_load(r->cancelled) ? stopped(r) : FHOLA_OK;
}

static fhola_status begin(run *r, nn_step step)
{
    r->mark = now();
    if (r->hooks && r->hooks->progress &&
        r->hooks->progress(r->hooks->user, r->layer, step, r->done, r->total))
        return stopped(r);
    return FHOLA_OK;
}

static void end(run *r, nn_step step, double *seconds)
{
    *seconds += now() - r->mark;
    r->done += work_of(r->network, r->layer, step);
}

/* The running values are the result of a step. */
static fhola_status show(const run *r, nn_step step)
{
    fhola_status status = FHOLA_OK;
    if (!r->hooks || !r->hooks->observe) return FHOLA_OK;
    for (unsigned k = 0; status == FHOLA_OK && k < r->parts; k++)
        status = r->hooks->observe(r->hooks->user, r->layer, step, k, r->x[k]);
    return status;
}

static void end_layer(run *r)
{
    if (r->hooks && r->hooks->times) r->hooks->times[r->layer] = r->time;
    r->time = (nn_stage_times){0};
    r->layer++;
}

/* ---- ciphertexts ---- */

static fhola_status take(run *r, ckks_ciphertext **place)
{
    if (!r->spares) return ckks_ciphertext_create(place, r->context);
    *place = r->spare[--r->spares];
    return FHOLA_OK;
}

/* Takes what is missing of `count`. */
static fhola_status take_all(run *r, ckks_ciphertext **place, unsigned count)
{
    fhola_status status = FHOLA_OK;
    for (unsigned k = 0; status == FHOLA_OK && k < count; k++)
        if (!place[k]) status = take(r, &place[k]);
    return status;
}

static void give_back(run *r, ckks_ciphertext **place)
{
    if (*place) r->spare[r->spares++] = *place;
    *place = NULL;
}

static ckks_ciphertext **sums_of(const run *r, size_t target)
{
    return r->sum + target * r->width;
}

/* `next` and a part of x change places. */
static void advance(run *r, unsigned part)
{
    ckks_ciphertext *swap = r->x[part];
    r->x[part] = r->next;
    r->next = swap;
}

/* ---- linear maps ---- */

/* The values of a node are read once, as soon as they are there: every layer that reads them gets
 * its part of the sum then. So no value outlives its own layer, and what is kept is a sum for each
 * layer that has begun. */

static ckks_basis landing_basis(const run *r, size_t target)
{
    const nn_network *n = r->network;
    return target < n->count ? n->bootstrap_basis : n->score_basis;
}

/* Once for all that reads the values. */
static fhola_status join(run *r)
{
    unsigned count = r->joined[0] ? 0 : r->parts / 2;
    fhola_status status = take_all(r, r->joined, count);
    for (unsigned k = 0; status == FHOLA_OK && k < count; k++) {
        const size_t first = 2 * (size_t)k;
        status = ckks_mul_plain(r->context, r->joined[k], r->x[first + 1], r->network->i);
        if (status == FHOLA_OK)
            status = ckks_add(r->context, r->joined[k], r->joined[k], r->x[first]);
    }
    return status;
}

static fhola_status multiply(run *r, const nn_transform *t, ckks_ciphertext *out, ckks_basis basis)
{
    fhola_status status = ckks_mul_plain(r->context, out, r->in[0], t->factor);
    if (status == FHOLA_OK) status = ckks_rescale(r->context, r->workspace, out, out, basis);
    /* What does not repeat after a bootstrap's values is zero, or its copies add up. */
    return status == FHOLA_OK ? ckks_ciphertext_set_period(out, 0) : status;
}

/* Every slot becomes the sum of the slots a multiple of `fold` away. */
static fhola_status fold(run *r, const nn_transform *t, ckks_ciphertext *x)
{
    fhola_status status = FHOLA_OK;
    for (uint32_t k = t->fold; status == FHOLA_OK && k < t->fold_end; k *= 2) {
        status = ckks_rotate(r->context, r->workspace, r->keys, r->next, x, (int32_t)k);
        if (status == FHOLA_OK) status = ckks_add(r->context, x, x, r->next);
    }
    return status;
}

/* out = the map of x. */
static fhola_status transform(run *r, const nn_transform *t, ckks_ciphertext *const out[],
                              ckks_basis basis)
{
    unsigned count = t->joined ? r->parts / 2 : r->parts;
    if (t->joined) FHOLA_TRY(join(r));
    for (unsigned k = 0; k < count; k++) r->in[k] = t->joined ? r->joined[k] : r->x[k];
    if (t->factor) return multiply(r, t, out[0], basis);
    return ckks_lintrans_apply_matrix(r->context, r->workspace, r->keys, t->linear, out, r->in,
                                      basis);
}

/* One contribution of x to `target`. */
static fhola_status contribute(run *r, const nn_transform *t, size_t target)
{
    unsigned count = r->network->layer[target].sums;
    ckks_ciphertext **sum = sums_of(r, target);
    bool first = !sum[0];
    ckks_ciphertext **out = first ? sum : r->part;
    fhola_status status = go_on(r);
    if (status == FHOLA_OK) status = take_all(r, out, count);
    if (status == FHOLA_OK) status = transform(r, t, out, landing_basis(r, target));
    for (unsigned k = 0; status == FHOLA_OK && k < count; k++) {
        status = fold(r, t, out[k]);
        if (status == FHOLA_OK && !first) status = ckks_add(r->context, sum[k], sum[k], out[k]);
    }
    return status;
}

static fhola_status drop_to_scores(run *r)
{
    fhola_status status = FHOLA_OK;
    for (unsigned k = 0; status == FHOLA_OK && k < r->parts; k++)
        status = ckks_drop(r->context, r->x[k], r->x[k], r->network->score_input_basis);
    return status;
}

/* x, the values of node `from`, to all that read them: the scores last. */
static fhola_status distribute(run *r, size_t from)
{
    const nn_network *n = r->network;
    fhola_status status = FHOLA_OK;
    for (size_t i = from; i <= n->count; i++)
        for (size_t e = 0; status == FHOLA_OK && e < n->layer[i].count; e++) {
            const nn_transform *t = &n->layer[i].transform[e];
            if (t->from != from) continue;
            if (i == n->count) status = drop_to_scores(r);
            if (status == FHOLA_OK) status = contribute(r, t, i);
        }
    return status;
}

/* Adds the bias to what is in front of layer `layer` (or the scores): all contributions are there,
 * and x is no longer needed. */
static fhola_status collect(run *r, const nn_layer *layer)
{
    ckks_ciphertext **sum = sums_of(r, r->layer);
    fhola_status status = FHOLA_OK;
    for (unsigned k = 0; k < r->parts; k++) give_back(r, &r->x[k]);
    for (unsigned k = 0; k < r->parts / 2; k++) give_back(r, &r->joined[k]);
    for (unsigned k = 0; status == FHOLA_OK && k < layer->sums; k++)
        status = ckks_add_plain(r->context, sum[k], sum[k], layer->bias[k % layer->biases]);
    r->parts = layer->parts;
    return status;
}

/* ---- the steps of a layer ---- */

static fhola_status linear_step(run *r, const nn_layer *layer)
{
    fhola_status status = begin(r, NN_STEP_CONVOLUTION);
    if (status == FHOLA_OK) status = distribute(r, r->layer);
    if (status == FHOLA_OK) status = collect(r, layer);
    end(r, NN_STEP_CONVOLUTION, &r->time.convolution);
    return status;
}

static void take_bootstrap_times(run *r, const ckks_bootstrap_times *before)
{
    const ckks_bootstrap_times *after = ckks_workspace_times(r->workspace);
    r->time.slots_to_coeffs += after->slots_to_coeffs - before->slots_to_coeffs;
    r->time.switch_to_sparse += after->switch_to_sparse - before->switch_to_sparse;
    r->time.coeffs_to_slots += after->coeffs_to_slots - before->coeffs_to_slots;
    r->time.eval_mod += after->eval_mod - before->eval_mod;
}

/* Sum `index` of the layer, which has no partner, to the last part of x. */
static fhola_status bootstrap_single(run *r, const nn_layer *layer, unsigned index)
{
    ckks_ciphertext **sum = sums_of(r, r->layer) + index, **x = r->x + 2 * (size_t)index;
    FHOLA_TRY(take(r, x));
    fhola_status status =
        ckks_bootstrap_apply(r->context, r->workspace, r->keys, layer->bootstrap[index], *x, *sum,
                             layer->residual_levels);
    give_back(r, sum);
    return status;
}

/* `count` sums of the layer from `index` on to two parts of x each. */
static fhola_status bootstrap_pairs(run *r, const nn_layer *layer, unsigned index, unsigned count)
{
    ckks_ciphertext **sum = sums_of(r, r->layer) + index, **x = r->x + 2 * (size_t)index;
    const ckks_ciphertext *in[CKKS_BOOTSTRAPS_AT_ONCE];
    FHOLA_TRY(take_all(r, x, 2 * count));
    for (unsigned k = 0; k < count; k++) in[k] = sum[k];
    fhola_status status =
        ckks_bootstrap_apply_pairs(r->context, r->workspace, r->keys, layer->bootstrap[index],
                                   count, x, in, layer->residual_levels);
    for (unsigned k = 0; k < count; k++) give_back(r, &sum[k]);
    return status;
}

/* All pairs of a layer have one bootstrap. */
static fhola_status bootstrap_all(run *r, const nn_layer *layer)
{
    unsigned pairs = layer->parts / 2;
    for (unsigned k = 0, count; k < pairs; k += count) {
        count = pairs - k < CKKS_BOOTSTRAPS_AT_ONCE ? pairs - k : CKKS_BOOTSTRAPS_AT_ONCE;
        FHOLA_TRY(go_on(r));
        FHOLA_TRY(bootstrap_pairs(r, layer, k, count));
    }
    if (pairs == layer->sums) return FHOLA_OK;
    FHOLA_TRY(go_on(r));
    return bootstrap_single(r, layer, pairs);
}

static fhola_status bootstrap_step(run *r, const nn_layer *layer)
{
    ckks_bootstrap_times before = *ckks_workspace_times(r->workspace);
    double whole = 0;
    fhola_status status = begin(r, NN_STEP_BOOTSTRAP);
    if (status == FHOLA_OK) status = bootstrap_all(r, layer);
    if (status != FHOLA_OK) return status;
    take_bootstrap_times(r, &before);
    end(r, NN_STEP_BOOTSTRAP, &whole);
    return show(r, NN_STEP_BOOTSTRAP);
}

static fhola_status activate(run *r, const nn_activated *a, unsigned part)
{
    FHOLA_TRY(go_on(r));
    fhola_status status = a->composition
                              ? nn_composition_apply(r->context, r->workspace, r->keys,
                                                     a->composition, r->next, r->x[part])
                              : ckks_polynomial_apply(r->context, r->workspace, r->keys,
                                                      a->polynomial, r->next, r->x[part]);
    if (status == FHOLA_OK) advance(r, part);
    return status;
}

static fhola_status activation_step(run *r, const nn_layer *layer)
{
    const nn_layout layout = r->network->schedule.layer[r->layer].layout;
    fhola_status status = begin(r, NN_STEP_ACTIVATION);
    for (unsigned k = 0; status == FHOLA_OK && k < layer->parts; k++)
        status = activate(r, &layer->activation[nn_layout_part_of_picture(layout, k)], k);
    if (status != FHOLA_OK) return status;
    end(r, NN_STEP_ACTIVATION, &r->time.activation);
    return show(r, NN_STEP_ACTIVATION);
}

static fhola_status run_layer(run *r, const nn_layer *layer)
{
    fhola_status status = linear_step(r, layer);
    if (status == FHOLA_OK) status = bootstrap_step(r, layer);
    if (status == FHOLA_OK) status = activation_step(r, layer);
    if (status == FHOLA_OK) end_layer(r);
    return status;
}

static fhola_status score_step(run *r)
{
    const nn_network *n = r->network;
    ckks_ciphertext **sum = sums_of(r, n->count);
    fhola_status status = begin(r, NN_STEP_SCORES);
    if (status == FHOLA_OK) status = distribute(r, n->count);
    if (status == FHOLA_OK) status = collect(r, &n->layer[n->count]);
    if (status != FHOLA_OK) return status;
    for (unsigned k = 0; status == FHOLA_OK && k < r->parts; k++) {
        r->x[k] = sum[k];
        sum[k] = NULL;
        status = ckks_rescale(r->context, r->workspace, r->x[k], r->x[k], n->result_basis);
    }
    end(r, NN_STEP_SCORES, &r->time.convolution);
    if (status == FHOLA_OK) status = show(r, NN_STEP_SCORES);
    if (status == FHOLA_OK) end_layer(r);
    return status;
}

/* ---- the whole path ---- */

/* `count` pictures in `picture`, or packed in picture[0]; what they become in `out`. */
typedef struct batch {
    ckks_ciphertext *const *out;
    ckks_ciphertext *const *const *picture;
    size_t count;
} batch;

static bool is_packed(const batch *b)
{
    return nn_encrypted_pictures(b->picture[0]) > 0;
}

static fhola_status check_picture(const nn_network *network, const ckks_params *params,
                                  ckks_ciphertext *const picture[], unsigned ciphertexts)
{
    for (unsigned k = 0; k < ciphertexts; k++)
        if (ckks_ciphertext_basis(picture[k]) != network->convolution_basis)
            return fhola_fail(FHOLA_LEVEL,
                              "the encrypted picture has the primes %s, the network expects %s",
                              ckks_basis_describe(params, ckks_ciphertext_basis(picture[k])).text,
                              ckks_basis_describe(params, network->convolution_basis).text);
    return FHOLA_OK;
}

/* What is packed comes out as x + i y, which the scores do not read. */
static bool scores_read_pictures(const nn_network *network)
{
    const nn_layer *scores = &network->layer[network->count];
    for (size_t e = 0; e < scores->count; e++)
        if (scores->transform[e].from == 0) return true;
    return false;
}

static fhola_status check_pack(const nn_network *network, const ckks_params *params, const batch *b)
{
    if (network->schedule.pictures < 2 || b->count != nn_encrypted_pictures(b->picture[0]))
        return fhola_fail(FHOLA_PARAM, "%u packed pictures, %zu at a time are asked for",
                          nn_encrypted_pictures(b->picture[0]), b->count);
    if (scores_read_pictures(network))
        return fhola_fail(FHOLA_PARAM, "the scores of this network read the pictures themselves, "
                                       "which must be encrypted one by one then");
    return check_picture(network, params, b->picture[0], network->packing.ciphertexts);
}

static fhola_status check_batch(const nn_network *network, const ckks_params *params,
                                const batch *b)
{
    if (!network->encoded)
        return fhola_fail(FHOLA_PARAM, "the network was compiled without its weights");
    if (b->count < 1 || b->count > network->schedule.pictures)
        return fhola_fail(FHOLA_PARAM, "%zu pictures, the network takes 1 to %u at a time",
                          b->count, network->schedule.pictures);
    if (is_packed(b)) return check_pack(network, params, b);
    for (size_t p = 0; p < b->count; p++) {
        if (nn_encrypted_pictures(b->picture[p]))
            return fhola_fail(FHOLA_PARAM, "picture %zu is a pack of several, among others", p);
        FHOLA_TRY(check_picture(network, params, b->picture[p], network->schedule.input.each));
    }
    return FHOLA_OK;
}

/* Room for all ciphertexts there can be at a time, in a node's sums, x, part, joined and spare. */
static fhola_status make_places(run *r)
{
    const nn_network *n = r->network;
    r->width = n->schedule.input.parts;
    r->nodes = n->count + 1;
    for (size_t i = 0; i < n->count; i++)
        if (n->layer[i].parts > r->width) r->width = n->layer[i].parts;
    size_t places = r->width * (r->nodes + 3);
    r->sum = calloc(2 * places + 1, sizeof(ckks_ciphertext *));
    r->in = calloc(r->width, sizeof *r->in);
    if (!r->sum || !r->in)
        return fhola_fail(FHOLA_NOMEM, "no memory for the sums of %zu layers", n->count);
    r->x = r->sum + r->width * r->nodes;
    r->part = r->x + r->width;
    r->joined = r->part + r->width;
    r->spare = r->joined + r->width;
    return FHOLA_OK;
}

/* What a batch lacks is its first picture again. */
static fhola_status copy_pictures(run *r, const batch *b)
{
    const nn_layout input = r->network->schedule.input;
    fhola_status status = take_all(r, r->x, input.parts);
    r->parts = input.parts;
    for (unsigned p = 0; status == FHOLA_OK && p < input.pictures; p++)
        for (unsigned k = 0; status == FHOLA_OK && k < input.each; k++) {
            unsigned part = nn_layout_part(input, p, nn_layout_first_channel(input, k));
            status = ckks_ciphertext_copy(r->x[part], b->picture[p < b->count ? p : 0][k]);
        }
    return status;
}

static fhola_status unpack_pictures(run *r, ckks_ciphertext *const packed[])
{
    const nn_packing p = r->network->packing;
    const ckks_interleaving shape = {p.period, p.side};
    fhola_status status = FHOLA_OK;
    r->parts = r->network->schedule.input.parts;
    for (unsigned k = 0; status == FHOLA_OK && k < p.ciphertexts; k++) {
        ckks_ciphertext **place = r->joined + k * p.side;
        status = take_all(r, place, (unsigned)p.side);
        if (status == FHOLA_OK)
            status = ckks_deinterleave(r->context, r->workspace, r->keys, place, packed[k], shape);
    }
    for (size_t k = p.vectors; k < p.ciphertexts * p.side; k++) give_back(r, &r->joined[k]);
    return status;
}

static fhola_status prepare(run *r, const batch *b)
{
    const nn_network *n = r->network;
    for (size_t i = 0; i < n->count; i++)
        for (int step = NN_STEP_CONVOLUTION; step <= NN_STEP_ACTIVATION; step++)
            r->total += work_of(n, i, (nn_step)step);
    r->total += work_of(n, n->count, NN_STEP_SCORES);
    fhola_status status = make_places(r);
    if (status == FHOLA_OK) status = ckks_ciphertext_create(&r->next, r->context);
    if (status != FHOLA_OK) return status;
    return is_packed(b) ? unpack_pictures(r, b->picture[0]) : copy_pictures(r, b);
}

static void release(run *r)
{
    for (size_t i = 0; r->sum && i < r->width * (r->nodes + 3); i++)
        ckks_ciphertext_destroy(r->sum[i]);
    for (size_t i = 0; i < r->spares; i++) ckks_ciphertext_destroy(r->spare[i]);
    ckks_ciphertext_destroy(r->next);
    free(r->sum);
    free(r->in);
}

fhola_status nn_infer_unless(const atomic_bool *cancelled, const ckks_context *context,
                             ckks_workspace *workspace, ckks_ciphertext *const out[],
                             const nn_network *network, const ckks_eval_keys *keys,
                             ckks_ciphertext *const *const picture[], size_t count,
                             const nn_infer_hooks *hooks)
{
    const batch b = {out, picture, count};
    if (count == 1 && network->alone && !is_packed(&b)) network = network->alone;
    run r = {.context = context,
             .workspace = workspace,
             .network = network,
             .keys = keys,
             .hooks = hooks,
             .cancelled = cancelled};
    fhola_status status = check_batch(network, ckks_context_params(context), &b);
    if (status == FHOLA_OK) status = prepare(&r, &b);
    for (size_t i = 0; status == FHOLA_OK && i < network->count; i++)
        status = run_layer(&r, &network->layer[i]);
    if (status == FHOLA_OK) status = score_step(&r);
    for (size_t p = 0; status == FHOLA_OK && p < count; p++)
        status = ckks_ciphertext_copy(out[p], r.x[p]);
    release(&r);
    return status;
}

fhola_status nn_infer_batch(const ckks_context *context, ckks_workspace *workspace,
                            ckks_ciphertext *const out[], const nn_network *network,
                            const ckks_eval_keys *keys, ckks_ciphertext *const *const picture[],
                            size_t count, const nn_infer_hooks *hooks)
{
    return nn_infer_unless(NULL, context, workspace, out, network, keys, picture, count, hooks);
}

fhola_status nn_infer(const ckks_context *context, ckks_workspace *workspace, ckks_ciphertext *out,
                      const nn_network *network, const ckks_eval_keys *keys,
                      ckks_ciphertext *const in[], const nn_infer_hooks *hooks)
{
    return nn_infer_batch(context, workspace, &out, network, keys, &in, 1, hooks);
}

fhola_status nn_shrink_result(const ckks_context *c, ckks_workspace *ws, const nn_network *network,
                              const ckks_eval_keys *keys, ckks_ciphertext *result)
{
    const nn_client *client = nn_network_client(network);
    const ckks_shrunk to =
        nn_result_shrunk(ckks_context_params(c), client->rows, nn_client_pictures(client),
                         ckks_ciphertext_label(result) != 0);
    return ckks_shrink(c, ws, keys, result, result, to.log_degree, to.period);
}
