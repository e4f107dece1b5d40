/* SPDX-License-Identifier: Apache-2.0 */
/* Client files, compiled networks, and the two parties: what is written comes back, what does not
 * belong together is refused, and scores travel from a picture to its owner through files only. */
#include "tests/container_support.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include "nn/encrypted/schedule.h"
#include "nn/nn.h"
#include "nn/party/artifact.h"
#include "tests/small_network.h"

/* ---- a client by hand ---- */

static ring small_ring(void)
{
    ckks_params_spec spec = flat_spec(13, 28, 2, 28); /* 4096 slots: room for a picture */
    ring r;
    ring_open(&r, &spec, NULL);
    return r;
}

static nn_client some_client(const ring *r, size_t classes)
{
    static const char *const names[] = {"cat", "dog", "a \"quoted\" name", "\xc3\xa4pfel", ""};
    ckks_key_list keys = {0};
    nn_client c;
    ck_assert_ok(ckks_key_list_add(&keys, r->context,
                                   (ckks_key_request){CKKS_KEY_ROTATE, 5, r->chain, r->special}));
    ck_assert_ok(ckks_key_list_add(&keys, r->context,
                                   (ckks_key_request){CKKS_KEY_CONJUGATE, 0, 1, r->special}));
    const double mean[3] = {0.4, 0.41, 0.42}, std[3] = {0.2, 0.21, 0.22};
    nn_layout input;
    ck_assert_ok(nn_layout_fresh(&input, (nn_shape){3, 32, 32}, NN_MAX_SLOTS, "input"));
    ck_assert_ok(nn_client_init(&c, r->context, names, classes, &keys));
    memcpy(c.mean, mean, sizeof mean);
    memcpy(c.std, std, sizeof std);
    c.input = input;
    ckks_key_list_clear(&keys);
    c.input_bound = nn_input_bound(3, mean, std);
    c.basis = r->chain;
    c.scale = 0x1p28;
    c.rows = 16;
    return c;
}

static bytes client_bytes(const ring *r, const nn_client *client)
{
    memory_writer m;
    nn_description d;
    ck_assert_ok(nn_description_make(&d, client, r->params, 99));
    memory_open(&m);
    ck_assert_ok(ckks_writer_begin(m.writer, CKKS_FILE_CLIENT, r->params, 0));
    ck_assert_ok(nn_description_write(m.writer, &d));
    ck_assert_ok(ckks_writer_end(m.writer));
    nn_description_clear(&d);
    return memory_close(&m);
}

static fhola_status read_client(const ring *r, bytes b, nn_client *client, nn_description *d)
{
    limited s;
    FILE *stream;
    ckks_reader *reader = bytes_reader(b, &s, &stream);
    *client = (nn_client){0};
    *d = (nn_description){0};
    fhola_status st = ckks_reader_begin(reader, NULL, CKKS_FILE_CLIENT, r->context, 0);
    if (!st) st = nn_description_read(d, client, r->context, reader);
    if (!st) st = ckks_reader_finish(reader);
    if (st) {
        nn_client_clear(client);
        nn_description_clear(d);
    }
    ckks_reader_destroy(reader);
    fclose(stream);
    return st;
}

START_TEST(client_round_trip)
{
    test_seed(31);
    ring r = small_ring();
    nn_client c = some_client(&r, 5), back;
    nn_description d, e;
    bytes b = client_bytes(&r, &c);
    ck_assert_ok(read_client(&r, b, &back, &d));
    ck_assert_mem_eq(back.mean, c.mean, sizeof c.mean);
    ck_assert_mem_eq(back.std, c.std, sizeof c.std);
    ck_assert_double_eq(back.input_bound, c.input_bound);
    ck_assert_double_eq(back.scale, c.scale);
    ck_assert_uint_eq(back.basis, c.basis);
    ck_assert_uint_eq(back.rows, c.rows);
    ck_assert(nn_layout_equal(back.input, c.input));
    ck_assert_uint_eq(back.classes, c.classes);
    for (size_t i = 0; i < c.classes; i++) ck_assert_str_eq(back.class_name[i], c.class_name[i]);
    ck_assert_uint_eq(back.keys.count, c.keys.count);
    for (size_t i = 0; i < c.keys.count; i++) {
        const ckks_key_request *x = &back.keys.request[i], *y = &c.keys.request[i];
        ck_assert(x->kind == y->kind && x->rotation == y->rotation && x->q == y->q && x->p == y->p);
    }
    /* the id depends on the weights and on everything in the description */
    ck_assert_ok(nn_description_make(&e, &back, r.params, 99));
    ck_assert_uint_eq(e.network, d.network);
    nn_description_clear(&e);
    ck_assert_ok(nn_description_make(&e, &back, r.params, 98));
    ck_assert_uint_ne(e.network, d.network);
    nn_description_clear(&e);
    back.scale *= 2;
    ck_assert_ok(nn_description_make(&e, &back, r.params, 99));
    ck_assert_uint_ne(e.network, d.network);
    nn_description_clear(&e);
    ck_assert_uint_eq(nn_client_pictures(&back), 1);
    nn_description_clear(&d);
    nn_client_clear(&back);
    nn_client_clear(&c);
    free(b.data);
    ring_close(&r);
}
END_TEST

START_TEST(client_of_batches)
{
    test_seed(40);
    ring r = small_ring();
    nn_client c = some_client(&r, 5), back;
    nn_description d;
    for (c.pictures = 1; c.pictures <= 16; c.pictures++) {
        bool can_be = c.pictures == 1 || c.pictures == 2 || c.pictures == 4 || c.pictures == 8;
        bytes b = client_bytes(&r, &c);
        fhola_status status = read_client(&r, b, &back, &d);
        ck_assert_int_eq(status, can_be ? FHOLA_OK : FHOLA_FORMAT);
        if (can_be) {
            ck_assert_uint_eq(nn_client_pictures(&back), c.pictures);
            nn_description_clear(&d);
            nn_client_clear(&back);
        }
        free(b.data);
    }
    nn_client_clear(&c);
    ring_close(&r);
}
END_TEST

START_TEST(client_damage)
{
    test_seed(32);
    ring r = small_ring();
    nn_client c = some_client(&r, 3), back;
    nn_description d;
    bytes b = client_bytes(&r, &c);
    size_t length = b.length;
    for (size_t i = 0; i < length; i++) {
        b.data[i] ^= 0x10;
        ck_assert_fails(read_client(&r, b, &back, &d), FHOLA_FORMAT);
        b.data[i] ^= 0x10;
    }
    for (b.length = 0; b.length < length; b.length++)
        ck_assert_fails(read_client(&r, b, &back, &d), FHOLA_FORMAT);
    nn_client_clear(&c);
    free(b.data);
    ring_close(&r);
}
END_TEST

