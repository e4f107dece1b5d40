/* SPDX-License-Identifier: Apache-2.0 */
/* fhola bench paper: one network under uniform and layerwise degrees, on one engine. Each
 * configuration runs in a process of its own, so that each has its own peak of memory. */
#define _DEFAULT_SOURCE
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef _OPENMP
#include <omp.h>
#endif

#include "nn/cmd/bench.h"
#include "nn/cmd/data.h"
#include "nn/measure/session.h"

#define CONFIGURATIONS 5
#define PATH_ROOM      4096u

/* What is compared. The plan is the model's file with this suffix. */
static const struct {
    const char *name, *params, *suffix;
} configuration[CONFIGURATIONS] = {
    {"uniform, composition {15,15,27}", "R16", "-uniform.plan"},
    {"the paper's layerwise degrees", "R16-6", "-paper.plan"},
    {"layerwise+", "R16-6", ".plan"},
    {"layerwise+", "R15", ".plan"},
    {"uniform degree 15", "R15", "-uniform15.plan"},
};

/* What a child tells: plain data through a pipe. */
typedef struct result {
    int done;
    fhola_status status;
    char detail[400];
    double log2_qp, seconds, keygen_seconds, startup_seconds, peak_mib, key_mib, plain_mib;
    unsigned bootstraps, depth, levels, degrees[2]; /* lowest and highest degree */
    size_t pictures, agree;
    double score_error;  /* RMS over the deviation of the scores */
    size_t judged;       /* pictures behind `accuracy` */
    double accuracy;     /* percent */
    double exact;        /* percent, of the exact network */
    nn_stage_times time; /* per picture */
} result;

typedef struct session {
    const nn_cmd_bench_options *o;
    nn_model *model;
    nn_plan *plan;
    ckks_params *params;
    nn_session parties;
    nn_batch *batch;
    double *scores, *plain;  /* classes each */
    double error, deviation; /* sums of squares */
} session;

static const nn_client *client_of(const session *s)
{
    return nn_network_client(s->parties.network);
}

/* ---- one configuration, in a child ---- */

static fhola_status load(session *s, int k)
{
    char path[PATH_ROOM];
    const char *suffix = configuration[k].suffix;
    fhola_status status = FHOLA_OK;
    if (s->o->plans)
        snprintf(path, sizeof path, "%s%s", s->o->plans, suffix);
    else
        nn_cmd_bundled(path, sizeof path, "models", s->o->model, suffix);
    if (status == FHOLA_OK) status = nn_plan_load(&s->plan, path, s->model);
    return status;
}

/* The picture to be classified, of the test batch, or without one a bundled picture: *values is to
 * be released. */
static fhola_status picture(double **values, const session *s, size_t i)
{
    static const char *const name[] = {"cat", "airplane", "automobile", "bird", "deer",
                                       "dog", "frog",     "horse",      "ship", "truck"};
    char path[PATH_ROOM];
    nn_shape shape = nn_client_shape(client_of(s));
    if (s->batch) {
        *values = calloc(nn_cmd_values(shape), sizeof **values);
        if (!*values) return fhola_fail(FHOLA_NOMEM, "no memory for a picture");
        nn_batch_picture(s->batch, i, *values);
        return FHOLA_OK;
    }
    nn_cmd_bundled(path, sizeof path, "pictures", name[i % 10], ".ppm");
    return nn_cmd_read_picture(values, shape, path, -1);
}

static size_t largest(const double *x, size_t count)
{
    size_t best = 0;
    for (size_t i = 1; i < count; i++)
        if (x[i] > x[best]) best = i;
    return best;
}

static void judge(session *s, result *r)
{
    size_t classes = nn_client_classes(client_of(s));
    double mean = 0;
    for (size_t i = 0; i < classes; i++) mean += s->plain[i] / (double)classes;
    for (size_t i = 0; i < classes; i++) {
        s->error += (s->scores[i] - s->plain[i]) * (s->scores[i] - s->plain[i]);
        s->deviation += (s->plain[i] - mean) * (s->plain[i] - mean);
    }
    r->pictures++;
    r->agree += largest(s->scores, classes) == largest(s->plain, classes);
}

