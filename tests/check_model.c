/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/graph/model.h"

#include "check_nn_support.h"
#include "nn/graph/graph.h"
#include "nn/graph/model_io.h"
#include "nn/graph/safetensors.h"
#include "nn/nn.h"

/* A network of depth 8 with something changed; returns the status of loading it. */
typedef struct change {
    const char *leave_out, *misshape, *spoil, *further;
    float spoiled;
    const char *metadata;
} change;

static const char *changed_path; /* of the file loaded last */

static fhola_status load_changed(nn_model **model, change c, const nn_model_options *options)
{
    weights *w = calloc(1, sizeof *w);
    ck_assert_ptr_nonnull(w);
    w->random = test_seed;
    w->leave_out = c.leave_out;
    w->misshape = c.misshape;
    w->spoil = c.spoil;
    w->spoiled = c.spoiled;
    w->further = c.further;
    make_weights(w, 1, "down", "linear", "", c.metadata);
    changed_path = write_weights(w, "changed.safetensors");
    free(w);
    return nn_model_load(model, changed_path, options);
}

START_TEST(loads_the_bundled_network)
{
    nn_model *model;
    nn_model_info info;
    succeed(nn_model_load(&model, project_file("nn/models/resnet20.safetensors"), NULL));
    nn_model_describe(model, &info);
    ck_assert_uint_eq(info.depth, 20);
    ck_assert_uint_eq(info.activations, 19);
    ck_assert_uint_eq(info.classes, 10);
    ck_assert_str_eq(nn_model_class(model, 3), "cat");
    assert_close(info.mean[0], 0.4914, 1e-12);
    assert_close(info.std[2], 0.2616, 1e-12);
    ck_assert(info.test_accuracy > 80 && info.test_accuracy < 100);
    ck_assert_uint_eq(info.nodes, 21);
    ck_assert_uint_eq(nn_graph_layer(model->graph, 7)->shape.height, 16);
    ck_assert_uint_eq(nn_activation_channels(model, 6), 16);
    ck_assert_uint_eq(nn_activation_channels(model, 7), 32);
    nn_model_free(model);
}
END_TEST

/* A convolution with its batch norm, from the file's own tensors, against what node `to` of the
 * graph does with the values of node `from`. `alone`: the node's bias is this layer's. */
static void compare_folded(const nn_model *model, size_t to, size_t from,
                           const nn_safetensors *file, const char *name, const char *norm,
                           bool alone, double eps)
{
    const char *const parts[4] = {"weight", "bias", "running_mean", "running_var"};
    const nn_node *node = &model->graph->nodes[to];
    const nn_edge *edge = node->edges;
    while (edge->node != from) edge++;
    const nn_convolution *c = &edge->map.convolution;
    char full[96];
    double norms[4][64];
    snprintf(full, sizeof full, "%s.weight", name);
    const nn_weight_tensor *tensor = nn_safetensors_find(file, full);
    ck_assert_int_eq(edge->map.kind, NN_MAP_CONVOLUTION);
    ck_assert_uint_eq(tensor->count, nn_convolution_weights(c));
    double *weight = malloc(tensor->count * sizeof *weight);
    succeed(nn_tensor_values(weight, tensor, "file"));
    for (int i = 0; i < 4; i++) {
        snprintf(full, sizeof full, "%s.%s", norm, parts[i]);
        succeed(nn_tensor_values(norms[i], nn_safetensors_find(file, full), "file"));
    }
    for (size_t k = 0; k < tensor->count; k++) {
        size_t o = k / (tensor->count / c->out_channels);
        assert_close(c->weight[k], weight[k] / sqrt(norms[3][o] + eps) * norms[0][o], 1e-14);
    }
    for (size_t o = 0; o < c->out_channels && alone; o++)
        assert_close(node->bias[o],
                     norms[1][o] - norms[2][o] / sqrt(norms[3][o] + eps) * norms[0][o], 1e-14);
    free(weight);
}

