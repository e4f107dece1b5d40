/* SPDX-License-Identifier: Apache-2.0 */
/* Batches of encrypted pictures, on small rings: every picture against the definition of the
 * network, layer by layer and in its scores, whatever the others are and however many there are;
 * and through a server. */
#include "tests/served_network.h"

#include "tests/graph_agreement.h"

#define MOST_PICTURES 8u

static uint64_t seed;

/* ---- networks ---- */

static nn_tensor stage(small_network *n, nn_tensor x, unsigned channels, unsigned stride)
{
    nn_tensor y = small_relu(n, small_conv(n, x, channels, 3, stride)),
              kept = stride == 1 ? x : small_conv(n, x, channels, 1, stride);
    return small_relu(n, small_add(n, small_conv(n, y, channels, 3, 1), kept));
}

/* A picture takes all 4,096 slots, then half of them, then a quarter: so two of them are apart,
 * then together, then apart because they would be too short; four apart, apart, together. */
static void stages(small_network *n)
{
    small_begin(n, (nn_shape){3, 16, 16}, seed);
    nn_tensor x = small_relu(n, small_conv(n, 0, 16, 3, 1));
    x = stage(n, x, 16, 1);
    x = stage(n, x, 32, 2);
    x = stage(n, x, 64, 2);
    small_end(n, small_dense(n, small_global(n, x), 10));
}

/* Two ciphertexts a picture and node, the picture's own values too; the scores read two nodes, one
 * of them read by a layer as well. */
static void several(small_network *n)
{
    small_begin(n, (nn_shape){2, 48, 48}, seed + 1);
    nn_tensor x = small_relu(n, small_conv(n, 0, 2, 3, 1));
    nn_tensor y = small_relu(n, small_conv(n, x, 6, 3, 2));
    small_end(n, small_dense(n, small_concat(n, small_global(n, x), small_global(n, y)), 10));
}

static void vectors(small_network *n)
{
    small_begin(n, (nn_shape){784, 1, 1}, seed + 2);
    nn_tensor x = small_relu(n, small_dense(n, 0, 64));
    small_end(n, small_dense(n, small_relu(n, small_dense(n, x, 40)), 300));
}

/* ---- a batch ---- */

typedef struct batch {
    graph_run g;
    unsigned pictures;
    double *layers[MOST_PICTURES]; /* what they are to be */
    double scores[MOST_PICTURES][NN_MAX_CLASSES];
    double *pixels[MOST_PICTURES];
    ckks_ciphertext **in[MOST_PICTURES], *out[MOST_PICTURES];
} batch;

static double *room(size_t count)
{
    double *v = calloc(count, sizeof *v);
    ck_assert_ptr_nonnull(v);
    return v;
}

/* Half-widths that suit all pictures: wider ones change what comes behind, hence several rounds. */
static void define(batch *b, void (*make)(small_network *), unsigned pictures)
{
    double *picture[MOST_PICTURES];
    *b = (batch){.pictures = pictures};
    make(&b->g.s);
    ck_assert_ok(nn_plan_set_pictures(&b->g.s.plan, pictures));
    for (unsigned p = 0; p < pictures; p++) {
        b->pixels[p] = room(SMALL_VALUES);
        picture[p] = room(SMALL_VALUES);
        b->layers[p] = room(b->g.s.plan.count * SMALL_VALUES);
        small_picture(&b->g.s, b->pixels[p], picture[p]);
    }
    for (unsigned round = 0; round < 4; round++)
        for (unsigned p = 0; p < pictures; p++)
            direct_network(&b->g.s, b->scores[p], picture[p], NULL, round + p ? 2 : 1);
    for (unsigned p = 0; p < pictures; p++) {
        ck_assert_double_le(direct_network(&b->g.s, b->scores[p], picture[p], b->layers[p], 0), 1);
        free(picture[p]);
    }
}

