/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/party/client.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn/encrypted/network.h"
#include "nn/graph/model_io.h"

#define ROUNDING 1e-6 /* of a resampled pixel */

/* Relative, of a result's scale: what is summed up for it agrees as closely. */
#define SCALE_TOLERANCE 0x1p-30

/* Rounding to a result's primes moves a score by about 2^13 over its scale (N = 2^15): a base prime
 * that leaves less than this does not hold a result alone. */
#define LEAST_RESULT_SCALE 0x1p17

ckks_basis nn_score_basis(const ckks_params *params)
{
    ckks_basis stc = ckks_basis_stc(params);
    return ckks_basis_base(params) | (stc & (~stc + 1));
}

ckks_basis nn_result_basis(const ckks_params *params)
{
    double scale = (double)ckks_params_prime(params, 0) / 2 / NN_SCORE_BOUND;
    return scale < LEAST_RESULT_SCALE ? nn_score_basis(params) : ckks_basis_base(params);
}

double nn_result_scale(const ckks_params *params)
{
    double scale = (double)ckks_params_prime(params, 0) / 2 / NN_SCORE_BOUND;
    ckks_basis above = nn_result_basis(params) & ~ckks_basis_base(params);
    return above ? scale * (double)ckks_params_prime(params, 1) : scale;
}

fhola_status nn_result_check(const ckks_params *params, const nn_client *client,
                             const ckks_ciphertext *in)
{
    ckks_basis basis = ckks_ciphertext_basis(in);
    if (basis != nn_result_basis(params))
        return fhola_fail(FHOLA_LEVEL, "this is %s, not a result",
                          basis == client->basis ? "an encrypted picture" : "something else");
    double scale = ckks_ciphertext_scale(in), wanted = nn_result_scale(params);
    if (!(fabs(scale / wanted - 1) <= SCALE_TOLERANCE))
        return fhola_fail(FHOLA_SCALE, "the result says its scale is %.9g, not %.9g", scale,
                          wanted);
    return FHOLA_OK;
}

/* A shrunk ciphertext has at least 8 coefficients, of 4 slots. */
#define LEAST_PERIOD 4u

ckks_shrunk nn_result_shrunk(const ckks_params *params, size_t rows, unsigned pictures, bool packed)
{
    size_t most = rows * (pictures ? pictures : 1), period = packed ? most : rows;
    if (most < LEAST_PERIOD) most = LEAST_PERIOD;
    return (ckks_shrunk){ckks_shrunk_log_degree(params, nn_result_basis(params), most),
                         period < LEAST_PERIOD ? LEAST_PERIOD : period};
}

fhola_status nn_sent_result_check(const ckks_params *params, const nn_client *client,
                                  const ckks_ciphertext *in)
{
    FHOLA_TRY(nn_result_check(params, client, in));
    const ckks_shrunk is = ckks_ciphertext_shrunk(in),
                      wanted = nn_result_shrunk(params, client->rows, nn_client_pictures(client),
                                                ckks_ciphertext_label(in) != 0);
    if (is.period == wanted.period && is.log_degree == wanted.log_degree) return FHOLA_OK;
    if (!is.period) return fhola_fail(FHOLA_FORMAT, "the result is not shrunk");
    return fhola_fail(FHOLA_FORMAT,
                      "the result has %zu slots in a ring of degree 2^%u, not %zu in one of 2^%u",
                      is.period, is.log_degree, wanted.period, wanted.log_degree);
}

static fhola_status copy_names(nn_client *client, const char *const *class_name, size_t classes)
{
    client->class_name = calloc(classes, sizeof *client->class_name);
    if (!client->class_name)
        return fhola_fail(FHOLA_NOMEM, "no memory for %zu class names", classes);
    client->classes = classes;
    for (size_t i = 0; i < classes; i++) {
        size_t bytes = strlen(class_name[i]) + 1;
        client->class_name[i] = malloc(bytes);
        if (!client->class_name[i])
            return fhola_fail(FHOLA_NOMEM, "no memory for the name of class %zu", i);
        memcpy(client->class_name[i], class_name[i], bytes);
    }
    return FHOLA_OK;
}

fhola_status nn_client_init(nn_client *client, const ckks_context *context,
                            const char *const *class_name, size_t classes,
                            const ckks_key_list *keys)
{
    *client = (nn_client){0};
    fhola_status status = copy_names(client, class_name, classes);
    for (size_t i = 0; status == FHOLA_OK && i < keys->count; i++)
        status = ckks_key_list_add(&client->keys, context, keys->request[i]);
    if (status != FHOLA_OK) nn_client_clear(client);
    return status;
}

void nn_client_clear(nn_client *client)
{
    for (size_t i = 0; client->class_name && i < client->classes; i++) free(client->class_name[i]);
    free(client->class_name);
    ckks_key_list_clear(&client->keys);
    *client = (nn_client){0};
}

