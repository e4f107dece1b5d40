/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/planner/profile.h"

#include "check_nn_support.h"
#include "nn/graph/model_io.h"
#include "nn/nn.h"
#include "nn/plain/trace.h"

typedef struct setting {
    nn_model *model;
    nn_batch *calibration;
    nn_plan_options options;
} setting;

static setting set_up(void)
{
    setting s;
    succeed(nn_model_load(&s.model, write_network("n", 1, "down", test_seed), NULL));
    succeed(nn_batch_load(&s.calibration, write_batch("c", 12, 3, test_seed), 0, 0));
    nn_plan_defaults(&s.options);
    s.options.sensitivity_pictures = 1000; /* more than there are */
    return s;
}

static void tear_down(setting *s)
{
    nn_batch_free(s->calibration);
    nn_model_free(s->model);
}

/* Every value is counted; mean and deviation follow from the histograms up to the width of a
 * bin. */
static void check_histograms(const nn_profile_layer *layer, double count)
{
    nn_profile_range range = nn_profile_layer_range(layer);
    for (unsigned c = 0; c <= layer->channels; c++) {
        ola_histogram histogram;
        bool whole = c == layer->channels;
        succeed(nn_profile_histogram(&histogram, layer, c));
        double width = (histogram.hi - histogram.lo) / (double)histogram.bins;
        assert_close(histogram.total, whole ? count * layer->channels : count, 0);
        assert_close(histogram.mean, whole ? range.mean : layer->mean[c], width);
        assert_close(ola_histogram_deviation(&histogram),
                     whole ? range.deviation : layer->deviation[c], width);
        ola_histogram_clear(&histogram);
        ck_assert(whole || layer->importance[c] > 0);
    }
}

START_TEST(describes_the_exact_network)
{
    setting s = set_up();
    nn_profile *profile;
    const size_t i = 4;
    double min[64], max[64], sum[64] = {0}, square[64] = {0}, count = 0;
    succeed(nn_profile_make(&profile, s.model, s.calibration, &s.options, NULL, NULL));
    const nn_profile_layer *layer = &profile->layers[i];
    ck_assert_uint_eq(layer->channels, nn_activation_channels(s.model, i));
    for (size_t p = 0; p < nn_batch_count(s.calibration); p++) {
        double rgb[NN_PICTURE_VALUES];
        nn_trace *trace;
        nn_batch_picture(s.calibration, p, rgb);
        nn_picture_normalise(rgb, rgb, s.model->mean, s.model->std);
        succeed(nn_trace_create(&trace, s.model, NULL, rgb));
        size_t plane = (size_t)trace->layers[i].shape.height * trace->layers[i].shape.width;
        count += (double)plane;
        for (unsigned c = 0; c < layer->channels; c++) {
            for (size_t j = 0; j < plane; j++) {
                double x = trace->layers[i].x[c * plane + j];
                min[c] = p + j == 0 ? x : fmin(min[c], x);
                max[c] = p + j == 0 ? x : fmax(max[c], x);
                sum[c] += x;
                square[c] += x * x;
            }
        }
        nn_trace_free(trace);
    }
    for (unsigned c = 0; c < layer->channels; c++) {
        double mean = sum[c] / count;
        assert_close(layer->min[c], min[c], 1e-5);
        assert_close(layer->max[c], max[c], 1e-5);
        assert_close(layer->mean[c], mean, 1e-5);
        assert_close(layer->deviation[c], sqrt(square[c] / count - mean * mean), 1e-4);
    }
    check_histograms(layer, count);
    nn_profile_free(profile);
    tear_down(&s);
}
END_TEST

