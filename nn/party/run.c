/* SPDX-License-Identifier: Apache-2.0 */
/* Encrypted pictures in, encrypted scores out: what one thread of the server needs. No secret key
 * comes here. */
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "nn/encrypted/network.h"
#include "nn/party/artifact.h"
#include "nn/party/flooded.h"
#include "nn/party/server.h"

/* Largest relative difference between a picture's scale and the network's. */
#define SCALE_TOLERANCE 0x1p-30
/* Noise of sanitized scores: seven deviations are beyond it in one of 10^12 values, and the owner
 * takes the result for none. */
#define MOST_NOISE (NN_UNSOUND * NN_SCORE_BOUND / 7)

struct nn_run {
    const nn_server *server;
    ckks_workspace *workspace;
    ckks_ciphertext *result[NN_MAX_PICTURES]; /* of a batch */
    atomic_bool cancelled;                    /* the answer under way, or the next one */
    double flood;  /* standard deviation of the noise of a score; 0: results are not sanitized */
    ckks_rng *rng; /* of sanitized ones */
};

_Static_assert(ATOMIC_BOOL_LOCK_FREE == 2, "a signal handler may set no other flag");

static unsigned batch_of(const nn_run *run)
{
    return nn_network_pictures(run->server->network);
}

fhola_status nn_run_create(nn_run **run, const nn_server *server)
{
    nn_run *r = calloc(1, sizeof *r);
    if (!r) return fhola_fail(FHOLA_NOMEM, "no memory for a run of the network");
    r->server = server;
    atomic_init(&r->cancelled, false);
    fhola_status status = ckks_workspace_create(&r->workspace, server->context);
    for (unsigned p = 0; status == FHOLA_OK && p < batch_of(r); p++)
        status = ckks_ciphertext_create(&r->result[p], server->context);
    if (status != FHOLA_OK)
        nn_run_destroy(r);
    else
        *run = r;
    return status;
}

void nn_run_destroy(nn_run *run)
{
    if (!run) return;
    for (size_t p = 0; p < NN_MAX_PICTURES; p++) ckks_ciphertext_destroy(run->result[p]);
    ckks_rng_destroy(run->rng);
    ckks_workspace_destroy(run->workspace);
    free(run);
}

fhola_status nn_run_sanitize(nn_run *run, double bits, double error)
{
    const nn_client *client = nn_network_client(run->server->network);
    if (!(bits >= 0 && bits <= NN_FLOODED_BITS) || !(error > 0 && isfinite(error)))
        return fhola_fail(FHOLA_PARAM, "no noise is for %g bits and an error of %g", bits, error);
    double deviation = nn_flood_deviation(client, bits, 1, error);
    if (!(deviation <= MOST_NOISE))
        return fhola_fail(FHOLA_RANGE,
                          "noise of deviation %.3g for %g bits: results are readable up to %.3g",
                          deviation, bits, MOST_NOISE);
    if (!run->rng) FHOLA_TRY(ckks_rng_create(&run->rng));
    run->flood = deviation;
    return FHOLA_OK;
}

/* ---- pictures ---- */

/* `scale`: that it is to have. */
static fhola_status check_part(const nn_server *s, const ckks_ciphertext *part, double scale,
                               const ckks_reader *in)
{
    const nn_client *client = nn_network_client(s->network);
    const ckks_params *params = ckks_context_params(s->context);
    if (ckks_ciphertext_basis(part) != client->basis)
        return ckks_reader_fail(in, FHOLA_LEVEL,
                                "this is no encrypted picture: its primes are %s, not %s",
                                ckks_basis_describe(params, ckks_ciphertext_basis(part)).text,
                                ckks_basis_describe(params, client->basis).text);
    if (fabs(ckks_ciphertext_scale(part) / scale - 1) > SCALE_TOLERANCE)
        return ckks_reader_fail(in, FHOLA_SCALE, "the scale is %g, not %g",
                                ckks_ciphertext_scale(part), scale);
    return FHOLA_OK;
}