nn_shape nn_client_shape(const nn_client *client)
{
    return client->input.shape;
}

unsigned nn_client_ciphertexts(const nn_client *client)
{
    return client->input.parts;
}

size_t nn_client_input_values(const nn_client *client)
{
    return client->input.period;
}

unsigned nn_client_pictures(const nn_client *client)
{
    return client->pictures ? client->pictures : 1;
}

size_t nn_client_classes(const nn_client *client)
{
    return client->classes;
}

const char *nn_client_class(const nn_client *client, size_t index)
{
    return client->class_name[index];
}

const ckks_key_list *nn_client_keys(const nn_client *client)
{
    return &client->keys;
}

void nn_encode_picture(ckks_complex *values, const nn_client *client, unsigned part,
                       const double *picture)
{
    nn_layout l = client->input;
    for (uint32_t s = 0; s < l.period; s++) {
        nn_place p;
        double v = 0;
        if (nn_layout_place(&p, l, part, s)) {
            double pixel = picture[(p.channel * l.shape.height + p.y) * l.shape.width + p.x];
            unsigned i = nn_normalised_by(l.shape.channels, p.channel);
            v = (pixel - client->mean[i]) / client->std[i] / client->input_bound;
        }
        values[s] = (ckks_complex){v, 0};
    }
}

static void wipe_free(void *memory, size_t bytes)
{
    ckks_wipe(memory, bytes);
    free(memory);
}

void nn_encrypted_destroy(ckks_ciphertext **picture)
{
    for (ckks_ciphertext **part = picture; part && *part; part++) ckks_ciphertext_destroy(*part);
    free(picture);
}

fhola_status nn_encrypted_create_count(ckks_ciphertext ***picture, const ckks_context *context,
                                       unsigned count)
{
    ckks_ciphertext **part = calloc((size_t)count + 1, sizeof *part);
    fhola_status status = FHOLA_OK;
    if (!part) return fhola_fail(FHOLA_NOMEM, "no memory for %u ciphertexts", count);
    for (unsigned k = 0; status == FHOLA_OK && k < count; k++)
        status = ckks_ciphertext_create(&part[k], context);
    if (status != FHOLA_OK)
        nn_encrypted_destroy(part);
    else
        *picture = part;
    return status;
}

fhola_status nn_encrypted_create(ckks_ciphertext ***picture, const ckks_context *context,
                                 const nn_client *client)
{
    return nn_encrypted_create_count(picture, context, nn_client_ciphertexts(client));
}

unsigned nn_encrypted_pictures(ckks_ciphertext *const picture[])
{
    return ckks_ciphertext_label(picture[0]);
}

/* RANGE unless every value is in [0, 1]. */
static fhola_status check_pixels(const double *picture, size_t pixels)
{
    unsigned misfits = 0;
    for (size_t i = 0; i < pixels; i++)
        misfits +=
            (unsigned)(!(picture[i] >= -ROUNDING)) | (unsigned)(!(picture[i] <= 1 + ROUNDING));
    ckks_declassify(&misfits, sizeof misfits); /* whether it is a picture */
    for (size_t i = 0; misfits && i < pixels; i++)
        if (!(picture[i] >= -ROUNDING && picture[i] <= 1 + ROUNDING))
            return fhola_fail(FHOLA_RANGE, "value %zu of the picture is %g, not in [0, 1]", i,
                              picture[i]);
    return FHOLA_OK;
}

fhola_status nn_encrypt_picture(const ckks_context *context, ckks_workspace *workspace,
                                ckks_ciphertext *const out[], const nn_client *client,
                                const double *picture, const ckks_secret_key *secret, ckks_rng *rng)
{
    size_t count = client->input.period;
    ckks_plaintext *plain = NULL;
    fhola_status status = check_pixels(picture, nn_shape_values(client->input.shape));
    if (status != FHOLA_OK) return status;
    ckks_complex *values = malloc(count * sizeof *values);
    if (!values) return fhola_fail(FHOLA_NOMEM, "no memory for the %zu values of a picture", count);
    status = ckks_plaintext_create(&plain, context);
    for (unsigned k = 0; status == FHOLA_OK && k < client->input.parts; k++) {
        nn_encode_picture(values, client, k, picture);
        status =
            ckks_encode(context, workspace, plain, values, count, client->scale, client->basis);
        if (status == FHOLA_OK)
            status = ckks_encrypt(context, workspace, out[k], plain, secret, rng);
    }
    ckks_plaintext_destroy(plain);
    wipe_free(values, count * sizeof *values);
    return status;
}

/* ---- several pictures at once ---- */

nn_packing nn_client_packing(const nn_client *client, const ckks_context *context)
{
    return nn_layout_packing(client->input, nn_client_pictures(client), ckks_slots(context));
}

