/* SPDX-License-Identifier: Apache-2.0 */
/* The file container: what is written comes back; every damage, every foreign or truncated file,
 * every failing stream gives an error and leaves nothing behind. */
#include "tests/container_support.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ckks/output.h"

static ckks_params *toy;

static void open_toy(void)
{
    ck_assert_ok(ckks_params_named(&toy, "toy"));
}

static void close_toy(void)
{
    ckks_params_destroy(toy);
}

/* ---- packed residues ---- */

START_TEST(packing)
{
    test_seed(1);
    for (unsigned width = 4; width <= 8; width++)
        for (unsigned bits = 1; bits <= (width == 8 ? 57 : 8 * width); bits++)
            for (size_t n = 8; n <= 1024; n *= 4) {
                size_t length = ckks_packed_bits_bytes(n, bits);
                uint64_t limit = (uint64_t)1 << bits, *value = malloc(n * sizeof *value);
                unsigned char *words = malloc(n * width), *back = malloc(n * width),
                              *packed = malloc(length + CKKS_UNPACK_SLACK);
                ck_assert(value && words && back && packed);
                memset(packed, 0xa5, length + CKKS_UNPACK_SLACK);
                for (size_t i = 0; i < n; i++) {
                    value[i] = i < 4 ? limit - 1 : random_word() % limit;
                    if (width == 8)
                        ((uint64_t *)(void *)words)[i] = value[i];
                    else
                        for (unsigned k = 0; k < width; k++)
                            words[i * width + k] = (unsigned char)(value[i] >> 8 * k);
                }
                ckks_pack_bits(packed, words, width, n, bits);
                for (unsigned i = 0; i < CKKS_UNPACK_SLACK; i++)
                    ck_assert_uint_eq(packed[length + i], 0xa5);
                for (size_t i = 0; i < n; i++) /* bit by bit, as the format says */
                    for (unsigned k = 0; k < bits; k++) {
                        size_t bit = i * bits + k;
                        ck_assert_uint_eq(packed[bit / 8] >> (bit % 8) & 1u, value[i] >> k & 1u);
                    }
                memset(back, 0xa5, n * width);
                ck_assert_uint_eq(ckks_unpack_bits(back, width, packed, n, bits, limit), 0);
                ck_assert_mem_eq(back, words, n * width);
                size_t above = 0;
                for (size_t i = 0; i < n; i++) above += value[i] >= limit - limit / 4;
                ck_assert_uint_eq(ckks_unpack_bits(back, width, packed, n, bits, limit - limit / 4),
                                  above);
                free(value);
                free(words);
                free(back);
                free(packed);
            }
}
END_TEST

START_TEST(specification)
{
    const char *name;
    for (size_t i = 0;
         (name = i < 2 ? (const char *[]){"toy", "toy-boot"}[i] : ckks_params_name(i - 2)) != NULL;
         i++) {
        ckks_params_spec spec = named_spec(name), back;
        unsigned char once[CKKS_SPEC_BYTES], again[CKKS_SPEC_BYTES];
        ckks_params *a, *b;
        memset(&back, 0xff, sizeof back);
        ckks_spec_to_bytes(once, &spec);
        ckks_spec_from_bytes(&back, once);
        ckks_spec_to_bytes(again, &back);
        ck_assert_mem_eq(once, again, sizeof once);
        ck_assert_ok(ckks_params_create(&a, &spec));
        ck_assert_ok(ckks_params_create(&b, &back));
        ck_assert_uint_eq(ckks_params_hash(a), ckks_params_hash(b));
        ckks_params_destroy(a);
        ckks_params_destroy(b);
    }
}
END_TEST

/* ---- a container and its way back ---- */

#define KEY 0x0123456789abcdefu

static void write_sample(ckks_writer *w, ckks_file_kind kind, unsigned char fill)
{
    unsigned char content[100];
    memset(content, fill, sizeof content);
    ck_assert_ok(ckks_writer_begin(w, kind, toy, KEY));
    ck_assert_ok(ckks_writer_chunk(w, "ONE ", content, sizeof content));
    ck_assert_ok(ckks_writer_chunk(w, "TWO ", content, 0));
    ck_assert_ok(ckks_writer_end(w));
}

static bytes sample(void)
{
    memory_writer m;
    memory_open(&m);
    write_sample(m.writer, CKKS_FILE_CIPHERTEXT, 7);
    ck_assert_uint_eq(ckks_writer_bytes(m.writer), 40 + 32 + CKKS_SPEC_BYTES + 32 + 100 + 32 + 32);
    return memory_close(&m);
}

static fhola_status read_chunks(ckks_reader *r, unsigned char fill)
{
    const unsigned char *content;
    size_t length;
    fhola_status st = ckks_reader_chunk(r, "ONE ", 10, 100, &content, &length);
    if (st) return st;
    ck_assert_uint_eq(length, 100);
    for (size_t i = 0; i < length; i++) ck_assert_uint_eq(content[i], fill);
    return ckks_reader_chunk(r, "TWO ", 0, 0, &content, &length);
}

static fhola_status read_sample(bytes b, size_t step, size_t fail_at, int error)
{
    limited s = {
        .data = b.data, .length = b.length, .step = step, .fail_at = fail_at, .error = error};
    FILE *stream = limited_stream(&s, "rb");
    ckks_reader *r;
    ck_assert_ok(ckks_reader_create(&r, stream, "memory"));
    ckks_reader_allow_insecure(r);
    fhola_status st = ckks_reader_begin(r, NULL, CKKS_FILE_CIPHERTEXT, NULL, KEY);
    if (!st) st = read_chunks(r, 7);
    if (!st) st = ckks_reader_finish(r);
    ckks_reader_destroy(r);
    fclose(stream);
    return st;
}

