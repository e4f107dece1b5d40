/* SPDX-License-Identifier: Apache-2.0 */
/* fhola inspect: what a file is, whether it is whole, and what it belongs to. Never prints anything
 * secret. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/cmd/cmd.h"

#define MAX_FILE ((size_t)1 << 30) /* but for containers, which are read as streams */

/* A report: "name  value" lines, or the members of one JSON object. */
typedef struct report {
    bool json;
    unsigned reports, members;
} report;

static void begin(report *r)
{
    if (r->reports++ && !r->json) printf("\n");
    r->members = 0;
    if (r->json) printf("{");
}

static void finish(const report *r)
{
    if (r->json) printf("}\n");
}

static void name_member(report *r, const char *name)
{
    if (r->json) {
        printf(r->members++ ? ", \"%s\": " : "\"%s\": ", name);
        return;
    }
    printf(r->members++ ? "  " : "");
    for (size_t i = 0; i < 14; i++)
        putchar(i >= strlen(name) ? ' ' : name[i] == '_' ? ' ' : name[i]);
}

static void text_member(report *r, const char *name, const char *value)
{
    name_member(r, name);
    if (r->json)
        nn_cmd_json_string(value);
    else
        nn_cmd_show(stdout, value);
    if (!r->json) printf("\n");
}

static void number_member(report *r, const char *name, double value)
{
    name_member(r, name);
    if (r->json)
        nn_cmd_json_number(value);
    else if (isfinite(value))
        printf("%.10g\n", value);
    else
        printf("unknown\n");
}

static void bool_member(report *r, const char *name, bool value)
{
    name_member(r, name);
    printf(r->json ? "%s" : "%s\n", value ? r->json ? "true" : "yes" : r->json ? "false" : "no");
}

static void id_member(report *r, const char *name, uint64_t id)
{
    char text[20];
    snprintf(text, sizeof text, "%016" PRIx64, id);
    text_member(r, name, text);
}

static void shape_member(report *r, const char *name, nn_shape shape)
{
    name_member(r, name);
    printf(r->json ? "[%u, %u, %u]" : "%u x %u x %u\n", shape.channels, shape.height, shape.width);
}

/* ---- parts of reports ---- */

static void report_params(report *r, const ckks_params *p)
{
    ckks_basis chain = ckks_basis_chain(p), special = ckks_basis_special(p);
    id_member(r, "params", ckks_params_hash(p));
    number_member(r, "log2_n", ckks_params_get_spec(p)->log_n);
    number_member(r, "log2_qp", round(100 * ckks_params_log2(p, chain | special)) / 100);
    number_member(r, "log2_qp_cap", ckks_params_log2_cap(p));
}

static void report_client(report *r, const nn_client *c)
{
    name_member(r, "classes");
    if (r->json) printf("[");
    for (size_t i = 0; i < nn_client_classes(c); i++) {
        if (i) printf(", ");
        if (r->json)
            nn_cmd_json_string(nn_client_class(c, i));
        else
            nn_cmd_show(stdout, nn_client_class(c, i));
    }
    printf(r->json ? "]" : "\n");
    shape_member(r, "input", nn_client_shape(c));
    number_member(r, "batch", nn_client_pictures(c));
    number_member(r, "ciphertexts", nn_client_ciphertexts(c));
    number_member(r, "values", (double)nn_client_input_values(c));
    number_member(r, "keys_needed", (double)nn_client_keys(c)->count);
}

static void report_network(report *r, const nn_network *n, nn_memory memory)
{
    double gib = (double)nn_network_diagonal_bytes(n) / ((size_t)1 << 30);
    number_member(r, "batch", nn_network_pictures(n));
    number_member(r, "ciphertexts", nn_network_ciphertexts(n));
    number_member(r, "bootstraps", (double)nn_network_bootstraps(n));
    number_member(r, "diagonals_gib", round(100 * gib) / 100);
    number_member(r, "memory_gib", round(100 * (double)memory.most / 0x1p30) / 100);
    number_member(r, "least_gib", round(100 * (double)memory.least / 0x1p30) / 100);
    number_member(r, "keys_needed", (double)nn_network_keys(n)->count);
}

static void report_plan(report *r, const nn_plan *plan)
{
    number_member(r, "activations", (double)nn_plan_count(plan));
    number_member(r, "depth", nn_plan_depth(plan));
    name_member(r, "degrees");
    if (r->json) printf("[");
    for (size_t i = 0; i < nn_plan_count(plan); i++)
        printf(i ? r->json ? ", %u" : " %u" : "%u", nn_plan_degree(plan, i));
    printf(r->json ? "]" : "\n");
}

static void list_member(report *r, const char *name, const double *values, size_t count)
{
    name_member(r, name);
    if (r->json) printf("[");
    for (size_t i = 0; i < count; i++) printf(i ? r->json ? ", %.4g" : " %.4g" : "%.4g", values[i]);
    printf(r->json ? "]" : "\n");
}