double nn_packed_scale(const nn_client *client, nn_packing packing)
{
    return client->scale / (double)packing.side;
}

static fhola_status check_pack(const nn_client *client, const double *const picture[], size_t count)
{
    if (nn_client_pictures(client) < 2)
        return fhola_fail(FHOLA_PARAM,
                          "the network computes one picture at a time: none is packed");
    if (count < 1 || count > nn_client_pictures(client))
        return fhola_fail(FHOLA_PARAM, "%zu pictures to pack, the network takes 1 to %u at a time",
                          count, nn_client_pictures(client));
    for (size_t p = 0; p < count; p++)
        FHOLA_TRY(check_pixels(picture[p], nn_shape_values(client->input.shape)));
    return FHOLA_OK;
}

/* Vector `index` of all: values[s] = x_s + i y_s. `room`: as many values. */
static void encode_couple(ckks_complex *values, const nn_client *client, unsigned index,
                          const double *const picture[], size_t count, ckks_complex *room)
{
    unsigned first = index / client->input.parts * 2, part = index % client->input.parts;
    nn_encode_picture(values, client, part, picture[first < count ? first : 0]);
    nn_encode_picture(room, client, part, picture[first + 1 < count ? first + 1 : 0]);
    for (size_t s = 0; s < client->input.period; s++) values[s].im = room[s].re;
}

/* What encrypting a pack works with. */
typedef struct pack {
    nn_packing packing;
    ckks_complex *values; /* of a ciphertext, and one more vector */
    ckks_plaintext *plain;
} pack;

/* Ciphertext k of the pack, encoded. Places beyond the last vector stay 0. */
static fhola_status encode_pack(const ckks_context *context, ckks_workspace *workspace,
                                const pack *p, const nn_client *client, unsigned k,
                                const double *const picture[], size_t count)
{
    const nn_packing n = p->packing;
    ckks_complex *room = p->values + n.side * n.period;
    for (size_t i = 0; i < n.side; i++) {
        size_t index = k * n.side + i;
        ckks_complex *values = p->values + i * n.period;
        if (index < n.vectors)
            encode_couple(values, client, (unsigned)index, picture, count, room);
        else
            memset(values, 0, n.period * sizeof *values);
    }
    return ckks_encode_interleaved(context, workspace, p->plain, p->values,
                                   (ckks_interleaving){n.period, n.side},
                                   nn_packed_scale(client, n), client->basis);
}

fhola_status nn_encrypt_pack(const ckks_context *context, ckks_workspace *workspace,
                             ckks_ciphertext ***out, const nn_client *client,
                             const double *const picture[], size_t count,
                             const ckks_secret_key *secret, ckks_rng *rng)
{
    FHOLA_TRY(check_pack(client, picture, count));
    pack p = {.packing = nn_client_packing(client, context)};
    size_t room = (p.packing.side + 1) * p.packing.period;
    ckks_ciphertext **result = NULL;
    p.values = malloc(room * sizeof *p.values);
    if (!p.values) return fhola_fail(FHOLA_NOMEM, "no memory for the %zu values of a pack", room);
    fhola_status status = ckks_plaintext_create(&p.plain, context);
    if (status == FHOLA_OK)
        status = nn_encrypted_create_count(&result, context, p.packing.ciphertexts);
    for (unsigned k = 0; status == FHOLA_OK && k < p.packing.ciphertexts; k++) {
        status = encode_pack(context, workspace, &p, client, k, picture, count);
        if (status == FHOLA_OK)
            status = ckks_encrypt(context, workspace, result[k], p.plain, secret, rng);
        if (status == FHOLA_OK) status = ckks_ciphertext_set_label(result[k], (uint32_t)count);
    }
    ckks_plaintext_destroy(p.plain);
    wipe_free(p.values, room * sizeof *p.values);
    if (status != FHOLA_OK)
        nn_encrypted_destroy(result);
    else
        *out = result;
    return status;
}

/* ---- results ---- */

ckks_interleaving nn_client_results(const nn_client *client)
{
    return (ckks_interleaving){client->rows, nn_client_pictures(client)};
}

fhola_status nn_result_take(const ckks_context *context, ckks_workspace *workspace,
                            ckks_ciphertext *out, const nn_client *client,
                            const ckks_ciphertext *in, size_t index)
{
    uint32_t pictures = ckks_ciphertext_label(in);
    if (index >= pictures || pictures > nn_client_pictures(client))
        return fhola_fail(FHOLA_PARAM, "result %zu of %u that are packed", index,
                          (unsigned)pictures);
    FHOLA_TRY(nn_result_check(ckks_context_params(context), client, in));
    return ckks_interleaved_at(context, workspace, out, in, index, nn_client_results(client));
}

