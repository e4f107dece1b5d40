/* SPDX-License-Identifier: Apache-2.0 */
/* Operators that only move numbers about: reshapes, transposes, slices, parts put together. They
 * change dimensions and order of a value; the graph hears of them when a layer needs its input in
 * order. */
#include <stdlib.h>
#include <string.h>

#include "nn/cmd/onnx/import.h"

/* ---- new dimensions, same numbers ---- */

/* The input with other dimensions and the same numbers in the same order. */
static fhola_status with_dims(onnx_import *import, onnx_dims dims)
{
    const onnx_value *in = onnx_input(import, 0);
    onnx_value out = {.kind = in->kind, .dims = dims, .expression = in->expression};
    size_t count = onnx_count(&in->dims);
    if (onnx_count(&dims) != count)
        return onnx_refuse(import, "its output has %zu values, its input %zu", onnx_count(&dims),
                           count);
    if (in->kind == ONNX_COMPUTED && (dims.rank == 0 || dims.size[0] != 1))
        return onnx_refuse(import,
                           "the first dimension is the batch of pictures and must stay as it is");
    if (in->number && !(out.number = malloc((count + 1) * sizeof *out.number)))
        return fhola_fail(FHOLA_NOMEM, "%s: no memory for a constant", import->path);
    if (in->number) memcpy(out.number, in->number, count * sizeof *out.number);
    if (in->order && !(out.order = malloc(count * sizeof *out.order))) {
        onnx_value_clear(&out);
        return fhola_fail(FHOLA_NOMEM, "%s: no memory for the order of values", import->path);
    }
    if (in->order) memcpy(out.order, in->order, count * sizeof *out.order);
    return onnx_output(import, 0, out);
}

static fhola_status flatten(onnx_import *import)
{
    const onnx_value *in = onnx_input(import, 0);
    int64_t axis = onnx_int(import, "axis", 1);
    if (axis < 0) axis += in->dims.rank;
    if (axis < 0 || axis > in->dims.rank) return onnx_refuse(import, "axis %lld", (long long)axis);
    onnx_dims dims = {2, {1, 1}};
    for (unsigned i = 0; i < in->dims.rank; i++) dims.size[i >= axis] *= in->dims.size[i];
    return with_dims(import, dims);
}

static fhola_status reshape(onnx_import *import)
{
    const onnx_value *in = onnx_input(import, 0);
    int64_t to[ONNX_MAX_RANK];
    size_t rank = 0, known = 1, count = onnx_count(&in->dims);
    onnx_dims dims = {0, {0}};
    int open = -1;
    fhola_status status = onnx_ints(to, &rank, ONNX_MAX_RANK, import, "shape", 1);
    if (status != FHOLA_OK) return status;
    dims.rank = (unsigned)rank;
    for (unsigned i = 0; i < rank; i++) {
        bool keep = i < in->dims.rank && to[i] == 0 && !onnx_int(import, "allowzero", 0);
        if (to[i] < -1 || (to[i] == -1 && open >= 0))
            return onnx_refuse(import, "its shape is unusable");
        if (to[i] == -1) open = (int)i;
        dims.size[i] = to[i] == -1 ? 1 : keep ? in->dims.size[i] : (size_t)to[i];
        known *= dims.size[i];
    }
    if (open >= 0 && known > 0) dims.size[open] = count / known;
    /* exported with another batch size: that of the file's example */
    if (in->kind == ONNX_COMPUTED && open < 0 && rank > 1 && known != count && dims.size[0] > 0 &&
        known / dims.size[0] == count)
        dims.size[0] = 1;
    if (in->kind == ONNX_COMPUTED && open > 0 && rank > 1 && dims.size[0] > 1 &&
        dims.size[open] * dims.size[0] * known / dims.size[0] != 0 &&
        dims.size[open] * known == count && count % (known / dims.size[0]) == 0) {
        dims.size[open] = count / (known / dims.size[0]);
        dims.size[0] = 1;
    }
    return with_dims(import, dims);
}

/* Which dimensions `axes` names, of `rank`; false if one is beyond. */
static bool mark_axes(bool marked[2 * ONNX_MAX_RANK], const int64_t *axes, size_t count,
                      size_t rank)
{
    for (size_t i = 0; i < count; i++) {
        int64_t axis = axes[i] < 0 ? axes[i] + (int64_t)rank : axes[i];
        if (axis < 0 || axis >= (int64_t)rank) return false;
        marked[axis] = true;
    }
    return true;
}