/* Layers are counted as they are while one waits for them: with the one of the scores. */
static void report_model(report *r, const nn_model *model)
{
    nn_model_info info;
    nn_model_describe(model, &info);
    id_member(r, "weights", info.hash);
    shape_member(r, "input", info.input);
    number_member(r, "nodes", (double)info.nodes);
    number_member(r, "layers", (double)info.nodes - 1);
    number_member(r, "longest_path", info.depth);
    number_member(r, "class_count", (double)info.classes);
    number_member(r, "test_accuracy", info.test_accuracy);
}

/* ---- containers ---- */

/* What is found in a container, which is read once, to its end, before anything is printed: what is
 * damaged has no report. */
typedef struct content {
    ckks_file_head head;
    uint64_t bytes, network;
    uint32_t chunks;
    size_t keys;
    bool has_network; /* made for a network, whose id this is */
    nn_owner *owner;
    nn_server *server;
    size_t ciphertexts;
    ckks_ciphertext *ciphertext; /* the last of them */
} content;

static void content_clear(content *c)
{
    ckks_ciphertext_destroy(c->ciphertext);
    nn_server_destroy(c->server);
    nn_owner_destroy(c->owner);
    *c = (content){0};
}

/* A reader, and the context of its last ciphertext. */
typedef struct inspector {
    const char *name;
    ckks_reader *reader;
    ckks_context *context;
} inspector;

static fhola_status read_ciphertext(content *c, inspector *in)
{
    const ckks_params *params = ckks_reader_params(in->reader);
    fhola_status status = FHOLA_OK;
    ckks_ciphertext_destroy(c->ciphertext);
    c->ciphertext = NULL;
    if (!in->context ||
        ckks_params_hash(ckks_context_params(in->context)) != ckks_params_hash(params)) {
        ckks_context_destroy(in->context);
        in->context = NULL;
        status = ckks_context_create(&in->context, params, NULL);
    }
    if (status == FHOLA_OK) status = ckks_ciphertext_create(&c->ciphertext, in->context);
    return status == FHOLA_OK ? ckks_ciphertext_read(c->ciphertext, in->context, in->reader)
                              : status;
}

/* Chunk by chunk; keys are too many to be kept. */
static fhola_status read_chunks(content *c, inspector *in)
{
    ckks_chunk_info info = {"", 0, 0};
    fhola_status status = ckks_reader_begin(in->reader, NULL, CKKS_FILE_ANY, NULL, 0);
    while (status == FHOLA_OK && strcmp(info.tag, "END ") != 0) {
        status = ckks_reader_next(in->reader, &info);
        if (status != FHOLA_OK) break;
        if (strcmp(info.tag, "NETW") == 0) {
            c->has_network = true;
            status = nn_network_id_read(&c->network, in->reader);
        } else if (strcmp(info.tag, "CIPH") == 0) {
            c->ciphertexts++;
            status = read_ciphertext(c, in);
        } else {
            c->keys += strcmp(info.tag, "KEY ") == 0;
            status = ckks_reader_skip(in->reader, &info);
        }
    }
    return status;
}

static fhola_status read_content(content *c, inspector *in, int *more)
{
    *c = (content){0};
    fhola_status status = ckks_reader_peek(in->reader, more, CKKS_FILE_ANY);
    if (status != FHOLA_OK || (more && !*more)) return status;
    c->head = ckks_reader_head(in->reader);
    switch (c->head.kind) {
    case CKKS_FILE_SECRET_KEY: status = nn_owner_read_secret(&c->owner, in->reader); break;
    case CKKS_FILE_CLIENT: status = nn_owner_read_client(&c->owner, in->reader); break;
    case CKKS_FILE_NETWORK: status = nn_server_read(&c->server, in->reader); break;
    case CKKS_FILE_CIPHERTEXT:
    case CKKS_FILE_EVAL_KEYS:
    case CKKS_FILE_PUBLIC_KEY:
    case CKKS_FILE_ANY: status = read_chunks(c, in); break;
    }
    ckks_reader_extent(in->reader, &c->bytes, &c->chunks);
    return status;
}

static void report_ciphertext(report *r, const content *c, const ckks_params *params)
{
    ckks_basis basis = ckks_ciphertext_basis(c->ciphertext);
    number_member(r, "ciphertexts", (double)c->ciphertexts);
    number_member(r, "primes", ckks_basis_count(basis));
    number_member(r, "log2_q", round(100 * ckks_params_log2(params, basis)) / 100);
    number_member(r, "log2_scale", log2(ckks_ciphertext_scale(c->ciphertext)));
    const ckks_shrunk shrunk = ckks_ciphertext_shrunk(c->ciphertext);
    bool_member(r, "result", shrunk.period != 0);
    if (shrunk.period) number_member(r, "degree", ldexp(1, (int)shrunk.log_degree));
}