/* That of one picture. */
static fhola_status check_single(const ckks_context *context, const nn_client *client,
                                 const ckks_ciphertext *in)
{
    FHOLA_TRY(nn_result_check(ckks_context_params(context), client, in));
    return ckks_ciphertext_label(in)
               ? fhola_fail(FHOLA_PARAM, "the results of %u pictures are packed in one",
                            (unsigned)ckks_ciphertext_label(in))
               : FHOLA_OK;
}

/* A sound result is real and zero in the rows without a class. Modulo q0 a coefficient beyond its
 * half comes back on the other side, which moves every slot by 2 NN_SCORE_BOUND in some direction
 * of the plane; what was encrypted under another key decrypts to values as large in all of them. */
static fhola_status check_result(const nn_client *client, const ckks_complex *values, double room)
{
    unsigned misfits = 0;
    for (size_t k = 0; k < client->rows; k++)
        misfits += (unsigned)(!(fabs(values[k].im) <= room)) |
                   ((unsigned)(!(fabs(values[k].re) <= room)) & (unsigned)(k >= client->classes));
    ckks_declassify(&misfits, sizeof misfits); /* whether decryption fails */
    if (!misfits) return FHOLA_OK;
    double worst = 0;
    for (size_t k = 0; k < client->rows; k++) {
        worst = fmax(worst, fabs(values[k].im));
        if (k >= client->classes) worst = fmax(worst, fabs(values[k].re));
    }
    return fhola_fail(FHOLA_RANGE,
                      "the result is not readable: its scores are beyond %.0f, or it was computed "
                      "under another key (%.3g where 0 belongs)",
                      NN_SCORE_BOUND, worst);
}

/* The result repeats with period `rows`; noise does not, so the mean over the copies has less of
 * it. */
static void average_copies(ckks_complex *mean, size_t rows, const ckks_complex *values,
                           size_t slots)
{
    for (size_t k = 0; k < rows; k++) {
        ckks_complex sum = {0, 0};
        for (size_t s = k; s < slots; s += rows) {
            sum.re += values[s].re;
            sum.im += values[s].im;
        }
        mean[k] = (ckks_complex){sum.re / (double)(slots / rows), sum.im / (double)(slots / rows)};
    }
}

fhola_status nn_decrypt_scores(const ckks_context *context, ckks_workspace *workspace,
                               double *scores, const nn_client *client, const ckks_ciphertext *in,
                               const ckks_secret_key *secret)
{
    size_t slots = ckks_slots(context), bytes = (slots + client->rows) * sizeof(ckks_complex);
    fhola_status status = check_single(context, client, in);
    if (status != FHOLA_OK) return status;
    ckks_complex *values = malloc(bytes);
    if (!values) return fhola_fail(FHOLA_NOMEM, "no memory for %zu decrypted slots", slots);
    status = ckks_decrypt(context, workspace, values, slots, in, secret);
    ckks_complex *mean = values + slots;
    if (status == FHOLA_OK) {
        average_copies(mean, client->rows, values, slots);
        status = check_result(client, mean, NN_UNSOUND * NN_SCORE_BOUND);
    }
    for (size_t k = 0; status == FHOLA_OK && k < client->classes; k++) scores[k] = mean[k].re;
    wipe_free(values, bytes);
    return status;
}

/* A score is the real part of one of `rows` slots, which share 2 rows coefficients: noise of
 * deviation d on each coefficient is noise of sqrt(rows) d / scale on a score. The scale is the
 * one that follows from the parameters: with one that a ciphertext names, whoever made it would say
 * how much noise there is. */
fhola_status nn_decrypt_scores_flooded(const ckks_context *context, ckks_workspace *workspace,
                                       double *scores, const nn_client *client,
                                       const ckks_ciphertext *in, const ckks_secret_key *secret,
                                       double deviation, ckks_rng *rng)
{
    const ckks_params *params = ckks_context_params(context);
    fhola_status status = check_single(context, client, in);
    if (status != FHOLA_OK) return status;
    ckks_complex *values = malloc(client->rows * sizeof *values);
    if (!values) return fhola_fail(FHOLA_NOMEM, "no memory for %zu decrypted slots", client->rows);
    double coefficients = deviation * nn_result_scale(params) / sqrt((double)client->rows);
    status = ckks_decrypt_flooded(context, workspace, values, client->rows, in, secret,
                                  coefficients, rng);
    /* judged by what is handed out, the noise included: nothing else may depend on the error */
    if (status == FHOLA_OK)
        status = check_result(client, values, NN_UNSOUND * NN_SCORE_BOUND + 10 * deviation);
    for (size_t k = 0; status == FHOLA_OK && k < client->classes; k++) scores[k] = values[k].re;
    wipe_free(values, client->rows * sizeof *values);
    return status;
}

double nn_flood_deviation(const nn_client *client, double bits, double queries, double error)
{
    return sqrt((double)client->rows) * ckks_flood_deviation(bits, queries, error);
}