/* Offsets in the chunk of a client. */
enum {
    AT_PARAMS = 0,
    AT_BOUND = 16,
    AT_SCALE = 24,
    AT_BASIS = 32,
    AT_CHANNELS = 40,
    AT_HEIGHT = 44,
    AT_WIDTH = 48,
    AT_MEAN = 52,
    AT_STD = 76,
    AT_ROWS = 100,
    AT_CLASSES = 104,
    AT_NAMES = 108
};

static void refuse_client(const ring *r, bytes b, const char *text)
{
    nn_client back;
    nn_description d;
    fix_chunk(b, 1);
    ck_assert_fails(read_client(r, b, &back, &d), FHOLA_FORMAT);
    ck_assert_detail(text);
}

START_TEST(bad_clients)
{
    test_seed(33);
    ring r = small_ring();
    nn_client c = some_client(&r, 3);
    bytes good = client_bytes(&r, &c), b = bytes_copy(good);
    unsigned char *at = chunk_content(b, 1);
    const struct {
        unsigned offset;
        double value;
        const char *text;
    } real[] = {{AT_MEAN, (double)NAN, "no normalisation"},
                {AT_STD, 0, "no normalisation"},
                {AT_STD + 8, -1, "no normalisation"},
                {AT_STD + 16, (double)INFINITY, "no normalisation"},
                {AT_BOUND, 0, "bound 0 is not positive"},
                {AT_BOUND, -2, "not positive"},
                {AT_SCALE, (double)NAN, "is not positive"},
                {AT_SCALE, 0x1p-1060, "is not positive"}};
    for (size_t i = 0; i < sizeof real / sizeof real[0]; i++) {
        ckks_put_double(at + real[i].offset, real[i].value);
        refuse_client(&r, b, real[i].text);
        memcpy(b.data, good.data, b.length);
    }
    const struct {
        unsigned offset;
        uint32_t value;
        const char *text;
    } whole[] = {{AT_PARAMS, 1, "other parameters"},
                 {AT_BASIS, 0, "primes none does not fit"},
                 {AT_BASIS, 0xff, "does not fit"},
                 {AT_CHANNELS, 0, "0 x 32 x 32"},
                 {AT_CHANNELS, 1025, "1025 x 32 x 32"},
                 {AT_CHANNELS, 0xffffffff, "4294967295 x 32 x 32"},
                 {AT_HEIGHT, 256, "a channel of 256 x 32 values"},
                 {AT_WIDTH, 0x10000, "3 x 32 x 65536"},
                 {AT_ROWS, 0, "0 rows"},
                 {AT_ROWS, 15, "15 rows"},
                 {AT_ROWS, 2, "2 rows"},
                 {AT_ROWS, 32, "32 rows of scores for 3 classes"},
                 {AT_ROWS, 1u << 30, "rows of scores"},
                 {AT_CLASSES, 0, "0 classes"},
                 {AT_CLASSES, 1, "1 classes"},
                 {AT_CLASSES, 1001, "rows of scores"},
                 {AT_CLASSES, 4, "'CLNT'"},
                 {AT_CLASSES, 2, "chunk 1 'CLNT' at byte 296: "},
                 {AT_NAMES, 256, "has 256 bytes"},
                 {AT_NAMES, 0xffffffff, "bytes, more than 255"},
                 {AT_NAMES, 200, "too short"}};
    for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++) {
        ckks_put32(at + whole[i].offset, whole[i].value);
        refuse_client(&r, b, whole[i].text);
        memcpy(b.data, good.data, b.length);
    }
    memcpy(at + AT_NAMES + 4, "\x1b[m", 3);
    refuse_client(&r, b, "the name of class 0 has control characters");
    memcpy(b.data, good.data, b.length);
    size_t length = (size_t)ckks_get64(b.data + chunk_at(b, 0, 1) + 8), count = length - 2 * 24 - 4;
    ck_assert_uint_eq(ckks_get32(at + count), 2);
    static const uint32_t counts[] = {0, 1, 3, 4097, 0xffffffff};
    for (size_t i = 0; i < 5; i++) {
        ckks_put32(at + count, counts[i]);
        refuse_client(&r, b,
                      counts[i] > 4096 ? "keys are more than 4096"
                      : counts[i] == 3 ? "too short"
                                       : "too many");
    }
    nn_client_clear(&c);
    free(b.data);
    free(good.data);
    ring_close(&r);
}
END_TEST

/* ---- models and plans ---- */

static bytes network_bytes(const ring *r, const nn_model *model, const nn_plan *plan)
{
    memory_writer m;
    memory_open(&m);
    ck_assert_ok(ckks_writer_begin(m.writer, CKKS_FILE_NETWORK, r->params, 0));
    ck_assert_ok(nn_model_write(m.writer, model));
    ck_assert_ok(nn_plan_write(m.writer, plan));
    ck_assert_ok(ckks_writer_end(m.writer));
    return memory_close(&m);
}

static fhola_status read_network(bytes b, nn_model **model, nn_plan **plan)
{
    limited s;
    FILE *stream;
    ckks_reader *reader = bytes_reader(b, &s, &stream);
    *model = NULL;
    *plan = NULL;
    fhola_status st = ckks_reader_begin(reader, NULL, CKKS_FILE_NETWORK, NULL, 0);
    if (!st) st = nn_model_read(model, reader);
    if (!st) st = nn_plan_read(plan, *model, reader);
    if (!st) st = ckks_reader_finish(reader);
    if (st) {
        nn_model_free(*model);
        nn_plan_free(*plan);
    }
    ckks_reader_destroy(reader);
    fclose(stream);
    return st;
}

static void same_doubles(const double *a, const double *b, size_t count)
{
    ck_assert_mem_eq(a, b, count * sizeof *a);
}

