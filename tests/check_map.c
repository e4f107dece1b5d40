/* SPDX-License-Identifier: Apache-2.0 */
/* Linear maps: every view of one agrees with its definition, products and sums with those of
 * matrices. */
#include "check_nn_support.h"
#include "nn/graph/map.h"

static unsigned below(uint64_t *random, unsigned n)
{
    return (unsigned)(next_random(random) % n);
}

/* A random convolution between the given shapes, most often with few taps. */
static void random_convolution(nn_map *map, uint64_t *random, nn_shape in, nn_shape out)
{
    unsigned groups[] = {1, 1, 2, 4};
    nn_convolution c = {.in_channels = in.channels,
                        .out_channels = out.channels,
                        .groups = groups[below(random, 4)],
                        .kernel_y = 1 + below(random, 3),
                        .kernel_x = 1 + below(random, 3),
                        .stride_y = 1 + below(random, 2),
                        .stride_x = 1 + below(random, 2),
                        .dilation_y = 1 + below(random, 2),
                        .dilation_x = 1 + below(random, 2),
                        .pad_y = (int)below(random, 4) - 1,
                        .pad_x = (int)below(random, 4) - 1};
    if (below(random, 4) == 0) { /* some channels only */
        c.groups = 1;
        c.in_first = 1;
        c.in_channels -= 2;
        c.out_first = 2;
        c.out_channels -= 3;
    }
    size_t count = nn_convolution_weights(&c);
    c.weight = malloc(count * sizeof *c.weight);
    ck_assert_ptr_nonnull(c.weight);
    for (size_t k = 0; k < count; k++) c.weight[k] = uniform(random, -1, 1);
    succeed(nn_map_convolution(map, in, out, &c));
    free(c.weight);
}

static void random_sparse(nn_map *map, uint64_t *random, nn_shape in, nn_shape out)
{
    nn_entry entries[60];
    for (size_t k = 0; k < 60; k++)
        entries[k] =
            (nn_entry){below(random, (unsigned)nn_shape_values(out)),
                       below(random, (unsigned)nn_shape_values(in)), uniform(random, -1, 1)};
    succeed(nn_map_from_entries(map, in, out, entries, 60));
}

static void random_map(nn_map *map, uint64_t *random, nn_shape in, nn_shape out)
{
    if (below(random, 4) == 0)
        random_sparse(map, random, in, out);
    else
        random_convolution(map, random, in, out);
}

/* The matrix, row by row, from nn_map_add on unit vectors. */
static double *matrix_of(const nn_map *map)
{
    size_t rows = nn_shape_values(map->out), columns = nn_shape_values(map->in);
    double *matrix = calloc(rows * columns, sizeof *matrix), *unit = calloc(columns, sizeof *unit),
           *image = malloc(rows * sizeof *image);
    ck_assert(matrix && unit && image);
    for (size_t j = 0; j < columns; j++) {
        unit[j] = 1;
        for (size_t r = 0; r < rows; r++) image[r] = 0;
        nn_map_add(image, map, unit);
        unit[j] = 0;
        for (size_t r = 0; r < rows; r++) matrix[r * columns + j] = image[r];
    }
    free(unit);
    free(image);
    return matrix;
}

static nn_place place(nn_shape s, size_t k)
{
    return (nn_place){(unsigned)(k / s.width / s.height), (unsigned)(k / s.width % s.height),
                      (unsigned)(k % s.width)};
}

typedef struct visited {
    const nn_map *map;
    double *matrix;
    size_t count;
} visited;

static void visit(void *arg, nn_place o, nn_place i, double weight)
{
    visited *v = arg;
    nn_shape in = v->map->in, out = v->map->out;
    size_t row = ((size_t)o.channel * out.height + o.y) * out.width + o.x,
           column = ((size_t)i.channel * in.height + i.y) * in.width + i.x;
    v->matrix[row * nn_shape_values(in) + column] += weight;
    v->count++;
}

static const nn_shape shapes[] = {{4, 5, 6}, {8, 4, 3}, {4, 3, 7}};