/* The network of what was defined, and its pictures. */
static void start(batch *b)
{
    unsigned pictures = b->pictures;
    graph_open(&b->g, 13);
    const nn_client *client = nn_network_client(b->g.network);
    ck_assert_uint_eq(nn_network_pictures(b->g.network), pictures);
    for (unsigned p = 0; p < pictures; p++) {
        ck_assert_ok(nn_encrypted_create(&b->in[p], b->g.context, client));
        ck_assert_ok(ckks_ciphertext_create(&b->out[p], b->g.context));
        ck_assert_ok(nn_encrypt_picture(b->g.context, b->g.workspace, b->in[p], client,
                                        b->pixels[p], b->g.secret, b->g.rng));
    }
}

static void open_batch(batch *b, void (*make)(small_network *), unsigned pictures)
{
    define(b, make, pictures);
    start(b);
}

static void forget(batch *b)
{
    for (unsigned p = 0; p < b->pictures; p++) {
        free(b->pixels[p]);
        free(b->layers[p]);
    }
}

static void close_batch(batch *b)
{
    forget(b);
    for (unsigned p = 0; p < b->pictures; p++) {
        nn_encrypted_destroy(b->in[p]);
        ckks_ciphertext_destroy(b->out[p]);
    }
    graph_close(&b->g);
}

static fhola_status infer(batch *b, size_t count, const nn_infer_hooks *hooks)
{
    ckks_ciphertext *const *picture[MOST_PICTURES];
    for (size_t p = 0; p < MOST_PICTURES; p++) picture[p] = b->in[p];
    return nn_infer_batch(b->g.context, b->g.workspace, b->out, b->g.network, b->g.keys, picture,
                          count, hooks);
}

/* ---- what comes out ---- */

/* The RMS error of all values of a part, whosever they are. */
static fhola_status observe(void *user, size_t layer, nn_step step, unsigned part,
                            const ckks_ciphertext *value)
{
    static ckks_complex slots[SMALL_VALUES];
    batch *b = user;
    const nn_recipe *r = &b->g.network->schedule.layer[layer];
    nn_layout l = r->layout;
    double square = 0, count = 0;
    nn_place at;
    if (step != NN_STEP_ACTIVATION) return FHOLA_OK;
    ck_assert_ok(ckks_decrypt(b->g.context, b->g.workspace, slots, l.slots, value, b->g.secret));
    for (uint32_t s = 0; s < l.period; s++) {
        if (!nn_layout_place(&at, l, part, s)) continue;
        const double *values = b->layers[nn_layout_picture(l, part, s)] + layer * SMALL_VALUES;
        size_t k = ((size_t)at.channel * l.shape.height + at.y) * l.shape.width + at.x;
        square += pow(slots[s].re - values[k] / r->gain[at.channel], 2);
        count++;
    }
    b->g.worst = fmax(b->g.worst, sqrt(square / count));
    return FHOLA_OK;
}

/* The error of a picture's scores, over their deviation. */
static double error_of(const batch *b, unsigned picture, const double *scores)
{
    size_t classes = b->g.s.model.classes;
    double square = 0;
    for (size_t k = 0; k < classes; k++) square += pow(scores[k] - b->scores[picture][k], 2);
    return sqrt(square / (double)classes) / graph_deviation(b->scores[picture], classes);
}

static double score_error(const batch *b, unsigned picture)
{
    double scores[NN_MAX_CLASSES];
    ck_assert_ok(nn_decrypt_scores(b->g.context, b->g.workspace, scores,
                                   nn_network_client(b->g.network), b->out[picture], b->g.secret));
    return error_of(b, picture, scores);
}

static const struct {
    const char *name;
    void (*make)(small_network *);
    unsigned pictures;
} batches[] = {{"stages", stages, 2},   {"stages", stages, 4},   {"stages", stages, 8},
               {"several", several, 2}, {"several", several, 4}, {"vectors", vectors, 2},
               {"vectors", vectors, 4}};

