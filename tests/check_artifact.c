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
    ck_assert_ok(nn_client_init(&c, r->context, names, classes, &keys));
    ckks_key_list_clear(&keys);
    for (int i = 0; i < 3; i++) {
        c.mean[i] = 0.4 + 0.01 * i;
        c.std[i] = 0.2 + 0.01 * i;
    }
    c.input_bound = nn_input_bound(c.mean, c.std);
    c.input = nn_layout_of(3, 32);
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
    ck_assert_uint_eq(back.input.slots, 4096);
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
    nn_description_clear(&d);
    nn_client_clear(&back);
    nn_client_clear(&c);
    free(b.data);
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
    AT_MEAN = 16,
    AT_STD = 40,
    AT_BOUND = 64,
    AT_SCALE = 72,
    AT_BASIS = 80,
    AT_CHANNELS = 88,
    AT_SIDE = 92,
    AT_ROWS = 96,
    AT_CLASSES = 100,
    AT_NAMES = 104
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
                 {AT_BASIS, 0, "basis 0 does not fit"},
                 {AT_BASIS, 0xff, "does not fit"},
                 {AT_CHANNELS, 4, "4 planes of side 32"},
                 {AT_SIDE, 64, "planes of side 64"},
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

static void same_conv(const nn_conv *a, const nn_conv *b)
{
    ck_assert(a->in == b->in && a->out == b->out && a->kernel == b->kernel &&
              a->stride == b->stride && a->in_size == b->in_size);
    same_doubles(a->weight, b->weight, (size_t)a->in * a->out * a->kernel * a->kernel);
    same_doubles(a->bias, b->bias, a->out);
}