static fhola_status squeeze(onnx_import *import)
{
    const onnx_value *in = onnx_input(import, 0);
    int64_t axes[ONNX_MAX_RANK];
    bool gone[2 * ONNX_MAX_RANK] = {false};
    size_t count = 0;
    onnx_dims dims = {0, {0}};
    fhola_status status = onnx_ints(axes, &count, ONNX_MAX_RANK, import, "axes", 1);
    if (status != FHOLA_OK) return status;
    if (!mark_axes(gone, axes, count, in->dims.rank))
        return onnx_refuse(import, "an axis is out of range");
    for (unsigned i = 0; i < in->dims.rank; i++) {
        bool leave =
            count ? gone[i] : in->dims.size[i] == 1 && (i > 0 || in->kind == ONNX_CONSTANT);
        if (leave && in->dims.size[i] != 1)
            return onnx_refuse(import, "dimension %u is %zu, not 1", i, in->dims.size[i]);
        if (!leave) dims.size[dims.rank++] = in->dims.size[i];
    }
    return with_dims(import, dims);
}

static fhola_status unsqueeze(onnx_import *import)
{
    const onnx_value *in = onnx_input(import, 0);
    int64_t axes[ONNX_MAX_RANK];
    bool added[2 * ONNX_MAX_RANK] = {false};
    size_t count = 0;
    fhola_status status = onnx_ints(axes, &count, ONNX_MAX_RANK, import, "axes", 1);
    if (status != FHOLA_OK) return status;
    onnx_dims dims = {in->dims.rank + (unsigned)count, {0}};
    if (dims.rank > ONNX_MAX_RANK || !mark_axes(added, axes, count, dims.rank))
        return onnx_refuse(import, "an axis is out of range");
    for (unsigned i = 0, from = 0; i < dims.rank; i++)
        dims.size[i] = added[i] ? 1 : from < in->dims.rank ? in->dims.size[from++] : 1;
    return with_dims(import, dims);
}

/* ---- other orders ---- */

/* The input's values with dimensions dims, value j being value from[j] of the input: of a constant
 * the numbers, of a computed value the order. Takes `from`. `whole`: every value occurs once. */
static fhola_status rearranged(onnx_import *import, onnx_dims dims, uint32_t *from, bool whole)
{
    const onnx_value *in = onnx_input(import, 0);
    size_t count = onnx_count(&dims);
    onnx_value out = {.kind = in->kind, .dims = dims, .expression = in->expression};
    if (in->kind == ONNX_CONSTANT) {
        out.number = malloc((count + 1) * sizeof *out.number);
        for (size_t j = 0; out.number && j < count; j++) out.number[j] = in->number[from[j]];
        free(from);
        return out.number ? onnx_output(import, 0, out)
                          : fhola_fail(FHOLA_NOMEM, "%s: no memory for a constant", import->path);
    }
    bool straight = whole;
    for (size_t j = 0; j < count; j++) {
        if (in->order) from[j] = in->order[from[j]];
        straight = straight && from[j] == j;
    }
    out.order = from;
    if (straight) {
        free(out.order);
        out.order = NULL;
    }
    if (whole) return onnx_output(import, 0, out);
    nn_tensor tensor;
    fhola_status status = onnx_apply(import, &tensor, in);
    if (status == FHOLA_OK)
        status =
            nn_graph_select(import->graph, &tensor, import->label, tensor, onnx_shape(&dims), from);
    free(from);
    return status == FHOLA_OK ? onnx_output(import, 0, onnx_tensor_value(import, tensor, dims))
                              : status;
}

static uint32_t *indices(size_t count)
{
    return malloc((count + 1) * sizeof(uint32_t));
}

/* The pixels of each block of a channel become channels: number (y * size + x) * channels + c has
 * pixel (y, x) of the blocks of channel c. */
