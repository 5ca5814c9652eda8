/*
 * A classifier over [u; v; |u - v|], without a bias: logits[n, classes] = features[n, 3 d] kernel[classes, 3 d]^T, and
 * the mean cross entropy, each row's softmax over the classes of its own task.
 */
#include "training/loss_impl.h"

#include <math.h>

static void layout(struct sb_loss_work *work, struct sb_arena *arena)
{
    work->features = sb_arena_take(arena, work->rows * 3 * work->dimensions, sizeof(double));
    work->logits = sb_arena_take(arena, work->rows * work->options->classes, sizeof(double));
    work->dkernel = sb_arena_take(arena, 3 * work->dimensions, sizeof(double));
}

static void gather_features(struct sb_loss_work *work)
{
    size_t d = work->dimensions;
    for (size_t i = 0; i < work->rows; i++) {
        const double *u = sb_loss_row(work->x, work, 0, i), *v = sb_loss_row(work->x, work, 1, i);
        double *f = work->features + i * 3 * d;
        for (size_t j = 0; j < d; j++) {
            f[j] = u[j];
            f[d + j] = v[j];
            f[2 * d + j] = fabs(u[j] - v[j]);
        }
    }
}

static double kernel_dot(const double *features, const float *kernel, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += features[i] * (double)kernel[i];
    return sum;
}

/* Loss of row i, whose logits become their gradient. */
static double row_loss(struct sb_loss_work *work, size_t i)
{
    size_t classes = work->options->classes, width = 3 * work->dimensions, first = 0, count = classes;
    double *logits = work->logits + i * classes, share = 1 / (double)work->rows;
    if (work->input->ranges) {
        first = (size_t)work->input->ranges[i].first;
        count = (size_t)work->input->ranges[i].count;
    }
    for (size_t c = 0; c < classes; c++)
        logits[c] = 0;
    for (size_t c = first; c < first + count; c++)
        logits[c] = kernel_dot(work->features + i * width, work->input->kernel + c * width, width);
    size_t label = (size_t)work->input->classes[i];
    double at_label = logits[label], loss = sb_loss_softmax_row(logits + first, count) - at_label;
    logits[label] -= 1;
    for (size_t c = first; c < first + count; c++)
        logits[c] *= share;
    return loss * share;
}

static void vectors_backward(struct sb_loss_work *work, size_t i)
{
    size_t d = work->dimensions, classes = work->options->classes;
    const double *u = sb_loss_row(work->x, work, 0, i), *v = sb_loss_row(work->x, work, 1, i);
    double *du = sb_loss_row(work->dx, work, 0, i), *dv = sb_loss_row(work->dx, work, 1, i);
    for (size_t c = 0; c < classes; c++) {
        const float *kernel = work->input->kernel + c * 3 * d;
        double g = work->logits[i * classes + c];
        for (size_t j = 0; j < d; j++) {
            double sign = u[j] > v[j] ? 1 : u[j] < v[j] ? -1 : 0, apart = sign * (double)kernel[2 * d + j];
            du[j] += g * ((double)kernel[j] + apart);
            dv[j] += g * ((double)kernel[d + j] - apart);
        }
    }
}

static void kernel_backward(struct sb_loss_work *work)
{
    size_t classes = work->options->classes, width = 3 * work->dimensions;
    for (size_t c = 0; c < classes; c++) {
        for (size_t j = 0; j < width; j++)
            work->dkernel[j] = 0;
        for (size_t i = 0; i < work->rows; i++)
            sb_loss_add_scaled(work->dkernel, work->features + i * width, work->logits[i * classes + c], width);
        for (size_t j = 0; j < width; j++)
            work->input->dkernel[c * width + j] += (float)(work->input->weight * work->dkernel[j]);
    }
}

static double run(struct sb_loss_work *work)
{
    double loss = 0;
    gather_features(work);
    for (size_t i = 0; i < work->rows; i++) {
        loss += row_loss(work, i);
        vectors_backward(work, i);
    }
    if (work->input->dkernel)
        kernel_backward(work);
    return loss;
}

const struct sb_loss_method sb_loss_softmax = {layout, run, NULL};