START_TEST(network_round_trip)
{
    test_seed(34);
    ring r = small_ring();
    for (int pad = 0; pad < 2; pad++)
        for (unsigned blocks = 1; blocks < 3; blocks++) {
            small_network s;
            nn_model *m;
            nn_plan *p;
            small_network_init(&s, blocks, 7, pad, random_word());
            if (pad) s.model.test_accuracy = (double)NAN;
            bytes b = network_bytes(&r, &s.model, &s.plan);
            ck_assert_ok(read_network(b, &m, &p));
            ck_assert_uint_eq(m->depth, s.model.depth);
            ck_assert_uint_eq(m->classes, 7);
            ck_assert_uint_eq(m->hash, s.model.hash);
            same_doubles(m->mean, s.model.mean, 3);
            same_doubles(m->std, s.model.std, 3);
            ck_assert(pad ? isnan(m->test_accuracy) : m->test_accuracy == 50);
            same_conv(&m->first, &s.model.first);
            for (unsigned k = 0; k < 3 * blocks; k++) {
                same_conv(&m->blocks[k].conv1, &s.model.blocks[k].conv1);
                same_conv(&m->blocks[k].conv2, &s.model.blocks[k].conv2);
                ck_assert_int_eq((int)m->blocks[k].shortcut, (int)s.model.blocks[k].shortcut);
                if (m->blocks[k].shortcut == NN_SHORTCUT_PROJECTION)
                    same_conv(&m->blocks[k].projection, &s.model.blocks[k].projection);
            }
            same_doubles(m->fc_weight, s.model.fc_weight, 7 * 64);
            same_doubles(m->fc_bias, s.model.fc_bias, 7);
            for (unsigned i = 0; i < 7; i++)
                ck_assert_str_eq(m->class_names[i], s.model.class_names[i]);
            ck_assert_uint_eq(p->count, s.plan.count);
            ck_assert_double_eq(p->eps, s.plan.eps);
            for (size_t i = 0; i < p->count; i++) {
                const nn_activation *x = &p->activations[i], *y = &s.plan.activations[i];
                ck_assert(x->degree == y->degree && x->channels == y->channels);
                same_doubles(x->centre, y->centre, x->channels);
                same_doubles(x->half_width, y->half_width, x->channels);
                same_doubles(x->coeff, y->coeff, (size_t)(x->degree + 1) * x->channels);
            }
            nn_model_free(m);
            nn_plan_free(p);
            free(b.data);
            small_network_clear(&s);
        }
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

START_TEST(bad_networks)
{
    test_seed(35);
    ring r = small_ring();
    small_network s;
    nn_model *m;
    nn_plan *p;
    small_network_init(&s, 1, 10, 0, 1);
    bytes good = network_bytes(&r, &s.model, &s.plan), b = bytes_copy(good);
    unsigned char *at = chunk_content(b, 1);
    static const struct {
        unsigned offset;
        uint32_t value;
        const char *text;
    } whole[] = {{0, 0, "0 blocks"},
                 {0, 51, "51 blocks"},
                 {0, 0xffffffff, "blocks a stage"},
                 {0, 2, ""},
                 {4, 1, "1 classes"},
                 {4, 0xffffffff, "classes are not"},
                 {4, 9, "too many"},
                 {4, 11, "too short"},
                 {8, 2, "shortcut"},
                 {12, 0xffffffff, "shortcut"},
                 {8, 0, "the length is"}};
    for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++) {
        ckks_put32(at + whole[i].offset, whole[i].value);
        refuse_network(b, 1, whole[i].text);
        memcpy(b.data, good.data, b.length);
    }
    ckks_put_double(at + 24, (double)INFINITY);
    refuse_network(b, 1, "no normalisation");
    memcpy(b.data, good.data, b.length);
    for (unsigned chunk = 2; chunk < 2 + 9 + 1; chunk += 3) {
        ckks_put_double(chunk_content(b, chunk) + 8, (double)NAN);
        refuse_network(b, chunk, "value 1 is not finite");
        memcpy(b.data, good.data, b.length);
    }
    unsigned last = 0;
    while (memcmp(b.data + chunk_at(b, 0, last), "PLAN", 4) != 0) last++;
    char *plan = (char *)chunk_content(b, last), *hash = strstr(plan, "000000000000002a");
    ck_assert_ptr_nonnull(hash);
    hash[15] = 'b';
    refuse_network(b, last, "the plan is for another model");
    hash[15] = '?';
    refuse_network(b, last, "'PLAN' at byte");
    memcpy(b.data, good.data, b.length);
    /* truncation anywhere, damage in places */
    for (b.length = 0; b.length < good.length; b.length += b.length < 600 ? 1 : 4999)
        ck_assert_fails(read_network(b, &m, &p), FHOLA_FORMAT);
    b.length = good.length;
    for (size_t i = 0; i < b.length; i += i < 600 ? 1 : 4999) {
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
static fhola_status infer_from(nn_server *server, const char *from, const char *to, unsigned *done)
{
    ckks_reader *in;
    ckks_writer *out;
    int more = 1;
    fhola_status st = FHOLA_OK;
    *done = 0;
    ck_assert_ok(ckks_reader_open(&in, from));
    ck_assert_ok(ckks_writer_open(&out, to, 0));
    while (!st && more) {
        st = nn_server_infer(server, out, in, &more, NULL);
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

START_TEST(two_parties)
{
    test_seed(36);
    small_network s;
    ckks_params *params;
    nn_owner *owner, *other;
    nn_server *server;
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
    ckks_writer *w;
    ck_assert_ok(ckks_writer_open(&w, in_folder("none"), 0));
    ck_assert_fails(nn_owner_encrypt(owner, w, rgb), FHOLA_KEY);
    ckks_writer_destroy(w);
    ck_assert_fails(
        nn_owner_generate(owner, in_folder("s.key"), in_folder("none/e.keys"), NULL, NULL),
        FHOLA_IO);
    ck_assert_fails(
        nn_owner_generate(owner, in_folder("s.key"), in_folder("e.keys"), stop_at_once, NULL),
        FHOLA_IO);
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
        FHOLA_IO);
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
    ck_assert_fails(infer_from(server, in_folder("x.ct"), in_folder("y.ct"), &done), FHOLA_KEY);
    ck_assert_detail("no evaluation keys");
    ck_assert_fails(nn_server_load_keys(server, in_folder("s.key"), NULL, NULL), FHOLA_SECURITY);
    ck_assert_ptr_null(nn_server_keys(server));
    ck_assert_fails(nn_server_load_keys(server, in_folder("x.ct"), NULL, NULL), FHOLA_FORMAT);
    ck_assert_fails(nn_server_load_keys(server, in_folder("e.keys"), stop_at_once, NULL), FHOLA_IO);
    ck_assert_ok(nn_server_load_keys(server, in_folder("e.keys"), NULL, NULL));
    ck_assert_fails(infer_from(server, in_folder("s.key"), in_folder("y.ct"), &done),
                    FHOLA_SECURITY);
    ck_assert_ok(infer_from(server, in_folder("x.ct"), in_folder("y.ct"), &done));
    ck_assert_uint_eq(done, 2);
    ck_assert_double_lt(file_megabytes(in_folder("y.ct")), 2 * 0.4);

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
    ck_assert_fails(infer_from(server, in_folder("y.ct"), in_folder("z.ct"), &done), FHOLA_LEVEL);
    ck_assert_detail("this is no encrypted picture");

    /* another owner, of the same network and of another one */
    ck_assert_ok(nn_owner_open_client(&other, in_folder("n.client")));
    ck_assert_ok(nn_owner_generate(other, in_folder("s2.key"), in_folder("e2.keys"), NULL, NULL));
    encrypt_to(other, in_folder("x2.ct"), rgb, 1);
    ck_assert_fails(decrypt_from(other, in_folder("y.ct"), scores), FHOLA_KEY);
    ck_assert_detail("of another key");
    ck_assert_fails(infer_from(server, in_folder("x2.ct"), in_folder("z.ct"), &done), FHOLA_KEY);
    ck_assert_detail("of another key");
    nn_owner_destroy(other);
    s.model.hash = s.plan.model_hash = 43;
    ck_assert_ok(nn_owner_create(&other, params, &s.model, &s.plan));
    nn_owner_overwrite(other);
    ck_assert_ok(nn_owner_generate(other, in_folder("s2.key"), in_folder("e2.keys"), NULL, NULL));
    encrypt_to(other, in_folder("x2.ct"), rgb, 1);
    ck_assert_fails(nn_server_load_keys(server, in_folder("e2.keys"), NULL, NULL), FHOLA_KEY);
    ck_assert_detail("another network");
    ck_assert_fails(decrypt_from(other, in_folder("y.ct"), scores), FHOLA_KEY);
    ck_assert_ptr_nonnull(nn_server_keys(server)); /* its own keys are still there */
    ck_assert_ok(decrypt_from(owner, in_folder("y.ct"), scores));

    nn_owner_destroy(other);
    nn_owner_destroy(owner);
    nn_server_destroy(server);
    ckks_params_destroy(params);
    small_network_clear(&s);
}
END_TEST

/* ---- client files that ask for what would endanger the secret key ---- */

/* Writes a client file that asks for one key more, for parameters that are not checked. */
static void write_hostile(const char *path, const ring *r, const ckks_params *params,
                          ckks_key_request request)
{
    nn_client c = some_client(r, 3);
    ckks_writer *writer;
    nn_description d;
    ck_assert_ok(ckks_key_list_add(&c.keys, r->context, request));
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

/* Opened and, were it not refused, used. */
static fhola_status keys_for(const char *client)
{
    nn_owner *owner = NULL;
    fhola_status st = nn_owner_open_client(&owner, client);
    if (st == FHOLA_OK)
        st = nn_owner_generate(owner, in_folder("secret.key"), in_folder("eval.keys"), NULL, NULL);
    nn_owner_destroy(owner);
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
    write_hostile(in_folder("x.client"), &r, &params, harmless);
    ck_assert_ok(keys_for(in_folder("x.client")));
    ck_assert_int_eq(remove(in_folder("secret.key")) | remove(in_folder("eval.keys")), 0);
    for (int i = 0; i < 5; i++)
        for (int k = 0; k < 3; k++) {
            params.spec.hamming_weight = weight[i];
            params.hash = ckks_params_hash_make(&params);
            write_hostile(in_folder("x.client"), &r, &params, wrong[k]);
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
        write_hostile(in_folder("x.client"), &r, &params, odd[i]);
        ck_assert_fails(keys_for(in_folder("x.client")), FHOLA_FORMAT);
        ck_assert_detail("key 2: ");
    }
    ring_close(&r);
}
END_TEST

static void file_cases(TCase *t)
{
    tcase_add_test(t, client_round_trip);
    tcase_add_test(t, client_damage);
    tcase_add_test(t, bad_clients);
    tcase_add_test(t, network_round_trip);
    tcase_add_test(t, bad_networks);
}

static void party_cases(TCase *t)
{
    tcase_add_checked_fixture(t, open_folder, close_folder);
    tcase_add_test(t, hostile_clients);
    tcase_add_test(t, two_parties);
}

int main(void)
{
    int failed = test_run("artifact", file_cases, 180);
    return test_run("two parties", party_cases, 600) || failed;
}