static void same_map(const nn_map *a, const nn_map *b)
{
    ck_assert_int_eq((int)a->kind, (int)b->kind);
    ck_assert(nn_shape_equal(a->in, b->in) && nn_shape_equal(a->out, b->out));
    if (a->kind == NN_MAP_CONVOLUTION) {
        const nn_convolution *x = &a->convolution, *y = &b->convolution;
        ck_assert_mem_eq(x, y, offsetof(nn_convolution, pad_x) + sizeof x->pad_x);
        same_doubles(x->weight, y->weight, nn_convolution_weights(x));
        return;
    }
    size_t rows = nn_shape_values(a->out), entries = a->sparse.row[rows];
    ck_assert_mem_eq(a->sparse.row, b->sparse.row, (rows + 1) * sizeof *a->sparse.row);
    ck_assert_mem_eq(a->sparse.column, b->sparse.column, entries * sizeof *a->sparse.column);
    same_doubles(a->sparse.weight, b->sparse.weight, entries);
}

static void same_node(const nn_node *a, const nn_node *b)
{
    ck_assert_str_eq(a->name, b->name);
    ck_assert(nn_shape_equal(a->shape, b->shape));
    ck_assert_uint_eq(a->edge_count, b->edge_count);
    for (size_t e = 0; e < a->edge_count; e++) {
        ck_assert_uint_eq(a->edges[e].node, b->edges[e].node);
        same_map(&a->edges[e].map, &b->edges[e].map);
    }
    ck_assert_int_eq(a->full_bias, b->full_bias);
    if (a->edge_count)
        same_doubles(a->bias, b->bias,
                     a->full_bias ? nn_shape_values(a->shape) : a->shape.channels);
    const ola_function *f = &a->function, *g = &b->function;
    ck_assert_int_eq((int)f->kind, (int)g->kind);
    ck_assert(f->a == g->a && f->b == g->b);
    if (f->kind != OLA_TABLE) return;
    ck_assert_uint_eq(f->count, g->count);
    same_doubles(f->x, g->x, f->count);
    same_doubles(f->y, g->y, f->count);
}

static void same_plan(const nn_plan *a, const nn_plan *b)
{
    ck_assert_uint_eq(a->count, b->count);
    ck_assert_double_eq(a->eps, b->eps);
    for (size_t i = 0; i < a->count; i++) {
        const nn_activation *x = &a->activations[i], *y = &b->activations[i];
        ck_assert(x->degree == y->degree && x->channels == y->channels);
        same_doubles(x->centre, y->centre, x->channels);
        same_doubles(x->half_width, y->half_width, x->channels);
        same_doubles(x->coeff, y->coeff, (size_t)(x->degree + 1) * x->channels);
    }
}

/* Sparse maps (pooling that leaves out the padding), biases of the full shape, functions with
 * parameters and tables. */
static void make_motley(small_network *n, uint64_t seed)
{
    static const double x[] = {-2, 0, 1}, y[] = {0, 0.25, 3};
    const nn_activation_spec elu = {.kind = "elu", .a = 0.7},
                             table = {.kind = "table", .count = 3, .x = x, .y = y};
    const nn_pool_spec pool = {.kernel_y = 3,
                               .kernel_x = 3,
                               .stride_y = 2,
                               .stride_x = 2,
                               .pad_top = 1,
                               .pad_left = 1,
                               .pad_bottom = 1,
                               .pad_right = 1};
    nn_tensor t;
    small_begin(n, (nn_shape){2, 12, 9}, seed);
    nn_graph *graph = n->model.graph;
    double *shift = small_vector(n, 2 * 12 * 9, 1);
    ck_assert_ok(nn_graph_affine_full(graph, &t, "shift", 0, NULL, shift));
    ck_assert_ok(nn_graph_activation(graph, &t, "elu", small_conv(n, t, 4, 3, 1), &elu));
    ck_assert_ok(nn_graph_average_pool(graph, &t, "pool", t, &pool));
    ck_assert_ok(nn_graph_activation(graph, &t, "table", t, &table));
    small_end(n, small_dense(n, t, 7));
    free(shift);
}

static void make_some(small_network *n, int which)
{
    if (which == 4)
        make_motley(n, random_word());
    else
        small_network_init(n, 1 + (unsigned)which / 2, 7, which % 2, random_word());
}

START_TEST(network_round_trip)
{
    test_seed(34);
    ring r = small_ring();
    small_network s;
    nn_model *m;
    nn_plan *p;
    make_some(&s, _i);
    if (_i % 2) s.model.test_accuracy = (double)NAN;
    bytes b = network_bytes(&r, &s.model, &s.plan);
    ck_assert_ok(read_network(b, &m, &p));
    ck_assert_uint_eq(m->classes, 7);
    ck_assert_uint_eq(m->hash, s.model.hash);
    same_doubles(m->mean, s.model.mean, 3);
    same_doubles(m->std, s.model.std, 3);
    ck_assert(_i % 2 ? isnan(m->test_accuracy) : m->test_accuracy == 50);
    ck_assert_uint_eq(m->graph->count, s.model.graph->count);
    for (size_t i = 0; i < m->graph->count; i++)
        same_node(&m->graph->nodes[i], &s.model.graph->nodes[i]);
    for (unsigned i = 0; i < 7; i++) ck_assert_str_eq(m->class_names[i], s.model.class_names[i]);
    same_plan(p, &s.plan);
    nn_model_free(m);
    nn_plan_free(p);
    free(b.data);
    small_network_clear(&s);
    ring_close(&r);
}
END_TEST

static void refuse_network(bytes b, unsigned chunk, const char *text)
{
    nn_model *m;
    nn_plan *p;
    fix_chunk(b, chunk);
    ck_assert_fails(read_network(b, &m, &p), FHOLA_FORMAT);
    ck_assert_detail(text);
}

/* The number of the first chunk with this tag from chunk `first` on. */
static unsigned find_chunk(bytes b, unsigned first, const char *tag)
{
    while (memcmp(b.data + chunk_at(b, 0, first), tag, 4) != 0) first++;
    return first;
}

/* The chunk of a model: hash, accuracy, then these. */
enum { AT_INPUT = 16, AT_MODEL_MEAN = 28, AT_NODES = 76, AT_MODEL_CLASSES = 80 };

