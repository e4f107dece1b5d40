/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* open_memstream */
#include "tests/fuzz/seeds.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef HAVE_PNG
#include <png.h>
#endif
#ifdef HAVE_JPEG
#include <jpeglib.h>
#endif

#include "ckks/scheme/container.h"
#include "nn/party/artifact.h"
#include "nn/planner/plan.h"
#include "nn/planner/profile.h"
#include "tests/fuzz/targets.h"
#include "tests/small_network.h"
#include "tests/small_onnx.h"

typedef struct sower {
    void (*take)(void *user, const char *target, const void *bytes, size_t length, int accepted);
    void *user;
} sower;

static void must(fhola_status st)
{
    if (st == FHOLA_OK) return;
    fprintf(stderr, "a seed cannot be made: %s: %s\n", fhola_strerror(st), fhola_detail());
    abort();
}

static void give(const sower *s, const char *target, const void *bytes, size_t length, int accepted)
{
    s->take(s->user, target, bytes, length, accepted);
}

static void give_text(const sower *s, const char *target, const char *text, int accepted)
{
    give(s, target, text, strlen(text), accepted);
}

/* ---- containers ---- */

typedef struct world {
    ckks_params *params;
    ckks_context *context;
    ckks_workspace *ws;
    ckks_rng *rng;
    ckks_secret_key *secret;
    ckks_basis chain, special;
} world;

static world world_open(ckks_params_spec spec)
{
    static const uint8_t seed[32] = "the seed of the seeds of fuzzing";
    world w;
    must(ckks_params_create(&w.params, &spec));
    must(ckks_context_create(&w.context, w.params, NULL));
    must(ckks_workspace_create(&w.ws, w.context));
    must(ckks_rng_create_seeded(&w.rng, seed));
    must(ckks_secret_key_create(&w.secret, w.context, w.rng));
    w.chain = ckks_basis_chain(w.params);
    w.special = ckks_basis_special(w.params);
    return w;
}

static void world_close(world *w)
{
    ckks_secret_key_destroy(w->secret);
    ckks_rng_destroy(w->rng);
    ckks_workspace_destroy(w->ws);
    ckks_context_destroy(w->context);
    ckks_params_destroy(w->params);
}

/* A container in memory. */
typedef struct output {
    ckks_writer *writer;
    FILE *stream;
    char *bytes;
    size_t length;
} output;

static void output_open(output *o, ckks_file_kind kind, const world *w)
{
    o->bytes = NULL;
    o->stream = open_memstream(&o->bytes, &o->length);
    if (!o->stream) abort();
    must(ckks_writer_create(&o->writer, o->stream, "seed"));
    must(ckks_writer_begin(o->writer, kind, w->params, 77));
}

static void output_close(output *o, const sower *s, const char *target)
{
    must(ckks_writer_end(o->writer));
    must(ckks_writer_commit(o->writer));
    ckks_writer_destroy(o->writer);
    fclose(o->stream);
    give(s, target, o->bytes, o->length, 1);
    /* Cut short: what is at the end of long ones is within reach of short mutations. */
    give(s, target, o->bytes, o->length / 2, 0);
    free(o->bytes);
}

static ckks_key_list some_keys(const world *w)
{
    ckks_key_list list = {0};
    must(ckks_key_list_add(&list, w->context,
                           (ckks_key_request){CKKS_KEY_RELINEARIZE, 0, w->chain, w->special}));
    must(ckks_key_list_add(&list, w->context,
                           (ckks_key_request){CKKS_KEY_ROTATE, 3, 1, w->special}));
    must(ckks_key_list_add(&list, w->context,
                           (ckks_key_request){CKKS_KEY_CONJUGATE, 0, 1, w->special}));
    return list;
}

