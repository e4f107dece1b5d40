/* SPDX-License-Identifier: Apache-2.0 */
/* CIFAR ResNets of any width from weights files, against their definition: every layer as PyTorch
 * has it, computed from the tensors of the file one by one. */
#include "nn/graph/resnet.h"

#include "check_nn_support.h"
#include "nn/graph/model.h"
#include "nn/graph/model_io.h"
#include "nn/nn.h"

#define MOST_VALUES ((size_t)64 * 32 * 32)

/* ---- the definition ---- */

/* A picture on its way through the network. */
typedef struct picture {
    size_t channels, side;
    double *value; /* room for MOST_VALUES */
} picture;

static picture new_picture(size_t channels, size_t side)
{
    picture p = {channels, side, calloc(MOST_VALUES, sizeof *p.value)};
    ck_assert_ptr_nonnull(p.value);
    return p;
}

static double *values_of(const nn_safetensors *file, const char *layer, const char *part)
{
    char name[96];
    snprintf(name, sizeof name, "%s.%s", layer, part);
    const nn_weight_tensor *tensor = nn_safetensors_find(file, name);
    ck_assert_msg(tensor != NULL, "no tensor %s", name);
    double *values = malloc(tensor->count * sizeof *values);
    ck_assert_ptr_nonnull(values);
    succeed(nn_tensor_values(values, tensor, "file"));
    return values;
}

/* conv2d without bias, padding kernel / 2. */
static picture convolve(const nn_safetensors *file, const char *layer, picture in, size_t channels,
                        size_t kernel, size_t stride)
{
    picture out = new_picture(channels, in.side / stride);
    double *weight = values_of(file, layer, "weight");
    const long side = (long)in.side, reach = (long)kernel / 2;
    for (size_t o = 0; o < channels; o++)
        for (long y = 0; y < (long)out.side; y++)
            for (long x = 0; x < (long)out.side; x++) {
                double sum = 0;
                for (size_t i = 0; i < in.channels; i++)
                    for (long ky = 0; ky < (long)kernel; ky++)
                        for (long kx = 0; kx < (long)kernel; kx++) {
                            long v = y * (long)stride + ky - reach,
                                 u = x * (long)stride + kx - reach;
                            if (v < 0 || u < 0 || v >= side || u >= side) continue;
                            sum += weight[((o * in.channels + i) * kernel + (size_t)ky) * kernel +
                                          (size_t)kx] *
                                   in.value[(i * in.side + (size_t)v) * in.side + (size_t)u];
                        }
                out.value[(o * out.side + (size_t)y) * out.side + (size_t)x] = sum;
            }
    free(weight);
    return out;
}

static void normalise(const nn_safetensors *file, const char *layer, picture p)
{
    double *gamma = values_of(file, layer, "weight"), *beta = values_of(file, layer, "bias"),
           *mean = values_of(file, layer, "running_mean"),
           *variance = values_of(file, layer, "running_var");
    for (size_t c = 0; c < p.channels; c++)
        for (size_t k = c * p.side * p.side; k < (c + 1) * p.side * p.side; k++)
            p.value[k] = (p.value[k] - mean[c]) / sqrt(variance[c] + 1e-5) * gamma[c] + beta[c];
    free(gamma);
    free(beta);
    free(mean);
    free(variance);
}

static void rectify(picture p)
{
    for (size_t k = 0; k < p.channels * p.side * p.side; k++) p.value[k] = fmax(p.value[k], 0);
}

static void add_to(picture p, picture other)
{
    for (size_t k = 0; k < p.channels * p.side * p.side; k++) p.value[k] += other.value[k];
}

/* x[:, ::2, ::2] with channels / 4 zero channels before and after. */
static picture pad(picture in, size_t channels)
{
    picture out = new_picture(channels, in.side / 2);
    for (size_t c = 0; c < in.channels; c++)
        for (size_t y = 0; y < out.side; y++)
            for (size_t x = 0; x < out.side; x++)
                out.value[((c + channels / 4) * out.side + y) * out.side + x] =
                    in.value[(c * in.side + 2 * y) * in.side + 2 * x];
    return out;
}