static fhola_status space_to_depth(onnx_import *import)
{
    const onnx_value *in = onnx_input(import, 0);
    int64_t blocksize = onnx_int(import, "blocksize", 0);
    const size_t *size = in->dims.size, b = blocksize > 0 ? (size_t)blocksize : 0;
    if (in->dims.rank != 4 || b == 0 || size[2] % b != 0 || size[3] % b != 0)
        return onnx_refuse(import, "its input does not consist of blocks of %lld x %lld",
                           (long long)blocksize, (long long)blocksize);
    onnx_dims dims = {4, {size[0], size[1] * b * b, size[2] / b, size[3] / b}};
    size_t count = onnx_count(&dims);
    uint32_t *from = indices(count);
    if (!from) return fhola_fail(FHOLA_NOMEM, "%s: no memory for an order of values", import->path);
    for (size_t j = 0; j < count; j++) {
        size_t x = j % dims.size[3], rest = j / dims.size[3], y = rest % dims.size[2];
        rest /= dims.size[2];
        size_t k = rest % dims.size[1], pixel = k / size[1], n = rest / dims.size[1];
        from[j] = (uint32_t)(((n * size[1] + k % size[1]) * size[2] + y * b + pixel / b) * size[3] +
                             x * b + pixel % b);
    }
    return rearranged(import, dims, from, true);
}

static fhola_status transpose(onnx_import *import)
{
    const onnx_value *in = onnx_input(import, 0);
    int64_t perm[ONNX_MAX_RANK];
    size_t n = 0, rank = in->dims.rank, step[ONNX_MAX_RANK], stride = 1;
    bool seen[2 * ONNX_MAX_RANK] = {false};
    onnx_dims dims = {in->dims.rank, {0}};
    fhola_status status = onnx_ints(perm, &n, ONNX_MAX_RANK, import, "perm", -1);
    if (status != FHOLA_OK) return status;
    for (size_t i = 0; n == 0 && i < rank; i++) perm[i] = (int64_t)(rank - 1 - i);
    if ((n != 0 && n != rank) || !mark_axes(seen, perm, rank, rank))
        return onnx_refuse(import, "its order of dimensions is unusable");
    for (size_t i = 0; i < rank; i++)
        if (!seen[i] || perm[i] < 0)
            return onnx_refuse(import, "its order of dimensions is unusable");
    if (in->kind == ONNX_COMPUTED && rank > 0 && perm[0] != 0)
        return onnx_refuse(import, "the batch must stay the first dimension");
    for (size_t i = rank; i-- > 0; stride *= in->dims.size[i]) step[i] = stride;
    for (size_t i = 0; i < rank; i++) dims.size[i] = in->dims.size[perm[i]];
    size_t count = onnx_count(&dims);
    uint32_t *from = indices(count);
    if (!from) return fhola_fail(FHOLA_NOMEM, "%s: no memory for an order of values", import->path);
    for (size_t j = 0; j < count; j++) {
        size_t rest = j, at = 0;
        for (size_t i = rank; i-- > 0; rest /= dims.size[i])
            at += rest % dims.size[i] * step[perm[i]];
        from[j] = (uint32_t)at;
    }
    return rearranged(import, dims, from, true);
}

/* The part [start, end) in steps along each dimension. */
typedef struct part {
    int64_t start[ONNX_MAX_RANK], step[ONNX_MAX_RANK];
    size_t size[ONNX_MAX_RANK];
} part;

static fhola_status cut_out(onnx_import *import, const part *p)
{
    const onnx_value *in = onnx_input(import, 0);
    unsigned rank = in->dims.rank;
    onnx_dims dims = {rank, {0}};
    memcpy(dims.size, p->size, sizeof dims.size);
    size_t count = onnx_count(&dims);
    if (count == 0) return onnx_refuse(import, "nothing is left");
    uint32_t *from = indices(count);
    if (!from) return fhola_fail(FHOLA_NOMEM, "%s: no memory for an order of values", import->path);
    for (size_t j = 0; j < count; j++) {
        size_t rest = j, at = 0, stride = 1;
        for (unsigned i = rank; i-- > 0; rest /= dims.size[i]) {
            at += (size_t)(p->start[i] + (int64_t)(rest % dims.size[i]) * p->step[i]) * stride;
            stride *= in->dims.size[i];
        }
        from[j] = (uint32_t)at;
    }
    return rearranged(import, dims, from, count == onnx_count(&in->dims));
}