static void report_content(report *r, const content *c, const ckks_params *params)
{
    if (c->has_network) id_member(r, "network", c->network);
    if (c->owner) {
        id_member(r, "network", nn_owner_network(c->owner));
        report_client(r, nn_owner_client(c->owner));
    }
    if (c->server) {
        id_member(r, "network", nn_server_network_id(c->server));
        report_model(r, nn_server_model(c->server));
        report_plan(r, nn_server_plan(c->server));
        report_network(r, nn_server_network(c->server), nn_server_memory(c->server));
    }
    if (c->ciphertext) report_ciphertext(r, c, params);
    if (c->head.kind == CKKS_FILE_EVAL_KEYS) number_member(r, "keys", (double)c->keys);
}

static void report_container(report *r, const inspector *in, const content *c)
{
    begin(r);
    text_member(r, "file", in->name);
    text_member(r, "kind", ckks_file_kind_name(c->head.kind));
    number_member(r, "version", CKKS_FILE_VERSION);
    number_member(r, "offset", (double)c->head.offset);
    number_member(r, "bytes", (double)c->bytes);
    number_member(r, "chunks", (double)c->chunks - 1); /* without the parameters */
    report_params(r, ckks_reader_params(in->reader));
    if (c->head.key) id_member(r, "key", c->head.key);
    report_content(r, c, ckks_reader_params(in->reader));
    finish(r);
}

static fhola_status inspect_containers(report *r, const nn_cmd_source *source)
{
    inspector in = {source->name, source->reader, NULL};
    content c;
    int more = 1;
    fhola_status status = FHOLA_OK;
    for (size_t containers = 0; status == FHOLA_OK && more; containers++) {
        status = read_content(&c, &in, containers ? &more : NULL);
        if (status == FHOLA_OK && more) {
            report_container(r, &in, &c);
        }
        content_clear(&c);
    }
    ckks_context_destroy(in.context);
    return status;
}

/* ---- other files ---- */

static void begin_document(report *r, const char *path, nn_document kind)
{
    begin(r);
    text_member(r, "file", path);
    text_member(r, "kind", nn_document_name(kind));
}

static fhola_status inspect_plan(report *r, const nn_cmd_source *source)
{
    nn_plan *plan = NULL;
    fhola_status status = nn_plan_decode(&plan, source->bytes, source->length, source->name, NULL);
    if (status != FHOLA_OK) return status;
    begin_document(r, source->name, NN_DOCUMENT_PLAN);
    id_member(r, "weights", nn_plan_model(plan));
    number_member(r, "eps", nn_plan_eps(plan));
    report_plan(r, plan);
    finish(r);
    nn_plan_free(plan);
    return FHOLA_OK;
}

/* What arrives at every activation: the extremes over all channels and pictures, and the
 * deviation. */
static fhola_status report_arrivals(report *r, const nn_profile *profile, size_t count)
{
    double *least = calloc(3 * count, sizeof *least);
    if (!least) return fhola_fail(FHOLA_NOMEM, "no memory for %zu activations", count);
    double *most = least + count, *deviation = most + count;
    for (size_t i = 0; i < count; i++)
        nn_profile_arrivals(profile, i, &least[i], &most[i], &deviation[i]);
    list_member(r, "least", least, count);
    list_member(r, "most", most, count);
    list_member(r, "deviation", deviation, count);
    free(least);
    return FHOLA_OK;
}

static fhola_status inspect_profile(report *r, const nn_cmd_source *source)
{
    nn_profile *profile = NULL;
    nn_profile_info info;
    fhola_status status =
        nn_profile_decode(&profile, source->bytes, source->length, source->name, NULL);
    if (status != FHOLA_OK) return status;
    nn_profile_describe(profile, &info);
    begin_document(r, source->name, NN_DOCUMENT_PROFILE);
    id_member(r, "weights", info.hash);
    number_member(r, "eps", info.eps);
    number_member(r, "activations", (double)info.activations);
    number_member(r, "pictures", (double)info.pictures);
    status = report_arrivals(r, profile, info.activations);
    finish(r);
    nn_profile_free(profile);
    return status;
}

static fhola_status inspect_cost(report *r, const nn_cmd_source *source)
{
    nn_cost *cost = NULL;
    fhola_status status = nn_cost_decode(&cost, source->bytes, source->length, source->name);
    if (status != FHOLA_OK) return status;
    begin_document(r, source->name, NN_DOCUMENT_COST);
    text_member(r, "machine", nn_cost_machine(cost));
    text_member(r, "isa", nn_cost_isa(cost) ? nn_cost_isa(cost) : "unknown");
    number_member(r, "threads", nn_cost_threads(cost));
    name_member(r, "sets");
    if (r->json) printf("[");
    for (size_t i = 0; i < nn_cost_sets(cost); i++) {
        if (i) printf(r->json ? ", " : " ");
        if (r->json)
            nn_cmd_json_string(nn_cost_params(cost, i));
        else
            nn_cmd_show(stdout, nn_cost_params(cost, i));
    }
    printf(r->json ? "]" : "\n");
    finish(r);
    nn_cost_free(cost);
    return FHOLA_OK;
}

