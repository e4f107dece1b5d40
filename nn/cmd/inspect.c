/* SPDX-License-Identifier: Apache-2.0 */
/* fhola inspect: what a file is, whether it is whole, and what it belongs to. Never prints anything
 * secret. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/cmd/stream.h"

/* A report: "name  value" lines, or the members of one JSON object. */
typedef struct report {
    bool json;
    unsigned members;
} report;

static void begin(report *r)
{
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
    number_member(r, "values", (double)nn_client_input_values(c));
    number_member(r, "keys_needed", (double)nn_client_keys(c)->count);
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

static void report_model(report *r, const nn_model *model)
{
    nn_model_info info;
    nn_model_describe(model, &info);
    id_member(r, "weights", info.hash);
    number_member(r, "layers", info.depth);
    number_member(r, "class_count", (double)info.classes);
    number_member(r, "test_accuracy", info.test_accuracy);
}

/* ---- containers ---- */

/* What a first pass over a container finds; that pass verifies every checksum. */
typedef struct outline {
    ckks_file_head head;
    uint64_t bytes;
    size_t chunks, keys;
    bool has_network; /* made for a network: its id comes first */
} outline;

static fhola_status scan(outline *o, ckks_reader *reader)
{
    *o = (outline){.head = ckks_reader_head(reader)};
    for (;;) {
        ckks_chunk_info info;
        fhola_status status = ckks_reader_skip(reader, &info);
        if (status != FHOLA_OK) return status;
        o->chunks++;
        o->keys += strcmp(info.tag, "KEY ") == 0;
        o->has_network |= strcmp(info.tag, "NETW") == 0;
        if (strcmp(info.tag, "END ") == 0) {
            o->bytes = info.offset + info.length - o->head.offset;
            return FHOLA_OK;
        }
    }
}

/* The second pass: on a reader of its own. */
typedef struct inspector {
    const char *path;
    ckks_reader *reader;
    ckks_context *context; /* of the last ciphertext */
} inspector;

static fhola_status report_ciphertext(report *r, inspector *in)
{
    ckks_ciphertext *ct = NULL;
    const ckks_params *params = ckks_reader_params(in->reader);
    fhola_status status = FHOLA_OK;
    if (!in->context ||
        ckks_params_hash(ckks_context_params(in->context)) != ckks_params_hash(params)) {
        ckks_context_destroy(in->context);
        in->context = NULL;
        status = ckks_context_create(&in->context, params, NULL);
    }
    if (status == FHOLA_OK) status = ckks_ciphertext_create(&ct, in->context);
    if (status == FHOLA_OK) status = ckks_ciphertext_read(ct, in->context, in->reader);
    if (status == FHOLA_OK) {
        ckks_basis basis = ckks_ciphertext_basis(ct);
        number_member(r, "primes", ckks_basis_count(basis));
        number_member(r, "log2_q", round(100 * ckks_params_log2(params, basis)) / 100);
        number_member(r, "log2_scale", log2(ckks_ciphertext_scale(ct)));
        bool_member(r, "result", basis == ckks_basis_base(params));
    }
    ckks_ciphertext_destroy(ct);
    return status;
}

static fhola_status report_owner(report *r, const char *path, bool secret)
{
    nn_owner *owner = NULL;
    fhola_status status =
        secret ? nn_owner_open_secret(&owner, path) : nn_owner_open_client(&owner, path);
    if (status != FHOLA_OK) return status;
    id_member(r, "network", nn_owner_network(owner));
    report_client(r, nn_owner_client(owner));
    nn_owner_destroy(owner);
    return FHOLA_OK;
}

static fhola_status report_network(report *r, const char *path)
{
    nn_model *model = NULL;
    nn_plan *plan = NULL;
    ckks_params *params = NULL;
    nn_server *server = NULL;
    fhola_status status = nn_server_open(&server, path);
    if (status == FHOLA_OK) status = nn_compiled_load(&model, &plan, &params, path);
    if (status == FHOLA_OK) {
        id_member(r, "network", nn_server_network_id(server));
        report_model(r, model);
        report_plan(r, plan);
    }
    ckks_params_destroy(params);
    nn_plan_free(plan);
    nn_model_free(model);
    nn_server_destroy(server);
    return status;
}

static fhola_status report_content(report *r, inspector *in, const outline *o)
{
    uint64_t network;
    fhola_status status = FHOLA_OK;
    if (o->has_network) {
        status = nn_network_id_read(&network, in->reader);
        if (status == FHOLA_OK) id_member(r, "network", network);
    }
    if (status != FHOLA_OK) return status;
    switch (o->head.kind) {
    case CKKS_FILE_SECRET_KEY: return report_owner(r, in->path, true);
    case CKKS_FILE_CLIENT: return report_owner(r, in->path, false);
    case CKKS_FILE_NETWORK: return report_network(r, in->path);
    case CKKS_FILE_CIPHERTEXT: return report_ciphertext(r, in);
    case CKKS_FILE_EVAL_KEYS: number_member(r, "keys", (double)o->keys); return FHOLA_OK;
    case CKKS_FILE_PUBLIC_KEY:
    case CKKS_FILE_ANY: break;
    }
    return FHOLA_OK;
}

static fhola_status report_container(report *r, inspector *in, const outline *o)
{
    begin(r);
    text_member(r, "file", in->path);
    text_member(r, "kind", ckks_file_kind_name(o->head.kind));
    number_member(r, "version", CKKS_FILE_VERSION);
    number_member(r, "offset", (double)o->head.offset);
    number_member(r, "bytes", (double)o->bytes);
    number_member(r, "chunks", (double)o->chunks);
    report_params(r, ckks_reader_params(in->reader));
    if (o->head.key) id_member(r, "key", o->head.key);
    fhola_status status = report_content(r, in, o);
    finish(r);
    return status;
}

/* Skips what a report has not read, to the next container. */
static fhola_status catch_up(inspector *in, const outline *o)
{
    ckks_chunk_info info = {"", 0, 0};
    uint64_t end = o->head.offset + o->bytes;
    fhola_status status = FHOLA_OK;
    while (status == FHOLA_OK && info.offset + info.length != end)
        status = ckks_reader_skip(in->reader, &info);
    return status;
}

static fhola_status inspect_containers(report *r, const char *path)
{
    ckks_reader *scanner = NULL;
    inspector in = {path, NULL, NULL};
    outline o;
    int more = 1;
    fhola_status status = ckks_reader_open(&scanner, path);
    if (status == FHOLA_OK) status = ckks_reader_open(&in.reader, path);
    for (size_t containers = 0; status == FHOLA_OK; containers++) {
        status = ckks_reader_begin(scanner, containers ? &more : NULL, CKKS_FILE_ANY, NULL, 0);
        if (status != FHOLA_OK || !more) break;
        if (containers && !r->json) printf("\n");
        status = scan(&o, scanner);
        if (status == FHOLA_OK) status = ckks_reader_begin(in.reader, NULL, CKKS_FILE_ANY, NULL, 0);
        if (status == FHOLA_OK) status = report_container(r, &in, &o);
        if (status == FHOLA_OK) status = catch_up(&in, &o);
    }
    ckks_context_destroy(in.context);
    ckks_reader_destroy(in.reader);
    ckks_reader_destroy(scanner);
    return status;
}

/* ---- other files ---- */

static void begin_document(report *r, const char *path, nn_document kind)
{
    begin(r);
    text_member(r, "file", path);
    text_member(r, "kind", nn_document_name(kind));
}

static fhola_status inspect_plan(report *r, const char *path)
{
    nn_plan *plan = NULL;
    fhola_status status = nn_plan_load(&plan, path, NULL);
    if (status != FHOLA_OK) return status;
    begin_document(r, path, NN_DOCUMENT_PLAN);
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

static fhola_status inspect_profile(report *r, const char *path)
{
    nn_profile *profile = NULL;
    nn_profile_info info;
    fhola_status status = nn_profile_load(&profile, path, NULL);
    if (status != FHOLA_OK) return status;
    nn_profile_describe(profile, &info);
    begin_document(r, path, NN_DOCUMENT_PROFILE);
    id_member(r, "weights", info.hash);
    number_member(r, "eps", info.eps);
    number_member(r, "activations", (double)info.activations);
    number_member(r, "pictures", (double)info.pictures);
    status = report_arrivals(r, profile, info.activations);
    finish(r);
    nn_profile_free(profile);
    return status;
}

static fhola_status inspect_cost(report *r, const char *path)
{
    nn_cost *cost = NULL;
    fhola_status status = nn_cost_load(&cost, path);
    if (status != FHOLA_OK) return status;
    begin_document(r, path, NN_DOCUMENT_COST);
    text_member(r, "machine", nn_cost_machine(cost));
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

static fhola_status inspect_document(report *r, const char *path)
{
    nn_document kind;
    fhola_status status = nn_document_load_kind(&kind, path);
    if (status != FHOLA_OK) return status;
    switch (kind) {
    case NN_DOCUMENT_PLAN: return inspect_plan(r, path);
    case NN_DOCUMENT_PROFILE: return inspect_profile(r, path);
    case NN_DOCUMENT_COST: return inspect_cost(r, path);
    }
    return FHOLA_OK;
}

static fhola_status inspect_model(report *r, const char *path)
{
    static const double zero[3] = {0, 0, 0}, one[3] = {1, 1, 1};
    static const nn_model_options neutral = {.mean = zero, .std = one};
    nn_model *model = NULL;
    fhola_status status = nn_model_load(&model, path, NULL);
    bool normalised = status == FHOLA_OK;
    if (status == FHOLA_FORMAT && nn_model_load(&model, path, &neutral) == FHOLA_OK)
        status = FHOLA_OK;
    if (status != FHOLA_OK)
        return fhola_fail(status, "%s: neither a file of fhola nor weights: %s", path,
                          fhola_detail());
    begin(r);
    text_member(r, "file", path);
    text_member(r, "kind", "weights");
    report_model(r, model);
    bool_member(r, "has_mean_std", normalised);
    finish(r);
    nn_model_free(model);
    return FHOLA_OK;
}

/* By its first bytes. Weights begin with a length of 8 bytes, then a brace. */
static fhola_status inspect(report *r, const char *path)
{
    unsigned char start[9] = {0};
    errno = 0;
    FILE *file = fopen(path, "rb");
    size_t got = file ? fread(start, 1, sizeof start, file) : 0;
    bool failed = !file || ferror(file);
    int error = errno;
    if (file) (void)fclose(file);
    if (failed) return fhola_fail(FHOLA_IO, "%s: %s", path, strerror(error));
    if (got == sizeof start && start[8] == '{' && start[0] != 0x89) return inspect_model(r, path);
    return start[0] == '{' ? inspect_document(r, path) : inspect_containers(r, path);
}

static const nn_cmd_option options[] = {
    NN_CMD_FLAG("json", 0, report, json, "print one JSON object a line"),
    NN_CMD_END,
};

static int run(int argc, char **argv)
{
    report r = {false, 0};
    if (!nn_cmd_parse(&nn_cmd_inspect, &r, &argc, argv)) return NN_CMD_WRONG_USE;
    return nn_cmd_finish("inspect", inspect(&r, argv[1]));
}

const nn_cmd_command nn_cmd_inspect = {
    .name = "inspect",
    .run = run,
    .usage = "FILE",
    .purpose = "say what a file is, whether it is whole, and what it belongs to",
    .options = options,
    .least = 1,
    .most = 1,
    .operands = "one file",
    .examples = "fhola inspect keys/eval.keys\n"
                "fhola inspect --json scores.ct",
};
