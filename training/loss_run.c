/*
 * A loss from outside: options checked, memory taken once, floats in, gradients out, and Matryoshka's cuts around any
 * method.
 */
#include "training/loss_impl.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct sb_loss {
    const struct sb_loss_class *class;
    struct sb_loss_options options;
    struct sb_loss_cut cuts[SB_LOSS_MAX_CUTS];
    size_t max_rows, dimensions;
    struct sb_arena arena;
    struct sb_loss_work work;
    /* With cuts: what the method's unit vectors were cut from, the gradient by it, and its norms. */
    double *whole, *dwhole, *norms;
};

/* ---- making one ---- */

static enum sb_status check_cuts(const struct sb_loss_class *class, const struct sb_loss_options *options,
                                 size_t dimensions, struct sb_error *error)
{
    if (options->cut_count > SB_LOSS_MAX_CUTS)
        return sb_fail(error, SB_INVALID, "%s: %zu Matryoshka dimensions; at most %d are possible", class->name,
                       options->cut_count, SB_LOSS_MAX_CUTS);
    if (options->cut_count > 0 && (class->needs & SB_LOSS_NEEDS_CLASSES))
        return sb_fail(error, SB_UNSUPPORTED, "%s: its kernel has one width, so Matryoshka dimensions do not fit it",
                       class->name);
    for (size_t i = 0; i < options->cut_count; i++) {
        const struct sb_loss_cut *cut = &options->cuts[i];
        if (cut->dimensions < 1 || cut->dimensions > dimensions)
            return sb_fail(error, SB_INVALID, "%s: Matryoshka dimension %zu; a vector has 1 to %zu", class->name,
                           cut->dimensions, dimensions);
        if (!(cut->weight >= 0) || isinf(cut->weight))
            return sb_fail(error, SB_INVALID, "%s: Matryoshka weight %g; it must be 0 or more", class->name,
                           cut->weight);
    }
    return SB_OK;
}

static enum sb_status check_options(const struct sb_loss_class *class, const struct sb_loss_options *options,
                                    size_t dimensions, struct sb_error *error)
{
    if (!(options->scale > 0) || isinf(options->scale))
        return sb_fail(error, SB_INVALID, "%s: scale %g; it must be more than 0", class->name, options->scale);
    if (!(options->margin >= 0) || isinf(options->margin))
        return sb_fail(error, SB_INVALID, "%s: margin %g; it must be 0 or more", class->name, options->margin);
    if ((class->needs & SB_LOSS_NEEDS_CLASSES) && (options->classes < 2 || options->classes > SB_LOSS_MAX_CLASSES))
        return sb_fail(error, SB_INVALID, "%s: %zu classes; 2 to %d are possible", class->name, options->classes,
                       SB_LOSS_MAX_CLASSES);
    return check_cuts(class, options, dimensions, error);
}

static void layout(struct sb_loss *loss)
{
    struct sb_loss_work *work = &loss->work;
    struct sb_arena *arena = &loss->arena;
    *work = (struct sb_loss_work){.form = loss->class->method->form,
                                  .options = &loss->options,
                                  .rows = loss->max_rows,
                                  .dimensions = loss->dimensions};
    work->matrices = loss->class->takes == SB_LOSS_PAIRS_AND_NEGATIVES ? 3 : sb_loss_matrices(loss->class);
    size_t rows = work->matrices * work->rows, all = rows * work->dimensions;
    work->x = sb_arena_take(arena, all, sizeof(double));
    work->dx = sb_arena_take(arena, all, sizeof(double));
    if (loss->options.cut_count > 0) {
        loss->whole = sb_arena_take(arena, all, sizeof(double));
        loss->dwhole = sb_arena_take(arena, all, sizeof(double));
        loss->norms = sb_arena_take(arena, rows, sizeof(double));
    }
    loss->class->method->layout(work, arena);
}