static part whole_of(const onnx_value *in)
{
    part p = {.start = {0}};
    for (unsigned i = 0; i < in->dims.rank; i++) {
        p.step[i] = 1;
        p.size[i] = in->dims.size[i];
    }
    return p;
}

static int64_t within(int64_t x, int64_t low, int64_t high)
{
    return x < low ? low : x > high ? high : x;
}

static fhola_status slice(onnx_import *import)
{
    const onnx_value *in = onnx_input(import, 0);
    int64_t start[ONNX_MAX_RANK] = {0}, end[ONNX_MAX_RANK] = {0}, axes[ONNX_MAX_RANK] = {0},
            step[ONNX_MAX_RANK] = {0};
    size_t n = 0, m = 0, a = 0, k = 0;
    part p = whole_of(in);
    fhola_status status = onnx_ints(start, &n, ONNX_MAX_RANK, import, "starts", 1);
    if (status == FHOLA_OK) status = onnx_ints(end, &m, ONNX_MAX_RANK, import, "ends", 2);
    if (status == FHOLA_OK) status = onnx_ints(axes, &a, ONNX_MAX_RANK, import, "axes", 3);
    if (status == FHOLA_OK) status = onnx_ints(step, &k, ONNX_MAX_RANK, import, "steps", 4);
    if (status == FHOLA_OK && (n != m || (a && a != n) || (k && k != n)))
        status = onnx_refuse(import, "starts, ends, axes and steps have different lengths");
    for (size_t i = 0; status == FHOLA_OK && i < n; i++) {
        int64_t axis = a ? axes[i] : (int64_t)i, s = k ? step[i] : 1;
        if (axis < 0) axis += in->dims.rank;
        if (axis < 0 || axis >= in->dims.rank || s == 0)
            return onnx_refuse(import, "axis or step out of range");
        int64_t size = (int64_t)in->dims.size[axis],
                from = start[i] < 0 ? start[i] + size : start[i],
                to = end[i] < 0 ? end[i] + size : end[i];
        from = s > 0 ? within(from, 0, size) : within(from, -1, size - 1);
        to = s > 0 ? within(to, 0, size) : within(end[i] < -size ? -1 : to, -1, size - 1);
        int64_t span = s > 0 ? to - from : from - to, pace = s > 0 ? s : -s;
        p.start[axis] = from;
        p.step[axis] = s;
        p.size[axis] = span > 0 ? (size_t)((span + pace - 1) / pace) : 0;
    }
    return status == FHOLA_OK ? cut_out(import, &p) : status;
}

static fhola_status split(onnx_import *import)
{
    const onnx_value *in = onnx_input(import, 0);
    int64_t sizes[64], axis = onnx_int(import, "axis", 0);
    size_t n = 0, parts = import->node->n_output;
    fhola_status status = onnx_ints(sizes, &n, 64, import, "split", 1);
    if (status != FHOLA_OK) return status;
    if (axis < 0) axis += in->dims.rank;
    if (axis < 0 || axis >= in->dims.rank || parts > 64 || (n && n != parts))
        return onnx_refuse(import, "axis or parts out of range");
    size_t whole = in->dims.size[axis], each = (whole + parts - 1) / parts, at = 0;
    char **outputs = import->node->output;
    for (size_t i = 0; status == FHOLA_OK && i < parts; i++) {
        size_t size = n ? (size_t)sizes[i] : at + each <= whole ? each : whole - at;
        if (size > whole - at) return onnx_refuse(import, "its parts are longer than the whole");
        part p = whole_of(in);
        p.start[axis] = (int64_t)at;
        p.size[axis] = size;
        ((Onnx__Node *)(uintptr_t)import->node)->output = outputs + i;
        status = cut_out(import, &p);
        in = onnx_input(import, 0); /* the table may have grown */
        at += size;
    }
    ((Onnx__Node *)(uintptr_t)import->node)->output = outputs;
    return status;
}

/* ---- putting together ---- */