/* As the first ciphertext of a picture says: how many there are, and their scale. */
typedef struct form {
    uint32_t pictures; /* packed in them; 0: one alone */
    unsigned ciphertexts;
    double scale;
} form;

static form form_alone(const nn_client *client)
{
    return (form){0, nn_client_ciphertexts(client), client->scale};
}

static fhola_status find_form(form *out, const nn_server *s, const ckks_ciphertext *first,
                              const ckks_reader *in)
{
    const nn_client *client = nn_network_client(s->network);
    uint32_t pictures = ckks_ciphertext_label(first);
    unsigned most = nn_client_pictures(client);
    *out = form_alone(client);
    if (!pictures) return FHOLA_OK;
    if (most < 2 || pictures > most)
        return ckks_reader_fail(in, FHOLA_FORMAT,
                                "%u pictures are packed in one ciphertext, the network takes %u",
                                (unsigned)pictures, most);
    nn_packing packing = nn_client_packing(client, s->context);
    *out = (form){pictures, packing.ciphertexts, nn_packed_scale(client, packing)};
    return FHOLA_OK;
}

/* A picture may have as many ciphertexts as either form takes. */
static unsigned most_ciphertexts(const nn_server *s)
{
    const nn_client *client = nn_network_client(s->network);
    unsigned alone = nn_client_ciphertexts(client);
    if (nn_client_pictures(client) < 2) return alone;
    unsigned packed = nn_client_packing(client, s->context).ciphertexts;
    return packed > alone ? packed : alone;
}

/* What is left behind the last ciphertext of the form. */
static void shorten(ckks_ciphertext *picture[], unsigned count)
{
    for (ckks_ciphertext **part = picture + count; *part; part++) {
        ckks_ciphertext_destroy(*part);
        *part = NULL;
    }
}

/* As many ciphertexts as the network takes, whatever the stream has. */
static fhola_status read_parts(const nn_server *s, ckks_ciphertext *picture[], ckks_reader *in)
{
    form f = form_alone(nn_network_client(s->network));
    FHOLA_TRY(nn_network_id_check(in, s->id));
    for (unsigned k = 0; k < f.ciphertexts; k++) {
        FHOLA_TRY(ckks_ciphertext_read(picture[k], s->context, in));
        if (k == 0) FHOLA_TRY(find_form(&f, s, picture[0], in));
        FHOLA_TRY(check_part(s, picture[k], f.scale, in));
        if (ckks_ciphertext_label(picture[k]) != f.pictures)
            return ckks_reader_fail(
                in, FHOLA_FORMAT, "ciphertext %u says that it has %u pictures, the first %u", k + 1,
                (unsigned)ckks_ciphertext_label(picture[k]), (unsigned)f.pictures);
    }
    shorten(picture, f.ciphertexts);
    return ckks_reader_end(in);
}

/* Of the secret key with this id; 0: of any. */
static fhola_status receive(const nn_server *s, ckks_ciphertext ***picture, ckks_reader *in,
                            int *more, uint64_t key)
{
    ckks_ciphertext **result = NULL;
    FHOLA_TRY(ckks_reader_begin(in, more, CKKS_FILE_CIPHERTEXT, s->context, key));
    if (!*more) return FHOLA_OK;
    fhola_status status = nn_encrypted_create_count(&result, s->context, most_ciphertexts(s));
    if (status == FHOLA_OK) status = read_parts(s, result, in);
    if (status != FHOLA_OK)
        nn_encrypted_destroy(result);
    else
        *picture = result;
    return status;
}

fhola_status nn_server_receive(const nn_server *server, ckks_ciphertext ***picture, ckks_reader *in,
                               int *more)
{
    return receive(server, picture, in, more, 0);
}

/* ---- answers ---- */

static fhola_status check(const nn_run *run, const nn_keys *keys)
{
    if (!run->server->prepared)
        return fhola_fail(FHOLA_PARAM, "the network is not ready: nn_server_prepare comes first");
    if (keys->server != run->server)
        return fhola_fail(FHOLA_KEY, "the evaluation keys were read for another server");
    return FHOLA_OK;
}