static void sow_keys(const sower *s, const world *w)
{
    output o;
    output_open(&o, CKKS_FILE_SECRET_KEY, w);
    must(ckks_secret_key_write(o.writer, w->secret));
    output_close(&o, s, "secret");

    ckks_public_key *pk = NULL;
    must(ckks_public_key_create(&pk, w->context, w->secret, w->chain, w->rng));
    output_open(&o, CKKS_FILE_PUBLIC_KEY, w);
    must(ckks_public_key_write(o.writer, pk));
    output_close(&o, s, "public");
    ckks_public_key_destroy(pk);

    ckks_key_list list = some_keys(w);
    output_open(&o, CKKS_FILE_EVAL_KEYS, w);
    must(nn_network_id_write(o.writer, 42));
    must(ckks_eval_keys_generate(o.writer, w->context, w->secret, &list, w->rng, NULL, NULL));
    output_close(&o, s, "keys");
    ckks_key_list_clear(&list);
}

static void sow_ciphertext(const sower *s, const world *w, const ckks_ciphertext *ct)
{
    output o;
    output_open(&o, CKKS_FILE_CIPHERTEXT, w);
    must(nn_network_id_write(o.writer, 42));
    must(ckks_ciphertext_write(o.writer, ct));
    output_close(&o, s, "ciphertext");
}

/* Fresh, with a seed in place of the second polynomial; and what a result looks like: both, over
 * the lowest prime. */
static void sow_ciphertexts(const sower *s, const world *w)
{
    const ckks_complex one = {1, 0};
    ckks_plaintext *plain = NULL;
    ckks_ciphertext *ct = NULL;
    must(ckks_plaintext_create(&plain, w->context));
    must(ckks_ciphertext_create(&ct, w->context));
    must(ckks_encode(w->context, w->ws, plain, &one, 1, 0x1p20, w->chain));
    must(ckks_encrypt(w->context, w->ws, ct, plain, w->secret, w->rng));
    sow_ciphertext(s, w, ct);
    must(ckks_add(w->context, ct, ct, ct));
    must(ckks_drop(w->context, ct, ct, 1));
    sow_ciphertext(s, w, ct);
    ckks_ciphertext_destroy(ct);
    ckks_plaintext_destroy(plain);
}

static void sow_client(const sower *s, const world *w)
{
    static const char *const names[] = {"cat", "dog", "ship"};
    ckks_key_list list = some_keys(w);
    nn_client client;
    nn_description description;
    output o;
    const double mean[3] = {0.5, 0.5, 0.5}, std[3] = {0.25, 0.25, 0.25};
    nn_layout input;
    must(nn_layout_fresh(&input, (nn_shape){3, 32, 32}, NN_MAX_SLOTS, "input"));
    must(nn_client_init(&client, w->context, names, 3, &list));
    memcpy(client.mean, mean, sizeof mean);
    memcpy(client.std, std, sizeof std);
    client.input = input;
    client.input_bound = 2;
    client.basis = w->chain;
    client.scale = 0x1p28;
    client.rows = 16;
    must(nn_description_make(&description, &client, w->params, 99));
    output_open(&o, CKKS_FILE_CLIENT, w);
    must(nn_description_write(o.writer, &description));
    output_close(&o, s, "client");
    nn_description_clear(&description);
    nn_client_clear(&client);
    ckks_key_list_clear(&list);
}

/* ---- parameters and lists of keys ---- */

/* A specification, and requests: those a network makes, then `more`. */
static void give_safety(const sower *s, const ckks_params_spec *spec, const ckks_key_request *more,
                        int accepted)
{
    unsigned char bytes[CKKS_SPEC_BYTES + 3 * 24];
    ckks_basis q = 3, p = (ckks_basis)1 << (1 + spec->stc_levels + spec->residual_levels +
                                            spec->eval_mod_levels + spec->cts_levels);
    const ckks_key_request request[3] = {
        {CKKS_KEY_RELINEARIZE, 0, q, p * 3}, {CKKS_KEY_ROTATE, 1, 1, p * 3}, *more};
    ckks_spec_to_bytes(bytes, spec);
    for (int i = 0; i < 3; i++) {
        unsigned char *at = bytes + CKKS_SPEC_BYTES + 24 * i;
        ckks_put32(at, (uint32_t)request[i].kind);
        ckks_put32(at + 4, request[i].rotation);
        ckks_put64(at + 8, request[i].q);
        ckks_put64(at + 16, request[i].p);
    }
    give(s, "safety", bytes, sizeof bytes, accepted);
}

