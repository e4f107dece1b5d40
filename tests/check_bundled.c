/* SPDX-License-Identifier: Apache-2.0 */
/* The bundled ResNet-20 at full size, from one seed: the same result, bit for bit. What
 * check_determinism is for the scheme this is for networks: importer, composition of maps, layouts,
 * splits, schedule, execution. A change that moves the result on purpose (other weights, another
 * plan or parameter set) writes the hash anew, in a commit of its own, and says so in
 * CHANGELOG.md. FHOLA_TEST_NAME=resnet20-gelu, or resnet32, which takes 4 GiB: the others. */
#include "nn/nn.h"

#include "tests/support.h"

static const struct {
    const char *model;
    uint64_t result;
} answers[] = {{"resnet20", UINT64_C(0x86894f028abbbfa4)},
               {"resnet20-gelu", UINT64_C(0x4f2c7cf336800223)},
               {"resnet32", UINT64_C(0x0771c2394c72b0ed)}};

/* Which of them the environment names, the first one by default. */
static size_t asked(void)
{
    const char *name = getenv("FHOLA_TEST_NAME");
    size_t k = 0;
    if (name)
        while (k < sizeof answers / sizeof *answers && strcmp(answers[k].model, name) != 0) k++;
    ck_assert_msg(k < sizeof answers / sizeof *answers, "no answer of %s is known", name);
    return k;
}

static const uint8_t seed[32] = "the bundled network, one picture";

static const char *bundled(const char *suffix)
{
    static char path[4096];
    const char *top = getenv("top_srcdir");
    snprintf(path, sizeof path, "%s/nn/models/%s.%s", top ? top : ".", answers[asked()].model,
             suffix);
    return path;
}

typedef struct run {
    nn_model *model;
    nn_plan *plan;
    ckks_params *params;
    ckks_context *context;
    ckks_workspace *workspace;
    ckks_rng *rng;
    ckks_secret_key *secret;
    ckks_eval_keys *keys;
    nn_network *network;
    ckks_ciphertext *in, *out;
} run;

static void open_run(run *r)
{
    ck_assert_ok(nn_model_load(&r->model, bundled("safetensors"), NULL));
    ck_assert_ok(nn_plan_load(&r->plan, bundled("plan"), r->model));
    ck_assert_ok(ckks_params_named(&r->params, "R15"));
    ck_assert_ok(ckks_context_create(&r->context, r->params, NULL));
    ck_assert_ok(ckks_workspace_create(&r->workspace, r->context));
    ck_assert_ok(ckks_rng_create_seeded(&r->rng, seed));
    ck_assert_ok(ckks_secret_key_create(&r->secret, r->context, r->rng));
    ck_assert_ok(nn_network_create(&r->network, r->context, r->workspace, r->model, r->plan, 1));
    ck_assert_ok(ckks_eval_keys_create(&r->keys, r->context, r->secret, nn_network_keys(r->network),
                                       r->rng, NULL, NULL));
    ck_assert_ok(ckks_ciphertext_create(&r->in, r->context));
    ck_assert_ok(ckks_ciphertext_create(&r->out, r->context));
}

static void close_run(run *r)
{
    ckks_ciphertext_destroy(r->in);
    ckks_ciphertext_destroy(r->out);
    ckks_eval_keys_destroy(r->keys);
    nn_network_destroy(r->network);
    ckks_secret_key_destroy(r->secret);
    ckks_rng_destroy(r->rng);
    ckks_workspace_destroy(r->workspace);
    ckks_context_destroy(r->context);
    ckks_params_destroy(r->params);
    nn_plan_free(r->plan);
    nn_model_free(r->model);
}

START_TEST(result_of_one_seed)
{
    static double pixels[NN_PICTURE_VALUES];
    run r = {.model = NULL};
    for (size_t k = 0; k < NN_PICTURE_VALUES; k++) pixels[k] = (double)(k * 377 % 1021) / 1024;
    open_run(&r);
    const nn_client *client = nn_network_client(r.network);
    ck_assert_ok(
        nn_encrypt_picture(r.context, r.workspace, &r.in, client, pixels, r.secret, r.rng));
    ck_assert_ok(nn_infer(r.context, r.workspace, r.out, r.network, r.keys, &r.in, NULL));
    uint64_t hash = ciphertext_hash(r.out);
    uint64_t answer = answers[asked()].result;
    ck_assert_msg(hash == answer, "0x%016" PRIx64 " instead of 0x%016" PRIx64, hash, answer);
    close_run(&r);
}
END_TEST

static void add_tests(TCase *tcase)
{
    tcase_add_test(tcase, result_of_one_seed);
}

int main(void)
{
    return test_run("bundled network", add_tests, 1500); /* seconds, but minutes on other tables */
}