START_TEST(bad_models)
{
    test_seed(35);
    ring r = small_ring();
    small_network s;
    small_network_init(&s, 1, 10, 0, 1);
    bytes good = network_bytes(&r, &s.model, &s.plan), b = bytes_copy(good);
    unsigned char *at = chunk_content(b, 1);
    static const struct {
        unsigned offset;
        uint32_t value;
        const char *text;
    } whole[] = {{AT_INPUT, 0, "a tensor of 0 x 32 x 32"},
                 {AT_INPUT, 0x10000000, "a tensor of"},
                 {AT_INPUT + 4, 0xffffffff, "a tensor of"},
                 {AT_INPUT, 2, "does not fit its tensors"},
                 {AT_NODES, 2, "2 nodes"},
                 {AT_NODES, 4097, "4097 nodes"},
                 {AT_NODES, 0xffffffff, "nodes are not"},
                 {AT_NODES, 8, "the last node does not give 10 scores"},
                 {AT_NODES, 10, "chunk 'NODE' must come here"},
                 {AT_MODEL_CLASSES, 1, "1 classes"},
                 {AT_MODEL_CLASSES, 0xffffffff, "classes are not"},
                 {AT_MODEL_CLASSES, 9, "too many"},
                 {AT_MODEL_CLASSES, 11, "too short"}};
    for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++) {
        ckks_put32(at + whole[i].offset, whole[i].value);
        refuse_network(b, 1, whole[i].text);
        memcpy(b.data, good.data, b.length);
    }
    ckks_put_double(at + AT_MODEL_MEAN, (double)INFINITY);
    refuse_network(b, 1, "no normalisation");
    free(b.data);
    free(good.data);
    small_network_clear(&s);
    ring_close(&r);
}
END_TEST

/* The chunk of the first node: a name, then these. */
enum {
    AT_SHAPE = 0,
    AT_FULL_BIAS = 12,
    AT_FUNCTION = 16, /* length and "relu" */
    AT_POINTS = 40,
    AT_EDGES = 44,
    AT_FROM = 48,
    AT_KIND = 52,
    AT_GEOMETRY = 56 /* 13 numbers: first and number of channels twice, groups, kernel, ... */
};

START_TEST(bad_nodes)
{
    test_seed(37);
    ring r = small_ring();
    small_network s;
    small_network_init(&s, 1, 10, 0, 1);
    bytes good = network_bytes(&r, &s.model, &s.plan), b = bytes_copy(good);
    unsigned char *at = chunk_content(b, 2);
    at += 4 + ckks_get32(at);
    ck_assert_mem_eq(at + AT_FUNCTION + 4, "relu", 4);
    static const struct {
        unsigned offset;
        uint32_t value;
        const char *text;
    } whole[] = {{AT_SHAPE, 0, "a tensor of 0 x 32 x 32"},
                 {AT_SHAPE, 15, "does not fit its tensors"},
                 {AT_SHAPE + 8, 0x80000000, "a tensor of"},
                 {AT_FULL_BIAS, 2, "unknown kind of bias"},
                 {AT_FULL_BIAS, 1, "the length is 128"},
                 {AT_FUNCTION, 3, "\"rel\" is no function"},
                 {AT_POINTS, 5, "\"relu\" is no function"},
                 {AT_EDGES, 0, "reads 0 nodes"},
                 {AT_EDGES, 7, "reads 7 nodes"},
                 {AT_EDGES, 2, "chunk 2 'NODE'"},
                 {AT_FROM, 1, "reads node 1 out of order"},
                 {AT_FROM, 0xffffffff, "out of order"},
                 {AT_KIND, 2, "unknown kind 2"},
                 {AT_KIND, 1, "are too many"},
                 {AT_GEOMETRY, 1, "does not fit"},
                 {AT_GEOMETRY, 0xffffffff, "does not fit"},
                 {AT_GEOMETRY + 4, 0, "does not fit"},
                 {AT_GEOMETRY + 4, 2, "the length is"},
                 {AT_GEOMETRY + 8, 1, "does not fit"},
                 {AT_GEOMETRY + 12, 17, "does not fit"},
                 {AT_GEOMETRY + 16, 0, "does not fit"},
                 {AT_GEOMETRY + 16, 2, "does not fit"},
                 {AT_GEOMETRY + 20, 0, "does not fit"},
                 {AT_GEOMETRY + 20, 1u << 20, "does not fit"},
                 {AT_GEOMETRY + 24, 0xffffffff, "does not fit"},
                 {AT_GEOMETRY + 28, 0, "does not fit"},
                 {AT_GEOMETRY + 32, 1u << 20, "does not fit"},
                 {AT_GEOMETRY + 36, 0, "does not fit"},
                 {AT_GEOMETRY + 40, 1u << 24, "does not fit"},
                 {AT_GEOMETRY + 44, 0x80000000, "does not fit"},
                 {AT_GEOMETRY + 48, 0x7fffffff, "does not fit"}};
    for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++) {
        ckks_put32(at + whole[i].offset, whole[i].value);
        refuse_network(b, 2, whole[i].text);
        memcpy(b.data, good.data, b.length);
    }
    memcpy(at + AT_FUNCTION + 4, "rulu", 4);
    refuse_network(b, 2, "\"rulu\" is no function");
    memcpy(b.data, good.data, b.length);
    at[-1] = 7;
    refuse_network(b, 2, "the name of a node has control characters");
    free(b.data);
    free(good.data);
    small_network_clear(&s);
    ring_close(&r);
}
END_TEST

START_TEST(bad_numbers)
{
    test_seed(38);
    ring r = small_ring();
    small_network s;
    make_motley(&s, 1);
    bytes good = network_bytes(&r, &s.model, &s.plan), b = bytes_copy(good);
    unsigned weights = find_chunk(b, 0, "WGHT"), entries = find_chunk(b, 0, "SPRS");
    ckks_put_double(chunk_content(b, weights) + 8, (double)NAN);
    refuse_network(b, weights, "value 1 is not finite");
    memcpy(b.data, good.data, b.length);
    unsigned char *at = chunk_content(b, entries);
    static const struct {
        unsigned offset;
        uint32_t value;
    } whole[] = {{0, 1}, {0, 0xffffffff}, {4, 0xffff}, {16, 9999}, {20, 0}, {12, 0x7ff00000}};
    for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++) {
        ckks_put32(at + whole[i].offset, whole[i].value);
        refuse_network(b, entries, "is out of place or not finite");
        memcpy(b.data, good.data, b.length);
    }
    free(b.data);
    free(good.data);
    small_network_clear(&s);
    ring_close(&r);
}
END_TEST