enum sb_status sb_loss_new(struct sb_loss **loss, const struct sb_loss_class *class,
                           const struct sb_loss_options *options, size_t max_rows, size_t dimensions,
                           struct sb_error *error)
{
    /* Keeps every product of sizes far from overflow; rows times rows doubles are 8 GiB here. */
    enum { MOST_ROWS = 1 << 15, MOST_DIMENSIONS = 1 << 16 };
    *loss = NULL;
    if (max_rows < 1 || max_rows > MOST_ROWS || dimensions < 1 || dimensions > MOST_DIMENSIONS)
        return sb_fail(error, SB_LIMIT, "%s: %zu rows of %zu numbers; 1 to %d rows of 1 to %d are possible",
                       class->name, max_rows, dimensions, MOST_ROWS, MOST_DIMENSIONS);
    enum sb_status status = check_options(class, options, dimensions, error);
    if (status != SB_OK)
        return status;
    struct sb_loss *l = calloc(1, sizeof *l);
    if (!l)
        return sb_fail(error, SB_NO_MEMORY, "no memory for the loss %s", class->name);
    l->class = class;
    l->options = *options;
    l->max_rows = max_rows;
    l->dimensions = dimensions;
    for (size_t i = 0; i < options->cut_count; i++)
        l->cuts[i] = options->cuts[i];
    l->options.cuts = l->cuts;
    layout(l);
    if (!sb_arena_commit(&l->arena)) {
        sb_loss_free(l);
        return sb_fail(error, SB_NO_MEMORY, "no memory for the loss %s of %zu rows of %zu numbers", class->name,
                       max_rows, dimensions);
    }
    layout(l);
    *loss = l;
    return SB_OK;
}

void sb_loss_free(struct sb_loss *loss)
{
    if (!loss)
        return;
    sb_arena_free(&loss->arena);
    free(loss);
}

/* ---- what comes in ---- */

static enum sb_status check_scores(const struct sb_loss *loss, const struct sb_loss_input *input,
                                   struct sb_error *error)
{
    bool labels = loss->class->needs & SB_LOSS_NEEDS_LABELS;
    if (!(loss->class->needs & (SB_LOSS_NEEDS_SCORES | SB_LOSS_NEEDS_LABELS)))
        return SB_OK;
    if (!input->scores)
        return sb_fail(error, SB_INVALID, "%s needs %s", loss->class->name, labels ? "labels" : "scores");
    for (size_t i = 0; i < input->rows; i++) {
        float score = input->scores[i];
        if (labels ? score != 0 && score != 1 : !isfinite(score))
            return sb_fail(error, SB_INVALID, "%s: the %s of row %zu is %g%s", loss->class->name,
                           labels ? "label" : "score", i, (double)score, labels ? ", neither 0 nor 1" : "");
    }
    return SB_OK;
}

static enum sb_status check_classes(const struct sb_loss *loss, const struct sb_loss_input *input,
                                    struct sb_error *error)
{
    int64_t classes = (int64_t)loss->options.classes;
    if (!(loss->class->needs & SB_LOSS_NEEDS_CLASSES))
        return SB_OK;
    if (!input->classes || !input->kernel)
        return sb_fail(error, SB_INVALID, "%s needs classes and a kernel", loss->class->name);
    for (size_t i = 0; i < input->rows; i++) {
        int64_t first = input->ranges ? input->ranges[i].first : 0;
        int64_t count = input->ranges ? input->ranges[i].count : classes;
        if (first < 0 || count < 1 || first + count > classes)
            return sb_fail(error, SB_INVALID, "%s: row %zu has %lld classes from %lld on, of %lld in all",
                           loss->class->name, i, (long long)count, (long long)first, (long long)classes);
        if (input->classes[i] < first || input->classes[i] >= first + count)
            return sb_fail(error, SB_INVALID, "%s: the class of row %zu is %d, not one of %lld to %lld",
                           loss->class->name, i, input->classes[i], (long long)first, (long long)(first + count - 1));
    }
    return SB_OK;
}

