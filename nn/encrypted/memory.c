/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/encrypted/memory.h"

#include "nn/encrypted/network.h"

#define MIB ((uint64_t)1 << 20)
/* Twiddles, weights, rounding to huge pages, and the workspace of bootstraps (ARCHITECTURE.md). */
#define PROCESS_BYTES (384 * MIB)

/* ---- where diagonals go ---- */

static uint64_t narrow_bytes(const nn_linear *l)
{
    return nn_linear_is_factor(l) ? 0 : ckks_lintrans_coefficient_bytes(l->distinct, l->period);
}

static uint64_t all_narrow_bytes(const nn_schedule *schedule)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i <= schedule->count; i++)
        for (size_t e = 0; e < schedule->layer[i].count; e++)
            bytes += narrow_bytes(&schedule->layer[i].contribution[e].linear);
    return bytes;
}

nn_room nn_room_make(const nn_schedule *schedule, const nn_schedule *alone, uint64_t bytes)
{
    return (nn_room){bytes, all_narrow_bytes(schedule) + (alone ? all_narrow_bytes(alone) : 0)};
}

ckks_lintrans_store nn_room_place(nn_room *room, const nn_linear *linear, unsigned limbs)
{
    uint64_t narrow = narrow_bytes(linear), full = (linear->joined ? 1 : 2) * limbs * narrow;
    room->ahead -= narrow;
    if (room->left >= full && room->left - full >= room->ahead) {
        room->left -= full;
        return CKKS_LINTRANS_LIMBS;
    }
    if (room->left < narrow) return CKKS_LINTRANS_NONE;
    room->left -= narrow;
    return CKKS_LINTRANS_COEFFICIENTS;
}

/* ---- what a network takes ---- */

/* In memory a key has words where its file has bits, and the half that the file has as a seed. */
static uint64_t key_bytes(const nn_network *n, const ckks_context *context)
{
    return ckks_eval_keys_file_bytes(context, &n->keys) / 3 * 8;
}

/* Coefficients over all primes of the activation: no less than what polynomials take. */
static uint64_t activation_bytes(const nn_network *n)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < n->count; i++) {
        const nn_recipe *r = &n->schedule.layer[i];
        unsigned limbs = ckks_basis_count(n->convolution_basis) + r->depth;
        bytes += (uint64_t)r->layout.each * (r->degree + 1) * limbs * 2 * r->layout.stride *
                 sizeof(uint64_t);
    }
    return bytes;
}

/* Of a bootstrap that runs beside another: about what 8 polynomials over all primes take. */
static uint64_t bootstrap_bytes(const nn_network *n, const ckks_context *context, uint64_t limb)
{
    const ckks_params *params = ckks_context_params(context);
    unsigned pairs = nn_network_ciphertexts(n) / 2,
             beside = pairs > CKKS_BOOTSTRAPS_AT_ONCE ? CKKS_BOOTSTRAPS_AT_ONCE : pairs,
             primes = ckks_basis_count(ckks_basis_chain(params) | ckks_basis_special(params));
    return beside > 1 ? (beside - 1) * 8 * primes * limb : 0;
}

typedef struct linear_bytes {
    uint64_t full;                   /* diagonals of all maps */
    uint64_t largest;                /* diagonals of one map */
    uint64_t rotations, ciphertexts; /* the most polynomials over the inputs' primes */
} linear_bytes;

/* Adds those of a network's own layers. */
static void measure_maps(linear_bytes *b, const nn_network *n)
{
    for (size_t i = 0; i <= n->count; i++)
        for (size_t e = 0; e < n->layer[i].count; e++) {
            const nn_linear *l = &n->schedule.layer[i].contribution[e].linear;
            const ckks_lintrans *linear = n->layer[i].transform[e].linear;
            uint64_t full = linear ? ckks_lintrans_encoded_bytes(linear) : 0;
            uint64_t rotations = 2 * (uint64_t)(l->babies + l->giants + l->inputs + l->outputs);
            b->full += full;
            if (full > b->largest) b->largest = full;
            if (rotations > b->rotations) b->rotations = rotations;
        }
}

static linear_bytes measure(const nn_network *n)
{
    linear_bytes b = {0};
    uint64_t most = nn_network_ciphertexts(n), joined = nn_network_pictures(n) > 1 ? most / 2 : 0;
    b.ciphertexts = 2 * (3 * most + joined + 2);
    measure_maps(&b, n);
    if (n->alone) measure_maps(&b, n->alone);
    return b;
}

nn_memory nn_network_memory(const nn_network *n, const ckks_context *context)
{
    linear_bytes b = measure(n);
    uint64_t limb = 2 * ckks_slots(context) * sizeof(uint64_t);
    /* ciphertexts are largest behind a bootstrap, maps work over these primes and special ones */
    unsigned deepest = 0, primes = ckks_basis_count(n->convolution_basis);
    for (size_t i = 0; i < n->count; i++)
        if (n->schedule.layer[i].depth > deepest) deepest = n->schedule.layer[i].depth;
    uint64_t fixed = PROCESS_BYTES + key_bytes(n, context) + nn_network_bootstrap_bytes(n) +
                     activation_bytes(n) + b.ciphertexts * (primes + deepest) * limb +
                     b.rotations * primes * limb + bootstrap_bytes(n, context, limb);
    return (nn_memory){.least = fixed + b.largest, .most = fixed + b.full};
}

fhola_status nn_network_room(uint64_t *bytes, const nn_network *n, const ckks_context *context,
                             uint64_t memory)
{
    nn_memory m = nn_network_memory(n, context);
    if (memory >= m.most) {
        *bytes = UINT64_MAX;
        return FHOLA_OK;
    }
    if (memory < m.least)
        return fhola_fail(FHOLA_NOMEM,
                          "the network needs %.2f GiB of memory without any encoded weights (keys, "
                          "ciphertexts and its largest layer), %.2f are there",
                          (double)m.least / 0x1p30, (double)memory / 0x1p30);
    *bytes = memory - m.least;
    return FHOLA_OK;
}