/* A block in place of its input. */
static void pass_block(const nn_safetensors *file, picture *x, unsigned stage, unsigned k,
                       const char *shortcut)
{
    char name[6][80];
    bool narrows = stage > 1 && k == 0;
    size_t channels = narrows ? 2 * x->channels : x->channels;
    static const char *const part[] = {"conv1", "bn1", "conv2", "bn2"};
    for (int i = 0; i < 4; i++)
        snprintf(name[i], sizeof name[i], "layer%u.%u.%s", stage, k, part[i]);
    for (int i = 4; i < 6; i++)
        snprintf(name[i], sizeof name[i], "layer%u.%u.%s.%d", stage, k, shortcut ? shortcut : "",
                 i - 4);
    picture inside = convolve(file, name[0], *x, channels, 3, narrows ? 2 : 1);
    normalise(file, name[1], inside);
    rectify(inside);
    picture out = convolve(file, name[2], inside, channels, 3, 1);
    normalise(file, name[3], out);
    if (narrows) {
        picture kept = shortcut ? convolve(file, name[4], *x, channels, 1, 2) : pad(*x, channels);
        if (shortcut) normalise(file, name[5], kept);
        free(x->value);
        *x = kept;
    }
    add_to(out, *x);
    rectify(out);
    free(inside.value);
    free(x->value);
    *x = out;
}

static void define_scores(double *scores, const char *path, const double *values, size_t width,
                          unsigned blocks, const char *shortcut, size_t classes)
{
    nn_safetensors *file;
    picture in = new_picture(3, 32);
    succeed(nn_safetensors_open(&file, path));
    memcpy(in.value, values, 3072 * sizeof *values);
    picture x = convolve(file, "conv1", in, width, 3, 1);
    normalise(file, "bn1", x);
    rectify(x);
    for (unsigned stage = 1; stage <= 3; stage++)
        for (unsigned k = 0; k < blocks; k++) pass_block(file, &x, stage, k, shortcut);
    double *weight = values_of(file, "linear", "weight"), *bias = values_of(file, "linear", "bias");
    ck_assert_uint_eq(x.side, 8);
    for (size_t o = 0; o < classes; o++) {
        scores[o] = bias[o];
        for (size_t i = 0; i < 64 * x.channels; i++)
            scores[o] += weight[o * x.channels + i / 64] * x.value[i] / 64;
    }
    free(weight);
    free(bias);
    free(in.value);
    free(x.value);
    nn_safetensors_close(file);
}

/* ---- tests ---- */

typedef struct change {
    const char *leave_out, *misshape, *further; /* as in `weights` */
} change;

static const char *write_width(size_t width, unsigned blocks, const char *shortcut, size_t classes,
                               change c)
{
    weights *w = calloc(1, sizeof *w);
    ck_assert_ptr_nonnull(w);
    w->leave_out = c.leave_out;
    w->misshape = c.misshape;
    w->further = c.further;
    w->random = test_seed;
    w->classes = classes;
    w->width = width;
    make_weights(w, blocks, shortcut, "linear", "",
                 "\"__metadata__\": {\"mean\": \"[0, 0, 0]\", \"std\": \"[1, 1, 1]\"}");
    const char *path = write_weights(w, "resnet.safetensors");
    free(w);
    return path;
}

static const struct {
    size_t width;
    unsigned blocks;
    const char *shortcut;
    size_t classes;
} networks[] = {{8, 1, NULL, 10},  {8, 2, "down", 2},         {16, 1, "shortcut", 100},
                {32, 1, NULL, 10}, {32, 1, "downsample", 10}, {6, 1, NULL, 5},
                {5, 1, "down", 5}, {1, 1, "down", 2}};