START_TEST(folds_batch_norm)
{
    nn_model *model;
    nn_safetensors *file;
    const char *path = write_network("folded.safetensors", 1, "shortcut", test_seed);
    succeed(nn_model_load(&model, path, NULL));
    succeed(nn_safetensors_open(&file, path));
    compare_folded(model, 1, 0, file, "conv1", "bn1", true, 1e-5);
    compare_folded(model, 3, 2, file, "layer1.0.conv2", "layer1.0.bn2", true, 1e-5);
    compare_folded(model, 4, 3, file, "layer2.0.conv1", "layer2.0.bn1", true, 1e-5);
    compare_folded(model, 7, 5, file, "layer3.0.shortcut.0", "layer3.0.shortcut.1", false, 1e-5);
    ck_assert(nn_map_is_identity(&model->graph->nodes[3].edges[0].map));
    nn_safetensors_close(file);
    nn_model_free(model);
}
END_TEST

static nn_model *load_named(unsigned blocks, const char *shortcut, const char *linear,
                            const char *prefix)
{
    nn_model *model;
    weights *w = calloc(1, sizeof *w);
    ck_assert_ptr_nonnull(w);
    w->random = test_seed;
    make_weights(w, blocks, shortcut, linear, prefix, WEIGHTS_METADATA);
    succeed(nn_model_load(&model, write_weights(w, "named.safetensors"), NULL));
    free(w);
    return model;
}

/* The same numbers under other names are the same network. */
START_TEST(accepts_the_usual_names)
{
    nn_model *usual = load_named(2, "down", "linear", ""), *other;
    other = load_named(2, "downsample", "fc", "module.");
    ck_assert_uint_eq(usual->hash, other->hash);
    ck_assert_uint_eq(nn_graph_hash(usual->graph), nn_graph_hash(other->graph));
    nn_model_free(other);
    other = load_named(2, "shortcut", "fc", "model.net.");
    ck_assert_uint_eq(usual->hash, other->hash);
    nn_model_free(other);
    other = load_named(2, "shortcut", "fc", "");
    ck_assert_uint_eq(usual->hash, other->hash);
    nn_model_free(other);
    other = load_named(2, NULL, "linear", "");
    ck_assert_uint_ne(usual->hash, other->hash);
    ck_assert_uint_eq(nn_graph_depth(other->graph), 14);
    nn_model_free(other);
    nn_model_free(usual);
}
END_TEST

/* Any depth 6 b + 2, any number of classes: shapes and numbering follow. */
START_TEST(accepts_depths_and_classes)
{
    static const struct {
        unsigned blocks;
        size_t classes;
    } sizes[] = {{1, 100}, {2, 2}, {5, 10}, {7, 100}, {9, 1000}, {18, 10}};
    nn_model *model;
    nn_model_info info;
    weights *w = calloc(1, sizeof *w);
    ck_assert_ptr_nonnull(w);
    w->random = test_seed;
    w->classes = sizes[_i].classes;
    make_weights(w, sizes[_i].blocks, _i % 2 ? "down" : NULL, "linear", "",
                 "\"__metadata__\": {\"mean\": \"[0, 0, 0]\", \"std\": \"[1, 1, 1]\"}");
    succeed(nn_model_load(&model, write_weights(w, "deep.safetensors"), NULL));
    free(w);
    nn_model_describe(model, &info);
    ck_assert_uint_eq(info.depth, 6 * sizes[_i].blocks + 2);
    ck_assert_uint_eq(info.activations, 6 * sizes[_i].blocks + 1);
    ck_assert_uint_eq(info.classes, sizes[_i].classes);
    ck_assert_uint_eq(nn_activation_channels(model, info.activations - 1), 64);
    ck_assert_uint_eq(nn_graph_layer(model->graph, info.activations - 1)->shape.height, 8);
    ck_assert_uint_eq(nn_activation_channels(model, 2 * sizes[_i].blocks), 16);
    ck_assert_uint_eq(nn_activation_channels(model, 2 * sizes[_i].blocks + 1), 32);
    ck_assert_str_eq(nn_model_class(model, 1), "1");
    nn_model_free(model);
}
END_TEST