static fhola_status classify(session *s, result *r, size_t i)
{
    double *values = NULL;
    fhola_status status = picture(&values, s, i);
    if (status == FHOLA_OK) status = nn_session_encrypt(&s->parties, 0, values);
    if (status == FHOLA_OK) status = nn_session_infer(&s->parties, 1, NULL);
    if (status == FHOLA_OK) status = nn_session_decrypt(&s->parties, 0, s->scores);
    if (status == FHOLA_OK) {
        nn_model_normalise(s->model, values, values);
        status = nn_plain_scores(s->plain, s->model, s->plan, values);
    }
    nn_cmd_free_picture(values, nn_client_shape(client_of(s)));
    if (status != FHOLA_OK) return status;
    judge(s, r);
    r->seconds += s->parties.seconds;
    nn_session_add_times(&r->time, &s->parties);
    return FHOLA_OK;
}

static void average(result *r)
{
    double n = (double)r->pictures;
    r->seconds /= n;
    r->time.activation /= n;
    r->time.convolution /= n;
    r->time.slots_to_coeffs /= n;
    r->time.switch_to_sparse /= n;
    r->time.coeffs_to_slots /= n;
    r->time.eval_mod /= n;
}

static fhola_status infer_all(session *s, result *r)
{
    size_t classes = nn_client_classes(client_of(s)), count = (size_t)s->o->pictures;
    s->scores = calloc(2 * classes, sizeof *s->scores);
    if (!s->scores) return fhola_fail(FHOLA_NOMEM, "no memory for %zu scores", classes);
    s->plain = s->scores + classes;
    fhola_status status = FHOLA_OK;
    for (size_t i = 0; i < count && status == FHOLA_OK; i++) status = classify(s, r, i);
    if (status != FHOLA_OK) return status;
    average(r);
    r->score_error = sqrt(s->error / s->deviation);
    return FHOLA_OK;
}

static void describe(const session *s, result *r)
{
    ckks_basis all = ckks_basis_chain(s->params) | ckks_basis_special(s->params);
    r->log2_qp = ckks_params_log2(s->params, all);
    r->key_mib = (double)ckks_eval_keys_bytes(s->parties.keys) / 1048576;
    r->plain_mib = (double)nn_network_bytes(s->parties.network) / 1048576;
    r->keygen_seconds = s->parties.keygen_seconds;
    r->startup_seconds = s->parties.startup_seconds;
    r->bootstraps = (unsigned)nn_network_layers(s->parties.network);
    r->depth = nn_plan_depth(s->plan);
    r->levels = nn_plan_levels(s->plan);
    r->degrees[0] = r->degrees[1] = nn_plan_degree(s->plan, 0);
    for (size_t i = 1; i < nn_plan_count(s->plan); i++) {
        unsigned degree = nn_plan_degree(s->plan, i);
        if (degree < r->degrees[0]) r->degrees[0] = degree;
        if (degree > r->degrees[1]) r->degrees[1] = degree;
    }
}

static fhola_status measure_accuracy(session *s, result *r)
{
    nn_batch *judged = NULL;
    nn_evaluation e;
    size_t all = nn_batch_count(s->batch), count = (size_t)s->o->judged;
    fhola_status status = nn_batch_part(&judged, s->batch, 0, count < all ? count : all);
    if (status == FHOLA_OK) status = nn_evaluate(&e, s->model, s->plan, judged, 0, 0, NULL, NULL);
    if (status == FHOLA_OK) {
        r->judged = e.pictures;
        r->accuracy = 100.0 * (double)e.right / (double)e.pictures;
        status = nn_evaluate(&e, s->model, NULL, judged, 0, 0, NULL, NULL);
    }
    if (status == FHOLA_OK) r->exact = 100.0 * (double)e.right / (double)e.pictures;
    nn_batch_free(judged);
    return status;
}

static fhola_status measure(session *s, result *r, int k)
{
    fhola_status status = load(s, k);
    if (status == FHOLA_OK && s->batch && nn_batch_count(s->batch) < (size_t)s->o->pictures)
        status = fhola_fail(FHOLA_RANGE, "%s has only %zu pictures", s->o->test,
                            nn_batch_count(s->batch));
    if (status == FHOLA_OK) status = ckks_params_named(&s->params, configuration[k].params);
    if (status == FHOLA_OK)
        status = nn_session_open(&s->parties, s->params, s->model, s->plan, NULL);
    if (status == FHOLA_OK) status = infer_all(s, r);
    if (status == FHOLA_OK) describe(s, r);
    nn_session_clear(&s->parties);
    ckks_params_destroy(s->params);
    if (status == FHOLA_OK && s->o->test) status = measure_accuracy(s, r);
    free(s->scores);
    nn_plan_free(s->plan);
    return status;
}