static fhola_status inspect_document(report *r, const nn_cmd_source *source)
{
    nn_document kind;
    fhola_status status =
        nn_document_decode_kind(&kind, source->bytes, source->length, source->name);
    if (status != FHOLA_OK) return status;
    switch (kind) {
    case NN_DOCUMENT_PLAN: return inspect_plan(r, source);
    case NN_DOCUMENT_PROFILE: return inspect_profile(r, source);
    case NN_DOCUMENT_COST: return inspect_cost(r, source);
    }
    return FHOLA_OK;
}

static void report_weights(report *r, const nn_cmd_source *source, const char *kind,
                           const nn_model *model, bool normalised)
{
    nn_model_info info;
    nn_model_describe(model, &info);
    begin(r);
    text_member(r, "file", source->name);
    text_member(r, "kind", kind);
    report_model(r, model);
    number_member(r, "activations", (double)info.activations);
    bool_member(r, "has_mean_std", normalised);
    finish(r);
}

static fhola_status inspect_model(report *r, const nn_cmd_source *source)
{
    static const double zero[3] = {0, 0, 0}, one[3] = {1, 1, 1};
    static const nn_model_options neutral = {.mean = zero, .std = one};
    nn_model *model = NULL;
    fhola_status status =
        nn_model_decode(&model, source->bytes, source->length, source->name, NULL);
    bool normalised = status == FHOLA_OK;
    if (status == FHOLA_FORMAT &&
        nn_model_decode(&model, source->bytes, source->length, source->name, &neutral) == FHOLA_OK)
        status = FHOLA_OK;
    if (status != FHOLA_OK)
        return fhola_fail(status, "%s: neither a file of fhola nor weights: %s", source->name,
                          fhola_detail());
    report_weights(r, source, "weights", model, normalised);
    nn_model_free(model);
    return FHOLA_OK;
}

static fhola_status inspect_onnx(report *r, const nn_cmd_source *source)
{
    nn_model *model = NULL;
    fhola_status status =
        nn_cmd_decode_weights(&model, source->bytes, source->length, source->name, NULL);
    if (status != FHOLA_OK) return status;
    report_weights(r, source, "an ONNX network", model, false);
    nn_model_free(model);
    return FHOLA_OK;
}

/* By its first bytes. Weights begin with a length of 8 bytes, then a brace. */
static fhola_status inspect_source(report *r, const nn_cmd_source *source)
{
    if (source->reader) return inspect_containers(r, source);
    if (!source->length) return fhola_fail(FHOLA_FORMAT, "%s: empty", source->name);
    if (source->length > 8 && source->bytes[8] == '{') return inspect_model(r, source);
    if (source->bytes[0] == '{') return inspect_document(r, source);
    if (nn_cmd_is_onnx(source->bytes, source->length, source->name)) return inspect_onnx(r, source);
    return fhola_fail(FHOLA_FORMAT, "%s: byte 0: not a fhola file", source->name);
}

static fhola_status inspect(report *r, const char *path)
{
    nn_cmd_source source;
    fhola_status status = nn_cmd_source_open(&source, path, MAX_FILE);
    if (status == FHOLA_OK) status = inspect_source(r, &source);
    nn_cmd_source_close(&source);
    return status;
}

static const nn_cmd_option options[] = {
    NN_CMD_FLAG("json", 0, report, json, "print one JSON object a line"),
    NN_CMD_END,
};

static int run(int argc, char **argv)
{
    report r = {.json = false};
    int code = 0;
    if (!nn_cmd_parse(&nn_cmd_inspect, &r, &argc, argv)) return NN_CMD_WRONG_USE;
    for (int i = 1; i < argc; i++) { /* what is wrong with one file is no reason to skip another */
        (void)fflush(stdout);
        int found = nn_cmd_finish("inspect", inspect(&r, argv[i]));
        if (!code) code = found;
    }
    return code;
}

const nn_cmd_command nn_cmd_inspect = {
    .name = "inspect",
    .run = run,
    .secret = true,
    .usage = "FILE...",
    .purpose = "say what files are, whether they are whole, and what they belong to",
    .options = options,
    .least = 1,
    .most = NN_CMD_ANY,
    .operands = "at least one file",
    .examples = "fhola inspect keys/secret.key keys/eval.keys\n"
                "fhola inspect --json scores.ct",
};