START_TEST(round_trip)
{
    bytes b = sample();
    for (size_t step = 0; step < 50; step++) ck_assert_ok(read_sample(b, step, 0, 0));
    free(b.data);
}
END_TEST

START_TEST(streams)
{
    memory_writer m;
    memory_open(&m);
    for (unsigned char i = 0; i < 5; i++) write_sample(m.writer, CKKS_FILE_CIPHERTEXT, i);
    write_sample(m.writer, CKKS_FILE_EVAL_KEYS, 5);
    bytes b = memory_close(&m);
    limited s;
    FILE *stream;
    ckks_reader *r = bytes_reader(b, &s, &stream);
    int more = 7;
    for (unsigned char i = 0; i < 6; i++) {
        ck_assert_ok(ckks_reader_begin(r, &more, CKKS_FILE_ANY, NULL, 0));
        ck_assert_int_eq(more, 1);
        ckks_file_head head = ckks_reader_head(r);
        ck_assert_int_eq((int)head.kind, i < 5 ? CKKS_FILE_CIPHERTEXT : CKKS_FILE_EVAL_KEYS);
        ck_assert_uint_eq(head.offset, i * (b.length / 6));
        ck_assert_uint_eq(head.key, KEY);
        ck_assert_uint_eq(head.params, ckks_params_hash(toy));
        ck_assert_uint_eq(ckks_params_hash(ckks_reader_params(r)), ckks_params_hash(toy));
        if (i % 2) {
            ck_assert_ok(read_chunks(r, i));
            ck_assert_ok(ckks_reader_end(r));
            continue;
        }
        static const char *const tags[] = {"ONE ", "TWO ", "END "};
        for (int k = 0; k < 3; k++) {
            ckks_chunk_info info;
            ck_assert_ok(ckks_reader_skip(r, &info));
            ck_assert_str_eq(info.tag, tags[k]);
            ck_assert_uint_eq(info.length, k ? 0 : 100);
            ck_assert_uint_eq(info.offset, head.offset + 40 + 32 + CKKS_SPEC_BYTES + 32 +
                                               (k > 0) * 132u + (k > 1) * 32u);
        }
    }
    ck_assert_ok(ckks_reader_begin(r, &more, CKKS_FILE_ANY, NULL, 0));
    ck_assert_int_eq(more, 0);
    ck_assert_fails(ckks_reader_begin(r, NULL, CKKS_FILE_ANY, NULL, 0), FHOLA_FORMAT);
    ck_assert_detail("another object");
    ckks_reader_destroy(r);
    fclose(stream);
    free(b.data);
}
END_TEST

/* ---- damage ---- */

START_TEST(every_byte_damaged)
{
    bytes b = sample();
    for (size_t i = 0; i < b.length; i++)
        for (unsigned bit = 0; bit < 8; bit++) {
            b.data[i] ^= (unsigned char)(1u << bit);
            ck_assert_fails(read_sample(b, 0, 0, 0), FHOLA_FORMAT);
            ck_assert_detail("memory: ");
            b.data[i] ^= (unsigned char)(1u << bit);
        }
    ck_assert_ok(read_sample(b, 0, 0, 0));
    free(b.data);
}
END_TEST

START_TEST(every_truncation)
{
    bytes b = sample();
    size_t length = b.length;
    for (b.length = 0; b.length < length; b.length++) {
        ck_assert_fails(read_sample(b, 0, 0, 0), FHOLA_FORMAT);
        ck_assert_detail(b.length ? "truncated" : "memory: empty");
    }
    free(b.data);
}
END_TEST

START_TEST(something_follows)
{
    bytes b = sample();
    b.data = realloc(b.data, b.length + 1);
    ck_assert_ptr_nonnull(b.data);
    b.data[b.length++] = 0x89;
    ck_assert_fails(read_sample(b, 0, 0, 0), FHOLA_FORMAT);
    ck_assert_detail("follows the end at byte 492");
    free(b.data);
}
END_TEST

START_TEST(failing_reads)
{
    bytes b = sample();
    for (size_t at = 0; at < b.length; at++) {
        ck_assert_fails(read_sample(b, 13, at, EIO), FHOLA_IO);
        char where[64];
        snprintf(where, sizeof where, "memory: reading at byte %zu: ", at);
        ck_assert_detail(where);
        ck_assert_detail(strerror(EIO));
    }
    free(b.data);
}
END_TEST

/* The bytes that have been looked at come first again, whatever their number. */
START_TEST(looked_at)
{
    static const unsigned char weights[8] = {0x89, 'F'}, png[] = "\x89PNG\r\n\x1a\n";
    bytes b = sample();
    ck_assert(!ckks_is_container(weights, 8) && !ckks_is_container(png, 8));
    for (size_t looked = 0; looked <= CKKS_LOOK_BYTES; looked++) {
        unsigned char first[CKKS_LOOK_BYTES];
        limited s;
        FILE *stream;
        ckks_reader *r = bytes_reader(b, &s, &stream);
        ck_assert_uint_eq(fread(first, 1, looked, stream), looked);
        ck_assert_int_eq(ckks_is_container(first, looked), looked > 0);
        ckks_reader_unread(r, first, looked);
        ck_assert_ok(ckks_reader_begin(r, NULL, CKKS_FILE_CIPHERTEXT, NULL, KEY));
        ck_assert_ok(read_chunks(r, 7));
        ck_assert_ok(ckks_reader_finish(r));
        ckks_reader_destroy(r);
        fclose(stream);
    }
    free(b.data);
}
END_TEST

