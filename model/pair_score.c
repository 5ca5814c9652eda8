#include "model/pair_score.h"

#include "model/model_impl.h"

#include <math.h>

/* The classes of a task within the head, and the one that says "the same". */
struct task {
    size_t first, count, same;
};

static struct task task_of(enum sb_pair_head head)
{
    return head == SB_PAIR_HEAD_NLI ? (struct task){2, 3, 2} : (struct task){0, 2, 1};
}

/* kernel [3 d] times [u; v; |u - v|]. */
static double logit(const float *kernel, const float *u, const float *v, size_t d)
{
    double sum = 0;
    for (size_t i = 0; i < d; i++)
        sum += (double)kernel[i] * (double)u[i] + (double)kernel[d + i] * (double)v[i] +
               (double)kernel[2 * d + i] * fabs((double)u[i] - (double)v[i]);
    return sum;
}

bool sb_model_scores_pairs(const struct sb_model *model)
{
    return model->pair_head != NULL;
}

double sb_model_pair_score(const struct sb_model *model, const float *u, const float *v)
{
    struct task task = task_of(model->config.pair_head);
    size_t d = (size_t)model->dimensions;
    double same = logit(model->pair_head + task.same * 3 * d, u, v, d), sum = 0;
    for (size_t c = task.first; c < task.first + task.count; c++)
        sum += exp(logit(model->pair_head + c * 3 * d, u, v, d) - same);
    return 1 / sum;
}