/* The plan, and damage anywhere. */
START_TEST(bad_networks)
{
    test_seed(39);
    ring r = small_ring();
    small_network s;
    nn_model *m;
    nn_plan *p;
    small_network_init(&s, 1, 10, 0, 1);
    bytes good = network_bytes(&r, &s.model, &s.plan), b = bytes_copy(good);
    unsigned last = find_chunk(b, 0, "PLAN");
    char *plan = (char *)chunk_content(b, last), *hash = strstr(plan, "000000000000002a");
    ck_assert_ptr_nonnull(hash);
    hash[15] = 'b';
    refuse_network(b, last, "the plan is for another model");
    hash[15] = '?';
    refuse_network(b, last, "'PLAN' at byte");
    memcpy(b.data, good.data, b.length);
    for (b.length = 0; b.length < good.length; b.length += b.length < 800 ? 1 : 4999)
        ck_assert_fails(read_network(b, &m, &p), FHOLA_FORMAT);
    b.length = good.length;
    for (size_t i = 0; i < b.length; i += i < 800 ? 1 : 4999) {
        b.data[i] ^= 1;
        ck_assert_fails(read_network(b, &m, &p), FHOLA_FORMAT);
        b.data[i] ^= 1;
    }
    free(b.data);
    free(good.data);
    small_network_clear(&s);
    ring_close(&r);
}
END_TEST

/* ---- the two parties, at full size ---- */

static char folder[64];

static const char *in_folder(const char *name)
{
    static char path[6][160];
    static int turn;
    turn = (turn + 1) % 6;
    snprintf(path[turn], sizeof path[turn], "%s/%s", folder, name);
    return path[turn];
}