/* nn_map_add against the sum in map.h; entries one by one and in order. */
START_TEST(test_views)
{
    uint64_t random = test_seed;
    for (unsigned turn = 0; turn < 60; turn++) {
        nn_map map;
        random_map(&map, &random, shapes[turn % 3], shapes[turn / 3 % 3]);
        size_t rows = nn_shape_values(map.out), columns = nn_shape_values(map.in);
        double *matrix = matrix_of(&map);
        visited v = {&map, calloc(rows * columns, sizeof(double)), 0};
        ck_assert_ptr_nonnull(v.matrix);
        nn_map_for_each(&map, visit, &v);
        ck_assert_uint_eq(v.count, nn_map_entries(&map));
        for (size_t k = 0; k < rows * columns; k++) {
            ck_assert_double_eq(matrix[k], v.matrix[k]);
            ck_assert_double_eq(matrix[k], nn_map_entry(&map, place(map.out, k / columns),
                                                        place(map.in, k % columns)));
        }
        free(matrix);
        free(v.matrix);
        nn_map_clear(&map);
    }
}
END_TEST

/* One output of a grouped, strided, dilated convolution by hand. */
START_TEST(test_definition)
{
    double weight[4 * 1 * 2 * 2], in[2 * 5 * 5], out[4 * 2 * 2] = {0};
    for (size_t k = 0; k < 16; k++) weight[k] = (double)k + 1;
    for (size_t k = 0; k < 50; k++) in[k] = (double)(k * k);
    nn_convolution c = {0, 2, 0, 4, 2, 2, 2, 3, 2, 2, 1, 1, 0, weight};
    nn_map map;
    succeed(nn_map_convolution(&map, (nn_shape){2, 5, 5}, (nn_shape){4, 2, 2}, &c));
    nn_map_add(out, &map, in);
    /* channel 3 (group 1), y = 1, x = 1: rows 2 and 4, columns 2 and 3 of input channel 1 */
    ck_assert_double_eq(out[15],
                        13 * in[25 + 12] + 14 * in[25 + 13] + 15 * in[25 + 22] + 16 * in[25 + 23]);
    /* y = 0: row -1 is outside */
    ck_assert_double_eq(out[12], 15 * in[25 + 5] + 16 * in[25 + 6]);
    nn_map_clear(&map);
}
END_TEST

static void check_product(const nn_map *product, const nn_map *second, const nn_map *first)
{
    size_t rows = nn_shape_values(second->out), middle = nn_shape_values(second->in),
           columns = nn_shape_values(first->in);
    double *a = matrix_of(second), *b = matrix_of(first), *c = matrix_of(product);
    for (size_t r = 0; r < rows; r++)
        for (size_t j = 0; j < columns; j++) {
            double sum = 0;
            for (size_t m = 0; m < middle; m++) sum += a[r * middle + m] * b[m * columns + j];
            assert_close(c[r * columns + j], sum, 1e-13);
        }
    free(a);
    free(b);
    free(c);
}

START_TEST(test_products)
{
    uint64_t random = test_seed;
    size_t convolutions = 0;
    for (unsigned turn = 0; turn < 150; turn++) {
        nn_map first, second, product;
        random_map(&first, &random, shapes[turn % 3], shapes[turn / 3 % 3]);
        random_map(&second, &random, shapes[turn / 3 % 3], shapes[turn / 9 % 3]);
        succeed(nn_map_compose(&product, &second, &first));
        check_product(&product, &second, &first);
        convolutions += product.kind == NN_MAP_CONVOLUTION;
        nn_map_clear(&first);
        nn_map_clear(&second);
        nn_map_clear(&product);
    }
    ck_assert_uint_gt(convolutions, 5);
}
END_TEST

START_TEST(test_sums)
{
    uint64_t random = test_seed;
    size_t convolutions = 0;
    for (unsigned turn = 0; turn < 150; turn++) {
        nn_map a, b, sum;
        random_map(&a, &random, shapes[turn % 3], shapes[turn / 3 % 3]);
        random_map(&b, &random, shapes[turn % 3], shapes[turn / 3 % 3]);
        succeed(nn_map_sum(&sum, &a, &b));
        convolutions += sum.kind == NN_MAP_CONVOLUTION;
        double *left = matrix_of(&a), *right = matrix_of(&b), *both = matrix_of(&sum);
        for (size_t k = 0; k < nn_shape_values(a.in) * nn_shape_values(a.out); k++)
            assert_close(both[k], left[k] + right[k], 1e-15);
        free(left);
        free(right);
        free(both);
        nn_map_clear(&a);
        nn_map_clear(&b);
        nn_map_clear(&sum);
    }
    ck_assert_uint_gt(convolutions, 5);
}
END_TEST