START_TEST(every_picture)
{
    batch b;
    open_batch(&b, batches[_i].make, batches[_i].pictures);
    const nn_infer_hooks hooks = {.user = &b, .observe = observe};
    double start = ckks_seconds();
    ck_assert_ok(infer(&b, b.pictures, &hooks));
    printf("%s, %u pictures: %zu keys, %zu bootstraps, %.2f s; layers wrong by 2^%.1f at most\n",
           batches[_i].name, b.pictures, nn_network_keys(b.g.network)->count,
           nn_network_bootstraps(b.g.network), ckks_seconds() - start, log2(b.g.worst));
    print_splits(b.g.network);
    ck_assert_double_le(b.g.worst, GRAPH_LAYER_BOUND);
    for (unsigned p = 0; p < b.pictures; p++) {
        double error = score_error(&b, p);
        printf("  picture %u: scores wrong by %.5f of their deviation\n", p, error);
        ck_assert_double_le(error, GRAPH_SCORE_BOUND);
    }
    close_batch(&b);
}
END_TEST

/* Results do not depend on who else is in the batch, or whether anybody is. */
START_TEST(neighbours)
{
    batch b;
    open_batch(&b, stages, 2);
    for (size_t count = 1; count <= 2; count++) {
        ckks_ciphertext **swap = b.in[1];
        if (count == 2) b.in[1] = b.in[0]; /* another neighbour: the picture itself */
        ck_assert_ok(infer(&b, count, NULL));
        b.in[1] = swap;
        ck_assert_double_le(score_error(&b, 0), GRAPH_SCORE_BOUND);
    }
    ck_assert_fails(infer(&b, 0, NULL), FHOLA_PARAM);
    ck_assert_fails(infer(&b, 3, NULL), FHOLA_PARAM);
    ck_assert_ptr_nonnull(strstr(fhola_detail(), "3 pictures, the network takes 1 to 2"));
    close_batch(&b);
}
END_TEST

/* ---- packed pictures ---- */

/* The first `count` pictures as their owner packs them, and their results. */
static void infer_packed(batch *b, size_t count, const nn_infer_hooks *hooks)
{
    ckks_ciphertext **packed;
    const nn_client *client = nn_network_client(b->g.network);
    ck_assert_ok(nn_encrypt_pack(b->g.context, b->g.workspace, &packed, client,
                                 (const double *const *)b->pixels, count, b->g.secret, b->g.rng));
    ck_assert_uint_eq(nn_encrypted_pictures(packed), count);
    ckks_ciphertext *const *picture = packed;
    ck_assert_ok(nn_infer_batch(b->g.context, b->g.workspace, b->out, b->g.network, b->g.keys,
                                &picture, count, hooks));
    nn_encrypted_destroy(packed);
}

/* All in one ciphertext where they fit: every layer and all scores, those of a short group too. */
static const int packs[] = {0, 4, 6}; /* of batches[] */

START_TEST(packs_in_one)
{
    batch b;
    int i = packs[_i];
    open_batch(&b, batches[i].make, batches[i].pictures);
    const nn_infer_hooks hooks = {.user = &b, .observe = observe};
    const nn_packing p = b.g.network->packing;
    printf("%s, %u pictures: %u vectors of %zu slots, %zu in each of %u ciphertexts\n",
           batches[i].name, b.pictures, p.vectors, p.period, p.side, p.ciphertexts);
    infer_packed(&b, b.pictures, &hooks);
    ck_assert_double_le(b.g.worst, GRAPH_LAYER_BOUND);
    for (unsigned k = 0; k < b.pictures; k++)
        ck_assert_double_le(score_error(&b, k), GRAPH_SCORE_BOUND);
    infer_packed(&b, b.pictures / 2, NULL);
    for (unsigned k = 0; k < b.pictures / 2; k++)
        ck_assert_double_le(score_error(&b, k), GRAPH_SCORE_BOUND);
    close_batch(&b);
}
END_TEST

