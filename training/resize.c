#include "training/resize.h"

#include "training/sums_impl.h"

#include <math.h>
#include <string.h>

static enum sb_status check_axis(const struct sb_axis *axis, struct sb_error *error)
{
    size_t groups = axis->groups ? axis->groups : 1;
    if (axis->from == 0 || axis->to == 0 || axis->from % groups || axis->to % groups)
        return sb_fail(error, SB_INVALID, "cannot resize an axis of %zu to %zu in %zu equal parts", axis->from,
                       axis->to, groups);
    if (axis->to > axis->from && axis->from / groups % 2)
        return sb_fail(error, SB_INVALID, "cannot resize %zu to %zu: what grows must have an even size",
                       axis->from / groups, axis->to / groups);
    return SB_OK;
}

/* Where index `to` of the new axis comes from. */
static size_t source(const struct sb_axis *axis, size_t to)
{
    size_t groups = axis->groups ? axis->groups : 1;
    size_t from_size = axis->from / groups, to_size = axis->to / groups, group = to / to_size, i = to % to_size;
    if (to_size > from_size) {
        size_t times = (to_size + from_size - 1) / from_size;
        i = i / 2 / times * 2 + i % 2;
    }
    return group * from_size + i;
}

enum sb_status sb_resize(float *out, const float *in, const struct sb_axis *rows, const struct sb_axis *columns,
                         struct sb_error *error)
{
    enum sb_status status = check_axis(rows, error);
    if (status == SB_OK)
        status = check_axis(columns, error);
    if (status != SB_OK)
        return status;
    for (size_t i = 0; i < rows->to; i++) {
        const float *row = in + source(rows, i) * columns->from;
        for (size_t j = 0; j < columns->to; j++)
            out[i * columns->to + j] = row[source(columns, j)];
    }
    size_t count = rows->to * columns->to;
    double before = sb_sum_squares(in, rows->from * columns->from), after = sb_sum_squares(out, count);
    float scale = after > 0 ? (float)sqrt(before / after) : 1;
    for (size_t i = 0; i < count; i++)
        out[i] *= scale;
    return SB_OK;
}

static bool has(const struct sb_parameter *p, const char *part)
{
    return strstr(p->name, part) != NULL;
}

/* A vector is both the input and the output side of itself. */
static size_t outputs(const struct sb_parameter *p)
{
    return p->rank == 2 ? p->rows : p->columns;
}

static double role_scale(const struct sb_parameter *to, const struct sb_parameter *from, bool relu)
{
    double out = (double)outputs(to) / (double)outputs(from), in = (double)to->columns / (double)from->columns;
    if (has(to, ".attention.self.query.") || has(to, ".attention.self.key."))
        return sqrt(sqrt(out));
    if (has(to, ".intermediate.dense."))
        return relu ? 1 / sqrt(in) : sqrt(out);
    if (has(to, ".output.dense.") && !has(to, ".attention."))
        return 1 / sqrt(in);
    return 1;
}

static enum sb_status resize_parameter(float *values, const struct sb_parameter *to, const float *old_values,
                                       const struct sb_parameter *from, const struct sb_resize_options *options,
                                       struct sb_error *error)
{
    bool vocabulary = has(to, ".word_embeddings.weight") || strcmp(to->name, "cls.predictions.bias") == 0;
    if (vocabulary && outputs(to) != outputs(from))
        return sb_fail(error, SB_INVALID, "%s: a vocabulary of %zu tokens can only become one of %zu by naming them",
                       to->name, outputs(from), outputs(to));
    bool projects = has(to, ".attention.self."), collects = has(to, ".attention.output.dense.weight");
    struct sb_axis rows = {from->rows, to->rows, projects && to->rank == 2 ? options->heads : 1};
    struct sb_axis columns = {from->columns, to->columns, collects || (projects && to->rank == 1) ? options->heads : 1};
    enum sb_status status = sb_resize(values + to->offset, old_values + from->offset, &rows, &columns, error);
    if (status != SB_OK)
        return sb_fail_context(error, status, "%s", to->name);
    float scale = (float)role_scale(to, from, options->relu);
    for (size_t i = 0; i < to->rows * to->columns; i++)
        values[to->offset + i] *= scale;
    return SB_OK;
}

enum sb_status sb_resize_parameters(float *values, const struct sb_parameters *parameters, const float *old_values,
                                    const struct sb_parameters *old, const struct sb_resize_options *options,
                                    struct sb_error *error)
{
    for (size_t i = 0; i < parameters->count; i++) {
        const struct sb_parameter *to = &parameters->items[i], *from = sb_parameters_find(old, to->name);
        if (!from)
            continue;
        if (from->rank != to->rank)
            return sb_fail(error, SB_INVALID, "%s has %d dimensions here and %d in the old model", to->name, to->rank,
                           from->rank);
        if (from->rows == to->rows && from->columns == to->columns) {
            memcpy(values + to->offset, old_values + from->offset, to->rows * to->columns * sizeof *values);
            continue;
        }
        enum sb_status status = resize_parameter(values, to, old_values, from, options, error);
        if (status != SB_OK)
            return status;
    }
    return SB_OK;
}