/* No result goes where the network or the keys came from. */
static fhola_status spare_inputs(const nn_run *run, const ckks_writer *out, const nn_keys *keys)
{
    FHOLA_TRY(ckks_writer_spare(out, run->server->file));
    return ckks_writer_spare(out, keys->file);
}

static fhola_status write_result(const nn_run *run, ckks_writer *out, const nn_keys *keys,
                                 const ckks_ciphertext *result)
{
    const nn_server *s = run->server;
    FHOLA_TRY(ckks_writer_begin(out, CKKS_FILE_CIPHERTEXT, nn_server_params(s), keys->key));
    FHOLA_TRY(nn_network_id_write(out, s->id));
    FHOLA_TRY(ckks_ciphertext_write(out, result));
    return ckks_writer_end(out);
}

void nn_run_cancel(nn_run *run)
{
    atomic_store(&run->cancelled, true);
}

static fhola_status go_on(const nn_run *run)
{
    return atomic_load(&run->cancelled) ? fhola_fail(FHOLA_CANCELLED, "the answer is not wanted")
                                        : FHOLA_OK;
}

/* What was cancelled, or could have been, is over: the next answer starts afresh. */
static fhola_status finish(nn_run *run, fhola_status status)
{
    atomic_store(&run->cancelled, false);
    return status;
}

/* As nn_decrypt_scores_flooded: noise of a score is that of a coefficient times sqrt(rows) over the
 * scale. period: rows of all results in it; what stands beyond becomes random. */
static fhola_status sanitize(nn_run *run, const nn_keys *keys, ckks_ciphertext *result,
                             size_t period)
{
    const nn_server *s = run->server;
    if (!(run->flood > 0)) return FHOLA_OK;
    size_t rows = nn_network_client(s->network)->rows;
    double deviation = run->flood * nn_result_scale(nn_server_params(s)) / sqrt((double)rows);
    return ckks_sanitize(s->context, run->workspace, result, period, keys->eval, deviation,
                         run->rng);
}

/* The results of packed pictures in the first one. Sanitized when they are joined: one that is
 * random beyond its rows would cover the others. */
static fhola_status join_results(nn_run *run, const nn_keys *keys, size_t count)
{
    const nn_server *s = run->server;
    ckks_interleaving shape = nn_client_results(nn_network_client(s->network));
    FHOLA_TRY(ckks_interleave(s->context, run->workspace, run->result[0],
                              (const ckks_ciphertext *const *)run->result, count, shape));
    FHOLA_TRY(sanitize(run, keys, run->result[0], shape.period * shape.count));
    return ckks_ciphertext_set_label(run->result[0], (uint32_t)count);
}

/* `count` pictures that were encrypted one by one, or one pack. Results are written when all of
 * them are there: result p to out[p], of which several may be one. */
static fhola_status answer(nn_run *run, ckks_writer *const out[], const nn_keys *keys,
                           ckks_ciphertext *const *const picture[], size_t count,
                           const nn_infer_hooks *hooks)
{
    const nn_server *s = run->server;
    unsigned packed = nn_encrypted_pictures(picture[0]);
    FHOLA_TRY(check(run, keys));
    for (size_t p = 0; p < count; p++) FHOLA_TRY(spare_inputs(run, out[p], keys));
    FHOLA_TRY(nn_infer_unless(&run->cancelled, s->context, run->workspace, run->result, s->network,
                              keys->eval, picture, packed ? packed : count, hooks));
    FHOLA_TRY(go_on(run));
    size_t rows = nn_network_client(s->network)->rows;
    if (packed) FHOLA_TRY(join_results(run, keys, packed));
    for (size_t p = 0; p < count && !packed; p++)
        FHOLA_TRY(sanitize(run, keys, run->result[p], rows));
    for (size_t p = 0; p < count; p++)
        FHOLA_TRY(
            nn_shrink_result(s->context, run->workspace, s->network, keys->eval, run->result[p]));
    for (size_t p = 0; p < count; p++) FHOLA_TRY(write_result(run, out[p], keys, run->result[p]));
    return FHOLA_OK;
}