/* The results in one ciphertext, each picked out again. */
static void join(batch *b, ckks_ciphertext *all, size_t count)
{
    const nn_client *client = nn_network_client(b->g.network);
    ck_assert_ok(ckks_interleave(b->g.context, b->g.workspace, all,
                                 (const ckks_ciphertext *const *)b->out, count,
                                 nn_client_results(client)));
    ck_assert_ok(ckks_ciphertext_set_label(all, (uint32_t)count));
}

static void scores_at(batch *b, const ckks_ciphertext *all, size_t index, double *scores)
{
    const nn_client *client = nn_network_client(b->g.network);
    ckks_ciphertext *one;
    ck_assert_ok(ckks_ciphertext_create(&one, b->g.context));
    ck_assert_ok(nn_result_take(b->g.context, b->g.workspace, one, client, all, index));
    ck_assert_ok(nn_decrypt_scores(b->g.context, b->g.workspace, scores, client, one, b->g.secret));
    ckks_ciphertext_destroy(one);
}

/* One picture is another: its scores change, those of the others move by no more than noise, from
 * the packed pictures to the packed results. */
START_TEST(packed_neighbours)
{
    batch b;
    ckks_ciphertext *all;
    double before[MOST_PICTURES][NN_MAX_CLASSES], after[NN_MAX_CLASSES];
    enum { CHANGED = 2 };
    open_batch(&b, stages, 8);
    size_t classes = b.g.s.model.classes;
    ck_assert_ok(ckks_ciphertext_create(&all, b.g.context));
    infer_packed(&b, 8, NULL);
    join(&b, all, 8);
    for (size_t k = 0; k < 8; k++) {
        scores_at(&b, all, k, before[k]);
        ck_assert_double_le(error_of(&b, (unsigned)k, before[k]), GRAPH_SCORE_BOUND);
    }
    double *pixels = b.pixels[CHANGED];
    b.pixels[CHANGED] = b.pixels[5];
    infer_packed(&b, 8, NULL);
    b.pixels[CHANGED] = pixels;
    join(&b, all, 8);
    for (size_t k = 0; k < 8; k++) {
        double square = 0, deviation = graph_deviation(before[k], classes);
        scores_at(&b, all, k, after);
        for (size_t i = 0; i < classes; i++) square += pow(after[i] - before[k][i], 2);
        double moved = sqrt(square / (double)classes) / deviation;
        printf("  picture %zu: scores moved by %.5f of their deviation\n", k, moved);
        if (k == CHANGED)
            ck_assert_double_ge(moved, GRAPH_SCORE_BOUND);
        else
            ck_assert_double_le(moved, GRAPH_SCORE_BOUND / 8);
    }
    ck_assert_fails(nn_result_take(b.g.context, b.g.workspace, b.out[0],
                                   nn_network_client(b.g.network), all, 8),
                    FHOLA_PARAM);
    ck_assert_fails(nn_decrypt_scores(b.g.context, b.g.workspace, after,
                                      nn_network_client(b.g.network), all, b.g.secret),
                    FHOLA_PARAM);
    ckks_ciphertext_destroy(all);
    close_batch(&b);
}
END_TEST