static void sow_safety(const sower *s)
{
    static const unsigned weight[] = {1, 5, 31};
    ckks_params_spec boot, plain = {.log_n = 12,
                                    .base_bits = 20,
                                    .residual_levels = 1,
                                    .residual_bits = 20,
                                    .special_primes = 2,
                                    .special_bits = 30};
    must(ckks_params_spec_named(&boot, "R15"));
    const ckks_key_request conjugate = {CKKS_KEY_CONJUGATE, 0, 1, (ckks_basis)1 << 19},
                           down = {CKKS_KEY_DENSE_TO_SPARSE, 0, 1, (ckks_basis)1 << 19},
                           higher = {CKKS_KEY_DENSE_TO_SPARSE, 0, 3, (ckks_basis)1 << 19},
                           up = {CKKS_KEY_SPARSE_TO_DENSE, 0, 3, (ckks_basis)1 << 19},
                           plain_down = {CKKS_KEY_DENSE_TO_SPARSE, 0, 1, 4},
                           plain_rotate = {CKKS_KEY_ROTATE, 5, 1, 4},
                           shrink = {CKKS_KEY_SHRINK, 12, 3, (ckks_basis)1 << 19},
                           shrink_more = {CKKS_KEY_SHRINK, 11, 3, (ckks_basis)1 << 19};
    give_safety(s, &boot, &conjugate, 1);
    give_safety(s, &boot, &down, 1);
    give_safety(s, &boot, &up, 1);
    give_safety(s, &boot, &higher, 0);
    give_safety(s, &boot, &shrink, 1);
    give_safety(s, &boot, &shrink_more, 0);
    give_safety(s, &plain, &plain_rotate, 1);
    give_safety(s, &plain, &plain_down, 0);
    for (size_t i = 0; i < 3; i++) {
        plain.hamming_weight = boot.hamming_weight = weight[i];
        give_safety(s, &plain, &plain_down, 0);
        give_safety(s, &boot, &down, 0);
    }
}

/* ---- networks and their files ---- */

/* Every kind of map, of bias and of function, in few bytes. */
static void make_tiny(small_network *n)
{
    static const double x[] = {-2, 0, 1}, y[] = {0, 0.25, 3};
    const nn_activation_spec elu = {.kind = "elu", .a = 0.7},
                             table = {.kind = "table", .count = 3, .x = x, .y = y};
    const nn_pool_spec pool = {
        .kernel_y = 2, .kernel_x = 2, .stride_y = 2, .stride_x = 2, .pad_top = 1, .pad_left = 1};
    const double shift[8] = {1, 0, -1, 0.5};
    nn_tensor t;
    small_begin(n, (nn_shape){1, 4, 2}, 5);
    nn_graph *graph = n->model.graph;
    must(nn_graph_affine_full(graph, &t, "shift", 0, NULL, shift));
    must(nn_graph_activation(graph, &t, "elu", small_conv(n, t, 2, 3, 1), &elu));
    must(nn_graph_average_pool(graph, &t, "pool", t, &pool));
    must(nn_graph_activation(graph, &t, "table", t, &table));
    small_end(n, small_dense(n, t, 3));
}

static void sow_network(const sower *s, const world *w)
{
    small_network n;
    output o;
    make_tiny(&n);
    output_open(&o, CKKS_FILE_NETWORK, w);
    must(nn_model_write(o.writer, &n.model));
    must(nn_plan_write(o.writer, &n.plan));
    output_close(&o, s, "network");
    small_network_clear(&n);
}

static void sow_plan(const sower *s)
{
    double centre[2] = {0.5, -0.25}, half_width[2] = {3, 1e-3},
           coeff[8] = {1, 2, 3, 4, 0.1, -1e300, 5e-324, 0};
    nn_activation a[2] = {
        {.degree = 3,
         .channels = 2,
         .centre = centre,
         .half_width = half_width,
         .coeff = coeff,
         .max_w = 1.5},
        {.degree = 1, .channels = 1, .centre = centre, .half_width = half_width, .coeff = coeff}};
    nn_plan plan = {.model_hash = 0x0123456789abcdef, .eps = 0.125, .count = 2, .activations = a};
    char *text = NULL;
    size_t length = 0;
    must(nn_plan_format(&text, &length, &plan));
    give(s, "plan", text, length, 1);
    free(text);
    give_text(s, "plan",
              "{\"format\": \"fhola-plan\", \"version\": 1, \"model_hash\": \"00\", "
              "\"\\u00e4\\ud834\\udd1e\": [null, true, []]}",
              0);
}

