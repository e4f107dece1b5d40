/* SPDX-License-Identifier: Apache-2.0 */
/* Networks whose tensors take several ciphertexts, with random weights, at full size: encrypted
 * scores of three pictures agree with the plaintext polynomial network, and the results are the
 * same, bit for bit, within half of the memory. Prints seconds, what a table of costs predicts for
 * them (the bundled one: on the machine it was measured on), and the peak of the process.
 *
 * Environment (optional): FHOLA_TEST_NAME, the one network to try; FHOLA_TEST_MEMORY, GiB that a
 * network may take (default 12: a machine of 16 GiB less its reserve); FHOLA_TEST_COST, a table of
 * costs of this machine ('fhola bench --calibrate') to predict with. */
#include "agreement.h"
#include "ckks/clock.h"
#include "small_network.h"

#define PICTURES 3u

/* ---- networks ---- */

static nn_tensor unit(small_network *n, nn_tensor x, unsigned channels, unsigned kernel,
                      unsigned stride)
{
    return small_norm(n, small_conv(n, x, channels, kernel, stride));
}

/* Two convolutions and a skip, a projection where the shape changes (He, Zhang, Ren, Sun, CVPR
 * 2016). */
static nn_tensor residual(small_network *n, nn_tensor x, unsigned channels, unsigned stride)
{
    bool changes = stride > 1 || nn_graph_shape(n->model.graph, x).channels != channels;
    nn_tensor inside = small_relu(n, unit(n, x, channels, 3, stride)),
              kept = changes ? unit(n, x, channels, 1, stride) : x;
    return small_relu(n, small_add(n, unit(n, inside, channels, 3, 1), kept));
}

/* `stages` stages of `blocks` blocks; widths double, sides halve. */
static nn_tensor resnet(small_network *n, unsigned width, unsigned stages, unsigned blocks)
{
    nn_tensor x = small_relu(n, unit(n, 0, width, 3, 1));
    for (unsigned k = 0; k < stages * blocks; k++)
        x = residual(n, x, width << k / blocks, k && k % blocks == 0 ? 2 : 1);
    return small_dense(n, small_global(n, x), 10);
}

static nn_tensor resnet18(small_network *n)
{
    return resnet(n, 64, 4, 2);
}

static nn_tensor resnet20(small_network *n)
{
    return resnet(n, 16, 3, 3);
}

static nn_tensor resnet20_2(small_network *n)
{
    return resnet(n, 32, 3, 3);
}

static nn_tensor resnet20_4(small_network *n)
{
    return resnet(n, 64, 3, 3);
}

/* Configuration A of Simonyan and Zisserman (arXiv 1409.1556) with batch norms, one dense layer. */
static nn_tensor vgg11(small_network *n)
{
    static const unsigned widths[] = {64, 128, 256, 256, 512, 512, 512, 512};
    nn_tensor x = 0;
    for (int k = 0; k < 8; k++) {
        x = small_relu(n, unit(n, x, widths[k], 3, 1));
        if (k < 2 || k % 2) x = small_max(n, x, 2, 2);
    }
    return small_dense(n, x, 10);
}

static const struct {
    const char *name;
    nn_tensor (*make)(small_network *);
    nn_shape input;
} networks[] = {
    {"resnet20", resnet20, {3, 32, 32}},     {"resnet20x2", resnet20_2, {3, 32, 32}},
    {"resnet20x4", resnet20_4, {3, 32, 32}}, {"resnet18", resnet18, {3, 32, 32}},
    {"vgg11", vgg11, {3, 32, 32}},           {"resnet20-64", resnet20, {3, 64, 64}},
};

/* ---- runs ---- */

/* The peak of resident memory counts anew from here, where the system can (Linux). */
static void reset_peak(void)
{
    FILE *file = fopen("/proc/self/clear_refs", "w");
    if (!file) return;
    fputs("5", file);
    fclose(file);
}

/* GiB; 0: the system does not tell. */
static double peak(void)
{
    char line[256];
    double kib = 0;
    FILE *file = fopen("/proc/self/status", "r");
    if (!file) return 0;
    while (fgets(line, sizeof line, file))
        if (sscanf(line, "VmHWM: %lf", &kib) == 1) break;
    fclose(file);
    return kib / 0x1p20;
}

static void open_network(agreement *a, size_t k)
{
    static const double mean[] = {0.5, 0.4, 0.45}, std[] = {0.25, 0.24, 0.26};
    const nn_model_options options = {.mean = mean, .std = std};
    small_network n;
    small_begin(&n, networks[k].input, test_seed + (uint64_t)k);
    n.reach = sqrt(6); /* values keep their size (He, Zhang, Ren, Sun, arXiv 1502.01852) */
    small_must(nn_graph_finish(n.model.graph, networks[k].make(&n)));
    succeed(nn_model_create(&a->model, n.model.graph, &options));
    plan_random_network(a);
    compile_random_network(a, 15, 0);
}