/* A pack goes alone and says how many results it has. */
START_TEST(packs_refused)
{
    batch b;
    ckks_ciphertext **packed, *const *picture[2];
    open_batch(&b, stages, 2);
    const nn_client *client = nn_network_client(b.g.network);
    const double *pixels[3] = {b.pixels[0], b.pixels[1], b.pixels[0]};
    for (size_t count = 0; count < 4; count += 3)
        ck_assert_fails(nn_encrypt_pack(b.g.context, b.g.workspace, &packed, client, pixels, count,
                                        b.g.secret, b.g.rng),
                        FHOLA_PARAM);
    double bright = b.pixels[1][7];
    b.pixels[1][7] = 1.5;
    ck_assert_fails(nn_encrypt_pack(b.g.context, b.g.workspace, &packed, client, pixels, 2,
                                    b.g.secret, b.g.rng),
                    FHOLA_RANGE);
    b.pixels[1][7] = bright;
    ck_assert_ok(nn_encrypt_pack(b.g.context, b.g.workspace, &packed, client, pixels, 2, b.g.secret,
                                 b.g.rng));
    picture[0] = b.in[0];
    picture[1] = packed;
    for (size_t count = 1; count < 3; count++) {
        const size_t first = 2 - count; /* the pack asked for one result; and among others */
        ck_assert_fails(nn_infer_batch(b.g.context, b.g.workspace, b.out, b.g.network, b.g.keys,
                                       picture + first, count, NULL),
                        FHOLA_PARAM);
    }
    nn_encrypted_destroy(packed);
    close_batch(&b);
}
END_TEST

/* A picture alone goes through the network of one picture: the same bits, under the batch's keys.
 * */
START_TEST(alone)
{
    batch b;
    open_batch(&b, stages, _i ? 8 : 2);
    nn_network *batch_network = b.g.network, *one = NULL;
    ck_assert_ok(infer(&b, 1, NULL));
    uint64_t hash = ciphertext_hash(b.out[0]);
    ck_assert_double_le(score_error(&b, 0), GRAPH_SCORE_BOUND);
    nn_plan single = b.g.s.plan;
    ck_assert_ok(nn_plan_set_pictures(&single, 1));
    ck_assert_ok(nn_network_create(&one, b.g.context, b.g.workspace, &b.g.s.model, &single, 1));
    ck_assert_uint_le(nn_network_keys(one)->count, nn_network_keys(batch_network)->count);
    b.g.network = one;
    ck_assert_ok(infer(&b, 1, NULL));
    ck_assert_uint_eq(ciphertext_hash(b.out[0]), hash);
    ck_assert_fails(infer(&b, 2, NULL), FHOLA_PARAM);
    b.g.network = batch_network;
    nn_network_destroy(one);
    close_batch(&b);
}
END_TEST

/* Small keys are fewer, and less than three quarters of the bytes, for pictures at once and for
 * one; the bounds are the same. */
START_TEST(small_keys)
{
    batch b;
    nn_network *usual = NULL;
    define(&b, stages, 2);
    nn_plan_set_small_keys(&b.g.s.plan, 1);
    start(&b);
    const ckks_context *c = b.g.context;
    const ckks_key_list *keys = nn_network_keys(b.g.network);
    nn_plan_set_small_keys(&b.g.s.plan, 0);
    ck_assert_ok(nn_network_create(&usual, c, b.g.workspace, &b.g.s.model, &b.g.s.plan, 0));
    ck_assert_uint_lt(keys->count, nn_network_keys(usual)->count);
    ck_assert_uint_lt(4 * ckks_eval_keys_file_bytes(c, keys),
                      3 * ckks_eval_keys_file_bytes(c, nn_network_keys(usual)));
    ck_assert_ok(infer(&b, 2, NULL));
    for (unsigned p = 0; p < 2; p++) ck_assert_double_le(score_error(&b, p), GRAPH_SCORE_BOUND);
    ck_assert_ok(infer(&b, 1, NULL));
    ck_assert_double_le(score_error(&b, 0), GRAPH_SCORE_BOUND);
    nn_network_destroy(usual);
    close_batch(&b);
}
END_TEST

/* Whatever the room for diagonals, the same bits. */
START_TEST(memory)
{
    batch b;
    nn_network *all, *none = NULL;
    open_batch(&b, several, 2);
    ck_assert_ok(infer(&b, 2, NULL));
    uint64_t first = ciphertext_hash(b.out[0]), second = ciphertext_hash(b.out[1]);
    all = b.g.network;
    ck_assert_ok(
        nn_network_create_within(&none, b.g.context, b.g.workspace, &b.g.s.model, &b.g.s.plan, 0));
    ck_assert(nn_network_needs_weights(none) && !nn_network_needs_weights(all));
    b.g.network = none;
    ck_assert_ok(infer(&b, 2, NULL));
    ck_assert_uint_eq(ciphertext_hash(b.out[0]), first);
    ck_assert_uint_eq(ciphertext_hash(b.out[1]), second);
    nn_network_destroy(all);
    close_batch(&b);
}
END_TEST

