/* The student's similarities are to be the teacher's: scale * mean over all i, j of (cos(x_i, x_j) - teacher[i, j])^2. */
#include "training/loss_impl.h"

static void layout(struct sb_loss_work *work, struct sb_arena *arena)
{
    work->unit = sb_arena_take(arena, work->rows * work->dimensions, sizeof(double));
    work->dunit = sb_arena_take(arena, work->rows * work->dimensions, sizeof(double));
    work->norms = sb_arena_take(arena, work->rows, sizeof(double));
    work->transposed = sb_arena_take(arena, work->rows * work->dimensions, sizeof(double));
    work->logits = sb_arena_take(arena, work->rows * work->rows, sizeof(double));
}

static double run(struct sb_loss_work *work)
{
    size_t n = work->rows, d = work->dimensions, local = work->local_end - work->local_first;
    double sum = 0, share = work->options->scale / ((double)n * (double)n), *similarity = work->logits;
    const float *teacher = work->input->teacher + work->local_first * n;
    sb_loss_normalize(work->unit, work->norms, work->x, n, d);
    sb_loss_products(similarity, n, work->unit + work->local_first * d, work->unit, local, n, d, work->transposed);
    for (size_t i = 0; i < local * n; i++) {
        double difference = similarity[i] - (double)teacher[i];
        sum += difference * difference;
        similarity[i] = 2 * share * difference;
    }
    for (size_t i = 0; i < n * d; i++)
        work->dunit[i] = 0;
    sb_loss_products_backward(work->dunit + work->local_first * d, work->dunit, similarity, n,
                              work->unit + work->local_first * d, work->unit, local, n, d);
    sb_loss_normalize_backward(work->dx, work->dunit, work->unit, work->norms, n, d);
    return sum * share;
}

const struct sb_loss_method sb_loss_distillation = {layout, run, NULL};