static const struct {
    change c;
    const char *message;
} wrong[] = {
    {{.leave_out = "conv1.weight"}, "tensor conv1.weight is missing"},
    {{.leave_out = "layer1.0.conv1.weight"},
     "tensor layer1.0.conv1.weight is missing: not a CIFAR ResNet"},
    {{.leave_out = "layer1.0.conv1.weight"}, "46 tensors, the first is called conv1.weight"},
    {{.leave_out = "layer2.0.conv2.weight"}, "tensor layer2.0.conv2.weight is missing"},
    {{.leave_out = "layer3.0.bn1.running_var"}, "tensor layer3.0.bn1.running_var is missing"},
    {{.leave_out = "layer2.0.down.1.bias"}, "tensor layer2.0.down.1.bias is missing"},
    {{.leave_out = "layer2.0.down.0.weight"}, "unexpected tensor layer2.0.down.1.weight"},
    {{.leave_out = "linear.weight"}, "neither tensor linear.weight nor fc.weight"},
    {{.leave_out = "linear.bias"}, "tensor linear.bias is missing"},
    {{.misshape = "conv1.weight"}, "tensor bn1.weight is 16, must be 17"},
    {{.misshape = "layer3.0.bn2.bias"}, "tensor layer3.0.bn2.bias is 65, must be 64"},
    {{.misshape = "linear.bias"}, "tensor linear.bias is 4, must be 3"},
    {{.spoil = "layer1.0.conv2.weight", .spoiled = (float)NAN},
     "tensor layer1.0.conv2.weight: element 1152 is NaN"},
    {{.spoil = "bn1.running_mean", .spoiled = (float)INFINITY},
     "tensor bn1.running_mean: element 8 is infinite"},
    {{.spoil = "bn1.running_var", .spoiled = -1}, "tensor bn1.running_var: element 8 is negative"},
    {{.further = "layer1.1.conv1.weight"},
     "tensor layer1.1.conv1.weight is 2 x 2, must be 16 x 16 x 3 x 3"},
    {{.further = "layer4.0.conv1.weight"}, "unexpected tensor layer4.0.conv1.weight"},
    {{.metadata = "\"__metadata__\": {\"std\": \"[1, 1, 1]\"}"}, "the metadata has no \"mean\""},
    {{.metadata = "\"__metadata__\": {\"mean\": \"[1, 1]\", \"std\": \"[1, 1, 1]\"}"},
     "\"mean\" is not an array of 3 numbers"},
    {{.metadata = "\"__metadata__\": {\"mean\": \"[1, 1, x]\", \"std\": \"[1, 1, 1]\"}"},
     "metadata \"mean\":1:8"},
    {{.metadata = "\"__metadata__\": {\"mean\": \"[0, 0, 0]\", \"std\": \"[1, 0, 1]\"}"},
     "std must be positive"},
    {{.metadata = "\"__metadata__\": {\"mean\": \"[0, 0, 0]\", \"std\": \"[1, 1, 1]\", "
                  "\"classes\": \"[1]\"}"},
     "an array of 3 names"},
    {{.metadata = "\"__metadata__\": {\"mean\": \"[0, 0, 0]\", \"std\": \"[1, 1, 1]\", "
                  "\"classes\": \"[1, 2, 3]\"}"},
     "entry 0 is not a string"},
    {{.metadata =
          "\"__metadata__\": {\"mean\": \"[0, 0, 0]\", \"std\": \"[1, 1, 1]\", \"classes\": "
          "\"[\\\"a\\\", \\\"\\\\u001b[2J\\\", \\\"c\\\"]\"}"},
     "control characters"},
    {{.metadata = "\"__metadata__\": {\"mean\": \"[0, 0, 0]\", \"std\": \"[1, 1, 1]\", "
                  "\"activation\": \"swish\"}"},
     "no function known"},
};

START_TEST(refuses_bad_files)
{
    nn_model *model = NULL;
    change c = wrong[_i].c;
    if (!c.metadata) c.metadata = WEIGHTS_METADATA;
    fail_with(load_changed(&model, c, NULL), FHOLA_FORMAT, wrong[_i].message);
    ck_assert_ptr_null(model);
}
END_TEST