/* ---- right checksums, wrong content ---- */

START_TEST(foreign_files)
{
    bytes b = sample(), c = bytes_copy(b);
    ckks_put32(b.data + 8, 6);
    fix_head(b);
    ck_assert_fails(read_sample(b, 0, 0, 0), FHOLA_FORMAT);
    ck_assert_detail("format version 6 is newer than version 5");
    ckks_put32(b.data + 8, 4);
    fix_head(b);
    ck_assert_fails(read_sample(b, 0, 0, 0), FHOLA_FORMAT);
    ck_assert_detail(
        "format version 4 is older than version 5, the one this program reads: compile the "
        "network and make the keys anew");
    memcpy(b.data, c.data, b.length);

    static const uint32_t kinds[] = {0, 7, 0xffffffff};
    for (int i = 0; i < 3; i++) {
        ckks_put32(b.data + 12, kinds[i]);
        fix_head(b);
        ck_assert_fails(read_sample(b, 0, 0, 0), FHOLA_FORMAT);
        ck_assert_detail("unknown kind of object");
    }
    ckks_put32(b.data + 12, CKKS_FILE_CLIENT);
    fix_head(b);
    ck_assert_fails(read_sample(b, 0, 0, 0), FHOLA_FORMAT);
    ck_assert_detail("memory: a client file instead of a ciphertext");
    ckks_put32(b.data + 12, CKKS_FILE_SECRET_KEY);
    fix_head(b);
    ck_assert_fails(read_sample(b, 0, 0, 0), FHOLA_SECURITY);
    ck_assert_detail("memory: a secret key instead of a ciphertext; it must stay with its owner");
    memcpy(b.data, c.data, b.length);

    ckks_put64(b.data + 24, KEY + 1);
    fix_head(b);
    ck_assert_fails(read_sample(b, 0, 0, 0), FHOLA_KEY);
    ck_assert_detail(
        "memory: a ciphertext of another key (0123456789abcdf0, not 0123456789abcdef)");

    bytes text =
              {(unsigned char *)(uintptr_t) "P6 32 32 255 not of this kind at all, but long enough",
               53},
          shorter = {text.data, 5};
    ck_assert_fails(read_sample(text, 0, 0, 0), FHOLA_FORMAT);
    ck_assert_detail("memory: byte 0: not a fhola file");
    ck_assert_fails(read_sample(shorter, 0, 0, 0), FHOLA_FORMAT);
    ck_assert_detail("memory: byte 0: not a fhola file");
    free(b.data);
    free(c.data);
}
END_TEST

START_TEST(other_parameters)
{
    bytes b = sample();
    ckks_params_spec spec = flat_spec(5, 30, 2, 30);
    ring r;
    test_seed(2);
    ring_open(&r, &spec, NULL);
    limited s;
    FILE *stream;
    ckks_reader *reader = bytes_reader(b, &s, &stream);
    ck_assert_fails(ckks_reader_begin(reader, NULL, CKKS_FILE_CIPHERTEXT, r.context, KEY),
                    FHOLA_KEY);
    ck_assert_detail("memory: a ciphertext for other parameters");
    ckks_reader_destroy(reader);
    fclose(stream);
    ring_close(&r);
    free(b.data);
}
END_TEST

/* The parameters in the sample, changed. */
static fhola_status read_with_spec(const ckks_params_spec *spec, int allow_insecure, int fix_hash)
{
    bytes b = sample();
    ckks_spec_to_bytes(chunk_content(b, 0), spec);
    fix_chunk(b, 0);
    ckks_params *params = NULL;
    if (fix_hash) ck_assert_ok(ckks_params_create(&params, spec));
    if (fix_hash) ckks_put64(b.data + 16, ckks_params_hash(params));
    ckks_params_destroy(params);
    fix_head(b);
    limited s = {.data = b.data, .length = b.length};
    FILE *stream = limited_stream(&s, "rb");
    ckks_reader *r;
    ck_assert_ok(ckks_reader_create(&r, stream, "memory"));
    if (allow_insecure) ckks_reader_allow_insecure(r);
    fhola_status st = ckks_reader_begin(r, NULL, CKKS_FILE_CIPHERTEXT, NULL, 0);
    ckks_reader_destroy(r);
    fclose(stream);
    free(b.data);
    return st;
}