/* What must stay a convolution for the sake of speed: kinds of layers in a row. */
START_TEST(test_structure)
{
    uint64_t random = test_seed;
    nn_shape picture = {4, 8, 8}, half = {4, 4, 4}, point = {4, 1, 1};
    double factor[4] = {1, 2, 3, 4}, weight[4 * 4 * 9];
    for (size_t k = 0; k < 144; k++) weight[k] = uniform(&random, -1, 1);
    nn_convolution conv = {0, 4, 0, 4, 1, 3, 3, 1, 1, 1, 1, 1, 1, weight};
    nn_convolution pool = {0, 4, 0, 4, 4, 2, 2, 2, 2, 1, 1, 0, 0, weight};
    nn_convolution whole = {0, 4, 0, 4, 4, 4, 4, 1, 1, 1, 1, 0, 0, weight};
    nn_map a, b, c, ab, abc, scale;
    succeed(nn_map_convolution(&a, picture, picture, &conv));
    succeed(nn_map_convolution(&b, picture, half, &pool));
    succeed(nn_map_convolution(&c, half, point, &whole));
    double full[256];
    for (size_t k = 0; k < 256; k++) full[k] = factor[k / 64];
    succeed(nn_map_diagonal(&scale, picture, full));
    ck_assert_int_eq(scale.kind, NN_MAP_CONVOLUTION);
    succeed(nn_map_compose(&ab, &b, &a)); /* pooling after a convolution */
    ck_assert_int_eq(ab.kind, NN_MAP_CONVOLUTION);
    ck_assert_uint_eq(ab.convolution.kernel_y, 4);
    ck_assert_uint_eq(ab.convolution.stride_x, 2);
    succeed(nn_map_compose(&abc, &c, &ab));
    ck_assert_int_eq(abc.kind, NN_MAP_CONVOLUTION);
    ck_assert_uint_eq(abc.convolution.kernel_x, 10);
    nn_map_clear(&abc);
    succeed(nn_map_compose(&abc, &b, &scale)); /* a channel each */
    ck_assert_uint_eq(abc.convolution.groups, 4);
    nn_map_clear(&abc);
    succeed(nn_map_compose(&abc, &a, &a)); /* zeros around the middle: no convolution */
    ck_assert_int_eq(abc.kind, NN_MAP_SPARSE);
    nn_map_clear(&abc);
    nn_map_clear(&a);
    nn_map_clear(&b);
    nn_map_clear(&c);
    nn_map_clear(&ab);
    nn_map_clear(&scale);
}
END_TEST

/* Selections become convolutions where they are slices, crops, strides and permutations of
 * channels. */
START_TEST(test_selections)
{
    nn_shape in = {4, 6, 6}, out = {3, 3, 2};
    uint32_t index[18];
    for (unsigned turn = 0; turn < 3; turn++) {
        nn_map map;
        for (unsigned k = 0; k < 18; k++) {
            unsigned c = turn == 0 ? 1 + k / 6 : 3 - k / 6;
            index[k] = (c * 6 + 1 + 2 * (k / 2 % 3)) * 6 + 2 + 3 * (k % 2);
        }
        if (turn == 2) index[7]++;
        succeed(nn_map_select(&map, in, out, index));
        ck_assert_int_eq(map.kind, turn == 2 ? NN_MAP_SPARSE : NN_MAP_CONVOLUTION);
        double *matrix = matrix_of(&map);
        for (size_t k = 0; k < 18 * 144; k++)
            ck_assert_double_eq(matrix[k], index[k / 144] == k % 144 ? 1 : 0);
        free(matrix);
        nn_map_clear(&map);
    }
}
END_TEST

START_TEST(test_refusals)
{
    nn_map a, b, c;
    succeed(nn_map_scaling(&a, shapes[0], 1));
    succeed(nn_map_scaling(&b, shapes[1], 1));
    ck_assert(nn_map_is_identity(&a));
    fail_with(nn_map_compose(&c, &a, &b), FHOLA_PARAM, "4 x 5 x 6 values after one to 8 x 4 x 3");
    fail_with(nn_map_sum(&c, &a, &b), FHOLA_PARAM, "different shapes");
    nn_map_clear(&b);
    succeed(nn_map_scaling(&b, shapes[0], 2));
    ck_assert(!nn_map_is_identity(&b));
    nn_map_clear(&a);
    nn_map_clear(&b);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("map");
    tcase_add_test(tcase, test_views);
    tcase_add_test(tcase, test_definition);
    tcase_add_test(tcase, test_products);
    tcase_add_test(tcase, test_sums);
    tcase_add_test(tcase, test_structure);
    tcase_add_test(tcase, test_selections);
    tcase_add_test(tcase, test_refusals);
    return run_tests("map", tcase, 120);
}