START_TEST(scores_of_any_width)
{
    static double values[3072];
    double defined[100], scores[100];
    nn_model *model;
    nn_model_info info;
    uint64_t random = test_seed;
    size_t width = networks[_i].width, classes = networks[_i].classes;
    const char *path = write_width(width, networks[_i].blocks, networks[_i].shortcut, classes,
                                   (change){.further = NULL});
    succeed(nn_model_load(&model, path, NULL));
    nn_model_describe(model, &info);
    ck_assert_uint_eq(info.depth, 6 * networks[_i].blocks + 2);
    ck_assert_uint_eq(info.classes, classes);
    ck_assert_uint_eq(nn_activation_channels(model, 0), width);
    ck_assert_uint_eq(nn_activation_channels(model, info.activations - 1), 4 * width);
    for (size_t k = 0; k < 3072; k++) values[k] = uniform(&random, -2, 2);
    define_scores(defined, path, values, width, networks[_i].blocks, networks[_i].shortcut,
                  classes);
    succeed(nn_plain_scores(scores, model, NULL, values));
    for (size_t k = 0; k < classes; k++)
        assert_close(scores[k], defined[k], 1e-12 * (1 + fabs(defined[k])));
    nn_model_free(model);
}
END_TEST

static const struct {
    change change;
    size_t width;
    const char *shortcut, *message;
} wrong[] = {
    {{.misshape = "layer2.0.conv1.weight"},
     8,
     "down",
     "tensor layer2.0.conv1.weight is 17 x 8 x 3 x 3, must be 16 x 8 x 3 x 3 in a ResNet of 8 "
     "first channels"},
    {{.misshape = "conv1.weight"},
     32,
     "down",
     "tensor bn1.weight is 32, must be 33 in a ResNet of 33 first channels"},
    {{.misshape = "layer3.0.down.1.running_var"},
     32,
     "down",
     "tensor layer3.0.down.1.running_var is 129, must be 128"},
    {{.misshape = "linear.weight"}, 8, NULL, "tensor linear.bias is 2, must be 3"},
    {{.leave_out = "conv1.weight"}, 8, NULL, "tensor conv1.weight is missing"},
    {{.leave_out = "linear.weight", .further = "linear.weight"},
     8,
     NULL,
     "tensor linear.weight is 2 x 2, must be 2 x 32 in a ResNet of 8 first channels"},
    {{.leave_out = "conv1.weight", .further = "conv1.weight"},
     8,
     NULL,
     "tensor conv1.weight is 2 x 2, must be CHANNELS x 3 x 3 x 3 with 1 to 1024 channels"},
    {{.further = NULL}, 1025, NULL, "tensor conv1.weight is 1025 x 3 x 3 x 3, must be CHANNELS x"},
    {{.further = NULL},
     5,
     NULL,
     "tensor layer2.0.down.0.weight is missing: a shortcut without weights puts as many zero "
     "channels before as after, which 5 channels cannot"},
};

/* The tensors that say that it is one and how wide: 1,025 channels and more need no others. */
static const char *write_wide(size_t width)
{
    weights *w = calloc(1, sizeof *w);
    ck_assert_ptr_nonnull(w);
    add_text(w, "{");
    add_tensor(w, "conv1.weight", width, 3, 3, 3, -1, 1);
    add_tensor(w, "layer1.0.conv1.weight", 1, 1, 3, 3, -1, 1);
    add_text(w, "}");
    const char *path = write_weights(w, "wide.safetensors");
    free(w);
    return path;
}

START_TEST(wrong_shapes_are_named)
{
    nn_model *model = NULL;
    size_t width = wrong[_i].width;
    const char *path = width > 1024
                           ? write_wide(width)
                           : write_width(width, 1, wrong[_i].shortcut, 2, wrong[_i].change);
    fail_with(nn_model_load(&model, path, NULL), FHOLA_FORMAT, wrong[_i].message);
    ck_assert_ptr_null(model);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("resnet");
    tcase_add_loop_test(tcase, scores_of_any_width, 0, (int)(sizeof networks / sizeof networks[0]));
    tcase_add_loop_test(tcase, wrong_shapes_are_named, 0, (int)(sizeof wrong / sizeof wrong[0]));
    return run_tests("resnet", tcase, 120);
}