START_TEST(bad_parameters)
{
    ckks_params_spec good = named_spec("R15"), bad = good;
    ck_assert_ok(read_with_spec(&good, 0, 1));
    ck_assert_fails(read_with_spec(&good, 0, 0), FHOLA_FORMAT);
    ck_assert_detail("the head says");
    bad.insecure = 1;
    ck_assert_fails(read_with_spec(&bad, 0, 1), FHOLA_SECURITY);
    ck_assert_detail("memory: chunk 0 'PARM' at byte 40: the parameters are marked as insecure");
    bad = good;
    bad.special_primes += 2;
    ck_assert_fails(read_with_spec(&bad, 0, 0), FHOLA_SECURITY);
    ck_assert_detail("128-bit cap");
    bad = good;
    bad.hamming_weight = 31;
    ck_assert_fails(read_with_spec(&bad, 0, 0), FHOLA_SECURITY);
    bad = good;
    bad.log_n = 40;
    ck_assert_fails(read_with_spec(&bad, 0, 0), FHOLA_FORMAT);
    bad = good;
    bad.residual_levels = 0xffffffffu;
    ck_assert_fails(read_with_spec(&bad, 0, 0), FHOLA_FORMAT);
    double *const real[] = {&bad.base_bits,
                            &bad.stc_bits,
                            &bad.residual_bits,
                            &bad.scale_bits,
                            &bad.cts_bits,
                            &bad.special_bits,
                            &bad.eps,
                            &bad.eval_mod_power,
                            &bad.eval_mod_scale_bits[3],
                            &bad.residual_low_bits[0],
                            &bad.residual_low_bits[1]};
    for (size_t i = 0; i < sizeof real / sizeof real[0]; i++) {
        bad = good;
        *real[i] = i % 2 ? (double)INFINITY : (double)NAN;
        ck_assert_fails(read_with_spec(&bad, 0, 0), FHOLA_FORMAT);
        ck_assert_detail("not a finite number");
    }
}
END_TEST

START_TEST(chunks_out_of_place)
{
    bytes b = sample(), c = bytes_copy(b);
    size_t one = chunk_at(b, 0, 1), two = chunk_at(b, 0, 2), end = chunk_at(b, 0, 3);
    /* another tag, another number */
    memcpy(b.data + one, "BOO ", 4);
    fix_chunk_head(b, 1);
    ck_assert_fails(read_sample(b, 0, 0, 0), FHOLA_FORMAT);
    ck_assert_detail("memory: chunk 1 'BOO ' at byte 296: chunk 'ONE ' must come here");
    memcpy(b.data + one, "\n\x1b[1", 4);
    fix_chunk_head(b, 1);
    ck_assert_fails(read_sample(b, 0, 0, 0), FHOLA_FORMAT);
    ck_assert_detail("'\?\?[1'");
    memcpy(b.data, c.data, b.length);
    ckks_put32(b.data + one + 4, 5);
    fix_chunk_head(b, 1);
    ck_assert_fails(read_sample(b, 0, 0, 0), FHOLA_FORMAT);
    ck_assert_detail("it is number 5");
    memcpy(b.data, c.data, b.length);
    /* chunk 1 left out; chunk 1 twice */
    memmove(b.data + one, b.data + two, b.length - two);
    b.length -= two - one;
    ck_assert_fails(read_sample(b, 0, 0, 0), FHOLA_FORMAT);
    ck_assert_detail("missing or out of place");
    b.length = c.length;
    memcpy(b.data, c.data, b.length);
    memcpy(b.data + end, b.data + two, 32);
    ck_assert_fails(read_sample(b, 0, 0, 0), FHOLA_FORMAT);
    ck_assert_detail("missing or out of place");
    free(b.data);
    free(c.data);
}
END_TEST

/* A chunk that claims `length` bytes, with a head that says so consistently. */
START_TEST(claimed_lengths)
{
    static const uint64_t claims[] = {
        0, 9, 101, 1u << 20, 0xffffffffu, (uint64_t)1 << 40, (uint64_t)1 << 63, UINT64_MAX};
    bytes b = sample();
    size_t one = chunk_at(b, 0, 1);
    for (size_t i = 0; i < sizeof claims / sizeof claims[0]; i++) {
        ckks_put64(b.data + one + 8, claims[i]);
        ckks_put64(b.data + one + 24, XXH3_64bits(b.data + one, 24));
        ck_assert_fails(read_sample(b, 0, 0, 0), FHOLA_FORMAT);
        ck_assert_detail("is not in 10..100");
        /* also when it is not to be kept: reads on to the end, in one small buffer */
        limited s;
        FILE *stream;
        ckks_chunk_info info;
        ckks_reader *r = bytes_reader(b, &s, &stream);
        ck_assert_ok(ckks_reader_begin(r, NULL, CKKS_FILE_ANY, NULL, 0));
        ck_assert_fails(ckks_reader_skip(r, &info), FHOLA_FORMAT);
        ckks_reader_destroy(r);
        fclose(stream);
    }
    free(b.data);
}
END_TEST

START_TEST(end_mark_with_content)
{
    memory_writer m;
    memory_open(&m);
    ck_assert_ok(ckks_writer_begin(m.writer, CKKS_FILE_CIPHERTEXT, toy, 0));
    ck_assert_ok(ckks_writer_chunk(m.writer, "ENDS", "hidden", 6));
    ck_assert_ok(ckks_writer_end(m.writer));
    bytes b = memory_close(&m);
    memcpy(b.data + chunk_at(b, 0, 1), "END ", 4);
    fix_chunk_head(b, 1);
    limited s;
    FILE *stream;
    ckks_chunk_info info;
    ckks_reader *r = bytes_reader(b, &s, &stream);
    ck_assert_ok(ckks_reader_begin(r, NULL, CKKS_FILE_ANY, NULL, 0));
    ck_assert_fails(ckks_reader_skip(r, &info), FHOLA_FORMAT);
    ck_assert_detail("the end mark is not empty");
    ckks_reader_destroy(r);
    fclose(stream);
    free(b.data);
}
END_TEST

/* ---- misuse ---- */

