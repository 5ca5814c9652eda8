#include "training/dense_head.h"

#include "kernels/kernels.h"
#include "kernels/training_kernels.h"
#include "training/dense_module.h"
#include "weights/weights.h"

#include <stdlib.h>
#include <string.h>

struct sb_dense_head {
    size_t out, in;
    enum sb_activation activation;
    float *kernel, *bias; /* [out, in], [out] as they were stored; freed by begin */
    float *sums;          /* [max_rows, out]: x W^T + b of the last forward */
    size_t kernel_at, bias_at; /* in the network's flat arrays */
};

static enum sb_act act_of(enum sb_activation activation)
{
    switch (activation) {
    case SB_TANH: return SB_ACT_TANH;
    case SB_RELU: return SB_ACT_RELU;
    case SB_GELU_ERF: return SB_ACT_GELU;
    case SB_SWISH: return SB_ACT_SWISH;
    default: return SB_ACT_NONE;
    }
}

static enum sb_status read_numbers(struct sb_dense_head *h, const struct sb_param *kernel, const struct sb_param *bias,
                                   const char *dir, struct sb_error *error)
{
    h->out = kernel->rows;
    h->in = kernel->columns;
    h->kernel = calloc(h->out * h->in, sizeof *h->kernel);
    h->bias = calloc(h->out, sizeof *h->bias);
    if (!h->kernel || !h->bias)
        return sb_fail(error, SB_NO_MEMORY, "%s: no memory for its Dense module", dir);
    for (size_t i = 0; i < h->out; i++)
        sb_param_row(h->kernel + i * h->in, kernel, i);
    if (bias->data)
        sb_param_row(h->bias, bias, 0);
    return SB_OK;
}

enum sb_status sb_dense_head_open(struct sb_dense_head **head, const char *dir, struct sb_error *error)
{
    struct sb_weights *weights = NULL;
    struct sb_param kernel, bias;
    enum sb_activation activation;
    *head = NULL;
    enum sb_status status = sb_weights_open(&weights, dir, error);
    if (status == SB_OK && sb_weights_dense(weights, &kernel, &bias, &activation)) {
        struct sb_dense_head *h = calloc(1, sizeof *h);
        if (h) {
            h->activation = activation;
            status = read_numbers(h, &kernel, &bias, dir, error);
        } else {
            status = sb_fail(error, SB_NO_MEMORY, "%s: no memory for its Dense module", dir);
        }
        if (status == SB_OK)
            *head = h;
        else
            sb_dense_head_free(h);
    }
    sb_weights_close(weights);
    return status;
}

void sb_dense_head_free(struct sb_dense_head *head)
{
    if (!head)
        return;
    free(head->kernel);
    free(head->bias);
    free(head->sums);
    free(head);
}

size_t sb_dense_head_dimensions(const struct sb_dense_head *head)
{
    return head->out;
}

void sb_dense_head_list(const struct sb_dense_head *head, struct sb_extra_parameter extras[2])
{
    extras[0] = (struct sb_extra_parameter){SB_DENSE_HEAD_KERNEL, head->out, head->in, true};
    extras[1] = (struct sb_extra_parameter){SB_DENSE_HEAD_BIAS, 0, head->out, false};
}

void sb_dense_head_begin(struct sb_dense_head *h, struct sb_network *network)
{
    const struct sb_parameters *parameters = sb_network_parameters(network);
    float *values = sb_network_values(network);
    h->kernel_at = sb_parameters_find(parameters, SB_DENSE_HEAD_KERNEL)->offset;
    h->bias_at = sb_parameters_find(parameters, SB_DENSE_HEAD_BIAS)->offset;
    memcpy(values + h->kernel_at, h->kernel, h->out * h->in * sizeof *values);
    memcpy(values + h->bias_at, h->bias, h->out * sizeof *values);
    free(h->kernel);
    free(h->bias);
    h->kernel = h->bias = NULL;
}

enum sb_status sb_dense_head_reserve(struct sb_dense_head *h, size_t max_rows, struct sb_error *error)
{
    free(h->sums);
    h->sums = calloc(max_rows * h->out, sizeof *h->sums);
    return h->sums ? SB_OK : sb_fail(error, SB_NO_MEMORY, "no memory for vectors of %zu rows", max_rows);
}

void sb_dense_head_forward(struct sb_dense_head *h, float *y, const float *x, size_t rows, const float *values)
{
    const struct sb_kernels *kernels = sb_kernels_choose(NULL, NULL);
    const float *w = values + h->kernel_at, *b = values + h->bias_at;
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < h->out; i++)
            h->sums[r * h->out + i] = kernels->dot(x + r * h->in, w + i * h->in, h->in) + b[i];
    memcpy(y, h->sums, rows * h->out * sizeof *y);
    kernels->activate(y, rows * h->out, act_of(h->activation));
}

/* dx = d W, dW += d^T x, db += sum of d, where d is the gradient by the sums. */
void sb_dense_head_backward(struct sb_dense_head *h, float *dx, float *dy, const float *x, size_t rows,
                            const float *values, float *gradients)
{
    const struct sb_training_kernels *training = sb_kernels_choose(NULL, NULL)->training;
    const float *w = values + h->kernel_at;
    training->activate_backward(dy, h->sums, rows * h->out, act_of(h->activation));
    memset(dx, 0, rows * h->in * sizeof *dx);
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < h->out; i++) {
            float d = dy[r * h->out + i];
            training->add_scaled(dx + r * h->in, w + i * h->in, d, h->in);
            if (!gradients)
                continue;
            training->add_scaled(gradients + h->kernel_at + i * h->in, x + r * h->in, d, h->in);
            gradients[h->bias_at + i] += d;
        }
}

enum sb_status sb_dense_head_save(const struct sb_dense_head *h, const char *dir, const struct sb_network *network,
                                  const float *values, struct sb_error *error)
{
    const struct sb_dense_module module = {values + h->kernel_at, values + h->bias_at, h->out, h->in, h->activation};
    return sb_dense_module_write(&module, dir, sb_network_config(network), error);
}