static enum sb_status check_rows(const struct sb_loss *loss, const struct sb_loss_input *input, struct sb_error *error)
{
    const char *name = loss->class->name;
    if (input->rows < 1 || input->rows > loss->max_rows)
        return sb_fail(error, SB_LIMIT, "%s: %zu rows; there is room for 1 to %zu", name, input->rows, loss->max_rows);
    if (sb_loss_takes_twos(loss->class) && input->rows % 2 != 0)
        return sb_fail(error, SB_INVALID, "%s: %zu rows, but they come in twos", name, input->rows);
    if (input->local_count > 0 && !loss->class->splits)
        return sb_fail(error, SB_UNSUPPORTED, "%s: its terms can not be shared out by rows", name);
    if (input->local_first > input->rows || input->local_count > input->rows - input->local_first)
        return sb_fail(error, SB_INVALID, "%s: rows %zu to %zu of %zu", name, input->local_first,
                       input->local_first + input->local_count, input->rows);
    for (size_t m = 0; m < sb_loss_matrices(loss->class); m++)
        if (!input->vectors[m].x)
            return sb_fail(error, SB_INVALID, "%s needs %zu matrices of vectors; number %zu is missing", name,
                           sb_loss_matrices(loss->class), m + 1);
    if ((loss->class->needs & SB_LOSS_NEEDS_TEACHER) && !input->teacher)
        return sb_fail(error, SB_INVALID, "%s needs a teacher's similarities", name);
    return SB_OK;
}

/* ---- one call ---- */

static void load(double *x, const struct sb_loss_input *input, size_t matrices, size_t dimensions)
{
    for (size_t m = 0; m < matrices; m++)
        for (size_t i = 0; i < input->rows; i++) {
            const float *row = input->vectors[m].x + i * input->vectors[m].ld;
            for (size_t d = 0; d < dimensions; d++)
                *x++ = (double)row[d];
        }
}

static void add_gradients(const struct sb_loss_input *input, const double *dx, size_t matrices, size_t dimensions,
                          double weight)
{
    for (size_t m = 0; m < matrices; m++)
        for (size_t i = 0; i < input->rows && input->vectors[m].dx; i++) {
            float *row = input->vectors[m].dx + i * input->vectors[m].ld;
            const double *from = dx + (m * input->rows + i) * dimensions;
            for (size_t d = 0; d < dimensions; d++)
                row[d] += (float)(weight * from[d]);
        }
}

static double run_whole(struct sb_loss *loss)
{
    struct sb_loss_work *work = &loss->work;
    load(work->x, work->input, work->matrices, work->dimensions);
    memset(work->dx, 0, work->matrices * work->rows * work->dimensions * sizeof *work->dx);
    double value = loss->class->method->run(work);
    add_gradients(work->input, work->dx, work->matrices, work->dimensions, work->input->weight);
    return value;
}

static double run_cut(struct sb_loss *loss, const struct sb_loss_cut *cut)
{
    struct sb_loss_work *work = &loss->work;
    size_t rows = work->matrices * work->rows, all = rows * cut->dimensions;
    work->dimensions = cut->dimensions;
    load(loss->whole, work->input, work->matrices, cut->dimensions);
    sb_loss_normalize(work->x, loss->norms, loss->whole, rows, cut->dimensions);
    memset(work->dx, 0, all * sizeof *work->dx);
    memset(loss->dwhole, 0, all * sizeof *loss->dwhole);
    double value = loss->class->method->run(work);
    sb_loss_normalize_backward(loss->dwhole, work->dx, work->x, loss->norms, rows, cut->dimensions);
    add_gradients(work->input, loss->dwhole, work->matrices, cut->dimensions, work->input->weight * cut->weight);
    return value * cut->weight;
}

enum sb_status sb_loss_run(struct sb_loss *loss, const struct sb_loss_input *input, double *value,
                           struct sb_error *error)
{
    struct sb_loss_work *work = &loss->work;
    enum sb_status status = check_rows(loss, input, error);
    if (status == SB_OK)
        status = check_scores(loss, input, error);
    if (status == SB_OK)
        status = check_classes(loss, input, error);
    if (status != SB_OK)
        return status;
    work->input = input;
    work->rows = input->rows;
    work->dimensions = loss->dimensions;
    work->matrices = sb_loss_matrices(loss->class);
    if (loss->class->takes == SB_LOSS_PAIRS_AND_NEGATIVES && input->vectors[2].x)
        work->matrices = 3;
    work->local_first = input->local_count > 0 ? input->local_first : 0;
    work->local_end = input->local_count > 0 ? input->local_first + input->local_count : input->rows;
    *value = 0;
    for (size_t i = 0; i < loss->options.cut_count; i++)
        *value += run_cut(loss, &loss->cuts[i]);
    if (loss->options.cut_count == 0)
        *value = run_whole(loss);
    return SB_OK;
}