START_TEST(comes_back_the_same)
{
    setting s = set_up();
    nn_profile *profile, *back = NULL;
    char *first, *second;
    size_t length, length_2;
    succeed(nn_profile_make(&profile, s.model, s.calibration, &s.options, NULL, NULL));
    succeed(nn_profile_save(profile, in_folder("profile")));
    succeed(nn_profile_load(&back, in_folder("profile"), s.model));
    succeed(nn_profile_format(&first, &length, profile));
    succeed(nn_profile_format(&second, &length_2, back));
    ck_assert_uint_eq(length, length_2);
    ck_assert_int_eq(memcmp(first, second, length), 0);
    nn_profile_free(back);
    back = NULL;
    for (size_t cut = 0; cut + 2 < length; cut += length / 97)
        ck_assert_int_eq(nn_profile_parse(&back, first, cut, "text"), FHOLA_FORMAT);
    ck_assert_ptr_null(back);
    s.model->hash ^= 1;
    fail_with(nn_profile_load(&back, in_folder("profile"), s.model), FHOLA_PARAM,
              "of another model");
    fail_with(nn_profile_load(&back, in_folder("none"), s.model), FHOLA_IO, "none");
    free(first);
    free(second);
    nn_profile_free(profile);
    tear_down(&s);
}
END_TEST

#define START                                                                                      \
    "{\"format\": \"fhola-profile\", \"version\": 2, \"model_hash\": \"0123456789abcdef\", "
#define LAYER(sensitivity, more)                                                                   \
    "{\"channels\": 1, \"sensitivity\": " sensitivity                                              \
    ", \"min\": [0], \"max\": [1], \"mean\": [0], \"deviation\": [1]" more "}"

#define WITH(sensitivity, more)                                                                    \
    START "\"degrees\": [3, 7, 15, 31], \"pictures\": 1, \"eps\": 0.1, \"score_square\": 1, "      \
          "\"activations\": [" LAYER(sensitivity, more) "]}"

static const struct {
    const char *text, *message;
} wrong[] = {
    {"{}", "\"format\""},
    {START "\"pictures\": 1}", "\"degrees\""},
    {START "\"degrees\": [3, 7, 15, 63], \"pictures\": 1}", "\"degrees\" must be 3, 7, 15, 31"},
    {START "\"degrees\": [3, 7, 15, 31], \"pictures\": 0}", "\"pictures\""},
    {START "\"degrees\": [3, 7, 15, 31], \"pictures\": 1}", "\"eps\""},
    {START "\"degrees\": [3, 7, 15, 31], \"pictures\": 1, \"eps\": 0.1, \"score_square\": 1, "
           "\"activations\": {}}",
     "\"activations\""},
    {START "\"degrees\": [3, 7, 15, 31], \"pictures\": 1, \"eps\": 0.1, \"score_square\": 1, "
           "\"activations\": [{}]}",
     "\"channels\""},
    {START "\"degrees\": [3, 7, 15, 31], \"pictures\": 1, \"eps\": 0.1, \"score_square\": 1, "
           "\"activations\": [" LAYER("[1, 2, 3]", "") "]}",
     "\"sensitivity\""},
    {START "\"degrees\": [3, 7, 15, 31], \"pictures\": 1, \"eps\": 0.1}", "\"score_square\""},
    {WITH("[1, 2, 3, -1]", ", \"importance\": [1]"), "negative"},
    {WITH("[1, 2, 3, 1]", ""), "\"importance\""},
    {WITH("[1, 2, 3, 1]", ", \"importance\": [-1]"), "negative"},
    {WITH("[1, 2, 3, 1]", ", \"importance\": [1]"), "\"layer_histogram\""},
    {WITH("[1, 2, 3, 1]", ", \"importance\": [1], \"layer_histogram\": [1, 2]"),
     "\"layer_histogram\""},
};

START_TEST(refuses_bad_texts)
{
    nn_profile *profile = NULL;
    fail_with(nn_profile_parse(&profile, wrong[_i].text, strlen(wrong[_i].text), "text"),
              FHOLA_FORMAT, wrong[_i].message);
    ck_assert_ptr_null(profile);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("profile");
    tcase_add_test(tcase, describes_the_exact_network);
    tcase_add_test(tcase, comes_back_the_same);
    tcase_add_loop_test(tcase, refuses_bad_texts, 0, (int)(sizeof wrong / sizeof wrong[0]));
    return run_tests("profile", tcase, 120);
}