/* ---- owner and server ---- */

/* Containers of toy parameters. */
static ckks_reader *open_toy(const char *path)
{
    ckks_reader *reader;
    ck_assert_ok(ckks_reader_open(&reader, path));
    ckks_reader_allow_insecure(reader);
    return reader;
}

typedef struct memory_reader {
    limited source;
    FILE *stream;
    ckks_reader *reader;
} memory_reader;

static void read_from(memory_reader *m, bytes b)
{
    m->source = (limited){.data = b.data, .length = b.length};
    m->stream = limited_open(&m->source, "rb");
    ck_assert_ptr_nonnull(m->stream);
    ck_assert_ok(ckks_reader_create(&m->reader, m->stream, "memory"));
    ckks_reader_allow_insecure(m->reader);
}

static void end_reading(memory_reader *m)
{
    ckks_reader_destroy(m->reader);
    ck_assert_int_eq(fclose(m->stream), 0);
}

/* Compiled for two at once, saved, opened by a server that has the keys. */
static void serve(served_network *n, nn_model *model, nn_plan *plan)
{
    ckks_params_spec spec = named_spec("R15");
    spec.log_n = 13;
    spec.insecure = 1;
    served_names(n);
    ck_assert_ok(nn_plan_set_pictures(plan, 2));
    ck_assert_ok(ckks_params_create(&n->params, &spec));
    ck_assert_ok(nn_compiled_save(n->network, NULL, n->params, model, plan));
    ck_assert_ok(nn_owner_create(&n->owner, n->params, model, plan));
    ck_assert_uint_eq(nn_client_pictures(nn_owner_client(n->owner)), 2);
    ck_assert_ok(nn_owner_generate(n->owner, n->secret, n->keys, NULL, NULL));
    ckks_reader *network = open_toy(n->network), *keys = open_toy(n->keys);
    ck_assert_ok(nn_server_read(&n->server, network));
    ck_assert_uint_eq(nn_network_pictures(nn_server_network(n->server)), 2);
    ck_assert_ok(nn_server_prepare(n->server));
    ck_assert_ok(nn_keys_read(&n->eval, n->server, keys, NULL, NULL));
    ckks_reader_destroy(network);
    ckks_reader_destroy(keys);
}

static void stop_serving(served_network *n)
{
    nn_keys_release(n->eval);
    nn_server_destroy(n->server);
    nn_owner_destroy(n->owner);
    ckks_params_destroy(n->params);
    served_remove(n);
}

/* Four pictures, and a server that computes two at once. */
typedef struct service {
    batch b;
    served_network n;
    nn_run *run;
} service;

static void open_service(service *s)
{
    define(&s->b, vectors, 4);
    serve(&s->n, &s->b.g.s.model, &s->b.g.s.plan);
    ck_assert_ok(nn_run_create(&s->run, s->n.server));
}

static void close_service(service *s)
{
    nn_run_destroy(s->run);
    stop_serving(&s->n);
    forget(&s->b);
    small_network_clear(&s->b.g.s);
}

/* The first `count` pictures, encrypted one after the other. */
static bytes encrypted(service *s, unsigned count)
{
    memory_writer to;
    memory_open(&to);
    for (unsigned p = 0; p < count; p++)
        ck_assert_ok(nn_owner_encrypt(s->n.owner, to.writer, s->b.pixels[p]));
    return memory_close(&to);
}