/* Where value j of the result lies in the parts laid end to end. */
static uint32_t *order_of_parts(const onnx_import *import, const onnx_dims *dims, unsigned axis)
{
    size_t count = onnx_count(dims), inner = 1;
    uint32_t *order = indices(count);
    for (unsigned i = axis + 1; i < dims->rank; i++) inner *= dims->size[i];
    size_t outer = count / (dims->size[axis] * inner), base = 0, before = 0;
    for (size_t k = 0; order && k < import->node->n_input; k++) {
        size_t size = onnx_input(import, k)->dims.size[axis];
        for (size_t o = 0; o < outer; o++)
            for (size_t j = 0; j < size * inner; j++)
                order[(o * dims->size[axis] + before) * inner + j] =
                    (uint32_t)(base + o * size * inner + j);
        base += outer * size * inner;
        before += size;
    }
    return order;
}

static fhola_status join(onnx_import *import, onnx_dims dims, unsigned axis)
{
    size_t parts = import->node->n_input;
    nn_tensor *pieces = malloc(parts * sizeof *pieces), whole = 0;
    fhola_status status =
        pieces ? FHOLA_OK
               : fhola_fail(FHOLA_NOMEM, "%s: no memory for %zu parts", import->path, parts);
    bool channels = axis == 1 && dims.rank >= 2 && dims.rank <= 4;
    for (size_t i = 0; i < parts && status == FHOLA_OK; i++) {
        status = onnx_in_order(import, &pieces[i], onnx_input(import, i));
        nn_shape flat = {(unsigned)onnx_count(&onnx_input(import, i)->dims), 1, 1};
        if (status == FHOLA_OK && !channels)
            status = nn_graph_reshape(import->graph, &pieces[i], import->label, pieces[i], flat);
    }
    if (status == FHOLA_OK)
        status = nn_graph_concat(import->graph, &whole, import->label, pieces, parts);
    free(pieces);
    if (status != FHOLA_OK) return status;
    onnx_value out = onnx_tensor_value(import, whole, dims);
    if (!channels && !(out.order = order_of_parts(import, &dims, axis)))
        return fhola_fail(FHOLA_NOMEM, "%s: no memory for an order of values", import->path);
    return onnx_output(import, 0, out);
}

static fhola_status concat(onnx_import *import)
{
    const onnx_value *first;
    int64_t axis = onnx_int(import, "axis", 1);
    for (size_t i = 0; i < import->node->n_input; i++) {
        onnx_value *in;
        fhola_status status = onnx_need_computed(&in, import, i);
        if (status != FHOLA_OK) return status;
    }
    if (import->node->n_input == 0) return onnx_refuse(import, "of nothing");
    first = onnx_input(import, 0);
    onnx_dims dims = first->dims;
    if (axis < 0) axis += dims.rank;
    if (axis < 1 || axis >= dims.rank)
        return onnx_refuse(import,
                           "along dimension %lld; pictures of a batch cannot be put together",
                           (long long)axis);
    for (size_t i = 1; i < import->node->n_input; i++) {
        const onnx_value *in = onnx_input(import, i);
        for (unsigned d = 0; d < dims.rank; d++)
            if (in->dims.rank != dims.rank || (d != axis && in->dims.size[d] != dims.size[d]))
                return onnx_refuse(import, "input %zu differs in a dimension other than %lld", i,
                                   (long long)axis);
        dims.size[axis] += in->dims.size[axis];
    }
    return join(import, dims, (unsigned)axis);
}

static fhola_status same(onnx_import *import)
{
    const onnx_value *in = onnx_input(import, 0);
    return with_dims(import, in->dims);
}

fhola_status onnx_shape_node(onnx_import *import, bool *done)
{
    static const struct {
        const char *op;
        fhola_status (*run)(onnx_import *import);
    } operators[] = {
        {"Flatten", flatten},     {"Reshape", reshape},     {"Squeeze", squeeze},
        {"Unsqueeze", unsqueeze}, {"Transpose", transpose}, {"SpaceToDepth", space_to_depth},
        {"Slice", slice},         {"Split", split},         {"Concat", concat},
        {"Identity", same},       {"Dropout", same},        {"Cast", same}};
    *done = true;
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++)
        if (strcmp(import->node->op_type, operators[i].op) == 0) {
            const onnx_value *in = onnx_input(import, 0);
            if (!in || in->kind == ONNX_UNKNOWN) return onnx_refuse(import, "its input is missing");
            return operators[i].run(import);
        }
    *done = false;
    return FHOLA_OK;
}
