/* SPDX-License-Identifier: Apache-2.0 */
/* The path of a picture through the encrypted network. */
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
    const nn_infer_hooks *hooks; /* may be NULL */
    ckks_ciphertext *x;          /* the running value */
    ckks_ciphertext *next;       /* becomes x */
    ckks_ciphertext **sum;       /* what layer i has got so far, and the scores; NULL: nothing */
    ckks_ciphertext *part;       /* one contribution, if `sum` has another already */
    ckks_ciphertext **spare;     /* sums that have been used, for their memory */
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
static size_t work_of(nn_step step)
{
    static const size_t work[] = {3, 10, 1, 1};
    return work[step];
}

static fhola_status begin(run *r, nn_step step)
{
    r->mark = now();
    if (!r->hooks || !r->hooks->progress) return FHOLA_OK;
    if (r->hooks->progress(r->hooks->user, r->layer, step, r->done, r->total))
        return fhola_fail(FHOLA_IO, "interrupted");
    return FHOLA_OK;
}

static fhola_status end(run *r, nn_step step, double *seconds, const ckks_ciphertext *result)
{
    *seconds += now() - r->mark;
    r->done += work_of(step);
    if (!result || !r->hooks || !r->hooks->observe) return FHOLA_OK;
    return r->hooks->observe(r->hooks->user, r->layer, step, result);
}

static void end_layer(run *r)
{
    if (r->hooks && r->hooks->times) r->hooks->times[r->layer] = r->time;
    r->time = (nn_stage_times){0};
    r->layer++;
}