static void sow_profile(const sower *s)
{
    static double one[1] = {0.5}, low[1] = {-1}, high[1] = {2}, histogram[NN_PROFILE_BINS];
    nn_profile_layer layer = {.channels = 1,
                              .min = low,
                              .max = high,
                              .mean = one,
                              .deviation = one,
                              .importance = one,
                              .histogram = histogram};
    struct nn_profile profile = {.model_hash = 7,
                                 .eps = 0.125,
                                 .pictures = 3,
                                 .score_square = 1,
                                 .count = 1,
                                 .layers = &layer};
    char *text = NULL;
    size_t length = 0;
    for (size_t i = 0; i < NN_PROFILE_BINS; i++) histogram[i] = 1;
    for (size_t i = 0; i < NN_PROFILE_LAYER_BINS; i++) layer.layer_histogram[i] = 1;
    must(nn_profile_format(&text, &length, &profile));
    give(s, "profile", text, length, 1);
    free(text);
}

static void sow_cost(const sower *s)
{
    give_text(s, "cost",
              "{\"format\": \"fhola-cost\", \"version\": 1, \"machine\": \"2 cores\", \"threads\": "
              "2, \"estimated\": true,\n"
              " \"sets\": [{\"params\": \"R15\", \"degrees\": [3, 7], \"fixed_seconds\": 0.1, "
              "\"stages\": [\n"
              "  {\"channels\": 16, \"change_seconds\": -0.02, \"seconds\": [0.265, 0.28]},\n"
              "  {\"channels\": 32, \"change_seconds\": 0.05, \"seconds\": [0.25, 0.264]},\n"
              "  {\"channels\": 64, \"change_seconds\": 0.08, \"seconds\": [0.245, 0.258]}]}]}\n",
              1);
}

/* The first tensors of a network, and the types of numbers. */
static void sow_safetensors(const sower *s)
{
    static const char header[] =
        "{\"__metadata__\": {\"mean\": \"[0.5, 0.5, 0.5]\", \"classes\": \"[\\\"cat\\\", "
        "\\\"dog\\\"]\", \"test_accuracy\": \"90.5\"},"
        "\"conv1.weight\": {\"dtype\": \"F16\", \"shape\": [16, 3, 3, 3], \"data_offsets\": [0, "
        "864]},"
        "\"bn1.weight\": {\"dtype\": \"BF16\", \"shape\": [16], \"data_offsets\": [864, 896]},"
        "\"bn1.bias\": {\"dtype\": \"F32\", \"shape\": [16], \"data_offsets\": [896, 960]},"
        "\"bn1.num_batches_tracked\": {\"dtype\": \"I64\", \"shape\": [], \"data_offsets\": [960, "
        "968]}}";
    static unsigned char file[8 + sizeof header - 1 + 968];
    size_t length = sizeof header - 1;
    for (unsigned i = 0; i < 8; i++) file[i] = (unsigned char)((uint64_t)length >> (8 * i));
    memcpy(file + 8, header, length);
    for (size_t i = 0; i < 968; i++) file[8 + length + i] = (unsigned char)(i % 56);
    give(s, "safetensors", file, sizeof file, 0);
}

/* ---- pictures ---- */

