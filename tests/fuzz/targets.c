/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* memfd_create */
#include "tests/fuzz/targets.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "ckks/ring/modular.h"
#include "ckks/scheme/container.h"
#include "ckks/scheme/params.h"
#include "nn/cmd/cmd.h"
#include "nn/cmd/data.h"
#include "nn/cmd/onnx/onnx.h"
#include "nn/graph/picture.h"
#include "nn/party/artifact.h"
#include "nn/planner/cost.h"
#include "nn/planner/plan.h"
#include "nn/planner/profile.h"

/* Not assert: NDEBUG does not silence it. */
static void promise(int kept, const char *what)
{
    if (kept) return;
    fprintf(stderr, "broken promise: %s (%s)\n", what, fhola_detail());
    abort();
}

/* A failure says why, with a status that fits data that may be anything. */
static int outcome(fhola_status st)
{
    if (st) promise(fhola_detail()[0] != 0, "a failure has a message");
    promise(st != FHOLA_IO, "bytes in memory can be read");
    return st == FHOLA_OK;
}

/* ---- JSON ---- */

/* What was accepted is written, and read back equal: text, then structure, then the same text. */
#define ROUND_TRIP(type, parse, format, release)                                                   \
    static int run_##type(const uint8_t *bytes, size_t length)                                     \
    {                                                                                              \
        struct nn_##type *first = NULL, *second = NULL;                                            \
        char *once = NULL, *again = NULL;                                                          \
        size_t once_length = 0, again_length = 0;                                                  \
        fhola_status st = parse(&first, (const char *)bytes, length, "fuzz");                      \
        if (!outcome(st)) return 0;                                                                \
        promise(format(&once, &once_length, first) == FHOLA_OK, #type ": can be written");         \
        promise(parse(&second, once, once_length, "fuzz") == FHOLA_OK,                             \
                #type ": can be read back");                                                       \
        promise(format(&again, &again_length, second) == FHOLA_OK,                                 \
                #type ": can be written again");                                                   \
        promise(once_length == again_length && !memcmp(once, again, once_length),                  \
                #type ": comes back the same");                                                    \
        free(once);                                                                                \
        free(again);                                                                               \
        release(first);                                                                            \
        release(second);                                                                           \
        return 1;                                                                                  \
    }

ROUND_TRIP(plan, nn_plan_parse, nn_plan_format, nn_plan_free)
ROUND_TRIP(profile, nn_profile_parse, nn_profile_format, nn_profile_free)

static int run_cost(const uint8_t *bytes, size_t length)
{
    nn_cost *cost = NULL;
    fhola_status st = nn_cost_parse(&cost, (const char *)bytes, length, "fuzz");
    nn_cost_free(cost);
    return outcome(st);
}

/* ---- readers that want a path ---- */

typedef struct memory_file {
    int descriptor;
    char path[32];
} memory_file;

static memory_file memory_file_open(const uint8_t *bytes, size_t length)
{
    memory_file f;
    f.descriptor = memfd_create("fuzz", 0);
    if (f.descriptor < 0 || write(f.descriptor, bytes, length) != (ssize_t)length) abort();
    snprintf(f.path, sizeof f.path, "/proc/self/fd/%d", f.descriptor);
    return f;
}

static int run_safetensors(const uint8_t *bytes, size_t length)
{
    static const double mean[3] = {0.5, 0.5, 0.5}, std[3] = {0.25, 0.25, 0.25};
    const nn_model_options options = {.mean = mean, .std = std};
    memory_file f = memory_file_open(bytes, length);
    nn_model *model = NULL;
    fhola_status st = nn_model_load(&model, f.path, &options);
    nn_model_free(model);
    close(f.descriptor);
    return outcome(st);
}

static int run_picture_file(const uint8_t *bytes, size_t length)
{
    const nn_shape shape = {3, 32, 32};
    double *values = NULL;
    memory_file f = memory_file_open(bytes, length);
    fhola_status st = nn_cmd_read_picture(&values, shape, f.path, -1);
    close(f.descriptor);
    if (!outcome(st)) return 0;
    for (size_t i = 0; i < NN_PICTURE_VALUES; i++)
        promise(values[i] >= 0 && values[i] <= 1, "pixels are in [0, 1]");
    nn_cmd_free_picture(values, shape);
    return 1;
}

static int run_ppm(const uint8_t *bytes, size_t length)
{
    nn_image image = {0};
    fhola_status st = nn_image_decode_ppm(&image, bytes, length, "fuzz");
    free(image.pixels);
    return outcome(st);
}

typedef int byte_reader(const uint8_t *bytes, size_t length);

/* A file that begins as those of its kind do, whatever the bytes say. */
static int run_signed(const uint8_t *bytes, size_t length, const void *signature, size_t signs,
                      byte_reader *read)
{
    uint8_t *copy = calloc(1, length + signs);
    if (!copy) abort();
    if (length) memcpy(copy, bytes, length);
    if (length < signs) length = signs;
    memcpy(copy, signature, signs);
    int accepted = read(copy, length);
    free(copy);
    return accepted;
}

static int run_png(const uint8_t *bytes, size_t length)
{
    return run_signed(bytes, length, "\x89PNG\r\n\x1a\n", 8, run_picture_file);
}

static int run_jpeg(const uint8_t *bytes, size_t length)
{
    return run_signed(bytes, length, "\xff\xd8\xff", 3, run_picture_file);
}

/* ---- arrays ---- */

/* As records for a network that takes the shape. */
static void take_records(const nn_cmd_array *array, nn_shape shape)
{
    nn_batch *batch = NULL;
    double values[64];
    size_t count = array->rank ? array->dim[0] : 0;
    fhola_status st = count ? nn_cmd_array_batch(&batch, array, shape, 0, count, NULL) : FHOLA_OK;
    if (!outcome(st) || !count) return;
    promise(nn_batch_count(batch) == count, "all records are there");
    for (size_t i = 0; i < count; i++) {
        nn_batch_picture(batch, i, values);
        for (size_t k = 0; k < nn_cmd_values(shape); k++)
            promise(values[k] >= 0 && values[k] <= 1, "values are in [0, 1]");
    }
    nn_batch_free(batch);
}

static int run_array(const uint8_t *bytes, size_t length)
{
    nn_cmd_array array;
    if (!outcome(nn_cmd_decode_array(&array, bytes, length, "fuzz"))) return 0;
    promise(array.count <= length / array.size, "an array is within its file");
    for (size_t i = 0; i < array.count; i++) (void)nn_cmd_array_get(&array, i);
    take_records(&array, (nn_shape){1, 2, 3});
    take_records(&array, (nn_shape){3, 2, 3});
    take_records(&array, (nn_shape){6, 1, 1});
    return 1;
}

static int run_idx(const uint8_t *bytes, size_t length)
{
    return run_array(bytes, length);
}

static int run_npy(const uint8_t *bytes, size_t length)
{
    return run_signed(bytes, length, "\x93NUMPY", 6, run_array);
}

/* ---- networks of others ---- */

static int run_onnx(const uint8_t *bytes, size_t length)
{
#ifdef HAVE_ONNX
    const nn_shape said = {0, 0, 0};
    const nn_model_options options = {.batch_norm_eps = 0};
    nn_model *model = NULL;
    fhola_status st = nn_onnx_parse(&model, bytes, length, "fuzz", said, &options, NULL);
    nn_model_free(model);
    /* it may name files of weights, which are not there */
    return st != FHOLA_IO && outcome(st);
#else
    (void)bytes;
    (void)length;
    return 0;
#endif
}

/* ---- what may be accepted ---- */

/* Written apart from the library's own: ePrint 2024/463, table 5.2, from N = 2^10 on; and what the
 * ephemeral secret may live at. */
static double cap_of(unsigned log_n)
{
    static const double cap[] = {26, 53, 106, 214, 430, 868, 1747, 3523};
    return log_n >= 10 && log_n <= 17 ? cap[log_n - 10] : 0;
}

static double ephemeral_cap_of(unsigned log_n)
{
    return log_n < 15 ? 0 : log_n == 15 ? 84 : 121;
}

/* Parameters that were accepted: primes that are such, the ephemeral secret only with
 * bootstrapping, and, unless they are marked, below every bound. */
static void promise_safe_params(const ckks_params *p)
{
    const ckks_params_spec *s = ckks_params_get_spec(p);
    unsigned chain = ckks_params_chain(p), all = chain + ckks_params_special(p);
    uint64_t step = (uint64_t)2 << s->log_n;
    double bits = 0;
    promise(all <= CKKS_MAX_PRIMES && all >= 3, "3 to 64 primes");
    for (unsigned i = 0; i < all; i++) {
        uint64_t x = ckks_params_prime(p, i);
        promise(ckks_is_prime(x) && x % step == 1, "primes are 1 modulo 2N");
        for (unsigned j = 0; j < i; j++) promise(ckks_params_prime(p, j) != x, "primes differ");
        bits += log2((double)x);
    }
    int boots = s->stc_levels && s->eval_mod_levels && s->cts_levels;
    promise(boots || !(s->stc_levels | s->eval_mod_levels | s->cts_levels), "all levels or none");
    promise(boots ? s->hamming_weight && s->hamming_weight <= 1u << (s->log_n - 1)
                  : !s->hamming_weight,
            "an ephemeral secret exactly where there is bootstrapping");
    if (s->insecure) return;
    promise(bits <= cap_of(s->log_n), "log2(QP) is within the cap");
    if (!boots) return;
    double ephemeral =
        log2((double)ckks_params_prime(p, 0)) + log2((double)ckks_params_prime(p, chain));
    promise(s->hamming_weight >= 32, "an ephemeral secret of weight 32 or more");
    promise(ephemeral <= ephemeral_cap_of(s->log_n), "q0 p0 is within its cap");
}

static void promise_safe_list(const ckks_key_list *list, const ckks_params *p)
{
    const ckks_params_spec *s = ckks_params_get_spec(p);
    unsigned chain = ckks_params_chain(p);
    for (size_t i = 0; i < list->count; i++) {
        const ckks_key_request *r = &list->request[i];
        promise(r->kind >= 1 && r->kind <= 6, "known kinds of keys only");
        promise(r->q && !(r->q >> chain), "a key on primes of the chain");
        promise(r->p && !(r->p & ~ckks_basis_special(p)), "with special primes");
        if (r->kind == CKKS_KEY_SHRINK) {
            promise(r->rotation >= 3 && r->rotation <= s->log_n, "a small ring within the ring");
            promise(s->insecure || ckks_params_log2(p, r->q | r->p) <= cap_of(r->rotation),
                    "the small ring's secret is within its cap");
            continue;
        }
        bool rotates = r->kind == CKKS_KEY_ROTATE || r->kind == CKKS_KEY_SPARSE_TO_DENSE;
        promise(rotates ? r->rotation < 1u << (s->log_n - 1) : !r->rotation,
                "a rotation that there is");
        promise(r->kind != CKKS_KEY_ROTATE || r->rotation, "no key for no rotation");
        if (r->kind < CKKS_KEY_DENSE_TO_SPARSE) continue;
        promise(s->eval_mod_levels && s->hamming_weight, "the ephemeral secret bootstraps");
        promise(r->kind != CKKS_KEY_DENSE_TO_SPARSE ||
                    (r->q == 1 && r->p == (ckks_basis)1 << chain),
                "under the ephemeral secret nothing but q0 p0");
    }
}

/* A specification as files have it, then requests of keys of 24 bytes. */
static int run_safety(const uint8_t *bytes, size_t length)
{
    ckks_params_spec spec;
    ckks_params *params = NULL;
    ckks_key_request request[64];
    if (length < CKKS_SPEC_BYTES) return 0;
    ckks_spec_from_bytes(&spec, bytes);
    fhola_status st = ckks_params_create(&params, &spec);
    if (!outcome(st)) return 0;
    promise_safe_params(params);
    ckks_key_list list = {request, 0, 64};
    const uint8_t *at = bytes + CKKS_SPEC_BYTES;
    for (; list.count < 64 && (size_t)(bytes + length - at) >= 24; at += 24)
        request[list.count++] =
            (ckks_key_request){(ckks_key_kind)ckks_get32(at), ckks_get32(at + 4),
                               ckks_get64(at + 8), ckks_get64(at + 16)};
    st = ckks_key_list_check(&list, params);
    if (outcome(st)) promise_safe_list(&list, params);
    ckks_params_destroy(params);
    return st == FHOLA_OK;
}

/* ---- containers ---- */

ckks_params_spec fuzz_ring(void)
{
    return (ckks_params_spec){.log_n = 5,
                              .base_bits = 28,
                              .residual_levels = 2,
                              .residual_bits = 28,
                              .special_primes = 1,
                              .special_bits = 40,
                              .insecure = 1};
}

ckks_params_spec fuzz_picture_ring(void)
{
    ckks_params_spec spec = fuzz_ring();
    spec.log_n = 13;
    spec.residual_levels = 1;
    return spec;
}

/* The context for parameters that came with a container: one of two kept ones for the rings above,
 * a new one for rings up to 2^6, NULL for bigger ones, which take too long. `release` tells whether
 * it has to go. */
static ckks_context *context_for(const ckks_params *params, int *release)
{
    static ckks_context *kept[2];
    for (int i = 0; i < 2; i++) {
        if (!kept[i]) {
            const ckks_params_spec spec = i ? fuzz_picture_ring() : fuzz_ring();
            ckks_params *p = NULL;
            if (ckks_params_create(&p, &spec) || ckks_context_create(&kept[i], p, NULL)) abort();
            ckks_params_destroy(p);
        }
        *release = 0;
        if (ckks_params_hash(ckks_context_params(kept[i])) == ckks_params_hash(params))
            return kept[i];
    }
    ckks_context *context = NULL;
    *release = 1;
    if (ckks_params_get_spec(params)->log_n <= 6)
        (void)!ckks_context_create(&context, params, NULL);
    return context;
}

static fhola_status read_secret(const ckks_context *c, ckks_reader *r)
{
    ckks_secret_key *key = NULL;
    fhola_status st = ckks_secret_key_read(&key, c, r);
    ckks_secret_key_destroy(key);
    return st;
}

static fhola_status read_public(const ckks_context *c, ckks_reader *r)
{
    ckks_public_key *key = NULL;
    fhola_status st = ckks_public_key_read(&key, c, r);
    ckks_public_key_destroy(key);
    return st;
}

static fhola_status read_keys(const ckks_context *c, ckks_reader *r)
{
    ckks_eval_keys *keys = NULL;
    uint64_t network;
    fhola_status st = nn_network_id_read(&network, r);
    if (!st) st = ckks_eval_keys_read(&keys, c, r, NULL, NULL, NULL);
    ckks_eval_keys_destroy(keys);
    return st;
}

static fhola_status read_ciphertext(const ckks_context *c, ckks_reader *r)
{
    ckks_ciphertext *ct = NULL;
    uint64_t network;
    fhola_status st = nn_network_id_read(&network, r);
    if (!st) st = ckks_ciphertext_create(&ct, c);
    if (!st) st = ckks_ciphertext_read(ct, c, r);
    ckks_ciphertext_destroy(ct);
    return st;
}

static fhola_status read_client(const ckks_context *c, ckks_reader *r)
{
    nn_description description = {0};
    nn_client client = {0};
    fhola_status st = nn_description_read(&description, &client, c, r);
    if (!st) promise_safe_list(&client.keys, ckks_context_params(c));
    nn_client_clear(&client);
    nn_description_clear(&description);
    return st;
}

static fhola_status read_network(const ckks_context *c, ckks_reader *r)
{
    nn_model *model = NULL;
    nn_plan *plan = NULL;
    (void)c;
    fhola_status st = nn_model_read(&model, r);
    if (!st) st = nn_plan_read(&plan, model, r);
    nn_model_free(model);
    nn_plan_free(plan);
    return st;
}

typedef fhola_status object_reader(const ckks_context *context, ckks_reader *reader);

static int read_container(const uint8_t *bytes, size_t length, ckks_file_kind kind,
                          object_reader *read)
{
    ckks_reader *r = NULL;
    ckks_context *context = NULL;
    int release = 0;
    if (length == 0) return 0; /* which fmemopen may refuse */
    FILE *stream = fmemopen((void *)(uintptr_t)bytes, length, "rb");
    if (!stream || ckks_reader_create(&r, stream, "fuzz")) abort();
    ckks_reader_allow_insecure(r);
    fhola_status st = ckks_reader_begin(r, NULL, kind, NULL, 0);
    if (!st) promise_safe_params(ckks_reader_params(r));
    if (!st) context = context_for(ckks_reader_params(r), &release);
    if (!st && context) st = read(context, r);
    if (!st && context) st = ckks_reader_finish(r);
    int accepted = outcome(st) && context;
    if (release) ckks_context_destroy(context);
    ckks_reader_destroy(r);
    fclose(stream);
    return accepted;
}

/* Makes the hash of the parameters and all checksums right, as far as the container has the shape
 * of one: without that nothing behind a checksum would ever be reached. */
static void repair(unsigned char *b, size_t length)
{
    if (length < CKKS_HEAD_BYTES) return;
    size_t first = CKKS_HEAD_BYTES + CKKS_CHUNK_HEAD_BYTES;
    if (length >= first + CKKS_SPEC_BYTES &&
        ckks_get64(b + CKKS_HEAD_BYTES + 8) == CKKS_SPEC_BYTES) {
        ckks_params_spec spec;
        ckks_params *params = NULL;
        ckks_spec_from_bytes(&spec, b + first);
        if (ckks_params_create(&params, &spec) == FHOLA_OK)
            ckks_put64(b + 16, ckks_params_hash(params));
        ckks_params_destroy(params);
    }
    ckks_put64(b + 32, XXH3_64bits(b, 32));
    for (size_t at = CKKS_HEAD_BYTES; length - at >= CKKS_CHUNK_HEAD_BYTES;) {
        unsigned char *content = b + at + CKKS_CHUNK_HEAD_BYTES;
        uint64_t size = ckks_get64(b + at + 8);
        int whole = size <= length - at - CKKS_CHUNK_HEAD_BYTES;
        if (whole) ckks_put64(b + at + 16, XXH3_64bits(content, (size_t)size));
        ckks_put64(b + at + 24, XXH3_64bits(b + at, 24));
        if (!whole) return;
        at += CKKS_CHUNK_HEAD_BYTES + (size_t)size;
    }
}

/* As it is, and repaired. */
static int run_container(const uint8_t *bytes, size_t length, ckks_file_kind kind,
                         object_reader *read)
{
    int accepted = read_container(bytes, length, kind, read);
    unsigned char *copy = malloc(length + 1);
    if (!copy) abort();
    if (length) memcpy(copy, bytes, length);
    repair(copy, length);
    accepted |= read_container(copy, length, kind, read);
    free(copy);
    return accepted;
}

#define CONTAINER(name, kind)                                                                      \
    static int run_##name(const uint8_t *bytes, size_t length)                                     \
    {                                                                                              \
        return run_container(bytes, length, kind, read_##name);                                    \
    }

CONTAINER(secret, CKKS_FILE_SECRET_KEY)
CONTAINER(public, CKKS_FILE_PUBLIC_KEY)
CONTAINER(keys, CKKS_FILE_EVAL_KEYS)
CONTAINER(ciphertext, CKKS_FILE_CIPHERTEXT)
CONTAINER(client, CKKS_FILE_CLIENT)
CONTAINER(network, CKKS_FILE_NETWORK)

/* ---- the list ---- */

/* One line per target: the script that runs them reads it here. */
const fuzz_target fuzz_targets[] = {
    {"ciphertext", run_ciphertext},
    {"client", run_client},
    {"cost", run_cost},
    {"idx", run_idx},
    {"jpeg", run_jpeg},
    {"keys", run_keys},
    {"network", run_network},
    {"npy", run_npy},
    {"onnx", run_onnx},
    {"plan", run_plan},
    {"png", run_png},
    {"ppm", run_ppm},
    {"profile", run_profile},
    {"public", run_public},
    {"safetensors", run_safetensors},
    {"safety", run_safety},
    {"secret", run_secret},
};
const size_t fuzz_target_count = sizeof fuzz_targets / sizeof fuzz_targets[0];

const fuzz_target *fuzz_find(const char *name)
{
    for (size_t i = 0; i < fuzz_target_count; i++)
        if (!strcmp(fuzz_targets[i].name, name)) return &fuzz_targets[i];
    return NULL;
}