/* The results are those of pictures first .. first + count - 1, and nothing comes after them. */
static void check_results(const service *s, bytes results, unsigned first, unsigned count)
{
    double scores[NN_MAX_CLASSES];
    memory_reader from;
    int more;
    read_from(&from, results);
    for (unsigned p = 0; p <= count; p++) {
        ck_assert_ok(nn_owner_decrypt(s->n.owner, scores, from.reader, &more));
        ck_assert_int_eq(more, p < count);
        if (more) ck_assert_double_le(error_of(&s->b, first + p, scores), GRAPH_SCORE_BOUND);
    }
    end_reading(&from);
}

/* A server takes three pictures from a stream, two and one, and gives three results in their
 * order. */
START_TEST(stream_of_three)
{
    static service s;
    memory_reader from;
    memory_writer to;
    int more;
    open_service(&s);
    bytes pictures = encrypted(&s, 3);
    read_from(&from, pictures);
    memory_open(&to);
    for (int call = 0; call < 3; call++) {
        ck_assert_ok(nn_run_infer(s.run, to.writer, s.n.eval, from.reader, &more, NULL));
        ck_assert_int_eq(more, 2 - call);
    }
    end_reading(&from);
    bytes results = memory_close(&to);
    check_results(&s, results, 0, 3);
    free(pictures.data);
    free(results.data);
    close_service(&s);
}
END_TEST

/* Two pictures that came on their own are answered at once: to a stream each, or to one. What is
 * refused writes nothing. */
START_TEST(answers_at_once)
{
    static service s;
    ckks_ciphertext **picture[3], *const *three[3];
    memory_reader from;
    memory_writer to[3];
    bytes result[3];
    int more;
    open_service(&s);
    bytes pictures = encrypted(&s, 3);
    read_from(&from, pictures);
    for (unsigned p = 0; p < 3; p++) {
        ck_assert_ok(nn_server_receive(s.n.server, &picture[p], from.reader, &more));
        three[p] = picture[p];
        memory_open(&to[p]);
    }
    ckks_writer *const each[3] = {to[0].writer, to[1].writer, to[2].writer}, *const one[2] = {
                                                                                 to[2].writer,
                                                                                 to[2].writer};
    ck_assert_fails(nn_run_answer_batch(s.run, each, s.n.eval, three, 3, NULL), FHOLA_PARAM);
    ck_assert_fails(nn_run_answer_batch(s.run, each, s.n.eval, three, 0, NULL), FHOLA_PARAM);
    ck_assert_ok(nn_run_answer_batch(s.run, each, s.n.eval, three + 1, 2, NULL));
    ck_assert_ok(nn_run_answer_batch(s.run, one, s.n.eval, three, 2, NULL));
    for (unsigned p = 0; p < 3; p++) result[p] = memory_close(&to[p]);
    check_results(&s, result[0], 1, 1);
    check_results(&s, result[1], 2, 1);
    check_results(&s, result[2], 0, 2);
    end_reading(&from);
    free(pictures.data);
    for (unsigned p = 0; p < 3; p++) {
        nn_encrypted_destroy(picture[p]);
        free(result[p].data);
    }
    close_service(&s);
}
END_TEST

/* Two packed pictures take what one takes, both ways; a pack may come behind pictures alone. The
 * second time results are sanitized, with next to no noise of scores. */