static void sow_pictures(const sower *s)
{
    static const unsigned char pixels[48] = {0, 255, 1, 254, 2};
    char ppm[64];
    int head = snprintf(ppm, sizeof ppm, "P6\n# a comment\n4 3\n255\n");
    unsigned char binary[64 + 36];
    memcpy(binary, ppm, (size_t)head);
    memcpy(binary + head, pixels, 36);
    give(s, "ppm", binary, (size_t)head + 36, 1);
    head = snprintf(ppm, sizeof ppm, "P6 2 2 65535\n");
    memcpy(binary, ppm, (size_t)head);
    memcpy(binary + head, pixels, 24);
    give(s, "ppm", binary, (size_t)head + 24, 1);
    give_text(s, "ppm", "P3 2 2 7 # seven\n0 1 2  3 4 5\n6 7 0 1 2 3\n", 1);
#ifdef HAVE_PNG
    static const png_uint_32 format[] = {PNG_FORMAT_RGB, PNG_FORMAT_RGBA, PNG_FORMAT_GRAY};
    for (size_t i = 0; i < 3; i++) {
        png_image image;
        unsigned char file[4096];
        png_alloc_size_t length = sizeof file;
        memset(&image, 0, sizeof image);
        image.version = PNG_IMAGE_VERSION;
        image.width = 4;
        image.height = 3;
        image.format = format[i];
        if (!png_image_write_to_memory(&image, file, &length, 0, pixels, 0, NULL)) abort();
        give(s, "png", file, length, 1);
    }
#endif
}

#ifdef HAVE_JPEG
static void sow_jpeg(const sower *s)
{
    for (unsigned i = 0; i < 3; i++) {
        struct jpeg_compress_struct jpeg;
        struct jpeg_error_mgr errors;
        unsigned char *bytes = NULL, row[48] = {0, 255, 1, 254, 2};
        unsigned long length = 0;
        JSAMPROW rows[] = {row};
        jpeg.err = jpeg_std_error(&errors);
        jpeg_create_compress(&jpeg);
        jpeg_mem_dest(&jpeg, &bytes, &length);
        jpeg.image_width = jpeg.image_height = 16;
        jpeg.input_components = i ? 3 : 1;
        jpeg.in_color_space = i ? JCS_RGB : JCS_GRAYSCALE;
        jpeg_set_defaults(&jpeg);
        if (i == 2) jpeg_simple_progression(&jpeg);
        jpeg_start_compress(&jpeg, TRUE);
        for (unsigned y = 0; y < 16; y++) (void)jpeg_write_scanlines(&jpeg, rows, 1);
        jpeg_finish_compress(&jpeg);
        jpeg_destroy_compress(&jpeg);
        give(s, "jpeg", bytes, length, 1);
        free(bytes);
    }
}
#endif

/* ---- arrays and networks of others ---- */

static void sow_arrays(const sower *s)
{
    static const char *const headers[] = {
        "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 2, 3), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 3), }",
        "{'descr': '<i8', 'fortran_order': False, 'shape': (3,), }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1, 1, 6), }",
    };
    static const size_t lengths[] = {12, 12, 24, 48};
    for (size_t i = 0; i < 4; i++) {
        unsigned char file[256] = "\x93NUMPY\1";
        size_t header = strlen(headers[i]), at = i == 3 ? 12 : 10;
        file[6] = i == 3 ? 2 : 1;
        file[8] = (unsigned char)header;
        memcpy(file + at, headers[i], header);
        give(s, "npy", file, at + header + lengths[i], 1);
    }
    static const unsigned char idx[] = {0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0,
                                        2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6},
                               labels[] = {0, 0, 8, 1, 0, 0, 0, 2, 7, 8};
    give(s, "idx", idx, sizeof idx, 1);
    give(s, "idx", labels, sizeof labels, 1);
}

static void sow_onnx(const sower *s)
{
    for (unsigned channels = 1; channels <= 3; channels += 2) {
        onnx_bytes file = small_onnx(channels, 4, 2);
        give(s, "onnx", file.at, file.length, 1);
        free(file.at);
    }
}

void fuzz_seeds(void (*take)(void *user, const char *target, const void *bytes, size_t length,
                             int accepted),
                void *user)
{
    const sower s = {take, user};
    world small = world_open(fuzz_ring()), wide = world_open(fuzz_picture_ring());
    sow_keys(&s, &small);
    sow_ciphertexts(&s, &small);
    sow_client(&s, &wide);
    sow_network(&s, &small);
    world_close(&small);
    world_close(&wide);
    sow_safety(&s);
    sow_plan(&s);
    sow_profile(&s);
    sow_cost(&s);
    sow_safetensors(&s);
    sow_pictures(&s);
#ifdef HAVE_JPEG
    sow_jpeg(&s);
#endif
    sow_arrays(&s);
    sow_onnx(&s);
}