START_TEST(misuse)
{
    memory_writer m;
    memory_open(&m);
    ckks_writer *w = m.writer;
    ck_assert_fails(ckks_writer_chunk(w, "ONE ", "", 0), FHOLA_PARAM);
    ck_assert_fails(ckks_writer_end(w), FHOLA_PARAM);
    ck_assert_fails(ckks_writer_begin(w, CKKS_FILE_ANY, toy, 0), FHOLA_PARAM);
    ck_assert_ok(ckks_writer_begin(w, CKKS_FILE_CLIENT, toy, 0));
    ck_assert_fails(ckks_writer_begin(w, CKKS_FILE_CLIENT, toy, 0), FHOLA_PARAM);
    ck_assert_fails(ckks_writer_chunk(w, "END ", "", 0), FHOLA_PARAM);
    ck_assert_fails(ckks_writer_chunk(w, "LONGER", "", 0), FHOLA_PARAM);
    ck_assert_fails(ckks_writer_commit(w), FHOLA_PARAM);
    ck_assert_ok(ckks_writer_end(w));
    bytes b = memory_close(&m);
    limited s;
    FILE *stream;
    const unsigned char *content;
    ckks_chunk_info info;
    ckks_reader *r = bytes_reader(b, &s, &stream);
    ck_assert_fails(ckks_reader_chunk(r, "ONE ", 0, 9, &content, NULL), FHOLA_PARAM);
    ck_assert_fails(ckks_reader_skip(r, &info), FHOLA_PARAM);
    ck_assert_fails(ckks_reader_end(r), FHOLA_PARAM);
    ck_assert_ok(ckks_reader_begin(r, NULL, CKKS_FILE_ANY, NULL, 0));
    ck_assert_fails(ckks_reader_begin(r, NULL, CKKS_FILE_ANY, NULL, 0), FHOLA_PARAM);
    ckks_reader_destroy(r);
    fclose(stream);
    free(b.data);
    ckks_reader_destroy(NULL);
    ckks_writer_destroy(NULL);
}
END_TEST

/* ---- named files ---- */

static char folder[] = "/tmp/fhola-check-XXXXXX";