/* Seconds of a picture by the table of costs. */
static double predicted_seconds(const agreement *a)
{
    const char *table = getenv("FHOLA_TEST_COST");
    nn_cost *cost;
    double seconds;
    succeed(nn_cost_load(&cost, table ? table : project_file("nn/models/cost.json")));
    succeed(nn_plan_seconds(&seconds, a->plan, a->model, cost, "R15"));
    nn_cost_free(cost);
    return seconds;
}

/* Three pictures, what they are to give and what they gave. */
typedef struct wide_run {
    agreement a;
    const char *name;
    ckks_ciphertext **in[PICTURES];
    double plain[PICTURES][AGREEMENT_CLASSES], encrypted[PICTURES][AGREEMENT_CLASSES];
} wide_run;

/* With at most so many bytes for the process, or with the least that will do. Decryption is
 * deterministic: equal results have equal scores. */
static void infer_within(wide_run *r, double memory, double scores[PICTURES][AGREEMENT_CLASSES])
{
    agreement *a = &r->a;
    nn_memory needs = nn_network_memory(a->network, a->context);
    uint64_t room, bytes = (uint64_t)fmin(fmax(memory, (double)needs.least), (double)needs.most);
    double start = ckks_seconds(), seconds[PICTURES];
    succeed(nn_network_room(&room, a->network, a->context, bytes));
    nn_network_destroy(a->network);
    reset_peak();
    succeed(
        nn_network_create_within(&a->network, a->context, a->workspace, a->model, a->plan, room));
    printf("%s within %.2f GiB: prepared in %.1f s", r->name, (double)bytes / 0x1p30,
           ckks_seconds() - start);
    for (size_t i = 0; i < PICTURES; i++) {
        start = ckks_seconds();
        infer_scores(a, r->in[i], scores[i]);
        seconds[i] = ckks_seconds() - start;
    }
    printf(", pictures %.2f, %.2f, %.2f s, peak %.2f GiB\n", seconds[0], seconds[1], seconds[2],
           peak());
    fflush(stdout);
}

static void check_scores(const wide_run *r, size_t classes)
{
    for (size_t i = 0; i < PICTURES; i++) {
        const double *plain = r->plain[i];
        double error = rms_difference(r->encrypted[i], plain, classes),
               deviation = score_deviation(plain, classes),
               apart = rms_difference(plain, r->plain[(i + 1) % PICTURES], classes);
        printf("%s, picture %zu: error %.5f of the deviation %.3f (bound %.2f); the next picture's "
               "scores are %.3f away\n",
               r->name, i, error / deviation, deviation, AGREEMENT_SCORE_BOUND, apart);
        ck_assert_double_le(error, AGREEMENT_SCORE_BOUND * deviation);
        ck_assert_double_gt(apart, 5 * error);
    }
    fflush(stdout);
}

START_TEST(wide_networks_agree)
{
    const char *only = getenv("FHOLA_TEST_NAME"), *gib = getenv("FHOLA_TEST_MEMORY");
    static wide_run r;
    static double again[PICTURES][AGREEMENT_CLASSES];
    r.name = networks[_i].name;
    if (only && strcmp(only, r.name) != 0) return;
    double start = ckks_seconds(), memory = (gib ? atof(gib) : 12) * 0x1p30;
    open_network(&r.a, (size_t)_i);
    const nn_client *client = nn_network_client(r.a.network);
    nn_memory needs = nn_network_memory(r.a.network, r.a.context);
    printf("%s: planned and keys made in %.0f s; %zu keys, %.2f to %.2f GiB; predicted %.1f s\n",
           r.name, ckks_seconds() - start, nn_client_keys(client)->count,
           (double)needs.least / 0x1p30, (double)needs.most / 0x1p30, predicted_seconds(&r.a));
    for (size_t i = 0; i < PICTURES; i++) {
        succeed(nn_encrypted_create(&r.in[i], r.a.context, client));
        encrypt_held_out(&r.a, i, r.in[i], r.plain[i]);
    }
    memory = fmin(memory, (double)needs.most);
    infer_within(&r, memory, r.encrypted);
    check_scores(&r, nn_client_classes(nn_network_client(r.a.network)));
    infer_within(&r, memory / 2, again);
    ck_assert_mem_eq(again, r.encrypted, sizeof again);
    for (size_t i = 0; i < PICTURES; i++) nn_encrypted_destroy(r.in[i]);
    release_agreement(&r.a);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("wide networks");
    tcase_add_loop_test(tcase, wide_networks_agree, 0, (int)(sizeof networks / sizeof networks[0]));
    return run_tests("wide networks", tcase, 3600);
}