/* ---- the parent ---- */

/* Read once, for all children. */
typedef struct inputs {
    nn_model *model;
    nn_batch *batch;
} inputs;

/* The exit code. */
static int run_child(const nn_cmd_bench_options *o, const inputs *in, int k, int to)
{
    session s = {.o = o, .model = in->model, .batch = in->batch};
    result r = {.done = 1};
    r.status = measure(&s, &r, k);
    if (r.status != FHOLA_OK) snprintf(r.detail, sizeof r.detail, "%s", fhola_detail());
    return write(to, &r, sizeof r) != (ssize_t)sizeof r;
}

static fhola_status run(result *r, const nn_cmd_bench_options *o, const inputs *in, int k)
{
    int ends[2], code;
    struct rusage usage;
    if (pipe(ends)) return fhola_fail(FHOLA_IO, "no pipe: %s", strerror(errno));
    fflush(NULL);
    pid_t child = fork();
    if (child < 0) return fhola_fail(FHOLA_IO, "no process: %s", strerror(errno));
    if (child == 0) {
        close(ends[0]);
        exit(run_child(o, in, k, ends[1]));
    }
    close(ends[1]);
    ssize_t got = read(ends[0], r, sizeof *r); /* less than a pipe holds: written at once */
    close(ends[0]);
    if (wait4(child, &code, 0, &usage) != child)
        return fhola_fail(FHOLA_IO, "a process was lost: %s", strerror(errno));
    r->done = got == (ssize_t)sizeof *r && r->status == FHOLA_OK;
    r->peak_mib = (double)usage.ru_maxrss / 1024;
    if (got != (ssize_t)sizeof *r)
        return fhola_fail(FHOLA_NOMEM, "configuration %d ended early, perhaps for want of memory",
                          k + 1);
    return r->status == FHOLA_OK ? FHOLA_OK
                                 : fhola_fail(r->status, "configuration %d: %s", k + 1, r->detail);
}

/* ---- what is printed ---- */

static double other_seconds(const result *r)
{
    return r->seconds - nn_stage_times_sum(&r->time);
}

static void print_header(const nn_cmd_bench_options *o)
{
    nn_cmd_show(stdout, o->model);
    printf(", %.0f encrypted picture%s each", o->pictures, o->pictures > 1 ? "s" : "");
#ifdef _OPENMP
    printf(", %d threads", omp_get_max_threads());
#endif
    printf("\n");
}

static void print_one(const result *r, int k)
{
    printf("(%d) %s, %s: log2(QP) %.1f, %u bootstraps, total depth %u, at most %u levels\n", k + 1,
           configuration[k].name, configuration[k].params, r->log2_qp, r->bootstraps, r->depth,
           r->levels);
    printf("    %.2f s a picture: convolution %.2f, slots to coefficients %.2f, "
           "switch to sparse %.2f, coefficients to slots %.2f, "
           "sine %.2f, activation %.2f, other %.2f\n",
           r->seconds, r->time.convolution, r->time.slots_to_coeffs, r->time.switch_to_sparse,
           r->time.coeffs_to_slots, r->time.eval_mod, r->time.activation, other_seconds(r));
    printf(
        "    start-up %.1f s, key generation %.1f s; peak %.0f MiB, keys %.0f, plaintexts %.0f\n",
        r->startup_seconds, r->keygen_seconds, r->peak_mib, r->key_mib, r->plain_mib);
    printf("    %zu of %zu in agreement with the plaintext polynomials, score error %.5f of the "
           "deviation",
           r->agree, r->pictures, r->score_error);
    if (r->judged)
        printf("; accuracy %.2f %% of %zu (exact network %.2f %%)", r->accuracy, r->judged,
               r->exact);
    printf("\n");
}

/* Times of configuration 1 and of 5 over those of the others. */
static const struct {
    const char *key;
    int slow, fast;
} ratio[] = {{"ratio_2_1", 0, 1}, {"ratio_3_1", 0, 2}, {"ratio_4_1", 0, 3}, {"ratio_4_5", 4, 3}};
#define RATIOS (sizeof ratio / sizeof ratio[0])

static double ratio_of(const result r[CONFIGURATIONS], size_t i)
{
    int slow = ratio[i].slow, fast = ratio[i].fast;
    return r[slow].done && r[fast].done ? r[slow].seconds / r[fast].seconds : NAN;
}

