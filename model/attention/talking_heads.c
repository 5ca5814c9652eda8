/*
 * Heads that mix, before and after the softmax: Shazeer et al., "Talking-Heads Attention", 2020.
 */
#include "model/attention/scorers.h"

#include <string.h>

void sb_mix_heads(const struct sb_attention_plan *plan, const struct sb_training_kernels *kernels, float *out,
                  const float *mix, const float *in, size_t n)
{
    kernels->matmul(out, n, mix, plan->heads, in, n, plan->heads, plan->heads, n);
}

void sb_mix_heads_backward(const struct sb_attention_plan *plan, const struct sb_training_kernels *kernels, float *din,
                           const float *mix, const float *dout, size_t n)
{
    memset(din, 0, plan->heads * n * sizeof *din);
    for (size_t h = 0; h < plan->heads; h++)
        for (size_t k = 0; k < plan->heads; k++)
            kernels->add_scaled(din + k * n, dout + h * n, mix[h * plan->heads + k], n);
}

void sb_mix_heads_gradient(const struct sb_attention_plan *plan, const struct sb_kernels *kernels, float *dmix,
                           const float *dout, const float *in, size_t n)
{
    for (size_t h = 0; h < plan->heads; h++)
        for (size_t k = 0; k < plan->heads; k++)
            dmix[h * plan->heads + k] += kernels->dot(dout + h * n, in + k * n, n);
}