START_TEST(has_one_of_several_functions)
{
    nn_model *model = NULL;
    change gelu = {.metadata = "\"__metadata__\": {\"mean\": \"[0, 0, 0]\", \"std\": \"[1, 1, "
                               "1]\", \"activation\": \"gelu\"}"};
    succeed(load_changed(&model, gelu, NULL));
    ck_assert_int_eq(model->function.kind, OLA_GELU);
    uint64_t as_gelu = nn_model_exact_hash(model);
    ck_assert(as_gelu != model->hash);
    succeed(nn_model_set_function(model, write_string("table", "[[-1, 0.5], [0, 0], [2, 4]]")));
    ck_assert_int_eq(model->function.kind, OLA_TABLE);
    ck_assert_double_eq(ola_function_eval(&model->function, -2), 1);
    ck_assert_double_eq(ola_function_eval(&model->function, 0.5), 1);
    uint64_t as_table = nn_model_exact_hash(model);
    ck_assert(as_table != model->hash && as_table != as_gelu);
    fail_with(nn_model_set_function(model, "softmax"), FHOLA_IO, "softmax");
    fail_with(nn_model_set_function(model, write_string("bad", "[[0, 0]]")), FHOLA_FORMAT,
              "2 to 65536 pairs");
    fail_with(nn_model_set_function(model, write_string("bad", "[[0, 0], [1]]")), FHOLA_FORMAT,
              "bad:1:10");
    fail_with(nn_model_set_function(model, write_string("bad", "[[0, 0], [0, 1]]")), FHOLA_FORMAT,
              "must rise");
    ck_assert_uint_eq(nn_model_exact_hash(model), as_table); /* a refused one changes nothing */
    succeed(nn_model_set_function(model, "relu"));
    ck_assert_uint_eq(nn_model_exact_hash(model), model->hash);
    nn_model_free(model);
}
END_TEST

START_TEST(takes_options_in_place_of_metadata)
{
    static const double mean[3] = {0.1, 0.2, 0.3}, std[3] = {0.4, 0.5, 0.6}, flat[3] = {1, 0, 1},
                        bytes[3] = {125.3, 123, 113.9};
    static const char *const names[3] = {"one", "two", "three"};
    nn_model_options options = {mean, std, names, 3, 0};
    nn_model *model = NULL;
    change none = {.metadata = NULL};
    fail_with(load_changed(&model, none, NULL), FHOLA_FORMAT,
              "no \"mean\" and none was given: add --mean R,G,B --std R,G,B");
    succeed(load_changed(&model, none, &options));
    ck_assert_double_eq(model->mean[1], 0.2);
    ck_assert_double_eq(model->std[2], 0.6);
    ck_assert_str_eq(nn_model_class(model, 2), "three");
    ck_assert(isnan(model->test_accuracy));
    nn_model_free(model);
    options.class_names = NULL;
    succeed(load_changed(&model, none, &options));
    ck_assert_str_eq(nn_model_class(model, 2), "2");
    nn_model_free(model);
    options.std = flat;
    fail_with(load_changed(&model, none, &options), FHOLA_PARAM, "std must be positive");
    options.std = mean;
    options.mean = bytes;
    fail_with(load_changed(&model, none, &options), FHOLA_PARAM, "divided by 255");
    options.std = bytes;
    options.mean = mean;
    fail_with(load_changed(&model, none, &options), FHOLA_PARAM, "divided by 255");
    options = (nn_model_options){mean, std, names, 2, 0};
    fail_with(load_changed(&model, none, &options), FHOLA_PARAM, "2 class names given");
}
END_TEST

/* Networks of other frameworks: batch norm with another epsilon, by the file or by the options,
 * makes other weights of the same tensors, and another hash. 1e-5 makes the same. */