START_TEST(stream_of_packs)
{
    static const size_t counts[] = {2, 1, 2};
    static served_network n;
    nn_run *run;
    double scores[2 * NN_MAX_CLASSES];
    memory_writer to;
    memory_reader from;
    batch b;
    int more;
    size_t count, next = 0;
    uint64_t at[4] = {0};
    define(&b, vectors, 4);
    serve(&n, &b.g.s.model, &b.g.s.plan);
    ck_assert_ok(nn_run_create(&run, n.server));
    if (_i) ck_assert_ok(nn_run_sanitize(run, 0, 1e-6));
    memory_open(&to);
    for (size_t k = 0; k < 3; next = (next + counts[k++]) % 4) {
        const double *pixels[2] = {b.pixels[next], b.pixels[(next + 1) % 4]};
        ck_assert_ok(nn_owner_encrypt_several(n.owner, to.writer, pixels, counts[k]));
        at[k + 1] = ckks_writer_bytes(to.writer);
    }
    ck_assert_uint_eq(at[1], at[2] - at[1]);
    ck_assert_uint_eq(at[1], at[3] - at[2]);
    const double *three[3] = {b.pixels[0], b.pixels[1], b.pixels[2]};
    ck_assert_fails(nn_owner_encrypt_several(n.owner, to.writer, three, 3), FHOLA_PARAM);
    ck_assert_fails(nn_owner_encrypt_several(n.owner, to.writer, three, 0), FHOLA_PARAM);
    bytes pictures = memory_close(&to);
    read_from(&from, pictures);
    memory_open(&to);
    for (int call = 0; call < 3; call++) {
        static const int answered[] = {2, 3, 0};
        ck_assert_ok(nn_run_infer(run, to.writer, n.eval, from.reader, &more, NULL));
        ck_assert_int_eq(more, answered[call]);
    }
    end_reading(&from);
    bytes results = memory_close(&to);
    read_from(&from, results);
    ck_assert_fails(nn_owner_decrypt(n.owner, scores, from.reader, &more), FHOLA_PARAM);
    end_reading(&from);
    read_from(&from, results);
    size_t classes = nn_client_classes(nn_owner_client(n.owner));
    next = 0;
    for (size_t k = 0; k < 3; k++) {
        ck_assert_ok(nn_owner_decrypt_several(n.owner, scores, &count, from.reader));
        ck_assert_uint_eq(count, counts[k]);
        for (size_t p = 0; p < count; p++, next = (next + 1) % 4)
            ck_assert_double_le(error_of(&b, (unsigned)next, scores + p * classes),
                                GRAPH_SCORE_BOUND);
    }
    ck_assert_ok(nn_owner_decrypt_several(n.owner, scores, &count, from.reader));
    ck_assert_uint_eq(count, 0);
    end_reading(&from);
    free(pictures.data);
    free(results.data);
    nn_run_destroy(run);
    stop_serving(&n);
    forget(&b);
    small_network_clear(&b.g.s);
}
END_TEST

START_TEST(numbers_of_pictures)
{
    nn_plan plan = {0};
    ck_assert_uint_eq(nn_plan_pictures(&plan), 1);
    static const unsigned wrong[] = {0, 3, 6, 16};
    for (unsigned pictures = 1; pictures <= NN_MAX_PICTURES; pictures *= 2) {
        ck_assert_ok(nn_plan_set_pictures(&plan, pictures));
        for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++)
            ck_assert_fails(nn_plan_set_pictures(&plan, wrong[k]), FHOLA_PARAM);
        ck_assert_uint_eq(nn_plan_pictures(&plan), pictures);
    }
}
END_TEST

static void add_tests(TCase *tcase)
{
    tcase_add_loop_test(tcase, every_picture, 0, sizeof batches / sizeof batches[0]);
    tcase_add_test(tcase, neighbours);
    tcase_add_loop_test(tcase, packs_in_one, 0, sizeof packs / sizeof packs[0]);
    tcase_add_test(tcase, packed_neighbours);
    tcase_add_test(tcase, packs_refused);
    tcase_add_loop_test(tcase, alone, 0, 2);
    tcase_add_test(tcase, small_keys);
    tcase_add_test(tcase, memory);
    tcase_add_test(tcase, stream_of_three);
    tcase_add_test(tcase, answers_at_once);
    tcase_add_loop_test(tcase, stream_of_packs, 0, 2);
    tcase_add_test(tcase, numbers_of_pictures);
}

int main(void)
{
    test_seed(83);
    seed = random_word();
    return test_run("batches of pictures", add_tests, 600);
}
