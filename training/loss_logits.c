#include "training/loss_logits.h"

#include "kernels/training_kernels.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static double sum(const float *x, size_t n)
{
    double total = 0;
    for (size_t i = 0; i < n; i++)
        total += (double)x[i];
    return total;
}

/* ---- cross entropy ---- */

static void row_cross_entropy(struct sb_cross_entropy *loss, float *x, size_t label)
{
    size_t n = loss->vocab_size;
    double scale = loss->weight / loss->normaliser, e = loss->smoothing;
    float largest, log_sum;
    loss->kernels->log_sum_exp(&largest, &log_sum, x, n);
    double normal = (double)largest + (double)log_sum, value = normal - (double)x[label];
    if (e > 0)
        value = (1 - e) * value + e * (normal - sum(x, n) / (double)n);
    loss->value += value / loss->normaliser;
    loss->kernels->training->exp_scale(x, n, largest + log_sum, (float)scale);
    for (size_t i = 0; i < n && e > 0; i++)
        x[i] -= (float)(scale * e / (double)n);
    x[label] -= (float)(scale * (1 - e));
}

void sb_cross_entropy(void *cross_entropy, float *logits, size_t first, size_t count)
{
    struct sb_cross_entropy *loss = cross_entropy;
    for (size_t i = 0; i < count; i++) {
        int32_t label = loss->labels[first + i];
        assert(label >= 0 && (size_t)label < loss->vocab_size);
        row_cross_entropy(loss, logits + i * loss->vocab_size, (size_t)label);
    }
}

/* ---- Kullback-Leibler divergence ---- */

void sb_keep_logits(void *kept_logits, float *logits, size_t first, size_t count)
{
    struct sb_kept_logits *kept = kept_logits;
    memcpy(kept->logits + first * kept->vocab_size, logits, count * kept->vocab_size * sizeof *logits);
}

/* x[n] becomes softmax(x) times what is returned, which is 1 but for rounding. */
static double exponentials(const struct sb_kernels *kernels, float *x, size_t n)
{
    float largest, log_sum;
    kernels->log_sum_exp(&largest, &log_sum, x, n);
    kernels->training->exp_scale(x, n, largest + log_sum, 1);
    return sum(x, n);
}

/* With d = x - clean: sum(p (log p - log q)) = log E[exp(d)] - E[d], both means over p in double. The same p stands in both, so what
   its floats err is a relative error of the divergence, however small that is. Moved by the largest d against overflow. */
static double divergence_of_row(const float *p, double divisor, const float *x, const float *clean, size_t n)
{
    double largest = -INFINITY, mean = 0, exponential = 0;
    for (size_t i = 0; i < n; i++)
        largest = fmax(largest, (double)x[i] - (double)clean[i]);
    for (size_t i = 0; i < n; i++) {
        double d = (double)x[i] - (double)clean[i] - largest;
        mean += (double)p[i] * d;
        exponential += (double)p[i] * exp(d);
    }
    return log(exponential / divisor) - mean / divisor;
}

/* The gradient by x is q - p. */
static void row_divergence(struct sb_kl_divergence *loss, float *x, const float *clean)
{
    size_t n = loss->clean->vocab_size;
    float *p = loss->scratch;
    double scale = loss->weight / loss->normaliser;
    memcpy(p, clean, n * sizeof *p);
    double of_clean = exponentials(loss->kernels, p, n);
    loss->value += divergence_of_row(p, of_clean, x, clean, n) / loss->normaliser;
    double of_x = exponentials(loss->kernels, x, n);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)(scale * ((double)x[i] / of_x - (double)p[i] / of_clean));
}

void sb_kl_divergence(void *kl_divergence, float *logits, size_t first, size_t count)
{
    struct sb_kl_divergence *loss = kl_divergence;
    size_t n = loss->clean->vocab_size;
    for (size_t i = 0; i < count; i++)
        row_divergence(loss, logits + i * n, loss->clean->logits + (first + i) * n);
}
