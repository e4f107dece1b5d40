/* SPDX-License-Identifier: Apache-2.0 */
/* Feed-forward networks: models, pictures, plans (one polynomial per activation and channel), the
 * plaintext engine that says what the encrypted network must compute, and the encrypted network.
 *
 * Objects are created by a load or make function and released by the matching free function (which
 * accepts NULL). Const objects may be shared between threads. On error outputs are unchanged. */
#ifndef NN_NN_H
#define NN_NN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "status.h"

#ifdef __cplusplus
extern "C" {
#endif

#define NN_PICTURE_SIDE   32u
#define NN_PICTURE_VALUES 3072u /* 3 planes (red, green, blue) of 32 rows of 32 */

/* Told now and then how far a long call has come: `done` of `total` units of `step` (a short
 * English word). Called from the thread that made the call. */
typedef void (*nn_progress)(void *user, const char *step, size_t done, size_t total);

/* ---- networks ---- */

/* A network is built from tensors. Every function that adds one takes the name that it has in
 * messages: of the layer, as the file it comes from calls it. Values of a tensor are numbered
 * (c * height + y) * width + x; a vector of K values is K x 1 x 1. Weights are copied.
 *
 * Linear functions cost nothing by themselves: they are put together with their neighbours, until
 * an activation makes a layer of them, or until one layer more is cheaper.
 *
 * All return FHOLA_PARAM, with a message that names layer, dimension and value, for shapes that do
 * not fit or cannot be had, FHOLA_RANGE for a weight that is NaN or infinite, and FHOLA_NOMEM. */
typedef struct nn_shape {
    unsigned channels, height, width;
} nn_shape;
typedef struct nn_graph nn_graph;
typedef size_t nn_tensor; /* a value of the graph under construction; 0 is the picture */

/* A graph of nothing but its input. */
FHOLA_WARN_UNUSED fhola_status nn_graph_create(nn_graph **graph, nn_shape input);
void nn_graph_destroy(nn_graph *graph); /* NULL: does nothing */
/* 0 x 0 x 0: no such tensor; of a finished graph only the picture is left. */
nn_shape nn_graph_shape(const nn_graph *graph, nn_tensor tensor);

typedef struct nn_convolution_spec {
    unsigned channels;           /* of the result */
    unsigned groups;             /* 0 means 1; divides both numbers of channels */
    unsigned kernel_y, kernel_x; /* at least 1 */
    unsigned stride_y, stride_x, dilation_y, dilation_x; /* 0 means 1 */
    unsigned pad_top, pad_left, pad_bottom, pad_right;   /* zeros */
    const double *weight; /* [channels][channels of in / groups][kernel_y][kernel_x] */
    const double *bias;   /* channels, or NULL */
} nn_convolution_spec;
/* As `spec` says. */
FHOLA_WARN_UNUSED fhola_status nn_graph_convolution(nn_graph *graph, nn_tensor *out,
                                                    const char *name, nn_tensor in,
                                                    const nn_convolution_spec *spec);
/* out[k] = sum over all values of in, in their order, of weight[k][j] in[j] + bias[k] (bias may be
 * NULL); shape count x 1 x 1. */
FHOLA_WARN_UNUSED fhola_status nn_graph_dense(nn_graph *graph, nn_tensor *out, const char *name,
                                              nn_tensor in, size_t count, const double *weight,
                                              const double *bias);
/* Channel by channel: in * scale + shift, either may be NULL. Batch norm is scale = gamma /
 * sqrt(variance + eps), shift = beta - mean * scale. */
FHOLA_WARN_UNUSED fhola_status nn_graph_affine(nn_graph *graph, nn_tensor *out, const char *name,
                                               nn_tensor in, const double *scale,
                                               const double *shift);
/* The same value by value: arrays of as many values as the tensor has. */
FHOLA_WARN_UNUSED fhola_status nn_graph_affine_full(nn_graph *graph, nn_tensor *out,
                                                    const char *name, nn_tensor in,
                                                    const double *scale, const double *shift);
/* x + y, of one shape. */
FHOLA_WARN_UNUSED fhola_status nn_graph_add(nn_graph *graph, nn_tensor *out, const char *name,
                                            nn_tensor x, nn_tensor y);
/* a x + b y */
FHOLA_WARN_UNUSED fhola_status nn_graph_combine(nn_graph *graph, nn_tensor *out, const char *name,
                                                nn_tensor x, double a, nn_tensor y, double b);
/* One after the other along channels. */
FHOLA_WARN_UNUSED fhola_status nn_graph_concat(nn_graph *graph, nn_tensor *out, const char *name,
                                               const nn_tensor *parts, size_t count);
typedef struct nn_pool_spec {
    unsigned kernel_y, kernel_x;
    unsigned stride_y, stride_x;                       /* 0 means 1 */
    unsigned pad_top, pad_left, pad_bottom, pad_right; /* below the kernel */
    bool count_padding; /* average pooling divides by the kernel's size at borders too */
} nn_pool_spec;
/* The mean of each window. */
FHOLA_WARN_UNUSED fhola_status nn_graph_average_pool(nn_graph *graph, nn_tensor *out,
                                                     const char *name, nn_tensor in,
                                                     const nn_pool_spec *spec);
/* The mean of each channel: channels x 1 x 1. */
FHOLA_WARN_UNUSED fhola_status nn_graph_global_average_pool(nn_graph *graph, nn_tensor *out,
                                                            const char *name, nn_tensor in);
/* A tree of max(x, y) = (x + y)/2 + |x - y|/2: one layer for each doubling of a side of the kernel.
 * Padding never wins. */
FHOLA_WARN_UNUSED fhola_status nn_graph_max_pool(nn_graph *graph, nn_tensor *out, const char *name,
                                                 nn_tensor in, const nn_pool_spec *spec);
/* Zeros around every channel; negative numbers crop. */
FHOLA_WARN_UNUSED fhola_status nn_graph_pad(nn_graph *graph, nn_tensor *out, const char *name,
                                            nn_tensor in, int top, int left, int bottom, int right);
/* Value k of `out` is value index[k] of `in`: any selection or permutation, e.g. a transpose. */
FHOLA_WARN_UNUSED fhola_status nn_graph_select(nn_graph *graph, nn_tensor *out, const char *name,
                                               nn_tensor in, nn_shape shape, const uint32_t *index);
/* Values keep their order. */
FHOLA_WARN_UNUSED fhola_status nn_graph_reshape(nn_graph *graph, nn_tensor *out, const char *name,
                                                nn_tensor in, nn_shape shape);

/* `kind` is one of the names of ola_function_find in <fhola/ola.h>, with all its parameters (relu6
 * has none), or "table" with `count` points joined by straight lines that continue beyond the first
 * and the last one. */
typedef struct nn_activation_spec {
    const char *kind;
    double a, b;
    size_t count;
    const double *x, *y;
} nn_activation_spec;
/* A function, value by value: where ciphertexts are bootstrapped. */
FHOLA_WARN_UNUSED fhola_status nn_graph_activation(nn_graph *graph, nn_tensor *out,
                                                   const char *name, nn_tensor in,
                                                   const nn_activation_spec *spec);
/* The end of construction: `scores`, of any shape, flattened, are the result. What nothing reads is
 * left out. FHOLA_PARAM also: more than 1000 scores, no activation on the way to them. After a
 * failure of any of these functions the graph is as before the call. */
FHOLA_WARN_UNUSED fhola_status nn_graph_finish(nn_graph *graph, nn_tensor scores);

/* ---- models ---- */

typedef struct nn_model nn_model;

/* What a weights file without metadata does not say. Any pointer may be NULL. */
typedef struct nn_model_options {
    /* One for each channel of the picture, of pixels in [0, 1]: the network's input is (pixel -
     * mean) / std; mean in [0, 1], std in (0, 1]. An input of more than 3 channels has one number
     * for all values. */
    const double *mean, *std;
    const char *const *class_names; /* class_count strings */
    size_t class_count;
    double batch_norm_eps; /* added to variances, (0, 1]; 0: not given */
} nn_model_options;

typedef struct nn_model_info {
    nn_shape input;     /* of the picture */
    size_t nodes;       /* the picture, the layers, the scores */
    size_t activations; /* layers: each has one, linear ones too; 19 of ResNet-20 */
    unsigned depth;     /* linear maps on the longest way from picture to scores: 20 of ResNet-20 */
    size_t classes;
    double mean[3], std[3];
    double test_accuracy; /* percent, as the file says; NaN if it does not */
    uint64_t hash;        /* of the weights */
} nn_model_info;

/* Loads a CIFAR ResNet of depth 6 b + 2 from a safetensors file: conv1, bn1,
 * layer{1,2,3}.K.{conv1,bn1,conv2,bn2}, linear or fc; at the first block of stages 2 and 3 a
 * projection named down, downsample or shortcut (.0 convolution, .1 batch norm), or, without these
 * tensors, the zero-padded shortcut. conv1 decides the channels of the first stage, usually 16;
 * stages 2 and 3 have twice and four times as many. A common beginning of all names ("module." and
 * the like) is accepted, and tensors of 16, 32 or 64-bit floating point. __metadata__ may give
 * mean, std, classes (JSON arrays), test_accuracy, activation (a name of ola_function_find) and
 * batch_norm_epsilon (1e-5 if nobody says); `options` (may be NULL) comes first where both speak.
 * Classes without names are called "0", "1", ... FHOLA_IO: unreadable. FHOLA_FORMAT: not
 * safetensors, truncated; a tensor missing, unexpected, of another shape or with a value that is
 * NaN or infinite; no mean or std. FHOLA_PARAM: options out of range. The detail names file and
 * tensor. */
FHOLA_WARN_UNUSED fhola_status nn_model_load(nn_model **model, const char *path,
                                             const nn_model_options *options);
/* The finished graph becomes a model, and belongs to it unless this fails. Without mean and std the
 * pixels themselves are the input. FHOLA_PARAM: options out of range, or the graph is not
 * finished. */
FHOLA_WARN_UNUSED fhola_status nn_model_create(nn_model **model, nn_graph *graph,
                                               const nn_model_options *options);
/* The same from the bytes of such a file; `name` goes into messages. So with everything that is
 * called decode. */
FHOLA_WARN_UNUSED fhola_status nn_model_decode(nn_model **model, const unsigned char *bytes,
                                               size_t length, const char *name,
                                               const nn_model_options *options);
void nn_model_free(nn_model *model); /* NULL: does nothing */

/* Replaces the exact network's activation function, in all layers that have one (but not |x| and
 * maximum pooling): a name of ola_function_find (<fhola/ola.h>), or the path of a JSON file with an
 * array of [x, y] points, x rising, joined by straight lines that continue beyond the first and the
 * last one. A model has what its metadata "activation" names, or ReLU. Plans stay bound to the
 * weights only, profiles to the function as well. FHOLA_IO, FHOLA_FORMAT: no such file, or no
 * table. */
FHOLA_WARN_UNUSED fhola_status nn_model_set_function(nn_model *model, const char *name);

/* What is known of a model. */
void nn_model_describe(const nn_model *model, nn_model_info *info);

/* values = (pixels - mean) / std: the network's input. Both have as many values as the input, and
 * may be the same. */
void nn_model_normalise(const nn_model *model, double *values, const double *pixels);

/* Name of class `index` < classes, printable. */
const char *nn_model_class(const nn_model *model, size_t index);

/* ---- pictures ---- */

/* Reads a PPM file (P6 or P3) of any size and resamples it to `shape`, of 1 channel (grey) or 3
 * (red, green, blue): `values` gets one value in [0, 1] for each of the shape's, in the order of a
 * tensor's. FHOLA_IO, FHOLA_FORMAT (not a PPM, truncated, larger than 2^26 pixels), FHOLA_PARAM (no
 * such shape). */
FHOLA_WARN_UNUSED fhola_status nn_picture_read(double *values, nn_shape shape, const char *path);
/* The same from the bytes of such a file; `name` goes into messages. */
FHOLA_WARN_UNUSED fhola_status nn_picture_decode(double *values, nn_shape shape,
                                                 const unsigned char *bytes, size_t length,
                                                 const char *name);

/* Resamples width x height pixels (red, green and blue, a byte each, row by row) by area averaging:
 * each new pixel is the mean of the part of the picture it covers. With 1 channel a pixel counts as
 * its luma (ITU-R 601-2): (19595 red + 38470 green + 7471 blue) / 65536, rounded. FHOLA_PARAM
 * unless both sides are 1 to 65535, and the shape has 1 or 3 channels and such sides too. */
FHOLA_WARN_UNUSED fhola_status nn_picture_resample(double *values, nn_shape shape,
                                                   const unsigned char *pixels, size_t width,
                                                   size_t height);

/* values = (rgb - mean) / std per plane: the network's input. `values` and `rgb` may be the
 * same. */
void nn_picture_normalise(double *values, const double *rgb, const double mean[3],
                          const double std[3]);

/* A set of labelled pictures (or other inputs) of one shape. */
typedef struct nn_batch nn_batch;

/* Loads `count` records from number `first` on (count = 0: all that follow) of a CIFAR binary file:
 * CIFAR-10 records of 3,073 bytes (label, planes), CIFAR-100 records of 3,074 (coarse label, fine
 * label, planes; the fine one counts). FHOLA_FORMAT: the length is no multiple of a record;
 * FHOLA_RANGE: the file has fewer records. */
FHOLA_WARN_UNUSED fhola_status nn_batch_load(nn_batch **batch, const char *path, size_t first,
                                             size_t count);
/* The same from the bytes of such a file. */
FHOLA_WARN_UNUSED fhola_status nn_batch_decode(nn_batch **batch, const unsigned char *bytes,
                                               size_t length, const char *name, size_t first,
                                               size_t count);

typedef enum nn_batch_type {
    NN_BATCH_BYTES, /* 0 to 255 stand for [0, 1] */
    NN_BATCH_FLOATS
} nn_batch_type;

/* Copies `count` pictures, one after the other, each with its values in the order of a tensor's.
 * Pixels are from 0 to 1. labels NULL: all 0. FHOLA_PARAM: a shape without values; FHOLA_RANGE: a
 * value that is not finite, named. */
FHOLA_WARN_UNUSED fhola_status nn_batch_create(nn_batch **batch, nn_shape shape, size_t count,
                                               nn_batch_type type, const void *values,
                                               const unsigned *labels);
/* Some records of a batch as one, counted from its own first one: to be freed before `whole` is. */
FHOLA_WARN_UNUSED fhola_status nn_batch_part(nn_batch **part, const nn_batch *whole, size_t first,
                                             size_t count);
void nn_batch_free(nn_batch *batch);                          /* NULL: does nothing */
nn_shape nn_batch_shape(const nn_batch *batch);               /* of each record */
size_t nn_batch_count(const nn_batch *batch);                 /* of records */
unsigned nn_batch_label(const nn_batch *batch, size_t index); /* of record `index` */
/* All values of a picture, in the order of a tensor's. */
void nn_batch_picture(const nn_batch *batch, size_t index, double *pixels);

/* ---- plans ---- */

/* Plans, profiles and tables of costs are JSON files (fhola-formats(5)). FHOLA_FORMAT: it is none
 * of them. What else is wrong with it is found by whoever loads it. */
typedef enum nn_document {
    NN_DOCUMENT_PLAN = 0,
    NN_DOCUMENT_PROFILE = 1,
    NN_DOCUMENT_COST = 2
} nn_document;
/* Which of them a file is. */
FHOLA_WARN_UNUSED fhola_status nn_document_load_kind(nn_document *kind, const char *path);
/* The same for the bytes of one. */
FHOLA_WARN_UNUSED fhola_status nn_document_decode_kind(nn_document *kind,
                                                       const unsigned char *bytes, size_t length,
                                                       const char *name);
const char *nn_document_name(nn_document kind); /* "a plan", "a profile", "a table of costs" */

/* One polynomial per activation and channel, fitted to one model. */
typedef struct nn_plan nn_plan;

/* Loads a plan (JSON, see fhola-formats(5)) and checks that it belongs to `model` (NULL: no such
 * check). FHOLA_FORMAT: malformed, or a value out of its range; FHOLA_PARAM: made for another
 * model. */
FHOLA_WARN_UNUSED fhola_status nn_plan_load(nn_plan **plan, const char *path,
                                            const nn_model *model);
/* The same from the bytes of such a file. */
FHOLA_WARN_UNUSED fhola_status nn_plan_decode(nn_plan **plan, const unsigned char *bytes,
                                              size_t length, const char *name,
                                              const nn_model *model);
/* The file is complete, or what it was. */
FHOLA_WARN_UNUSED fhola_status nn_plan_save(const nn_plan *plan, const char *path);
void nn_plan_free(nn_plan *plan); /* NULL: does nothing */
#define NN_MAX_PICTURES 8u
/* From now on a network made with this plan computes a batch of `pictures` (1, 2, 4 or 8; 1 if
 * nobody says) of one owner at once: in less time than one after the other, with keys and a client
 * file of its own, and in more memory. The plan's file does not say it, a compiled network does.
 * FHOLA_PARAM: no such number. */
FHOLA_WARN_UNUSED fhola_status nn_plan_set_pictures(nn_plan *plan, unsigned pictures);
unsigned nn_plan_pictures(const nn_plan *plan); /* as set, or 1 */
/* From now on a network made with this plan has few evaluation keys, since rotations are made one
 * after the other, and takes longer. The plan's file does not say so, a compiled network does. */
void nn_plan_set_small_keys(nn_plan *plan, int small_keys);
int nn_plan_small_keys(const nn_plan *plan); /* as set, or 0 */

uint64_t nn_plan_model(const nn_plan *plan);            /* hash of the weights it was made for */
double nn_plan_eps(const nn_plan *plan);                /* of the bootstrap's sine */
size_t nn_plan_count(const nn_plan *plan);              /* activations */
unsigned nn_plan_degree(const nn_plan *plan, size_t i); /* of activation i */
/* largest |w| of activation i on the held-out pictures, 0: unknown */
double nn_plan_max_w(const nn_plan *plan, size_t i);
/* levels of all activations: ceil(log2(degree + 1)) of a polynomial */
unsigned nn_plan_depth(const nn_plan *plan);
/* residual levels it needs: one more than its deepest activation has */
unsigned nn_plan_levels(const nn_plan *plan);

/* What arrives at the activations of the exact network (histograms, ranges, means, deviations of
 * every channel), how much the loss depends on each, and how much the scores change when one of
 * them becomes a polynomial of degree 3, 7, 15 or 31. */
typedef struct nn_profile nn_profile;

/* Seconds of one encrypted layer by the degree of its polynomial: activation, convolution, and the
 * bootstrap on its shorter chain. */
typedef struct nn_cost nn_cost;
const char *nn_cost_machine(const nn_cost *cost); /* where it was measured */
unsigned nn_cost_threads(const nn_cost *cost);    /* with so many */
const char *nn_cost_isa(const nn_cost *cost); /* and this kernel; NULL: the table does not say */
size_t nn_cost_sets(const nn_cost *cost);     /* parameter sets that it is for */
const char *nn_cost_params(const nn_cost *cost, size_t i); /* their names, i < nn_cost_sets */

/* Loads a table of costs (JSON, see fhola-formats(5)). FHOLA_FORMAT: malformed, or a value out of
 * its range. */
FHOLA_WARN_UNUSED fhola_status nn_cost_load(nn_cost **cost, const char *path);
/* The same from the bytes of such a file. */
FHOLA_WARN_UNUSED fhola_status nn_cost_decode(nn_cost **cost, const unsigned char *bytes,
                                              size_t length, const char *name);
void nn_cost_free(nn_cost *cost); /* NULL: does nothing */

/* How degrees are chosen: the exact optimum, steps of steepest descent, or one degree for all. */
typedef enum nn_plan_choice {
    NN_CHOICE_DP = 0,
    NN_CHOICE_GREEDY = 1,
    NN_CHOICE_UNIFORM = 2
} nn_plan_choice;

/* What an activation's error counts: measured change of the scores, or squared gradient of the loss
 * times mean squared error. */
typedef enum nn_plan_importance {
    NN_IMPORTANCE_SENSITIVITY = 0,
    NN_IMPORTANCE_GRADIENT = 1
} nn_plan_importance;

/* What a polynomial is fitted to: the histogram with a uniform guard, the histogram alone, or the
 * normal density of its mean and deviation. */
typedef enum nn_plan_weight {
    NN_WEIGHT_GUARDED = 0,
    NN_WEIGHT_EMPIRICAL = 1,
    NN_WEIGHT_NORMAL = 2
} nn_plan_weight;

/* Named combinations: what measured best; that of Lee et al. (arXiv 2310.10349: one polynomial per
 * layer, normal weight, gradients); and the first with degrees chosen greedily, or all the same. */
typedef enum nn_plan_method {
    NN_METHOD_LAYERWISE,
    NN_METHOD_PAPER,
    NN_METHOD_GREEDY,
    NN_METHOD_UNIFORM
} nn_plan_method;

/* How nn_plan_make works. nn_plan_defaults fills in what measured best. */
typedef struct nn_plan_options {
    /* budget: largest nn_plan_depth allowed. Exactly one of the three budgets is not 0; ignored
     * with `degrees` */
    unsigned depth;
    double seconds; /* budget: by `cost` */
    /* budget: points of accuracy on the held-out pictures, the cheapest plan that keeps it */
    double max_loss;
    const nn_cost *cost; /* NULL: only levels count */
    const char *params;  /* parameter set of `cost`: "R15" */
    unsigned max_degree; /* largest degree chosen, 3 to 63 (those tried: 3, 7, 15, 31) */
    nn_plan_choice choice;
    nn_plan_importance importance;
    nn_plan_weight weight;
    int per_layer; /* one polynomial for all channels */
    /* aim at the activation of what arrives, not at what the exact network has there */
    int plain_target;
    /* fit to what arrives in the exact network, not behind the polynomials before; needs
     * plain_target */
    int exact_inputs;
    /* smallest largest error on the interval instead of smallest mean square */
    int minimax;
    int unguarded; /* keep a plan that leaves its intervals on the held-out pictures */
    /* NULL: chosen by dynamic programming over the profile's sensitivities; else one per
     * activation, 1 to 63 */
    const unsigned *degrees;
    /* Not NULL: every activation becomes ReLU by this composition of polynomials (of
     * <fhola/ola.h>), on intervals around 0. Degrees, budgets and everything about least squares
     * are then ignored. */
    const struct ola_composite *sign;
    const nn_profile *profile; /* NULL: made when needed */
    double eps;                /* of the bootstrap's sine, [0, 1/4] */
    /* half-width over the observed half range, of layers that are no sum and that one layer reads;
     * >= 1 */
    double margin_inside;
    double margin_output; /* the same for all other layers */
    double floor;         /* smallest half-width over the layer's largest, [0, 1] */
    double guard;         /* mass of the uniform guard beside the histogram, > 0 */
    /* held-out |w| above which an interval is widened and the layer fitted again, (0, 1] */
    double limit_w;
    size_t sensitivity_pictures; /* calibration pictures that measure the sensitivities */
    /* 0: the schedule as chosen; else improved by exchanges, fitted to and judged on so many
     * pictures each */
    size_t refine_pictures;
} nn_plan_options;

/* Depth 63, the parameter set R15, and what measured best. */
void nn_plan_defaults(nn_plan_options *options);

/* Sets choice, importance, weight, per_layer, plain_target, exact_inputs, minimax and unguarded. */
void nn_plan_set_method(nn_plan_options *options, nn_plan_method method);

/* Measures a profile; of the options, those that say how to fit and how many pictures to compare
 * matter. Deterministic: the same on any number of threads. FHOLA_PARAM: options out of range;
 * FHOLA_RANGE: the network's values are not finite, or a channel is constant. */
FHOLA_WARN_UNUSED fhola_status nn_profile_make(nn_profile **profile, const nn_model *model,
                                               const nn_batch *calibration,
                                               const nn_plan_options *options, nn_progress progress,
                                               void *user);
/* as nn_plan_load */
FHOLA_WARN_UNUSED fhola_status nn_profile_load(nn_profile **profile, const char *path,
                                               const nn_model *model);
/* The same from the bytes of such a file. */
FHOLA_WARN_UNUSED fhola_status nn_profile_decode(nn_profile **profile, const unsigned char *bytes,
                                                 size_t length, const char *name,
                                                 const nn_model *model);
/* as nn_plan_save */
FHOLA_WARN_UNUSED fhola_status nn_profile_save(const nn_profile *profile, const char *path);
void nn_profile_free(nn_profile *profile); /* NULL: does nothing */

typedef struct nn_profile_info {
    /* of the exact network: its weights, and its activation function unless that is ReLU */
    uint64_t hash;
    size_t pictures; /* calibration pictures */
    size_t activations;
    double eps; /* of the sine */
} nn_profile_info;
/* What a profile was made of. */
void nn_profile_describe(const nn_profile *profile, nn_profile_info *info);
/* The values that arrive at activation i, all channels together. */
void nn_profile_arrivals(const nn_profile *profile, size_t i, double *least, double *most,
                         double *deviation);

/* Fits a plan: layer by layer on the inputs that the polynomial layers before really produce for
 * the `calibration` pictures, towards the mean of the exact network's activation given that input;
 * ranges are checked on `held_out` (may be NULL). Deterministic: the same on any number of threads.
 * FHOLA_PARAM: options out of range, no calibration pictures, depth below 2 per activation;
 * FHOLA_RANGE: the network's values are not finite. */
FHOLA_WARN_UNUSED fhola_status nn_plan_make(nn_plan **plan, const nn_model *model,
                                            const nn_batch *calibration, const nn_batch *held_out,
                                            const nn_plan_options *options, nn_progress progress,
                                            void *user);

/* Seconds of an encrypted picture under a plan, by the table for parameters of that name; NaN where
 * it has no time for one of the polynomials, or for compositions. FHOLA_PARAM: the table has no
 * such parameters, or the plan another number of activations than the model. */
FHOLA_WARN_UNUSED fhola_status nn_plan_seconds(double *seconds, const nn_plan *plan,
                                               const nn_model *model, const nn_cost *cost,
                                               const char *params);

/* Plans beside each other. One row per plan. */
#define NN_COMPARISON_NAME 48u
typedef struct nn_comparison_row {
    const char *group; /* what is varied: "frontier", "schedule", "weight", ... */
    char name[NN_COMPARISON_NAME];
    unsigned depth;
    /* by the table of costs; NaN without one, or if the set cannot do it */
    double seconds;
    /* percent, on the pictures judged by; NaN if fitting diverged */
    double predicted, accuracy;
    size_t not_finite; /* of these pictures */
    double max_w;      /* on these pictures */
    unsigned *degrees; /* of all activations */
} nn_comparison_row;

typedef struct nn_comparison {
    size_t activations, calibration, pictures; /* pictures fitted to, pictures judged by */
    double exact_accuracy;
    size_t count;
    nn_comparison_row *row;
} nn_comparison;

/* The table that shows what each part of the method is worth, at one budget: options->depth or
 * ->seconds, with ->profile not NULL. The first row is what `options` say; then, one at a time:
 * uniform, greedy; normal and empirical weight; one polynomial per layer; plain target; gradients
 * instead of sensitivities; minimax of equal degree; all of the paper's. What cannot be done at the
 * budget is left out. Ranges are guarded on `held_out`, accuracies are those on `judged` (the two
 * may be the same). Errors as nn_plan_make. */
FHOLA_WARN_UNUSED fhola_status nn_compare_ablation(nn_comparison **comparison,
                                                   const nn_model *model,
                                                   const nn_batch *calibration,
                                                   const nn_batch *held_out, const nn_batch *judged,
                                                   const nn_plan_options *options,
                                                   nn_progress progress, void *user);

/* `points` (2 to 32) plans along the frontier of cost and loss, evenly spaced in cost. */
FHOLA_WARN_UNUSED fhola_status nn_compare_frontier(nn_comparison **comparison,
                                                   const nn_model *model,
                                                   const nn_batch *calibration,
                                                   const nn_batch *held_out, const nn_batch *judged,
                                                   const nn_plan_options *options, size_t points,
                                                   nn_progress progress, void *user);
void nn_comparison_free(nn_comparison *comparison); /* NULL: does nothing */

/* What a report is made of. */
typedef struct nn_report {
    const nn_model *model;
    const nn_plan *plan;
    const nn_plan_options *options; /* the plan was made with; profile must not be NULL */
    const nn_batch *held_out;
    /* The rest may be left out, as NULL or 0. */
    const nn_comparison *frontier, *ablation;
    const char *const *command; /* words behind "fhola" that made the plan; NULL ends them */
    int64_t date;               /* seconds since 1970-01-01, UTC */
    /* Of the compiled network: see nn_network_bootstraps, nn_network_ciphertexts, nn_memory. */
    size_t bootstraps; /* 0: none of the following is known */
    unsigned ciphertexts;
    uint64_t memory_least, memory;
} nn_report;

/* Writes one self-contained HTML page about a plan: frontier of accuracy against cost, degrees,
 * every activation's fit over its histogram, ranges, comparisons, its origin, and its figures as
 * CSV files to be saved. The same bytes for the same report. */
FHOLA_WARN_UNUSED fhola_status nn_report_save(const char *path, const nn_report *report);

/* ---- plaintext engine ---- */

/* Scores (one per class) of one normalised picture, in double precision: the exact network with
 * `plan` NULL, else the polynomial one. */
FHOLA_WARN_UNUSED fhola_status nn_plain_scores(double *scores, const nn_model *model,
                                               const nn_plan *plan, const double *values);

typedef struct nn_evaluation {
    size_t pictures;
    size_t right;      /* label has the largest score */
    size_t not_finite; /* pictures with a score that is NaN or infinite; these count as wrong */
    size_t too_large;  /* pictures with a finite score of 200 or more in magnitude */
    double max_score;  /* largest magnitude of a finite score */
    double max_w;      /* largest finite |w| of any activation; 0 for the exact network */
    /* pictures with some |w| > 1: beyond what the activation's polynomial was fitted for */
    size_t outside;
    /* pictures with some |w| > 2 or not finite: beyond what a bootstrap carries */
    size_t lost;
} nn_evaluation;

/* Runs the network (exact with `plan` NULL) over a batch in single precision. `noise` is the
 * standard deviation of independent normal noise added to every w (0 for none), drawn from `seed`;
 * results do not depend on the number of threads. FHOLA_RANGE: a label beyond the model's
 * classes. */
FHOLA_WARN_UNUSED fhola_status nn_evaluate(nn_evaluation *result, const nn_model *model,
                                           const nn_plan *plan, const nn_batch *batch, double noise,
                                           uint64_t seed, nn_progress progress, void *user);

/* The same, and every picture's scores, one row of nn_model_info.classes after the other. */
FHOLA_WARN_UNUSED fhola_status nn_evaluate_scores(nn_evaluation *result, float *scores,
                                                  const nn_model *model, const nn_plan *plan,
                                                  const nn_batch *batch, double noise,
                                                  uint64_t seed, nn_progress progress, void *user);
/* Scores as text, one JSON object a line and picture: {"label": n, "scores": [...]}, and with
 * `exact` (else NULL) "exact_scores" too, those of the exact network beside a polynomial one's.
 * Numbers are read back the same as floats; what is not finite is null. *text is to be freed. */
FHOLA_WARN_UNUSED fhola_status nn_scores_format(char **text, size_t *length, const nn_batch *batch,
                                                size_t classes, const float *scores,
                                                const float *exact);
/* The same as a file, complete or not at all. */
FHOLA_WARN_UNUSED fhola_status nn_scores_save(const char *path, const nn_batch *batch,
                                              size_t classes, const float *scores,
                                              const float *exact);

/* ---- encrypted engine ---- */

/* Objects of <fhola/ckks.h>. */

typedef struct ckks_complex ckks_complex;
typedef struct ckks_context ckks_context;
typedef struct ckks_workspace ckks_workspace;
typedef struct ckks_rng ckks_rng;
typedef struct ckks_secret_key ckks_secret_key;
typedef struct ckks_eval_keys ckks_eval_keys;
typedef struct ckks_key_list ckks_key_list;
typedef struct ckks_ciphertext ckks_ciphertext;

/* A model and plan compiled for one context: the basis and scale of every step, the encoded
 * weights, and the exact list of keys. */
typedef struct nn_network nn_network;
/* What a client needs to know of a network: parameters of encryption, normalisation of the picture,
 * number and names of the classes, list of keys. No weights. */
typedef struct nn_client nn_client;

/* Compiles. encode = 0 is the dry run only: schedule, client and list of keys, but nn_infer
 * refuses. The parameters need bootstrapping, 2^12 slots, and one residual level more than the
 * deepest polynomial; the plan's eps must be theirs. A tensor of more values than there are slots,
 * or more than 2^14, takes several ciphertexts, whole channels each. FHOLA_PARAM says which of
 * these fails, for which layer, or where the plan does not fit the model. Model and plan may be
 * released afterwards; the context must outlive the network. */
FHOLA_WARN_UNUSED fhola_status nn_network_create(nn_network **network, const ckks_context *context,
                                                 ckks_workspace *workspace, const nn_model *model,
                                                 const nn_plan *plan, int encode);
/* The same, encoded, with at most `room` bytes of diagonals of linear maps. Those without room are
 * kept as coefficients of 32 bits or made from the weights whenever they are used: the results are
 * the same, bit for bit, only later. Where nn_network_needs_weights, model and plan must outlive
 * the network. */
FHOLA_WARN_UNUSED fhola_status nn_network_create_within(nn_network **network,
                                                        const ckks_context *context,
                                                        ckks_workspace *workspace,
                                                        const nn_model *model, const nn_plan *plan,
                                                        uint64_t room);
unsigned nn_network_pictures(const nn_network *network);  /* of a batch: as its plan says */
bool nn_network_needs_weights(const nn_network *network); /* while it runs */
/* Bytes of a process that runs a network, about, with its keys: with no diagonal kept between two
 * uses, and with all ready. A dry run will do. */
typedef struct nn_memory {
    uint64_t least, most;
} nn_memory;
/* What it takes, about. */
nn_memory nn_network_memory(const nn_network *network, const ckks_context *context);
/* The room that is left for diagonals in a process of `memory` bytes. FHOLA_NOMEM, saying how much
 * is needed, where it is less than the least. */
FHOLA_WARN_UNUSED fhola_status nn_network_room(uint64_t *room, const nn_network *network,
                                               const ckks_context *context, uint64_t memory);
void nn_network_destroy(nn_network *network);        /* NULL: does nothing */
size_t nn_network_layers(const nn_network *network); /* bootstraps, of a picture */
size_t nn_network_bytes(const nn_network *network);  /* of memory for encoded weights */
/* Of these the diagonals of linear maps and bootstraps, most of them; in a dry run, what they would
 * take. */
size_t nn_network_diagonal_bytes(const nn_network *network);
/* All bootstraps of a picture or a batch, and the most ciphertexts that the values of a layer, or
 * the pictures, take. */
size_t nn_network_bootstraps(const nn_network *network);
unsigned nn_network_ciphertexts(const nn_network *network); /* as above */
/* that it needs; lives as long as the network */
const ckks_key_list *nn_network_keys(const nn_network *network);
const nn_client *nn_network_client(const nn_network *network); /* lives as long as the network */

/* What is in front of layer `layer` (layer = nn_network_layers: of the scores): its name, the
 * number of values a ciphertext is bootstrapped with, and the number of earlier layers whose values
 * it adds up. */
const char *nn_network_layer_name(const nn_network *network, size_t layer);
/* Values that a ciphertext of it is bootstrapped with. */
size_t nn_network_layer_slots(const nn_network *network, size_t layer);
/* How many ciphertexts its values take, and bootstraps: one for every two ciphertexts. */
unsigned nn_network_layer_ciphertexts(const nn_network *network, size_t layer);
/* one for every two of them */
unsigned nn_network_layer_bootstraps(const nn_network *network, size_t layer);
/* Linear maps whose results it adds up. */
size_t nn_network_edges(const nn_network *network, size_t layer);
/* How the matrix of one of these is split, all ciphertexts together. One diagonal without rotations
 * is a factor, not counted in bytes. */
typedef struct nn_linear_cost {
    size_t diagonals; /* plaintext products, each with a vector of `period` values */
    size_t period;
    unsigned babies, giants, folds; /* rotations: of inputs, of partial sums, of the result */
    size_t bytes;                   /* encoded */
} nn_linear_cost;
/* Of linear map `edge` < nn_network_edges. */
nn_linear_cost nn_network_linear_cost(const nn_network *network, size_t layer, size_t edge);

/* Slot values of a picture (one in [0, 1] for every value of the shape, in row order, as from
 * nn_picture_read): ciphertext `part` of the network's input, nn_client_input_values() of them. */
void nn_encode_picture(ckks_complex *values, const nn_client *client, unsigned part,
                       const double *picture);
nn_shape nn_client_shape(const nn_client *client);       /* of a picture */
unsigned nn_client_ciphertexts(const nn_client *client); /* of an encrypted picture */
size_t nn_client_input_values(const nn_client *client);  /* of each of them */
unsigned nn_client_pictures(const nn_client *client);    /* that the network computes at once */
size_t nn_client_classes(const nn_client *client);       /* number of scores */
/* its name, index < nn_client_classes */
const char *nn_client_class(const nn_client *client, size_t index);
const ckks_key_list *nn_client_keys(const nn_client *client); /* that the server needs */

/* An encrypted picture is nn_client_ciphertexts() ciphertexts: an array of pointers to them, and
 * one more, NULL. */
FHOLA_WARN_UNUSED fhola_status nn_encrypted_create(ckks_ciphertext ***picture,
                                                   const ckks_context *context,
                                                   const nn_client *client);
void nn_encrypted_destroy(ckks_ciphertext **picture); /* NULL: does nothing */
/* RANGE: a value of the picture is outside [0, 1]; the bootstraps behind would be out of range. */
FHOLA_WARN_UNUSED fhola_status nn_encrypt_picture(const ckks_context *context,
                                                  ckks_workspace *workspace,
                                                  ckks_ciphertext *const out[],
                                                  const nn_client *client, const double *picture,
                                                  const ckks_secret_key *secret, ckks_rng *rng);
/* For a network that computes several pictures at once: `count` of them, from 1 to
 * nn_client_pictures(), in as few ciphertexts as can be, which nn_encrypted_destroy destroys. *out
 * is an encrypted picture for whoever takes one, with `count` results. PARAM: another count, or the
 * network computes one picture at a time. RANGE as above. */
FHOLA_WARN_UNUSED fhola_status nn_encrypt_pack(const ckks_context *context,
                                               ckks_workspace *workspace, ckks_ciphertext ***out,
                                               const nn_client *client,
                                               const double *const picture[], size_t count,
                                               const ckks_secret_key *secret, ckks_rng *rng);
/* How many pictures are packed in it; 0: it is a picture alone. */
unsigned nn_encrypted_pictures(ckks_ciphertext *const picture[]);
/* The result of picture `index` of those packed in `in`, as that of one alone. PARAM: there is no
 * such picture. LEVEL, SCALE as below. */
FHOLA_WARN_UNUSED fhola_status nn_result_take(const ckks_context *context,
                                              ckks_workspace *workspace, ckks_ciphertext *out,
                                              const nn_client *client, const ckks_ciphertext *in,
                                              size_t index);
/* Decrypts a result: one score per class, the mean over all copies of it in the slots. LEVEL: not
 * on the primes of a result. SCALE: not the scale that follows from the parameters, within 2^-30.
 * RANGE: scores beyond what the modulus holds, or a result computed under another key; both show
 * where a sound result is zero. */
FHOLA_WARN_UNUSED fhola_status nn_decrypt_scores(const ckks_context *context,
                                                 ckks_workspace *workspace, double *scores,
                                                 const nn_client *client, const ckks_ciphertext *in,
                                                 const ckks_secret_key *secret);
/* The same with noise flooding (ckks_decrypt_flooded): independent noise of standard deviation
 * `deviation` on every score, which no number in the ciphertext changes. RANGE: the deviation is
 * not positive or too large. */
FHOLA_WARN_UNUSED fhola_status nn_decrypt_scores_flooded(
    const ckks_context *context, ckks_workspace *workspace, double *scores, const nn_client *client,
    const ckks_ciphertext *in, const ckks_secret_key *secret, double deviation, ckks_rng *rng);
/* The deviation that bounds what adversaries learn from `queries` results, beyond what exact scores
 * would tell, by `bits` bits of statistical security (ckks_flood_deviation): `error` bounds the
 * root mean square error of a result's values. */
double nn_flood_deviation(const nn_client *client, double bits, double queries, double error);

/* Seconds of one layer, or summed. */
typedef struct nn_stage_times {
    double activation, convolution, slots_to_coeffs, switch_to_sparse, coeffs_to_slots, eval_mod;
} nn_stage_times;

typedef enum nn_step {
    NN_STEP_CONVOLUTION,
    NN_STEP_BOOTSTRAP,
    NN_STEP_ACTIVATION,
    NN_STEP_SCORES
} nn_step;
/* "convolution", "bootstrap", ... */
const char *nn_step_name(nn_step step);

/* What nn_infer tells while it runs; any pointer may be NULL. */
typedef struct nn_infer_hooks {
    void *user;
    /* A step of layer `layer` begins; `done` of `total` units of work (near-equal times) are
     * behind. Nonzero stops with FHOLA_CANCELLED. */
    int (*progress)(void *user, size_t layer, nn_step step, size_t done, size_t total);
    /* The result of a step: NN_STEP_BOOTSTRAP (the polynomial's variable X) and NN_STEP_ACTIVATION
     * of every layer, ciphertext by ciphertext, NN_STEP_SCORES. An error stops. */
    fhola_status (*observe)(void *user, size_t layer, nn_step step, unsigned part,
                            const ckks_ciphertext *value);
    /* nn_network_layers + 1 of them (the last: of the scores), overwritten. What is done with a
     * layer's values counts for the one after it. */
    nn_stage_times *times;
} nn_infer_hooks;

/* Runs the network on an encrypted picture; the result is one ciphertext. `hooks` may be NULL.
 * Errors: FHOLA_PARAM, the network has no weights; FHOLA_LEVEL, this is no encrypted picture;
 * FHOLA_KEY, a key is missing. */
FHOLA_WARN_UNUSED fhola_status nn_infer(const ckks_context *context, ckks_workspace *workspace,
                                        ckks_ciphertext *out, const nn_network *network,
                                        const ckks_eval_keys *keys, ckks_ciphertext *const in[],
                                        const nn_infer_hooks *hooks);
/* The same for `count` pictures, from 1 to nn_network_pictures(), all under the key whose
 * evaluation keys `keys` are: result k, in the ciphertext out[k], is that of picture[k]. One
 * picture alone takes what it does in a network for one, others as long as the whole batch.
 * Ciphertexts that hooks observe may have several pictures each. Or picture[0] is a pack, alone, of
 * `count` pictures. FHOLA_PARAM also: too many pictures, or none. */
FHOLA_WARN_UNUSED fhola_status nn_infer_batch(const ckks_context *context,
                                              ckks_workspace *workspace,
                                              ckks_ciphertext *const out[],
                                              const nn_network *network, const ckks_eval_keys *keys,
                                              ckks_ciphertext *const *const picture[], size_t count,
                                              const nn_infer_hooks *hooks);
/* A result of nn_infer as it is sent: 23 KB in place of 361. Owners take no other from files; it
 * can only be decrypted (ckks_shrink). `keys`: with the network's list. KEY: the one that shrinks
 * is not among them. */
FHOLA_WARN_UNUSED fhola_status nn_shrink_result(const ckks_context *context,
                                                ckks_workspace *workspace,
                                                const nn_network *network,
                                                const ckks_eval_keys *keys,
                                                ckks_ciphertext *result);

/* ---- end of encrypted engine ---- */

/* ---- files of the encrypted engine ---- */

/* Two parties. The server has a compiled network; from it comes a client file. The owner of the
 * pictures makes keys from the client file, keeps the secret key, gives the evaluation keys to the
 * server, and sends encrypted pictures. Every file says to which network, and to which secret key,
 * it belongs; what does not belong together is refused with FHOLA_KEY. Evaluation keys belong to
 * parameters: they serve every network that needs no others. Errors of reading and
 * writing are those of <fhola/ckks.h>. Formats: fhola-formats(5). */

typedef struct ckks_params ckks_params;
typedef struct ckks_reader ckks_reader;
typedef struct ckks_writer ckks_writer;

/* progress(arg, done, total) of a long call; may be NULL; a nonzero return stops it with
 * FHOLA_CANCELLED. */
typedef int (*nn_count_progress)(void *arg, size_t done, size_t total);

/* Writes a compiled network: parameters, weights, plan; and with `client_path` not NULL the client
 * file that goes with it. Errors also as nn_network_create. */
FHOLA_WARN_UNUSED fhola_status nn_compiled_save(const char *path, const char *client_path,
                                                const ckks_params *params, const nn_model *model,
                                                const nn_plan *plan);
/* All that nn_compiled_save wrote; each to be released by itself. */
FHOLA_WARN_UNUSED fhola_status nn_compiled_load(nn_model **model, nn_plan **plan,
                                                ckks_params **params, const char *path);
/* The same from a stream, which ends with it. So with everything that is called read. */
FHOLA_WARN_UNUSED fhola_status nn_compiled_read(nn_model **model, nn_plan **plan,
                                                ckks_params **params, ckks_reader *reader);

/* Writes a file of `length` bytes that its owner only may read, complete or not at all: for small
 * secrets beside keys. FHOLA_IO: what was at `path` is there unchanged. */
FHOLA_WARN_UNUSED fhola_status nn_write_private(const char *path, const void *bytes, size_t length);

/* ---- owner of the pictures ---- */

typedef struct nn_owner nn_owner;

/* From a client file: can only generate keys. From a secret key file: can encrypt and decrypt. From
 * a model: what its client file would do. */
FHOLA_WARN_UNUSED fhola_status nn_owner_open_client(nn_owner **owner, const char *path);
/* From a secret key file. */
FHOLA_WARN_UNUSED fhola_status nn_owner_open_secret(nn_owner **owner, const char *path);
/* From a client file, the rest of a stream. */
FHOLA_WARN_UNUSED fhola_status nn_owner_read_client(nn_owner **owner, ckks_reader *reader);
/* From a secret key file, the rest of a stream. */
FHOLA_WARN_UNUSED fhola_status nn_owner_read_secret(nn_owner **owner, ckks_reader *reader);
/* From a model, with the parameters it would be compiled for; all are copied. */
FHOLA_WARN_UNUSED fhola_status nn_owner_create(nn_owner **owner, const ckks_params *params,
                                               const nn_model *model, const nn_plan *plan);
void nn_owner_destroy(nn_owner *owner); /* wipes */

const ckks_params *nn_owner_params(const nn_owner *owner); /* lives as long as the owner */
const nn_client *nn_owner_client(const nn_owner *owner);   /* the same */
uint64_t nn_owner_network(const nn_owner *owner);          /* id of the network */
uint64_t nn_owner_key(const nn_owner *owner);              /* id of the secret key; 0: none yet */

/* From now on the owner's calls compute with so many threads, as ckks_context_set_threads has it;
 * 0: as OpenMP says. FHOLA_PARAM: too many. */
FHOLA_WARN_UNUSED fhola_status nn_owner_set_threads(nn_owner *owner, unsigned threads);

#define NN_MAX_KEYS_BYTES ((uint64_t)1 << 34)
/* Size of the file of evaluation keys that nn_owner_generate writes. A client file may ask for any
 * number of them; FHOLA_RANGE: for more than NN_MAX_KEYS_BYTES. */
FHOLA_WARN_UNUSED fhola_status nn_owner_keys_bytes(uint64_t *bytes, const nn_owner *owner);
/* Makes a secret key and writes its file (readable by its owner only, holds the client file too)
 * and the evaluation keys. Afterwards the owner has the secret key. On failure neither file has
 * been made, and what was in their places is there unchanged. FHOLA_PARAM: there is a file in one
 * of the places, or it is the one the owner was opened from. FHOLA_IO: also if another call, in any
 * process, makes keys in the folder of `secret_path`. Errors also as nn_owner_keys_bytes. */
FHOLA_WARN_UNUSED fhola_status nn_owner_generate(nn_owner *owner, const char *secret_path,
                                                 const char *keys_path, nn_count_progress progress,
                                                 void *arg);
/* The same into streams: the file of the secret key first, whole, then that of the evaluation keys.
 * Afterwards the owner has the secret key; on failure he has it not, and what was written is
 * worthless. */
FHOLA_WARN_UNUSED fhola_status nn_owner_write_keys(nn_owner *owner, ckks_writer *secret,
                                                   ckks_writer *keys, nn_count_progress progress,
                                                   void *arg);
/* In place of new keys for a network: takes the secret key that was made for another one, from its
 * file, and writes one for this network. The evaluation keys that were made with it, which the
 * server has, serve this network too. FHOLA_KEY: they would not, since the parameters are others or
 * keys are missing. FHOLA_PARAM: there is a file at `secret_path`, or it is one of those that are
 * read. FHOLA_FORMAT, FHOLA_SECURITY, FHOLA_IO as in reading and generating. */
FHOLA_WARN_UNUSED fhola_status nn_owner_reuse_secret(nn_owner *owner, ckks_reader *other,
                                                     const char *secret_path);
/* From now on nn_owner_generate and nn_owner_reuse_secret replace files. What was encrypted under a
 * secret key that is replaced can never be decrypted. */
void nn_owner_overwrite(nn_owner *owner);
/* Appends an encrypted picture (rgb as from nn_picture_read) to a stream. FHOLA_KEY: no secret key.
 * FHOLA_PARAM: the stream would replace the file of the secret key. */
FHOLA_WARN_UNUSED fhola_status nn_owner_encrypt(nn_owner *owner, ckks_writer *out,
                                                const double *rgb);
/* The same for `count` pictures at once, packed in fewer ciphertexts if there are two or more:
 * what follows in the stream is one encrypted picture with `count` results. PARAM also: more than
 * nn_client_pictures(). */
FHOLA_WARN_UNUSED fhola_status nn_owner_encrypt_several(nn_owner *owner, ckks_writer *out,
                                                        const double *const picture[],
                                                        size_t count);
/* From now on decrypted scores get independent noise of nn_flood_deviation(bits, queries, error),
 * and every result is counted before it is decrypted, over all calls and processes, in a file
 * beside `secret_path`, which is the file of the owner's secret key: man fhola-security. 0 to 200
 * bits, 1 to 10^9 queries. FHOLA_KEY: no secret key. FHOLA_PARAM: out of range, or no regular
 * file. */
FHOLA_WARN_UNUSED fhola_status nn_owner_flood(nn_owner *owner, const char *secret_path, double bits,
                                              double queries, double error);
/* Decrypts the next result of a stream: nn_client_classes scores. *more = 0: the stream has ended.
 * FHOLA_LEVEL, FHOLA_SCALE, FHOLA_FORMAT: not a result as nn_run_answer makes them. After
 * nn_owner_flood also FHOLA_SECURITY: with this result, what the bits promise would not hold;
 * FHOLA_FORMAT, FHOLA_KEY, FHOLA_IO: the count is damaged, of another key, or cannot be locked,
 * read and written. */
FHOLA_WARN_UNUSED fhola_status nn_owner_decrypt(nn_owner *owner, double *scores, ckks_reader *in,
                                                int *more);

/* The same for the results of pictures that may have been packed, which come packed too: *count of
 * them, nn_client_classes() scores each, with room in `scores` for nn_client_pictures(). *count =
 * 0: the stream has ended. Each counts by itself after nn_owner_flood. nn_owner_decrypt refuses
 * several results in one with PARAM. */
FHOLA_WARN_UNUSED fhola_status nn_owner_decrypt_several(nn_owner *owner, double *scores,
                                                        size_t *count, ckks_reader *in);

/* ---- server ---- */

/* A server has a compiled network, which all its clients share, and for each client the evaluation
 * keys. A run is what one inference at a time needs beside them. */
typedef struct nn_server nn_server;
typedef struct nn_keys nn_keys;
typedef struct nn_run nn_run;

/* From a compiled network. Its weights are encoded by nn_server_prepare; from then on it does not
 * change, and any number of threads may use it at once. */
FHOLA_WARN_UNUSED fhola_status nn_server_open(nn_server **server, const char *path);
/* The same from a stream, which ends with it. */
FHOLA_WARN_UNUSED fhola_status nn_server_read(nn_server **server, ckks_reader *reader);
/* Encodes the weights: may take seconds. A second time it does nothing. */
FHOLA_WARN_UNUSED fhola_status nn_server_prepare(nn_server *server);
/* Bytes of memory that the process may take (0: any number), to be set before nn_server_prepare.
 * FHOLA_NOMEM, saying how much is needed, if that is not enough. */
FHOLA_WARN_UNUSED fhola_status nn_server_limit_memory(nn_server *server, uint64_t bytes);
/* From now on everything that is done with the server computes with so many threads, as
 * ckks_context_set_threads has it: reading keys, and every run, so that runs at the same time
 * have that many each. 0: as OpenMP gives the calling thread. To be called while nobody else uses
 * the server. FHOLA_PARAM: too many. */
FHOLA_WARN_UNUSED fhola_status nn_server_set_threads(nn_server *server, unsigned threads);
/* What it would take (nn_network_memory), with the keys of one client and one run. */
nn_memory nn_server_memory(const nn_server *server);
/* From a model, as from a compiled network. On success all three belong to the server. */
FHOLA_WARN_UNUSED fhola_status nn_server_adopt(nn_server **server, ckks_params *params,
                                               nn_model *model, nn_plan *plan);
/* After its runs, and after its clients' keys are released. */
void nn_server_destroy(nn_server *server);
/* Appends the client file, from which a client makes keys. FHOLA_PARAM: after nn_server_prepare. */
FHOLA_WARN_UNUSED fhola_status nn_server_write_client(const nn_server *server, ckks_writer *out);

const ckks_params *nn_server_params(const nn_server *server); /* lives as long as the server */
/* until nn_server_prepare, or the end */
const nn_network *nn_server_network(const nn_server *server);
uint64_t nn_server_network_id(const nn_server *server); /* in its files */
/* What a compiled network was made from, until nn_server_prepare; perhaps NULL afterwards. */
const nn_model *nn_server_model(const nn_server *server);
const nn_plan *nn_server_plan(const nn_server *server); /* the same */

/* Reads a client's evaluation keys, for use with this server, by any number of threads at once: of
 * those in the file the ones that its network needs, whatever network they were made for first.
 * FHOLA_KEY: of other parameters, or one that is needed is missing; nearly nothing has been read
 * then. FHOLA_SECURITY: it is a secret key. */
FHOLA_WARN_UNUSED fhola_status nn_keys_load(nn_keys **keys, const nn_server *server,
                                            const char *path, nn_count_progress progress,
                                            void *arg);
/* The same from a stream, which ends with it. */
FHOLA_WARN_UNUSED fhola_status nn_keys_read(nn_keys **keys, const nn_server *server,
                                            ckks_reader *reader, nn_count_progress progress,
                                            void *arg);
/* Keys in memory that processes of one machine share (ckks_eval_keys_read_shared): so many bytes of
 * it; */
uint64_t nn_keys_shared_bytes(const nn_server *server);
/* one process reads the keys there, */
FHOLA_WARN_UNUSED fhola_status nn_keys_read_shared(nn_keys **keys, const nn_server *server,
                                                   void *memory, ckks_reader *reader,
                                                   nn_count_progress progress, void *arg);
/* and the others attach to what it has read: `key` is its nn_keys_id. FHOLA_KEY: another
 * network's. */
FHOLA_WARN_UNUSED fhola_status nn_keys_attach(nn_keys **keys, const nn_server *server,
                                              const void *memory, uint64_t key);
/* One holder more (the keys themselves are returned), or less; the last one's release is their
 * end. Any thread may do either, if it holds them. */
nn_keys *nn_keys_retain(nn_keys *keys);
void nn_keys_release(nn_keys *keys);         /* NULL: does nothing */
uint64_t nn_keys_id(const nn_keys *keys);    /* id of the secret key */
uint64_t nn_keys_bytes(const nn_keys *keys); /* in memory */

/* Reads the next encrypted picture of a stream, one alone or a pack (nn_encrypted_pictures), to be
 * destroyed by nn_encrypted_destroy. *more = 0: the stream has ended, and there is none.
 * ckks_reader_head(in).key is then the id of the secret key that it is encrypted under. FHOLA_KEY:
 * for another network. FHOLA_LEVEL: it is no encrypted picture. FHOLA_FORMAT: also a pack of more
 * pictures than the network computes at once. */
FHOLA_WARN_UNUSED fhola_status nn_server_receive(const nn_server *server,
                                                 ckks_ciphertext ***picture, ckks_reader *in,
                                                 int *more);

/* A run belongs to one caller at a time. */
FHOLA_WARN_UNUSED fhola_status nn_run_create(nn_run **run, const nn_server *server);
void nn_run_destroy(nn_run *run); /* NULL: does nothing */
/* Runs the network on an encrypted picture, one alone or a pack, and appends the result, or those
 * of the pack in one ciphertext, to a stream. The keys must be those of the picture's secret key:
 * with others the result means nothing, which only decryption shows. FHOLA_PARAM: before
 * nn_server_prepare; or the result would replace a file that the network or the keys come from.
 * FHOLA_KEY: keys that were read for another server. */
FHOLA_WARN_UNUSED fhola_status nn_run_answer(nn_run *run, ckks_writer *out, const nn_keys *keys,
                                             ckks_ciphertext *const picture[],
                                             const nn_infer_hooks *hooks);
/* The same for `count` pictures of one secret key, from 1 to nn_network_pictures(), that are
 * computed at once, however they came: the result of picture[k] is appended to out[k], which may be
 * one stream for several. A pack among them is computed by itself, between those in front of it and
 * those behind it. Results are written in their order, when what is computed at once is; one that
 * cannot be written ends the call, and those after it are lost. FHOLA_PARAM: also too many
 * pictures, or none. */
FHOLA_WARN_UNUSED fhola_status nn_run_answer_batch(nn_run *run, ckks_writer *const out[],
                                                   const nn_keys *keys,
                                                   ckks_ciphertext *const *const picture[],
                                                   size_t count, const nn_infer_hooks *hooks);
/* From now on results say nothing of the weights but the scores, up to noise: each is encrypted
 * anew and gets independent noise of nn_flood_deviation(bits, 1, error) on every score, where
 * `error` bounds the root mean square error of a result's scores. Who has the secret key, made as
 * it should be, tells n results from exact scores with the same noise by an advantage of at most
 * sqrt(n) 2^(-bits/2 - 2.8): man fhola-security. 0 to 200 bits. PARAM: out of range. RANGE: results
 * with so much noise would not be readable. Answers then fail with KEY if the keys have no
 * encryption of zero (ckks_sanitize). */
FHOLA_WARN_UNUSED fhola_status nn_run_sanitize(nn_run *run, double bits, double error);
/* Stops the answer under way, a call of nn_run_answer, nn_run_answer_batch or nn_run_infer, with
 * FHOLA_CANCELLED; if there is none, the next one. From any thread, or a signal handler. The call
 * ends in front of its next linear map, bootstrap or polynomial, and has written nothing; one that
 * waits for a picture ends when the picture has come, one that writes its result already goes on.
 * Whatever an answer ends with, the next one starts afresh. So who cancels on behalf of one of
 * several clients must know that it is that client's answer; where the run may have gone on to
 * another's meanwhile, the answer's own `progress`, which returns nonzero, is the way. */
void nn_run_cancel(nn_run *run);
/* nn_server_receive and nn_run_answer for the next picture of a stream; a network for batches waits
 * for nn_network_pictures() of them, a pack, or the end. *more: how many there were, those in a
 * pack included, each with a result; 0: the stream has ended, nothing was written. FHOLA_PARAM:
 * also if the result would replace the file of the pictures. FHOLA_KEY: also for a picture of
 * another secret key than that of the keys. Of pictures that wait for others of their batch nothing
 * is written if one of these fails. */
FHOLA_WARN_UNUSED fhola_status nn_run_infer(nn_run *run, ckks_writer *out, const nn_keys *keys,
                                            ckks_reader *in, int *more,
                                            const nn_infer_hooks *hooks);

/* The id of the network a ciphertext or a file of evaluation keys belongs to: comes right after
 * ckks_reader_begin. */
FHOLA_WARN_UNUSED fhola_status nn_network_id_read(uint64_t *id, ckks_reader *reader);
/* And right after ckks_writer_begin. */
FHOLA_WARN_UNUSED fhola_status nn_network_id_write(ckks_writer *writer, uint64_t id);

/* ---- end of files of the encrypted engine ---- */

#ifdef __cplusplus
}
#endif
#endif