static void open_folder(void)
{
    open_toy();
    snprintf(folder, sizeof folder, "/tmp/fhola-check-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void close_folder(void)
{
    char command[100];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    ck_assert_int_eq(system(command), 0);
    close_toy();
}

static const char *in_folder(const char *name)
{
    static char path[4][200];
    static int turn;
    turn = (turn + 1) % 4;
    snprintf(path[turn], sizeof path[turn], "%s/%s", folder, name);
    return path[turn];
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

static void put_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    ck_assert_int_ge(fputs(text, f), 0);
    ck_assert_int_eq(fclose(f), 0);
}

static void assert_holds_sample(const char *path)
{
    ckks_reader *r;
    ck_assert_ok(ckks_reader_open(&r, path));
    ckks_reader_allow_insecure(r);
    ck_assert_ok(ckks_reader_begin(r, NULL, CKKS_FILE_CIPHERTEXT, NULL, 0));
    ck_assert_ok(read_chunks(r, 9));
    ck_assert_ok(ckks_reader_finish(r));
    ckks_reader_destroy(r);
}

static void assert_holds_text(const char *path, const char *text)
{
    char line[64] = "";
    FILE *f = fopen(path, "rb");
    ck_assert_ptr_nonnull(f);
    ck_assert_ptr_nonnull(fgets(line, sizeof line, f));
    fclose(f);
    ck_assert_str_eq(line, text);
}

START_TEST(named_files)
{
    const char *path = in_folder("x");
    ckks_writer *w;
    struct stat info;
    /* with a temporary name, or without one where the system can do that */
    for (unsigned flags = 0; flags <= 9; flags = flags == 0 ? 8 : flags == 8 ? 1 : flags + 8) {
        unsigned owner_only = flags & CKKS_WRITER_OWNER_ONLY, files = files_in_folder();
        ck_assert_ok(ckks_writer_open(&w, path, flags));
        if (flags & CKKS_OUTPUT_NAMED) ck_assert_uint_eq(files_in_folder(), files + 1);
        write_sample(w, CKKS_FILE_CIPHERTEXT, 9);
        /* nothing there before the commit */
        ck_assert_int_eq(access(path, F_OK), files ? 0 : -1);
        ck_assert_ok(ckks_writer_commit(w));
        ck_assert_fails(ckks_writer_commit(w), FHOLA_PARAM);
        ckks_writer_destroy(w);
        ck_assert_uint_eq(files_in_folder(), 1);
        assert_holds_sample(path);
        ck_assert_int_eq(stat(path, &info), 0);
        mode_t mask = umask(022);
        umask(mask);
        ck_assert_uint_eq(info.st_mode & 0777, owner_only ? 0600 : 0666 & ~mask);
    }
}
END_TEST

/* A file that must not be replaced, there before or only since the writer was opened. */
START_TEST(new_files)
{
    const char *path = in_folder("x");
    ckks_writer *w;
    for (unsigned named = 0; named <= CKKS_OUTPUT_NAMED; named += CKKS_OUTPUT_NAMED) {
        ck_assert_ok(ckks_writer_open(&w, path, CKKS_WRITER_NEW | named));
        write_sample(w, CKKS_FILE_CIPHERTEXT, 9);
        put_text(path, "in the meantime");
        ck_assert_fails(ckks_writer_commit(w), FHOLA_PARAM);
        ck_assert_detail("x exists");
        ckks_writer_destroy(w);
        ck_assert_fails(ckks_writer_open(&w, path, CKKS_WRITER_NEW | named), FHOLA_PARAM);
        ck_assert_uint_eq(files_in_folder(), 1);
        assert_holds_text(path, "in the meantime");
        ck_assert_int_eq(unlink(path), 0);
        ck_assert_ok(ckks_writer_open(&w, path, CKKS_WRITER_NEW | named));
        write_sample(w, CKKS_FILE_CIPHERTEXT, 9);
        ck_assert_ok(ckks_writer_commit(w));
        ckks_writer_destroy(w);
        assert_holds_sample(path);
        ck_assert_int_eq(unlink(path), 0);
        ck_assert_uint_eq(files_in_folder(), 0);
    }
}
END_TEST

/* The second of two cannot be put in its place: the first place has again what it had. */
START_TEST(both_or_none)
{
    char first[200], second[200];
    ckks_writer *a, *b;
    snprintf(first, sizeof first, "%s/first", folder);
    snprintf(second, sizeof second, "%s/second", folder);
    for (unsigned old = 0; old < 2; old++) {
        if (old) put_text(first, "old");
        ck_assert_ok(ckks_writer_open(&a, first, 0));
        ck_assert_ok(ckks_writer_open(&b, second, 0));
        write_sample(a, CKKS_FILE_CIPHERTEXT, 9);
        write_sample(b, CKKS_FILE_CIPHERTEXT, 9);
        ck_assert_int_eq(mkdir(second, 0777), 0);
        ck_assert_fails(ckks_writer_commit_both(a, b), FHOLA_IO);
        ckks_writer_destroy(a);
        ckks_writer_destroy(b);
        ck_assert_int_eq(rmdir(second), 0);
        ck_assert_uint_eq(files_in_folder(), old);
        if (old) assert_holds_text(first, "old");
    }
    ck_assert_ok(ckks_writer_open(&a, first, 0));
    ck_assert_ok(ckks_writer_open(&b, second, 0));
    write_sample(a, CKKS_FILE_CIPHERTEXT, 9);
    write_sample(b, CKKS_FILE_CIPHERTEXT, 9);
    ck_assert_ok(ckks_writer_commit_both(a, b));
    ckks_writer_destroy(a);
    ckks_writer_destroy(b);
    assert_holds_sample(first);
    assert_holds_sample(second);
    ck_assert_uint_eq(files_in_folder(), 2);
    ck_assert_ok(ckks_writer_open(&a, first, 0));
    ck_assert_ok(ckks_writer_open(&b, first, 0));
    write_sample(a, CKKS_FILE_CIPHERTEXT, 9);
    write_sample(b, CKKS_FILE_CIPHERTEXT, 9);
    ck_assert_fails(ckks_writer_commit_both(a, b), FHOLA_PARAM);
    ck_assert_detail("the same file");
    ckks_writer_destroy(a);
    ckks_writer_destroy(b);
}
END_TEST

START_TEST(locked_folders)
{
    ckks_writer *a, *b;
    ck_assert_ok(ckks_writer_open(&a, in_folder("a"), CKKS_WRITER_LOCK));
    ck_assert_fails(ckks_writer_open(&b, in_folder("b"), CKKS_WRITER_LOCK), FHOLA_IO);
    ck_assert_detail("another process");
    ck_assert_ok(ckks_writer_open(&b, in_folder("b"), 0));
    ckks_writer_destroy(b);
    ckks_writer_destroy(a);
    ck_assert_ok(ckks_writer_open(&b, in_folder("b"), CKKS_WRITER_LOCK));
    ckks_writer_destroy(b);
}
END_TEST

/* A file is never written to while it is read. */
START_TEST(spared_files)
{
    char path[200], link[200];
    ckks_writer *w;
    ckks_reader *r;
    snprintf(path, sizeof path, "%s/x", folder);
    snprintf(link, sizeof link, "%s/y", folder);
    ck_assert_ok(ckks_writer_open(&w, path, 0));
    write_sample(w, CKKS_FILE_CIPHERTEXT, 9);
    ck_assert_ok(ckks_writer_commit(w));
    ckks_writer_destroy(w);
    ck_assert_int_eq(symlink("x", link), 0);
    ck_assert_ok(ckks_reader_open(&r, path));
    ck_assert_ok(ckks_writer_open(&w, link, 0));
    ck_assert_fails(ckks_writer_spare(w, ckks_reader_file(r)), FHOLA_PARAM);
    ck_assert_detail("is read from");
    ck_assert_ok(ckks_writer_spare(w, (ckks_file_id){0, 0}));
    ckks_writer_destroy(w);
    ck_assert_ok(ckks_writer_open(&w, in_folder("z"), 0));
    ck_assert_ok(ckks_writer_spare(w, ckks_reader_file(r)));
    ckks_writer_destroy(w);
    FILE *stream = fopen(path, "ab"); /* as a shell's >> */
    ck_assert_ptr_nonnull(stream);
    ck_assert_ok(ckks_writer_create(&w, stream, "stream"));
    ck_assert_fails(ckks_writer_spare(w, ckks_reader_file(r)), FHOLA_PARAM);
    ckks_writer_destroy(w);
    (void)fclose(stream);
    ckks_reader_destroy(r);
}
END_TEST

/* Names as long as the file system takes them. */
START_TEST(long_names)
{
    char name[256], path[500];
    ckks_writer *w;
    for (size_t length = 190; length <= 255; length++)
        for (unsigned named = 0; named <= CKKS_OUTPUT_NAMED; named += CKKS_OUTPUT_NAMED) {
            memset(name, 'n', length);
            name[length] = 0;
            snprintf(path, sizeof path, "%s/%s", folder, name);
            for (int again = 0; again < 2; again++) {
                ck_assert_ok(ckks_writer_open(&w, path, named));
                write_sample(w, CKKS_FILE_CIPHERTEXT, 9);
                ck_assert_ok(ckks_writer_commit(w));
                ckks_writer_destroy(w);
            }
            ck_assert_uint_eq(files_in_folder(), 1);
            ck_assert_int_eq(unlink(path), 0);
        }
}
END_TEST

START_TEST(abandoned_files)
{
    const char *path = in_folder("x");
    ckks_writer *w;
    put_text(path, "what was there before");
    ck_assert_ok(ckks_writer_open(&w, path, 0));
    write_sample(w, CKKS_FILE_CIPHERTEXT, 9);
    ckks_writer_destroy(w);
    ck_assert_uint_eq(files_in_folder(), 1);
    assert_holds_text(path, "what was there before");
}
END_TEST

START_TEST(links)
{
    char target[200], link[200];
    struct stat info;
    ckks_writer *w;
    snprintf(target, sizeof target, "%s/target", folder);
    snprintf(link, sizeof link, "%s/link", folder);
    put_text(target, "old");
    ck_assert_int_eq(symlink("target", link), 0);
    ck_assert_ok(ckks_writer_open(&w, link, 0));
    write_sample(w, CKKS_FILE_CIPHERTEXT, 9);
    ck_assert_ok(ckks_writer_commit(w));
    ckks_writer_destroy(w);
    ck_assert_int_eq(lstat(link, &info), 0);
    ck_assert(S_ISLNK(info.st_mode));
    assert_holds_sample(target);
    /* the same through a link to nothing yet, and round in a circle */
    ck_assert_int_eq(unlink(target), 0);
    ck_assert_ok(ckks_writer_open(&w, link, 0));
    write_sample(w, CKKS_FILE_CIPHERTEXT, 9);
    ck_assert_ok(ckks_writer_commit(w));
    ckks_writer_destroy(w);
    ck_assert_int_eq(lstat(link, &info), 0);
    ck_assert(S_ISLNK(info.st_mode));
    assert_holds_sample(target);
    ck_assert_int_eq(unlink(target), 0);
    ck_assert_int_eq(symlink("link", target), 0);
    ck_assert_fails(ckks_writer_open(&w, link, 0), FHOLA_IO);
    ck_assert_detail(strerror(ELOOP));
}
END_TEST

START_TEST(impossible_files)
{
    ckks_writer *w;
    ckks_reader *r;
    ck_assert_fails(ckks_writer_open(&w, in_folder("none/x"), 0), FHOLA_IO);
    ck_assert_detail(strerror(ENOENT));
    ck_assert_fails(ckks_writer_open(&w, folder, 0), FHOLA_IO);
    ck_assert_detail(strerror(EISDIR));
    ck_assert_fails(ckks_reader_open(&r, in_folder("none")), FHOLA_IO);
    ck_assert_detail(strerror(ENOENT));
    ck_assert_ok(ckks_reader_open(&r, folder));
    ck_assert_fails(ckks_reader_begin(r, NULL, CKKS_FILE_ANY, NULL, 0), FHOLA_IO);
    ck_assert_detail(strerror(EISDIR));
    ckks_reader_destroy(r);
    /* the folder disappears before the end */
    char inner[200], path[220];
    snprintf(inner, sizeof inner, "%s/inner", folder);
    snprintf(path, sizeof path, "%s/x", inner);
    ck_assert_int_eq(mkdir(inner, 0777), 0);
    ck_assert_ok(ckks_writer_open(&w, path, 0));
    write_sample(w, CKKS_FILE_CIPHERTEXT, 9);
    ck_assert_int_eq(mkdir(path, 0777), 0);
    ck_assert_fails(ckks_writer_commit(w), FHOLA_IO);
    ckks_writer_destroy(w);
    ck_assert_int_eq(rmdir(path), 0);
    ck_assert_int_eq(rmdir(inner), 0); /* empty: no temporary file is left */
}
END_TEST

START_TEST(full_disk)
{
    if (access("/dev/full", W_OK) != 0) return;
    ckks_writer *w;
    ck_assert_ok(ckks_writer_open(&w, "/dev/full", 0));
    fhola_status st = ckks_writer_begin(w, CKKS_FILE_CIPHERTEXT, toy, 0);
    ck_assert_int_eq((int)st, FHOLA_IO);
    ck_assert_detail(strerror(ENOSPC));
    ckks_writer_destroy(w);
    struct stat info;
    ck_assert_int_eq(stat("/dev/full", &info), 0);
    ck_assert(S_ISCHR(info.st_mode));
}
END_TEST

START_TEST(failing_writes)
{
    bytes b = sample();
    for (size_t at = 0; at < b.length; at++) {
        limited s = {.fail_at = at, .error = ENOSPC};
        FILE *stream = limited_stream(&s, "wb");
        ckks_writer *w;
        (void)setvbuf(stream, NULL, at % 2 ? _IONBF : _IOFBF, at % 2 ? 0 : 4096);
        ck_assert_ok(ckks_writer_create(&w, stream, "memory"));
        unsigned char content[100] = {0};
        fhola_status st = ckks_writer_begin(w, CKKS_FILE_CIPHERTEXT, toy, KEY);
        if (!st) st = ckks_writer_chunk(w, "ONE ", content, sizeof content);
        if (!st) st = ckks_writer_chunk(w, "TWO ", content, 0);
        if (!st) st = ckks_writer_end(w);
        if (!st) st = ckks_writer_commit(w);
        ck_assert_int_eq((int)st, FHOLA_IO);
        ck_assert_detail("memory: writing at byte ");
        if (!strstr(fhola_detail(), "short write")) ck_assert_detail(strerror(ENOSPC));
        ckks_writer_destroy(w);
        fclose(stream);
    }
    free(b.data);
}
END_TEST

START_TEST(closed_pipe)
{
    int end[2];
    signal(SIGPIPE, SIG_IGN);
    ck_assert_int_eq(pipe(end), 0);
    close(end[0]);
    FILE *stream = fdopen(end[1], "wb");
    ckks_writer *w;
    ck_assert_ok(ckks_writer_create(&w, stream, "a pipe"));
    write_sample(w, CKKS_FILE_CIPHERTEXT, 9); /* fits into the buffer */
    ck_assert_fails(ckks_writer_commit(w), FHOLA_IO);
    ck_assert_detail(strerror(EPIPE));
    ckks_writer_destroy(w);
    fclose(stream);
}
END_TEST

START_TEST(unfinished_pipe)
{
    int end[2];
    bytes b = sample();
    ck_assert_int_eq(pipe(end), 0);
    ck_assert_int_eq(write(end[1], b.data, b.length - 1), (ssize_t)b.length - 1);
    close(end[1]);
    FILE *stream = fdopen(end[0], "rb");
    ckks_reader *r;
    ck_assert_ok(ckks_reader_create(&r, stream, "a pipe"));
    ckks_reader_allow_insecure(r);
    ck_assert_ok(ckks_reader_begin(r, NULL, CKKS_FILE_ANY, NULL, 0));
    ck_assert_ok(read_chunks(r, 7));
    ck_assert_fails(ckks_reader_end(r), FHOLA_FORMAT);
    ck_assert_detail("a pipe: chunk 3 'head' at byte 460: truncated: the data ends at byte 491");
    ckks_reader_destroy(r);
    fclose(stream);
    free(b.data);
}
END_TEST

/* The checksum itself: the published answers of XXH3-64 with seed 0 on the bytes of its sanity
 * test, some for each way it treats a length. */
START_TEST(checksum_answers)
{
    static const struct {
        size_t length;
        uint64_t hash;
    } known[] = {{0, 0x2d06800538d394c2},   {1, 0xc44bdff4074eecdb},    {6, 0x27b56a84cd2d7325},
                 {12, 0xa713daf0dfbb77e7},  {24, 0xa3fe70bf9d3510eb},   {48, 0x397da259ecba1f11},
                 {80, 0xbcdefbbb2c47c90a},  {195, 0xcd94217ee362ec3a},  {403, 0xcdeb804d65c6dea4},
                 {512, 0x617e49599013cb6b}, {2048, 0xdd59e2c3a5f038e0}, {2240, 0x6e73a90539cf2948},
                 {2367, 0xcb37aeb9e5d361ed}};
    uint8_t byte[2367];
    uint64_t generator = 2654435761u;
    for (size_t i = 0; i < sizeof byte; i++) {
        byte[i] = (uint8_t)(generator >> 56);
        generator *= 11400714785074694797u;
    }
    for (size_t k = 0; k < sizeof known / sizeof known[0]; k++)
        ck_assert_uint_eq(XXH3_64bits(byte, known[k].length), known[k].hash);
}
END_TEST

static void pure_cases(TCase *t)
{
    tcase_add_checked_fixture(t, open_toy, close_toy);
    tcase_add_test(t, checksum_answers);
    tcase_add_test(t, packing);
    tcase_add_test(t, specification);
    tcase_add_test(t, round_trip);
    tcase_add_test(t, streams);
    tcase_add_test(t, every_byte_damaged);
    tcase_add_test(t, every_truncation);
    tcase_add_test(t, something_follows);
    tcase_add_test(t, failing_reads);
    tcase_add_test(t, looked_at);
    tcase_add_test(t, foreign_files);
    tcase_add_test(t, other_parameters);
    tcase_add_test(t, bad_parameters);
    tcase_add_test(t, chunks_out_of_place);
    tcase_add_test(t, claimed_lengths);
    tcase_add_test(t, end_mark_with_content);
    tcase_add_test(t, misuse);
    tcase_add_test(t, failing_writes);
    tcase_add_test(t, closed_pipe);
    tcase_add_test(t, unfinished_pipe);
}

static void named_cases(TCase *t)
{
    tcase_add_checked_fixture(t, open_folder, close_folder);
    tcase_add_test(t, named_files);
    tcase_add_test(t, abandoned_files);
    tcase_add_test(t, links);
    tcase_add_test(t, new_files);
    tcase_add_test(t, both_or_none);
    tcase_add_test(t, locked_folders);
    tcase_add_test(t, spared_files);
    tcase_add_test(t, long_names);
    tcase_add_test(t, impossible_files);
    tcase_add_test(t, full_disk);
}

int main(void)
{
    int failed = test_run("container", pure_cases, 120);
    return test_run("named files", named_cases, 60) || failed;
}