/* The next pictures of a stream, as many as are computed at once; *count = 0: it has ended. A pack
 * is the last one, and *packed says how many it has, else 0. */
static fhola_status receive_batch(const nn_run *run, ckks_ciphertext **picture[], size_t *count,
                                  unsigned *packed, ckks_reader *in, uint64_t key)
{
    int more = 1;
    while (more && !*packed && *count < batch_of(run)) {
        FHOLA_TRY(receive(run->server, &picture[*count], in, &more, key));
        if (!more) break;
        *packed = nn_encrypted_pictures(picture[(*count)++]);
    }
    return FHOLA_OK;
}

/* Of `count` pictures and packs, as many of the first ones as are computed at once. */
static size_t at_once(const nn_run *run, ckks_ciphertext *const *const picture[], size_t count)
{
    size_t n = 1;
    if (nn_encrypted_pictures(picture[0])) return n;
    while (n < count && n < batch_of(run) && !nn_encrypted_pictures(picture[n])) n++;
    return n;
}

/* Pictures and packs in any order. */
static fhola_status answer_all(nn_run *run, ckks_writer *const out[], const nn_keys *keys,
                               ckks_ciphertext *const *const picture[], size_t count,
                               const nn_infer_hooks *hooks)
{
    for (size_t n; count; picture += n, out += n, count -= n) {
        n = at_once(run, picture, count);
        FHOLA_TRY(answer(run, out, keys, picture, n, hooks));
    }
    return FHOLA_OK;
}

static fhola_status answer_next(nn_run *run, ckks_writer *out, const nn_keys *keys, ckks_reader *in,
                                int *more, const nn_infer_hooks *hooks)
{
    ckks_ciphertext **picture[NN_MAX_PICTURES] = {NULL};
    ckks_ciphertext *const *batch[NN_MAX_PICTURES];
    ckks_writer *to[NN_MAX_PICTURES];
    size_t count = 0;
    unsigned packed = 0;
    FHOLA_TRY(go_on(run));
    FHOLA_TRY(check(run, keys));
    FHOLA_TRY(ckks_writer_spare(out, ckks_reader_file(in)));
    fhola_status status = receive_batch(run, picture, &count, &packed, in, keys->key);
    if (status == FHOLA_OK) *more = (int)(packed ? count - 1 + packed : count);
    for (size_t p = 0; p < count; p++) {
        batch[p] = picture[p];
        to[p] = out;
    }
    if (status == FHOLA_OK) status = answer_all(run, to, keys, batch, count, hooks);
    for (size_t p = 0; p < NN_MAX_PICTURES; p++) nn_encrypted_destroy(picture[p]);
    return status;
}

fhola_status nn_run_answer(nn_run *run, ckks_writer *out, const nn_keys *keys,
                           ckks_ciphertext *const picture[], const nn_infer_hooks *hooks)
{
    return finish(run, answer(run, &out, keys, &picture, 1, hooks));
}

fhola_status nn_run_answer_batch(nn_run *run, ckks_writer *const out[], const nn_keys *keys,
                                 ckks_ciphertext *const *const picture[], size_t count,
                                 const nn_infer_hooks *hooks)
{
    fhola_status status = FHOLA_OK;
    if (count == 0 || count > batch_of(run))
        status = fhola_fail(FHOLA_PARAM, "%zu pictures at once, the network computes 1 to %zu",
                            count, (size_t)batch_of(run));
    if (status == FHOLA_OK) status = answer_all(run, out, keys, picture, count, hooks);
    return finish(run, status);
}

fhola_status nn_run_infer(nn_run *run, ckks_writer *out, const nn_keys *keys, ckks_reader *in,
                          int *more, const nn_infer_hooks *hooks)
{
    return finish(run, answer_next(run, out, keys, in, more, hooks));
}
