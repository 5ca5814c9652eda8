/*
 * In-batch contrast: every row is to choose its partner among many. SimBERT's similarity and the forms of multiple
 * negatives differ in which cosines stand in a row's softmax; those are blocks of columns here.
 *
 *     logits[local rows, width]     | block 0: left 0 x right 0 | block 1: left 1 x right 1 | ...
 */
#include "training/loss_impl.h"

#include <math.h>
#include <string.h>

enum { MOST_BLOCKS = 4 };

/* scale cos(left, right): a row of matrix `left` against all of matrix `right`, with the negatives behind it if so. */
struct block {
    size_t left, right;
    bool with_negatives;
    bool skips_self; /* column i of row i is no candidate */
};

struct sb_loss_form {
    struct block blocks[MOST_BLOCKS];
    size_t count;
    bool joint;       /* one softmax over all blocks, in which the partner stands in the first one; else one a block */
    bool interleaved; /* the partner of row i is i ^ 1, else i */
};

static const struct sb_loss_form similarity = {.blocks = {{0, 0, false, true}}, .count = 1, .interleaved = true};
static const struct sb_loss_form one_way = {.blocks = {{0, 1, true, false}}, .count = 1};
static const struct sb_loss_form symmetric = {.blocks = {{0, 1, true, false}, {1, 0, false, false}}, .count = 2};
static const struct sb_loss_form gte = {
    .blocks = {{0, 1, true, false}, {0, 0, false, true}, {1, 0, false, false}, {1, 1, false, true}},
    .count = 4,
    .joint = true,
};

static size_t columns_of(const struct block *block, const struct sb_loss_work *work)
{
    return block->with_negatives && work->matrices == 3 ? 2 * work->rows : work->rows;
}

static void layout(struct sb_loss_work *work, struct sb_arena *arena)
{
    const struct sb_loss_form *form = work->form;
    size_t all = work->matrices * work->rows, width = 0;
    for (size_t b = 0; b < form->count; b++)
        width += columns_of(&form->blocks[b], work);
    work->unit = sb_arena_take(arena, all * work->dimensions, sizeof(double));
    work->dunit = sb_arena_take(arena, all * work->dimensions, sizeof(double));
    work->norms = sb_arena_take(arena, all, sizeof(double));
    work->transposed = sb_arena_take(arena, 2 * work->rows * work->dimensions, sizeof(double));
    work->logits = sb_arena_take(arena, work->rows * width, sizeof(double));
}

/* logits[local rows, columns of the block] */
static void score(struct sb_loss_work *work, const struct block *block, double *logits, size_t width)
{
    size_t columns = columns_of(block, work), local = work->local_end - work->local_first;
    const double *left = sb_loss_row(work->unit, work, block->left, work->local_first);
    sb_loss_products(logits, width, left, sb_loss_row(work->unit, work, block->right, 0), local, columns,
                     work->dimensions, work->transposed);
    for (size_t i = 0; i < local; i++) {
        for (size_t j = 0; j < columns; j++)
            logits[i * width + j] *= work->options->scale;
        if (block->skips_self)
            logits[i * width + work->local_first + i] = -INFINITY;
    }
}

static void score_backward(struct sb_loss_work *work, const struct block *block, const double *dlogits, size_t width)
{
    size_t first = work->local_first;
    sb_loss_products_backward(
        sb_loss_row(work->dunit, work, block->left, first), sb_loss_row(work->dunit, work, block->right, 0), dlogits,
        width, sb_loss_row(work->unit, work, block->left, first), sb_loss_row(work->unit, work, block->right, 0),
        work->local_end - first, columns_of(block, work), work->dimensions);
}

/* Cross entropy of a row; the row becomes its gradient times share. */
static double cross_entropy(double *row, size_t n, size_t target, double share)
{
    double at_target = row[target], loss = sb_loss_softmax_row(row, n) - at_target;
    row[target] -= 1;
    for (size_t j = 0; j < n; j++)
        row[j] *= share;
    return loss;
}

/* The loss of all rows; logits become their gradients. Block b is columns [starts[b], starts[b + 1]). */
static double choose_partners(struct sb_loss_work *work, const size_t *starts, size_t width)
{
    size_t softmaxes = work->form->joint ? 1 : work->form->count;
    double loss = 0, share = 1 / (double)(work->rows * softmaxes);
    for (size_t i = work->local_first; i < work->local_end; i++) {
        double *row = work->logits + (i - work->local_first) * width;
        size_t partner = work->form->interleaved ? i ^ 1 : i;
        for (size_t s = 0; s < softmaxes; s++) {
            size_t end = work->form->joint ? width : starts[s + 1];
            loss += cross_entropy(row + starts[s], end - starts[s], partner, share * work->options->scale);
        }
    }
    return loss * share;
}

static double run(struct sb_loss_work *work)
{
    const struct sb_loss_form *form = work->form;
    size_t width = 0, starts[MOST_BLOCKS + 1] = {0}, all = work->matrices * work->rows;
    for (size_t b = 0; b < form->count; b++)
        starts[b + 1] = width += columns_of(&form->blocks[b], work);
    sb_loss_normalize(work->unit, work->norms, work->x, all, work->dimensions);
    memset(work->dunit, 0, all * work->dimensions * sizeof *work->dunit);
    for (size_t b = 0; b < form->count; b++)
        score(work, &form->blocks[b], work->logits + starts[b], width);
    double loss = choose_partners(work, starts, width);
    for (size_t b = 0; b < form->count; b++)
        score_backward(work, &form->blocks[b], work->logits + starts[b], width);
    sb_loss_normalize_backward(work->dx, work->dunit, work->unit, work->norms, all, work->dimensions);
    return loss;
}

const struct sb_loss_method sb_loss_in_batch_similarity = {layout, run, &similarity};
const struct sb_loss_method sb_loss_multiple_negatives = {layout, run, &one_way};
const struct sb_loss_method sb_loss_multiple_negatives_symmetric = {layout, run, &symmetric};
const struct sb_loss_method sb_loss_multiple_negatives_gte = {layout, run, &gte};
