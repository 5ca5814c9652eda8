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

/* What a row of probabilities must still be divided by, and the log of sum(exp(x)) in double: the divergence is a small
   difference of two of those, which floats would lose. */
struct normal {
    double divisor, log_sum;
};

/* x[n] becomes softmax(x) * divisor. */
static struct normal exponentials(const struct sb_kernels *kernels, float *x, size_t n)
{
    float largest, log_sum;
    kernels->log_sum_exp(&largest, &log_sum, x, n);
    kernels->training->exp_scale(x, n, largest + log_sum, 1);
    double divisor = sum(x, n);
    return (struct normal){divisor, (double)(largest + log_sum) + log(divisor)};
}

/* sum(p (log p - log q)) = sum(p (clean - x)) - (log sum exp(clean) - log sum exp(x)); its gradient by x is q - p. */
static void row_divergence(struct sb_kl_divergence *loss, float *x, const float *clean)
{
    size_t n = loss->clean->vocab_size;
    float *p = loss->scratch;
    double difference = 0, scale = loss->weight / loss->normaliser;
    memcpy(p, clean, n * sizeof *p);
    struct normal of_clean = exponentials(loss->kernels, p, n);
    for (size_t i = 0; i < n; i++)
        difference += (double)p[i] * ((double)clean[i] - (double)x[i]);
    struct normal of_x = exponentials(loss->kernels, x, n);
    loss->value += (difference / of_clean.divisor - (of_clean.log_sum - of_x.log_sum)) / loss->normaliser;
    for (size_t i = 0; i < n; i++)
        x[i] = (float)(scale * ((double)x[i] / of_x.divisor - (double)p[i] / of_clean.divisor));
}

void sb_kl_divergence(void *kl_divergence, float *logits, size_t first, size_t count)
{
    struct sb_kl_divergence *loss = kl_divergence;
    size_t n = loss->clean->vocab_size;
    for (size_t i = 0; i < count; i++)
        row_divergence(loss, logits + i * n, loss->clean->logits + (first + i) * n);
}