static void open_folder(void)
{
    snprintf(folder, sizeof folder, "/tmp/fhola-check-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void close_folder(void)
{
    char command[100];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    ck_assert_int_eq(system(command), 0);
}

static unsigned files_in_folder(void)
{
    unsigned n = 0;
    DIR *dir = opendir(folder);
    ck_assert_ptr_nonnull(dir);
    for (struct dirent *e; (e = readdir(dir));) n += e->d_name[0] != '.';
    closedir(dir);
    return n;
}

static double file_megabytes(const char *path)
{
    struct stat info;
    ck_assert_int_eq(stat(path, &info), 0);
    return (double)info.st_size / 1e6;
}

static void encrypt_to(nn_owner *owner, const char *path, const double *rgb, unsigned copies)
{
    ckks_writer *w;
    ck_assert_ok(ckks_writer_open(&w, path, 0));
    for (unsigned i = 0; i < copies; i++) ck_assert_ok(nn_owner_encrypt(owner, w, rgb));
    ck_assert_ok(ckks_writer_commit(w));
    ckks_writer_destroy(w);
}

/* Status of inference on the stream in a file; *done results have been appended to `to`. */
static fhola_status infer_from(nn_run *run, const nn_keys *keys, const char *from, const char *to,
                               unsigned *done)
{
    ckks_reader *in;
    ckks_writer *out;
    int more = 1;
    fhola_status st = FHOLA_OK;
    *done = 0;
    ck_assert_ok(ckks_reader_open(&in, from));
    ck_assert_ok(ckks_writer_open(&out, to, 0));
    while (!st && more) {
        st = nn_run_infer(run, out, keys, in, &more, NULL);
        *done += !st && more;
    }
    ck_assert_ok(ckks_writer_commit(out));
    ckks_writer_destroy(out);
    ckks_reader_destroy(in);
    return st;
}

static fhola_status decrypt_from(nn_owner *owner, const char *from, double *scores)
{
    ckks_reader *in;
    int more;
    ck_assert_ok(ckks_reader_open(&in, from));
    fhola_status st = nn_owner_decrypt(owner, scores, in, &more);
    ckks_reader_destroy(in);
    return st;
}

static int stop_at_once(void *arg, size_t done, size_t total)
{
    (void)arg;
    (void)total;
    return done == 1;
}

/* Multiplies the scale that a file of one result says it has. */
static void declare_scale(const char *path, double factor)
{
    static unsigned char data[1 << 20];
    FILE *f = fopen(path, "r+b");
    ck_assert_ptr_nonnull(f);
    bytes b = {data, fread(data, 1, sizeof data, f)};
    unsigned char *scale = chunk_content(b, 2) + 8;
    ckks_put_double(scale, factor * ckks_get_double(scale));
    fix_chunk(b, 2);
    rewind(f);
    ck_assert_uint_eq(fwrite(data, 1, b.length, f), b.length);
    ck_assert_int_eq(fclose(f), 0);
}

/* The first picture of a stream as one of two ciphertexts, twice the same. */
static void write_twice(const ckks_params *params, const char *from, const char *to)
{
    ckks_context *context;
    ckks_ciphertext *ct;
    ckks_reader *in;
    ckks_writer *out;
    uint64_t id;
    ck_assert_ok(ckks_context_create(&context, params, NULL));
    ck_assert_ok(ckks_ciphertext_create(&ct, context));
    ck_assert_ok(ckks_reader_open(&in, from));
    ck_assert_ok(ckks_reader_begin(in, NULL, CKKS_FILE_CIPHERTEXT, context, 0));
    ck_assert_ok(nn_network_id_read(&id, in));
    ck_assert_ok(ckks_ciphertext_read(ct, context, in));
    ck_assert_ok(ckks_writer_open(&out, to, 0));
    ck_assert_ok(ckks_writer_begin(out, CKKS_FILE_CIPHERTEXT, params, ckks_reader_head(in).key));
    ck_assert_ok(nn_network_id_write(out, id));
    for (int k = 0; k < 2; k++) ck_assert_ok(ckks_ciphertext_write(out, ct));
    ck_assert_ok(ckks_writer_end(out));
    ck_assert_ok(ckks_writer_commit(out));
    ckks_writer_destroy(out);
    ckks_reader_destroy(in);
    ckks_ciphertext_destroy(ct);
    ckks_context_destroy(context);
}

START_TEST(two_parties)
{
    test_seed(36);
    small_network s;
    ckks_params *params;
    nn_owner *owner, *other;
    nn_server *server;
    nn_keys *keys = NULL, *others = NULL;
    nn_run *run;
    double rgb[NN_PICTURE_VALUES], values[NN_PICTURE_VALUES], plain[10], scores[10];
    unsigned done;
    for (size_t i = 0; i < NN_PICTURE_VALUES; i++) rgb[i] = 0.5 + 0.5 * random_unit();
    small_network_init(&s, 1, 10, 0, 7);
    nn_picture_normalise(values, rgb, s.model.mean, s.model.std);
    direct_network(&s, plain, values, NULL, 1);
    ck_assert_ok(ckks_params_named(&params, "R15"));

    /* the server compiles, the owner makes keys */
    ck_assert_ok(
        nn_compiled_save(in_folder("n.fhola"), in_folder("n.client"), params, &s.model, &s.plan));
    ck_assert_ok(nn_owner_open_client(&owner, in_folder("n.client")));
    ck_assert_uint_eq(nn_owner_key(owner), 0);
    ck_assert_uint_eq(ckks_params_hash(nn_owner_params(owner)), ckks_params_hash(params));
    ck_assert_ok(nn_owner_set_threads(owner, 2));
    ck_assert_fails(nn_owner_set_threads(owner, CKKS_MAX_THREADS + 1), FHOLA_PARAM);
    ckks_writer *w;
    ck_assert_ok(ckks_writer_open(&w, in_folder("none"), 0));
    ck_assert_fails(nn_owner_encrypt(owner, w, rgb), FHOLA_KEY);
    ckks_writer_destroy(w);
    ck_assert_fails(
        nn_owner_generate(owner, in_folder("s.key"), in_folder("none/e.keys"), NULL, NULL),
        FHOLA_IO);
    ck_assert_fails(
        nn_owner_generate(owner, in_folder("s.key"), in_folder("e.keys"), stop_at_once, NULL),
        FHOLA_CANCELLED);
    ck_assert_uint_eq(files_in_folder(), 2); /* nothing is left of the failures */
    ck_assert_uint_eq(nn_owner_key(owner), 0);
    ck_assert_ok(nn_owner_generate(owner, in_folder("s.key"), in_folder("e.keys"), NULL, NULL));
    ck_assert_uint_ne(nn_owner_key(owner), 0);
    struct stat info, before;
    ck_assert_int_eq(stat(in_folder("s.key"), &before), 0);
    /* neither is replaced unasked, nor the file the owner was opened from at all */
    ck_assert_fails(nn_owner_generate(owner, in_folder("s.key"), in_folder("f.keys"), NULL, NULL),
                    FHOLA_PARAM);
    ck_assert_fails(nn_owner_generate(owner, in_folder("t.key"), in_folder("e.keys"), NULL, NULL),
                    FHOLA_PARAM);
    nn_owner_overwrite(owner);
    ck_assert_fails(
        nn_owner_generate(owner, in_folder("n.client"), in_folder("e.keys"), NULL, NULL),
        FHOLA_PARAM);
    ck_assert_fails(nn_owner_generate(owner, in_folder("s.key"), in_folder("n.client"), NULL, NULL),
                    FHOLA_PARAM);
    ck_assert_fails(
        nn_owner_generate(owner, in_folder("s.key"), in_folder("e.keys"), stop_at_once, NULL),
        FHOLA_CANCELLED);
    ck_assert_int_eq(stat(in_folder("s.key"), &info), 0);
    ck_assert_uint_eq(info.st_ino, before.st_ino); /* still the old one */
    ck_assert_uint_eq(files_in_folder(), 4);
    ck_assert_int_eq(stat(in_folder("s.key"), &info), 0);
    ck_assert_uint_eq(info.st_mode & 0777, 0600);
    printf("compiled %.2f MB, client %.4f MB, secret key %.4f MB, evaluation keys %.1f MB\n",
           file_megabytes(in_folder("n.fhola")), file_megabytes(in_folder("n.client")),
           file_megabytes(in_folder("s.key")), file_megabytes(in_folder("e.keys")));
    ck_assert_double_lt(file_megabytes(in_folder("e.keys")), 1000);
    uint64_t key = nn_owner_key(owner);
    nn_owner_destroy(owner);

    /* the owner again, from the secret key's file alone, encrypts two pictures */
    ck_assert_ok(nn_owner_open_secret(&owner, in_folder("s.key")));
    ck_assert_uint_eq(nn_owner_key(owner), key);
    encrypt_to(owner, in_folder("x.ct"), rgb, 2);
    ck_assert_double_lt(file_megabytes(in_folder("x.ct")), 2 * 0.4);

    /* the server */
    ck_assert_ok(nn_server_open(&server, in_folder("n.fhola")));
    ck_assert_uint_eq(nn_server_network_id(server), nn_owner_network(owner));
    ck_assert_fails(nn_keys_load(&keys, server, in_folder("s.key"), NULL, NULL), FHOLA_SECURITY);
    ck_assert_fails(nn_keys_load(&keys, server, in_folder("x.ct"), NULL, NULL), FHOLA_FORMAT);
    ck_assert_fails(nn_keys_load(&keys, server, in_folder("e.keys"), stop_at_once, NULL),
                    FHOLA_CANCELLED);
    ck_assert_ptr_null(keys);
    ck_assert_ok(nn_keys_load(&keys, server, in_folder("e.keys"), NULL, NULL));
    ck_assert_uint_eq(nn_keys_id(keys), nn_owner_key(owner));
    ck_assert_double_gt((double)nn_keys_bytes(keys) / 1e6, 2 * file_megabytes(in_folder("e.keys")));
    ck_assert_ok(nn_run_create(&run, server));
    ck_assert_fails(infer_from(run, keys, in_folder("x.ct"), in_folder("y.ct"), &done),
                    FHOLA_PARAM);
    ck_assert_detail("nn_server_prepare");
    ck_assert_ok(nn_server_prepare(server));
    ck_assert_fails(infer_from(run, keys, in_folder("s.key"), in_folder("y.ct"), &done),
                    FHOLA_SECURITY);
    ck_assert_ok(infer_from(run, keys, in_folder("x.ct"), in_folder("y.ct"), &done));
    ck_assert_uint_eq(done, 2);
    ck_assert_double_lt(file_megabytes(in_folder("y.ct")), 2 * 0.4);
    write_twice(params, in_folder("x.ct"), in_folder("xx.ct"));
    ck_assert_fails(infer_from(run, keys, in_folder("xx.ct"), in_folder("z.ct"), &done),
                    FHOLA_FORMAT);
    ck_assert_detail("xx.ct: chunk 3 'CIPH' at byte ");

    /* the scores */
    ck_assert_ok(decrypt_from(owner, in_folder("y.ct"), scores));
    double error = 0, size = 0;
    for (int i = 0; i < 10; i++) {
        error = fmax(error, fabs(scores[i] - plain[i]));
        size = fmax(size, fabs(plain[i]));
    }
    printf("largest score %.3f, largest error %.4f\n", size, error);
    ck_assert_double_lt(error, 0.05 * size);
    declare_scale(in_folder("y.ct"), 0x1p-10);
    ck_assert_fails(decrypt_from(owner, in_folder("y.ct"), scores), FHOLA_SCALE);
    ck_assert_detail("y.ct: chunk 2 'CIPH' at byte ");
    ck_assert_detail("the result says its scale is ");
    declare_scale(in_folder("y.ct"), 0x1p10);
    ck_assert_fails(decrypt_from(owner, in_folder("x.ct"), scores), FHOLA_LEVEL);
    ck_assert_detail("an encrypted picture, not a result");
    ck_assert_fails(infer_from(run, keys, in_folder("y.ct"), in_folder("z.ct"), &done),
                    FHOLA_LEVEL);
    ck_assert_detail("this is no encrypted picture");

    /* another owner, of the same network and of another one */
    ck_assert_ok(nn_owner_open_client(&other, in_folder("n.client")));
    ck_assert_ok(nn_owner_generate(other, in_folder("s2.key"), in_folder("e2.keys"), NULL, NULL));
    encrypt_to(other, in_folder("x2.ct"), rgb, 1);
    ck_assert_fails(decrypt_from(other, in_folder("y.ct"), scores), FHOLA_KEY);
    ck_assert_detail("of another key");
    ck_assert_fails(infer_from(run, keys, in_folder("x2.ct"), in_folder("z.ct"), &done), FHOLA_KEY);
    ck_assert_detail("of another key");
    nn_owner_destroy(other);
    s.model.hash = s.plan.model_hash = 43;
    ck_assert_ok(nn_owner_create(&other, params, &s.model, &s.plan));
    nn_owner_overwrite(other);
    ck_assert_ok(nn_owner_generate(other, in_folder("s2.key"), in_folder("e2.keys"), NULL, NULL));
    encrypt_to(other, in_folder("x2.ct"), rgb, 1);
    /* evaluation keys serve every network that needs no others, a picture only its own */
    ck_assert_ok(nn_keys_load(&others, server, in_folder("e2.keys"), NULL, NULL));
    ck_assert_fails(infer_from(run, others, in_folder("x2.ct"), in_folder("z.ct"), &done),
                    FHOLA_KEY);
    ck_assert_detail("another network");
    ck_assert_fails(decrypt_from(other, in_folder("y.ct"), scores), FHOLA_KEY);
    ck_assert_ok(decrypt_from(owner, in_folder("y.ct"), scores));

    nn_owner_destroy(other);
    nn_owner_destroy(owner);
    nn_run_destroy(run);
    nn_keys_release(others);
    nn_keys_release(keys);
    nn_server_destroy(server);
    ckks_params_destroy(params);
    small_network_clear(&s);
}
END_TEST

/* ---- a picture of several ciphertexts ---- */

/* An owner for the client, with keys, and the secret key as its file has it. */
static nn_owner *owner_of(ring *r, const nn_client *c)
{
    nn_owner *owner;
    nn_description d, own = {0};
    nn_client read = {0};
    ckks_writer *writer;
    ckks_reader *reader;
    ck_assert_ok(nn_description_make(&d, c, r->params, 99));
    ck_assert_ok(ckks_writer_open(&writer, in_folder("l.client"), 0));
    ck_assert_ok(ckks_writer_begin(writer, CKKS_FILE_CLIENT, r->params, 0));
    ck_assert_ok(nn_description_write(writer, &d));
    ck_assert_ok(ckks_writer_end(writer));
    ck_assert_ok(ckks_writer_commit(writer));
    ckks_writer_destroy(writer);
    nn_description_clear(&d);
    ck_assert_ok(nn_owner_open_client(&owner, in_folder("l.client")));
    ck_assert_ok(nn_owner_generate(owner, in_folder("l.key"), in_folder("l.keys"), NULL, NULL));
    ckks_secret_key_destroy(r->secret);
    ck_assert_ok(ckks_reader_open(&reader, in_folder("l.key")));
    ck_assert_ok(ckks_reader_begin(reader, NULL, CKKS_FILE_SECRET_KEY, r->context, 0));
    ck_assert_ok(nn_description_read(&own, &read, r->context, reader));
    ck_assert_ok(ckks_secret_key_read(&r->secret, r->context, reader));
    ckks_reader_destroy(reader);
    nn_description_clear(&own);
    nn_client_clear(&read);
    return owner;
}

/* Three channels of 64 x 64 in a ring of 4,096 slots: a ciphertext each, in one container. */
START_TEST(large_picture)
{
    static double pixels[3 * 4096];
    static ckks_complex want[4096], got[4096];
    test_seed(40);
    ckks_params_spec spec = flat_spec(13, 28, 1, 28);
    spec.insecure = 0;
    ring r;
    ring_open(&r, &spec, NULL);
    nn_client c = some_client(&r, 3);
    ck_assert_ok(nn_layout_fresh(&c.input, (nn_shape){3, 64, 64}, r.slots, "input"));
    ck_assert_uint_eq(nn_client_ciphertexts(&c), 3);
    nn_owner *owner = owner_of(&r, &c);
    ck_assert_uint_eq(nn_client_ciphertexts(nn_owner_client(owner)), 3);
    for (size_t i = 0; i < 3 * 4096; i++) pixels[i] = 0.5 + 0.5 * random_unit();
    encrypt_to(owner, in_folder("l.ct"), pixels, 1);
    ckks_reader *in;
    uint64_t id;
    ckks_ciphertext *ct = new_ciphertext(&r);
    ck_assert_ok(ckks_reader_open(&in, in_folder("l.ct")));
    ck_assert_ok(ckks_reader_begin(in, NULL, CKKS_FILE_CIPHERTEXT, r.context, 0));
    ck_assert_ok(nn_network_id_read(&id, in));
    for (unsigned k = 0; k < 3; k++) {
        ck_assert_ok(ckks_ciphertext_read(ct, r.context, in));
        nn_encode_picture(want, &c, k, pixels);
        decrypt(&r, got, ct);
        ck_assert_double_le(worst_difference(got, want, r.slots), 0x1p-10);
        size_t first = (size_t)k * 4096, last = first + 4095;
        double bound = c.input_bound, mean = c.mean[k], std = c.std[k];
        ck_assert_double_eq_tol(want[0].re * bound, (pixels[first] - mean) / std, 1e-12);
        ck_assert_double_eq_tol(want[4095].re * bound, (pixels[last] - mean) / std, 1e-12);
    }
    ck_assert_ok(ckks_reader_finish(in));
    ckks_reader_destroy(in);
    ckks_ciphertext_destroy(ct);
    nn_owner_destroy(owner);
    nn_client_clear(&c);
    ring_close(&r);
}
END_TEST

/* ---- client files that ask for what would endanger the secret key ---- */

/* Writes a client file that asks for a key more, or for that of `count` rotations, for parameters
 * that are not checked. */
static void write_hostile(const char *path, const ring *r, const ckks_params *params,
                          ckks_key_request request, uint32_t count)
{
    nn_client c = some_client(r, 3);
    ckks_writer *writer;
    nn_description d;
    for (uint32_t i = 0; i < count; i++) {
        ck_assert_ok(ckks_key_list_add(&c.keys, r->context, request));
        request.rotation++;
    }
    ck_assert_ok(nn_description_make(&d, &c, params, 99));
    ck_assert_ok(ckks_writer_open(&writer, path, 0));
    ck_assert_ok(ckks_writer_begin(writer, CKKS_FILE_CLIENT, params, 0));
    ck_assert_ok(nn_description_write(writer, &d));
    ck_assert_ok(ckks_writer_end(writer));
    ck_assert_ok(ckks_writer_commit(writer));
    ckks_writer_destroy(writer);
    nn_description_clear(&d);
    nn_client_clear(&c);
}

/* Opened and, were it not refused, used. The size of the keys is known before. */
static fhola_status keys_for(const char *client)
{
    nn_owner *owner = NULL;
    struct stat info;
    uint64_t size = 0;
    fhola_status st = nn_owner_open_client(&owner, client), large = FHOLA_OK;
    if (st == FHOLA_OK) {
        large = nn_owner_keys_bytes(&size, owner);
        st = nn_owner_generate(owner, in_folder("secret.key"), in_folder("eval.keys"), NULL, NULL);
    }
    ck_assert_int_eq(large == FHOLA_OK || large == st, 1);
    nn_owner_destroy(owner);
    if (st == FHOLA_OK) {
        ck_assert_int_eq(stat(in_folder("eval.keys"), &info), 0);
        ck_assert_uint_eq((uint64_t)info.st_size, size);
    }
    return st;
}

START_TEST(hostile_clients)
{
    static const unsigned weight[] = {0, 1, 5, 31, 32};
    test_seed(36);
    ckks_params_spec spec = flat_spec(13, 28, 1, 28); /* 152 bits of 214 */
    spec.special_primes = 2;
    spec.insecure = 0;
    ring r;
    ring_open(&r, &spec, NULL);
    ckks_params params = *r.params;
    ckks_basis q0 = 1, p0 = (ckks_basis)1 << ckks_params_chain(r.params);
    const ckks_key_request harmless = {CKKS_KEY_ROTATE, 7, r.chain, r.special},
                           wrong[] = {{CKKS_KEY_DENSE_TO_SPARSE, 0, q0, p0},
                                      {CKKS_KEY_DENSE_TO_SPARSE, 0, r.chain, r.special},
                                      {CKKS_KEY_SPARSE_TO_DENSE, 0, r.chain, r.special}};
    write_hostile(in_folder("x.client"), &r, &params, harmless, 1);
    ck_assert_ok(keys_for(in_folder("x.client")));
    ck_assert_int_eq(remove(in_folder("secret.key")) | remove(in_folder("eval.keys")), 0);
    for (int i = 0; i < 5; i++)
        for (int k = 0; k < 3; k++) {
            params.spec.hamming_weight = weight[i];
            params.hash = ckks_params_hash_make(&params);
            write_hostile(in_folder("x.client"), &r, &params, wrong[k], 1);
            ck_assert_fails(keys_for(in_folder("x.client")),
                            weight[i] ? FHOLA_FORMAT : FHOLA_SECURITY);
            ck_assert_detail(weight[i] ? "no levels of bootstrapping" : "no bootstrapping, but");
            ck_assert_int_ne(access(in_folder("secret.key"), F_OK), 0);
            ck_assert_int_ne(access(in_folder("eval.keys"), F_OK), 0);
        }
    params = *r.params;
    const ckks_key_request odd[] = {
        {(ckks_key_kind)0, 0, r.chain, r.special}, {(ckks_key_kind)6, 0, r.chain, r.special},
        {CKKS_KEY_RELINEARIZE, 0, 0, r.special},   {CKKS_KEY_RELINEARIZE, 0, r.chain, r.chain},
        {CKKS_KEY_RELINEARIZE, 0, r.chain, p0},    {CKKS_KEY_ROTATE, 3, ~(ckks_basis)0, r.special}};
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        write_hostile(in_folder("x.client"), &r, &params, odd[i], 1);
        ck_assert_fails(keys_for(in_folder("x.client")), FHOLA_FORMAT);
        ck_assert_detail("key 2: ");
    }
    ring_close(&r);
}
END_TEST

/* As many keys as a list may have, each of them harmless, fill a disk. */
START_TEST(keys_too_large)
{
    ring r;
    ckks_params_spec spec = named_spec("R15");
    ring_open(&r, &spec, NULL);
    const ckks_key_request request = {CKKS_KEY_ROTATE, 100, r.chain, r.special};
    write_hostile(in_folder("x.client"), &r, r.params, request, 4000);
    ck_assert_fails(keys_for(in_folder("x.client")), FHOLA_RANGE);
    ck_assert_detail("4002 evaluation keys");
    ck_assert_int_ne(access(in_folder("secret.key"), F_OK), 0);
    ck_assert_int_ne(access(in_folder("eval.keys"), F_OK), 0);
    ring_close(&r);
}
END_TEST

static void file_cases(TCase *t)
{
    tcase_add_test(t, client_round_trip);
    tcase_add_test(t, client_of_batches);
    tcase_add_test(t, client_damage);
    tcase_add_test(t, bad_clients);
    tcase_add_loop_test(t, network_round_trip, 0, 5);
    tcase_add_test(t, bad_models);
    tcase_add_test(t, bad_nodes);
    tcase_add_test(t, bad_numbers);
    tcase_add_test(t, bad_networks);
}

static void party_cases(TCase *t)
{
    tcase_add_checked_fixture(t, open_folder, close_folder);
    tcase_add_test(t, large_picture);
    tcase_add_test(t, hostile_clients);
    tcase_add_test(t, keys_too_large);
    tcase_add_test(t, two_parties);
}

int main(void)
{
    int failed = test_run("artifact", file_cases, 180);
    return test_run("two parties", party_cases, 600) || failed;
}