START_TEST(batch_norm_epsilon_of_the_file)
{
#define WITH_EPS(text)                                                                             \
    (change){.metadata = "\"__metadata__\": {\"mean\": \"[0, 0, 0]\", \"std\": \"[1, 1, 1]\", "    \
                         "\"batch_norm_epsilon\": \"" text "\"}"}
    nn_model *model = NULL;
    nn_safetensors *file;
    uint64_t usual;
    nn_model_options options = {.batch_norm_eps = 0};
    succeed(load_changed(&model, WITH_EPS("1e-5"), NULL));
    usual = model->hash;
    nn_model_free(model);
    succeed(load_changed(&model, (change){.metadata = WEIGHTS_METADATA}, &options));
    ck_assert_uint_eq(model->hash, usual);
    nn_model_free(model);
    succeed(load_changed(&model, WITH_EPS("0.125"), &options));
    ck_assert_uint_ne(model->hash, usual);
    uint64_t other = model->hash;
    succeed(nn_safetensors_open(&file, changed_path));
    compare_folded(model, 1, 0, file, "conv1", "bn1", true, 0.125);
    compare_folded(model, 4, 3, file, "layer2.0.conv1", "layer2.0.bn1", true, 0.125);
    nn_safetensors_close(file);
    nn_model_free(model);
    options.batch_norm_eps = 0.125; /* in place of the file's */
    succeed(load_changed(&model, WITH_EPS("0.001"), &options));
    ck_assert_uint_eq(model->hash, other);
    nn_model_free(model);
    model = NULL;
    fail_with(load_changed(&model, WITH_EPS("-1e-5"), NULL), FHOLA_FORMAT, "not -1e-5");
    fail_with(load_changed(&model, WITH_EPS("little"), NULL), FHOLA_FORMAT, "not little");
    fail_with(load_changed(&model, WITH_EPS("1.5"), NULL), FHOLA_FORMAT, "at most 1");
    options.batch_norm_eps = (double)NAN;
    fail_with(load_changed(&model, WITH_EPS("0.001"), &options), FHOLA_PARAM, "the one given");
}
END_TEST

START_TEST(hash_follows_the_weights)
{
    nn_model *a, *b;
    change usual = {.metadata = WEIGHTS_METADATA};
    succeed(load_changed(&a, usual, NULL));
    static const char *const names[] = {"conv1.weight", "layer3.0.bn2.bias",
                                        "layer2.0.down.1.running_mean", "linear.bias"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        change c = {.metadata = WEIGHTS_METADATA, .spoil = names[i], .spoiled = 0.0625f};
        succeed(load_changed(&b, c, NULL));
        ck_assert_uint_ne(a->hash, b->hash);
        nn_model_free(b);
    }
    nn_model_free(a);
}
END_TEST

/* Cut anywhere, the file is refused; with any byte of the header changed, it is refused or read,
 * never more. */
START_TEST(survives_damage)
{
    const char *path = write_network("whole.safetensors", 1, "down", test_seed);
    FILE *stream = fopen(path, "rb");
    static unsigned char bytes[1 << 20];
    size_t length = fread(bytes, 1, sizeof bytes, stream);
    uint64_t random = test_seed;
    fclose(stream);
    for (int i = 0; i < 60; i++) {
        nn_model *model = NULL;
        size_t cut = i < 20 ? (size_t)i : (size_t)(next_random(&random) % length);
        ck_assert_int_eq(nn_model_load(&model, write_bytes("cut.safetensors", bytes, cut), NULL),
                         FHOLA_FORMAT);
    }
    for (int i = 0; i < 150; i++) {
        nn_model *model = NULL;
        size_t at = (size_t)(next_random(&random) % 9000);
        unsigned char old = bytes[at];
        bytes[at] = (unsigned char)next_random(&random);
        fhola_status status =
            nn_model_load(&model, write_bytes("damaged.safetensors", bytes, length), NULL);
        ck_assert(status == FHOLA_OK || status == FHOLA_FORMAT);
        nn_model_free(model);
        bytes[at] = old;
    }
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("model");
    tcase_add_test(tcase, loads_the_bundled_network);
    tcase_add_test(tcase, folds_batch_norm);
    tcase_add_test(tcase, accepts_the_usual_names);
    tcase_add_loop_test(tcase, accepts_depths_and_classes, 0, 6);
    tcase_add_loop_test(tcase, refuses_bad_files, 0, (int)(sizeof wrong / sizeof wrong[0]));
    tcase_add_test(tcase, has_one_of_several_functions);
    tcase_add_test(tcase, takes_options_in_place_of_metadata);
    tcase_add_test(tcase, batch_norm_epsilon_of_the_file);
    tcase_add_test(tcase, hash_follows_the_weights);
    tcase_add_test(tcase, survives_damage);
    return run_tests("model", tcase, 120);
}