static void print_text(const result r[CONFIGURATIONS])
{
    for (size_t i = 0; i < RATIOS; i++)
        if (isfinite(ratio_of(r, i)))
            printf("(%d) is %.2f times as fast as (%d)\n", ratio[i].fast + 1, ratio_of(r, i),
                   ratio[i].slow + 1);
}

static void print_number(const char *key, double value)
{
    printf("\"%s\": ", key);
    nn_cmd_json_number(value);
    printf(", ");
}

static void print_json_one(const result *r, int k)
{
    printf("{\"configuration\": %d, \"name\": \"%s\", \"params\": \"%s\", ", k + 1,
           configuration[k].name, configuration[k].params);
    print_number("log2_qp", r->log2_qp);
    print_number("seconds", r->seconds);
    print_number("startup_seconds", r->startup_seconds);
    print_number("keygen_seconds", r->keygen_seconds);
    print_number("peak_mib", r->peak_mib);
    print_number("key_mib", r->key_mib);
    print_number("plain_mib", r->plain_mib);
    printf("\"bootstraps\": %u, \"depth\": %u, \"levels\": %u, \"pictures\": %zu, \"agree\": %zu, ",
           r->bootstraps, r->depth, r->levels, r->pictures, r->agree);
    print_number("score_error", r->score_error);
    print_number("accuracy", r->judged ? r->accuracy : NAN);
    print_number("exact_accuracy", r->judged ? r->exact : NAN);
    printf("\"judged\": %zu, \"stages\": {", r->judged);
    print_number("convolution", r->time.convolution);
    print_number("slots_to_coeffs", r->time.slots_to_coeffs);
    print_number("switch_to_sparse", r->time.switch_to_sparse);
    print_number("coeffs_to_slots", r->time.coeffs_to_slots);
    print_number("eval_mod", r->time.eval_mod);
    print_number("activation", r->time.activation);
    printf("\"other\": ");
    nn_cmd_json_number(other_seconds(r));
    printf("}}");
}

static void print_json(const nn_cmd_bench_options *o, const result r[CONFIGURATIONS])
{
    const char *comma = "";
    printf("{\"model\": ");
    nn_cmd_json_string(o->model);
    printf(", ");
#ifdef _OPENMP
    printf("\"threads\": %d, ", omp_get_max_threads());
#else
    printf("\"threads\": 1, ");
#endif
    for (size_t i = 0; i < RATIOS; i++) print_number(ratio[i].key, ratio_of(r, i));
    printf("\"configurations\": [");
    for (int k = 0; k < CONFIGURATIONS; k++)
        if (r[k].done) {
            printf("%s", comma);
            print_json_one(&r[k], k);
            comma = ",\n ";
        }
    printf("]}\n");
}

/* ---- all of it ---- */

static fhola_status choose(bool chosen[CONFIGURATIONS], const char *list)
{
    for (const char *at = list; *at; at++) {
        if (*at < '1' || *at > '0' + CONFIGURATIONS || (at[1] && at[1] != ','))
            return fhola_fail(FHOLA_PARAM,
                              "configurations are 1 to %d, separated by commas, not '%s'",
                              CONFIGURATIONS, list);
        chosen[*at - '1'] = true;
        if (at[1]) at++;
    }
    return FHOLA_OK;
}

fhola_status nn_cmd_bench_paper(const nn_cmd_bench_options *o)
{
    result r[CONFIGURATIONS];
    bool chosen[CONFIGURATIONS] = {false};
    memset(r, 0, sizeof r);
    nn_cmd_set_threads(o->threads);
    inputs in = {NULL, NULL};
    fhola_status status = choose(chosen, o->configs);
    if (status == FHOLA_OK) status = nn_cmd_find_model(&in.model, o->model, NULL);
    if (status == FHOLA_OK && o->test)
        status = nn_cmd_load_batch(&in.batch, in.model, o->test, NULL, 0, 0);
    if (status == FHOLA_OK && !o->json) print_header(o);
    for (int k = 0; k < CONFIGURATIONS && status == FHOLA_OK; k++) {
        if (chosen[k]) status = run(&r[k], o, &in, k);
        if (r[k].done && !o->json) print_one(&r[k], k);
        fflush(stdout);
    }
    nn_batch_free(in.batch);
    nn_model_free(in.model);
    if (status != FHOLA_OK) return status;
    if (o->json)
        print_json(o, r);
    else
        print_text(r);
    return FHOLA_OK;
}