static void advance(run *r)
{
    ckks_ciphertext *swap = r->x;
    r->x = r->next;
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

static fhola_status multiply(run *r, const nn_transform *t, ckks_ciphertext *out, ckks_basis basis)
{
    fhola_status status = ckks_mul_plain(r->context, out, r->x, t->factor);
    return status == FHOLA_OK ? ckks_rescale(r->context, r->workspace, out, out, basis) : status;
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

static fhola_status open_sum(run *r, size_t target)
{
    if (!r->spares) return ckks_ciphertext_create(&r->sum[target], r->context);
    r->sum[target] = r->spare[--r->spares];
    return FHOLA_OK;
}

/* One contribution of x to `target`. */
static fhola_status contribute(run *r, const nn_transform *t, size_t target)
{
    const ckks_lintrans *linear[] = {t->linear};
    ckks_basis basis = landing_basis(r, target);
    bool first = !r->sum[target];
    fhola_status status = first ? open_sum(r, target) : FHOLA_OK;
    if (status != FHOLA_OK) return status;
    ckks_ciphertext *out = first ? r->sum[target] : r->part;
    status = t->factor ? multiply(r, t, out, basis)
                       : ckks_lintrans_apply(r->context, r->workspace, r->keys, 1, linear, &out,
                                             r->x, basis);
    if (status == FHOLA_OK) status = fold(r, t, out);
    return status == FHOLA_OK && !first ? ckks_add(r->context, r->sum[target], r->sum[target], out)
                                        : status;
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
            if (i == n->count) status = ckks_drop(r->context, r->x, r->x, n->score_input_basis);
            if (status == FHOLA_OK) status = contribute(r, t, i);
        }
    return status;
}

/* The values in front of layer `layer` (or the scores): all contributions are there. */
static fhola_status collect(run *r, const nn_layer *layer)
{
    r->spare[r->spares++] = r->x;
    r->x = r->sum[r->layer];
    r->sum[r->layer] = NULL;
    return ckks_add_plain(r->context, r->x, r->x, layer->bias);
}

/* ---- the steps of a layer ---- */

static fhola_status linear_step(run *r, const nn_layer *layer)
{
    fhola_status status = begin(r, NN_STEP_CONVOLUTION);
    if (status == FHOLA_OK) status = distribute(r, r->layer);
    if (status == FHOLA_OK) status = collect(r, layer);
    return status == FHOLA_OK ? end(r, NN_STEP_CONVOLUTION, &r->time.convolution, NULL) : status;
}

static void take_bootstrap_times(run *r, const ckks_bootstrap_times *before)
{
    const ckks_bootstrap_times *after = ckks_workspace_times(r->workspace);
    r->time.slots_to_coeffs += after->slots_to_coeffs - before->slots_to_coeffs;
    r->time.switch_and_raise +=
        after->switch_and_raise - before->switch_and_raise + after->trace - before->trace;
    r->time.coeffs_to_slots += after->coeffs_to_slots - before->coeffs_to_slots;
    r->time.eval_mod += after->eval_mod - before->eval_mod;
}

static fhola_status bootstrap_step(run *r, const nn_layer *layer)
{
    ckks_bootstrap_times before = *ckks_workspace_times(r->workspace);
    double whole = 0;
    fhola_status status = begin(r, NN_STEP_BOOTSTRAP);
    if (status == FHOLA_OK)
        status = ckks_bootstrap_apply(r->context, r->workspace, r->keys, layer->bootstrap, r->next,
                                      r->x, layer->residual_levels);
    if (status != FHOLA_OK) return status;
    advance(r);
    take_bootstrap_times(r, &before);
    return end(r, NN_STEP_BOOTSTRAP, &whole, r->x);
}

static fhola_status activation_step(run *r, const nn_layer *layer)
{
    fhola_status status = begin(r, NN_STEP_ACTIVATION);
    if (status == FHOLA_OK && layer->composition)
        status = nn_composition_apply(r->context, r->workspace, r->keys, layer->composition,
                                      r->next, r->x);
    else if (status == FHOLA_OK)
        status = ckks_polynomial_apply(r->context, r->workspace, r->keys, layer->activation,
                                       r->next, r->x);
    if (status != FHOLA_OK) return status;
    advance(r);
    return end(r, NN_STEP_ACTIVATION, &r->time.activation, r->x);
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
    fhola_status status = begin(r, NN_STEP_SCORES);
    if (status == FHOLA_OK) status = distribute(r, n->count);
    if (status == FHOLA_OK) status = collect(r, &n->layer[n->count]);
    if (status == FHOLA_OK)
        status = ckks_rescale(r->context, r->workspace, r->x, r->x, n->result_basis);
    if (status == FHOLA_OK) status = end(r, NN_STEP_SCORES, &r->time.convolution, r->x);
    if (status == FHOLA_OK) end_layer(r);
    return status;
}

/* ---- the whole path ---- */

static fhola_status check_input(const nn_network *network, const ckks_ciphertext *in)
{
    if (!network->encoded)
        return fhola_fail(FHOLA_PARAM, "the network was compiled without its weights");
    if (ckks_ciphertext_basis(in) != network->convolution_basis)
        return fhola_fail(FHOLA_LEVEL,
                          "the encrypted picture has primes %#llx, the network expects %#llx",
                          (unsigned long long)ckks_ciphertext_basis(in),
                          (unsigned long long)network->convolution_basis);
    return FHOLA_OK;
}

static fhola_status prepare(run *r, const ckks_ciphertext *in)
{
    r->total = r->network->count * (work_of(NN_STEP_CONVOLUTION) + work_of(NN_STEP_BOOTSTRAP) +
                                    work_of(NN_STEP_ACTIVATION)) +
               work_of(NN_STEP_SCORES);
    r->sum = calloc(2 * (r->network->count + 1), sizeof(ckks_ciphertext *));
    if (!r->sum)
        return fhola_fail(FHOLA_NOMEM, "no memory for the sums of %zu layers", r->network->count);
    r->spare = r->sum + r->network->count + 1;
    fhola_status status = ckks_ciphertext_create(&r->x, r->context);
    if (status == FHOLA_OK) status = ckks_ciphertext_create(&r->next, r->context);
    if (status == FHOLA_OK) status = ckks_ciphertext_create(&r->part, r->context);
    return status == FHOLA_OK ? ckks_ciphertext_copy(r->x, in) : status;
}

static void release(run *r)
{
    ckks_ciphertext_destroy(r->x);
    ckks_ciphertext_destroy(r->next);
    ckks_ciphertext_destroy(r->part);
    for (size_t i = 0; r->sum && i <= r->network->count; i++) ckks_ciphertext_destroy(r->sum[i]);
    for (size_t i = 0; i < r->spares; i++) ckks_ciphertext_destroy(r->spare[i]);
    free(r->sum);
}

fhola_status nn_infer(const ckks_context *context, ckks_workspace *workspace, ckks_ciphertext *out,
                      const nn_network *network, const ckks_eval_keys *keys,
                      const ckks_ciphertext *in, const nn_infer_hooks *hooks)
{
    run r = {.context = context,
             .workspace = workspace,
             .network = network,
             .keys = keys,
             .hooks = hooks};
    fhola_status status = check_input(network, in);
    if (status == FHOLA_OK) status = prepare(&r, in);
    for (size_t i = 0; status == FHOLA_OK && i < network->count; i++)
        status = run_layer(&r, &network->layer[i]);
    if (status == FHOLA_OK) status = score_step(&r);
    if (status == FHOLA_OK) status = ckks_ciphertext_copy(out, r.x);
    release(&r);
    return status;
}
